//! What draining costs: the time until the rules are there, the time for a list of all connections, and
//! the time for which the rules hold up a packet of the taker's own connections.
//!
//! The rules are written by the module that the daemon uses, without the daemon around it.

use crate::cluster::lab;
use crate::crowd::{Crowd, CrowdServers};
use crate::measure::samples::milliseconds;
use crate::measure::{Samples, Table};
use crate::support::frame::ones_complement_sum;
use crate::support::inject::Injector;
use crate::support::lab::ip;
use crate::support::wait::now;
use crate::support::{Lab, Node, SOON, ms, wait_for};
use crate::traffic::ADDRESSES;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use vrrpd::kernel::connections;
use vrrpd::kernel::forwarding::{Arming, EarlierOwn, ForwardingSettings, ForwardingTable, Leaver};
use vrrpd::types::{Connection, Family, InstanceKey, MacAddr, Vrid};

/// How often the rules of each family are written.
const ARMINGS: usize = 500;
/// How many connections are listed, and how often.
const LISTED: usize = 10_000;
const LISTS: usize = 100;
/// What the times must stay below, in milliseconds.
const ARMING_GOAL: f64 = 2.0;
const LIST_GOAL: f64 = 50.0;
/// What the rules may cost a packet of the taker's own, in microseconds.
const PACKET_GOAL: f64 = 1.0;

/// How many batches of packets are sent in each state of the rules. The states take turns batch by batch,
/// so that what disturbs the machine disturbs all of them, and each batch is compared with the one
/// that was sent without rules a moment before.
const ROUNDS: usize = 800;
/// The taker's own connections, and the packets of a batch: one packet of each connection.
const OWN: u16 = 500;
/// The port to which the taker's own connections are open, and where the packets end.
const OWN_PORT: u16 = 80;

const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// Measures everything, and returns what missed its goal.
pub(crate) fn measure_costs() -> Vec<String> {
    let lab = lab(&["leaver", "taker", "bare", "listed", "switching"]);
    let addresses = "address add 192.0.2.50/24 dev eth0\naddress add 2001:db8::50/64 dev eth0 nodad";
    lab.node("leaver").ns.ip(addresses);
    [measure_arming(&lab), measure_lists(&lab), measure_packets(&lab)].concat()
}

fn measure_arming(lab: &Lab) -> Vec<String> {
    let (mut first, mut again) = (Samples::default(), Samples::default());
    let taker = lab.node("taker");
    for family in FAMILIES {
        let (key, arming) = (key(family), arming(lab, taker, family));
        let mut table = open(taker, ForwardingSettings::default());
        let arm = |table: &mut ForwardingTable, samples: &mut Samples| {
            let began = now();
            table.arm(key, &arming).expect("the rules");
            samples.push_duration(began.elapsed());
        };
        for _ in 0..ARMINGS {
            arm(&mut table, &mut first);
            table.disarm(key).expect("the rules go");
        }
        arm(&mut table, &mut Samples::default());
        let leaver = leaver(lab, family).address;
        table.replace(key, leaver, &connections_of(lab.node("client"), family, LISTED)).expect("a list");
        for _ in 0..ARMINGS {
            arm(&mut table, &mut again);
        }
    }
    let table = Table::new(
        "Arming: the rules of a virtual router are written",
        &["when                              ", "times", "p50 (ms)", "p99", "max"],
    );
    let mut missed = Vec::new();
    for (when, samples) in [("nothing was armed", first), ("again, with 10,000 connections listed", again)] {
        print_times(&table, when, &samples, ARMING_GOAL, &mut missed);
    }
    missed
}

/// Lists connections that are really open at the leaver, as the daemon does, and writes the list at
/// the taker.
fn measure_lists(lab: &Lab) -> Vec<String> {
    let (leaver_node, taker) = (lab.node("leaver"), lab.node("taker"));
    let _servers = CrowdServers::start(leaver_node, 0, LISTED);
    let _crowd = Crowd::open(lab.node("client"), LISTED);
    let mut table = open(taker, ForwardingSettings::default());
    for family in FAMILIES {
        table.arm(key(family), &arming(lab, taker, family)).expect("the rules");
    }
    let addresses: BTreeSet<IpAddr> = ADDRESSES.map(ip).into();
    let (mut read, mut written, mut both) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..LISTS {
        let (list, reading) = leaver_node.ns.enter(|| {
            let began = now();
            let list = connections::list(&addresses).expect("the connections of the leaver");
            (list.connections().collect::<Vec<_>>(), began.elapsed())
        });
        assert_eq!(list.len(), LISTED, "connections on the list");
        let began = now();
        let count: usize = FAMILIES
            .iter()
            .map(|family| table.replace(key(*family), leaver(lab, *family).address, &list).expect("a list"))
            .sum();
        let writing = began.elapsed();
        assert_eq!(count, LISTED, "connections in the kernel");
        read.push_duration(reading);
        written.push_duration(writing);
        both.push_duration(reading + writing);
    }
    let table = Table::new(
        "A list of 10,000 connections, half of them of each family",
        &["what                              ", "times", "p50 (ms)", "p99", "max"],
    );
    let mut missed = Vec::new();
    for (what, samples) in [("read at the leaver", read), ("written at the taker", written), ("both", both)] {
        print_times(&table, what, &samples, LIST_GOAL, &mut missed);
    }
    missed
}

/// Prints a row, and notes when the median misses the goal: where other programs run at the same time,
/// the highest figures say more about them.
fn print_times(table: &Table, what: &str, samples: &Samples, goal: f64, missed: &mut Vec<String>) {
    let [p50, p99, max] = [50, 99, 100].map(|percent| format!("{:.2}", samples.quantile(percent)));
    if samples.quantile(50) >= goal {
        missed.push(format!("{what}: {p50} ms, and the goal is {goal} ms"));
    }
    table.row(&[what.to_owned(), samples.count().to_string(), p50, p99, max]);
}

/// What the rules of a taker know while packets arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RuleState {
    /// There are none.
    Absent,
    /// The packets are to an address that nothing is armed for.
    OtherAddress,
    /// A list is there, and the address has switched.
    Listed,
    /// A list is there, and the address is switching.
    Switching,
}

impl RuleState {
    const ALL: [Self; 4] = [Self::Absent, Self::OtherAddress, Self::Listed, Self::Switching];

    const fn label(self) -> &'static str {
        match self {
            Self::Absent => "no rules",
            Self::OtherAddress => "to another address of the taker",
            Self::Listed => "10,000 connections are listed",
            Self::Switching => "the same in the first 6 s after a move",
        }
    }

    /// The node that is in this state.
    const fn node(self) -> &'static str {
        match self {
            Self::Absent => "bare",
            Self::OtherAddress | Self::Listed => "listed",
            Self::Switching => "switching",
        }
    }
}

/// Sends packets of the takers' own connections, and drops them at the takers just behind the place
/// where rules would be. The sender's kernel carries each packet that far before the call returns, so
/// that the time of the call contains what the rules take.
fn measure_packets(lab: &Lab) -> Vec<String> {
    let takers = ["bare", "listed", "switching"].map(|name| lab.node(name));
    for taker in takers {
        taker.ns.nft(&format!(
            "table inet sink {{\ncounter arrived {{\n}}\nchain ending {{\n\
             type filter hook prerouting priority -300\n\
             tcp dport {OWN_PORT} counter name arrived drop\n}}\n}}\n"
        ));
    }
    let injector = Injector::new(lab.node("client"));
    let table = Table::new(
        "What the rules cost a packet of the taker's own connections",
        &[
            "rules                                 ",
            "family",
            "packets",
            "each p50 (µs)",
            "more than without rules p50 (µs)",
            "p25",
            "p75",
        ],
    );
    let mut missed = Vec::new();
    for family in FAMILIES {
        let _rules = [
            arm_with_list(lab, lab.node("listed"), family, ms(1)),
            arm_with_list(lab, lab.node("switching"), family, Duration::from_secs(600)),
        ];
        let batches = RuleState::ALL.map(|state| frames(lab, family, state));
        let mut each = RuleState::ALL.map(|_| Vec::new());
        for _ in 0..ROUNDS {
            for (times, frames) in each.iter_mut().zip(&batches) {
                times.push(time_batch(&injector, frames));
            }
        }
        let [without, ..] = each.clone();
        for (state, times) in RuleState::ALL.into_iter().zip(each) {
            let more: Vec<f64> = times.iter().zip(&without).map(|(with, without)| with - without).collect();
            let more = Samples::from(more);
            let cells = [50, 25, 75].map(|percent| {
                if state == RuleState::Absent {
                    "–".to_owned()
                } else {
                    format!("{:.2}", more.quantile(percent))
                }
            });
            if more.quantile(50) >= PACKET_GOAL {
                let (what, median) = (state.label(), &cells[0]);
                missed.push(format!("{what} ({family}): {median} µs, and the goal is {PACKET_GOAL} µs"));
            }
            let packets = ROUNDS * usize::from(OWN);
            let p50 = format!("{:.2}", Samples::from(times).quantile(50));
            let head = [state.label().to_owned(), family.to_string(), packets.to_string(), p50];
            table.row(&[&head[..], &cells].concat());
        }
    }
    // Packets that waited somewhere were not measured, and neither were those that went elsewhere.
    let sent = FAMILIES.len() * RuleState::ALL.len() * ROUNDS * usize::from(OWN);
    wait_for(SOON, format!("all of {sent} packets have arrived"), || {
        takers.map(arrived).iter().sum::<usize>() == sent
    });
    missed
}

/// Writes the rules of a taker, for which the virtual address is switching for that long. They end with
/// their handle.
fn arm_with_list(lab: &Lab, taker: &Node, family: Family, switching_time: Duration) -> ForwardingTable {
    let long = Duration::from_secs(600);
    let settings =
        ForwardingSettings { switching_time, own_lifetime: long, list_lifetime: long, ..Default::default() };
    let mut table = open(taker, settings);
    let arming = Arming { own: own_connections(lab, family), ..arming(lab, taker, family) };
    table.arm(key(family), &arming).expect("the rules");
    let listed = connections_of(lab.node("client"), family, LISTED);
    table.replace(key(family), leaver(lab, family).address, &listed).expect("a list");
    table
}

/// Microseconds for each packet of a batch.
fn time_batch(injector: &Injector, frames: &[Vec<u8>]) -> f64 {
    let began = now();
    frames.iter().for_each(|frame| injector.send(frame));
    milliseconds(began.elapsed()) * 1e3 / f64::from(OWN)
}

fn arrived(taker: &Node) -> usize {
    let text = taker.ns.run("nft", &["--json", "list", "counter", "inet", "sink", "arrived"]);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON of nft");
    let all = json["nftables"].as_array().into_iter().flatten();
    let packets = all.filter_map(|one| one["counter"]["packets"].as_u64()).next();
    usize::try_from(packets.expect("a counter")).unwrap()
}

fn open(taker: &Node, settings: ForwardingSettings) -> ForwardingTable {
    taker.ns.enter(|| ForwardingTable::open(settings).expect("the table of rules"))
}

fn key(family: Family) -> InstanceKey {
    InstanceKey { interface: "eth0".parse().unwrap(), family, vrid: Vrid::new(51).unwrap() }
}

fn leaver(lab: &Lab, family: Family) -> Leaver {
    let node = lab.node("leaver");
    let address = match family {
        Family::Ipv4 => node.v4().into(),
        Family::Ipv6 => node.link_local().into(),
    };
    Leaver { address, mac: MacAddr(node.mac()) }
}

/// The taker takes over from the leaver, which is alive.
fn arming(lab: &Lab, taker: &Node, family: Family) -> Arming {
    let index = taker.ns.enter(|| nix::net::if_::if_nametoindex("eth0").unwrap());
    let leaver = leaver(lab, family);
    Arming {
        interface: "eth0".parse().unwrap(),
        index,
        addresses: [virtual_address(family)].into(),
        last: Some(leaver),
        leavers: vec![leaver],
        own: Vec::new(),
        earlier: EarlierOwn::Stays,
    }
}

fn virtual_address(family: Family) -> IpAddr {
    let [v4, v6] = ADDRESSES.map(ip);
    match family {
        Family::Ipv4 => v4,
        Family::Ipv6 => v6,
    }
}

fn address_of(node: &Node, family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => node.v4().into(),
        Family::Ipv6 => node.v6().into(),
    }
}

/// Connections of a client, none of which is the taker's own.
fn connections_of(client: &Node, family: Family, count: usize) -> Vec<Connection> {
    let local = SocketAddr::new(virtual_address(family), OWN_PORT + 1);
    let remote = |port| SocketAddr::new(address_of(client, family), port);
    (10_000..).take(count).map(|port| Connection { local, remote: remote(port) }).collect()
}

/// The taker's own connections.
fn own_connections(lab: &Lab, family: Family) -> Vec<Connection> {
    let local = SocketAddr::new(virtual_address(family), OWN_PORT);
    let remote = |port| SocketAddr::new(address_of(lab.node("client"), family), port);
    (30_000..30_000 + OWN).map(|port| Connection { local, remote: remote(port) }).collect()
}

/// A frame with an acknowledgement for each of the taker's own connections, to the node that is in this
/// state.
fn frames(lab: &Lab, family: Family, state: RuleState) -> Vec<Vec<u8>> {
    let (client, taker) = (lab.node("client"), lab.node(state.node()));
    let destination = match state {
        RuleState::OtherAddress => address_of(taker, family),
        RuleState::Absent | RuleState::Listed | RuleState::Switching => virtual_address(family),
    };
    let frame = |own: Connection| {
        let tcp = acknowledgement(own);
        let (ethertype, ip) = match (own.remote.ip(), destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let mut header = vec![0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0];
                header.extend(from.octets());
                header.extend(to.octets());
                let sum = !ones_complement_sum(&[&header]);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                ([0x08, 0x00], header)
            }
            (from, to) => {
                let mut header = vec![0x60, 0, 0, 0, 0, 20, 6, 64];
                for address in [from, to] {
                    let IpAddr::V6(address) = address else { unreachable!("of one family") };
                    header.extend(address.octets());
                }
                ([0x86, 0xdd], header)
            }
        };
        [&taker.mac()[..], &client.mac(), &ethertype, &ip, &tcp].concat()
    };
    own_connections(lab, family).into_iter().map(frame).collect()
}

/// Nobody looks at its checksum before it is dropped.
fn acknowledgement(connection: Connection) -> Vec<u8> {
    let ports = [connection.remote.port(), connection.local.port()].map(u16::to_be_bytes).concat();
    [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]].concat()
}
