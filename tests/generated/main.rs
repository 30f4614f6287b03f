//! What is generated from definitions in the source, and committed: man pages, shell completions and
//! the JSON Schema of the configuration. A stale file fails; this writes them anew:
//! `VRRPD_UPDATE_DOCS=1 cargo test --test generated`.

mod completions;
mod config_schema;
mod man;
mod reference;
mod roff;
#[path = "../rig/schema.rs"]
#[allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "shared with other tests")]
mod schema;

use std::path::Path;

/// A file of the project.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Asserts that a committed file is what is generated now, or writes it.
fn assert_current(path: &str, generated: &str) {
    let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let committed = std::fs::read_to_string(&full).unwrap_or_default();
    if committed != generated && std::env::var_os("VRRPD_UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(full.parent().expect("a file has a directory")).expect("a directory");
        // In one step: another test may be reading it.
        let draft = full.with_extension("draft");
        std::fs::write(&draft, generated).unwrap_or_else(|error| panic!("{path}: {error}"));
        std::fs::rename(&draft, &full).unwrap_or_else(|error| panic!("{path}: {error}"));
        return;
    }
    assert!(
        committed == generated,
        "{path} is stale: VRRPD_UPDATE_DOCS=1 cargo test --test generated, and look at the difference"
    );
}
