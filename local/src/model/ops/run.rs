//! RunTask: the order of its checks, and the client token.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Call, launch};
use crate::model::{
    error::ApiError,
    fault::FaultKind,
    input::{self, RunTask},
    render::{self, TimeStyle},
    state::EndpointState,
    task::Placement,
    tokens::{self, Entry, Lookup},
};

/// `RunTask`.
///
/// The token is looked up before the definition: a repeated call gets its first answer even if the definition was
/// deregistered meanwhile.
pub(crate) fn run_task(call: &mut Call<'_>, body: &Value) -> Result<Value, ApiError> {
    let input: RunTask = input::parse(body)?;
    input::check_run_task(&input)?;
    let cluster = call.state.active_cluster(input.cluster.as_deref())?;
    let clock = call.state.expiry_clock(call.now);
    let token = input.client_token.as_ref().map(|token| tokens::key(&cluster, token));
    let fingerprint = fingerprint(body);
    if let Some(token) = &token {
        match call.state.tokens.look(token, &fingerprint, clock) {
            Lookup::Fresh => {}
            Lookup::Replay(entry) => {
                call.state.counters.replays += 1;
                return Ok(replay(call.state, &entry));
            }
            Lookup::Conflict(arns) => return Err(ApiError::conflict(arns)),
        }
    }
    let request = launch::prepare(call.state, &input, cluster)?;
    let failures = drawn_failures(call.state, request.job.as_deref());
    let mut started = Vec::new();
    let mut answers = Vec::new();
    if failures.is_empty() {
        for placement in place(call.state, &input, &request.cluster)? {
            let task = launch::build(call, &request, &input, placement, token.clone());
            answers.push(render::task(&task, TimeStyle::Epoch, true));
            started.push((task.id.clone(), task.arn.clone()));
            call.state.add_task(task, call.now);
        }
    }
    if let Some(token) = token {
        call.state.tokens.keep(token, fingerprint, started, failures.clone(), clock);
    }
    Ok(json!({"tasks": answers, "failures": failures}))
}

/// A hash of everything but the token. `serde_json` sorts the keys, so their order in the request does not matter.
fn fingerprint(body: &Value) -> String {
    let mut body = body.clone();
    if let Value::Object(fields) = &mut body {
        fields.remove("clientToken");
        fields.retain(|_, value| !value.is_null());
    }
    let digest = Sha256::digest(body.to_string());
    digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|half| char::from_digit(half.into(), 16))
        .collect()
}

/// Repeats the first answer. For a stopped task it has only ARN and states.
fn replay(state: &EndpointState, entry: &Entry) -> Value {
    let tasks: Vec<Value> = entry
        .tasks
        .iter()
        .map(|(id, arn)| match state.task(id) {
            Some(task) if task.times.stopped.is_none() => render::task(task, TimeStyle::Epoch, true),
            _ => json!({"taskArn": arn, "lastStatus": "STOPPED", "desiredStatus": "STOPPED"}),
        })
        .collect();
    json!({"tasks": tasks, "failures": entry.failures})
}

fn drawn_failures(state: &mut EndpointState, job: Option<&str>) -> Vec<Value> {
    match state.take_fault("RunTask", job, |kind| matches!(kind, FaultKind::Failures { .. })) {
        Some(FaultKind::Failures { reason, detail: Some(detail) }) => {
            vec![json!({"reason": reason, "detail": detail})]
        }
        Some(FaultKind::Failures { reason, detail: None }) => vec![json!({"reason": reason})],
        _ => Vec::new(),
    }
}

/// The placement of each of the `count` tasks: the launch type, or the providers by base first and then the heaviest
/// weight (ECS spreads by weight over many calls; for single tasks the heaviest is what most of them get).
fn place(state: &EndpointState, input: &RunTask, cluster: &str) -> Result<Vec<Placement>, ApiError> {
    let count = usize::try_from(input.count.unwrap_or(1)).unwrap_or(1);
    let own = input.capacity_provider_strategy.as_deref().unwrap_or_default();
    let strategy = match (input.launch_type.as_deref(), own.is_empty()) {
        (Some(_), false) => {
            return Err(ApiError::invalid(
                "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
            ));
        }
        (Some("FARGATE"), true) => return Ok(vec![Placement::LaunchType; count]),
        (None, false) => own.to_vec(),
        (None, true) => {
            input::parse(&state.clusters[cluster]["defaultCapacityProviderStrategy"]).unwrap_or_default()
        }
        (Some(_), true) => Vec::new(),
    };
    if strategy.is_empty() {
        // Without a strategy the launch type is EC2, and there are no instances.
        return Err(ApiError::invalid("No Container Instances were found in your cluster."));
    }
    let offered = &state.clusters[cluster]["capacityProviders"];
    let is_offered = |name: &str| {
        ["FARGATE", "FARGATE_SPOT"].contains(&name)
            && offered.as_array().is_some_and(|list| list.iter().any(|one| one == name))
    };
    if let Some(unknown) = strategy.iter().find(|item| !is_offered(&item.capacity_provider)) {
        let name = &unknown.capacity_provider;
        return Err(ApiError::invalid(format!("The specified capacity provider '{name}' was not found.")));
    }
    let Some(heaviest) = strategy.iter().rev().max_by_key(|item| item.weight).filter(|item| item.weight > 0)
    else {
        return Err(ApiError::invalid(
            "At least one capacity provider must have a weight greater than zero.",
        ));
    };
    let base = strategy.iter().flat_map(|item| {
        std::iter::repeat_n(&item.capacity_provider, usize::try_from(item.base).unwrap_or(0).min(count))
    });
    let names = base.chain(std::iter::repeat(&heaviest.capacity_provider)).take(count);
    Ok(names.map(|name| Placement::CapacityProvider(name.clone())).collect())
}
