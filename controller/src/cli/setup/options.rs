//! The options of every command: whose settings, and in which form to print.

use std::{env, path::PathBuf};

use clap::Args;
use transcode_config::Settings;

use super::{
    refused::{Refused, load},
    stack,
};
use crate::cli::output::{Format, Output};

/// The settings file, if no option names one.
const ENV_CONFIG: &str = "TRANSCODE_CONFIG";

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(in crate::cli) struct Options {
    /// Settings file; see config/controller.toml for every key. Default: the file that `TRANSCODE_CONFIG` names.
    #[arg(long = "config", global = true, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Settings of the environment that this CloudFormation stack made, in place of a file.
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "file")]
    stack: Option<String>,
    /// Form of the result: for people, or for programs with stable field names; `name` prints the keys alone.
    #[arg(long = "output", short = 'o', global = true, value_name = "FORM", value_enum, default_value_t)]
    format: Format,
    /// The same as `-o json`.
    #[arg(long, global = true, conflicts_with = "format")]
    json: bool,
}

impl Options {
    /// How to print.
    pub(in crate::cli) fn output(&self) -> Output {
        Output::new(if self.json { Format::Json } else { self.format })
    }

    /// The settings file, for commands that work on a file alone.
    pub(in crate::cli) fn file(&self) -> Result<PathBuf, Refused> {
        if self.stack.is_some() {
            return Err(Refused(
                "--stack: this command takes a settings file; give --config FILE".to_owned(),
            ));
        }
        let named = self.file.clone().or_else(|| env::var_os(ENV_CONFIG).map(PathBuf::from));
        named.ok_or_else(|| {
            Refused(format!("whose settings? Give --stack NAME or --config FILE, or set {ENV_CONFIG}"))
        })
    }

    /// The settings, from the stack or the file.
    pub(in crate::cli) async fn settings(&self) -> Result<Settings, Refused> {
        match &self.stack {
            Some(stack) => stack::settings(stack).await,
            None => load(&self.file()?),
        }
    }
}
