//! The operations: pure functions from a request and the state to an answer.

pub(crate) mod catalog;
pub(crate) mod launch;
pub(crate) mod run;
pub(crate) mod tasks;

use serde_json::Value;

use super::{Millis, error::ApiError, state::EndpointState};

/// What an operation needs besides its request.
pub(crate) struct Call<'a> {
    /// The endpoint's state.
    pub(crate) state: &'a mut EndpointState,
    /// The time.
    pub(crate) now: Millis,
    /// Gives a new unique id of 32 hexadecimal digits at each call.
    pub(crate) new_id: &'a mut dyn FnMut() -> String,
}

/// Carries out an operation by name.
pub(crate) fn carry_out(call: &mut Call<'_>, operation: &str, body: &Value) -> Result<Value, ApiError> {
    let Call { state, now, .. } = call;
    let now = *now;
    match operation {
        "RunTask" => run::run_task(call, body),
        "StopTask" => tasks::stop(state, body, now),
        "DescribeTasks" => tasks::describe(state, body, now),
        "ListTasks" => tasks::list(state, body, now),
        "CreateCluster" => catalog::create_cluster(state, body),
        "DescribeClusters" => catalog::describe_clusters(state, body),
        "RegisterTaskDefinition" => catalog::register(state, body, now),
        "DescribeTaskDefinition" => catalog::describe(state, body),
        "DeregisterTaskDefinition" => catalog::deregister(state, body, now),
        "ListTaskDefinitions" => catalog::list(state, body),
        "TagResource" => catalog::tag_resource(state, body, now),
        "ListTagsForResource" => catalog::list_tags(state, body),
        _ => Err(ApiError::new("UnknownOperationException", format!("This endpoint has no {operation}."))),
    }
}
