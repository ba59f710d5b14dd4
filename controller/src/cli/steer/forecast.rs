//! What would be made of an object: ladder, size of the task, and what an hour of it costs.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use serde::Serialize;
use transcode_config::{
    contract::{Capacity, Edit, JobKey, JobSpec, Layout, TaskShape},
    ladder::{Profile, Rung},
    prices::{Prices, Size},
};
use transcode_core::{
    message::Request,
    policy::{Circumstances, Policy},
};

use crate::cli::{
    find::{Architectures, Named, begins_a_job, meant_job, newer, newest, request_of},
    output::{Show, Table, Text, Tint, address},
    send::{Object, body},
    setup::{Session, source_bucket, unreadable},
};

/// Storage of every task that is free, in GiB.
const FREE_GIB: u32 = 20;

const HOUR: f64 = 3600.0;

/// The result.
#[derive(Debug, Serialize)]
pub(crate) struct Forecast {
    job: JobKey,
    bucket: String,
    key: String,
    output: String,
    profile: Arc<Profile>,
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
pub(crate) async fn forecast(
    session: &Session,
    which: &Named,
    profile: Option<&str>,
) -> anyhow::Result<Forecast> {
    let (spec, bytes) = match which {
        Named::Job(job) => accepted(session, job).await?,
        Named::Object { bucket, key } => match asked(session, bucket.as_deref(), key, profile).await {
            // No object has such a key: it may be the beginning of a job's.
            Err(_) if bucket.is_none() && begins_a_job(key) => {
                accepted(session, &meant_job(session, which).await?).await?
            }
            asked => asked?,
        },
    };
    let superseded = newer(session, &spec).await?;
    let now = Circumstances { source_bytes: bytes, ..Circumstances::default() };
    let task = Policy::from(&session.settings).variant_after(&[], now);
    let hours = usd(session, &task).await;
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

/// A job as it was accepted, and the size of its source in bytes.
async fn accepted(session: &Session, job: &JobKey) -> anyhow::Result<(JobSpec, Option<u64>)> {
    let spec: Option<JobSpec> = session.store.read(&Layout::of(job).spec()).await.map_err(unreadable)?;
    let spec = spec.with_context(|| format!("there is no specification of job {job}"))?;
    let bytes = spec.source.size;
    Ok((spec, bytes))
}

/// The job that would be asked for of an object, and the object's size in bytes.
async fn asked(
    session: &Session,
    bucket: Option<&str>,
    key: &str,
    profile: Option<&str>,
) -> anyhow::Result<(JobSpec, Option<u64>)> {
    let bucket = source_bucket(&session.settings, bucket, key)?;
    let newest = newest(session, bucket, key).await;
    let newest = newest.with_context(|| format!("there is no object {}", address(bucket, key)))?;
    let version = newest.version_id().filter(|id| *id != "null");
    let object = Object { bucket, key, version };
    let spec = match request_of(&body(&object, profile, &Edit::default(), None, false), &session.rules, 0) {
        Some(Request::Run(spec)) => (*spec).clone(),
        Some(Request::Refuse { failure, .. }) => {
            bail!("it would be refused: {failure}; {}", failure.code.info().remedy)
        }
        None => bail!("the controller takes no such object"),
    };
    Ok((spec, newest.size().and_then(|size| u64::try_from(size).ok())))
}

/// USD for an hour of a task.
async fn usd(session: &Session, task: &TaskShape) -> Option<f64> {
    let cost = &session.settings.cost;
    let region = session.clients.s3.read.config().region()?.to_string();
    let definition = &session.settings.cluster.task_definition;
    let architecture = Architectures::default().of(session, definition).await?;
    let prices = Prices::of(cost, &region, &architecture)?;
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
            _ => line(
                "cost",
                "not known: no prices for this Region and architecture; see [cost] in the settings",
            ),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::prints;

    #[test]
    fn what_would_be_made_is_told_with_its_price() {
        let profile = Profile::built_in("vertical").unwrap();
        let known = Forecast {
            job: JobKey::of(&["a"]),
            bucket: "uploads".into(),
            key: "films/a b.mp4".into(),
            output: "s3://videos/videos/films/a b.mp4/".into(),
            profile: Arc::new(Profile { rungs: profile.rungs.iter().take(2).cloned().collect(), ..profile }),
            source_bytes: Some(12_345),
            task: TaskShape {
                capacity: Capacity::FargateSpot,
                cpu: 2048,
                memory_mib: 4096,
                ephemeral_gib: None,
            },
            usd_per_hour: Some(0.123_456),
            usd_at_most: Some(0.493_824),
            max_run_seconds: 14_400,
            superseded: None,
        };
        prints("plan-object", &known);
        let older = "job x, published 2026-11-30T09:11:00Z, is live".to_owned();
        let unknown = Forecast { usd_per_hour: None, usd_at_most: None, superseded: Some(older), ..known };
        prints("plan-object-superseded", &unknown);
    }
}
