//! The command line: one job of the pipeline, one file without AWS, or a question about this host.

mod alone;
mod screen;

use std::{io::Write, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use transcode_config::{
    contract::{
        Attempt, ENV_ATTEMPT, ENV_ENVIRONMENT, ENV_JOB, ENV_METRICS_NAMESPACE, ENV_OTLP_ENDPOINT,
        ENV_STATE_BUCKET, ExitCode, JobKey,
    },
    escape::{Net, net},
};
use transcode_media::{
    process::{self, CheckOptions},
    sandbox::SandboxPolicy,
};

use crate::{
    aws::Clients,
    job::{self, Identity, Rhythm, Settings},
};

/// Time for threads after the end of a run; threads that hang in a system call are abandoned.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Most log lines that wait for standard output.
const WAITING_LINES: usize = 8192;
/// Longest fence, in seconds. The controller takes a silent attempt for lost after 180 s; one minute remains for work
/// in progress to end.
const LONGEST_FENCE: u64 = 120;

/// Turns one video into a verified streaming package.
///
/// Without options it is a task of the pipeline: job, attempt and state bucket come from the environment. With `--input`
/// and `--output` it works on files, without any AWS.
#[derive(Debug, Parser)]
#[command(name = "transcode-task", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    alone: AloneArgs,
    #[command(flatten)]
    task: TaskArgs,
    /// What to do where the kernel lacks a part of the sandbox.
    #[arg(long, env = "TRANSCODE_SANDBOX", value_enum, default_value = "prefer", global = true)]
    sandbox: SandboxPolicy,
    /// Print the table of exit codes (Markdown).
    #[arg(long)]
    print_exit_codes: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try to break out of the sandbox as a taken-over decoder would, and say what held.
    SandboxCheck(CheckOptions),
}

#[derive(Debug, Args)]
struct AloneArgs {
    /// Video to transcode.
    #[arg(long, requires = "output", value_name = "FILE")]
    input: Option<PathBuf>,
    /// Folder for the result; `master.m3u8` will be at its root.
    #[arg(long, requires = "input", value_name = "DIR")]
    output: Option<PathBuf>,
    /// Profile: the name of a built-in one, or a TOML file.
    #[arg(long, requires = "input", value_name = "NAME|FILE", default_value = "standard")]
    profile: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "As a task of the pipeline")]
struct TaskArgs {
    /// Job key.
    #[arg(long, env = ENV_JOB)]
    job: Option<JobKey>,
    /// Attempt number, from 1.
    #[arg(long, env = ENV_ATTEMPT, value_parser = attempt)]
    attempt: Option<Attempt>,
    /// State bucket.
    #[arg(long, env = ENV_STATE_BUCKET)]
    state_bucket: Option<String>,
    /// Name of the environment: the dimension of the metrics.
    #[arg(long, env = ENV_ENVIRONMENT, default_value = "default")]
    environment: String,
    /// `CloudWatch` namespace; without it no metrics are sent.
    #[arg(long, env = ENV_METRICS_NAMESPACE)]
    metrics_namespace: Option<String>,
    /// Base URL of a collector that takes OTLP over HTTP; without it no traces are sent.
    #[arg(long, env = ENV_OTLP_ENDPOINT)]
    otlp_endpoint: Option<String>,
    /// Seconds between heartbeats.
    #[arg(long, env = "TRANSCODE_HEARTBEAT_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=30))]
    heartbeat_seconds: u64,
    /// Seconds without a heartbeat after which the work stops.
    #[arg(long, env = "TRANSCODE_FENCE_SECONDS", default_value_t = LONGEST_FENCE, value_parser = clap::value_parser!(u64).range(2..=LONGEST_FENCE))]
    fence_seconds: u64,
}

fn attempt(text: &str) -> Result<Attempt, String> {
    text.parse().ok().and_then(Attempt::new).ok_or_else(|| "an attempt is a number from 1".to_owned())
}

/// Reads the command line and runs it.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.print_exit_codes {
        return print(&exit_code_table());
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("no runtime: {error}"));
            return ExitCode::Internal;
        }
    };
    let exit = match (cli.command, cli.alone.input, cli.alone.output) {
        (Some(Command::SandboxCheck(mut options)), ..) => {
            options.policy = cli.sandbox;
            runtime.block_on(process::check(options))
        }
        (None, Some(input), Some(output)) => {
            let request = alone::Request { input, output, profile: cli.alone.profile, sandbox: cli.sandbox };
            log_for_people();
            runtime.block_on(alone::run(request))
        }
        _ => task(&runtime, cli.task, cli.sandbox),
    };
    runtime.shutdown_timeout(SHUTDOWN);
    exit
}

fn task(runtime: &tokio::runtime::Runtime, args: TaskArgs, sandbox: SandboxPolicy) -> ExitCode {
    let (Some(job), Some(attempt), Some(bucket)) = (args.job, args.attempt, args.state_bucket) else {
        complain(&format!(
            "set {ENV_JOB}, {ENV_ATTEMPT} and {ENV_STATE_BUCKET}, or give --input and --output"
        ));
        return ExitCode::Usage;
    };
    if args.fence_seconds < 2 * args.heartbeat_seconds {
        complain("the fence must be at least twice the time between heartbeats");
        return ExitCode::Usage;
    }
    let _writer = log_for_machines();
    let settings = Settings {
        me: Identity { job, attempt },
        environment: args.environment,
        namespace: args.metrics_namespace,
        otlp_endpoint: args.otlp_endpoint,
        rhythm: Rhythm {
            beat: Duration::from_secs(args.heartbeat_seconds),
            fence: Duration::from_secs(args.fence_seconds),
        },
        sandbox,
    };
    runtime.block_on(async {
        let clients = Clients::connect(bucket).await;
        Box::pin(job::run(settings, clients)).await
    })
}

/// One JSON object a line, for `CloudWatch` Logs. The SDK's own lines are left out below "warn": they may hold
/// requests. While standard output is blocked, lines wait up to a limit and are lost beyond it; the work goes on.
/// Dropping the guard waits up to a second for the last of them.
fn log_for_machines() -> WorkerGuard {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("warn,transcode_task=info,transcode_media=info"));
    let lines = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING_LINES);
    let (lines, writer) = lines.finish(Net(std::io::stdout()));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(lines)
        .init();
    writer
}

/// Warnings only, beside the progress bar.
fn log_for_people() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Net(std::io::stderr()))
        .with_ansi(false)
        .without_time()
        .init();
}

/// The exit codes as Markdown, made from the contract.
fn exit_code_table() -> String {
    let rows = ExitCode::ALL.map(|exit| format!("| {} | {} |\n", exit.code(), exit.meaning()));
    format!("| exit code | meaning |\n|---|---|\n{}", rows.concat())
}

/// Writes to standard output. A reader that went away is no failure.
fn print(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    out.write_all(net(text).as_bytes()).and_then(|()| out.flush()).ok();
    ExitCode::Succeeded
}

/// Writes one line to standard error.
fn complain(text: &str) {
    writeln!(std::io::stderr(), "transcode-task: {}", net(text)).ok();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_table_has_each_exit_code() {
        let table = exit_code_table();
        assert_eq!(table.lines().count(), 2 + ExitCode::ALL.len());
        assert!(table.contains("| 12 | nothing to do"));
    }
}
