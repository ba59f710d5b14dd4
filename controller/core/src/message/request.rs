//! Our own job request: `{"schema":1,"kind":"transcode.job","source":{"bucket":…,"key":…}}`. A request with a `clip` or
//! an `overlay` has schema 2, one with `force` has schema 3. An older controller that does not know these puts the
//! message aside and does not refuse it (S15).

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

/// The request. Unknown keys are refused; otherwise a misspelt `profile` would run with the default one.
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
    /// The job replaces the live one even if it is older.
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

/// Reads the request. Without an idempotency key its fields name the job: the same request sent twice is one job, even
/// if an object without versions was replaced between the two.
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
