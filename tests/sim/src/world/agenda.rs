//! The next events: events at times of their own, the next plan of each controller, and receives that wait for a
//! message.
//!
//! A controller's next plan is often moved, and so is the time at which a waiting receive finds a message. They are not
//! in the heap of events, where each move would leave a dead event behind: there are few, so all are compared.

use std::{cmp::Reverse, collections::BinaryHeap};

use transcode_core::protocol::clock::Ms;

use super::{World, event::Event};

/// An event and its key in the heap. Compared by the key alone.
#[derive(Debug)]
struct Due {
    at: Ms,
    order: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A waiting receive.
#[derive(Debug)]
struct Poll {
    /// The time of its next look.
    at: Ms,
    queue: usize,
    call: u32,
}

/// The source of the next event.
#[derive(Debug, Clone, Copy)]
enum Source {
    Heap,
    Plan(usize),
    Poll(usize),
}

/// The agenda.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<Due>>,
    order: u64,
    /// By controller; `Ms::MAX` if nothing is planned.
    plans: Vec<Ms>,
    polls: Vec<Poll>,
}

impl Agenda {
    fn next(&self) -> (Ms, Source) {
        let mut next = (self.heap.peek().map_or(Ms::MAX, |Reverse(due)| due.at), Source::Heap);
        for (index, at) in self.plans.iter().enumerate() {
            if *at < next.0 {
                next = (*at, Source::Plan(index));
            }
        }
        for (index, poll) in self.polls.iter().enumerate() {
            if poll.at < next.0 {
                next = (poll.at, Source::Poll(index));
            }
        }
        next
    }

    /// Removes and returns the next event, if it is due before `until`.
    pub(super) fn take(&mut self, until: Ms) -> Option<(Ms, Event)> {
        let (at, source) = self.next();
        if at >= until {
            return None;
        }
        let event = match source {
            Source::Heap => self.heap.pop()?.0.event,
            Source::Plan(index) => {
                self.cancel_plan(index);
                Event::Plan(index)
            }
            Source::Poll(index) => Event::Effect(self.polls.swap_remove(index).call),
        };
        Some((at, event))
    }

    /// A controller plans at `at` at the latest.
    pub(super) fn plan_by(&mut self, host: usize, at: Ms) {
        if self.plans.len() <= host {
            self.plans.resize(host + 1, Ms::MAX);
        }
        if let Some(planned) = self.plans.get_mut(host) {
            *planned = at.min(*planned);
        }
    }

    /// Removes a controller's next plan.
    pub(super) fn cancel_plan(&mut self, host: usize) {
        if let Some(planned) = self.plans.get_mut(host) {
            *planned = Ms::MAX;
        }
    }

    /// A receive waits for a message of a queue, until `at` as far as is known.
    pub(super) fn poll(&mut self, call: u32, queue: usize, at: Ms) {
        self.polls.push(Poll { at, queue, call });
    }

    /// A message of a queue becomes visible at `at`.
    pub(super) fn wake_polls(&mut self, queue: usize, at: Ms) {
        for poll in self.polls.iter_mut().filter(|poll| poll.queue == queue) {
            poll.at = poll.at.min(at);
        }
    }
}

impl World {
    pub(super) fn at(&mut self, at: Ms, event: Event) {
        self.agenda.order += 1;
        let due = Due { at: at.max(self.now), order: self.agenda.order, event };
        self.agenda.heap.push(Reverse(due));
    }

    pub(super) fn after(&mut self, delay: Ms, event: Event) {
        self.at(self.now + delay, event);
    }
}
