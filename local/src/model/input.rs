//! The requests, with the fields that this program reads, and the limits of these fields.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::error::ApiError;

/// A request body as a typed value; unknown fields are ignored, as AWS does.
pub(crate) fn parse<T: DeserializeOwned>(body: &Value) -> Result<T, ApiError> {
    T::deserialize(body).map_err(|error| ApiError::new("SerializationException", error.to_string()))
}

/// A value as JSON.
pub(crate) fn write<T: Serialize>(value: &T) -> Result<Value, ApiError> {
    serde_json::to_value(value).map_err(|error| ApiError::server(error.to_string()))
}

/// `RunTask`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunTask {
    pub(crate) cluster: Option<String>,
    pub(crate) task_definition: Option<String>,
    pub(crate) count: Option<i64>,
    pub(crate) client_token: Option<String>,
    pub(crate) started_by: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) launch_type: Option<String>,
    #[serde(default)]
    pub(crate) capacity_provider_strategy: Option<Vec<StrategyItem>>,
    #[serde(default)]
    pub(crate) network_configuration: Value,
    #[serde(default)]
    pub(crate) overrides: Value,
    #[serde(default)]
    pub(crate) tags: Option<Vec<Value>>,
    pub(crate) propagate_tags: Option<String>,
    pub(crate) platform_version: Option<String>,
}

/// One line of a capacity provider strategy.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StrategyItem {
    pub(crate) capacity_provider: String,
    #[serde(default)]
    pub(crate) weight: i64,
    #[serde(default)]
    pub(crate) base: i64,
}

/// `DescribeTasks`.
#[derive(Debug, Deserialize)]
pub(crate) struct DescribeTasks {
    pub(crate) cluster: Option<String>,
    #[serde(default)]
    pub(crate) tasks: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) include: Option<Vec<String>>,
}

/// `ListTasks`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListTasks {
    pub(crate) cluster: Option<String>,
    pub(crate) container_instance: Option<String>,
    pub(crate) family: Option<String>,
    pub(crate) service_name: Option<String>,
    pub(crate) launch_type: Option<String>,
    pub(crate) started_by: Option<String>,
    pub(crate) desired_status: Option<String>,
    pub(crate) max_results: Option<i64>,
    pub(crate) next_token: Option<String>,
}

/// `StopTask`.
#[derive(Debug, Deserialize)]
pub(crate) struct StopTask {
    pub(crate) cluster: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) reason: Option<String>,
}

/// Refuses what RunTask refuses by its documentation, before any lookup.
pub(crate) fn check_run_task(input: &RunTask) -> Result<(), ApiError> {
    let count = input.count.unwrap_or(1);
    if !(1..=10).contains(&count) {
        return Err(ApiError::invalid(format!("Count must be between 1 and 10, not {count}.")));
    }
    let token_fits =
        |token: &String| token.len() <= 64 && token.bytes().all(|byte| (33..=126).contains(&byte));
    if !input.client_token.as_ref().is_none_or(token_fits) {
        return Err(ApiError::invalid("clientToken must have at most 64 characters in the range 33-126."));
    }
    let name_fits = |name: &String| {
        name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-/_".contains(&byte))
    };
    if !input.started_by.as_ref().is_none_or(name_fits) {
        return Err(ApiError::invalid("Invalid startedBy: at most 128 letters, digits, '-', '/' and '_'."));
    }
    if !input.overrides.is_null() && input.overrides.to_string().chars().count() > 8192 {
        return Err(ApiError::invalid("Container Overrides length must be at most 8192"));
    }
    check_tags(input.tags.as_deref().unwrap_or_default())
}

/// Refuses tags that are too many, too long, or name a key twice.
pub(crate) fn check_tags(tags: &[Value]) -> Result<(), ApiError> {
    if tags.len() > 50 {
        return Err(ApiError::invalid("A resource can have at most 50 tags."));
    }
    let mut keys = std::collections::BTreeSet::new();
    for tag in tags {
        let key = tag["key"].as_str().unwrap_or_default();
        let value = tag["value"].as_str().unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(ApiError::invalid("A tag has a key of 1-128 and a value of at most 256 characters."));
        }
        if !keys.insert(key) {
            return Err(ApiError::invalid("Duplicate tag keys found."));
        }
    }
    Ok(())
}
