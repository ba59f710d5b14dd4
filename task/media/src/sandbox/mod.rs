//! The sandbox around every run of ffmpeg and ffprobe.
//!
//! Decoders of some hundred formats, written in C, read files from strangers here. The assumption is that one day
//! such a file takes over the process that reads it. That process must then not reach the task's credentials, the
//! network, other files, or more memory, time and disk than its limits.
//!
//! # The layers around a run, in this order
//!
//! 1. [`harden_parent`]: the task itself is not dumpable, so `/proc/<task>/environ`, its memory and `ptrace` are closed to
//!    processes of the same user.
//! 2. An environment of four harmless variables, no descriptors but the three standard ones, a session and process
//!    group of its own, `SIGKILL` when the task dies, no capabilities, limits ([`Layer::Limits`]), no new privileges.
//! 3. Landlock where the kernel has it (`files`).
//! 4. seccomp (`seccomp`): an allow-list, everything else kills.
//! 5. The watch over the loader of a program that is linked dynamically (`loader`): nobody else maps code.
//! 6. The watchdogs of [`crate::process`], and the end of the whole group (`spawn`).
//!
//! # Why there is no helper program in between
//!
//! The child applies the layers to itself between fork and exec (`enter`). Rulesets, filters, argument vector and
//! environment are prepared before the fork; the child only makes system calls on prepared memory, and nothing else
//! is allowed after a fork in a program with threads. A helper that is executed first could allocate, but it would
//! have to be found, it would be one more exec for each run, and each program that uses this library, tests included,
//! would need a mode that plays its part.
//!
//! # The two policies
//!
//! `require` starts nothing, and so opens no input, unless Landlock, seccomp and the watch are there. `prefer` uses the
//! layers that the kernel has and reports them: the [`SandboxLevel`] is part of the log and the result. Fargate's
//! kernel probably has no Landlock; `SECURITY.md` says what is then not covered.

mod calls;
pub(crate) mod canary;
pub(crate) mod enter;
mod files;
mod host;
mod limits;
mod linked;
mod loader;
mod policy;
pub(crate) mod probes;
mod seccomp;
mod spawn;
pub(crate) mod stub;

pub use self::{
    calls::allowed_calls,
    canary::{CANARY, canary_main},
    host::{Sandbox, harden_parent},
    linked::Linked,
    policy::{Layer, SandboxLevel, SandboxPolicy},
};
pub(crate) use self::{
    limits::Rlimits,
    spawn::{Ended, Program, Running},
};
