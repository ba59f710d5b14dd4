//! Named worlds for tenants (L9).

use transcode_config::tenants::{Priority, TenantSettings};
use transcode_core::policy::Policy;

use super::{
    Expected, HOUR, MINUTE, SECOND, Setup,
    named::{Named, world},
    tenants::{rule, uploads_of},
};

pub(super) fn named() -> Vec<Named> {
    vec![flood(), shares(), classes(), limits(), days()]
}

/// Ten thousand uploads of one tenant, and one of another every few minutes. A job takes at most a minute and a half,
/// the time of a slot, and so does the other tenant's wait.
fn flood() -> Named {
    world(
        "ten thousand uploads of one tenant",
        &[],
        |plain| Policy { max_tasks: 60, launch_interval: 200, ..plain },
        |plain| {
            let others = uploads_of("b", 20, 10 * MINUTE, 7 * MINUTE).chain(uploads_of("c", 1, HOUR, 1));
            let setup = Setup {
                uploads: uploads_of("a", 10_000, 0, 5).chain(others).collect(),
                heal_at: HOUR,
                work: (10 * SECOND, MINUTE),
                slow_answers: 1000,
                ordinary: true,
                expected: ["b", "c"].map(|tenant| Expected::Soon { tenant, within: 2 * MINUTE }).into(),
                ..plain
            };
            setup.with_tenants(&[rule("{id}")], 200)
        },
    )
}

/// Two tenants with a backlog each, one of three times the other's weight.
fn shares() -> Named {
    let (from, until, within) = (30 * MINUTE, 90 * MINUTE, 12);
    let share = |tenant, share| Expected::Share { tenant, from, until, share, within };
    world(
        "shares by weight over an hour",
        &[],
        |plain| Policy { max_tasks: 16, launch_interval: 200, ..plain },
        |plain| {
            let uploads = uploads_of("a", 600, 0, 50).chain(uploads_of("b", 300, 0, 50));
            let setup = Setup {
                uploads: uploads.collect(),
                heal_at: 2 * HOUR,
                work: (MINUTE, 5 * MINUTE),
                ordinary: true,
                expected: vec![share("a", 750), share("b", 250)],
                ..plain
            };
            setup.with_tenants(&[TenantSettings { weight: 3, ..rule("a") }, rule("b")], 60)
        },
    )
}

/// A higher class with more jobs than slots, and a lower class, which must get slots too.
fn classes() -> Named {
    let (from, until) = (30 * MINUTE, 150 * MINUTE);
    let share = |tenant, share, within| Expected::Share { tenant, from, until, share, within };
    world(
        "a lower class beside a flood of a higher one",
        &[],
        |plain| Policy { max_tasks: 10, launch_interval: 200, ..plain },
        |plain| {
            let uploads = uploads_of("a", 800, 0, 50).chain(uploads_of("b", 100, 0, 50));
            let setup = Setup {
                uploads: uploads.collect(),
                heal_at: 3 * HOUR,
                work: (MINUTE, 4 * MINUTE),
                ordinary: true,
                expected: vec![share("a", 950, 15), share("b", 50, 15)],
                ..plain
            };
            let of = |priority, tenant| TenantSettings { priority, ..rule(tenant) };
            setup.with_tenants(&[of(Priority::High, "a"), of(Priority::Low, "b")], 60)
        },
    )
}

/// A tenant with at most two tasks, while more slots are free.
fn limits() -> Named {
    world(
        "a tenant that may have two tasks",
        &[],
        |plain| Policy { max_tasks: 8, ..plain },
        |plain| {
            let setup = Setup {
                uploads: uploads_of("a", 30, 0, SECOND).chain(uploads_of("b", 30, 0, SECOND)).collect(),
                ordinary: true,
                expected: vec![Expected::Limit { tenant: "a", tasks: 2 }],
                ..plain
            };
            setup.with_tenants(&[TenantSettings { max_tasks: 2, ..rule("a") }, rule("b")], 20)
        },
    )
}

/// Messages that are put back for days. The queue moves messages that were received too often to the dead-letter queue.
fn days() -> Named {
    world(
        "messages that wait for days",
        &[],
        |plain| Policy {
            max_tasks: 2,
            max_run: 6 * HOUR,
            describe_every: 5 * MINUTE,
            resync_every: 10 * MINUTE,
            ..plain
        },
        |plain| {
            let setup = Setup {
                uploads: uploads_of("a", 50, 0, SECOND).collect(),
                heal_at: 120 * HOUR,
                work: (4 * HOUR, 5 * HOUR),
                max_receives: 250,
                ordinary: true,
                expected: vec![Expected::NothingGivenUp],
                ..plain
            };
            setup.with_tenants(&[rule("a")], 5)
        },
    )
}
