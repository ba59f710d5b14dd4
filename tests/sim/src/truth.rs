//! Jobs and tasks as they really are: what the promises are held against.

use std::{collections::BTreeSet, sync::Arc};

use transcode_config::contract::{Attempt, Claim, JobKey, JobSpec, TaskState, Terminal};
use transcode_core::{
    message::Request,
    protocol::{clock::Ms, task_view::TaskView},
};

use crate::setup::Nature;

/// A job, as it really is.
#[derive(Debug, Clone)]
pub struct JobTruth {
    /// What was asked for.
    pub request: Request,
    /// Its specification, once it is in the bucket.
    pub spec: Option<Arc<JobSpec>>,
    /// What becomes of its attempts.
    pub nature: Nature,
    /// Its claims, by attempt.
    pub claims: Vec<Arc<Claim>>,
    /// When each was claimed.
    pub claimed_at: Vec<Ms>,
    /// Its terminal record.
    pub terminal: Option<Arc<Terminal>>,
    /// When the terminal record was written.
    pub decided_at: Ms,
    /// How often the terminal record was written.
    pub records: u32,
    /// Its winner, once its entry points are in place or something newer has taken over.
    pub published: Option<Attempt>,
    /// Letters in the dead-letter queue.
    pub letters: u32,
    /// Messages that ask for it.
    pub messages: u32,
    /// Its tasks.
    pub tasks: Vec<usize>,
    /// Tasks that work on it now.
    pub working: u32,
    /// Attempts that certainly ended through the platform's fault.
    pub platform: BTreeSet<Attempt>,
    /// Attempts whose folder holds every file of its manifest.
    pub complete: BTreeSet<Attempt>,
    /// Attempts whose folders hold files or open uploads.
    pub files: BTreeSet<Attempt>,
    /// Calls to empty folders that got no answer.
    pub uncollected: usize,
    /// A newer version has written documents of it.
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
            letters: 0,
            messages: 0,
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

/// Where a task's process really is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proc {
    /// Not begun.
    NotStarted,
    /// Start checks.
    Starting,
    /// Working since.
    Working(Ms),
    /// Its machine stands still; it had been working since.
    Frozen(Ms),
    /// Over.
    Gone,
}

/// A task, as it really is.
#[derive(Debug, Clone)]
pub struct Task {
    /// What ECS says of it.
    pub view: TaskView,
    /// What ECS said before its last change.
    pub(crate) old: TaskView,
    /// Index of its job; none for somebody else's task.
    pub job: Option<usize>,
    /// Its claim.
    pub claim: Arc<Claim>,
    /// Where its process is.
    pub proc: Proc,
    /// Outdated steps carry another number.
    pub(crate) epoch: u32,
    /// When it was launched.
    pub made_at: Ms,
    /// Since when it is in the phase of its start that ECS shows.
    pub phase_since: Ms,
    /// ECS does not know it before this.
    pub(crate) shows_at: Ms,
    pub(crate) stopped_at: Option<Ms>,
    /// Somebody has asked to stop it, whether or not ECS found it.
    pub told_to_stop: bool,
    /// ECS has forgotten it from then on.
    pub(crate) purged_at: Ms,
    /// It never reaches STOPPED by itself.
    pub(crate) stuck: bool,
    /// When its first heartbeat was written.
    pub(crate) beat_from: Option<Ms>,
    /// No heartbeat is written within this.
    pub(crate) quiet: Option<(Ms, Ms)>,
    /// No heartbeat is written after this.
    pub beat_until: Ms,
    /// It gets no further from then on, though it goes on writing heartbeats.
    pub stalls_at: Option<Ms>,
    /// What its last heartbeat says, and when it was written.
    pub(crate) last_word: Option<(Ms, TaskState)>,
    /// How far its wall clock is off.
    pub(crate) offset: i64,
}

impl Task {
    /// Whether its process may be doing something, now or later.
    pub fn alive(&self) -> bool {
        self.proc != Proc::Gone
    }

    /// The attempt it belongs to.
    pub fn attempt(&self) -> Attempt {
        self.claim.attempt
    }
}
