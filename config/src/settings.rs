//! The settings file as types. Units are in the names. `config/controller.toml` documents every key.
#![allow(missing_docs, reason = "config/controller.toml documents every key, with default and reason")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    contract::{Capacity, EventKind},
    metrics::Detail,
    tenants::TenantSettings,
};

/// The shipped file: every key with its default and reason.
pub const DEFAULTS: &str = include_str!("../controller.toml");

/// All settings of the controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub environment: String,
    pub queues: BTreeMap<String, QueueSettings>,
    pub sources: BTreeMap<String, SourceSettings>,
    pub events: EventSettings,
    pub state: StateSettings,
    pub output: OutputSettings,
    pub cluster: ClusterSettings,
    pub image: ImageSettings,
    pub launch: LaunchSettings,
    pub jobs: JobSettings,
    pub lease: LeaseSettings,
    pub observe: ObserveSettings,
    pub calls: CallSettings,
    pub metrics: MetricsSettings,
    pub tracing: TracingSettings,
    pub cost: CostSettings,
    pub http: HttpSettings,
    pub drain: DrainSettings,
    pub control: ControlSettings,
}

impl Settings {
    /// These settings with what of `new` takes effect without a restart: decisions, and no names.
    #[must_use]
    pub fn reloaded(&self, new: &Self) -> Self {
        let mut queues = self.queues.clone();
        for (name, queue) in &mut queues {
            queue.weight = new.queues.get(name).map_or(queue.weight, |new| new.weight);
        }
        Self {
            queues,
            launch: new.launch.clone(),
            jobs: new.jobs.clone(),
            observe: new.observe.clone(),
            sources: new.sources.clone(),
            // The events queue has an adapter of its own since the start.
            events: EventSettings { queue_url: self.events.queue_url.clone(), ..new.events.clone() },
            ..self.clone()
        }
    }
}

/// A queue that jobs come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    pub url: String,
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
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
    /// Language (BCP 47) of tracks of uploads from here whose language the file does not name; none takes the
    /// profile's.
    #[serde(default)]
    pub default_language: Option<String>,
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OverlaySettings {
    pub bucket: String,
    /// Key prefix; empty allows the whole bucket.
    #[serde(default)]
    pub prefix: String,
}

/// The events queue, and the events of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EventSettings {
    /// Queue address; none works too.
    #[serde(default)]
    pub queue_url: Option<String>,
    /// Name or ARN of the bus that the events of jobs go to; empty: they go nowhere.
    pub bus: String,
    /// What is told beside the outcomes.
    pub kinds: Vec<EventKind>,
    pub progress_seconds: u64,
    pub outbox_after_seconds: u64,
}

/// The state bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StateSettings {
    pub bucket: String,
}

/// The production bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OutputSettings {
    pub bucket: String,
    pub prefix: String,
}

/// Where tasks run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClusterSettings {
    pub name: String,
    pub task_definition: String,
    pub container: String,
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub assign_public_ip: bool,
    pub platform_version: String,
    /// Log group of the tasks; empty where there is none.
    pub log_group: String,
    pub log_stream_prefix: String,
    /// Log group of the controller, for commands; empty where there is none.
    pub controller_log_group: String,
}

/// What the task's image has to be like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is a key of its own in the file")]
pub struct ImageSettings {
    pub check: bool,
    pub other_registries: OtherRegistries,
    pub require_digest: bool,
    pub allow_moved_tags: bool,
    pub refuse_findings: Severity,
    pub require_scan: bool,
    pub recheck_seconds: u64,
}

/// What of an image that is not in ECR, where nothing can be read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OtherRegistries {
    /// Launched unchecked.
    Skip,
    /// Not launched.
    Refuse,
}

/// How bad a finding of ECR's scan is, from the least on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LaunchSettings {
    pub paused: bool,
    pub max_tasks: u32,
    /// Most vCPU at a time; 0 sets no limit.
    pub max_vcpu: u32,
    pub cpu: u32,
    pub memory_mib: u32,
    /// Ephemeral storage, GiB; 0 leaves the default.
    pub ephemeral_gib: u32,
    /// Ephemeral storage by the source's size, percent.
    pub disk_percent_of_source: u64,
    pub oom_sizes: Vec<(u32, u32)>,
    pub capacity: Capacity,
    pub spot_attempts: u32,
    /// Jobs that have waited longer go on-demand; 0 never.
    pub spot_max_age_seconds: u64,
    pub spot_pause_seconds: u64,
    pub deadline_seconds: u64,
    pub clock_skew_seconds: u64,
    pub per_second: f64,
    pub burst: u32,
    pub cooldown_seconds: u64,
    /// Jobs that fail one after the other before launching stops; 0 never.
    pub breaker_jobs: u32,
    pub breaker_probe_seconds: u64,
    /// Most messages that wait for a slot here; used with tenants.
    pub look_ahead: u32,
}

/// How jobs are tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JobSettings {
    pub max_attempts: u32,
    pub max_platform_attempts: u32,
    pub retry_base_seconds: u64,
    pub retry_cap_seconds: u64,
    pub max_run_seconds: u64,
    pub max_source_bytes: u64,
    pub stop_superseded: bool,
    pub default_profile: String,
}

/// How messages are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LeaseSettings {
    pub visibility_seconds: u64,
    pub margin_seconds: u64,
    pub park_seconds: u64,
}

/// How tasks are watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ObserveSettings {
    pub describe_seconds: u64,
    pub resync_seconds: u64,
    pub provisioning_timeout_seconds: u64,
    pub pull_timeout_seconds: u64,
    pub start_timeout_seconds: u64,
    pub heartbeat_stale_seconds: u64,
    pub no_progress_seconds: u64,
    pub stop_timeout_seconds: u64,
    pub orphan_grace_seconds: u64,
}

/// Limits of calls to AWS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CallSettings {
    pub connect_seconds: u64,
    pub attempt_seconds: u64,
    pub operation_seconds: u64,
    pub concurrency: u32,
    pub receive_wait_seconds: u64,
    pub reads_per_second: f64,
    pub stops_per_second: f64,
}

/// CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MetricsSettings {
    pub namespace: String,
    pub period_seconds: u64,
    pub detail: Detail,
    pub prometheus: PrometheusSettings,
}

/// What Prometheus scrapes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PrometheusSettings {
    /// Address and port; empty: nothing listens.
    pub listen: String,
}

/// Traces of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TracingSettings {
    pub otlp: OtlpSettings,
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OtlpSettings {
    /// Base URL of a collector; empty: nowhere.
    pub endpoint: String,
}

/// What tasks are paid for with, where it is not the list price.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    pub listen: String,
}

/// Shutdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DrainSettings {
    pub timeout_seconds: u64,
}

/// The control document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ControlSettings {
    pub poll_seconds: u64,
    pub start_wait_seconds: u64,
}
