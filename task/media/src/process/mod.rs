//! The one place that starts ffmpeg and ffprobe.
//!
//! A [`Tools`] knows where the two programs are and what the sandbox of this host can do. [`Tools::run`] starts one of
//! them, passes its standard output on line by line, and ends it when it makes no progress, runs too long, writes too
//! much, or when the job is stopped. Whatever happens, every process that descends from it is dead and reaped before
//! `run` returns, and a failure carries the stable code that belongs to it:
//!
//! | what happened | code |
//! |---|---|
//! | exit status other than 0 | `ENCODE_FAILED` |
//! | the same, and the last lines say that the disk is full | `DISK_FULL` |
//! | the same, and they say that no memory was given: [`Limits::memory_bytes`] | `MEMORY_LIMIT` |
//! | a `SIGKILL` from the kernel: the container's memory ran out | `OUT_OF_MEMORY` |
//! | a signal | `ENCODER_CRASHED` |
//! | `SIGSYS`: seccomp killed it; or a folder that cannot be looked into | `SANDBOX_VIOLATION` |
//! | no progress for [`Limits::stall`] | `ENCODER_STALLED` |
//! | [`Limits::wall`] or [`Limits::cpu_seconds`] used up | `RUN_TIME_EXCEEDED` |
//! | a file, the folder or standard output too large | `OUTPUT_TOO_LARGE` |
//! | the stop token | `INTERRUPTED` |
//! | the policy requires a sandbox that is not there | `SANDBOX_UNAVAILABLE` |

mod call;
mod failure;
mod flags;
mod run;
mod sandbox_check;
mod tail;
mod tools;
mod watch;

pub use self::{
    call::{Damage, Finished, Invocation, Limits, Tool, words},
    flags::{
        ACCEPTED_FORMATS, MAX_OVERLAY_PIXELS, MAX_PIXELS, PROBE_BYTES, PROBE_SECONDS, input_flags, local,
        overlay_flags,
    },
    sandbox_check::{CheckOptions, check},
    tools::{ENV_FFMPEG, ENV_FFPROBE, Tools},
};
