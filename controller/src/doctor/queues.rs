//! Queues: do they exist, and do their retention, redrive and encryption keep messages?

use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use transcode_config::settings::QueueSettings;
use transcode_core::protocol::fact::CallError;

use super::{Finding, Status, Ward};
use crate::aws::class::call_error;

/// With fewer receives than this, SQS may move a message that no controller has seen: restarts and lost answers count
/// too.
const MIN_RECEIVES: u64 = 20;

/// SQS' own limit of a message, in bytes.
const LARGEST_MESSAGE: u64 = 1 << 20;

/// Letters are made to fit into this many bytes at least.
const SMALL_LETTER: u64 = 256 << 10;

type Attributes = HashMap<Name, String>;

/// Checks the job queues and their dead-letter queues.
pub(super) async fn jobs(ward: &Ward) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, queue) in &ward.settings.queues {
        findings.extend(job_queue(ward, queue).await.into_iter().map(|finding| finding.of(name)));
    }
    findings
}

async fn job_queue(ward: &Ward, queue: &QueueSettings) -> Vec<Finding> {
    let source = match attributes(ward, &queue.url).await {
        Ok(attributes) => attributes,
        Err(error) => return vec![absent("queues.exists", &queue.url, &error)],
    };
    let mut findings = vec![Finding::ok("queues.exists", queue.url.clone())];
    findings.push(encrypted(&source));
    let dead = match attributes(ward, &queue.dead_letter_url).await {
        Ok(attributes) => attributes,
        Err(error) => {
            findings.push(absent("queues.dead_letters", &queue.dead_letter_url, &error));
            return findings;
        }
    };
    findings.push(Finding::ok("queues.dead_letters", queue.dead_letter_url.clone()));
    findings.push(kind(&[("the job queue", &source), ("its dead-letter queue", &dead)]));
    findings.push(size(&source, &dead));
    findings.push(letters(&dead));
    findings.push(retention(&source, &dead));
    let tenants = ward.settings.sources.values().any(|source| !source.tenants.is_empty());
    findings.push(redrive(&source, &dead, tenants));
    findings
}

/// Checks the events queue. Everything ends without it, only more slowly.
pub(super) async fn events(ward: &Ward) -> Vec<Finding> {
    const CHECK: &str = "events.queue";
    let Some(url) = &ward.settings.events.queue_url else {
        let todo = "set events.queue_url: without events the controller finds news by asking, later";
        return vec![Finding::bad(CHECK, Status::Warn, "none is set", todo)];
    };
    vec![match attributes(ward, url).await {
        Ok(_) => Finding::ok(CHECK, url.clone()),
        Err(error) => absent(CHECK, url, &error),
    }]
}

/// Reads all attributes of a queue.
pub(super) async fn attributes(ward: &Ward, url: &str) -> Result<Attributes, CallError> {
    let call = ward.clients.sqs.read.get_queue_attributes().queue_url(url).attribute_names(Name::All);
    let answer = call.send().await.map_err(|error| call_error("sqs:GetQueueAttributes", &error))?;
    Ok(answer.attributes.unwrap_or_default())
}

fn absent(check: &'static str, url: &str, error: &CallError) -> Finding {
    let gone = error.message.contains("NonExistentQueue") || error.message.contains("QueueDoesNotExist");
    if gone {
        let todo = "deploy the template, or correct the address in the settings";
        return Finding::bad(check, Status::Fail, format!("{url} does not exist"), todo);
    }
    Finding::unread(check, error)
}

/// A number among a queue's attributes; 0 where it is missing.
pub(super) fn number(attributes: &Attributes, name: &Name) -> u64 {
    attributes.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// A queue may be FIFO although its address was hidden behind another name, such as that of a proxy.
fn kind(queues: &[(&str, &Attributes)]) -> Finding {
    let is_fifo = |(_, attributes): &&(&str, &Attributes)| {
        attributes.get(&Name::FifoQueue).is_some_and(|value| value == "true")
    };
    let fifo: Vec<_> = queues.iter().filter(is_fifo).map(|(name, _)| *name).collect();
    let seen = if fifo.is_empty() {
        "standard queues".to_owned()
    } else {
        format!("{} is a FIFO queue", fifo.join(" and "))
    };
    let todo = "use standard queues: S3 sends to no FIFO queue, and in one a long job holds up all messages of its group";
    Finding::when("queues.kind", fifo.is_empty(), Status::Fail, seen, todo)
}

/// Letters wait for a person.
fn letters(dead: &Attributes) -> Finding {
    let many = number(dead, &Name::ApproximateNumberOfMessages);
    let todo = "`dead-letters list` shows them and why; redrive or discard them: after the queue's retention they are gone";
    Finding::when("queues.letters", many == 0, Status::Warn, format!("{many} dead letters"), todo)
}

/// A letter holds the message that it replaces, and more.
fn size(source: &Attributes, dead: &Attributes) -> Finding {
    let most = |attributes| match number(attributes, &Name::MaximumMessageSize) {
        0 => LARGEST_MESSAGE,
        set => set,
    };
    let (jobs, letters) = (most(source), most(dead));
    let seen = format!("messages have at most {jobs} bytes, letters {letters}");
    let todo = "set the dead-letter queue's MaximumMessageSize to 1048576, and not below the job queue's: a letter that does \
                not fit loses the end of its original, and cannot be redriven";
    Finding::when("queues.size", letters >= jobs && letters >= SMALL_LETTER, Status::Warn, seen, todo)
}

/// A dead letter that SQS moves keeps the time of its first send.
fn retention(source: &Attributes, dead: &Attributes) -> Finding {
    let kept = |attributes| number(attributes, &Name::MessageRetentionPeriod);
    let seen = format!("jobs are kept {} h, dead letters {} h", kept(source) / 3600, kept(dead) / 3600);
    let todo = "set the dead-letter queue's MessageRetentionPeriod above the job queue's (14 days is the most): a moved \
                message keeps its age, and would be gone before anybody looks";
    Finding::when("queues.retention", kept(dead) > kept(source), Status::Fail, seen, todo)
}

/// How often a message may be received while it only waits. With tenants it is put back for so many minutes as it was
/// received times, less half at most.
fn receives(source: &Attributes, tenants: bool) -> u64 {
    let put_back = (number(source, &Name::MessageRetentionPeriod) / 15).isqrt();
    if tenants { put_back.max(MIN_RECEIVES) } else { MIN_RECEIVES }
}

fn redrive(source: &Attributes, dead: &Attributes, tenants: bool) -> Finding {
    const CHECK: &str = "queues.redrive";
    let policy = source.get(&Name::RedrivePolicy).map(String::as_str).unwrap_or_default();
    let policy: serde_json::Value = serde_json::from_str(policy).unwrap_or_default();
    let todo = "set the job queue's RedrivePolicy to its dead-letter queue with maxReceiveCount 300: a backstop for \
                messages that no controller survives. With tenants, messages that only wait are received often too";
    let Some(target) = policy["deadLetterTargetArn"].as_str() else {
        return Finding::bad(CHECK, Status::Fail, "the job queue has no redrive policy", todo);
    };
    let (count, own) = (&policy["maxReceiveCount"], dead.get(&Name::QueueArn).map(String::as_str));
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or(0);
    if own != Some(target) {
        let seen = format!("SQS moves dead messages to {target}, which is not dead_letter_url");
        return Finding::bad(CHECK, Status::Fail, seen, todo);
    }
    let seen = format!("to {target} after {count} receives");
    Finding::when(CHECK, count >= receives(source, tenants), Status::Warn, seen, todo)
}

fn encrypted(source: &Attributes) -> Finding {
    let key = source.get(&Name::KmsMasterKeyId).filter(|key| !key.is_empty());
    let managed = source.get(&Name::SqsManagedSseEnabled).is_some_and(|value| value == "true");
    let seen = match (key, managed) {
        (Some(key), _) => format!("with KMS key {key}"),
        (None, true) => "with keys that SQS manages".to_owned(),
        (None, false) => "not encrypted at rest".to_owned(),
    };
    let holds = key.is_some() || managed;
    Finding::when("queues.encryption", holds, Status::Warn, seen, "set SqsManagedSseEnabled")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(Name, &str)]) -> Attributes {
        pairs.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect()
    }

    #[test]
    fn redrive_must_lead_to_the_dead_letter_queue_and_not_too_soon() {
        let dead = with(&[(Name::QueueArn, "arn:dead")]);
        let status = |policy: &str| redrive(&with(&[(Name::RedrivePolicy, policy)]), &dead, false).status;
        assert_eq!(status(r#"{"deadLetterTargetArn": "arn:dead", "maxReceiveCount": 100}"#), Status::Ok);
        assert_eq!(status(r#"{"deadLetterTargetArn": "arn:dead", "maxReceiveCount": "1"}"#), Status::Warn);
        assert_eq!(status(r#"{"deadLetterTargetArn": "arn:other", "maxReceiveCount": 100}"#), Status::Fail);
        assert_eq!(redrive(&with(&[]), &dead, false).status, Status::Fail);
        // Four days, and the longest that there is.
        for (seconds, count, expected) in [
            ("345600", 100, Status::Warn),
            ("345600", 151, Status::Ok),
            ("1209600", 282, Status::Warn),
            ("1209600", 283, Status::Ok),
        ] {
            let policy = format!(r#"{{"deadLetterTargetArn": "arn:dead", "maxReceiveCount": {count}}}"#);
            let source = with(&[(Name::RedrivePolicy, &policy), (Name::MessageRetentionPeriod, seconds)]);
            assert_eq!(redrive(&source, &dead, true).status, expected, "{count} in {seconds} s");
        }
    }

    #[test]
    fn fifo_queues_and_letters_that_do_not_fit_are_seen() {
        let of = |name: Name, value: &str| with(&[(name, value)]);
        let standard = with(&[]);
        assert_eq!(kind(&[("a", &standard)]).status, Status::Ok);
        assert_eq!(kind(&[("a", &of(Name::FifoQueue, "true"))]).status, Status::Fail);
        assert_eq!(kind(&[("a", &standard), ("b", &of(Name::FifoQueue, "true"))]).status, Status::Fail);
        let small = of(Name::MaximumMessageSize, "262144");
        assert_eq!(size(&small, &small).status, Status::Ok);
        assert_eq!(size(&standard, &small).status, Status::Warn);
        let tiny = of(Name::MaximumMessageSize, "1024");
        assert_eq!(size(&tiny, &tiny).status, Status::Warn);
    }

    #[test]
    fn letters_that_wait_are_told() {
        assert_eq!(letters(&with(&[])).status, Status::Ok);
        let waits = letters(&with(&[(Name::ApproximateNumberOfMessages, "3")]));
        assert_eq!((waits.status, waits.seen.as_str()), (Status::Warn, "3 dead letters"));
    }

    #[test]
    fn dead_letters_are_kept_longer_than_jobs() {
        let days = |days: u64| with(&[(Name::MessageRetentionPeriod, &(days * 86_400).to_string())]);
        assert_eq!(retention(&days(4), &days(14)).status, Status::Ok);
        assert_eq!(retention(&days(4), &days(4)).status, Status::Fail);
    }
}
