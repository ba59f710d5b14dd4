//! Pauses in edit lists of MP4 and MOV (ISO/IEC 14496-12, 8.6.6): edits without media. ffmpeg honours one at the
//! beginning; for any later one it plays the beginning of the track once more.
//!
//! In a copy of the file, such an edit gets a media time behind the end of the track: ffmpeg then finds no sample for
//! it and goes on after the same time.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
};

/// A media time that no track reaches, for lists with times of 32 and of 64 bits.
const BEHIND: i32 = i32::MAX;
const FAR_BEHIND: i64 = 1 << 48;

/// The place of the media time of an edit without media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Offset in the file, in bytes.
    at: u64,
    /// Whether the time has 64 bits.
    wide: bool,
}

/// The pauses of an edit list, whose body begins at `at` in the file, but for one at its beginning.
pub fn pauses(list: &[u8], at: u64) -> Vec<Pause> {
    let Some((head, entries)) = list.split_first_chunk::<8>() else { return Vec::new() };
    let wide = head[0] == 1;
    let time = if wide { 8 } else { 4 };
    let (size, bytes) = if wide { (20, 8..16) } else { (12, 4..8) };
    let starts = (at + 8 + time..).step_by(size);
    let edits = starts.zip(entries.chunks_exact(size)).skip(1);
    let empty =
        |entry: &[u8]| entry.get(bytes.clone()).is_some_and(|time| time.iter().all(|&byte| byte == 0xff));
    edits.filter(|(_, entry)| empty(entry)).map(|(at, _)| Pause { at, wide }).collect()
}

/// Copies a file with its pauses moved behind the end of their tracks.
pub(super) fn copy(mut from: File, mut to: File, pauses: &[Pause]) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    for pause in pauses {
        to.seek(SeekFrom::Start(pause.at))?;
        if pause.wide {
            to.write_all(&FAR_BEHIND.to_be_bytes())?;
        } else {
            to.write_all(&BEHIND.to_be_bytes())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(version: u8, edits: &[(u64, i64)]) -> Vec<u8> {
        let mut bytes = vec![version, 0, 0, 0, 0, 0, 0, 3];
        for &(duration, time) in edits {
            let (duration, time) = (duration.to_be_bytes(), time.to_be_bytes());
            let skip = if version == 1 { 0 } else { 4 };
            bytes.extend([&duration[skip..], &time[skip..], &[0, 1, 0, 0]].concat());
        }
        bytes
    }

    #[test]
    fn only_an_edit_without_media_behind_the_first_is_a_pause() {
        let edits = [(500, -1), (2000, 0), (1000, -1), (2000, 25_600), (10, -1)];
        let at = |version| pauses(&list(version, &edits), 100);
        let pause = |at, wide| Pause { at, wide };
        assert_eq!(at(0), [pause(100 + 8 + 24 + 4, false), pause(100 + 8 + 48 + 4, false)]);
        assert_eq!(at(1), [pause(100 + 8 + 40 + 8, true), pause(100 + 8 + 80 + 8, true)]);
        assert_eq!(pauses(&list(0, &edits[..2]), 100), []);
        assert_eq!(pauses(b"\0\0\0", 0), []);
    }
}
