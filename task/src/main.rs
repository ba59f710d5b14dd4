//! The task's program. See `transcode-task --help`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use transcode_media::sandbox;
use transcode_task::cli;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    // `sandbox-check` runs this program in the place of ffmpeg.
    if arguments.next().is_some_and(|first| first == sandbox::CANARY) {
        return sandbox::canary_main(arguments);
    }
    // Before anything else: after this no process of the same user can read this one's memory or environment.
    if let Err(error) = sandbox::harden_parent() {
        let why = "the kernel refuses to protect this process (PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER)";
        drop(writeln!(
            io::stderr(),
            "transcode-task: {why}: {error}; use a Linux kernel, not an emulation of one"
        ));
        return ExitCode::FAILURE;
    }
    ExitCode::from(cli::main().code())
}
