//! What the planner does when the task's image does not fit.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use transcode_config::{contract::JobKey, ladder::Profile, load::from_text};
use transcode_controller::{
    action::Action,
    clock::Now,
    fact::{CallError, Class, Fact, Incoming, MessageId, Pinned},
    message::Rules,
    plan::plan,
    policy::Policy,
    reconciler::Reconciler,
};

const SETTINGS: &str = r#"
environment = "test"
queues.default = { url = "q", dead_letter_url = "d" }
sources.uploads.bucket = "uploads"
state.bucket = "state"
output.bucket = "videos"
cluster = { name = "c", task_definition = "t", subnets = ["s"] }
"#;
const UPLOAD: &str = r#"{"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
    "s3": {"bucket": {"name": "uploads"}, "object": {"key": "a.mp4", "size": 10, "eTag": "e", "sequencer": "01"}}}]}"#;
const WHY: &str = "t:1: there is no image task:1 in ECR";

/// A moment later each time.
struct World(Reconciler, u64);

impl World {
    fn turn(&mut self, facts: impl IntoIterator<Item = Fact>) -> Vec<Action> {
        self.1 += 10;
        let now = self.now();
        let routine =
            |action: &Action| matches!(action, Action::Receive { .. } | Action::Resync | Action::Resolve);
        self.0.turn(facts, now).actions.into_iter().filter(|action| !routine(action)).collect()
    }

    fn now(&self) -> Now {
        Now { mono: self.1, wall: 1_700_000_000_000 + self.1 }
    }

    fn note(&self, job: &JobKey) -> String {
        plan(self.0.policy(), &self.0.ledger, self.now()).notes[job].why.to_string()
    }
}

fn world() -> World {
    let settings = from_text(SETTINGS, figment::providers::Env::prefixed("NONE_")).unwrap();
    let rules = Rules {
        sources: settings.sources.values().cloned().collect(),
        profiles: BTreeMap::from([("standard".into(), Profile::built_in("standard").unwrap())]),
        default_profile: "standard".into(),
        output_bucket: "videos".into(),
        output_root: "videos/".into(),
        max_run_seconds: 3600,
        max_source_bytes: 1 << 30,
    };
    World(Reconciler::new("me", Policy::from(&settings), rules), 3_600_000)
}

fn pinned() -> Fact {
    Fact::Resolved(Pinned { task_definition: "t:1".into(), image_digest: Some("sha256:1".into()) })
}

fn unfit() -> Fact {
    Fact::Unfit { reason: WHY.into() }
}

fn unread() -> Fact {
    let error = CallError { operation: "ecr:BatchGetImage", class: Class::Throttled, message: "slow".into() };
    Fact::ResolveFailed { error }
}

fn received() -> Fact {
    let incoming =
        Incoming { id: MessageId("m".into()), receipt: "r".into(), body: UPLOAD.into(), sent_at_ms: None };
    Fact::Received { queue: "default".into(), messages: vec![incoming] }
}

#[test]
fn an_image_that_does_not_fit_pauses_launches_says_why_and_costs_no_attempt() {
    let mut world = world();
    world.turn([]);
    world.turn([Fact::Resynced { complete: true }, unread()]);
    let [Action::Inspect { job }] = &world.turn([received()])[..] else { panic!("looked up") };
    assert_eq!(world.turn([Fact::Inspected { job: job.clone(), snapshot: Box::default() }]), []);
    assert_eq!(world.note(job), "waiting for a valid task definition: ecr:BatchGetImage: slow");
    assert_eq!(world.turn([unfit()]), [], "nothing is claimed");
    assert_eq!(world.note(job), format!("launches pause: {WHY}"));
    assert_eq!(world.turn([unread()]), [], "what could not be read is no verdict");

    let [Action::Intend { intent, .. }] = &world.turn([pinned()])[..] else { panic!("claimed") };
    assert_eq!(intent.task_definition, "t:1");
    assert_eq!(intent.image_digest.as_deref(), Some("sha256:1"));
    let intended = Fact::Intended { job: job.clone(), intent: Box::new((**intent).clone()) };
    assert_eq!(world.turn([unfit(), intended]), [], "one that was claimed is not launched either");
    let [Action::Launch { intent: launched }] = &world.turn([pinned()])[..] else { panic!("launched") };
    assert_eq!(launched, intent, "the same attempt");
}

#[test]
fn an_image_that_fitted_goes_on_to_fit_while_it_cannot_be_read() {
    let mut world = world();
    world.turn([]);
    world.turn([Fact::Resynced { complete: true }, pinned()]);
    world.turn([unread()]);
    let [Action::Inspect { job }] = &world.turn([received()])[..] else { panic!("looked up") };
    let claimed = world.turn([Fact::Inspected { job: job.clone(), snapshot: Box::default() }]);
    assert!(matches!(claimed[..], [Action::Intend { .. }]), "{claimed:?}");
}
