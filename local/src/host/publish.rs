//! Sends state-change events to an SQS queue, as an EventBridge rule would. Best effort: tasks never wait for it.

use std::{sync::Arc, time::Duration};

use aws_sdk_sqs::{
    Client,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
};
use serde_json::Value;
use tokio::sync::mpsc;

use super::shared::Shared;
use crate::{config::EventsTarget, model::fault::FaultKind};

/// Most events that wait; further ones are dropped and counted.
pub(crate) const MAX_WAITING: usize = 10_000;
/// How long one attempt to send may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends events until the endpoint stops.
pub(crate) async fn publish(shared: Arc<Shared>, target: EventsTarget, mut events: mpsc::Receiver<Value>) {
    let client = client(&shared.config.region, &target);
    let mut held: Option<Value> = None;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = shared.stop.cancelled() => None,
        };
        let Some(event) = event else { return };
        for event in disturbed(&shared, event, &mut held) {
            let sent = client
                .send_message()
                .queue_url(&target.queue_url)
                .message_body(event.to_string())
                .send()
                .await;
            if let Err(error) = &sent {
                let error = aws_sdk_sqs::error::DisplayErrorContext(error);
                tracing::warn!(%error, "event was not sent");
            }
            shared.update(|state, _| match sent {
                Ok(_) => state.counters.events_sent += 1,
                Err(_) => state.counters.events_failed += 1,
            });
        }
    }
}

fn client(region: &str, target: &EventsTarget) -> Client {
    let credentials =
        Credentials::new(&target.access_key_id, &target.secret_access_key, None, None, "transcode-local");
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(&target.endpoint)
        .credentials_provider(credentials)
        .retry_config(RetryConfig::standard().with_max_attempts(2))
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(SEND_TIMEOUT).build())
        .build();
    Client::from_conf(config)
}

/// The events to send when a fault hits `event`: none, the event twice, or the next one first.
fn disturbed(shared: &Arc<Shared>, event: Value, held: &mut Option<Value>) -> Vec<Value> {
    let fault = shared.update(|state, _| {
        let job = event["detail"]["taskArn"]
            .as_str()
            .and_then(|arn| state.task(crate::model::names::short(arn)))
            .and_then(|task| task.job.clone());
        state.take_fault("Event", job.as_deref(), |kind| {
            matches!(kind, FaultKind::EventLost | FaultKind::EventDuplicated | FaultKind::EventHeld)
        })
    });
    match fault {
        Some(FaultKind::EventLost) => Vec::new(),
        Some(FaultKind::EventDuplicated) => vec![event.clone(), event],
        Some(FaultKind::EventHeld) => held.replace(event).into_iter().collect(),
        _ => std::iter::once(event).chain(held.take()).collect(),
    }
}
