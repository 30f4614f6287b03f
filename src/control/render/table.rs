//! The table of `status`.

use super::{NONE_CONFIGURED, printable};
use crate::control::message::{StatusDoc, VirtualRouterDoc};
use crate::telemetry::Stamp;
use crate::telemetry::words::age;
use std::fmt::Write as _;
use std::time::Duration;

/// How wide a line may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// As wide as it gets: the reader is a program.
    Unlimited,
    /// A terminal's columns. Names and reasons are shortened, as far as they can be.
    Columns(usize),
}

/// Characters of a cell, whatever the daemon says: padding has an end (`std::fmt` panics at 65,536), and so have readers.
pub(super) const WIDEST: usize = 1000;

const COLUMNS: usize = 9;
const TITLES: [&str; COLUMNS] =
    ["NAME", "INTERFACE", "VRID", "FAMILY", "STATE", "PRIORITY", "ACTIVE", "SINCE", "WHY"];

/// How far each column may shrink; `None`: not at all. ACTIVE keeps its IPv4 addresses whole, too.
const FLOORS: [Option<usize>; COLUMNS] = [Some(8), None, None, None, None, None, Some(11), None, Some(10)];

/// The table of `status`.
#[must_use]
pub fn status(document: &StatusDoc, width: Width) -> String {
    if document.virtual_routers.is_empty() {
        return NONE_CONFIGURED.to_owned();
    }
    let rows: Vec<_> = document.virtual_routers.iter().map(|vr| cells(vr, document.time)).collect();
    let widths = widths(&rows, width);
    let mut text = String::new();
    line(&mut text, &TITLES.map(str::to_owned), &widths);
    for row in &rows {
        line(&mut text, row, &widths);
    }
    text.push_str(&super::warnings::under_table(document, width));
    text
}

/// How long ago `since` was.
pub(super) fn since(now: Stamp, since: Stamp) -> String {
    age(Duration::try_from(now.0.duration_since(since.0)).unwrap_or_default())
}

/// `150`, or `90/150` where tracking has changed it.
pub(super) fn priority(effective: u8, configured: u8) -> String {
    if effective == configured { effective.to_string() } else { format!("{effective}/{configured}") }
}

fn cells(vr: &VirtualRouterDoc, now: Stamp) -> [String; COLUMNS] {
    [
        vr.name.to_string(),
        vr.interface.to_string(),
        vr.vrid.to_string(),
        vr.family.to_string(),
        vr.state.to_string(),
        priority(vr.priority.effective, vr.priority.configured),
        vr.active.map_or_else(|| "-".to_owned(), |active| active.address.to_string()),
        since(now, vr.since),
        printable(&vr.why),
    ]
}

fn widths(rows: &[[String; COLUMNS]], width: Width) -> [usize; COLUMNS] {
    let mut widths = TITLES.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut widths = widths.map(|width| width.min(WIDEST));
    let Width::Columns(limit) = width else { return widths };
    let floors = floors(rows);
    // One space between columns. What is too wide is taken from the column that has most to give,
    // one character after the other, until nothing more can be given.
    while widths.iter().sum::<usize>() + COLUMNS - 1 > limit {
        let spare =
            |(width, floor): &(&mut usize, Option<usize>)| floor.map_or(0, |f| width.saturating_sub(f));
        let Some((widest, _)) = widths.iter_mut().zip(floors).max_by_key(spare).filter(|c| spare(c) > 0)
        else {
            break;
        };
        *widest -= 1;
    }
    widths
}

fn floors(rows: &[[String; COLUMNS]]) -> [Option<usize>; COLUMNS] {
    let mut floors = FLOORS;
    for row in rows {
        for ((floor, cell), title) in floors.iter_mut().zip(row).zip(TITLES) {
            if title == "ACTIVE" && !cell.contains(':') {
                *floor = (*floor).max(Some(cell.len()));
            }
        }
    }
    floors
}

fn line(text: &mut String, cells: &[String; COLUMNS], widths: &[usize; COLUMNS]) {
    let mut line = String::new();
    for ((cell, width), title) in cells.iter().zip(widths).zip(TITLES) {
        let fitted = if title == "WHY" { cut_end(cell, *width) } else { cut_middle(cell, *width) };
        let _infallible = write!(line, "{fitted:width$} ");
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// A reason says most at its beginning.
fn cut_end(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Names and addresses of one site begin alike and differ at the end.
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
