//! The core, driven by hand: one job at a time, each promise in a test of its own.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod announcing;
mod attempts;
mod binding;
mod breaker;
mod clock_skew;
mod image;
mod leftovers;
mod limits;
mod long_absence;
mod pauses;
mod rates;
mod refused;
mod reload;
mod settling;
mod start_deadlines;
mod steering;
mod superseded;
mod surveys;
mod telling;
mod tenants;

use std::{collections::BTreeMap, sync::Arc};

use transcode_config::{
    contract::{
        Attempt, Budget, Claim, Dead, Failure, FailureCode, Heartbeat, JobKey, ObjectRef, Outcome,
        OutputTarget, Published, SCHEMA, SourceObject, SourceOrder, Stage, Succeeded, TaskState, Terminal,
        UserMetadata,
    },
    ladder::Profile,
    load::from_text,
    settings::SourceSettings,
};
use transcode_core::{
    absorb::change::Change,
    judge::outcome::stop_reason,
    message::Rules,
    plan::plan,
    policy::{Circumstances, Policy},
    protocol::{
        action::Action,
        clock::{Ms, Now},
        fact::{CallError, ErrorClass, Fact, Incoming, MessageId, Pinned, Refusal, Snapshot},
        publishing::Publication,
        task_view::{Billed, Identity, TaskArn, TaskStatus, TaskView},
    },
    reconciler::Reconciler,
    state::in_flight::InFlight,
};

const SETTINGS: &str = concat!(include_str!("settings.toml"), "launch.max_tasks = 2\n");

/// The task definition is known and its image fits.
fn pinned() -> Fact {
    Fact::Resolved(Pinned { task_definition: "t:1".into(), image_digest: Some("sha256:1".into()) })
}

/// A controller and its current time. Both clocks run together.
struct Bench {
    reconciler: Reconciler,
    /// The changes of all turns.
    told: Vec<Change>,
    mono: Ms,
    /// Entries of the index are written at once, and no test sees them planned.
    indexes: bool,
}

impl Bench {
    /// At its start: before the first list and the task definition.
    fn new() -> Self {
        let settings = from_text(SETTINGS, figment::providers::Env::prefixed("NONE_")).unwrap();
        let profile: Profile =
            toml::from_str(include_str!("../../../config/profiles/standard.toml")).unwrap();
        let rules = Rules {
            sources: vec![SourceSettings { bucket: "uploads".into(), ..SourceSettings::default() }],
            profiles: BTreeMap::from([("standard".into(), Arc::new(profile))]),
            default_profile: "standard".into(),
            output_bucket: "videos".into(),
            output_root: "videos/".into(),
            max_run_seconds: 3600,
            max_source_bytes: 1 << 30,
        };
        let mut world = Self {
            reconciler: Reconciler::new("me", Policy::from(&settings), rules),
            told: Vec::new(),
            mono: 3_600_000,
            indexes: true,
        };
        world.turn([]);
        world
    }

    /// After the first list: nothing is running, and the task definition is known.
    fn ready() -> Self {
        let mut world = Self::new();
        world.turn([Fact::Resynced { complete: true }, pinned()]);
        world
    }

    fn now(&self) -> Now {
        Now { mono: self.mono, wall: 1_700_000_000_000 + self.mono }
    }

    /// One turn; returns the plan without the periodic receive, lists and resolve.
    fn turn(&mut self, facts: impl IntoIterator<Item = Fact>) -> Vec<Action> {
        let (mut actions, mut written) = (self.turn_once(facts), Vec::new());
        actions.retain(|action| match action {
            Action::Index { terminal, .. } if self.indexes => {
                written.push(Fact::Indexed { job: terminal.job.clone() });
                false
            }
            _ => true,
        });
        if !written.is_empty() {
            actions.extend(self.turn_once(written));
        }
        actions
    }

    fn turn_once(&mut self, facts: impl IntoIterator<Item = Fact>) -> Vec<Action> {
        let now = self.now();
        let (plan, told) = self.reconciler.turn(facts, now);
        self.told.extend(told);
        let ledger = &self.reconciler.ledger;
        assert_eq!(
            ledger.in_flight,
            InFlight::of(&ledger.jobs, &ledger.tasks, self.reconciler.policy(), now),
            "kept, and counted"
        );
        let routine = |action: &Action| {
            matches!(action, Action::Receive { .. } | Action::Resync | Action::Survey | Action::Resolve)
        };
        plan.actions.into_iter().filter(|action| !routine(action)).collect()
    }

    fn after(&mut self, ms: Ms) -> Vec<Action> {
        self.mono += ms;
        self.turn([])
    }

    /// Delivers an upload of `key` and returns its job.
    fn upload(&mut self, message: &str, key: &str) -> JobKey {
        let actions = self.deliver(message, &upload_of(key));
        match actions.as_slice() {
            [Action::Inspect { job, .. }] => job.clone(),
            other => panic!("an upload is looked up first, got {other:?}"),
        }
    }

    fn deliver(&mut self, message: &str, body: &str) -> Vec<Action> {
        let incoming = Incoming {
            id: MessageId(message.into()),
            receipt: format!("receipt of {message} at {}", self.mono),
            body: body.into(),
            sent_at_ms: None,
            receives: 1,
        };
        self.turn([Fact::Received { queue: "default".into(), messages: vec![incoming] }])
    }

    /// Lets time pass, and answers readings (nothing exists) and extensions. Returns the other actions.
    fn pass(&mut self, ms: Ms) -> Vec<Action> {
        let (mut facts, mut planned, end) = (Vec::new(), Vec::new(), self.mono + ms);
        while self.mono < end {
            self.mono += 5000;
            for action in self.turn(std::mem::take(&mut facts)) {
                match action {
                    Action::Inspect { job, .. } => facts.push(inspected(&job, None, None, None)),
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
        let visit = plan.jobs.iter().find(|visit| visit.job == *job);
        visit.and_then(|visit| visit.note.as_ref()).map(|note| note.why.to_string()).unwrap_or_default()
    }

    /// Lets time pass, and answers the job's calls, until it is claimed again or given up.
    fn until_decided(&mut self, job: &JobKey, claim: &Claim) -> Action {
        let mut facts = vec![inspected(job, Some(claim), None, None)];
        for _ in 0..200 {
            let actions = self.turn(std::mem::take(&mut facts));
            for action in actions {
                match action {
                    Action::Inspect { .. } => facts.push(inspected(job, Some(claim), None, None)),
                    Action::Extend { lease, for_ms } => {
                        facts.push(Fact::Extended { message: lease.message, for_ms });
                    }
                    decided => return decided,
                }
            }
            self.mono += 5000;
        }
        panic!("neither claimed nor given up in 1000 s");
    }

    /// Brings a new job to its first task.
    fn launched(&mut self, message: &str, key: &str, arn: &str) -> (JobKey, Claim) {
        let job = self.upload(message, key);
        let claim = claim_of(&self.turn([inspected(&job, None, None, None)]));
        let launch = self.turn([claimed(&claim)]);
        assert!(matches!(launch.as_slice(), [Action::Launch { .. }]), "{launch:?}");
        let task = TaskArn(arn.into());
        self.turn([Fact::Launched { job: job.clone(), attempt: claim.attempt, task }]);
        (job, claim)
    }
}

/// S3's message on an upload.
fn upload_of(key: &str) -> String {
    let body = serde_json::json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "uploads"}, "object": {"key": key, "size": 10, "eTag": "e", "sequencer": "01"}}}]});
    body.to_string()
}

/// A failed call.
fn error(class: ErrorClass, message: &str) -> CallError {
    CallError { operation: "ecs:RunTask", class, message: message.into() }
}

fn inspected(
    job: &JobKey,
    claim: Option<&Claim>,
    heartbeat: Option<Heartbeat>,
    terminal: Option<Terminal>,
) -> Fact {
    let snapshot = Snapshot {
        claim: claim.cloned().map(Into::into),
        heartbeat,
        terminal: terminal.map(Into::into),
        earlier: vec![],
    };
    Fact::Inspected { job: job.clone(), snapshot: Box::new(snapshot) }
}

/// The answer to a claim of a job whose specification another controller has written.
fn claimed(claim: &Claim) -> Fact {
    Fact::Claimed { job: claim.job.clone(), claim: Box::new(claim.clone()), spec: None }
}

/// Whether the documents of this job are read.
fn reads(actions: &[Action], of: &JobKey) -> bool {
    actions.iter().any(|action| matches!(action, Action::Inspect { job, .. } if job == of))
}

/// The same, and nothing else is done.
fn only_reads(actions: &[Action], of: &JobKey) -> bool {
    actions.len() == 1 && reads(actions, of)
}

fn claim_of(actions: &[Action]) -> Claim {
    match actions {
        [Action::Claim { claim, .. }] => (**claim).clone(),
        other => panic!("expected a claim, got {other:?}"),
    }
}

/// The attempts that are claimed.
fn claims(actions: &[Action]) -> Vec<Claim> {
    let claim = |action: &Action| match action {
        Action::Claim { claim, .. } => Some((**claim).clone()),
        _ => None,
    };
    actions.iter().filter_map(claim).collect()
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
        user_metadata: UserMetadata::default(),
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
        warnings: None,
        source: None,
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

/// Publishing is done, and the job is live.
fn live(job: &JobKey) -> Fact {
    let order =
        SourceOrder { sequencer: None, version_id: None, etag: None, uploaded_at_ms: 1, accepted_at_ms: 1 };
    let live = Published {
        schema: SCHEMA,
        output: OutputTarget { bucket: "videos".into(), prefix: "videos/cat.mp4/".into() },
        source: SourceObject { bucket: "uploads".into(), key: "cat.mp4".into() },
        job: job.clone(),
        attempt: Attempt::FIRST,
        folder: String::new(),
        order,
        highest_sequencer: None,
        serial: 1,
        published_at_ms: 1,
    };
    Fact::Published { job: job.clone(), publication: Publication::Live(Box::new(live)) }
}
