use proptest::prelude::*;
use serde_json::json;
use transcode_config::contract::FailureCode;

use super::*;

fn video_stream() -> Value {
    json!({
        "index": 0, "codec_type": "video", "codec_name": "h264", "codec_tag_string": "avc1",
        "width": 1280, "height": 720, "sample_aspect_ratio": "1:1", "pix_fmt": "yuv420p",
        "r_frame_rate": "25/1", "avg_frame_rate": "25/1", "time_base": "1/12800", "duration": "5.28"
    })
}

fn probe(streams: &[Value]) -> Result<SourceInfo, Failure> {
    let root = json!({ "streams": streams, "format": { "format_name": "mov,mp4", "duration": "5.28" } });
    parse(root.to_string().as_bytes(), 1000)
}

fn refusal(streams: &[Value]) -> FailureCode {
    probe(streams).unwrap_err().code
}

fn with(mut stream: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("an object") };
    for (key, value) in changes {
        stream[key] = value;
    }
    stream
}

#[test]
fn refusals_have_their_names() {
    let data = json!({ "index": 0, "codec_type": "data", "codec_name": "bin_data" });
    let cover = with(video_stream(), json!({ "codec_name": "mjpeg", "disposition": { "attached_pic": 1 } }));
    let huge = with(video_stream(), json!({ "width": 16000, "height": 16000 }));
    let unknown = with(video_stream(), json!({ "codec_name": null, "codec_tag_string": "XXXX" }));
    let encrypted = with(video_stream(), json!({ "codec_tag_string": "encv" }));
    let dolby = with(video_stream(), json!({ "side_data_list": [{ "dv_profile": 5 }] }));
    assert_eq!(refusal(&[]), FailureCode::NotMedia);
    assert_eq!(refusal(&[data]), FailureCode::NothingToPlay);
    assert_eq!(refusal(&[cover]), FailureCode::StillImage);
    assert_eq!(refusal(&[huge]), FailureCode::TooManyPixels);
    assert_eq!(refusal(&[unknown]), FailureCode::UnsupportedCodec);
    assert_eq!(refusal(&[encrypted]), FailureCode::Encrypted);
    assert_eq!(refusal(&[dolby]), FailureCode::DolbyVisionUnsupported);
    assert_eq!(refusal(&vec![video_stream(); 1000]), FailureCode::TooManyStreams);
    assert_eq!(parse(b"", 0).unwrap_err().code, FailureCode::NotMedia);
}

#[test]
fn dolby_vision_without_a_base_layer_is_refused_whatever_its_tags_say() {
    let of = |profile: u32, base: u32| {
        let data = json!([{ "dv_profile": profile, "dv_bl_signal_compatibility_id": base }]);
        let pq =
            json!({ "side_data_list": data, "color_transfer": "smpte2084", "color_primaries": "bt2020" });
        probe(&[with(video_stream(), pq)]).map_err(|failure| failure.code).map(|_| ())
    };
    for (profile, base) in [(5, 0), (10, 0), (20, 0)] {
        assert_eq!(of(profile, base), Err(FailureCode::DolbyVisionUnsupported), "{profile}.{base}");
    }
    for (profile, base) in [(7, 6), (8, 1), (8, 2), (8, 4), (10, 1), (10, 4)] {
        assert_eq!(of(profile, base), Ok(()), "{profile}.{base}");
    }
}

#[test]
fn a_phones_portrait_video_is_turned_and_its_spatial_audio_skipped() {
    let stream = with(video_stream(), json!({ "side_data_list": [{ "rotation": -90 }] }));
    let apac = json!({ "index": 2, "codec_type": "audio", "codec_tag_string": "apac", "channels": 4 });
    let info = probe(&[stream, apac]).unwrap();
    let video = info.video.unwrap();
    assert_eq!(video.rotation, Rotation::Clockwise);
    assert_eq!(video.display_size(), (720.0, 1280.0));
    assert_eq!(info.skipped.len(), 1);
    assert_eq!(info.skipped[0].what, "audio (apac)");
}

#[test]
fn pixel_shape_counts_and_absurd_shapes_do_not() {
    let pal = with(video_stream(), json!({ "width": 720, "height": 576, "sample_aspect_ratio": "64:45" }));
    assert_eq!(probe(&[pal]).unwrap().video.unwrap().display_size(), (1024.0, 576.0));
    let absurd = with(video_stream(), json!({ "sample_aspect_ratio": "1000000:1" }));
    assert_eq!(probe(&[absurd]).unwrap().video.unwrap().display_size(), (1280.0, 720.0));
}

#[test]
fn a_title_cannot_break_out_of_a_playlist() {
    let audio = json!({
        "index": 1, "codec_type": "audio", "codec_name": "aac", "channels": 2, "sample_rate": "48000",
        "tags": { "language": "eng", "title": "x\",\u{202e}\u{2028}URI=\"http://evil/\n#EXT\u{9b}" }
    });
    let info = probe(&[audio]).unwrap();
    assert_eq!(info.audio[0].language.as_deref(), Some("en"));
    assert_eq!(info.audio[0].title.as_deref(), Some("x,URI=http://evil/#EXT"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        parse(&bytes, 1).ok();
    }

    #[test]
    fn no_value_in_any_field_makes_it_panic(
        key in prop::sample::select(vec![
            "index", "codec_type", "codec_name", "width", "height", "sample_aspect_ratio", "r_frame_rate",
            "time_base", "duration", "side_data_list", "disposition", "tags", "field_order",
        ]),
        value in prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            any::<i64>().prop_map(|number| json!([{ "rotation": number, "dv_profile": number, "displaymatrix": format!("0: {number} 1\n1: {number} 2") }])),
            Just(Value::Null),
        ],
    ) {
        probe(&[with(video_stream(), json!({ key: value }))]).ok();
    }
}
