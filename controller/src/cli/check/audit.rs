//! `audit`: checks the controllers' logs against the job protocol's promises.

use std::{
    fs::File,
    io::{BufReader, stdin},
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::{
    audit::{AuditReport, History},
    cli::output::{Output, Show, Text},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Audit {
    /// Log files as the controller writes them, one for each controller; `-` is standard input.
    #[arg(required = true, value_name = "LOGS")]
    logs: Vec<PathBuf>,
}

impl Show for AuditReport {
    fn people(&self, text: &mut Text) {
        for line in self.text().lines() {
            text.line(line);
        }
    }

    /// The jobs of the messages.
    fn names(&self) -> Vec<String> {
        self.messages.iter().flat_map(|message| message.jobs.iter().cloned()).collect()
    }
}

impl Audit {
    pub(crate) fn run(&self, output: Output) -> anyhow::Result<()> {
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
        output.print(&report)?;
        let broken = report.totals.violations;
        anyhow::ensure!(broken == 0, "{broken} violations of the job protocol");
        Ok(())
    }
}
