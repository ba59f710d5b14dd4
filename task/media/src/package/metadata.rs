//! `metadata.json`: technical facts about source and result, in the same form for all containers.
//!
//! Tags of the file (places, devices, names of people) are not passed on.

use serde::Serialize;
use transcode_config::contract::{UserMetadata, Warning};

use super::{captions::Captions, codecs::codec_string, hls, progressive::Progressive, track::Tracks};
use crate::{
    examine::{probe::SourceInfo, range::Range},
    plan::{Plan, per_title::PerTitle},
};

/// Path in the package.
pub const METADATA: &str = "entry/metadata.json";

/// Facts about the result, for logs and screens.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// Where in the source the result begins, in seconds; none if it is the whole source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins_at: Option<f64>,
    /// Duration of the result in seconds.
    pub seconds: f64,
    /// The rungs, lowest first.
    pub video: Vec<VideoSummary>,
    /// The audio renditions.
    pub audio: Vec<AudioSummary>,
    /// The text renditions.
    pub text: Vec<Captions>,
    /// The progressive MP4, where one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progressive: Option<Progressive>,
    /// The measurements behind the rungs' rates, if the profile asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_title: Option<PerTitle>,
    /// What was left out or changed: each a stable word ([`Warning`]), then a sentence with figures for people.
    pub warnings: Vec<String>,
}

/// A rung as encoded.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct VideoSummary {
    /// Name: `720p`.
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames a second.
    pub frame_rate: f64,
    /// Dynamic range.
    pub range: Range,
    pub codec: String,
    /// Measured average, bits per second.
    pub average_bps: u64,
    /// Measured peak over a segment, bits per second.
    pub peak_bps: u64,
}

/// An audio rendition as encoded.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct AudioSummary {
    /// Name: `en`.
    pub name: String,
    /// Language as BCP 47.
    pub language: Option<String>,
    pub channels: u32,
    pub codec: String,
    /// Measured average, bits per second.
    pub average_bps: u64,
}

/// Sums up a package.
pub fn summary(
    source: &SourceInfo,
    plan: &Plan,
    tracks: &Tracks,
    captions: &[Captions],
    progressive: Option<Progressive>,
) -> Summary {
    let target = hls::target_duration(tracks);
    let rungs = plan.video.iter().flat_map(|video| &video.renditions).zip(&tracks.video);
    let video = rungs.map(|(rung, track)| {
        let measured = hls::bandwidth(track, target);
        VideoSummary {
            name: rung.name.clone(),
            width: rung.width,
            height: rung.height,
            frame_rate: rung.rate.value(),
            range: rung.range,
            codec: codec_string(&track.init.codec).unwrap_or_default(),
            average_bps: measured.average,
            peak_bps: measured.peak,
        }
    });
    let audio = plan.audio.iter().zip(&tracks.audio).map(|(audio, track)| AudioSummary {
        name: audio.name.clone(),
        language: audio.stream.language.clone(),
        channels: audio.channels,
        codec: codec_string(&track.init.codec).unwrap_or_default(),
        average_bps: hls::bandwidth(track, target).average,
    });
    let skipped = source.skipped.iter();
    let warnings =
        skipped.map(|one| format!("{}: stream {}, {}: {}", Warning::LeftOut, one.index, one.what, one.why));
    Summary {
        begins_at: (plan.begin > 0.0).then_some(plan.begin),
        seconds: plan.seconds,
        video: video.collect(),
        audio: audio.collect(),
        text: captions.to_vec(),
        progressive,
        per_title: plan.per_title.clone(),
        warnings: warnings.chain(source.notes.iter().cloned()).collect(),
    }
}

/// `metadata.json`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Document<'a> {
    schema: u32,
    /// The source, as it was examined.
    source: &'a SourceInfo,
    /// The result.
    result: &'a Summary,
    /// The version of ffmpeg that made it.
    ffmpeg: &'a str,
    /// The caller's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_metadata: Option<&'a UserMetadata>,
}

/// The schema of `metadata.json`.
#[cfg(feature = "schema")]
pub fn schema() -> schemars::Schema {
    transcode_config::schema::written::<Document<'_>>()
}

/// The bytes of `metadata.json`. `ffmpeg`: the version that made the package. `words`: the caller's own.
pub fn document(
    source: &SourceInfo,
    summary: &Summary,
    ffmpeg: &str,
    words: Option<&UserMetadata>,
) -> Vec<u8> {
    let document = Document { schema: 1, source, result: summary, ffmpeg, user_metadata: words };
    serde_json::to_vec_pretty(&document).unwrap_or_default()
}
