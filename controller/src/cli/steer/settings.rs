//! `settings`: the settings in force, and changes of them that need no new file: an overlay in the control document.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value};
use transcode_config::{
    Settings,
    contract::{Control, SettingsOverlay},
    load::overlaid,
};

use super::change::{Why, Written, change};
use crate::cli::{
    output::{Show, Table, Text, Tint, time},
    setup::{Session, complete, current, rules_with, with_overlay},
};

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// Print the settings in force: those of the file or stack, and over them what `set` has put.
    Show,
    /// Print what `set` has put, with the values of the file or stack.
    Diff,
    /// Set keys, such as `launch.max_tasks=5`. Takes effect within seconds, without a new file or task definition.
    Set(Set),
    /// Take back what `set` has put, for these keys or all.
    Reset(Reset),
}

/// Keys and values.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Set {
    /// A key of the settings file and its value, as TOML or as a plain word.
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = pair)]
    pairs: Vec<(String, Value)>,
    #[command(flatten)]
    why: Why,
}

/// Keys.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Reset {
    /// Keys to take back; without any, all.
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    why: Why,
}

impl SettingsCommand {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let control = current(session).await?;
        match self {
            Self::Show => session.output.print(&InForce(with_overlay(&session.settings, &control)?)),
            Self::Diff => session.output.print(&Diff::of(&session.settings, &control)?),
            Self::Set(set) => {
                let act = |values: &mut Value| {
                    set.pairs.iter().for_each(|(key, value)| put(values, key, value.clone()));
                };
                let keys = set.pairs.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", ");
                write(session, &control, &set.why, &keys, "set", act).await
            }
            Self::Reset(reset) => {
                let act = |values: &mut Value| {
                    if reset.keys.is_empty() {
                        *values = Value::Object(Map::new());
                    }
                    reset.keys.iter().for_each(|key| remove(values, key));
                };
                let keys =
                    if reset.keys.is_empty() { "all settings".to_owned() } else { reset.keys.join(", ") };
                write(session, &control, &reset.why, &keys, "as in the file", act).await
            }
        }
    }
}

/// Checks and writes a changed overlay.
async fn write(
    session: &Session,
    before: &Control,
    why: &Why,
    keys: &str,
    done: &str,
    act: impl Fn(&mut Value),
) -> anyhow::Result<()> {
    let fitting = |control: &Control| {
        let mut values =
            control.settings.as_ref().map_or_else(|| Value::Object(Map::new()), |it| it.values.clone());
        act(&mut values);
        let own = control.profiles.iter().map(|(name, own)| (name.clone(), own.profile.clone()));
        let merged = overlaid(&session.settings, &values)?;
        complete(&merged, &rules_with(&merged, &own.collect()))?;
        anyhow::Ok(values)
    };
    // Before a reason is asked for.
    fitting(before)?;
    let told = why.told(session).await?;
    let now = change(session, &told, |control| {
        let values = fitting(control)?;
        let empty = values.as_object().is_some_and(Map::is_empty);
        if control.settings.as_ref().map(|it| &it.values) != Some(&values) {
            control.settings = (!empty).then(|| SettingsOverlay { values, told: told.clone() });
        }
        Ok(())
    })
    .await?;
    let what = format!("{keys}: {done}");
    session.output.print(&Written::new(session, before.revision, &now, keys, what).await)
}

/// Parses `launch.max_tasks=5`.
fn pair(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE, such as launch.max_tasks=5")?;
    let key = key.trim();
    if key.split('.').any(str::is_empty) {
        return Err(format!("{key:?} is no key"));
    }
    let value = value.trim();
    let read = |value: &str| toml::from_str::<toml::Table>(&format!("it = {value}")).ok()?.remove("it");
    let value = match read(value) {
        Some(value) => serde_json::to_value(value).map_err(|error| error.to_string())?,
        // A word without quotes.
        None => Value::from(value),
    };
    Ok((key.to_owned(), value))
}

/// Sets a key in nested tables.
fn put(values: &mut Value, key: &str, value: Value) {
    let place = key.split('.').fold(values, |place, part| {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        &mut place[part]
    });
    *place = value;
}

/// Removes a key, and the tables that it leaves empty.
fn remove(values: &mut Value, key: &str) {
    let Some(table) = values.as_object_mut() else { return };
    let Some((first, rest)) = key.split_once('.') else { return drop(table.remove(key)) };
    let Some(inner) = table.get_mut(first) else { return };
    remove(inner, rest);
    if inner.as_object().is_some_and(Map::is_empty) {
        table.remove(first);
    }
}

/// Dotted keys with their values.
fn flat(value: &Value) -> BTreeMap<String, Value> {
    fn walk(path: &str, value: &Value, out: &mut BTreeMap<String, Value>) {
        match value.as_object() {
            Some(table) => table.iter().for_each(|(key, value)| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(&path, value, out);
            }),
            None => drop(out.insert(path.to_owned(), value.clone())),
        }
    }
    let mut out = BTreeMap::new();
    walk("", value, &mut out);
    out
}

#[derive(Debug, Serialize)]
struct InForce(Settings);

impl Show for InForce {
    fn people(&self, text: &mut Text) {
        for line in toml::to_string_pretty(&self.0).unwrap_or_default().lines() {
            text.line(line);
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.0.environment.clone()]
    }
}

#[derive(Debug, Serialize)]
struct Diff {
    changed: Vec<Row>,
    who: Option<String>,
    why: Option<String>,
    at_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Row {
    key: String,
    file: Value,
    set: Value,
}

impl Diff {
    fn of(settings: &Settings, control: &Control) -> anyhow::Result<Self> {
        let file = flat(&serde_json::to_value(settings)?);
        let set = control.settings.as_ref();
        let keys = set.map(|it| flat(&it.values)).unwrap_or_default().into_iter();
        let row =
            |(key, set): (String, Value)| Row { file: file.get(&key).cloned().unwrap_or_default(), key, set };
        let told = set.map(|it| &it.told);
        Ok(Self {
            changed: keys.map(row).collect(),
            who: told.map(|told| told.who.clone()),
            why: told.map(|told| told.why.clone()),
            at_ms: told.map(|told| told.at_ms),
        })
    }
}

impl Show for Diff {
    fn people(&self, text: &mut Text) {
        if self.changed.is_empty() {
            text.line("nothing is set: the settings are those of the file or stack");
            return;
        }
        let mut table = Table::of(&["KEY", "FILE", "SET"]);
        for Row { key, file, set } in &self.changed {
            table.row([key.clone(), file.to_string(), set.to_string()].map(|cell| (Tint::Plain, cell)));
        }
        table.write(text);
        if let (Some(who), Some(why), Some(at)) = (&self.who, &self.why, self.at_ms) {
            text.line(&format!("last set {} by {who} because {why}", time(at)));
        }
    }

    fn names(&self) -> Vec<String> {
        self.changed.iter().map(|it| it.key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::output::prints;

    #[test]
    fn values_are_read_as_in_the_file_and_words_need_no_quotes() {
        let read = |text: &str| pair(text).map(|(_, value)| value);
        assert_eq!(read("launch.max_tasks=5"), Ok(json!(5)));
        assert_eq!(read("launch.paused = true"), Ok(json!(true)));
        assert_eq!(read("launch.per_second=0.5"), Ok(json!(0.5)));
        assert_eq!(read("launch.capacity=FARGATE_SPOT"), Ok(json!("FARGATE_SPOT")));
        assert_eq!(read("sources.uploads.suffixes=[\".mp4\"]"), Ok(json!([".mp4"])));
        assert_eq!(read("jobs.default_profile=\"hevc\""), Ok(json!("hevc")));
        for text in ["launch.max_tasks", "=5", "launch..x=5", ".=1"] {
            assert!(pair(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_are_put_and_taken_back() {
        let mut values = json!({});
        put(&mut values, "launch.max_tasks", json!(5));
        put(&mut values, "launch.paused", json!(true));
        put(&mut values, "jobs.max_attempts", json!(2));
        assert_eq!(values, json!({"launch": {"max_tasks": 5, "paused": true}, "jobs": {"max_attempts": 2}}));
        remove(&mut values, "launch.max_tasks");
        remove(&mut values, "launch.absent");
        remove(&mut values, "jobs.max_attempts");
        assert_eq!(values, json!({"launch": {"paused": true}}));
        remove(&mut values, "launch");
        assert_eq!(values, json!({}));
    }

    #[test]
    fn what_is_set_is_told_with_the_values_of_the_file() {
        let told = transcode_config::contract::Told {
            who: "arn:anna".into(),
            why: "Monday".into(),
            at_ms: 1_796_029_920_000,
        };
        let values = json!({"launch": {"max_tasks": 20}, "jobs": {"default_profile": "hevc"}});
        let set = Control { settings: Some(SettingsOverlay { values, told }), ..Control::default() };
        let file = crate::cli::steer::plan::tests::settings();
        prints("settings-diff", &Diff::of(&file, &set).unwrap());
        prints("settings-diff-none", &Diff::of(&file, &Control::default()).unwrap());
        prints("settings-show", &InForce(with_overlay(&file, &set).unwrap()));
    }
}
