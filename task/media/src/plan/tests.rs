use std::path::Path;

use serde_json::json;
use transcode_config::{
    contract::{Clip, FailureCode, Placement},
    ladder::Profile,
};

use super::loudness::Gain;
use super::{video::SLACK_FRAMES, *};
use crate::examine::{overlay::Overlay, probe, scan::Scan};

/// A probed and scanned source of `frames` frames at 25 a second with 48-kHz audio of `packets` packets.
fn source(frames: i64, packets: i64, extra: &[serde_json::Value]) -> (SourceInfo, Scan) {
    let mut streams = vec![
        json!({ "index": 0, "codec_type": "video", "codec_name": "h264", "width": 1280, "height": 720,
            "time_base": "1/12800", "avg_frame_rate": "25/1", "duration": "4.0" }),
        json!({ "index": 1, "codec_type": "audio", "codec_name": "aac", "channels": 6, "sample_rate": "48000",
            "time_base": "1/48000", "disposition": { "default": 1 } }),
    ];
    streams.extend(extra.iter().cloned());
    let root = json!({ "streams": streams, "format": { "format_name": "mov,mp4,m4a", "duration": "4.0" } });
    let mut scan = Scan::default();
    for frame in 0..frames {
        scan.line(&format!("0|{}|N/A|512|10|N/A|K_", frame * 512));
    }
    for packet in 0..packets {
        scan.line(&format!("1|{}|N/A|1024|10|N/A|K_", packet * 1024));
    }
    (probe::parse(root.to_string().as_bytes(), 1).unwrap(), scan)
}

fn planned(mut source: (SourceInfo, Scan)) -> Result<Plan, Failure> {
    let timeline = timeline::lay_out(&mut source.0, &source.1)?;
    make(&source.0, &timeline, &Profile::built_in("standard").unwrap())
}

fn argv(plan: &Plan) -> String {
    let args = arguments(plan, Path::new("/job/-odd %d name"));
    let mut lines = String::new();
    for arg in args {
        let arg = arg.into_string().unwrap();
        // One line for each option, one for each chain of the filter graph.
        let break_here = arg.starts_with('-') && !arg.starts_with("-1");
        lines.push_str(if break_here { "\n" } else { " " });
        lines.push_str(&arg.replace(';', ";\n    "));
    }
    lines
}

#[test]
fn arguments_for_video_and_audio() {
    insta::assert_snapshot!(argv(&planned(source(100, 188, &[])).unwrap()));
}

#[test]
fn audio_alone_is_planned_without_a_video() {
    let (mut info, scan) = source(0, 188, &[]);
    info.video = None;
    let plan = planned((info, scan)).unwrap();
    assert!(plan.video.is_none());
    assert!((plan.segment_seconds - 6.0).abs() < 1e-9);
    insta::assert_snapshot!(argv(&plan));
}

#[test]
fn a_video_that_ends_long_before_its_header_says_is_truncated() {
    let failure = planned(source(50, 188, &[])).unwrap_err();
    assert_eq!(failure.code, FailureCode::SourceTruncated);
    assert_eq!(failure.evidence["seconds_present"], "2.000");
    assert!(planned(source(99, 188, &[])).is_ok(), "a frame less is rounding");
}

#[test]
fn a_video_that_never_comes_is_truncated_and_empty_audio_is_left_out() {
    assert_eq!(planned(source(0, 188, &[])).unwrap_err().code, FailureCode::SourceTruncated);
    assert!(planned(source(100, 0, &[])).unwrap().audio.is_empty());
}

#[test]
fn audio_that_runs_on_holds_the_last_frame() {
    let plan = planned(source(100, 281, &[])).unwrap();
    let video = plan.video.unwrap();
    assert_eq!(video.frames, 150);
    assert_eq!(video.pad_frames, 50 + SLACK_FRAMES);
    assert_eq!(plan.audio[0].samples, 288_000);
    let short = planned(source(100, 190, &[])).unwrap();
    assert_eq!(short.video.unwrap().frames, 100, "50 ms more are cut");
}

#[test]
fn hours_that_a_small_file_only_claims_have_few_frames_and_few_segments() {
    let (mut info, mut scan) = source(100, 100, &[]);
    info.size = 40_000;
    // A packet of audio each hour, eleven times: the last frame would be repeated until then.
    let hours = |scan: &mut crate::examine::scan::Scan| {
        for hour in 1..=11_i64 {
            scan.line(&format!("1|{}|N/A|1024|10|N/A|K_", hour * 3600 * 48_000));
        }
    };
    hours(&mut scan);
    let plan = planned((info.clone(), scan)).unwrap();
    let video = plan.video.unwrap();
    assert!(plan.seconds > 39_599.0 && video.frames <= 18_000, "{} frames", video.frames);
    assert!(plan.seconds / plan.segment_seconds <= 601.0, "segments of {} s", plan.segment_seconds);
    // Audio alone.
    let (_, mut scan) = source(0, 100, &[]);
    hours(&mut scan);
    info.video = None;
    let plan = planned((info, scan)).unwrap();
    assert!((plan.segment_seconds - 66.0).abs() < 0.1, "segments of {} s", plan.segment_seconds);
}

#[test]
fn too_long_is_refused_by_name() {
    let (mut info, scan) = source(100, 188, &[]);
    let timeline = timeline::lay_out(&mut info, &scan).unwrap();
    let profile = Profile { max_duration_seconds: 3, ..Profile::built_in("standard").unwrap() };
    assert_eq!(make(&info, &timeline, &profile).unwrap_err().code, FailureCode::TooLong);
}

#[test]
fn ntsc_segments_are_whole_groups_in_every_rung() {
    let mut source = source(0, 0, &[]);
    source.0.audio.clear();
    for frame in 0_i64..240 {
        source.1.line(&format!("0|{}|N/A|213|10|N/A|K_", frame * 12_800 * 1001 / 60_000));
    }
    let plan = planned(source).unwrap();
    let video = plan.video.unwrap();
    assert_eq!(video.rate.to_string(), "60000/1001");
    assert!((plan.segment_seconds - 6.006).abs() < 1e-6, "{}", plan.segment_seconds);
    let gops: Vec<_> = video.renditions.iter().map(|rung| video.gop_of(rung)).collect();
    assert_eq!(gops, [60, 60, 120, 120]);
}

#[test]
fn two_tracks_of_one_language_have_different_names_and_one_is_the_default() {
    let more = json!({ "index": 2, "codec_type": "audio", "codec_name": "aac", "channels": 2,
        "sample_rate": "48000", "time_base": "1/48000" });
    let (info, mut scan) = source(100, 188, &[more]);
    scan.line("2|0|0|192000|10|N/A|K_");
    let plan = planned((info, scan)).unwrap();
    let names: Vec<_> = plan.audio.iter().map(|audio| (audio.name.as_str(), audio.default)).collect();
    assert_eq!(names, [("main", true), ("main-2", false)]);
}

#[test]
fn a_clip_is_trimmed_the_same_in_every_rendition_of_a_track_and_its_samples_lie_inside() {
    let (mut info, scan) = source(750, 1406, &[]);
    let clip = Clip { start_ms: 22_520, end_ms: Some(24_600) };
    let timeline = timeline::lay_out(&mut info, &scan).unwrap().clipped(clip).unwrap();
    let mut profile = Profile::built_in("standard").unwrap();
    profile.audio.surround_bps = Some(256_000);
    let plan = make(&info, &timeline, &profile).unwrap();
    assert!(plan.seek().is_some_and(|at| (at - 17.52).abs() < 1e-9), "{:?}", plan.seek());
    assert_eq!(plan.audio.iter().map(|audio| audio.channels).collect::<Vec<_>>(), [STEREO, SURROUND]);
    let whole = argv(&plan);
    assert_eq!(whole.matches(",atrim=start_sample=240000:end_sample=339840,").count(), 2, "{whole}");
    let sample = sample_arguments(&plan, Path::new("x"), 1.0);
    let seek: Vec<_> =
        sample.windows(2).filter(|pair| pair[0] == "-ss").map(|pair| pair[1].clone()).collect();
    assert_eq!(seek, ["23.520000"]);
}

/// The names of the filters in a graph: what is left of each link of its chains without labels and options.
fn filters_of(graph: &str) -> Vec<String> {
    let links = graph.split([';', ',']).map(|link| {
        let mut labels = 0_u32;
        let outside = link.chars().filter(|&letter| {
            labels += u32::from(letter == '[');
            let keep = labels == 0;
            labels -= u32::from(letter == ']');
            keep
        });
        outside.collect::<String>()
    });
    links.map(|link| link.split('=').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_filter_is_built_into_the_images_ffmpeg() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/ffmpeg");
    let script = std::fs::read_to_string(script).unwrap();
    let (_, list) = script.split_once("\nfilters='").unwrap();
    let built: Vec<_> = list.split_once('\'').unwrap().0.split_whitespace().collect();
    // All that a plan can have: interlaced, high range, a late clip, an overlay, a gain with a limit.
    let (mut info, scan) = source(750, 1406, &[]);
    let stream = info.video.as_mut().unwrap();
    (stream.interlaced, stream.color.transfer) = (true, Some("smpte2084".into()));
    let clip = Clip { start_ms: 22_520, end_ms: Some(24_600) };
    let timeline = timeline::lay_out(&mut info, &scan).unwrap().clipped(clip).unwrap();
    let mut plan = make(&info, &timeline, &Profile::built_in("standard").unwrap()).unwrap();
    let place = Placement::default();
    plan.video.as_mut().unwrap().lay_over(Overlay { file: "o".into(), width: 8, height: 8, place });
    plan.audio[0].gain = Some(Gain { db: 1.0, limit: true });
    let names = filters_of(&filters::graphs(&plan).join(";"));
    for name in ["bwdif", "tonemap", "overlay", "alimiter"] {
        assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
    }
    for name in names {
        assert!(built.contains(&name.as_str()), "{name} is missing in scripts/ffmpeg");
    }
}

#[test]
fn chunks_are_whole_segments_and_leave_no_frame_out() {
    use transcode_config::ladder::ChunkSettings;
    let settings = |seconds| ChunkSettings { seconds, at_once: None };
    // 40 s; segments of 6 s are 150 frames.
    let plan = planned(source(1000, 1880, &[])).unwrap();
    let chunk = |first, frames| Chunk { first, frames };
    let all = plan.chunks(&settings(7));
    assert_eq!(all, [chunk(0, 300), chunk(300, 300), chunk(600, 403)]);
    assert_eq!(Chunk::joined(&all[1..]), Some(chunk(300, 703)));
    assert_eq!(Chunk::joined(&[]), None);
    assert_eq!(plan.chunks(&settings(12)), all);
    assert_eq!(plan.chunks(&settings(20)), [], "less than two");
    let stream = Plan { indexed: false, ..plan.clone() };
    assert_eq!(stream.chunks(&settings(7)), [], "reading cannot begin in the middle");
    assert_eq!(plan.of_audio().chunks(&settings(7)), []);
    // The video ends after 16 s, the audio after 40.
    let still = planned(source(400, 1880, &[])).unwrap();
    assert_eq!(still.chunks(&settings(6)), [chunk(0, 150), chunk(150, 853)]);
}

#[test]
fn a_chunk_is_read_from_shortly_before_it_on_the_clock_of_the_source() {
    let plan = planned(source(1000, 1880, &[])).unwrap();
    let args = argv(&plan.of_chunk(Chunk { first: 300, frames: 150 }));
    assert!(args.contains("-noaccurate_seek\n-copyts\n-start_at_zero\n-ss 7.000000"), "{args}");
    assert!(args.contains("trim=start_frame=300:end_frame=450,"), "{args}");
    assert!(!args.contains("-map [a0]"), "{args}");
    let first = argv(&plan.of_chunk(Chunk { first: 0, frames: 150 }));
    assert!(!first.contains("-ss") && first.contains("trim=end_frame=150,"), "{first}");
    let audio = argv(&plan.of_audio());
    assert!(!audio.contains("-map [v0]") && audio.contains("-map [a0]"), "{audio}");
}
