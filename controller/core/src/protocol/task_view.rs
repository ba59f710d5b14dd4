//! A task as ECS describes it, reduced to the fields that decisions need.

use std::fmt;

use serde::{Deserialize, Serialize};
use transcode_config::{
    contract::{Attempt, JobKey},
    prices::Size,
};

use crate::protocol::{clock::Ms, name::Name};

/// ARN of a task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskArn(pub Name);

impl fmt::Display for TaskArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `lastStatus`, in the three classes that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskStatus {
    /// PROVISIONING, PENDING, ACTIVATING: not running yet.
    Starting,
    /// RUNNING, DEACTIVATING, STOPPING: the process may be working.
    Running,
    /// STOPPED, DELETED, or DEPROVISIONING with a recorded end of execution: the process has ended for good.
    Ended,
}

/// Phase of a task before RUNNING. Each phase has its own deadline, because the cause of a delay and the remedy differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StartPhase {
    /// It waits for a place and a network interface.
    Provisioning,
    /// Its image is pulled.
    Pulling,
    /// Its containers come up.
    Activating,
}

/// Identity of the task: from the environment overrides of its launch, which, unlike tags, outlive StopTask.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Identity {
    pub job: JobKey,
    pub attempt: Attempt,
}

/// Size, platform and times of a task. For people, for metrics and for the deadlines of the start.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Billed {
    /// CPU and memory of the task.
    pub size: Size,
    /// `x86_64` or `arm64`; empty if ECS does not say.
    pub architecture: String,
    /// Digest of the image that was pulled for our container; `None` before the pull, or if ECS does not say.
    pub image_digest: Option<String>,
    /// `createdAt` (ms since 1970, ECS' clock; so are all times here).
    pub created_at: Option<Ms>,
    /// `pullStartedAt`.
    pub pull_started_at: Option<Ms>,
    /// `pullStoppedAt`.
    pub pull_stopped_at: Option<Ms>,
    /// `startedAt`.
    pub started_at: Option<Ms>,
    /// `executionStoppedAt`, or `stoppedAt`.
    pub stopped_at: Option<Ms>,
}

/// The description of one task by DescribeTasks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaskView {
    /// ARN.
    pub arn: TaskArn,
    /// ECS' counter. A view with a smaller number is older and is dropped.
    pub version: i64,
    /// `None`: a task that carries our `startedBy` but not our overrides; it belongs to somebody else.
    pub identity: Option<Identity>,
    /// Class of `lastStatus`.
    pub status: TaskStatus,
    /// `desiredStatus` is STOPPED.
    pub stopping: bool,
    /// `stopCode`, such as `EssentialContainerExited`.
    pub stop_code: Option<String>,
    /// `stoppedReason`.
    pub stopped_reason: Option<String>,
    /// Exit code of our container.
    pub exit_code: Option<i32>,
    /// ECS' reason for our container; more precise than the task's.
    pub container_reason: Option<String>,
    /// Whether it has ever been RUNNING (`startedAt` is set).
    pub started: bool,
    /// Size, platform and times.
    pub billed: Billed,
}

impl TaskView {
    /// The phase of the start, derived from which of ECS' timestamps exist; their values do not matter.
    pub fn start_phase(&self) -> StartPhase {
        match (self.billed.pull_started_at, self.billed.pull_stopped_at) {
            (_, Some(_)) => StartPhase::Activating,
            (Some(_), None) => StartPhase::Pulling,
            (None, None) => StartPhase::Provisioning,
        }
    }

    /// Whether the process has ended for good.
    pub fn ended(&self) -> bool {
        self.status == TaskStatus::Ended
    }
}
