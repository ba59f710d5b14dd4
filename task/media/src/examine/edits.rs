//! Pauses in edit lists of MP4 and MOV (ISO/IEC 14496-12, 8.6.6): edits without media. ffmpeg honours one at the
//! beginning; for any later one it plays the beginning of the track once more.
//!
//! In a copy of the file, such an edit gets a media time behind the end of the track: ffmpeg then finds no sample for
//! it and goes on after the same time. At the end of a list it is left out.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
};

/// A media time that no track reaches, for lists with times of 32 and of 64 bits.
const BEHIND: i32 = i32::MAX;
const FAR_BEHIND: i64 = 1 << 48;

/// Bytes of an edit list to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Offset in the file, in bytes.
    at: u64,
    bytes: Vec<u8>,
}

/// What is to be changed in an edit list, whose body begins at `at` in the file. A pause at its beginning may stay.
pub fn changes(list: &[u8], at: u64) -> Vec<Change> {
    let Some((head, entries)) = list.split_first_chunk::<8>() else { return Vec::new() };
    let (size, time, behind) = if head[0] == 1 {
        (20, 8_usize..16, FAR_BEHIND.to_be_bytes().to_vec())
    } else {
        (12, 4..8, BEHIND.to_be_bytes().to_vec())
    };
    let empty = |entry: &[u8]| entry[time.clone()].iter().all(|&byte| byte == 0xff);
    let edits: Vec<_> = entries.chunks_exact(size).map(empty).collect();
    let kept = edits.iter().rposition(|empty| !empty).map_or(edits.len(), |last| last + 1);
    let places = (at + 8..).step_by(size).zip(&edits).take(kept).skip(1);
    let times = places.filter(|(_, empty)| **empty);
    // A duration as wide as the time stands in front of it.
    let width = if head[0] == 1 { 8 } else { 4 };
    let mut changes: Vec<_> =
        times.map(|(entry, _)| Change { at: entry + width, bytes: behind.clone() }).collect();
    if kept < edits.len() {
        let count = u32::try_from(kept).unwrap_or(u32::MAX).to_be_bytes();
        changes.push(Change { at: at + 4, bytes: count.to_vec() });
    }
    changes
}

/// Copies a file with changes.
pub(super) fn copy(mut from: File, mut to: File, changes: &[Change]) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    for change in changes {
        to.seek(SeekFrom::Start(change.at))?;
        to.write_all(&change.bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(version: u8, edits: &[(u64, i64)]) -> Vec<u8> {
        let mut bytes = vec![version, 0, 0, 0, 0, 0, 0, 0];
        for &(duration, time) in edits {
            let (duration, time) = (duration.to_be_bytes(), time.to_be_bytes());
            let skip = if version == 1 { 0 } else { 4 };
            bytes.extend([&duration[skip..], &time[skip..], &[0, 1, 0, 0]].concat());
        }
        bytes
    }

    #[test]
    fn only_an_edit_without_media_behind_the_first_is_changed() {
        let change = |at, bytes: &[u8]| Change { at, bytes: bytes.to_vec() };
        let edits = [(500, -1), (2000, 0), (1000, -1), (2000, 25_600), (10, -1), (10, -1)];
        let (narrow, wide) = (&[0x7f, 0xff, 0xff, 0xff], &[0, 1, 0, 0, 0, 0, 0, 0]);
        let count = change(104, &[0, 0, 0, 4]);
        assert_eq!(changes(&list(0, &edits), 100), [change(108 + 24 + 4, narrow), count.clone()]);
        assert_eq!(changes(&list(1, &edits), 100), [change(108 + 40 + 8, wide), count]);
        assert_eq!(changes(&list(0, &edits[..2]), 100), []);
        assert_eq!(changes(&list(0, &edits[..1]), 100), []);
        assert_eq!(changes(b"\0\0\0", 0), []);
    }
}
