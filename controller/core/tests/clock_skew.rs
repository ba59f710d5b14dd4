//! Attempts that may not be over, or that make no progress.

use transcode_core::judge::outcome::classify;

use super::*;

/// A job whose first attempt was never seen and whose second has just been claimed.
fn claimed_again(world: &mut Bench) -> (JobKey, Claim) {
    let job = world.upload("m1", "a.mp4");
    let claim = claim_of(&world.turn([inspected(&job, None, None, None)]));
    world.turn([claimed(&claim)]);
    let lost =
        CallError { operation: "ecs:RunTask", class: ErrorClass::Uncertain, message: "timed out".into() };
    world.turn([Fact::LaunchRefused {
        job: job.clone(),
        attempt: claim.attempt,
        refusal: Refusal::Failed(lost),
    }]);
    world.mono += 300_000;
    world.reconciler.policy_mut().launch_deadline = 900_000;
    let again = claim_of(&[world.until_decided(&job, &claim)]);
    assert_eq!(again.history[0].code, FailureCode::LaunchExpired);
    (job, again)
}

fn with_earlier(job: &JobKey, claim: &Claim, earlier: Vec<Heartbeat>) -> Fact {
    let snapshot = Snapshot { claim: Some(claim.clone().into()), earlier, ..Snapshot::default() };
    Fact::Inspected { job: job.clone(), snapshot: Box::new(snapshot) }
}

#[test]
fn before_a_launch_the_attempt_that_was_never_heard_of_is_looked_for_once_more() {
    let mut world = Bench::ready();
    let (job, again) = claimed_again(&mut world);
    let look = world.turn([claimed(&again)]);
    assert!(only_reads(&look, &job), "S6: after the claim, before the launch");
    let launch = world.turn([with_earlier(&job, &again, vec![])]);
    assert!(matches!(launch.as_slice(), [Action::Launch { .. }]), "{launch:?}");
}

#[test]
fn while_an_earlier_attempt_gives_signs_of_life_the_next_is_not_launched() {
    let mut world = Bench::ready();
    let (job, again) = claimed_again(&mut world);
    world.turn([claimed(&again)]);
    // Its clock is slow by more than the margin: it came up after its deadline and did not know.
    let mut beat = heartbeat(&job, 1, TaskState::Working);
    for seq in 1..=3 {
        beat.seq = seq;
        let actions = world.turn([with_earlier(&job, &again, vec![beat.clone()])]);
        assert!(!actions.iter().any(|it| matches!(it, Action::Launch { .. })), "S6: {actions:?}");
        assert!(world.note(&job).contains("an earlier attempt"), "{}", world.note(&job));
        let look = world.after(61_000);
        assert!(reads(&look, &job), "{look:?}");
    }
    // Now it stands still, and stands still for as long as it takes.
    world.turn([with_earlier(&job, &again, vec![beat])]);
    let late = world.after(121_000);
    assert!(late.iter().any(|it| matches!(it, Action::Launch { .. })), "{late:?}");
}

/// Its deadline and the skew margin are past. Its clock may be slower than that, so `heartbeat_stale` more is allowed.
#[test]
fn a_claim_that_was_never_heard_of_is_over_when_no_task_can_come_up_any_more() {
    let mut world = Bench::ready();
    let policy = world.reconciler.policy_mut();
    policy.retry_base = 0;
    let over_after = policy.launch_deadline + policy.clock_skew + policy.heartbeat_stale;
    let job = world.upload("m1", "a.mp4");
    let claim = claim_of(&world.turn([inspected(&job, None, None, None)]));
    world.turn([claimed(&claim)]);
    let (claimed_at, lost) = (world.mono, error(ErrorClass::Uncertain, "timed out"));
    let refusal = Refusal::Failed(lost);
    world.turn([Fact::LaunchRefused { job: job.clone(), attempt: claim.attempt, refusal }]);
    world.mono += over_after - 20_000;
    world.turn([]);
    assert_eq!(world.reconciler.ledger.in_flight.usage().tasks, 1, "it holds its slot");
    let next = claim_of(&[world.until_decided(&job, &claim)]);
    assert_eq!(next.history[0].code, FailureCode::LaunchExpired);
    let after = world.mono - claimed_at;
    assert!((over_after..over_after + 15_000).contains(&after), "S5: {after} ms, not {over_after}");
}

#[test]
fn an_attempt_whose_heartbeat_moves_is_alive_whatever_ecs_says() {
    for arn in [None, Some("task/1")] {
        let mut world = Bench::ready();
        let job = world.upload("m1", "a.mp4");
        let claim = claim_of(&world.turn([inspected(&job, None, None, None)]));
        let mut facts = vec![claimed(&claim)];
        for seq in 0..180 {
            for action in world.turn(std::mem::take(&mut facts)) {
                facts.push(match action {
                    Action::Launch { claim } => Fact::LaunchRefused {
                        job: claim.job.clone(),
                        attempt: claim.attempt,
                        refusal: Refusal::Failed(error(ErrorClass::Uncertain, "timed out")),
                    },
                    Action::Inspect { job, .. } => {
                        let beat = heartbeat(&job, seq, TaskState::Working);
                        let beat = Heartbeat { task_arn: arn.map(str::to_owned), ..beat };
                        inspected(&job, Some(&claim), Some(beat), None)
                    }
                    Action::Describe { tasks } => Fact::TaskMissing(tasks[0].clone()),
                    Action::Extend { lease, for_ms } => Fact::Extended { message: lease.message, for_ms },
                    other => panic!("S5: after {seq} times 10 s: {other:?}"),
                });
            }
            world.mono += 10_000;
        }
        assert_eq!(world.reconciler.ledger.tasks.len(), usize::from(arn.is_some()));
    }
}

#[test]
fn a_task_that_is_alive_and_gets_nowhere_is_stopped_and_the_job_pays() {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    let mut stop = None;
    for seq in 1..=200_u64 {
        world.mono += 30_000;
        let mut beat = heartbeat(&job, seq, TaskState::Working);
        // It gets somewhere for a while.
        beat.percent = f32::from(u8::try_from(seq.min(60)).unwrap());
        let facts = [
            seen(view("task/1", &job, 1, TaskStatus::Running)),
            inspected(&job, Some(&claim), Some(beat), None),
        ];
        let actions = world.turn(facts);
        for action in actions {
            match action {
                Action::Stop { reason, .. } => stop = stop.or(Some((seq, reason))),
                Action::Extend { lease, for_ms } => {
                    world.turn([Fact::Extended { message: lease.message, for_ms }]);
                }
                _ => {}
            }
        }
        if stop.is_some() {
            break;
        }
    }
    let (seq, reason) = stop.unwrap();
    assert_eq!(reason, stop_reason::NO_PROGRESS);
    assert!((180..=185).contains(&seq), "an hour after the last progress, not {seq}");

    // Told to stop, it says that it was interrupted; ECS says why.
    let mut end = view("task/1", &job, 1, TaskStatus::Ended);
    (end.stop_code, end.stopped_reason) = (Some("UserInitiated".into()), Some(reason.into()));
    let ended = classify(&end, Some(&heartbeat(&job, 99, TaskState::Interrupted)));
    assert_eq!((ended.budget, ended.failure.code), (Budget::Job, FailureCode::EncoderStalled));
}

#[test]
fn a_dead_letter_links_to_the_log_of_the_last_task() {
    let mut world = Bench::ready();
    world.reconciler.policy_mut().logs = Some(transcode_core::policy::log_link::LogStreams {
        group: "/transcode/test/task".into(),
        prefix: "task/task".into(),
    });
    let arn = "arn:aws:ecs:eu-west-1:123456789012:task/c/0a1b";
    let (job, claim) = world.launched("m1", "a.mp4", arn);
    world.turn([seen(view(arn, &job, 1, TaskStatus::Ended))]);
    let beat = Heartbeat { task_arn: Some(arn.into()), ..heartbeat(&job, 9, failed(FailureCode::NotMedia)) };
    let give_up = world.turn([inspected(&job, Some(&claim), Some(beat), None)]);
    let [Action::GiveUp { terminal, .. }] = give_up.as_slice() else { panic!("{give_up:?}") };
    let Outcome::Dead(dead) = &terminal.outcome else { panic!("{terminal:?}") };
    let link = dead.log_link.as_deref().unwrap_or_default();
    assert!(link.ends_with("log-events/task$252Ftask$252F0a1b"), "S11: {link}");
}
