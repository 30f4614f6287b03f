//! The nodes of a router that has no multicast group, and the senders that are believed:
//! `unicast_peers`, `min_ttl` and `accept_from`.

use super::addresses::Instances;
use crate::config::address::{family_name, is_link_local};
use crate::config::document::Key;
use crate::config::problem::Problems;
use crate::config::raw::{RawConfig, RawRouter};
use crate::protocol::InstanceSpec;
use crate::types::{Destinations, Family, UnicastPeers};
use ipnet::IpNet;
use std::net::IpAddr;
use std::num::NonZeroU8;
use toml::Spanned;

/// Each advertisement is sent once for each peer.
const MOST_PEERS: usize = 32;

/// Where a router sends, and from whom it accepts advertisements.
#[derive(Debug)]
pub(super) struct RouterPeers {
    pub(super) destinations: Destinations,
    pub(super) accept_from: Vec<IpAddr>,
}

type HostList = Spanned<Vec<Spanned<IpAddr>>>;

/// Resolves the keys. Returns `None` only after an error was reported, or if the families are not
/// known.
pub(super) fn resolve(
    raw: &RawRouter,
    file: &RawConfig,
    instances: Option<&Instances>,
    problems: &mut Problems,
) -> Option<RouterPeers> {
    let (own, defaults) = (&raw.keys, &file.defaults);
    let peers = listed(&own.unicast_peers, &defaults.unicast_peers)?;
    let senders = listed(&own.accept_from, &defaults.accept_from)?;
    let min_ttl = own.min_ttl.or(&defaults.min_ttl).or_default(NonZeroU8::MAX)?;
    let instances = &instances?.instances;
    let before = problems.error_count();
    let Some(peers) = peers else {
        if let Some(set) = own.min_ttl.spanned().filter(|_| min_ttl < NonZeroU8::MAX) {
            let message = "`min_ttl` has no effect without `unicast_peers`: with multicast it is always 255";
            problems.error(set.span(), message, "remove it, or add unicast_peers = [\"192.0.2.11\"]");
        }
        let accept_from = senders.map(|senders| {
            let addresses = of_router(&senders, instances, "accept_from", problems);
            for address in senders.list.get_ref().iter().filter(|one| is_global_ipv6(*one.get_ref())) {
                let message = format!(
                    "`accept_from` has {}, and IPv6 advertisements come from link-local addresses",
                    address.get_ref()
                );
                let help = "write the address in fe80::/10 of that node's interface";
                problems.error(address.span(), message, help);
            }
            addresses
        });
        let accept_from = accept_from.unwrap_or_default();
        return (problems.error_count() == before)
            .then_some(RouterPeers { destinations: Destinations::Multicast, accept_from });
    };
    if let Some(set) = own.accept_from.spanned().filter(|set| !set.get_ref().is_empty()) {
        let message = "`accept_from` has no effect beside `unicast_peers`, which names the senders already";
        problems.error(set.span(), message, "remove it");
    }
    let addresses = of_router(&peers, instances, "unicast_peers", problems);
    refuse_what_is_no_node(&peers, file, problems);
    alone(&peers, own.source_address.or(&defaults.source_address), problems);
    let ipv6 = || addresses.iter().filter(|address| address.is_ipv6());
    if ipv6().any(|address| is_link_local(*address)) && ipv6().any(|address| !is_link_local(*address)) {
        let message = "`unicast_peers` has IPv6 addresses that are link-local and others that are not, and this node has one source address for all of them";
        problems.error(peers.list.span(), message, "write the same kind of address for every node");
    }
    if addresses.len() > MOST_PEERS {
        let message =
            format!("{} peers are more than the {MOST_PEERS} that a router can have", addresses.len());
        problems.error(peers.list.span(), message, "leave out nodes that never take over this router");
    }
    if let Some(set) = own.min_ttl.or(&defaults.min_ttl).spanned().filter(|_| min_ttl < NonZeroU8::MAX) {
        let message = "with `min_ttl` below 255, a host that is not on this link can send advertisements in a peer's name";
        let help = "remove it if all peers are on this link; otherwise let the firewall accept protocol 112 from them only";
        problems.warning(set.span(), message, help);
    }
    let destinations = Destinations::Unicast(UnicastPeers { addresses, min_ttl });
    (problems.error_count() == before).then_some(RouterPeers { destinations, accept_from: Vec::new() })
}

/// A list that is not empty, and where it stands.
struct Listed<'r> {
    list: &'r HostList,
    place: ListPlace,
}

/// Where a list stands. What `[defaults]` has is for several routers, and may have more than this one
/// needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListPlace {
    Router,
    Defaults,
}

fn listed<'r>(
    own: &'r Key<Vec<Spanned<IpAddr>>>,
    defaults: &'r Key<Vec<Spanned<IpAddr>>>,
) -> Option<Option<Listed<'r>>> {
    let (key, place) = match own {
        Key::Absent => (defaults, ListPlace::Defaults),
        Key::Wrong | Key::Set(_) => (own, ListPlace::Router),
    };
    match key {
        Key::Absent => Some(None),
        Key::Wrong => None,
        Key::Set(list) => Some((!list.get_ref().is_empty()).then_some(Listed { list, place })),
    }
}

/// The addresses of the router's families, each once. Every family must have one, because nobody
/// would be heard in it otherwise.
fn of_router(
    Listed { list, place }: &Listed<'_>,
    instances: &[InstanceSpec],
    key: &str,
    problems: &mut Problems,
) -> Vec<IpAddr> {
    let has = |family| instances.iter().any(|instance| instance.family == family);
    let mut addresses: Vec<IpAddr> = Vec::new();
    for (at, one) in list.get_ref().iter().enumerate() {
        let (address, family) = (*one.get_ref(), Family::of(*one.get_ref()));
        if let Some(first) = list.get_ref().iter().take(at).find(|first| *first.get_ref() == address) {
            let message = format!("{address} is listed twice");
            problems
                .error(one.span(), message, "remove it here or there")
                .related(first.span(), "first here");
        } else if has(family) {
            addresses.push(address);
        } else if *place == ListPlace::Router {
            let name = family_name(family);
            let message = format!("`{key}` has {address}, and this router has no {name} address");
            let help = format!("remove it, or add an {name} address to `addresses`");
            problems.error(one.span(), message, help);
        }
    }
    for InstanceSpec { family, .. } in instances {
        if !addresses.iter().any(|address| Family::of(*address) == *family) {
            let name = family_name(*family);
            let message = format!("`{key}` has no {name} address, and this router has {name} addresses");
            let help = format!("add the {name} addresses of the other nodes");
            problems.error(list.span(), message, help);
        }
    }
    addresses
}

fn is_global_ipv6(address: IpAddr) -> bool {
    address.is_ipv6() && !is_link_local(address)
}

/// A virtual address is that of whichever node serves it, and the broadcast address of a network is
/// that of all.
fn refuse_what_is_no_node(peers: &Listed<'_>, file: &RawConfig, problems: &mut Problems) {
    let lists = file
        .routers
        .iter()
        .flat_map(|router| router.addresses.spanned().into_iter().chain(router.keys.excluded.spanned()));
    let nets: Vec<&Spanned<IpNet>> = lists.flat_map(|list| &list.get_ref().read).collect();
    for peer in peers.list.get_ref() {
        let address = *peer.get_ref();
        let help = "write an address that the other node has always";
        if let Some(net) = nets.iter().find(|net| net.get_ref().addr() == address) {
            let message = format!("{address} is a virtual address, which moves between the nodes");
            problems.error(peer.span(), message, help).related(net.span(), "listed here");
        } else if let Some(net) = nets.iter().find(|net| is_broadcast_of(address, net.get_ref())) {
            let message = format!("{address} is the broadcast address of {}", net.get_ref().trunc());
            problems
                .error(peer.span(), message, help)
                .related(net.span(), "the network is that of this address");
        }
    }
}

fn is_broadcast_of(address: IpAddr, net: &IpNet) -> bool {
    match net {
        IpNet::V4(net) => net.prefix_len() < 31 && IpAddr::V4(net.broadcast()) == address,
        IpNet::V6(_) => false,
    }
}

/// A list may have this node's own address, and must have another one. Which addresses this node has
/// is not known here, except for the one that is configured.
fn alone(peers: &Listed<'_>, source_address: &Key<IpAddr>, problems: &mut Problems) {
    let Some(source) = source_address.spanned() else { return };
    let family = Family::of(*source.get_ref());
    let mut of_family = peers.list.get_ref().iter().filter(|peer| Family::of(*peer.get_ref()) == family);
    if let Some(only) = of_family.next()
        && of_family.next().is_none()
        && only.get_ref() == source.get_ref()
    {
        let message = format!("`unicast_peers` has no {} address but this node's own", family_name(family));
        problems
            .error(only.span(), message, "add the addresses of the other nodes")
            .related(source.span(), "this node's");
    }
}
