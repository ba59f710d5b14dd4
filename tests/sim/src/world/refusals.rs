//! Calls that AWS refuses until somebody removes the cause (L10): a refused call is repeated less and less often, and
//! once it succeeds for one waiting job, the others that wait for the same call are not delayed.

use std::collections::{BTreeMap, BTreeSet};

use transcode_config::contract::JobKey;
use transcode_core::{
    plan::Plan,
    policy::Policy,
    protocol::{
        action::Action,
        clock::Ms,
        fact::{Fact, MessageId},
        via::Via,
    },
    state::{
        failing::{Failing, Purpose},
        ledger::Ledger,
    },
};

use crate::invariants::{self, Kept};

/// The subject of a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Job(JobKey),
    Message(MessageId),
}

/// Number of consecutive refusals.
#[derive(Debug, Clone, Copy)]
struct Refused {
    times: u32,
    /// When the last refusal was seen.
    at: Ms,
    /// When the controller learned of the subject: it has forgotten earlier refusals then.
    since: Ms,
    /// The same call succeeds for another job.
    mended: bool,
}

/// The refusals that a controller has seen.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    known: BTreeMap<(Purpose, Subject), Refused>,
    /// Purposes for which a call succeeded in this turn for a job that had waited.
    mended: BTreeSet<Purpose>,
}

impl Refusals {
    /// Called with a fact that the controller with this ledger absorbs now.
    pub(super) fn hears(&mut self, fact: &Fact, ledger: &Ledger, now: Ms) {
        match fact {
            Fact::JobCallFailed { job, error } => {
                let Some(known) = ledger.jobs.get(job).filter(|known| known.call.is_some()) else { return };
                // The documents of a working task are read each minute.
                let lasts = error.class.lasts() && known.calls_for != Purpose::Read;
                self.failed(known.calls_for, Subject::Job(job.clone()), lasts, known.since, now);
            }
            Fact::MessageCallFailed { message, error } => {
                let Some(lease) = ledger.leases.get(message) else { return };
                let Some(purpose) = lease.calls_for else { return };
                let subject = Subject::Message(message.clone());
                self.failed(purpose, subject, error.class.lasts(), lease.received_at, now);
            }
            // AWS took the call; what it found is of a newer version.
            Fact::Unreadable { job, .. } => {
                let Some(purpose) = ledger.jobs.get(job).map(|job| job.calls_for) else { return };
                self.worked(purpose, &Subject::Job(job.clone()), ledger);
            }
            // Another controller took the step.
            Fact::Inspected { job, snapshot } => {
                let known = ledger.jobs.get(job).and_then(|job| Some(job.attempt.as_ref()?.claim.attempt));
                let newer = snapshot.claim.as_ref().is_some_and(|claim| Some(claim.attempt) > known);
                for (step, taken) in [
                    (Purpose::Claim, newer),
                    (Purpose::Claim, snapshot.terminal.is_some()),
                    (Purpose::GiveUp, snapshot.terminal.is_some()),
                ] {
                    if taken {
                        self.known.remove(&(step, Subject::Job(job.clone())));
                    }
                }
            }
            Fact::Claimed { job, .. } => self.worked(Purpose::Claim, &Subject::Job(job.clone()), ledger),
            Fact::Decided { job, .. } => self.worked(Purpose::GiveUp, &Subject::Job(job.clone()), ledger),
            Fact::Published { job, .. } => self.worked(Purpose::Publish, &Subject::Job(job.clone()), ledger),
            Fact::Indexed { job } => self.worked(Purpose::Index, &Subject::Job(job.clone()), ledger),
            Fact::Announced { job, via, .. } => {
                let step = if *via == Via::Outbox { Purpose::PutAside } else { Purpose::Announce };
                self.worked(step, &Subject::Job(job.clone()), ledger);
                self.known.remove(&(Purpose::Announce, Subject::Job(job.clone())));
            }
            Fact::Collected { job } => self.worked(Purpose::Collect, &Subject::Job(job.clone()), ledger),
            Fact::DeadLettered { message, .. } => {
                self.worked(Purpose::Letter, &Subject::Message(message.clone()), ledger);
            }
            Fact::Deleted { message } => {
                self.worked(Purpose::Delete, &Subject::Message(message.clone()), ledger);
            }
            _ => {}
        }
    }

    fn failed(&mut self, purpose: Purpose, subject: Subject, lasts: bool, since: Ms, now: Ms) {
        let key = (purpose, subject);
        let before = self.known.remove(&key).filter(|before| before.since == since);
        if lasts {
            let times = before.map_or(0, |before| before.times) + 1;
            self.known.insert(key, Refused { times, at: now, since, mended: false });
        }
    }

    /// The ledger also shows whether the job had waited: it may have failed otherwise since.
    fn worked(&mut self, purpose: Purpose, subject: &Subject, ledger: &Ledger) {
        let known = self.known.remove(&(purpose, subject.clone())).is_some();
        if known && failing(subject, ledger).is_some_and(|it| it.purpose == purpose && it.lasts()) {
            self.mended.insert(purpose);
            self.known.iter_mut().filter(|((of, _), _)| *of == purpose).for_each(|(_, it)| it.mended = true);
        }
    }

    /// Checks the actions that the controller with this ledger is about to begin.
    pub(super) fn allows(&mut self, plan: &Plan, ledger: &Ledger, policy: &Policy, now: Ms) -> Kept {
        if self.known.is_empty() {
            self.mended.clear();
            return Ok(());
        }
        for action in &plan.actions {
            let Some((purpose, subject, since)) = of(action, ledger) else { continue };
            let known = self.known.get(&(purpose, subject)).filter(|it| it.since == since && !it.mended);
            let Some(Refused { times, at, .. }) = known else { continue };
            let wait = policy.call_retry_base << (times - 1).min(20);
            let early = (at + wait.min(policy.refused_retry_cap)).saturating_sub(now);
            invariants::l10_refused_is_not_repeated(action, *times, early)?;
        }
        let mended = std::mem::take(&mut self.mended);
        for (purpose, subject) in self.known.iter().filter(|(_, it)| it.at < now).map(|(key, _)| key) {
            let waits = failing(subject, ledger)
                .filter(|it| it.purpose == *purpose && it.lasts() && it.retry_at > now);
            invariants::l10_goes_on_once_mended(waits.filter(|_| mended.contains(purpose)))?;
        }
        Ok(())
    }
}

/// The failing step, if the controller remembers it.
fn failing<'a>(subject: &Subject, ledger: &'a Ledger) -> Option<&'a Failing> {
    match subject {
        Subject::Job(job) => ledger.jobs.get(job)?.failing.as_deref(),
        Subject::Message(message) => ledger.leases.get(message)?.failing.as_deref(),
    }
}

/// The purpose of an action's call, its subject, and since when the subject is known.
fn of(action: &Action, ledger: &Ledger) -> Option<(Purpose, Subject, Ms)> {
    let purpose = Purpose::of(action)?;
    let job = |job: &JobKey| Some((purpose, Subject::Job(job.clone()), ledger.jobs.get(job)?.since));
    let message = |message: &MessageId| {
        Some((purpose, Subject::Message(message.clone()), ledger.leases.get(message)?.received_at))
    };
    match action {
        Action::Claim { spec, .. } => job(&spec.job),
        Action::Index { terminal, .. } => job(&terminal.job),
        Action::Announce { event, .. } => job(&event.job),
        Action::GiveUp { job: key, .. }
        | Action::Publish { job: key, .. }
        | Action::Collect { job: key, .. } => job(key),
        Action::DeadLetter(letter) => message(&letter.lease.message),
        Action::Delete { lease } => message(&lease.message),
        _ => None,
    }
}
