//! The bodies that ask for jobs, as a JSON Schema. Envelopes (SNS, dead letters) hold one of these as text.

use schemars::{JsonSchema, Schema};
use transcode_config::schema::read;

use super::{
    request::JobRequest,
    s3_event::{Detail, Record},
};

/// A message of a job queue that asks for jobs.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum Message {
    /// A job request.
    Request(JobRequest),
    /// An S3 event notification: only these fields are read.
    S3(Notification),
    /// S3's `Object Created` from `EventBridge`: only these fields are read.
    EventBridge(ObjectCreated),
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Notification {
    #[schemars(rename = "Records", length(min = 1, max = 1000))]
    records: Vec<Record>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[allow(dead_code, reason = "only its schema is used")]
struct ObjectCreated {
    #[schemars(extend("const" = "0"))]
    version: String,
    #[schemars(extend("const" = "aws.s3"))]
    source: String,
    #[schemars(extend("const" = "Object Created"))]
    detail_type: String,
    detail: Detail,
}

/// A job request.
pub fn request() -> Schema {
    read::<JobRequest>()
}

/// Any message that asks for jobs.
pub fn message() -> Schema {
    read::<Message>()
}
