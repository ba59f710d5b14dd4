//! The layers of the sandbox, and the policy for a host that lacks one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The policy for a kernel that lacks a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SandboxPolicy {
    /// Start nothing.
    Require,
    /// Run with the layers that exist, and report them.
    #[default]
    Prefer,
}

/// The layers of the sandbox on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SandboxLevel {
    /// Version of Landlock's interface; absent where the kernel has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landlock: Option<u32>,
    /// Whether seccomp filters are installed.
    pub seccomp: bool,
    /// Whether the calls of a program's loader are watched, so that it alone maps code.
    #[serde(default)]
    pub loader: bool,
}

impl SandboxLevel {
    /// Whether all layers are there.
    pub fn is_full(self) -> bool {
        self.landlock.is_some() && self.seccomp && self.loader
    }
}

impl fmt::Display for SandboxLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.landlock {
            Some(version) => write!(f, "landlock {version}")?,
            None => f.write_str("no landlock")?,
        }
        f.write_str(if self.seccomp { ", seccomp" } else { ", no seccomp" })?;
        f.write_str(if self.loader { ", loader watched" } else { ", loader not watched" })
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
    /// Code is mapped by the program's loader only.
    Loader,
}
