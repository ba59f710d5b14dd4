//! The copy of the published files.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use transcode_config::contract::output_prefix;

use crate::{Stack, janitor::Janitor};

/// Marks a folder as made by the demo. The next run may replace such a folder and touches no other.
const MARK: &str = ".made-by-transcode-demo";

/// The target folder of the copy. It is written only when the copy is complete.
#[derive(Debug)]
pub(super) struct OutputFolder {
    target: PathBuf,
}

impl OutputFolder {
    /// Checks, before anything is started, that the copy may be written there.
    pub(super) fn claim(target: &Path) -> Result<Self> {
        if target.exists() {
            let mut entries = fs::read_dir(target)
                .with_context(|| format!("OUT={} is not a folder that can be read", target.display()))?;
            ensure!(
                target.join(MARK).is_file() || entries.next().is_none(),
                "OUT={} holds files that no demo made; name another folder",
                target.display()
            );
        }
        Ok(Self { target: target.to_owned() })
    }

    /// Copies everything below the stable prefix of an uploaded key, then moves the copy to its place in one step.
    pub(super) async fn fill(self, stack: &Stack, key: &str) -> Result<()> {
        let partial = self.partial()?;
        let _janitor = Janitor::of(partial.path())?;
        let prefix = output_prefix(&stack.deployment.output_root, key);
        for object in stack.published(&prefix).await?.into_keys() {
            let name = object.strip_prefix(&prefix).unwrap_or(&object);
            self.copy(stack, &object, &inside(partial.path(), name)?).await?;
        }
        self.replace(partial)
    }

    /// A folder beside the target; removed if the copy fails.
    fn partial(&self) -> Result<TempDir> {
        let parent = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        tempfile::Builder::new()
            .prefix(".transcode-demo-")
            .tempdir_in(parent)
            .with_context(|| parent.display().to_string())
    }

    async fn copy(&self, stack: &Stack, object: &str, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let get = stack.clients().s3.get_object().bucket(&stack.deployment.production_bucket).key(object);
        let answer = get.send().await.with_context(|| format!("GET {object}"))?;
        let mut reader = answer.body.into_async_read();
        let mut writer = tokio::fs::File::create(file).await.with_context(|| file.display().to_string())?;
        tokio::io::copy(&mut reader, &mut writer).await.with_context(|| format!("copying {object}"))?;
        // Errors of the last write appear here.
        writer.sync_all().await.with_context(|| file.display().to_string())
    }

    fn replace(&self, partial: TempDir) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let target = self.target.display().to_string();
        fs::write(partial.path().join(MARK), "").with_context(|| target.clone())?;
        // Temporary folders are private; this one will be served.
        fs::set_permissions(partial.path(), fs::Permissions::from_mode(0o755))
            .with_context(|| target.clone())?;
        if self.target.exists() {
            fs::remove_dir_all(&self.target).with_context(|| target.clone())?;
        }
        // From here on the folder belongs to the user: `keep` cancels its removal.
        fs::rename(partial.path(), &self.target).with_context(|| target.clone())?;
        let _moved = partial.keep();
        Ok(())
    }
}

/// The path of a published name inside a folder. Names come from object keys, so each is checked to stay inside.
fn inside(folder: &Path, name: &str) -> Result<PathBuf> {
    let relative = Path::new(name);
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    ensure!(plain && !name.is_empty(), "the published name {name:?} leads out of the folder");
    Ok(folder.join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_an_own_one_replaced() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("out");
        OutputFolder::claim(&target).unwrap();
        fs::create_dir(&target).unwrap();
        OutputFolder::claim(&target).unwrap();
        fs::write(target.join("thesis.txt"), "").unwrap();
        assert!(OutputFolder::claim(&target).is_err());
        fs::write(target.join(MARK), "").unwrap();

        let folder = OutputFolder::claim(&target).unwrap();
        let partial = folder.partial().unwrap();
        fs::write(partial.path().join("master.m3u8"), "").unwrap();
        folder.replace(partial).unwrap();
        assert!(target.join("master.m3u8").is_file() && !target.join("thesis.txt").exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "the temporary folder is gone");
    }

    #[test]
    fn published_names_stay_inside() {
        let folder = Path::new("/x");
        assert_eq!(inside(folder, "a/b").unwrap(), Path::new("/x/a/b"));
        for name in ["", "../a", "/a", "a/../../b", "."] {
            assert!(inside(folder, name).is_err(), "{name}");
        }
    }
}
