//! A package that is played while the task still makes it: the real task, with a proxy before S3 that holds back one
//! segment of each track, and hls.js on the contents of the bucket at each moment.

use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use transcode_config::{
    contract::{
        Attempt, ENV_ATTEMPT, ENV_JOB, ENV_METRICS_NAMESPACE, ENV_STATE_BUCKET, Heartbeat, JobKey, JobSpec,
        Layout, Outcome, OutputTarget, Source, Terminal, decode, encode,
    },
    ladder::Profile,
};
use transcode_tests::{
    clients,
    emulator::Emulator,
    gate::Gate,
    order,
    proxy::{Interceptor, Proxy},
};

use super::*;

/// Length of the source, in segments of one second.
const WHOLE: f64 = 9.0;
/// The segment that does not arrive; the part before it can be played. It is longer than the three segments that
/// players keep away from the end of a live stream.
const HELD: &str = "00007.m4s";
const LISTED: u32 = 6;
const BUCKET: &str = "videos";

struct Fixture {
    folder: tempfile::TempDir,
    emulator: Emulator,
    gate: Arc<Gate>,
    proxy: Proxy,
    spec: JobSpec,
}

impl Fixture {
    /// The controller's part: a job and its first attempt.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(folder.path(), folder.path()).await.unwrap();
        let gate = Arc::new(Gate::closed(HELD));
        let proxy =
            Proxy::start(&emulator.endpoint, Arc::clone(&gate) as Arc<dyn Interceptor>).await.unwrap();
        source_of(WHOLE, folder.path(), false, &[1000]);
        let bytes = fs::read(folder.path().join("source.mov")).unwrap();
        let text = format!("playable_early = true\n{}", profile("ultrafast", &LADDER));
        let source = Source {
            bucket: BUCKET.into(),
            key: "in/source.mov".into(),
            version_id: None,
            etag: None,
            size: Some(bytes.len() as u64),
            sequencer: None,
            uploaded_at_ms: None,
        };
        let output = OutputTarget { bucket: BUCKET.into(), prefix: "out/".into() };
        let profile = Profile::parse("player", &text).unwrap();
        let spec = order::spec(JobKey::of(&["early"]), source, profile, output);
        let claim = order::claim(spec.job.clone(), Attempt::FIRST, u64::MAX / 2);
        emulator.clients.s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        let fixture = Self { folder, emulator, gate, proxy, spec };
        let (spec, first) = (fixture.layout().spec(), fixture.layout().claim(Attempt::FIRST));
        fixture.put(&spec, encode(&fixture.spec)).await;
        fixture.put(&first, encode(&claim)).await;
        fixture.put("in/source.mov", bytes).await;
        fixture
    }

    fn layout(&self) -> Layout<'_> {
        Layout::of(&self.spec.job)
    }

    async fn put(&self, key: &str, body: Vec<u8>) {
        let put = self.emulator.clients.s3.put_object().bucket(BUCKET).key(key);
        put.body(ByteStream::from(body)).send().await.unwrap();
    }

    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let answer = self.emulator.clients.s3.get_object().bucket(BUCKET).key(key).send().await.ok()?;
        Some(answer.body.collect().await.unwrap().to_vec())
    }

    /// The task, as ECS would start it.
    fn task(&self) -> Process {
        let mut env = clients::environment(&self.emulator.endpoint, None);
        let more = [
            ("AWS_ENDPOINT_URL_S3", self.proxy.endpoint.as_str()),
            (ENV_JOB, self.spec.job.as_str()),
            (ENV_ATTEMPT, "1"),
            (ENV_STATE_BUCKET, BUCKET),
            (ENV_METRICS_NAMESPACE, "early"),
            ("TRANSCODE_HEARTBEAT_SECONDS", "1"),
            ("TMPDIR", self.folder.path().to_str().unwrap()),
        ];
        env.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
        Process::start(&Spec {
            name: "task",
            program: &paths::binary("transcode-task").unwrap(),
            args: Vec::new(),
            env,
            folder: self.folder.path(),
            logs: self.folder.path(),
            out: None,
            orderly: false,
        })
        .unwrap()
    }

    /// The start position of players, once each track lists all segments that are not held back.
    async fn playable(&self) -> Option<String> {
        let beat = self.get(&self.layout().heartbeat(Attempt::FIRST)).await?;
        let key = decode::<Heartbeat>(&beat).unwrap().playable?;
        let folder = key.strip_suffix("/early.m3u8")?;
        for track in ["video/144p", "video/216p", "audio/main"] {
            let list = String::from_utf8(self.get(&format!("{folder}/{track}/early.m3u8")).await?).unwrap();
            if u32::try_from(list.matches("#EXTINF").count()).unwrap() < LISTED {
                return None;
            }
        }
        Some(folder.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_early_plays_from_0_and_on_to_the_end_that_comes_later() {
    let fixture = Fixture::new().await;
    let mut task = fixture.task();
    let there = wait::until("something can be played", LIMIT, async || Ok(fixture.playable().await)).await;
    let folder = there.unwrap_or_else(|error| panic!("{error:#}: {}", task.tail(30)));
    let logs = tempfile::tempdir().unwrap();
    let address = format!("{}/{BUCKET}/{folder}", fixture.emulator.endpoint);
    let mut node = player(&address, &shots("early"), logs.path());
    let line = |node: &Process, at: usize| node.output().lines().nth(at).map(str::to_owned);
    wait::until_blocking(LIMIT, || line(&node, 0).is_some() || node.ended().is_some());
    let first: Value =
        serde_json::from_str(&line(&node, 0).unwrap_or_else(|| panic!("{}", node.tail(30)))).unwrap();
    let first = &first["begin"];
    near("begins", number(&first["time"]), 0.0, 0.0);
    assert_eq!(first["frame"]["number"], 0, "{first}");
    assert_eq!(first["list"]["type"], "EVENT", "{first}");
    assert_eq!(first["list"]["live"], true, "{first}");
    near("listed", number(&first["list"]["edge"]), f64::from(LISTED), 0.001);
    assert_eq!(fixture.get(&fixture.layout().terminal()).await, None, "the job is not decided");

    fixture.gate.open();
    wait::until_blocking(LIMIT, || node.ended().is_some());
    let passed = node.ended().is_some_and(|status| status.success());
    assert!(passed, "not played within {LIMIT:?}: {}", node.tail(30));
    let seen: Value = serde_json::from_str(&line(&node, 2).unwrap()).unwrap();
    let seen = &seen["hls"];
    let end = &seen["follow"];
    near("ends", number(&end["time"]), WHOLE, FRAME);
    near("ends where it should", number(&end["duration"]), WHOLE, FRAME);
    near("the last frame", number(&end["last"]["number"]), WHOLE * RATE - 1.0, 0.0);
    assert_eq!(end["list"]["live"], false, "sealed: {end}");
    assert!(number(&end["dropped"]) * 2.0 < number(&end["frames"]), "dropped {end}");
    for said in [&end["errors"], &seen["problems"]] {
        assert!(list(said).is_empty(), "{said}");
    }
    wait::until_blocking(LIMIT, || task.ended().is_some());
    let terminal =
        fixture.get(&fixture.layout().terminal()).await.unwrap_or_else(|| panic!("{}", task.tail(30)));
    let outcome = decode::<Terminal>(&terminal).unwrap().outcome;
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
}
