//! The state bucket, on the emulator; the order of calls and unusual answers on a stub.

use serde_json::json;
use transcode_config::contract::{
    Attempt, Claim, Document, Heartbeat, JobKey, Layout, SCHEMA, Stage, TaskState, Terminal, encode,
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
                let claimed = store.claim(&spec(&job), &own).await.unwrap().nonce;
                (claimed, store.give_up(&dead(&job, &own.nonce)).await.unwrap().nonce)
            })
        });
        let told = futures::future::join_all(writers).await.into_iter().map(Result::unwrap);
        let (claims, records): (Vec<_>, Vec<_>) = told.unzip();
        assert!(claims.iter().all(|nonce| *nonce == claims[0]), "{claims:?}");
        assert!(records.iter().all(|nonce| *nonce == records[0]), "{records:?}");
        let snapshot = store(&world).inspect(&job).await.unwrap();
        assert_eq!(snapshot.claim.unwrap().nonce, claims[0]);
        assert_eq!(snapshot.terminal.unwrap().nonce, records[0]);
    }
}

#[tokio::test]
async fn inspecting_finds_the_newest_attempt_with_its_own_heartbeat() {
    let world = world().await;
    let (store, job) = (store(&world), job("x"));
    assert_eq!(store.inspect(&job).await, Ok(Snapshot::default()));
    for attempt in [1, 2, 10] {
        store.claim(&spec(&job), &claim(&job, attempt)).await.unwrap();
    }
    let layout = Layout::of(&job);
    let old = layout.heartbeat(Attempt::new(2).unwrap());
    put(&world, "state", &old, encode(&heartbeat(&job, 2))).await;
    let snapshot = store.inspect(&job).await.unwrap();
    assert_eq!(snapshot.claim, Some(claim(&job, 10).into()));
    assert_eq!(snapshot.heartbeat, None, "the older attempt's heartbeat is not this one's");
    let new = layout.heartbeat(Attempt::new(10).unwrap());
    put(&world, "state", &new, encode(&heartbeat(&job, 10))).await;
    assert_eq!(store.inspect(&job).await.unwrap().heartbeat, Some(heartbeat(&job, 10)));
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
        let result = store.inspect(&job).await;
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

#[tokio::test]
async fn the_terminal_record_is_read_last() {
    let job = job("x");
    let layout = Layout::of(&job);
    let stub = Stub::start([
        listing(&[layout.claim(Attempt::FIRST)]),
        said(encode(&claim(&job, 1))),
        said(encode(&heartbeat(&job, 1))),
        said(encode(&dead(&job, "n"))),
    ])
    .await;
    on(&stub).inspect(&job).await.unwrap();
    let lines: Vec<_> = stub.sent().into_iter().map(|sent| sent.line).collect();
    let last = lines.last().unwrap();
    assert!(lines.len() == 4 && last.contains("/terminal.json"), "{lines:?}");
    assert!(lines[2].contains("heartbeat"), "{lines:?}");
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
    let stub = Stub::start([listing(&[]), denied]).await;
    let Err(InspectError::Call(error)) = on(&stub).inspect(&job).await else { panic!("no error") };
    assert_eq!(error.class, ErrorClass::Misconfigured);
    let no_bucket = Answer::Say(404, "<Error><Code>NoSuchBucket</Code></Error>".into());
    let stub = Stub::start([listing(&[]), no_bucket]).await;
    assert!(on(&stub).inspect(&job).await.is_err());
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
