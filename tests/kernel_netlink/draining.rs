//! Addresses that drain: connections live on, nobody is told that the address is here, and whatever
//! ends the drain leaves the host as it was.

use crate::host::{Agent, ETH0, Functions, Host, LIFETIME, interface, key};
use crate::support::capture::Capture;
use crate::support::frame::Frame;
use crate::support::wait::Ticker;
use crate::support::{SOON, Worker, wait_for, wait_some};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use pnet::packet::Packet;
use pnet::packet::arp::{ArpOperations, ArpPacket};
use pnet::packet::ethernet::{EtherTypes, EthernetPacket};
use pnet::packet::icmpv6::Icmpv6Types;
use pnet::packet::icmpv6::ndp::NeighborAdvertPacket;
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv6::Ipv6Packet;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use vrrpd::kernel::address::AddressLifetime;
use vrrpd::kernel::keeper::{
    ARP_TABLE, ArpTableWriter, DrainsAtStop, KeeperCommand, KeeperEvent, arp_table_writer, earlier_drains,
};
use vrrpd::kernel::nftables::NftablesError;
use vrrpd::kernel::sysctl::{ArpRequest, ArpValues, arp};
use vrrpd::types::Family::{self, Ipv4, Ipv6};
use vrrpd::types::{InstanceKey, LinkFacts};

const NOTHING: [String; 0] = [];
const PORT: u16 = 7;
const GUARDS: [(Family, Guard); 3] =
    [(Ipv4, Guard::Parameters), (Ipv4, Guard::Table), (Ipv6, Guard::Parameters)];

/// What keeps the host silent in ARP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    Parameters,
    /// `/proc/sys` is read-only.
    Table,
}

/// The addresses of one family: the virtual one, that of the host, and that of the peer.
struct Scene {
    host: Host,
    family: Family,
    guard: Guard,
    /// The virtual address as it is configured, and as it is on `lo`.
    net: &'static str,
    on_lo: &'static str,
    vip: IpAddr,
    own: IpAddr,
    peer: IpAddr,
}

impl Scene {
    fn new(family: Family) -> Self {
        Self::guarded_by(family, Guard::Parameters)
    }

    fn guarded_by(family: Family, guard: Guard) -> Self {
        let (net, on_lo, own, peer) = match family {
            Ipv4 => ("192.0.2.50/24", "192.0.2.50/32", "192.0.2.10", "192.0.2.99"),
            Ipv6 => ("2001:db8::50/64", "2001:db8::50/128", "2001:db8::10", "2001:db8::99"),
        };
        let host = Host::new();
        host.ns.ip("address add 2001:db8::10/64 dev eth0 nodad");
        host.far.ip("address add 192.0.2.99/24 dev eth0\naddress add 2001:db8::99/64 dev eth0 nodad");
        let vip = on_lo.split_once('/').unwrap().0.parse().unwrap();
        Self { host, family, guard, net, on_lo, vip, own: own.parse().unwrap(), peer: peer.parse().unwrap() }
    }

    fn key(&self) -> InstanceKey {
        key(self.family, 51)
    }

    /// An agent that holds the address.
    fn agent(&self) -> Agent {
        let agent = Agent::start_in(&self.host, Vec::new(), self.functions());
        self.hold_with(&agent);
        agent
    }

    fn functions(&self) -> Functions {
        match self.guard {
            Guard::Parameters => Functions::of_the_daemon(),
            Guard::Table => Functions::with_read_only_arp(),
        }
    }

    /// The rules of the table, if there is one.
    fn table(&self) -> String {
        let shown = self.host.ns.run("nft", &["list", "ruleset"]);
        shown.find(&format!("table arp {ARP_TABLE} ")).map_or(String::new(), |at| shown[at..].to_owned())
    }

    /// The next run, which knows the interface, the instance and what is wanted.
    fn start_knowing(&self, wanted: KeeperCommand) -> Agent {
        let (key, addresses) = (self.key(), vec![self.net.parse().unwrap()]);
        let index = self.host.index(ETH0);
        let facts = LinkFacts { index, up: true, carrier: true, ..LinkFacts::default() };
        let link = KeeperCommand::Link(interface(ETH0), Some(Box::new(facts)));
        let declare = KeeperCommand::Declare { key, address_interface: interface(ETH0), addresses };
        Agent::start_in(&self.host, vec![link, declare, wanted], self.functions())
    }

    fn hold_with(&self, agent: &Agent) {
        agent.declare(self.key(), &[self.net]);
        agent.known(&self.host);
        agent.hold(self.key(), 1);
        assert_eq!((self.host.ours(), self.host.ours_on_lo().len()), (vec![self.net.to_owned()], 0));
    }

    #[track_caller]
    fn assert_drains(&self) {
        assert_eq!(
            (self.host.ours(), self.host.ours_on_lo()),
            (vec![self.on_lo.to_owned()], self.host.ours())
        );
        let guard = match (self.family, self.guard) {
            (Ipv4, Guard::Parameters) => (1, 2),
            (Ipv4, Guard::Table) | (Ipv6, _) => (0, 0),
        };
        assert_eq!(self.host.guard(), guard);
        let table = self.table();
        let has_table = table.contains("192.0.2.50") && table.contains("arp saddr ip set 192.0.2.10");
        assert_eq!(has_table, (self.family, self.guard) == (Ipv4, Guard::Table), "{table}");
    }

    /// Nothing of ours is left.
    #[track_caller]
    fn assert_clean(&self) {
        assert_eq!((self.host.ours(), self.host.guard(), self.table()), (vec![], (0, 0), String::new()));
    }

    #[track_caller]
    fn assert_held(&self) {
        assert_eq!((self.host.ours(), self.host.ours_on_lo().len()), (vec![self.net.to_owned()], 0));
        assert_eq!((self.host.guard(), self.table()), ((0, 0), String::new()));
    }

    /// The peer goes on sending to the host, as one that has not turned.
    fn peer_knows_us(&self) {
        let shown = self.host.ns.run("ip", &["-o", "link", "show", ETH0]);
        let mac = shown.split_once("link/ether ").unwrap().1.split_whitespace().next().unwrap();
        self.host.far.ip(&format!("neighbour replace {} lladdr {mac} dev eth0 nud permanent", self.vip));
    }

    fn peer_forgets_us(&self) {
        self.host.far.ip(&format!("neighbour delete {} dev eth0", self.vip));
    }

    fn neighbour(&self) -> String {
        self.host.far.run("ip", &["neighbour", "show", &self.vip.to_string(), "dev", ETH0])
    }

    fn listen(&self) -> TcpListener {
        let any: IpAddr = match self.family {
            Ipv4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
            Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        self.host.ns.enter(|| TcpListener::bind((any, PORT)).unwrap())
    }

    fn connect(&self, listener: &TcpListener) -> [TcpStream; 2] {
        let to = SocketAddr::new(self.vip, PORT);
        let client = self.host.far.enter(|| TcpStream::connect_timeout(&to, SOON).unwrap());
        let (server, from) = listener.accept().unwrap();
        assert_eq!((from.ip(), server.local_addr().unwrap().ip()), (self.peer, self.vip));
        for stream in [&client, &server] {
            stream.set_read_timeout(Some(SOON)).unwrap();
        }
        [client, server]
    }
}

/// A question and its answer.
#[track_caller]
fn exchange([client, server]: &[TcpStream; 2]) {
    for (mut from, mut to) in [(client, server), (server, client)] {
        from.write_all(b"hello").unwrap();
        let mut heard = [0; 5];
        to.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    }
}

/// What a frame of the host says about the address in ARP or Neighbor Discovery.
fn claim(frame: &Frame, address: IpAddr) -> Option<String> {
    let ethernet = EthernetPacket::new(&frame.bytes)?;
    match (ethernet.get_ethertype(), address) {
        (EtherTypes::Arp, IpAddr::V4(address)) => {
            let arp = ArpPacket::new(ethernet.payload())?;
            (arp.get_sender_proto_addr().octets() == address.octets()).then(|| match arp.get_operation() {
                ArpOperations::Reply => "reply".to_owned(),
                _ => format!("request for {}", arp.get_target_proto_addr()),
            })
        }
        (EtherTypes::Ipv6, IpAddr::V6(address)) => {
            let ip = Ipv6Packet::new(ethernet.payload())?;
            if ip.get_next_header() != IpNextHeaderProtocols::Icmpv6 {
                return None;
            }
            let advertisement = NeighborAdvertPacket::new(ip.payload())?;
            let is_one = advertisement.get_icmpv6_type() == Icmpv6Types::NeighborAdvert;
            let of_it = is_one && advertisement.get_target_addr().octets() == address.octets();
            let solicits =
                ip.get_source().octets() == address.octets() && advertisement.get_icmpv6_type().0 == 135;
            (of_it || solicits).then(|| format!("{:?}", advertisement.get_icmpv6_type()))
        }
        _ => None,
    }
}

/// The addresses of ours with all that the kernel says about them, for instance when they were added
/// and when their lifetime was set, but for what is left of it.
fn messages(host: &Host) -> Vec<AddressMessage> {
    let mut messages = host.netlink().address_messages().unwrap();
    messages.retain(|message| {
        message
            .attributes
            .iter()
            .any(|attribute| matches!(attribute, AddressAttribute::Protocol(p) if u8::from(*p) == 112))
    });
    assert!(!messages.is_empty());
    for attribute in messages.iter_mut().flat_map(|message| &mut message.attributes) {
        if let AddressAttribute::CacheInfo(cache) = attribute {
            (cache.ifa_valid, cache.ifa_preferred) = (0, 0);
        }
    }
    messages
}

/// How many seconds the addresses of ours on `lo` last, as the kernel says it.
fn lifetimes(host: &Host) -> Vec<u64> {
    let ours = host.netlink().addresses().unwrap();
    let limited = ours.iter().filter_map(|address| match address.lifetime {
        AddressLifetime::Limited(left) => Some(left.as_secs()),
        AddressLifetime::Unlimited => None,
    });
    limited.collect()
}

fn connections_live_on_and_nobody_is_told(scene: &Scene) {
    let family = scene.family;
    let agent = scene.agent();
    let (listener, host) = (scene.listen(), &scene.host);
    scene.peer_knows_us();
    let before = scene.connect(&listener);
    exchange(&before);
    let capture = Capture::start(&host.far);
    capture.name_port(&host.far, ETH0, "host");
    // The capture sees what is looked for: while the address is held, it is answered for.
    scene.peer_forgets_us();
    exchange(&scene.connect(&listener));
    let claims = |from| -> Vec<String> {
        capture.frames(from).iter().filter_map(|frame| claim(frame, scene.vip)).collect()
    };
    wait_for(SOON, "the answer is captured", || !claims(std::time::Duration::ZERO).is_empty());

    scene.peer_knows_us();
    let since = capture.now();
    agent.drain(scene.key(), 2);
    scene.assert_drains();
    exchange(&before);
    let during = scene.connect(&listener);
    exchange(&during);

    // The host has to ask for the peer in order to answer from the draining address.
    let family_flag = if family == Ipv4 { "-4" } else { "-6" };
    host.ns.run("ip", &[family_flag, "neighbour", "flush", "dev", ETH0]);
    exchange(&before);
    exchange(&during);
    // The address is no source of what the host begins itself.
    let there = host.far.enter(|| TcpListener::bind((scene.peer, PORT)).unwrap());
    let to = SocketAddr::new(scene.peer, PORT);
    let outward = host.ns.enter(|| TcpStream::connect_timeout(&to, SOON).unwrap());
    assert_eq!(outward.local_addr().unwrap().ip(), scene.own);
    drop(there.accept().unwrap());
    // The peer asks for the address three times, and hears nothing.
    scene.peer_forgets_us();
    let lost = host.far.enter(|| TcpStream::connect_timeout(&SocketAddr::new(scene.vip, PORT), SOON));
    assert!(lost.is_err(), "somebody answered: {}", scene.neighbour());
    wait_for(SOON, "the peer gives up", || scene.neighbour().contains("FAILED"));
    assert_eq!(claims(since), NOTHING);

    // The way back: the connections go on, and the address is answered for again.
    agent.hold(scene.key(), 3);
    scene.assert_held();
    host.far.run("ip", &[family_flag, "neighbour", "flush", "dev", ETH0, "nud", "all"]);
    for connection in [&before, &during, &scene.connect(&listener)] {
        exchange(connection);
    }
    assert_eq!(agent.told_so_far(), []);
}

// RFC9568-6.4.2-1
#[test]
fn ipv4_connections_live_on_while_their_address_drains_and_nobody_is_told() {
    connections_live_on_and_nobody_is_told(&Scene::new(Ipv4));
}

// RFC9568-6.4.2-1
#[test]
fn where_the_parameters_cannot_be_set_a_table_guards() {
    connections_live_on_and_nobody_is_told(&Scene::guarded_by(Ipv4, Guard::Table));
}

// RFC9568-6.4.2-2
#[test]
fn ipv6_connections_live_on_while_their_address_drains_and_nobody_is_told() {
    connections_live_on_and_nobody_is_told(&Scene::new(Ipv6));
}

#[test]
fn a_drain_ends_with_its_guard_and_strict_values_stay() {
    for (found, during) in [((0, 0), (1, 2)), ((0, 1), (1, 2)), ((2, 2), (2, 2)), ((8, 0), (8, 2))] {
        let scene = Scene::new(Ipv4);
        let agent = scene.agent();
        scene.host.ns.sysctl("ipv4/conf/eth0/arp_ignore", &found.0.to_string());
        scene.host.ns.sysctl("ipv4/conf/eth0/arp_announce", &found.1.to_string());
        agent.drain(scene.key(), 2);
        assert_eq!(scene.host.guard(), during);
        assert_eq!(scene.host.ours_on_lo(), [scene.on_lo]);
        agent.release(scene.key(), 3);
        assert_eq!((scene.host.guard(), scene.host.ours().len()), (found, 0));
        assert_eq!(agent.told_so_far(), []);
    }
}

#[test]
fn what_is_held_beside_a_drain_is_still_answered_for() {
    let scene = Scene::new(Ipv4);
    let agent = scene.agent();
    let other = key(Ipv4, 52);
    agent.declare(other, &["192.0.2.60/24"]);
    agent.hold(other, 1);
    agent.drain(scene.key(), 2);
    let listener = scene.listen();
    let to = SocketAddr::new("192.0.2.60".parse().unwrap(), PORT);
    drop(scene.host.far.enter(|| TcpStream::connect_timeout(&to, SOON).unwrap()));
    drop(listener.accept().unwrap());
    agent.release(other, 2);
    scene.assert_drains();
}

#[test]
fn the_next_run_goes_on_and_touches_nothing() {
    for (family, guard) in GUARDS {
        let scene = Scene::guarded_by(family, guard);
        let agent = scene.agent();
        let listener = scene.listen();
        scene.peer_knows_us();
        let connection = scene.connect(&listener);
        agent.drain(scene.key(), 2);
        agent.send(KeeperCommand::Stop(DrainsAtStop::Keep));
        agent.wait_event(&KeeperEvent::Stopped { outcome: Ok(()), draining: BTreeSet::from([scene.key()]) });
        scene.assert_drains();
        let before = messages(&scene.host);
        drop(agent);
        let key = scene.key();
        let left = scene.host.ns.enter(earlier_drains).unwrap();
        assert_eq!(left.iter().map(|drain| drain.address).collect::<Vec<_>>(), [scene.vip]);
        let lifetime = left[0].left;
        assert!((590..=600).contains(&lifetime.as_secs()), "{lifetime:?}");
        let agent = scene.start_knowing(KeeperCommand::Drain { key, epoch: 1, lifetime });
        agent.wait_event(&KeeperEvent::Draining { key, epoch: 1, outcome: Ok(()) });
        agent.known(&scene.host);
        scene.assert_drains();
        assert_eq!(messages(&scene.host), before, "the same addresses, added at the same time");
        exchange(&connection);
        assert_eq!(agent.told_so_far(), []);
        agent.release(key, 2);
        scene.assert_clean();
    }
}

#[test]
fn a_keeper_that_is_told_so_or_does_not_know_the_drain_ends_it() {
    for (family, guard) in GUARDS {
        let scene = Scene::guarded_by(family, guard);
        let agent = scene.agent();
        agent.drain(scene.key(), 2);
        agent.send(KeeperCommand::Stop(DrainsAtStop::End));
        agent.wait_event(&KeeperEvent::Stopped { outcome: Ok(()), draining: BTreeSet::new() });
        scene.assert_clean();
        drop(agent);

        let agent = scene.agent();
        agent.drain(scene.key(), 2);
        drop(agent);
        scene.assert_drains();
        let agent = Agent::start(&scene.host);
        let (on, net) = ("lo".to_owned(), scene.on_lo.parse().unwrap());
        assert_eq!(agent.told_so_far(), [KeeperEvent::StaleRemoved { interface: on, addresses: vec![net] }]);
        scene.assert_clean();
    }
}

/// A firewall that is loaded again flushes the ruleset.
#[test]
fn a_table_that_another_program_removes_comes_back_and_shrinks_with_the_drains() {
    let scene = Scene::guarded_by(Ipv4, Guard::Table);
    let agent = scene.agent();
    agent.drain(scene.key(), 2);
    scene.host.ns.nft("flush ruleset");
    agent.send(KeeperCommand::Reconcile);
    assert_eq!(agent.told_so_far(), []);
    scene.assert_drains();
    let other = key(Ipv4, 52);
    agent.declare(other, &["192.0.2.60/24"]);
    agent.drain(other, 1);
    assert!(scene.table().contains("192.0.2.50") && scene.table().contains("192.0.2.60"));
    agent.release(other, 2);
    assert!(!scene.table().contains("192.0.2.60"));
    scene.assert_drains();
    agent.release(scene.key(), 3);
    scene.assert_clean();
}

/// A datagram each millisecond: one that arrives while the address is nowhere is lost.
#[test]
fn no_datagram_is_lost_while_an_address_moves() {
    for (family, guard) in GUARDS {
        let scene = Scene::guarded_by(family, guard);
        let mut agent = scene.agent();
        scene.peer_knows_us();
        let any: IpAddr = match family {
            Ipv4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
            Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        let server = scene.host.ns.enter(|| UdpSocket::bind((any, PORT)).unwrap());
        let client = scene.host.far.enter(|| UdpSocket::bind((scene.peer, 0)).unwrap());
        server.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let (sent, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counts_sent, counts_heard, to) = (sent.clone(), heard.clone(), SocketAddr::new(scene.vip, PORT));
        let _hearing = Worker::start(move |stop| {
            while !stop.load(Ordering::Relaxed) {
                if server.recv(&mut [0; 8]).is_ok() {
                    counts_heard.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let sending = Worker::start(move |stop| {
            let mut ticker = Ticker::new(Duration::from_millis(1));
            while !stop.load(Ordering::Relaxed) {
                client.send_to(b"x", to).unwrap();
                counts_sent.fetch_add(1, Ordering::SeqCst);
                ticker.tick();
            }
        });
        let key = scene.key();
        for round in 0..10 {
            let before = sent.load(Ordering::SeqCst);
            agent.drain(key, 2 + 2 * round);
            wait_for(SOON, "datagrams during the drain", || sent.load(Ordering::SeqCst) > before + 5);
            if round % 3 == 2 {
                // The next run goes on, and its epochs are its own.
                drop(agent);
                agent = scene.start_knowing(KeeperCommand::Drain { key, epoch: 1, lifetime: LIFETIME });
                agent.known(&scene.host);
            }
            agent.hold(key, 3 + 2 * round);
        }
        drop(sending);
        let sent = sent.load(Ordering::SeqCst);
        assert!(sent > 50, "{sent}");
        wait_some(SOON, "all datagrams", || (heard.load(Ordering::SeqCst) == sent).then_some(()));
    }
}

/// The address that the next run holds again is missing at no moment: the connection stays.
#[test]
fn the_next_run_takes_a_draining_address_back() {
    let scene = Scene::new(Ipv4);
    let agent = scene.agent();
    let listener = scene.listen();
    let connection = scene.connect(&listener);
    agent.drain(scene.key(), 2);
    drop(agent);
    let agent = scene.start_knowing(KeeperCommand::Hold { key: scene.key(), epoch: 1 });
    wait_for(SOON, "the address is held", || {
        scene.host.ours() == [scene.net] && scene.host.guard() == (0, 0)
    });
    exchange(&connection);
    let told = agent.told_so_far();
    assert!(!told.iter().any(|event| matches!(event, KeeperEvent::StaleRemoved { .. })), "{told:?}");
}

/// Another node has the address by then.
#[test]
fn a_drain_that_is_refused_leaves_the_address_nowhere() {
    let refused = |scene: &Scene, agent: &Agent, epoch| {
        agent.send(KeeperCommand::Drain { key: scene.key(), epoch, lifetime: LIFETIME });
        let why = agent.wait("the answer", |event| match event {
            KeeperEvent::Draining { outcome: Err(why), .. } => Some(why.clone()),
            _ => None,
        });
        assert_eq!(agent.told_so_far(), []);
        wait_for(SOON, "the address is nowhere", || {
            (scene.host.ours(), scene.host.ours_on_lo().len()) == (vec![], 0)
        });
        assert_eq!((scene.host.guard(), scene.table()), ((0, 0), String::new()));
        why
    };
    let scene = Scene::new(Ipv4);
    let no_filter = || NftablesError::Open(std::io::Error::from_raw_os_error(nix::libc::EPROTONOSUPPORT));
    let arp_table: ArpTableWriter = Box::new(move |_, _| Err(no_filter()));
    let agent =
        Agent::start_in(&scene.host, Vec::new(), Functions { arp_table, ..Functions::with_read_only_arp() });
    scene.hold_with(&agent);
    let why = refused(&scene, &agent, 2);
    let parts =
        ["cannot set the ARP parameters of eth0: ", "Read-only file system", "; and cannot open a netfilter"];
    assert!(parts.iter().all(|part| why.contains(part)), "{why}");
    drop(agent);

    let agent = scene.agent();
    scene.host.ns.ip("link set lo down");
    assert_eq!(refused(&scene, &agent, 2), "the interface lo is down");
    scene.host.ns.ip("link set lo up");
    agent.hold(scene.key(), 3);
    agent.drain(scene.key(), 4);
    scene.assert_drains();
}

#[test]
fn what_another_program_removes_from_lo_comes_back() {
    for family in [Ipv4, Ipv6] {
        let scene = Scene::new(family);
        let agent = scene.agent();
        agent.drain(scene.key(), 2);
        scene.host.ns.ip(&format!("address delete {} dev lo", scene.on_lo));
        agent.wait_event(&KeeperEvent::Restored { key: scene.key(), count: 1 });
        scene.assert_drains();
        agent.release(scene.key(), 3);
        scene.assert_clean();
    }
}

#[test]
fn an_address_of_another_program_on_lo_is_never_removed() {
    let scene = Scene::new(Ipv4);
    scene.host.ns.ip("address add 192.0.2.50/32 dev lo");
    let agent = scene.agent();
    let foreign =
        || scene.host.ns.run("ip", &["address", "show", "dev", "lo"]).contains("inet 192.0.2.50/32");
    agent.drain(scene.key(), 2);
    assert_eq!((scene.host.ours(), scene.host.guard(), foreign()), (vec![], (1, 2), true));
    agent.hold(scene.key(), 3);
    scene.assert_held();
    agent.drain(scene.key(), 4);
    agent.release(scene.key(), 5);
    assert_eq!((scene.host.ours(), scene.host.guard(), foreign()), (vec![], (0, 0), true));
}

#[test]
fn a_drain_outlives_its_interface_and_guards_the_new_one() {
    let scene = Scene::new(Ipv4);
    let agent = scene.agent();
    agent.drain(scene.key(), 2);
    let before = messages(&scene.host);
    scene.host.ns.ip("link delete eth0");
    agent.gone();
    assert_eq!(messages(&scene.host), before);
    scene.host.plug_in();
    wait_for(SOON, "the guard of the new interface", || scene.host.guard() == (1, 2));
    assert_eq!(messages(&scene.host), before);
    agent.release(scene.key(), 3);
    wait_for(SOON, "nothing is left", || (scene.host.ours(), scene.host.guard()) == (vec![], (0, 0)));
}

#[test]
fn link_local_addresses_are_released_while_the_others_drain() {
    let scene = Scene::new(Ipv6);
    let agent = scene.agent();
    agent.declare(scene.key(), &["fe80::50/64", scene.net]);
    agent.hold(scene.key(), 2);
    agent.drain(scene.key(), 3);
    scene.assert_drains();
    agent.hold(scene.key(), 4);
    assert_eq!(scene.host.ours(), ["2001:db8::50/64", "fe80::50/64"]);
}

/// What the guard sets is what the kernel reads.
#[test]
fn the_parameters_are_those_of_the_interface() {
    let host = Host::new();
    let values = ArpValues { ignore: 1, announce: 2 };
    let state = host.ns.enter(|| arp(interface(ETH0), ArpRequest::Write(values)).unwrap());
    assert_eq!((state.own, host.guard()), (values, (1, 2)));
    let missing = host.ns.enter(|| arp(interface("gone"), ArpRequest::Read).unwrap_err());
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
}

/// The kernel says which interface delivers: the keeper removes an address from its interface only
/// when `lo` does.
#[test]
fn delivery_on_lo_is_not_mistaken_for_delivery_on_the_interface() {
    let scene = Scene::new(Ipv6);
    let agent = scene.agent();
    let IpAddr::V6(vip) = scene.vip else { panic!("an IPv6 address") };
    let mut netlink = scene.host.netlink();
    let index = scene.host.index(ETH0);
    assert!(netlink.is_delivered(index, vip).unwrap() && !netlink.is_delivered(1, vip).unwrap());
    agent.drain(scene.key(), 2);
    wait_some(SOON, "only lo delivers", || {
        let (on_interface, on_lo) = (netlink.is_delivered(index, vip), netlink.is_delivered(1, vip));
        (!on_interface.unwrap() && on_lo.unwrap()).then_some(())
    });
}

/// The daemon is killed and never comes back.
#[test]
fn the_kernel_ends_a_drain_by_itself_that_nobody_ends() {
    for (family, guard) in GUARDS {
        let scene = Scene::guarded_by(family, guard);
        let agent = scene.agent();
        let key = scene.key();
        agent.send(KeeperCommand::Drain { key, epoch: 2, lifetime: Duration::from_secs(1) });
        agent.wait_event(&KeeperEvent::Draining { key, epoch: 2, outcome: Ok(()) });
        scene.assert_drains();
        drop(agent);
        wait_for(SOON, "the kernel removes the address", || scene.host.ours().is_empty());
        // The next run finds nothing that drains, and holds the address. What is left of a table has
        // ended with the address.
        let agent = Agent::start_in(&scene.host, Vec::new(), scene.functions());
        agent.declare(key, &[scene.net]);
        agent.known(&scene.host);
        agent.hold(key, 1);
        if guard == Guard::Table {
            wait_for(SOON + Duration::from_secs(5), "the table has ended", || {
                !scene.table().contains("192.0.2.50")
            });
        }
        exchange(&scene.connect(&scene.listen()));
    }
}

#[test]
fn a_newer_drain_changes_the_lifetime_and_passes_leave_it_alone() {
    for family in [Ipv4, Ipv6] {
        let scene = Scene::new(family);
        let agent = scene.agent();
        let key = scene.key();
        for (epoch, seconds) in [(2, 600), (3, 30), (4, 900)] {
            let lifetime = Duration::from_secs(seconds);
            agent.send(KeeperCommand::Drain { key, epoch, lifetime });
            agent.wait_event(&KeeperEvent::Draining { key, epoch, outcome: Ok(()) });
            let lasts = lifetimes(&scene.host);
            assert!(lasts.len() == 1 && (seconds..=seconds + 1).contains(&lasts[0]), "{lasts:?}");
            scene.assert_drains();
            let before = messages(&scene.host);
            agent.send(KeeperCommand::Reconcile);
            assert_eq!(agent.told_so_far(), []);
            assert_eq!(messages(&scene.host), before);
        }
    }
}

#[test]
fn the_keeper_ends_a_drain_whose_time_is_over() {
    for (family, guard) in GUARDS {
        let scene = Scene::guarded_by(family, guard);
        let agent = scene.agent();
        let key = scene.key();
        agent.send(KeeperCommand::Drain { key, epoch: 2, lifetime: Duration::from_secs(1) });
        agent.wait_event(&KeeperEvent::Draining { key, epoch: 2, outcome: Ok(()) });
        wait_for(SOON, "the drain ends with its guard", || {
            scene.host.ours().is_empty() && scene.host.guard() == (0, 0) && scene.table().is_empty()
        });
        assert_eq!(agent.told_so_far(), [], "nothing was removed by another program");
    }
}

/// The facts of interfaces may come late, and an interface may have been renamed.
#[test]
fn the_next_run_keeps_the_guard_before_it_knows_the_interface() {
    for guard in [Guard::Parameters, Guard::Table] {
        let scene = Scene::guarded_by(Ipv4, guard);
        let agent = scene.agent();
        agent.drain(scene.key(), 2);
        drop(agent);
        let (key, addresses) = (scene.key(), vec![scene.net.parse().unwrap()]);
        let before = messages(&scene.host);
        let declare = KeeperCommand::Declare { key, address_interface: interface("late0"), addresses };
        let drain = KeeperCommand::Drain { key, epoch: 1, lifetime: LIFETIME };
        let agent = Agent::start_in(&scene.host, vec![declare, drain], scene.functions());
        agent.wait_event(&KeeperEvent::Draining { key, epoch: 1, outcome: Ok(()) });
        agent.send(KeeperCommand::Reconcile);
        assert_eq!(agent.told_so_far(), []);
        scene.assert_drains();
        assert_eq!(messages(&scene.host), before);
        agent.release(key, 2);
        scene.assert_clean();
    }
}

#[test]
fn a_guard_that_another_program_lowers_is_set_again_and_reported() {
    let scene = Scene::new(Ipv4);
    let agent = scene.agent();
    agent.drain(scene.key(), 2);
    agent.send(KeeperCommand::Reconcile);
    assert_eq!(agent.told_so_far(), []);
    for round in 0..2 {
        scene.host.ns.sysctl("ipv4/conf/eth0/arp_ignore", "0");
        agent.send(KeeperCommand::Reconcile);
        agent.wait_event(&KeeperEvent::GuardRestored { interface: ETH0.to_owned() });
        scene.assert_drains();
        assert_eq!(agent.told_so_far(), [], "{round}");
    }
}

#[test]
fn an_address_that_the_host_has_itself_does_not_drain() {
    let scene = Scene::new(Ipv4);
    scene.host.ns.ip("address add 192.0.2.50/24 dev eth0");
    let agent = Agent::start_in(&scene.host, Vec::new(), scene.functions());
    let key = scene.key();
    agent.declare(key, &[scene.net]);
    agent.known(&scene.host);
    agent.hold(key, 1);
    agent.send(KeeperCommand::Drain { key, epoch: 2, lifetime: LIFETIME });
    let why = agent.wait("a refusal", |event| match event {
        KeeperEvent::Draining { epoch: 2, outcome: Err(why), .. } => Some(why.clone()),
        _ => None,
    });
    assert!(why.contains("another program has the address on the interface"), "{why}");
    wait_for(SOON, "nothing is on lo", || scene.host.ours_on_lo().is_empty());
    wait_for(SOON, "the guard is off", || scene.host.guard() == (0, 0));
}

/// The packet filter is a module that a host without a drain need not load.
#[test]
fn the_packet_filter_is_asked_only_when_something_drains_or_drained() {
    let scene = Scene::new(Ipv4);
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = || {
        let (asked, mut write) = (asked.clone(), arp_table_writer());
        let arp_table: ArpTableWriter = Box::new(move |content, lasts| {
            asked.fetch_add(1, Ordering::SeqCst);
            write(content, lasts)
        });
        Functions { arp_table, ..Functions::of_the_daemon() }
    };
    let asked = || asked.load(Ordering::SeqCst);
    let agent = Agent::start_in(&scene.host, Vec::new(), counting());
    scene.hold_with(&agent);
    agent.release(scene.key(), 2);
    drop(agent);
    assert_eq!(asked(), 0);
    let agent = Agent::start_in(&scene.host, Vec::new(), counting());
    scene.hold_with(&agent);
    agent.drain(scene.key(), 2);
    drop(agent);
    let before = asked();
    // The next run does not know the drain, and ends it.
    let agent = Agent::start_in(&scene.host, Vec::new(), counting());
    agent.told_so_far();
    scene.assert_clean();
    assert_eq!(asked(), before + 1);
}

/// A run that cannot delete the table of an earlier one tries again.
#[test]
fn an_old_table_that_cannot_be_deleted_is_deleted_later() {
    let scene = Scene::guarded_by(Ipv4, Guard::Table);
    let agent = scene.agent();
    agent.drain(scene.key(), 2);
    drop(agent);
    let (mut write, works) = (arp_table_writer(), Arc::new(AtomicBool::new(false)));
    let writes = works.clone();
    let arp_table: ArpTableWriter = Box::new(move |content, lasts| {
        if !writes.load(Ordering::SeqCst) {
            return Err(NftablesError::Receive(std::io::Error::from_raw_os_error(nix::libc::ENOBUFS)));
        }
        write(content, lasts)
    });
    let agent =
        Agent::start_in(&scene.host, Vec::new(), Functions { arp_table, ..Functions::with_read_only_arp() });
    agent.told_so_far();
    assert!(scene.table().contains("192.0.2.50"));
    works.store(true, Ordering::SeqCst);
    wait_for(SOON, "the table is deleted at last", || scene.table().is_empty());
    scene.assert_clean();
}
