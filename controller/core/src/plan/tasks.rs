//! Tasks: describe, list, stop unneeded ones.

use super::{output::Planner, view::View};
use crate::{
    judge::outcome::stop_reason,
    protocol::{action::Action, clock::Ms, task_view::TaskArn},
    state::{
        agenda::Requeue,
        job::{AttemptState, Job},
        limiter::CallKind,
        task::TaskRecord,
    },
    weakness::{Weakness, weak},
};

/// Most tasks of one DescribeTasks call: ECS' limit.
const DESCRIBE_MAX: usize = 100;

pub(super) fn plan(plan: &mut Planner, view: View<'_>) {
    let View { ledger, now, .. } = view;
    describe(plan, view);
    survey(plan, view);
    // The list comes last: its number of calls is known only when it begins.
    for (periodic, action) in [(&ledger.resolve, Action::Resolve), (&ledger.resync, Action::Resync)] {
        if periodic.due(now.mono) {
            plan.act_when_allowed(CallKind::Read, action, view);
        } else if periodic.call.is_none() {
            plan.wake(periodic.due_at);
        }
    }
}

/// Lists the beacons while tasks are in flight.
fn survey(plan: &mut Planner, view: View<'_>) {
    let survey = &view.ledger.survey;
    if view.ledger.in_flight.usage().tasks == 0 {
        return;
    }
    if survey.due(view.now.mono) {
        plan.act(Action::Survey);
    } else if survey.call.is_none() {
        plan.wake(survey.due_at);
    }
}

/// Describes tasks as soon as one is due, together with others that are due soon, so that calls are full.
fn describe(plan: &mut Planner, view: View<'_>) {
    let View { policy, ledger, now } = view;
    let due_by =
        |at| ledger.tasks.timed(at).filter(move |(_, task)| task.describe_due().is_some_and(|due| due <= at));
    if due_by(now.mono).next().is_none() {
        return;
    }
    // Tasks that are due within half a period are described with them.
    let due: Vec<TaskArn> =
        due_by(now.mono + policy.describe_every / 2).map(|(arn, _)| arn.clone()).collect();
    for tasks in due.chunks(DESCRIBE_MAX) {
        plan.act_when_allowed(CallKind::Read, Action::Describe { tasks: tasks.to_vec() }, view);
    }
}

impl View<'_> {
    /// Stops the tasks of a job's newest attempt now. Returns whether any task still had to be stopped.
    pub(super) fn stop_newest(
        self,
        plan: &mut Planner,
        job: &Job,
        attempt: &AttemptState,
        (note, reason): (&'static str, &'static str),
    ) -> bool {
        let own = job.tasks.iter().filter(|(_, of)| **of == attempt.claim.attempt);
        let known = own.filter_map(|(arn, _)| self.ledger.tasks.get_key_value(arn));
        let running = known.filter(|(_, task)| !task.ended() && !task.stop_call && !task.stops());
        let mut any = false;
        for (arn, task) in running {
            any = true;
            plan.note(note, None);
            if task.stop_retry_at > self.now.mono {
                plan.requeue(Requeue::At(task.stop_retry_at));
            } else {
                let stop = Action::Stop { task: arn.clone(), reason };
                plan.act_when_allowed(CallKind::Stop, stop, self);
            }
        }
        any
    }

    /// Stops tasks whose job is decided, or that a newer attempt has replaced, after a grace in which they end
    /// themselves.
    ///
    /// A task without a message continues: another controller may hold the message, and the task's result counts. Its
    /// run time is limited all the same.
    pub(super) fn tasks_of(self, plan: &mut Planner, job: &Job) {
        let now = self.now.mono;
        for (arn, task) in job.tasks.keys().filter_map(|arn| self.ledger.tasks.get_key_value(arn)) {
            if task.ended() || task.stop_call {
                continue;
            }
            if let Some(stopped_at) = task.stopped_at {
                // From then on the task counts as gone, and the job may be forgotten.
                let gone_at = stopped_at + self.policy.stop_timeout;
                if now < gone_at {
                    plan.requeue(Requeue::At(gone_at));
                }
                continue;
            }
            let Some(since) = unwanted_since(job, task) else { continue };
            let at = (since + self.policy.orphan_grace).max(task.stop_retry_at);
            if at <= now {
                let stop = Action::Stop { task: arn.clone(), reason: stop_reason::ORPHAN };
                plan.act_when_allowed(CallKind::Stop, stop, self);
            } else {
                plan.requeue(Requeue::At(at));
            }
        }
    }
}

fn unwanted_since(job: &Job, task: &TaskRecord) -> Option<Ms> {
    let newest = job.attempt.as_ref().map(|state| state.claim.attempt);
    match (job.terminal(), newest) {
        (Some(_), _) if !weak(Weakness::LeavesTasksOfDecidedJobs) => Some(job.decided_at),
        (None, _) if weak(Weakness::StopsTasksWithoutMessage) && job.leases.is_empty() => Some(task.known_at),
        (None, Some(newest)) if newest > task.attempt => Some(task.known_at),
        _ => None,
    }
}
