//! `audit`: checks the controllers' logs against the job protocol's promises.

use std::{
    fs::File,
    io::{BufReader, stdin},
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::session::say;
use crate::audit::History;

#[derive(Debug, clap::Args)]
pub(super) struct Audit {
    /// Log files as the controller writes them, one for each controller; `-` is standard input.
    #[arg(required = true, value_name = "LOGS")]
    logs: Vec<PathBuf>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let mut book = History::default();
        for log in &self.logs {
            if log == Path::new("-") {
                book.read("-", stdin().lock()).context("standard input")?;
            } else {
                let name = log.display().to_string();
                let file = File::open(log).with_context(|| name.clone())?;
                book.read(&name, BufReader::new(file)).with_context(|| name.clone())?;
            }
        }
        let report = book.report();
        let text = if self.json { format!("{}\n", serde_json::to_string(&report)?) } else { report.text() };
        say(&text)?;
        let broken = report.totals.violations;
        anyhow::ensure!(broken == 0, "{broken} violations of the job protocol");
        Ok(())
    }
}
