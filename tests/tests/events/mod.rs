//! The events of jobs, from the controller's program to a consumer behind the bus (S18): as they come, and while the bus is
//! away.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod early;
mod schemas;
mod webhook;

use std::{
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use transcode_config::contract::{EventKind, JobEvent, JobKey, MAX_EVENT_BYTES, Outcome};
use transcode_tests::{
    Stack, StackOptions,
    listener::Listener,
    paths,
    proxy::{Call, Interceptor, Treatment},
};

const LIMIT: Duration = Duration::from_mins(2);

/// Takes the bus away from the controller.
#[derive(Debug, Default)]
struct Bus {
    away: AtomicBool,
}

impl Interceptor for Bus {
    fn request(&self, call: &Call) -> Treatment {
        let refused = call.operation == "PutEvents" && self.away.load(Ordering::Relaxed);
        if refused { Treatment::Deny } else { Treatment::Forward }
    }
}

async fn start(bus: &Arc<Bus>) -> (Stack, Listener) {
    let options = StackOptions {
        interceptor: Some(Arc::clone(bus) as Arc<dyn Interceptor>),
        task_env: vec![("TRANSCODE_HEARTBEAT_SECONDS".to_owned(), "1".to_owned())],
        ..StackOptions::default()
    };
    let options = options
        .setting("events.bus", "\"jobs\"")
        .setting("events.outbox_after_seconds", "10")
        .setting("jobs.default_profile", "\"audio\"")
        .setting("observe.describe_seconds", "1")
        .setting("calls.receive_wait_seconds", "1");
    let stack = Stack::with(options).await.unwrap();
    let listener = Listener::on(&stack, "jobs").await.unwrap();
    (stack, listener)
}

/// Uploads an object with words of its own, and waits until its message is gone.
async fn settled(stack: &Stack, key: &str, body: Vec<u8>) -> JobKey {
    let put = stack.clients().s3.put_object().bucket(&stack.deployment.source_bucket).key(key);
    put.metadata("user-id", "42").body(body.into()).send().await.unwrap();
    let terminal = stack.wait_for_terminal_record(key, LIMIT).await.unwrap();
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    let good = key.ends_with("mp4");
    assert_eq!(matches!(terminal.outcome, Outcome::Succeeded(_)), good, "{terminal:?}");
    terminal.job
}

fn outcomes(events: &[JobEvent]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).filter(|kind| kind.is_outcome()).collect()
}

async fn waiting(stack: &Stack) -> usize {
    stack.objects(&stack.deployment.state_bucket, "outbox/").await.unwrap().len()
}

#[tokio::test]
async fn a_consumer_hears_how_each_job_ends_also_when_the_bus_was_away() {
    let bus = Arc::new(Bus::default());
    let (stack, listener) = start(&bus).await;
    let clip = paths::tiny_clip(stack.folder()).unwrap();

    let good = settled(&stack, "films/cat é.mp4", clip.clone()).await;
    // The message is gone, so the bus has the outcome already; the acceptance follows within a second.
    assert_eq!(outcomes(&listener.events(&good).await.unwrap()), [EventKind::Succeeded], "S18");
    let begun = [EventKind::Accepted, EventKind::Started];
    let has = |events: &[JobEvent], kind| events.iter().any(|event| event.kind == kind);
    let all = |events: &[JobEvent]| begun.iter().all(|kind| has(events, *kind));
    let told = listener.until("acceptance and start are told", &good, all).await.unwrap();
    let started = told.iter().find(|event| event.kind == EventKind::Started).unwrap();
    assert_eq!(started.id, format!("{good}.0.started.1"));
    let event = told.iter().find(|event| event.kind == EventKind::Succeeded).unwrap();
    assert_eq!(event.id, format!("{good}.0.succeeded"));
    assert_eq!(event.source.as_ref().unwrap().key, "films/cat é.mp4");
    assert_eq!(event.user_metadata.entries().collect::<Vec<_>>(), [("user-id", "42")]);
    let result = event.result.clone().unwrap();
    for name in &result.names {
        let there = stack.read(&result.bucket, &format!("{}{name}", result.prefix)).await.unwrap();
        assert!(there.is_some(), "{name} is told and not there");
    }
    assert!(result.names.iter().any(|name| name == "master.m3u8"), "{result:?}");
    assert!(stack.read(&result.bucket, &result.files).await.unwrap().is_some());

    let bad = settled(&stack, "films/text.bad", b"not a video".to_vec()).await;
    let told = listener.events(&bad).await.unwrap();
    let event = told.iter().find(|event| event.kind == EventKind::Dead).expect("S18");
    assert_eq!(event.failure.as_ref().unwrap().code.info().name, "NOT_MEDIA");
    assert_eq!(
        event.user_metadata.entries().collect::<Vec<_>>(),
        [("user-id", "42")],
        "its task has read them"
    );
    for envelope in listener.envelopes() {
        assert!(envelope["detail"].to_string().len() <= MAX_EVENT_BYTES);
    }
    schemas::hold(&stack, &listener.envelopes(), &result).await;

    bus.away.store(true, Ordering::Relaxed);
    let late = settled(&stack, "films/late.mp4", clip).await;
    assert_eq!(outcomes(&listener.events(&late).await.unwrap()), []);
    assert_eq!(waiting(&stack).await, 1, "S18: nobody has it, and it is kept");
    let told = story(&stack, &late).await;
    assert!(told.contains(&format!("{late}.0.succeeded waits in the outbox")), "{told}");

    bus.away.store(false, Ordering::Relaxed);
    let next = settled(&stack, "films/next.bad", b"not a video either".to_vec()).await;
    assert_eq!(outcomes(&listener.events(&next).await.unwrap()), [EventKind::Dead]);
    let told = |events: &[JobEvent]| !outcomes(events).is_empty();
    let events = listener.until("what waited is sent", &late, told).await.unwrap();
    assert_eq!(outcomes(&events), [EventKind::Succeeded]);
    let empty = async || Ok((waiting(&stack).await == 0).then_some(()));
    stack.wait_for("the outbox is empty", LIMIT, empty).await.unwrap();
    let sent = format!("{late}.0.succeeded was sent");
    let told = async || Ok(story(&stack, &late).await.contains(&sent).then_some(()));
    stack.wait_for("`events` says that it was sent", LIMIT, told).await.unwrap();
}

/// What `events` prints of a job.
async fn story(stack: &Stack, job: &JobKey) -> String {
    let output = command(stack, &["events", job.as_str()]).await;
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A command of the operator.
async fn command(stack: &Stack, args: &[&str]) -> Output {
    let mut command = Command::new(paths::binary("transcode-controller").unwrap());
    command.args(args).arg("--config").arg(stack.plan.config());
    command.envs(stack.environment().iter().map(|(name, value)| (name, value)));
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}
