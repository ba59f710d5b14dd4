//! What an undecided job, or one that is decided and not settled, waits for.

use transcode_config::{
    Settings,
    contract::{Budget, Heartbeat, JobKey, JobStatus, Outcome, PastAttempt, TaskState},
};

use super::ends::{who, why};
use crate::cli::{
    find::{AttemptRecord, Heard, Record},
    output::{span, time},
};

/// Who can act on the reason for which a job waits.
fn acts(waiting: &JobStatus) -> String {
    if waiting.refused {
        return "You can act: AWS refuses that call until somebody changes what it names (a permission, a key, a \
                setting). The controller tries it less and less often, at last every 15 min; SIGHUP with changed \
                settings makes it try at once."
            .to_owned();
    }
    "Nobody has to act as long as that passes.".to_owned()
}

/// The inputs for the explanation of an undecided job.
pub(super) struct View<'a> {
    pub(super) heard: &'a Heard,
    pub(super) settings: &'a Settings,
    pub(super) now: u64,
}

impl View<'_> {
    /// What an undecided job waits for.
    pub(super) fn undecided(&self, record: &Record) -> Vec<String> {
        let Some(newest) = record.newest() else {
            let claim = "Its first attempt has not been claimed.".to_owned();
            return vec![claim, self.controller(&record.job)];
        };
        vec![self.attempt(newest), self.budgets(&newest.claim.history), self.controller(&record.job)]
    }

    fn attempt(&self, newest: &AttemptRecord) -> String {
        let claim = &newest.claim;
        let (number, deadline) = (claim.attempt, claim.launch_not_after_ms);
        match &newest.heartbeat {
            Some(heartbeat) => self.heartbeat(newest, heartbeat),
            None if self.now < deadline => format!(
                "Attempt {number} was claimed {} ago and its task has not reported yet: it waits for ECS to start one, \
                 until {}. Nobody has to act before that.",
                self.ago(claim.created_at_ms),
                self.until(deadline),
            ),
            None => {
                let sure = deadline + self.margin() + self.settings.observe.heartbeat_stale_seconds * 1000;
                format!(
                    "Attempt {number} was claimed {} ago and no task of it has reported; it had to start before {}. It \
                     is given up and followed by another at about {}, once it is certain that no task came up. If that \
                     repeats, you can act: look at the reasons of the stopped tasks in cluster {} (image, subnets, \
                     quota).",
                    self.ago(claim.created_at_ms),
                    time(deadline),
                    self.until(sure),
                    self.settings.cluster.name,
                )
            }
        }
    }

    fn heartbeat(&self, newest: &AttemptRecord, heartbeat: &Heartbeat) -> String {
        let (number, stage) = (newest.claim.attempt, heartbeat.stage.name());
        let heard = self.ago(heartbeat.written_at_ms);
        let silence = self.settings.observe.heartbeat_stale_seconds * 1000;
        match &heartbeat.state {
            TaskState::Working if self.now <= heartbeat.written_at_ms + silence => {
                let longest = newest.claim.launch_not_after_ms + self.margin() + self.run_time();
                let playable = heartbeat
                    .playable
                    .as_ref()
                    .map(|key| format!(" What is ready can be played: {key} in the output bucket."));
                format!(
                    "Attempt {number} is {stage}, {:.0} % done, last heard of {heard} ago: it waits for that task alone, at \
                     the longest until {}. Nobody has to act.{}",
                    heartbeat.percent,
                    self.until(longest),
                    playable.unwrap_or_default(),
                )
            }
            TaskState::Working => {
                let given_up = heartbeat.written_at_ms + 2 * silence;
                let task = heartbeat.task_arn.as_deref().unwrap_or("its task");
                format!(
                    "Attempt {number} was {stage} when it was last heard of {heard} ago: the task is dead or cut off. The \
                     controller stops it at about {} and then tries again; you need not act, but can: stop {task}.",
                    self.until(given_up),
                )
            }
            TaskState::Finished => format!(
                "Attempt {number} said {heard} ago that it had finished, and yet the terminal record is missing: you can act; \
                 somebody has deleted it, or the state bucket answers with old data."
            ),
            TaskState::Interrupted => format!(
                "Attempt {number} was stopped from outside {heard} ago while {stage}. It waits for the next one, {}. Nobody \
                 has to act.",
                self.backoff(),
            ),
            TaskState::Failed { failure } if failure.code.info().retryable => format!(
                "Attempt {number} failed {heard} ago while {stage}: {}. It waits for the next attempt, {}. {}",
                why(failure),
                self.backoff(),
                who(failure),
            ),
            TaskState::Failed { failure } => format!(
                "Attempt {number} failed {heard} ago while {stage}: {}. Another attempt cannot help, so it is about to be \
                 given up. {}",
                why(failure),
                who(failure),
            ),
        }
    }

    /// The attempts that are left, once some are spent.
    fn budgets(&self, history: &[PastAttempt]) -> String {
        let spent = |budget| history.iter().filter(|past| past.budget == budget).count();
        let Some(last) = history.last() else { return String::new() };
        let jobs = &self.settings.jobs;
        format!(
            "Before it the job itself failed {} of {} allowed times and the platform {} of {}, last with {} ({}).",
            spent(Budget::Job),
            jobs.max_attempts,
            spent(Budget::Platform),
            jobs.max_platform_attempts,
            last.code,
            last.message,
        )
    }

    /// The remaining steps of a decided job, from the controller's notes and from the live job under its stable prefix.
    pub(super) fn unsettled(&self, record: &Record, outcome: &Outcome) -> Option<String> {
        if let Some(status) = self.heard.job(&record.job).filter(|_| self.heard.silence(self.now).is_none()) {
            return Some(format!("{} {}", self.said(status), acts(status)));
        }
        if !record.is_unpublished(outcome) {
            return None;
        }
        let back = match self.heard.silence(self.now) {
            Some(_) => "",
            None => {
                " Its message comes back to the queue by itself, and the controller goes on with it then."
            }
        };
        Some(format!("Nothing of it is published yet. {}{back}", self.controller(&record.job)))
    }

    /// The controller's word on the job.
    fn said(&self, status: &JobStatus) -> String {
        let age = self.heard.report().map_or_else(String::new, |report| span(report.age_ms(self.now)));
        let step = status.step.as_ref().map(|step| format!(" (step `{step}`)")).unwrap_or_default();
        let why = status.why.as_deref().unwrap_or("it is at work on it");
        match status.until_ms {
            Some(until) => {
                format!(
                    "The controller said {age} ago: {why}{step}; it looks again at {}.",
                    self.until(until)
                )
            }
            None => format!("The controller said {age} ago: {why}{step}."),
        }
    }

    /// What the controller's report says of the job and of the whole.
    pub(super) fn controller(&self, job: &JobKey) -> String {
        if let Some(silence) = self.heard.silence(self.now) {
            return format!(
                "{silence} Nothing goes on before one runs: look at the controller's service and its log."
            );
        }
        let left_off = self.heard.report().map_or(0, |report| report.left_off);
        let said = match self.heard.job(job) {
            Some(status) if status.refused => format!("{} {}", self.said(status), acts(status)),
            Some(status) => self.said(status),
            None if left_off > 0 => {
                format!("The controller's report does not mention it, but leaves {left_off} jobs off.")
            }
            None => format!(
                "The controller's report does not mention it: it holds no message of the job at present ({}).",
                self.heard.queues().join("; ")
            ),
        };
        // A job that waits for the same reason already has it.
        let pauses = self.heard.pauses(self.now);
        let told = self.heard.job(job).and_then(|status| status.why.as_deref()).unwrap_or("\0");
        let more = pauses.into_iter().filter(|pause| !pause.contains(told));
        std::iter::once(said).chain(more).collect::<Vec<_>>().join(" ")
    }

    fn backoff(&self) -> String {
        format!("which follows within {}", span(self.settings.jobs.retry_cap_seconds * 1000))
    }

    /// The largest difference of clocks that the protocol allows for.
    fn margin(&self) -> u64 {
        self.settings.launch.clock_skew_seconds * 1000
    }

    fn run_time(&self) -> u64 {
        self.settings.jobs.max_run_seconds * 1000
    }

    fn ago(&self, ms: u64) -> String {
        span(self.now.saturating_sub(ms))
    }

    fn until(&self, ms: u64) -> String {
        match ms.checked_sub(self.now) {
            Some(left) => format!("{} (in {})", time(ms), span(left)),
            None => format!("{} (passed {} ago)", time(ms), span(self.now - ms)),
        }
    }
}
