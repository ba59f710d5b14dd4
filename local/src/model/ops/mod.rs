//! The operations: pure functions from a request and the world to an answer.

pub(crate) mod catalog;
pub(crate) mod launch;
pub(crate) mod run;
pub(crate) mod tasks;

use serde_json::Value;

use super::{Millis, error::ApiError, world::World};

/// What an operation needs besides its request.
pub(crate) struct Call<'a> {
    /// Everything there is.
    pub(crate) world: &'a mut World,
    /// The time.
    pub(crate) now: Millis,
    /// Gives a new unique id of 32 hexadecimal digits at each call.
    pub(crate) new_id: &'a mut dyn FnMut() -> String,
}

/// Carries out an operation by name.
pub(crate) fn carry_out(call: &mut Call<'_>, operation: &str, body: &Value) -> Result<Value, ApiError> {
    let Call { world, now, .. } = call;
    let now = *now;
    match operation {
        "RunTask" => run::run_task(call, body),
        "StopTask" => tasks::stop(world, body, now),
        "DescribeTasks" => tasks::describe(world, body, now),
        "ListTasks" => tasks::list(world, body, now),
        "CreateCluster" => catalog::create_cluster(world, body),
        "DescribeClusters" => catalog::describe_clusters(world, body),
        "RegisterTaskDefinition" => catalog::register(world, body, now),
        "DescribeTaskDefinition" => catalog::describe(world, body),
        "DeregisterTaskDefinition" => catalog::deregister(world, body, now),
        "ListTaskDefinitions" => catalog::list(world, body),
        "TagResource" => catalog::tag_resource(world, body, now),
        "ListTagsForResource" => catalog::list_tags(world, body),
        _ => Err(ApiError::new("UnknownOperationException", format!("This endpoint has no {operation}."))),
    }
}
