//! Named worlds of what people want (S19).

use serde_json::json;
use transcode_config::contract::Cancels;
use transcode_core::policy::Policy;

use super::{
    HOUR, Kind, MINUTE, Setup, Upload,
    named::{Named, world},
    steering::{cancel, goes_on, revise},
    tenants::{rule, uploads_of},
    uploads::record,
};

pub(super) fn named() -> [Named; 2] {
    [whole(), parts()]
}

impl Setup {
    /// The plain scenario, of which the job that waits and one that runs are cancelled and which is paused for a while.
    pub fn plain_steered() -> Self {
        let mut setup = Self { bad: 0, work: (4 * MINUTE, 5 * MINUTE), ..Self::plain() };
        let jobs = setup.asked_jobs();
        for (at, job) in [(90_000, 0), (100_000, 2)] {
            let job = jobs.get(job).into_iter().cloned().map(Cancels::Job);
            revise(&mut setup.steering, at, |control, told| {
                job.for_each(|job| cancel(control, job, told.clone()));
            });
        }
        revise(&mut setup.steering, 3 * MINUTE, |control, told| control.paused = Some(told));
        revise(&mut setup.steering, 20 * MINUTE, |control, _| goes_on(control));
        setup
    }
}

/// Pauses, a drain, cancels and stops by hand, with a controller that crashes.
fn whole() -> Named {
    let body = |job| json!({ "Records": [record(job, 1000)] }).to_string();
    let uploads = (0..16).map(|job| Upload { at: job * MINUTE, body: body(job), kind: Kind::Jobs }).collect();
    let mut world = world(
        "paused, drained and cancelled",
        &[],
        |plain| Policy { max_tasks: 3, ..plain },
        |plain| Setup {
            uploads,
            work: (20 * MINUTE, 40 * MINUTE),
            heal_at: 8 * HOUR,
            crash_every: HOUR,
            stops_by_hand: vec![15 * MINUTE, 200 * MINUTE],
            ..plain
        },
    );
    let jobs = world.setup.asked_jobs();
    let prefix = |prefix: &str| Cancels::Prefix { bucket: "uploads".into(), prefix: prefix.into() };
    let all = &mut world.setup.steering;
    revise(all, 2 * MINUTE, |control, told| control.paused = Some(told));
    revise(all, 9 * MINUTE, |control, _| control.paused = None);
    // The upload of this key comes later.
    revise(all, 10 * MINUTE, |control, told| cancel(control, prefix("12"), told));
    for (minute, job) in [(16, 1), (17, 2), (18, 15)] {
        let job = jobs.get(job).into_iter().cloned().map(Cancels::Job);
        revise(all, minute * MINUTE, |control, told| job.for_each(|job| cancel(control, job, told.clone())));
    }
    revise(all, 30 * MINUTE, |control, told| cancel(control, prefix("3"), told));
    revise(all, HOUR, |control, told| control.drained = Some(told));
    revise(all, 3 * HOUR, |control, _| control.drained = None);
    world
}

/// A tenant and a queue are paused while others go on, and the jobs of a tenant are cancelled.
fn parts() -> Named {
    let world = world(
        "a paused tenant, a paused queue and a cancelled tenant",
        &[],
        |plain| Policy {
            max_tasks: 2,
            queues: [("jobs".to_owned(), 1), ("low".to_owned(), 1)].into(),
            ..plain
        },
        |plain| Setup {
            uploads: uploads_of("a", 8, 0, MINUTE).chain(uploads_of("b", 8, 0, MINUTE)).collect(),
            heal_at: 6 * HOUR,
            controllers: 2,
            ..plain
        },
    );
    let mut setup = world.setup.with_tenants(&[rule("a"), rule("b")], 20);
    let all = &mut setup.steering;
    revise(all, MINUTE, |control, told| drop(control.paused_tenants.insert("uploads/a/".into(), told)));
    revise(all, 40 * MINUTE, |control, told| drop(control.paused_queues.insert("low".into(), told)));
    revise(all, HOUR, |control, told| cancel(control, Cancels::Tenant("uploads/b/".into()), told));
    revise(all, 2 * HOUR, |control, _| goes_on(control));
    Named { setup, ..world }
}
