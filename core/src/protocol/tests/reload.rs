//! A running node is given a new configuration.

use super::*;
use std::collections::BTreeSet;

fn check(name: &str) -> CheckName {
    CheckName(name.into())
}

fn tracking(names: &[&str]) -> RouterSpec {
    RouterSpec { tracks: names.iter().map(|name| Track::fault(check(name))).collect(), ..spec() }
}

fn other(vrid: u8) -> RouterSpec {
    RouterSpec { name: "other".parse().unwrap(), vrid: Vrid::new(vrid).unwrap(), ..spec() }
}

fn names(rig: &Rig) -> Vec<String> {
    rig.node.snapshot(rig.now).routers.iter().map(|router| router.spec.name.to_string()).collect()
}

#[test]
fn an_unchanged_router_does_not_notice() {
    let learned = Advert { centiseconds: 250, ..advert("192.0.2.1", 200) };
    let mut backup = Rig::new(spec());
    backup.hear(learned);
    let mut leaving = Rig::active(spec());
    leaving.demote(Force::No);
    let claiming = {
        let mut rig = Rig::new(spec());
        rig.kernel = Kernel::Silent;
        rig.until_state(StateName::Active);
        rig
    };
    for mut rig in [Rig::active(spec()), backup, leaving, claiming] {
        rig.run(ms(37));
        let before = rig.node.snapshot(rig.now);
        let deadline = rig.node.next_deadline();
        rig.out.clear();
        rig.feed(Input::Configure(vec![spec()]));
        assert_eq!(rig.node.snapshot(rig.now), before);
        assert_eq!(rig.node.next_deadline(), deadline);
        assert!(rig.out.is_empty(), "{:?}", rig.out);
    }
}

// RFC9568-6.1-9
#[test]
fn a_backup_that_is_reconfigured_keeps_its_timer_and_the_learned_interval() {
    let mut rig = Rig::new(spec());
    rig.hear(Advert { centiseconds: 250, ..advert("192.0.2.1", 200) });
    rig.run(ms(900));
    let deadline = rig.node.next_deadline();
    rig.feed(Input::Configure(vec![RouterSpec { interval: interval(50), ..spec() }]));
    assert_eq!(rig.node.next_deadline(), deadline);
    assert_eq!(rig.instance(0).timers.active_adver_interval, interval(250));
}

// RFC9568-6.1-9
#[test]
fn addresses_of_an_active_change_without_a_transition() {
    let mut rig = Rig::active(spec());
    let since = rig.instance(0).since;
    let mut changed = spec();
    changed.instances[0].addresses.insert(0, "192.0.2.253/24".parse().unwrap());
    rig.feed(Input::Configure(vec![changed.clone()]));
    // The addresses are installed first, and announced when they are installed.
    assert_eq!(rig.said(), ["hold", "announce 1"]);
    let key = changed.key(Family::Ipv4);
    assert_eq!(rig.node.addresses(key).0, changed.instances[0].addresses, "in the new order");
    assert_eq!((rig.state(), rig.instance(0).since), (StateName::Active, since));
}

#[test]
fn the_family_whose_addresses_stay_is_not_asked_for_again() {
    let both = RouterSpec { instances: vec![instance(Family::Ipv4), instance(Family::Ipv6)], ..spec() };
    let mut rig = Rig::active(both.clone());
    let mut changed = both;
    changed.instances[1].excluded.push("2001:db8:51::99/64".parse().unwrap());
    rig.feed(Input::Configure(vec![changed]));
    assert_eq!(rig.said(), ["hold", "announce 1"]);
}

#[test]
fn a_new_check_does_not_stop_a_router_that_runs_before_its_first_result() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Configure(vec![tracking(&["nginx"])]));
    rig.run(Duration::from_secs(5));
    assert_eq!((rig.state(), rig.events()), (StateName::Active, vec![]));
    rig.feed(Input::CheckResult(check("nginx"), CheckResult::Passing));
    assert_eq!(rig.state(), StateName::Active);
    rig.out.clear();
    // From its first result on, the check counts.
    rig.feed(Input::CheckResult(check("nginx"), CheckResult::Failing));
    assert!(rig.events().contains(&EventKind::HandoverStarted(HandoverCause::Fault)), "{:?}", rig.events());
}

/// Only the check that came with the reload is new, not the one that passes.
#[test]
fn a_new_check_beside_another_does_not_stop_a_router_that_runs() {
    let mut rig = Rig::new(tracking(&["haproxy"]));
    rig.feed(Input::CheckResult(check("haproxy"), CheckResult::Passing));
    rig.until_state(StateName::Active);
    rig.out.clear();
    rig.feed(Input::Configure(vec![tracking(&["haproxy", "nginx"])]));
    rig.run(Duration::from_secs(5));
    assert_eq!((rig.state(), rig.events()), (StateName::Active, vec![]));
}

#[test]
fn a_first_result_that_fails_is_a_fault() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Configure(vec![tracking(&["nginx"])]));
    rig.feed(Input::CheckResult(check("nginx"), CheckResult::Failing));
    rig.run(Duration::from_secs(5));
    assert_eq!(rig.state(), StateName::Initialize);
}

#[test]
fn a_router_that_stops_meanwhile_waits_for_the_result() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Configure(vec![tracking(&["nginx"])]));
    rig.feed(Input::Link(interface(), None));
    rig.feed(Input::Link(interface(), Some(link())));
    assert_eq!(rig.state(), StateName::Initialize, "pending, as at every start");
    rig.feed(Input::CheckResult(check("nginx"), CheckResult::Passing));
    assert_eq!(rig.state(), StateName::Backup);
}

#[test]
fn a_check_that_is_gone_leaves_no_result_behind() {
    let mut rig = Rig::new(tracking(&["nginx"]));
    rig.feed(Input::CheckResult(check("nginx"), CheckResult::Failing));
    rig.feed(Input::Configure(vec![spec()]));
    rig.feed(Input::CheckRemoved(check("nginx")));
    assert_eq!((rig.state(), rig.instance(0).cause), (StateName::Backup, Cause::Configuration));
    rig.feed(Input::Configure(vec![tracking(&["nginx"])]));
    assert_eq!(rig.state(), StateName::Backup, "a new one by that name has not failed");
}

#[test]
fn a_lower_priority_is_told_at_the_next_advertisement_and_yields_nothing() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Configure(vec![RouterSpec { role: contender(50, Preempt::Allow), ..spec() }]));
    assert_eq!(rig.said(), [""; 0]);
    rig.run(ms(1005));
    assert_eq!(rig.said(), ["say 50/100cs"]);
    assert_eq!(rig.state(), StateName::Active);
}

#[test]
fn a_router_that_is_removed_hands_over_first() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Configure(vec![]));
    assert_eq!(rig.state(), StateName::Active, "until somebody takes over");
    rig.run(Duration::from_secs(3));
    let said = rig.said();
    assert_eq!(said.iter().filter(|word| *word == "release").count(), 1, "{said:?}");
    assert_eq!(names(&rig), [""; 0]);
    assert_eq!(rig.node.next_deadline(), None);
    // Effects of the same call still refer to the router, so its addresses can still be looked up.
    assert_eq!(rig.node.addresses(spec().key(Family::Ipv4)).0, spec().instances[0].addresses);
}

#[test]
fn what_takes_the_place_of_another_router_waits_until_that_is_gone() {
    let renamed = RouterSpec { name: "other".parse().unwrap(), ..spec() };
    let mut rig = Rig::active(spec());
    rig.feed(Input::Configure(vec![renamed]));
    assert_eq!(names(&rig), ["web"], "the VRID is still in use");
    rig.run(Duration::from_secs(20));
    assert_eq!(names(&rig), ["other"]);
    assert_eq!(rig.state(), StateName::Active);
}

/// The key is the same, so only the comparison of the specifications notices that the addresses
/// move. They are released before they are held again, with a new epoch.
#[test]
fn addresses_that_move_to_another_interface_are_released_first() {
    let eth1 = "eth1".parse().unwrap();
    let moved = RouterSpec { address_interface: eth1, ..spec() };
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(eth1, Some(link())));
    rig.feed(Input::Configure(vec![moved]));
    let running = |rig: &Rig| rig.node.running().map(|spec| spec.address_interface).collect::<Vec<_>>();
    assert_eq!(running(&rig), [interface()], "it holds the addresses until it is gone");
    rig.run(Duration::from_secs(20));
    assert_eq!(running(&rig), [eth1]);
    let held: Vec<_> = rig.said().into_iter().filter(|word| word == "hold" || word == "release").collect();
    assert_eq!(held, ["release", "hold"]);
    assert_eq!(rig.state(), StateName::Active);
}

#[test]
fn two_routers_can_exchange_their_vrids() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Configure(vec![spec(), other(52)]));
    rig.run(Duration::from_secs(10));
    rig.feed(Input::Configure(vec![RouterSpec { vrid: Vrid::new(52).unwrap(), ..spec() }, other(51)]));
    rig.run(Duration::from_secs(20));
    let snapshot = rig.node.snapshot(rig.now);
    let found: Vec<_> = snapshot
        .routers
        .iter()
        .map(|r| (r.spec.name.to_string(), r.instances[0].key.vrid.get(), r.instances[0].state))
        .collect();
    let active = StateName::Active;
    assert_eq!(found, [("other".to_owned(), 51, active), ("web".to_owned(), 52, active)]);
}

#[test]
fn no_epoch_of_a_virtual_router_is_used_twice() {
    let mut rig = Rig::active(spec());
    let both = RouterSpec { instances: vec![instance(Family::Ipv4), instance(Family::Ipv6)], ..spec() };
    let mut used = BTreeSet::new();
    for specs in [vec![both], vec![], vec![spec()]] {
        rig.feed(Input::Configure(specs));
        rig.run(Duration::from_secs(20));
        for effect in rig.out.drain(..) {
            if let Effect::HoldAddresses { key, epoch, .. } | Effect::ReleaseAddresses { key, epoch } = effect
            {
                let newest = used.iter().filter(|(of, _)| *of == key).map(|(_, epoch)| *epoch).max();
                assert!(newest < Some(epoch), "{key} {epoch} after {newest:?}");
                used.insert((key, epoch));
            }
        }
    }
    assert_eq!(rig.state(), StateName::Active);
}

#[test]
fn routers_beside_one_that_goes_are_reconfigured_all_the_same() {
    let mut rig = Rig::new(spec());
    rig.feed(Input::Configure(vec![other(52), spec()]));
    let reconfigured = RouterSpec { role: contender(77, Preempt::Allow), ..spec() };
    // A Backup is removed at once, and the indices of the others shift.
    rig.feed(Input::Configure(vec![reconfigured]));
    assert_eq!(rig.node.snapshot(rig.now).routers[0].effective.get(), 77);
}

#[test]
fn a_router_that_is_wanted_again_while_it_leaves_comes_back() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Configure(vec![]));
    rig.run(ms(5));
    rig.feed(Input::Configure(vec![spec()]));
    rig.run(Duration::from_secs(20));
    assert_eq!((rig.state(), names(&rig)), (StateName::Active, vec!["web".to_owned()]));
}

#[test]
fn an_agent_that_ends_takes_no_new_configuration() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Shutdown);
    rig.feed(Input::Configure(vec![spec(), other(52)]));
    rig.run(Duration::from_secs(10));
    assert!(rig.said().contains(&"stopped".to_owned()));
    assert_eq!(rig.state(), StateName::Initialize);
}

#[test]
fn what_waits_for_the_place_of_another_router_does_not_start_when_the_agent_ends() {
    let renamed = RouterSpec { name: "other".parse().unwrap(), ..spec() };
    let mut rig = Rig::active(spec());
    rig.feed(Input::Configure(vec![renamed]));
    rig.feed(Input::Shutdown);
    rig.run(Duration::from_secs(20));
    assert_eq!(rig.said().last().map(String::as_str), Some("stopped"));
    assert_eq!(names(&rig), ["web"], "it is at rest, and nothing takes its place");
}
