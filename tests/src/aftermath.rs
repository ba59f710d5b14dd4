//! What must hold once a job is over, whatever faults the test caused: no message lost, nothing done twice, no
//! leftovers.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use transcode_config::contract::{IndexEntry, IndexKey, Outcome, Succeeded, Terminal, source_folder};

use crate::Stack;

/// How a job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum End {
    Succeeded,
    Dead,
    Cancelled,
}

/// The expected end of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// How it ends.
    pub end: End,
    /// Number of attempts, each with one task.
    pub attempts: usize,
    /// Most dead letters. A dead job has one, and a second one if the answer to the first was lost; no other job has any.
    pub letters: usize,
    /// Tasks that were killed and left files; on Fargate the disk is removed with them.
    pub killed: u64,
}

impl Expected {
    /// One attempt, published.
    pub const SUCCESS: Self = Self { end: End::Succeeded, attempts: 1, letters: 0, killed: 0 };

    /// Dead after this many attempts, with one letter.
    pub fn dead(attempts: usize) -> Self {
        Self { end: End::Dead, attempts, letters: 1, killed: 0 }
    }

    /// Cancelled while this many attempts had been claimed.
    pub fn cancelled(attempts: usize) -> Self {
        Self { end: End::Cancelled, attempts, letters: 0, killed: 0 }
    }
}

impl Stack {
    /// Waits until the job of an upload is over and its message gone, and checks all its traces. The error names the
    /// first difference. Removes the job's dead letters from their queue.
    pub async fn aftermath(&self, key: &str, expected: Expected, limit: Duration) -> Result<Terminal> {
        let terminal = self.wait_for_terminal_record(key, limit).await?;
        self.wait_for_empty_queue(limit).await?;
        let job = terminal.job.to_string();
        self.wait_for("no task of the job runs", limit, async || {
            let counters = self.fargate.counters().await?;
            Ok((count(&counters, &job, "running") == 0).then_some(()))
        })
        .await?;

        match &terminal.outcome {
            Outcome::Succeeded(winner) => {
                ensure!(expected.end == End::Succeeded, "{key} succeeded");
                self.published_whole(key, winner).await?;
            }
            Outcome::Superseded(_) => ensure!(false, "{key} is superseded"),
            Outcome::Cancelled(cancelled) => {
                ensure!(expected.end == End::Cancelled, "{key} is cancelled");
                let told = cancelled.attempts.len();
                ensure!(told == expected.attempts, "S19: the terminal record speaks of {told} attempts");
                let below = self.published(&format!("{}{key}/", self.deployment.output_root)).await?;
                ensure!(below.is_empty(), "S19: {key} is cancelled, and there is {below:?}");
            }
            Outcome::Dead(dead) => {
                ensure!(expected.end == End::Dead, "{key} is dead: {}", dead.failure);
                ensure!(
                    dead.attempts.len() == expected.attempts,
                    "S11: the terminal record speaks of {} attempts",
                    dead.attempts.len()
                );
            }
        }
        let attempts: Vec<u32> =
            self.attempts(&terminal.job).await?.iter().map(|attempt| attempt.number()).collect();
        let all: Vec<u32> = (1..).take(expected.attempts).collect();
        ensure!(attempts == all, "S9: attempts {attempts:?} instead of {all:?}");
        let counters = self.fargate.counters().await?;
        let launched = count(&counters, &job, "launched");
        ensure!(
            launched == expected.attempts as u64,
            "S7: {launched} tasks for {} attempts",
            expected.attempts
        );
        ensure!(count(&counters, &job, "maxRunning") <= 1, "S6: tasks at the same time: {counters}");
        let left = counters.get("leftovers").and_then(Value::as_u64).context("leftovers")?;
        ensure!(left <= expected.killed, "work folders left: {counters}");
        self.listed_once(key, &terminal).await?;
        let letters = self.take_letters(&job).await?;
        let least = usize::from(expected.end == End::Dead);
        ensure!(
            (least..=expected.letters).contains(&letters),
            "{letters} dead letters for {key}: {expected:?}"
        );
        Ok(terminal)
    }

    /// S3, S4: every entry point is a copy of the file that the terminal record names, and only the winner's folder
    /// exists.
    async fn published_whole(&self, key: &str, winner: &Succeeded) -> Result<()> {
        let prefix = format!("{}{key}/", self.deployment.output_root);
        let found = self.published(&prefix).await?;
        for entry in &winner.entry_points {
            let there =
                self.read(&winner.bucket, &entry.to).await?.with_context(|| format!("no {}", entry.to))?;
            let source = self.read(&winner.bucket, &entry.from.key).await?;
            ensure!(Some(&there) == source.as_ref(), "{} is not the winner's", entry.to);
        }
        let bytes = self.read(&winner.bucket, &winner.manifest.key).await?.context("no manifest")?;
        let manifest: Value = serde_json::from_slice(&bytes).context("the manifest")?;
        let files = manifest.get("files").and_then(Value::as_array).context("the manifest's files")?;
        ensure!(files.len() as u64 == winner.files, "{} of {} files listed", files.len(), winner.files);
        let mut known: BTreeMap<String, Option<u64>> =
            winner.entry_points.iter().map(|entry| (entry.to.clone(), Some(entry.from.size))).collect();
        known.insert(winner.manifest.key.clone(), Some(winner.manifest.size));
        for file in files {
            let path = file.get("path").and_then(Value::as_str).context("a file's path")?;
            known.insert(format!("{}{path}", winner.folder), file.get("size").and_then(Value::as_u64));
        }
        let found: BTreeMap<String, Option<u64>> =
            found.into_iter().map(|(key, size)| (key, Some(size))).collect();
        ensure!(found == known, "below {prefix} there is {found:?} and not {known:?}");
        Ok(())
    }

    /// S20: the index has one entry of the job's acceptance, one of its end and one of its source.
    async fn listed_once(&self, key: &str, terminal: &Terminal) -> Result<()> {
        let bucket = &self.deployment.state_bucket;
        let keys = self.objects(bucket, IndexKey::prefix()).await?;
        let entries = keys.keys().filter_map(|key| IndexKey::parse(key));
        let mut own: Vec<IndexKey> = entries.filter(|entry| entry.job == terminal.job).collect();
        let (Some(last), Some(first)) = (own.pop(), own.pop()) else {
            anyhow::bail!("S20: the index has {own:?} of {key}, and nothing more");
        };
        ensure!(own.is_empty(), "S20: the index has more of {key} than its two entries: {own:?}");
        let named = matches!(&first.entry, IndexEntry::Accepted { key: of, .. } if of == key);
        ensure!(named, "S20: {first:?} instead of the acceptance of {key}");
        let ended = IndexKey::ended(first.accepted_at_ms, terminal);
        ensure!(last == ended, "S20: {last:?} instead of {ended:?}");
        let folder = source_folder(&self.deployment.source_bucket, key);
        let keys = self.objects(bucket, &folder).await?;
        let found: Vec<_> = keys.keys().filter_map(|key| IndexKey::parse_source(key)).collect();
        let by_source = [(first.accepted_at_ms, terminal.job.clone())];
        ensure!(found == by_source, "S20: {found:?} instead of {by_source:?} for {key}");
        Ok(())
    }

    /// Receives and deletes the dead letters of a job, and counts them.
    async fn take_letters(&self, job: &str) -> Result<usize> {
        let mut taken = 0;
        for letter in self.dead_letters().await? {
            let body: Value =
                serde_json::from_str(letter.body().unwrap_or_default()).context("a dead letter")?;
            if body.get("job").and_then(Value::as_str) == Some(job) {
                let queue = &self.deployment.dead_letter_queue;
                let delete = self.clients().sqs.delete_message().queue_url(queue);
                let handle = letter.receipt_handle().unwrap_or_default();
                delete.receipt_handle(handle).send().await.context("DeleteMessage")?;
                taken += 1;
            }
        }
        Ok(taken)
    }
}

/// A counter of the endpoint for a job.
fn count(counters: &Value, job: &str, name: &str) -> u64 {
    let of = counters.get("jobs").and_then(|jobs| jobs.get(job));
    of.and_then(|counts| counts.get(name)).and_then(Value::as_u64).unwrap_or_default()
}
