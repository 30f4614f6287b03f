//! The ARP guard of an interface: which interfaces should have one, compared with their parameters.
//! Pure.
//!
//! This module owns the values of the guard and the rules for setting and restoring them. It must
//! not know files, names of interfaces, nor why an address drains.
//!
//! By default Linux answers ARP requests on any interface for any of its addresses, and names any of
//! them as the sender of its own requests. With `arp_ignore` = 1 and `arp_announce` = 2 it does so
//! only for addresses of the interface itself. So the addresses that are held there are answered
//! for as before, and those that drain, which are on `lo`, are not (RFC 9568 §6.4.2). IPv6 does so
//! without a guard.
//!
//! | an address drains on the interface | parameters | |
//! |---|---|---|
//! | yes | too low | raise, and remember what was found |
//! | yes | as needed, or stricter | keep |
//! | yes | cannot be read | guard with the table, see below |
//! | yes | `all` has a value with which the kernel answers nevertheless | impossible |
//! | no | as we set them, and something else was found | restore |
//! | no | changed by somebody since | leave |
//!
//! Where the parameters cannot be read or set (a container whose `/proc/sys` is read-only or missing), a table of the
//! packet filter is the guard ([`ArpTable`]): it drops the replies that name a draining address as
//! their sender, and has requests name an address of the interface instead.

use super::{Claims, Refusals, Resource};
use crate::kernel::address::{ObservedAddress, Origin};
use crate::kernel::sysctl::{ArpState, ArpValues};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// The values that the guard sets.
pub const GUARD: ArpValues = ArpValues { ignore: 1, announce: 2 };

/// A change of the ARP parameters of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardOperation {
    /// Index of the interface.
    pub index: u32,
    /// The values to set.
    pub values: ArpValues,
}

impl GuardOperation {
    /// The guard that the operation sets or restores.
    #[must_use]
    pub const fn resource(&self) -> Resource {
        Resource::ArpGuard { index: self.index }
    }
}

/// The changes after which the interfaces have their guards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct GuardDifference {
    pub(super) additions: Vec<GuardOperation>,
    pub(super) removals: Vec<GuardOperation>,
    pub(super) impossible: Refusals,
    /// Interfaces that must have a guard and whose parameters cannot be read, and why.
    pub(super) unreadable: BTreeMap<u32, String>,
    /// What each interface had before its guard, as far as it is known.
    pub(super) found: BTreeMap<u32, ArpValues>,
}

/// Compares the interfaces that must have a guard with the parameters. `known` is what interfaces
/// had before.
#[must_use]
pub(super) fn difference(
    claimed: &BTreeSet<u32>,
    known: BTreeMap<u32, ArpValues>,
    observed: &BTreeMap<u32, Result<ArpState, String>>,
) -> GuardDifference {
    let mut difference = GuardDifference { found: known, ..GuardDifference::default() };
    for index in claimed {
        let resource = Resource::ArpGuard { index: *index };
        let state = match observed.get(index) {
            Some(Ok(state)) => *state,
            Some(Err(why)) => {
                difference.unreadable.insert(*index, why.clone());
                // Nothing is set, so nothing is restored. The label of an address has to name the
                // interface all the same: with the values of the guard it asks for no change.
                difference.found.entry(*index).or_insert(GUARD);
                continue;
            }
            None => {
                difference.impossible.insert(resource, "its ARP parameters were not read".to_owned());
                continue;
            }
        };
        difference.found.entry(*index).or_insert(state.own);
        let raised = ArpState { own: raised(state), ..state };
        if !is_guarded(raised) {
            let why = format!(
                "with net.ipv4.conf.all.arp_ignore={} and arp_announce={} the kernel answers ARP requests for addresses of other \
                 interfaces, whatever the interface has",
                state.all.ignore, state.all.announce
            );
            difference.impossible.insert(resource, why);
        } else if raised != state {
            difference.additions.push(GuardOperation { index: *index, values: raised.own });
        }
    }
    let over = difference.found.iter().filter(|(index, _)| !claimed.contains(index));
    difference.removals = over
        .filter_map(|(index, found)| {
            let state = observed.get(index)?.as_ref().ok()?;
            let values = restored(state.own, *found);
            (values != state.own).then_some(GuardOperation { index: *index, values })
        })
        .collect();
    difference
}

/// Whether the kernel keeps silent about the addresses of `lo` on the interface.
#[must_use]
pub fn is_guarded(state: ArpState) -> bool {
    ignores(state.own.ignore.max(state.all.ignore)) && announces(state.own.announce.max(state.all.announce))
}

/// With 3, addresses whose scope is the host are not answered for, and ours on `lo` have that
/// scope. With 8 none is. The kernel has no meaning for 4 to 7, and answers.
const fn ignores(value: u8) -> bool {
    matches!(value, 1..=3 | 8)
}

/// The kernel has no meaning for greater values, and does as with 0.
const fn announces(value: u8) -> bool {
    value == GUARD.announce
}

/// The values of the interface, each raised if it is too low together with that of `all`.
fn raised(state: ArpState) -> ArpValues {
    let ArpState { own, all } = state;
    ArpValues {
        ignore: if ignores(own.ignore.max(all.ignore)) { own.ignore } else { GUARD.ignore },
        announce: if announces(own.announce.max(all.announce)) { own.announce } else { GUARD.announce },
    }
}

/// What was found, except where the value is not the one that we set.
fn restored(own: ArpValues, found: ArpValues) -> ArpValues {
    ArpValues {
        ignore: if own.ignore == GUARD.ignore { found.ignore } else { own.ignore },
        announce: if own.announce == GUARD.announce { found.announce } else { own.announce },
    }
}

/// What the packet filter does for one draining address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArpRewrite {
    /// Index of the interface on which the address drains.
    pub index: u32,
    /// The draining address: replies that name it as their sender are dropped.
    pub address: Ipv4Addr,
    /// The address that requests name as their sender instead.
    pub instead: Ipv4Addr,
}

/// The whole content of the table; without content there is no table.
pub type ArpRewrites = BTreeSet<ArpRewrite>;

/// The content of the table for the interfaces in `unset`, whose parameters cannot be set, and why.
/// An interface without an address of its own has nothing that its requests could name.
#[must_use]
pub fn rewrites(
    claims: &Claims,
    unset: &BTreeMap<u32, String>,
    addresses: &[ObservedAddress],
) -> (ArpRewrites, Refusals) {
    let (mut rewrites, mut refused) = (ArpRewrites::new(), Refusals::new());
    for (index, why) in unset {
        let mut own = addresses.iter().filter(|it| it.index == *index && it.origin == Origin::Foreign);
        let Some(instead) = own.find_map(|it| ipv4(it.net.addr())) else {
            let why = format!("{why}; and the interface has no IPv4 address of its own");
            refused.insert(Resource::ArpGuard { index: *index }, why);
            continue;
        };
        let draining = claims.draining_on(*index).filter_map(ipv4);
        rewrites.extend(draining.map(|address| ArpRewrite { index: *index, address, instead }));
    }
    (rewrites, refused)
}

const fn ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// What is known about the table. It outlives this agent, as the addresses on `lo` do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ArpTable {
    /// An earlier run may have left one.
    #[default]
    Unknown,
    /// An earlier run may have left one that guarded these interfaces, and it could not be deleted.
    NotDeleted(BTreeSet<u32>),
    /// There is none.
    Absent,
    /// There is one, with this content, unless another program has removed it.
    Present(ArpRewrites),
}

impl ArpTable {
    /// What to write before addresses move: what is wanted, and what is still needed until the
    /// addresses that drained are off `lo`.
    #[must_use]
    pub fn before_moves(&self, wanted: &ArpRewrites) -> Option<ArpRewrites> {
        let needed = match self {
            Self::Present(present) => present | wanted,
            Self::Unknown | Self::NotDeleted(_) | Self::Absent => wanted.clone(),
        };
        (!wanted.is_empty()).then_some(needed)
    }

    /// What to write when addresses have moved. What an earlier run left is not needed any more: the
    /// interfaces that need a guard have one by now.
    #[must_use]
    pub fn after_moves(&self, wanted: &ArpRewrites) -> Option<ArpRewrites> {
        let differs = match self {
            Self::Present(present) => present != wanted,
            Self::Unknown | Self::NotDeleted(_) => wanted.is_empty(),
            Self::Absent => false,
        };
        differs.then(|| wanted.clone())
    }

    /// Takes the content that was written.
    pub fn on_written(&mut self, content: ArpRewrites) {
        *self = if content.is_empty() { Self::Absent } else { Self::Present(content) };
    }

    /// The interfaces that the table guards, or may guard.
    #[must_use]
    pub fn interfaces(&self) -> BTreeSet<u32> {
        match self {
            Self::Present(present) => present.iter().map(|rewrite| rewrite.index).collect(),
            Self::NotDeleted(interfaces) => interfaces.clone(),
            Self::Unknown | Self::Absent => BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Desired;
    use super::*;

    const ETH0: u32 = 2;

    fn rewrite(address: &str) -> ArpRewrite {
        ArpRewrite { index: ETH0, address: address.parse().unwrap(), instead: "192.0.2.10".parse().unwrap() }
    }

    fn claims(draining: &[&str]) -> Claims {
        let mut claims = Claims::default();
        for address in draining {
            claims.add_address(ETH0, format!("{address}/24").parse().unwrap(), Desired::Draining);
        }
        claims.add_address(ETH0, "192.0.2.70/24".parse().unwrap(), Desired::Held);
        claims
    }

    fn seen(index: u32, net: &str, origin: Origin) -> ObservedAddress {
        ObservedAddress::ready(index, net, origin)
    }

    #[test]
    fn requests_name_an_address_of_the_interface_and_without_one_there_is_no_guard() {
        let claims = claims(&["192.0.2.50", "192.0.2.51"]);
        let unset = BTreeMap::from([(ETH0, "read-only".to_owned())]);
        let others = [
            seen(3, "192.0.2.8/24", Origin::Foreign),
            seen(ETH0, "2001:db8::10/64", Origin::Foreign),
            seen(ETH0, "192.0.2.70/24", Origin::Ours),
        ];
        let own = [&others[..], &[seen(ETH0, "192.0.2.10/24", Origin::Foreign)]].concat();
        let both = ["192.0.2.50", "192.0.2.51"].map(rewrite).into();
        assert_eq!(rewrites(&claims, &unset, &own), (both, Refusals::new()));
        let why = "read-only; and the interface has no IPv4 address of its own".to_owned();
        let refused = Refusals::from([(Resource::ArpGuard { index: ETH0 }, why)]);
        assert_eq!(rewrites(&claims, &unset, &others), (ArpRewrites::new(), refused));
        assert_eq!(rewrites(&claims, &BTreeMap::new(), &own), (ArpRewrites::new(), Refusals::new()));
    }

    #[test]
    fn the_table_has_the_old_and_the_new_while_addresses_move() {
        let [one, other] = ["192.0.2.50", "192.0.2.51"].map(|address| ArpRewrites::from([rewrite(address)]));
        let (nothing, both) = (ArpRewrites::new(), &one | &other);
        let mut table = ArpTable::Absent;
        assert_eq!((table.before_moves(&nothing), table.after_moves(&nothing)), (None, None));
        assert_eq!(table.before_moves(&one), Some(one.clone()));
        table.on_written(one.clone());
        assert_eq!(table.interfaces(), BTreeSet::from([ETH0]));
        // It is written in each pass, because another program may have removed it.
        assert_eq!((table.before_moves(&one), table.after_moves(&one)), (Some(one), None));
        assert_eq!(table.before_moves(&other), Some(both.clone()));
        table.on_written(both);
        assert_eq!(table.after_moves(&other), Some(other));
        assert_eq!(
            (table.before_moves(&nothing), table.after_moves(&nothing)),
            (None, Some(nothing.clone()))
        );
        table.on_written(nothing);
        assert_eq!(table, ArpTable::Absent);
    }

    #[test]
    fn the_table_of_an_earlier_run_goes_unless_it_is_needed() {
        let (nothing, one) = (ArpRewrites::new(), ArpRewrites::from([rewrite("192.0.2.50")]));
        assert_eq!(ArpTable::Unknown.before_moves(&nothing), None);
        assert_eq!(ArpTable::Unknown.after_moves(&nothing), Some(nothing));
        assert_eq!(ArpTable::Unknown.before_moves(&one), Some(one));
    }

    fn values(ignore: u8, announce: u8) -> ArpValues {
        ArpValues { ignore, announce }
    }

    fn compare(claimed: &[u32], known: Option<ArpValues>, state: ArpState) -> GuardDifference {
        let known = known.map(|found| (ETH0, found)).into_iter().collect();
        difference(&claimed.iter().copied().collect(), known, &BTreeMap::from([(ETH0, Ok(state))]))
    }

    /// The parameters of the interface and of `all`, and what is written.
    #[test]
    fn what_is_too_low_is_raised_and_what_is_strict_is_kept() {
        #[rustfmt::skip]
        let table = [
            ((0, 0), (0, 0), Some((1, 2))),
            ((0, 1), (0, 0), Some((1, 2))),
            ((1, 0), (0, 0), Some((1, 2))),
            ((1, 2), (0, 0), None),
            ((2, 2), (0, 0), None),
            ((3, 0), (0, 1), Some((3, 2))),
            ((8, 2), (0, 0), None),
            ((0, 0), (1, 2), None),
            ((0, 0), (8, 0), Some((0, 2))),
            ((5, 3), (0, 0), Some((1, 2))),
        ];
        for (own, all, written) in table {
            let state = ArpState { own: values(own.0, own.1), all: values(all.0, all.1) };
            let difference = compare(&[ETH0], None, state);
            let expected: Vec<_> = written
                .map(|(i, a)| GuardOperation { index: ETH0, values: values(i, a) })
                .into_iter()
                .collect();
            assert_eq!(difference.additions, expected, "{own:?} {all:?}");
            assert_eq!(difference.found, BTreeMap::from([(ETH0, state.own)]));
            assert!(difference.removals.is_empty() && difference.impossible.is_empty());
        }
    }

    #[test]
    fn what_all_makes_impossible_is_said_and_what_cannot_be_read_is_left_to_the_table() {
        for all in [values(5, 0), values(0, 3)] {
            let difference = compare(&[ETH0], None, ArpState { own: values(0, 0), all });
            assert!(difference.additions.is_empty());
            let why = &difference.impossible[&Resource::ArpGuard { index: ETH0 }];
            let named = format!("all.arp_ignore={} and arp_announce={} ", all.ignore, all.announce);
            assert!(why.contains(&named), "{why}");
        }
        let unread = BTreeMap::from([(ETH0, Err("no such file".to_owned()))]);
        let difference = super::difference(&BTreeSet::from([ETH0]), BTreeMap::new(), &unread);
        assert_eq!(difference.unreadable, BTreeMap::from([(ETH0, "no such file".to_owned())]));
        assert!(difference.additions.is_empty() && difference.impossible.is_empty());
        let unread = BTreeMap::from([(ETH0, Err("no such file".to_owned()))]);
        let over = super::difference(&BTreeSet::new(), difference.found, &unread);
        assert!(over.removals.is_empty(), "nothing was set");
    }

    #[test]
    fn a_table_that_could_not_be_deleted_is_asked_for_again_and_its_interfaces_are_known() {
        let mut table = ArpTable::NotDeleted(BTreeSet::from([ETH0]));
        assert_eq!(table.interfaces(), BTreeSet::from([ETH0]));
        assert_eq!(table.after_moves(&ArpRewrites::new()), Some(ArpRewrites::new()));
        assert_eq!(table.before_moves(&ArpRewrites::new()), None);
        let wanted = ArpRewrites::from([rewrite("192.0.2.50")]);
        assert_eq!(table.before_moves(&wanted), Some(wanted.clone()));
        table.on_written(ArpRewrites::new());
        assert_eq!((table.after_moves(&ArpRewrites::new()), table), (None, ArpTable::Absent));
    }

    /// What was found, what is there now, and what is written.
    #[test]
    fn what_was_found_comes_back_unless_somebody_changed_it() {
        #[rustfmt::skip]
        let table = [
            ((0, 0), (1, 2), Some((0, 0))),
            ((0, 1), (1, 2), Some((0, 1))),
            ((1, 2), (1, 2), None),
            ((8, 0), (8, 2), Some((8, 0))),
            ((0, 0), (8, 2), Some((8, 0))),
            ((0, 0), (0, 0), None),
        ];
        for (found, own, written) in table {
            let state = ArpState { own: values(own.0, own.1), all: values(0, 0) };
            let difference = compare(&[], Some(values(found.0, found.1)), state);
            let expected: Vec<_> = written
                .map(|(i, a)| GuardOperation { index: ETH0, values: values(i, a) })
                .into_iter()
                .collect();
            assert_eq!(difference.removals, expected, "{found:?} {own:?}");
            assert!(difference.additions.is_empty());
        }
    }

    #[test]
    fn a_guard_that_is_set_keeps_what_was_found_before_it() {
        let state = ArpState { own: GUARD, all: values(0, 0) };
        let difference = compare(&[ETH0], Some(values(0, 1)), state);
        assert_eq!(difference.found, BTreeMap::from([(ETH0, values(0, 1))]));
        assert!(difference.additions.is_empty() && difference.removals.is_empty());
    }
}
