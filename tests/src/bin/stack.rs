//! The program behind `make up` and `make down`.

use std::process::ExitCode;

use clap::Parser;
use transcode_tests::standing::{self, Options};

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stderr, reason = "failures are for the person who started it")]
async fn main() -> ExitCode {
    match standing::run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stack: FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}
