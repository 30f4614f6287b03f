//! The JSON Schema of the configuration: current, true to what the daemon accepts, and of use.
//!
//! The rule between the two: what `vrrpd --check` accepts, the schema accepts, for every key and
//! every value that is tried here. The schema accepts more only where a pattern stands for a reader.

use super::docs::config_schema::config_schema;
use super::read;
use super::schema::violations;
use serde_json::{Value, json};
use toml::{Table, Value as Toml};
use vrrpd::config::resolve;

const BASE: &str = r#"
[agent]
node_name = "fe0"
[defaults]
announce = { repeat = 5 }
[[check]]
name = "c"
command = ["/bin/true"]
[[virtual_router]]
name = "web"
interface = "eth0"
vrid = 51
addresses = ["192.0.2.50/24", "2001:db8::50/64"]
track = [{ check = "c" }]
announce = { repeat = 5 }
"#;

/// Every table that holds keys: how to get to it in the document, and in the schema.
const TABLES: &[(&[&str], &str)] = &[
    (&["agent"], "/properties/agent"),
    (&["defaults"], "/properties/defaults"),
    (&["defaults", "announce"], "/properties/defaults/properties/announce"),
    (&["check", "0"], "/properties/check/items"),
    (&["virtual_router", "0"], "/properties/virtual_router/items"),
    (&["virtual_router", "0", "announce"], "/properties/virtual_router/items/properties/announce"),
    (&["virtual_router", "0", "track", "0"], "/properties/virtual_router/items/properties/track/items"),
];

/// Values that somebody may write behind some key.
fn values() -> Vec<Toml> {
    let numbers = [-254, -253, -1, 0, 1, 2, 3, 4, 51, 60, 100, 101, 253, 254, 255, 256, 70_000];
    let texts = [
        "",
        "auto",
        "none",
        "owner",
        "rfc9568",
        "rfc5798",
        "rfc2338",
        "web",
        "c",
        "-web",
        "a b",
        "eth0",
        "eth1",
        "sixteen-letters.",
        "fifteen-letters",
        "nobody",
        "x/y",
        "0s",
        "9ms",
        "10ms",
        "50ms",
        "1s",
        "1.5s",
        "1m30s",
        "40.95s",
        "41s",
        "1h",
        "25h",
        "1 s",
        "s",
        "-1s",
        "192.0.2.50",
        "192.0.2.50/24",
        "fe80::1",
        "fe80::1/64",
        "2001:db8::1/64",
        "192.0.2.500",
        "frontend.example",
        "127.0.0.1:9650",
        "[::1]:9650",
        "localhost:9650",
        "[::1]:0",
    ];
    let lists: [&[&str]; 6] =
        [&[], &["/bin/true"], &["true"], &["192.0.2.51/24"], &["2001:db8::51/64", "192.0.2.52"], &["x"]];
    let list = |words: &[&str]| Toml::Array(words.iter().map(|word| Toml::from(*word)).collect());
    let mut values: Vec<Toml> = numbers.into_iter().map(Toml::from).collect();
    values.extend(texts.map(Toml::from));
    values.extend(lists.map(list));
    values.extend([Toml::from(true), Toml::from(false), Toml::from(1.5), Toml::Table(Table::new())]);
    values.push(Toml::Array(vec![Toml::from(1)]));
    values.push(Toml::Array(vec![Toml::Table(Table::new())]));
    values
}

/// The base with one key of one table set.
fn with(path: &[&str], key: &str, value: &Toml) -> Table {
    let mut document = Toml::Table(BASE.parse().expect("the base is TOML"));
    let mut at = &mut document;
    for step in path {
        at = match step.parse::<usize>() {
            Ok(index) => at.get_mut(index),
            Err(_) => at.get_mut(*step),
        }
        .expect("the base has it");
    }
    at.as_table_mut().expect("it is a table").insert(key.to_owned(), value.clone());
    document.try_into().expect("it is a table")
}

fn keys(schema: &Value, pointer: &str) -> Vec<(String, Value)> {
    let properties = schema.pointer(pointer).and_then(|table| table["properties"].as_object());
    let properties = properties.unwrap_or_else(|| panic!("no table at {pointer}"));
    properties.iter().map(|(key, shape)| (key.clone(), shape.clone())).collect()
}

#[test]
fn every_key_is_described() {
    let schema = config_schema();
    for (_, pointer) in TABLES {
        for (key, shape) in keys(&schema, pointer) {
            assert!(shape["description"].as_str().is_some_and(|text| text.len() > 20), "{pointer}: {key}");
        }
    }
}

#[test]
fn what_the_daemon_accepts_the_schema_accepts_and_hardly_more() {
    let schema = config_schema();
    let (mut tried, mut accepted, mut wrong) = (0, 0, Vec::new());
    for (path, pointer) in TABLES {
        for (key, shape) in keys(&schema, pointer) {
            for value in values() {
                let document = with(path, &key, &value);
                let text = toml::to_string(&document).expect("TOML");
                let found = violations("config", &json!(document));
                let place = format!("{} of {path:?} = {value}", key);
                tried += 1;
                match resolve(&text, "x.toml") {
                    Ok(_) => {
                        accepted += 1;
                        if !found.is_empty() {
                            wrong.push(format!("{place}: only the schema refuses it: {found:?}"));
                        }
                    }
                    // Errors about several keys at once are beyond a schema.
                    Err(errors) => {
                        let kind = format!("`{key}` is ");
                        let refused = errors.iter().find(|error| error.0.message.starts_with(&kind));
                        let lax = shape.to_string().contains("\"pattern\"") || shape["items"].is_object();
                        if let (Some(error), true, false) = (refused, found.is_empty(), lax) {
                            wrong.push(format!("{place}: only the daemon refuses it: {error}"));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(tried > 4000 && accepted > 300, "{tried} tried, {accepted} of them legal");
}

#[test]
fn slips_of_the_pen_are_marked_while_typing() {
    let base = json!(BASE.parse::<Table>().expect("TOML"));
    assert_eq!(violations("config", &base), [""; 0]);
    let bad = |change: &dyn Fn(&mut Value)| {
        let mut document = base.clone();
        change(&mut document);
        violations("config", &document)
    };
    assert_ne!(bad(&|d| d["virtual_router"][0]["prioritty"] = json!(150)), [""; 0]);
    assert_ne!(bad(&|d| d["virtual_router"][0]["priority"] = json!(255)), [""; 0]);
    assert_ne!(bad(&|d| d["virtual_router"][0]["advertise_interval"] = json!(1)), [""; 0]);
    assert_ne!(bad(&|d| d["virtual_router"][0]["virtual_mac"] = json!(true)), [""; 0]);
    assert_ne!(bad(&|d| drop(d["virtual_router"][0].as_object_mut().unwrap().remove("vrid"))), [""; 0]);
    assert_ne!(bad(&|d| drop(d.as_object_mut().unwrap().remove("virtual_router"))), [""; 0]);
    assert_eq!(bad(&|d| d["virtual_router"][0]["virtual_mac"] = json!(false)), [""; 0]);
}

#[test]
fn the_examples_conform() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut read_files = 0;
    for entry in std::fs::read_dir(directory).expect("config/") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        if !name.ends_with(".toml") || name == "example.toml" {
            continue; // example.toml is all comments: its test uncomments it
        }
        let document: Table = read(&format!("config/{name}")).parse().expect("TOML");
        assert_eq!(violations("config", &json!(document)), [""; 0], "{name}");
        read_files += 1;
    }
    assert!(read_files >= 3, "only {read_files} examples");
}
