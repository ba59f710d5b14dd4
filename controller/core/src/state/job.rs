//! A job as this controller knows it. All of it can be rebuilt from SQS, ECS and S3.

use std::{collections::BTreeMap, sync::Arc};

use transcode_config::contract::{Attempt, Beacon, Claim, Heartbeat, JobKey, JobSpec, Stage, Terminal};

use crate::{
    message::Request,
    policy::Policy,
    protocol::{action::Action, clock::Ms, fact::MessageId, task_view::TaskArn},
    state::{
        agenda::Rank,
        failing::{Failing, Purpose},
        few::Few,
        note::Note,
    },
};

/// A reading of the state bucket older than this (ms) is repeated before an attempt is claimed, a job is given up, or a
/// task is stopped for its silence.
const FRESH: Ms = 30_000;

/// State of the terminal record.
#[derive(Debug, Clone, PartialEq)]
pub enum TerminalRecord {
    /// Not read yet.
    Unknown,
    /// It was absent when read. The time (monotonic) is from before the read began.
    Absent(Ms),
    /// The job is decided.
    Decided(Arc<Terminal>),
}

/// The source to which the job of an idempotency key belongs.
#[derive(Debug, Clone, PartialEq)]
pub enum Binding {
    /// The specification was not read yet.
    Unknown,
    /// The source that is asked for here.
    Own,
    /// Another source, from this specification.
    Other(Arc<JobSpec>),
}

/// The newest attempt.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct AttemptState {
    pub claim: Arc<Claim>,
    /// When its launch deadline and the skew margin have passed (monotonic).
    pub expires_at: Ms,
    /// RunTask was refused for good under its token: when (monotonic) and why. The attempt is over and never began.
    pub refused: Option<(Ms, String)>,
    /// No RunTask before this (monotonic).
    pub launch_retry_at: Ms,
    /// Consecutive refused or failed RunTask calls.
    pub launch_failures: usize,
    /// Its newest heartbeat.
    pub heartbeat: Option<Heartbeat>,
    /// When that heartbeat was first seen, or its beacon was last seen written again, or the attempt became known
    /// (monotonic).
    pub heartbeat_at: Ms,
    /// Its beacon, as of the last listing; `None` where there was none.
    pub beacon: Option<Lit>,
    /// When its current stage or percentage was first seen (monotonic).
    pub progress_at: Ms,
    /// When the attempt became known (monotonic): its claim existed by then.
    pub known_at: Ms,
    /// Heartbeats of earlier attempts whose end ECS never confirmed. A new heartbeat shows that such an attempt is
    /// alive after all.
    pub earlier: BTreeMap<Attempt, Earlier>,
    /// Its end was reported to the breaker.
    pub told: bool,
}

/// A beacon as it was last listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lit {
    /// Another one each time the beacon is written.
    pub mark: u64,
    /// How far the task was.
    pub beacon: Beacon,
    /// When it was first seen so far (monotonic).
    pub changed_at: Ms,
}

impl AttemptState {
    /// How far its task is: stage and percentage, by the heartbeat or by the beacon, whichever is further.
    pub fn progress(&self) -> Option<(Stage, f32)> {
        let read = self.heartbeat.as_ref().map(|beat| (beat.stage, beat.percent));
        let listed = self.beacon.map(|lit| (lit.beacon.stage, f32::from(lit.beacon.percent)));
        match (read, listed) {
            (Some(read), Some(listed)) => Some(if listed > read { listed } else { read }),
            (read, listed) => read.or(listed),
        }
    }
}

/// An attempt that is considered over, and its last heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    /// Its newest heartbeat.
    pub heartbeat: Heartbeat,
    /// When that heartbeat was first seen (monotonic).
    pub seen_at: Ms,
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is known of itself")]
pub struct Job {
    /// The request of a message; `None` while only the job's task is known.
    pub request: Option<Request>,
    /// Its tenant: a number of [`crate::state::tenants::Tenants`]; 0 if no source has tenants, or while only the job's
    /// task is known.
    pub tenant: u32,
    /// Its specification was read for that: no message here tells whose it is.
    pub attributed: bool,
    /// Messages that ask for it.
    pub leases: Few<MessageId>,
    /// When the first of them was sent (ms since 1970), if SQS says so.
    pub asked_at_ms: Option<u64>,
    /// When the job became known (monotonic). Older jobs are launched first.
    pub since: Ms,
    /// The terminal record.
    pub record: TerminalRecord,
    /// When the terminal record was first read (monotonic).
    pub decided_at: Ms,
    /// The source to which its idempotency key belongs, if it has one.
    pub binding: Binding,
    /// Its specification, if this controller has created it. Otherwise whoever needs it reads it: another controller may
    /// have accepted the job at another time.
    pub accepted: Option<Arc<JobSpec>>,
    /// The newest attempt; `None` before the first.
    pub attempt: Option<AttemptState>,
    /// Its tasks, of any attempt, that ECS has named.
    pub tasks: Few<TaskArn, Attempt>,
    /// Its messages are put back because too many wait here: this controller does not begin the job.
    pub put_back: bool,
    /// Its last message was deleted after it was decided, and that was reported.
    pub settled: bool,
    /// Its entry points are in place, or those of a newer job are.
    pub published: bool,
    /// The index has the entry of its end.
    pub indexed: bool,
    /// The bus, or the outbox, has the event of its end.
    pub announced: bool,
    /// The newer job that is live instead (S17).
    pub superseded_by: Option<JobKey>,
    /// The leftovers of its losers are gone.
    pub collected: bool,
    /// This version cannot read one of its documents, for this reason: the job is left alone (S15).
    pub unreadable: Option<String>,
    /// A call for it is under way since then (monotonic).
    pub call: Option<Ms>,
    /// Purpose of the call under way, or of the last one.
    pub calls_for: Purpose,
    /// The call under way claims an attempt of this many CPU units, or reads the state for that claim: the job already
    /// holds its slot.
    pub claiming: Option<u32>,
    /// The step that fails.
    pub failing: Option<Box<Failing>>,
    /// The state bucket is read again not later than this (monotonic).
    pub inspect_at: Ms,
    /// An event said at this time (monotonic) that the terminal record had been written: readings before that are
    /// outdated.
    pub hinted_at: Ms,
    /// Why it waits, as of its last visit.
    pub note: Option<Note>,
}

impl Job {
    /// A job whose documents were not read yet.
    pub fn new(request: Option<Request>, now: Ms) -> Self {
        Self {
            request,
            tenant: 0,
            attributed: false,
            leases: Few::default(),
            asked_at_ms: None,
            since: now,
            record: TerminalRecord::Unknown,
            decided_at: 0,
            binding: Binding::Unknown,
            accepted: None,
            attempt: None,
            tasks: Few::default(),
            put_back: false,
            settled: false,
            published: false,
            indexed: false,
            announced: false,
            superseded_by: None,
            collected: false,
            unreadable: None,
            call: None,
            calls_for: Purpose::Read,
            claiming: None,
            failing: None,
            inspect_at: now,
            hinted_at: 0,
            note: None,
        }
    }

    /// The call that reads its documents, without the claim that is known here.
    pub fn inspection(&self, key: &JobKey) -> Action {
        let known = self.attempt.as_ref().map(|newest| Arc::clone(&newest.claim));
        Action::Inspect { job: key.clone(), known }
    }

    /// Whether a call may be made for it now.
    pub fn free(&self, now: Ms) -> bool {
        self.call.is_none() && self.retry_at() <= now && self.unreadable.is_none()
    }

    /// No call before this (monotonic).
    pub fn retry_at(&self) -> Ms {
        self.failing.as_ref().map_or(0, |failing| failing.retry_at)
    }

    /// Whether the job is past this step, whichever controller took it.
    pub fn passed(&self, step: Purpose) -> bool {
        match step {
            Purpose::Read => self.record != TerminalRecord::Unknown,
            Purpose::Claim | Purpose::GiveUp => self.terminal().is_some(),
            Purpose::Publish => self.published,
            Purpose::Index => self.indexed,
            Purpose::Announce | Purpose::PutAside => self.announced,
            Purpose::Collect => self.collected,
            Purpose::Letter | Purpose::Delete => false,
        }
    }

    /// Whether a task of the job may be working, as far as is known.
    pub fn may_work(&self) -> bool {
        self.terminal().is_none() && (self.attempt.is_some() || !self.tasks.is_empty())
    }

    /// Whether it has begun under an idempotency key and its specification was not read yet. Before the first attempt
    /// there is nothing to read: the first claim decides the source.
    pub fn unbound(&self) -> bool {
        let named = matches!(&self.request, Some(Request::Run(spec)) if spec.idempotency_key.is_some());
        named && self.binding == Binding::Unknown && (self.attempt.is_some() || self.terminal().is_some())
    }

    /// Its place among the jobs that lack only a free slot: first come, first served, in the line of its tenant. The
    /// time of sending counts, not that of receiving: a message that was put back meanwhile comes before those sent
    /// later.
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

    /// Whether the terminal record shows that an attempt is over: it won, or the job was given up and so all were over.
    pub fn is_over(&self, attempt: Attempt) -> bool {
        self.terminal().is_some_and(|terminal| terminal.outcome.ends(attempt))
    }

    /// Whether its newest attempt has no known task, and one may still start.
    pub fn may_come_up(&self, policy: &Policy, now: Ms) -> bool {
        self.terminal().is_none() && self.may_have_come_up(policy, now)
    }

    /// The same for a decided job too: a task that started before the decision may be working.
    pub fn may_have_come_up(&self, policy: &Policy, now: Ms) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| {
            let number = attempt.claim.attempt;
            attempt.refused.is_none()
                && now < attempt.expires_at + policy.heartbeat_stale
                && !self.tasks.values().any(|of| *of == number)
        })
    }

    /// The newest reading of the state bucket began not before this (monotonic); `None` if there was none, or if the
    /// job is decided.
    pub fn read_at(&self) -> Option<Ms> {
        match self.record {
            TerminalRecord::Absent(at) => Some(at),
            TerminalRecord::Unknown | TerminalRecord::Decided(_) => None,
        }
    }

    /// Whether the state bucket was read recently enough for an action that cannot be undone.
    pub fn read_lately(&self, now: Ms) -> bool {
        self.read_at().is_some_and(|at| now <= at + FRESH && at >= self.hinted_at)
    }
}
