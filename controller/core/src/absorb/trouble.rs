//! What a failure means for jobs other than the one that met it: slower calls, a pause, a breaker that opens.

use transcode_config::contract::{Attempt, Capacity, JobKey, Outcome, Terminal};

use crate::{
    judge::attempt::{Verdict, judge},
    policy::Policy,
    protocol::{
        clock::Now,
        fact::{CallError, Class, Refusal},
    },
    state::{breaker::FailureStage, job::Register, ledger::Ledger, limiter::CallKind},
    weakness::{Weakness, weak},
};

impl Ledger {
    /// What a refusal means for all launches: Spot is given a rest, or all of them are.
    pub(super) fn slow_down(
        &mut self,
        key: &JobKey,
        attempt: Attempt,
        refusal: &Refusal,
        policy: &Policy,
        now: Now,
    ) {
        let (class, reason) = match refusal {
            Refusal::Definitive(reason) => (Class::Capacity, reason),
            Refusal::Failed(error) => (error.class, &error.message),
        };
        let newest = self.jobs.get(key).and_then(|job| job.attempt.as_ref());
        let spot = newest.is_some_and(|state| {
            state.intent.attempt == attempt && state.intent.variant.capacity == Capacity::FargateSpot
        });
        if spot && class == Class::Capacity {
            // On-demand is another matter, and needs no rest from it.
            self.spot_refused_until = self.spot_refused_until.max(now.mono + policy.spot_pause);
            return;
        }
        let tells = matches!(
            class,
            Class::Throttled | Class::Capacity | Class::Misconfigured | Class::Permanent | Class::Unknown
        );
        if tells && !weak(Weakness::LaunchesOnAfterRefusal) {
            self.refusals += 1;
            self.cooldown_until = self.cooldown_until.max(now.mono + policy.cooldown_after(self.refusals));
            self.cooldown_reason.clone_from(reason);
        }
        if matches!(class, Class::Capacity | Class::Misconfigured | Class::Permanent | Class::Unknown) {
            self.breaker.failed(FailureStage::Refused, key, policy, now.mono);
        }
    }

    pub(super) fn throttled(&mut self, lane: CallKind, error: &CallError, policy: &Policy, now: Now) {
        if error.class == Class::Throttled {
            self.limiter.throttled(lane, policy, now.mono);
        }
    }

    /// Tells the breaker how an attempt ended, once that is proven.
    pub(super) fn tell_end(&mut self, key: &JobKey, policy: &Policy, now: Now) {
        let Some(job) = self.jobs.get(key).filter(|job| job.terminal().is_none()) else { return };
        let Some(attempt) = job.attempt.as_ref().filter(|attempt| !attempt.told) else { return };
        let Verdict::Over { ended, .. } = judge(job, attempt, |arn| self.tasks.get(arn), policy, now) else {
            return;
        };
        let spot = attempt.intent.variant.capacity == Capacity::FargateSpot;
        // What Spot refuses goes on-demand next.
        let trouble =
            FailureStage::of(&ended.failure).filter(|trouble| !spot || *trouble != FailureStage::Refused);
        if let Some(attempt) = self.jobs.get_mut(key).and_then(|job| job.attempt.as_mut()) {
            attempt.told = true;
        }
        if let Some(trouble) = trouble {
            self.breaker.failed(trouble, key, policy, now.mono);
        }
    }

    /// Tells the breaker of a register that was written before our eyes. One that was there before is history.
    pub(super) fn tell_register(&mut self, key: &JobKey, terminal: &Terminal, policy: &Policy, now: Now) {
        let Some(job) = self.jobs.get(key) else { return };
        let (Register::Absent(_), Some(attempt)) = (&job.register, &job.attempt) else { return };
        match &terminal.outcome {
            Outcome::Succeeded(_) => self.breaker.passed(FailureStage::Failed),
            Outcome::Dead(dead) if !attempt.told => {
                if let Some(trouble) = FailureStage::of(&dead.failure) {
                    self.breaker.failed(trouble, key, policy, now.mono);
                }
            }
            Outcome::Dead(_) => {}
        }
    }
}
