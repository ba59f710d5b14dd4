//! What a succeeded job made, and what it cost: from the output bucket's metadata and the attempts' sizes.

use std::collections::BTreeMap;

use serde_json::Value;
use transcode_config::{
    contract::{Capacity, Outcome, Succeeded},
    prices::{Prices, Size},
};

use super::record::Record;
use crate::cli::setup::Session;

/// Largest `metadata.json` that is read, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// Storage of a Fargate task that asks for none, in GiB.
const FREE_STORAGE_GIB: u32 = 20;

/// The `result` of the job's `metadata.json`: renditions, warnings, measurements. `None` if there is none, or none that
/// can be read: a lifecycle rule may have removed it.
pub(crate) async fn result_of(session: &Session, record: &Record) -> Option<Value> {
    let Outcome::Succeeded(won) = &record.terminal.as_ref()?.outcome else { return None };
    let document: Value = serde_json::from_slice(&metadata(session, won).await?).ok()?;
    document.get("result").cloned()
}

async fn metadata(session: &Session, won: &Succeeded) -> Option<Vec<u8>> {
    let entry = won.entry_points.iter().find(|entry| entry.to.ends_with("/metadata.json"))?;
    let get = session.clients.s3.read.get_object().bucket(&won.bucket).key(&entry.from.key);
    let range = format!("bytes=0-{}", MOST_BYTES - 1);
    let object = get.range(range).send().await.ok()?;
    Some(object.body.collect().await.ok()?.to_vec())
}

/// Architectures of task definitions, asked for once each.
#[derive(Debug, Default)]
pub(crate) struct Architectures(BTreeMap<String, Option<String>>);

impl Architectures {
    /// About what the job's tasks cost in USD: from each claim to the last word of its task, at the prices of the
    /// settings or the list. `None` if a price is not known.
    pub(crate) async fn cost(&mut self, session: &Session, record: &Record) -> Option<f64> {
        let mut sum = None;
        for attempt in &record.attempts {
            let claim = &attempt.claim;
            let Some(heartbeat) = &attempt.heartbeat else { continue };
            let region = claim.task_definition.split(':').nth(3)?;
            let architecture = self.of(session, &claim.task_definition).await?;
            let prices = Prices::of(&session.settings.cost, region, &architecture)?;
            let size = Size {
                cpu: claim.variant.cpu,
                memory_mib: claim.variant.memory_mib,
                storage_gib: claim.variant.ephemeral_gib.unwrap_or(FREE_STORAGE_GIB),
                spot: claim.variant.capacity == Capacity::FargateSpot,
            };
            let ms = heartbeat.written_at_ms.saturating_sub(claim.created_at_ms);
            #[allow(clippy::cast_precision_loss, reason = "tasks end after hours")]
            let seconds = ms as f64 / 1000.0;
            sum = Some(sum.unwrap_or(0.0) + prices.task(size, seconds, session.settings.cost.spot_percent));
        }
        sum
    }

    /// The architecture of a task definition, as the prices have it: `x86_64` or `arm64`. `None` if it cannot be told.
    pub(crate) async fn of(&mut self, session: &Session, definition: &str) -> Option<String> {
        if let Some(known) = self.0.get(definition) {
            return known.clone();
        }
        let describe = session.clients.ecs.read.describe_task_definition().task_definition(definition);
        let answer = describe.send().await.ok().and_then(|answer| answer.task_definition);
        let platform = answer.and_then(|definition| definition.runtime_platform);
        let name =
            platform.and_then(|platform| platform.cpu_architecture).map(|it| it.as_str().to_lowercase());
        self.0.insert(definition.to_owned(), name.clone());
        name
    }
}
