//! An idempotency key belongs to the source for which it was first used.
//!
//! The key alone names the job, so two requests with one key are one job. A request with the same key and another
//! source must not get the first source's result: it becomes a job of its own, refused before any attempt.

use transcode_config::contract::{Failure, FailureCode, JobKey, JobSpec, Source};

use super::types::Request;

/// Whether two specifications of one job ask for the same work: the same source and the same edit.
pub fn same_source(one: &JobSpec, other: &JobSpec) -> bool {
    let name = |spec: &JobSpec| {
        let Source { bucket, key, version_id, .. } = &spec.source;
        (bucket.clone(), key.clone(), version_id.clone())
    };
    name(one) == name(other) && one.edit == other.edit
}

/// The refused job for a request whose idempotency key already belongs to the job `there`.
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
