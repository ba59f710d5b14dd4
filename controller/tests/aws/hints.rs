//! The events queue, on the emulator.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use transcode_config::contract::Layout;
use transcode_controller::aws::Hints;
use transcode_core::protocol::{
    fact::{Fact, Hint},
    task_view::TaskArn,
};
use transcode_tests::wait;

use crate::support::{job, world};

#[tokio::test]
async fn events_become_hints_and_everything_read_is_deleted() {
    let world = world().await;
    let url = world.settings.events.queue_url.as_deref().unwrap();
    let sqs = &world.emulator.clients.sqs;
    let key = Layout::of(&job("x")).terminal();
    for body in [
        "garbage".to_owned(),
        json!({"Event": "s3:TestEvent"}).to_string(),
        json!({"Records": [{"s3": {"object": {"key": key}}}]}).to_string(),
        json!({"detail-type": "ECS Task State Change", "detail": {"taskArn": "arn:1"}}).to_string(),
    ] {
        sqs.send_message().queue_url(url).message_body(body).send().await.unwrap();
    }
    let stop = CancellationToken::new();
    let (sender, mut facts) = mpsc::channel(8);
    let reader = Hints::new(world.clients.sqs.read.clone(), &world.settings, Arc::default()).unwrap();
    let reading = tokio::spawn(reader.run(sender, stop.clone()));
    let mut found = vec![facts.recv().await.unwrap(), facts.recv().await.unwrap()];
    found.sort_by_key(|fact| format!("{fact:?}"));
    let expected = [Hint::Task(TaskArn("arn:1".into())), Hint::TerminalRecord(job("x"))].map(Fact::Hinted);
    assert_eq!(found, expected);

    wait::until("the queue is empty", Duration::from_secs(20), async || {
        use aws_sdk_sqs::types::QueueAttributeName::All;
        let answer = sqs.get_queue_attributes().queue_url(url).attribute_names(All).send().await?;
        let all = answer.attributes.unwrap_or_default();
        let counts = all.iter().filter(|(name, _)| name.as_str().starts_with("ApproximateNumber"));
        Ok(counts.map(|(_, count)| count.as_str()).all(|count| count == "0").then_some(()))
    })
    .await
    .unwrap();
    stop.cancel();
    reading.await.unwrap();
}

#[tokio::test]
async fn a_dead_events_queue_ends_with_the_process() {
    let world = world().await;
    let mut settings = world.settings.clone();
    settings.events.queue_url = settings.events.queue_url.map(|url| url + "-gone");
    let stop = CancellationToken::new();
    let (sender, _facts) = mpsc::channel(8);
    let reader = Hints::new(world.clients.sqs.read.clone(), &settings, Arc::default()).unwrap();
    let reading = tokio::spawn(reader.run(sender, stop.clone()));
    stop.cancel();
    reading.await.unwrap();
    settings.events.queue_url = None;
    assert!(Hints::new(world.clients.sqs.read.clone(), &settings, Arc::default()).is_none());
}
