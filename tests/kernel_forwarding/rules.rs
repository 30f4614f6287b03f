//! The rules, packet by packet, in both families.

use crate::packets::{ACK, RST, SYN, icmp_error};
use crate::scene::{BOTH, Fate, Scene, settings};
use crate::support::{SOON, ms, wait_for};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use vrrpd::kernel::forwarding::ForwardingSettings;
use vrrpd::types::Family;

const FIN: u8 = 0x01;

#[test]
fn while_an_address_turns_what_did_not_begin_here_goes_to_the_last_active() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(settings());
        let mut arming = scene.arming(1, Some("leaver"), &[]);
        arming.own = vec![scene.connection(1, 999)];
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Reset, "before it is armed");
        table.arm(scene.key(1), &arming).unwrap();

        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(scene.connection(1, 1000), FIN | ACK), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(scene.connection(1, 1000), RST), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(scene.connection(1, 1000), SYN | ACK), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(scene.connection(1, 999), ACK), Fate::Reset, "one of a former life");
        assert_eq!(scene.fate(scene.connection(2, 1000), ACK), Fate::Reset, "another address");
        assert_eq!(scene.fate_from_leaver(scene.connection(1, 1001), ACK), Fate::Reset, "never back");

        let address = SocketAddr::new(scene.address(1), 80);
        let _listener = scene.successor().ns.enter(|| TcpListener::bind(address).unwrap());
        assert_eq!(scene.fate(scene.connection(1, 1002), ACK), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(scene.connection(1, 1002), SYN), Fate::Accepted, "a connection that begins");
        let rest = scene.fate(scene.connection(1, 1002), RST);
        assert_eq!(rest, Fate::Nothing, "the rest of that connection is delivered here");

        table.disarm(scene.key(1)).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Reset, "after it was disarmed");
    }
}

#[test]
fn a_listed_connection_goes_to_its_leaver_and_nothing_else_does() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(settings());
        let (key, leaver) = (scene.key(1), scene.leaver("leaver").address);
        table.arm(key, &scene.arming(1, None, &["leaver"])).unwrap();
        let other_address = scene.connection(2, 1000);
        assert_eq!(table.replace(key, leaver, &[scene.connection(1, 1000), other_address]).unwrap(), 1);

        for flags in [ACK, RST, SYN | ACK, FIN | ACK] {
            assert_eq!(scene.fate(scene.connection(1, 1000), flags), Fate::Forwarded("leaver"), "{flags}");
        }
        assert_eq!(scene.fate(scene.connection(1, 1001), ACK), Fate::Reset, "another port");
        assert_eq!(scene.fate(other_address, ACK), Fate::Reset, "another address");
        assert_eq!(scene.fate_from_leaver(scene.connection(1, 1000), ACK), Fate::Reset, "never back");

        table.add(key, leaver, &[scene.connection(1, 1001)]).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1001), ACK), Fate::Forwarded("leaver"), "added");
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"), "still there");

        table.replace(key, leaver, &[scene.connection(1, 1002)]).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Reset, "not in the new list");
        assert_eq!(scene.fate(scene.connection(1, 1002), ACK), Fate::Forwarded("leaver"));
        let counts = table.counts().unwrap();
        let [count] = counts.as_slice() else { panic!("{counts:?}") };
        assert_eq!((count.key, count.leaver, count.packets, count.listed), (key, leaver, 7, 1));
        assert!(count.octets >= 7 * 40, "{count:?}");

        table.flush(key, leaver).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1002), ACK), Fate::Reset, "flushed");
        table.replace(key, leaver, &[scene.connection(1, 1002)]).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1002), ACK), Fate::Forwarded("leaver"), "listed again");
        table.remove_leaver(key, leaver).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1002), ACK), Fate::Reset, "removed");
        assert!(table.replace(key, leaver, &[]).is_err());
    }
}

/// A client that uses a port again knows best that the connection before is over.
#[test]
fn a_port_that_is_used_again_is_ours_whatever_the_lists_say() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(settings());
        let (key, leaver) = (scene.key(1), scene.leaver("leaver").address);
        let mut arming = scene.arming(1, None, &["leaver"]);
        arming.own = vec![scene.connection(1, 999)];
        table.arm(key, &arming).unwrap();
        let listed = [999, 1000].map(|port| scene.connection(1, port));
        table.replace(key, leaver, &listed).unwrap();
        assert_eq!(scene.fate(listed[0], ACK), Fate::Reset, "it was known as ours");
        assert_eq!(scene.fate(listed[1], ACK), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(listed[1], SYN), Fate::Reset, "nothing listens here");
        assert_eq!(scene.fate(listed[1], ACK), Fate::Reset, "the rest of it is ours, too");
        table.replace(key, leaver, &listed).unwrap();
        assert_eq!(scene.fate(listed[1], ACK), Fate::Reset, "a list that was on its way");
        let router = scene.address_of("third");
        let about = icmp_error(
            if family == Family::Ipv4 { 3 } else { 1 },
            router,
            listed[1].local,
            listed[1].remote,
            6,
        );
        assert_eq!(scene.fate_of(&about), Fate::Nothing, "an error about it");
    }
}

/// A fixed rule: the packets of a connection do not go to one and then to the other.
#[test]
fn a_connection_that_two_leavers_list_goes_to_the_one_that_was_active_until_now() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(settings());
        let key = scene.key(1);
        let both = [scene.connection(1, 1000)];
        for (last, expected) in [("leaver", "leaver"), ("third", "third")] {
            table.arm(key, &scene.arming(1, Some(last), &["leaver", "third"])).unwrap();
            for name in ["third", "leaver", "third"] {
                table.replace(key, scene.leaver(name).address, &both).unwrap();
                assert!(matches!(scene.fate(both[0], ACK), Fate::Forwarded(_)));
            }
            assert_eq!(scene.fate(both[0], ACK), Fate::Forwarded(expected));
        }
        let addresses = ["leaver", "third"].map(|name| (scene.leaver(name).address, name));
        let (_, lowest) = addresses.into_iter().min().unwrap();
        table.arm(key, &scene.arming(1, None, &["leaver", "third"])).unwrap();
        assert_eq!(scene.fate(both[0], ACK), Fate::Forwarded(lowest));
    }
}

#[test]
fn an_icmp_error_goes_to_the_leaver_whose_connection_it_quotes() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(settings());
        let (key, leaver) = (scene.key(1), scene.leaver("leaver").address);
        let mut arming = scene.arming(1, Some("leaver"), &[]);
        arming.own = vec![scene.connection(1, 999)];
        table.arm(key, &arming).unwrap();
        table.replace(key, leaver, &[scene.connection(1, 1000)]).unwrap();

        let router = scene.address_of("third");
        let error = |kind, port, protocol| {
            let about = scene.connection(1, port);
            icmp_error(kind, router, about.local, about.remote, protocol)
        };
        let (errors, others): (&[u8], &[u8]) = match family {
            Family::Ipv4 => (&[3, 11, 12], &[0, 4, 5]),
            Family::Ipv6 => (&[1, 2, 3, 4], &[129, 137]),
        };
        for kind in errors {
            assert_eq!(scene.fate_of(&error(*kind, 1000, 6)), Fate::Forwarded("leaver"), "type {kind}");
            assert_eq!(scene.fate_of(&error(*kind, 999, 6)), Fate::Nothing, "about our own: type {kind}");
            assert_eq!(scene.fate_of(&error(*kind, 1001, 6)), Fate::Nothing, "about nobody's: type {kind}");
            assert_eq!(scene.fate_of(&error(*kind, 1000, 17)), Fate::Nothing, "about UDP: type {kind}");
        }
        for kind in others {
            assert_eq!(scene.fate_of(&error(*kind, 1000, 6)), Fate::Nothing, "no error: type {kind}");
        }
    }
}

#[test]
fn an_address_stops_switching_by_itself() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(ForwardingSettings { switching_time: ms(300), ..settings() });
        let (key, leaver) = (scene.key(1), scene.leaver("leaver").address);
        table.arm(key, &scene.arming(1, Some("leaver"), &[])).unwrap();
        table.replace(key, leaver, &[scene.connection(1, 1000)]).unwrap();
        wait_for(SOON, "what is not listed is reset", || {
            scene.fate(scene.connection(1, 1001), ACK) == Fate::Reset
        });
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"), "listed");
    }
}

#[test]
fn a_list_that_nobody_renews_ends_by_itself() {
    let scene = Scene::new(Family::Ipv4);
    let mut table = scene.table(ForwardingSettings { list_lifetime: ms(700), ..settings() });
    let (key, leaver) = (scene.key(1), scene.leaver("leaver").address);
    table.arm(key, &scene.arming(1, None, &["leaver"])).unwrap();
    let list = [scene.connection(1, 1000)];
    // Renewed all the time it lasts longer than it would alone.
    let since = scene.lab.capture().now();
    while scene.lab.capture().now() - since < Duration::from_millis(1500) {
        table.replace(key, leaver, &list).unwrap();
        assert_eq!(scene.fate(list[0], ACK), Fate::Forwarded("leaver"));
    }
    wait_for(SOON, "the list is over", || scene.fate(list[0], ACK) == Fate::Reset);
}

#[test]
fn a_connection_that_cannot_be_noted_does_not_begin() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(ForwardingSettings { room_for_own: 2, ..settings() });
        let mut arming = scene.arming(1, Some("leaver"), &[]);
        arming.own = vec![scene.connection(1, 999)];
        table.arm(scene.key(1), &arming).unwrap();
        let address = SocketAddr::new(scene.address(1), 80);
        let _listener = scene.successor().ns.enter(|| TcpListener::bind(address).unwrap());
        assert_eq!(scene.fate(scene.connection(1, 1000), SYN), Fate::Accepted);
        assert_eq!(scene.fate(scene.connection(1, 1001), SYN), Fate::Accepted);
        assert_eq!(scene.fate(scene.connection(1, 1002), SYN), Fate::Nothing, "no room");
        assert_eq!(scene.fate(scene.connection(1, 999), ACK), Fate::Reset, "what is known stays known");
        assert_eq!(scene.fate(scene.connection(2, 1002), SYN), Fate::Reset, "another address");
    }
}

#[test]
fn own_connections_that_are_found_late_are_not_sent_away() {
    let scene = Scene::new(Family::Ipv4);
    let mut table = scene.table(settings());
    table.arm(scene.key(1), &scene.arming(1, Some("leaver"), &[])).unwrap();
    assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
    table.add_own(scene.key(1), &[scene.connection(1, 1000)]).unwrap();
    assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Reset);
}

#[test]
fn frames_to_others_are_not_forwarded_by_an_interface_in_promiscuous_mode() {
    let scene = Scene::new(Family::Ipv4);
    let mut table = scene.table(settings());
    table.arm(scene.key(1), &scene.arming(1, Some("leaver"), &[])).unwrap();
    scene.successor().ns.ip("link set eth0 promisc on");
    // The switch floods what it does not know, as this MAC.
    assert_eq!(scene.fate_at_mac(scene.connection(1, 1000), [2, 0, 0, 0, 1, 1]), Fate::Nothing);
    assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
}

/// The same addresses may be in use in a VLAN above the interface.
#[test]
fn a_frame_of_a_vlan_is_not_forwarded() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(settings());
        table.arm(scene.key(1), &scene.arming(1, Some("leaver"), &[])).unwrap();
        let leaver = scene.leaver("leaver").address;
        table.replace(scene.key(1), leaver, &[scene.connection(1, 1000)]).unwrap();
        for port in [1000, 1001] {
            assert_eq!(scene.fate(scene.connection(1, port), ACK), Fate::Forwarded("leaver"));
            assert_eq!(scene.fate_in_vlan(scene.connection(1, port), ACK), Fate::Nothing);
        }
    }
}
