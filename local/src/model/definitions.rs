//! Task definitions: those registered here and those imported from the upstream endpoint.
//!
//! Definitions made by CloudFormation may hold numbers and booleans as text, so fields are read tolerantly.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Millis, error::ApiError, names};

/// Revisions kept of all families together.
const MAX_REVISIONS: usize = 10_000;

/// One revision.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    /// `taskDefinition` as DescribeTaskDefinition answers it.
    pub(crate) body: Value,
    pub(crate) tags: Value,
    /// When it was last read from the upstream endpoint; `None` for one registered here.
    pub(crate) imported: Option<Millis>,
}

/// A container of a definition, with what running it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerSpec {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) essential: bool,
    /// MiB.
    pub(crate) memory: Option<u64>,
    /// Seconds.
    pub(crate) stop_timeout: Option<u64>,
    pub(crate) entry_point: Vec<String>,
    pub(crate) command: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
}

/// All revisions of all families.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    families: BTreeMap<String, BTreeMap<u32, Definition>>,
}

impl Definition {
    pub(crate) fn is_active(&self) -> bool {
        self.body["status"].as_str().is_none_or(|status| status.eq_ignore_ascii_case("ACTIVE"))
    }

    pub(crate) fn arn(&self) -> &str {
        self.body["taskDefinitionArn"].as_str().unwrap_or_default()
    }

    /// A scalar field as text, be it text or a number.
    pub(crate) fn text(&self, field: &str) -> Option<String> {
        text(&self.body[field])
    }

    pub(crate) fn containers(&self) -> Vec<ContainerSpec> {
        list(&self.body["containerDefinitions"]).iter().map(container).collect()
    }
}

impl Definitions {
    /// Adds the next revision of a family, after the newest that is known.
    pub(crate) fn next_revision(&self, family: &str) -> u32 {
        let newest = self.families.get(family).and_then(|revisions| revisions.keys().next_back());
        newest.map_or(1, |revision| revision.saturating_add(1))
    }

    /// Keeps a revision, in the place of one with the same number.
    pub(crate) fn insert(
        &mut self,
        family: &str,
        revision: u32,
        definition: Definition,
    ) -> Result<(), ApiError> {
        if self.families.values().map(BTreeMap::len).sum::<usize>() >= MAX_REVISIONS {
            return Err(ApiError::client("Too many task definition revisions."));
        }
        self.families.entry(family.to_owned()).or_default().insert(revision, definition);
        Ok(())
    }

    /// The revision that a reference means: without a number, the newest ACTIVE one.
    pub(crate) fn find(&self, reference: &str) -> Option<(u32, &Definition)> {
        let (family, revision) = names::definition(reference)?;
        let revisions = self.families.get(family)?;
        match revision {
            Some(revision) => revisions.get(&revision).map(|definition| (revision, definition)),
            None => revisions
                .iter()
                .rev()
                .find(|(_, definition)| definition.is_active())
                .map(|(revision, definition)| (*revision, definition)),
        }
    }

    /// The same, to change it.
    pub(crate) fn find_mut(&mut self, reference: &str) -> Option<&mut Definition> {
        let (family, revision) = names::definition(reference)?;
        self.families.get_mut(family)?.get_mut(&revision?)
    }

    /// Every revision with its family, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Definition)> {
        self.families
            .iter()
            .flat_map(|(family, revisions)| revisions.values().map(move |one| (family.as_str(), one)))
    }
}

fn container(body: &Value) -> ContainerSpec {
    ContainerSpec {
        name: text(&body["name"]).unwrap_or_default(),
        image: text(&body["image"]).unwrap_or_default(),
        essential: text(&body["essential"]).is_none_or(|flag| flag != "false"),
        memory: number(&body["memory"]).filter(|memory| *memory > 0),
        stop_timeout: number(&body["stopTimeout"]),
        entry_point: strings(&body["entryPoint"]),
        command: strings(&body["command"]),
        environment: environment(&body["environment"]),
    }
}

/// The list, or an empty one for anything else.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A list of name and value pairs.
pub(crate) fn environment(value: &Value) -> Vec<(String, String)> {
    list(value)
        .iter()
        .filter_map(|pair| Some((text(&pair["name"])?, text(&pair["value"]).unwrap_or_default())))
        .collect()
}

/// A list of texts.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    list(value).iter().filter_map(text).collect()
}

/// A scalar as text; `None` for null, lists and objects, and for empty text.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A whole number, also one written as text.
pub(crate) fn number(value: &Value) -> Option<u64> {
    text(value)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_written_as_text_are_understood() {
        let definition = Definition {
            body: json!({"cpu": 256, "containerDefinitions": [{
                "name": "a", "image": "i", "essential": "false", "memory": "64", "stopTimeout": "5", "command": ["x", 1],
                "environment": [{"name": "A", "value": 1}, {"name": "B", "value": null}, {"value": "no name"}],
            }]}),
            tags: Value::Null,
            imported: None,
        };
        let containers = definition.containers();
        assert_eq!(definition.text("cpu").as_deref(), Some("256"));
        assert_eq!(containers[0].command, ["x", "1"]);
        assert_eq!(containers[0].environment, [("A".into(), "1".into()), ("B".into(), String::new())]);
        assert_eq!((containers[0].memory, containers[0].stop_timeout), (Some(64), Some(5)));
        assert!(!containers[0].essential && definition.is_active());
    }
}
