//! Examines the overlay: an image that the job lays over the video.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;
use transcode_config::contract::{Failure, FailureCode, Placement};

use crate::{
    job::{Context, OverlayFile},
    process::{Invocation, Limits, MAX_OVERLAY_PIXELS, Tool, local, overlay_flags, words},
};

/// Largest answer of ffprobe about one image.
const PROBE_BYTES: usize = 64 << 10;
/// The kinds that are accepted, by their decoders' names.
const CODECS: [&str; 3] = ["png", "mjpeg", "webp"];

/// An image that was examined and can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overlay {
    /// Path of the local file; the task chose its name.
    #[serde(skip)]
    pub file: PathBuf,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Where and how it is shown.
    pub place: Placement,
}

/// Examines the job's overlay, if it has one: decodes the image once, apart from the video, so that a fault of the
/// image is not taken for a fault of the source.
pub(crate) async fn examine(context: &Context<'_>) -> Result<Option<Overlay>, Failure> {
    let Some(OverlayFile { file, place }) = context.job.overlay else { return Ok(None) };
    let mut args = words("-hide_banner -loglevel error");
    args.extend(overlay_flags().into_iter().map(OsString::from));
    let wanted = "stream=codec_name,width,height,nb_read_frames";
    args.extend(["-count_frames", "-show_entries", wanted, "-of", "json"].map(OsString::from));
    args.push(local(file));
    let limits = Limits {
        wall: Duration::from_mins(1),
        stall: Duration::from_mins(1),
        cpu_seconds: 60,
        memory_bytes: 2 << 30,
        file_bytes: 0,
        output_bytes: 0,
        stdout_bytes: PROBE_BYTES,
    };
    let call = Invocation::reading(Tool::Ffprobe, file, args, limits);
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
    let stream = root.pointer("/streams/0").ok_or_else(|| unusable("there is no image in it"))?;
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
    fn what_is_no_image_is_refused() {
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
