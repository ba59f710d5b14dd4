//! A video that was encoded in chunks: the same frames as from one run, in the same segments.

use std::path::{Path, PathBuf};

use tokio::sync::mpsc::unbounded_channel;
use transcode_config::{
    contract::{Clip, FailureCode},
    ladder::{ChunkSettings, PackageLimits, Profile, VideoCodec},
};
use transcode_media::package::{
    cut::{Cut, Cutter},
    folder::Folder,
    fragment::{self, BoxReader},
};

use crate::{
    edit::{counted, counts, one_rung},
    quality::ssim,
    support::{Run, ffmpeg, quick, run, run_edited, run_prepared},
    video::frames,
};

/// Groups of a second, two to a segment: chunks of 4 s.
fn in_chunks(at_once: Option<u32>) -> Profile {
    Profile { chunks: Some(ChunkSettings { seconds: 3, at_once }), ..one_rung() }
}

fn track(run: &Run, name: &str) -> Vec<u8> {
    std::fs::read(run.joined(name)).unwrap()
}

/// What a player is told, and what a viewer sees and hears, is that of one run. That the video's bytes are others shows
/// that it was not: an encoder begins anew with each chunk.
fn alike(whole: &Run, chunked: &Run, what: &str) {
    assert_eq!(counts(chunked), counts(whole), "{what}");
    for playlist in ["video/180p/index.m3u8", "audio/main/index.m3u8"] {
        assert_eq!(chunked.text(playlist), whole.text(playlist), "{what}: {playlist}");
    }
    assert_eq!(track(chunked, "audio/main"), track(whole, "audio/main"), "{what}");
    assert_ne!(
        track(chunked, "video/180p"),
        track(whole, "video/180p"),
        "{what}: it was not encoded in chunks"
    );
    assert_eq!(
        chunked.package().summary.seconds.to_bits(),
        whole.package().summary.seconds.to_bits(),
        "{what}"
    );
}

/// Frames left out at random, the others up to 4 ms late, and a video that stands still for 7 s.
fn irregular(source: &Path, name: &str) -> PathBuf {
    let path = source.with_file_name(name);
    ffmpeg(
        &["-i", source.to_str().unwrap()],
        "-vf select='gt(random(0),0.3)*(lt(t,2.2)+gt(t,9.3))',setpts=PTS+floor(random(1)*5)/1000/TB -fps_mode vfr \
         -c:v libx264 -preset ultrafast -crf 5 -g 250 -bf 2 -c:a copy",
        &path,
    );
    path
}

#[tokio::test]
async fn chunks_have_the_frames_that_one_run_has() {
    let folder = tempfile::tempdir().unwrap();
    let plain = counted(folder.path(), "plain.mp4", "25", 15);
    let ntsc = counted(folder.path(), "ntsc.mkv", "30000/1001", 13);
    let (loose, ms) = (irregular(&plain, "loose.mp4"), irregular(&ntsc, "ms.mkv"));
    for (source, clip) in [
        (&plain, None),
        (&ntsc, None),
        (&loose, None),
        (&ms, None),
        (&plain, Some(Clip { start_ms: 2520, end_ms: None })),
        (&ms, Some(Clip { start_ms: 1001, end_ms: Some(12_012) })),
    ] {
        let whole = run_edited(source, &one_rung(), clip, None).await;
        let chunked = run_edited(source, &in_chunks(Some(2)), clip, None).await;
        alike(&whole, &chunked, &format!("{} {clip:?}", source.display()));
    }
}

#[tokio::test]
async fn chunks_of_every_codec_and_of_halved_rates_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let source = counted(folder.path(), "x.mp4", "50", 9);
    for (codec, preset) in
        [(VideoCodec::H264, "medium"), (VideoCodec::Hevc, "ultrafast"), (VideoCodec::Av1, "12")]
    {
        // The lower rung has every other frame.
        let mut profile = Profile { codec, preset: preset.into(), ..quick() };
        if codec != VideoCodec::H264 {
            profile.rungs.iter_mut().for_each(|rung| "main".clone_into(&mut rung.codec_profile));
        }
        let whole = run(&source, &profile).await;
        let settings = ChunkSettings { seconds: 3, at_once: Some(2) };
        let chunked = run(&source, &Profile { chunks: Some(settings), ..profile }).await;
        for rung in ["video/90p", "video/180p"] {
            let playlist = format!("{rung}/index.m3u8");
            assert_eq!(chunked.text(&playlist), whole.text(&playlist), "{codec:?} {rung}");
            assert_ne!(track(&chunked, rung), track(&whole, rung), "{codec:?} {rung}");
            assert_eq!(frames(&chunked, rung), frames(&whole, rung), "{codec:?} {rung}");
            let size = if rung == "video/90p" { (160, 90) } else { (320, 180) };
            let alike = ssim(&chunked.joined(rung), &whole.joined(rung), size);
            assert!(alike > 0.97, "{codec:?} {rung}: {alike}");
        }
    }
}

#[tokio::test]
async fn without_a_number_the_first_chunk_is_measured_and_all_frames_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let source = counted(folder.path(), "x.mp4", "25", 14);
    let whole = run(&source, &one_rung()).await;
    alike(&whole, &run(&source, &in_chunks(None)).await, "measured");
}

#[tokio::test]
async fn a_video_that_ends_before_the_audio_stands_still_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let (long, short) = (counted(folder.path(), "long.mp4", "25", 18), folder.path().join("short.mp4"));
    let input = long.to_str().unwrap();
    ffmpeg(&["-t", "9", "-i", input, "-i", input], "-map 0:v -map 1:a -c copy", &short);
    let whole = run(&short, &one_rung()).await;
    let chunked = run(&short, &in_chunks(Some(2))).await;
    let seen = counts(&chunked);
    assert!(seen.len() > 440 && seen[230..].iter().all(|&count| count == seen[230]), "{seen:?}");
    alike(&whole, &chunked, "audio of 18 s");
}

#[tokio::test]
async fn chunks_can_be_played_early_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let source = counted(folder.path(), "x.mp4", "25", 13);
    let early = |profile| Profile { playable_early: true, ..profile };
    let whole = run(&source, &early(one_rung())).await;
    alike(&whole, &run(&source, &early(in_chunks(Some(3)))).await, "early");
}

#[tokio::test]
async fn a_chunk_that_fails_ends_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let source = counted(folder.path(), "x.mp4", "25", 15);
    for (at_once, blocked) in
        [(None, "chunk1/v0.mp4"), (Some(1), "chunk1/v0.mp4"), (Some(3), "chunk1/v0.mp4"), (Some(1), "a0.mp4")]
    {
        let block = |work: &Path| std::fs::create_dir_all(work.join("encode").join(blocked)).unwrap();
        let run = run_prepared(&source, &in_chunks(at_once), block).await;
        let failure = run.result.as_ref().unwrap_err();
        // The cause, and not that the others were stopped for it.
        assert_eq!(failure.code, FailureCode::EncodeFailed, "{at_once:?} {blocked}: {failure:?}");
        let encode = run.folder.path().join("work/encode");
        assert!(!encode.join("v0.mp4").exists(), "the audio's run made a video, too");
        if at_once == Some(1) {
            assert!(!encode.join("chunk2/v0.mp4").exists(), "the next one was begun");
        }
    }
}

#[test]
fn a_chunk_that_does_not_fit_the_header_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let encoded = |name: &str, size: &str| {
        let path = folder.path().join(name);
        ffmpeg(
            &["-f", "lavfi", "-i", &format!("testsrc=s={size}:r=25:d=1")],
            "-c:v libx264 -preset ultrafast -bf 2 -movflags +empty_moov+default_base_moof+frag_keyframe",
            &path,
        );
        path
    };
    let (first, other) = (encoded("first.mp4", "320x180"), encoded("other.mp4", "160x90"));
    let late = folder.path().join("late.mp4");
    let mut reader = BoxReader::new(std::fs::File::open(&first).unwrap());
    let init = reader.init().unwrap().unwrap();
    let mut fragment = reader.fragment(&init, true).unwrap().unwrap();
    fragment.samples.iter_mut().for_each(|sample| sample.offset += 512);
    let mut bytes = init.bytes;
    fragment::write(&mut bytes, 1, 0, &fragment.samples, &fragment.data).unwrap();
    std::fs::write(&late, bytes).unwrap();
    for (second, what) in [(&first, None), (&other, Some("header")), (&late, Some("shown later"))] {
        let output = tempfile::tempdir().unwrap();
        let mut package =
            Folder::new(output.path(), PackageLimits::default(), u64::MAX, unbounded_channel().0);
        let mut cutter = Cutter::new("video/x".into(), Cut::Groups(1));
        for (number, file) in [&first, second].into_iter().enumerate() {
            let copy = folder.path().join(format!("copy{number}.mp4"));
            std::fs::copy(file, &copy).unwrap();
            cutter.follow(copy, u64::try_from(number).unwrap() * 12_800);
        }
        cutter.advance(&mut package).unwrap();
        assert_eq!(
            cutter.published().map_or(0, |(.., segments)| segments.len()),
            0,
            "the first may still grow"
        );
        cutter.ended(0);
        let result = cutter.finish(&mut package);
        assert!(!folder.path().join("copy0.mp4").exists(), "what was published is still on the disk twice");
        match what {
            None => assert_eq!(result.unwrap().segments.len(), 2),
            Some(what) => {
                let failure = result.unwrap_err();
                assert!(failure.evidence["error"].contains(what), "{failure:?}");
            }
        }
    }
}
