//! Closed captions: those in a track of their own become text; those inside the picture's stream are left out, and said so.

use std::path::{Path, PathBuf};

use crate::support::{ffmpeg, ffprobe, quick, run, variant};

/// A pair of caption bytes (ATSC A/53) as a message in front of each picture of an H.264 stream.
const MESSAGE: [u8; 21] =
    [0, 0, 0, 1, 6, 4, 14, 0xb5, 0, 0x31, b'G', b'A', b'9', b'4', 3, 0x41, 0xff, 0xfc, 0x94, 0x20, 0xff];

fn with_captions(folder: &Path) -> PathBuf {
    let stream = variant(
        folder,
        "x.h264",
        "-t 1 -an -s 320x180 -c:v libx264 -preset ultrafast -bf 0 -x264-params slices=1:sliced-threads=0",
    );
    let (bytes, mut out) = (std::fs::read(&stream).unwrap(), Vec::new());
    for (at, byte) in bytes.iter().enumerate() {
        if bytes[at..].starts_with(&[0, 0, 1]) && matches!(bytes[at + 3] & 31, 1 | 5) {
            out.extend(MESSAGE);
            out.push(0x80);
        }
        out.push(*byte);
    }
    std::fs::write(&stream, out).unwrap();
    let path = folder.join("captions.mp4");
    ffmpeg(&["-r", "25", "-i", stream.to_str().unwrap()], "-c copy", &path);
    path
}

fn captioned(path: &Path) -> String {
    ffprobe(path, "-count_frames -select_streams v", "stream=closed_captions")
}

#[tokio::test]
async fn captions_inside_the_picture_are_left_out_with_a_warning_as_the_playlists_say() {
    let folder = tempfile::tempdir().unwrap();
    let source = with_captions(folder.path());
    assert_eq!(captioned(&source), "1", "the test file has none");
    let run = run(&source, &quick()).await;
    let warnings = &run.package().summary.warnings;
    assert!(warnings.iter().any(|line| line.contains("captions_dropped")), "{warnings:?}");
    assert!(run.text("entry/master.m3u8").contains("CLOSED-CAPTIONS=NONE"));
    for track in ["video/90p", "video/180p"] {
        assert_eq!(captioned(&run.joined(track)), "0", "{track}");
    }
}

#[tokio::test]
async fn captions_in_a_track_of_their_own_become_webvtt() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("x.scc");
    // "Hello" from half a second on, and away a second later.
    let text = "Scenarist_SCC V1.0\n\n00:00:00:15\t9420 9420 9470 9470 c8e5 ecec ef80 942f 942f\n\n\
                00:00:01:15\t942c 942c\n";
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
    assert!(text.contains("00:00:00.495 --> 00:00:00.990\nHello\n"), "{text}");
    assert!(
        run.text("entry/master.m3u8")
            .contains("TYPE=SUBTITLES,GROUP-ID=\"text\",NAME=\"en\",LANGUAGE=\"en\"")
    );
}
