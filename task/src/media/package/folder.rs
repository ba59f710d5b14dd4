//! The folder that a package is written to: complete files only, each with its size and checksum.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedSender;
use transcode_config::contract::{Failure, FailureCode};

use super::early::Playlist;
use crate::media::Event;

/// What lies in an attempt's folder never changes.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Entry points change when the same key is uploaded again.
const SHORT: &str = "public, max-age=60";

/// A file of the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackagedFile {
    /// Path in the package, with `/`.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Media type to serve it with.
    pub content_type: &'static str,
    /// `Cache-Control` to serve it with.
    pub cache_control: &'static str,
}

/// Writes files and remembers them. Each is announced once, when it is complete.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    files: Vec<PackagedFile>,
    events: UnboundedSender<Event>,
}

impl Folder {
    /// A writer below `root`, which exists.
    pub fn new(root: &Path, events: UnboundedSender<Event>) -> Self {
        Self { root: root.to_owned(), files: Vec::new(), events }
    }

    /// Where a file of the package lies on disk.
    pub fn on_disk(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// What has been written, in that order.
    pub fn files(&self) -> &[PackagedFile] {
        &self.files
    }

    /// Gives up the writer for the list of what it wrote.
    pub fn into_files(self) -> Vec<PackagedFile> {
        self.files
    }

    /// Writes a file. Its name appears only when it is complete.
    pub fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.write_new(path, bytes).map_err(|error| cannot_write(path, &error))?;
        let sha256 = hex(&Sha256::digest(bytes));
        self.announce(path, u64::try_from(bytes.len()).unwrap_or(u64::MAX), sha256);
        Ok(())
    }

    /// Takes a finished file from `from`, on the same file system.
    pub fn take(&mut self, path: &str, from: &Path) -> Result<(), Failure> {
        let (size, sha256) = self.take_new(path, from).map_err(|error| cannot_write(path, &error))?;
        self.announce(path, size, sha256);
        Ok(())
    }

    /// Announces a playlist of what can be played already. It is no file of the package.
    pub fn playable(&self, playlist: Playlist) {
        self.events.send(Event::Playable(playlist)).ok();
    }

    fn write_new(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let target = self.root.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let temporary = target.with_extension("part");
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        drop(file);
        fs::rename(&temporary, &target)
    }

    fn take_new(&self, path: &str, from: &Path) -> io::Result<(u64, String)> {
        let mut hash = Sha256::new();
        let mut file = File::open(from)?;
        let mut buffer = vec![0; 64 * 1024];
        let mut size = 0;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(buffer.get(..read).unwrap_or_default());
            size += u64::try_from(read).unwrap_or_default();
        }
        let target = self.root.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(from, &target)?;
        Ok((size, hex(&hash.finalize())))
    }

    fn announce(&mut self, path: &str, size: u64, sha256: String) {
        let cache_control = if path.starts_with("entry/") { SHORT } else { FOREVER };
        let content_type = content_type(path);
        self.files.push(PackagedFile { path: path.to_owned(), size, sha256, content_type, cache_control });
        // Nobody listening is no reason to stop.
        self.events.send(Event::FileReady(PathBuf::from(path))).ok();
    }
}

/// A failed write, with the code for a full disk where it is that.
pub fn cannot_write(path: &str, error: &io::Error) -> Failure {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let code = if full { FailureCode::DiskFull } else { FailureCode::Internal };
    Failure::new(code, "a file of the package cannot be written").with("file", path).with("error", error)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("m3u8") => "application/vnd.apple.mpegurl",
        Some("mpd") => "application/dash+xml",
        Some("m4s" | "mp4") if path.starts_with("audio/") => "audio/mp4",
        Some("m4a") => "audio/mp4",
        Some("m4s" | "mp4") => "video/mp4",
        Some("vtt") => "text/vtt; charset=utf-8",
        Some("jpg") => "image/jpeg",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS.get(usize::from(value)).copied().unwrap_or(b'0'));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_announced_once_it_is_complete_with_its_checksum() {
        let root = tempfile::tempdir().unwrap();
        let (events, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let mut folder = Folder::new(root.path(), events);
        folder.write("video/a/00001.m4s", b"abc").unwrap();
        let file = &folder.files()[0];
        assert_eq!(file.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((file.size, file.content_type), (3, "video/mp4"));
        assert_eq!(std::fs::read(folder.on_disk(&file.path)).unwrap(), b"abc");
        assert_eq!(heard.try_recv().unwrap(), Event::FileReady("video/a/00001.m4s".into()));
        let from = root.path().join("x");
        std::fs::write(&from, b"abc").unwrap();
        folder.take("entry/poster.jpg", &from).unwrap();
        assert_eq!(folder.files()[1].sha256, folder.files()[0].sha256);
        assert_eq!(folder.files()[1].cache_control, SHORT);
    }
}
