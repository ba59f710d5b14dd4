//! The scenarios. Each states AWS' documented behaviour, as the controller sees it: actions in, facts out.

use std::sync::Arc;

use serde_json::json;
use transcode_config::contract::{
    Attempt, Capacity, Claim, Dead, Failure, FailureCode, JobKey, JobSpec, Outcome, SCHEMA, TaskShape,
    Terminal,
};
use transcode_core::{
    message::{Parsed, Request, parse},
    protocol::{
        action::{Action, LeaseRef},
        fact::{Fact, Incoming, MessageId, Snapshot},
        task_view::{TaskArn, TaskStatus, TaskView},
    },
};
use transcode_sim::setup::Setup;

use super::{Deviation, Subject};

const HOUR: u64 = 3_600_000;

/// Time between a timeout of a second and the look after it: SQS counts whole seconds.
const LAPSE: u64 = 1600;

fn body(key: &str) -> String {
    json!({"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "uploads"}, "object": {"key": key, "size": 1, "eTag": "e", "sequencer": "01"}}}]})
    .to_string()
}

/// The request of a body, read by the simulator's own rules.
pub(crate) fn spec(body: &str) -> Arc<JobSpec> {
    let Parsed::Jobs(requests, _) = parse(body, &Setup::plain().rules, 0) else { panic!("no job in {body}") };
    let Some(Request::Run(spec)) = requests.into_iter().next() else { panic!("refused: {body}") };
    spec
}

async fn one(subject: &mut impl Subject, action: Action) -> Fact {
    let mut facts = subject.call(action.clone()).await;
    assert_eq!(facts.len(), 1, "{action:?} gives {facts:?}");
    facts.remove(0)
}

async fn receive(subject: &mut impl Subject) -> Vec<Incoming> {
    let queue = subject.queue();
    match one(subject, Action::Receive { queue, max: 10 }).await {
        Fact::Received { messages, .. } => messages,
        other => panic!("{other:?}"),
    }
}

/// The only message that is visible now.
async fn received(subject: &mut impl Subject) -> LeaseRef {
    received_again(subject, None).await
}

/// The same, received for the `times`th time.
async fn received_again(subject: &mut impl Subject, times: Option<u32>) -> LeaseRef {
    let mut messages = receive(subject).await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    let Incoming { id, receipt, receives, .. } = messages.remove(0);
    assert!(
        times.is_none_or(|times| times == receives),
        "{receives} receives are counted, there were {times:?}"
    );
    LeaseRef { queue: subject.queue(), message: id, receipt }
}

async fn extend(subject: &mut impl Subject, lease: &LeaseRef, for_ms: u64) -> Fact {
    one(subject, Action::Extend { lease: lease.clone(), for_ms }).await
}

fn lost(message: &MessageId) -> Fact {
    Fact::LeaseLost { message: message.clone() }
}

/// SQS: visibility, handles, the 12 h.
pub(crate) async fn queue(subject: &mut impl Subject) {
    subject.post(&body("queue.mp4")).await;
    let first = received_again(subject, Some(1)).await;
    let id = first.message.clone();
    assert_eq!(receive(subject).await, [], "in flight: invisible");

    // A timeout that is over brings it back under another handle.
    assert_eq!(extend(subject, &first, 1000).await, Fact::Extended { message: id.clone(), for_ms: 1000 });
    subject.pass(LAPSE).await;
    let second = received_again(subject, Some(2)).await;
    assert_eq!(second.message, id);
    assert_ne!(second.receipt, first.receipt);

    // With the outdated handle nothing is deleted, whatever is answered.
    let stale = one(subject, Action::Delete { lease: first.clone() }).await;
    assert!([lost(&id), Fact::Deleted { message: id.clone() }].contains(&stale), "{stale:?}");
    let back = Action::Release { lease: second, after_ms: 0 };
    assert_eq!(one(subject, back).await, Fact::Released { message: id.clone() });
    let third = received_again(subject, Some(3)).await;
    assert_eq!(third.message, id, "given back: visible at once");

    // 12 h in total from the receive.
    subject.pass(LAPSE).await;
    let beyond = extend(subject, &third, 12 * HOUR).await;
    if subject.deviates(Deviation::TwelveHours) {
        assert!(matches!(beyond, Fact::Extended { .. }), "put right: {beyond:?}");
    } else {
        assert!(matches!(beyond, Fact::MessageCallFailed { .. }), "the lease is kept: {beyond:?}");
    }

    // A lease that has lapsed cannot be had back.
    assert!(matches!(extend(subject, &third, 1000).await, Fact::Extended { .. }));
    subject.pass(LAPSE).await;
    let again = extend(subject, &third, 1000).await;
    if subject.deviates(Deviation::LapsedHandle) {
        assert!(matches!(again, Fact::Extended { .. }), "put right: {again:?}");
        subject.pass(LAPSE).await;
    } else {
        assert_eq!(again, lost(&id));
    }

    let last = received(subject).await;
    assert_eq!(
        one(subject, Action::Delete { lease: last.clone() }).await,
        Fact::Deleted { message: id.clone() }
    );
    subject.pass(LAPSE).await;
    assert_eq!(receive(subject).await, [], "deleted");
    let twice = one(subject, Action::Delete { lease: last }).await;
    assert!(
        [lost(&id), Fact::Deleted { message: id }].contains(&twice),
        "a second delete does no harm: {twice:?}"
    );
}

fn claim(subject: &impl Subject, job: &JobKey, definition: &str, nonce: &str) -> Arc<Claim> {
    Arc::new(Claim {
        schema: SCHEMA,
        job: job.clone(),
        attempt: Attempt::FIRST,
        task_definition: definition.to_owned(),
        image_digest: None,
        variant: TaskShape { capacity: Capacity::Fargate, cpu: 2048, memory_mib: 4096, ephemeral_gib: None },
        launch_not_after_ms: subject.wall() + 24 * HOUR,
        created_at_ms: subject.wall(),
        nonce: nonce.to_owned(),
        history: Vec::new(),
    })
}

async fn inspect(subject: &mut impl Subject, job: &JobKey) -> Snapshot {
    match one(subject, Action::Inspect { job: job.clone(), known: None }).await {
        Fact::Inspected { snapshot, .. } => *snapshot,
        other => panic!("{other:?}"),
    }
}

/// S3: of conditional writes the first succeeds, and the others learn who wrote it.
pub(crate) async fn store(subject: &mut impl Subject) {
    let text = body("store.mp4");
    subject.post(&text).await;
    let spec = spec(&text);
    assert_eq!(inspect(subject, &spec.job).await, Snapshot::default(), "nothing yet");

    for nonce in ["first", "second"] {
        let claim = claim(subject, &spec.job, "d", nonce);
        match one(subject, Action::Claim { spec: Arc::clone(&spec), claim }).await {
            Fact::Claimed { claim, .. } => assert_eq!(claim.nonce, "first", "412, and read back"),
            other => panic!("{other:?}"),
        }
    }
    let found = inspect(subject, &spec.job).await;
    assert_eq!(found.claim.as_ref().map(|claim| &*claim.nonce), Some("first"));
    assert_eq!(found.terminal, None);

    for nonce in ["first", "second"] {
        let failure = Failure::new(FailureCode::NotMedia, "a text");
        let dead = Dead { failure, last_task_arn: None, log_link: None, attempts: Vec::new() };
        let terminal = Arc::new(Terminal {
            schema: SCHEMA,
            job: spec.job.clone(),
            nonce: nonce.to_owned(),
            written_at_ms: subject.wall(),
            outcome: Outcome::Dead(dead),
        });
        match one(subject, Action::GiveUp { job: spec.job.clone(), terminal }).await {
            Fact::Decided { terminal, .. } => assert_eq!(terminal.nonce, "first", "S2"),
            other => panic!("{other:?}"),
        }
    }
    let found = inspect(subject, &spec.job).await;
    assert_eq!(found.terminal.as_ref().map(|terminal| &*terminal.nonce), Some("first"));
}

async fn launch(subject: &mut impl Subject, claim: &Arc<Claim>) -> TaskArn {
    match one(subject, Action::Launch { claim: Arc::clone(claim) }).await {
        Fact::Launched { task, .. } => task,
        other => panic!("{other:?}"),
    }
}

async fn describe(subject: &mut impl Subject, task: &TaskArn) -> Option<TaskView> {
    match one(subject, Action::Describe { tasks: vec![task.clone()] }).await {
        Fact::TaskSeen(view) => Some(*view),
        Fact::TaskMissing(arn) => {
            assert_eq!(&arn, task);
            None
        }
        other => panic!("{other:?}"),
    }
}

/// Describes a task until it is as wanted.
async fn until(subject: &mut impl Subject, task: &TaskArn, wanted: impl Fn(&TaskView) -> bool) -> TaskView {
    for _ in 0..600 {
        if let Some(view) = describe(subject, task).await.filter(|view| wanted(view)) {
            return view;
        }
        let step = subject.step();
        subject.pass(step).await;
    }
    panic!("{task} never comes to be as wanted");
}

async fn listed(subject: &mut impl Subject, task: &TaskArn) -> bool {
    let mut facts = subject.call(Action::Resync).await;
    assert_eq!(facts.pop(), Some(Fact::Resynced { complete: true }));
    facts.iter().any(|fact| matches!(fact, Fact::TaskListed(view) if view.arn == *task))
}

/// ECS: tokens, the list, the way to STOPPED, records that expire.
pub(crate) async fn cluster(subject: &mut impl Subject) {
    let text = body("cluster.mp4");
    subject.post(&text).await;
    let spec = spec(&text);
    let Fact::Resolved(pinned) = one(subject, Action::Resolve).await else { panic!("no definition") };
    let claim = claim(subject, &spec.job, &pinned.task_definition, "me");
    one(subject, Action::Claim { spec: Arc::clone(&spec), claim: Arc::clone(&claim) }).await;

    let unknown = subject.unknown_task();
    assert_eq!(describe(subject, &unknown).await, None, "MISSING");
    let stop = Action::Stop { task: unknown, reason: "conformance" };
    assert!(matches!(one(subject, stop).await, Fact::Stopped { .. }), "what ECS does not know is stopped");

    let task = launch(subject, &claim).await;
    assert_eq!(launch(subject, &claim).await, task, "same token, same task");
    let revision = &pinned.task_definition;
    let family = revision.rsplit_once(':').map_or(revision.as_str(), |(family, _)| family);
    let other = Arc::new(Claim { task_definition: family.to_owned(), ..(*claim).clone() });
    assert_eq!(launch(subject, &other).await, task, "ConflictException names the task that is there");

    let view = until(subject, &task, |view| view.status == TaskStatus::Running).await;
    let identity = view.identity.unwrap();
    assert_eq!((identity.job, identity.attempt), (spec.job.clone(), Attempt::FIRST));
    assert!(listed(subject, &task).await, "by startedBy");

    one(subject, Action::Stop { task: task.clone(), reason: "conformance" }).await;
    assert!(!listed(subject, &task).await, "desired STOPPED: listed no more, though it may still run");
    let ended = until(subject, &task, TaskView::ended).await;
    assert_eq!(ended.stop_code.as_deref(), Some("UserInitiated"));
    assert_eq!(ended.stopped_reason.as_deref(), Some("conformance"));
    assert_eq!(
        ended.identity.map(|identity| identity.job),
        Some(spec.job.clone()),
        "outlives the stop, as tags do not"
    );
    assert_eq!(launch(subject, &claim).await, task, "the token outlives its task by an hour");

    // From DEPROVISIONING, where its process has ended, to STOPPED, from which the record ages.
    subject.pass(LAPSE).await;
    subject.age(3).await;
    assert_eq!(describe(subject, &task).await, None, "records of STOPPED tasks expire");
    assert_ne!(launch(subject, &claim).await, task, "and so does the token");
}
