//! `retry`: a job that ended without a result runs anew, as its next generation, through the queue.
//!
//! Its dead letter is moved back where it is still there. Otherwise the message is made anew from the job's
//! specification: of all messages that could have asked for it, the one that the controller reads as this job.

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::json;
use transcode_config::contract::{JobKey, JobSpec, Outcome, Terminal};
use transcode_core::message::{Request, Rules};

use crate::cli::{
    find::{Named, Record, letter_of, meant_job, newer, request_of},
    letters::Redrive,
    output::{Show, Text, time},
    send::{Object, body, queue, speaking},
    setup::Session,
};

/// Which job to run anew.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Retry {
    /// The job's key or the first 8 or more characters of it, or an object, whose newest job is meant.
    #[arg(value_name = "JOB|KEY")]
    which: Named,
    /// Run it although something newer is live: it goes live in its place.
    #[arg(long)]
    force: bool,
    /// Name of the job queue in the settings, if there are several.
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
}

/// The result.
#[derive(Debug, Serialize)]
struct Again {
    job: JobKey,
    /// The job that it runs as.
    next: JobKey,
    generation: u32,
}

impl Show for Again {
    fn people(&self, text: &mut Text) {
        let Self { job, next, generation } = self;
        text.line(&format!("job {job} runs again as job {next}, generation {generation}"));
    }

    fn names(&self) -> Vec<String> {
        vec![self.next.to_string()]
    }
}

impl Retry {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let job = meant_job(session, &self.which).await?;
        let Some(next) = self.sent(session, &job).await? else { return Ok(()) };
        session.output.print(&Again { generation: next.generation(), next: next.job().clone(), job })
    }

    /// Runs this job anew, unless something newer is live. Returns the job that it runs as, where the message was made
    /// anew.
    pub(crate) async fn again(session: &Session, job: JobKey) -> anyhow::Result<Option<JobKey>> {
        let retry = Self { which: Named::Job(job.clone()), force: false, queue: None };
        let sent = retry.sent(session, &job).await?;
        Ok(sent.map(|next| next.job().clone()))
    }

    /// Sends the message, and returns what it asks for; none where the job's dead letter was moved, which says so itself.
    async fn sent(&self, session: &Session, job: &JobKey) -> anyhow::Result<Option<Request>> {
        let record = Record::read(&session.store, job).await?;
        let record = record.with_context(|| format!("there is no record of job {job}"))?;
        let terminal =
            record.terminal.with_context(|| format!("job {job} has not ended: nothing to retry"))?;
        may(job, &terminal)?;
        if matches!(terminal.outcome, Outcome::Dead(_))
            && Redrive::of(job, self.force).moved(session).await? > 0
        {
            return Ok(None);
        }
        let spec = record.spec.with_context(|| {
            format!("job {job} was refused before it was accepted: `submit` asks for its object anew")
        })?;
        let next = next(&spec, false, &session.rules);
        let (mut body, mut next) =
            next.context("its message cannot be made anew: `submit --again` asks for its object")?;
        let Request::Run(asked) = &next else { bail!("{}", refused(&next)) };
        if let Some(why) = newer(session, asked).await? {
            ensure!(self.force, "not sent: {why}. --force runs it, and it goes live all the same");
            (body, next) =
                self::next(&spec, true, &session.rules).context("its message cannot be made anew")?;
        }
        let (name, queue) = queue(session, self.queue.as_deref())?;
        let send = session.clients.sqs.write.send_message().queue_url(&queue.url).message_body(body);
        send.send().await.with_context(|| format!("the message could not be put into queue {name}"))?;
        Ok(Some(next))
    }
}

fn may(job: &JobKey, terminal: &Terminal) -> anyhow::Result<()> {
    let at = time(terminal.written_at_ms);
    match &terminal.outcome {
        Outcome::Dead(_) | Outcome::Cancelled(_) => Ok(()),
        Outcome::Succeeded(_) => {
            bail!("job {job} succeeded {at}: `submit --again` makes another job of its object")
        }
        Outcome::Superseded(_) => {
            bail!(
                "job {job} was superseded {at} by a newer upload: `submit --version-id … --force` asks for the older one"
            )
        }
    }
}

fn refused(request: &Request) -> String {
    match request {
        Request::Refuse { failure, .. } => format!("not sent, it would be refused: {failure}"),
        Request::Run(_) => String::new(),
    }
}

/// The message that asks for the next generation of a job, and what it asks for.
fn next(spec: &JobSpec, forced: bool, rules: &Rules) -> Option<(String, Request)> {
    let same = |original: &String| {
        let body = match spec.generation.checked_sub(1) {
            None => original.clone(),
            Some(before) => letter_of(&spec.job, before, original, spec.forced),
        };
        request_of(&body, rules, 0).is_some_and(|request| *request.job() == spec.job)
    };
    let original = originals(spec).into_iter().find(same)?;
    let body = letter_of(&spec.job, spec.generation, &original, forced || spec.forced);
    let request = request_of(&body, rules, 0)?;
    Some((body, request))
}

/// The messages that may have asked for a job first.
fn originals(spec: &JobSpec) -> Vec<String> {
    let source = &spec.source;
    let object = Object { bucket: &source.bucket, key: &source.key, version: source.version_id.as_deref() };
    let bare = Object { version: None, ..object };
    let (profile, name) = (spec.profile.name.as_str(), spec.idempotency_key.as_deref());
    let asked = |object: &Object<'_>, profile| {
        body(object, profile, &spec.edit, name, spec.forced && spec.generation == 0)
    };
    let plain = [
        asked(&object, Some(profile)),
        asked(&object, None),
        asked(&bare, Some(profile)),
        asked(&bare, None),
    ];
    let language = spec.profile.audio.default_language.as_deref();
    let spoken = plain.clone().map(|request| speaking(request, language));
    [event(spec)].into_iter().chain(plain).chain(spoken).collect()
}

/// The bucket's own event of the upload.
fn event(spec: &JobSpec) -> String {
    let source = &spec.source;
    let mut object = json!({"key": source.key});
    let fields =
        [("version-id", &source.version_id), ("etag", &source.etag), ("sequencer", &source.sequencer)];
    for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        object[name] = value.as_str().into();
    }
    if let Some(size) = source.size {
        object["size"] = size.into();
    }
    let mut event = json!({
        "version": "0", "source": "aws.s3", "detail-type": "Object Created",
        "detail": {"version": "0", "bucket": {"name": source.bucket}, "object": object},
    });
    if let Some(at) = source.uploaded_at_ms {
        event["time"] = time(at).into();
    }
    event.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use transcode_config::{contract::Edit, ladder::Profile, settings::SourceSettings};

    use super::*;
    use crate::cli::output::prints;

    fn rules() -> Rules {
        let profile = |name: &str| (name.to_owned(), Profile::built_in(name).unwrap().into());
        Rules {
            sources: vec![SourceSettings { bucket: "uploads".into(), ..SourceSettings::default() }],
            profiles: [profile("standard"), profile("hevc")].into(),
            default_profile: "standard".into(),
            max_source_bytes: 1 << 30,
            ..Rules::default()
        }
    }

    fn accepted(body: &str) -> Arc<JobSpec> {
        match request_of(body, &rules(), 0) {
            Some(Request::Run(spec)) => spec,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn whatever_asked_for_a_job_its_next_generation_is_asked_for() {
        let upload = |object: serde_json::Value| {
            json!({"version": "0", "source": "aws.s3", "detail-type": "Object Created", "time": "2025-11-24T16:00:00Z",
                "detail": {"version": "0", "bucket": {"name": "uploads"}, "object": object}})
            .to_string()
        };
        let object = |version| Object { bucket: "uploads", key: "a \u{202e}+.mp4", version };
        let clip: Edit = serde_json::from_str(r#"{"clip":{"start_ms":5}}"#).unwrap();
        let none = Edit::default();
        for first in [
            upload(json!({"key": "a.mp4", "version-id": "v", "etag": "e", "sequencer": "0A", "size": 5})),
            upload(json!({"key": "a.mp4", "etag": "e", "sequencer": "0A"})),
            body(&object(None), None, &none, None, false),
            body(&object(Some("v")), Some("hevc"), &clip, None, false),
            body(&object(None), None, &none, Some("order-17"), false),
            body(&object(Some("v")), None, &none, None, true),
            speaking(body(&object(None), None, &none, None, false), Some("de")),
        ] {
            let mut spec = accepted(&first);
            let mut expected = first.clone();
            for generation in 1..4 {
                // As a redrive of its letter would ask for it.
                expected = letter_of(&spec.job, generation - 1, &first, spec.forced);
                let (body, request) = next(&spec, false, &rules()).unwrap_or_else(|| panic!("{first}"));
                assert_eq!(request, Request::Run(accepted(&expected)), "{body}");
                spec = accepted(&body);
                assert_eq!(spec.generation, generation);
            }
            assert!(!expected.is_empty());
        }
    }

    #[test]
    fn of_a_job_that_no_message_explains_nothing_is_made() {
        let mut spec = (*accepted(&body(
            &Object { bucket: "uploads", key: "a", version: None },
            None,
            &Edit::default(),
            None,
            false,
        )))
        .clone();
        spec.job = JobKey::of(&["another"]);
        assert_eq!(next(&spec, false, &rules()), None);
    }
    #[test]
    fn a_retry_is_told_with_the_job_that_it_becomes() {
        prints("retry", &Again { job: JobKey::of(&["a"]), next: JobKey::of(&["b"]), generation: 1 });
    }
}
