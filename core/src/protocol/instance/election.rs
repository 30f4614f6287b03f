//! Who of two Actives goes on (RFC 9568 §6.4.3): the greater priority wins; on a tie the greater
//! source address.

use super::{Instance, Policy, Received};
use crate::types::{AdverInterval, MonoTime};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::time::Duration;

/// How an advertisement compares with what we advertise ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// Its priority is higher.
    Higher,
    /// Equal priority, greater address.
    TieLost,
    /// Equal priority, address not greater.
    TieWon,
    /// Its priority is lower.
    Lower,
}

/// When a lost tie counts. A router of two families yields with both, and addresses order
/// differently in each: were every family's tie to count, equal routers could all yield to one
/// another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Tie {
    /// At once: this family decides.
    AtOnce,
    /// When it has stood for this long: the other family had its chance to decide.
    After(Duration),
}

/// A tie that was lost and does not count yet.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct PendingTieLoss {
    first: MonoTime,
    last: MonoTime,
}

impl PendingTieLoss {
    /// Notes a loss. Returns whether it counts: the tie has stood for `wait`. `theirs` is the
    /// interval of the winner, which may advertise less often than we would wait.
    pub(super) fn note(
        pending: &mut Option<Self>,
        now: MonoTime,
        wait: Duration,
        theirs: AdverInterval,
    ) -> bool {
        let lapse = wait.max(theirs.period() * 3);
        let first = pending.filter(|tie| now.since(tie.last) < lapse).map_or(now, |tie| tie.first);
        *pending = Some(Self { first, last: now });
        now.since(first) >= wait
    }
}

impl Instance {
    /// Compares priorities, and on a tie source addresses, as unsigned integers in network byte
    /// order, with the address that we put in our own advertisements.
    pub(super) fn rank(&self, policy: &Policy, received: &Received) -> Rank {
        match received.priority.cmp(&policy.priority) {
            Ordering::Greater => Rank::Higher,
            Ordering::Less => Rank::Lower,
            // RFC9568-6.4.3-12: `Ord` of addresses of one family is that of their octets.
            Ordering::Equal if Some(received.source) > self.sender.address_for_ties() => Rank::TieLost,
            Ordering::Equal => Rank::TieWon,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_secs(1);

    fn counts(heard_at: &[u64], theirs: AdverInterval) -> bool {
        let mut pending = None;
        let note = |millis: &u64| {
            let now = MonoTime::ZERO + Duration::from_millis(*millis);
            PendingTieLoss::note(&mut pending, now, WAIT, theirs)
        };
        heard_at.iter().map(note).last().unwrap()
    }

    #[test]
    fn a_lost_tie_counts_when_it_has_stood_and_the_winner_was_heard_all_the_time() {
        let second = AdverInterval::default();
        assert!(!counts(&[0], second));
        assert!(!counts(&[0, 999], second));
        assert!(counts(&[0, 1000], second));
        // Three intervals of the winner without a message begin anew.
        assert!(counts(&[0, 2999], second));
        assert!(!counts(&[0, 3000], second));
        let short = AdverInterval::MIN;
        assert!(!counts(&[0, 1000], short), "the wait is longer than three intervals");
        assert!(counts(&[0, 999, 1998], short));
    }
}
