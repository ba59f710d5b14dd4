//! `docs/schema/`: the JSON Schemas of the documents that other programs write or read.

use serde_json::Value;
use transcode_config::{DEFAULTS, schema};
use transcode_core::message::schema as message;

use super::{Key, keys, rewrite};

#[test]
fn schemas() {
    for (name, title, schema) in [
        ("event", "`detail` of an event of a job on the bus", schema::event()),
        ("request", "A job request", message::request()),
        ("message", "A message of a job queue that asks for jobs", message::message()),
        ("files", "`files.json`: every file of an attempt's folder", transcode_task::job::files_schema()),
        (
            "metadata",
            "`metadata.json`: facts about source and result",
            transcode_media::package::metadata::schema(),
        ),
        (
            "manifest",
            "`manifest.json`: all that was made, with its address",
            transcode_media::package::listing::schema(),
        ),
        ("settings", "The controller's settings file, as JSON", described(schema::settings())),
        ("profile", "A profile, as JSON", schema::profile()),
        ("status", "`status.json`: what the controller knows", schema::status()),
    ] {
        let mut schema = schema.to_value();
        schema["title"] = title.into();
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let path = format!("docs/schema/{name}.schema.json");
        let found =
            std::fs::read_to_string(transcode_tests::paths::checkout().join(&path)).unwrap_or_default();
        rewrite(&path, &found, &text);
    }
}

/// The settings' keys with their reasons from the shipped file.
fn described(mut schema: schemars::Schema) -> schemars::Schema {
    let root = schema.as_value().clone();
    let tables: Vec<(String, String)> =
        keys(DEFAULTS).iter().filter_map(|key| Some((of(&root, key)?, key.reason.clone()))).collect();
    for (pointer, reason) in tables {
        if let Some(Value::Object(property)) = schema.pointer_mut(&pointer) {
            property.insert("description".into(), reason.into());
        }
    }
    schema
}

/// Where the schema has a key: its table is a property of the root, or of a table, by reference.
fn of(root: &Value, key: &Key<'_>) -> Option<String> {
    let mut place = String::new();
    for part in key.table.split('.').filter(|part| !part.is_empty()) {
        let table = root.pointer(&format!("{place}/properties/{part}"))?;
        table["$ref"].as_str()?.trim_start_matches('#').clone_into(&mut place);
    }
    let pointer = format!("{place}/properties/{}", key.name);
    root.pointer(&pointer).map(|_| pointer)
}
