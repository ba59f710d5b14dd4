//! The settings file as types. Units are in the names. What each key is for stands in `config/controller.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{contract::Capacity, tenants::TenantSettings};

/// The shipped file: every key with its default and reason.
pub const DEFAULTS: &str = include_str!("../controller.toml");

/// All settings of the controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Name of the deployment.
    pub environment: String,
    /// Job queues by name.
    pub queues: BTreeMap<String, QueueSettings>,
    /// Allowed sources by name.
    pub sources: BTreeMap<String, SourceSettings>,
    /// Events queue.
    pub events: EventSettings,
    /// State bucket.
    pub state: StateSettings,
    /// Output bucket.
    pub output: OutputSettings,
    /// Where tasks run.
    pub cluster: ClusterSettings,
    /// What the task's image has to be like.
    pub image: ImageSettings,
    /// How tasks are launched.
    pub launch: LaunchSettings,
    /// How jobs are tried.
    pub jobs: JobSettings,
    /// How messages are held.
    pub lease: LeaseSettings,
    /// How tasks are watched.
    pub observe: ObserveSettings,
    /// Limits of calls to AWS.
    pub calls: CallSettings,
    /// CloudWatch.
    pub metrics: MetricsSettings,
    /// Prices.
    pub cost: CostSettings,
    /// Health endpoints.
    pub http: HttpSettings,
    /// Shutdown.
    pub drain: DrainSettings,
}

/// A queue that jobs come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// Queue address.
    pub url: String,
    /// Address of its dead-letter queue.
    pub dead_letter_url: String,
    /// Share of the free slots, 1–100.
    #[serde(default = "one")]
    pub weight: u32,
}

fn one() -> u32 {
    1
}

/// A bucket and prefix that uploads may come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// Bucket name.
    pub bucket: String,
    /// Key prefix; empty allows the whole bucket.
    #[serde(default)]
    pub prefix: String,
    /// Root of the stable prefixes of uploads from here; none takes `output.prefix`.
    #[serde(default)]
    pub output_prefix: Option<String>,
    /// Profile of uploads from here; none takes `jobs.default_profile`.
    #[serde(default)]
    pub profile: Option<String>,
    /// Where overlays for what lies here may come from; empty allows none.
    #[serde(default)]
    pub overlays: Vec<OverlaySettings>,
    /// Whose uploads these are; empty: one tenant's.
    #[serde(default)]
    pub tenants: Vec<TenantSettings>,
    /// Endings of the keys that are taken from S3's events, whatever their letter case; empty takes all.
    #[serde(default)]
    pub suffixes: Vec<String>,
}

impl SourceSettings {
    /// Whether an upload with this key is taken, as far as its ending goes.
    pub fn takes(&self, key: &str) -> bool {
        let ends = |suffix: &String| {
            let at = key.len().checked_sub(suffix.len());
            at.and_then(|at| key.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        };
        self.suffixes.is_empty() || self.suffixes.iter().any(ends)
    }
}

/// A bucket and prefix that overlays may come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlaySettings {
    /// Bucket name.
    pub bucket: String,
    /// Key prefix; empty allows the whole bucket.
    #[serde(default)]
    pub prefix: String,
}

/// The events queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventSettings {
    /// Queue address; none works too.
    #[serde(default)]
    pub queue_url: Option<String>,
}

/// The state bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateSettings {
    /// Bucket name.
    pub bucket: String,
}

/// The production bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSettings {
    /// Bucket name.
    pub bucket: String,
    /// Root of all stable prefixes.
    pub prefix: String,
}

/// Where tasks run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSettings {
    /// Cluster name or ARN.
    pub name: String,
    /// Family, family:revision or ARN.
    pub task_definition: String,
    /// Container name.
    pub container: String,
    /// Subnet ids.
    pub subnets: Vec<String>,
    /// Security group ids.
    pub security_groups: Vec<String>,
    /// Public address.
    pub assign_public_ip: bool,
    /// Fargate platform version.
    pub platform_version: String,
    /// Log group of the tasks; empty where there is none.
    pub log_group: String,
    /// Prefix of their log streams.
    pub log_stream_prefix: String,
}

/// What the task's image has to be like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is a key of its own in the file")]
pub struct ImageSettings {
    /// Whether it is looked at.
    pub check: bool,
    /// What of an image outside ECR.
    pub other_registries: OtherRegistries,
    /// Only by digest.
    pub require_digest: bool,
    /// A tag may come to mean another image under one revision.
    pub allow_moved_tags: bool,
    /// Findings from this severity on.
    pub refuse_findings: Severity,
    /// Not scanned is refused.
    pub require_scan: bool,
    /// How long a good reading holds.
    pub recheck_seconds: u64,
}

/// What of an image that is not in ECR, where nothing can be read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherRegistries {
    /// Launched unchecked.
    Skip,
    /// Not launched.
    Refuse,
}

/// How bad a finding of ECR's scan is, from the least on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// `LOW`.
    Low,
    /// `MEDIUM`.
    Medium,
    /// `HIGH`.
    High,
    /// `CRITICAL`.
    Critical,
    /// Worse than any.
    Off,
}

/// How tasks are launched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchSettings {
    /// Nothing is received or launched.
    pub paused: bool,
    /// Most tasks at a time.
    pub max_tasks: u32,
    /// Most vCPU at a time; 0 sets no limit.
    pub max_vcpu: u32,
    /// CPU units.
    pub cpu: u32,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// Ephemeral storage, GiB; 0 leaves the default.
    pub ephemeral_gib: u32,
    /// Ephemeral storage by the source's size, percent.
    pub disk_percent_of_source: u64,
    /// Sizes after running out of memory: CPU units, MiB.
    pub oom_sizes: Vec<(u32, u32)>,
    /// On-demand or Spot.
    pub capacity: Capacity,
    /// Attempts of a job that Spot may refuse or take back.
    pub spot_attempts: u32,
    /// Jobs that have waited longer go on-demand; 0 never.
    pub spot_max_age_seconds: u64,
    /// How long all go on-demand after Spot had no capacity.
    pub spot_pause_seconds: u64,
    /// How long after the claim RunTask may be sent.
    pub deadline_seconds: u64,
    /// Allowed difference of clocks.
    pub clock_skew_seconds: u64,
    /// RunTask calls a second.
    pub per_second: f64,
    /// RunTask calls in a burst.
    pub burst: u32,
    /// Pause for all launches after a capacity refusal.
    pub cooldown_seconds: u64,
    /// Jobs that fail one after the other before launching stops; 0 never.
    pub breaker_jobs: u32,
    /// Time between the launches that are made all the same.
    pub breaker_probe_seconds: u64,
    /// Most messages that wait for a slot here; used with tenants.
    pub look_ahead: u32,
}

/// How jobs are tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSettings {
    /// Attempts charged to the job.
    pub max_attempts: u32,
    /// Attempts charged to the platform.
    pub max_platform_attempts: u32,
    /// First wait between attempts.
    pub retry_base_seconds: u64,
    /// Longest wait between attempts.
    pub retry_cap_seconds: u64,
    /// Longest run of one attempt.
    pub max_run_seconds: u64,
    /// Largest source.
    pub max_source_bytes: u64,
    /// Profile of uploads.
    pub default_profile: String,
}

/// How messages are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseSettings {
    /// Visibility timeout.
    pub visibility_seconds: u64,
    /// Extension when less is left.
    pub margin_seconds: u64,
    /// Putting aside of unknown versions.
    pub park_seconds: u64,
}

/// How tasks are watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObserveSettings {
    /// Describe period.
    pub describe_seconds: u64,
    /// List period.
    pub resync_seconds: u64,
    /// From RunTask to the begin of the pull.
    pub provisioning_timeout_seconds: u64,
    /// Pulling the image.
    pub pull_timeout_seconds: u64,
    /// From the end of the pull to RUNNING.
    pub start_timeout_seconds: u64,
    /// Heartbeat staleness.
    pub heartbeat_stale_seconds: u64,
    /// Longest time that a living task may get nowhere.
    pub no_progress_seconds: u64,
    /// From StopTask to STOPPED.
    pub stop_timeout_seconds: u64,
    /// Orphans.
    pub orphan_grace_seconds: u64,
}

/// Limits of calls to AWS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSettings {
    /// TCP and TLS.
    pub connect_seconds: u64,
    /// One try.
    pub attempt_seconds: u64,
    /// All tries.
    pub operation_seconds: u64,
    /// Calls under way.
    pub concurrency: u32,
    /// Long poll.
    pub receive_wait_seconds: u64,
    /// Reads from ECS a second.
    pub reads_per_second: f64,
    /// StopTask calls a second.
    pub stops_per_second: f64,
}

/// CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    /// Namespace.
    pub namespace: String,
    /// Send period.
    pub period_seconds: u64,
}

/// What tasks are paid for with, where it is not the list price.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostSettings {
    /// USD for an hour of one vCPU; 0 is the list price.
    pub vcpu_hour: f64,
    /// USD for an hour of one GiB of memory; 0 is the list price.
    pub gib_hour: f64,
    /// USD for an hour of one GiB of storage; 0 is the list price.
    pub storage_gib_hour: f64,
    /// Spot's price, percent of on demand.
    pub spot_percent: f64,
}

/// Health endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Address and port.
    pub listen: String,
}

/// Shutdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainSettings {
    /// Longest drain.
    pub timeout_seconds: u64,
}
