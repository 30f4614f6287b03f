//! What `Cargo.toml` promises: the oldest Rust that builds this, that the README says so too, and the
//! version of the package.
//!
//! The toolchain at hand compiles it; an older one is tried before a release (docs/releasing.md). What can
//! be known without it: that no dependency asks for more. That we use nothing newer of the standard
//! library is clippy's to say (`incompatible_msrv`, on by default).

use serde_json::Value;
use std::process::Command;

/// `1.88` or `1.88.0`, comparable.
fn version(text: &str) -> Vec<u64> {
    let mut parts: Vec<u64> = text.split('.').map(|part| part.parse().expect("a version")).collect();
    parts.resize(3, 0);
    parts
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn no_dependency_asks_for_a_newer_rust_than_we_promise() {
    let ours = env!("CARGO_PKG_RUST_VERSION");
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let newer: Vec<String> = packages
        .iter()
        .filter_map(|package| Some((package, package["rust_version"].as_str()?)))
        .filter(|(_, theirs)| version(theirs) > version(ours))
        .map(|(package, theirs)| format!("{} {} wants Rust {theirs}", package["name"], package["version"]))
        .collect();
    assert!(newer.is_empty(), "rust-version is {ours}, but {newer:?}");
    assert!(packages.len() > 80, "only {} packages were looked at", packages.len());
}

#[test]
fn the_readme_names_the_oldest_rust() {
    let readme = include_str!("../README.md");
    let ours = env!("CARGO_PKG_RUST_VERSION");
    assert!(readme.contains(&format!("Rust {ours}")), "the README does not say that it takes Rust {ours}");
}

#[test]
fn the_package_has_the_version_of_the_programs() {
    let changelog = include_str!("../debian/changelog");
    let version = changelog.split(['(', ')']).nth(1);
    assert_eq!(version, Some(env!("CARGO_PKG_VERSION")), "the first entry of debian/changelog");
}

#[test]
fn versions_compare_as_numbers() {
    assert!(version("1.100") > version("1.88.0"));
    assert_eq!(version("1.88"), version("1.88.0"));
}

/// The crates that are linked into what a plain `cargo build` builds.
fn linked() -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,no-proc-macro", "--prefix", "none"])
        .args(["--target", "x86_64-unknown-linux-gnu", "--format", "{lib}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// The schemas are the developers' (docs/adr/0030), and pnet's own sockets nobody's (docs/adr/0029).
#[test]
fn the_programs_carry_neither_schemas_nor_the_sockets_of_pnet() {
    let linked = linked();
    for wanted in ["vrrpd", "vrrpd_core", "pnet", "pnet_packet"] {
        assert!(linked.iter().any(|name| name == wanted), "{wanted} is not linked: {linked:?}");
    }
    for unwanted in ["schemars", "xtask", "pnet_datalink", "pnet_transport", "pnet_sys"] {
        assert!(!linked.iter().any(|name| name == unwanted), "{unwanted} is linked");
    }
}
