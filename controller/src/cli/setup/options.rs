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

/// The stack, if neither an option nor [`ENV_CONFIG`] says whose settings.
const ENV_STACK: &str = "TRANSCODE_STACK";

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Options {
    /// Settings file; see config/controller.toml for every key. Default: the file that `TRANSCODE_CONFIG` names.
    #[arg(long = "config", global = true, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Settings of the environment that this CloudFormation stack made, in place of a file. Default: the stack that
    /// `TRANSCODE_STACK` names.
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
    pub(crate) fn output(&self) -> Output {
        Output::new(if self.json { Format::Json } else { self.format })
    }

    /// The settings file, for commands that work on a file alone.
    pub(crate) fn file(&self) -> Result<PathBuf, Refused> {
        if self.stack.is_some() {
            return Err(Refused(
                "--stack: this command takes a settings file; give --config FILE".to_owned(),
            ));
        }
        self.named_file().ok_or_else(|| {
            Refused(format!(
                "whose settings? Give --stack NAME or --config FILE, or set {ENV_STACK} or {ENV_CONFIG}"
            ))
        })
    }

    fn named_file(&self) -> Option<PathBuf> {
        self.file.clone().or_else(|| env::var_os(ENV_CONFIG).map(PathBuf::from))
    }

    /// The settings, from the stack or the file; from a stack also the ARN of its controller's role.
    pub(crate) async fn settings(&self) -> Result<(Settings, Option<String>), Refused> {
        let of_environment = || env::var(ENV_STACK).ok().filter(|_| self.named_file().is_none());
        match self.stack.clone().or_else(of_environment) {
            Some(stack) => stack::settings(&stack).await,
            None => Ok((load(&self.file()?)?, None)),
        }
    }
}
