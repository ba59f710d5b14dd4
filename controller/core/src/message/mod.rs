//! Messages: which jobs a body asks for. Pure; every body gives a result and none gives a panic.
//!
//! | shape | recognised by |
//! |---|---|
//! | S3 event | `Records` |
//! | S3 event through SNS | an envelope with `Type` and a string `Message`, which holds any of the other shapes |
//! | S3 event through `EventBridge` | `detail-type` |
//! | our own job request | `kind` is `transcode.job` |
//! | our own dead letter, sent back by a redrive | `kind` is `transcode.dead-letter` |
//!
//! A body that cannot be read becomes a refused job. So it takes the ordinary way to the dead-letter queue (terminal
//! record, letter, delete), and nothing is deleted without a trace. The same holds for a notification that can never
//! name a job (`foreign.rs`): it shows that a queue, a topic or a rule is set up wrongly. A message that is understood
//! and asks for nothing is deleted, and the reason is logged (`ignored.rs`). A message of an unknown **version** may be
//! valid for a newer release; it is parked (S15).
//!
//! May use [`crate::protocol`].

mod binding;
mod candidate;
mod content;
mod dead_letter;
mod foreign;
mod ignored;
mod request;
mod s3_event;
#[cfg(feature = "schema")]
pub mod schema;
mod tenant;
#[cfg(test)]
mod tests;
mod time;
mod types;

use serde_json::Value;
use transcode_config::contract::FailureCode;

pub use self::{
    binding::{key_reused, same_source},
    dead_letter::{DEAD_LETTER_KIND, DeadLetterBody, SMALL_LETTER_BYTES},
    ignored::{IgnoreReason, Ignored},
    tenant::{Tenant, Terms},
    types::{Parsed, Request, Rules},
};
use self::{
    candidate::{Candidate, malformed},
    content::Content,
};

/// Longest body that is read, in bytes: SQS' own limit.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Most nested envelopes: a dead letter, SNS, the event itself.
const MAX_ENVELOPES: u8 = 3;

/// Some programs write it before their JSON; it has no meaning.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a body. `wall_ms` (ms since 1970) becomes the time of acceptance.
pub fn parse(body: &str, rules: &Rules, wall_ms: u64) -> Parsed {
    let (candidates, ignored, generation) = match read(body, rules, MAX_ENVELOPES) {
        Content::Park(why) => return Parsed::Park(why),
        Content::Found(candidates, ignored) => (candidates, ignored, 0),
        Content::Redriven(letter) => {
            let generation = letter.generation.saturating_add(1);
            match read(&letter.original, rules, MAX_ENVELOPES - 1) {
                Content::Park(why) => return Parsed::Park(why),
                Content::Found(candidates, _) if !candidates.is_empty() => {
                    (the_dead_one(candidates, &letter), Vec::new(), generation)
                }
                Content::Found(..) | Content::Redriven(_) => {
                    let empty = malformed(body, "the dead letter's original holds no job");
                    (vec![empty], Vec::new(), generation)
                }
            }
        }
    };
    let mut requests: Vec<Request> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let request = candidate.into_request(generation, rules, wall_ms);
        // The same object twice in one event is one job.
        if !requests.iter().any(|known| known.job() == request.job()) {
            requests.push(request);
        }
    }
    if requests.is_empty() { Parsed::Ignore(ignored) } else { Parsed::Jobs(requests, ignored) }
}

/// Returns the one job of the original that died; the other jobs have ended by themselves. The new job is forced if the
/// redrive is forced, whether or not the dead job was.
fn the_dead_one(candidates: Vec<Candidate>, letter: &DeadLetterBody) -> Vec<Candidate> {
    if letter.dead.failure.code == FailureCode::IdempotencyKeyReused {
        // The job of the key has another source, so its next generation would be the wrong job.
        return vec![Candidate::refused(&["reused", letter.job.as_str()], letter.dead.failure.clone())];
    }
    let died = |candidate: &Candidate| {
        [false, true]
            .iter()
            .any(|forced| candidate.clone().force(*forced).key(letter.generation) == letter.job)
    };
    let found = candidates.iter().position(died);
    let mut candidates: Vec<Candidate> =
        candidates.into_iter().map(|candidate| candidate.force(letter.forced)).collect();
    match (found, candidates.len()) {
        (Some(index), _) => vec![candidates.swap_remove(index)],
        // The default profile, which is part of the key, has changed since. The original names only one job, so it is
        // the dead one.
        (None, 1) => candidates,
        (None, _) => {
            vec![malformed(
                &letter.original,
                "none of the original's jobs is the one that the dead letter names",
            )]
        }
    }
}

fn read(body: &str, rules: &Rules, envelopes: u8) -> Content {
    let bad = |why: &str| Content::one(malformed(body, why));
    if body.len() > MAX_BODY_BYTES {
        return bad("longer than 1 MiB");
    }
    if envelopes == 0 {
        return bad("too many envelopes within each other");
    }
    // serde_json itself stops at 128 levels of nesting.
    let value: Value = match serde_json::from_str(body.trim_start_matches(BYTE_ORDER_MARK)) {
        Ok(value) => value,
        Err(error) => return bad(&format!("not JSON: {error}")),
    };
    if value.as_array().and_then(|all| all.first()).is_some_and(foreign::is_message_copy) {
        return Content::one(foreign::message_copy(body));
    }
    let Some(object) = value.as_object() else { return bad("not a JSON object") };
    if let Some(kind) = object.get("kind") {
        let Some(kind) = kind.as_str() else { return bad("`kind` is not a string") };
        return own(kind, &value, body, rules);
    }
    if object.contains_key("Records") {
        return s3_event::direct(&value, body, rules);
    }
    if object.contains_key("detail-type") {
        return s3_event::event_bridge(&value, body, rules);
    }
    match (object.get("Type").and_then(Value::as_str), object.get("Message")) {
        (Some(kind @ ("SubscriptionConfirmation" | "UnsubscribeConfirmation")), _) => {
            return Content::one(foreign::sns_notice(kind, &value, body));
        }
        (Some(_), Some(Value::String(inner))) => return read(inner, rules, envelopes - 1),
        _ => {}
    }
    if object.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        let bucket = object.get("Bucket").and_then(Value::as_str).unwrap_or_default();
        return Content::ignored(Ignored::new(
            IgnoreReason::TestEvent,
            format!("s3:TestEvent s3://{bucket}"),
        ));
    }
    if foreign::is_message_copy(&value) {
        return Content::one(foreign::message_copy(body));
    }
    bad("neither an S3 event nor a job request")
}

/// A message of one of our own kinds. `schema` is checked before any other field.
fn own(kind: &str, value: &Value, body: &str, rules: &Rules) -> Content {
    let bad = |why: &str| Content::one(malformed(body, why));
    match value.get("schema").and_then(Value::as_u64) {
        None => return bad("no `schema` number"),
        Some(1) => {}
        Some(2..=5) if kind == request::KIND => {}
        Some(other) => {
            return Content::Park(format!("{kind} of schema {other} is not known to this version"));
        }
    }
    match kind {
        request::KIND => Content::one(request::read(value, body, rules)),
        DEAD_LETTER_KIND => match serde_json::from_value::<DeadLetterBody>(value.clone()) {
            Ok(letter) if letter.original_cut => {
                bad("the dead letter holds only the beginning of its original")
            }
            Ok(letter) => Content::Redriven(Box::new(letter)),
            Err(error) => bad(&format!("not a dead letter: {error}")),
        },
        other if other.starts_with("transcode.") => Content::Park(format!("unknown kind {other}")),
        other => bad(&format!("unknown kind {other}")),
    }
}
