//! Detects progress, and adds up the size of a folder.

use std::{collections::HashMap, io, path::Path};

/// Keys of ffmpeg's `-progress` report whose change means that work was done.
const MOVING: [&str; 4] = ["frame", "out_time_us", "out_time_ms", "total_size"];
/// Keys of the report that say nothing, since they change (or stay) whether work is done or not.
const IDLE: [&str; 7] = ["fps", "bitrate", "speed", "progress", "dup_frames", "drop_frames", "out_time"];

/// Tells lines that are progress from lines that only look like it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    last: HashMap<&'static str, String>,
}

impl Progress {
    /// Whether this line of standard output shows that work was done since the line before.
    pub(super) fn moved(&mut self, line: &str) -> bool {
        let Some((key, value)) = line.split_once('=') else { return !line.is_empty() };
        if let Some(key) = MOVING.into_iter().find(|moving| *moving == key) {
            let value = value.trim();
            // "N/A" turning up again and again is no progress, and neither is its first appearance.
            let before = self.last.insert(key, value.to_owned());
            return before.as_deref() != Some(value) && value != "N/A";
        }
        !IDLE.contains(&key) && !key.starts_with("stream_")
    }
}

/// What a file or folder takes beside its content: its entry and its inode. Without it a million empty files weigh nothing.
const ENTRY_BYTES: u64 = 4096;

/// What lies below a folder, in bytes; the search ends where that is more than `most`. Fails for what cannot be looked
/// into. What vanishes meanwhile does not count: whoever cuts segments removes what it has read.
pub(super) fn folder_bytes(folder: &Path, most: u64) -> io::Result<u64> {
    let mut total = 0_u64;
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let Some(entries) = unless_gone(std::fs::read_dir(&folder))? else { continue };
        for entry in entries {
            let entry = entry?;
            // Not followed if it is a link: a link's target is not output.
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
