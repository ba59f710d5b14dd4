//! The sandbox of this host: the layers that its kernel has.

use std::collections::BTreeSet;

use transcode_config::contract::{Failure, FailureCode};

use super::{
    enter, loader,
    policy::{Layer, SandboxLevel, SandboxPolicy},
    seccomp,
};

/// The sandbox of this host.
#[derive(Debug, Clone)]
pub struct Sandbox {
    pub(super) level: SandboxLevel,
    without: BTreeSet<Layer>,
    pub(super) filters: Option<seccomp::Compiled>,
}

impl Sandbox {
    /// Finds the layers that the kernel has. Fails if the policy requires more.
    pub fn new(policy: SandboxPolicy) -> Result<Self, Failure> {
        Self::without(policy, BTreeSet::new())
    }

    /// The same with layers left out. For tests and for the canary of a test; nothing else may call it.
    #[doc(hidden)]
    pub fn without(policy: SandboxPolicy, without: BTreeSet<Layer>) -> Result<Self, Failure> {
        let landlock = if without.contains(&Layer::Landlock) { None } else { enter::landlock_version() };
        let seccomp = !without.contains(&Layer::Seccomp) && enter::seccomp_is_there();
        // A watch alone is of no use: the calls that it does not ask about would be open.
        let loader = seccomp && !without.contains(&Layer::Loader) && loader::is_there();
        let level = SandboxLevel { landlock, seccomp, loader };
        if policy == SandboxPolicy::Require && !level.is_full() {
            return Err(Failure::new(
                FailureCode::SandboxUnavailable,
                format!("the policy requires the full sandbox, but this host gives: {level}"),
            )
            .with("level", level));
        }
        let filters = seccomp.then(seccomp::Compiled::new).transpose().map_err(|error| {
            Failure::new(FailureCode::SandboxUnavailable, "the seccomp filters do not compile here")
                .with("error", error)
        })?;
        Ok(Self { level, without, filters })
    }

    /// The layers of the sandbox.
    pub fn level(&self) -> SandboxLevel {
        self.level
    }

    pub(super) fn has(&self, layer: Layer) -> bool {
        !self.without.contains(&layer)
    }
}

/// Closes the task's own process to others of the same user, makes it inherit orphans, and forbids core files. `main`
/// calls it first, because a process with credentials must never be readable.
pub fn harden_parent() -> std::io::Result<()> {
    enter::harden()
}
