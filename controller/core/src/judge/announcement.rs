//! The events of jobs ([`JobEvent`]): what is told of a job, from what the ledger knows of it.
//!
//! An outcome follows from the terminal record and from what publishing found, so each controller that tells it makes
//! the same event.

use transcode_config::{
    contract::{
        Attempt, EventCancel, EventFailure, EventKind, EventObject, EventProgress, EventResult, Heartbeat,
        JobEvent, JobKey, JobSpec, Layout, Outcome, SCHEMA, Succeeded, Terminal, UserMetadata, outcome_id,
    },
    escape::one_line,
};

use crate::{
    message::Request,
    policy::Announcing,
    protocol::clock::Ms,
    state::{job::Job, ledger::Ledger},
};

/// Longest line of people's and programs' words, in characters.
const MOST_WORDS: usize = 500;

/// Most stable names that an event lists. A package has fewer.
const MOST_NAMES: usize = 20;

const MINUTE: Ms = 60_000;

/// What an event tells beside its job.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the names of the events")]
pub enum News<'a> {
    Accepted,
    Started(Attempt),
    /// The key of the playlist.
    PlayableEarly(Attempt, &'a str),
    Progress(&'a Heartbeat),
}

impl Ledger {
    /// The event of a decided job's end.
    pub fn outcome(&self, job: &Job, terminal: &Terminal, to: &Announcing) -> JobEvent {
        let event = |kind| self.event(kind, &terminal.job, Some(job), terminal.written_at_ms, to);
        match &terminal.outcome {
            Outcome::Succeeded(winner) if job.superseded_by.is_none() => JobEvent {
                attempt: Some(winner.attempt),
                user_metadata: words(Some(job), Some(winner)),
                result: Some(result(&terminal.job, winner)),
                ..event(EventKind::Succeeded)
            },
            Outcome::Succeeded(winner) => JobEvent {
                attempt: Some(winner.attempt),
                user_metadata: words(Some(job), Some(winner)),
                superseded_by: job.superseded_by.clone(),
                result: Some(aside(winner)),
                ..event(EventKind::Superseded)
            },
            Outcome::Superseded(superseded) => JobEvent {
                attempt: superseded.attempts.last().map(|past| past.attempt),
                superseded_by: superseded.by.clone(),
                ..event(EventKind::Superseded)
            },
            Outcome::Dead(dead) => JobEvent {
                attempt: dead.attempts.last().map(|past| past.attempt),
                failure: Some(EventFailure {
                    code: dead.failure.code,
                    message: one_line(&dead.failure.message, MOST_WORDS),
                    who: dead.failure.code.info().who,
                }),
                ..event(EventKind::Dead)
            },
            Outcome::Cancelled(cancelled) => JobEvent {
                attempt: cancelled.attempts.last().map(|past| past.attempt),
                cancelled: Some(EventCancel {
                    who: one_line(&cancelled.told.who, MOST_WORDS),
                    why: one_line(&cancelled.told.why, MOST_WORDS),
                }),
                ..event(EventKind::Cancelled)
            },
        }
    }

    /// The event of something that happened to a job at `at_ms` (ms since 1970) before its end.
    pub fn news(&self, key: &JobKey, news: News<'_>, at_ms: Ms, to: &Announcing) -> JobEvent {
        let job = self.jobs.get(key);
        let of = |kind, attempt: Option<Attempt>, minute: Option<Ms>| {
            let mut event = self.event(kind, key, job, at_ms, to);
            for number in attempt.map(|attempt| u64::from(attempt.number())).into_iter().chain(minute) {
                event.id = format!("{}.{number}", event.id);
            }
            JobEvent { attempt, ..event }
        };
        match news {
            News::Accepted => of(EventKind::Accepted, None, None),
            News::Started(attempt) => of(EventKind::Started, Some(attempt), None),
            News::PlayableEarly(attempt, key) => {
                let bucket = job.and_then(|job| Some(run(job)?.output.bucket.clone())).unwrap_or_default();
                let playable = EventObject { bucket, key: key.to_owned(), version_id: None };
                JobEvent { playable: Some(playable), ..of(EventKind::PlayableEarly, Some(attempt), None) }
            }
            News::Progress(beat) => JobEvent {
                progress: Some(EventProgress { stage: beat.stage, percent: whole(beat.percent) }),
                ..of(EventKind::Progress, Some(beat.attempt), Some(at_ms / MINUTE))
            },
        }
    }

    /// What every event has.
    fn event(
        &self,
        kind: EventKind,
        key: &JobKey,
        job: Option<&Job>,
        at_ms: Ms,
        to: &Announcing,
    ) -> JobEvent {
        let generation = job.and_then(|job| job.request.as_ref()).map_or(0, Request::generation);
        let spec = job.and_then(run);
        JobEvent {
            schema: SCHEMA,
            id: outcome_id(key, generation, kind),
            kind,
            environment: to.environment.to_string(),
            job: key.clone(),
            generation,
            at_ms,
            asked_at_ms: job.and_then(|job| job.asked_at_ms),
            attempt: None,
            source: spec.map(|spec| EventObject {
                bucket: spec.source.bucket.clone(),
                key: spec.source.key.clone(),
                version_id: spec.source.version_id.clone(),
            }),
            profile: spec.map(|spec| spec.profile.name.clone()),
            tenant: job
                .filter(|job| job.tenant != 0)
                .and_then(|_| Some(self.tenant_of(key)?.name.to_string())),
            user_metadata: words(job, None),
            progress: None,
            playable: None,
            result: None,
            failure: None,
            superseded_by: None,
            cancelled: None,
        }
    }
}

/// The job as it was accepted, or else as a message asks for it.
fn run(job: &Job) -> Option<&JobSpec> {
    match &job.request {
        _ if job.accepted.is_some() => job.accepted.as_deref(),
        Some(Request::Run(spec)) => Some(spec),
        Some(Request::Refuse { .. }) | None => None,
    }
}

/// The caller's own words: of the request, else of the object as the winner or the newest attempt read it.
fn words(job: Option<&Job>, winner: Option<&Succeeded>) -> UserMetadata {
    let asked = job.and_then(run).map(|spec| &spec.user_metadata);
    let read = winner.and_then(|winner| winner.source.as_ref()).map(|read| &read.user_metadata);
    let beat = job.and_then(|job| job.attempt.as_ref()?.heartbeat.as_ref()).map(|beat| &beat.user_metadata);
    let found = [asked, read, beat].into_iter().flatten().find(|words| !words.is_empty());
    found.cloned().unwrap_or_default()
}

/// Where the winner's result lies. The stable prefix is where the attempt's folder lies.
fn result(key: &JobKey, winner: &Succeeded) -> EventResult {
    let own = Layout::of(key).folder(winner.attempt);
    let prefix = winner.folder.strip_suffix(&own).unwrap_or_default();
    let names = winner.entry_points.iter().filter_map(|entry| entry.to.strip_prefix(prefix));
    EventResult {
        bucket: winner.bucket.clone(),
        prefix: prefix.to_owned(),
        names: names.take(MOST_NAMES).map(str::to_owned).collect(),
        files: winner.manifest.key.clone(),
        duration_ms: winner.duration_ms,
        bytes: winner.bytes,
        warnings: winner.warnings,
    }
}

/// The same of a winner that is not live: its own folder, and no stable name, as these belong to a newer upload.
fn aside(winner: &Succeeded) -> EventResult {
    EventResult {
        bucket: winner.bucket.clone(),
        prefix: winner.folder.clone(),
        names: Vec::new(),
        files: winner.manifest.key.clone(),
        duration_ms: winner.duration_ms,
        bytes: winner.bytes,
        warnings: winner.warnings,
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
fn whole(percent: f32) -> u8 {
    percent.clamp(0.0, 100.0) as u8
}
