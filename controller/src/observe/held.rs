//! Messages held from turn to turn: which were lost. A lease that ran out is no fact; it is noticed here.

use std::collections::BTreeMap;

use transcode_config::contract::JobKey;
use transcode_core::{
    protocol::fact::MessageId,
    state::{lease::Content, ledger::Ledger},
};

use crate::events::{Events, Moment};

/// The messages of the last turn, each with the first of its jobs.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<MessageId, Option<JobKey>>);

impl Held {
    /// A message was deleted or given back: that it is held no more is no loss.
    pub(super) fn gave_up(&mut self, message: &MessageId) {
        self.0.remove(message);
    }

    /// Compares with what is held now: messages that are gone untold were lost, because their lease ran out or their
    /// handle was worthless.
    pub(super) fn turned(&mut self, ledger: &Ledger, events: &Events) {
        let lost = self.0.extract_if(.., |message, _| !ledger.leases.contains_key(message));
        for (message, job) in lost {
            events.emit(Moment::LeaseLost { message: &message, job: job.as_ref() });
        }
        for (message, lease) in ledger.leases.iter() {
            if !self.0.contains_key(message) {
                let job = match &lease.content {
                    Content::Jobs(jobs) => jobs.first().cloned(),
                    Content::Parked(_) => None,
                };
                self.0.insert(message.clone(), job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transcode_core::{message::Rules, state::lease::Lease};

    use crate::events::Metric;

    fn ledger(messages: &[&str]) -> Ledger {
        let mut ledger = Ledger::new("me", Rules::default());
        let jobs = [JobKey::of(&["x"])];
        for message in messages {
            let lease = Lease::new("q".into(), Content::Jobs(jobs.clone().into()), 0, 0);
            ledger.leases.insert(MessageId((*message).into()), lease);
        }
        ledger
    }

    #[test]
    fn what_goes_untold_is_lost_and_counted_once() {
        let (mut held, events) = (Held::default(), Events::new());
        let lost = || events.registry().count(Metric::LeasesLost);
        held.turned(&ledger(&["a", "b", "c"]), &events);
        assert_eq!(lost(), 0);
        held.gave_up(&MessageId("a".into()));
        held.turned(&ledger(&["c"]), &events);
        assert_eq!(lost(), 1, "b, and not a");
        held.turned(&ledger(&["c"]), &events);
        assert_eq!(lost(), 1);
    }
}
