//! JSON Schemas (draft 2020-12) of documents that others write or read, from the types that read and write them.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::Value;

use crate::{
    contract::{JobEvent, StatusReport},
    ladder::Profile,
    settings::Settings,
};

/// The schema of a document that is written here.
pub fn written<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// The schema of a document that is read here.
pub fn read<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>()
}

/// `detail` of an event on the bus.
pub fn event() -> Schema {
    written::<JobEvent>()
}

/// The controller's report.
pub fn status() -> Schema {
    written::<StatusReport>()
}

/// A file of a profile.
pub fn profile() -> Schema {
    read::<Profile>()
}

/// A settings file. A key that is left out has the default of `config/controller.toml`, so a schema can ask for none
/// but those of queues, sources, overlays and tenants.
pub fn settings() -> Schema {
    let mut schema = read::<Settings>();
    schema.remove("required");
    if let Some(Value::Object(kinds)) = schema.get_mut("$defs") {
        let own = ["QueueSettings", "SourceSettings", "OverlaySettings", "TenantSettings"];
        for (_, kind) in kinds.iter_mut().filter(|(name, _)| !own.contains(&name.as_str())) {
            if let Value::Object(fields) = kind {
                fields.remove("required");
            }
        }
    }
    schema
}
