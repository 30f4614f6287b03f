//! `docs/configuration.md` has exactly one row for every key, and every key of the schema is read.

use super::{errors, router_with};
use crate::config::keepalived;
use crate::config::schema::{self, Known, Schema, Support};

const DOCS: &str = include_str!("../../../docs/configuration.md");

/// The rows of the table under one heading: key, default, since.
fn rows(heading: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    let mut lines = DOCS.lines().skip_while(|line| line.trim_start_matches('#').trim() != heading);
    assert!(lines.next().is_some(), "no heading {heading}");
    lines
        .take_while(|line| !line.starts_with('#'))
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 8, "{line}");
            (cells[1].trim_matches('`'), cells[3], cells[6])
        })
        .collect()
}

const DOCUMENTED: [&Schema; 5] =
    [&schema::AGENT, &schema::CHECK, &schema::ROUTER, &schema::TRACK, &schema::ANNOUNCE];

#[test]
fn the_reference_has_a_row_for_every_key_and_no_other() {
    for schema in DOCUMENTED {
        let mut documented: Vec<_> =
            rows(&format!("`{}`", schema.header)).into_iter().map(|(key, _, since)| (key, since)).collect();
        let since = |known: &Known| match known.support {
            Support::Now(_) => "0.1",
            Support::Later(_) => "later",
        };
        let mut known: Vec<_> = schema.keys().map(|known| (known.name, since(known))).collect();
        if schema.header == "[[virtual_router]]" {
            // These keys are documented as supported, although they have a single legal value in
            // this version.
            assert!(known.contains(&("version", "0.1")) && known.contains(&("accept", "0.1")));
        }
        documented.sort_unstable();
        known.sort_unstable();
        assert_eq!(documented, known, "{}", schema.header);
    }
    for known in schema::ROOT.keys() {
        let headings = [format!("## `[{}]`", known.name), format!("## `[[{}]]`", known.name)];
        assert!(DOCS.lines().any(|line| headings.iter().any(|heading| heading == line)), "{}", known.name);
    }
}

#[test]
fn the_defaults_in_the_reference_are_the_defaults() {
    let mut text = router_with("track = [{ check = \"c\" }]").replace("track", "priority = 100\ntrack");
    text += "[[check]]\nname = \"c\"\ncommand = [\"/bin/true\"]\n";
    let bare = super::good(&text);
    let literal = |default: &&str| default.starts_with('`') && default.ends_with('`');
    let mut compared = 0;
    for (heading, marker) in [
        ("`[[virtual_router]]`", "[[virtual_router]]\n"),
        ("`[[check]]`", "[[check]]\n"),
        ("`[virtual_router.announce]`", "[[virtual_router]]\nannounce."),
        ("`[agent]`", "[agent]\n"),
    ] {
        for (key, default, _) in rows(heading).iter().filter(|(_, default, _)| literal(default)) {
            let base = format!("[agent]\n{text}");
            if base.contains(&format!("\n{key} = ")) {
                continue;
            }
            let explicit = base.replacen(
                marker.split_inclusive('\n').next().unwrap(),
                &format!("{marker}{key} = {}\n", default.trim_matches('`')),
                1,
            );
            assert_eq!(super::good(&explicit), bare, "{key} = {default}");
            compared += 1;
        }
    }
    assert!(compared > 20, "only {compared} defaults were compared");
}

/// A date is a wrong value for every key: if one of the schema's keys accepts it, no code reads
/// that key.
#[test]
fn every_key_of_the_schema_is_read() {
    let wrong = "1979-05-27";
    for (schema, template) in [
        (&schema::AGENT, "[agent]\nKEY = 1979-05-27\n"),
        (&schema::DEFAULTS, "[defaults]\nKEY = 1979-05-27\n"),
        (&schema::DEFAULTS_ANNOUNCE, "[defaults.announce]\nKEY = 1979-05-27\n"),
        (&schema::CHECK, "[[check]]\nKEY = 1979-05-27\n"),
        (&schema::ROUTER, "[[virtual_router]]\nKEY = 1979-05-27\n"),
        (&schema::ANNOUNCE, "[[virtual_router]]\nannounce.KEY = 1979-05-27\n"),
        (&schema::TRACK, "[[virtual_router]]\ntrack = [{ KEY = 1979-05-27 }]\n"),
        (&schema::ROOT, "KEY = 1979-05-27\n"),
    ] {
        for key in schema.keys() {
            let text = template.replace("KEY", key.name);
            let at = match key.support {
                Support::Now(_) => wrong,
                Support::Later(_) => key.name,
            };
            let found = errors(&text);
            let told = found.iter().any(|finding| {
                text[finding.span.clone()] == *at && finding.message.contains(&format!("`{}`", key.name))
            });
            assert!(told, "{} in {}: {found:#?}", key.name, schema.header);
        }
    }
}

#[test]
fn keepalived_names_are_unknown_here_and_explained() {
    for (theirs, _) in keepalived::WORDS {
        assert!(schema::TABLES.iter().all(|table| table.key(theirs).is_none()), "{theirs}");
        assert!(keepalived::WORDS.iter().filter(|(other, _)| other == theirs).count() == 1, "{theirs} twice");
        let text = router_with(&format!("{theirs} = 1"));
        let found = errors(&text);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("the name is keepalived's"), "{found:#?}");
    }
}

/// The manual lists each keyword of keepalived that stands for a key of ours, so that it can be
/// looked up.
#[test]
fn the_reference_has_keepalived_names() {
    for (theirs, ours) in keepalived::WORDS {
        if let keepalived::Replacement::Key(..) | keepalived::Replacement::Line(_) = ours {
            assert!(DOCS.contains(theirs), "{theirs} is not in docs/configuration.md");
        }
    }
}
