//! Why no job is launched: one answer for the planner, for people and for metrics.

use std::fmt;

use transcode_config::contract::Told;

use crate::{
    policy::Policy,
    protocol::{
        clock::{Ms, Now},
        fact::{CallError, QueueName},
        steering::by,
    },
    state::{
        breaker::FailureStage,
        ledger::{Definition, Ledger},
    },
    weakness::{Weakness, weak},
};

/// This many consecutive failed receives count as a stop of receiving.
const RECEIVES_FAILED: usize = 3;

/// The cause of a pause of all launches. The causes that also stop attempts already claimed come first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub enum Pause {
    /// The process is ending.
    Draining,
    /// Somebody has drained the environment.
    Drained(Told),
    /// `launch.paused` is set.
    Asked,
    /// Somebody has paused the environment.
    Paused(Told),
    /// Nobody knows yet whether somebody has paused: why the control document cannot be read, if it was tried.
    Unsteered(Option<String>),
    /// The task's image must not be launched. The text says what is wrong and what to do.
    Unfit(String),
    /// ECS refused a launch recently.
    CoolingDown {
        /// ECS' reason.
        reason: String,
        /// No launch before this (monotonic).
        until: Ms,
    },
    /// The running tasks are not listed yet, so nothing can be counted.
    Unlisted {
        /// The list has failed.
        failed: bool,
    },
    /// No task definition is known yet; the last failure to find it, if there was one.
    Undefined(Option<String>),
    /// One job after the other fails: the breaker is open.
    Broken {
        trouble: FailureStage,
        /// Number of failed jobs.
        jobs: usize,
        /// Time between two claims during the pause.
        every: Ms,
        /// The next claim (monotonic).
        until: Ms,
    },
}

impl Pause {
    /// When the pause ends by itself (monotonic), if that is known.
    pub fn until(&self) -> Option<Ms> {
        match self {
            Self::CoolingDown { until, .. } | Self::Broken { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// Whether attempts that are already claimed wait for the end of the pause too.
    pub fn holds_claimed(&self) -> bool {
        matches!(
            self,
            Self::Draining
                | Self::Drained(_)
                | Self::Asked
                | Self::Paused(_)
                | Self::Unsteered(_)
                | Self::Unfit(_)
        )
    }

    /// Whether the pause is reported. The pauses at the begin and end of the process are ordinary, and the breaker has
    /// an alarm of its own.
    pub fn is_told(&self) -> bool {
        match self {
            Self::Asked | Self::Drained(_) | Self::Paused(_) | Self::Unfit(_) | Self::CoolingDown { .. } => {
                true
            }
            Self::Unsteered(error) => error.is_some(),
            Self::Unlisted { failed } => *failed,
            Self::Undefined(why) => why.is_some(),
            Self::Draining | Self::Broken { .. } => false,
        }
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draining => f.write_str("the controller is ending"),
            Self::Drained(told) => f.write_str(&by("drained", told)),
            Self::Asked => f.write_str("launch.paused is set"),
            Self::Paused(told) => f.write_str(&by("paused", told)),
            Self::Unsteered(None) => f.write_str("waiting for the control document"),
            Self::Unsteered(Some(error)) => write!(f, "the control document cannot be read: {error}"),
            Self::Unfit(why) => f.write_str(why),
            Self::CoolingDown { reason, .. } => write!(f, "ECS refused one: {reason}"),
            Self::Unlisted { failed: false } => f.write_str("waiting for the first complete list of tasks"),
            Self::Unlisted { failed: true } => f.write_str("the tasks that run could not be listed yet"),
            Self::Undefined(None) => f.write_str("waiting for a valid task definition"),
            Self::Undefined(Some(error)) => write!(f, "waiting for a valid task definition: {error}"),
            Self::Broken { trouble, jobs, every, .. } => {
                let every = every / 1000;
                write!(
                    f,
                    "held by the breaker: {trouble} (the last {jobs} jobs); one is tried every {every} s"
                )
            }
        }
    }
}

impl Ledger {
    /// Number of messages held, without copies that will be given back.
    pub(crate) fn held(&self) -> usize {
        self.leases.len() - self.spares.len()
    }

    /// Whether receiving stops because `max_leases` messages are held, or because SQS gives none. False while draining
    /// or paused.
    pub(crate) fn receives_nothing(&self, policy: &Policy) -> bool {
        !self.stands_still(policy) && (self.full(policy) || self.receive_failure().is_some())
    }

    fn full(&self, policy: &Policy) -> bool {
        self.held() >= policy.max_leases
    }

    /// A queue with several consecutive failed receives.
    fn receive_failure(&self) -> Option<(&QueueName, &CallError)> {
        let mut failing = self.receiving.iter().filter(|(_, it)| it.failures >= RECEIVES_FAILED);
        failing.find_map(|(queue, it)| Some((queue, it.failed.as_ref()?)))
    }

    /// Why receiving stops although slots may be free: `max_leases` messages are held, or receives fail. `None` while
    /// receiving goes on, drains or is paused.
    pub fn receive_pause(&self, policy: &Policy) -> Option<String> {
        if !self.receives_nothing(policy) {
            return None;
        }
        if let Some((queue, error)) = self.receive_failure().filter(|_| !self.full(policy)) {
            return Some(format!("nothing can be received from the queue {queue}: {error}"));
        }
        let held = self.held();
        let settling = self.jobs.values().filter(|job| job.terminal().is_some() && !job.leases.is_empty());
        Some(format!(
            "{held} messages are held, as many as may be; the results of {} jobs wait to be published or their letters \
             to be sent",
            settling.count()
        ))
    }

    /// Why no job is launched now; `None` while launches go on.
    pub fn launch_pause(&self, policy: &Policy, now: Now) -> Option<Pause> {
        if self.draining {
            return Some(Pause::Draining);
        }
        if let Some(told) = &self.steering.drained {
            return Some(Pause::Drained(told.clone()));
        }
        if policy.paused {
            return Some(Pause::Asked);
        }
        if let Some(told) = self.steering.paused.as_ref().filter(|_| !weak(Weakness::LaunchesWhilePaused)) {
            return Some(Pause::Paused(told.clone()));
        }
        if self.unsteered && !weak(Weakness::LaunchesUnsteered) {
            return Some(Pause::Unsteered(self.steering_refused.clone()));
        }
        if let Definition::Unfit(why) = &self.definition {
            return Some(Pause::Unfit(why.clone()));
        }
        if self.cooldown_until > now.mono {
            return Some(Pause::CoolingDown {
                reason: self.cooldown_reason.clone(),
                until: self.cooldown_until,
            });
        }
        if !self.resync.done {
            return Some(Pause::Unlisted { failed: self.resync.failures > 0 });
        }
        if let Definition::Unknown(error) = &self.definition {
            return Some(Pause::Undefined(error.clone()));
        }
        let (trouble, until) = self.breaker.probe_at(policy).filter(|(_, at)| *at > now.mono)?;
        Some(Pause::Broken { trouble, jobs: policy.breaker_jobs, every: policy.breaker_probe, until })
    }
}
