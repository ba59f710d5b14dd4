//! The job queues and their dead-letter queues.

use std::collections::BTreeMap;

use aws_sdk_sqs::{
    Client,
    types::{Message, MessageSystemAttributeName, QueueAttributeName},
};
use transcode_config::settings::{QueueSettings, Settings};
use transcode_core::{
    effects::{
        batch::Timeout,
        ports::{Depth, Queue},
    },
    message::{DeadLetterBody, SMALL_LETTER_BYTES},
    protocol::{
        action::{DeadLetter, LeaseRef},
        clock::Ms,
        fact::{CallError, ErrorClass, Incoming, MessageId, QueueName},
    },
};

use super::{class::call_error, client::Pair};

/// SQS' longest visibility timeout, in seconds.
const MAX_VISIBILITY: i32 = 43_200;

const RECEIVE: &str = "sqs:ReceiveMessage";
const SEND: &str = "sqs:SendMessage";
const ATTRIBUTES: &str = "sqs:GetQueueAttributes";

/// [`Queue`] on SQS.
#[derive(Debug, Clone)]
pub struct Sqs {
    pub(super) clients: Pair<Client>,
    queues: BTreeMap<QueueName, QueueSettings>,
    visibility: i32,
    wait: i32,
}

impl Sqs {
    /// The queues of these settings.
    pub fn new(clients: Pair<Client>, settings: &Settings) -> Self {
        Self {
            clients,
            queues: settings.queues.clone(),
            visibility: seconds(settings.lease.visibility_seconds * 1000),
            wait: i32::try_from(settings.calls.receive_wait_seconds).unwrap_or(20),
        }
    }

    /// The settings of a queue. A queue that the settings no longer name has no URL any more; SQS delivers its messages
    /// again.
    fn queue(&self, operation: &'static str, name: &QueueName) -> Result<&QueueSettings, CallError> {
        self.queues.get(name).ok_or_else(|| CallError {
            operation,
            class: ErrorClass::Permanent,
            message: format!("no queue named {name} in the settings"),
        })
    }

    /// URL of the queue of a batch.
    pub(super) fn url_of(
        &self,
        operation: &'static str,
        first: Option<&LeaseRef>,
    ) -> Result<&str, CallError> {
        let first = first.ok_or_else(|| CallError {
            operation,
            class: ErrorClass::Permanent,
            message: "a batch without entries".into(),
        })?;
        Ok(&self.queue(operation, &first.queue)?.url)
    }

    /// Estimated number of messages in the dead-letter queue of a job queue, held ones included.
    pub async fn dead_letters(&self, queue: &QueueName) -> Result<u64, CallError> {
        let Depth { visible, in_flight, delayed } =
            self.depth_of(&self.queue(ATTRIBUTES, queue)?.dead_letter_url).await?;
        Ok(visible + in_flight + delayed)
    }

    async fn depth_of(&self, url: &str) -> Result<Depth, CallError> {
        use QueueAttributeName as Name;
        let names = [
            Name::ApproximateNumberOfMessages,
            Name::ApproximateNumberOfMessagesNotVisible,
            Name::ApproximateNumberOfMessagesDelayed,
        ];
        let ask = self.clients.read.get_queue_attributes().queue_url(url);
        let answer = ask.set_attribute_names(Some(names.to_vec())).send().await;
        let answer = answer.map_err(|error| call_error(ATTRIBUTES, &error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let [visible, in_flight, delayed] =
            names.map(|name| attributes.get(&name).and_then(|count| count.parse().ok()).unwrap_or(0));
        Ok(Depth { visible, in_flight, delayed })
    }

    async fn send(&self, url: &str, body: String) -> Result<(), CallError> {
        let answer = self.clients.write.send_message().queue_url(url).message_body(body).send().await;
        answer.map(|_| ()).map_err(|error| call_error(SEND, &error))
    }
}

impl Queue for Sqs {
    async fn receive(&self, queue: &QueueName, max: u8) -> Result<Vec<Incoming>, CallError> {
        let answer = self
            .clients
            .write
            .receive_message()
            .queue_url(&self.queue(RECEIVE, queue)?.url)
            .max_number_of_messages(i32::from(max.clamp(1, 10)))
            .wait_time_seconds(self.wait)
            .visibility_timeout(self.visibility)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| call_error(RECEIVE, &error))?;
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(incoming).collect())
    }

    async fn delete(&self, leases: &[LeaseRef]) -> Vec<Result<bool, CallError>> {
        self.delete_all(leases).await
    }

    async fn set_visibility(&self, timeouts: &[Timeout]) -> Vec<Result<bool, CallError>> {
        self.set_all(timeouts).await
    }

    async fn dead_letter(&self, letter: &DeadLetter) -> Result<(), CallError> {
        let url = &self.queue(SEND, &letter.lease.queue)?.dead_letter_url;
        let letter = DeadLetterBody::of(letter);
        let body = letter.clone().encode();
        let long = body.len() > SMALL_LETTER_BYTES;
        match self.send(url, body).await {
            // Too long for this queue's own limit.
            Err(error) if long && error.class == ErrorClass::Permanent => {
                self.send(url, letter.encode_within(SMALL_LETTER_BYTES)).await
            }
            sent => sent,
        }
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, CallError> {
        self.depth_of(&self.queue(ATTRIBUTES, queue)?.url).await
    }
}

/// Converts a message; `None` without id or handle, which SQS always sends. A message without a body counts as empty,
/// so that it is refused with a reason and does not return for ever.
fn incoming(message: Message) -> Option<Incoming> {
    use MessageSystemAttributeName as Name;
    let attribute = |name| message.attributes.as_ref()?.get(&name);
    let sent_at_ms = attribute(Name::SentTimestamp).and_then(|text| text.parse().ok());
    let receives = attribute(Name::ApproximateReceiveCount).and_then(|text| text.parse().ok()).unwrap_or(0);
    Some(Incoming {
        id: MessageId(message.message_id?.into()),
        receipt: message.receipt_handle?,
        body: message.body.unwrap_or_default(),
        sent_at_ms,
        receives,
    })
}

/// Whole seconds, rounded up: a lease must not end before its deadline in the ledger, and a message must not return too
/// soon.
pub(super) fn seconds(ms: Ms) -> i32 {
    i32::try_from(ms.div_ceil(1000)).unwrap_or(MAX_VISIBILITY).min(MAX_VISIBILITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visibility_is_rounded_up_and_never_above_12_hours() {
        assert_eq!([0, 1, 1000, 1001].map(seconds), [0, 1, 1, 2]);
        assert_eq!([43_200_000, u64::MAX].map(seconds), [43_200, 43_200]);
    }

    #[test]
    fn a_message_without_a_body_is_kept_and_one_without_a_handle_cannot_be() {
        let message = Message::builder().message_id("m").receipt_handle("r").build();
        assert_eq!(incoming(message).unwrap().body, "");
        assert_eq!(incoming(Message::builder().message_id("m").build()), None);
    }
}
