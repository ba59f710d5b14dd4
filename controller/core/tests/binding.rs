//! An idempotency key belongs to the source for which it was first used.

use transcode_config::contract::JobSpec;
use transcode_core::message::{Parsed, Request, parse};

use super::*;

/// A job request for `key` under the idempotency key `k`.
fn request_for(key: &str) -> String {
    serde_json::json!({"schema": 1, "kind": "transcode.job", "source": {"bucket": "uploads", "key": key},
        "idempotency_key": "k"})
    .to_string()
}

fn spec_of(world: &Bench, body: &str) -> JobSpec {
    let Parsed::Jobs(requests, _) = parse(body, &world.reconciler.ledger.rules, 1) else { panic!() };
    let [Request::Run(spec)] = &requests[..] else { panic!("{requests:?}") };
    (**spec).clone()
}

/// The terminal record of a refused job, its code and the job.
fn refused(actions: &[Action]) -> (FailureCode, JobKey) {
    let [Action::GiveUp { job, terminal }] = actions else { panic!("expected a refusal, got {actions:?}") };
    let Outcome::Dead(dead) = &terminal.outcome else { panic!("{terminal:?}") };
    (dead.failure.code, job.clone())
}

/// The refused request ends as a dead letter; its message is deleted after that, and not before.
fn ends_as_a_letter(world: &mut Bench, look: &[Action], message: &str, original: &JobKey) {
    let [Action::Inspect { job, .. }] = look else { panic!("{look:?}") };
    assert_ne!(job, original);
    let (code, job) = refused(&world.turn([inspected(job, None, None, None)]));
    assert_eq!(code, FailureCode::IdempotencyKeyReused);
    let letter = world.turn([given_up(&job)]);
    let [Action::DeadLetter(letter)] = &letter[..] else { panic!("{letter:?}") };
    assert_eq!((&letter.job, letter.dead.failure.code), (&job, FailureCode::IdempotencyKeyReused));
    let message = MessageId(message.into());
    let deleted = world.turn([Fact::DeadLettered { message: message.clone(), job }]);
    assert!(matches!(&deleted[..], [Action::Delete { lease }] if lease.message == message), "{deleted:?}");
}

fn given_up(job: &JobKey) -> Fact {
    let failure = Failure::new(FailureCode::IdempotencyKeyReused, "because");
    let dead = Dead { failure, last_task_arn: None, log_link: None, attempts: vec![] };
    inspected(job, None, None, Some(Terminal { outcome: Outcome::Dead(dead), ..succeeded(job) }))
}

#[test]
fn the_same_key_for_another_source_is_a_letter_while_the_first_is_held() {
    let mut world = Bench::ready();
    let look = world.deliver("m1", &request_for("a.mp4"));
    let [Action::Inspect { job, .. }] = &look[..] else { panic!("{look:?}") };
    let look = world.deliver("m2", &request_for("b.mp4"));
    ends_as_a_letter(&mut world, &look, "m2", job);
    // The first goes on as if nothing had been.
    let claim = world.turn([inspected(job, None, None, None)]);
    assert_eq!(claims(&claim).len(), 1, "{claim:?}");
}

#[test]
fn the_same_key_for_another_source_is_a_letter_long_after_the_first_was_deleted() {
    let mut world = Bench::ready();
    let first = spec_of(&world, &request_for("a.mp4"));
    let look = world.deliver("m2", &request_for("b.mp4"));
    assert!(only_reads(&look, &first.job));
    let asked = world.turn([inspected(&first.job, None, None, Some(succeeded(&first.job)))]);
    assert_eq!(
        asked,
        [Action::ReadSpec { job: first.job.clone() }],
        "neither published nor deleted before that"
    );
    let job = first.job.clone();
    let look = world.turn([Fact::SpecRead { job: job.clone(), spec: Some(Box::new(first)) }]);
    ends_as_a_letter(&mut world, &look, "m2", &job);
    let told = |change: &Change| matches!(change, Change::KeyReused { of, .. } if *of == job);
    assert!(world.told.iter().any(told), "{:?}", world.told);
}

#[test]
fn the_same_key_for_the_same_source_is_settled_with_the_first() {
    let mut world = Bench::ready();
    let first = spec_of(&world, &request_for("a.mp4"));
    let job = first.job.clone();
    world.deliver("m2", &request_for("a.mp4"));
    world.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
    let publish = world.turn([Fact::SpecRead { job: job.clone(), spec: Some(Box::new(first)) }]);
    assert!(matches!(&publish[..], [Action::Publish { .. }]), "{publish:?}");
    assert!(matches!(&world.turn([live(&job)])[..], [Action::Delete { .. }]));
}

#[test]
fn whoever_claims_second_under_a_key_is_the_one_that_is_refused() {
    let mut world = Bench::ready();
    let first = spec_of(&world, &request_for("a.mp4"));
    let job = first.job.clone();
    world.deliver("m2", &request_for("b.mp4"));
    let claim = world.turn([inspected(&job, None, None, None)]);
    assert_eq!(claims(&claim).len(), 1, "nobody has used the key yet: {claim:?}");
    // Another controller was faster: the specification is there, and is of another source.
    let look = world.turn([Fact::SpecRead { job: job.clone(), spec: Some(Box::new(first)) }]);
    ends_as_a_letter(&mut world, &look, "m2", &job);
    assert!(world.after(60_000).iter().all(|action| !matches!(action, Action::Launch { .. })));
}

#[test]
fn a_refused_request_does_not_use_its_key_up() {
    let mut world = Bench::ready();
    let not_allowed = request_for("a.mp4").replace("uploads", "elsewhere");
    let look = world.deliver("m1", &not_allowed);
    let [Action::Inspect { job, .. }] = &look[..] else { panic!("{look:?}") };
    assert_eq!(refused(&world.turn([inspected(job, None, None, None)])).0, FailureCode::SourceNotAllowed);
    let look = world.deliver("m2", &request_for("a.mp4"));
    let [Action::Inspect { job: second, .. }] = &look[..] else { panic!("{look:?}") };
    assert_ne!(second, job);
    assert_eq!(claims(&world.turn([inspected(second, None, None, None)])).len(), 1);
}
