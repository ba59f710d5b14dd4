//! What people want in the control document: pause, drain and cancel (S19).

use transcode_config::contract::{Cancel, Cancels, Control, TERMINAL_CANCELLED, Told};
use transcode_core::{
    absorb::change::Change,
    judge::launch_pause::Pause,
    protocol::steering::{Part, Steered, Steering, Wanted},
};

use super::*;

fn ann(why: &str) -> Told {
    Told { who: "ann".into(), why: why.into(), at_ms: 1_700_000_000_000 + 3_600_000 }
}

/// The control document of this revision.
fn steered(control: &Control) -> Fact {
    Fact::Steered(Box::new(Steering::from(control)))
}

fn cancels(revision: u64, what: Cancels) -> Control {
    let cancels = vec![Cancel { what, told: ann("wrong file") }];
    Control { revision, cancels, ..Control::default() }
}

fn cancel(job: &JobKey) -> Fact {
    steered(&cancels(1, Cancels::Job(job.clone())))
}

fn paused(revision: u64) -> Control {
    Control { revision, paused: Some(ann("too expensive")), ..Control::default() }
}

/// The cancelled record of a plan: by whom, why, and after how many attempts.
fn cancelled(actions: &[Action]) -> (String, String, usize) {
    let [Action::GiveUp { terminal, .. }] = actions else { panic!("expected a record, got {actions:?}") };
    assert_eq!(terminal.schema, TERMINAL_CANCELLED, "older versions leave it alone");
    let Outcome::Cancelled(cancelled) = &terminal.outcome else { panic!("{terminal:?}") };
    (cancelled.told.who.clone(), cancelled.told.why.clone(), cancelled.attempts.len())
}

/// ECS shows the task ended, stopped for this reason.
fn stopped(job: &JobKey, reason: &str) -> Fact {
    let mut end = view("task/1", job, 1, TaskStatus::Ended);
    (end.stop_code, end.exit_code) = (Some("UserInitiated".into()), Some(13));
    end.stopped_reason = Some(reason.into());
    seen(end)
}

fn stops(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Stop { reason: stop_reason::CANCELLED, .. }))
}

fn receives(bench: &mut Bench) -> bool {
    bench.mono += 60_000;
    let now = bench.now();
    let (plan, _) = bench.reconciler.turn([], now);
    plan.actions.iter().any(|action| matches!(action, Action::Receive { .. }))
}

fn wanted(bench: &Bench) -> Vec<Wanted> {
    let what = |change: &Change| match change {
        Change::Steered { steered: Steered { what, .. } } => Some(what.clone()),
        _ => None,
    };
    bench.told.iter().filter_map(what).collect()
}

#[test]
fn a_cancelled_task_is_stopped_and_its_job_ends_without_a_retry_and_without_a_letter() {
    let mut bench = Bench::ready();
    let (job, claim) = bench.launched("m1", "cat.mp4", "task/1");
    assert!(stops(&bench.turn([cancel(&job)])));
    assert!(!stops(&bench.turn([Fact::Stopped { task: TaskArn("task/1".into()) }])), "once");
    bench.turn([stopped(&job, stop_reason::CANCELLED)]);
    let record = bench.until_decided(&job, &claim);
    assert_eq!(cancelled(std::slice::from_ref(&record)), ("ann".into(), "wrong file".into(), 1));
    let Action::GiveUp { terminal, .. } = record else { panic!() };
    let collect = bench.turn([Fact::Decided { job: job.clone(), terminal: Box::new((*terminal).clone()) }]);
    assert!(matches!(&collect[..], [Action::Collect { .. }]), "{collect:?}");
    let deleted = bench.turn([Fact::Collected { job }]);
    assert!(matches!(&deleted[..], [Action::Delete { .. }]), "{deleted:?}");
}

#[test]
fn a_job_that_is_only_a_message_is_cancelled_and_never_begun() {
    let mut bench = Bench::ready();
    let job = JobKey::of(&["unknown"]);
    bench.turn([cancel(&job)]);
    let job = bench.upload("m1", "cat.mp4");
    bench.turn([steered(&cancels(2, Cancels::Job(job.clone())))]);
    assert_eq!(cancelled(&bench.turn([inspected(&job, None, None, None)])).2, 0);
}

#[test]
fn a_claim_that_is_cancelled_is_not_launched_and_ends_once_no_task_can_come_up() {
    let mut bench = Bench::ready();
    let job = bench.upload("m1", "cat.mp4");
    let claim = claim_of(&bench.turn([inspected(&job, None, None, None)]));
    bench.turn([cancel(&job)]);
    let claimed = bench.turn([claimed(&claim)]);
    assert_eq!(claimed, [], "not launched");
    assert!(bench.note(&job).contains("cancelled: claimed and not launched"));
    let record = bench.until_decided(&job, &claim);
    assert_eq!(cancelled(&[record]).2, 1);
}

#[test]
fn a_task_that_won_first_has_won_and_the_cancel_says_that_it_is_too_late() {
    let mut bench = Bench::ready();
    let (job, claim) = bench.launched("m1", "cat.mp4", "task/1");
    bench.turn([inspected(&job, Some(&claim), None, None)]);
    bench.turn([cancel(&job)]);
    bench.turn([Fact::Stopped { task: TaskArn("task/1".into()) }]);
    bench.turn([stopped(&job, stop_reason::CANCELLED)]);
    let planned = bench.turn([inspected(&job, Some(&claim), None, Some(succeeded(&job)))]);
    assert!(matches!(&planned[..], [Action::Publish { .. }]), "{planned:?}");
    let late = bench.told.iter().filter(|change| matches!(change, Change::CancelTooLate { .. })).count();
    assert_eq!(late, 1);
    let mut bench = Bench::ready();
    let job = bench.upload("m1", "cat.mp4");
    bench.turn([cancel(&job)]);
    bench.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
    assert!(!bench.told.iter().any(|change| matches!(change, Change::CancelTooLate { .. })), "long before");
}

#[test]
fn stop_task_by_hand_with_the_documented_reason_cancels_and_any_other_reason_does_not() {
    let end = |reason: &str, started: bool| {
        let mut bench = Bench::ready();
        let (job, claim) = bench.launched("m1", "cat.mp4", "task/1");
        let Fact::TaskSeen(mut end) = stopped(&job, reason) else { panic!() };
        (end.started, end.stop_code) = (started, Some("UserInitiated".into()));
        bench.turn([Fact::TaskSeen(end)]);
        bench.until_decided(&job, &claim)
    };
    for started in [true, false] {
        let record = end("cancel: wrong film", started);
        assert_eq!(cancelled(&[record]), ("StopTask".into(), "wrong film".into(), 1));
    }
    assert!(matches!(end("maintenance; cancel: no", true), Action::Claim { .. }));
}

#[test]
fn a_cancel_of_a_prefix_or_a_tenant_is_for_what_was_asked_for_before_it() {
    let outcome = |what: Cancels, sent_at_ms: u64| {
        let mut bench = Bench::ready();
        let [mut source] =
            <[SourceSettings; 1]>::try_from(bench.reconciler.ledger.rules.sources.clone()).unwrap();
        source.tenants =
            toml::from_str::<BTreeMap<String, Vec<_>>>("t = [{ prefix = \"acme/\" }]").unwrap()["t"].clone();
        bench.reconciler.ledger.rules.sources = vec![source];
        bench.turn([steered(&cancels(1, what))]);
        let incoming = Incoming {
            id: MessageId("m1".into()),
            receipt: "r".into(),
            body: upload_of("acme/cat.mp4"),
            sent_at_ms: Some(sent_at_ms),
            receives: 1,
        };
        let looked = bench.turn([Fact::Received { queue: "default".into(), messages: vec![incoming] }]);
        let [Action::Inspect { job, .. }] = &looked[..] else { panic!("{looked:?}") };
        let planned = bench.turn([inspected(job, None, None, None)]);
        matches!(&planned[..], [Action::GiveUp { .. }])
    };
    let prefix =
        |bucket: &str, prefix: &str| Cancels::Prefix { bucket: bucket.into(), prefix: prefix.into() };
    let at = ann("").at_ms;
    assert!(outcome(prefix("uploads", "acme/"), at - 1));
    assert!(!outcome(prefix("uploads", "acme/"), at), "asked for after it");
    assert!(!outcome(prefix("uploads", "other/"), at - 1));
    assert!(!outcome(prefix("elsewhere", "acme/"), at - 1));
    assert!(outcome(Cancels::Tenant("uploads/acme/".into()), at - 1));
    assert!(!outcome(Cancels::Tenant("uploads/other/".into()), at - 1));
}

#[test]
fn a_controller_that_ends_leaves_cancelled_tasks_to_its_successor() {
    let mut bench = Bench::ready();
    let (job, _) = bench.launched("m1", "cat.mp4", "task/1");
    bench.turn([Fact::DrainRequested]);
    assert!(!stops(&bench.turn([cancel(&job)])), "L8");
}

#[test]
fn a_pause_holds_claims_and_launches_says_by_whom_and_why_and_leaves_tasks_alone() {
    let mut bench = Bench::ready();
    bench.reconciler.policy_mut().max_tasks = 9;
    let (running, _) = bench.launched("m1", "cat.mp4", "task/1");
    let job = bench.upload("m2", "dog.mp4");
    let claim = claim_of(&bench.turn([inspected(&job, None, None, None)]));
    let during = bench.turn([steered(&paused(1)), claimed(&claim)]);
    assert_eq!(during, [], "neither launched nor stopped");
    assert_eq!(bench.note(&job), "launches pause: paused by ann because: too expensive");
    let waits = bench.upload("m3", "cow.mp4");
    assert_eq!(bench.turn([inspected(&waits, None, None, None)]), []);
    bench.turn([Fact::Received { queue: "default".into(), messages: Vec::new() }]);
    assert!(!receives(&mut bench));
    assert!(!bench.reconciler.ledger.jobs.get(&running).unwrap().tasks.is_empty());
    let resumed = bench.turn([steered(&Control { revision: 2, last: Some(ann("")), ..Control::default() })]);
    assert!(resumed.iter().any(|action| matches!(action, Action::Launch { .. })), "{resumed:?}");
    assert_eq!(wanted(&bench), [Wanted::Pause(Part::All), Wanted::Resume(Part::All)]);
    assert!(bench.reconciler.ledger.receiving.values().any(|it| it.call.is_some()), "it receives again");
}

#[test]
fn nothing_is_received_or_launched_before_the_control_document_was_read() {
    let mut bench = Bench::ready();
    bench.reconciler.ledger.unsteered = true;
    let job = bench.upload("m1", "cat.mp4");
    assert_eq!(bench.turn([inspected(&job, None, None, None)]), []);
    assert_eq!(bench.note(&job), "launches pause: waiting for the control document");
    bench.turn([Fact::SteeringRefused { error: "AccessDenied".into() }]);
    let pause = bench.reconciler.ledger.launch_pause(bench.reconciler.policy(), bench.now()).unwrap();
    assert_eq!(pause.to_string(), "the control document cannot be read: AccessDenied");
    assert!(pause.is_told() && pause.holds_claimed());
    let begun = bench.turn([steered(&cancels(3, Cancels::Job(JobKey::of(&["x"]))))]);
    claim_of(&begun);
    assert_eq!(wanted(&bench), [], "an old cancel is no news after a start");
    let mut bench = Bench::ready();
    bench.reconciler.ledger.unsteered = true;
    bench.turn([steered(&paused(1))]);
    assert_eq!(wanted(&bench), [Wanted::Pause(Part::All)], "a pause is");
}

#[test]
fn a_paused_queue_gets_its_messages_back_and_others_go_on() {
    let mut bench = Bench::ready();
    bench.reconciler.policy_mut().queues.insert("other".into(), 1);
    let (running, _) = bench.launched("m1", "cat.mp4", "task/1");
    let job = bench.upload("m2", "dog.mp4");
    let paused_queues = [("default".to_owned(), ann("broken"))].into();
    let back = bench.turn([steered(&Control { revision: 1, paused_queues, ..Control::default() })]);
    let [Action::Release { lease, after_ms: 0 }] = &back[..] else { panic!("{back:?}") };
    assert_eq!(lease.message, MessageId("m2".into()), "and not that of a job at work");
    let planned = bench.turn([inspected(&job, None, None, None)]);
    assert_eq!(planned, [], "it is not begun meanwhile");
    assert!(bench.note(&job).contains("its queue default is paused by ann because: broken"));
    bench.mono += 60_000;
    let now = bench.now();
    let (plan, _) = bench.reconciler.turn([], now);
    let queues = |action: &Action| match action {
        Action::Receive { queue, .. } => Some(queue.clone()),
        _ => None,
    };
    assert!(plan.actions.iter().filter_map(queues).all(|queue| queue == "other"));
    assert!(bench.reconciler.ledger.jobs.get(&running).is_some());
}

#[test]
fn a_drain_gives_everything_back_leaves_tasks_and_is_undone() {
    let mut bench = Bench::ready();
    bench.launched("m1", "cat.mp4", "task/1");
    let drained = Control { revision: 1, drained: Some(ann("move")), ..Control::default() };
    let back = bench.turn([steered(&drained)]);
    assert!(matches!(&back[..], [Action::Release { after_ms: 0, .. }]), "{back:?}");
    let pause = bench.reconciler.ledger.launch_pause(bench.reconciler.policy(), bench.now());
    assert_eq!(pause, Some(Pause::Drained(ann("move"))));
    bench.turn([Fact::Released { message: MessageId("m1".into()) }]);
    assert!(!receives(&mut bench));
    bench.turn([steered(&Control { revision: 2, ..Control::default() })]);
    let going =
        receives(&mut bench) || bench.reconciler.ledger.receiving.values().any(|it| it.call.is_some());
    assert!(going, "it receives again");
}

#[test]
fn a_stop_that_came_before_ecs_knew_the_task_is_sent_again() {
    let mut bench = Bench::ready();
    let (job, _) = bench.launched("m1", "cat.mp4", "task/1");
    assert!(stops(&bench.turn([cancel(&job)])));
    bench.turn([Fact::Stopped { task: TaskArn("task/1".into()) }]);
    bench.mono += 5_000;
    assert!(!stops(&bench.turn([seen(view("task/1", &job, 1, TaskStatus::Running))])), "it may not show yet");
    bench.mono += 30_000;
    let shown = TaskView { version: 2, ..view("task/1", &job, 1, TaskStatus::Running) };
    assert!(stops(&bench.turn([seen(shown)])));
    bench.turn([Fact::Stopped { task: TaskArn("task/1".into()) }]);
    assert!(!stops(&bench.turn([])), "once");
}
