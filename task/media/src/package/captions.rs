//! Published text renditions.

use serde::Serialize;

use crate::examine::probe::TextStream;

/// A published text rendition.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Captions {
    /// Name, unique among the texts and fit for a path.
    pub name: String,
    /// Name for people, unique among the texts.
    pub label: String,
    pub stream: TextStream,
    /// Folder in the package, without a slash at its end.
    pub folder: String,
    pub cues: usize,
    /// Durations of the segments, in seconds.
    #[serde(skip)]
    pub segments: Vec<f64>,
}

/// Name of the whole track in its folder.
pub const WHOLE: &str = "whole.vtt";
