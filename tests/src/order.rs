//! The documents that a controller writes for a task, for tests without a controller.

use transcode_config::{
    contract::{
        Attempt, Capacity, Claim, Edit, JobKey, JobSpec, OutputTarget, SCHEMA, Source, TaskShape,
        UserMetadata,
    },
    ladder::Profile,
};

/// The specification of a job on `source` without an edit, for at most ten minutes.
pub fn spec(job: JobKey, source: Source, profile: Profile, output: OutputTarget) -> JobSpec {
    JobSpec {
        schema: SCHEMA,
        job,
        generation: 0,
        source,
        profile: std::sync::Arc::new(profile),
        edit: Edit::default(),
        output,
        max_run_seconds: 600,
        max_source_bytes: 1 << 30,
        accepted_at_ms: 1,
        idempotency_key: None,
        forced: false,
        user_metadata: UserMetadata::default(),
    }
}

/// The claim of an attempt that may be launched until `launch_not_after_ms` (ms since 1970).
pub fn claim(job: JobKey, attempt: Attempt, launch_not_after_ms: u64) -> Claim {
    Claim {
        schema: SCHEMA,
        job,
        attempt,
        task_definition: "task:1".into(),
        image_digest: None,
        variant: TaskShape { capacity: Capacity::Fargate, cpu: 1024, memory_mib: 2048, ephemeral_gib: None },
        launch_not_after_ms,
        created_at_ms: 1,
        nonce: "n".into(),
        history: vec![],
    }
}
