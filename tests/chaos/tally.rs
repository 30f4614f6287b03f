//! The costs of a run by kind of fault: the table at its end. Pure.

use super::fault::{Kind, Promise, Stroke};
use super::oracle::Machine;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What was observed in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// Time from the end of the last fault until everything was at rest for good.
    pub(crate) rest_after: Duration,
    pub(crate) lost: usize,
    /// The longest time for which the client was not answered at one address.
    pub(crate) longest_gap: Duration,
    pub(crate) without_holder: Duration,
    pub(crate) several_holders: Duration,
    /// The longest time that a thread of a daemon or of the client waited for a processor.
    pub(crate) waited: Duration,
}

/// Rows of the table: a kind that came alone, or a number of faults that overlapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Row {
    Kind(Kind),
    Several(usize),
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
pub(crate) struct Tally {
    rows: BTreeMap<Row, Sum>,
    planned: Planned,
}

/// The results of planned moves that came alone.
#[derive(Debug, Clone, Copy, Default)]
struct Planned {
    moves: usize,
    lost: usize,
    /// Moves on a machine without enough processor time, which are not counted among the others.
    starved_moves: usize,
    starved_lost: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, strokes: &[Stroke], seen: &Seen, machine: Machine) {
        let row = match strokes {
            [one] => {
                self.planned.add(one.kind.promise(), seen.lost, machine);
                Row::Kind(one.kind)
            }
            several => Row::Several(several.len()),
        };
        let sum = self.rows.entry(row).or_default();
        sum.rounds += 1;
        sum.faults += strokes.len();
        sum.lost += seen.lost;
        let worst = &mut sum.worst;
        worst.rest_after = worst.rest_after.max(seen.rest_after);
        worst.lost = worst.lost.max(seen.lost);
        worst.longest_gap = worst.longest_gap.max(seen.longest_gap);
        worst.without_holder = worst.without_holder.max(seen.without_holder);
        worst.several_holders = worst.several_holders.max(seen.several_holders);
        worst.waited = worst.waited.max(seen.waited);
    }

    /// The number of faults.
    pub(crate) fn faults(&self) -> usize {
        self.rows.values().map(|sum| sum.faults).sum()
    }
}

impl Planned {
    const fn add(&mut self, promise: Promise, lost: usize, machine: Machine) {
        match (promise, machine) {
            (Promise::None, _) => {}
            (Promise::Planned, Machine::Fair) => {
                self.moves += 1;
                self.lost += lost;
            }
            (Promise::Planned, Machine::Starved) => {
                self.starved_moves += 1;
                self.starved_lost += lost;
            }
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_millis();
        write!(f, "      at rest after {} ms, {} lost", ms(self.rest_after), self.lost)?;
        if self.waited > Duration::from_millis(50) {
            write!(f, ", a thread waited {} ms for a processor", ms(self.waited))?;
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    /// Writes Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| fault | times | at rest after (ms) max | requests lost | most at once | longest gap (ms) | \
             nobody holds (ms) max | several hold (ms) max | waited for a processor (ms) max |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        for (row, sum) in &self.rows {
            let name = match row {
                Row::Kind(kind) => kind.words().to_owned(),
                Row::Several(count) => format!("{count} that overlap"),
            };
            let worst = &sum.worst;
            writeln!(
                f,
                "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
                sum.rounds,
                worst.rest_after.as_millis(),
                sum.lost,
                worst.lost,
                worst.longest_gap.as_millis(),
                worst.without_holder.as_millis(),
                worst.several_holders.as_millis(),
                worst.waited.as_millis(),
            )?;
        }
        let Planned { moves, lost, starved_moves, starved_lost } = self.planned;
        write!(f, "\nplanned moves: {moves} lost {lost} requests")?;
        if starved_moves > 0 {
            write!(
                f,
                "; {starved_moves} more, in which a thread waited for a processor longer than an interval, \
                 lost {starved_lost}"
            )?;
        }
        writeln!(f)
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
        let (cut, demote) = (chaos_stroke(Kind::Cut), chaos_stroke(Kind::Demote));
        let seen = |lost, gap| Seen { lost, longest_gap: ms(gap), ..Seen::default() };
        tally.add(&[cut], &seen(40, 400), Machine::Fair);
        tally.add(&[cut], &seen(2, 20), Machine::Fair);
        tally.add(&[demote], &seen(3, 3), Machine::Fair);
        tally.add(&[demote], &seen(5, 5), Machine::Starved);
        tally.add(&[cut, demote], &seen(70, 7), Machine::Fair);
        assert_eq!(tally.faults(), 6);
        let text = tally.to_string();
        assert!(text.contains("| cut | 2 | 0 | 42 | 40 | 400 | 0 | 0 | 0 |"), "{text}");
        assert!(text.contains("| 2 that overlap | 1 | 0 | 70 | 70 | 7 | 0 | 0 | 0 |"), "{text}");
        assert!(text.contains("planned moves: 1 lost 3 requests; 1 more, in which"), "{text}");
    }
}
