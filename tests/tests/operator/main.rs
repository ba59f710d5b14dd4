//! The operator's commands, each run as a process on the local AWS with what controllers and tasks have written, and
//! nothing behind the controller's port. What they print is kept in `snapshots/`; to renew it, after a look at the
//! difference: `INSTA_UPDATE=always cargo test -p transcode-tests --test operator`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod readme;
mod world;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use transcode_config::contract::{Attempt, FailureCode, JobKey, JobState, JobStatus, Stage};
use transcode_tests::proxy::{Call, Interceptor, Proxy, Treatment};

use self::world::{MINUTE, World, cancelled, dead, superseded};

/// Jobs in all states, as a controller reported them five seconds ago.
async fn day() -> World {
    let world = World::new().await;
    world.succeeded("done", "films/done.mp4", false).await;
    world.succeeded("stuck", "films/stuck.mp4", true).await;
    world.ended("broken", "films/broken.mp4", dead(FailureCode::NotMedia)).await;
    world.ended("too large", "films/large.mp4", dead(FailureCode::OutOfMemory)).await;
    world.ended("twice", "films/twice.mp4", cancelled(world.ago(11))).await;
    world.ended("older", "films/older.mp4", superseded()).await;
    world.running("long", "films/long.mp4").await;
    world.report(0, None, live(&world)).await;
    world
}

fn live(world: &World) -> Vec<JobStatus> {
    let running = JobStatus {
        attempt: Attempt::new(2),
        stage: Some(Stage::Transcoding),
        percent: Some(42.0),
        speed: Some(1.5),
        ..world.status("long", "films/long.mp4", JobState::Running, 46)
    };
    let settling = JobStatus {
        why: Some("publishing its result fails (7 calls): s3:CopyObject: AccessDenied".into()),
        step: Some("publish".into()),
        refused: true,
        until_ms: Some(world.now + 10 * MINUTE),
        ..world.status("stuck", "films/stuck.mp4", JobState::Settling, 31)
    };
    let queued = JobStatus {
        tenant: Some(format!("{}/tenants/acme/", world.stack.deployment.source_bucket)),
        why: Some("waiting for a free slot".into()),
        ..world.status("queued", "tenants/acme/queued.mp4", JobState::Queued, 3)
    };
    vec![running, settling, queued]
}

#[tokio::test]
async fn jobs_are_listed_in_every_format_and_none_dials_the_controller() {
    let world = day().await;
    for format in ["table", "json", "yaml", "name"] {
        insta::assert_snapshot!(format!("list-{format}"), world.said(&["list", "-o", format]));
    }
    let names = |args: &[&str]| {
        let said = world.said(&[&["list", "-o", "name"], args].concat());
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let job = |name: &str| JobKey::of(&[name]).to_string();
    assert_eq!(names(&["--state", "cancelled,running"]), [job("twice"), job("long")]);
    let acme = format!("{}/tenants/acme/", world.stack.deployment.source_bucket);
    assert_eq!(names(&["--tenant", &acme]), [job("queued")]);
    assert_eq!(names(&["--since", "5m"]), [job("queued")]);
    assert_eq!(names(&["--limit", "1"]), [job("queued")]);

    // Whatever was said last is told with its age; what holds everything up is told first.
    world.report(7 * MINUTE, None, live(&world)).await;
    insta::assert_snapshot!("list-silent", world.said(&["list", "--limit", "2"]));
    world.report(0, Some("paused by anna: a fire drill"), live(&world)).await;
    insta::assert_snapshot!("list-paused", world.said(&["list", "--limit", "2"]));
    assert!(!world.was_dialed());
}

#[tokio::test]
async fn a_job_is_shown_in_every_format_by_its_key_or_its_object() {
    let world = day().await;
    let done = JobKey::of(&["done"]);
    for format in ["table", "json", "yaml", "name"] {
        insta::assert_snapshot!(
            format!("get-{format}"),
            world.said(&["get", "films/done.mp4", "-o", format])
        );
        insta::assert_snapshot!(
            format!("events-{format}"),
            world.said(&["events", done.as_str(), "-o", format])
        );
    }
    insta::assert_snapshot!("get-running", world.said(&["get", "films/long.mp4"]));
    // Only a message so far: found by its object all the same.
    insta::assert_snapshot!("get-queued", world.said(&["get", "tenants/acme/queued.mp4"]));
    let absent = world.run(&["get", "films/absent.mp4"]);
    let text = String::from_utf8_lossy(&absent.stderr).into_owned();
    assert_eq!((absent.status.code(), text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.contains("`explain` says why"), "{text}");
    assert!(!world.was_dialed());
}

#[tokio::test]
async fn every_state_is_explained_with_the_age_of_what_is_known() {
    let world = day().await;
    let keys = ["done", "stuck", "broken", "large", "twice", "older", "long", "absent"];
    let mut said: Vec<_> = keys.map(|key| world.said(&["explain", &format!("films/{key}.mp4")])).into();
    said.push(world.said(&["explain", "tenants/acme/queued.mp4"]));
    insta::assert_snapshot!("explain", said.join("\n"));
    for format in ["json", "yaml", "name"] {
        let text = world.said(&["explain", "films/broken.mp4", "-o", format]);
        insta::assert_snapshot!(format!("explain-{format}"), text);
    }
    insta::assert_snapshot!("explain-evidence", world.said(&["explain", "films/long.mp4", "--evidence"]));

    world.report(7 * MINUTE, None, live(&world)).await;
    let silent = world.said(&["explain", "tenants/acme/queued.mp4"]);
    assert!(silent.contains("No controller has spoken for 7 min."), "{silent}");
    world.report(0, Some("paused by anna: a fire drill"), live(&world)).await;
    let paused = world.said(&["explain", "tenants/acme/queued.mp4"]);
    assert!(paused.contains("It has launched nothing for 5 min: paused by anna: a fire drill."), "{paused}");
    assert!(!world.was_dialed());
}

#[tokio::test]
async fn the_readme_shows_what_the_commands_print() {
    let world = day().await;
    readme::shows("list", "list --stack prod", &world.said(&["list"]));
    readme::shows(
        "explain",
        "explain --stack prod films/stuck.mp4",
        &world.said(&["explain", "films/stuck.mp4"]),
    );
    readme::shows(
        "watch",
        "watch --stack prod films/done.mp4 | cat",
        &world.said(&["watch", "films/done.mp4"]),
    );
}

#[tokio::test]
async fn who_waits_learns_by_the_exit_status_how_the_job_ended() {
    let world = day().await;
    for (key, code, word) in [
        ("films/done.mp4", 0, "succeeded"),
        ("films/broken.mp4", 4, "NOT_MEDIA"),
        ("films/older.mp4", 5, "superseded"),
        ("films/twice.mp4", 6, "cancelled"),
        // Decided, and not published: it has not ended.
        ("films/stuck.mp4", 7, "has not ended within 2 s"),
        ("films/absent.mp4", 7, "has not ended within 2 s"),
    ] {
        let output = world.run(&["wait", key, "--timeout", "2s", "--interval", "1"]);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(output.status.code(), Some(code), "{key}: {text}");
        assert!(text.contains(word), "{key}: {text}");
    }
    // Without a terminal each change is a line; a job that has ended ends the watch.
    let watched: Vec<_> = ["table", "json", "yaml", "name"]
        .map(|format| world.said(&["watch", "films/done.mp4", "-o", format]))
        .into();
    insta::assert_snapshot!("watch", watched.join("\n"));
    assert!(!world.was_dialed());
}

#[tokio::test]
async fn the_log_of_a_jobs_task_is_read_to_its_end() {
    let world = day().await;
    let line = |level: &str, message: &str| json!({"timestamp": "t", "level": level, "message": message, "bytes": 9, "span": {"job": "x"}});
    let lines =
        [line("INFO", "source downloaded"), line("WARN", "a stranger's \u{1b}[8m title"), json!("no object")];
    world.log(1, &lines).await;
    let done = JobKey::of(&["done"]);
    for format in ["table", "json"] {
        let text = world.said(&["logs", done.as_str(), "--follow", "-o", format]);
        insta::assert_snapshot!(format!("logs-{format}"), text);
    }
    let none = world.run(&["logs", "films/broken.mp4"]);
    let text = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(!none.status.success() && text.contains("has a task that is known"), "{text}");
}

/// The names of the calls that went through.
#[derive(Debug, Default)]
struct Count(Mutex<Vec<String>>);

impl Interceptor for Count {
    fn request(&self, call: &Call) -> Treatment {
        self.0.lock().unwrap().push(call.name());
        Treatment::Forward
    }
}

#[tokio::test]
async fn a_thousand_jobs_are_listed_with_five_calls_at_most() {
    let world = World::new().await;
    world.fill_index(1_100).await;
    world.report(0, None, Vec::new()).await;
    let count = Arc::new(Count::default());
    let proxy =
        Proxy::start(world.stack.endpoint(), Arc::clone(&count) as Arc<dyn Interceptor>).await.unwrap();
    let mut list = world.command(&["list", "--limit", "1000", "-o", "json"]);
    list.env("AWS_ENDPOINT_URL_S3", &proxy.endpoint);
    let output = tokio::task::spawn_blocking(move || list.output().unwrap()).await.unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let jobs = listed["jobs"].as_array().unwrap();
    let different: BTreeSet<_> = jobs.iter().map(|job| job["job"].as_str().unwrap()).collect();
    assert_eq!((jobs.len(), different.len(), &listed["more"]), (1_000, 1_000, &Value::Bool(true)));
    assert!(jobs.iter().all(|job| job["state"] == "dead" && job["key"].is_string()), "{}", jobs[0]);
    let since: Vec<_> = jobs.iter().map(|job| job["since_ms"].as_u64().unwrap()).collect();
    assert!(since.is_sorted_by(|newer, older| newer >= older));
    let calls = count.0.lock().unwrap().clone();
    assert!(calls.len() <= 5, "{calls:?}");
}

#[tokio::test]
async fn completions_and_manual_pages_are_made_from_the_command_line() {
    let world = World::new().await;
    let script = world.said(&["completions", "bash"]);
    assert!(script.contains("transcode-controller") && script.contains("explain"), "{script}");
    let page = world.said(&["man", "list"]);
    assert!(page.contains(".TH") && page.contains("\\-\\-since"), "{page}");
    assert!(world.said(&["man"]).contains("transcode\\-controller\\-explain"));
}
