//! Settings, clients and documents.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use tempfile::TempDir;
use transcode_config::{
    Settings,
    contract::{
        Attempt, Capacity, Claim, Dead, Edit, EventKind, EventObject, Failure, FailureCode, JobEvent, JobKey,
        JobSpec, Outcome, OutputTarget, SCHEMA, Source, TaskShape, Terminal, UserMetadata,
    },
    ladder::Profile,
    load::from_text,
};
use transcode_controller::aws::{Clients, Ecs, Images};
use transcode_tests::emulator::Emulator;

/// A time far in the future.
pub(crate) const NOT_AFTER: u64 = 4_000_000_000_000;

const SETTINGS: &str = r#"
environment = "test"
queues.jobs = { url = "http://127.0.0.1/123456789012/jobs", dead_letter_url = "http://127.0.0.1/123456789012/dead" }
sources.uploads.bucket = "uploads"
state.bucket = "state"
output.bucket = "videos"
[cluster]
name = "main"
task_definition = "task-family"
subnets = ["subnet-1", "subnet-2"]
security_groups = ["sg-1"]
[calls]
connect_seconds = 1
attempt_seconds = 2
operation_seconds = 8
receive_wait_seconds = 0
"#;

pub(crate) fn settings() -> Settings {
    from_text(SETTINGS, figment::providers::Env::prefixed("NONE_")).unwrap()
}

/// The controller's own clients, for an endpoint on loopback.
pub(crate) fn clients(endpoint: &str, settings: &Settings) -> Clients {
    let credentials = Credentials::new("local", "local", None, None, "test");
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    Clients::of(&sdk, &settings.calls, true)
}

/// The cluster's adapter, with ECR at the same URL.
pub(crate) fn adapter(endpoint: &str, settings: &Settings) -> Ecs {
    let clients = clients(endpoint, settings);
    Ecs::new(clients.ecs.clone(), Images::new(clients.ecr.clone(), settings), settings)
}

/// An emulator with the resources of the settings. The folder is removed with it.
pub(crate) struct Account {
    pub(crate) settings: Settings,
    pub(crate) clients: Clients,
    pub(crate) emulator: Emulator,
    _folder: TempDir,
}

pub(crate) async fn world() -> Account {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(folder.path(), folder.path()).await.unwrap();
    let mut settings = settings();
    let sqs = &emulator.clients.sqs;
    let queue = settings.queues.get_mut("jobs").unwrap();
    queue.url = sqs.create_queue().queue_name("jobs").send().await.unwrap().queue_url.unwrap();
    queue.dead_letter_url = sqs.create_queue().queue_name("dead").send().await.unwrap().queue_url.unwrap();
    let events = sqs.create_queue().queue_name("events").send().await.unwrap();
    settings.events.queue_url = events.queue_url;
    for bucket in [&settings.state.bucket, &settings.output.bucket] {
        emulator.clients.s3.create_bucket().bucket(bucket).send().await.unwrap();
    }
    let clients = clients(&emulator.endpoint, &settings);
    Account { settings, clients, emulator, _folder: folder }
}

pub(crate) fn job(name: &str) -> JobKey {
    JobKey::of(&[name])
}

pub(crate) fn claim(job: &JobKey, attempt: u32) -> Claim {
    Claim {
        schema: SCHEMA,
        job: job.clone(),
        attempt: Attempt::new(attempt).unwrap(),
        task_definition: "arn:aws:ecs:us-east-1:123456789012:task-definition/task-family:7".into(),
        image_digest: None,
        variant: TaskShape { capacity: Capacity::Fargate, cpu: 2048, memory_mib: 4096, ephemeral_gib: None },
        launch_not_after_ms: NOT_AFTER,
        created_at_ms: 1,
        nonce: "me".into(),
        history: Vec::new(),
    }
}

pub(crate) fn spec(job: &JobKey) -> JobSpec {
    JobSpec {
        schema: SCHEMA,
        job: job.clone(),
        generation: 0,
        source: Source {
            bucket: "uploads".into(),
            key: "cat.mp4".into(),
            version_id: None,
            etag: None,
            size: None,
            sequencer: None,
            uploaded_at_ms: None,
        },
        profile: Profile::built_in("standard").unwrap().into(),
        edit: Edit::default(),
        output: OutputTarget { bucket: "videos".into(), prefix: "videos/cat.mp4/".into() },
        max_run_seconds: 60,
        max_source_bytes: 1 << 30,
        accepted_at_ms: 1,
        idempotency_key: None,
        forced: false,
        user_metadata: UserMetadata::default(),
    }
}

/// The event of a dead job.
pub(crate) fn event(name: &str, at_ms: u64) -> JobEvent {
    let job = job(name);
    JobEvent {
        schema: SCHEMA,
        id: format!("{job}.0.dead"),
        kind: EventKind::Dead,
        environment: "test".into(),
        job,
        generation: 0,
        at_ms,
        asked_at_ms: None,
        attempt: None,
        source: Some(EventObject {
            bucket: "uploads".into(),
            key: "zoë \u{202e}.mp4".into(),
            version_id: None,
        }),
        profile: None,
        tenant: None,
        user_metadata: UserMetadata::default(),
        progress: None,
        playable: None,
        result: None,
        failure: None,
        superseded_by: None,
        cancelled: None,
    }
}

pub(crate) fn dead(job: &JobKey, nonce: &str) -> Terminal {
    let failure = Failure::new(FailureCode::NotMedia, "a text file").with("head", "hello");
    Terminal {
        schema: SCHEMA,
        job: job.clone(),
        nonce: nonce.into(),
        written_at_ms: 1,
        outcome: Outcome::Dead(Dead { failure, last_task_arn: None, log_link: None, attempts: Vec::new() }),
    }
}
