//! SQS: visibility, outdated handles, copies, the 12 h limit, native redrive.

use std::collections::BTreeSet;

use transcode_core::{
    message::DeadLetterBody,
    protocol::{
        action::{DeadLetter, LeaseRef},
        clock::Ms,
        fact::{ErrorClass, Fact, Incoming, MessageId},
    },
};

use super::{EPOCH, World, calls::failed, event::Event};
use crate::{
    fault::Fault,
    invariants,
    setup::{HOUR, Kind, MINUTE, SECOND},
};

/// SQS makes a message visible after this time, however often it is extended.
const CAP: Ms = 12 * HOUR;

/// The true state of a message.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: MessageId,
    queue: usize,
    sent_at: Ms,
    pub(super) body: String,
    pub(super) kind: Kind,
    /// Jobs it asks for.
    pub(super) jobs: Vec<usize>,
    visible_at: Ms,
    received_at: Ms,
    /// Number of the newest handle.
    receipt: u32,
    pub(super) deleted: bool,
    /// SQS itself moved it to the dead-letter queue.
    pub(super) given_up: bool,
}

impl Message {
    pub(super) fn new(
        number: usize,
        (queue, sent_at): (usize, Ms),
        body: String,
        kind: Kind,
        jobs: Vec<usize>,
    ) -> Self {
        Self {
            id: MessageId(format!("m-{number}").into()),
            queue,
            sent_at,
            body,
            kind,
            jobs,
            visible_at: 0,
            received_at: 0,
            receipt: 0,
            deleted: false,
            given_up: false,
        }
    }

    /// Whether it is in its queue.
    pub(super) fn there(&self) -> bool {
        !self.deleted && !self.given_up
    }

    fn handle(&self) -> String {
        format!("secret-{}/{}", self.id.0, self.receipt)
    }
}

/// A job queue.
#[derive(Debug)]
pub(super) struct Queue {
    name: String,
    /// Its messages by the time at which they become, or became, visible.
    order: BTreeSet<(Ms, usize)>,
}

impl Queue {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), order: BTreeSet::new() }
    }
}

fn number(id: &MessageId) -> Option<usize> {
    id.0.strip_prefix("m-")?.parse().ok()
}

impl World {
    pub(super) fn queue(&self, name: &str) -> Option<usize> {
        self.queues.iter().position(|queue| queue.name == name)
    }

    /// A message is in its queue, and visible from `at` on.
    pub(super) fn shows(&mut self, index: usize, at: Ms) {
        let Some(message) = self.messages.get_mut(index) else { return };
        let Some(queue) = self.queues.get_mut(message.queue) else { return };
        queue.order.remove(&(message.visible_at, index));
        queue.order.insert((at, index));
        message.visible_at = at;
        self.agenda.wake_polls(message.queue, at.max(self.now + 1));
    }

    /// A message leaves its queue.
    fn leaves(&mut self, index: usize) {
        if let Some(message) = self.messages.get(index)
            && let Some(queue) = self.queues.get_mut(message.queue)
        {
            queue.order.remove(&(message.visible_at, index));
        }
    }

    /// The messages that a receive finds: those visible for longest, and sometimes one in flight.
    fn found(&mut self, queue: usize, max: usize) -> Vec<usize> {
        let now = self.now;
        if self.fault(Fault::DuplicateDelivery) {
            let of_queue = self.messages.iter().enumerate().filter(|(_, it)| it.queue == queue && it.there());
            let found = of_queue.filter(|(_, it)| it.visible_at <= now || it.receipt > 0);
            return found.map(|(index, _)| index).take(max).collect();
        }
        let order = self.queues.get(queue).map(|queue| queue.order.range(..=(now, usize::MAX)));
        order.into_iter().flatten().map(|(_, index)| *index).take(max).collect()
    }

    /// Receives. `Err`: there is nothing; the time of the next look.
    pub(super) fn receive(&mut self, name: &str, max: u8, until: Ms) -> Result<Fact, Ms> {
        let answer = |messages| Ok(Fact::Received { queue: name.to_owned(), messages });
        let Some(queue) = self.queue(name).filter(|_| !self.fault(Fault::EmptyReceive)) else {
            return answer(Vec::new());
        };
        // Two weeks are SQS' longest retention.
        let sent_at = if self.setup.old { EPOCH - 13 * 24 * HOUR } else { EPOCH };
        let (now, visibility) = (self.now, self.setup.policy.visibility);
        let limit = if self.faults.on { self.setup.max_receives } else { 0 };
        let in_lines = !self.setup.expected.is_empty();
        let mut taken = Vec::new();
        for index in self.found(queue, usize::from(max)) {
            let Some(message) = self.messages.get_mut(index) else { continue };
            if limit > 0 && message.receipt >= limit {
                message.given_up = true;
                self.leaves(index);
                self.reached.reach(7);
                continue;
            }
            if message.receipt > 0 && message.visible_at <= now && now >= message.received_at + CAP - HOUR / 4
            {
                self.reached.reach(6);
            }
            message.receipt += 1;
            message.received_at = now;
            taken.push(Incoming {
                id: message.id.clone(),
                receipt: message.handle(),
                body: message.body.clone(),
                // The order of sending matters only in the lines of tenants.
                sent_at_ms: Some(if in_lines || !self.setup.steering.is_empty() {
                    EPOCH + message.sent_at
                } else {
                    sent_at
                }),
                receives: message.receipt,
            });
            self.shows(index, now + visibility);
        }
        if taken.is_empty() && now < until {
            let next = self.queues.get(queue).and_then(|queue| queue.order.first()).map(|(at, _)| *at);
            return Err(next.unwrap_or(until).min(until).max(now + 1));
        }
        answer(taken)
    }

    fn leased(&self, lease: &LeaseRef) -> Option<(usize, bool)> {
        let index = number(&lease.message)?;
        let message = self.messages.get(index)?;
        Some((index, message.handle() == lease.receipt))
    }

    pub(super) fn delete(&mut self, lease: &LeaseRef) -> Fact {
        let done = Fact::Deleted { message: lease.message.clone() };
        let lost = Fact::LeaseLost { message: lease.message.clone() };
        let Some((index, current)) = self.leased(lease) else { return lost };
        if !current {
            self.reached.reach(4);
            return if self.fault(Fault::StaleDelete) { done } else { lost };
        }
        let found = self.messages.get(index).map(|message| {
            let jobs: Vec<_> = message.jobs.iter().filter_map(|job| self.jobs.get(*job)).collect();
            invariants::s1_deleted_when_decided(&message.id, &jobs)
                .and_then(|()| invariants::s20_deleted_when_listed(&message.id, &jobs))
                .and_then(|()| {
                    let untold = message.jobs.iter().find(|job| !self.is_told(**job));
                    let untold = untold.and_then(|job| self.jobs.get(*job));
                    invariants::s18_deleted_when_told(&message.id, untold)
                })
                .and_then(|()| invariants::s15_unknown_is_kept(&message.id, message.kind))
        });
        self.check(found.unwrap_or(Ok(())));
        let returns = self.fault(Fault::DeletedReturns);
        if let Some(message) = self.messages.get_mut(index) {
            let first = !message.deleted;
            message.deleted = true;
            self.leaves(index);
            if first && returns {
                let delay = self.rng.spread(SECOND, HOUR);
                self.returning += 1;
                self.after(delay, Event::Returns(index));
            }
        }
        done
    }

    pub(super) fn returns(&mut self, index: usize) {
        self.returning -= 1;
        if let Some(message) = self.messages.get_mut(index) {
            message.deleted = false;
            self.shows(index, self.now);
        }
    }

    /// `ChangeMessageVisibility`.
    pub(super) fn set_visibility(&mut self, lease: &LeaseRef, ms: Ms, done: Fact) -> Fact {
        let lost = Fact::LeaseLost { message: lease.message.clone() };
        let Some((index, current)) = self.leased(lease) else { return lost };
        let now = self.now;
        let Some(message) = self.messages.get(index) else { return lost };
        if !current || !message.there() || message.visible_at <= now {
            return lost;
        }
        if now + ms > message.received_at + CAP {
            let error = failed("sqs:ChangeMessageVisibility", ErrorClass::Permanent, "above 12 h in total");
            return Fact::MessageCallFailed { message: lease.message.clone(), error };
        }
        self.shows(index, now + ms);
        done
    }

    pub(super) fn dead_letter(&mut self, letter: &DeadLetter) -> Fact {
        if let Some(job) = self.by_key.get(&letter.job).and_then(|job| self.jobs.get_mut(*job)) {
            job.letters += 1;
        }
        let found = self
            .by_key
            .get(&letter.job)
            .and_then(|job| self.jobs.get(*job))
            .map(|job| invariants::s12_terminal_record_outranks(&letter.job, job.terminal.as_deref()));
        self.check(found.unwrap_or(Ok(())));
        self.letters.push(DeadLetterBody::of(letter).encode());
        Fact::DeadLettered { message: letter.lease.message.clone(), job: letter.job.clone() }
    }

    /// The operator moves every dead letter back, with new message ids.
    pub(super) fn redrive(&mut self) {
        let letters = std::mem::take(&mut self.letters);
        let at = self.now + self.rng.below(MINUTE);
        for body in letters {
            self.reached.reach(11);
            self.send("jobs", body, Kind::Jobs, at);
        }
        let mut moved = Vec::new();
        for message in self.messages.iter_mut().filter(|message| message.given_up && !message.deleted) {
            message.deleted = true;
            moved.push((message.queue, message.body.clone(), message.kind));
        }
        for (queue, body, kind) in moved {
            let name = self.queues.get(queue).map_or_else(String::new, |queue| queue.name.clone());
            self.send(&name, body, kind, at);
        }
    }

    /// The most receives of any message.
    pub fn most_receives(&self) -> u64 {
        self.messages.iter().map(|message| u64::from(message.receipt)).max().unwrap_or(0)
    }

    /// Messages that must still be settled, without those that this version leaves alone.
    pub fn open_messages(&self) -> impl Iterator<Item = &str> {
        self.messages
            .iter()
            .filter(|message| message.there() && message.kind != Kind::Unknown)
            .filter(|message| {
                !message.jobs.iter().any(|job| self.jobs.get(*job).is_some_and(|job| job.newer))
            })
            .map(|message| &*message.id.0)
    }

    /// Whether SQS itself moved a message for this job to the dead-letter queue. A controller that knows the job
    /// continues with it as long as one of its tasks may be working and a launch may be under way, attempt after
    /// attempt: nothing bounds that.
    pub fn given_up(&self, job: usize) -> bool {
        self.setup.max_receives > 0 && self.messages.iter().any(|it| it.given_up && it.jobs.contains(&job))
    }

    /// For each job, whether a message in a queue asks for it.
    pub fn wanted_jobs(&self) -> Vec<bool> {
        let mut wanted = vec![true; self.jobs.len()];
        for message in self.messages.iter().filter(|message| message.given_up) {
            for job in &message.jobs {
                if let Some(wanted) = wanted.get_mut(*job) {
                    *wanted = false;
                }
            }
        }
        wanted
    }
}
