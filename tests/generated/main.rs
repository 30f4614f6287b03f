//! What is generated from definitions in the source and committed: man pages, shell completions and the JSON Schema of
//! the configuration are current, complete and of use. `cargo xtask docs` writes them. The schemas of the JSON documents
//! are compared beside their generator (`src/control/schema.rs`), and `docs/rfc9568.md` in `tests/requirements.rs`.

mod config_schema;
#[path = "../../xtask/src/docs/mod.rs"]
mod docs;
#[path = "../rig/schema.rs"]
#[allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "shared with other tests")]
mod schema;

use clap::CommandFactory;
use docs::{File, read};
use vrrpd::cli;

fn generated(path: &str) -> String {
    let found = docs::files().into_iter().find(|file| file.path == path);
    found.unwrap_or_else(|| panic!("{path} is not generated")).text
}

#[test]
fn what_is_committed_is_what_is_generated() {
    let stale: Vec<String> =
        docs::files().iter().filter(|file| !file.is_current()).map(|file| file.path.clone()).collect();
    assert!(stale.is_empty(), "stale: {stale:?}. Run `cargo xtask docs`, and look at the difference");
}

#[test]
fn a_file_that_differs_or_is_missing_is_not_current() {
    let committed = generated("docs/man/vrrpd.8");
    let file = |path: &str, text: String| File { path: path.to_owned(), text };
    assert!(file("docs/man/vrrpd.8", committed.clone()).is_current());
    assert!(!file("docs/man/vrrpd.8", committed.clone() + " ").is_current());
    assert!(!file("docs/man/vrrpd.9", committed).is_current());
}

#[test]
fn every_shell_completes_the_options_of_both_programs() {
    for name in ["vrrpd.bash", "_vrrpd", "vrrpd.fish", "vrrpctl.bash", "_vrrpctl", "vrrpctl.fish"] {
        let text = generated(&format!("docs/completions/{name}"));
        assert!(text.contains("--socket") || text.contains("-l socket"), "{name} completes nothing");
    }
}

#[test]
fn the_man_page_of_the_command_has_a_section_for_every_subcommand() {
    let page = generated("docs/man/vrrpctl.1");
    for command in cli::vrrpctl::Cli::command().get_subcommands() {
        let heading = format!(".SS \"vrrpctl {}", docs::roff::escape(command.get_name()));
        assert!(page.contains(&heading), "no section for {}", command.get_name());
    }
}
