//! The task's side of the contract: first heartbeat, *then* start checks (S8), work with heartbeats, fence, terminal
//! record, last heartbeat, exit code. And the faults of a task.

use std::sync::Arc;

use transcode_config::contract::FailureCode;
use transcode_core::{
    protocol::{clock::Ms, task_view::TaskStatus},
    weakness::{Weakness, weak},
};

use super::{
    World,
    event::{Ending, Event, Step},
};
use crate::{
    fault::Fault,
    invariants,
    rng::{Rng, mix},
    setup::{BEAT_EVERY, Episode, FENCE, HOUR, MINUTE, Nature, SECOND},
    truth::Proc,
};

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

    pub(super) fn task_after(&mut self, index: usize, delay: Ms, step: Step) {
        let epoch = self.tasks.get(index).map_or(0, |task| task.epoch);
        self.after(delay, Event::Task(index, epoch, step));
    }

    /// Makes every planned step of a task outdated.
    pub(super) fn new_story(&mut self, index: usize) {
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
            Step::Pulls | Step::Pulled => self.gets_on(index, step),
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
        }
    }

    /// The next phase of its start, visible in ECS' timestamps.
    fn gets_on(&mut self, index: usize, step: Step) {
        let now = self.now;
        let Some(task) = self.tasks.get_mut(index).filter(|task| task.proc == Proc::NotStarted) else {
            return;
        };
        task.phase_since = now;
        self.change(index, |view| match step {
            Step::Pulls => view.billed.pull_started_at = Some(now),
            _ => view.billed.pull_stopped_at = Some(now),
        });
    }

    fn start(&mut self, index: usize) {
        let found = self.check_start_time(index);
        self.check(found);
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

    pub(super) fn s3_answers_task(&mut self) -> bool {
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
        let newest = job.claims.len() == task.attempt().number() as usize;
        let late = wall >= task.claim.launch_not_after_ms && !weak(Weakness::TaskIgnoresLaunchDeadline);
        if (job.terminal.is_some() || !newest || late) && !weak(Weakness::TaskSkipsStartChecks) {
            if late {
                self.reached.reach(22);
            }
            self.gone(index, Some(12), None);
            return;
        }
        let attempt = task.attempt();
        let found = invariants::s8_begins_in_time(job, task, wall);
        self.check(found);
        self.began += u64::from(!self.given_up(job_index));
        if let Some(task) = self.tasks.get_mut(index) {
            task.proc = Proc::Working(self.now);
        }
        if let Some(job) = self.jobs.get_mut(job_index) {
            job.working += 1;
            // From its first segment on, with an open multipart upload. The model does not rely on the task's own
            // cleanup.
            job.files.insert(attempt);
        }
        let found = self.jobs.get(job_index).map_or(Ok(()), invariants::s6_one_works);
        self.check(found);
        self.draw_story(index, job_index);
    }

    /// Draws the course of a task's work.
    fn draw_story(&mut self, index: usize, job: usize) {
        let most = self.setup.policy.max_run;
        let (shortest, longest) = self.setup.work;
        let mut work = if self.setup.even_work {
            self.rng.between(shortest, longest)
        } else {
            self.rng.spread(shortest, longest)
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
            (Fault::DiesBeforeRecord, Ending::Dies("", 137)),
        ] {
            if self.fault(fault) {
                ending = instead;
            }
        }
        if work > most {
            (work, ending) = (most, Ending::Fails(FailureCode::RunTimeExceeded));
        } else if ending == Ending::Fails(FailureCode::EncoderStalled) && self.rng.chance(0.5) {
            // The task itself never ends it.
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

    /// S3 cannot be reached for a time. If that is longer than the fence, the task ends itself.
    fn cut_off(&mut self, index: usize, work: Ms, ending: &mut Ending) -> Ms {
        let (at, length) = (self.rng.below(work), self.rng.spread(10 * SECOND, HOUR));
        let (begin, end) = (self.now + at, self.now + at + length);
        let now = self.now;
        let Some(task) = self.tasks.get_mut(index) else { return work };
        task.quiet = Some((begin, end));
        let from = task.beat_from.unwrap_or(now);
        let last = from + (begin.max(from) - from) / BEAT_EVERY * BEAT_EVERY;
        let fenced = last + FENCE;
        if fenced < end && fenced < now + work && !weak(Weakness::TaskWorksOnWhenCutOff) {
            *ending = Ending::Fenced;
            return fenced - now;
        }
        work
    }

    fn interrupted_by(&mut self, index: usize, at: Ms, code: &'static str, reason: &'static str) {
        self.task_after(index, at, Step::TakenBack(code, reason));
    }

    /// The platform interrupts the task, with or without a warning.
    fn taken_back(&mut self, index: usize, code: &'static str, reason: &'static str) {
        if let Some(task) = self.tasks.get(index).filter(|task| !task.view.stopping) {
            let claim = Arc::clone(&task.claim);
            self.platform_trouble(&claim, 1);
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
                // The stop may release a task that hangs in a phase.
                let delay = self.rng.spread(SECOND, 5 * MINUTE);
                if !self.faults.on || self.rng.chance(0.5) {
                    self.task_after(index, delay, Step::Noticed);
                }
            }
            Proc::Gone => {}
            Proc::Frozen(_) => {
                // A suspended machine does not receive SIGTERM; its host kills it.
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
        // Events that would have ended its work cannot happen while it is suspended.
        self.new_story(index);
        self.task_after(index, length, Step::Thaw);
    }

    fn thaw(&mut self, index: usize) {
        let Some(task) = self.tasks.get_mut(index) else { return };
        if !matches!(task.proc, Proc::Frozen(_)) {
            return;
        }
        // It notices that it was suspended; or it was about to write its terminal record, and does so.
        let late_terminal_record = self.rng.chance(0.5);
        (task.proc, task.woken_at) = (Proc::Starting, Some(self.now));
        self.end(index, if late_terminal_record { Ending::Done } else { Ending::Fenced });
    }
}
