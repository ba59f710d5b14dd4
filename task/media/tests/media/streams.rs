//! The right stream of several: the film and not its preview, one programme and not all of a multiplex.

use std::path::{Path, PathBuf};

use transcode_config::contract::FailureCode;

use crate::support::{Run, clip, ffmpeg, ffprobe, quick, run};

const SMALL: &str = "-s 320x180 -c:v libx264 -preset ultrafast -c:a aac -ac 2 -t 2";

/// Two seconds of the clip, and two of another scene: blue, with a tone of its own.
fn scenes(folder: &Path) -> [PathBuf; 2] {
    let (clip, first, second) = (clip(), folder.join("1.mp4"), folder.join("2.mp4"));
    ffmpeg(&["-i", clip.to_str().unwrap()], SMALL, &first);
    let inputs = ["-f", "lavfi", "-i", "color=blue:s=320x180:r=25", "-f", "lavfi", "-i", "sine=880"];
    ffmpeg(&inputs, SMALL, &second);
    [first, second]
}

fn inputs(files: &[PathBuf]) -> Vec<&str> {
    files.iter().flat_map(|file| ["-i", file.to_str().unwrap()]).collect()
}

/// How loud `hertz` and what lies around it is in the audio, in dB.
fn level(run: &Run, hertz: u32, from: f64) -> f64 {
    let text = run.folder.path().join("level.txt");
    let filter = format!(
        "-ss {from} -t 1 -af bandpass=f={hertz}:width_type=h:w=40,astats,ametadata=print:key=lavfi.astats.Overall.RMS_level:file={} -f null",
        text.display()
    );
    ffmpeg(
        &["-i", run.joined("audio/main").to_str().unwrap()],
        &filter.replace("astats,", "astats=metadata=1,"),
        Path::new("-"),
    );
    let text = std::fs::read_to_string(text).unwrap();
    text.lines()
        .rev()
        .find_map(|line| line.strip_prefix("lavfi.astats.Overall.RMS_level="))
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_still_preview_in_front_of_the_film_is_not_the_film() {
    let folder = tempfile::tempdir().unwrap();
    let [film, _] = scenes(folder.path());
    for (name, default) in [("x.mkv", "0"), ("x.mov", "0"), ("both.mkv", "default"), ("both.mov", "default")]
    {
        let source = folder.path().join(name);
        let args = format!(
            "-map 1:v -map 0:v -map 0:a -c copy -c:v:0 mjpeg -q:v:0 3 -pix_fmt:v:0 yuvj420p -disposition:v:0 {default} \
             -disposition:v:1 default"
        );
        let inputs = ["-i", film.to_str().unwrap(), "-f", "lavfi", "-i", "color=gray:s=160x90:r=1:d=1"];
        ffmpeg(&inputs, &args, &source);
        let run = run(&source, &quick()).await;
        let rung = run.package().summary.video.last().unwrap();
        assert_eq!((rung.width, rung.height, rung.frame_rate), (320, 180, 25.0), "{name}");
        assert!(run.package().summary.seconds > 1.9, "{name}");
    }
}

#[tokio::test]
async fn of_films_that_are_marked_alike_an_excerpt_and_a_smaller_copy_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let [film, _] = scenes(folder.path());
    let args = "-map 1:v -map 0:v -map 0:a -c:v libx264 -preset ultrafast -c:a copy -disposition:v 0";
    for (name, other) in
        [("x.ts", "color=gray:s=160x90:r=25:d=2"), ("x.mkv", "color=gray:s=640x360:r=25:d=0.4")]
    {
        let source = folder.path().join(name);
        ffmpeg(&["-i", film.to_str().unwrap(), "-f", "lavfi", "-i", other], args, &source);
        let run = run(&source, &quick()).await;
        let rung = run.package().summary.video.last().unwrap();
        let colour = folder.path().join("x.gray");
        let made = run.joined(&format!("video/{}", rung.name));
        ffmpeg(
            &["-i", made.to_str().unwrap()],
            "-frames:v 1 -vf scale=1:1:flags=area,format=yuv444p -f rawvideo",
            &colour,
        );
        let [_, blue, red] = std::fs::read(colour).unwrap()[..] else { panic!("no pixel") };
        assert!(blue.abs_diff(128) > 4 || red.abs_diff(128) > 4, "{name}: it is gray");
    }
}

#[tokio::test]
async fn of_two_films_the_one_that_is_enabled_or_the_default_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = scenes(folder.path());
    for name in ["x.mkv", "x.mp4"] {
        let source = folder.path().join(name);
        let args = "-map 0:v -map 1:v -map 0:a -c copy -disposition:v:0 0 -disposition:v:1 default";
        ffmpeg(&inputs(&scenes), args, &source);
        let run = run(&source, &quick()).await;
        run.package();
        let raw = folder.path().join("x.rgb");
        let pixel = "-vf scale=1:1:flags=area,format=rgb24 -frames:v 1 -f rawvideo";
        ffmpeg(&["-i", run.joined("video/180p").to_str().unwrap()], pixel, &raw);
        let pixel = std::fs::read(raw).unwrap();
        assert!(pixel[0] < 40 && pixel[1] < 60 && pixel[2] > 200, "{name}: {pixel:?} is not blue");
    }
}

#[tokio::test]
async fn a_programmes_video_goes_with_its_own_audio() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = scenes(folder.path());
    let source = folder.path().join("x.ts");
    // The other programme's audio comes first.
    let args =
        "-map 1:a -map 1:v -map 0:v -map 0:a -c copy -program title=A:st=0:st=1 -program title=B:st=2:st=3";
    ffmpeg(&inputs(&scenes), args, &source);
    let run = run(&source, &quick()).await;
    let summary = &run.package().summary;
    assert_eq!((summary.audio.len(), summary.video.len()), (1, 2));
    assert!(level(&run, 880, 0.5) > -40.0, "it is not the audio of the first programme's video");
    let others = summary.warnings.iter().filter(|line| line.contains("another"));
    assert_eq!(others.count(), 2, "{:?}", summary.warnings);
}

/// Marks the packets from number `from` to `to` of a transport stream's video and audio as scrambled, and spoils them.
fn scramble(path: &Path, share: std::ops::Range<usize>) {
    let mut bytes = std::fs::read(path).unwrap();
    let count = bytes.len() / 188;
    let packets = bytes.chunks_exact_mut(188).skip(count * share.start / 1000);
    for packet in packets.take(count * share.len() / 1000) {
        let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
        if pid == 0x100 || pid == 0x101 {
            let start = if packet[3] & 0x20 == 0 { 4 } else { 5 + usize::from(packet[4]) };
            packet[3] = packet[3] & 0x3f | 0x80;
            packet[start..].iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
    }
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_scrambled_recording_is_encrypted_from_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let [film, _] = scenes(folder.path());
    for (share, refused) in
        [(0..1000, true), (500..1000, true), (0..600, true), (900..905, false), (0..0, false)]
    {
        let source = folder.path().join("x.ts");
        ffmpeg(&["-i", film.to_str().unwrap()], "-c copy", &source);
        scramble(&source, share.clone());
        let run = run(&source, &quick()).await;
        if refused {
            let failure = run.result.unwrap_err();
            assert_eq!(failure.code, FailureCode::Encrypted, "{share:?}: {failure:?}");
            assert!(failure.evidence.contains_key("packets_scrambled"), "{failure:?}");
        } else {
            let warnings = &run.package().summary.warnings;
            let warned = warnings.iter().any(|line| line.starts_with("scrambled: "));
            assert_eq!(warned, !share.is_empty(), "{share:?}: {warnings:?}");
        }
    }
}

#[tokio::test]
async fn audio_that_is_scrambled_alone_is_encrypted_unless_there_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let [film, _] = scenes(folder.path());
    let source = folder.path().join("x.ts");
    for (maps, refused) in [("-map 0", true), ("-map 0 -map 0:a", false)] {
        ffmpeg(&["-i", film.to_str().unwrap()], &format!("{maps} -c copy"), &source);
        let mut bytes = std::fs::read(&source).unwrap();
        for packet in bytes.chunks_exact_mut(188).filter(|packet| packet[1] & 0x1f == 1 && packet[2] == 1) {
            packet[3] |= 0xc0;
            packet[40..].iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
        std::fs::write(&source, bytes).unwrap();
        let run = run(&source, &quick()).await;
        if refused {
            assert_eq!(run.result.unwrap_err().code, FailureCode::Encrypted);
        } else {
            let summary = &run.package().summary;
            assert_eq!(summary.audio.len(), 1);
            assert!(
                summary.warnings.iter().any(|line| line.contains("it is scrambled")),
                "{:?}",
                summary.warnings
            );
        }
    }
    // A DVD that was copied as it is: its packets say so themselves.
    let source = folder.path().join("x.vob");
    ffmpeg(&["-i", film.to_str().unwrap()], "-c:v mpeg2video -q:v 3 -c:a ac3", &source);
    let mut bytes = std::fs::read(&source).unwrap();
    let starts: Vec<_> =
        bytes.windows(4).enumerate().filter(|(_, code)| *code == [0, 0, 1, 0xe0]).map(|(at, _)| at).collect();
    let whole = bytes.len() - 2048;
    for start in starts.into_iter().filter(|&start| start < whole) {
        bytes[start + 6] |= 0x30;
        bytes[start + 128..start + 1900].iter_mut().for_each(|byte| *byte ^= 0x5a);
    }
    std::fs::write(&source, bytes).unwrap();
    let failure = run(&source, &quick()).await.result.unwrap_err();
    assert_eq!(failure.code, FailureCode::Encrypted, "{failure:?}");
}

#[tokio::test]
async fn channels_that_belong_to_no_loudspeakers_are_all_heard() {
    let folder = tempfile::tempdir().unwrap();
    let [film, _] = scenes(folder.path());
    for channels in [10, 12, 32] {
        let source = folder.path().join("x.mkv");
        // A tone on the last channel alone.
        let silent = "0|".repeat(channels - 1);
        let tones = format!("aevalsrc={silent}0.5*sin(880*2*PI*t):d=2");
        let args = "-map 0:v -map 1:a -c:v copy -c:a pcm_s16le";
        ffmpeg(&["-i", film.to_str().unwrap(), "-f", "lavfi", "-i", &tones], args, &source);
        let told = ffprobe(&source, "-select_streams a", "stream=channels");
        assert_eq!(told, channels.to_string());
        let run = run(&source, &quick()).await;
        let summary = &run.package().summary;
        assert_eq!(summary.audio[0].channels, 2, "{channels}");
        assert!(level(&run, 880, 0.5) > -40.0, "{channels}: it is not heard");
        let warned = summary.warnings.iter().any(|line| line.contains(&format!("has {channels} channels")));
        assert!(warned, "{:?}", summary.warnings);
    }
}

#[tokio::test]
async fn players_do_not_choose_audio_for_those_who_cannot_see() {
    let folder = tempfile::tempdir().unwrap();
    let [film, _] = scenes(folder.path());
    for (name, flags) in [("x.ts", "visual_impaired+descriptions"), ("x.mkv", "comment")] {
        let source = folder.path().join(name);
        let args = format!("-map 0:v -map 0:a -map 0:a -c copy -disposition:a:0 {flags} -disposition:a:1 0");
        ffmpeg(&["-i", film.to_str().unwrap()], &args, &source);
        let run = run(&source, &quick()).await;
        run.package();
        let master = run.text("entry/master.m3u8");
        let chosen =
            master.lines().filter(|line| line.contains("TYPE=AUDIO") && line.contains("DEFAULT=YES"));
        assert!(chosen.clone().count() == 1 && chosen.clone().all(|line| line.contains("-2\"")), "{master}");
    }
}
