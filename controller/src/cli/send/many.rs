//! Asks for many objects: those below a prefix, or those that a list names. A run that is interrupted is started again:
//! what has a job already is skipped.

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};
use aws_sdk_s3::types::{EncodingType, ObjectVersion};
use futures::{Stream, StreamExt, stream};
use tokio::time::{Interval, MissedTickBehavior};
use transcode_config::{contract::JobKey, settings::QueueSettings};

use super::{
    one::{self, Asked, Ready, State, Wish},
    request::Object,
};
use crate::{
    aws::written,
    cli::{
        find::newest,
        output::{address, complain},
        setup::{Session, source_bucket},
    },
};

/// Objects that are looked at at the same time.
const AT_ONCE: usize = 8;

/// Longest list of keys, in bytes.
const MAX_MANIFEST: u64 = 256 << 20;

/// Bounds of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most requests in a second.
    pub(super) per_second: u32,
    /// Most requests.
    pub(super) most: usize,
}

/// An object to ask for, with its version where it has one.
pub(super) struct Wanted {
    bucket: String,
    key: String,
    version: Option<String>,
}

/// Counts of a run.
#[derive(Debug, Default)]
struct Tally {
    sent: usize,
    there: usize,
    ended: usize,
    refused: usize,
}

/// The objects below a prefix, page by page.
pub(super) fn below<'a>(
    session: &'a Session,
    bucket: &'a str,
    prefix: &'a str,
) -> impl Stream<Item = anyhow::Result<Wanted>> + 'a {
    let list = session.clients.s3.read.list_object_versions().bucket(bucket).prefix(prefix);
    let list = list.encoding_type(EncodingType::Url);
    let pages =
        stream::try_unfold(Some((None, None)), move |at: Option<(Option<String>, Option<String>)>| {
            let list = list.clone();
            async move {
                let Some((key, version)) = at else { return anyhow::Ok(None) };
                let page = list.set_key_marker(key).set_version_id_marker(version).send().await;
                let page = page.context("listing the prefix")?;
                let kind = page.encoding_type();
                let plain = |it: &ObjectVersion| {
                    let key = written("s3:ListObjectVersions", it.key().unwrap_or_default(), kind)?;
                    // Of a bucket that keeps no versions.
                    let version = it.version_id().filter(|id| *id != "null").map(str::to_owned);
                    anyhow::Ok(Wanted { bucket: bucket.to_owned(), key, version })
                };
                let found = page.versions().iter().filter(|it| it.is_latest() == Some(true)).map(plain);
                let found: Vec<_> = found.collect();
                let next = page
                    .next_key_marker()
                    .map(|key| written("s3:ListObjectVersions", key, kind))
                    .transpose()?;
                let next = next.filter(|_| page.is_truncated() == Some(true));
                Ok(Some((
                    stream::iter(found),
                    next.map(|key| (Some(key), page.next_version_id_marker().map(str::to_owned))),
                )))
            }
        });
    stream_of(pages)
}

/// One stream of all pages; an error ends it.
fn stream_of<S: Stream<Item = anyhow::Result<Wanted>>>(
    pages: impl Stream<Item = anyhow::Result<S>>,
) -> impl Stream<Item = anyhow::Result<Wanted>> {
    pages.flat_map(|page| match page {
        Ok(page) => page.left_stream(),
        Err(error) => stream::once(async { Err(error) }).right_stream(),
    })
}

/// The objects of a list: one key or address on each line; empty lines and lines that begin with `#` are left out.
pub(super) fn listed(session: &Session, bucket: Option<&str>, file: &Path) -> anyhow::Result<Vec<Wanted>> {
    let size = std::fs::metadata(file).with_context(|| file.display().to_string())?.len();
    ensure!(size <= MAX_MANIFEST, "{}: more than {MAX_MANIFEST} bytes; divide it", file.display());
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let wanted = lines.map(|line| {
        let (bucket, key) = match line.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) {
            Some((bucket, key)) => (bucket, key),
            None => (source_bucket(&session.settings, bucket, line)?, line),
        };
        Ok(Wanted { bucket: bucket.to_owned(), key: key.to_owned(), version: None })
    });
    wanted.collect()
}

/// Asks for all of them. An object that is refused is told, and the others go on.
pub(super) async fn ask(
    session: &Session,
    wanted: impl Stream<Item = anyhow::Result<Wanted>>,
    wish: Wish<'_>,
    queue: (&str, &QueueSettings),
    bounds: Bounds,
) -> anyhow::Result<Vec<JobKey>> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / bounds.per_second.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked = std::pin::pin!(wanted.map(|wanted| look(session, wanted, wish)).buffered(AT_ONCE));
    let (mut tally, mut jobs) = (Tally::default(), Vec::new());
    while let Some(found) = looked.next().await {
        let (at, found) = found?;
        match found {
            Err(error) => {
                tally.refused += 1;
                complain(&format!("{at}: {error:#}"));
            }
            Ok(Ok(asked)) if asked.state == State::Ended => tally.ended += 1,
            Ok(Ok(_)) => tally.there += 1,
            Ok(Err(_)) if tally.sent >= bounds.most => {
                told(&tally);
                complain(&format!("stopped after {} requests; the same command goes on", tally.sent));
                return Ok(jobs);
            }
            Ok(Err(ready)) => {
                jobs.push(sent(session, ready, queue, &mut ticks).await?);
                tally.sent += 1;
            }
        }
    }
    told(&tally);
    ensure!(tally.refused == 0, "{} objects were not asked for", tally.refused);
    Ok(jobs)
}

async fn sent(
    session: &Session,
    ready: Ready,
    queue: (&str, &QueueSettings),
    ticks: &mut Interval,
) -> anyhow::Result<JobKey> {
    ticks.tick().await;
    let asked = ready.send(session, queue).await?;
    session.output.print_next(&asked)?;
    Ok(asked.job)
}

fn told(Tally { sent, there, ended, refused }: &Tally) {
    complain(&format!(
        "{sent} asked for, {there} have a job already, {ended} have a job that ended without a result, {refused} refused"
    ));
}

/// Looks at one object. The outer error ends the run: no other object could be read either.
async fn look(
    session: &Session,
    wanted: anyhow::Result<Wanted>,
    wish: Wish<'_>,
) -> anyhow::Result<(String, anyhow::Result<Result<Asked, Ready>>)> {
    let Wanted { bucket, key, mut version } = wanted?;
    let at = address(&bucket, &key);
    if version.is_none() {
        // The job of a version is the one that its upload asked for.
        let newest = newest(session, &bucket, &key).await;
        version = newest.and_then(|it| it.version_id).filter(|id| id != "null");
    }
    let object = Object { bucket: &bucket, key: &key, version: version.as_deref() };
    // A name of its own for each object, and the same one in a later run.
    let name = wish.name.map(|name| {
        let object = JobKey::of(&[&bucket, &key, version.as_deref().unwrap_or_default()]);
        format!("{name} {object}")
    });
    let found = one::look(session, &object, Wish { name: name.as_deref(), ..wish }).await;
    Ok((at, found))
}
