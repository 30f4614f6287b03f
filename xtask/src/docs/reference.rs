//! Reads from `docs/configuration.md` what each key means, for the JSON Schema.

use super::read;
use std::collections::BTreeMap;

/// The meaning of each key by table and key, both named as in the reference.
pub(crate) struct KeyReference(BTreeMap<(String, String), String>);

impl KeyReference {
    pub(crate) fn read() -> Self {
        let mut rows = BTreeMap::new();
        let mut heading = String::new();
        for line in read("docs/configuration.md").lines() {
            if let Some(text) = line.strip_prefix('#') {
                heading = text.trim_matches(|c| c == '#' || c == '`' || c == ' ').to_owned();
            }
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            if let ["", key, kind, default, range, meaning, _, ""] = cells.as_slice()
                && key.starts_with('`')
            {
                let key = key.trim_matches('`').to_owned();
                rows.insert((heading.clone(), key), sentence(kind, default, range, meaning));
            }
        }
        assert!(rows.len() > 40, "only {} keys in docs/configuration.md", rows.len());
        Self(rows)
    }

    /// The description of a key. `[defaults]` has those of `[[virtual_router]]`; lists and tables
    /// of tables have none.
    pub(crate) fn describe(&self, header: &str, key: &str) -> Option<String> {
        let header = match header {
            "[defaults]" => "[[virtual_router]]",
            "[defaults.announce]" => "[virtual_router.announce]",
            header => header,
        };
        self.0.get(&(header.to_owned(), key.to_owned())).cloned()
    }
}

/// One paragraph of plain text about a key.
fn sentence(kind: &str, default: &str, range: &str, meaning: &str) -> String {
    let mut text = meaning.trim_end_matches('.').to_owned();
    let first = text.get(..1).unwrap_or_default().to_uppercase();
    text.replace_range(..1, &first);
    for (label, value) in [("Type", kind), ("Default", default), ("Range", range)] {
        match value {
            "" | "see below" => {}
            "required" => text.push_str(". Required"),
            value => text.push_str(&format!(". {label}: {value}")),
        }
    }
    text.push('.');
    text.replace('`', "")
}
