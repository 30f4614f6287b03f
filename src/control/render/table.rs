//! The table of `status`.
//!
//! The table for programs has a row for each family, and every column. The table for a terminal is
//! made to fit its width, in this order: families that agree share a row; INTERFACE is left out
//! where it is the same everywhere; reasons continue in the next line; and names are shortened only
//! as far as they can still be told apart.

use super::{NONE_CONFIGURED, named, printable};
use crate::control::message::{StatusDoc, VirtualRouterDoc};
use crate::words::Stamp;
use crate::words::age;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

/// How wide a line may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Lines may have any width, because the reader is a program.
    Unlimited,
    /// Lines may have as many columns as the terminal.
    Columns(usize),
}

/// How many characters a cell may have, whatever the daemon sends. Padding has a limit: `std::fmt`
/// panics at 65,536.
pub(super) const WIDEST: usize = 1000;

/// How many lines a reason may take on a terminal.
const LINES: usize = 3;

pub(in crate::control) const COLUMNS: usize = 9;
const TITLES: [&str; COLUMNS] =
    ["NAME", "INTERFACE", "VRID", "FAMILY", "STATE", "PRIORITY", "ACTIVE", "SINCE", "WHY"];
const NAME: usize = 0;
const INTERFACE: usize = 1;
const VRID: usize = 2;
const FAMILY: usize = 3;
const PRIORITY: usize = 5;
const ACTIVE: usize = 6;
const SINCE: usize = 7;
const WHY: usize = 8;

/// The columns that are left out on a narrow terminal, in this order.
const DISPENSABLE: [usize; 5] = [INTERFACE, FAMILY, VRID, PRIORITY, SINCE];

pub(in crate::control) type TableRow = [String; COLUMNS];

/// The table of `status`.
#[must_use]
pub fn status(document: &StatusDoc, width: Width) -> String {
    if document.virtual_routers.is_empty() {
        return NONE_CONFIGURED.to_owned();
    }
    let alone = |vr| vec![cells(vr, document.time)];
    let rows: Vec<TableRow> = match width {
        Width::Unlimited => document.virtual_routers.iter().flat_map(alone).collect(),
        Width::Columns(_) => {
            let routers = document.virtual_routers.chunk_by(|a, b| a.name == b.name);
            let agreed = |router: &[VirtualRouterDoc]| match agreed(router, document.time) {
                Some(row) => vec![row],
                None => router.iter().map(|vr| cells(vr, document.time)).collect(),
            };
            routers.flat_map(agreed).collect()
        }
    };
    let columns = columns(&rows, width);
    let mut text = String::new();
    line(&mut text, &TITLES.map(str::to_owned), &columns);
    for row in &rows {
        line(&mut text, row, &columns);
    }
    text.push_str(&super::warnings::under_table(document, width));
    text
}

/// The titles and the rows of the table for programs, for a page that draws it in another way.
pub(in crate::control) fn status_cells(document: &StatusDoc) -> ([&'static str; COLUMNS], Vec<TableRow>) {
    (TITLES, document.virtual_routers.iter().map(|vr| cells(vr, document.time)).collect())
}

/// How long ago `since` was.
pub(super) fn since(now: Stamp, since: Stamp) -> String {
    age(Duration::try_from(now.0.duration_since(since.0)).unwrap_or_default())
}

/// The cell of a priority: `150`, or `90 (150)` where it is not the configured one.
pub(super) fn priority(effective: u8, configured: u8) -> String {
    if effective == configured { effective.to_string() } else { format!("{effective} ({configured})") }
}

/// The state in an operator's words. RFC 9568 calls a router Initialize if it is broken, if it was
/// taken out of service, and if it starts.
fn state(vr: &VirtualRouterDoc) -> &str {
    if vr.state != "initialize" {
        return &vr.state;
    }
    let is_out = vr.demoted.as_ref().is_some_and(|demoted| !demoted.last_resort);
    if is_out {
        "DEMOTED"
    } else if vr.faults.iter().all(|fault| fault.starts_with("check ") && fault.ends_with(" pending")) {
        "STARTING"
    } else {
        "FAULT"
    }
}

fn cells(vr: &VirtualRouterDoc, now: Stamp) -> TableRow {
    let active = match &vr.active {
        Some(active) if active.local => "this node".to_owned(),
        Some(active) => printable(&named(active.node.as_deref(), active.address).in_short()),
        None => "-".to_owned(),
    };
    [
        vr.name.to_string(),
        vr.interface.to_string(),
        vr.vrid.to_string(),
        vr.family.to_string(),
        state(vr).to_owned(),
        priority(vr.priority.effective, vr.priority.configured),
        active,
        since(now, vr.since),
        printable(&vr.why),
    ]
    .map(|cell| cell.chars().take(WIDEST).collect())
}

/// One row for both families of a router that are in the same state for the same reason, and whose
/// Active is not known to be two nodes. The reason comes from the family that has one of its own.
fn agreed(router: &[VirtualRouterDoc], now: Stamp) -> Option<TableRow> {
    let [first, second] = router else { return None };
    let local = |vr: &VirtualRouterDoc| vr.active.as_ref().map(|active| active.local);
    let node = |vr: &VirtualRouterDoc| vr.active.as_ref().and_then(|active| active.node.clone());
    let apart = node(first).zip(node(second)).is_some_and(|(first, second)| first != second);
    let told = if first.cause == "sibling" { second } else { first };
    let alike = first.state == second.state
        && first.vrid == second.vrid
        && first.interface == second.interface
        && local(first) == local(second)
        && !apart
        && (second.cause == told.cause || second.cause == "sibling");
    let mut row = alike.then(|| cells(told, now))?;
    if let Some(family) = row.get_mut(FAMILY) {
        "ipv4+6".clone_into(family);
    }
    Some(row)
}

/// The columns that are shown, each with its width.
fn columns(rows: &[TableRow], width: Width) -> Vec<(usize, usize)> {
    let widest = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain(TITLES.get(at).map(|title| title.len())).max().unwrap_or(0)
    };
    let mut columns: Vec<(usize, usize)> = (0..COLUMNS).map(|at| (at, widest(at))).collect();
    let Width::Columns(limit) = width else { return columns };
    let floors: Vec<usize> = columns.iter().map(|(at, width)| floor(rows, *at).min(*width)).collect();
    let floor = |at: usize| floors.get(at).copied().unwrap_or(0);
    // There is one space between columns.
    let total = |widths: &mut dyn Iterator<Item = usize>| widths.map(|width| width + 1).sum::<usize>();
    for at in DISPENSABLE {
        let too_wide = match at {
            INTERFACE => total(&mut columns.iter().map(|(_, width)| *width)) > limit + 1,
            _ => total(&mut columns.iter().map(|(at, _)| floor(*at))) > limit + 1,
        };
        let tells_nothing = rows.windows(2).all(|pair| matches!(pair, [a, b] if a.get(at) == b.get(at)));
        if too_wide && (tells_nothing || at == PRIORITY || at == SINCE) {
            columns.retain(|(column, _)| *column != at);
        }
    }
    // While the table is too wide, the column that can lose most loses a character.
    while total(&mut columns.iter().map(|(_, width)| *width)) > limit + 1 {
        let spare = |(at, width): &(usize, usize)| width.saturating_sub(floor(*at));
        let Some(widest) = columns.iter_mut().max_by_key(|column| spare(column)).filter(|c| spare(c) > 0)
        else {
            break;
        };
        widest.1 -= 1;
    }
    columns
}

/// How narrow a column may become. Its cells must still be told apart, and an IPv4 address is not
/// cut.
fn floor(rows: &[TableRow], at: usize) -> usize {
    let shortest = match at {
        NAME => 8,
        ACTIVE => 11,
        // A reason that is too long continues in the next line.
        WHY => return 20,
        _ => return usize::MAX,
    };
    let cells: BTreeSet<&String> = rows.iter().filter_map(|row| row.get(at)).collect();
    let longest = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
    let whole = cells
        .iter()
        .filter(|cell| at == ACTIVE && cell.parse::<Ipv4Addr>().is_ok())
        .map(|cell| cell.chars().count())
        .max();
    let apart = |width: &usize| {
        let cut: BTreeSet<String> = cells.iter().map(|cell| cut_middle(cell, *width)).collect();
        cut.len() == cells.len()
    };
    let first = shortest.max(whole.unwrap_or(0));
    (first..longest).find(apart).unwrap_or(longest.max(first))
}

fn line(text: &mut String, cells: &TableRow, columns: &[(usize, usize)]) {
    let mut line = String::new();
    let mut rest = Vec::new();
    for (at, width) in columns {
        let Some(cell) = cells.get(*at) else { continue };
        let fitted = if *at == WHY {
            let mut lines = wrapped(cell, *width).into_iter();
            let first = lines.next().unwrap_or_default();
            rest = lines.collect();
            first
        } else {
            cut_middle(cell, *width)
        };
        let _infallible = write!(line, "{fitted:width$} ");
    }
    text.push_str(line.trim_end());
    text.push('\n');
    let indent: usize = columns.iter().filter(|(at, _)| *at != WHY).map(|(_, width)| width + 1).sum();
    for line in rest {
        let _infallible = writeln!(text, "{:indent$}{line}", "");
    }
}

/// Breaks a reason into lines of this width, at most [`LINES`]. A longer reason is cut at the end,
/// because its beginning says most.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut left = text;
    while !left.is_empty() && lines.len() + 1 < LINES && left.chars().count() > width {
        let end = left.char_indices().nth(width).map_or(left.len(), |(at, _)| at);
        let fits = left.get(..end).unwrap_or(left);
        // The space after a word that fits exactly is a place to break, too.
        let breaks_here = left.get(end..).is_some_and(|after| after.starts_with(' '));
        let at = if breaks_here { end } else { fits.rfind(' ').filter(|at| *at > 0).unwrap_or(end) };
        lines.push(left.get(..at).unwrap_or_default().trim_end().to_owned());
        left = left.get(at..).unwrap_or_default().trim_start();
    }
    if !left.is_empty() || lines.is_empty() {
        lines.push(cut_end(left, width));
    }
    lines
}

fn cut_end(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Cuts characters out of the middle, because names and addresses of one site begin alike and
/// differ at the end.
fn cut_middle(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let tail = kept.div_ceil(2);
    let head = text.chars().take(kept - tail);
    head.chain(['…']).chain(text.chars().skip(length - tail)).collect()
}
