//! Pauses in edit lists of MP4 and MOV (ISO/IEC 14496-12, 8.6.6): edits without media. ffmpeg honours one at the
//! beginning; for any later one it plays the beginning of the track once more.
//!
//! In a copy of the file, such an edit gets a media time behind the end of the track: ffmpeg then finds no sample for
//! it and goes on after the same time. At the end of a list it is left out: the list ends before it, and a free box takes
//! its place, because ffmpeg counts the edits by the size of the box.

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
/// `whole`: this is all of the box, and its header has 8 bytes; otherwise only pauses between edits are changed.
pub fn changes(list: &[u8], at: u64, whole: bool) -> Vec<Change> {
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
    if kept < edits.len() && whole {
        changes.extend(shortened(list.len(), kept, size, at).into_iter().flatten());
    }
    changes
}

/// Ends a list of `length` bytes after the first `kept` of its edits, which have `size` bytes each.
fn shortened(length: usize, kept: usize, size: usize, at: u64) -> Option<[Change; 3]> {
    const HEADER: usize = 8;
    let body = HEADER + kept * size;
    let number = |number: usize| u32::try_from(number).ok().map(u32::to_be_bytes);
    let free = [number(length - body)?, *b"free"].concat();
    Some([
        Change { at: at - HEADER as u64, bytes: number(HEADER + body)?.to_vec() },
        Change { at: at + 4, bytes: number(kept)?.to_vec() },
        Change { at: at + body as u64, bytes: free },
    ])
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
        let end = |length: u8, size: u8| {
            let (kept, left) = (8 + 4 * size, 2 * size);
            assert_eq!(length, kept + left);
            let count = change(104, &[0, 0, 0, 4]);
            let free = [0, 0, 0, left, b'f', b'r', b'e', b'e'];
            [change(92, &[0, 0, 0, 8 + kept]), count, change(100 + u64::from(kept), &free)]
        };
        let all = |first: Change, end: [Change; 3]| [vec![first], end.to_vec()].concat();
        assert_eq!(changes(&list(0, &edits), 100, true), all(change(108 + 24 + 4, narrow), end(80, 12)));
        assert_eq!(changes(&list(1, &edits), 100, true), all(change(108 + 40 + 8, wide), end(128, 20)));
        assert_eq!(changes(&list(0, &edits), 100, false), [change(108 + 24 + 4, narrow)]);
        assert_eq!(changes(&list(0, &edits[..2]), 100, true), []);
        assert_eq!(changes(&list(0, &edits[..1]), 100, true), []);
        assert_eq!(changes(b"\0\0\0", 0, true), []);
    }
}
