//! A controller's calls to ECS, held against their rates (L6).
//!
//! Counted by another rule than the core's: a bucket that each call fills by its interval, and that empties with time.
//! It errs on the side of the controller: the pages of a list count as one call, and a rate that has been throttled is
//! only asked to be somewhat slower, and for a part of its recovery.

use transcode_core::{
    policy::Policy,
    protocol::{
        clock::Ms,
        fact::{ErrorClass, Fact, Refusal},
    },
    state::limiter::{CallKind, Rate},
};

use crate::invariants::{self, Kept};

/// What lies in a bucket, by lane.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// The bucket is empty again then.
    empty_at: [Ms; 3],
    /// Throttled: until then its calls are fewer.
    slower_until: [Ms; 3],
    /// A launch was refused for its rate: none is sent before this.
    paused_until: Ms,
}

impl Meter {
    /// A fact that the controller takes in now.
    pub(super) fn hears(&mut self, fact: &Fact, policy: &Policy, now: Ms) {
        let (lanes, error) = match fact {
            Fact::LaunchRefused { refusal: Refusal::Failed(error), .. } | Fact::StopFailed { error, .. } => {
                ([CallKind::Launch, CallKind::Stop].as_slice(), error)
            }
            Fact::DescribeFailed { error, .. } | Fact::ResolveFailed { error } => {
                ([CallKind::Read].as_slice(), error)
            }
            _ => return,
        };
        if matches!(fact, Fact::LaunchRefused { .. }) && error.class == ErrorClass::Throttled {
            self.paused_until = now + policy.cooldown;
        }
        for lane in lanes.iter().filter(|_| error.class == ErrorClass::Throttled) {
            if let Some(until) = self.slower_until.get_mut(*lane as usize) {
                *until = now + policy.call_retry_cap / 4;
            }
        }
    }

    /// Counts a call. Half of the rate is left after a throttle, and three quarters at most after a quarter of the way
    /// back; a throttle that comes while others are being answered changes nothing: four fifths are asked for.
    pub(super) fn counts(&mut self, lane: CallKind, policy: &Policy, now: Ms) -> Kept {
        let rate = Rate::of(lane, policy);
        let slower = self.slower_until.get(lane as usize).is_some_and(|until| now < *until);
        let Some(empty_at) = self.empty_at.get_mut(lane as usize) else { return Ok(()) };
        let full = now + rate.interval * (rate.burst - 1);
        let paused = if lane == CallKind::Launch { self.paused_until.saturating_sub(now) } else { 0 };
        let found = invariants::l6_within_rate(lane, empty_at.saturating_sub(full).max(paused), slower);
        *empty_at = now.max(*empty_at) + if slower { rate.interval * 5 / 4 } else { rate.interval };
        found
    }
}
