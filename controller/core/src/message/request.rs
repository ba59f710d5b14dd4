//! Our own job request: `{"schema":1,"kind":"transcode.job","source":{"bucket":…,"key":…}}`. A request with a `clip` or
//! an `overlay` has schema 2, one with `force` schema 3, one with `default_language` schema 4, one with `user_metadata`
//! schema 5. An older controller that does not know these puts the message aside and does not refuse it (S15).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use transcode_config::{
    contract::{
        Clip, Edit, Overlay, REQUEST_WITH_FORCE, REQUEST_WITH_LANGUAGE, REQUEST_WITH_METADATA,
        SPEC_WITH_EDIT, Source, UserMetadata,
    },
    ladder::{LANGUAGE_TAG, is_language},
};

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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct JobRequest {
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = REQUEST_WITH_METADATA)))]
    schema: u32,
    #[serde(rename = "kind")]
    #[cfg_attr(feature = "schema", schemars(extend("const" = KIND)))]
    _kind: String,
    source: RequestSource,
    #[serde(default)]
    profile: Option<String>,
    /// Language of tracks whose language the file does not name.
    #[serde(default)]
    default_language: Option<String>,
    #[serde(default)]
    clip: Option<Clip>,
    #[serde(default)]
    overlay: Option<Overlay>,
    #[serde(default)]
    idempotency_key: Option<String>,
    /// The job replaces the live one even if it is older.
    #[serde(default)]
    force: bool,
    /// The caller's own words, which come back in the job's events.
    #[serde(default)]
    user_metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    let request: JobRequest = match serde_json::from_value(value.clone()) {
        Ok(request) => request,
        Err(error) => return malformed(body, &format!("not a job request: {error}")),
    };
    if let Err(problem) = request.check() {
        return malformed(body, &problem);
    }
    let user_metadata = match UserMetadata::asked(request.user_metadata.unwrap_or_default()) {
        Ok(words) => words,
        Err(problem) => return malformed(body, &problem),
    };
    let JobRequest {
        source, profile, default_language: language, clip, overlay, idempotency_key, force, ..
    } = request;
    let edit = Edit { clip, overlay };
    let RequestSource { bucket, key, version_id } = source;
    let source =
        Source { bucket, key, version_id, etag: None, size: None, sequencer: None, uploaded_at_ms: None };
    let asked = Asked { source, profile, language, edit, idempotency_key, forced: force, user_metadata };
    Candidate::of(asked, rules)
}

impl JobRequest {
    /// What is wrong beyond its form.
    fn check(&self) -> Result<(), String> {
        let bad_key = |key: &String| key.is_empty() || key.len() > MAX_IDEMPOTENCY_BYTES;
        if self.idempotency_key.as_ref().is_some_and(bad_key) {
            return Err("`idempotency_key` must have 1–256 bytes".into());
        }
        if self.default_language.as_deref().is_some_and(|tag| !is_language(tag)) {
            return Err(format!("`default_language`: {LANGUAGE_TAG}"));
        }
        for (field, given, schema) in [
            ("clip", self.clip.is_some(), SPEC_WITH_EDIT),
            ("overlay", self.overlay.is_some(), SPEC_WITH_EDIT),
            ("force", self.force, REQUEST_WITH_FORCE),
            ("default_language", self.default_language.is_some(), REQUEST_WITH_LANGUAGE),
            ("user_metadata", self.user_metadata.is_some(), REQUEST_WITH_METADATA),
        ] {
            if given && self.schema < schema {
                return Err(format!(
                    "`{field}` needs `schema` {schema}: a controller that does not know it must not run the job without"
                ));
            }
        }
        Ok(())
    }
}
