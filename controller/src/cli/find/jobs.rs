//! Finds the jobs of an object: in the index. For records from before there was one their keys, which are hashes, are
//! computed again and looked up; if none is found, the records are searched.
//!
//! The hashing is the controller's own code: the messages that would ask for the jobs are built and read.

use aws_sdk_s3::types::{CommonPrefix, ObjectVersion};
use futures::{StreamExt, TryStreamExt, stream};
use transcode_config::contract::{
    Dead, Edit, Failure, FailureCode, JobKey, JobSpec, Layout, SCHEMA, Terminal,
};
use transcode_core::message::{DEAD_LETTER_KIND, DeadLetterBody, Parsed, Request, Rules, parse};

use super::{
    known::{Heard, of_source},
    versions::{newest, versions},
    which::{Named, Which, ambiguous, begins_a_job},
};
use crate::{
    aws::class::call_error,
    cli::{
        send::{Object, body, event},
        setup::{Session, source_bucket, unreadable},
    },
};

/// Most versions of one object that are looked up, from the newest.
const MAX_VERSIONS: usize = 20;

/// Most redrives of one job that are looked up.
const MAX_GENERATIONS: u32 = 100;

/// Most jobs that are searched: some seconds of reading.
const MAX_SEARCHED: usize = 10_000;

/// Documents read at the same time.
const CONCURRENCY: usize = 16;

/// The jobs that are meant, the newest first: the named one, or those of the object. A job that is only a message so far
/// is known by the controller's report.
pub(crate) async fn named_jobs(
    session: &Session,
    which: &Which,
    heard: &Heard,
) -> anyhow::Result<Vec<JobKey>> {
    let named = which.named();
    let key = match &named {
        Named::Job(job) => return Ok(vec![job.clone()]),
        Named::Object { key, .. } => key,
    };
    let mut found = heard.of_object(which.bucket(), key);
    for job in of_object(session, which.bucket(), key).await? {
        if !found.contains(&job) {
            found.push(job);
        }
    }
    let begins = which.bucket().is_none() && begins_a_job(key);
    if begins && found.iter().all(|job| job.as_str().starts_with(key)) {
        let known = heard.beginning_with(key);
        found.extend(known.into_iter().filter(|job| !found.contains(job)).collect::<Vec<_>>());
        anyhow::ensure!(found.len() < 2, "{}", ambiguous(key));
    }
    Ok(found)
}

/// The job that is meant: the named one, or the newest of an object.
pub(crate) async fn meant_job(session: &Session, named: &Named) -> anyhow::Result<JobKey> {
    if let Named::Job(job) = named {
        return Ok(job.clone());
    }
    let (which, heard) = (Which::of(named.clone()), Heard::read(session).await);
    which.newest(&named_jobs(session, &which, &heard).await?)
}

/// The jobs of an object, in every generation: from the index, or, for records from before there was one, by computing
/// their keys again. Jobs under a caller's own idempotency key are then found only if there is no other job.
async fn of_object(session: &Session, bucket: Option<&str>, key: &str) -> anyhow::Result<Vec<JobKey>> {
    let mut buckets: Vec<&str> = match bucket {
        Some(bucket) => vec![bucket],
        None => session.settings.sources.values().map(|source| source.bucket.as_str()).collect(),
    };
    buckets.sort_unstable();
    buckets.dedup();
    let mut found = Vec::new();
    for bucket in &buckets {
        found.extend(of_source(session, bucket, key).await?);
    }
    if found.is_empty() && bucket.is_none() && begins_a_job(key) {
        found = beginning_with(session, key).await?;
    }
    if !found.is_empty() {
        return Ok(found);
    }
    for bucket in &buckets {
        for body in bodies(&session.rules, bucket, key, &versions(session, bucket, key).await) {
            for job in generations(session, body).await? {
                if !found.contains(&job) {
                    found.push(job);
                }
            }
        }
    }
    if found.is_empty() { search(session, &buckets, key).await } else { Ok(found) }
}

/// The job whose key begins so, if it has a record. An error if there are several.
async fn beginning_with(session: &Session, begin: &str) -> anyhow::Result<Vec<JobKey>> {
    let list = session.clients.s3.read.list_objects_v2().bucket(&session.settings.state.bucket);
    let page = list.prefix(format!("jobs/{begin}")).delimiter("/").max_keys(3).send().await;
    let page = page.map_err(|error| call_error("s3:ListObjectsV2", &error))?;
    let found: Vec<JobKey> = page.common_prefixes().iter().filter_map(job_of).collect();
    anyhow::ensure!(found.len() < 2, "{}", ambiguous(begin));
    Ok(found)
}

/// The job of a folder `jobs/…/`.
fn job_of(folder: &CommonPrefix) -> Option<JobKey> {
    folder.prefix()?.strip_prefix("jobs/")?.strip_suffix('/')?.parse().ok()
}

/// The messages that could ask for a job of this object.
fn bodies(rules: &Rules, bucket: &str, key: &str, versions: &[ObjectVersion]) -> Vec<String> {
    let upload = |version: &str| event(bucket, key, version, None);
    let named = rules.profiles.keys().map(|profile| {
        body(&Object { bucket, key, version: None }, Some(profile), &Edit::default(), None, false)
    });
    let versions = versions.iter().filter_map(ObjectVersion::version_id).take(MAX_VERSIONS);
    versions.map(upload).chain(named).collect()
}

/// The job that a message asks for, and its redrives, as far as they have a record.
async fn generations(session: &Session, first: String) -> anyhow::Result<Vec<JobKey>> {
    let mut found = Vec::new();
    let mut body = first.clone();
    for generation in 0..MAX_GENERATIONS {
        let Some(request) = request_of(&body, &session.rules, 0) else { break };
        let job = request.job().clone();
        if !exists(session, &job).await? {
            break;
        }
        body = letter_of(&job, generation, &first, false);
        found.push(job);
    }
    Ok(found)
}

/// The request of a message received at `wall_ms` (ms since 1970); `None` if it asks for no job.
pub(crate) fn request_of(body: &str, rules: &Rules, wall_ms: u64) -> Option<Request> {
    match parse(body, rules, wall_ms) {
        Parsed::Jobs(requests, _) => requests.into_iter().next(),
        Parsed::Ignore(_) | Parsed::Park(_) => None,
    }
}

/// The job that the newest upload of an object asks for, whether or not it has been accepted. None without such an object.
pub(crate) async fn asked_by_upload(session: &Session, bucket: Option<&str>, key: &str) -> Option<JobKey> {
    let bucket = source_bucket(&session.settings, bucket, key).ok()?;
    let newest = newest(session, bucket, key).await?;
    let body = event(bucket, key, newest.version_id()?, None);
    request_of(&body, &session.rules, 0).map(|request| request.job().clone())
}

/// A dead letter as a redrive sends it: the next generation of its job.
pub(crate) fn letter_of(job: &JobKey, generation: u32, original: &str, forced: bool) -> String {
    let dead = Dead {
        failure: Failure::new(FailureCode::Internal, ""),
        last_task_arn: None,
        log_link: None,
        attempts: Vec::new(),
    };
    let letter = DeadLetterBody {
        schema: SCHEMA,
        kind: DEAD_LETTER_KIND.to_owned(),
        job: job.clone(),
        generation,
        message_id: String::new(),
        dead,
        original: original.to_owned(),
        forced,
        original_cut: false,
    };
    letter.encode()
}

/// Whether the job has a record: an accepted job has a specification, a refused one a terminal record.
async fn exists(session: &Session, job: &JobKey) -> anyhow::Result<bool> {
    let layout = Layout::of(job);
    let spec: Option<JobSpec> = session.store.read(&layout.spec()).await.map_err(unreadable)?;
    if spec.is_some() {
        return Ok(true);
    }
    let terminal: Option<Terminal> = session.store.read(&layout.terminal()).await.map_err(unreadable)?;
    Ok(terminal.is_some())
}

/// Reads specifications until all are read or the limit is reached.
async fn search(session: &Session, buckets: &[&str], key: &str) -> anyhow::Result<Vec<JobKey>> {
    let (mut jobs, mut next) = (Vec::new(), None);
    loop {
        let list = session.clients.s3.read.list_objects_v2().bucket(&session.settings.state.bucket);
        let page = list.prefix("jobs/").delimiter("/").set_continuation_token(next).send().await;
        let page = page.map_err(|error| call_error("s3:ListObjectsV2", &error))?;
        jobs.extend(page.common_prefixes().iter().filter_map(job_of));
        next = page.next_continuation_token().map(str::to_owned);
        if next.is_none() {
            break;
        }
        anyhow::ensure!(
            jobs.len() < MAX_SEARCHED,
            "no job of this key by its versions, and more than {MAX_SEARCHED} jobs to search: give the job's key, which the \
             controller logs"
        );
    }
    let read = |job: JobKey| async move {
        let spec: Option<JobSpec> = session.store.read(&Layout::of(&job).spec()).await.map_err(unreadable)?;
        let ours =
            spec.is_some_and(|spec| spec.source.key == key && buckets.contains(&spec.source.bucket.as_str()));
        anyhow::Ok(ours.then_some(job))
    };
    let found: Vec<Option<JobKey>> = stream::iter(jobs).map(read).buffered(CONCURRENCY).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}
