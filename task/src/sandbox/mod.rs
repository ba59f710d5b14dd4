//! The sandbox round every run of ffmpeg and ffprobe.
//!
//! Decoders of some hundred formats, written in C, meet files from strangers here. The assumption is that one day such a
//! file takes over the process that reads it. Then that process must not reach the credentials of the task, the network,
//! other files, or more memory, time and disk than it was given.
//!
//! # What is put round a run, in this order
//!
//! 1. [`harden_parent`]: the task itself is not dumpable, so `/proc/<task>/environ`, its memory and `ptrace` are closed to
//!    processes of the same user.
//! 2. An environment of three harmless variables, no descriptors but the three standard ones, a session and process
//!    group of its own, `SIGKILL` when the task dies, no capabilities, limits ([`Layer::Limits`]), no new privileges.
//! 3. Landlock where the kernel has it (`files`).
//! 4. seccomp (`seccomp`): an allow-list, everything else kills.
//! 5. The watchdogs of [`crate::process`], and the end of the whole group (`spawn`).
//!
//! # Why there is no helper program in between
//!
//! The layers are put on between fork and exec, in the child (`enter`). Rulesets, filters, argument vector and
//! environment are prepared before the fork; what is left for the child are system calls on prepared memory, which is
//! all that may be done after a fork in a program with threads. A helper that is executed first could allocate, but it
//! would have to be found, it would be one more exec for each run, and each program that uses this library, tests
//! included, would need to be able to play its part.
//!
//! # The two policies
//!
//! `require` starts nothing, and so opens no input, unless Landlock and seccomp are both there. `prefer` takes what the kernel has and
//! says so: the [`SandboxLevel`] goes into the log and the result. Fargate's kernel probably has no Landlock; what is then not
//! covered is written in `SECURITY.md`.

mod calls;
mod canary;
mod check;
mod enter;
mod files;
mod probes;
mod seccomp;
mod spawn;

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use transcode_config::contract::{Failure, FailureCode};

pub(crate) use self::spawn::{Ended, Program, Rlimits, Running};
pub use self::{
    calls::allowed_calls,
    canary::{CANARY, canary_main},
    check::{CheckOptions, check},
};

/// What to do where the kernel lacks a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum SandboxPolicy {
    /// Start nothing.
    Require,
    /// Go on with what there is, and report it.
    #[default]
    Prefer,
}

/// What the sandbox consists of on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxLevel {
    /// Version of Landlock's interface; absent where the kernel has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landlock: Option<u32>,
    /// Whether seccomp filters are installed.
    pub seccomp: bool,
}

impl SandboxLevel {
    /// Whether nothing is missing.
    pub fn is_full(self) -> bool {
        self.landlock.is_some() && self.seccomp
    }
}

impl fmt::Display for SandboxLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landlock {
            Some(version) => write!(f, "landlock {version}")?,
            None => f.write_str("no landlock")?,
        }
        f.write_str(if self.seccomp { ", seccomp" } else { ", no seccomp" })
    }
}

/// A part of the sandbox that tests can leave out, to see that its absence is noticed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The task's own process is closed to others.
    Dumpable,
    /// The environment is cleared.
    Environment,
    /// Descriptors are closed.
    Descriptors,
    /// A session and process group of its own, and its end as a whole.
    Group,
    /// Address space, processor time, file size, number of files and threads, no core file.
    Limits,
    /// Capabilities are dropped.
    Capabilities,
    /// Files.
    Landlock,
    /// System calls.
    Seccomp,
}

/// The sandbox of this host.
#[derive(Debug, Clone)]
pub struct Sandbox {
    level: SandboxLevel,
    without: BTreeSet<Layer>,
    filters: Option<seccomp::Filters>,
}

impl Sandbox {
    /// Finds out what the kernel has, and refuses if the policy asks for more.
    pub fn new(policy: SandboxPolicy) -> Result<Self, Failure> {
        Self::without(policy, BTreeSet::new())
    }

    /// The same with layers left out. For tests and for the canary of a test; nothing else may call it.
    #[doc(hidden)]
    pub fn without(policy: SandboxPolicy, without: BTreeSet<Layer>) -> Result<Self, Failure> {
        let landlock = if without.contains(&Layer::Landlock) { None } else { enter::landlock_version() };
        let seccomp = !without.contains(&Layer::Seccomp) && enter::seccomp_is_there();
        let level = SandboxLevel { landlock, seccomp };
        if policy == SandboxPolicy::Require && !level.is_full() {
            return Err(Failure::new(
                FailureCode::SandboxUnavailable,
                format!("the policy requires the full sandbox, but this host gives: {level}"),
            )
            .with("level", level));
        }
        let filters = seccomp.then(seccomp::filters).transpose().map_err(|error| {
            Failure::new(FailureCode::SandboxUnavailable, "the seccomp filters do not compile here")
                .with("error", error)
        })?;
        Ok(Self { level, without, filters })
    }

    /// What the sandbox consists of.
    pub fn level(&self) -> SandboxLevel {
        self.level
    }

    fn has(&self, layer: Layer) -> bool {
        !self.without.contains(&layer)
    }
}

/// Closes the task's own process to others of the same user, makes it the one that inherits orphans, and lets it leave
/// no core file. The first thing that `main` does: what holds credentials must not be readable for a moment.
pub fn harden_parent() -> std::io::Result<()> {
    enter::harden()
}
