//! Reads playlists independently of the code that wrote them. Pure.

use std::collections::BTreeMap;

/// A media playlist.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct MediaPlaylist {
    /// `EXT-X-TARGETDURATION`.
    pub target: Option<u64>,
    /// Address of the header.
    pub map: Option<String>,
    pub parts: Vec<Part>,
    /// Whether it has `EXT-X-ENDLIST`.
    pub ended: bool,
    /// Whether it lists key frames only.
    pub key_frames_only: bool,
}

/// A segment, or a key frame in one.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Part {
    pub uri: String,
    /// `EXTINF`, in seconds.
    pub seconds: f64,
    /// Length and offset, if it is only a part of the file.
    pub range: Option<(u64, u64)>,
}

/// A line of the master playlist with the address of another playlist.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Entry {
    /// Tag without `#EXT-X-`: `STREAM-INF`, `I-FRAME-STREAM-INF` or `MEDIA`.
    pub tag: String,
    /// Attributes, without quotes.
    pub attributes: BTreeMap<String, String>,
    pub uri: String,
}

impl Entry {
    /// An attribute as a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.attributes.get(name)?.parse().ok()
    }
}

/// Reads a media playlist. None if the text is not one, or has a line that cannot be read.
pub fn media(text: &str) -> Option<MediaPlaylist> {
    let mut lines = text.lines();
    if lines.next() != Some("#EXTM3U") {
        return None;
    }
    let mut playlist = MediaPlaylist::default();
    let (mut seconds, mut range) = (None, None);
    for line in lines {
        match line.split_once(':').unwrap_or((line, "")) {
            ("#EXT-X-TARGETDURATION", value) => playlist.target = Some(value.parse().ok()?),
            ("#EXT-X-MAP", value) => playlist.map = attributes(value)?.remove("URI"),
            ("#EXTINF", value) => seconds = Some(value.split(',').next()?.parse().ok()?),
            ("#EXT-X-BYTERANGE", value) => {
                let (length, offset) = value.split_once('@')?;
                range = Some((length.parse().ok()?, offset.parse().ok()?));
            }
            ("#EXT-X-ENDLIST", _) => playlist.ended = true,
            ("#EXT-X-I-FRAMES-ONLY", _) => playlist.key_frames_only = true,
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => playlist.parts.push(Part {
                uri: line.to_owned(),
                seconds: seconds.take()?,
                range: range.take(),
            }),
        }
    }
    Some(playlist)
}

/// Reads a master playlist.
pub fn master(text: &str) -> Option<Vec<Entry>> {
    let mut lines = text.lines();
    if lines.next() != Some("#EXTM3U") {
        return None;
    }
    let mut entries = Vec::new();
    while let Some(line) = lines.next() {
        let Some((tag, value)) = line.strip_prefix("#EXT-X-").and_then(|line| line.split_once(':')) else {
            continue;
        };
        if !matches!(tag, "STREAM-INF" | "I-FRAME-STREAM-INF" | "MEDIA") {
            continue;
        }
        let mut attributes = attributes(value)?;
        let uri = if tag == "STREAM-INF" { lines.next()?.to_owned() } else { attributes.remove("URI")? };
        entries.push(Entry { tag: tag.to_owned(), attributes, uri });
    }
    Some(entries)
}

/// `NAME=value,NAME="value, with commas"`.
fn attributes(mut text: &str) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (value, rest) = quoted.split_once('"')?;
                (value, rest.strip_prefix(',').unwrap_or(rest))
            }
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        found.insert(name.to_owned(), value.to_owned());
        text = rest;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_media_playlist_is_read() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:6.006,\n\
                    #EXT-X-BYTERANGE:10@20\n1.m4s\n#EXT-X-ENDLIST\n";
        let playlist = media(text).unwrap();
        assert_eq!(playlist.target, Some(6));
        assert_eq!(playlist.map.as_deref(), Some("init.mp4"));
        assert_eq!(playlist.parts, [Part { uri: "1.m4s".into(), seconds: 6.006, range: Some((10, 20)) }]);
        assert!(playlist.ended);
        assert!(media("#EXTM3U\n1.m4s\n").is_none(), "a segment without a duration");
    }

    #[test]
    fn commas_in_quotes_do_not_split() {
        let text = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=7,CODECS=\"a,b\",AUDIO=\"x\"\nv.m3u8\n";
        let entries = master(text).unwrap();
        assert_eq!(entries[0].attributes["CODECS"], "a,b");
        assert_eq!((entries[0].number("BANDWIDTH"), entries[0].uri.as_str()), (Some(7), "v.m3u8"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(#EXTM3U\n)?(#EXT-X-[A-Z-]{0,12}:?[A-Z=\",@0-9]{0,20}\n|.{0,20}\n){0,8}") {
            media(&text);
            master(&text);
        }
    }
}
