//! The messages that a seed draws.

use serde_json::json;
use transcode_core::protocol::clock::Ms;

use super::{Kind, MINUTE, Sort, Upload};
use crate::rng::Rng;

/// Sequencers of the versions of an object, the oldest first: of differing lengths, so that only padding on the right
/// gives their order.
const SEQUENCERS: [&str; 5] = ["0055", "0055A", "0055AB1", "0056", "01"];

pub(super) fn record(job: u64, size: u64) -> serde_json::Value {
    version(job, size, 0)
}

/// An upload of this key.
pub(crate) fn keyed(key: &str) -> serde_json::Value {
    let mut record = record(0, 1000);
    if let Some(there) = record.pointer_mut("/s3/object/key") {
        *there = key.into();
    }
    record
}

/// A later upload of the same key.
pub(super) fn version(job: u64, size: u64, number: usize) -> serde_json::Value {
    let sequencer = SEQUENCERS.get(number).copied().unwrap_or("02");
    json!({
        "eventVersion": "2.1", "eventName": "ObjectCreated:Put",
        // Long before any job is accepted, so every forced job is newer.
        "eventTime": format!("2000-01-01T00:00:0{number}Z"),
        "s3": {"bucket": {"name": "uploads"},
               "object": {"key": format!("{job}.mp4"), "size": size, "eTag": "e", "sequencer": sequencer}}
    })
}

/// A forced job request for the version that exists at that time.
fn forced(job: u64) -> String {
    json!({"schema": 3, "kind": "transcode.job", "force": true,
           "source": {"bucket": "uploads", "key": format!("{job}.mp4")}})
    .to_string()
}

pub(super) fn uploads(rng: &mut Rng, jobs: u64, heal_at: Ms, sort: Sort) -> Vec<Upload> {
    let mut uploads = Vec::new();
    let burst = rng.chance(0.5);
    let when = |rng: &mut Rng| {
        let span = if sort == Sort::Crowd || burst { MINUTE } else { heal_at * 3 / 4 };
        // A backlog: most uploads arrive at once, some during the faults.
        if burst && rng.chance(0.3) { heal_at / 2 + rng.below(MINUTE) } else { rng.below(span) }
    };
    let event = |records: Vec<serde_json::Value>| json!({ "Records": records }).to_string();
    let mut push = |rng: &mut Rng, body: String, kind: Kind| {
        let at = when(rng);
        uploads.push(Upload { at, body, kind });
    };
    let odd = rng.pick(&[0.0, 0.05, 0.3], 0.05);
    for job in 0..jobs {
        let size = if rng.chance(odd / 4.0) { 0 } else { 1000 };
        let mut records = vec![record(job, size)];
        if rng.chance(odd) {
            records.push(record(job + 100_000, 1000));
        }
        push(rng, event(records), Kind::Jobs);
        // Uploaded again under the same key, as often as possible; the events come in any order.
        let mut number = 1;
        while number < SEQUENCERS.len() && rng.chance(odd) {
            push(rng, event(vec![version(job, 1000, number)]), Kind::Jobs);
            number += 1;
        }
        if number > 1 && rng.chance(odd) {
            // A person wants the existing version live, whatever is live.
            push(rng, forced(job), Kind::Jobs);
        }
        if rng.chance(odd) {
            // A second producer announces the same upload.
            push(rng, event(vec![record(job, size)]), Kind::Jobs);
        }
        if rng.chance(odd / 2.0) {
            let bad = ["{", "[[[[", "\u{0}\u{fffd}", "{\"Records\":3}"];
            let body = rng.pick(&bad, "{");
            push(rng, format!("{body}{job}"), Kind::Jobs);
        }
        if rng.chance(odd / 4.0) {
            push(rng, "{\"Event\":\"s3:TestEvent\"}".into(), Kind::Nothing);
        }
        if rng.chance(odd / 4.0) {
            push(rng, json!({"schema": 99, "kind": "transcode.job"}).to_string(), Kind::Unknown);
        }
    }
    uploads
}
