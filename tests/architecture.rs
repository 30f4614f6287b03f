//! The architecture as a test: what `ARCHITECTURE.md` says about floors and files, checked on the
//! source. Every rule is a function from a file to complaints, and is fed a violation of its own to show
//! that it would speak up.

#[path = "architecture/one_meaning.rs"]
mod one_meaning;
#[path = "support/rust_source.rs"]
mod rust_source;
#[path = "support/source_tree.rs"]
mod source_tree;

use rust_source::{NamedPath, code_only, paths};
use source_tree::{SourceFile, files_below};

/// The floors, and what each may name of the crate besides itself.
const FLOORS: [(&str, &[&str]); 14] = [
    ("types", &[]),
    ("wire", &["types"]),
    ("protocol", &["types", "wire"]),
    ("channel", &["types", "wire"]),
    ("sim", &["types", "wire", "protocol"]),
    ("config", &["types", "wire", "protocol"]),
    ("kernel", &["types", "wire"]),
    ("agent", &["types", "wire", "protocol", "channel", "config", "kernel"]),
    ("words", &["types", "wire", "protocol", "channel", "config", "agent"]),
    // The next three share the floors below them and do not name one another.
    ("runtime", &["types", "wire", "protocol", "channel", "config", "kernel", "agent", "words"]),
    ("control", &["types", "wire", "protocol", "channel", "config", "kernel", "agent", "words"]),
    ("telemetry", &["types", "wire", "protocol", "kernel", "agent", "words"]),
    (
        "daemon",
        &[
            "types",
            "wire",
            "protocol",
            "channel",
            "config",
            "kernel",
            "agent",
            "words",
            "runtime",
            "control",
            "telemetry",
        ],
    ),
    ("cli", &["config", "agent", "words", "control", "telemetry"]),
];

/// Floors that know no socket, clock, thread, file or log.
const PURE: [&str; 5] = ["types", "wire", "protocol", "channel", "sim"];

/// What a pure floor may not name. `std::net` is allowed for its address types only.
const IMPURE: [&str; 26] = [
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::os",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::thread",
    "std::fs",
    "std::io",
    "std::process",
    "std::env",
    "std::sync::mpsc",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "tokio",
    "tracing",
    "socket2",
    "nix",
    "libc",
    "rtnetlink",
    "netlink_sys",
    "netlink_packet_core",
    "netlink_packet_route",
    "pnet::datalink",
    "pnet::transport",
];

/// The only file that may hold `unsafe` code.
const UNSAFE_FILE: &str = "src/kernel/sys.rs";

const RUST_DIRECTORIES: [&str; 6] = ["core", "src", "tests", "benches", "fuzz", "xtask"];

fn rust_files() -> Vec<SourceFile> {
    let mut files = files_below(&RUST_DIRECTORIES);
    files.retain(|file| file.path.ends_with(".rs"));
    assert!(files.len() > 20, "only {} Rust files found: the scan looks in the wrong place", files.len());
    files
}

/// Runs a rule over files and fails with everything it found.
fn enforce(files: &[SourceFile], rule: fn(&SourceFile) -> Vec<String>) {
    let complaints: Vec<String> = files.iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Asserts that a rule objects to a text, and not to another.
fn shows(rule: fn(&SourceFile) -> Vec<String>, path: &str, bad: &str, good: &str) {
    let file = |text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
    assert_ne!(rule(&file(bad)), Vec::<String>::new(), "the rule misses {bad:?} in {path}");
    assert_eq!(rule(&file(good)), Vec::<String>::new(), "the rule objects to {good:?} in {path}");
}

fn floor_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("core/").unwrap_or(path).strip_prefix("src/")?;
    inside.split_once('/').map(|(floor, _)| floor).or_else(|| inside.strip_suffix(".rs"))
}

/// The module of the crate that a path in `file` names, however it climbs there.
fn named_floor(file: &SourceFile, path: &NamedPath) -> Option<String> {
    let supers = path.segments.iter().take_while(|segment| *segment == "super").count();
    let depth = module_depth(&file.path);
    let at = match path.segments.first()?.as_str() {
        "crate" | "vrrpd" | "vrrpd_core" => 1,
        "super" if supers >= depth => supers,
        _ => return None,
    };
    path.segments.get(at).filter(|name| FLOORS.iter().any(|(floor, _)| floor == name)).cloned()
}

/// How many modules deep a file of the library is: `core/src/wire/mod.rs` 1, `core/src/wire/v3.rs` 2.
fn module_depth(path: &str) -> usize {
    let inside = path.trim_start_matches("core/").trim_start_matches("src/").trim_end_matches(".rs");
    inside.split('/').filter(|part| *part != "mod").count()
}

fn dependencies_point_down(file: &SourceFile) -> Vec<String> {
    let Some(floor) = floor_of(&file.path) else { return Vec::new() };
    let Some((_, allowed)) = FLOORS.iter().find(|(name, _)| *name == floor) else { return Vec::new() };
    let complain = |path: &NamedPath| {
        let named = named_floor(file, path)?;
        (named != floor && !allowed.contains(&named.as_str())).then(|| {
            format!(
                "{}:{}: `{floor}` names `{named}`, which is not below it. Pass what it needs as a value of a \
                 lower floor, or move the code to the floor that may know both (see ARCHITECTURE.md).",
                file.path, path.line
            )
        })
    };
    paths(&code_only(&file.text)).iter().filter_map(complain).collect()
}

fn pure_floors_stay_pure(file: &SourceFile) -> Vec<String> {
    let Some(floor) = floor_of(&file.path).filter(|floor| PURE.contains(floor)) else { return Vec::new() };
    let complain = |path: &NamedPath| {
        let bad = IMPURE.iter().find(|bad| path.starts_with(bad))?;
        Some(format!(
            "{}:{}: `{floor}` uses `{bad}`. Floors 0 to 2 and the simulation know no socket, clock, thread, file \
             or log: take the fact as an argument, return the wish as an effect.",
            file.path, path.line
        ))
    };
    paths(&code_only(&file.text)).iter().filter_map(complain).collect()
}

fn unsafe_has_one_place(file: &SourceFile) -> Vec<String> {
    if file.path == UNSAFE_FILE {
        return Vec::new();
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let code = code_only(&file.text);
    let bad = |line: &str| line.split(|c| !is_word(c)).any(|word| word == "unsafe" || word == "unsafe_code");
    code.lines()
        .enumerate()
        .filter(|(_, line)| bad(line))
        .map(|(at, _)| {
            format!(
                "{}:{}: unsafe code. Its one place is {UNSAFE_FILE}; look for the call in nix or socket2 first.",
                file.path,
                at + 1
            )
        })
        .collect()
}

fn names_say_what_a_file_owns(file: &SourceFile) -> Vec<String> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let vague = ["utils.rs", "util.rs", "helpers.rs", "misc.rs"].contains(&name);
    vague.then(|| format!("{}: name a file after the mechanism it owns.", file.path)).into_iter().collect()
}

fn tests_wait_for_conditions(file: &SourceFile) -> Vec<String> {
    if file.path.starts_with("tests/support/") {
        return Vec::new();
    }
    let Some(from) = file.tests_from() else { return Vec::new() };
    let mut function = String::new();
    let mut complaints = Vec::new();
    for (at, line) in code_only(&file.text).lines().enumerate() {
        if let Some((_, name)) = line.split_once("fn ") {
            name.clone_into(&mut function);
        }
        // The helper that waits for a condition has to look at it again and again.
        let waits = function.starts_with("until") || function.starts_with("wait");
        let sleeps = line.contains("sleep(") || line.contains("sleep_ms(");
        if at + 1 >= from && sleeps && !waits {
            complaints.push(format!(
                "{}:{}: a test sleeps. Wait for the observed condition with a deadline, in a helper called \
                 until… or wait… (tests/support).",
                file.path,
                at + 1
            ));
        }
    }
    complaints
}

fn modules_open_with_their_contract(file: &SourceFile) -> Vec<String> {
    // The tests beside a file are part of its contract.
    let opens = file.text.starts_with("//!") || file.path.ends_with("/tests.rs");
    (!opens)
        .then(|| {
            format!(
                "{}: open with `//!`: what the file owns, what it must not know, its RFC sections.",
                file.path
            )
        })
        .into_iter()
        .collect()
}

/// Whether `line` names the directory `checkout`, or something in it.
///
/// What the rule forbids must not depend on where the next clone lies: a path is looked for as a whole,
/// and one directly below the root, like `/src`, is too ordinary a word to be looked for at all.
fn names_directory(line: &str, checkout: &str) -> bool {
    let of_a_name = |c: char| c.is_alphanumeric() || "_-".contains(c);
    checkout.matches('/').count() > 1
        && line.match_indices(checkout).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + checkout.len()..].chars().next();
            !before.is_some_and(of_a_name) && !after.is_some_and(of_a_name)
        })
}

fn no_file_names_this_machine(file: &SourceFile) -> Vec<String> {
    let checkout = env!("CARGO_MANIFEST_DIR");
    let complain = |(at, line): (usize, &str)| {
        names_directory(line, checkout).then(|| {
            format!(
                "{}:{}: names {checkout}, a path of the machine it was written on. Write it relative to the checkout.",
                file.path,
                at + 1
            )
        })
    };
    file.text.lines().enumerate().filter_map(complain).collect()
}

#[test]
fn floors_depend_downwards_only() {
    enforce(&rust_files(), dependencies_point_down);
}

#[test]
fn every_directory_of_the_library_is_a_floor() {
    for file in rust_files() {
        let Some(floor) = floor_of(&file.path) else { continue };
        let known = FLOORS.iter().any(|(name, _)| *name == floor) || ["bin", "lib"].contains(&floor);
        assert!(
            known,
            "{}: `{floor}` is no floor. Give it a row in FLOORS and in ARCHITECTURE.md.",
            file.path
        );
    }
}

#[test]
fn floors_zero_to_two_and_the_simulation_are_pure() {
    enforce(&rust_files(), pure_floors_stay_pure);
}

#[test]
fn unsafe_code_lives_in_one_file() {
    enforce(&rust_files(), unsafe_has_one_place);
}

#[test]
fn no_file_is_called_utils() {
    enforce(&rust_files(), names_say_what_a_file_owns);
}

#[test]
fn no_test_sleeps() {
    enforce(&rust_files(), tests_wait_for_conditions);
}

#[test]
fn every_rust_file_opens_with_its_contract() {
    enforce(&rust_files(), modules_open_with_their_contract);
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    enforce(&files_below(&[""]), no_file_names_this_machine);
}

#[test]
fn the_rules_see_what_they_forbid() {
    let down = dependencies_point_down;
    shows(down, "core/src/types/vrid.rs", "use crate::wire::Advertisement;", "use crate::types::Family;");
    shows(
        down,
        "core/src/wire/v3.rs",
        "use crate::{types::Vrid, protocol::Event};",
        "use crate::types::{self, Vrid};",
    );
    shows(down, "src/kernel/socket.rs", "fn f(_: crate::config::Config) {}", "// crate::config is above\n");
    shows(down, "core/src/protocol/mod.rs", "use super::runtime::Reactor;", "use super::types::Vrid;");
    shows(down, "core/src/protocol/event.rs", "use super::super::kernel::X;", "use super::kernel::X;");
    shows(down, "src/control/server.rs", "use crate::runtime::clock;", "use crate::agent::Request;");
    shows(down, "src/runtime/notify.rs", "use crate::telemetry::log;", "use crate::words::Stamp;");
    shows(down, "src/telemetry/log.rs", "use crate::control::Server;", "use crate::agent::Severity;");
    shows(down, "src/agent/event.rs", "use crate::words::Stamp;", "use crate::protocol::Event;");
    shows(down, "core/src/sim/lan.rs", "let x = crate::runtime::clock();", "let x = \"crate::runtime\";");

    let pure = pure_floors_stay_pure;
    shows(
        pure,
        "core/src/protocol/x.rs",
        "use std::{net::IpAddr, time::Instant};",
        "use std::time::Duration;",
    );
    shows(
        pure,
        "core/src/wire/x.rs",
        "let s = std::net::UdpSocket::bind(a);",
        "use std::net::{IpAddr, Ipv4Addr};",
    );
    shows(pure, "core/src/types/x.rs", "use tracing::info;", "/* tracing::info */");
    shows(pure, "core/src/sim/x.rs", "fn f() { std::fs::read(p); }", "let s = r#\"std::fs::read\"#;");

    shows(unsafe_has_one_place, "src/kernel/x.rs", "unsafe { f() }", "let unsafely = \"unsafe\"; // unsafe");
    shows(
        tests_wait_for_conditions,
        "tests/x.rs",
        "fn a() { thread::sleep(t); }",
        "fn until() {\n sleep(t);\n}",
    );
    shows(
        tests_wait_for_conditions,
        "src/runtime/x.rs",
        "#[cfg(test)]\nmod tests {\n    time::sleep(t).await;\n}",
        "time::sleep(t).await;\n#[cfg(test)]\nmod tests;\n",
    );
    shows(modules_open_with_their_contract, "core/src/wire/x.rs", "use std::fmt;", "//! Bytes.\n");
    for line in ["/home/a/vrrpd", "see /home/a/vrrpd/src", "(/home/a/vrrpd)"] {
        assert!(names_directory(line, "/home/a/vrrpd"), "{line}");
    }
    for line in ["/home/a/vrrpd-2/src", "x/home/a/vrrpd/src", "/home/a", "/etc/vrrpd/vrrpd.toml"] {
        assert!(!names_directory(line, "/home/a/vrrpd"), "{line}");
    }
    assert!(!names_directory("/src/lib.rs", "/src"));

    let named = |path: &str| SourceFile { path: path.to_owned(), text: String::new() };
    assert_ne!(names_say_what_a_file_owns(&named("core/src/wire/utils.rs")), Vec::<String>::new());
    assert_eq!(names_say_what_a_file_owns(&named("core/src/wire/checksum.rs")), Vec::<String>::new());
}
