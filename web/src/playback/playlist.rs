//! Addresses in HLS playlists and in the index of a storyboard, found exactly and replaced in place.
//!
//! A playlist is not parsed and written again: every byte that is no address stays as it was published and verified.
//!
//! Source: RFC 8216, 4.1 (lines) and 4.2 (attribute lists); draft-pantos-hls-rfc8216bis for the newer tags.

use std::ops::Range;

use crate::WebError;

/// Largest playlist, in bytes. One of twelve hours has about 400 KB.
pub(super) const MAX_BYTES: usize = 4 << 20;

/// Most addresses in a playlist.
const MAX_REFERENCES: usize = 50_000;

/// Tags with an attribute list in which `URI` is an address.
const TAGS: [&str; 10] = [
    "#EXT-X-MAP",
    "#EXT-X-MEDIA",
    "#EXT-X-I-FRAME-STREAM-INF",
    "#EXT-X-IMAGE-STREAM-INF",
    "#EXT-X-KEY",
    "#EXT-X-PART",
    "#EXT-X-PRELOAD-HINT",
    "#EXT-X-RENDITION-REPORT",
    "#EXT-X-SESSION-DATA",
    "#EXT-X-SESSION-KEY",
];

/// An address in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where in the text it is, in bytes.
    range: Range<usize>,
    /// The address as it is written there.
    pub uri: String,
}

/// The addresses in an HLS playlist, in order.
pub fn references(text: &str) -> Result<Vec<Reference>, WebError> {
    if !text.starts_with("#EXTM3U") {
        return Err(WebError::refused("this is no HLS playlist"));
    }
    let mut found = Found::in_text(text)?;
    for (start, line) in lines(text) {
        match line.split_once(':') {
            Some((tag, attributes)) if TAGS.contains(&tag) => {
                if let Some(range) = uri(attributes)? {
                    let at = start + tag.len() + 1;
                    found.add(at + range.start..at + range.end)?;
                }
            }
            _ if line.starts_with('#') || line.trim().is_empty() => {}
            _ => found.add(start..start + line.len())?,
        }
    }
    Ok(found.references)
}

/// The addresses in a `WebVTT` index of images: the lines behind each time, without a fragment such as `#xywh=…`.
pub fn cues(text: &str) -> Result<Vec<Reference>, WebError> {
    if !text.starts_with("WEBVTT") {
        return Err(WebError::refused("this is no WebVTT file"));
    }
    let mut found = Found::in_text(text)?;
    let mut timed = false;
    for (start, line) in lines(text) {
        if timed && !line.trim().is_empty() {
            found.add(start..start + line.find('#').unwrap_or(line.len()))?;
        }
        timed = line.contains("-->");
    }
    Ok(found.references)
}

/// The text with other addresses: one for each reference, in the same order; none leaves it as it is.
pub fn spliced(
    text: &str,
    references: &[Reference],
    addresses: &[Option<String>],
) -> Result<String, WebError> {
    let mut result = String::with_capacity(text.len());
    let mut end = 0;
    for (Reference { range, .. }, address) in references.iter().zip(addresses) {
        let Some(address) = address else { continue };
        if address.is_empty() || address.contains(['"', '\n', '\r', '#']) {
            return Err(WebError::refused("an address that no playlist can hold"));
        }
        result.push_str(text.get(end..range.start).unwrap_or_default());
        result.push_str(address);
        end = range.end;
    }
    result.push_str(text.get(end..).unwrap_or_default());
    Ok(result)
}

/// Addresses that were found in a text.
struct Found<'a> {
    text: &'a str,
    references: Vec<Reference>,
}

impl<'a> Found<'a> {
    fn in_text(text: &'a str) -> Result<Self, WebError> {
        if text.len() > MAX_BYTES {
            return Err(WebError::refused(format!("a playlist of more than {MAX_BYTES} bytes")));
        }
        Ok(Self { text, references: Vec::new() })
    }

    fn add(&mut self, range: Range<usize>) -> Result<(), WebError> {
        if self.references.len() == MAX_REFERENCES {
            return Err(WebError::refused(format!("a playlist with more than {MAX_REFERENCES} addresses")));
        }
        let uri = self.text.get(range.clone()).unwrap_or_default().to_owned();
        self.references.push(Reference { range, uri });
        Ok(())
    }
}

/// The lines with their places, without their ends.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |whole| {
        let at = start;
        start += whole.len();
        (at, whole.strip_suffix('\n').map_or(whole, |line| line.strip_suffix('\r').unwrap_or(line)))
    })
}

/// Where in an attribute list the value of `URI` is, without its quotes. A quoted value may hold commas, and text that
/// looks like another attribute.
fn uri(attributes: &str) -> Result<Option<Range<usize>>, WebError> {
    let torn = || WebError::refused("an attribute list that cannot be read");
    let mut found = None;
    let mut at = 0;
    while at < attributes.len() {
        let rest = attributes.get(at..).unwrap_or_default();
        let (name, value) = rest.split_once('=').ok_or_else(torn)?;
        let begin = at + name.len() + 1;
        let (range, end) = if let Some(quoted) = value.strip_prefix('"') {
            let length = quoted.find('"').ok_or_else(torn)?;
            (begin + 1..begin + 1 + length, begin + length + 2)
        } else {
            let length = value.find(',').unwrap_or(value.len());
            (begin..begin + length, begin + length)
        };
        if name.trim() == "URI" && found.replace(range).is_some() {
            return Err(WebError::refused("a tag with two addresses"));
        }
        match attributes.get(end..).unwrap_or_default().chars().next() {
            None => break,
            Some(',') => at = end + 1,
            Some(_) => return Err(torn()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
