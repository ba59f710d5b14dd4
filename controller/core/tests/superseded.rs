//! Jobs that a later upload of their object has overtaken (S17): stopped, not tried again, no letter.

use super::*;

/// A newer job goes live under the prefix of `key`, with this sequencer.
fn goes_live(key: &str, sequencer: &str) -> (JobKey, Fact) {
    let newer = JobKey::of(&["newer"]);
    let Fact::Published { job, publication: Publication::Live(mut live) } = live(&newer) else { panic!() };
    live.output.prefix = format!("videos/{key}/");
    live.source.key = key.into();
    live.highest_sequencer = Some(sequencer.into());
    (newer, Fact::Published { job, publication: Publication::Live(live) })
}

/// The task was stopped because something newer is live.
fn stopped(job: &JobKey, reason: &str) -> Fact {
    let mut end = view("task/1", job, 1, TaskStatus::Ended);
    (end.stop_code, end.exit_code) = (Some("UserInitiated".into()), Some(13));
    end.stopped_reason = Some(reason.into());
    seen(end)
}

fn stops(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Stop { reason: stop_reason::SUPERSEDED, .. }))
}

/// The superseded record of a plan: by whom, and after how many attempts.
fn superseded(action: &Action) -> (Option<JobKey>, usize, Terminal) {
    let Action::GiveUp { terminal, .. } = action else { panic!("expected a record, got {action:?}") };
    let Outcome::Superseded(superseded) = &terminal.outcome else { panic!("{terminal:?}") };
    (superseded.by.clone(), superseded.attempts.len(), (**terminal).clone())
}

#[test]
fn a_task_at_work_on_an_older_upload_is_stopped_and_its_message_goes_without_a_letter() {
    let mut bench = Bench::ready();
    let (job, claim) = bench.launched("m1", "cat.mp4", "task/1");
    let (newer, live) = goes_live("cat.mp4", "02");
    assert!(stops(&bench.turn([live])));
    assert!(!stops(&bench.turn([Fact::Stopped { task: TaskArn("task/1".into()) }])), "once");
    bench.turn([stopped(&job, stop_reason::SUPERSEDED)]);
    let (by, attempts, terminal) = superseded(&bench.until_decided(&job, &claim));
    assert_eq!((by, attempts), (Some(newer), 1), "not tried again");
    let collect = bench.turn([Fact::Decided { job: job.clone(), terminal: Box::new(terminal) }]);
    assert!(matches!(&collect[..], [Action::Collect { .. }]), "{collect:?}");
    let deleted = bench.turn([Fact::Collected { job }]);
    let [Action::Delete { lease }] = &deleted[..] else { panic!("{deleted:?}") };
    bench.turn([Fact::Deleted { message: lease.message.clone() }]);
    let told = |change: &Change| matches!(change, Change::JobSettled { superseded: true, .. });
    assert_eq!(bench.told.iter().filter(|change| told(change)).count(), 1);
}

#[test]
fn an_older_upload_that_waits_is_never_begun() {
    let mut bench = Bench::ready();
    let job = bench.upload("m1", "cat.mp4");
    let (newer, live) = goes_live("cat.mp4", "02");
    bench.turn([live]);
    let planned = bench.turn([inspected(&job, None, None, None)]);
    let (by, attempts, _) = superseded(&planned[0]);
    assert_eq!((by, attempts, planned.len()), (Some(newer), 0, 1));
}

#[test]
fn nothing_is_stopped_for_what_is_older_or_elsewhere_or_against_the_settings_or_in_a_drain() {
    let stopped_by = |sequencer: &str, key: &str, prepare: fn(&mut Bench)| {
        let mut bench = Bench::ready();
        bench.launched("m1", "cat.mp4", "task/1");
        prepare(&mut bench);
        stops(&bench.turn([goes_live(key, sequencer).1])) || stops(&bench.pass(60_000))
    };
    assert!(stopped_by("02", "cat.mp4", |_| {}));
    assert!(!stopped_by("00F", "cat.mp4", |_| {}), "older");
    assert!(!stopped_by("01", "cat.mp4", |_| {}), "the same upload, with another profile");
    assert!(!stopped_by("02", "dog.mp4", |_| {}), "another object");
    assert!(!stopped_by("02", "cat.mp4", |bench| bench.reconciler.policy_mut().stop_superseded = false));
    assert!(!stopped_by("02", "cat.mp4", |bench| drop(bench.turn([Fact::DrainRequested]))), "L8");
}

#[test]
fn whoever_finds_a_task_that_was_stopped_for_a_newer_upload_does_not_try_again() {
    let mut bench = Bench::ready();
    let (job, claim) = bench.launched("m1", "cat.mp4", "task/1");
    bench.turn([stopped(&job, stop_reason::SUPERSEDED)]);
    assert_eq!(superseded(&bench.until_decided(&job, &claim)).1, 1);
    // For any other reason it does.
    let mut bench = Bench::ready();
    let (job, claim) = bench.launched("m1", "cat.mp4", "task/1");
    bench.turn([stopped(&job, "maintenance")]);
    assert!(matches!(bench.until_decided(&job, &claim), Action::Claim { .. }));
}

#[test]
fn what_no_retry_can_mend_is_told_as_what_it_is() {
    let mut bench = Bench::ready();
    let (job, claim) = bench.launched("m1", "cat.mp4", "task/1");
    bench.turn([goes_live("cat.mp4", "02").1]);
    let mut end = view("task/1", &job, 1, TaskStatus::Ended);
    end.exit_code = Some(10);
    bench.turn([seen(end)]);
    let Action::GiveUp { terminal, .. } = bench.until_decided(&job, &claim) else { panic!() };
    assert!(
        matches!(&terminal.outcome, Outcome::Dead(dead) if dead.failure.code == FailureCode::InputRefused)
    );
}
