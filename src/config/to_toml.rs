//! Writes a configuration as TOML, so that reading the text gives an equal configuration.
//!
//! No program calls this yet: it is for a command that shows the configuration which runs, and for
//! one that converts the files of keepalived.
//!
//! A key is written if its value is not the default, and the keys of a table stand in the order of
//! `schema`. What `[defaults]` says stands in each router, because a [`Config`] does not know where
//! a value came from. The text has no comments. Values are quoted by the crate `toml`. This module
//! must not decide what is legal: that is `resolve`'s.

use super::address::{is_link_local, virtual_link_local};
use super::duration::text as duration;
use super::schema::{AGENT, ANNOUNCE, CHECK, ROUTER, Schema};
use super::{Agent, CheckSpec, Config, Realtime, RouterHooks, value};
use crate::protocol::{
    AnnounceSpec, ChecksumPolicy, Consequence, InstanceSpec, LinkLocalRule, RouterSpec, Track,
};
use crate::types::{
    AdverInterval, AuthPassword, Destinations, Family, Preempt, Role, UnicastPeers, Version, Vrid,
};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;
use toml::Value;

/// A text from which [`super::resolve()`] reads a configuration that is equal to `config`.
#[must_use]
pub fn to_toml(config: &Config) -> String {
    let Config { agent: own, checks, routers, hooks } = config;
    let mut tables = vec![agent(own)];
    tables.extend(checks.iter().map(check));
    for spec in routers {
        tables.push(router(spec, hooks.get(&spec.name)));
        tables.push(announce(&spec.announce));
    }
    let written: Vec<_> =
        tables.iter().filter(|table| !table.values.is_empty()).map(TomlTable::text).collect();
    written.join("\n")
}

/// The keys of one table that are written.
#[derive(Debug)]
struct TomlTable {
    schema: &'static Schema,
    values: BTreeMap<&'static str, Value>,
}

impl TomlTable {
    fn new(schema: &'static Schema) -> Self {
        Self { schema, values: BTreeMap::new() }
    }

    fn set(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        debug_assert!(self.schema.key(key).is_some(), "{key} is not a key of {}", self.schema.header);
        self.values.insert(key, value.into());
        self
    }

    /// Sets the key if there is a value for it.
    fn set_some(self, key: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(key, value),
            None => self,
        }
    }

    /// Sets the key unless its value is the default.
    fn set_other<T: PartialEq, V: Into<Value>>(
        self,
        key: &'static str,
        value: T,
        default: T,
        written: impl Fn(T) -> V,
    ) -> Self {
        if value == default { self } else { self.set(key, written(value)) }
    }

    fn text(&self) -> String {
        let in_order = self.schema.keys().filter_map(|known| self.values.get_key_value(known.name));
        let lines: String = in_order.map(|(key, value)| format!("{key} = {value}\n")).collect();
        format!("{}\n{lines}", self.schema.header)
    }
}

fn agent(agent: &Agent) -> TomlTable {
    let Agent { node_name, realtime, peer_key_file, peer_port, metrics } = agent;
    let flag = |realtime| match realtime {
        Realtime::Off => false,
        Realtime::On => true,
    };
    let key_file = peer_key_file.as_ref().map(|file| file.display().to_string());
    TomlTable::new(&AGENT)
        .set_some("node_name", node_name.clone())
        .set_other("realtime", *realtime, Realtime::default(), flag)
        .set_some("peer_key_file", key_file)
        .set_other("peer_port", *peer_port, Agent::DEFAULT_PEER_PORT, i64::from)
        .set_some("metrics", metrics.map(|address| address.to_string()))
}

fn check(check: &CheckSpec) -> TomlTable {
    let CheckSpec { name, command, interval, timeout, rise, fall, user } = check;
    TomlTable::new(&CHECK)
        .set("name", &*name.0)
        .set("command", command.clone())
        .set_other("interval", *interval, CheckSpec::DEFAULT_INTERVAL, duration)
        .set_other("timeout", *timeout, CheckSpec::default_timeout(*interval), duration)
        .set_other("rise", *rise, CheckSpec::DEFAULT_RISE, i64::from)
        .set_other("fall", *fall, CheckSpec::DEFAULT_FALL, i64::from)
        .set_some("user", user.clone())
}

fn router(spec: &RouterSpec, hooks: Option<&RouterHooks>) -> TomlTable {
    let RouterSpec {
        name,
        interface,
        vrid,
        role: own_role,
        interval,
        down_adverts,
        preempt_delay,
        checksum,
        link_local,
        source_address,
        destinations,
        accept_from,
        // No key says another than `interface`.
        address_interface: _,
        instances,
        tracks,
        announce: _,
        drain,
    } = spec;
    let (peers, min_ttl) = match destinations {
        Destinations::Multicast => (&[][..], NonZeroU8::MAX),
        Destinations::Unicast(UnicastPeers { addresses, min_ttl }) => (addresses.as_slice(), *min_ttl),
    };
    let excluded = instances.iter().flat_map(|InstanceSpec { excluded, .. }| excluded);
    let table = TomlTable::new(&ROUTER)
        .set("name", name.as_str())
        .set("interface", interface.as_str())
        .set("vrid", i64::from(vrid.get()))
        .set_other("version", spec.version(), Version::default(), |version| i64::from(version.number()))
        .set_some("password", spec.password().map(AuthPassword::to_text))
        .set_other("excluded_addresses", texts(excluded), Vec::new(), Value::Array)
        .set_other("advertise_interval", interval.period(), AdverInterval::default().period(), duration)
        .set_other("down_adverts", *down_adverts, RouterSpec::DEFAULT_DOWN_ADVERTS, |n| i64::from(n.get()))
        .set_other("preempt_delay", *preempt_delay, Duration::ZERO, duration)
        .set_other("drain", *drain, Duration::ZERO, duration)
        .set_some("source_address", source_address.map(|address| address.to_string()))
        .set_other("unicast_peers", hosts(peers), Vec::new(), Value::Array)
        .set_other("min_ttl", min_ttl, NonZeroU8::MAX, |ttl| i64::from(ttl.get()))
        .set_other("accept_from", hosts(accept_from), Vec::new(), Value::Array)
        .set_other("checksum", *checksum, ChecksumPolicy::default(), value::checksum_text)
        .set_other("track", tracks.iter().map(track).collect(), Vec::new(), Value::Array);
    let table = role(table, *own_role);
    let table = addresses(table, *vrid, *link_local, instances);
    match hooks {
        Some(hooks) => self::hooks(table, hooks),
        None => table,
    }
}

/// The priority is written in any case: the node with the highest one serves, and a router that
/// has both families and no `priority` is warned about.
fn role(table: TomlTable, role: Role) -> TomlTable {
    match role {
        Role::Owner => table.set("priority", "owner"),
        Role::Contender { priority, preempt } => table.set("priority", i64::from(priority.get())).set_other(
            "preempt",
            preempt,
            Preempt::Allow,
            |preempt| match preempt {
                Preempt::Allow => true,
                Preempt::Forbid => false,
            },
        ),
    }
}

/// The addresses of all families. The link-local address with which the IPv6 addresses begin is
/// left out if it is the one that is added to a list without any. Otherwise `link_local` has it,
/// unless it is the only IPv6 address.
fn addresses(table: TomlTable, vrid: Vrid, rule: LinkLocalRule, instances: &[InstanceSpec]) -> TomlTable {
    let mut listed: Vec<IpNet> = Vec::new();
    let mut link_local = None;
    for InstanceSpec { family, addresses, version: _, authentication: _, excluded: _ } in instances {
        match (family, rule, addresses.as_slice()) {
            (Family::Ipv6, LinkLocalRule::Require, [first, others @ ..]) if !others.is_empty() => {
                let is_added =
                    *first == virtual_link_local(vrid) && !others.iter().any(|net| is_link_local(net.addr()));
                link_local = (!is_added).then(|| link_local_text(*first));
                listed.extend(others);
            }
            (Family::Ipv6, LinkLocalRule::Lenient, all) => {
                link_local = Some("none".to_owned());
                listed.extend(all);
            }
            (Family::Ipv4 | Family::Ipv6, LinkLocalRule::Require | LinkLocalRule::Lenient, all) => {
                listed.extend(all);
            }
        }
    }
    table.set("addresses", texts(&listed)).set_some("link_local", link_local)
}

/// Without its prefix length if that is the usual one: then `link_local` may be any link-local
/// address, and a list may not have `fe80::/64`.
fn link_local_text(net: IpNet) -> String {
    if net.prefix_len() == 64 { net.addr().to_string() } else { net.to_string() }
}

fn hosts(addresses: &[IpAddr]) -> Vec<Value> {
    addresses.iter().map(|address| Value::from(address.to_string())).collect()
}

fn texts<'n>(nets: impl IntoIterator<Item = &'n IpNet>) -> Vec<Value> {
    nets.into_iter().map(|net| Value::from(net.to_string())).collect()
}

fn track(track: &Track) -> Value {
    let (kind, name) = track.watched.kind_and_name();
    let mut entry = toml::Table::from_iter([(kind.to_owned(), Value::from(name))]);
    match track.consequence {
        Consequence::Fault => {}
        Consequence::Weight(weight) => drop(entry.insert("weight".to_owned(), i64::from(weight).into())),
    }
    Value::Table(entry)
}

fn hooks(table: TomlTable, hooks: &RouterHooks) -> TomlTable {
    let RouterHooks { commands, timeout, before_active_timeout, user } = hooks;
    commands
        .iter()
        .fold(table, |table, (hook, command)| table.set(hook.as_str(), command.clone()))
        .set_other("hook_timeout", *timeout, RouterHooks::DEFAULT_TIMEOUT, duration)
        .set_other(
            "before_active_timeout",
            *before_active_timeout,
            RouterHooks::DEFAULT_BEFORE_ACTIVE_TIMEOUT,
            duration,
        )
        .set_some("hook_user", user.clone())
}

fn announce(announce: &AnnounceSpec) -> TomlTable {
    let AnnounceSpec { repeat, delay, refresh } = *announce;
    let usual = AnnounceSpec::default();
    TomlTable::new(&ANNOUNCE)
        .set_other("repeat", repeat, usual.repeat, |n| i64::from(n.get()))
        .set_other("delay", delay, usual.delay, duration)
        .set_other("refresh", refresh, usual.refresh, duration)
}
