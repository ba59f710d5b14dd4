//! New settings while jobs run.

use transcode_core::message::Request;

use super::*;

fn output_of(world: &Bench, job: &JobKey) -> String {
    match &world.reconciler.ledger.jobs.get(job).unwrap().request {
        Some(Request::Run(spec)) => spec.output.prefix.clone(),
        other => panic!("no job to run: {other:?}"),
    }
}

#[test]
fn new_rules_hold_for_what_comes_and_not_for_what_was_accepted() {
    let mut world = Bench::ready();
    let before = world.upload("m1", "a.mp4");
    let rules = Rules { output_root: "elsewhere/".into(), ..world.reconciler.ledger.rules.clone() };
    world.reconciler.reload(world.reconciler.policy().clone(), rules);
    world.turn([]);
    let after = world.upload("m2", "b.mp4");
    assert!(output_of(&world, &before).starts_with("videos/"), "{}", output_of(&world, &before));
    assert!(output_of(&world, &after).starts_with("elsewhere/"), "{}", output_of(&world, &after));
}

#[test]
fn new_numbers_hold_at_once_also_for_what_waits() {
    let mut world = Bench::ready();
    let jobs = ["a.mp4", "b.mp4", "c.mp4"].map(|key| world.upload(key, key));
    let claims =
        |actions: &[Action]| actions.iter().filter(|action| matches!(action, Action::Claim { .. })).count();
    let read: Vec<Fact> = jobs.iter().map(|job| inspected(job, None, None, None)).collect();
    assert_eq!(claims(&world.turn(read)), 2, "there are two slots");
    let (policy, rules) = (world.reconciler.policy().clone(), world.reconciler.ledger.rules.clone());
    world.reconciler.reload(Policy { max_tasks: 3, ..policy }, rules);
    assert_eq!(claims(&world.turn([])), 1, "a third slot is there, and its job had waited for nothing else");
}

#[test]
fn new_numbers_hold_at_once_also_for_what_waits_for_its_time() {
    let mut world = Bench::ready();
    (world.reconciler.policy_mut().retry_base, world.reconciler.policy_mut().retry_cap) = (600_000, 600_000);
    let job = world.upload("m1", "a.mp4");
    let claim = claim_of(&world.turn([inspected(&job, None, None, None)]));
    world.turn([claimed(&claim)]);
    let refusal = Refusal::Definitive("RESOURCE:MEMORY".into());
    world.turn([Fact::LaunchRefused { job: job.clone(), attempt: claim.attempt, refusal }]);
    world.mono += world.reconciler.policy().cooldown + 1000;
    let waits = world.turn([inspected(&job, Some(&claim), None, None)]);
    assert_eq!((waits, world.note(&job).contains("next attempt after backoff")), (vec![], true));
    let (policy, rules) = (world.reconciler.policy().clone(), world.reconciler.ledger.rules.clone());
    world.reconciler.reload(Policy { retry_base: 0, ..policy }, rules);
    let look = world.turn([]);
    assert!(only_reads(&look, &job), "before the next attempt is claimed");
    assert_eq!(claim_of(&world.turn([inspected(&job, Some(&claim), None, None)])).attempt.number(), 2);
}
