//! Other implementations of VRRP on a node: the distribution's keepalived and FRR. They must be
//! installed, and need real root (they look for users of their own); if a peer is missing, the test
//! fails.

use super::lab::Node;
use super::process::{Process, finish};
use nix::unistd::Pid;
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The configuration of a peer, as far as all implementations have it.
#[derive(Debug, Clone)]
pub(crate) struct PeerRouter {
    pub(crate) vrid: u8,
    pub(crate) priority: u8,
    pub(crate) interval_ms: u32,
    pub(crate) preempt: PeerPreempt,
    pub(crate) version: PeerVersion,
    pub(crate) addresses: Vec<&'static str>,
    pub(crate) sent_to: PeerSentTo,
}

/// Where a peer sends its advertisements to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PeerSentTo {
    Group,
    /// To these nodes, from an address of its own. FRR cannot do that.
    Nodes {
        source: String,
        others: Vec<String>,
    },
}

/// The version of VRRP that a peer speaks in IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerVersion {
    V3,
    /// VRRPv2, with a password or without one. FRR has no passwords.
    V2(Option<&'static str>),
}

/// The Preempt_Mode of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerPreempt {
    Yes,
    No,
}

impl PeerRouter {
    /// VRID 51, preempting, in version 3. Only FRR can have addresses of both families here.
    pub(crate) fn new(priority: u8, interval_ms: u32, addresses: &[&'static str]) -> Self {
        let (preempt, version) = (PeerPreempt::Yes, PeerVersion::V3);
        let (addresses, sent_to) = (addresses.to_vec(), PeerSentTo::Group);
        Self { vrid: 51, priority, interval_ms, preempt, version, addresses, sent_to }
    }

    /// It sends from `source` to `others` only.
    pub(crate) fn unicast(self, source: &str, others: &[&str]) -> Self {
        let others = others.iter().map(|&other| other.to_owned()).collect();
        Self { sent_to: PeerSentTo::Nodes { source: source.to_owned(), others }, ..self }
    }

    /// In version 2, with this password if there is one.
    pub(crate) fn version2(self, password: Option<&'static str>) -> Self {
        Self { version: PeerVersion::V2(password), ..self }
    }

    pub(crate) fn nopreempt(self) -> Self {
        Self { preempt: PeerPreempt::No, ..self }
    }

    /// The addresses of one family.
    fn of_family(&self, is_wanted: fn(&str) -> bool) -> impl Iterator<Item = &'static str> {
        self.addresses.iter().copied().filter(move |address| is_wanted(address))
    }
}

impl PeerVersion {
    const fn number(self) -> u8 {
        match self {
            Self::V3 => 3,
            Self::V2(_) => 2,
        }
    }
}

/// Starts keepalived with VRRP only.
pub(crate) fn keepalived(node: &Node, router: &PeerRouter) -> Process {
    start_keepalived(node, &keepalived_config(router), &["--log-detail"])
}

/// Starts keepalived with this configuration. It logs as little as possible, so that its log costs
/// it no time.
pub(crate) fn keepalived_with(node: &Node, text: &str) -> Process {
    start_keepalived(node, text, &[])
}

fn start_keepalived(node: &Node, text: &str, options: &[&str]) -> Process {
    let dir = node.dir();
    let config = dir.join("keepalived.conf");
    std::fs::write(&config, text).expect("writing keepalived.conf");
    let mut command = Command::new("keepalived");
    command.args(["--dont-fork", "--log-console"]).args(options).args(["--vrrp", "--use-file"]).arg(&config);
    command.arg("--pid").arg(dir.join("keepalived.pid"));
    command.arg("--vrrp_pid").arg(dir.join("keepalived-vrrp.pid"));
    node.spawn("keepalived", &mut command)
}

fn keepalived_config(router: &PeerRouter) -> String {
    let version = router.version.number();
    let mut text = format!(
        "global_defs {{\n  vrrp_version {version}\n}}\nvrrp_instance peer {{\n  state BACKUP\n  interface eth0\n"
    );
    let interval = f64::from(router.interval_ms) / 1000.0;
    let _ = writeln!(text, "  virtual_router_id {}\n  priority {}", router.vrid, router.priority);
    let _ = writeln!(text, "  advert_int {interval}");
    if router.preempt == PeerPreempt::No {
        text.push_str("  nopreempt\n");
    }
    if let PeerVersion::V2(Some(password)) = router.version {
        text.push_str(&keepalived_password(password));
    }
    if let PeerSentTo::Nodes { source, others } = &router.sent_to {
        text.push_str(&keepalived_nodes(source, others));
    }
    let _ = writeln!(text, "  virtual_ipaddress {{\n    {}\n  }}\n}}", router.addresses.join("\n    "));
    text
}

/// The part of an instance of keepalived that gives it a password.
pub(crate) fn keepalived_password(password: &str) -> String {
    format!("  authentication {{\n    auth_type PASS\n    auth_pass {password}\n  }}\n")
}

/// The part of an instance of keepalived that makes it send from `source` to `others` only. In IPv6
/// keepalived sends with the kernel's Hop Limit of 64 unless it is told otherwise.
pub(crate) fn keepalived_nodes(source: &str, others: &[String]) -> String {
    let others = others.join("\n    ");
    format!("  unicast_ttl 255\n  unicast_src_ip {source}\n  unicast_peer {{\n    {others}\n  }}\n")
}

/// FRR's zebra and vrrpd, with the macvlans that vrrpd expects to find.
pub(crate) struct Frr {
    vrrpd: Process,
    /// Declared after vrrpd, so that it ends later, and vrrpd can still set the macvlans down.
    zebra: Process,
}

impl Frr {
    /// The names of the macvlans for IPv4 and for IPv6.
    pub(crate) const INTERFACES: [&str; 2] = ["vrrp4", "vrrp6"];

    pub(crate) fn start(node: &Node, router: &PeerRouter) -> Self {
        let dir = &frr_directory(node);
        // Otherwise eth0 answers ARP for what is configured on the macvlan, on a Backup too.
        node.ns.sysctl("ipv4/conf/all/arp_ignore", "1");
        macvlans(node, router);
        let zebra_config = dir.join("zebra.conf");
        std::fs::write(&zebra_config, "hostname peer\n").expect("writing zebra.conf");
        std::fs::write(dir.join("vrrpd.conf"), frr_config(router)).expect("writing vrrpd.conf");
        let zebra = node.spawn("zebra", &mut frr_command("zebra", dir, &zebra_config));
        super::wait_for(super::SOON, "zebra listens", || dir.join("zserv.api").exists());
        Self { vrrpd: start_frr_router(node, dir), zebra }
    }

    pub(crate) fn vrrpd_pid(&self) -> Pid {
        self.vrrpd.pid()
    }

    /// Whether it is Active for each family that it has addresses of.
    pub(crate) fn is_active(&self, node: &Node) -> bool {
        let mut command = Command::new("vtysh");
        command.arg("--vty_socket").arg(node.dir().join("frr")).args(["-d", "vrrpd", "-c", "show vrrp json"]);
        // Until vrrpd listens, there is no answer.
        let (_, said, _) = finish(&node.ns, super::SOON, &mut command);
        let said: Value = serde_json::from_str(&said).unwrap_or_default();
        let families = ["v4", "v6"].iter().map(|family| &said[0][family]);
        let mut serving = families.filter(|family| family["addresses"][0].is_string()).peekable();
        serving.peek().is_some() && serving.all(|family| family["status"] == "Master")
    }

    /// Ends vrrpd in an orderly way, in which it resigns.
    pub(crate) fn terminate(&mut self) {
        self.stop_router();
        self.zebra.terminate();
    }

    /// As [`Frr::terminate`], but zebra goes on.
    pub(crate) fn stop_router(&mut self) {
        self.vrrpd.terminate();
    }

    /// Starts vrrpd after [`Frr::stop_router`], on the same node.
    pub(crate) fn start_router_again(&mut self, node: &Node) {
        self.vrrpd = start_frr_router(node, &node.dir().join("frr"));
    }
}

fn start_frr_router(node: &Node, dir: &Path) -> Process {
    node.spawn("frr-vrrpd", &mut frr_command("vrrpd", dir, &dir.join("vrrpd.conf")))
}

/// A directory in which FRR's own user may make its sockets.
fn frr_directory(node: &Node) -> PathBuf {
    let dir = node.dir().join("frr");
    std::fs::create_dir(&dir).expect("a directory for FRR");
    let user =
        nix::unistd::User::from_name("frr").expect("the user database").expect("FRR's user: install frr");
    std::os::unix::fs::chown(&dir, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
        .expect("giving it to FRR");
    dir
}

fn frr_command(daemon: &str, dir: &Path, config: &Path) -> Command {
    let mut command = Command::new(format!("/usr/lib/frr/{daemon}"));
    command.args(["--user", "frr", "--group", "frr", "--log", "stdout", "--log-level", "debug"]);
    command.arg("--vty_socket").arg(dir).arg("--config_file").arg(config);
    command.arg("--pid_file").arg(dir.join(format!("{daemon}.pid")));
    command.arg("--socket").arg(dir.join("zserv.api"));
    command
}

/// Puts the virtual addresses of each family on a macvlan with the virtual MAC address, by which vrrpd
/// finds the macvlan.
fn macvlans(node: &Node, router: &PeerRouter) {
    // Duplicate Address Detection would delay the first advertisement, and does not matter here.
    node.ns.sysctl("ipv6/conf/default/accept_dad", "0");
    let [v4, v6] = Frr::INTERFACES;
    macvlan(node, v4, 1, "none", router.vrid, router.of_family(is_ipv4));
    macvlan(node, v6, 2, "random", router.vrid, router.of_family(is_ipv6));
}

fn macvlan(
    node: &Node,
    name: &str,
    family: u8,
    mode: &str,
    vrid: u8,
    addresses: impl Iterator<Item = &'static str>,
) {
    let mut addresses = addresses.peekable();
    if addresses.peek().is_none() {
        return;
    }
    let mut lines = format!(
        "link add {name} link eth0 type macvlan mode bridge\n\
         link set {name} address 00:00:5e:00:{family:02x}:{vrid:02x} addrgenmode {mode}\n"
    );
    for address in addresses {
        let _ = writeln!(lines, "address add {address} dev {name}");
    }
    let _ = writeln!(lines, "link set {name} up");
    node.ns.ip(&lines);
}

fn is_ipv4(address: &str) -> bool {
    !is_ipv6(address)
}

fn is_ipv6(address: &str) -> bool {
    address.contains(':')
}

fn frr_config(router: &PeerRouter) -> String {
    assert_eq!(router.sent_to, PeerSentTo::Group, "FRR sends to the group only");
    let vrid = router.vrid;
    let version = router.version.number();
    let mut text =
        format!("hostname peer\ndebug vrrp protocol\ninterface eth0\n vrrp {vrid} version {version}\n");
    let _ = writeln!(text, " vrrp {vrid} priority {}", router.priority);
    let _ = writeln!(text, " vrrp {vrid} advertisement-interval {}", router.interval_ms);
    if router.preempt == PeerPreempt::No {
        let _ = writeln!(text, " no vrrp {vrid} preempt");
    }
    for address in &router.addresses {
        let family = if is_ipv6(address) { "ipv6" } else { "ip" };
        let bare = address.split('/').next().unwrap_or(address);
        let _ = writeln!(text, " vrrp {vrid} {family} {bare}");
    }
    text
}
