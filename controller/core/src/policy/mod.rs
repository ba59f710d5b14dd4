//! The numbers that decisions use: limits, deadlines, rates. All times are in milliseconds.
//!
//! May use [`crate::protocol`] and the settings; no other module of this crate reads the settings.

pub mod log_link;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use transcode_config::{
    Settings,
    contract::{Budget, Capacity, EventKind, FailureCode, JobKey, PastAttempt, TaskShape},
};

use self::log_link::LogStreams;
use crate::{
    protocol::{
        clock::Ms,
        fact::{ErrorClass, MessageId, QueueName},
    },
    weakness::{Weakness, weak},
};

/// SQS makes a message visible 12 h after its receive at the latest, however often it is extended.
pub const VISIBILITY_CAP: Ms = 12 * 3_600_000;

/// Most messages beyond those that may wait: received and not yet looked up, or about to be put back.
const LOOKED_UP: usize = 200;

/// Average time between two returns of messages that were put back: the rate at which tasks may be launched, and a
/// twentieth of the rate at which messages can be received.
const RETURN_INTERVAL: Ms = 50;

/// Numbers and names; made from the settings, replaced as a whole on reload.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Job queues with their weights.
    pub queues: BTreeMap<QueueName, u32>,
    /// Most tasks at the same time.
    pub max_tasks: usize,
    /// Most CPU units at the same time (1024 = one vCPU).
    pub max_cpu: u64,
    /// `launch.paused`: nothing is received or launched.
    pub paused: bool,
    /// CPU, memory, storage and capacity of the first attempt.
    pub variant: TaskShape,
    /// Ephemeral storage in percent of the source's size; used where the task shape names none.
    pub disk_percent: u64,
    /// Sizes for attempts after one that ran out of memory: CPU units, MiB.
    pub oom_sizes: Vec<(u32, u32)>,
    /// Attempts on Spot that Spot may refuse or interrupt; later attempts run on-demand.
    pub spot_attempts: usize,
    /// A job that has waited longer than this is claimed on-demand.
    pub spot_max_age: Ms,
    /// After Spot had no capacity, all claims ask for on-demand for this long.
    pub spot_pause: Ms,
    /// RunTask may be sent for this long after the claim.
    pub launch_deadline: Ms,
    /// Largest difference between the clocks of two machines that the protocol allows for.
    pub clock_skew: Ms,
    /// Average time between launches.
    pub launch_interval: Ms,
    /// Launches in a burst.
    pub launch_burst: u64,
    /// Average time between StopTask calls.
    pub stop_interval: Ms,
    /// Average time between reads from ECS.
    pub read_interval: Ms,
    /// The breaker opens after this many different jobs have failed without a success between them; 0: never.
    pub breaker_jobs: usize,
    /// Time between two claims while the breaker is open.
    pub breaker_probe: Ms,
    /// First pause of all launches after a refusal that is not for the rate; the pause doubles up to `call_retry_cap`.
    pub cooldown: Ms,
    /// Attempts charged to the job.
    pub max_attempts: usize,
    /// Attempts charged to the platform.
    pub max_platform_attempts: usize,
    /// Tasks of older uploads are stopped once a newer upload is live.
    pub stop_superseded: bool,
    /// First wait between attempts.
    pub retry_base: Ms,
    /// Longest wait between attempts.
    pub retry_cap: Ms,
    /// Longest run of one attempt.
    pub max_run: Ms,
    /// Visibility timeout.
    pub visibility: Ms,
    /// A lease is extended when less than this is left.
    pub lease_margin: Ms,
    /// Visibility timeout of a message that is put aside.
    pub park: Ms,
    /// Longest time between two DescribeTasks calls for one task.
    pub describe_every: Ms,
    /// Time between two lists of all tasks.
    pub resync_every: Ms,
    /// Longest time from the launch to the begin of the image pull.
    pub provisioning_timeout: Ms,
    /// Longest time for the image pull.
    pub pull_timeout: Ms,
    /// Longest time from the end of the pull to RUNNING.
    pub start_timeout: Ms,
    /// A heartbeat that has not changed for this long is stale.
    pub heartbeat_stale: Ms,
    /// Longest time without progress of a living task.
    pub no_progress: Ms,
    /// Longest time from StopTask until no container of the task can run.
    pub stop_timeout: Ms,
    /// Time that a task may still run after its job was decided or a newer attempt replaced it; then it is stopped.
    pub orphan_grace: Ms,
    /// First wait after a failed call.
    pub call_retry_base: Ms,
    /// Longest wait after failed calls.
    pub call_retry_cap: Ms,
    /// Longest wait after calls that AWS refuses until somebody removes the cause.
    pub refused_retry_cap: Ms,
    /// Most messages held. At this number receiving stops: jobs that wait for their next attempt hold messages too.
    pub max_leases: usize,
    /// Most jobs that wait for a slot with their messages held here; `None` if no source has tenants: then no more
    /// messages are received than jobs that can be launched.
    pub look_ahead: Option<usize>,
    /// First wait of a message that is put back because more than `look_ahead` wait; grows with each receive.
    pub put_back: Ms,
    /// Where tasks log, if the settings say.
    pub logs: Option<LogStreams>,
    /// Where the events of jobs go; `None`: nowhere.
    pub announcing: Option<Announcing>,
}

/// Where the events of jobs go, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcing {
    /// Name or ARN of the bus.
    pub bus: Arc<str>,
    /// Name of the environment, for the events and for the outbox.
    pub environment: Arc<str>,
    /// Kinds that are told beside the outcomes.
    pub kinds: BTreeSet<EventKind>,
    /// Shortest time between two progress events of a job.
    pub progress_every: Ms,
    /// An event that the bus has not taken for this long goes into the outbox.
    pub outbox_after: Ms,
}

impl Announcing {
    fn of(settings: &Settings) -> Option<Self> {
        let events = &settings.events;
        (!events.bus.is_empty()).then(|| Self {
            bus: events.bus.as_str().into(),
            environment: settings.environment.as_str().into(),
            kinds: events.kinds.iter().copied().collect(),
            progress_every: events.progress_seconds * 1000,
            outbox_after: events.outbox_after_seconds * 1000,
        })
    }
}

/// What the task shape of the next attempt depends on, beside the earlier attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// Size of the source in bytes, if known.
    pub source_bytes: Option<u64>,
    /// Time since the job was asked for.
    pub age: Ms,
    /// Spot had no capacity recently.
    pub spot_refused: bool,
}

impl From<&Settings> for Policy {
    fn from(settings: &Settings) -> Self {
        let (launch, jobs, observe) = (&settings.launch, &settings.jobs, &settings.observe);
        let max_tasks = launch.max_tasks as usize;
        let tenants = settings.sources.values().any(|source| !source.tenants.is_empty());
        let look_ahead = tenants.then_some(launch.look_ahead as usize);
        Self {
            queues: settings.queues.iter().map(|(name, queue)| (name.clone(), queue.weight)).collect(),
            max_tasks,
            max_cpu: if launch.max_vcpu == 0 { u64::MAX } else { u64::from(launch.max_vcpu) * 1024 },
            variant: TaskShape {
                capacity: launch.capacity,
                cpu: launch.cpu,
                memory_mib: launch.memory_mib,
                ephemeral_gib: (launch.ephemeral_gib > 0).then_some(launch.ephemeral_gib),
            },
            paused: launch.paused,
            disk_percent: launch.disk_percent_of_source,
            oom_sizes: launch.oom_sizes.clone(),
            spot_attempts: launch.spot_attempts as usize,
            spot_max_age: match launch.spot_max_age_seconds {
                0 => Ms::MAX,
                seconds => seconds * 1000,
            },
            spot_pause: launch.spot_pause_seconds * 1000,
            launch_deadline: launch.deadline_seconds * 1000,
            clock_skew: launch.clock_skew_seconds * 1000,
            launch_interval: interval(launch.per_second),
            launch_burst: u64::from(launch.burst),
            stop_interval: interval(settings.calls.stops_per_second),
            read_interval: interval(settings.calls.reads_per_second),
            breaker_jobs: launch.breaker_jobs as usize,
            breaker_probe: launch.breaker_probe_seconds * 1000,
            cooldown: launch.cooldown_seconds * 1000,
            max_attempts: jobs.max_attempts as usize,
            max_platform_attempts: jobs.max_platform_attempts as usize,
            stop_superseded: jobs.stop_superseded,
            retry_base: jobs.retry_base_seconds * 1000,
            retry_cap: jobs.retry_cap_seconds * 1000,
            max_run: jobs.max_run_seconds * 1000,
            visibility: settings.lease.visibility_seconds * 1000,
            lease_margin: settings.lease.margin_seconds * 1000,
            park: settings.lease.park_seconds * 1000,
            describe_every: observe.describe_seconds * 1000,
            resync_every: observe.resync_seconds * 1000,
            provisioning_timeout: observe.provisioning_timeout_seconds * 1000,
            pull_timeout: observe.pull_timeout_seconds * 1000,
            start_timeout: observe.start_timeout_seconds * 1000,
            heartbeat_stale: observe.heartbeat_stale_seconds * 1000,
            no_progress: observe.no_progress_seconds * 1000,
            stop_timeout: observe.stop_timeout_seconds * 1000,
            orphan_grace: observe.orphan_grace_seconds * 1000,
            call_retry_base: 1000,
            call_retry_cap: 60_000,
            refused_retry_cap: 900_000,
            max_leases: max_tasks * 3 + 10 + look_ahead.map_or(0, |jobs| jobs + LOOKED_UP),
            look_ahead,
            put_back: 60_000,
            logs: LogStreams::of(&settings.cluster),
            announcing: Announcing::of(settings),
        }
    }
}

/// Milliseconds between calls, from calls per second. The settings' check guarantees a rate above 0 and at most 20.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the result is between 50 and 2^32"
)]
fn interval(per_second: f64) -> Ms {
    (1000.0 / per_second).clamp(50.0, f64::from(u32::MAX)) as Ms
}

/// Reduces a wait by a jitter of up to half, which is a function of `of`.
fn jittered(wait: Ms, of: &[&str]) -> Ms {
    let seed = JobKey::of(of);
    let jitter = u64::from_str_radix(seed.as_str().get(..8).unwrap_or_default(), 16).unwrap_or_default();
    wait - jitter % (wait / 2 + 1)
}

impl Policy {
    /// Exponential backoff: base × 2^(failures − 1), at most `cap`.
    fn exponential(base: Ms, cap: Ms, failures: usize) -> Ms {
        let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(30);
        base.saturating_mul(if weak(Weakness::NeverBacksOff) { 0 } else { 1 << doublings }).min(cap)
    }

    /// Time between two listings of all beacons, and between two readings of a job whose attempt has none.
    pub fn survey_every(&self) -> Ms {
        self.heartbeat_stale / 3
    }

    /// Time until a job is read all the same whose beacon was just seen: listings have failed meanwhile. Less than
    /// `heartbeat_stale`.
    pub fn covered(&self) -> Ms {
        self.heartbeat_stale * 5 / 6
    }

    /// Wait after `failures` consecutive failed calls.
    pub fn call_backoff(&self, failures: usize) -> Ms {
        Self::exponential(self.call_retry_base, self.call_retry_cap, failures)
    }

    /// Wait after `refusals` consecutive calls that AWS refuses until somebody removes the cause.
    pub fn refused_backoff(&self, refusals: usize) -> Ms {
        let weak = weak(Weakness::RepeatsRefusedCalls);
        let cap = if weak { self.call_retry_cap } else { self.refused_retry_cap.max(self.call_retry_cap) };
        Self::exponential(self.call_retry_base, cap, refusals)
    }

    /// Pause of all launches after `refusals` consecutive refusals, the last one of this class. Too many calls are over
    /// within seconds, and the limiter halves their rate; what else ECS refuses takes somebody's time.
    pub fn launch_pause(&self, class: ErrorClass, refusals: usize) -> Ms {
        if class == ErrorClass::Throttled {
            return self.call_backoff(refusals);
        }
        Self::exponential(self.cooldown, self.cooldown.max(self.call_retry_cap), refusals)
    }

    /// Wait before the next attempt, reduced by a jitter of up to half. The jitter is derived from the job and the
    /// attempt, so a restarted controller computes the same wait.
    pub fn attempt_backoff(&self, job: &JobKey, attempts: &[PastAttempt]) -> Ms {
        let Some(last) = attempts.last() else { return 0 };
        let failures = attempts.iter().filter(|past| past.budget == last.budget).count();
        let wait = Self::exponential(self.retry_base, self.retry_cap, failures);
        jittered(wait, &[job.as_str(), &last.attempt.to_string()])
    }

    /// How long a message is put back because too many wait, while `away` messages of its queue are put back. The wait
    /// grows with each receive, so that a message that waits as long as SQS keeps it (14 days at most) is received 284
    /// times and not 20,000, and the queue's own `maxReceiveCount` does not treat it as a poison message. The wait also
    /// grows with `away`, so that returning messages leave time to receive new ones. A jitter of up to half spreads the
    /// returns of messages that were put back together.
    pub fn put_back_for(&self, receives: u32, away: usize, message: &MessageId) -> Ms {
        let times = if weak(Weakness::PutsBackForTheSameTime) { 1 } else { u64::from(receives.max(1)) };
        let wait = self.put_back.saturating_mul(times).max(RETURN_INTERVAL.saturating_mul(away as u64));
        Self::spread(wait, receives, message)
    }

    /// A wait, reduced by up to half: another one for each message and each receive.
    pub(crate) fn spread(wait: Ms, receives: u32, message: &MessageId) -> Ms {
        jittered(wait, &[&message.0, &receives.to_string()])
    }

    /// The task shape of the next attempt, from the ends of the earlier ones. On-demand once Spot has refused or
    /// interrupted attempts often enough, once Spot had no capacity for any job, or once the job has waited for long.
    /// The next larger size for each attempt that ran out of memory. The claim pins the shape, so a later change of
    /// settings does not change its launch (S7).
    pub fn variant_after(&self, attempts: &[PastAttempt], now: Circumstances) -> TaskShape {
        let refused = |past: &&PastAttempt| {
            past.budget == Budget::Platform
                && matches!(past.code, FailureCode::LaunchRefused | FailureCode::Interrupted)
        };
        let mut variant = self.variant.clone();
        let taken = attempts.iter().filter(refused).count();
        let unlucky = taken >= self.spot_attempts && !weak(Weakness::StaysOnSpotAfterInterruptions);
        let old = now.age > self.spot_max_age && !weak(Weakness::StaysOnSpotWhenOld);
        if unlucky || old || (now.spot_refused && !weak(Weakness::AsksSpotAgainAtOnce)) {
            variant.capacity = Capacity::Fargate;
        }
        let grown = attempts.iter().filter(|past| past.code == FailureCode::OutOfMemory).count();
        if let Some((cpu, memory)) = self.oom_sizes.iter().take(grown).next_back() {
            (variant.cpu, variant.memory_mib) = (*cpu, *memory);
        }
        variant.ephemeral_gib = variant.ephemeral_gib.or_else(|| self.ephemeral_for(now.source_bytes?));
        variant
    }

    /// GiB of ephemeral storage for a source; `None` where Fargate's default of 20 GiB is enough.
    fn ephemeral_for(&self, source_bytes: u64) -> Option<u32> {
        let needed = source_bytes.saturating_mul(self.disk_percent) / 100;
        let gib = needed.div_ceil(1 << 30).saturating_add(8).min(200);
        u32::try_from(gib).ok().filter(|gib| *gib > 20)
    }

    /// Whether another attempt is allowed after `attempts` (S9, S10).
    pub fn allows_another(&self, attempts: &[PastAttempt]) -> bool {
        let spent = |budget| attempts.iter().filter(|past| past.budget == budget).count();
        (spent(Budget::Job) < self.max_attempts || weak(Weakness::NeverSpendsBudget))
            && spent(Budget::Platform) < self.max_platform_attempts
    }
}
