//! Jobs and tasks as they really are: the promises are checked against these.

use std::{collections::BTreeSet, sync::Arc};

use transcode_config::contract::{Attempt, Claim, JobKey, JobSpec, TaskState, Terminal};
use transcode_core::{
    message::Request,
    protocol::{clock::Ms, task_view::TaskView},
};

use crate::setup::Nature;

/// The true state of a job.
#[derive(Debug, Clone)]
pub struct JobTruth {
    /// The request.
    pub request: Request,
    /// Its specification, once it exists in the bucket.
    pub spec: Option<Arc<JobSpec>>,
    /// The fate of its attempts.
    pub nature: Nature,
    /// Its claims, in the order of the attempts.
    pub claims: Vec<Arc<Claim>>,
    /// The time of each claim.
    pub claimed_at: Vec<Ms>,
    /// Its terminal record.
    pub terminal: Option<Arc<Terminal>>,
    /// When the terminal record was written.
    pub decided_at: Ms,
    /// How often the terminal record was written.
    pub records: u32,
    /// Its winner, once its entry points are in place or a newer job is live.
    pub published: Option<Attempt>,
    /// The index has the entries of its acceptance.
    pub listed: bool,
    /// The index has the entry of its end.
    pub indexed: bool,
    /// Events of its end that the bus has taken.
    pub told: u32,
    /// Letters in the dead-letter queue.
    pub letters: u32,
    /// Messages that ask for it.
    pub messages: u32,
    /// When the first of them was sent.
    pub sent_at: Ms,
    /// When the last of them was sent.
    pub last_sent_at: Ms,
    /// Its tasks.
    pub tasks: Vec<usize>,
    /// Tasks that are working on it now.
    pub working: u32,
    /// Attempts whose end is certainly the platform's fault.
    pub platform: BTreeSet<Attempt>,
    /// Attempts whose folder holds every file of its manifest.
    pub complete: BTreeSet<Attempt>,
    /// Attempts whose folders hold files or open uploads.
    pub files: BTreeSet<Attempt>,
    /// Calls to empty its folders that had no answer.
    pub uncollected: usize,
    /// A newer version has written documents of this job.
    pub newer: bool,
}

impl JobTruth {
    pub(crate) fn new(request: Request, nature: Nature) -> Self {
        Self {
            request,
            spec: None,
            nature,
            claims: Vec::new(),
            claimed_at: Vec::new(),
            terminal: None,
            decided_at: 0,
            records: 0,
            published: None,
            listed: false,
            indexed: false,
            told: 0,
            letters: 0,
            messages: 0,
            sent_at: 0,
            last_sent_at: 0,
            tasks: Vec::new(),
            working: 0,
            platform: BTreeSet::new(),
            complete: BTreeSet::new(),
            files: BTreeSet::new(),
            uncollected: 0,
            newer: false,
        }
    }

    /// Its key.
    pub fn key(&self) -> &JobKey {
        self.request.job()
    }
}

/// The true state of a task's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proc {
    /// Not begun.
    NotStarted,
    /// Start checks.
    Starting,
    /// Working since this time.
    Working(Ms),
    /// Its machine is suspended; it had been working since this time.
    Frozen(Ms),
    /// Over.
    Gone,
}

/// The true state of a task.
#[derive(Debug, Clone)]
pub struct Task {
    /// ECS' view of it.
    pub view: TaskView,
    /// ECS' view before its last change.
    pub(crate) old: TaskView,
    /// Index of its job; `None` for a task of another program.
    pub job: Option<usize>,
    /// Its claim.
    pub claim: Arc<Claim>,
    /// Where its process is.
    pub proc: Proc,
    /// Steps with another number are outdated.
    pub(crate) epoch: u32,
    /// When it was launched.
    pub made_at: Ms,
    /// Since when it is in the start phase that ECS shows.
    pub phase_since: Ms,
    /// ECS does not know it before this.
    pub(crate) shows_at: Ms,
    pub(crate) stopped_at: Option<Ms>,
    /// Somebody has sent StopTask for it, whether or not ECS found it.
    pub told_to_stop: bool,
    /// A person has stopped it to cancel its job.
    pub stopped_by_hand: bool,
    /// ECS does not know it from this time on.
    pub(crate) purged_at: Ms,
    /// It never reaches STOPPED by itself.
    pub(crate) stuck: bool,
    /// When its machine, which had been suspended, went on.
    pub(crate) woken_at: Option<Ms>,
    /// When its first heartbeat was written.
    pub(crate) beat_from: Option<Ms>,
    /// No heartbeat is written in this interval.
    pub(crate) quiet: Option<(Ms, Ms)>,
    /// No heartbeat is written after this time.
    pub beat_until: Ms,
    /// It makes no progress from this time on, although it still writes heartbeats.
    pub stalls_at: Option<Ms>,
    /// The state in its last heartbeat, and when that was written.
    pub(crate) last_word: Option<(Ms, TaskState)>,
    /// Offset of its wall clock, in milliseconds.
    pub(crate) offset: i64,
}

impl Task {
    /// Whether its process may be working, now or later.
    pub fn alive(&self) -> bool {
        self.proc != Proc::Gone
    }

    /// The attempt it belongs to.
    pub fn attempt(&self) -> Attempt {
        self.claim.attempt
    }
}
