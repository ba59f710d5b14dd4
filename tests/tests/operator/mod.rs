//! The operator's commands, each run as a process on the local AWS with what controllers and tasks have written, and
//! nothing behind the controller's port. What they print is kept in `snapshots/`; to renew it, after a look at the
//! difference: `INSTA_UPDATE=always cargo test -p transcode-tests --test e2e operator`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod day;
mod every;
mod lost;
mod readme;
mod still;
mod world;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use transcode_config::contract::{Attempt, FailureCode, JobKey, JobState, JobStatus, Stage};
use transcode_tests::proxy::{Call, Interceptor, Proxy, Treatment};

use self::world::{MINUTE, World, cancelled, dead, superseded};

/// Jobs in all states, as a controller reported them a moment ago.
async fn a_day_in(world: &mut World) -> &World {
    world.empty().await;
    world.succeeded("done", "films/done.mp4", false).await;
    world.succeeded("stuck", "films/stuck.mp4", true).await;
    world.ended("broken", "films/broken.mp4", dead(FailureCode::NotMedia)).await;
    world.ended("too large", "films/large.mp4", dead(FailureCode::OutOfMemory)).await;
    world.ended("twice", "films/twice.mp4", cancelled(world.ago(11))).await;
    world.ended("older", "films/older.mp4", superseded()).await;
    world.running("long", "films/long.mp4").await;
    world.report(0, None, live(world)).await;
    world
}

/// Each begins with jobs of its own: ages in what is printed stay as they are for half a minute.
#[tokio::test]
async fn what_is_known_of_jobs_is_shown_in_every_format_with_or_without_a_controller() {
    let mut world = World::new().await;
    jobs_are_listed_in_every_format(a_day_in(&mut world).await).await;
    a_job_is_shown_in_every_format_by_its_key_or_its_object(a_day_in(&mut world).await);
    every_state_is_explained_with_the_age_of_what_is_known(a_day_in(&mut world).await).await;
    a_controller_that_cannot_write_is_told_from_one_that_is_gone_by_its_log(a_day_in(&mut world).await).await;
}

#[tokio::test]
async fn commands_wait_read_logs_list_a_thousand_jobs_and_all_work_with_no_way_to_the_controllers_port() {
    let mut world = World::new().await;
    who_waits_learns_by_the_exit_status_how_the_job_ended(a_day_in(&mut world).await);
    the_log_of_a_jobs_task_is_read_to_its_end(a_day_in(&mut world).await).await;
    lost::who_cannot_reach_aws_is_told_what_to_do(a_day_in(&mut world).await);
    every::every_command_answers(a_day_in(&mut world).await);
    completions_and_manual_pages_are_made_from_the_command_line(&world);
    world.empty().await;
    a_thousand_jobs_are_listed_with_five_calls_at_most(&world).await;
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

async fn jobs_are_listed_in_every_format(world: &World) {
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
    world.report(7 * MINUTE, None, live(world)).await;
    insta::assert_snapshot!("list-silent", world.said(&["list", "--limit", "2"]));
    world.report(0, Some("paused by anna: a fire drill"), live(world)).await;
    insta::assert_snapshot!("list-paused", world.said(&["list", "--limit", "2"]));
    assert!(!world.was_dialed());
}

fn a_job_is_shown_in_every_format_by_its_key_or_its_object(world: &World) {
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
    assert!(!world.was_dialed());
    let absent = world.run(&["get", "films/absent.mp4"]);
    let text = String::from_utf8_lossy(&absent.stderr).into_owned();
    assert_eq!((absent.status.code(), text.lines().count()), (Some(1), 1), "{text}");
    assert!(text.contains("`explain` says why"), "{text}");
    assert!(world.was_dialed() && !world.was_dialed(), "a controller here might know the absent one");
}

async fn every_state_is_explained_with_the_age_of_what_is_known(world: &World) {
    let keys = ["done", "stuck", "broken", "large", "twice", "older", "long", "absent"];
    let mut said: Vec<_> = keys.map(|key| world.said(&["explain", &format!("films/{key}.mp4")])).into();
    said.push(world.said(&["explain", "tenants/acme/queued.mp4"]));
    insta::assert_snapshot!("explain", said.join("\n"));
    for format in ["json", "yaml", "name"] {
        let text = world.said(&["explain", "films/broken.mp4", "-o", format]);
        insta::assert_snapshot!(format!("explain-{format}"), text);
    }
    insta::assert_snapshot!("explain-evidence", world.said(&["explain", "films/long.mp4", "--evidence"]));

    // A controller on the same machine is asked once the report says nothing of the job, and only then.
    assert!(world.was_dialed() && !world.was_dialed(), "for the absent one");
    world.report(7 * MINUTE, None, live(world)).await;
    let silent = world.said(&["explain", "tenants/acme/queued.mp4"]);
    assert!(silent.contains("No controller has spoken for 7 min."), "{silent}");
    world.report(0, Some("paused by anna: a fire drill"), live(world)).await;
    let paused = world.said(&["explain", "tenants/acme/queued.mp4"]);
    assert!(paused.contains("It has launched nothing for 5 min: paused by anna: a fire drill."), "{paused}");
}

async fn a_controller_that_cannot_write_is_told_from_one_that_is_gone_by_its_log(world: &World) {
    world.report(7 * MINUTE, None, live(world)).await;
    let gone = world.said(&["explain", "tenants/acme/queued.mp4"]);
    for part in [
        "No controller has spoken for 7 min.",
        "no trouble within the last hour",
        "The queues now: default: ",
    ] {
        assert!(gone.contains(part), "{part}: {gone}");
    }
    let refused = "s3:PutObject: AccessDenied: not authorized to perform: kms:GenerateDataKey (request R)";
    let report = json!({"level": "ERROR", "message": "status report cannot be written: commands show an old one",
        "error": refused});
    let job = JobKey::of(&["queued"]);
    let failed = json!({"level": "WARN", "message": "action failed", "job": job, "action": "s3:PutObject", "error": refused});
    world.controller_log(5 * MINUTE, &[report]).await;
    world.controller_log(2 * MINUTE, &[failed, json!({"level": "INFO", "message": "job received"})]).await;
    let told = world.said(&["explain", "tenants/acme/queued.mp4"]);
    assert!(told.starts_with("A controller runs, and cannot write its report since "), "{told}");
    for part in [
        refused,
        "You can act: remove that cause",
        "Its log said of this job 2 min ago: action failed: s3:PutObject",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("Nobody has to act") && !told.contains("No controller"), "{told}");
    // Who may not read the state bucket learns the same.
    let blind =
        world.command(&["explain", job.as_str()]).env("TRANSCODE_STATE__BUCKET", "no-such-bucket").output();
    let blind = String::from_utf8_lossy(&blind.unwrap().stdout).into_owned();
    for part in [
        "cannot be read with your credentials: s3:",
        "NoSuchBucket",
        refused,
        "Its log said of this job 2 min ago",
    ] {
        assert!(blind.contains(part), "{part}: {blind}");
    }
    // Of an object that nobody has heard of, and of one whose record is all there is.
    let absent = world.run(&["get", "films/absent.mp4"]);
    let absent = String::from_utf8_lossy(&absent.stderr).into_owned();
    assert!(absent.contains(refused) && absent.contains("has no record of a job"), "{absent}");
    let got = world.said(&["get", "films/long.mp4"]);
    assert!(
        got.starts_with("controller A controller runs, and cannot write its report") && got.contains(refused),
        "{got}"
    );
    let doctor = world.run(&["doctor", "-o", "json"]);
    let findings: Vec<Value> = serde_json::from_slice(&doctor.stdout).unwrap();
    let report = findings.iter().find(|one| one["check"] == "controller.report").unwrap();
    assert!(report["status"] == "fail" && report["seen"].as_str().unwrap().contains(refused), "{report}");
    // Once it writes again, an old report means that nobody speaks.
    world.controller_log(MINUTE, &[json!({"level": "INFO", "message": "status report written again"})]).await;
    let again = world.said(&["explain", "tenants/acme/queued.mp4"]);
    assert!(again.starts_with("Job ") && again.contains("No controller has spoken for 7 min."), "{again}");
}

fn who_waits_learns_by_the_exit_status_how_the_job_ended(world: &World) {
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

async fn the_log_of_a_jobs_task_is_read_to_its_end(world: &World) {
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

async fn a_thousand_jobs_are_listed_with_five_calls_at_most(world: &World) {
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

fn completions_and_manual_pages_are_made_from_the_command_line(world: &World) {
    let script = world.said(&["completions", "bash"]);
    assert!(script.contains("transcode-controller") && script.contains("explain"), "{script}");
    let page = world.said(&["man", "list"]);
    assert!(page.contains(".TH") && page.contains("\\-\\-since"), "{page}");
    assert!(world.said(&["man"]).contains("transcode\\-controller\\-explain"));
}
