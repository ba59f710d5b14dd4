//! Our own job request: `{"schema":1,"kind":"transcode.job","source":{"bucket":…,"key":…}}`. With a `clip` or an
//! `overlay` it is of schema 2, with `force` of schema 3; a controller that does not know these puts it aside instead of
//! refusing it (S15).

use serde::Deserialize;
use serde_json::Value;
use transcode_config::contract::{Clip, Edit, Overlay, REQUEST_WITH_FORCE, SPEC_WITH_EDIT, Source};

use super::{
    candidate::{Asked, Candidate, malformed},
    types::Rules,
};

/// Its `kind`.
pub(super) const KIND: &str = "transcode.job";

/// Longest idempotency key, in bytes.
const MAX_IDEMPOTENCY_BYTES: usize = 256;

/// The request. Unknown keys are refused: a misspelt `profile` would otherwise run with the default one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobRequest {
    schema: u32,
    #[serde(rename = "kind")]
    _kind: String,
    source: RequestSource,
    #[serde(default)]
    profile: Option<String>,
    #[serde(default)]
    clip: Option<Clip>,
    #[serde(default)]
    overlay: Option<Overlay>,
    #[serde(default)]
    idempotency_key: Option<String>,
    /// It is to win over what is live, though it may be older.
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestSource {
    bucket: String,
    key: String,
    #[serde(default)]
    version_id: Option<String>,
}

/// Reads the request. Without an idempotency key it is named by what it asks for: sent twice it is one job, also when
/// an object without versions was replaced in between.
pub(super) fn read(value: &Value, body: &str, rules: &Rules) -> Candidate {
    let JobRequest { schema, source, profile, clip, overlay, idempotency_key, force, .. } =
        match serde_json::from_value(value.clone()) {
            Ok(request) => request,
            Err(error) => return malformed(body, &format!("not a job request: {error}")),
        };
    let bad_key = |key: &String| key.is_empty() || key.len() > MAX_IDEMPOTENCY_BYTES;
    if idempotency_key.as_ref().is_some_and(bad_key) {
        return malformed(body, "`idempotency_key` must have 1–256 bytes");
    }
    let edit = Edit { clip, overlay };
    if !edit.is_none() && schema < SPEC_WITH_EDIT {
        return malformed(
            body,
            "`clip` and `overlay` need `schema` 2: a controller that does not know them must not run the job",
        );
    }
    if force && schema < REQUEST_WITH_FORCE {
        return malformed(
            body,
            "`force` needs `schema` 3: a controller that does not know it must not run the job without",
        );
    }
    let RequestSource { bucket, key, version_id } = source;
    let source =
        Source { bucket, key, version_id, etag: None, size: None, sequencer: None, uploaded_at_ms: None };
    Candidate::of(Asked { source, profile, edit, idempotency_key, forced: force }, rules)
}
