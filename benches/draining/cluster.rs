//! Nodes with vrrpd, or with another implementation, whose addresses move again and again.

use crate::frontend::Frontend;
use crate::measure::rivals::Kind;
use crate::support::peers::{Frr, PeerRouter, keepalived_with};
use crate::support::process::Process;
use crate::support::wait::Ticker;
use crate::support::{Config, Daemon, Lab, Node, Router, SOON, ms, wait_for};
use crate::traffic::{ADDRESSES, Tally, Traffic};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// The time between the begins of two moves. A promotion at intervals of a second takes 3.4 s, and
/// hosts may switch until 5 s after a move: the next one begins before that.
const MOVE_EVERY: Duration = ms(4000);
/// How long nodes take to prove the path between them, on a busy machine.
const PROVEN: Duration = Duration::from_secs(60);

/// The value of `drain` with which connections are not kept.
pub(crate) const OFF: &str = "0s";

/// A LAN with these nodes and a client. No frame is captured, because that costs time.
pub(crate) fn lab(names: &[&str]) -> Lab {
    Lab::unwatched(&[names, &["client"]].concat())
}

/// Nodes with vrrpd and services on each, and a client. The first one is preferred, and serves.
pub(crate) struct Cluster {
    daemons: Vec<Daemon>,
    drain: String,
    _frontends: Vec<Frontend>,
    lab: Lab,
}

impl Cluster {
    pub(crate) fn start(names: &[&str], drain: &str) -> Self {
        Self::on(lab(names), names, drain)
    }

    pub(crate) fn on(lab: Lab, names: &[&str], drain: &str) -> Self {
        let frontends =
            (0..).zip(names).map(|(number, name)| Frontend::start(lab.node(name), number)).collect();
        let daemons = daemons(&lab, names, drain);
        Self { daemons, drain: drain.to_owned(), _frontends: frontends, lab }
    }

    /// Moves the addresses from each node to the next one, and from the last to the first.
    pub(crate) fn measure(self, moves: usize, rate: usize) -> Tally {
        let mut traffic = Traffic::start(self.lab.node("client"), rate);
        let last = self.daemons.len() - 1;
        let (mut at, mut ticker) = (0, Ticker::new(MOVE_EVERY));
        for _ in 0..moves {
            ticker.tick();
            traffic.begin_move();
            let next = if at == last { 0 } else { at + 1 };
            if at == last {
                // Those that come back serve nothing until the first one does.
                for back in &self.daemons[..last] {
                    assert_eq!(back.ctl(&["promote", "web"]).code, 0, "a promotion");
                }
            } else {
                traffic.note_handover(demote(&self.daemons[at]));
            }
            self.daemons[next].wait_state("web", "active");
            at = next;
            traffic.go_on_after_move();
        }
        let tally = traffic.finish();
        if self.drain != OFF && !tally.is_whole() {
            // Without a reason in the logs, nobody would find out what happened.
            for daemon in &self.daemons {
                eprintln!("---- log of {} ----\n{}", daemon.node().name, daemon.log());
            }
        }
        tally
    }
}

/// Has a daemon hand over, and returns how many milliseconds that took.
pub(crate) fn demote(daemon: &Daemon) -> f64 {
    let answer = daemon.ctl(&["demote", "web", "--no-wait"]);
    let result = &answer.json["results"][0];
    assert_eq!(result["outcome"], "handed_over", "{answer:?}");
    result["handover_ms"].as_f64().expect("a duration")
}

/// Starts the daemons, and waits until each could leave its connections to each other one.
pub(crate) fn daemons(lab: &Lab, names: &[&str], drain: &str) -> Vec<Daemon> {
    let daemons: Vec<Daemon> = names
        .iter()
        .zip([200, 150, 100])
        .map(|(name, priority)| {
            let node = lab.node(name);
            let key = node.dir().join("peer.key");
            std::fs::write(&key, [b'k'; 32]).expect("writing a key");
            std::fs::set_permissions(&key, Permissions::from_mode(0o640)).expect("its permissions");
            let key = key.to_str().expect("a readable path");
            let router =
                Router::new("web").priority(priority).interval("1s").key("drain", &format!("{drain:?}"));
            let router = router.addresses(&["192.0.2.50/24", "2001:db8::50/64"]);
            Daemon::start(
                node,
                &Config::new().agent(&[("node_name", name), ("peer_key_file", key)]).with(&router),
            )
        })
        .collect();
    daemons[0].wait_state("web", "active");
    daemons[1..].iter().for_each(|daemon| daemon.wait_state("web", "backup"));
    wait_for(PROVEN, "the nodes know each other", || daemons[0].instance("web", "ipv4")["redundant"] == true);
    if drain != OFF {
        wait_for(PROVEN, "the paths between the nodes are proven", || {
            daemons.iter().all(|daemon| {
                ["ipv4", "ipv6"].iter().all(|family| {
                    let partners = daemon.instance("web", family)["drain_partners"].as_array().map(Vec::len);
                    partners == Some(names.len() - 1)
                })
            })
        });
    }
    daemons
}

/// Two nodes with another implementation, which can leave only by its end.
pub(crate) struct RivalPair {
    first: RivalNode,
    second: RivalNode,
    _frontends: [Frontend; 2],
    lab: Lab,
}

impl RivalPair {
    pub(crate) fn start(kind: Kind) -> Self {
        let lab = lab(&["fe0", "fe1"]);
        let frontends = [Frontend::start(lab.node("fe0"), 0), Frontend::start(lab.node("fe1"), 1)];
        let first = RivalNode::start(kind, lab.node("fe0"), 200);
        first.wait_active();
        let second = RivalNode::start(kind, lab.node("fe1"), 100);
        Self { first, second, _frontends: frontends, lab }
    }

    /// Ends the first one and starts it again, again and again.
    pub(crate) fn measure(mut self, moves: usize, rate: usize) -> Tally {
        let mut traffic = Traffic::start(self.lab.node("client"), rate);
        let mut ticker = Ticker::new(MOVE_EVERY);
        for number in 0..moves {
            ticker.tick();
            traffic.begin_move();
            if number % 2 == 0 {
                self.first.stop();
                self.second.wait_serves();
            } else {
                self.first.start_again();
                self.first.wait_serves();
            }
            traffic.go_on_after_move();
        }
        traffic.finish()
    }
}

/// A node with another implementation, for both families.
struct RivalNode {
    node: Node,
    priority: u8,
    running: RunningRival,
}

enum RunningRival {
    Keepalived(Process),
    Frr(Frr),
}

impl RivalNode {
    fn start(kind: Kind, node: &Node, priority: u8) -> Self {
        let running = match kind {
            Kind::Keepalived => RunningRival::Keepalived(start_keepalived(node, priority)),
            Kind::Frr => {
                let addresses = ["192.0.2.50/24", "2001:db8::50/64"];
                RunningRival::Frr(Frr::start(node, &PeerRouter::new(priority, 1000, &addresses)))
            }
            Kind::Vrrpd | Kind::KeepalivedNopreempt => {
                unreachable!("{kind} does not come back by itself")
            }
        };
        Self { node: node.clone(), priority, running }
    }

    /// Ends it in an orderly way, in which it resigns.
    fn stop(&mut self) {
        match &mut self.running {
            RunningRival::Keepalived(process) => drop(process.terminate()),
            RunningRival::Frr(frr) => frr.stop_router(),
        }
    }

    fn start_again(&mut self) {
        match &mut self.running {
            RunningRival::Keepalived(process) => *process = start_keepalived(&self.node, self.priority),
            RunningRival::Frr(frr) => frr.start_router_again(&self.node),
        }
    }

    /// Waits until it serves for the first time. The interfaces of FRR are up before FRR has started.
    fn wait_active(&self) {
        if let RunningRival::Frr(frr) = &self.running {
            wait_for(SOON, format!("FRR on {} is Active", self.node.name), || frr.is_active(&self.node));
        }
        self.wait_serves();
    }

    fn wait_serves(&self) {
        wait_for(SOON, format!("{} has taken over", self.node.name), || match &self.running {
            RunningRival::Keepalived(_) => ADDRESSES.iter().all(|address| self.node.has(address)),
            // The addresses are always there, on interfaces that are up on the Active.
            RunningRival::Frr(_) => {
                Frr::INTERFACES.iter().all(|name| self.node.link(name)["operstate"] == "UP")
            }
        });
    }
}

fn start_keepalived(node: &Node, priority: u8) -> Process {
    let instance = |name: &str, addresses: &str| {
        format!(
            "vrrp_instance {name} {{\n  state BACKUP\n  interface eth0\n  virtual_router_id 51\n  \
             priority {priority}\n  advert_int 1\n  virtual_ipaddress {{\n    {addresses}\n  }}\n}}\n"
        )
    };
    let (v4, v6) = (instance("v4", "192.0.2.50/24"), instance("v6", "fe80::50/64\n    2001:db8::50/64"));
    keepalived_with(node, &format!("global_defs {{\n  vrrp_version 3\n}}\n{v4}{v6}"))
}
