//! The waits of a controller: a failed call is repeated after a wait that grows (L6), and documents that only a newer
//! version can read are left alone (S15).

use std::collections::BTreeMap;

use transcode_config::contract::JobKey;
use transcode_core::{
    policy::Policy,
    protocol::{
        action::Action,
        clock::Ms,
        fact::{Fact, MessageId, QueueName},
        via::Via,
    },
    state::{failing::Purpose, ledger::Ledger},
};

use crate::invariants::{self, Kept};

/// The subject of a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Job(JobKey),
    Launch(JobKey),
    /// Putting the event of its end into the outbox, for which it does not wait once the bus has had its time.
    Aside(JobKey),
    /// Calls that settle a message: its letter, its delete.
    Settling(MessageId),
    /// Calls that extend a message or give it back.
    Keeping(MessageId),
    Queue(QueueName),
}

impl Subject {
    /// Whether the controller learned of the subject after `at`: it has forgotten earlier failures then.
    fn is_newer(&self, at: Ms, ledger: &Ledger) -> bool {
        let since = match self {
            Self::Job(job) | Self::Aside(job) => ledger.jobs.get(job).map(|job| job.since),
            Self::Launch(job) => ledger.jobs.get(job).and_then(|job| Some(job.attempt.as_ref()?.known_at)),
            Self::Settling(_) | Self::Keeping(_) | Self::Queue(_) => None,
        };
        since.is_some_and(|since| since >= at)
    }

    /// Whether the refused call succeeds for another job: then it is tried for this one without a wait (L10).
    fn is_released(&self, ledger: &Ledger) -> bool {
        let failing = match self {
            Self::Job(job) | Self::Aside(job) => ledger.jobs.get(job).and_then(|job| job.failing.as_ref()),
            Self::Settling(message) => ledger.leases.get(message).and_then(|lease| lease.failing.as_ref()),
            Self::Launch(_) | Self::Keeping(_) | Self::Queue(_) => None,
        };
        failing.is_some_and(|failing| failing.retry_at == 0)
    }
}

/// The result of the last call.
#[derive(Debug, Clone, Copy)]
enum Last {
    /// Number of consecutive failures.
    Failed(u32),
    /// A document of a newer version.
    Unreadable,
}

/// The failures that a controller was told of.
#[derive(Debug, Default)]
pub(super) struct Patience(BTreeMap<Subject, (Last, Ms)>);

impl Patience {
    /// Called with a fact that the controller with this ledger absorbs now.
    pub(super) fn hears(&mut self, fact: &Fact, ledger: &Ledger, now: Ms) {
        match fact {
            Fact::JobCallFailed { job, .. } => {
                let aside = ledger.jobs.get(job).is_some_and(|job| job.calls_for == Purpose::PutAside);
                let subject = if aside { Subject::Aside } else { Subject::Job };
                self.failed(subject(job.clone()), ledger, now);
            }
            Fact::MessageCallFailed { message, .. } => {
                let settles = ledger.leases.get(message).is_some_and(|lease| lease.calls_for.is_some());
                let subject = if settles { Subject::Settling } else { Subject::Keeping };
                self.failed(subject(message.clone()), ledger, now);
            }
            Fact::ReceiveFailed { queue, .. } => self.failed(Subject::Queue(queue.clone()), ledger, now),
            Fact::LaunchRefused { job, attempt, .. } => {
                let newest = ledger.jobs.get(job).and_then(|job| job.attempt.as_ref());
                if newest.is_some_and(|newest| newest.claim.attempt == *attempt) {
                    self.failed(Subject::Launch(job.clone()), ledger, now);
                }
            }
            Fact::Unreadable { job, .. } => {
                self.0.insert(Subject::Job(job.clone()), (Last::Unreadable, now));
            }
            Fact::Inspected { job, .. }
            | Fact::SpecRead { job, .. }
            | Fact::Decided { job, .. }
            | Fact::Published { job, .. }
            | Fact::Indexed { job }
            | Fact::Collected { job } => self.worked(&Subject::Job(job.clone())),
            Fact::Announced { job, .. } => {
                self.worked(&Subject::Job(job.clone()));
                self.worked(&Subject::Aside(job.clone()));
            }
            // A new attempt begins without failures.
            Fact::Claimed { job, .. } | Fact::Launched { job, .. } => {
                self.worked(&Subject::Job(job.clone()));
                self.worked(&Subject::Launch(job.clone()));
            }
            Fact::DeadLettered { message, .. }
            | Fact::Extended { message, .. }
            | Fact::Released { message }
            | Fact::Deleted { message }
            | Fact::LeaseLost { message } => self.gone(message),
            Fact::Received { queue, messages } => {
                self.worked(&Subject::Queue(queue.clone()));
                for message in messages.iter().filter(|it| !ledger.leases.contains_key(&it.id)) {
                    self.gone(&message.id);
                }
            }
            _ => {}
        }
    }

    fn failed(&mut self, subject: Subject, ledger: &Ledger, now: Ms) {
        let before = match self.0.get(&subject) {
            Some((Last::Failed(times), at)) if !subject.is_newer(*at, ledger) => *times,
            _ => 0,
        };
        self.0.insert(subject, (Last::Failed(before + 1), now));
    }

    /// The message is forgotten, or a call for it has succeeded.
    fn gone(&mut self, message: &MessageId) {
        self.worked(&Subject::Settling(message.clone()));
        self.worked(&Subject::Keeping(message.clone()));
    }

    fn worked(&mut self, subject: &Subject) {
        self.0.remove(subject);
    }

    /// Checks the actions that the controller with this ledger is about to begin.
    pub(super) fn allows(&self, planned: &[Action], ledger: &Ledger, policy: &Policy, now: Ms) -> Kept {
        for action in planned.iter().filter(|_| !self.0.is_empty()) {
            let Some(subject) = subject(action) else { continue };
            let Some((last, at)) = self.0.get(&subject).filter(|(_, at)| !subject.is_newer(*at, ledger))
            else {
                continue;
            };
            if subject.is_released(ledger) {
                continue;
            }
            match last {
                Last::Failed(times) => {
                    let wait = policy.call_retry_base << (times - 1).min(20);
                    let early = (at + wait.min(policy.call_retry_cap)).saturating_sub(now);
                    invariants::l6_waits_after_a_failure(action, *times, early)?;
                }
                Last::Unreadable => invariants::s15_is_not_looked_at_again(action)?,
            }
        }
        Ok(())
    }
}

fn subject(action: &Action) -> Option<Subject> {
    Some(match action {
        Action::Inspect { job, .. }
        | Action::ReadSpec { job }
        | Action::GiveUp { job, .. }
        | Action::Publish { job, .. }
        | Action::Collect { job, .. } => Subject::Job(job.clone()),
        Action::Claim { claim, .. } => Subject::Job(claim.job.clone()),
        Action::Index { terminal, .. } => Subject::Job(terminal.job.clone()),
        Action::Announce { event, via: Via::Bus(_) } => Subject::Job(event.job.clone()),
        Action::Announce { event, via: Via::Outbox } => Subject::Aside(event.job.clone()),
        Action::Launch { claim } => Subject::Launch(claim.job.clone()),
        Action::DeadLetter(letter) => Subject::Settling(letter.lease.message.clone()),
        Action::Delete { lease } => Subject::Settling(lease.message.clone()),
        Action::Extend { lease, .. } | Action::Release { lease, .. } => {
            Subject::Keeping(lease.message.clone())
        }
        Action::Receive { queue, .. } => Subject::Queue(queue.clone()),
        Action::Describe { .. }
        | Action::Stop { .. }
        | Action::Resync
        | Action::Survey
        | Action::Resolve
        | Action::Resend { .. } => return None,
    })
}
