//! The commands of the developers besides those of cargo: `cargo xtask docs` writes the generated
//! documents, and `cargo xtask mutants` finds changes of the core that no test notices.

mod docs;
mod mutants;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use docs::File;
use std::process::ExitCode;
use vrrpd::control::schema::schemas;

/// Commands for the developers of vrrpd.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: XtaskCommand,
}

#[derive(Debug, Subcommand)]
enum XtaskCommand {
    /// Write man pages, shell completions, JSON Schemas and the tables of docs/rfc9568.md
    Docs {
        /// Write nothing, and fail if a file is not what would be written
        #[arg(long)]
        check: bool,
    },
    /// Change the core in a thousand small ways, and list the changes that no test notices
    Mutants(mutants::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        XtaskCommand::Docs { check: true } => check_docs().map(|()| ExitCode::SUCCESS),
        XtaskCommand::Docs { check: false } => write_docs().map(|()| ExitCode::SUCCESS),
        XtaskCommand::Mutants(options) => mutants::run(&options),
    }
}

/// The generated files whose committed text is not current.
fn stale() -> Vec<File> {
    let documents = schemas().into_iter().map(|(name, schema)| {
        let path = format!("docs/json-schema/{name}.schema.json");
        File::json(&path, &schema)
    });
    docs::files().into_iter().chain(documents).filter(|file| !file.is_current()).collect()
}

fn write_docs() -> anyhow::Result<()> {
    for file in stale() {
        file.write().with_context(|| format!("cannot write {}", file.path))?;
        println!("{}", file.path);
    }
    Ok(())
}

fn check_docs() -> anyhow::Result<()> {
    let stale: Vec<String> = stale().into_iter().map(|file| file.path).collect();
    if !stale.is_empty() {
        bail!(
            "not as they should be: {}. Run `cargo xtask docs`, and look at the difference",
            stale.join(", ")
        );
    }
    Ok(())
}
