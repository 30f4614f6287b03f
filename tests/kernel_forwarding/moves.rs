//! Moves there and back, three nodes, several instances: what is armed when, and that nothing stays.

use crate::packets::{ACK, SYN};
use crate::scene::{BOTH, Fate, Scene, interface, settings};
use crate::support::{SOON, ms, wait_for};
use vrrpd::kernel::forwarding::{
    Arming, EarlierOwn, ForwardingError, ForwardingSettings, Leaver, MAXIMUM_LEAVERS,
};
use vrrpd::types::{Family, MacAddr};

const HOOK: &str = "type filter hook ingress device";

#[test]
fn the_table_reads_as_it_should() {
    let scene = Scene::new(Family::Ipv4);
    let mut table = scene.table(ForwardingSettings::default());
    table.arm(scene.key(1), &scene.arming(1, Some("leaver"), &[])).unwrap();
    let listing = scene.listing();
    let rules = [
        "type filter hook ingress device \"eth0\" priority -500; policy accept;",
        "meta pkttype != host accept comment \"frames to others\"",
        "ip daddr vmap @ipv4_addresses_",
        "ip6 daddr vmap @ipv6_addresses_",
        "fwd ip to 192.0.2.11 device \"eth0\" comment \"eth0/1/ipv4: to 192.0.2.11\"",
        "ip saddr . tcp sport . ip daddr . tcp dport @listed_",
        "ip daddr @switching_",
        "timeout 6s",
        "timeout 15s",
        "size 65536",
    ];
    for rule in rules {
        assert!(listing.contains(rule), "{rule:?} is not in\n{listing}");
    }
    // In this order.
    let order = [
        "connections that begin",
        "no room",
        "connections of",
        "not listed yet",
        "our own",
        "errors about connections of",
    ];
    let chain = listing.split("chain instance_").nth(1).unwrap();
    let places: Vec<_> = order.iter().map(|rule| chain.find(&format!("eth0/1/ipv4: {rule}"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in\n{listing}");
}

#[test]
fn three_nodes_that_drain_get_what_is_theirs() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(settings());
        let key = scene.key(1);
        // The first leaver drains already; the third node was Active until now.
        table.arm(key, &scene.arming(1, Some("third"), &["leaver"])).unwrap();
        let (leaver, third) = (scene.leaver("leaver").address, scene.leaver("third").address);
        table.replace(key, leaver, &[scene.connection(1, 1000)]).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(scene.connection(1, 1001), ACK), Fate::Forwarded("third"), "not listed yet");
        table.replace(key, third, &[scene.connection(1, 1001)]).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(scene.connection(1, 1001), ACK), Fate::Forwarded("third"));
        // What comes from the leaver is the third one's, if it is not listed.
        assert_eq!(scene.fate_from_leaver(scene.connection(1, 1002), ACK), Fate::Forwarded("third"));
        assert_eq!(scene.fate_from_leaver(scene.connection(1, 1001), ACK), Fate::Forwarded("third"));

        table.remove_leaver(key, third).unwrap();
        assert_eq!(
            scene.fate(scene.connection(1, 1001), ACK),
            Fate::Reset,
            "nothing switches from it any more"
        );
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
        let error = table.remove_leaver(key, third).unwrap_err();
        assert!(matches!(error, ForwardingError::UnknownLeaver { .. }), "{error:?}");
    }
}

#[test]
fn armed_again_it_keeps_the_lists_of_those_who_still_drain() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(settings());
        let key = scene.key(1);
        let (leaver, third) = (scene.leaver("leaver").address, scene.leaver("third").address);
        table.arm(key, &scene.arming(1, Some("leaver"), &["third"])).unwrap();
        table.replace(key, leaver, &[scene.connection(1, 1000)]).unwrap();
        table.replace(key, third, &[scene.connection(1, 1001)]).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1002), ACK), Fate::Forwarded("leaver"));

        let mut again = scene.arming(1, Some("third"), &["leaver"]);
        again.own = vec![scene.connection(1, 999)];
        table.arm(key, &again).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(scene.connection(1, 1001), ACK), Fate::Forwarded("third"));
        assert_eq!(scene.fate(scene.connection(1, 1002), ACK), Fate::Forwarded("third"), "the new last one");
        assert_eq!(scene.fate(scene.connection(1, 999), ACK), Fate::Reset);

        table.arm(key, &scene.arming(1, None, &["leaver"])).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(scene.connection(1, 1001), ACK), Fate::Reset, "it drains no more");
        assert_eq!(scene.fate(scene.connection(1, 1002), ACK), Fate::Reset, "nothing switches");
        assert_eq!(table.counts().unwrap().len(), 1);
    }
}

/// A connection that began between two armings, and one that was said to be ours at the first.
#[test]
fn own_connections_stay_own_when_the_instance_is_armed_again() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(settings());
        let key = scene.key(1);
        let mut arming = scene.arming(1, Some("leaver"), &[]);
        arming.own = vec![scene.connection(1, 999)];
        table.arm(key, &arming).unwrap();
        assert_ne!(scene.fate(scene.connection(1, 1000), SYN), Fate::Forwarded("leaver"));
        table.arm(key, &scene.arming(1, Some("third"), &["leaver"])).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Reset, "a SYN began it here");
        assert_eq!(scene.fate(scene.connection(1, 999), ACK), Fate::Reset, "it was known as ours");
        assert_eq!(scene.fate(scene.connection(1, 1001), ACK), Fate::Forwarded("third"));
        table.add_own(key, &[scene.connection(1, 1001)]).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1001), ACK), Fate::Reset, "it is known from now on");
    }
}

/// Another node has had the addresses, and clients may have used the ports again there.
#[test]
fn own_connections_are_forgotten_when_the_addresses_come_back_from_another_node() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(settings());
        let key = scene.key(1);
        let mut arming = scene.arming(1, Some("leaver"), &[]);
        arming.own = vec![scene.connection(1, 998), scene.connection(1, 999)];
        table.arm(key, &arming).unwrap();
        assert_ne!(scene.fate(scene.connection(1, 1000), SYN), Fate::Forwarded("leaver"));
        let mut back = Arming { earlier: EarlierOwn::Ends, ..scene.arming(1, Some("third"), &["leaver"]) };
        back.own = vec![scene.connection(1, 999)];
        table.arm(key, &back).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("third"));
        assert_eq!(scene.fate(scene.connection(1, 998), ACK), Fate::Forwarded("third"));
        assert_eq!(scene.fate(scene.connection(1, 999), ACK), Fate::Reset, "this one is here");
        table.disarm(key).unwrap();
        assert!(!scene.listing().contains("own_"), "{}", scene.listing());
    }
}

/// What was said to be ours at one arming is said again at the next: it must not end with the first.
#[test]
fn own_connections_are_renewed_when_they_are_said_again() {
    let scene = Scene::new(Family::Ipv4);
    let mut table = scene.table(ForwardingSettings { own_lifetime: ms(1000), ..settings() });
    let (key, own) = (scene.key(1), [scene.connection(1, 999)]);
    let started = scene.lab.capture().now();
    let elapsed = || scene.lab.capture().now() - started;
    let arming = Arming { own: own.to_vec(), ..scene.arming(1, Some("leaver"), &[]) };
    table.arm(key, &arming).unwrap();
    wait_for(SOON, "most of the time is over", || elapsed() > ms(700));
    table.arm(key, &arming).unwrap();
    let renewed = elapsed();
    wait_for(SOON, "the first time is over", || elapsed() > ms(1200));
    let fate = scene.fate(own[0], ACK);
    // A machine that is too slow for the second time to last has shown nothing.
    if elapsed() < renewed + ms(900) {
        assert_eq!(fate, Fate::Reset);
    }
    wait_for(SOON, "it ends, too", || scene.fate(own[0], ACK) == Fate::Forwarded("leaver"));
}

#[test]
fn a_leaver_with_another_mac_keeps_its_list() {
    let scene = Scene::new(Family::Ipv4);
    let mut table = scene.table(settings());
    let (key, leaver) = (scene.key(1), scene.leaver("leaver").address);
    let mut arming = scene.arming(1, None, &["leaver"]);
    arming.leavers[0].mac = MacAddr([2, 0, 0, 0, 0, 99]);
    table.arm(key, &arming).unwrap();
    table.replace(key, leaver, &[scene.connection(1, 1000)]).unwrap();
    assert_eq!(
        scene.fate_from_leaver(scene.connection(1, 1000), ACK),
        Fate::Forwarded("leaver"),
        "not its MAC"
    );
    table.arm(key, &scene.arming(1, None, &["leaver"])).unwrap();
    assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
    assert_eq!(table.counts().unwrap()[0].listed, 1);
    assert_eq!(scene.fate_from_leaver(scene.connection(1, 1000), ACK), Fate::Reset, "its MAC now");
}

#[test]
fn instances_do_not_disturb_one_another() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(settings());
        table.arm(scene.key(1), &scene.arming(1, Some("leaver"), &[])).unwrap();
        table.arm(scene.key(2), &scene.arming(2, Some("third"), &["leaver"])).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
        assert_eq!(scene.fate(scene.connection(2, 1000), ACK), Fate::Forwarded("third"));
        let leaver = scene.leaver("leaver").address;
        table.replace(scene.key(2), leaver, &[scene.connection(2, 1001)]).unwrap();
        table.flush(scene.key(1), leaver).unwrap();
        assert_eq!(scene.fate(scene.connection(2, 1001), ACK), Fate::Forwarded("leaver"));
        table.disarm(scene.key(1)).unwrap();
        assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Reset);
        assert_eq!(scene.fate(scene.connection(2, 1000), ACK), Fate::Forwarded("third"));
        assert_eq!(scene.fate(scene.connection(2, 1001), ACK), Fate::Forwarded("leaver"));
        assert_eq!(table.armed_instances().collect::<Vec<_>>(), [scene.key(2)]);
    }
}

#[test]
fn an_instance_that_goes_to_another_interface_leaves_nothing_at_the_former() {
    let scene = Scene::new(Family::Ipv4);
    let mut table = scene.table(settings());
    let ns = &scene.successor().ns;
    ns.ip("link add spare0 type veth peer name spare1");
    let mut elsewhere = scene.arming(1, Some("leaver"), &[]);
    elsewhere.interface = interface("spare0");
    elsewhere.index = ns.enter(|| nix::net::if_::if_nametoindex("spare0").unwrap());
    table.arm(scene.key(1), &elsewhere).unwrap();
    assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Reset, "not on that interface");
    table.arm(scene.key(2), &scene.arming(2, Some("leaver"), &[])).unwrap();
    assert_eq!(scene.listing().matches(HOOK).count(), 2);

    table.arm(scene.key(1), &scene.arming(1, Some("leaver"), &[])).unwrap();
    assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
    assert_eq!(scene.fate(scene.connection(2, 1000), ACK), Fate::Forwarded("leaver"));
    let listing = scene.listing();
    assert_eq!(listing.matches(HOOK).count(), 1, "{listing}");
    assert!(!listing.contains("spare0"), "{listing}");
    assert_eq!(listing.matches("\tmap ").count(), 2, "{listing}");
}

#[test]
fn a_thousand_moves_leave_nothing_behind() {
    let scene = Scene::new(Family::Ipv4);
    let mut table = scene.table(settings());
    let empty = scene.listing();
    let key = scene.key(1);
    let shape = |listing: String| -> Vec<String> {
        let without_numbers = |line: &str| line.replace(|c: char| c.is_ascii_digit(), "");
        let mut lines: Vec<_> = listing.lines().map(without_numbers).collect();
        lines.sort();
        lines
    };
    let mut arm_and_list = |turn: u16| {
        let (last, other) = if turn.is_multiple_of(2) { ("leaver", "third") } else { ("third", "leaver") };
        table.arm(key, &scene.arming(1, Some(last), &[other])).unwrap();
        for name in [last, other] {
            let list = [scene.connection(1, turn), scene.connection(1, turn + 1)];
            table.replace(key, scene.leaver(name).address, &list).unwrap();
            table.add(key, scene.leaver(name).address, &list).unwrap();
        }
        if turn % 10 == 9 {
            table.disarm(key).unwrap();
        }
    };
    arm_and_list(0);
    let first = shape(scene.listing());
    (1..1000).for_each(&mut arm_and_list);
    assert_eq!(scene.listing(), empty, "disarmed");
    arm_and_list(1000);
    assert_eq!(shape(scene.listing()), first, "armed for the thousand and first time");
    assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
}

#[test]
fn what_cannot_be_armed_is_refused_and_changes_nothing() {
    let scene = Scene::new(Family::Ipv4);
    let mut table = scene.table(settings());
    let key = scene.key(1);
    table.arm(key, &scene.arming(1, Some("leaver"), &[])).unwrap();
    let before = scene.listing();

    let mut arming = scene.arming(1, Some("leaver"), &[]);
    arming.addresses.insert("2001:db8::1".parse().unwrap());
    let error = table.arm(key, &arming).unwrap_err();
    assert!(matches!(error, ForwardingError::WrongFamily { .. }), "{error:?}");

    let mut arming = scene.arming(1, None, &[]);
    let many = u8::try_from(MAXIMUM_LEAVERS).unwrap() + 1;
    let leaver = |n| Leaver { address: [192, 0, 2, 200 + n].into(), mac: MacAddr([2, 0, 0, 0, 9, n]) };
    arming.leavers = (0..many).map(leaver).collect();
    let error = table.arm(key, &arming).unwrap_err();
    assert!(
        matches!(error, ForwardingError::TooManyLeavers { count } if count == MAXIMUM_LEAVERS + 1),
        "{error}"
    );

    // The kernel refuses an address that belongs to another instance.
    let error = table.arm(scene.key(2), &scene.arming(1, Some("third"), &[])).unwrap_err();
    assert!(matches!(error, ForwardingError::Nftables(_)), "{error:?}");
    assert_eq!(scene.listing(), before);
    assert_eq!(scene.fate(scene.connection(1, 1000), ACK), Fate::Forwarded("leaver"));
    let error = table.replace(scene.key(2), leaver(1).address, &[]).unwrap_err();
    assert!(matches!(error, ForwardingError::NotArmed(_)), "{error:?}");
}
