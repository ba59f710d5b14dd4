//! Fragmented MP4, box by box: reads what the encoder writes, and writes the same samples in our own fragments.
//!
//! Memory is bounded by one fragment, and a fragment by [`MAX_FRAGMENT`].

use std::io::{self, Read, Seek, SeekFrom};

use mp4_atom::{
    Atom, Codec, Edts, Encode, FourCC, Ftyp, Header, Matrix, Mdat, Mfhd, Moof, Moov, ReadFrom, Styp, Tfdt,
    Tfhd, Traf, Trex, Trun, TrunEntry, TrunSamples,
};

/// Largest fragment that is read. Ten seconds at 100 Mb/s are 125 MB; our encodes stay far below.
const MAX_FRAGMENT: u64 = 256 << 20;
/// Flag of a sample that is not a key frame (`sample_is_non_sync_sample`).
const NON_SYNC: u32 = 0x0001_0000;
/// Flags of a key frame (`sample_depends_on` = 2: on no other).
pub const KEY_FRAME: u32 = 0x0200_0000;

/// The header of a track.
#[derive(Debug, Clone, PartialEq)]
pub struct Init {
    /// The `ftyp` and `moov` boxes, unchanged.
    pub bytes: Vec<u8>,
    /// Ticks a second.
    pub timescale: u32,
    /// The sample entry.
    pub codec: Codec,
    /// Ticks by which an edit list moves the track towards its beginning; none if it does anything else.
    pub shift: Option<u64>,
    /// Whether its display matrix makes players rotate the video.
    pub rotated: bool,
    defaults: Trex,
}

/// A sample. Times in ticks of the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Bytes.
    pub size: u32,
    /// How long it is shown.
    pub duration: u32,
    /// ISO sample flags.
    pub flags: u32,
    /// Ticks from decoding to presentation.
    pub offset: i64,
}

impl Sample {
    /// Whether decoding can begin here.
    pub fn is_key(self) -> bool {
        self.flags & NON_SYNC == 0
    }
}

/// A `moof` with its `mdat`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct ParsedFragment {
    /// Decode time of the first sample, in ticks.
    pub start: u64,
    pub samples: Vec<Sample>,
    /// The samples' bytes, one after the other. Empty if only the index was read.
    pub data: Vec<u8>,
    /// Bytes of the `moof`.
    pub moof_bytes: u64,
    /// Bytes of both boxes.
    pub bytes: u64,
}

impl ParsedFragment {
    /// Ticks from the first sample's start to the last one's end.
    pub fn duration(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }
}

/// Reads a file box by box, also while it is being written.
#[derive(Debug)]
pub struct BoxReader<R> {
    file: R,
    at: u64,
}

impl<R: Read + Seek> BoxReader<R> {
    /// Reads from the start of `file`.
    pub fn new(file: R) -> Self {
        Self { file, at: 0 }
    }

    /// Offset of the next box.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The kind of the box at `at`, where its body begins and where it ends; none if the box is incomplete.
    fn header(&mut self, at: u64) -> io::Result<Option<(FourCC, u64, u64)>> {
        let length = self.file.seek(SeekFrom::End(0))?;
        if length.saturating_sub(at) < 8 {
            return Ok(None);
        }
        self.file.seek(SeekFrom::Start(at))?;
        let Ok(header) = Header::read_from(&mut self.file) else { return Ok(None) };
        let body = self.file.stream_position()?;
        let size =
            header.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(length.saturating_sub(body));
        match body.checked_add(size) {
            Some(end) if end <= length => Ok(Some((header.kind, body, end))),
            _ => Ok(None),
        }
    }

    fn bytes(&mut self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        if to.saturating_sub(from) > MAX_FRAGMENT {
            return Err(invalid("a box is larger than a fragment may be"));
        }
        self.file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        self.file.by_ref().take(to.saturating_sub(from)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The body of a `moov` or `moof`, checked for limits before it is decoded.
    fn index(&mut self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let bytes = self.bytes(from, to)?;
        if groups_are_few(&bytes) {
            Ok(bytes)
        } else {
            Err(invalid("more sample groups than an encoder writes"))
        }
    }

    /// Reads `ftyp` and `moov`; none if they are incomplete.
    pub fn init(&mut self) -> io::Result<Option<Init>> {
        let start = self.at;
        let mut at = start;
        while let Some((kind, body, end)) = self.header(at)? {
            if kind == Moov::KIND {
                let moov = Moov::decode_body(&mut self.index(body, end)?.as_slice()).map_err(invalid)?;
                let bytes = self.bytes(start, end)?;
                self.at = end;
                return describe(moov, bytes).map(Some);
            }
            if kind != Ftyp::KIND && kind != Styp::KIND {
                return Err(invalid(format!("a {kind} box before the moov")));
            }
            at = end;
        }
        Ok(None)
    }

    /// Reads the next fragment; none if it is incomplete. Without `with_data` the samples' bytes are skipped.
    pub fn fragment(&mut self, init: &Init, with_data: bool) -> io::Result<Option<ParsedFragment>> {
        loop {
            let at = self.at;
            let Some((kind, body, end)) = self.header(at)? else { return Ok(None) };
            if kind != Moof::KIND {
                self.at = end;
                continue;
            }
            let Some((kind, data, data_end)) = self.header(end)? else { return Ok(None) };
            if kind != Mdat::KIND {
                return Err(invalid(format!("a {kind} box behind a moof")));
            }
            let moof = Moof::decode_body(&mut self.index(body, end)?.as_slice()).map_err(invalid)?;
            let (start, samples) = samples(moof, init, data - at)?;
            let held: u64 = samples.iter().map(|sample| u64::from(sample.size)).sum();
            if held != data_end - data {
                return Err(invalid(format!("samples of {held} bytes in an mdat of {}", data_end - data)));
            }
            let bytes = if with_data { self.bytes(data, data_end)? } else { Vec::new() };
            self.at = data_end;
            let (moof_bytes, bytes_all) = (end - at, data_end - at);
            return Ok(Some(ParsedFragment { start, samples, data: bytes, moof_bytes, bytes: bytes_all }));
        }
    }
}

/// Whether every `sgpd` box, at any depth, claims no more entries than real ones have: one or two. The decoder
/// allocates an entry for each claimed one, even of no bytes, so a few bytes could demand all memory.
pub(crate) fn groups_are_few(bytes: &[u8]) -> bool {
    const MOST: u32 = 256;
    let few = |at: usize| {
        // Version and flags, then the grouping's type, a length from version 1 on, a default from version 2 on.
        let version = usize::from(bytes.get(at + 4).copied().unwrap_or_default());
        let count = at + 12 + 4 * version.min(2);
        let count = bytes.get(count..).and_then(|rest| rest.first_chunk().copied()).map(u32::from_be_bytes);
        count.is_none_or(|count| count <= MOST)
    };
    bytes.windows(4).enumerate().filter(|(_, kind)| *kind == b"sgpd").all(|(at, _)| few(at))
}

fn describe(moov: Moov, bytes: Vec<u8>) -> io::Result<Init> {
    let Ok([track]) = <[_; 1]>::try_from(moov.trak) else { return Err(invalid("not exactly one track")) };
    let Ok([codec]) = <[_; 1]>::try_from(track.mdia.minf.stbl.stsd.codecs) else {
        return Err(invalid("not exactly one sample entry"));
    };
    let defaults = moov.mvex.and_then(|mvex| mvex.trex.into_iter().next()).unwrap_or_default();
    let timescale = track.mdia.mdhd.timescale;
    if timescale == 0 {
        return Err(invalid("a clock of 0 ticks a second"));
    }
    let rotated = track.tkhd.matrix != Matrix::default();
    let shift = shift(track.edts.as_ref());
    Ok(Init { bytes, timescale, codec, shift, rotated, defaults })
}

/// Presentation time that an edit list moves to the beginning: 0 without one; none if it does more than move the
/// whole track.
fn shift(edits: Option<&Edts>) -> Option<u64> {
    let Some(list) = edits.and_then(|edits| edits.elst.as_ref()) else { return Some(0) };
    match list.entries.as_slice() {
        [only] if only.segment_duration == 0 && only.media_rate == 1.into() => only.media_time,
        _ => None,
    }
}

fn samples(moof: Moof, init: &Init, data_offset: u64) -> io::Result<(u64, Vec<Sample>)> {
    let Ok([traf]) = <[_; 1]>::try_from(moof.traf) else {
        return Err(invalid("not exactly one track in a moof"));
    };
    let Ok([run]) = <[_; 1]>::try_from(traf.trun) else {
        return Err(invalid("not exactly one run in a moof"));
    };
    if run.data_offset.is_none_or(|offset| u64::try_from(offset) != Ok(data_offset)) {
        return Err(invalid("a run that does not begin with its mdat"));
    }
    // A run without per-sample fields is only a count, which must not become an allocation of that size.
    if run.samples.len() > 1_000_000 {
        return Err(invalid("too many samples in a run"));
    }
    let (head, defaults) = (&traf.tfhd, &init.defaults);
    let samples = run.samples.iter().map(|entry| Sample {
        size: entry.size.or(head.default_sample_size).unwrap_or(defaults.default_sample_size),
        duration: entry.duration.or(head.default_sample_duration).unwrap_or(defaults.default_sample_duration),
        flags: entry.flags.or(head.default_sample_flags).unwrap_or(defaults.default_sample_flags),
        offset: entry.cts.unwrap_or(0),
    });
    let start = traf.tfdt.ok_or_else(|| invalid("a fragment without a decode time"))?.base_media_decode_time;
    Ok((start, samples.collect()))
}

/// Appends a fragment to `out`. `sequence` counts the fragments of the track from 1. Returns the size of the `moof`.
pub fn write(
    out: &mut Vec<u8>,
    sequence: u32,
    start: u64,
    samples: &[Sample],
    data: &[u8],
) -> io::Result<u64> {
    let same = |field: fn(&Sample) -> u32, of: &[Sample]| {
        let first = of.first().map(field)?;
        of.iter().all(|sample| field(sample) == first).then_some(first)
    };
    let duration = same(|sample| sample.duration, samples);
    // Usually only the first sample, the key frame, differs from the others.
    let rest = samples.get(1..).filter(|rest| !rest.is_empty()).unwrap_or(samples);
    let flags = same(|sample| sample.flags, rest);
    let offsets = samples.iter().any(|sample| sample.offset != 0);
    let entries = samples.iter().enumerate().map(|(index, sample)| TrunEntry {
        duration: duration.is_none().then_some(sample.duration),
        size: Some(sample.size),
        flags: (flags.is_none() || (index == 0 && flags != Some(sample.flags))).then_some(sample.flags),
        cts: offsets.then_some(sample.offset),
    });
    let mut moof = Moof {
        mfhd: Mfhd { sequence_number: sequence },
        traf: vec![Traf {
            tfhd: Tfhd {
                track_id: 1,
                default_sample_duration: duration,
                default_sample_flags: flags,
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt { base_media_decode_time: start }),
            trun: vec![Trun { data_offset: Some(0), samples: TrunSamples::Explicit(entries.collect()) }],
            ..Traf::default()
        }],
    };
    let mut bytes = Vec::new();
    moof.encode(&mut bytes).map_err(invalid)?;
    let length = bytes.len();
    if let Some(run) = moof.traf.first_mut().and_then(|traf| traf.trun.first_mut()) {
        run.data_offset = Some(i32::try_from(length + 8).map_err(invalid)?);
    }
    bytes.clear();
    moof.encode(&mut bytes).map_err(invalid)?;
    out.extend_from_slice(&bytes);
    out.extend_from_slice(&u32::try_from(data.len() + 8).map_err(invalid)?.to_be_bytes());
    out.extend_from_slice(b"mdat");
    out.extend_from_slice(data);
    u64::try_from(length).map_err(invalid)
}

/// The box that a CMAF segment begins with.
pub fn segment_type() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let brands = [b"msdh", b"cmfs", b"cmff"].map(FourCC::new).to_vec();
    let styp = Styp { major_brand: FourCC::new(b"msdh"), minor_version: 0, compatible_brands: brands };
    styp.encode(&mut bytes).map_err(invalid)?;
    Ok(bytes)
}

#[allow(clippy::needless_pass_by_value, reason = "it is an argument of `map_err`")]
pub(super) fn invalid(what: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

#[cfg(test)]
mod tests;
