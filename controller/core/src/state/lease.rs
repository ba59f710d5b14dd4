//! A lease: a message that this controller holds for a limited time.

use std::{collections::BTreeSet, sync::Arc};

use transcode_config::contract::JobKey;

use crate::{
    policy::{Policy, VISIBILITY_CAP},
    protocol::{
        action::LeaseRef,
        clock::Ms,
        fact::{MessageId, QueueName},
    },
    state::{
        failing::{Failing, Purpose},
        few::Few,
    },
};

/// Margin (ms) below SQS' 12 h. SQS refuses a longer extension; it does not shorten it.
const CAP_MARGIN: Ms = 60_000;

/// Most messages of one job that are held at the same time. Two notifications of one event (S3 and `EventBridge`, or a
/// repeated delivery) are common and are settled together; a flood of copies must not take the room of other jobs.
pub const COPIES: usize = 2;

/// The content of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The jobs that it asks for. Empty: nothing to do (a test event); the message is deleted.
    Jobs(Few<JobKey>),
    /// A version that this program does not know: put aside, never deleted (S15). Holds the reason.
    Parked(String),
}

/// Why a message is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spare {
    /// When it was received, [`COPIES`] other messages already held each of its jobs.
    Copy,
    /// More of its tenant's messages wait than may.
    Excess,
}

/// A held message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Lease {
    /// Queue it came from.
    pub queue: QueueName,
    /// Handle of the newest receive.
    pub receipt: String,
    pub body: Arc<str>,
    /// What it asks for.
    pub content: Content,
    /// When it was sent (ms since 1970), for the age metric.
    pub sent_at_ms: Option<u64>,
    /// When the newest receive call began (monotonic). SQS counts from no earlier time.
    pub received_at: Ms,
    /// When the message becomes visible again (monotonic), at the earliest.
    pub deadline: Ms,
    /// Jobs whose dead letter was acknowledged for this message.
    pub lettered: BTreeSet<JobKey>,
    /// Why it is put back; `None` if it is kept.
    pub spare: Option<Spare>,
    /// Number of receives, as SQS estimates it.
    pub receives: u32,
    /// A call for it is under way since then (monotonic).
    pub call: Option<Ms>,
    /// The message was delivered again during the call under way: the answer to that call concerns the old handle.
    pub renewed: bool,
    /// Purpose of the call under way, if it settles the message.
    pub calls_for: Option<Purpose>,
    /// The failing step of settling; the message is kept during the failures.
    pub failing: Option<Box<Failing>>,
    /// No extension and no release before this (monotonic).
    pub retry_at: Ms,
    /// Consecutive failed extensions and releases.
    pub failures: usize,
}

impl Lease {
    /// The jobs that it asks for; none if the message is put aside.
    pub fn jobs(&self) -> impl Iterator<Item = &JobKey> {
        let jobs = match &self.content {
            Content::Jobs(jobs) => Some(jobs),
            Content::Parked(_) => None,
        };
        jobs.into_iter().flat_map(Few::keys)
    }

    /// A message whose receive began at `received_at` and that becomes visible again at `deadline`.
    pub fn new(queue: QueueName, content: Content, received_at: Ms, deadline: Ms) -> Self {
        Self {
            queue,
            receipt: String::new(),
            body: "".into(),
            content,
            sent_at_ms: None,
            received_at,
            deadline,
            lettered: BTreeSet::new(),
            spare: None,
            receives: 0,
            call: None,
            renewed: false,
            calls_for: None,
            failing: None,
            retry_at: 0,
            failures: 0,
        }
    }

    /// The message and its handle, as actions name them.
    pub fn named(&self, message: &MessageId) -> LeaseRef {
        LeaseRef { queue: self.queue.clone(), message: message.clone(), receipt: self.receipt.clone() }
    }

    /// Whether a call may be made for it now.
    pub fn free(&self, now: Ms) -> bool {
        self.call.is_none() && self.retry_at <= now
    }

    /// No letter and no delete before this (monotonic).
    pub fn settle_at(&self) -> Ms {
        self.failing.as_ref().map_or(0, |failing| failing.retry_at)
    }

    /// When it must be extended (monotonic).
    pub fn extend_at(&self, policy: &Policy) -> Ms {
        self.deadline.saturating_sub(policy.lease_margin)
    }

    /// How long it can be put aside now: SQS refuses a value beyond the end of the 12 h.
    pub fn put_aside(&self, policy: &Policy, now: Ms) -> Ms {
        policy.park.min(self.left(now))
    }

    /// How long it is put back now (ms), while `away` messages of its queue are put back.
    pub fn put_back(&self, spare: Spare, message: &MessageId, away: usize, policy: &Policy, now: Ms) -> Ms {
        match spare {
            // Copies that were put back together would come back together, and again only some of them could be held.
            Spare::Copy => Policy::spread(self.put_aside(policy, now), self.receives, message),
            Spare::Excess => policy.put_back_for(self.receives, away, message).min(self.left(now)),
        }
    }

    fn left(&self, now: Ms) -> Ms {
        (self.received_at + VISIBILITY_CAP).saturating_sub(CAP_MARGIN).saturating_sub(now)
    }

    /// How long it can be extended now; `None` near the 12 h cap. Then the lease expires, SQS delivers the message
    /// again, and its task is adopted (row 6).
    pub fn extension(&self, policy: &Policy, now: Ms) -> Option<Ms> {
        let wanted = policy.visibility.min(self.left(now));
        (now + wanted > self.deadline + 1000).then_some(wanted)
    }
}
