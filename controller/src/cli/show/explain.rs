//! `explain`: for a person who is on call. Why does the job wait, until when, and who can act?
//!
//! A settled job is explained from its record alone, any other from its record and from what the controller last
//! reported. A decided job whose result is not published yet, or whose letter has not been sent, is not settled.

mod beside;
mod ends;
mod view;

use std::collections::BTreeMap;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use transcode_config::contract::{JobKey, JobStatus};

use self::{
    ends::{ended, settled},
    view::View,
};
use crate::{
    cli::{
        find::{Heard, Named, Record, Which, asked_by_upload, named_jobs},
        output::{Show, Text, Tint, address, advice, shown, span},
        setup::Session,
    },
    evidence::Evidence,
    runtime::wall_ms,
};

/// Which job to explain.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Explain {
    #[command(flatten)]
    which: Which,
    /// Show what the explanation rests on.
    #[arg(long)]
    evidence: bool,
}

/// An explanation, and what it rests on.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    /// The job; `None` if only an object was named and nothing asks for a job of it.
    job: Option<JobKey>,
    pub(crate) says: String,
    evidence: BTreeMap<&'static str, String>,
    #[serde(skip)]
    all: bool,
}

impl Show for Explanation {
    fn people(&self, text: &mut Text) {
        text.line(&self.says);
        for (name, value) in self.evidence.iter().filter(|_| self.all) {
            text.span(Tint::Faint, &format!("{name:<16}")).line(value);
        }
    }

    fn names(&self) -> Vec<String> {
        self.job.iter().map(ToString::to_string).collect()
    }
}

impl Explain {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let explanation = explained(session, &self.which).await?;
        session.output.print(&Explanation { all: self.evidence, ..explanation })
    }
}

/// Why the newest of the jobs that are meant waits, or how it ended.
pub(crate) async fn explained(session: &Session, which: &Which) -> anyhow::Result<Explanation> {
    let heard = Heard::read(session).await;
    let now = wall_ms();
    let jobs = match named_jobs(session, which, &heard).await {
        Ok(jobs) => jobs,
        Err(error) => return Ok(unread(session, which, &heard, &error, now).await),
    };
    let Some((newest, older)) = jobs.split_first() else {
        return Ok(unknown(session, which, &heard, now).await);
    };
    let record = match Record::read(&session.store, newest).await {
        Ok(record) => record,
        Err(error) => return Ok(unread(session, which, &heard, &error, now).await),
    };
    let beside = beside(session, &heard, newest, record.as_ref(), now).await;
    let view = View { heard: &heard, settings: &session.settings, evidence: beside.as_ref(), now };
    let mut says = paragraph(newest, record.as_ref(), &view);
    if !older.is_empty() {
        says = format!("{says} It is the newest of {} jobs of this object; `get` shows all.", jobs.len());
    }
    let evidence = evidence(record.as_ref(), &heard, newest, now)?;
    Ok(Explanation { job: Some(newest.clone()), says, evidence, all: false })
}

/// What is known beside the report: for a job that no new report mentions, unless a report from after its end shows that
/// nothing is left to do.
async fn beside(
    session: &Session,
    heard: &Heard,
    job: &JobKey,
    record: Option<&Record>,
    now: u64,
) -> Option<Evidence> {
    let terminal = record.and_then(|record| record.terminal.as_ref());
    // Of a decided job a report of before its end says nothing that counts.
    let counts = |status: &JobStatus| {
        status.step.is_some() || terminal.is_none_or(|terminal| heard.is_after(terminal.written_at_ms))
    };
    let told = heard.job(job).is_some_and(counts) && heard.silence(now).is_none();
    let settled = record.is_some_and(|record| {
        let ended = terminal.filter(|terminal| !record.is_unpublished(&terminal.outcome));
        ended.is_some_and(|terminal| heard.is_after(terminal.written_at_ms))
    });
    if told || settled { None } else { Some(session.evidence().await) }
}

/// A job whose record this person cannot read: what is known all the same.
async fn unread(
    session: &Session,
    which: &Which,
    heard: &Heard,
    error: &anyhow::Error,
    now: u64,
) -> Explanation {
    let job = match which.named() {
        Named::Job(job) => Some(job),
        Named::Object { key, .. } => match heard.of_object(which.bucket(), &key).into_iter().next() {
            Some(job) => Some(job),
            None => asked_by_upload(session, which.bucket(), &key).await,
        },
    };
    let evidence = session.evidence().await;
    let view = View { heard, settings: &session.settings, evidence: Some(&evidence), now };
    let mut says: Vec<_> = view.unwritten().into_iter().collect();
    says.push(format!(
        "The {} cannot be read with your credentials: {error:#}. You can act: {}.",
        which.words(),
        who_may_read(&format!("{error:#}")),
    ));
    says.extend(job.as_ref().map(|job| format!("Job {job}: {}", view.controller(job))));
    let says = shown(&says.join(" ")).into_owned();
    Explanation { job, says, evidence: BTreeMap::new(), all: false }
}

/// What a person can do who could not read the state bucket.
fn who_may_read(error: &str) -> &'static str {
    // Whom S3 has refused nothing lacks something else.
    advice(error).filter(|_| !error.contains("AccessDenied")).unwrap_or(
        "assume the operator's role, or correct what the bucket's policy and key allow it; a controller that is refused the \
         same goes no further",
    )
}

/// An object of which no controller has heard.
async fn unknown(session: &Session, which: &Which, heard: &Heard, now: u64) -> Explanation {
    let key = match which.named() {
        Named::Job(job) => job.to_string(),
        Named::Object { key, .. } => key,
    };
    let asked = asked_by_upload(session, which.bucket(), &key).await;
    let evidence = session.evidence().await;
    let view = View { heard, settings: &session.settings, evidence: Some(&evidence), now };
    let mut says: Vec<_> = view.unwritten().into_iter().collect();
    let unwritten = !says.is_empty();
    says.push(format!("There is no job of {} yet.", shown(&key)));
    match (heard.silence(now), &asked) {
        (_, Some(job)) if unwritten => {
            says.push(format!("The object is there, and its upload asks for job {job}."));
            says.extend(view.beside(job));
        }
        (Some(silence), _) => {
            says.push(silence);
            says.extend(asked.iter().flat_map(|job| view.beside(job)));
        }
        (None, Some(job)) => {
            let queues = heard.queues().join("; ");
            says.push(format!(
                "The object is there, and its upload asks for job {job}, whose message no controller has received yet \
                 ({queues})."
            ));
            says.extend(heard.full());
            says.extend(evidence.knows(job).then(|| view.beside(job)).into_iter().flatten());
        }
        (None, None) => says.push(format!(
            "Either its message waits in the queue ({}), or no upload of this key was announced: check the key, and \
             `doctor` the bucket's notifications.",
            heard.queues().join("; ")
        )),
    }
    says.extend(heard.pauses(now));
    let says = shown(&says.join(" ")).into_owned();
    Explanation { job: asked, says, evidence: BTreeMap::new(), all: false }
}

/// What the explanation rests on, by name.
fn evidence(
    record: Option<&Record>,
    heard: &Heard,
    job: &JobKey,
    now: u64,
) -> anyhow::Result<BTreeMap<&'static str, String>> {
    let mut found = BTreeMap::new();
    let json = |value: serde_json::Result<String>| value.context("the evidence");
    if let Some(report) = heard.report() {
        let age = span(report.age_ms(now));
        found.insert("report", format!("of {age} ago by {} ({})", report.instance, report.version));
    }
    if let Some(status) = heard.job(job) {
        found.insert("report of it", json(serde_json::to_string(status))?);
    }
    if let Some(newest) = record.and_then(Record::newest) {
        found.insert("newest claim", json(serde_json::to_string(&newest.claim))?);
        if let Some(heartbeat) = &newest.heartbeat {
            found.insert("heartbeat", json(serde_json::to_string(heartbeat))?);
        }
    }
    if let Some(terminal) = record.and_then(|record| record.terminal.as_ref()) {
        found.insert("terminal record", json(serde_json::to_string(terminal))?);
    }
    if let Some(live) = record.and_then(|record| record.live.as_ref()) {
        found.insert("live job", json(serde_json::to_string(live))?);
    }
    Ok(found)
}

/// When there is a record.
const RECORDED: &str = "An upload has a record as soon as its first attempt is claimed; before that its message is in the \
    job queue, and one that the controller cannot read or does not allow ends in the dead-letter queue.";

/// The whole explanation.
fn paragraph(job: &JobKey, record: Option<&Record>, view: &View<'_>) -> String {
    let View { heard, settings, now, .. } = *view;
    let decided = record.and_then(|record| record.terminal.as_ref());
    let said = match (record, decided.map(|terminal| (&terminal.outcome, terminal.written_at_ms))) {
        (None, _) if heard.job(job).is_some() => vec![waits(job, heard, now), view.controller(job)],
        (None, _) => vec![
            format!("The state bucket {} has no record of job {job}.", settings.state.bucket),
            view.controller(job),
            if view.unwritten().is_some() { String::new() } else { RECORDED.to_owned() },
        ],
        (Some(record), None) => {
            let mut said = vec![about(record, now)];
            said.extend(view.undecided(record));
            said
        }
        (Some(record), Some((outcome, at))) => match view.unsettled(record, outcome) {
            Some(left) => vec![about(record, now), ended(outcome, at), left],
            None => {
                vec![
                    about(record, now),
                    settled(record, outcome, at),
                    view.behind(record).unwrap_or_default(),
                ]
            }
        },
    };
    let said = view.unwritten().into_iter().chain(said);
    let said = said.filter(|sentence| !sentence.is_empty()).collect::<Vec<_>>().join(" ");
    // It contains keys, and texts of ffmpeg and AWS: the paragraph must stay one line.
    shown(&said).into_owned()
}

fn about(record: &Record, now: u64) -> String {
    let Some(spec) = &record.spec else { return format!("Job {} was never accepted.", record.job) };
    let again = match spec.generation {
        0 => String::new(),
        generation => format!(", redriven {generation} times"),
    };
    let source = address(&spec.source.bucket, &spec.source.key);
    let age = span(now.saturating_sub(spec.accepted_at_ms));
    format!("Job {} is {source}, profile {}{again}, accepted {age} ago.", record.job, spec.profile.name)
}

/// A job that is only a message so far.
fn waits(job: &JobKey, heard: &Heard, now: u64) -> String {
    let Some(status) = heard.job(job) else { return String::new() };
    let source = match (&status.bucket, &status.key) {
        (Some(bucket), Some(key)) => address(bucket, key),
        (_, key) => {
            key.as_deref().map_or_else(|| "of an unknown object".to_owned(), |key| shown(key).into_owned())
        }
    };
    let age = span(now.saturating_sub(status.asked_at_ms.unwrap_or(status.known_at_ms)));
    let tenant = status.tenant.as_ref().map(|tenant| format!(", tenant {tenant}")).unwrap_or_default();
    format!("Job {job} is {source}{tenant}, {} since {age}.", status.state.name())
}

#[cfg(test)]
mod tests;
