//! Advice is right if following it works: it repeats the operator's own value, and what it
//! recommends is accepted. These tests follow each help text literally, as a tired operator would.

use super::{ROUTER, errors, router_with};
use crate::config::schema::{self, Shape, Support};
use crate::config::{Finding, correction, resolve};
use proptest::prelude::*;

/// Does what the help says. For `write KEY = VALUE` and the like it replaces the line, for `write
/// "TEXT"` the value, for `did you mean` the word; for `remove` it deletes the line.
fn follow(text: &str, finding: &Finding) -> String {
    let start = text[..finding.span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[finding.span.start..].find('\n').map_or(text.len(), |at| finding.span.start + at);
    let replace = |range: std::ops::Range<usize>, with: &str| {
        format!("{}{with}{}", &text[..range.start], &text[range.end..])
    };
    let help = finding.help.as_str();
    if let Some(near) = help.strip_prefix("did you mean ") {
        return replace(finding.span.clone(), near.trim_end_matches('?').trim_matches('`'));
    }
    if help.starts_with("remove") {
        return replace(start..end, "");
    }
    let written = help.strip_prefix("write ").unwrap_or_else(|| panic!("nothing to follow: {finding:#?}"));
    let written = written.split("; ").next().unwrap_or_default();
    if written.starts_with('"') {
        return replace(finding.span.clone(), written);
    }
    replace(start..end, written)
}

/// Expects one error whose help contains `help`, follows the help, and expects the result to load.
#[track_caller]
fn obeyed(text: &str, help: &str) {
    let found = errors(text);
    let [finding] = &found[..] else { panic!("not one error but {found:#?}\n{text}") };
    assert!(finding.help.contains(help), "{finding:#?}");
    let followed = follow(text, finding);
    if let Err(errors) = resolve(&followed, "test.toml") {
        panic!("{}: {errors:#?}\n{followed}", finding.help);
    }
}

/// [`ROUTER`] with another line in place of one of its own.
fn instead_of(key: &str, line: &str) -> String {
    let text = format!("{ROUTER}addresses = [\"192.0.2.50/24\"]\n");
    let kept: String = text.split_inclusive('\n').filter(|own| !own.starts_with(key)).collect();
    format!("{kept}{line}\n")
}

#[test]
fn a_value_in_the_wrong_form_is_repeated_in_the_right_one() {
    for (key, line, help) in [
        ("vrid", "vrid = \"77\"", "write vrid = 77"),
        ("vrid", "vrid = [77]", "write vrid = 77"),
        ("vrid", "vrid = 77.0", "write vrid = 77"),
        ("vrid", "vrid = 077", "write vrid = 77"),
        ("vrid", "vrid = 77;", "write vrid = 77"),
        ("vrid", "vrid = '77'", "write vrid = 77"),
        ("name", "name = 5", "write name = \"5\""),
        ("name", "name = web-a", "write name = \"web-a\""),
        ("name", "name = \"web-a;\"", "write name = \"web-a\""),
        ("interface", "interface = eth0", "write interface = \"eth0\""),
        ("interface", "interface = [\"eth0\"]", "write interface = \"eth0\""),
        ("interface", "interface = \" eth0\"", "write interface = \"eth0\""),
        ("addresses", "addresses = 192.0.2.50/24", "write addresses = [\"192.0.2.50/24\"]"),
        ("addresses", "addresses = \"192.0.2.50/24\"", "write addresses = [\"192.0.2.50/24\"]"),
        (
            "addresses",
            "addresses = [192.0.2.50/24, 2001:db8::50/64]",
            "write addresses = [\"192.0.2.50/24\", \"2001:db8::50/64\"]",
        ),
        (
            "addresses",
            "addresses = \"192.0.2.50/24, 192.0.2.51/24\"",
            "[\"192.0.2.50/24\", \"192.0.2.51/24\"]",
        ),
        ("addresses", "addresses = [\"192.0.2.50/255.255.255.0\"]", "write \"192.0.2.50/24\""),
        ("addresses", "addresses = [\"192.0.2.50/24 dev eth0 label eth0:1\"]", "labels are not supported"),
        (
            "addresses",
            "addresses = [\"192.0.2.50/24 192.0.2.51/24\"]",
            "\"192.0.2.50/24\", \"192.0.2.51/24\"",
        ),
        ("addresses", "addresses = [\"192.0.2.50 /24\"]", "write \"192.0.2.50/24\""),
        ("addresses", "addresses = [\" 192.0.2.50/24\"]", "write \"192.0.2.50/24\""),
        ("addresses", "addresses = [\"fe80::1%eth0/64\"]", "write \"fe80::1/64\""),
        ("priority", "priority = \"200\"", "write priority = 200"),
        ("priority", "priority = 255", "write priority = \"owner\""),
        ("priority", "priority = \"255\"", "write priority = \"owner\""),
        ("priority", "priority = Owner", "write priority = \"owner\""),
        ("priority", "priority = 300", "write priority = 254"),
        ("priority", "priority = 0", "write priority = 1"),
        ("preempt", "preempt = yes", "write preempt = true"),
        ("preempt", "preempt = True", "write preempt = true"),
        ("preempt", "preempt = off", "write preempt = false"),
        ("preempt", "preempt = \"no\"", "write preempt = false"),
        ("preempt", "preempt = 0", "write preempt = false"),
        ("advertise_interval", "advertise_interval = 1", "write advertise_interval = \"1s\""),
        ("advertise_interval", "advertise_interval = 100", "write advertise_interval = \"100ms\""),
        ("advertise_interval", "advertise_interval = 1.5", "write advertise_interval = \"1.5s\""),
        ("advertise_interval", "advertise_interval = 200ms", "write advertise_interval = \"200ms\""),
        ("advertise_interval", "advertise_interval = \"60s\"", "write advertise_interval = \"40.95s\""),
        ("advertise_interval", "advertise_interval = \"5ms\"", "write advertise_interval = \"10ms\""),
        ("advertise_interval", "advertise_interval = \"0,5s\"", "write advertise_interval = \"0.5s\""),
        ("advertise_interval", "advertise_interval = \"0.5\"", "write advertise_interval = \"0.5s\""),
        ("advertise_interval", "advertise_interval = \".5 sec\"", "write advertise_interval = \"0.5s\""),
        ("advertise_interval", "advertise_interval = \"1 S\"", "write advertise_interval = \"1s\""),
        ("advertise_interval", "advertise_interval = \"25ms\"", "write advertise_interval = \"20ms\""),
        ("advertise_interval", "advertise_interval = \"0,015s\"", "write advertise_interval = \"10ms\""),
        ("preempt_delay", "preempt_delay = \"5 minutes\"", "write preempt_delay = \"5m\""),
        ("preempt_delay", "preempt_delay = \"2h\"", "write preempt_delay = \"1h\""),
        ("down_adverts", "down_adverts = 0", "write down_adverts = 1"),
        ("checksum", "checksum = \"RFC 5798\"", "write checksum = \"rfc5798\""),
        ("link_local", "link_local = \"off\"", "write link_local = \"none\""),
        ("source", "source_address = \"192.0.2.10/24\"", "write source_address = \"192.0.2.10\""),
        ("announce", "[virtual_router.announce]\nrefresh = \"500ms\"", "write refresh = \"1s\""),
        ("announce", "[virtual_router.announce]\nrepeat = \"3\"", "write repeat = 3"),
        ("on_transition", "on_transition = /etc/notify --quiet", "[\"/etc/notify\", \"--quiet\"]"),
        (
            "on_transition",
            "on_transition = \"/etc/notify -x\"",
            "write on_transition = [\"/etc/notify\", \"-x\"]",
        ),
        ("hook_user", "hook_user = nobody", "write hook_user = \"nobody\""),
    ] {
        obeyed(&instead_of(key, line), help);
    }
}

#[test]
fn the_parts_of_an_endpoint_are_put_together() {
    for (value, address) in [
        ("9700", "127.0.0.1:9700"),
        ("\":9700\"", "127.0.0.1:9700"),
        ("\"localhost:9700\"", "127.0.0.1:9700"),
        ("\"localhost\"", "127.0.0.1:9650"),
        ("\"192.0.2.10\"", "192.0.2.10:9650"),
        ("\"2001:db8::10\"", "[2001:db8::10]:9650"),
        ("\"[2001:db8::10]\"", "[2001:db8::10]:9650"),
        ("\"2001:db8::10:9700\"", "[2001:db8::10]:9700"),
    ] {
        let text = format!("[agent]\nmetrics = {value}\n{}", router_with(""));
        obeyed(&text, &format!("write metrics = \"{address}\""));
    }
}

#[test]
fn no_example_stands_in_for_a_vrid() {
    for value in ["0", "300", "\"web\"", "true", "\"300\"", "-5"] {
        let found = errors(&instead_of("vrid", &format!("vrid = {value}")));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(!found[0].help.contains(char::is_numeric), "{value}: {}", found[0].help);
    }
    for line in [
        "virtual_router_id = 300",
        "virtual_router_id $VRID",
        "virtual_router_id = \"${ID}\"",
        "virtual_router_id",
        "virtual_router_id = 0",
    ] {
        let found = errors(&instead_of("vrid", line));
        assert_eq!(found.len(), 1, "{found:#?}");
        let help = "write vrid = the number that the other nodes of this router have";
        assert_eq!(found[0].help, help, "{line}");
    }
    let found = errors(&instead_of("vrid", ""));
    assert_eq!(found[0].help, "add vrid = the same number from 1 to 255 on all nodes");
}

#[test]
fn an_example_is_called_one() {
    for (line, help) in [
        ("addresses = 5", "write for example addresses = [\"192.0.2.50/24\"]"),
        ("addresses = [5]", "write for example addresses = [\"192.0.2.50/24\"]"),
        ("addresses = []", "write for example addresses = [\"192.0.2.50/24\"]"),
        ("interface = {}", "write for example interface = \"eth0\""),
        ("source_address = true", "write for example source_address = \"192.0.2.10\""),
        ("hook_user = \"a b\"", "write for example hook_user = \"vrrpd-hook\""),
        ("checksum = \"rfc3768\"", "write for example checksum = \"auto\""),
        ("link_local = 3", "write for example link_local = \"auto\""),
        ("track = 5", "write for example track = [{ check = \"nginx\" }]"),
        ("on_transition = [3]", "write for example on_transition = [\"/etc/vrrpd/notify\"]"),
        ("on_transition = true", "write for example on_transition = [\"/etc/vrrpd/notify\"]"),
        ("name = []", "write for example name = \"web\""),
        ("", "add for example name = \"web\""),
        ("advert_int = \"often\"", "write for example advertise_interval = \"1s\""),
        ("mcast_src_ip $IP", "write for example source_address = \"192.0.2.10\""),
        ("virtual_ipaddress = 5", "write for example addresses = [\"192.0.2.50/24\"]"),
        (
            "garp_master_repeat = \"${N}\"",
            "write for example repeat = 5; it belongs to [virtual_router.announce]",
        ),
    ] {
        let key = match line.split(' ').next().unwrap() {
            "virtual_ipaddress" => "addresses",
            "" => "name",
            key => key,
        };
        let found = errors(&instead_of(key, line));
        assert_eq!(found[0].help, help, "{line}: {found:#?}");
    }
}

#[test]
fn what_keepalived_calls_it_comes_before_the_nearest_name() {
    for (key, line, help) in [
        ("preempt", "nopreempt = true", "write preempt = false"),
        ("preempt", "nopreempt", "write preempt = false"),
        ("preempt", "no_preempt = true", "write preempt = false"),
        ("vrid", "virtual_router_id = 77", "write vrid = 77"),
        ("vrid", "virtual_router_id 77", "write vrid = 77"),
        ("advertise_interval", "advert_int = 2", "write advertise_interval = \"2s\""),
        ("advertise_interval", "advert_int 1", "write advertise_interval = \"1s\""),
        ("addresses", "virtual_ipaddress = [\"192.0.2.50/24\"]", "write addresses = [\"192.0.2.50/24\"]"),
        (
            "excluded",
            "virtual_ipaddress_excluded = \"2001:db8::5/64\"",
            "excluded_addresses = [\"2001:db8::5/64\"]",
        ),
        ("source", "mcast_src_ip = \"192.0.2.10\"", "write source_address = \"192.0.2.10\""),
        ("priority", "priority 120", "write priority = 120"),
        ("priority", "priority: 120", "write priority = 120"),
        ("interface", "interface eth0", "write interface = \"eth0\""),
        ("version", "vrrp_version = 3", "write version = 3"),
        ("state", "state = \"MASTER\"", "remove it: `priority` decides"),
        ("auth", "auth_type = \"PASS\"", "remove it: VRRPv3 has no authentication"),
        ("version", "version = 2\nauth_pass = \"secret\"", "write password = \"secret\""),
        ("vmac", "use_vmac = true", "remove it: this version uses the MAC address of the interface"),
        ("smtp", "smtp_alert = true", "remove it: vrrpd sends no mail"),
        ("routes", "virtual_routes = []", "`on_transition` can set routes"),
        ("peers", "unicast_peer = [\"192.0.2.11\"]", "write unicast_peers = [\"192.0.2.11\"]"),
        ("ttl", "unicast_ttl = 64", "write `min_ttl` there"),
        ("dont", "dont_track_primary = true", "its own interface"),
        ("garp", "garp_lower_prio_repeat = 1", "remove it"),
        ("notify", "notify = \"/etc/keepalived/notify\"", "VRRPD_STATE"),
    ] {
        let help = help.replace("its own interface", "the router's own interface");
        obeyed(&instead_of(key, line), &help);
    }
    for (line, help) in [
        ("[virtual_server]", "balances no load (IPVS)"),
        ("[[vrrp_instance]]", "write [[virtual_router]]"),
        ("[[vrrp_script]]", "write [[check]]"),
        ("[global_defs]", "write [agent]"),
        ("[[vrrp_sync_group]]", "not supported by this version yet"),
    ] {
        let found = errors(&format!("{}{line}\n", router_with("")));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].help.contains(help), "{found:#?}");
        assert!(found[0].message.contains("keepalived's"), "{found:#?}");
    }
}

#[test]
fn signs_of_other_languages_are_named() {
    for (line, message, help) in [
        ("priority\u{a0}= 150", "a no-break space here (U+00A0)", "write priority = 150"),
        ("priority =\u{a0}150", "a no-break space here (U+00A0)", "write priority = 150"),
        ("pri\u{200b}ority = 150", "an invisible character here (U+200B)", "write priority = 150"),
        ("hook_user = “nobody”", "“ is not the quote of TOML", "write hook_user = \"nobody\""),
        ("down_adverts = “3”", "“ is not the quote of TOML", "write down_adverts = 3"),
        ("hook_user = ‘nobody’", "‘ is not the quote of TOML", "write hook_user = \"nobody\""),
        ("priority = 150 // the first", "a comment begins with #", "write priority = 150 # the first"),
        ("// the first", "a comment begins with #", "write # the first"),
        ("; the first", "a comment begins with #", "write # the first"),
        ("/* the first */", "a comment begins with #", "write # the first"),
        ("[virtual_router.announce", "unclosed table", "expected `]` at the end"),
    ] {
        let text = router_with(line);
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].message.contains(message) && found[0].help.contains(help), "{found:#?}");
        if found[0].help.starts_with("write") {
            super::good(&follow(&text, &found[0]));
        }
    }
}

#[test]
fn a_file_of_another_program_is_one_error() {
    for (text, message) in [
        (include_str!("../../../tests/goldens/config/keepalived.conf"), "this looks like keepalived.conf"),
        ("{\n  \"virtual_router\": []\n}\n", "this looks like JSON"),
    ] {
        let found = errors(text);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].message.contains(message) && found[0].help.contains("TOML"), "{found:#?}");
    }
}

#[test]
fn what_stands_twice_is_shown_twice() {
    let first = router_with("priority = 150");
    for (text, at, message, first) in [
        (
            format!("{first}priority = 90\n"),
            "priority",
            "`priority` is set twice in this table",
            Some("priority"),
        ),
        (format!("[agent]\n{first}[agent]\n"), "agent", "[agent] is written twice", Some("[agent]")),
        (
            format!("{first}[virtual_router]\n"),
            "virtual_router",
            "one bracket here",
            Some("[[virtual_router]]"),
        ),
        (
            format!("[virtual_router.announce]\nrepeat = 3\n{first}"),
            "[virtual_router.announce]",
            "is above the [[virtual_router]] that",
            None,
        ),
    ] {
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(&text[found[0].span.clone()], at);
        assert!(found[0].message.contains(message), "{found:#?}");
        assert_eq!(found[0].related.as_ref().map(|related| &text[related.span.clone()]), first);
    }
}

#[test]
fn a_missing_key_and_its_misspelling_are_one_error() {
    for (key, line) in [
        ("interface", "interfce = \"eth0\""),
        ("vrid", "vird = 51"),
        ("vrid", "virtual_router_id = 51"),
        ("addresses", "adresses = [\"192.0.2.50/24\"]"),
        ("name", "nmae = \"web\""),
    ] {
        let text = instead_of(key, line);
        let found = errors(&text);
        assert_eq!(found.len(), 1, "{found:#?}");
        super::good(&follow(&text, &found[0]));
    }
}

#[test]
fn what_does_the_work_of_a_later_key_is_written_out() {
    for (line, command) in [
        (
            "http = \"http://127.0.0.1/ping\"",
            "\"/usr/bin/curl\", \"--fail\", \"--silent\", \"--output\", \"/dev/null\", \"http://127.0.0.1/ping\"",
        ),
        ("tcp = \"127.0.0.1:443\"", "\"/usr/bin/nc\", \"-z\", \"127.0.0.1\", \"443\""),
        ("tcp = \"[::1]:443\"", "\"/usr/bin/nc\", \"-z\", \"::1\", \"443\""),
    ] {
        let text = router_with("track = [{ check = \"web\" }]") + "[[check]]\nname = \"web\"\n" + line + "\n";
        obeyed(&text, &format!("write command = [{command}]"));
    }
}

#[test]
fn an_address_of_a_family_that_the_router_lacks_is_called_that() {
    for source in ["2001:db8::1", "fe80::1"] {
        let found = errors(&router_with(&format!("source_address = \"{source}\"")));
        assert!(found[0].message.contains("this router has no IPv6 address"), "{found:#?}");
    }
}

/// Values that people write, also in the forms of other languages.
const WORDS: &[&str] = &[
    "77",
    "007",
    "0",
    "-3",
    "255",
    "300",
    "1.0",
    "1.5",
    "0,5",
    ".5",
    "60",
    "1s",
    "1 s",
    "5ms",
    "60s",
    "0,015s",
    "25 ms",
    "2h",
    "30min",
    "1 day",
    "1S",
    "-1s",
    "1s1m",
    "yes",
    "True",
    "off",
    "FALSE",
    "none",
    "Auto",
    "owner",
    "OWNER",
    "RFC 9568",
    "eth0",
    "eth0.100",
    "web-a",
    "-web",
    "a b",
    "192.0.2.50",
    "192.0.2.50/24",
    "192.0.2.50/255.255.255.0",
    "192.0.2.50/24 dev eth0",
    "192.0.2.50/24, 192.0.2.51/24",
    "192.0.2.50 192.0.2.50",
    "fe80::1",
    "fe80::1%eth0",
    "9650",
    "localhost:9650",
    "127.0.0.1:9650",
    "[::1]:0",
    "2001:db8::50/64",
    "/bin/true",
    "/bin/true -x 1",
    "/bin/a | b",
    "true",
    "",
    ";",
    "1;",
    "99999999999999999999",
];

/// The ways in which people type a value: bare, in quotes, in brackets.
fn typed() -> impl Strategy<Value = String> {
    (prop::sample::select(WORDS), 0..4_u8).prop_map(|(words, form)| match form {
        0 => words.to_owned(),
        1 => format!("\"{words}\""),
        2 => format!("[\"{words}\"]"),
        _ => format!("[{words}]"),
    })
}

fn shaped_keys() -> Vec<(&'static str, Shape)> {
    let tables = [&schema::ROUTER, &schema::CHECK, &schema::AGENT];
    let keys = tables.into_iter().flat_map(|schema| schema.keys());
    keys.filter_map(|known| match known.support {
        Support::Now(Shape::Table(_) | Shape::Tables(_)) | Support::Later(_) => None,
        Support::Now(shape) => Some((known.name, shape)),
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every value that is recommended for a key is legal for that key.
    #[test]
    fn what_is_recommended_for_a_value_is_accepted(
        (key, _) in prop::sample::select(shaped_keys()), value in typed()
    ) {
        let base = instead_of(key, "");
        let agent = schema::AGENT.key(key).is_some();
        let check = schema::CHECK.key(key).is_some() && key != "name";
        let text = match (agent, check) {
            (true, _) => format!("[agent]\n{key} = {value}\n{base}"),
            (_, true) => {
                let command = if key == "command" { "" } else { "command = [\"/bin/true\"]\n" };
                format!("[[check]]\nname = \"c\"\n{command}{key} = {value}\n{base}track = [{{ check = \"c\" }}]\n")
            }
            (false, false) => format!("{base}{key} = {value}\n"),
        };
        let Err(found) = resolve(&text, "test.toml") else { return Ok(()) };
        let finding = &found[0].0;
        if finding.help.starts_with(&format!("write {key} = ")) {
            let followed = follow(&text, finding);
            let again = resolve(&followed, "test.toml").err().unwrap_or_default();
            // Two cases are accepted: a source address may be the virtual one, and a priority may
            // contradict another key.
            let same = again.iter().find(|error| error.0.message.contains(&format!("`{key}` is a")) || error.0.message.contains("cannot"));
            prop_assert!(same.is_none(), "{}\n{followed}\n{again:#?}", finding.help);
        }
    }

    #[test]
    fn no_value_makes_the_advice_panic(words: String) {
        for (_, shape) in shaped_keys() {
            let _ = (correction::rewritten(shape, &words), correction::nearest(shape, &words));
        }
    }
}
