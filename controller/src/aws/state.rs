//! The state bucket and, for publishing and collecting, the output bucket.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc, time::Duration};

use aws_sdk_s3::{Client, operation::get_object::GetObjectError, primitives::ByteStream};
use transcode_config::{
    contract::{
        Attempt, Claim, Document, Heartbeat, JobEvent, JobKey, JobSpec, Layout, OutputTarget, Succeeded,
        Terminal, decode, encode,
    },
    settings::Settings,
};
use transcode_core::{
    effects::ports::{Claimed, InspectError, Store, Waiting},
    judge::outcome::unproven,
    message::same_source,
    protocol::{
        fact::{CallError, ErrorClass, Sighting, Snapshot},
        publishing::Publication,
    },
};

use super::{
    class::{call_error, status, unless_absent},
    client::Pair,
};

/// Attempts of a conditional write that meets another one on the same key (409). At most two controllers and a task
/// write to one key, so the second attempt nearly always succeeds.
const CONFLICT_TRIES: u32 = 4;

/// Wait after the first 409; doubles.
const CONFLICT_WAIT: Duration = Duration::from_millis(50);

/// Most pages of the listing of a job: 10,000 objects, two for each attempt, many times a job's budget.
const MAX_PAGES: usize = 10;

const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";
const LIST: &str = "s3:ListObjectsV2";

/// Result of a conditional write.
enum Put {
    Created,
    /// An object exists.
    Exists,
    /// Another conditional write on the same key was under way; neither is known to have succeeded.
    Conflict,
}

/// The documents of a job, by a listing.
#[derive(Debug, Default)]
struct Listed {
    /// The newest attempt that has a claim.
    newest: Option<Attempt>,
    /// Attempts that have a heartbeat.
    heartbeats: BTreeSet<Attempt>,
    /// The job is decided.
    terminal: bool,
}

/// [`Store`] on S3.
#[derive(Debug, Clone)]
pub struct S3Store {
    pub(super) clients: Pair<Client>,
    pub(super) bucket: String,
    pub(super) environment: String,
    body_timeout: Duration,
}

impl S3Store {
    /// The store with the buckets of these settings.
    pub fn new(clients: Pair<Client>, settings: &Settings) -> Self {
        Self {
            clients,
            bucket: settings.state.bucket.clone(),
            environment: settings.environment.clone(),
            body_timeout: Duration::from_secs(settings.calls.attempt_seconds),
        }
    }

    /// Reads a document; `None` if there is no such object.
    pub async fn read<D: Document>(&self, key: &str) -> Result<Option<D>, InspectError> {
        let answer = self.clients.read.get_object().bucket(&self.bucket).key(key).send().await;
        let object = unless_absent(GET, answer, GetObjectError::is_no_such_key);
        let Some(object) = object.map_err(InspectError::Call)? else { return Ok(None) };
        let bytes = self.body(object.body, D::LIMIT).await?;
        decode(&bytes).map(Some).map_err(|error| InspectError::Unreadable(format!("{key}: {error}")))
    }

    /// The job's specification.
    async fn given_or_read<'a>(
        &self,
        job: &JobKey,
        given: Option<&'a JobSpec>,
    ) -> Result<Option<Cow<'a, JobSpec>>, InspectError> {
        match given {
            Some(spec) => Ok(Some(Cow::Borrowed(spec))),
            None => Ok(self.spec(job).await?.map(Cow::Owned)),
        }
    }

    /// Reads a document's bytes, with a timeout: the SDK's timeouts end where the body begins. Of a document above
    /// `limit` it reads one byte more, so that `decode` reports the error.
    pub(super) async fn body(&self, body: ByteStream, limit: usize) -> Result<Vec<u8>, InspectError> {
        tokio::time::timeout(self.body_timeout, collect(body, limit + 1))
            .await
            .unwrap_or_else(|_| Err("time ran out within the body".into()))
            .map_err(|message| InspectError::Call(failed(GET, ErrorClass::Transient, message)))
    }

    /// Creates an object unless one exists. `Ok(false)`: one exists; it may be our own, from an earlier try whose
    /// answer was lost.
    async fn create<D: Document>(&self, key: &str, document: &D) -> Result<bool, CallError> {
        let body = encode(document);
        let mut wait = CONFLICT_WAIT;
        for _ in 0..CONFLICT_TRIES {
            match self.put(key, body.clone()).await? {
                Put::Created => return Ok(true),
                Put::Exists => return Ok(false),
                Put::Conflict => tokio::time::sleep(wait).await,
            }
            wait *= 2;
        }
        Err(failed(PUT, ErrorClass::Transient, format!("{key}: always another conditional write under way")))
    }

    /// One conditional write.
    async fn put(&self, key: &str, body: Vec<u8>) -> Result<Put, CallError> {
        let request = self.clients.write.put_object().bucket(&self.bucket).key(key).if_none_match("*");
        let body = ByteStream::from(body);
        match request.content_type("application/json").body(body).send().await {
            Ok(_) => Ok(Put::Created),
            Err(error) => match status(&error) {
                Some(412) => Ok(Put::Exists),
                Some(409) => Ok(Put::Conflict),
                _ => Err(call_error(PUT, &error)),
            },
        }
    }

    /// Which documents a job has. `terminal.json` comes last in the order of keys, which is the order of a listing.
    async fn listed(&self, job: &JobKey) -> Result<Listed, CallError> {
        let layout = Layout::of(job);
        let (mut listed, mut next) = (Listed::default(), None);
        for _ in 0..MAX_PAGES {
            let list = self.clients.read.list_objects_v2().bucket(&self.bucket).prefix(layout.prefix());
            let page = list.set_continuation_token(next).send().await;
            let page = page.map_err(|error| call_error(LIST, &error))?;
            for key in page.contents().iter().filter_map(|object| object.key()) {
                listed.newest = listed.newest.max(layout.attempt_of_claim(key));
                listed.heartbeats.extend(layout.attempt_of_heartbeat(key));
                listed.terminal |= key == layout.terminal();
            }
            next = page.next_continuation_token().map(str::to_owned);
            if next.is_none() {
                return Ok(listed);
            }
        }
        let many = format!("more than {MAX_PAGES} pages of documents of job {job}");
        Err(failed(LIST, ErrorClass::Permanent, many))
    }

    /// The newest attempt that has a claim.
    pub async fn newest(&self, job: &JobKey) -> Result<Option<Attempt>, CallError> {
        Ok(self.listed(job).await?.newest)
    }

    /// Reads the claim of an attempt that is known to have one.
    async fn read_claim(&self, job: &JobKey, attempt: Attempt) -> Result<Claim, InspectError> {
        let key = Layout::of(job).claim(attempt);
        let claim: Claim = self.read(&key).await?.ok_or_else(|| gone(&key))?;
        let expected = claim.job == *job && claim.attempt == attempt;
        if expected { Ok(claim) } else { Err(strange(&key)) }
    }

    async fn read_heartbeat(
        &self,
        job: &JobKey,
        attempt: Attempt,
    ) -> Result<Option<Heartbeat>, InspectError> {
        let key = Layout::of(job).heartbeat(attempt);
        let heartbeat: Option<Heartbeat> = self.read(&key).await?;
        if heartbeat.as_ref().is_some_and(|beat| beat.job != *job || beat.attempt != attempt) {
            return Err(strange(&key));
        }
        Ok(heartbeat)
    }

    /// Reads how a job ended; `None` if it is not decided.
    pub async fn read_terminal_record(&self, job: &JobKey) -> Result<Option<Terminal>, InspectError> {
        let key = Layout::of(job).terminal();
        let terminal: Option<Terminal> = self.read(&key).await?;
        if terminal.as_ref().is_some_and(|terminal| terminal.job != *job) {
            return Err(strange(&key));
        }
        Ok(terminal)
    }
}

impl Store for S3Store {
    async fn inspect(&self, job: &JobKey, known: Option<&Arc<Claim>>) -> Result<Snapshot, InspectError> {
        let listed = self.listed(job).await.map_err(InspectError::Call)?;
        let mut snapshot = Snapshot::default();
        if listed.terminal {
            let key = Layout::of(job).terminal();
            let terminal = self.read_terminal_record(job).await?.ok_or_else(|| gone(&key))?;
            snapshot.terminal = Some(terminal.into());
        }
        let Some(newest) = listed.newest else { return Ok(snapshot) };
        let claim = match known.filter(|known| known.attempt == newest) {
            Some(known) => Arc::clone(known),
            None => self.read_claim(job, newest).await?.into(),
        };
        let decided = snapshot.terminal.as_ref().map(|terminal| &terminal.outcome);
        if listed.heartbeats.contains(&newest) && !decided.is_some_and(|outcome| outcome.ends(newest)) {
            snapshot.heartbeat = self.read_heartbeat(job, newest).await?;
        }
        let doubtful = claim.history.iter().filter(|past| decided.is_none() && unproven(past));
        for past in doubtful.filter(|past| listed.heartbeats.contains(&past.attempt)) {
            snapshot.earlier.extend(self.read_heartbeat(job, past.attempt).await?);
        }
        snapshot.claim = Some(claim);
        Ok(snapshot)
    }

    async fn survey(&self) -> Result<Vec<Sighting>, CallError> {
        self.beacons().await
    }

    async fn spec(&self, job: &JobKey) -> Result<Option<JobSpec>, InspectError> {
        self.read(&Layout::of(job).spec()).await
    }

    async fn claim(&self, spec: &JobSpec, claim: &Claim) -> Result<Claimed, InspectError> {
        let layout = Layout::of(&claim.job);
        // The specification comes first: a task may start as soon as its claim exists.
        let accepted = self.create(&layout.spec(), spec).await.map_err(InspectError::Call)?;
        let first = claim.attempt == Attempt::FIRST;
        let there = if !accepted && (first || spec.idempotency_key.is_some()) {
            Some(self.spec(&spec.job).await?.ok_or_else(|| gone(&layout.spec()))?)
        } else {
            None
        };
        if let Some(there) = &there
            && spec.idempotency_key.is_some()
            && !same_source(spec, there)
        {
            return Err(InspectError::Reused(Box::new(there.clone())));
        }
        if first {
            // The time of acceptance is part of the keys, and only the specification that exists has it.
            self.index_accepted(there.as_ref().unwrap_or(spec)).await.map_err(InspectError::Call)?;
        }
        let key = layout.claim(claim.attempt);
        if self.create(&key, claim).await.map_err(InspectError::Call)? {
            return Ok(Claimed { claim: claim.clone(), accepted });
        }
        Ok(Claimed { claim: self.read_claim(&claim.job, claim.attempt).await?, accepted })
    }

    async fn give_up(&self, terminal: &Terminal) -> Result<Terminal, InspectError> {
        let key = Layout::of(&terminal.job).terminal();
        if self.create(&key, terminal).await.map_err(InspectError::Call)? {
            return Ok(terminal.clone());
        }
        self.read_terminal_record(&terminal.job).await?.ok_or_else(|| gone(&key))
    }

    async fn collect(
        &self,
        job: &JobKey,
        spec: Option<&JobSpec>,
        losers: &[Attempt],
    ) -> Result<(), CallError> {
        // From the specification: the settings' output location may have changed since.
        let spec = self.given_or_read(job, spec).await.map_err(|error| match error {
            InspectError::Call(error) => error,
            InspectError::Unreadable(why) => failed(GET, ErrorClass::Permanent, why),
            InspectError::Reused(_) => {
                failed(GET, ErrorClass::Permanent, "another job's specification".into())
            }
        })?;
        let Some(OutputTarget { bucket, prefix }) = spec.as_ref().map(|spec| &spec.output) else {
            return Ok(());
        };
        for attempt in losers {
            self.empty(bucket, &format!("{prefix}{}", Layout::of(job).folder(*attempt))).await?;
        }
        Ok(())
    }

    async fn index(
        &self,
        terminal: &Terminal,
        spec: Option<&JobSpec>,
        asked: Option<&JobSpec>,
    ) -> Result<(), InspectError> {
        let spec = self.given_or_read(&terminal.job, spec).await?;
        self.index_ended(terminal, spec.as_deref(), asked).await.map_err(InspectError::Call)
    }

    async fn put_aside(&self, event: &JobEvent) -> Result<(), CallError> {
        self.put_event(event).await
    }

    async fn waiting(&self, environment: &str, after: Option<&str>) -> Result<Waiting, CallError> {
        self.events_behind(environment, after).await
    }

    async fn take_out(&self, key: &str) -> Result<(), CallError> {
        self.remove_event(key).await
    }

    async fn publish(
        &self,
        job: &JobKey,
        spec: Option<&JobSpec>,
        winner: &Succeeded,
    ) -> Result<Publication, InspectError> {
        let spec = self.given_or_read(job, spec).await?;
        let missing = || format!("{}: missing, though the job succeeded", Layout::of(job).spec());
        let spec = spec.ok_or_else(|| InspectError::Unreadable(missing()))?;
        self.bring_live(job, &spec, winner).await
    }
}

/// Reads at most `most` bytes of the body.
pub(super) async fn collect(mut body: ByteStream, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.try_next().await.map_err(|error| format!("body: {error}"))? {
        let room = most - bytes.len();
        bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if bytes.len() == most {
            break;
        }
    }
    Ok(bytes)
}

/// The object existed a moment ago. Lifecycle rules remove old objects; the next read shows.
fn gone(key: &str) -> InspectError {
    InspectError::Call(failed(GET, ErrorClass::Transient, format!("{key}: gone meanwhile")))
}

/// A document that belongs to another key by its own content must not decide here (S15).
fn strange(key: &str) -> InspectError {
    InspectError::Unreadable(format!("{key}: names another job or attempt than its key"))
}

pub(super) fn failed(operation: &'static str, class: ErrorClass, message: String) -> CallError {
    CallError { operation, class, message }
}
