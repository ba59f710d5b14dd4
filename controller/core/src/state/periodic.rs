//! A call that is repeated for the whole controller.

use crate::{policy::Policy, protocol::clock::Ms};

/// A call that is repeated for the whole controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Periodic {
    /// The call is under way since then (monotonic).
    pub call: Option<Ms>,
    /// Not due before this (monotonic).
    pub due_at: Ms,
    /// Consecutive failures.
    pub failures: usize,
    /// It has succeeded at least once.
    pub done: bool,
}

impl Periodic {
    /// Whether the call is due now.
    pub fn due(&self, now: Ms) -> bool {
        self.call.is_none() && self.due_at <= now
    }

    pub(crate) fn answered(&mut self, success: bool, every: Ms, policy: &Policy, now: Ms) {
        self.call = None;
        self.done |= success;
        self.failures = if success { 0 } else { self.failures + 1 };
        self.due_at = now + if success { every } else { policy.call_backoff(self.failures) };
    }
}
