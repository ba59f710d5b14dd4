//! DescribeTasks, ListTasks, StopTask.

use serde_json::{Value, json};

use crate::model::{
    Millis,
    error::ApiError,
    fault::FaultKind,
    input::{self, DescribeTasks, ListTasks, StopTask},
    names,
    render::{self, TimeStyle},
    state::EndpointState,
    task::{Stop, Task},
};

/// The most that one DescribeTasks may ask for, and that one page of ListTasks holds.
const MAX_PAGE: usize = 100;

/// `DescribeTasks`: those found, with their tags only when asked for, and `MISSING` for the others.
pub(crate) fn describe(state: &mut EndpointState, body: &Value, now: Millis) -> Result<Value, ApiError> {
    let input: DescribeTasks = input::parse(body)?;
    let cluster = state.active_cluster(input.cluster.as_deref())?;
    let references = input.tasks.unwrap_or_default();
    if references.is_empty() {
        return Err(ApiError::invalid("Tasks cannot be empty."));
    }
    if references.len() > MAX_PAGE {
        return Err(ApiError::invalid("Tasks cannot have more than 100 elements."));
    }
    let with_tags = input.include.unwrap_or_default().iter().any(|field| field == "TAGS");
    let missing = state.take_fault("DescribeTasks", None, |kind| matches!(kind, FaultKind::Missing { .. }));
    let hidden_age = match missing {
        Some(FaultKind::Missing { milliseconds }) => milliseconds,
        _ => 0,
    };
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for reference in &references {
        let visible = find(state, &cluster, reference)
            .filter(|task| hidden_age == 0 || now >= task.times.created.saturating_add(hidden_age));
        match visible {
            Some(task) => found.push(render::task(task, TimeStyle::Epoch, with_tags)),
            None => failures.push(json!({"arn": task_arn(state, &cluster, reference), "reason": "MISSING"})),
        }
    }
    Ok(json!({"tasks": found, "failures": failures}))
}

fn task_arn(state: &EndpointState, cluster: &str, reference: &str) -> String {
    match names::task(reference) {
        (_, Some(_)) => reference.to_owned(),
        (id, None) => state.settings.names.task(cluster, id),
    }
}

/// The task of this cluster that a reference names.
fn find<'a>(state: &'a EndpointState, cluster: &str, reference: &str) -> Option<&'a Task> {
    let (id, named) = names::task(reference);
    state.task(id).filter(|task| task.cluster == cluster && named.is_none_or(|named| named == cluster))
}

/// `ListTasks`, a page at a time, in the order of creation.
pub(crate) fn list(state: &mut EndpointState, body: &Value, now: Millis) -> Result<Value, ApiError> {
    let input: ListTasks = input::parse(body)?;
    let cluster = state.active_cluster(input.cluster.as_deref())?;
    let size = check_list(&input)?;
    let after = match &input.next_token {
        Some(token) => page_token(token).ok_or_else(|| ApiError::invalid("Invalid token."))?,
        None => 0,
    };
    let fault = state.take_fault("ListTasks", None, |kind| {
        matches!(kind, FaultKind::StaleList { .. } | FaultKind::RepeatedList | FaultKind::GappedList)
    });
    let seen_at = match fault {
        Some(FaultKind::StaleList { milliseconds }) => now.saturating_sub(milliseconds),
        _ => now,
    };
    let mut matching = state.tasks().filter(|(sequence, task)| {
        *sequence > after && task.cluster == cluster && wanted(task, &input, seen_at)
    });
    let page: Vec<_> = matching.by_ref().take(size).collect();
    let more = matching.next().is_some();
    let mut arns: Vec<&str> = page.iter().map(|(_, task)| task.arn.as_str()).collect();
    match fault {
        Some(FaultKind::RepeatedList) => arns.extend_from_within(..),
        Some(FaultKind::GappedList) => arns.clear(),
        _ => {}
    }
    let mut out = json!({"taskArns": arns});
    if let Some((last, _)) = page.last().filter(|_| more) {
        out["nextToken"] = json!(format!("after-{last}"));
    }
    Ok(out)
}

fn page_token(token: &str) -> Option<u64> {
    token.strip_prefix("after-")?.parse().ok()
}

/// Refuses combinations of filters that the API refuses; returns the size of a page.
fn check_list(input: &ListTasks) -> Result<usize, ApiError> {
    // A desired status beside it is refused as well: the documentation does not promise that it works.
    let others = [
        &input.container_instance,
        &input.family,
        &input.service_name,
        &input.launch_type,
        &input.desired_status,
    ];
    if input.started_by.is_some() && others.iter().any(|filter| filter.is_some()) {
        return Err(ApiError::invalid("startedBy must be the only filter."));
    }
    if let Some(status) = &input.desired_status
        && !["RUNNING", "PENDING", "STOPPED"].contains(&status.as_str())
    {
        return Err(ApiError::invalid(format!("desiredStatus cannot be {status}.")));
    }
    let size = input.max_results.unwrap_or(100);
    usize::try_from(size)
        .ok()
        .filter(|size| (1..=MAX_PAGE).contains(size))
        .ok_or_else(|| ApiError::invalid("maxResults must be between 1 and 100."))
}

/// Whether the task passes the filters, in the state at `seen_at`.
fn wanted(task: &Task, input: &ListTasks, seen_at: Millis) -> bool {
    let was_to_stop = task.times.stopping.is_some_and(|at| at <= seen_at);
    // PENDING is a valid filter that finds nothing: a task never has that desired status.
    let desired = if was_to_stop { "STOPPED" } else { "RUNNING" };
    task.times.created <= seen_at
        && input.desired_status.as_deref().unwrap_or("RUNNING") == desired
        && input.started_by.as_ref().is_none_or(|name| task.started_by.as_ref() == Some(name))
        && input.family.as_ref().is_none_or(|family| task.family == *family)
        && input.launch_type.as_ref().is_none_or(|kind| kind == "FARGATE")
        // Nothing here runs on an instance or for a service.
        && input.container_instance.is_none()
        && input.service_name.is_none()
}

/// `StopTask`: desired status STOPPED, and the tags go.
pub(crate) fn stop(state: &mut EndpointState, body: &Value, now: Millis) -> Result<Value, ApiError> {
    let input: StopTask = input::parse(body)?;
    let cluster = state.active_cluster(input.cluster.as_deref())?;
    let reference = input.task.ok_or_else(|| ApiError::invalid("task can not be blank."))?;
    let id = find(state, &cluster, &reference)
        .map(|task| task.id.clone())
        .ok_or_else(|| ApiError::invalid("The referenced task was not found."))?;
    let reason = input.reason.unwrap_or_else(|| "Task stopped by user".to_owned());
    // The API keeps reasons short; a longer one is cut at a character.
    let reason = reason.chars().take(255).collect();
    state.retag(&id, now, Vec::clear);
    state.stop(&id, Stop { code: "UserInitiated".to_owned(), reason, grace: None }, now);
    let task = state.task(&id).map(|task| render::task(task, TimeStyle::Epoch, false));
    Ok(json!({"task": task}))
}
