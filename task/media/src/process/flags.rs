//! The options before every `-i`, for every kind of input.

use std::{ffi::OsString, path::Path};

/// The demuxers that an upload may be opened with, by ffmpeg's names.
///
/// Demuxers that open further files or addresses named in a text are not on it (`hls`, `dash`, `concat`, `sdp`,
/// `rtsp`, `image2`, `lavfi`, …), nor are those that draw text (`tty`, `xbin`, `bin`). The `*_pipe` entries and `gif`
/// are here so that an image is refused as an image and not as an unknown file.
pub const ACCEPTED_FORMATS: &[&str] = &[
    "mov",
    "matroska",
    "mpegts",
    "mpeg",
    "avi",
    "flv",
    "asf",
    "ogg",
    "mxf",
    "wav",
    "w64",
    "aiff",
    "mp3",
    "aac",
    "ac3",
    "eac3",
    "flac",
    "caf",
    "h264",
    "hevc",
    "m4v",
    "mpegvideo",
    "ivf",
    "obu",
    "dv",
    "gif",
    "apng",
    "png_pipe",
    "jpeg_pipe",
    "webp_pipe",
    "bmp_pipe",
    "tiff_pipe",
];

/// Most pixels of a frame that a decoder may open: 8192 × 8192.
pub const MAX_PIXELS: u64 = 8192 * 8192;

/// How far into a file a stream may begin and be found, in bytes. ffmpeg keeps the bytes that it searches in memory.
pub const PROBE_BYTES: u64 = 100_000_000;
/// The same in seconds.
pub const PROBE_SECONDS: u64 = 90;

/// The options that both programs get before each `-i`: local files only, accepted containers only, no frame that is
/// too large to decode, and a search that is long enough for streams that begin late. The search ends as soon as
/// every stream is known, so ordinary files are opened as fast as ever.
///
/// The options are one layer. The sandbox is there for the day on which one of them fails.
pub fn input_flags() -> Vec<String> {
    vec![
        "-protocol_whitelist".into(),
        "file".into(),
        "-format_whitelist".into(),
        ACCEPTED_FORMATS.join(","),
        "-max_pixels".into(),
        MAX_PIXELS.to_string(),
        "-probesize".into(),
        PROBE_BYTES.to_string(),
        "-analyzeduration".into(),
        (PROBE_SECONDS * 1_000_000).to_string(),
    ]
}

/// Most pixels of an overlay: 4096 × 4096.
pub const MAX_OVERLAY_PIXELS: u64 = 4096 * 4096;

/// The options for an overlay: one of three kinds of image, and fewer pixels.
pub fn overlay_flags() -> Vec<String> {
    vec![
        "-protocol_whitelist".into(),
        "file".into(),
        "-format_whitelist".into(),
        "png_pipe,jpeg_pipe,webp_pipe".into(),
        "-max_pixels".into(),
        MAX_OVERLAY_PIXELS.to_string(),
    ]
}

/// `file:` in front, so that no character of a path is read as a protocol or an option.
pub fn local(path: &Path) -> OsString {
    let mut argument = OsString::from("file:");
    argument.push(path);
    argument
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_format_that_opens_other_files_is_accepted() {
        for name in
            ["hls", "dash", "concat", "sdp", "rtsp", "image2", "lavfi", "tty", "xbin", "imf", "vapoursynth"]
        {
            assert!(!ACCEPTED_FORMATS.contains(&name), "{name}");
        }
    }

    #[test]
    fn only_local_files_are_opened() {
        let flags = input_flags();
        let at = flags.iter().position(|flag| flag == "-protocol_whitelist").unwrap();
        assert_eq!(flags[at + 1], "file");
    }
}
