//! An idempotency key belongs to the source that it was first used for.
//!
//! The job of a key is named by the key alone, so that asking twice is one job. Whoever asks under it for another source
//! must not be told that this is done: such a request is a job of its own, refused before any attempt.

use transcode_config::contract::{Failure, FailureCode, JobKey, JobSpec, Source};

use super::types::Request;

/// Whether two specifications of one job ask for the same: what is transcoded, and what is changed of it.
pub fn same_source(one: &JobSpec, other: &JobSpec) -> bool {
    let name = |spec: &JobSpec| {
        let Source { bucket, key, version_id, .. } = &spec.source;
        (bucket.clone(), key.clone(), version_id.clone())
    };
    name(one) == name(other) && one.edit == other.edit
}

/// The refused job that stands for a request whose idempotency key belongs to the job `there`.
pub fn key_reused(asked: &JobSpec, there: &JobSpec) -> Request {
    let Source { bucket, key, version_id, .. } = &asked.source;
    let name = asked.idempotency_key.clone().unwrap_or_default();
    let version = version_id.clone().unwrap_or_default();
    // A plain structure: serialising it cannot fail.
    let edit = serde_json::to_string(&asked.edit).unwrap_or_default();
    let generation = asked.generation.to_string();
    let parts = ["caller-reused", &name, bucket, key, &version, &edit, &generation];
    let failure = Failure::new(
        FailureCode::IdempotencyKeyReused,
        "the idempotency key belongs to a job of another source; nothing was made of this request",
    );
    let failure = failure
        .with("idempotency_key", &name)
        .with("belongs_to_job", &there.job)
        .with("belongs_to", address(&there.source))
        .with("asked_for", address(&asked.source));
    Request::Refuse { job: JobKey::of(&parts), generation: asked.generation, failure }
}

fn address(source: &Source) -> String {
    let version = source.version_id.as_ref().map(|version| format!(" version {version}"));
    format!("s3://{}/{}{}", source.bucket, source.key, version.unwrap_or_default())
}
