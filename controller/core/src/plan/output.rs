//! A plan, and the planner that builds it.

use std::{borrow::Cow, mem, sync::Arc};

use transcode_config::contract::{Claim, JobKey};

use super::view::View;
use crate::{
    protocol::{
        action::Action,
        clock::{Ms, Now},
        fact::MessageId,
    },
    state::{
        agenda::{Agenda, Rank, Requeue},
        breaker::FailureStage,
        limiter::CallKind,
        note::Note,
    },
};

/// A job that a turn visited.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Visit {
    pub job: JobKey,
    /// Why the job waits, if it does.
    pub note: Option<Note>,
    /// When the job is visited next.
    pub(crate) requeue: Requeue,
    /// The job's place among those that wait for a free slot; `None` if it waits for something else too.
    pub(crate) rank: Option<Rank>,
    /// The newest attempt is proven over.
    pub(crate) over: Option<AttemptOver>,
}

/// An attempt that is proven over, as the breaker counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AttemptOver {
    /// The stage at which it failed, if other jobs may fail there too.
    pub(crate) stage: Option<FailureStage>,
}

/// Which rows a turn visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every row.
    All,
    /// Rows that have changed, and rows that are due.
    Due,
}

impl Scope {
    pub(super) fn of<K: Ord + Clone, V>(self, agenda: &Agenda<K, V>, now: Now) -> Vec<(&K, &V)> {
        let mut rows: Vec<(&K, &V)> = match self {
            Self::All => return agenda.iter().collect(),
            Self::Due => agenda.due(now.mono).collect(),
        };
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows
    }
}

/// The actions of a turn, and the time of the next turn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In order of importance; all of them may run at the same time.
    pub actions: Vec<Action>,
    /// Latest time of the next turn (monotonic).
    pub wake_at: Option<Ms>,
    /// The jobs that were visited.
    pub jobs: Vec<Visit>,
    /// Why no job is being claimed; `None` while claiming is open.
    pub(crate) held: Option<String>,
    /// The messages that were visited, and when each is visited next.
    pub(crate) leases: Vec<(MessageId, Requeue)>,
}

impl Plan {
    /// The next turn comes at `at` at the latest, and never in the same millisecond as this one.
    pub(crate) fn wake_by(&mut self, at: Option<Ms>, now: Now) {
        if let Some(at) = at {
            self.wake(at.max(now.mono + 1));
        }
    }

    fn wake(&mut self, at: Ms) {
        self.wake_at = Some(self.wake_at.map_or(at, |sooner| sooner.min(at)));
    }
}

/// A claim that only the launch rate may hold back.
#[derive(Debug)]
pub(super) struct ReadyClaim {
    pub(super) claim: Arc<Claim>,
    /// No launch before this (monotonic).
    pub(super) not_before: Ms,
    /// Index in [`Plan::jobs`] of the visit to its job.
    visit: usize,
}

/// Builds a plan: the actions so far, and the notes of the current visit.
#[derive(Debug, Default)]
pub(super) struct Planner {
    plan: Plan,
    /// The earliest next visit that was asked for.
    requeue: Option<Requeue>,
    /// Why the job waits.
    note: Option<Note>,
    /// The job's newest attempt is proven over.
    over: Option<AttemptOver>,
    /// An attempt of this turn ended in a way that the breaker counts.
    counts: bool,
    /// Claims to launch as soon as the rate allows it.
    ready: Vec<ReadyClaim>,
    /// Calls in `plan.actions`, by [`CallKind`].
    calls: [u64; 3],
}

impl Planner {
    pub(super) fn act(&mut self, action: Action) {
        let kind = match &action {
            Action::Launch { .. } => Some(CallKind::Launch),
            Action::Stop { .. } => Some(CallKind::Stop),
            Action::Describe { .. } | Action::Resync => Some(CallKind::Read),
            _ => None,
        };
        if let Some(count) = kind.and_then(|kind| self.calls.get_mut(kind as usize)) {
            *count += 1;
        }
        self.plan.actions.push(action);
    }

    /// Plans a call to ECS if its rate allows one now; otherwise a turn at the time when it does.
    pub(super) fn act_when_allowed(&mut self, kind: CallKind, action: Action, view: View<'_>) {
        let at = view.ledger.limiter.allowed_at(kind, self.calls(kind), view.policy, view.now.mono);
        if at <= view.now.mono {
            self.act(action);
        } else {
            self.wake(at);
            self.requeue(Requeue::EachTurn);
        }
    }

    fn calls(&self, kind: CallKind) -> u64 {
        self.calls.get(kind as usize).copied().unwrap_or(0)
    }

    /// Number of launches planned so far.
    pub(super) fn launches(&self) -> u64 {
        self.calls(CallKind::Launch)
    }

    /// Number of folders that this plan empties so far.
    pub(super) fn collects(&self) -> usize {
        self.plan.actions.iter().filter(|action| matches!(action, Action::Collect { .. })).count()
    }

    pub(super) fn wake(&mut self, at: Ms) {
        self.plan.wake(at);
    }

    /// Asks for the next visit to this row. A time also wakes the controller, even if the row is visited in each turn:
    /// no other event may cause a turn at that time.
    pub(super) fn requeue(&mut self, requeue: Requeue) {
        if let Requeue::At(at) = requeue {
            self.wake(at);
        }
        self.requeue = Some(self.requeue.map_or(requeue, |sooner| sooner.min(requeue)));
    }

    /// Returns when this row is visited next, and resets it. The default is: when the row changes.
    pub(super) fn take_requeue(&mut self) -> Requeue {
        self.requeue.take().unwrap_or(Requeue::OnChange)
    }

    /// Notes why the visited job waits.
    pub(super) fn note(&mut self, why: impl Into<Cow<'static, str>>, until: Option<Ms>) {
        self.note = Some(Note { why: why.into(), until, step: None, refused: false });
    }

    /// The same, with the step that fails.
    pub(super) fn note_step(&mut self, note: Note) {
        self.note = Some(note);
    }

    /// Whether the visited job has a note.
    pub(super) fn is_noted(&self) -> bool {
        self.note.is_some()
    }

    /// Notes that the visited job's newest attempt is proven over.
    pub(super) fn attempt_over(&mut self, stage: Option<FailureStage>) {
        self.over = Some(AttemptOver { stage });
        self.counts |= stage.is_some();
    }

    /// Whether the breaker counts a failure once this turn is over.
    pub(super) fn breaker_counts(&self) -> bool {
        self.counts
    }

    /// Returns whether the newest attempt is proven over, for a visit that ends later.
    pub(super) fn take_over(&mut self) -> Option<AttemptOver> {
        self.over.take()
    }

    /// The note of the visited job so far.
    pub(super) fn noted(&self) -> Option<String> {
        self.note.as_ref().map(|note| note.why.to_string())
    }

    /// Notes that the visited job has a claim that only the launch rate may hold back.
    pub(super) fn ready(&mut self, claim: &Arc<Claim>, not_before: Ms) {
        self.ready.push(ReadyClaim { claim: Arc::clone(claim), not_before, visit: self.plan.jobs.len() });
    }

    /// Returns the ready claims, the earliest launch deadline first.
    pub(super) fn take_ready(&mut self) -> Vec<ReadyClaim> {
        let mut ready = mem::take(&mut self.ready);
        ready.sort_by(|a, b| {
            (a.claim.launch_not_after_ms, &a.claim.job).cmp(&(b.claim.launch_not_after_ms, &b.claim.job))
        });
        ready
    }

    /// Notes that the launch rate holds a ready claim back.
    pub(super) fn not_ready(&mut self, claim: &ReadyClaim, why: String, until: Ms) {
        if let Some(visit) = self.plan.jobs.get_mut(claim.visit) {
            visit.note = Some(Note { why: why.into(), until: Some(until), step: None, refused: false });
        }
        self.wake(until);
    }

    /// Ends the visit to a job.
    pub(super) fn visited(&mut self, job: &JobKey, requeue: Requeue, rank: Option<Rank>) {
        let (note, over) = (self.note.take(), self.over.take());
        self.plan.jobs.push(Visit { job: job.clone(), note, requeue, rank, over });
    }

    /// Ends the visit to a message.
    pub(super) fn visited_lease(&mut self, message: &MessageId) {
        let requeue = self.take_requeue();
        self.plan.leases.push((message.clone(), requeue));
    }

    /// Notes why no job is being claimed.
    pub(super) fn hold(&mut self, why: Option<String>) {
        self.plan.held = why;
    }

    /// Why no job is being claimed; `None` while claiming is open.
    pub(super) fn held(&self) -> Option<&String> {
        self.plan.held.as_ref()
    }

    /// Returns the plan. The next turn never comes in the same millisecond as this one.
    pub(super) fn finish(mut self, now: Now) -> Plan {
        self.plan.wake_at = self.plan.wake_at.map(|at| at.max(now.mono + 1));
        self.plan
    }
}
