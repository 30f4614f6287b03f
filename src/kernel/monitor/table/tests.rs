//! The facts that result from messages.

use super::*;
use crate::kernel::address::installation;
use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};

fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

fn link(index: u32, text: &str, flags: LinkFlags) -> RouteNetlinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = flags;
    message.header.link_layer_type = LinkLayerType::Ether;
    message.attributes = vec![
        LinkAttribute::IfName(text.to_owned()),
        LinkAttribute::Mtu(1500),
        LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]),
    ];
    RouteNetlinkMessage::NewLink(message)
}

fn address(index: u32, net: &str, flags: AddressFlags) -> AddressMessage {
    let net: IpNet = net.parse().unwrap();
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = net.prefix_len();
    message.attributes = vec![AddressAttribute::Address(net.addr()), AddressAttribute::Flags(flags)];
    message
}

fn new_address(index: u32, net: &str, flags: AddressFlags) -> RouteNetlinkMessage {
    RouteNetlinkMessage::NewAddress(address(index, net, flags))
}

fn table(messages: &[RouteNetlinkMessage]) -> LinkTable {
    let mut table = LinkTable::default();
    for message in messages {
        table.fold(message);
    }
    table
}

fn ipv4(table: &LinkTable) -> Vec<String> {
    table.facts(name("eth0")).unwrap().ipv4.iter().map(ToString::to_string).collect()
}

const UP: LinkFlags = LinkFlags::Up.union(LinkFlags::Running);
const NONE: AddressFlags = AddressFlags::empty();

#[test]
fn a_link_has_facts_under_its_present_name_only() {
    let mut table = table(&[link(2, "eth0", UP), new_address(2, "192.0.2.10/24", NONE)]);
    let facts = table.facts(name("eth0")).unwrap();
    assert_eq!((facts.index, facts.mtu, facts.up, facts.carrier), (2, 1500, true, true));
    assert_eq!(facts.mac, Some(MacAddr([2, 0, 0, 0, 0, 1])));
    table.fold(&link(2, "lan0", LinkFlags::Up));
    assert_eq!(table.facts(name("eth0")), None);
    let renamed = table.facts(name("lan0")).unwrap();
    assert_eq!((renamed.ipv4, renamed.carrier), (facts.ipv4, false));
}

#[test]
fn what_others_put_there_is_foreign_whatever_its_state_until_it_goes_or_becomes_ours() {
    let mut table = table(&[
        link(2, "eth0", UP),
        new_address(2, "192.0.2.10/24", NONE),
        new_address(2, "192.0.2.10/32", NONE),
        new_address(2, "2001:db8::10/64", AddressFlags::Tentative),
        RouteNetlinkMessage::NewAddress(installation(2, "192.0.2.50/24".parse().unwrap())),
    ]);
    let foreign = |table: &LinkTable| -> Vec<String> {
        let foreign = table.facts(name("eth0")).unwrap().foreign;
        foreign.iter().map(|(address, len)| format!("{address}/{len}")).collect()
    };
    assert_eq!(foreign(&table), ["192.0.2.10/24", "2001:db8::10/64"]);
    table.fold(&RouteNetlinkMessage::DelAddress(address(2, "192.0.2.10/24", NONE)));
    assert_eq!(foreign(&table), ["192.0.2.10/32", "2001:db8::10/64"]);
    // `ip address replace` removes our mark. A replaced address that has our mark is ours.
    table.fold(&new_address(2, "192.0.2.50/24", NONE));
    assert_eq!(foreign(&table), ["192.0.2.10/32", "192.0.2.50/24", "2001:db8::10/64"]);
    table.fold(&RouteNetlinkMessage::NewAddress(installation(2, "192.0.2.50/24".parse().unwrap())));
    assert_eq!(foreign(&table), ["192.0.2.10/32", "2001:db8::10/64"]);
}

#[test]
fn a_port_of_a_bridge_is_known_as_one_until_it_leaves_and_a_member_of_a_vrf_is_none() {
    let port = |kind| {
        let RouteNetlinkMessage::NewLink(mut message) = link(2, "eth0", UP) else {
            unreachable!("made above")
        };
        message.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::PortKind(kind)]));
        message.attributes.push(LinkAttribute::Controller(7));
        RouteNetlinkMessage::NewLink(message)
    };
    let mut table = table(&[link(2, "eth0", UP), link(7, "br1", UP)]);
    let port_of = |table: &LinkTable| table.facts(name("eth0")).unwrap().port_of;
    assert_eq!(port_of(&table), None);
    table.fold(&port(InfoPortKind::Bridge));
    assert_eq!(port_of(&table), Some(name("br1")));
    // Some notifications have only the name.
    let RouteNetlinkMessage::NewLink(mut brief) = link(2, "eth0", UP) else { unreachable!("made above") };
    brief.attributes.truncate(1);
    table.fold(&RouteNetlinkMessage::NewLink(brief));
    assert_eq!(port_of(&table), Some(name("br1")));
    table.fold(&link(2, "eth0", UP));
    assert_eq!(port_of(&table), None);
    table.fold(&port(InfoPortKind::Vrf));
    assert_eq!(port_of(&table), None);
}

#[test]
fn an_address_of_ours_is_chosen_when_it_comes_first_in_a_network_where_the_host_has_another() {
    let ours = |net: &str, flags| {
        let mut message = installation(2, net.parse().unwrap());
        message.attributes.push(AddressAttribute::Flags(flags));
        RouteNetlinkMessage::NewAddress(message)
    };
    let chosen = |table: &LinkTable| -> Vec<String> {
        let chosen = table.facts(name("eth0")).unwrap().chosen;
        chosen.iter().map(|(address, len)| format!("{address}/{len}")).collect()
    };
    let secondary = AddressFlags::Secondary;
    let own = new_address(2, "192.0.2.10/24", NONE);
    let mut table = table(&[link(2, "eth0", UP), own.clone(), ours("192.0.2.50/24", secondary)]);
    assert_eq!(chosen(&table), [""; 0]);
    table.fold(&ours("192.0.2.51/32", NONE));
    table.fold(&ours("198.51.100.50/24", NONE));
    assert_eq!(chosen(&table), [""; 0], "a host route, and a network where the host has nothing else");
    table.fold(&ours("192.0.2.52/25", NONE));
    assert_eq!(chosen(&table), ["192.0.2.52/25"]);
    // The host's address is removed and added again, so that ours was promoted in between.
    table.fold(&ours("192.0.2.50/24", NONE));
    assert_eq!(chosen(&table), ["192.0.2.50/24", "192.0.2.52/25"]);
    table.fold(&RouteNetlinkMessage::DelAddress(installation(2, "192.0.2.50/24".parse().unwrap())));
    assert_eq!(chosen(&table), ["192.0.2.52/25"]);
}

#[test]
fn a_link_that_is_gone_takes_its_addresses_along() {
    let mut table = table(&[link(2, "eth0", UP), new_address(2, "192.0.2.10/24", NONE)]);
    let RouteNetlinkMessage::NewLink(gone) = link(2, "eth0", UP) else { unreachable!("made above") };
    assert_eq!(table.fold(&RouteNetlinkMessage::DelLink(gone)), TableChange::Gone(name("eth0")));
    assert_eq!(table.facts(name("eth0")), None);
    table.fold(&link(2, "eth0", UP));
    assert_eq!(ipv4(&table), Vec::<String>::new());
}

#[test]
fn messages_of_a_bridge_about_its_ports_do_not_change_the_link() {
    let mut table = table(&[link(2, "eth0", UP)]);
    let mut port = LinkMessage::default();
    port.header.index = 2;
    port.header.interface_family = AddressFamily::Bridge;
    assert_eq!(table.fold(&RouteNetlinkMessage::NewLink(port.clone())), TableChange::Nothing);
    assert_eq!(table.fold(&RouteNetlinkMessage::DelLink(port)), TableChange::Nothing);
    assert!(table.facts(name("eth0")).unwrap().up);
}

#[test]
fn a_link_without_an_ethernet_address_has_none() {
    let RouteNetlinkMessage::NewLink(mut tunnel) = link(2, "eth0", UP) else { unreachable!("made above") };
    tunnel.header.link_layer_type = LinkLayerType::Tunnel;
    assert_eq!(table(&[RouteNetlinkMessage::NewLink(tunnel)]).facts(name("eth0")).unwrap().mac, None);
}

#[test]
fn sources_are_what_others_installed_and_what_is_ready() {
    let ours = |net: &str| RouteNetlinkMessage::NewAddress(installation(2, net.parse().unwrap()));
    let mut loopback = address(2, "127.0.0.1/8", NONE);
    loopback.header.scope = AddressScope::Host;
    let table = table(&[
        link(2, "eth0", UP),
        ours("192.0.2.50/24"),
        ours("fe80::50/64"),
        RouteNetlinkMessage::NewAddress(loopback),
        new_address(2, "192.0.2.10/24", NONE),
        new_address(2, "fe80::1/64", NONE),
        new_address(2, "fe80::2/64", AddressFlags::Tentative),
        new_address(2, "fe80::3/64", AddressFlags::Tentative | AddressFlags::Optimistic),
        new_address(2, "fe80::4/64", AddressFlags::Dadfailed | AddressFlags::Tentative),
        new_address(2, "2001:db8::1/64", NONE),
        new_address(3, "192.0.2.11/24", NONE),
    ]);
    let facts = table.facts(name("eth0")).unwrap();
    assert_eq!(ipv4(&table), ["192.0.2.10"]);
    let link_local: Vec<_> = facts.ipv6_link_local.iter().map(ToString::to_string).collect();
    assert_eq!(link_local, ["fe80::1", "fe80::3"]);
}

#[test]
fn an_address_may_become_a_source_and_cease_to_be_one() {
    let mut table = table(&[link(2, "eth0", UP), new_address(2, "fe80::1/64", AddressFlags::Tentative)]);
    let count = |table: &LinkTable| table.facts(name("eth0")).unwrap().ipv6_link_local.len();
    assert_eq!(count(&table), 0);
    table.fold(&new_address(2, "fe80::1/64", NONE));
    assert_eq!(count(&table), 1);
    table.fold(&new_address(2, "fe80::1/64", AddressFlags::Dadfailed));
    assert_eq!(count(&table), 0);
}

#[test]
fn ipv4_sources_keep_the_kernels_order() {
    let mut table = table(&[
        link(2, "eth0", UP),
        new_address(2, "192.0.2.10/24", NONE),
        new_address(2, "192.0.2.11/24", AddressFlags::Secondary),
        new_address(2, "198.51.100.10/24", NONE),
        new_address(2, "192.0.2.12/24", AddressFlags::Secondary),
    ]);
    assert_eq!(ipv4(&table), ["192.0.2.10", "198.51.100.10", "192.0.2.11", "192.0.2.12"]);
    // A new lifetime does not change the order.
    table.fold(&new_address(2, "192.0.2.10/24", NONE));
    assert_eq!(ipv4(&table), ["192.0.2.10", "198.51.100.10", "192.0.2.11", "192.0.2.12"]);
    // The primary is removed, and a secondary is promoted.
    table.fold(&RouteNetlinkMessage::DelAddress(address(2, "192.0.2.10/24", NONE)));
    table.fold(&new_address(2, "192.0.2.11/24", NONE));
    assert_eq!(ipv4(&table), ["198.51.100.10", "192.0.2.11", "192.0.2.12"]);
}

#[test]
fn only_what_the_keeper_may_want_to_undo_is_a_change_of_addresses() {
    let mut table = table(&[link(2, "eth0", UP)]);
    let ours = installation(2, "192.0.2.50/24".parse().unwrap());
    assert_eq!(table.fold(&RouteNetlinkMessage::NewAddress(ours.clone())), TableChange::Nothing);
    assert_eq!(table.fold(&RouteNetlinkMessage::DelAddress(ours)), TableChange::Addresses(2, Origin::Ours));
    assert_eq!(
        table.fold(&new_address(2, "192.0.2.50/24", NONE)),
        TableChange::Addresses(2, Origin::Foreign)
    );
}
