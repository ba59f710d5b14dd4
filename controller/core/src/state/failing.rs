//! Calls for a job or a message that fail one after the other: what they are for, how often, and the words of the last.

use std::fmt;

use crate::{
    policy::Policy,
    protocol::{
        action::Action,
        clock::{Ms, Now},
        fact::CallError,
    },
    weakness::{Weakness, weak},
};

/// What a call for a job or a message is for. In the order in which a job comes to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Reading what the state bucket says of the job.
    Read,
    /// Claiming an attempt.
    Claim,
    /// Writing down that the job is given up.
    GiveUp,
    /// Publishing the result.
    Publish,
    /// Emptying the folders of attempts that did not win.
    Collect,
    /// Sending the dead letter.
    Letter,
    /// Deleting the message.
    Delete,
}

impl Purpose {
    /// That of an action; none where a failure of its call holds no job up: extending, giving back, and what ECS is asked.
    pub fn of(action: &Action) -> Option<Self> {
        Some(match action {
            Action::Inspect { .. } | Action::ReadSpec { .. } => Self::Read,
            Action::Claim { .. } => Self::Claim,
            Action::GiveUp { .. } => Self::GiveUp,
            Action::Publish { .. } => Self::Publish,
            Action::Collect { .. } => Self::Collect,
            Action::DeadLetter(_) => Self::Letter,
            Action::Delete { .. } => Self::Delete,
            Action::Receive { .. }
            | Action::Launch { .. }
            | Action::Describe { .. }
            | Action::Resync
            | Action::Resolve
            | Action::Stop { .. }
            | Action::Extend { .. }
            | Action::Release { .. } => return None,
        })
    }

    /// As a phrase that a note begins with.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Read => "reading what the state bucket says of it",
            Self::Claim => "claiming an attempt",
            Self::GiveUp => "writing down that it is given up",
            Self::Publish => "publishing its result",
            Self::Collect => "removing what attempts that did not win left behind",
            Self::Letter => "sending its dead letter",
            Self::Delete => "deleting its message",
        }
    }

    /// Name, as notes and logs have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Claim => "claim",
            Self::GiveUp => "give_up",
            Self::Publish => "publish",
            Self::Collect => "collect",
            Self::Letter => "dead_letter",
            Self::Delete => "delete",
        }
    }
}

/// Calls of one purpose that failed, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// What the last one was for.
    pub purpose: Purpose,
    /// The furthest step that failed and has not succeeded since.
    pub furthest: Purpose,
    /// How the last one failed.
    pub error: CallError,
    /// How many, in a row, with those of other purposes in between.
    pub times: usize,
    /// When the first one failed (monotonic).
    pub since: Ms,
    /// No other before this (monotonic); 0: it works for another job, so it is tried at once.
    pub retry_at: Ms,
}

impl Failing {
    /// One more call has failed. `live`: a task may be at work, so what is read of it must not be old.
    pub(crate) fn more(
        before: Option<Self>,
        purpose: Purpose,
        error: CallError,
        live: bool,
        policy: &Policy,
        now: Now,
    ) -> Self {
        let (times, since, furthest) = before.map_or((0, now.mono, purpose), |before| {
            (before.times, before.since, before.furthest.max(purpose))
        });
        let times = times + 1;
        let wait = if error.class.lasts() && !live {
            policy.refused_backoff(times)
        } else {
            policy.call_backoff(times)
        };
        Self { purpose, furthest, error, times, since, retry_at: now.mono + wait }
    }

    /// Whether it goes on until somebody mends the cause.
    pub fn lasts(&self) -> bool {
        self.error.class.lasts()
    }

    /// Whether a call for `purpose` that succeeded shows that it is over. An earlier step that works again shows nothing:
    /// the bucket may be read and not written.
    pub(crate) fn over(&self, purpose: Purpose) -> bool {
        self.furthest <= purpose || weak(Weakness::ForgetsRefusalAfterReading)
    }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { purpose, error, times, .. } = self;
        let calls = if *times == 1 { "call" } else { "calls" };
        write!(f, "{} fails ({times} {calls}): {error}", purpose.phrase())
    }
}
