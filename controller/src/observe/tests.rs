//! What is told in each turn, and what once in a while.

use transcode_config::load::from_text;
use transcode_core::{message::Rules, state::lease::Lease};

use super::*;
use crate::events::{Metric, Value};

const SETTINGS: &str = include_str!("../../core/tests/settings.toml");

struct World {
    watch: Watch,
    ledger: Ledger,
    policy: Policy,
}

impl World {
    fn new() -> Self {
        let settings = from_text(SETTINGS, figment::providers::Env::prefixed("NONE_")).unwrap();
        let watch = Watch::new(Arc::default(), Arc::default(), &settings);
        let mut ledger = Ledger::new("me", Rules::default());
        ledger.resync.done = true;
        Self { watch, ledger, policy: Policy::from(&settings) }
    }

    fn turn(&self, mono: Ms) -> Option<Ms> {
        let now = Now { mono, wall: 1_700_000_000_000 + mono };
        self.watch.turn("test", &Plan::default(), &self.ledger, &self.policy, now)
    }

    /// A gauge, as it would be sent now.
    fn gauge(&self, metric: Metric) -> Option<f64> {
        let point = self.watch.events.registry().drain().into_iter().find(|point| point.metric == metric);
        point.and_then(|point| if let Value::One(value) = point.value { Some(value) } else { None })
    }

    fn hold(&mut self, message: &str) {
        let job = JobKey::of(&[message]);
        self.ledger.jobs.or_insert_with(&job, || transcode_core::state::job::Job::new(None, 0));
        let lease = Lease::new("q".into(), Content::Jobs([job].into()), 0, 0);
        self.ledger.leases.insert(MessageId(message.into()), lease);
    }
}

#[test]
fn all_that_is_known_is_looked_at_once_a_second_and_soon_after_the_last_turn() {
    let mut world = World::new();
    assert_eq!(world.turn(10_000), None, "looked");
    world.hold("m1");
    assert_eq!(world.turn(10_100), Some(11_000), "asks to be called, though nothing happens");
    assert_eq!(world.gauge(Metric::JobsHeld), Some(0.0));
    assert_eq!(world.turn(10_999), Some(11_000));
    assert_eq!(world.turn(11_000), None);
    assert_eq!(world.gauge(Metric::JobsHeld), Some(1.0));
    assert_eq!(world.turn(11_001), Some(12_000));
}

#[test]
fn turns_are_counted_each_and_a_lost_lease_when_it_is_looked_for() {
    let mut world = World::new();
    world.hold("m1");
    let counted = |world: &World, metric| world.watch.events.registry().count(metric);
    (0..4).for_each(|n| assert_eq!(world.turn(10_000 + n).is_none(), n == 0));
    assert_eq!(counted(&world, Metric::Turns), 4);
    world.ledger.leases.remove(&MessageId("m1".into()));
    world.turn(10_500);
    assert_eq!(counted(&world, Metric::LeasesLost), 0);
    world.turn(11_000);
    assert_eq!(counted(&world, Metric::LeasesLost), 1);
}

#[test]
fn a_pause_is_told_in_the_turn_in_which_it_begins_and_ends_and_shown_as_its_reason() {
    let mut world = World::new();
    let paused = |world: &World| world.watch.memory().paused.is_some();
    world.turn(10_000);
    assert!(!paused(&world), "that no definition is known yet is the ordinary course");
    world.ledger.definition = Definition::Unfit("no such image".into());
    world.turn(10_001);
    assert!(paused(&world));
    world.policy.paused = true;
    world.turn(11_000);
    assert_eq!(world.gauge(Metric::LaunchesPaused), Some(1.0));
    world.policy.paused = false;
    world.ledger.definition = Definition::Fit(transcode_core::protocol::fact::Pinned {
        task_definition: "t:1".into(),
        image_digest: None,
    });
    world.turn(11_001);
    assert!(!paused(&world));
    world.turn(12_000);
    assert_eq!(world.gauge(Metric::LaunchesPaused), Some(0.0));
}
