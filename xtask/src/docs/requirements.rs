//! Joins `docs/rfc9568.md` with the source. The document lists what RFC 9568 requires, and comments
//! with the IDs stand where a requirement is obeyed and where a test shows it. The columns *Obeyed
//! in* and *Shown by* are written from the comments; `tests/requirements.rs` fails if one of them
//! is missing.

use super::source_tree::{SourceFile, files_below};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const DOCUMENT: &str = "docs/rfc9568.md";
pub(crate) const NOTHING: &str = "–";

/// The status of a requirement or a case in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// `met`: code and a test must have the tag.
    Met,
    /// `run`: this is a black-box case, and a test must have its tag.
    Run,
    /// `exception: …` or `owed: …`: a reason must follow, and no tag is required.
    Excused,
}

/// One row of a table.
#[derive(Debug, Clone)]
pub(crate) struct RequirementRow {
    pub(crate) id: String,
    pub(crate) status: Status,
    pub(crate) obeyed: String,
    pub(crate) shown: String,
}

/// Whether a tag stands in code or in a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Code,
    Test,
}

/// The places of each ID.
pub(crate) type Tags = BTreeMap<String, BTreeSet<(Side, String)>>;

pub(crate) fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split('|').map(str::trim).collect()
}

pub(crate) fn is_case(id: &str) -> bool {
    id.strip_prefix('T').is_some_and(|digits| digits.len() == 2 && digits.chars().all(|c| c.is_ascii_digit()))
}

/// The requirement ID at the start of `text`, such as `RFC9568-6.4.2-8`.
pub(crate) fn requirement_id(text: &str) -> Option<&str> {
    let after = text.strip_prefix("RFC9568-").or_else(|| text.strip_prefix("RFC3768-"))?;
    let len = after.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '-').unwrap_or(after.len());
    let number = after.get(..len)?.trim_end_matches(['.', '-']);
    let complete = number.split_once('-').is_some_and(|(section, n)| !section.is_empty() && !n.is_empty());
    complete.then(|| text.get(..8 + number.len()))?
}

pub(crate) fn status_of(id: &str, text: &str) -> Result<Status, String> {
    let reason = |rest: &str| rest.trim().len() >= 2;
    match text.split_once(':') {
        None if text == "met" && !is_case(id) => Ok(Status::Met),
        None if text == "run" && is_case(id) => Ok(Status::Run),
        Some(("exception" | "owed", rest)) if reason(rest) => Ok(Status::Excused),
        _ => Err(format!(
            "{DOCUMENT}: {id} has status {text:?}; say met (a case: run), exception: why, or owed: what"
        )),
    }
}

/// Reads one line of the document; `None` if it is not a row of a table with IDs.
pub(crate) fn row_of(line: &str) -> Option<Result<RequirementRow, String>> {
    let cells = cells(line);
    let id = *cells.first()?;
    let case = is_case(id);
    if !line.starts_with('|') || !(case || requirement_id(id) == Some(id)) {
        return None;
    }
    let (status, obeyed, shown) = match (case, cells.as_slice()) {
        (false, [_, _, _, status, obeyed, shown]) => (status, *obeyed, shown),
        (true, [_, _, status, shown]) => (status, "", shown),
        _ => return Some(Err(format!("{DOCUMENT}: the row of {id} has {} cells", cells.len()))),
    };
    Some(status_of(id, status).map(|status| RequirementRow {
        id: id.to_owned(),
        status,
        obeyed: obeyed.to_owned(),
        shown: (*shown).to_owned(),
    }))
}

pub(crate) fn read_rows(document: &str) -> Result<Vec<RequirementRow>, Vec<String>> {
    let mut rows = Vec::new();
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    for row in document.lines().filter_map(row_of) {
        match row {
            Ok(row) if seen.insert(row.id.clone()) => rows.push(row),
            Ok(row) => errors.push(format!("{DOCUMENT}: {} is listed twice", row.id)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(rows) } else { Err(errors) }
}

/// The ID in the name of a test: `fn rfc9568_6_4_2_8_priority_zero_arms_skew_time` has
/// `RFC9568-6.4.2-8`.
pub(crate) fn tag_of_name(line: &str) -> Option<String> {
    let (_, name) = line.split_once("fn rfc")?;
    let (rfc, sentence) = name.split_once('_')?;
    let numeric = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    let numbers: Vec<&str> = sentence.split('_').take_while(numeric).collect();
    let (number, section) = numbers.split_last()?;
    Some(format!("RFC{rfc}-{}-{number}", section.join(".")))
}

/// The tags of one comment: requirement IDs anywhere in it, and cases at its beginning.
pub(crate) fn tags_of_comment(comment: &str) -> Vec<&str> {
    let mut tags = Vec::new();
    for prefix in ["RFC9568-", "RFC3768-"] {
        tags.extend(comment.match_indices(prefix).filter_map(|(at, _)| requirement_id(comment.get(at..)?)));
    }
    let words = comment.trim_start_matches(['/', '!', ' ']).split([',', ' ', ':', '.', ';']);
    tags.extend(words.filter(|word| !word.is_empty()).take_while(|word| is_case(word)));
    tags
}

pub(crate) fn read_tags(files: &[SourceFile]) -> Tags {
    let mut tags = Tags::new();
    for file in files {
        let tests_from = file.tests_from().unwrap_or(usize::MAX);
        for (at, line) in file.text.lines().enumerate() {
            let comment = line.find("//").and_then(|from| line.get(from..)).unwrap_or_default();
            // The checker of the simulation shows what the core obeys, so it counts as a test.
            let shows = at + 1 >= tests_from || file.path.starts_with("core/src/sim/");
            let side = if shows { Side::Test } else { Side::Code };
            let here = tags_of_comment(comment).into_iter().map(str::to_owned).chain(tag_of_name(line));
            for tag in here {
                tags.entry(tag).or_default().insert((side, file.path.clone()));
            }
        }
    }
    tags
}

pub(crate) fn tagged_files() -> Vec<SourceFile> {
    let mut files = files_below(&["core", "src", "tests"]);
    // These two files contain tags as examples only.
    files.retain(|file| file.path.ends_with(".rs") && file.path != "tests/requirements.rs");
    files
}

/// The files of one side, as a cell of the table.
pub(crate) fn cell(tags: &Tags, id: &str, side: Side) -> String {
    let places = tags.get(id).into_iter().flatten().filter(|(have, _)| *have == side);
    let names: Vec<String> = places.map(|(_, path)| format!("`{path}`")).collect();
    if names.is_empty() { NOTHING.to_owned() } else { names.join(" ") }
}

/// The rows that lack code or a test, each with what to do about it.
pub(crate) fn missing(rows: &[RequirementRow], tags: &Tags) -> Vec<String> {
    let mut missing = Vec::new();
    for RequirementRow { id, status, .. } in rows {
        let lacks = |side| cell(tags, id, side) == NOTHING;
        match status {
            Status::Met => {
                if lacks(Side::Code) {
                    missing.push(format!(
                        "{id}: met, but no line of src/ obeys it: add `// {id}` where it is obeyed"
                    ));
                }
                if lacks(Side::Test) {
                    missing.push(format!(
                        "{id}: met, but no test shows it: add `// {id}` to the test that does"
                    ));
                }
            }
            Status::Run if lacks(Side::Test) => {
                missing.push(format!("{id}: run, but no test carries it: start its comment with `// {id}`"));
            }
            Status::Run | Status::Excused => {}
        }
    }
    missing
}

/// The tags that are in no row.
pub(crate) fn unknown(rows: &[RequirementRow], tags: &Tags) -> Vec<String> {
    let known: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let unknown = tags.iter().filter(|(id, _)| !known.contains(id.as_str()));
    unknown
        .flat_map(|(id, places)| {
            places.iter().map(move |(_, path)| format!("{path}: {id} is not listed in {DOCUMENT}"))
        })
        .collect()
}

/// The document with both columns written from the source.
pub(crate) fn joined(document: &str, tags: &Tags) -> String {
    let join_line = |line: &str| {
        let Some(Ok(row)) = row_of(line) else { return line.to_owned() };
        let mut cells: Vec<String> = cells(line).into_iter().map(str::to_owned).collect();
        let last = cells.len() - 1;
        if let Some(shown) = cells.get_mut(last) {
            *shown = cell(tags, &row.id, Side::Test);
        }
        if let Some(obeyed) = cells.get_mut(4) {
            *obeyed = cell(tags, &row.id, Side::Code);
        }
        format!("| {} |", cells.join(" | "))
    };
    document.lines().map(join_line).map(|line| line + "\n").collect()
}
