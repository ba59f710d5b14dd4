//! Dynamic range of a video, by its transfer function, and its names for encoders and players.

use serde::Serialize;

/// A dynamic range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Range {
    /// Standard range, BT.709.
    Sdr,
    /// Perceptual quantizer, SMPTE ST 2084.
    Pq,
    /// Hybrid log-gamma, ARIB STD-B67.
    Hlg,
}

impl Range {
    /// By ffmpeg's name of the transfer function.
    pub fn of(transfer: Option<&str>) -> Self {
        match transfer {
            Some("smpte2084") => Self::Pq,
            Some("arib-std-b67") => Self::Hlg,
            _ => Self::Sdr,
        }
    }

    /// ffmpeg's name of the transfer function.
    pub const fn transfer(self) -> &'static str {
        match self {
            Self::Sdr => "bt709",
            Self::Pq => "smpte2084",
            Self::Hlg => "arib-std-b67",
        }
    }

    /// ffmpeg's name of the matrix.
    pub const fn matrix(self) -> &'static str {
        if matches!(self, Self::Sdr) { "bt709" } else { "bt2020nc" }
    }

    /// Number of the transfer function (ISO/IEC 23091-2, 8.2).
    pub const fn cicp(self) -> u16 {
        match self {
            Self::Sdr => 1,
            Self::Pq => 16,
            Self::Hlg => 18,
        }
    }

    /// By the number of the transfer function (ISO/IEC 23091-2, 8.2); none for other functions.
    pub const fn of_cicp(number: u16) -> Option<Self> {
        match number {
            1 | 4 | 5 | 7 | 13 => Some(Self::Sdr),
            16 => Some(Self::Pq),
            18 => Some(Self::Hlg),
            _ => None,
        }
    }

    /// `VIDEO-RANGE` in HLS (rule 9.16).
    pub const fn hls(self) -> &'static str {
        match self {
            Self::Sdr => "SDR",
            Self::Pq => "PQ",
            Self::Hlg => "HLG",
        }
    }
}
