//! `EventBridge`: a bus that may be away or refuse single entries; and the outbox in the state bucket.

use std::{collections::BTreeMap, sync::Arc};

use transcode_config::contract::{JobEvent, JobKey, outbox_key};
use transcode_core::{
    effects::batch::BATCH,
    protocol::{
        fact::{CallError, ErrorClass, Fact},
        via::Via,
    },
    weakness::{Weakness, weak},
};

use super::World;
use crate::{fault::Fault, invariants, setup::Episode};

/// The outbox: events by key.
pub(super) type Outbox = BTreeMap<String, Arc<JobEvent>>;

/// The state of sending what waits in the outbox.
#[derive(Debug, Default)]
pub(super) struct Resending {
    /// What was read, with the bus' answer.
    read: Vec<(String, Arc<JobEvent>, bool)>,
    next: Option<String>,
}

/// An entry's refusal.
fn refused() -> CallError {
    let message = "the entry is refused".to_owned();
    CallError { operation: "events:PutEvents", class: ErrorClass::Throttled, message }
}

impl World {
    /// The bus gets an entry. Returns whether it took it.
    fn bus_takes(&mut self, event: &JobEvent) -> bool {
        if self.faults.on && (self.during(Episode::BusAway) || self.fault(Fault::EntryRefused)) {
            return weak(Weakness::ForgetsEventsThatFail);
        }
        let found = invariants::s18_told_as_it_ended(
            self.job_of(&event.job).and_then(|job| self.jobs.get(job)),
            event,
        );
        self.check(found);
        if let Some(job) = self.job_of(&event.job).and_then(|job| self.jobs.get_mut(job)) {
            job.told += 1;
        }
        true
    }

    /// An event arrives where its action sends it.
    pub(super) fn announce(&mut self, event: &Arc<JobEvent>, via: &Via) -> Fact {
        let job = event.job.clone();
        match via {
            Via::Bus(_) if !self.bus_takes(event) => Fact::JobCallFailed { job, error: refused() },
            Via::Bus(_) => Fact::Announced { job, kind: event.kind, via: via.clone() },
            Via::Outbox => {
                self.outbox.insert(outbox_key(event), Arc::clone(event));
                Fact::Announced { job, kind: event.kind, via: Via::Outbox }
            }
        }
    }

    /// One stage of sending what waits: read, send, remove. Returns the answer after the last.
    pub(super) fn resend(
        &mut self,
        stage: u8,
        after: Option<&String>,
        resending: &mut Resending,
    ) -> Option<Fact> {
        match stage {
            0 => {
                let behind = |key: &&String| after.is_none_or(|after| *key > after);
                let keys = self.outbox.keys().filter(behind);
                let keys: Vec<String> = keys.take(BATCH + 1).cloned().collect();
                resending.next = keys.get(BATCH - 1).filter(|_| keys.len() > BATCH).cloned();
                let read = keys.into_iter().take(BATCH);
                let event = |key: String| self.outbox.get(&key).map(|it| (key, Arc::clone(it), false));
                resending.read = read.filter_map(event).collect();
            }
            1 => {
                for (_, event, taken) in &mut resending.read {
                    *taken = self.bus_takes(&Arc::clone(event)) || weak(Weakness::EmptiesOutboxUnsent);
                }
            }
            _ => {
                let (sent, kept): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut resending.read).into_iter().partition(|(_, _, taken)| *taken);
                for (key, ..) in &sent {
                    self.outbox.remove(key);
                }
                let kept = (!kept.is_empty()).then_some((kept.len(), refused()));
                return Some(Fact::Resent { sent: sent.len(), kept, next: resending.next.take() });
            }
        }
        None
    }

    /// The job of an event that waits in the outbox.
    pub fn outbox_holds(&self) -> Option<&JobKey> {
        self.outbox.values().map(|event| &event.job).next()
    }

    /// S18: whether somebody was told, or will be, how a job has ended.
    pub(super) fn is_told(&self, job: usize) -> bool {
        let Some(job) = self.jobs.get(job) else { return false };
        if self.setup.policy.announcing.is_none() {
            return true;
        }
        job.told > 0 || self.outbox.values().any(|event| event.job == *job.key())
    }
}
