//! What a run costs, by kind of fault: the table at its end. Pure.

use super::fault::{Kind, Promise, Stroke};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What was seen of one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// From the end of the last fault until everything was at rest for good.
    pub(crate) rest_after: Duration,
    pub(crate) lost: usize,
    /// The longest time that the client was not answered at one address.
    pub(crate) longest_gap: Duration,
    pub(crate) without_holder: Duration,
    pub(crate) several_holders: Duration,
}

/// Rows of the table: a kind, or several at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Row {
    Kind(Kind),
    Several,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    rounds: usize,
    faults: usize,
    worst: Seen,
    lost: usize,
}

/// The sum of all rounds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(BTreeMap<Row, Sum>);

impl Tally {
    pub(crate) fn add(&mut self, strokes: &[Stroke], seen: &Seen) {
        let row = match strokes {
            [one] => Row::Kind(one.kind),
            _ => Row::Several,
        };
        let sum = self.0.entry(row).or_default();
        sum.rounds += 1;
        sum.faults += strokes.len();
        sum.lost += seen.lost;
        let worst = &mut sum.worst;
        worst.rest_after = worst.rest_after.max(seen.rest_after);
        worst.lost = worst.lost.max(seen.lost);
        worst.longest_gap = worst.longest_gap.max(seen.longest_gap);
        worst.without_holder = worst.without_holder.max(seen.without_holder);
        worst.several_holders = worst.several_holders.max(seen.several_holders);
    }

    /// How many faults there were.
    pub(crate) fn faults(&self) -> usize {
        self.0.values().map(|sum| sum.faults).sum()
    }

    /// Requests lost in planned moves.
    pub(crate) fn lost_as_planned(&self) -> usize {
        let planned = |row: &Row| match row {
            Row::Kind(kind) => kind.promise() == Promise::Planned,
            Row::Several => false,
        };
        self.0.iter().filter(|(row, _)| planned(row)).map(|(_, sum)| sum.lost).sum()
    }
}

impl fmt::Display for Tally {
    /// Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| fault | times | at rest after (ms) max | requests lost | most at once | longest gap (ms) | \
             nobody holds (ms) max | several hold (ms) max |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|")?;
        for (row, sum) in &self.0 {
            let name = match row {
                Row::Kind(kind) => kind.words(),
                Row::Several => "several at once",
            };
            let worst = &sum.worst;
            writeln!(
                f,
                "| {name} | {} | {} | {} | {} | {} | {} | {} |",
                sum.faults,
                worst.rest_after.as_millis(),
                sum.lost,
                worst.lost,
                worst.longest_gap.as_millis(),
                worst.without_holder.as_millis(),
                worst.several_holders.as_millis(),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos_stroke;
    use crate::support::ms;

    #[test]
    fn a_row_has_the_worst_and_the_sum_and_only_planned_losses_are_counted_as_such() {
        let mut tally = Tally::default();
        let seen = |lost, gap| Seen { lost, longest_gap: ms(gap), ..Seen::default() };
        tally.add(&[chaos_stroke(Kind::Cut)], &seen(40, 400));
        tally.add(&[chaos_stroke(Kind::Cut)], &seen(2, 20));
        tally.add(&[chaos_stroke(Kind::Demote)], &seen(3, 3));
        tally.add(&[chaos_stroke(Kind::Cut), chaos_stroke(Kind::Demote)], &seen(70, 7));
        assert_eq!((tally.faults(), tally.lost_as_planned()), (5, 3));
        let text = tally.to_string();
        assert!(text.contains("| cut | 2 | 0 | 42 | 40 | 400 | 0 | 0 |"), "{text}");
        assert!(text.contains("| several at once | 2 | 0 | 70 | 70 | 7 | 0 | 0 |"), "{text}");
    }
}
