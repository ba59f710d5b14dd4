//! One job on the emulator, and the real program at work on it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_sdk_s3::{error::ProvideErrorMetadata, primitives::ByteStream};
use tokio::process::{Child, Command};
use transcode_config::{
    contract::{
        Attempt, Beacon, Document, ENV_ATTEMPT, ENV_JOB, ENV_METRICS_NAMESPACE, ENV_STATE_BUCKET, Heartbeat,
        JobKey, JobSpec, Layout, OutputTarget, Source, Terminal, beacon_key, decode, encode,
    },
    ladder::Profile,
};
use transcode_tests::{clients, clients::Clients, emulator::Emulator, order, paths, s3_faults::Proxy, wait};

/// The longest that a test waits for one thing. Far above what it takes: this machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
/// The task's credentials: nothing that it leaves behind may hold them.
pub(crate) const SECRET: &str = "a-secret-that-nobody-may-see";
/// A time far ahead of every clock.
pub(crate) const NEVER: u64 = 4_000_000_000_000;

/// One small rung: quick.
pub(crate) const TINY: &str = r#"
name = "tiny"
codec = "h264"
crf = 30
preset = "ultrafast"
gop_seconds = 2
segment_gops = 1
max_duration_seconds = 3600
[audio]
bps = 64_000
[images]
poster = false
storyboard = false
[[rung]]
short_side = 144
average_bps = 100_000
max_bps = 150_000
buffer_bits = 200_000
codec_profile = "main"
"#;

/// The address of the emulator that all tests of this program share; each has buckets of its own.
fn emulator() -> &'static str {
    static EMULATOR: OnceLock<(Emulator, tempfile::TempDir)> = OnceLock::new();
    let start = || {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let emulator = runtime.block_on(Emulator::start(folder.path(), folder.path())).unwrap();
        (emulator, folder)
    };
    // On a thread of its own: a runtime cannot be made inside another one.
    let started = EMULATOR.get_or_init(|| std::thread::spawn(start).join().unwrap());
    &started.0.endpoint
}

/// The real clip, many times over.
fn long_clip() -> &'static [u8] {
    static CLIP: OnceLock<Vec<u8>> = OnceLock::new();
    CLIP.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("long.mp4");
        let mut ffmpeg = std::process::Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-stream_loop", "11", "-i"]).arg(paths::clip().unwrap());
        assert!(ffmpeg.args(["-c", "copy"]).arg(&long).status().unwrap().success());
        std::fs::read(&long).unwrap()
    })
}

/// One job, its buckets and its proxy.
pub(crate) struct Fixture {
    pub(crate) clients: Clients,
    pub(crate) proxy: Proxy,
    pub(crate) spec: JobSpec,
    pub(crate) state: String,
    pub(crate) outputs: String,
    /// Set for the tasks on top of everything else.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Where tasks make their work folders.
    pub(crate) scratch: tempfile::TempDir,
}

impl Fixture {
    /// A job on the first seconds of the real clip. The name makes buckets and job its own.
    pub(crate) async fn new(name: &str) -> Self {
        let clip = std::fs::read(paths::clip().unwrap()).unwrap();
        Self::with_source(name, clip).await
    }

    /// A job on a minute of video, which a slow preset encodes for far longer than any test takes. Its first segment
    /// is there after some seconds.
    pub(crate) async fn slow(name: &str) -> Self {
        let mut fixture = Self::with_source(name, long_clip().to_vec()).await;
        fixture.profile().preset = "slower".into();
        for rung in &mut fixture.profile().rungs {
            rung.short_side = 360;
        }
        fixture
    }

    /// The job's profile, to change it.
    pub(crate) fn profile(&mut self) -> &mut Profile {
        Arc::make_mut(&mut self.spec.profile)
    }

    /// A job on these bytes.
    pub(crate) async fn with_source(name: &str, bytes: Vec<u8>) -> Self {
        let endpoint = emulator();
        let clients = Clients::at(endpoint);
        let (source, state, outputs) =
            (format!("source-{name}"), format!("state-{name}"), format!("outputs-{name}"));
        for bucket in [&source, &state, &outputs] {
            clients.s3.create_bucket().bucket(bucket).send().await.unwrap();
        }
        let (key, size) = ("in/a clip+.mp4", bytes.len() as u64);
        let put = clients.s3.put_object().bucket(&source).key(key).body(ByteStream::from(bytes));
        let put = put.metadata("user-id", "42").metadata("too-long", "v".repeat(2045));
        let etag = put.send().await.unwrap().e_tag.map(|etag| etag.trim_matches('"').to_owned());
        let source = Source {
            bucket: source,
            key: key.into(),
            version_id: None,
            etag,
            size: Some(size),
            sequencer: None,
            uploaded_at_ms: None,
        };
        let output = OutputTarget { bucket: outputs.clone(), prefix: "videos/in/a clip+.mp4/".into() };
        let profile = Profile::parse("tiny", TINY).unwrap();
        let spec = order::spec(JobKey::of(&[name]), source, profile, output);
        let proxy = Proxy::start(endpoint).await.unwrap();
        let scratch = tempfile::tempdir().unwrap();
        Self { clients, proxy, spec, state, outputs, env: vec![], scratch }
    }

    pub(crate) fn layout(&self) -> Layout<'_> {
        Layout::of(&self.spec.job)
    }

    /// The controller's part: specification and claim of an attempt.
    pub(crate) async fn launch(&self, attempt: u32, launch_not_after_ms: u64) -> Attempt {
        self.put(&self.layout().spec(), encode(&self.spec)).await;
        self.intend(attempt, launch_not_after_ms).await
    }

    /// The claim alone.
    pub(crate) async fn intend(&self, attempt: u32, launch_not_after_ms: u64) -> Attempt {
        let attempt = Attempt::new(attempt).unwrap();
        let claim = order::claim(self.spec.job.clone(), attempt, launch_not_after_ms);
        self.put(&self.layout().claim(attempt), encode(&claim)).await;
        attempt
    }

    pub(crate) async fn put(&self, key: &str, body: Vec<u8>) {
        let put = self.clients.s3.put_object().bucket(&self.state).key(key);
        put.body(ByteStream::from(body)).send().await.unwrap();
    }

    /// Starts the program, as ECS would, with S3 behind the proxy.
    pub(crate) fn task(&self, attempt: Attempt) -> Task {
        self.task_at(attempt, &self.proxy)
    }

    /// Starts the program with S3 behind this proxy.
    pub(crate) fn task_at(&self, attempt: Attempt, proxy: &Proxy) -> Task {
        let log = self.scratch.path().join(format!("{attempt}.log"));
        let work = self.scratch.path().join(format!("work-{attempt}"));
        std::fs::create_dir_all(&work).unwrap();
        let out = std::fs::File::create(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_transcode-task"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("TMPDIR", &work);
        command.envs(clients::environment(emulator(), None)).env("AWS_SECRET_ACCESS_KEY", SECRET);
        command.env("AWS_ENDPOINT_URL_S3", &proxy.endpoint);
        command.env(ENV_JOB, self.spec.job.as_str()).env(ENV_ATTEMPT, attempt.to_string());
        command.env(ENV_STATE_BUCKET, &self.state).env(ENV_METRICS_NAMESPACE, &self.state);
        command.env("TRANSCODE_HEARTBEAT_SECONDS", "1").env("TRANSCODE_FENCE_SECONDS", "4");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stderr(out.try_clone().unwrap()).stdout(out).kill_on_drop(true);
        Task { child: command.spawn().unwrap(), log, work }
    }

    /// Waits until something is so.
    pub(crate) async fn until<T>(&self, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
        wait::until(what, PATIENCE, async || Ok(probe().await)).await.unwrap()
    }

    async fn document<D: Document>(&self, key: &str) -> Option<D> {
        decode(&self.bytes(&self.state, key).await?).ok()
    }

    /// The object's bytes; none if it is not there.
    pub(crate) async fn bytes(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        match self.clients.s3.get_object().bucket(bucket).key(key).send().await {
            Ok(answer) => Some(answer.body.collect().await.unwrap().to_vec()),
            Err(error) if error.code() == Some("NoSuchKey") => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    pub(crate) async fn heartbeat(&self, attempt: Attempt) -> Option<Heartbeat> {
        self.document(&self.layout().heartbeat(attempt)).await
    }

    /// What the attempt's beacon shows; none if there is none.
    pub(crate) async fn beacon(&self, attempt: Attempt) -> Option<Beacon> {
        let key = beacon_key("default", &self.spec.job, attempt);
        Beacon::of_length(self.bytes(&self.state, &key).await?.len())
    }

    pub(crate) async fn terminal(&self) -> Option<Terminal> {
        self.document(&self.layout().terminal()).await
    }

    /// Keys of the output bucket.
    pub(crate) async fn published(&self) -> Vec<String> {
        let listed = self.clients.s3.list_objects_v2().bucket(&self.outputs).send().await.unwrap();
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    }
}

/// The program at work.
pub(crate) struct Task {
    child: Child,
    log: PathBuf,
    work: PathBuf,
}

impl Task {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) async fn exit(&mut self) -> Option<i32> {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the task did not end").unwrap().code()
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().expect("the task has ended").try_into().unwrap()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_raw(self.pid()).unwrap(), signal).unwrap();
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// What is left where it made its work folder.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        children(&self.work)
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// This machine's clock, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}
