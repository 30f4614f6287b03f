//! The files of the checkout, for tests that read the project itself.
#![allow(dead_code, reason = "each test uses its part")]

use std::fs;
use std::path::{Path, PathBuf};

/// One text file.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// Path relative to the checkout, with `/`.
    pub(crate) path: String,
    /// The text in the file.
    pub(crate) text: String,
}

impl SourceFile {
    /// The first line (from 1) that belongs to tests, if there is one: the whole file is a test, or
    /// it has an inline `#[cfg(test)] mod … {` in that line.
    pub(crate) fn tests_from(&self) -> Option<usize> {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let in_tests = self.path.starts_with("tests/") || self.path.contains("/tests/");
        if in_tests || name == "tests.rs" || name.ends_with("_tests.rs") {
            return Some(1);
        }
        let lines: Vec<&str> = self.text.lines().collect();
        let opens = |pair: &[&str]| match pair {
            [attribute, module] => {
                attribute.trim() == "#[cfg(test)]"
                    && module.trim_start().starts_with("mod ")
                    && module.trim_end().ends_with('{')
            }
            _ => false,
        };
        lines.windows(2).position(opens).map(|at| at + 1)
    }
}

/// The directory of the checkout: the package of the test, or the directory above it that has the
/// workspace.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().find(|directory| directory.join("Cargo.lock").is_file()).unwrap_or(package)
}

/// Every text file below `directories` (relative to the checkout; `""` is all of it), in the order
/// of their paths. Directories that git ignores by name (`target/`) and git's own files are left
/// out.
pub(crate) fn files_below(directories: &[&str]) -> Vec<SourceFile> {
    let mut paths = Vec::new();
    for directory in directories {
        walk(&root().join(directory), &mut paths);
    }
    paths.sort();
    paths.dedup();
    paths.iter().filter_map(|path| read_text(path)).collect()
}

fn walk(directory: &Path, paths: &mut Vec<PathBuf>) {
    // A directory that does not exist has no files, because not every checkout has benches.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.expect("the checkout is readable").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ignored = matches!(name, "target" | ".git" | "artifacts" | "corpus");
        if path.is_dir() && !path.is_symlink() && !ignored {
            walk(&path, paths);
        } else if path.is_file() && !ignored {
            paths.push(path);
        }
    }
}

fn read_text(path: &Path) -> Option<SourceFile> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let text = String::from_utf8(bytes).ok()?;
    let relative = path.strip_prefix(root()).expect("found below the root");
    Some(SourceFile { path: relative.to_string_lossy().replace('\\', "/"), text })
}
