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
//! | yes | `all` has a value with which the kernel answers nevertheless | impossible |
//! | no | as we set them, and something else was found | restore |
//! | no | changed by somebody since | leave |

use super::{Refusals, Resource};
use crate::kernel::sysctl::{ArpState, ArpValues};
use std::collections::{BTreeMap, BTreeSet};

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
                difference.impossible.insert(resource, why.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

    const ETH0: u32 = 2;

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
    fn what_all_makes_impossible_or_cannot_be_read_is_said_and_nothing_is_written() {
        for all in [values(5, 0), values(0, 3)] {
            let difference = compare(&[ETH0], None, ArpState { own: values(0, 0), all });
            assert!(difference.additions.is_empty());
            let why = &difference.impossible[&Resource::ArpGuard { index: ETH0 }];
            let named = format!("all.arp_ignore={} and arp_announce={} ", all.ignore, all.announce);
            assert!(why.contains(&named), "{why}");
        }
        let unread = BTreeMap::from([(ETH0, Err("no such file".to_owned()))]);
        let difference = difference(&BTreeSet::from([ETH0]), BTreeMap::new(), &unread);
        assert_eq!(difference.impossible[&Resource::ArpGuard { index: ETH0 }], "no such file");
        assert!(difference.additions.is_empty() && difference.found.is_empty());
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
