//! Deadlines, phase by phase: launch, provisioning, pull, start, no progress, run time.

use transcode_core::judge::outcome::classify;

use super::*;

/// A view of a starting task, with the timestamps of this phase.
fn starting(job: &JobKey, pull_started: bool, pull_stopped: bool) -> TaskView {
    let billed = Billed {
        pull_started_at: pull_started.then_some(1),
        pull_stopped_at: pull_stopped.then_some(2),
        ..Billed::default()
    };
    TaskView { billed, ..view("task/1", job, 1, TaskStatus::Starting) }
}

/// Keeps a task in a phase, described every 15 s without other news. Returns when a stop came, and with which reason.
fn stopped_after(world: &mut Bench, job: &JobKey, claim: &Claim, shown: &TaskView) -> (Ms, &'static str) {
    stopped_within(10_000_000, world, claim, shown).unwrap_or_else(|| panic!("never stopped: {job}"))
}

/// The same; `None` if no stop came within this time.
fn stopped_within(
    most: Ms,
    world: &mut Bench,
    claim: &Claim,
    shown: &TaskView,
) -> Option<(Ms, &'static str)> {
    let begun = world.mono;
    let mut facts = Vec::new();
    while world.mono < begun + most {
        facts.push(seen(shown.clone()));
        for action in world.turn(std::mem::take(&mut facts)) {
            match action {
                Action::Inspect { job, .. } => facts.push(inspected(&job, Some(claim), None, None)),
                Action::Extend { lease, for_ms } => {
                    facts.push(Fact::Extended { message: lease.message, for_ms });
                }
                Action::Stop { reason, .. } => return Some((world.mono - begun, reason)),
                _ => {}
            }
        }
        world.mono += 15_000;
    }
    None
}

#[test]
fn provisioning_pull_and_start_have_deadlines_of_their_own() {
    let policy = Bench::ready().reconciler.policy().clone();
    for (pull_started, pull_stopped, deadline, reason) in [
        (false, false, policy.provisioning_timeout, stop_reason::PROVISIONING_TIMEOUT),
        (true, false, policy.pull_timeout, stop_reason::PULL_TIMEOUT),
        (true, true, policy.start_timeout, stop_reason::START_TIMEOUT),
    ] {
        let mut world = Bench::ready();
        let (job, claim) = world.launched("m1", "a.mp4", "task/1");
        let shown = starting(&job, pull_started, pull_stopped);
        let (after, why) = stopped_after(&mut world, &job, &claim, &shown);
        assert_eq!(why, reason);
        assert!((deadline..deadline + 60_000).contains(&after), "{why}: after {after} ms");
        let ended = TaskView {
            stop_code: Some("UserInitiated".into()),
            stopped_reason: Some(reason.into()),
            started: false,
            ..view("task/1", &job, 1, TaskStatus::Ended)
        };
        let ended = classify(&ended, None);
        assert_eq!((ended.failure.code, ended.budget), (FailureCode::StartTimeout, Budget::Platform), "S10");
    }
}

#[test]
fn a_phase_has_all_of_its_time_however_long_the_one_before_took() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy().clone();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    for shown in [starting(&job, false, false), starting(&job, true, false)] {
        // Nearly all of the phase's time.
        for _ in 0..policy.pull_timeout / 15_000 - 4 {
            world.mono += 15_000;
            let actions = world.turn([seen(shown.clone()), inspected(&job, Some(&claim), None, None)]);
            assert!(!actions.iter().any(|action| matches!(action, Action::Stop { .. })), "{actions:?}");
        }
    }
    let (after, why) = stopped_after(&mut world, &job, &claim, &starting(&job, true, true));
    assert_eq!(why, stop_reason::START_TIMEOUT);
    assert!(after >= policy.start_timeout, "after {after} ms");
}

#[test]
fn a_task_that_works_is_not_stopped_for_how_long_ecs_could_not_be_read() {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    world.turn([seen(view("task/1", &job, 1, TaskStatus::Starting))]);
    let most = world.reconciler.policy().max_run + 900_000;
    let stops = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Stop { .. }));
    let beat = |seq| {
        let beat = heartbeat(&job, seq, TaskState::Working);
        let percent = f32::from(u16::try_from(seq % 100).unwrap());
        inspected(&job, Some(&claim), Some(Heartbeat { percent, ..beat }), None)
    };
    // It came up late, and nothing but its heartbeats says so.
    for seq in 1..most / 30_000 + 10 {
        world.mono += 30_000;
        let error = error(ErrorClass::Transient, "503");
        let unread = Fact::DescribeFailed { tasks: vec![TaskArn("task/1".into())], error };
        let actions = world.turn([unread, beat(seq)]);
        assert!(!stops(&actions), "{actions:?}");
    }
    world.turn([seen(view("task/1", &job, 1, TaskStatus::Running)), beat(1000)]);
    let stop = (1..most / 30_000 + 10).find(|seq| {
        world.mono += 30_000;
        stops(&world.turn([seen(view("task/1", &job, 1, TaskStatus::Running)), beat(1000 + seq)]))
    });
    assert!(stop.is_some(), "from there on its time counts");
}

#[test]
fn a_running_task_is_stopped_when_it_is_silent_and_when_its_time_is_over() {
    let stale = Bench::ready().reconciler.policy().heartbeat_stale;
    let (hour, for_ever) = (3_600_000, 100_000_000);
    for (stale, max_run, deadline, reason) in [
        (stale, for_ever, 2 * stale, stop_reason::NO_HEARTBEAT),
        (for_ever, hour, hour + 900_000, stop_reason::RUN_TIMEOUT),
    ] {
        let mut world = Bench::ready();
        let policy = world.reconciler.policy_mut();
        (policy.heartbeat_stale, policy.max_run) = (stale, max_run);
        policy.provisioning_timeout = for_ever;
        let (job, claim) = world.launched("m1", "a.mp4", "task/1");
        // However long it took to come up: its time is counted from then.
        let on_its_way = starting(&job, false, false);
        assert_eq!(stopped_within(2 * hour, &mut world, &claim, &on_its_way), None);
        let shown = TaskView { version: 2, ..view("task/1", &job, 1, TaskStatus::Running) };
        let (after, why) = stopped_after(&mut world, &job, &claim, &shown);
        assert_eq!(why, reason);
        assert!((deadline..deadline + 60_000).contains(&after), "{why}: after {after} ms");
    }
}

#[test]
fn a_view_that_is_older_does_not_set_the_phase_back() {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    let pulling = TaskView { version: 2, ..starting(&job, true, false) };
    world.turn([seen(pulling), inspected(&job, Some(&claim), None, None)]);
    let since = world.reconciler.ledger.tasks.get(&TaskArn("task/1".into())).unwrap().phase;
    world.mono += 15_000;
    world.turn([seen(starting(&job, false, false))]);
    assert_eq!(world.reconciler.ledger.tasks.get(&TaskArn("task/1".into())).unwrap().phase, since);
}

#[test]
fn a_task_is_not_stopped_for_what_was_read_before_the_controller_stood_still() {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    let shown = starting(&job, true, true);
    world.turn([seen(shown.clone()), inspected(&job, Some(&claim), None, None)]);
    world.mono += world.reconciler.policy().start_timeout + 1000;
    let asked = world.turn([seen(shown.clone())]);
    assert!(reads(&asked, &job), "{asked:?}");
    // The bucket answers at once, and the controller stands still for an hour before it takes that in.
    world.mono += 3_600_000;
    let planned = world.turn([inspected(&job, Some(&claim), None, None), seen(shown)]);
    assert!(!planned.iter().any(|action| matches!(action, Action::Stop { .. })), "{planned:?}");
    assert!(reads(&planned, &job), "read again: {planned:?}");
    let beat = heartbeat(&job, 1, TaskState::Working);
    let planned = world.turn([inspected(&job, Some(&claim), Some(beat), None)]);
    assert!(
        !planned.iter().any(|action| matches!(action, Action::Stop { .. })),
        "it has come up: {planned:?}"
    );
}

#[test]
fn a_task_is_not_stopped_for_what_ecs_said_before_the_controller_stood_still() {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    world.turn([seen(starting(&job, false, false)), inspected(&job, Some(&claim), None, None)]);
    let provisioning = world.reconciler.policy().provisioning_timeout;
    world.mono += provisioning - 1000;
    let asked = world.turn([inspected(&job, Some(&claim), None, None)]);
    assert!(asked.iter().any(|action| matches!(action, Action::Describe { .. })), "{asked:?}");
    // ECS answers at once, and the controller stands still for an hour before it takes that in.
    world.mono += 3_600_000;
    world.turn([seen(starting(&job, false, false)), inspected(&job, Some(&claim), None, None)]);
    let planned = world.turn([inspected(&job, Some(&claim), None, None)]);
    assert!(!planned.iter().any(|action| matches!(action, Action::Stop { .. })), "{planned:?}");
    // It is asked again, and what it says then counts.
    let shown = starting(&job, false, false);
    let (after, why) = stopped_after(&mut world, &job, &claim, &shown);
    assert_eq!(why, stop_reason::PROVISIONING_TIMEOUT);
    assert!(after < 60_000, "{after} ms");
}
