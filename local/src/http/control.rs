//! The control endpoint: faults, signals, delays, expiry and what happened so far. The crate's documentation has the
//! table of routes.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, State},
    http::{Request, Response},
};
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::{Value, json};

use super::server::{json_response, read_json};
use crate::{
    host::{
        clock::millis,
        folder, logs, processes,
        processes::Processes,
        shared::{Shared, lock},
    },
    model::{
        Millis,
        counters::Counters,
        error::ApiError,
        fault::Fault,
        input,
        machine::{SPOT_REASON, Timing},
        names,
        render::container_status,
        state::EndpointState,
        task::{Stop, Task},
    },
};

type Shares = State<Arc<Shared>>;
type Answer = Response<Body>;

/// The answer to a control call.
fn answer(result: Result<Value, ApiError>) -> Answer {
    match result {
        Ok(body) => json_response(200, "application/json", &body),
        Err(error) => json_response(error.status, "application/json", &error.body()),
    }
}

fn unknown_task() -> ApiError {
    ApiError { status: 404, ..ApiError::new("NotFound", "no such task") }
}

/// `GET /health`.
pub(crate) async fn health() -> Answer {
    answer(Ok(json!({"status": "ok"})))
}

/// `GET /counters`.
pub(crate) async fn counters(State(shared): Shares) -> Answer {
    answer(shared.update(|state, _| input::write(&state.counters)))
}

/// `DELETE /counters`: back to zero, but for what runs now.
pub(crate) async fn reset_counters(State(shared): Shares) -> Answer {
    shared.update(|state, _| {
        let old = std::mem::take(&mut state.counters);
        state.counters = Counters::continuing(&old);
    });
    answer(Ok(json!({})))
}

/// `GET /tasks`: every task known, with its processes.
pub(crate) async fn tasks(State(shared): Shares) -> Answer {
    let tasks: Vec<Task> = shared.update(|state, _| state.tasks().map(|(_, task)| task.clone()).collect());
    let listing = tokio::task::spawn_blocking(move || {
        let processes = Processes::read();
        tasks.iter().map(|task| task_json(&shared, task, &processes)).collect::<Vec<_>>()
    });
    match listing.await {
        Ok(tasks) => answer(Ok(json!({"tasks": tasks}))),
        Err(error) => answer(Err(ApiError::server(error.to_string()))),
    }
}

fn task_json(shared: &Shared, task: &Task, processes: &Processes) -> Value {
    let containers: Vec<Value> = task
        .containers
        .iter()
        .enumerate()
        .map(|(index, container)| {
            let process = container.pid().and_then(|pid| processes.get(pid));
            let members = container.pid().map(|pid| processes.of(pid)).unwrap_or_default();
            json!({
                "name": container.name,
                "lastStatus": container_status(task, container),
                "pid": container.pid(),
                "processState": process.map(|process| process.state),
                "processes": members.iter().map(|member| member.pid).collect::<Vec<_>>(),
                "residentBytes": members.iter().map(|member| member.resident).sum::<u64>(),
                "exitCode": container.exit_code,
                "reason": container.reason,
                "log": logs::path(&shared.config, task, index),
            })
        })
        .collect();
    json!({
        "id": task.id,
        "taskArn": task.arn,
        "taskDefinitionArn": task.definition_arn,
        "job": task.job,
        "startedBy": task.started_by,
        "spot": task.is_spot(),
        "lastStatus": task.phase.as_str(),
        "desiredStatus": task.desired_status(),
        "stopCode": task.stop.as_ref().map(|stop| &stop.code),
        "stoppedReason": task.stop.as_ref().map(|stop| &stop.reason),
        "workDir": shared.config.work_dir.join(&task.id),
        "containers": containers,
    })
}

/// Reads a body of type `T`, finds the task, and calls `act` with both.
async fn with_task<T: for<'a> Deserialize<'a>>(
    shared: &Arc<Shared>,
    id: &str,
    request: Request<Body>,
    act: impl FnOnce(&mut EndpointState, &str, T, Millis) -> Result<Value, ApiError>,
) -> Answer {
    let input = match read_json(request).await.and_then(|body| input::parse(&body)) {
        Ok(input) => input,
        Err(error) => return answer(Err(error)),
    };
    answer(shared.update(|state, now| {
        let id = names::short(id).to_owned();
        if state.task(&id).is_none() {
            return Err(unknown_task());
        }
        act(state, &id, input, now)
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Interruption {
    stop_code: Option<String>,
    reason: Option<String>,
    warning_milliseconds: Option<Millis>,
}

/// `POST /tasks/{id}/interrupt`: as Spot does it, or with the code and reason of another platform event.
pub(crate) async fn interrupt(
    State(shared): Shares,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Answer {
    with_task(&shared, &id, request, |state, id, input: Interruption, now| {
        let stop = Stop {
            code: input.stop_code.unwrap_or_else(|| "SpotInterruption".to_owned()),
            reason: input.reason.unwrap_or_else(|| SPOT_REASON.to_owned()),
            grace: input.warning_milliseconds,
        };
        Ok(json!({"interrupted": state.stop(id, stop, now)}))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StartFailure {
    reason: Option<String>,
}

/// `POST /tasks/{id}/fail-start`: a task that does not run yet never will.
pub(crate) async fn fail_start(
    State(shared): Shares,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Answer {
    with_task(&shared, &id, request, |state, id, input: StartFailure, now| {
        let reason = input
            .reason
            .unwrap_or_else(|| "Timeout waiting for network interface provisioning to complete".to_owned());
        Ok(json!({"failed": state.start_failed(id, reason, now)}))
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignalInput {
    signal: i32,
    #[serde(default)]
    all: bool,
}

/// `POST /tasks/{id}/signal`: to the first process of each container, or to all processes.
pub(crate) async fn signal(State(shared): Shares, Path(id): Path<String>, request: Request<Body>) -> Answer {
    with_task(&shared, &id, request, |state, id, input: SignalInput, _| {
        let signal =
            Signal::from_named_raw(input.signal).ok_or_else(|| ApiError::invalid("no such signal"))?;
        let first = state.task(id).map(Task::pids).unwrap_or_default();
        let pids: Vec<u32> = if input.all {
            let processes = Processes::read();
            first.iter().flat_map(|pid| processes.of(*pid)).map(|process| process.pid).collect()
        } else {
            first
        };
        for pid in &pids {
            processes::signal(*pid, signal);
        }
        Ok(json!({"pids": pids}))
    })
    .await
}

/// `GET /faults`.
pub(crate) async fn faults(State(shared): Shares) -> Answer {
    answer(Ok(json!({"faults": shared.update(|state, _| json!(state.faults.list()))})))
}

/// `POST /faults`: sets one; its id.
pub(crate) async fn set_fault(State(shared): Shares, request: Request<Body>) -> Answer {
    let fault = match read_json(request).await.and_then(|body| Fault::from_json(&body)) {
        Ok(fault) => fault,
        Err(error) => return answer(Err(error)),
    };
    let id = shared.update(|state, _| state.faults.set(fault));
    answer(id.map(|id| json!({"id": id})).ok_or_else(|| ApiError::invalid("too many faults are set")))
}

/// `DELETE /faults`.
pub(crate) async fn clear_faults(State(shared): Shares) -> Answer {
    answer(Ok(json!({"cleared": shared.update(|state, _| state.faults.clear(None))})))
}

/// `DELETE /faults/{id}`.
pub(crate) async fn clear_fault(State(shared): Shares, Path(id): Path<u64>) -> Answer {
    answer(Ok(json!({"cleared": shared.update(|state, _| state.faults.clear(Some(id)))})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DelaysInput {
    provisioning_ms: Option<Millis>,
    pending_ms: Option<Millis>,
    deprovisioning_ms: Option<Millis>,
    stop_timeout_cap_ms: Option<Millis>,
    speed: Option<f64>,
}

/// `GET /delays`.
pub(crate) async fn delays(State(shared): Shares) -> Answer {
    answer(Ok(shared.update(|state, _| delays_json(&state.settings.timing))))
}

fn delays_json(timing: &Timing) -> Value {
    json!({
        "provisioningMs": timing.provisioning,
        "pendingMs": timing.pending,
        "deprovisioningMs": timing.deprovisioning,
        "stopTimeoutCapMs": timing.stop_timeout_cap,
    })
}

/// `POST /delays`: changes the given ones. `speed` then divides the three delays. Waits in progress keep their old
/// length; later phases get the new one.
pub(crate) async fn set_delays(State(shared): Shares, request: Request<Body>) -> Answer {
    let input = match read_json(request).await.and_then(|body| input::parse::<DelaysInput>(&body)) {
        Ok(input) => input,
        Err(error) => return answer(Err(error)),
    };
    let speed = input.speed.unwrap_or(1.0);
    if !(0.001..=1000.0).contains(&speed) {
        return answer(Err(ApiError::invalid("speed must be between 0.001 and 1000")));
    }
    let scaled = |given: Option<Millis>, old: Millis| {
        // A day at most, so that the arithmetic below cannot overflow.
        let delay = Duration::from_millis(given.unwrap_or(old).min(24 * 3600 * 1000));
        millis(delay.div_f64(speed))
    };
    answer(Ok(shared.update(|state, _| {
        let timing = &mut state.settings.timing;
        timing.provisioning = scaled(input.provisioning_ms, timing.provisioning);
        timing.pending = scaled(input.pending_ms, timing.pending);
        timing.deprovisioning = scaled(input.deprovisioning_ms, timing.deprovisioning);
        timing.stop_timeout_cap = input.stop_timeout_cap_ms.or(timing.stop_timeout_cap);
        delays_json(timing)
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

/// `POST /advance`: makes tokens and STOPPED records older by `seconds`.
pub(crate) async fn advance(State(shared): Shares, request: Request<Body>) -> Answer {
    let input = read_json(request).await.and_then(|body| input::parse::<Advance>(&body));
    answer(input.map(|input| {
        shared.update(|state, now| state.advance_expiry(input.seconds.saturating_mul(1000), now));
        json!({})
    }))
}

/// Images whose digest is kept.
const MAX_DIGESTS: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    image: String,
    digest: String,
}

/// `POST /images`: sets the digest that the registry gives for an image.
pub(crate) async fn set_digest(State(shared): Shares, request: Request<Body>) -> Answer {
    let input = read_json(request).await.and_then(|body| input::parse::<Image>(&body));
    answer(input.and_then(|Image { image, digest }| {
        shared.update(|state, _| {
            if state.digests.len() >= MAX_DIGESTS && !state.digests.contains_key(&image) {
                return Err(ApiError::invalid("Too many images."));
            }
            state.digests.insert(image, digest);
            Ok(json!({}))
        })
    }))
}

/// `GET /leftovers`.
pub(crate) async fn leftovers(State(shared): Shares) -> Answer {
    answer(Ok(json!({"leftovers": *lock(&shared.leftovers)})))
}

/// `DELETE /leftovers`: deletes the folders.
pub(crate) async fn discard_leftovers(State(shared): Shares) -> Answer {
    match tokio::task::spawn_blocking(move || folder::discard(&shared)).await {
        Ok(count) => answer(Ok(json!({"discarded": count}))),
        Err(error) => answer(Err(ApiError::server(error.to_string()))),
    }
}
