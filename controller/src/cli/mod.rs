//! The command line.
//!
//! | folder | commands |
//! |---|---|
//! | `setup/` | none: the global options, the settings, clients |
//! | `output/` | none: tables, JSON, YAML, names |
//! | `find/` | none: which job is meant, and its records |
//! | `show/` | `get`, `explain` |
//! | `send/` | `submit`, `presign` |
//! | `letters/` | `dead-letters`, `redrive` |
//! | `check/` | `doctor`, `audit`, `dashboard` |
//! | `serve/` | `run`, `check-config`, `healthcheck` |
//!
//! Results go to standard output, errors to standard error in one line that says what to do. None of the commands but
//! `healthcheck` needs a way to the running controller: they read and write what AWS keeps.

mod check;
mod find;
mod letters;
mod output;
mod send;
mod serve;
mod setup;
mod show;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use self::{
    output::complain,
    setup::{Options, Refused, Session, load, within},
};

/// Wrong command line or settings.
const EXIT_USAGE: u8 = 2;

/// One Fargate task for each uploaded video: the reconciling operator.
#[derive(Debug, Parser)]
#[command(name = "transcode-controller", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until SIGTERM.
    Run,
    /// Check a settings file and print the settings in effect.
    CheckConfig {
        /// Settings file.
        file: PathBuf,
    },
    /// Ask the running controller's /healthz; exit status 0 if it is healthy.
    Healthcheck,
    /// Check controllers' logs against the job protocol's promises, and print how each message ended.
    Audit(check::Audit),
    #[command(flatten)]
    Remote(Box<Remote>),
}

/// The commands that call AWS.
#[derive(Debug, Subcommand)]
enum Remote {
    /// Show a job's record: specification, attempts, heartbeats, terminal record.
    Get(show::Get),
    /// Explain in a few sentences why a job waits, until when, and who can act.
    Explain(show::Explain),
    /// Ask for an object of an allowed source to be transcoded, and print the job's key.
    Submit(send::Submit),
    /// Print a URL that lets somebody without AWS credentials upload or download one file.
    Presign(send::Presign),
    /// List, show, redrive or discard dead letters.
    #[command(subcommand)]
    DeadLetters(letters::DeadLetters),
    /// The same as `dead-letters redrive`.
    Redrive(letters::Redrive),
    /// Check the live environment and say what to repair: exit status 0, 1 (something failed), 3 (something is
    /// unknown).
    Doctor(check::Doctor),
    /// Print the CloudWatch dashboard of this environment, or put it.
    Dashboard(check::Dashboard),
}

impl Remote {
    async fn run(self, session: Session) -> anyhow::Result<ExitCode> {
        match self {
            Self::Get(what) => what.run(&session).await?,
            Self::Explain(what) => what.run(&session).await?,
            Self::Submit(what) => what.run(&session).await?,
            Self::Presign(what) => what.run(&session).await?,
            Self::DeadLetters(what) => what.run(&session).await?,
            Self::Redrive(what) => what.run(&session).await?,
            Self::Doctor(what) => return what.run(session).await,
            Self::Dashboard(what) => what.run(&session).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let Cli { options, command } = Cli::parse();
    match run(&options, command) {
        Ok(status) => status,
        Err(error) => {
            complain(&format!("{error:#}"));
            if error.is::<Refused>() { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn run(options: &Options, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run => serve::run(load(&options.file()?)?, &options.file()?)?,
        Command::CheckConfig { file } => serve::check_config(&file)?,
        Command::Healthcheck => serve::healthcheck(&load(&options.file()?)?)?,
        Command::Audit(what) => what.run(options.output())?,
        Command::Remote(what) => return within(options, async |session| Box::pin(what.run(session)).await),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
