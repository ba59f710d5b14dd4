//! `control/<environment>/control.json`, the control document: what people want of the controller that its settings
//! file does not say. Commands write it on condition that it is unchanged; every controller of the environment reads it
//! every few seconds.
//!
//! It is the wanted state and no list of orders: a controller that starts, or that missed several revisions, does what
//! the newest one says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    SCHEMA,
    document::{Document, DocumentError, decode},
    job::JobKey,
};
use crate::ladder::Profile;

/// Longest text in a control document, in bytes, but for the key prefix of a cancel.
pub const MAX_CONTROL_TEXT: usize = 500;

/// Most cancels in a control document. Writers drop the oldest.
pub const MAX_CANCELS: usize = 1_000;

/// Most paused queues, paused tenants and own profiles, of each.
pub const MAX_NAMES: usize = 500;

/// S3's limit for a key, and so for the prefix of one, in bytes.
const MAX_KEY: usize = 1024;

/// Who wanted something, why, and when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The caller: an ARN as STS names it, or `StopTask`.
    pub who: String,
    /// The reason, in the caller's own words; may be empty.
    #[serde(default)]
    pub why: String,
    /// When (ms since 1970, the clock of the caller's machine).
    pub at_ms: u64,
}

/// Which jobs are cancelled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cancels {
    /// One job, whenever it was asked for.
    Job(JobKey),
    /// The jobs of a tenant by its name in logs and notes, such as `uploads/tenants/acme/`.
    Tenant(String),
    /// The jobs of the objects whose keys begin so.
    #[allow(missing_docs, reason = "a field without a line is what its name and type say")]
    Prefix { bucket: String, prefix: String },
}

/// A cancel. One of many jobs is for those that were asked for before [`Told::at_ms`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct Cancel {
    pub what: Cancels,
    pub told: Told,
}

/// A profile beside those of the settings and of the program. It replaces one of the same name for new jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "a field without a line is what its name and type say")]
pub struct OwnProfile {
    pub profile: Profile,
    pub told: Told,
}

/// Settings over those of the file: the keys of `controller.toml` as JSON, such as `{"launch": {"max_tasks": 20}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsOverlay {
    /// An object.
    pub values: serde_json::Value,
    /// Who wants it.
    pub told: Told,
}

/// The control document. A field that this version does not know is an error: what is wanted is not understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Schema number.
    pub schema: u32,
    /// One more with each write; 0 where nobody has written yet.
    pub revision: u64,
    /// Who wrote this revision, and why: of a resume, nothing else in the document speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Told>,
    /// Nothing is claimed or launched; tasks run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Told>,
    /// Nothing is received either, and all that is not launched is given back; tasks run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained: Option<Told>,
    /// Job queues, by their names in the settings, whose jobs are not claimed or launched.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paused_queues: BTreeMap<String, Told>,
    /// Tenants, by their names in logs and notes such as `uploads/tenants/acme/`, whose jobs are not claimed or launched.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paused_tenants: BTreeMap<String, Told>,
    /// Jobs that shall end without a result, oldest request first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cancels: Vec<Cancel>,
    /// Own profiles by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, OwnProfile>,
    /// Settings over those of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<SettingsOverlay>,
}

impl Document for Control {
    const NAME: &'static str = "control.json";
}

impl Default for Control {
    /// What holds where there is no control document: nothing special is wanted.
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            revision: 0,
            last: None,
            paused: None,
            drained: None,
            paused_queues: BTreeMap::new(),
            paused_tenants: BTreeMap::new(),
            cancels: Vec::new(),
            profiles: BTreeMap::new(),
            settings: None,
        }
    }
}

impl Control {
    /// Reads a control document and checks its limits. Profiles and settings are checked by whoever takes them over,
    /// each by itself: a wrong one takes nothing else out of force.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        let control: Self = decode(bytes)?;
        control.check().map_err(|reason| DocumentError::Invalid { name: Self::NAME, reason })?;
        Ok(control)
    }

    /// Checks the limits. Writers check before they write; the error names the field and its limit.
    pub fn check(&self) -> Result<(), String> {
        let counts = [
            ("paused_queues", self.paused_queues.len(), MAX_NAMES),
            ("paused_tenants", self.paused_tenants.len(), MAX_NAMES),
            ("profiles", self.profiles.len(), MAX_NAMES),
            ("cancels", self.cancels.len(), MAX_CANCELS),
        ];
        if let Some((field, found, most)) = counts.into_iter().find(|(_, found, most)| found > most) {
            return Err(format!("{field}: {found} entries, more than {most}"));
        }
        for told in self.told() {
            fits("who", &told.who, MAX_CONTROL_TEXT)?;
            fits("why", &told.why, MAX_CONTROL_TEXT)?;
        }
        let mut names =
            self.paused_queues.keys().chain(self.paused_tenants.keys()).chain(self.profiles.keys());
        names.try_for_each(|name| fits("a name", name, MAX_KEY))?;
        self.cancels.iter().try_for_each(|cancel| match &cancel.what {
            Cancels::Job(_) => Ok(()),
            Cancels::Tenant(tenant) => fits("a cancelled tenant", tenant, MAX_KEY),
            Cancels::Prefix { bucket, prefix } => fits("the bucket of a cancel", bucket, 63).and(fits(
                "the prefix of a cancel",
                prefix,
                MAX_KEY,
            )),
        })?;
        match &self.settings {
            Some(SettingsOverlay { values, .. }) if !values.is_object() => {
                Err("settings.values: must be an object, such as {\"launch\": {\"max_tasks\": 20}}".into())
            }
            _ => Ok(()),
        }
    }

    fn told(&self) -> impl Iterator<Item = &Told> {
        let whole = self.last.iter().chain(&self.paused).chain(&self.drained);
        let paused = self.paused_queues.values().chain(self.paused_tenants.values());
        let cancels = self.cancels.iter().map(|cancel| &cancel.told);
        let profiles = self.profiles.values().map(|own| &own.told);
        whole.chain(paused).chain(cancels).chain(profiles).chain(self.settings.iter().map(|it| &it.told))
    }
}

fn fits(field: &str, text: &str, most: usize) -> Result<(), String> {
    if text.len() <= most {
        return Ok(());
    }
    Err(format!("{field}: {} bytes, more than {most}", text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::encode;

    fn told(why: &str) -> Told {
        Told { who: "arn:aws:sts::123456789012:assumed-role/operator/ann".into(), why: why.into(), at_ms: 5 }
    }

    fn read(control: &Control) -> Result<Control, DocumentError> {
        Control::read(&encode(control))
    }

    #[test]
    fn what_was_written_is_read_back_and_nothing_written_wants_nothing() {
        let cancel = |what| Cancel { what, told: told("wrong file") };
        let prefix = Cancels::Prefix { bucket: "in".into(), prefix: "a/".into() };
        let full = Control {
            revision: 7,
            paused: Some(told("too expensive")),
            paused_queues: [("uploads".to_owned(), told(""))].into(),
            cancels: vec![
                cancel(Cancels::Job(JobKey::of(&["x"]))),
                cancel(Cancels::Tenant("in/t/acme/".into())),
                cancel(prefix),
            ],
            profiles: [(
                "own".to_owned(),
                OwnProfile { profile: Profile::built_in("standard").unwrap(), told: told("") },
            )]
            .into(),
            settings: Some(SettingsOverlay {
                values: serde_json::json!({"launch": {"max_tasks": 2}}),
                told: told(""),
            }),
            ..Control::default()
        };
        assert_eq!(read(&full), Ok(full.clone()));
        assert_eq!(Control::read(br#"{"schema":1,"revision":0}"#), Ok(Control::default()));
    }

    #[test]
    fn what_is_too_much_or_not_understood_is_refused_by_name() {
        let mut long = Control { paused: Some(told(&"x".repeat(501))), ..Control::default() };
        assert!(read(&long).unwrap_err().to_string().contains("why: 501 bytes"));
        long.paused = Some(told(&"x".repeat(500)));
        assert!(read(&long).is_ok());
        let cancel = Cancel { what: Cancels::Tenant("t/".into()), told: told("") };
        let many = Control { cancels: vec![cancel; MAX_CANCELS + 1], ..Control::default() };
        assert!(read(&many).unwrap_err().to_string().contains("cancels: 1001"));
        for (text, part) in [
            (r#"{"schema":1,"revision":1,"pasued":{"who":"a","at_ms":1}}"#, "pasued"),
            (r#"{"schema":2,"revision":1}"#, "newer than 1"),
            (r#"{"schema":1,"revision":1,"settings":{"values":[],"told":{"who":"a","at_ms":1}}}"#, "object"),
            (r#"{"schema":1}"#, "revision"),
            ("", "control.json"),
        ] {
            let error = Control::read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
