//! Effects of a failure on other jobs: slower calls, a pause, an open breaker.

use transcode_config::contract::{Attempt, Capacity, JobKey, Outcome, Terminal};

use crate::{
    policy::Policy,
    protocol::{
        clock::Now,
        fact::{CallError, ErrorClass, Refusal},
    },
    state::{breaker::FailureStage, job::TerminalRecord, ledger::Ledger, limiter::CallKind},
    weakness::{Weakness, weak},
};

impl Ledger {
    /// What a refusal means for all launches: Spot pauses, or all launches do.
    pub(super) fn slow_down(
        &mut self,
        key: &JobKey,
        attempt: Attempt,
        refusal: &Refusal,
        policy: &Policy,
        now: Now,
    ) {
        let (class, reason) = match refusal {
            Refusal::Definitive(reason) => (ErrorClass::Capacity, reason),
            Refusal::Failed(error) => (error.class, &error.message),
        };
        let newest = self.jobs.get(key).and_then(|job| job.attempt.as_ref());
        let spot = newest.is_some_and(|state| {
            state.claim.attempt == attempt && state.claim.variant.capacity == Capacity::FargateSpot
        });
        if spot && class == ErrorClass::Capacity {
            // On-demand capacity is separate and needs no pause.
            self.spot_refused_until = self.spot_refused_until.max(now.mono + policy.spot_pause);
            return;
        }
        let tells = matches!(
            class,
            ErrorClass::Throttled
                | ErrorClass::Capacity
                | ErrorClass::Misconfigured
                | ErrorClass::Permanent
                | ErrorClass::Unknown
        );
        if tells && !weak(Weakness::LaunchesOnAfterRefusal) {
            // Calls that were under way together are refused together, so their refusals count once.
            self.refusals += usize::from(now.mono >= self.cooldown_until);
            let pause = policy.launch_pause(class, self.refusals);
            self.cooldown_until = self.cooldown_until.max(now.mono + pause);
            self.cooldown_reason.clone_from(reason);
        }
        if matches!(
            class,
            ErrorClass::Capacity | ErrorClass::Misconfigured | ErrorClass::Permanent | ErrorClass::Unknown
        ) {
            self.breaker.failed(FailureStage::Refused, key, policy, now.mono);
        }
    }

    pub(super) fn throttled(&mut self, kind: CallKind, error: &CallError, policy: &Policy, now: Now) {
        if error.class == ErrorClass::Throttled {
            self.limiter.throttled(kind, policy, now.mono);
        }
    }

    /// Reports a terminal record to the breaker if this controller saw it being written; an older record does not
    /// count.
    pub(super) fn tell_terminal_record(
        &mut self,
        key: &JobKey,
        terminal: &Terminal,
        policy: &Policy,
        now: Now,
    ) {
        let Some(job) = self.jobs.get(key) else { return };
        let (TerminalRecord::Absent(_), Some(attempt)) = (&job.record, &job.attempt) else { return };
        match &terminal.outcome {
            Outcome::Succeeded(_) => self.breaker.passed(FailureStage::Failed),
            Outcome::Dead(dead) if !attempt.told => {
                if let Some(trouble) = FailureStage::of(&dead.failure) {
                    self.breaker.failed(trouble, key, policy, now.mono);
                }
            }
            Outcome::Dead(_) | Outcome::Superseded(_) | Outcome::Cancelled(_) => {}
        }
    }
}
