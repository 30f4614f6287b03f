//! Whose the table is, how long it lasts, and what is said where it cannot be had.

use crate::packets::ACK;
use crate::scene::{Fate, Scene, interface, settings};
use crate::support::namespace::Ns;
use vrrpd::kernel::capabilities::give_up_all;
use vrrpd::kernel::forwarding::{ForwardingError, ForwardingTable};
use vrrpd::types::Family;

#[test]
fn a_flush_of_the_ruleset_leaves_the_table_alone_and_it_ends_with_its_socket() {
    let scene = Scene::new(Family::Ipv4);
    let mut table = scene.table(settings());
    table.arm(scene.key(1), &scene.arming(1, Some("leaver"), &[])).unwrap();
    scene.successor().ns.nft("table inet other {\n}\n");
    let before = scene.listing();
    assert!(before.contains("table inet other") && before.contains("vrrpd_forwarding"), "{before}");

    scene.successor().ns.nft("flush ruleset");
    let after = scene.listing();
    assert!(!after.contains("table inet other"), "{after}");
    assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));

    drop(table);
    assert_eq!(scene.listing(), "");
    assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Reset);
}

#[test]
fn a_new_table_is_empty() {
    let scene = Scene::new(Family::Ipv4);
    let _table = scene.table(settings());
    let listing = scene.listing();
    assert!(!listing.contains("chain"), "the trial leaves nothing behind: {listing}");
    assert!(!listing.contains("map"), "{listing}");
    assert_eq!(listing.matches("set ").count(), 2, "{listing}");
}

#[test]
fn a_second_table_in_a_namespace_is_refused_with_its_reason() {
    let ns = Ns::new();
    let _first = ns.enter(|| ForwardingTable::open(settings()).unwrap());
    let error = ns.enter(|| ForwardingTable::open(settings()).unwrap_err());
    assert!(matches!(error, ForwardingError::TableTaken), "{error:?}");
    let another = Ns::new();
    another.enter(|| ForwardingTable::open(settings()).unwrap());
}

#[test]
fn without_the_capability_it_is_said_which_one_is_missing() {
    let ns = Ns::new();
    let error = ns.enter(|| {
        // Of this thread only, which ends with the closure.
        give_up_all().unwrap();
        ForwardingTable::open(settings()).unwrap_err()
    });
    assert!(matches!(error, ForwardingError::NotPermitted), "{error:?}");
    assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
}

#[test]
fn an_interface_that_is_not_there_is_refused() {
    let scene = Scene::new(Family::Ipv4);
    let mut table = scene.table(settings());
    let key = scene.key(1);
    for (name, index) in [("eth7", 4711), ("eth0", 4711), ("eth7", scene.index())] {
        let mut arming = scene.arming(1, Some("leaver"), &[]);
        (arming.interface, arming.index) = (interface(name), index);
        let error = table.arm(key, &arming).unwrap_err();
        assert!(matches!(error, ForwardingError::NoInterface { .. }), "{name} {index}: {error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(!scene.listing().contains("chain"), "nothing is left of it");
    table.arm(key, &scene.arming(1, Some("leaver"), &[])).unwrap();
}

#[test]
fn an_interface_that_comes_back_is_set_up_again() {
    for restore in [true, false] {
        let scene = Scene::new(Family::Ipv4);
        let mut table = scene.table(settings());
        let (key, leaver) = (scene.key(1), scene.leaver("leaver").address);
        table.arm(key, &scene.arming(1, Some("leaver"), &[])).unwrap();
        table.arm(scene.key(2), &scene.arming(2, Some("third"), &[])).unwrap();
        table.replace(key, leaver, &[scene.connection(1, 1000)]).unwrap();
        let former = scene.index();
        scene.successor().ns.ip("link delete eth0");
        let gone = table.restore(interface("eth0"), former).unwrap_err();
        assert!(matches!(gone, ForwardingError::NoInterface { .. }), "{gone:?}");

        // The index that is free again would be given to it.
        scene.successor().ns.ip("link add spare type bridge");
        scene.plug_again();
        assert_ne!(scene.index(), former);
        if restore {
            table.restore(interface("eth0"), scene.index()).unwrap();
        } else {
            // Arming one instance sets up what the others on the interface need, too.
            table.arm(key, &scene.arming(1, Some("leaver"), &[])).unwrap();
        }
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(scene.connection(1, 1001), ACK), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(scene.connection(2, 1000), ACK), Fate::Forwarded("third"));
        table.disarm(key).unwrap();
        table.disarm(scene.key(2)).unwrap();
        assert!(!scene.listing().contains("chain"), "{}", scene.listing());
    }
}

#[test]
fn an_interface_that_went_for_good_can_be_disarmed() {
    let scene = Scene::new(Family::Ipv6);
    let mut table = scene.table(settings());
    table.arm(scene.key(1), &scene.arming(1, Some("leaver"), &[])).unwrap();
    scene.successor().ns.ip("link delete eth0");
    table.disarm(scene.key(1)).unwrap();
    table.restore(interface("eth0"), 4711).unwrap();
    assert!(!scene.listing().contains("chain"), "{}", scene.listing());
}
