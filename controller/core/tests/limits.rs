//! Limits: tasks and vCPU, Spot, and how queues share the free slots.

use std::collections::BTreeMap;

use transcode_config::contract::{Capacity, PastAttempt};

use super::*;

fn refused(job: &JobKey, refusal: Refusal) -> Fact {
    Fact::LaunchRefused { job: job.clone(), attempt: Attempt::FIRST, refusal }
}

/// Brings a new job to the time of its launch.
fn asked(world: &mut Bench, message: &str) -> (JobKey, Claim) {
    let job = world.upload(message, &format!("{message}.mp4"));
    let claim = claim_of(&world.turn([inspected(&job, None, None, None)]));
    world.turn([claimed(&claim)]);
    (job, claim)
}

#[test]
fn what_ecs_refuses_for_quota_is_said_to_whoever_waits() {
    let mut world = Bench::ready();
    let (job, _) = asked(&mut world, "m1");
    let quota = "You've reached the limit on the number of vCPUs you can run concurrently";
    world.turn([refused(&job, Refusal::Failed(error(ErrorClass::Capacity, quota)))]);
    let second = world.upload("m2", "2.mp4");
    assert_eq!(world.turn([inspected(&second, None, None, None)]), [], "row 20: launches are gated");
    assert!(world.note(&second).contains(quota), "{}", world.note(&second));
}

#[test]
fn after_a_refusal_of_spot_all_go_on_demand_for_a_while_and_then_spot_is_tried_again() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    (policy.variant.capacity, policy.max_tasks) = (Capacity::FargateSpot, 10);
    let (job, spot) = asked(&mut world, "m1");
    assert_eq!(spot.variant.capacity, Capacity::FargateSpot);
    world.turn([refused(&job, Refusal::Definitive("Capacity is unavailable at this time".into()))]);
    let (_, other) = asked(&mut world, "m2");
    assert_eq!(other.variant.capacity, Capacity::Fargate, "row 19: at once, without a pause");
    let same_but_spot = Claim { variant: spot.variant.clone(), ..other.clone() };
    assert_ne!(other.client_token(), same_but_spot.client_token(), "S7: the token changes with the variant");
    world.mono += 601_000;
    // A long poll that has found nothing ends, and another begins.
    world.turn([Fact::Received { queue: "default".into(), messages: vec![] }]);
    let looks = world.deliver("m3", &upload_of("3.mp4"));
    let facts = looks.iter().filter_map(|action| match action {
        Action::Inspect { job, .. } => Some(inspected(job, None, None, None)),
        _ => None,
    });
    let later = claims(&world.turn(facts.collect::<Vec<_>>())).pop().unwrap();
    assert_eq!(later.variant.capacity, Capacity::FargateSpot);
}

#[test]
fn a_job_that_waited_for_long_or_was_unlucky_goes_on_demand() {
    let mut policy = Bench::ready().reconciler.policy().clone();
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
    let mut world = Bench::ready();
    world.reconciler.policy_mut().max_tasks = 10;
    world.reconciler.policy_mut().max_cpu = 5 * 1024;
    let (_, second) = (asked(&mut world, "m1"), asked(&mut world, "m2"));
    assert_eq!(second.1.variant.cpu, 2048);
    let ledger = &world.reconciler.ledger;
    assert_eq!(ledger.in_flight.usage().cpu, 4096);
    assert_eq!(ledger.receiving["default"].call, None, "there is no room for a third");
    let third = world.upload("m3", "3.mp4");
    assert_eq!(world.turn([inspected(&third, None, None, None)]), []);
    assert!(world.note(&third).contains("4 of 5 are in use"), "{}", world.note(&third));
    world.reconciler.policy_mut().max_cpu = 6 * 1024;
    assert_eq!(claims(&world.turn([])).len(), 1);
}

/// Five claims may wait for their launch within a quarter of the deadline; the sixth job must wait.
#[test]
fn no_more_is_claimed_than_the_rate_lets_launch_in_time() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    (policy.max_tasks, policy.max_leases) = (100, 100);
    (policy.launch_deadline, policy.launch_interval, policy.launch_burst) = (200_000, 10_000, 1);
    let jobs: Vec<JobKey> = (0..20).map(|n| world.upload(&format!("m{n}"), &format!("{n}.mp4"))).collect();
    let read: Vec<Fact> = jobs.iter().map(|job| inspected(job, None, None, None)).collect();
    let begun = claims(&world.turn(read));
    assert_eq!(begun.len(), 6, "all were found to be free in one turn");
    // One is launched, and nothing is heard of it; the other claims are not answered at all.
    let one = begun.first().unwrap();
    let now = world.now();
    let (plan, _) = world.reconciler.turn([claimed(one)], now);
    assert_eq!(claims(&plan.actions), []);
    let waits = jobs.last().unwrap();
    assert!(world.note(waits).contains("the rate of launches is limited"), "{}", world.note(waits));
    assert!(plan.wake_at.is_some_and(|at| at <= now.mono + 10_100), "looked at again: {:?}", plan.wake_at);
}

#[test]
fn a_claim_holds_its_slot_before_it_is_answered() {
    let mut world = Bench::ready();
    let job = world.upload("m1", "a.mp4");
    claim_of(&world.turn([inspected(&job, None, None, None)]));
    let used = world.reconciler.ledger.in_flight.usage();
    assert_eq!((used.tasks, used.cpu), (1, 2048));
}

#[test]
fn a_task_that_is_found_counts_with_the_size_that_ecs_says_it_has() {
    let mut world = Bench::ready();
    let used = |world: &Bench| world.reconciler.ledger.in_flight.usage().cpu;
    let mut large = view("task/1", &JobKey::of(&["1"]), 1, TaskStatus::Running);
    large.billed.size.cpu = 8192;
    world.turn([seen(large)]);
    assert_eq!(used(&world), 8192);
    world.turn([seen(view("task/2", &JobKey::of(&["2"]), 1, TaskStatus::Running))]);
    assert_eq!(used(&world), 8192 + 2048, "where ECS says nothing, with what is asked for today");
}

#[test]
fn queues_share_the_room_by_their_weights() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    policy.queues = BTreeMap::from([("high".into(), 3), ("low".into(), 1)]);
    // Two of them were asked of the queue that there was before.
    policy.max_tasks = 10;
    let now = world.now();
    let asked: Vec<_> = world
        .reconciler
        .turn([], now)
        .0
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
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    policy.queues = BTreeMap::from([("busy".into(), 1), ("idle".into(), 3)]);
    // Room for one message: two were asked of the queue that there was before.
    policy.max_tasks = 3;
    world.reconciler.ledger.receiving.entry("busy".into()).or_default().served = 1000;
    let (mut asked, mut facts) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        world.mono += 20_000;
        let now = world.now();
        for action in world.reconciler.turn(std::mem::take(&mut facts), now).0.actions {
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
    let (job, claim) = Bench::ready().launched("m1", "a.mp4", "task/1");
    // ECS has long forgotten the task; the message is still there, for the sake of another job that it asks for.
    let mut world = Bench::ready();
    assert_eq!(world.upload("m1", "a.mp4"), job);
    let beat = heartbeat(&job, 9, TaskState::Working);
    world.turn([inspected(&job, Some(&claim), Some(beat), Some(succeeded(&job)))]);
    assert_eq!(world.reconciler.ledger.in_flight.usage().tasks, 0);
}

#[test]
fn a_missing_task_of_a_newer_versions_job_does_not_hold_its_slot_for_ever() {
    let mut world = Bench::ready();
    let (job, _) = world.launched("m1", "a.mp4", "task/1");
    let read = world.launched("m2", "b.mp4", "task/2").0;
    world.turn([Fact::Unreadable { job: job.clone(), reason: "schema 2".into() }]);
    let missing = |task: &str| Fact::TaskMissing(TaskArn(task.into()));
    let held = |world: &Bench| world.reconciler.ledger.in_flight.usage().tasks;
    for minutes in [0, 59] {
        world.mono += minutes * 60_000;
        world.turn([missing("task/1"), missing("task/2")]);
        assert_eq!(held(&world), 2, "ECS shows a task for an hour after it has stopped");
    }
    world.mono += 61_000;
    world.turn([missing("task/1"), missing("task/2")]);
    assert_eq!(held(&world), 1, "of {read:?}'s own, missing proves nothing");
}

/// A producer sends the event of a running job again and again.
#[test]
fn copies_of_a_held_job_are_put_back_and_others_are_received() {
    let mut world = Bench::ready();
    let (running, _) = world.launched("m0", "long.mp4", "task/1");
    let mut put_back = 0;
    for n in 1..=25 {
        let planned = world.deliver(&format!("copy{n}"), &upload_of("long.mp4"));
        for action in planned {
            let Action::Release { lease, after_ms } = action else { continue };
            assert!(after_ms >= 600_000, "not at once again: {after_ms}");
            put_back += 1;
            world.turn([Fact::Released { message: lease.message }]);
        }
    }
    assert_eq!(put_back, 24, "one copy is held beside the first, as two ways for one event are ordinary");
    assert_eq!(world.reconciler.ledger.jobs.get(&running).unwrap().leases.len(), 2);
    let other = world.upload("m1", "other.mp4");
    assert_eq!(claims(&world.turn([inspected(&other, None, None, None)])).len(), 1);
    assert_eq!(world.reconciler.ledger.receive_pause(world.reconciler.policy()), None);

    // So is one that comes while the result waits to be published; one that comes later is settled at once.
    world.turn([inspected(&running, None, None, Some(succeeded(&running)))]);
    let planned = world.deliver("soon", &upload_of("long.mp4"));
    assert!(planned.iter().any(|action| matches!(action, Action::Release { .. })), "{planned:?}");
    world.turn([Fact::Released { message: MessageId("soon".into()) }]);
    world.turn([live(&running)]);
    let planned = world.deliver("late", &upload_of("long.mp4"));
    assert!(planned.iter().any(|action| matches!(action, Action::Delete { .. })), "{planned:?}");
}

#[test]
fn that_nothing_is_received_any_more_has_a_reason() {
    let mut world = Bench::ready();
    world.reconciler.policy_mut().max_leases = 2;
    for n in 1..=2 {
        let job = world.upload(&format!("m{n}"), &format!("{n}.mp4"));
        world.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
    }
    let reason = world.reconciler.ledger.receive_pause(world.reconciler.policy()).unwrap();
    assert!(
        reason.contains("2 messages are held") && reason.contains("2 jobs wait to be published"),
        "{reason}"
    );
}

/// A short stop is ordinary.
#[test]
fn that_nothing_is_received_is_reported_once_when_it_lasts_and_so_is_its_end() {
    let mut world = Bench::ready();
    world.reconciler.policy_mut().max_leases = 1;
    let job = world.upload("m1", "a.mp4");
    world.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
    let reported = |world: &mut Bench| -> Vec<bool> {
        let of = |change| match change {
            Change::ReceivingPaused { .. } => Some(true),
            Change::ReceivingResumed => Some(false),
            _ => None,
        };
        std::mem::take(&mut world.told).into_iter().filter_map(of).collect()
    };
    let began = world.mono;
    let wake_at = world.reconciler.turn([], world.now()).0.wake_at.unwrap();
    assert!(wake_at <= began + 10_002, "a turn comes in time to report it");
    world.after(9_000);
    assert!(reported(&mut world).is_empty());
    world.after(1_001);
    world.after(60_000);
    assert_eq!(reported(&mut world), [true]);
    world.reconciler.policy_mut().max_leases = 2;
    world.after(1);
    world.after(1);
    assert_eq!(reported(&mut world), [false]);
}
