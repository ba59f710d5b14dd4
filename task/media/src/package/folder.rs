//! The folder of the package: complete files only, each with its size and checksum.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedSender;
use transcode_config::{
    contract::{Failure, FailureCode},
    ladder::PackageLimits,
};

use crate::job::{Event, Playlist, cannot_write};

/// For files in an attempt's folder, which never change.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// For entry points, which change when the same key is uploaded again.
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

/// Writes files and records them, up to a number and a size. Each is announced once, when it is complete.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    limits: PackageLimits,
    files: Vec<PackagedFile>,
    /// Sum of their sizes.
    bytes: u64,
    events: UnboundedSender<Event>,
}

impl Folder {
    /// A writer below `root`, an existing folder, for the package of a source of this many bytes.
    pub fn new(
        root: &Path,
        limits: PackageLimits,
        source_bytes: u64,
        events: UnboundedSender<Event>,
    ) -> Self {
        let limits = limits.of_source(source_bytes);
        Self { root: root.to_owned(), limits, files: Vec::new(), bytes: 0, events }
    }

    /// The files so far.
    pub fn files(&self) -> &[PackagedFile] {
        &self.files
    }

    /// The files, at the end of writing.
    pub fn into_files(self) -> Vec<PackagedFile> {
        self.files
    }

    /// Writes a file. Its name appears only when it is complete.
    pub fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.write_with(path, |file| file.write_all(bytes))
    }

    /// Writes a file as a stream: the bytes from `content` are counted and hashed on their way to the disk, and
    /// refused where the package would become too large.
    pub fn write_with(
        &mut self,
        path: &str,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let room = self.room(path, 0)?;
        let (size, sha256) = self.write_new(path, room, content).map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => self.too_large(path),
            _ => cannot_write(path, &error),
        })?;
        self.announce(path, size, sha256);
        Ok(())
    }

    /// Takes a finished file from `from`, on the same file system.
    pub fn take(&mut self, path: &str, from: &Path) -> Result<(), Failure> {
        let size = fs::metadata(from).map_err(|error| cannot_write(path, &error))?.len();
        self.room(path, size)?;
        let (size, sha256) = self.take_new(path, from).map_err(|error| cannot_write(path, &error))?;
        self.announce(path, size, sha256);
        Ok(())
    }

    /// Bytes that are left for one more file of at least `size`, or the refusal of the file.
    fn room(&self, path: &str, size: u64) -> Result<u64, Failure> {
        let room = self.limits.max_bytes.saturating_sub(self.bytes);
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        if number < self.limits.max_files && size <= room { Ok(room) } else { Err(self.too_large(path)) }
    }

    fn too_large(&self, path: &str) -> Failure {
        Failure::new(
            FailureCode::OutputTooLarge,
            "the package would become larger than the profile's `package` limits allow",
        )
        .with("file", path)
        .with("package_bytes", self.bytes)
        .with("package_files", self.files.len())
        .with("most_bytes", self.limits.max_bytes)
        .with("package.max_files", self.limits.max_files)
    }

    /// Announces new lines of an EVENT playlist, which is not a file of the package.
    pub fn playable(&self, playlist: Playlist) {
        self.events.send(Event::Playable(playlist)).ok();
    }

    fn write_new(
        &self,
        path: &str,
        room: u64,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<(u64, String)> {
        let target = self.root.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let temporary = target.with_extension("part");
        let mut file = Counted { file: File::create(&temporary)?, hash: Sha256::new(), size: 0, room };
        let mut buffered = BufWriter::new(&mut file);
        let done = content(&mut buffered).and_then(|()| buffered.flush());
        drop(buffered);
        let Counted { hash, size, .. } = file;
        if let Err(error) = done {
            fs::remove_file(&temporary).ok();
            return Err(error);
        }
        fs::rename(&temporary, &target)?;
        Ok((size, hex(&hash.finalize())))
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
        self.bytes = self.bytes.saturating_add(size);
        self.files.push(PackagedFile { path: path.to_owned(), size, sha256, content_type, cache_control });
        // Without a listener the work goes on.
        self.events.send(Event::FileReady(PathBuf::from(path))).ok();
    }
}

/// A file that is hashed while it is written, up to `room` bytes.
struct Counted {
    file: File,
    hash: Sha256,
    size: u64,
    room: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if size > self.room {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.size = size;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
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
        let mut folder = Folder::new(root.path(), PackageLimits::default(), 1, events);
        folder.write("video/a/00001.m4s", b"abc").unwrap();
        let file = &folder.files[0];
        assert_eq!(file.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((file.size, file.content_type), (3, "video/mp4"));
        assert_eq!(std::fs::read(root.path().join(&file.path)).unwrap(), b"abc");
        assert_eq!(heard.try_recv().unwrap(), Event::FileReady("video/a/00001.m4s".into()));
        let from = root.path().join("x");
        std::fs::write(&from, b"abc").unwrap();
        folder.take("entry/poster.jpg", &from).unwrap();
        assert_eq!(folder.files[1].sha256, folder.files[0].sha256);
        assert_eq!(folder.files[1].cache_control, SHORT);
    }

    #[test]
    fn what_would_make_the_package_too_large_is_not_written() {
        let root = tempfile::tempdir().unwrap();
        let (events, _heard) = tokio::sync::mpsc::unbounded_channel();
        let limits = PackageLimits { max_bytes: 10, max_files: 3, max_growth: 1 };
        let mut folder = Folder::new(root.path(), limits, 1, events);
        let from = root.path().join("x");
        std::fs::write(&from, [0; 11]).unwrap();
        // As much as a disk takes while nothing stops it.
        let endless = |file: &mut dyn Write| (0..256).try_for_each(|_| file.write_all(&[0; 4096]));
        for result in [folder.write("a", &[0; 11]), folder.take("a", &from), folder.write_with("a", endless)]
        {
            assert_eq!(result.unwrap_err().code, FailureCode::OutputTooLarge);
        }
        for name in ["a", "b", "c"] {
            folder.write(name, &[0; 3]).unwrap();
        }
        let failure = folder.write("d", &[]).unwrap_err();
        assert_eq!(
            (failure.code, failure.evidence["package_files"].as_str()),
            (FailureCode::OutputTooLarge, "3")
        );
        let left = std::fs::read_dir(root.path()).unwrap().count();
        assert_eq!((left, folder.files.len()), (4, 3), "the one beside them was never taken");
    }

    #[test]
    fn a_package_grows_no_further_than_its_source_allows() {
        let root = tempfile::tempdir().unwrap();
        let (events, _heard) = tokio::sync::mpsc::unbounded_channel();
        let from = root.path().join("x");
        // A file with a hole takes no space.
        let grown = |size: u64| File::create(&from).unwrap().set_len(size).unwrap();
        let mut folder = Folder::new(root.path(), PackageLimits::default(), 40_000, events);
        grown(PackageLimits::FREE_BYTES + 1);
        let failure = folder.take("a", &from).unwrap_err();
        assert_eq!(failure.code, FailureCode::OutputTooLarge);
        assert_eq!(failure.evidence["most_bytes"], PackageLimits::FREE_BYTES.to_string());
        assert_eq!(folder.room("a", 0).unwrap(), PackageLimits::FREE_BYTES);
    }
}
