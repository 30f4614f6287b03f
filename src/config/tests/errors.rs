//! Each kind of error once: the one finding, the text that it points at, and the advice.

use super::{ROUTER, errors, good, router_with};
use crate::types::Version;

/// Expects exactly one error in a text: what it points at, a part of its message, and a part of its
/// help.
#[track_caller]
fn one(text: &str, at: &str, message: &str, help: &str) {
    let found = errors(text);
    let [finding] = &found[..] else { panic!("not one error but {found:#?}\n{text}") };
    assert_eq!(&text[finding.span.clone()], at, "{finding:#?}");
    assert!(finding.message.contains(message), "{finding:#?}");
    assert!(finding.help.contains(help), "{finding:#?}");
}

#[test]
fn each_bad_value_of_a_router_is_refused_with_what_to_write() {
    for (keys, at, message, help) in [
        ("priority = 0", "0", "a number from 1 to 254", "priority = 1"),
        ("priority = 255", "255", "a number from 1 to 254", "\"owner\""),
        ("priority = \"high\"", "\"high\"", "or \"owner\"", "priority = 100"),
        ("priority = 0x1_00", "0x1_00", "a number from 1 to 254", "priority = 254"),
        ("priority = 1.5", "1.5", "not 1.5", "priority = 100"),
        ("version = 1", "1", "a number from 2 to 3", "version = 2"),
        ("password = \"secret\"", "\"secret\"", "needs `version = 2`", "remove it"),
        ("version = 2\npassword = \"123456789\"", "\"123456789\"", "at most 8 octets", "write \"12345678\""),
        ("version = 2\npassword = \"äöüßx\"", "\"äöüßx\"", "at most 8 octets", "write \"äöüß\""),
        ("version = 2\npassword = \"\"", "\"\"", "at least one character", "password = \"secret\""),
        ("version = 2\npassword = 1111", "1111", "text in quotes", "password = \"1111\""),
        ("version = 2\nchecksum = \"auto\"", "\"auto\"", "no effect in VRRPv2", "remove it"),
        ("version = 2\nadvertise_interval = \"1.5s\"", "\"1.5s\"", "in whole seconds", "= \"2s\""),
        ("version = 2\nadvertise_interval = \"200ms\"", "\"200ms\"", "in whole seconds", "= \"1s\""),
        ("version = 2\nadvertise_interval = \"256s\"", "\"256s\"", "from \"10ms\"", "= \"40.95s\""),
        ("advertise_interval = \"41s\"", "\"41s\"", "to \"40.95s\" in VRRPv3", "= \"40.95s\""),
        ("accept = false", "false", "not supported by this version yet", "remove it"),
        ("accept = 1", "1", "true or false", "accept = true"),
        ("link_local = \"off\"", "\"off\"", "fe80::/10", "link_local = \"none\""),
        ("link_local = \"2001:db8::1\"", "\"2001:db8::1\"", "fe80::/10", "\"auto\""),
        ("link_local = \"fe80::1\"", "\"fe80::1\"", "needs an IPv6 address", "remove it"),
        ("advertise_interval = 1", "1", "from \"10ms\" to \"40.95s\"", "= \"1s\""),
        ("advertise_interval = 100", "100", "a duration", "= \"100ms\""),
        ("advertise_interval = -1", "-1", "a duration", "for example advertise_interval = \"1s\""),
        ("advertise_interval = 1.5", "1.5", "a duration", "= \"1.5s\""),
        ("advertise_interval = \"1\"", "\"1\"", "a duration", "has no unit"),
        ("advertise_interval = \"9ms\"", "\"9ms\"", "from \"10ms\"", "= \"10ms\""),
        ("advertise_interval = \"40.96s\"", "\"40.96s\"", "to \"40.95s\"", "= \"40.95s\""),
        ("advertise_interval = \"25ms\"", "\"25ms\"", "a multiple of \"10ms\"", "= \"20ms\""),
        ("down_adverts = 0", "0", "from 1 to 255", "down_adverts = 1"),
        ("preempt = \"no\"", "\"no\"", "true or false", "preempt = false"),
        ("preempt_delay = \"2h\"", "\"2h\"", "to \"1h\"", "preempt_delay = \"1h\""),
        ("source_address = \"192.0.2.10/24\"", "\"192.0.2.10/24\"", "has a prefix", "\"192.0.2.10\""),
        ("source_address = \"192.0.2.50\"", "\"192.0.2.50\"", "which move", "stays"),
        ("source_address = \"fe80::1\"", "\"fe80::1\"", "is IPv6", "other family"),
        ("source_address = \"2001:db8::1\"", "\"2001:db8::1\"", "has no IPv6 address", "other family"),
        ("source_address = \"224.0.0.18\"", "\"224.0.0.18\"", "multicast", "one host"),
        ("checksum = \"rfc3768\"", "\"rfc3768\"", "\"rfc9568\"", "\"auto\""),
        ("excluded_addresses = \"192.0.2.9\"", "\"192.0.2.9\"", "a list of addresses", "[\"192"),
        ("excluded_addresses = [3]", "3", "in quotes", "[\"192"),
        ("excluded_addresses = [\"192.0.2.50\"]", "\"192.0.2.50\"", "listed twice", "remove"),
        ("announce = 3", "3", "one table", "[virtual_router.announce]"),
        ("announce.repeat = 101", "101", "from 1 to 100", "repeat = 100"),
        ("announce.refresh = \"500ms\"", "\"500ms\"", "\"1s\" and more", "1s"),
        ("announce.delay = \"a while\"", "\"a while\"", "a duration", "not a duration"),
        (
            "on_transition = \"/etc/vrrpd/notify --quiet\"",
            "\"/etc/vrrpd/notify --quiet\"",
            "a list",
            "on_transition = [\"/etc/vrrpd/notify\", \"--quiet\"]",
        ),
        ("before_active = [\"prepare\"]", "[\"prepare\"]", "not the absolute path", "the whole path"),
        ("after_release = [3]", "3", "a list of texts", "[\"/etc/vrrpd/notify\"]"),
        ("hook_timeout = \"0s\"", "\"0s\"", "from \"10ms\" to \"1h\"", "10ms"),
        ("before_active_timeout = \"11s\"", "\"11s\"", "from \"10ms\" to \"10s\"", "10s"),
        ("hook_user = \"a b\"", "\"a b\"", "letters, digits", "vrrpd-hook"),
        ("priority = \"owner\"\npreempt = true", "true", "has no effect for an owner", "remove it"),
        ("priority = \"owner\"\npreempt_delay = \"1s\"", "\"1s\"", "has no effect for an owner", "remove it"),
    ] {
        one(&router_with(keys), at, message, help);
    }
}

/// IPv6 beside VRRPv2 speaks VRRPv3, and needs an interval that both have.
#[test]
fn versions_that_do_not_fit_the_families_are_refused() {
    let of = |addresses: &str, keys: &str| format!("{ROUTER}addresses = [{addresses}]\n{keys}\n");
    let both = of("\"192.0.2.50\", \"2001:db8::50\"", "version = 2\nadvertise_interval = \"41s\"");
    one(&both, "\"41s\"", "to \"40.95s\" in VRRPv3", "= \"40s\"");
    let only = of("\"2001:db8::50\"", "version = 2");
    one(&only, "2", "is for IPv4 only", "remove it");
    let inherited = format!("[defaults]\nversion = 2\npassword = \"secret\"\n{}", of("\"2001:db8::50\"", ""));
    assert_eq!(good(&inherited).routers[0].version(), Version::V3);
    let overruled = format!("{inherited}version = 3");
    assert_eq!(good(&overruled).routers[0].password(), None);
    let forgotten = format!("[defaults]\npassword = \"secret\"\n{}", of("\"192.0.2.50\"", ""));
    one(&forgotten, "\"secret\"", "needs `version = 2`", "remove it");
}

#[test]
fn features_of_later_versions_are_refused_with_an_explanation() {
    for (keys, at) in [
        ("virtual_mac = true", "virtual_mac"),
        ("virtual_mac = \"yes\"", "virtual_mac"),
        ("routes = [{ to = \"198.51.100.0/24\" }]", "routes"),
        ("rules = [{ table = 100 }]", "rules"),
        ("track = [{ file = \"/run/weight\", weight = 1 }]", "file"),
        ("track = [{ process = \"haproxy\", min = 1 }]", "process"),
        ("[[group]]\nname = \"frontend\"", "group"),
    ] {
        one(&router_with(keys), at, "is not supported by this version yet", "remove it");
    }
    let text = router_with("track = [{ interface = \"eth1\", weight = -20 }]");
    one(&text, "-20", "`weight` of an interface is not supported", "a fault");
    let tcp =
        router_with("track = [{ check = \"web\" }]\n[[check]]\nname = \"web\"\ntcp = \"127.0.0.1:443\"");
    one(&tcp, "tcp", "is not supported by this version yet", "write command = [\"/usr/bin/nc\"");
    let http = tcp.replace("tcp", "http");
    one(&http, "http", "is not supported by this version yet", "write command = [\"/usr/bin/curl\"");
}

/// A router with addresses of both families.
const DUAL: &str = "[[virtual_router]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\npriority = 150\n\
    addresses = [\"192.0.2.50/24\", \"2001:db8::50/64\"]\n";

#[test]
fn a_list_of_nodes_has_other_nodes_each_once_and_of_each_family() {
    let dual = |keys: &str| format!("{DUAL}{keys}\n");
    let both = "unicast_peers = [\"192.0.2.11\", \"2001:db8::11\"]\n";
    super::good(&dual(both));
    super::good(&dual("accept_from = [\"192.0.2.11\", \"fe80::11\"]"));
    super::good(&dual(
        "unicast_peers = [\"192.0.2.10\", \"192.0.2.11\", \"fe80::11\"]\nsource_address = \"192.0.2.10\"",
    ));
    super::good(&dual(&format!("{both}source_address = \"2001:db8::10\"")));
    for (text, at, message, help) in [
        (
            router_with("unicast_peers = \"192.0.2.11\""),
            "\"192.0.2.11\"",
            "a list of addresses",
            "[\"192.0.2.11\"]",
        ),
        (router_with("unicast_peers = [11]"), "11", "a list of addresses", "[\"192.0.2.11\"]"),
        (
            router_with("unicast_peers = [\"192.0.2.11/24\"]"),
            "\"192.0.2.11/24\"",
            "a prefix",
            "\"192.0.2.11\"",
        ),
        (router_with("unicast_peers = [\"fe1\"]"), "\"fe1\"", "not an IP address", "write"),
        (
            router_with("unicast_peers = [\"224.0.0.18\"]"),
            "\"224.0.0.18\"",
            "a multicast address",
            "one host",
        ),
        (router_with("unicast_peers = [\"127.0.0.1\"]"), "\"127.0.0.1\"", "a loopback address", "one host"),
        (
            router_with("unicast_peers = [\"255.255.255.255\"]"),
            "\"255.255.255.255\"",
            "broadcast",
            "one host",
        ),
        (router_with("unicast_peers = [\"0.0.0.0\"]"), "\"0.0.0.0\"", "unspecified", "one host"),
        (
            router_with("unicast_peers = [\"192.0.2.255\"]"),
            "\"192.0.2.255\"",
            "the broadcast address of 192.0.2.0/24",
            "has always",
        ),
        (
            router_with("unicast_peers = [\"192.0.2.50\"]"),
            "\"192.0.2.50\"",
            "a virtual address",
            "has always",
        ),
        (
            router_with("unicast_peers = [\"192.0.2.11\", \"192.0.2.11\"]"),
            "\"192.0.2.11\"",
            "listed twice",
            "remove it",
        ),
        (
            router_with("unicast_peers = [\"192.0.2.11\", \"2001:db8::11\"]"),
            "\"2001:db8::11\"",
            "this router has no IPv6 address",
            "remove it",
        ),
        (
            dual("unicast_peers = [\"192.0.2.11\"]"),
            "[\"192.0.2.11\"]",
            "has no IPv6 address, and this router has IPv6 addresses",
            "add the IPv6 addresses",
        ),
        (
            dual("unicast_peers = [\"192.0.2.11\", \"2001:db8::11\", \"fe80::12\"]"),
            "[\"192.0.2.11\", \"2001:db8::11\", \"fe80::12\"]",
            "link-local and others that are not",
            "the same kind",
        ),
        (
            router_with("unicast_peers = [\"192.0.2.10\"]\nsource_address = \"192.0.2.10\""),
            "\"192.0.2.10\"",
            "no IPv4 address but this node's own",
            "the other nodes",
        ),
        (
            dual(&format!("{both}source_address = \"fe80::10\"")),
            "\"fe80::10\"",
            "is link-local, and the IPv6 addresses of `unicast_peers` are not",
            "another address",
        ),
        (
            dual("unicast_peers = [\"192.0.2.11\", \"fe80::11\"]\nsource_address = \"2001:db8::10\""),
            "\"2001:db8::10\"",
            "must be link-local, as the IPv6 addresses of `unicast_peers` are",
            "fe80::/10",
        ),
        (router_with("min_ttl = 64"), "64", "has no effect without `unicast_peers`", "unicast_peers ="),
        (router_with("unicast_peers = [\"192.0.2.11\"]\nmin_ttl = 0"), "0", "1 to 255", "min_ttl ="),
        (
            router_with("unicast_peers = [\"192.0.2.11\"]\naccept_from = [\"192.0.2.11\"]"),
            "[\"192.0.2.11\"]",
            "has no effect beside `unicast_peers`",
            "remove it",
        ),
        (
            dual("accept_from = [\"192.0.2.11\"]"),
            "[\"192.0.2.11\"]",
            "`accept_from` has no IPv6 address",
            "add the IPv6 addresses",
        ),
        (
            dual("accept_from = [\"192.0.2.11\", \"2001:db8::11\"]"),
            "\"2001:db8::11\"",
            "come from link-local addresses",
            "fe80::/10",
        ),
    ] {
        one(&text, at, message, help);
    }
    let many: Vec<String> = (1..=33).map(|n| format!("\"198.51.100.{n}\"")).collect();
    let many = format!("[{}]", many.join(", "));
    one(
        &router_with(&format!("unicast_peers = {many}")),
        &many,
        "33 peers are more than the 32",
        "leave out",
    );
}

/// What `[defaults]` lists is for several routers, of which one may have one family only.
#[test]
fn a_list_of_nodes_in_defaults_is_used_as_far_as_a_router_needs_it() {
    let defaults =
        "[defaults]\nunicast_peers = [\"192.0.2.11\", \"2001:db8::11\"]\naccept_from = [\"192.0.2.9\"]\n";
    let config = super::good(&format!("{defaults}{}", router_with("")));
    let peers = config.routers[0].destinations.unicast().unwrap();
    assert_eq!(peers.addresses, ["192.0.2.11".parse::<std::net::IpAddr>().unwrap()]);
    assert!(config.routers[0].accept_from.is_empty());
    let without = super::good(&format!("{defaults}{}", router_with("unicast_peers = []")));
    assert_eq!(without.routers[0].destinations.unicast(), None);
    assert_eq!(without.routers[0].accept_from.len(), 1);
}

#[test]
fn the_path_of_the_key_is_absolute_and_the_port_is_one() {
    for path in ["peer.key", "/etc/vrrpd/", ""] {
        let text = router_with(&format!("[agent]\npeer_key_file = \"{path}\""));
        one(&text, &format!("\"{path}\""), "the absolute path of a file", "/etc/vrrpd/peer.key");
    }
    for port in ["0", "65536"] {
        one(&router_with(&format!("[agent]\npeer_port = {port}")), port, "1 to 65535", "peer_port =");
    }
}

#[test]
fn the_endpoint_for_monitoring_has_an_address_and_a_port() {
    for value in ["\"localhost:9650\"", "\"127.0.0.1\"", "\"127.0.0.1:0\"", "\"fe0:9650\"", "\"\""] {
        one(
            &router_with(&format!("[agent]\nmetrics = {value}")),
            value,
            "an address and a port",
            "127.0.0.1:9650",
        );
    }
    one(&router_with("[agent]\nmetrics = 9650"), "9650", "text in quotes", "127.0.0.1:9650");
}

#[test]
fn what_is_off_may_be_written_though_it_could_not_be_on() {
    super::good(&router_with(
        "version = 3\naccept = true\nvirtual_mac = false\nunicast_peers = []\naccept_from = []\nroutes = []\nrules = []\n\
         on_transition = []\nbefore_active = []\nafter_release = []",
    ));
}

#[test]
fn each_bad_entry_of_track_is_refused() {
    for (track, at, message, help) in [
        ("\"nginx\"", "\"nginx\"", "is a list, not \"nginx\"", "[{ check ="),
        ("[\"nginx\"]", "\"nginx\"", "a list of tables", "[{ check ="),
        ("[{}]", "{}", "nothing to track", "{ check ="),
        ("[{ weight = 5 }]", "{ weight = 5 }", "nothing to track", "{ check ="),
        (
            "[{ check = \"ok\", interface = \"e\" }]",
            "{ check = \"ok\", interface = \"e\" }",
            "two things",
            "two",
        ),
        ("[{ check = \"okk\" }]", "\"okk\"", "no check called \"okk\"", "did you mean \"ok\"?"),
        ("[{ check = \"other\" }]", "\"other\"", "no check called", "add a [[check]]"),
        ("[{ check = 3 }]", "3", "text in quotes", "check = \"3\""),
        ("[{ check = \"ok\", weight = 0 }]", "0", "-253 to 253, except 0", "weight = -60"),
        ("[{ check = \"ok\", weight = 254 }]", "254", "-253 to 253", "weight = 253"),
        ("[{ check = \"ok\", weight = -254 }]", "-254", "-253 to 253", "weight = -253"),
        ("[{ check = \"ok\", min = 1 }]", "min", "not supported by this version yet", "remove"),
        ("[{ check = \"ok\" }, { check = \"ok\" , weight = 5}]", "\"ok\"", "tracked twice", "remove one"),
        ("[{ interface = \"e\" }, { interface = \"e\" }]", "\"e\"", "tracked twice", "remove one"),
        ("[{ interface = \"a/b\" }]", "\"a/b\"", "cannot be the name of an interface", "ip link"),
        ("[{ scrypt = \"x\" }]", "scrypt", "unknown key `scrypt` in track", "check, interface, weight"),
    ] {
        let text = "[[check]]\nname = \"ok\"\ncommand = [\"/bin/true\"]\n".to_owned();
        let text = text + &router_with(&format!("track = {track}"));
        one(&text, at, message, help);
    }
}

#[test]
fn an_owner_has_no_weights() {
    let text = router_with("priority = \"owner\"\ntrack = [{ check = \"ok\", weight = -5 }]")
        + "[[check]]\nname = \"ok\"\ncommand = [\"/bin/true\"]\n";
    one(&text, "-5", "which is always 255", "remove the weight");
}

#[test]
fn each_bad_check_is_refused() {
    let check = |keys: &str| {
        router_with("track = [{ check = \"nginx\" }]") + "[[check]]\nname = \"nginx\"\n" + keys + "\n"
    };
    let command = "command = [\"/bin/true\"]";
    for (keys, at, message, help) in [
        ("command = \"/bin/true -x\"", "\"/bin/true -x\"", "is a list", "[\"/bin/true\", \"-x\"]"),
        ("command = \"/bin/a | /bin/b\"", "\"/bin/a | /bin/b\"", "is a list", "curl"),
        ("command = []", "[]", "is a list", "curl"),
        ("command = [\"true\"]", "[\"true\"]", "not the absolute path", "no PATH"),
        ("command = [\"/bin/\"]", "[\"/bin/\"]", "not the absolute path", "no PATH"),
        ("command = [\"/bin/true\", 3]", "3", "a list of texts", "curl"),
        ("command = [\"/bin/true\", \"\\u0000\"]", "\"\\u0000\"", "a list of texts", "curl"),
        ("", "[[check]]", "`command` is missing", "add for example command ="),
    ] {
        one(&check(keys), at, message, help);
    }
    for (key, at, message, help) in [
        ("interval = \"99ms\"", "\"99ms\"", "from \"100ms\" to \"1h\"", "interval = \"100ms\""),
        ("timeout = \"0s\"", "\"0s\"", "from \"10ms\" to \"1h\"", "timeout = \"10ms\""),
        ("rise = 0", "0", "from 1 to 255", "rise = 1"),
        ("fall = 256", "256", "from 1 to 255", "fall = 255"),
        ("user = \"\"", "\"\"", "letters, digits", "vrrpd-check"),
        ("user = \"a:b\"", "\"a:b\"", "letters, digits", "vrrpd-check"),
        ("weight = 3", "weight", "unknown key `weight` in [[check]]", "belongs to track"),
    ] {
        one(&check(&format!("{command}\n{key}")), at, message, help);
    }
}

// RFC9568-6.1-7
#[test]
fn each_bad_address_is_refused_where_it_stands() {
    for (addresses, at, message, help) in [
        // RFC9568-6.1-7
        ("[]", "[]", "needs an address", "[\"192.0.2.50/24\"]"),
        ("\"192.0.2.50/24\"", "\"192.0.2.50/24\"", "a list of addresses", "= [\"192"),
        ("[192]", "192", "in quotes", "= [\"192"),
        ("[\"nonsense\"]", "\"nonsense\"", "not an IP address", "2001:db8::50/64"),
        ("[\"192.0.2.50/33\"]", "\"192.0.2.50/33\"", "length of a prefix", "from 1 to 32"),
        ("[\"192.0.2.0/24\"]", "\"192.0.2.0/24\"", "the network itself", "192.0.2.0/32"),
        ("[\"fe80::1%eth0/64\"]", "\"fe80::1%eth0/64\"", "names an interface", "interface"),
    ] {
        one(&format!("{ROUTER}addresses = {addresses}\n"), at, message, help);
    }
    // RFC9568-5.2.5-3
    let list = |count: usize| (1..=count).map(|n| format!("\"10.0.{}.{}/8\"", n / 250, n % 250 + 1));
    let text = |count| format!("{ROUTER}addresses = [{}]\n", list(count).collect::<Vec<_>>().join(","));
    let too_many = errors(&text(256));
    assert_eq!(too_many[0].message, "256 IPv4 addresses are more than an advertisement can list");
    assert_eq!(super::good(&text(255)).routers[0].instances[0].addresses.len(), 255);
}

#[test]
fn the_link_local_address_of_the_virtual_mac_counts_among_the_255() {
    let list: Vec<_> = (1..=255).map(|n| format!("\"2001:db8::{n:x}/64\"")).collect();
    let found = errors(&format!("{ROUTER}addresses = [{}]\n", list.join(",")));
    assert_eq!(found[0].message, "256 IPv6 addresses are more than an advertisement can list");
}

#[test]
fn what_is_required_is_missed() {
    let text = "[[virtual_router]]\n";
    let missing: Vec<_> = errors(text).into_iter().map(|finding| finding.message).collect();
    let all = ["addresses", "interface", "name", "vrid"].map(|key| format!("`{key}` is missing here"));
    assert_eq!(missing, all);
    one(
        "[[check]]\ncommand = [\"/bin/true\"]\n[[virtual_router]]\nname = \"web\"\ninterface = \"e\"\nvrid = 1\naddresses = [\"192.0.2.1\"]",
        "[[check]]",
        "`name` is missing",
        "add for example name",
    );
}

#[test]
fn a_value_that_is_wrong_is_not_called_missing_too() {
    let text = "[[virtual_router]]\nname = 1\ninterface = 2\nvrid = \"x\"\naddresses = 4\n";
    let found = errors(text);
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found.iter().all(|finding| !finding.message.contains("missing")), "{found:#?}");
}

#[test]
fn what_exists_once_is_refused_twice_and_the_first_is_shown() {
    let first = router_with("");
    for (second, message) in [
        (
            first.replace("51", "52").replace("192.0.2.50", "192.0.2.52"),
            "two virtual routers are called \"web\"",
        ),
        (
            first.replace("web", "b").replace("192.0.2.50", "192.0.2.52"),
            "VRID 51 is used twice for IPv4 on eth0",
        ),
        (first.replace("web", "b").replace("51", "52"), "192.0.2.50 is listed twice"),
        (first.replace("web", "b").replace("51", "52").replace("/24", "/32"), "192.0.2.50 is listed twice"),
    ] {
        let found = errors(&format!("{first}{second}"));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].message, message);
        assert!(found[0].span.start >= first.len());
        let related = found[0].related.clone().expect("the first is shown").span;
        assert!(related.end < first.len());
    }
    let check = "[[check]]\nname = \"a\"\ncommand = [\"/bin/true\"]\n";
    let text = router_with("track = [{ check = \"a\" }]") + check + check;
    assert_eq!(errors(&text)[0].message, "two checks are called \"a\"");
}

// RFC9568-5.2.3-2
#[test]
fn one_vrid_may_serve_two_families_interfaces_and_no_more() {
    let first = router_with("");
    let other_family = first.replace("web", "b").replace("192.0.2.50/24", "2001:db8::50/64");
    let other_link = first.replace("web", "b").replace("eth0", "eth1").replace("0.2.50", "0.2.51");
    for second in [&other_family, &other_link] {
        super::good(&format!("{first}{second}"));
    }
    let both = other_family.replace("\"b\"", "\"c\"").replace("db8::50", "db8::51");
    let found = errors(&format!("{first}{other_family}{both}"));
    assert_eq!(found.len(), 1, "the derived link-local address is not reported as well: {found:#?}");
    assert_eq!(found[0].message, "VRID 51 is used twice for IPv6 on eth0");
}

#[test]
fn a_derived_link_local_address_may_not_be_listed_by_another_router() {
    let first = format!("{ROUTER}addresses = [\"2001:db8::50/64\"]\n");
    let second =
        first.replace("web", "b").replace("51", "52").replace("2001:db8::50", "fe80::200:5eff:fe00:233");
    let found = errors(&format!("{first}{second}"));
    assert_eq!(found[0].message, "fe80::200:5eff:fe00:233 is listed twice");
}

#[test]
fn unknown_keys_are_refused_everywhere_with_the_nearest() {
    for (keys, at, message, help) in [
        ("advertise-interval = \"1s\"", "advertise-interval", "unknown key", "`advertise_interval`"),
        ("Priority = 3", "Priority", "unknown key `Priority` in [[virtual_router]]", "`priority`"),
        ("virtual_router_id = 3", "virtual_router_id", "keepalived's", "write vrid = 3"),
        ("nopreempt = true", "nopreempt", "keepalived's", "write preempt = false"),
        ("realtime = true", "realtime", "unknown key", "belongs to [agent]"),
        ("frobnicate = true", "frobnicate", "unknown key", "known here: name, interface, vrid"),
        ("\"\\u001b[2J\" = true", "\"\\u001b[2J\"", "unknown key `\\u{1b}[2J`", "known here"),
        (
            "[virtual_router.announce]\npreempt = true",
            "preempt",
            "[virtual_router.announce]",
            "write it above",
        ),
        ("[agent]\nname = \"x\"", "name", "unknown key `name` in [agent]", "belongs to [[check]]"),
        ("[defaults]\nvrid = 51", "vrid", "cannot have a default", "each [[virtual_router]]"),
        ("[defaults]\nname = \"x\"", "name", "cannot have a default", "each [[virtual_router]]"),
        ("[defaults.announce]\nrepaet = 3", "repaet", "in [defaults.announce]", "`repeat`"),
        ("[defauls]\npriority = 3", "defauls", "at the top level", "`defaults`"),
    ] {
        one(&router_with(keys), at, message, help);
    }
}

#[test]
fn tables_and_lists_of_tables_are_distinguished() {
    let router = router_with("");
    one(&router.replace("[[", "[").replace("]]", "]"), "[virtual_router]", "several", "[[virtual_router]]");
    one(&format!("{router}[[agent]]\n"), "[[agent]]", "is one table", "[agent]");
    one(
        &format!("{router}[[virtual_router.announce]]\n"),
        "[[virtual_router.announce]]",
        "is one table",
        "[virtual_router.announce]",
    );
    one(&format!("check = 3\n{router}"), "3", "a list of tables", "[[check]]");
    one(&format!("check = [3]\n{router}"), "3", "a list of tables", "[[check]]");
}

#[test]
fn a_file_without_a_virtual_router_says_what_to_add() {
    for text in ["", "# nothing yet\n", "[agent]\nnode_name = \"fe0\"\n", "virtual_router = []\n"] {
        let found = errors(text);
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("no [[virtual_router]]"));
        assert!(found[0].help.contains("addresses = [\"192.0.2.50/24\"]"));
        assert_eq!((found[0].place.line, found[0].place.column), (1, 1));
    }
    one("[[virtual_routers]]\n", "virtual_routers", "unknown key", "`virtual_router`");
}

#[test]
fn the_help_for_an_empty_file_is_itself_a_configuration() {
    let help = errors("").remove(0).help;
    let (_, text) = help.split_once('\n').expect("advice, then text");
    super::good(text);
}

#[test]
fn texts_that_are_not_toml_are_explained_line_by_line() {
    for (text, places) in [
        ("name = web\n", &["1:8 this value cannot be read | name = \"web\""][..]),
        ("a = 192.0.2.50/24 # x\n", &["1:10 this value cannot be read | a = \"192.0.2.50/24\""]),
        ("a =\n", &["1:4 this value cannot be read | write a value after `a =`"]),
        ("a = 1\na = 2\nb = yes\n", &["2:1 `a` is set twice | remove", "3:5 this value | b = \"yes\""]),
        ("just words\n", &["1:6 this is not `key = value` | # before a comment"]),
        ("a = [1, 2\nb = 3\nc = 4\nd = 5\n", &["2:1 missing comma between array elements | expected `,`"]),
        ("[agent\nnode_name = \"x\"\n", &["1:7 unclosed table | write [agent]"]),
        ("a = \"x\n", &["1:7 invalid basic string | expected"]),
    ] {
        let found = errors(text);
        assert_eq!(found.len(), places.len(), "{text:?}: {found:#?}");
        for (finding, wanted) in found.iter().zip(places) {
            let (place, help) = wanted.split_once(" | ").unwrap();
            let (place, message) = place.split_once(' ').unwrap();
            let at = format!("{}:{}", finding.place.line, finding.place.column);
            assert_eq!(at, place, "{text:?}: {finding:#?}");
            assert!(finding.message.contains(message), "{text:?}: {finding:#?}");
            assert!(finding.help.contains(help), "{text:?}: {finding:#?}");
        }
    }
}

#[test]
fn columns_count_characters_and_lines_may_end_as_on_windows() {
    let text = "[agent]\r\nnode_name = 'é é'\r\n\"ü\" = 1\r\n";
    let found = errors(&format!("{text}{}", router_with("")));
    let places: Vec<_> = found.iter().map(|f| (f.place.line, f.place.column)).collect();
    assert_eq!(places, [(2, 13), (3, 1)]);
    let inline = errors(&format!("agent = {{ \"üü\" = 1, x = 2 }}\n{}", router_with("")));
    assert_eq!(inline.iter().map(|f| f.place.column).collect::<Vec<_>>(), [11, 21]);
}

#[test]
fn a_file_that_is_something_else_altogether_is_refused_with_a_few_errors() {
    let keepalived = "vrrp_instance VI_1 {\n    state MASTER\n    interface eth0\n}\n".repeat(1000);
    let found = errors(&keepalived);
    assert!((1..=20).contains(&found.len()), "{}", found.len());
}

#[test]
fn thousands_of_errors_are_found_and_shown_in_no_time() {
    let text = router_with(&(0..5000).map(|n| format!("nonsense_{n} = 1\n")).collect::<String>());
    let found = crate::config::resolve(&text, "test.toml").unwrap_err();
    assert_eq!(found.len(), 5000);
    let shown = crate::config::report::text(&text, &found, &[], crate::config::report::Style::Plain);
    assert_eq!(shown.matches("unknown key").count(), crate::config::report::MOST);
    assert!(shown.ends_with("and 4,950 more errors\n\n"), "{}", &shown[shown.len() - 300..]);
}
