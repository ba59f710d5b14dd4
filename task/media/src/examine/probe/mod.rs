//! From ffprobe's JSON to [`SourceInfo`], or a refusal by name. Pure.
//!
//! A hostile uploader may have chosen everything in that JSON: fields may be missing, of another type or absurd. An
//! unusable stream is skipped with a reason; the parse fails only if no stream can be played.

mod choose;
pub(crate) mod frames;
mod info;
mod join;
mod language;
mod rotation;
pub(crate) mod shape;

use serde_json::Value;
use transcode_config::{
    contract::{Failure, FailureCode},
    escape::hidden,
};

use super::{crop::Crop, ending::Ending};
use crate::{process::MAX_PIXELS, rational::Rational};

pub use choose::choose;
pub use info::{AudioStream, Chapter, Color, Skipped, SourceInfo, StreamClock, TextStream, VideoStream};
pub use join::{VideoPart, join_audio, join_programmes, video_parts};
pub use rotation::Rotation;

/// Most streams that are accepted. Real files stay below 40; each stream costs a decoder context.
pub const MAX_STREAMS: usize = 64;
/// Most chapters that are listed.
const MAX_CHAPTERS: usize = 1000;
/// Most channels that are downmixed.
const MAX_CHANNELS: u32 = 64;

/// Reads ffprobe's answer to `-show_format -show_streams -of json`.
pub fn parse(json: &[u8], size: u64) -> Result<SourceInfo, Failure> {
    let root: Value = serde_json::from_slice(json).map_err(|error| {
        Failure::new(FailureCode::NotMedia, "ffprobe could not make sense of the file").with("json", error)
    })?;
    let none = Vec::new();
    let streams = root.get("streams").and_then(Value::as_array).unwrap_or(&none);
    if streams.len() > MAX_STREAMS {
        return Err(Failure::new(
            FailureCode::TooManyStreams,
            format!("the file has {} streams", streams.len()),
        )
        .with("streams", streams.len())
        .with("allowed", MAX_STREAMS));
    }
    let format = root.get("format").unwrap_or(&Value::Null);
    if streams.is_empty() {
        return Err(Failure::new(FailureCode::NotMedia, "no streams were found in the file"));
    }
    let mut info = SourceInfo {
        container: text(format, "format_name").unwrap_or_default(),
        size,
        start: seconds(format, "start_time").unwrap_or(0.0),
        duration: seconds(format, "duration").filter(|&duration| duration > 0.0),
        video: None,
        other_videos: Vec::new(),
        audio: Vec::new(),
        text: Vec::new(),
        programmes: programmes(&root),
        chapters: chapters(&root),
        skipped: Vec::new(),
        notes: Vec::new(),
        clocks: Vec::new(),
        ending: Ending::Unknown,
    };
    for (position, stream) in streams.iter().enumerate() {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        info.clocks.extend(clock(stream, position));
        sort_in(&mut info, stream, position)?;
    }
    if info.video.is_none() && info.audio.is_empty() {
        return Err(nothing(&info));
    }
    if info.container == "avi" {
        // In these formats the fourth component holds whatever its writer left there.
        info.video.iter_mut().chain(&mut info.other_videos).for_each(|video| video.alpha = false);
    }
    Ok(info)
}

/// The streams of each programme of a multiplex. Containers that have no programmes have none here.
fn programmes(root: &Value) -> Vec<Vec<u32>> {
    let list = |value: &Value, key| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let index = |stream: &Value| whole(stream, "index").and_then(|index| u32::try_from(index).ok());
    let streams = |programme: &Value| list(programme, "streams").iter().filter_map(index).collect();
    list(root, "programs").iter().map(streams).collect()
}

fn chapters(root: &Value) -> Vec<Chapter> {
    let list = root.get("chapters").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let chapter = |chapter: &Value| {
        Some(Chapter {
            start: seconds(chapter, "start_time")?,
            end: seconds(chapter, "end_time")?,
            title: tagged(chapter, "title").and_then(|title| tidy(&title)),
        })
    };
    list.iter().take(MAX_CHAPTERS).filter_map(chapter).collect()
}

fn nothing(info: &SourceInfo) -> Failure {
    let found: Vec<_> =
        info.skipped.iter().map(|skipped| format!("{}: {}", skipped.what, skipped.why)).collect();
    let code = if info.skipped.iter().any(|skipped| skipped.why == NO_DECODER) {
        FailureCode::UnsupportedCodec
    } else if !info.skipped.is_empty() && info.skipped.iter().all(|skipped| skipped.why == STILL) {
        FailureCode::StillImage
    } else {
        FailureCode::NothingToPlay
    };
    Failure::new(code, "neither video nor audio that can be used").with("streams", found.join("; "))
}

fn clock(stream: &Value, position: u32) -> Option<StreamClock> {
    let index = whole(stream, "index").and_then(|index| u32::try_from(index).ok()).unwrap_or(position);
    let time_base = rate(stream, "time_base")?;
    Some(StreamClock { index, id: id(stream), time_base, start: seconds(stream, "start_time") })
}

/// Why an audio track is left out: its header cannot be decoded, or it had not begun where ffprobe stopped looking.
pub(crate) const NO_AUDIO: &str = "its channels or sample rate are not usable";
/// Why a video is left out: it has no size, or had not begun.
pub(crate) const NO_SIZE: &str = "it has no frame size";
const NO_DECODER: &str = "no decoder";
const STILL: &str = "a still image";
/// Dispositions of a stream of still images.
const STILLS: [&str; 3] = ["attached_pic", "still_image", "timed_thumbnails"];

fn sort_in(info: &mut SourceInfo, stream: &Value, position: u32) -> Result<(), Failure> {
    let index = whole(stream, "index").and_then(|index| u32::try_from(index).ok()).unwrap_or(position);
    let kind = text(stream, "codec_type").unwrap_or_else(|| "unknown".into());
    let codec = text(stream, "codec_name").unwrap_or_default();
    let tag = text(stream, "codec_tag_string").unwrap_or_default();
    if matches!(tag.as_str(), "encv" | "enca" | "drmi" | "drms") {
        return Err(
            Failure::new(FailureCode::Encrypted, "a stream of the file is encrypted").with("stream", index)
        );
    }
    let mut skip = |why: &'static str| {
        let name = if codec.is_empty() { tag.clone() } else { codec.clone() };
        info.skipped.push(Skipped { index, what: format!("{kind} ({name})"), why });
    };
    match kind.as_str() {
        "video" if STILLS.iter().any(|kind| flag(stream, kind)) => skip(STILL),
        "video" | "audio" if codec.is_empty() || codec == "none" => skip(NO_DECODER),
        "video" => match video(stream, index, codec.clone()) {
            Ok(Some(video)) if info.video.is_some() => info.other_videos.push(video),
            Ok(Some(video)) => info.video = Some(video),
            Ok(None) => skip(NO_SIZE),
            // With another video present, a damaged stream that is not the default does not refuse the file.
            Err(_) if info.video.is_some() && !flag(stream, "default") => skip("it cannot be decoded here"),
            Err(failure) => return Err(failure),
        },
        "audio" => match audio(stream, index, codec.clone()) {
            Some(audio) => info.audio.push(audio),
            None => skip(NO_AUDIO),
        },
        "subtitle" if is_text(&codec) => info.text.push(subtitle(stream, index, codec)),
        "subtitle" => skip("subtitles made of images cannot become text"),
        _ => skip("not video, audio or text"),
    }
    Ok(())
}

fn is_text(codec: &str) -> bool {
    matches!(codec, "subrip" | "srt" | "webvtt" | "ass" | "ssa" | "mov_text" | "text" | "eia_608" | "ttml")
}

fn video(stream: &Value, index: u32, codec: String) -> Result<Option<VideoStream>, Failure> {
    let side =
        |key| whole(stream, key).and_then(|value| u32::try_from(value).ok()).filter(|&value| value > 0);
    let (Some(width), Some(height)) = (side("width"), side("height")) else { return Ok(None) };
    if u64::from(width) * u64::from(height) > MAX_PIXELS || width > 16384 || height > 16384 {
        return Err(too_many_pixels(width, height));
    }
    let tag = |key| text(stream, key).filter(|value| !matches!(value.as_str(), "unknown" | "reserved"));
    let (crop, (width, height)) = shown(stream, width, height);
    let rotation = side_data(stream).find_map(Rotation::from_side_data).unwrap_or_default();
    let dolby_vision = side_data(stream).find_map(|data| whole(data, "dv_profile"));
    let views = side_data(stream).filter(|data| text(data, "side_data_type").as_deref() == Some("Stereo 3D"));
    let stereo = views.filter_map(|data| text(data, "type")).find(|kind| kind != "2D");
    let color = Color {
        space: tag("color_space"),
        transfer: tag("color_transfer"),
        primaries: tag("color_primaries"),
        range: tag("color_range"),
    };
    let base = side_data(stream).find_map(|data| whole(data, "dv_bl_signal_compatibility_id"));
    if let Some(profile) = dolby_vision.filter(|&profile| without_base_layer(profile, base)) {
        let message = format!("the video is Dolby Vision profile {profile} without a base layer");
        return Err(Failure::new(FailureCode::DolbyVisionUnsupported, message).with("stream", index));
    }
    Ok(Some(VideoStream {
        index,
        id: id(stream),
        default: flag(stream, "default"),
        codec,
        width,
        height,
        crop,
        stereo,
        hdr10: None,
        pixel_aspect: text(stream, "sample_aspect_ratio")
            .and_then(|ratio| Rational::parse(&ratio))
            // A shape beyond 1:10 is a damaged header, not a video.
            .filter(|ratio| (0.1..=10.0).contains(&ratio.value()))
            .unwrap_or(Rational::ONE),
        rotation,
        alpha_mode: tagged(stream, "alpha_mode").and_then(|mode| mode.parse().ok()),
        alpha: text(stream, "pix_fmt").is_some_and(|format| has_alpha(&format)),
        pixel_format: text(stream, "pix_fmt").unwrap_or_default(),
        interlaced: text(stream, "field_order")
            .is_some_and(|order| matches!(order.as_str(), "tt" | "bb" | "tb" | "bt")),
        combed: None,
        color,
        average_rate: rate(stream, "avg_frame_rate"),
        base_rate: rate(stream, "r_frame_rate"),
        time_base: rate(stream, "time_base").unwrap_or(Rational { num: 1, den: 90_000 }),
        duration: seconds(stream, "duration").filter(|&duration| duration > 0.0),
        dolby_vision: dolby_vision.and_then(|profile| u32::try_from(profile).ok()),
    }))
}

/// Whether the colours of a Dolby Vision stream mean nothing without its metadata (IPT), whatever the tags say: profile
/// 5, and 10 (AV1) and 20 (MV-HEVC) whose base layer is compatible with nothing (0).
fn without_base_layer(profile: i64, base: Option<i64>) -> bool {
    profile == 5 || (matches!(profile, 10 | 20) && base == Some(0))
}

/// The edges that ffmpeg, from 7.1 on, cuts off because the container says so; and the size that is left.
fn shown(stream: &Value, width: u32, height: u32) -> (Crop, (u32, u32)) {
    let crop = side_data(stream).find_map(|data| {
        let side = |key| whole(data, key).and_then(|value| u32::try_from(value).ok());
        let ((left, right), (top, bottom)) =
            ((side("crop_left")?, side("crop_right")?), (side("crop_top")?, side("crop_bottom")?));
        Some(Crop { left, right, top, bottom, shaped: false, done: true })
    });
    let left = crop.and_then(|crop| Some((crop, crop.left_of(width, height)?)));
    left.unwrap_or((Crop::default(), (width, height)))
}

/// The side data of a stream or a frame.
fn side_data(of: &Value) -> impl Iterator<Item = &Value> {
    of.get("side_data_list").and_then(Value::as_array).into_iter().flatten()
}

impl Rotation {
    /// From side data with a display matrix or an angle; none if it is something else.
    pub(super) fn from_side_data(data: &Value) -> Option<Self> {
        let matrix = text_of(data, "displaymatrix", 500).and_then(|dump| Self::from_matrix(&dump));
        matrix.or_else(|| whole(data, "rotation").map(Self::from_angle))
    }
}

/// Whether ffmpeg's pixel format has a plane or a part for transparency.
fn has_alpha(format: &str) -> bool {
    const KINDS: [&str; 7] = ["yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya"];
    KINDS.iter().any(|kind| format.starts_with(kind))
}

/// The refusal of a frame that is too large, also where only ffprobe's complaint shows its size.
pub fn too_many_pixels(width: u32, height: u32) -> Failure {
    Failure::new(FailureCode::TooManyPixels, format!("the video is {width}x{height}"))
        .with("width", width)
        .with("height", height)
        .with("allowed_pixels", MAX_PIXELS)
}

fn audio(stream: &Value, index: u32, codec: String) -> Option<AudioStream> {
    let number = |key| whole(stream, key).and_then(|value| u32::try_from(value).ok());
    Some(AudioStream {
        index,
        id: id(stream),
        codec,
        parts: Vec::new(),
        resumes: Vec::new(),
        channels: number("channels").filter(|channels| (1..=MAX_CHANNELS).contains(channels))?,
        layout: text(stream, "channel_layout").filter(|layout| !layout.is_empty() && layout != "unknown"),
        sample_rate: number("sample_rate").filter(|rate| (1000..=768_000).contains(rate))?,
        time_base: rate(stream, "time_base").unwrap_or(Rational { num: 1, den: 90_000 }),
        duration: seconds(stream, "duration").filter(|&duration| duration > 0.0),
        language: tagged(stream, "language").and_then(|tag| language::bcp47(&tag)),
        title: tagged(stream, "title")
            .or_else(|| tagged(stream, "handler_name"))
            .and_then(|title| tidy(&title)),
        default: flag(stream, "default"),
        describes_video: flag(stream, "visual_impaired") || flag(stream, "descriptions"),
        commentary: flag(stream, "comment"),
    })
}

fn subtitle(stream: &Value, index: u32, codec: String) -> TextStream {
    TextStream {
        index,
        codec,
        language: tagged(stream, "language").and_then(|tag| language::bcp47(&tag)),
        title: tagged(stream, "title").and_then(|title| tidy(&title)),
        default: flag(stream, "default"),
        forced: flag(stream, "forced"),
        hearing_impaired: flag(stream, "hearing_impaired") || flag(stream, "captions"),
    }
}

/// A title fit for a playlist: no hidden characters, no quotes, at most 60 characters; names that muxers write are
/// dropped.
fn tidy(title: &str) -> Option<String> {
    let clean: String =
        title.chars().filter(|c| !hidden(*c) && !matches!(c, '"' | '<' | '>' | '&')).take(60).collect();
    let clean = clean.trim();
    let generic = ["soundhandler", "mono", "stereo", "surround", "core media audio", "mainconcept"];
    let lower = clean.to_lowercase();
    (!clean.is_empty() && !generic.iter().any(|name| lower.contains(name))).then(|| clean.to_owned())
}

fn tagged(stream: &Value, key: &str) -> Option<String> {
    text(stream.get("tags")?, key)
}

/// ffprobe writes it as `0x100`.
fn id(stream: &Value) -> Option<u32> {
    u32::from_str_radix(text(stream, "id")?.strip_prefix("0x")?, 16).ok()
}

fn flag(stream: &Value, key: &str) -> bool {
    stream.get("disposition").and_then(|disposition| whole(disposition, key)).is_some_and(|value| value != 0)
}

fn text(value: &Value, key: &str) -> Option<String> {
    text_of(value, key, 200)
}

fn text_of(value: &Value, key: &str, most: usize) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(|text| text.chars().take(most).collect())
}

/// ffprobe writes numbers as numbers or as strings, by field.
fn whole(value: &Value, key: &str) -> Option<i64> {
    match value.get(key)? {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

fn seconds(value: &Value, key: &str) -> Option<f64> {
    let number = match value.get(key)? {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    };
    // More than 30 years is a damaged header.
    number.filter(|seconds: &f64| seconds.is_finite() && seconds.abs() < 1e9)
}

fn rate(stream: &Value, key: &str) -> Option<Rational> {
    text(stream, key).and_then(|text| Rational::parse(&text))
}

#[cfg(test)]
mod tests;
