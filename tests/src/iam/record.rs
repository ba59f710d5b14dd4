//! The emulator's record of requests and decisions (`scripts/emulator_iam.py`).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{call::Call, policy::Policy};

/// A decision on a role's call.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Name of the role.
    pub role: String,
    /// The call.
    pub call: Call,
    /// Whether the call was allowed.
    pub allowed: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Decision {
        role: String,
        action: String,
        resource: String,
        context: BTreeMap<String, Value>,
        allowed: bool,
    },
    Session {
        role: String,
        access_key: String,
        policies: Vec<Value>,
    },
}

/// The record.
#[derive(Debug, Clone)]
pub struct Record {
    path: PathBuf,
}

impl Record {
    /// The record in this file.
    pub fn at(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// Every decision so far.
    pub fn decisions(&self) -> Result<Vec<Decided>> {
        let mut found = Vec::new();
        for line in self.lines()? {
            if let Line::Decision { role, action, resource, context, allowed } = line {
                let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let known = context.into_iter().filter(|(_, value)| !value.is_null());
                let context = known.map(|(key, value)| (key.to_lowercase(), text(value))).collect();
                found.push(Decided { role, call: Call { action, resource, context }, allowed });
            }
        }
        Ok(found)
    }

    /// The role to whose session an access key belongs.
    pub fn role_of(&self, key: &str) -> Result<Option<String>> {
        Ok(self.lines()?.into_iter().find_map(|line| match line {
            Line::Session { role, access_key, .. } if access_key == key => Some(role),
            _ => None,
        }))
    }

    /// The policies of an assumed role, as deployed.
    pub fn policies(&self, name: &str) -> Result<Vec<Policy>> {
        let documents = self.lines()?.into_iter().rev().find_map(|line| match line {
            Line::Session { role, policies, .. } if role == name => Some(policies),
            _ => None,
        });
        let documents = documents.with_context(|| format!("the role {name} was not assumed"))?;
        documents.iter().map(|one| Policy::parse(one).with_context(|| format!("role {name}"))).collect()
    }

    fn lines(&self) -> Result<Vec<Line>> {
        let text = std::fs::read_to_string(&self.path).with_context(|| self.path.display().to_string())?;
        // The emulator may be writing the last line.
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        let line = |line: &str| serde_json::from_str(line).with_context(|| line.to_owned());
        whole.lines().map(line).collect()
    }
}
