//! Changes of messages, tasks and calls.

use transcode_config::contract::Outcome;

use super::change::Change;
use crate::{
    protocol::{
        fact::{Fact, MessageId},
        task_view::{TaskArn, TaskStatus, TaskView},
    },
    state::ledger::{Definition, Ledger},
    weakness::{Weakness, weak},
};

impl Ledger {
    /// Pushes the changes that a fact states by itself, before the fact is absorbed.
    pub(super) fn news_of(&self, fact: &Fact, told: &mut Vec<Change>) {
        let change = match fact {
            Fact::Published { job, publication } => {
                Change::JobPublished { job: job.clone(), publication: publication.clone() }
            }
            Fact::Indexed { job } => Change::JobIndexed { job: job.clone() },
            Fact::Announced { job, kind, via } => {
                Change::JobAnnounced { job: job.clone(), kind: *kind, via: via.clone() }
            }
            Fact::Resent { sent, kept, .. } if *sent > 0 || kept.is_some() => {
                Change::Resent { sent: *sent, kept: kept.clone() }
            }
            Fact::Collected { job } => Change::JobCollected { job: job.clone() },
            Fact::Launched { job, attempt, task } => {
                Change::Launched { job: job.clone(), attempt: *attempt, task: task.clone() }
            }
            Fact::LaunchRefused { job, attempt, refusal } => {
                Change::LaunchRefused { job: job.clone(), attempt: *attempt, refusal: refusal.clone() }
            }
            Fact::DeadLettered { message, job } => {
                Change::DeadLettered { job: job.clone(), message: message.clone() }
            }
            Fact::Released { message } => Change::MessageReleased { message: message.clone() },
            Fact::Unreadable { job, reason } => {
                Change::JobUnreadable { job: job.clone(), reason: reason.clone() }
            }
            Fact::Stopped { task } => {
                let job = self.tasks.get(task).map(|record| record.job.clone());
                Change::TaskStopped { task: task.clone(), job }
            }
            Fact::Unfit { reason } => {
                let news = !matches!(&self.definition, Definition::Unfit(known) if known == reason);
                Change::DefinitionRefused { reason: reason.clone(), news }
            }
            Fact::Resolved(pinned) if matches!(self.definition, Definition::Unfit(_)) => {
                Change::DefinitionFits { pinned: pinned.clone() }
            }
            Fact::Resynced { complete } => Change::Resynced { complete: *complete, tasks: self.tasks.len() },
            Fact::Hinted(hint) => Change::Hinted { hint: hint.clone() },
            Fact::DrainRequested => Change::DrainBegun { leases: self.leases.len(), tasks: self.tasks.len() },
            Fact::JobCallFailed { job, error } => {
                Change::CallFailed { job: Some(job.clone()), error: error.clone() }
            }
            Fact::ReceiveFailed { error, .. }
            | Fact::ResolveFailed { error }
            | Fact::SurveyFailed { error }
            | Fact::ResendFailed { error }
            | Fact::MessageCallFailed { error, .. }
            | Fact::StopFailed { error, .. }
            | Fact::DescribeFailed { error, .. } => Change::CallFailed { job: None, error: error.clone() },
            // Absorbing these facts pushes their changes, if there are any.
            Fact::Resent { .. }
            | Fact::Received { .. }
            | Fact::Inspected { .. }
            | Fact::Claimed { .. }
            | Fact::SpecRead { .. }
            | Fact::TaskSeen(_)
            | Fact::TaskListed(_)
            | Fact::TaskMissing(_)
            | Fact::Resolved(_)
            | Fact::Surveyed { .. }
            | Fact::Decided { .. }
            | Fact::Extended { .. }
            | Fact::Steered(_)
            | Fact::SteeringRefused { .. }
            | Fact::Deleted { .. }
            | Fact::LeaseLost { .. } => return,
        };
        told.push(change);
    }

    /// A message was deleted. A decided job is settled when the last message that asks for it is deleted: once while
    /// the job is known, however many messages ask for it.
    pub(super) fn deleted(&mut self, message: &MessageId, told: &mut Vec<Change>) {
        told.push(Change::MessageDeleted { message: message.clone() });
        let Some(lease) = self.forget_lease(message) else { return };
        self.mended(lease.failing.as_ref().filter(|it| it.lasts()).map(|failing| failing.purpose));
        for key in lease.jobs() {
            let Some(job) = self.jobs.get_mut(key) else { continue };
            let Some(terminal) = job.terminal().cloned() else { continue };
            if ((job.leases.is_empty() && !job.settled) || weak(Weakness::TellsSettledWithEachMessage))
                && !weak(Weakness::TellsNobodyOfSettledJob)
            {
                job.settled = true;
                let superseded =
                    job.superseded_by.is_some() || matches!(terminal.outcome, Outcome::Superseded(_));
                told.push(Change::JobSettled { terminal, superseded, sent_at_ms: lease.sent_at_ms });
            }
        }
    }

    /// A message is not held any more, and this controller did not give it back.
    pub(super) fn lose(&mut self, message: &MessageId, told: &mut Vec<Change>) {
        if let Some(lease) = self.forget_lease(message) {
            if weak(Weakness::TellsNobodyOfLostLease) {
                return;
            }
            told.push(Change::LeaseLost { message: message.clone(), job: lease.jobs().next().cloned() });
        }
    }

    /// A tag may be moved between the check of an image and its pull. Reported once, when the pull is first seen.
    pub(super) fn pulled(&self, view: &TaskView, told: &mut Vec<Change>) {
        let (Some(identity), Some(ran)) = (&view.identity, &view.billed.image_digest) else { return };
        let known = self.tasks.get(&view.arn).and_then(|record| record.view.as_ref());
        let claim = self.jobs.get(&identity.job).and_then(|job| job.attempt.as_ref());
        let claim = claim.map(|attempt| &attempt.claim).filter(|claim| claim.attempt == identity.attempt);
        if let Some(pinned) = claim.and_then(|claim| claim.image_digest.as_ref())
            && pinned != ran
            && known.is_none_or(|known| known.billed.image_digest.is_none())
        {
            let (job, attempt, task) = (identity.job.clone(), identity.attempt, view.arn.clone());
            let (pinned, ran) = (pinned.clone(), ran.clone());
            told.push(Change::TaskOfOtherImage { job, attempt, task, pinned, ran });
        }
    }

    /// A known task was seen again: reports whether it has started or ended since.
    pub(super) fn task_news(&self, arn: &TaskArn, was_up: bool, had_ended: bool, told: &mut Vec<Change>) {
        let Some(task) = self.tasks.get(arn) else { return };
        let Some(view) = &task.view else { return };
        let job = self.jobs.get(&task.job);
        if !was_up && view.started && view.status != TaskStatus::Starting {
            let asked_at_ms = job.and_then(|job| job.asked_at_ms);
            told.push(Change::TaskUp { view: Box::new(view.clone()), asked_at_ms });
        }
        if !had_ended && task.ended() {
            let ours = job.is_some_and(|job| !job.leases.is_empty());
            told.push(Change::TaskEnded { view: Box::new(view.clone()), ours });
        }
    }
}
