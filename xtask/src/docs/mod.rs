//! The files that are generated from definitions in the source. They are committed, so that a
//! reader and a package need no generator.
//!
//! The tests of the package compare the committed files with the same code (`tests/generated`). The
//! schemas of the JSON documents are not here, because they need a feature that the package is not
//! tested with (see `main.rs`).
#![allow(dead_code, reason = "the command and the tests use their parts of it")]

mod completions;
pub(crate) mod config_schema;
mod man;
mod reference;
mod requirements;
pub(crate) mod roff;
#[path = "../../../tests/support/source_tree.rs"]
pub(crate) mod source_tree;

use source_tree::root;
use std::{fs, io};

/// A generated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// The path of the file, relative to the checkout.
    pub(crate) path: String,
    /// The text that the file should have.
    pub(crate) text: String,
}

impl File {
    /// The file with this JSON document.
    pub(crate) fn json(path: &str, document: &serde_json::Value) -> Self {
        Self { path: path.to_owned(), text: format!("{document:#}\n") }
    }

    /// Whether the committed file has this text.
    pub(crate) fn is_current(&self) -> bool {
        fs::read_to_string(root().join(&self.path)).is_ok_and(|committed| committed == self.text)
    }

    /// Writes the file in one step, because something may be reading it.
    pub(crate) fn write(&self) -> io::Result<()> {
        let path = root().join(&self.path);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let draft = path.with_extension("draft");
        fs::write(&draft, &self.text)?;
        fs::rename(&draft, &path)
    }
}

/// Builds every generated file except the schemas of the documents. The man page of the
/// configuration is made from `docs/configuration.md`, which is written by hand.
pub(crate) fn files() -> Vec<File> {
    let mut files = completions::files();
    files.extend(man::files());
    files.push(config_schema::file());
    let requirements = requirements::joined(
        &read(requirements::DOCUMENT),
        &requirements::read_tags(&requirements::tagged_files()),
    );
    files.push(File { path: requirements::DOCUMENT.to_owned(), text: requirements });
    files
}

/// Reads a file of the project.
pub(crate) fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
