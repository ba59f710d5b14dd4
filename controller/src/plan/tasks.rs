//! Tasks: describe, list, stop what nobody needs.

use super::Plan;
use crate::{
    action::Action, clock::Now, ledger::Ledger, limiter::Lane, mutant::on, outcome::stop_reason,
    policy::Policy, task_view::TaskArn,
};

/// DescribeTasks takes no more.
const DESCRIBE_MAX: usize = 100;

pub(super) fn plan(plan: &mut Plan, policy: &Policy, ledger: &Ledger, now: Now) {
    describe(plan, policy, ledger, now);
    orphans(plan, policy, ledger, now);
    for (periodic, action) in [(&ledger.resync, Action::Resync), (&ledger.resolve, Action::Resolve)] {
        if periodic.due(now.mono) {
            plan.act_when_allowed(Lane::Read, action, (policy, ledger, now));
        } else if !periodic.call {
            plan.wake(periodic.due_at);
        }
    }
}

/// Describes everything as soon as anything is due, so that calls are full.
fn describe(plan: &mut Plan, policy: &Policy, ledger: &Ledger, now: Now) {
    let waiting = || ledger.tasks.iter().filter(|(_, task)| !task.ended() && !task.describe_call);
    let Some(first) = waiting().map(|(_, task)| task.describe_at).min() else { return };
    if first > now.mono {
        plan.wake(first);
        return;
    }
    // What is due within half a period goes along.
    let soon = now.mono + policy.describe_every / 2;
    let due: Vec<TaskArn> =
        waiting().filter(|(_, task)| task.describe_at <= soon).map(|(arn, _)| arn.clone()).collect();
    for tasks in due.chunks(DESCRIBE_MAX) {
        plan.act_when_allowed(Lane::Read, Action::Describe { tasks: tasks.to_vec() }, (policy, ledger, now));
    }
}

/// Stops tasks whose job is decided, or which a newer attempt has replaced, after a grace: they end themselves.
///
/// A task without a message is left to work: the message may be with another controller, and what it writes counts.
/// Its run time is limited all the same.
fn orphans(plan: &mut Plan, policy: &Policy, ledger: &Ledger, now: Now) {
    for (arn, task) in &ledger.tasks {
        let Some(job) = ledger.jobs.get(&task.job) else { continue };
        if task.ended() || task.stopped_at.is_some() || task.stop_call {
            continue;
        }
        let newest = job.attempt.as_ref().map(|state| (state.intent.attempt, state.intent.created_at_ms));
        let since = match (job.terminal(), newest) {
            (Some(_), _) if !on(28) => job.decided_at,
            (None, _) if on(29) && job.leases.is_empty() => task.known_at,
            (None, Some((newest, _))) if newest > task.attempt => task.known_at,
            _ => continue,
        };
        let at = (since + policy.orphan_grace).max(task.stop_retry_at);
        if at <= now.mono {
            let stop = Action::Stop { task: arn.clone(), reason: stop_reason::ORPHAN };
            plan.act_when_allowed(Lane::Stop, stop, (policy, ledger, now));
        } else {
            plan.wake(at);
        }
    }
}
