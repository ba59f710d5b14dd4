//! Published tracks.

use serde::Serialize;

use super::fragment::Init;
use crate::rational::float;

/// A fragment within a segment. Times in ticks of the track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Fragment {
    /// Where its `moof` begins in the segment.
    pub offset: u64,
    /// Bytes from there to the end of its first sample: in a video, all bytes of the key frame.
    pub key_bytes: u64,
    /// Bytes of that sample.
    pub key_size: u32,
    /// Bytes of the whole fragment.
    pub bytes: u64,
    /// Decode time of its first sample.
    pub start: u64,
    /// How long it lasts.
    pub duration: u64,
    pub samples: u32,
}

/// A published segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Segment {
    /// File name within the track's folder.
    pub name: String,
    /// Decode time of its first sample, in ticks.
    pub start: u64,
    /// How long it lasts, in ticks.
    pub duration: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// Its fragments, in order.
    pub fragments: Vec<Fragment>,
}

/// A published track.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Folder in the package, without a slash at its end: `video/720p`.
    pub folder: String,
    /// Its header (`init.mp4`), parsed.
    pub init: Init,
    /// Its segments, in order and back to back.
    pub segments: Vec<Segment>,
}

/// Name of a track's header in its folder.
pub const INIT: &str = "init.mp4";

impl Track {
    /// Duration in ticks.
    pub fn duration(&self) -> u64 {
        self.segments.iter().map(|segment| segment.duration).sum()
    }

    /// Ticks as seconds.
    pub fn seconds(&self, ticks: u64) -> f64 {
        float(ticks) / f64::from(self.init.timescale)
    }
}

/// The published tracks, in the plan's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracks {
    /// The video renditions, lowest rung first.
    pub video: Vec<Track>,
    /// The audio renditions.
    pub audio: Vec<Track>,
}
