//! Loads settings: defaults < file < environment.

use std::{collections::BTreeMap, path::Path};

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
    value::Value,
};

use crate::{
    check::{self, Contradiction},
    settings::{DEFAULTS, Settings},
};

/// Why settings were refused. The message names the key and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A key is missing, unknown or of the wrong type.
    #[error("{0}")]
    Shape(String),
    /// Keys contradict each other, or a value is out of range.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Contradictions(Vec<Contradiction>),
    /// The file cannot be read.
    #[error("settings file {0} cannot be read: {1}")]
    Unreadable(String, std::io::Error),
}

/// Loads a settings file over the defaults, and the environment over both.
pub fn load(file: &Path) -> Result<Settings, SettingsError> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| SettingsError::Unreadable(file.display().to_string(), error))?;
    from_text(&text, environment())
}

/// The settings of a controller that has the shipped defaults and these variables: what its task definition says. Only
/// variables that are settings count.
pub fn from_variables<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Settings, SettingsError> {
    let mut layer = Figment::new();
    for (name, value) in variables {
        let Some(key) = name.strip_prefix("TRANSCODE_").map(str::to_lowercase) else { continue };
        if key.contains("__") || key == "environment" {
            // As figment's own layer of variables reads a value.
            let Ok(value) = value.parse::<Value>();
            layer = layer.merge((key.replace("__", "."), value));
        }
    }
    checked(&Figment::from(Toml::string(DEFAULTS)).merge(layer).merge(environment()))
}

/// The environment layer: `TRANSCODE_<TABLE>__<KEY>` and `TRANSCODE_ENVIRONMENT`. Variables without `__` belong to
/// others (the task's identity, paths of tools) and are not settings.
fn environment() -> Env {
    Env::prefixed("TRANSCODE_").filter(|key| key.as_str().contains("__") || key == "environment").split("__")
}

/// Loads from text, for tests and for reloading.
pub fn from_text(text: &str, environment: Env) -> Result<Settings, SettingsError> {
    checked(&Figment::from(Toml::string(DEFAULTS)).merge(Toml::string(text)).merge(environment))
}

/// Settings with other values over them, as a controller takes them while it runs: `{"launch": {"max_tasks": 5}}`. A key
/// that needs a restart is refused.
pub fn overlaid(settings: &Settings, values: &serde_json::Value) -> Result<Settings, SettingsError> {
    let base = Serialized::defaults(settings);
    let new = checked(&Figment::from(base).merge(Serialized::defaults(values)))?;
    let taken = settings.reloaded(&new);
    if taken == new {
        return Ok(new);
    }
    let fixed = flat(&new).into_iter().filter(|(key, value)| flat(&taken).get(key) != Some(value));
    let refused =
        |(key, _)| format!("{key}: takes effect with the next start only; change the file or the stack");
    Err(SettingsError::Shape(fixed.map(refused).collect::<Vec<_>>().join("\n")))
}

/// The values by their dotted keys.
fn flat(settings: &Settings) -> BTreeMap<String, serde_json::Value> {
    fn walk(path: &str, value: serde_json::Value, out: &mut BTreeMap<String, serde_json::Value>) {
        match value {
            serde_json::Value::Object(table) => {
                for (key, value) in table {
                    let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                    walk(&path, value, out);
                }
            }
            value => drop(out.insert(path.to_owned(), value)),
        }
    }
    let mut out = BTreeMap::new();
    // Plain structures with string keys: serialising cannot fail.
    walk("", serde_json::to_value(settings).unwrap_or_default(), &mut out);
    out
}

fn checked(figment: &Figment) -> Result<Settings, SettingsError> {
    let settings: Settings = figment.extract().map_err(|errors| {
        SettingsError::Shape(errors.into_iter().map(|error| describe(&error)).collect::<Vec<_>>().join("\n"))
    })?;
    let contradictions = check::check(&settings);
    if contradictions.is_empty() { Ok(settings) } else { Err(SettingsError::Contradictions(contradictions)) }
}

/// One line for one error, with the full path of the key.
fn describe(error: &figment::Error) -> String {
    use figment::error::Kind;
    let path = error.path.join(".");
    let within = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match &error.kind {
        Kind::UnknownField(field, known) => {
            // figment's path already ends with the unknown field.
            let key = if path.is_empty() { field.as_str() } else { path.as_str() };
            format!("{key}: unknown key; known here: {}", known.join(", "))
        }
        Kind::MissingField(field) => {
            format!("{}: missing; set it in the file or as {}", within(field), variable(&within(field)))
        }
        kind if path.is_empty() => kind.to_string(),
        kind => format!("{path}: {kind}"),
    }
}

fn variable(path: &str) -> String {
    format!("TRANSCODE_{}", path.replace('.', "__").to_uppercase())
}
