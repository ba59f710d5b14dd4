//! The task metadata endpoint, version 4, under `/v4/<task id>-<number of the container>`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::Response,
};
use serde_json::{Map, Value, json};

use super::server::json_response;
use crate::{
    host::shared::Shared,
    model::{
        render::{container_status, rfc3339},
        task::{Container, Task},
    },
};

type Shares = State<Arc<Shared>>;

/// Answers with the result of `make` for the task and the container, or 404 if there is none.
fn answer(shared: &Arc<Shared>, name: &str, make: impl FnOnce(&Task, &Container) -> Value) -> Response<Body> {
    let found = shared.update(|state, _| {
        let (id, index) = name.rsplit_once('-')?;
        let task = state.task(id)?;
        let container = task.containers.get(index.parse::<usize>().ok()?)?;
        Some(make(task, container))
    });
    match found {
        Some(body) => json_response(200, "application/json", &body),
        None => json_response(404, "application/json", &json!({"error": "unable to find the container"})),
    }
}

/// `GET /v4/<name>`: the container.
pub(crate) async fn container(State(shared): Shares, Path(name): Path<String>) -> Response<Body> {
    answer(&shared, &name, container_json)
}

/// `GET /v4/<name>/task`: the task.
pub(crate) async fn task(State(shared): Shares, Path(name): Path<String>) -> Response<Body> {
    answer(&shared, &name, |task, _| task_json(task))
}

/// `GET /v4/<name>/stats`: the container's use of memory.
pub(crate) async fn stats(State(shared): Shares, Path(name): Path<String>) -> Response<Body> {
    answer(&shared, &name, stats_json)
}

/// `GET /v4/<name>/task/stats`: the same of every container, by its id.
pub(crate) async fn task_stats(State(shared): Shares, Path(name): Path<String>) -> Response<Body> {
    answer(&shared, &name, |task, _| {
        let all = task.containers.iter().map(|one| (one.runtime_id.clone(), stats_json(task, one)));
        Value::Object(all.collect::<Map<_, _>>())
    })
}

fn container_json(task: &Task, container: &Container) -> Value {
    let mut out = json!({
        "DockerId": container.runtime_id,
        "Name": container.name,
        "DockerName": container.name,
        "Image": container.image,
        "ImageID": "",
        "Labels": {
            "com.amazonaws.ecs.cluster": task.cluster_arn,
            "com.amazonaws.ecs.container-name": container.name,
            "com.amazonaws.ecs.task-arn": task.arn,
            "com.amazonaws.ecs.task-definition-family": task.family,
            "com.amazonaws.ecs.task-definition-version": task.revision.to_string(),
        },
        "DesiredStatus": task.desired_status(),
        "KnownStatus": container_status(task, container),
        "Limits": {"CPU": task.cpu, "Memory": container.memory.unwrap_or(u64::from(task.memory))},
        "CreatedAt": rfc3339(task.times.pull_started.unwrap_or(task.times.created)),
        "Type": "NORMAL",
        "ContainerARN": container.arn,
        "Networks": [{"NetworkMode": "awsvpc", "IPv4Addresses": ["127.0.0.1"]}],
    });
    if let Some(started) = task.times.started {
        out["StartedAt"] = json!(rfc3339(started));
    }
    if let Some(code) = container.exit_code {
        out["ExitCode"] = json!(code);
    }
    out
}

fn task_json(task: &Task) -> Value {
    let mut out = json!({
        "Cluster": task.cluster_arn,
        "TaskARN": task.arn,
        "Family": task.family,
        "Revision": task.revision.to_string(),
        "DesiredStatus": task.desired_status(),
        "KnownStatus": task.phase.as_str(),
        "Limits": {"CPU": f64::from(task.cpu) / 1024.0, "Memory": task.memory},
        "EphemeralStorageMetrics": {"Utilized": 0, "Reserved": u64::from(task.ephemeral_storage) * 1024},
        "AvailabilityZone": "local-1a",
        "LaunchType": "FARGATE",
        "Containers": task.containers.iter().map(|one| container_json(task, one)).collect::<Vec<_>>(),
    });
    for (name, at) in [("PullStartedAt", task.times.pull_started), ("PullStoppedAt", task.times.pull_stopped)]
    {
        if let Some(at) = at {
            out[name] = json!(rfc3339(at));
        }
    }
    out
}

fn stats_json(task: &Task, container: &Container) -> Value {
    let limit = container.memory.unwrap_or(u64::from(task.memory)) * 1024 * 1024;
    json!({
        "id": container.runtime_id,
        "name": container.name,
        "memory_stats": {"usage": container.resident, "limit": limit},
    })
}
