//! The files of a standing stack.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// The folder of one stack.
#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn of(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The server's own output.
    pub(super) fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Shell variables with which a command finds the stack.
    pub(super) fn environment(&self) -> PathBuf {
        self.folder.join("env")
    }

    /// The settings file of the stack.
    pub(super) fn settings(&self) -> PathBuf {
        self.folder.join("controller.toml")
    }

    /// Folder of logs and tasks.
    pub(super) fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// The URL at which the server answers; it exists once the stack is ready.
    pub(super) fn ready(&self) -> Option<String> {
        fs::read_to_string(self.folder.join("ready")).ok()
    }

    /// Marks the stack as ready. The file appears completely or not at all.
    pub(super) fn write_ready(&self, url: &str) -> Result<()> {
        let part = self.folder.join("ready.part");
        fs::write(&part, url).with_context(|| part.display().to_string())?;
        fs::rename(&part, self.folder.join("ready")).context("ready")
    }

    /// The process id of the server that holds the lock.
    pub(super) fn pid(&self) -> Option<i32> {
        fs::read_to_string(self.folder.join("pid")).ok()?.trim().parse().ok()
    }

    /// Takes the lock for as long as the returned file is open, and writes the process id.
    pub(super) fn hold(&self) -> Result<File> {
        let Some(lock) = self.try_lock()? else {
            bail!("another stack runs in {}", self.folder.display());
        };
        let pid = self.folder.join("pid");
        fs::write(&pid, std::process::id().to_string()).with_context(|| pid.display().to_string())?;
        Ok(lock)
    }

    /// Whether no stack runs here.
    pub(super) fn free(&self) -> Result<bool> {
        Ok(self.try_lock()?.is_some())
    }

    fn try_lock(&self) -> Result<Option<File>> {
        let path = self.folder.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.with_context(|| path.display().to_string())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).context("the lock of the stack"),
        }
    }

    /// Removes all files but the lock, for which another process may be waiting.
    pub(super) fn clear(&self) {
        for name in ["pid", "ready", "ready.part", "env", "controller.toml", "log"] {
            // A missing file needs no removal.
            drop(fs::remove_file(self.folder.join(name)));
        }
        drop(fs::remove_dir_all(self.work()));
    }
}
