//! From changes to events.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::mpsc;
use transcode_config::contract::{Attempt, EventKind, Heartbeat, JobEvent, JobKey, TaskState};
use transcode_core::{
    absorb::change::Change,
    judge::announcement::News as Told,
    policy::{Announcing, Policy},
    protocol::clock::{Ms, Now},
    state::ledger::Ledger,
};

/// Jobs of which is remembered what was told of them, beyond those that the ledger knows.
const FORGOTTEN: usize = 1000;

/// An event that is to be sent.
#[derive(Debug)]
pub struct Wanted {
    pub(super) bus: Arc<str>,
    pub(super) event: JobEvent,
}

/// Takes events from the loop without waiting. By default it does nothing.
#[derive(Debug, Default)]
pub struct News {
    wanted: Option<mpsc::Sender<Wanted>>,
    told: Mutex<BTreeMap<JobKey, Memory>>,
}

/// What was told of a job's newest attempt.
#[derive(Debug, Default)]
struct Memory {
    attempt: Option<Attempt>,
    playable: bool,
    /// When its progress was last told (monotonic).
    progress_at: Option<Ms>,
}

impl News {
    pub(super) fn new(wanted: mpsc::Sender<Wanted>) -> Self {
        Self { wanted: Some(wanted), told: Mutex::default() }
    }

    /// Tells what a change means, if the settings want it told.
    pub(in crate::observe) fn tell(&self, change: &Change, ledger: &Ledger, policy: &Policy, now: Now) {
        let (Some(wanted), Some(to)) = (&self.wanted, &policy.announcing) else { return };
        for event in self.events(change, ledger, to, now) {
            // A full channel drops it, and the sender's count says so.
            let event = Wanted { bus: to.bus.clone(), event };
            wanted.try_send(event).ok();
        }
    }

    fn events(&self, change: &Change, ledger: &Ledger, to: &Announcing, now: Now) -> Vec<JobEvent> {
        let tells = |kind| to.kinds.contains(&kind);
        match change {
            // Another controller tells of its own claims.
            Change::AttemptClaimed { claim }
                if claim.attempt == Attempt::FIRST
                    && claim.nonce.starts_with(&ledger.instance)
                    && tells(EventKind::Accepted) =>
            {
                vec![ledger.news(&claim.job, Told::Accepted, claim.created_at_ms, to)]
            }
            Change::TaskUp { view, .. } if tells(EventKind::Started) => {
                let at_ms = view.billed.started_at.unwrap_or(now.wall);
                let of = |identity: &transcode_core::protocol::task_view::Identity| {
                    ledger.news(&identity.job, Told::Started(identity.attempt), at_ms, to)
                };
                view.identity.iter().map(of).collect()
            }
            Change::Heartbeat { job } => {
                let attempt = ledger.jobs.get(job).and_then(|job| job.attempt.as_ref());
                let beat = attempt.and_then(|attempt| {
                    let ((stage, percent), read) = (attempt.progress()?, attempt.heartbeat.clone()?);
                    Some(Heartbeat { stage, percent, ..read })
                });
                beat.map(|beat| self.heard(job, &beat, ledger, to, now)).unwrap_or_default()
            }
            Change::JobSettled { terminal, .. } => {
                self.memory().remove(&terminal.job);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// What a new heartbeat tells.
    fn heard(
        &self,
        job: &JobKey,
        beat: &Heartbeat,
        ledger: &Ledger,
        to: &Announcing,
        now: Now,
    ) -> Vec<JobEvent> {
        if beat.state != TaskState::Working {
            return Vec::new();
        }
        let mut told = self.memory();
        if told.len() > ledger.jobs.len() + FORGOTTEN {
            told.retain(|job, _| ledger.jobs.contains_key(job));
        }
        let memory = told.entry(job.clone()).or_default();
        if memory.attempt != Some(beat.attempt) {
            *memory = Memory { attempt: Some(beat.attempt), ..Memory::default() };
        }
        let mut events = Vec::new();
        if let Some(key) = beat.playable.as_deref().filter(|_| !memory.playable) {
            memory.playable = true;
            events.push(ledger.news(job, Told::PlayableEarly(beat.attempt, key), now.wall, to));
        }
        if memory.progress_at.is_none_or(|at| now.mono >= at + to.progress_every) {
            memory.progress_at = Some(now.mono);
            events.push(ledger.news(job, Told::Progress(beat), now.wall, to));
        }
        events.retain(|event| to.kinds.contains(&event.kind));
        events
    }

    /// Each state of the memory is a valid one, whoever panicked.
    fn memory(&self) -> std::sync::MutexGuard<'_, BTreeMap<JobKey, Memory>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
