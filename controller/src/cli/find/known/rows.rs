//! One row for each job: what the index says of it, and what the controller last said.

use std::collections::BTreeMap;

use serde::Serialize;
use transcode_config::contract::{Attempt, JobKey, JobSpec, JobStatus, Stage};

use super::{
    heard::Heard,
    recent::{Indexed, IndexedSource},
};

/// A job at a glance. Times in ms since 1970.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct JobRow {
    pub(crate) job: JobKey,
    /// `queued`, `launching`, `running` or `settling`; `accepted` if no report mentions it; or how it ended:
    /// `succeeded`, `dead`, `superseded`, `cancelled`.
    pub(crate) state: &'static str,
    pub(crate) bucket: Option<String>,
    /// The object key; its beginning if `key_cut`.
    pub(crate) key: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) key_cut: bool,
    pub(crate) profile: Option<String>,
    pub(crate) tenant: Option<String>,
    /// When it was accepted; of a job that is not accepted yet, when the controller learned of it.
    pub(crate) since_ms: u64,
    pub(crate) ended_at_ms: Option<u64>,
    /// Failure code of a dead job.
    pub(crate) code: Option<String>,
    pub(crate) attempt: Option<u32>,
    pub(crate) stage: Option<&'static str>,
    pub(crate) percent: Option<f32>,
    pub(crate) speed: Option<f32>,
    /// Why it waits.
    pub(crate) why: Option<String>,
    pub(crate) until_ms: Option<u64>,
}

impl JobRow {
    /// Whether the job has ended.
    pub(crate) fn ended(&self) -> bool {
        self.ended_at_ms.is_some()
    }

    /// Whether the job's object key, as far as it is known, or its own key contains a text.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.job.as_str().contains(text) || self.key.as_ref().is_some_and(|key| key.contains(text))
    }

    /// Whether the job is one of this tenant: by the report, or as the tenant's name says, which is bucket and prefix.
    pub(crate) fn is_of(&self, tenant: &str) -> bool {
        if let Some(known) = &self.tenant {
            return known == tenant;
        }
        let rest =
            self.bucket.as_ref().and_then(|bucket| tenant.strip_prefix(bucket.as_str())?.strip_prefix('/'));
        rest.zip(self.key.as_ref()).is_some_and(|(prefix, key)| key.starts_with(prefix))
    }

    /// A job of which the specification is read.
    pub(crate) fn of_spec(spec: &JobSpec) -> Self {
        let source = IndexedSource {
            profile: spec.profile.name.clone(),
            bucket: spec.source.bucket.clone(),
            key: spec.source.key.clone(),
            cut: false,
        };
        let (job, accepted_at_ms) = (spec.job.clone(), spec.accepted_at_ms);
        Self::of_index(&Indexed { job, accepted_at_ms, source: Some(source), ended: None })
    }

    fn of_index(indexed: &Indexed) -> Self {
        let (source, end) = (indexed.source.as_ref(), indexed.ended.as_ref());
        Self {
            job: indexed.job.clone(),
            state: end.map_or("accepted", |end| end.state.name()),
            bucket: source.map(|source| source.bucket.clone()),
            key: source.map(|source| source.key.clone()),
            key_cut: source.is_some_and(|source| source.cut),
            profile: source.map(|source| source.profile.clone()),
            tenant: None,
            since_ms: indexed.accepted_at_ms,
            ended_at_ms: end.map(|end| end.at_ms),
            code: end.and_then(|end| end.code.clone()),
            attempt: None,
            stage: None,
            percent: None,
            speed: None,
            why: None,
            until_ms: None,
        }
    }

    /// A job of the report alone: it is not accepted yet, or older than what was listed.
    pub(crate) fn of_status(status: &JobStatus) -> Self {
        let bare = Self {
            job: status.job.clone(),
            state: status.state.name(),
            bucket: status.bucket.clone(),
            key: status.key.clone(),
            key_cut: false,
            profile: status.profile.clone(),
            tenant: None,
            since_ms: status.asked_at_ms.unwrap_or(status.known_at_ms),
            ended_at_ms: None,
            code: None,
            attempt: None,
            stage: None,
            percent: None,
            speed: None,
            why: None,
            until_ms: None,
        };
        bare.with(status)
    }

    /// With what the controller last said. An end in the index is newer.
    pub(crate) fn with(self, status: &JobStatus) -> Self {
        let tenant = status.tenant.clone();
        if self.ended() {
            return Self { tenant, ..self };
        }
        Self {
            state: status.state.name(),
            // The index has long keys cut.
            key: status.key.clone().or(self.key),
            key_cut: self.key_cut && status.key.is_none(),
            bucket: self.bucket.or_else(|| status.bucket.clone()),
            tenant,
            attempt: status.attempt.map(Attempt::number),
            stage: status.stage.map(Stage::name),
            percent: status.percent,
            speed: status.speed,
            why: status.why.clone(),
            until_ms: status.until_ms,
            ..self
        }
    }
}

/// The rows of the listed jobs and of those that only the report knows, the newest first.
pub(crate) fn rows(indexed: &[Indexed], heard: &Heard) -> Vec<JobRow> {
    let known = heard.report().map(|report| report.jobs.as_slice()).unwrap_or_default();
    let mut known: BTreeMap<&JobKey, &JobStatus> = known.iter().map(|status| (&status.job, status)).collect();
    let mut rows: Vec<JobRow> = indexed
        .iter()
        .map(|indexed| {
            let row = JobRow::of_index(indexed);
            match known.remove(&indexed.job) {
                Some(status) => row.with(status),
                None => row,
            }
        })
        .collect();
    rows.extend(known.into_values().map(JobRow::of_status));
    rows.sort_by(|one, other| other.since_ms.cmp(&one.since_ms).then_with(|| one.job.cmp(&other.job)));
    rows
}

#[cfg(test)]
mod tests {
    use transcode_config::contract::{EndState, JobState, StatusReport};

    use super::super::recent::IndexedEnd;
    use super::*;

    fn status(job: &str, state: JobState) -> JobStatus {
        JobStatus {
            job: JobKey::of(&[job]),
            bucket: Some("in".into()),
            key: Some("tenants/a/film.mp4".into()),
            profile: Some("standard".into()),
            tenant: Some("in/tenants/a/".into()),
            state,
            asked_at_ms: Some(7),
            known_at_ms: 9,
            attempt: Some(Attempt::FIRST),
            stage: Some(Stage::Transcoding),
            percent: Some(42.0),
            speed: None,
            heartbeat_at_ms: None,
            task_arn: None,
            why: None,
            until_ms: None,
            step: None,
            refused: false,
        }
    }

    fn indexed(job: &str, accepted_at_ms: u64, end: Option<EndState>) -> Indexed {
        let source = IndexedSource {
            profile: "standard".into(),
            bucket: "in".into(),
            key: "tenants/a/film".into(),
            cut: true,
        };
        let ended = end.map(|state| IndexedEnd { state, code: None, at_ms: accepted_at_ms + 5 });
        Indexed { job: JobKey::of(&[job]), accepted_at_ms, source: Some(source), ended }
    }

    #[test]
    fn a_row_joins_the_index_with_the_report_and_an_end_outranks_it() {
        let jobs = ["running", "ended", "waits"].map(|job| status(job, JobState::Running)).to_vec();
        let heard = Heard::Report(Box::new(StatusReport { jobs, ..StatusReport::default() }));
        let listed = [
            indexed("ended", 30, Some(EndState::Cancelled)),
            indexed("running", 20, None),
            indexed("unknown", 10, None),
        ];
        let rows = rows(&listed, &heard);
        let states: Vec<_> = rows.iter().map(|row| row.state).collect();
        assert_eq!(states, ["cancelled", "running", "accepted", "running"]);
        assert_eq!((rows[0].percent, rows[1].percent, rows[1].key_cut), (None, Some(42.0), false));
        assert_eq!(rows[3].since_ms, 7, "known by its message alone");
        assert!(rows[2].is_of("in/tenants/a/") && rows[1].is_of("in/tenants/a/"));
        assert!(!rows[2].is_of("in/tenants/b/") && !rows[2].is_of("other/tenants/a/"));
    }
}
