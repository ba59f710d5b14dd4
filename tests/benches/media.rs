//! `make bench`: the cost of the task's sandbox, and the gain of decoding once and of encoding in chunks, on the real
//! clip.
#![allow(clippy::expect_used, reason = "what cannot be measured is not passed over")]

include!("shared/ratio.rs");

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use tokio::{runtime::Runtime, sync::mpsc::unbounded_channel};
use tokio_util::sync::CancellationToken;
use transcode_config::ladder::{ChunkSettings, Profile};
use transcode_media::{
    MediaJob,
    process::{Invocation, Limits, Tool, Tools},
    sandbox::SandboxPolicy,
};

fn main() {
    let began = began();
    sandbox(|| began.elapsed());
    one_decoder(|| began.elapsed());
    in_chunks(|| began.elapsed());
}

/// Other processes do the work, so wall time counts: run it on an idle machine.
#[allow(clippy::disallowed_methods, reason = "a measurement")]
fn began() -> Instant {
    Instant::now()
}

/// One ffprobe in the sandbox and one without.
fn sandbox(clock: impl Fn() -> Duration) {
    let tools = tools();
    let runtime = Runtime::new().expect("a runtime");
    let guarded = || {
        let call = Invocation {
            tool: Tool::Ffprobe,
            args: ["-v", "error", "-show_streams"].iter().map(Into::into).chain([clip().into()]).collect(),
            input: Some(clip()),
            extra_inputs: Vec::new(),
            output_dir: None,
            limits: LIMITS,
        };
        let done = runtime.block_on(tools.run(call, &mut |_| (), &CancellationToken::new()));
        done.expect("ffprobe reads the clip");
    };
    let bare = || {
        let mut call = Command::new(tools.path(Tool::Ffprobe));
        let done = call.args(["-v", "error", "-show_streams"]).arg(clip()).output().expect("ffprobe starts");
        assert!(done.status.success());
    };
    report("ffprobe in the sandbox / without it", in_turns(21, clock, guarded, bare));
}

const LIMITS: Limits = Limits {
    wall: Duration::from_mins(1),
    stall: Duration::from_mins(1),
    cpu_seconds: 60,
    memory_bytes: 4 << 30,
    file_bytes: 1 << 20,
    output_bytes: 1 << 20,
    stdout_bytes: 1 << 20,
};

/// The whole ladder from one ffmpeg that decodes once, and a job for each rung.
fn one_decoder(clock: impl Fn() -> Duration) {
    let whole = Profile::built_in("standard").expect("it is built in");
    let alone = |rung| Profile { rungs: vec![rung], ..whole.clone() };
    // What the clip is too small for would be made at its own size again.
    let rungs: Vec<_> = whole.rungs.iter().filter(|rung| rung.short_side <= 720).cloned().collect();
    let each: Vec<_> = rungs.into_iter().map(alone).collect();
    let (all, one) = (|| make(&clip(), &whole), |profile: &Profile| make(&clip(), profile));
    let times = in_turns(3, clock, all, || each.iter().for_each(one));
    report("the ladder from one ffmpeg / from one for each rung", times);
}

/// A longer video, encoded in parallel chunks and in one run. The result means something with more than two cores.
fn in_chunks(clock: impl Fn() -> Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let long = folder.path().join("long.mp4");
    let mut call = Command::new(tools().path(Tool::Ffmpeg));
    call.args(["-v", "error", "-stream_loop", "7", "-i"]).arg(clip()).args(["-c", "copy"]).arg(&long);
    assert!(call.status().expect("ffmpeg starts").success());
    let whole =
        Profile { preset: "veryfast".into(), ..Profile::built_in("standard").expect("it is built in") };
    let settings = ChunkSettings { seconds: 12, at_once: Some(2) };
    let chunks = Profile { chunks: Some(settings), ..whole.clone() };
    let times = in_turns(3, clock, || make(&long, &chunks), || make(&long, &whole));
    report("in chunks, two at a time / in one run", times);
}

fn make(input: &Path, profile: &Profile) {
    let folder = tempfile::tempdir().expect("a folder");
    let (work, output) = (folder.path().join("work"), folder.path().join("output"));
    for path in [&work, &output] {
        std::fs::create_dir(path).expect("a folder");
    }
    let tools = tools();
    let job = MediaJob {
        input,
        work: &work,
        output: &output,
        folder: "v-bench-1/",
        profile,
        clip: None,
        overlay: None,
        user_metadata: None,
    };
    let (events, _inbox) = unbounded_channel();
    let stop = CancellationToken::new();
    let done =
        Runtime::new().expect("a runtime").block_on(transcode_media::make(&job, &tools, &events, &stop));
    done.expect("the clip is transcoded");
}

fn tools() -> Tools {
    Tools::find(SandboxPolicy::Prefer).expect("scripts/setup has brought ffmpeg")
}

fn clip() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/media/bigbuckbunny.mp4"))
}
