//! RunTask on the wire (S7).

use serde_json::json;
use transcode_config::contract::{Attempt, Budget, Capacity, Claim, FailureCode, PastAttempt};
use transcode_core::{
    effects::ports::Cluster,
    protocol::fact::{ErrorClass, Refusal},
};

use crate::{
    stub::Stub,
    support::{adapter, claim, job, settings},
};

/// The request bodies of these claims' launches.
async fn bodies(claims: &[Claim]) -> Vec<String> {
    let stub =
        Stub::start([Stub::json(&json!({"tasks": [{"taskArn": "arn:task/1"}], "failures": []}))]).await;
    let settings = settings();
    let ecs = adapter(&stub.endpoint, &settings);
    for claim in claims {
        ecs.launch(claim).await.unwrap();
    }
    stub.sent().into_iter().map(|sent| sent.body).collect()
}

const ON_DEMAND: &str = concat!(
    r#"{"capacityProviderStrategy":[{"capacityProvider":"FARGATE","weight":1,"base":0}],"cluster":"main","count":1,"#,
    r#""enableExecuteCommand":false,"networkConfiguration":{"awsvpcConfiguration":{"subnets":["subnet-1","subnet-2"],"#,
    r#""securityGroups":["sg-1"],"assignPublicIp":"DISABLED"}},"overrides":{"containerOverrides":[{"name":"task","#,
    r#""environment":[{"name":"TRANSCODE_JOB","value":"<job>"},{"name":"TRANSCODE_ATTEMPT","value":"2"}]}],"#,
    r#""cpu":"2048","memory":"4096"},"platformVersion":"LATEST","propagateTags":"TASK_DEFINITION","#,
    r#""startedBy":"transcode-test","tags":[{"key":"transcode:environment","value":"test"},"#,
    r#"{"key":"transcode:job","value":"<job>"},{"key":"transcode:attempt","value":"2"}],"#,
    r#""taskDefinition":"arn:aws:ecs:us-east-1:123456789012:task-definition/task-family:7","clientToken":"<token>"}"#,
);

#[tokio::test]
async fn the_request_is_these_bytes() {
    let claim = claim(&job("x"), 2);
    let expected = ON_DEMAND.replace("<job>", claim.job.as_str()).replace("<token>", &claim.client_token());
    assert_eq!(bodies(&[claim]).await, [expected]);
}

#[tokio::test]
async fn who_asks_and_when_and_what_came_before_change_no_byte() {
    let first = claim(&job("x"), 2);
    let past = PastAttempt {
        attempt: Attempt::FIRST,
        budget: Budget::Platform,
        code: FailureCode::LaunchRefused,
        message: "capacity".into(),
        task_arn: None,
    };
    let second = Claim {
        nonce: "another controller".into(),
        created_at_ms: 99,
        launch_not_after_ms: first.launch_not_after_ms - 1,
        history: vec![past],
        ..first.clone()
    };
    let bodies = bodies(&[first.clone(), first, second]).await;
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[0], bodies[2]);
}

#[tokio::test]
async fn another_variant_is_another_request_under_another_token() {
    let plain = claim(&job("x"), 2);
    let mut spot = plain.clone();
    spot.variant.capacity = Capacity::FargateSpot;
    spot.variant.ephemeral_gib = Some(60);
    let bodies = bodies(&[plain, spot]).await;
    let parsed: serde_json::Value = serde_json::from_str(&bodies[1]).unwrap();
    assert_eq!(parsed["capacityProviderStrategy"][0]["capacityProvider"], "FARGATE_SPOT");
    assert_eq!(parsed["overrides"]["ephemeralStorage"]["sizeInGiB"], 60);
    assert_eq!(parsed.get("launchType"), None);
    let token = |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap()["clientToken"].clone();
    assert_ne!(token(&bodies[0]), token(&bodies[1]));
}

#[tokio::test]
async fn past_the_deadline_nothing_is_sent() {
    let stub = Stub::start([Stub::json(&json!({"tasks": [{"taskArn": "arn:task/1"}]}))]).await;
    let settings = settings();
    let ecs = adapter(&stub.endpoint, &settings);
    let late = Claim { launch_not_after_ms: 1_000, ..claim(&job("x"), 1) };
    let refusal = ecs.launch(&late).await.unwrap_err();
    let Refusal::Failed(error) = refusal else { panic!("{refusal:?}") };
    assert_eq!((error.class, error.message.as_str()), (ErrorClass::Transient, "deadline passed"));
    assert_eq!(stub.sent().len(), 0);
}

#[tokio::test]
async fn overrides_that_ecs_would_refuse_are_not_sent() {
    let stub = Stub::start([Stub::json(&json!({"tasks": [{"taskArn": "arn:task/1"}]}))]).await;
    let mut settings = settings();
    // The only part of the overrides that has no bound of its own.
    settings.cluster.container = "c".repeat(8192);
    let ecs = adapter(&stub.endpoint, &settings);
    let refusal = ecs.launch(&claim(&job("x"), 1)).await.unwrap_err();
    let Refusal::Failed(error) = refusal else { panic!("{refusal:?}") };
    assert_eq!(error.class, ErrorClass::Permanent);
    assert_eq!(stub.sent().len(), 0);
}
