//! Attempts: claimed, launched, adopted, followed by another (S5, S7, S9, S10).

use super::*;

#[test]
fn planning_again_without_news_plans_nothing_again() {
    let mut world = Bench::ready();
    let job = world.upload("m1", "a.mp4");
    assert_eq!(world.turn([]), []);
    let claim = claim_of(&world.turn([inspected(&job, None, None, None)]));
    assert_eq!(world.turn([]), [], "one claim");
    world.turn([claimed(&claim)]);
    assert_eq!(world.turn([]), [], "one launch");
}

#[test]
fn a_launch_without_an_answer_is_sent_again_with_the_same_token_until_its_deadline() {
    let mut world = Bench::ready();
    let job = world.upload("m1", "a.mp4");
    let claim = claim_of(&world.turn([inspected(&job, None, None, None)]));
    let launch = world.turn([claimed(&claim)]);
    let lost =
        CallError { operation: "ecs:RunTask", class: ErrorClass::Uncertain, message: "timed out".into() };
    world.turn([Fact::LaunchRefused {
        job: job.clone(),
        attempt: claim.attempt,
        refusal: Refusal::Failed(lost.clone()),
    }]);
    assert_eq!(world.after(5000), launch, "S7: byte-identical");
    world.turn([Fact::LaunchRefused { job, attempt: claim.attempt, refusal: Refusal::Failed(lost) }]);
    let late = world.after(300_000);
    assert!(
        !late.iter().any(|action| matches!(action, Action::Launch { .. })),
        "S7: never after the deadline: {late:?}"
    );
}

#[test]
fn a_missing_task_after_launch_means_nothing_until_it_has_been_silent_past_every_deadline() {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    let missing = || Fact::TaskMissing(TaskArn("task/1".into()));
    for _ in 0..20 {
        world.mono += 10_000;
        let actions = world.turn([missing(), inspected(&job, Some(&claim), None, None)]);
        let harmless = |action: &Action| matches!(action, Action::Inspect { .. } | Action::Describe { .. });
        assert!(actions.iter().all(harmless), "S5: {actions:?}");
    }
    world.mono += 400_000;
    let look = world.turn([missing(), inspected(&job, Some(&claim), None, None)]);
    assert!(reads(&look, &job), "silence counts only when it was listened to: {look:?}");
    let stop = world.turn([missing(), inspected(&job, Some(&claim), None, None)]);
    assert!(
        stop.iter()
            .any(|action| matches!(action, Action::Stop { reason, .. } if *reason == stop_reason::LOST)),
        "{stop:?}"
    );
    world.mono += 1000;
    let look = world.turn([Fact::Stopped { task: TaskArn("task/1".into()) }, missing()]);
    assert!(
        look.iter().any(|action| matches!(action, Action::Inspect { .. })),
        "the terminal record is read last: {look:?}"
    );
}

#[test]
fn a_task_that_ecs_shows_as_starting_is_looked_up_before_it_is_stopped_for_that() {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    let starting = || seen(view("task/1", &job, 1, TaskStatus::Starting));
    world.turn([starting()]);
    world.mono += 590_000;
    assert!(reads(&world.turn([]), &job));
    world.turn([inspected(&job, Some(&claim), None, None)]);
    world.mono += 20_000;
    // What was asked for before the deadline says nothing of it.
    world.turn([starting()]);
    world.mono += world.reconciler.policy().describe_every;
    world.turn([]);
    let look = world.turn([starting()]);
    assert!(reads(&look, &job), "S5: looked up first, got {look:?}");
    let stops = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Stop { .. }));
    let mut silent = Bench { reconciler: world.reconciler.clone(), told: Vec::new(), ..world };
    let stop = silent.turn([inspected(&job, Some(&claim), None, None)]);
    assert!(stops(&stop), "nobody has heard of it: {stop:?}");
    let beat = heartbeat(&job, 1, TaskState::Working);
    let alive = world.turn([inspected(&job, Some(&claim), Some(beat), None)]);
    assert!(!stops(&alive), "its heartbeat says that it works: {alive:?}");
}

#[test]
fn a_job_gets_its_attempts_and_a_platform_failure_costs_none_of_them() {
    let mut world = Bench::ready();
    let (job, mut claim) = world.launched("m1", "a.mp4", "task/1");
    // Spot takes the first two; then the encoder fails until the budget is spent.
    for n in 1..=5 {
        let mut end = view(&format!("task/{n}"), &job, n, TaskStatus::Ended);
        end.exit_code = Some(16);
        end.stop_code = (n <= 2).then(|| "SpotInterruption".into()).or(end.stop_code);
        let look = world.turn([seen(end)]);
        assert!(only_reads(&look, &job));
        let next = world.until_decided(&job, &claim);
        if let Action::GiveUp { terminal, .. } = next {
            let Outcome::Dead(dead) = &terminal.outcome else { panic!("{terminal:?}") };
            let spent = |budget| dead.attempts.iter().filter(|past| past.budget == budget).count();
            assert_eq!((spent(Budget::Job), spent(Budget::Platform)), (3, 2), "S9, S10");
            return;
        }
        claim = claim_of(&[next]);
        assert_eq!(claim.attempt.number(), n + 1);
        world.turn([claimed(&claim)]);
        let task = TaskArn(format!("task/{}", n + 1).into());
        world.turn([Fact::Launched { job: job.clone(), attempt: claim.attempt, task }]);
    }
    panic!("never given up");
}

#[test]
fn that_ecs_answers_does_not_make_the_state_bucket_well() {
    let mut world = Bench::ready();
    let job = world.upload("m1", "a.mp4");
    let failed = || Fact::JobCallFailed { job: job.clone(), error: error(ErrorClass::Transient, "503") };
    for _ in 0..4 {
        world.turn([failed()]);
        world.mono += 60_000;
        world.turn([]);
    }
    let failures = |world: &Bench| {
        let job = world.reconciler.ledger.jobs.get(&job);
        job.map(|job| job.failing.as_ref().map_or(0, |failing| failing.times))
    };
    assert_eq!(failures(&world), Some(4));
    let refusal = Refusal::Failed(error(ErrorClass::Throttled, "slower"));
    world.turn([Fact::LaunchRefused { job: job.clone(), attempt: Attempt::FIRST, refusal }]);
    assert_eq!(failures(&world), Some(4), "ECS has answered, and not S3");
    world.turn([inspected(&job, None, None, None)]);
    assert_eq!(failures(&world), Some(0));
}

#[test]
fn running_tasks_found_at_start_are_adopted_and_hold_their_slots() {
    let mut world = Bench::ready();
    let (one, two) = (JobKey::of(&["1"]), JobKey::of(&["2"]));
    let looks = world.turn([
        seen(view("task/1", &one, 1, TaskStatus::Running)),
        seen(view("task/2", &two, 1, TaskStatus::Running)),
    ]);
    assert_eq!(
        looks.iter().filter(|action| matches!(action, Action::Inspect { .. })).count(),
        2,
        "{looks:?}"
    );
    let third = world.upload("m3", "c.mp4");
    let held = world.turn([inspected(&third, None, None, None)]);
    assert!(
        !held.iter().any(|action| matches!(action, Action::Claim { .. })),
        "both slots are taken: {held:?}"
    );
}

#[test]
fn after_running_out_of_memory_the_next_attempt_asks_for_the_next_size() {
    let mut world = Bench::ready();
    world.reconciler.policy_mut().oom_sizes = vec![(2048, 8192), (4096, 16384)];
    let (job, mut claim) = world.launched("m1", "a.mp4", "task/1");
    let mut asked = vec![(claim.variant.cpu, claim.variant.memory_mib)];
    for n in 1..=2 {
        let mut end = view(&format!("task/{n}"), &job, n, TaskStatus::Ended);
        end.exit_code = Some(1);
        end.container_reason = Some("OutOfMemoryError: container killed due to memory usage".into());
        world.turn([seen(end)]);
        let token = claim.client_token();
        claim = claim_of(&[world.until_decided(&job, &claim)]);
        assert_ne!(claim.client_token(), token, "the token changes with the variant");
        asked.push((claim.variant.cpu, claim.variant.memory_mib));
        world.turn([claimed(&claim)]);
        let task = TaskArn(format!("task/{}", n + 1).into());
        world.turn([Fact::Launched { job: job.clone(), attempt: claim.attempt, task }]);
    }
    assert_eq!(asked, [(2048, 4096), (2048, 8192), (4096, 16384)]);
}

#[test]
fn storage_grows_with_the_source_and_ends_at_what_fargate_has() {
    let policy = Bench::ready().reconciler.policy().clone();
    let of = |source_bytes| policy.variant_after(&[], Circumstances { source_bytes, ..Default::default() });
    let gib = |source: u64| of(Some(source << 30)).ephemeral_gib;
    assert_eq!((gib(1), gib(3)), (None, None), "20 GiB are there without asking");
    assert_eq!((gib(10), gib(1000)), (Some(48), Some(200)));
    assert_eq!(of(None).ephemeral_gib, None);
}
