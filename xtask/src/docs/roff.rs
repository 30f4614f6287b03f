//! Turns the Markdown of the documents into roff for man pages: headings, paragraphs, lists, code
//! and tables. A table becomes a list of paragraphs, because 80 columns have no room for seven.

#![allow(clippy::wildcard_enum_match_arm, reason = "what needs no markup of its own has none")]

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use std::fmt::Write;

/// Turns a document into roff, without its first heading.
pub(crate) fn from_markdown(markdown: &str) -> String {
    let mut page = ManPage::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        page.take(event);
    }
    page.out
}

/// Escapes plain text, so that it may stand anywhere in a line.
pub(crate) fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\u{2019}', "\\(cq")
}

/// Escapes code, which readers copy: without this, an apostrophe would be shown as a quotation
/// mark.
fn verbatim(code: &str) -> String {
    escape(code).replace('\'', "\\*(Aq")
}

#[derive(Default)]
struct ManPage {
    out: String,
    /// The line that is being built.
    line: String,
    in_code: bool,
    lists: usize,
    head: Vec<String>,
    row: Vec<String>,
}

impl ManPage {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_code => self.code(&text),
            Event::Text(text) => self.line.push_str(&escape(&text)),
            Event::Code(text) => {
                let _ = write!(self.line, "\\fB{}\\fR", verbatim(&text));
            }
            Event::SoftBreak | Event::HardBreak => self.line.push(' '),
            Event::Rule
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_) => {
                panic!("no man page has {event:?}: teach tests/generated/roff.rs or write it otherwise")
            }
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => {
                self.flush();
                self.out.push_str(".PP\n.RS 4\n.nf\n");
                self.in_code = true;
            }
            Tag::List(_) => {
                self.flush();
                self.lists += 1;
            }
            Tag::Item => self.out.push_str(".IP \\(bu 2\n"),
            Tag::Emphasis => self.line.push_str("\\fI"),
            Tag::Strong => self.line.push_str("\\fB"),
            Tag::Paragraph if self.lists == 0 => self.out.push_str(".PP\n"),
            Tag::TableHead | Tag::TableRow => self.row.clear(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(HeadingLevel::H1) => self.line.clear(), // the page has one
            TagEnd::Heading(HeadingLevel::H2) => self.heading(".SH"),
            TagEnd::Heading(_) => self.heading(".SS"),
            TagEnd::CodeBlock => {
                self.out.push_str(".fi\n.RE\n");
                self.in_code = false;
            }
            TagEnd::List(_) => self.lists -= 1,
            TagEnd::Emphasis | TagEnd::Strong => self.line.push_str("\\fR"),
            TagEnd::Paragraph | TagEnd::Item => self.flush(),
            TagEnd::TableCell => self.row.push(std::mem::take(&mut self.line)),
            TagEnd::TableHead => self.head = std::mem::take(&mut self.row),
            TagEnd::TableRow => self.table_row(),
            _ => {}
        }
    }

    fn heading(&mut self, request: &str) {
        let text = std::mem::take(&mut self.line);
        let is_word = request == ".SH" && !text.contains("\\fB");
        let text = if is_word { text.to_uppercase() } else { text.replace("\\fB", "").replace("\\fR", "") };
        let _ = writeln!(self.out, "{request} \"{}\"", text.replace('"', "\\(dq"));
    }

    /// Writes a row: the first cell is the term, and the others follow under it, the last one (the
    /// meaning) first.
    fn table_row(&mut self) {
        let cells: Vec<_> = self.head.iter().zip(&self.row).collect();
        let Some(((_, term), rest)) = cells.split_first() else { return };
        let _ = writeln!(self.out, ".TP\n{}", guarded(term));
        let meaning = |name: &str| name == "meaning" || rest.len() == 1;
        for (_, cell) in rest.iter().filter(|(name, _)| meaning(name)) {
            let _ = writeln!(self.out, "{}", guarded(&stop(cell)));
        }
        for (name, cell) in rest.iter().filter(|(name, cell)| !meaning(name) && !cell.is_empty()) {
            if name.as_str() == "since" && cell.as_str() != "later" {
                continue;
            }
            let _ = match cell.as_str() {
                "later" => writeln!(self.out, "Not in this version."),
                cell if *name == "default" && cell.starts_with("required") => {
                    writeln!(self.out, "{}", guarded(&stop(&capital(cell))))
                }
                cell => writeln!(self.out, "{}: {}", capital(name), guarded(&stop(cell))),
            };
        }
    }

    fn code(&mut self, text: &str) {
        for line in text.lines() {
            let _ = writeln!(self.out, "{}", guarded(&verbatim(line)));
        }
    }

    fn flush(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.trim().is_empty() {
            let _ = writeln!(self.out, "{}", guarded(line.trim()));
        }
    }
}

/// Protects a line that begins with a dot or an apostrophe, which roff would take for a request.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

fn stop(sentence: &str) -> String {
    let sentence = sentence.trim();
    if sentence.is_empty() || sentence.ends_with(['.', ':']) {
        sentence.to_owned()
    } else {
        format!("{sentence}.")
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[test]
fn markdown_becomes_roff() {
    let markdown = "# T\n\nA `--b 'x'` *c*\n[d](e.md).\n\n- one\n- two\n\n## Two `x`\n\n```toml\n.a = 1\n```\n\n\
                    | key | type | meaning | since |\n|---|---|---|---|\n| `k` | text | what | 0.1 |\n\n\
                    | code | meaning |\n|---|---|\n| `0` | done |\n";
    let wanted = ".PP\nA \\fB\\-\\-b \\*(Aqx\\*(Aq\\fR \\fIc\\fR d.\n.IP \\(bu 2\none\n.IP \\(bu 2\ntwo\n.SH \"Two x\"\n.PP\n\
                  .RS 4\n.nf\n\\&.a = 1\n.fi\n.RE\n.TP\n\\fBk\\fR\nwhat.\nType: text.\n.TP\n\\fB0\\fR\ndone.\n";
    assert_eq!(from_markdown(markdown), wanted);
}
