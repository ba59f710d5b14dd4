//! The command line.
//!
//! | folder | commands |
//! |---|---|
//! | `setup/` | none: the global options, the settings, clients |
//! | `output/` | none: tables, JSON, YAML, names |
//! | `find/` | none: which job is meant, and its records |
//! | `show/` | `list`, `get`, `watch`, `wait`, `explain`, `events`, `logs` |
//! | `send/` | `submit` |
//! | `presign/` | `presign put`, `get`, `upload`, `playback` |
//! | `steer/` | `cancel`, `retry`, `pause`, `resume`, `drain`, `profile`, `settings`, `plan` |
//! | `letters/` | `dead-letters`, `redrive` |
//! | `check/` | `doctor`, `audit`, `dashboard` |
//! | `serve/` | `run`, `check-config`, `healthcheck`, `console` |
//!
//! Results go to standard output, errors to standard error in one line that says what to do. None of the commands but
//! `healthcheck` needs a way to the running controller: they read and write what AWS keeps.

mod check;
pub(crate) mod find;
pub(crate) mod letters;
mod manual;
pub(crate) mod output;
mod presign;
mod send;
mod serve;
pub(crate) mod setup;
pub(crate) mod show;
pub(crate) mod steer;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use self::{
    output::{advice, complain},
    setup::{Options, Refused, Session, in_force, load, within},
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
    /// Print the script that completes this command line in a shell.
    Completions(manual::Completions),
    /// Print the manual page of a command, in roff: `transcode-controller man list | man -l -`.
    Man(manual::Man),
    #[command(flatten)]
    Remote(Box<Remote>),
}

/// The commands that call AWS.
#[derive(Debug, Subcommand)]
enum Remote {
    /// List the newest jobs with their states.
    List(show::List),
    /// Show a job's record: specification, attempts, heartbeats, terminal record.
    Get(show::Get),
    /// Explain in a few sentences why a job waits, until when, and who can act.
    Explain(show::Explain),
    /// Watch a job until it ends, or all jobs.
    Watch(show::Watch),
    /// Wait until a job has ended; the exit status says how: 0 succeeded, 4 dead, 5 superseded, 6 cancelled, 7 time is
    /// over.
    Wait(show::Wait),
    /// Show the log of a job's task.
    Logs(show::Logs),
    /// Tell what happened to a job, in order.
    Events(show::Events),
    /// Ask for an object of an allowed source to be transcoded, and print the job's key.
    Submit(send::Submit),
    /// Sign addresses, forms and cookies for people and browsers without AWS credentials.
    #[command(subcommand)]
    Presign(presign::Presign),
    /// End jobs without a result: stops their tasks, deletes their messages, and never tries them again.
    Cancel(steer::Cancel),
    /// Run a dead or cancelled job anew, as its next generation.
    Retry(steer::Retry),
    /// Stop launching, in the environment, of a queue or of a tenant; running tasks go on.
    Pause(steer::Pause),
    /// Launch again what `pause` and `drain` hold back.
    Resume(steer::Resume),
    /// Give back all that is not launched and receive nothing; running tasks go on.
    Drain(steer::Drain),
    /// List, show, check, put or delete profiles: ladders beside those of the program.
    #[command(subcommand)]
    Profile(steer::Profiles),
    /// Show the settings in force, and change those that may change while the controller runs.
    #[command(subcommand)]
    Settings(steer::SettingsCommand),
    /// Print what would be done next, or made of an object, and change nothing.
    Plan(steer::Plan),
    /// List, show, redrive or discard dead letters.
    #[command(subcommand)]
    DeadLetters(letters::DeadLetters),
    /// The same as `dead-letters redrive`.
    Redrive(letters::Redrive),
    /// Serve a page on this machine alone, with jobs, a player, dead letters and buttons, until Ctrl-C.
    Console(serve::Console),
    /// Check the live environment and say what to repair: exit status 0, 1 (something failed), 3 (something is
    /// unknown).
    Doctor(check::Doctor),
    /// Print the CloudWatch dashboard of this environment, or put it.
    Dashboard(check::Dashboard),
}

impl Remote {
    async fn run(self, session: Session) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(what) => what.run(&session).await?,
            Self::Get(what) => what.run(&session).await?,
            Self::Explain(what) => what.run(&session).await?,
            Self::Watch(what) => what.run(&session).await?,
            Self::Wait(what) => return what.run(&session).await,
            Self::Logs(what) => what.run(&session).await?,
            Self::Events(what) => what.run(&session).await?,
            Self::Submit(what) => return what.run(&in_force(session).await?).await,
            Self::Presign(what) => what.run(&session).await?,
            Self::Cancel(what) => what.run(&in_force(session).await?).await?,
            Self::Retry(what) => what.run(&in_force(session).await?).await?,
            Self::Pause(what) => what.run(&in_force(session).await?).await?,
            Self::Resume(what) => what.run(&session).await?,
            Self::Drain(what) => what.run(&session).await?,
            Self::Profile(what) => what.run(&in_force(session).await?).await?,
            Self::Settings(what) => what.run(&session).await?,
            Self::Plan(what) => what.run(&in_force(session).await?).await?,
            Self::DeadLetters(what) => what.run(&in_force(session).await?).await?,
            Self::Redrive(what) => what.run(&in_force(session).await?).await?,
            Self::Console(what) => what.run(session).await?,
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
            let said = format!("{error:#}");
            let more = advice(&said).map(|advice| format!("; {advice}")).unwrap_or_default();
            complain(&format!("{said}{more}"));
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
        Command::Completions(what) => what.run(Cli::command())?,
        Command::Man(what) => what.run(Cli::command())?,
        Command::Remote(what) => return within(options, async |session| Box::pin(what.run(session)).await),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
