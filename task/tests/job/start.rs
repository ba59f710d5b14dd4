//! When a task does no work (S8).

use transcode_config::contract::{
    Dead, ExitCode, Failure, FailureCode, Outcome, SCHEMA, TaskState, Terminal, encode,
};
use transcode_tests::s3_faults::Fault;

use crate::fixture::{Fixture, NEVER, now_ms};

/// A terminal record of somebody else's.
pub(crate) fn dead(fixture: &Fixture) -> Terminal {
    Terminal {
        schema: SCHEMA,
        job: fixture.spec.job.clone(),
        nonce: "the controller's".into(),
        written_at_ms: 1,
        outcome: Outcome::Dead(Dead {
            failure: Failure::new(FailureCode::Interrupted, "given up"),
            last_task_arn: None,
            log_link: None,
            attempts: vec![],
        }),
    }
}

fn code(exit: ExitCode) -> i32 {
    exit.code().into()
}

/// The attempt ended as superseded, wrote nothing and read nothing of the source.
async fn assert_idle(fixture: &Fixture, attempt: transcode_config::contract::Attempt) {
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(code(ExitCode::Superseded)), "{}", task.log());
    assert_eq!(fixture.heartbeat(attempt).await, None);
    assert!(fixture.published().await.is_empty());
    assert!(task.leftovers().is_empty());
    let requests = fixture.proxy.requests();
    assert!(
        !requests.iter().any(|line| line.starts_with("PUT") || line.contains("/source-")),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_decided_job_is_left_alone() {
    let fixture = Fixture::new("decided").await;
    let attempt = fixture.launch(1, NEVER).await;
    fixture.put(&fixture.layout().terminal(), encode(&dead(&fixture))).await;
    assert_idle(&fixture, attempt).await;
    assert_eq!(fixture.terminal().await, Some(dead(&fixture)));
}

#[tokio::test]
async fn an_attempt_with_a_successor_is_over() {
    let fixture = Fixture::new("successor").await;
    let attempt = fixture.launch(1, NEVER).await;
    // Not the next number only: any newer one.
    fixture.intend(7, NEVER).await;
    assert_idle(&fixture, attempt).await;
}

#[tokio::test]
async fn a_launch_that_comes_too_late_does_nothing() {
    let fixture = Fixture::new("late").await;
    let attempt = fixture.launch(1, now_ms() - 1).await;
    assert_idle(&fixture, attempt).await;
}

#[tokio::test]
async fn a_successor_that_appears_during_the_checks_is_seen_after_the_first_heartbeat() {
    let fixture = Fixture::new("during").await;
    let attempt = fixture.launch(1, NEVER).await;
    let release = std::sync::Arc::new(tokio::sync::Notify::new());
    fixture.proxy.fault("PUT", "heartbeat", 1, Fault::Hold(release.clone()));
    let mut task = fixture.task(attempt);
    fixture
        .until("the first heartbeat is on its way", async || {
            (fixture.proxy.hits("heartbeat") == 1).then_some(())
        })
        .await;
    fixture.intend(2, NEVER).await;
    release.notify_one();
    assert_eq!(task.exit().await, Some(code(ExitCode::Superseded)), "{}", task.log());
    assert!(!fixture.proxy.requests().iter().any(|line| line.contains("/source-")));
    // It had said that it was at work; now it says that it is not.
    assert_eq!(fixture.heartbeat(attempt).await.unwrap().state, TaskState::Interrupted);
}

#[tokio::test]
async fn without_an_intent_or_with_a_newer_specification_an_operator_must_act() {
    let fixture = Fixture::new("unreadable").await;
    let attempt = fixture.launch(1, NEVER).await;
    let newer = br#"{"schema": 99, "whatever": true}"#.to_vec();
    fixture.put(&fixture.layout().spec(), newer.clone()).await;
    let mut task = fixture.task(attempt);
    assert_eq!(task.exit().await, Some(code(ExitCode::Misconfigured)), "{}", task.log());
    let state = fixture.heartbeat(attempt).await.unwrap().state;
    assert!(
        matches!(&state, TaskState::Failed { failure } if failure.code == FailureCode::ConfigInvalid && failure.message.contains("newer")),
        "{state:?}"
    );
    // S15: what it does not know it does not touch.
    assert_eq!(fixture.bytes(&fixture.state, &fixture.layout().spec()).await, Some(newer));

    let unclaimed = attempt.next();
    let mut task = fixture.task(unclaimed);
    assert_eq!(task.exit().await, Some(code(ExitCode::Misconfigured)), "{}", task.log());
    let state = fixture.heartbeat(unclaimed).await.unwrap().state;
    assert!(
        matches!(&state, TaskState::Failed { failure } if failure.message.contains("claim")),
        "{state:?}"
    );
}

#[tokio::test]
async fn without_an_identity_the_program_says_what_it_needs() {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_transcode-task")).env_clear().output();
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(code(ExitCode::Usage)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("TRANSCODE_JOB"));
}
