//! The addresses of one router: one instance for each family, whose link-local address comes first
//! in IPv6 (RFC 9568 §5.2.9, errata 8300).

use super::required;
use super::unique::{Link, Unique};
use crate::config::address::{family_name, is_link_local, virtual_link_local};
use crate::config::document::Key;
use crate::config::problem::Problems;
use crate::config::raw::RawRouter;
use crate::config::value::{Completeness, RawAddresses, RawLinkLocal};
use crate::protocol::{InstanceSpec, LinkLocalRule};
use crate::types::{Authentication, Family, Version, Vrid};
use ipnet::IpNet;
use std::ops::Range;
use toml::Spanned;

/// Count IPvX Addr is one octet: RFC9568-5.2.5-3.
const MOST_ADDRESSES: usize = 255;
/// The number of addresses that one Ethernet frame of 1500 octets carries: IPv6 and VRRP headers,
/// then 16 octets for each address. An advertisement is never fragmented.
const MOST_IPV6_AT_1500: usize = (1500 - 40 - 8) / 16;

/// The keys that determine the addresses, with defaults applied.
pub(super) struct AddressLists<'r> {
    pub(super) excluded: &'r Key<RawAddresses>,
    pub(super) link_local: &'r Key<RawLinkLocal>,
    pub(super) link: Link,
}

/// The families of one router, and their addresses.
#[derive(Debug)]
pub(super) struct Instances {
    pub(super) instances: Vec<InstanceSpec>,
    pub(super) rule: LinkLocalRule,
}

/// Checks the lists and sorts their addresses by family. The families in the result are right even
/// if other errors were reported; the result is `None` if the families cannot be determined.
pub(super) fn resolve(
    raw: &RawRouter,
    lists: &AddressLists<'_>,
    unique: &mut Unique,
    problems: &mut Problems,
) -> Option<Instances> {
    let example = "for example addresses = [\"192.0.2.50/24\"]";
    let listed = required(&raw.addresses, "addresses", example, &raw.span, problems);
    let excluded = lists.excluded.spanned();
    let everything = listed.iter().chain(excluded).flat_map(|list| &list.get_ref().read);
    everything.for_each(|net| unique.address(lists.link, net, problems));
    let listed = listed?;
    let whole = listed.get_ref().completeness == Completeness::Whole;
    // RFC9568-6.1-7
    if whole && listed.get_ref().read.is_empty() {
        // RFC9568-6.1-7
        problems.error(listed.span(), "a virtual router needs an address", format!("write {example}"));
    }
    let of = |family: Family, list: &RawAddresses| -> Vec<IpNet> {
        let nets = list.read.iter().map(|net| *net.get_ref());
        nets.filter(|net| Family::of(net.addr()) == family).collect()
    };
    let (mut instances, mut orphans, mut rule) = (Vec::new(), Vec::new(), LinkLocalRule::Require);
    // RFC9568-5.2.9-4: the addresses stay in the order of the configuration, except for the
    // link-local one.
    for family in [Family::Ipv4, Family::Ipv6] {
        let mut addresses = of(family, listed.get_ref());
        let excluded_here = excluded.map(|list| of(family, list.get_ref())).unwrap_or_default();
        if family == Family::Ipv6 && !addresses.is_empty() {
            rule = link_local_first(&mut addresses, &listed, raw.vrid.spanned(), lists, unique, problems);
        }
        count(family, addresses.len(), &listed.span(), problems);
        if addresses.is_empty() {
            orphans.extend(excluded_here);
        } else {
            instances.push(InstanceSpec {
                family,
                version: Version::V3,
                authentication: Authentication::None,
                addresses,
                excluded: excluded_here,
            });
        }
    }
    // Addresses of a family without an instance are installed and removed together with those of
    // the other family.
    if let Some(instance) = instances.first_mut() {
        instance.excluded.extend(orphans);
    }
    let no_ipv6 = instances.iter().all(|instance| instance.family == Family::Ipv4);
    if let (true, true, Some(set)) = (whole, no_ipv6, own_link_local(raw)) {
        problems.error(
            set,
            "`link_local` needs an IPv6 address in this router",
            "remove it, or add an IPv6 address",
        );
    }
    (whole && !instances.is_empty()).then_some(Instances { instances, rule })
}

/// Where the router itself has `link_local` with an address. Such a key in `[defaults]` may be meant
/// for other routers.
fn own_link_local(raw: &RawRouter) -> Option<Range<usize>> {
    raw.keys.link_local.spanned().and_then(|rule| match rule.get_ref() {
        RawLinkLocal::Address(_) => Some(rule.span()),
        RawLinkLocal::Auto | RawLinkLocal::AsListed => None,
    })
}

/// Moves a link-local address to the front of a list of IPv6 addresses, as `link_local` says:
/// RFC9568-5.2.9-2.
fn link_local_first(
    addresses: &mut Vec<IpNet>,
    listed: &Spanned<RawAddresses>,
    vrid: Option<&Spanned<Vrid>>,
    lists: &AddressLists<'_>,
    unique: &mut Unique,
    problems: &mut Problems,
) -> LinkLocalRule {
    let (wanted, span) = match lists.link_local {
        Key::Set(key) => (*key.get_ref(), key.span()),
        Key::Absent | Key::Wrong => (RawLinkLocal::Auto, listed.span()),
    };
    let position = match wanted {
        RawLinkLocal::AsListed => return LinkLocalRule::Lenient,
        RawLinkLocal::Auto => addresses.iter().position(|net| is_link_local(net.addr())),
        RawLinkLocal::Address(net) => addresses.iter().position(|other| other.addr() == net.addr()),
    };
    let first = match (position, wanted) {
        (Some(position), _) => Some(addresses.remove(position)),
        (None, RawLinkLocal::Address(net)) => {
            unique.address(lists.link, &Spanned::new(span, net), problems);
            Some(net)
        }
        (None, RawLinkLocal::Auto | RawLinkLocal::AsListed) => vrid.map(|vrid| {
            let net = virtual_link_local(*vrid.get_ref());
            unique.derived(lists.link, &Spanned::new(span, net), problems);
            net
        }),
    };
    if let Some(first) = first {
        addresses.insert(0, first);
    }
    LinkLocalRule::Require
}

fn count(family: Family, count: usize, span: &Range<usize>, problems: &mut Problems) {
    if count > MOST_ADDRESSES {
        let message =
            format!("{count} {} addresses are more than an advertisement can list", family_name(family));
        let help = "keep 255 of them here, and move the others to `excluded_addresses`";
        problems.error(span.clone(), message, help);
    } else if family == Family::Ipv6 && count > MOST_IPV6_AT_1500 {
        let need = 40 + 8 + 16 * count;
        let message = format!("{count} IPv6 addresses need an MTU of {need}");
        let help = format!(
            "keep {MOST_IPV6_AT_1500} of them here for an MTU of 1500, and move the others to `excluded_addresses`"
        );
        problems.warning(span.clone(), message, help);
    }
}
