//! Computes the result of a check from its single runs. The code is pure.

use crate::protocol::CheckResult;

/// Rise and fall: a result changes after so many runs *in a row* that contradict it.
///
/// The first run gives the first result. A node that starts must not wait `rise × interval` before
/// it may take part, and must not take part for `fall × interval` with a service that is not
/// running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hysteresis {
    rise: u32,
    fall: u32,
    result: Option<CheckResult>,
    latest: Option<CheckResult>,
    in_a_row: u32,
}

impl Hysteresis {
    /// Begins with a check that has not run yet. A 0 counts as 1.
    #[must_use]
    pub(crate) fn new(rise: u8, fall: u8) -> Self {
        let [rise, fall] = [rise, fall].map(|runs| u32::from(runs.max(1)));
        Self { rise, fall, result: None, latest: None, in_a_row: 0 }
    }

    /// Records one run. `Some`: the result is new.
    pub(crate) fn record(&mut self, run: CheckResult) -> Option<CheckResult> {
        self.in_a_row = if self.latest == Some(run) { self.in_a_row.saturating_add(1) } else { 1 };
        self.latest = Some(run);
        let needed = match (self.result, run) {
            (None, CheckResult::Passing | CheckResult::Failing) => 1,
            (Some(CheckResult::Failing), CheckResult::Passing) => self.rise,
            (Some(CheckResult::Passing), CheckResult::Failing) => self.fall,
            (Some(CheckResult::Passing), CheckResult::Passing)
            | (Some(CheckResult::Failing), CheckResult::Failing) => {
                return None;
            }
        };
        if self.in_a_row < needed {
            return None;
        }
        self.result = Some(run);
        self.result
    }

    /// Returns the current result; `None` before the first run.
    #[must_use]
    pub(crate) const fn result(&self) -> Option<CheckResult> {
        self.result
    }

    /// Returns the result of the latest runs, and how many of them in a row had it.
    #[must_use]
    pub(crate) fn streak(&self) -> Option<(CheckResult, u32)> {
        self.latest.map(|health| (health, self.in_a_row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `+` and `-`; the returned text has `P` or `F` where the result was new, and `.`
    /// elsewhere.
    fn results(rise: u8, fall: u8, runs: &str) -> String {
        let mut check = Hysteresis::new(rise, fall);
        let mut record =
            |run| match check.record(if run == '+' { CheckResult::Passing } else { CheckResult::Failing }) {
                Some(CheckResult::Passing) => 'P',
                Some(CheckResult::Failing) => 'F',
                None => '.',
            };
        runs.chars().map(&mut record).collect()
    }

    #[test]
    fn results_change_after_as_many_runs_in_a_row_as_configured() {
        for (rise, fall, runs, expected) in [
            (1, 1, "+-+-", "PFPF"),
            (2, 3, "+---++", "P..F.P"),
            (2, 3, "-++---", "F.P..F"),
            // One run of the other kind starts the count again.
            (2, 3, "+--+--+---", "P........F"),
            (3, 1, "-++-+++", "F.....P"),
            // A run that confirms the result is not reported.
            (2, 2, "++++----", "P....F.."),
            // Flapping does not change the result.
            (2, 2, "+-+-+-+-", "P......."),
            (0, 0, "+-", "PF"),
        ] {
            assert_eq!(results(rise, fall, runs), expected, "rise {rise}, fall {fall}: {runs}");
        }
    }

    #[test]
    fn the_largest_settings_count_to_their_end() {
        let runs = format!("+{}", "-".repeat(255));
        let expected = format!("P{}F", ".".repeat(254));
        assert_eq!(results(255, 255, &runs), expected);
    }

    #[test]
    fn the_streak_tells_the_latest_runs() {
        let mut check = Hysteresis::new(3, 3);
        assert_eq!((check.result(), check.streak()), (None, None));
        check.record(CheckResult::Passing);
        check.record(CheckResult::Failing);
        check.record(CheckResult::Failing);
        assert_eq!(check.result(), Some(CheckResult::Passing));
        assert_eq!(check.streak(), Some((CheckResult::Failing, 2)));
    }
}
