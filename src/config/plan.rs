//! What a reload does: the difference between two configurations, described as the operator wrote
//! them.
//!
//! The functions are pure. Whether a router keeps its state is decided by
//! [`RouterSpec::is_same_instance`], on which the core acts as well. Every field of a configuration
//! is named here in a pattern, so that the compiler reports a new field. This module does not know
//! how a plan is shown or carried out.

use super::duration::text as written;
use super::value::checksum_text;
use super::{Agent, CheckSpec, Config, HookKind, Realtime, RouterHooks};
use crate::protocol::{AnnounceSpec, CheckName, Consequence, InstanceSpec, LinkLocalRule, RouterSpec, Track};
use crate::types::{Destinations, InterfaceName, Preempt, Role, RouterName, UnicastPeers, Vrid};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::path::PathBuf;

/// What a reload does to everything that is configured, in the order of the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Every router of the old and of the new configuration.
    pub routers: Vec<RouterPlan>,
    /// Every check of the old and of the new configuration.
    pub checks: Vec<CheckPlan>,
    /// What changes in `[agent]`.
    pub agent: Vec<AgentChange>,
}

/// What a reload does to one router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterPlan {
    /// Name of the router, by which the two configurations are compared.
    pub name: RouterName,
    /// The interface of the router in the new configuration, or in the old one if the router is
    /// removed.
    pub interface: InterfaceName,
    /// The VRID, from the same configuration as `interface`.
    pub vrid: Vrid,
    /// What the reload does to the router.
    pub step: RouterStep,
}

/// What a reload does to a router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouterStep {
    /// The router is new, and starts.
    Add,
    /// The router hands over, and is then removed.
    Remove,
    /// The router keeps its state and timers, and takes the new values.
    Retune(Vec<Change>),
    /// The router hands over, and another one starts in its place, because the interface, the VRID
    /// or the set of families changed.
    Rebuild(Vec<Change>),
    /// The reload does not affect the router.
    Unchanged,
}

/// What a reload does to one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckPlan {
    /// Name of the check, by which the two configurations are compared.
    pub name: CheckName,
    /// What the reload does to the check.
    pub step: CheckStep,
}

/// What a reload does to a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckStep {
    /// The check is new. Until its first result, it does not affect routers that run.
    Add,
    /// The check is stopped.
    Remove,
    /// The check is started again. Its last result counts until the first run has ended.
    Restart(Vec<Change>),
    /// The reload does not affect the check.
    Unchanged,
}

/// A change in `[agent]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentChange {
    /// The key that changed.
    pub change: Change,
    /// When the new value takes effect.
    pub effective: Effective,
}

/// When a change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effective {
    /// With the reload.
    Now,
    /// When the daemon is started again. Until then, the old value counts.
    Restart,
}

/// A key whose value changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Name of the key as in the file; `announce.delay` is in the table `announce`.
    pub key: &'static str,
    /// How the value differs.
    pub difference: Difference,
}

/// How a value changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A single value.
    Value {
        /// The old value.
        from: String,
        /// The new value.
        to: String,
    },
    /// A list. If both fields are empty, only the order changed.
    List {
        /// New elements, in the order of the new list.
        added: Vec<String>,
        /// Removed elements, in the order of the old list.
        removed: Vec<String>,
    },
}

impl Plan {
    /// The plan for going from the running configuration to a new one.
    #[must_use]
    pub fn new(old: &Config, new: &Config) -> Self {
        // All fields are named, so that the compiler reports a new one.
        let Config { agent, checks, routers, hooks } = new;
        let by_name = |specs: &'_ [RouterSpec]| -> BTreeMap<RouterName, RouterSpec> {
            specs.iter().map(|spec| (spec.name.clone(), spec.clone())).collect()
        };
        let (before, after) = (by_name(&old.routers), by_name(routers));
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let routers = names.into_iter().filter_map(|name| {
            let hooks = (old.hooks.get(name), hooks.get(name));
            router(before.get(name), after.get(name), hooks)
        });
        let by_name = |specs: &'_ [CheckSpec]| -> BTreeMap<CheckName, CheckSpec> {
            specs.iter().map(|spec| (spec.name.clone(), spec.clone())).collect()
        };
        let (before, after) = (by_name(&old.checks), by_name(checks));
        let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let checks = names.into_iter().filter_map(|name| {
            let step = check(before.get(name), after.get(name))?;
            Some(CheckPlan { name: name.clone(), step })
        });
        Self { routers: routers.collect(), checks: checks.collect(), agent: agent_changes(&old.agent, agent) }
    }

    /// Whether the reload changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.agent.is_empty()
            && self.routers.iter().all(|router| router.step == RouterStep::Unchanged)
            && self.checks.iter().all(|check| check.step == CheckStep::Unchanged)
    }
}

fn router(
    old: Option<&RouterSpec>,
    new: Option<&RouterSpec>,
    hooks: (Option<&RouterHooks>, Option<&RouterHooks>),
) -> Option<RouterPlan> {
    let step = match (old, new) {
        (None, None) => return None,
        (None, Some(_)) => RouterStep::Add,
        (Some(_), None) => RouterStep::Remove,
        (Some(old), Some(new)) => {
            let mut changes = router_changes(old, new);
            changes.extend(hook_changes(hooks.0, hooks.1));
            if !old.is_same_instance(new) {
                RouterStep::Rebuild(changes)
            } else if old == new && hooks.0 == hooks.1 {
                RouterStep::Unchanged
            } else {
                RouterStep::Retune(changes)
            }
        }
    };
    let spec = new.or(old)?;
    Some(RouterPlan { name: spec.name.clone(), interface: spec.interface, vrid: spec.vrid, step })
}

fn router_changes(old: &RouterSpec, new: &RouterSpec) -> Vec<Change> {
    let RouterSpec {
        name: _,
        interface,
        address_interface: _, // It follows from the interface, and has no key.
        vrid,
        role,
        interval,
        down_adverts,
        preempt_delay,
        checksum,
        link_local,
        source_address,
        destinations,
        accept_from,
        instances,
        tracks,
        announce,
        drain,
    } = new;
    let AnnounceSpec { repeat, delay, refresh } = announce;
    let source = |address: Option<std::net::IpAddr>| {
        address.map_or_else(|| "the first of the interface".to_owned(), |address| address.to_string())
    };
    let (peers, min_ttl) = nodes(destinations);
    let (old_peers, old_min_ttl) = nodes(&old.destinations);
    let (addresses, excluded) = lists(instances);
    let (old_addresses, old_excluded) = lists(&old.instances);
    let before = &old.announce;
    [
        value("interface", old.interface, interface),
        value("vrid", old.vrid, vrid),
        value("version", old.version().number(), new.version().number()),
        secret("password", old.password(), new.password()),
        value("priority", rank(old.role), rank(*role)),
        list("addresses", &old_addresses, &addresses),
        list("excluded_addresses", &old_excluded, &excluded),
        value("link_local", rule(old.link_local), rule(*link_local)),
        value("advertise_interval", written(old.interval.period()), written(interval.period())),
        value("down_adverts", old.down_adverts, down_adverts),
        value("preempt", preempt(old.role), preempt(*role)),
        value("preempt_delay", written(old.preempt_delay), written(*preempt_delay)),
        value("source_address", source(old.source_address), source(*source_address)),
        list("unicast_peers", &old_peers, &peers),
        value("min_ttl", old_min_ttl, min_ttl),
        list("accept_from", &hosts(&old.accept_from), &hosts(accept_from)),
        value("checksum", checksum_text(old.checksum), checksum_text(*checksum)),
        value("drain", written(old.drain), written(*drain)),
        list("track", &tracked(&old.tracks), &tracked(tracks)),
        value("announce.repeat", before.repeat, repeat),
        value("announce.delay", written(before.delay), written(*delay)),
        value("announce.refresh", written(before.refresh), written(*refresh)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The changes of a router's hooks. Without commands, the other keys of the hooks have no effect
/// and are not compared.
fn hook_changes(old: Option<&RouterHooks>, new: Option<&RouterHooks>) -> Vec<Change> {
    let command = |hooks: Option<&RouterHooks>, kind| {
        let command = hooks.and_then(|hooks| hooks.commands.get(&kind));
        command.map_or_else(|| "none".to_owned(), |command| command.join(" "))
    };
    let kinds = [HookKind::BeforeActive, HookKind::OnTransition, HookKind::OnDrain, HookKind::AfterRelease];
    let mut changes: Vec<_> = kinds
        .into_iter()
        .filter_map(|kind| value(kind.as_str(), command(old, kind), command(new, kind)))
        .collect();
    if let (Some(old), Some(new)) = (old, new) {
        let RouterHooks { commands: _, timeout, before_active_timeout, user } = new;
        let patience = (written(old.before_active_timeout), written(*before_active_timeout));
        changes.extend(value("hook_timeout", written(old.timeout), written(*timeout)));
        changes.extend(value("before_active_timeout", patience.0, patience.1));
        changes.extend(value("hook_user", account(old.user.as_ref()), account(user.as_ref())));
    }
    changes
}

fn check(old: Option<&CheckSpec>, new: Option<&CheckSpec>) -> Option<CheckStep> {
    let (old, new) = match (old, new) {
        (None, None) => return None,
        (None, Some(_)) => return Some(CheckStep::Add),
        (Some(_), None) => return Some(CheckStep::Remove),
        (Some(old), Some(new)) => (old, new),
    };
    let CheckSpec { name: _, command, interval, timeout, rise, fall, user } = new;
    let changes: Vec<_> = [
        value("command", old.command.join(" "), command.join(" ")),
        value("interval", written(old.interval), written(*interval)),
        value("timeout", written(old.timeout), written(*timeout)),
        value("rise", old.rise, rise),
        value("fall", old.fall, fall),
        value("user", account(old.user.as_ref()), account(user.as_ref())),
    ]
    .into_iter()
    .flatten()
    .collect();
    // The lists `["a b"]` and `["a", "b"]` have the same text, so the values themselves are
    // compared.
    Some(if old == new { CheckStep::Unchanged } else { CheckStep::Restart(changes) })
}

fn agent_changes(old: &Agent, new: &Agent) -> Vec<AgentChange> {
    let Agent { node_name, realtime, peer_key_file, peer_port, metrics } = new;
    let name = |name: Option<&String>| name.cloned().unwrap_or_else(|| "the host name".to_owned());
    let real = |realtime| match realtime {
        Realtime::Off => "false",
        Realtime::On => "true",
    };
    let file =
        |file: Option<&PathBuf>| file.map_or_else(|| "none".to_owned(), |file| file.display().to_string());
    let listener =
        |address: Option<SocketAddr>| address.map_or_else(|| "off".to_owned(), |address| address.to_string());
    let now = [
        value("node_name", name(old.node_name.as_ref()), name(node_name.as_ref())),
        value("peer_key_file", file(old.peer_key_file.as_ref()), file(peer_key_file.as_ref())),
        value("peer_port", old.peer_port, peer_port),
        value("metrics", listener(old.metrics), listener(*metrics)),
    ];
    let restart = value("realtime", real(old.realtime), real(*realtime));
    let with = |effective| move |change| AgentChange { change, effective };
    now.into_iter().flatten().map(with(Effective::Now)).chain(restart.map(with(Effective::Restart))).collect()
}

fn value(key: &'static str, from: impl Display, to: impl Display) -> Option<Change> {
    let (from, to) = (from.to_string(), to.to_string());
    (from != to).then_some(Change { key, difference: Difference::Value { from, to } })
}

/// A value that is not shown, because everybody may read a plan.
fn secret<T: PartialEq>(key: &'static str, from: Option<T>, to: Option<T>) -> Option<Change> {
    let shown = |secret: &Option<T>, set: &str| match secret {
        Some(_) => set.to_owned(),
        None => "none".to_owned(),
    };
    let (old, new) = (shown(&from, "the old one"), shown(&to, "the new one"));
    (from != to).then_some(Change { key, difference: Difference::Value { from: old, to: new } })
}

fn list(key: &'static str, from: &[String], to: &[String]) -> Option<Change> {
    let without = |all: &[String], others: &[String]| -> Vec<String> {
        all.iter().filter(|one| !others.contains(one)).cloned().collect()
    };
    let difference = || Difference::List { added: without(to, from), removed: without(from, to) };
    (from != to).then(|| Change { key, difference: difference() })
}

/// The advertised addresses of all families, and the addresses that are not advertised.
fn lists(instances: &[InstanceSpec]) -> (Vec<String>, Vec<String>) {
    let text =
        |of: fn(&InstanceSpec) -> &[IpNet]| instances.iter().flat_map(of).map(IpNet::to_string).collect();
    (text(|instance| &instance.addresses), text(|instance| &instance.excluded))
}

/// The nodes that are listed, and the least TTL that their advertisements may have.
fn nodes(destinations: &Destinations) -> (Vec<String>, NonZeroU8) {
    match destinations {
        Destinations::Multicast => (Vec::new(), NonZeroU8::MAX),
        Destinations::Unicast(UnicastPeers { addresses, min_ttl }) => (hosts(addresses), *min_ttl),
    }
}

fn hosts(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(IpAddr::to_string).collect()
}

fn tracked(tracks: &[Track]) -> Vec<String> {
    let text = |track: &Track| match track.consequence {
        Consequence::Fault => track.watched.to_string(),
        Consequence::Weight(weight) => format!("{}, weight {weight}", track.watched),
    };
    tracks.iter().map(text).collect()
}

fn rank(role: Role) -> String {
    match role {
        Role::Owner => "owner".to_owned(),
        Role::Contender { priority, .. } => priority.to_string(),
    }
}

/// The value of `preempt`; an owner always preempts.
const fn preempt(role: Role) -> &'static str {
    match role {
        Role::Owner | Role::Contender { preempt: Preempt::Allow, .. } => "true",
        Role::Contender { preempt: Preempt::Forbid, .. } => "false",
    }
}

const fn rule(rule: LinkLocalRule) -> &'static str {
    match rule {
        LinkLocalRule::Require => "auto",
        LinkLocalRule::Lenient => "none",
    }
}

fn account(user: Option<&String>) -> String {
    user.cloned().unwrap_or_else(|| "the daemon's".to_owned())
}
