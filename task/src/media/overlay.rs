//! The picture that a job wants laid over the video: what it is, and where it goes.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;
use transcode_config::contract::{Failure, FailureCode, Placement, Position};

use super::{
    Context,
    plan::local,
    rational::{float, round_to_u64},
};
use crate::process::{Invocation, Limits, MAX_OVERLAY_PIXELS, Tool, overlay_flags};

/// ffprobe's answer about one picture.
const PROBE_BYTES: usize = 64 << 10;
/// The kinds that are accepted, by their decoders' names.
const CODECS: [&str; 3] = ["png", "mjpeg", "webp"];

/// A picture as it was asked for.
#[derive(Debug, Clone, Copy)]
pub struct OverlayFile<'a> {
    /// The local file; its name is ours.
    pub file: &'a Path,
    /// Where and how it is shown.
    pub place: Placement,
}

/// A picture that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overlay {
    /// The local file.
    #[serde(skip)]
    pub file: PathBuf,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Where and how it is shown.
    pub place: Placement,
}

/// Size and place of an overlay on one rung, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Width.
    pub width: u64,
    /// Height.
    pub height: u64,
    /// Distance from the left edge.
    pub x: u64,
    /// Distance from the upper edge.
    pub y: u64,
}

impl Overlay {
    /// Where it goes on a picture of this size. Even numbers throughout: colour has half the picture's resolution.
    pub fn spot(&self, width: u32, height: u32) -> Spot {
        let place = self.place;
        let percent = |percent: u32| f64::from(width) * f64::from(percent) / 100.0;
        let margin = percent(place.margin_percent).min(f64::from(height) * 0.4);
        let most = (percent(place.width_percent), f64::from(height) - 2.0 * margin);
        let scale = (most.0 / f64::from(self.width)).min(most.1 / f64::from(self.height));
        let even = |value: f64| round_to_u64(value / 2.0) * 2;
        let (own_width, own_height) =
            (even(f64::from(self.width) * scale).max(2), even(f64::from(self.height) * scale).max(2));
        let free = |all: u32, own: u64| (f64::from(all) - float(own)).max(0.0);
        let (far_x, far_y) = (free(width, own_width), free(height, own_height));
        let (near_x, near_y) = (margin.min(far_x), margin.min(far_y));
        let (x, y) = match place.position {
            Position::TopLeft => (near_x, near_y),
            Position::TopRight => (far_x - near_x, near_y),
            Position::BottomLeft => (near_x, far_y - near_y),
            Position::BottomRight => (far_x - near_x, far_y - near_y),
            Position::Center => (far_x / 2.0, far_y / 2.0),
        };
        Spot { width: own_width, height: own_height, x: even(x), y: even(y) }
    }
}

/// Looks at the picture that the job brings, if it brings one: decodes it once, away from the video, so that what is
/// wrong with it is not taken for a fault of the source.
pub(super) async fn examine(context: &Context<'_>) -> Result<Option<Overlay>, Failure> {
    let Some(OverlayFile { file, place }) = context.job.overlay else { return Ok(None) };
    let mut args: Vec<OsString> = ["-hide_banner", "-loglevel", "error"].map(OsString::from).to_vec();
    args.extend(overlay_flags().into_iter().map(OsString::from));
    let wanted = "stream=codec_name,width,height,nb_read_frames";
    args.extend(["-count_frames", "-show_entries", wanted, "-of", "json"].map(OsString::from));
    args.push(local(file));
    let call = Invocation {
        tool: Tool::Ffprobe,
        args,
        input: Some(file.to_owned()),
        extra_inputs: Vec::new(),
        output_dir: None,
        limits: Limits {
            wall: Duration::from_mins(1),
            stall: Duration::from_mins(1),
            cpu_seconds: 60,
            memory_bytes: 2 << 30,
            file_bytes: 0,
            output_bytes: 0,
            stdout_bytes: PROBE_BYTES,
        },
    };
    match context.tools.run(call, &mut |_| (), context.stop).await {
        Ok(finished) => read(&finished.stdout, file, place).map(Some),
        Err(failure) if failure.code == FailureCode::EncodeFailed => {
            let message = "it cannot be decoded as PNG, JPEG or WebP".into();
            Err(Failure { code: FailureCode::OverlayUnusable, message, ..failure })
        }
        Err(failure) => Err(failure),
    }
}

fn read(json: &[u8], file: &Path, place: Placement) -> Result<Overlay, Failure> {
    let unusable = |why: &str| Failure::new(FailureCode::OverlayUnusable, why);
    let root: Value = serde_json::from_slice(json).unwrap_or_default();
    let stream = root.pointer("/streams/0").ok_or_else(|| unusable("there is no picture in it"))?;
    let codec = stream.get("codec_name").and_then(Value::as_str).unwrap_or_default();
    let side = |key| stream.get(key).and_then(Value::as_u64).and_then(|side| u32::try_from(side).ok());
    let (width, height) = (side("width").unwrap_or(0), side("height").unwrap_or(0));
    let frames = stream.get("nb_read_frames").and_then(Value::as_str).unwrap_or("0");
    let pixels = u64::from(width) * u64::from(height);
    if !CODECS.contains(&codec) || frames == "0" || pixels == 0 {
        return Err(unusable("it cannot be decoded as PNG, JPEG or WebP").with("codec", codec));
    }
    if pixels > MAX_OVERLAY_PIXELS {
        return Err(unusable("it has too many pixels").with("width", width).with("height", height));
    }
    Ok(Overlay { file: file.to_owned(), width, height, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_inside_its_margins_whatever_the_shapes() {
        for position in [
            Position::TopLeft,
            Position::TopRight,
            Position::BottomLeft,
            Position::BottomRight,
            Position::Center,
        ] {
            for (width, height) in [(400, 100), (100, 400), (1, 4000), (4000, 1), (64, 64)] {
                for (rung_width, rung_height) in [(320, 180), (180, 320), (64, 36), (3840, 2160)] {
                    let place = Placement { position, ..Placement::default() };
                    let spot =
                        Overlay { file: "x".into(), width, height, place }.spot(rung_width, rung_height);
                    let inside = spot.x + spot.width <= u64::from(rung_width)
                        && spot.y + spot.height <= u64::from(rung_height);
                    assert!(inside && spot.width >= 2 && spot.height >= 2, "{spot:?}");
                }
            }
        }
        let place = Placement {
            position: Position::TopRight,
            width_percent: 25,
            margin_percent: 5,
            ..Placement::default()
        };
        let spot = Overlay { file: "x".into(), width: 200, height: 100, place }.spot(320, 180);
        assert_eq!(spot, Spot { width: 80, height: 40, x: 224, y: 16 });
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let good = r#"{"streams":[{"codec_name":"png","width":8,"height":4,"nb_read_frames":"1"}]}"#;
        let look = |json: &str| read(json.as_bytes(), Path::new("x"), Placement::default());
        assert_eq!(look(good).map(|overlay| (overlay.width, overlay.height)), Ok((8, 4)));
        for bad in [
            String::new(),
            r#"{"streams":[]}"#.into(),
            good.replace("png", "gif"),
            good.replace("\"1\"", "\"0\""),
            good.replace('8', "8000000"),
            good.replace('4', "0"),
        ] {
            assert_eq!(look(&bad).unwrap_err().code, FailureCode::OverlayUnusable, "{bad}");
        }
    }
}
