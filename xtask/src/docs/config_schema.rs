//! Writes the JSON Schema of the configuration; its descriptions come from `docs/configuration.md`.

use super::File;
use super::reference::KeyReference;
use serde_json::Value;
use vrrpd::config::json_schema;

/// Builds the schema with its descriptions.
pub(crate) fn config_schema() -> Value {
    let reference = KeyReference::read();
    json_schema(&|header, key| reference.describe(header, key))
}

/// The file of the schema, which editors use.
pub(crate) fn file() -> File {
    File::json("docs/json-schema/config.schema.json", &config_schema())
}
