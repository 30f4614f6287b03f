//! One name means one thing in the whole tree: two types of one name in two files make a reader ask
//! which of them is meant, and a search finds both.
//!
//! The rule is about the types that a file of the two libraries, of the programs and of `xtask`
//! defines at its top, whoever can see them. Types of tests are left out, because nobody has to tell
//! them from others.

use crate::rust_source::code_only;
use crate::source_tree::{SourceFile, files_below};
use std::collections::{BTreeMap, BTreeSet};

/// Whether these are a type of the protocol and one of its reference. The reference is the protocol
/// written a second time, so it calls by the same name what RFC 9568 and the protocol call so.
fn is_pair_with_reference(files: &[&str]) -> bool {
    matches!(files, [protocol, reference]
        if protocol.starts_with("core/src/protocol/") && reference.starts_with("core/src/sim/reference/"))
}

/// The name of the type that a line of code defines at the top of a file.
fn defined_type(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub").map_or(line, |rest| match rest.strip_prefix('(') {
        Some(restricted) => restricted.split_once(')').map_or(rest, |(_, rest)| rest),
        None => rest,
    });
    let line = line.strip_prefix(' ').unwrap_or(line);
    let line = line.strip_prefix("unsafe ").unwrap_or(line);
    let rest = ["struct ", "enum ", "trait ", "type ", "union "].iter().find_map(|k| line.strip_prefix(k))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}

/// The files of the modules that `file` declares for tests only.
fn modules_of_tests(file: &SourceFile) -> Vec<String> {
    let (directory, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let children = match name {
        "mod.rs" | "lib.rs" | "main.rs" => directory.to_owned(),
        other => format!("{directory}/{}", other.trim_end_matches(".rs")),
    };
    let mut found = Vec::new();
    let mut for_tests = false;
    let mut path = None;
    for line in file.text.lines() {
        let line = line.trim();
        if line == "#[cfg(test)]" {
            for_tests = true;
        } else if let Some(named) = line.strip_prefix("#[path = \"") {
            path = named.strip_suffix("\"]").map(str::to_owned);
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            let module = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
            if let Some(module) = module.filter(|_| for_tests) {
                found.push(match path.take() {
                    Some(path) => format!("{directory}/{path}"),
                    None => format!("{children}/{module}.rs"),
                });
            }
            (for_tests, path) = (false, None);
        }
    }
    found
}

/// Each name of a type, with the places that define it: path and line.
fn definitions(files: &[SourceFile]) -> BTreeMap<String, Vec<(String, usize)>> {
    let tests: BTreeSet<String> = files.iter().flat_map(modules_of_tests).collect();
    let mut found: BTreeMap<String, Vec<(String, usize)>> = BTreeMap::new();
    for file in files.iter().filter(|file| !tests.contains(&file.path)) {
        let tests_from = file.tests_from().unwrap_or(usize::MAX);
        for (line, code) in (1..).zip(code_only(&file.text).lines()) {
            if let Some(name) = defined_type(code).filter(|_| line < tests_from) {
                found.entry(name.to_owned()).or_default().push((file.path.clone(), line));
            }
        }
    }
    found
}

/// What is wrong with the names in these files.
fn complaints(files: &[SourceFile]) -> Vec<String> {
    let definitions = definitions(files);
    let mut complaints = Vec::new();
    for (name, places) in &definitions {
        let paths: Vec<&str> = places.iter().map(|(path, _)| path.as_str()).collect();
        if places.len() > 1 && !is_pair_with_reference(&paths) {
            let places: Vec<_> = places.iter().map(|(path, line)| format!("  {path}:{line}")).collect();
            complaints.push(format!(
                "`{name}` means {} things. Give each of them a name that says which one it is:\n{}",
                places.len(),
                places.join("\n")
            ));
        }
    }
    complaints
}

fn rust_sources() -> Vec<SourceFile> {
    let mut files = files_below(&["core/src", "src", "xtask/src"]);
    files.retain(|file| file.path.ends_with(".rs"));
    assert!(files.len() > 100, "only {} files found: the scan looks in the wrong place", files.len());
    files
}

#[test]
fn one_name_means_one_thing() {
    let complaints = complaints(&rust_sources());
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn the_rule_sees_two_types_of_one_name() {
    let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
    let one = file("src/kernel/a.rs", "pub(in crate::kernel) struct Place<T>(T);\n");
    for other in [
        "enum Place {}\n",
        "pub trait Place {}\n",
        "pub(crate) type Place = u8;\n",
        "mod a {\n}\nstruct Place;\n\n#[cfg(test)]\nmod tests {\n}\n",
    ] {
        let files = [one.clone(), file("src/runtime/b.rs", other)];
        let said = complaints(&files);
        assert_eq!(said.len(), 1, "{other}");
        assert!(said.concat().contains("src/kernel/a.rs:1") && said.concat().contains("src/runtime/b.rs:"));
    }
    for other in [
        "struct Places;\nfn place() {}\n",
        "// struct Place;\n",
        "fn f() {\n    struct Place;\n}\n",
        "#[cfg(test)]\nmod tests {\n}\nstruct Place;\n",
    ] {
        assert_eq!(complaints(&[one.clone(), file("src/runtime/b.rs", other)]).len(), 0, "{other}");
    }

    let reference = file("core/src/sim/reference/a.rs", "struct Place;\n");
    let protocol = file("core/src/protocol/a.rs", "struct Place;\n");
    assert_eq!(complaints(&[protocol.clone(), reference.clone()]).len(), 0);
    assert_eq!(complaints(&[protocol, reference.clone(), one.clone()]).len(), 1);
    assert_eq!(complaints(&[reference, one.clone()]).len(), 1);

    let parent = file(
        "src/runtime/b.rs",
        "#[cfg(test)]\n#[path = \"b_fake.rs\"]\nmod fake;\n#[cfg(test)]\nmod other;\n",
    );
    for path in ["src/runtime/b_fake.rs", "src/runtime/b/other.rs", "src/runtime/tests.rs"] {
        let files = [one.clone(), parent.clone(), file(path, "struct Place;\n")];
        assert_eq!(complaints(&files).len(), 0, "{path}");
    }
    let files = [one, parent, file("src/runtime/b/another.rs", "struct Place;\n")];
    assert_eq!(complaints(&files).len(), 1);
}
