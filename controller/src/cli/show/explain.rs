//! `explain`: for a person who is on call. Why does the job wait, until when, and who can act?
//!
//! A settled job is explained from its record alone, any other from its record and from what the controller last
//! reported. A decided job whose result is not published yet, or whose letter has not been sent, is not settled.

mod ends;
mod view;

use std::collections::BTreeMap;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use transcode_config::{Settings, contract::JobKey};

use self::{
    ends::{ended, settled},
    view::View,
};
use crate::{
    cli::{
        find::{Heard, Named, Record, Which, named_jobs},
        output::{Show, Text, Tint, address, shown, span},
        setup::Session,
    },
    runtime::wall_ms,
};

/// Which job to explain.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct Explain {
    #[command(flatten)]
    which: Which,
    /// Show what the explanation rests on.
    #[arg(long)]
    evidence: bool,
}

/// An explanation, and what it rests on.
#[derive(Debug, Serialize)]
struct Explanation {
    /// The job; `None` if only an object was named and nobody knows a job of it.
    job: Option<JobKey>,
    says: String,
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
    pub(in crate::cli) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let heard = Heard::read(session).await;
        let jobs = named_jobs(session, &self.which, &heard).await?;
        let now = wall_ms();
        let explanation = match jobs.split_first() {
            None => self.unknown(&heard, now),
            Some((newest, older)) => {
                let record = Record::read(&session.store, newest).await?;
                let mut says = paragraph(newest, record.as_ref(), &heard, &session.settings, now);
                if !older.is_empty() {
                    says = format!(
                        "{says} It is the newest of {} jobs of this object; `get` shows all.",
                        jobs.len()
                    );
                }
                Explanation {
                    job: Some(newest.clone()),
                    says,
                    evidence: evidence(record.as_ref(), &heard, newest, now)?,
                    all: self.evidence,
                }
            }
        };
        session.output.print(&explanation)
    }

    /// An object of which nobody has heard.
    fn unknown(&self, heard: &Heard, now: u64) -> Explanation {
        let key = match &self.which.named() {
            Named::Job(job) => job.to_string(),
            Named::Object { key, .. } => key.clone(),
        };
        let mut says = vec![format!("There is no job of {} yet.", shown(&key))];
        match heard.silence(now) {
            Some(silence) => says.push(silence),
            None => says.push(format!(
                "Either its message waits in the queue ({}), or no upload of this key was announced: check the key, and \
                 `doctor` the bucket's notifications.",
                heard.queues().join("; ")
            )),
        }
        says.extend(heard.pauses(now));
        Explanation {
            job: None,
            says: shown(&says.join(" ")).into_owned(),
            evidence: BTreeMap::new(),
            all: self.evidence,
        }
    }
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

/// The whole explanation.
fn paragraph(job: &JobKey, record: Option<&Record>, heard: &Heard, settings: &Settings, now: u64) -> String {
    let view = View { heard, settings, now };
    let decided = record.and_then(|record| record.terminal.as_ref());
    let said = match (record, decided.map(|terminal| (&terminal.outcome, terminal.written_at_ms))) {
        (None, _) if heard.job(job).is_some() => vec![waits(job, heard, now), view.controller(job)],
        (None, _) => vec![
            format!("The state bucket {} has no record of job {job}.", settings.state.bucket),
            view.controller(job),
            "An upload has a record as soon as its first attempt is claimed; before that its message is in the job queue, \
             and one that the controller cannot read or does not allow ends in the dead-letter queue."
                .to_owned(),
        ],
        (Some(record), None) => {
            let mut said = vec![about(record, now)];
            said.extend(view.undecided(record));
            said
        }
        (Some(record), Some((outcome, at))) => match view.unsettled(record, outcome) {
            Some(left) => vec![about(record, now), ended(outcome, at), left],
            None => vec![about(record, now), settled(record, outcome, at)],
        },
    };
    let said = said.into_iter().filter(|sentence| !sentence.is_empty()).collect::<Vec<_>>().join(" ");
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
