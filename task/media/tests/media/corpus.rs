//! Inputs that must work or fail by name: a row for each kind that has no test of its own.
//!
//! | kind | where |
//! |---|---|
//! | zero bytes, text, random bytes, playlists under the name of a video | `refusals.rs`, `tests/sandbox/corpus.rs` |
//! | truncated, index at the end or the beginning | `refusals.rs` |
//! | rotation and flips, portrait, odd sizes, anamorphic, tiny, 4:4:4, 4:2:2, 10 bits, HDR, interlaced | `video.rs` |
//! | 23.976, 29.97, 59.94, 120 and 1 frames a second, variable rate, one frame, change of size | `video.rs` |
//! | cover art, an image, a GIF, 16000x16000, media that lies elsewhere | `video.rs`, `refusals.rs` |
//! | no audio, silent, mono, 5.1, languages, audio later, shorter and longer than the video, gaps, `apac` | `audio.rs` |
//! | keys in S3 | `tests/tests/pipeline.rs` |

use std::path::{Path, PathBuf};

use transcode_config::{contract::FailureCode, ladder::Profile};

use crate::support::{Row, Run, ffmpeg, ffprobe, judge_each, quick, run};

/// What a viewer sees and hears.
struct Plays {
    size: &'static str,
    frames: usize,
    /// When the white square in the middle appears, and the tone begins; none where the source has neither.
    flash: Option<f64>,
}

enum Outcome {
    Plays(Plays),
    Refused(FailureCode),
}

const fn plays(size: &'static str, frames: usize, flash: Option<f64>) -> Outcome {
    Outcome::Plays(Plays { size, frames, flash })
}

/// Quarters in red, green, blue and yellow; from 0.52 s on a white square in the middle, and a tone.
fn make(folder: &Path, name: &str, source: &str, args: &str) -> PathBuf {
    let path = folder.join(name);
    let quarter = |x, y, color| format!(",drawbox=x=iw*{x}/2:y=ih*{y}/2:w=iw/2:h=ih/2:t=fill:color={color}");
    let quarters =
        [quarter(0, 0, "red"), quarter(1, 0, "lime"), quarter(0, 1, "blue"), quarter(1, 1, "yellow")];
    let square = ",drawbox=x=iw*3/8:y=ih*3/8:w=iw/4:h=ih/4:t=fill:color=white:enable='gte(t,0.519)'";
    let video = format!("color=black:{source}{}{square}", quarters.concat());
    let tone = "aevalsrc='if(gte(t,0.52),0.5*sin(6283*t),0)':s=48000:d=2";
    let default = if args.contains("-c:v") { "" } else { "-c:v libx264 -preset ultrafast -g 10 -c:a aac" };
    ffmpeg(&["-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", tone], &format!("{default} {args}"), &path);
    path
}

const PLAIN: &str = "s=160x90:r=25:d=2";

fn plain(folder: &Path, name: &str) -> PathBuf {
    make(folder, name, PLAIN, "-crf 10")
}

/// Another file from a plain one.
fn again(folder: &Path, from: &str, args: &str, to: &str) -> PathBuf {
    let (from, to) = (plain(folder, from), folder.join(to));
    ffmpeg(&["-i", from.to_str().unwrap()], args, &to);
    to
}

fn patched(path: PathBuf, find: &[u8], change: impl Fn(&mut [u8])) -> PathBuf {
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(find.len()).position(|window| window == find).expect("nothing to patch");
    change(&mut bytes[at + find.len()..]);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The header's duration of a Matroska file, in milliseconds.
fn declared(path: PathBuf, milliseconds: f64) -> PathBuf {
    patched(path, &[0x44, 0x89, 0x88], |rest| rest[..8].copy_from_slice(&milliseconds.to_be_bytes()))
}

#[rustfmt::skip]
const ROWS: &[Row<Outcome>] = &[
    ("wrong extension", |folder| {
        let to = folder.join("x.avi");
        std::fs::rename(plain(folder, "x.mp4"), &to).unwrap();
        to
    }, plays("160,90", 50, Some(0.52))),
    ("a name with everything in it", |folder| {
        let to = folder.join("-y %d ünï 'q' $(x);a&b.mp4");
        std::fs::rename(plain(folder, "x.mp4"), &to).unwrap();
        to
    }, plays("160,90", 50, Some(0.52))),
    ("under a second", |folder| make(folder, "x.mp4", "s=160x90:r=25:d=0.2", "-an"), plays("160,90", 5, None)),
    ("a frame rate in the header that is not so", |folder| {
        // The default duration of a frame, in nanoseconds.
        patched(again(folder, "x.mp4", "-c copy", "x.mkv"), &[0x23, 0xe3, 0x83, 0x84], |rest| rest[..4].copy_from_slice(&20_000_000_u32.to_be_bytes()))
    }, plays("160,90", 50, Some(0.52))),
    // AAC's first frame lies 21 ms before the video's there, so both are shown that much later.
    ("audio that begins before 0", |folder| again(folder, "x.mp4", "-c copy", "x.mkv"), plays("160,90", 51, Some(0.54))),
    ("a stream of data", |folder| {
        let (from, data, to) = (plain(folder, "x.mp4"), folder.join("x.bin"), folder.join("x.ts"));
        std::fs::write(&data, "of no kind that is known").unwrap();
        let inputs = ["-i", from.to_str().unwrap(), "-f", "data", "-i", data.to_str().unwrap()];
        ffmpeg(&inputs, "-map 0 -map 1 -c copy", &to);
        to
    }, plays("160,90", 51, Some(0.54))),
    ("a change of codec in the middle", |folder| {
        let first = make(folder, "1.ts", PLAIN, "-an -crf 10");
        let second = make(folder, "2.ts", PLAIN, "-an -c:v mpeg2video -q:v 2 -output_ts_offset 2");
        let both = folder.join("both.ts");
        std::fs::write(&both, [std::fs::read(first).unwrap(), std::fs::read(second).unwrap()].concat()).unwrap();
        both
    }, Outcome::Refused(FailureCode::DecodeFailed)),
    ("a timecode track", |folder| again(folder, "x.mp4", "-c copy -timecode 01:00:00:00", "x.mov"), plays("160,90", 50, Some(0.52))),
    ("a change of pixel format in the middle", |folder| {
        let first = make(folder, "1.ts", PLAIN, "-an -pix_fmt yuv420p -crf 10");
        let second = make(folder, "2.ts", PLAIN, "-an -pix_fmt yuv422p -crf 10 -output_ts_offset 2");
        let both = folder.join("both.ts");
        std::fs::write(&both, [std::fs::read(first).unwrap(), std::fs::read(second).unwrap()].concat()).unwrap();
        both
    }, plays("160,90", 100, None)),
    // 2^33 ticks are 95443.7 s.
    ("a clock that wraps", |folder| again(folder, "x.mp4", "-c:v copy -c:a mp2 -output_ts_offset 95441.5", "x.ts"), plays("160,90", 50, Some(0.52))),
    ("a gap in the video", |folder| {
        let source = make(folder, "x.mp4", PLAIN, "-c:v libx264 -preset ultrafast -g 1 -crf 10 -c:a aac");
        let to = folder.join("gap.mkv");
        ffmpeg(&["-i", source.to_str().unwrap()], "-c:v copy -c:a pcm_s16le -bsf:v noise=drop='between(pts*tb,0.9,1.3)'", &to);
        to
    }, plays("160,90", 50, Some(0.52))),
    ("a duration that is too short", |folder| declared(again(folder, "x.mp4", "-c:v copy -c:a pcm_s16le", "x.mkv"), 500.0), plays("160,90", 50, Some(0.52))),
    ("a duration that is too long", |folder| declared(again(folder, "x.mp4", "-c:v copy -c:a pcm_s16le", "x.mkv"), 20_000.0), plays("160,90", 50, Some(0.52))),
    ("twelve hours, by its header", |folder| declared(again(folder, "x.mp4", "-c:v copy -c:a pcm_s16le", "x.mkv"), 43_200_000.0), Outcome::Refused(FailureCode::TooLong)),
    ("negative offsets", |folder| make(folder, "x.mp4", PLAIN, "-c:v libx264 -preset ultrafast -bf 2 -crf 10 -c:a aac -movflags +negative_cts_offsets"), plays("160,90", 50, Some(0.52))),
    ("an edit list that cuts", |folder| {
        let (from, to) = (make(folder, "x.mp4", PLAIN, "-c:v libx264 -preset ultrafast -g 100 -crf 10 -c:a aac"), folder.join("cut.mp4"));
        ffmpeg(&["-ss", "0.2", "-i", from.to_str().unwrap()], "-c copy", &to);
        to
    }, plays("160,90", 45, Some(0.32))),
    ("8K", |folder| make(folder, "x.mp4", "s=7680x4320:r=25:d=0.08", "-an -colorspace smpte170m"), plays("320,180", 2, None)),
    ("H.264 without a container", |folder| again(folder, "x.mp4", "-an -c copy -bsf:v h264_mp4toannexb", "x.h264"), plays("160,90", 50, None)),
    ("MPEG-2", |folder| again(folder, "x.mp4", "-c:v mpeg2video -q:v 2 -c:a mp2", "x.mpg"), plays("160,90", 50, Some(0.52))),
    ("WebM", |folder| again(folder, "x.mp4", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -crf 20 -b:v 0 -c:a libopus", "x.webm"), plays("160,90", 50, Some(0.52))),
    ("ProRes", |folder| again(folder, "x.mp4", "-c:v prores_ks -c:a pcm_s24le", "x.mov"), plays("160,90", 50, Some(0.52))),
    ("encrypted", |folder| {
        let key = "-encryption_scheme cenc-aes-ctr -encryption_key 00112233445566778899aabbccddeeff -encryption_kid 00112233445566778899aabbccddeeff";
        again(folder, "x.mp4", &format!("-c copy {key}"), "drm.mp4")
    }, Outcome::Refused(FailureCode::Encrypted)),
    ("a thousand streams", |folder| again(folder, "x.mp4", &format!("{} -t 0.04 -c copy", "-map 0:a ".repeat(1000)), "x.mkv"), Outcome::Refused(FailureCode::TooManyStreams)),
];

fn top() -> Profile {
    let mut profile = quick();
    profile.rungs.remove(0);
    profile.crf = 15;
    profile
}

/// Red, green and blue of a few pixels around each point, for each frame: one list of points a frame.
fn pixels(run: &Run, path: &Path, points: &[(u32, u32)]) -> Vec<Vec<[u8; 3]>> {
    let size = ffprobe(path, "-select_streams v", "stream=width,height");
    let (width, height) = size.split_once(',').unwrap();
    let (width, height): (usize, usize) =
        (width.parse().unwrap(), height.trim_end_matches(',').parse().unwrap());
    let raw = run.folder.path().join("frames.rgb");
    ffmpeg(
        &["-i", path.to_str().unwrap()],
        "-vf scale=flags=accurate_rnd+full_chroma_inp,format=rgb24 -f rawvideo",
        &raw,
    );
    let bytes = std::fs::read(raw).unwrap();
    let at = |frame: &[u8], x: u32, y: u32| {
        // In eighths of the frame.
        let (x, y) = (width * x as usize / 8, height * y as usize / 8);
        let start = 3 * (y * width + x);
        <[u8; 3]>::try_from(&frame[start..start + 3]).unwrap()
    };
    bytes
        .chunks_exact(3 * width * height)
        .map(|frame| points.iter().map(|&(x, y)| at(frame, x, y)).collect())
        .collect()
}

/// When the tone begins, in seconds.
fn onset(run: &Run) -> f64 {
    let raw = run.folder.path().join("tone.f32");
    ffmpeg(&["-i", run.joined("audio/main").to_str().unwrap()], "-ac 1 -ar 48000 -f f32le", &raw);
    let bytes = std::fs::read(raw).unwrap();
    let mut samples = bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
    let at = samples.position(|sample| sample.abs() > 0.05).expect("it is silent");
    f64::from(u32::try_from(at).unwrap()) / 48_000.0
}

fn judge(what: &str, run: &Run, wanted: &Plays) {
    let package = run.package();
    let rung = package.summary.video.last().expect("no video");
    let track = format!("video/{}", rung.name);
    let path = run.joined(&track);
    assert_eq!(ffprobe(&path, "-select_streams v", "stream=width,height"), wanted.size, "{what}");
    let corners = [(1, 1), (7, 1), (1, 7), (7, 7), (4, 4)];
    let frames = pixels(run, &path, &corners);
    assert_eq!(frames.len(), wanted.frames, "{what}");
    let seconds = f64::from(u32::try_from(wanted.frames).unwrap()) / 25.0;
    assert!((package.summary.seconds - seconds).abs() < 0.001, "{what}: {}", package.summary.seconds);
    for (number, frame) in frames.iter().enumerate() {
        for (found, colour) in frame.iter().zip([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]]) {
            let near = found.iter().zip(colour).all(|(a, b): (&u8, u8)| a.abs_diff(b) <= 40);
            assert!(near, "{what}, frame {number}: {found:?} is not {colour:?}");
        }
    }
    let Some(flash) = wanted.flash else { return };
    let white = frames.iter().position(|frame| frame[4].iter().all(|&part| part > 200)).expect("no flash");
    let seen = f64::from(u32::try_from(white).unwrap()) / 25.0;
    assert!((seen - flash).abs() < 0.041, "{what}: the flash is seen at {seen}, not at {flash}");
    let heard = onset(run);
    assert!((heard - seen).abs() < 0.020, "{what}: seen at {seen}, heard at {heard}");
}

#[test]
fn each_kind_plays_or_is_refused_by_name() {
    judge_each(ROWS, top, judge_row);
}

fn judge_row(what: &str, run: &Run, outcome: &Outcome) {
    match outcome {
        Outcome::Plays(wanted) => judge(what, run, wanted),
        Outcome::Refused(code) => {
            let failure = run.result.as_ref().err().unwrap_or_else(|| panic!("{what} was accepted"));
            assert_eq!(failure.code, *code, "{what}: {failure:?}");
        }
    }
}

#[tokio::test]
async fn twelve_hours_play_to_the_last_frame() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("long.mp4");
    let video = "color=red:s=64x36:r=1:d=43200";
    ffmpeg(&["-f", "lavfi", "-i", video], "-c:v libx264 -preset ultrafast -g 600", &source);
    let profile = Profile { max_duration_seconds: 43_200, gop_seconds: 60, segment_gops: 10, ..top() };
    let run = run(&source, &profile).await;
    assert_eq!(run.package().duration_ms, 43_200_000);
    let made = run.joined("video/36p");
    assert_eq!(ffprobe(&made, "-count_packets -select_streams v", "stream=nb_read_packets"), "43200");
}
