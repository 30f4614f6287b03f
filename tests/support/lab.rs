//! A LAN: a bridge in a namespace of its own, and nodes on it with one interface `eth0` each.

use super::capture::Capture;
use super::namespace::Ns;
use super::process::Process;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Host part of the first node's address: the first node is `192.0.2.10`, the next `.11`, and so
/// on.
const FIRST: u8 = 10;

/// One LAN, a capture of all frames on it, and a directory that is removed with it.
pub(crate) struct Lab {
    switch: Ns,
    nodes: Vec<Node>,
    capture: Capture,
    dir: TempDir,
}

/// One machine on the LAN, with the management addresses `192.0.2.N/24`, `fe80::N/64` and
/// `2001:db8::N/64`.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) ns: Ns,
    number: u8,
    dir: PathBuf,
}

/// A direction on a node's cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    FromNode,
    ToNode,
}

impl Lab {
    /// A LAN with these nodes, all of them reachable. Every frame on it is captured.
    pub(crate) fn new(names: &[&str]) -> Self {
        Self::captured(names, Capture::start)
    }

    /// A LAN without a capture, for tests that measure what a packet costs.
    pub(crate) fn unwatched(names: &[&str]) -> Self {
        Self::captured(names, |_| Capture::off())
    }

    /// A LAN on which only frames of one IPv4 source are captured, for floods.
    pub(crate) fn watching(source: Ipv4Addr, names: &[&str]) -> Self {
        Self::captured(names, |switch| Capture::of_source(switch, source))
    }

    fn captured(names: &[&str], capture: impl FnOnce(&Ns) -> Capture) -> Self {
        // /run is private to the test binary (netns-scripts/in-userns), and its path is short
        // enough for the name of a socket.
        let mut builder = tempfile::Builder::new();
        // All users can read it, because peers and checks run as users of their own.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let dir = builder.prefix("lab.").permissions(open).tempdir_in("/run").expect("a directory in /run");
        let switch = Ns::new();
        switch.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set br0 up");
        let nodes: Vec<Node> = (FIRST..)
            .zip(names)
            .map(|(number, name)| {
                let dir = dir.path().join(name);
                std::fs::create_dir(&dir).expect("a directory of the node");
                Node { name: (*name).to_owned(), ns: Ns::new(), number, dir }
            })
            .collect();
        let capture = capture(&switch);
        let lab = Self { switch, nodes, capture, dir };
        for node in &lab.nodes {
            lab.plug(node);
        }
        lab
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        self.nodes.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no node {name}"))
    }

    /// A directory that is removed with the LAN.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The namespace of the bridge `br0`, for machines that are not a [`Node`].
    pub(crate) fn switch(&self) -> &Ns {
        &self.switch
    }

    /// All frames of all nodes, as they entered the switch.
    pub(crate) fn capture(&self) -> &Capture {
        &self.capture
    }

    /// Gives the node a new `eth0` on the LAN, with its management addresses.
    pub(crate) fn plug(&self, node: &Node) {
        let port = node.port();
        self.switch.cable(&port, &node.ns, "eth0");
        self.capture.name_port(&self.switch, &port, &node.name);
        node.ns.ip(&format!(
            "link set eth0 address 02:00:00:00:00:{:02x} addrgenmode none\nlink set eth0 up",
            node.number
        ));
        // Linux ignores an announcement within a second of the last change of an entry, but tests
        // move addresses faster than any operator.
        node.ns.ip("ntable change name arp_cache dev eth0 locktime 0\n\
             ntable change name ndisc_cache dev eth0 locktime 0");
        node.configure("eth0");
        self.switch.ip(&format!("link set {port} addrgenmode none master br0 up"));
        super::wait_for(super::SOON, format!("{} has carrier", node.name), || {
            node.link("eth0")["operstate"] == "UP"
        });
    }

    /// Blocks all frames from and to the node, without a change of carrier.
    pub(crate) fn cut(&self, node: &Node) {
        self.switch.ip(&format!("link set {} nomaster", node.port()));
    }

    /// Undoes [`Lab::cut`].
    pub(crate) fn heal(&self, node: &Node) {
        self.switch.ip(&format!("link set {} master br0", node.port()));
    }

    /// The node's interface loses its carrier.
    pub(crate) fn carrier_down(&self, node: &Node) {
        self.switch.ip(&format!("link set {} down", node.port()));
    }

    /// Undoes [`Lab::carrier_down`].
    pub(crate) fn carrier_up(&self, node: &Node) {
        self.switch.ip(&format!("link set {} up", node.port()));
    }

    /// Drops this share of the frames that go in this direction on the node's cable, at random and
    /// without a change of carrier. The capture still shows what the node sends.
    pub(crate) fn lose(&self, node: &Node, way: Way, percent: u8) {
        let port = node.port();
        let hook = match way {
            Way::FromNode => "ingress",
            Way::ToNode => "egress",
        };
        let some = if percent < 100 { format!("numgen random mod 100 < {percent} ") } else { String::new() };
        self.switch.nft(&format!(
            "table netdev {port}-{hook} {{\nchain frames {{\ntype filter hook {hook} device \"{port}\" priority 0\n\
             {some}drop\n}}\n}}\n",
        ));
    }

    /// Undoes [`Lab::lose`].
    pub(crate) fn lose_no_more(&self, node: &Node, way: Way) {
        let hook = match way {
            Way::FromNode => "ingress",
            Way::ToNode => "egress",
        };
        self.switch.nft(&format!("delete table netdev {}-{hook}", node.port()));
    }

    /// Drops this share of the advertisements that the node sends, at random. The capture still
    /// shows them.
    pub(crate) fn lose_adverts_of(&self, node: &Node, percent: u8) {
        let port = node.port();
        // nft refuses a comparison that is always true.
        let some = if percent < 100 { format!("numgen random mod 100 < {percent}") } else { String::new() };
        let drop = |header: &str| format!("{header} 112 {some} drop");
        self.switch.nft(&format!(
            "table netdev {port} {{\nchain in {{\ntype filter hook ingress device \"{port}\" priority 0\n{}\n{}\n}}\n}}\n",
            drop("ip protocol"),
            drop("ip6 nexthdr"),
        ));
    }

    /// Undoes [`Lab::lose_adverts_of`].
    pub(crate) fn lose_nothing_of(&self, node: &Node) {
        self.switch.nft(&format!("delete table netdev {}", node.port()));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("test").replace("::", "-");
        let pcap = kept.join(format!("{test}.pcap"));
        match self.capture.write_pcap(&pcap) {
            Ok(count) => eprintln!("---- {count} frames captured on the LAN: {} ----", pcap.display()),
            Err(error) => eprintln!("---- no capture at {}: {error} ----", pcap.display()),
        }
        for node in &self.nodes {
            eprintln!("---- ip address of {} ----\n{}", node.name, node.ns.run("ip", &["address"]));
        }
    }
}

impl Node {
    /// The node's port on the switch.
    fn port(&self) -> String {
        format!("p-{}", self.name)
    }

    /// Gives an interface the management addresses, which are lost with the interface or its link
    /// state.
    pub(crate) fn configure(&self, interface: &str) {
        self.ns.ip(&format!(
            "address replace {}/24 broadcast + dev {interface}\n\
             address replace {}/64 dev {interface} nodad\n\
             address replace {}/64 dev {interface} nodad",
            self.v4(),
            self.link_local(),
            self.v6(),
        ));
    }

    pub(crate) fn v4(&self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.number)
    }

    pub(crate) fn link_local(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, self.number.into())
    }

    pub(crate) fn v6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, self.number.into())
    }

    pub(crate) fn mac(&self) -> [u8; 6] {
        [2, 0, 0, 0, 0, self.number]
    }

    /// A directory of the node, with a short path.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Starts a process on the node.
    pub(crate) fn spawn(&self, name: &str, command: &mut Command) -> Process {
        Process::start(&self.ns, &self.dir, &format!("{}-{name}", self.name), command)
    }

    /// `ip -json link show` of one interface; null if there is no such interface.
    pub(crate) fn link(&self, interface: &str) -> Value {
        let all: Value = serde_json::from_str(&self.ns.run("ip", &["-json", "link"])).expect("ip -json");
        let named = |link: &&Value| link["ifname"] == interface;
        all.as_array().and_then(|links| links.iter().find(named)).cloned().unwrap_or(Value::Null)
    }

    /// Every address on any interface, including the management addresses.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let all: Value = serde_json::from_str(&self.ns.run("ip", &["-json", "address"])).expect("ip -json");
        let infos = all.as_array().into_iter().flatten().filter_map(|link| link["addr_info"].as_array());
        infos.flatten().filter_map(|info| info["local"].as_str()?.parse().ok()).collect()
    }

    /// Whether the node holds this address.
    pub(crate) fn has(&self, address: &str) -> bool {
        self.addresses().contains(&ip(address))
    }
}

/// Parses an address.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}
