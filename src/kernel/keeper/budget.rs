//! How often an instance may undo what other programs do to its addresses.

use crate::types::MonoTime;
use std::time::Duration;

/// A token bucket. If another program removes an address once, or a restarted network manager
/// removes all of them, they are installed again at once. Against a program that does so in a loop,
/// repairs slow down to one a second: the two cannot undo each other's changes in a busy loop, and
/// the addresses still come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RepairBudget {
    left: u32,
    filled_at: MonoTime,
}

impl RepairBudget {
    /// Number of repairs in a row.
    pub(super) const BURST: u32 = 10;
    /// Time after which there is one more repair.
    pub(super) const PERIOD: Duration = Duration::from_secs(1);

    pub(super) fn full(now: MonoTime) -> Self {
        Self { left: Self::BURST, filled_at: now }
    }

    /// Spends one repair, or returns when there will be one.
    pub(super) fn spend(&mut self, now: MonoTime) -> Result<(), MonoTime> {
        while self.left < Self::BURST && now.since(self.filled_at) >= Self::PERIOD {
            self.left += 1;
            self.filled_at = self.filled_at + Self::PERIOD;
        }
        if self.left == Self::BURST {
            self.filled_at = now;
        }
        self.left = self.left.checked_sub(1).ok_or(self.filled_at + Self::PERIOD)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> MonoTime {
        MonoTime::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_is_answered_at_once_and_then_one_a_second() {
        let mut budget = RepairBudget::full(at(0));
        for _ in 0..RepairBudget::BURST {
            assert_eq!(budget.spend(at(500)), Ok(()));
        }
        assert_eq!(budget.spend(at(500)), Err(at(1500)));
        assert_eq!(budget.spend(at(1499)), Err(at(1500)));
        assert_eq!(budget.spend(at(1500)), Ok(()));
        assert_eq!(budget.spend(at(1500)), Err(at(2500)));
    }

    #[test]
    fn it_fills_up_again_but_not_beyond_a_burst() {
        let mut budget = RepairBudget::full(at(0));
        while budget.spend(at(0)).is_ok() {}
        let spent = (0..100).filter(|_| budget.spend(at(3_600_000)).is_ok()).count();
        assert_eq!(spent, 10);
    }
}
