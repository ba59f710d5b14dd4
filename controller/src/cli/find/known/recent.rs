//! The newest jobs, from the keys of the index: a listing answers, and no document is read.

use anyhow::Context;
use transcode_config::contract::{EndState, IndexEntry, IndexKey, JobKey, source_folder};

use crate::{aws::class::call_error, cli::setup::Session};

/// Most pages of one listing: 10,000 jobs.
const MAX_PAGES: usize = 20;

/// A job as the index has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Indexed {
    pub(crate) job: JobKey,
    pub(crate) accepted_at_ms: u64,
    /// Profile, bucket and object key; `None` of a job that was refused before it was accepted.
    pub(crate) source: Option<IndexedSource>,
    pub(crate) ended: Option<IndexedEnd>,
}

/// What an accepted job is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexedSource {
    pub(crate) profile: String,
    pub(crate) bucket: String,
    /// The object key, or its beginning.
    pub(crate) key: String,
    /// The key is longer.
    pub(crate) cut: bool,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexedEnd {
    pub(crate) state: EndState,
    pub(crate) code: Option<String>,
    pub(crate) at_ms: u64,
}

/// The newest jobs, the newest first, until `enough` says so or one is older than `since_ms`. `true`: there are more.
pub(crate) async fn recent(
    session: &Session,
    since_ms: u64,
    mut enough: impl FnMut(&[Indexed]) -> bool,
) -> anyhow::Result<(Vec<Indexed>, bool)> {
    let (mut found, mut next) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let (keys, more) = page(session, IndexKey::prefix(), next).await?;
        for key in keys.iter().filter_map(|key| IndexKey::parse(key)) {
            if key.accepted_at_ms < since_ms {
                return Ok((found, false));
            }
            add(&mut found, key);
        }
        match more {
            None => return Ok((found, false)),
            // The last one may have its other entry on the next page.
            Some(_) if found.split_last().is_some_and(|(_, whole)| enough(whole)) => {
                return Ok((found, true));
            }
            Some(token) => next = Some(token),
        }
    }
    Ok((found, true))
}

/// The jobs of one object, the newest first.
pub(crate) async fn of_source(session: &Session, bucket: &str, key: &str) -> anyhow::Result<Vec<JobKey>> {
    let (keys, _) = page(session, &source_folder(bucket, key), None).await?;
    Ok(keys.iter().filter_map(|key| IndexKey::parse_source(key)).map(|(_, job)| job).collect())
}

/// One page of keys, and the token of the next.
async fn page(
    session: &Session,
    prefix: &str,
    token: Option<String>,
) -> anyhow::Result<(Vec<String>, Option<String>)> {
    let list = session.clients.s3.read.list_objects_v2().bucket(&session.settings.state.bucket);
    let page = list.prefix(prefix).set_continuation_token(token).send().await;
    let page = page.map_err(|error| call_error("s3:ListObjectsV2", &error)).context("the index")?;
    let keys = page.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect();
    Ok((keys, page.next_continuation_token().map(str::to_owned)))
}

/// Adds an entry to its job: entries of one job are neighbours.
fn add(found: &mut Vec<Indexed>, IndexKey { job, accepted_at_ms, entry }: IndexKey) {
    if found.last().is_none_or(|last| last.job != job) {
        found.push(Indexed { job, accepted_at_ms, source: None, ended: None });
    }
    let Some(last) = found.last_mut() else { return };
    match entry {
        IndexEntry::Accepted { profile, bucket, key, cut } => {
            last.source = Some(IndexedSource { profile, bucket, key, cut });
        }
        IndexEntry::Ended { state, code, ended_at_ms } => {
            last.ended = Some(IndexedEnd { state, code, at_ms: ended_at_ms });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_entries_of_a_job_make_one_row() {
        let (one, two) = (JobKey::of(&["1"]), JobKey::of(&["2"]));
        let entry = |job: &JobKey, entry| IndexKey { job: job.clone(), accepted_at_ms: 5, entry };
        let accepted = IndexEntry::Accepted {
            profile: "standard".into(),
            bucket: "in".into(),
            key: "a".into(),
            cut: false,
        };
        let ended = IndexEntry::Ended { state: EndState::Dead, code: Some("EMPTY".into()), ended_at_ms: 9 };
        let mut found = Vec::new();
        add(&mut found, entry(&one, accepted));
        add(&mut found, entry(&one, ended.clone()));
        add(&mut found, entry(&two, ended));
        assert_eq!(found.len(), 2);
        assert!(found[0].source.is_some() && found[0].ended.is_some());
        assert!(found[1].source.is_none(), "refused before it was accepted");
    }
}
