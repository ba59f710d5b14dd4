//! Calls that AWS refuses until somebody removes the cause: repeated less and less often, visible to people, and
//! successful once the cause is removed.

use super::*;

const HOUR: Ms = 3_600_000;

/// How often each call was planned, by its name.
type Calls = BTreeMap<&'static str, usize>;

impl Bench {
    /// Lets time pass. `refused` names the calls that are refused with this class; all others succeed.
    fn refusing(&mut self, ms: Ms, refused: &[&str], class: ErrorClass) -> Calls {
        let (mut facts, mut calls, end) = (Vec::new(), Calls::new(), self.mono + ms);
        while self.mono < end {
            self.mono += 500;
            for action in self.turn(std::mem::take(&mut facts)) {
                *calls.entry(action.name()).or_default() += 1;
                facts.push(if refused.contains(&action.name()) {
                    transcode_core::effects::apply::failed(&action, denied(class))
                } else {
                    done(&action)
                });
            }
        }
        // Calls that are still under way.
        while !facts.is_empty() {
            facts = self.turn(std::mem::take(&mut facts)).iter().map(done).collect();
        }
        calls
    }

    /// A job that is decided, and whose first call to settle it failed.
    fn decided(&mut self, message: &str, key: &str, outcome: fn(&JobKey) -> Terminal) -> JobKey {
        // A receive that began now.
        self.turn([Fact::Received { queue: "default".into(), messages: vec![] }]);
        self.mono += 5000;
        self.turn([]);
        let job = self.upload(message, key);
        for action in self.turn([inspected(&job, None, None, Some(outcome(&job)))]) {
            self.turn([transcode_core::effects::apply::failed(&action, denied(ErrorClass::Misconfigured))]);
        }
        job
    }

    fn held(&self) -> usize {
        self.reconciler.ledger.leases.len()
    }
}

fn denied(class: ErrorClass) -> CallError {
    CallError {
        operation: "s3:CopyObject",
        class,
        message: "AccessDenied: no kms:Decrypt (request R1)".into(),
    }
}

fn given_up(job: &JobKey) -> Terminal {
    let failure = Failure::new(FailureCode::NotMedia, "text");
    let dead = Dead { failure, last_task_arn: None, log_link: None, attempts: Vec::new() };
    Terminal { outcome: Outcome::Dead(dead), ..succeeded(job) }
}

/// The fact that an action was carried out.
fn done(action: &Action) -> Fact {
    match action {
        Action::Inspect { job, .. } => inspected(job, None, None, None),
        Action::Claim { claim, .. } => claimed(claim),
        Action::Publish { job, .. } => live(job),
        Action::DeadLetter(letter) => {
            Fact::DeadLettered { message: letter.lease.message.clone(), job: letter.job.clone() }
        }
        Action::Delete { lease } => Fact::Deleted { message: lease.message.clone() },
        Action::Extend { lease, for_ms } => {
            Fact::Extended { message: lease.message.clone(), for_ms: *for_ms }
        }
        other => panic!("{other:?}"),
    }
}

/// Most calls of a refused step in this many hours: one each quarter of an hour, and those while the wait grows.
fn paced(hours: usize) -> std::ops::RangeInclusive<usize> {
    4 * hours..=4 * hours + 11
}

#[test]
fn a_publication_that_is_refused_is_tried_less_and_less_often_and_its_message_is_kept() {
    let mut world = Bench::ready();
    let job = world.decided("m1", "a.mp4", succeeded);
    let calls = world.refusing(10 * HOUR, &["publish"], ErrorClass::Misconfigured);
    assert!(paced(10).contains(&calls["publish"]), "{calls:?}");
    assert_eq!(world.held(), 1, "the message is kept: {calls:?}");
    let note = world.reconciler.ledger.jobs.get(&job).and_then(|job| job.note.clone()).unwrap();
    assert!(note.why.starts_with("publishing its result fails ("), "{note:?}");
    assert!(note.why.ends_with("s3:CopyObject: AccessDenied: no kms:Decrypt (request R1)"), "{note:?}");
    assert!(note.refused && note.until.is_some(), "{note:?}");
    // The cause is removed: the next try succeeds.
    let calls = world.refusing(HOUR / 2, &[], ErrorClass::Misconfigured);
    assert_eq!((calls["publish"], calls["delete"], world.held()), (1, 1, 0));
}

#[test]
fn a_call_that_fails_in_passing_is_tried_each_minute() {
    let mut world = Bench::ready();
    world.decided("m1", "a.mp4", succeeded);
    let calls = world.refusing(HOUR, &["publish"], ErrorClass::Transient);
    assert!((55..=75).contains(&calls["publish"]), "{calls:?}");
}

#[test]
fn a_letter_that_is_refused_holds_up_no_extension() {
    let mut world = Bench::ready();
    let job = world.decided("m1", "a.mp4", given_up);
    let calls = world.refusing(10 * HOUR, &["dead_letter"], ErrorClass::Misconfigured);
    assert!(paced(10).contains(&calls["dead_letter"]), "{calls:?}");
    assert_eq!(world.held(), 1, "the message is kept: {calls:?}");
    assert!(!calls.contains_key("delete"), "S1: {calls:?}");
    assert!(world.note(&job).starts_with("sending its dead letter fails ("), "{}", world.note(&job));
}

#[test]
fn a_claim_that_is_refused_is_not_begun_anew_because_the_bucket_can_be_read() {
    let mut world = Bench::ready();
    let job = world.upload("m1", "a.mp4");
    world.turn([inspected(&job, None, None, None)]);
    world.turn([Fact::JobCallFailed { job: job.clone(), error: denied(ErrorClass::Misconfigured) }]);
    let calls = world.refusing(10 * HOUR, &["intend"], ErrorClass::Misconfigured);
    assert!(paced(10).contains(&calls["intend"]), "{calls:?}");
    assert!(world.note(&job).starts_with("claiming an attempt fails ("), "{}", world.note(&job));
}

#[test]
fn what_was_refused_is_tried_at_once_when_the_same_works_for_another_job_or_settings_change() {
    let mut world = Bench::ready();
    let first = world.decided("m1", "a.mp4", succeeded);
    world.refusing(2 * HOUR, &["publish"], ErrorClass::Misconfigured);
    let second = world.decided("m2", "b.mp4", succeeded);
    world.refusing(HOUR / 30, &["publish"], ErrorClass::Misconfigured);
    // The second one, which has failed for two minutes, is tried long before the first.
    let calls = world.refusing(HOUR / 20, &[], ErrorClass::Misconfigured);
    assert_eq!((calls["publish"], world.held()), (2, 0), "{calls:?}");
    assert!([&first, &second].into_iter().all(|job| !world.reconciler.ledger.jobs.contains_key(job)));

    world.decided("m3", "c.mp4", succeeded);
    world.refusing(2 * HOUR, &["publish"], ErrorClass::Misconfigured);
    let (policy, rules) = (world.reconciler.policy().clone(), world.reconciler.ledger.rules.clone());
    world.reconciler.reload(policy, rules);
    let calls = world.refusing(1000, &[], ErrorClass::Misconfigured);
    assert_eq!((calls["publish"], world.held()), (1, 0), "{calls:?}");
}

#[test]
fn each_step_of_settling_is_in_sight() {
    let mut world = Bench::ready();
    let job = world.upload("m1", "a.mp4");
    world.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
    assert_eq!(world.note(&job), "publishing its result");
    world.turn([live(&job)]);
    assert_eq!(world.note(&job), "deleting its message");

    let job = world.upload("m2", "b.mp4");
    world.turn([inspected(&job, None, None, Some(given_up(&job)))]);
    assert_eq!(world.note(&job), "sending its dead letter");
}

#[test]
fn a_stop_that_is_refused_is_tried_less_and_less_often() {
    let mut world = Bench::ready();
    let (job, _) = world.launched("m1", "a.mp4", "task/1");
    world.turn([seen(view("task/1", &job, 1, TaskStatus::Running))]);
    world.turn([inspected(&job, None, None, Some(given_up(&job)))]);
    let mut stops = 0;
    for _ in 0..3600 {
        world.mono += 2000;
        let planned = world.turn([]);
        for action in planned {
            if let Action::Stop { task, .. } = action {
                stops += 1;
                world.turn([Fact::StopFailed { task, error: denied(ErrorClass::Misconfigured) }]);
            }
        }
    }
    assert!((60..=120).contains(&stops), "in two hours, less the grace: {stops}");
}
