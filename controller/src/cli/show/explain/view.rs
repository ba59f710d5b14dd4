//! What an undecided job, or one that is decided and not settled, waits for.

use transcode_config::{
    Settings,
    contract::{Budget, Heartbeat, JobKey, JobStatus, Outcome, PastAttempt, TaskState},
};

use super::ends::{who, why as failed};
use crate::{
    cli::{
        find::{AttemptRecord, Heard, Record},
        output::{span, time},
    },
    evidence::Evidence,
};

/// Begin of the reason of a job that waits for a pause of all launches.
const PAUSED: &str = "launches pause";

/// Who can act on the reason for which a job waits; `refused`: AWS refuses the call for good.
pub(super) fn acts(refused: bool, why: &str) -> String {
    if why.starts_with(PAUSED) {
        return "If that names a permission, an image or a setting, you can act: nothing is launched until it is mended."
            .to_owned();
    }
    if refused {
        return "You can act: AWS refuses that call until somebody changes what it names (a permission, a key, a \
                setting). The controller tries it less and less often, at last every 15 min; SIGHUP with changed \
                settings makes it try at once."
            .to_owned();
    }
    "Nobody has to act as long as that passes.".to_owned()
}

/// Why a job waits, as the controller reported it.
fn why(status: &JobStatus) -> &str {
    status.why.as_deref().unwrap_or_default()
}

/// The inputs for the explanation of an undecided job.
pub(super) struct View<'a> {
    pub(super) heard: &'a Heard,
    pub(super) settings: &'a Settings,
    /// What was found beside the report, where that is old or does not mention the job.
    pub(super) evidence: Option<&'a Evidence>,
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
                 until {}.{}",
                self.ago(claim.created_at_ms),
                self.until(deadline),
                if self.launches() { " Nobody has to act before that." } else { "" },
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

    /// Whether launches go on, as far as that is known.
    fn launches(&self) -> bool {
        let reported = self.heard.report().is_some_and(|report| report.launches_pause.is_some());
        let noted = self.evidence.and_then(|evidence| evidence.notes.as_ref());
        !reported && noted.is_none_or(|notes| notes.launches_pause.is_none())
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
                failed(failure),
                self.backoff(),
                who(failure),
            ),
            TaskState::Failed { failure } => format!(
                "Attempt {number} failed {heard} ago while {stage}: {}. Another attempt cannot help, so it is about to be \
                 given up. {}",
                failed(failure),
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

    /// The remaining steps of a decided job: by the controller's own word, by its report if that is of after the end, and
    /// from the live job under its stable prefix.
    pub(super) fn unsettled(&self, record: &Record, outcome: &Outcome) -> Option<String> {
        let silence = self.heard.silence(self.now);
        if let Some(noted) = self.own_word(&record.job) {
            return Some(noted);
        }
        if let Some(status) = self.heard.of_record(record).filter(|_| silence.is_none()) {
            let of_now = status.step.is_some() || self.is_told(record) || self.evidence.is_none();
            if of_now {
                return Some(format!("{} {}", self.said(status), acts(status.refused, why(status))));
            }
        }
        if !record.is_unpublished(outcome) {
            let unsure = self.unsure(record);
            // Its pointer is live; stable names follow the pointer.
            let won = matches!(outcome, Outcome::Succeeded(_));
            return if won { unsure.or_else(|| self.behind(record)) } else { unsure };
        }
        if let (Some(report), Some(_), None) = (self.heard.report(), self.heard.job(&record.job), &silence) {
            let age = span(report.age_ms(self.now));
            return Some(format!(
                "Nothing of it is published yet: the controller's report, of {age} ago, is older than that. It publishes \
                 next; nobody has to act."
            ));
        }
        let back = match silence {
            Some(_) => "",
            None => {
                " Its message comes back to the queue by itself, and the controller goes on with it then."
            }
        };
        Some(format!("Nothing of it is published yet. {}{back}", self.controller(&record.job)))
    }

    /// Whether the report is of after the end of the job.
    fn is_told(&self, record: &Record) -> bool {
        record.terminal.as_ref().is_some_and(|terminal| self.heard.is_after(terminal.written_at_ms))
    }

    /// A decided job whose last steps nobody can have reported: the report cannot be written, or the log has trouble with
    /// the job since its end.
    fn unsure(&self, record: &Record) -> Option<String> {
        let (evidence, open) = (self.evidence?, self.behind(record)?);
        let ended = record.terminal.as_ref().map_or(0, |terminal| terminal.written_at_ms);
        let trouble = evidence.failed(&record.job).is_some_and(|line| line.at_ms >= ended);
        let sure = evidence.unwritten().is_none() && !trouble;
        (!sure).then(|| format!("{open} {}", self.beside(&record.job).join(" ")))
    }

    /// That the newest report is of before the end of a decided job, unless the controller itself does not name it: it
    /// names each job that waits.
    pub(super) fn behind(&self, record: &Record) -> Option<String> {
        let evidence = self.evidence?;
        let settled =
            evidence.notes.as_ref().is_some_and(|notes| !notes.jobs.contains_key(record.job.as_str()));
        if settled || self.is_told(record) {
            return None;
        }
        let behind = "whether all that follows is done (index, letter, message) stands in the next one, within a minute \
                      of a controller that can write.";
        Some(match self.heard.report() {
            Some(report) => {
                format!(
                    "The newest report, {} old, is of before that: {behind}",
                    span(report.age_ms(self.now))
                )
            }
            None => format!("There is no report: {behind}"),
        })
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
            let beside = self.beside(job).join(" ");
            // That it cannot write was said before.
            if self.unwritten().is_some() {
                return beside;
            }
            return format!(
                "{silence} Nothing goes on before one runs and can write into the state bucket: look at the controller's \
                 service and its log. {beside}"
            )
            .trim_end()
            .to_owned();
        }
        let left_off = self.heard.report().map_or(0, |report| report.left_off);
        let said = match self.heard.job(job) {
            Some(status) if status.refused || why(status).starts_with(PAUSED) => {
                format!("{} {}", self.said(status), acts(status.refused, why(status)))
            }
            Some(status) => self.said(status),
            None if self.unwritten().is_some() => self.beside(job).join(" "),
            None => {
                let queues = self.heard.queues();
                let counted =
                    if queues.is_empty() { String::new() } else { format!(" ({})", queues.join("; ")) };
                let old =
                    self.heard.report().map_or_else(String::new, |report| span(report.age_ms(self.now)));
                let left = if left_off > 0 {
                    format!("but leaves {left_off} jobs off")
                } else {
                    format!("it held no message of the job then{counted}")
                };
                let report = format!("The controller's report, {old} old, does not mention it: {left}.");
                std::iter::once(report).chain(self.beside(job)).collect::<Vec<_>>().join(" ")
            }
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

    pub(super) fn ago(&self, ms: u64) -> String {
        span(self.now.saturating_sub(ms))
    }

    pub(super) fn until(&self, ms: u64) -> String {
        match ms.checked_sub(self.now) {
            Some(left) => format!("{} (in {})", time(ms), span(left)),
            None => format!("{} (passed {} ago)", time(ms), span(self.now - ms)),
        }
    }
}
