//! Reads a published track again, from its playlist down to every sample.

use std::{fs::File, io, path::Path};

use mp4_atom::Codec;

use super::playlist::{self, MediaPlaylist};
use crate::{
    package::fragment::{BoxReader, Init},
    rational::float,
};

/// Measured properties of a track. Times in ticks of its clock.
#[derive(Debug)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Measured {
    /// Its media playlist, as parsed.
    pub playlist: MediaPlaylist,
    pub codec: Codec,
    /// Ticks a second.
    pub timescale: u32,
    /// Whether its edit list, if it has one, only moves the whole track.
    pub plain_edits: bool,
    /// Whether its display matrix makes players rotate it.
    pub rotated: bool,
    /// Earliest presentation time, after the edit list.
    pub first: i64,
    /// Presentation end of the last sample shown.
    pub end: i64,
    /// Number of samples that are presented before they are decoded.
    pub shown_too_soon: u64,
    /// Number of samples.
    pub samples: u64,
    /// Duration of the longest sample.
    pub longest_sample: u32,
    /// Number of fragments that do not begin where the one before ended.
    pub gaps: u64,
    /// Number of groups that do not begin with a key frame, or have a second one.
    pub bad_groups: u64,
    /// Start of every group.
    pub groups: Vec<u64>,
    /// Bytes and ticks of every segment.
    pub segments: Vec<(u64, u64)>,
}

impl Measured {
    /// Ticks as seconds.
    pub fn seconds(&self, ticks: i64) -> f64 {
        let magnitude = float(ticks.unsigned_abs()) / f64::from(self.timescale);
        if ticks < 0 { -magnitude } else { magnitude }
    }
}

/// Reads the track in `folder` of the package at `root`.
pub fn read(root: &Path, folder: &str) -> io::Result<Measured> {
    let folder = root.join(folder);
    let playlist = playlist::media(&std::fs::read_to_string(folder.join("index.m3u8"))?)
        .ok_or_else(|| bad("the playlist cannot be read"))?;
    let map = playlist.map.as_deref().ok_or_else(|| bad("the playlist names no header"))?;
    let mut header = BoxReader::new(File::open(inside(&folder, map)?)?);
    let init = header.init()?.ok_or_else(|| bad("the header is not complete"))?;
    let mut measured = Measured {
        codec: init.codec.clone(),
        timescale: init.timescale,
        plain_edits: init.shift.is_some(),
        rotated: init.rotated,
        playlist,
        first: i64::MAX,
        end: i64::MIN,
        shown_too_soon: 0,
        samples: 0,
        longest_sample: 0,
        gaps: 0,
        bad_groups: 0,
        groups: Vec::new(),
        segments: Vec::new(),
    };
    let mut clock = 0;
    for index in 0..measured.playlist.parts.len() {
        let Some(part) = measured.playlist.parts.get(index) else { break };
        let path = inside(&folder, &part.uri)?;
        let begin = clock;
        let bytes = segment(&path, &init, &mut measured, &mut clock)?;
        measured.segments.push((bytes, clock - begin));
    }
    Ok(measured)
}

fn segment(path: &Path, init: &Init, measured: &mut Measured, clock: &mut u64) -> io::Result<u64> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut reader = BoxReader::new(file);
    let shift = i64::try_from(init.shift.unwrap_or(0)).unwrap_or(i64::MAX);
    while let Some(fragment) = reader.fragment(init, false)? {
        measured.gaps += u64::from(fragment.start != *clock);
        measured.groups.push(fragment.start);
        let keys = fragment.samples.iter().filter(|sample| sample.is_key()).count();
        let begins = fragment.samples.first().is_some_and(|sample| sample.is_key());
        // Every frame of audio is a key frame.
        measured.bad_groups += u64::from(!begins || (keys != 1 && keys != fragment.samples.len()));
        let mut decode = fragment.start;
        for sample in &fragment.samples {
            let shown =
                i64::try_from(decode).unwrap_or(i64::MAX).saturating_add(sample.offset).saturating_sub(shift);
            measured.shown_too_soon += u64::from(sample.offset < 0);
            measured.first = measured.first.min(shown);
            measured.end = measured.end.max(shown.saturating_add(i64::from(sample.duration)));
            measured.longest_sample = measured.longest_sample.max(sample.duration);
            decode += u64::from(sample.duration);
        }
        measured.samples += u64::try_from(fragment.samples.len()).unwrap_or_default();
        *clock = decode;
    }
    if reader.position() != size {
        return Err(bad("bytes behind the last fragment of a segment"));
    }
    Ok(size)
}

/// The path of a file that a playlist names: in the same folder, nowhere else.
pub fn inside(folder: &Path, name: &str) -> io::Result<std::path::PathBuf> {
    if name.is_empty() || name.contains(['/', '\\', ':']) || name.starts_with('.') {
        return Err(bad("a playlist leads out of its folder"));
    }
    Ok(folder.join(name))
}

pub(super) fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// Ticks of a track as seconds.
pub(super) fn ticks_to_seconds(track: &Measured, ticks: u64) -> f64 {
    float(ticks) / f64::from(track.timescale)
}
