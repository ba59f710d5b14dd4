//! SQS: visibility, handles that outlive their use, copies, the 12 h limit, native redrive.

use transcode_controller::{
    action::{DeadLetter, LeaseRef},
    clock::Ms,
    fact::{Class, Fact, Incoming, MessageId},
    message::DeadLetterBody,
};

use super::{EPOCH, Event, World, calls::failed};
use crate::{
    fault::Fault,
    invariants,
    setup::{HOUR, Kind, MINUTE, SECOND},
};

/// SQS gives a message up after this, however often it is extended.
const CAP: Ms = 12 * HOUR;

/// A message, as it really is.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: MessageId,
    pub(super) queue: String,
    pub(super) body: String,
    pub(super) kind: Kind,
    /// Jobs it asks for.
    pub(super) jobs: Vec<usize>,
    pub(super) visible_at: Ms,
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
        queue: &str,
        body: String,
        kind: Kind,
        jobs: Vec<usize>,
        at: Ms,
    ) -> Self {
        Self {
            id: MessageId(format!("m-{number}")),
            queue: queue.to_owned(),
            body,
            kind,
            jobs,
            visible_at: at,
            received_at: at,
            receipt: 0,
            deleted: false,
            given_up: false,
        }
    }

    /// Whether it is still in its queue.
    pub(super) fn there(&self) -> bool {
        !self.deleted && !self.given_up
    }

    fn handle(&self) -> String {
        format!("secret-{}/{}", self.id.0, self.receipt)
    }
}

fn number(id: &MessageId) -> Option<usize> {
    id.0.strip_prefix("m-")?.parse().ok()
}

impl World {
    /// Receives; none while there is nothing, and then the time to look again.
    pub(super) fn receive(&mut self, queue: &str, max: u8, until: Ms) -> Result<Fact, Ms> {
        let answer = |messages| Ok(Fact::Received { queue: queue.to_owned(), messages });
        if self.fault(Fault::EmptyReceive) {
            return answer(Vec::new());
        }
        let duplicates = self.fault(Fault::DuplicateDelivery);
        // Two weeks are SQS' longest retention.
        let sent_at = if self.setup.old { EPOCH - 13 * 24 * HOUR } else { EPOCH };
        let (now, visibility) = (self.now, self.setup.policy.visibility);
        let limit = if self.faults.on { self.setup.max_receives } else { 0 };
        let mut taken = Vec::new();
        let mut next = Ms::MAX;
        for message in self.messages.iter_mut().filter(|message| message.there() && message.queue == queue) {
            let sent = message.receipt > 0;
            if taken.len() >= usize::from(max) {
                break;
            }
            if message.visible_at > now && !(duplicates && sent) {
                next = next.min(message.visible_at);
                continue;
            }
            if limit > 0 && message.receipt >= limit {
                message.given_up = true;
                self.reached.reach(7);
                continue;
            }
            if sent && message.visible_at <= now && now >= message.received_at + CAP - HOUR / 4 {
                self.reached.reach(6);
            }
            message.receipt += 1;
            message.received_at = now;
            message.visible_at = now + visibility;
            taken.push(Incoming {
                id: message.id.clone(),
                receipt: message.handle(),
                body: message.body.clone(),
                sent_at_ms: Some(sent_at),
            });
        }
        if taken.is_empty() && now < until { Err(next.min(until).max(now + 1)) } else { answer(taken) }
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
                .and_then(|()| invariants::s15_unknown_is_kept(&message.id, message.kind))
        });
        self.check(found.unwrap_or(Ok(())));
        let returns = self.fault(Fault::DeletedReturns);
        if let Some(message) = self.messages.get_mut(index) {
            let first = !message.deleted;
            message.deleted = true;
            if first && returns {
                let delay = self.rng.spread(SECOND, HOUR);
                self.after(delay, Event::Returns(index));
            }
        }
        done
    }

    pub(super) fn returns(&mut self, index: usize) {
        let now = self.now;
        if let Some(message) = self.messages.get_mut(index) {
            message.deleted = false;
            message.visible_at = now;
        }
    }

    /// `ChangeMessageVisibility`.
    pub(super) fn set_visibility(&mut self, lease: &LeaseRef, ms: Ms, done: Fact) -> Fact {
        let lost = Fact::LeaseLost { message: lease.message.clone() };
        let Some((index, current)) = self.leased(lease) else { return lost };
        let now = self.now;
        let Some(message) = self.messages.get_mut(index) else { return lost };
        if !current || !message.there() || message.visible_at <= now {
            return lost;
        }
        if now + ms > message.received_at + CAP {
            let error = failed("sqs:ChangeMessageVisibility", Class::Permanent, "above 12 h in total");
            return Fact::MessageCallFailed { message: lease.message.clone(), error };
        }
        message.visible_at = now + ms;
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
            .map(|job| invariants::s12_register_outranks(&letter.job, job.terminal.as_deref()));
        self.check(found.unwrap_or(Ok(())));
        self.letters.push(DeadLetterBody::of(letter).encode());
        Fact::DeadLettered { message: letter.lease.message.clone(), job: letter.job.clone() }
    }

    /// The operator sends everything back that died, under new message ids.
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
            moved.push((message.queue.clone(), message.body.clone(), message.kind));
        }
        for (queue, body, kind) in moved {
            self.send(&queue, body, kind, at);
        }
    }

    /// Messages that are still to be settled: not those which nobody here may touch.
    pub fn open_messages(&self) -> impl Iterator<Item = &str> {
        self.messages
            .iter()
            .filter(|message| message.there() && message.kind != Kind::Unknown)
            .filter(|message| {
                !message.jobs.iter().any(|job| self.jobs.get(*job).is_some_and(|job| job.newer))
            })
            .map(|message| message.id.0.as_str())
    }

    /// Jobs that some message in a queue asks for.
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
