//! The task's side of the contract: first heartbeat, *then* start checks (S8), work with heartbeats, fence, register,
//! last heartbeat, exit code. And what may happen to it.

use std::sync::Arc;

use transcode_config::contract::{
    Failure, FailureCode, ObjectRef, Outcome, SCHEMA, Succeeded, TaskState, Terminal,
};
use transcode_controller::{clock::Ms, task_view::TaskStatus};

use super::{Event, Proc, Task, World};
use crate::{
    fault::Fault,
    invariants,
    rng::{Rng, mix},
    setup::{BEAT_EVERY, Episode, FENCE, HOUR, MINUTE, Nature, SECOND},
    weak,
};

/// A step in a task's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The container runs.
    Start,
    /// Image, network, secret.
    FailsToStart,
    /// It tries to write its first heartbeat; given up after so many tries.
    FirstBeat(u32),
    /// It looks whether it may work.
    Check,
    /// Its work ends in this way.
    End(Ending),
    /// Its machine stands still, and goes on after so long.
    Freeze(Ms),
    /// Its machine goes on.
    Thaw,
    /// The platform takes it back.
    TakenBack(&'static str, &'static str),
    /// SIGKILL.
    Kill,
    /// ECS has noticed its end.
    Noticed,
    /// ECS forgets it.
    Purge,
}

/// How the work of a task ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything is uploaded.
    Done,
    /// It failed and says why.
    Fails(FailureCode),
    /// It cannot reach S3 for too long, and ends without a word.
    Fenced,
    /// It is told to stop.
    Interrupted,
    /// It dies without a word; ECS says so.
    Dies(&'static str, i32),
}

impl World {
    pub(super) fn nature(&mut self, job: usize) -> Nature {
        let mut rng = Rng::new(mix(&[self.setup.seed, 5, job as u64]));
        if rng.below(100) >= self.setup.bad {
            return Nature::Good;
        }
        if self.setup.bad == 100 {
            self.reached.reach(64);
            return Nature::Permanent(FailureCode::NotMedia);
        }
        let permanent = Nature::Permanent(FailureCode::SourceTruncated);
        rng.pick(&[permanent, Nature::Fails, Nature::Flaky], Nature::Flaky)
    }

    pub(super) fn draw_offset(&mut self) -> i64 {
        let offset = self.setup.offset;
        let drawn = self.rng.below(2 * offset + 1).cast_signed() - offset.cast_signed();
        if drawn.unsigned_abs() > MINUTE {
            self.reached.reach(52);
        }
        drawn
    }

    fn task_after(&mut self, index: usize, delay: Ms, step: Step) {
        let epoch = self.tasks.get(index).map_or(0, |task| task.epoch);
        self.after(delay, Event::Task(index, epoch, step));
    }

    /// Outdates every step that was planned for a task.
    fn new_story(&mut self, index: usize) {
        if let Some(task) = self.tasks.get_mut(index) {
            task.epoch += 1;
        }
    }

    pub(super) fn task_step(&mut self, index: usize, epoch: u32, step: Step) {
        if self.tasks.get(index).is_none_or(|task| task.epoch != epoch) {
            return;
        }
        self.trace.value(self.now, format_args!("task {index}"), &step);
        match step {
            Step::Start => self.start(index),
            Step::FailsToStart => {
                self.change(index, |view| {
                    view.stop_code = Some("TaskFailedToStart".into());
                    view.stopped_reason = Some("CannotPullContainerError: pull image manifest".into());
                });
                self.gone(index, None, None);
            }
            Step::FirstBeat(tries) => self.first_beat(index, tries),
            Step::Check => self.check_start(index),
            Step::End(ending) => self.end(index, ending),
            Step::Freeze(length) => self.freeze(index, length),
            Step::Thaw => self.thaw(index),
            Step::TakenBack(code, reason) => self.taken_back(index, code, reason),
            Step::Kill => self.gone(index, Some(137), None),
            Step::Noticed => self.noticed(index),
            Step::Purge => {
                if let Some(task) = self.tasks.get_mut(index) {
                    task.purged = true;
                }
            }
        }
    }

    fn start(&mut self, index: usize) {
        if let Some(task) = self.tasks.get_mut(index) {
            task.proc = Proc::Starting;
        }
        self.change(index, |view| {
            view.status = TaskStatus::Running;
            view.started = true;
        });
        if self.tasks.get(index).is_some_and(|task| task.job.is_none()) {
            let delay = self.rng.spread(MINUTE, HOUR);
            self.task_after(index, delay, Step::Kill);
            return;
        }
        let delay = self.rng.spread(100, 20 * SECOND);
        self.task_after(index, delay, Step::FirstBeat(0));
    }

    fn s3_answers_task(&mut self) -> bool {
        !(self.during(Episode::StateDenied) || self.during(Episode::BrownOut) || self.fault(Fault::S3Error))
    }

    fn first_beat(&mut self, index: usize, tries: u32) {
        if self.s3_answers_task() {
            if let Some(task) = self.tasks.get_mut(index) {
                task.beat_from = Some(self.now);
            }
            let delay = self.rng.spread(50, 10 * SECOND);
            self.task_after(index, delay, Step::Check);
        } else if tries < 20 {
            self.task_after(index, 5 * SECOND, Step::FirstBeat(tries + 1));
        } else {
            self.end(index, Ending::Fenced);
        }
    }

    fn check_start(&mut self, index: usize) {
        let Some(task) = self.tasks.get(index) else { return };
        let Some(job_index) = task.job else { return };
        let Some(job) = self.jobs.get(job_index) else { return };
        let wall = self.wall(task.offset);
        let newest = job.intents.len() == task.attempt().number() as usize;
        let late = wall >= task.intent.launch_not_after_ms && !weak::on(weak::NO_DEADLINE);
        if (job.terminal.is_some() || !newest || late) && !weak::on(weak::NO_START_CHECKS) {
            if late {
                self.reached.reach(22);
            }
            self.gone(index, Some(12), None);
            return;
        }
        let attempt = task.attempt();
        let found = invariants::s8_begins_in_time(job, task, wall);
        self.check(found);
        self.began += 1;
        if let Some(task) = self.tasks.get_mut(index) {
            task.proc = Proc::Working(self.now);
        }
        if let Some(job) = self.jobs.get_mut(job_index) {
            job.working += 1;
            // From its first segment on, and an upload in parts beside it. That it tidies up itself is not relied on.
            job.files.insert(attempt);
        }
        let found = self.jobs.get(job_index).map_or(Ok(()), invariants::s6_one_works);
        self.check(found);
        self.draw_story(index, job_index);
    }

    /// Draws how the work of a task goes.
    fn draw_story(&mut self, index: usize, job: usize) {
        let most = self.setup.policy.max_run;
        let longest = self.setup.work;
        let mut work = if self.setup.even_work {
            self.rng.between(10 * SECOND, longest)
        } else {
            self.rng.spread(10 * SECOND, longest)
        };
        let nature = self.jobs.get(job).map_or(Nature::Good, |job| job.nature);
        let mut ending = match nature {
            Nature::Permanent(code) => Ending::Fails(code),
            Nature::Fails => Ending::Fails(FailureCode::EncodeFailed),
            Nature::Flaky if self.faults.on && self.rng.chance(0.5) => {
                Ending::Fails(FailureCode::VerifyFailed)
            }
            Nature::Good | Nature::Flaky => Ending::Done,
        };
        for (fault, instead) in [
            (Fault::SourceGone, Ending::Fails(FailureCode::SourceMissing)),
            (Fault::Oom, Ending::Dies("OutOfMemoryError: Container killed due to memory usage", 137)),
            (Fault::Segv, Ending::Fails(FailureCode::EncoderCrashed)),
            (Fault::DiskFull, Ending::Fails(FailureCode::DiskFull)),
            (Fault::Hang, Ending::Fails(FailureCode::EncoderStalled)),
            (Fault::DiesBeforeRegister, Ending::Dies("", 137)),
        ] {
            if self.fault(fault) {
                ending = instead;
            }
        }
        if work > most {
            (work, ending) = (most, Ending::Fails(FailureCode::RunTimeExceeded));
        } else if ending == Ending::Fails(FailureCode::EncoderStalled) && self.rng.chance(0.5) {
            // Nothing in the task ends it.
            work = most * 3;
            let (now, lasts) = (self.now, self.rng.below(most));
            if let Some(task) = self.tasks.get_mut(index) {
                task.stalls_at = Some(now + lasts);
            }
        }
        if self.fault(Fault::Spot) {
            let at = self.rng.below(work);
            self.interrupted_by(index, at, "SpotInterruption", "Your Spot Task was interrupted.");
        } else if self.fault(Fault::Retirement) {
            let at = self.rng.below(work);
            self.interrupted_by(index, at, "TerminationNotice", "ECS is performing maintenance");
        }
        if self.fault(Fault::CutOff) {
            work = self.cut_off(index, work, &mut ending);
        } else if self.fault(Fault::Frozen) {
            let (at, length) = (self.rng.below(work), self.rng.spread(10 * SECOND, 5 * HOUR));
            self.task_after(index, at, Step::Freeze(length));
        }
        self.task_after(index, work, Step::End(ending));
    }

    /// S3 cannot be reached for a while. Longer than the fence, and the task ends itself.
    fn cut_off(&mut self, index: usize, work: Ms, ending: &mut Ending) -> Ms {
        let (at, length) = (self.rng.below(work), self.rng.spread(10 * SECOND, HOUR));
        let (begin, end) = (self.now + at, self.now + at + length);
        let now = self.now;
        let Some(task) = self.tasks.get_mut(index) else { return work };
        task.quiet = Some((begin, end));
        let from = task.beat_from.unwrap_or(now);
        let last = from + (begin.max(from) - from) / BEAT_EVERY * BEAT_EVERY;
        let fenced = last + FENCE;
        if fenced < end && fenced < now + work && !weak::on(weak::NO_FENCE) {
            *ending = Ending::Fenced;
            return fenced - now;
        }
        work
    }

    fn interrupted_by(&mut self, index: usize, at: Ms, code: &'static str, reason: &'static str) {
        self.task_after(index, at, Step::TakenBack(code, reason));
    }

    /// The platform takes the task back, with a warning or without.
    fn taken_back(&mut self, index: usize, code: &'static str, reason: &'static str) {
        if let Some(task) = self.tasks.get(index).filter(|task| !task.view.stopping) {
            let intent = Arc::clone(&task.intent);
            self.platform_trouble(&intent, 1);
            self.change(index, |view| {
                view.stopping = true;
                view.stop_code = Some(code.to_owned());
                view.stopped_reason = Some(reason.to_owned());
            });
        }
        if self.rng.chance(0.5) {
            self.end(index, Ending::Interrupted);
        } else {
            self.gone(index, Some(137), None);
        }
    }

    /// SIGTERM reaches the process.
    pub(super) fn terminate(&mut self, index: usize) {
        let Some(proc) = self.tasks.get(index).map(|task| task.proc) else { return };
        match proc {
            Proc::Gone if self.tasks.get(index).is_some_and(|task| task.stuck) => {
                // The order is what gets a vanished task unstuck, if anything does.
                let delay = self.rng.spread(SECOND, 5 * MINUTE);
                if !self.faults.on || self.rng.chance(0.5) {
                    self.task_after(index, delay, Step::Noticed);
                }
            }
            Proc::Gone => {}
            Proc::Frozen(_) => {
                // A machine that stands still does not hear SIGTERM; its host kills it.
                let delay = self.rng.between(30 * SECOND, 120 * SECOND);
                self.new_story(index);
                self.task_after(index, delay, Step::Kill);
            }
            Proc::NotStarted => {
                let delay = self.rng.spread(SECOND, 30 * SECOND);
                self.new_story(index);
                self.task_after(index, delay, Step::Kill);
            }
            Proc::Starting | Proc::Working(_) if self.fault(Fault::SlowStop) => {
                let delay = self.rng.between(30 * SECOND, 120 * SECOND);
                self.task_after(index, delay, Step::Kill);
            }
            Proc::Starting | Proc::Working(_) => {
                let delay = self.rng.spread(100, 20 * SECOND);
                self.task_after(index, delay, Step::End(Ending::Interrupted));
            }
        }
    }

    fn freeze(&mut self, index: usize, length: Ms) {
        let now = self.now;
        let Some(task) = self.tasks.get_mut(index) else { return };
        let Proc::Working(since) = task.proc else { return };
        task.quiet = Some((now, now + length));
        if length < FENCE {
            return;
        }
        task.proc = Proc::Frozen(since);
        let job = task.job;
        self.worked(job, since);
        // What would have ended its work before it goes on again cannot happen meanwhile.
        self.new_story(index);
        self.task_after(index, length, Step::Thaw);
    }

    fn thaw(&mut self, index: usize) {
        let Some(task) = self.tasks.get_mut(index) else { return };
        if !matches!(task.proc, Proc::Frozen(_)) {
            return;
        }
        // It notices that it has been away; or it had been about to write its register, and does.
        let late_register = self.rng.chance(0.5);
        task.proc = Proc::Starting;
        self.end(index, if late_register { Ending::Done } else { Ending::Fenced });
    }

    fn end(&mut self, index: usize, ending: Ending) {
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

    /// Everything is uploaded: the register, the last heartbeat, exit.
    fn done(&mut self, index: usize) {
        if !self.s3_answers_task() {
            return self.end(index, Ending::Fenced);
        }
        let Some(task) = self.tasks.get(index) else { return };
        let Some(job_index) = task.job else { return };
        let (arn, attempt) = (task.view.arn.0.clone(), task.attempt());
        let Some(job) = self.jobs.get_mut(job_index) else { return };
        if !weak::on(weak::EARLY_REGISTER) {
            job.complete.insert(attempt);
        }
        let object = || ObjectRef { key: "manifest".into(), size: 1, sha256: String::new() };
        let terminal = Terminal {
            schema: SCHEMA,
            job: job.key().clone(),
            nonce: arn.clone(),
            written_at_ms: 0,
            outcome: Outcome::Succeeded(Succeeded {
                attempt,
                task_arn: Some(arn),
                bucket: "videos".into(),
                folder: String::new(),
                manifest: object(),
                files: 1,
                bytes: 1,
                duration_ms: 1,
                entry_points: Vec::new(),
            }),
        };
        let mine = self.put_register(&Arc::new(terminal), self.now);
        if !mine {
            self.reached.reach(56);
            return self.gone(index, Some(12), None);
        }
        // The answer of the write may be lost: the read-back shows the task's own nonce.
        let _ = self.fault(Fault::WriteAnswerLost);
        self.say(index, TaskState::Finished);
        // Now and then it is killed after all was done (S12).
        let code = if self.faults.on && self.rng.chance(0.05) { 137 } else { 0 };
        self.gone(index, Some(code), None);
    }

    /// Counts work that has ended.
    fn worked(&mut self, job: Option<usize>, since: Ms) {
        self.worked += self.now - since;
        if let Some(job) = job.and_then(|job| self.jobs.get_mut(job)) {
            job.working -= 1;
            if job.terminal.is_some() {
                self.wasted += self.now - since.max(job.decided_at);
            }
        }
    }

    /// The process has ended.
    fn gone(&mut self, index: usize, code: Option<i32>, reason: Option<&str>) {
        let now = self.now;
        let Some(task) = self.tasks.get_mut(index) else { return };
        let (before, job) = (task.proc, task.job);
        task.proc = Proc::Gone;
        task.beat_until = now;
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
        let policy = &self.setup.policy;
        if self.faults.on || self.setup.heal_at > since {
            return;
        }
        let allowed =
            policy.max_run + 900 * SECOND + 2 * policy.describe_every + 2 * self.setup.slack + 10 * MINUTE;
        let hangs = policy.no_progress + policy.heartbeat_stale + allowed - policy.max_run;
        let found = self.tasks.get(index).map(|task| {
            let hung = task.stalls_at.map_or(0, |at| self.now.saturating_sub(at.max(self.setup.heal_at)));
            invariants::l3_run_is_limited(task, self.now - since, allowed)
                .and_then(|()| invariants::l3_hang_is_limited(task, hung, hangs))
        });
        self.check(found.unwrap_or(Ok(())));
    }

    /// ECS shows the end.
    fn noticed(&mut self, index: usize) {
        let now = self.now;
        self.change(index, |view| {
            view.status = TaskStatus::Ended;
            view.stopping = true;
            view.stop_code.get_or_insert_with(|| "EssentialContainerExited".into());
        });
        // DEPROVISIONING may take long: its process has ended all the same, and the adapter says so.
        let until_stopped = if self.fault(Fault::LongDeprovisioning) {
            self.rng.spread(10 * MINUTE, 3 * HOUR)
        } else {
            SECOND
        };
        if let Some(task) = self.tasks.get_mut(index) {
            task.stuck = false;
            task.stopped_at = Some(now + until_stopped);
        }
        self.task_after(index, until_stopped + HOUR, Step::Purge);
    }

    /// Machines that stand still go on; tasks that ECS has lost are found when they are stopped.
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
    }
}
