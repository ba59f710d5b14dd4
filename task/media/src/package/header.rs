//! The header of a published track: the encoder's, with three corrections.
//!
//! - Its brands say CMAF.
//! - The display matrix is the identity. ffmpeg copies the source's although the video is already rotated, and
//!   players would rotate it again.
//! - An edit list begins the track at its first frame. With reordered frames the first one, decoded at 0, is shown
//!   two frames later. CMAF has two ways to move it back to 0: this one, and negative offsets in the fragments. Both
//!   play the same in Chromium; but libavformat (ffplay, mpv and other programs that use it) makes negative offsets
//!   positive again and plays the video 80 ms behind the audio.

use std::{io, ops::Range};

use mp4_atom::{Atom, Edts, Elst, ElstEntry, Encode, FourCC, Ftyp, Moov, Tkhd, Trak};

use super::fragment::invalid;

/// The header to publish for the encoder's `ftyp` and `moov`. `shift` is the presentation time of the first sample.
pub(super) fn published(encoded: &[u8], shift: u64) -> io::Result<Vec<u8>> {
    let missing = || invalid("a header without a track");
    let movie = child(encoded, 0..encoded.len(), Moov::KIND).ok_or_else(missing)?;
    let mut bytes = encoded.get(movie).ok_or_else(missing)?.to_vec();
    let movie = 0..bytes.len();
    let track = child(&bytes, inside(&movie), Trak::KIND).ok_or_else(missing)?;
    let head = child(&bytes, inside(&track), Tkhd::KIND).ok_or_else(missing)?;
    set_upright(bytes.get_mut(head.clone()).unwrap_or_default());
    if shift > 0 {
        let edits = edits(shift)?;
        for around in [movie, track] {
            let size = u32::try_from(around.len() + edits.len()).map_err(invalid)?;
            let field = bytes.get_mut(around.start..around.start + 4).ok_or_else(missing)?;
            field.copy_from_slice(&size.to_be_bytes());
        }
        bytes.splice(head.end..head.end, edits);
    }
    let mut out = Vec::new();
    let brands = [b"iso6", b"cmfc", b"mp41"].map(FourCC::new).to_vec();
    let brands = Ftyp { major_brand: FourCC::new(b"iso6"), minor_version: 512, compatible_brands: brands };
    brands.encode(&mut out).map_err(invalid)?;
    out.extend(bytes);
    Ok(out)
}

/// Sets the display matrix of every track of a `moov` to the identity. ffmpeg keeps the source's matrix when it
/// copies, too.
pub(super) fn clear_rotation(movie: &mut [u8]) {
    let mut at = 8;
    while let Some(track) = child(movie, at..movie.len(), Trak::KIND) {
        if let Some(head) = child(movie, inside(&track), Tkhd::KIND) {
            set_upright(movie.get_mut(head).unwrap_or_default());
        }
        at = track.end;
    }
}

/// The body of a box, without size and kind.
fn inside(of: &Range<usize>) -> Range<usize> {
    of.start + 8..of.end
}

/// The first box of a kind among those in `range`.
fn child(bytes: &[u8], range: Range<usize>, kind: FourCC) -> Option<Range<usize>> {
    let mut at = range.start;
    while at + 8 <= range.end {
        let size = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        let end = at.checked_add(usize::try_from(size).ok()?).filter(|&end| size >= 8 && end <= range.end)?;
        if bytes.get(at + 4..at + 8)? == AsRef::<[u8; 4]>::as_ref(&kind) {
            return Some(at..end);
        }
        at = end;
    }
    None
}

fn set_upright(head: &mut [u8]) {
    let long = head.get(8).is_some_and(|&version| version == 1);
    // Version and flags, times, track and duration, then 16 bytes up to the matrix.
    let matrix = 8 + if long { 36 } else { 24 } + 16;
    let upright = [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30].map(u32::to_be_bytes);
    if let Some(place) = head.get_mut(matrix..matrix + 36) {
        place.copy_from_slice(upright.as_flattened());
    }
}

/// An edit list of one entry, which lasts as long as the track (0 in fragmented files).
fn edits(shift: u64) -> io::Result<Vec<u8>> {
    let entry = ElstEntry { segment_duration: 0, media_time: Some(shift), media_rate: 1.into() };
    let mut bytes = Vec::new();
    Edts { elst: Some(Elst { entries: vec![entry] }) }.encode(&mut bytes).map_err(invalid)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
