//! Removes a folder when this process is gone, however it ended.
//!
//! A folder that its owner removes when it is dropped stays behind when the owner is killed with SIGKILL. The janitor is
//! a process of its own: it holds the other end of a pipe, which the kernel closes when the owner ends.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Waits for the end of standard input, then removes until nothing is left: processes that die at the same moment may
/// still be writing.
const SCRIPT: &str =
    r#"cat > /dev/null; until rm -rf -- "$1" 2> /dev/null && [ ! -e "$1" ]; do sleep 0.1; done"#;

/// The janitor of one folder. Dropping it lets the folder be removed, if it is still there.
#[derive(Debug)]
pub(crate) struct Janitor(Child);

impl Janitor {
    /// Starts one for a folder.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        let mut command = Command::new("sh");
        // In a process group of its own: a Ctrl-C at the terminal must not end it first.
        command.args(["-c", SCRIPT, "janitor"]).arg(folder).process_group(0);
        // Nothing of the owner's output is held open, and no folder below the one that goes.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
        command.spawn().map(Self).context("cannot start sh")
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

/// A temporary folder that goes with its owner, however that ends.
#[derive(Debug)]
pub(crate) struct Scratch {
    // Dropped from the top: the folder, then the janitor that finds nothing left.
    folder: TempDir,
    _janitor: Janitor,
}

impl Scratch {
    /// Makes one in `parent`, or where the system has its temporary files.
    pub(crate) fn new(parent: Option<&Path>) -> Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let folder = tempfile::Builder::new().prefix("transcode-").tempdir_in(parent);
        let folder = folder.context("a temporary folder")?;
        Ok(Self { _janitor: Janitor::of(folder.path())?, folder })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wait;

    #[test]
    fn a_folder_goes_with_its_owner() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("-a b");
        std::fs::create_dir_all(folder.join("c")).unwrap();
        let mut janitor = Janitor::of(&folder).unwrap();
        assert!(folder.exists());
        // What the kernel does when the owner is killed.
        drop(janitor.0.stdin.take());
        assert!(wait::until_blocking(Duration::from_mins(1), || !folder.exists()));
    }
}
