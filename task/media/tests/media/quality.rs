//! How near the rungs are to the source: SSIM against the source scaled to their size, with floors.
//!
//! The floors lie a little below what was measured, so that a shift by a pixel or a frame, or
//! a lower quality is noticed and another version of an encoder is not.

use std::{path::Path, process::Command};

use transcode_config::ladder::{Profile, VideoCodec};

use crate::support::{clip, quick, run, variant};

/// Mean structural similarity of all planes and frames; 1 is the same.
pub(crate) fn ssim(made: &Path, source: &Path, size: (u32, u32)) -> f64 {
    let (width, height) = size;
    let graph = format!("[1:v]scale={width}:{height}:flags=bicubic,format=yuv420p[s];[0:v][s]ssim");
    let done = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-nostats"])
        .arg("-i")
        .arg(made)
        .arg("-i")
        .arg(source)
        .args(["-filter_complex", &graph, "-f", "null", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    let all = text.rsplit_once(" All:").unwrap_or_else(|| panic!("{text}")).1;
    all.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_rung_of_the_standard_profile_looks_like_the_source() {
    let run = run(&clip(), &Profile::built_in("standard").unwrap()).await;
    let mut measured = Vec::new();
    for rung in &run.package().summary.video {
        let made = run.joined(&format!("video/{}", rung.name));
        measured.push((rung.name.as_str(), ssim(&made, &clip(), (rung.width, rung.height))));
    }
    let floors = [("234p", 0.94), ("360p", 0.965), ("540p", 0.975), ("720p", 0.98)];
    assert_eq!(measured.len(), floors.len(), "{measured:?}");
    for ((name, value), (rung, floor)) in measured.iter().zip(floors) {
        assert!(*name == rung && *value >= floor, "{measured:?}");
    }
}

#[tokio::test]
async fn the_other_codecs_do_too() {
    let folder = tempfile::tempdir().unwrap();
    let source =
        variant(folder.path(), "x.mp4", "-t 1.2 -an -s 320x180 -c:v libx264 -preset veryfast -crf 8");
    for (codec, preset, crf, floor) in
        [(VideoCodec::Hevc, "veryfast", 24, 0.96), (VideoCodec::Av1, "10", 35, 0.97)]
    {
        let mut profile = Profile { codec, preset: preset.into(), crf, ..quick() };
        for rung in &mut profile.rungs {
            "main".clone_into(&mut rung.codec_profile);
        }
        let run = run(&source, &profile).await;
        run.package();
        let measured = ssim(&run.joined("video/180p"), &source, (320, 180));
        assert!(measured >= floor, "{codec:?}: {measured}");
    }
}
