//! A real clip, variants of it made by ffmpeg, and a quick profile.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use tempfile::TempDir;
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;
use transcode_config::{
    contract::{Clip, Failure, Warning},
    ladder::Profile,
};
use transcode_media::{Event, MediaJob, OverlayFile, Package, process::Tools, sandbox::SandboxPolicy};

/// Two small rungs, encoded as fast as can be; groups of a second, two to a segment.
pub(crate) const QUICK: &str = r#"
name = "quick"
codec = "h264"
crf = 30
preset = "ultrafast"
gop_seconds = 1
segment_gops = 2
max_duration_seconds = 60
[audio]
bps = 64_000
[[rung]]
short_side = 90
average_bps = 100_000
max_bps = 200_000
buffer_bits = 400_000
max_fps = 30
codec_profile = "main"
[[rung]]
short_side = 180
average_bps = 300_000
max_bps = 600_000
buffer_bits = 1_200_000
codec_profile = "high"
"#;

pub(crate) fn quick() -> Profile {
    Profile::parse("quick", QUICK).unwrap()
}

/// The real clip: 5.28 s of 1280x720 at 25 frames a second with 5.1 audio.
pub(crate) fn clip() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/media/bigbuckbunny.mp4");
    let path = std::env::var_os("TRANSCODE_TEST_CLIP").map_or_else(|| PathBuf::from(default), PathBuf::from);
    assert!(
        path.is_file(),
        "no test clip at {}: run scripts/setup, or set TRANSCODE_TEST_CLIP",
        path.display()
    );
    path.canonicalize().unwrap()
}

/// Runs ffmpeg to make a test file in `folder`. `args` stand between the clip and the output's name.
pub(crate) fn variant(folder: &Path, name: &str, args: &str) -> PathBuf {
    let path = folder.join(name);
    ffmpeg(&["-i", clip().to_str().unwrap()], args, &path);
    path
}

pub(crate) fn ffmpeg(inputs: &[&str], args: &str, output: &Path) {
    let done = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(inputs)
        .args(args.split_whitespace())
        .arg(output)
        .output()
        .unwrap();
    assert!(done.status.success(), "{args}: {}", String::from_utf8_lossy(&done.stderr));
}

/// What ffprobe says of `entries` in a file, one value a line.
pub(crate) fn ffprobe(path: &Path, args: &str, entries: &str) -> String {
    let done = Command::new("ffprobe")
        .args(["-v", "error", "-of", "csv=p=0", "-show_entries", entries])
        .args(args.split_whitespace())
        .arg(path)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// A job that was run, with everything it left behind.
pub(crate) struct Run {
    pub(crate) folder: TempDir,
    pub(crate) events: Vec<Event>,
    pub(crate) result: Result<Package, Failure>,
}

impl Run {
    pub(crate) fn package(&self) -> &Package {
        let package =
            self.result.as_ref().unwrap_or_else(|failure| panic!("{failure}: {:?}", failure.evidence));
        for line in &package.summary.warnings {
            let known = Warning::ALL.iter().any(|word| line.starts_with(&format!("{word}: ")));
            let figures = line.contains(|letter: char| letter.is_ascii_digit());
            assert!(known && figures, "{line}: no known word, or no figures");
        }
        package
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.folder.path().join("output")
    }

    pub(crate) fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.output().join(path)).unwrap()
    }

    /// Header and segments of a track as one file, as a player appends them.
    pub(crate) fn joined(&self, track: &str) -> PathBuf {
        let folder = self.output().join(track);
        let mut bytes = std::fs::read(folder.join("init.mp4")).unwrap();
        for line in self.text(&format!("{track}/index.m3u8")).lines().filter(|line| !line.starts_with('#')) {
            bytes.extend(std::fs::read(folder.join(line)).unwrap());
        }
        let path = self.folder.path().join(format!("{}.mp4", track.replace('/', "-")));
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

pub(crate) async fn run(input: &Path, profile: &Profile) -> Run {
    run_edited(input, profile, None, None).await
}

/// With a clip and an overlay.
pub(crate) async fn run_edited(
    input: &Path,
    profile: &Profile,
    clip: Option<Clip>,
    overlay: Option<OverlayFile<'_>>,
) -> Run {
    run_whole(input, profile, clip, overlay, |_| ()).await
}

/// With something done to the scratch folder before.
pub(crate) async fn run_prepared(input: &Path, profile: &Profile, prepare: impl FnOnce(&Path)) -> Run {
    run_whole(input, profile, None, None, prepare).await
}

async fn run_whole(
    input: &Path,
    profile: &Profile,
    clip: Option<Clip>,
    overlay: Option<OverlayFile<'_>>,
    prepare: impl FnOnce(&Path),
) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let (work, output) = (folder.path().join("work"), folder.path().join("output"));
    std::fs::create_dir(&work).unwrap();
    std::fs::create_dir(&output).unwrap();
    prepare(&work);
    let tools = Tools::find(SandboxPolicy::Prefer).unwrap();
    let job = MediaJob {
        input,
        work: &work,
        output: &output,
        folder: "v-test-1/",
        profile,
        clip,
        overlay,
        user_metadata: None,
    };
    let (sender, mut inbox) = unbounded_channel();
    let result = transcode_media::make(&job, &tools, &sender, &CancellationToken::new()).await;
    drop(sender);
    let mut events = Vec::new();
    while let Some(event) = inbox.recv().await {
        events.push(event);
    }
    Run { folder, events, result }
}

/// A row of a table of inputs: its name, how its source is made, and what should come of it.
pub(crate) type Row<T> = (&'static str, fn(&Path) -> PathBuf, T);

/// Makes and judges every row, and names those that fail. Two at a time, because making a source and looking at a result
/// mostly wait for commands. `TRANSCODE_TEST_ROW` names a part of the names of the rows that run; without it all do.
pub(crate) fn judge_each<T: Sync>(
    rows: &'static [Row<T>],
    profile: fn() -> Profile,
    judge: fn(&str, &Run, &T),
) {
    let halves = [0, 1].map(|half| {
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let holds = |(what, make, outcome): &Row<T>| {
                let folder = tempfile::tempdir().unwrap();
                let run = runtime.block_on(run(&make(folder.path()), &profile()));
                catch_unwind(AssertUnwindSafe(|| judge(what, &run, outcome))).is_ok()
            };
            let wanted = std::env::var("TRANSCODE_TEST_ROW").unwrap_or_default();
            let rows = rows.iter().filter(|row| row.0.contains(&wanted)).skip(half).step_by(2);
            rows.filter(|row| !holds(row)).map(|(what, ..)| *what).collect::<Vec<_>>()
        })
    });
    let wrong: Vec<_> = halves.into_iter().flat_map(|half| half.join().unwrap()).collect();
    assert!(wrong.is_empty(), "{wrong:?}: see above");
}
