//! Packages in real players: hls.js and shaka-player in headless Chromium, from a plain static server.
//!
//! Every frame of the source carries its number, and its audio beeps once a second, so the test can compare video and
//! audio with the expected ones: the first frame at 0, the right frame after every seek and in every rung, audio in
//! step with it. `tests/player/` observes, `judge.rs` judges. Screenshots stay in `target/tmp/player/`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; JSON gives null"
)]

mod cors;
mod event_playlist;
mod judge;
mod lambda;
mod line;
mod source;
mod upload;

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use transcode_tests::{
    paths,
    process::{Process, Spec},
    wait,
};

use judge::{IN_STEP, judge, judge_file, judge_storyboard, judge_video, list, near, number};
use source::{in_high_range, in_surround, run, source, source_of, with_texts};

/// Length of sources. More than one segment, and no longer than needed: the test plays it in real time.
const SECONDS: f64 = 4.0;
const RATE: f64 = 25.0;
const FRAME: f64 = 1.0 / RATE;
/// Longest run of both players together; it takes about 10 s.
const LIMIT: Duration = Duration::from_mins(10);

/// A package and the folder of its screenshots.
struct Made {
    _folder: tempfile::TempDir,
    output: PathBuf,
    shots: PathBuf,
}

/// The begin of each track by libavformat, which ffplay, mpv and many others use.
fn begins(master: &Path) -> Vec<f64> {
    let args = "-v error -show_entries stream=start_time -of csv=p=0";
    let out = Command::new("ffprobe").args(args.split(' ')).arg(master).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}

/// A ladder of two small rungs, or of none; short segments, so that there are several.
fn profile(preset: &str, rungs: &[(u32, u32)]) -> String {
    let mut text = format!(
        "name = \"player\"\ncodec = \"h264\"\ncrf = 28\npreset = \"{preset}\"\ngop_seconds = 1\nsegment_gops = 1\n\
         max_duration_seconds = 60\n[audio]\nbps = 64_000\nloudness_lufs = -23.0\n"
    );
    for (side, rate) in rungs {
        let _ = write!(
            text,
            "[[rung]]\nshort_side = {side}\naverage_bps = {rate}\nmax_bps = {}\nbuffer_bits = {}\n\
             codec_profile = \"high\"\n",
            rate * 2,
            rate * 4
        );
    }
    text
}

const LADDER: [(u32, u32); 2] = [(144, 100_000), (216, 300_000)];

/// Packages `source.mov`, which `prepare` writes.
fn package(name: &str, profile: &str, prepare: impl FnOnce(&Path)) -> Made {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    fs::write(folder.path().join("player.toml"), profile).unwrap();
    let task = paths::binary("transcode-task").unwrap();
    let args = ["--input", "source.mov", "--output", "package", "--profile", "player.toml"];
    run(&task, &args, folder.path());
    Made { output: folder.path().join("package"), shots: shots(name), _folder: folder }
}

/// The report of both players: `hls` and `dash`, each with the steps of `tests/player/run.mjs`.
fn played(made: &Made) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let mut node = player(&made.output.display().to_string(), &made.shots, folder.path());
    wait::until_blocking(LIMIT, || node.ended().is_some());
    let passed = node.ended().is_some_and(|status| status.success());
    assert!(passed, "not played within {LIMIT:?}: {}", node.tail(30));
    serde_json::from_str(&node.output()).unwrap()
}

/// Starts `tests/player/run.mjs`, with its logs in `folder`.
fn player(package: &str, shots: &Path, folder: &Path) -> Process {
    let players = paths::tool("player").unwrap();
    let [players, shots] = [players.as_path(), shots].map(|path| path.display().to_string());
    Process::driver("run.mjs", &[package.to_owned(), players, shots], folder).unwrap()
}

/// Where a test's screenshots go.
fn shots(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("player").join(name)
}

#[test]
fn a_video_with_audio_plays_as_streams_and_as_a_file() {
    let profile = profile("ultrafast", &LADDER) + "[progressive]\nmax_short_side = 150\n";
    let made = package("video", &profile, |folder| source(folder, false, &[1000]));
    let seen = played(&made);
    judge_file(&seen["hls"]);
    for player in ["hls", "dash"] {
        judge(player, &seen[player], &["video", "audio"]);
        judge_video(player, &seen[player], [(256, 144), (384, 216)]);
        judge_storyboard(player, &seen[player]);
    }
}

#[test]
fn reordered_frames_in_chunks_play_from_0_and_across_the_seams() {
    let profile = profile("medium", &LADDER) + "[chunks]\nseconds = 2\nat_once = 2\n";
    let made = package("reordered", &profile, |folder| source(folder, false, &[1000]));
    let starts = begins(&made.output.join("master.m3u8"));
    assert!(starts.len() > 2 && starts.iter().all(|start| start.abs() < 0.001), "libavformat: {starts:?}");
    let seen = played(&made);
    for player in ["hls", "dash"] {
        judge(player, &seen[player], &["video", "audio"]);
        judge_video(player, &seen[player], [(256, 144), (384, 216)]);
    }
}

#[test]
fn audio_alone_plays() {
    let made = package("audio", &profile("medium", &[]), |folder| source(folder, false, &[1000]));
    let seen = played(&made);
    for player in ["hls", "dash"] {
        judge(player, &seen[player], &["audio"]);
        assert!(seen[player]["storyboard"].is_null(), "no video, no storyboard");
    }
}

#[test]
fn a_turned_video_plays_upright() {
    let made = package("portrait", &profile("ultrafast", &LADDER), |folder| source(folder, true, &[1000]));
    let seen = played(&made);
    for player in ["hls", "dash"] {
        judge(player, &seen[player], &["video", "audio"]);
        judge_video(player, &seen[player], [(144, 256), (216, 384)]);
        judge_storyboard(player, &seen[player]);
    }
}

#[test]
fn two_languages_and_texts_play() {
    let made = package("languages", &profile("veryfast", &LADDER), |folder| {
        source(folder, false, &[1000, 500]);
        with_texts(folder);
    });
    let seen = played(&made);
    for player in ["hls", "dash"] {
        let seen = &seen[player];
        judge(player, seen, &["video", "audio"]);
        judge_video(player, seen, [(256, 144), (384, 216)]);
        let mut heard: Vec<_> = list(&seen["sounds"]).iter().map(|one| one["language"].as_str()).collect();
        heard.sort_unstable();
        assert_eq!(heard, [Some("de"), Some("en")], "{player}");
        for audio in list(&seen["sounds"]) {
            let wanted = if audio["language"] == "de" { 500.0 } else { 1000.0 };
            near(&format!("{player}: pitch of {audio}"), number(&audio["hertz"]), wanted, 30.0);
            near(&format!("{player}: beep of {audio}"), number(&audio["start"]), 1.0, IN_STEP);
        }
        let read: Vec<_> = list(&seen["texts"]).iter().map(|one| &one["cues"][0]).collect();
        let said: Vec<_> = read.iter().map(|cue| (cue["text"].as_str(), number(&cue["start"]))).collect();
        assert_eq!(said, [(Some("Good morning"), 1.0), (Some("Guten Morgen"), 1.0)], "{player}");
    }
}

#[test]
fn surround_plays_beside_stereo() {
    let text = profile("veryfast", &LADDER).replace("[audio]\n", "[audio]\nsurround_bps = 256_000\n");
    let made = package("surround", &text, |folder| {
        source(folder, false, &[1000]);
        in_surround(folder);
    });
    let seen = played(&made);
    judge("hls", &seen["hls"], &["video", "audio"]);
    judge("dash", &seen["dash"], &["video", "audio"]);
    judge_video("dash", &seen["dash"], [(256, 144), (384, 216)]);
    let tracks = list(&seen["dash"]["sounds"]);
    let mut channels: Vec<_> = tracks.iter().map(|audio| audio["channels"].as_u64()).collect();
    channels.sort_unstable();
    assert_eq!(channels, [Some(2), Some(6)], "{tracks:?}");
    for audio in tracks {
        near(&format!("beep of {audio}"), number(&audio["start"]), 1.0, IN_STEP);
    }
}

/// Chromium has no decoder for HEVC. It must choose by the manifests, and never request those rungs.
#[test]
fn a_rung_of_high_range_does_not_disturb_a_player_that_cannot_show_it() {
    let high = "[hdr]\ncrf = 30\npreset = \"ultrafast\"\n[[hdr.rung]]\nshort_side = 216\naverage_bps = 400_000\n\
                max_bps = 800_000\nbuffer_bits = 1_600_000\ncodec_profile = \"main10\"\n";
    let made = package("high-range", &(profile("ultrafast", &LADDER) + high), |folder| {
        source(folder, false, &[1000]);
        in_high_range(folder);
    });
    let master = fs::read_to_string(made.output.join("master.m3u8")).unwrap();
    assert!(master.contains("VIDEO-RANGE=PQ"), "{master}");
    let seen = played(&made);
    for player in ["hls", "dash"] {
        judge(player, &seen[player], &["video", "audio"]);
        judge_video(player, &seen[player], [(256, 144), (384, 216)]);
    }
}
