//! A bus with a queue behind it, as a consumer of the events of jobs has them.

use std::{sync::Mutex, time::Duration};

use anyhow::{Context, Result};
use aws_sdk_eventbridge::types::Target;
use serde_json::{Value, json};
use transcode_config::contract::{EVENT_SOURCE, JobEvent, JobKey};

use crate::{Stack, clients::ACCOUNT, clients::REGION, wait};

/// The longest that an event may take through the emulator.
const LIMIT: Duration = Duration::from_mins(1);

/// The queue behind a bus, and what came out of it.
#[derive(Debug)]
pub struct Listener {
    sqs: aws_sdk_sqs::Client,
    queue: String,
    /// The envelopes, in the order in which they came.
    heard: Mutex<Vec<Value>>,
}

impl Listener {
    /// Makes the bus, and a rule that brings every event of a job into a queue.
    pub async fn on(stack: &Stack, bus: &str) -> Result<Self> {
        let (bridge, sqs) = (&stack.clients().eventbridge, stack.clients().sqs.clone());
        bridge.create_event_bus().name(bus).send().await.context("CreateEventBus")?;
        let name = format!("told-by-{bus}");
        let made = sqs.create_queue().queue_name(&name).send().await.context("CreateQueue")?;
        let pattern = json!({"source": [EVENT_SOURCE]}).to_string();
        let rule = bridge.put_rule().name(&name).event_bus_name(bus).event_pattern(pattern);
        rule.send().await.context("PutRule")?;
        let arn = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}");
        let target = Target::builder().id("queue").arn(arn).build().context("a target")?;
        let targets = bridge.put_targets().rule(&name).event_bus_name(bus).targets(target);
        targets.send().await.context("PutTargets")?;
        Ok(Self { sqs, queue: made.queue_url.context("QueueUrl")?, heard: Mutex::default() })
    }

    /// The events of a job so far.
    pub async fn events(&self, job: &JobKey) -> Result<Vec<JobEvent>> {
        self.listen().await?;
        let envelopes = self.envelopes();
        let events = envelopes.iter().filter_map(|envelope| envelope.get("detail"));
        let events = events.map(|detail| serde_json::from_value(detail.clone()).context("an event"));
        Ok(events.collect::<Result<Vec<JobEvent>>>()?.into_iter().filter(|event| event.job == *job).collect())
    }

    /// Waits until the events of a job have `what`, and returns them.
    pub async fn until(
        &self,
        what: &str,
        job: &JobKey,
        has: impl Fn(&[JobEvent]) -> bool,
    ) -> Result<Vec<JobEvent>> {
        wait::until(what, LIMIT, async || Ok(Some(self.events(job).await?).filter(|events| has(events))))
            .await
    }

    /// All envelopes so far.
    pub fn envelopes(&self) -> Vec<Value> {
        self.heard.lock().map(|heard| heard.clone()).unwrap_or_default()
    }

    /// Takes everything that is in the queue.
    async fn listen(&self) -> Result<()> {
        loop {
            let receive = self.sqs.receive_message().queue_url(&self.queue).max_number_of_messages(10);
            let got = receive.send().await.context("ReceiveMessage")?;
            if got.messages().is_empty() {
                return Ok(());
            }
            for message in got.messages() {
                let envelope = serde_json::from_str(message.body().unwrap_or_default())?;
                if let Ok(mut heard) = self.heard.lock() {
                    heard.push(envelope);
                }
                let delete = self.sqs.delete_message().queue_url(&self.queue);
                delete.receipt_handle(message.receipt_handle().unwrap_or_default()).send().await?;
            }
        }
    }
}
