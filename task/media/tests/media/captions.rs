//! Closed captions, in a track of their own and inside the video's stream, become text.

use std::path::{Path, PathBuf};

use transcode_config::contract::Clip;

use crate::support::{Run, ffmpeg, ffprobe, quick, run, run_edited, run_prepared};

/// How a codec is made here: without reordered frames and with one slice each, so that a message can go in front of
/// each frame; what the first byte of a frame's unit is; and the head of a message's unit.
struct Codec {
    args: &'static str,
    is_frame: fn(u8) -> bool,
    head: &'static [u8],
}

const H264: Codec = Codec {
    args: "-c:v libx264 -preset ultrafast -bf 0 -x264-params slices=1:sliced-threads=0 -f h264",
    is_frame: |byte| matches!(byte & 31, 1 | 5),
    head: &[6],
};
const HEVC: Codec = Codec {
    args: "-c:v libx265 -preset ultrafast -x265-params bframes=0:log-level=none -f hevc",
    is_frame: |byte| byte >> 1 < 32,
    head: &[0x4e, 1],
};

/// Seconds of 25 frames with a message of user data (ATSC A/53) in front of each frame from the first list of `pairs` on:
/// caption bytes, one pair a frame from the frame on that each list is for. `kind` is the first byte of a group.
fn with_captions(
    folder: &Path,
    codec: &Codec,
    seconds: u32,
    kind: u8,
    pairs: &[(usize, &[[u8; 2]])],
) -> PathBuf {
    let (stream, path) = (folder.join("x.stream"), folder.join("captions.mp4"));
    let graph = format!("testsrc2=s=320x180:r=25:d={seconds}");
    ffmpeg(&["-f", "lavfi", "-i", &graph], &format!("-pix_fmt yuv420p {}", codec.args), &stream);
    let (bytes, mut out, mut frame) = (std::fs::read(&stream).unwrap(), Vec::new(), 0);
    for (at, byte) in bytes.iter().enumerate() {
        if bytes[at..].starts_with(&[0, 0, 1]) && (codec.is_frame)(bytes[at + 3]) {
            if let Some((from, pairs)) = pairs.iter().rfind(|(from, _)| *from <= frame) {
                let pair = pairs.get(frame - from).copied().unwrap_or_default();
                let [first, second] =
                    pair.map(|byte| byte | if byte.count_ones() % 2 == 0 { 0x80 } else { 0 });
                out.extend([0, 0, 0, 1]);
                out.extend(codec.head);
                out.extend([4, 14, 0xb5, 0, 0x31]);
                out.extend(b"GA94\x03\x41\xff");
                out.extend([kind, first, second, 0xff, 0x80]);
            }
            frame += 1;
        }
        out.push(*byte);
    }
    std::fs::write(&stream, out).unwrap();
    ffmpeg(&["-r", "25", "-i", stream.to_str().unwrap()], "-c copy", &path);
    path
}

/// "Hello" in the last row from one second on, "R&B" from 2.2 s to 3.2 s.
const SPOKEN: [(usize, &[[u8; 2]]); 5] = [
    (0, &[[0x14, 0x20], [0x14, 0x20], [0x14, 0x70], [0x14, 0x70], *b"He", *b"ll", *b"o\0"]),
    (25, &[[0x14, 0x2f], [0x14, 0x2f]]),
    (
        40,
        &[
            [0x14, 0x20],
            [0x14, 0x20],
            [0x14, 0x2e],
            [0x14, 0x2e],
            [0x14, 0x70],
            [0x14, 0x70],
            *b"R&",
            *b"B\0",
        ],
    ),
    (55, &[[0x14, 0x2f], [0x14, 0x2f]]),
    (80, &[[0x14, 0x2c], [0x14, 0x2c]]),
];
/// First byte of a group of the first field's captions, and of one that belongs to CEA-708.
const CEA_608: u8 = 0xfc;
const CEA_708: u8 = 0xfe;

fn captioned(path: &Path) -> String {
    let flag = ffprobe(path, "-count_frames -select_streams v", "stream=closed_captions");
    flag.trim_end_matches(',').to_owned()
}

/// The cues of a `WebVTT` file: begin and end in seconds, and the text.
fn cues(text: &str) -> Vec<(f64, f64, String)> {
    let seconds =
        |time: &str| time.split(':').fold(0.0, |sum, part| sum * 60.0 + part.trim().parse::<f64>().unwrap());
    let blocks = text.split("\n\n").filter_map(|block| block.trim_start().split_once('\n'));
    let timed = blocks.filter_map(|(times, text)| Some((times.split_once(" --> ")?, text)));
    timed.map(|((from, to), text)| (seconds(from), seconds(to), text.trim_end().to_owned())).collect()
}

fn assert_cues(run: &Run, wanted: &[(f64, f64, &str)]) {
    let found = cues(&run.text("text/captions/whole.vtt"));
    let near = |(from, to, text): &(f64, f64, String), wanted: &(f64, f64, &str)| {
        (from - wanted.0).abs() < 0.1 && (to - wanted.1).abs() < 0.1 && text == wanted.2
    };
    let all = found.len() == wanted.len() && found.iter().zip(wanted).all(|(cue, wanted)| near(cue, wanted));
    assert!(all, "{found:?} instead of {wanted:?}");
}

#[tokio::test]
async fn captions_inside_the_video_become_webvtt_at_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let source = with_captions(folder.path(), &H264, 4, CEA_608, &SPOKEN);
    assert_eq!(captioned(&source), "1", "the test file has none");
    let run = run(&source, &quick()).await;
    let summary = &run.package().summary;
    assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
    assert_cues(&run, &[(1.0, 2.2, "Hello"), (2.2, 3.2, "R&amp;B")]);
    let master = run.text("entry/master.m3u8");
    assert!(
        master.contains(
            "TYPE=SUBTITLES,GROUP-ID=\"text\",NAME=\"CC1\",LANGUAGE=\"und\",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,\
             CHARACTERISTICS=\"public.accessibility.transcribes-spoken-dialog,\
             public.accessibility.describes-music-and-sound\",URI=\"v-test-1/text/captions/index.m3u8\""
        ),
        "{master}"
    );
    assert_eq!(master.matches("SUBTITLES=\"text\"").count(), 2, "{master}");
    let manifest = run.text("entry/manifest.mpd");
    assert!(manifest.contains("lang=\"und\"") && manifest.contains("value=\"caption\""), "{manifest}");
    // They are there once: the rungs are made without, and the playlists say so.
    assert!(master.contains("CLOSED-CAPTIONS=NONE"));
    for track in ["video/90p", "video/180p"] {
        assert_eq!(captioned(&run.joined(track)), "0", "{track}");
    }
}

#[tokio::test]
async fn captions_of_the_other_codecs_are_found_too() {
    let folder = tempfile::tempdir().unwrap();
    let hevc = with_captions(folder.path(), &HEVC, 4, CEA_608, &SPOKEN);
    assert_cues(&run(&hevc, &quick()).await, &[(1.0, 2.2, "Hello"), (2.2, 3.2, "R&amp;B")]);
    let h264 = with_captions(folder.path(), &H264, 4, CEA_608, &SPOKEN);
    let mpeg2 = folder.path().join("x.mpg");
    ffmpeg(&["-i", h264.to_str().unwrap()], "-c:v mpeg2video -b:v 1M", &mpeg2);
    assert_eq!(captioned(&mpeg2), "1", "the test file has none");
    assert_cues(&run(&mpeg2, &quick()).await, &[(1.0, 2.2, "Hello"), (2.2, 3.2, "R&amp;B")]);
}

#[tokio::test]
async fn captions_that_begin_late_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let late = SPOKEN.map(|(frame, pairs)| (frame + 250, pairs));
    let source = with_captions(folder.path(), &H264, 14, CEA_608, &late);
    assert_cues(&run(&source, &quick()).await, &[(11.0, 12.2, "Hello"), (12.2, 13.2, "R&amp;B")]);
}

#[tokio::test]
async fn the_video_is_decoded_once_more_only_for_captions_that_say_something() {
    let folder = tempfile::tempdir().unwrap();
    // Something else lies where that would write.
    let in_the_way = |work: &Path| std::fs::create_dir_all(work.join("text/captions.mp4")).unwrap();
    for (pairs, warnings) in [(&SPOKEN[..], 1), (&[(0, &[])], 0), (&[], 0)] {
        let source = with_captions(folder.path(), &H264, 4, CEA_608, pairs);
        let run = run_prepared(&source, &quick(), in_the_way).await;
        assert_eq!(run.package().summary.warnings.len(), warnings, "{:?}", run.package().summary.warnings);
    }
}

#[tokio::test]
async fn captions_keep_their_times_where_the_video_begins_late_and_in_a_clip() {
    let folder = tempfile::tempdir().unwrap();
    let source = with_captions(folder.path(), &H264, 4, CEA_608, &SPOKEN);
    let late = folder.path().join("late.mov");
    let audio = crate::support::clip();
    let inputs = ["-itsoffset", "0.6", "-i", source.to_str().unwrap(), "-i", audio.to_str().unwrap()];
    ffmpeg(&inputs, "-map 0:v -map 1:a -c copy -t 4.6", &late);
    assert_eq!(ffprobe(&late, "-select_streams v", "stream=start_time"), "0.600000");
    assert_cues(&run(&late, &quick()).await, &[(1.6, 2.8, "Hello"), (2.8, 3.8, "R&amp;B")]);
    let clip = Clip { start_ms: 2000, end_ms: Some(3400) };
    let part = run_edited(&late, &quick(), Some(clip), None).await;
    assert_cues(&part, &[(0.0, 0.8, "Hello"), (0.8, 1.4, "R&amp;B")]);
}

#[tokio::test]
async fn captions_without_a_text_that_can_be_read_leave_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let source = with_captions(folder.path(), &H264, 4, CEA_708, &SPOKEN);
    let run = run(&source, &quick()).await;
    let warnings = &run.package().summary.warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("captions_dropped"), "{warnings:?}");
    assert!(!run.text("entry/master.m3u8").contains("SUBTITLES"));
}

#[tokio::test]
async fn captions_in_a_track_of_their_own_become_webvtt() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("x.scc");
    // "Hello" from half a second on, and away a second later. Behind it padding: ffmpeg gives the last sample of a track no
    // duration, and its own edit list leaves it out.
    let text = "Scenarist_SCC V1.0\n\n00:00:00:15\t9420 9420 9470 9470 c8e5 ecec ef80 942f 942f\n\n\
                00:00:01:15\t942c 942c\n\n00:00:01:20\t8080 8080\n";
    std::fs::write(&script, text).unwrap();
    let source = folder.path().join("x.mov");
    let clip = crate::support::clip();
    let inputs = ["-i", clip.to_str().unwrap(), "-i", script.to_str().unwrap()];
    let args = "-map 0:v -map 1 -t 2 -s 160x90 -c:v libx264 -preset ultrafast -c:s copy -metadata:s:s:0 language=eng";
    ffmpeg(&inputs, args, &source);
    assert_eq!(ffprobe(&source, "-select_streams s", "stream=codec_name,codec_tag_string"), "eia_608,c608");
    let run = run(&source, &quick()).await;
    assert!(run.package().summary.warnings.is_empty(), "{:?}", run.package().summary.warnings);
    let text = run.text("text/en/whole.vtt");
    assert!(text.contains("00:00:00.495 --> 00:00:01.495\nHello\n"), "{text}");
    assert!(
        run.text("entry/master.m3u8")
            .contains("TYPE=SUBTITLES,GROUP-ID=\"text\",NAME=\"en\",LANGUAGE=\"en\"")
    );
}

#[tokio::test]
async fn texts_come_out_as_they_are_by_another_parser_and_drawings_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("x.ass");
    let events = [
        r"0:00:01.00,0:00:02.00,Default,,0,0,0,,{\an7\p1}m 0 0 l 100 0 100 50 0 50{\p0}",
        r"0:00:01.00,0:00:02.00,Default,,0,0,0,,{\i1}Spoken{\i0} words{a note of the translator}",
        r"0:00:01.00,0:00:02.00,Default,,0,0,0,,{a note alone}",
        r"0:00:02.00,0:00:03.00,Default,,0,0,0,,above\N\Nbelow",
        r"0:00:03.00,0:00:04.00,Default,,0,0,0,,Tom & Jerry: 1 < 2 <3 love",
    ];
    let head = "[Script Info]\nScriptType: v4.00+\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, \
                MarginV, Effect, Text\n";
    let lines = events.map(|event| format!("Dialogue: 0,{event}\n")).concat();
    std::fs::write(&script, format!("{head}{lines}")).unwrap();
    let (source, other) = (folder.path().join("x.mkv"), folder.path().join("x.vtt"));
    std::fs::write(&other, "WEBVTT\n\n00:01.000 --> 00:02.000\n{note} and words\n").unwrap();
    let clip = crate::support::clip();
    let inputs = [&clip, &script, &other].map(|input| ["-i", input.to_str().unwrap()]).concat();
    ffmpeg(
        &inputs,
        "-map 0:v -map 1 -map 2 -s 320x180 -c:v libx264 -preset ultrafast -c:s copy -metadata:s:s:0 language=eng \
         -metadata:s:s:1 language=fre",
        &source,
    );
    let run = run(&source, &quick()).await;
    run.package();
    let other = run.text("text/fr/whole.vtt");
    assert!(other.contains("\n{note} and words\n"), "{other}");
    let made = run.output().join("text/en/whole.vtt");
    let read = folder.path().join("read.srt");
    ffmpeg(&["-f", "webvtt", "-i", made.to_str().unwrap()], "-c:s text -f srt", &read);
    let read = std::fs::read_to_string(read).unwrap().replace('\r', "");
    let texts: Vec<_> = read.split("\n\n").filter_map(|cue| cue.trim().splitn(3, '\n').nth(2)).collect();
    assert_eq!(texts, ["Spoken words", "above\nbelow", "Tom & Jerry: 1 < 2 <3 love"], "{read}");
}
