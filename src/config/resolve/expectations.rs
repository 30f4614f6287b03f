//! What a configuration assumes about its machine, with the places in the text. This module cannot
//! look at the machine; its caller compares.

use crate::config::problem::{Lines, Place};
use crate::config::raw::{RawConfig, RawRouter, RawTrack};
use crate::config::value::RawRole;
use crate::types::{Family, InterfaceName};
use ipnet::IpNet;
use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;

/// One thing that the machine must have or must not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Where the assumption is in the file.
    pub place: Place,
    /// The octets of that text.
    pub span: Range<usize>,
    /// What is assumed.
    pub what: Assumption,
}

/// What a configuration can assume about the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assumption {
    /// The machine has a file with a key that the nodes share.
    KeyFile(PathBuf),
    /// The machine has an interface of this name.
    Interface(InterfaceName),
    /// The address is a virtual one, which the interface does not have permanently.
    VirtualAddress {
        /// The interface of the router.
        interface: InterfaceName,
        /// The address with its network.
        net: IpNet,
    },
    /// At least one of these nodes is another machine. Those of this machine are reached on the
    /// interface.
    UnicastPeers {
        /// The interface of the router.
        interface: InterfaceName,
        /// The listed addresses of one family of the router.
        peers: Vec<IpAddr>,
    },
}

/// The assumptions in the order of the text, each place once.
pub(super) fn list(raw: &RawConfig, lines: &Lines<'_>) -> Vec<Expectation> {
    let key_file = raw.peer_key_file.spanned();
    let key_file = key_file.map(|file| (file.span(), Assumption::KeyFile(file.get_ref().clone())));
    let routers = raw.routers.iter().flat_map(|router| of_router(router, raw));
    let mut found: Vec<_> = key_file.into_iter().chain(routers).collect();
    found.sort_by_key(|(span, _)| span.start);
    found.dedup();
    let located = found.into_iter().map(|(span, what)| {
        let span = lines.fit(&span);
        Expectation { place: lines.place(span.start), span, what }
    });
    located.collect()
}

fn of_router(router: &RawRouter, file: &RawConfig) -> Vec<(Range<usize>, Assumption)> {
    let (own, defaults) = (&router.keys, &file.defaults);
    let interface = own.interface.or(&defaults.interface).spanned();
    let named = |name: &Spanned<InterfaceName>| (name.span(), Assumption::Interface(*name.get_ref()));
    let tracks = own.tracks.or(&defaults.tracks).spanned();
    let tracked = tracks.iter().flat_map(|list| list.get_ref()).filter_map(|track| match track {
        RawTrack::Interface(name) => Some(named(name)),
        RawTrack::Check { .. } => None,
    });
    let mut found: Vec<_> = interface.iter().map(|name| named(name)).chain(tracked).collect();
    // The addresses of an owner are the machine's own.
    let owner = own.role.or(&defaults.role).spanned().is_some_and(|role| *role.get_ref() == RawRole::Owner);
    let lists = [router.addresses.spanned(), own.excluded.or(&defaults.excluded).spanned()];
    let nets = lists.into_iter().flatten().flat_map(|list| &list.get_ref().read);
    found.extend(interface.into_iter().flat_map(|interface| of_peers(router, file, *interface.get_ref())));
    if let (Some(interface), false) = (interface, owner) {
        let interface = *interface.get_ref();
        let virtual_address = |net: &Spanned<IpNet>| {
            (net.span(), Assumption::VirtualAddress { interface, net: *net.get_ref() })
        };
        found.extend(nets.map(virtual_address));
    }
    found
}

/// What the list of nodes assumes, in each family of the router.
fn of_peers(
    router: &RawRouter,
    file: &RawConfig,
    interface: InterfaceName,
) -> Vec<(Range<usize>, Assumption)> {
    let list = router.keys.unicast_peers.or(&file.defaults.unicast_peers).spanned();
    let (Some(list), Some(nets)) = (list, router.addresses.spanned()) else { return Vec::new() };
    let families = [Family::Ipv4, Family::Ipv6]
        .into_iter()
        .filter(|family| nets.get_ref().read.iter().any(|net| Family::of(net.get_ref().addr()) == *family));
    let of_family = |family| {
        let peers = list.get_ref().iter().map(|peer| *peer.get_ref());
        let peers: Vec<_> = peers.filter(|peer| Family::of(*peer) == family).collect();
        (!peers.is_empty()).then(|| (list.span(), Assumption::UnicastPeers { interface, peers }))
    };
    families.filter_map(of_family).collect()
}
