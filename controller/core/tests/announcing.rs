//! The end of each job is told on the bus before its message goes (S18), and a bus that is away holds nobody up for long.

use std::sync::Arc;

use transcode_config::contract::{EventKind, JobEvent, Told, UserMetadata};
use transcode_core::{policy::Announcing, protocol::via::Via};

use super::*;

/// After this long an event goes into the outbox.
const PATIENCE: Ms = 120_000;

impl Bench {
    fn with_bus() -> Self {
        let mut world = Self::ready();
        world.reconciler.policy_mut().announcing = Some(Announcing {
            bus: "jobs-bus".into(),
            environment: "test".into(),
            kinds: EventKind::ALL.into(),
            progress_every: 60_000,
            outbox_after: PATIENCE,
        });
        // The look at the outbox is a routine.
        world.outbox_is_empty();
        world
    }

    fn outbox_is_empty(&mut self) {
        let looks = self.turn([]);
        assert!(matches!(looks.as_slice(), [Action::Resend { after: None, .. }]), "{looks:?}");
        assert_eq!(self.turn([Fact::Resent { sent: 0, kept: None, next: None }]), []);
    }

    /// A job that has succeeded and is published; returns it and the action that follows.
    fn published(&mut self, message: &str, key: &str) -> (JobKey, Vec<Action>) {
        let job = self.upload(message, key);
        self.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
        let next = self.turn([live(&job)]);
        (job, next)
    }

    /// Refuses an event again and again; returns how long the bus was tried.
    fn away(&mut self, job: &JobKey, class: ErrorClass) -> (Ms, usize) {
        let (began, mut tries) = (self.mono, 1);
        let failed = || Fact::JobCallFailed { job: job.clone(), error: error(class, "ThrottlingException") };
        let mut planned = self.turn([failed()]);
        loop {
            match announcements(&planned).as_slice() {
                [(_, Via::Outbox)] => return (self.mono - began, tries),
                [(_, Via::Bus(_))] => {
                    tries += 1;
                    planned = self.turn([failed()]);
                }
                _ => planned = self.after(500),
            }
        }
    }
}

fn announcements(actions: &[Action]) -> Vec<(Arc<JobEvent>, Via)> {
    let announced = |action: &Action| match action {
        Action::Announce { event, via } => Some((Arc::clone(event), via.clone())),
        _ => None,
    };
    actions.iter().filter_map(announced).collect()
}

fn announcement(actions: &[Action]) -> (Arc<JobEvent>, Via) {
    announcements(actions).pop().unwrap_or_else(|| panic!("nobody is told: {actions:?}"))
}

fn told(job: &JobKey, kind: EventKind, via: Via) -> Fact {
    Fact::Announced { job: job.clone(), kind, via }
}

fn bus() -> Via {
    Via::Bus("jobs-bus".into())
}

#[test]
fn a_message_is_deleted_only_after_the_bus_has_the_event_of_its_job() {
    let mut world = Bench::with_bus();
    let (job, announce) = world.published("m1", "a.mp4");
    let (event, via) = announcement(&announce);
    assert_eq!((announce.len(), &via), (1, &bus()), "S18: {announce:?}");
    assert_eq!(
        (&event.job, event.kind, event.id.as_str()),
        (&job, EventKind::Succeeded, &*format!("{job}.0.succeeded"))
    );
    assert_eq!(event.source.as_ref().map(|source| source.key.as_str()), Some("a.mp4"));
    let delete = world.turn([told(&job, EventKind::Succeeded, bus())]);
    assert!(matches!(delete.as_slice(), [Action::Delete { .. }]), "{delete:?}");
}

#[test]
fn without_a_bus_nothing_is_told_and_nothing_waits() {
    let mut world = Bench::ready();
    let (_, next) = world.published("m1", "a.mp4");
    assert!(matches!(next.as_slice(), [Action::Delete { .. }]), "{next:?}");
    assert_eq!(world.after(3_600_000).iter().filter(|it| matches!(it, Action::Resend { .. })).count(), 0);
}

#[test]
fn a_dead_job_is_told_before_its_letter_so_that_a_crash_makes_no_second_letter() {
    let mut world = Bench::with_bus();
    let job = world.upload("m1", "a.mp4");
    let failure = Failure::new(FailureCode::NotMedia, "a \u{1b}[2J text");
    let dead = Dead { failure, last_task_arn: None, log_link: None, attempts: Vec::new() };
    let announce = world.turn([inspected(
        &job,
        None,
        None,
        Some(Terminal { outcome: Outcome::Dead(dead), ..succeeded(&job) }),
    )]);
    let (event, _) = announcement(&announce);
    assert_eq!(announce.len(), 1, "{announce:?}");
    let failure = event.failure.as_ref().unwrap();
    assert_eq!((event.kind, failure.code), (EventKind::Dead, FailureCode::NotMedia));
    assert!(!failure.message.contains('\u{1b}'), "{failure:?}");
    let letter = world.turn([told(&job, EventKind::Dead, bus())]);
    assert!(matches!(letter.as_slice(), [Action::DeadLetter(_)]), "{letter:?}");
}

#[test]
fn a_success_behind_a_newer_upload_is_told_as_superseded() {
    let mut world = Bench::with_bus();
    let (job, newer) = (world.upload("m1", "a.mp4"), JobKey::of(&["newer"]));
    world.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
    let publication = Publication::Superseded(newer.clone());
    let announce = world.turn([Fact::Published { job, publication }]);
    let (event, _) = announcement(&announce);
    assert_eq!((event.kind, &event.superseded_by), (EventKind::Superseded, &Some(newer)));
    // Its files are there, and none under a stable name.
    let result = event.result.as_ref().unwrap();
    assert!(result.prefix.contains("/v-") && !result.files.is_empty(), "{result:?}");
    assert_eq!(result.names, Vec::<String>::new());
}

#[test]
fn a_bus_that_is_away_delays_the_delete_for_its_time_and_the_event_goes_into_the_outbox() {
    for class in
        [ErrorClass::Throttled, ErrorClass::Uncertain, ErrorClass::Misconfigured, ErrorClass::Permanent]
    {
        let mut world = Bench::with_bus();
        let (job, _) = world.published("m1", "a.mp4");
        let (took, tries) = world.away(&job, class);
        assert!(
            (PATIENCE..PATIENCE + 2000).contains(&took) && tries > 3,
            "{class:?}: {took} ms, {tries} tries"
        );
        assert!(world.note(&job).contains("its end to the bus fails"), "{}", world.note(&job));
        // The bucket refuses too: the message is kept.
        let refused = error(ErrorClass::Misconfigured, "AccessDenied");
        assert_eq!(world.turn([Fact::JobCallFailed { job: job.clone(), error: refused }]), []);
        assert!(world.note(&job).contains("into the outbox fails"), "{}", world.note(&job));
        let again = world.pass(600_000);
        assert!(announcements(&again).iter().all(|(_, via)| *via == Via::Outbox), "{again:?}");
        let delete = world.turn([told(&job, EventKind::Succeeded, Via::Outbox)]);
        assert!(delete.iter().any(|action| matches!(action, Action::Delete { .. })), "{delete:?}");
    }
}

#[test]
fn while_the_bus_takes_nothing_only_the_first_message_waits() {
    let mut world = Bench::with_bus();
    let (first, _) = world.published("m1", "a.mp4");
    world.away(&first, ErrorClass::Throttled);
    world.turn([told(&first, EventKind::Succeeded, Via::Outbox)]);
    let (second, tried) = world.published("m2", "b.mp4");
    assert_eq!(announcements(&tried).len(), 1, "the bus is tried once");
    let failed = Fact::JobCallFailed { job: second.clone(), error: error(ErrorClass::Throttled, "") };
    let aside = announcements(&world.turn([failed]));
    assert!(matches!(aside.as_slice(), [(_, Via::Outbox)]), "{aside:?}");
    world.turn([told(&second, EventKind::Succeeded, Via::Outbox)]);

    // It takes one again: the next that fails has its time.
    let (third, _) = world.published("m3", "c.mp4");
    let sweep = world.turn([told(&third, EventKind::Succeeded, bus())]);
    assert!(
        sweep.iter().any(|action| matches!(action, Action::Resend { .. })),
        "what waits is sent: {sweep:?}"
    );
    let (fourth, _) = world.published("m4", "d.mp4");
    let failed = Fact::JobCallFailed { job: fourth, error: error(ErrorClass::Throttled, "") };
    assert_eq!(announcements(&world.turn([failed])), []);
}

#[test]
fn what_lies_in_the_outbox_is_sent_in_steps_and_what_is_refused_is_passed_over() {
    let mut world = Bench::with_bus();
    let refused = error(ErrorClass::Permanent, "MalformedDetail");
    world.mono += 601_000;
    let mut looks = world.turn([]);
    for (sent, kept, next) in [(10, 0, Some("k10")), (0, 10, Some("k20")), (3, 1, None)] {
        let [Action::Resend { after, .. }] = looks.as_slice() else { panic!("{looks:?}") };
        let behind = [None, Some("k10".to_owned()), Some("k20".to_owned())];
        assert!(behind.contains(after), "{after:?}");
        let kept = (kept > 0).then(|| (kept, refused.clone()));
        world.turn([Fact::Resent { sent, kept, next: next.map(str::to_owned) }]);
        looks = world.after(61_000);
    }
    // From the beginning again: one was kept.
    assert!(matches!(looks.as_slice(), [Action::Resend { after: None, .. }]), "{looks:?}");
    world.turn([Fact::Resent { sent: 0, kept: None, next: None }]);
    assert_eq!(world.after(300_000), [], "an empty outbox is looked at seldom");
}

#[test]
fn the_callers_words_come_from_the_request_or_else_from_the_object() {
    let words = |text: &str| serde_json::from_str::<UserMetadata>(text).unwrap();
    let request = |extra: &str| {
        format!(
            r#"{{"schema":5,"kind":"transcode.job","source":{{"bucket":"uploads","key":"a.mp4"}}{extra}}}"#
        )
    };
    for (asked, expected) in
        [(r#","user_metadata":{"user":"7"}"#, r#"{"user":"7"}"#), ("", r#"{"from":"object"}"#)]
    {
        let mut world = Bench::with_bus();
        let looks = world.deliver("m1", &request(asked));
        let [Action::Inspect { job, .. }] = looks.as_slice() else { panic!("{looks:?}") };
        let told = Told { who: "ann".into(), why: String::new(), at_ms: 1 };
        let cancelled = transcode_config::contract::Cancelled { told, last_task_arn: None, attempts: vec![] };
        let terminal = Terminal { outcome: Outcome::Cancelled(cancelled), ..succeeded(job) };
        let beat = heartbeat(job, 1, TaskState::Interrupted);
        let beat = Heartbeat { user_metadata: words(r#"{"from":"object"}"#), ..beat };
        let claim = Bench::ready().launched("m", "a.mp4", "t").1;
        let claim = Claim { job: job.clone(), ..claim };
        let announce = world.turn([inspected(job, Some(&claim), Some(beat), Some(terminal))]);
        let events = announcements(&announce);
        assert_eq!(events[0].0.user_metadata, words(expected), "{announce:?}");
        assert_eq!(events[0].0.cancelled.as_ref().map(|cancel| cancel.who.as_str()), Some("ann"));
    }
}
