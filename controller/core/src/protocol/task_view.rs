//! A task as ECS describes it, reduced to what decisions need.

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

/// `lastStatus`, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskStatus {
    /// PROVISIONING, PENDING, ACTIVATING: not running yet.
    Starting,
    /// RUNNING, DEACTIVATING, STOPPING: its process may be working.
    Running,
    /// DEPROVISIONING with a recorded end of execution, STOPPED, DELETED: its process has ended for good.
    Ended,
}

/// Where a task is on its way to RUNNING. Each has a deadline of its own: what is slow differs, and who can act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StartPhase {
    /// It waits for a place and a network interface.
    Provisioning,
    /// Its image is pulled.
    Pulling,
    /// Its containers come up.
    Activating,
}

/// Who the task says it is: from the environment overrides of its launch, which, unlike tags, outlive StopTask.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Identity {
    pub job: JobKey,
    pub attempt: Attempt,
}

/// What ran, what it is paid for, and when it was what. For people, metrics and the deadlines of its start.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Billed {
    /// What it has.
    pub size: Size,
    /// `x86_64` or `arm64`; empty where ECS does not say.
    pub architecture: String,
    /// Digest of the image that was pulled for our container, once it was and where ECS says.
    pub image_digest: Option<String>,
    /// `createdAt`, by ECS' clock (ms since 1970), as all of these.
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

/// What DescribeTasks said of one task.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaskView {
    /// ARN.
    pub arn: TaskArn,
    /// ECS' own counter: a view with a smaller one is older and is dropped.
    pub version: i64,
    /// Its identity; none for a task that carries our `startedBy` but not our overrides: somebody else's.
    pub identity: Option<Identity>,
    /// Where it is in its life.
    pub status: TaskStatus,
    /// `desiredStatus` is STOPPED.
    pub stopping: bool,
    /// `stopCode`, such as `EssentialContainerExited`.
    pub stop_code: Option<String>,
    /// `stoppedReason`.
    pub stopped_reason: Option<String>,
    /// Exit code of our container.
    pub exit_code: Option<i32>,
    /// Reason given for our container; says more than the task's.
    pub container_reason: Option<String>,
    /// Whether it has ever been RUNNING (`startedAt` is set).
    pub started: bool,
    /// What it has and is paid for.
    pub billed: Billed,
}

impl TaskView {
    /// How far its start has come, by which of ECS' timestamps are there; what they say does not matter.
    pub fn start_phase(&self) -> StartPhase {
        match (self.billed.pull_started_at, self.billed.pull_stopped_at) {
            (_, Some(_)) => StartPhase::Activating,
            (Some(_), None) => StartPhase::Pulling,
            (None, None) => StartPhase::Provisioning,
        }
    }

    /// Whether its process has ended for good.
    pub fn ended(&self) -> bool {
        self.status == TaskStatus::Ended
    }
}
