//! The UDP sockets of the channel between nodes: a datagram reaches the others on the link, and its TTL
//! is told. What is sent to the group reaches its members only.

use crate::support::{Lab, Node, SOON};
use crate::{FAMILIES, eth0, index, source};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use tokio::runtime::Builder;
use tokio::time::timeout;
use vrrpd::kernel::channel_socket::{ChannelDatagram, ChannelSocket};
use vrrpd::kernel::membership::GroupMembership;
use vrrpd::types::Family;

const PORT: u16 = 9651;

/// Runs this on the node, in a runtime of its own.
fn on<T: Send>(node: &Node, work: impl AsyncFnOnce() -> T + Send) -> T {
    node.ns.enter(|| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work())
    })
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(SOON, work).await.expect("in time")
}

fn open(node: &Node, family: Family) -> ChannelSocket {
    ChannelSocket::open(eth0(), index(node), family, PORT, GroupMembership::Joined).unwrap()
}

/// The next datagrams.
async fn received(socket: &ChannelSocket) -> Vec<ChannelDatagram> {
    loop {
        soon(socket.readable()).await.unwrap();
        match socket.receive() {
            Ok(datagrams) if !datagrams.is_empty() => return datagrams,
            Ok(_) | Err(_) => {}
        }
    }
}

fn from(source: IpAddr, octets: &[u8]) -> ChannelDatagram {
    ChannelDatagram { source, ttl: 255, octets: octets.to_vec() }
}

#[test]
fn a_datagram_to_the_group_and_one_to_a_node_arrive_with_their_source() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    for family in FAMILIES {
        on(fe1, async || {
            let hears = open(fe1, family);
            on(fe0, async || {
                let says = open(fe0, family);
                says.send(source(fe0, family), family.group(), b"to all").unwrap();
                says.send(source(fe0, family), source(fe1, family), b"to one").unwrap();
            });
            let mut heard = received(&hears).await;
            while heard.len() < 2 {
                heard.extend(received(&hears).await);
            }
            assert_eq!(heard, [from(source(fe0, family), b"to all"), from(source(fe0, family), b"to one")]);
        });
    }
}

#[test]
fn a_datagram_is_told_with_its_ttl_and_one_that_is_too_long_is_left_out() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    on(fe1, async || {
        let hears = open(fe1, Family::Ipv4);
        fe0.ns.enter(|| {
            let stranger = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            let send = |octets: &[u8]| stranger.send_to(octets, (fe1.v4(), PORT)).unwrap();
            send(&[0; 2_049]);
            for ttl in [1, 254, 255] {
                stranger.set_ttl(ttl).unwrap();
                send(b"here");
            }
        });
        let mut heard = received(&hears).await;
        while heard.len() < 3 {
            heard.extend(received(&hears).await);
        }
        let with = |ttl| ChannelDatagram { ttl, ..from(fe0.v4().into(), b"here") };
        assert_eq!(heard, [with(1), with(254), with(255)]);
    });
}

/// Where all nodes are listed, nobody hears what is sent to the group.
#[test]
fn only_a_member_hears_the_group_and_membership_can_change() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let memberships = || fe1.ns.run("ip", &["maddress", "show", "dev", "eth0"]);
    for (family, group) in FAMILIES.into_iter().zip(["224.0.0.18", "ff02::12"]) {
        on(fe1, async || {
            let hears = ChannelSocket::open(eth0(), index(fe1), family, PORT, GroupMembership::None).unwrap();
            let says = |octets: &[u8], to| {
                on(fe0, async || open(fe0, family).send(source(fe0, family), to, octets).unwrap());
            };
            assert!(!memberships().contains(group));
            says(b"unheard", family.group());
            says(b"to one", source(fe1, family));
            assert_eq!(received(&hears).await, [from(source(fe0, family), b"to one")]);
            hears.change_membership(GroupMembership::Joined).unwrap();
            says(b"to all", family.group());
            assert_eq!(received(&hears).await, [from(source(fe0, family), b"to all")]);
            hears.change_membership(GroupMembership::None).unwrap();
            assert!(!memberships().contains(group));
        });
    }
}

#[test]
fn a_port_that_another_program_has_is_told() {
    let lab = Lab::new(&["fe0"]);
    let fe0 = lab.node("fe0");
    on(fe0, async || {
        let _other = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
        let refused =
            ChannelSocket::open(eth0(), index(fe0), Family::Ipv4, PORT, GroupMembership::Joined).unwrap_err();
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(
            refused.to_string().contains("to its port") && cause.contains("in use"),
            "{refused}: {cause}"
        );
    });
}
