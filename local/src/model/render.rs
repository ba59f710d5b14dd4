//! A task as JSON, in the forms of the API and of the events.

use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    Millis,
    task::{Container, Phase, Placement, Process, Task},
};

/// The form of points in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeStyle {
    /// Seconds since the epoch with a fraction: the API.
    Epoch,
    /// `2026-01-02T03:04:05.678Z`: events and metadata.
    Rfc3339,
}

/// A point in time in the given style.
#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 stay exact in an f64 for 285,000 years"
)]
pub(crate) fn time_value(at: Millis, style: TimeStyle) -> Value {
    match style {
        TimeStyle::Epoch => json!(at as f64 / 1000.0),
        TimeStyle::Rfc3339 => json!(rfc3339(at)),
    }
}

/// A point in time as text; the epoch's start for one that the calendar cannot hold.
pub(crate) fn rfc3339(at: Millis) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

/// The task as DescribeTasks and RunTask answer it; tags only when asked for.
pub(crate) fn task(task: &Task, style: TimeStyle, with_tags: bool) -> Value {
    let mut out = json!({
        "taskArn": task.arn,
        "clusterArn": task.cluster_arn,
        "taskDefinitionArn": task.definition_arn,
        "group": task.group,
        "lastStatus": task.phase.as_str(),
        "desiredStatus": task.desired_status(),
        "overrides": task.overrides,
        "cpu": task.cpu.to_string(),
        "memory": task.memory.to_string(),
        "ephemeralStorage": {"sizeInGiB": task.ephemeral_storage},
        "platformVersion": task.platform_version,
        "platformFamily": "Linux",
        "healthStatus": "UNKNOWN",
        "enableExecuteCommand": false,
        "availabilityZone": "local-1a",
        "version": task.version,
        "attachments": [],
        "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
        "containers": containers(task),
    });
    if let Value::Object(fields) = &mut out {
        placement(task, fields);
        if let Some(started_by) = &task.started_by {
            fields.insert("startedBy".to_owned(), json!(started_by));
        }
        if let Some(stop) = &task.stop {
            fields.insert("stopCode".to_owned(), json!(stop.code));
            fields.insert("stoppedReason".to_owned(), json!(stop.reason));
        }
        if with_tags {
            fields.insert("tags".to_owned(), json!(task.tags));
        }
        times(task, style, fields);
    }
    out
}

fn placement(task: &Task, fields: &mut Map<String, Value>) {
    fields.insert("launchType".to_owned(), json!("FARGATE"));
    if let Placement::CapacityProvider(name) = &task.placement {
        fields.insert("capacityProviderName".to_owned(), json!(name));
    }
}

fn times(task: &Task, style: TimeStyle, fields: &mut Map<String, Value>) {
    let times = &task.times;
    let connected = times.pull_started.filter(|_| !task.failed_to_start);
    if connected.is_some() {
        fields.insert("connectivity".to_owned(), json!("CONNECTED"));
    }
    for (name, at) in [
        ("createdAt", Some(times.created)),
        ("connectivityAt", connected),
        ("pullStartedAt", times.pull_started),
        ("pullStoppedAt", times.pull_stopped),
        ("startedAt", times.started),
        ("stoppingAt", times.stopping),
        ("executionStoppedAt", times.execution_stopped),
        ("stoppedAt", times.stopped),
    ] {
        if let Some(at) = at {
            fields.insert(name.to_owned(), time_value(at, style));
        }
    }
}

fn containers(task: &Task) -> Vec<Value> {
    if task.failed_to_start {
        return Vec::new();
    }
    task.containers.iter().map(|one| container(task, one)).collect()
}

fn container(task: &Task, container: &Container) -> Value {
    let mut out = json!({
        "containerArn": container.arn,
        "taskArn": task.arn,
        "name": container.name,
        "image": container.image,
        "runtimeId": container.runtime_id,
        "lastStatus": container_status(task, container),
        "networkInterfaces": [],
        "healthStatus": "UNKNOWN",
        "cpu": "0",
    });
    if let Value::Object(fields) = &mut out {
        if let Some(memory) = container.memory {
            fields.insert("memory".to_owned(), json!(memory.to_string()));
        }
        if let Some(digest) = container.digest.as_ref().filter(|_| task.times.pull_stopped.is_some()) {
            fields.insert("imageDigest".to_owned(), json!(digest));
        }
        if let Some(code) = container.exit_code {
            fields.insert("exitCode".to_owned(), json!(code));
        }
        if let Some(reason) = &container.reason {
            fields.insert("reason".to_owned(), json!(reason));
        }
    }
    out
}

/// `lastStatus` of a container. A process whose end goes unnoticed stays RUNNING.
pub(crate) fn container_status(task: &Task, container: &Container) -> &'static str {
    match container.process {
        Process::Ended if task.script.never_stopped => "RUNNING",
        Process::Alive(_) => "RUNNING",
        Process::Waiting if task.phase < Phase::Deprovisioning => "PENDING",
        Process::Waiting | Process::Ended => "STOPPED",
    }
}
