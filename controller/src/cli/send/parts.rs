//! How a file is divided for an upload in parts, and the checksums by which a later run knows what is there.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use sha2::{Digest, Sha256};

/// Smallest size of a part, in bytes. A file that is not larger goes in one piece.
pub(super) const PART_BYTES: u64 = 16 << 20;

/// S3's limit.
const MAX_PARTS: u64 = 10_000;

/// A piece of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// From 1.
    pub(super) number: i32,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// The parts of a file. A function of its size alone, so that a later run has the same ones.
pub(super) fn parts(size: u64) -> Vec<Part> {
    let length = PART_BYTES.max(size.div_ceil(MAX_PARTS));
    let part = |(number, offset): (i32, u64)| Part { number, offset, length: length.min(size - offset) };
    let offsets = (0..size.div_ceil(length)).map(|index| index * length);
    (1..).zip(offsets).map(part).collect()
}

/// SHA-256 of a part, in Base64 as S3 has it. Reads the file; for a thread that may block.
pub(super) fn checksum(file: &Path, part: Part) -> io::Result<String> {
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(part.offset))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut left = part.length;
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = file.read(buffer.get_mut(..most).unwrap_or_default())?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter meanwhile"));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        left -= read as u64;
    }
    Ok(aws_smithy_types::base64::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_file_are_the_whole_file_in_order() {
        let mib = 1 << 20;
        for size in [1, PART_BYTES, PART_BYTES + 1, 100 * mib + 7, 5 << 40] {
            let parts = parts(size);
            let mut next = 0;
            for (index, part) in parts.iter().enumerate() {
                assert_eq!((usize::try_from(part.number), part.offset), (Ok(index + 1), next));
                next += part.length;
            }
            assert_eq!(next, size);
            assert!(parts.len() <= 10_000);
            assert!(parts.iter().rev().skip(1).all(|part| part.length >= 5 * mib), "S3's least");
        }
    }

    #[test]
    fn a_parts_checksum_is_of_its_bytes_and_a_file_that_shrinks_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.mp4");
        std::fs::write(&file, b"abcdef").unwrap();
        let of = |offset, length| checksum(&file, Part { number: 1, offset, length });
        // printf cd | openssl dgst -sha256 -binary | base64
        assert_eq!(of(2, 2).unwrap(), "Iechw1pYI/20UvovnwphLHT7lS4GknSJxrJ6Q7gXvtQ=");
        assert_ne!(of(2, 2).unwrap(), of(1, 2).unwrap());
        assert_eq!(of(4, 3).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
