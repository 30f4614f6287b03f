//! What the documents show works: every configuration in them is accepted, every command in them is
//! understood by the program that it calls, and every link has a target.

#[path = "support/runner.rs"]
mod runner;
#[path = "support/shown.rs"]
mod shown;
#[path = "support/source_tree.rs"]
mod source_tree;

use shown::{Block, Lasting, Machine, Step, blocks, commands, documents, every_command, steps};
use source_tree::{SourceFile, root};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use vrrpd::config::{self, ConfigError};

fn blocks_of(language: &str) -> Vec<Block> {
    documents().iter().flat_map(blocks).filter(|block| block.language == language).collect()
}

/// Splits a command into words as a shell does, with double quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in command.trim().chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn complaints(errors: &[ConfigError]) -> String {
    errors.iter().map(|error| format!("{error:?}\n")).collect()
}

#[test]
fn every_configuration_in_the_documents_is_accepted() {
    let blocks = blocks_of("toml");
    assert!(
        blocks.iter().any(|block| block.place.starts_with("README.md")),
        "the README shows no configuration"
    );
    for block in blocks {
        if let Err(errors) = config::resolve(&block.text, &block.place) {
            panic!("{}:\n{}", block.place, complaints(&errors));
        }
    }
}

#[test]
fn the_pair_of_the_readme_is_a_pair() {
    let block = blocks_of("toml").into_iter().find(|block| block.place.starts_with("README.md"));
    let fe0 = block.expect("the README shows a configuration").text;
    let fe1 = fe0.replace("\"fe0\"", "\"fe1\"").replace("150", "?").replace("100", "150").replace('?', "100");
    let routers = |text: &str| {
        let resolved =
            config::resolve(text, "README.md").unwrap_or_else(|errors| panic!("{}", complaints(&errors)));
        assert_eq!(resolved.warnings, [], "the example gets warnings");
        resolved.config.routers
    };
    let (fe0, fe1) = (routers(&fe0), routers(&fe1));
    assert_eq!(fe0.len(), fe1.len());
    for (ours, theirs) in fe0.iter().zip(&fe1) {
        assert_eq!((&ours.name, ours.vrid, &ours.instances), (&theirs.name, theirs.vrid, &theirs.instances));
        assert_ne!(ours.role, theirs.role, "{}: somebody must be preferred", ours.name);
    }
}

/// Runs a command of the documents only so far that its arguments are parsed.
fn judge(program: &str, arguments: &[String], config: &Path) -> Output {
    let mut command = match program {
        "vrrpctl" => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpctl"));
            // Nothing listens there: a command that is understood ends with exit code 3.
            command.args(["--socket", "/nonexistent/control.sock"]).args(arguments);
            command
        }
        _ => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpd"));
            command.args(arguments.iter().filter(|argument| *argument != "--check"));
            command.arg("--check").arg("--config").arg(config);
            command
        }
    };
    command.output().expect("the programs of this package can be run")
}

/// What is wrong with one command of the documents. Commands of the system are not checked here,
/// but run by another test: [`every_command_in_the_documents_is_run_by_somebody`].
fn complaint(words: &[String], config: &Path) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    match program.as_str() {
        "vrrpctl" | "vrrpd" => {
            let expected = if program == "vrrpctl" { 3 } else { 0 };
            let Output { status, stderr, .. } = judge(program, arguments, config);
            let error = String::from_utf8_lossy(&stderr);
            (status.code() != Some(expected)).then(|| format!("{words:?} ends with {status}: {error}"))
        }
        script if script.contains('/') => {
            (!root().join(script).is_file()).then(|| format!("there is no {script}"))
        }
        _ => None,
    }
}

#[test]
fn every_command_in_the_documents_is_understood() {
    let directory = tempfile::tempdir().expect("a directory for the configuration");
    let config = directory.path().join("vrrpd.toml");
    let example = blocks_of("toml").into_iter().find(|block| block.place.starts_with("README.md"));
    fs::write(&config, example.expect("the README shows a configuration").text).expect("a temporary file");

    let mut complaints = Vec::new();
    for block in blocks_of("console") {
        for command in commands(&block) {
            let complaint = complaint(&words(&command.line), &config);
            complaints.extend(complaint.map(|what| format!("{}: {what}", command.place)));
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_command_in_the_documents_is_run_by_somebody() {
    let all = every_command();
    let nobody: Vec<String> = all
        .iter()
        .filter(|command| runner::runner(command).is_none())
        .map(|command| format!("{}: {}", command.place, command.line))
        .collect();
    assert!(nobody.is_empty(), "nobody runs (tests/support/runner.rs):\n{}\n", nobody.join("\n"));
    for (line, why) in runner::EXCEPTIONS {
        assert!(all.iter().any(|command| command.line == line), "{line} ({why}) is not shown any more");
    }
    for program in runner::LAB.iter().chain(&runner::PACKAGE) {
        assert!(all.iter().any(|command| command.program() == *program), "{program} is not shown any more");
    }
    assert!(all.len() > 40, "only {} commands are shown", all.len());
}

#[test]
fn what_wants_systemd_is_shown_in_a_document_that_is_typed_there() {
    let all = every_command();
    let (there, elsewhere): (Vec<_>, Vec<_>) = all
        .iter()
        .filter(|command| runner::runner(command) == Some(runner::Runner::Package))
        .partition(|command| runner::ON_SYSTEMD.contains(&command.document()));
    assert!(!there.is_empty());
    for command in elsewhere {
        let same = there.iter().any(|typed| typed.line == command.line);
        assert!(same, "{}: no document in {:?} has this line", command.place, runner::ON_SYSTEMD);
    }
}

#[test]
fn every_script_in_the_documents_is_one() {
    let blocks = blocks_of("sh");
    assert!(!blocks.is_empty());
    for block in blocks {
        let parsed = Command::new("sh").args(["-n", "-c", &block.text]).output().expect("a shell");
        assert!(parsed.status.success(), "{}: {}", block.place, String::from_utf8_lossy(&parsed.stderr));
    }
}

/// Targets of `[text](target)` that are in this project.
fn links(text: &str) -> Vec<&str> {
    let targets = text.match_indices("](").filter_map(|(at, _)| {
        let rest = text.get(at + 2..)?;
        rest.split_once(')').map(|(target, _)| target)
    });
    targets.filter(|target| !target.contains("://") && !target.starts_with('#')).collect()
}

/// The name of a heading in a link: small letters, no punctuation, hyphens for blanks.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn has_anchor(text: &str, wanted: &str) -> bool {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).any(|anchor| anchor == wanted)
}

/// Lines of prose that do not end at 100 columns. Blocks, and rows of tables, cannot be wrapped.
fn long_lines(text: &str) -> Vec<usize> {
    let mut in_block = false;
    let mut long = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        let fixed = in_block || line.trim_start().starts_with('|');
        if !fixed && line.chars().count() > 100 {
            long.push(at + 1);
        }
    }
    long
}

#[test]
fn lines_of_documents_end_at_a_hundred_columns() {
    let long: Vec<String> = documents()
        .iter()
        .flat_map(|file| long_lines(&file.text).into_iter().map(|line| format!("{}:{line}", file.path)))
        .collect();
    assert!(long.is_empty(), "\nlines over 100 columns: wrap them\n{}\n", long.join("\n"));
    let text = format!("{0}\n| {0}\n```\n{0}\n```\nshort\n", "x".repeat(101));
    assert_eq!(long_lines(&text), [1]);
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    let mut dead = Vec::new();
    for document in documents() {
        let directory = Path::new(&document.path).parent().unwrap_or(Path::new(""));
        for link in links(&document.text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = root().join(directory).join(file);
            let found = target.exists()
                && (heading.is_empty()
                    || has_anchor(&fs::read_to_string(target).unwrap_or_default(), heading));
            if !found {
                dead.push(format!("{}: {link}", document.path));
            }
        }
    }
    assert!(dead.is_empty(), "\nlinks that lead nowhere:\n{}\n", dead.join("\n"));
}

#[test]
fn blocks_commands_and_links_are_found_where_they_are() {
    let text = "a\n   ```toml\n   x = 1\n\n   [y]\n   ```\n```console\n$ vrrpctl demote a --reason \"two words\" # note\nout\n# vrrpd\n```\n";
    let document = SourceFile { path: "x.md".to_owned(), text: text.to_owned() };
    let found = blocks(&document);
    let [toml, console] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((toml.place.as_str(), toml.text.as_str()), ("x.md:2", "x = 1\n\n[y]\n"));
    let typed = commands(console);
    let [demote, daemon] = typed.as_slice() else { panic!("{typed:?}") };
    assert_eq!((demote.place.as_str(), demote.machine), ("x.md:8", Machine::Checkout));
    assert_eq!(demote.output, ["out"]);
    assert_eq!(words(&demote.line), ["vrrpctl", "demote", "a", "--reason", "two words"]);
    assert_eq!((daemon.line.as_str(), daemon.machine), ("vrrpd", Machine::Frontend));
    assert_eq!(links("[a](b.md) [c](https://d) [e](f.md#g) [h](#i)"), ["b.md", "f.md#g"]);
    assert!(has_anchor("a\n## What `x` is, and why\n", "what-x-is-and-why") && !has_anchor("what\n", "what"));
}

#[test]
fn steps_name_their_machine_their_exit_code_and_how_long_they_last() {
    let text = "```toml fe0,fe1:/etc/a.toml\nx = 1\n```\n```console\nfe1# vrrpctl demote a   # exit code 4: nobody\n\
                client$ while sleep 1; do curl -s http://a/; done # until Ctrl-C\nfe0: output # no prompt\n```\n";
    let document = SourceFile { path: "x.md".to_owned(), text: text.to_owned() };
    let found = steps(&document);
    let [Step::Write { machines, path, text, .. }, Step::Type(demote), Step::Type(watch)] = found.as_slice()
    else {
        panic!("{found:?}")
    };
    assert_eq!((machines.as_slice(), path.as_str()), (&[Machine::Fe0, Machine::Fe1][..], "/etc/a.toml"));
    assert_eq!(text, "x = 1\n");
    assert_eq!((demote.machine, demote.exit_code, demote.lasting), (Machine::Fe1, 4, Lasting::ToItsEnd));
    assert_eq!(demote.line, "vrrpctl demote a");
    assert_eq!((watch.machine, watch.lasting), (Machine::Client, Lasting::UntilInterrupted));
    assert_eq!(watch.line, "while sleep 1; do curl -s http://a/; done");
}

#[test]
fn every_decision_has_one_row_and_a_head_with_its_number() {
    let directory = root().join("docs/adr");
    let names = fs::read_dir(&directory).expect("docs/adr").map(|entry| entry.expect("an entry").file_name());
    let mut decisions: Vec<_> = names.map(|name| name.into_string().expect("a name in UTF-8")).collect();
    decisions.retain(|name| name != "README.md");
    decisions.sort();
    let table = fs::read_to_string(directory.join("README.md")).expect("docs/adr/README.md");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| [")?.split_once("](")?.1.split_once(')'));
    let listed: Vec<_> = rows.map(|(file, _)| file).collect();
    assert_eq!(listed, decisions, "the rows of docs/adr/README.md");
    for name in decisions {
        let text = fs::read_to_string(directory.join(&name)).expect("a decision");
        assert!(text.starts_with(&format!("# {}: ", &name[..4])), "{name}");
    }
}
