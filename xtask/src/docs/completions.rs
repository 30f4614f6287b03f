//! Writes shell completions from the types that parse the command lines.

use super::File;
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use vrrpd::cli;

/// The completions of both programs for three shells.
pub(crate) fn files() -> Vec<File> {
    let commands = [cli::vrrpd::DaemonArguments::command(), cli::vrrpctl::Cli::command()];
    commands.iter().flat_map(completions_of).collect()
}

fn completions_of(command: &Command) -> Vec<File> {
    let name = command.get_name();
    let file = |shell, file: String| File {
        path: format!("docs/completions/{file}"),
        text: completions(shell, command.clone()),
    };
    vec![
        file(Shell::Bash, format!("{name}.bash")),
        file(Shell::Zsh, format!("_{name}")),
        file(Shell::Fish, format!("{name}.fish")),
    ]
}

fn completions(shell: Shell, mut command: Command) -> String {
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    generate(shell, &mut command, name, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
