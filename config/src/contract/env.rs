//! The environment variables that identify a task.
//!
//! Only the first two are per-launch overrides; the others belong to the task definition. Everything else that the
//! task needs is in `spec.json`, so an override never nears the 8192-character limit of `RunTask`.

/// The job key. Set by override.
pub const ENV_JOB: &str = "TRANSCODE_JOB";
/// The attempt number. Set by override.
pub const ENV_ATTEMPT: &str = "TRANSCODE_ATTEMPT";
/// Name of the state bucket. Set in the task definition.
pub const ENV_STATE_BUCKET: &str = "TRANSCODE_STATE_BUCKET";
/// Name of the environment, such as `prod`: the only dimension of the task's metrics. Set in the task definition.
pub const ENV_ENVIRONMENT: &str = "TRANSCODE_ENVIRONMENT";
/// `CloudWatch` namespace. Set in the task definition.
pub const ENV_METRICS_NAMESPACE: &str = "TRANSCODE_METRICS_NAMESPACE";
/// Base URL of an OpenTelemetry collector; none sends no traces. Set in the task definition.
pub const ENV_OTLP_ENDPOINT: &str = "TRANSCODE_OTLP_ENDPOINT";
