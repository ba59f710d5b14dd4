//! Paths inside a package: what a playlist may refer to.

use percent_encoding::percent_decode_str;

use crate::WebError;

/// Longest path, in bytes: longer than any that a package has.
const MAX_PATH: usize = 512;

/// The path that a reference in the file at `base` leads to. Both are relative to the stable prefix.
///
/// A package refers to itself by relative paths only. Anything else is refused, and so is a path that leads out of the
/// prefix: whoever wrote a playlist must not choose what its reader signs.
pub(super) fn resolved(base: &str, reference: &str) -> Result<String, WebError> {
    let refused = |why: &str| WebError::refused(format!("a playlist refers to {why}"));
    let decoded = percent_decode_str(reference).decode_utf8().map_err(|_| refused("bytes, not text"))?;
    let strange = |c: char| c.is_control() || matches!(c, '\\' | ':' | '?' | '#');
    if decoded.is_empty() || decoded.len() > MAX_PATH || decoded.starts_with('/') {
        return Err(refused("no relative path"));
    }
    if decoded.chars().any(strange) {
        return Err(refused("something that is no path of a package"));
    }
    let mut parts: Vec<&str> = base.split('/').collect();
    parts.pop();
    for part in decoded.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop().ok_or_else(|| refused("a path outside of its package"))?;
            }
            "" => return Err(refused("a path with an empty part")),
            part => parts.push(part),
        }
    }
    if parts.is_empty() { Err(refused("a folder")) } else { Ok(parts.join("/")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_to_files_below_the_prefix_only() {
        for (base, reference, path) in [
            ("master.m3u8", "v-1-1/video/720p/index.m3u8", "v-1-1/video/720p/index.m3u8"),
            ("v-1-1/video/720p/index.m3u8", "init.mp4", "v-1-1/video/720p/init.mp4"),
            ("v-1-1/video/720p/index.m3u8", "../../text/./a%20b.vtt", "v-1-1/text/a b.vtt"),
        ] {
            assert_eq!(resolved(base, reference).unwrap(), path);
        }
        for reference in [
            "",
            "/x",
            "//host/x",
            "https://host/x",
            "data:,x",
            "../x",
            "a/../../x",
            "%2e%2e/x",
            "a//b",
            "a\\b",
            "x?y",
            "x%3Fy",
            "x%00",
            "x\u{7}",
            "%ff",
            "..",
            ".",
        ] {
            assert!(resolved("master.m3u8", reference).is_err(), "{reference:?}");
        }
    }
}
