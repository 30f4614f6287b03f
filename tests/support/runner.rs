//! Which test runs a command that a document shows. Each command has one, which `tests/readme.rs`
//! checks.
#![allow(dead_code, reason = "each test uses its part")]

use crate::shown::{Command, Machine};

/// Where a command of a document is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// In `tests/documents`: two daemons, nginx, haproxy and a client in network namespaces.
    Lab,
    /// In the test that installs the package on two machines with systemd.
    Package,
    /// As a stage of `netns-scripts/test`, or inside of such a stage.
    Stage,
    /// In no test, for a reason ([`EXCEPTIONS`]).
    Reader,
}

/// Programs that can run in a namespace.
pub(crate) const LAB: [&str; 13] = [
    "vrrpctl", "vrrpd", "curl", "nginx", "haproxy", "tcpdump", "arping", "ss", "ip", "nft", "rm", "while",
    "setpriv",
];

/// Programs that need systemd, a package manager, or a machine that can be switched off.
pub(crate) const PACKAGE: [&str; 2] = ["systemctl", "apt"];

/// The documents whose commands are typed on machines with systemd, from top to bottom. What
/// another document shows for such a machine is shown in one of these as well.
pub(crate) const ON_SYSTEMD: [&str; 2] = ["docs/getting-started.md", "docs/operations.md"];

/// Commands that no test runs, and why. Every entry is shown in some document.
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

/// Where this command is run; `None` if no rule covers it.
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

/// Whether the command is `netns-scripts/test` itself, one of its stages, or a line of it.
fn is_of_a_stage(line: &str) -> bool {
    const SCRIPT: &str = include_str!("../../netns-scripts/test");
    match line.strip_prefix("netns-scripts/test") {
        Some(stages) => stages.split_whitespace().all(|stage| SCRIPT.contains(&format!("stage_{stage}()"))),
        None => SCRIPT.contains(line),
    }
}
