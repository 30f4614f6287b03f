//! A configuration that is written as TOML and read again is the same.

use super::{ROUTER, good, router_with};
use crate::config::schema::{self, Schema, Shape, Support};
use crate::config::{Config, resolve, to_toml};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

/// A text in which every key that [`Config`] has a place for is there, with another value than the
/// default, in the order in which it is written.
const EVERYTHING: &str = r#"[agent]
node_name = "fe0"
realtime = true
peer_key_file = "/etc/vrrpd/peer.key"
peer_port = 9700
metrics = "[::1]:9650"

[[check]]
name = "nginx"
command = ["/usr/bin/test", "", """it's "so"""", 'C:\']
interval = "500ms"
timeout = "200ms"
rise = 1
fall = 255
user = "vrrpd-check"

[[check]]
name = "haproxy"
command = ["/bin/true"]

[[virtual_router]]
name = "web"
interface = "eth0"
vrid = 51
priority = 150
addresses = ["192.0.2.50/24", "192.0.2.51/32", "2001:db8::50/64"]
excluded_addresses = ["192.0.2.60/24", "2001:db8::60/128"]
link_local = "fe80::7"
advertise_interval = "50ms"
down_adverts = 5
preempt = false
preempt_delay = "1m30s"
drain = "10m"
unicast_peers = ["192.0.2.10", "192.0.2.11", "2001:db8::11"]
min_ttl = 64
source_address = "192.0.2.10"
checksum = "rfc5798"
track = [{ check = "nginx" }, { check = "haproxy", weight = -60 }, { interface = "eth1" }]
on_transition = ["/etc/vrrpd/notify", "-v"]
before_active = ["/bin/a"]
on_drain = ["/bin/d"]
after_release = ["/bin/b"]
hook_timeout = "2s"
before_active_timeout = "20ms"
hook_user = "vrrpd-hook"

[virtual_router.announce]
repeat = 100
delay = "0s"
refresh = "1h"

[[virtual_router]]
name = "db"
interface = "eth1"
vrid = 52
priority = "owner"
addresses = ["2001:db8:1::50/64", "fe80::9/64"]
link_local = "none"
accept_from = ["fe80::8"]

[[virtual_router]]
name = "old"
interface = "eth2"
vrid = 53
version = 2
priority = 100
addresses = ["198.51.100.50/32"]
advertise_interval = "3m20s"
password = 's"cret'
"#;

/// Writes a configuration and reads the text again; returns the text.
fn written(config: &Config) -> String {
    let text = to_toml(config);
    let again = resolve(&text, "written.toml");
    match again {
        Ok(again) => assert_eq!(again.config, *config, "{text}"),
        Err(errors) => panic!("{errors:#?}\n{text}"),
    }
    text
}

#[test]
fn every_key_is_written_in_the_order_of_the_schema() {
    assert_eq!(written(&good(EVERYTHING)), EVERYTHING);
}

#[test]
fn a_value_that_is_the_default_is_not_written() {
    let least = format!("{ROUTER}priority = 100\naddresses = [\"192.0.2.50/24\"]\n");
    assert_eq!(written(&good(&router_with(""))), least);
    let explicit = include_str!("../../../config/vrrpd.toml");
    let text = written(&good(explicit));
    assert!(explicit.lines().count() > 2 * text.lines().count(), "{text}");
    for default in ["advertise_interval", "down_adverts", "rise", "interval =", "realtime", "announce"] {
        assert!(explicit.contains(default) && !text.contains(default), "{default}: {text}");
    }
}

/// A key that is new in the schema must be in [`EVERYTHING`], and so be written. Not written are
/// keys with one legal value only, and `[defaults]`, whose values stand in each router.
#[test]
fn no_key_of_the_schema_is_forgotten() {
    let text = to_toml(&good(EVERYTHING));
    let root: toml::Table = text.parse().unwrap();
    let mut missing = Vec::new();
    let mut look_at = |schema: &Schema, tables: &[&toml::Table]| {
        for key in schema.keys() {
            let fixed = match key.support {
                Support::Later(_) => true,
                Support::Now(Shape::Only(_)) => true,
                Support::Now(Shape::Number { least, most, .. }) => least == most,
                Support::Now(_) => key.name == "defaults",
            };
            let there = tables.iter().any(|table| table.contains_key(key.name));
            if there == fixed {
                missing.push(key.name);
            }
        }
    };
    let tables = |table: &toml::Table, key: &str| -> Vec<toml::Table> {
        table[key].as_array().unwrap().iter().map(|one| one.as_table().unwrap().clone()).collect()
    };
    let routers = tables(&root, "virtual_router");
    let (checks, tracks) = (tables(&root, "check"), tables(&routers[0], "track"));
    look_at(&schema::ROOT, &[&root]);
    look_at(&schema::AGENT, &[root["agent"].as_table().unwrap()]);
    look_at(&schema::CHECK, &checks.iter().collect::<Vec<_>>());
    look_at(&schema::ROUTER, &routers.iter().collect::<Vec<_>>());
    look_at(&schema::TRACK, &tracks.iter().collect::<Vec<_>>());
    look_at(&schema::ANNOUNCE, &[routers[0]["announce"].as_table().unwrap()]);
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn the_first_ipv6_address_is_the_same_however_it_was_written() {
    for (keys, lines) in [
        // The address that follows from the VRID is added, and not written.
        ("addresses = [\"2001:db8::5\"]", "addresses = [\"2001:db8::5/128\"]"),
        (
            "addresses = [\"2001:db8::5\", \"fe80::200:5eff:fe00:233/64\"]",
            "addresses = [\"2001:db8::5/128\"]",
        ),
        ("addresses = [\"fe80::200:5eff:fe00:233/64\"]", "addresses = [\"fe80::200:5eff:fe00:233/64\"]"),
        (
            "addresses = [\"fe80::200:5eff:fe00:233/64\", \"fe80::1/64\"]",
            "addresses = [\"fe80::1/64\"]\nlink_local = \"fe80::200:5eff:fe00:233\"",
        ),
        (
            "addresses = [\"2001:db8::5\", \"fe80::1/10\"]",
            "addresses = [\"2001:db8::5/128\"]\nlink_local = \"fe80::1/10\"",
        ),
        // A list may not have this address.
        (
            "addresses = [\"2001:db8::5\"]\nlink_local = \"fe80::\"",
            "addresses = [\"2001:db8::5/128\"]\nlink_local = \"fe80::\"",
        ),
        (
            "addresses = [\"2001:db8::5\", \"192.0.2.1\"]\nlink_local = \"none\"",
            "addresses = [\"192.0.2.1/32\", \"2001:db8::5/128\"]\nlink_local = \"none\"",
        ),
    ] {
        let text = written(&good(&format!("{ROUTER}{keys}\n")));
        assert_eq!(text, format!("{ROUTER}priority = 100\n{lines}\n"), "{keys}");
    }
}

fn files(directory: &str, ending: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let entries = std::fs::read_dir(directory).expect("the directory exists");
    entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect()
}

/// The blocks of a document that are marked as TOML.
fn blocks(document: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in document.lines() {
        match (&mut block, line.trim_start()) {
            (None, "```toml") => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(text), line) => *text += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    blocks
}

#[test]
fn the_examples_of_the_tree_are_read_back_as_they_were() {
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("readable");
    let mut texts: Vec<_> =
        [files("config", "toml"), files("tests/goldens/config", "toml")].concat().iter().map(read).collect();
    let documents = [files(".", "md"), files("docs", "md")].concat();
    texts.extend(documents.iter().flat_map(|path| blocks(&read(path))));
    let configs: Vec<_> = texts.iter().filter_map(|text| resolve(text, "example.toml").ok()).collect();
    assert!(configs.len() >= 6, "only {} of {} examples are whole files", configs.len(), texts.len());
    for resolved in configs {
        written(&resolved.config);
    }
}

/// A text as TOML, with every character written as its number, so that it is not quoted in the way
/// that is tested here.
fn numbered(text: &str) -> String {
    let numbers: String = text.chars().map(|c| format!("\\U{:08X}", u32::from(c))).collect();
    format!("\"{numbers}\"")
}

fn command() -> impl Strategy<Value = String> {
    let argument = prop_oneof![
        any::<String>(),
        "[ -~\r\n\t'\"\\\\]{0,12}".prop_map(String::from),
        prop::sample::select(vec!["'''", "\"\"\"", "\n", "\r\n", "'\"", "\\", "#", "é\u{7f}\u{85}"])
            .prop_map(String::from),
    ];
    prop::collection::vec(argument, 0..4).prop_map(|arguments| {
        let legal = arguments.iter().filter(|argument| !argument.contains('\0'));
        let words: Vec<_> = legal.map(|argument| numbered(argument)).collect();
        format!("[\"/bin/x\", {}]", words.join(", "))
    })
}

/// `key = value`, or nothing.
fn key<T: std::fmt::Debug>(
    key: &'static str,
    value: impl Strategy<Value = T>,
    text: impl Fn(T) -> String + 'static,
) -> impl Strategy<Value = String> {
    let line = value.prop_map(move |value| format!("{key} = {}\n", text(value)));
    prop_oneof![line, Just(String::new())]
}

fn number<T: ToString>(number: T) -> String {
    number.to_string()
}

fn milliseconds(number: u64) -> String {
    format!("\"{number}ms\"")
}

fn checks() -> impl Strategy<Value = String> {
    let keys = (
        command(),
        key("interval", 100..100_000_u64, milliseconds),
        key("timeout", 10..100_000_u64, milliseconds),
        key("rise", 1..=255_u8, number),
        key("fall", 1..=255_u8, number),
        key("user", "[a-z][a-z._-]{0,9}", |user| format!("\"{user}\"")),
    );
    keys.prop_map(|(command, interval, timeout, rise, fall, user)| {
        format!("[[check]]\nname = \"c\"\ncommand = {command}\n{interval}{timeout}{rise}{fall}{user}")
    })
}

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts)
        .prop_map(|text| if text.is_empty() { String::new() } else { format!("{text}\n") })
}

fn election() -> impl Strategy<Value = String> {
    let keys = (
        one_of(&[
            "",
            "priority = 1",
            "priority = 100",
            "priority = \"owner\"",
            "priority = 254\npreempt = false",
        ]),
        key("advertise_interval", 1..=4095_u64, |n| milliseconds(10 * n)),
        key("down_adverts", 1..=255_u8, number),
        one_of(&["", "source_address = \"192.0.2.10\"", "source_address = \"fe80::10\""]),
        one_of(&[
            "",
            "unicast_peers = [\"192.0.2.11\"]",
            "unicast_peers = [\"fe80::11\", \"192.0.2.10\", \"192.0.2.11\"]\nmin_ttl = 1",
            "unicast_peers = [\"2001:db8::11\", \"192.0.2.12\"]",
            "accept_from = [\"192.0.2.11\", \"fe80::11\"]",
        ]),
        one_of(&["", "checksum = \"auto\"", "checksum = \"rfc9568\"", "checksum = \"rfc5798\""]),
        one_of(&["", "track = [{ check = \"c\" }]", "track = [{ interface = \"eth1\" }, { check = \"c\" }]"]),
    );
    keys.prop_map(|(role, interval, down, source, peers, checksum, track)| {
        [role, interval, down, source, peers, checksum, track].concat()
    })
}

fn addresses() -> impl Strategy<Value = String> {
    let list = prop::sample::subsequence(
        vec!["192.0.2.1", "192.0.2.2/24", "2001:db8::1/64", "2001:db8::2", "fe80::1/64", "fe80::2/10"],
        1..=4,
    );
    let excluded = prop::sample::subsequence(
        vec!["192.0.2.3", "198.51.100.2/24", "2001:db8::3/64", "fe80::3/64"],
        0..=4,
    );
    let link_local =
        one_of(&["", "", "link_local = \"none\"", "link_local = \"fe80::\"", "link_local = \"fe80::2\""]);
    (list.prop_shuffle(), excluded.prop_shuffle(), link_local).prop_map(|(list, excluded, link_local)| {
        format!("addresses = {list:?}\nexcluded_addresses = {excluded:?}\n{link_local}")
    })
}

fn announcements() -> impl Strategy<Value = String> {
    let period = prop_oneof![Just(0), 1000..86_400_000_u64];
    let keys = (
        key("announce.repeat", 1..=100_u8, number),
        key("announce.delay", 0..3_600_000_u64, milliseconds),
        key("announce.refresh", period, milliseconds),
    );
    keys.prop_map(|(repeat, delay, refresh)| [repeat, delay, refresh].concat())
}

fn hooks() -> impl Strategy<Value = String> {
    let keys = (
        key("before_active", command(), |command| command),
        key("on_transition", command(), |command| command),
        key("on_drain", command(), |command| command),
        key("after_release", command(), |command| command),
        key("hook_timeout", 10..3_600_000_u64, milliseconds),
        key("before_active_timeout", 10..=10_000_u64, milliseconds),
        key("hook_user", "[a-z][a-z._-]{0,9}", |user| format!("\"{user}\"")),
    );
    keys.prop_map(|(before, on, drain, after, timeout, preparation, user)| {
        [before, on, drain, after, timeout, preparation, user].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_configuration_is_read_back_as_it_was(
        check in checks(),
        election in election(),
        addresses in addresses(),
        announcements in announcements(),
        hooks in hooks(),
        delay in key("preempt_delay", 0..3_600_000_u64, milliseconds),
    ) {
        let delay = if election.contains("owner") { String::new() } else { delay };
        let text = format!("{check}{ROUTER}{election}{delay}{addresses}{announcements}{hooks}");
        match resolve(&text, "any.toml") {
            Ok(resolved) => drop(written(&resolved.config)),
            // The source address may be of a family that the router does not have, a link-local
            // address may be there without another IPv6 address, and the nodes that are listed must
            // be of its families.
            Err(errors) => prop_assert!(
                errors.iter().all(|error| {
                    let keys = ["source_address", "link_local", "unicast_peers", "accept_from"];
                    keys.iter().any(|key| error.0.message.contains(key))
                }),
                "{errors:#?}\n{text}"
            ),
        }
    }
}
