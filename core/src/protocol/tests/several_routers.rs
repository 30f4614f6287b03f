//! Several routers on one node: an event of one router does not disturb the others.

use super::*;

fn named(name: &str, vrid: u8, interface: &str, tracks: Vec<Track>) -> RouterSpec {
    RouterSpec {
        name: name.parse().unwrap(),
        vrid: Vrid::new(vrid).unwrap(),
        interface: interface.parse().unwrap(),
        address_interface: interface.parse().unwrap(),
        tracks,
        ..spec()
    }
}

fn check(name: &str) -> CheckName {
    CheckName(name.into())
}

/// A node with these routers, whose two interfaces work.
fn node(specs: Vec<RouterSpec>) -> Rig {
    let mut rig = Rig::new(spec());
    rig.feed(Input::Link("eth1".parse().unwrap(), Some(link())));
    rig.feed(Input::Configure(specs));
    rig
}

fn states(rig: &Rig) -> Vec<StateName> {
    rig.node.snapshot(rig.now).routers.iter().map(|router| router.instances[0].state).collect()
}

fn faults(rig: &Rig) -> Vec<Vec<Fault>> {
    rig.node.snapshot(rig.now).routers.into_iter().map(|router| router.faults).collect()
}

#[test]
fn a_link_faults_the_routers_on_it_and_those_that_track_it() {
    let eth1: InterfaceName = "eth1".parse().unwrap();
    let mut rig = node(vec![
        named("here", 1, "eth1", Vec::new()),
        named("tracks", 2, "eth0", vec![Track::fault(eth1)]),
        named("unrelated", 3, "eth0", Vec::new()),
    ]);
    rig.run(Duration::from_secs(10));
    rig.feed(Input::Link(eth1, None));
    let missing = vec![Fault::InterfaceMissing(eth1)];
    assert_eq!(faults(&rig), [missing.clone(), missing, Vec::new()]);
    rig.run(Duration::from_secs(3));
    assert_eq!(states(&rig), [StateName::Initialize, StateName::Initialize, StateName::Active]);
}

#[test]
fn a_check_faults_every_router_that_tracks_it_and_no_other() {
    let nginx = check("nginx");
    let mut rig = node(vec![
        named("a", 1, "eth0", vec![Track::fault(nginx.clone())]),
        named("b", 2, "eth1", vec![Track::fault(nginx.clone())]),
        named("c", 3, "eth0", vec![Track::fault(check("other"))]),
    ]);
    rig.feed(Input::CheckResult(nginx.clone(), CheckResult::Failing));
    let fails = vec![Fault::Check(nginx)];
    let pending = vec![Fault::CheckPending(check("other"))];
    assert_eq!(faults(&rig), [fails.clone(), fails, pending]);
}

/// The same VRID on two interfaces: two virtual routers (RFC9568-5.2.3-2).
#[test]
fn one_vrid_on_two_interfaces_is_two_instances() {
    let mut rig = node(vec![named("a", 51, "eth0", Vec::new()), named("b", 51, "eth1", Vec::new())]);
    rig.run(Duration::from_secs(2));
    rig.hear(advert("192.0.2.9", 200));
    rig.run(ms(2500));
    assert_eq!(states(&rig), [StateName::Backup, StateName::Active], "a was heard on eth0 only");
}

/// Removing a router changes neither the keys of the others nor their deadlines.
#[test]
fn a_router_that_is_removed_leaves_the_others_as_they_are() {
    let specs = vec![
        named("a", 1, "eth0", Vec::new()),
        named("b", 2, "eth0", Vec::new()),
        named("c", 3, "eth0", Vec::new()),
    ];
    let mut rig = node(specs.clone());
    rig.run(Duration::from_secs(10));
    let next = rig.node.next_deadline();
    rig.feed(Input::Configure(vec![specs[0].clone(), specs[2].clone()]));
    rig.run(Duration::from_secs(5));
    let names: Vec<String> = rig.node.running().map(|spec| spec.name.to_string()).collect();
    assert_eq!((names, states(&rig)), (vec!["a".into(), "c".into()], vec![StateName::Active; 2]));
    assert!(rig.node.next_deadline() > next);
    rig.out.clear();
    rig.run(Duration::from_secs(1));
    assert_eq!(rig.spoken().len(), 2, "one advertisement of each");
}

#[test]
fn what_a_router_hears_reaches_it_after_another_was_removed() {
    let specs = vec![named("a", 51, "eth0", Vec::new()), named("b", 52, "eth0", Vec::new())];
    let mut rig = node(specs.clone());
    rig.feed(Input::Configure(vec![specs[0].clone()]));
    rig.hear(advert("192.0.2.9", 200));
    assert_eq!(rig.instance(0).counters.advertisement_rcvd, 1);
}
