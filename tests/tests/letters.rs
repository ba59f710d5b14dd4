//! Dead letters at the command line: listed, shown, redriven, discarded, and none lost when a command is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use transcode_tests::{
    Stack, StackOptions, controller, paths,
    proxy::{Call, Interceptor, Proxy, Treatment, receipts},
    wait,
};

const LIMIT: Duration = Duration::from_mins(1);

/// A stack without a controller: letters come from the test, and nothing takes what is sent.
async fn stack() -> Stack {
    let options = StackOptions { without_controller: true, without_image: true, ..StackOptions::default() };
    Stack::with(options).await.unwrap()
}

fn command(stack: &Stack, args: &[&str]) -> Command {
    let mut command = Command::new(paths::binary("transcode-controller").unwrap());
    command.args(args).arg("--config").arg(stack.plan.config());
    command.env_clear().envs(controller::environment(stack.endpoint(), &stack.fargate.endpoint));
    command.stdin(Stdio::null());
    command
}

fn run(stack: &Stack, args: &[&str]) -> Output {
    command(stack, args).output().unwrap()
}

/// Standard output of a command that must succeed.
fn said(stack: &Stack, args: &[&str]) -> String {
    let output = run(stack, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that must fail.
fn complained(stack: &Stack, args: &[&str]) -> String {
    let output = run(stack, args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn upload(bucket: &str, key: &str) -> Value {
    json!({"Records": [{"eventVersion": "2.1", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 9, "versionId": "v1"}}}]})
}

/// The letter of a job that died of `code`, as the controller sends it.
fn letter(bucket: &str, key: &str, code: &str) -> Value {
    json!({"schema": 1, "kind": "transcode.dead-letter", "job": "0".repeat(32), "generation": 0,
        "message_id": format!("m-{key}"), "original": upload(bucket, key).to_string(),
        "dead": {"failure": {"code": code, "message": "no pictures in it", "evidence": {"streams": "0"}},
            "attempts": []}})
}

async fn send(stack: &Stack, bodies: &[String]) {
    for body in bodies {
        let send = stack.clients().sqs.send_message().queue_url(&stack.deployment.dead_letter_queue);
        send.message_body(body).send().await.unwrap();
    }
}

/// Bodies of the messages that are visible in a queue, with how often each is there. They are deleted.
async fn taken(stack: &Stack, queue: &str) -> Vec<String> {
    let sqs = &stack.clients().sqs;
    let mut bodies = Vec::new();
    loop {
        let answer = sqs.receive_message().queue_url(queue).max_number_of_messages(10).send().await.unwrap();
        let messages = answer.messages.unwrap_or_default();
        if messages.is_empty() {
            return bodies;
        }
        for message in messages {
            let delete = sqs.delete_message().queue_url(queue);
            delete.receipt_handle(message.receipt_handle.unwrap()).send().await.unwrap();
            bodies.push(message.body.unwrap());
        }
    }
}

/// Waits until this many letters are visible and none is held.
async fn letters(stack: &Stack, count: u64) {
    let queue = &stack.deployment.dead_letter_queue;
    let all = async || {
        let counts = stack.queue_counts(queue).await?;
        Ok((counts.visible == count && counts.in_flight == 0).then_some(()))
    };
    stack.wait_for(&format!("{count} letters, none of them held"), LIMIT, all).await.unwrap();
}

/// Rows of `list -o json`: object's key and code.
fn listed(stack: &Stack, args: &[&str]) -> Vec<(String, String)> {
    let all = [&["dead-letters", "list", "-o", "json"], args].concat();
    let found: Value = serde_json::from_str(&said(stack, &all)).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let rows = found["letters"].as_array().unwrap().iter();
    let mut rows: Vec<_> = rows.map(|row| (text(&row["key"]), text(&row["code"]))).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn letters_are_listed_shown_chosen_and_discarded_with_their_bodies() {
    let stack = stack().await;
    let bucket = &stack.deployment.source_bucket;
    // What SQS moved is what the bucket sent, and the notification's own test event may lie in the job queue.
    taken(&stack, &stack.deployment.jobs_queue).await;
    let moved = upload(bucket, "films/three.mp4").to_string();
    let bodies = [
        letter(bucket, "films/one.mp4", "NOT_MEDIA").to_string(),
        letter(bucket, "films/two\u{202e}.mp4", "SOURCE_MISSING").to_string(),
        moved.clone(),
        "not ours".to_owned(),
    ];
    send(&stack, &bodies).await;
    let pair = |key: &str, code: &str| (key.to_owned(), code.to_owned());
    let [one, two] = [pair("films/one.mp4", "NOT_MEDIA"), pair("films/two\u{202e}.mp4", "SOURCE_MISSING")];
    let [three, strange] = [pair("films/three.mp4", "-"), pair("-", "MALFORMED_MESSAGE")];
    assert_eq!(listed(&stack, &[]), [strange, one.clone(), three.clone(), two.clone()]);
    letters(&stack, 4).await;
    assert_eq!(listed(&stack, &["--code", "not-media"]), std::slice::from_ref(&one));
    assert_eq!(listed(&stack, &["--key", "films/t"]), [three.clone(), two.clone()]);
    assert_eq!(listed(&stack, &["--key", "*three.mp4"]), [three]);
    assert_eq!(listed(&stack, &["--older-than", "1h"]), []);
    assert_eq!(listed(&stack, &["--newer-than", "1h"]).len(), 4);
    assert_eq!(listed(&stack, &["--job", &"0".repeat(32)]), [one, two]);

    let table = said(&stack, &["dead-letters", "list"]);
    assert!(table.starts_with("AGE") && table.contains("moved by SQS"), "{table}");
    assert!(table.contains("\\u202e") && !table.contains('\u{202e}'), "{table}");
    let names = said(&stack, &["dead-letters", "list", "-o", "name", "--code", "NOT_MEDIA"]);
    assert_eq!(names, format!("{}\n", "0".repeat(32)));
    let whole = said(&stack, &["dead-letters", "show", &"0".repeat(32), "-o", "json"]);
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(whole["evidence"]["streams"], "0");
    assert_eq!(whole["asks_for"][0]["generation"], 1);
    assert!(whole["original"]["Records"].is_array(), "{whole}");
    assert!(complained(&stack, &["dead-letters", "show", "nobody"]).contains("no letter of nobody"));

    // Nobody is asked where nobody can answer, and nothing waits.
    assert!(complained(&stack, &["dead-letters", "discard"]).contains("--all"));
    assert!(complained(&stack, &["dead-letters", "discard", "--all"]).contains("--yes"));
    assert!(complained(&stack, &["dead-letters", "redrive"]).contains("--yes"));
    letters(&stack, 4).await;
    let dry = said(&stack, &["dead-letters", "discard", "--all", "--dry-run"]);
    assert_eq!(dry.lines().count(), 4);
    let dry = said(&stack, &["dead-letters", "redrive", "--dry-run"]);
    assert!(
        dry.contains("would be sent: runs again as job") && dry.contains("3 would be moved, 1 looked"),
        "{dry}"
    );
    letters(&stack, 4).await;
    assert_eq!(
        stack.queue_counts(&stack.deployment.jobs_queue).await.unwrap().total(),
        0,
        "nothing was sent"
    );
    let few = said(&stack, &["dead-letters", "list", "--max", "1"]);
    assert!(few.lines().count() == 3 && few.contains("there are more: 1 were listed"), "{few}");

    let gone = said(&stack, &["dead-letters", "discard", "--key", "films/three.mp4", "--yes"]);
    let gone: Value = serde_json::from_str(&gone).unwrap();
    assert_eq!((gone["body"].as_str(), gone["kind"].as_str()), (Some(moved.as_str()), Some("moved")));
    letters(&stack, 3).await;
}

/// Stops a command at one of its sends and deletes: before it is carried out, or before its answer comes.
#[derive(Debug)]
struct Stopper {
    at: usize,
    after: bool,
    seen: AtomicUsize,
    stopped: Mutex<Option<u64>>,
    held: Mutex<Vec<String>>,
}

impl Interceptor for Stopper {
    fn request(&self, call: &Call) -> Treatment {
        if !matches!(call.operation.as_str(), "SendMessage" | "DeleteMessage") {
            return Treatment::Forward;
        }
        if self.seen.fetch_add(1, Ordering::SeqCst) != self.at {
            return Treatment::Forward;
        }
        *self.stopped.lock().unwrap() = Some(call.id);
        if self.after { Treatment::Forward } else { Treatment::BlackHole }
    }

    fn answer(&self, call: &Call, answer: &[u8]) -> bool {
        if call.operation == "ReceiveMessage" {
            self.held.lock().unwrap().extend(receipts(answer));
        }
        *self.stopped.lock().unwrap() != Some(call.id)
    }
}

/// Runs a command, kills it at a call, ends the time of what it held, and returns what it had said. None if it has not
/// so many calls and has ended.
async fn killed(stack: &Stack, args: &[&str], at: usize, after: bool) -> Option<String> {
    let stopper = Arc::new(Stopper {
        at,
        after,
        seen: AtomicUsize::new(0),
        stopped: Mutex::default(),
        held: Mutex::default(),
    });
    let proxy = Proxy::start(stack.endpoint(), Arc::clone(&stopper) as Arc<dyn Interceptor>).await.unwrap();
    let mut child = command(stack, args)
        .env("AWS_ENDPOINT_URL_SQS", &proxy.endpoint)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = async || {
        let ended = child.try_wait()?.is_some();
        let held_up = stopper.stopped.lock().unwrap().is_some() && !after;
        Ok((ended || held_up).then_some(ended))
    };
    // A lost answer ends the command by itself: it cannot know, and says so.
    let ended = wait::until("the command is stopped or ends", LIMIT, ended).await.unwrap();
    if !ended {
        child.kill().unwrap();
    }
    let said = child.wait_with_output().unwrap();
    let queue = &stack.deployment.dead_letter_queue;
    let held = stopper.held.lock().unwrap().clone();
    for receipt in held {
        let change = stack.clients().sqs.change_message_visibility().queue_url(queue);
        // What it deleted has no time that could end.
        change.receipt_handle(receipt).visibility_timeout(0).send().await.ok();
    }
    let reached = stopper.stopped.lock().unwrap().is_some();
    reached.then(|| String::from_utf8(said.stdout).unwrap())
}

#[tokio::test]
async fn a_redrive_that_is_killed_anywhere_loses_no_letter_and_the_next_one_ends_it() {
    let stack = stack().await;
    let made = &stack.deployment;
    taken(&stack, &made.jobs_queue).await;
    let bodies: Vec<_> = ["a", "b"]
        .map(|key| letter(&made.source_bucket, &format!("{key}.mp4"), "NOT_MEDIA").to_string())
        .to_vec();
    for (at, after) in [(0, true), (1, false), (2, false), (3, true)] {
        send(&stack, &bodies).await;
        let said = killed(&stack, &["redrive", "--yes"], at, after).await.expect("it has four calls");
        assert!(said.matches("runs again").count() <= 2, "{said}");
        let sent = stack.queue_counts(&made.jobs_queue).await.unwrap().total();
        let left = stack.queue_counts(&made.dead_letter_queue).await.unwrap().total();
        // One that was sent and not deleted is in both.
        assert!((2..=3).contains(&(sent + left)), "{at} {after}: {sent} sent, {left} left");
        said_with_all(&stack, left).await;
        let mut found = taken(&stack, &made.jobs_queue).await;
        found.sort();
        found.dedup();
        assert_eq!(found, bodies, "{at} {after}");
        letters(&stack, 0).await;
    }
}

/// Redrives what is left.
async fn said_with_all(stack: &Stack, left: u64) {
    letters(stack, left).await;
    let said = said(stack, &["redrive", "--yes"]);
    assert!(said.contains(&format!("{left} moved, 0 looked at")), "{said}");
}

#[tokio::test]
async fn a_discard_that_is_killed_anywhere_has_written_out_what_is_gone() {
    let stack = stack().await;
    let made = &stack.deployment;
    let bodies: Vec<_> = ["a", "b"]
        .map(|key| letter(&made.source_bucket, &format!("{key}.mp4"), "NOT_MEDIA").to_string())
        .to_vec();
    for (at, after) in [(0, false), (0, true), (1, false), (1, true)] {
        send(&stack, &bodies).await;
        let args = ["dead-letters", "discard", "--all", "--yes"];
        let said = killed(&stack, &args, at, after).await.expect("it has two calls");
        let line =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["body"].as_str().unwrap().to_owned();
        let mut found: Vec<String> = said.lines().map(line).collect();
        found.extend(taken(&stack, &made.dead_letter_queue).await);
        found.sort();
        found.dedup();
        assert_eq!(found, bodies, "{at} {after}");
    }
}

/// What is received cannot be held.
#[derive(Debug)]
struct Unheld;

impl Interceptor for Unheld {
    fn request(&self, call: &Call) -> Treatment {
        if call.operation == "ChangeMessageVisibility" { Treatment::Refuse(400) } else { Treatment::Forward }
    }
}

#[tokio::test]
async fn what_may_be_with_somebody_else_is_neither_moved_nor_deleted_and_a_cut_letter_stays() {
    let stack = stack().await;
    let made = &stack.deployment;
    taken(&stack, &made.jobs_queue).await;
    let mut cut = letter(&made.source_bucket, "cut.mp4", "NOT_MEDIA");
    cut["original_cut"] = true.into();
    send(&stack, &[letter(&made.source_bucket, "whole.mp4", "NOT_MEDIA").to_string(), cut.to_string()]).await;
    let proxy = Proxy::start(stack.endpoint(), Arc::new(Unheld) as Arc<dyn Interceptor>).await.unwrap();
    for args in [&["redrive", "--yes"][..], &["dead-letters", "discard", "--all", "--yes"]] {
        let mut unheld = command(&stack, args);
        unheld.env("AWS_ENDPOINT_URL_SQS", &proxy.endpoint);
        let output = tokio::task::spawn_blocking(move || unheld.output().unwrap()).await.unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1) && complaint.contains("it is not held any more"),
            "{complaint}"
        );
        assert!(output.stdout.is_empty(), "nothing is reported as done");
        letters(&stack, 2).await;
        assert_eq!(stack.queue_counts(&made.jobs_queue).await.unwrap().total(), 0);
    }
    let moved = said(&stack, &["redrive", "--yes"]);
    assert!(moved.contains("left: it holds only the beginning of its original"), "{moved}");
    assert!(moved.ends_with("1 moved, 1 looked at and left\n"), "{moved}");
    letters(&stack, 1).await;
}
