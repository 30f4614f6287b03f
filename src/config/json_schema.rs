//! The configuration as a JSON Schema, with which editors complete keys and show errors while the
//! operator types.
//!
//! The schema is written from the known keys of `schema`. It is as strict as JSON Schema can be
//! about one key, but does not express how keys depend on each other; only `vrrpd --check` decides
//! whether a configuration is valid. The schema is of draft 7, because the TOML plugins of editors
//! read that. Where a text is checked by a pattern, the pattern accepts all that the reader accepts
//! and a little more (docs/json-schema).

use super::schema::{self, Known, Off, Schema, Shape, Support};
use serde_json::{Map, Value, json};

/// The schema. `describe` returns the meaning of a key of a table (named as in
/// `docs/configuration.md`).
#[must_use]
pub fn json_schema(describe: &dyn Fn(&str, &str) -> Option<String>) -> Value {
    let mut root = table(&schema::ROOT, describe);
    root.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    root.insert("title".to_owned(), json!("/etc/vrrpd/vrrpd.toml"));
    Value::Object(root)
}

fn table(schema: &Schema, describe: &dyn Fn(&str, &str) -> Option<String>) -> Map<String, Value> {
    let mut properties = Map::new();
    for known in schema.keys() {
        let Some(mut value) = key(known, describe) else { continue };
        if let Some(description) = describe(schema.header, known.name) {
            value.insert("description".to_owned(), json!(description));
        }
        properties.insert(known.name.to_owned(), Value::Object(value));
    }
    let mut table = object(json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    }));
    if !schema.required.is_empty() {
        table.insert("required".to_owned(), json!(schema.required));
    }
    table
}

/// The schema of one key; `None` for a key that this version always refuses.
fn key(known: &Known, describe: &dyn Fn(&str, &str) -> Option<String>) -> Option<Map<String, Value>> {
    match known.support {
        Support::Now(shape) => Some(of_shape(shape, describe)),
        Support::Later(Off::False) => Some(object(json!({ "const": false }))),
        Support::Later(Off::Empty) => Some(object(json!({ "const": [] }))),
        Support::Later(Off::Never | Off::Beside(_)) => None,
    }
}

fn of_shape(shape: Shape, describe: &dyn Fn(&str, &str) -> Option<String>) -> Map<String, Value> {
    let text = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let command = |least: u64| json!({ "type": "array", "items": { "type": "string" }, "minItems": least });
    object(match shape {
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Only(flag) => json!({ "const": flag }),
        Shape::Number { least, most, but } => {
            let mut number = object(json!({ "type": "integer", "minimum": least, "maximum": most }));
            number.extend(but.map(|but| ("not".to_owned(), json!({ "const": but }))));
            Value::Object(number)
        }
        Shape::Priority => {
            json!({ "anyOf": [{ "type": "integer", "minimum": 1, "maximum": 254 }, { "const": "owner" }] })
        }
        Shape::Duration { least, most } => duration(&format!("{least} to {most}")),
        Shape::Interval => duration("10ms to 40.95s; in VRRPv2 1s to 255s, whole seconds"),
        Shape::Name => text("^[A-Za-z0-9._][A-Za-z0-9._-]{0,63}$"),
        Shape::Word => text("^[^-/:\"'\\\\\\s][^/:\"'\\\\\\s]{0,63}$"),
        Shape::Password => text("^.{1,8}$"),
        Shape::Path => text("^/.*[^/]$"),
        Shape::Listener => text(r"^([0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$"),
        Shape::Interface => text("^[^/:\\s]{1,15}$"),
        Shape::Choice(texts) => json!({ "enum": texts }),
        Shape::ChoiceOrAddress(texts) => json!({ "anyOf": [{ "enum": texts }, text(ADDRESS)] }),
        Shape::Address => text(ADDRESS),
        Shape::Addresses { least } => json!({ "type": "array", "items": text(ADDRESS), "minItems": least }),
        Shape::Hosts => json!({ "type": "array", "items": text(ADDRESS) }),
        Shape::Command => command(1),
        Shape::OptionalCommand => command(0),
        Shape::Table(inner) => Value::Object(table(inner, describe)),
        Shape::Tables(inner) => json!({ "type": "array", "items": table(inner, describe) }),
    })
}

fn duration(limits: &str) -> Value {
    json!({ "type": "string", "pattern": r"^(0|([0-9.]+(d|h|m|s|ms|us|ns))+)$", "$comment": limits })
}

/// The characters that an address of either family and its prefix consist of.
const ADDRESS: &str = "^[0-9a-fA-F:.]+(/[0-9]{1,3})?$";

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("every schema here is written as an object")
        }
    }
}
