//! Maps the end of a run to a stable failure code.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use transcode_config::contract::{Failure, FailureCode};

use super::{
    call::{Invocation, Tool},
    tail,
};
use crate::sandbox::Ended;

/// Why this program ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Stopped,
    Stalled,
    OutOfTime,
    FolderTooLarge { bytes: u64 },
    FolderClosed,
    TooTalkative { bytes: u64 },
}

/// Characters of standard error that go into the evidence.
const EVIDENCE: usize = 1900;

/// The failure of a run that we ended.
pub(super) fn ended_by_us(cause: Cause, call: &Invocation, stderr: &str) -> Failure {
    let name = call.tool.name();
    let limits = &call.limits;
    let failure = match cause {
        Cause::Stopped => {
            return Failure::new(FailureCode::Interrupted, format!("{name} was stopped with the job"));
        }
        Cause::Stalled => {
            Failure::new(FailureCode::EncoderStalled, format!("{name} made no progress any more"))
                .with("limit_seconds", limits.stall.as_secs_f64())
        }
        Cause::OutOfTime => Failure::new(FailureCode::RunTimeExceeded, format!("{name} ran too long"))
            .with("limit_seconds", limits.wall.as_secs_f64()),
        Cause::FolderTooLarge { bytes } => {
            Failure::new(FailureCode::OutputTooLarge, format!("{name} wrote more than it may"))
                .with("bytes", bytes)
                .with("limit_bytes", limits.output_bytes)
        }
        Cause::FolderClosed => Failure::new(
            FailureCode::SandboxViolation,
            format!("{name} made a folder that nobody can look into"),
        ),
        Cause::TooTalkative { bytes } => {
            Failure::new(FailureCode::OutputTooLarge, format!("{name} said more than it may"))
                .with("stdout_bytes", bytes)
                .with("limit_bytes", limits.stdout_bytes)
        }
    };
    with_stderr(failure, stderr)
}

/// The failure of a run that ended by itself, if it is one.
pub(super) fn ended_by_itself(ended: &Ended, call: &Invocation, stderr: &str) -> Result<(), Failure> {
    if ended.status.success() {
        return Ok(());
    }
    let failure = match ended.status.signal() {
        Some(signal) => killed(signal, ended, call),
        None => exited(ended.status, call.tool, stderr),
    };
    Err(with_stderr(failure, stderr))
}

fn killed(signal: i32, ended: &Ended, call: &Invocation) -> Failure {
    let name = call.tool.name();
    let all_time_used = ended.cpu + Duration::from_secs(1) >= Duration::from_secs(call.limits.cpu_seconds);
    let failure = match signal {
        libc::SIGSYS => Failure::new(
            FailureCode::SandboxViolation,
            format!("{name} made a system call that the sandbox forbids"),
        ),
        libc::SIGXCPU => out_of_processor_time(call),
        // The kernel sends SIGKILL after SIGXCPU.
        libc::SIGKILL if all_time_used => out_of_processor_time(call),
        // This program did not send it, and no other process may signal one in the sandbox: memory ran out.
        libc::SIGKILL => Failure::new(
            FailureCode::OutOfMemory,
            format!("the kernel killed {name}, most likely for its memory"),
        )
        .with("peak_memory_bytes", ended.peak_memory_bytes),
        libc::SIGXFSZ => Failure::new(FailureCode::OutputTooLarge, format!("{name} wrote too large a file"))
            .with("limit_bytes", call.limits.file_bytes),
        _ => Failure::new(FailureCode::EncoderCrashed, format!("{name} died of {}", signal_name(signal))),
    };
    failure.with("signal", signal_name(signal))
}

fn out_of_processor_time(call: &Invocation) -> Failure {
    Failure::new(FailureCode::RunTimeExceeded, format!("{} used up its processor time", call.tool.name()))
        .with("limit_cpu_seconds", call.limits.cpu_seconds)
}

/// ffmpeg's messages when it fails, with their codes. The words are the C library's. A file can make ffmpeg print
/// them (as a title, say), and then only changes the name of its own failure.
const SAID: [(&str, FailureCode, &str); 4] = [
    ("No space left on device", FailureCode::DiskFull, "the disk is full"),
    ("File too large", FailureCode::OutputTooLarge, "a file grew too large"),
    // The kernel grants more memory than it has, and kills when it is used. A refused request is beyond the limit of
    // the run.
    ("Cannot allocate memory", FailureCode::MemoryLimit, "it asked for more memory than a run may have"),
    // SIGXCPU, which ffmpeg catches.
    ("received signal 24", FailureCode::RunTimeExceeded, "the processor time is used up"),
];

fn exited(status: ExitStatus, tool: Tool, stderr: &str) -> Failure {
    let said = SAID.into_iter().find(|(words, _, _)| {
        stderr.lines().any(|line| line.trim_end().trim_end_matches('.').ends_with(words))
    });
    let failure = match said {
        Some((_, code, meaning)) => Failure::new(code, format!("{} failed: {meaning}", tool.name())),
        None => Failure::new(FailureCode::EncodeFailed, format!("{} failed", tool.name())),
    };
    failure.with("exit_status", status.code().unwrap_or(-1))
}

fn with_stderr(failure: Failure, stderr: &str) -> Failure {
    if stderr.trim().is_empty() { failure } else { failure.with("stderr", tail::last(stderr, EVIDENCE)) }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGTERM => "SIGTERM",
        libc::SIGSYS => "SIGSYS",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGPIPE => "SIGPIPE",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
