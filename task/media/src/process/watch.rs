//! Detects progress, and measures a folder.

use std::{collections::HashMap, io, path::Path};

/// Keys of ffmpeg's `-progress` report that change only when work was done.
const MOVING: [&str; 4] = ["frame", "out_time_us", "out_time_ms", "total_size"];
/// Keys of the report that say nothing about progress.
const IDLE: [&str; 7] = ["fps", "bitrate", "speed", "progress", "dup_frames", "drop_frames", "out_time"];

/// Tells lines that are progress from lines that only look like it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    last: HashMap<&'static str, String>,
}

impl Progress {
    /// Whether this line of standard output shows work since the line before.
    pub(super) fn moved(&mut self, line: &str) -> bool {
        let Some((key, value)) = line.split_once('=') else { return !line.is_empty() };
        if let Some(key) = MOVING.into_iter().find(|moving| *moving == key) {
            let value = value.trim();
            // A repeated "N/A" is no progress, and neither is the first one.
            let before = self.last.insert(key, value.to_owned());
            return before.as_deref() != Some(value) && value != "N/A";
        }
        !IDLE.contains(&key) && !key.starts_with("stream_")
    }
}

/// Bytes that a file or folder takes beside its content, for entry and inode. Without it a million empty files would
/// count as nothing.
const ENTRY_BYTES: u64 = 4096;

/// The size of everything below a folder, in bytes; the search ends at more than `most`. Fails if a folder cannot be
/// read. Files that disappear meanwhile do not count: the cutting thread removes files that it has read.
pub(super) fn folder_bytes(folder: &Path, most: u64) -> io::Result<u64> {
    let mut total = 0_u64;
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let Some(entries) = unless_gone(std::fs::read_dir(&folder))? else { continue };
        for entry in entries {
            let entry = entry?;
            // A link is not followed: its target is not output.
            let Some(metadata) = unless_gone(entry.metadata())? else { continue };
            if metadata.is_dir() {
                open.push(entry.path());
                total = total.saturating_add(ENTRY_BYTES);
            } else {
                total = total.saturating_add(metadata.len().max(ENTRY_BYTES));
            }
            if total > most {
                return Ok(total);
            }
        }
    }
    Ok(total)
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_repeats_itself_is_no_progress() {
        let mut progress = Progress::default();
        assert!(progress.moved("frame=1"));
        assert!(!progress.moved("frame=1"));
        assert!(!progress.moved("fps=0.0"));
        assert!(!progress.moved("stream_0_0_q=28.0"));
        assert!(!progress.moved("out_time_us=N/A"));
        assert!(!progress.moved("progress=continue"));
        assert!(progress.moved("frame=2"));
        assert!(progress.moved("total_size=48"));
    }

    #[test]
    fn a_line_of_an_answer_is_progress() {
        let mut progress = Progress::default();
        assert!(progress.moved("    \"codec_name\": \"h264\","));
        assert!(progress.moved("packet|pts=1"));
        assert!(!progress.moved(""));
    }

    #[test]
    fn a_folder_is_the_sum_of_its_files_and_none_weighs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("a")).unwrap();
        std::fs::write(at("a/b"), [0; 10_000]).unwrap();
        std::fs::write(at("c"), [0; 5]).unwrap();
        std::fs::write(at("empty"), []).unwrap();
        std::os::unix::fs::symlink("/usr", at("link")).unwrap();
        assert_eq!(folder_bytes(folder.path(), u64::MAX).unwrap(), 10_000 + 4 * ENTRY_BYTES);
        assert!(
            folder_bytes(folder.path(), 100).unwrap() <= 10_000 + ENTRY_BYTES,
            "it goes on beyond the limit"
        );
        assert_eq!(folder_bytes(&at("gone"), u64::MAX).unwrap(), 0);
    }

    #[test]
    fn what_cannot_be_looked_into_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, []).unwrap();
        // No folder, for whoever runs this: root looks into any that is closed.
        folder_bytes(&file, u64::MAX).unwrap_err();
    }
}
