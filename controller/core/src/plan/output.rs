//! A plan, and how it is put together.

use std::{borrow::Cow, sync::Arc};

use transcode_config::contract::{Claim, JobKey};

use crate::{
    policy::Policy,
    protocol::{
        action::Action,
        clock::{Ms, Now},
        fact::MessageId,
    },
    state::{
        agenda::{Agenda, Requeue},
        ledger::Ledger,
        limiter::CallKind,
        note::Note,
    },
};

/// What a look at a job said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The job.
    pub job: JobKey,
    /// Why it waits, if it does.
    pub note: Option<Note>,
    /// When it is to be looked at again.
    pub(crate) again: Requeue,
    /// Since when it waits for room, if that is all it lacks.
    pub(crate) rank: Option<Ms>,
}

/// A claim that nothing keeps from being launched but the rate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PacedClaim {
    pub(super) intent: Arc<Claim>,
    /// No launch before this (monotonic).
    pub(super) not_before: Ms,
    /// The look at its job, in [`Plan::jobs`].
    pub(super) look: usize,
}

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    All,
    /// What is due: what has changed, and what time alone makes a difference to.
    Due,
}

impl Scope {
    pub(super) fn of<K: Ord + Clone, V>(self, table: &Agenda<K, V>, now: Now) -> Vec<(&K, &V)> {
        let mut rows: Vec<(&K, &V)> = match self {
            Self::All => return table.iter().collect(),
            Self::Due => table.due(now.mono).collect(),
        };
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows
    }
}

/// What is to be done now, and when to plan again at the latest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// In order of importance; all of them can be carried out at once.
    pub actions: Vec<Action>,
    /// Something becomes due then (monotonic).
    pub wake_at: Option<Ms>,
    /// The jobs that were looked at.
    pub jobs: Vec<Look>,
    /// What keeps all from being claimed that could be.
    pub(crate) held: Option<String>,
    /// The messages that were looked at, and when each is to be looked at again.
    pub(crate) seen_leases: Vec<(MessageId, Requeue)>,
    /// The soonest of what was said of the row that is being looked at.
    again: Option<Requeue>,
    /// Why the job waits that is being looked at.
    note: Option<Note>,
    /// The claims that nothing keeps from being launched but the rate.
    pub(super) claimed: Vec<PacedClaim>,
    /// Calls in `actions`, by lane of the limiter.
    planned: [u64; 3],
}

impl Plan {
    pub(super) fn act(&mut self, action: Action) {
        let lane = match &action {
            Action::Launch { .. } => Some(CallKind::Launch),
            Action::Stop { .. } => Some(CallKind::Stop),
            Action::Describe { .. } | Action::Resync => Some(CallKind::Read),
            _ => None,
        };
        if let Some(count) = lane.and_then(|lane| self.planned.get_mut(lane as usize)) {
            *count += 1;
        }
        self.actions.push(action);
    }

    /// Plans a call to ECS, or to plan again when its rate lets it through.
    pub(super) fn act_when_allowed(&mut self, lane: CallKind, action: Action, view: (&Policy, &Ledger, Now)) {
        let (policy, ledger, now) = view;
        let planned = self.planned.get(lane as usize).copied().unwrap_or(0);
        let at = ledger.limiter.allowed_at(lane, planned, policy, now.mono);
        if at <= now.mono {
            self.act(action);
        } else {
            self.wake(at);
            self.look(Requeue::NextTurn);
        }
    }

    /// Launches in `actions`.
    pub(super) fn launches(&self) -> u64 {
        self.planned.get(CallKind::Launch as usize).copied().unwrap_or(0)
    }

    /// Folders that are emptied by `actions`.
    pub(super) fn collects(&self) -> usize {
        self.actions.iter().filter(|action| matches!(action, Action::Collect { .. })).count()
    }

    pub(super) fn wake(&mut self, at: Ms) {
        self.wake_at = Some(self.wake_at.map_or(at, |sooner| sooner.min(at)));
    }

    /// Something else is due then.
    pub(crate) fn wake_by(&mut self, at: Option<Ms>, now: Now) {
        if let Some(at) = at {
            self.wake(at.max(now.mono + 1));
        }
    }

    /// The row that is being looked at is to be looked at again. A time wakes even where the row is looked at in every
    /// turn besides: nothing else may bring that turn about.
    pub(super) fn look(&mut self, again: Requeue) {
        if let Requeue::At(at) = again {
            self.wake(at);
        }
        self.again = Some(self.again.map_or(again, |sooner| sooner.min(again)));
    }

    /// A look has ended: when the row is to be looked at again. Where nothing was said, when it changes.
    pub(super) fn looked(&mut self) -> Requeue {
        self.again.take().unwrap_or(Requeue::Changed)
    }

    /// Why the job waits that is being looked at.
    pub(super) fn note(&mut self, why: impl Into<Cow<'static, str>>, until: Option<Ms>) {
        self.note = Some(Note { why: why.into(), until });
    }

    /// The job that is being looked at has a claim that could be launched.
    pub(super) fn claimed(&mut self, intent: &Arc<Claim>, not_before: Ms) {
        self.claimed.push(PacedClaim { intent: Arc::clone(intent), not_before, look: self.jobs.len() });
    }

    /// A claim is not launched yet.
    pub(super) fn claim_waits(&mut self, look: usize, why: String, until: Ms) {
        if let Some(look) = self.jobs.get_mut(look) {
            look.note = Some(Note { why: why.into(), until: Some(until) });
        }
        self.wake(until);
    }

    /// A look at a job has ended.
    pub(super) fn looked_at(&mut self, job: &JobKey, again: Requeue, rank: Option<Ms>) {
        let note = self.note.take();
        self.jobs.push(Look { job: job.clone(), note, again, rank });
    }

    /// Why a job waits that was looked at, if it does.
    pub fn note_of(&self, job: &JobKey) -> Option<&Note> {
        self.jobs.iter().find(|look| look.job == *job)?.note.as_ref()
    }
}
