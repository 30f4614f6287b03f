//! Checks what may exist only once: names, and VRIDs and addresses on a link.

use crate::config::address::{family_name, is_link_local};
use crate::config::problem::{Problems, shown};
use crate::protocol::CheckName;
use crate::types::{Family, InstanceKey, InterfaceName, RouterName, Vrid};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Range;
use toml::Spanned;

/// The link that an address is on. A router whose interface is not known shares no link with
/// another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Link {
    /// The link of a known interface.
    Of(InterfaceName),
    /// The interface is missing or illegal. The number is the place of the router's header.
    Unknown(usize),
}

/// What was seen so far, with its place in the text.
#[derive(Debug, Default)]
pub(super) struct Unique {
    routers: BTreeMap<RouterName, Range<usize>>,
    checks: BTreeMap<CheckName, Range<usize>>,
    instances: BTreeMap<InstanceKey, Range<usize>>,
    addresses: BTreeMap<(Link, IpAddr), Range<usize>>,
    derived: BTreeSet<(Link, IpAddr)>,
    anywhere: BTreeMap<IpAddr, (Link, Range<usize>)>,
}

impl Unique {
    /// Reports the name of a router if it is used already.
    pub(super) fn router(&mut self, name: &Spanned<RouterName>, problems: &mut Problems) {
        let message = format!("two virtual routers are called \"{}\"", name.get_ref());
        let help = "give this one another name: commands and logs tell them apart by it";
        once(&mut self.routers, name.get_ref().clone(), name.span(), message, help, problems);
    }

    /// Reports the name of a check if it is used already.
    pub(super) fn check(&mut self, name: &Spanned<CheckName>, problems: &mut Problems) {
        let message = format!("two checks are called \"{}\"", shown(&name.get_ref().0));
        let help = "remove one, or give it another name";
        once(&mut self.checks, name.get_ref().clone(), name.span(), message, help, problems);
    }

    /// Whether there is a check of this name. All checks are read before the first router.
    pub(super) fn has_check(&self, name: &CheckName) -> bool {
        self.checks.contains_key(name)
    }

    /// Reports a VRID that is not unique per interface and family (RFC9568-5.2.3-2).
    pub(super) fn instance(
        &mut self,
        interface: InterfaceName,
        vrid: &Spanned<Vrid>,
        families: &[Family],
        problems: &mut Problems,
    ) {
        for family in families {
            let key = InstanceKey { interface, family: *family, vrid: *vrid.get_ref() };
            let message =
                format!("VRID {} is used twice for {} on {interface}", vrid.get_ref(), family_name(*family));
            let help = "give this router a VRID of its own, or put its addresses into the other one";
            if !once(&mut self.instances, key, vrid.span(), message, help, problems) {
                return; // the other family would be reported in the same words
            }
        }
    }

    /// The link-local address that follows from a VRID. If two of them are equal, their VRIDs are
    /// equal too, which has been reported.
    pub(super) fn derived(&mut self, link: Link, net: &Spanned<IpNet>, problems: &mut Problems) {
        if self.derived.insert((link, net.get_ref().addr())) {
            self.address(link, net, problems);
        }
    }

    /// Reports an address that another router holds on the same link, whatever the prefixes.
    pub(super) fn address(&mut self, link: Link, net: &Spanned<IpNet>, problems: &mut Problems) {
        let address = net.get_ref().addr();
        let message = format!("{address} is listed twice");
        let help = "remove it here or there: one router on a link can hold an address";
        if !once(&mut self.addresses, (link, address), net.span(), message, help, problems)
            || is_link_local(address)
        {
            return;
        }
        match self.anywhere.get(&address) {
            Some((_, first)) => {
                let message = format!("{address} is listed on two interfaces");
                let help = "keep both if this is intended; otherwise remove one of the two";
                problems.warning(net.span(), message, help).related(first.clone(), "first here");
            }
            None => {
                self.anywhere.insert(address, (link, net.span()));
            }
        }
    }
}

/// Remembers where a key was first seen. Returns whether this is the first place, and reports an
/// error otherwise.
fn once<K: Ord>(
    seen: &mut BTreeMap<K, Range<usize>>,
    key: K,
    span: Range<usize>,
    message: String,
    help: &str,
    problems: &mut Problems,
) -> bool {
    match seen.get(&key) {
        Some(first) => {
            problems.error(span, message, help).related(first.clone(), "first here");
            false
        }
        None => {
            seen.insert(key, span);
            true
        }
    }
}
