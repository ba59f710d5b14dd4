//! Leftovers of attempts that did not win (L7).

use transcode_config::contract::PastAttempt;

use super::*;

/// Brings a job whose first task fails to the time at which its second attempt runs.
fn second_attempt(world: &mut Bench) -> (JobKey, Claim) {
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    let mut end = view("task/1", &job, 1, TaskStatus::Ended);
    end.exit_code = Some(16);
    world.turn([seen(end)]);
    let claim = claim_of(&[world.until_decided(&job, &claim)]);
    world.turn([claimed(&claim)]);
    let task = TaskArn("task/2".into());
    world.turn([Fact::Launched { job: job.clone(), attempt: claim.attempt, task }]);
    (job, claim)
}

/// The terminal record of a success of this attempt.
fn won_by(job: &JobKey, attempt: u32) -> Terminal {
    let mut terminal = succeeded(job);
    if let Outcome::Succeeded(winner) = &mut terminal.outcome {
        winner.attempt = Attempt::new(attempt).unwrap();
    }
    terminal
}

/// The controller reads a terminal record, and publishes its entry points. Returns the next plan.
fn published(world: &mut Bench, job: &JobKey, claim: &Claim, winner: u32) -> Vec<Action> {
    world.mono += 70_000;
    world.turn([]);
    world.turn([inspected(job, Some(claim), None, Some(won_by(job, winner)))]);
    world.turn([live(job)])
}

fn collects(actions: &[Action]) -> Vec<Vec<u32>> {
    let numbers = |action: &Action| match action {
        Action::Collect { losers, .. } => Some(losers.iter().map(|attempt| attempt.number()).collect()),
        _ => None,
    };
    actions.iter().filter_map(numbers).collect()
}

fn deletes(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Delete { .. }))
}

fn no_answer(job: &JobKey) -> Fact {
    let error = CallError { operation: "collect", class: ErrorClass::Uncertain, message: "no answer".into() };
    Fact::JobCallFailed { job: job.clone(), error }
}

#[test]
fn the_losers_folder_is_emptied_before_the_message_is_deleted_and_the_winners_never() {
    let mut world = Bench::ready();
    let (job, claim) = second_attempt(&mut world);
    let actions = published(&mut world, &job, &claim, 2);
    assert_eq!((collects(&actions), deletes(&actions)), (vec![vec![1]], false), "{actions:?}");
    assert!(collects(&world.turn([])).is_empty(), "one call at a time");
    // It may have been carried out: once more does no harm.
    world.turn([no_answer(&job)]);
    let again = world.after(2000);
    assert_eq!((collects(&again), deletes(&again)), (vec![vec![1]], false), "{again:?}");
    assert!(deletes(&world.turn([Fact::Collected { job }])));
}

#[test]
fn a_loser_that_may_still_be_at_work_is_waited_for_and_not_beyond_a_drain() {
    let mut world = Bench::ready();
    let (job, claim) = second_attempt(&mut world);
    world.turn([seen(view("task/2", &job, 2, TaskStatus::Running))]);
    // The first attempt had been cut off, and won after all.
    let actions = published(&mut world, &job, &claim, 1);
    assert_eq!((collects(&actions), deletes(&actions)), (vec![], false), "{actions:?}");
    let mut draining = Bench { reconciler: world.reconciler.clone(), told: Vec::new(), ..world };
    let released = draining.turn([Fact::DrainRequested]);
    assert!(released.iter().any(|action| matches!(action, Action::Release { .. })), "L8: {released:?}");

    let stop = world.pass(world.reconciler.policy().orphan_grace + 5000);
    let orphan =
        |action: &Action| matches!(action, Action::Stop { reason, .. } if *reason == stop_reason::ORPHAN);
    assert!(stop.iter().any(orphan), "after its grace: {stop:?}");
    world.turn([Fact::Stopped { task: TaskArn("task/2".into()) }]);
    let actions = world.turn([seen(view("task/2", &job, 2, TaskStatus::Ended))]);
    assert_eq!((collects(&actions), deletes(&actions)), (vec![vec![2]], false), "{actions:?}");
    assert!(deletes(&world.turn([Fact::Collected { job }])));
}

#[test]
fn losers_that_were_told_to_stop_are_over_when_no_container_survives_it() {
    let mut world = Bench::ready();
    let (job, claim) = second_attempt(&mut world);
    let stop_timeout = world.reconciler.policy().stop_timeout;
    world.turn(["task/2", "task/2b"].map(|arn| seen(view(arn, &job, 2, TaskStatus::Running))));
    published(&mut world, &job, &claim, 1);
    world.pass(world.reconciler.policy().orphan_grace + 5000);
    for arn in ["task/2", "task/2b"] {
        world.mono += 30_000;
        world.turn([Fact::Stopped { task: TaskArn(arn.into()) }]);
    }
    // ECS goes on to show both, as ever.
    let last = world.reconciler.ledger.tasks.get(&TaskArn("task/2b".into())).unwrap().stopped_at.unwrap();
    let told = world.reconciler.ledger.jobs.get(&job).and_then(|job| job.note.as_ref()?.until);
    assert_eq!(told, Some(last + stop_timeout), "what people are told");
    let before = world.pass(stop_timeout - 10_000);
    assert_eq!((collects(&before), deletes(&before)), (vec![], false), "{before:?}");
    world.mono = last + stop_timeout;
    let after = world.turn([]);
    assert_eq!((collects(&after), deletes(&after)), (vec![vec![2]], false), "{after:?}");
}

#[test]
fn a_claim_whose_launch_has_no_answer_may_have_brought_a_task_up() {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    world.turn([seen(view("task/1", &job, 1, TaskStatus::Ended))]);
    let next = claim_of(&[world.until_decided(&job, &claim)]);
    world.turn([claimed(&next)]);
    let lost =
        CallError { operation: "ecs:RunTask", class: ErrorClass::Uncertain, message: "timed out".into() };
    let (claimed_at, attempt, refusal) = (world.mono, next.attempt, Refusal::Failed(lost));
    world.turn([Fact::LaunchRefused { job: job.clone(), attempt, refusal }]);
    let actions = published(&mut world, &job, &next, 1);
    assert_eq!((collects(&actions), deletes(&actions)), (vec![], false), "{actions:?}");
    let policy = world.reconciler.policy();
    let sure = policy.launch_deadline + policy.clock_skew + policy.heartbeat_stale;
    let told = world.reconciler.ledger.jobs.get(&job).and_then(|job| job.note.as_ref()?.until);
    assert!(told.is_some_and(|at| (claimed_at + sure..claimed_at + sure + 100).contains(&at)), "{told:?}");
    let actions = world.pass(sure);
    assert_eq!((collects(&actions), deletes(&actions)), (vec![vec![2]], false), "{actions:?}");
}

#[test]
fn an_attempt_that_never_had_a_task_left_nothing() {
    let mut world = Bench::ready();
    let job = world.upload("m1", "a.mp4");
    let claim = claim_of(&world.turn([inspected(&job, None, None, None)]));
    world.turn([claimed(&claim)]);
    let refusal = Refusal::Definitive("RESOURCE:MEMORY".into());
    world.turn([Fact::LaunchRefused { job: job.clone(), attempt: claim.attempt, refusal }]);
    let next = claim_of(&[world.until_decided(&job, &claim)]);
    world.turn([claimed(&next)]);
    let task = TaskArn("task/2".into());
    world.turn([Fact::Launched { job: job.clone(), attempt: next.attempt, task }]);
    let actions = published(&mut world, &job, &next, 2);
    assert_eq!((collects(&actions), deletes(&actions)), (vec![], true), "{actions:?}");
}

#[test]
fn what_cannot_be_collected_does_not_keep_its_message_for_ever() {
    let mut world = Bench::ready();
    let (job, claim) = second_attempt(&mut world);
    let mut actions = published(&mut world, &job, &claim, 2);
    for tries in 1..=8 {
        assert_eq!((collects(&actions), deletes(&actions)), (vec![vec![1]], false), "try {tries}");
        let failed = world.turn([no_answer(&job)]);
        actions = if deletes(&failed) { failed } else { world.pass(65_000) };
    }
    assert_eq!((collects(&actions), deletes(&actions)), (vec![], true), "{actions:?}");
}

#[test]
fn in_one_turn_the_folders_of_ten_jobs_are_emptied_at_most() {
    let mut world = Bench::ready();
    world.reconciler.policy_mut().max_tasks = 100;
    let jobs: Vec<(JobKey, Claim)> = (0..12)
        .map(|n| {
            let (job, claim) = world.launched(&format!("m{n}"), &format!("{n}.mp4"), &format!("task/{n}"));
            world.mono += 1000;
            world.turn([seen(view(&format!("task/{n}"), &job, 1, TaskStatus::Ended))]);
            (job, claim)
        })
        .collect();
    world.mono += 5000;
    let dead = |job: &JobKey, claim: &Claim| {
        let history = vec![];
        let failure = Failure::new(FailureCode::NotMedia, "a text");
        let dead = Dead { failure, last_task_arn: None, log_link: None, attempts: history };
        let terminal = Terminal { outcome: Outcome::Dead(dead), ..succeeded(job) };
        inspected(job, Some(claim), None, Some(terminal))
    };
    let facts: Vec<Fact> = jobs.iter().map(|(job, claim)| dead(job, claim)).collect();
    let first = collects(&world.turn(facts)).len();
    let later = collects(&world.after(1000)).len();
    assert_eq!((first, later), (10, 2));
}

#[test]
fn a_later_controller_takes_the_terminal_records_word_that_an_attempt_was_over() {
    let (job, claim) = Bench::ready().launched("m1", "a.mp4", "task/1");
    for (code, collected) in [(FailureCode::EncodeFailed, vec![vec![1]]), (FailureCode::TaskLost, vec![])] {
        let mut world = Bench::ready();
        assert_eq!(world.upload("m1", "a.mp4"), job);
        let past = PastAttempt {
            attempt: Attempt::FIRST,
            code,
            budget: Budget::Job,
            message: "over".into(),
            task_arn: None,
        };
        let failure = Failure::new(code, "over");
        let dead = Dead { failure, last_task_arn: None, log_link: None, attempts: vec![past] };
        let terminal = Terminal { outcome: Outcome::Dead(dead), ..succeeded(&job) };
        let actions = world.turn([inspected(&job, Some(&claim), None, Some(terminal))]);
        assert_eq!(collects(&actions), collected, "{code:?}: {actions:?}");
    }
}
