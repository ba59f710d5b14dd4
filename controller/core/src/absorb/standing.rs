//! How launching stands: what of it is news since the turn before.

use std::mem::{self, Discriminant};

use super::change::Change;
use crate::{
    judge::launch_pause::Pause,
    policy::Policy,
    protocol::clock::{Ms, Now},
    state::{breaker::FailureStage, ledger::Ledger},
};

/// How launching stood in the turn before.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Standing {
    pause: Option<Discriminant<Pause>>,
    cooldown_until: Ms,
    breaker: Option<FailureStage>,
}

impl Standing {
    /// Brings it up to date, and tells what has changed.
    pub(crate) fn update(&mut self, ledger: &Ledger, policy: &Policy, now: Now, told: &mut Vec<Change>) {
        let pause = ledger.launch_pause(policy, now).filter(Pause::is_told);
        let kind = pause.as_ref().map(mem::discriminant);
        if mem::replace(&mut self.pause, kind) != kind {
            told.push(pause.map_or(Change::PauseEnded, |pause| Change::PauseBegun { pause }));
        }
        if ledger.cooldown_until > now.mono.max(self.cooldown_until) {
            let (for_ms, reason) = (ledger.cooldown_until - now.mono, ledger.cooldown_reason.clone());
            told.push(Change::CooldownBegun { for_ms, reason });
        }
        self.cooldown_until = self.cooldown_until.max(ledger.cooldown_until);
        let breaker = ledger.breaker.open(policy);
        match (mem::replace(&mut self.breaker, breaker), breaker) {
            (before, Some(trouble)) if before != breaker => {
                told.push(Change::BreakerOpened { trouble, jobs: policy.breaker_jobs });
            }
            (Some(_), None) => told.push(Change::BreakerClosed),
            _ => {}
        }
    }
}
