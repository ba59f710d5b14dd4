use proptest::prelude::*;
use transcode_config::ladder::Profile;

use super::*;

const PAL: Rational = Rational { num: 25, den: 1 };

fn video(width: u32, height: u32, pixel_aspect: &str, rotation: i32) -> VideoStream {
    let json = format!(
        r#"{{"streams":[{{"codec_type":"video","codec_name":"h264","width":{width},"height":{height},
        "sample_aspect_ratio":"{pixel_aspect}","side_data_list":[{{"rotation":{rotation}}}]}}]}}"#
    );
    crate::examine::probe::parse(json.as_bytes(), 1).unwrap().video.unwrap()
}

fn sizes(video: &VideoStream) -> Vec<String> {
    sizes_by("standard", video)
}

fn sizes_by(profile: &str, video: &VideoStream) -> Vec<String> {
    let profile = Profile::built_in(profile).unwrap();
    renditions(video, PAL, (&profile.rungs, profile.codec), Range::Sdr)
        .iter()
        .map(|r| format!("{}x{}", r.width, r.height))
        .collect()
}

#[test]
fn every_shape_of_source_gets_the_rungs_a_viewer_expects() {
    for (source, expected) in [
        (video(1920, 1080, "1:1", 0), "416x234 640x360 960x540 1280x720 1920x1080"),
        (video(3840, 2160, "1:1", 0), "416x234 640x360 960x540 1280x720 1920x1080"),
        (video(1920, 1088, "1:1", 0), "420x238 636x360 960x544 1260x714 1920x1088"),
        // A phone held upright: coded landscape, shown portrait.
        (video(1920, 1080, "1:1", -90), "234x416 360x640 540x960 720x1280 1080x1920"),
        (video(1080, 1920, "1:1", 0), "234x416 360x640 540x960 720x1280 1080x1920"),
        (video(1920, 1080, "1:1", 180), "416x234 640x360 960x540 1280x720 1920x1080"),
        // Anamorphic PAL and HDV.
        (video(720, 576, "64:45", 0), "416x234 640x360 960x540 1024x576"),
        (video(1440, 1080, "4:3", 0), "416x234 640x360 960x540 1280x720 1920x1080"),
        // Between two rungs: its own size on top, rounded to even.
        (video(853, 480, "1:1", 0), "416x234 640x360 852x480"),
        (video(1001, 601, "1:1", 0), "390x234 600x360 900x540 1000x600"),
        // Hardly above a rung: in its place.
        (video(976, 548, "1:1", 0), "416x234 642x360 976x548"),
        // Smaller than the lowest.
        (video(160, 120, "1:1", 0), "160x120"),
        (video(1, 1, "1:1", 0), "16x16"),
        (video(640, 480, "1:1", 0), "312x234 480x360 640x480"),
    ] {
        assert_eq!(sizes(&source).join(" "), expected, "{}x{}", source.width, source.height);
    }
}

#[test]
fn a_source_too_small_for_its_encoder_becomes_just_large_enough_in_its_own_proportions() {
    for (profile, source, expected) in [
        ("av1", video(48, 32, "1:1", 0), "96x64"),
        ("av1", video(48, 32, "1:1", 90), "64x96"),
        ("av1", video(160, 50, "1:1", 0), "204x64"),
        ("av1", video(96, 64, "1:1", 0), "96x64"),
        ("standard", video(48, 32, "1:1", 0), "48x32"),
        ("standard", video(24, 8, "1:1", 0), "48x16"),
        // A line stays one that can be encoded.
        ("av1", video(4000, 2, "1:1", 0), "8192x64"),
    ] {
        assert_eq!(sizes_by(profile, &source).join(" "), expected, "{}x{}", source.width, source.height);
    }
}

#[test]
fn low_rungs_keep_every_second_frame_of_fast_sources() {
    let profile = Profile::built_in("standard").unwrap();
    let fast = Rational { num: 60_000, den: 1001 };
    let rungs = renditions(&video(1280, 720, "1:1", 0), fast, (&profile.rungs, profile.codec), Range::Sdr);
    let rates: Vec<_> = rungs.iter().map(|rung| rung.rate.to_string()).collect();
    assert_eq!(rates, ["30000/1001", "30000/1001", "60000/1001", "60000/1001"]);
}

#[test]
fn a_source_between_rungs_gets_rates_between_theirs() {
    let profile = Profile::built_in("standard").unwrap();
    let rungs = renditions(&video(1068, 600, "1:1", 0), PAL, (&profile.rungs, profile.codec), Range::Sdr);
    let own = rungs.last().unwrap();
    assert_eq!(own.name, "600p");
    assert!((2_200_000..3_000_000).contains(&own.average_bps), "{}", own.average_bps);
    assert!(own.max_bps > own.average_bps);
}

proptest! {
    #[test]
    fn no_rung_is_larger_than_its_source_odd_or_there_twice(
        width in 32u32..8192, height in 32u32..8192, rotated in any::<bool>(), sar in 1u32..4,
    ) {
        let source = video(width, height, &format!("{sar}:2"), if rotated { 90 } else { 0 });
        let profile = Profile::built_in("standard").unwrap();
        let rungs = renditions(&source, PAL, (&profile.rungs, profile.codec), Range::Sdr);
        let (across, down) = source.display_size();
        prop_assert!(!rungs.is_empty());
        for rung in &rungs {
            prop_assert!(rung.width % 2 == 0 && rung.height % 2 == 0);
            prop_assert!(f64::from(rung.width) <= across.max(16.0) + 1.0, "{rung:?} {across}x{down}");
            prop_assert!(f64::from(rung.height) <= down.max(16.0) + 1.0, "{rung:?} {across}x{down}");
            prop_assert!(rung.max_bps >= rung.average_bps);
        }
        for pair in rungs.windows(2) {
            prop_assert!(pair[0].average_bps < pair[1].average_bps);
            prop_assert!(pair[0].name != pair[1].name);
        }
    }
}
