//! Changes of what people want.

use transcode_config::contract::{JobKey, Outcome};

use super::change::Change;
use crate::{
    protocol::{
        fact::Fact,
        steering::{Steering, Wanted, by},
    },
    state::ledger::Ledger,
};

impl Ledger {
    /// Takes over what people want now, and reports each difference. Every row is visited again. After a start, the
    /// cancels are old news.
    pub(super) fn steered(&mut self, steering: Steering, told: &mut Vec<Change>) {
        self.steering_refused = None;
        let first = std::mem::take(&mut self.unsteered);
        if self.steering == steering && !first {
            return;
        }
        let news = steering.since(&self.steering).into_iter();
        let news = news.filter(|news| !first || !matches!(news.what, Wanted::Cancel(_)));
        told.extend(news.map(|steered| Change::Steered { steered }));
        let paused = steering.tenants.iter();
        let paused =
            paused.map(|(name, told)| (name.clone(), by(&format!("its tenant {name} is paused"), told)));
        self.tenants.pause(paused.collect());
        self.steering = steering;
        self.requeue_all();
    }

    /// Notes that the control document is not in force, and reports it once for each reason.
    pub(super) fn steering_refused(&mut self, error: String, told: &mut Vec<Change>) {
        if self.steering_refused.as_ref() != Some(&error) {
            told.push(Change::SteeringRefused { error: error.clone() });
        }
        self.steering_refused = Some(error);
        if self.unsteered {
            self.requeue_all();
        }
    }

    /// The job of a fact that may decide it, if the job was undecided when last read.
    pub(super) fn read_as_open(&self, fact: &Fact) -> Option<JobKey> {
        let (Fact::Inspected { job, .. } | Fact::Decided { job, .. }) = fact else { return None };
        self.jobs.get(job)?.read_at().map(|_| job.clone())
    }

    /// Reports a cancelled job whose task won, or that was given up, before the cancel took effect.
    pub(super) fn cancelled_too_late(&self, key: JobKey) -> Option<Change> {
        let job = self.jobs.get(&key)?;
        let cancel = self.cancel_of(&key, job)?.clone();
        match job.terminal()?.outcome {
            Outcome::Succeeded(_) | Outcome::Dead(_) => Some(Change::CancelTooLate { job: key, cancel }),
            Outcome::Superseded(_) | Outcome::Cancelled(_) => None,
        }
    }
}
