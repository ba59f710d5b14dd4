//! An environment at one moment, made of the documents that controllers and tasks write: no controller runs, and
//! whatever dials its port is seen.

use std::{
    net::TcpListener,
    process::{Command, Output},
    time::{SystemTime, UNIX_EPOCH},
};

use futures::{StreamExt, stream};
use serde_json::json;
use transcode_config::{
    contract::{
        Attempt, Budget, Cancelled, Capacity, Claim, Dead, Document, Edit, EntryPoint, Failure, FailureCode,
        Heartbeat, IndexKey, JobKey, JobSpec, JobState, JobStatus, Layout, ObjectRef, Outcome, OutputTarget,
        PastAttempt, PauseStatus, Published, QueueStatus, SCHEMA, Source, SourceObject, SourceOrder, Stage,
        StatusReport, Succeeded, Superseded, TERMINAL_CANCELLED, TaskShape, TaskState, Terminal, Told,
        UserMetadata, encode, pointer_key, status_key,
    },
    ladder::Profile,
};
use transcode_tests::{Stack, StackOptions, clients::write_log, controller, paths};

use super::still::Still;

pub(crate) const MINUTE: u64 = 60_000;

/// Log group of the tasks in the template.
const LOG_GROUP: &str = "/transcode/local/task";

/// That of the controller.
const CONTROLLER_LOG: &str = "/transcode/local/controller";

/// The environment.
pub(crate) struct World {
    pub(crate) stack: Stack,
    /// The wall clock when it was made (ms since 1970).
    pub(crate) now: u64,
    /// Bound, so that a command that dialed the controller would be seen.
    port: TcpListener,
}

impl World {
    /// Empty, without a controller.
    pub(crate) async fn new() -> Self {
        let options = StackOptions { without_controller: true, ..StackOptions::default() }
            .setting("cluster.log_group", &format!("{LOG_GROUP:?}"))
            .setting("cluster.controller_log_group", &format!("{CONTROLLER_LOG:?}"));
        let stack = Stack::with(options).await.unwrap();
        let settings = std::fs::read_to_string(stack.plan.config()).unwrap();
        let listen = settings.lines().find_map(|line| line.strip_prefix("http.listen = ")).unwrap();
        let port = TcpListener::bind(listen.trim_matches('"')).unwrap();
        port.set_nonblocking(true).unwrap();
        Self { stack, now: middle_of_a_minute(), port }
    }

    /// Removes all documents: a new world begins now.
    pub(crate) async fn empty(&mut self) {
        let made = &self.stack.deployment;
        for bucket in [&made.state_bucket, &made.production_bucket] {
            let keys = self.stack.objects(bucket, "").await.unwrap().into_keys();
            let s3 = &self.stack.clients().s3;
            stream::iter(keys)
                .for_each_concurrent(16, |key| async move {
                    s3.delete_object().bucket(bucket).key(key).send().await.unwrap();
                })
                .await;
        }
        self.now = middle_of_a_minute();
    }

    /// `minutes` and 20 s ago.
    pub(crate) fn ago(&self, minutes: u64) -> u64 {
        self.now - minutes * MINUTE
    }

    /// Whether anybody has dialed the controller.
    pub(crate) fn was_dialed(&self) -> bool {
        self.port.accept().is_ok()
    }

    /// A command with the stack's settings.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut program = Command::new(paths::binary("transcode-controller").unwrap());
        program.args(args).env_clear().env("TRANSCODE_CONFIG", self.stack.plan.config());
        program.envs(controller::environment(self.stack.endpoint(), &self.stack.fargate.endpoint));
        program
    }

    /// Standard output of a command that must succeed, with moving times made still.
    pub(crate) fn said(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Still::default().text(&String::from_utf8(output.stdout).unwrap())
    }

    pub(crate) async fn put(&self, bucket: &str, key: &str, body: Vec<u8>) {
        let put = self.stack.clients().s3.put_object().bucket(bucket).key(key);
        put.body(body.into()).send().await.unwrap();
    }

    async fn write<D: Document>(&self, key: &str, document: &D) {
        self.put(&self.stack.deployment.state_bucket, key, encode(document)).await;
    }

    /// Many jobs in the index, each accepted and ended.
    pub(crate) async fn fill_index(&self, many: u64) {
        let keys = (0..many).flat_map(|number| {
            let job = JobKey::of(&["many", &number.to_string()]);
            let spec = self.spec(&job, &format!("many/{number}.mp4"), 60 + number);
            let terminal = self.terminal(&job, 59 + number, dead(FailureCode::NotMedia));
            [IndexKey::accepted(&spec).to_key(), IndexKey::ended(spec.accepted_at_ms, &terminal).to_key()]
        });
        let bucket = &self.stack.deployment.state_bucket;
        stream::iter(keys)
            .for_each_concurrent(16, |key| async move { self.put(bucket, &key, Vec::new()).await })
            .await;
    }

    pub(crate) fn spec(&self, job: &JobKey, key: &str, accepted: u64) -> JobSpec {
        JobSpec {
            schema: SCHEMA,
            job: job.clone(),
            generation: 0,
            source: Source {
                bucket: self.stack.deployment.source_bucket.clone(),
                key: key.into(),
                version_id: Some("v1".into()),
                etag: None,
                size: Some(9),
                sequencer: None,
                uploaded_at_ms: Some(self.ago(accepted) - 1_000),
            },
            profile: Profile::built_in("standard").unwrap().into(),
            edit: Edit::default(),
            output: OutputTarget {
                bucket: self.stack.deployment.production_bucket.clone(),
                prefix: format!("videos/{key}/"),
            },
            max_run_seconds: 14_400,
            max_source_bytes: 1 << 40,
            accepted_at_ms: self.ago(accepted),
            idempotency_key: None,
            forced: false,
            user_metadata: UserMetadata::default(),
        }
    }

    pub(crate) fn terminal(&self, job: &JobKey, ended: u64, outcome: Outcome) -> Terminal {
        let schema = if matches!(outcome, Outcome::Cancelled(_)) { TERMINAL_CANCELLED } else { SCHEMA };
        Terminal { schema, job: job.clone(), nonce: "n".into(), written_at_ms: self.ago(ended), outcome }
    }

    fn claim(&self, job: &JobKey, number: u32, claimed: u64) -> Claim {
        let history = (1..number).map(|past| PastAttempt {
            attempt: Attempt::new(past).unwrap(),
            budget: Budget::Platform,
            code: FailureCode::Interrupted,
            message: "Spot took its place back".into(),
            task_arn: Some(format!("arn:aws:ecs:us-east-1:123456789012:task/local-transcode/{past:032}")),
        });
        Claim {
            schema: SCHEMA,
            job: job.clone(),
            attempt: Attempt::new(number).unwrap(),
            task_definition: self.stack.deployment.task_definition_arn.clone(),
            image_digest: None,
            variant: TaskShape {
                capacity: Capacity::Fargate,
                cpu: 2048,
                memory_mib: 4096,
                ephemeral_gib: None,
            },
            launch_not_after_ms: self.ago(claimed) + 5 * MINUTE,
            created_at_ms: self.ago(claimed),
            nonce: "n".into(),
            history: history.collect(),
        }
    }

    async fn accept(&self, spec: &JobSpec) {
        self.write(&Layout::of(&spec.job).spec(), spec).await;
        let bucket = &self.stack.deployment.state_bucket;
        self.put(bucket, &IndexKey::accepted(spec).to_key(), Vec::new()).await;
        self.put(bucket, &IndexKey::source_key(spec), Vec::new()).await;
    }

    async fn attempt(&self, claim: &Claim, heartbeat: &Heartbeat) {
        let layout = Layout::of(&claim.job);
        self.write(&layout.claim(claim.attempt), claim).await;
        self.write(&layout.heartbeat(claim.attempt), heartbeat).await;
    }

    async fn end(&self, spec: &JobSpec, terminal: &Terminal) {
        self.write(&Layout::of(&spec.job).terminal(), terminal).await;
        let key = IndexKey::ended(spec.accepted_at_ms, terminal).to_key();
        self.put(&self.stack.deployment.state_bucket, &key, Vec::new()).await;
    }

    /// Succeeded 25 minutes ago, published unless `unpublished`.
    pub(crate) async fn succeeded(&self, name: &str, key: &str, unpublished: bool) -> JobKey {
        let job = JobKey::of(&[name]);
        let spec = self.spec(&job, key, 30);
        self.accept(&spec).await;
        let heartbeat = beat(&job, 1, self.ago(25), Stage::Publishing, TaskState::Finished);
        self.attempt(&self.claim(&job, 1, 29), &heartbeat).await;
        let won = won(&spec);
        let terminal = self.terminal(&job, 25, Outcome::Succeeded(won.clone()));
        if unpublished {
            self.write(&Layout::of(&job).terminal(), &terminal).await;
            return job;
        }
        self.end(&spec, &terminal).await;
        let metadata = json!({"result": {
            "video": [{"name": "360p"}, {"name": "720p"}], "audio": [{"name": "main"}],
            "warnings": ["left_out: stream 2, data: nobody can play it"],
        }});
        self.put(&won.bucket, &format!("{}entry/metadata.json", won.folder), metadata.to_string().into())
            .await;
        let live = Published {
            schema: SCHEMA,
            output: spec.output.clone(),
            source: SourceObject { bucket: spec.source.bucket.clone(), key: key.into() },
            job: job.clone(),
            attempt: Attempt::FIRST,
            folder: won.folder.clone(),
            order: SourceOrder::of(&spec, None, self.now),
            highest_sequencer: None,
            serial: 1,
            published_at_ms: self.ago(24),
        };
        self.write(&pointer_key(&spec.output), &live).await;
        job
    }

    /// Ended 10 minutes ago without a result.
    pub(crate) async fn ended(&self, name: &str, key: &str, outcome: Outcome) -> JobKey {
        let job = JobKey::of(&[name]);
        let spec = self.spec(&job, key, 12);
        self.accept(&spec).await;
        self.end(&spec, &self.terminal(&job, 10, outcome)).await;
        job
    }

    /// In its second attempt, half done.
    pub(crate) async fn running(&self, name: &str, key: &str) -> JobKey {
        let job = JobKey::of(&[name]);
        self.accept(&self.spec(&job, key, 45)).await;
        let heartbeat = beat(&job, 2, self.now + 15_000, Stage::Transcoding, TaskState::Working);
        self.attempt(&self.claim(&job, 2, 20), &heartbeat).await;
        job
    }

    pub(crate) fn status(&self, name: &str, key: &str, state: JobState, asked: u64) -> JobStatus {
        JobStatus {
            job: JobKey::of(&[name]),
            bucket: Some(self.stack.deployment.source_bucket.clone()),
            key: Some(key.into()),
            profile: Some("standard".into()),
            tenant: None,
            state,
            asked_at_ms: Some(self.ago(asked)),
            known_at_ms: self.ago(asked) + 2_000,
            attempt: None,
            stage: None,
            percent: None,
            speed: None,
            heartbeat_at_ms: None,
            task_arn: None,
            why: None,
            until_ms: None,
            step: None,
            refused: false,
        }
    }

    /// What the controller reports, written `age_ms` before the world was made.
    pub(crate) async fn report(&self, age_ms: u64, pause: Option<&str>, jobs: Vec<JobStatus>) {
        let queue = QueueStatus {
            visible: 12,
            in_flight: 3,
            delayed: 0,
            dead_letters: Some(1),
            counted_at_ms: self.ago(0),
        };
        let pause = pause.map(|why| PauseStatus { why: why.into(), since_ms: self.ago(5) });
        let report = StatusReport {
            schema: SCHEMA,
            environment: "local".into(),
            instance: "i".into(),
            version: "0.1.0".into(),
            started_at_ms: self.ago(600),
            written_at_ms: self.now - age_ms,
            launches_pause: pause,
            queues: [("default".to_owned(), queue)].into(),
            tasks_in_flight: 1,
            max_tasks: 10,
            jobs,
            ..StatusReport::default()
        };
        self.write(&status_key("local"), &report).await;
    }

    /// Writes lines into the controller's log, `ago_ms` before the world was made.
    pub(crate) async fn controller_log(&self, ago_ms: u64, lines: &[serde_json::Value]) {
        let stream = format!("controller/controller/{ago_ms}");
        write_log(self.stack.endpoint(), CONTROLLER_LOG, &stream, lines, self.now - ago_ms).await.unwrap();
    }

    /// Writes lines into the log of attempt `number`'s task.
    pub(crate) async fn log(&self, number: u32, lines: &[serde_json::Value]) {
        let id = task(number).rsplit('/').next().unwrap().to_owned();
        let stream = format!("task/task/{id}");
        write_log(self.stack.endpoint(), LOG_GROUP, &stream, lines, self.now).await.unwrap();
    }
}

/// 20 s ago (ms since 1970), so that ages in minutes stay what they are for 40 s.
fn middle_of_a_minute() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap() - 20_000
}

fn beat(job: &JobKey, number: u32, at_ms: u64, doing: Stage, state: TaskState) -> Heartbeat {
    Heartbeat {
        schema: SCHEMA,
        job: job.clone(),
        attempt: Attempt::new(number).unwrap(),
        task_arn: Some(task(number)),
        seq: 7,
        written_at_ms: at_ms,
        stage: doing,
        percent: if state == TaskState::Working { 42.0 } else { 100.0 },
        speed: (state == TaskState::Working).then_some(1.5),
        playable: None,
        user_metadata: UserMetadata::default(),
        state,
    }
}

fn task(number: u32) -> String {
    format!("arn:aws:ecs:us-east-1:123456789012:task/local-transcode/{number:032}")
}

fn won(spec: &JobSpec) -> Succeeded {
    let folder = format!("{}{}", spec.output.prefix, Layout::of(&spec.job).folder(Attempt::FIRST));
    let at = |name: &str| ObjectRef { key: format!("{folder}{name}"), size: 1, sha256: "0".repeat(64) };
    let entry = |name: &str| EntryPoint {
        to: format!("{}{name}", spec.output.prefix),
        from: at(&format!("entry/{name}")),
    };
    Succeeded {
        attempt: Attempt::FIRST,
        task_arn: Some(task(1)),
        bucket: spec.output.bucket.clone(),
        folder: folder.clone(),
        manifest: at("manifest.json"),
        files: 29,
        bytes: 3_145_728,
        duration_ms: 5_300,
        warnings: None,
        source: None,
        entry_points: vec![entry("master.m3u8"), entry("metadata.json")],
    }
}

pub(crate) fn dead(code: FailureCode) -> Outcome {
    let failure = Failure::new(code, "it begins like a text file").with("first bytes", "68 65 6c 6c 6f");
    Outcome::Dead(Dead { failure, last_task_arn: Some(task(1)), log_link: None, attempts: Vec::new() })
}

pub(crate) fn cancelled(at_ms: u64) -> Outcome {
    let told = Told { who: "arn:aws:iam::1:role/anna".into(), why: "uploaded twice".into(), at_ms };
    Outcome::Cancelled(Cancelled { told, last_task_arn: None, attempts: Vec::new() })
}

pub(crate) fn superseded() -> Outcome {
    let by = Some(JobKey::of(&["newer"]));
    Outcome::Superseded(Superseded { by, last_task_arn: None, attempts: Vec::new() })
}
