//! Named worlds: each tests a promise that a drawn seed tests only by chance.

use serde_json::json;
use transcode_config::contract::{Capacity, TaskShape};
use transcode_core::policy::Policy;

pub use super::named::Named;
use super::{
    Episode, HOUR, Kind, MINUTE, SECOND, Setup, Upload, fair_worlds,
    named::world,
    policy::announcing,
    steered_worlds,
    uploads::{record, version},
};
use crate::fault::Fault;

/// `count` uploads, one every `every` milliseconds.
fn uploads(count: u64, every: u64) -> Vec<Upload> {
    let body = |job| json!({ "Records": [record(job, 1000)] }).to_string();
    (0..count).map(|job| Upload { at: job * every, body: body(job), kind: Kind::Jobs }).collect()
}

/// All of them.
pub fn named() -> Vec<Named> {
    let mut all = vec![
        ordinary("an ordinary day", |plain| Policy { max_tasks: 3, ..plain }),
        ordinary("little vCPU", |plain| Policy {
            max_tasks: 20,
            max_cpu: 2 * u64::from(plain.variant.cpu),
            ..plain
        }),
        few_launches(),
        late_answers(),
        lost_answers(),
        newer(),
        few_calls(),
        throttled(),
        unseen(),
        cut_off(),
        overtaken(),
        standing_still(),
        half_a_day(),
        nowhere(),
        clocks_apart(),
        slow_starts(),
        all_fail(),
        junk(),
        copies(),
        lapsing(),
        refused(),
        bus_away(),
        uploaded_again(),
    ];
    all.extend(fair_worlds::named());
    all.extend(steered_worlds::named());
    all
}

/// For many hours all writes are refused, while reads succeed.
fn refused() -> Named {
    world(
        "writes are refused for hours",
        &[],
        |plain| Policy { max_tasks: 12, max_leases: 40, ..plain },
        |plain| Setup {
            uploads: uploads(12, MINUTE),
            bad: 50,
            heal_at: 8 * HOUR,
            episodes: vec![
                (Episode::WritesDenied, 3 * MINUTE, 2 * HOUR),
                (Episode::WritesDenied, 2 * HOUR + 10 * MINUTE, 7 * HOUR),
            ],
            ..plain
        },
    )
}

/// The bus is away for hours, and before and after that it refuses every third entry.
fn bus_away() -> Named {
    world(
        "the bus is away for hours",
        &[(Fault::EntryRefused, 0.3), (Fault::EventAnswerLost, 0.1)],
        |plain| Policy { max_tasks: 12, max_leases: 46, announcing: Some(announcing(2 * MINUTE)), ..plain },
        |plain| Setup {
            uploads: uploads(40, MINUTE),
            bad: 30,
            heal_at: 6 * HOUR,
            crash_at_effect: 200,
            episodes: vec![(Episode::BusAway, 5 * MINUTE, 3 * HOUR)],
            ..plain
        },
    )
}

/// Only good jobs, and more of them than there are slots.
fn ordinary(name: &'static str, numbers: impl FnOnce(Policy) -> Policy) -> Named {
    world(name, &[], numbers, |plain| Setup { uploads: uploads(30, 200), ordinary: true, ..plain })
}

/// A slot for every job, and hardly any launches: an attempt claimed too early is not launched in time.
fn few_launches() -> Named {
    ordinary("few launches", |plain| Policy {
        max_tasks: 100,
        max_leases: 100,
        launch_interval: 40 * SECOND,
        launch_burst: 1,
        ..plain
    })
}

/// Each answer is slow.
fn late_answers() -> Named {
    world(
        "answers that come late",
        &[],
        |plain| Policy { max_tasks: 20, ..plain },
        |plain| Setup { uploads: uploads(60, SECOND), work: (MINUTE, 6 * MINUTE), slow_answers: 1, ..plain },
    )
}

/// Every other launch takes effect, and its answer is lost. Waits between attempts are as long as a task needs to
/// start.
fn lost_answers() -> Named {
    world(
        "launches whose answer is lost",
        &[(Fault::LaunchAnswerLost, 0.5)],
        |plain| Policy { max_tasks: 20, retry_base: 40 * SECOND, ..plain },
        |plain| Setup {
            uploads: uploads(60, SECOND),
            heal_at: 2 * HOUR,
            work: (5 * MINUTE, 10 * MINUTE),
            ..plain
        },
    )
}

/// A newer version has written documents of some jobs, which this version cannot read.
fn newer() -> Named {
    world(
        "jobs that a newer version has",
        &[],
        |plain| Policy { max_tasks: 10, ..plain },
        |plain| Setup { uploads: uploads(30, SECOND), heal_at: 2 * HOUR, newer: 3, ..plain },
    )
}

/// Many of 60 tasks do not start, and the others make no progress: all must be stopped, with few calls.
fn few_calls() -> Named {
    world(
        "few calls, and tasks that hang",
        &[(Fault::StuckStart, 0.5), (Fault::Hang, 0.9)],
        |plain| Policy {
            max_tasks: 60,
            max_leases: 100,
            max_run: 10 * HOUR,
            no_progress: 10 * MINUTE,
            read_interval: 20 * SECOND,
            stop_interval: 20 * SECOND,
            launch_interval: 50,
            launch_burst: 1,
            ..plain
        },
        |plain| Setup { uploads: uploads(60, 50), heal_at: HOUR, work: (HOUR, 2 * HOUR), ..plain },
    )
}

/// ECS throttles some of the calls, while many launches wait.
fn throttled() -> Named {
    world(
        "ECS throttles",
        &[(Fault::LaunchThrottled, 0.3)],
        |plain| Policy {
            max_tasks: 200,
            max_leases: 300,
            launch_interval: 500,
            launch_burst: 1,
            cooldown: 1,
            call_retry_cap: 4 * MINUTE,
            ..plain
        },
        |plain| Setup { uploads: uploads(200, 5), heal_at: HOUR, ..plain },
    )
}

/// ECS does not show many tasks for minutes; meanwhile their machines are suspended, or cut off from S3 for a time. The
/// controller counts them as lost, and StopTask does not find them: another attempt follows while they continue.
fn unseen() -> Named {
    world(
        "tasks that ECS does not show yet",
        &[(Fault::MissingAfterLaunch, 0.9), (Fault::CutOff, 0.2), (Fault::Frozen, 0.8)],
        |plain| Policy {
            max_tasks: 100,
            max_leases: 200,
            launch_deadline: MINUTE,
            heartbeat_stale: 121 * SECOND,
            max_platform_attempts: 20,
            launch_interval: 50,
            launch_burst: 100,
            orphan_grace: 10 * HOUR,
            ..plain
        },
        |plain| Setup {
            uploads: uploads(100, 50),
            heal_at: 2 * HOUR,
            work: (30 * SECOND, 10 * MINUTE),
            ..plain
        },
    )
}

/// The same, and nearly all tasks are cut off from S3: they end themselves before another attempt may follow.
fn cut_off() -> Named {
    let setup = Setup { work: (5 * MINUTE, 10 * MINUTE), ..unseen().setup };
    let faults = &[(Fault::MissingAfterLaunch, 0.9), (Fault::CutOff, 0.9)];
    Named { name: "tasks that are cut off, and that ECS does not show yet", setup, faults }
}

/// Machines are suspended for minutes: the next attempt works when the one that counted as lost continues and wins. The
/// loser's folder is emptied only when the loser works no more.
fn overtaken() -> Named {
    let unseen = unseen().setup;
    let policy = Policy { max_tasks: 600, max_leases: 600, ..unseen.policy };
    let setup = Setup { policy, uploads: uploads(600, 50), work: (2 * MINUTE, 30 * MINUTE), ..unseen };
    let faults = &[(Fault::MissingAfterLaunch, 0.95), (Fault::Frozen, 0.6)];
    Named { name: "attempts that are overtaken by the one before", setup, faults }
}

/// Controllers are suspended again and again, with answers under way, while tasks start later than they should. They
/// run for seconds only, so that they are often suspended between a reading and the action that follows.
fn standing_still() -> Named {
    world(
        "controllers that stand still while tasks come up late",
        &[(Fault::StuckStart, 0.9)],
        |plain| Policy {
            max_tasks: 100,
            max_leases: 200,
            launch_deadline: 2 * HOUR,
            provisioning_timeout: 15 * MINUTE,
            pull_timeout: 15 * MINUTE,
            max_run: 20 * HOUR,
            launch_interval: 50,
            launch_burst: 100,
            ..plain
        },
        |plain| Setup {
            controllers: 3,
            uploads: uploads(400, 3 * MINUTE),
            heal_at: 48 * HOUR,
            work: (4 * HOUR, 8 * HOUR),
            pause_every: 6 * SECOND,
            slow_answers: 1,
            ..plain
        },
    )
}

/// Two jobs that take longer than the 12 h for which a message can be held.
fn half_a_day() -> Named {
    world(
        "work of more than twelve hours",
        &[],
        |plain| Policy { max_run: 20 * HOUR, describe_every: 5 * MINUTE, resync_every: 10 * MINUTE, ..plain },
        |plain| Setup {
            uploads: uploads(2, HOUR),
            heal_at: 16 * HOUR,
            work: (13 * HOUR, 14 * HOUR),
            ordinary: true,
            ..plain
        },
    )
}

/// Tasks whose process is gone and whose end ECS does not notice, and tasks that hang and are alive. Only their longest
/// run limits the latter.
fn nowhere() -> Named {
    world(
        "tasks that vanish, and tasks without an end",
        &[(Fault::Hang, 0.5), (Fault::Vanished, 0.5)],
        |plain| Policy {
            max_tasks: 40,
            max_leases: 100,
            max_run: 2 * HOUR,
            no_progress: 100 * HOUR,
            max_platform_attempts: 10,
            ..plain
        },
        |plain| Setup {
            uploads: uploads(40, SECOND),
            heal_at: HOUR,
            work: (5 * MINUTE, 50 * MINUTE),
            ..plain
        },
    )
}

/// Clocks differ as much as allowed, and launches arrive late: some while the task's clock still allows a begin and the
/// controller's clock does not.
fn clocks_apart() -> Named {
    world(
        "clocks as far apart as they may be",
        &[(Fault::LaunchDelayed, 0.9)],
        |plain| Policy {
            max_tasks: 100,
            max_leases: 200,
            clock_skew: 20 * MINUTE,
            launch_deadline: MINUTE,
            launch_interval: 50,
            launch_burst: 100,
            max_platform_attempts: 20,
            ..plain
        },
        |plain| Setup {
            uploads: uploads(100, SECOND),
            controllers: 3,
            offset: 10 * MINUTE,
            heal_at: 3 * HOUR,
            work: (30 * MINUTE, HOUR),
            ..plain
        },
    )
}

/// Tasks that need most of the time of each start phase, and no events: the phases change between two descriptions.
fn slow_starts() -> Named {
    world(
        "slow starts that are looked at rarely",
        &[(Fault::StuckStart, 0.9)],
        |plain| Policy {
            max_tasks: 40,
            max_leases: 100,
            describe_every: 6 * MINUTE,
            resync_every: HOUR,
            ..plain
        },
        |plain| Setup { uploads: uploads(40, SECOND), heal_at: HOUR, hints: false, ..plain },
    )
}

/// Each object is uploaded again and again, faster than it is transcoded; older versions often end last. Writes arrive
/// after their callers stopped waiting, and controllers die.
fn uploaded_again() -> Named {
    let body = |job, number| json!({ "Records": [version(job, 1000, number)] }).to_string();
    let versions = (0..5).flat_map(move |number| {
        (0..20).map(move |job| Upload {
            at: (job * 5 + number as u64) * SECOND,
            body: body(job, number),
            kind: Kind::Jobs,
        })
    });
    world(
        "objects that are uploaded again",
        &[(Fault::WriteDelayed, 0.2), (Fault::WriteAnswerLost, 0.2)],
        |plain| Policy { max_tasks: 40, max_leases: 100, ..plain },
        |plain| Setup {
            controllers: 3,
            uploads: versions.collect(),
            heal_at: 2 * HOUR,
            crash_at_effect: 40,
            ..plain
        },
    )
}

/// One job after the other fails.
fn all_fail() -> Named {
    world(
        "every job fails",
        &[(Fault::Segv, 1.0)],
        |plain| Policy {
            max_tasks: 10,
            max_leases: 100,
            max_attempts: 1,
            breaker_jobs: 3,
            breaker_probe: 5 * MINUTE,
            ..plain
        },
        |plain| Setup {
            uploads: uploads(40, SECOND),
            heal_at: 4 * HOUR,
            work: (SECOND, 10 * SECOND),
            ..plain
        },
    )
}

/// One uploader's flood of files that are no video; it must stop no other job.
fn junk() -> Named {
    world(
        "a flood of junk",
        &[],
        |plain| Policy { max_tasks: 5, breaker_jobs: 3, breaker_probe: 5 * MINUTE, ..plain },
        |plain| Setup { uploads: uploads(40, SECOND), bad: 100, ordinary: true, ..plain },
    )
}

/// The event of one upload, sent again and again, and then the others' events.
fn copies() -> Named {
    world(
        "copies of one event before everybody else's",
        &[],
        |plain| Policy { max_tasks: 3, max_leases: 8, max_run: 6 * HOUR, ..plain },
        |plain| {
            let first = uploads(1, SECOND).into_iter().next();
            let again = first.into_iter().flat_map(|upload| {
                (0..25).map(move |n| Upload { at: n * 100, body: upload.body.clone(), kind: Kind::Jobs })
            });
            let others = uploads(6, SECOND).into_iter().skip(1).map(|it| Upload { at: it.at + MINUTE, ..it });
            let uploads = again.chain(others).collect();
            Setup { uploads, work: (2 * HOUR, 3 * HOUR), ordinary: true, ..plain }
        },
    )
}

/// Tasks that ECS does not show yet, while leases expire and messages return late: for a time only the tasks of their
/// jobs are known. All jobs have waited too long for Spot.
fn lapsing() -> Named {
    let unseen = unseen().setup;
    let variant = TaskShape { capacity: Capacity::FargateSpot, ..unseen.policy.variant.clone() };
    let policy = Policy { variant, spot_max_age: MINUTE, spot_attempts: 100, ..unseen.policy };
    let faults = &[
        (Fault::MissingAfterLaunch, 0.9),
        (Fault::Frozen, 0.8),
        (Fault::ExtendFails, 0.9),
        (Fault::ReceiveLost, 0.7),
    ];
    let setup = Setup { policy, ..unseen };
    Named { name: "tasks that ECS does not show yet, and messages that lapse", setup, faults }
}
