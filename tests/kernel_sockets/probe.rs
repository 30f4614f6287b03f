//! Probe frames on the real kernel: they arrive, nothing else does, and nobody answers.

use crate::support::inject::Injector;
use crate::support::{Lab, Node, SOON};
use crate::{FAMILIES, eth0, index};
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::timeout;
use vrrpd::kernel::probe_socket::ProbeSocket;
use vrrpd::types::{Family, MacAddr};
use vrrpd::wire::{LONGEST_PROBE, PROBE_PORT, PROBE_SOURCE_IPV4, PROBE_SOURCE_IPV6, write_probe};

/// Runs this on the node, in a runtime of its own.
fn on<T: Send>(node: &Node, work: impl AsyncFnOnce() -> T + Send) -> T {
    node.ns.enter(|| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work())
    })
}

fn open(node: &Node, family: Family) -> ProbeSocket {
    ProbeSocket::open(eth0(), index(node), family).unwrap()
}

/// The address that probes are sent to: in IPv6 the link-local one, as packets are forwarded.
fn address(node: &Node, family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => node.v4().into(),
        Family::Ipv6 => node.link_local().into(),
    }
}

fn source(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => PROBE_SOURCE_IPV4.into(),
        Family::Ipv6 => PROBE_SOURCE_IPV6.into(),
    }
}

async fn received(socket: &ProbeSocket) -> Vec<Vec<u8>> {
    loop {
        timeout(SOON, socket.readable()).await.expect("in time").unwrap();
        match socket.receive() {
            Ok(payloads) if !payloads.is_empty() => return payloads,
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

/// The frames that a node sent to somebody at the probes' source, or by which it asked for it.
fn answers(lab: &Lab, node: &str, family: Family) -> usize {
    let octets = match source(family) {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let frames = lab.capture().frames(Duration::ZERO);
    let of_node = frames.iter().filter(|frame| frame.node == node);
    of_node.filter(|frame| frame.bytes.windows(octets.len()).any(|window| window == octets)).count()
}

#[test]
fn a_probe_arrives_and_nobody_answers_it() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    for family in FAMILIES {
        // Something listens where the probe goes, and the way back to its source is known.
        let to = address(fe1, family);
        let _discard = match family {
            Family::Ipv4 => Some(fe1.ns.enter(|| TcpListener::bind((to, PROBE_PORT)).unwrap())),
            Family::Ipv6 => None,
        };
        fe1.ns.ip(&match family {
            Family::Ipv4 => format!("route add default via {}", fe0.v4()),
            Family::Ipv6 => format!("route add default via {} dev eth0", fe0.link_local()),
        });
        let long = vec![7; LONGEST_PROBE];
        let macs = (MacAddr(fe0.mac()), MacAddr(fe1.mac()));
        let heard = on(fe1, async || {
            let hears = open(fe1, family);
            on(fe0, async || {
                let says = open(fe0, family);
                says.send(macs.0, macs.1, to, b"first").unwrap();
                says.send(macs.0, macs.1, to, &long).unwrap();
                let other = address(fe1, if family == Family::Ipv4 { Family::Ipv6 } else { Family::Ipv4 });
                for (address, payload) in [(to, vec![0; LONGEST_PROBE + 1]), (other, vec![])] {
                    let refused = says.send(macs.0, macs.1, address, &payload).unwrap_err();
                    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
                }
                // The sender does not hear itself.
                assert_eq!(says.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
            });
            let mut heard = received(&hears).await;
            while heard.len() < 2 {
                heard.extend(received(&hears).await);
            }
            assert_eq!(hears.receive().unwrap_err().kind(), ErrorKind::WouldBlock);
            heard
        });
        assert_eq!(heard, [b"first".to_vec(), long]);
        assert_eq!(answers(&lab, "fe0", family), 2, "the capture sees what is looked for");
        // A question that the node answers shows that it has handled everything before it.
        fe0.ns.run("ping", &["-c", "1", "-W", "5", &fe1.v4().to_string()]);
        assert_eq!(answers(&lab, "fe1", family), 0);
    }
}

/// Each differs from a probe in one respect.
#[test]
fn what_is_not_a_probe_does_not_arrive() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let (fe0, fe1) = (lab.node("fe0"), lab.node("fe1"));
    let injector = Injector::new(fe0);
    for family in FAMILIES {
        let (from, to) = (MacAddr(fe0.mac()), MacAddr(fe1.mac()));
        let frame = |to| write_probe(from, to, address(fe1, family), b"payload").unwrap();
        let header = match family {
            Family::Ipv4 => 14 + 20,
            Family::Ipv6 => 14 + 40,
        };
        let changed = |at: usize, octet: u8| {
            let mut octets = frame(to);
            assert_ne!(octets[at], octet);
            octets[at] = octet;
            octets
        };
        let (protocol, source) = match family {
            Family::Ipv4 => (14 + 9, 14 + 15),
            Family::Ipv6 => (14 + 6, 14 + 23),
        };
        let mut strangers = vec![
            changed(protocol, 17),
            changed(source, 99),
            changed(header + 1, 80),
            changed(header + 3, 80),
            changed(header + 13, 0x14),
            changed(header + 13, 0x02),
            changed(header + 12, 0x60),
            // To others, to all, and damaged on the way.
            frame(MacAddr([2, 0, 0, 0, 0, 99])),
            frame(MacAddr::BROADCAST),
            changed(header + 20, 0),
            // A tag of another VLAN.
            [&frame(to)[..12], &[0x81, 0, 0, 5], &frame(to)[12..]].concat(),
        ];
        if family == Family::Ipv4 {
            strangers.push(changed(14 + 6, 0x20));
            strangers.push(changed(14, 0x46));
        }
        let heard = on(fe1, async || {
            let hears = open(fe1, family);
            fe1.ns.ip("link set eth0 promisc on");
            for stranger in &strangers {
                injector.send(stranger);
            }
            injector.send(&frame(to));
            received(&hears).await
        });
        assert_eq!(heard, [b"payload".to_vec()]);
    }
}

#[test]
fn an_interface_that_is_not_there_is_said_by_name() {
    let lab = Lab::new(&["fe0"]);
    on(lab.node("fe0"), async || {
        for family in FAMILIES {
            let error = ProbeSocket::open(eth0(), 4711, family).unwrap_err();
            assert!(error.to_string().starts_with("eth0: cannot"), "{error}");
        }
    });
}
