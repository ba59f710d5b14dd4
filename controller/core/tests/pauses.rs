//! Why launches pause: one answer for planner, people and metrics, the most important reason first.

use transcode_core::judge::launch_pause::Pause;

use super::*;

fn pause(world: &Bench) -> Option<Pause> {
    world.reconciler.ledger.launch_pause(world.reconciler.policy(), world.now())
}

/// The reason, and whether it is reported.
fn said(world: &Bench) -> (String, bool) {
    pause(world).map_or_else(Default::default, |pause| (pause.to_string(), pause.is_told()))
}

fn refused(job: &JobKey) -> Fact {
    let message = "You've reached the limit on the number of vCPUs".into();
    let error = CallError { operation: "ecs:RunTask", class: ErrorClass::Capacity, message };
    Fact::LaunchRefused { job: job.clone(), attempt: Attempt::FIRST, refusal: Refusal::Failed(error) }
}

#[test]
fn at_the_start_it_is_told_only_when_looking_fails() {
    let mut world = Bench::new();
    assert_eq!(pause(&world), Some(Pause::Unlisted { failed: false }));
    assert!(!said(&world).1, "the ordinary course");
    world.turn([Fact::Resynced { complete: false }]);
    assert_eq!(said(&world), ("the tasks that run could not be listed yet".into(), true));
    world.turn([Fact::Resynced { complete: true }]);
    assert_eq!(said(&world), ("waiting for a valid task definition".into(), false));
    let error =
        CallError { operation: "ecr:BatchGetImage", class: ErrorClass::Transient, message: "slow".into() };
    world.turn([Fact::ResolveFailed { error }]);
    assert_eq!(said(&world), ("waiting for a valid task definition: ecr:BatchGetImage: slow".into(), true));
    world.turn([pinned()]);
    assert_eq!(pause(&world), None);
}

#[test]
fn a_refusal_pauses_for_its_time_and_what_was_asked_for_outranks_it() {
    let mut world = Bench::ready();
    let job = world.upload("m1", "a.mp4");
    let claim = claim_of(&world.turn([inspected(&job, None, None, None)]));
    world.turn([claimed(&claim)]);
    let until = world.mono + 30_000;
    world.turn([refused(&job)]);
    let cools = pause(&world).unwrap();
    assert!(cools.until().is_some_and(|at| (until..until + 10).contains(&at)), "{cools:?}");
    assert_eq!(
        said(&world),
        ("ECS refused one: You've reached the limit on the number of vCPUs".into(), true)
    );
    world.turn([Fact::Unfit { reason: "no such image".into() }]);
    assert_eq!(said(&world).0, "no such image");
    world.reconciler.policy_mut().paused = true;
    assert_eq!(said(&world), ("launch.paused is set".into(), true));
    world.turn([Fact::DrainRequested]);
    assert_eq!(said(&world), ("the controller is ending".into(), false));

    world.reconciler.ledger.draining = false;
    world.reconciler.policy_mut().paused = false;
    world.turn([pinned()]);
    assert_eq!(pause(&world), Some(cools), "it has not ended by any of that");
    world.mono += 30_100;
    assert_eq!(pause(&world), None);
}

#[test]
fn the_breaker_pauses_all_but_its_probes_and_has_an_alarm_of_its_own() {
    let mut world = Bench::ready();
    world.reconciler.policy_mut().breaker_jobs = 1;
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    world.turn([seen(view("task/1", &job, 1, TaskStatus::Ended))]);
    let beat = heartbeat(&job, 9, failed(FailureCode::OutputDenied));
    world.turn([inspected(&job, Some(&claim), Some(beat), None)]);
    let held = "held by the breaker: every job fails (the last 1 jobs); one is tried every 300 s";
    assert_eq!(said(&world), (held.into(), false));
    world.mono += 300_100;
    assert_eq!(pause(&world), None, "the next one is tried");
}
