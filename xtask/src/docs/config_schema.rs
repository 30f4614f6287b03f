//! The JSON Schema of the configuration, with the words of `docs/configuration.md`.

use super::File;
use super::reference::Reference;
use serde_json::Value;
use vrrpd::config::json_schema;

/// The schema.
pub(crate) fn config_schema() -> Value {
    let reference = Reference::read();
    json_schema(&|header, key| reference.describe(header, key))
}

/// The schema, for editors.
pub(crate) fn file() -> File {
    File::json("docs/json-schema/config.schema.json", &config_schema())
}
