//! The implementations that are compared, all started with the same parameters.

use crate::support::peers::{Frr, PeerRouter, keepalived, keepalived_nodes, keepalived_with};
use crate::support::process::Process;
use crate::support::{Config, Daemon, Lab, Node, Router};
use nix::unistd::Pid;
use std::fmt::Write;
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

/// The virtual address of the measurements with one address.
pub(crate) const ADDRESS: &str = "192.0.2.50";
const ADDRESSES: &[&str] = &["192.0.2.50/24"];

/// The implementations of VRRP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Vrrpd,
    Keepalived,
    KeepalivedNopreempt,
    Frr,
}

/// How the nodes of a pair speak to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// VRRPv3 to the multicast group.
    Version3,
    /// VRRPv2, keepalived's default, to the multicast group; with a password, if the other
    /// implementation has passwords.
    Version2,
    /// VRRPv3 to listed nodes.
    Unicast,
}

/// An implementation as the other half of a pair with us, or of a pair of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opponent {
    pub(crate) kind: Kind,
    pub(crate) dialect: Dialect,
}

/// A node, and the other one of its pair.
#[derive(Clone, Copy)]
pub(crate) struct Seat<'a> {
    pub(crate) node: &'a Node,
    pub(crate) other: &'a Node,
}

impl<'a> Seat<'a> {
    /// The node of this name in a lab, and the other one of its pair.
    pub(crate) fn of(lab: &'a Lab, node: &str, other: &str) -> Self {
        Self { node: lab.node(node), other: lab.node(other) }
    }
}

/// The password of the pairs in VRRPv2.
const PASSWORD: &str = "secret";

/// A running implementation, which ends with its handle.
pub(crate) enum Rival {
    Vrrpd(Daemon),
    Keepalived(Process),
    Frr(Frr),
}

impl Opponent {
    /// Starts one router, VRID 51, named `web` if it can have a name, with [`ADDRESS`].
    pub(crate) fn start(self, seat: Seat<'_>, priority: u8, interval_ms: u32) -> Rival {
        let peer = PeerRouter::new(priority, interval_ms, ADDRESSES);
        let peer = match self.dialect {
            Dialect::Version3 => peer,
            Dialect::Version2 => peer.version2(self.password()),
            Dialect::Unicast => {
                let [own, other] = [seat.node, seat.other].map(|node| node.v4().to_string());
                peer.unicast(&own, &[&other])
            }
        };
        match self.kind {
            Kind::Vrrpd => Rival::Vrrpd(Daemon::start(
                seat.node,
                &Config::of(&self.beside_it(seat, priority, interval_ms)),
            )),
            Kind::Keepalived => Rival::Keepalived(keepalived(seat.node, &peer)),
            Kind::KeepalivedNopreempt => Rival::Keepalived(keepalived(seat.node, &peer.nopreempt())),
            Kind::Frr => Rival::Frr(Frr::start(seat.node, &peer)),
        }
    }

    /// Our own router on a node, as it must speak beside this implementation.
    pub(crate) fn beside_it(self, seat: Seat<'_>, priority: u8, interval_ms: u32) -> Router {
        let ours = ours(priority, interval_ms);
        match self.dialect {
            Dialect::Version3 => ours,
            Dialect::Version2 => {
                let ours = ours.key("version", "2");
                self.password()
                    .map_or(ours.clone(), |password| ours.key("password", &format!("{password:?}")))
            }
            Dialect::Unicast => {
                let nodes = [seat.node, seat.other].map(|node| node.v4().to_string());
                ours.key("unicast_peers", &format!("{nodes:?}"))
            }
        }
    }

    /// FRR has no passwords.
    const fn password(self) -> Option<&'static str> {
        match self.kind {
            Kind::Vrrpd | Kind::Keepalived | Kind::KeepalivedNopreempt => Some(PASSWORD),
            Kind::Frr => None,
        }
    }
}

impl From<Kind> for Opponent {
    fn from(kind: Kind) -> Self {
        Self { kind, dialect: Dialect::Version3 }
    }
}

impl Rival {
    /// The process that was started.
    pub(crate) fn pid(&self) -> Pid {
        match self {
            Self::Vrrpd(daemon) => daemon.pid(),
            Self::Keepalived(process) => process.pid(),
            Self::Frr(frr) => frr.vrrpd_pid(),
        }
    }

    /// Ends the process in an orderly way.
    pub(crate) fn terminate(mut self) {
        match &mut self {
            Self::Vrrpd(daemon) => drop(daemon.terminate()),
            Self::Keepalived(process) => drop(process.terminate()),
            Self::Frr(frr) => frr.terminate(),
        }
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vrrpd => "vrrpd",
            Self::Keepalived => "keepalived",
            Self::KeepalivedNopreempt => "keepalived, nopreempt",
            Self::Frr => "FRR",
        })
    }
}

impl Display for Opponent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.dialect {
            Dialect::Version3 => write!(f, "{}", self.kind),
            Dialect::Version2 => write!(f, "{}, VRRPv2", self.kind),
            Dialect::Unicast => write!(f, "{}, unicast", self.kind),
        }
    }
}

/// Our own router for [`ADDRESS`].
pub(crate) fn ours(priority: u8, interval_ms: u32) -> Router {
    Router::new("web").priority(priority).interval(&format!("{interval_ms}ms")).addresses(ADDRESSES)
}

/// Many routers with one address each, VRIDs 1 to `count`; of vrrpd or of keepalived, in VRRPv3.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ManyRouters {
    pub(crate) opponent: Opponent,
    pub(crate) count: u8,
    pub(crate) interval_ms: u32,
}

impl ManyRouters {
    /// Starts them on a node. In unicast all of `nodes` are listed: vrrpd leaves itself out.
    pub(crate) fn start(self, node: &Node, nodes: &[&Node], priority: u8) -> Rival {
        let Self { opponent: Opponent { kind, dialect }, count, interval_ms } = self;
        let address = |vrid: u8| format!("198.51.100.{vrid}/32");
        let listed = match dialect {
            Dialect::Version3 => None,
            Dialect::Unicast => Some(nodes.iter().map(|node| node.v4().to_string())),
            Dialect::Version2 => unreachable!("another version costs the same: not measured"),
        };
        let listed: Option<Vec<String>> = listed.map(Iterator::collect);
        match kind {
            Kind::Vrrpd => {
                let config = (1..=count).fold(Config::new(), |config, vrid| {
                    let router = Router::new(&format!("r{vrid}")).vrid(vrid).priority(priority);
                    let router = router.interval(&format!("{interval_ms}ms")).addresses(&[&address(vrid)]);
                    config.with(&match &listed {
                        Some(nodes) => router.key("unicast_peers", &format!("{nodes:?}")),
                        None => router,
                    })
                });
                Rival::Vrrpd(Daemon::start(node, &config))
            }
            Kind::Keepalived => {
                let own = node.v4().to_string();
                let peers = listed.map(|nodes| {
                    let others: Vec<_> = nodes.into_iter().filter(|other| *other != own).collect();
                    keepalived_nodes(&own, &others)
                });
                let peers = peers.unwrap_or_default();
                let instance = |vrid| {
                    let text = keepalived_instance(vrid, priority, interval_ms, &[address(vrid)], &[]);
                    text.replacen("  virtual_ipaddress", &format!("{peers}  virtual_ipaddress"), 1)
                };
                let text: String = (1..=count).map(instance).collect();
                Rival::Keepalived(keepalived_with(node, &(keepalived_head() + &text)))
            }
            Kind::KeepalivedNopreempt | Kind::Frr => {
                unreachable!("FRR wants an interface for each router: not measured")
            }
        }
    }
}

/// Whether this is an address of [`ManyRouters`].
pub(crate) fn is_one_of_many(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.octets().starts_with(&[198, 51, 100]))
}

/// Starts one router with many addresses; of vrrpd or of keepalived.
pub(crate) fn start_large(kind: Kind, node: &Node, advertised: &[String], excluded: &[String]) -> Rival {
    match kind {
        Kind::Vrrpd => {
            let router = ours(200, 100).key("addresses", &format!("{advertised:?}"));
            let router = router.key("excluded_addresses", &format!("{excluded:?}"));
            Rival::Vrrpd(Daemon::start(node, &Config::of(&router)))
        }
        Kind::Keepalived => {
            let instance = keepalived_instance(51, 200, 100, advertised, excluded);
            Rival::Keepalived(keepalived_with(node, &(keepalived_head() + &instance)))
        }
        Kind::KeepalivedNopreempt | Kind::Frr => unreachable!("FRR has no excluded addresses"),
    }
}

/// The part of keepalived's configuration that makes it use version 3.
fn keepalived_head() -> String {
    "global_defs {\n  vrrp_version 3\n}\n".to_owned()
}

/// The configuration of one instance of keepalived on `eth0`.
fn keepalived_instance(
    vrid: u8,
    priority: u8,
    interval_ms: u32,
    addresses: &[String],
    excluded: &[String],
) -> String {
    let mut text = format!("vrrp_instance r{vrid} {{\n  state BACKUP\n  interface eth0\n");
    let interval = f64::from(interval_ms) / 1000.0;
    let _ = writeln!(text, "  virtual_router_id {vrid}\n  priority {priority}\n  advert_int {interval}");
    let _ = writeln!(text, "  virtual_ipaddress {{\n    {}\n  }}", addresses.join("\n    "));
    if !excluded.is_empty() {
        let _ = writeln!(text, "  virtual_ipaddress_excluded {{\n    {}\n  }}", excluded.join("\n    "));
    }
    text.push_str("}\n");
    text
}
