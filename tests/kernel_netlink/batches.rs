//! The netlink socket: what an address of ours looks like, and what the kernel refuses.

use crate::host::{ETH0, Host};
use crate::support::{SOON, wait_for};
use nix::errno::Errno;
use vrrpd::kernel::address::{ObservedAddress, Origin, Readiness};
use vrrpd::kernel::netlink::AdminState;
use vrrpd::kernel::resources::Operation;
use vrrpd::kernel::resources::address::AddressOperation;

const NETS: [&str; 4] = ["192.0.2.50/24", "198.51.100.50/32", "2001:db8::50/64", "fe80::50/64"];

fn removal(address: ObservedAddress) -> Operation {
    AddressOperation::Remove(address).into()
}

fn adds(index: u32) -> Vec<Operation> {
    NETS.iter().map(|net| AddressOperation::Add { index, net: net.parse().unwrap() }.into()).collect()
}

// RFC9568-7.4-2, RFC9568-6.4.3-2
#[test]
fn addresses_of_ours_are_tagged_skip_duplicate_detection_and_go_again() {
    let host = Host::new();
    let mut netlink = host.netlink();
    let results = netlink.apply(&adds(host.index(ETH0))).unwrap();
    assert_eq!(results, vec![Ok(()); 4]);
    let ours: Vec<_> = host.observed().into_iter().filter(|a| a.origin == Origin::Ours).collect();
    assert_eq!(ours.len(), 4, "{ours:?}");
    assert!(ours.iter().all(|a| a.readiness == Readiness::Ready && a.index == host.index(ETH0)), "{ours:?}");
    assert_eq!(host.ours(), NETS);
    let joined = || host.ns.run("ip", &["maddress", "show", "dev", ETH0]).contains("ff02::1:ff00:50");
    wait_for(SOON, "the solicited-node group is joined", joined);
    let removals: Vec<_> = ours.into_iter().map(removal).collect();
    assert_eq!(netlink.apply(&removals).unwrap(), vec![Ok(()); 4]);
    assert_eq!(host.ours(), Vec::<String>::new());
    wait_for(SOON, "the solicited-node group is left", || !joined());
    assert_eq!(host.foreign(), ["192.0.2.10/24"]);
}

// RFC9568-7.4-2
#[test]
fn an_ipv6_address_of_ours_is_never_the_source_of_a_connection() {
    let host = Host::new();
    host.netlink().apply(&adds(host.index(ETH0))).unwrap();
    host.ns.ip("address add 2001:db8::10/64 dev eth0 nodad");
    let route = host.ns.run("ip", &["-6", "route", "get", "2001:db8::99"]);
    assert!(route.contains("src 2001:db8::10"), "{route}");
    let shown = host.ns.run("ip", &["-6", "address", "show", "to", "2001:db8::50"]);
    assert!(
        shown.contains("deprecated") && shown.contains("nodad") && shown.contains("preferred_lft 0sec"),
        "{shown}"
    );
}

#[test]
fn what_is_there_already_is_added_and_what_is_gone_already_is_removed() {
    let host = Host::new();
    let mut netlink = host.netlink();
    let adds = adds(host.index(ETH0));
    assert_eq!(netlink.apply(&adds).unwrap(), vec![Ok(()); 4]);
    assert_eq!(netlink.apply(&adds).unwrap(), vec![Ok(()); 4]);
    let ours = host.observed().into_iter().filter(|a| a.origin == Origin::Ours);
    let removals: Vec<_> = ours.map(removal).collect();
    assert_eq!(netlink.apply(&removals).unwrap(), vec![Ok(()); 4]);
    assert_eq!(netlink.apply(&removals).unwrap(), vec![Ok(()); 4]);
    host.ns.ip("link delete eth0");
    assert_eq!(netlink.apply(&removals).unwrap(), vec![Ok(()); 4]);
}

#[test]
fn a_refusal_has_the_kernels_text_and_does_not_stop_the_batch() {
    let host = Host::new();
    let mut operations = adds(9999);
    operations.extend(adds(host.index(ETH0)));
    let results = host.netlink().apply(&operations).unwrap();
    assert_eq!(results.len(), 8);
    for refused in &results[..4] {
        let refusal = refused.as_ref().unwrap_err();
        assert_eq!(refusal.errno, Errno::ENODEV);
        assert!(refusal.to_string().contains("evice"), "{refusal}");
    }
    let text = results[0].as_ref().unwrap_err().text.as_deref();
    assert!(text.is_some_and(|text| text.starts_with("ipv4: ")), "{text:?}");
    assert_eq!(results[4..], vec![Ok(()); 4]);
    assert_eq!(host.ours(), NETS);
}

#[test]
fn the_state_of_a_link_is_known() {
    let host = Host::new();
    let mut netlink = host.netlink();
    let index = host.index(ETH0);
    assert_eq!(netlink.link_state(index).unwrap(), AdminState::Up);
    host.ns.ip("link set eth0 down");
    assert_eq!(netlink.link_state(index).unwrap(), AdminState::Down);
    host.ns.ip("link delete eth0");
    assert_eq!(netlink.link_state(index).unwrap(), AdminState::Missing);
}

#[test]
fn a_point_to_point_address_of_another_program_can_be_removed() {
    let host = Host::new();
    host.ns.ip("address add 192.0.2.60 peer 192.0.2.61/32 dev eth0");
    host.ns.ip("address add 2001:db8::60 peer 2001:db8::61/128 dev eth0 nodad");
    let observed = host.observed();
    let there: Vec<_> = observed.into_iter().filter(|a| a.peer.is_some()).map(removal).collect();
    assert_eq!(there.len(), 2);
    assert_eq!(host.netlink().apply(&there).unwrap(), vec![Ok(()); 2]);
    assert_eq!(host.foreign(), ["192.0.2.10/24"]);
}
