//! The progressive MP4 beside the streams.

use transcode_config::ladder::{Profile, ProgressiveSettings};

use crate::support::{ffmpeg, ffprobe, quick, run, variant};

fn progressive(max_short_side: u32) -> Profile {
    Profile { progressive: Some(ProgressiveSettings { max_short_side }), ..quick() }
}

/// Decoded pictures as checksums, or samples as text.
fn decoded(path: &std::path::Path, args: &str) -> String {
    let list = path.with_extension("framemd5");
    ffmpeg(&["-i", path.to_str().unwrap()], args, &list);
    let text = std::fs::read_to_string(list).unwrap();
    let sums = text.lines().filter(|line| !line.starts_with('#'));
    sums.map(|line| line.rsplit(',').next().unwrap()).collect()
}

#[tokio::test]
async fn it_shows_the_frames_of_its_rung_in_step_with_the_audio() {
    // Reordered frames: there the edit list has work to do.
    let mut profile = progressive(100);
    "veryfast".clone_into(&mut profile.preset);
    let run = run(&crate::support::clip(), &profile).await;
    let package = run.package();
    let entry: Vec<_> = package.entry.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        entry,
        ["poster.jpg", "metadata.json", "manifest.json", "video.mp4", "manifest.mpd", "master.m3u8"]
    );
    let file = package.files.iter().find(|file| file.path == "entry/video.mp4").unwrap();
    assert_eq!((file.content_type, file.cache_control), ("video/mp4", "public, max-age=60"));
    let made = run.output().join(&file.path);
    assert_eq!(ffprobe(&made, "-select_streams v", "stream=width,height,start_time"), "160,90,0.000000");
    assert_eq!(ffprobe(&made, "-select_streams a", "stream=channels,start_time"), "2,0.000000");
    let frames = "-map 0:v -f framemd5";
    assert_eq!(decoded(&made, frames), decoded(&run.joined("video/90p"), frames));
    let audio = "-map 0:a -f framemd5";
    assert_eq!(decoded(&made, audio), decoded(&run.joined("audio/main"), audio));
    let metadata: serde_json::Value = serde_json::from_str(&run.text("entry/metadata.json")).unwrap();
    assert_eq!(metadata["result"]["progressive"]["rung"], "90p");
    assert_eq!(metadata["result"]["progressive"]["bytes"], file.size);
    let bytes = std::fs::read(&made).unwrap();
    let at = |kind: &[u8]| bytes.windows(4).position(|window| window == kind).unwrap();
    assert!(at(b"moov") < at(b"mdat"), "playing cannot begin before the whole file is there");
}

#[tokio::test]
async fn a_turned_video_stands_upright_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let source = variant(folder.path(), "x.mp4", "-t 1.5 -s 320x180 -c:v libx264 -preset ultrafast");
    crate::video::turn(&source, [0, 1, -1, 0]);
    let run = run(&source, &progressive(720)).await;
    run.package();
    let made = run.output().join("entry/video.mp4");
    assert_eq!(
        ffprobe(&made, "-select_streams v", "stream=width,height:stream_side_data=rotation"),
        "180,320"
    );
}

#[tokio::test]
async fn audio_alone_is_an_m4a() {
    let run = run(&crate::support::clip(), &Profile { rungs: Vec::new(), ..progressive(720) }).await;
    let package = run.package();
    let file = package.files.iter().find(|file| file.path == "entry/audio.m4a").unwrap();
    assert_eq!(file.content_type, "audio/mp4");
    assert_eq!(ffprobe(&run.output().join(&file.path), "", "stream=codec_name,channels"), "aac,2");
    assert!(package.entry.iter().any(|entry| entry.name == "audio.m4a"));
}
