//! State-change events, as the SQS queue gets them.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use transcode_local::{EventsTarget, Fault, FaultKind};

use crate::support::{Fixture, arn, fixture_with, id, until, variable};

/// What the queue got: the bodies of `SendMessage`, parsed.
type Received = Arc<Mutex<Vec<Value>>>;

const QUEUE: &str = "http://127.0.0.1/123456789012/events";

async fn receive(State(received): State<Received>, body: String) -> Json<Value> {
    let call: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(call["QueueUrl"], QUEUE);
    received.lock().unwrap().push(serde_json::from_str(call["MessageBody"].as_str().unwrap()).unwrap());
    Json(json!({"MessageId": "m"}))
}

/// An endpoint whose events go to a minimal queue.
async fn fixture() -> (Fixture, Received) {
    let received = Received::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/", post(receive)).with_state(Arc::clone(&received));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let target = EventsTarget {
        queue_url: QUEUE.to_owned(),
        endpoint,
        access_key_id: "test".to_owned(),
        secret_access_key: "test".to_owned(),
    };
    (fixture_with(|config| config.events = Some(target)).await, received)
}

/// The events of a task up to its last one, in the order in which they came.
async fn events(received: &Received, task: &str) -> Vec<Value> {
    until("the last event", async || {
        let all = received.lock().unwrap().clone();
        let own: Vec<Value> = all.into_iter().filter(|one| one["resources"] == json!([task])).collect();
        own.iter().any(|one| one["detail"]["lastStatus"] == "STOPPED").then_some(own)
    })
    .await
}

fn versions(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["detail"]["version"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn every_change_is_reported_in_eventbridges_envelope() {
    let (fixture, received) = fixture().await;
    fixture.script("exit 7").await;
    let run = fixture.run().started_by("me").overrides(variable("A", "1")).send().await.unwrap();
    let task = arn(&run.tasks()[0]);
    let ended = fixture.status(&task, "STOPPED").await;
    let events = events(&received, &task).await;
    let mut phases: Vec<&str> =
        events.iter().map(|event| event["detail"]["lastStatus"].as_str().unwrap()).collect();
    phases.dedup();
    assert_eq!(phases, ["PROVISIONING", "PENDING", "RUNNING", "DEPROVISIONING", "STOPPED"]);
    let versions = versions(&events);
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
    assert_eq!(versions.last().copied(), u64::try_from(ended.version()).ok());
    let ids: BTreeSet<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len());

    let last = events.last().unwrap();
    for (field, value) in [
        ("version", "0"),
        ("detail-type", "ECS Task State Change"),
        ("source", "aws.ecs"),
        ("account", "123456789012"),
        ("region", "us-east-1"),
    ] {
        assert_eq!(last[field], value, "{field}");
    }
    let detail = &last["detail"];
    assert_eq!((&detail["taskArn"], &detail["startedBy"]), (&json!(task), &json!("me")));
    assert_eq!(detail["stopCode"], "EssentialContainerExited");
    assert_eq!(detail["containers"][0]["exitCode"], 7);
    let environment = &detail["overrides"]["containerOverrides"][0]["environment"];
    assert_eq!(*environment, json!([{"name": "A", "value": "1"}]));
    assert!(detail["stoppedAt"].as_str().unwrap().ends_with('Z'));
    assert!(detail["updatedAt"].as_str().unwrap().ends_with('Z'));
    until("all are counted", async || {
        (fixture.counters().await["eventsSent"] == json!(events.len())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn events_can_be_lost_doubled_and_held_back() {
    let (fixture, received) = fixture().await;
    fixture.script("exit 0").await;
    for (job, kind) in [
        ("lost", FaultKind::EventLost),
        ("twice", FaultKind::EventDuplicated),
        ("late", FaultKind::EventHeld),
    ] {
        fixture.fault(Fault { job: Some(job.to_owned()), count: Some(1), ..Fault::new(kind) }).await;
        let run = fixture.run().overrides(variable("TRANSCODE_JOB", job)).send().await.unwrap();
        let versions = versions(&events(&received, &arn(&run.tasks()[0])).await);
        let first = &versions[..2];
        match job {
            "lost" => assert_eq!(first, [2, 3]),
            "twice" => assert_eq!(first, [1, 1]),
            _ => assert_eq!(first, [2, 1]),
        }
    }
}

#[tokio::test]
async fn a_dead_queue_holds_no_task_up() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = EventsTarget {
        queue_url: QUEUE.to_owned(),
        endpoint: format!("http://{closed}"),
        access_key_id: "test".to_owned(),
        secret_access_key: "test".to_owned(),
    };
    let fixture = fixture_with(|config| config.events = Some(target)).await;
    let task = fixture.launch("exit 0").await;
    fixture.status(&task, "STOPPED").await;
    until("it is counted", async || (fixture.counters().await["eventsFailed"] != 0).then_some(())).await;
    assert_eq!(id(&task).len(), 32);
}
