//! Beyond every time limit: a job longer than SQS lets a message be held, a controller that was away longer than ECS
//! remembers tasks.

use super::*;

const HOUR: Ms = 3_600_000;

/// Ends the long poll that is under way, so that the next one begins now: a lease counts from the begin of its receive.
fn poll_again(world: &mut Bench) {
    world.turn([Fact::Received { queue: "default".into(), messages: Vec::new() }]);
}

/// Row 6 of the fault catalogue.
#[test]
fn near_the_12_hours_the_message_is_let_go_and_whoever_gets_it_back_adopts_its_task() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    (policy.max_run, policy.no_progress) = (20 * HOUR, 24 * HOUR);
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    let received = world.mono;
    let (mut facts, mut seq) = (Vec::new(), 0);
    while !world.reconciler.ledger.leases.is_empty() {
        assert!(world.mono < received + 13 * HOUR, "held beyond the 12 h");
        world.mono += 10_000;
        facts.push(seen(view("task/1", &job, 1, TaskStatus::Running)));
        for action in world.turn(std::mem::take(&mut facts)) {
            match action {
                Action::Inspect { job, .. } => {
                    seq += 1;
                    let beat = heartbeat(&job, seq, TaskState::Working);
                    facts.push(inspected(&job, Some(&claim), Some(beat), None));
                }
                Action::Extend { lease, for_ms } => {
                    assert!(world.mono + for_ms < received + 12 * HOUR, "SQS refuses what is above 12 h");
                    facts.push(Fact::Extended { message: lease.message, for_ms });
                }
                Action::Describe { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(world.mono > received + 11 * HOUR, "let go after {} ms", world.mono - received);
    poll_again(&mut world);
    let again = world.deliver("m1", &upload_of("a.mp4"));
    let begins = |action: &Action| matches!(action, Action::Claim { .. } | Action::Launch { .. });
    assert!(!again.iter().any(begins), "{again:?}");
    assert_eq!(world.reconciler.ledger.jobs.get(&job).unwrap().leases.len(), 1);
}

/// Row 24: ECS forgets a stopped task after an hour.
#[test]
fn after_three_hours_away_a_task_that_ecs_has_forgotten_is_decided_by_its_heartbeat() {
    let (job, claim) = Bench::ready().launched("m1", "a.mp4", "task/1");
    let mut world = Bench::ready();
    world.mono += 3 * HOUR;
    poll_again(&mut world);
    assert_eq!(world.upload("m1", "a.mp4"), job);
    let there = || inspected(&job, Some(&claim), Some(heartbeat(&job, 9, TaskState::Working)), None);
    let (mut facts, back, mut stops) = (vec![there()], world.mono, 0);
    let next = loop {
        assert!(world.mono < back + HOUR, "never followed by another attempt");
        let mut next = None;
        for action in world.turn(std::mem::take(&mut facts)) {
            match action {
                Action::Inspect { .. } => facts.push(there()),
                Action::Describe { tasks } => facts.extend(tasks.into_iter().map(Fact::TaskMissing)),
                Action::Stop { task, reason: stop_reason::LOST } => {
                    stops += 1;
                    facts.push(Fact::Stopped { task });
                }
                Action::Extend { lease, for_ms } => {
                    facts.push(Fact::Extended { message: lease.message, for_ms });
                }
                other => next = Some(other),
            }
        }
        if let Some(next) = next {
            break claim_of(&[next]);
        }
        world.mono += 5000;
    };
    let waited = world.mono - back;
    assert!(waited >= world.reconciler.policy().heartbeat_stale, "S5: it may be alive, {waited} ms");
    assert_eq!(stops, 1, "S5");
    let [past] = next.history.as_slice() else { panic!("{next:?}") };
    assert_eq!((past.code, past.budget), (FailureCode::TaskLost, Budget::Platform), "S10");
}
