//! Asks for one object: looks first whether it has such a job, and sends the request if not.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use transcode_config::{
    contract::{Edit, JobKey, JobSpec, Outcome, Source, Terminal},
    settings::QueueSettings,
};
use transcode_core::{
    effects::ports::Store,
    message::{Parsed, Request, parse, same_source},
};

use super::request::{self, Object};
use crate::{
    cli::{
        find::{newer, newest},
        output::{Show, Text, address, time},
        setup::{Session, unreadable},
    },
    runtime::wall_ms,
};

/// Name of the queue in a deployment with one queue.
const DEFAULT_QUEUE: &str = "default";

/// How an object is to be transcoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) profile: Option<&'a str>,
    /// Language of tracks whose language the file does not name.
    pub(super) language: Option<&'a str>,
    pub(super) edit: &'a Edit,
    /// The caller's own name of the job.
    pub(super) name: Option<&'a str>,
    pub(super) force: bool,
    /// The caller's own words.
    pub(super) words: &'a BTreeMap<String, String>,
}

impl Wish<'_> {
    /// Whether the job that the upload itself asks for would be the same.
    fn is_plain(&self) -> bool {
        self.edit.is_none()
            && self.name.is_none()
            && self.language.is_none()
            && self.words.is_empty()
            && !self.force
    }
}

/// What there is of a job now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// It was asked for now.
    Sent,
    /// The file was uploaded now, and the bucket's own event asks for the job.
    Uploaded,
    /// There is such a job, and it has not ended.
    Running,
    /// There is such a job, with a result.
    Succeeded,
    /// There is such a job, without a result.
    Ended,
}

/// The result of asking.
#[derive(Debug, Serialize)]
pub(super) struct Asked {
    pub(super) job: JobKey,
    bucket: String,
    key: String,
    pub(super) state: State,
    /// For a person: since when, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

impl Asked {
    pub(super) fn new(job: JobKey, object: &Object<'_>, state: State, note: Option<String>) -> Self {
        Self { job, bucket: object.bucket.to_owned(), key: object.key.to_owned(), state, note }
    }
}

impl Show for Asked {
    /// The job's key alone: scripts take it.
    fn people(&self, text: &mut Text) {
        text.line(self.job.as_str());
    }

    fn names(&self) -> Vec<String> {
        vec![self.job.to_string()]
    }
}

/// A request that is not sent yet.
pub(super) struct Ready {
    body: String,
    spec: Arc<JobSpec>,
}

/// Looks: the job that there is already, or the request to send.
pub(super) async fn look(
    session: &Session,
    object: &Object<'_>,
    wish: Wish<'_>,
) -> anyhow::Result<Result<Asked, Ready>> {
    let request = |force| {
        let body = request::body(object, wish.profile, wish.edit, wish.name, force);
        request::with_words(request::speaking(body, wish.language), wish.words)
    };
    let mut body = request(false);
    let mut spec = accepted(session, &body)?;
    if let Some(why) = newer(session, &spec).await? {
        ensure!(wish.force, "not sent: {why}. --force sends it, and it goes live all the same");
        body = request(true);
        spec = accepted(session, &body)?;
    }
    if let Some(there) = there(session, &spec).await? {
        return Ok(Ok(there));
    }
    // The newest upload asked for a job by itself, if it is made in the same way.
    if wish.is_plain() && object.version.is_none() {
        let newest = newest(session, object.bucket, object.key).await;
        let version = newest.as_ref().and_then(|newest| newest.version_id());
        let own = Object { version, ..*object };
        let body = request::body(&own, wish.profile, wish.edit, None, false);
        if own.version.is_some()
            && let Some(there) = there(session, &*accepted(session, &body)?).await?
            && there.state != State::Ended
        {
            return Ok(Ok(there));
        }
    }
    Ok(Err(Ready { body, spec }))
}

/// The answer where there is such a job already. An error where asking again would change nothing and the job has no
/// result: it says what to do.
async fn there(session: &Session, spec: &JobSpec) -> anyhow::Result<Option<Asked>> {
    let job = &spec.job;
    let Some(accepted) = session.store.spec(job).await.map_err(unreadable)? else {
        // A refused job has no specification, and ends all the same.
        let ended = session.store.read_terminal_record(job).await.map_err(unreadable)?;
        return Ok(ended.map(|terminal| ended_as(spec, job, &terminal)));
    };
    if !same_source(spec, &accepted) {
        let Source { bucket, key, .. } = &accepted.source;
        bail!("not sent: the idempotency key belongs to job {job} of {}", address(bucket, key));
    }
    let ended = session.store.read_terminal_record(job).await.map_err(unreadable)?;
    if let Some(terminal) = ended {
        return Ok(Some(ended_as(spec, job, &terminal)));
    }
    let since = time(accepted.accepted_at_ms);
    let note = format!("not sent: already running as job {job} since {since}; `--again` makes it anew");
    Ok(Some(Asked::new(job.clone(), &object_of(spec), State::Running, Some(note))))
}

fn object_of(spec: &JobSpec) -> Object<'_> {
    let Source { bucket, key, version_id, .. } = &spec.source;
    Object { bucket, key, version: version_id.as_deref() }
}

fn ended_as(spec: &JobSpec, job: &JobKey, terminal: &Terminal) -> Asked {
    let at = time(terminal.written_at_ms);
    let again = "`--again` makes another job of it";
    let (state, note) = match &terminal.outcome {
        Outcome::Succeeded(_) => (State::Succeeded, format!("already done as job {job} since {at}; {again}")),
        Outcome::Superseded(_) => {
            (State::Ended, format!("job {job} was superseded by a newer upload at {at}; {again}"))
        }
        Outcome::Cancelled(cancelled) => {
            (State::Ended, format!("job {job} was cancelled by {} at {at}; {again}", cancelled.told.who))
        }
        Outcome::Dead(dead) => {
            let code = dead.failure.code;
            let redrive = format!("`retry {job}` runs it again");
            (State::Ended, format!("job {job} is dead ({code}) since {at}; {redrive}; {again}"))
        }
    };
    let note = format!("not sent: {note}");
    Asked::new(job.clone(), &object_of(spec), state, Some(note))
}

impl Ready {
    /// Sends the request.
    pub(super) async fn send(
        self,
        session: &Session,
        (name, queue): (&str, &QueueSettings),
    ) -> anyhow::Result<Asked> {
        let send = session.clients.sqs.write.send_message().queue_url(&queue.url).message_body(self.body);
        send.send().await.with_context(|| format!("the message could not be put into queue {name}"))?;
        Ok(Asked::new(self.spec.job.clone(), &object_of(&self.spec), State::Sent, None))
    }
}

/// The queue that requests go to: the named one, the only one, or `default`.
pub(crate) fn queue<'a>(
    session: &'a Session,
    named: Option<&'a str>,
) -> anyhow::Result<(&'a str, &'a QueueSettings)> {
    let queues = &session.settings.queues;
    let known = || queues.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let wanted = named.unwrap_or(DEFAULT_QUEUE);
    match (queues.get_key_value(wanted), queues.first_key_value()) {
        (Some((name, queue)), _) => Ok((name, queue)),
        (None, Some((name, queue))) if named.is_none() && queues.len() == 1 => Ok((name, queue)),
        _ => bail!("--queue: the settings have {}", known()),
    }
}

/// Reads the request with the controller's own code. A request that would be refused is not sent, because it would end
/// in the dead-letter queue.
pub(super) fn accepted(session: &Session, body: &str) -> anyhow::Result<Arc<JobSpec>> {
    match parse(body, &session.rules, wall_ms()) {
        Parsed::Jobs(requests, _) => match requests.first() {
            Some(Request::Run(spec)) => Ok(Arc::clone(spec)),
            Some(Request::Refuse { failure, .. }) => {
                let remedy = failure.code.info().remedy;
                bail!("refused, not sent: {failure} {:?}; {remedy}", failure.evidence)
            }
            None => bail!("the request asks for nothing"),
        },
        Parsed::Ignore(ignored) => {
            let why = ignored.first().map(|ignored| ignored.reason.name()).unwrap_or_default();
            bail!("not sent: the controller takes no such object ({why})")
        }
        Parsed::Park(why) => bail!("the request cannot be read: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::prints;

    #[test]
    fn an_answer_is_the_jobs_key_alone_and_for_programs_what_there_is_of_it() {
        let object = Object { bucket: "uploads", key: "films/a b.mp4", version: None };
        let job = JobKey::of(&["a"]);
        prints("submit", &Asked::new(job.clone(), &object, State::Sent, None));
        let note = format!("not sent: already done as job {job} since 2026-11-30T09:11:00Z");
        prints("submit-again", &Asked::new(job, &object, State::Succeeded, Some(note)));
    }
}
