//! The configuration as it is written in the file: every key that this version supports, with its
//! type and place. Defaults, and everything that concerns two keys at once, are handled by
//! `resolve`.

use super::document::{Item, Key, Table, not_yet};
use super::problem::Problems;
use super::schema::{self, Schema};
use super::value::{self, RawAddresses, RawLinkLocal, RawRole};
use super::{Agent, Realtime};
use crate::protocol::{CheckName, ChecksumPolicy};
use crate::types::{AdverInterval, AuthPassword, InterfaceName, Preempt, RouterName, Version, Vrid};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeTable;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// The longest time that a takeover may wait for `before_active`, because no router serves in that
/// time.
const LONGEST_PREPARATION: Duration = Duration::from_secs(10);

/// The advice for an empty file.
const SMALLEST: &str = "add at least:\n[[virtual_router]]\nname = \"web\"\ninterface = \"eth0\"\n\
                        vrid = 51  # from 1 to 255: the same on all nodes, and that of nobody else on this link\naddresses = [\"192.0.2.50/24\"]";

/// All that the file says.
#[derive(Debug)]
pub(super) struct RawConfig {
    pub(super) node_name: Key<String>,
    pub(super) realtime: Key<Realtime>,
    pub(super) peer_key_file: Key<PathBuf>,
    pub(super) peer_port: Key<u16>,
    pub(super) metrics: Key<SocketAddr>,
    pub(super) defaults: RouterKeys,
    pub(super) checks: Vec<RawCheck>,
    pub(super) routers: Vec<RawRouter>,
}

/// The keys of one `[[check]]`.
#[derive(Debug)]
pub(super) struct RawCheck {
    pub(super) span: Range<usize>,
    pub(super) name: Key<CheckName>,
    pub(super) command: Key<Vec<String>>,
    pub(super) interval: Key<Duration>,
    pub(super) timeout: Key<Duration>,
    pub(super) rise: Key<NonZeroU8>,
    pub(super) fall: Key<NonZeroU8>,
    pub(super) user: Key<String>,
}

/// The keys of one `[[virtual_router]]`.
#[derive(Debug)]
pub(super) struct RawRouter {
    pub(super) span: Range<usize>,
    pub(super) name: Key<RouterName>,
    pub(super) vrid: Key<Vrid>,
    pub(super) addresses: Key<RawAddresses>,
    pub(super) keys: RouterKeys,
}

/// The keys that `[[virtual_router]]` and `[defaults]` have in common.
#[derive(Debug)]
pub(super) struct RouterKeys {
    pub(super) interface: Key<InterfaceName>,
    pub(super) version: Key<Version>,
    pub(super) password: Key<AuthPassword>,
    pub(super) role: Key<RawRole>,
    pub(super) excluded: Key<RawAddresses>,
    pub(super) link_local: Key<RawLinkLocal>,
    pub(super) interval: Key<AdverInterval>,
    pub(super) down_adverts: Key<NonZeroU8>,
    pub(super) preempt: Key<Preempt>,
    pub(super) preempt_delay: Key<Duration>,
    pub(super) drain: Key<Duration>,
    pub(super) source_address: Key<IpAddr>,
    pub(super) unicast_peers: Key<Vec<Spanned<IpAddr>>>,
    pub(super) min_ttl: Key<NonZeroU8>,
    pub(super) accept_from: Key<Vec<Spanned<IpAddr>>>,
    pub(super) checksum: Key<ChecksumPolicy>,
    pub(super) tracks: Key<Vec<RawTrack>>,
    pub(super) repeat: Key<NonZeroU8>,
    pub(super) delay: Key<Duration>,
    pub(super) refresh: Key<Duration>,
    pub(super) hooks: HookKeys,
}

/// The keys of hooks. An empty list means that there is no hook, so that a router can switch a
/// default off.
#[derive(Debug)]
pub(super) struct HookKeys {
    pub(super) before_active: Key<Vec<String>>,
    pub(super) on_transition: Key<Vec<String>>,
    pub(super) on_drain: Key<Vec<String>>,
    pub(super) after_release: Key<Vec<String>>,
    pub(super) timeout: Key<Duration>,
    pub(super) before_active_timeout: Key<Duration>,
    pub(super) user: Key<String>,
}

/// One entry of `track`.
#[derive(Debug, Clone)]
pub(super) enum RawTrack {
    Check { check: Spanned<CheckName>, weight: Option<Spanned<i16>> },
    Interface(Spanned<InterfaceName>),
}

/// Reads all tables of the document.
pub(super) fn read(root: &Spanned<DeTable<'_>>, problems: &mut Problems) -> RawConfig {
    let before = problems.error_count();
    let root = Table::open(&schema::ROOT, root.span(), root.get_ref(), problems);
    let routers = root.tables("virtual_router", &schema::ROUTER, problems);
    if routers.is_empty() && problems.error_count() == before {
        problems.error(0..0, "there is no [[virtual_router]]: this node would do nothing", SMALLEST);
    }
    let agent = root.table("agent", &schema::AGENT, problems);
    let defaults = root.table("defaults", &schema::DEFAULTS, problems);
    let checks = root.tables("check", &schema::CHECK, problems);
    RawConfig {
        node_name: maybe(&agent, "node_name", problems, |i, p| value::word(i, "\"fe0\"", p)),
        realtime: maybe(&agent, "realtime", problems, realtime),
        peer_key_file: maybe(&agent, "peer_key_file", problems, |i, p| {
            value::path(i, "\"/etc/vrrpd/peer.key\"", p)
        }),
        peer_port: maybe(&agent, "peer_port", problems, peer_port),
        metrics: maybe(&agent, "metrics", problems, value::listener),
        defaults: router_keys(&defaults, &schema::DEFAULTS_ANNOUNCE, problems),
        checks: checks.into_iter().map(|table| check(&table, problems)).collect(),
        routers: routers.into_iter().map(|table| router(table, problems)).collect(),
    }
}

/// Reads a key of a table that may be absent.
fn maybe<'d, T>(
    table: &Option<Table<'d>>,
    key: &'static str,
    problems: &mut Problems,
    read: impl FnOnce(Item<'d>, &mut Problems) -> Option<T>,
) -> Key<T> {
    table.as_ref().map_or(Key::Absent, |table| table.key(key, problems, read))
}

fn realtime(item: Item<'_>, problems: &mut Problems) -> Option<Realtime> {
    value::flag(item, problems).map(|on| if on { Realtime::On } else { Realtime::Off })
}

fn peer_port(item: Item<'_>, problems: &mut Problems) -> Option<u16> {
    let port = value::number(item, 1..=i64::from(u16::MAX), i64::from(Agent::DEFAULT_PEER_PORT), problems)?;
    u16::try_from(port).ok()
}

fn check(table: &Table<'_>, p: &mut Problems) -> RawCheck {
    let shortest = Duration::from_millis(10);
    let interval = Duration::from_millis(100);
    // A check of a kind that a later version will support needs no command, and has been reported
    // already.
    let later = table.item("tcp").or(table.item("http"));
    RawCheck {
        span: table.span(),
        name: table.key("name", p, value::check_name),
        command: match (table.key("command", p, value::command), later) {
            (Key::Absent, Some(_)) => Key::Wrong,
            (command, _) => command,
        },
        interval: table.key("interval", p, |i, p| value::duration(i, interval..=HOUR, "2s", p)),
        timeout: table.key("timeout", p, |i, p| value::duration(i, shortest..=HOUR, "1s", p)),
        rise: table.key("rise", p, |i, p| value::count(i, u8::MAX, 2, p)),
        fall: table.key("fall", p, |i, p| value::count(i, u8::MAX, 3, p)),
        user: table.key("user", p, |i, p| value::word(i, "\"vrrpd-check\"", p)),
    }
}

fn router(table: Table<'_>, p: &mut Problems) -> RawRouter {
    RawRouter {
        span: table.span(),
        name: table.key("name", p, value::router_name),
        vrid: table.key("vrid", p, value::vrid),
        addresses: table.key("addresses", p, value::addresses),
        keys: router_keys(&Some(table), &schema::ANNOUNCE, p),
    }
}

fn router_keys(table: &Option<Table<'_>>, announce: &'static Schema, p: &mut Problems) -> RouterKeys {
    maybe(table, "accept", p, accept);
    let announce = table.as_ref().and_then(|table| table.table("announce", announce, p));
    RouterKeys {
        interface: maybe(table, "interface", p, value::interface),
        version: maybe(table, "version", p, version),
        password: maybe(table, "password", p, value::password),
        role: maybe(table, "priority", p, value::role),
        excluded: maybe(table, "excluded_addresses", p, value::addresses),
        link_local: maybe(table, "link_local", p, value::link_local),
        interval: maybe(table, "advertise_interval", p, value::adver_interval),
        down_adverts: maybe(table, "down_adverts", p, |i, p| value::count(i, u8::MAX, 3, p)),
        preempt: maybe(table, "preempt", p, value::preempt),
        preempt_delay: maybe(table, "preempt_delay", p, |i, p| {
            value::duration(i, Duration::ZERO..=HOUR, "30s", p)
        }),
        drain: maybe(table, "drain", p, |i, p| value::duration(i, Duration::ZERO..=DAY, "10m", p)),
        source_address: maybe(table, "source_address", p, value::source_address),
        unicast_peers: maybe(table, "unicast_peers", p, value::hosts),
        min_ttl: maybe(table, "min_ttl", p, |i, p| value::count(i, u8::MAX, 255, p)),
        accept_from: maybe(table, "accept_from", p, value::hosts),
        checksum: maybe(table, "checksum", p, value::checksum),
        tracks: maybe(table, "track", p, tracks),
        repeat: maybe(&announce, "repeat", p, |i, p| value::count(i, 100, 5, p)),
        delay: maybe(&announce, "delay", p, |i, p| value::duration(i, Duration::ZERO..=HOUR, "5s", p)),
        refresh: maybe(&announce, "refresh", p, refresh),
        hooks: hook_keys(table, p),
    }
}

fn hook_keys(table: &Option<Table<'_>>, p: &mut Problems) -> HookKeys {
    let shortest = Duration::from_millis(10);
    HookKeys {
        before_active: maybe(table, "before_active", p, value::optional_command),
        on_transition: maybe(table, "on_transition", p, value::optional_command),
        on_drain: maybe(table, "on_drain", p, value::optional_command),
        after_release: maybe(table, "after_release", p, value::optional_command),
        timeout: maybe(table, "hook_timeout", p, |i, p| value::duration(i, shortest..=HOUR, "10s", p)),
        before_active_timeout: maybe(table, "before_active_timeout", p, |i, p| {
            value::duration(i, shortest..=LONGEST_PREPARATION, "500ms", p)
        }),
        user: maybe(table, "hook_user", p, |i, p| value::word(i, "\"vrrpd-hook\"", p)),
    }
}

/// A period of zero, or of at least one second, because each round sends a frame for each address.
fn refresh(item: Item<'_>, problems: &mut Problems) -> Option<Duration> {
    let period = value::duration(item, Duration::ZERO..=DAY, "60s", problems)?;
    if !period.is_zero() && period < Duration::from_secs(1) {
        item.refuse_for("\"0s\", or \"1s\" and more", "refresh = \"1s\"", problems);
        return None;
    }
    Some(period)
}

/// The version of VRRP.
fn version(item: Item<'_>, problems: &mut Problems) -> Option<Version> {
    let number = value::number(item, 2..=3, 3, problems)?;
    u8::try_from(number).ok().and_then(Version::of_number)
}

/// Accept_Mode (RFC 9568 §6.1), which can only be true in this version of vrrpd.
fn accept(item: Item<'_>, problems: &mut Problems) -> Option<()> {
    if value::flag(item, problems)? {
        return Some(());
    }
    not_yet(item.span(), "`accept = false`", "remove it: true is the default", problems);
    None
}

fn tracks(item: Item<'_>, problems: &mut Problems) -> Option<Vec<RawTrack>> {
    let example = "for example track = [{ check = \"nginx\" }]";
    let Some(elements) = item.elements() else {
        item.refuse("a list", example, problems);
        return None;
    };
    let mut tracks = Vec::new();
    for element in elements {
        match element.value.as_table() {
            Some(entries) => {
                let before = problems.error_count();
                let table = Table::open(&schema::TRACK, element.span(), entries, problems);
                let track = track(&table, problems);
                if track.is_none() && problems.error_count() == before {
                    let help = "write { check = \"NAME\" } or { interface = \"NAME\" }";
                    problems.error(table.span(), "this entry of `track` names nothing to track", help);
                }
                tracks.extend(track);
            }
            None => element.refuse("a list of tables", example, problems),
        }
    }
    Some(tracks)
}

/// One entry of `track`: exactly one thing that is tracked, and a weight if that thing can have
/// one. Returns `None` if the entry is invalid, which is reported here unless the entry is empty.
fn track(table: &Table<'_>, problems: &mut Problems) -> Option<RawTrack> {
    let check = table.key("check", problems, value::check_name);
    let interface = table.key("interface", problems, value::interface);
    let weight = table.key("weight", problems, value::weight);
    match (check, interface) {
        (Key::Set(check), Key::Absent) => Some(RawTrack::Check { check, weight: weight.spanned().cloned() }),
        (Key::Absent, Key::Set(interface)) => match weight {
            Key::Absent => Some(RawTrack::Interface(interface)),
            Key::Wrong => None,
            Key::Set(weight) => {
                let instead = "remove it: an interface that is down is then a fault";
                not_yet(weight.span(), "`weight` of an interface", instead, problems);
                None
            }
        },
        (Key::Wrong | Key::Set(_), Key::Wrong | Key::Set(_)) => {
            let help = "write two entries: { check = … }, { interface = … }";
            problems.error(table.span(), "this entry of `track` names two things", help);
            None
        }
        (Key::Absent, Key::Absent) | (Key::Wrong, Key::Absent) | (Key::Absent, Key::Wrong) => None,
    }
}
