//! Log lines about changes that users ask for: one line for each user and second, and then a line
//! with the number of further changes.
//!
//! A member of the group may ask as often as the daemon answers, which is thousands of times a
//! second, and would fill the log that others read. This file does not know what is asked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The time in which a user who has got a line gets no other.
const CALM: Duration = Duration::from_secs(1);

/// The users who have a line of this second, each with the number of changes since that line. There
/// is one entry for each user, so the number of users is the bound.
#[derive(Debug, Clone, Default)]
pub(super) struct ChangeLog(Arc<Mutex<BTreeMap<u32, u64>>>);

/// Whether a change gets a line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogDecision {
    /// The change gets a line.
    Write,
    /// The change is only counted; a later line has the count.
    Count,
}

impl ChangeLog {
    /// Notes that a user asked for a change. Must be called on a tokio runtime with time.
    pub(super) fn record(&self, uid: u32) -> LogDecision {
        match self.lock().entry(uid) {
            Entry::Occupied(mut more) => {
                *more.get_mut() += 1;
                LogDecision::Count
            }
            Entry::Vacant(none) => {
                none.insert(0);
                tokio::spawn(self.clone().conclude(uid));
                LogDecision::Write
            }
        }
    }

    async fn conclude(self, uid: u32) {
        tokio::time::sleep(CALM).await;
        let count = self.lock().remove(&uid).unwrap_or_default();
        if count > 0 {
            tracing::info!(
                uid,
                count,
                "asked for more changes within a second, which are not logged one by one"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_user_has_one_line_a_second_and_does_not_take_that_of_another() {
        let change_log = ChangeLog::default();
        assert_eq!(change_log.record(1000), LogDecision::Write);
        assert_eq!([change_log.record(1000), change_log.record(1000)], [LogDecision::Count; 2]);
        assert_eq!(change_log.record(0), LogDecision::Write);
        assert_eq!(*change_log.lock(), BTreeMap::from([(0, 0), (1000, 2)]));
        change_log.clone().conclude(1000).await;
        assert_eq!(change_log.record(1000), LogDecision::Write);
    }
}
