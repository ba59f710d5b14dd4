//! Operations of a test on a running pipeline.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Result, anyhow};
use aws_sdk_s3::{operation::get_object::GetObjectError, primitives::ByteStream};
use aws_sdk_sqs::types::{Message, QueueAttributeName};
use transcode_config::contract::{Attempt, Document, Heartbeat, JobKey, JobSpec, Layout, Terminal, decode};

use crate::{Stack, wait};

/// Counts of a queue, as it reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Messages waiting.
    pub visible: u64,
    /// Messages received, and neither deleted nor given back.
    pub in_flight: u64,
    /// Messages that are not visible yet.
    pub delayed: u64,
}

impl QueueCounts {
    /// The sum.
    pub fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

impl Stack {
    /// Uploads a file to the source bucket with an ordinary PUT.
    pub async fn put_source(&self, key: &str, file: &Path) -> Result<()> {
        let body = ByteStream::from_path(file).await.with_context(|| file.display().to_string())?;
        self.put_source_body(key, body).await
    }

    /// Uploads bytes to the source bucket.
    pub async fn put_source_body(&self, key: &str, body: impl Into<ByteStream>) -> Result<()> {
        let put = self.clients().s3.put_object().bucket(&self.deployment.source_bucket).key(key);
        put.body(body.into()).send().await.with_context(|| format!("PUT {key}"))?;
        Ok(())
    }

    /// Waits until `look` returns a value, as [`wait::until`]; on failure the error contains the ends of the logs.
    pub async fn wait_for<T>(
        &self,
        what: &str,
        limit: Duration,
        look: impl AsyncFnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        // The cause first: the logs are long.
        wait::until(what, limit, look).await.map_err(|error| anyhow!("{error:#}\n{}", self.tails(30)))
    }

    /// The counts of a queue. SQS' counts may lag; the emulator's are exact.
    pub async fn queue_counts(&self, queue: &str) -> Result<QueueCounts> {
        let answer = self
            .clients()
            .sqs
            .get_queue_attributes()
            .queue_url(queue)
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .context("GetQueueAttributes")?;
        let number = |name: &QueueAttributeName| {
            let text = answer.attributes().and_then(|all| all.get(name));
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        Ok(QueueCounts {
            visible: number(&QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: number(&QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: number(&QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        })
    }

    /// The jobs queue's counts.
    pub async fn jobs_waiting(&self) -> Result<QueueCounts> {
        self.queue_counts(&self.deployment.jobs_queue).await
    }

    /// Up to ten messages of the dead-letter queue with all their attributes. They stay in the queue.
    pub async fn dead_letters(&self) -> Result<Vec<Message>> {
        let answer = self
            .clients()
            .sqs
            .receive_message()
            .queue_url(&self.deployment.dead_letter_queue)
            .max_number_of_messages(10)
            .visibility_timeout(0)
            .message_attribute_names("All")
            .send()
            .await
            .context("ReceiveMessage")?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Makes a message of the jobs queue visible at once, as the end of its visibility timeout would. Returns `false`
    /// if its handle is not valid any more.
    pub async fn end_visibility(&self, receipt: &str) -> bool {
        let change = self.clients().sqs.change_message_visibility().queue_url(&self.deployment.jobs_queue);
        change.receipt_handle(receipt).visibility_timeout(0).send().await.is_ok()
    }

    /// Sends a message to the jobs queue.
    pub async fn send_job(&self, body: &str) -> Result<()> {
        let send =
            self.clients().sqs.send_message().queue_url(&self.deployment.jobs_queue).message_body(body);
        send.send().await.context("SendMessage")?;
        Ok(())
    }

    /// Keys below a prefix with their sizes.
    pub async fn objects(&self, bucket: &str, prefix: &str) -> Result<BTreeMap<String, u64>> {
        let mut pages =
            self.clients().s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        let mut found = BTreeMap::new();
        while let Some(page) = pages.next().await {
            for object in page.context("ListObjectsV2")?.contents() {
                let size = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                found.insert(object.key().unwrap_or_default().to_owned(), size);
            }
        }
        Ok(found)
    }

    /// Keys of the production bucket below a prefix, with their sizes.
    pub async fn published(&self, prefix: &str) -> Result<BTreeMap<String, u64>> {
        self.objects(&self.deployment.production_bucket, prefix).await
    }

    /// An object's bytes; `None` if it does not exist.
    pub async fn read(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let answer = match self.clients().s3.get_object().bucket(bucket).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => {
                return Ok(None);
            }
            Err(error) => return Err(error).with_context(|| format!("GET {key}")),
        };
        let bytes = answer.body.collect().await.with_context(|| format!("GET {key}"))?;
        Ok(Some(bytes.to_vec()))
    }

    /// A document of the job protocol; `None` if it does not exist.
    pub async fn document<D: Document>(&self, key: &str) -> Result<Option<D>> {
        let bytes = self.read(&self.deployment.state_bucket, key).await?;
        bytes.map(|bytes| decode(&bytes).with_context(|| key.to_owned())).transpose()
    }

    /// The specification of every accepted job.
    pub async fn jobs(&self) -> Result<Vec<JobSpec>> {
        let keys = self.objects(&self.deployment.state_bucket, "jobs/").await?.into_keys();
        let mut jobs = Vec::new();
        for key in keys.filter(|key| key.ends_with("/spec.json")) {
            jobs.extend(self.document::<JobSpec>(&key).await?);
        }
        Ok(jobs)
    }

    /// The specification of the accepted job for an uploaded key; `None` before it is accepted.
    pub async fn job_of(&self, source_key: &str) -> Result<Option<JobSpec>> {
        Ok(self.jobs().await?.into_iter().find(|job| job.source.key == source_key))
    }

    /// The job's terminal record; `None` before it is written.
    pub async fn record(&self, job: &JobKey) -> Result<Option<Terminal>> {
        self.document(&Layout::of(job).terminal()).await
    }

    /// The job's attempts so far, in order.
    pub async fn attempts(&self, job: &JobKey) -> Result<Vec<Attempt>> {
        let layout = Layout::of(job);
        let keys = self.objects(&self.deployment.state_bucket, &layout.attempts()).await?;
        Ok(keys.keys().filter_map(|key| layout.attempt_of_claim(key)).collect())
    }

    /// The heartbeat of the newest attempt that has one.
    pub async fn heartbeat(&self, job: &JobKey) -> Result<Option<Heartbeat>> {
        for attempt in self.attempts(job).await?.into_iter().rev() {
            if let Some(heartbeat) = self.document(&Layout::of(job).heartbeat(attempt)).await? {
                return Ok(Some(heartbeat));
            }
        }
        Ok(None)
    }

    /// Waits until the job of an uploaded key has its terminal record.
    pub async fn wait_for_terminal_record(&self, source_key: &str, limit: Duration) -> Result<Terminal> {
        self.wait_for(&format!("{source_key} is decided"), limit, async || {
            match self.job_of(source_key).await? {
                Some(job) => self.record(&job.job).await,
                None => Ok(None),
            }
        })
        .await
    }

    /// Waits until no message is left in the jobs queue.
    pub async fn wait_for_empty_queue(&self, limit: Duration) -> Result<()> {
        self.wait_for("the jobs queue is empty", limit, async || {
            Ok((self.jobs_waiting().await?.total() == 0).then_some(()))
        })
        .await
    }
}
