//! `submit` at the command line: files with uploads that go on where they were interrupted, prefixes and lists that are
//! resumed, and what is answered where there is a job already.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod ends;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use transcode_config::contract::JobKey;
use transcode_tests::{
    Stack, StackOptions, controller, paths,
    proxy::{Call, Interceptor, Proxy, Treatment},
};

const LIMIT: Duration = Duration::from_mins(1);

/// Size of a part, as the program has it.
const PART: usize = 16 << 20;

fn command(stack: &Stack, args: &[&str]) -> Command {
    let mut command = Command::new(paths::binary("transcode-controller").unwrap());
    command.args(args).arg("--config").arg(stack.plan.config());
    command.env_clear().envs(controller::environment(stack.endpoint(), &stack.fargate.endpoint));
    command.stdin(Stdio::null());
    command
}

/// Standard output and standard error of a command that must succeed.
fn both(stack: &Stack, args: &[&str]) -> (String, String) {
    let Output { status, stdout, stderr } = command(stack, args).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{args:?}: {stderr}");
    (String::from_utf8(stdout).unwrap(), stderr)
}

fn said(stack: &Stack, args: &[&str]) -> String {
    both(stack, args).0.trim().to_owned()
}

/// Standard error of a command that must fail.
fn complained(stack: &Stack, args: &[&str]) -> String {
    let output = command(stack, args).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Counts the parts that are sent, and swallows one.
#[derive(Debug, Default)]
struct Parts {
    sent: AtomicUsize,
    swallow: Option<usize>,
}

impl Interceptor for Parts {
    fn request(&self, call: &Call) -> Treatment {
        // A part is a PUT like any other to the proxy.
        if call.operation != "PutObject" {
            return Treatment::Forward;
        }
        let number = self.sent.fetch_add(1, Ordering::SeqCst);
        if self.swallow.is_some_and(|from| number >= from) {
            Treatment::BlackHole
        } else {
            Treatment::Forward
        }
    }
}

#[tokio::test]
async fn a_file_is_uploaded_once_and_an_interrupted_upload_goes_on() {
    let options = StackOptions { without_controller: true, without_image: true, ..StackOptions::default() };
    let options = options.setting("sources.uploads.tenants", r#"[{ prefix = "tenants/{id}/" }]"#);
    let stack = Stack::with(options).await.unwrap();
    let bucket = stack.deployment.source_bucket.clone();
    let folder = tempfile::tempdir().unwrap();
    let small = file(folder.path(), "ünï code.mp4", b"a film");
    let small = small.to_str().unwrap();

    let job = said(&stack, &["submit", small]);
    assert!(job.parse::<JobKey>().is_ok(), "{job}");
    assert_eq!(stack.read(&bucket, "ünï code.mp4").await.unwrap().as_deref(), Some(b"a film".as_slice()));
    let again = complained(&stack, &["submit", small]);
    assert!(
        again.contains("is there already") && again.contains("6 bytes") && again.contains("--replace"),
        "{again}"
    );
    let newer = said(&stack, &["submit", small, "--replace"]);
    assert_ne!(newer, job, "another version is another job");
    said(&stack, &["submit", small, "--tenant", "acme", "--user-metadata", "user-id=42"]);
    let head = stack.clients().s3.head_object().bucket(&bucket).key("tenants/acme/ünï code.mp4");
    let words = head.send().await.unwrap().metadata.unwrap();
    assert_eq!(words.get("user-id").map(String::as_str), Some("42"));
    assert!(stack.read(&bucket, "tenants/acme/ünï code.mp4").await.unwrap().is_some());
    said(&stack, &["submit", small, "--key", "films/"]);
    assert!(stack.read(&bucket, "films/ünï code.mp4").await.unwrap().is_some());
    let empty = file(folder.path(), "empty.mp4", b"");
    for (args, part) in [
        (vec!["submit", empty.to_str().unwrap()], "is empty"),
        (vec!["submit", "absent.mp4"], "cannot be read"),
        (vec!["submit", small, "--profile", "hevc", "--key", "b"], "profile of its source"),
        (vec!["submit", small, "--tenant", "a/b"], "no rule"),
        (vec!["submit", "s3://elsewhere/a.mp4"], "no entry of `sources`"),
    ] {
        let complaint = complained(&stack, &args);
        assert!(complaint.contains(part), "{args:?}: {complaint}");
    }

    let bytes: Vec<u8> = (0..3 * PART + 5).map(|at| at.to_le_bytes()[2]).collect();
    let large = file(folder.path(), "large.mp4", &bytes);
    let args = ["submit", large.to_str().unwrap()];
    killed_in_a_part(&stack, &args).await;
    assert_eq!(stack.read(&bucket, "large.mp4").await.unwrap(), None);
    let counter = Arc::new(Parts::default());
    let proxy = Proxy::start(stack.endpoint(), Arc::clone(&counter) as Arc<dyn Interceptor>).await.unwrap();
    let mut on = command(&stack, &args);
    on.env("AWS_ENDPOINT_URL_S3", &proxy.endpoint);
    let output = tokio::task::spawn_blocking(move || on.output().unwrap()).await.unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && complaint.contains("going on with an upload"), "{complaint}");
    let sent = counter.sent.load(Ordering::SeqCst);
    assert!((1..4).contains(&sent), "{sent} of four parts were sent again");
    assert!(stack.read(&bucket, "large.mp4").await.unwrap() == Some(bytes), "byte for byte");
    let open = stack.clients().s3.list_multipart_uploads().bucket(&bucket).send().await.unwrap();
    assert_eq!(open.uploads(), []);
}

/// Runs a command, and kills it when a part of its upload gets no answer.
async fn killed_in_a_part(stack: &Stack, args: &[&str]) {
    let parts = Arc::new(Parts { swallow: Some(2), ..Parts::default() });
    let proxy = Proxy::start(stack.endpoint(), Arc::clone(&parts) as Arc<dyn Interceptor>).await.unwrap();
    let mut child = command(stack, args).env("AWS_ENDPOINT_URL_S3", &proxy.endpoint).spawn().unwrap();
    let bucket = &stack.deployment.source_bucket;
    let there = async || {
        let s3 = &stack.clients().s3;
        let open = s3.list_multipart_uploads().bucket(bucket).send().await?;
        let Some(id) = open.uploads().first().and_then(|it| it.upload_id()) else { return Ok(None) };
        let parts = s3.list_parts().bucket(bucket).key("large.mp4").upload_id(id).send().await?;
        Ok((parts.parts().len() == 2).then_some(()))
    };
    stack.wait_for("two parts are there", LIMIT, there).await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A stack whose tasks run `script`.
async fn running(folder: &Path, script: &str) -> Stack {
    let options = StackOptions {
        task_program: Some(paths::script(folder, script).unwrap()),
        ..StackOptions::default()
    };
    let options = options.setting("observe.describe_seconds", "1").setting("calls.receive_wait_seconds", "1");
    Stack::with(options).await.unwrap()
}

#[tokio::test]
async fn what_has_a_job_is_not_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let stack = running(folder.path(), "sleep 600").await;
    let bucket = stack.deployment.source_bucket.clone();
    stack.put_source_body("one.mp4", b"x".to_vec()).await.unwrap();
    let spec = stack.wait_for("it is accepted", LIMIT, async || stack.job_of("one.mp4").await).await.unwrap();
    let address = format!("s3://{bucket}/one.mp4");
    let (job, note) = both(&stack, &["submit", &address]);
    assert_eq!(job.trim(), spec.job.as_str(), "the upload's own");
    assert!(note.contains("already running as job") && note.contains("--again"), "{note}");
    let json: Value = serde_json::from_str(&said(&stack, &["submit", &address, "-o", "json"])).unwrap();
    assert_eq!((json["state"].as_str(), json["job"].as_str()), (Some("running"), Some(spec.job.as_str())));
    let again = said(&stack, &["submit", &address, "--again"]);
    assert_ne!(again, spec.job.as_str());
    let accepted =
        async || Ok(stack.jobs().await?.iter().any(|spec| spec.job.as_str() == again).then_some(()));
    stack.wait_for("the other job is accepted", LIMIT, accepted).await.unwrap();
    assert_eq!(stack.jobs().await.unwrap().len(), 2);

    // Its cancel is carried out, and it runs anew without a letter: its message is made from its specification.
    said(&stack, &["cancel", &again, "--why", "a test", "--wait", "--timeout", "60"]);
    let retried = said(&stack, &["retry", &again]);
    assert!(retried.ends_with(", generation 1"), "{retried}");
    let next = retried.split("runs again as job ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    let accepted = async || Ok(stack.jobs().await?.into_iter().find(|spec| spec.job.as_str() == next));
    let spec = stack.wait_for("the next generation is accepted", LIMIT, accepted).await.unwrap();
    assert_eq!((spec.generation, spec.source.key.as_str()), (1, "one.mp4"));
}

#[tokio::test]
async fn a_prefix_and_a_list_are_asked_for_in_runs_that_go_on_where_the_last_one_stopped() {
    let options = StackOptions { without_controller: true, without_image: true, ..StackOptions::default() };
    let stack = Stack::with(options).await.unwrap();
    let bucket = stack.deployment.source_bucket.clone();
    let keys = ["in/1 ü.mp4", "in/2+.mp4", "in/3.mp4", "out/4.mp4"];
    for key in keys {
        stack.put_source_body(key, b"x".to_vec()).await.unwrap();
    }
    // Of an object with several versions only the newest is meant.
    stack.put_source_body("in/3.mp4", b"newer".to_vec()).await.unwrap();
    let prefix = format!("s3://{bucket}/in/");
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let run = ["submit", &prefix, "--recursive", "--rate", "100", "--idempotency-key", "run-1"];
    let (first, told) = both(&stack, &[&run[..], &["--max", "2"]].concat());
    assert_eq!(lines(&first).len(), 2);
    assert!(told.contains("2 asked for") && told.contains("the same command goes on"), "{told}");

    // Only a job that is accepted is known; without a controller the second run asks for the same two jobs and one more.
    let (second, told) = both(&stack, &run);
    let second = lines(&second);
    assert_eq!(&second[..2], lines(&first), "the same jobs, whatever became of the first run");
    assert!(second.len() == 3 && told.contains("3 asked for, 0 have a job already"), "{told}");

    let manifest = format!("# films\n{}\n\ns3://{bucket}/{}\r\nin/3.mp4\n", keys[0], keys[3]);
    let list = file(stack.folder(), "list", manifest.as_bytes());
    let list = ["submit", "--manifest", list.to_str().unwrap(), "-o", "json"];
    let (listed, _) = both(&stack, &list);
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = listed.iter().map(|it| it["key"].as_str().unwrap()).collect();
    assert_eq!(found, [keys[0], keys[3], keys[2]]);
    assert!(
        complained(&stack, &["submit", "s3://elsewhere/", "--recursive"]).contains("no entry of `sources`")
    );
}
