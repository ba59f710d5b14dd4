//! New settings without a restart: on SIGHUP, when the file changes, or when the control document does.
//!
//! Settings of decisions ([launch], [jobs], [observe], [sources], [events] without its queue, the queues' weights) take
//! effect at once. Settings of names (queues, buckets, the cluster, …) were given to adapters at the start and need a
//! restart; a change of these is reported and ignored. Settings that are refused change nothing: the last good ones stay
//! in force.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tokio::{signal::unix::Signal, sync::mpsc};
use transcode_config::{
    Settings,
    check::check,
    contract::OwnProfile,
    ladder::Profile,
    load::{load, overlaid},
};
use transcode_core::{
    message::Rules,
    policy::Policy,
    protocol::{fact::Fact, steering::Steering},
};

use super::control::News;
use crate::{
    cli::setup::{complete, rules_with},
    runtime::Reload,
};

/// Time between two looks at the file. Each costs one `stat`.
const LOOK: Duration = Duration::from_secs(5);

/// The settings in force, and where they come from.
pub(super) struct Keeper {
    file: PathBuf,
    /// What the file held when it was last read.
    seen: Option<SystemTime>,
    settings: Settings,
    /// Settings of the control document, over those of the file.
    overlay: Option<Value>,
    /// Own profiles of the control document.
    profiles: BTreeMap<String, Profile>,
    /// A profile that the settings name is missing: every upload that needs it would become a dead letter.
    lacking: bool,
    /// What people want, kept back while a profile is missing: without it the controller begins nothing.
    kept_back: Option<Steering>,
}

impl Keeper {
    /// `settings` were just read from the file.
    pub(super) fn new(file: PathBuf, settings: Settings) -> Self {
        let (seen, profiles) = (modified(&file), BTreeMap::new());
        let lacking = complete(&settings, &rules_with(&settings, &profiles)).is_err();
        Self { file, seen, settings, overlay: None, profiles, lacking, kept_back: None }
    }

    /// Watches the file, SIGHUP and the control document, and sends what may take effect.
    pub(super) async fn watch(
        mut self,
        mut hangup: Signal,
        mut control: mpsc::Receiver<News>,
        send: mpsc::Sender<Reload>,
    ) {
        let mut every = tokio::time::interval(LOOK);
        loop {
            let reload = tokio::select! {
                _ = hangup.recv() => self.file_changed(),
                _ = every.tick() => if modified(&self.file) == self.seen { continue } else { self.file_changed() },
                Some(news) = control.recv() => Some(self.steer(news)),
            };
            if let Some(reload) = reload
                && send.send(reload).await.is_err()
            {
                return;
            }
        }
    }

    fn file_changed(&mut self) -> Option<Reload> {
        self.seen = modified(&self.file);
        match self.take_over(self.overlay.clone(), self.profiles.clone()) {
            Ok(None) => tracing::info!("settings read again: nothing changed"),
            Ok(decisions) => {
                let kept_back = self.kept_back.take().map(|steering| Fact::Steered(Box::new(steering)));
                return Some(Reload { decisions, steering: kept_back.into_iter().collect() });
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "settings refused; the last good ones stay in force"
                );
            }
        }
        None
    }

    /// What holds after a change of the control document. A part of it that is refused takes nothing else out of force.
    fn steer(&mut self, news: News) -> Reload {
        let control = match news {
            News::Holds(control) => control,
            News::Refused(error) => {
                return Reload { steering: vec![Fact::SteeringRefused { error }], ..Reload::default() };
            }
        };
        let wanted = Steering::from(&*control);
        let (profiles, mut refused) = checked(control.profiles);
        let overlay = control.settings.map(|overlay| overlay.values);
        let taken = self.take_over(overlay, profiles.clone()).or_else(|error| {
            refused.push(format!("settings: {error:#}"));
            self.take_over(self.overlay.clone(), profiles)
        });
        let decisions = taken.unwrap_or_else(|error| {
            refused.push(format!("profiles: {error:#}"));
            None
        });
        let mut steering = Vec::new();
        if self.lacking {
            self.kept_back = Some(wanted);
        } else {
            steering.push(Fact::Steered(Box::new(wanted)));
        }
        if !refused.is_empty() {
            steering.push(Fact::SteeringRefused { error: refused.join("; ") });
        }
        Reload { decisions, steering }
    }

    /// Reads the file again, with this overlay and these profiles. Returns policy and rules; `None` if nothing that may
    /// take effect has changed.
    fn take_over(
        &mut self,
        overlay: Option<Value>,
        profiles: BTreeMap<String, Profile>,
    ) -> anyhow::Result<Option<(Policy, Rules)>> {
        let file = load(&self.file)?;
        let new = overlay.as_ref().map_or_else(|| Ok(file.clone()), |values| overlaid(&file, values))?;
        let merged = self.settings.reloaded(&new);
        for (key, (old, new)) in differences(&merged, &new)? {
            tracing::warn!(key, old, new, "this setting takes effect with the next start");
        }
        let changed = differences(&self.settings, &merged)?;
        let found = check(&merged);
        anyhow::ensure!(
            found.is_empty(),
            "together with what waits for a restart: {}",
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        );
        let rules = rules_with(&merged, &profiles);
        complete(&merged, &rules)?;
        let decisions = (Policy::from(&merged), rules);
        (self.overlay, self.lacking) = (overlay, false);
        if changed.is_empty() && profiles == self.profiles {
            return Ok(None);
        }
        for (key, (old, new)) in changed {
            tracing::info!(key, old, new, "setting changed");
        }
        (self.settings, self.profiles) = (merged, profiles);
        Ok(Some(decisions))
    }
}

/// The own profiles that pass the task's own rules, and why the others are refused.
fn checked(own: BTreeMap<String, OwnProfile>) -> (BTreeMap<String, Profile>, Vec<String>) {
    let (mut profiles, mut refused) = (BTreeMap::new(), Vec::new());
    for (name, OwnProfile { profile, .. }) in own {
        match profile.check() {
            Ok(()) if profile.name == name => drop(profiles.insert(name, profile)),
            Ok(()) => refused.push(format!("profile {name}: calls itself {}", profile.name)),
            Err(error) => refused.push(error.to_string()),
        }
    }
    (profiles, refused)
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|meta| meta.modified()).ok()
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
    use serde_json::json;
    use tokio::signal::unix::{SignalKind, signal};
    use transcode_config::contract::{Control, SettingsOverlay, Told};

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

    fn keeper(text: &str) -> (tempfile::TempDir, Keeper) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("controller.toml");
        std::fs::write(&file, text).unwrap();
        let settings = transcode_config::load(&file).unwrap();
        (folder, Keeper::new(file, settings))
    }

    fn told() -> Told {
        Told { who: "ann".into(), why: "tried".into(), at_ms: 1 }
    }

    fn overlay(values: Value) -> SettingsOverlay {
        SettingsOverlay { values, told: told() }
    }

    fn holds(control: Control) -> News {
        News::Holds(Box::new(control))
    }

    fn refused(reload: &Reload) -> Option<&str> {
        reload.steering.iter().find_map(|fact| match fact {
            Fact::SteeringRefused { error } => Some(error.as_str()),
            _ => None,
        })
    }

    #[test]
    fn weights_take_effect_at_once_and_addresses_with_the_next_start() {
        let (_folder, mut keeper) = keeper(TEXT);
        let write = |text: &str, keeper: &Keeper| std::fs::write(&keeper.file, text).unwrap();
        assert!(keeper.file_changed().is_none(), "nothing changed");
        write(&TEXT.replace("weight = 1", "weight = 3").replace("\"q\"", "\"elsewhere\""), &keeper);
        let (policy, _) = keeper.file_changed().unwrap().decisions.unwrap();
        assert_eq!(
            (keeper.settings.queues["low"].weight, keeper.settings.queues["high"].url.as_str()),
            (3, "q")
        );
        let weights: Vec<_> = policy.queues.into_iter().collect();
        assert_eq!(weights, [("high".to_owned(), 4), ("low".to_owned(), 3)]);
        write(&TEXT.replace("weight = 1", "weight = 0"), &keeper);
        assert!(keeper.file_changed().is_none(), "the last good ones stay in force");
        assert_eq!(keeper.settings.queues["low"].weight, 3);
    }

    #[test]
    fn an_overlay_is_over_the_file_until_it_goes_and_a_refused_one_leaves_the_last_good_one() {
        let (_folder, mut keeper) = keeper(TEXT);
        let with =
            |revision, values| Control { revision, settings: Some(overlay(values)), ..Control::default() };
        let reload = keeper.steer(holds(with(1, json!({"launch": {"max_tasks": 7}}))));
        assert_eq!(reload.decisions.as_ref().unwrap().0.max_tasks, 7);
        assert!(matches!(&reload.steering[..], [Fact::Steered(steering)] if steering.revision == 1));
        for (values, key) in [
            (json!({"launch": {"max_tasks": 0}}), "launch.max_tasks"),
            (json!({"launch": {"max_taskss": 3}}), "max_taskss"),
            (json!({"launch": "no"}), "launch"),
        ] {
            let reload = keeper.steer(holds(with(2, values)));
            let why = refused(&reload).unwrap();
            assert!(reload.decisions.is_none() && why.contains(key), "{why}");
            assert_eq!(keeper.settings.launch.max_tasks, 7);
        }
        std::fs::write(&keeper.file, TEXT.replace("weight = 1", "weight = 3")).unwrap();
        assert_eq!(
            keeper.file_changed().unwrap().decisions.unwrap().0.max_tasks,
            7,
            "over a changed file too"
        );
        let gone = keeper.steer(holds(Control { revision: 3, ..Control::default() }));
        assert_ne!(gone.decisions.unwrap().0.max_tasks, 7);
    }

    #[test]
    fn own_profiles_take_effect_at_once_and_a_wrong_one_is_refused_alone() {
        let (_folder, mut keeper) = keeper(TEXT);
        let profile = |name: &str| Profile { name: name.into(), ..Profile::built_in("standard").unwrap() };
        let own = |profile| OwnProfile { profile, told: told() };
        let profiles = [
            ("mine".to_owned(), own(profile("mine"))),
            ("other".to_owned(), own(profile("not-other"))),
            ("wrong".to_owned(), own(Profile { crf: 99, ..profile("wrong") })),
        ];
        let control = Control { revision: 1, profiles: profiles.into(), ..Control::default() };
        let reload = keeper.steer(holds(control));
        let rules = &reload.decisions.as_ref().unwrap().1;
        assert!(rules.profiles.contains_key("mine") && rules.profiles.contains_key("standard"));
        assert!(!rules.profiles.contains_key("other") && !rules.profiles.contains_key("wrong"));
        let why = refused(&reload).unwrap();
        assert!(why.contains("profile other: calls itself not-other") && why.contains("crf: 99"), "{why}");
        let unread = keeper.steer(News::Refused("AccessDenied".into()));
        assert!(unread.decisions.is_none() && refused(&unread) == Some("AccessDenied"));
        assert!(keeper.profiles.contains_key("mine"), "the last good ones stay in force");
    }

    #[test]
    fn while_a_profile_that_the_settings_name_is_missing_nothing_begins() {
        let text =
            TEXT.replace("bucket = \"uploads\"", "bucket = \"uploads\"\njobs.default_profile = \"mine\"");
        let (_folder, mut keeper) = keeper(&text);
        let without = keeper.steer(holds(Control { revision: 1, ..Control::default() }));
        let why = refused(&without).unwrap();
        assert!(why.contains("profile mine") && why.contains("`profile put`"), "{why}");
        assert!(!without.steering.iter().any(|fact| matches!(fact, Fact::Steered(_))), "{without:?}");
        let profile = Profile { name: "mine".into(), ..Profile::built_in("standard").unwrap() };
        let profiles = [("mine".to_owned(), OwnProfile { profile, told: told() })].into();
        let with = keeper.steer(holds(Control { revision: 2, profiles, ..Control::default() }));
        assert!(matches!(&with.steering[..], [Fact::Steered(steering)] if steering.revision == 2));
        assert!(with.decisions.unwrap().1.profiles.contains_key("mine"));

        // Or the file names another one.
        let (_folder, mut keeper) = super::tests::keeper(&text);
        keeper.steer(holds(Control { revision: 3, ..Control::default() }));
        std::fs::write(&keeper.file, TEXT).unwrap();
        let repaired = keeper.file_changed().unwrap();
        assert!(matches!(&repaired.steering[..], [Fact::Steered(steering)] if steering.revision == 3));
    }

    #[tokio::test]
    async fn on_sighup_the_file_is_read_again_and_held_against_what_is_in_force() {
        let (_folder, keeper) = keeper(TEXT);
        let (file, time) = (keeper.file.clone(), keeper.seen.unwrap());
        let (send, mut reloads) = mpsc::channel(1);
        let hangup = signal(SignalKind::hangup()).unwrap();
        let (_news, control) = mpsc::channel(1);
        let watching = tokio::spawn(keeper.watch(hangup, control, send));
        for weight in [3, 1] {
            // The same modification time as before: only the signal makes the watcher read it.
            std::fs::write(&file, TEXT.replace("weight = 1", &format!("weight = {weight}"))).unwrap();
            std::fs::File::options().append(true).open(&file).unwrap().set_modified(time).unwrap();
            kill_process(getpid(), Signal::HUP).unwrap();
            let next = tokio::time::timeout(Duration::from_mins(1), reloads.recv());
            let (policy, _) = next.await.unwrap().unwrap().decisions.unwrap();
            assert_eq!(policy.queues["low"], weight);
        }
        watching.abort();
    }
}
