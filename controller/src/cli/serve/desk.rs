//! Answers the console's questions with what the commands gather.

use anyhow::Context;
use futures::{StreamExt, stream::FuturesUnordered};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use transcode_config::contract::{JobKey, JobSpec, Layout, Outcome};

use crate::{
    cli::{
        find::{Heard, Named, Record, Which, named_jobs, story},
        letters::{Filter as Letters, LISTED, Redrive, listed},
        output::Tint,
        setup::{Session, in_force, unreadable},
        show::{Choice, explained, happened, job_list, known_jobs},
        steer::{Cancel, Retry, planned},
    },
    console::{Answer, Ask, Filter, Place, Question},
    runtime::wall_ms,
};

/// Questions that are answered at the same time.
const AT_ONCE: usize = 8;

/// Largest `verification.json` that is read, in bytes.
const MAX_VERIFICATION: usize = 4 << 20;

/// Answers until the server is gone.
pub(super) async fn answer(session: &Session, mut asked: Receiver<Ask>) {
    let mut answers = FuturesUnordered::new();
    loop {
        tokio::select! {
            ask = asked.recv(), if answers.len() < AT_ONCE => match ask {
                Some(Ask { question, answer }) => answers.push(async move {
                    // Whoever asked may have gone.
                    answer.send(one(session, question).await).ok();
                }),
                None => return,
            },
            Some(()) = answers.next() => {}
        }
    }
}

async fn one(session: &Session, question: Question) -> Answer {
    Box::pin(document(session, question)).await.map_err(|error| format!("{error:#}"))
}

async fn document(session: &Session, question: Question) -> anyhow::Result<Value> {
    let named = |job| Which::of(Named::Job(job));
    match question {
        Question::Jobs(filter) => list(session, filter).await,
        Question::Find(text) => {
            let which = Which::of(text.parse().map_err(anyhow::Error::msg)?);
            let found = named_jobs(session, &which, &Heard::read(session).await).await?;
            Ok(json!({ "jobs": found }))
        }
        Question::Job(job) => whole(session, job).await,
        Question::Explain(job) => value(&explained(session, &named(job)).await?),
        Question::Events(job) => value(&happened(session, &named(job)).await?),
        Question::Letters => value(&listed(&current(session).await?, &Letters::default(), LISTED).await?),
        Question::Plan => value(&planned(&current(session).await?).await?),
        Question::Report => report(session).await,
        Question::Place(job) => {
            let spec: Option<JobSpec> =
                session.store.read(&Layout::of(&job).spec()).await.map_err(unreadable)?;
            let output = spec.with_context(|| format!("there is no record of job {job}"))?.output;
            value(&Place { bucket: output.bucket, prefix: output.prefix })
        }
        Question::Cancel(job, why) => value(&Cancel::of(job, why).written(&current(session).await?).await?),
        Question::Retry(job) => {
            let next = Retry::again(&current(session).await?, job).await?;
            Ok(json!({ "job": next }))
        }
        Question::Redrive(job) => {
            let moved = Redrive::of(&job, false).moved(&current(session).await?).await?;
            anyhow::ensure!(
                moved > 0,
                "no letter of job {job} was moved: something newer is live in its place, or somebody else holds it for \
                 some minutes"
            );
            Ok(json!({ "moved": moved }))
        }
    }
}

/// The session as people want it now: profiles and settings change while the console runs.
async fn current(session: &Session) -> anyhow::Result<Session> {
    in_force(session.clone()).await
}

fn value(document: &impl Serialize) -> anyhow::Result<Value> {
    serde_json::to_value(document).context("the answer")
}

async fn list(session: &Session, filter: Filter) -> anyhow::Result<Value> {
    let Filter { state, tenant, text, limit } = filter;
    let state = state.into_iter().collect();
    let choice = Choice { state, tenant, contains: text, since: None, limit };
    let list = job_list(session, &choice).await?;
    let mut document = value(&list)?;
    // The plain line has the numbers that the page shows as figures.
    let told = list.head.iter().filter(|(tint, _)| *tint != Tint::Plain);
    document["says"] = told.map(|(_, line)| line.as_str()).collect();
    Ok(document)
}

/// The controller's report without its jobs, of which there may be thousands.
async fn report(session: &Session) -> anyhow::Result<Value> {
    let heard = Heard::read(session).await;
    let mut document = value(&heard.report())?;
    if let Some(jobs) = document.get_mut("jobs") {
        *jobs = json!([]);
    }
    Ok(document)
}

/// Everything of one job, also of one that is only a message so far, or nothing.
async fn whole(session: &Session, job: JobKey) -> anyhow::Result<Value> {
    let which = Which::of(Named::Job(job.clone()));
    let jobs = known_jobs(session, &which).await?;
    let superseded = jobs.newest().is_some_and(|record| record.superseded_by().is_some());
    let known = value(&jobs)?;
    // After the records, so that it is never older than they are.
    let says = explained(session, &which).await?.says;
    let mut document = if let Some(known) = known.get(0) {
        known.clone()
    } else {
        // Nothing is known of it, and the explanation says why.
        let record = Record::none(&job);
        let mut bare = value(&record)?;
        bare["story"] = value(&story(&record, None))?;
        bare
    };
    document["says"] = says.into();
    document["superseded"] = superseded.into();
    document["controller"] = Heard::read(session).await.word(wall_ms()).into();
    document["verification"] = verification(session, &job).await.unwrap_or_default();
    Ok(document)
}

/// The verifier's report of a succeeded job; none if it cannot be read: a lifecycle rule may have removed it.
async fn verification(session: &Session, job: &JobKey) -> Option<Value> {
    let terminal = session.store.read(&Layout::of(job).terminal()).await.ok()?;
    let terminal: transcode_config::contract::Terminal = terminal?;
    let Outcome::Succeeded(won) = terminal.outcome else { return None };
    let get = session.clients.s3.read.get_object().bucket(&won.bucket);
    let range = format!("bytes=0-{}", MAX_VERIFICATION - 1);
    let object = get.key(format!("{}verification.json", won.folder)).range(range).send().await.ok()?;
    serde_json::from_slice(&object.body.collect().await.ok()?.into_bytes()).ok()
}
