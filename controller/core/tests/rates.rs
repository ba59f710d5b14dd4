//! Rates of the calls to ECS.

use transcode_core::state::limiter::CallKind;

use super::*;

#[test]
fn throttled_calls_slow_down_and_are_back_within_one_backoff_cap() {
    let mut world = Bench::ready();
    let hundredth = |world: &Bench, kind| {
        let now = world.now().mono;
        world.reconciler.ledger.limiter.allowed_at(kind, 100, world.reconciler.policy(), now) - now
    };
    world.mono += 10_000;
    let (reads, stops) = (hundredth(&world, CallKind::Read), hundredth(&world, CallKind::Stop));
    let launches = hundredth(&world, CallKind::Launch);
    let throttle =
        || Fact::DescribeFailed { tasks: vec![], error: error(ErrorClass::Throttled, "Rate exceeded") };
    // One burst of refusals is one piece of news.
    world.turn([throttle(), throttle(), throttle()]);
    assert!((2 * reads..=3 * reads).contains(&hundredth(&world, CallKind::Read)), "L6: half the rate");
    assert_eq!(hundredth(&world, CallKind::Stop), stops, "another bucket");
    for _ in 0..20 {
        world.mono += 1000;
        world.turn([throttle()]);
    }
    let slow = hundredth(&world, CallKind::Read);
    assert!(slow > 10 * reads, "L6: {slow} under lasting throttles");
    assert!(slow < 40 * reads, "about a thirty-second is always left: what must be stopped, is: {slow}");
    world.mono += 60_000;
    assert_eq!(hundredth(&world, CallKind::Read), reads, "L6: recovered");

    let (job, attempt, task) = (JobKey::of(&["1"]), Attempt::FIRST, TaskArn("task/1".into()));
    let throttle = || error(ErrorClass::Throttled, "Rate exceeded");
    for fact in [
        Fact::StopFailed { task, error: throttle() },
        Fact::LaunchRefused { job, attempt, refusal: Refusal::Failed(throttle()) },
    ] {
        let mut world = Bench { reconciler: world.reconciler.clone(), told: Vec::new(), ..world };
        world.turn([fact]);
        world.reconciler.ledger.cooldown_until = 0;
        assert!(hundredth(&world, CallKind::Stop) >= 2 * stops);
        assert!(hundredth(&world, CallKind::Launch) >= 2 * launches, "the same bucket");
    }
}

/// Launches pause for this long after `refusals`, which ECS answers at the same time. In tenths of a second.
fn pause_after(refusals: usize, class: ErrorClass) -> Ms {
    let mut world = Bench::ready();
    let refusal = |n: usize| Fact::LaunchRefused {
        job: JobKey::of(&[&n.to_string()]),
        attempt: Attempt::FIRST,
        refusal: Refusal::Failed(error(class, "refused")),
    };
    world.turn((0..refusals).map(refusal).collect::<Vec<_>>());
    (world.reconciler.ledger.cooldown_until - world.now().mono) / 100
}

#[test]
fn a_launch_that_is_refused_for_the_rate_pauses_launches_for_a_second_and_others_for_the_cooldown() {
    let policy = Bench::ready().reconciler.policy().clone();
    assert_eq!(pause_after(1, ErrorClass::Throttled), policy.call_retry_base / 100);
    assert_eq!(pause_after(1, ErrorClass::Capacity), policy.cooldown / 100);
    for class in [ErrorClass::Throttled, ErrorClass::Capacity, ErrorClass::Misconfigured] {
        assert_eq!(
            pause_after(10, class),
            pause_after(1, class),
            "{class:?}: refused together, counted once"
        );
    }
    assert!(policy.launch_pause(ErrorClass::Throttled, 3) > 2 * policy.call_retry_base, "it goes on: longer");
}

#[test]
fn after_a_throttle_the_calls_themselves_are_further_apart() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    (policy.stop_interval, policy.orphan_grace, policy.call_retry_cap) = (1000, 0, 10_000_000);
    let throttled = error(ErrorClass::Throttled, "Rate exceeded");
    world.turn([Fact::StopFailed { task: TaskArn("task/0".into()), error: throttled }]);
    let decided = (1..=30).flat_map(|n| {
        let job = JobKey::of(&[&n.to_string()]);
        let running = seen(view(&format!("task/{n}"), &job, 1, TaskStatus::Running));
        [running, inspected(&job, None, None, Some(succeeded(&job)))]
    });
    let stops = |actions: &[Action]| actions.iter().filter(|it| matches!(it, Action::Stop { .. })).count();
    let mut sent = stops(&world.turn(decided.collect::<Vec<_>>()));
    for _ in 0..20 {
        sent += stops(&world.after(1020));
    }
    assert!((10..=12).contains(&sent), "L6: half of the rate for 20 s, {sent} stops");
}

#[test]
fn launches_that_the_rate_holds_back_go_in_the_order_of_their_claims() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    (policy.max_tasks, policy.launch_interval, policy.launch_burst) = (10, 3000, 1);
    let launched = |actions: Vec<Action>| {
        actions.into_iter().filter_map(|action| match action {
            Action::Launch { claim } => Some(claim.job.clone()),
            _ => None,
        })
    };
    let (mut claimed, mut order) = (Vec::new(), Vec::new());
    for n in 1..=6 {
        let job = world.upload(&format!("m{n}"), &format!("{n}.mp4"));
        let claim = Box::new(claim_of(&world.turn([inspected(&job, None, None, None)])));
        order.extend(launched(world.turn([Fact::Claimed { job: job.clone(), claim, spec: None }])));
        claimed.push(job);
        world.mono += 10;
    }
    for _ in 0..6 {
        order.extend(launched(world.after(3100)));
    }
    assert_eq!(order, claimed);
}

#[test]
fn a_launch_that_the_rate_holds_back_wakes_the_controller_when_it_may_go_and_not_before() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    (policy.launch_interval, policy.launch_burst) = (3000, 1);
    world.launched("m1", "a.mp4", "task/1");
    let job = world.upload("m2", "b.mp4");
    let claim = Box::new(claim_of(&world.turn([inspected(&job, None, None, None)])));
    // What was launched is described, without an answer: nothing else is due for a while.
    world.mono += 2500;
    let now = world.now();
    let (plan, _) = world.reconciler.turn([Fact::Claimed { job, claim, spec: None }], now);
    let launches = |actions: &[Action]| actions.iter().any(|it| matches!(it, Action::Launch { .. }));
    assert!(!launches(&plan.actions), "L6");
    let ledger = &world.reconciler.ledger;
    let allowed = ledger.launch_allowed_at(world.reconciler.policy(), 0, now);
    assert_eq!(plan.wake_at, Some(allowed));
    assert!(!launches(&world.turn([])));
    world.mono = allowed;
    assert!(launches(&world.turn([])));
}

#[test]
fn launches_and_stops_keep_to_their_rates_from_turn_to_turn() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    (policy.max_tasks, policy.launch_burst, policy.launch_interval) = (10, 2, 1000);
    (policy.stop_interval, policy.orphan_grace) = (1000, 0);
    let count = |actions: &[Action], name| actions.iter().filter(|action| action.name() == name).count();
    let mut launches = vec![0];
    for n in 1..=4 {
        let job = world.upload(&format!("m{n}"), &format!("{n}.mp4"));
        let claim = Box::new(claim_of(&world.turn([inspected(&job, None, None, None)])));
        launches[0] += count(&world.turn([Fact::Claimed { job, claim, spec: None }]), "launch");
    }
    launches.extend((0..3).map(|_| count(&world.after(1020), "launch")));
    assert_eq!(launches, [2, 1, 1, 0], "L6");

    let mut stops = vec![0];
    for n in 1..=4 {
        let job = JobKey::of(&[&n.to_string()]);
        world.turn([seen(view(&format!("task/{n}"), &job, 1, TaskStatus::Running))]);
        stops[0] += count(&world.turn([inspected(&job, None, None, Some(succeeded(&job)))]), "stop");
    }
    stops.extend((0..3).map(|_| count(&world.after(1020), "stop")));
    assert_eq!(stops, [2, 1, 1, 0], "L6");
}

#[test]
fn the_list_counts_with_its_pages_and_the_descriptions_of_what_is_on_them() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    (policy.read_interval, policy.describe_every) = (200, 10_000_000);
    let of =
        |n: u32| seen(view(&format!("task/{n}"), &JobKey::of(&[&n.to_string()]), 1, TaskStatus::Running));
    world.turn((0..1000).map(of));
    world.after(61_000);
    assert!(world.reconciler.ledger.resync.call.is_some(), "the list is due");
    let now = world.now().mono;
    let next = world.reconciler.ledger.limiter.allowed_at(CallKind::Read, 0, world.reconciler.policy(), now);
    assert!((2000..=2800).contains(&(next - now)), "L6: 22 calls, of which 10 are a burst: {}", next - now);
}

/// Five reads a second, and no list and no look at the task definition for hours. 5,000 tasks are described after 150 s.
fn only_descriptions(world: &mut Bench) {
    let policy = world.reconciler.policy_mut();
    (policy.read_interval, policy.resync_every) = (200, 10_000_000);
    world.turn([Fact::Resynced { complete: true }, pinned()]);
}

#[test]
fn the_rate_of_reads_is_kept_when_thousands_are_due() {
    let mut world = Bench::ready();
    let tasks = (0..5000).map(|n| {
        let job = JobKey::of(&[&n.to_string()]);
        seen(view(&format!("task/{n}"), &job, 1, TaskStatus::Running))
    });
    let tasks: Vec<Fact> = tasks.collect();
    let describes = |actions: &[Action]| {
        actions.iter().filter(|action| matches!(action, Action::Describe { .. })).count()
    };
    world.turn(tasks);
    only_descriptions(&mut world);
    let first = describes(&world.after(155_000));
    assert_eq!(first, 10, "L6: two seconds' worth at once");
    let more: usize = (0..10).map(|_| describes(&world.after(1000))).sum();
    assert!(
        (40..=50).contains(&(first + more)),
        "all within ten seconds, and no more than five a second: {more}"
    );
}

#[test]
fn a_read_that_the_rate_holds_back_wakes_the_controller_when_it_may_go_and_not_before() {
    let mut world = Bench::ready();
    let of =
        |n: u32| seen(view(&format!("task/{n}"), &JobKey::of(&[&n.to_string()]), 1, TaskStatus::Running));
    world.turn((0..5000).map(of));
    only_descriptions(&mut world);
    world.mono += 155_000;
    let mut asked = 0;
    for turn in 0..41 {
        let now = world.now();
        // Nothing is heard of what was asked: the clock alone moves it.
        let (plan, _) = world.reconciler.turn([], now);
        let reads = |action: &&Action| matches!(action, Action::Describe { .. } | Action::Resync);
        let reads = plan.actions.iter().filter(reads).count();
        assert_eq!(reads, if turn == 0 { 10 } else { 1 }, "turn {turn}, after {asked} reads");
        asked += reads;
        let wake = plan.wake_at.unwrap();
        if asked < 50 {
            let allowed = world.reconciler.ledger.limiter.allowed_at(
                CallKind::Read,
                0,
                world.reconciler.policy(),
                now.mono,
            );
            assert_eq!(wake, allowed, "turn {turn}");
            world.mono = wake;
        } else {
            assert!(wake > now.mono + 1000, "nothing is left to be read");
            return;
        }
    }
    panic!("{asked} of 50");
}

#[test]
fn a_stop_that_the_rate_holds_back_makes_nothing_else_about_its_job_late() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    (policy.orphan_grace, policy.stop_interval) = (0, 300_000);
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    let running = |arn, attempt| seen(view(arn, &job, attempt, TaskStatus::Running));
    world.turn([running("task/1", 1), running("task/1b", 1)]);
    world.after(70_000);
    // Somebody else went on to the second attempt: both tasks of the first are stopped, one after the other.
    let next = Claim { attempt: claim.attempt.next(), ..claim };
    let stop = world.turn([running("task/2", 2), inspected(&job, Some(&next), None, None)]);
    let stops = stop.iter().filter(|action| matches!(action, Action::Stop { .. })).count();
    assert_eq!(stops, 1, "L6: {stop:?}");
    world.turn([Fact::Stopped { task: TaskArn("task/1".into()) }]);
    // All tasks are described meanwhile, without an answer.
    world.mono += 20_000;
    let now = world.now();
    let (plan, _) = world.reconciler.turn([], now);
    let looked_at = world.reconciler.ledger.jobs.get(&job).map(|job| job.inspect_at);
    assert_eq!(plan.wake_at, looked_at, "the second attempt is looked at as ever");
}
