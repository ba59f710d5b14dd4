use transcode_config::contract::{
    Attempt, Capacity, Claim, Control, Heartbeat, JobKey, JobState, JobStatus, Stage, TaskShape, TaskState,
    UserMetadata, decode,
};
use transcode_core::{
    message::Rules,
    protocol::{fact::Fact, steering::Steering, task_view::TaskArn},
    state::{failing::Purpose, job::Job, note::Note},
};

use super::*;

const SETTINGS: &str = include_str!("../../../core/tests/settings.toml");

struct Bench {
    reporter: Reporter,
    memory: Reported,
    ledger: Ledger,
    policy: Policy,
}

impl Bench {
    fn new() -> Self {
        let none = figment::providers::Env::prefixed("NONE_");
        let policy = Policy::from(&transcode_config::load::from_text(SETTINGS, none).unwrap());
        let reporter = Reporter { environment: "test".into(), instance: "me".into(), ..Reporter::default() };
        Self { reporter, memory: Reported::default(), ledger: Ledger::new("me", Rules::default()), policy }
    }

    /// A turn; returns when the next one is needed, and the report if there is one.
    fn turn(&mut self, mono: Ms, pause: Option<&Pause>) -> (Ms, Option<StatusReport>) {
        let seen = Seen { launches_pause: pause, receiving_pause: None };
        let next = self.reporter.turned(&mut self.memory, seen, (&self.ledger, &self.policy), now(mono));
        (next, self.report())
    }

    fn report(&self) -> Option<StatusReport> {
        use futures::FutureExt;
        let taken = self.reporter.slot.take().now_or_never().flatten();
        taken.map(|bytes| decode(&bytes).unwrap())
    }

    fn job(&mut self, name: &str, job: Job) -> JobKey {
        let key = JobKey::of(&[name]);
        self.ledger.jobs.insert(key.clone(), job);
        key
    }
}

fn now(mono: Ms) -> Now {
    Now { mono, wall: 1_700_000_000_000 + mono }
}

fn noted(why: &str) -> Job {
    let note =
        Note { why: why.to_owned().into(), until: Some(15_000), step: Some(Purpose::Claim), refused: true };
    Job { note: Some(note), ..Job::new(None, 5_000) }
}

/// A job with a first attempt, and this heartbeat of it.
fn attempted(ledger: &mut Ledger, policy: &Policy, name: &str, state: Option<TaskState>) {
    let job = JobKey::of(&[name]);
    let claim = Claim {
        schema: SCHEMA,
        job: job.clone(),
        attempt: Attempt::FIRST,
        task_definition: "t:1".into(),
        image_digest: None,
        variant: TaskShape { capacity: Capacity::Fargate, cpu: 1024, memory_mib: 2048, ephemeral_gib: None },
        launch_not_after_ms: u64::MAX / 2,
        created_at_ms: 0,
        nonce: "me".into(),
        history: Vec::new(),
    };
    ledger.jobs.insert(job.clone(), Job::new(None, 5_000));
    ledger.absorb(
        Fact::Claimed { job: job.clone(), claim: Box::new(claim.clone()), spec: None },
        policy,
        now(6_000),
    );
    let Some(state) = state else { return };
    let heartbeat = Heartbeat {
        schema: SCHEMA,
        job: job.clone(),
        attempt: Attempt::FIRST,
        task_arn: Some("task/1".into()),
        seq: 1,
        written_at_ms: 0,
        stage: Stage::Transcoding,
        percent: 12.5,
        speed: Some(2.0),
        playable: None,
        user_metadata: UserMetadata::default(),
        state,
    };
    let snapshot = transcode_core::protocol::fact::Snapshot {
        claim: Some(claim.into()),
        heartbeat: Some(heartbeat),
        ..Default::default()
    };
    ledger.absorb(Fact::Inspected { job, snapshot: Box::new(snapshot) }, policy, now(7_000));
}

#[test]
fn a_report_comes_on_change_at_most_every_ten_seconds_and_at_least_once_a_minute() {
    let mut bench = Bench::new();
    let (next, first) = bench.turn(10_000, None);
    assert_eq!((next, first.unwrap().written_at_ms), (10_000 + ALIVE, 1_700_000_010_000));
    bench.job("x", noted("a reason"));
    assert_eq!(bench.turn(10_001, None), (20_000, None), "a change: a turn is asked for");
    let (_, second) = bench.turn(20_000, None);
    assert_eq!(second.unwrap().jobs.len(), 1);
    assert_eq!(bench.turn(30_000, None), (20_000 + ALIVE, None), "nothing has changed");
    let (next, third) = bench.turn(20_000 + ALIVE, None);
    assert_eq!((next, third.unwrap().jobs.len()), (20_000 + 2 * ALIVE, 1));
    const { assert!(ALIVE + EVERY <= 60_000) };
}

#[test]
fn a_pause_says_since_when_and_the_last_report_that_the_process_has_ended() {
    let mut bench = Bench::new();
    let unfit = Pause::Unfit("no such image".into());
    bench.turn(10_000, Some(&unfit));
    bench.job("x", noted("a reason"));
    let (_, report) = bench.turn(20_000, Some(&unfit));
    let pause = report.unwrap().launches_pause.unwrap();
    assert_eq!((pause.why.as_str(), pause.since_ms), ("no such image", 1_700_000_010_000));
    let (_, report) = bench.turn(30_000, Some(&Pause::Asked));
    assert_eq!(report.unwrap().launches_pause.unwrap().since_ms, 1_700_000_030_000, "another reason");
    bench.ledger.draining = true;
    let (_, report) = bench.turn(31_000, None);
    assert!(report.is_some_and(|report| report.draining && !report.ended), "soon: it may be the last");
    let seen = Seen { launches_pause: None, receiving_pause: None };
    bench.reporter.ended(&mut bench.memory, seen, (&bench.ledger, &bench.policy), now(31_001));
    assert!(bench.report().unwrap().ended && bench.reporter.slot.is_closed());
}

#[test]
fn the_control_document_is_reported_once_it_was_read_and_a_refused_one_with_the_reason() {
    let mut bench = Bench::new();
    bench.ledger.unsteered = true;
    assert_eq!(bench.turn(10_000, None).1.unwrap().control, None, "nothing was read yet");
    let policy = bench.policy.clone();
    let steering = Steering::from(&Control { revision: 7, ..Control::default() });
    bench.ledger.absorb(Fact::Steered(Box::new(steering)), &policy, now(11_000));
    let control = bench.turn(20_000, None).1.unwrap().control.unwrap();
    assert_eq!((control.revision, control.refused), (7, None));
    let error = "two\nlines".to_owned();
    bench.ledger.absorb(Fact::SteeringRefused { error }, &policy, now(21_000));
    let control = bench.turn(30_000, None).1.unwrap().control.unwrap();
    assert_eq!((control.revision, control.refused.as_deref()), (7, Some("two\\nlines")), "7 stays in force");
}

#[test]
fn each_job_is_told_with_its_state_and_progress_those_at_work_first() {
    let mut bench = Bench::new();
    let waiting = bench.job("waits", noted("waiting for a free slot"));
    let Bench { ledger, policy, .. } = &mut bench;
    attempted(ledger, policy, "launching", None);
    attempted(ledger, policy, "running", Some(TaskState::Working));
    attempted(ledger, policy, "interrupted", Some(TaskState::Interrupted));
    let depth = transcode_core::effects::ports::Depth { visible: 3, in_flight: 2, delayed: 1 };
    bench.reporter.queues.note("jobs", depth, Some(4), 9);
    let (_, report) = bench.turn(10_000, None);
    let report = report.unwrap();
    let states: Vec<JobState> = report.jobs.iter().map(|job| job.state).collect();
    assert_eq!(states, [JobState::Running, JobState::Launching, JobState::Queued, JobState::Queued]);
    let running = &report.jobs[0];
    assert_eq!(
        (running.stage, running.percent, running.speed),
        (Some(Stage::Transcoding), Some(12.5), Some(2.0))
    );
    assert_eq!((running.heartbeat_at_ms, running.known_at_ms), (Some(1_700_000_007_000), 1_700_000_005_000));
    assert_eq!((running.attempt, running.task_arn.as_deref()), (Some(Attempt::FIRST), Some("task/1")));
    let told = report.jobs.iter().find(|job| job.job == waiting).unwrap();
    let JobStatus { why, until_ms, step, refused, .. } = told;
    let reason = (why.as_deref(), *until_ms, step.as_deref(), *refused);
    assert_eq!(reason, (Some("waiting for a free slot"), Some(1_700_000_015_000), Some("claim"), true));
    let queue = report.queues["jobs"];
    assert_eq!((queue.visible, queue.dead_letters, queue.counted_at_ms), (3, Some(4), 9));
    assert_eq!((report.max_tasks, report.left_off), (bench.policy.max_tasks as u64, 0));
    assert_eq!(bench.ledger.tasks.keys().next(), Some(&TaskArn("task/1".into())));
}

#[test]
fn more_jobs_than_a_report_may_have_are_counted_and_its_size_has_a_limit() {
    let mut bench = Bench::new();
    for n in 0..StatusReport::MOST_JOBS + 7 {
        bench.job(&n.to_string(), noted("short"));
    }
    let (_, report) = bench.turn(10_000, None);
    let report = report.unwrap();
    assert_eq!((report.jobs.len(), report.left_off), (StatusReport::MOST_JOBS, 7));
    // A character that takes two in JSON.
    let hostile = "\"".repeat(500);
    for n in 0..StatusReport::MOST_JOBS {
        bench.job(&n.to_string(), noted(&hostile));
    }
    let (_, report) = bench.turn(20_000, None);
    assert_eq!(report, None, "megabytes, ten seconds after the last ones");
    let (_, report) = bench.turn(70_000, None);
    let report = report.unwrap();
    assert!(report.jobs.len() < StatusReport::MOST_JOBS, "{}", report.jobs.len());
    assert_eq!(report.jobs.len() as u64 + report.left_off, StatusReport::MOST_JOBS as u64 + 7);
}
