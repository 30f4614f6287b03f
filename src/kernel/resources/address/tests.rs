//! The rules cell by cell, and as a property.

use super::super::{Claims, Observed, Operation};
use super::*;
use crate::kernel::address::Readiness;

const ETH0: u32 = 2;
const ETH1: u32 = 3;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn seen(index: u32, text: &str, origin: Origin) -> ObservedAddress {
    ObservedAddress::ready(index, text, origin)
}

fn claims(list: &[(u32, &str, Desired)]) -> Claims {
    let mut claims = Claims::default();
    for (index, text, desired) in list {
        claims.add_address(*index, net(text), *desired);
    }
    claims
}

fn add(index: u32, text: &str) -> Operation {
    AddressOperation::Add { index, net: net(text) }.into()
}

fn remove(address: ObservedAddress) -> Operation {
    AddressOperation::Remove(address).into()
}

/// The operations for these claims and addresses, in their order, if none is refused.
fn difference(claims: &Claims, addresses: &[ObservedAddress]) -> Vec<Operation> {
    let observed = Observed { addresses: addresses.to_vec(), ..Observed::default() };
    let difference = super::super::difference(claims, &observed);
    let steps = [
        difference.loopback_additions,
        difference.removals,
        difference.additions,
        difference.loopback_removals,
    ];
    steps.concat()
}

fn address_of(operation: &Operation) -> IpAddr {
    operation.resource().address().unwrap()
}

/// Every cell of the first table in the documentation of the module.
#[test]
fn the_table_of_rules_holds() {
    use Desired::{Draining, Held, Released};
    use Origin::{Foreign, Ours};
    const VIP: &str = "192.0.2.50/24";
    const OTHER: &str = "192.0.2.50/32";
    type Row = (Option<Desired>, Option<(&'static str, Origin)>, &'static str);
    #[rustfmt::skip]
    let table: &[Row] = &[
        (Some(Held),     None,                   "add"),
        (Some(Draining), None,                   "lo"),
        (Some(Released), None,                   ""),
        (None,           None,                   ""),
        (Some(Held),     Some((VIP, Ours)),      ""),
        (Some(Draining), Some((VIP, Ours)),      "lo remove"),
        (Some(Released), Some((VIP, Ours)),      "remove"),
        (None,           Some((VIP, Ours)),      "remove"),
        (Some(Held),     Some((OTHER, Ours)),    "remove add"),
        (Some(Draining), Some((OTHER, Ours)),    "lo remove"),
        (Some(Released), Some((OTHER, Ours)),    "remove"),
        (None,           Some((OTHER, Ours)),    "remove"),
        (Some(Held),     Some((VIP, Foreign)),   ""),
        (Some(Held),     Some((OTHER, Foreign)), ""),
        (Some(Draining), Some((VIP, Foreign)),   "lo"),
        (Some(Draining), Some((OTHER, Foreign)), "lo"),
        (Some(Released), Some((VIP, Foreign)),   ""),
        (Some(Released), Some((OTHER, Foreign)), ""),
        (None,           Some((VIP, Foreign)),   ""),
        (None,           Some((OTHER, Foreign)), ""),
    ];
    for (claim, present, expected) in table {
        let claims = claim.map_or_else(Claims::default, |desired| claims(&[(ETH0, VIP, desired)]));
        let observed: Vec<_> = present.iter().map(|(text, origin)| seen(ETH0, text, *origin)).collect();
        assert_eq!(words(&difference(&claims, &observed), &observed), *expected, "{claim:?} {present:?}");
    }
}

/// Every cell of the second table. On the interface, the address is where it should be.
#[test]
fn the_table_of_rules_for_lo_holds() {
    use Desired::{Draining, Held, Released};
    use Origin::{Foreign, Ours};
    const COPY: &str = "192.0.2.50/32";
    const OTHER: &str = "192.0.2.50/24";
    type Row = (Option<Desired>, Option<(&'static str, Origin)>, &'static str);
    #[rustfmt::skip]
    let table: &[Row] = &[
        (Some(Draining), None,                   "lo"),
        (Some(Draining), Some((COPY, Ours)),     ""),
        (Some(Held),     Some((COPY, Ours)),     "remove"),
        (Some(Released), Some((COPY, Ours)),     "remove"),
        (None,           Some((COPY, Ours)),     "remove"),
        (Some(Draining), Some((OTHER, Ours)),    "lo remove"),
        (Some(Held),     Some((OTHER, Ours)),    "remove"),
        (Some(Draining), Some((COPY, Foreign)),  ""),
        (Some(Draining), Some((OTHER, Foreign)), ""),
        (Some(Held),     Some((COPY, Foreign)),  ""),
        (Some(Released), Some((COPY, Foreign)),  ""),
        (None,           Some((COPY, Foreign)),  ""),
    ];
    for (claim, present, expected) in table {
        let claims = claim.map_or_else(Claims::default, |desired| claims(&[(ETH0, OTHER, desired)]));
        let mut observed: Vec<_> =
            present.iter().map(|(text, origin)| seen(LOOPBACK, text, *origin)).collect();
        if *claim == Some(Held) {
            observed.push(seen(ETH0, OTHER, Ours));
        }
        assert_eq!(words(&difference(&claims, &observed), &observed), *expected, "{claim:?} {present:?}");
    }
}

/// The operations in words; what is removed is among the first of `observed`.
fn words(operations: &[Operation], observed: &[ObservedAddress]) -> String {
    let words = operations.iter().filter_map(Operation::address).map(|operation| match operation {
        AddressOperation::Remove(address) => {
            assert_eq!(Some(address), observed.first());
            "remove"
        }
        AddressOperation::Add { index, net: added } => {
            assert_eq!((*index, *added), (ETH0, net("192.0.2.50/24")));
            "add"
        }
        AddressOperation::AddToLoopback { address, note, lifetime } => {
            let expected = (net("192.0.2.50/32").addr(), None, AddressLifetime::Unlimited);
            assert_eq!((*address, *note, *lifetime), expected);
            "lo"
        }
        AddressOperation::SetLifetime { .. } => "lifetime",
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn an_address_that_one_instance_holds_and_another_drains_is_held() {
    for order in [[Desired::Held, Desired::Draining], [Desired::Draining, Desired::Held]] {
        let shared = claims(&order.map(|desired| (ETH0, "192.0.2.50/24", desired)));
        assert_eq!(difference(&shared, &[]), [add(ETH0, "192.0.2.50/24")]);
        assert!(shared.guarded().is_empty());
    }
}

#[test]
fn an_address_that_one_instance_drains_and_another_releases_drains() {
    let shared =
        claims(&[(ETH0, "192.0.2.50/24", Desired::Released), (ETH0, "192.0.2.50/24", Desired::Draining)]);
    let there = seen(ETH0, "192.0.2.50/24", Origin::Ours);
    assert_eq!(difference(&shared, &[there]), [add_to_loopback("192.0.2.50"), remove(there)]);
    assert_eq!(shared.guarded(), BTreeSet::from([ETH0]));
}

#[test]
fn an_address_that_drains_on_two_interfaces_is_on_lo_once() {
    let both =
        claims(&[(ETH0, "192.0.2.50/24", Desired::Draining), (ETH1, "192.0.2.50/24", Desired::Draining)]);
    assert_eq!(difference(&both, &[]), [add_to_loopback("192.0.2.50")]);
    assert_eq!(both.guarded(), BTreeSet::from([ETH0, ETH1]));
}

#[test]
fn a_link_local_address_is_released_instead_and_ipv6_needs_no_guard() {
    let v6 =
        claims(&[(ETH0, "fe80::50/64", Desired::Draining), (ETH0, "2001:db8::50/64", Desired::Draining)]);
    let there = ["fe80::50/64", "2001:db8::50/64"].map(|net| seen(ETH0, net, Origin::Ours));
    let removals = [remove(there[1]), remove(there[0])];
    let expected = [vec![add_to_loopback("2001:db8::50")], removals.to_vec()].concat();
    assert_eq!(difference(&v6, &there), expected);
    assert!(v6.guarded().is_empty());
}

#[test]
fn without_its_interface_an_address_stays_on_lo_and_no_guard_is_wanted() {
    let mut claims = Claims::default();
    for address in ["192.0.2.50", "fe80::50"] {
        claims.add_draining(address.parse().unwrap());
    }
    assert_eq!(difference(&claims, &[]), [add_to_loopback("192.0.2.50")]);
    assert!(claims.guarded().is_empty());
}

fn add_to_loopback(address: &str) -> Operation {
    let address = address.parse().unwrap();
    AddressOperation::AddToLoopback { address, note: None, lifetime: AddressLifetime::Unlimited }.into()
}

#[test]
fn an_address_that_two_routers_want_is_added_once() {
    let held = claims(&[(ETH0, "192.0.2.50/24", Desired::Held), (ETH0, "192.0.2.50/32", Desired::Held)]);
    assert_eq!(difference(&held, &[]), [add(ETH0, "192.0.2.50/24")]);
}

#[test]
fn an_address_stays_while_one_of_two_routers_wants_it() {
    for order in [[Desired::Held, Desired::Released], [Desired::Released, Desired::Held]] {
        let shared = claims(&order.map(|desired| (ETH0, "192.0.2.50/24", desired)));
        assert_eq!(difference(&shared, &[seen(ETH0, "192.0.2.50/24", Origin::Ours)]), []);
    }
}

#[test]
fn the_prefix_of_the_holder_counts() {
    let shared =
        claims(&[(ETH0, "192.0.2.50/32", Desired::Released), (ETH0, "192.0.2.50/24", Desired::Held)]);
    assert_eq!(difference(&shared, &[]), [add(ETH0, "192.0.2.50/24")]);
}

/// These are all claims that there are: at the start, at a reload, in operation, and when
/// everything is released.
#[test]
fn what_carries_no_mark_of_ours_is_never_removed() {
    let claimed = |desired| claims(&[(ETH0, "192.0.2.10/24", desired), (ETH0, "2001:db8::10/64", desired)]);
    let drains = claimed(Desired::Draining);
    for claims in [Claims::default(), claimed(Desired::Held), drains, claimed(Desired::Released)] {
        for (v4, v6) in [("192.0.2.10/24", "2001:db8::10/64"), ("192.0.2.10/32", "2001:db8::10/128")] {
            for readiness in [Readiness::Ready, Readiness::Tentative, Readiness::Duplicate] {
                let own =
                    [v4, v6].map(|net| ObservedAddress { readiness, ..seen(ETH0, net, Origin::Foreign) });
                let operations = difference(&claims, &own);
                let removed = operations.iter().filter_map(Operation::address);
                assert_eq!(removed.filter_map(AddressOperation::removed).count(), 0);
            }
        }
    }
}

#[test]
fn of_two_copies_under_two_prefixes_only_ours_is_removed() {
    let (theirs, ours) =
        (seen(ETH0, "192.0.2.50/24", Origin::Foreign), seen(ETH0, "192.0.2.50/32", Origin::Ours));
    let released = claims(&[(ETH0, "192.0.2.50/32", Desired::Released)]);
    assert_eq!(difference(&released, &[theirs, ours]), [remove(ours)]);
}

#[test]
fn the_same_address_on_another_interface_is_another_address() {
    let held = claims(&[(ETH0, "fe80::50/64", Desired::Held)]);
    let observed = [seen(ETH1, "fe80::50/64", Origin::Foreign)];
    assert_eq!(difference(&held, &observed), [add(ETH0, "fe80::50/64")]);
}

#[test]
fn an_address_that_moves_is_removed_before_it_is_added() {
    let held = claims(&[(ETH0, "192.0.2.50/24", Desired::Held)]);
    let there = seen(ETH1, "192.0.2.50/24", Origin::Ours);
    assert_eq!(difference(&held, &[there]), [remove(there), add(ETH0, "192.0.2.50/24")]);
}

#[test]
fn secondaries_are_removed_before_primaries_and_the_last_first() {
    let primary = |text| seen(ETH0, text, Origin::Ours);
    let secondary = |text| ObservedAddress { rank: AddressRank::Secondary, ..seen(ETH0, text, Origin::Ours) };
    let observed = [
        primary("192.0.2.1/24"),
        primary("10.0.0.1/24"),
        secondary("192.0.2.2/24"),
        secondary("192.0.2.3/24"),
    ];
    let order: Vec<_> =
        difference(&Claims::default(), &observed).iter().map(|o| address_of(o).to_string()).collect();
    assert_eq!(order, ["192.0.2.3", "192.0.2.2", "10.0.0.1", "192.0.2.1"]);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    /// The kernel, as far as the difference depends on it.
    fn carry_out(observed: &[ObservedAddress], operations: &[Operation]) -> Vec<ObservedAddress> {
        let mut after = observed.to_vec();
        for operation in operations.iter().filter_map(Operation::address) {
            match operation {
                AddressOperation::Remove(address) => {
                    let at = after.iter().position(|a| a == address).expect("removes what is there");
                    after.remove(at);
                }
                AddressOperation::Add { index, net } => {
                    assert!(
                        !after.iter().any(|a| a.index == *index && a.net == *net),
                        "adds what is missing"
                    );
                    after.push(seen(*index, &net.to_string(), Origin::Ours));
                }
                AddressOperation::AddToLoopback { address, .. }
                | AddressOperation::SetLifetime { address, .. } => {
                    let net = IpNet::from(*address);
                    assert!(
                        !after.iter().any(|a| a.index == LOOPBACK && a.net == net),
                        "adds what is missing"
                    );
                    after.push(seen(LOOPBACK, &net.to_string(), Origin::Ours));
                }
            }
        }
        after
    }

    fn any_net() -> impl Strategy<Value = IpNet> {
        (0_u8..4, prop_oneof![Just(24_u8), Just(32_u8)])
            .prop_map(|(host, prefix)| net(&format!("192.0.2.{host}/{prefix}")))
    }

    fn any_claim() -> impl Strategy<Value = (u32, IpNet, Desired)> {
        let desired = prop_oneof![Just(Desired::Held), Just(Desired::Draining), Just(Desired::Released)];
        (2_u32..4, any_net(), desired)
    }

    proptest! {
        #[test]
        fn once_carried_out_nothing_is_left_to_do_and_strangers_are_untouched(
            list in prop::collection::vec(any_claim(), 0..8),
            present in prop::collection::btree_set((1_u32..4, any_net(), any::<u8>()), 0..8),
        ) {
            let mut claims = Claims::default();
            for (index, net, desired) in &list {
                claims.add_address(*index, *net, *desired);
            }
            let mut observed: Vec<ObservedAddress> = Vec::new();
            for (index, net, bits) in present {
                let origin = if bits & 1 == 0 { Origin::Ours } else { Origin::Foreign };
                if !observed.iter().any(|a| a.index == index && a.net == net) {
                    observed.push(seen(index, &net.to_string(), origin));
                }
            }
            let after = carry_out(&observed, &difference(&claims, &observed));
            prop_assert_eq!(difference(&claims, &after), []);
            for (index, net, _) in &list {
                let wanted = claims.desired(*index, net.addr());
                let is_on = |place: u32| after.iter().any(|a| a.index == place && a.net.addr() == net.addr());
                prop_assert!(wanted != Some(Desired::Held) || is_on(*index));
                prop_assert!(wanted != Some(Desired::Draining) || is_on(LOOPBACK));
            }
            for address in observed.iter().filter(|a| a.origin == Origin::Foreign) {
                prop_assert!(after.contains(address));
            }
        }
    }
}

/// What the kernel says is up to a second more than what is left, and an address must not end before
/// its drain.
#[test]
fn an_address_on_lo_lasts_as_long_as_its_drain_within_the_rounding_of_the_kernel() {
    use AddressLifetime::{Limited, Unlimited};
    let millis = Duration::from_millis;
    let drain = |lefts: &[u64]| {
        let mut claims = claims(&[(ETH0, "192.0.2.50/24", Desired::Draining)]);
        lefts.iter().for_each(|left| claims.limit_drain(net("192.0.2.50/32").addr(), millis(*left)));
        claims
    };
    let on_lo = |lifetime| ObservedAddress { lifetime, ..seen(LOOPBACK, "192.0.2.50/32", Origin::Ours) };
    let (address, note) = (net("192.0.2.50/32").addr(), None);
    let set = |lifetime| Operation::from(AddressOperation::SetLifetime { address, note, lifetime });
    for (lefts, lasts, expected) in [
        (&[60_500][..], Limited(millis(61_000)), None),
        (&[60_500], Limited(millis(64_000)), None),
        (&[60_500], Limited(millis(60_000)), Some(Limited(millis(61_500)))),
        (&[60_500], Limited(millis(65_000)), Some(Limited(millis(61_500)))),
        (&[60_500], Unlimited, Some(Limited(millis(61_500)))),
        // The longest of several drains counts.
        (&[1_000, 60_500], Limited(millis(61_000)), None),
        (&[60_500, 1_000], Limited(millis(61_000)), None),
        (&[], Limited(millis(61_000)), Some(Unlimited)),
        (&[], Unlimited, None),
    ] {
        let expected: Vec<_> = expected.map(set).into_iter().collect();
        assert_eq!(difference(&drain(lefts), &[on_lo(lasts)]), expected, "{lefts:?} {lasts:?}");
    }
    let foreign = ObservedAddress { origin: Origin::Foreign, ..on_lo(Unlimited) };
    assert_eq!(difference(&drain(&[60_500]), &[foreign]), []);
    let lifetime = Limited(millis(61_500));
    let add = AddressOperation::AddToLoopback { address, note, lifetime };
    assert_eq!(difference(&drain(&[60_500]), &[]), [add.into()]);
}
