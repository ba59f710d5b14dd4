//! The job of an upload, as a page shows it: read from the documents in the state bucket.
//!
//! A few small reads for each look. The controller's report (`status.json`) is not among them: it may list ten thousand
//! jobs.

use aws_sdk_s3::Client;
use serde::Serialize;
use transcode_config::{
    contract::{
        Attempt, Document, FailureCode, Heartbeat, IndexKey, JobKey, JobSpec, Layout, Outcome, Stage,
        Terminal, decode, source_folder,
    },
    escape::one_line,
};

use crate::WebError;

/// Longest text of a failure, in characters.
const MAX_TEXT: usize = 300;

/// Most claims of a job that are listed.
const MAX_CLAIMS: i32 = 1_000;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The upload is complete, and no job was accepted yet.
    Uploaded,
    /// Accepted; no attempt is at work.
    Queued,
    /// An attempt is at work.
    Running,
    /// The result is there.
    Succeeded,
    /// It failed for good.
    Dead,
    /// A newer upload of the same key took its place.
    Superseded,
    /// Somebody cancelled it.
    Cancelled,
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// As it was accepted.
    pub spec: JobSpec,
    /// The winner's attempt, else the newest.
    pub attempt: Option<Attempt>,
    /// The last report of that attempt.
    pub heartbeat: Option<Heartbeat>,
    /// How it ended.
    pub terminal: Option<Terminal>,
}

/// What a page shows of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobView {
    /// Where it stands.
    pub state: State,
    /// The job's key; none before it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobKey>,
    /// What the attempt is busy with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Progress of the attempt, 0–100.
    pub percent: f32,
    /// Something can be played although the job is not done.
    pub early: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
}

/// Why a job failed, for whoever uploaded the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureView {
    /// The stable code (`docs/errors.md`).
    pub code: FailureCode,
    /// One line: what is wrong with the file.
    pub message: String,
    /// What to do.
    pub remedy: &'static str,
}

impl Job {
    /// The newest job of an object; none before one was accepted.
    pub async fn of_object(
        s3: &Client,
        state_bucket: &str,
        bucket: &str,
        key: &str,
    ) -> Result<Option<Self>, WebError> {
        let folder = source_folder(bucket, key);
        let list = s3.list_objects_v2().bucket(state_bucket).prefix(&folder).max_keys(1).send().await;
        let list = list.map_err(|error| WebError::call("the index of jobs", &error))?;
        let newest = list.contents().first().and_then(|entry| entry.key());
        match newest.and_then(IndexKey::parse_source) {
            Some((_, job)) => Self::read(s3, state_bucket, &job).await,
            None => Ok(None),
        }
    }

    /// A job by its key; none if it was never accepted. The terminal record is read last, so that what was read before is
    /// not newer.
    pub async fn read(s3: &Client, state_bucket: &str, job: &JobKey) -> Result<Option<Self>, WebError> {
        let layout = Layout::of(job);
        let Some(spec) = document::<JobSpec>(s3, state_bucket, &layout.spec()).await? else {
            return Ok(None);
        };
        let list = s3.list_objects_v2().bucket(state_bucket).prefix(layout.attempts()).max_keys(MAX_CLAIMS);
        let list = list.send().await.map_err(|error| WebError::call("the attempts", &error))?;
        let keys = list.contents().iter().filter_map(|entry| entry.key());
        let newest = keys.filter_map(|key| layout.attempt_of_claim(key)).max();
        let terminal = document::<Terminal>(s3, state_bucket, &layout.terminal()).await?;
        let winner = terminal.as_ref().and_then(|terminal| match &terminal.outcome {
            Outcome::Succeeded(won) => Some(won.attempt),
            _ => None,
        });
        let attempt = winner.or(newest);
        let heartbeat = match attempt {
            Some(attempt) => document(s3, state_bucket, &layout.heartbeat(attempt)).await?,
            None => None,
        };
        Ok(Some(Self { spec, attempt, heartbeat, terminal }))
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match self.terminal.as_ref().map(|terminal| &terminal.outcome) {
            Some(Outcome::Succeeded(_)) => State::Succeeded,
            Some(Outcome::Dead(_)) => State::Dead,
            Some(Outcome::Superseded(_)) => State::Superseded,
            Some(Outcome::Cancelled(_)) => State::Cancelled,
            None if self.attempt.is_some() => State::Running,
            None => State::Queued,
        }
    }

    /// The attempt whose package can be played, and the path of its master playlist: the winner's, or what a working
    /// attempt has made so far.
    pub fn playable(&self) -> Option<(Attempt, String)> {
        let attempt = self.attempt?;
        match self.state() {
            State::Succeeded => Some((attempt, "master.m3u8".to_owned())),
            State::Running => {
                let key = self.heartbeat.as_ref()?.playable.as_ref()?;
                Some((attempt, key.strip_prefix(self.spec.output.prefix.as_str())?.to_owned()))
            }
            _ => None,
        }
    }

    /// What a page shows of it.
    pub fn view(&self) -> JobView {
        let state = self.state();
        let failure = match self.terminal.as_ref().map(|terminal| &terminal.outcome) {
            Some(Outcome::Dead(dead)) => Some(FailureView {
                code: dead.failure.code,
                message: one_line(&dead.failure.message, MAX_TEXT),
                remedy: dead.failure.code.info().remedy,
            }),
            _ => None,
        };
        let beat = self.heartbeat.as_ref().filter(|_| state == State::Running);
        let percent = if state == State::Succeeded { 100.0 } else { beat.map_or(0.0, |beat| beat.percent) };
        JobView {
            state,
            job: Some(self.spec.job.clone()),
            stage: beat.map(|beat| beat.stage),
            percent,
            early: state == State::Running && self.playable().is_some(),
            failure,
        }
    }
}

impl JobView {
    /// Of an upload whose job was not accepted yet.
    pub fn uploaded() -> Self {
        Self { state: State::Uploaded, job: None, stage: None, percent: 0.0, early: false, failure: None }
    }
}

async fn document<D: Document>(s3: &Client, bucket: &str, key: &str) -> Result<Option<D>, WebError> {
    let object = match s3.get_object().bucket(bucket).key(key).send().await {
        Ok(object) => object,
        Err(error) => match WebError::call(D::NAME, &error) {
            WebError::NotFound(_) => return Ok(None),
            error => return Err(error),
        },
    };
    let most = i64::try_from(D::LIMIT).unwrap_or(i64::MAX);
    if object.content_length().is_none_or(|length| length > most) {
        return Err(WebError::refused(format!("{}: too large", D::NAME)));
    }
    let failed = |why: String| WebError::S3 { what: D::NAME.to_owned(), why };
    let bytes = object.body.collect().await.map_err(|error| failed(error.to_string()))?;
    decode(&bytes.to_vec()).map(Some).map_err(|error| failed(error.to_string()))
}
