//! Messages: settled, put aside, given back; and which decisions are allowed when (S1, S5, S15, L8).

use std::sync::Arc;

use transcode_core::protocol::fact::Hint;

use super::*;

#[test]
fn a_success_is_published_and_only_then_its_message_deleted() {
    let mut world = Bench::ready();
    let job = world.upload("m1", "a.mp4");
    let publish = world.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
    assert!(matches!(publish.as_slice(), [Action::Publish { .. }]), "S1: {publish:?}");
    let delete = world.turn([live(&job)]);
    assert!(matches!(delete.as_slice(), [Action::Delete { .. }]), "{delete:?}");
    assert_eq!(world.turn([Fact::Deleted { message: MessageId("m1".into()) }]), []);
    assert!(world.reconciler.ledger.jobs.is_empty(), "nothing is kept of a settled job");
}

#[test]
fn a_message_is_deleted_only_after_the_index_has_the_end_of_its_job() {
    let mut world = Bench { indexes: false, ..Bench::ready() };
    let job = world.upload("m1", "a.mp4");
    let published = succeeded(&job);
    world.turn([inspected(&job, None, None, Some(published.clone()))]);
    let index = world.turn([live(&job)]);
    let [Action::Index { terminal, asked: Some(asked), .. }] = index.as_slice() else {
        panic!("S20: {index:?}")
    };
    assert_eq!((&**terminal, &asked.job), (&published, &job));
    let error = error(ErrorClass::Transient, "try again");
    assert_eq!(world.turn([Fact::JobCallFailed { job: job.clone(), error }]), [], "S20");
    assert!(world.note(&job).contains("into the index"), "{}", world.note(&job));
    let again = world.after(60_000);
    assert!(matches!(again.as_slice(), [Action::Index { .. }]), "{again:?}");
    let delete = world.turn([Fact::Indexed { job }]);
    assert!(matches!(delete.as_slice(), [Action::Delete { .. }]), "{delete:?}");
}

#[test]
fn a_specification_is_read_again_unless_this_controller_has_created_it() {
    for created in [true, false] {
        let mut world = Bench { indexes: false, ..Bench::ready() };
        let job = world.upload("m1", "a.mp4");
        let claim = world.turn([inspected(&job, None, None, None)]);
        let [Action::Claim { spec, claim }] = claim.as_slice() else { panic!("{claim:?}") };
        // Another controller may have accepted the job at another time.
        let known = created.then(|| Arc::clone(spec));
        world.turn([Fact::Claimed {
            job: job.clone(),
            claim: Box::new((**claim).clone()),
            spec: known.clone(),
        }]);
        world.turn([Fact::Hinted(Hint::TerminalRecord(job.clone()))]);
        let publish = world.turn([inspected(&job, Some(claim), None, Some(succeeded(&job)))]);
        assert!(matches!(&publish[..], [Action::Publish { spec, .. }] if *spec == known), "{publish:?}");
        let index = world.turn([live(&job)]);
        assert!(matches!(&index[..], [Action::Index { spec, .. }] if *spec == known), "{index:?}");
    }
}

#[test]
fn no_attempt_is_claimed_by_a_reading_from_before_the_terminal_record_was_announced() {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    world.mono += 10_000;
    world.turn([seen(view("task/1", &job, 1, TaskStatus::Ended))]);
    let beat = heartbeat(&job, 9, failed(FailureCode::EncodeFailed));
    assert_eq!(
        world.turn([inspected(&job, Some(&claim), Some(beat), None)]),
        [],
        "waits before the next attempt"
    );
    world.turn([Fact::Hinted(Hint::TerminalRecord(job.clone()))]);
    let looked = world.after(20_000);
    assert!(only_reads(&looked, &job), "{looked:?}");
    assert_eq!(
        claims(&world.turn([inspected(&job, Some(&claim), None, None)])).len(),
        1,
        "a hint is not believed"
    );
}

#[test]
fn a_job_that_dies_is_listed_before_its_letter_is_sent_and_its_message_goes() {
    let mut world = Bench { indexes: false, ..Bench::ready() };
    let job = world.upload("m1", "a.mp4");
    let failure = Failure::new(FailureCode::NotMedia, "because");
    let dead = Dead { failure, last_task_arn: None, log_link: None, attempts: Vec::new() };
    let terminal = Terminal { outcome: Outcome::Dead(dead), ..succeeded(&job) };
    let index = world.turn([inspected(&job, None, None, Some(terminal))]);
    assert!(matches!(index.as_slice(), [Action::Index { .. }]), "S20: {index:?}");
    let letter = world.turn([Fact::Indexed { job: job.clone() }]);
    assert!(matches!(letter.as_slice(), [Action::DeadLetter(_)]), "{letter:?}");
    let delete = world.turn([Fact::DeadLettered { message: MessageId("m1".into()), job }]);
    assert!(matches!(delete.as_slice(), [Action::Delete { .. }]), "{delete:?}");
}

#[test]
fn a_permanent_failure_is_given_up_at_once_and_dead_lettered_before_the_delete() {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    world.mono += 10_000;
    let look = world.turn([seen(view("task/1", &job, 1, TaskStatus::Ended))]);
    assert!(only_reads(&look, &job), "the terminal record is read after the end was seen");
    let beat = heartbeat(&job, 9, failed(FailureCode::NotMedia));
    let give_up = world.turn([inspected(&job, Some(&claim), Some(beat), None)]);
    let [Action::GiveUp { terminal, .. }] = give_up.as_slice() else { panic!("{give_up:?}") };
    let Outcome::Dead(dead) = &terminal.outcome else { panic!("{terminal:?}") };
    assert_eq!((dead.failure.code, dead.attempts.len()), (FailureCode::NotMedia, 1));
    assert_eq!(dead.last_task_arn.as_deref(), Some("task/1"), "S11");
    let terminal = Box::new((**terminal).clone());
    let letter = world.turn([Fact::Decided { job: job.clone(), terminal }]);
    assert!(
        matches!(letter.as_slice(), [Action::DeadLetter(_), Action::Collect { .. }]),
        "S1, L7: {letter:?}"
    );
    assert_eq!(world.turn([Fact::Collected { job: job.clone() }]), [], "S1");
    let delete = world.turn([Fact::DeadLettered { message: MessageId("m1".into()), job }]);
    assert!(matches!(delete.as_slice(), [Action::Delete { .. }]), "{delete:?}");
}

#[test]
fn a_burial_that_did_not_get_through_is_not_repeated_over_an_attempt_that_somebody_else_began() {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    world.turn([seen(view("task/1", &job, 1, TaskStatus::Ended))]);
    let beat = heartbeat(&job, 9, failed(FailureCode::NotMedia));
    let give_up = world.turn([inspected(&job, Some(&claim), Some(beat), None)]);
    assert!(matches!(give_up.as_slice(), [Action::GiveUp { .. }]), "{give_up:?}");
    world.mono += 40_000;
    let error = CallError {
        operation: "bury",
        class: ErrorClass::Uncertain,
        message: "no answer within 40 s".into(),
    };
    world.turn([Fact::JobCallFailed { job: job.clone(), error }]);
    let look = world.after(60_000);
    assert!(reads(&look, &job), "S5: looked up again first, got {look:?}");
    let next = Claim { attempt: claim.attempt.next(), ..claim };
    let then = world.turn([inspected(&job, Some(&next), None, None)]);
    assert!(!then.iter().any(|action| matches!(action, Action::GiveUp { .. })), "S5: {then:?}");
}

#[test]
fn a_terminal_record_read_before_the_end_was_seen_does_not_count() {
    let mut world = Bench::ready();
    let (job, claim) = world.launched("m1", "a.mp4", "task/1");
    world.mono += 70_000;
    let look = world.turn([]);
    assert!(reads(&look, &job), "{look:?}");
    // The reading began before the end was seen, and is answered after it.
    world.turn([seen(view("task/1", &job, 1, TaskStatus::Ended))]);
    let beat = heartbeat(&job, 1, TaskState::Working);
    let again = world.after(1);
    assert_eq!(again, [], "a reading is under way");
    let again = world.turn([inspected(&job, Some(&claim), Some(beat), None)]);
    assert!(reads(&again, &job), "S5: {again:?}");
}

#[test]
fn a_second_message_for_the_same_upload_joins_the_job_and_both_are_deleted() {
    let mut world = Bench::ready();
    let (job, _) = world.launched("m1", "a.mp4", "task/1");
    assert_eq!(world.deliver("m2", &upload_of("a.mp4")), [], "no second launch");
    world.mono += 70_000;
    world.turn([]);
    world.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
    let deletes = world.turn([live(&job)]);
    assert_eq!(
        deletes.iter().filter(|action| matches!(action, Action::Delete { .. })).count(),
        2,
        "{deletes:?}"
    );
}

#[test]
fn draining_hands_back_what_is_not_settled_and_stops_nothing() {
    let mut world = Bench::ready();
    world.launched("m1", "a.mp4", "task/1");
    let waiting = world.upload("m2", "b.mp4");
    world.turn([inspected(&waiting, None, None, None)]);
    let actions = world.turn([Fact::DrainRequested]);
    let released =
        actions.iter().filter(|action| matches!(action, Action::Release { after_ms: 0, .. })).count();
    assert_eq!(released, 2, "{actions:?}");
    assert!(!actions.iter().any(|action| matches!(action, Action::Stop { .. })), "L8: {actions:?}");
}

#[test]
fn an_unknown_version_is_put_aside_and_never_deleted() {
    let mut world = Bench::ready();
    let actions = world.deliver("m1", r#"{"schema": 99, "kind": "transcode.job", "source": {}}"#);
    assert!(matches!(actions.as_slice(), [Action::Release { after_ms: 3_600_000, .. }]), "S15: {actions:?}");
}

#[test]
fn a_document_of_a_newer_schema_is_left_alone_and_its_message_put_aside() {
    let mut world = Bench::ready();
    let job = world.upload("m1", "a.mp4");
    let aside = world.turn([Fact::Unreadable { job, reason: "schema 2".into() }]);
    assert!(matches!(aside.as_slice(), [Action::Release { after_ms: 3_600_000, .. }]), "S15: {aside:?}");
    world.turn([Fact::Released { message: MessageId("m1".into()) }]);
    assert_eq!(world.after(60_000), [], "S15");
    assert!(world.reconciler.ledger.leases.is_empty(), "it takes nobody's place");
}

/// Delivers one message for two uploads, and returns the jobs.
fn for_two(world: &mut Bench) -> [JobKey; 2] {
    let record =
        |key: &str| serde_json::from_str::<serde_json::Value>(&upload_of(key)).unwrap()["Records"][0].take();
    let both = serde_json::json!({"Records": [record("a.mp4"), record("b.mp4")]});
    match &world.deliver("m1", &both.to_string())[..] {
        [Action::Inspect { job: one, .. }, Action::Inspect { job: two, .. }] => [one.clone(), two.clone()],
        other => panic!("both are looked up first, got {other:?}"),
    }
}

/// The message returns, later, to a controller whose long poll found nothing else in between.
fn back_later(world: &mut Bench) -> [JobKey; 2] {
    world.turn([Fact::Released { message: MessageId("m1".into()) }]);
    assert!(world.reconciler.ledger.jobs.is_empty(), "it takes nobody's place");
    world.mono += 3_600_000;
    world.turn([Fact::Received { queue: "default".into(), messages: vec![] }]);
    for_two(world)
}

/// A dead job's terminal record.
fn given_up(job: &JobKey) -> Fact {
    let failure = Failure::new(FailureCode::NotMedia, "because");
    let dead = Dead { failure, last_task_arn: None, log_link: None, attempts: vec![] };
    inspected(job, None, None, Some(Terminal { outcome: Outcome::Dead(dead), ..succeeded(job) }))
}

#[test]
fn a_message_that_comes_back_for_the_sake_of_another_job_brings_its_dead_letter_once() {
    let mut world = Bench::ready();
    let newer = |job: &JobKey| Fact::Unreadable { job: job.clone(), reason: "schema 2".into() };
    let [one, two] = for_two(&mut world);
    let letter = world.turn([given_up(&one), newer(&two)]);
    assert!(matches!(letter.as_slice(), [Action::DeadLetter(_)]), "{letter:?}");
    let aside = world.turn([Fact::DeadLettered { message: MessageId("m1".into()), job: one }]);
    assert!(matches!(aside.as_slice(), [Action::Release { after_ms: 3_600_000, .. }]), "S15: {aside:?}");
    for _ in 0..3 {
        let [one, two] = back_later(&mut world);
        let aside = world.turn([given_up(&one), newer(&two)]);
        assert!(matches!(aside.as_slice(), [Action::Release { .. }]), "not a letter each hour: {aside:?}");
    }
    // The newer version was here.
    let [one, two] = back_later(&mut world);
    world.turn([given_up(&one), inspected(&two, None, None, Some(succeeded(&two)))]);
    let delete = world.turn([live(&two)]);
    assert!(matches!(delete.as_slice(), [Action::Delete { .. }]), "S1: {delete:?}");
}

#[test]
fn a_pause_receives_and_launches_nothing_and_settles_what_runs() {
    let mut world = Bench::ready();
    let (running, _) = world.launched("m1", "a.mp4", "task/1");
    let waiting = world.upload("m2", "b.mp4");
    world.reconciler.policy_mut().paused = true;
    let now = world.now();
    let (plan, _) = world.reconciler.turn([inspected(&waiting, None, None, None)], now);
    let begins = |action: &Action| {
        matches!(
            action,
            Action::Receive { .. } | Action::Claim { .. } | Action::Launch { .. } | Action::Release { .. }
        )
    };
    assert!(!plan.actions.iter().any(begins), "{:?}", plan.actions);
    world.mono += 70_000;
    world.turn([]);
    let publish = world.turn([inspected(&running, None, None, Some(succeeded(&running)))]);
    assert!(publish.iter().any(|action| matches!(action, Action::Publish { .. })), "{publish:?}");
    world.reconciler.policy_mut().paused = false;
    let resumed = world.turn([]);
    let goes_on = |action: &Action| matches!(action, Action::Inspect { job, .. } if *job == waiting);
    assert!(resumed.iter().any(goes_on), "{resumed:?}");
}

#[test]
fn a_message_that_is_delivered_again_while_it_is_deleted_is_not_lost_with_its_old_handle() {
    let mut world = Bench::ready();
    let job = world.upload("m1", "a.mp4");
    let deletes = |actions: &[Action]| {
        actions.iter().find_map(|action| match action {
            Action::Delete { lease } => Some(lease.receipt.clone()),
            _ => None,
        })
    };
    world.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
    let first = deletes(&world.turn([live(&job)])).unwrap();
    // Its handle is outdated by the time it gets there, because the message came back here meanwhile.
    world.mono += 1000;
    world.turn([Fact::Received { queue: "default".into(), messages: vec![] }]);
    world.deliver("m1", &upload_of("a.mp4"));
    let lost = || Fact::LeaseLost { message: MessageId("m1".into()) };
    let second = deletes(&world.turn([lost()])).unwrap();
    assert_ne!(first, second, "with the handle of the second delivery");
    assert_eq!(world.turn([lost()]), [], "and that one is lost as well");
}
