//! One message of a dead-letter queue, understood: what it is, what it asked for, and whether it can be sent back.

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use serde_json::Value;
use transcode_config::contract::{Failure, FailureCode, JobKey, SCHEMA};
use transcode_core::message::{DEAD_LETTER_KIND, DeadLetterBody, Parsed, Request, Rules, parse};

/// A message of a dead-letter queue that this command has received.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    /// Name of the job queue in the settings.
    pub(super) queue: String,
    /// SQS' id of the message.
    pub(super) id: String,
    pub(super) receipt: String,
    /// When it came into the dead-letter queue (ms since 1970); of a message that SQS moved, when it was first sent.
    pub(super) sent_at_ms: u64,
    pub(super) body: String,
    pub(super) content: Content,
}

/// What the message is.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// One of our letters, and what it asks for when it comes back; or why it cannot.
    Dead(Box<DeadLetterBody>, Result<Request, String>),
    /// A message that SQS itself moved, because no controller deleted it in all its receives; and what it asks for.
    Moved(Vec<Request>),
    /// What the controller could not read either, and why.
    Unreadable(String, Option<Failure>),
}

impl Letter {
    /// Understands a received message; none without body or receipt handle, which SQS always gives.
    pub(super) fn of(queue: &str, message: Message, rules: &Rules, now_ms: u64) -> Option<Self> {
        let sent = message.attributes.as_ref().and_then(|all| {
            all.get(&MessageSystemAttributeName::SentTimestamp).and_then(|text| text.parse().ok())
        });
        let body = message.body?;
        Some(Self {
            queue: queue.to_owned(),
            id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle?,
            sent_at_ms: sent.unwrap_or(now_ms),
            content: Content::of(&body, rules, now_ms),
            body,
        })
    }

    /// The jobs that it is about.
    pub(super) fn jobs(&self) -> Vec<&JobKey> {
        match &self.content {
            Content::Dead(letter, _) => vec![&letter.job],
            Content::Moved(requests) => requests.iter().map(Request::job).collect(),
            Content::Unreadable(..) => Vec::new(),
        }
    }

    /// Why it is here, where that has a code.
    pub(super) fn code(&self) -> Option<FailureCode> {
        self.failure().map(|failure| failure.code)
    }

    /// Why it is here.
    pub(super) fn failure(&self) -> Option<&Failure> {
        match &self.content {
            Content::Dead(letter, _) => Some(&letter.dead.failure),
            Content::Moved(_) => None,
            Content::Unreadable(_, failure) => failure.as_ref(),
        }
    }

    /// Bucket and key of each object that it is about, as far as it says.
    pub(super) fn objects(&self) -> Vec<(&str, &str)> {
        let requests: &[Request] = match &self.content {
            Content::Dead(_, Ok(next)) => std::slice::from_ref(next),
            Content::Moved(requests) => requests,
            _ => &[],
        };
        let asked = requests.iter().filter_map(|request| match request {
            Request::Run(spec) => Some((spec.source.bucket.as_str(), spec.source.key.as_str())),
            Request::Refuse { failure, .. } => named(failure),
        });
        let mut objects: Vec<_> = asked.collect();
        if objects.is_empty() {
            objects.extend(self.failure().and_then(named));
        }
        objects
    }
}

/// The object that a failure names in its evidence.
fn named(failure: &Failure) -> Option<(&str, &str)> {
    Some((failure.evidence.get("bucket")?.as_str(), failure.evidence.get("key")?.as_str()))
}

impl Content {
    /// Reads a body as the controller reads it.
    pub(super) fn of(body: &str, rules: &Rules, now_ms: u64) -> Self {
        let value: Value = serde_json::from_str(body).unwrap_or_default();
        if value.get("kind").and_then(Value::as_str) == Some(DEAD_LETTER_KIND) {
            return Self::letter(value, body, rules, now_ms);
        }
        let requests = match parse(body, rules, now_ms) {
            Parsed::Jobs(requests, _) => requests,
            Parsed::Ignore(_) => return Self::Unreadable("no letter of ours; asks for no job".into(), None),
            Parsed::Park(why) => {
                return Self::Unreadable(format!("of a version that is not known here: {why}"), None);
            }
        };
        let refused = |request: &Request| matches!(request, Request::Refuse { .. });
        if !requests.iter().all(refused) {
            return Self::Moved(requests);
        }
        let failure = requests.into_iter().find_map(|request| match request {
            Request::Refuse { failure, .. } => Some(failure),
            Request::Run(_) => None,
        });
        let why = failure.as_ref().map(ToString::to_string).unwrap_or_default();
        Self::Unreadable(format!("no letter of ours, and refused: {why}"), failure)
    }

    fn letter(value: Value, body: &str, rules: &Rules, now_ms: u64) -> Self {
        let schema = value.get("schema").and_then(Value::as_u64);
        if schema != Some(u64::from(SCHEMA)) {
            let found = schema.map_or("no schema number".to_owned(), |schema| format!("schema {schema}"));
            return Self::Unreadable(
                format!("a dead letter of {found}; this version knows schema {SCHEMA}"),
                None,
            );
        }
        let letter: DeadLetterBody = match serde_json::from_value(value) {
            Ok(letter) => letter,
            Err(error) => return Self::Unreadable(format!("not a dead letter: {error}"), None),
        };
        let next = if letter.original_cut {
            Err("it holds only the beginning of its original: `submit` asks for the object anew".to_owned())
        } else {
            match parse(body, rules, now_ms) {
                Parsed::Jobs(requests, _) => requests.into_iter().next(),
                Parsed::Ignore(_) | Parsed::Park(_) => None,
            }
            .ok_or_else(|| "its original asks for nothing any more".to_owned())
        };
        Self::Dead(Box::new(letter), next)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;
    use transcode_config::{contract::Dead, ladder::Profile, settings::SourceSettings};

    use super::*;

    pub(in crate::cli::letters) fn rules() -> Rules {
        Rules {
            sources: vec![SourceSettings { bucket: "uploads".into(), ..SourceSettings::default() }],
            profiles: [("standard".to_owned(), Profile::built_in("standard").unwrap().into())].into(),
            default_profile: "standard".into(),
            max_source_bytes: 1 << 30,
            ..Rules::default()
        }
    }

    pub(in crate::cli::letters) fn letter(body: &str, sent_at_ms: u64) -> Letter {
        Letter {
            queue: "default".into(),
            id: "m-1".into(),
            receipt: "r".into(),
            sent_at_ms,
            body: body.to_owned(),
            content: Content::of(body, &rules(), 0),
        }
    }

    pub(in crate::cli::letters) fn request(key: &str) -> String {
        json!({"schema": 1, "kind": "transcode.job", "source": {"bucket": "uploads", "key": key}}).to_string()
    }

    /// The letter of a job that died of `code`.
    pub(in crate::cli::letters) fn dead(key: &str, code: FailureCode) -> String {
        let original = request(key);
        let Content::Moved(asked) = Content::of(&original, &rules(), 0) else { panic!("{original}") };
        DeadLetterBody {
            schema: SCHEMA,
            kind: DEAD_LETTER_KIND.into(),
            job: asked[0].job().clone(),
            generation: 0,
            message_id: "m-0".into(),
            dead: Dead {
                failure: Failure::new(code, "x"),
                last_task_arn: None,
                log_link: None,
                attempts: Vec::new(),
            },
            original,
            forced: false,
            original_cut: false,
        }
        .encode()
    }

    #[test]
    fn a_message_that_sqs_moved_itself_is_told_from_a_letter_and_from_what_nobody_can_read() {
        let moved = letter(&request("a.mp4"), 0);
        assert!(matches!(&moved.content, Content::Moved(asked) if asked.len() == 1));
        assert_eq!(moved.objects(), [("uploads", "a.mp4")]);
        for (body, why) in [
            ("not ours".to_owned(), "MALFORMED_MESSAGE"),
            (json!({"Event": "s3:TestEvent"}).to_string(), "asks for no job"),
            (json!({"schema": 9, "kind": "transcode.job"}).to_string(), "not known here"),
            (json!({"schema": 9, "kind": DEAD_LETTER_KIND}).to_string(), "schema"),
            (json!({"schema": 1, "kind": DEAD_LETTER_KIND}).to_string(), "not a dead letter"),
        ] {
            let left = letter(&body, 0);
            assert!(
                matches!(&left.content, Content::Unreadable(found, _) if found.contains(why)),
                "{left:?}"
            );
        }
    }

    #[test]
    fn a_letter_names_its_job_and_its_object_also_when_it_cannot_be_sent_back() {
        let body = dead("a.mp4", FailureCode::NotMedia);
        let whole = letter(&body, 0);
        assert!(matches!(&whole.content, Content::Dead(_, Ok(next)) if next.generation() == 1));
        assert_eq!(
            (whole.code(), whole.objects()),
            (Some(FailureCode::NotMedia), vec![("uploads", "a.mp4")])
        );
        let mut cut: DeadLetterBody = serde_json::from_str(&body).unwrap();
        cut.original_cut = true;
        cut.dead.failure = cut.dead.failure.with("bucket", "uploads").with("key", "a.mp4");
        let cut = letter(&cut.encode(), 0);
        assert!(matches!(&cut.content, Content::Dead(_, Err(why)) if why.contains("submit")));
        assert_eq!((cut.jobs(), cut.objects()), (whole.jobs(), vec![("uploads", "a.mp4")]));
    }
}
