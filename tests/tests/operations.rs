//! An operator's actions on a running pipeline, and outages that it must survive.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{os::unix::fs::PermissionsExt, process::Command, time::Duration};

use aws_sdk_cloudwatch::types::StateValue;
use rustix::process::Signal;
use transcode_config::contract::{JobState, Outcome, StatusReport, decode, status_key};
use transcode_tests::{Stack, StackOptions, paths};

const LIMIT: Duration = Duration::from_mins(1);

fn options(folder: &tempfile::TempDir, script: &str) -> StackOptions {
    let path = folder.path().join("task.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    StackOptions { task_program: Some(path), ..StackOptions::default() }
        .setting("observe.describe_seconds", "1")
        .setting("calls.receive_wait_seconds", "1")
}

async fn running_tasks(stack: &Stack, count: u64) {
    stack
        .wait_for(&format!("{count} tasks run"), LIMIT, async || {
            let counters = stack.fargate.counters().await?;
            Ok((counters["tasks"]["running"].as_u64() == Some(count)).then_some(()))
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn sigterm_hands_back_what_waits_leaves_tasks_running_and_ends_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack =
        Stack::with(options(&folder, "sleep 600").setting("launch.max_tasks", "1")).await.unwrap();
    stack.put_source_body("one.mp4", b"x".to_vec()).await.unwrap();
    running_tasks(&stack, 1).await;
    stack.signal_controller(Signal::TERM).unwrap();
    // Ended, and everything that it held is visible again.
    stack
        .wait_for("the message is handed back", LIMIT, async || {
            let counts = stack.jobs_waiting().await?;
            Ok((counts.visible == 1 && counts.in_flight == 0).then_some(()))
        })
        .await
        .unwrap();
    stack
        .wait_for("the controller has ended", LIMIT, async || {
            let log = std::fs::read_to_string(stack.folder().join("logs/controller.out"))?;
            Ok(log.contains("drain ended").then_some(()))
        })
        .await
        .unwrap();
    running_tasks(&stack, 1).await;

    // The next one adopts the task; no second one.
    stack.start_controller().await.unwrap();
    stack
        .wait_for("the message is held again", LIMIT, async || {
            Ok((stack.jobs_waiting().await?.in_flight == 1).then_some(()))
        })
        .await
        .unwrap();
    assert_eq!(stack.fargate.counters().await.unwrap()["tasks"]["launched"], 1, "L4, L8");
}

#[tokio::test]
async fn with_the_events_queue_dead_everything_still_ends() {
    let folder = tempfile::tempdir().unwrap();
    let dead = "\"http://127.0.0.1:9/123456789012/no-such-queue\"";
    let stack = Stack::with(options(&folder, "exit 10").setting("events.queue_url", dead)).await.unwrap();
    stack.put_source_body("quiet.mp4", b"x".to_vec()).await.unwrap();
    let terminal = stack.wait_for_terminal_record("quiet.mp4", LIMIT).await.unwrap();
    assert!(matches!(terminal.outcome, Outcome::Dead(_)));
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
}

/// L9. The flood is ten times what the controller looks ahead, and the only slot is its own.
#[tokio::test]
async fn behind_a_flood_of_one_tenant_anothers_upload_gets_the_next_slot() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::with(
        options(&folder, "sleep 1; exit 10")
            .setting("launch.max_tasks", "1")
            .setting("launch.look_ahead", "10")
            .setting("sources.uploads.tenants", "[{ prefix = \"{id}/\" }]"),
    )
    .await
    .unwrap();
    for n in 0..100 {
        stack.put_source_body(&format!("flood/{n}.mp4"), b"x".to_vec()).await.unwrap();
    }
    // What there is no place for has gone back, and is not to be seen for a while.
    stack
        .wait_for("the flood makes way", LIMIT, async || {
            let counts = stack.jobs_waiting().await?;
            Ok((counts.visible == 0 && counts.in_flight > 50).then_some(()))
        })
        .await
        .unwrap();
    stack.put_source_body("other/film.mp4", b"x".to_vec()).await.unwrap();
    stack.wait_for_terminal_record("other/film.mp4", LIMIT).await.unwrap();

    let job = stack.job_of("other/film.mp4").await.unwrap().unwrap().job;
    let log = std::fs::read_to_string(stack.folder().join("logs/controller.out")).unwrap();
    let of_job = |line: &&str| line.contains(job.as_str());
    let is = |what: &'static str| move |line: &&str| line.contains(what);
    let received = log.lines().position(|line| of_job(&line) && line.contains("\"job received\"")).unwrap();
    assert!(log.lines().nth(received).unwrap().contains("/other/\""), "the line names the tenant");
    let claimed = log.lines().position(|line| of_job(&line) && line.contains("\"attempt claimed\"")).unwrap();
    let between = log.lines().take(claimed).skip(received).filter(is("\"attempt claimed\"")).count();
    assert!(between <= 1, "{between} of the flood were claimed before it, and one may have been under way");
    let before = log.lines().take(claimed).filter(is("\"attempt claimed\"")).count();
    assert!(before < 50, "the flood was over already: {before}");
    assert!(log.lines().any(|line| is("\"message released\"")(&line)), "nothing was put back");
}

#[tokio::test]
async fn two_controllers_share_the_work_and_run_each_upload_once() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::with(options(&folder, "exit 10")).await.unwrap();
    let other = stack.another_controller("second").await.unwrap();
    for n in 0..12 {
        stack.put_source_body(&format!("{n}.mp4"), b"x".to_vec()).await.unwrap();
    }
    for n in 0..12 {
        stack.wait_for_terminal_record(&format!("{n}.mp4"), LIMIT).await.unwrap();
    }
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    assert_eq!(stack.fargate.counters().await.unwrap()["tasks"]["launched"], 12, "S14");
    assert_eq!(stack.jobs().await.unwrap().len(), 12);
    drop(other);
}

/// Runs the controller's program beside the running one and returns its exit status and standard error.
async fn controller(stack: &Stack, args: &[&str]) -> (bool, String) {
    let program = paths::binary("transcode-controller").unwrap();
    let config = stack.plan.config().to_owned();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let out =
        tokio::task::spawn_blocking(move || Command::new(program).args(args).arg(config).output().unwrap());
    let out = out.await.unwrap();
    (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[tokio::test]
async fn the_health_check_of_the_container_says_whether_the_loop_turns() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Stack::with(options(&folder, "exit 0")).await.unwrap();
    let healthy = controller(&stack, &["healthcheck", "--config"]).await;
    assert!(healthy.0, "{healthy:?}");
    stack.kill_controller().unwrap();
    let dead = controller(&stack, &["healthcheck", "--config"]).await;
    assert!(!dead.0 && dead.1.contains("refused"), "{dead:?}");
}

#[tokio::test]
async fn check_config_takes_what_runs_and_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::with(options(&folder, "exit 0")).await.unwrap();
    assert!(controller(&stack, &["check-config"]).await.0);
    let good = std::fs::read_to_string(stack.plan.config()).unwrap();
    std::fs::write(stack.plan.config(), format!("{good}\nlaunch.max_task = 3\n")).unwrap();
    let refused = controller(&stack, &["check-config"]).await;
    assert!(!refused.0 && refused.1.contains("launch.max_task: unknown key"), "{refused:?}");
}

#[tokio::test]
async fn a_pause_by_reload_launches_nothing_and_bad_settings_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Stack::with(options(&folder, "exit 10")).await.unwrap();
    let good = std::fs::read_to_string(stack.plan.config()).unwrap();

    reload(&mut stack, &format!("{good}\nlaunch.paused = true\n"), "\"key\":\"launch.paused\"").await;
    stack.put_source_body("waits.mp4", b"x".to_vec()).await.unwrap();
    // Refused: the pause stays, and so does the controller.
    reload(&mut stack, &format!("{good}\nlaunch.max_tasks = 0\n"), "settings refused").await;
    assert_eq!(stack.fargate.counters().await.unwrap()["tasks"]["launched"], 0);
    assert_eq!(stack.jobs_waiting().await.unwrap().total(), 1, "the message is kept");

    reload(&mut stack, &good, "\"new\":\"false\"").await;
    stack.wait_for_terminal_record("waits.mp4", LIMIT).await.unwrap();
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
}

/// Writes the settings file, sends SIGHUP, and waits until the controller logs `said`.
async fn reload(stack: &mut Stack, text: &str, said: &str) {
    std::fs::write(stack.plan.config(), text).unwrap();
    stack.signal_controller(Signal::HUP).unwrap();
    stack
        .wait_for(said, LIMIT, async || {
            let log = std::fs::read_to_string(stack.folder().join("logs/controller.out"))?;
            Ok(log.contains(said).then_some(()))
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_alarm_goes_off_while_launches_pause_and_comes_back() {
    let options =
        StackOptions::default().setting("launch.paused", "true").setting("metrics.period_seconds", "1");
    let mut stack = Stack::with(options).await.unwrap();
    let becomes = async |stack: &Stack, state: &'static str| {
        let name = "local-transcode-LaunchesPaused";
        stack
            .wait_for(&format!("the alarm is {state}"), LIMIT, async || {
                let describe = stack.clients().cloudwatch.describe_alarms().alarm_names(name);
                let answer = describe.send().await?;
                let found = answer.metric_alarms().first().and_then(|alarm| alarm.state_value());
                Ok((found.map(StateValue::as_str) == Some(state)).then_some(()))
            })
            .await
            .unwrap();
    };
    becomes(&stack, "ALARM").await;
    let text = std::fs::read_to_string(stack.plan.config()).unwrap();
    let resumed = text.replace("paused = true", "paused = false");
    assert_ne!(text, resumed);
    std::fs::write(stack.plan.config(), resumed).unwrap();
    stack.signal_controller(Signal::HUP).unwrap();
    becomes(&stack, "OK").await;
}

/// The report in the state bucket, once it is as asked for.
async fn report(stack: &Stack, what: &str, fits: impl Fn(&StatusReport) -> bool) -> StatusReport {
    let key = status_key("local");
    let read = async || {
        let bytes = stack.read(&stack.deployment.state_bucket, &key).await?;
        let report = bytes.map(|bytes| decode::<StatusReport>(&bytes)).transpose()?;
        Ok(report.filter(&fits))
    };
    stack.wait_for(what, LIMIT, read).await.unwrap()
}

#[tokio::test]
async fn the_state_bucket_says_what_the_controller_knows_and_which_process_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder, "sleep 600").setting("launch.max_tasks", "1");
    let mut stack = Stack::with(options.setting("metrics.period_seconds", "1")).await.unwrap();
    for key in ["one.mp4", "two.mp4"] {
        stack.put_source_body(key, b"x".to_vec()).await.unwrap();
    }
    // Without tenants nothing is received beyond the free slots: the second upload waits in the queue.
    let at_work = |report: &StatusReport| {
        let counted = report.queues.values().any(|it| (it.visible, it.in_flight) == (1, 1));
        report.jobs.iter().map(|job| job.state).eq([JobState::Running]) && counted
    };
    let first = report(&stack, "a job at work and one that waits are reported", at_work).await;
    assert_eq!((first.tasks_in_flight, first.max_tasks, first.draining), (1, 1, false));
    assert!(first.task_definition.is_some() && first.queues.values().all(|it| it.dead_letters == Some(0)));
    let key = first.jobs[0].key.as_deref();
    assert!(matches!(key, Some("one.mp4" | "two.mp4")) && first.jobs[0].task_arn.is_some(), "{first:?}");

    stack.kill_controller().unwrap();
    stack.start_controller().await.unwrap();
    let another = |report: &StatusReport| report.instance != first.instance && report.tasks_in_flight == 1;
    let second = report(&stack, "the next process reports", another).await;
    assert!(second.started_at_ms > first.started_at_ms && !second.ended);

    stack.signal_controller(Signal::TERM).unwrap();
    let last = report(&stack, "the last report", |report| report.ended).await;
    assert_eq!((last.instance, last.draining), (second.instance, true));
}
