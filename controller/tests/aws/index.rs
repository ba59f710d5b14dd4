//! The index on the emulator: what is written for a job, whoever writes it again, and listings with few calls.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::{StreamExt, stream};
use transcode_config::contract::{
    EndState, IndexKey, JobKey, JobSpec, Outcome, Superseded, Terminal, encode, source_folder,
};
use transcode_controller::aws::{
    S3Store,
    index::{Accepted, Ended, IndexRow},
};
use transcode_core::effects::ports::Store;
use transcode_tests::proxy::{Call, Interceptor, Proxy, Treatment};

use crate::support::{Account, claim, clients, dead, job, spec, world};

fn store(world: &Account) -> S3Store {
    S3Store::new(world.clients.s3.clone(), &world.settings)
}

fn accepted(name: &str, at: u64) -> JobSpec {
    JobSpec { accepted_at_ms: at, ..spec(&job(name)) }
}

async fn keys(world: &Account, prefix: &str) -> Vec<String> {
    let list = world.emulator.clients.s3.list_objects_v2().bucket("state").prefix(prefix);
    let page = list.send().await.unwrap();
    page.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect()
}

/// Counts the listings that go through.
#[derive(Debug, Default)]
struct Listings(AtomicUsize);

impl Interceptor for Listings {
    fn request(&self, call: &Call) -> Treatment {
        self.0.fetch_add(usize::from(call.operation == "ListObjectsV2"), Ordering::SeqCst);
        Treatment::Forward
    }
}

#[tokio::test]
async fn whoever_claims_and_settles_again_writes_the_same_entries() {
    let world = world().await;
    let (store, first) = (store(&world), accepted("x", 5_000));
    // The specification was written, and then the controller died.
    let put = world.emulator.clients.s3.put_object().bucket("state");
    let put = put.key(format!("jobs/{}/spec.json", first.job)).body(encode(&first).into());
    put.send().await.unwrap();
    let later = JobSpec { accepted_at_ms: 9_000, ..first.clone() };
    let terminal = dead(&first.job, "n");
    for _ in 0..2 {
        store.claim(&later, &claim(&first.job, 1)).await.unwrap();
        store.claim(&later, &claim(&first.job, 2)).await.unwrap();
        store.index(&terminal, None, Some(&later)).await.unwrap();
        let both = [IndexKey::accepted(&first).to_key(), IndexKey::ended(5_000, &terminal).to_key()];
        assert_eq!(keys(&world, "index/recent/").await, both, "the time of the specification that exists");
        assert_eq!(keys(&world, "index/source/").await, [IndexKey::source_key(&first)]);
    }
    assert_eq!(store.of_object("uploads", "cat.mp4").await.unwrap(), [(5_000, first.job)]);
    assert_eq!(store.of_object("uploads", "dog.mp4").await.unwrap(), []);
}

#[tokio::test]
async fn a_job_that_ended_before_any_attempt_is_listed_too() {
    let world = world().await;
    let store = store(&world);
    let outcome = Outcome::Superseded(Superseded { by: None, last_task_arn: None, attempts: Vec::new() });
    let overtaken = Terminal { outcome, written_at_ms: 7_000, ..dead(&job("overtaken"), "n") };
    store.index(&overtaken, None, Some(&accepted("overtaken", 1_000))).await.unwrap();
    let refused = Terminal { written_at_ms: 8_000, ..dead(&job("refused"), "n") };
    store.index(&refused, None, None).await.unwrap();
    // Its specification exists, but the controller died before it wrote the index.
    let halfway = accepted("halfway", 6_000);
    let put = world.emulator.clients.s3.put_object().bucket("state");
    let put = put.key(format!("jobs/{}/spec.json", halfway.job)).body(encode(&halfway).into());
    put.send().await.unwrap();
    let late = Terminal { written_at_ms: 9_000, ..dead(&halfway.job, "n") };
    store.index(&late, None, Some(&accepted("halfway", 8_500))).await.unwrap();

    let rows = store.recent(None, None, 10).await.unwrap().rows;
    let brief = |row: &IndexRow| {
        let ended = row.ended.as_ref().unwrap();
        (row.job.clone(), row.accepted_at_ms, row.accepted.is_some(), ended.state, ended.ended_at_ms)
    };
    let expected = [
        (refused.job, 8_000, false, EndState::Dead, 8_000),
        (overtaken.job, 7_000, true, EndState::Superseded, 7_000),
        (halfway.job, 6_000, true, EndState::Dead, 9_000),
    ];
    assert_eq!(rows.iter().map(brief).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_thousand_jobs_are_listed_newest_first_with_three_calls_at_most() {
    const JOBS: u64 = 1_200;
    let world = world().await;
    let s3 = &world.emulator.clients.s3;
    let ended = |n: u64| Terminal { written_at_ms: 50_000 + n, ..dead(&job(&n.to_string()), "n") };
    let entries = (0..JOBS).flat_map(|n| {
        let end = (n % 10 != 0).then(|| IndexKey::ended(1_000 + n, &ended(n)).to_key());
        [Some(IndexKey::accepted(&accepted(&n.to_string(), 1_000 + n)).to_key()), end]
    });
    let foreign = ["index/recent/0-nobody", "index/recent/zzz"].map(str::to_owned);
    stream::iter(entries.flatten().chain(foreign))
        .for_each_concurrent(16, async |key| {
            s3.put_object().bucket("state").key(key).send().await.unwrap();
        })
        .await;

    let listings = Arc::new(Listings::default());
    let counter = Arc::clone(&listings) as Arc<dyn Interceptor>;
    let proxy = Proxy::start(&world.emulator.endpoint, counter).await.unwrap();
    // A slow machine must not make the SDK call twice.
    let mut patient = world.settings.clone();
    (patient.calls.attempt_seconds, patient.calls.operation_seconds) = (60, 120);
    let store = S3Store::new(clients(&proxy.endpoint, &patient).s3, &patient);
    let times = async |since, until, limit, calls: usize| {
        listings.0.store(0, Ordering::SeqCst);
        let found = store.recent(since, until, limit).await.unwrap();
        let needed = listings.0.load(Ordering::SeqCst);
        assert!(needed <= calls, "{needed} calls for {since:?} to {until:?}, at most {limit}");
        for row in &found.rows {
            let n = row.accepted_at_ms - 1_000;
            assert_eq!(row.job, job(&n.to_string()));
            let source = Accepted {
                profile: "standard".into(),
                bucket: "uploads".into(),
                key: "cat.mp4".into(),
                cut: false,
            };
            assert_eq!(row.accepted.as_ref(), Some(&source));
            let code = Some("NOT_MEDIA".to_owned());
            let end = Ended { state: EndState::Dead, code, ended_at_ms: 50_000 + n };
            assert_eq!(row.ended, (n % 10 != 0).then_some(end), "{n}");
        }
        let times: Vec<u64> = found.rows.iter().map(|row| row.accepted_at_ms).collect();
        assert!(times.iter().rev().is_sorted(), "{times:?}");
        let (newest, oldest) = (times.first().copied(), times.last().copied());
        (found.rows.len(), newest, oldest, found.more)
    };
    let last = 1_000 + JOBS - 1;
    assert_eq!(times(None, None, 1_000, 3).await, (1_000, Some(last), Some(last - 999), true));
    assert_eq!(times(None, None, 5_000, 3).await, (1_200, Some(last), Some(1_000), false));
    assert_eq!(times(Some(2_190), None, 1_000, 1).await, (10, Some(last), Some(2_190), false));
    assert_eq!(times(Some(1_100), Some(1_102), 10, 1).await, (3, Some(1_102), Some(1_100), false));
    assert_eq!(times(None, Some(500), 10, 1).await, (0, None, None, false));
    assert_eq!(times(None, None, 0, 1).await, (0, None, None, true));
}

#[tokio::test]
async fn an_object_whose_key_is_as_long_and_strange_as_s3_allows_is_listed_and_found() {
    let world = world().await;
    let store = store(&world);
    for key in
        ["../../etc/passwd", ".", "a//b/", "\u{1b}[2J\u{202e}%2F+", &"日".repeat(341), &"/".repeat(1024)]
    {
        let mut spec = accepted(key, 5_000);
        spec.source.key = key.to_owned();
        store.claim(&spec, &claim(&spec.job, 1)).await.unwrap();
        assert_eq!(store.of_object("uploads", key).await.unwrap(), [(5_000, spec.job.clone())], "{key:?}");
        let found = store.recent(None, None, 100).await.unwrap();
        let row = found.rows.iter().find(|row| row.job == spec.job).unwrap();
        let Some(Accepted { key: listed, cut, .. }) = &row.accepted else { panic!("{row:?}") };
        assert!(key.starts_with(listed.as_str()) && *cut == (listed != key), "{key:?}: {row:?}");
    }
    assert_eq!(keys(&world, &source_folder("uploads", ".")).await.len(), 1);
    assert_ne!(JobKey::of(&["uploads", "."]), JobKey::of(&["uploads."]));
}
