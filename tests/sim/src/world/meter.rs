//! Checks a controller's calls to ECS against their rates (L6).
//!
//! The meter uses another rule than the core: a bucket that each call fills by its interval, and that empties with
//! time. When in doubt, it favours the controller: the pages of a list count as one call, and after a throttle it
//! requires only a somewhat lower rate, for a part of the recovery.

use transcode_core::{
    policy::Policy,
    protocol::{
        clock::Ms,
        fact::{ErrorClass, Fact, Refusal},
    },
    state::limiter::{CallKind, Rate},
};

use crate::invariants::{self, Kept};

/// The level of each bucket, by kind of call.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// The bucket is empty at this time.
    empty_at: [Ms; 3],
    /// After a throttle, calls must be fewer until then.
    slower_until: [Ms; 3],
    /// A launch was throttled: no launch before this.
    paused_until: Ms,
}

impl Meter {
    /// Called with a fact that the controller absorbs now.
    pub(super) fn hears(&mut self, fact: &Fact, policy: &Policy, now: Ms) {
        let (kinds, error) = match fact {
            Fact::LaunchRefused { refusal: Refusal::Failed(error), .. } | Fact::StopFailed { error, .. } => {
                ([CallKind::Launch, CallKind::Stop].as_slice(), error)
            }
            Fact::DescribeFailed { error, .. } | Fact::ResolveFailed { error } => {
                ([CallKind::Read].as_slice(), error)
            }
            _ => return,
        };
        if matches!(fact, Fact::LaunchRefused { .. }) && error.class == ErrorClass::Throttled {
            self.paused_until = now + policy.call_retry_base;
        }
        for kind in kinds.iter().filter(|_| error.class == ErrorClass::Throttled) {
            if let Some(until) = self.slower_until.get_mut(*kind as usize) {
                *until = now + policy.call_retry_cap / 4;
            }
        }
    }

    /// Counts a call. After a throttle half of the rate is left, and at most three quarters after a quarter of the
    /// recovery; a throttle that comes while others are being answered changes nothing. The meter requires four fifths.
    pub(super) fn counts(&mut self, kind: CallKind, policy: &Policy, now: Ms) -> Kept {
        let rate = Rate::of(kind, policy);
        let slower = self.slower_until.get(kind as usize).is_some_and(|until| now < *until);
        let Some(empty_at) = self.empty_at.get_mut(kind as usize) else { return Ok(()) };
        let full = now + rate.interval * (rate.burst - 1);
        let paused = if kind == CallKind::Launch { self.paused_until.saturating_sub(now) } else { 0 };
        let found = invariants::l6_within_rate(kind, empty_at.saturating_sub(full).max(paused), slower);
        *empty_at = now.max(*empty_at) + if slower { rate.interval * 5 / 4 } else { rate.interval };
        found
    }
}
