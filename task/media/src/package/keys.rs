//! Copies key frames of a published track to a small file.
//!
//! Images are made from the package and not from the source: untrusted data is not decoded a second time, and every
//! image shows a frame of the published video.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
};

use super::{
    fragment::{self, KEY_FRAME, Sample},
    track::{Fragment, Segment, Track},
};

/// A key frame of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// The segment that it lies in.
    pub segment: &'a Segment,
    /// Its group of pictures.
    pub fragment: &'a Fragment,
}

/// All key frames of a track, in order.
pub fn all(track: &Track) -> Vec<Key<'_>> {
    let of = |segment| move |fragment| Key { segment, fragment };
    track.segments.iter().flat_map(|segment| segment.fragments.iter().map(of(segment))).collect()
}

/// At most `most` of them, evenly spaced, the first one included.
pub fn spread<'a>(keys: &[Key<'a>], most: usize) -> Vec<Key<'a>> {
    let wanted = keys.len().min(most);
    (0..wanted).filter_map(|index| keys.get(index * keys.len() / wanted.max(1)).copied()).collect()
}

/// Writes a file with only these key frames of `track`, each shown until the next. `package`: the folder that the
/// track was published to.
pub fn write(track: &Track, keys: &[Key<'_>], package: &Path, to: &Path) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(to)?);
    out.write_all(&track.init.bytes)?;
    for (index, key) in keys.iter().enumerate() {
        let data = read(track, key, package)?;
        let until = keys
            .get(index + 1)
            .map_or(key.fragment.start + key.fragment.duration, |next| next.fragment.start);
        let sample = Sample {
            size: key.fragment.key_size,
            duration: u32::try_from(until.saturating_sub(key.fragment.start)).unwrap_or(u32::MAX),
            flags: KEY_FRAME,
            // The header is the track's, edit list included.
            offset: track.init.shift.and_then(|shift| i64::try_from(shift).ok()).unwrap_or(0),
        };
        let mut bytes = Vec::new();
        let sequence = u32::try_from(index + 1).unwrap_or(u32::MAX);
        fragment::write(&mut bytes, sequence, key.fragment.start, &[sample], &data)?;
        out.write_all(&bytes)?;
    }
    out.flush()
}

fn read(track: &Track, key: &Key<'_>, package: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(package.join(&track.folder).join(&key.segment.name))?;
    let end = key.fragment.offset + key.fragment.key_bytes;
    file.seek(SeekFrom::Start(end.saturating_sub(u64::from(key.fragment.key_size))))?;
    let mut data = vec![0; usize::try_from(key.fragment.key_size).unwrap_or_default()];
    file.read_exact(&mut data)?;
    Ok(data)
}
