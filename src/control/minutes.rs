//! Who asked for what, in the log: one line a user and second, and how many more there were.
//!
//! Whoever may use the socket may ask as often as it is answered, which is thousands of times a second; the log is for
//! those who read it. Must not know what is asked.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// For so long a user who has a line gets no other.
const CALM: Duration = Duration::from_secs(1);

/// The users who have a line of this second, and what they asked for since: as many users as there are, at most.
#[derive(Debug, Clone, Default)]
pub(super) struct Minutes(Arc<Mutex<BTreeMap<u32, u64>>>);

/// Whether something that was asked for gets a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    /// It does.
    Line,
    /// It is counted, and the count gets one.
    Counted,
}

impl Minutes {
    /// Somebody asked for something. Must be called on a tokio runtime with time.
    pub(super) fn note(&self, uid: u32) -> Note {
        match self.lock().entry(uid) {
            Entry::Occupied(mut more) => {
                *more.get_mut() += 1;
                Note::Counted
            }
            Entry::Vacant(none) => {
                none.insert(0);
                tokio::spawn(self.clone().conclude(uid));
                Note::Line
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
        let minutes = Minutes::default();
        assert_eq!(minutes.note(1000), Note::Line);
        assert_eq!([minutes.note(1000), minutes.note(1000)], [Note::Counted; 2]);
        assert_eq!(minutes.note(0), Note::Line);
        assert_eq!(*minutes.lock(), BTreeMap::from([(0, 0), (1000, 2)]));
        minutes.clone().conclude(1000).await;
        assert_eq!(minutes.note(1000), Note::Line);
    }
}
