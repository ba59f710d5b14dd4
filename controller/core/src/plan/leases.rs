//! Messages: keep, settle, give back.

use std::sync::Arc;

use transcode_config::contract::{JobKey, Outcome};

use super::output::{Planner, Scope};
use crate::{
    judge::leftovers::Leftovers,
    policy::Policy,
    protocol::{
        action::{Action, DeadLetter},
        clock::Now,
        fact::MessageId,
    },
    state::{
        agenda::Requeue,
        job::Job,
        lease::{Content, Lease, Spare},
        ledger::Ledger,
    },
    weakness::{Weakness, weak},
};

pub(super) fn plan(plan: &mut Planner, scope: Scope, policy: &Policy, ledger: &Ledger, now: Now) {
    for (message, lease) in scope.of(&ledger.leases, now) {
        if lease.free(now.mono) {
            match next(message, lease, policy, ledger, now) {
                Some(action) => plan.act(action),
                // Due for extension but too close to the 12 h cap to extend: wait for the lease to expire.
                None if lease.extend_at(policy) <= now.mono && !weak(Weakness::SpinsNearTheCap) => {
                    plan.requeue(Requeue::At(lease.deadline));
                }
                None => plan.requeue(Requeue::At(lease.extend_at(policy))),
            }
            if lease.settle_at() > now.mono {
                plan.requeue(Requeue::At(lease.settle_at()));
            }
        } else if lease.call.is_none() {
            plan.requeue(Requeue::At(lease.retry_at.min(lease.deadline)));
        }
        plan.visited_lease(message);
    }
}

fn next(message: &MessageId, lease: &Lease, policy: &Policy, ledger: &Ledger, now: Now) -> Option<Action> {
    let named = || lease.named(message);
    let jobs = match &lease.content {
        Content::Parked(_) if weak(Weakness::DeletesTheUnreadable) => {
            return Some(Action::Delete { lease: named() });
        }
        Content::Parked(_) => {
            return Some(Action::Release { lease: named(), after_ms: lease.put_aside(policy, now.mono) });
        }
        Content::Jobs(jobs) => jobs,
    };
    let settles = lease.settle_at() <= now.mono;
    let due = jobs.keys().find_map(|job| letter(message, lease, job, policy, ledger));
    if let Some(letter) = due.filter(|_| settles) {
        if weak(Weakness::DeletesDeadWithoutLetter) {
            return Some(Action::Delete { lease: named() });
        }
        return Some(Action::DeadLetter(Box::new(letter)));
    }
    let tidied = |job: &JobKey| {
        weak(Weakness::DeletesBeforeCollecting) || leftovers(job, policy, ledger, now) == Leftovers::None
    };
    if settles && jobs.keys().all(|job| settled(lease, job, policy, ledger) && tidied(job)) {
        return Some(Action::Delete { lease: named() });
    }
    // A copy of a held message, or a message beyond those that may wait here: it returns when its job may be settled,
    // or when its turn may have come. Settling may take long too, and copies must not take the room of others then.
    let undecided = |job: &JobKey| ledger.jobs.get(job).is_none_or(|job| job.terminal().is_none());
    if let Some(spare) = lease.spare
        && (spare == Spare::Copy || jobs.keys().all(undecided))
        && !ledger.drains()
    {
        let away = ledger.receiving.get(&lease.queue).map_or(0, |queue| queue.away.count(now.mono));
        let after_ms = lease.put_back(spare, message, away, policy, now.mono);
        return Some(Action::Release { lease: named(), after_ms });
    }
    // A job that only a newer version can read is put aside with its message (S15). If such messages were held, they
    // would in the end leave no room for others.
    let aside = |job: &JobKey| ledger.jobs.get(job).is_some_and(|job| job.unreadable.is_some());
    if !weak(Weakness::HoldsMessagesOfJobsLeftAlone)
        && jobs.keys().any(aside)
        && jobs.keys().all(|job| aside(job) || settled(lease, job, policy, ledger))
    {
        return Some(Action::Release { lease: named(), after_ms: lease.put_aside(policy, now.mono) });
    }
    let settling = settles
        && jobs.keys().all(|job| {
            let decided = ledger.jobs.get(job).is_some_and(|job| job.terminal().is_some());
            decided && !matches!(leftovers(job, policy, ledger, now), Leftovers::Later(_))
        });
    let waits =
        ledger.steering.queues.contains_key(&lease.queue) && jobs.keys().all(|job| unbegun(job, ledger));
    if (ledger.drains() || waits) && !settling {
        // Tasks continue; the controller that receives the message next adopts them.
        return Some(Action::Release { lease: named(), after_ms: 0 });
    }
    if lease.extend_at(policy) <= now.mono {
        return lease.extension(policy, now.mono).map(|for_ms| Action::Extend { lease: named(), for_ms });
    }
    None
}

/// The dead letter that must still be sent for a job on behalf of this message.
fn letter(
    message: &MessageId,
    lease: &Lease,
    key: &JobKey,
    policy: &Policy,
    ledger: &Ledger,
) -> Option<DeadLetter> {
    let job = ledger.jobs.get(key).filter(|job| !job.unbound())?;
    // Entry and event come first: whatever lies between the letter and the delete may make a second letter.
    if !(listed(job) && announced(job, policy)) {
        return None;
    }
    let Outcome::Dead(dead) = &job.terminal()?.outcome else { return None };
    (!lease.lettered.contains(key)).then(|| DeadLetter {
        lease: lease.named(message),
        job: key.clone(),
        generation: job.request.as_ref().map_or(0, crate::message::Request::generation),
        body: Arc::clone(&lease.body),
        dead: dead.clone(),
    })
}

/// Whether no attempt of a job exists or is being claimed, and nothing ends it now.
fn unbegun(key: &JobKey, ledger: &Ledger) -> bool {
    ledger.jobs.get(key).is_some_and(|job| {
        job.attempt.is_none()
            && job.tasks.is_empty()
            && job.claiming.is_none()
            && job.terminal().is_none()
            && ledger.cancel_of(key, job).is_none()
    })
}

fn leftovers(key: &JobKey, policy: &Policy, ledger: &Ledger, now: Now) -> Leftovers {
    ledger.jobs.get(key).map_or(Leftovers::None, |job| ledger.leftovers(job, policy, now))
}

/// Whether the index has the job's end (S20).
fn listed(job: &Job) -> bool {
    job.indexed || weak(Weakness::DeletesBeforeIndexing)
}

/// Whether the event of the job's end is sent, or in the outbox, where there is a bus (S18).
fn announced(job: &Job, policy: &Policy) -> bool {
    job.announced || policy.announcing.is_none() || weak(Weakness::DeletesBeforeAnnouncing)
}

/// Whether a job needs nothing more before a message that asks for it may be deleted (S1).
fn settled(lease: &Lease, key: &JobKey, policy: &Policy, ledger: &Ledger) -> bool {
    let Some(job) = ledger.jobs.get(key).filter(|job| !job.unbound()) else { return false };
    let told = listed(job) && announced(job, policy);
    match job.terminal().map(|terminal| &terminal.outcome) {
        Some(Outcome::Succeeded(_)) => (told && job.published) || weak(Weakness::DeletesBeforePublishing),
        Some(Outcome::Dead(_)) => told && lease.lettered.contains(key),
        Some(Outcome::Superseded(_) | Outcome::Cancelled(_)) => told,
        None => weak(Weakness::DeletesOnceLaunched) && !job.tasks.is_empty(),
    }
}
