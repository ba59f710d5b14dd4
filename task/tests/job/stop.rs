//! Stops of every kind: asked for, forced, by time, by being cut off, by being overtaken.

use std::{sync::Arc, time::Instant};

use rustix::process::Signal;
use tokio::sync::Notify;
use transcode_config::contract::{Attempt, FailureCode, Stage, TaskState, encode};

use crate::{
    proxy::Fault,
    publish::{assert_published, succeeded},
    start::dead,
    world::{NEVER, Task, World},
};

/// Starts a task and waits until it encodes and has uploaded a first segment.
async fn encoding(world: &World) -> (Attempt, Task) {
    let attempt = world.launch(1, NEVER).await;
    let task = world.task(attempt);
    world
        .until("the first segment is up while the encoder runs", async || {
            let beat = world.heartbeat(attempt).await?;
            (beat.stage == Stage::Transcoding && !world.published().await.is_empty()).then_some(())
        })
        .await;
    (attempt, task)
}

/// Nothing is published, decided, left on disk or still running.
async fn assert_nothing_left(world: &World, task: &Task) {
    assert_eq!(world.register().await, None);
    assert_eq!(world.published().await, Vec::<String>::new(), "{}", task.log());
    assert_eq!(task.leftovers(), Vec::<std::path::PathBuf>::new());
    assert_no_encoder(world);
}

/// The work was stopped, not finished in vain.
fn assert_cut_short(task: &Task) {
    assert!(!task.log().contains(r#""message":"transcoded""#), "{}", task.log());
}

/// A process that has the task's work folder among its arguments, if there is one.
fn encoder(world: &World) -> Option<String> {
    let scratch = world.scratch.path().to_str().unwrap();
    let lines = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).into_owned()
    });
    lines.into_iter().find(|line| line.contains(scratch))
}

fn assert_no_encoder(world: &World) {
    assert_eq!(encoder(world), None);
}

#[tokio::test]
async fn sigterm_ends_everything_and_says_interrupted() {
    let world = World::slow("sigterm").await;
    let (attempt, mut task) = encoding(&world).await;
    let asked = Instant::now();
    task.signal(Signal::TERM);
    assert_eq!(task.exit().await, Some(13), "{}", task.log());
    assert!(asked.elapsed().as_secs() < 20, "{:?}", asked.elapsed());
    assert_eq!(world.heartbeat(attempt).await.unwrap().state, TaskState::Interrupted);
    assert_nothing_left(&world, &task).await;
}

#[tokio::test]
async fn a_task_that_cannot_write_its_heartbeat_stops_itself() {
    let world = World::slow("fence").await;
    let (attempt, mut task) = encoding(&world).await;
    let last = world.heartbeat(attempt).await.unwrap().seq;
    world.proxy.fault("PUT", "heartbeat", usize::MAX, Fault::BlackHole);
    // Nobody tells it to. The fence is set to 4 s; then what runs is ended.
    let began = Instant::now();
    assert_eq!(task.exit().await, Some(15), "{}", task.log());
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    assert!(task.log().contains("Fenced"), "{}", task.log());
    assert!(world.heartbeat(attempt).await.unwrap().seq <= last + 1);
    assert_nothing_left(&world, &task).await;
}

#[tokio::test]
async fn an_attempt_that_is_overtaken_stops() {
    let world = World::slow("overtaken").await;
    let (attempt, mut task) = encoding(&world).await;
    world.intend(2, NEVER).await;
    assert_eq!(task.exit().await, Some(12), "{}", task.log());
    assert_cut_short(&task);
    assert_eq!(world.heartbeat(attempt).await.unwrap().state, TaskState::Interrupted);
    assert_nothing_left(&world, &task).await;
}

#[tokio::test]
async fn an_attempt_whose_job_is_decided_stops() {
    let world = World::slow("overruled").await;
    let (_, mut task) = encoding(&world).await;
    world.put(&world.layout().terminal(), encode(&dead(&world))).await;
    assert_eq!(task.exit().await, Some(12), "{}", task.log());
    assert_cut_short(&task);
    assert_eq!(world.register().await, Some(dead(&world)));
    assert!(world.published().await.is_empty());
    assert_no_encoder(&world);
}

#[tokio::test]
async fn the_maximum_run_time_is_kept_inside_the_task() {
    let mut world = World::slow("runtime").await;
    world.spec.max_run_seconds = 3;
    let attempt = world.launch(1, NEVER).await;
    let mut task = world.task(attempt);
    assert_eq!(task.exit().await, Some(14), "{}", task.log());
    let state = world.heartbeat(attempt).await.unwrap().state;
    assert!(
        matches!(&state, TaskState::Failed { failure } if failure.code == FailureCode::RunTimeExceeded),
        "{state:?}"
    );
    assert_nothing_left(&world, &task).await;
}

#[tokio::test]
async fn killed_at_any_point_it_leaves_no_register_and_the_next_attempt_succeeds() {
    let world = World::new("killed").await;
    world.launch(1, NEVER).await;
    // Points in their order: asking for the source, reading it, publishing, deciding.
    for (number, (method, what)) in (1..).zip([
        ("HEAD", "/source-"),
        ("GET", "/source-"),
        ("PUT", "files.json"),
        ("PUT", "terminal.json"),
    ]) {
        let attempt = world.intend(number, NEVER).await;
        let before = world.proxy.hits(what);
        world.proxy.fault(method, what, 1, Fault::Hold(Arc::new(Notify::new())));
        let mut task = world.task(attempt);
        world.until(what, async || (world.proxy.hits(what) > before).then_some(())).await;
        task.signal(Signal::KILL);
        assert_eq!(task.exit().await, None);
        assert_eq!(world.register().await, None, "killed at {method} {what}");
        assert_no_encoder(&world);
    }
    let attempt = world.intend(5, NEVER).await;
    let mut task = world.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    assert_published(&world, &succeeded(&world).await).await;
}

#[tokio::test]
async fn a_kill_while_it_encodes_ends_the_encoder_too() {
    let world = World::slow("encoder").await;
    let (_, mut task) = encoding(&world).await;
    task.signal(Signal::KILL);
    assert_eq!(task.exit().await, None);
    assert_eq!(world.register().await, None);
    world.until("the encoder is gone", async || encoder(&world).is_none().then_some(())).await;
}

#[tokio::test]
async fn stopped_with_the_register_on_its_way_it_keeps_what_the_register_may_name() {
    let world = World::new("unknown").await;
    let (attempt, release) = (world.launch(1, NEVER).await, Arc::new(Notify::new()));
    world.proxy.fault("PUT", "terminal.json", 1, Fault::Hold(release.clone()));
    let mut task = world.task(attempt);
    world
        .until("the register is on its way", async || (world.proxy.hits("terminal.json") == 1).then_some(()))
        .await;
    task.signal(Signal::TERM);
    assert_eq!(task.exit().await, Some(13), "{}", task.log());
    // Now it lands after all: the job is a success, whatever the exit code said (S12).
    release.notify_one();
    world.until("the register", async || world.register().await).await;
    assert_published(&world, &succeeded(&world).await).await;
}
