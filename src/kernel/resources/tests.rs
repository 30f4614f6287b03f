//! The order of the steps, and what is not done when an earlier one fails.

use super::*;
use crate::kernel::address::{AddressLifetime, AddressRank, ArpNote, Readiness};
use arp_guard::GUARD;
use netlink_packet_route::address::AddressScope;

const ETH0: u32 = 2;
const VIP: &str = "192.0.2.50/24";
const FOUND: ArpValues = ArpValues { ignore: 0, announce: 1 };

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn seen(index: u32, text: &str, note: Option<ArpNote>) -> ObservedAddress {
    ObservedAddress {
        index,
        net: net(text),
        peer: None,
        origin: Origin::Ours,
        rank: AddressRank::Primary,
        readiness: Readiness::Ready,
        note,
        lifetime: AddressLifetime::Unlimited,
        scope: AddressScope::Universe,
    }
}

fn claims(desired: Desired) -> Claims {
    let mut claims = Claims::default();
    claims.add_address(ETH0, net(VIP), desired);
    claims
}

fn state(own: ArpValues) -> BTreeMap<u32, Result<ArpState, String>> {
    BTreeMap::from([(ETH0, Ok(ArpState { own, all: ArpValues { ignore: 0, announce: 0 } }))])
}

fn held() -> Observed {
    Observed { addresses: vec![seen(ETH0, VIP, None)], arp: state(FOUND), ..Observed::default() }
}

fn draining() -> Observed {
    let note = Some(ArpNote { interface: ETH0, found: FOUND });
    let addresses = vec![seen(LOOPBACK, "192.0.2.50/32", note)];
    Observed { addresses, arp: state(GUARD), ..Observed::default() }
}

/// The steps in words, where those that touch a resource of `refuse` are refused.
fn carry_out(claims: &Claims, observed: &Observed, refuse: &[Resource]) -> (Vec<String>, Refusals) {
    let difference = difference(claims, observed);
    let mut refused = difference.impossible.clone();
    let mut done = Vec::new();
    let mut attempt = |name: String, resource: Resource, refused: &mut Refusals| {
        if refuse.contains(&resource) {
            refused.insert(resource, "no".to_owned());
        } else {
            done.push(name);
        }
    };
    for guard in &difference.guards {
        attempt(format!("guard {:?}", guard.values), guard.resource(), &mut refused);
    }
    for operation in difference.due_loopback_additions(claims, &mut refused) {
        attempt(name(&operation), operation.resource(), &mut refused);
    }
    for operation in difference.due_changes_of_interfaces(claims, &mut refused) {
        attempt(name(&operation), operation.resource(), &mut refused);
    }
    for operation in difference.due_loopback_removals(claims, &mut refused) {
        attempt(name(&operation), operation.resource(), &mut refused);
    }
    for guard in difference.due_guard_removals(&mut refused) {
        attempt(format!("guard {:?}", guard.values), guard.resource(), &mut refused);
    }
    (done, refused)
}

fn name(operation: &Operation) -> String {
    operation.to_string().replace("cannot ", "")
}

fn guard(values: ArpValues) -> String {
    format!("guard {values:?}")
}

const ON_LO: Resource = Resource::on_loopback(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 50)));
const ON_ETH0: Resource =
    Resource::Address { index: ETH0, address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 50)) };
const GUARD_OF_ETH0: Resource = Resource::ArpGuard { index: ETH0 };

#[test]
fn a_drain_guards_then_adds_then_removes_and_the_label_notes_what_was_found() {
    let (done, refused) = carry_out(&claims(Desired::Draining), &held(), &[]);
    assert_eq!(done, [guard(GUARD), "add 192.0.2.50 to lo".to_owned(), "remove 192.0.2.50/24".to_owned()]);
    assert_eq!(refused, Refusals::new());
    let note = Some(ArpNote { interface: ETH0, found: FOUND });
    let address = net(VIP).addr();
    let lifetime = AddressLifetime::Unlimited;
    let expected = [Operation::from(AddressOperation::AddToLoopback { address, note, lifetime })];
    assert_eq!(difference(&claims(Desired::Draining), &held()).loopback_additions, expected);
}

#[test]
fn the_way_back_adds_then_removes_then_restores() {
    let (done, _) = carry_out(&claims(Desired::Held), &draining(), &[]);
    let expected = ["add 192.0.2.50/24".to_owned(), "remove 192.0.2.50/32 from lo".to_owned(), guard(FOUND)];
    assert_eq!(done, expected);
}

#[test]
fn the_end_of_a_drain_removes_then_restores() {
    let (done, _) = carry_out(&claims(Desired::Released), &draining(), &[]);
    assert_eq!(done, ["remove 192.0.2.50/32 from lo".to_owned(), guard(FOUND)]);
}

#[test]
fn a_drain_that_goes_on_changes_nothing() {
    assert_eq!(carry_out(&claims(Desired::Draining), &draining(), &[]).0, Vec::<String>::new());
}

/// What is refused, what is done, and what counts as refused.
#[test]
fn nothing_is_done_that_depends_on_what_failed() {
    type Row<'r> = (Desired, Observed, Resource, &'r [String], &'r [Resource]);
    let table: [Row<'_>; 6] = [
        (Desired::Draining, held(), GUARD_OF_ETH0, &[], &[ON_LO, ON_ETH0, GUARD_OF_ETH0]),
        (Desired::Draining, held(), ON_LO, &[guard(GUARD)], &[ON_LO, ON_ETH0]),
        (Desired::Draining, held(), ON_ETH0, &[guard(GUARD), "add 192.0.2.50 to lo".into()], &[ON_ETH0]),
        (Desired::Held, draining(), ON_ETH0, &[], &[ON_LO, ON_ETH0, GUARD_OF_ETH0]),
        (Desired::Held, draining(), ON_LO, &["add 192.0.2.50/24".into()], &[ON_LO, GUARD_OF_ETH0]),
        (Desired::Released, draining(), ON_LO, &[], &[ON_LO, GUARD_OF_ETH0]),
    ];
    for (desired, observed, refuse, done, refused) in table {
        let outcome = carry_out(&claims(desired), &observed, &[refuse]);
        assert_eq!(outcome.0, done, "{desired:?} {refuse:?}");
        assert_eq!(outcome.1.keys().copied().collect::<Vec<_>>(), refused, "{desired:?} {refuse:?}");
        assert!(outcome.1.values().all(|why| why == "no"));
    }
}

#[test]
fn while_lo_is_down_nothing_moves() {
    let observed = Observed { loopback: LoopbackState::Down, ..held() };
    let (done, refused) = carry_out(&claims(Desired::Draining), &observed, &[]);
    assert_eq!(done, [guard(GUARD)]);
    let expected = [ON_LO, ON_ETH0].map(|resource| (resource, "the interface lo is down".to_owned()));
    assert_eq!(refused, Refusals::from(expected));
}

#[test]
fn an_address_of_another_program_on_lo_serves_and_stays() {
    let foreign = ObservedAddress { origin: Origin::Foreign, ..seen(LOOPBACK, "192.0.2.50/32", None) };
    let mut observed = held();
    observed.addresses.push(foreign);
    let (done, _) = carry_out(&claims(Desired::Draining), &observed, &[]);
    assert_eq!(done, [guard(GUARD), "remove 192.0.2.50/24".to_owned()]);
    observed.addresses.remove(0);
    observed.arp = state(GUARD);
    for desired in [Desired::Held, Desired::Released] {
        let mut claims = claims(desired);
        claims.remember(&BTreeMap::from([(ETH0, FOUND)]));
        let (done, _) = carry_out(&claims, &observed, &[]);
        assert!(!done.iter().any(|it| it.contains("remove")), "{done:?}");
        assert_eq!(done.last(), Some(&guard(FOUND)));
    }
}

#[test]
fn what_nobody_wants_is_stale_with_its_guard() {
    let left = stale(&Claims::default(), &draining());
    assert_eq!(left.loopback_removals.len(), 1);
    assert_eq!(left.guard_removals, [GuardOperation { index: ETH0, values: FOUND }]);
}

#[test]
fn what_a_drain_or_a_hold_will_move_is_not_stale() {
    for (desired, observed) in [
        (Desired::Draining, draining()),
        (Desired::Draining, held()),
        (Desired::Held, draining()),
        (Desired::Held, held()),
    ] {
        assert_eq!(stale(&claims(desired), &observed), ResourceDifference::default(), "{desired:?}");
    }
    assert_eq!(stale(&claims(Desired::Released), &draining()).loopback_removals.len(), 1);
    assert_eq!(stale(&claims(Desired::Released), &held()).removals.len(), 1);
}

/// The interface is not known by its name: its facts come later, or it was renamed.
#[test]
fn the_interface_that_the_label_of_a_draining_address_names_keeps_its_guard() {
    let noted = |observed: &Observed| {
        let mut claims = Claims::default();
        claims.add_draining(net(VIP).addr());
        claims.add_noted(observed);
        claims
    };
    let observed = draining();
    assert_eq!(carry_out(&noted(&observed), &observed, &[]).0, Vec::<String>::new());
    assert_eq!(stale(&noted(&observed), &observed), ResourceDifference::default());
    // Another program has lowered it.
    let lowered = Observed { arp: state(FOUND), ..draining() };
    assert_eq!(carry_out(&noted(&lowered), &lowered, &[]).0, [guard(GUARD)]);
    // Where the parameters cannot be set, the table is written for the address.
    let unset = BTreeMap::from([(ETH0, "read-only".to_owned())]);
    let own = ObservedAddress::ready(ETH0, "192.0.2.10/24", Origin::Foreign);
    let (rewrites, _) = arp_guard::rewrites(&noted(&lowered), &unset, &[own]);
    let addresses: Vec<_> = rewrites.iter().map(|rewrite| rewrite.address.to_string()).collect();
    assert_eq!(addresses, ["192.0.2.50"]);
    // The interface does not exist any more, so that its parameters are not read.
    let gone = Observed { arp: BTreeMap::new(), ..draining() };
    assert_eq!(noted(&gone).guarded(), BTreeSet::new());
    // The address does not drain any more.
    let mut released = Claims::default();
    released.add_noted(&observed);
    assert_eq!(released.guarded(), BTreeSet::new());
}

/// A container without `/proc/sys`: the table guards instead, and nothing is restored later.
#[test]
fn an_interface_whose_parameters_cannot_be_read_is_not_refused_here() {
    let why = "cannot read the ARP parameters of eth0: no such file".to_owned();
    let observed = Observed { arp: BTreeMap::from([(ETH0, Err(why.clone()))]), ..held() };
    let difference = difference(&claims(Desired::Draining), &observed);
    assert_eq!(difference.unreadable, BTreeMap::from([(ETH0, why)]));
    assert_eq!((difference.impossible, difference.guards), (Refusals::new(), Vec::new()));
    assert_eq!(difference.found, BTreeMap::from([(ETH0, GUARD)]));
    assert_eq!(difference.loopback_additions.len(), 1);
}
