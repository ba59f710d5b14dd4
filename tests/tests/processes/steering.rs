//! What people want in the control document, and by StopTask: cancel, pause, drain and resume (S19).

use std::{fs, time::Duration};

use transcode_config::contract::{
    Attempt, Cancel, Cancelled, Cancels, Control, JobSpec, Layout, Outcome, SettingsOverlay, Told,
    control_key, encode,
};
use transcode_local::{Fault, FaultKind};
use transcode_tests::{Stack, StackOptions, paths};

const LIMIT: Duration = Duration::from_mins(1);

/// Holds each task until there is a file.
async fn stack(folder: &tempfile::TempDir, settings: &[(&str, &str)]) -> Stack {
    let task = paths::binary("transcode-task").unwrap();
    let script = format!("while [ ! -e '{}' ]; do sleep 0.1; done; exec '{}'", go(folder), task.display());
    let options = StackOptions {
        task_program: Some(paths::script(folder.path(), &script).unwrap()),
        ..StackOptions::default()
    }
    .setting("jobs.default_profile", "\"audio\"")
    .setting("observe.describe_seconds", "1")
    .setting("control.poll_seconds", "1")
    .setting("calls.receive_wait_seconds", "1");
    let options = settings.iter().fold(options, |options, (key, value)| options.setting(key, value));
    Stack::with(options).await.unwrap()
}

fn go(folder: &tempfile::TempDir) -> String {
    folder.path().join("go").display().to_string()
}

pub(super) fn ann(why: &str) -> Told {
    Told { who: "arn:aws:iam::123456789012:user/ann".into(), why: why.into(), at_ms: u64::MAX >> 1 }
}

/// Writes the control document.
async fn wants(stack: &Stack, control: &Control) {
    let made = &stack.deployment;
    let put = stack.clients().s3.put_object().bucket(&made.state_bucket).key(control_key(&made.environment));
    put.body(encode(control).into()).send().await.unwrap();
}

fn cancels(revision: u64, what: Cancels) -> Control {
    let cancels = vec![Cancel { what, told: ann("wrong film") }];
    Control { revision, last: Some(ann("wrong film")), cancels, ..Control::default() }
}

async fn upload(stack: &Stack, key: &str) {
    stack.put_source_body(key, paths::tiny_clip(stack.folder()).unwrap()).await.unwrap();
}

async fn job_of(stack: &Stack, key: &str) -> JobSpec {
    stack.wait_for(&format!("{key} is accepted"), LIMIT, async || stack.job_of(key).await).await.unwrap()
}

async fn running(stack: &Stack, tasks: u64) {
    let runs = async || Ok((stack.fargate.counters().await?["tasks"]["running"] == tasks).then_some(()));
    stack.wait_for(&format!("{tasks} tasks run"), LIMIT, runs).await.unwrap();
}

async fn logged(stack: &Stack, said: &str) {
    let log = || fs::read_to_string(stack.folder().join("logs/controller.out")).unwrap_or_default();
    stack.wait_for(said, LIMIT, async || Ok(log().contains(said).then_some(()))).await.unwrap();
}

/// The cancelled record of a job, once its message is gone; nothing of the job is left.
async fn cancelled(stack: &Stack, spec: &JobSpec) -> Cancelled {
    let what = format!("job {} is decided", spec.job);
    let terminal = stack.wait_for(&what, LIMIT, async || stack.record(&spec.job).await).await.unwrap();
    let Outcome::Cancelled(cancelled) = terminal.outcome else { panic!("{}", stack.tails(40)) };
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    running(stack, 0).await;
    let folder = format!("{}{}", spec.output.prefix, Layout::of(&spec.job).folder(Attempt::FIRST));
    assert!(stack.published(&folder).await.unwrap().is_empty(), "its folder is empty");
    assert_eq!(stack.dead_letters().await.unwrap().len(), 0, "no letter");
    cancelled
}

#[tokio::test]
async fn cancelled_while_it_waits_starts_or_runs_a_job_ends_without_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(&folder, &[]).await;

    upload(&stack, "runs.mp4").await;
    running(&stack, 1).await;
    let runs = job_of(&stack, "runs.mp4").await;
    wants(&stack, &cancels(1, Cancels::Job(runs.job.clone()))).await;
    let ended = cancelled(&stack, &runs).await;
    assert_eq!((ended.attempts.len(), ended.told), (1, ann("wrong film")));

    let kind = FaultKind::Stuck { phase: "PENDING".to_owned() };
    let fault = Fault { kind, operation: Some("RunTask".into()), job: None, count: Some(1), one_in: None };
    stack.fargate.fault(&fault).await.unwrap();
    upload(&stack, "starts.mp4").await;
    logged(&stack, "\"task launched\"").await;
    let starts = job_of(&stack, "starts.mp4").await;
    wants(&stack, &cancels(2, Cancels::Job(starts.job.clone()))).await;
    assert_eq!(cancelled(&stack, &starts).await.attempts.len(), 1);

    // Before the job is received: only a message asks for it.
    let prefix = Cancels::Prefix { bucket: stack.deployment.source_bucket.clone(), prefix: "wai".into() };
    wants(&stack, &cancels(3, prefix)).await;
    logged(&stack, "\"prefix\":\"wai\"").await;
    upload(&stack, "waits.mp4").await;
    logged(&stack, "\"message\":\"job cancelled\"").await;
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    assert_eq!(stack.job_of("waits.mp4").await.unwrap(), None, "it was never begun");
    assert_eq!(stack.fargate.counters().await.unwrap()["tasks"]["launched"], 2);

    fs::write(go(&folder), b"").unwrap();
    upload(&stack, "good.mp4").await;
    let good = job_of(&stack, "good.mp4").await;
    stack.wait_for_terminal_record("good.mp4", LIMIT).await.unwrap();
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    wants(&stack, &cancels(4, Cancels::Job(good.job.clone()))).await;
    logged(&stack, good.job.as_str()).await;
    let record = stack.record(&good.job).await.unwrap().unwrap();
    assert!(matches!(record.outcome, Outcome::Succeeded(_)), "what is done stays done");
    super::audited(&stack, 0).await;
}

#[tokio::test]
async fn stop_task_with_the_documented_reason_cancels_the_job() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(&folder, &[]).await;
    upload(&stack, "film.mp4").await;
    running(&stack, 1).await;
    let spec = job_of(&stack, "film.mp4").await;
    let (ecs, cluster) = (&stack.fargate.ecs, &stack.deployment.cluster);
    let task = ecs.list_tasks().cluster(cluster).send().await.unwrap().task_arns()[0].clone();
    ecs.stop_task().cluster(cluster).task(task).reason("cancel: wrong film").send().await.unwrap();
    let ended = cancelled(&stack, &spec).await;
    assert_eq!((ended.told.who.as_str(), ended.told.why.as_str()), ("StopTask", "wrong film"));
    assert_eq!(stack.fargate.counters().await.unwrap()["tasks"]["launched"], 1, "never a retry");
}

#[tokio::test]
async fn a_controller_that_starts_while_paused_launches_nothing_until_somebody_resumes() {
    let folder = tempfile::tempdir().unwrap();
    // The shortest that the settings take.
    let lease =
        [("lease.visibility_seconds", "60"), ("lease.margin_seconds", "20"), ("calls.attempt_seconds", "10")];
    let mut stack = stack(&folder, &lease).await;
    fs::write(go(&folder), b"").unwrap();
    let paused = Control { revision: 1, paused: Some(ann("too expensive")), ..Control::default() };
    wants(&stack, &paused).await;
    logged(&stack, "\"message\":\"paused\"").await;
    stack.kill_controller().unwrap();
    upload(&stack, "film.mp4").await;
    stack.start_controller().await.unwrap();
    logged(&stack, "launches pause").await;
    assert_eq!(stack.fargate.counters().await.unwrap()["tasks"]["launched"], 0);
    assert_eq!(stack.jobs_waiting().await.unwrap().total(), 1, "the message is kept");
    let settings = SettingsOverlay { values: serde_json::json!({"launch": {"max_tasks": 3}}), told: ann("") };
    wants(&stack, &Control { revision: 2, settings: Some(settings), ..Control::default() }).await;
    // The killed controller's last receive may have taken the message: it comes back after its visibility timeout.
    stack.wait_for_terminal_record("film.mp4", 3 * LIMIT).await.unwrap();
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    logged(&stack, "\"key\":\"launch.max_tasks\"").await;
    wants(&stack, &Control { schema: 99, revision: 3, ..Control::default() }).await;
    logged(&stack, "control document refused").await;
    super::audited(&stack, 0).await;
}
