//! Clients with the timeouts of the settings.
//!
//! Endpoints, Region and credentials come from the SDK's usual sources (`AWS_ENDPOINT_URL_*`, `AWS_REGION`, the task
//! role). The controller has no special case for local runs.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use transcode_config::settings::CallSettings;

/// Tries of a call that only reads. The planner repeats reads anyway; this hides single failures.
const READ_ATTEMPTS: u32 = 3;

/// Longest wait between the SDK's own tries of a read. Longer waits are up to the planner.
const READ_BACKOFF: Duration = Duration::from_secs(5);

/// A client for reads, which the SDK may retry, and one for calls that change state, which it must not retry: a retry
/// inside the SDK would hide from the planner that the first try may have been carried out.
#[derive(Debug, Clone)]
pub struct Pair<C> {
    /// For reads.
    pub read: C,
    /// For all other calls.
    pub write: C,
}

/// The clients of all services.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Queues.
    pub sqs: Pair<aws_sdk_sqs::Client>,
    /// Cluster.
    pub ecs: Pair<aws_sdk_ecs::Client>,
    /// Images; read only.
    pub ecr: aws_sdk_ecr::Client,
    /// State and output buckets.
    pub s3: Pair<aws_sdk_s3::Client>,
    /// Buses; nothing is repeated.
    pub eventbridge: aws_sdk_eventbridge::Client,
    /// Metrics. The flusher keeps unsent metrics, so the SDK does not retry.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
}

impl Clients {
    /// The clients, from the environment, the profile and the task role.
    pub async fn load(calls: &CallSettings) -> Self {
        let sdk = aws_config::defaults(BehaviorVersion::latest()).load().await;
        // An endpoint other than AWS' own has no wildcard host names for buckets.
        let overridden = sdk.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        Self::of(&sdk, calls, overridden)
    }

    /// The clients for an existing configuration; `path_style` puts bucket names into the path.
    pub fn of(sdk: &SdkConfig, calls: &CallSettings, path_style: bool) -> Self {
        let with = |retries: RetryConfig| {
            sdk.clone()
                .into_builder()
                .timeout_config(timeouts(calls))
                .stalled_stream_protection(stalls(calls))
                .retry_config(retries)
                .build()
        };
        let read =
            with(RetryConfig::standard().with_max_attempts(READ_ATTEMPTS).with_max_backoff(READ_BACKOFF));
        let write = with(RetryConfig::disabled());
        let s3 = |sdk: &SdkConfig| {
            let config = aws_sdk_s3::config::Builder::from(sdk).force_path_style(path_style).build();
            aws_sdk_s3::Client::from_conf(config)
        };
        Self {
            sqs: Pair { read: aws_sdk_sqs::Client::new(&read), write: aws_sdk_sqs::Client::new(&write) },
            ecs: Pair { read: aws_sdk_ecs::Client::new(&read), write: aws_sdk_ecs::Client::new(&write) },
            ecr: aws_sdk_ecr::Client::new(&read),
            s3: Pair { read: s3(&read), write: s3(&write) },
            eventbridge: aws_sdk_eventbridge::Client::new(&write),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&write),
        }
    }
}

/// Without an attempt timeout, long polls were seen to hang for ever. The settings' check keeps it above the long poll.
fn timeouts(calls: &CallSettings) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(calls.connect_seconds))
        .operation_attempt_timeout(Duration::from_secs(calls.attempt_seconds))
        .operation_timeout(Duration::from_secs(calls.operation_seconds))
        .build()
}

/// All our bodies are small and in memory, so a body that stands still is a dead connection, in both directions. The
/// attempt timeout ends before a body is read, so without this a stalled download would last for ever.
fn stalls(calls: &CallSettings) -> StalledStreamProtectionConfig {
    StalledStreamProtectionConfig::enabled()
        .upload_enabled(true)
        .download_enabled(true)
        .grace_period(Duration::from_secs(calls.attempt_seconds))
        .build()
}
