//! Batches: SQS and `EventBridge` take up to ten entries in a call, so actions of one kind and queue travel together.
//!
//! The planner decides on each message separately, and each gets its own answer (row 14 of the fault catalogue). Only
//! actions of the same turn that go to the same queue by the same call share a batch; no action waits for others.

use std::sync::Arc;

use transcode_config::contract::JobEvent;

use crate::protocol::{
    action::{Action, LeaseRef},
    clock::Ms,
    via::Via,
};

/// Most entries of one call: the limit of SQS and of `EventBridge`.
pub const BATCH: usize = 10;

/// The content of one call.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// An action that is not batched.
    One(Action),
    /// `DeleteMessageBatch`: leases of one queue.
    Deletes(Vec<LeaseRef>),
    /// `PutEvents`: events for one bus.
    Events(Arc<str>, Vec<Arc<JobEvent>>),
    /// `ChangeMessageVisibilityBatch`: leases of one queue, each with its own timeout.
    Timeouts(Vec<Timeout>),
}

/// A visibility timeout to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeout {
    /// The message.
    pub lease: LeaseRef,
    /// The timeout, from the call on, in milliseconds.
    pub ms: Ms,
    /// `true`: to keep the message. `false`: to give it back.
    pub keep: bool,
}

impl Timeout {
    fn action(self) -> Action {
        let Self { lease, ms, keep } = self;
        if keep { Action::Extend { lease, for_ms: ms } } else { Action::Release { lease, after_ms: ms } }
    }
}

impl Work {
    /// A call for one action alone.
    pub fn of(action: Action) -> Self {
        match action {
            Action::Delete { lease } => Self::Deletes(vec![lease]),
            Action::Announce { event, via: Via::Bus(bus) } => Self::Events(bus, vec![event]),
            Action::Extend { lease, for_ms: ms } => Self::Timeouts(vec![Timeout { lease, ms, keep: true }]),
            Action::Release { lease, after_ms: ms } => {
                Self::Timeouts(vec![Timeout { lease, ms, keep: false }])
            }
            other => Self::One(other),
        }
    }

    /// The actions of this call.
    pub fn actions(&self) -> Vec<Action> {
        match self {
            Self::One(action) => vec![action.clone()],
            Self::Deletes(leases) => leases.iter().cloned().map(|lease| Action::Delete { lease }).collect(),
            Self::Events(bus, events) => {
                let via = || Via::Bus(Arc::clone(bus));
                events.iter().map(|event| Action::Announce { event: Arc::clone(event), via: via() }).collect()
            }
            Self::Timeouts(timeouts) => timeouts.iter().cloned().map(Timeout::action).collect(),
        }
    }

    /// Short name, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::One(action) => action.name(),
            Self::Deletes(_) => "delete",
            Self::Events(..) => "announce",
            Self::Timeouts(_) => "set_visibility",
        }
    }

    /// Adds the entries of `more` to this call; returns `more` if it does not fit.
    fn join(&mut self, more: Self) -> Option<Self> {
        let room = |first: Option<&LeaseRef>, taken: usize, new: Option<&LeaseRef>| {
            taken < BATCH && first.zip(new).is_some_and(|(first, new)| first.queue == new.queue)
        };
        match (self, more) {
            (Self::Deletes(taken), Self::Deletes(new)) if room(taken.first(), taken.len(), new.first()) => {
                taken.extend(new);
                None
            }
            (Self::Events(bus, taken), Self::Events(to, new)) if bus == &to && taken.len() < BATCH => {
                taken.extend(new);
                None
            }
            (Self::Timeouts(taken), Self::Timeouts(new))
                if room(taken.first().map(|it| &it.lease), taken.len(), new.first().map(|it| &it.lease)) =>
            {
                taken.extend(new);
                None
            }
            (_, more) => Some(more),
        }
    }
}

/// Groups the actions of a turn into calls. Every action is in exactly one call; each call stands at the place of its
/// first action.
pub fn batches(actions: &[Action]) -> Vec<Work> {
    let mut works: Vec<Work> = Vec::with_capacity(actions.len());
    // Indices of the calls that still have room: at most one for each kind, and queue or bus.
    let mut open: Vec<usize> = Vec::new();
    for action in actions {
        let mut rest = Some(Work::of(action.clone()));
        if matches!(rest, Some(Work::Deletes(_) | Work::Events(..) | Work::Timeouts(_))) {
            for index in &open {
                let (Some(work), Some(more)) = (works.get_mut(*index), rest.take()) else { break };
                rest = work.join(more);
            }
            if rest.is_some() {
                open.push(works.len());
            }
        }
        works.extend(rest);
        open.retain(|index| works.get(*index).is_some_and(|work| work.actions().len() < BATCH));
    }
    works
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::protocol::fact::MessageId;

    fn lease(queue: &str, number: usize) -> LeaseRef {
        LeaseRef { queue: queue.into(), message: MessageId(format!("m{number}").into()), receipt: "r".into() }
    }

    /// The queues of a call's entries.
    fn queues(work: &Work) -> BTreeSet<String> {
        let of = |action| match action {
            Action::Delete { lease } | Action::Extend { lease, .. } | Action::Release { lease, .. } => {
                Some(lease.queue)
            }
            _ => None,
        };
        work.actions().into_iter().filter_map(of).collect()
    }

    #[test]
    fn every_action_is_carried_out_once_in_full_calls_of_ten_and_one_queue() {
        let mut actions = vec![Action::Resync];
        for number in 0..25 {
            let queue = if number % 5 == 0 { "low" } else { "high" };
            actions.push(Action::Delete { lease: lease(queue, number) });
            actions.push(Action::Extend { lease: lease(queue, 100 + number), for_ms: 1 });
            actions.push(Action::Release { lease: lease(queue, 200 + number), after_ms: 0 });
        }
        let works = batches(&actions);
        let sorted = |actions: Vec<Action>| {
            let mut named: Vec<String> = actions.iter().map(|action| format!("{action:?}")).collect();
            named.sort();
            named
        };
        assert_eq!(sorted(works.iter().flat_map(Work::actions).collect()), sorted(actions));
        // 20 and 5 deletes, 40 and 10 timeouts, and the list.
        assert_eq!(works.len(), (2 + 1) + (4 + 1) + 1);
        for work in &works {
            assert!(work.actions().len() <= BATCH && queues(work).len() <= 1, "{work:?}");
        }
    }
}
