//! A job's record: its documents in the state bucket.

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use transcode_config::contract::{
    Attempt, Claim, Heartbeat, JobKey, JobSpec, Layout, Outcome, PastAttempt, Published, SourceObject,
    SourceOrder, Terminal, pointer_key,
};
use transcode_core::protocol::order::{Standing, standing};

use crate::{aws::S3Store, cli::setup::unreadable};

/// Most attempts that are read, from the newest. The newest claim's history names the ends of those before.
const MAX_ATTEMPTS: u32 = 50;

/// Documents read at the same time.
const CONCURRENCY: usize = 16;

/// All documents of a job. The terminal record is read last, as in the controller: if it is absent here, it was absent
/// after all other reads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Record {
    pub(crate) job: JobKey,
    /// `None` for a job that was refused before it was accepted.
    pub(crate) spec: Option<JobSpec>,
    /// The oldest first.
    pub(crate) attempts: Vec<AttemptRecord>,
    pub(crate) terminal: Option<Terminal>,
    /// The job that is live under this job's prefix.
    pub(crate) live: Option<Published>,
}

/// An attempt's documents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct AttemptRecord {
    pub(crate) claim: Claim,
    pub(crate) heartbeat: Option<Heartbeat>,
}

impl Record {
    /// Of a job that has no document yet.
    pub(crate) fn none(job: &JobKey) -> Self {
        Self { job: job.clone(), spec: None, attempts: Vec::new(), terminal: None, live: None }
    }

    /// Reads a job's record; `None` if it has no document.
    pub(crate) async fn read(store: &S3Store, job: &JobKey) -> anyhow::Result<Option<Self>> {
        let layout = Layout::of(job);
        let spec: Option<JobSpec> = store.read(&layout.spec()).await.map_err(unreadable)?;
        let newest = store.newest(job).await?.map_or(0, Attempt::number);
        let numbers = newest.saturating_sub(MAX_ATTEMPTS) + 1..=newest;
        let attempts: Vec<Option<AttemptRecord>> = stream::iter(numbers.filter_map(Attempt::new))
            .map(|number| attempt(store, job, number))
            .buffered(CONCURRENCY)
            .try_collect()
            .await?;
        let attempts: Vec<AttemptRecord> = attempts.into_iter().flatten().collect();
        let terminal: Option<Terminal> = store.read(&layout.terminal()).await.map_err(unreadable)?;
        // After the terminal record: a decided job that is not live yet will be published or superseded.
        let live = match &spec {
            Some(spec) => store.read(&pointer_key(&spec.output)).await.map_err(unreadable)?,
            None => None,
        };
        let anything = spec.is_some() || !attempts.is_empty() || terminal.is_some();
        Ok(anything.then(|| Self { job: job.clone(), spec, attempts, terminal, live }))
    }

    /// The newer job that is live instead of this succeeded one.
    pub(crate) fn superseded_by(&self) -> Option<&Published> {
        let (spec, terminal, live) = (self.spec.as_ref()?, self.terminal.as_ref()?, self.live.as_ref()?);
        let Outcome::Succeeded(won) = &terminal.outcome else { return None };
        let source = SourceObject { bucket: spec.source.bucket.clone(), key: spec.source.key.clone() };
        let order = SourceOrder::of(spec, won.source.as_ref(), terminal.written_at_ms);
        (standing(&self.job, &source, &order, Some(live)) == Standing::Older).then_some(live)
    }

    /// Whether the job has succeeded, and neither it nor a newer job is live.
    pub(crate) fn is_unpublished(&self, outcome: &Outcome) -> bool {
        let live = self.live.as_ref().is_some_and(|live| live.job == self.job);
        matches!(outcome, Outcome::Succeeded(_)) && !live && self.superseded_by().is_none()
    }

    /// The newest attempt.
    pub(crate) fn newest(&self) -> Option<&AttemptRecord> {
        self.attempts.last()
    }

    /// The ends of attempts. The terminal record has those of all; before it the newest claim has all but its own.
    pub(crate) fn ends(&self) -> &[PastAttempt] {
        match self.terminal.as_ref().map(|terminal| &terminal.outcome) {
            Some(Outcome::Dead(dead)) => &dead.attempts,
            Some(Outcome::Superseded(superseded)) => &superseded.attempts,
            Some(Outcome::Cancelled(cancelled)) => &cancelled.attempts,
            _ => self.history(),
        }
    }

    /// The ends of the attempts before the newest.
    pub(crate) fn history(&self) -> &[PastAttempt] {
        self.newest().map(|attempt| attempt.claim.history.as_slice()).unwrap_or_default()
    }
}

async fn attempt(store: &S3Store, job: &JobKey, number: Attempt) -> anyhow::Result<Option<AttemptRecord>> {
    let layout = Layout::of(job);
    let Some(claim) = store.read(&layout.claim(number)).await.map_err(unreadable)? else { return Ok(None) };
    let heartbeat = store.read(&layout.heartbeat(number)).await.map_err(unreadable)?;
    Ok(Some(AttemptRecord { claim, heartbeat }))
}
