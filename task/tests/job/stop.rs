//! Stops of every kind: asked for, forced, by time, by being cut off, by being overtaken.

use std::{sync::Arc, time::Instant};

use rustix::process::Signal;
use tokio::sync::Notify;
use transcode_config::contract::{Attempt, FailureCode, Stage, TaskState, encode};
use transcode_tests::s3_faults::Fault;

use crate::{
    fixture::{Fixture, NEVER, Task},
    publish::{assert_published, succeeded},
    start::dead,
};

/// Starts a task and waits until it encodes and has uploaded a first segment.
async fn encoding(fixture: &Fixture) -> (Attempt, Task) {
    let attempt = fixture.launch(1, NEVER).await;
    let task = fixture.task(attempt);
    fixture
        .until("the first segment is up while the encoder runs", async || {
            let beat = fixture.heartbeat(attempt).await?;
            (beat.stage == Stage::Transcoding && !fixture.published().await.is_empty()).then_some(())
        })
        .await;
    (attempt, task)
}

/// Nothing is published, decided, left on disk or still running.
async fn assert_nothing_left(fixture: &Fixture, task: &Task) {
    assert_eq!(fixture.terminal().await, None);
    assert_eq!(fixture.published().await, Vec::<String>::new(), "{}", task.log());
    assert_eq!(task.leftovers(), Vec::<std::path::PathBuf>::new());
    assert_no_encoder(fixture);
}

/// The work was stopped, not finished in vain.
fn assert_cut_short(task: &Task) {
    assert!(!task.log().contains(r#""message":"transcoded""#), "{}", task.log());
}

/// A process that has the task's work folder among its arguments, if there is one.
fn encoder(fixture: &Fixture) -> Option<String> {
    let scratch = fixture.scratch.path().to_str().unwrap();
    let lines = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).into_owned()
    });
    lines.into_iter().find(|line| line.contains(scratch))
}

fn assert_no_encoder(fixture: &Fixture) {
    assert_eq!(encoder(fixture), None);
}

#[tokio::test]
async fn sigterm_ends_everything_and_says_interrupted() {
    let fixture = Fixture::slow("sigterm").await;
    let (attempt, mut task) = encoding(&fixture).await;
    let asked = Instant::now();
    task.signal(Signal::TERM);
    assert_eq!(task.exit().await, Some(13), "{}", task.log());
    assert!(asked.elapsed().as_secs() < 20, "{:?}", asked.elapsed());
    assert_eq!(fixture.heartbeat(attempt).await.unwrap().state, TaskState::Interrupted);
    assert_nothing_left(&fixture, &task).await;
}

#[tokio::test]
async fn a_task_that_cannot_write_its_heartbeat_stops_itself() {
    let fixture = Fixture::slow("fence").await;
    let (attempt, mut task) = encoding(&fixture).await;
    let last = fixture.heartbeat(attempt).await.unwrap().seq;
    fixture.proxy.fault("PUT", "heartbeat", usize::MAX, Fault::BlackHole);
    // Nobody tells it to. The fence is set to 4 s; then what runs is ended.
    let began = Instant::now();
    assert_eq!(task.exit().await, Some(15), "{}", task.log());
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    assert!(task.log().contains("Fenced"), "{}", task.log());
    assert!(fixture.heartbeat(attempt).await.unwrap().seq <= last + 1);
    assert_nothing_left(&fixture, &task).await;
}

#[tokio::test]
async fn an_attempt_that_is_overtaken_stops() {
    let fixture = Fixture::slow("overtaken").await;
    let (attempt, mut task) = encoding(&fixture).await;
    fixture.intend(2, NEVER).await;
    assert_eq!(task.exit().await, Some(12), "{}", task.log());
    assert_cut_short(&task);
    assert_eq!(fixture.heartbeat(attempt).await.unwrap().state, TaskState::Interrupted);
    assert_nothing_left(&fixture, &task).await;
}

#[tokio::test]
async fn an_attempt_whose_job_is_decided_stops() {
    let fixture = Fixture::slow("overruled").await;
    let (_, mut task) = encoding(&fixture).await;
    fixture.put(&fixture.layout().terminal(), encode(&dead(&fixture))).await;
    assert_eq!(task.exit().await, Some(12), "{}", task.log());
    assert_cut_short(&task);
    assert_eq!(fixture.terminal().await, Some(dead(&fixture)));
    assert!(fixture.published().await.is_empty());
    assert_no_encoder(&fixture);
}

#[tokio::test]
async fn the_maximum_run_time_is_kept_inside_the_task() {
    let mut fixture = Fixture::slow("runtime").await;
    fixture.spec.max_run_seconds = 3;
    let attempt = fixture.launch(1, NEVER).await;
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(14), "{}", task.log());
    let state = fixture.heartbeat(attempt).await.unwrap().state;
    assert!(
        matches!(&state, TaskState::Failed { failure } if failure.code == FailureCode::RunTimeExceeded),
        "{state:?}"
    );
    assert_nothing_left(&fixture, &task).await;
}

#[tokio::test]
async fn killed_at_any_point_it_leaves_no_terminal_record_and_the_next_attempt_succeeds() {
    let fixture = Fixture::new("killed").await;
    fixture.launch(1, NEVER).await;
    // Points in their order: asking for the source, reading it, publishing, deciding.
    for (number, (method, what)) in (1..).zip([
        ("HEAD", "/source-"),
        ("GET", "/source-"),
        ("PUT", "files.json"),
        ("PUT", "terminal.json"),
    ]) {
        let attempt = fixture.intend(number, NEVER).await;
        let before = fixture.proxy.hits(what);
        fixture.proxy.fault(method, what, 1, Fault::Hold(Arc::new(Notify::new())));
        let mut task = fixture.task(attempt);
        fixture.until(what, async || (fixture.proxy.hits(what) > before).then_some(())).await;
        task.signal(Signal::KILL);
        assert_eq!(task.exit().await, None);
        assert_eq!(fixture.terminal().await, None, "killed at {method} {what}");
        assert_no_encoder(&fixture);
    }
    let attempt = fixture.intend(5, NEVER).await;
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    assert_published(&fixture, &succeeded(&fixture).await).await;
}

#[tokio::test]
async fn a_kill_while_it_encodes_ends_the_encoder_too() {
    let fixture = Fixture::slow("encoder").await;
    let (_, mut task) = encoding(&fixture).await;
    task.signal(Signal::KILL);
    assert_eq!(task.exit().await, None);
    assert_eq!(fixture.terminal().await, None);
    fixture.until("the encoder is gone", async || encoder(&fixture).is_none().then_some(())).await;
}

#[tokio::test]
async fn stopped_with_the_terminal_record_on_its_way_it_keeps_what_it_may_name() {
    let fixture = Fixture::new("unknown").await;
    let (attempt, release) = (fixture.launch(1, NEVER).await, Arc::new(Notify::new()));
    fixture.proxy.fault("PUT", "terminal.json", 1, Fault::Hold(release.clone()));
    let mut task = fixture.task(attempt);
    fixture
        .until("the terminal record is on its way", async || {
            (fixture.proxy.hits("terminal.json") == 1).then_some(())
        })
        .await;
    task.signal(Signal::TERM);
    assert_eq!(task.exit().await, Some(13), "{}", task.log());
    // Now it lands after all: the job is a success, whatever the exit code said (S12).
    release.notify_one();
    fixture.until("the terminal record", async || fixture.terminal().await).await;
    assert_published(&fixture, &succeeded(&fixture).await).await;
}
