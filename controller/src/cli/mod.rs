//! The command line.

mod run;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use transcode_config::Settings;

/// Wrong command line or settings.
const EXIT_USAGE: u8 = 2;

/// One Fargate task for each uploaded video: the reconciling operator.
#[derive(Debug, Parser)]
#[command(name = "transcode-controller", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until SIGTERM.
    Run {
        /// Settings file; see config/controller.toml for every key.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a settings file and print the settings in effect.
    CheckConfig {
        /// Settings file.
        file: PathBuf,
    },
    /// Ask the running controller's /healthz; exit status 0 when it answers well.
    Healthcheck {
        /// Settings file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run { config } => with(&config, run::run),
        Command::CheckConfig { file } => with(&file, |settings| {
            let text = toml::to_string_pretty(&settings)?;
            std::io::stdout().lock().write_all(text.as_bytes())?;
            Ok(())
        }),
        Command::Healthcheck { config } => with(&config, |settings| {
            let healthy = crate::http::ask_health(settings.http.listen.parse()?)?;
            anyhow::ensure!(healthy, "the controller is not healthy");
            Ok(())
        }),
    }
}

fn with(file: &Path, act: impl FnOnce(Settings) -> anyhow::Result<()>) -> ExitCode {
    let settings = match transcode_config::load(file) {
        Ok(settings) => settings,
        Err(error) => {
            complain(&format!("{}: settings refused\n{error}", file.display()));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match act(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Standard error, without a panic where nobody reads it.
fn complain(text: &str) {
    writeln!(std::io::stderr().lock(), "transcode-controller: {text}").ok();
}
