//! A lease: a message that this controller holds for a while.

use std::{collections::BTreeSet, sync::Arc};

use transcode_config::contract::JobKey;

use crate::{
    policy::{Policy, VISIBILITY_CAP},
    protocol::{
        action::LeaseRef,
        clock::Ms,
        fact::{MessageId, QueueName},
    },
};

/// Room that an extension leaves below SQS' 12 h: a value above what is left is an error there, not clamped.
const CAP_MARGIN: Ms = 60_000;

/// Messages of one job that are held at once. Two ways for one event (S3 and `EventBridge`, a repeated delivery) are
/// ordinary and settled together; a flood of copies must not take the room of other jobs.
pub const COPIES: usize = 2;

/// What the message's body asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These jobs. Empty: nothing to do (a test event); the message is deleted.
    Jobs(BTreeSet<JobKey>),
    /// A version that is not known here: put aside, never deleted (S15).
    Parked(String),
}

/// Why a message is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spare {
    /// When it came, each of its jobs was held by [`COPIES`] other messages already.
    Copy,
    /// More of its tenant's messages wait than there is place for.
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
    /// When the newest receive was asked for (monotonic): not later than SQS counts from.
    pub received_at: Ms,
    /// When it becomes visible again (monotonic): not later than SQS does it.
    pub deadline: Ms,
    /// Jobs whose dead letter has been acknowledged on behalf of this message.
    pub lettered: BTreeSet<JobKey>,
    /// It is put back, and why; none of one that is kept.
    pub spare: Option<Spare>,
    /// How often it was received, as SQS estimates.
    pub receives: u32,
    /// A call for it is under way, since when.
    pub call: Option<Ms>,
    /// It was delivered again since: what that call is told concerns the handle of before.
    pub renewed: bool,
    /// No call before this.
    pub retry_at: Ms,
    /// Failed calls in a row.
    pub failures: usize,
}

impl Lease {
    /// The jobs that it asks for; none of a message that is put aside.
    pub fn jobs(&self) -> impl Iterator<Item = &JobKey> {
        let jobs = match &self.content {
            Content::Jobs(jobs) => Some(jobs),
            Content::Parked(_) => None,
        };
        jobs.into_iter().flatten()
    }

    /// A message that was asked for at `received_at` and becomes visible again at `deadline`.
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
            retry_at: 0,
            failures: 0,
        }
    }

    /// The message as actions name it.
    pub fn named(&self, message: &MessageId) -> LeaseRef {
        LeaseRef { queue: self.queue.clone(), message: message.clone(), receipt: self.receipt.clone() }
    }

    /// Whether a call may be made for it now.
    pub fn free(&self, now: Ms) -> bool {
        self.call.is_none() && self.retry_at <= now
    }

    /// When it has to be extended.
    pub fn extend_at(&self, policy: &Policy) -> Ms {
        self.deadline.saturating_sub(policy.lease_margin)
    }

    /// How long it can be put aside now: a value above what is left of the 12 h is an error.
    pub fn put_aside(&self, policy: &Policy, now: Ms) -> Ms {
        policy.park.min(self.left(now))
    }

    /// How long it is put back for now.
    pub fn put_back(&self, spare: Spare, message: &MessageId, policy: &Policy, now: Ms) -> Ms {
        match spare {
            Spare::Copy => self.put_aside(policy, now),
            Spare::Excess => policy.put_back_for(self.receives, message).min(self.left(now)),
        }
    }

    fn left(&self, now: Ms) -> Ms {
        (self.received_at + VISIBILITY_CAP).saturating_sub(CAP_MARGIN).saturating_sub(now)
    }

    /// How far it can be extended now; none near the 12 h cap: then it is let go, comes back, and is adopted (row 6).
    pub fn extension(&self, policy: &Policy, now: Ms) -> Option<Ms> {
        let wanted = policy.visibility.min(self.left(now));
        (now + wanted > self.deadline + 1000).then_some(wanted)
    }
}
