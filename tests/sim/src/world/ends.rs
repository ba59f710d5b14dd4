//! The ends of tasks: the last documents that they write, and what ECS and the invariants see.

use std::sync::Arc;

use transcode_config::contract::{Failure, ObjectRef, Outcome, SCHEMA, Succeeded, TaskState, Terminal};
use transcode_core::{
    protocol::{clock::Ms, task_view::TaskStatus},
    weakness::{Weakness, weak},
};

use super::{
    World,
    event::{Ending, Step},
};
use crate::{
    fault::Fault,
    invariants::{self, Kept},
    setup::{HOUR, MINUTE, SECOND},
    truth::{JobTruth, Proc, Task},
};

impl World {
    pub(super) fn end(&mut self, index: usize, ending: Ending) {
        let code = match ending {
            Ending::Done => return self.done(index),
            Ending::Fails(code) => {
                let failure = Failure::new(code, code.info().meaning);
                self.say(index, TaskState::Failed { failure });
                code.info().exit.code()
            }
            Ending::Fenced => 15,
            Ending::Interrupted => {
                self.reached.reach(61);
                self.say(index, TaskState::Interrupted);
                13
            }
            Ending::Dies(reason, code) => return self.gone(index, Some(code), Some(reason)),
        };
        self.gone(index, Some(i32::from(code)), None);
    }

    fn say(&mut self, index: usize, state: TaskState) {
        if self.s3_answers_task()
            && let Some(task) = self.tasks.get_mut(index)
            && !task.quiet.is_some_and(|(begin, end)| (begin..end).contains(&self.now))
        {
            task.last_word = Some((self.now, state));
        }
    }

    /// Everything is uploaded: the terminal record, the last heartbeat, exit.
    fn done(&mut self, index: usize) {
        if !self.s3_answers_task() {
            return self.end(index, Ending::Fenced);
        }
        let Some(task) = self.tasks.get(index) else { return };
        let Some(job_index) = task.job else { return };
        let (arn, attempt) = (task.view.arn.0.clone(), task.attempt());
        let Some(job) = self.jobs.get_mut(job_index) else { return };
        if !weak(Weakness::TaskWritesRecordEarly) {
            job.complete.insert(attempt);
        }
        let object = || ObjectRef { key: "manifest".into(), size: 1, sha256: String::new() };
        let terminal = Terminal {
            schema: SCHEMA,
            job: job.key().clone(),
            nonce: arn.to_string(),
            written_at_ms: 0,
            outcome: Outcome::Succeeded(Succeeded {
                attempt,
                task_arn: Some(arn.to_string()),
                bucket: "videos".into(),
                folder: String::new(),
                manifest: object(),
                files: 1,
                bytes: 1,
                duration_ms: 1,
                warnings: None,
                source: None,
                entry_points: Vec::new(),
            }),
        };
        let mine = self.put_terminal_record(&Arc::new(terminal), self.now);
        if !mine {
            self.reached.reach(56);
            return self.gone(index, Some(12), None);
        }
        // The answer of the write may be lost: the read-back shows the task's own nonce.
        let _ = self.fault(Fault::WriteAnswerLost);
        self.say(index, TaskState::Finished);
        // Sometimes it is killed after everything is done (S12).
        let code = if self.faults.on && self.rng.chance(0.05) { 137 } else { 0 };
        self.gone(index, Some(code), None);
    }

    /// Adds the time of work that has ended.
    pub(super) fn worked(&mut self, job: Option<usize>, since: Ms) {
        self.worked += self.now - since;
        if let Some(job) = job.and_then(|job| self.jobs.get_mut(job)) {
            job.working -= 1;
            if job.terminal.is_some() {
                self.wasted += self.now - since.max(job.decided_at);
            }
        }
    }

    /// The process has ended.
    pub(super) fn gone(&mut self, index: usize, code: Option<i32>, reason: Option<&str>) {
        let now = self.now;
        let Some(task) = self.tasks.get_mut(index) else { return };
        let (before, job) = (task.proc, task.job);
        task.proc = Proc::Gone;
        task.beat_until = now;
        self.runs(job, false);
        if let Proc::Working(since) = before {
            self.worked(job, since);
            self.check_run_time(index, since);
        }
        self.new_story(index);
        if self.faults.on && matches!(before, Proc::Working(_)) && self.fault(Fault::Vanished) {
            if let Some(task) = self.tasks.get_mut(index) {
                task.stuck = true;
            }
            return;
        }
        if let Some(task) = self.tasks.get_mut(index) {
            let started = task.view.started;
            task.view.exit_code = code.filter(|_| started);
            task.view.container_reason = reason.filter(|reason| !reason.is_empty()).map(str::to_owned);
        }
        let delay = self.rng.spread(SECOND, 30 * SECOND);
        self.task_after(index, delay, Step::Noticed);
    }

    fn check_run_time(&mut self, index: usize, since: Ms) {
        let (policy, heal_at) = (&self.setup.policy, self.setup.heal_at);
        let job = self.tasks.get(index).and_then(|task| self.jobs.get(task.job?));
        // This version leaves a job of a newer version alone, with all its tasks (S15); the newer version limits them.
        if self.faults.on || job.is_some_and(|job| job.newer) {
            return;
        }
        // A controller that has crashed learns of it with its list, and must then see it run too long, or its heartbeat
        // stand still.
        let allowed = policy.max_run
            + self.finding_out()
            + 900 * SECOND
            + 2 * policy.describe_every
            + 2 * self.setup.slack
            + 10 * MINUTE;
        let hangs = policy.no_progress + self.finding_out() + 10 * MINUTE;
        let found = self.tasks.get(index).map(|task| {
            let hung = task.stalls_at.map_or(0, |at| self.now.saturating_sub(at.max(heal_at)));
            invariants::l3_run_is_limited(task, self.now.saturating_sub(since.max(heal_at)), allowed)
                .and_then(|()| invariants::l3_hang_is_limited(task, hung, hangs))
        });
        self.check(found.unwrap_or(Ok(())));
    }

    /// Whether this version must limit the task: after faults, as the newest attempt of an undecided job that is not a
    /// newer version's.
    fn is_limited(&self, task: &Task) -> bool {
        let job = task.job.and_then(|job| self.jobs.get(job));
        let newest = |job: &JobTruth| job.claims.len() == task.attempt().number() as usize;
        !self.faults.on && job.is_some_and(|job| job.terminal.is_none() && !job.newer && newest(job))
    }

    /// Longest time in which a restarted controller finds a task and acts (L3): a list, descriptions, a reading that goes
    /// stale, the task's turn among all others at the rates of calls, and one backoff of a reading that failed before the
    /// faults ended; of a task that may be working it is the short one.
    fn finding_out(&self) -> Ms {
        let policy = &self.setup.policy;
        let in_line = self.tasks.iter().filter(|task| task.alive() || task.stuck).count() as Ms;
        let periods = policy.resync_every + 2 * policy.describe_every + policy.heartbeat_stale;
        periods
            + in_line * (policy.stop_interval + policy.read_interval)
            + policy.call_retry_cap
            + 2 * self.setup.slack
    }

    /// Checks that a task starts within its time (L3).
    pub(super) fn check_start_time(&self, index: usize) -> Kept {
        let Some(task) = self.tasks.get(index).filter(|task| self.is_limited(task)) else { return Ok(()) };
        let policy = &self.setup.policy;
        let allowed = policy.provisioning_timeout + policy.pull_timeout + policy.start_timeout;
        let took = self.now.saturating_sub(task.made_at.max(self.setup.heal_at));
        invariants::l3_start_is_limited(task, took, allowed + self.finding_out())
    }

    /// Checks that a silent task is stopped within its time (L3).
    pub(super) fn check_silence(&self, index: usize) -> Kept {
        let limited = self.tasks.get(index).filter(|task| task.stuck && self.is_limited(task));
        let Some(task) = limited else { return Ok(()) };
        let silent = self.now.saturating_sub(task.beat_until.max(self.setup.heal_at));
        let allowed = 2 * self.setup.policy.heartbeat_stale + self.finding_out();
        invariants::l3_silence_is_limited(task, silent, allowed)
    }

    /// ECS shows the end of the task.
    pub(super) fn noticed(&mut self, index: usize) {
        let now = self.now;
        self.change(index, |view| {
            view.status = TaskStatus::Ended;
            view.stopping = true;
            view.stop_code.get_or_insert_with(|| "EssentialContainerExited".into());
        });
        // DEPROVISIONING may last long, but its process has ended, and the adapter says so.
        let until_stopped = if self.fault(Fault::LongDeprovisioning) {
            self.rng.spread(10 * MINUTE, 3 * HOUR)
        } else {
            SECOND
        };
        if let Some(task) = self.tasks.get_mut(index) {
            task.stuck = false;
            task.stopped_at = Some(now + until_stopped);
            task.purged_at = now + until_stopped + HOUR;
        }
    }

    /// Suspended machines continue; tasks that ECS has lost are found when they are stopped.
    pub(super) fn heal_tasks(&mut self) {
        let frozen: Vec<usize> = (0..self.tasks.len())
            .filter(|index| {
                self.tasks.get(*index).is_some_and(|task: &Task| matches!(task.proc, Proc::Frozen(_)))
            })
            .collect();
        for index in frozen {
            let delay = self.rng.below(MINUTE);
            self.task_after(index, delay, Step::Thaw);
        }
        // Tasks of a newer version's jobs are left to that version, although they hold slots. A stop that ECS has begun
        // is carried to its end: ECS accepts no second one.
        let newer = |task: &Task| task.job.and_then(|job| self.jobs.get(job)).is_some_and(|job| job.newer);
        let ends = |task: &Task| task.stuck && (newer(task) || task.view.stopping);
        let lost: Vec<usize> =
            (0..self.tasks.len()).filter(|index| self.tasks.get(*index).is_some_and(ends)).collect();
        for index in lost {
            let delay = self.rng.below(MINUTE);
            self.task_after(index, delay, Step::Noticed);
        }
    }
}
