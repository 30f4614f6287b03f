//! The implementations that are compared, all started with the same parameters.

use crate::support::peers::{Frr, PeerRouter, keepalived, keepalived_with};
use crate::support::process::Process;
use crate::support::{Config, Daemon, Node, Router};
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
    /// vrrpd in VRRPv2, with a password.
    Vrrpd2,
    /// keepalived in VRRPv2, which is its default, with a password.
    Keepalived2,
}

/// The password of the pairs in VRRPv2.
const PASSWORD: &str = "secret";

/// A running implementation, which ends with its handle.
pub(crate) enum Rival {
    Vrrpd(Daemon),
    Keepalived(Process),
    Frr(Frr),
}

impl Kind {
    /// Starts one router, VRID 51, named `web` if it can have a name, with [`ADDRESS`].
    pub(crate) fn start(self, node: &Node, priority: u8, interval_ms: u32) -> Rival {
        let peer = PeerRouter::new(priority, interval_ms, ADDRESSES);
        match self {
            Self::Vrrpd | Self::Vrrpd2 => {
                Rival::Vrrpd(Daemon::start(node, &Config::of(&self.beside_it(ours(priority, interval_ms)))))
            }
            Self::Keepalived2 => Rival::Keepalived(keepalived(node, &peer.version2(Some(PASSWORD)))),
            Self::Keepalived => Rival::Keepalived(keepalived(node, &peer)),
            Self::KeepalivedNopreempt => Rival::Keepalived(keepalived(node, &peer.nopreempt())),
            Self::Frr => Rival::Frr(Frr::start(node, &peer)),
        }
    }

    /// Our router, with the version that this implementation speaks.
    pub(crate) fn beside_it(self, ours: Router) -> Router {
        match self {
            Self::Vrrpd2 | Self::Keepalived2 => {
                ours.key("version", "2").key("password", &format!("{PASSWORD:?}"))
            }
            Self::Vrrpd | Self::Keepalived | Self::KeepalivedNopreempt | Self::Frr => ours,
        }
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
            Self::Vrrpd2 => "vrrpd, VRRPv2",
            Self::Keepalived2 => "keepalived, VRRPv2",
        })
    }
}

/// Our own router for [`ADDRESS`].
pub(crate) fn ours(priority: u8, interval_ms: u32) -> Router {
    Router::new("web").priority(priority).interval(&format!("{interval_ms}ms")).addresses(ADDRESSES)
}

/// Starts many routers with one address each, VRIDs 1 to `count`; of vrrpd or of keepalived.
pub(crate) fn start_many(kind: Kind, node: &Node, count: u8, priority: u8, interval_ms: u32) -> Rival {
    let address = |vrid: u8| format!("198.51.100.{vrid}/32");
    match kind {
        Kind::Vrrpd => {
            let config = (1..=count).fold(Config::new(), |config, vrid| {
                let router = Router::new(&format!("r{vrid}")).vrid(vrid).priority(priority);
                config.with(&router.interval(&format!("{interval_ms}ms")).addresses(&[&address(vrid)]))
            });
            Rival::Vrrpd(Daemon::start(node, &config))
        }
        Kind::Keepalived => {
            let instance = |vrid| keepalived_instance(vrid, priority, interval_ms, &[address(vrid)], &[]);
            let text: String = (1..=count).map(instance).collect();
            Rival::Keepalived(keepalived_with(node, &(keepalived_head() + &text)))
        }
        Kind::KeepalivedNopreempt | Kind::Frr | Kind::Vrrpd2 | Kind::Keepalived2 => {
            unreachable!("FRR wants an interface for each, and another version costs the same: not measured")
        }
    }
}

/// Whether this is an address of [`start_many`].
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
        Kind::KeepalivedNopreempt | Kind::Frr | Kind::Vrrpd2 | Kind::Keepalived2 => {
            unreachable!("FRR has no excluded addresses, and another version costs the same")
        }
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
