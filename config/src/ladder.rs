//! Ladders as data: a profile names the renditions of a job and how they are encoded.
//!
//! Rates are in bits per second, sizes in pixels of a 16:9 frame, times in seconds. Numbers follow Apple's HLS
//! Authoring Specification for Apple Devices.

use serde::{Deserialize, Serialize};

/// A video codec that renditions are encoded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    /// H.264, plays everywhere.
    H264,
    /// HEVC with the `hvc1` sample entry.
    Hevc,
    /// AV1.
    Av1,
}

/// One rung of the ladder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// Short side of the picture: 720 gives 1280x720 for 16:9 and 720x1280 for a portrait source.
    pub short_side: u32,
    /// Wanted average, bits per second.
    pub average_bps: u64,
    /// Cap, bits per second (VBV).
    pub max_bps: u64,
    /// VBV buffer, bits.
    pub buffer_bits: u64,
    /// Highest frame rate on this rung; none keeps the source's (at most 60).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fps: Option<u32>,
    /// Codec profile, such as `main` or `high`.
    pub codec_profile: String,
}

/// Sound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioSettings {
    /// AAC-LC bit rate of the stereo rendition, bits per second.
    pub bps: u64,
    /// Target loudness in LUFS (EBU R128); none leaves loudness alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness_lufs: Option<f64>,
}

/// A profile: everything that decides what a job's outputs look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name by which jobs ask for it.
    pub name: String,
    /// Video codec.
    pub codec: VideoCodec,
    /// Constant rate factor under the cap of the rung.
    pub crf: u32,
    /// Encoder preset, such as `medium`.
    pub preset: String,
    /// Group of pictures in seconds (rule 1.13: 2 s).
    pub gop_seconds: u32,
    /// Segment length in groups of pictures.
    pub segment_gops: u32,
    /// Rungs, lowest first.
    #[serde(rename = "rung")]
    pub rungs: Vec<Rung>,
    /// Sound.
    pub audio: AudioSettings,
    /// Longest accepted source, seconds.
    pub max_duration_seconds: u64,
}
