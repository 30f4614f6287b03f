//! A LAN with a client, a leaver, a successor that forwards, and a third node; the virtual address is
//! on the successor. Packets are sent to the successor, and what comes out of it is seen.

use crate::packets::{ACK, RST, SYN, Seen, TTL, frame, packet, segment};
use crate::support::inject::Injector;
use crate::support::{Lab, Node, SOON, wait_some};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use vrrpd::kernel::forwarding::{Arming, EarlierOwn, ForwardingSettings, ForwardingTable, Leaver};
use vrrpd::types::{Connection, Family, InstanceKey, InterfaceName, MacAddr, Vrid};

pub(crate) const BOTH: [Family; 2] = [Family::Ipv4, Family::Ipv6];

pub(crate) struct Scene {
    pub(crate) lab: Lab,
    pub(crate) family: Family,
    client: Injector,
    from_leaver: Injector,
    markers: AtomicU16,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was sent on to this node, unchanged but for MACs and TTL.
    Forwarded(&'static str),
    /// The successor accepted the SYN.
    Accepted,
    /// The successor reset the connection.
    Reset,
    /// Nothing came out.
    Nothing,
}

/// Settings with which an address is switching until a test says otherwise.
pub(crate) fn settings() -> ForwardingSettings {
    ForwardingSettings {
        switching_time: Duration::from_secs(600),
        own_lifetime: Duration::from_secs(600),
        ..Default::default()
    }
}

pub(crate) fn interface(name: &str) -> InterfaceName {
    name.parse().unwrap()
}

impl Scene {
    pub(crate) fn new(family: Family) -> Self {
        let lab = Lab::new(&["client", "leaver", "successor", "third"]);
        let client = Injector::new(lab.node("client"));
        let from_leaver = Injector::new(lab.node("leaver"));
        let scene = Self { lab, family, client, from_leaver, markers: AtomicU16::new(1) };
        scene.set_up_successor();
        scene
    }

    fn set_up_successor(&self) {
        let successor = self.successor();
        for address in ["192.0.2.100/24", "192.0.2.101/24", "2001:db8::100/64", "2001:db8::101/64"] {
            successor.ns.ip(&format!("address add {address} dev eth0 nodad"));
        }
        // What is forwarded goes out at once, and not when a neighbour has answered.
        for name in ["client", "leaver", "third"] {
            let node = self.lab.node(name);
            let [a, b, c, d, e, f] = node.mac();
            let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
            for address in [IpAddr::from(node.v4()), node.v6().into(), node.link_local().into()] {
                successor.ns.ip(&format!("neighbour replace {address} lladdr {mac} dev eth0 nud permanent"));
            }
        }
    }

    /// The successor gets a new `eth0`.
    pub(crate) fn plug_again(&self) {
        self.lab.plug(self.successor());
        self.set_up_successor();
    }

    pub(crate) fn successor(&self) -> &Node {
        self.lab.node("successor")
    }

    pub(crate) fn table(&self, settings: ForwardingSettings) -> ForwardingTable {
        self.successor().ns.enter(|| ForwardingTable::open(settings).unwrap())
    }

    pub(crate) fn key(&self, vrid: u8) -> InstanceKey {
        InstanceKey { interface: interface("eth0"), family: self.family, vrid: Vrid::new(vrid).unwrap() }
    }

    pub(crate) fn index(&self) -> u32 {
        self.successor().ns.enter(|| nix::net::if_::if_nametoindex("eth0").unwrap())
    }

    /// The virtual address of the first instance, or of the second.
    pub(crate) fn address(&self, vrid: u8) -> IpAddr {
        let host = 99 + u16::from(vrid);
        match self.family {
            Family::Ipv4 => IpAddr::from([192, 0, 2, u8::try_from(host).unwrap()]),
            Family::Ipv6 => format!("2001:db8::{}", host).parse().unwrap(),
        }
    }

    /// A node as it is forwarded to.
    pub(crate) fn leaver(&self, name: &str) -> Leaver {
        let node = self.lab.node(name);
        let address = match self.family {
            Family::Ipv4 => node.v4().into(),
            Family::Ipv6 => node.link_local().into(),
        };
        Leaver { address, mac: MacAddr(node.mac()) }
    }

    pub(crate) fn arming(&self, vrid: u8, last: Option<&str>, leavers: &[&str]) -> Arming {
        Arming {
            interface: interface("eth0"),
            index: self.index(),
            addresses: [self.address(vrid)].into(),
            last: last.map(|name| self.leaver(name)),
            leavers: leavers.iter().map(|name| self.leaver(name)).collect(),
            own: Vec::new(),
            earlier: EarlierOwn::Stays,
        }
    }

    /// The connection of the client from this port to an instance's address.
    pub(crate) fn connection(&self, vrid: u8, port: u16) -> Connection {
        Connection {
            local: SocketAddr::new(self.address(vrid), 80),
            remote: SocketAddr::new(self.client_address(), port),
        }
    }

    fn client_address(&self) -> IpAddr {
        self.address_of("client")
    }

    pub(crate) fn address_of(&self, name: &str) -> IpAddr {
        let node = self.lab.node(name);
        match self.family {
            Family::Ipv4 => node.v4().into(),
            Family::Ipv6 => node.v6().into(),
        }
    }

    /// What becomes of a segment of a connection that the client sends.
    #[track_caller]
    pub(crate) fn fate(&self, connection: Connection, flags: u8) -> Fate {
        self.fate_of(&Self::tcp(connection, flags))
    }

    fn tcp(connection: Connection, flags: u8) -> Vec<u8> {
        let segment = segment(connection.remote, connection.local, flags);
        packet(connection.remote.ip(), connection.local.ip(), 6, &segment)
    }

    /// What becomes of a segment of the client's connection that the leaver has sent on.
    #[track_caller]
    pub(crate) fn fate_from_leaver(&self, connection: Connection, flags: u8) -> Fate {
        let mac = self.lab.node("leaver").mac();
        self.fate_in(&Self::tcp(connection, flags), (mac, self.successor().mac()), &self.from_leaver)
    }

    /// What becomes of a segment of the client that is sent to this MAC.
    #[track_caller]
    pub(crate) fn fate_at_mac(&self, connection: Connection, to: [u8; 6]) -> Fate {
        self.fate_in(&Self::tcp(connection, ACK), (self.lab.node("client").mac(), to), &self.client)
    }

    /// What becomes of a packet that the client sends.
    #[track_caller]
    pub(crate) fn fate_of(&self, packet: &[u8]) -> Fate {
        let macs = (self.lab.node("client").mac(), self.successor().mac());
        self.fate_in(packet, macs, &self.client)
    }

    /// What becomes of a segment of the client with the tag of a VLAN.
    #[track_caller]
    pub(crate) fn fate_in_vlan(&self, connection: Connection, flags: u8) -> Fate {
        let macs = (self.lab.node("client").mac(), self.successor().mac());
        let packet = Self::tcp(connection, flags);
        let untagged = frame(macs.0, macs.1, &packet);
        let tagged = [&untagged[..12], &[0x81, 0, 0, 5], &untagged[12..]].concat();
        self.fate_of_frame(&tagged, &packet, macs, &self.client)
    }

    #[track_caller]
    fn fate_in(&self, packet: &[u8], macs: ([u8; 6], [u8; 6]), injector: &Injector) -> Fate {
        self.fate_of_frame(&frame(macs.0, macs.1, packet), packet, macs, injector)
    }

    #[track_caller]
    fn fate_of_frame(
        &self,
        octets: &[u8],
        packet: &[u8],
        (mac, to): ([u8; 6], [u8; 6]),
        injector: &Injector,
    ) -> Fate {
        let since = self.lab.capture().now();
        injector.send(octets);
        // Packets from one cable are handled in their order: when the answer to a second one is
        // there, everything that the first one causes is there, too.
        let port = self.markers.fetch_add(1, Ordering::Relaxed);
        let marker = Connection {
            local: SocketAddr::new(self.address_of("successor"), 9),
            remote: SocketAddr::new(self.client_address(), port),
        };
        injector.send(&frame(mac, self.successor().mac(), &Self::tcp(marker, ACK)));
        let of_successor = wait_some(SOON, "the answer to the second packet", || {
            let frames = self.lab.capture().frames(since);
            let frames = frames.iter().filter(|frame| frame.node == "successor");
            let seen: Vec<Seen> = frames.filter_map(Seen::read).collect();
            let answered = |seen: &Seen| matches!(seen.tcp, Some((9, to, _)) if to == port);
            seen.iter().any(answered).then_some(seen)
        });
        let sent = Seen::read(&crate::support::frame::Frame {
            at: since,
            node: String::new(),
            bytes: frame(mac, to, packet),
        })
        .unwrap();
        let mut fates = of_successor.iter().filter_map(|seen| self.judge(&sent, seen));
        let fate = fates.next().unwrap_or(Fate::Nothing);
        assert_eq!(fates.next(), None, "one packet, and two came out");
        fate
    }

    /// What a frame that came out says about the packet that went in, if it is about it.
    fn judge(&self, sent: &Seen, seen: &Seen) -> Option<Fate> {
        if (seen.source, seen.destination) == (sent.source, sent.destination) {
            let changed = Seen {
                destination_mac: seen.destination_mac,
                source_mac: self.successor().mac(),
                ttl: TTL - 1,
                ..sent.clone()
            };
            assert_eq!(*seen, changed, "forwarding changes MACs and TTL only");
            let node = ["client", "leaver", "third"].into_iter();
            let mut to = node.filter(|name| self.lab.node(name).mac() == seen.destination_mac);
            return Some(Fate::Forwarded(to.next().expect("sent to somebody")));
        }
        let (from, to, _) = sent.tcp?;
        match seen.tcp {
            Some((port, client, flags)) if (client, port, seen.source) == (from, to, sent.destination) => {
                Some(if flags & RST != 0 { Fate::Reset } else { Fate::Accepted })
                    .filter(|fate| *fate == Fate::Reset || flags & (SYN | ACK) == SYN | ACK)
            }
            _ => None,
        }
    }

    /// The table as `nft` lists it, without the elements of sets.
    pub(crate) fn listing(&self) -> String {
        let text = self.successor().ns.run("nft", &["--stateless", "--terse", "list", "ruleset"]);
        text.trim_end().to_owned()
    }
}
