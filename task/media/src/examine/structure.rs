//! Refuses a source by its bytes before any decoder opens it: an empty file, text, an image, a file that ends too
//! early, a file whose media lies elsewhere.
//!
//! Reads headers only and skips the media; [`MAX_BOXES`] bounds the work, whatever the file claims.

use std::io::{self, Read, Seek, SeekFrom};

use transcode_config::contract::{Failure, FailureCode};

use super::{
    edits::{self, Change},
    ending::{self, Ending, FORGOTTEN, truncated},
};

/// Most boxes that are read, over all levels. A file of 12 hours in fragments of half a second has 173,000.
const MAX_BOXES: usize = 400_000;
/// Depth of nested boxes that is followed: moov/trak/mdia/minf/dinf/dref.
const MAX_DEPTH: usize = 8;

/// Inspects the file's bytes. `Ok` means that ffprobe may open it, and says whether the file is complete.
///
/// The outer error is a failed read, the inner one a refusal.
pub fn inspect<R: Read + Seek>(file: &mut R) -> io::Result<Result<Ending, Failure>> {
    let size = file.seek(SeekFrom::End(0))?;
    if size == 0 {
        return Ok(Err(Failure::new(FailureCode::Empty, "the file has zero bytes")));
    }
    file.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    file.by_ref().take(4096).read_to_end(&mut head)?;
    if let Some(failure) = by_signature(&head) {
        return Ok(Err(failure));
    }
    if is_iso(&head) {
        return inspect_iso(file, size);
    }
    ending::look(file, &head, size)
}

fn by_signature(head: &[u8]) -> Option<Failure> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let external = |what: &str| {
        Failure::new(
            FailureCode::ExternalReference,
            format!("the file is {what}: a text that names other files, not media"),
        )
    };
    if text.starts_with(b"#EXTM3U") {
        return Some(external("an HLS playlist"));
    }
    if text.starts_with(b"ffconcat version") {
        return Some(external("an ffmpeg concat script"));
    }
    let contains = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    if text.starts_with(b"<") && contains(b"<MPD") {
        return Some(external("a DASH manifest"));
    }
    if let Some(kind) = image_kind(head) {
        return Some(
            Failure::new(FailureCode::StillImage, format!("the file is a {kind} image")).with("kind", kind),
        );
    }
    let printable = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..);
    let ascii = head.iter().filter(|byte| byte.is_ascii()).count();
    if head.iter().all(printable) && (std::str::from_utf8(head).is_ok() || ascii * 10 > head.len() * 9) {
        return Some(Failure::new(FailureCode::NotMedia, "the file is text"));
    }
    None
}

fn image_kind(head: &[u8]) -> Option<&'static str> {
    const SIGNATURES: &[(&[u8], &str)] = &[
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"GIF8", "GIF"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"8BPS", "Photoshop"),
        (b"\0\0\0\x0cjP  ", "JPEG 2000"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL ", "JPEG XL"),
    ];
    if let Some((_, kind)) = SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature)) {
        return Some(kind);
    }
    match (head.get(..4), head.get(4..8), head.get(8..12)) {
        (Some(b"RIFF"), _, Some(b"WEBP")) => Some("WebP"),
        (_, Some(b"ftyp"), Some(b"heic" | b"heix" | b"mif1" | b"heim" | b"heis")) => Some("HEIC"),
        (_, Some(b"ftyp"), Some(b"avif")) => Some("AVIF"),
        // The zero bytes are reserved fields: "BM" alone begins too many other files.
        (Some([b'B', b'M', ..]), ..) if head.get(6..10) == Some(&[0; 4]) => Some("BMP"),
        _ => None,
    }
}

fn is_iso(head: &[u8]) -> bool {
    matches!(
        head.get(4..8),
        Some(b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot" | b"styp")
    )
}

/// What is walked of a movie.
#[derive(Default, PartialEq, Eq)]
enum Part {
    #[default]
    Whole,
    /// Not the indexes of its fragments.
    Index,
}

#[derive(Default)]
struct Seen {
    boxes: usize,
    moov: bool,
    mdat: bool,
    other: bool,
    /// File type boxes (`ftyp`) at the top level.
    beginnings: usize,
    short: u64,
    /// The first speed of an edit that is not the media's own.
    speed: Option<f64>,
    part: Part,
    edits: Vec<Change>,
}

/// The first speed other than 1 that an edit list asks for (ISO/IEC 14496-12, 8.6.6), as slow motion is stored. ffmpeg
/// ignores it.
pub fn speed<R: Read + Seek>(file: &mut R) -> io::Result<Option<f64>> {
    let size = file.seek(SeekFrom::End(0))?;
    let mut seen = Seen::default();
    // A refusal was one before.
    let _ = walk(file, 0..size, 0, &mut seen)?;
    Ok(seen.speed)
}

/// What is to be changed in the edit lists, so that ffmpeg plays their pauses.
pub fn edits<R: Read + Seek>(file: &mut R) -> io::Result<Vec<Change>> {
    let size = file.seek(SeekFrom::End(0))?;
    let mut seen = Seen { part: Part::Index, ..Seen::default() };
    // A refusal was one before.
    let _ = walk(file, 0..size, 0, &mut seen)?;
    Ok(seen.edits)
}

fn inspect_iso<R: Read + Seek>(file: &mut R, size: u64) -> io::Result<Result<Ending, Failure>> {
    let mut seen = Seen::default();
    if let Err(failure) = walk(file, 0..size, 0, &mut seen)? {
        return Ok(Err(failure));
    }
    // A phone or camera that lost power, or an upload cut short, leaves media without its index.
    if seen.mdat && !seen.moov {
        return Ok(Err(Failure::new(
            FailureCode::SourceTruncated,
            "the file holds media but no index (moov): it was not finished, or its end is missing",
        )
        .with("bytes_present", size)));
    }
    if !seen.moov && !seen.other {
        return Ok(Err(Failure::new(FailureCode::NotMedia, "an MP4 or MOV header with nothing behind it")));
    }
    // Durations in the index are compared with the packets later; the boxes alone do not show that.
    Ok(Ok(if seen.short > 0 { Ending::Short { bytes: seen.short } } else { Ending::Unknown }))
}

/// Players, ffmpeg among them, play the first movie and nothing of the second.
fn joined() -> Failure {
    Failure::new(FailureCode::SourceDiscontinuous, "the file is two movies, one behind the other")
}

/// Walks the boxes in `range`, descending where external references and encryption are declared.
fn walk<R: Read + Seek>(
    file: &mut R,
    range: std::ops::Range<u64>,
    depth: usize,
    seen: &mut Seen,
) -> io::Result<Result<(), Failure>> {
    let mut at = range.start;
    while range.end.saturating_sub(at) >= 8 {
        seen.boxes += 1;
        if seen.boxes > MAX_BOXES {
            return Ok(Ok(()));
        }
        let (kind, body, end) = match header(file, at, range.end)? {
            Header::Whole { kind, body, end } => (kind, body, end),
            Header::PastEnd { kind: [b'm', b'd', b'a', b't'], end }
                if depth == 0 && end - range.end <= FORGOTTEN =>
            {
                (seen.mdat, seen.short) = (true, end - range.end);
                return Ok(Ok(()));
            }
            Header::PastEnd { kind, end } if depth == 0 && is_top_level(kind) => {
                return Ok(Err(truncated(end, range.end, "its box sizes")));
            }
            // Trailing junk is common; demuxing the whole file shows what ffmpeg makes of it.
            Header::PastEnd { .. } | Header::Nonsense => return Ok(Ok(())),
        };
        if let Err(failure) = visit(file, kind, body..end, depth, seen)? {
            return Ok(Err(failure));
        }
        at = end;
    }
    Ok(Ok(()))
}

fn visit<R: Read + Seek>(
    file: &mut R,
    kind: [u8; 4],
    body: std::ops::Range<u64>,
    depth: usize,
    seen: &mut Seen,
) -> io::Result<Result<(), Failure>> {
    let external = || {
        Failure::new(
            FailureCode::ExternalReference,
            "the movie's index points to other files; its media is not in this one",
        )
    };
    match &kind {
        b"mdat" => seen.mdat = true,
        b"ftyp" => seen.beginnings += 1,
        b"moov" if seen.moov && seen.mdat && seen.beginnings > 1 => return Ok(Err(joined())),
        b"moov" => seen.moov = true,
        b"rmra" => return Ok(Err(external())),
        b"pssh" => return Ok(Err(Failure::new(FailureCode::Encrypted, "the file carries DRM licence data"))),
        _ => seen.other |= !matches!(&kind, b"ftyp" | b"free" | b"skip" | b"wide"),
    }
    match &kind {
        b"moof" if seen.part == Part::Index => Ok(Ok(())),
        b"moov" | b"trak" | b"edts" | b"mdia" | b"minf" | b"dinf" | b"stbl" | b"moof"
            if depth < MAX_DEPTH =>
        {
            walk(file, body, depth + 1, seen)
        }
        b"elst" => {
            let (mut head, mut list) = ([0; 8], Vec::new());
            file.seek(SeekFrom::Start(body.start - 8))?;
            file.read_exact(&mut head)?;
            file.take((body.end - body.start).min(MAX_LIST)).read_to_end(&mut list)?;
            seen.speed = seen.speed.or_else(|| speed_of(&list));
            // The size in front of the kind, unless the header has one of 64 bits.
            let [a, b, c, d, kind @ ..] = head;
            let short =
                kind == *b"elst" && u64::from(u32::from_be_bytes([a, b, c, d])) == 8 + list.len() as u64;
            seen.edits.extend(edits::changes(&list, body.start, short));
            Ok(Ok(()))
        }
        // Version, flags and entry count come first.
        b"dref" => {
            let entries = body.start.saturating_add(8)..body.end;
            Ok(if all_entries_are_local(file, entries)? { Ok(()) } else { Err(external()) })
        }
        b"stsd" => {
            let entries = body.start.saturating_add(8)..body.end;
            let encrypted = || {
                Failure::new(FailureCode::Encrypted, "the samples of a track are declared to be encrypted")
            };
            Ok(if any_entry_is_encrypted(file, entries)? { Err(encrypted()) } else { Ok(()) })
        }
        _ => Ok(Ok(())),
    }
}

/// Bytes of an edit list that are read.
const MAX_LIST: u64 = 64 << 10;

/// The first speed of an edit list that is not 1. An edit without media is a pause.
fn speed_of(list: &[u8]) -> Option<f64> {
    let (head, entries) = list.split_first_chunk::<8>()?;
    let time = if head[0] == 1 { 8 } else { 4 };
    let mut entries = entries.chunks_exact(2 * time + 4).filter_map(|entry| {
        let (times, rate) = entry.split_last_chunk::<4>()?;
        let pause = times.get(time..)?.iter().all(|&byte| byte == 0xff);
        (!pause).then(|| f64::from(i32::from_be_bytes(*rate)) / 65_536.0)
    });
    entries.find(|speed| (speed - 1.0).abs() > 1e-3)
}

/// Whether every data reference says "in this file" (flag 1).
fn all_entries_are_local<R: Read + Seek>(file: &mut R, range: std::ops::Range<u64>) -> io::Result<bool> {
    let mut at = range.start;
    for _ in 0..1000 {
        let Header::Whole { body, end, .. } = header(file, at, range.end)? else { return Ok(true) };
        let mut flags = [0; 4];
        if end - body >= 4 {
            file.seek(SeekFrom::Start(body))?;
            file.read_exact(&mut flags)?;
            if flags[3] & 1 == 0 {
                return Ok(false);
            }
        }
        at = end;
    }
    Ok(true)
}

/// Whether a sample description says "encrypted". ffprobe does not report it: it names the codec inside the
/// encryption.
fn any_entry_is_encrypted<R: Read + Seek>(file: &mut R, range: std::ops::Range<u64>) -> io::Result<bool> {
    let mut at = range.start;
    for _ in 0..1000 {
        let Header::Whole { kind, end, .. } = header(file, at, range.end)? else { return Ok(false) };
        if matches!(&kind, b"encv" | b"enca" | b"enct" | b"encs" | b"drmi" | b"drms") {
            return Ok(true);
        }
        at = end;
    }
    Ok(false)
}

enum Header {
    Whole { kind: [u8; 4], body: u64, end: u64 },
    PastEnd { kind: [u8; 4], end: u64 },
    Nonsense,
}

fn header<R: Read + Seek>(file: &mut R, at: u64, limit: u64) -> io::Result<Header> {
    if limit.saturating_sub(at) < 8 {
        return Ok(Header::Nonsense);
    }
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes)?;
    let [a, b, c, d, kind @ ..] = bytes;
    let (length, body) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (limit - at, at + 8),
        1 if limit - at >= 16 => {
            file.read_exact(&mut bytes)?;
            (u64::from_be_bytes(bytes), at + 16)
        }
        length => (u64::from(length), at + 8),
    };
    let Some(end) = at.checked_add(length).filter(|&end| end >= body) else { return Ok(Header::Nonsense) };
    Ok(if end > limit { Header::PastEnd { kind, end } } else { Header::Whole { kind, body, end } })
}

/// Whether a box of this kind at the top level is part of the movie, so that its missing end is missing media.
fn is_top_level(kind: [u8; 4]) -> bool {
    matches!(
        &kind,
        b"mdat" | b"moov" | b"moof" | b"ftyp" | b"meta" | b"uuid" | b"mfra" | b"sidx" | b"styp" | b"free"
    )
}

#[cfg(test)]
mod tests;
