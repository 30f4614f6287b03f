//! Virtual addresses as operators write them: `"192.0.2.50/24"`, `"2001:db8::50/64"`.

use super::correction::quoted;
use super::problem::shown;
use crate::types::{Family, MacAddr, Vrid};
use ipnet::{IpNet, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a text is not a virtual address, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AddressError {
    pub(super) message: String,
    pub(super) help: String,
}

impl AddressError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

/// An address that a host can hold, with its prefix length. An address written without a prefix is
/// a host route, /32 or /128: it lies in a network that the interface already has.
pub(super) fn parse(text: &str) -> Result<IpNet, AddressError> {
    if let Some(error) = crowded(text) {
        return Err(error);
    }
    if let Some((address, zone)) = text.split_once('%') {
        let prefix = zone.find('/').and_then(|at| zone.get(at..)).unwrap_or_default();
        return Err(zoned(text, &format!("{address}{prefix}")));
    }
    let net = match text.split_once('/') {
        Some((address, length)) => with_prefix(bare(address)?, length)?,
        None => IpNet::from(bare(text)?),
    };
    usable(net.addr())?;
    let host = IpNet::from(net.addr());
    match special_in_its_network(net) {
        Some(what) => Err(AddressError::new(
            format!("{net} is {what}"),
            format!("write the address of a host in {}, or {host} if it is meant", net.trunc()),
        )),
        None => Ok(net),
    }
}

/// An address without a prefix length, of a kind that a host can hold.
pub(super) fn parse_bare(text: &str) -> Result<IpAddr, AddressError> {
    match text.split_once('/') {
        Some((address, _)) => {
            bare(address)?;
            Err(AddressError::new(format!("{} has a prefix", shown(text)), format!("write \"{address}\"")))
        }
        None => bare(text).and_then(|address| usable(address).map(|()| address)),
    }
}

/// The name of the family as it is written in a sentence.
pub(super) const fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

/// Whether the address is in fe80::/10. Only such an address may stand first in a VRRPv3
/// advertisement for IPv6 (RFC 9568 §5.2.9, errata 8300) or be its source (§5.1.2.1).
pub(super) const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The link-local address that RFC 4291's modified EUI-64 makes of the Virtual Router MAC Address
/// (RFC 9568 §7.3), with the usual /64. All routers with the same VRID compute the same address.
pub(super) fn virtual_link_local(vrid: Vrid) -> IpNet {
    let MacAddr([a, b, c, d, e, f]) = MacAddr::virtual_router(Family::Ipv6, vrid);
    let address = Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    link_local_net(address)
}

/// A link-local address with the prefix length 64.
pub(super) fn link_local_net(address: Ipv6Addr) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(address, 64))
}

fn zoned(text: &str, address: &str) -> AddressError {
    let message = format!("{} names an interface", shown(text));
    AddressError::new(message, format!("write \"{}\"; `interface` says where", shown(address)))
}

/// The error for a text with more than one address: several addresses, or one with further
/// arguments of `ip address add`.
fn crowded(text: &str) -> Option<AddressError> {
    let separators = |c: char| c == ',' || c == ';' || c.is_whitespace();
    let words: Vec<_> = text.split(separators).filter(|word| !word.is_empty()).collect();
    let tight: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if tight == text && words.len() < 2 {
        return None;
    }
    let message = format!("\"{}\" is more than one address", shown(text));
    let sound: Vec<_> = words.iter().filter(|word| parse(word).is_ok()).map(|word| quoted(word)).collect();
    if sound.len() == words.len() && !sound.is_empty() {
        return Some(AddressError::new(message, format!("write {}", sound.join(", "))));
    }
    if tight != text && parse(&tight).is_ok() {
        let message = format!("\"{}\" has a space in it", shown(text));
        return Some(AddressError::new(message, format!("write {}", quoted(&tight))));
    }
    let (address, options) = words.split_first().filter(|(word, _)| parse(word).is_ok())?;
    let elsewhere: Vec<_> = options
        .iter()
        .filter_map(|option| match *option {
            "dev" => Some("the device is `interface` of the router"),
            "label" => Some("labels are not supported"),
            "scope" => Some("scopes are not supported"),
            "brd" | "broadcast" => Some("the broadcast address follows from the prefix"),
            _ => None,
        })
        .collect();
    let mut help = format!("write {}", quoted(address));
    if !elsewhere.is_empty() {
        help = format!("{help}; {}", elsewhere.join(", "));
    }
    Some(AddressError::new(format!("\"{}\" is more than an address", shown(text)), help))
}

fn bare(text: &str) -> Result<IpAddr, AddressError> {
    if let Some((address, _)) = text.split_once('%') {
        return Err(zoned(text, address));
    }
    text.parse().map_err(|_| {
        AddressError::new(
            format!("\"{}\" is not an IP address", shown(text)),
            "write for example \"192.0.2.50/24\" or \"2001:db8::50/64\"",
        )
    })
}

fn with_prefix(address: IpAddr, length: &str) -> Result<IpNet, AddressError> {
    let longest = match Family::of(address) {
        Family::Ipv4 => 32,
        Family::Ipv6 => 128,
    };
    let wrong = || {
        AddressError::new(
            format!("\"/{}\" is not the length of a prefix", shown(length)),
            match netmask(length).filter(|_| address.is_ipv4()) {
                Some(length) => format!("write \"{address}/{length}\""),
                None => {
                    format!("write the length of the network's prefix, from 1 to {longest}: \"{address}/N\"")
                }
            },
        )
    };
    // `parse` alone would accept "+24"; the length 0 would make every address on-link.
    Some(length)
        .filter(|length| length.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|length| length.parse::<u8>().ok())
        .filter(|length| *length > 0)
        .and_then(|length| IpNet::new(address, length).ok())
        .ok_or_else(wrong)
}

/// The prefix length that a netmask such as 255.255.255.0 stands for.
fn netmask(mask: &str) -> Option<u8> {
    let length = ipnet::ipv4_mask_to_prefix(mask.parse().ok()?).ok()?;
    (length > 0).then_some(length)
}

fn usable(address: IpAddr) -> Result<(), AddressError> {
    let what = match address {
        IpAddr::V4(v4) if v4.octets().first() == Some(&0) => "the unspecified address",
        IpAddr::V4(Ipv4Addr::BROADCAST) => "the broadcast address",
        IpAddr::V6(v6) if v6.is_unspecified() => "the unspecified address",
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => "an IPv4 address in IPv6 form",
        address if address.is_multicast() => "a multicast address",
        address if address.is_loopback() => "a loopback address",
        IpAddr::V4(_) | IpAddr::V6(_) => return Ok(()),
    };
    Err(AddressError::new(format!("{address} is {what}"), "write the address of one host on the network"))
}

/// The special meaning that an address has in its network: the network itself, its broadcast or its
/// anycast address. A /31 (RFC 3021) and a /127 (RFC 6164) have no such addresses.
fn special_in_its_network(net: IpNet) -> Option<&'static str> {
    match net {
        IpNet::V4(v4) if v4.prefix_len() > 30 => None,
        IpNet::V4(v4) if v4.addr() == v4.network() => Some("the address of the network itself"),
        IpNet::V4(v4) if v4.addr() == v4.broadcast() => Some("the broadcast address of its network"),
        IpNet::V6(v6) if v6.prefix_len() > 126 => None,
        IpNet::V6(v6) if v6.addr() == v6.network() => Some("the anycast address of all routers (RFC 4291)"),
        IpNet::V4(_) | IpNet::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_host_part_and_prefix() {
        for (text, written) in [
            ("192.0.2.50/24", "192.0.2.50/24"),
            ("192.0.2.50", "192.0.2.50/32"),
            ("192.0.2.0/31", "192.0.2.0/31"),
            ("192.0.2.0/32", "192.0.2.0/32"),
            ("2001:db8::50/64", "2001:db8::50/64"),
            ("2001:DB8::50", "2001:db8::50/128"),
            ("2001:db8::/127", "2001:db8::/127"),
            ("fe80::1/64", "fe80::1/64"),
            ("169.254.1.1/16", "169.254.1.1/16"),
        ] {
            assert_eq!(parse(text).map(|net| net.to_string()), Ok(written.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_no_host_can_hold_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "not an IP address"),
            ("web", "not an IP address"),
            ("192.0.2.300/24", "not an IP address"),
            ("192.0.2.050/24", "not an IP address"),
            ("192.0.2.50/", "not the length of a prefix"),
            ("192.0.2.50/33", "not the length of a prefix"),
            ("192.0.2.50/+24", "not the length of a prefix"),
            ("192.0.2.50/0", "not the length of a prefix"),
            ("192.0.2.50/255.255.255.0", "not the length of a prefix"),
            ("2001:db8::50/129", "not the length of a prefix"),
            ("192.0.2.0/24", "the network itself"),
            ("192.0.2.255/24", "broadcast address of its network"),
            ("2001:db8::/64", "anycast"),
            ("0.0.0.0/8", "unspecified"),
            ("::/64", "unspecified"),
            ("255.255.255.255", "broadcast"),
            ("224.0.0.18/24", "multicast"),
            ("ff02::12/64", "multicast"),
            ("127.0.0.1/8", "loopback"),
            ("::1/128", "loopback"),
            ("::ffff:192.0.2.1/128", "IPv4 address in IPv6 form"),
            ("fe80::1%eth0/64", "names an interface"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(reason), "{text}: {}", error.message);
        }
    }

    #[test]
    fn the_virtual_link_local_address_is_the_eui_64_of_the_virtual_mac() {
        let address = |vrid| virtual_link_local(Vrid::new(vrid).unwrap()).to_string();
        assert_eq!(address(51), "fe80::200:5eff:fe00:233/64");
        assert_eq!(address(255), "fe80::200:5eff:fe00:2ff/64");
    }
}
