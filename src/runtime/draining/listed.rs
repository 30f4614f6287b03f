//! The connections that a leaver has listed. Pure.

use crate::types::{Connection, MonoTime};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a connection counts that is not listed again. A leaver lists all of them each second at
/// least; some of its messages may be lost.
const COUNTS_FOR: Duration = Duration::from_secs(12);

/// The connections of one leaver, each with the time when it was last listed.
#[derive(Debug, Default)]
pub(super) struct ListedConnections(BTreeMap<Connection, MonoTime>);

impl ListedConnections {
    /// Takes a part of a list. Returns the connections that are new, `most` in all at most.
    pub(super) fn note(&mut self, now: MonoTime, connections: &[Connection], most: usize) -> Vec<Connection> {
        let mut new = Vec::new();
        for connection in connections {
            let has_room = self.0.len() < most;
            match self.0.get_mut(connection) {
                Some(listed) => *listed = now,
                None if has_room => {
                    self.0.insert(*connection, now);
                    new.push(*connection);
                }
                None => {}
            }
        }
        new
    }

    /// The connections that count, after those are forgotten that do not.
    pub(super) fn current(&mut self, now: MonoTime) -> Vec<Connection> {
        self.0.retain(|_, listed| now.since(*listed) < COUNTS_FOR);
        self.0.keys().copied().collect()
    }

    /// Forgets the connections that were last listed longer ago.
    pub(super) fn forget_older(&mut self, now: MonoTime, age: Duration) {
        self.0.retain(|_, listed| now.since(*listed) < age);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(port: u16) -> Connection {
        Connection { local: "192.0.2.50:443".parse().unwrap(), remote: ([198, 51, 100, 7], port).into() }
    }

    #[test]
    fn a_connection_counts_until_it_has_not_been_listed_for_twelve_seconds() {
        let start = MonoTime::from_nanos(1);
        let mut listed = ListedConnections::default();
        assert_eq!(listed.note(start, &[connection(1), connection(2)], 10).len(), 2);
        let later = start + Duration::from_secs(11);
        assert_eq!(listed.note(later, &[connection(2), connection(3)], 10), [connection(3)], "2 is known");
        assert_eq!(listed.current(start + Duration::from_secs(12)), [connection(2), connection(3)]);
        assert!(listed.current(later + Duration::from_secs(12)).is_empty());
    }

    #[test]
    fn there_is_a_most() {
        let mut listed = ListedConnections::default();
        let now = MonoTime::from_nanos(1);
        assert_eq!(listed.note(now, &[connection(1), connection(2), connection(3)], 2).len(), 2);
        assert_eq!(listed.len(), 2);
        assert!(listed.note(now, &[connection(4)], 2).is_empty());
    }
}
