//! The task's program. See `transcode-task --help`.

use std::process::ExitCode;

use transcode_media::sandbox;
use transcode_task::cli;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // `sandbox-check` runs this program in the place of ffmpeg.
    if arguments.next().is_some_and(|first| first == sandbox::CANARY) {
        return sandbox::canary_main(arguments);
    }
    // Before anything else: after this no process of the same user can read this one's memory or environment.
    if sandbox::harden_parent().is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::from(cli::main().code())
}
