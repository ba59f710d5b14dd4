//! The breaker: one job after the other fails.

use super::*;

/// A job whose task runs and fails for good.
fn poison(world: &mut Bench, n: u32) {
    let arn = format!("task/{n}");
    let (job, claim) = world.launched(&format!("m{n}"), &format!("{n}.mp4"), &arn);
    world.turn([seen(view(&arn, &job, 1, TaskStatus::Ended))]);
    let beat = Heartbeat { task_arn: Some(arn), ..heartbeat(&job, 9, failed(FailureCode::OutputDenied)) };
    let give_up = world.turn([inspected(&job, Some(&claim), Some(beat), None)]);
    assert!(matches!(give_up.as_slice(), [Action::GiveUp { .. }]), "{give_up:?}");
}

/// Three consecutive jobs have failed and two more are waiting.
fn broken() -> (Bench, JobKey, JobKey) {
    let mut world = Bench::ready();
    world.reconciler.policy_mut().max_tasks = 10;
    world.reconciler.policy_mut().breaker_jobs = 3;
    (1..=3).for_each(|n| poison(&mut world, n));
    let (first, second) = (world.upload("m4", "4.mp4"), world.upload("m5", "5.mp4"));
    let held = world.turn([inspected(&first, None, None, None), inspected(&second, None, None, None)]);
    assert_eq!(held, [], "row 64: nothing more is launched");
    (world, first, second)
}

#[test]
fn when_every_job_fails_one_is_tried_now_and_then_and_a_success_lets_all_go_on() {
    let (mut world, first, second) = broken();
    let note = world.note(&first);
    assert!(note.contains("held by the breaker: every job fails"), "{note}");
    assert_eq!(
        world.reconciler.ledger.receiving["default"].call.map(|(max, _)| max),
        None,
        "what waits is enough"
    );

    assert_eq!(claims(&world.pass(280_000)), []);
    let probe = claims(&world.pass(40_000));
    assert_eq!(probe.iter().map(|claim| &claim.job).collect::<Vec<_>>(), [&first], "one, the oldest");
    world.turn([claimed(&probe[0])]);
    let success = world.turn([inspected(&first, Some(&probe[0]), None, Some(succeeded(&first)))]);
    assert!(reads(&success, &second), "closed: {success:?}");
    let next = claims(&world.turn([inspected(&second, None, None, None)]));
    assert_eq!(next.iter().map(|claim| &claim.job).collect::<Vec<_>>(), [&second], "closed");
}

#[test]
fn a_probe_that_is_not_heard_of_keeps_nobody_from_the_next() {
    let (mut world, first, second) = broken();
    let probe = claims(&world.pass(320_000));
    assert_eq!(probe[0].job, first);
    // Its claim is never answered.
    let next = claims(&world.pass(300_000));
    assert_eq!(next.iter().map(|claim| &claim.job).collect::<Vec<_>>(), [&second]);
}

#[test]
fn one_job_that_fails_again_and_again_is_not_every_job() {
    let mut world = Bench::ready();
    world.reconciler.policy_mut().breaker_jobs = 3;
    let (job, mut claim) = world.launched("m1", "a.mp4", "task/1");
    for n in 1..=2 {
        let mut end = view(&format!("task/{n}"), &job, n, TaskStatus::Ended);
        end.exit_code = Some(16);
        world.turn([seen(end)]);
        claim = claim_of(&[world.until_decided(&job, &claim)]);
        world.turn([claimed(&claim)]);
        let task = TaskArn(format!("task/{}", n + 1).into());
        world.turn([Fact::Launched { job: job.clone(), attempt: claim.attempt, task }]);
    }
    assert_eq!(world.reconciler.ledger.breaker.open(world.reconciler.policy()), None);
}

#[test]
fn when_no_task_comes_up_the_breaker_opens_until_one_runs() {
    let mut world = Bench::ready();
    world.reconciler.policy_mut().max_tasks = 10;
    world.reconciler.policy_mut().breaker_jobs = 3;
    let mut jobs = Vec::new();
    for n in 1..=3 {
        let arn = format!("task/{n}");
        let (job, claim) = world.launched(&format!("m{n}"), &format!("{n}.mp4"), &arn);
        let mut end = view(&arn, &job, 1, TaskStatus::Ended);
        (end.started, end.stop_code) = (false, Some("TaskFailedToStart".into()));
        end.stopped_reason = Some("CannotPullContainerError".into());
        world.turn([seen(end)]);
        world.turn([inspected(&job, Some(&claim), None, None)]);
        jobs.push(job);
    }
    let waiting = world.upload("m4", "4.mp4");
    assert_eq!(claims(&world.turn([inspected(&waiting, None, None, None)])), [], "row 34");
    let note = world.note(&waiting);
    assert!(note.contains("no task comes up"), "{note}");
    world.turn([seen(view("task/9", &waiting, 1, TaskStatus::Running))]);
    assert_eq!(world.reconciler.ledger.breaker.open(world.reconciler.policy()), None);
}

#[test]
fn failures_of_one_turn_open_it_before_anything_is_claimed() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    (policy.max_tasks, policy.breaker_jobs) = (10, 3);
    let mut facts = Vec::new();
    for n in 1..=3 {
        let arn = format!("task/{n}");
        let (job, claim) = world.launched(&format!("m{n}"), &format!("{n}.mp4"), &arn);
        world.turn([seen(view(&arn, &job, 1, TaskStatus::Ended))]);
        let beat = Heartbeat { task_arn: Some(arn), ..heartbeat(&job, 9, failed(FailureCode::OutputDenied)) };
        facts.push(inspected(&job, Some(&claim), Some(beat), None));
    }
    for (message, key) in [("m4", "4.mp4"), ("m5", "5.mp4")] {
        let job = world.upload(message, key);
        facts.push(inspected(&job, None, None, None));
    }
    assert_eq!(claims(&world.turn(facts)), []);
    assert_eq!(claims(&world.after(1)), [], "held by the breaker");
    assert!(open(&world).is_some());
}

/// The task of a launched job ends in this way, and the state bucket has no record of the end.
fn ends(world: &mut Bench, (job, claim): &(JobKey, Claim), end: TaskView) {
    world.turn([seen(end)]);
    world.turn([inspected(job, Some(claim), None, None)]);
}

fn open(world: &Bench) -> Option<transcode_core::state::breaker::FailureStage> {
    world.reconciler.ledger.breaker.open(world.reconciler.policy())
}

#[test]
fn a_job_that_succeeds_says_that_all_that_comes_before_works_too() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    (policy.max_tasks, policy.breaker_jobs) = (10, 2);
    for n in [1, 3] {
        let arn = format!("task/{n}");
        let launched = world.launched(&format!("m{n}"), &format!("{n}.mp4"), &arn);
        let mut end = view(&arn, &launched.0, 1, TaskStatus::Ended);
        (end.started, end.stop_code) = (false, Some("TaskFailedToStart".into()));
        ends(&mut world, &launched, end);
        let (job, claim) = world.launched(&format!("s{n}"), &format!("s{n}.mp4"), &format!("task/s{n}"));
        world.turn([inspected(&job, Some(&claim), None, Some(succeeded(&job)))]);
    }
    assert_eq!(open(&world), None, "there was a success between the two");
}

#[test]
fn an_end_counts_once_however_often_its_job_is_looked_at() {
    let mut world = Bench::ready();
    world.reconciler.policy_mut().breaker_jobs = 1;
    let bad = world.launched("m1", "a.mp4", "task/1");
    let (good, claim) = world.launched("m2", "b.mp4", "task/2");
    let mut end = view("task/1", &bad.0, 1, TaskStatus::Ended);
    end.exit_code = Some(16);
    ends(&mut world, &bad, end);
    assert!(open(&world).is_some());
    world.turn([inspected(&good, Some(&claim), None, Some(succeeded(&good)))]);
    let again = world.after(60_000);
    assert!(reads(&again, &bad.0), "before its next attempt: {again:?}");
    world.turn([inspected(&bad.0, Some(&bad.1), None, None)]);
    assert_eq!(open(&world), None, "that was before the success");
}

/// Ten text files of one uploader must not stop all others.
#[test]
fn what_lies_in_a_file_does_not_open_the_breaker() {
    use transcode_config::contract::Who;
    use transcode_core::state::breaker::FailureStage;

    for code in FailureCode::ALL.iter().filter(|code| code.info().who == Who::Uploader) {
        let mut world = Bench::ready();
        let policy = world.reconciler.policy_mut();
        (policy.max_tasks, policy.breaker_jobs) = (20, 3);
        for n in 1..=10 {
            let arn = format!("task/{n}");
            let (job, claim) = world.launched(&format!("m{n}"), &format!("{n}.mp4"), &arn);
            world.turn([seen(view(&arn, &job, 1, TaskStatus::Ended))]);
            let beat = Heartbeat { task_arn: Some(arn), ..heartbeat(&job, 9, failed(*code)) };
            world.turn([inspected(&job, Some(&claim), Some(beat), None)]);
        }
        assert_eq!(open(&world), None, "{code}");
    }
    let of = |code, status: &str| FailureStage::of(&Failure::new(code, "x").with("http_status", status));
    assert_eq!(of(FailureCode::SourceDenied, "400"), None, "a key that only the uploader has");
    assert_eq!(of(FailureCode::SourceDenied, "403"), Some(FailureStage::Failed), "a role without permission");
    for code in [FailureCode::SandboxViolation, FailureCode::OutOfMemory, FailureCode::OutputTooLarge] {
        assert_eq!(of(code, ""), None, "{code}: a hostile file");
    }
    for code in [FailureCode::ConfigInvalid, FailureCode::SandboxUnavailable, FailureCode::Internal] {
        assert_eq!(of(code, ""), Some(FailureStage::Failed), "{code}: the image, or where it runs");
    }
}
