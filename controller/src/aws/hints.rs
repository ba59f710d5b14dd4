//! The events queue: S3 notifications on terminal records and ECS state changes.
//!
//! A hint wakes the loop and never decides: events may be lost, repeated, late, out of order or forged. Therefore they
//! are deleted as soon as they are read, whatever they contain. Without the queue every job still ends, at the pace of
//! the periodic reads.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{
    Client,
    types::{DeleteMessageBatchRequestEntry, Message},
};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use transcode_config::{
    contract::{Layout, control_key},
    settings::Settings,
};
use transcode_core::protocol::{
    fact::{CallError, Fact, Hint},
    task_view::TaskArn,
};

use super::class::call_error;

/// First wait after a failed poll; doubles up to [`MAX_BACKOFF`].
const BACKOFF: Duration = Duration::from_secs(1);

/// Longest wait between failed polls. Without hints the loop reads by itself every 15 s, so nothing urgent waits for
/// this.
const MAX_BACKOFF: Duration = Duration::from_mins(1);

/// Most messages of one receive and of one batch: SQS' limit.
const BATCH: i32 = 10;

/// Reads the events queue.
#[derive(Debug)]
pub struct Hints {
    client: Client,
    url: String,
    wait: i32,
    control_key: String,
    control: Arc<Notify>,
}

impl Hints {
    /// Returns the reader; `None` if the settings name no events queue. `control` is notified of each event of the
    /// control document.
    pub fn new(client: Client, settings: &Settings, control: Arc<Notify>) -> Option<Self> {
        let wait = i32::try_from(settings.calls.receive_wait_seconds).unwrap_or(20);
        let control_key = control_key(&settings.environment);
        Some(Self { client, url: settings.events.queue_url.clone()?, wait, control_key, control })
    }

    /// Reads until `stop`, or until the receiver of the facts is closed. If the channel is full, hints are dropped.
    pub async fn run(self, facts: mpsc::Sender<Fact>, stop: CancellationToken) {
        let mut backoff = BACKOFF;
        while !facts.is_closed() {
            let polled = tokio::select! {
                polled = self.poll(&facts) => polled,
                () = stop.cancelled() => return,
            };
            let Err(error) = polled else {
                backoff = BACKOFF;
                continue;
            };
            tracing::warn!(%error, class = ?error.class, wait = ?backoff, "events queue cannot be read");
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = stop.cancelled() => return,
            }
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    async fn poll(&self, facts: &mpsc::Sender<Fact>) -> Result<(), CallError> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(BATCH)
            .wait_time_seconds(self.wait)
            .send()
            .await
            .map_err(|error| call_error("sqs:ReceiveMessage", &error))?;
        let messages = answer.messages.unwrap_or_default();
        if messages.iter().filter_map(Message::body).flat_map(keys).any(|key| key == self.control_key) {
            self.control.notify_one();
        }
        for hint in messages.iter().filter_map(Message::body).flat_map(read) {
            // Full: the loop is awake already. Closed: the check at the head of this loop ends it.
            let _ = facts.try_send(Fact::Hinted(hint));
        }
        self.delete(&messages).await
    }

    /// Deletes messages. An entry that fails is delivered and read again, which is harmless.
    async fn delete(&self, messages: &[Message]) -> Result<(), CallError> {
        let entry = |(index, message): (usize, &Message)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
            entry.set_receipt_handle(message.receipt_handle.clone()).build().ok()
        };
        let entries: Vec<_> = messages.iter().enumerate().filter_map(entry).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let request = self.client.delete_message_batch().queue_url(&self.url);
        let answer = request.set_entries(Some(entries)).send().await;
        answer.map(|_| ()).map_err(|error| call_error("sqs:DeleteMessageBatch", &error))
    }
}

/// The hints in a body; empty if the body is not understood.
fn read(body: &str) -> Vec<Hint> {
    let Ok(event) = serde_json::from_str::<Value>(body) else { return Vec::new() };
    if event.get("detail-type").and_then(Value::as_str) == Some("ECS Task State Change") {
        let arn = event.pointer("/detail/taskArn").and_then(Value::as_str);
        return arn.map(|arn| Hint::Task(TaskArn(arn.into()))).into_iter().collect();
    }
    keys_of(&event).iter().filter_map(|key| Layout::job_of_terminal(key)).map(Hint::TerminalRecord).collect()
}

/// The objects that a body of S3 names; none if the body is not understood.
fn keys(body: &str) -> Vec<String> {
    serde_json::from_str::<Value>(body).map(|event| keys_of(&event)).unwrap_or_default()
}

fn keys_of(event: &Value) -> Vec<String> {
    let records = event.get("Records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // Keys are form-encoded.
    let key = |record: &Value| {
        let key = record.pointer("/s3/object/key")?.as_str()?;
        percent_decode_str(key).decode_utf8().ok().map(String::from)
    };
    records.iter().filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use transcode_config::contract::JobKey;

    use super::*;

    #[test]
    fn a_terminal_record_hints_at_its_job() {
        let job = JobKey::of(&["x"]);
        let key = Layout::of(&job).terminal();
        for key in [key.clone(), key.replace('/', "%2F")] {
            let body = json!({"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": key}}}]});
            assert_eq!(read(&body.to_string()), [Hint::TerminalRecord(job.clone())]);
        }
    }

    #[test]
    fn the_control_document_is_no_job_and_is_named_by_its_key() {
        let body =
            json!({"Records": [{"s3": {"object": {"key": "control%2Fprod/control.json"}}}]}).to_string();
        assert_eq!((read(&body), keys(&body)), (vec![], vec![control_key("prod")]));
    }

    #[test]
    fn a_state_change_hints_at_its_task() {
        let body = json!({"version": "0", "detail-type": "ECS Task State Change", "source": "aws.ecs",
            "detail": {"taskArn": "arn:aws:ecs:eu-west-1:1:task/c/1", "version": 4, "lastStatus": "STOPPED"}});
        assert_eq!(read(&body.to_string()), [Hint::Task(TaskArn("arn:aws:ecs:eu-west-1:1:task/c/1".into()))]);
    }

    #[test]
    fn garbage_hints_at_nothing() {
        for body in [
            "",
            "null",
            "[]",
            "\"Records\"",
            "{\"Records\": 3}",
            "{\"Records\": [null, 1, {\"s3\": {\"object\": {\"key\": 7}}}]}",
            "{\"Records\": [{\"s3\": {\"object\": {\"key\": \"jobs/../terminal.json\"}}}]}",
            "{\"Records\": [{\"s3\": {\"object\": {\"key\": \"%ff%fe\"}}}]}",
            "{\"detail-type\": \"ECS Task State Change\", \"detail\": []}",
            "{\"Event\": \"s3:TestEvent\"}",
        ] {
            assert_eq!(read(body), [], "{body}");
        }
    }
}
