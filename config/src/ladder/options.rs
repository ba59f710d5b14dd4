//! What a profile may ask for beside the streams.

use serde::{Deserialize, Serialize};

/// One ordinary MP4 file with picture and sound, for downloads and for players that know neither HLS nor DASH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgressiveSettings {
    /// Short side, in pixels, of the largest rung that it may be made from: the highest rung up to it is taken, or the
    /// lowest where all are larger.
    pub max_short_side: u32,
}

impl ProgressiveSettings {
    /// What is wrong with the numbers, naming the key.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.max_short_side {
            64..=4320 => Ok(()),
            other => Err(format!("progressive.max_short_side: {other} is not between 64 and 4320")),
        }
    }
}
