//! What a seed draws before its run begins: settings, uploads, natures of jobs, troubles with a time of their own.

use std::collections::BTreeMap;

use serde_json::json;
use transcode_config::{
    contract::{Capacity, FailureCode, Variant},
    ladder::Profile,
    settings::SourceSettings,
};
use transcode_controller::{clock::Ms, message::Rules, policy::Policy};

use crate::rng::{Rng, mix};

/// One second.
pub const SECOND: Ms = 1000;
/// One minute.
pub const MINUTE: Ms = 60 * SECOND;
/// One hour.
pub const HOUR: Ms = 60 * MINUTE;

/// How often a task writes its heartbeat.
pub const BEAT_EVERY: Ms = 30 * SECOND;
/// A task that could not write a heartbeat for this long stops working.
pub const FENCE: Ms = 120 * SECOND;
/// How long a call may take before its caller gives up.
pub const CALL_TIMEOUT: Ms = 30 * SECOND;

/// A trouble with a beginning and an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Episode {
    /// Nobody may read or write the state bucket.
    StateDenied,
    /// The controllers' credentials have expired.
    Credentials,
    /// Nothing answers at all.
    BrownOut,
    /// The events queue is dead.
    HintsDead,
    /// All controllers are down.
    AllDown,
}

/// What will become of a job's attempts, faults aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Succeeds.
    Good,
    /// Refused for what it is.
    Permanent(FailureCode),
    /// Fails each time.
    Fails,
    /// Fails now and then.
    Flaky,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Asks for jobs.
    Jobs,
    /// Asks for nothing.
    Nothing,
    /// Of a version that nobody here knows.
    Unknown,
}

/// A message that somebody will send.
#[derive(Debug, Clone)]
pub struct Upload {
    /// When.
    pub at: Ms,
    /// What it says.
    pub body: String,
    /// What it is.
    pub kind: Kind,
}

/// Everything that was drawn.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "independent switches, each drawn on its own")]
pub struct Setup {
    /// The seed.
    pub seed: u64,
    /// Numbers of all controllers.
    pub policy: Policy,
    /// How bodies are read.
    pub rules: Rules,
    /// How many controllers.
    pub controllers: usize,
    /// Longest offset of any clock, either way.
    pub offset: Ms,
    /// When faults stop.
    pub heal_at: Ms,
    /// Messages.
    pub uploads: Vec<Upload>,
    /// Longest work of one attempt.
    pub work: Ms,
    /// Whether short work is as frequent as long work, rather than as each of its orders of magnitude.
    pub even_work: bool,
    /// Share of bad jobs, in percent.
    pub bad: u64,
    /// Tasks that the account's quota allows.
    pub quota: usize,
    /// Receives after which SQS itself moves a message to the dead-letter queue; 0 never.
    pub max_receives: u32,
    /// Average time between crashes of a controller; 0 never.
    pub crash_every: Ms,
    /// One in so many effects is followed by a crash; 0 none.
    pub crash_at_effect: u64,
    /// Average time between pauses of a controller; 0 never.
    pub pause_every: Ms,
    /// Episodes with begin and end.
    pub episodes: Vec<(Episode, Ms, Ms)>,
    /// When an operator sends the dead letters back.
    pub redrives: Vec<Ms>,
    /// When the task definition changes.
    pub definitions: Vec<Ms>,
    /// When somebody else starts a task under our name.
    pub foreign: Vec<Ms>,
    /// Longest time from a fact's arrival to the turn that takes it in.
    pub pace: Ms,
    /// Longest time by which a timer is late.
    pub slack: Ms,
    /// How long a receive waits for a message. May be longer than SQS does it: an empty answer tells nothing.
    pub long_poll: Ms,
    /// Whether events reach the controllers.
    pub hints: bool,
    /// Whether clocks jump.
    pub jumps: bool,
    /// One in so many jobs is taken over by a newer version; 0 none.
    pub newer: u64,
    /// Messages were sent long ago: their retention is about to end.
    pub old: bool,
    /// Jobs of an earlier run are under way when the controllers start.
    pub crowd: bool,
}

impl Setup {
    /// Draws everything. `crowd` makes the seed one with 5,000 tasks that outlive their controller.
    pub fn draw(seed: u64, crowd: bool) -> Self {
        let mut rng = Rng::new(mix(&[seed, 3]));
        let mut policy = policy(&mut rng, crowd);
        if !crowd {
            in_proportion(&mut rng, &mut policy);
        }
        let calm = !crowd && rng.chance(0.5);
        if calm {
            calm_down(&mut rng, &mut policy);
        }
        let heal_at = rng.spread(HOUR, 30 * HOUR);
        let jobs = match (crowd, calm) {
            (true, _) => 5000,
            (false, true) => rng.between(1, 400),
            (false, false) => rng.spread(1, 200),
        };
        let uploads = uploads(&mut rng, jobs, heal_at, crowd);
        let often = |rng: &mut Rng, low, high| if rng.chance(0.5) { rng.spread(low, high) } else { 0 };
        let pace = if calm { rng.between(SECOND, 20 * SECOND) } else { rng.spread(50, 20 * SECOND) };
        let mut setup = Self {
            seed,
            rules: rules(&policy),
            controllers: usize::try_from(rng.between(1, 3)).unwrap_or(1),
            offset: policy.clock_skew / 2,
            heal_at,
            uploads,
            work: if !calm && rng.chance(0.5) {
                rng.spread(MINUTE, policy.max_run)
            } else {
                policy.max_run * 9 / 10
            },
            even_work: calm || rng.chance(0.5),
            bad: rng.pick(&[0, 5, 30, 100], 5),
            quota: if rng.chance(0.2) { policy.max_tasks.div_ceil(2) } else { usize::MAX },
            max_receives: if rng.chance(0.1) { 5 } else { 0 },
            crash_every: often(&mut rng, 5 * MINUTE, 8 * HOUR),
            crash_at_effect: if rng.chance(0.3) { rng.spread(5, 500) } else { 0 },
            pause_every: often(&mut rng, 30 * MINUTE, 12 * HOUR),
            episodes: Vec::new(),
            redrives: Vec::new(),
            definitions: Vec::new(),
            foreign: Vec::new(),
            pace,
            slack: if calm { policy.heartbeat_stale / 12 } else { pace },
            long_poll: rng.spread(MINUTE, 15 * MINUTE).min(policy.visibility / 4),
            hints: rng.chance(0.6),
            jumps: rng.chance(0.3),
            newer: if rng.chance(0.1) { 4 } else { 0 },
            old: rng.chance(0.1),
            crowd,
            policy,
        };
        setup.draw_times(&mut rng);
        setup
    }

    /// A scenario without any trouble: one controller, four uploads of which some fail, short work.
    pub fn plain() -> Self {
        let mut setup = Self::draw(2, false);
        setup.policy = Policy {
            queues: BTreeMap::from([("jobs".to_owned(), 1)]),
            max_tasks: 2,
            max_attempts: 2,
            max_platform_attempts: 3,
            launch_deadline: 5 * MINUTE,
            clock_skew: 0,
            retry_base: 10 * SECOND,
            retry_cap: MINUTE,
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
            work: 5 * MINUTE,
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
            pace: 50,
            slack: 50,
            long_poll: 20 * SECOND,
            hints: true,
            jumps: false,
            newer: 0,
            old: false,
            crowd: false,
            ..setup
        }
    }

    fn draw_times(&mut self, rng: &mut Rng) {
        let kinds = [
            Episode::StateDenied,
            Episode::Credentials,
            Episode::BrownOut,
            Episode::HintsDead,
            Episode::AllDown,
        ];
        for kind in kinds {
            if rng.chance(0.12) {
                let from = rng.below(self.heal_at);
                let until = from + rng.spread(5 * MINUTE, 5 * HOUR);
                self.episodes.push((kind, from, until.min(self.heal_at)));
            }
        }
        for (times, rate) in
            [(&mut self.redrives, 0.3), (&mut self.definitions, 0.2), (&mut self.foreign, 0.2)]
        {
            while rng.chance(rate) {
                times.push(rng.below(self.heal_at));
            }
        }
    }

    /// Whether an episode is on.
    pub fn during(&self, kind: Episode, now: Ms) -> bool {
        self.episodes.iter().any(|(which, from, until)| *which == kind && (*from..*until).contains(&now))
    }
}

fn policy(rng: &mut Rng, crowd: bool) -> Policy {
    let visibility = rng.spread(5 * MINUTE, 12 * HOUR);
    let retry_base = rng.spread(SECOND, MINUTE);
    let max_tasks = if crowd { 5000 } else { usize::try_from(rng.spread(1, 200)).unwrap_or(1) };
    let spot = rng.chance(0.5);
    let heartbeat_stale = rng.spread(150 * SECOND, 3 * HOUR);
    let mut queues = BTreeMap::from([("jobs".to_owned(), 1)]);
    if rng.chance(0.3) {
        queues.insert("low".to_owned(), 3);
    }
    Policy {
        queues,
        max_tasks,
        max_cpu: if !crowd && rng.chance(0.2) { rng.spread(4096, 2048 * 200) } else { u64::MAX },
        paused: false,
        disk_percent: 400,
        oom_sizes: vec![(2048, 8192), (4096, 16384)],
        spot_attempts: usize::try_from(rng.between(0, 3)).unwrap_or(1),
        spot_max_age: rng.spread(MINUTE, 20 * HOUR),
        spot_pause: rng.spread(MINUTE, HOUR),
        variant: Variant {
            capacity: if spot { Capacity::FargateSpot } else { Capacity::Fargate },
            cpu: 2048,
            memory_mib: 4096,
            ephemeral_gib: None,
        },
        launch_deadline: rng.spread(30 * SECOND, HOUR),
        clock_skew: rng.pick(&[0, MINUTE, 10 * MINUTE], MINUTE),
        launch_interval: rng.spread(50, 2 * SECOND),
        launch_burst: rng.spread(1, 100),
        stop_interval: rng.spread(50, SECOND),
        read_interval: rng.spread(50, SECOND),
        breaker_jobs: if !crowd && rng.chance(0.5) {
            usize::try_from(rng.spread(3, 50)).unwrap_or(10)
        } else {
            0
        },
        breaker_probe: rng.spread(10 * SECOND, 10 * MINUTE),
        cooldown: rng.spread(SECOND, 5 * MINUTE),
        max_attempts: usize::try_from(rng.between(1, 4)).unwrap_or(3),
        max_platform_attempts: usize::try_from(rng.spread(1, 20)).unwrap_or(20),
        retry_base,
        retry_cap: rng.spread(retry_base, HOUR),
        max_run: rng.spread(10 * MINUTE, 20 * HOUR),
        visibility,
        lease_margin: rng.between(visibility / 4, visibility * 3 / 4),
        park: rng.spread(MINUTE, 12 * HOUR),
        describe_every: rng.spread(5 * SECOND, HOUR),
        resync_every: rng.spread(30 * SECOND, 3 * HOUR),
        start_timeout: rng.spread(2 * MINUTE, 30 * MINUTE),
        heartbeat_stale,
        no_progress: 2 * heartbeat_stale + rng.spread(MINUTE, 10 * HOUR),
        stop_timeout: rng.spread(150 * SECOND, 20 * MINUTE),
        orphan_grace: visibility + rng.spread(MINUTE, HOUR),
        call_retry_base: SECOND,
        call_retry_cap: MINUTE,
        provisioning_timeout: rng.spread(2 * MINUTE, 30 * MINUTE),
        pull_timeout: rng.spread(2 * MINUTE, 30 * MINUTE),
        max_leases: max_tasks * 3 + 10,
        logs: None,
    }
}

/// What matters is how periods compare with each other and with the work: a run that is described ten thousand times
/// shows nothing that one does not which is described two hundred times.
fn in_proportion(rng: &mut Rng, policy: &mut Policy) {
    let longest = policy.max_run;
    policy.describe_every = policy.describe_every.max(longest / 200);
    policy.resync_every = policy.resync_every.max(longest / 100);
    policy.heartbeat_stale = policy.heartbeat_stale.max(longest / 40);
    policy.no_progress = 2 * policy.heartbeat_stale + rng.spread(MINUTE, 10 * HOUR);
    policy.visibility = policy.visibility.max(longest / 50);
    policy.lease_margin = rng.between(policy.visibility / 4, policy.visibility * 3 / 4);
    policy.orphan_grace = policy.visibility + rng.spread(MINUTE, HOUR);
}

/// Long jobs and long periods: much work and little polling, so that what takes days happens too.
fn calm_down(rng: &mut Rng, policy: &mut Policy) {
    policy.max_tasks = usize::try_from(rng.between(20, 400)).unwrap_or(200);
    policy.max_leases = policy.max_tasks * 3 + 10;
    policy.max_run = rng.between(4 * HOUR, 20 * HOUR);
    policy.visibility = rng.between(2 * HOUR, 12 * HOUR);
    policy.lease_margin = rng.between(policy.visibility / 4, policy.visibility * 3 / 4);
    policy.orphan_grace = policy.visibility + rng.spread(MINUTE, HOUR);
    policy.describe_every = rng.between(HOUR, 4 * HOUR);
    policy.resync_every = rng.between(2 * HOUR, 6 * HOUR);
    // Well below the 12 h after which a message comes back and all about its job is learned anew.
    policy.heartbeat_stale = rng.between(2 * HOUR, 5 * HOUR);
    policy.no_progress = 2 * policy.heartbeat_stale + rng.spread(MINUTE, 10 * HOUR);
}

fn rules(policy: &Policy) -> Rules {
    // A short ladder: it is cloned with each body that is read, and decides nothing here.
    let profile = serde_json::from_value::<Profile>(json!({
        "name": "standard", "codec": "h264", "crf": 21, "preset": "fast", "gop_seconds": 2, "segment_gops": 3,
        "rung": [], "audio": {"bps": 128_000}, "max_duration_seconds": 3600,
    }));
    Rules {
        sources: vec![SourceSettings {
            bucket: "uploads".into(),
            prefix: String::new(),
            profile: None,
            overlays: vec![],
        }],
        profiles: profile.into_iter().map(|profile| ("standard".to_owned(), profile)).collect(),
        default_profile: "standard".into(),
        output_bucket: "videos".into(),
        output_root: String::new(),
        max_run_seconds: policy.max_run / SECOND,
        max_source_bytes: 1 << 40,
    }
}

fn record(job: u64, size: u64) -> serde_json::Value {
    json!({
        "eventVersion": "2.1", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "uploads"},
               "object": {"key": format!("{job}.mp4"), "size": size, "eTag": "e", "sequencer": "01"}}
    })
}

fn uploads(rng: &mut Rng, jobs: u64, heal_at: Ms, crowd: bool) -> Vec<Upload> {
    let mut uploads = Vec::new();
    let burst = rng.chance(0.5);
    let when = |rng: &mut Rng| {
        let span = if crowd || burst { MINUTE } else { heal_at * 3 / 4 };
        // A backlog: most arrives at once, some of it in the middle of everything.
        if burst && rng.chance(0.3) { heal_at / 2 + rng.below(MINUTE) } else { rng.below(span) }
    };
    let event = |records: Vec<serde_json::Value>| json!({ "Records": records }).to_string();
    let mut push = |rng: &mut Rng, body: String, kind: Kind| {
        let at = when(rng);
        uploads.push(Upload { at, body, kind });
    };
    let odd = rng.pick(&[0.0, 0.05, 0.3], 0.05);
    for job in 0..jobs {
        let size = if rng.chance(odd / 4.0) { 0 } else { 1000 };
        let mut records = vec![record(job, size)];
        if rng.chance(odd) {
            records.push(record(job + 100_000, 1000));
        }
        push(rng, event(records), Kind::Jobs);
        if rng.chance(odd) {
            // A second producer announces the same upload.
            push(rng, event(vec![record(job, size)]), Kind::Jobs);
        }
        if rng.chance(odd / 2.0) {
            let bad = ["{", "[[[[", "\u{0}\u{fffd}", "{\"Records\":3}"];
            let body = rng.pick(&bad, "{");
            push(rng, format!("{body}{job}"), Kind::Jobs);
        }
        if rng.chance(odd / 4.0) {
            push(rng, "{\"Event\":\"s3:TestEvent\"}".into(), Kind::Nothing);
        }
        if rng.chance(odd / 4.0) {
            push(rng, json!({"schema": 99, "kind": "transcode.job"}).to_string(), Kind::Unknown);
        }
    }
    uploads
}
