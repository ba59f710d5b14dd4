//! What only the first decoded frames of a video say: orientation, transfer function and mastering display in SEI
//! messages (ITU-T H.265, annex D). Pure.

use serde_json::Value;

use super::{Rotation, VideoStream, side_data};
use crate::{
    examine::{hdr10::Hdr10, range::Range},
    rational::{Rational, round_to_u64},
};

/// What ffprobe is asked for.
pub(crate) const ENTRIES: &str = "frame=color_transfer:frame_side_data";
/// Packets that are decoded: a recording may begin with frames that nothing can decode.
pub(crate) const PACKETS: u32 = 16;
/// Codecs whose frames can say something.
pub(crate) const CODECS: [&str; 4] = ["h264", "hevc", "av1", "vp9"];

/// Completes the description of a video by ffprobe's answer. What the container says of the rotation counts more, as in
/// players.
pub(crate) fn complete(video: &mut VideoStream, json: &[u8]) {
    let root: Value = serde_json::from_slice(json).unwrap_or_default();
    let frames = root.get("frames").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let transfer = frames.iter().find_map(|frame| frame.get("color_transfer")?.as_str());
    // The alternative transfer characteristics message: HLG for those who know it, something older for the rest.
    if let Some(transfer) = transfer
        && Range::of(Some(transfer)) != Range::Sdr
        && !video.color.is_hdr()
    {
        video.color.transfer = Some(transfer.to_owned());
    }
    let mut hdr = Hdr10::default();
    for data in frames.iter().flat_map(side_data) {
        let kind = data.get("side_data_type").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "3x3 displaymatrix" if video.rotation == Rotation::Upright => {
                video.rotation = Rotation::from_side_data(data).unwrap_or_default();
            }
            "Stereo 3D" if video.stereo.is_none() => video.stereo = Some("frame packing".into()),
            "Mastering display metadata" => hdr.display = hdr.display.or_else(|| display(data)),
            "Content light level metadata" => hdr.light = hdr.light.or_else(|| light(data)),
            _ => {}
        }
    }
    video.hdr10 = (hdr != Hdr10::default()).then_some(hdr);
}

fn display(data: &Value) -> Option<[u64; 10]> {
    let number = |key: &str, steps: f64| {
        let value = Rational::parse(data.get(key)?.as_str()?)?.value();
        (0.0..=20_000.0).contains(&value).then(|| round_to_u64(value * steps))
    };
    let point =
        |name: &str| Some([number(&format!("{name}_x"), 50_000.0)?, number(&format!("{name}_y"), 50_000.0)?]);
    let ([gx, gy], [bx, by], [rx, ry]) = (point("green")?, point("blue")?, point("red")?);
    let [wx, wy] = point("white_point")?;
    // A display that is perfectly black has the fraction 0.
    let least = number("min_luminance", 10_000.0).unwrap_or(0);
    Some([gx, gy, bx, by, rx, ry, wx, wy, number("max_luminance", 10_000.0)?, least])
}

fn light(data: &Value) -> Option<[u64; 2]> {
    let number = |key| data.get(key).and_then(Value::as_u64).filter(|&value| u16::try_from(value).is_ok());
    Some([number("max_content")?, number("max_average")?])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absurd_metadata_is_not_passed_on() {
        let point = |x: &str| {
            json!({ "red_x": x, "red_y": "1/2", "green_x": "1/2", "green_y": "1/2", "blue_x": "1/2",
            "blue_y": "1/2", "white_point_x": "1/2", "white_point_y": "1/2", "max_luminance": "1000/1", "min_luminance": "0/1" })
        };
        assert_eq!(display(&point("1/2")).unwrap()[8..], [10_000_000, 0]);
        assert_eq!(display(&point("1/0")), None);
        assert_eq!(display(&point("4000000000/1")), None);
        assert_eq!(light(&json!({ "max_content": 1000, "max_average": -1 })), None);
    }
}
