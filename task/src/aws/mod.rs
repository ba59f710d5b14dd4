//! Thin adapters: one S3 call each with its deadline, the metrics call, the task metadata endpoint. No decisions here.

mod documents;
mod error;
mod metadata;
mod metrics;
mod multipart;
mod objects;

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, stalled_stream_protection::StalledStreamProtectionConfig};
use aws_sdk_s3::config::ResponseChecksumValidation;
use aws_smithy_types::{retry::RetryConfig, timeout::TimeoutConfig};

pub use documents::{Documents, Put, Standing};
pub use error::{At, AwsError, ErrorClass};
pub use metadata::task_arn;
pub use metrics::{MetricName, Metrics};
pub use multipart::Multipart;
pub use objects::{Body, Meta, Objects, Pinned, SourceHead};

/// A TCP and TLS handshake within a Region takes milliseconds.
const CONNECT: Duration = Duration::from_secs(3);
/// One try of a call that moves a few kilobytes. Several tries fit into the fence.
const SMALL_CALL: Duration = Duration::from_secs(10);
/// One try of a call that moves up to one part or one whole file below the multipart threshold:
/// 64 MiB at 0.6 MB/s, far below what Fargate's network gives.
const TRANSFER_CALL: Duration = Duration::from_mins(2);
/// The metrics call, retries and all: a `CloudWatch` outage must not hold a finished task.
const METRICS_CALL: Duration = Duration::from_secs(5);
/// A download that receives no bytes for this long is cut and resumed.
const STALL_GRACE: Duration = Duration::from_secs(20);

/// The clients of one task.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Clients {
    /// The state bucket.
    pub documents: Documents,
    /// Source and outputs.
    pub objects: Objects,
    pub metrics: aws_sdk_cloudwatch::Client,
}

impl Clients {
    /// Reads region, endpoint and credentials from the SDK's usual sources. Makes no call.
    pub async fn connect(state_bucket: String) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            // The SDK makes one silent second try, for a connection that a peer had closed. `retry` makes all others,
            // logs each and ends at once on a stop.
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .load()
            .await;
        Self::of(&config, state_bucket)
    }

    /// Clients for this region, endpoint and these credentials.
    pub fn of(config: &SdkConfig, state_bucket: String) -> Self {
        Self {
            documents: Documents::new(small(config), state_bucket),
            objects: Objects::new(small(config), transfer(config)),
            metrics: metrics_client(config),
        }
    }
}

fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(attempt).build()
}

fn small(config: &SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(config)
        .timeout_config(timeouts(SMALL_CALL))
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// Stalled-stream protection is on for downloads only. The attempt timeout ends with the head of the answer, so a
/// body that stalls needs the protection. An upload is wholly inside the attempt timeout, and the protection has been
/// seen to end uploads that were only quiet while S3 processed them.
///
/// The SDK does not check response checksums, because it sees only ranges. The whole file is checked after the
/// download.
fn transfer(config: &SdkConfig) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(config)
        .timeout_config(timeouts(TRANSFER_CALL))
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled().upload_enabled(false).grace_period(STALL_GRACE).build(),
        )
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

fn metrics_client(config: &SdkConfig) -> aws_sdk_cloudwatch::Client {
    let timeouts = timeouts(METRICS_CALL).to_builder().operation_timeout(METRICS_CALL).build();
    let config = aws_sdk_cloudwatch::config::Builder::from(config).timeout_config(timeouts).build();
    aws_sdk_cloudwatch::Client::from_conf(config)
}
