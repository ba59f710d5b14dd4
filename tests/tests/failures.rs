//! Jobs whose tasks fail, with the real controller on the local AWS. The tasks are small scripts, one for each way in
//! which a task can end; the real task's own failures are in `pipeline.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use serde_json::Value;
use transcode_config::contract::{FailureCode, Outcome, Terminal};
use transcode_tests::{Stack, StackOptions};

const LIMIT: Duration = Duration::from_mins(1);

/// A stack whose tasks run `script`, and that retries failed attempts within seconds.
async fn stack(script: &str) -> (Stack, tempfile::TempDir) {
    stack_with(script, &[]).await
}

async fn stack_with(script: &str, settings: &[(&str, &str)]) -> (Stack, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = StackOptions { task_program: Some(program(&folder, script)), ..StackOptions::default() }
        .setting("jobs.retry_base_seconds", "1")
        .setting("jobs.retry_cap_seconds", "2")
        .setting("observe.describe_seconds", "1");
    let set = |options: StackOptions, (key, toml): &(&str, &str)| options.setting(key, toml);
    (Stack::with(settings.iter().fold(options, set)).await.unwrap(), folder)
}

fn program(folder: &tempfile::TempDir, script: &str) -> PathBuf {
    let path = folder.path().join("task.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn code(terminal: &Terminal) -> FailureCode {
    match &terminal.outcome {
        Outcome::Dead(dead) => dead.failure.code,
        Outcome::Succeeded(_) | Outcome::Superseded(_) | Outcome::Cancelled(_) => panic!("{terminal:?}"),
    }
}

async fn only_letter(stack: &Stack) -> Value {
    let letters = stack.dead_letters().await.unwrap();
    assert_eq!(letters.len(), 1, "{letters:?}");
    serde_json::from_str(letters.first().and_then(|letter| letter.body()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_task_that_always_fails_uses_its_attempts_up_and_is_dead_lettered_with_all_that_is_known() {
    let (stack, _folder) = stack("exit 16").await;
    stack.put_source_body("always fails.mp4", b"x".to_vec()).await.unwrap();
    let terminal = stack.wait_for_terminal_record("always fails.mp4", LIMIT).await.unwrap();
    assert_eq!(code(&terminal), FailureCode::EncodeFailed);
    stack.wait_for_empty_queue(LIMIT).await.unwrap();

    assert_eq!(stack.attempts(&terminal.job).await.unwrap().len(), 3, "S9");
    let letter = only_letter(&stack).await;
    assert_eq!(letter["dead"]["failure"]["code"], "ENCODE_FAILED");
    assert_eq!(letter["job"], terminal.job.as_str());
    assert_eq!(letter["dead"]["attempts"].as_array().unwrap().len(), 3);
    assert!(letter["dead"]["last_task_arn"].as_str().unwrap().contains(":task/"), "{letter}");
    assert!(letter["original"].as_str().unwrap().contains("always"), "{letter}");
    let counters = stack.fargate.counters().await.unwrap();
    assert_eq!(counters["tasks"]["launched"], 3, "{counters}");
}

/// The first task takes 600 MiB and holds them; the next refuses its input.
const HUNGRY: &str = r#"[ "$TRANSCODE_ATTEMPT" = 1 ] || exit 10
exec dd if=/dev/zero of=/dev/null bs=600M count=1000000000"#;

#[tokio::test]
async fn after_a_task_that_was_killed_for_its_memory_the_next_one_has_the_next_size() {
    let settings =
        [("launch.cpu", "256"), ("launch.memory_mib", "512"), ("launch.oom_sizes", "[[512, 2048]]")];
    let (stack, _folder) = stack_with(HUNGRY, &settings).await;
    stack.put_source_body("hungry.mp4", b"x".to_vec()).await.unwrap();
    let terminal = stack.wait_for_terminal_record("hungry.mp4", LIMIT).await.unwrap();
    let Outcome::Dead(dead) = &terminal.outcome else { panic!("{terminal:?}") };
    let codes: Vec<_> = dead.attempts.iter().map(|past| past.code).collect();
    assert_eq!(codes, [FailureCode::OutOfMemory, FailureCode::InputRefused]);

    let arns = dead.attempts.iter().filter_map(|past| past.task_arn.clone());
    let describe = stack.fargate.ecs.describe_tasks().cluster(&stack.deployment.cluster);
    let answer = describe.set_tasks(Some(arns.collect())).send().await.unwrap();
    let mut seen = Vec::new();
    for task in answer.tasks() {
        let asked = task.overrides().and_then(|asked| Some((asked.cpu()?, asked.memory()?))).unwrap();
        let ended = task.containers().first().unwrap();
        seen.push((asked, ended.exit_code(), ended.reason().unwrap_or_default().to_owned()));
    }
    seen.sort_by_key(|(_, code, _)| std::cmp::Reverse(*code));
    let [(small, Some(137), killed), (large, Some(10), _)] = &seen[..] else { panic!("{seen:?}") };
    assert!(killed.starts_with("OutOfMemoryError"), "{killed}");
    assert_eq!((*small, *large), (("256", "512"), ("512", "2048")), "the launch asks for the next size");
}

#[tokio::test]
async fn a_refused_input_is_not_tried_again() {
    let (stack, _folder) = stack("exit 10").await;
    stack.put_source_body("refused.mp4", b"x".to_vec()).await.unwrap();
    let terminal = stack.wait_for_terminal_record("refused.mp4", LIMIT).await.unwrap();
    assert_eq!(code(&terminal), FailureCode::InputRefused);
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    assert_eq!(stack.attempts(&terminal.job).await.unwrap().len(), 1);
    assert_eq!(only_letter(&stack).await["dead"]["failure"]["code"], "INPUT_REFUSED");
}

#[tokio::test]
async fn what_cannot_be_read_is_dead_lettered_with_the_reason_and_an_unknown_version_is_kept() {
    let (stack, _folder) = stack("exit 0").await;
    stack.send_job("{ this is no message").await.unwrap();
    stack.send_job(r#"{"schema": 99, "kind": "transcode.job"}"#).await.unwrap();
    let letters = stack
        .wait_for("the dead letter", LIMIT, async || {
            let letters = stack.dead_letters().await?;
            Ok((!letters.is_empty()).then_some(letters))
        })
        .await
        .unwrap();
    let letter: Value =
        serde_json::from_str(letters.first().and_then(|letter| letter.body()).unwrap()).unwrap();
    assert_eq!(letter["dead"]["failure"]["code"], "MALFORMED_MESSAGE");
    assert_eq!(letter["original"], "{ this is no message");
    let left = stack
        .wait_for("one message left", LIMIT, async || {
            let counts = stack.jobs_waiting().await?;
            Ok((counts.total() == 1).then_some(counts))
        })
        .await
        .unwrap();
    assert_eq!(left.total(), 1, "S15: the unknown version is put aside");
    assert_eq!(stack.fargate.counters().await.unwrap()["tasks"]["launched"], 0);
}

#[tokio::test]
async fn a_controller_killed_while_a_task_runs_leaves_it_to_its_successor() {
    let (mut stack, _folder) = stack("sleep 600").await;
    stack.put_source_body("long.mp4", b"x".to_vec()).await.unwrap();
    let started = async |stack: &Stack| {
        stack
            .wait_for("the task runs", LIMIT, async || {
                let tasks = stack.fargate.tasks().await?;
                Ok(tasks.iter().any(|task| task.to_string().contains("\"RUNNING\"")).then_some(()))
            })
            .await
            .unwrap();
    };
    started(&stack).await;
    stack.restart_controller().await.unwrap();
    // Ready means that the first complete list of tasks was absorbed: whatever it would launch, it may launch now.
    // The killed controller's long poll may yet take a message with it for a while, so more than one is sent.
    let mut uploads = 0;
    stack
        .wait_for("another upload's task", LIMIT, async || {
            uploads += 1;
            stack.put_source_body(&format!("next {uploads}.mp4"), b"x".to_vec()).await?;
            let counters = stack.fargate.counters().await?;
            Ok((counters["tasks"]["launched"].as_u64() >= Some(2)).then_some(()))
        })
        .await
        .unwrap();
    let job = stack.job_of("long.mp4").await.unwrap().unwrap().job;
    let counters = stack.fargate.counters().await.unwrap();
    assert_eq!(counters["jobs"][job.as_str()]["launched"], 1, "L4: adopted, not launched again: {counters}");
}
