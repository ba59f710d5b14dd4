//! The state bucket, on the emulator; the order of calls and unusual answers on a stub.

use std::sync::Arc;

use serde_json::json;
use transcode_config::contract::{
    Attempt, Claim, Document, Heartbeat, JobKey, Layout, SCHEMA, Stage, TaskState, Terminal, UserMetadata,
    beacon_key, encode,
};
use transcode_controller::aws::S3Store;
use transcode_core::{
    effects::ports::{InspectError, Store},
    protocol::fact::{ErrorClass, Snapshot},
};

use crate::{
    stub::{Answer, Stub},
    support::{Account, claim, clients, dead, job, settings, spec, world},
};

fn store(world: &Account) -> S3Store {
    S3Store::new(world.clients.s3.clone(), &world.settings)
}

async fn put(world: &Account, bucket: &str, key: &str, body: impl Into<Vec<u8>>) {
    let request = world.emulator.clients.s3.put_object().bucket(bucket).key(key);
    let request = request.content_type("application/vnd.apple.mpegurl").cache_control("max-age=2");
    request.body(body.into().into()).send().await.unwrap();
}

fn heartbeat(job: &JobKey, attempt: u32) -> Heartbeat {
    Heartbeat {
        schema: SCHEMA,
        job: job.clone(),
        attempt: Attempt::new(attempt).unwrap(),
        task_arn: None,
        seq: 1,
        written_at_ms: 1,
        stage: Stage::Probing,
        percent: 1.0,
        speed: None,
        playable: None,
        user_metadata: UserMetadata::default(),
        state: TaskState::Working,
    }
}

#[tokio::test]
async fn of_many_writers_one_wins_and_all_are_told_who() {
    let world = world().await;
    for round in 0..5 {
        let job = job(&format!("race {round}"));
        let writers = (0..6).map(|writer| {
            let (store, job) = (store(&world), job.clone());
            tokio::spawn(async move {
                let own = Claim { nonce: format!("writer {writer}"), ..claim(&job, 1) };
                let claimed = store.claim(&spec(&job), &own).await.unwrap().claim.nonce;
                (claimed, store.give_up(&dead(&job, &own.nonce)).await.unwrap().nonce)
            })
        });
        let told = futures::future::join_all(writers).await.into_iter().map(Result::unwrap);
        let (claims, records): (Vec<_>, Vec<_>) = told.unzip();
        assert!(claims.iter().all(|nonce| *nonce == claims[0]), "{claims:?}");
        assert!(records.iter().all(|nonce| *nonce == records[0]), "{records:?}");
        let snapshot = store(&world).inspect(&job, None).await.unwrap();
        assert_eq!(snapshot.claim.unwrap().nonce, claims[0]);
        assert_eq!(snapshot.terminal.unwrap().nonce, records[0]);
    }
}

#[tokio::test]
async fn inspecting_finds_the_newest_attempt_with_its_own_heartbeat() {
    let world = world().await;
    let (store, job) = (store(&world), job("x"));
    assert_eq!(store.inspect(&job, None).await, Ok(Snapshot::default()));
    for attempt in [1, 2, 10] {
        store.claim(&spec(&job), &claim(&job, attempt)).await.unwrap();
    }
    let layout = Layout::of(&job);
    let old = layout.heartbeat(Attempt::new(2).unwrap());
    put(&world, "state", &old, encode(&heartbeat(&job, 2))).await;
    let snapshot = store.inspect(&job, None).await.unwrap();
    assert_eq!(snapshot.claim, Some(claim(&job, 10).into()));
    assert_eq!(snapshot.heartbeat, None, "the older attempt's heartbeat is not this one's");
    let new = layout.heartbeat(Attempt::new(10).unwrap());
    put(&world, "state", &new, encode(&heartbeat(&job, 10))).await;
    assert_eq!(store.inspect(&job, None).await.unwrap().heartbeat, Some(heartbeat(&job, 10)));
    let written: transcode_config::contract::JobSpec = store.read(&layout.spec()).await.unwrap().unwrap();
    assert_eq!(written, spec(&job));
}

/// The document as the next version of this program may write it.
fn newer<D: Document>(document: &D) -> Vec<u8> {
    let mut value = serde_json::to_value(document).unwrap();
    value["schema"] = json!(D::NEWEST + 1);
    value.to_string().into_bytes()
}

#[tokio::test]
async fn documents_of_another_version_or_place_are_not_read() {
    let world = world().await;
    let store = store(&world);
    let other = job("another");
    for (name, body, attempts) in [
        ("newer terminal record", newer(&dead(&job("newer terminal record"), "n")), false),
        ("broken terminal record", b"{".to_vec(), false),
        ("empty terminal record", Vec::new(), false),
        ("huge terminal record", vec![b' '; 2 << 20], false),
        ("strange terminal record", encode(&dead(&other, "n")), false),
        ("newer claim", newer(&claim(&job("newer claim"), 1)), true),
        ("strange claim", encode(&claim(&other, 1)), true),
    ] {
        let job = job(name);
        let layout = Layout::of(&job);
        let key = if attempts { layout.claim(Attempt::FIRST) } else { layout.terminal() };
        put(&world, "state", &key, body).await;
        let result = store.inspect(&job, None).await;
        assert!(matches!(result, Err(InspectError::Unreadable(_))), "{name}: {result:?}");
        let kept = if attempts {
            store.claim(&spec(&job), &claim(&job, 1)).await.map(drop)
        } else {
            store.give_up(&dead(&job, "me")).await.map(drop)
        };
        assert!(matches!(kept, Err(InspectError::Unreadable(_))), "{name} is not overwritten: {kept:?}");
    }
}

fn listing(keys: &[String]) -> Answer {
    let contents: Vec<_> = keys.iter().map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect();
    let contents = contents.concat();
    Answer::Say(
        200,
        format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"),
    )
}

fn on(stub: &Stub) -> S3Store {
    let settings = settings();
    S3Store::new(clients(&stub.endpoint, &settings).s3, &settings)
}

fn said(document: Vec<u8>) -> Answer {
    Answer::Say(200, String::from_utf8(document).unwrap())
}

/// The objects that an inspection reads after its listing, which names these keys.
async fn read_after(keys: &[String], answers: &[Vec<u8>], known: Option<Claim>) -> Vec<String> {
    let stub = Stub::start([listing(keys)].into_iter().chain(answers.iter().cloned().map(said))).await;
    on(&stub).inspect(&job("x"), known.map(Arc::new).as_ref()).await.unwrap();
    let lines: Vec<String> = stub.sent().into_iter().map(|sent| sent.line).collect();
    assert!(lines[0].contains("list-type=2"), "{lines:?}");
    let name = |line: &String| line.split(['?', ' ']).nth(1).unwrap().rsplit('/').next().unwrap().to_owned();
    lines[1..].iter().map(name).collect()
}

#[tokio::test]
async fn one_listing_tells_what_there_is_and_only_what_may_have_changed_is_read() {
    let job = job("x");
    let layout = Layout::of(&job);
    let (first, second) = (Attempt::FIRST, Attempt::new(2).unwrap());
    let attempt = [layout.claim(first), layout.heartbeat(first)];
    let (claim_bytes, beat) = (encode(&claim(&job, 1)), encode(&heartbeat(&job, 1)));
    let record = encode(&dead(&job, "n"));
    assert!(read_after(&[], &[], None).await.is_empty(), "nothing there");
    let answers = [claim_bytes.clone(), beat.clone()];
    assert_eq!(read_after(&attempt, &answers, None).await, ["000001.json", "000001.heartbeat.json"]);
    let own = || Some(claim(&job, 1));
    assert!(read_after(&attempt[..1], &[], own()).await.is_empty(), "no heartbeat yet");
    assert_eq!(read_after(&attempt, &[beat], own()).await, ["000001.heartbeat.json"]);
    let decided = [&attempt[..], &[layout.terminal()]].concat();
    assert_eq!(
        read_after(&decided, std::slice::from_ref(&record), own()).await,
        ["terminal.json"],
        "no heartbeat counts"
    );
    let newer = [&attempt[..], &[layout.claim(second)]].concat();
    assert_eq!(read_after(&newer, &[encode(&claim(&job, 2))], own()).await, ["000002.json"]);
    assert_eq!(read_after(&decided, &[record, claim_bytes], None).await, ["terminal.json", "000001.json"]);
}

#[tokio::test]
async fn a_write_that_met_another_is_tried_again_and_one_whose_answer_was_lost_is_found() {
    let error = |status: u16, code: &str| Answer::Say(status, format!("<Error><Code>{code}</Code></Error>"));
    let job = job("x");
    let conflict = || error(409, "ConditionalRequestConflict");
    // Twice in each other's way, then the own write of the first try is there.
    let there = said(encode(&dead(&job, "me")));
    let stub = Stub::start([conflict(), conflict(), error(412, "PreconditionFailed"), there]).await;
    assert_eq!(on(&stub).give_up(&dead(&job, "me")).await, Ok(dead(&job, "me")));
    assert!(stub.sent()[..3].iter().all(|sent| sent.line.starts_with("PUT ")));

    let stub = Stub::start([conflict()]).await;
    let Err(InspectError::Call(error)) = on(&stub).give_up(&dead(&job, "me")).await else {
        panic!("no error")
    };
    assert_eq!((error.class, stub.sent().len()), (ErrorClass::Transient, 4));
}

#[tokio::test]
async fn a_write_that_fails_is_sent_once_and_may_have_happened() {
    for answer in [Answer::Say(500, String::new()), Answer::BlackHole] {
        let stub = Stub::start([answer]).await;
        let Err(InspectError::Call(error)) = on(&stub).give_up(&dead(&job("x"), "me")).await else {
            panic!("no error")
        };
        assert_eq!((error.class, stub.sent().len()), (ErrorClass::Uncertain, 1));
    }
}

#[tokio::test]
async fn a_forbidden_terminal_record_is_no_absent_terminal_record() {
    let job = job("x");
    let denied = Answer::Say(403, "<Error><Code>AccessDenied</Code></Error>".into());
    let there = || listing(&[Layout::of(&job).terminal()]);
    let stub = Stub::start([there(), denied.clone()]).await;
    let Err(InspectError::Call(error)) = on(&stub).inspect(&job, None).await else { panic!("no error") };
    assert_eq!(error.class, ErrorClass::Misconfigured);
    let no_bucket = Answer::Say(404, "<Error><Code>NoSuchBucket</Code></Error>".into());
    let stub = Stub::start([there(), no_bucket]).await;
    assert!(on(&stub).inspect(&job, None).await.is_err());
    let stub = Stub::start([denied]).await;
    assert!(on(&stub).inspect(&job, None).await.is_err(), "nor is a forbidden listing");
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let stub = Stub::start([Answer::Trickle]).await;
    let store = on(&stub);
    let read: Result<Option<Terminal>, _> = store.read("jobs/x/terminal.json").await;
    assert!(matches!(read, Err(InspectError::Call(_))), "{read:?}");
}

/// What is larger than a document is judged by what was read of it, and not read to its end.
#[tokio::test]
async fn of_a_document_that_is_too_large_no_more_is_fetched_than_shows_it() {
    let stub = Stub::start([Answer::Flood]).await;
    let read: Result<Option<Terminal>, _> = on(&stub).read("jobs/x/terminal.json").await;
    let Err(InspectError::Unreadable(why)) = read else { panic!("{read:?}") };
    assert!(why.contains("1048577 bytes"), "{why}");
}

#[tokio::test]
async fn all_beacons_are_found_by_pages_of_a_listing_and_nothing_else_is() {
    let page = |numbers: std::ops::Range<u32>, next: &str| {
        let object = |number| {
            let key = beacon_key("test", &job("x"), Attempt::new(number).unwrap());
            format!(
                "<Contents><Key>{key}</Key><Size>{number}</Size><ETag>&quot;a&quot;</ETag>\
                <LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            )
        };
        let objects: String = numbers.map(object).collect();
        let strange = "<Contents><Key>live/test/x</Key><Size>1</Size></Contents>";
        Answer::Say(200, format!("<ListBucketResult>{objects}{strange}{next}</ListBucketResult>"))
    };
    let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
    let stub = Stub::start([page(1..3, more), page(3..5, "")]).await;
    let found = on(&stub).survey().await.unwrap();
    let numbers: Vec<_> = found.iter().map(|it| (it.attempt.number(), it.beacon.length())).collect();
    assert_eq!(numbers, [(1, 1), (2, 2), (3, 3), (4, 4)]);
    let lines: Vec<String> = stub.sent().into_iter().map(|sent| sent.line).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("prefix=live%2Ftest%2F")), "{lines:?}");
    let stub = Stub::start([page(1..3, more), Answer::Say(403, String::new())]).await;
    assert!(on(&stub).survey().await.is_err(), "half a listing is none");
}
