//! Whatever the documents have their reader type on a frontend or on a client, typed there: two daemons in
//! network namespaces, nginx and haproxy with the files that are shown, a client, application servers.
//! Needs root, nginx, haproxy and curl (`netns-scripts/test documents`).
//!
//! What needs systemd or the installed package is `tests/support/runner.rs`'s to say, and is left to the
//! test with the package.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

#[path = "../support/runner.rs"]
mod runner;
#[path = "../support/shown.rs"]
mod shown;
#[path = "../support/source_tree.rs"]
mod source_tree;
#[path = "../support/mod.rs"]
mod support;

mod frontends;
mod lan;
mod machine;

use lan::Lan;
use shown::{Lasting, Step};

/// Types what one document shows, from top to bottom: on bare machines if it has the reader configure them,
/// otherwise beside the pair of config/.
fn follow(path: &str) {
    let document = shown::document(path);
    let configures =
        |step: &Step| matches!(step, Step::Write { path, .. } if path == "/etc/vrrpd/vrrpd.toml");
    let bare = shown::steps(&document).iter().any(configures);
    let mut lan = if bare { Lan::new() } else { Lan::with_the_pair() };
    let lasting = lan.follow(&document);
    for (command, mut process) in lasting {
        assert_eq!(command.lasting, Lasting::UntilInterrupted);
        assert!(process.is_running(), "{}: ended by itself\n{}", command.place, process.log());
    }
}

#[test]
fn getting_started() {
    follow("docs/getting-started.md");
}

#[test]
fn operations() {
    follow("docs/operations.md");
}
