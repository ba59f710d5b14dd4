//! Consecutive failed calls for a job or a message: their purpose, their number, and the last error.

use std::fmt;

use crate::{
    policy::Policy,
    protocol::{
        action::Action,
        clock::{Ms, Now},
        fact::CallError,
        via::Via,
    },
    weakness::{Weakness, weak},
};

/// The purpose of a call for a job or a message, in the order of a job's steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Reading the job's documents in the state bucket.
    Read,
    /// Claiming an attempt.
    Claim,
    /// Writing the terminal record of a job that is given up.
    GiveUp,
    /// Publishing the result.
    Publish,
    /// Writing the job's end into the index.
    Index,
    /// Sending the event of the job's end to the bus.
    Announce,
    /// Putting that event into the outbox.
    PutAside,
    /// Emptying the folders of attempts that did not win.
    Collect,
    /// Sending the dead letter.
    Letter,
    /// Deleting the message.
    Delete,
}

impl Purpose {
    /// The purpose of an action; `None` if its failure delays no job: extending, giving back, and calls to ECS.
    pub fn of(action: &Action) -> Option<Self> {
        Some(match action {
            Action::Inspect { .. } | Action::ReadSpec { .. } => Self::Read,
            Action::Claim { .. } => Self::Claim,
            Action::GiveUp { .. } => Self::GiveUp,
            Action::Publish { .. } => Self::Publish,
            Action::Index { .. } => Self::Index,
            Action::Announce { via: Via::Bus(_), .. } => Self::Announce,
            Action::Announce { via: Via::Outbox, .. } => Self::PutAside,
            Action::Collect { .. } => Self::Collect,
            Action::DeadLetter(_) => Self::Letter,
            Action::Delete { .. } => Self::Delete,
            Action::Receive { .. }
            | Action::Launch { .. }
            | Action::Describe { .. }
            | Action::Resync
            | Action::Survey
            | Action::Resolve
            | Action::Resend { .. }
            | Action::Stop { .. }
            | Action::Extend { .. }
            | Action::Release { .. } => return None,
        })
    }

    /// The begin of a note, as a phrase.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Read => "reading what the state bucket says of it",
            Self::Claim => "claiming an attempt",
            Self::GiveUp => "writing down that it is given up",
            Self::Publish => "publishing its result",
            Self::Index => "writing its end into the index",
            Self::Announce => "sending the event of its end to the bus",
            Self::PutAside => "putting the event of its end into the outbox",
            Self::Collect => "removing what attempts that did not win left behind",
            Self::Letter => "sending its dead letter",
            Self::Delete => "deleting its message",
        }
    }

    /// Name in notes and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Claim => "claim",
            Self::GiveUp => "give_up",
            Self::Publish => "publish",
            Self::Index => "index",
            Self::Announce => "announce",
            Self::PutAside => "put_aside",
            Self::Collect => "collect",
            Self::Letter => "dead_letter",
            Self::Delete => "delete",
        }
    }
}

/// Consecutive failed calls of one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Purpose of the last failed call.
    pub purpose: Purpose,
    /// The furthest step that failed and has not succeeded since.
    pub furthest: Purpose,
    /// Error of the last failed call.
    pub error: CallError,
    /// Number of consecutive failed calls, also of other purposes.
    pub times: usize,
    /// When the first of them failed (monotonic).
    pub since: Ms,
    /// From this time on (monotonic) an event that the bus does not take goes into the outbox.
    pub aside_at: Option<Ms>,
    /// No call before this (monotonic); 0: the same call has succeeded for another job, so it is repeated at once.
    pub retry_at: Ms,
}

impl Failing {
    /// Counts one more failed call. `live`: a task may be working, so its documents must be read often.
    pub(crate) fn more(
        before: Option<Self>,
        purpose: Purpose,
        error: CallError,
        live: bool,
        policy: &Policy,
        now: Now,
    ) -> Self {
        let aside_at = before.as_ref().and_then(|before| before.aside_at);
        let (times, since, furthest) = before.map_or((0, now.mono, purpose), |before| {
            (before.times, before.since, before.furthest.max(purpose))
        });
        let times = times + 1;
        let wait = if error.class.lasts() && !live {
            policy.refused_backoff(times)
        } else {
            policy.call_backoff(times)
        };
        Self { purpose, furthest, error, times, since, aside_at, retry_at: now.mono + wait }
    }

    /// Whether the failures last until somebody removes the cause.
    pub fn lasts(&self) -> bool {
        self.error.class.lasts()
    }

    /// Whether a successful call for `purpose` shows that the failures are over. A successful earlier step does not
    /// show that: the bucket may be readable and not writable.
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
