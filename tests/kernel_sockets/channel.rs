//! The UDP sockets of the channel between nodes: a datagram reaches the others on the link, and one
//! from beyond the link reaches nobody.

use crate::support::{Lab, Node, SOON};
use crate::{FAMILIES, eth0, index, source};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use tokio::runtime::Builder;
use tokio::time::timeout;
use vrrpd::kernel::channel_socket::{ChannelDatagram, ChannelSocket};
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
    ChannelSocket::open(eth0(), index(node), family, PORT).unwrap()
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
    ChannelDatagram { source, octets: octets.to_vec() }
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
fn a_datagram_with_another_ttl_or_of_another_length_is_left_out() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    on(fe1, async || {
        let hears = open(fe1, Family::Ipv4);
        fe0.ns.enter(|| {
            let stranger = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            let send = |octets: &[u8]| stranger.send_to(octets, (fe1.v4(), PORT)).unwrap();
            for ttl in [1, 64, 254] {
                stranger.set_ttl(ttl).unwrap();
                send(b"from beyond the link");
            }
            stranger.set_ttl(255).unwrap();
            send(&[0; 2_049]);
            send(b"from the link");
        });
        assert_eq!(received(&hears).await, [from(fe0.v4().into(), b"from the link")]);
    });
}

#[test]
fn a_port_that_another_program_has_is_told() {
    let lab = Lab::new(&["fe0"]);
    let fe0 = lab.node("fe0");
    on(fe0, async || {
        let _other = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).unwrap();
        let refused = ChannelSocket::open(eth0(), index(fe0), Family::Ipv4, PORT).unwrap_err();
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(
            refused.to_string().contains("to its port") && cause.contains("in use"),
            "{refused}: {cause}"
        );
    });
}
