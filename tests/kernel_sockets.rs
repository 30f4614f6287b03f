//! The sockets of floor 4 on the real kernel: what they send, receive, and refuse.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

#[path = "kernel_sockets/announcements.rs"]
mod announcements;
#[path = "kernel_sockets/channel.rs"]
mod channel;
#[path = "kernel_sockets/probe.rs"]
mod probe;
mod support;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use support::inject::{Forgery, Injector, Sum};
use support::lab::ip;
use support::{Lab, Node, SOON, wait_for, wait_some};
use vrrpd::kernel::announcement_socket::{AnnouncementFilter, AnnouncementSocket};
use vrrpd::kernel::frame_socket::FrameSocket;
use vrrpd::kernel::realtime::{MemoryLock, Scheduling, lock_memory, raise_thread};
use vrrpd::kernel::socket_error::SocketError;
use vrrpd::kernel::vrrp_socket::{
    Addressee, OutgoingMessages, ReceiveReport, ReceiveSocket, Remaining, Route, TransmitSocket,
};
use vrrpd::types::{Family, InterfaceName, MacAddr};
use vrrpd::wire::{Announcement, Carrier};

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// Vector P01 of the conformance checklist. The sockets do not look inside, so IPv6 carries it as
/// well.
const V4: [u8; 12] = [0x31, 0x33, 0x64, 1, 0, 0x64, 0xa7, 0x68, 192, 0, 2, 254];

fn eth0() -> InterfaceName {
    "eth0".parse().unwrap()
}

fn index(node: &Node) -> u32 {
    node.ns.enter(|| nix::net::if_::if_nametoindex("eth0").unwrap())
}

fn receiver(node: &Node, family: Family) -> ReceiveSocket {
    let index = index(node);
    node.ns.enter(|| ReceiveSocket::open(eth0(), index, family, Addressee::Group).unwrap())
}

fn to_group(source: IpAddr) -> Route {
    Route { source, destination: Family::of(source).group() }
}

fn transmitter(node: &Node, family: Family) -> TransmitSocket {
    let index = index(node);
    node.ns.enter(|| TransmitSocket::open(eth0(), index, family).unwrap())
}

fn frame_socket(node: &Node) -> FrameSocket {
    let index = index(node);
    node.ns.enter(|| FrameSocket::open(eth0(), index).unwrap())
}

/// The source address of a node's advertisements in this family.
fn source(node: &Node, family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => node.v4().into(),
        Family::Ipv6 => node.link_local().into(),
    }
}

/// A correct advertisement that another node may inject.
fn forgery(node: &Node, family: Family) -> Forgery {
    let vips: &[&str] = match family {
        Family::Ipv4 => &["192.0.2.254"],
        Family::Ipv6 => &["fe80::51"],
    };
    Forgery::new(source(node, family), 51, 100, 100).addresses(vips)
}

/// What a receiver has received so far.
#[derive(Default)]
struct Heard {
    messages: Vec<(Carrier, Vec<u8>)>,
    unreadable: u32,
    truncated: u32,
    fragmented: u32,
}

impl Heard {
    fn listen(&mut self, socket: &mut ReceiveSocket) {
        let keep = &mut |carrier: Carrier, octets: &[u8]| self.messages.push((carrier, octets.to_vec()));
        let received: ReceiveReport = socket.receive(keep).unwrap();
        self.unreadable += received.unreadable;
        self.truncated += received.truncated;
        self.fragmented += received.fragmented;
    }

    /// Receives until the message arrives that is the last (see [`LAST`]).
    fn until_last(socket: &mut ReceiveSocket) -> Self {
        let mut heard = Self::default();
        wait_for(SOON, "the last message", || {
            heard.listen(socket);
            heard.messages.last().is_some_and(|(_, octets)| *octets == LAST)
        });
        heard.messages.pop();
        heard
    }
}

/// Sent after messages that must not arrive: packets of one sender stay in order.
const LAST: [u8; 12] = *b"that was all";

fn inject_last(injector: &Injector, from: &Node, family: Family) {
    injector.send(&forgery(from, family).frame_of(&LAST));
}

// RFC9568-2.5-1, RFC9568-5.1.1.2-1, RFC9568-5.1.1.3-1, RFC9568-5.1.1.4-1: IPv4 header on the wire.
// RFC9568-5.1.2.2-1, RFC9568-5.1.2.3-1, RFC9568-5.1.2.4-1: IPv6 header on the wire.
#[test]
fn a_message_crosses_the_link_with_its_carrier() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    for family in FAMILIES {
        let mut hears = receiver(fe1, family);
        let begin = lab.capture().now();
        let sends = transmitter(fe0, family);
        sends.send(to_group(source(fe0, family)), &V4).unwrap();
        sends.send(to_group(source(fe0, family)), &LAST).unwrap();
        let heard = Heard::until_last(&mut hears);
        let carrier = Carrier { source: source(fe0, family), destination: family.group(), ttl: 255 };
        assert_eq!(heard.messages, [(carrier, V4.to_vec())], "{family}");

        let on_the_wire = wait_some(SOON, "the frame", || {
            lab.capture().frames(begin).into_iter().find(|frame| frame.bytes.ends_with(&V4))
        });
        let traffic_class = match family {
            Family::Ipv4 => on_the_wire.bytes[15],
            Family::Ipv6 => on_the_wire.bytes[14] << 4 | on_the_wire.bytes[15] >> 4,
        };
        assert_eq!(traffic_class, 0xc0, "{family}");
        assert_eq!(on_the_wire.bytes[6..12], fe0.mac(), "{family}");
    }
}

// RFC9568-7.2-5
#[test]
fn what_must_be_counted_reaches_the_counters() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let injector = Injector::new(fe0);
    for family in FAMILIES {
        let mut hears = receiver(fe1, family);
        let good = forgery(fe0, family);
        let bad = [
            good.clone().with(|f| f.ttl = 254),
            good.clone().with(|f| f.ttl = 1),
            good.clone().with(|f| f.sum = Sum::Wrong),
            good.clone().with(|f| f.version_type = 0x41),
            good.clone().with(|f| f.vrid = 99),
            good.clone().with(|f| f.trailer = vec![0; 4]),
            good.clone().with(|f| f.padding = 14),
        ];
        for forgery in &bad {
            injector.send(&forgery.frame());
        }
        injector.send(&good.frame_of(&[]));
        injector.send(&good.frame_of(&[0x31]));
        inject_last(&injector, fe0, family);
        let heard = Heard::until_last(&mut hears);
        let mut expected: Vec<(u8, Vec<u8>)> = bad.iter().map(|f| (f.ttl, f.message())).collect();
        expected.extend([(255, vec![]), (255, vec![0x31])]);
        let got: Vec<(u8, Vec<u8>)> = heard.messages.into_iter().map(|(c, octets)| (c.ttl, octets)).collect();
        assert_eq!(got, expected, "{family}");
    }
}

#[test]
fn ipv4_options_are_skipped() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let mut hears = receiver(fe1, Family::Ipv4);
    let injector = Injector::new(fe0);
    let with_options = forgery(fe0, Family::Ipv4).with(|f| f.options = vec![1, 1, 1, 0]);
    injector.send(&with_options.frame());
    inject_last(&injector, fe0, Family::Ipv4);
    let heard = Heard::until_last(&mut hears);
    assert_eq!(heard.messages[0].1, with_options.message());
}

#[test]
fn packets_for_others_than_the_group_are_filtered() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let injector = Injector::new(fe0);
    let to = |forgery: Forgery, destination: IpAddr, mac: [u8; 6]| {
        let mut frame = forgery.with(|f| f.destination = destination).frame();
        frame[..6].copy_from_slice(&mac);
        injector.send(&frame);
    };
    let mut v4 = receiver(fe1, Family::Ipv4);
    to(forgery(fe0, Family::Ipv4), fe1.v4().into(), fe1.mac());
    to(forgery(fe0, Family::Ipv4), ip("224.0.0.1"), [1, 0, 0x5e, 0, 0, 1]);
    to(forgery(fe0, Family::Ipv4), ip("192.0.2.255"), [0xff; 6]);
    inject_last(&injector, fe0, Family::Ipv4);
    assert_eq!(Heard::until_last(&mut v4).messages, []);

    let mut v6 = receiver(fe1, Family::Ipv6);
    to(forgery(fe0, Family::Ipv6), fe1.link_local().into(), fe1.mac());
    to(forgery(fe0, Family::Ipv6), ip("ff02::1"), [0x33, 0x33, 0, 0, 0, 1]);
    // A packet to the group with a hop-by-hop header (of padding) in front.
    let inner = forgery(fe0, Family::Ipv6).message();
    injector.send(&extended(fe0, 0, &[&[112, 0, 1, 4, 0, 0, 0, 0], inner.as_slice()].concat()));
    inject_last(&injector, fe0, Family::Ipv6);
    assert_eq!(Heard::until_last(&mut v6).messages, []);
}

/// An IPv6 packet to the group in which a header of type `next` follows the IPv6 header.
fn extended(node: &Node, next: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = forgery(node, Family::Ipv6).frame_of(payload);
    frame[14 + 6] = next;
    frame
}

#[test]
fn an_advertisement_in_fragments_is_counted_and_not_delivered() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let injector = Injector::new(fe0);

    let mut v4 = receiver(fe1, Family::Ipv4);
    let whole = forgery(fe0, Family::Ipv4).message();
    // First a fragment at offset 0 with More Fragments, then the last one at 8 octets.
    injector.send(&forgery(fe0, Family::Ipv4).with(|f| f.fragment = 0x2000).frame_of(&whole[..8]));
    injector.send(&forgery(fe0, Family::Ipv4).with(|f| f.fragment = 1).frame_of(&whole[8..]));
    // After it, the room for control messages is used for other packets.
    for _ in 0..40 {
        injector.send(&forgery(fe0, Family::Ipv4).frame());
    }
    inject_last(&injector, fe0, Family::Ipv4);
    let heard = Heard::until_last(&mut v4);
    assert_eq!((heard.fragmented, heard.messages.len()), (1, 40));

    let mut v6 = receiver(fe1, Family::Ipv6);
    let whole = forgery(fe0, Family::Ipv6).message();
    injector.send(&extended(fe0, 44, &[&[112, 0, 0, 1, 0, 0, 0, 7], &whole[..8]].concat()));
    injector.send(&extended(fe0, 44, &[&[112, 0, 0, 8, 0, 0, 0, 7], &whole[8..]].concat()));
    for _ in 0..40 {
        injector.send(&forgery(fe0, Family::Ipv6).frame());
    }
    inject_last(&injector, fe0, Family::Ipv6);
    let heard = Heard::until_last(&mut v6);
    assert_eq!((heard.fragmented, heard.messages.len()), (1, 40));
    assert!(heard.messages.iter().all(|(carrier, _)| carrier.ttl == 255));
}

#[test]
fn a_packet_longer_than_any_advertisement_is_counted_as_truncated() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let mut hears = receiver(fe1, Family::Ipv4);
    let injector = Injector::new(fe0);
    injector.send(&forgery(fe0, Family::Ipv4).frame_of(&[0x31; 1400]));
    injector.send(&forgery(fe0, Family::Ipv4).frame_of(&[0x31; 8 + 255 * 4 + 8]));
    inject_last(&injector, fe0, Family::Ipv4);
    let heard = Heard::until_last(&mut hears);
    assert_eq!((heard.truncated, heard.messages.len()), (1, 1));
    assert_eq!(heard.messages[0].1.len(), 8 + 255 * 4 + 8);
}

// RFC9568-7.2-3
#[test]
fn our_own_messages_do_not_come_back() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    for family in FAMILIES {
        let mut ours = receiver(fe0, family);
        let mut theirs = receiver(fe1, family);
        let sends = transmitter(fe0, family);
        sends.send(to_group(source(fe0, family)), &V4).unwrap();
        sends.send(to_group(source(fe0, family)), &LAST).unwrap();
        assert_eq!(Heard::until_last(&mut theirs).messages.len(), 1, "{family}");
        inject_last(&Injector::new(fe1), fe1, family);
        assert_eq!(Heard::until_last(&mut ours).messages, [], "{family}");
    }
}

#[test]
fn the_source_is_the_one_that_was_asked_for() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    fe0.ns.ip("address add 192.0.2.77/24 dev eth0\naddress add fe80::77/64 dev eth0 nodad");
    for (family, other) in [(Family::Ipv4, "192.0.2.77"), (Family::Ipv6, "fe80::77")] {
        let mut hears = receiver(fe1, family);
        let sends = transmitter(fe0, family);
        let sources = [ip(other), source(fe0, family), ip(other)];
        for source in sources {
            sends.send(to_group(source), &V4).unwrap();
        }
        sends.send(to_group(source(fe0, family)), &LAST).unwrap();
        let heard = Heard::until_last(&mut hears);
        let got: Vec<IpAddr> = heard.messages.iter().map(|(carrier, _)| carrier.source).collect();
        assert_eq!(got, sources);
        let foreign = sends.send(to_group(source(fe1, family)), &V4).unwrap_err();
        let expected = if family == Family::Ipv4 { libc::ENETUNREACH } else { libc::EINVAL };
        assert_eq!(foreign.raw_os_error(), Some(expected), "{family}");
    }
    let sends = transmitter(fe0, Family::Ipv4);
    let mixed = sends.send(to_group(source(fe0, Family::Ipv6)), &V4).unwrap_err();
    assert_eq!(mixed.raw_os_error(), Some(libc::EAFNOSUPPORT));
}

#[test]
fn sending_needs_no_route() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    fe0.ns.ip("address flush dev eth0 scope global\naddress add 192.0.2.10/32 dev eth0");
    assert_eq!(fe0.ns.run("ip", &["-4", "route"]), "");
    for family in FAMILIES {
        let mut hears = receiver(fe1, family);
        let sends = transmitter(fe0, family);
        sends.send(to_group(source(fe0, family)), &LAST).unwrap();
        Heard::until_last(&mut hears);
    }
}

#[test]
fn a_batch_keeps_its_order_and_tells_what_failed() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    for family in FAMILIES {
        let mut hears = receiver(fe1, family);
        let sends = transmitter(fe0, family);
        let messages: Vec<[u8; 12]> = (0..=254).map(|n| [n; 12]).collect();
        let (ours, foreign) = (to_group(source(fe0, family)), to_group(source(fe1, family)));
        let bad = [0, 70, 71, 254];
        let batch: OutgoingMessages = messages
            .iter()
            .enumerate()
            .map(|(n, message)| (if bad.contains(&n) { foreign } else { ours }, message.as_slice()))
            .collect();
        let mut failed = Vec::new();
        let sent = sends.send_batch(&batch, &mut |n, _error| failed.push(n));
        assert_eq!((sent, failed.as_slice()), (251, bad.as_slice()), "{family}");
        sends.send(ours, &LAST).unwrap();
        let got: Vec<usize> =
            Heard::until_last(&mut hears).messages.iter().map(|(_, octets)| octets[0].into()).collect();
        let expected: Vec<usize> = (0..=254).filter(|n| !bad.contains(n)).collect();
        assert_eq!(got, expected, "{family}");
    }
}

#[test]
fn a_flood_is_received_in_bounded_calls() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let mut hears = receiver(fe1, Family::Ipv4);
    let mut also_hears = receiver(fe1, Family::Ipv4);
    let sends = transmitter(fe0, Family::Ipv4);
    let message: (Route, &[u8]) = (to_group(fe0.v4().into()), &V4);
    sends.send_batch(&[message; 300].into_iter().collect(), &mut |n, error| panic!("message {n}: {error}"));
    sends.send(to_group(fe0.v4().into()), &LAST).unwrap();
    // A second socket shows when all 301 have arrived.
    Heard::until_last(&mut also_hears);
    let first = hears.receive(&mut |_, _| ()).unwrap();
    assert_eq!((first.delivered, first.remaining), (256, Remaining::Possibly));
    let second = hears.receive(&mut |_, _| ()).unwrap();
    assert_eq!((second.delivered, second.remaining), (45, Remaining::Nothing));
    assert_eq!(hears.receive(&mut |_, _| ()).unwrap(), ReceiveReport::default());
}

#[test]
fn an_interface_that_is_gone_is_named() {
    let lab = Lab::new(&["fe0"]);
    lab.node("fe0").ns.enter(|| {
        for family in FAMILIES {
            let receive = ReceiveSocket::open(eth0(), 4_000_000, family, Addressee::Group).unwrap_err();
            assert!(matches!(receive, SocketError::Gone { index: 4_000_000, .. }), "{receive:?}");
            assert!(receive.to_string().starts_with("eth0: cannot "), "{receive}");
            let transmit = TransmitSocket::open(eth0(), 4_000_000, family).unwrap_err();
            assert!(matches!(transmit, SocketError::Gone { .. }), "{transmit:?}");
        }
        let frames = FrameSocket::open(eth0(), 4_000_000).unwrap_err();
        assert!(matches!(frames, SocketError::Gone { .. }), "{frames:?}");
    });
}

#[test]
fn a_missing_capability_is_named_with_its_remedy() {
    if std::env::var_os("VRRPD_TEST_UNPRIVILEGED").is_some() {
        for family in FAMILIES {
            println!("{}", ReceiveSocket::open(eth0(), 1, family, Addressee::Group).unwrap_err());
            println!("{}", TransmitSocket::open(eth0(), 1, family).unwrap_err());
        }
        println!("{}", FrameSocket::open(eth0(), 1).unwrap_err());
        return;
    }
    // Runs this very test again, as root without any capability.
    let output = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "a_missing_capability_is_named_with_its_remedy"])
        .env("VRRPD_TEST_UNPRIVILEGED", "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let refusals = said.lines().filter(|line| line.starts_with("eth0: cannot open a ")).count();
    let remedies = said.lines().filter(|line| {
        ["CAP_NET_RAW", "AmbientCapabilities=", "setcap ", "root"].iter().all(|word| line.contains(word))
    });
    assert_eq!((refusals, remedies.count()), (5, 5), "{said}");
}

/// The link-layer address in a node's neighbour cache.
fn neighbour(node: &Node, address: &str) -> String {
    let line = node.ns.run("ip", &["neighbour", "show", address, "dev", "eth0"]);
    line.split_whitespace().skip_while(|word| *word != "lladdr").nth(1).unwrap_or_default().to_owned()
}

#[test]
fn announcements_move_an_address_in_the_neighbours_caches() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let addresses = ["192.0.2.254", "2001:db8::fe"];
    for address in addresses {
        fe1.ns.ip(&format!("neighbour replace {address} lladdr 02:00:00:00:00:99 dev eth0 nud reachable"));
        assert_eq!(neighbour(fe1, address), "02:00:00:00:00:99");
    }
    let announced = frame_socket(fe0).announce(MacAddr(fe0.mac()), &addresses.map(ip), 1);
    assert_eq!((announced.sent, announced.failed), (2, 0), "{announced:?}");
    for address in addresses {
        wait_for(SOON, format!("fe1 believes that {address} moved"), || {
            neighbour(fe1, address) == "02:00:00:00:00:0a"
        });
    }
}

// RFC9568-8.1.2-4
#[test]
fn every_address_is_announced_before_any_is_repeated() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let fe0 = lab.node("fe0");
    // More addresses than one system call takes, so that its chunks cannot be taken for rounds.
    let v4 = (0..100).map(|n| IpAddr::from(Ipv4Addr::new(10, 0, 0, n)));
    let v6 = (0..100).map(|n| IpAddr::from(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n)));
    let addresses: Vec<IpAddr> = v4.chain(v6).collect();
    let begin = lab.capture().now();
    let announced = frame_socket(fe0).announce(MacAddr(fe0.mac()), &addresses, 3);
    assert_eq!((announced.sent, announced.failed), (600, 0), "{announced:?}");
    let seen = wait_some(SOON, "600 announcements", || {
        Some(lab.capture().announcements(begin)).filter(|seen| seen.len() == 600)
    });
    let order: Vec<IpAddr> = seen.iter().map(|announcement| announcement.address).collect();
    assert_eq!(order, addresses.repeat(3));
    assert!(seen.iter().all(|announcement| announcement.mac == fe0.mac()));
}

#[test]
fn announcements_on_a_link_that_is_down_are_counted_as_failed() {
    let lab = Lab::new(&["fe0"]);
    let fe0 = lab.node("fe0");
    let socket = frame_socket(fe0);
    fe0.ns.ip("link set eth0 down");
    let announced = socket.announce(MacAddr(fe0.mac()), &[ip("192.0.2.254"), ip("192.0.2.253")], 2);
    assert_eq!((announced.sent, announced.failed), (0, 4));
    assert_eq!(announced.error.unwrap().raw_os_error(), Some(libc::ENETDOWN));
    fe0.ns.ip("link set eth0 up");
    wait_for(SOON, "the link works again, with the same socket", || {
        socket.announce(MacAddr(fe0.mac()), &[ip("192.0.2.254")], 1).sent == 1
    });
}

/// Policy, real-time priority and nice value as in proc(5): fields 41, 40 and 19 of `stat`.
fn scheduling(stat: &str) -> (i32, i32, i32) {
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let field = |number: usize| fields[number - 3].parse().unwrap();
    (field(41), field(40), field(19))
}

#[test]
fn raising_a_thread_says_what_the_kernel_did_and_spares_its_children() {
    let (outcome, thread, child) = std::thread::spawn(|| {
        let outcome = raise_thread();
        let thread = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let child = Command::new("cat").arg("/proc/self/stat").output().unwrap();
        (outcome, thread, String::from_utf8(child.stdout).unwrap())
    })
    .join()
    .unwrap();
    let expected = match &outcome {
        Scheduling::Fifo { priority } => (libc::SCHED_FIFO, *priority, 0),
        Scheduling::Nice { nice, .. } => (libc::SCHED_OTHER, 0, *nice),
        Scheduling::Unchanged { .. } => (libc::SCHED_OTHER, 0, 0),
    };
    assert_eq!(scheduling(&thread), expected, "{outcome}");
    assert_eq!(scheduling(&child), (libc::SCHED_OTHER, 0, 0), "{outcome}");
}

#[test]
fn locking_memory_locks_it_or_leaves_no_trap() {
    use nix::sys::resource::{Resource, getrlimit};
    let limit = getrlimit(Resource::RLIMIT_MEMLOCK).unwrap();
    let outcome = lock_memory();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let locked = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap().trim() != "0 kB";
    let _other_tests_run_here_too: nix::Result<()> = nix::sys::mman::munlockall();
    assert_eq!(locked, matches!(outcome, MemoryLock::Locked), "{outcome}");
    assert_eq!(getrlimit(Resource::RLIMIT_MEMLOCK).unwrap(), limit);
}

#[test]
fn an_empty_queue_is_not_an_error() {
    let lab = Lab::new(&["fe0"]);
    for family in FAMILIES {
        let received: io::Result<ReceiveReport> = receiver(lab.node("fe0"), family).receive(&mut |_, _| ());
        assert_eq!(received.unwrap(), ReceiveReport::default());
    }
}

fn ping(from: &Node, to: IpAddr) {
    let to = if to.is_ipv6() { format!("{to}%eth0") } else { to.to_string() };
    from.ns.run("ping", &["-c", "1", "-W", "5", &to]);
}
