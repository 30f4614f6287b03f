//! What the documents show, in the order in which a reader sees it: console lines with the machine that
//! they are typed on, and files with their machine and path. This module does not run them.
//!
//! - A `console` block has one command in each line. Its prompt names the machine: `fe0# `, `fe1# `,
//!   `client$ `; `# ` alone means the frontend that the reader uses, `$ ` alone a checkout of the
//!   project. Other lines are output.
//! - ` # …` behind a command is a comment. `exit code N` in it is the expected code instead of 0;
//!   `until Ctrl-C` says that the command goes on until the reader has seen enough.
//! - A block that opens with ```` ```toml fe0:/etc/vrrpd/vrrpd.toml ```` is that file on that machine
//!   (`fe0,fe1:/…` on both).
#![allow(dead_code, reason = "each test uses its part")]

use crate::source_tree::{SourceFile, files_below};

/// A fenced block of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Where the block starts: `docs/security.md:12`.
    pub(crate) place: String,
    /// The first word behind the fence: `toml`, `console`.
    pub(crate) language: String,
    /// What follows that word: for a file, its machine and path.
    pub(crate) target: String,
    /// The content, without the indentation of the fence.
    pub(crate) text: String,
}

/// The machine that a command is typed on, or a file is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Machine {
    Fe0,
    Fe1,
    Client,
    /// The frontend that the reader uses at that point.
    Frontend,
    /// A checkout of the project.
    Checkout,
}

/// How long a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    ToItsEnd,
    UntilInterrupted,
}

/// A command as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// Where the command is: `docs/operations.md:25`, the line itself.
    pub(crate) place: String,
    pub(crate) machine: Machine,
    /// The line for a shell, without prompt and comment.
    pub(crate) line: String,
    pub(crate) exit_code: i32,
    pub(crate) lasting: Lasting,
    /// The lines below it that are not commands: what the command prints.
    pub(crate) output: Vec<String>,
}

/// One thing that the reader does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Type(Command),
    Write { place: String, machines: Vec<Machine>, path: String, text: String },
}

impl Machine {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fe0 => "fe0",
            Self::Fe1 => "fe1",
            Self::Client => "client",
            Self::Frontend => "frontend",
            Self::Checkout => "checkout",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Fe0, Self::Fe1, Self::Client].into_iter().find(|machine| machine.name() == name)
    }

    fn of_prompt(prompt: &str) -> Option<Self> {
        match prompt {
            "#" => Some(Self::Frontend),
            "$" => Some(Self::Checkout),
            _ => Self::named(prompt.strip_suffix(['#', '$'])?),
        }
    }
}

impl Command {
    /// The first word, which is the program.
    pub(crate) fn program(&self) -> &str {
        self.line.split_whitespace().next().unwrap_or_default()
    }

    /// The document that shows the command.
    pub(crate) fn document(&self) -> &str {
        self.place.rsplit_once(':').map_or(&*self.place, |(document, _)| document)
    }

    fn read(place: String, line: &str) -> Option<Self> {
        let (prompt, rest) = line.split_once(' ')?;
        let machine = Machine::of_prompt(prompt)?;
        let (line, comment) = rest.split_once(" # ").unwrap_or((rest, ""));
        let exit_code = comment.split_once("exit code ").map_or(0, |(_, code)| {
            let digits: String = code.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or_else(|_| panic!("{place}: which exit code?"))
        });
        let lasting =
            if comment.contains("until Ctrl-C") { Lasting::UntilInterrupted } else { Lasting::ToItsEnd };
        Some(Self { place, machine, line: line.trim().to_owned(), exit_code, lasting, output: Vec::new() })
    }
}

/// All documents of the project.
pub(crate) fn documents() -> Vec<SourceFile> {
    let mut files = files_below(&[""]);
    files.retain(|file| file.path.ends_with(".md"));
    assert!(files.iter().any(|file| file.path == "README.md"), "the scan looks in the wrong place");
    files
}

/// One document by its path: `docs/getting-started.md`.
pub(crate) fn document(path: &str) -> SourceFile {
    let found = documents().into_iter().find(|document| document.path == path);
    found.unwrap_or_else(|| panic!("there is no document {path}"))
}

/// The fenced blocks of a document.
pub(crate) fn blocks(document: &SourceFile) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for (at, line) in document.text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(info)) => {
                let place = format!("{}:{}", document.path, at + 1);
                let indent = line.len() - line.trim_start().len();
                let (language, target) = info.trim().split_once(' ').unwrap_or((info.trim(), ""));
                let (language, target) = (language.to_owned(), target.trim().to_owned());
                open = Some((indent, Block { place, language, target, text: String::new() }));
            }
            (Some((_, block)), Some(_)) => {
                blocks.push(block.clone());
                open = None;
            }
            (Some((indent, block)), None) => {
                block.text.push_str(line.get(*indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a fence is not closed", document.path);
    blocks
}

/// The commands of a `console` block.
pub(crate) fn commands(block: &Block) -> Vec<Command> {
    let (file, start) = block.place.rsplit_once(':').expect("a place is FILE:LINE");
    let start: usize = start.parse().expect("a line number");
    let mut commands: Vec<Command> = Vec::new();
    for (at, line) in block.text.lines().enumerate() {
        if let Some(command) = Command::read(format!("{file}:{}", start + 1 + at), line) {
            commands.push(command);
        } else if let Some(command) = commands.last_mut() {
            command.output.push(line.to_owned());
        }
    }
    commands
}

/// What the reader of a document types and writes, from top to bottom.
pub(crate) fn steps(document: &SourceFile) -> Vec<Step> {
    blocks(document).iter().flat_map(block_steps).collect()
}

/// All commands of all documents.
pub(crate) fn every_command() -> Vec<Command> {
    let steps = documents().iter().flat_map(steps).collect::<Vec<_>>();
    let typed = |step| match step {
        Step::Type(command) => Some(command),
        Step::Write { .. } => None,
    };
    steps.into_iter().filter_map(typed).collect()
}

fn block_steps(block: &Block) -> Vec<Step> {
    if block.language == "console" {
        return commands(block).into_iter().map(Step::Type).collect();
    }
    let Some((machines, path)) = block.target.split_once(':') else { return Vec::new() };
    let named = |name| Machine::named(name).unwrap_or_else(|| panic!("{}: no machine {name}", block.place));
    let machines = machines.split(',').map(named).collect();
    vec![Step::Write {
        place: block.place.clone(),
        machines,
        path: path.to_owned(),
        text: block.text.clone(),
    }]
}
