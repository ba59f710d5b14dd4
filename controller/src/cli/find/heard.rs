//! What the controller last said: its report in the state bucket, and how old that is.

use transcode_config::contract::{JobKey, JobStatus, StatusReport, status_key};

use crate::cli::{
    output::span,
    setup::{Session, unreadable},
};

/// The controller writes once a minute at least. After twice that time nobody speaks (ms).
const SILENT_MS: u64 = 120_000;

/// The report, as far as there is one.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) enum Heard {
    /// The newest report.
    Report(Box<StatusReport>),
    /// No controller of this environment has ever written one.
    Never,
    /// It cannot be read, for this reason.
    Unreadable(String),
}

impl Heard {
    /// Reads the report: one call.
    pub(in crate::cli) async fn read(session: &Session) -> Self {
        let key = status_key(&session.settings.environment);
        match session.store.read::<StatusReport>(&key).await {
            Ok(Some(report)) => Self::Report(Box::new(report)),
            Ok(None) => Self::Never,
            Err(error) => Self::Unreadable(format!("{:#}", unreadable(error))),
        }
    }

    /// The report, whatever its age.
    pub(in crate::cli) fn report(&self) -> Option<&StatusReport> {
        match self {
            Self::Report(report) => Some(report),
            Self::Never | Self::Unreadable(_) => None,
        }
    }

    /// What the report says of a job.
    pub(in crate::cli) fn job(&self, job: &JobKey) -> Option<&JobStatus> {
        self.report()?.jobs.iter().find(|status| status.job == *job)
    }

    /// The jobs of an object that the report knows, received and not decided yet.
    pub(in crate::cli) fn of_object(&self, bucket: Option<&str>, key: &str) -> Vec<JobKey> {
        let jobs = self.report().map(|report| report.jobs.as_slice()).unwrap_or_default();
        let bucket_fits = |status: &JobStatus| bucket.is_none() || status.bucket.as_deref() == bucket;
        let fits = |status: &&JobStatus| status.key.as_deref() == Some(key) && bucket_fits(status);
        jobs.iter().filter(fits).map(|status| status.job.clone()).collect()
    }

    /// Whether a controller is there, for programs: `live`, `draining`, `ended`, `silent`, `never` or `unknown`.
    pub(in crate::cli) fn word(&self, now_ms: u64) -> &'static str {
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
    pub(in crate::cli) fn silence(&self, now_ms: u64) -> Option<String> {
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

    /// The pauses that hold up everything, each as a sentence.
    pub(in crate::cli) fn pauses(&self, now_ms: u64) -> Vec<String> {
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

    /// What waits in the queues, in a phrase for each queue.
    pub(in crate::cli) fn queues(&self) -> Vec<String> {
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
        let silent = heard(report(420_000)).silence(NOW);
        assert_eq!(silent.as_deref(), Some("No controller has spoken for 7 min."));
        let ended = heard(StatusReport { ended: true, ..report(5_000) });
        assert!(ended.silence(NOW).is_some_and(|said| said.contains("ended 5 s ago")));
        assert!(Heard::Never.silence(NOW).is_some_and(|said| said.contains("ever")));
        let pause = PauseStatus { why: "paused by anna".into(), since_ms: NOW - 60_000 };
        let paused = heard(StatusReport { launches_pause: Some(pause), ..report(0) });
        assert_eq!(paused.pauses(NOW), ["It has launched nothing for 60 s: paused by anna."]);
    }
}
