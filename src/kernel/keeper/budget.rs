//! How often a virtual router may undo what somebody else does to its addresses.

use crate::types::MonoTime;
use std::time::Duration;

/// A token bucket. Whoever removes an address once, or restarts a network manager that removes all
/// of them, is answered at once. Against somebody who does it in a loop the repairs go down to one a
/// second: two managers cannot spin, and the addresses still come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RepairBudget {
    left: u32,
    filled_at: MonoTime,
}

impl RepairBudget {
    /// Repairs in a row.
    pub(super) const BURST: u32 = 10;
    /// One more after each.
    pub(super) const PERIOD: Duration = Duration::from_secs(1);

    pub(super) fn full(now: MonoTime) -> Self {
        Self { left: Self::BURST, filled_at: now }
    }

    /// Spends one repair, or says when there will be one.
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
