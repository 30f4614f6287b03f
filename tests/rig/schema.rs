//! The part of JSON Schema that `docs/json-schema/` uses, read strictly: a property that the schema
//! does not name is an error, and so is a keyword that is not checked here.

use serde_json::Value;

/// Everything about `document` that the schema of this name does not allow.
pub fn violations(name: &str, document: &Value) -> Vec<String> {
    let path = format!("{}/docs/json-schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let root: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut found = Vec::new();
    check(&root, &root, document, name, &mut found);
    found
}

/// Panics with all violations.
pub fn assert_conforms(name: &str, document: &Value) {
    let found = violations(name, document);
    assert!(found.is_empty(), "against {name}.schema.json:\n{}\n{document:#}", found.join("\n"));
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let fault = match keyword.as_str() {
            "$schema" | "$defs" | "$comment" | "title" | "description" => None,
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                check(root, root.pointer(pointer).unwrap(), value, at, found);
                None
            }
            "anyOf" => {
                let fits = |alternative: &Value| {
                    let mut inner = Vec::new();
                    check(root, alternative, value, at, &mut inner);
                    inner
                };
                let tried: Vec<_> = rule.as_array().unwrap().iter().map(fits).collect();
                let none = tried.iter().all(|violations| !violations.is_empty());
                none.then(|| format!("fits no alternative: {tried:?}"))
            }
            "const" => (value != rule).then(|| format!("is not {rule}")),
            "enum" => {
                (!rule.as_array().unwrap().contains(value)).then(|| format!("{value} is not in {rule}"))
            }
            "type" => (!has_type(rule, value)).then(|| format!("{value} is no {rule}")),
            "format" => (!is_time(rule, value)).then(|| format!("{value} is no {rule}")),
            "minimum" => value
                .as_f64()
                .is_some_and(|v| v < rule.as_f64().unwrap())
                .then(|| format!("{value} < {rule}")),
            "maximum" => value
                .as_f64()
                .is_some_and(|v| v > rule.as_f64().unwrap())
                .then(|| format!("{value} > {rule}")),
            "required" => {
                let missing =
                    rule.as_array().unwrap().iter().find(|n| value.get(n.as_str().unwrap()).is_none());
                missing.map(|name| format!("lacks {name}"))
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{at}[{index}]"), found);
                }
                None
            }
            "not" => {
                let mut inner = Vec::new();
                check(root, rule, value, at, &mut inner);
                inner.is_empty().then(|| format!("{value} is what it must not be"))
            }
            "pattern" => value.as_str().and_then(|text| {
                let pattern = regex_lite::Regex::new(rule.as_str().unwrap()).unwrap();
                (!pattern.is_match(text)).then(|| format!("{text:?} does not match {rule}"))
            }),
            "minItems" => value
                .as_array()
                .is_some_and(|items| (items.len() as u64) < rule.as_u64().unwrap())
                .then(|| format!("fewer than {rule} items")),
            "properties" | "additionalProperties" => None,
            other => panic!("{at}: the keyword {other} is not checked by this test"),
        };
        found.extend(fault.map(|fault| format!("{at}: {fault}")));
    }
    properties(root, schema, value, at, found);
}

fn properties(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let named = schema.get("properties").and_then(Value::as_object);
    let others = schema.get("additionalProperties").filter(|rule| **rule != Value::Bool(false));
    if named.is_none() && others.is_none() {
        return;
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        match named.and_then(|named| named.get(name)).or(others) {
            Some(rule) => check(root, rule, inner, &format!("{at}.{name}"), found),
            None => found.push(format!("{at}: {name} is not documented")),
        }
    }
}

fn has_type(rule: &Value, value: &Value) -> bool {
    if let Some(any) = rule.as_array() {
        return any.iter().any(|one| has_type(one, value));
    }
    match rule.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no such type: {other}"),
    }
}

/// RFC 3339, UTC, milliseconds.
fn is_time(rule: &Value, value: &Value) -> bool {
    assert_eq!(rule, "date-time");
    let Some(text) = value.as_str() else { return value.is_null() };
    text.len() == "2026-11-22T10:00:00.123Z".len()
        && text.ends_with('Z')
        && text.parse::<jiff::Timestamp>().is_ok()
}
