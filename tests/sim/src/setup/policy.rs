//! The settings that a seed draws.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::json;
use transcode_config::{
    contract::{Capacity, TaskShape},
    ladder::Profile,
    settings::SourceSettings,
};
use transcode_core::{
    message::Rules,
    policy::{Announcing, Policy},
    protocol::clock::Ms,
};

use super::{HOUR, MINUTE, SECOND, Sort};
use crate::rng::Rng;

/// Draws the settings of a seed with this many jobs.
pub(super) fn draw_policy(rng: &mut Rng, sort: Sort, jobs: u64, heal_at: Ms) -> Policy {
    let mut policy = any(rng, sort == Sort::Crowd);
    match sort {
        Sort::Harsh => in_proportion(rng, &mut policy, heal_at),
        Sort::Calm => calm_down(rng, &mut policy, jobs),
        Sort::Crowd => {
            calm_down(rng, &mut policy, jobs);
            policy.max_tasks = 5000;
            // All are launched within minutes: further turns would show nothing.
            policy.launch_interval = rng.between(50, 100);
            policy.launch_burst = 100;
        }
    }
    policy
}

fn any(rng: &mut Rng, crowd: bool) -> Policy {
    let visibility = rng.spread(5 * MINUTE, 12 * HOUR);
    let retry_base = rng.spread(SECOND, MINUTE);
    let max_tasks = if crowd { 5000 } else { usize::try_from(rng.spread(1, 32)).unwrap_or(1) };
    let spot = rng.chance(0.5);
    let heartbeat_stale = rng.spread(150 * SECOND, 3 * HOUR);
    let mut queues = BTreeMap::from([("jobs".to_owned(), 1)]);
    if rng.chance(0.3) {
        queues.insert("low".to_owned(), 3);
    }
    Policy {
        queues,
        max_tasks,
        max_cpu: if !crowd && rng.chance(0.2) { rng.spread(4096, 2048 * 32) } else { u64::MAX },
        paused: false,
        disk_percent: 400,
        oom_sizes: vec![(2048, 8192), (4096, 16384)],
        spot_attempts: usize::try_from(rng.between(0, 3)).unwrap_or(1),
        spot_max_age: rng.spread(MINUTE, 20 * HOUR),
        spot_pause: rng.spread(MINUTE, HOUR),
        variant: TaskShape {
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
            usize::try_from(rng.spread(3, 12)).unwrap_or(10)
        } else {
            0
        },
        breaker_probe: rng.spread(10 * SECOND, 10 * MINUTE),
        cooldown: rng.spread(SECOND, 5 * MINUTE),
        max_attempts: usize::try_from(rng.between(1, 4)).unwrap_or(3),
        max_platform_attempts: usize::try_from(rng.spread(1, 20)).unwrap_or(20),
        stop_superseded: rng.chance(0.8),
        retry_base,
        retry_cap: rng.spread(retry_base, HOUR),
        max_run: rng.spread(10 * MINUTE, 20 * HOUR),
        visibility,
        lease_margin: rng.between(visibility / 4, visibility * 3 / 4),
        park: rng.spread(MINUTE, 12 * HOUR),
        look_ahead: None,
        put_back: MINUTE,
        describe_every: rng.spread(5 * SECOND, HOUR),
        resync_every: rng.spread(30 * SECOND, 3 * HOUR),
        start_timeout: rng.spread(2 * MINUTE, 30 * MINUTE),
        heartbeat_stale,
        no_progress: 2 * heartbeat_stale + rng.spread(MINUTE, 10 * HOUR),
        stop_timeout: rng.spread(150 * SECOND, 20 * MINUTE),
        orphan_grace: visibility + rng.spread(MINUTE, HOUR),
        call_retry_base: SECOND,
        call_retry_cap: rng.spread(30 * SECOND, 4 * MINUTE),
        refused_retry_cap: 15 * MINUTE,
        provisioning_timeout: rng.spread(2 * MINUTE, 30 * MINUTE),
        pull_timeout: rng.spread(2 * MINUTE, 30 * MINUTE),
        max_leases: max_tasks * 3 + 10,
        logs: None,
        announcing: None,
    }
}

/// Only the proportions of periods and work matter: ten thousand descriptions of a task show no more than two hundred.
fn in_proportion(rng: &mut Rng, policy: &mut Policy, heal_at: Ms) {
    let longest = policy.max_run.max(heal_at);
    policy.describe_every = policy.describe_every.max(longest / 200);
    policy.resync_every = policy.resync_every.max(longest / 100);
    policy.heartbeat_stale = policy.heartbeat_stale.max(policy.max_run / 40);
    policy.no_progress = 2 * policy.heartbeat_stale + rng.spread(MINUTE, 10 * HOUR);
    policy.visibility = policy.visibility.max(policy.max_run / 50).max(heal_at / 100);
    policy.lease_margin = rng.between(policy.visibility / 4, policy.visibility * 3 / 4);
    policy.orphan_grace = policy.visibility + rng.spread(MINUTE, HOUR);
    policy.park = policy.park.max(longest / 20);
}

/// Long jobs and long periods: much work and few polls, so that the run also reaches events that take days.
fn calm_down(rng: &mut Rng, policy: &mut Policy, jobs: u64) {
    policy.max_tasks = usize::try_from(rng.between(jobs / 2, 2 * jobs)).unwrap_or(usize::MAX);
    policy.max_cpu = policy.max_cpu.max(policy.max_tasks as u64 * u64::from(policy.variant.cpu) / 2);
    policy.max_leases = policy.max_tasks * 3 + 10;
    policy.max_run = rng.between(14 * HOUR, 24 * HOUR);
    policy.visibility = rng.between(4 * HOUR, 12 * HOUR);
    policy.lease_margin = rng.between(policy.visibility / 4, policy.visibility / 2);
    policy.orphan_grace = policy.visibility + rng.spread(MINUTE, HOUR);
    policy.describe_every = rng.between(3 * HOUR, 6 * HOUR);
    policy.resync_every = rng.between(4 * HOUR, 8 * HOUR);
    policy.park = rng.between(2 * HOUR, 12 * HOUR);
    policy.launch_deadline = rng.between(10 * MINUTE, HOUR);
    // As long as the settings allow: a task is lost after twice this time, well below the 12 h after which a message
    // returns and the controller learns of its job again.
    policy.heartbeat_stale = rng.between(3 * HOUR, 4 * HOUR);
    policy.no_progress = 2 * policy.heartbeat_stale + rng.spread(MINUTE, 10 * HOUR);
    policy.retry_base = policy.retry_base.max(10 * SECOND);
}

/// Events go to a bus, and after this long into the outbox.
pub(super) fn announcing(outbox_after: Ms) -> Announcing {
    Announcing {
        bus: "bus".into(),
        environment: "sim".into(),
        kinds: BTreeSet::new(),
        progress_every: MINUTE,
        outbox_after,
    }
}

pub(super) fn rules(policy: &Policy) -> Rules {
    // A short ladder: it is cloned for each body, and decides nothing here.
    let profile = serde_json::from_value::<Profile>(json!({
        "name": "standard", "codec": "h264", "crf": 21, "preset": "fast", "gop_seconds": 2, "segment_gops": 3,
        "rung": [], "audio": {"bps": 128_000}, "max_duration_seconds": 3600,
    }));
    Rules {
        sources: vec![SourceSettings { bucket: "uploads".into(), ..SourceSettings::default() }],
        profiles: profile.into_iter().map(|profile| ("standard".to_owned(), Arc::new(profile))).collect(),
        default_profile: "standard".into(),
        output_bucket: "videos".into(),
        output_root: String::new(),
        max_run_seconds: policy.max_run / SECOND,
        max_source_bytes: 1 << 40,
    }
}
