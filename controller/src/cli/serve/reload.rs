//! New settings without a restart: on SIGHUP, or when the file changes.
//!
//! Settings of decisions ([launch], [jobs], [observe], [sources], the queues' weights) take effect at once. Settings of
//! names (queues, buckets, the cluster, …) were given to adapters at the start and need a restart; a change of these is
//! reported and ignored. Settings that are refused change nothing: the last good ones stay in force.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::{signal::unix::Signal, sync::mpsc};
use transcode_config::{Settings, check::check};
use transcode_core::policy::Policy;

use crate::{cli::setup::rules, runtime::Reload};

/// Time between two looks at the file. Each costs one `stat`.
const LOOK: Duration = Duration::from_secs(5);

/// Watches the file and SIGHUP, and sends the settings that may take effect.
pub(in crate::cli) async fn watch(
    file: PathBuf,
    mut current: Settings,
    mut hangup: Signal,
    send: mpsc::Sender<Reload>,
) {
    let mut seen = modified(&file);
    let mut every = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = hangup.recv() => {}
            _ = every.tick() => if modified(&file) == seen { continue },
        }
        seen = modified(&file);
        match read(&file, &current) {
            Ok(None) => tracing::info!("settings read again: nothing changed"),
            Ok(Some((settings, reload))) => {
                current = settings;
                if send.send(reload).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "settings refused; the last good ones stay in force"
                );
            }
        }
    }
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|meta| meta.modified()).ok()
}

/// Reads the file again. Returns the new settings; `None` if nothing that may take effect has changed.
fn read(file: &Path, current: &Settings) -> anyhow::Result<Option<(Settings, Reload)>> {
    let new = transcode_config::load(file)?;
    let merged = current.reloaded(&new);
    for (key, (old, new)) in differences(&merged, &new)? {
        tracing::warn!(key, old, new, "this setting takes effect with the next start");
    }
    let changed = differences(current, &merged)?;
    if changed.is_empty() {
        return Ok(None);
    }
    let found = check(&merged);
    anyhow::ensure!(
        found.is_empty(),
        "together with what waits for a restart: {}",
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    );
    let reload = Reload { policy: Policy::from(&merged), rules: rules(&merged)? };
    for (key, (old, new)) in changed {
        tracing::info!(key, old, new, "setting changed");
    }
    Ok(Some((merged, reload)))
}

/// Keys whose values differ, with both values as text.
fn differences(old: &Settings, new: &Settings) -> anyhow::Result<BTreeMap<String, (String, String)>> {
    let (old, new) = (flat(old)?, flat(new)?);
    let value =
        |settings: &BTreeMap<String, String>, key: &String| settings.get(key).cloned().unwrap_or_default();
    let keys = old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key));
    Ok(keys.map(|key| (key.clone(), (value(&old, key), value(&new, key)))).collect())
}

fn flat(settings: &Settings) -> anyhow::Result<BTreeMap<String, String>> {
    fn walk(path: &str, value: &toml::Value, out: &mut BTreeMap<String, String>) {
        match value.as_table() {
            Some(table) => {
                for (key, value) in table {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    walk(&path, value, out);
                }
            }
            None => drop(out.insert(path.to_owned(), value.to_string())),
        }
    }
    let mut out = BTreeMap::new();
    walk("", &toml::Value::try_from(settings)?, &mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};
    use tokio::signal::unix::{SignalKind, signal};

    use super::*;

    const TEXT: &str = r#"
environment = "test"
queues.high = { url = "q", dead_letter_url = "d", weight = 4 }
queues.low = { url = "r", dead_letter_url = "e", weight = 1 }
sources.uploads.bucket = "uploads"
state.bucket = "state"
output.bucket = "videos"
[cluster]
name = "c"
task_definition = "t"
subnets = ["s"]
"#;

    #[test]
    fn weights_take_effect_at_once_and_addresses_with_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("controller.toml");
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        write(TEXT);
        let current = transcode_config::load(&file).unwrap();
        assert!(read(&file, &current).unwrap().is_none(), "nothing changed");
        write(&TEXT.replace("weight = 1", "weight = 3").replace("\"q\"", "\"elsewhere\""));
        let (settings, reload) = read(&file, &current).unwrap().unwrap();
        assert_eq!((settings.queues["low"].weight, settings.queues["high"].url.as_str()), (3, "q"));
        let weights: Vec<_> = reload.policy.queues.into_iter().collect();
        assert_eq!(weights, [("high".to_owned(), 4), ("low".to_owned(), 3)]);
        write(&TEXT.replace("weight = 1", "weight = 0"));
        assert!(read(&file, &current).is_err(), "the last good ones stay in force");
    }

    #[tokio::test]
    async fn on_sighup_the_file_is_read_again_and_held_against_what_is_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("controller.toml");
        std::fs::write(&file, TEXT).unwrap();
        let (time, current) = (modified(&file).unwrap(), transcode_config::load(&file).unwrap());
        let (send, mut reloads) = mpsc::channel(1);
        let hangup = signal(SignalKind::hangup()).unwrap();
        let watching = tokio::spawn(watch(file.clone(), current, hangup, send));
        for weight in [3, 1] {
            // The same modification time as before: only the signal makes the watcher read it.
            std::fs::write(&file, TEXT.replace("weight = 1", &format!("weight = {weight}"))).unwrap();
            std::fs::File::options().append(true).open(&file).unwrap().set_modified(time).unwrap();
            kill_process(getpid(), Signal::HUP).unwrap();
            let next = tokio::time::timeout(Duration::from_mins(1), reloads.recv());
            let reload = next.await.unwrap().unwrap();
            assert_eq!(reload.policy.queues["low"], weight);
        }
        watching.abort();
    }
}
