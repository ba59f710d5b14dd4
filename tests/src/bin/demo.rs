//! The program behind `make demo`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use transcode_tests::demo::{self, Options};

/// What a shell expects of a program that ended by signal n: 128 + n.
const BY_SIGNAL: u8 = 128;

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stderr, reason = "the demo's failures are for the person who started it")]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("demo: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo until it ends or a signal comes. Dropping it halfway ends its processes and removes its files.
async fn run(options: Options) -> Result<ExitCode> {
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::select! {
        result = demo::run(options) => result.map(|()| ExitCode::SUCCESS),
        _ = interrupt.recv() => Ok(ended_by(SignalKind::interrupt())),
        _ = terminate.recv() => Ok(ended_by(SignalKind::terminate())),
        _ = hangup.recv() => Ok(ended_by(SignalKind::hangup())),
    }
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("cannot listen for signals")
}

fn ended_by(kind: SignalKind) -> ExitCode {
    ExitCode::from(BY_SIGNAL.saturating_add(u8::try_from(kind.as_raw_value()).unwrap_or_default()))
}
