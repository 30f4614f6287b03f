//! Shell completions, from the types that parse the command lines.

use super::assert_current;
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use vrrpd::cli;

fn completions(shell: Shell, mut command: Command) -> String {
    let name = command.get_name().to_owned();
    let mut text = Vec::new();
    generate(shell, &mut command, name, &mut text);
    String::from_utf8(text).expect("completions are text")
}

#[test]
fn completions_are_those_of_the_command_lines() {
    for command in [cli::vrrpd::Arguments::command(), cli::vrrpctl::Cli::command()] {
        let name = command.get_name().to_owned();
        for (shell, file) in [
            (Shell::Bash, format!("{name}.bash")),
            (Shell::Zsh, format!("_{name}")),
            (Shell::Fish, format!("{name}.fish")),
        ] {
            let text = completions(shell, command.clone());
            assert!(text.contains("--socket") || text.contains("-l socket"), "{file} completes nothing");
            assert_current(&format!("docs/completions/{file}"), &text);
        }
    }
}
