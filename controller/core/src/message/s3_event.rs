//! S3's own events, direct and through `EventBridge`.

use std::cell::LazyCell;

use serde::Deserialize;
use serde_json::Value;
use transcode_config::contract::{Edit, Failure, FailureCode, JobKey, Source};

use super::{
    candidate::{Asked, Candidate, malformed},
    content::Content,
    time,
    types::Rules,
};

/// Most records in one event. S3 sends one; whoever batches them by hand stays below this, or one message would be
/// able to occupy the whole controller (L5).
const MAX_RECORDS: usize = 100;

/// What both kinds of event say of an object.
struct Created {
    bucket: String,
    key: String,
    version_id: Option<String>,
    etag: Option<String>,
    size: Option<u64>,
    sequencer: Option<String>,
    uploaded_at_ms: Option<u64>,
}

impl Created {
    /// The job; none for the empty object that consoles make for a folder.
    fn candidate(self, rules: &Rules) -> Option<Candidate> {
        if self.key.ends_with('/') && self.size == Some(0) {
            return None;
        }
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        let source = Source {
            bucket: self.bucket,
            key: self.key,
            // `null` is what objects carry that were written while versioning was off: it pins nothing.
            version_id: present(self.version_id).filter(|version| version != "null"),
            etag: present(self.etag.map(|etag| etag.trim_matches('"').to_owned())),
            size: self.size,
            sequencer: present(self.sequencer),
            uploaded_at_ms: self.uploaded_at_ms,
        };
        Some(Candidate::of(
            Asked { source, profile: None, edit: Edit::default(), idempotency_key: None },
            rules,
        ))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    #[serde(default)]
    event_time: Option<String>,
    s3: RecordS3,
}

#[derive(Deserialize)]
struct RecordS3 {
    bucket: RecordBucket,
    object: RecordObject,
}

#[derive(Deserialize)]
struct RecordBucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordObject {
    key: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    e_tag: Option<String>,
    #[serde(default)]
    version_id: Option<String>,
    #[serde(default)]
    sequencer: Option<String>,
}

/// `{"Records":[…]}`.
pub(super) fn direct(value: &Value, body: &str, rules: &Rules) -> Content {
    let bad = |why: &str| Content::Candidates(vec![malformed(body, why)]);
    let Some(records) = value.get("Records").and_then(Value::as_array) else {
        return bad("`Records` is not a list");
    };
    if records.is_empty() {
        return bad("`Records` is empty");
    }
    if records.len() > MAX_RECORDS {
        return bad(&format!("{} records, more than {MAX_RECORDS}", records.len()));
    }
    // Versions first, all of them: one record from the future and the whole message is left alone.
    for record in records {
        if let Some(version) = record.get("eventVersion").and_then(Value::as_str)
            && version.split('.').next() != Some("2")
        {
            return Content::Park(format!("S3 event version {version}; this version knows 2.x"));
        }
    }
    // Seldom needed, and a hash of up to 1 MiB.
    let name = LazyCell::new(|| JobKey::of(&[body]));
    let read = |(index, record): (usize, &Value)| match created(record) {
        Ok(created) => created.and_then(|created| created.candidate(rules)),
        // The other records of the message are not to suffer.
        Err(why) => Some(Candidate::refused(
            &["malformed", name.as_str(), &index.to_string()],
            Failure::new(FailureCode::MalformedMessage, why).with("record", index),
        )),
    };
    Content::Candidates(records.iter().enumerate().filter_map(read).collect())
}

fn created(record: &Value) -> Result<Option<Created>, String> {
    if record.get("eventVersion").and_then(Value::as_str).is_none() {
        return Err("a record without `eventVersion`".into());
    }
    let record: Record =
        Record::deserialize(record).map_err(|error| format!("not a record of an S3 event: {error}"))?;
    let name = record.event_name.trim_start_matches("s3:");
    if !name.starts_with("ObjectCreated:") {
        return Ok(None);
    }
    let RecordObject { key, size, e_tag, version_id, sequencer } = record.s3.object;
    let key = form_decode(&key).ok_or("the key is not UTF-8 after decoding")?;
    let uploaded_at_ms = record.event_time.as_deref().and_then(time::parse);
    let bucket = record.s3.bucket.name;
    Ok(Some(Created { bucket, key, version_id, etag: e_tag, size, sequencer, uploaded_at_ms }))
}

/// Keys in direct events are form-encoded: a plus sign is a space, a real plus sign is `%2B`.
fn form_decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[derive(Deserialize)]
struct Detail {
    bucket: RecordBucket,
    object: DetailObject,
}

#[derive(Deserialize)]
struct DetailObject {
    key: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    etag: Option<String>,
    #[serde(default, rename = "version-id")]
    version_id: Option<String>,
    #[serde(default)]
    sequencer: Option<String>,
}

/// `EventBridge`'s `Object Created`. Its key is not encoded.
pub(super) fn event_bridge(value: &Value, body: &str, rules: &Rules) -> Content {
    let bad = |why: &str| Content::Candidates(vec![malformed(body, why)]);
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if text("source") != Some("aws.s3") {
        return bad("an EventBridge event that is not from aws.s3");
    }
    for version in [value.get("version"), value.pointer("/detail/version")].into_iter().flatten() {
        if version.as_str() != Some("0") {
            return Content::Park(format!("EventBridge event version {version}; this version knows \"0\""));
        }
    }
    if text("detail-type") != Some("Object Created") {
        return Content::Ignore("no object was created");
    }
    let detail = value.get("detail").cloned().unwrap_or(Value::Null);
    let Detail { bucket, object } = match serde_json::from_value(detail) {
        Ok(detail) => detail,
        Err(error) => return bad(&format!("not an `Object Created` event: {error}")),
    };
    let DetailObject { key, size, etag, version_id, sequencer } = object;
    let uploaded_at_ms = text("time").and_then(time::parse);
    let created = Created { bucket: bucket.name, key, version_id, etag, size, sequencer, uploaded_at_ms };
    Content::Candidates(created.candidate(rules).into_iter().collect())
}
