//! What the controller last said: its report in the state bucket, and how old that is.

use transcode_config::contract::{JobKey, JobState, JobStatus, StatusReport, status_key};

use super::record::Record;

use crate::cli::{
    output::span,
    setup::{Session, unreadable},
};

/// The controller writes once a minute at least. After twice that time nobody speaks (ms).
pub(crate) const SILENT_MS: u64 = 120_000;

/// A report that is so much younger than an event knows of it (ms).
const MARGIN_MS: u64 = 60_000;

/// The report, as far as there is one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    /// The newest report.
    Report(Box<StatusReport>),
    /// No controller of this environment has ever written one.
    Never,
    /// It cannot be read, for this reason.
    Unreadable(String),
}

impl Heard {
    /// Reads the report: one call.
    pub(crate) async fn read(session: &Session) -> Self {
        let key = status_key(&session.settings.environment);
        match session.store.read::<StatusReport>(&key).await {
            Ok(Some(report)) => Self::Report(Box::new(report)),
            Ok(None) => Self::Never,
            Err(error) => Self::Unreadable(format!("{:#}", unreadable(error))),
        }
    }

    /// The report, whatever its age.
    pub(crate) fn report(&self) -> Option<&StatusReport> {
        match self {
            Self::Report(report) => Some(report),
            Self::Never | Self::Unreadable(_) => None,
        }
    }

    /// Whether the report was made after a moment, surely: it may be 10 s behind what it tells of, and clocks differ.
    pub(crate) fn is_after(&self, at_ms: u64) -> bool {
        self.report().is_some_and(|report| report.written_at_ms > at_ms.saturating_add(MARGIN_MS))
    }

    /// What the report says of a job.
    pub(crate) fn job(&self, job: &JobKey) -> Option<&JobStatus> {
        self.report()?.jobs.iter().find(|status| status.job == *job)
    }

    /// The jobs of an object that the report knows, received and not decided yet.
    pub(crate) fn of_object(&self, bucket: Option<&str>, key: &str) -> Vec<JobKey> {
        let jobs = self.report().map(|report| report.jobs.as_slice()).unwrap_or_default();
        let bucket_fits = |status: &JobStatus| bucket.is_none() || status.bucket.as_deref() == bucket;
        let fits = |status: &&JobStatus| status.key.as_deref() == Some(key) && bucket_fits(status);
        jobs.iter().filter(fits).map(|status| status.job.clone()).collect()
    }

    /// The jobs of the report whose keys begin so.
    pub(crate) fn beginning_with(&self, begin: &str) -> Vec<JobKey> {
        let jobs = self.report().map(|report| report.jobs.iter()).into_iter().flatten();
        jobs.map(|status| &status.job).filter(|job| job.as_str().starts_with(begin)).cloned().collect()
    }

    /// Whether a controller is there, for programs: `live`, `draining`, `ended`, `silent`, `never` or `unknown`.
    pub(crate) fn word(&self, now_ms: u64) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Unreadable(_) => "unknown",
            Self::Report(report) if report.ended => "ended",
            Self::Report(report) if report.age_ms(now_ms) > SILENT_MS => "silent",
            Self::Report(report) if report.draining => "draining",
            Self::Report(_) => "live",
        }
    }

    /// Why nothing goes on, if no controller speaks.
    pub(crate) fn silence(&self, now_ms: u64) -> Option<String> {
        match self {
            Self::Never => Some("No controller has ever reported in this environment.".to_owned()),
            Self::Unreadable(why) => Some(format!("The controller's report cannot be read: {why}.")),
            Self::Report(report) => {
                let age = span(report.age_ms(now_ms));
                match self.word(now_ms) {
                    "ended" => {
                        Some(format!("The last controller ended {age} ago and none has spoken since."))
                    }
                    "silent" => Some(format!("No controller has spoken for {age}.")),
                    _ => None,
                }
            }
        }
    }

    /// What the report says of a job, unless its record is newer: a report that was made before the job was decided
    /// speaks of a task that has ended since.
    pub(crate) fn of_record(&self, record: &Record) -> Option<&JobStatus> {
        let decided = record.terminal.is_some();
        self.job(&record.job).filter(|status| !decided || status.state == JobState::Settling)
    }

    /// When a change of the control document takes effect, as a sentence.
    pub(crate) fn takes_effect(&self, now_ms: u64) -> String {
        match self.silence(now_ms) {
            None => "The running controller has it within seconds.".to_owned(),
            Some(silence) => format!("{silence} It takes effect once one runs."),
        }
    }

    /// The pauses that hold up everything, each as a sentence.
    pub(crate) fn pauses(&self, now_ms: u64) -> Vec<String> {
        let Some(report) = self.report() else { return Vec::new() };
        let since = |at: u64| span(now_ms.saturating_sub(at));
        let mut said = Vec::new();
        if let Some(pause) = &report.launches_pause {
            said.push(format!("It has launched nothing for {}: {}.", since(pause.since_ms), pause.why));
        }
        if let Some(pause) = &report.receiving_pause {
            said.push(format!("It has received nothing for {}: {}.", since(pause.since_ms), pause.why));
        }
        if let Some(breaker) = &report.breaker {
            said.push(format!("Its breaker is open, so that it tries one job at a time: {}.", breaker.why));
        }
        if let Some(refused) = report.control.as_ref().and_then(|control| control.refused.as_ref()) {
            said.push(format!("It refuses the newest control document: {refused}."));
        }
        if report.draining && !report.ended {
            said.push("It is draining and begins nothing new.".to_owned());
        }
        said
    }

    /// Why nothing more is received, if all tasks run and nothing else holds launches back.
    pub(crate) fn full(&self) -> Option<String> {
        let report = self.report()?;
        let held = report.launches_pause.is_some() || report.receiving_pause.is_some() || report.draining;
        let full = report.tasks_in_flight >= report.max_tasks && !held;
        full.then(|| {
            let (running, most) = (report.tasks_in_flight, report.max_tasks);
            format!("{running} of {most} tasks run: it is received once one ends. Nobody has to act.")
        })
    }

    /// What waits in the queues, in a phrase for each queue.
    pub(crate) fn queues(&self) -> Vec<String> {
        let queues = self.report().map(|report| report.queues.iter()).into_iter().flatten();
        let phrase = |(name, queue): (&String, &transcode_config::contract::QueueStatus)| {
            let letters = queue
                .dead_letters
                .map(|many| format!(", {many} in its dead-letter queue"))
                .unwrap_or_default();
            format!(
                "queue {name}: {} waiting, {} in flight, {} delayed{letters}",
                queue.visible, queue.in_flight, queue.delayed
            )
        };
        queues.map(phrase).collect()
    }
}

#[cfg(test)]
mod tests {
    use transcode_config::contract::PauseStatus;

    use super::*;

    const NOW: u64 = 1_795_489_200_000;

    #[test]
    fn silence_is_told_with_its_age_and_a_pause_with_its_cause() {
        let report = |age: u64| StatusReport { written_at_ms: NOW - age, ..StatusReport::default() };
        let heard = |report| Heard::Report(Box::new(report));
        assert_eq!(heard(report(60_000)).silence(NOW), None);
        assert!(heard(report(60_000)).takes_effect(NOW).contains("within seconds"));
        let silent = heard(report(420_000)).silence(NOW);
        assert_eq!(silent.as_deref(), Some("No controller has spoken for 7 min."));
        let said = heard(report(420_000)).takes_effect(NOW);
        assert_eq!(said, "No controller has spoken for 7 min. It takes effect once one runs.");
        assert!(Heard::Never.takes_effect(NOW).starts_with("No controller has ever reported"));
        let ended = heard(StatusReport { ended: true, ..report(5_000) });
        assert!(ended.silence(NOW).is_some_and(|said| said.contains("ended 5 s ago")));
        assert!(Heard::Never.silence(NOW).is_some_and(|said| said.contains("ever")));
        let busy = StatusReport { tasks_in_flight: 2, max_tasks: 2, ..report(0) };
        assert!(heard(busy.clone()).full().is_some_and(|said| said.starts_with("2 of 2 tasks run")));
        assert_eq!(heard(StatusReport { max_tasks: 3, ..busy }).full(), None);
        let pause = PauseStatus { why: "paused by anna".into(), since_ms: NOW - 60_000 };
        let paused = heard(StatusReport { launches_pause: Some(pause), ..report(0) });
        assert_eq!(paused.pauses(NOW), ["It has launched nothing for 60 s: paused by anna."]);
    }
}
