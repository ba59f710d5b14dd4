//! The end of an attempt, and its form in the last heartbeat, the exit code and the metrics.

use transcode_config::contract::{ExitCode, Failure, FailureCode, TaskState};

use super::stop::Reason;
use crate::aws::{At, AwsError, MetricName, Standing};

/// Why a step did not continue with the next one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    /// The job is decided or taken over, or the launch came too late. The text says which.
    Superseded(String),
    /// The attempt failed.
    Failed(Failure),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl End {
    /// The end that an AWS error means.
    pub(crate) fn aws(at: At) -> impl Fn(AwsError) -> Self {
        move |error| Self::Failed(error.failure(at))
    }

    /// The end for a standing; none if the attempt may continue.
    pub(crate) fn of_standing(standing: Standing) -> Option<Self> {
        match standing {
            Standing::Current => None,
            Standing::Decided => Some(Self::Superseded("the job is decided".into())),
            Standing::Superseded(newer) => Some(Self::Superseded(format!("attempt {newer} exists"))),
        }
    }
}

/// How the attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ending {
    /// The terminal record says succeeded, and this attempt wrote it.
    Succeeded,
    /// Nothing to do, or no longer.
    Superseded(String),
    /// Stopped from outside.
    Interrupted,
    Failed(Failure),
}

impl Ending {
    /// The ending of an attempt whose steps ended with `result`. `reason`: why it was stopped, if it was.
    ///
    /// The terminal record outranks the stop (S12). Otherwise the stop outranks the error of the step that it
    /// interrupted.
    pub(crate) fn of(result: Result<(), End>, reason: Option<&Reason>) -> Self {
        match (result, reason) {
            (Ok(()), _) => Self::Succeeded,
            (Err(End::Superseded(why)), _) => Self::Superseded(why),
            (Err(_), Some(Reason::Superseded(why))) => Self::Superseded(why.clone()),
            (Err(_), Some(Reason::Signal(_))) => Self::Interrupted,
            (Err(_), Some(Reason::Fenced(fence))) => Self::Failed(
                Failure::new(
                    FailureCode::StoreUnavailable,
                    format!("no heartbeat could be written for {} s", fence.as_secs()),
                )
                .with("fence_seconds", fence.as_secs()),
            ),
            (Err(_), Some(Reason::RunTime(limit))) => Self::Failed(
                Failure::new(
                    FailureCode::RunTimeExceeded,
                    format!("not done after the job's maximum run time of {} s", limit.as_secs()),
                )
                .with("max_run_seconds", limit.as_secs()),
            ),
            (Err(End::Failed(failure)), None) => Self::Failed(failure),
        }
    }

    /// The exit code of the process.
    pub(crate) fn exit(&self) -> ExitCode {
        match self {
            Self::Succeeded => ExitCode::Succeeded,
            Self::Superseded(_) => ExitCode::Superseded,
            Self::Interrupted => ExitCode::Interrupted,
            Self::Failed(failure) => failure.code.info().exit,
        }
    }

    /// The state in the last heartbeat. A superseded attempt reports "interrupted": nothing is wrong with the job.
    pub(crate) fn state(&self) -> TaskState {
        match self {
            Self::Succeeded => TaskState::Finished,
            Self::Superseded(_) | Self::Interrupted => TaskState::Interrupted,
            Self::Failed(failure) => TaskState::Failed { failure: failure.clone() },
        }
    }

    /// What went wrong, for the trace; none where nothing did.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self {
            Self::Succeeded | Self::Superseded(_) => None,
            Self::Interrupted => Some("interrupted".to_owned()),
            Self::Failed(failure) => Some(failure.code.to_string()),
        }
    }

    /// The metric that counts this ending.
    pub(crate) fn metric(&self) -> MetricName {
        match self {
            Self::Succeeded => MetricName::TaskSucceeded,
            Self::Superseded(_) => MetricName::TaskSuperseded,
            Self::Interrupted => MetricName::TaskInterrupted,
            Self::Failed(_) => MetricName::TaskFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn failed(code: FailureCode) -> Result<(), End> {
        Err(Failure::new(code, "x").into())
    }

    #[test]
    fn the_terminal_record_outranks_a_stop() {
        assert_eq!(Ending::of(Ok(()), Some(&Reason::Signal("SIGTERM"))), Ending::Succeeded);
    }

    #[test]
    fn a_stop_outranks_what_being_cut_short_looked_like() {
        let exit = |reason| Ending::of(failed(FailureCode::EncoderCrashed), Some(&reason)).exit();
        assert_eq!(exit(Reason::Signal("SIGTERM")), ExitCode::Interrupted);
        assert_eq!(exit(Reason::Fenced(Duration::from_mins(2))), ExitCode::Unavailable);
        assert_eq!(exit(Reason::RunTime(Duration::from_secs(9))), ExitCode::ResourceExhausted);
        assert_eq!(exit(Reason::Superseded("x".into())), ExitCode::Superseded);
    }

    #[test]
    fn without_a_stop_the_failure_says_it_all() {
        let ending = Ending::of(failed(FailureCode::NotMedia), None);
        assert_eq!(ending.exit(), ExitCode::InputRefused);
        assert!(
            matches!(ending.state(), TaskState::Failed { failure } if failure.code == FailureCode::NotMedia)
        );
    }
}
