//! Telling the bus how jobs end (S18), and sending what it did not take in time.

use std::sync::Arc;

use transcode_config::contract::Terminal;

use super::{output::Planner, view::View};
use crate::{
    policy::Announcing,
    protocol::{action::Action, via::Via},
    state::job::Job,
    weakness::{Weakness, weak},
};

impl View<'_> {
    /// The event of a decided job, on its way to the bus; or into the outbox, once the bus has been away for as long as
    /// the message may wait.
    pub(super) fn announce(self, job: &Job, terminal: &Terminal, to: &Announcing) -> Action {
        let aside_at = job.failing.as_ref().and_then(|failing| failing.aside_at);
        let aside = aside_at.is_some_and(|at| at <= self.now.mono) && !weak(Weakness::NeverPutsEventsAside);
        let via = if aside { Via::Outbox } else { Via::Bus(Arc::clone(&to.bus)) };
        Action::Announce { event: Arc::new(self.ledger.outcome(job, terminal, to)), via }
    }

    /// A weakness: the event of an end whose record is about to be written.
    pub(super) fn too_early(self, job: &Job, give_up: &Action) -> Option<Action> {
        let Action::GiveUp { terminal, .. } = give_up else { return None };
        let to = self.policy.announcing.as_ref().filter(|_| weak(Weakness::AnnouncesBeforeRecord))?;
        (!job.announced).then(|| self.announce(job, terminal, to))
    }

    /// Sends what lies in the outbox, when a look is due.
    pub(super) fn resend(self, plan: &mut Planner) {
        let Some(to) = self.policy.announcing.as_ref().filter(|_| !self.ledger.drains()) else { return };
        let outbox = &self.ledger.outbox;
        if weak(Weakness::NeverEmptiesOutbox) {
            return;
        }
        if outbox.resend.due(self.now.mono) {
            let (bus, environment) = (Arc::clone(&to.bus), Arc::clone(&to.environment));
            plan.act(Action::Resend { bus, environment, after: outbox.after.clone() });
        } else if outbox.resend.call.is_none() {
            plan.wake(outbox.resend.due_at);
        }
    }
}
