//! What people want of single jobs and of the whole controller: one answer for the planner, for people and for metrics.

use transcode_config::contract::{JobKey, JobSpec, Told};

use crate::{
    judge::outcome::{Ended, stop_reason},
    message::Request,
    policy::Policy,
    protocol::{
        clock::{Ms, Now},
        steering::{Named, by},
    },
    state::{job::Job, ledger::Ledger},
    weakness::{Weakness, weak},
};

/// Longest reason that a terminal record takes over from a StopTask call, in bytes.
const LONGEST_REASON: usize = 500;

impl Ledger {
    /// Whether messages are given back instead of held, because the process ends or somebody wants it.
    pub fn drains(&self) -> bool {
        self.draining || (self.steering.drained.is_some() && !weak(Weakness::HoldsMessagesWhileDrained))
    }

    /// Whether nothing may be received or begun: somebody has paused, or nobody knows yet whether somebody has.
    pub(crate) fn stands_still(&self, policy: &Policy) -> bool {
        self.drains()
            || policy.paused
            || self.steering.paused.is_some()
            || (self.unsteered && !weak(Weakness::LaunchesUnsteered))
    }

    /// Who cancelled a job.
    pub fn cancel_of(&self, key: &JobKey, job: &Job) -> Option<&Told> {
        if weak(Weakness::IgnoresCancels) {
            return None;
        }
        let spec = match &job.request {
            Some(Request::Run(spec)) => Some(spec),
            Some(Request::Refuse { .. }) | None => None,
        };
        let tenant = self.tenants.get(job.tenant).map(|account| &*account.name);
        let source = spec.map(|spec| (spec.source.bucket.as_str(), spec.source.key.as_str()));
        let asked_at_ms = spec.map(|spec| asked_at(job, spec));
        self.steering.cancel_of(Named { job: key, source, tenant, asked_at_ms })
    }

    /// Why a job is not begun although slots may be free: each of its messages is from a paused queue.
    pub(crate) fn queue_paused(&self, job: &Job) -> Option<String> {
        if self.steering.queues.is_empty() {
            return None;
        }
        let queues = job.leases.keys().filter_map(|message| self.leases.get(message)).map(|it| &it.queue);
        let mut why = None;
        for queue in queues {
            why = Some((queue, self.steering.queues.get(queue)?));
        }
        let (queue, told) = why?;
        Some(by(&format!("its queue {queue} is paused"), told))
    }

    /// Why no attempt of a job is launched that was claimed before its queue or its tenant was paused.
    pub(crate) fn part_paused(&self, job: &Job) -> Option<String> {
        if weak(Weakness::LaunchesWhilePaused) {
            return None;
        }
        let tenant = self.tenants.get(job.tenant).and_then(|account| account.paused.clone());
        tenant.or_else(|| self.queue_paused(job))
    }
}

/// When a job was asked for (ms since 1970): when its first message was sent.
fn asked_at(job: &Job, spec: &JobSpec) -> Ms {
    if weak(Weakness::CancelsLaterUploadsToo) {
        return 0;
    }
    job.asked_at_ms.unwrap_or(spec.accepted_at_ms)
}

/// Who has cancelled the job of an attempt by stopping its task: `stoppedReason` begins with `cancel:`.
pub fn cancelled_by_stop(ended: &Ended, now: Now) -> Option<Told> {
    let reason = ended.failure.evidence.get("ecs_stopped_reason")?.strip_prefix(stop_reason::CANCEL)?.trim();
    let mut end = reason.len().min(LONGEST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let why = reason.get(..end).unwrap_or_default().to_owned();
    (!weak(Weakness::RetriesCancelledTask)).then(|| Told { who: "StopTask".into(), why, at_ms: now.wall })
}
