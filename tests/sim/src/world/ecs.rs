//! ECS: the table of tokens, tasks and their phases, and views that are late, old or gone.

use std::sync::Arc;

use transcode_config::{
    contract::{Claim, JobKey},
    prices::Size,
};
use transcode_core::{
    judge::outcome::stop_reason,
    protocol::{
        clock::Ms,
        fact::{ErrorClass, Hint, Refusal},
        task_view::{Billed, Identity, TaskArn, TaskStatus, TaskView},
    },
    weakness::{Weakness, weak},
};

use super::{
    World,
    calls::failed,
    event::{Event, Step},
};
use crate::{
    fault::Fault,
    invariants,
    setup::{HOUR, MINUTE, SECOND},
    truth::{Proc, Task},
};

const RUN_TASK: &str = "ecs:RunTask";

/// The state of a client token.
#[derive(Debug, Clone)]
pub(super) struct Token {
    claim: Arc<Claim>,
    /// Its task; `None` for a call that was answered with `failures[]`.
    task: Option<usize>,
    made_at: Ms,
}

fn number(arn: &TaskArn) -> Option<usize> {
    arn.0.strip_prefix("arn:task/")?.parse().ok()
}

impl World {
    /// RunTask arrives at ECS. `Conflict` is answered as the adapter does: with the existing task.
    pub(super) fn run_task(&mut self, claim: &Arc<Claim>) -> Result<TaskArn, Refusal> {
        let mut token = claim.client_token();
        if weak(Weakness::RandomClientToken) {
            token = format!("{token}-{}", self.tokens.len());
        }
        let now = self.now;
        if let Some(known) = self.tokens.get(&token).cloned().filter(|known| self.token_lives(known)) {
            let _ = self.fault(Fault::Conflict);
            self.check(invariants::s7_same_launch(&known.claim, claim));
            return match known.task.and_then(|task| self.tasks.get(task)) {
                Some(task) => {
                    self.reached.reach(16);
                    Ok(task.view.arn.clone())
                }
                None => Err(Refusal::Definitive("Capacity is unavailable at this time".into())),
            };
        }
        let refuse = |class, text| Err(Refusal::Failed(failed(RUN_TASK, class, text)));
        if self.fault(Fault::LaunchThrottled) {
            return refuse(ErrorClass::Throttled, "Rate exceeded (ErrorCode: Throttling)");
        }
        if self.fault(Fault::NoCapacity) {
            return refuse(ErrorClass::Capacity, "Capacity is unavailable at this time");
        }
        if self.faults.on && self.setup.quota < usize::MAX && self.alive() >= self.setup.quota {
            self.reached.reach(20);
            return refuse(ErrorClass::Capacity, "You've reached the limit on the number of vCPUs");
        }
        let mut entry = Token { claim: Arc::clone(claim), task: None, made_at: now };
        if self.fault(Fault::LaunchFailures) {
            self.tokens.insert(token, entry);
            self.platform_trouble(claim, 0);
            return Err(Refusal::Definitive("RESOURCE:CPU".into()));
        }
        let job = self.by_key.get(&claim.job).copied();
        let task = self.new_task(job, claim, Some(&claim.job));
        entry.task = Some(task);
        self.runs(job, true);
        self.tokens.insert(token, entry);
        if self.setup.ordinary {
            let running = self.tasks.iter().filter(|task| task.alive());
            let (tasks, cpu) = running
                .fold((0, 0), |(tasks, cpu), task| (tasks + 1, cpu + u64::from(task.claim.variant.cpu)));
            self.check(invariants::no_more_run_than_may(tasks, cpu, &self.setup.policy));
        }
        Ok(TaskArn(format!("arn:task/{task}").into()))
    }

    fn alive(&self) -> usize {
        self.tasks.iter().filter(|task| task.alive()).count()
    }

    /// A token lives an hour longer than its task, at most a day.
    fn token_lives(&self, token: &Token) -> bool {
        let stopped = token.task.and_then(|task| self.tasks.get(task)).and_then(|task| task.stopped_at);
        self.now < stopped.map_or(Ms::MAX, |at| at + HOUR).min(token.made_at + 24 * HOUR)
    }

    fn new_task(&mut self, job: Option<usize>, claim: &Arc<Claim>, key: Option<&JobKey>) -> usize {
        let index = self.tasks.len();
        let shows_at = self.now
            + if self.fault(Fault::MissingAfterLaunch) {
                self.rng.spread(SECOND, 10 * MINUTE)
            } else {
                self.rng.below(SECOND)
            };
        let view = TaskView {
            arn: TaskArn(format!("arn:task/{index}").into()),
            version: 1,
            identity: key.map(|job| Identity { job: job.clone(), attempt: claim.attempt }),
            status: TaskStatus::Starting,
            stopping: false,
            stop_code: None,
            stopped_reason: None,
            exit_code: None,
            container_reason: None,
            started: false,
            billed: Billed { size: Size { cpu: claim.variant.cpu, ..Size::default() }, ..Billed::default() },
        };
        let offset = self.draw_offset();
        self.tasks.push(Task {
            old: view.clone(),
            view,
            job,
            claim: Arc::clone(claim),
            proc: Proc::NotStarted,
            epoch: 0,
            made_at: self.now,
            phase_since: self.now,
            shows_at,
            stopped_at: None,
            told_to_stop: false,
            stopped_by_hand: false,
            purged_at: Ms::MAX,
            stuck: false,
            beat_from: None,
            woken_at: None,
            quiet: None,
            beat_until: Ms::MAX,
            stalls_at: None,
            last_word: None,
            offset,
        });
        self.listed.push(index);
        if let Some(job) = job.and_then(|job| self.jobs.get_mut(job)) {
            job.tasks.push(index);
        }
        if let Some(job) = job
            && self.tasks_of(job, claim) > 1
            && let Some(job) = self.jobs.get_mut(job)
        {
            job.platform.remove(&claim.attempt);
        }
        if self.fault(Fault::StartFailure) {
            if job.is_some() {
                self.platform_trouble(claim, 1);
            }
            let delay = self.rng.spread(SECOND, 5 * MINUTE);
            self.after(delay, Event::Task(index, 0, Step::FailsToStart));
        } else {
            let delay = if self.fault(Fault::StuckStart) {
                self.hang(index);
                self.rng.spread(10 * MINUTE, 6 * HOUR)
            } else {
                self.rng.spread(5 * SECOND, 90 * SECOND)
            };
            self.after(delay, Event::Task(index, 0, Step::Start));
        }
        index
    }

    /// The task will hang in a phase of its start, visible in its timestamps. The phases before take most of their
    /// time, and less than all of it.
    fn hang(&mut self, index: usize) {
        let (provisioning, pull) = (self.setup.policy.provisioning_timeout, self.setup.policy.pull_timeout);
        let phase = self.rng.below(3);
        let (pulls, pulled) = (provisioning / 4 * 3, provisioning / 4 * 3 + pull / 4 * 3);
        for (step, after, at) in [(Step::Pulls, 0, pulls), (Step::Pulled, 1, pulled)] {
            if phase > after {
                self.task_after(index, at, step);
            }
        }
    }

    /// Changes ECS' view of a task, and may send an event.
    pub(super) fn change(&mut self, task: usize, change: impl FnOnce(&mut TaskView)) {
        let Some(task) = self.tasks.get_mut(task) else { return };
        task.old = task.view.clone();
        change(&mut task.view);
        task.view.version += 1;
        let hint = Hint::Task(task.view.arn.clone());
        self.hint(&hint);
    }

    /// DescribeTasks, for one task.
    pub(super) fn describe(&mut self, arn: &TaskArn) -> Option<TaskView> {
        let stale = self.fault(Fault::StaleView);
        let now = self.now;
        let task = number(arn).and_then(|index| self.tasks.get(index))?;
        if task.purged_at <= now {
            self.reached.reach(24);
            return None;
        }
        (task.shows_at <= now).then(|| if stale { task.old.clone() } else { task.view.clone() })
    }

    /// ListTasks with all pages, described: tasks that should run and, if the list is stale, also others.
    pub(super) fn list(&mut self) -> Vec<TaskView> {
        let mut listed = std::mem::take(&mut self.listed);
        listed.retain(|index| {
            self.tasks.get(*index).is_some_and(|task| !task.view.ended() && !task.view.stopping)
        });
        let mut views = Vec::new();
        for index in &listed {
            let Some(task) = self.tasks.get(*index).filter(|task| task.shows_at <= self.now) else {
                continue;
            };
            let arn = task.view.arn.clone();
            if !self.fault(Fault::PartialList) {
                views.extend(self.describe(&arn));
            }
        }
        self.listed = listed;
        views
    }

    /// StopTask, sent at `sent_at`, arrives at ECS.
    pub(super) fn stop(&mut self, arn: &TaskArn, reason: &'static str, sent_at: Ms) {
        let Some(index) = number(arn) else { return };
        let Some(task) = self.tasks.get_mut(index) else { return };
        task.told_to_stop = true;
        let task = task.clone();
        if task.job.is_none() {
            self.check(invariants::foreign_is_left_alone(arn));
        }
        // ECS does not find a task that it does not show yet: nothing is stopped, and the answer is no error.
        let unknown = task.shows_at > self.now || task.purged_at <= self.now;
        if task.view.ended() || unknown || task.view.stopping {
            self.reached.reach(30);
            return;
        }
        let job = task.job.and_then(|job| self.jobs.get(job));
        if let Some(job) = job.filter(|_| reason == stop_reason::SUPERSEDED) {
            self.reached_stopped_early += 1;
            self.check(invariants::s17_superseded_by_newer(job, self.live_instead_of(job)));
        } else if let Some(job) = job.filter(|_| reason == stop_reason::CANCELLED) {
            self.check(invariants::s19_cancel_was_asked(job, self.cancel_was_asked(job)));
        } else if let Some(job) = job {
            let beats = (task.beat_from, self.last_beat(&task));
            let when = (sent_at, self.now);
            self.check(invariants::l4_healthy_is_left_alone(job, &task, beats, when, &self.setup.policy));
        }
        // An old view may look like a change.
        if !self.faults.takes_part(Fault::StaleView) {
            self.check(invariants::l4_start_has_its_time(&task, reason, self.now, &self.setup.policy));
        }
        let found = self.check_silence(index);
        self.check(found);
        self.change(index, |view| {
            view.stopping = true;
            view.stop_code = Some("UserInitiated".into());
            view.stopped_reason = Some(reason.to_owned());
        });
        self.terminate(index);
    }

    /// A task of another program with our `startedBy`.
    pub(super) fn foreign_task(&mut self) {
        self.reached.reach(37);
        let Some(claim) = self.jobs.iter().find_map(|job| job.claims.last().cloned()) else { return };
        let _ = self.new_task(None, &claim, None);
    }

    /// Notes that the platform caused the end of an attempt (S10), if the attempt had at most one task. Of two tasks,
    /// the late one says nothing about the end of the attempt.
    pub(super) fn platform_trouble(&mut self, claim: &Claim, its_tasks: usize) {
        let attempt = claim.attempt;
        let Some(index) = self.job_of(&claim.job) else { return };
        let tasks = self.tasks_of(index, claim);
        if tasks <= its_tasks
            && let Some(job) = self.jobs.get_mut(index)
        {
            job.platform.insert(attempt);
        }
    }

    /// The number of tasks of an attempt.
    fn tasks_of(&self, job: usize, claim: &Claim) -> usize {
        let tasks = self.jobs.get(job).into_iter().flat_map(|job| job.tasks.iter());
        tasks.filter_map(|task| self.tasks.get(*task)).filter(|task| task.attempt() == claim.attempt).count()
    }
}
