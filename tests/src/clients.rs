//! SDK clients for the emulator and for the local Fargate endpoint.

use anyhow::{Context, Result};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use serde_json::{Value, json};

/// The Region of all local services.
pub const REGION: &str = "us-east-1";
/// The account of all local services.
pub const ACCOUNT: &str = "123456789012";

/// One client for each service.
#[derive(Debug, Clone)]
pub struct Clients {
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// CloudWatch.
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    /// ECR.
    pub ecr: aws_sdk_ecr::Client,
    /// EventBridge.
    pub eventbridge: aws_sdk_eventbridge::Client,
    /// CloudFormation.
    pub cloudformation: aws_sdk_cloudformation::Client,
}

impl Clients {
    /// Clients for the emulator at `endpoint`.
    pub fn at(endpoint: &str) -> Self {
        Self::of(&config(endpoint))
    }

    /// Clients for the emulator at `endpoint` with these credentials.
    pub fn with(endpoint: &str, credentials: Credentials) -> Self {
        Self::of(&config_of(endpoint, credentials))
    }

    fn of(config: &SdkConfig) -> Self {
        // An endpoint that is an IP address has no virtual-hosted buckets.
        let s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
        Self {
            s3: aws_sdk_s3::Client::from_conf(s3),
            sqs: aws_sdk_sqs::Client::new(config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(config),
            ecr: aws_sdk_ecr::Client::new(config),
            eventbridge: aws_sdk_eventbridge::Client::new(config),
            cloudformation: aws_sdk_cloudformation::Client::new(config),
        }
    }
}

/// An ECS client for the endpoint at `endpoint`.
pub fn ecs(endpoint: &str) -> aws_sdk_ecs::Client {
    aws_sdk_ecs::Client::new(&config(endpoint))
}

/// Configuration for an endpoint on loopback, with credentials that are valid nowhere.
pub fn config(endpoint: &str) -> SdkConfig {
    config_of(endpoint, Credentials::new("local", "local", None, None, "harness"))
}

/// The same with these credentials.
pub fn config_of(endpoint: &str, credentials: Credentials) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// Writes a line into a log stream that is made for it. There is no SDK client of CloudWatch Logs here.
pub async fn write_log(emulator: &str, group: &str, stream: &str, lines: &[Value], at_ms: u64) -> Result<()> {
    let events: Vec<_> =
        lines.iter().map(|line| json!({"timestamp": at_ms, "message": line.to_string()})).collect();
    for (operation, mut body) in
        [("CreateLogStream", json!({})), ("PutLogEvents", json!({"logEvents": events}))]
    {
        (body["logGroupName"], body["logStreamName"]) = (group.into(), stream.into());
        let scope = format!("Credential=local/20260101/{REGION}/logs/aws4_request");
        let call = reqwest::Client::new().post(emulator).body(body.to_string());
        let call = call
            .header("x-amz-target", format!("Logs_20140328.{operation}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("authorization", format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"));
        let answer = call.send().await.context(operation)?;
        anyhow::ensure!(answer.status().is_success(), "{operation}: {}", answer.text().await?);
    }
    Ok(())
}

/// The environment variables by which a process of the pipeline finds its services; all are ordinary `AWS_…` variables.
pub fn environment(emulator: &str, ecs: Option<&str>) -> Vec<(String, String)> {
    let mut env = vec![
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        // Otherwise the SDK looks for missing credentials at an address outside this machine.
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_ENDPOINT_URL_SQS", emulator),
        ("AWS_ENDPOINT_URL_S3", emulator),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", emulator),
        ("AWS_ENDPOINT_URL_ECR", emulator),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", emulator),
        // Services that only doctor calls.
        ("AWS_ENDPOINT_URL_STS", emulator),
        ("AWS_ENDPOINT_URL_IAM", emulator),
        ("AWS_ENDPOINT_URL_EC2", emulator),
        ("AWS_ENDPOINT_URL_SERVICE_QUOTAS", emulator),
        // Services that only other commands call.
        ("AWS_ENDPOINT_URL_CLOUDFORMATION", emulator),
        ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", emulator),
    ];
    env.extend(ecs.map(|endpoint| ("AWS_ENDPOINT_URL_ECS", endpoint)));
    env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
