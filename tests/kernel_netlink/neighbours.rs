//! The MAC addresses of neighbours: those that the kernel knows, and those that it looks for.

use crate::host::{ETH0, Host};
use crate::support::wait::now;
use crate::support::{SOON, ms, wait_for};
use std::net::IpAddr;
use vrrpd::kernel::neighbour::{self, NeighbourError};
use vrrpd::types::MacAddr;

/// A host whose neighbour has the addresses 192.0.2.11 and 2001:db8::11.
fn with_neighbour() -> Host {
    let host = Host::new();
    host.ns.ip("address add 2001:db8::10/64 dev eth0 nodad");
    host.far.ip("address add 192.0.2.11/24 dev eth0\naddress add 2001:db8::11/64 dev eth0 nodad");
    host
}

fn far_mac(host: &Host) -> MacAddr {
    let shown = host.far.run("ip", &["-br", "link", "show", "dev", ETH0]);
    shown.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or_else(|| panic!("{shown}"))
}

fn known(host: &Host, address: IpAddr) -> Option<MacAddr> {
    let index = host.index(ETH0);
    host.ns.enter(|| neighbour::known(index, address).unwrap())
}

#[test]
fn a_neighbour_is_looked_for_once_and_then_known() {
    let host = with_neighbour();
    let (index, mac) = (host.index(ETH0), far_mac(&host));
    for address in ["192.0.2.11", "2001:db8::11"] {
        let address = address.parse().unwrap();
        assert_eq!(known(&host, address), None);
        for _ in 0..2 {
            assert_eq!(host.ns.enter(|| neighbour::resolve(index, address, SOON).unwrap()), mac);
            assert_eq!(known(&host, address), Some(mac));
        }
    }
}

#[test]
fn what_an_operator_entered_is_known_without_a_question() {
    let host = with_neighbour();
    host.ns.ip("neighbour add 192.0.2.99 lladdr 02:00:00:00:00:99 dev eth0");
    let (index, address) = (host.index(ETH0), "192.0.2.99".parse().unwrap());
    let mac = host.ns.enter(|| neighbour::resolve(index, address, SOON).unwrap());
    assert_eq!((mac.to_string().as_str(), known(&host, address)), ("02:00:00:00:00:99", Some(mac)));
}

#[test]
fn a_neighbour_that_appears_while_it_is_looked_for_is_found() {
    let host = with_neighbour();
    host.ns.sysctl("ipv4/neigh/eth0/mcast_solicit", "1000");
    host.ns.sysctl("ipv4/neigh/eth0/retrans_time_ms", "20");
    let (index, address) = (host.index(ETH0), "192.0.2.12".parse().unwrap());
    let found = std::thread::scope(|scope| {
        let looking = scope.spawn(|| host.ns.enter(|| neighbour::resolve(index, address, SOON)));
        wait_for(SOON, "the kernel looks for it", || {
            host.ns.run("ip", &["neighbour", "show", "dev", ETH0]).contains("192.0.2.12 INCOMPLETE")
        });
        assert_eq!(known(&host, address), None);
        host.far.ip("address add 192.0.2.12/24 dev eth0");
        looking.join().unwrap()
    });
    assert_eq!(found.unwrap(), far_mac(&host));
}

#[test]
fn nobody_is_waited_for_longer_than_the_kernel_looks_or_the_limit() {
    let host = with_neighbour();
    let index = host.index(ETH0);
    for address in ["192.0.2.77", "2001:db8::77"] {
        let address: IpAddr = address.parse().unwrap();
        let start = now();
        let nobody = host.ns.enter(|| neighbour::resolve(index, address, ms(50)).unwrap_err());
        assert!(matches!(nobody, NeighbourError::NoAnswer(_)), "{nobody}");
        assert_eq!(nobody.to_string(), format!("no host on the link answers for {address}"));
        assert!(start.elapsed() >= ms(50));
    }
    // The kernel sends one question, and gives up after 20 ms. Then it begins again, because it is asked
    // again.
    host.ns.sysctl("ipv4/neigh/eth0/mcast_solicit", "1");
    host.ns.sysctl("ipv4/neigh/eth0/retrans_time_ms", "20");
    for _ in 0..2 {
        let start = now();
        let address = "192.0.2.78".parse().unwrap();
        let nobody = host.ns.enter(|| neighbour::resolve(index, address, SOON).unwrap_err());
        assert!(matches!(nobody, NeighbourError::NoAnswer(_)), "{nobody}");
        assert!(start.elapsed() < SOON);
    }
    host.far.ip("address add 192.0.2.78/24 dev eth0");
    let found = host.ns.enter(|| neighbour::resolve(index, "192.0.2.78".parse().unwrap(), SOON));
    assert_eq!(found.unwrap(), far_mac(&host));
}

#[test]
fn an_interface_that_does_not_exist_is_a_refusal() {
    let host = with_neighbour();
    let address = "192.0.2.11".parse().unwrap();
    let refused = host.ns.enter(|| neighbour::resolve(9_999, address, SOON).unwrap_err());
    assert!(matches!(refused, NeighbourError::Refused(..)), "{refused}");
    assert!(
        refused.to_string().starts_with("the kernel refuses to look for the MAC address of 192.0.2.11: ")
    );
}
