//! `docs/rfc9568.md` against the source: every requirement that is met has a line that obeys it and a test that shows it,
//! and every ID in a comment is listed. The columns *Obeyed in* and *Shown by* are written by `cargo xtask docs`.

#[path = "../xtask/src/docs/requirements.rs"]
mod requirements;
#[path = "support/source_tree.rs"]
mod source_tree;

use requirements::{
    DOCUMENT, NOTHING, RequirementRow, Side, cell, cells, is_case, joined, missing, read_rows, read_tags,
    row_of, tag_of_name, tagged_files, unknown,
};
use source_tree::{SourceFile, root};
use std::fs;

fn document() -> String {
    fs::read_to_string(root().join(DOCUMENT)).expect("the document is there")
}

fn rows() -> Vec<RequirementRow> {
    read_rows(&document()).unwrap_or_else(|errors| panic!("\n{}\n", errors.join("\n")))
}

#[test]
fn every_tag_in_the_source_is_listed_in_the_document() {
    let unknown = unknown(&rows(), &read_tags(&tagged_files()));
    assert!(unknown.is_empty(), "\n{}\n", unknown.join("\n"));
}

#[test]
fn every_met_requirement_has_code_and_a_test_and_every_case_a_test() {
    let missing = missing(&rows(), &read_tags(&tagged_files()));
    assert!(missing.is_empty(), "\n{} tags are missing:\n{}\n", missing.len(), missing.join("\n"));
}

#[test]
fn the_document_says_where_each_requirement_is_obeyed_and_shown() {
    let before = document();
    let after = joined(&before, &read_tags(&tagged_files()));
    let differs = |(old, new): (&str, &str)| {
        let id = cells(old).first().copied().unwrap_or_default().to_owned();
        let row = row_of(new)?.ok()?;
        (old != new).then(|| format!("{id}: obeyed in {}, shown by {}", row.obeyed, row.shown))
    };
    let stale: Vec<String> = before.lines().zip(after.lines()).filter_map(differs).collect();
    assert!(stale.is_empty(), "\n{DOCUMENT} is stale; `cargo xtask docs` writes:\n{}\n", stale.join("\n"));
}

#[test]
fn the_document_lists_every_black_box_case_once() {
    let listed: Vec<String> = rows().into_iter().map(|row| row.id).filter(|id| is_case(id)).collect();
    let expected: Vec<String> = (1..=70).map(|number| format!("T{number:02}")).collect();
    assert_eq!(listed, expected);
}

#[test]
fn the_document_lists_every_section_that_binds_an_implementation() {
    let rows = rows();
    for section in
        ["5.2.8", "5.2.9", "6.1", "6.2", "6.4.1", "6.4.2", "6.4.3", "7.1", "7.2", "7.3", "8.3.2", "8.4.2"]
    {
        let prefix = format!("RFC9568-{section}-");
        assert!(
            rows.iter().any(|row| row.id.starts_with(&prefix)),
            "{DOCUMENT} has nothing of section {section}"
        );
    }
}

#[test]
fn the_join_sees_what_it_looks_for() {
    let document = "| RFC9568-6.1-1 | MUST | a | met | – | – |\n| T01 | b | run | – |\n\
                    | RFC9568-6.1-2 | MUST | c | owed: v2 | – | – |\n";
    let rows = read_rows(document).expect("well formed");
    let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };

    let none = read_tags(&[]);
    assert_eq!(missing(&rows, &none).len(), 3, "code, test and case are missing");

    let code = file("core/src/protocol/timing.rs", "let a = 1; // RFC9568-6.1-1: obeyed\n");
    let test = file("tests/sim.rs", "// T01, T02: alone\n// RFC9568-6.1-1, RFC9568-6.1-9\n");
    let tags = read_tags(&[code, test]);
    assert_eq!(missing(&rows, &tags), Vec::<String>::new());
    assert_eq!(
        unknown(&rows, &tags),
        [
            "tests/sim.rs: RFC9568-6.1-9 is not listed in docs/rfc9568.md",
            "tests/sim.rs: T02 is not listed in docs/rfc9568.md"
        ]
    );
    let first = joined(document, &tags).lines().next().map(str::to_owned);
    assert_eq!(
        first.as_deref(),
        Some("| RFC9568-6.1-1 | MUST | a | met | `core/src/protocol/timing.rs` | `tests/sim.rs` |")
    );
}

#[test]
fn the_name_of_a_test_may_carry_the_tag() {
    let tag = |line| tag_of_name(line).unwrap_or_default();
    assert_eq!(tag("    fn rfc9568_6_4_2_8_priority_zero_arms_skew_time() {"), "RFC9568-6.4.2-8");
    assert_eq!(tag("fn rfc9568_6_1_3_skew() {"), "RFC9568-6.1-3");
    assert_eq!(tag("fn rfc_without_number() {"), "");
}

#[test]
fn a_tag_in_a_test_module_is_no_proof_that_the_code_obeys() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    // RFC9568-6.1-1\n}\n";
    let tags = read_tags(&[SourceFile { path: "core/src/wire/v3.rs".to_owned(), text: text.to_owned() }]);
    assert_eq!(cell(&tags, "RFC9568-6.1-1", Side::Code), NOTHING);
    assert_eq!(cell(&tags, "RFC9568-6.1-1", Side::Test), "`core/src/wire/v3.rs`");
}

#[test]
fn a_status_without_a_reason_is_refused() {
    for status in ["", "owed", "owed: ", "exception:", "done", "run"] {
        let line = format!("| RFC9568-6.1-1 | MUST | a | {status} | – | – |");
        assert!(read_rows(&line).is_err(), "{status:?} is accepted");
    }
}
