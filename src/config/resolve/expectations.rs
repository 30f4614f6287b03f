//! What a configuration takes for granted about the machine that it is for, with the places where it says so:
//! whether that is so is a question for somebody who can look.

use crate::config::problem::{Lines, Place};
use crate::config::raw::{RawConfig, RawRouter, RawTrack};
use crate::config::value::RawRole;
use crate::types::InterfaceName;
use ipnet::IpNet;
use std::ops::Range;
use toml::Spanned;

/// One thing that the machine has, or has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Where it is said.
    pub place: Place,
    /// Its octets in the text.
    pub span: Range<usize>,
    /// What is expected.
    pub what: Expected,
}

/// What is expected of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// An interface of this name.
    Interface(InterfaceName),
    /// That this address may come and go on the interface.
    Visitor {
        /// On which.
        interface: InterfaceName,
        /// Which, with its network.
        net: IpNet,
    },
}

/// In the order of the text, each place once.
pub(super) fn list(raw: &RawConfig, lines: &Lines<'_>) -> Vec<Expectation> {
    let mut found: Vec<_> = raw.routers.iter().flat_map(|router| of_router(router, raw)).collect();
    found.sort_by_key(|(span, _)| span.start);
    found.dedup();
    let located = found.into_iter().map(|(span, what)| {
        let span = lines.fit(&span);
        Expectation { place: lines.place(span.start), span, what }
    });
    located.collect()
}

fn of_router(router: &RawRouter, file: &RawConfig) -> Vec<(Range<usize>, Expected)> {
    let (own, defaults) = (&router.keys, &file.defaults);
    let interface = own.interface.or(&defaults.interface).spanned();
    let named = |name: &Spanned<InterfaceName>| (name.span(), Expected::Interface(*name.get_ref()));
    let tracks = own.tracks.or(&defaults.tracks).spanned();
    let tracked = tracks.iter().flat_map(|list| list.get_ref()).filter_map(|track| match track {
        RawTrack::Interface(name) => Some(named(name)),
        RawTrack::Check { .. } => None,
    });
    let mut found: Vec<_> = interface.iter().map(|name| named(name)).chain(tracked).collect();
    // An owner's addresses are the machine's own.
    let owner = own.role.or(&defaults.role).spanned().is_some_and(|role| *role.get_ref() == RawRole::Owner);
    let lists = [router.addresses.spanned(), own.excluded.or(&defaults.excluded).spanned()];
    let nets = lists.into_iter().flatten().flat_map(|list| &list.get_ref().read);
    if let (Some(interface), false) = (interface, owner) {
        let interface = *interface.get_ref();
        let visitor =
            |net: &Spanned<IpNet>| (net.span(), Expected::Visitor { interface, net: *net.get_ref() });
        found.extend(nets.map(visitor));
    }
    found
}
