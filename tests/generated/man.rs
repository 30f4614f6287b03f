//! Man pages: what the types of the command lines say, and what is written in `docs/man/src`.

use super::roff::{escape, from_markdown};
use super::{assert_current, read};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::fmt::Write;
use vrrpd::cli;

/// A rendered section without its heading.
fn body(section: Result<Vec<u8>, std::io::Error>) -> String {
    let text = String::from_utf8(section.expect("writing to memory")).expect("roff is text");
    let body = text
        .lines()
        .filter(|line| !line.starts_with(".SH") && !line.starts_with(".ie") && !line.starts_with(".el"));
    body.fold(String::new(), |mut page, line| {
        page.push_str(line);
        page.push('\n');
        page
    })
}

type Render = fn(&Man, &mut dyn std::io::Write) -> Result<(), std::io::Error>;

fn section(man: &Man, render: Render) -> String {
    let mut text = Vec::new();
    body(render(man, &mut text).map(|()| text))
}

fn head(name: &str, number: u8, about: &str) -> String {
    let title = name.to_uppercase();
    let version = env!("CARGO_PKG_VERSION");
    format!(
        ".\\\" Generated: VRRPD_UPDATE_DOCS=1 cargo test --test generated\n\
         .ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n\
         .TH \"{}\" \"{number}\" \"\" \"vrrpd {version}\" \"vrrpd\"\n.SH NAME\n{} \\- {}\n",
        escape(&title),
        escape(name),
        escape(about)
    )
}

/// The page of a program, with the sections of `docs/man/src/NAME.md` behind its own.
fn page(mut command: Command, number: u8, about: &str) -> String {
    command.build();
    let name = command.get_name().to_owned();
    let man = Man::new(command.clone());
    let mut page = head(&name, number, about);
    let _ = write!(
        page,
        ".SH SYNOPSIS\n{}",
        section(&man, |man, out| man.render_synopsis_section(&mut &mut *out))
    );
    let _ = write!(
        page,
        ".SH DESCRIPTION\n{}",
        section(&man, |m, out| m.render_description_section(&mut &mut *out))
    );
    let _ =
        write!(page, ".SH OPTIONS\n{}", section(&man, |man, out| man.render_options_section(&mut &mut *out)));
    let commands: Vec<_> = command.get_subcommands().filter(|one| one.get_name() != "help").collect();
    if !commands.is_empty() {
        page.push_str(".SH COMMANDS\n");
        for one in commands {
            page.push_str(&subcommand(&name, one));
        }
    }
    page + &from_markdown(&read(&format!("docs/man/src/{name}.md")))
}

/// Its options, but for those of every command, which stand under OPTIONS.
fn subcommand(program: &str, command: &Command) -> String {
    let own = command.clone().mut_args(|arg| {
        let everywhere = arg.is_global_set() || arg.get_id() == "help";
        arg.hide(everywhere)
    });
    let man = Man::new(own);
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim_start_matches(program).trim();
    format!(
        ".SS \"{} {}\"\n{}{}",
        escape(program),
        escape(usage),
        section(&man, |man, out| man.render_description_section(&mut &mut *out)),
        section(&man, |man, out| man.render_options_section(&mut &mut *out))
    )
}

#[test]
fn the_man_page_of_the_daemon() {
    let about = "a VRRP high-availability agent";
    assert_current("docs/man/vrrpd.8", &page(cli::vrrpd::Arguments::command().name("vrrpd"), 8, about));
}

#[test]
fn the_man_page_of_the_command() {
    let page = page(cli::vrrpctl::Cli::command(), 1, "see and steer the virtual routers of this node");
    for command in cli::vrrpctl::Cli::command().get_subcommands() {
        let heading = format!(".SS \"vrrpctl {}", escape(command.get_name()));
        assert!(page.contains(&heading), "no section for {}", command.get_name());
    }
    assert_current("docs/man/vrrpctl.1", &page);
}

/// The reference is the page: nothing is written twice.
#[test]
fn the_man_page_of_the_configuration() {
    let mut page = head("vrrpd.toml", 5, "configuration of vrrpd");
    page.push_str(".SH DESCRIPTION\n");
    page.push_str(&from_markdown(&read("docs/configuration.md")));
    page.push_str(&from_markdown(&read("docs/man/src/vrrpd.toml.md")));
    assert_current("docs/man/vrrpd.toml.5", &page);
}
