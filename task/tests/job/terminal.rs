//! Who decided the job (S2).

use std::sync::Arc;

use tokio::sync::Notify;
use transcode_config::contract::{FailureCode, Stage, TaskState};
use transcode_tests::s3_faults::{Fault, Proxy};

use crate::{
    fixture::{Fixture, NEVER},
    publish::{assert_published, succeeded},
};

const TERMINAL: &str = "terminal.json";

#[tokio::test]
async fn ones_own_write_whose_answer_was_lost_is_recognised() {
    let fixture = Fixture::new("lost").await;
    let attempt = fixture.launch(1, NEVER).await;
    // Two answers: the SDK tries a second time by itself, and that one gets 412.
    fixture.proxy.fault("PUT", TERMINAL, 2, Fault::LoseAnswer);
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    assert_eq!(fixture.proxy.hits(TERMINAL), 2);
    assert_published(&fixture, &succeeded(&fixture).await).await;
}

#[tokio::test]
async fn ones_own_terminal_record_is_not_taken_for_somebody_elses() {
    let fixture = Fixture::new("own").await;
    let (attempt, release) = (fixture.launch(1, NEVER).await, Arc::new(Notify::new()));
    fixture.proxy.fault("PUT", TERMINAL, 1, Fault::HoldAnswer(release.clone()));
    let mut task = fixture.task(attempt);
    fixture.until("the terminal record", async || fixture.terminal().await).await;
    // Heartbeats go on while the answer is on its way, and the look after each would find a decided job.
    let seq = fixture.heartbeat(attempt).await.unwrap().seq;
    let later = async || (fixture.heartbeat(attempt).await?.seq >= seq + 2).then_some(());
    fixture.until("two more heartbeats", later).await;
    let beacon = fixture.until("the beacon", async || fixture.beacon(attempt).await).await;
    assert_eq!(beacon.stage, Stage::Publishing);
    release.notify_one();
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    assert!(!task.log().contains("stopping"), "{}", task.log());
    assert_eq!(fixture.beacon(attempt).await, None, "it is removed");
}

#[tokio::test]
async fn a_conflict_is_tried_again() {
    let fixture = Fixture::new("conflict").await;
    let attempt = fixture.launch(1, NEVER).await;
    fixture.proxy.fault("PUT", TERMINAL, 3, Fault::Answer(409, "ConditionalRequestConflict"));
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(0), "{}", task.log());
    assert_eq!(fixture.proxy.hits(TERMINAL), 3);
}

#[tokio::test]
async fn of_two_tasks_one_wins_and_the_other_leaves_nothing() {
    let fixture = Fixture::new("race").await;
    let (first, release) = (fixture.launch(1, NEVER).await, Arc::new(Notify::new()));
    fixture.proxy.fault("PUT", TERMINAL, 1, Fault::Hold(release.clone()));
    // Held just before its terminal record is decided: cut off, and coming back late.
    let mut zombie = fixture.task(first);
    fixture
        .until("the terminal record is on its way", async || {
            (fixture.proxy.hits(TERMINAL) == 1).then_some(())
        })
        .await;

    let second = fixture.intend(2, NEVER).await;
    let clear = Proxy::start(&fixture.proxy.upstream()).await.unwrap();
    let mut winner = fixture.task_at(second, &clear);
    assert_eq!(winner.exit().await, Some(0), "{}", winner.log());
    let before = fixture.terminal().await;

    release.notify_one();
    assert_eq!(zombie.exit().await, Some(12), "{}", zombie.log());
    assert_eq!(fixture.terminal().await, before, "the terminal record was written twice");
    let result = succeeded(&fixture).await;
    assert_eq!(result.attempt, second);
    assert_published(&fixture, &result).await;
    assert!(fixture.published().await.iter().all(|key| key.starts_with(&result.folder)));
    assert_eq!(fixture.heartbeat(first).await.unwrap().state, TaskState::Interrupted);
    assert!(zombie.leftovers().is_empty());
}

#[tokio::test]
async fn a_terminal_record_of_a_newer_version_is_somebody_elses() {
    let fixture = Fixture::new("newer").await;
    let (attempt, release) = (fixture.launch(1, NEVER).await, Arc::new(Notify::new()));
    fixture.proxy.fault("PUT", TERMINAL, 1, Fault::Hold(release.clone()));
    let mut task = fixture.task(attempt);
    fixture
        .until("the terminal record is on its way", async || {
            (fixture.proxy.hits(TERMINAL) == 1).then_some(())
        })
        .await;
    let newer = br#"{"schema": 99, "whatever": true}"#.to_vec();
    fixture.put(&fixture.layout().terminal(), newer.clone()).await;
    release.notify_one();
    assert_eq!(task.exit().await, Some(12), "{}", task.log());
    assert_eq!(fixture.bytes(&fixture.state, &fixture.layout().terminal()).await, Some(newer));
    assert!(fixture.published().await.is_empty());
}

#[tokio::test]
async fn without_access_to_the_terminal_record_the_task_says_so_and_does_not_finish() {
    let fixture = Fixture::new("noaccess").await;
    let attempt = fixture.launch(1, NEVER).await;
    fixture.proxy.fault("PUT", TERMINAL, 100, Fault::Answer(403, "AccessDenied"));
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(11), "{}", task.log());
    assert_eq!(fixture.terminal().await, None);
    let state = fixture.heartbeat(attempt).await.unwrap().state;
    assert!(
        matches!(&state, TaskState::Failed { failure } if failure.code == FailureCode::OutputDenied),
        "{state:?}"
    );
    assert!(fixture.published().await.is_empty());
}
