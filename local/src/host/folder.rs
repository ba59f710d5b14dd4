//! Each task's working folder, and the files left in it.
//!
//! Nothing is deleted before a test could look at it: only an empty folder is removed. One with content is kept and
//! reported.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::shared::{Shared, lock};

/// Reports kept; the oldest gives way (its folder stays).
const MAX_LEFTOVERS: usize = 1000;
/// Names listed in one report.
const MAX_NAMES: usize = 100;

/// A folder in which a task left files.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Leftover {
    /// The task's id.
    task: String,
    /// Its job, if it had one.
    job: Option<String>,
    pub(crate) folder: PathBuf,
    /// The names at its top level.
    names: Vec<String>,
}

/// The task's folder, made if it is not there.
pub(crate) fn create(work_dir: &Path, task: &str) -> io::Result<PathBuf> {
    let folder = work_dir.join(task);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Removes the task's folder if it is empty; reports it otherwise.
pub(crate) fn clean(shared: &std::sync::Arc<Shared>, task: &str, job: Option<String>) {
    let folder = shared.config.work_dir.join(task);
    // Fails when it is not there (the task never started) or not empty.
    if fs::remove_dir(&folder).is_ok() {
        return;
    }
    let Ok(entries) = fs::read_dir(&folder) else { return };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .take(MAX_NAMES)
        .collect();
    names.sort();
    tracing::warn!(task, folder = %folder.display(), ?names, "task left files behind");
    shared.update(|state, _| state.counters.leftovers += 1);
    let mut leftovers = lock(&shared.leftovers);
    if leftovers.len() >= MAX_LEFTOVERS {
        leftovers.pop_front();
    }
    leftovers.push_back(Leftover { task: task.to_owned(), job, folder, names });
}

/// Deletes the reported folders and forgets the reports; returns how many there were.
pub(crate) fn discard(shared: &Shared) -> usize {
    let leftovers = std::mem::take(&mut *lock(&shared.leftovers));
    for leftover in &leftovers {
        if let Err(error) = fs::remove_dir_all(&leftover.folder) {
            tracing::warn!(folder = %leftover.folder.display(), %error, "folder could not be deleted");
        }
    }
    leftovers.len()
}
