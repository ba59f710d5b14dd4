//! Reads the master playlist again and compares it with the measured tracks.

use std::{collections::BTreeSet, io, path::Path};

use super::{
    playlist::{self, Entry},
    report::Verification,
    track::{self, Measured, bad, ticks_to_seconds},
};
use crate::{
    package::{
        codecs::{channels, codec_string, colour, frame_size},
        hls::{self, Bandwidth},
    },
    plan::Plan,
    rational::float,
};

/// Path of the master playlist in the package.
pub const MASTER: &str = "entry/master.m3u8";

/// How far a declared bandwidth may be from the measured one.
const BANDWIDTH_TOLERANCE: f64 = 0.10;

/// The package's tracks by the addresses in the playlist.
struct Tracks<'a> {
    folder: &'a str,
    video: &'a [(String, Measured)],
    audio: &'a [(String, Measured)],
}

impl<'a> Tracks<'a> {
    fn at(&self, uri: &str) -> Option<(&'a str, &'a Measured)> {
        let path = uri.strip_prefix(self.folder)?;
        let track = path.strip_suffix("/index.m3u8").or_else(|| path.strip_suffix("/iframes.m3u8"))?;
        let mut all = self.video.iter().chain(self.audio);
        all.find(|(name, _)| name == track).map(|(name, measured)| (name.as_str(), measured))
    }
}

pub(super) fn check(
    root: &Path,
    folder: &str,
    plan: &Plan,
    video: &[(String, Measured)],
    audio: &[(String, Measured)],
    report: &mut Verification,
) -> io::Result<()> {
    let text = std::fs::read_to_string(root.join(MASTER))?;
    let entries = playlist::master(&text).ok_or_else(|| bad("the master playlist cannot be read"))?;
    let tracks = Tracks { folder, video, audio };
    let lost = entries.iter().filter(|entry| !is(entry, "SUBTITLES") && tracks.at(&entry.uri).is_none());
    let lost = lost.count();
    report.check("hls.addresses", MASTER, lost == 0, lost, 0);
    for entry in entries.iter().filter(|entry| is(entry, "SUBTITLES")) {
        texts(root, entry.uri.strip_prefix(folder).unwrap_or("?"), plan.seconds, report)?;
    }
    let (groups, in_groups) = {
        let groups = plan.audio_groups();
        (groups.len(), groups.iter().map(Vec::len).sum::<usize>())
    };
    let variants = entries.iter().filter(|entry| entry.tag == "STREAM-INF");
    let variants =
        variants.map(|entry| (entry.uri.as_str(), text_of(entry, "AUDIO"))).collect::<BTreeSet<_>>();
    report.same("hls.variants", MASTER, &variants.len(), &(video.len().max(1) * groups.max(1)));
    let listed =
        |tag: &str| entries.iter().filter(|entry| entry.tag == tag && !is(entry, "SUBTITLES")).count();
    report.same("hls.entries", MASTER, &listed("STREAM-INF"), &variants.len());
    report.same("hls.renditions", MASTER, &listed("MEDIA"), &in_groups);
    audio_renditions(&entries, &tracks, groups, report);
    ranges(&entries, &tracks, report);
    let target = video.iter().chain(audio).find_map(|(_, track)| track.playlist.target).unwrap_or(1);
    for entry in entries.iter().filter(|entry| entry.tag == "STREAM-INF") {
        let Some((name, track)) = tracks.at(&entry.uri) else { continue };
        let own = bandwidth(track, target);
        let group = text_of(entry, "AUDIO");
        let group: Vec<_> = members(&entries, &group).collect();
        let audio_tracks = group.iter().filter_map(|entry| tracks.at(&entry.uri)).map(|(_, track)| track);
        let rates = audio_tracks.clone().map(|track| bandwidth(track, target));
        let most = rates.fold((0, 0), |most, one| (one.peak.max(most.0), one.average.max(most.1)));
        let most = if video.is_empty() { (0, 0) } else { most };
        declared(report, "hls.bandwidth", name, entry.number("BANDWIDTH"), own.peak + most.0);
        let average = entry.number("AVERAGE-BANDWIDTH");
        declared(report, "hls.average-bandwidth", name, average, own.average + most.1);
        description(report, name, entry, track, audio_tracks.take(usize::from(!video.is_empty())).next());
    }
    Ok(())
}

fn is(entry: &Entry, kind: &str) -> bool {
    entry.attributes.get("TYPE").is_some_and(|own| own == kind)
}

fn text_of(entry: &Entry, key: &str) -> String {
    entry.attributes.get(key).cloned().unwrap_or_default()
}

/// The audio renditions of a group.
fn members<'a>(entries: &'a [Entry], group: &'a str) -> impl Iterator<Item = &'a Entry> {
    entries.iter().filter(move |entry| is(entry, "AUDIO") && text_of(entry, "GROUP-ID") == group)
}

/// The dynamic range of every video variant is that of its sample entry (rule 9.16).
fn ranges(entries: &[Entry], tracks: &Tracks<'_>, report: &mut Verification) {
    for entry in entries.iter().filter(|entry| entry.tag != "MEDIA") {
        let Some((name, track)) =
            tracks.at(&entry.uri).filter(|(_, track)| frame_size(&track.codec).is_some())
        else {
            continue;
        };
        let real = match colour(&track.codec) {
            Some((_, 16, _)) => "PQ",
            Some((_, 18, _)) => "HLG",
            _ => "SDR",
        };
        report.same("hls.video-range", name, &text_of(entry, "VIDEO-RANGE"), &real.to_owned());
    }
}

/// Audio groups: the same members in each, and the real number of channels.
fn audio_renditions(entries: &[Entry], tracks: &Tracks<'_>, wanted: usize, report: &mut Verification) {
    let all = entries.iter().filter(|entry| is(entry, "AUDIO"));
    for entry in all.clone() {
        let Some((name, track)) = tracks.at(&entry.uri) else { continue };
        let real = channels(&track.codec).unwrap_or(0).to_string();
        report.same("hls.channels", name, &text_of(entry, "CHANNELS"), &real);
    }
    let groups: BTreeSet<_> = all.map(|entry| text_of(entry, "GROUP-ID")).collect();
    let of = |group: &str| -> Vec<_> {
        members(entries, group)
            .map(|entry| ["NAME", "LANGUAGE", "DEFAULT"].map(|key| text_of(entry, key)))
            .collect()
    };
    let alike = groups.iter().map(|group| of(group)).collect::<BTreeSet<_>>().len() <= 1;
    let variants = entries.iter().filter(|entry| entry.tag == "STREAM-INF");
    let named: BTreeSet<_> =
        variants.map(|entry| text_of(entry, "AUDIO")).filter(|group| !group.is_empty()).collect();
    report.check(
        "hls.groups",
        MASTER,
        alike && named == groups && groups.len() == wanted,
        format!("{} groups, alike: {alike}, named by variants: {}", groups.len(), named.len()),
        format!("{wanted} groups, alike, each named by variants"),
    );
}

/// A text rendition: as long as the video, and every segment is `WebVTT`.
fn texts(root: &Path, path: &str, seconds: f64, report: &mut Verification) -> io::Result<()> {
    let folder = root.join(path.strip_suffix("/index.m3u8").unwrap_or(path));
    let list = playlist::media(&std::fs::read_to_string(root.join(path))?);
    let list = list.ok_or_else(|| bad("a text playlist cannot be read"))?;
    let mut total = 0.0;
    let mut wrong = 0_usize;
    for part in &list.parts {
        total += part.seconds;
        let text = std::fs::read_to_string(track::inside(&folder, &part.uri)?)?;
        wrong += usize::from(!text.starts_with("WEBVTT\n") || part.seconds > float(list.target.unwrap_or(0)));
    }
    report.near("text.duration", path, total, seconds, 0.001);
    report.check("text.segments", path, wrong == 0 && list.ended, format!("{wrong} wrong"), 0);
    Ok(())
}

/// The bandwidth that a track needs.
pub(super) fn bandwidth(track: &Measured, target: u64) -> Bandwidth {
    hls::measure(track.segments.iter().map(|&(bytes, ticks)| (bytes, ticks_to_seconds(track, ticks))), target)
}

/// Compares a declared bandwidth with the measured one.
pub(super) fn declared(
    report: &mut Verification,
    rule: &'static str,
    name: &str,
    declared: Option<u64>,
    measured: u64,
) {
    let declared = declared.unwrap_or(0);
    let off = (float(declared) / float(measured.max(1)) - 1.0).abs();
    report.check(
        rule,
        name,
        off <= BANDWIDTH_TOLERANCE,
        format!("declared {declared}, measured {measured}"),
        "within 10 %",
    );
}

fn description(
    report: &mut Verification,
    name: &str,
    entry: &Entry,
    track: &Measured,
    audio: Option<&Measured>,
) {
    let codecs = std::iter::once(track).chain(audio).filter_map(|track| codec_string(&track.codec));
    let codecs = codecs.collect::<Vec<_>>().join(",");
    let attribute = |key: &str| entry.attributes.get(key).cloned().unwrap_or_default();
    report.check(
        "hls.codecs",
        name,
        !codecs.is_empty() && attribute("CODECS") == codecs,
        attribute("CODECS"),
        &codecs,
    );
    if let Some((width, height)) = frame_size(&track.codec) {
        report.same("hls.resolution", name, &attribute("RESOLUTION"), &format!("{width}x{height}"));
        let rate = f64::from(track.timescale) / f64::from(track.longest_sample.max(1));
        let declared = attribute("FRAME-RATE").parse().unwrap_or(0.0);
        report.near("hls.frame-rate", name, declared, rate, 0.001);
    }
}
