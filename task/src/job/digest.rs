//! SHA-256 of files, computed off the async threads.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::aws::{AwsError, ErrorClass};

/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;

/// Size and SHA-256 of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest {
    /// Size in bytes.
    pub(crate) size: u64,
    sha256: [u8; 32],
}

impl Digest {
    /// The digest of bytes in memory.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { size: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
    }

    /// The hash in S3's form.
    pub(crate) fn base64(&self) -> String {
        STANDARD.encode(self.sha256)
    }

    /// The hash in the form of our documents.
    pub(crate) fn hex(&self) -> String {
        self.sha256.map(|byte| format!("{byte:02x}")).concat()
    }
}

/// The digest of a file from `offset`, of `length` bytes or up to its end.
pub(crate) async fn digest_of(file: &Path, offset: u64, length: Option<u64>) -> Result<Digest, AwsError> {
    let path = file.to_owned();
    let hashing = tokio::task::spawn_blocking(move || digest(&path, offset, length));
    let broken =
        |message: String| AwsError { class: ErrorClass::Rejected, status: None, code: None, message };
    match hashing.await {
        Ok(Ok(digest)) => Ok(digest),
        Ok(Err(error)) => Err(broken(format!("an output cannot be read: {error}"))),
        Err(error) => Err(broken(format!("hashing broke down: {error}"))),
    }
}

fn digest(path: &Path, offset: u64, length: Option<u64>) -> std::io::Result<Digest> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut input = file.take(length.unwrap_or(u64::MAX));
    let (mut hash, mut size, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let read = input.read(&mut chunk)?;
        let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else { break };
        hash.update(part);
        size += read as u64;
    }
    Ok(Digest { size, sha256: hash.finalize().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_of_a_file_is_hashed_as_those_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"0123456789").unwrap();
        assert_eq!(digest_of(&path, 0, None).await.unwrap(), Digest::of(b"0123456789"));
        assert_eq!(digest_of(&path, 2, Some(3)).await.unwrap(), Digest::of(b"234"));
        assert_eq!(digest_of(&path, 8, Some(30)).await.unwrap(), Digest::of(b"89"));
        assert_eq!(Digest::of(b"").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
