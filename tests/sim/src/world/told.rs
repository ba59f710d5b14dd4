//! Checks a controller's reported changes against its ledger.
//!
//! The changes alone say which messages are held and which jobs are settled. So a message that disappears without a
//! change, or a job that ends without one or with two, fails in the turn in which it happens.

use std::collections::{BTreeMap, BTreeSet};

use transcode_config::contract::JobKey;
use transcode_core::{
    absorb::change::Change, protocol::clock::Ms, protocol::fact::MessageId, state::ledger::Ledger,
};

use crate::invariants::{Kept, told};

/// The state that one process has reported since it started.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Messages that are held, with their jobs.
    held: BTreeMap<MessageId, Vec<JobKey>>,
    /// Number of held messages for each job.
    asking: BTreeMap<JobKey, usize>,
    /// Decided jobs, with the time when each became known: a job that was forgotten counts as another job when it
    /// returns.
    decided: BTreeMap<JobKey, Ms>,
    /// Settled jobs, in the same way.
    settled: BTreeMap<JobKey, Ms>,
    /// Jobs whose last message was deleted and that are not reported as settled yet.
    due: BTreeSet<JobKey>,
    /// Receiving is reported as paused.
    paused: bool,
}

impl Told {
    /// Takes the changes of a turn; `ledger` is the state after it.
    pub(super) fn hears(&mut self, changes: &[Change], ledger: &Ledger) -> Kept {
        for change in changes {
            match change {
                Change::MessageReceived { message, jobs, .. } => {
                    for job in jobs {
                        *self.asking.entry(job.clone()).or_default() += 1;
                    }
                    let before = self.held.insert(message.clone(), jobs.clone());
                    told(before.is_none(), || format!("{} is received twice", message.0))?;
                }
                Change::KeyReused { message, job, of } => {
                    if let Some(jobs) = self.held.get_mut(message) {
                        jobs.retain(|known| known != of && known != job);
                        jobs.push(job.clone());
                        *self.asking.entry(job.clone()).or_default() += 1;
                        self.asks_less(of);
                    }
                }
                Change::MessageDeleted { message } => {
                    for job in self.goes(message)? {
                        if !self.asking.contains_key(&job) && self.decided.contains_key(&job) {
                            self.due.insert(job);
                        }
                    }
                }
                Change::MessageReleased { message } | Change::LeaseLost { message, .. } => {
                    self.goes(message)?;
                }
                Change::JobDecided { terminal, .. } => {
                    let Some(job) = ledger.jobs.get(&terminal.job) else { continue };
                    let before = self.decided.insert(terminal.job.clone(), job.since);
                    told(before != Some(job.since), || format!("{} is decided twice", terminal.job))?;
                }
                Change::JobSettled { terminal, .. } => {
                    let job = &terminal.job;
                    let known = self.decided.get(job).copied().unwrap_or_default();
                    let before = self.settled.insert(job.clone(), known);
                    told(before != Some(known), || format!("{job} is settled twice"))?;
                    told(self.due.remove(job), || format!("{job} is settled, and a message asks for it"))?;
                }
                Change::ReceivingPaused { .. } => {
                    told(!self.paused, || "receiving pauses twice".into())?;
                    self.paused = true;
                }
                Change::ReceivingResumed => {
                    told(self.paused, || "receiving goes on, and was not paused".into())?;
                    self.paused = false;
                }
                _ => {}
            }
        }
        // A copy of the message asked again for a job that is already settled.
        self.due.retain(|job| self.settled.get(job) != self.decided.get(job));
        let untold = self.due.pop_first();
        told(untold.is_none(), || format!("nobody is told that {untold:?} is settled"))?;
        let (held, is) = (self.held.len(), ledger.leases.len());
        told(held == is, || format!("{is} messages are held; by what is told, {held}"))
    }

    /// Notes that a message is not held any more. Returns its jobs.
    fn goes(&mut self, message: &MessageId) -> Result<Vec<JobKey>, transcode_core::invariant::Violation> {
        let jobs = self.held.remove(message);
        told(jobs.is_some(), || format!("{} goes, and was not held", message.0))?;
        let jobs = jobs.unwrap_or_default();
        for job in &jobs {
            self.asks_less(job);
        }
        Ok(jobs)
    }

    fn asks_less(&mut self, job: &JobKey) {
        if let Some(asking) = self.asking.get_mut(job) {
            *asking -= 1;
            if *asking == 0 {
                self.asking.remove(job);
            }
        }
    }
}
