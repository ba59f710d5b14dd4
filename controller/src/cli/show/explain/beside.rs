//! The sentences about a job of which the controller's report says nothing: from the controller's own word, its log and
//! its queues.

use transcode_config::contract::JobKey;

use super::view::{View, acts};
use crate::{
    cli::output::{span, time},
    evidence::{Evidence, Log},
    observe::http::{Unwritten, Waiting},
};

impl View<'_> {
    /// First of all: that the report cannot be written, and what follows.
    pub(super) fn unwritten(&self) -> Option<String> {
        let Unwritten { since_ms, why } = self.evidence?.unwritten()?;
        let old = match self.heard.report() {
            Some(report) => format!("; the newest one is {} old", span(report.age_ms(self.now))),
            None => String::new(),
        };
        Some(format!(
            "A controller runs, and cannot write its report since {} (for {}{old}): {why}. You can act: remove that cause (a \
             permission, a key, the state bucket's policy). Until then it accepts no job and ends none, messages stay \
             where they are, and nothing is lost before their retention ends.",
            time(since_ms),
            span(self.now.saturating_sub(since_ms)),
        ))
    }

    /// What is known of a job that the report does not mention; of everything, if nothing is known of the job.
    pub(super) fn beside(&self, job: &JobKey) -> Vec<String> {
        let Some(evidence) = self.evidence else { return Vec::new() };
        let mut said = Vec::new();
        said.extend(self.own_word(job));
        said.extend(self.logged(evidence, job));
        let queues = evidence.queues.iter().map(|(name, depth)| {
            format!(
                "{name}: {} waiting, {} in flight, {} delayed",
                depth.visible, depth.in_flight, depth.delayed
            )
        });
        let queues: Vec<_> = queues.collect();
        if !queues.is_empty() {
            let held = evidence.queues.iter().any(|(_, depth)| depth.in_flight > 0);
            let held = if held {
                "; a controller holds what is in flight, or one held it that has ended"
            } else {
                ""
            };
            said.push(format!("The queues now: {}{held}.", queues.join("; ")));
        }
        said
    }

    /// What a controller on this machine says of a job that waits: newer than any report.
    pub(super) fn own_word(&self, job: &JobKey) -> Option<String> {
        let notes = self.evidence?.notes.as_ref()?;
        let Waiting { why, until_ms, step, refused } = notes.jobs.get(job.as_str())?;
        let step = step.as_ref().map(|step| format!(" (step `{step}`)")).unwrap_or_default();
        let again =
            until_ms.map(|until| format!("; it looks again at {}", self.until(until))).unwrap_or_default();
        Some(format!("The controller itself says now: {why}{step}{again}. {}", acts(*refused, why)))
    }

    /// The log's word on the job, or its newest trouble, or why there is none.
    fn logged(&self, evidence: &Evidence, job: &JobKey) -> Option<String> {
        let known = evidence.notes.as_ref().is_some_and(|notes| notes.jobs.contains_key(job.as_str()));
        let group = &self.settings.cluster.controller_log_group;
        match &evidence.log {
            Log::Unset if known => None,
            Log::Unset => {
                Some("Its log was not looked at: cluster.controller_log_group is not set.".to_owned())
            }
            Log::Unread(why) => Some(format!("Its log {group} cannot be read: {why}.")),
            Log::Read(_) => Some(match (evidence.failed(job), evidence.newest()) {
                (Some(line), _) => {
                    format!("Its log said of this job {} ago: {}.", self.ago(line.at_ms), line.says())
                }
                (None, Some(line)) => format!(
                    "Its log says nothing of this job; its newest trouble, {} ago: {}.",
                    self.ago(line.at_ms),
                    line.says()
                ),
                (None, None) => format!("Its log {group} has no trouble within the last hour."),
            }),
        }
    }
}
