//! The command line.
//!
//! | command | calls |
//! |---|---|
//! | `run` | everything; it is the controller |
//! | `check-config` | nothing |
//! | `healthcheck` | the running controller |
//! | `presign` | nothing: a signature needs no call |
//! | `submit` | the state bucket, the source bucket's versions, the job queue |
//! | `get`, `explain` | the state bucket, the source bucket's versions, the running controller |
//! | `doctor` | everything that the controller asks, and the account's permissions, subnets and quotas |
//! | `redrive` | the dead-letter queue, the state bucket, the source bucket's versions, the job queue |
//! | `audit` | nothing: it reads logs |
//! | `dashboard print` | nothing |
//! | `dashboard put` | CloudWatch |
//!
//! Results go to standard output, errors to standard error. None of the commands but `healthcheck` needs a running
//! controller.

mod audit;
mod dashboard;
mod doctor;
mod edit;
mod explain;
mod get;
mod jobs;
mod live;
mod logs;
mod presign;
mod record;
mod redrive;
mod reload;
mod rules;
mod run;
mod session;
mod submit;
mod versions;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use transcode_config::{Settings, contract::JobKey, escape::net};

use self::session::{say, within};

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
        #[command(flatten)]
        config: Config,
    },
    /// Check a settings file and print the settings in effect.
    CheckConfig {
        /// Settings file.
        file: PathBuf,
    },
    /// Ask the running controller's /healthz; exit status 0 if it is healthy.
    Healthcheck {
        #[command(flatten)]
        config: Config,
    },
    /// Print a URL that lets somebody without AWS credentials upload or download one file.
    Presign {
        #[command(flatten)]
        config: Config,
        #[command(flatten)]
        what: presign::Presign,
    },
    /// Ask for an object of an allowed source to be transcoded, and print the job's key.
    Submit {
        #[command(flatten)]
        config: Config,
        #[command(flatten)]
        what: submit::Submit,
    },
    /// Show a job's record: specification, attempts, heartbeats, terminal record.
    Get {
        #[command(flatten)]
        config: Config,
        #[command(flatten)]
        what: get::Get,
    },
    /// Explain in a few sentences why a job waits, until when, and who can act.
    Explain {
        #[command(flatten)]
        config: Config,
        /// The job's key: 32 hexadecimal characters, as in the logs.
        job: JobKey,
    },
    /// Check the live environment and say what to repair: exit status 0, 1 (something failed), 3 (something is
    /// unknown).
    Doctor {
        #[command(flatten)]
        config: Config,
        #[command(flatten)]
        what: doctor::Doctor,
    },
    /// Move our dead letters back to their queue; each runs as a new generation of its job.
    Redrive {
        #[command(flatten)]
        config: Config,
        #[command(flatten)]
        what: redrive::Redrive,
    },
    /// Check controllers' logs against the job protocol's promises, and print how each message ended.
    Audit(audit::Audit),
    /// Print the CloudWatch dashboard of this environment, or put it.
    Dashboard {
        #[command(flatten)]
        config: Config,
        #[command(flatten)]
        what: dashboard::Dashboard,
    },
}

#[derive(Debug, clap::Args)]
struct Config {
    /// Settings file; see config/controller.toml for every key.
    #[arg(long = "config", value_name = "FILE")]
    file: PathBuf,
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run { config } => with(&config.file, |settings| run::run(settings, &config.file)),
        Command::Audit(what) => done(what.run().map(|()| ExitCode::SUCCESS)),
        Command::CheckConfig { file } => with(&file, |settings| say(&toml::to_string_pretty(&settings)?)),
        Command::Healthcheck { config } => with(&config.file, |settings| {
            let healthy = crate::observe::http::ask_health(settings.http.listen.parse()?)?;
            anyhow::ensure!(healthy, "the controller is not healthy");
            Ok(())
        }),
        Command::Presign { config, what } => {
            with(&config.file, |settings| within(settings, async |session| what.run(&session).await))
        }
        Command::Submit { config, what } => {
            with(&config.file, |settings| within(settings, async |session| what.run(&session).await))
        }
        Command::Get { config, what } => {
            with(&config.file, |settings| within(settings, async |session| what.run(&session).await))
        }
        Command::Explain { config, job } => with(&config.file, |settings| {
            within(settings, async |session| explain::run(&session, &job).await)
        }),
        Command::Doctor { config, what } => {
            with_status(&config.file, |settings| within(settings, async |session| what.run(session).await))
        }
        Command::Redrive { config, what } => {
            with(&config.file, |settings| within(settings, async |session| what.run(&session).await))
        }
        Command::Dashboard { config, what } => {
            with(&config.file, |settings| within(settings, async |session| what.run(&session).await))
        }
    }
}

fn with(file: &Path, act: impl FnOnce(Settings) -> anyhow::Result<()>) -> ExitCode {
    with_status(file, |settings| act(settings).map(|()| ExitCode::SUCCESS))
}

fn with_status(file: &Path, act: impl FnOnce(Settings) -> anyhow::Result<ExitCode>) -> ExitCode {
    let settings = match transcode_config::load(file) {
        Ok(settings) => settings,
        Err(error) => {
            complain(&format!("{}: settings refused\n{error}", file.display()));
            return ExitCode::from(EXIT_USAGE);
        }
    };
    done(act(settings))
}

fn done(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(status) => status,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard error, without a panic if it is closed.
fn complain(text: &str) {
    writeln!(std::io::stderr().lock(), "transcode-controller: {}", net(text)).ok();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The commands in a document, as a person would type them; the placeholders between `<` and `>` stay.
    fn commands(text: &str) -> Vec<Vec<String>> {
        let joined = text.replace("\\\n", " ");
        let lines = joined
            .lines()
            .filter_map(|line| line.trim_start_matches("$ ").strip_prefix("transcode-controller "));
        let words = |line: &str| {
            let typed =
                line.split(" | ").next().unwrap_or_default().replace("49426f3df8a6…", &"0".repeat(32));
            typed.split_whitespace().map(|word| word.trim_matches('"').to_owned()).collect()
        };
        lines.map(words).collect()
    }

    #[test]
    fn every_command_in_the_documents_can_be_typed_as_it_stands() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let documents = std::fs::read_dir(format!("{root}/docs")).unwrap().map(|entry| entry.unwrap().path());
        let documents = documents.chain([format!("{root}/README.md").into()]);
        let documents = documents.filter(|path: &PathBuf| path.extension().is_some_and(|kind| kind == "md"));
        let mut found = 0;
        for path in documents {
            for words in commands(&std::fs::read_to_string(&path).unwrap()) {
                found += 1;
                let all = std::iter::once("transcode-controller").chain(words.iter().map(String::as_str));
                let parsed = Cli::try_parse_from(all);
                assert!(parsed.is_ok(), "{}: {}: {}", path.display(), words.join(" "), parsed.unwrap_err());
            }
        }
        assert!(found > 8, "only {found} commands were found");
    }

    #[test]
    fn a_job_is_named_in_one_way() {
        let job = "0".repeat(32);
        let parses = |args: &[&str]| {
            let all = ["transcode-controller", "get", "--config", "f"].iter().chain(args);
            Cli::try_parse_from(all).is_ok()
        };
        assert!(parses(&["--job", &job, "--json"]) && parses(&["--key", "a", "--bucket", "b"]));
        assert!(!parses(&[]) && !parses(&["--job", &job, "--key", "a"]) && !parses(&["--job", "x"]));
    }
}
