//! `profile`: own ladders beside those of the program. They lie in the control document; a job keeps the one that it was
//! accepted with.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;
use transcode_config::{
    Settings,
    contract::{Control, MAX_NAMES, OwnProfile, Told},
    ladder::Profile,
};

use super::change::{Why, Written, change};
use crate::cli::{
    output::{Show, Table, Text, Tint, say, time},
    setup::{Session, current},
};

/// Longest file of a profile, in bytes.
const MAX_FILE: u64 = 256 << 10;

/// What to do with profiles.
#[derive(Debug, Subcommand)]
pub(crate) enum Profiles {
    /// List all profiles, and which sources use them.
    List,
    /// Print a profile, as a file that `put` takes.
    Show {
        /// Its name.
        name: String,
    },
    /// Check the file of a profile by the rules of the task, and change nothing.
    Check {
        /// The file: TOML, as in config/profiles.
        #[arg(value_name = "FILE")]
        text: PathBuf,
    },
    /// Put a profile, for jobs that are accepted from now on.
    Put(Put),
    /// Delete an own profile. Jobs that were accepted with it keep it.
    Delete(Delete),
}

/// The profile to put.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Put {
    /// The file: TOML, as in config/profiles; it has the name.
    #[arg(value_name = "FILE")]
    text: PathBuf,
    #[command(flatten)]
    why: Why,
}

/// The profile to delete.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Delete {
    /// Its name.
    name: String,
    #[command(flatten)]
    why: Why,
}

impl Profiles {
    pub(crate) async fn run(&self, session: &Session) -> anyhow::Result<()> {
        match self {
            Self::List => {
                let control = current(session).await?;
                session.output.print(&Listed::of(&session.settings, &control))
            }
            Self::Show { name } => {
                let control = current(session).await?;
                let own = control.profiles.get(name).map(|own| own.profile.clone());
                let profile = own.or_else(|| Profile::built_in(name));
                let profile =
                    profile.with_context(|| format!("no profile {name}; `profile list` names them"))?;
                session.output.print(&Whole(profile))
            }
            Self::Check { text } => {
                let profile = read(text)?;
                say(&format!("{}: fits, {} renditions\n", profile.name, profile.rungs.len()))
            }
            Self::Put(put) => put.run(session).await,
            Self::Delete(delete) => delete.run(session).await,
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Profile> {
    let at = file.display().to_string();
    let size = std::fs::metadata(file).with_context(|| at.clone())?.len();
    ensure!(size <= MAX_FILE, "{at}: {size} bytes, more than {MAX_FILE}");
    let text = std::fs::read_to_string(file).with_context(|| at.clone())?;
    Ok(Profile::parse(&at, &text)?)
}

impl Put {
    async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let profile = read(&self.text)?;
        let name = profile.name.clone();
        ensure!(
            !name.is_empty()
                && name.len() <= 64
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)),
            "name: 1–64 letters, digits, `-`, `_` and `.`"
        );
        let told = self.why.told(session).await?;
        let before = current(session).await?.revision;
        let now = change(session, &told, |control| {
            let same = control.profiles.get(&name).is_some_and(|own| own.profile == profile);
            if !same {
                let own = OwnProfile { profile: profile.clone(), told: told.clone() };
                control.profiles.insert(name.clone(), own);
            }
            ensure!(
                control.profiles.len() <= MAX_NAMES,
                "{MAX_NAMES} own profiles are the most: delete some first"
            );
            Ok(())
        })
        .await?;
        let built_in = Profile::built_in(&name).is_some();
        let instead = if built_in { ", in place of the program's own" } else { "" };
        let what = format!("profile {name} is in force for new jobs{instead}");
        session.output.print(&Written::new(session, before, &now, &name, what).await)
    }
}

impl Delete {
    async fn run(&self, session: &Session) -> anyhow::Result<()> {
        let name = &self.name;
        let there = current(session).await?;
        let built_in = Profile::built_in(name).is_some();
        ensure!(
            there.profiles.contains_key(name),
            "no own profile {name}{}",
            if built_in { ": it comes with the program" } else { "; `profile list` names them" }
        );
        let users = users(&session.settings);
        if let (false, Some(users)) = (built_in, users.get(name.as_str())) {
            bail!("profile {name} is used by {}: change these settings first", users.join(", "));
        }
        let told = self.why.told(session).await?;
        let now = change(session, &told, |control| {
            control.profiles.remove(name);
            Ok(())
        })
        .await?;
        let instead = if built_in { ": the program's own is in force again" } else { "" };
        let what = format!("profile {name} is deleted{instead}");
        session.output.print(&Written::new(session, there.revision, &now, name, what).await)
    }
}

/// The settings that name each profile.
fn users(settings: &Settings) -> BTreeMap<&str, Vec<String>> {
    let mut users: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    users.entry(&settings.jobs.default_profile).or_default().push("jobs.default_profile".to_owned());
    for (name, source) in &settings.sources {
        if let Some(profile) = &source.profile {
            users.entry(profile).or_default().push(format!("sources.{name}.profile"));
        }
    }
    users
}

#[derive(Debug, Serialize)]
struct Listed {
    profiles: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    own: bool,
    codec: String,
    renditions: usize,
    used_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    told: Option<Told>,
}

impl Listed {
    fn of(settings: &Settings, control: &Control) -> Self {
        let users = users(settings);
        let built_in = Profile::built_in_names()
            .filter_map(|name| Some((name.to_owned(), (Profile::built_in(name)?, None))));
        let mut all: BTreeMap<String, (Profile, Option<Told>)> = built_in.collect();
        let own = control.profiles.iter();
        all.extend(own.map(|(name, own)| (name.clone(), (own.profile.clone(), Some(own.told.clone())))));
        let row = |(name, (profile, told)): (String, (Profile, Option<Told>))| Row {
            codec: format!("{:?}", profile.codec).to_lowercase(),
            renditions: profile.rungs.len(),
            used_by: users.get(name.as_str()).cloned().unwrap_or_default(),
            own: told.is_some(),
            told,
            name,
        };
        Self { profiles: all.into_iter().map(row).collect() }
    }
}

impl Show for Listed {
    fn people(&self, text: &mut Text) {
        let mut table = Table::of(&["NAME", "CODEC", "RENDITIONS", "USED BY", "PUT BY", "WHY"]);
        for row in &self.profiles {
            let by = row
                .told
                .as_ref()
                .map(|told| format!("{} {}", told.who, time(told.at_ms)))
                .unwrap_or_default();
            let why = row.told.as_ref().map(|told| told.why.clone()).unwrap_or_default();
            let cells = [
                row.name.clone(),
                row.codec.clone(),
                row.renditions.to_string(),
                row.used_by.join(", "),
                by,
                why,
            ];
            table.row(cells.map(|cell| (Tint::Plain, cell)));
        }
        table.write(text);
    }

    fn names(&self) -> Vec<String> {
        self.profiles.iter().map(|row| row.name.clone()).collect()
    }
}

#[derive(Debug, Serialize)]
struct Whole(Profile);

impl Show for Whole {
    fn people(&self, text: &mut Text) {
        for line in toml::to_string_pretty(&self.0).unwrap_or_default().lines() {
            text.line(line);
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.0.name.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{output::prints, steer::plan::tests::settings};

    #[test]
    fn profiles_are_listed_with_who_put_them_and_shown_as_files() {
        let mut own = Profile::built_in("audio").unwrap();
        own.name = "podcast".into();
        let told = Told { who: "arn:anna".into(), why: "no pictures".into(), at_ms: 1_796_029_920_000 };
        let profiles = [("podcast".to_owned(), OwnProfile { profile: own.clone(), told })].into();
        let control = Control { profiles, ..Control::default() };
        prints("profile-list", &Listed::of(&settings(), &control));
        prints("profile-show", &Whole(own));
    }
}
