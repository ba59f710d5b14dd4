//! What would be made of an object: ladder, size of the task, and what an hour of it costs.

use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;
use transcode_config::{
    contract::{Capacity, JobKey, JobSpec, Layout, TaskShape},
    ladder::{Profile, Rung},
    prices::{Prices, Size},
};
use transcode_core::{
    message::Request,
    policy::{Circumstances, Policy},
};

use crate::cli::{
    find::{Named, newer, newest, request_of},
    output::{Show, Table, Text, Tint, address},
    send::{Object, body},
    setup::{Session, source_bucket, unreadable},
};

/// Storage of every task that is free, in GiB.
const FREE_GIB: u32 = 20;

const HOUR: f64 = 3600.0;

/// The result.
#[derive(Debug, Serialize)]
pub(super) struct Forecast {
    job: JobKey,
    bucket: String,
    key: String,
    output: String,
    profile: Profile,
    source_bytes: Option<u64>,
    task: TaskShape,
    /// USD for an hour of the task, where the Region has prices.
    usd_per_hour: Option<f64>,
    /// USD for the longest run that one attempt may have.
    usd_at_most: Option<f64>,
    max_run_seconds: u64,
    /// Why it would not go live.
    superseded: Option<String>,
}

/// Reads what is there of a job or an object, and says what would be made.
pub(super) async fn forecast(
    session: &Session,
    which: &Named,
    profile: Option<&str>,
) -> anyhow::Result<Forecast> {
    let (spec, bytes) = match which {
        Named::Job(job) => {
            let spec: Option<JobSpec> =
                session.store.read(&Layout::of(job).spec()).await.map_err(unreadable)?;
            let spec = spec.with_context(|| format!("there is no specification of job {job}"))?;
            let bytes = spec.source.size;
            (spec, bytes)
        }
        Named::Object { bucket, key } => {
            let bucket = source_bucket(&session.settings, bucket.as_deref(), key)?;
            let newest = newest(session, bucket, key).await;
            let newest = newest.with_context(|| format!("there is no object {}", address(bucket, key)))?;
            let version = newest.version_id().filter(|id| *id != "null");
            let object = Object { bucket, key, version };
            let asked = body(&object, profile, &transcode_config::contract::Edit::default(), None, false);
            let spec = match request_of(&asked, &session.rules, 0) {
                Some(Request::Run(spec)) => (*spec).clone(),
                Some(Request::Refuse { failure, .. }) => {
                    bail!("it would be refused: {failure}; {}", failure.code.info().remedy)
                }
                None => bail!("the controller takes no such object"),
            };
            (spec, newest.size().and_then(|size| u64::try_from(size).ok()))
        }
    };
    let superseded = newer(session, &spec).await?;
    let now = Circumstances { source_bytes: bytes, ..Circumstances::default() };
    let task = Policy::from(&session.settings).variant_after(&[], now);
    let hours = usd(session, &task);
    Ok(Forecast {
        job: spec.job,
        bucket: spec.source.bucket,
        key: spec.source.key,
        output: address(&spec.output.bucket, &spec.output.prefix),
        profile: spec.profile,
        source_bytes: bytes,
        usd_per_hour: hours,
        usd_at_most: hours.map(|usd| usd * Duration::from_secs(spec.max_run_seconds).as_secs_f64() / HOUR),
        max_run_seconds: spec.max_run_seconds,
        task,
        superseded,
    })
}

/// USD for an hour of a task.
fn usd(session: &Session, task: &TaskShape) -> Option<f64> {
    let cost = &session.settings.cost;
    let region = session.clients.s3.read.config().region()?.to_string();
    // The architecture is the image's; the table's cheapest Region differs by a fifth.
    let prices = Prices::of(cost, &region, "x86_64")?;
    let size = Size {
        cpu: task.cpu,
        memory_mib: task.memory_mib,
        storage_gib: task.ephemeral_gib.unwrap_or(FREE_GIB),
        spot: task.capacity == Capacity::FargateSpot,
    };
    Some(prices.task(size, HOUR, cost.spot_percent))
}

impl Show for Forecast {
    fn people(&self, text: &mut Text) {
        let mut line = |name: &str, value: &str| {
            text.line(&format!("{name:<10} {value}"));
        };
        line("job", self.job.as_str());
        line("object", &address(&self.bucket, &self.key));
        line("output", &self.output);
        line(
            "profile",
            &format!("{}, {:?}, preset {}", self.profile.name, self.profile.codec, self.profile.preset),
        );
        let size =
            self.source_bytes.map(|bytes| format!(", for a source of {bytes} bytes")).unwrap_or_default();
        let TaskShape { capacity, cpu, memory_mib, ephemeral_gib } = &self.task;
        let capacity = match capacity {
            Capacity::Fargate => "on demand",
            Capacity::FargateSpot => "Spot",
        };
        let storage = ephemeral_gib.unwrap_or(FREE_GIB);
        line(
            "task",
            &format!("{cpu} CPU units, {memory_mib} MiB, {storage} GiB of storage, {capacity}{size}"),
        );
        match (self.usd_per_hour, self.usd_at_most) {
            (Some(hour), Some(most)) => {
                let minutes = self.max_run_seconds / 60;
                line(
                    "cost",
                    &format!("{hour:.3} USD an hour, at most {most:.2} USD for an attempt ({minutes} min)"),
                );
            }
            _ => line("cost", "not known: no prices for this Region; see [cost] in the settings"),
        }
        if let Some(why) = &self.superseded {
            line("superseded", why);
        }
        line("ladder", "at most these; none above the source's own size");
        let mut table = Table::of(&["SHORT SIDE", "AVERAGE BIT/S", "MOST BIT/S", "FPS", "CODEC PROFILE"]);
        for Rung { short_side, average_bps, max_bps, max_fps, codec_profile, .. } in &self.profile.rungs {
            let fps = max_fps.map(|fps| fps.to_string()).unwrap_or_default();
            let numbers = [short_side.to_string(), average_bps.to_string(), max_bps.to_string(), fps];
            table.row(numbers.into_iter().chain([codec_profile.clone()]).map(|cell| (Tint::Plain, cell)));
        }
        table.write(text);
    }

    fn names(&self) -> Vec<String> {
        vec![self.job.to_string()]
    }
}
