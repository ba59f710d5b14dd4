//! Faults that tests switch on.
//!
//! A fault says what goes wrong ([`FaultKind`]), for which calls (operation, job) and how often (`count`, `one_in`).
//! The first fault that fits a call, in the order they were set, is taken.

use serde::{Deserialize, Serialize};

/// Faults that can be set at one time.
pub(crate) const MAX_FAULTS: usize = 1000;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
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
    /// The answer comes late by so much.
    Delay {
        /// Milliseconds.
        milliseconds: u64,
    },
    /// DescribeTasks says `MISSING` of tasks younger than so much.
    Missing {
        /// Milliseconds since the task was created.
        milliseconds: u64,
    },
    /// ListTasks answers what was true so long ago.
    StaleList {
        /// Milliseconds.
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
    Stuck {
        /// The phase.
        phase: String,
    },
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

/// A fault and where it applies.
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
    /// So many times; without end if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Only every so-manieth call that fits, the first of them included; every one if absent.
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
}

/// A fault that is set.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Active {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) fault: Fault,
    /// Calls that fitted.
    seen: u64,
    /// Calls that were hit.
    hits: u64,
}

/// The faults that are set.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Vec<Active>,
    last_id: u64,
}

impl Faults {
    /// Sets a fault; its id, or `None` when too many are set.
    pub(crate) fn set(&mut self, fault: Fault) -> Option<u64> {
        if self.active.len() >= MAX_FAULTS {
            return None;
        }
        self.last_id += 1;
        self.active.push(Active { id: self.last_id, fault, seen: 0, hits: 0 });
        Some(self.last_id)
    }

    /// Clears one fault, or all; how many there were.
    pub(crate) fn clear(&mut self, id: Option<u64>) -> usize {
        let before = self.active.len();
        self.active.retain(|active| id.is_some_and(|id| active.id != id));
        before - self.active.len()
    }

    pub(crate) fn list(&self) -> &[Active] {
        &self.active
    }

    /// The first fault of a wanted kind that hits this call. A spent fault stays listed with `count` 0.
    pub(crate) fn take(
        &mut self,
        operation: &str,
        job: Option<&str>,
        wanted: impl Fn(&FaultKind) -> bool,
    ) -> Option<FaultKind> {
        self.active.iter_mut().find_map(|active| {
            let fault = &mut active.fault;
            let fits = fault.count != Some(0)
                && wanted(&fault.kind)
                && fault.operation.as_deref().is_none_or(|one| one == operation)
                && fault.job.as_deref().is_none_or(|one| Some(one) == job);
            if !fits {
                return None;
            }
            active.seen += 1;
            if !(active.seen - 1).is_multiple_of(u64::from(fault.one_in.unwrap_or(1).max(1))) {
                return None;
            }
            fault.count = fault.count.map(|count| count - 1);
            active.hits += 1;
            Some(fault.kind.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_scope_and_rate_are_kept() {
        let mut faults = Faults::default();
        let fault =
            Fault { operation: Some("RunTask".into()), count: Some(2), ..Fault::new(FaultKind::Throttle) };
        faults.set(fault);
        assert!(faults.take("StopTask", None, |_| true).is_none());
        assert!(faults.take("RunTask", None, |kind| *kind != FaultKind::Throttle).is_none());
        assert!(faults.take("RunTask", Some("j"), |_| true).is_some());
        assert!(faults.take("RunTask", None, |_| true).is_some());
        assert!(faults.take("RunTask", None, |_| true).is_none());

        faults.clear(None);
        faults.set(Fault { one_in: Some(3), job: Some("j".into()), ..Fault::new(FaultKind::NeverStopped) });
        let hits = (0..7).filter(|_| faults.take("RunTask", Some("j"), |_| true).is_some()).count();
        assert_eq!(hits, 3);
        assert!(faults.take("RunTask", None, |_| true).is_none());
    }

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
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"earthquake"}"#).is_err());
    }
}
