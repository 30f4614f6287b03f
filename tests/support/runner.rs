//! Who runs a command that a document shows. Each has one; `tests/readme.rs` asserts it.
#![allow(dead_code, reason = "each test uses its part")]

use crate::shown::{Command, Machine};

/// Who runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// `tests/documents`: two daemons, nginx, haproxy and a client in network namespaces.
    Lab,
    /// The test that installs the package on two machines with systemd.
    Package,
    /// It is a stage of `netns-scripts/test`, or what such a stage runs.
    Stage,
    /// Nobody, for a reason ([`EXCEPTIONS`]).
    Reader,
}

/// Programs that a namespace is enough for.
pub(crate) const LAB: [&str; 13] = [
    "vrrpctl", "vrrpd", "curl", "nginx", "haproxy", "tcpdump", "arping", "ss", "ip", "nft", "rm", "while",
    "setpriv",
];

/// Programs that want systemd, or a package manager, or a machine to end.
pub(crate) const PACKAGE: [&str; 2] = ["systemctl", "apt"];

/// The documents that are typed on machines with systemd, from top to bottom. What another one shows for such a
/// machine is shown in one of these as well.
pub(crate) const ON_SYSTEMD: [&str; 2] = ["docs/getting-started.md", "docs/operations.md"];

/// What no test runs, and why. Every entry is shown somewhere.
pub(crate) const EXCEPTIONS: [(&str, &str); 7] = [
    ("netns-scripts/chaos", "it takes a quarter of an hour; cargo test runs the same with fewer faults"),
    ("cargo xtask mutants", "it takes hours; its result is docs/mutation-testing.md"),
    ("cargo bench --bench failover", MEASURING),
    ("cargo bench --bench handover", MEASURING),
    ("cargo bench --bench footprint", MEASURING),
    ("cargo bench --bench addresses", MEASURING),
    ("cargo bench --bench flood", MEASURING),
];

const MEASURING: &str = "it takes a quiet machine and up to half an hour; that it builds is a stage";

/// Who runs this command; none if nobody was thought of.
pub(crate) fn runner(command: &Command) -> Option<Runner> {
    if EXCEPTIONS.iter().any(|(line, _)| *line == command.line) {
        return Some(Runner::Reader);
    }
    let program = command.program();
    match command.machine {
        Machine::Checkout => is_of_a_stage(&command.line).then_some(Runner::Stage),
        Machine::Fe0 | Machine::Fe1 | Machine::Client | Machine::Frontend => {
            if LAB.contains(&program) {
                Some(Runner::Lab)
            } else {
                PACKAGE.contains(&program).then_some(Runner::Package)
            }
        }
    }
}

/// `netns-scripts/test` itself, one of its stages, or a line of it.
fn is_of_a_stage(line: &str) -> bool {
    const SCRIPT: &str = include_str!("../../netns-scripts/test");
    match line.strip_prefix("netns-scripts/test") {
        Some(stages) => stages.split_whitespace().all(|stage| SCRIPT.contains(&format!("stage_{stage}()"))),
        None => SCRIPT.contains(line),
    }
}
