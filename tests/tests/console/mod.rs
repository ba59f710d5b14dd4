//! The console in headless Chromium, on the whole pipeline: a job from the queue to the player, one that is cancelled,
//! one whose letter is redriven, and whoever else wants to use it. `tests/player/console.mjs` observes, this judges.
//! Screenshots stay in `target/tmp/console/`; with `UPDATE_DOCS=1` they become those of `docs/pictures/`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking; JSON gives null"
)]

mod live;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};
use transcode_tests::{Stack, StackOptions, console::Console, paths, process::Process, wait};

/// Longest run of the browser. It takes about half a minute, and on a busy machine several times that.
const LIMIT: Duration = Duration::from_mins(10);

/// A stranger's name for a file.
const MARKUP: &str = "films/<b>no film<b>.mp4";

/// Largest picture in the documents, in bytes.
const MAX_PICTURE: u64 = 150_000;

/// A command of the operator, as a process.
fn command(stack: &Stack, args: &[&str]) {
    let mut program = Command::new(paths::binary("transcode-controller").unwrap());
    program.args(args).args(["--config".as_ref(), stack.plan.config().as_os_str()]);
    program.envs(stack.environment().iter().map(|(name, value)| (name, value)));
    let output = program.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Three uploads of a tenant that wait because it is paused, and a console.
async fn world() -> (Stack, Console) {
    let options = StackOptions {
        without_controller: true,
        task_env: vec![("TRANSCODE_HEARTBEAT_SECONDS".to_owned(), "1".to_owned())],
        ..StackOptions::default()
    }
    // A paused tenant's jobs are received and wait in its line.
    .setting("sources.uploads.tenants", r#"[{ prefix = "films/" }]"#);
    let mut stack = Stack::with(options).await.unwrap();
    command(&stack, &["pause", "--tenant", "films", "--why", "the test looks at the queue"]);
    stack.start_controller().await.unwrap();
    stack.put_source("films/holiday.mp4", &paths::clip().unwrap()).await.unwrap();
    let tiny = paths::tiny_clip(stack.folder()).unwrap();
    stack.put_source_body("films/twice.mp4", tiny).await.unwrap();
    stack.put_source_body(MARKUP, vec![b'x'; 20_000]).await.unwrap();
    let console = Console::start(&stack).await.unwrap();
    (stack, console)
}

fn browser(console: &Console, shots: &Path, folder: &Path) -> Process {
    Process::driver("console.mjs", &[console.entrance.clone(), shots.display().to_string()], folder).unwrap()
}

/// What the browser has seen in a step; none before.
fn step(browser: &Process, name: &str) -> Option<Value> {
    let lines = browser.output();
    let mut steps = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    steps.find(|step| step["step"] == name)
}

fn shots() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("console")
}

#[tokio::test]
async fn an_operator_follows_plays_cancels_and_redrives_and_nobody_else_does() {
    let (stack, console) = world().await;
    let folder = tempfile::tempdir().unwrap();
    let mut browser = browser(&console, &shots(), folder.path());
    let cancelled = wait::until("a job is cancelled while all wait", LIMIT, async || {
        browser.ensure_running()?;
        Ok(step(&browser, "cancelled"))
    });
    let cancelled = cancelled.await.unwrap();
    command(&stack, &["resume", "--tenant", "films", "--why", "seen"]);
    wait::until_blocking(LIMIT, || browser.ended().is_some());
    let passed = browser.ended().is_some_and(|status| status.success());
    assert!(passed, "{}\n{}\n{}", browser.output(), browser.tail(30), stack.tails(20));
    let seen = |name: &str| step(&browser, name).unwrap_or_else(|| panic!("no step {name}"));

    let queued = seen("queued");
    assert_eq!(queued["rows"].as_array().unwrap().len(), 3, "{queued}");
    assert!(queued["rows"].to_string().contains(MARKUP), "a name is text: {queued}");
    assert_eq!(cancelled["question"], "Cancel this job?");
    assert_eq!(cancelled["refused"], true, "no cancel without a reason");
    assert!(cancelled["says"].as_str().unwrap().contains("because: uploaded twice"), "{cancelled}");

    played(&seen("played"));
    let native = seen("native");
    assert_eq!((&native["engine"], &native["hls"]), (&json!("played by the browser"), &json!(false)));
    assert!(native["height"].as_f64() > Some(0.0), "{native}");
    redriven(&seen("redriven"));
    let anew = seen("anew");
    assert_eq!((&anew["button"], &anew["question"]), (&json!("Run anew…"), &json!("Run this job anew?")));
    assert_eq!(anew["cancelled"], 0, "it was cancelled before it was accepted: {anew}");
    foreign(&seen("foreign"));
    let jobs = stack.jobs().await.unwrap();
    let runs = jobs.iter().filter(|job| job.source.key == MARKUP).count();
    assert_eq!(runs, 3, "one redrive, one run anew, and nothing by the foreign page");
    looks(&seen("looks"));

    let bare = seen("bare");
    assert_eq!(bare["rows"].as_array().unwrap().len(), 5, "{bare}");
    assert_eq!(bare["headers"], json!(["State", "Object", "Progress", "Age"]));
    assert_eq!(bare["figures"], 3, "{bare}");
    let end = seen("end");
    let host = console.entrance.split('/').nth(2).unwrap();
    assert_eq!((&end["requests"], &end["problems"]), (&json!([host]), &json!([])));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        ["console-jobs", "console-job", "console-narrow"].into_iter().for_each(keep);
    }
}

fn played(seen: &Value) {
    assert!(seen["time"].as_f64().unwrap() > 1.0, "{seen}");
    assert!(seen["engine"].as_str().unwrap().contains("234p with hls.js"), "{seen}");
    assert_eq!((&seen["state"], &seen["cost"]), (&json!("succeeded"), &json!(true)), "{seen}");
    assert_eq!(seen["renditions"], 5, "{seen}");
    assert!(seen["verification"].as_str().unwrap().starts_with("passed"), "{seen}");
    assert!(seen["news"].as_str().unwrap().ends_with(": succeeded"), "told aloud: {seen}");
    let parts = seen["parts"].to_string();
    assert!(parts.contains("waiting for a task") && parts.contains("attempt 1"), "{parts}");
}

fn redriven(seen: &Value) {
    assert_eq!((&seen["name"], &seen["bold"]), (&json!(MARKUP), &json!(0)), "{seen}");
    assert_eq!(seen["rows"].as_array().unwrap().len(), 2, "{seen}");
    assert!(seen["advice"].as_str().unwrap().contains("The uploader can act: upload a video"), "{seen}");
}

fn foreign(seen: &Value) {
    assert_eq!((&seen["read"], &seen["posted"]), (&json!("refused"), &json!("refused")), "{seen}");
    assert!(seen["statuses"].to_string().contains("403"), "{seen}");
    assert!(seen["form"].as_str().unwrap().contains("Only this console's own pages"), "{seen}");
    assert!(seen["named"].as_str().unwrap().contains("its own address only"), "{seen}");
}

fn looks(seen: &Value) {
    for look in seen["looks"].as_array().unwrap() {
        assert!(look["overflow"].as_f64() <= look["width"].as_f64(), "wider than the screen: {look}");
        assert_eq!(look["faint"], json!([]), "{look}");
    }
    let keyboard = seen["keyboard"].as_array().unwrap();
    let texts: Vec<_> = keyboard.iter().map(|one| one["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["Skip to the content", "transcode", "Jobs"]);
    for one in keyboard {
        assert!(
            one["outline"] == "solid" && one["top"].as_f64().unwrap() >= 0.0,
            "the focus is not seen: {one}"
        );
    }
}

/// Keeps a screenshot in the documents, in few colours.
fn keep(name: &str) {
    let to = paths::checkout().join(format!("docs/pictures/{name}.png"));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let graph = "split[a][b];[a]palettegen=max_colors=64:stats_mode=single[p];[b][p]paletteuse=dither=bayer:bayer_scale=5";
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-i"]).arg(shots().join(format!("{name}.png")));
    ffmpeg.args(["-vf", graph, "-pred", "mixed", "-compression_level", "100"]).arg(&to);
    assert!(ffmpeg.status().unwrap().success());
    let size = fs::metadata(&to).unwrap().len();
    assert!(size <= MAX_PICTURE, "{}: {size} bytes, more than {MAX_PICTURE}", to.display());
}
