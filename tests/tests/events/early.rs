//! The events of a job that is at work, to a consumer behind the bus: what can be played early, and how far it is.

use std::{fs, path::Path, sync::Arc};

use rustix::process::Signal;
use transcode_config::contract::{EventKind, JobEvent};
use transcode_tests::{
    Stack, StackOptions,
    gate::Gate,
    listener::Listener,
    paths,
    proxy::{Interceptor, Proxy},
    wait,
};

use super::{LIMIT, schemas};

/// The segment that does not arrive before the test allows it; those in front of it can be played.
const HELD: &str = "00003.m4s";

const PROFILE: &str = "name = \"early\"
codec = \"h264\"
crf = 30
preset = \"ultrafast\"
gop_seconds = 1
segment_gops = 1
max_duration_seconds = 60
playable_early = true
[audio]
bps = 64_000
loudness_lufs = -23.0
[[rung]]
short_side = 144
average_bps = 100_000
max_bps = 200_000
buffer_bits = 400_000
codec_profile = \"high\"
";

/// A stack whose uploads become playable early, and whose tasks reach S3 at the address in the file `s3` of `folder`.
async fn stack(folder: &Path) -> Stack {
    let task = paths::binary("transcode-task").unwrap();
    let script =
        format!("AWS_ENDPOINT_URL_S3=$(cat {}) exec {} \"$@\"", folder.join("s3").display(), task.display());
    let options = StackOptions {
        without_controller: true,
        task_program: Some(paths::script(folder, &script).unwrap()),
        task_env: vec![("TRANSCODE_HEARTBEAT_SECONDS".to_owned(), "1".to_owned())],
        ..StackOptions::default()
    };
    let options = options
        .setting("events.bus", "\"jobs\"")
        .setting("jobs.default_profile", "\"early\"")
        .setting("observe.describe_seconds", "1")
        .setting("calls.receive_wait_seconds", "1");
    let stack = Stack::with(options).await.unwrap();
    let profile = folder.join("early.toml");
    fs::write(&profile, PROFILE).unwrap();
    let put = super::command(&stack, &["profile", "put", profile.to_str().unwrap(), "--why", "a test"]).await;
    assert!(put.status.success(), "{put:?}");
    stack
}

#[tokio::test]
async fn a_consumer_hears_what_plays_early_and_how_far_it_is_before_the_job_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = stack(folder.path()).await;
    let gate = Arc::new(Gate::closed(HELD));
    let proxy = Proxy::start(stack.endpoint(), Arc::clone(&gate) as Arc<dyn Interceptor>).await.unwrap();
    fs::write(folder.path().join("s3"), &proxy.endpoint).unwrap();
    let listener = Listener::on(&stack, "jobs").await.unwrap();
    stack.start_controller().await.unwrap();
    stack.put_source("films/cat.mp4", &paths::clip().unwrap()).await.unwrap();
    let job =
        stack.wait_for("the job", LIMIT, async || stack.job_of("films/cat.mp4").await).await.unwrap().job;

    let of = |events: &[JobEvent], kind| -> Vec<JobEvent> {
        events.iter().filter(|event| event.kind == kind).cloned().collect()
    };
    let both = |events: &[JobEvent]| {
        [EventKind::PlayableEarly, EventKind::Progress].iter().all(|kind| !of(events, *kind).is_empty())
    };
    // A controller reads the heartbeat of a task that it finds at work at once; one that knows it, once a minute or less.
    let there = async || {
        let beat = stack.heartbeat(&job).await?;
        Ok(beat.and_then(|beat| beat.playable))
    };
    stack.wait_for("something can be played", LIMIT, there).await.unwrap();
    stack.signal_controller(Signal::TERM).unwrap();
    let back = async || {
        let counts = stack.jobs_waiting().await?;
        Ok((counts.visible == 1 && counts.in_flight == 0).then_some(()))
    };
    stack.wait_for("the message is given back", LIMIT, back).await.unwrap();
    stack.start_controller().await.unwrap();
    let told = wait::until("both are told", LIMIT, async || {
        let events = listener.events(&job).await?;
        Ok(Some(events).filter(|events| both(events)))
    });
    let told = told.await.unwrap_or_else(|error| panic!("{error:#}\n{}", stack.tails(20)));
    assert_eq!(stack.record(&job).await.unwrap(), None, "the job is not decided");
    let early = &of(&told, EventKind::PlayableEarly)[0];
    assert_eq!(early.id, format!("{job}.0.playable_early.1"));
    let playlist = early.playable.as_ref().unwrap();
    let text = stack.read(&playlist.bucket, &playlist.key).await.unwrap().expect("the playlist is there");
    assert!(text.starts_with(b"#EXTM3U"), "{}", String::from_utf8_lossy(&text));

    gate.open();
    let ended = |events: &[JobEvent]| !of(events, EventKind::Succeeded).is_empty();
    let told = listener.until("it has succeeded", &job, ended).await.unwrap();
    for event in of(&told, EventKind::PlayableEarly) {
        assert_eq!(event.id, early.id, "a consumer drops the second one");
    }
    for event in of(&told, EventKind::Progress) {
        assert_eq!(event.id, format!("{job}.0.progress.1.{}", event.at_ms / 60_000));
        assert!(event.progress.as_ref().is_some_and(|progress| progress.percent <= 100), "{event:?}");
    }
    schemas::are_events(&listener.envelopes());
}
