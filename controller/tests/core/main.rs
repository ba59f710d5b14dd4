//! The core by hand: one job at a time, each promise where it can be read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod doubt;
mod leftovers;
mod limits;

use std::collections::BTreeMap;

use transcode_config::{
    contract::{
        Attempt, Budget, Dead, Failure, FailureCode, Heartbeat, Intent, JobKey, ObjectRef, Outcome, SCHEMA,
        Stage, Succeeded, TaskState, Terminal,
    },
    ladder::Profile,
    load::from_text,
    settings::SourceSettings,
};
use transcode_controller::{
    action::Action,
    clock::{Ms, Now},
    fact::{CallError, Class, Fact, Incoming, MessageId, Pinned, Refusal, Snapshot},
    message::Rules,
    outcome::stop_reason,
    plan::plan,
    policy::{Circumstances, Policy},
    reconciler::Reconciler,
    task_view::{Billed, Identity, TaskArn, TaskStatus, TaskView},
};

const SETTINGS: &str = r#"
environment = "test"
queues.default = { url = "q", dead_letter_url = "d" }
sources.uploads.bucket = "uploads"
state.bucket = "state"
output.bucket = "videos"
[launch]
max_tasks = 2
[cluster]
name = "c"
task_definition = "t"
subnets = ["s"]
"#;

/// The task definition is known and its image fits.
fn pinned() -> Fact {
    Fact::Resolved(Pinned { task_definition: "t:1".into(), image_digest: Some("sha256:1".into()) })
}

/// A controller and the moment it lives in. Both clocks run together.
struct World {
    reconciler: Reconciler,
    mono: Ms,
}

impl World {
    /// After its first look round: nothing is running, the task definition is known.
    fn ready() -> Self {
        let settings = from_text(SETTINGS, figment::providers::Env::prefixed("NONE_")).unwrap();
        let profile: Profile =
            toml::from_str(include_str!("../../../config/profiles/standard.toml")).unwrap();
        let rules = Rules {
            sources: vec![SourceSettings {
                bucket: "uploads".into(),
                prefix: String::new(),
                profile: None,
                overlays: vec![],
            }],
            profiles: BTreeMap::from([("standard".into(), profile)]),
            default_profile: "standard".into(),
            output_bucket: "videos".into(),
            output_root: "videos/".into(),
            max_run_seconds: 3600,
            max_source_bytes: 1 << 30,
        };
        let mut world =
            Self { reconciler: Reconciler::new("me", Policy::from(&settings), rules), mono: 3_600_000 };
        world.turn([]);
        world.turn([Fact::Resynced { complete: true }, pinned()]);
        world
    }

    fn now(&self) -> Now {
        Now { mono: self.mono, wall: 1_700_000_000_000 + self.mono }
    }

    /// One turn; what is planned besides the ever-recurring receive, list and look-up.
    fn turn(&mut self, facts: impl IntoIterator<Item = Fact>) -> Vec<Action> {
        let now = self.now();
        let plan = self.reconciler.turn(facts, now);
        let routine =
            |action: &Action| matches!(action, Action::Receive { .. } | Action::Resync | Action::Resolve);
        plan.actions.into_iter().filter(|action| !routine(action)).collect()
    }

    fn after(&mut self, ms: Ms) -> Vec<Action> {
        self.mono += ms;
        self.turn([])
    }

    /// Delivers an upload of `key` and gives the job it became.
    fn upload(&mut self, message: &str, key: &str) -> JobKey {
        let actions = self.deliver(message, &upload_of(key));
        match actions.as_slice() {
            [Action::Inspect { job }] => job.clone(),
            other => panic!("an upload is looked up first, got {other:?}"),
        }
    }

    fn deliver(&mut self, message: &str, body: &str) -> Vec<Action> {
        let incoming = Incoming {
            id: MessageId(message.into()),
            receipt: format!("receipt of {message} at {}", self.mono),
            body: body.into(),
            sent_at_ms: None,
        };
        self.turn([Fact::Received { queue: "default".into(), messages: vec![incoming] }])
    }

    /// Lets time pass, answering looks (nothing is there) and extensions; what else is planned meanwhile.
    fn pass(&mut self, ms: Ms) -> Vec<Action> {
        let (mut facts, mut planned, end) = (Vec::new(), Vec::new(), self.mono + ms);
        while self.mono < end {
            self.mono += 5000;
            for action in self.turn(std::mem::take(&mut facts)) {
                match action {
                    Action::Inspect { job } => facts.push(inspected(&job, None, None, None)),
                    Action::Extend { lease, for_ms } => {
                        facts.push(Fact::Extended { message: lease.message, for_ms });
                    }
                    other => planned.push(other),
                }
            }
        }
        planned
    }

    /// Why a job waits.
    fn note(&self, job: &JobKey) -> String {
        let plan = plan(self.reconciler.policy(), &self.reconciler.ledger, self.now());
        plan.notes.get(job).map(|note| note.why.to_string()).unwrap_or_default()
    }

    /// Lets time pass, answering what the job asks, until it is claimed again or buried.
    fn until_decided(&mut self, job: &JobKey, intent: &Intent) -> Action {
        let mut facts = vec![inspected(job, Some(intent), None, None)];
        for _ in 0..200 {
            let actions = self.turn(std::mem::take(&mut facts));
            for action in actions {
                match action {
                    Action::Inspect { .. } => facts.push(inspected(job, Some(intent), None, None)),
                    Action::Extend { lease, for_ms } => {
                        facts.push(Fact::Extended { message: lease.message, for_ms });
                    }
                    decided => return decided,
                }
            }
            self.mono += 5000;
        }
        panic!("neither claimed nor buried in 1000 s");
    }

    /// Brings a fresh job to its first task.
    fn launched(&mut self, message: &str, key: &str, arn: &str) -> (JobKey, Intent) {
        let job = self.upload(message, key);
        let intent = intent_of(&self.turn([inspected(&job, None, None, None)]));
        let launch = self.turn([Fact::Intended { job: job.clone(), intent: Box::new(intent.clone()) }]);
        assert!(matches!(launch.as_slice(), [Action::Launch { .. }]), "{launch:?}");
        let task = TaskArn(arn.into());
        self.turn([Fact::Launched { job: job.clone(), attempt: intent.attempt, task }]);
        (job, intent)
    }
}

/// S3's message on an upload.
fn upload_of(key: &str) -> String {
    let body = serde_json::json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "uploads"}, "object": {"key": key, "size": 10, "eTag": "e", "sequencer": "01"}}}]});
    body.to_string()
}

fn inspected(
    job: &JobKey,
    intent: Option<&Intent>,
    heartbeat: Option<Heartbeat>,
    terminal: Option<Terminal>,
) -> Fact {
    let snapshot = Snapshot { intent: intent.cloned(), heartbeat, terminal, earlier: vec![] };
    Fact::Inspected { job: job.clone(), snapshot: Box::new(snapshot) }
}

fn intent_of(actions: &[Action]) -> Intent {
    match actions {
        [Action::Intend { intent, .. }] => (**intent).clone(),
        other => panic!("expected a claim, got {other:?}"),
    }
}

fn view(arn: &str, job: &JobKey, attempt: u32, status: TaskStatus) -> TaskView {
    TaskView {
        arn: TaskArn(arn.into()),
        version: 1,
        identity: Some(Identity { job: job.clone(), attempt: Attempt::new(attempt).unwrap() }),
        status,
        stopping: status == TaskStatus::Ended,
        stop_code: (status == TaskStatus::Ended).then(|| "EssentialContainerExited".into()),
        stopped_reason: None,
        exit_code: None,
        container_reason: None,
        started: status != TaskStatus::Starting,
        cpu: None,
        billed: Billed::default(),
    }
}

fn seen(view: TaskView) -> Fact {
    Fact::TaskSeen(Box::new(view))
}

fn heartbeat(job: &JobKey, seq: u64, state: TaskState) -> Heartbeat {
    Heartbeat {
        schema: SCHEMA,
        job: job.clone(),
        attempt: Attempt::FIRST,
        task_arn: Some("task/1".into()),
        seq,
        written_at_ms: 0,
        stage: Stage::Transcoding,
        percent: 50.0,
        speed: None,
        playable: None,
        state,
    }
}

fn failed(code: FailureCode) -> TaskState {
    TaskState::Failed { failure: Failure::new(code, "because") }
}

fn succeeded(job: &JobKey) -> Terminal {
    let object = ObjectRef { key: "k".into(), size: 1, sha256: "0".repeat(64) };
    let winner = Succeeded {
        attempt: Attempt::FIRST,
        task_arn: None,
        bucket: "videos".into(),
        folder: "videos/a/v-1/".into(),
        manifest: object,
        files: 1,
        bytes: 1,
        duration_ms: 1,
        entry_points: vec![],
    };
    Terminal {
        schema: SCHEMA,
        job: job.clone(),
        nonce: "n".into(),
        written_at_ms: 0,
        outcome: Outcome::Succeeded(winner),
    }
}

#[test]
fn a_success_is_published_and_only_then_its_message_deleted() {
    let mut world = World::ready();
    let job = world.upload("m1", "a.mp4");
    let publish = world.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
    assert!(matches!(publish.as_slice(), [Action::Publish { .. }]), "S1: {publish:?}");
    let delete = world.turn([Fact::Published { job }]);
    assert!(matches!(delete.as_slice(), [Action::Delete { .. }]), "{delete:?}");
    assert_eq!(world.turn([Fact::Deleted { message: MessageId("m1".into()) }]), []);
    assert!(world.reconciler.ledger.jobs.is_empty(), "nothing is kept of a settled job");
}

#[test]
fn planning_again_without_news_plans_nothing_again() {
    let mut world = World::ready();
    let job = world.upload("m1", "a.mp4");
    assert_eq!(world.turn([]), []);
    let intent = intent_of(&world.turn([inspected(&job, None, None, None)]));
    assert_eq!(world.turn([]), [], "one claim");
    world.turn([Fact::Intended { job, intent: Box::new(intent) }]);
    assert_eq!(world.turn([]), [], "one launch");
}

#[test]
fn a_launch_without_an_answer_is_sent_again_with_the_same_token_until_its_deadline() {
    let mut world = World::ready();
    let job = world.upload("m1", "a.mp4");
    let intent = intent_of(&world.turn([inspected(&job, None, None, None)]));
    let launch = world.turn([Fact::Intended { job: job.clone(), intent: Box::new(intent.clone()) }]);
    let lost = CallError { operation: "ecs:RunTask", class: Class::Uncertain, message: "timed out".into() };
    world.turn([Fact::LaunchRefused {
        job: job.clone(),
        attempt: intent.attempt,
        refusal: Refusal::Failed(lost.clone()),
    }]);
    assert_eq!(world.after(5000), launch, "S7: byte-identical");
    world.turn([Fact::LaunchRefused { job, attempt: intent.attempt, refusal: Refusal::Failed(lost) }]);
    let late = world.after(300_000);
    assert!(
        !late.iter().any(|action| matches!(action, Action::Launch { .. })),
        "S7: never after the deadline: {late:?}"
    );
}

#[test]
fn a_missing_task_after_launch_means_nothing_until_it_has_been_silent_past_every_deadline() {
    let mut world = World::ready();
    let (job, intent) = world.launched("m1", "a.mp4", "task/1");
    let missing = || Fact::TaskMissing(TaskArn("task/1".into()));
    for _ in 0..20 {
        world.mono += 10_000;
        let actions = world.turn([missing(), inspected(&job, Some(&intent), None, None)]);
        let harmless = |action: &Action| matches!(action, Action::Inspect { .. } | Action::Describe { .. });
        assert!(actions.iter().all(harmless), "S5: {actions:?}");
    }
    world.mono += 400_000;
    let look = world.turn([missing(), inspected(&job, Some(&intent), None, None)]);
    assert!(
        look.contains(&Action::Inspect { job: job.clone() }),
        "silence counts only when it was listened to: {look:?}"
    );
    let stop = world.turn([missing(), inspected(&job, Some(&intent), None, None)]);
    assert!(
        stop.iter()
            .any(|action| matches!(action, Action::Stop { reason, .. } if *reason == stop_reason::LOST)),
        "{stop:?}"
    );
    world.mono += 1000;
    let look = world.turn([Fact::Stopped { task: TaskArn("task/1".into()) }, missing()]);
    assert!(
        look.iter().any(|action| matches!(action, Action::Inspect { .. })),
        "the register is read last: {look:?}"
    );
}

#[test]
fn a_permanent_failure_is_buried_at_once_and_dead_lettered_before_the_delete() {
    let mut world = World::ready();
    let (job, intent) = world.launched("m1", "a.mp4", "task/1");
    world.mono += 10_000;
    let look = world.turn([seen(view("task/1", &job, 1, TaskStatus::Ended))]);
    assert_eq!(look, [Action::Inspect { job: job.clone() }], "the register is read after the end was seen");
    let beat = heartbeat(&job, 9, failed(FailureCode::NotMedia));
    let bury = world.turn([inspected(&job, Some(&intent), Some(beat), None)]);
    let [Action::Bury { terminal, .. }] = bury.as_slice() else { panic!("{bury:?}") };
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
    let mut world = World::ready();
    let (job, intent) = world.launched("m1", "a.mp4", "task/1");
    world.turn([seen(view("task/1", &job, 1, TaskStatus::Ended))]);
    let beat = heartbeat(&job, 9, failed(FailureCode::NotMedia));
    let bury = world.turn([inspected(&job, Some(&intent), Some(beat), None)]);
    assert!(matches!(bury.as_slice(), [Action::Bury { .. }]), "{bury:?}");
    world.mono += 40_000;
    let error =
        CallError { operation: "bury", class: Class::Uncertain, message: "no answer within 40 s".into() };
    world.turn([Fact::JobCallFailed { job: job.clone(), error }]);
    let look = world.after(60_000);
    assert!(look.contains(&Action::Inspect { job: job.clone() }), "S5: looked up again first, got {look:?}");
    let next = Intent { attempt: intent.attempt.next(), ..intent };
    let then = world.turn([inspected(&job, Some(&next), None, None)]);
    assert!(!then.iter().any(|action| matches!(action, Action::Bury { .. })), "S5: {then:?}");
}

#[test]
fn a_task_that_ecs_shows_as_starting_is_looked_up_before_it_is_stopped_for_that() {
    let mut world = World::ready();
    let (job, intent) = world.launched("m1", "a.mp4", "task/1");
    let starting = || seen(view("task/1", &job, 1, TaskStatus::Starting));
    world.turn([starting()]);
    world.mono += 890_000;
    assert!(world.turn([]).contains(&Action::Inspect { job: job.clone() }));
    world.turn([inspected(&job, Some(&intent), None, None)]);
    world.mono += 20_000;
    let look = world.turn([starting()]);
    assert!(look.contains(&Action::Inspect { job: job.clone() }), "S5: looked up first, got {look:?}");
    let stops = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Stop { .. }));
    let mut silent = World { reconciler: world.reconciler.clone(), mono: world.mono };
    let stop = silent.turn([inspected(&job, Some(&intent), None, None)]);
    assert!(stops(&stop), "nobody has heard of it: {stop:?}");
    let beat = heartbeat(&job, 1, TaskState::Working);
    let alive = world.turn([inspected(&job, Some(&intent), Some(beat), None)]);
    assert!(!stops(&alive), "its heartbeat says that it works: {alive:?}");
}

#[test]
fn a_job_of_a_newer_version_is_put_aside_with_its_message() {
    let mut world = World::ready();
    let job = world.upload("m1", "a.mp4");
    let aside = world.turn([Fact::Unreadable { job, reason: "schema 2".into() }]);
    let [Action::Release { lease, after_ms }] = aside.as_slice() else { panic!("S15: {aside:?}") };
    assert_eq!((lease.message.0.as_str(), *after_ms), ("m1", world.reconciler.policy().park));
}

#[test]
fn a_register_read_before_the_end_was_seen_does_not_count() {
    let mut world = World::ready();
    let (job, intent) = world.launched("m1", "a.mp4", "task/1");
    world.mono += 70_000;
    let look = world.turn([]);
    assert!(look.contains(&Action::Inspect { job: job.clone() }), "{look:?}");
    // The reading began before the end was seen, and is answered after it.
    world.turn([seen(view("task/1", &job, 1, TaskStatus::Ended))]);
    let beat = heartbeat(&job, 1, TaskState::Working);
    let again = world.after(1);
    assert_eq!(again, [], "a reading is under way");
    let again = world.turn([inspected(&job, Some(&intent), Some(beat), None)]);
    assert!(again.contains(&Action::Inspect { job }), "S5: {again:?}");
}

#[test]
fn a_job_gets_its_attempts_and_a_platform_failure_costs_none_of_them() {
    let mut world = World::ready();
    let (job, mut intent) = world.launched("m1", "a.mp4", "task/1");
    // Spot takes the first two; then the encoder fails until the budget is spent.
    for n in 1..=5 {
        let mut end = view(&format!("task/{n}"), &job, n, TaskStatus::Ended);
        end.exit_code = Some(16);
        end.stop_code = (n <= 2).then(|| "SpotInterruption".into()).or(end.stop_code);
        let look = world.turn([seen(end)]);
        assert_eq!(look, [Action::Inspect { job: job.clone() }]);
        let next = world.until_decided(&job, &intent);
        if let Action::Bury { terminal, .. } = next {
            let Outcome::Dead(dead) = &terminal.outcome else { panic!("{terminal:?}") };
            let spent = |budget| dead.attempts.iter().filter(|past| past.budget == budget).count();
            assert_eq!((spent(Budget::Job), spent(Budget::Platform)), (3, 2), "S9, S10");
            return;
        }
        intent = intent_of(&[next]);
        assert_eq!(intent.attempt.number(), n + 1);
        world.turn([Fact::Intended { job: job.clone(), intent: Box::new(intent.clone()) }]);
        let task = TaskArn(format!("task/{}", n + 1));
        world.turn([Fact::Launched { job: job.clone(), attempt: intent.attempt, task }]);
    }
    panic!("never buried");
}

#[test]
fn running_tasks_found_at_start_are_adopted_and_hold_their_slots() {
    let mut world = World::ready();
    let (one, two) = (JobKey::of(&["1"]), JobKey::of(&["2"]));
    let looks = world.turn([
        seen(view("task/1", &one, 1, TaskStatus::Running)),
        seen(view("task/2", &two, 1, TaskStatus::Running)),
    ]);
    assert_eq!(
        looks.iter().filter(|action| matches!(action, Action::Inspect { .. })).count(),
        2,
        "{looks:?}"
    );
    let third = world.upload("m3", "c.mp4");
    let held = world.turn([inspected(&third, None, None, None)]);
    assert!(
        !held.iter().any(|action| matches!(action, Action::Intend { .. })),
        "both slots are taken: {held:?}"
    );
}

#[test]
fn a_second_message_for_the_same_upload_joins_the_job_and_both_are_deleted() {
    let mut world = World::ready();
    let (job, _) = world.launched("m1", "a.mp4", "task/1");
    assert_eq!(world.deliver("m2", &upload_of("a.mp4")), [], "no second launch");
    world.mono += 70_000;
    world.turn([]);
    world.turn([inspected(&job, None, None, Some(succeeded(&job)))]);
    let deletes = world.turn([Fact::Published { job }]);
    assert_eq!(
        deletes.iter().filter(|action| matches!(action, Action::Delete { .. })).count(),
        2,
        "{deletes:?}"
    );
}

#[test]
fn draining_hands_back_what_is_not_settled_and_stops_nothing() {
    let mut world = World::ready();
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
    let mut world = World::ready();
    let actions = world.deliver("m1", r#"{"schema": 99, "kind": "transcode.job", "source": {}}"#);
    assert!(matches!(actions.as_slice(), [Action::Release { after_ms: 3_600_000, .. }]), "S15: {actions:?}");
}

#[test]
fn a_document_of_a_newer_schema_is_left_alone_and_its_message_put_aside() {
    let mut world = World::ready();
    let job = world.upload("m1", "a.mp4");
    let aside = world.turn([Fact::Unreadable { job, reason: "schema 2".into() }]);
    assert!(matches!(aside.as_slice(), [Action::Release { after_ms: 3_600_000, .. }]), "S15: {aside:?}");
    world.turn([Fact::Released { message: MessageId("m1".into()) }]);
    assert_eq!(world.after(60_000), [], "S15");
    assert!(world.reconciler.ledger.leases.is_empty(), "it takes nobody's place");
}

#[test]
fn after_running_out_of_memory_the_next_attempt_asks_for_the_next_size() {
    let mut world = World::ready();
    world.reconciler.policy_mut().oom_sizes = vec![(2048, 8192), (4096, 16384)];
    let (job, mut intent) = world.launched("m1", "a.mp4", "task/1");
    let mut asked = vec![(intent.variant.cpu, intent.variant.memory_mib)];
    for n in 1..=2 {
        let mut end = view(&format!("task/{n}"), &job, n, TaskStatus::Ended);
        end.exit_code = Some(1);
        end.container_reason = Some("OutOfMemoryError: container killed due to memory usage".into());
        world.turn([seen(end)]);
        let token = intent.client_token();
        intent = intent_of(&[world.until_decided(&job, &intent)]);
        assert_ne!(intent.client_token(), token, "the token changes with the variant");
        asked.push((intent.variant.cpu, intent.variant.memory_mib));
        world.turn([Fact::Intended { job: job.clone(), intent: Box::new(intent.clone()) }]);
        let task = TaskArn(format!("task/{}", n + 1));
        world.turn([Fact::Launched { job: job.clone(), attempt: intent.attempt, task }]);
    }
    assert_eq!(asked, [(2048, 4096), (2048, 8192), (4096, 16384)]);
}

#[test]
fn storage_grows_with_the_source_and_ends_at_what_fargate_has() {
    let policy = World::ready().reconciler.policy().clone();
    let of = |source_bytes| policy.variant_after(&[], Circumstances { source_bytes, ..Default::default() });
    let gib = |source: u64| of(Some(source << 30)).ephemeral_gib;
    assert_eq!((gib(1), gib(3)), (None, None), "20 GiB are there without asking");
    assert_eq!((gib(10), gib(1000)), (Some(48), Some(200)));
    assert_eq!(of(None).ephemeral_gib, None);
}

#[test]
fn a_pause_receives_and_launches_nothing_and_settles_what_runs() {
    let mut world = World::ready();
    let (running, _) = world.launched("m1", "a.mp4", "task/1");
    let waiting = world.upload("m2", "b.mp4");
    world.reconciler.policy_mut().paused = true;
    let now = world.now();
    let plan = world.reconciler.turn([inspected(&waiting, None, None, None)], now);
    let begins = |action: &Action| {
        matches!(
            action,
            Action::Receive { .. } | Action::Intend { .. } | Action::Launch { .. } | Action::Release { .. }
        )
    };
    assert!(!plan.actions.iter().any(begins), "{:?}", plan.actions);
    world.mono += 70_000;
    world.turn([]);
    let publish = world.turn([inspected(&running, None, None, Some(succeeded(&running)))]);
    assert!(publish.iter().any(|action| matches!(action, Action::Publish { .. })), "{publish:?}");
    world.reconciler.policy_mut().paused = false;
    let resumed = world.turn([]);
    let goes_on = |action: &Action| matches!(action, Action::Inspect { job } if *job == waiting);
    assert!(resumed.iter().any(goes_on), "{resumed:?}");
}
