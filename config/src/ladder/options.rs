//! Options of a profile beside the streams.

use serde::{Deserialize, Serialize};

use super::Rung;

/// One ordinary MP4 file with video and audio, for downloads and for players that know neither HLS nor DASH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProgressiveSettings {
    /// Short side, in pixels, of its largest possible rung: the highest rung up to this size is used, or the lowest
    /// if all are larger.
    pub max_short_side: u32,
}

impl ProgressiveSettings {
    /// Checks the number. The error names the key.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.max_short_side {
            64..=4320 => Ok(()),
            other => Err(format!("progressive.max_short_side: {other} is not between 64 and 4320")),
        }
    }
}

/// Rates that follow the title: short samples of the source are encoded at the profile's quality without a cap, and
/// their rates decide about the rungs. Rates only go down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PerTitleSettings {
    /// Most samples, spread evenly over the source. A short source gets fewer: no more than a quarter of it is sampled.
    pub samples: u32,
    /// Length of a sample in seconds, rounded to whole groups of pictures.
    pub sample_seconds: u32,
    /// A rung is left out if the next one above needs less than this many times its bits.
    pub least_step: f64,
}

impl Default for PerTitleSettings {
    fn default() -> Self {
        Self { samples: 4, sample_seconds: 4, least_step: 1.25 }
    }
}

impl PerTitleSettings {
    /// Checks the numbers. The error names the key.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=10).contains(&self.samples) || !(1..=10).contains(&self.sample_seconds) {
            return Err("per_title.samples and per_title.sample_seconds: each must be 1 to 10".into());
        }
        if !(1.0..=3.0).contains(&self.least_step) {
            return Err(format!("per_title.least_step: {} is not between 1 and 3", self.least_step));
        }
        Ok(())
    }
}

/// Encodes a long source in chunks, several at a time, if one run of the encoder leaves processors idle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ChunkSettings {
    /// Length of a chunk in seconds, rounded up to whole segments. A source shorter than two chunks is encoded in one
    /// run.
    pub seconds: u32,
    /// Chunks at a time. None measures: the first chunk is encoded alone, and its idle processors decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
}

impl Default for ChunkSettings {
    fn default() -> Self {
        Self { seconds: 60, at_once: None }
    }
}

impl ChunkSettings {
    /// Most chunks at a time. Each has threads for every rung, and their total is limited.
    pub const MOST_AT_ONCE: u32 = 8;

    /// Checks the numbers. The error names the key.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(2..=3600).contains(&self.seconds) {
            return Err(format!("chunks.seconds: {} is not between 2 and 3600", self.seconds));
        }
        match self.at_once {
            None | Some(1..=Self::MOST_AT_ONCE) => Ok(()),
            Some(other) => Err(format!(
                "chunks.at_once: {other} is not between 1 and {}; leave it out to have it measured",
                Self::MOST_AT_ONCE
            )),
        }
    }
}

/// Limits of a package. A file beyond them is not written, and the job ends with `OUTPUT_TOO_LARGE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PackageLimits {
    /// Bytes of all files together.
    pub max_bytes: u64,
    /// Number of files. Each costs the task some 600 bytes of memory and the bill a PUT request.
    pub max_files: u32,
    /// Bytes of all files together for each byte of the source; [`PackageLimits::FREE_BYTES`] are allowed in any case.
    pub max_growth: u32,
}

impl Default for PackageLimits {
    /// Twelve hours of the largest ladder fit: some 160 GB in 80,000 files. Fargate's disk ends at 200 GiB.
    fn default() -> Self {
        Self { max_bytes: 200 << 30, max_files: 100_000, max_growth: 1000 }
    }
}

impl PackageLimits {
    /// What any package may take, however small its source.
    pub const FREE_BYTES: u64 = 256 << 20;

    /// The limits for a source of this many bytes.
    #[must_use]
    pub fn of_source(self, bytes: u64) -> Self {
        let most = bytes.saturating_mul(self.max_growth.into()).max(Self::FREE_BYTES);
        Self { max_bytes: self.max_bytes.min(most), ..self }
    }

    /// Checks the numbers. The error names the key.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.max_bytes < 1 << 20 {
            return Err(format!("package.max_bytes: {} is below 1 MiB", self.max_bytes));
        }
        if self.max_growth == 0 {
            return Err("package.max_growth: must be at least 1".into());
        }
        if !(100..=1_000_000).contains(&self.max_files) {
            return Err(format!("package.max_files: {} is not between 100 and 1000000", self.max_files));
        }
        Ok(())
    }

    /// Whether nothing was set. Defaults are not written, so that an older task can read the profile.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Rungs of high dynamic range beside the ladder, for sources that have it: HEVC Main 10, in PQ or HLG like the
/// source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HdrSettings {
    /// Constant rate factor under the cap of the rung.
    pub crf: u32,
    /// Encoder preset of x265, such as `medium`.
    pub preset: String,
    /// Rungs, lowest first, with the codec profile `main10`.
    #[serde(rename = "rung")]
    pub rungs: Vec<Rung>,
}

impl HdrSettings {
    /// Checks the numbers. The error names the key.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.crf > 51 {
            return Err(format!("hdr.crf: {} is not between 0 and 51", self.crf));
        }
        super::check_word("hdr.preset", &self.preset)?;
        if self.rungs.is_empty() || self.rungs.iter().any(|rung| rung.codec_profile != "main10") {
            return Err("hdr.rung: at least one, each with codec_profile = \"main10\"".into());
        }
        super::check_rungs(&self.rungs).map_err(|problem| format!("hdr: {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_source_makes_a_small_package() {
        let limits = PackageLimits::default();
        assert_eq!(limits.of_source(40_000).max_bytes, PackageLimits::FREE_BYTES);
        assert_eq!(limits.of_source(1 << 20).max_bytes, 1000 << 20);
        assert_eq!(limits.of_source(u64::MAX), limits);
        let small = PackageLimits { max_bytes: 1 << 20, ..limits };
        assert_eq!(small.of_source(0).max_bytes, 1 << 20, "what is free is no more than what is allowed");
    }
}
