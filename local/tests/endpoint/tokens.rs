//! The client token: one launch for one token, for as long as the token lives.

use aws_sdk_ecs::{
    operation::run_task::{RunTaskError, builders::RunTaskFluentBuilder},
    types::Task,
};
use serde_json::json;
use transcode_local::FaultKind;

use crate::support::{CLUSTER, Fixture, arn, code, fixture, stop, variable};

/// The ARNs of the tasks that the call gives.
async fn launched(call: RunTaskFluentBuilder) -> Vec<String> {
    call.send().await.unwrap().tasks().iter().map(arn).collect()
}

async fn advance(fixture: &Fixture, seconds: u64) {
    fixture.control.post("advance", &json!({"seconds": seconds})).await.unwrap();
}

#[tokio::test]
async fn the_same_call_again_gives_the_same_tasks() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    let call = || fixture.run().client_token("t").count(2).overrides(variable("A", "1"));
    let first = launched(call()).await;
    assert_eq!(first.len(), 2);
    fixture.status(&first[0], "RUNNING").await;
    let again = call().send().await.unwrap();
    assert_eq!(again.tasks().iter().map(arn).collect::<Vec<_>>(), first);
    assert_eq!(again.tasks()[0].last_status(), Some("RUNNING"), "as it is now, not as it was");
    assert_eq!(again.tasks()[0].overrides(), Some(&variable("A", "1")));
    let counters = fixture.counters().await;
    assert_eq!((&counters["tasks"]["launched"], &counters["replays"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn of_a_stopped_task_only_its_name_and_states_come_back() {
    let fixture = fixture().await;
    fixture.script("exit 0").await;
    let call = || fixture.run().client_token("t").started_by("me");
    let first = launched(call()).await.remove(0);
    fixture.status(&first, "STOPPED").await;
    let bare = Task::builder().task_arn(&first).last_status("STOPPED").desired_status("STOPPED").build();
    assert_eq!(call().send().await.unwrap().tasks(), [bare]);
}

#[tokio::test]
async fn other_parameters_conflict_and_name_what_exists() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    let call = |value: &str| fixture.run().client_token("t").overrides(variable("A", value));
    let first = launched(call("1").count(2)).await;
    let others = [
        call("2").count(2),
        call("1").count(3),
        call("1").count(2).started_by("me"),
        fixture.run().client_token("t").count(2),
    ];
    for other in others {
        let error = other.send().await.unwrap_err().into_service_error();
        let RunTaskError::ConflictException(conflict) = error else { panic!("no conflict: {error:?}") };
        assert_eq!(conflict.resource_ids(), first);
    }
    // The token is the cluster's own.
    fixture.ecs.create_cluster().cluster_name("other").send().await.unwrap();
    assert_eq!(launched(call("2").cluster("other")).await.len(), 1);
    assert_eq!(fixture.counters().await["tasks"]["launched"], 3);
}

#[tokio::test]
async fn a_token_outlives_its_stopped_task_by_an_hour() {
    let fixture = fixture().await;
    fixture.script("exit 0").await;
    let call = || fixture.run().client_token("t");
    let first = launched(call()).await;
    fixture.status(&first[0], "STOPPED").await;
    advance(&fixture, 3500).await;
    assert_eq!(launched(call()).await, first);
    advance(&fixture, 100).await;
    assert_ne!(launched(call()).await, first);
}

#[tokio::test]
async fn a_token_lives_a_day_while_its_task_runs() {
    let fixture = fixture().await;
    fixture.script("sleep 600").await;
    let call = || fixture.run().client_token("t");
    let first = launched(call()).await;
    advance(&fixture, 24 * 3600 - 100).await;
    assert_eq!(launched(call()).await, first);
    advance(&fixture, 100).await;
    assert_ne!(launched(call()).await, first);
    assert_eq!(fixture.status(&first[0], "RUNNING").await.desired_status(), Some("RUNNING"));
}

#[tokio::test]
async fn a_refusal_in_failures_is_repeated_under_its_token() {
    let fixture = fixture().await;
    fixture.script("exit 0").await;
    fixture.once(FaultKind::Failures { reason: "RESOURCE:CPU".into(), detail: Some("none".into()) }).await;
    for _ in 0..2 {
        let answer = fixture.run().client_token("t").send().await.unwrap();
        assert!(answer.tasks().is_empty());
        let failure = &answer.failures()[0];
        assert_eq!((failure.reason(), failure.detail()), (Some("RESOURCE:CPU"), Some("none")));
    }
    assert_eq!(launched(fixture.run().client_token("u")).await.len(), 1);
}

#[tokio::test]
async fn an_exception_leaves_the_token_unused() {
    let fixture = fixture().await;
    fixture.script("exit 0").await;
    let call = || fixture.run().client_token("t");
    let refused = call().set_network_configuration(None).send().await;
    assert_eq!(code(refused), "InvalidParameterException");
    fixture.once(FaultKind::Throttle).await;
    assert_eq!(code(call().send().await), "ThrottlingException");
    assert_eq!(launched(call()).await.len(), 1);
}

#[tokio::test]
async fn a_definition_that_went_away_does_not_matter_to_a_repeated_call() {
    let fixture = fixture().await;
    let pinned = || fixture.run().task_definition("job:1").client_token("t");
    fixture.script("sleep 600").await;
    let first = launched(pinned()).await;
    fixture.ecs.deregister_task_definition().task_definition("job:1").send().await.unwrap();
    assert_eq!(launched(pinned()).await, first);
    assert_eq!(code(pinned().client_token("u").send().await), "ClientException");
    stop(&fixture, &first[0]).await;
    assert_eq!(launched(pinned().cluster(CLUSTER)).await, first);
}
