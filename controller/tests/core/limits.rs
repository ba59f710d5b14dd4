//! What holds for all jobs together: the breaker, Spot, the limits of tasks, vCPU and calls.

use std::collections::BTreeMap;

use transcode_config::contract::{Capacity, PastAttempt};
use transcode_controller::limiter::Lane;

use super::*;

fn error(class: Class, message: &str) -> CallError {
    CallError { operation: "ecs:RunTask", class, message: message.into() }
}

fn refused(job: &JobKey, refusal: Refusal) -> Fact {
    Fact::LaunchRefused { job: job.clone(), attempt: Attempt::FIRST, refusal }
}

/// Takes a fresh job to the moment at which its launch is asked for.
fn asked(world: &mut World, message: &str) -> (JobKey, Intent) {
    let job = world.upload(message, &format!("{message}.mp4"));
    let intent = intent_of(&world.turn([inspected(&job, None, None, None)]));
    world.turn([Fact::Intended { job: job.clone(), intent: Box::new(intent.clone()) }]);
    (job, intent)
}

/// A job whose task runs and fails for good.
fn poison(world: &mut World, n: u32) {
    let arn = format!("task/{n}");
    let (job, intent) = world.launched(&format!("m{n}"), &format!("{n}.mp4"), &arn);
    world.turn([seen(view(&arn, &job, 1, TaskStatus::Ended))]);
    let beat = Heartbeat { task_arn: Some(arn), ..heartbeat(&job, 9, failed(FailureCode::NotMedia)) };
    let bury = world.turn([inspected(&job, Some(&intent), Some(beat), None)]);
    assert!(matches!(bury.as_slice(), [Action::Bury { .. }]), "{bury:?}");
}

/// Where three jobs in a row have failed and two more are waiting.
fn broken() -> (World, JobKey, JobKey) {
    let mut world = World::ready();
    world.reconciler.policy_mut().max_tasks = 10;
    world.reconciler.policy_mut().breaker_jobs = 3;
    (1..=3).for_each(|n| poison(&mut world, n));
    let (first, second) = (world.upload("m4", "4.mp4"), world.upload("m5", "5.mp4"));
    let held = world.turn([inspected(&first, None, None, None), inspected(&second, None, None, None)]);
    assert_eq!(held, [], "row 64: nothing more is launched");
    (world, first, second)
}

fn claims(actions: &[Action]) -> Vec<Intent> {
    let claim = |action: &Action| match action {
        Action::Intend { intent, .. } => Some((**intent).clone()),
        _ => None,
    };
    actions.iter().filter_map(claim).collect()
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
    assert_eq!(probe.iter().map(|intent| &intent.job).collect::<Vec<_>>(), [&first], "one, the oldest");
    world.turn([Fact::Intended { job: first.clone(), intent: Box::new(probe[0].clone()) }]);
    let success = world.turn([inspected(&first, Some(&probe[0]), None, Some(succeeded(&first)))]);
    assert!(success.contains(&Action::Inspect { job: second.clone() }), "closed: {success:?}");
    let next = claims(&world.turn([inspected(&second, None, None, None)]));
    assert_eq!(next.iter().map(|intent| &intent.job).collect::<Vec<_>>(), [&second], "closed");
}

#[test]
fn a_probe_that_is_not_heard_of_keeps_nobody_from_the_next() {
    let (mut world, first, second) = broken();
    let probe = claims(&world.pass(320_000));
    assert_eq!(probe[0].job, first);
    // Its claim is never answered.
    let next = claims(&world.pass(300_000));
    assert_eq!(next.iter().map(|intent| &intent.job).collect::<Vec<_>>(), [&second]);
}

#[test]
fn one_job_that_fails_again_and_again_is_not_every_job() {
    let mut world = World::ready();
    world.reconciler.policy_mut().breaker_jobs = 3;
    let (job, mut intent) = world.launched("m1", "a.mp4", "task/1");
    for n in 1..=2 {
        let mut end = view(&format!("task/{n}"), &job, n, TaskStatus::Ended);
        end.exit_code = Some(16);
        world.turn([seen(end)]);
        intent = intent_of(&[world.until_decided(&job, &intent)]);
        world.turn([Fact::Intended { job: job.clone(), intent: Box::new(intent.clone()) }]);
        let task = TaskArn(format!("task/{}", n + 1));
        world.turn([Fact::Launched { job: job.clone(), attempt: intent.attempt, task }]);
    }
    assert_eq!(world.reconciler.ledger.breaker.open(world.reconciler.policy()), None);
}

#[test]
fn when_no_task_comes_up_the_breaker_opens_until_one_runs() {
    let mut world = World::ready();
    world.reconciler.policy_mut().max_tasks = 10;
    world.reconciler.policy_mut().breaker_jobs = 3;
    let mut jobs = Vec::new();
    for n in 1..=3 {
        let arn = format!("task/{n}");
        let (job, intent) = world.launched(&format!("m{n}"), &format!("{n}.mp4"), &arn);
        let mut end = view(&arn, &job, 1, TaskStatus::Ended);
        (end.started, end.stop_code) = (false, Some("TaskFailedToStart".into()));
        end.stopped_reason = Some("CannotPullContainerError".into());
        world.turn([seen(end)]);
        world.turn([inspected(&job, Some(&intent), None, None)]);
        jobs.push(job);
    }
    let waiting = world.upload("m4", "4.mp4");
    assert_eq!(claims(&world.turn([inspected(&waiting, None, None, None)])), [], "row 34");
    let note = world.note(&waiting);
    assert!(note.contains("no task comes up"), "{note}");
    world.turn([seen(view("task/9", &waiting, 1, TaskStatus::Running))]);
    assert_eq!(world.reconciler.ledger.breaker.open(world.reconciler.policy()), None);
}

/// The task of a job that was launched ends in this way, and the state bucket says nothing of it.
fn ends(world: &mut World, (job, intent): &(JobKey, Intent), end: TaskView) {
    world.turn([seen(end)]);
    world.turn([inspected(job, Some(intent), None, None)]);
}

fn open(world: &World) -> Option<transcode_controller::breaker::Trouble> {
    world.reconciler.ledger.breaker.open(world.reconciler.policy())
}

#[test]
fn a_job_that_succeeds_says_that_all_that_comes_before_works_too() {
    let mut world = World::ready();
    let policy = world.reconciler.policy_mut();
    (policy.max_tasks, policy.breaker_jobs) = (10, 2);
    for n in [1, 3] {
        let arn = format!("task/{n}");
        let launched = world.launched(&format!("m{n}"), &format!("{n}.mp4"), &arn);
        let mut end = view(&arn, &launched.0, 1, TaskStatus::Ended);
        (end.started, end.stop_code) = (false, Some("TaskFailedToStart".into()));
        ends(&mut world, &launched, end);
        let (job, intent) = world.launched(&format!("s{n}"), &format!("s{n}.mp4"), &format!("task/s{n}"));
        world.turn([inspected(&job, Some(&intent), None, Some(succeeded(&job)))]);
    }
    assert_eq!(open(&world), None, "there was a success between the two");
}

#[test]
fn an_end_counts_once_however_often_its_job_is_looked_at() {
    let mut world = World::ready();
    world.reconciler.policy_mut().breaker_jobs = 1;
    let bad = world.launched("m1", "a.mp4", "task/1");
    let (good, intent) = world.launched("m2", "b.mp4", "task/2");
    let mut end = view("task/1", &bad.0, 1, TaskStatus::Ended);
    end.exit_code = Some(16);
    ends(&mut world, &bad, end);
    assert!(open(&world).is_some());
    world.turn([inspected(&good, Some(&intent), None, Some(succeeded(&good)))]);
    let again = world.after(60_000);
    assert!(again.contains(&Action::Inspect { job: bad.0.clone() }), "before its next attempt: {again:?}");
    world.turn([inspected(&bad.0, Some(&bad.1), None, None)]);
    assert_eq!(open(&world), None, "that was before the success");
}

#[test]
fn what_ecs_refuses_for_quota_is_said_to_whoever_waits() {
    let mut world = World::ready();
    let (job, _) = asked(&mut world, "m1");
    let quota = "You've reached the limit on the number of vCPUs you can run concurrently";
    world.turn([refused(&job, Refusal::Failed(error(Class::Capacity, quota)))]);
    let second = world.upload("m2", "2.mp4");
    assert_eq!(world.turn([inspected(&second, None, None, None)]), [], "row 20: launches are gated");
    assert!(world.note(&second).contains(quota), "{}", world.note(&second));
}

#[test]
fn after_a_refusal_of_spot_all_go_on_demand_for_a_while_and_then_spot_is_tried_again() {
    let mut world = World::ready();
    let policy = world.reconciler.policy_mut();
    (policy.variant.capacity, policy.max_tasks) = (Capacity::FargateSpot, 10);
    let (job, spot) = asked(&mut world, "m1");
    assert_eq!(spot.variant.capacity, Capacity::FargateSpot);
    world.turn([refused(&job, Refusal::Definitive("Capacity is unavailable at this time".into()))]);
    let (_, other) = asked(&mut world, "m2");
    assert_eq!(other.variant.capacity, Capacity::Fargate, "row 19: at once, without a pause");
    let same_but_spot = Intent { variant: spot.variant.clone(), ..other.clone() };
    assert_ne!(other.client_token(), same_but_spot.client_token(), "S7: the token changes with the variant");
    world.mono += 601_000;
    // A long poll that has found nothing ends, and another begins.
    world.turn([Fact::Received { queue: "default".into(), messages: vec![] }]);
    let looks = world.deliver("m3", &upload_of("3.mp4"));
    let facts = looks.iter().filter_map(|action| match action {
        Action::Inspect { job } => Some(inspected(job, None, None, None)),
        _ => None,
    });
    let later = claims(&world.turn(facts.collect::<Vec<_>>())).pop().unwrap();
    assert_eq!(later.variant.capacity, Capacity::FargateSpot);
}

#[test]
fn a_job_that_waited_for_long_or_was_unlucky_goes_on_demand() {
    let mut policy = World::ready().reconciler.policy().clone();
    (policy.variant.capacity, policy.spot_attempts, policy.spot_max_age) = (Capacity::FargateSpot, 2, 1000);
    let past = |code| PastAttempt {
        attempt: Attempt::FIRST,
        budget: Budget::Platform,
        code,
        message: String::new(),
        task_arn: None,
    };
    let taken = past(FailureCode::Interrupted);
    let capacity = |history: &[PastAttempt], age| {
        policy.variant_after(history, Circumstances { age, ..Default::default() }).capacity
    };
    assert_eq!(capacity(&[], 1000), Capacity::FargateSpot);
    assert_eq!(capacity(&[], 1001), Capacity::Fargate);
    assert_eq!(capacity(&[taken.clone(), past(FailureCode::StartFailed)], 0), Capacity::FargateSpot);
    assert_eq!(capacity(&[taken.clone(), taken], 0), Capacity::Fargate);
}

#[test]
fn tasks_are_limited_by_their_vcpu_too() {
    let mut world = World::ready();
    world.reconciler.policy_mut().max_tasks = 10;
    world.reconciler.policy_mut().max_cpu = 5 * 1024;
    let (_, second) = (asked(&mut world, "m1"), asked(&mut world, "m2"));
    assert_eq!(second.1.variant.cpu, 2048);
    let ledger = &world.reconciler.ledger;
    assert_eq!(ledger.usage(world.reconciler.policy(), world.now()).cpu, 4096);
    assert_eq!(ledger.receiving["default"].call, None, "there is no room for a third");
    let third = world.upload("m3", "3.mp4");
    assert_eq!(world.turn([inspected(&third, None, None, None)]), []);
    assert!(world.note(&third).contains("4 of 5 are in use"), "{}", world.note(&third));
    world.reconciler.policy_mut().max_cpu = 6 * 1024;
    assert_eq!(claims(&world.turn([])).len(), 1);
}

#[test]
fn a_claim_holds_its_slot_before_it_is_answered() {
    let mut world = World::ready();
    let job = world.upload("m1", "a.mp4");
    intent_of(&world.turn([inspected(&job, None, None, None)]));
    let used = world.reconciler.ledger.usage(world.reconciler.policy(), world.now());
    assert_eq!((used.tasks, used.cpu), (1, 2048));
}

#[test]
fn a_task_that_is_found_counts_with_the_size_that_ecs_says_it_has() {
    let mut world = World::ready();
    let used = |world: &World| world.reconciler.ledger.usage(world.reconciler.policy(), world.now()).cpu;
    let mut large = view("task/1", &JobKey::of(&["1"]), 1, TaskStatus::Running);
    large.billed.size.cpu = 8192;
    world.turn([seen(large)]);
    assert_eq!(used(&world), 8192);
    world.turn([seen(view("task/2", &JobKey::of(&["2"]), 1, TaskStatus::Running))]);
    assert_eq!(used(&world), 8192 + 2048, "where ECS says nothing, with what is asked for today");
}

#[test]
fn throttled_calls_slow_down_and_are_back_within_one_backoff_cap() {
    let mut world = World::ready();
    let hundredth = |world: &World, lane| {
        let now = world.now().mono;
        world.reconciler.ledger.limiter.allowed_at(lane, 100, world.reconciler.policy(), now) - now
    };
    world.mono += 10_000;
    let (reads, stops) = (hundredth(&world, Lane::Read), hundredth(&world, Lane::Stop));
    let launches = hundredth(&world, Lane::Launch);
    let throttle = || Fact::DescribeFailed { tasks: vec![], error: error(Class::Throttled, "Rate exceeded") };
    // One burst of refusals is one piece of news.
    world.turn([throttle(), throttle(), throttle()]);
    assert!((2 * reads..=3 * reads).contains(&hundredth(&world, Lane::Read)), "L6: half the rate");
    assert_eq!(hundredth(&world, Lane::Stop), stops, "another bucket");
    for _ in 0..20 {
        world.mono += 1000;
        world.turn([throttle()]);
    }
    let slow = hundredth(&world, Lane::Read);
    assert!(slow > 10 * reads, "L6: {slow} under lasting throttles");
    world.mono += 60_000;
    assert_eq!(hundredth(&world, Lane::Read), reads, "L6: recovered");

    let task = TaskArn("task/1".into());
    world.turn([Fact::StopFailed { task, error: error(Class::Throttled, "Rate exceeded") }]);
    assert!(hundredth(&world, Lane::Stop) >= 2 * stops);
    assert!(hundredth(&world, Lane::Launch) >= 2 * launches, "the same bucket");
}

#[test]
fn launches_and_stops_keep_to_their_rates_from_turn_to_turn() {
    let mut world = World::ready();
    let policy = world.reconciler.policy_mut();
    (policy.max_tasks, policy.launch_burst, policy.launch_interval) = (10, 2, 1000);
    (policy.stop_interval, policy.orphan_grace) = (1000, 0);
    let count = |actions: &[Action], name| actions.iter().filter(|action| action.name() == name).count();
    let mut launches = vec![0];
    for n in 1..=4 {
        let job = world.upload(&format!("m{n}"), &format!("{n}.mp4"));
        let intent = Box::new(intent_of(&world.turn([inspected(&job, None, None, None)])));
        launches[0] += count(&world.turn([Fact::Intended { job, intent }]), "launch");
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
    let mut world = World::ready();
    let policy = world.reconciler.policy_mut();
    (policy.read_interval, policy.describe_every) = (200, 10_000_000);
    let of =
        |n: u32| seen(view(&format!("task/{n}"), &JobKey::of(&[&n.to_string()]), 1, TaskStatus::Running));
    world.turn((0..1000).map(of));
    world.after(61_000);
    assert!(world.reconciler.ledger.resync.call, "the list is due");
    let now = world.now().mono;
    let next = world.reconciler.ledger.limiter.allowed_at(Lane::Read, 0, world.reconciler.policy(), now);
    assert!((2000..=2800).contains(&(next - now)), "L6: 22 calls, of which 10 are a burst: {}", next - now);
}

#[test]
fn the_rate_of_reads_is_kept_when_thousands_are_due() {
    let mut world = World::ready();
    let tasks = (0..5000).map(|n| {
        let job = JobKey::of(&[&n.to_string()]);
        seen(view(&format!("task/{n}"), &job, 1, TaskStatus::Running))
    });
    let tasks: Vec<Fact> = tasks.collect();
    let describes = |actions: &[Action]| {
        actions.iter().filter(|action| matches!(action, Action::Describe { .. })).count()
    };
    world.turn(tasks);
    world.reconciler.policy_mut().read_interval = 200;
    let first = describes(&world.after(20_000));
    assert_eq!(first, 10, "L6: two seconds' worth at once");
    let more: usize = (0..10).map(|_| describes(&world.after(1000))).sum();
    assert!(
        (40..=50).contains(&(first + more)),
        "all within ten seconds, and no more than five a second: {more}"
    );
}

#[test]
fn a_read_that_the_rate_holds_back_wakes_the_controller_when_it_may_go_and_not_before() {
    let mut world = World::ready();
    world.reconciler.policy_mut().read_interval = 200;
    let of =
        |n: u32| seen(view(&format!("task/{n}"), &JobKey::of(&[&n.to_string()]), 1, TaskStatus::Running));
    world.turn((0..5000).map(of));
    world.mono += 20_000;
    let mut asked = 0;
    for turn in 0..41 {
        let now = world.now();
        // Nothing is heard of what was asked: the clock alone moves it.
        let plan = world.reconciler.turn([], now);
        let reads = |action: &&Action| matches!(action, Action::Describe { .. } | Action::Resync);
        let reads = plan.actions.iter().filter(reads).count();
        assert_eq!(reads, if turn == 0 { 10 } else { 1 }, "turn {turn}, after {asked} reads");
        asked += reads;
        let wake = plan.wake_at.unwrap();
        if asked < 50 {
            let allowed = world.reconciler.ledger.limiter.allowed_at(
                Lane::Read,
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
    let mut world = World::ready();
    let policy = world.reconciler.policy_mut();
    (policy.orphan_grace, policy.stop_interval) = (0, 300_000);
    let (job, intent) = world.launched("m1", "a.mp4", "task/1");
    let running = |arn, attempt| seen(view(arn, &job, attempt, TaskStatus::Running));
    world.turn([running("task/1", 1), running("task/1b", 1)]);
    world.after(70_000);
    // Somebody else went on to the second attempt: both tasks of the first are stopped, one after the other.
    let next = Intent { attempt: intent.attempt.next(), ..intent };
    let stop = world.turn([running("task/2", 2), inspected(&job, Some(&next), None, None)]);
    let stops = stop.iter().filter(|action| matches!(action, Action::Stop { .. })).count();
    assert_eq!(stops, 1, "L6: {stop:?}");
    world.turn([Fact::Stopped { task: TaskArn("task/1".into()) }]);
    // All tasks are described meanwhile, without an answer.
    world.mono += 20_000;
    let now = world.now();
    let plan = world.reconciler.turn([], now);
    let looked_at = world.reconciler.ledger.jobs.get(&job).map(|job| job.inspect_at);
    assert_eq!(plan.wake_at, looked_at, "the second attempt is looked at as ever");
}

#[test]
fn queues_share_the_room_by_their_weights() {
    let mut world = World::ready();
    let policy = world.reconciler.policy_mut();
    policy.queues = BTreeMap::from([("high".into(), 3), ("low".into(), 1)]);
    // Two of them were asked of the queue that there was before.
    policy.max_tasks = 10;
    let now = world.now();
    let asked: Vec<_> = world
        .reconciler
        .turn([], now)
        .actions
        .into_iter()
        .filter_map(|action| match action {
            Action::Receive { queue, max } => Some((queue, max)),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [("high".to_owned(), 6), ("low".to_owned(), 2)]);
}

#[test]
fn an_idle_queue_has_no_claim_to_what_the_other_had_meanwhile() {
    let mut world = World::ready();
    let policy = world.reconciler.policy_mut();
    policy.queues = BTreeMap::from([("busy".into(), 1), ("idle".into(), 3)]);
    // Room for one message: two were asked of the queue that there was before.
    policy.max_tasks = 3;
    world.reconciler.ledger.receiving.entry("busy".into()).or_default().served = 1000;
    let (mut asked, mut facts) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        world.mono += 20_000;
        let now = world.now();
        for action in world.reconciler.turn(std::mem::take(&mut facts), now).actions {
            if let Action::Receive { queue, .. } = action {
                asked.push(queue.clone());
                facts.push(Fact::Received { queue, messages: Vec::new() });
            }
        }
    }
    assert_eq!(asked, ["idle", "busy", "idle", "busy", "idle", "busy"]);
}

#[test]
fn what_worked_on_a_decided_job_takes_no_slot() {
    let (job, intent) = World::ready().launched("m1", "a.mp4", "task/1");
    // ECS has long forgotten the task; the message is still there, for the sake of another job that it asks for.
    let mut world = World::ready();
    assert_eq!(world.upload("m1", "a.mp4"), job);
    let beat = heartbeat(&job, 9, TaskState::Working);
    world.turn([inspected(&job, Some(&intent), Some(beat), Some(succeeded(&job)))]);
    assert_eq!(world.reconciler.ledger.usage(world.reconciler.policy(), world.now()).tasks, 0);
}
