//! The shape of the picture (its aspect ratio) behind the beginning: broadcasts change from 4:3 to 16:9 and back, often
//! within the first seconds of a recording. Pure.

use serde_json::Value;

use super::VideoStream;
use crate::rational::Rational;

/// What ffprobe is asked for.
pub(crate) const ENTRIES: &str = "frame=width,height,sample_aspect_ratio";
/// Where it looks, as parts of the video.
pub(crate) const PLACES: [f64; 3] = [0.25, 0.5, 0.75];
/// Packets at each place. Only key frames are decoded; broadcasts have one every two seconds at least.
pub(crate) const PACKETS: u32 = 60;
/// Shapes that differ by less are one.
const ALIKE: f64 = 0.02;

/// Gives the video the shape that most of the frames have, by ffprobe's answer. Returns the words of a warning where they
/// differ.
pub(crate) fn complete(video: &mut VideoStream, json: &[u8]) -> Option<String> {
    let root: Value = serde_json::from_slice(json).unwrap_or_default();
    let frames = root.get("frames").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let size = f64::from(video.width) / f64::from(video.height);
    let first = size * video.pixel_aspect.value();
    let shapes: Vec<_> = frames.iter().filter_map(|frame| shape(frame, video.pixel_aspect)).collect();
    let alike = |one: f64, other: f64| (one / other - 1.0).abs() < ALIKE;
    let count = |shape: f64| shapes.iter().filter(|&&other| alike(other, shape)).count();
    let other =
        shapes.iter().copied().filter(|&shape| !alike(shape, first)).max_by_key(|&shape| count(shape))?;
    let (all, of_first, of_other) = (shapes.len(), count(first), count(other));
    let mut shown = first;
    if of_other > of_first
        && let Some(pixel) = Rational::near(other / size, 1e-4, 1 << 16)
        && (0.1..=10.0).contains(&pixel.value())
    {
        (video.pixel_aspect, shown) = (pixel, other);
    }
    Some(format!(
        "the shape of the picture of stream {} is {first:.2} to 1 at first and {other:.2} to 1 in {of_other} of {all} later \
         frames; all of it is shown as {shown:.2} to 1",
        video.index
    ))
}

/// Width to height as it is displayed. A frame that says nothing of its pixels has those of the `header`.
fn shape(frame: &Value, header: Rational) -> Option<f64> {
    let number = |key| frame.get(key).and_then(Value::as_u64).and_then(|value| u32::try_from(value).ok());
    let (width, height) = (number("width")?, number("height")?);
    let pixel = frame.get("sample_aspect_ratio").and_then(Value::as_str).and_then(Rational::parse);
    let shape = f64::from(width) / f64::from(height) * pixel.unwrap_or(header).value();
    (0.01..=100.0).contains(&shape).then_some(shape)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::examine::probe::parse;

    #[test]
    fn the_shape_of_most_frames_counts_and_a_change_is_told() {
        let frame = |width: u32, height: u32, pixel: &str| json!({ "width": width, "height": height, "sample_aspect_ratio": pixel });
        let (narrow, wide) = (frame(720, 576, "16:15"), frame(720, 576, "64:45"));
        for (frames, pixel, told) in [
            (vec![narrow.clone(), narrow.clone()], "16/15", ""),
            (vec![wide.clone(), wide.clone(), narrow.clone()], "64/45", "in 2 of 3 later"),
            (vec![wide.clone(), narrow.clone(), narrow.clone()], "16/15", "in 1 of 3 later"),
            (vec![frame(1440, 1080, "4:3"), frame(1920, 1080, "1:1")], "64/45", "in 2 of 2 later"),
            (vec![frame(360, 288, "16:15"), frame(720, 576, "N/A"), json!({})], "16/15", ""),
            (vec![frame(0, 0, "0:1"), frame(1, 4_000_000_000, "1:1")], "16/15", ""),
        ] {
            let stream = json!({ "index": 0, "codec_type": "video", "codec_name": "mpeg2video", "width": 720, "height": 576,
                "sample_aspect_ratio": "16:15", "time_base": "1/90000", "pix_fmt": "yuv420p" });
            let root = json!({ "streams": [stream], "format": { "format_name": "mpegts" } });
            let mut video = parse(root.to_string().as_bytes(), 1000).unwrap().video.unwrap();
            let warning = complete(&mut video, json!({ "frames": frames }).to_string().as_bytes());
            assert_eq!(video.pixel_aspect.to_string(), pixel, "{frames:?}");
            assert!(
                warning.as_deref().unwrap_or_default().contains(told) && warning.is_some() != told.is_empty()
            );
        }
    }
}
