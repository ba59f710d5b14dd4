//! The bus: on the emulator with a queue behind it, and with answers that the emulator does not give.

use std::{sync::Arc, time::Duration};

use aws_sdk_eventbridge::types::Target;
use serde_json::{Value, json};
use transcode_config::contract::{JobEvent, MAX_EVENT_BYTES, encode};
use transcode_controller::aws::Bus;
use transcode_core::{
    effects::ports::Bus as _,
    protocol::fact::{CallError, ErrorClass},
};
use transcode_tests::wait;

use crate::{
    stub::{Answer, Stub},
    support::{clients, event, settings, world},
};

fn events(count: u64) -> Vec<Arc<JobEvent>> {
    (1..=count).map(|number| Arc::new(event(&number.to_string(), number * 1000))).collect()
}

#[tokio::test]
async fn a_rule_on_source_and_detail_type_gets_each_event_as_it_was_sent() {
    let world = world().await;
    let (bridge, sqs) = (&world.emulator.clients.eventbridge, &world.emulator.clients.sqs);
    bridge.create_event_bus().name("jobs-bus").send().await.unwrap();
    let url = sqs.create_queue().queue_name("told").send().await.unwrap().queue_url.unwrap();
    let pattern = json!({"source": ["transcode-operator"], "detail-type": ["Transcode Job Dead"],
        "detail": {"environment": ["test"]}});
    let rule = bridge.put_rule().name("ends").event_bus_name("jobs-bus").event_pattern(pattern.to_string());
    rule.send().await.unwrap();
    let target =
        Target::builder().id("queue").arn("arn:aws:sqs:us-east-1:123456789012:told").build().unwrap();
    bridge.put_targets().rule("ends").event_bus_name("jobs-bus").targets(target).send().await.unwrap();

    let (bus, sent) = (Bus::new(world.clients.eventbridge.clone()), events(10));
    assert_eq!(bus.put("jobs-bus", &sent).await, vec![Ok(()); 10]);
    let mut told: Vec<JobEvent> = Vec::new();
    wait::until("all events are in the queue", Duration::from_mins(1), async || {
        let got = sqs.receive_message().queue_url(&url).max_number_of_messages(10).send().await?;
        for message in got.messages() {
            let envelope: Value = serde_json::from_str(message.body().unwrap())?;
            assert_eq!(envelope["source"], "transcode-operator");
            assert_eq!(envelope["detail-type"], "Transcode Job Dead");
            told.push(serde_json::from_value(envelope["detail"].clone())?);
        }
        Ok((told.len() >= 10).then_some(()))
    })
    .await
    .unwrap();
    told.sort_by_key(|event| event.at_ms);
    assert_eq!(told, sent.iter().map(|event| (**event).clone()).collect::<Vec<_>>());
}

/// What a bus with this answer says of three events, and the requests.
async fn put(answer: Answer) -> (Vec<Result<(), CallError>>, usize) {
    let stub = Stub::start([answer]).await;
    let bus = Bus::new(clients(&stub.endpoint, &settings()).eventbridge);
    (bus.put("jobs-bus", &events(3)).await, stub.sent().len())
}

#[tokio::test]
async fn an_entry_that_is_refused_within_a_200_is_refused_and_the_others_are_not() {
    let entries = json!([{"EventId": "1"}, {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow"}]);
    let (answers, _) = put(Stub::json(&json!({"FailedEntryCount": 1, "Entries": entries}))).await;
    let classes: Vec<_> = answers.iter().map(|it| it.as_ref().map_err(|error| error.class)).collect();
    assert_eq!(classes, [Ok(&()), Err(ErrorClass::Throttled), Err(ErrorClass::Uncertain)]);
    assert_eq!(answers[1].as_ref().unwrap_err().message, "ThrottlingException: slow");
}

#[tokio::test]
async fn a_call_that_fails_fails_for_each_event_and_is_sent_once() {
    for (answer, class) in [
        (Stub::error(400, "ResourceNotFoundException", "no bus jobs-bus"), ErrorClass::Misconfigured),
        (Stub::error(400, "AccessDeniedException", "events:PutEvents"), ErrorClass::Misconfigured),
        (Stub::error(400, "ThrottlingException", "Rate exceeded"), ErrorClass::Throttled),
        (Stub::error(500, "InternalException", ""), ErrorClass::Uncertain),
        (Answer::Say(502, "<html>".into()), ErrorClass::Uncertain),
        (Answer::BlackHole, ErrorClass::Uncertain),
    ] {
        let (answers, sent) = put(answer.clone()).await;
        let classes: Vec<_> = answers.iter().map(|it| it.as_ref().unwrap_err().class).collect();
        assert_eq!((classes, sent), (vec![class; 3], 1), "{answer:?}");
    }
}

#[tokio::test]
async fn the_longest_events_go_in_calls_that_are_small_enough() {
    let taken: Vec<Value> = (0..10).map(|id| json!({"EventId": id.to_string()})).collect();
    let stub = Stub::start([Stub::json(&json!({"FailedEntryCount": 0, "Entries": taken}))]).await;
    let bus = Bus::new(clients(&stub.endpoint, &settings()).eventbridge);
    let long = |event: &Arc<JobEvent>| {
        let mut event = (**event).clone();
        event.tenant = Some("x".repeat(MAX_EVENT_BYTES - encode(&event).len() - 12));
        assert_eq!(encode(&event).len(), MAX_EVENT_BYTES);
        Arc::new(event)
    };
    let sent: Vec<_> = events(10).iter().map(long).collect();
    assert_eq!(bus.put("jobs-bus", &sent).await, vec![Ok(()); 10]);
    let bodies: Vec<Value> =
        stub.sent().iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect();
    let counts: Vec<usize> = bodies.iter().map(|body| body["Entries"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [7, 3]);
    assert_eq!(bodies[0]["Entries"][0]["EventBusName"], "jobs-bus");
    assert!(bodies.iter().all(|body| body["Entries"].to_string().len() <= 256 << 10));
}
