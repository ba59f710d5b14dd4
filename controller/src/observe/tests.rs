//! Events of each turn, and events of a sample.

use std::sync::Arc;

use transcode_config::{
    contract::{Dead, Failure, FailureCode, JobKey, Outcome, Terminal},
    load::from_text,
};
use transcode_core::{
    message::Rules,
    plan::Plan,
    policy::Policy,
    protocol::{
        clock::{Ms, Now},
        fact::{Fact, MessageId, Pinned},
    },
    reconciler::Reconciler,
    state::{
        failing::Purpose,
        job::{Job, TerminalRecord},
        lease::{Content, Lease},
        note::Note,
    },
};

use super::Watch;
use crate::{
    events::{Events, Metric, Value},
    runtime::Observer,
};

const SETTINGS: &str = include_str!("../../core/tests/settings.toml");

struct Watched {
    events: Arc<Events>,
    watch: Watch,
    core: Reconciler,
}

impl Watched {
    fn new() -> Self {
        let settings = from_text(SETTINGS, figment::providers::Env::prefixed("NONE_")).unwrap();
        let events = Arc::new(Events::new());
        let watch = Watch::new(Arc::clone(&events), Arc::default(), &settings);
        let mut core = Reconciler::new("me", Policy::from(&settings), Rules::default());
        core.ledger.resync.done = true;
        Self { events, watch, core }
    }

    fn turn(&mut self, mono: Ms) -> Option<Ms> {
        self.told(mono, [])
    }

    fn told(&mut self, mono: Ms, facts: impl IntoIterator<Item = Fact>) -> Option<Ms> {
        let now = Now { mono, wall: 1_700_000_000_000 + mono };
        let (plan, told) = self.core.turn(facts, now);
        self.watch.turn("test", (&plan, &told), &self.core.ledger, self.core.policy(), now)
    }

    /// A gauge's current value.
    fn gauge(&self, metric: Metric) -> Option<f64> {
        let point = self.events.registry().drain().into_iter().find(|point| point.metric == metric);
        point.and_then(|point| if let Value::One(value) = point.value { Some(value) } else { None })
    }

    fn counted(&self, metric: Metric) -> u64 {
        self.events.registry().count(metric)
    }

    /// Adds held messages that ask for one job.
    fn hold(&mut self, messages: &[&str], record: TerminalRecord) {
        let key = JobKey::of(&["x"]);
        let mut job = Job { record, ..Job::new(None, 0) };
        for message in messages.iter().map(|message| MessageId((*message).into())) {
            let lease = Lease::new("q".into(), Content::Jobs([key.clone()].into()), 0, 40_000_000);
            self.core.ledger.leases.insert(message.clone(), lease);
            job.leases.insert(message);
        }
        self.core.ledger.jobs.insert(key, job);
    }
}

fn dead() -> TerminalRecord {
    let dead = Dead {
        failure: Failure::new(FailureCode::Empty, "x"),
        last_task_arn: None,
        log_link: None,
        attempts: vec![],
    };
    let outcome = Outcome::Dead(dead);
    let job = JobKey::of(&["x"]);
    TerminalRecord::Decided(Terminal { schema: 1, job, nonce: "n".into(), written_at_ms: 0, outcome }.into())
}

fn deleted(message: &str) -> Fact {
    Fact::Deleted { message: MessageId(message.into()) }
}

#[test]
fn all_that_is_known_is_looked_at_once_a_second_and_soon_after_the_last_turn() {
    let mut world = Watched::new();
    assert_eq!(world.turn(10_000), None, "looked");
    world.hold(&["m1"], TerminalRecord::Unknown);
    assert_eq!(world.turn(10_100), Some(11_000), "asks to be called, though nothing happens");
    assert_eq!(world.gauge(Metric::JobsHeld), Some(0.0));
    assert_eq!(world.turn(10_999), Some(11_000));
    assert_eq!(world.turn(11_000), None);
    assert_eq!(world.gauge(Metric::JobsHeld), Some(1.0));
    assert_eq!(world.turn(11_001), Some(12_000));
}

#[test]
fn each_turn_and_each_lost_lease_is_counted() {
    let mut world = Watched::new();
    world.hold(&["m1"], TerminalRecord::Unknown);
    (0..4).for_each(|n| assert_eq!(world.turn(10_000 + n).is_none(), n == 0));
    assert_eq!(world.counted(Metric::Turns), 4);
    assert_eq!(world.counted(Metric::LeasesLost), 0);
    let lost = || Fact::LeaseLost { message: MessageId("m1".into()) };
    world.told(10_500, [lost(), lost()]);
    assert_eq!(world.counted(Metric::LeasesLost), 1);
}

#[test]
fn a_job_that_two_messages_asked_for_is_told_dead_once_when_both_are_deleted_in_one_batch() {
    let mut world = Watched::new();
    world.hold(&["m1", "m2"], dead());
    world.told(10_000, [deleted("m1"), deleted("m2")]);
    assert_eq!(world.counted(Metric::JobsDead), 1);
    assert_eq!(world.counted(Metric::LeasesLost), 0);
}

#[test]
fn a_pause_is_told_in_the_turn_in_which_it_begins_and_ends_and_shown_as_its_reason() {
    let mut world = Watched::new();
    world.turn(10_000);
    assert_eq!(world.gauge(Metric::LaunchesPaused), Some(0.0), "that no definition is known yet is usual");
    world.told(11_000, [Fact::Unfit { reason: "no such image".into() }]);
    assert_eq!(world.gauge(Metric::LaunchesPaused), Some(1.0));
    let pinned = Pinned { task_definition: "t:1".into(), image_digest: None };
    world.told(12_000, [Fact::Resolved(pinned)]);
    assert_eq!(world.gauge(Metric::LaunchesPaused), Some(0.0));
}

#[test]
fn a_refused_step_is_told_once_and_again_when_it_goes_on() {
    let mut world = Watched::new();
    let stuck = |world: &mut Watched, refused, mono| {
        for n in 0..3_u64 {
            let note = Note { why: "x".into(), until: None, step: Some(Purpose::Publish), refused };
            let job = Job { note: Some(note), ..Job::new(None, 0) };
            world.core.ledger.jobs.insert(JobKey::of(&[&n.to_string()]), job);
        }
        let (ledger, policy) = (&world.core.ledger, world.core.policy());
        world.watch.turned(&Plan::default(), ledger, policy, Now { mono, wall: mono });
        let known: Vec<_> = world.watch.memory().refused.iter().copied().collect();
        (world.gauge(Metric::JobsStuck), known)
    };
    assert_eq!(stuck(&mut world, true, 10_000), (Some(3.0), vec![Purpose::Publish]));
    assert_eq!(stuck(&mut world, false, 20_000), (Some(0.0), vec![]));
}
