//! The rules cell by cell, and as a property.

use super::super::{Claims, Observed};
use super::*;
use crate::kernel::address::Readiness;
use netlink_packet_route::address::AddressScope;

const ETH0: u32 = 2;
const ETH1: u32 = 3;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn seen(index: u32, text: &str, origin: Origin) -> ObservedAddress {
    ObservedAddress {
        index,
        net: net(text),
        peer: None,
        origin,
        rank: AddressRank::Primary,
        readiness: Readiness::Ready,
        scope: AddressScope::Universe,
    }
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

/// The operations for these claims and addresses, in their order.
fn difference(claims: &Claims, addresses: &[ObservedAddress]) -> Vec<Operation> {
    let observed = Observed { addresses: addresses.to_vec() };
    super::super::difference(claims, &observed).into_operations().collect()
}

fn address_of(operation: &Operation) -> IpAddr {
    match operation.resource() {
        Resource::Address { address, .. } => address,
    }
}

/// Every cell of the table in the documentation of the module.
#[test]
fn the_table_of_rules_holds() {
    use Desired::{Held, Released};
    use Origin::{Foreign, Ours};
    const VIP: &str = "192.0.2.50/24";
    const OTHER: &str = "192.0.2.50/32";
    type Row = (Option<Desired>, Option<(&'static str, Origin)>, &'static str);
    #[rustfmt::skip]
    let table: &[Row] = &[
        (Some(Held),     None,                   "add"),
        (Some(Released), None,                   ""),
        (None,           None,                   ""),
        (Some(Held),     Some((VIP, Ours)),      ""),
        (Some(Released), Some((VIP, Ours)),      "remove"),
        (None,           Some((VIP, Ours)),      "remove"),
        (Some(Held),     Some((OTHER, Ours)),    "remove add"),
        (Some(Released), Some((OTHER, Ours)),    "remove"),
        (None,           Some((OTHER, Ours)),    "remove"),
        (Some(Held),     Some((VIP, Foreign)),   ""),
        (Some(Held),     Some((OTHER, Foreign)), ""),
        (Some(Released), Some((VIP, Foreign)),   ""),
        (Some(Released), Some((OTHER, Foreign)), ""),
        (None,           Some((VIP, Foreign)),   ""),
        (None,           Some((OTHER, Foreign)), ""),
    ];
    for (claim, present, expected) in table {
        let claims = claim.map_or_else(Claims::default, |desired| claims(&[(ETH0, VIP, desired)]));
        let observed: Vec<_> = present.iter().map(|(text, origin)| seen(ETH0, text, *origin)).collect();
        let words: Vec<_> = difference(&claims, &observed)
            .iter()
            .filter_map(Operation::address)
            .map(|operation| match operation {
                AddressOperation::Remove(address) => {
                    assert_eq!(Some(address), observed.first());
                    "remove"
                }
                AddressOperation::Add { index, net: added } => {
                    assert_eq!((*index, *added), (ETH0, net(VIP)));
                    "add"
                }
            })
            .collect();
        assert_eq!(words.join(" "), *expected, "{claim:?} {present:?}");
    }
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
    for claims in [Claims::default(), claimed(Desired::Held), claimed(Desired::Released)] {
        for (v4, v6) in [("192.0.2.10/24", "2001:db8::10/64"), ("192.0.2.10/32", "2001:db8::10/128")] {
            for readiness in [Readiness::Ready, Readiness::Tentative, Readiness::Duplicate] {
                let own =
                    [v4, v6].map(|net| ObservedAddress { readiness, ..seen(ETH0, net, Origin::Foreign) });
                assert_eq!(difference(&claims, &own), []);
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
            }
        }
        after
    }

    fn any_net() -> impl Strategy<Value = IpNet> {
        (0_u8..4, prop_oneof![Just(24_u8), Just(32_u8)])
            .prop_map(|(host, prefix)| net(&format!("192.0.2.{host}/{prefix}")))
    }

    fn any_claim() -> impl Strategy<Value = (u32, IpNet, Desired)> {
        (1_u32..3, any_net(), prop_oneof![Just(Desired::Held), Just(Desired::Released)])
    }

    proptest! {
        #[test]
        fn once_carried_out_nothing_is_left_to_do_and_strangers_are_untouched(
            list in prop::collection::vec(any_claim(), 0..8),
            present in prop::collection::btree_set((1_u32..3, any_net(), any::<u8>()), 0..8),
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
            for address in observed.iter().filter(|a| a.origin == Origin::Foreign) {
                prop_assert!(after.contains(address));
            }
        }
    }
}
