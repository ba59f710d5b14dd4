//! The breaker: when one job after the other fails, launching more of them mends nothing.
//!
//! ECS refuses every launch, no task comes up (an image that cannot be pulled, a subnet without a way out), or whatever
//! is launched fails (a role that may not write, an image that is broken): each costs attempts, money and dead letters.
//! What speaks of one file alone does not count: whoever may upload could stop everybody with ten bad files. So
//! the jobs that failed **without one success in between** are counted, different ones, for each of the three. At
//! `breaker_jobs` the breaker opens: instead of all jobs, one is claimed every `breaker_probe`. A success closes it.
//!
//! It cannot lock itself up: a probe depends on the clock alone, not on how the one before it went. What it knows is
//! a cache like the rest of the ledger; a restarted controller launches `breaker_jobs` before it knows again.

use std::{collections::BTreeSet, fmt};

use transcode_config::contract::{Failure, FailureCode, JobKey, Who};

use crate::{
    policy::Policy,
    protocol::clock::Ms,
    weakness::{Weakness, weak},
};

/// How far jobs get. In the order in which a success at one says that those before it work too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureStage {
    /// ECS refuses their launches.
    Refused,
    /// Their tasks do not come up.
    NotStarted,
    /// Their attempts fail.
    Failed,
}

impl FailureStage {
    const ALL: [Self; 3] = [Self::Refused, Self::NotStarted, Self::Failed];

    /// What an attempt's end says of the others to come. What merely happens to a task (Spot, a lost host, a launch
    /// that was late) says nothing, and neither does what lies in one file or one request.
    pub fn of(failure: &Failure) -> Option<Self> {
        if speaks_of_one_file(failure) && !weak(Weakness::CountsBadFiles) {
            return None;
        }
        match failure.code {
            FailureCode::LaunchRefused => Some(Self::Refused),
            FailureCode::StartFailed | FailureCode::StartTimeout => Some(Self::NotStarted),
            FailureCode::LaunchExpired | FailureCode::Interrupted | FailureCode::TaskLost => None,
            _ => Some(Self::Failed),
        }
    }
}

/// Whether a file, or whoever sent it, can be the cause: the platform and the image may be as they should.
fn speaks_of_one_file(failure: &Failure) -> bool {
    use FailureCode as F;
    if failure.code.info().who == Who::Uploader {
        return true;
    }
    match failure.code {
        // The answer for a file that only its uploader's key opens; a role without permission is told by another.
        F::SourceDenied | F::OverlayDenied => {
            let said = |name: &str, value: &str| failure.evidence.get(name).is_some_and(|it| it == value);
            said("http_status", "400") || said("aws_code", "InvalidRequest")
        }
        F::SourceArchived
        | F::SourceNotAllowed
        | F::OverlayNotAllowed
        | F::MalformedMessage
        | F::UnknownProfile
        | F::IdempotencyKeyReused
        | F::HdrUnsupported
        | F::SandboxViolation
        | F::OutputTooLarge
        | F::RunTimeExceeded
        | F::DiskFull
        | F::OutOfMemory
        | F::ResourceExhausted => true,
        _ => false,
    }
}

impl fmt::Display for FailureStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "ECS refuses every launch",
            Self::NotStarted => "no task comes up",
            Self::Failed => "every job fails",
        })
    }
}

/// The breaker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Jobs that failed since the last success, for each [`FailureStage`]; never more than open it.
    failed: [BTreeSet<JobKey>; 3],
    /// No claim before this, while it is open.
    probe_at: Ms,
}

impl Breaker {
    /// Which trouble keeps it open, if one does.
    pub fn open(&self, policy: &Policy) -> Option<FailureStage> {
        let enough = |jobs: &BTreeSet<JobKey>| {
            policy.breaker_jobs > 0 && jobs.len() >= policy.breaker_jobs && !weak(Weakness::BreakerNeverOpens)
        };
        FailureStage::ALL
            .into_iter()
            .zip(&self.failed)
            .find(|(_, jobs)| enough(jobs))
            .map(|(trouble, _)| trouble)
    }

    /// When the next job may be claimed (monotonic), and why not before; none while it is closed.
    pub fn probe_at(&self, policy: &Policy) -> Option<(FailureStage, Ms)> {
        self.open(policy).map(|trouble| (trouble, self.probe_at))
    }

    /// A job failed in this way.
    pub(crate) fn failed(&mut self, trouble: FailureStage, job: &JobKey, policy: &Policy, now: Ms) {
        let was_open = self.open(policy).is_some();
        if let Some(jobs) = self.failed.get_mut(trouble as usize)
            && jobs.len() < policy.breaker_jobs
        {
            jobs.insert(job.clone());
        }
        if !was_open && self.open(policy).is_some() {
            self.probe_at = now + policy.breaker_probe;
        }
    }

    /// A job got past this, and past what comes before it.
    pub(crate) fn passed(&mut self, stage: FailureStage) {
        for jobs in self.failed.iter_mut().take(stage as usize + 1) {
            jobs.clear();
        }
    }

    /// A job is about to be claimed.
    pub(crate) fn claimed(&mut self, policy: &Policy, now: Ms) {
        if !weak(Weakness::BreakerProbesAtOnce) {
            self.probe_at = now + policy.breaker_probe;
        }
    }
}
