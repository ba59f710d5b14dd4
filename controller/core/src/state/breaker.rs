//! The breaker limits claims when one job after the other fails: more launches would only fail too.
//!
//! There are three stages at which a common cause shows: ECS refuses every launch; no task starts (an image that cannot
//! be pulled, a subnet without a route); or every attempt fails (a role that may not write, a broken image). Each
//! failure costs attempts, money and dead letters. A failure caused by one file alone does not count; otherwise anybody
//! who may upload could stop all jobs with ten bad files. For each stage the breaker counts the different jobs that
//! failed **without a success between them**. At `breaker_jobs` it opens: one job is claimed every `breaker_probe`. A
//! success closes it.
//!
//! It cannot block for ever: a probe depends on the clock alone, not on the result of the probe before. Its state is a
//! cache like the rest of the ledger: after a restart, `breaker_jobs` jobs fail before it opens again.

use std::{collections::BTreeSet, fmt};

use transcode_config::contract::{Failure, FailureCode, JobKey, Who};

use crate::{
    policy::Policy,
    protocol::clock::Ms,
    weakness::{Weakness, weak},
};

/// How far a job gets. In order: a success at one stage shows that the stages before it work too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureStage {
    /// ECS refuses their launches.
    Refused,
    /// Their tasks do not start.
    NotStarted,
    /// Their attempts fail.
    Failed,
}

impl FailureStage {
    const ALL: [Self; 3] = [Self::Refused, Self::NotStarted, Self::Failed];

    /// The stage that an attempt's end counts for. Events that hit a single task (Spot, a lost host, a late launch)
    /// count for none, and neither do causes in one file or one request.
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

/// Whether one file or its sender can be the cause, so that platform and image may be fine.
fn speaks_of_one_file(failure: &Failure) -> bool {
    use FailureCode as F;
    if failure.code.info().who == Who::Uploader {
        return true;
    }
    match failure.code {
        // SSE-C: only the uploader's key opens the file. A role without permission gets another answer.
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
    /// Jobs that failed since the last success, for each [`FailureStage`]; at most `breaker_jobs` each.
    failed: [BTreeSet<JobKey>; 3],
    /// No claim before this (monotonic) while it is open.
    probe_at: Ms,
}

impl Breaker {
    /// The stage that keeps it open; `None` while it is closed.
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

    /// The failing stage, and when the next job may be claimed (monotonic); `None` while it is closed.
    pub fn probe_at(&self, policy: &Policy) -> Option<(FailureStage, Ms)> {
        self.open(policy).map(|trouble| (trouble, self.probe_at))
    }

    /// Counts a job that failed at this stage.
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

    /// Notes that a job passed this stage, and so all stages before it.
    pub(crate) fn passed(&mut self, stage: FailureStage) {
        for jobs in self.failed.iter_mut().take(stage as usize + 1) {
            jobs.clear();
        }
    }

    /// Notes that a job is about to be claimed.
    pub(crate) fn claimed(&mut self, policy: &Policy, now: Ms) {
        if !weak(Weakness::BreakerProbesAtOnce) {
            self.probe_at = now + policy.breaker_probe;
        }
    }
}
