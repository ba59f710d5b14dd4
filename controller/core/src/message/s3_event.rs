//! S3's own events, direct and through `EventBridge`.

use std::cell::LazyCell;

use serde::Deserialize;
use serde_json::Value;
use transcode_config::contract::{Edit, Failure, FailureCode, JobKey, Source, UserMetadata};

use super::{
    candidate::{Asked, Candidate, malformed},
    content::Content,
    foreign,
    ignored::{IgnoreReason, Ignored},
    time,
    types::Rules,
};

/// Most records in one event. S3 sends one record per event; a program that batches events must stay below this, or one
/// message could occupy the whole controller (L5).
const MAX_RECORDS: usize = 100;

/// Ending of the empty objects that Hadoop creates for folders.
const HADOOP_FOLDER: &str = "_$folder$";

/// The fields of an object that both kinds of event have.
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
    /// Returns the job, or why the event asks for none.
    fn candidate(self, rules: &Rules) -> Result<Candidate, Ignored> {
        let ignored =
            |reason, bucket: &str, key: &str| Err(Ignored::about(reason, "ObjectCreated", bucket, key));
        let marker = self.key.ends_with('/') || self.key.ends_with(HADOOP_FOLDER);
        if marker && self.size.unwrap_or(0) == 0 {
            return ignored(IgnoreReason::FolderMarker, &self.bucket, &self.key);
        }
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        let source = Source {
            bucket: self.bucket,
            key: self.key,
            // Objects written while versioning was off have the version `null`: it names no fixed version.
            version_id: present(self.version_id).filter(|version| version != "null"),
            etag: present(self.etag.map(|etag| etag.trim_matches('"').to_owned())),
            size: self.size,
            sequencer: present(self.sequencer),
            uploaded_at_ms: self.uploaded_at_ms,
        };
        if rules.source_of(&source.bucket, &source.key).is_some_and(|allowed| !allowed.takes(&source.key)) {
            return ignored(IgnoreReason::OtherSuffix, &source.bucket, &source.key);
        }
        Ok(Candidate::of(
            Asked {
                source,
                profile: None,
                language: None,
                edit: Edit::default(),
                idempotency_key: None,
                forced: false,
                user_metadata: UserMetadata::default(),
            },
            rules,
        ))
    }
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    event_name: String,
    #[serde(default)]
    event_time: Option<String>,
    s3: RecordS3,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct RecordS3 {
    bucket: RecordBucket,
    object: RecordObject,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct RecordBucket {
    name: String,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    let bad = |why: &str| Content::one(malformed(body, why));
    let Some(records) = value.get("Records").and_then(Value::as_array) else {
        return bad("`Records` is not a list");
    };
    if records.is_empty() {
        return bad("`Records` is empty");
    }
    if records.len() > MAX_RECORDS {
        return bad(&format!("{} records, more than {MAX_RECORDS}", records.len()));
    }
    let mut sources = records.iter().filter_map(|record| record.get("eventSource").and_then(Value::as_str));
    // Other stores that implement S3's protocol put their own name before `:s3`.
    if let Some(other) = sources.find(|source| !source.ends_with(":s3")) {
        return Content::one(foreign::records_of(other, body));
    }
    // Check the versions of all records first: if one record is of an unknown version, the whole message is left alone.
    for record in records {
        if let Some(version) = record.get("eventVersion").and_then(Value::as_str)
            && version.split('.').next() != Some("2")
        {
            return Content::Park(format!("S3 event version {version}; this version knows 2.x"));
        }
    }
    // Seldom needed, and it hashes up to 1 MiB.
    let name = LazyCell::new(|| JobKey::of(&[body]));
    let read = |(index, record): (usize, &Value)| match created(record) {
        Ok(created) => created.and_then(|created| created.candidate(rules)),
        // Refuse this record alone; the other records of the message still run.
        Err(why) => Ok(Candidate::refused(
            &["malformed", name.as_str(), &index.to_string()],
            Failure::new(FailureCode::MalformedMessage, why).with("record", index),
        )),
    };
    let (mut candidates, mut ignored) = (Vec::new(), Vec::new());
    for found in records.iter().enumerate().map(read) {
        match found {
            Ok(candidate) => candidates.push(candidate),
            Err(none) => ignored.push(none),
        }
    }
    Content::Found(candidates, ignored)
}

/// Reads a record. `Ok(Err)`: it is understood and describes no new object. `Err`: it cannot be read.
fn created(record: &Value) -> Result<Result<Created, Ignored>, String> {
    if record.get("eventVersion").and_then(Value::as_str).is_none() {
        return Err("a record without `eventVersion`".into());
    }
    let record: Record =
        Record::deserialize(record).map_err(|error| format!("not a record of an S3 event: {error}"))?;
    let name = record.event_name.trim_start_matches("s3:");
    if !name.starts_with("ObjectCreated:") {
        let (bucket, key) = (&record.s3.bucket.name, &record.s3.object.key);
        return Ok(Err(Ignored::about(IgnoreReason::NotCreated, name, bucket, key)));
    }
    let RecordObject { key, size, e_tag, version_id, sequencer } = record.s3.object;
    let key = form_decode(&key).ok_or("the key is not UTF-8 after decoding")?;
    let uploaded_at_ms = record.event_time.as_deref().and_then(time::parse);
    let bucket = record.s3.bucket.name;
    Ok(Ok(Created { bucket, key, version_id, etag: e_tag, size, sequencer, uploaded_at_ms }))
}

/// Keys in direct events are form-encoded: a plus sign is a space, a real plus sign is `%2B`.
fn form_decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Detail {
    bucket: RecordBucket,
    object: DetailObject,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    let bad = |why: &str| Content::one(malformed(body, why));
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let (source, kind) = (text("source").unwrap_or_default(), text("detail-type").unwrap_or_default());
    if source != "aws.s3" || !kind.starts_with("Object ") {
        return Content::one(foreign::bridge_event(source, kind, body));
    }
    for version in [value.get("version"), value.pointer("/detail/version")].into_iter().flatten() {
        if version.as_str() != Some("0") {
            return Content::Park(format!("EventBridge event version {version}; this version knows \"0\""));
        }
    }
    if kind != "Object Created" {
        let at = |path| value.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let (bucket, key) = (at("/detail/bucket/name"), at("/detail/object/key"));
        return Content::ignored(Ignored::about(IgnoreReason::NotCreated, kind, bucket, key));
    }
    let detail = value.get("detail").cloned().unwrap_or(Value::Null);
    let Detail { bucket, object } = match serde_json::from_value(detail) {
        Ok(detail) => detail,
        Err(error) => return bad(&format!("not an `Object Created` event: {error}")),
    };
    let DetailObject { key, size, etag, version_id, sequencer } = object;
    let uploaded_at_ms = text("time").and_then(time::parse);
    let created = Created { bucket: bucket.name, key, version_id, etag, size, sequencer, uploaded_at_ms };
    created.candidate(rules).map_or_else(Content::ignored, Content::one)
}
