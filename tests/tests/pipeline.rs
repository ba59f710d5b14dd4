//! Real video through the whole pipeline: real controller, real task, real ffmpeg, local AWS.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use transcode_config::contract::{Attempt, FailureCode, JobKey, Layout, Outcome, Succeeded};
use transcode_tests::{Stack, StackOptions, aftermath::Expected, controller, paths};

const LIMIT: Duration = Duration::from_mins(4);

/// Two seconds of the real clip, small enough for one rung.
fn short_clip(folder: &Path) -> PathBuf {
    let clip = folder.join("short.mp4");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(paths::clip().unwrap())
        .args(["-t", "2", "-vf", "scale=320:180", "-preset", "ultrafast", "-y"])
        .arg(&clip)
        .status()
        .unwrap();
    assert!(made.success());
    clip
}

async fn quick() -> Stack {
    let options = StackOptions::default()
        .setting("launch.max_tasks", "3")
        .setting("observe.describe_seconds", "1")
        .setting("metrics.period_seconds", "1");
    Stack::with(options).await.unwrap()
}

async fn succeeded(stack: &Stack, key: &str) -> Succeeded {
    match stack.wait_for_terminal_record(key, LIMIT).await.unwrap().outcome {
        Outcome::Succeeded(succeeded) => succeeded,
        Outcome::Dead(dead) => panic!("{key}: {}\n{}", dead.failure, stack.tails(20)),
        Outcome::Superseded(_) | Outcome::Cancelled(_) => panic!("{key}: superseded or cancelled"),
    }
}

/// Length of a media playlist's segments, in seconds.
fn seconds(playlist: &[u8]) -> f64 {
    match m3u8_rs::parse_playlist_res(playlist) {
        Ok(m3u8_rs::Playlist::MediaPlaylist(media)) => {
            assert!(media.end_list);
            media.segments.iter().map(|segment| f64::from(segment.duration)).sum()
        }
        other => panic!("not a media playlist: {other:?}"),
    }
}

#[tokio::test]
async fn an_upload_becomes_a_package_that_plays_and_nothing_is_left_over() {
    let stack = quick().await;
    let clip = short_clip(stack.folder());
    // Every character that keys are known to break on.
    let key = "my cat + dog/100% für élise/キャット.mp4";
    stack.put_source(key, &clip).await.unwrap();
    let winner = succeeded(&stack, key).await;
    stack.wait_for_empty_queue(LIMIT).await.unwrap();

    let prefix = format!("videos/{key}/");
    let published = stack.published(&prefix).await.unwrap();
    for name in ["master.m3u8", "poster.jpg", "metadata.json"] {
        assert!(published.contains_key(&format!("{prefix}{name}")), "{name} is not in {published:?}");
    }
    let bucket = &stack.deployment.production_bucket;
    let bytes = stack.read(bucket, &format!("{prefix}master.m3u8")).await.unwrap().unwrap();
    let Ok(m3u8_rs::Playlist::MasterPlaylist(master)) = m3u8_rs::parse_playlist_res(&bytes) else {
        panic!("not a master playlist: {}", String::from_utf8_lossy(&bytes));
    };
    assert!(!master.variants.is_empty());
    for variant in &master.variants {
        let playlist = stack.read(bucket, &format!("{prefix}{}", variant.uri)).await.unwrap().unwrap();
        if !variant.is_i_frame {
            assert!((seconds(&playlist) - 2.0).abs() < 0.05, "{} lasts {}", variant.uri, seconds(&playlist));
        }
    }
    assert!(
        usize::try_from(winner.files).unwrap() <= published.len(),
        "S3: {} files in {published:?}",
        winner.files
    );

    let manifest = stack.read(bucket, &winner.manifest.key).await.unwrap().unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(
        manifest["sandbox"]["seccomp"], true,
        "the result says what the decoder was shut in with: {manifest}"
    );

    let task = winner.task_arn.clone().unwrap();
    stack
        .wait_for("the task has stopped", LIMIT, async || {
            let tasks = stack.fargate.tasks().await?;
            Ok(tasks
                .iter()
                .any(|seen| seen.to_string().contains(&task) && seen.to_string().contains("STOPPED"))
                .then_some(()))
        })
        .await
        .unwrap();
    assert_eq!(stack.fargate.counters().await.unwrap()["leftovers"], 0, "the work folder is gone");
    let metrics = stack
        .wait_for("metrics arrive", LIMIT, async || {
            let list = stack.clients().cloudwatch.list_metrics().send().await?;
            let names: Vec<String> =
                list.metrics().iter().filter_map(|m| m.metric_name().map(str::to_owned)).collect();
            // Counters are sent as zero from the start; a distribution is there only once a job has ended.
            Ok(names.iter().any(|name| name == "JobSeconds").then_some(names))
        })
        .await
        .unwrap();
    for name in ["QueueDepth", "TasksInFlight", "Launches", "JobsSucceeded", "OutputMinutes"] {
        assert!(metrics.iter().any(|metric| metric == name), "{name} is not in {metrics:?}");
    }
}

#[tokio::test]
async fn ten_uploads_with_room_for_three_never_run_more_than_three() {
    let stack = quick().await;
    let clip = short_clip(stack.folder());
    for n in 0..10 {
        stack.put_source(&format!("{n}.mp4"), &clip).await.unwrap();
    }
    for n in 0..10 {
        succeeded(&stack, &format!("{n}.mp4")).await;
    }
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    let counters = stack.fargate.counters().await.unwrap();
    assert!(counters["tasks"]["maxRunning"].as_u64() <= Some(3), "{counters}");
    assert_eq!(counters["tasks"]["launched"], 10, "one task for each upload: {counters}");
    for n in 0..10 {
        let published = stack.published(&format!("videos/{n}.mp4/")).await.unwrap();
        assert!(published.contains_key(&format!("videos/{n}.mp4/master.m3u8")), "{published:?}");
    }
}

#[tokio::test]
async fn the_same_upload_notified_twice_runs_once() {
    let stack = quick().await;
    let clip = short_clip(stack.folder());
    stack.put_source("twice.mp4", &clip).await.unwrap();
    let job = stack.wait_for("the job", LIMIT, async || stack.job_of("twice.mp4").await).await.unwrap();
    let source = &job.source;
    let mut object = serde_json::json!({"key": source.key, "size": source.size, "eTag": source.etag, "sequencer": source.sequencer});
    if let Some(version) = &source.version_id {
        object["versionId"] = version.clone().into();
    }
    let event = serde_json::json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": source.bucket}, "object": object}}]});
    stack.send_job(&event.to_string()).await.unwrap();
    succeeded(&stack, "twice.mp4").await;
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
    assert_eq!(stack.fargate.counters().await.unwrap()["tasks"]["launched"], 1);
    assert_eq!(stack.jobs().await.unwrap().len(), 1);
}

#[tokio::test]
async fn bad_input_is_refused_by_name_and_never_tried_again() {
    let stack = quick().await;
    let clip = std::fs::read(short_clip(stack.folder())).unwrap();
    stack
        .put_source_body("text.mp4", b"this is no video, whatever its name says\n".repeat(50))
        .await
        .unwrap();
    stack.put_source_body("cut.mp4", moov_first_then_cut(stack.folder(), &clip)).await.unwrap();
    let joined = ["joined.flv", "joined.mp4", "joined.mkv"];
    for key in joined {
        stack.put_source_body(key, twice(stack.folder(), key, &clip)).await.unwrap();
    }
    let refused = [("text.mp4", FailureCode::NotMedia), ("cut.mp4", FailureCode::SourceTruncated)];
    let discontinuous = joined.map(|key| (key, FailureCode::SourceDiscontinuous));
    for (key, code) in refused.into_iter().chain(discontinuous) {
        let terminal = stack.wait_for_terminal_record(key, LIMIT).await.unwrap();
        let Outcome::Dead(dead) = terminal.outcome else { panic!("{key} succeeded") };
        assert_eq!(dead.failure.code, code, "{key}: {}", dead.failure);
        assert_eq!(dead.attempts.len(), 1, "{key} was tried again");
    }
    stack.put_source_body("empty.mp4", Vec::new()).await.unwrap();
    let letters = stack
        .wait_for("six dead letters", LIMIT, async || {
            let letters = stack.dead_letters().await?;
            Ok((letters.len() == 6).then_some(letters))
        })
        .await
        .unwrap();
    let bodies: Vec<&str> = letters.iter().filter_map(|letter| letter.body()).collect();
    assert!(bodies.iter().any(|body| body.contains("\"EMPTY\"")), "{bodies:?}");
    stack.wait_for_empty_queue(LIMIT).await.unwrap();
}

/// Two recordings in one file: the clip in this container, and the same bytes once more.
fn twice(folder: &Path, name: &str, clip: &[u8]) -> Vec<u8> {
    let (whole, one) = (folder.join("whole.mp4"), folder.join(name));
    std::fs::write(&whole, clip).unwrap();
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-i"])
        .arg(&whole)
        .args(["-c:v", "copy", "-c:a", "aac", "-ar", "44100"])
        .arg(&one)
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::read(one).unwrap().repeat(2)
}

/// The clip with its index in front and its last third missing: ffmpeg itself accepts it without an error.
fn moov_first_then_cut(folder: &Path, clip: &[u8]) -> Vec<u8> {
    let (whole, front) = (folder.join("whole.mp4"), folder.join("front.mp4"));
    std::fs::write(&whole, clip).unwrap();
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y", "-i"])
        .arg(&whole)
        .args(["-c", "copy", "-movflags", "+faststart"])
        .arg(&front)
        .status()
        .unwrap();
    assert!(made.success());
    let mut bytes = std::fs::read(front).unwrap();
    bytes.truncate(bytes.len() * 2 / 3);
    bytes
}

#[tokio::test]
async fn a_killed_task_is_followed_by_another_attempt_that_succeeds() {
    let options = StackOptions::default()
        .setting("jobs.retry_base_seconds", "1")
        .setting("jobs.retry_cap_seconds", "2")
        .setting("observe.describe_seconds", "1");
    let stack = Stack::with(options).await.unwrap();
    stack.put_source("killed.mp4", &short_clip(stack.folder())).await.unwrap();
    let task = stack
        .wait_for("the task works", LIMIT, async || {
            let tasks = stack.fargate.tasks().await?;
            let running = tasks.iter().find(|task| task["containers"][0]["pid"].is_number());
            Ok(running.and_then(|task| task["id"].as_str().map(str::to_owned)))
        })
        .await
        .unwrap();
    // What it may be in the midst of: a file is up, another in parts.
    let spec = stack.job_of("killed.mp4").await.unwrap().unwrap();
    let folder = format!("{}{}", spec.output.prefix, Layout::of(&spec.job).folder(Attempt::FIRST));
    let s3 = &stack.clients().s3;
    let put = s3.put_object().bucket(&spec.output.bucket).key(format!("{folder}video/360p/1.m4s"));
    put.body(b"a segment".to_vec().into()).send().await.unwrap();
    let parts = s3.create_multipart_upload().bucket(&spec.output.bucket).key(format!("{folder}audio.mp4"));
    parts.send().await.unwrap();
    stack.fargate.signal(&task, rustix::process::Signal::KILL, true).await.unwrap();
    let winner = succeeded(&stack, "killed.mp4").await;
    assert_eq!(winner.attempt.number(), 2);
    assert!(winner.folder.ends_with(&Layout::of(&spec.job).folder(winner.attempt)), "S4: {}", winner.folder);
    // L7: below the prefix there is nothing but the winner's folder and the copies of its entry points.
    let expected = Expected { attempts: 2, killed: 1, ..Expected::SUCCESS };
    stack.aftermath("killed.mp4", expected, LIMIT).await.unwrap();
    let open = s3.list_multipart_uploads().bucket(&spec.output.bucket).send().await.unwrap();
    assert_eq!(open.uploads(), [], "L7");
}

/// The output of a controller's command.
fn submit(stack: &Stack, args: &[&str]) -> std::process::Output {
    Command::new(paths::binary("transcode-controller").unwrap())
        .args(["submit", "--config"])
        .arg(stack.plan.config())
        .args(args)
        .env_clear()
        .envs(controller::environment(stack.endpoint(), &stack.fargate.endpoint))
        .output()
        .unwrap()
}

/// Whether the poster is red where a watermark of a quarter of its width would be.
async fn red_in_the_corner(stack: &Stack, result: &Succeeded) -> bool {
    let key = format!("{}entry/poster.jpg", result.folder);
    let poster = stack.read(&stack.deployment.production_bucket, &key).await.unwrap().unwrap();
    let file = stack.folder().join("poster.jpg");
    std::fs::write(&file, poster).unwrap();
    let filter = "crop=iw/8:ih/10:iw/10:ih/12,scale=1:1:flags=area,format=rgb24";
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(&file).args(["-vf", filter, "-f", "rawvideo", "-"]);
    let seen = ffmpeg.output().unwrap().stdout;
    assert_eq!(seen.len(), 3);
    seen[0] > 220 && seen[1] < 40 && seen[2] < 40
}

/// A red image of 80x40 in a bucket of its own.
async fn put_watermark(stack: &Stack, bucket: &str, key: &str) {
    let mark = stack.folder().join("mark.png");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", "color=red:s=80x40", "-frames:v", "1", "-update", "1"]);
    assert!(ffmpeg.arg(&mark).status().unwrap().success());
    let s3 = &stack.clients().s3;
    s3.create_bucket().bucket(bucket).send().await.unwrap();
    let put = s3.put_object().bucket(bucket).key(key);
    put.body(std::fs::read(&mark).unwrap().into()).send().await.unwrap();
}

#[tokio::test]
async fn a_part_of_an_upload_with_a_watermark_is_published_beside_the_whole() {
    let options = StackOptions::default()
        .setting("launch.max_tasks", "2")
        .setting("observe.describe_seconds", "1")
        .setting("sources.uploads.overlays", r#"[{ bucket = "brand", prefix = "marks/" }]"#);
    let stack = Stack::with(options).await.unwrap();
    let clip = short_clip(stack.folder());
    put_watermark(&stack, "brand", "marks/a b.png").await;
    let key = "film.mp4";
    stack.put_source(key, &clip).await.unwrap();
    let whole = succeeded(&stack, key).await;

    let part = ["--key", key, "--clip-start", "0.5", "--clip-end", "1.3"];
    let elsewhere = submit(&stack, &[&part[..], &["--overlay", "s3://brand/other.png"]].concat());
    let said = String::from_utf8_lossy(&elsewhere.stderr).into_owned();
    assert!(!elsewhere.status.success() && said.contains("OVERLAY_NOT_ALLOWED"), "{said}");
    let marked =
        ["--overlay", "s3://brand/marks/a b.png", "--overlay-position", "top-left", "--overlay-width", "25"];
    let sent = submit(&stack, &[&part[..], &marked[..]].concat());
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let job: JobKey = String::from_utf8(sent.stdout).unwrap().trim().parse().unwrap();
    let what = format!("job {job} is decided");
    let outcome = stack.wait_for(&what, LIMIT, async || stack.record(&job).await).await.unwrap().outcome;
    let Outcome::Succeeded(part) = outcome else { panic!("{outcome:?}") };
    stack.wait_for_empty_queue(LIMIT).await.unwrap();

    assert_eq!((whole.duration_ms, part.duration_ms), (2000, 800));
    let master = |result: &Succeeded| {
        let entry = result.entry_points.iter().find(|entry| entry.to.ends_with("/master.m3u8"));
        entry.unwrap().to.clone()
    };
    assert_eq!(master(&whole), "videos/film.mp4/master.m3u8");
    assert!(master(&part).starts_with("videos/film.mp4/~edit-"), "{}", master(&part));
    let bucket = &stack.deployment.production_bucket;
    for result in [&whole, &part] {
        assert!(stack.read(bucket, &master(result)).await.unwrap().is_some(), "{}", master(result));
    }
    assert!(!red_in_the_corner(&stack, &whole).await);
    assert!(red_in_the_corner(&stack, &part).await);
}
