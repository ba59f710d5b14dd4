//! Codecs and options beyond the standard profile.

use std::path::Path;

use transcode_config::{
    contract::FailureCode,
    ladder::{Profile, VideoCodec},
};

use crate::support::{ffprobe, quick, run, variant};

async fn encoded(codec: VideoCodec, preset: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let source =
        variant(folder.path(), "x.mp4", "-t 2.2 -c:a copy -s 320x180 -c:v libx264 -preset ultrafast");
    let mut profile = Profile { codec, preset: preset.into(), ..quick() };
    for rung in &mut profile.rungs {
        "main".clone_into(&mut rung.codec_profile);
    }
    let run = run(&source, &profile).await;
    run.package();
    let file = run.joined("video/180p");
    let decoded = ffprobe(
        &file,
        "-count_frames -select_streams v",
        "stream=codec_name,codec_tag_string,nb_read_frames",
    );
    (decoded, run.text("entry/master.m3u8"))
}

#[tokio::test]
async fn an_encoder_that_fails_is_named_with_its_own_words() {
    let profile = Profile { preset: "no-such-preset".into(), ..quick() };
    let failure = run(&crate::support::clip(), &profile).await.result.unwrap_err();
    assert_eq!(failure.code, FailureCode::EncodeFailed);
    assert!(failure.evidence["stderr"].contains("no-such-preset"), "{:?}", failure.evidence);
}

#[tokio::test]
async fn every_profile_that_comes_with_the_program_makes_a_verified_package() {
    let folder = tempfile::tempdir().unwrap();
    let source =
        variant(folder.path(), "x.mp4", "-t 1.2 -c:a copy -s 426x240 -c:v libx264 -preset ultrafast");
    for (name, rungs) in
        [("standard", 1), ("apple-full", 1), ("hevc", 1), ("av1", 1), ("vertical", 1), ("audio", 0)]
    {
        let run = run(&source, &Profile::built_in(name).unwrap()).await;
        assert_eq!(run.package().summary.video.len(), rungs, "{name}");
    }
    let all = Profile::built_in_names().count();
    assert_eq!(all, 6, "one is not tried here");
}

/// An eighth of each size, so that whole ladders are made in seconds; for AV1 a third, as its encoder takes nothing below
/// 64 pixels.
#[tokio::test]
async fn every_ladder_comes_out_whole_with_a_source_that_is_large_enough() {
    let folder = tempfile::tempdir().unwrap();
    let small = variant(folder.path(), "x.mp4", "-t 0.4 -s 480x270 -c:v libx264 -preset ultrafast");
    let large = variant(folder.path(), "y.mp4", "-t 0.4 -c:v libx264 -preset ultrafast");
    for name in Profile::built_in_names() {
        let mut profile = Profile::built_in(name).unwrap();
        let (source, part) = if profile.codec == VideoCodec::Av1 { (&large, 3) } else { (&small, 8) };
        profile.rungs.iter_mut().for_each(|rung| rung.short_side /= part);
        let run = run(source, &profile).await;
        let made = &run.package().summary.video;
        let wanted: Vec<_> = profile.rungs.iter().map(|rung| rung.short_side).collect();
        let heights: Vec<_> = made.iter().map(|rung| rung.height).collect();
        let near =
            heights.iter().zip(&wanted).all(|(made, wanted)| made.abs_diff(*wanted) <= 1.max(wanted / 50));
        assert!(heights.len() == wanted.len() && near, "{name}: {heights:?}, not {wanted:?}");
        let mut names: Vec<_> = made.iter().map(|rung| &rung.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), made.len(), "{name}: no two rungs are alike");
        for rung in made {
            let frames = ffprobe(
                &run.joined(&format!("video/{}", rung.name)),
                "-count_packets -select_streams v",
                "stream=nb_read_packets",
            );
            assert_eq!(frames, "10", "{name} {}", rung.name);
        }
    }
}

#[tokio::test]
async fn hevc_is_packaged_as_hvc1() {
    let (decoded, master) = encoded(VideoCodec::Hevc, "ultrafast").await;
    assert_eq!(decoded, "hevc,hvc1,55");
    assert!(master.contains("CODECS=\"hvc1.1.6.L"), "{master}");
}

#[tokio::test]
async fn av1_is_packaged_as_av01() {
    let (decoded, master) = encoded(VideoCodec::Av1, "12").await;
    assert_eq!(decoded, "av1,av01,55");
    assert!(master.contains("CODECS=\"av01.0.00M.08,mp4a.40.2\""), "{master}");
}

#[tokio::test]
async fn thumbnails_come_at_their_interval() {
    let folder = tempfile::tempdir().unwrap();
    let source = variant(folder.path(), "x.mp4", "-t 4.48 -an -s 320x180 -c:v libx264 -preset ultrafast");
    let mut profile = quick();
    profile.images.thumbnail_seconds = Some(2);
    let run = run(&source, &profile).await;
    let images: Vec<_> =
        run.package().files.iter().filter(|file| file.path.starts_with("images/thumbnail-")).collect();
    assert_eq!(images.len(), 3, "at 0, 2 and 4 s");
    assert!(run.text("images/thumbnails.vtt").contains("00:00:04.000 --> 00:00:04.480\nthumbnail-00003.jpg"));
    let size = ffprobe(&run.output().join(&images[2].path), "", "stream=width,height");
    assert_eq!(size, "320,180");
}

/// A frame of a file, made small and grey.
fn grey(path: &Path, filter: &str) -> Vec<u8> {
    let raw = path.with_extension("grey");
    let args = format!("-vf {filter},scale=8:4:flags=area,format=gray -frames:v 1 -f rawvideo");
    crate::support::ffmpeg(&["-i", path.to_str().unwrap()], &args, &raw);
    std::fs::read(&raw).unwrap()
}

/// Each part of the sheet is the frame of its time.
fn assert_shows_what_it_says(index: &str, sheet: &Path, video: &Path) {
    for cue in index.split("\n\n").skip(1) {
        let (times, area) = cue.split_once('\n').unwrap();
        let second: f64 = times.split(" --> ").next().unwrap().rsplit(':').next().unwrap().parse().unwrap();
        let [x, y, width, height] = area.trim().split(['=', ',']).skip(1).collect::<Vec<_>>()[..] else {
            panic!("{cue}")
        };
        let there = grey(sheet, &format!("crop={width}:{height}:{x}:{y}"));
        let seen = grey(video, &format!("select=gte(t\\,{second})"));
        let alike = there.iter().zip(&seen).all(|(a, b)| a.abs_diff(*b) < 12);
        assert!(alike, "{cue}: {there:?} instead of {seen:?}");
    }
}

#[tokio::test]
async fn the_poster_is_not_black_and_the_storyboard_covers_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let source =
        variant(folder.path(), "x.mp4", "-an -vf scale=320:180,fade=in:0:60 -c:v libx264 -preset ultrafast");
    let run = run(&source, &quick()).await;
    run.package();
    let poster = grey(&run.output().join("entry/poster.jpg"), "scale=1:1:flags=area");
    assert!(poster[0] > 60, "the poster is dark");
    let index = run.text("images/storyboard.vtt");
    assert_eq!(index.matches("-->").count(), 6, "{index}");
    assert!(index.contains("00:00:05.000 --> 00:00:05.280\nstoryboard.jpg#xywh=320,90,160,90"), "{index}");
    let sheet = run.output().join("images/storyboard.jpg");
    assert_eq!(ffprobe(&sheet, "", "stream=width,height"), "480,180");
    assert_shows_what_it_says(&index, &sheet, &run.joined("video/180p"));
}
