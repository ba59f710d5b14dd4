//! Faults that tests switch on.
//!
//! A fault says what goes wrong ([`FaultKind`]), for which calls (operation, job) and how often (`count`, `one_in`).
//! The first fault that fits a call, in the order they were set, is taken.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{error::ApiError, input};

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum FaultKind {
    /// The call is refused with `ThrottlingException`, status 400.
    Throttle,
    /// The call is refused with a throttle inside an `InvalidParameterException`, which no SDK retries.
    ThrottleWrapped,
    /// The call is refused with any exception.
    Error {
        /// Exception name, such as `ServerException`.
        code: String,
        /// Text of the exception.
        #[serde(default)]
        message: String,
        /// HTTP status, 400 to 599.
        #[serde(default = "default_status")]
        status: u16,
    },
    /// RunTask answers 200 with these `failures` and no task, and keeps that answer under the token.
    Failures {
        /// `reason` of the failure.
        #[serde(default = "default_capacity")]
        reason: String,
        /// `detail` of the failure, if any.
        #[serde(default)]
        detail: Option<String>,
    },
    /// The call is carried out, its answer never arrives.
    LostAnswer {
        /// How the caller notices.
        #[serde(default)]
        how: Loss,
    },
    /// The call is not carried out, and no answer arrives.
    LostRequest {
        /// How the caller notices.
        #[serde(default)]
        how: Loss,
    },
    /// The answer comes late.
    Delay {
        /// Delay in milliseconds.
        milliseconds: u64,
    },
    /// DescribeTasks answers `MISSING` for young tasks.
    Missing {
        /// Age in milliseconds below which a task is missing.
        milliseconds: u64,
    },
    /// ListTasks answers with an old state.
    StaleList {
        /// Age of the state in milliseconds.
        milliseconds: u64,
    },
    /// ListTasks names every task of the page twice.
    RepeatedList,
    /// ListTasks leaves out this page's tasks; the paging goes on as usual.
    GappedList,
    /// A launched task fails to start: `TaskFailedToStart`, this reason, no containers.
    StartFailure {
        /// `stoppedReason`.
        #[serde(default = "default_start_failure")]
        reason: String,
    },
    /// A task launched on Spot is interrupted.
    SpotInterruption {
        /// Milliseconds after its start.
        #[serde(default)]
        after_milliseconds: u64,
        /// Milliseconds between SIGTERM and SIGKILL; the containers' `stopTimeout` if absent, none if 0.
        #[serde(default)]
        warning_milliseconds: Option<u64>,
    },
    /// A launched task never leaves this phase by itself: `PROVISIONING`, `PENDING` or `DEPROVISIONING`.
    Stuck { phase: String },
    /// The end of a launched task's process is never noticed: it stays RUNNING.
    NeverStopped,
    /// A state-change event is not sent.
    EventLost,
    /// A state-change event is sent twice.
    EventDuplicated,
    /// A state-change event is held back and sent after the next one.
    EventHeld,
}

/// How a lost call looks to the caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The connection is closed.
    #[default]
    Close,
    /// Nothing comes: the connection stays open until the caller gives up (at most ten minutes).
    Hang,
    /// A `ServerException`, status 500.
    InternalError,
}

fn default_status() -> u16 {
    400
}

fn default_capacity() -> String {
    "Capacity is unavailable at this time. Please try again later or in a different availability zone"
        .to_owned()
}

fn default_start_failure() -> String {
    "ResourceInitializationError: unable to pull secrets or registry auth: context deadline exceeded"
        .to_owned()
}

/// A fault and its scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// Only calls of this operation, such as `RunTask`; every one that can be hit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only calls and tasks of this job (`TRANSCODE_JOB` of the override environment).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// How many times it hits; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Hits every n-th matching call, starting with the first; every one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_in: Option<u32>,
}

impl FaultKind {
    /// The name that `kind` has in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::ThrottleWrapped => "throttle_wrapped",
            Self::Error { .. } => "error",
            Self::Failures { .. } => "failures",
            Self::LostAnswer { .. } => "lost_answer",
            Self::LostRequest { .. } => "lost_request",
            Self::Delay { .. } => "delay",
            Self::Missing { .. } => "missing",
            Self::StaleList { .. } => "stale_list",
            Self::RepeatedList => "repeated_list",
            Self::GappedList => "gapped_list",
            Self::StartFailure { .. } => "start_failure",
            Self::SpotInterruption { .. } => "spot_interruption",
            Self::Stuck { .. } => "stuck",
            Self::NeverStopped => "never_stopped",
            Self::EventLost => "event_lost",
            Self::EventDuplicated => "event_duplicated",
            Self::EventHeld => "event_held",
        }
    }
}

impl Fault {
    /// A fault without scope or count.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, operation: None, job: None, count: None, one_in: None }
    }

    /// Reads a fault. Fields without an effect are refused: a mistyped `count` would hit for ever.
    pub(crate) fn from_json(body: &Value) -> Result<Self, ApiError> {
        let fault: Self = input::parse(body)?;
        let heeded = input::write(&fault)?;
        let given = body.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        if let Some((name, _)) = given.into_iter().find(|(name, _)| heeded.get(name).is_none()) {
            return Err(ApiError::invalid(format!("{} has no field {name}", fault.kind.name())));
        }
        match &fault.kind {
            FaultKind::Error { status, .. } if !(400..=599).contains(status) => {
                Err(ApiError::invalid("status must be between 400 and 599"))
            }
            FaultKind::Stuck { phase }
                if !["PROVISIONING", "PENDING", "DEPROVISIONING"].contains(&phase.as_str()) =>
            {
                Err(ApiError::invalid("phase must be PROVISIONING, PENDING or DEPROVISIONING"))
            }
            _ => Ok(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn faults_are_written_in_json() {
        let fault: Fault = serde_json::from_str(
            r#"{"kind":"spot_interruption","afterMilliseconds":5,"operation":"RunTask","count":1}"#,
        )
        .unwrap();
        let kind = FaultKind::SpotInterruption { after_milliseconds: 5, warning_milliseconds: None };
        assert_eq!((fault.kind, fault.count), (kind, Some(1)));
        let lost: Fault = serde_json::from_str(r#"{"kind":"lost_answer","how":"hang"}"#).unwrap();
        assert_eq!(lost.kind, FaultKind::LostAnswer { how: Loss::Hang });
    }

    #[test]
    fn what_would_not_be_heeded_is_refused() {
        let refused = |body: Value| Fault::from_json(&body).unwrap_err().message;
        assert!(refused(json!({"kind": "earthquake"})).contains("earthquake"));
        assert_eq!(refused(json!({"kind": "throttle", "cuont": 1})), "throttle has no field cuont");
        assert_eq!(
            refused(json!({"kind": "throttle", "milliseconds": 1})),
            "throttle has no field milliseconds"
        );
        assert!(refused(json!({"kind": "stuck", "phase": "RUNNING"})).starts_with("phase"));
        assert!(refused(json!({"kind": "error", "code": "X", "status": 200})).starts_with("status"));
        let body = json!({"kind": "failures", "operation": "RunTask", "job": null, "oneIn": 2});
        assert_eq!(Fault::from_json(&body).unwrap().one_in, Some(2));
    }
}
