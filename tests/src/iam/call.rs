//! Calls as IAM sees them, and the patterns that policies use for them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

/// A call as IAM sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Action, such as `s3:PutObject`.
    pub action: String,
    /// ARN, or `*` if the action has no resource.
    pub resource: String,
    /// Condition keys in lower case, with their values. A key that is missing in the request is absent.
    pub context: BTreeMap<String, String>,
}

impl Call {
    /// A call without condition keys.
    pub fn new(action: &str, resource: &str) -> Self {
        Self { action: action.to_owned(), resource: resource.to_owned(), context: BTreeMap::new() }
    }

    /// The call with a condition key.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.context.insert(key.to_lowercase(), value.to_owned());
        self
    }
}

/// A string or a list of strings.
pub(super) fn texts(value: &Value) -> Result<Vec<String>> {
    let one =
        |value: &Value| value.as_str().map(str::to_owned).with_context(|| format!("{value} is no text"));
    match value {
        Value::Array(all) => all.iter().map(one).collect(),
        other => Ok(vec![one(other)?]),
    }
}

/// Matches text against a pattern with `*` (any characters) and `?` (one).
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    // `reached[i]`: the pattern so far matches the first i characters of the text.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for wanted in pattern {
        let before = reached.clone();
        for at in 0..=text.len() {
            let one = at > 0 && before[at - 1] && (wanted == '?' || text[at - 1] == wanted);
            reached[at] = match wanted {
                '*' => before[at] || (at > 0 && reached[at - 1]),
                _ => one,
            };
        }
    }
    reached[text.len()]
}
