//! The task's exit codes. An exit code is a hint for people and for the case that the last heartbeat could not be
//! written; the terminal record and the heartbeat outrank it (S12).

/// The exit code of the task process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// The terminal record says succeeded, and this attempt wrote it.
    Succeeded = 0,
    /// A fault of the program itself.
    Internal = 1,
    /// Wrong command line or environment.
    Usage = 2,
    /// The input is refused; a retry cannot help.
    InputRefused = 10,
    /// The job or the deployment is configured wrongly; an operator must act.
    Misconfigured = 11,
    /// Nothing to do: the job is decided, a newer attempt exists, or the launch came too late (S8).
    Superseded = 12,
    /// Stopped from outside.
    Interrupted = 13,
    /// Memory, disk or time ran out.
    ResourceExhausted = 14,
    /// A service did not answer for longer than the task may wait.
    Unavailable = 15,
    /// Transcoding or verification failed.
    TranscodeFailed = 16,
}

impl ExitCode {
    /// Every exit code, for the generated table.
    pub const ALL: [Self; 10] = [
        Self::Succeeded,
        Self::Internal,
        Self::Usage,
        Self::InputRefused,
        Self::Misconfigured,
        Self::Superseded,
        Self::Interrupted,
        Self::ResourceExhausted,
        Self::Unavailable,
        Self::TranscodeFailed,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The exit code for a number, where there is one.
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| i32::from(exit.code()) == code)
    }

    /// One line for the generated table.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded: this attempt wrote the terminal record",
            Self::Internal => "a fault of the program itself",
            Self::Usage => "wrong command line or environment",
            Self::InputRefused => "the input is refused; a retry cannot help",
            Self::Misconfigured => "the job or the deployment is configured wrongly",
            Self::Superseded => {
                "nothing to do: decided already, a newer attempt exists, or launched too late"
            }
            Self::Interrupted => "stopped from outside (SIGTERM, Spot)",
            Self::ResourceExhausted => "memory, disk or time ran out",
            Self::Unavailable => "a service did not answer for longer than the task may wait",
            Self::TranscodeFailed => "transcoding or verification failed",
        }
    }
}
