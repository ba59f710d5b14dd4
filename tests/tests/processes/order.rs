//! Several uploads of one object: what is live is the newest, whatever order their jobs end in (S17); and the ways in
//! which a person, or a caller with an idempotency key, asks for something else.

use std::time::Duration;

use serde_json::{Value, json};
use transcode_config::contract::{Attempt, FailureCode, JobSpec, Layout, Outcome, OutputTarget};
use transcode_tests::{Stack, StackOptions, paths};

use super::{run, said};

const LIMIT: Duration = Duration::from_mins(1);

const KEY: &str = "film.mp4";

/// A stack whose first task does `first` before it begins, or instead.
async fn stack(folder: &tempfile::TempDir, first: &str, stops: bool) -> Stack {
    let task = paths::binary("transcode-task").unwrap();
    let (mark, first) = (folder.path().join("first"), first.replace("GO", &go(folder)));
    let script =
        format!("if mkdir '{}' 2>/dev/null; then {first}; fi; exec '{}'", mark.display(), task.display());
    let options = StackOptions {
        task_program: Some(paths::script(folder.path(), &script).unwrap()),
        ..StackOptions::default()
    }
    .setting("jobs.default_profile", "\"audio\"")
    .setting("jobs.stop_superseded", if stops { "true" } else { "false" })
    .setting("observe.describe_seconds", "1")
    .setting("calls.receive_wait_seconds", "1");
    Stack::with(options).await.unwrap()
}

fn go(folder: &tempfile::TempDir) -> String {
    folder.path().join("go").display().to_string()
}

/// Holds the first task until there is a file.
const WAITS: &str = "while [ ! -e 'GO' ]; do sleep 0.1; done";

async fn upload(stack: &Stack) {
    stack.put_source_body(KEY, paths::tiny_clip(stack.folder()).unwrap()).await.unwrap();
}

async fn jobs_of(stack: &Stack, count: usize) -> Vec<JobSpec> {
    let what = format!("{count} jobs are accepted");
    let accepted = async || Ok(Some(stack.jobs().await?).filter(|jobs| jobs.len() == count));
    stack.wait_for(&what, LIMIT, accepted).await.unwrap()
}

/// The jobs of the object in the order of its uploads, once there are so many.
async fn jobs(stack: &Stack, count: usize) -> Vec<JobSpec> {
    let mut jobs = jobs_of(stack, count).await;
    jobs.sort_by(|one, other| {
        let order = |spec: &JobSpec| (spec.source.sequencer.clone(), spec.generation);
        order(one).cmp(&order(other))
    });
    assert!(jobs.iter().all(|spec| spec.source.sequencer.is_some()), "{jobs:?}");
    jobs
}

async fn outcome(stack: &Stack, spec: &JobSpec) -> Outcome {
    let what = format!("job {} is decided", spec.job);
    stack.wait_for(&what, LIMIT, async || stack.record(&spec.job).await).await.unwrap().outcome
}

/// The name of a job's first folder, as it is in what lies under the stable names.
fn folder_of(spec: &JobSpec) -> String {
    Layout::of(&spec.job).folder(Attempt::FIRST)
}

/// Waits until every stable name is a copy of what lies in the folder of a job.
async fn is_live(stack: &Stack, spec: &JobSpec) {
    let OutputTarget { bucket, prefix } = &spec.output;
    for name in ["master.m3u8", "manifest.mpd", "metadata.json"] {
        stack
            .wait_for(&format!("{name} is of job {}", spec.job), LIMIT, async || {
                let own = stack.read(bucket, &format!("{prefix}{}entry/{name}", folder_of(spec))).await?;
                let live = stack.read(bucket, &format!("{prefix}{name}")).await?;
                Ok((own.is_some() && own == live).then_some(()))
            })
            .await
            .unwrap();
    }
}

/// Failure codes of the dead letters, once there are so many and no job is left.
async fn letters(stack: &Stack, count: usize) -> Vec<FailureCode> {
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    let queue = &stack.deployment.dead_letter_queue;
    let arrived = async || Ok((stack.queue_counts(queue).await?.total() == count as u64).then_some(()));
    stack.wait_for(&format!("{count} dead letters"), LIMIT, arrived).await.unwrap();
    let letters = stack.dead_letters().await.unwrap();
    let code = |body: &str| {
        let letter: Value = serde_json::from_str(body).unwrap();
        serde_json::from_value(letter["dead"]["failure"]["code"].clone()).unwrap()
    };
    letters.iter().map(|letter| code(letter.body().unwrap())).collect()
}

/// Two uploads of one key: the first one's task waits, the second one's job is live.
async fn overtaken(stack: &Stack) -> Vec<JobSpec> {
    upload(stack).await;
    jobs(stack, 1).await;
    stack
        .wait_for("the first task runs", LIMIT, async || {
            Ok((stack.fargate.counters().await?["tasks"]["running"] == 1).then_some(()))
        })
        .await
        .unwrap();
    upload(stack).await;
    let jobs = jobs(stack, 2).await;
    is_live(stack, &jobs[1]).await;
    jobs
}

#[tokio::test]
async fn an_upload_that_ends_after_a_newer_one_is_superseded_and_the_stable_names_stay() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(&folder, WAITS, false).await;
    let jobs = overtaken(&stack).await;
    std::fs::write(go(&folder), b"").unwrap();
    assert!(matches!(outcome(&stack, &jobs[0]).await, Outcome::Succeeded(_)));
    assert_eq!(letters(&stack, 0).await, []);
    is_live(&stack, &jobs[1]).await;
    let parts = ["It is superseded", jobs[1].job.as_str(), &folder_of(&jobs[0]), "Nobody has to act"];
    // The controller's notes are of its last turn.
    let explained = async || {
        let text = said(&stack, &["explain", jobs[0].job.as_str()]);
        Ok(parts.iter().all(|part| text.contains(part)).then_some(()))
    };
    stack.wait_for(&format!("an explanation with {parts:?}"), LIMIT, explained).await.unwrap();
    super::audited(&stack, 0).await;
}

#[tokio::test]
async fn a_task_at_work_on_an_older_upload_is_stopped_and_its_job_ends_without_letter_or_retry() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(&folder, WAITS, true).await;
    let jobs = overtaken(&stack).await;
    let Outcome::Superseded(superseded) = outcome(&stack, &jobs[0]).await else {
        panic!("{}", stack.tails(40))
    };
    assert_eq!((superseded.by.as_ref(), superseded.attempts.len()), (Some(&jobs[1].job), 1));
    assert_eq!(letters(&stack, 0).await, []);
    let tasks = stack.fargate.counters().await.unwrap()["tasks"].clone();
    assert_eq!((&tasks["launched"], &tasks["running"]), (&2.into(), &0.into()));
    is_live(&stack, &jobs[1]).await;
    let left = stack.published(&format!("{}{}", jobs[0].output.prefix, folder_of(&jobs[0]))).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    super::audited(&stack, 0).await;
}

#[tokio::test]
async fn an_old_letter_is_redriven_over_a_newer_upload_only_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(&folder, "exit 10", true).await;
    upload(&stack).await;
    assert_eq!(letters(&stack, 1).await, [FailureCode::InputRefused]);
    upload(&stack).await;
    let uploads = jobs(&stack, 2).await;
    is_live(&stack, &uploads[1]).await;
    stack.wait_for_empty_queue(LIMIT).await.unwrap();

    let left = said(&stack, &["redrive"]);
    for part in
        [uploads[0].job.as_str(), uploads[1].job.as_str(), "is live", "`--force`", "0 moved, 1 looked at"]
    {
        assert!(left.contains(part), "{part} is not in: {left}");
    }
    let moved = said(&stack, &["redrive", "--force"]);
    assert!(moved.ends_with("1 moved, 0 looked at and left\n"), "{moved}");
    let forced = jobs(&stack, 3).await.into_iter().find(|spec| spec.forced).unwrap();
    assert_eq!((&forced.source, forced.generation), (&uploads[0].source, 1));
    is_live(&stack, &forced).await;
    assert_eq!(letters(&stack, 0).await, []);

    // And back: the newer upload is older than what a person has forced since.
    let version = uploads[1].source.version_id.clone().unwrap();
    let submit = ["submit", "--key", KEY, "--version-id", &version];
    let refused = run(&stack, &submit);
    let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && complaint.contains("is live"), "{complaint}");
    assert!(complaint.contains(forced.job.as_str()) && complaint.contains("--force"), "{complaint}");
    let submitted = said(&stack, &[&submit[..], &["--force"]].concat());
    let back = jobs_of(&stack, 4).await.into_iter().find(|spec| spec.job.as_str() == submitted.trim());
    is_live(&stack, &back.unwrap()).await;
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    super::audited(&stack, 0).await;
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_its_first_source_and_a_refused_request_does_not_use_it_up() {
    let folder = tempfile::tempdir().unwrap();
    let options = StackOptions {
        task_program: Some(paths::script(folder.path(), "exit 10").unwrap()),
        ..StackOptions::default()
    };
    let options = options.setting("observe.describe_seconds", "1").setting("calls.receive_wait_seconds", "1");
    let stack = Stack::with(options).await.unwrap();
    let request = |bucket: &str, key: &str| {
        json!({"schema": 1, "kind": "transcode.job", "source": {"bucket": bucket, "key": key},
               "idempotency_key": "order-17"})
        .to_string()
    };
    let source = stack.deployment.source_bucket.clone();
    stack.send_job(&request("elsewhere", "a.mp4")).await.unwrap();
    assert_eq!(letters(&stack, 1).await, [FailureCode::SourceNotAllowed]);
    stack.send_job(&request(&source, "b.mp4")).await.unwrap();
    letters(&stack, 2).await;
    stack.send_job(&request(&source, "c.mp4")).await.unwrap();
    let mut codes = letters(&stack, 3).await;
    codes.sort_unstable();
    let expected =
        [FailureCode::SourceNotAllowed, FailureCode::InputRefused, FailureCode::IdempotencyKeyReused];
    assert_eq!(codes, expected);
    assert_eq!(stack.fargate.counters().await.unwrap()["tasks"]["launched"], 1);
    super::audited(&stack, 0).await;
}
