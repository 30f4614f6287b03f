//! What still has to be reported. Pure.
//!
//! This is not a queue, but the difference between the table and what was reported last. A slow
//! receiver misses intermediate facts, but neither the last ones, nor that an interface was
//! replaced by another one.

use super::MonitorEvent;
use super::table::LinkTable;
use crate::types::{InterfaceName, LinkFacts};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Outbox {
    reported: BTreeMap<InterfaceName, Option<LinkFacts>>,
    unreported: BTreeMap<InterfaceName, Option<LinkFacts>>,
    /// Interfaces that were reported as existing and have disappeared since, even if there is one
    /// of that name again.
    gone: BTreeSet<InterfaceName>,
    addresses: Pending,
    resync: Pending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Pending {
    #[default]
    No,
    Yes,
}

/// Whether changed addresses may be reported again ([`super::QUIET`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum QuietTime {
    Lasts,
    Over,
}

impl Outbox {
    /// The table or the set of watched interfaces may have changed.
    pub(super) fn refresh(&mut self, table: &LinkTable, watched: &BTreeSet<InterfaceName>) {
        self.reported.retain(|name, _| watched.contains(name));
        self.gone.retain(|name| watched.contains(name));
        self.unreported.clear();
        for name in watched {
            let facts = table.facts(*name);
            let reported = if self.gone.contains(name) { Some(&None) } else { self.reported.get(name) };
            if reported != Some(&facts) {
                self.unreported.insert(*name, facts);
            }
        }
    }

    /// Records that this interface was deleted. To be called before [`Self::refresh`].
    pub(super) fn gone(&mut self, name: InterfaceName) {
        if self.reported.get(&name).is_some_and(Option::is_some) {
            self.gone.insert(name);
        }
    }

    pub(super) fn addresses_changed(&mut self) {
        self.addresses = Pending::Yes;
    }

    pub(super) fn resync(&mut self) {
        self.resync = Pending::Yes;
    }

    /// Whether [`Self::next`] has something to report.
    pub(super) fn has_next(&self, quiet_time: QuietTime) -> bool {
        let facts = !self.gone.is_empty() || !self.unreported.is_empty();
        facts
            || self.resync == Pending::Yes
            || (quiet_time == QuietTime::Over && self.addresses == Pending::Yes)
    }

    /// The next report. Facts come first, so that a receiver of changed addresses knows which
    /// interfaces exist.
    pub(super) fn next(&mut self, quiet_time: QuietTime) -> Option<MonitorEvent> {
        if let Some(name) = self.gone.pop_first() {
            self.reported.insert(name, None);
            return Some(MonitorEvent::Link(name, None));
        }
        if let Some((name, facts)) = self.unreported.pop_first() {
            self.reported.insert(name, facts.clone());
            return Some(MonitorEvent::Link(name, facts));
        }
        if self.resync == Pending::Yes {
            self.resync = Pending::No;
            self.addresses = Pending::No;
            return Some(MonitorEvent::Resync);
        }
        if quiet_time == QuietTime::Over && self.addresses == Pending::Yes {
            self.addresses = Pending::No;
            return Some(MonitorEvent::AddressesChanged);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::TableChange;
    use super::*;
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::link::{LinkAttribute, LinkMessage};

    fn watched(names: &[&str]) -> BTreeSet<InterfaceName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_missing_interface_is_reported_once_and_again_when_it_is_watched_again() {
        let mut outbox = Outbox::default();
        let gone = MonitorEvent::Link("eth0".parse().unwrap(), None);
        for _ in 0..2 {
            outbox.refresh(&LinkTable::default(), &watched(&["eth0"]));
            assert_eq!(outbox.next(QuietTime::Over), Some(gone.clone()));
            outbox.refresh(&LinkTable::default(), &watched(&["eth0"]));
            assert_eq!(outbox.next(QuietTime::Over), None);
            outbox.refresh(&LinkTable::default(), &watched(&[]));
        }
    }

    /// An interface can move to another network namespace and back while nothing is read: its facts
    /// are then the same as before.
    #[test]
    fn an_interface_that_went_and_came_back_the_same_is_told_as_gone_first() {
        let (mut outbox, mut table) = (Outbox::default(), LinkTable::default());
        let mut link = LinkMessage::default();
        link.header.index = 2;
        link.attributes.push(LinkAttribute::IfName("eth0".to_owned()));
        let (appears, goes) =
            (RouteNetlinkMessage::NewLink(link.clone()), RouteNetlinkMessage::DelLink(link));
        let reported = |outbox: &mut Outbox| -> Vec<_> {
            std::iter::from_fn(|| outbox.next(QuietTime::Lasts)).collect()
        };
        table.fold(&appears);
        outbox.refresh(&table, &watched(&["eth0"]));
        let [existed] = reported(&mut outbox).try_into().unwrap();
        assert!(matches!(existed, MonitorEvent::Link(_, Some(_))));
        let TableChange::Gone(name) = table.fold(&goes) else { panic!("it is gone") };
        outbox.gone(name);
        table.fold(&appears);
        outbox.refresh(&table, &watched(&["eth0"]));
        assert!(outbox.has_next(QuietTime::Lasts));
        assert_eq!(reported(&mut outbox), [MonitorEvent::Link(name, None), existed]);
    }

    #[test]
    fn changed_addresses_wait_for_the_end_of_the_quiet_time_and_are_reported_once() {
        let mut outbox = Outbox::default();
        outbox.addresses_changed();
        outbox.addresses_changed();
        assert!(!outbox.has_next(QuietTime::Lasts));
        assert_eq!(outbox.next(QuietTime::Lasts), None);
        assert!(outbox.has_next(QuietTime::Over));
        assert_eq!(outbox.next(QuietTime::Over), Some(MonitorEvent::AddressesChanged));
        assert!(!outbox.has_next(QuietTime::Over));
    }

    #[test]
    fn facts_precede_a_resync_which_includes_changed_addresses() {
        let mut outbox = Outbox::default();
        outbox.addresses_changed();
        outbox.resync();
        outbox.refresh(&LinkTable::default(), &watched(&["eth0"]));
        let reported: Vec<_> = std::iter::from_fn(|| outbox.next(QuietTime::Over)).collect();
        assert_eq!(reported, [MonitorEvent::Link("eth0".parse().unwrap(), None), MonitorEvent::Resync]);
    }
}
