//! The options of `submit` beside a plain transcode.

use anyhow::Context;
use clap::{Args, ValueEnum};
use transcode_config::contract::{Clip, Edit, Overlay, Placement, Position};

/// A part of the source, and an image over it. Such a job is published below a prefix of its own.
#[derive(Debug, Default, Args)]
#[group(skip)]
#[command(next_help_heading = "Edit")]
pub(crate) struct EditArgs {
    /// Begin at this time of the source, in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = milliseconds)]
    clip_start: Option<u64>,
    /// End before this time of the source, in seconds.
    #[arg(long, value_name = "SECONDS", value_parser = milliseconds)]
    clip_end: Option<u64>,
    /// Lay this image over the video; its bucket and prefix must be on the source's list.
    #[arg(long, value_name = "s3://BUCKET/KEY")]
    overlay: Option<String>,
    /// Position of the overlay in the video.
    #[arg(long, requires = "overlay", value_enum, default_value = "bottom-right")]
    overlay_position: Place,
    /// Width of the overlay in percent of the video's width.
    #[arg(long, requires = "overlay", value_name = "PERCENT", default_value_t = Placement::default().width_percent)]
    overlay_width: u32,
    /// Distance from the edges in percent of the video's width.
    #[arg(long, requires = "overlay", value_name = "PERCENT", default_value_t = Placement::default().margin_percent)]
    overlay_margin: u32,
    /// Opacity of the overlay in percent.
    #[arg(long, requires = "overlay", value_name = "PERCENT", default_value_t = Placement::default().opacity_percent)]
    overlay_opacity: u32,
}

/// [`Position`] as a word of the command line.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Place {
    TopLeft,
    TopRight,
    BottomLeft,
    #[default]
    BottomRight,
    Center,
}

impl EditArgs {
    /// The edit that the options ask for. The reader of the request checks whether it makes sense.
    pub(crate) fn edit(&self) -> anyhow::Result<Edit> {
        let clip = (self.clip_start.is_some() || self.clip_end.is_some())
            .then(|| Clip { start_ms: self.clip_start.unwrap_or(0), end_ms: self.clip_end });
        let Some(address) = &self.overlay else { return Ok(Edit { clip, overlay: None }) };
        let parts = address.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        let (bucket, key) = parts.context("--overlay: an address is s3://BUCKET/KEY")?;
        let place = Placement {
            position: match self.overlay_position {
                Place::TopLeft => Position::TopLeft,
                Place::TopRight => Position::TopRight,
                Place::BottomLeft => Position::BottomLeft,
                Place::BottomRight => Position::BottomRight,
                Place::Center => Position::Center,
            },
            width_percent: self.overlay_width,
            margin_percent: self.overlay_margin,
            opacity_percent: self.overlay_opacity,
        };
        let overlay = Overlay { bucket: bucket.into(), key: key.into(), version_id: None, place };
        Ok(Edit { clip, overlay: Some(overlay) })
    }
}

/// Parses seconds with at most three decimals. Returns milliseconds.
fn milliseconds(text: &str) -> Result<u64, String> {
    let wrong = || "seconds, such as 90 or 12.345".to_owned();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let decimals: u64 = format!("{decimals:0<3}").parse().map_err(|_| wrong())?;
    whole.checked_mul(1000).and_then(|ms| ms.checked_add(decimals)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_to_the_millisecond() {
        for (text, ms) in [("0", 0), ("90", 90_000), ("12.345", 12_345), ("0.5", 500), ("1.", 1000)] {
            assert_eq!(milliseconds(text), Ok(ms), "{text}");
        }
        for text in ["", "-1", "1.2345", "1:30", "1e3", "99999999999999999999"] {
            assert!(milliseconds(text).is_err(), "{text}");
        }
    }
}
