//! Audio of every kind: what a listener hears of it, and when.

use std::path::{Path, PathBuf};

use transcode_config::ladder::Profile;

use crate::support::{Run, clip, ffmpeg, ffprobe, quick, run, variant};

/// When the video of [`made`] turns white, for a fifth of a second.
const FLASH: f64 = 0.52;

/// A second and a half of grey with a flash in it, and audio made by `graph`.
fn made(folder: &Path, name: &str, graph: &str, args: &str) -> PathBuf {
    let path = folder.join(name);
    let video =
        "color=gray:size=160x90:rate=25:duration=1.5,drawbox=color=white:t=fill:enable='between(n,13,17)'";
    let args = format!("-c:v libx264 -preset ultrafast {args}");
    ffmpeg(&["-f", "lavfi", "-i", video, "-f", "lavfi", "-i", graph], &args, &path);
    path
}

/// Samples of the left channel at 48 kHz, as a player decodes them.
fn samples(path: &Path) -> Vec<f32> {
    let raw = path.with_extension("f32");
    ffmpeg(&["-i", path.to_str().unwrap()], "-af pan=mono|c0=c0 -ar 48000 -f f32le", &raw);
    let bytes = std::fs::read(raw).unwrap();
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// When the audio first gets louder than a tenth, in seconds.
fn onset(path: &Path) -> f64 {
    let samples = samples(path);
    let at = samples.iter().position(|sample| sample.abs() > 0.1).expect("it is silent");
    f64::from(u32::try_from(at).unwrap()) / 48_000.0
}

/// When the video first gets white, in seconds.
fn flash(path: &Path) -> f64 {
    let raw = path.with_extension("gray");
    let args = "-vf scale=1:1:flags=area,format=gray -fps_mode passthrough -f rawvideo";
    ffmpeg(&["-i", path.to_str().unwrap()], args, &raw);
    let at = std::fs::read(raw).unwrap().iter().position(|grey| *grey > 200).expect("there is no flash");
    let times = ffprobe(path, "-select_streams v", "frame=pts_time");
    let times = times.lines().filter_map(|line| line.trim_end_matches(',').parse().ok());
    times.collect::<Vec<f64>>()[at]
}

fn master(run: &Run) -> String {
    run.package();
    run.text("entry/master.m3u8")
}

#[tokio::test]
async fn no_audio_is_no_audio_rendition() {
    let folder = tempfile::tempdir().unwrap();
    let source = variant(folder.path(), "x.mp4", "-t 1.2 -an -s 160x90 -c:v libx264 -preset ultrafast");
    let master = master(&run(&source, &quick()).await);
    assert!(!master.contains("AUDIO") && !master.contains("mp4a"), "{master}");
}

/// A player asks for each segment: a last one of 10 ms, because an AAC frame seldom ends where the video does, is worth
/// no request, and hls.js takes it for a fault when it brings nothing new.
#[tokio::test]
async fn what_is_left_of_the_audio_is_no_segment_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("x.mkv");
    let inputs = ["-f", "lavfi", "-i", "testsrc2=s=160x90:r=25", "-f", "lavfi", "-i", "sine=r=48000"];
    ffmpeg(&inputs, "-t 4 -c:v libx264 -preset ultrafast -c:a pcm_s16le", &source);
    let profile = Profile { gop_seconds: 1, segment_gops: 1, ..quick() };
    let run = run(&source, &profile).await;
    run.package();
    let durations = |track: &str| -> Vec<f64> {
        let playlist = run.text(&format!("{track}/index.m3u8"));
        let of = |line: &str| line.strip_prefix("#EXTINF:")?.trim_end_matches(',').parse().ok();
        playlist.lines().filter_map(of).collect()
    };
    assert_eq!(durations("video/90p"), [1.0; 4]);
    let audio = durations("audio/main");
    assert_eq!(audio.len(), 4, "{audio:?}");
    // All of it is there: four seconds, and less than a frame of 1024 samples.
    let whole: f64 = audio.iter().sum();
    assert!((4.0..4.0 + 1024.0 / 48_000.0).contains(&whole), "{audio:?}");
}

#[tokio::test]
async fn every_language_is_kept_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("x.mkv");
    let clip = clip();
    let args = "-t 1.2 -map 0:v -map 0:a -map 0:a -map 0:a -s 160x90 -c:v libx264 -preset ultrafast -c:a aac -ac 2 \
                -metadata:s:a:0 language=ger -metadata:s:a:1 language=eng -metadata:s:a:2 language=eng \
                -metadata:s:a:2 title=Commentary -disposition:a:0 0 -disposition:a:1 default";
    ffmpeg(&["-i", clip.to_str().unwrap()], args, &source);
    let run = run(&source, &quick()).await;
    let master = master(&run);
    for line in [
        r#"NAME="de",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",URI="v-test-1/audio/de/index.m3u8""#,
        r#"NAME="en",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="v-test-1/audio/en/index.m3u8""#,
        r#"NAME="Commentary",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",URI="v-test-1/audio/en-2/index.m3u8""#,
    ] {
        assert!(master.contains(line), "{line} is not in {master}");
    }
}

#[tokio::test]
async fn surround_and_mono_become_stereo() {
    let folder = tempfile::tempdir().unwrap();
    // 0.25 in the left front only; the mix leaves it on the left.
    let surround = made(
        folder.path(),
        "5.1.mkv",
        "aevalsrc=0.25*sin(2764*t)|0|0|0|0|0:c=5.1:s=48000:d=1.5",
        "-c:a flac",
    );
    let run_surround = run(&surround, &quick()).await;
    run_surround.package();
    let file = run_surround.joined("audio/main");
    assert_eq!(ffprobe(&file, "", "stream=channels"), "2");
    let mono = made(folder.path(), "mono.mkv", "aevalsrc=0.25*sin(2764*t):c=mono:s=44100:d=1.5", "-c:a flac");
    let run_mono = run(&mono, &quick()).await;
    run_mono.package();
    let loudest =
        samples(&run_mono.joined("audio/main")).into_iter().fold(0.0_f32, |most, one| most.max(one.abs()));
    assert!(loudest > 0.05, "mono is lost: {loudest}");
}

/// The loudest sample of each channel, as a player decodes them.
fn peaks(path: &Path, channels: usize) -> Vec<f32> {
    let raw = path.with_extension("all.f32");
    ffmpeg(&["-i", path.to_str().unwrap()], "-f f32le", &raw);
    let bytes = std::fs::read(raw).unwrap();
    let samples = bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()).abs());
    let mut peaks = vec![0.0; channels];
    for (number, sample) in samples.enumerate() {
        peaks[number % channels] = sample.max(peaks[number % channels]);
    }
    peaks
}

#[tokio::test]
async fn surround_is_kept_beside_stereo_where_the_profile_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("x.mkv");
    // German in 5.1 with a tone in the right back only, by a layout whose back lies at the sides; English in stereo.
    let tone = "aevalsrc=0|0|0|0|0|0.25*sin(2764*t):c=5.1(side):s=48000:d=2.5";
    let plain = "aevalsrc=0.1*sin(2764*t)|0.1*sin(2764*t):s=48000:d=2.5";
    let video = "color=gray:size=160x90:rate=25:duration=2.5";
    let inputs = ["-f", "lavfi", "-i", video, "-f", "lavfi", "-i", tone, "-f", "lavfi", "-i", plain];
    let args = "-map 0 -map 1 -map 2 -c:v libx264 -preset ultrafast -c:a flac -metadata:s:a:0 language=ger \
                -metadata:s:a:1 language=eng -disposition:a:0 default";
    ffmpeg(&inputs, args, &source);
    let mut profile = quick();
    profile.audio.surround_bps = Some(256_000);
    profile.audio.loudness_lufs = Some(-23.0);
    let run = run(&source, &profile).await;
    let master = master(&run);
    for line in [
        r#"GROUP-ID="audio",NAME="de",LANGUAGE="de",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="v-test-1/audio/de/index.m3u8""#,
        r#"GROUP-ID="audio",NAME="en",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",URI="v-test-1/audio/en/index.m3u8""#,
        r#"GROUP-ID="surround",NAME="de",LANGUAGE="de",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="6",URI="v-test-1/audio/de-surround/index.m3u8""#,
        r#"GROUP-ID="surround",NAME="en",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",URI="v-test-1/audio/en/index.m3u8""#,
    ] {
        assert!(master.contains(line), "{line} is not in {master}");
    }
    assert_eq!(master.matches("AUDIO=\"audio\"").count(), master.matches("AUDIO=\"surround\"").count());
    let made = run.joined("audio/de-surround");
    assert_eq!(ffprobe(&made, "", "stream=channels,channel_layout"), "6,5.1");
    let loud: Vec<_> = peaks(&made, 6).iter().map(|peak| *peak > 0.02).collect();
    assert_eq!(loud, [false, false, false, false, false, true], "{:?}", peaks(&made, 6));
    // Measured over all six channels, the surround ones weigh more.
    let heard = loudness(&made);
    assert!((heard + 23.0).abs() <= 1.0, "{heard} LUFS");
    let manifest = run.text("entry/manifest.mpd");
    let channels = "audio_channel_configuration:2011\" value=\"6\"/>";
    assert_eq!(manifest.matches(channels).count(), 1, "{manifest}");
    assert!(manifest.contains("<Label>de 5.1</Label>"), "{manifest}");
}

#[tokio::test]
async fn video_and_audio_stay_together() {
    let folder = tempfile::tempdir().unwrap();
    // A click of audio with the flash.
    let click = "aevalsrc='if(between(t,0.52,0.72),0.8*sin(2764*t),0)':s=48000:d=1.5";
    let plain = made(folder.path(), "plain.mkv", click, "-c:a pcm_s16le");
    // The same, told apart in time by the container: audio 0.3 s later, video 0.2 s later; both 1000 s later; with an
    // edit list.
    let path = plain.to_str().unwrap();
    let apart = |name: &str, seconds: &str, maps: &str| {
        let made = folder.path().join(name);
        ffmpeg(&["-i", path, "-itsoffset", seconds, "-i", path], maps, &made);
        made
    };
    let later = apart("later.mkv", "0.3", "-map 0:v -map 1:a -c copy");
    let video = apart("video.mkv", "0.2", "-map 1:v -map 0:a -c copy");
    let edited = apart("edited.mp4", "0.3", "-map 0:v -map 1:a -c:v copy -c:a aac");
    let offset = folder.path().join("offset.ts");
    ffmpeg(&["-i", path], "-c:v copy -c:a mp2 -output_ts_offset 1000", &offset);
    for (source, audio, image) in
        [(&plain, 0.0, 0.0), (&later, 0.3, 0.0), (&video, 0.0, 0.2), (&offset, 0.0, 0.0), (&edited, 0.3, 0.0)]
    {
        let run = run(source, &quick()).await;
        run.package();
        let heard = onset(&run.joined("audio/main"));
        assert!((heard - FLASH - audio).abs() < 0.02, "{}: heard at {heard}", source.display());
        let seen = flash(&run.joined("video/90p"));
        assert!((seen - FLASH - image).abs() < 0.02, "{}: seen at {seen}", source.display());
    }
}

#[tokio::test]
async fn audio_that_ends_early_is_filled_and_audio_that_runs_on_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let short = made(folder.path(), "short.mkv", "sine=d=0.5:r=48000", "-c:a pcm_s16le");
    let long = made(folder.path(), "long.mkv", "sine=d=2.5:r=48000", "-c:a pcm_s16le");
    for (source, milliseconds) in [(short, 1500), (long, 2520)] {
        let run = run(&source, &quick()).await;
        let got = run.package().duration_ms;
        assert!(got.abs_diff(milliseconds) <= 40, "{}: {got} ms", source.display());
    }
}

#[tokio::test]
async fn a_gap_in_the_audio_is_silence_and_not_a_shift() {
    let folder = tempfile::tempdir().unwrap();
    let click = "aevalsrc='if(between(t,1.0,1.2),0.8*sin(2764*t),0)':s=48000:d=1.5";
    let whole = made(folder.path(), "whole.mkv", click, "-c:a pcm_s16le");
    let gap = folder.path().join("gap.mkv");
    let cut = "-c copy -bsf:a noise=drop='between(pts*tb,0.3,0.7)'";
    ffmpeg(&["-i", whole.to_str().unwrap()], cut, &gap);
    let run = run(&gap, &quick()).await;
    run.package();
    let heard = onset(&run.joined("audio/main"));
    assert!((heard - 1.0).abs() < 0.02, "heard at {heard}, not at 1.0");
}

#[tokio::test]
async fn unknown_streams_are_left_out_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let source = variant(folder.path(), "x.mp4", "-t 1.2 -map 0:v -map 0:a -map 0:a -c copy");
    let mut bytes = std::fs::read(&source).unwrap();
    // The second audio track becomes one of a kind that no decoder knows.
    let at = bytes.windows(4).rposition(|window| window == b"mp4a").unwrap();
    bytes[at..at + 4].copy_from_slice(b"apac");
    let configuration = at + bytes[at..].windows(4).position(|window| window == b"esds").unwrap();
    bytes[configuration..configuration + 4].copy_from_slice(b"dapa");
    std::fs::write(&source, bytes).unwrap();
    let run = run(&source, &quick()).await;
    let summary = &run.package().summary;
    assert_eq!(summary.audio.len(), 1);
    assert!(summary.warnings[0].contains("no decoder"), "{:?}", summary.warnings);
}

/// Integrated loudness in LUFS, by ffmpeg's meter.
fn loudness(path: &Path) -> f64 {
    let done = std::process::Command::new("ffmpeg")
        .args(["-hide_banner", "-nostats", "-i", path.to_str().unwrap(), "-af", "ebur128=framelog=verbose"])
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    let line = text.lines().rev().find_map(|line| line.trim().strip_prefix("I:")).unwrap();
    line.trim().trim_end_matches("LUFS").trim().parse().unwrap()
}

#[tokio::test]
async fn loudness_comes_within_one_unit_of_the_target_and_silence_stays_silent() {
    let folder = tempfile::tempdir().unwrap();
    let mut profile = quick();
    profile.audio.loudness_lufs = Some(-23.0);
    let quiet = made(
        folder.path(),
        "quiet.mkv",
        "anoisesrc=a=0.02:r=48000:d=1.5:seed=1,lowpass=2000",
        "-c:a pcm_s16le",
    );
    let loud = made(
        folder.path(),
        "loud.mkv",
        "anoisesrc=a=0.9:r=48000:d=1.5:seed=1,lowpass=2000",
        "-c:a pcm_s16le",
    );
    for source in [&clip(), &quiet, &loud] {
        let before = loudness(source);
        let run = run(source, &profile).await;
        run.package();
        let after = loudness(&run.joined("audio/main"));
        assert!((after + 23.0).abs() <= 1.0, "{}: {before} became {after} LUFS", source.display());
        assert!((before + 23.0).abs() > 2.0, "the test file has the wanted loudness already");
        assert!(run.text("verification.json").contains("audio.loudness"));
    }
    let silent = made(folder.path(), "silent.mkv", "anullsrc=r=48000:d=1.5", "-c:a pcm_s16le");
    let run = run(&silent, &profile).await;
    run.package();
    assert!(samples(&run.joined("audio/main")).iter().all(|sample| sample.abs() < 0.001));
}

#[tokio::test]
async fn text_subtitles_become_webvtt_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let words = folder.path().join("words.srt");
    std::fs::write(
        &words,
        "1\n00:00:00,500 --> 00:00:01,000\nGr\u{fc}\u{df}e\n\n2\n00:00:04,000 --> 00:00:09,000\nto the end\n",
    )
    .unwrap();
    let source = folder.path().join("x.mkv");
    let clip = clip();
    let inputs = ["-i", clip.to_str().unwrap(), "-i", words.to_str().unwrap()];
    let args = "-map 0:v -map 1 -map 1 -s 160x90 -c:v libx264 -preset ultrafast -c:s srt -output_ts_offset 100 \
                -metadata:s:s:0 language=ger -metadata:s:s:1 language=eng -disposition:s:1 forced";
    ffmpeg(&inputs, args, &source);
    let run = run(&source, &quick()).await;
    let master = master(&run);
    let line = r#"TYPE=SUBTITLES,GROUP-ID="text",NAME="de",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI="v-test-1/text/de/index.m3u8""#;
    assert!(master.contains(line), "{master}");
    assert!(master.contains(r#"NAME="en",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES"#), "{master}");
    let text = run.text("text/de/00001.vtt");
    assert!(text.contains("00:00:00.500 --> 00:00:01.000\nGr\u{fc}\u{df}e\n"), "{text}");
    assert!(text.contains("00:00:04.000 --> 00:00:05.280\nto the end\n"), "{text}");
    assert!(run.text("entry/manifest.mpd").contains("<BaseURL>v-test-1/text/de/whole.vtt</BaseURL>"));
}
