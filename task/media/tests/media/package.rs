//! What comes out of the real clip.

use transcode_config::{
    contract::{FailureCode, Stage},
    ladder::Profile,
};
use transcode_media::Event;

use crate::support::{clip, ffprobe, quick, run, variant};

#[tokio::test]
async fn the_real_clip_becomes_a_verified_package() {
    let run = run(&clip(), &quick()).await;
    let package = run.package();
    assert_eq!(package.duration_ms, 5280);
    let names: Vec<_> = package.entry.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["poster.jpg", "metadata.json", "manifest.json", "manifest.mpd", "master.m3u8"]);
    for file in &package.files {
        let bytes = std::fs::read(run.output().join(&file.path)).unwrap();
        assert_eq!(bytes.len() as u64, file.size, "{}", file.path);
    }
    let verification: serde_json::Value = serde_json::from_str(&run.text("verification.json")).unwrap();
    assert_eq!(verification["passed"], true);
    assert!(verification["checks"].as_array().unwrap().len() > 20);
}

#[tokio::test]
async fn ffmpeg_decodes_every_track_to_the_last_frame_from_zero() {
    let run = run(&clip(), &quick()).await;
    run.package();
    for (track, size) in [("video/90p", "160,90"), ("video/180p", "320,180")] {
        let file = run.joined(track);
        assert_eq!(ffprobe(&file, "-select_streams v", "stream=width,height"), size);
        assert_eq!(ffprobe(&file, "-count_frames -select_streams v", "stream=nb_read_frames"), "132");
        let times = ffprobe(&file, "-select_streams v", "frame=pts_time");
        let times = times.lines().filter(|line| !line.is_empty());
        let times: Vec<f64> = times.map(|time| time.trim_end_matches(',').parse().unwrap()).collect();
        for (index, time) in (0_u32..).zip(&times) {
            assert!(
                (time - f64::from(index) / 25.0).abs() < 0.0015,
                "frame {index} of {track} is shown at {time}"
            );
        }
    }
    let audio = run.joined("audio/main");
    assert_eq!(ffprobe(&audio, "", "stream=channels,sample_rate,start_time"), "48000,2,0.000000");
    let packets = ffprobe(&audio, "-select_streams a", "packet=pts").lines().count();
    assert!((247..=249).contains(&packets), "{packets} audio frames for 5.28 s");
}

#[tokio::test]
async fn events_tell_each_file_once_and_progress_to_100() {
    let run = run(&clip(), &quick()).await;
    let package = run.package();
    let mut announced: Vec<_> = run
        .events
        .iter()
        .filter_map(|event| match event {
            Event::FileReady(path) => Some(path.to_str().unwrap().to_owned()),
            _ => None,
        })
        .collect();
    let mut files: Vec<_> = package.files.iter().map(|file| file.path.clone()).collect();
    announced.sort();
    files.sort();
    assert_eq!(announced, files);
    let stages: Vec<_> = run
        .events
        .iter()
        .filter_map(|event| if let Event::Stage(stage) = event { Some(*stage) } else { None })
        .collect();
    assert_eq!(stages, [Stage::Probing, Stage::Transcoding, Stage::Verifying]);
    let mut last = 0.0;
    for event in &run.events {
        if let Event::Progress { percent, .. } = event {
            assert!(*percent >= last, "{percent} after {last}");
            last = *percent;
        }
    }
    assert!((last - 100.0).abs() < f32::EPSILON, "{last}");
}

#[tokio::test]
async fn nothing_is_left_in_the_scratch_folder() {
    let run = run(&clip(), &quick()).await;
    run.package();
    let left: Vec<_> = std::fs::read_dir(run.folder.path().join("work")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn audio_alone_becomes_an_audio_package() {
    let profile = Profile { rungs: Vec::new(), ..quick() };
    let run = run(&clip(), &profile).await;
    assert!(run.package().summary.video.is_empty());
    let master = run.text("entry/master.m3u8");
    assert!(master.contains("CODECS=\"mp4a.40.2\""), "{master}");
    assert!(!master.contains("RESOLUTION"), "{master}");
}

#[tokio::test]
async fn a_package_may_grow_with_the_size_of_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let source = variant(folder.path(), "x.mp4", "-t 0.4 -s 160x90 -c:v libx264 -preset ultrafast -an");
    let mut profile = quick();
    profile.package.max_growth = 100_000;
    // The limit on files makes the failure, whose evidence is the limit on bytes.
    profile.package.max_files = 1;
    let failure = run(&source, &profile).await.result.unwrap_err();
    assert_eq!(failure.code, FailureCode::OutputTooLarge, "{failure:?}");
    let most = source.metadata().unwrap().len() * 100_000;
    assert!(most > 256 << 20, "below that every package is allowed");
    assert_eq!(failure.evidence["most_bytes"], most.to_string(), "{failure:?}");
}
