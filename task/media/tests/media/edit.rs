//! Clips and overlays: the frames, the audio and the pixels that a viewer gets.

use std::path::{Path, PathBuf};

use transcode_config::{
    contract::{Clip, FailureCode, Placement, Position},
    ladder::Profile,
};
use transcode_media::OverlayFile;

use crate::support::{Run, ffmpeg, ffprobe, quick, run_edited};
use crate::video::{high_range, with_high_range};

/// `seconds` of 320x180 at `rate`: the upper half's brightness is 16 at frame 0 and four more with each frame, over and
/// over after 50; a beep of a tenth of a second begins with each whole second.
pub(crate) fn counted(folder: &Path, name: &str, rate: &str, seconds: u32) -> PathBuf {
    let path = folder.join(name);
    let video = format!("color=black:s=320x180:r={rate}:d={seconds}");
    let audio = format!("sine=f=1000:r=48000:d={seconds}");
    let graph = "[0:v]geq=lum='if(lt(Y,90),16+4*mod(N,50),16)':cb=128:cr=128,setparams=range=tv[v];\
                 [1:a]asetnsamples=n=48:p=0,volume='lt(mod(t,1),0.1)':eval=frame[a]";
    // AAC in Matroska begins 21 ms before the video.
    let audio_codec =
        if path.extension().is_some_and(|kind| kind == "mkv") { "pcm_s16le" } else { "aac -b:a 192k" };
    let args = format!(
        "-filter_complex {graph} -map [v] -map [a] -c:v libx264 -preset ultrafast -crf 5 -g 50 -bf 2 -c:a {audio_codec}"
    );
    ffmpeg(&["-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", &audio], &args, &path);
    path
}

/// Which frame of the source each frame of the result is, modulo 50.
pub(crate) fn counts(run: &Run) -> Vec<u8> {
    let raw = run.folder.path().join("luma.gray");
    let track = run.joined("video/180p");
    let args = "-vf crop=256:32:32:24,scale=1:1:flags=area,format=yuv444p -f rawvideo";
    ffmpeg(&["-i", track.to_str().unwrap()], args, &raw);
    let luma = std::fs::read(raw).unwrap();
    luma.chunks_exact(3).map(|pixel| pixel[0].saturating_sub(14) / 4).collect()
}

/// When the audio begins to be loud, in seconds.
fn beeps(run: &Run) -> Vec<f64> {
    let raw = run.folder.path().join("audio.raw");
    let track = run.joined("audio/main");
    ffmpeg(&["-i", track.to_str().unwrap()], "-ac 1 -f s16le", &raw);
    let bytes = std::fs::read(raw).unwrap();
    let loud: Vec<_> = bytes
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs() > 1500)
        .collect();
    let at = |sample: usize| f64::from(u32::try_from(sample).unwrap()) / 48_000.0;
    let quiet_before = |sample: usize| loud[sample.saturating_sub(2400)..sample].iter().all(|loud| !loud);
    (1..loud.len()).filter(|&sample| loud[sample] && quiet_before(sample)).map(at).collect()
}

pub(crate) fn one_rung() -> Profile {
    let mut profile = quick();
    profile.rungs.remove(0);
    profile.crf = 10;
    for rung in &mut profile.rungs {
        (rung.average_bps, rung.max_bps, rung.buffer_bits) = (4_000_000, 8_000_000, 16_000_000);
    }
    profile
}

fn clip(start_ms: u64, end_ms: u64) -> Clip {
    Clip { start_ms, end_ms: Some(end_ms) }
}

#[tokio::test]
async fn a_clip_has_the_frames_and_the_audio_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let short = counted(folder.path(), "short.mp4", "25", 4);
    let ntsc = counted(folder.path(), "ntsc.mkv", "30000/1001", 4);
    // Long enough to be entered by its index; 22 s are frame 550, and key frames are 2 s apart.
    let long = counted(folder.path(), "long.mp4", "25", 30);
    let stream = folder.path().join("long.ts");
    ffmpeg(&["-i", long.to_str().unwrap()], "-c:v copy -c:a mp2 -b:a 384k", &stream);
    for (source, rate, clip, first, frames) in [
        (&short, 25.0, clip(0, 1500), 0, 38),
        (&short, 25.0, clip(1480, 2520), 37, 26),
        (&short, 25.0, clip(1470, 2530), 37, 26),
        (&short, 25.0, Clip { start_ms: 3000, end_ms: None }, 75, 25),
        (&short, 25.0, clip(3000, 90_000), 75, 25),
        (&ntsc, 30000.0 / 1001.0, clip(1001, 2002), 30, 30),
        (&long, 25.0, clip(22_520, 24_600), 563, 52),
        (&stream, 25.0, clip(22_520, 24_600), 563, 52),
    ] {
        let run = run_edited(source, &one_rung(), Some(clip), None).await;
        let what = format!("{} {clip:?}", source.display());
        let seconds = f64::from(u32::try_from(frames).unwrap()) / rate;
        assert!((run.package().summary.seconds - seconds).abs() < 0.001, "{what}");
        let seen = counts(&run);
        let wanted: Vec<_> =
            (first..first + frames).map(|frame: usize| u8::try_from(frame % 50).unwrap()).collect();
        assert_eq!(seen, wanted, "{what}");
        let begin = f64::from(u32::try_from(first).unwrap()) / rate;
        let heard: Vec<_> = beeps(&run).into_iter().filter(|&at| at > 0.06 && at < seconds - 0.01).collect();
        let due: Vec<_> = (0..40)
            .map(|second| f64::from(second) - begin)
            .filter(|&at| at > 0.06 && at < seconds - 0.01)
            .collect();
        // MPEG audio has its encoder's delay of 481 samples in it.
        let slack = if source == &stream { 0.014 } else { 0.004 };
        assert_eq!(heard.len(), due.len(), "{what}: {heard:?} {due:?}");
        assert!(heard.iter().zip(&due).all(|(a, b)| (a - b).abs() < slack), "{what}: {heard:?} {due:?}");
        let audio = ffprobe(&run.joined("audio/main"), "-select_streams a", "packet=duration");
        let ticks: f64 =
            audio.lines().filter_map(|line| line.trim_end_matches(',').parse::<f64>().ok()).sum();
        assert!((ticks / 48_000.0 - seconds).abs() < 1024.0 / 48_000.0, "{what}: {ticks} samples");
    }
}

#[tokio::test]
async fn a_clip_that_begins_while_the_video_stands_still_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let whole = counted(folder.path(), "whole.mp4", "25", 28);
    let still = folder.path().join("still.mp4");
    let args = "-vf select='lt(n,310)+gte(n,650)' -fps_mode vfr -c:v libx264 -preset ultrafast -crf 5 -g 50 -c:a copy";
    ffmpeg(&["-i", whole.to_str().unwrap()], args, &still);
    // Frames 309 and 650 are those on both sides of the gap.
    let run = run_edited(&still, &one_rung(), Some(clip(25_000, 27_000)), None).await;
    let wanted: Vec<_> = (0..50_u8).map(|frame| if frame < 25 { 9 } else { frame - 25 }).collect();
    assert_eq!(counts(&run), wanted);
}

#[tokio::test]
async fn a_clip_beyond_the_end_is_refused_with_the_sources_length() {
    let folder = tempfile::tempdir().unwrap();
    let source = counted(folder.path(), "x.mp4", "25", 2);
    let run = run_edited(&source, &one_rung(), Some(clip(2000, 3000)), None).await;
    let failure = run.result.unwrap_err();
    assert_eq!(failure.code, FailureCode::ClipOutside);
    assert_eq!(failure.evidence["source_seconds"], "2.000");
}

#[tokio::test]
async fn the_texts_of_a_clip_are_those_that_are_seen_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let video = counted(folder.path(), "video.mkv", "25", 4);
    let text = folder.path().join("x.srt");
    let cue = |from, to, text| format!("1\n00:00:0{from} --> 00:00:0{to}\n{text}\n\n");
    let cues = [
        cue("0,200", "0,900", "before"),
        cue("0,500", "1,500", "over"),
        cue("2,000", "3,500", "in"),
        cue("3,600", "3,900", "after"),
    ];
    std::fs::write(&text, cues.concat()).unwrap();
    let source = folder.path().join("x.mkv");
    ffmpeg(&["-i", video.to_str().unwrap(), "-i", text.to_str().unwrap()], "-c copy -c:s srt", &source);
    let run = run_edited(&source, &one_rung(), Some(clip(1000, 3000)), None).await;
    run.package();
    let whole = run.text("text/text/whole.vtt");
    let times: Vec<_> = whole.lines().filter(|line| line.contains("-->")).collect();
    assert_eq!(times, ["00:00:00.000 --> 00:00:00.500", "00:00:01.000 --> 00:00:02.000"], "{whole}");
}

/// The colour of a point of the first frame of a file.
fn point(path: &Path, x: u32, y: u32) -> [u8; 3] {
    let raw = path.with_extension("rgb");
    let filter = format!(
        "-vf crop=4:4:{x}:{y},scale=1:1:flags=area+accurate_rnd+full_chroma_inp,format=rgb24 -frames:v 1 -f rawvideo"
    );
    ffmpeg(&["-i", path.to_str().unwrap()], &filter, &raw);
    std::fs::read(raw).unwrap().try_into().unwrap()
}

fn alike(a: [u8; 3], b: [u8; 3]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 12)
}

#[tokio::test]
async fn an_overlay_is_where_it_should_be_in_every_rung_and_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("grey.mp4");
    ffmpeg(
        &["-f", "lavfi", "-i", "color=0x808080:s=320x180:r=25:d=2"],
        "-c:v libx264 -preset ultrafast",
        &source,
    );
    let (red, half) = (folder.path().join("red.png"), folder.path().join("half.webp"));
    ffmpeg(&["-f", "lavfi", "-i", "color=red:s=200x100,format=rgba"], "-frames:v 1 -update 1", &red);
    // Its right half is transparent.
    let graph = "color=blue:s=64x64,format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(X,32),255,0)'";
    ffmpeg(&["-f", "lavfi", "-i", graph], "-frames:v 1 -c:v libwebp -lossless 1 -update 1", &half);
    let place = |position, opacity_percent| Placement {
        position,
        width_percent: 25,
        margin_percent: 5,
        opacity_percent,
    };
    // 80x40 with a margin of 16, and 80x80, of which the left half is to be seen.
    for (file, place, seen, colour, clear) in [
        (
            &red,
            place(Position::TopLeft, 100),
            [(20, 20), (90, 50)],
            [255, 0, 0],
            [(6, 6), (104, 30), (200, 120)],
        ),
        (
            &red,
            place(Position::BottomRight, 100),
            [(230, 130), (298, 156)],
            [255, 0, 0],
            [(218, 140), (310, 170), (20, 20)],
        ),
        (
            &red,
            place(Position::TopRight, 50),
            [(230, 24), (298, 50)],
            [192, 64, 64],
            [(310, 6), (20, 20), (20, 160)],
        ),
        (
            &half,
            place(Position::Center, 100),
            [(124, 54), (152, 120)],
            [0, 0, 255],
            [(168, 90), (196, 120), (110, 90)],
        ),
    ] {
        let overlay = OverlayFile { file, place };
        let run = run_edited(&source, &quick(), None, Some(overlay)).await;
        assert!((run.package().summary.seconds - 2.0).abs() < 0.001);
        for (track, divisor) in [("video/180p", 1), ("video/90p", 2)] {
            let whole = run.joined(track);
            let last = folder.path().join("last.mp4");
            ffmpeg(
                &["-sseof", "-0.2", "-i", whole.to_str().unwrap()],
                "-c:v libx264 -qp 0 -preset ultrafast",
                &last,
            );
            for path in [&whole, &last] {
                for (points, wanted) in [(&seen[..], colour), (&clear[..], [128; 3])] {
                    for &(x, y) in points {
                        let found = point(path, x / divisor, y / divisor);
                        assert!(alike(found, wanted), "{place:?} {track} {x},{y}: {found:?}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn an_overlay_that_is_no_image_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let source = counted(folder.path(), "x.mp4", "25", 1);
    let text = folder.path().join("text");
    std::fs::write(&text, "#EXTM3U\nfile:///etc/passwd\n").unwrap();
    let bomb = folder.path().join("bomb.png");
    ffmpeg(&["-f", "lavfi", "-i", "color=black:s=5000x5000,format=gray"], "-frames:v 1 -update 1", &bomb);
    let cut = folder.path().join("cut.png");
    std::fs::write(&cut, &std::fs::read(&bomb).unwrap()[..60]).unwrap();
    for file in [&text, &bomb, &cut, &source] {
        let overlay = OverlayFile { file, place: Placement::default() };
        let run = run_edited(&source, &one_rung(), None, Some(overlay)).await;
        let failure = run.result.unwrap_err();
        assert_eq!(failure.code, FailureCode::OverlayUnusable, "{}: {failure:?}", file.display());
    }
}

#[tokio::test]
async fn an_overlay_leaves_out_the_rungs_of_high_range_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let source = high_range(folder.path(), "smpte2084");
    let red = folder.path().join("red.png");
    ffmpeg(&["-f", "lavfi", "-i", "color=red:s=200x100"], "-frames:v 1 -update 1", &red);
    let place = Placement { position: Position::TopLeft, width_percent: 25, ..Placement::default() };
    let run = run_edited(&source, &with_high_range(), None, Some(OverlayFile { file: &red, place })).await;
    let summary = &run.package().summary;
    assert_eq!(summary.video.iter().map(|rung| rung.name.as_str()).collect::<Vec<_>>(), ["90p", "180p"]);
    assert!(summary.warnings.iter().any(|line| line.contains("rung hdr-180p")), "{:?}", summary.warnings);
    assert!(alike(point(&run.joined("video/180p"), 30, 20), [255, 0, 0]));
}
