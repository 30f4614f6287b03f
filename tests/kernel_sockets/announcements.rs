//! Receiving what other stations announce about addresses.

use super::*;
use std::collections::BTreeSet;

fn announcement_socket(node: &Node, family: Family) -> AnnouncementSocket {
    let index = index(node);
    node.ns.enter(|| AnnouncementSocket::open(eth0(), index, family).unwrap())
}

/// The announcements that are received up to and including `last`.
fn announcements(socket: &AnnouncementSocket, last: IpAddr) -> Vec<Announcement> {
    let mut seen = Vec::new();
    wait_for(SOON, format!("{last} is announced"), || {
        socket.receive(&mut |announcement| seen.push(announcement)).unwrap();
        seen.last().is_some_and(|announcement: &Announcement| announcement.address == last)
    });
    seen
}

#[test]
fn who_listens_hears_what_others_announce_and_nothing_else() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let (ours, theirs) = (MacAddr(fe0.mac()), MacAddr(fe1.mac()));
    for (family, addresses) in [
        (Family::Ipv4, ["192.0.2.250", "192.0.2.251", "192.0.2.252"].map(ip)),
        (Family::Ipv6, ["2001:db8::a", "fe80::b", "2001:db8::c"].map(ip)),
    ] {
        let [early, first, last] = addresses;
        let mut socket = announcement_socket(fe0, family);
        let (fe0_says, fe1_says) = (frame_socket(fe0), frame_socket(fe1));
        fe1_says.announce(theirs, &[early], 1);
        // The announcement has arrived when a later answer of the same neighbour has.
        ping(fe1, source(fe0, family));
        socket.watch(AnnouncementFilter::Everything).unwrap();
        fe0_says.announce(ours, &[early], 1);
        // Requests and solicited answers, in both directions.
        fe0.ns.ip("neighbour flush dev eth0");
        ping(fe0, source(fe1, family));
        fe1_says.announce(theirs, &[first, last], 1);
        let at = |address| Announcement { address, mac: theirs };
        assert_eq!(announcements(&socket, last), [at(first), at(last)], "{family}");

        fe1_says.announce(theirs, &[early], 1);
        socket.watch(AnnouncementFilter::Nothing).unwrap();
        ping(fe1, source(fe0, family));
        socket.watch(AnnouncementFilter::Everything).unwrap();
        fe1_says.announce(theirs, &[last], 1);
        assert_eq!(announcements(&socket, last), [at(last)], "{family}: what was queued is forgotten");
    }
}

/// A machine that has one of our addresses announces that to hosts with every request of its own.
#[test]
fn who_listens_to_some_addresses_hears_whoever_speaks_from_them() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let theirs = MacAddr(fe1.mac());
    for (family, addresses) in [
        (Family::Ipv4, ["192.0.2.250", "192.0.2.251", "192.0.2.252"].map(ip)),
        (Family::Ipv6, ["2001:db8::a", "fe80::b", "2001:db8::c"].map(ip)),
    ] {
        let [other, first, last] = addresses;
        let mut socket = announcement_socket(fe0, family);
        socket.watch(AnnouncementFilter::Addresses(BTreeSet::from([first, last]))).unwrap();
        frame_socket(fe1).announce(theirs, &[other, first, other, last], 1);
        let at = |address| Announcement { address, mac: theirs };
        assert_eq!(announcements(&socket, last), [at(first), at(last)], "{family}");
    }
    let mut socket = announcement_socket(fe0, Family::Ipv4);
    socket.watch(AnnouncementFilter::Addresses(BTreeSet::from([ip("192.0.2.252")]))).unwrap();
    fe1.ns.ip("address add 192.0.2.252/24 dev eth0\nneighbour flush dev eth0");
    fe1.ns.run("ping", &["-c", "1", "-I", "192.0.2.252", &fe0.v4().to_string()]);
    assert_eq!(announcements(&socket, ip("192.0.2.252")).first().unwrap().mac, theirs);
}

/// Announcements are received even for more addresses than a filter takes.
#[test]
fn who_listens_to_a_thousand_addresses_hears_what_is_announced() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let addresses: Vec<IpAddr> =
        (0..1000_u16).map(|n| Ipv4Addr::from(0x0a00_0000 + u32::from(n)).into()).collect();
    for count in [500, 1000] {
        let mut socket = announcement_socket(fe0, Family::Ipv4);
        socket.watch(AnnouncementFilter::Addresses(addresses[..count].iter().copied().collect())).unwrap();
        frame_socket(fe1).announce(MacAddr(fe1.mac()), &addresses[..count], 1);
        assert_eq!(announcements(&socket, addresses[count - 1]).len(), count);
    }
}

/// The other kind of gratuitous ARP, as `arping -A` and some routers send it.
#[test]
fn a_gratuitous_reply_is_heard_as_well() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let mut socket = announcement_socket(fe0, Family::Ipv4);
    socket.watch(AnnouncementFilter::Everything).unwrap();
    let address = fe1.v4().to_string();
    for kind in ["-A", "-U"] {
        fe1.ns.run("arping", &[kind, "-c", "1", "-I", "eth0", &address]);
        let seen = announcements(&socket, ip(&address));
        assert_eq!(seen.last().unwrap().mac, MacAddr(fe1.mac()), "{kind}");
    }
}

/// What is sent to one station, or to hosts of another VLAN, does not concern our hosts.
#[test]
fn what_is_not_announced_to_all_hosts_of_this_lan_is_no_announcement() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let mut socket = announcement_socket(fe0, Family::Ipv4);
    socket.watch(AnnouncementFilter::Everything).unwrap();
    let frame = |address| {
        let frame = Announcement { address: ip(address), mac: MacAddr(fe1.mac()) }.frame();
        frame.as_bytes().to_vec()
    };
    let to = |mac: [u8; 6], address| [&mac[..], &frame(address)[6..]].concat();
    let tagged = |vlan: u8, address| {
        let frame = frame(address);
        [&frame[..12], &[0x81, 0, 0, vlan], &frame[12..]].concat()
    };
    let injector = Injector::new(fe1);
    injector.send(&to(fe0.mac(), "192.0.2.251"));
    injector.send(&to([2, 0, 0, 0, 9, 9], "192.0.2.252"));
    injector.send(&tagged(7, "192.0.2.253"));
    // A VLAN tag with number 0 is a priority on our own LAN.
    injector.send(&tagged(0, "192.0.2.250"));
    injector.send(&frame("192.0.2.254"));
    let seen: Vec<_> =
        announcements(&socket, ip("192.0.2.254")).into_iter().map(|seen| seen.address).collect();
    assert_eq!(seen, [ip("192.0.2.250"), ip("192.0.2.254")]);
}

/// Two thousand addresses move at once.
#[test]
fn a_burst_of_announcements_is_heard_in_full() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let mut socket = announcement_socket(fe0, Family::Ipv4);
    socket.watch(AnnouncementFilter::Everything).unwrap();
    let addresses: Vec<IpAddr> =
        (0..2000_u16).map(|n| Ipv4Addr::from(0x0a00_0000 + u32::from(n)).into()).collect();
    frame_socket(fe1).announce(MacAddr(fe1.mac()), &addresses, 1);
    assert_eq!(announcements(&socket, addresses[1999]).len(), 2000);
}
