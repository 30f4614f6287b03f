//! docs/keepalived.md, carried out: a pair moves from keepalived to vrrpd and back, while a client
//! counts lost requests. It is done in version 3, and in version 2 with a password, each with the group
//! and with listed nodes.

use super::support::frame::Advert;
use super::support::peers::{keepalived_nodes, keepalived_password, keepalived_with};
use super::support::prober::Responder;
use super::support::process::Process;
use super::support::{Config, Daemon, Lab, Prober, Router, SOON, wait_for};
use super::wait_alone;
use std::time::Duration;

const VIP: &str = "192.0.2.50";
const VIP6: &str = "2001:db8::50";
const LISTED: &[&str] = &["192.0.2.50/24", "fe80::50/64", "2001:db8::50/64"];
const PASSWORD: &str = "secret";
/// The addresses of `fe0` and `fe1`, the first two nodes of the lab, in each family.
const NODES: [[&str; 2]; 2] = [["192.0.2.10", "192.0.2.11"], ["2001:db8::a", "2001:db8::b"]];

/// What both machines speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Version3,
    /// Version 2 with a password in IPv4; in IPv6 there is version 3 only.
    Version2,
}

/// To whom both machines speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpokenTo {
    Group,
    /// To each other, as both have it in their files.
    Nodes,
}

impl SpokenTo {
    /// What an instance of keepalived has for it on a node, in the family of `nodes`.
    fn theirs(self, name: &str, nodes: [&str; 2]) -> String {
        let [fe0, fe1] = nodes;
        match (self, name) {
            (Self::Group, _) => String::new(),
            (Self::Nodes, "fe0") => keepalived_nodes(fe0, &[fe1.to_owned()]),
            (Self::Nodes, _) => keepalived_nodes(fe1, &[fe0.to_owned()]),
        }
    }
}

impl Spoken {
    /// keepalived's configuration of both families with one VRID, one instance each.
    fn theirs(self, to: SpokenTo, name: &str, priority: u8) -> String {
        let [nodes4, nodes6] = NODES.map(|nodes| to.theirs(name, nodes));
        let instance = |family: &str, rest: &str, addresses: &str| {
            format!(
                "vrrp_instance {family} {{\n  state BACKUP\n  interface eth0\n  virtual_router_id 51\n  \
                 priority {priority}\n  advert_int 1\n{rest}  virtual_ipaddress {{\n    {addresses}\n  }}\n}}\n"
            )
        };
        let (version, password) = match self {
            Self::Version3 => (3, String::new()),
            Self::Version2 => (2, keepalived_password(PASSWORD)),
        };
        format!(
            "global_defs {{\n  vrrp_version {version}\n}}\n{}{}",
            instance("v4", &format!("{password}{nodes4}"), "192.0.2.50/24"),
            instance("v6", &nodes6, "fe80::50/64\n    2001:db8::50/64")
        )
    }

    fn ours(self, to: SpokenTo, priority: u8) -> Config {
        let router = Router::new("web").priority(priority).interval("1s").addresses(LISTED);
        let router = match to {
            SpokenTo::Group => router,
            SpokenTo::Nodes => router.key("unicast_peers", &format!("{:?}", NODES.concat())),
        };
        Config::of(&match self {
            Self::Version3 => router,
            Self::Version2 => router.key("version", "2").key("password", &format!("{PASSWORD:?}")),
        })
    }

    fn number(self) -> u8 {
        match self {
            Self::Version3 => 3,
            Self::Version2 => 2,
        }
    }
}

fn keepalived(lab: &Lab, name: &str, (spoken, to): (Spoken, SpokenTo), priority: u8) -> Process {
    keepalived_with(lab.node(name), &spoken.theirs(to, name, priority))
}

fn holds(lab: &Lab, name: &str) -> bool {
    [VIP, VIP6].iter().all(|address| lab.node(name).has(address))
}

/// Requests are always answered by a router that serves; what keepalived loses by announcing IPv6
/// too early is not counted.
fn assert_nothing_lost(lab: &Lab, probers: [Prober; 2], taker: &str, since: Duration) {
    for (prober, address) in probers.into_iter().zip([VIP, VIP6]) {
        let report = prober.finish();
        let theirs = report.announced_too_early_since(since, lab, lab.node(taker), address);
        eprintln!("{address}: {} of {} requests lost, {theirs} by keepalived", report.lost, report.sent);
        assert!(address == VIP6 || theirs == 0, "{theirs} of {report:?}");
        assert!(report.lost <= theirs, "{theirs} of {report:?}");
    }
}

fn ask(lab: &Lab, name: &str) -> [Prober; 2] {
    let probers = [VIP, VIP6].map(|address| Prober::start(lab.node("client"), address, 1000));
    probers.iter().for_each(|prober| prober.wait_answer_of(lab.node(name)));
    probers
}

fn there_and_back(spoken: Spoken, to: SpokenTo) {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let _services: Vec<_> = ["fe0", "fe1"]
        .iter()
        .flat_map(|name| [VIP, VIP6].map(|address| Responder::start(lab.node(name), address)))
        .collect();
    let mut theirs0 = keepalived(&lab, "fe0", (spoken, to), 150);
    wait_for(SOON, "the pair of keepalived serves", || holds(&lab, "fe0"));
    let mut theirs1 = keepalived(&lab, "fe1", (spoken, to), 100);
    wait_alone(&lab, "fe0", "fe1");

    let there = ask(&lab, "fe0");
    theirs1.terminate();
    let mut ours1 = Daemon::start(lab.node("fe1"), &spoken.ours(to, 200));
    ours1.wait_state("web", "active");
    there.iter().for_each(|prober| prober.wait_answer_of(lab.node("fe1")));
    wait_alone(&lab, "fe1", "fe0");
    theirs0.terminate();
    let mut ours0 = Daemon::start(lab.node("fe0"), &spoken.ours(to, 150));
    ours0.wait_state("web", "backup");
    ours1.write_config(spoken.ours(to, 100).text());
    assert_eq!(ours1.ctl(&["reload"]).code, 0);
    ours0.wait_state("web", "active");
    ours1.wait_state("web", "backup");
    there.iter().for_each(|prober| prober.wait_answer_of(lab.node("fe0")));
    there.iter().for_each(Prober::wait_some_answers);
    assert_nothing_lost(&lab, there, "fe0", Duration::ZERO);

    let back = ask(&lab, "fe0");
    ours1.terminate();
    let backups = |theirs: &Process| theirs.log().matches("Entering BACKUP STATE").count();
    // The next run appends to the same log.
    let earlier = backups(&theirs1);
    theirs1 = keepalived(&lab, "fe1", (spoken, to), 100);
    // keepalived has to receive already, because a demotion would find no successor before that.
    wait_for(SOON, "keepalived runs in both families", || backups(&theirs1) >= earlier + 2);
    let demoted = lab.capture().now();
    assert_eq!(ours0.ctl(&["demote", "--all", "--reason", "rollback"]).code, 0);
    back.iter().for_each(|prober| prober.wait_answer_of(lab.node("fe1")));
    ours0.terminate();
    back.iter().for_each(Prober::wait_some_answers);
    assert_nothing_lost(&lab, back, "fe1", demoted);
    assert!(holds(&lab, "fe1") && !lab.node("fe0").has(VIP));

    let to_group = |advert: &Advert| advert.destination.is_multicast() == (to == SpokenTo::Group);
    assert!(lab.capture().adverts(Duration::ZERO).iter().all(to_group), "{to:?} is kept throughout");
    let spoken_in_ipv4 = lab.capture().adverts(Duration::ZERO).into_iter().filter(|one| one.source.is_ipv4());
    assert!(spoken_in_ipv4.map(|advert| advert.version).all(|version| version == spoken.number()));
}

#[test]
fn moving_from_keepalived_and_back_loses_no_request() {
    there_and_back(Spoken::Version3, SpokenTo::Group);
}

#[test]
fn moving_from_keepalived_with_a_password_and_back_loses_no_request() {
    there_and_back(Spoken::Version2, SpokenTo::Group);
}

#[test]
fn moving_from_keepalived_without_multicast_and_back_loses_no_request() {
    there_and_back(Spoken::Version3, SpokenTo::Nodes);
}

#[test]
fn moving_from_keepalived_without_multicast_with_a_password_and_back_loses_no_request() {
    there_and_back(Spoken::Version2, SpokenTo::Nodes);
}
