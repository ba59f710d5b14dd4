//! Notifications that can never name a job: a queue, a topic or a rule is set up wrongly, and uploads do not arrive.
//! Each becomes a dead letter that says what to change.

use serde_json::Value;
use transcode_config::contract::{Failure, FailureCode};

use super::candidate::{Candidate, named_by_body};

/// An SNS notification about a subscription.
pub(super) fn sns_notice(kind: &str, value: &Value, body: &str) -> Candidate {
    let why = if kind == "SubscriptionConfirmation" {
        "SNS waits for somebody to confirm that this queue is subscribed to the topic, and sends nothing before: open the \
         SubscribeURL in the original, or subscribe the queue from its own account, which needs no confirmation"
    } else {
        "this queue is no longer subscribed to the topic, so uploads that are announced there do not arrive: subscribe it \
         again, or delete this letter if that is as it should be"
    };
    let topic = value.get("TopicArn").and_then(Value::as_str).unwrap_or_default();
    named_by_body(body, unusable(why).with("topic", topic))
}

/// Whether this is an SQS message in the form that Lambda and `EventBridge` Pipes forward.
pub(super) fn is_message_copy(value: &Value) -> bool {
    value.get("messageId").is_some() && value.get("body").is_some_and(Value::is_string)
}

/// A refused job for one or more forwarded messages.
pub(super) fn message_copy(body: &str) -> Candidate {
    named_by_body(
        body,
        unusable(
            "a message of SQS within a message, as EventBridge Pipes and Lambda make it: send the notifications of S3 to \
             this queue directly, or pass on `body` alone (Pipes: the input template <$.body>)",
        ),
    )
}

/// A refused job for records of another service than S3. `source` is their `eventSource`.
pub(super) fn records_of(source: &str, body: &str) -> Candidate {
    if source == "aws:sqs" {
        return message_copy(body);
    }
    let why = if source.ends_with(".amazonaws.com") {
        "records of CloudTrail, which tell of calls: send the notifications of the bucket itself (s3:ObjectCreated:*) to \
         this queue"
    } else {
        "records of another service than S3: send the notifications of the bucket itself (s3:ObjectCreated:*) to this queue"
    };
    named_by_body(body, unusable(why).with("event_source", source))
}

/// A refused job for an `EventBridge` event that is no S3 object event.
pub(super) fn bridge_event(source: &str, kind: &str, body: &str) -> Candidate {
    let why = if kind.ends_with("via CloudTrail") {
        "an event of CloudTrail, which tells of a call and not of a new object: let the rule match the source aws.s3 and \
         the detail-type `Object Created`, and switch EventBridge on in the notifications of the bucket"
    } else {
        "an event of EventBridge that tells of no object: let the rule that sends to this queue match the source aws.s3 and \
         the detail-type `Object Created` alone"
    };
    named_by_body(body, unusable(why).with("event_source", source).with("detail_type", kind))
}

fn unusable(why: &str) -> Failure {
    Failure::new(FailureCode::UnusableEvent, why)
}
