//! Who decided the job (S2).

use std::sync::Arc;

use tokio::sync::Notify;
use transcode_config::contract::{FailureCode, TaskState};

use crate::{
    proxy::{Fault, Proxy},
    publish::{assert_published, succeeded},
    world::{NEVER, World},
};

const REGISTER: &str = "terminal.json";

#[tokio::test]
async fn ones_own_write_whose_answer_was_lost_is_recognised() {
    let world = World::new("lost").await;
    let attempt = world.launch(1, NEVER).await;
    // Two answers: the SDK tries a second time by itself, and that one gets 412.
    world.proxy.fault("PUT", REGISTER, 2, Fault::LoseAnswer);
    let mut task = world.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    assert_eq!(world.proxy.hits(REGISTER), 2);
    assert_published(&world, &succeeded(&world).await).await;
}

#[tokio::test]
async fn ones_own_register_is_not_taken_for_somebody_elses() {
    let world = World::new("own").await;
    let (attempt, release) = (world.launch(1, NEVER).await, Arc::new(Notify::new()));
    world.proxy.fault("PUT", REGISTER, 1, Fault::HoldAnswer(release.clone()));
    let mut task = world.task(attempt);
    world.until("the register", async || world.register().await).await;
    // Heartbeats go on while the answer is on its way, and the look after each would find a decided job.
    let seq = world.heartbeat(attempt).await.unwrap().seq;
    let later = async || (world.heartbeat(attempt).await?.seq >= seq + 2).then_some(());
    world.until("two more heartbeats", later).await;
    release.notify_one();
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    assert!(!task.log().contains("stopping"), "{}", task.log());
}

#[tokio::test]
async fn a_conflict_is_tried_again() {
    let world = World::new("conflict").await;
    let attempt = world.launch(1, NEVER).await;
    world.proxy.fault("PUT", REGISTER, 3, Fault::Answer(409, "ConditionalRequestConflict"));
    let mut task = world.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    assert_eq!(world.proxy.hits(REGISTER), 3);
}

#[tokio::test]
async fn of_two_tasks_one_wins_and_the_other_leaves_nothing() {
    let world = World::new("race").await;
    let (first, release) = (world.launch(1, NEVER).await, Arc::new(Notify::new()));
    world.proxy.fault("PUT", REGISTER, 1, Fault::Hold(release.clone()));
    // Held just before its register is decided: cut off, and coming back late.
    let mut zombie = world.task(first);
    world.until("the register is on its way", async || (world.proxy.hits(REGISTER) == 1).then_some(())).await;

    let second = world.intend(2, NEVER).await;
    let clear = Proxy::start(&world.proxy.upstream()).await;
    let mut winner = world.task_at(second, &clear);
    assert_eq!(winner.exit().await, Some(0), "{}", winner.log());
    let before = world.register().await;

    release.notify_one();
    assert_eq!(zombie.exit().await, Some(12), "{}", zombie.log());
    assert_eq!(world.register().await, before, "the register was written twice");
    let result = succeeded(&world).await;
    assert_eq!(result.attempt, second);
    assert_published(&world, &result).await;
    assert!(world.published().await.iter().all(|key| key.starts_with(&result.folder)));
    assert_eq!(world.heartbeat(first).await.unwrap().state, TaskState::Interrupted);
    assert!(zombie.leftovers().is_empty());
}

#[tokio::test]
async fn a_register_of_a_newer_version_is_somebody_elses() {
    let world = World::new("newer").await;
    let (attempt, release) = (world.launch(1, NEVER).await, Arc::new(Notify::new()));
    world.proxy.fault("PUT", REGISTER, 1, Fault::Hold(release.clone()));
    let mut task = world.task(attempt);
    world.until("the register is on its way", async || (world.proxy.hits(REGISTER) == 1).then_some(())).await;
    let newer = br#"{"schema": 99, "whatever": true}"#.to_vec();
    world.put(&world.layout().terminal(), newer.clone()).await;
    release.notify_one();
    assert_eq!(task.exit().await, Some(12), "{}", task.log());
    assert_eq!(world.bytes(&world.state, &world.layout().terminal()).await, Some(newer));
    assert!(world.published().await.is_empty());
}

#[tokio::test]
async fn without_access_to_the_register_the_task_says_so_and_does_not_finish() {
    let world = World::new("noaccess").await;
    let attempt = world.launch(1, NEVER).await;
    world.proxy.fault("PUT", REGISTER, 100, Fault::Answer(403, "AccessDenied"));
    let mut task = world.task(attempt);
    assert_eq!(task.exit().await, Some(11), "{}", task.log());
    assert_eq!(world.register().await, None);
    let state = world.heartbeat(attempt).await.unwrap().state;
    assert!(
        matches!(&state, TaskState::Failed { failure } if failure.code == FailureCode::OutputDenied),
        "{state:?}"
    );
    assert!(world.published().await.is_empty());
}
