//! The inputs that a seed draws before its run: settings, uploads, natures of jobs, episodes.

mod draw;
mod fair_worlds;
mod named;
mod policy;
mod steered_worlds;
mod steering;
mod tenants;
mod uploads;
pub mod worlds;

use std::collections::BTreeMap;

use serde_json::json;
use transcode_config::contract::FailureCode;
use transcode_core::{message::Rules, policy::Policy, protocol::clock::Ms};

pub use self::steering::Revision;
use self::uploads::record;
pub(crate) use self::{tenants::rule as tenant_rule, uploads::keyed};
use crate::rng::mix;

/// One second.
pub const SECOND: Ms = 1000;
/// One minute.
pub const MINUTE: Ms = 60 * SECOND;
/// One hour.
pub const HOUR: Ms = 60 * MINUTE;

/// Time between a task's heartbeats.
pub const BEAT_EVERY: Ms = 30 * SECOND;
/// A task that could not write a heartbeat for this long stops working.
pub const FENCE: Ms = 120 * SECOND;
/// Time after which a caller gives a call up.
pub const CALL_TIMEOUT: Ms = 30 * SECOND;

/// The purpose of a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Few jobs and many faults: most seeds, and most findings.
    Harsh,
    /// Hundreds of jobs that take half a day or more, and rare faults: the run also reaches events that take days.
    Calm,
    /// 5,000 tasks that outlive their controller.
    Crowd,
}

impl Sort {
    /// The purpose of a seed's number.
    pub fn of(seed: u64) -> Self {
        match (seed % 5000, mix(&[seed, 6]) % 4) {
            (999, _) => Self::Crowd,
            (_, 0) => Self::Calm,
            _ => Self::Harsh,
        }
    }
}

/// A fault with a begin and an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Episode {
    /// Nobody may read or write the state bucket.
    StateDenied,
    /// The controllers' credentials have expired.
    Credentials,
    /// Reads succeed; all calls that publish, send or delete are refused.
    WritesDenied,
    /// No service answers.
    BrownOut,
    /// The events queue is dead.
    HintsDead,
    /// The bus takes no event.
    BusAway,
    /// All controllers are down.
    AllDown,
}

/// The fate of a job's attempts, apart from faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Succeeds.
    Good,
    /// Refused for its content.
    Permanent(FailureCode),
    /// Fails each time.
    Fails,
    /// Fails sometimes.
    Flaky,
}

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Asks for jobs.
    Jobs,
    /// Asks for no job.
    Nothing,
    /// Of a version that no controller knows.
    Unknown,
}

/// A message to send.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The time of sending.
    pub at: Ms,
    /// Its body.
    pub body: String,
    /// Its kind.
    pub kind: Kind,
}

/// The checks of a run for tenants (L9). The first part of the keys names the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are what the variant's own line names")]
pub enum Expected {
    /// Longest time from sending an upload of a tenant to its claim.
    Soon { tenant: &'static str, within: Ms },
    /// From one time to another a tenant has this share of the vCPU-seconds, in thousandths. All of a run name one time.
    Share { tenant: &'static str, from: Ms, until: Ms, share: u64, within: u64 },
    /// A tenant never has more tasks.
    Limit { tenant: &'static str, tasks: usize },
    /// SQS itself moves no message to the dead-letter queue.
    NothingGivenUp,
}

/// All drawn inputs.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches, each drawn on its own")]
pub struct Setup {
    /// The seed.
    pub seed: u64,
    /// Its purpose.
    pub sort: Sort,
    /// The policy of all controllers.
    pub policy: Policy,
    /// The rules for bodies.
    pub rules: Rules,
    /// Number of controllers.
    pub controllers: usize,
    /// Largest offset of any clock, in both directions.
    pub offset: Ms,
    /// The time at which faults stop.
    pub heal_at: Ms,
    /// Messages.
    pub uploads: Vec<Upload>,
    /// Shortest and longest work of an attempt.
    pub work: (Ms, Ms),
    /// `true`: the length of work is drawn evenly. `false`: its order of magnitude is.
    pub even_work: bool,
    /// Share of bad jobs, in percent.
    pub bad: u64,
    /// Most tasks that the account's quota allows.
    pub quota: usize,
    /// Receives after which SQS itself moves a message to the dead-letter queue; 0: never.
    pub max_receives: u32,
    /// Average time between crashes of a controller; 0: never.
    pub crash_every: Ms,
    /// One in this many effects is followed by a crash; 0: none.
    pub crash_at_effect: u64,
    /// Average time between pauses of a controller; 0: never.
    pub pause_every: Ms,
    /// Episodes with begin and end.
    pub episodes: Vec<(Episode, Ms, Ms)>,
    /// Times at which an operator moves the dead letters back.
    pub redrives: Vec<Ms>,
    /// Times at which the task definition changes.
    pub definitions: Vec<Ms>,
    /// Times at which another program starts a task under our name.
    pub foreign: Vec<Ms>,
    /// What people want: revisions of the control document.
    pub steering: Vec<Revision>,
    /// Times at which a person stops a task to cancel its job.
    pub stops_by_hand: Vec<Ms>,
    /// Longest time from a fact's arrival to the turn that absorbs it.
    pub pace: Ms,
    /// Longest delay of a timer.
    pub slack: Ms,
    /// How long a receive waits for a message. May be longer than SQS' limit: an empty answer says nothing.
    pub long_poll: Ms,
    /// Whether events reach the controllers.
    pub hints: bool,
    /// Whether clocks jump.
    pub jumps: bool,
    /// One in this many jobs is taken over by a newer version; 0: none.
    pub newer: u64,
    /// One in this many answers is slow.
    pub slow_answers: u64,
    /// Without faults: the promises for ordinary days are checked too.
    pub ordinary: bool,
    /// The checks for tenants.
    pub expected: Vec<Expected>,
    /// Messages were sent long ago: their retention is about to end.
    pub old: bool,
}

impl Setup {
    /// A scenario without faults: one controller, four uploads of which some fail, short work.
    pub fn plain() -> Self {
        let mut setup = Self::draw_without_tenants(2, Sort::Harsh);
        setup.policy = Policy {
            queues: BTreeMap::from([("jobs".to_owned(), 1)]),
            max_tasks: 2,
            max_attempts: 2,
            max_platform_attempts: 3,
            launch_deadline: 5 * MINUTE,
            clock_skew: 0,
            retry_base: 10 * SECOND,
            retry_cap: MINUTE,
            call_retry_cap: MINUTE,
            max_run: HOUR,
            visibility: 10 * MINUTE,
            lease_margin: 5 * MINUTE,
            describe_every: 15 * SECOND,
            resync_every: MINUTE,
            provisioning_timeout: 10 * MINUTE,
            pull_timeout: 10 * MINUTE,
            start_timeout: 5 * MINUTE,
            heartbeat_stale: 3 * MINUTE,
            no_progress: HOUR,
            max_cpu: u64::MAX,
            breaker_jobs: 0,
            stop_timeout: 5 * MINUTE,
            orphan_grace: 15 * MINUTE,
            max_leases: 16,
            ..setup.policy
        };
        let upload = |job: u64, size: u64| Upload {
            at: job * SECOND,
            body: json!({ "Records": [record(job, size)] }).to_string(),
            kind: Kind::Jobs,
        };
        Self {
            controllers: 1,
            offset: 0,
            heal_at: 5 * HOUR,
            uploads: vec![upload(0, 1), upload(1, 1), upload(2, 1), upload(3, 0)],
            work: (10 * SECOND, 5 * MINUTE),
            even_work: true,
            bad: 60,
            quota: usize::MAX,
            max_receives: 0,
            crash_every: 0,
            crash_at_effect: 0,
            pause_every: 0,
            episodes: Vec::new(),
            redrives: Vec::new(),
            definitions: Vec::new(),
            foreign: Vec::new(),
            steering: Vec::new(),
            stops_by_hand: Vec::new(),
            pace: 50,
            slack: 50,
            long_poll: 20 * SECOND,
            hints: true,
            jumps: false,
            newer: 0,
            slow_answers: 8,
            ordinary: false,
            expected: Vec::new(),
            old: false,
            ..setup
        }
    }

    /// The same, with a bus for the events of jobs. It is away for a while, so that there is something in the outbox.
    pub fn plain_with_bus() -> Self {
        let plain = Self::plain();
        let policy = Policy { announcing: Some(policy::announcing(MINUTE)), ..plain.policy };
        Self { policy, episodes: vec![(Episode::BusAway, 0, 3 * MINUTE)], ..plain }
    }

    /// Whether an episode is under way.
    pub fn during(&self, kind: Episode, now: Ms) -> bool {
        self.episodes.iter().any(|(which, from, until)| *which == kind && (*from..*until).contains(&now))
    }
}
