//! The controller's commands, run as an operator runs them, on the local AWS.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    os::unix::fs::PermissionsExt,
    process::{Command, Output},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use transcode_config::contract::{
    Attempt, Heartbeat, JobKey, Layout, Outcome, SCHEMA, Stage, TaskState, UserMetadata, encode,
};
use transcode_tests::{Stack, StackOptions, controller, paths, wait};

const LIMIT: Duration = Duration::from_mins(1);

/// A stack whose tasks run `script`.
async fn stack(folder: &tempfile::TempDir, script: &str) -> Stack {
    let path = folder.path().join("task.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = StackOptions { task_program: Some(path), ..StackOptions::default() }
        .setting("launch.max_tasks", "1")
        .setting("observe.describe_seconds", "1")
        .setting("calls.receive_wait_seconds", "1");
    Stack::with(options).await.unwrap()
}

/// A command with the stack's settings: `presign`, `["get", "x"]`.
fn run(stack: &Stack, command: &str, args: &[&str]) -> Output {
    run_with(stack, command, args, &[])
}

/// As [`run`], with settings from the environment.
fn run_with(stack: &Stack, command: &str, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut program = program(stack);
    program.args([command, "--config"]).arg(stack.plan.config()).args(args);
    program.envs(env.iter().copied()).output().unwrap()
}

/// The program with access to the stack's services.
fn program(stack: &Stack) -> Command {
    let mut program = Command::new(paths::binary("transcode-controller").unwrap());
    let endpoints = controller::environment(stack.endpoint(), &stack.fargate.endpoint);
    // The emulator verifies the signatures of presigned addresses, and only of those. It knows this key.
    let key = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    program.env_clear().envs(endpoints).envs(key);
    program
}

/// A command without a settings file.
fn without_settings(stack: &Stack, args: &[&str]) -> Output {
    program(stack).args(args).output().unwrap()
}

/// Standard output of a command that must succeed.
fn said(stack: &Stack, command: &str, args: &[&str]) -> String {
    let output = run(stack, command, args);
    assert!(output.status.success(), "{command} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that must fail.
fn complained(stack: &Stack, command: &str, args: &[&str]) -> String {
    let output = run(stack, command, args);
    assert_eq!(output.status.code(), Some(1), "{command} {args:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{command} {args:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Uploads to a URL, with the header that refuses to replace an object.
async fn put(url: &str, body: &'static str) -> u16 {
    let put = reqwest::Client::new().put(url).header("if-none-match", "*").body(body);
    put.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn presigned_addresses_upload_and_download_by_plain_http_until_they_expire() {
    let folder = tempfile::tempdir().unwrap();
    let options = StackOptions { without_controller: true, ..StackOptions::default() };
    let stack = Stack::with(options).await.unwrap();
    let key = "ünï code/a+b 50%.mp4";
    let url = said(&stack, "presign", &["put", key, "--bytes", "6"]);
    // Not of another size, and not without the condition.
    assert_eq!(put(url.trim(), "a longer film").await, 403);
    let bare = reqwest::Client::new().put(url.trim()).body("a film").send().await.unwrap();
    assert_eq!(bare.status(), 403);
    assert_eq!(put(url.trim(), "a film").await, 200);
    // Whoever finds the address cannot replace what was uploaded with it.
    assert_eq!(put(url.trim(), "others").await, 412);
    let stored = stack.read(&stack.deployment.source_bucket, key).await.unwrap();
    assert_eq!(stored.as_deref(), Some(b"a film".as_slice()));
    // One message is S3's test event, from when the notification was set.
    stack
        .wait_for("the upload is announced", LIMIT, async || {
            Ok((stack.jobs_waiting().await?.visible == 2).then_some(()))
        })
        .await
        .unwrap();

    // For this key, this verb, and this bucket alone.
    assert_eq!(put(&url.trim().replace("a%2Bb", "other"), "x").await, 403);
    assert_eq!(reqwest::get(url.trim()).await.unwrap().status(), 403);

    let bucket = &stack.deployment.production_bucket;
    let object = stack.clients().s3.put_object().bucket(bucket).key("videos/x/master.m3u8");
    object.body(b"#EXTM3U".to_vec().into()).send().await.unwrap();
    let url = said(&stack, "presign", &["get", "videos/x/master.m3u8", "--expires", "604800"]);
    let answer = reqwest::get(url.trim()).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "#EXTM3U"));

    let brief = said(&stack, "presign", &["get", "videos/x/master.m3u8", "--expires", "1"]);
    wait::until("the address has expired", Duration::from_secs(20), async || {
        Ok((reqwest::get(brief.trim()).await?.status() == 403).then_some(()))
    })
    .await
    .unwrap();

    for (args, complaint) in [
        (vec!["put", "a.mp4", "--bytes", "9", "--bucket", "elsewhere"], "no entry of `sources`"),
        (vec!["put", "folder/", "--bytes", "9"], "folder"),
        (vec!["put", "a.mp4", "--bytes", "0"], "--bytes"),
        (vec!["put", "a.mp4", "--bytes", "1000000000000000"], "--bytes"),
        (vec!["put", "a.mp4", "--bytes", "9", "--expires", "43201"], "--expires"),
        (vec!["get", "a", "--expires", "0"], "--expires"),
        (vec!["get", "a", "--expires", "604801"], "--expires"),
        (vec!["put", "", "--bytes", "9"], "a key has"),
    ] {
        let text = complained(&stack, "presign", &args);
        assert!(text.contains(complaint), "{args:?}: {text}");
    }
    drop(folder);
}

async fn decided(stack: &Stack, job: &str) -> Outcome {
    let job: JobKey = job.parse().unwrap();
    let what = format!("job {job} is decided");
    stack.wait_for(&what, LIMIT, async || stack.record(&job).await).await.unwrap().outcome
}

async fn letters(stack: &Stack, count: usize) {
    let queue = &stack.deployment.dead_letter_queue;
    stack
        .wait_for(&format!("{count} messages in the dead-letter queue"), LIMIT, async || {
            let counts = stack.queue_counts(queue).await?;
            Ok((counts.visible == count as u64 && counts.in_flight == 0).then_some(()))
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_request_is_submitted_shown_explained_and_redriven() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(&folder, "exit 10").await;
    stack.put_source_body("film.mp4", b"x".to_vec()).await.unwrap();
    stack.wait_for_terminal_record("film.mp4", LIMIT).await.unwrap();
    let upload = stack.job_of("film.mp4").await.unwrap().unwrap().job;

    let submitted = said(&stack, "submit", &["--key", "film.mp4"]);
    let submitted = submitted.trim();
    assert_ne!(submitted, upload.as_str(), "a request is a job of its own");
    assert!(matches!(decided(&stack, submitted).await, Outcome::Dead(_)));
    letters(&stack, 2).await;
    let again = complained(&stack, "submit", &["--key", "film.mp4"]);
    assert!(again.contains("not sent") && again.contains("is dead"), "{again}");
    let refused = complained(&stack, "submit", &["--key", "film.mp4", "--profile", "absent"]);
    assert!(refused.contains("UNKNOWN_PROFILE"), "{refused}");
    let elsewhere = complained(&stack, "submit", &["--key", "film.mp4", "--bucket", "elsewhere"]);
    assert!(elsewhere.contains("no entry of `sources`"), "{elsewhere}");
    let named = said(&stack, "submit", &["--key", "film.mp4", "--idempotency-key", "order-17"]);
    let named = named.trim();
    decided(&stack, named).await;
    // The last message is deleted after its letter was sent. Had what was refused here been sent, it would bring another.
    let settled = async || Ok((stack.jobs_waiting().await?.total() == 0).then_some(()));
    stack.wait_for("every message is settled", LIMIT, settled).await.unwrap();
    letters(&stack, 3).await;

    let shown = said(&stack, "get", &[named]);
    for part in [named, "film.mp4", "profile    standard", "attempt    1 claimed", "INPUT_REFUSED", ":task/"]
    {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(complained(&stack, "get", &["absent.mp4"]).contains("no record of a job of absent.mp4"));
    let unknown = "0".repeat(32);
    assert!(complained(&stack, "get", &[&unknown]).contains("no record"));
    // What the controller says of a job is up to a second old.
    let parts =
        ["It is dead since", "after 1 attempt", "INPUT_REFUSED", "The uploader can act", "would fail again"];
    explains(&stack, named, &parts).await;

    redrives(&stack, upload.as_str(), submitted, named).await;
}

/// The second half, with three dead letters.
async fn redrives(stack: &Stack, upload: &str, submitted: &str, named: &str) {
    let queue = &stack.deployment.dead_letter_queue;
    let strange = stack.clients().sqs.send_message().queue_url(queue).message_body("not ours");
    strange.send().await.unwrap();

    // Sent before deleted: where it cannot be sent nothing is lost, and nothing stays hidden.
    let gone = format!("{}-gone", stack.deployment.jobs_queue);
    let failed = run_with(stack, "redrive", &["--yes"], &[("TRANSCODE_QUEUES__DEFAULT__URL", &gone)]);
    assert_eq!(failed.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(complaint.contains("not sent; the letter is still there"), "{complaint}");
    letters(stack, 4).await;

    let moved = said(stack, "redrive", &["--job", upload]);
    assert!(moved.contains(&format!("job {upload} (INPUT_REFUSED) runs again as job ")), "{moved}");
    assert!(moved.contains("generation 1\n"), "{moved}");
    assert!(moved.ends_with("1 moved, 3 looked at and left\n"), "{moved}");
    let next = moved.split("runs again as job ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    decided(stack, next).await;
    letters(stack, 4).await;

    // Found by the key of the object: the upload in both generations, and what was submitted, also under a name of its own.
    let records: Value = serde_json::from_str(&said(stack, "get", &["film.mp4", "-o", "json"])).unwrap();
    let mut found: Vec<_> = records
        .as_array()
        .unwrap()
        .iter()
        .map(|record| (record["job"].as_str().unwrap(), record["spec"]["generation"].as_u64().unwrap()))
        .collect();
    found.sort_unstable();
    let mut expected = [(upload, 0), (next, 1), (submitted, 0), (named, 0)];
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(records[0]["job"], next, "the newest first");

    let one = said(stack, "redrive", &["--max", "1"]);
    assert!(one.contains("1 moved, "), "{one}");
    assert_eq!(one.matches("runs again").count(), 1, "{one}");
    letters(stack, 4).await;
    let all = said(stack, "redrive", &["--yes"]);
    assert!(all.contains("left: no letter of ours, and refused: MALFORMED"), "{all}");
    assert!(all.ends_with("3 moved, 1 looked at and left\n"), "{all}");
    letters(stack, 4).await;
    let third = said(stack, "get", &[named]);
    assert!(third.contains("generation 0"), "what has been decided stays on record: {third}");
    assert_eq!(
        stack.fargate.counters().await.unwrap()["tasks"]["launched"],
        8,
        "each once in each generation"
    );
}

/// Repeats the command until the explanation has all these parts.
async fn explains(stack: &Stack, job: &str, parts: &[&str]) -> String {
    stack
        .wait_for(&format!("an explanation with {parts:?}"), LIMIT, async || {
            let text = said(stack, "explain", &[job]);
            Ok(parts.iter().all(|part| text.contains(part)).then_some(text))
        })
        .await
        .unwrap()
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// An upload's event with two objects: with one slot, one of them must wait.
fn two_uploads(bucket: &str) -> String {
    let record = |key: &str| {
        json!({"eventVersion": "2.1", "eventName": "ObjectCreated:Put",
               "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 9, "versionId": "v1"}}})
    };
    json!({"Records": [record("one.mp4"), record("two.mp4")]}).to_string()
}

/// The waiting job, from the controller's notes.
async fn waiting(stack: &Stack) -> String {
    let settings = std::fs::read_to_string(stack.plan.config()).unwrap();
    let listen = settings.lines().find_map(|line| line.strip_prefix("http.listen = ")).unwrap();
    let notes = format!("http://{}/notes", listen.trim_matches('"'));
    stack
        .wait_for("a job waits for the other", LIMIT, async || {
            let notes: Value = reqwest::get(&notes).await?.json().await?;
            let jobs = notes["jobs"].as_object().cloned().unwrap_or_default();
            let found = jobs.into_iter().find(|(_, note)| note["why"] == "waiting for a free slot");
            Ok(found.map(|(job, _)| job))
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn what_goes_on_is_explained_from_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(&folder, "sleep 600").await;
    stack.send_job(&two_uploads(&stack.deployment.source_bucket)).await.unwrap();
    waiting(&stack).await;
    let spec = stack.jobs().await.unwrap().remove(0);
    let (job, key, object) = (&spec.job, spec.job.as_str(), spec.source.key.as_str());
    let claimed = [object, "profile standard", "Attempt 1 was claimed", "waits for ECS"];
    explains(&stack, key, &claimed).await;

    let heartbeat = Heartbeat {
        schema: SCHEMA,
        job: job.clone(),
        attempt: Attempt::FIRST,
        task_arn: None,
        seq: 7,
        written_at_ms: now(),
        stage: Stage::Transcoding,
        percent: 42.0,
        speed: Some(1.5),
        playable: Some("videos/x/v-1/early.m3u8".into()),
        user_metadata: UserMetadata::default(),
        state: TaskState::Working,
    };
    let put = stack.clients().s3.put_object().bucket(&stack.deployment.state_bucket);
    let put = put.key(Layout::of(job).heartbeat(Attempt::FIRST)).body(encode(&heartbeat).into());
    put.send().await.unwrap();
    explains(
        &stack,
        key,
        &["Attempt 1 is transcoding, 42 % done", "Nobody has to act", "played: videos/x/v-1/early.m3u8"],
    )
    .await;
    // No object of this version is there: found by searching.
    let shown = said(&stack, "get", &[object]);
    assert!(shown.contains("heartbeat 7") && shown.contains("transcoding, 42 %, 1.50x"), "{shown}");
    assert!(shown.contains("playable already: videos/x/v-1/early.m3u8"), "{shown}");
}

async fn dashboard(stack: &Stack, name: &str) -> Value {
    let answer = stack.clients().cloudwatch.get_dashboard().dashboard_name(name).send().await.unwrap();
    serde_json::from_str(answer.dashboard_body().unwrap()).unwrap()
}

#[tokio::test]
async fn the_dashboard_that_is_printed_is_the_one_that_was_deployed_and_can_be_put() {
    let options = StackOptions { without_controller: true, ..StackOptions::default() };
    let stack = Stack::with(options).await.unwrap();
    let printed: Value = serde_json::from_str(&said(&stack, "dashboard", &["print"])).unwrap();
    assert_eq!(printed, dashboard(&stack, "local-transcode").await);

    // The stack knows the environment's settings, so that no file is needed.
    let of_stack =
        without_settings(&stack, &["dashboard", "print", "--stack", &stack.deployment.environment]);
    assert!(of_stack.status.success(), "{}", String::from_utf8_lossy(&of_stack.stderr));
    assert_eq!(serde_json::from_slice::<Value>(&of_stack.stdout).unwrap(), printed);
    for (args, complaint) in [
        (["dashboard", "print", "--stack", "absent"], "check --stack and AWS_REGION"),
        (["get", "x", "-o", "json"], "Give --stack NAME or --config FILE"),
        (["healthcheck", "--stack", "absent", "-ojson"], "give --config FILE"),
    ] {
        let refused = without_settings(&stack, &args);
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{text}");
        assert!(text.contains(complaint) && text.lines().count() == 1, "{text}");
    }

    said(&stack, "dashboard", &["put", "--name", "mine", "--runbook", "https://example.com/runbook"]);
    let put = dashboard(&stack, "mine").await;
    assert_eq!(put["widgets"].as_array().unwrap().len(), printed["widgets"].as_array().unwrap().len());
    let title = put["widgets"][0]["properties"]["markdown"].as_str().unwrap();
    assert!(title.contains("https://example.com/runbook"), "{title}");
}
