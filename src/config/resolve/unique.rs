//! What may exist only once: names, VRIDs on a link, addresses on a link.

use crate::config::address::{is_link_local, written};
use crate::config::problem::{Problems, shown};
use crate::protocol::CheckName;
use crate::types::{Family, InstanceKey, InterfaceName, RouterName, Vrid};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Range;
use toml::Spanned;

/// Where an address lives. Routers whose interface is not known share no link with anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Link {
    /// An interface.
    Of(InterfaceName),
    /// The router whose header is here has none, or an illegal one.
    Unknown(usize),
}

/// What was seen so far, and where.
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
    /// Names of routers.
    pub(super) fn router(&mut self, name: &Spanned<RouterName>, problems: &mut Problems) {
        let message = format!("two virtual routers are called \"{}\"", name.get_ref());
        let help = "give this one another name: commands and logs tell them apart by it";
        once(&mut self.routers, name.get_ref().clone(), name.span(), message, help, problems);
    }

    /// Names of checks.
    pub(super) fn check(&mut self, name: &Spanned<CheckName>, problems: &mut Problems) {
        let message = format!("two checks are called \"{}\"", shown(&name.get_ref().0));
        let help = "remove one, or give it another name";
        once(&mut self.checks, name.get_ref().clone(), name.span(), message, help, problems);
    }

    /// Whether there is a check of this name. All checks come before the first router.
    pub(super) fn has_check(&self, name: &CheckName) -> bool {
        self.checks.contains_key(name)
    }

    /// A VRID is unique per interface and family (RFC9568-5.2.3-2).
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
                format!("VRID {} is used twice for {} on {interface}", vrid.get_ref(), written(*family));
            let help = "give this router a VRID of its own, or put its addresses into the other one";
            if !once(&mut self.instances, key, vrid.span(), message, help, problems) {
                return; // the other family would only say the same
            }
        }
    }

    /// The link-local address that follows from a VRID. Where two are equal, so are the VRIDs, and
    /// that has been said.
    pub(super) fn derived(&mut self, link: Link, net: &Spanned<IpNet>, problems: &mut Problems) {
        if self.derived.insert((link, net.get_ref().addr())) {
            self.address(link, net, problems);
        }
    }

    /// An address is held once per link, whatever its prefix.
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
                let help = "if it is meant, nothing is to be done; else remove it here or there";
                problems.warning(net.span(), message, help).related(first.clone(), "first here");
            }
            None => {
                self.anywhere.insert(address, (link, net.span()));
            }
        }
    }
}

/// Notes a place; answers whether it is the first, and reports if it is not.
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
