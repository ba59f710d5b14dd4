//! The program behind `make dashboard-picture`.

use std::process::ExitCode;

use clap::Parser;
use transcode_tests::picture::{self, Options};

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stderr, reason = "what it does is for the person who started it")]
async fn main() -> ExitCode {
    match picture::run(&Options::parse(), |line| eprintln!("picture: {line}")).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("picture: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}
