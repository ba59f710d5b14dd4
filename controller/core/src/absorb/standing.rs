//! State of launching and receiving as a whole, and its changes from turn to turn.

use std::mem::{self, Discriminant};

use super::change::Change;
use crate::{
    judge::launch_pause::Pause,
    policy::Policy,
    protocol::clock::{Ms, Now},
    state::{breaker::FailureStage, ledger::Ledger},
};

/// A stop of receiving is reported once it has lasted this long (ms); shorter ones are ordinary.
const LASTING: Ms = 10_000;

/// State of launching and receiving in the turn before.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Standing {
    pause: Option<Discriminant<Pause>>,
    cooldown_until: Ms,
    breaker: Option<FailureStage>,
    receiving: Receiving,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Receiving {
    #[default]
    Open,
    /// Nothing can be received since then (monotonic); not reported yet.
    Stopped(Ms),
    /// Nothing can be received, and that was reported.
    Paused,
}

impl Standing {
    /// Brings the state up to date and reports changes. Returns when the next turn must come for this (monotonic).
    pub(crate) fn update(
        &mut self,
        ledger: &Ledger,
        policy: &Policy,
        now: Now,
        told: &mut Vec<Change>,
    ) -> Option<Ms> {
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
        self.receiving.update(ledger, policy, now.mono, told)
    }
}

impl Receiving {
    fn update(&mut self, ledger: &Ledger, policy: &Policy, now: Ms, told: &mut Vec<Change>) -> Option<Ms> {
        if !ledger.receives_nothing(policy) {
            if mem::take(self) == Self::Paused {
                told.push(Change::ReceivingResumed);
            }
            return None;
        }
        let since = match *self {
            Self::Paused => return None,
            Self::Stopped(since) => since,
            Self::Open => now,
        };
        if now < since + LASTING {
            *self = Self::Stopped(since);
            return Some(since + LASTING);
        }
        *self = Self::Paused;
        told.extend(ledger.receive_pause(policy).map(|reason| Change::ReceivingPaused { reason }));
        None
    }
}
