//! Whether a file ends where its own bytes say that it ends. Pure but for reading.
//!
//! The task says "upload the whole file again" only where this module finds evidence. Writers round durations, forget
//! to subtract eight bytes from a length and leave chunks empty, and their files are complete all the same.

use std::io::{self, Read, Seek, SeekFrom};

use transcode_config::contract::{Failure, FailureCode};

/// Whether the file is complete, by its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// Unknown: the container has no length, or its writer left it open.
    #[default]
    Unknown,
    /// Complete.
    Whole {
        /// Frames that an AVI's index lists for its first video stream, including those without bytes, which repeat
        /// the frame before.
        listed_frames: Option<u64>,
    },
    /// A length field claims this many bytes more than the file has: too few to be missing media.
    Short {
        /// How many.
        bytes: u64,
    },
}

/// A length that is wrong by no more than this is a writer's mistake: writers forget to take headers off, of 8 bytes or,
/// in WAV and ASF, of 44 to 100. An upload that lacks so little lacks a part of one frame.
pub(super) const FORGOTTEN: u64 = 128;
/// Chunks of a RIFF file that are looked at.
const MAX_CHUNKS: usize = 10_000;
/// Entries of an AVI's index that are read: 16 bytes each; two streams of 12 hours have 5 million.
const MAX_ENTRIES: usize = 8 << 20;

/// Examines the end of a file that is neither MP4 nor MOV. `head` is the beginning of the file.
pub(super) fn look<R: Read + Seek>(
    file: &mut R,
    head: &[u8],
    size: u64,
) -> io::Result<Result<Ending, Failure>> {
    Ok(match head.get(..4) {
        Some(b"RIFF") => riff(file, size)?,
        Some(b"\x1a\x45\xdf\xa3") => {
            judge(segment(head).map(|range| range.end), size, || elements_are_whole(file, head, size))?
        }
        Some(b"FLV\x01") => Ok(flv(file, size)?),
        Some(b"OggS") => ogg(file)?,
        _ => judge(asf(head).map(|sizes| sizes.file), size, || Ok(asf_is_whole(head, size)))?,
    })
}

/// Compares the end that a length field gives with the size of the file. A file that ends before is whole all the same
/// where its media is.
fn judge(
    end: Option<u64>,
    size: u64,
    media_is_whole: impl FnOnce() -> io::Result<bool>,
) -> io::Result<Result<Ending, Failure>> {
    let Some(end) = end else { return Ok(Ok(Ending::Unknown)) };
    match ends_at(end, size) {
        Err(_) if media_is_whole()? => Ok(Ok(Ending::Short { bytes: end - size })),
        judged => Ok(judged),
    }
}

/// Compares the end that a length field gives with the size of the file.
pub(super) fn ends_at(end: u64, size: u64) -> Result<Ending, Failure> {
    match end.checked_sub(size) {
        None | Some(0) => Ok(Ending::Whole { listed_frames: None }),
        Some(bytes @ ..=FORGOTTEN) => Ok(Ending::Short { bytes }),
        Some(_) => Err(truncated(end, size, "the container's own length field")),
    }
}

pub(super) fn truncated(needed: u64, size: u64, by: &str) -> Failure {
    Failure::new(
        FailureCode::SourceTruncated,
        format!("the file ends {} bytes before its end according to {by}", needed - size),
    )
    .with("bytes_present", size)
    .with("bytes_declared", needed)
}

/// A RIFF file (AVI, WAV): its parts one after the other, as `OpenDML` has them, and what an index in the first one lists.
fn riff<R: Read + Seek>(file: &mut R, size: u64) -> io::Result<Result<Ending, Failure>> {
    let (mut at, mut ending) = (0, Ending::Unknown);
    for _ in 0..MAX_CHUNKS {
        let Some((kind, length)) = chunk(file, at, size)? else { break };
        // 0 and all ones are left by writers that could not seek back.
        if kind != *b"RIFF" || length == 0 || length == u32::MAX {
            break;
        }
        let end = at + 8 + u64::from(length);
        ending = match ends_at(end, size) {
            Ok(ending) => ending,
            // What is missing is an index or a list of names.
            Err(_) if at == 0 && media_is_whole(file, size)? => Ending::Short { bytes: end - size },
            Err(failure) => return Ok(Err(failure)),
        };
        if at == 0 && matches!(ending, Ending::Whole { .. }) {
            ending = Ending::Whole { listed_frames: listed(file, end)? };
        }
        at = end + (end & 1);
    }
    Ok(Ok(ending))
}

/// Whether the media of a RIFF file ends within its `size`, by the length of what holds it.
fn media_is_whole<R: Read + Seek>(file: &mut R, size: u64) -> io::Result<bool> {
    let mut at = 12;
    for _ in 0..MAX_CHUNKS {
        let Some((kind, length)) = chunk(file, at, size)? else { return Ok(false) };
        let end = at + 8 + u64::from(length);
        let mut list = [0; 4];
        if kind == *b"LIST" && size - at >= 12 {
            file.read_exact(&mut list)?;
        }
        if kind == *b"data" || list == *b"movi" {
            return Ok(end <= size);
        }
        at = end + u64::from(length & 1);
    }
    Ok(false)
}

/// Frames that the index (`idx1`) of the part that ends at `end` lists for the first video stream.
fn listed<R: Read + Seek>(file: &mut R, end: u64) -> io::Result<Option<u64>> {
    let mut at = 12;
    for _ in 0..MAX_CHUNKS {
        let Some((kind, length)) = chunk(file, at, end)? else { return Ok(None) };
        if kind == *b"idx1" {
            let entries = usize::try_from(length / 16).unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES);
            let mut reader = io::BufReader::with_capacity(1 << 16, file);
            let (mut entry, mut stream, mut frames) = ([0; 16], None, 0);
            for _ in 0..entries {
                if reader.read_exact(&mut entry).is_err() {
                    return Ok(None);
                }
                let [tens, ones, b'd', b'b' | b'c', ..] = entry else { continue };
                frames += u64::from(*stream.get_or_insert([tens, ones]) == [tens, ones]);
            }
            return Ok(stream.map(|_| frames));
        }
        at = at + 8 + u64::from(length) + u64::from(length & 1);
    }
    Ok(None)
}

/// The name and length of the chunk at `at`.
fn chunk<R: Read + Seek>(file: &mut R, at: u64, end: u64) -> io::Result<Option<([u8; 4], u32)>> {
    if end.saturating_sub(at) < 8 {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(at))?;
    let (mut kind, mut length) = ([0; 4], [0; 4]);
    file.read_exact(&mut kind)?;
    file.read_exact(&mut length)?;
    Ok(Some((kind, u32::from_le_bytes(length))))
}

/// An FLV file is complete if its last four bytes are the length of a tag that begins exactly that far before them.
fn flv<R: Read + Seek>(file: &mut R, size: u64) -> io::Result<Ending> {
    let mut last = [0; 4];
    if size < 13 + 4 + 11 {
        return Ok(Ending::Unknown);
    }
    file.seek(SeekFrom::Start(size - 4))?;
    file.read_exact(&mut last)?;
    let length = u32::from_be_bytes(last);
    let Some(at) = (size - 4).checked_sub(u64::from(length)).filter(|_| length >= 11) else {
        return Ok(Ending::Unknown);
    };
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut last)?;
    let [kind, a, b, c] = last;
    let data = u32::from_be_bytes([0, a, b, c]);
    let whole = matches!(kind & 0x1f, 8 | 9 | 18) && data + 11 == length;
    Ok(if whole { Ending::Whole { listed_frames: None } } else { Ending::Unknown })
}

/// Most pages of an Ogg file that are read: three hours of the shortest that encoders write.
const MAX_PAGES: usize = 1 << 20;

/// A chained Ogg file (RFC 3533, 4). ffmpeg plays every link at the times of the first one's sample rate, so links of
/// different rates would come out at the wrong speed.
fn ogg<R: Read + Seek>(file: &mut R) -> io::Result<Result<Ending, Failure>> {
    let mut reader = io::BufReader::with_capacity(1 << 16, file);
    reader.seek(SeekFrom::Start(0))?;
    let (mut head, mut first) = ([0; 27], None);
    for _ in 0..MAX_PAGES {
        if reader.read_exact(&mut head).is_err() || !head.starts_with(b"OggS") {
            break;
        }
        let mut segments = vec![0; head[26].into()];
        reader.read_exact(&mut segments)?;
        let mut left = segments.iter().map(|&length| i64::from(length)).sum();
        // A page that begins a stream.
        if head[5] & 2 != 0 && left >= 16 {
            let mut body = [0; 16];
            reader.read_exact(&mut body)?;
            left -= 16;
            let rate =
                body.strip_prefix(b"\x01vorbis").and_then(|rest| rest.get(5..)?.first_chunk().copied());
            if let Some(rate) = rate.map(u32::from_le_bytes)
                && *first.get_or_insert(rate) != rate
            {
                let first = first.unwrap_or_default();
                let message = format!("the sample rate changes from {first} to {rate} Hz in the middle");
                return Ok(Err(Failure::new(FailureCode::SourceDiscontinuous, message)
                    .with("sample_rate", first)
                    .with("sample_rate_later", rate)));
            }
        }
        reader.seek_relative(left)?;
    }
    Ok(Ok(Ending::Unknown))
}

/// What the properties of an ASF file say (ASF specification, 3.2).
struct Asf {
    /// Length of the header object, behind which the media lies.
    header: u64,
    file: u64,
    /// The number of packets, and the length of each; 0 where it is not the same for all.
    packets: u64,
    packet: u64,
}

/// Reads them, where they lie within `head`.
fn asf(head: &[u8]) -> Option<Asf> {
    const HEADER: &[u8] = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c";
    const PROPERTIES: &[u8] = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65";
    let long = |bytes: &[u8], at: usize| bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
    let short = |bytes: &[u8], at: usize| bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes);
    // Behind the GUID and the length, the number of objects and two reserved bytes.
    let mut rest = head.strip_prefix(HEADER)?.get(14..)?;
    loop {
        let (guid, behind) = rest.split_at_checked(16)?;
        let (length, body) = behind.split_first_chunk::<8>()?;
        if guid == PROPERTIES {
            let file = long(body, 16).filter(|&size| size > 0)?;
            let (least, most) = (short(body, 68)?, short(body, 72)?);
            let packet = if least == most { least.into() } else { 0 };
            return Some(Asf { header: long(head, 16)?, file, packets: long(body, 32)?, packet });
        }
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        rest = rest.get(length.max(24)..)?;
    }
}

/// Whether all packets of an ASF file lie within its `size`. They begin 50 bytes behind the header.
fn asf_is_whole(head: &[u8], size: u64) -> bool {
    let end = asf(head)
        .filter(|asf| asf.packets > 0 && asf.packet > 0)
        .and_then(|asf| asf.packets.checked_mul(asf.packet)?.checked_add(asf.header)?.checked_add(50));
    end.is_some_and(|end| end <= size)
}

/// Where the Segment of a Matroska file lies, if it gives its length and begins within `head`.
fn segment(head: &[u8]) -> Option<std::ops::Range<u64>> {
    let mut rest = head.get(4..)?;
    let Length::Known(header) = vint(&mut rest)? else { return None };
    let start = u64::try_from(head.len() - rest.len()).ok()?.checked_add(header)?;
    let mut segment = head.get(usize::try_from(start).ok()?..)?.strip_prefix(b"\x18\x53\x80\x67")?;
    let Length::Known(length) = vint(&mut segment)? else { return None };
    let begin = u64::try_from(head.len() - segment.len()).ok()?;
    Some(begin..begin.checked_add(length)?)
}

/// Bytes that a Matroska file may lack behind an element that ends with it: fewer than a cluster has.
const LESS_THAN_A_CLUSTER: u64 = 1024;

/// Whether an element of a Matroska file ends with the file, and too little is missing for another cluster.
fn elements_are_whole<R: Read + Seek>(file: &mut R, head: &[u8], size: u64) -> io::Result<bool> {
    let Some(range) = segment(head).filter(|range| range.end - size <= LESS_THAN_A_CLUSTER) else {
        return Ok(false);
    };
    let mut at = range.start;
    for _ in 0..MAX_PAGES {
        if at >= size {
            return Ok(at == size);
        }
        let mut start = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        file.take(12).read_to_end(&mut start)?;
        // The identifier has the form of a length.
        let mut rest = start.as_slice();
        let (Some(_), Some(Length::Known(length))) = (vint(&mut rest), vint(&mut rest)) else {
            return Ok(false);
        };
        let used = u64::try_from(start.len() - rest.len()).unwrap_or(0);
        let Some(next) = at.checked_add(used).and_then(|at| at.checked_add(length)) else { return Ok(false) };
        at = next;
    }
    Ok(false)
}

/// An EBML length.
pub(super) enum Length {
    Known(u64),
    Unknown,
}

/// Reads an EBML variable-length number.
pub(super) fn vint(bytes: &mut &[u8]) -> Option<Length> {
    let first = *bytes.first()?;
    let width = usize::try_from(first.leading_zeros()).ok()? + 1;
    let field = bytes.get(..width).filter(|_| width <= 8)?;
    *bytes = bytes.get(width..)?;
    let marker = 1_u64 << (7 * width);
    let value = field.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte)) & (marker - 1);
    Some(if value == marker - 1 { Length::Unknown } else { Length::Known(value) })
}
