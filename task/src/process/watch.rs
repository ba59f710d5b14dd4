//! What counts as progress, and how much a folder holds.

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

/// Sum of the sizes of the files below a folder. What vanishes meanwhile does not count: ffmpeg renames its files.
pub(super) fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut total = 0_u64;
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            // Not followed if it is a link: a link's target is not output.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                open.push(entry.path());
            } else {
                total = total.saturating_add(metadata.len());
            }
        }
    }
    Ok(total)
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
    fn a_folder_is_the_sum_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/b"), [0; 10]).unwrap();
        std::fs::write(folder.path().join("c"), [0; 5]).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        let link = "/etc/passwd".len() as u64;
        assert_eq!(folder_bytes(folder.path()).unwrap(), 15 + link);
    }
}
