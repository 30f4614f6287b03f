//! What legal texts mean.

use super::{ROUTER, good, router_with};
use crate::config::{Agent, CheckSpec, HookKind, Realtime};
use crate::protocol::{AnnounceSpec, CheckName, ChecksumPolicy, LinkLocalRule, RouterSpec, Track, Watched};
use crate::types::{AdverInterval, Family, Preempt, Priority, Role};
use std::time::Duration;

fn router(text: &str) -> RouterSpec {
    good(text).routers.remove(0)
}

/// The IPv6 addresses of a router with these keys, and its rule for link-local addresses.
fn ipv6(keys: &str) -> (Vec<String>, LinkLocalRule) {
    let router = router(&format!("{ROUTER}{keys}\n"));
    let instance =
        router.instances.iter().find(|instance| instance.family == Family::Ipv6).expect("has IPv6");
    (instance.addresses.iter().map(ToString::to_string).collect(), router.link_local)
}

fn agent_of(name: Option<&str>, realtime: Realtime) -> Agent {
    Agent {
        node_name: name.map(str::to_owned),
        realtime,
        peer_key_file: None,
        peer_port: 9651,
        metrics: None,
    }
}

#[test]
fn a_minimal_router_has_the_defaults_of_rfc_9568() {
    let config = good(&router_with(""));
    assert_eq!(config.agent, agent_of(None, Realtime::Off));
    assert_eq!(config.checks, []);
    let router = &config.routers[0];
    assert_eq!(router.name.as_str(), "web");
    assert_eq!(router.interface.as_str(), "eth0");
    assert_eq!(router.vrid.get(), 51);
    let role = Role::Contender { priority: Priority::new(100).unwrap(), preempt: Preempt::Allow };
    assert_eq!(router.role, role);
    assert_eq!(router.interval.period(), Duration::from_secs(1));
    assert_eq!(router.down_adverts.get(), 3);
    assert_eq!(router.preempt_delay, Duration::ZERO);
    assert_eq!(router.checksum, ChecksumPolicy::Auto);
    assert_eq!(router.link_local, LinkLocalRule::Require);
    assert_eq!(router.source_address, None);
    assert_eq!(router.tracks, []);
    assert_eq!(router.announce, AnnounceSpec::default());
    assert_eq!(router.instances.len(), 1);
    assert_eq!(router.instances[0].family, Family::Ipv4);
    assert_eq!(router.instances[0].addresses, ["192.0.2.50/24".parse().unwrap()]);
}

#[test]
fn every_key_of_a_router_reaches_the_core() {
    let router = router(&router_with(
        "priority = 150\nexcluded_addresses = [\"192.0.2.51\"]\nadvertise_interval = \"40.95s\"\n\
         down_adverts = 5\npreempt = false\nsource_address = \"192.0.2.10\"\nchecksum = \"rfc5798\"\n\
         track = [{ interface = \"eth1\" }]\n\
         [virtual_router.announce]\nrepeat = 100\ndelay = \"0s\"\nrefresh = \"1s\"",
    ));
    let role = Role::Contender { priority: Priority::new(150).unwrap(), preempt: Preempt::Forbid };
    assert_eq!(router.role, role);
    assert_eq!(router.instances[0].excluded, ["192.0.2.51/32".parse().unwrap()]);
    assert_eq!(router.interval, AdverInterval::from_centiseconds(4095).unwrap());
    assert_eq!(router.down_adverts.get(), 5);
    assert_eq!(router.source_address, Some("192.0.2.10".parse().unwrap()));
    assert_eq!(router.checksum, ChecksumPolicy::Rfc5798);
    assert_eq!(router.tracks, [Track::fault(Watched::Interface("eth1".parse().unwrap()))]);
    assert_eq!(router.announce.repeat.get(), 100);
    assert_eq!(router.announce.delay, Duration::ZERO);
    assert_eq!(router.announce.refresh, Duration::from_secs(1));
}

#[test]
fn the_agent_and_the_checks_are_taken_as_written() {
    let text = "[agent]\nnode_name = \"fe0\"\nrealtime = true\npeer_key_file = \"/etc/vrrpd/peer.key\"\npeer_port = 1\n\
                metrics = \"[::1]:9650\"\n\
                [[check]]\nname = \"nginx\"\ncommand = [\"/bin/true\", \"\", \"a b\"]\ninterval = \"500ms\"\n\
                timeout = \"200ms\"\nrise = 1\nfall = 255\nuser = \"vrrpd-check\"\n\
                [[check]]\nname = \"slow\"\ncommand = [\"/bin/true\"]\ninterval = \"1h\"\n\
                [[check]]\nname = \"plain\"\ncommand = [\"/bin/true\"]\n";
    let tracks = "track = [{ check = \"nginx\" }, { check = \"slow\", weight = -253 }, \
                  { check = \"plain\", weight = 100 }]";
    let config = good(&format!("{text}{}", router_with(tracks)));
    assert_eq!(
        config.agent,
        Agent {
            peer_key_file: Some("/etc/vrrpd/peer.key".into()),
            peer_port: 1,
            metrics: Some("[::1]:9650".parse().unwrap()),
            ..agent_of(Some("fe0"), Realtime::On)
        }
    );
    let nginx = CheckSpec {
        name: CheckName("nginx".into()),
        command: vec!["/bin/true".into(), String::new(), "a b".into()],
        interval: Duration::from_millis(500),
        timeout: Duration::from_millis(200),
        rise: 1,
        fall: 255,
        user: Some("vrrpd-check".into()),
    };
    assert_eq!(config.checks[0], nginx);
    assert_eq!(config.checks[1].timeout, Duration::from_secs(10), "the interval, but not an hour");
    assert_eq!(config.checks[2].timeout, Duration::from_secs(2), "the interval");
    assert_eq!((config.checks[2].rise, config.checks[2].fall), (2, 3));
    let tracks = [
        Track::fault(CheckName("nginx".into())),
        Track::weighted(CheckName("slow".into()), -253),
        Track::weighted(CheckName("plain".into()), 100),
    ];
    assert_eq!(config.routers[0].tracks, tracks);
}

#[test]
fn defaults_apply_where_a_router_says_nothing() {
    let config = good(
        "[defaults]\ninterface = \"eth0\"\npriority = 50\npreempt = false\ntrack = [{ interface = \"eth8\" }]\n\
         announce = { repeat = 9, delay = \"9s\" }\n\
         [[virtual_router]]\nname = \"a\"\nvrid = 1\naddresses = [\"192.0.2.1\"]\n\
         [[virtual_router]]\nname = \"b\"\nvrid = 2\naddresses = [\"192.0.2.2\"]\ninterface = \"eth1\"\n\
         priority = 60\npreempt = true\ntrack = []\nannounce.repeat = 1\n",
    );
    let (a, b) = (&config.routers[0], &config.routers[1]);
    assert_eq!((a.interface.as_str(), b.interface.as_str()), ("eth0", "eth1"));
    let role = |n, preempt| Role::Contender { priority: Priority::new(n).unwrap(), preempt };
    assert_eq!((a.role, b.role), (role(50, Preempt::Forbid), role(60, Preempt::Allow)));
    assert_eq!((a.tracks.len(), b.tracks.len()), (1, 0), "lists are replaced");
    assert_eq!((a.announce.repeat.get(), b.announce.repeat.get()), (9, 1));
    let nine = Duration::from_secs(9);
    assert_eq!((a.announce.delay, b.announce.delay), (nine, nine), "announce is merged by key");
}

#[test]
fn an_owner_ignores_defaults_that_are_for_contenders() {
    let text = router_with("priority = \"owner\"\nsource_address = \"192.0.2.50\"")
        + "[defaults]\npreempt = false\npreempt_delay = \"10s\"\n";
    let router = router(&text);
    assert_eq!(router.role, Role::Owner);
    assert_eq!(router.preempt_delay, Duration::ZERO);
    assert_eq!(router.source_address, Some("192.0.2.50".parse().unwrap()), "it owns the address");
}

// RFC9568-5.2.9-4
#[test]
fn both_families_become_two_members_ipv4_first_in_the_order_of_the_list() {
    let router = router(&format!(
        "{ROUTER}priority = 100\naddresses = [\"2001:db8::2/64\", \"192.0.2.9\", \"2001:db8::1/64\", \"192.0.2.8\"]\n\
         excluded_addresses = [\"2001:db8::3/64\", \"192.0.2.7\"]\n"
    ));
    let shown: Vec<_> =
        router.instances.iter().map(|m| format!("{} {:?} {:?}", m.family, m.addresses, m.excluded)).collect();
    assert_eq!(
        shown,
        [
            "ipv4 [192.0.2.9/32, 192.0.2.8/32] [192.0.2.7/32]",
            "ipv6 [fe80::200:5eff:fe00:233/64, 2001:db8::2/64, 2001:db8::1/64] [2001:db8::3/64]",
        ]
    );
}

// RFC9568-5.2.9-2
#[test]
fn the_first_ipv6_address_is_link_local_as_the_operator_wants_it() {
    use LinkLocalRule::{Lenient, Require};
    let auto = "fe80::200:5eff:fe00:233/64";
    for (keys, first, rule) in [
        ("addresses = [\"2001:db8::50/64\"]", &[auto, "2001:db8::50/64"][..], Require),
        ("link_local = \"auto\"\naddresses = [\"2001:db8::50/64\"]", &[auto, "2001:db8::50/64"], Require),
        ("addresses = [\"2001:db8::5/64\", \"fe80::7/64\"]", &["fe80::7/64", "2001:db8::5/64"], Require),
        ("addresses = [\"fe80::7/64\"]", &["fe80::7/64"], Require),
        ("link_local = \"none\"\naddresses = [\"2001:db8::5/64\"]", &["2001:db8::5/64"], Lenient),
        (
            "link_local = \"none\"\naddresses = [\"2001:db8::5/64\", \"fe80::7/64\"]",
            &["2001:db8::5/64", "fe80::7/64"],
            Lenient,
        ),
        (
            "link_local = \"fe80::9\"\naddresses = [\"2001:db8::5/64\"]",
            &["fe80::9/64", "2001:db8::5/64"],
            Require,
        ),
        (
            "link_local = \"fe80::9/10\"\naddresses = [\"2001:db8::5\"]",
            &["fe80::9/10", "2001:db8::5/128"],
            Require,
        ),
        (
            "link_local = \"fe80::9\"\naddresses = [\"fe80::8/64\", \"fe80::9/64\"]",
            &["fe80::9/64", "fe80::8/64"],
            Require,
        ),
    ] {
        assert_eq!(ipv6(keys), (first.iter().map(ToString::to_string).collect(), rule), "{keys}");
    }
}

#[test]
fn excluded_addresses_of_a_family_without_an_election_go_along_with_the_other() {
    let router = router(&router_with("excluded_addresses = [\"2001:db8::3/64\", \"192.0.2.7\"]"));
    let [instance] = &router.instances[..] else { panic!("{:?}", router.instances) };
    assert_eq!((instance.family, instance.addresses.len()), (Family::Ipv4, 1));
    assert_eq!(instance.excluded, ["192.0.2.7/32".parse().unwrap(), "2001:db8::3/64".parse().unwrap()]);
}

#[test]
fn any_number_of_addresses_may_be_excluded() {
    let list: Vec<_> = (0..2000).map(|n| format!("\"10.1.{}.{}\"", n / 250, n % 250 + 1)).collect();
    let router = router(&router_with(&format!("excluded_addresses = [{}]", list.join(","))));
    assert_eq!(router.instances[0].excluded.len(), 2000);
}

#[test]
fn hooks_have_defaults_and_a_router_can_do_without_them() {
    let hooks = |text: &str| good(text).hooks.into_values().next();
    assert_eq!(hooks(&router_with("")), None);
    assert_eq!(hooks(&router_with("hook_timeout = \"1s\"\non_transition = []")), None);
    let one = hooks(&router_with("on_transition = [\"/etc/vrrpd/notify\", \"-v\"]")).unwrap();
    let notify = vec!["/etc/vrrpd/notify".to_owned(), "-v".to_owned()];
    assert_eq!(one.commands, [(HookKind::OnTransition, notify)].into());
    assert_eq!(one.timeout_of(HookKind::OnTransition), Duration::from_secs(10));
    assert_eq!(one.timeout_of(HookKind::AfterRelease), Duration::from_secs(10));
    assert_eq!(one.timeout_of(HookKind::BeforeActive), Duration::from_millis(500));
    assert_eq!(one.user, None);

    let defaults = "[defaults]\nbefore_active = [\"/bin/a\"]\nafter_release = [\"/bin/b\"]\nhook_user = \"u\"\n\
                    hook_timeout = \"2s\"\nbefore_active_timeout = \"20ms\"\n";
    let merged =
        hooks(&format!("{defaults}{}", router_with("after_release = []\nhook_timeout = \"3s\""))).unwrap();
    assert_eq!(merged.commands, [(HookKind::BeforeActive, vec!["/bin/a".to_owned()])].into());
    assert_eq!(merged.timeout_of(HookKind::AfterRelease), Duration::from_secs(3));
    assert_eq!(merged.timeout_of(HookKind::BeforeActive), Duration::from_millis(20));
    assert_eq!(merged.user.as_deref(), Some("u"));
}
