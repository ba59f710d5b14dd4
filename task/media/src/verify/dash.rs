//! Reads the DASH manifest again and compares it with the measured tracks.

use std::{io, path::Path};

use super::{
    master::{bandwidth, declared},
    report::Verification,
    track::Measured,
};
use crate::{
    examine::range::Range,
    package::codecs::{channels, codec_string, colour, frame_size},
};

/// Path of the DASH manifest in the package.
pub const MANIFEST: &str = "entry/manifest.mpd";

/// Most segments that are read from one manifest: a repeat count must not decide how much memory is allocated. No
/// package has more.
const MAX_SEGMENTS: u64 = 1_000_000;

/// Addresses and attributes of a representation, as the manifest declares them.
#[derive(Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Template {
    timescale: u32,
    header: String,
    media: String,
    first: u64,
    /// Start and duration of every segment, in ticks.
    times: Vec<(u64, u64)>,
    codecs: String,
    /// `320x180`, where it is a video.
    size: String,
    /// Bits a second.
    bandwidth: Option<u64>,
    /// Channels, where it is audio.
    channels: Option<u32>,
    /// Transfer function that players must know, where it is a video.
    transfer: Option<u64>,
}

pub(super) fn check(
    root: &Path,
    folder: &str,
    tracks: &[(&str, &Measured)],
    report: &mut Verification,
) -> io::Result<()> {
    let text = std::fs::read_to_string(root.join(MANIFEST))?;
    let templates = templates(&text);
    report.same("dash.representations", MANIFEST, &templates.len(), &tracks.len());
    for ((name, track), template) in tracks.iter().zip(&templates) {
        let mut clock = 0;
        let real = track.segments.iter().map(|&(_, ticks)| {
            let start = clock;
            clock += ticks;
            (start, ticks)
        });
        let real: Vec<_> = real.collect();
        let differing = real.iter().zip(&template.times).filter(|(a, b)| a != b).count()
            + real.len().abs_diff(template.times.len());
        let passed = differing == 0 && template.timescale == track.timescale;
        report.check("dash.timeline", name, passed, format!("{differing} segments differ"), 0);
        let codecs = codec_string(&track.codec).unwrap_or_else(|| "none that is known".into());
        report.same("dash.codecs", name, &template.codecs, &codecs);
        let target = track.playlist.target.unwrap_or(1);
        declared(report, "dash.bandwidth", name, template.bandwidth, bandwidth(track, target).peak);
        if let Some(real) = channels(&track.codec) {
            report.same("dash.channels", name, &template.channels.unwrap_or(0), &real);
        }
        if let Some((width, height)) = frame_size(&track.codec) {
            report.same("dash.resolution", name, &template.size, &format!("{width}x{height}"));
            let standard = u64::from(Range::Sdr.cicp());
            // Standard range needs no declaration, so its absence is correct.
            let real = colour(&track.codec).map_or(standard, |(_, transfer, _)| {
                u64::from(Range::of_cicp(transfer).map_or(transfer, Range::cicp))
            });
            report.same("dash.transfer", name, &template.transfer.unwrap_or(standard), &real);
        }
        let count = u64::try_from(template.times.len()).unwrap_or_default();
        let numbers = template.first..template.first.saturating_add(count);
        let media = numbers.map(|number| template.media.replace("$Number%05d$", &format!("{number:05}")));
        let addresses = media.chain([template.header.clone()]);
        let lost = addresses.filter(|uri| {
            uri.strip_prefix(folder).is_none_or(|path| path.contains("..") || !root.join(path).is_file())
        });
        let lost = lost.count();
        report.check("dash.addresses", name, lost == 0, lost, 0);
    }
    Ok(())
}

/// Reads a manifest's representations. One that cannot be read is left out, and the rules miss it.
pub fn templates(text: &str) -> Vec<Template> {
    let mut found: Vec<Template> = Vec::new();
    let mut room = MAX_SEGMENTS;
    let (mut channels, mut transfer) = (None, None);
    let mut representation = Template::default();
    for tag in text.split('<') {
        let number = |name| attribute(tag, name).and_then(|value| value.parse::<u64>().ok());
        if tag.starts_with("AdaptationSet ") {
            transfer = None;
        } else if tag.starts_with("EssentialProperty ") && tag.contains(":TransferCharacteristics\"") {
            transfer = number("value");
        } else if tag.starts_with("Representation ") {
            channels = None;
            representation = Template {
                codecs: attribute(tag, "codecs").unwrap_or_default().to_owned(),
                size: ["width", "height"].map(|side| attribute(tag, side).unwrap_or_default()).join("x"),
                bandwidth: number("bandwidth"),
                ..Template::default()
            };
        } else if tag.starts_with("AudioChannelConfiguration ") {
            channels = number("value").and_then(|count| u32::try_from(count).ok());
        } else if tag.starts_with("SegmentTemplate ") {
            let text = |name| attribute(tag, name).unwrap_or_default().to_owned();
            found.push(Template {
                timescale: number("timescale").and_then(|ticks| u32::try_from(ticks).ok()).unwrap_or(1),
                header: text("initialization"),
                media: text("media"),
                first: number("startNumber").unwrap_or(1),
                channels,
                transfer,
                ..std::mem::take(&mut representation)
            });
        } else if let (true, Some(template)) = (tag.starts_with("S "), found.last_mut()) {
            let duration = number("d").unwrap_or(0);
            let mut start = number("t").unwrap_or(0);
            for _ in 0..number("r").unwrap_or(0).saturating_add(1).min(room) {
                room -= 1;
                template.times.push((start, duration));
                start = start.saturating_add(duration);
            }
        }
    }
    found
}

/// The value of `name="…"` in a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    while let Some(at) = rest.find(name) {
        let before = rest.get(..at)?;
        let after = rest.get(at + name.len()..)?;
        match after.strip_prefix("=\"") {
            Some(value) if before.ends_with(char::is_whitespace) => return value.split('"').next(),
            _ => rest = after,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_unfolded() {
        let text = r#"<SegmentTemplate timescale="10" initialization="i" media="m" startNumber="1"><SegmentTimeline>
            <S t="0" d="60" r="1"/><S t="120" d="7"/></SegmentTimeline></SegmentTemplate>"#;
        let templates = templates(text);
        assert_eq!(templates[0].times, [(0, 60), (60, 60), (120, 7)]);
        assert_eq!((templates[0].timescale, templates[0].media.as_str()), (10, "m"));
    }

    #[test]
    fn repeats_of_all_tags_together_are_bounded() {
        let text =
            format!("<SegmentTemplate media=\"m\">{}", r#"<S d="1" r="18446744073709551615"/>"#.repeat(3));
        assert_eq!(templates(&text)[0].times.len(), 1_000_000);
    }
}
