//! Types what the documents have their reader type on a frontend or on a client: two daemons in
//! network namespaces, nginx and haproxy with the files that are shown, a client, application
//! servers. Needs root, nginx, haproxy and curl (`netns-scripts/test documents`).
//!
//! `tests/support/runner.rs` says which commands need systemd or the installed package; they are
//! left to the test with the package.
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
use runner::Runner;
use shown::{Lasting, Step};
use support::guide_client::{Outcome, count, outcomes};

/// The documents that are typed here, each by a test below.
const FOLLOWED: [&str; 6] = [
    "README.md",
    "docs/frontends.md",
    "docs/getting-started.md",
    "docs/man/src/vrrpctl.md",
    "docs/operations.md",
    "docs/troubleshooting.md",
];

/// Types what one document shows, from top to bottom: on bare machines if it has the reader
/// configure them, and otherwise beside the pair of config/. Returns the output of the commands
/// that go on.
fn follow(path: &str) -> Vec<String> {
    assert!(FOLLOWED.contains(&path));
    let document = shown::document(path);
    let configures =
        |step: &Step| matches!(step, Step::Write { path, .. } if path == "/etc/vrrpd/vrrpd.toml");
    let bare = shown::steps(&document).iter().any(configures);
    let mut lan = if bare { Lan::new() } else { Lan::with_the_pair() };
    let mut printed = Vec::new();
    for (command, mut process) in lan.follow(&document) {
        assert_eq!(command.lasting, Lasting::UntilInterrupted);
        assert!(process.is_running(), "{}: ended by itself\n{}", command.place, process.log());
        printed.push(process.log());
    }
    printed
}

#[test]
fn every_document_with_commands_for_the_lab_is_followed() {
    let mut shown: Vec<String> = shown::every_command()
        .iter()
        .filter(|command| runner::runner(command) == Some(Runner::Lab))
        .map(|command| command.document().to_owned())
        .collect();
    shown.sort();
    shown.dedup();
    assert_eq!(shown, FOLLOWED);
}

/// The client of the document sees what the document says: each move, and a loss only while nginx
/// was dead.
#[test]
fn getting_started() {
    let printed = follow("docs/getting-started.md");
    let [client] = printed.as_slice() else { panic!("one client watches: {printed:?}") };
    let mut seen: Vec<Outcome<'_>> = outcomes(client).filter(|outcome| *outcome != Outcome::Cut).collect();
    seen.dedup();
    let [fe0, fe1] = ["fe0", "fe1"].map(Outcome::ServedBy);
    assert_eq!(seen, [fe0, fe1, fe0, Outcome::Lost, fe1, fe0, fe1, fe0], "{client}");
    // At most one for each move: a connection that was open at that moment.
    assert!(count(client, |outcome| outcome == Outcome::Cut) <= 6, "{client}");
}

#[test]
fn readme() {
    follow("README.md");
}

/// The pair of the README needs nothing but nginx as Debian installs it.
#[test]
fn the_pair_of_the_readme_serves_as_it_is() {
    let blocks = shown::blocks(&shown::document("README.md"));
    let fe0 = blocks.into_iter().find(|block| block.language == "toml").expect("a configuration").text;
    let fe1 = fe0.replace("\"fe0\"", "\"fe1\"").replace("150", "?").replace("100", "150").replace('?', "100");
    let mut lan = Lan::new();
    for (frontend, config) in [(&mut lan.fe0, fe0), (&mut lan.fe1, fe1)] {
        frontend.write("/etc/vrrpd/vrrpd.toml", &config);
        frontend.systemctl("start", "nginx");
        frontend.systemctl("start", "vrrpd");
    }
    lan.wait_settled();
    for address in ["192.0.2.50", "192.0.2.51", "[2001:db8::50]", "[2001:db8::51]"] {
        let page = lan.client.run(&format!("curl --silent --fail --max-time 2 http://{address}/"));
        assert_eq!(page.code, 0, "{address}: {page:#?}");
    }
}

#[test]
fn frontends() {
    follow("docs/frontends.md");
}

#[test]
fn operations() {
    follow("docs/operations.md");
}

#[test]
fn troubleshooting() {
    follow("docs/troubleshooting.md");
}

#[test]
fn manual() {
    follow("docs/man/src/vrrpctl.md");
}

#[test]
fn what_became_of_each_request_is_read_from_what_the_client_prints() {
    let log = "fe0\ncurl: (56) Recv failure: Connection reset by peer\nLOST\nfe1\n\
               curl: (28) Connection timed out after 1001 milliseconds\nLOST\n\
               <h1>503 Service Unavailable</h1>\nLOST\nfe";
    let [fe0, fe1] = ["fe0", "fe1"].map(Outcome::ServedBy);
    let seen: Vec<Outcome<'_>> = outcomes(log).collect();
    assert_eq!(seen, [fe0, Outcome::Cut, fe1, Outcome::Lost, Outcome::Lost, Outcome::Lost]);
}
