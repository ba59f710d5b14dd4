//! A job as this controller sees it. All of it can be rebuilt by looking.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use transcode_config::contract::{Attempt, Claim, Heartbeat, JobKey, JobSpec, Outcome, Terminal};

use crate::{
    message::Request,
    policy::Policy,
    protocol::{clock::Ms, fact::MessageId, task_view::TaskArn},
    state::{agenda::Rank, note::Note},
};

/// A reading of the state bucket older than this is renewed before an attempt is claimed, a job is given up, or a task
/// is stopped for its silence.
const FRESH: Ms = 30_000;

/// What is known of the terminal record.
#[derive(Debug, Clone, PartialEq)]
pub enum TerminalRecord {
    /// Not read yet.
    Unknown,
    /// It was absent when read. The time is from before the read began.
    Absent(Ms),
    /// The job is decided.
    Decided(Arc<Terminal>),
}

/// For which source a job is that is named by an idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub enum Binding {
    /// Nobody has looked.
    Unknown,
    /// For the one that is asked for here.
    Own,
    /// For another one: this is its specification.
    Other(Arc<JobSpec>),
}

/// The newest attempt.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct AttemptState {
    pub claim: Arc<Claim>,
    /// When, on the monotonic clock, its launch deadline and the skew margin have passed.
    pub expires_at: Ms,
    /// RunTask was refused for good under its token, when (monotonic) and why: it is over without having begun.
    pub refused: Option<(Ms, String)>,
    /// RunTask is not sent before this.
    pub launch_retry_at: Ms,
    /// Refused or failed RunTask calls in a row.
    pub launch_failures: usize,
    /// Its newest heartbeat.
    pub heartbeat: Option<Heartbeat>,
    /// When that was first seen (monotonic), or when the attempt became known.
    pub heartbeat_at: Ms,
    /// When its stage or its percentage was first seen to be what it is (monotonic).
    pub progress_at: Ms,
    /// When the attempt became known (monotonic): its claim was there by then.
    pub known_at: Ms,
    /// Attempts before it that ended without ECS' word, by their heartbeats: should one of them have come up after
    /// all, that shows.
    pub earlier: BTreeMap<Attempt, Earlier>,
    /// Its end has been told to the breaker.
    pub told: bool,
}

/// An attempt that is held to be over, and its last sign of life.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// Its newest heartbeat.
    pub heartbeat: Heartbeat,
    /// When that was first seen (monotonic).
    pub seen_at: Ms,
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is known of itself")]
pub struct Job {
    /// What a message asks for; none while the job is known by its task alone.
    pub request: Option<Request>,
    /// Whose it is: a number of [`crate::state::tenants::Tenants`]; 0 where no source has tenants, and while nothing is
    /// known of it but its task.
    pub tenant: u32,
    /// Messages that ask for it.
    pub leases: BTreeSet<MessageId>,
    /// When the first of them was sent (ms since 1970), where SQS says.
    pub asked_at_ms: Option<u64>,
    /// When it became known (monotonic). Older jobs are launched first.
    pub since: Ms,
    /// The terminal record.
    pub record: TerminalRecord,
    /// When the terminal record was found decided (monotonic).
    pub decided_at: Ms,
    /// For which source it is, if it is named by an idempotency key.
    pub binding: Binding,
    /// The newest attempt; none before the first.
    pub attempt: Option<AttemptState>,
    /// Its tasks that ECS knew of, of any attempt.
    pub tasks: BTreeMap<TaskArn, Attempt>,
    /// Its messages are put back because too many wait: it is not begun here.
    pub put_back: bool,
    /// Its last message was deleted once it was decided, and that was told.
    pub settled: bool,
    /// Its entry points are in place, or a newer job's are.
    pub published: bool,
    /// The newer job whose entry points are in place instead (S17).
    pub superseded_by: Option<JobKey>,
    /// What its losers left behind is gone.
    pub collected: bool,
    /// A document of it cannot be read by this version: it is left alone (S15). Says what was found.
    pub unreadable: Option<String>,
    /// A call for it is under way, since when.
    pub call: Option<Ms>,
    /// That call claims an attempt of so many CPU units, or looks it up for that: the job holds its slot already.
    pub claiming: Option<u32>,
    /// No call before this.
    pub retry_at: Ms,
    /// Failed calls in a row.
    pub failures: usize,
    /// Look again not later than this.
    pub inspect_at: Ms,
    /// Why it waits, as of the last look at it.
    pub note: Option<Note>,
}

impl Job {
    /// A job of which nothing has been read yet.
    pub fn new(request: Option<Request>, now: Ms) -> Self {
        Self {
            request,
            tenant: 0,
            leases: BTreeSet::new(),
            asked_at_ms: None,
            since: now,
            record: TerminalRecord::Unknown,
            decided_at: 0,
            binding: Binding::Unknown,
            attempt: None,
            tasks: BTreeMap::new(),
            put_back: false,
            settled: false,
            published: false,
            superseded_by: None,
            collected: false,
            unreadable: None,
            call: None,
            claiming: None,
            retry_at: 0,
            failures: 0,
            inspect_at: now,
            note: None,
        }
    }

    /// Whether a call may be made for it now.
    pub fn free(&self, now: Ms) -> bool {
        self.call.is_none() && self.retry_at <= now && self.unreadable.is_none()
    }

    /// Whether it has begun under an idempotency key, and nobody has looked yet for which source. Not before it has: who
    /// claims it first decides.
    pub fn unbound(&self) -> bool {
        let named = matches!(&self.request, Some(Request::Run(spec)) if spec.idempotency_key.is_some());
        named && self.binding == Binding::Unknown && (self.attempt.is_some() || self.terminal().is_some())
    }

    /// Where it stands among those that lack nothing but room: first come first served, in the line of its tenant. There it
    /// is the sending that counts, not the receiving: what was put back meanwhile comes before what was sent later.
    pub fn rank(&self) -> Rank {
        let sent = self.asked_at_ms.filter(|_| self.tenant != 0);
        Rank { line: self.tenant, since: sent.unwrap_or(self.since) }
    }

    /// The terminal record, once decided.
    pub fn terminal(&self) -> Option<&Arc<Terminal>> {
        match &self.record {
            TerminalRecord::Decided(terminal) => Some(terminal),
            TerminalRecord::Unknown | TerminalRecord::Absent(_) => None,
        }
    }

    /// Whether the terminal record says that an attempt is over: it won, or all were over when the job was given up.
    pub fn is_over(&self, attempt: Attempt) -> bool {
        self.terminal().is_some_and(|terminal| match &terminal.outcome {
            Outcome::Succeeded(winner) => winner.attempt == attempt,
            Outcome::Dead(_) => true,
        })
    }

    /// Whether its newest attempt has no known task and one may yet come up.
    pub fn may_come_up(&self, policy: &Policy, now: Ms) -> bool {
        self.terminal().is_none() && self.may_have_come_up(policy, now)
    }

    /// The same, whether or not the job is decided: a task that began before it was may be at work.
    pub fn may_have_come_up(&self, policy: &Policy, now: Ms) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| {
            let number = attempt.claim.attempt;
            attempt.refused.is_none()
                && now < attempt.expires_at + policy.heartbeat_stale
                && !self.tasks.values().any(|of| *of == number)
        })
    }

    /// From before when the newest reading of the state bucket is.
    pub fn read_at(&self) -> Option<Ms> {
        match self.record {
            TerminalRecord::Absent(at) => Some(at),
            TerminalRecord::Unknown | TerminalRecord::Decided(_) => None,
        }
    }

    /// Whether the state bucket was read lately enough to do what cannot be undone because of what it said.
    pub fn read_lately(&self, now: Ms) -> bool {
        self.read_at().is_some_and(|at| now <= at + FRESH)
    }
}
