//! Hearing where others say that addresses are.

use super::*;

fn sighting_socket(node: &Node, family: Family) -> SightingSocket {
    let index = index(node);
    node.ns.enter(|| SightingSocket::open(eth0(), index, family).unwrap())
}

/// What is heard until `last` is.
fn sightings(socket: &SightingSocket, last: IpAddr) -> Vec<Sighting> {
    let mut seen = Vec::new();
    wait_for(SOON, format!("{last} is announced"), || {
        socket.receive(&mut |sighting| seen.push(sighting)).unwrap();
        seen.last().is_some_and(|sighting: &Sighting| sighting.address == last)
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
        let socket = sighting_socket(fe0, family);
        let (fe0_says, fe1_says) = (frame_socket(fe0), frame_socket(fe1));
        fe1_says.announce(theirs, &[early], 1);
        // It has arrived when a neighbour's answer has.
        ping(fe1, source(fe0, family));
        socket.listen().unwrap();
        fe0_says.announce(ours, &[early], 1);
        // Requests and solicited answers, in both directions.
        fe0.ns.ip("neighbour flush dev eth0");
        ping(fe0, source(fe1, family));
        fe1_says.announce(theirs, &[first, last], 1);
        let at = |address| Sighting { address, mac: theirs };
        assert_eq!(sightings(&socket, last), [at(first), at(last)], "{family}");

        fe1_says.announce(theirs, &[early], 1);
        socket.unlisten().unwrap();
        ping(fe1, source(fe0, family));
        socket.listen().unwrap();
        fe1_says.announce(theirs, &[last], 1);
        assert_eq!(sightings(&socket, last), [at(last)], "{family}: what was queued is forgotten");
    }
}

/// The other kind of gratuitous ARP, as `arping -A` and some routers send it.
#[test]
fn a_gratuitous_reply_is_heard_as_well() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let socket = sighting_socket(fe0, Family::Ipv4);
    socket.listen().unwrap();
    let address = fe1.v4().to_string();
    for kind in ["-A", "-U"] {
        fe1.ns.run("arping", &[kind, "-c", "1", "-I", "eth0", &address]);
        let seen = sightings(&socket, ip(&address));
        assert_eq!(seen.last().unwrap().mac, MacAddr(fe1.mac()), "{kind}");
    }
}

/// What one station is told, or hosts of another VLAN, tells ours nothing.
#[test]
fn what_is_not_announced_to_all_hosts_of_this_lan_is_no_announcement() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let socket = sighting_socket(fe0, Family::Ipv4);
    socket.listen().unwrap();
    let frame = |address| {
        let frame = vrrpd::kernel::announce::Frame::announcing(ip(address), MacAddr(fe1.mac()));
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
    // A priority on our own LAN.
    injector.send(&tagged(0, "192.0.2.250"));
    injector.send(&frame("192.0.2.254"));
    let seen: Vec<_> = sightings(&socket, ip("192.0.2.254")).into_iter().map(|seen| seen.address).collect();
    assert_eq!(seen, [ip("192.0.2.250"), ip("192.0.2.254")]);
}

/// Two thousand addresses move at once.
#[test]
fn a_burst_of_announcements_is_heard_in_full() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let socket = sighting_socket(fe0, Family::Ipv4);
    socket.listen().unwrap();
    let addresses: Vec<IpAddr> =
        (0..2000_u16).map(|n| Ipv4Addr::from(0x0a00_0000 + u32::from(n)).into()).collect();
    frame_socket(fe1).announce(MacAddr(fe1.mac()), &addresses, 1);
    assert_eq!(sightings(&socket, addresses[1999]).len(), 2000);
}
