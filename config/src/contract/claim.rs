//! `attempts/<n>.json`: the claim of an attempt number, made before the task is launched.

use serde::{Deserialize, Serialize};

use super::{
    document::Document,
    failure::FailureCode,
    job::{Attempt, JobKey},
};

/// Which Fargate capacity an attempt asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Capacity {
    /// On-demand.
    Fargate,
    /// Spot: cheaper, may be taken back after two minutes' warning or none.
    FargateSpot,
}

/// Parameters of a launch beyond the task definition. The client token changes with them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskShape {
    /// On-demand or Spot.
    pub capacity: Capacity,
    /// CPU units (1024 = one vCPU).
    pub cpu: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Ephemeral storage in GiB (21–200); none leaves Fargate's 20 GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral_gib: Option<u32>,
}

/// Which budget an ended attempt was charged to (S10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// The job's own: its input or its transcoding failed.
    Job,
    /// The platform's: capacity, throttles, Spot, image pull, never started.
    Platform,
}

/// How an earlier attempt ended. Each claim carries it on, so budgets survive a restart and ECS' short memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct PastAttempt {
    pub attempt: Attempt,
    /// Which budget it was charged to.
    pub budget: Budget,
    /// Stable failure code.
    pub code: FailureCode,
    /// One line for a person.
    pub message: String,
    /// The task, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_arn: Option<String>,
}

/// The claim to launch one attempt. Immutable: the `RunTask` request is a pure function of it (S7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Claim {
    pub schema: u32,
    pub job: JobKey,
    pub attempt: Attempt,
    /// Task definition ARN with its revision.
    pub task_definition: String,
    /// Digest of the manifest that the task's image named when it was checked; none where it was not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// Capacity and size of the task.
    pub variant: TaskShape,
    /// `RunTask` is not sent, and a task that starts does no work, from this moment on (ms since 1970).
    pub launch_not_after_ms: u64,
    /// When the claim was made (ms since 1970).
    pub created_at_ms: u64,
    /// Random per writer: distinguishes this writer's claim, whose answer was lost, from another's.
    pub nonce: String,
    /// How the attempts before ended, oldest first.
    #[serde(default)]
    pub history: Vec<PastAttempt>,
}

impl Document for Claim {
    const NAME: &'static str = "attempt claim";
}

impl Claim {
    /// `RunTask`'s client token: at most 64 ASCII characters, the same for the same (job, attempt, variant).
    pub fn client_token(&self) -> String {
        let TaskShape { capacity, cpu, memory_mib, ephemeral_gib } = &self.variant;
        let variant = format!("{capacity:?}/{cpu}/{memory_mib}/{}", ephemeral_gib.unwrap_or(0));
        let token = JobKey::of(&[self.job.as_str(), &self.attempt.to_string(), &variant]);
        format!("tc-{token}")
    }
}
