//! An image that cannot run costs no job an attempt: launches pause with a reason, and go on when the image fits.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{os::unix::fs::PermissionsExt, time::Duration};

use serde_json::Value;
use transcode_config::contract::{Attempt, Claim, Layout};
use transcode_tests::{
    Stack, StackOptions,
    deployment::IMAGE_TAG,
    images::{Image, name},
};

const LIMIT: Duration = Duration::from_mins(1);

/// A stack without an image, with tasks that refuse their input, and an image check every second.
async fn stack(folder: &tempfile::TempDir) -> Stack {
    let path = folder.path().join("task.sh");
    std::fs::write(&path, "#!/bin/sh\nexit 10\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = StackOptions { task_program: Some(path), without_image: true, ..StackOptions::default() }
        .setting("observe.resync_seconds", "1")
        .setting("observe.describe_seconds", "1")
        .setting("image.recheck_seconds", "1");
    Stack::with(options).await.unwrap()
}

async fn notes(stack: &Stack) -> Value {
    let listen = transcode_config::load(stack.plan.config()).unwrap().http.listen;
    reqwest::get(format!("http://{listen}/notes")).await.unwrap().json().await.unwrap()
}

/// Waits until launches pause for this reason.
async fn paused(stack: &Stack, why: &str) -> Value {
    stack
        .wait_for(why, LIMIT, async || {
            let notes = notes(stack).await;
            Ok(notes["launches_pause"].as_str().is_some_and(|said| said.contains(why)).then_some(notes))
        })
        .await
        .unwrap()
}

#[tokio::test]
async fn an_image_that_does_not_fit_pauses_launches_until_it_does_and_costs_no_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(&folder).await;
    paused(&stack, "there is no image local-transcode-task:local in ECR").await;
    stack.put_source_body("waits.mp4", b"x".to_vec()).await.unwrap();

    let other = Image { contract: Some("99".into()), ..Image::default() };
    stack.push_image(&other).await.unwrap();
    paused(&stack, "speaks version 99 of the contract").await;
    let other = Image { architecture: "arm64".into(), ..Image::default() };
    stack.push_image(&other).await.unwrap();
    let notes = paused(&stack, "wants linux/amd64 and the image is for linux/arm64").await;
    let waiting = notes["jobs"].as_object().unwrap();
    assert_eq!(waiting.len(), 1, "one job waits: {notes}");
    let said = |one: &Value| one["why"].as_str().is_some_and(|why| why.starts_with("launches pause: arn:"));
    assert!(waiting.values().all(said), "{notes}");
    assert_eq!(stack.jobs_waiting().await.unwrap().total(), 1, "the message is kept");
    assert!(stack.jobs().await.unwrap().is_empty(), "nothing is claimed");
    assert_eq!(stack.fargate.counters().await.unwrap()["tasks"]["launched"], 0);

    let digest = stack.push_image(&Image::default()).await.unwrap();
    let terminal = stack.wait_for_terminal_record("waits.mp4", LIMIT).await.unwrap();
    assert_eq!(stack.attempts(&terminal.job).await.unwrap(), [Attempt::FIRST]);
    let claim = Layout::of(&terminal.job).claim(Attempt::FIRST);
    let claim: Claim = stack.document(&claim).await.unwrap().unwrap();
    assert_eq!(claim.image_digest.as_deref(), Some(digest.as_str()), "pinned into the attempt");
    let log = std::fs::read_to_string(stack.folder().join("logs/controller.out")).unwrap();
    for moment in ["launches pause: the task's image does not fit", "launches go on: the task's image fits"] {
        assert!(log.contains(moment), "{log}");
    }

    assert!(!log.contains("another image"), "what was looked at was pulled: {log}");

    // A tag that is moved between the look and the pull.
    let name = name(&stack.deployment.task_repository, IMAGE_TAG);
    stack.fargate.pulls(&name, "sha256:another").await.unwrap();
    stack.put_source_body("other.mp4", b"x".to_vec()).await.unwrap();
    stack.wait_for_terminal_record("other.mp4", LIMIT).await.unwrap();
    let said = async || {
        let log = std::fs::read_to_string(stack.folder().join("logs/controller.out"))?;
        Ok(log.lines().find(|line| line.contains("runs another image than was looked at")).map(str::to_owned))
    };
    let line = stack.wait_for("the other image is noticed", LIMIT, said).await.unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["pinned"], &line["ran"]), (&Value::from(digest), &Value::from("sha256:another")));

    // And it may be taken away under a running controller.
    stack.remove_image().await.unwrap();
    paused(&stack, "there is no image").await;
}
