//! Packages in real players: hls.js and shaka-player in headless Chromium, from a plain static server.
//!
//! Every frame of the source carries its number, and its sound beeps once a second, so that what is seen and heard can
//! be held against what should be: the first frame at 0, the right frame after every seek and in every rung, sound in
//! step with it. `tests/player/` looks, this file judges. Screenshots stay in `target/tmp/player/`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; JSON gives null"
)]

mod early;

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

/// Of sources. More than one segment, and no longer than needed: it is played in real time.
const SECONDS: f64 = 4.0;
const RATE: f64 = 25.0;
/// How far sound may be from its picture (design: 20 ms).
const IN_STEP: f64 = 0.020;
const FRAME: f64 = 1.0 / RATE;
/// For all that two players do; it takes about 10 s.
const LIMIT: Duration = Duration::from_secs(100);

/// A package and where its screenshots go.
struct Made {
    _folder: tempfile::TempDir,
    output: PathBuf,
    shots: PathBuf,
}

fn run(program: &Path, args: &[&str], folder: &Path) {
    let out = Command::new(program).args(args).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{} {args:?}: {said}", program.display());
}

/// Squares along the upper edge: the frame's number, lowest digit on the left.
fn numbered(size: &str) -> String {
    let mut filter = format!("[0:v]scale={size}");
    for digit in 0..8 {
        let place = format!("drawbox=x=iw*{digit}/8:y=0:w=iw/8:h=iw/8:t=fill");
        let _ = write!(filter, ",{place}:color=black");
        let _ = write!(filter, ",{place}:color=white:enable='mod(floor(n/{}),2)'", 1 << digit);
    }
    filter
}

/// A beep of 0.1 s at each whole second but 0; pieces of a millisecond, so that it begins on time.
fn beeps(input: u8, name: &str) -> String {
    let gate = "volume='gte(t,0.9)*lt(mod(t,1),0.1)':eval=frame";
    format!("[{input}:a]asetnsamples=n=48:p=0,{gate},asetnsamples=n=1024:p=0[{name}]")
}

/// `source.mov` from the real clip, in `folder`: 384x216, or portrait by a rotation in its header.
fn source(folder: &Path, portrait: bool, hertz: &[u32]) {
    source_of(SECONDS, folder, portrait, hertz);
}

/// The same of another length; the clip's begins anew where it ends. Frames are counted up to 255.
fn source_of(seconds: f64, folder: &Path, portrait: bool, hertz: &[u32]) {
    let clip = paths::clip().unwrap();
    let size = if portrait { "216:384,setsar=1" } else { "384:216" };
    let lie_down = if portrait { ",transpose=cclock" } else { "" };
    let mut graph = format!("{}{lie_down}[v]", numbered(size));
    let mut args =
        vec!["-v".to_owned(), "error".into(), "-y".into(), "-stream_loop".into(), "1".into(), "-i".into()];
    args.push(clip.display().to_string());
    let mut maps = vec!["-map".to_owned(), "[v]".into()];
    for (number, hertz) in (1..).zip(hertz) {
        args.extend(["-f", "lavfi", "-i"].map(String::from));
        args.push(format!("sine=f={hertz}:r=48000"));
        let _ = write!(graph, ";{}", beeps(number, &format!("a{number}")));
        maps.extend(["-map".to_owned(), format!("[a{number}]")]);
    }
    args.extend(["-filter_complex".to_owned(), graph]);
    args.extend(maps);
    args.extend(["-t".to_owned(), seconds.to_string()]);
    args.extend("-c:v libx264 -preset ultrafast -c:a pcm_s16le source.mov".split(' ').map(String::from));
    run(Path::new("ffmpeg"), &args.iter().map(String::as_str).collect::<Vec<_>>(), folder);
    if portrait {
        turn_clockwise(&folder.join("source.mov"));
    }
}

/// Sets the display matrix of the picture's header as a telephone does that is held upright. By hand: how ffmpeg is
/// told to do it differs between its versions.
fn turn_clockwise(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let header = bytes.windows(4).position(|kind| kind == b"tkhd").unwrap();
    // Version and flags, times, track and duration, then 16 bytes up to the matrix.
    let matrix = header + 4 + 24 + 16;
    let one = 1 << 16;
    let turned = [0, one, 0, -one, 0, 0, 216 * one, 0, 1 << 30].map(i32::to_be_bytes);
    bytes[matrix..matrix + 36].copy_from_slice(turned.as_flattened());
    fs::write(file, bytes).unwrap();
}

/// When each track begins by libavformat, which reads for ffplay, mpv and many others.
fn begins(master: &Path) -> Vec<f64> {
    let args = "-v error -show_entries stream=start_time -of csv=p=0";
    let out = Command::new("ffprobe").args(args.split(' ')).arg(master).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}

/// Two languages, and a text in each.
fn with_texts(folder: &Path) {
    let mut args: Vec<String> = "-v error -y -i source.mov".split(' ').map(String::from).collect();
    for (name, line) in [("en", "Good morning"), ("de", "Guten Morgen")] {
        let text = format!("1\n00:00:01,000 --> 00:00:02,000\n{line}\n");
        fs::write(folder.join(format!("{name}.srt")), text).unwrap();
        args.extend(["-i".to_owned(), format!("{name}.srt")]);
    }
    let rest = "-map 0 -map 1 -map 2 -c:v copy -c:a copy -c:s mov_text -metadata:s:a:0 language=eng \
                -metadata:s:a:1 language=ger -metadata:s:s:0 language=eng -metadata:s:s:1 language=ger spoken.mov";
    args.extend(rest.split_whitespace().map(String::from));
    run(Path::new("ffmpeg"), &args.iter().map(String::as_str).collect::<Vec<_>>(), folder);
    fs::rename(folder.join("spoken.mov"), folder.join("source.mov")).unwrap();
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

/// Packages what `prepare` leaves as `source.mov`.
fn package(name: &str, profile: &str, prepare: impl FnOnce(&Path)) -> Made {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    fs::write(folder.path().join("player.toml"), profile).unwrap();
    let task = paths::binary("transcode-task").unwrap();
    let args = ["--input", "source.mov", "--output", "package", "--profile", "player.toml"];
    run(&task, &args, folder.path());
    Made { output: folder.path().join("package"), shots: shots(name), _folder: folder }
}

/// What both players showed: `hls` and `dash`, each with the steps of `tests/player/run.mjs`.
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
    let driver = paths::checkout().join("tests/player/run.mjs");
    let [driver, players, shots] = [driver.as_path(), &players, shots].map(|path| path.display().to_string());
    Process::start(&Spec {
        name: "player",
        program: Path::new("node"),
        args: vec![driver, package.to_owned(), players, shots],
        env: Vec::new(),
        folder,
        logs: folder,
        out: None,
        orderly: false,
    })
    .unwrap()
}

/// Where a test's screenshots go.
fn shots(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("player").join(name)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn near(what: &str, measured: f64, wanted: f64, tolerance: f64) {
    assert!((measured - wanted).abs() <= tolerance, "{what}: {measured}, not {wanted}");
}

/// What holds for every package: begins at 0, sound in step, no errors, plays to its end.
fn judge(player: &str, seen: &Value, kinds: &[&str]) {
    let (start, play) = (&seen["start"], &seen["play"]);
    near(&format!("{player}: begins"), number(&start["time"]), 0.0, 0.0);
    near(&format!("{player}: duration"), number(&start["duration"]), SECONDS, FRAME);
    for kind in kinds {
        let held = list(&start["buffered"][kind]);
        assert_eq!(held.len(), 1, "{player}: {kind} in one piece, {held:?}");
        near(&format!("{player}: {kind} begins"), number(&held[0][0]), 0.0, IN_STEP / 2.0);
        near(&format!("{player}: {kind} ends"), number(&held[0][1]), SECONDS, 0.05);
    }
    assert!(list(&start["offsets"]).iter().all(|offset| offset == 0), "{player} moves a track: {start}");
    let sound = number(&start["buffered"]["audio"][0][0]) + number(&start["beep"]["start"]);
    near(&format!("{player}: the beep"), sound, 1.0, IN_STEP);
    for said in ["problems", "/start/errors", "/play/errors"] {
        let said = if said.starts_with('/') { seen.pointer(said).unwrap() } else { &seen[said] };
        assert!(list(said).is_empty(), "{player}: {said}");
    }
    near(&format!("{player}: ends"), number(&play["time"]), number(&play["duration"]), FRAME);
}

/// What holds where there is a picture: the right frames, in each rung, nearly all of them shown.
fn judge_pictures(player: &str, seen: &Value, sizes: [(u32, u32); 2]) {
    let first = &seen["start"]["frame"];
    near(&format!("{player}: the first frame"), number(&first["time"]), 0.0, 0.001);
    assert_eq!(first["number"], 0, "{player}: {first}");
    let mut rungs = Vec::new();
    for level in list(&seen["levels"]) {
        let frame = &level["frame"];
        // Sought in the middle between two frames.
        let due = (number(&level["wanted"]) * RATE).floor();
        near(&format!("{player}: sought {}, frame", level["wanted"]), number(&frame["number"]), due, 0.0);
        near(&format!("{player}: its time"), number(&frame["time"]) * RATE, due, 0.01);
        rungs.push((number(&frame["width"]), number(&frame["height"])));
    }
    rungs.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(rungs, sizes.map(|(width, height)| (width.into(), height.into())), "{player}: rungs");
    let play = &seen["play"];
    near(&format!("{player}: the last frame"), number(&play["last"]["number"]), SECONDS * RATE - 1.0, 0.0);
    // A busy machine may drop some; a storm is most of them.
    assert!(number(&play["dropped"]) * 2.0 < number(&play["frames"]), "{player}: dropped {play}");
}

fn judge_storyboard(player: &str, seen: &Value) {
    let board = &seen["storyboard"];
    let cues = list(&board["cues"]);
    near(&format!("{player}: storyboard ends"), number(&cues[cues.len() - 1]["end"]), SECONDS, FRAME);
    let mut clock = 0.0;
    for cue in cues {
        near(&format!("{player}: {cue} follows"), number(&cue["start"]), clock, 0.001);
        clock = number(&cue["end"]);
        let [x, y, width, height] = [0, 1, 2, 3].map(|at| number(&cue["area"][at]));
        let inside = x + width <= number(&board["width"]) && y + height <= number(&board["height"]);
        assert!(inside && width > 0.0 && height > 0.0, "{player}: {cue} lies outside {board}");
    }
}

/// The MP4 beside the streams, without any player.
fn judge_file(seen: &Value) {
    let file = &seen["file"];
    near("the file's duration", number(&file["duration"]), SECONDS, FRAME);
    assert_eq!(file["first"]["number"], 0, "{file}");
    near(
        "the file's middle",
        number(&file["middle"]["number"]),
        (number(&file["wanted"]) * RATE).floor(),
        0.0,
    );
    near("the file's last frame", number(&file["last"]["number"]), SECONDS * RATE - 1.0, 0.0);
    assert_eq!(file["first"]["width"], 256, "the rung that was asked for: {file}");
    near("the file's beep", number(&file["beep"]["start"]), 1.0, IN_STEP);
}

#[test]
fn a_video_with_sound_plays_as_streams_and_as_a_file() {
    let profile = profile("ultrafast", &LADDER) + "[progressive]\nmax_short_side = 150\n";
    let made = package("video", &profile, |folder| source(folder, false, &[1000]));
    let seen = played(&made);
    judge_file(&seen["hls"]);
    for player in ["hls", "dash"] {
        judge(player, &seen[player], &["video", "audio"]);
        judge_pictures(player, &seen[player], [(256, 144), (384, 216)]);
        judge_storyboard(player, &seen[player]);
    }
}

#[test]
fn reordered_pictures_play_from_0() {
    let made = package("reordered", &profile("medium", &LADDER), |folder| source(folder, false, &[1000]));
    let starts = begins(&made.output.join("master.m3u8"));
    assert!(starts.len() > 2 && starts.iter().all(|start| start.abs() < 0.001), "libavformat: {starts:?}");
    let seen = played(&made);
    for player in ["hls", "dash"] {
        judge(player, &seen[player], &["video", "audio"]);
        judge_pictures(player, &seen[player], [(256, 144), (384, 216)]);
    }
}

#[test]
fn sound_alone_plays() {
    let made = package("sound", &profile("medium", &[]), |folder| source(folder, false, &[1000]));
    let seen = played(&made);
    for player in ["hls", "dash"] {
        judge(player, &seen[player], &["audio"]);
        assert!(seen[player]["storyboard"].is_null(), "no pictures, no storyboard");
    }
}

#[test]
fn a_turned_video_plays_upright() {
    let made = package("portrait", &profile("ultrafast", &LADDER), |folder| source(folder, true, &[1000]));
    let seen = played(&made);
    for player in ["hls", "dash"] {
        judge(player, &seen[player], &["video", "audio"]);
        judge_pictures(player, &seen[player], [(144, 256), (216, 384)]);
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
        judge_pictures(player, seen, [(256, 144), (384, 216)]);
        let mut heard: Vec<_> = list(&seen["sounds"]).iter().map(|one| one["language"].as_str()).collect();
        heard.sort_unstable();
        assert_eq!(heard, [Some("de"), Some("en")], "{player}");
        for sound in list(&seen["sounds"]) {
            let wanted = if sound["language"] == "de" { 500.0 } else { 1000.0 };
            near(&format!("{player}: pitch of {sound}"), number(&sound["hertz"]), wanted, 30.0);
            near(&format!("{player}: beep of {sound}"), number(&sound["start"]), 1.0, IN_STEP);
        }
        let read: Vec<_> = list(&seen["texts"]).iter().map(|one| &one["cues"][0]).collect();
        let said: Vec<_> = read.iter().map(|cue| (cue["text"].as_str(), number(&cue["start"]))).collect();
        assert_eq!(said, [(Some("Good morning"), 1.0), (Some("Guten Morgen"), 1.0)], "{player}");
    }
}

/// The sound of `source.mov` on all six channels.
fn in_surround(folder: &Path) {
    let args = "-v error -y -i source.mov -map 0 -c:v copy -af pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0 \
                -c:a pcm_s16le six.mov";
    run(Path::new("ffmpeg"), &args.split_whitespace().collect::<Vec<_>>(), folder);
    fs::rename(folder.join("six.mov"), folder.join("source.mov")).unwrap();
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
    judge_pictures("dash", &seen["dash"], [(256, 144), (384, 216)]);
    let sounds = list(&seen["dash"]["sounds"]);
    let mut channels: Vec<_> = sounds.iter().map(|sound| sound["channels"].as_u64()).collect();
    channels.sort_unstable();
    assert_eq!(channels, [Some(2), Some(6)], "{sounds:?}");
    for sound in sounds {
        near(&format!("beep of {sound}"), number(&sound["start"]), 1.0, IN_STEP);
    }
}

/// `source.mov` as if it were of high dynamic range: black and white stay what they are.
fn in_high_range(folder: &Path) {
    let args = "-v error -y -i source.mov -map 0 -c:v libx264 -preset ultrafast -crf 10 -pix_fmt yuv420p10le \
                -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -color_range tv -c:a copy high.mov";
    run(Path::new("ffmpeg"), &args.split_whitespace().collect::<Vec<_>>(), folder);
    fs::rename(folder.join("high.mov"), folder.join("source.mov")).unwrap();
}

/// Chromium has no decoder for HEVC. It must choose by what the manifests say, and never ask for those rungs.
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
        judge_pictures(player, &seen[player], [(256, 144), (384, 216)]);
    }
}
