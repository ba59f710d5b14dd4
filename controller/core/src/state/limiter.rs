//! Rates of the calls to ECS, whose limits everything else in the account shares.
//!
//! Each lane is a generic cell rate algorithm: calls are let through at an average rate with bursts. The rates of the
//! settings leave headroom, and still others may use it up: then ECS throttles, and the lane's share of its rate is
//! halved, grows back evenly with time, and is whole again one backoff cap after the last throttle (L6). ECS counts
//! RunTask and StopTask in one bucket and reads in another, so they share what they learn in the same way.

use crate::{
    policy::Policy,
    protocol::clock::Ms,
    weakness::{Weakness, weak},
};

/// The whole share, in thousandths of the rate.
const WHOLE: u64 = 1000;

/// The least that is left of a rate: lower, and stopping what must be stopped would take too long.
const LEAST: u64 = WHOLE / 32;

/// What a call is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// `RunTask`.
    Launch,
    /// `StopTask`.
    Stop,
    /// `DescribeTasks`, `ListTasks`.
    Read,
}

/// A rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Average time between calls.
    pub interval: Ms,
    /// Calls at once, after a rest.
    pub burst: u64,
}

impl Rate {
    /// The rate of a lane. Bursts of stops and reads are two seconds' worth: describing everything after a restart
    /// must not take minutes, and the account has a hundred for all.
    pub fn of(lane: CallKind, policy: &Policy) -> Self {
        let of = |interval: Ms| Self { interval, burst: (2000 / interval.max(1)).max(1) };
        match lane {
            CallKind::Launch => Self { interval: policy.launch_interval, burst: policy.launch_burst },
            CallKind::Stop => of(policy.stop_interval),
            CallKind::Read => of(policy.read_interval),
        }
    }
}

/// What is left of a rate after throttles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    /// Thousandths, right after the last throttle.
    left: u64,
    /// When that was; none before the first.
    cut_at: Option<Ms>,
}

impl Share {
    fn at(self, policy: &Policy, now: Ms) -> u64 {
        let grown =
            self.cut_at.map_or(WHOLE, |at| now.saturating_sub(at) * WHOLE / policy.call_retry_cap.max(1));
        (self.left + grown).min(WHOLE)
    }

    /// Calls that were under way together are refused together: that is one piece of news.
    fn cut(&mut self, policy: &Policy, now: Ms) {
        if self.cut_at.is_none_or(|at| now >= at + policy.call_retry_base)
            && !weak(Weakness::IgnoresThrottling)
        {
            (self.left, self.cut_at) = ((self.at(policy, now) / 2).max(LEAST), Some(now));
        }
    }
}

/// The limiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limiter {
    /// When each lane's allowance is full again (theoretical arrival time).
    launch: Ms,
    stop: Ms,
    read: Ms,
    writes: Share,
    reads: Share,
}

impl Default for Limiter {
    fn default() -> Self {
        let whole = Share { left: WHOLE, cut_at: None };
        Self { launch: 0, stop: 0, read: 0, writes: whole, reads: whole }
    }
}

impl Limiter {
    /// When a call is let through (monotonic), with `planned` calls planned before it and not begun yet. Not later than
    /// now: at once.
    pub fn allowed_at(&self, lane: CallKind, planned: u64, policy: &Policy, now: Ms) -> Ms {
        let rate = Rate::of(lane, policy);
        let full_at = match lane {
            CallKind::Launch => self.launch,
            CallKind::Stop => self.stop,
            CallKind::Read => self.read,
        };
        let after =
            full_at.max(now)
                + self
                    .interval(lane, policy, now)
                    .saturating_mul(if weak(Weakness::ForgetsCallsOfSameTurn) { 0 } else { planned });
        after.saturating_sub(rate.interval.saturating_mul(rate.burst.saturating_sub(1)))
    }

    /// Notes that `calls` are about to be made.
    pub(crate) fn take(&mut self, lane: CallKind, calls: u64, policy: &Policy, now: Ms) {
        if (weak(Weakness::ReadsBeyondRate) && lane == CallKind::Read)
            || (weak(Weakness::StopsBeyondRate) && lane == CallKind::Stop)
        {
            return;
        }
        let cost = self.interval(lane, policy, now).saturating_mul(calls);
        let full_at = match lane {
            CallKind::Launch => &mut self.launch,
            CallKind::Stop => &mut self.stop,
            CallKind::Read => &mut self.read,
        };
        *full_at = now.max(*full_at) + cost;
    }

    /// ECS refused a call for its rate.
    pub(crate) fn throttled(&mut self, lane: CallKind, policy: &Policy, now: Ms) {
        match lane {
            CallKind::Launch | CallKind::Stop => self.writes.cut(policy, now),
            CallKind::Read => self.reads.cut(policy, now),
        }
    }

    /// Time between calls, at the share that is left.
    fn interval(&self, lane: CallKind, policy: &Policy, now: Ms) -> Ms {
        let share = match lane {
            CallKind::Launch | CallKind::Stop => self.writes,
            CallKind::Read => self.reads,
        };
        Rate::of(lane, policy).interval.saturating_mul(WHOLE) / share.at(policy, now).max(1)
    }
}
