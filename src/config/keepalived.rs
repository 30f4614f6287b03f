//! Keywords of keepalived, and what to write in vrrpd instead. They are looked up before the
//! nearest of our own names, because the nearest name to `nopreempt` is `preempt`, which means the
//! opposite.

use super::correction;
use super::schema;

/// What replaces a keyword of keepalived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replacement {
    /// One of our keys with the same meaning, and an example for values that cannot be converted.
    Key(&'static str, Example),
    /// As [`Self::Key`], for a key of `[virtual_router.announce]`.
    Announce(&'static str, Example),
    /// A line to write, whatever the value of the keyword is.
    Line(&'static str),
    /// A sentence that says what to do instead.
    Advice(&'static str),
}

use Replacement::{Advice, Announce, Key, Line};

/// The advice when the value of the keyword cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Example {
    /// An example value.
    Sample(&'static str),
    /// There is no example, because the value must be the right one; this text says where the
    /// operator finds it (docs/adr/0023).
    Described(&'static str),
}

use Example::{Described, Sample};

const PASSWORD: &str = "remove it: VRRPv3 has no authentication. VRRPv2 has: write version = 2, and as password \
                        the first 8 octets of auth_pass";
const LATER: &str = "remove it: not supported by this version yet";
const HOOK: &str = "on_transition = [\"/etc/vrrpd/notify\"]; VRRPD_STATE has the new state";
const IPVS: &str = "remove it: vrrpd moves addresses and balances no load (IPVS). haproxy and nginx do \
                    that, or keep keepalived for it";
const MAIL: &str = "remove it: vrrpd sends no mail. A command in `on_transition` can";
const NEVER: &str = "remove it: the Active says so itself, at once";
const DEFAULT: &str = "remove it: vrrpd does so in any case";

/// The keywords of keepalived. None of them is also a key of ours.
pub(super) const WORDS: &[(&str, Replacement)] = &[
    // Blocks at the top level.
    ("vrrp_instance", Advice("write [[virtual_router]] with name, interface, vrid and addresses")),
    ("vrrp_script", Advice("write [[check]] with name and command")),
    ("global_defs", Advice("write [agent]; most of what keepalived has there is not needed")),
    (
        "vrrp_sync_group",
        Advice("remove it: not supported by this version yet. Both families of one router move together"),
    ),
    ("vrrp_track_file", Advice(LATER)),
    ("vrrp_track_process", Advice(LATER)),
    ("track_file", Advice(LATER)),
    ("track_process", Advice(LATER)),
    ("track_bfd", Advice(LATER)),
    ("bfd_instance", Advice(LATER)),
    ("virtual_server", Advice(IPVS)),
    ("virtual_server_group", Advice(IPVS)),
    ("real_server", Advice(IPVS)),
    ("lvs_sync_daemon", Advice(IPVS)),
    ("lvs_flush", Advice(IPVS)),
    ("static_ipaddress", Advice("remove it: the system's own network configuration does that")),
    ("static_routes", Advice("remove it: the system's own network configuration does that")),
    ("static_rules", Advice("remove it: the system's own network configuration does that")),
    // global_defs
    ("router_id", Key("node_name", Sample("\"fe0\""))),
    ("vrrp_version", Key("version", Sample("2"))),
    ("script_user", Advice("write `user` in each [[check]] and `hook_user` in each [[virtual_router]]")),
    ("enable_script_security", Advice(DEFAULT)),
    ("dynamic_interfaces", Advice(DEFAULT)),
    ("vrrp_strict", Advice("remove it: vrrpd obeys RFC 9568 always")),
    ("vrrp_skip_check_adv_addr", Advice("remove it: the lists are compared always")),
    ("vrrp_mcast_group4", Advice("remove it: 224.0.0.18 is the only group of VRRP")),
    ("vrrp_mcast_group6", Advice("remove it: ff02::12 is the only group of VRRP")),
    ("notification_email", Advice(MAIL)),
    ("notification_email_from", Advice(MAIL)),
    ("smtp_server", Advice(MAIL)),
    ("smtp_connect_timeout", Advice(MAIL)),
    ("smtp_alert", Advice(MAIL)),
    ("vrrp_rt_priority", Advice("write realtime = true in [agent]")),
    ("vrrp_priority", Advice("write realtime = true in [agent]")),
    ("vrrp_no_swap", Advice("write realtime = true in [agent]")),
    // vrrp_instance
    ("virtual_router_id", Key("vrid", Described("the number that the other nodes of this router have"))),
    ("virtual_ipaddress", Key("addresses", Sample("[\"192.0.2.50/24\"]"))),
    ("virtual_ipaddress_excluded", Key("excluded_addresses", Sample("[\"192.0.2.51/24\"]"))),
    ("advert_int", Key("advertise_interval", Sample("\"1s\""))),
    ("mcast_src_ip", Key("source_address", Sample("\"192.0.2.10\""))),
    ("unicast_src_ip", Key("source_address", Sample("\"192.0.2.10\""))),
    ("down_timer_adverts", Key("down_adverts", Sample("3"))),
    ("nopreempt", Line("preempt = false")),
    ("no_accept", Advice("remove it: this version answers on the addresses always")),
    ("state", Advice("remove it: `priority` decides who is preferred")),
    ("authentication", Advice(PASSWORD)),
    ("auth_type", Advice(PASSWORD)),
    ("auth_pass", Key("password", Sample("\"secret\""))),
    ("unicast_peer", Key("unicast_peers", Sample("[\"192.0.2.11\"]"))),
    (
        "unicast_ttl",
        Advice("remove it: vrrpd sends with TTL 255. If a peer is behind a router, write `min_ttl` there"),
    ),
    ("mcast_dst_ip", Advice("remove it: 224.0.0.18 and ff02::12 are the only groups of VRRP")),
    ("use_vmac", Advice("remove it: this version uses the MAC address of the interface only")),
    ("use_vmac_addr", Advice("remove it: this version uses the MAC address of the interface only")),
    ("vmac_xmit_base", Advice("remove it: this version uses the MAC address of the interface only")),
    ("virtual_routes", Advice("remove it: a command in `on_transition` can set routes")),
    ("virtual_rules", Advice("remove it: a command in `on_transition` can set rules")),
    ("native_ipv6", Advice("remove it: one router may have `addresses` of both families")),
    ("dont_track_primary", Advice("remove it: the router's own interface is tracked in any case")),
    ("linkbeat_use_polling", Advice("remove it: the kernel tells when a link changes")),
    ("higher_prio_send_advert", Advice(NEVER)),
    ("garp_lower_prio_delay", Advice(DEFAULT)),
    ("garp_lower_prio_repeat", Advice(DEFAULT)),
    ("garp_interval", Advice("remove it: the rounds of a burst are spread in any case")),
    ("gna_interval", Advice("remove it: the rounds of a burst are spread in any case")),
    ("garp_master_delay", Announce("delay", Sample("\"5s\""))),
    ("garp_master_repeat", Announce("repeat", Sample("5"))),
    ("garp_master_refresh", Announce("refresh", Sample("\"60s\""))),
    ("garp_master_refresh_repeat", Advice("remove it: a refresh is one round")),
    ("vrrp_garp_master_delay", Announce("delay", Sample("\"5s\""))),
    ("vrrp_garp_master_repeat", Announce("repeat", Sample("5"))),
    ("vrrp_garp_master_refresh", Announce("refresh", Sample("\"60s\""))),
    ("track_script", Line("track = [{ check = \"NAME\" }]; the command stands in [[check]]")),
    ("track_interface", Line("track = [{ interface = \"eth1\" }]")),
    ("track_sync_group", Advice("write `track` in the router that it is for")),
    ("notify", Line(HOOK)),
    ("notify_master", Line(HOOK)),
    ("notify_backup", Line(HOOK)),
    ("notify_fault", Line(HOOK)),
    ("notify_stop", Line(HOOK)),
    ("notify_deleted", Line(HOOK)),
    ("notify_fifo", Line(HOOK)),
    // vrrp_script
    ("script", Key("command", Sample("[\"/usr/local/bin/check\"]"))),
    ("init_fail", Advice("remove it: a router waits for the first result of its checks")),
];

/// Keywords that begin a block of keepalived.conf.
const BLOCKS: [&str; 8] = [
    "vrrp_instance",
    "vrrp_script",
    "global_defs",
    "vrrp_sync_group",
    "virtual_server",
    "virtual_server_group",
    "virtual_ipaddress",
    "static_ipaddress",
];

/// The advice about a name, if it is a keyword of keepalived; `value` is the value that the
/// operator wrote.
pub(super) fn help(name: &str, value: Option<&str>) -> Option<String> {
    let (_, theirs) = WORDS.iter().find(|(word, _)| *word == name)?;
    let translated = |key: &str, example: Example| {
        let shape = schema::shape(key);
        match (shape.zip(value).and_then(|(shape, value)| correction::rewritten(shape, value)), example) {
            (Some(own), _) => format!("write {key} = {own}"),
            (None, Sample(example)) => format!("write for example {key} = {example}"),
            (None, Described(place)) => format!("write {key} = {place}"),
        }
    };
    Some(match theirs {
        Key(key, example) => translated(key, *example),
        Announce(key, example) => {
            format!("{}; it belongs to [virtual_router.announce]", translated(key, *example))
        }
        Line(line) => format!("write {line}"),
        Advice(advice) => (*advice).to_owned(),
    })
}

/// The key of ours that a keyword of keepalived stands for.
pub(super) fn key(name: &str) -> Option<&'static str> {
    match WORDS.iter().find(|(word, _)| *word == name)?.1 {
        Key(key, _) => Some(key),
        Announce(..) | Line(_) | Advice(_) => None,
    }
}

/// Where the text has a line that begins a block of keepalived.conf, which shows that the whole
/// file is one.
pub(super) fn whole_file(text: &str) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let words = line.trim_start();
        let start = at + line.len() - words.len();
        at += line.len();
        let block = words.split([' ', '\t', '{', '\n', '\r']).next().unwrap_or_default();
        if BLOCKS.contains(&block) && words.trim_end().ends_with('{') && !words.contains('=') {
            return Some(start..start + words.trim_end().len());
        }
    }
    None
}
