//! Judging an attempt: is it alive, is it proven over, what would tell?
//!
//! This is invariant S5. An attempt is over only when
//! - every task of it that is known was seen ended by ARN, and the terminal record was read after that; or
//! - its launch was refused for good under its token; or
//! - its heartbeat has stood still for `heartbeat_stale`, its launch deadline and the skew margin are past, ECS does
//!   not know its tasks (or has had the order to stop them for longer than any container survives it), StopTask was
//!   acknowledged for each, and the terminal record was read after all of that.
//!
//! The last case leans on two promises of the task: it writes its first heartbeat *before* it looks at its launch
//! deadline and for a newer attempt, and it stops working when it could not write a heartbeat for 120 s.

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

/// What a look at an attempt says.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum Verdict {
    /// Alive, or not yet to be told. Nothing to do before the time given.
    Wait {
        /// Look again then (monotonic).
        until: Ms,
        /// Why, for people.
        why: &'static str,
    },
    /// Send RunTask (again: the token makes it harmless), not before the time given.
    Launch {
        /// Monotonic.
        not_before: Ms,
    },
    /// Send StopTask.
    Stop { task: TaskArn, reason: &'static str },
    /// Read the state bucket: what is known is older than what it is to be judged by.
    Inspect,
    /// Proven over, at the time given.
    Over {
        ended: Box<Ended>,
        /// Since when (monotonic).
        at: Ms,
    },
}

/// Everything that a judgement looks at.
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
    /// When a task that came up, if only just in time, would have been heard of. Its first heartbeat is there before its
    /// deadline; the rest is for a clock that is slower than the margin allows.
    fn silent_at(&self) -> Ms {
        self.attempt.expires_at + self.policy.heartbeat_stale
    }

    /// When the heartbeat goes stale, if it stands still.
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

    /// S6 with clocks further apart than the skew margin: an earlier attempt that ended without ECS' word may have come
    /// up after all. It wrote its first heartbeat before it looked for a newer attempt, so either it finds this one's
    /// claim and ends, or its heartbeat lay there before the claim did: it is looked for once more, now that the claim
    /// is there. While one is heard of, nothing is launched.
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
        // All are over. The one that said most tells how: a described end before a disappearance.
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

    /// One task of the attempt. `Over` here means only that this task cannot be working any more.
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
                // A bucket that cannot be read shows no heartbeats either: silence counts only when it was listened to,
                // and lately: a task may come up after all. And ECS' word may be old: a heartbeat tells of a start that
                // it does not show yet.
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
        // Known to ECS: any container has been killed for good `stop_timeout` after the order. Unknown: nothing to wait for.
        let gone = if told { stopped_at + self.policy.stop_timeout } else { stopped_at };
        if now < gone {
            return Verdict::Wait { until: gone, why: "stopping the task" };
        }
        over(gone.max(silent))
    }

    /// A living task that is past one of its deadlines: since when and which; else when the next deadline is.
    fn overdue(&self, task: &TaskRecord) -> Result<(Ms, &'static str), Ms> {
        let now = self.now.mono;
        let status = task.view.as_ref().map_or(TaskStatus::Starting, |view| view.status);
        // A heartbeat is as good a sign of a start as ECS' word, which may be late.
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
            // Held against what ECS says then, not against what it said long before.
            let at = if task.seen_at >= at || weak(Weakness::JudgesStartByOldView) {
                at
            } else {
                at.max(now.max(task.describe_at) + 1000)
            };
            [Some((if weak(Weakness::WaitsForeverForStart) { Ms::MAX } else { at }, reason)), None, None]
        } else {
            // The task keeps its run time itself; a quarter of an hour more is for one that cannot. One that ECS has not shown
            // running yet may have come up late: its heartbeats say that it works, and not since when.
            let most =
                if weak(Weakness::LetsTaskRunTooLong) { Ms::MAX } else { self.policy.max_run + 900_000 };
            let run = task.running_at.map(|at| (at.saturating_add(most), stop_reason::RUN_TIMEOUT));
            let alive_at = self.attempt.heartbeat_at.max(task.running_at.unwrap_or(task.known_at));
            let silence =
                if weak(Weakness::LetsSilentTaskLive) { Ms::MAX } else { 2 * self.policy.heartbeat_stale };
            let silent = (alive_at.saturating_add(silence), stop_reason::NO_HEARTBEAT);
            // A heartbeat that says how it ended is the last one, and NO_HEARTBEAT comes first.
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

    /// Whether the state bucket was read after `at`.
    fn read_since(&self, at: Ms) -> bool {
        weak(Weakness::JudgesWithoutRereading) || self.job.read_at().is_some_and(|read_at| read_at >= at)
    }

    /// Whether that was lately: what was read before the controller stood still for a while says nothing of now.
    fn read_lately(&self) -> bool {
        weak(Weakness::StopsByOldReading) || self.job.read_lately(self.now.mono)
    }
}
