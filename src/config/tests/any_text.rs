//! No text makes the reader of the configuration panic, and what it accepts keeps the guarantees of
//! the types.

use crate::config::{Resolved, report, resolve};
use crate::protocol::LinkLocalRule;
use crate::types::{Family, Role};
use proptest::prelude::*;
use std::collections::BTreeSet;

const BAD: &str = include_str!("../../../tests/goldens/config/bad.toml");
const GOOD: &str = include_str!("../../../config/vrrpd.toml");

const KEYS: &[&str] = &[
    "name",
    "interface",
    "vrid",
    "version",
    "priority",
    "addresses",
    "excluded_addresses",
    "link_local",
    "advertise_interval",
    "down_adverts",
    "preempt",
    "preempt_delay",
    "drain",
    "accept",
    "source_address",
    "checksum",
    "track",
    "announce",
    "announce.repeat",
    "command",
    "interval",
    "timeout",
    "rise",
    "user",
    "node_name",
    "realtime",
    "peer_key_file",
    "peer_port",
    "metrics",
    "nonsense",
    "\"\\u001b\"",
];
const VALUES: &[&str] = &[
    "\"web\"",
    "\"eth0\"",
    "51",
    "0",
    "-1",
    "255",
    "99999999999999999999",
    "1.5",
    "true",
    "false",
    "\"owner\"",
    "[\"192.0.2.50/24\"]",
    "[\"192.0.2.50/24\", \"2001:db8::50/64\"]",
    "[\"fe80::1/64\", \"é\"]",
    "[]",
    "[[]]",
    "{}",
    "\"auto\"",
    "\"none\"",
    "\"fe80::7\"",
    "\"192.0.2.10\"",
    "\"1s\"",
    "\"10ms\"",
    "\"\"",
    "1979-05-27",
    "[{ check = \"web\" }]",
    "[{ check = \"web\", weight = -5 }, { interface = \"eth1\" }]",
    "[{ process = 1 }]",
    "[\"/bin/true\"]",
    "\"\\u0000\"",
    "'''\nx'''",
    "nan",
    "web",
    "\"x",
    "[",
];
const HEADERS: &[&str] = &[
    "[[virtual_router]]",
    "[[check]]",
    "[agent]",
    "[defaults]",
    "[defaults.announce]",
    "[virtual_router.announce]",
    "[[group]]",
    "[virtual_router]",
    "[nonsense]",
    "[[agent]]",
];

/// A line of a configuration, in most cases a legal one.
fn line() -> impl Strategy<Value = String> {
    let pick = |list: &'static [&'static str]| prop::sample::select(list);
    prop_oneof![
        8 => (pick(KEYS), pick(VALUES)).prop_map(|(key, value)| format!("{key} = {value}")),
        3 => pick(HEADERS).prop_map(ToOwned::to_owned),
        1 => any::<String>(),
    ]
}

/// Lines that are legal alone, and beside most others.
const LEGAL: &[&str] = &[
    "priority = 150",
    "priority = \"owner\"",
    "preempt = false",
    "preempt_delay = \"5s\"",
    "excluded_addresses = [\"192.0.2.90\"]",
    "excluded_addresses = [\"fe80::5/64\"]",
    "excluded_addresses = [\"192.0.2.91\", \"2001:db8::91/64\"]",
    "link_local = \"none\"",
    "link_local = \"fe80::7\"",
    "source_address = \"192.0.2.10\"",
    "source_address = \"192.0.2.1\"",
    "source_address = \"fe80::10\"",
    "addresses = [\"192.0.2.1\"]",
    "addresses = [\"2001:db8::9\", \"fe80::9/64\"]",
    "advertise_interval = \"10ms\"",
    "track = [{ interface = \"eth0\" }]",
    "announce.delay = \"0s\"",
];

/// A router that is legal in most cases, so that the code behind the parser is reached.
fn router() -> impl Strategy<Value = String> {
    let any_value = (prop::sample::select(&KEYS[4..17]), prop::sample::select(VALUES));
    let line = prop_oneof![
        9 => prop::sample::select(LEGAL).prop_map(ToOwned::to_owned),
        1 => any_value.prop_map(|(key, value)| format!("{key} = {value}")),
    ];
    (1..9_u8, 1..4_u8, prop::collection::vec(line, 0..4)).prop_map(|(name, vrid, lines)| {
        let mut keys = BTreeSet::new();
        let mut text =
            format!("[[virtual_router]]\nname = \"r{name}\"\ninterface = \"eth{vrid}\"\nvrid = {vrid}\n");
        for line in lines {
            if keys.insert(line.split(' ').next().unwrap_or_default().to_owned()) {
                text += &format!("{line}\n");
            }
        }
        if !keys.contains("addresses") {
            text += &format!("addresses = [\"192.0.2.{name}\", \"2001:db8::{vrid}/64\"]\n");
        }
        text
    })
}

fn promises_are_kept(resolved: &Resolved) {
    let mut keys = BTreeSet::new();
    for router in &resolved.config.routers {
        let families: Vec<_> = router.instances.iter().map(|instance| instance.family).collect();
        assert!(
            [&[Family::Ipv4][..], &[Family::Ipv6], &[Family::Ipv4, Family::Ipv6]].contains(&&families[..])
        );
        assert!(router.role != Role::Owner || router.preempt_delay.is_zero());
        assert!(router.source_address.is_none_or(|source| families.contains(&Family::of(source))));
        for instance in &router.instances {
            assert!(keys.insert(router.key(instance.family)), "a VRID is unique");
            assert!((1..=255).contains(&instance.addresses.len()));
            let all: Vec<_> = instance.held().map(|net| net.addr()).collect();
            assert!(instance.addresses.iter().all(|net| Family::of(net.addr()) == instance.family));
            let at_home = |family| family == instance.family || !families.contains(&family);
            assert!(instance.excluded.iter().all(|net| at_home(Family::of(net.addr()))));
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "an address is unique");
            let first_is_link_local =
                matches!(all[0], std::net::IpAddr::V6(first) if first.is_unicast_link_local());
            assert!(
                instance.family == Family::Ipv4
                    || router.link_local == LinkLocalRule::Lenient
                    || first_is_link_local
            );
        }
    }
    assert!(!resolved.config.routers.is_empty());
}

fn survives(text: &str) -> Result<(), TestCaseError> {
    let (errors, warnings) = match resolve(text, "any.toml") {
        Ok(resolved) => {
            promises_are_kept(&resolved);
            (Vec::new(), resolved.warnings)
        }
        Err(errors) => {
            prop_assert!(!errors.is_empty(), "refused without a reason");
            (errors, Vec::new())
        }
    };
    for finding in errors.iter().map(|e| &e.0).chain(warnings.iter().map(|w| &w.0)) {
        prop_assert!(text.get(finding.span.clone()).is_some(), "{finding:?} points outside");
        prop_assert!(!finding.message.is_empty() && !finding.help.is_empty());
        prop_assert!(!finding.message.contains(|c: char| c.is_control()), "{finding:?}");
    }
    let shown = report::text(text, &errors, &warnings, report::Style::Plain);
    prop_assert!(!shown.contains('\u{1b}'), "a file must not drive the terminal");
    let rows = report::json(&errors, &warnings);
    prop_assert_eq!(rows.matches("\"severity\"").count(), errors.len() + warnings.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_of_a_configuration_in_any_order(lines in prop::collection::vec(line(), 0..25)) {
        survives(&lines.join("\n"))?;
    }

    #[test]
    fn routers_with_any_keys(routers in prop::collection::vec(router(), 1..4)) {
        survives(&routers.concat())?;
    }

    #[test]
    fn a_file_with_a_piece_replaced(
        good: bool, at in 0..2000_usize, gone in 0..40_usize, piece in ".{0,12}"
    ) {
        let text: Vec<char> = if good { GOOD } else { BAD }.chars().collect();
        let at = at.min(text.len());
        let end = (at + gone).min(text.len());
        let (before, after): (String, String) = (text[..at].iter().collect(), text[end..].iter().collect());
        survives(&format!("{before}{piece}{after}"))?;
    }

    #[test]
    fn anything(text: String) {
        survives(&text)?;
    }
}

#[test]
fn deep_nesting_is_refused_and_no_stack_overflows() {
    for open in ["[", "{a=", "{a=["] {
        let text = format!("x = {}", open.repeat(50_000));
        assert!(resolve(&text, "any.toml").is_err());
    }
    assert!(resolve(&format!("{}x = 1", "a.".repeat(50_000)), "any.toml").is_err());
}
