//! Tasks as this controller sees them.

use transcode_config::contract::{Attempt, JobKey};

use crate::{
    policy::Policy,
    protocol::{
        clock::Ms,
        task_view::{StartPhase, TaskStatus, TaskView},
    },
};

/// A view from so long after the stop of a task was accepted (ms) shows that the task is stopping.
const STOP_SHOWS: Ms = 10_000;

/// A task of this environment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct TaskRecord {
    /// The job that it works on.
    pub job: JobKey,
    pub attempt: Attempt,
    /// The newest view; `None` before ECS' first answer.
    pub view: Option<TaskView>,
    /// When it became known (monotonic).
    pub known_at: Ms,
    /// When the newest view that is not older than the one before was asked for (monotonic). The answer may have waited
    /// long while the controller stood still.
    pub seen_at: Ms,
    /// The phase of its start, and since when it was seen in that phase (monotonic).
    pub phase: (StartPhase, Ms),
    /// When it was first seen past its start (monotonic).
    pub running_at: Option<Ms>,
    /// When it was seen ended (monotonic).
    pub ended_at: Option<Ms>,
    /// Since when DescribeTasks does not know it (monotonic). Right after a launch that proves nothing.
    pub missing_since: Option<Ms>,
    /// When ECS acknowledged StopTask (monotonic).
    pub stopped_at: Option<Ms>,
    /// A StopTask call is under way.
    pub stop_call: bool,
    /// No StopTask before this (monotonic).
    pub stop_retry_at: Ms,
    /// Consecutive StopTask calls that failed.
    pub stop_failures: usize,
    /// A DescribeTasks call is under way since then (monotonic).
    pub describe_call: Option<Ms>,
    /// It is described not later than this (monotonic).
    pub describe_at: Ms,
}

impl TaskRecord {
    /// A task without a view.
    pub fn new(job: JobKey, attempt: Attempt, now: Ms) -> Self {
        Self {
            job,
            attempt,
            view: None,
            known_at: now,
            seen_at: 0,
            phase: (StartPhase::Provisioning, now),
            running_at: None,
            ended_at: None,
            missing_since: None,
            stopped_at: None,
            stop_call: false,
            stop_retry_at: 0,
            stop_failures: 0,
            describe_call: None,
            describe_at: now,
        }
    }

    /// Takes a view that was asked for at `asked_at`, unless it is older than the current one. Returns whether it was
    /// newer.
    pub fn see(&mut self, view: TaskView, asked_at: Ms, now: Ms) -> bool {
        self.missing_since = None;
        if self.view.as_ref().is_none_or(|known| known.version <= view.version) {
            self.seen_at = self.seen_at.max(asked_at);
        }
        if self.view.as_ref().is_some_and(|known| known.version > view.version || known == &view) {
            return false;
        }
        if view.start_phase() > self.phase.0 {
            self.phase = (view.start_phase(), now);
        }
        if view.status != TaskStatus::Starting {
            self.running_at.get_or_insert(now);
        }
        if view.ended() {
            self.ended_at.get_or_insert(now);
        }
        self.view = Some(view);
        true
    }

    /// Whether it runs, nobody stops it, and the view shows only what is known.
    pub fn runs_as(&self, view: &TaskView) -> bool {
        self.view.as_ref() == Some(view)
            && view.status == TaskStatus::Running
            && !view.stopping
            && !self.ended()
            && self.missing_since.is_none()
            && self.stopped_at.is_none()
    }

    /// Time until it is described again: `often` for a task that runs. A start has deadlines, and few tasks start at a
    /// time.
    pub(crate) fn describe_every(&self, often: Ms, policy: &Policy) -> Ms {
        let runs = self.view.as_ref().is_some_and(|view| view.status == TaskStatus::Running);
        if runs && self.stopped_at.is_none() { often } else { policy.describe_every }
    }

    /// Whether ECS has accepted its stop, as far as is known. Soon after a launch ECS may not know the task yet, and then
    /// accepts a stop that stops nothing: a later view shows that.
    pub fn stops(&self) -> bool {
        let Some(at) = self.stopped_at else { return false };
        let runs_on = self.view.as_ref().is_some_and(|view| !view.stopping && !view.ended());
        !(runs_on && self.seen_at > at + STOP_SHOWS)
    }

    /// Whether it cannot be working any more: it ended, or StopTask was acknowledged longer ago than any container
    /// survives.
    pub fn gone(&self, policy: &Policy, now: Ms) -> bool {
        self.ended() || self.stopped_at.is_some_and(|at| now >= at + policy.stop_timeout)
    }

    /// When it must be described next (monotonic); `None` while a call is under way or an answer would change nothing.
    pub fn describe_due(&self) -> Option<Ms> {
        (!self.ended() && self.describe_call.is_none()).then_some(self.describe_at)
    }

    /// Whether its process has ended for good.
    pub fn ended(&self) -> bool {
        self.ended_at.is_some()
    }
}
