//! What drains by a snapshot, and what becomes of it.

use super::*;
use crate::kernel::connections::{ConnectionList, ListExtent};
use crate::protocol::{DrainSnapshot, Input, Node};
use crate::types::Family;

const START: MonoTime = MonoTime::from_nanos(1_000_000_000_000);

fn after(seconds: u64) -> MonoTime {
    START + Duration::from_secs(seconds)
}

/// The snapshot of a node with two routers, `web` with these addresses.
fn snapshot(web: &str) -> Snapshot {
    snapshot_of(web, "addresses = [\"192.0.2.60/24\"]")
}

/// The snapshot of a node with `web` and `wiki`.
fn snapshot_of(web: &str, wiki: &str) -> Snapshot {
    let router = "[[virtual_router]]\ninterface = \"eth0\"\nname =";
    let text = format!("{router} \"web\"\nvrid = 51\n{web}\n{router} \"wiki\"\nvrid = 52\n{wiki}\n");
    let (mut node, mut out) = (Node::new(), Vec::new());
    let config = crate::config::resolve(&text, "test.toml").unwrap().config;
    node.handle(START, Input::Configure(config.routers), &mut out);
    node.snapshot(START)
}

const WEB: &str = "addresses = [\"192.0.2.50/24\"]\n\
                   excluded_addresses = [\"192.0.2.51/32\", \"2001:db8::51/128\", \"fe80::51/128\"]";

fn key(snapshot: &Snapshot, router: usize) -> InstanceKey {
    snapshot.routers[router].instances[0].key
}

/// The router drains since then, or is Active.
fn set(snapshot: &mut Snapshot, router: usize, since: Option<MonoTime>) {
    let instance = &mut snapshot.routers[router].instances[0];
    instance.state = if since.is_some() { StateName::Backup } else { StateName::Active };
    instance.draining =
        since.map(|since| DrainSnapshot { since, until: after(600), to: None, is_serving: true });
}

fn addresses(addresses: &[&str]) -> BTreeSet<IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

/// Resets of the drains that began at the start.
fn asked(keys: &[InstanceKey]) -> AskedResets {
    keys.iter().map(|key| DrainId { key: *key, since: START }).collect()
}

fn empty_list() -> OpenConnections {
    (&ConnectionList { sockets: Vec::new(), extent: ListExtent::Whole }).into()
}

#[test]
fn what_nobody_passes_on_is_not_waited_for_and_is_reset_with_the_rest() {
    let mut snapshot = snapshot(WEB);
    let web = key(&snapshot, 0);
    assert_eq!(web.family, Family::Ipv4);
    set(&mut snapshot, 0, Some(START));
    let mut leaving = LeavingInstances::default();
    leaving.follow(START, &snapshot);
    let listed = addresses(&["192.0.2.50", "192.0.2.51"]);
    assert_eq!(leaving.to_list(), BTreeMap::from([(web, listed)]));
    // A link-local address is released at once.
    let reset = addresses(&["192.0.2.50", "192.0.2.51", "2001:db8::51"]);
    assert_eq!(leaving.to_reset(&leaving.still_asked(&asked(&[web]))), BTreeMap::from([(web, reset)]));
}

#[test]
fn a_reload_in_the_middle_changes_the_next_drain_and_not_this_one() {
    let (mut first, mut reloaded) = (snapshot(WEB), snapshot("addresses = [\"192.0.2.70/24\"]"));
    let web = key(&first, 0);
    set(&mut first, 0, Some(START));
    set(&mut reloaded, 0, Some(START));
    let mut leaving = LeavingInstances::default();
    leaving.follow(START, &first);
    let (listed, reset) = (leaving.to_list(), leaving.to_reset(&leaving.still_asked(&asked(&[web]))));
    leaving.follow(after(1), &reloaded);
    assert_eq!((leaving.to_list(), leaving.to_reset(&leaving.still_asked(&asked(&[web])))), (listed, reset));
    set(&mut reloaded, 0, Some(after(9)));
    leaving.follow(after(9), &reloaded);
    assert_eq!(leaving.to_list(), BTreeMap::from([(web, addresses(&["192.0.2.70"]))]));
}

#[test]
fn an_address_that_a_reload_gave_to_a_router_that_is_active_here_is_that_routers() {
    let mut first = snapshot("addresses = [\"192.0.2.50/24\", \"192.0.2.51/24\"]");
    let web = key(&first, 0);
    set(&mut first, 0, Some(START));
    let mut leaving = LeavingInstances::default();
    leaving.follow(START, &first);
    let (web_now, wiki_now) = ("addresses = [\"192.0.2.50/24\"]", "addresses = [\"192.0.2.51/24\"]");
    let mut reloaded = snapshot_of(web_now, wiki_now);
    set(&mut reloaded, 0, Some(START));
    set(&mut reloaded, 1, None);
    leaving.follow(after(1), &reloaded);
    let own = BTreeMap::from([(web, addresses(&["192.0.2.50"]))]);
    assert_eq!(
        (leaving.to_list(), leaving.to_reset(&leaving.still_asked(&asked(&[web])))),
        (own.clone(), own)
    );
}

#[test]
fn who_is_active_again_keeps_its_connections_and_is_told_of_for_two_seconds() {
    let mut snapshot = snapshot(WEB);
    let (web, wiki) = (key(&snapshot, 0), key(&snapshot, 1));
    set(&mut snapshot, 0, Some(START));
    set(&mut snapshot, 1, Some(START));
    let mut leaving = LeavingInstances::default();
    leaving.follow(START, &snapshot);
    assert_eq!(leaving.to_reset(&leaving.still_asked(&asked(&[web, wiki]))).len(), 2);
    assert_eq!(
        leaving.to_reset(&leaving.still_asked(&asked(&[web]))).len(),
        1,
        "nobody asked for the other one"
    );
    set(&mut snapshot, 0, None);
    leaving.follow(after(1), &snapshot);
    assert_eq!(
        leaving.to_reset(&leaving.still_asked(&asked(&[web, wiki]))).into_keys().collect::<Vec<_>>(),
        [wiki]
    );
    assert_eq!(leaving.to_list().into_keys().collect::<Vec<_>>(), [wiki]);
    assert_eq!(leaving.statuses(after(1)).into_keys().collect::<Vec<_>>(), [web, wiki]);
    leaving.follow(after(3), &snapshot);
    assert_eq!(leaving.statuses(after(3)).into_keys().collect::<Vec<_>>(), [wiki]);
}

#[test]
fn another_drain_of_the_same_router_begins_to_count_anew() {
    let mut snapshot = snapshot(WEB);
    let web = key(&snapshot, 0);
    set(&mut snapshot, 0, Some(START));
    let mut leaving = LeavingInstances::default();
    leaving.follow(START, &snapshot);
    assert_eq!(leaving.on_list(after(1), web, &empty_list()), None, "one empty list is not enough");
    let meant = leaving.still_asked(&asked(&[web]));
    assert_eq!(meant, AskedResets::from([DrainId { key: web, since: START }]));
    set(&mut snapshot, 0, Some(after(2)));
    leaving.follow(after(2), &snapshot);
    assert_eq!(leaving.still_asked(&meant), AskedResets::new(), "the other one was to be reset");
    assert_eq!(leaving.on_list(after(9), web, &empty_list()), None, "nor is one of another drain");
    let over = DrainId { key: web, since: after(2) };
    assert_eq!(leaving.on_list(after(9), web, &empty_list()), Some(over));
}

#[test]
fn the_routers_are_looked_at_even_if_nobody_says_that_something_drains() {
    let mut leaving = LeavingInstances::default();
    assert_eq!(leaving.pause(START), Duration::from_secs(5));
    let mut snapshot = snapshot(WEB);
    set(&mut snapshot, 0, Some(START));
    leaving.follow(START, &snapshot);
    assert_eq!(leaving.pause(after(5)), Duration::from_millis(250));
    assert_eq!(leaving.pause(after(6)), Duration::from_secs(1));
}
