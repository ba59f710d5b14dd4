//! How an attempt ended: a failure code and a budget, from the task's last heartbeat, ECS' description and, last, the
//! exit code.
//!
//! The terminal record outranks all of this (S12): it was read, and was absent, before this module is asked.

use transcode_config::contract::{
    Budget, ExitCode, Failure, FailureCode, Heartbeat, PastAttempt, TaskState, Who,
};

use crate::{
    protocol::task_view::{TaskArn, TaskView},
    weakness::{Weakness, weak},
};

/// `stoppedReason` of our own StopTask calls. ECS returns them in the task's description, so a restarted controller
/// knows why its predecessor stopped a task.
pub mod stop_reason {
    /// ECS did not provide a host or a network interface in time.
    pub const PROVISIONING_TIMEOUT: &str = "transcode-operator: was not provisioned in time";
    /// ECS did not pull the image in time.
    pub const PULL_TIMEOUT: &str = "transcode-operator: did not pull its image in time";
    /// The task had its image and did not start in time.
    pub const START_TIMEOUT: &str = "transcode-operator: did not start in time";
    /// The task ran longer than a job may (L3).
    pub const RUN_TIMEOUT: &str = "transcode-operator: ran longer than the job may";
    /// The task is alive and makes no progress.
    pub const NO_PROGRESS: &str = "transcode-operator: no progress";
    /// The task's heartbeat does not change.
    pub const NO_HEARTBEAT: &str = "transcode-operator: no heartbeat";
    /// ECS does not know the task any more; the stop makes sure that it is over (S5).
    pub const LOST: &str = "transcode-operator: lost";
    /// A later upload of the same object is live (S17).
    pub const SUPERSEDED: &str = "transcode-operator: superseded";
    /// Somebody has cancelled the job (S19). Whoever stops a task by hand with a reason that begins like [`CANCEL`]
    /// cancels its job too.
    pub const CANCELLED: &str = "cancel: asked for in the control document";
    /// The begin of every reason that cancels the task's job.
    pub const CANCEL: &str = "cancel:";
    /// The task's job is decided, or a newer attempt exists.
    pub const ORPHAN: &str = "transcode-operator: orphan";
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Ended {
    /// The budget that the attempt is charged to.
    pub budget: Budget,
    pub failure: Failure,
    /// The task, if there was one.
    pub task: Option<TaskArn>,
}

impl Ended {
    /// The entry in the history of the next claim or of the terminal record.
    pub fn past(&self, attempt: transcode_config::contract::Attempt) -> PastAttempt {
        PastAttempt {
            attempt,
            budget: self.budget,
            code: self.failure.code,
            message: self.failure.message.chars().take(500).collect(),
            task_arn: self.task.as_ref().map(|arn| arn.0.to_string()),
        }
    }

    /// The end of an attempt without a task, or of one whose task disappeared.
    pub fn without_word(code: FailureCode, message: impl Into<String>, task: Option<TaskArn>) -> Self {
        Self { budget: Budget::Platform, failure: Failure::new(code, message), task }
    }
}

/// Whether ECS may never have confirmed the attempt's end: silence was its only sign. Some attempts with these codes
/// were confirmed; for them the extra reading is unnecessary and harmless.
pub fn unproven(past: &PastAttempt) -> bool {
    matches!(past.code, FailureCode::TaskLost | FailureCode::LaunchExpired)
}

/// Whether the attempt certainly never had a task: its launch was refused for good.
pub fn never_began(past: &PastAttempt) -> bool {
    past.code == FailureCode::LaunchRefused && past.task_arn.is_none()
}

/// Classifies the end of a task whose process has ended while the terminal record is absent.
pub fn classify(view: &TaskView, heartbeat: Option<&Heartbeat>) -> Ended {
    let failure = own_word(heartbeat, view)
        .or_else(|| before_start(view))
        .or_else(|| stopped_by(view))
        .or_else(|| container(view))
        .unwrap_or_else(|| Failure::new(FailureCode::TaskLost, "the task stopped and nobody said why"));
    let ended = Ended { budget: budget(failure.code), failure, task: Some(view.arn.clone()) };
    with_evidence(ended, view)
}

/// The budget that a code is charged to (S10).
fn budget(code: FailureCode) -> Budget {
    let platform = matches!(
        code,
        FailureCode::StartFailed
            | FailureCode::StartTimeout
            | FailureCode::SourceDenied
            | FailureCode::OutputDenied
    ) || code.info().who == Who::Aws;
    if platform && !weak(Weakness::ChargesPlatformFailures) { Budget::Platform } else { Budget::Job }
}

/// The failure that the task's last heartbeat reports. A task that was stopped does not know the reason; the controller
/// that stopped it does.
fn own_word(heartbeat: Option<&Heartbeat>, view: &TaskView) -> Option<Failure> {
    match &heartbeat?.state {
        TaskState::Failed { failure } => Some(failure.clone()),
        TaskState::Interrupted => stopped_by(view)
            .or_else(|| Some(Failure::new(FailureCode::Interrupted, "the task was stopped from outside"))),
        TaskState::Finished => Some(Failure::new(
            FailureCode::Internal,
            "the task says that it finished, and there is no terminal record",
        )),
        TaskState::Working => None,
    }
}

/// Whether a controller has stopped the attempt's task because a later upload was live.
pub fn stopped_as_superseded(ended: &Ended) -> bool {
    ended.failure.evidence.get("ecs_stopped_reason").is_some_and(|reason| reason == stop_reason::SUPERSEDED)
}

fn before_start(view: &TaskView) -> Option<Failure> {
    let stopped = view.stopped_reason.as_deref().unwrap_or_default();
    if stopped == stop_reason::SUPERSEDED || stopped.starts_with(stop_reason::CANCEL) {
        return None;
    }
    if view.stop_code.as_deref() != Some("TaskFailedToStart") && view.started {
        return None;
    }
    let late = match view.stopped_reason.as_deref() {
        Some(stop_reason::PROVISIONING_TIMEOUT) => Some("got no place or no network in time"),
        Some(stop_reason::PULL_TIMEOUT) => Some("did not pull its image in time"),
        Some(stop_reason::START_TIMEOUT) => Some("did not come up in time"),
        _ => None,
    };
    if let Some(late) = late {
        return Some(Failure::new(FailureCode::StartTimeout, format!("the task {late} and was stopped")));
    }
    Some(Failure::new(FailureCode::StartFailed, format!("the task never started: {}", reason(view))))
}

fn stopped_by(view: &TaskView) -> Option<Failure> {
    let interrupted = |text: &str| Some(Failure::new(FailureCode::Interrupted, text));
    match view.stop_code.as_deref()? {
        "SpotInterruption" => interrupted("Spot took the capacity back"),
        "TerminationNotice" | "ServiceSchedulerInitiated" => interrupted("ECS took the host back"),
        "UserInitiated" => match view.stopped_reason.as_deref().unwrap_or("no reason given") {
            stop_reason::RUN_TIMEOUT => {
                Some(Failure::new(FailureCode::RunTimeExceeded, "the attempt ran longer than the job may"))
            }
            stop_reason::NO_PROGRESS => Some(Failure::new(
                FailureCode::EncoderStalled,
                "the task was alive, made no progress for too long and was stopped",
            )),
            stop_reason::NO_HEARTBEAT | stop_reason::LOST => Some(Failure::new(
                FailureCode::TaskLost,
                "the task's heartbeat stood still and it was stopped",
            )),
            other => interrupted(&format!("somebody stopped the task: {other}")),
        },
        _ => None,
    }
}

fn container(view: &TaskView) -> Option<Failure> {
    let container_reason = view.container_reason.as_deref().unwrap_or_default();
    // ECS writes this text in varying letter case, and the exit code may be 137 or 1.
    if container_reason.to_ascii_lowercase().contains("outofmemory") {
        return Some(Failure::new(FailureCode::OutOfMemory, "the container was killed for its memory"));
    }
    let code = view.exit_code?;
    let killed = |signal: &str| {
        Some(Failure::new(FailureCode::TaskKilled, format!("the task was killed by {signal}")))
    };
    match (ExitCode::from_code(code), code) {
        (Some(ExitCode::Succeeded), _) => Some(Failure::new(
            FailureCode::Internal,
            "the task ended with 0, and there is no terminal record",
        )),
        (Some(ExitCode::Superseded), _) => {
            Some(Failure::new(FailureCode::LaunchExpired, "the task came up too late to begin"))
        }
        (Some(exit), _) => {
            let code = exit.failure_code()?;
            Some(Failure::new(code, format!("{}; its own report was lost", exit.meaning())))
        }
        (None, 143) => Some(Failure::new(FailureCode::Interrupted, "the task was stopped by SIGTERM")),
        (None, 137) => killed("SIGKILL"),
        (None, 139) => killed("SIGSEGV"),
        (None, other) => {
            Some(Failure::new(FailureCode::TaskKilled, format!("the task ended with exit code {other}")))
        }
    }
}

fn reason(view: &TaskView) -> &str {
    view.container_reason
        .as_deref()
        .filter(|reason| !reason.is_empty())
        .or(view.stopped_reason.as_deref())
        .unwrap_or("no reason given")
}

fn with_evidence(mut ended: Ended, view: &TaskView) -> Ended {
    let mut failure = ended.failure;
    for (name, value) in [
        ("ecs_stop_code", view.stop_code.clone()),
        ("ecs_stopped_reason", view.stopped_reason.clone()),
        ("ecs_container_reason", view.container_reason.clone()),
        ("ecs_exit_code", view.exit_code.map(|code| code.to_string())),
    ] {
        if let Some(value) = value {
            failure = failure.with(name, value);
        }
    }
    ended.failure = failure;
    ended
}
