//! The text of `reload`: first what changes, then what does not.

use super::super::message::{AgentChangeDoc, ChangeDoc, PlannedCheckDoc, PlannedRouterDoc, ReloadDoc};
use super::printable;
use std::fmt::Write as _;

/// The width of the text, in columns of a terminal.
const WIDTH: usize = 80;

/// The text of `reload`: the findings in the file, the plan, and whether the plan is carried out.
#[must_use]
pub fn reload(document: &ReloadDoc) -> String {
    let ReloadDoc { file, report, virtual_routers, checks, agent, .. } = document;
    let mut text = report.clone();
    if !document.valid {
        let errors = counted(document.errors.len(), "error");
        let _infallible = writeln!(text, "{file}: {errors} found; nothing was changed");
        return text;
    }
    for router in virtual_routers.iter().filter(|router| router.action != UNCHANGED) {
        push(&mut text, &router_line(router), &router.changes);
    }
    for check in checks.iter().filter(|check| check.action != UNCHANGED) {
        push(&mut text, &check_line(check), &check.changes);
    }
    for AgentChangeDoc { change, takes_effect } in agent {
        let line = if takes_effect == "restart" { "agent: needs a restart" } else { "agent: changes" };
        push(&mut text, line, std::slice::from_ref(change));
    }
    if !document.refused.is_empty() {
        for reason in &document.refused {
            text.push_str(&wrapped(reason));
        }
        let _infallible = writeln!(text, "REFUSED: nothing was changed; it would harm this machine.");
        return text;
    }
    let changes = text.len() > report.len();
    text.push_str(&unchanged(virtual_routers, checks));
    let summary = match (changes, document.applied) {
        (false, _) => format!("No changes: {file} is already in use."),
        (true, true) => format!("Reloaded {file}."),
        (true, false) => format!("Nothing was changed: a dry run of {file}."),
    };
    text + &summary + "\n"
}

const UNCHANGED: &str = "unchanged";

fn router_line(router: &PlannedRouterDoc) -> String {
    let PlannedRouterDoc { name, interface, vrid, action, .. } = router;
    match &**action {
        "add" => format!("{name}: new, on {interface} with VRID {vrid}"),
        "remove" => format!("{name}: removed; hands over first"),
        "retune" => format!("{name}: changes and keeps its state"),
        "rebuild" => format!("{name}: restarts; hands over first"),
        other => format!("{name}: {other}"),
    }
}

fn check_line(check: &PlannedCheckDoc) -> String {
    let PlannedCheckDoc { name, action, .. } = check;
    match &**action {
        "add" => format!("check {name}: new; it counts from its first result"),
        "remove" => format!("check {name}: removed"),
        "restart" => format!("check {name}: restarts; its last result counts until the next one"),
        other => format!("check {name}: {other}"),
    }
}

fn push(text: &mut String, line: &str, changes: &[ChangeDoc]) {
    let _infallible = writeln!(text, "{}", cut(line));
    for change in changes {
        for line in difference(change) {
            let _infallible = writeln!(text, "{}", cut(&line));
        }
    }
}

/// The lines about one key that changes.
fn difference(change: &ChangeDoc) -> Vec<String> {
    let key = &change.key;
    if let (Some(from), Some(to)) = (&change.from, &change.to) {
        let line = format!("  {key}: {from} → {to}");
        if line.chars().count() <= WIDTH {
            return vec![line];
        }
        return vec![
            format!("  {key}: {from}"),
            format!("  {} → {to}", " ".repeat(key.len().saturating_sub(1))),
        ];
    }
    let signed = |sign: char, list: &Option<Vec<String>>| -> Vec<String> {
        list.iter().flatten().map(|one| format!("{sign} {one}")).collect()
    };
    let entries = [signed('+', &change.added), signed('-', &change.removed)].concat();
    if entries.is_empty() {
        return vec![format!("  {key}: in another order")];
    }
    let lead = |at: usize| if at == 0 { format!("{key}:") } else { " ".repeat(key.len() + 1) };
    entries.iter().enumerate().map(|(at, entry)| format!("  {} {entry}", lead(at))).collect()
}

/// Breaks a sentence into as many lines as it needs, all but the first indented. Words are not cut,
/// because an operator may want to copy a command.
fn wrapped(sentence: &str) -> String {
    let (mut text, mut columns) = (String::new(), 0);
    for word in printable(sentence).split_whitespace() {
        let width = word.chars().count();
        if columns > 0 && columns + 1 + width > WIDTH {
            text.push_str("\n  ");
            columns = 2;
        } else if columns > 0 {
            text.push(' ');
            columns += 1;
        }
        text.push_str(word);
        columns += width;
    }
    text + "\n"
}

/// Shortens a line to the width. `--json` has all of it.
fn cut(line: &str) -> String {
    let line = printable(line);
    if line.chars().count() <= WIDTH {
        return line;
    }
    line.chars().take(WIDTH - 1).chain(['…']).collect()
}

fn unchanged(routers: &[PlannedRouterDoc], checks: &[PlannedCheckDoc]) -> String {
    let routers = routers.iter().filter(|router| router.action == UNCHANGED).count();
    let checks = checks.iter().filter(|check| check.action == UNCHANGED).count();
    match (routers, checks) {
        (0, 0) => String::new(),
        (routers, 0) => format!("{} unchanged.\n", counted(routers, "virtual router")),
        (0, checks) => format!("{} unchanged.\n", counted(checks, "check")),
        (routers, checks) => {
            format!("{} and {} unchanged.\n", counted(routers, "virtual router"), counted(checks, "check"))
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
