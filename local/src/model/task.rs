//! The record of one task.

use serde_json::Value;

use super::Millis;

/// The last part of a task's ARN: 32 hexadecimal digits.
pub(crate) type TaskId = String;

/// Where a task is in its life; `lastStatus` of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Waiting for network interface and disk.
    Provisioning,
    /// Waiting for the image.
    Pending,
    /// Its processes run.
    Running,
    /// The processes are gone; resources are being released.
    Deprovisioning,
    /// Over.
    Stopped,
}

impl Phase {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// Why and since when a task stops. A task has one as soon as its desired status is STOPPED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    /// `stopCode`, such as `UserInitiated`.
    pub(crate) code: String,
    /// `stoppedReason`.
    pub(crate) reason: String,
    /// Between SIGTERM and SIGKILL, instead of the containers' own `stopTimeout`.
    pub(crate) grace: Option<Millis>,
}

/// The process that plays a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    /// Not started.
    Waiting,
    /// Its process id, which is also its session's and its group's.
    Alive(u32),
    /// Ended and reaped.
    Ended,
}

/// One container of a task.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    /// The digest that the registry gave for it, if a test set one.
    pub(crate) digest: Option<String>,
    pub(crate) arn: String,
    /// Its id in Docker.
    pub(crate) runtime_id: String,
    /// Whether the task ends when it does.
    pub(crate) essential: bool,
    /// Its own memory limit in MiB.
    pub(crate) memory: Option<u64>,
    /// Between SIGTERM and SIGKILL.
    pub(crate) stop_timeout: Millis,
    /// Arguments after the program.
    pub(crate) arguments: Vec<String>,
    /// Definition and overrides merged.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) process: Process,
    pub(crate) exit_code: Option<i32>,
    pub(crate) reason: Option<String>,
    /// Whether it exceeded its memory limit: its end is reported as that.
    pub(crate) out_of_memory: bool,
    /// Whether SIGKILL was sent to it because of that.
    pub(crate) killed: bool,
    /// Resident bytes of its processes at the last measurement.
    pub(crate) resident: u64,
}

/// When things happened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    pub(crate) created: Millis,
    pub(crate) pull_started: Option<Millis>,
    pub(crate) pull_stopped: Option<Millis>,
    pub(crate) started: Option<Millis>,
    pub(crate) stopping: Option<Millis>,
    pub(crate) execution_stopped: Option<Millis>,
    pub(crate) stopped: Option<Millis>,
}

/// The faults of a task, drawn at its launch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    /// It fails to start with this reason.
    pub(crate) start_failure: Option<String>,
    /// It is interrupted this long after its start, with this long between SIGTERM and SIGKILL.
    pub(crate) interruption: Option<(Millis, Option<Millis>)>,
    /// It never leaves this phase unless it is stopped.
    pub(crate) stuck: Option<Phase>,
    /// Its end goes unnoticed: it stays RUNNING.
    pub(crate) never_stopped: bool,
}

/// The request: a launch type or a capacity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Placement {
    /// `launchType: FARGATE`.
    LaunchType,
    /// `FARGATE` or `FARGATE_SPOT`, from a capacity provider strategy.
    CapacityProvider(String),
}

/// One task.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) arn: String,
    pub(crate) cluster: String,
    pub(crate) cluster_arn: String,
    pub(crate) definition_arn: String,
    pub(crate) family: String,
    pub(crate) revision: u32,
    pub(crate) group: String,
    pub(crate) started_by: Option<String>,
    pub(crate) placement: Placement,
    pub(crate) platform_version: String,
    pub(crate) overrides: Value,
    /// A list of key and value pairs; StopTask empties it.
    pub(crate) tags: Vec<Value>,
    /// 1024 units a vCPU.
    pub(crate) cpu: u32,
    /// MiB.
    pub(crate) memory: u32,
    /// GiB.
    pub(crate) ephemeral_storage: u32,
    pub(crate) containers: Vec<Container>,
    pub(crate) phase: Phase,
    pub(crate) phase_since: Millis,
    pub(crate) stop: Option<Stop>,
    pub(crate) times: Times,
    /// Number of changes.
    pub(crate) version: u64,
    /// `TRANSCODE_JOB` of the override environment, for the counters.
    pub(crate) job: Option<String>,
    pub(crate) script: Script,
    /// When SIGTERM was sent.
    pub(crate) terminated_at: Option<Millis>,
    /// SIGKILL was sent.
    pub(crate) killed: bool,
    /// Whether its working folder was checked.
    pub(crate) cleaned: bool,
    /// It never started, so the API shows no containers.
    pub(crate) failed_to_start: bool,
    /// The token of its launch, so that the token table learns of its end.
    pub(crate) token: Option<String>,
}

impl Task {
    pub(crate) fn desired_status(&self) -> &'static str {
        if self.stop.is_some() { "STOPPED" } else { "RUNNING" }
    }

    /// Process ids of the containers that run.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.containers.iter().filter_map(Container::pid).collect()
    }

    /// Whether it runs on Spot capacity.
    pub(crate) fn is_spot(&self) -> bool {
        matches!(&self.placement, Placement::CapacityProvider(name) if name == "FARGATE_SPOT")
    }
}

impl Container {
    /// The process id while the process runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self.process {
            Process::Alive(pid) => Some(pid),
            Process::Waiting | Process::Ended => None,
        }
    }
}

/// A task for unit tests: two containers, the first essential; 512 MiB; just created at time 0.
#[cfg(test)]
pub(crate) fn example() -> Task {
    let container = |name: &str, essential| Container {
        name: name.to_owned(),
        image: "image".to_owned(),
        digest: None,
        arn: format!("arn:container/{name}"),
        runtime_id: name.to_owned(),
        essential,
        memory: None,
        stop_timeout: 30_000,
        arguments: Vec::new(),
        environment: Vec::new(),
        process: Process::Waiting,
        exit_code: None,
        reason: None,
        out_of_memory: false,
        killed: false,
        resident: 0,
    };
    Task {
        id: "t".to_owned(),
        arn: "arn:aws:ecs:us-east-1:123456789012:task/c/t".to_owned(),
        cluster: "c".to_owned(),
        cluster_arn: "arn:aws:ecs:us-east-1:123456789012:cluster/c".to_owned(),
        definition_arn: "arn:aws:ecs:us-east-1:123456789012:task-definition/f:1".to_owned(),
        family: "f".to_owned(),
        revision: 1,
        group: "family:f".to_owned(),
        started_by: None,
        placement: Placement::LaunchType,
        platform_version: "1.4.0".to_owned(),
        overrides: Value::Null,
        tags: vec![serde_json::json!({"key": "k", "value": "v"})],
        cpu: 256,
        memory: 512,
        ephemeral_storage: 20,
        containers: vec![container("main", true), container("side", false)],
        phase: Phase::Provisioning,
        phase_since: 0,
        stop: None,
        times: Times::default(),
        version: 1,
        job: None,
        script: Script::default(),
        terminated_at: None,
        killed: false,
        cleaned: false,
        failed_to_start: false,
        token: None,
    }
}
