//! Events that the bus did not take in time: whether it takes any, and when the outbox is looked at.

use crate::{
    policy::{Announcing, Policy},
    protocol::clock::{Ms, Now},
    state::periodic::Periodic,
};

/// Time (ms) between two looks at an outbox that was empty: another controller may have put something into it.
const EMPTY: Ms = 600_000;

/// Time (ms) between two looks while the bus takes nothing.
const AWAY: Ms = 60_000;

/// State of the bus and of the outbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outbox {
    /// The look at the outbox, and the sending of what lies there.
    pub resend: Periodic,
    /// The next look begins behind this key; `None`: at the oldest event.
    pub after: Option<String>,
    /// Since when (monotonic) the bus has taken no event, if the last one was refused or had no answer.
    pub away_since: Option<Ms>,
    /// Something lies in the outbox, as far as is known.
    pub holds: bool,
}

impl Outbox {
    /// When an event that the bus has not taken since `since` goes into the outbox (monotonic). While the bus takes nothing, no
    /// message waits longer than the first one did.
    pub(crate) fn gives_up_at(&self, since: Ms, to: &Announcing) -> Ms {
        self.away_since.map_or(since, |at| at.min(since)) + to.outbox_after
    }

    /// The bus did not take an event.
    pub(crate) fn refused(&mut self, now: Now) {
        self.away_since.get_or_insert(now.mono);
    }

    /// The bus took an event: what waits is sent.
    pub(crate) fn taken(&mut self, now: Now) {
        self.away_since = None;
        if self.holds {
            self.resend.due_at = self.resend.due_at.min(now.mono);
        }
    }

    /// An event was put into the outbox.
    pub(crate) fn put_aside(&mut self, now: Now) {
        self.holds = true;
        self.resend.due_at = self.resend.due_at.min(now.mono + AWAY);
    }

    /// A look has ended: so many events were sent, so many were not taken, and there are more behind `next`.
    pub(crate) fn resent(
        &mut self,
        (sent, kept): (usize, usize),
        next: Option<String>,
        policy: &Policy,
        now: Now,
    ) {
        let every = match (sent, kept) {
            (1.., _) => policy.call_retry_base,
            (0, 1..) => AWAY,
            (0, 0) if next.is_some() => policy.call_retry_base,
            (0, 0) => EMPTY,
        };
        if sent > 0 {
            self.away_since = None;
        }
        self.holds = sent + kept > 0 || next.is_some();
        self.after = next;
        self.resend.answered(true, every, policy, now.mono);
    }
}
