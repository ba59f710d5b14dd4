//! Rates of the calls to ECS. Everything else in the account shares ECS' limits.
//!
//! For each kind of call, the generic cell rate algorithm lets calls through at an average rate, with bursts. The rates
//! in the settings leave headroom, but other programs may use it up. Then ECS throttles, and the limiter halves the
//! rate for this kind of call. The rate grows back evenly with time, and is whole again one `call_retry_cap` after the
//! last throttle (L6). ECS counts RunTask and StopTask in one bucket and reads in another; so launches and stops are
//! halved together.

use crate::{
    policy::Policy,
    protocol::clock::Ms,
    weakness::{Weakness, weak},
};

/// The whole share, in thousandths of the rate.
const WHOLE: u64 = 1000;

/// The smallest share of a rate; below it, stopping tasks would take too long.
const LEAST: u64 = WHOLE / 32;

/// Kind of call; each has its own rate.
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
    /// Calls allowed at once after a pause.
    pub burst: u64,
}

impl Rate {
    /// The rate of a kind of call. A burst of stops or reads is two seconds' worth: describing all tasks after a
    /// restart must not take minutes, and the account's limit is a burst of a hundred.
    pub fn of(kind: CallKind, policy: &Policy) -> Self {
        let of = |interval: Ms| Self { interval, burst: (2000 / interval.max(1)).max(1) };
        match kind {
            CallKind::Launch => Self { interval: policy.launch_interval, burst: policy.launch_burst },
            CallKind::Stop => of(policy.stop_interval),
            CallKind::Read => of(policy.read_interval),
        }
    }
}

/// The share of a rate that is left after throttles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    /// Thousandths of the rate, right after the last throttle.
    left: u64,
    /// Time of the last throttle (monotonic); `None` before the first.
    cut_at: Option<Ms>,
}

impl Share {
    fn at(self, policy: &Policy, now: Ms) -> u64 {
        let grown =
            self.cut_at.map_or(WHOLE, |at| now.saturating_sub(at) * WHOLE / policy.call_retry_cap.max(1));
        (self.left + grown).min(WHOLE)
    }

    /// Halves the share. Calls that are under way together are refused together, so their refusals count once.
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
    /// When each kind's allowance is full again (theoretical arrival time).
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
    /// The time at which a call is allowed (monotonic), if `planned` calls come before it. A time not later than `now`
    /// allows it at once.
    pub fn allowed_at(&self, kind: CallKind, planned: u64, policy: &Policy, now: Ms) -> Ms {
        let rate = Rate::of(kind, policy);
        let full_at = match kind {
            CallKind::Launch => self.launch,
            CallKind::Stop => self.stop,
            CallKind::Read => self.read,
        };
        let after =
            full_at.max(now)
                + self
                    .interval(kind, policy, now)
                    .saturating_mul(if weak(Weakness::ForgetsCallsOfSameTurn) { 0 } else { planned });
        after.saturating_sub(rate.interval.saturating_mul(rate.burst.saturating_sub(1)))
    }

    /// Notes that `calls` calls are about to be made.
    pub(crate) fn take(&mut self, kind: CallKind, calls: u64, policy: &Policy, now: Ms) {
        if (weak(Weakness::ReadsBeyondRate) && kind == CallKind::Read)
            || (weak(Weakness::StopsBeyondRate) && kind == CallKind::Stop)
        {
            return;
        }
        let cost = self.interval(kind, policy, now).saturating_mul(calls);
        let full_at = match kind {
            CallKind::Launch => &mut self.launch,
            CallKind::Stop => &mut self.stop,
            CallKind::Read => &mut self.read,
        };
        *full_at = now.max(*full_at) + cost;
    }

    /// Notes that ECS refused a call for its rate.
    pub(crate) fn throttled(&mut self, kind: CallKind, policy: &Policy, now: Ms) {
        match kind {
            CallKind::Launch | CallKind::Stop => self.writes.cut(policy, now),
            CallKind::Read => self.reads.cut(policy, now),
        }
    }

    /// Time between calls at the current share.
    fn interval(&self, kind: CallKind, policy: &Policy, now: Ms) -> Ms {
        let share = match kind {
            CallKind::Launch | CallKind::Stop => self.writes,
            CallKind::Read => self.reads,
        };
        Rate::of(kind, policy).interval.saturating_mul(WHOLE) / share.at(policy, now).max(1)
    }
}
