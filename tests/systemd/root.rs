//! The file system that all machines begin with, and our package. `netns-scripts/systemd-root` and
//! `netns-scripts/package` make them once; this module only finds them.

use std::path::{Path, PathBuf};

/// A Debian with systemd, nginx and haproxy.
pub(crate) fn debian() -> PathBuf {
    let root = target().join("systemd-root");
    assert!(
        root.join(".complete").exists(),
        "{} is missing: run netns-scripts/test systemd, or first netns-scripts/systemd-root",
        root.display()
    );
    root
}

/// The package under test.
pub(crate) fn package() -> PathBuf {
    let directory = target().join("debian");
    let packages: Vec<_> = std::fs::read_dir(&directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vrrpd_")))
        .collect();
    let [package] = packages.as_slice() else {
        panic!("{} holds {packages:?}: run netns-scripts/package", directory.display());
    };
    package.clone()
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target")
}
