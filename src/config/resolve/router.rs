//! One `[[virtual_router]]`, with the values of `[defaults]` where it has none.

use super::addresses::{self, AddressLists, Instances};
use super::unique::{Link, Unique};
use super::{advice, hooks, peers, required, tracks, versions};
use crate::config::RouterHooks;
use crate::config::address::{family_name, is_link_local};
use crate::config::document::Key;
use crate::config::problem::Problems;
use crate::config::raw::{RawConfig, RawRouter, RouterKeys};
use crate::config::value::RawRole;
use crate::protocol::{AnnounceSpec, ChecksumPolicy, RouterSpec};
use crate::types::{AdverInterval, Family, Preempt, Priority, Role, UnicastPeers};
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Duration;

/// Resolves one router. Returns `None` only after an error was reported.
pub(super) fn resolve(
    raw: &RawRouter,
    file: &RawConfig,
    unique: &mut Unique,
    problems: &mut Problems,
) -> Option<(RouterSpec, Option<RouterHooks>)> {
    let (own, defaults) = (&raw.keys, &file.defaults);
    let name = required(&raw.name, "name", "for example name = \"web\"", &raw.span, problems);
    if let Some(name) = &name {
        unique.router(name, problems);
    }
    let example = "for example interface = \"eth0\", or the same to [defaults]";
    let interface =
        required(own.interface.or(&defaults.interface), "interface", example, &raw.span, problems);
    let interface = interface.map(|interface| *interface.get_ref());
    let vrid =
        required(&raw.vrid, "vrid", "vrid = the same number from 1 to 255 on all nodes", &raw.span, problems);
    let lists = AddressLists {
        excluded: own.excluded.or(&defaults.excluded),
        link_local: own.link_local.or(&defaults.link_local),
        link: interface.map_or(Link::Unknown(raw.span.start), Link::Of),
    };
    let mut instances = addresses::resolve(raw, &lists, unique, problems);
    let families: Vec<_> = instances.iter().flat_map(|m| &m.instances).map(|m| m.family).collect();
    if let (Some(interface), Some(vrid)) = (interface, &vrid) {
        unique.instance(interface, vrid, &families, problems);
    }
    let raw_role = own.role.or(&defaults.role);
    let role = role(own, defaults, problems);
    let peers = peers::resolve(raw, file, instances.as_ref(), problems);
    let unicast = peers.as_ref().and_then(|peers| peers.destinations.unicast());
    let source_address = source_address(own, defaults, instances.as_ref(), (raw_role, unicast), problems);
    let tracked = match own.tracks.or(&defaults.tracks) {
        Key::Absent => Some(Vec::new()),
        Key::Wrong => None,
        Key::Set(list) => {
            let role = raw_role.spanned().map(|role| *role.get_ref());
            Some(tracks::resolve(list.get_ref(), &file.checks, unique, role, problems))
        }
    };
    let timing = timing(own, defaults);
    let spoken = instances.as_mut().and_then(|instances| {
        versions::resolve(
            own,
            defaults,
            &mut instances.instances,
            timing.as_ref().map(|(i, ..)| *i),
            problems,
        )
    });
    let hooks = hooks::resolve(&own.hooks, &defaults.hooks);
    let drain = drain(own, defaults, raw_role, &file.peer_key_file, problems);
    let (role, preempt_delay) = role?;
    let (interval, down_adverts, announce) = timing?;
    let Instances { instances, rule } = instances?;
    let interface = interface?;
    let peers = peers?;
    spoken?;
    let spec = RouterSpec {
        name: name?.into_inner(),
        interface,
        address_interface: interface,
        vrid: vrid?.into_inner(),
        role,
        interval,
        down_adverts,
        preempt_delay,
        checksum: own.checksum.or(&defaults.checksum).or_default(ChecksumPolicy::default())?,
        link_local: rule,
        source_address: source_address?,
        destinations: peers.destinations,
        accept_from: peers.accept_from,
        instances,
        tracks: tracked?,
        announce,
        drain: drain?,
    };
    advice::on_router(raw, file, &spec, problems);
    let hooks = hooks?;
    if let Some(hooks) = &hooks {
        hooks::advise(&own.hooks, hooks, spec.interval.period(), problems);
    }
    Some((spec, hooks))
}

/// The interval, the number of missed advertisements, and the periods of announcements.
fn timing(own: &RouterKeys, defaults: &RouterKeys) -> Option<(AdverInterval, NonZeroU8, AnnounceSpec)> {
    let usual = AnnounceSpec::default();
    let interval = own.interval.or(&defaults.interval).or_default(AdverInterval::default())?;
    let down_adverts =
        own.down_adverts.or(&defaults.down_adverts).or_default(RouterSpec::DEFAULT_DOWN_ADVERTS)?;
    let announce = AnnounceSpec {
        repeat: own.repeat.or(&defaults.repeat).or_default(usual.repeat)?,
        delay: own.delay.or(&defaults.delay).or_default(usual.delay)?,
        refresh: own.refresh.or(&defaults.refresh).or_default(usual.refresh)?,
    };
    Some((interval, down_adverts, announce))
}

/// Priority, Preempt_Mode, and the delay of a preemption. An owner has none of them (RFC 9568
/// §6.1): writing them in the owner's table is an error, inheriting them from `[defaults]` is not.
fn role(own: &RouterKeys, defaults: &RouterKeys, problems: &mut Problems) -> Option<(Role, Duration)> {
    match own.role.or(&defaults.role).or_default(RawRole::Priority(Priority::default()))? {
        RawRole::Owner => {
            let preempt = own.preempt.spanned().map(|key| ("preempt", key.span()));
            let delay = own.preempt_delay.spanned().map(|key| ("preempt_delay", key.span()));
            for (key, span) in preempt.into_iter().chain(delay) {
                let message = format!("`{key}` has no effect for an owner, which always preempts at once");
                problems.error(span, message, "remove it, or write a priority from 1 to 254");
            }
            Some((Role::Owner, Duration::ZERO))
        }
        RawRole::Priority(priority) => {
            let preempt = own.preempt.or(&defaults.preempt).or_default(Preempt::Allow)?;
            let delay = own.preempt_delay.or(&defaults.preempt_delay).or_default(Duration::ZERO)?;
            Some((Role::Contender { priority, preempt }, delay))
        }
    }
}

/// How long connections are kept after a planned move. The nodes agree about it beside VRRP, and
/// the addresses of an owner do not move: writing it in the owner's table is an error, inheriting it
/// is not.
fn drain(
    own: &RouterKeys,
    defaults: &RouterKeys,
    role: &Key<RawRole>,
    peer_key_file: &Key<PathBuf>,
    problems: &mut Problems,
) -> Option<Duration> {
    let drain = own.drain.or(&defaults.drain).or_default(Duration::ZERO)?;
    let owner = role.spanned().is_some_and(|role| *role.get_ref() == RawRole::Owner);
    let set = own.drain.or(&defaults.drain).spanned().filter(|_| !drain.is_zero());
    if owner {
        if let Some(set) = own.drain.spanned().filter(|_| !drain.is_zero()) {
            let message = "`drain` has no effect for an owner, whose addresses are its own";
            problems.error(set.span(), message, "remove it, or write a priority from 1 to 254");
        }
        return Some(Duration::ZERO);
    }
    if let (Some(set), Key::Absent) = (set, peer_key_file) {
        let message = "`drain` needs a key that the nodes share: they agree about connections beside VRRP";
        let help = "add peer_key_file = \"/etc/vrrpd/peer.key\" to [agent], on all nodes";
        problems.error(set.span(), message, help);
        return None;
    }
    Some(drain)
}

/// The source address must belong to this node and to one of the router's families. It must not be
/// a virtual address (RFC 9568 §5.1.1.1), unless the node owns it.
fn source_address(
    own: &RouterKeys,
    defaults: &RouterKeys,
    instances: Option<&Instances>,
    (role, unicast): (&Key<RawRole>, Option<&UnicastPeers>),
    problems: &mut Problems,
) -> Option<Option<IpAddr>> {
    let key = own.source_address.or(&defaults.source_address);
    let (Some(source), Some(instances)) = (key.spanned(), instances) else { return key.optional() };
    let address = *source.get_ref();
    let family = Family::of(address);
    let Some(instance) = instances.instances.iter().find(|instance| instance.family == family) else {
        let name = family_name(family);
        let message = format!("`source_address` is {name}, and this router has no {name} address");
        problems.error(source.span(), message, "write one of the other family, or remove it");
        return None;
    };
    // RFC 9568 §5.1.2.1: the source of an IPv6 advertisement is link-local. Nodes that are listed are
    // sent to from an address of the kind that they have.
    let near = unicast.is_none_or(UnicastPeers::are_link_local);
    if address.is_ipv6() && !near && is_link_local(address) {
        let message = "`source_address` is link-local, and the IPv6 addresses of `unicast_peers` are not";
        problems.error(source.span(), message, "write another address of the interface, or remove it");
        return None;
    }
    if address.is_ipv6() && near && !is_link_local(address) {
        let message = match unicast {
            None => "`source_address` must be link-local for IPv6",
            Some(_) => "`source_address` must be link-local, as the IPv6 addresses of `unicast_peers` are",
        };
        problems.error(
            source.span(),
            message,
            "write an address of the interface that is in fe80::/10, or remove it",
        );
        return None;
    }
    let mut moving = instance.held();
    let owner = role.spanned().is_some_and(|role| *role.get_ref() == RawRole::Owner);
    if !(owner && unicast.is_none()) && moving.any(|net| net.addr() == address) {
        let message = "`source_address` is one of the virtual addresses, which move";
        problems.error(source.span(), message, "write an address that stays on the interface, or remove it");
        return None;
    }
    Some(Some(address))
}
