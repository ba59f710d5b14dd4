//! Judging an attempt: is it alive, is it proven over, or which call would show it?
//!
//! This is promise S5. An attempt is over only when
//! - every task of it that is known was seen ended by ARN, and the terminal record was read after that; or
//! - its launch was refused for good under its token; or
//! - its heartbeat has not changed for `heartbeat_stale`; its launch deadline and the skew margin have passed; ECS does
//!   not know its tasks, or acknowledged their stop longer ago than any container survives; StopTask was acknowledged for
//!   each; and the terminal record was read after all of that.
//!
//! The last case depends on two promises of the task: it writes its first heartbeat *before* it checks its launch
//! deadline and looks for a newer attempt, and it stops working when it could not write a heartbeat for 120 s.

use transcode_config::contract::{FailureCode, TaskState};

use crate::{
    judge::outcome::{Ended, classify, stop_reason, unproven},
    policy::Policy,
    protocol::{
        clock::{Ms, Now},
        task_view::{StartPhase, TaskArn, TaskStatus},
    },
    state::{
        job::{AttemptState, Job},
        task::TaskRecord,
    },
    weakness::{Weakness, weak},
};

/// The judgement of an attempt.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum Verdict {
    /// Alive, or not decidable yet. Nothing to do before the time given.
    Wait {
        /// Judge again at this time (monotonic).
        until: Ms,
        /// The reason, for people.
        why: &'static str,
    },
    /// Send RunTask (a repeated call is harmless: ECS knows the token), not before the time given.
    Launch {
        /// Earliest time of the call (monotonic).
        not_before: Ms,
    },
    /// Send StopTask.
    Stop { task: TaskArn, reason: &'static str },
    /// Read the state bucket: the newest reading is older than the event that it must follow.
    Inspect,
    /// Proven over.
    Over {
        ended: Box<Ended>,
        /// Since when (monotonic).
        at: Ms,
    },
}

/// The inputs of a judgement.
struct Case<'a> {
    attempt: &'a AttemptState,
    tasks: Vec<(&'a TaskArn, &'a TaskRecord)>,
    job: &'a Job,
    policy: &'a Policy,
    now: Now,
}

/// Judges the newest attempt of a job whose terminal record was absent when last read.
pub fn judge<'a>(
    job: &'a Job,
    attempt: &'a AttemptState,
    tasks: impl Fn(&TaskArn) -> Option<&'a TaskRecord>,
    policy: &'a Policy,
    now: Now,
) -> Verdict {
    let number = attempt.claim.attempt;
    let own = job.tasks.iter().filter(|(_, of)| **of == number);
    let tasks = own.filter_map(|(arn, _)| tasks(arn).map(|record| (arn, record))).collect();
    let case = Case { attempt, tasks, job, policy, now };
    if case.tasks.is_empty() { case.without_task() } else { case.with_tasks() }
}

impl Case<'_> {
    /// The heartbeat of a task that just made its launch deadline is seen by this time (monotonic). Such a task writes
    /// its first heartbeat before the deadline; `heartbeat_stale` more allows for a clock that is slower than the
    /// margin.
    fn silent_at(&self) -> Ms {
        self.attempt.expires_at + self.policy.heartbeat_stale
    }

    /// When the heartbeat becomes stale if it does not change (monotonic).
    fn stale_at(&self) -> Ms {
        self.attempt.heartbeat_at
            + if weak(Weakness::TakesPauseForEnd) { 60_000 } else { self.policy.heartbeat_stale }
    }

    fn without_task(&self) -> Verdict {
        if let Some((at, reason)) = &self.attempt.refused {
            let ended = Ended::without_word(
                FailureCode::LaunchRefused,
                format!("ECS refused the launch: {reason}"),
                None,
            );
            return self.over_if_read_after(*at, ended);
        }
        if self.now.wall < self.attempt.claim.launch_not_after_ms || weak(Weakness::LaunchesPastDeadline) {
            return self
                .earlier_alive()
                .unwrap_or(Verdict::Launch { not_before: self.attempt.launch_retry_at });
        }
        let at = if weak(Weakness::LeavesNoClockMargin) {
            self.attempt.expires_at.saturating_sub(self.policy.clock_skew)
        } else {
            self.silent_at().max(self.stale_at())
        };
        if self.now.mono < at {
            return Verdict::Wait {
                until: at,
                why: "launch deadline passed; making sure that no task came up",
            };
        }
        let message = "no task came up before the launch deadline";
        self.over_if_read_after(at, Ended::without_word(FailureCode::LaunchExpired, message, None))
    }

    /// S6 when clocks differ by more than the skew margin: an earlier attempt whose end ECS never confirmed may have
    /// started after all. It writes its first heartbeat before it looks for a newer attempt. So either it finds this
    /// attempt's claim and ends, or its heartbeat existed before this claim did: therefore the state bucket is read
    /// once more after the claim. While such a heartbeat changes, nothing is launched.
    fn earlier_alive(&self) -> Option<Verdict> {
        let mut doubtful = self.attempt.claim.history.iter().filter(|past| unproven(past)).peekable();
        doubtful.peek().filter(|_| !weak(Weakness::LaunchesWithoutSecondLook))?;
        if !self.read_since(self.attempt.known_at) {
            return Some(Verdict::Inspect);
        }
        let signs = doubtful.filter_map(|past| self.attempt.earlier.get(&past.attempt));
        let working = signs.filter(|it| it.heartbeat.state == TaskState::Working);
        let until = working.map(|it| it.seen_at + self.policy.heartbeat_stale).max()?;
        (self.now.mono < until).then_some(Verdict::Wait {
            until,
            why: "an earlier attempt gave a sign of life; making sure that it is over",
        })
    }

    fn with_tasks(&self) -> Verdict {
        let mut latest_end = 0;
        let mut wait: Option<(Ms, &'static str)> = None;
        for (arn, task) in &self.tasks {
            match self.one(arn, task) {
                Verdict::Over { at, .. } => latest_end = latest_end.max(at),
                Verdict::Wait { until, why } => {
                    wait = Some(wait.map_or((until, why), |(sooner, said)| {
                        if until < sooner { (until, why) } else { (sooner, said) }
                    }));
                }
                other => return other,
            }
        }
        if let Some((until, why)) = wait {
            return Verdict::Wait { until, why };
        }
        // All tasks are over. A task that ECS describes as ended gives the reason of the end before one that
        // disappeared.
        let told = self.tasks.iter().find_map(|(_, task)| task.view.as_ref().filter(|view| view.ended()));
        let ended = match told {
            Some(view) => classify(view, self.attempt.heartbeat.as_ref()),
            None => self.vanished(),
        };
        self.over_if_read_after(latest_end, ended)
    }

    fn vanished(&self) -> Ended {
        let arn = self.tasks.first().map(|(arn, _)| (*arn).clone());
        Ended::without_word(
            FailureCode::TaskLost,
            "ECS does not know the task any more and its heartbeat stands still",
            arn,
        )
    }

    /// Judges one task of the attempt. `Over` here means only that this task cannot be working any more.
    fn one(&self, arn: &TaskArn, task: &TaskRecord) -> Verdict {
        let over = |at| Verdict::Over { ended: Box::new(self.vanished()), at };
        let now = self.now.mono;
        if let Some(at) = task.ended_at {
            return over(at);
        }
        let stop = |reason| {
            if task.stop_call || now < task.stop_retry_at {
                Verdict::Wait { until: task.stop_retry_at.max(now + 1000), why: "stopping the task" }
            } else {
                Verdict::Stop { task: arn.clone(), reason }
            }
        };
        if weak(Weakness::TakesMissingForEnd)
            && let Some(at) = task.missing_since
        {
            return over(at);
        }
        let told = task.view.is_some() && task.missing_since.is_none();
        if weak(Weakness::TakesStopAnswerForEnd)
            && let Some(at) = task.stopped_at
        {
            return over(at);
        }
        if told && task.stopped_at.is_none() {
            return match self.overdue(task) {
                // A bucket that cannot be read shows no heartbeats either, so silence counts only if the bucket was
                // read after the deadline, and recently: the task may start after all. ECS' view may be old, and a
                // heartbeat shows a start that the view does not show yet.
                Ok((
                    at,
                    stop_reason::NO_HEARTBEAT
                    | stop_reason::NO_PROGRESS
                    | stop_reason::PROVISIONING_TIMEOUT
                    | stop_reason::PULL_TIMEOUT
                    | stop_reason::START_TIMEOUT,
                )) if !(self.read_since(at) && self.read_lately()
                    || weak(Weakness::TakesUnreadableForSilence)) =>
                {
                    Verdict::Inspect
                }
                Ok((_, reason)) => stop(reason),
                Err(until) => Verdict::Wait { until, why: "the task is alive" },
            };
        }
        let silent = self.silent_at().max(self.stale_at());
        if now < silent {
            return Verdict::Wait { until: silent, why: "waiting for a sign of the task" };
        }
        let Some(stopped_at) =
            task.stopped_at.or(weak(Weakness::JudgesLostWithoutStopTask).then_some(silent))
        else {
            return if self.read_since(silent) { stop(stop_reason::LOST) } else { Verdict::Inspect };
        };
        // Known to ECS: `stop_timeout` after the stop every container has been killed. Unknown to ECS: nothing to wait
        // for.
        let gone = if told { stopped_at + self.policy.stop_timeout } else { stopped_at };
        if now < gone {
            return Verdict::Wait { until: gone, why: "stopping the task" };
        }
        over(gone.max(silent))
    }

    /// `Ok`: a deadline of this living task has passed; since when (monotonic) and which. `Err`: the next deadline
    /// (monotonic).
    fn overdue(&self, task: &TaskRecord) -> Result<(Ms, &'static str), Ms> {
        let now = self.now.mono;
        let status = task.view.as_ref().map_or(TaskStatus::Starting, |view| view.status);
        // A heartbeat proves a start as well as ECS' view, which may come late.
        let deadlines = if status == TaskStatus::Starting && self.attempt.heartbeat.is_none() {
            let (phase, since) = task.phase;
            let (most, reason) = match phase {
                StartPhase::Provisioning => {
                    (self.policy.provisioning_timeout, stop_reason::PROVISIONING_TIMEOUT)
                }
                StartPhase::Pulling => (self.policy.pull_timeout, stop_reason::PULL_TIMEOUT),
                StartPhase::Activating => (self.policy.start_timeout, stop_reason::START_TIMEOUT),
            };
            let at = since + most;
            // The deadline needs a view from after it; an older view may not show a start that happened in time.
            let at = if task.seen_at >= at || weak(Weakness::JudgesStartByOldView) {
                at
            } else {
                at.max(now.max(task.describe_at) + 1000)
            };
            [Some((if weak(Weakness::WaitsForeverForStart) { Ms::MAX } else { at }, reason)), None, None]
        } else {
            // The task limits its run time itself; a quarter of an hour more is for a task that cannot. A task that ECS
            // has not shown running yet has no known start: its heartbeats show that it works, not since when.
            let most =
                if weak(Weakness::LetsTaskRunTooLong) { Ms::MAX } else { self.policy.max_run + 900_000 };
            let run = task.running_at.map(|at| (at.saturating_add(most), stop_reason::RUN_TIMEOUT));
            let alive_at = self.attempt.heartbeat_at.max(task.running_at.unwrap_or(task.known_at));
            let silence =
                if weak(Weakness::LetsSilentTaskLive) { Ms::MAX } else { 2 * self.policy.heartbeat_stale };
            let silent = (alive_at.saturating_add(silence), stop_reason::NO_HEARTBEAT);
            // A heartbeat with a final state is the last one; NO_HEARTBEAT comes before this deadline.
            let stuck = (self.attempt.heartbeat.is_some() && !weak(Weakness::LetsStalledTaskLive))
                .then(|| (self.attempt.progress_at + self.policy.no_progress, stop_reason::NO_PROGRESS));
            [run, Some(silent), stuck]
        };
        let deadlines = deadlines.into_iter().flatten();
        match deadlines.clone().find(|(at, _)| now >= *at) {
            Some(passed) => Ok(passed),
            None => Err(deadlines.map(|(at, _)| at).min().unwrap_or(now + self.policy.describe_every)),
        }
    }

    fn over_if_read_after(&self, at: Ms, ended: Ended) -> Verdict {
        if self.read_since(at) { Verdict::Over { ended: Box::new(ended), at } } else { Verdict::Inspect }
    }

    /// Whether the state bucket was read after `at` (monotonic).
    fn read_since(&self, at: Ms) -> bool {
        weak(Weakness::JudgesWithoutRereading) || self.job.read_at().is_some_and(|read_at| read_at >= at)
    }

    /// Whether the newest reading is recent: after a pause of the whole controller, an old reading says nothing about
    /// the present.
    fn read_lately(&self) -> bool {
        weak(Weakness::StopsByOldReading) || self.job.read_lately(self.now.mono)
    }
}
