//! Plans of a reload: how they describe differences, and that the core does what they say.

use super::good;
use crate::config::Config;
use crate::config::plan::{Change, CheckStep, Difference, Effective, Plan, RouterStep};
use crate::protocol::{Effects, Input, Node, StateName};
use crate::types::{LinkFacts, MonoTime};
use std::time::Duration;

const BEFORE: &str = r#"
[agent]
node_name = "fe0"

[[check]]
name = "nginx"
command = ["/usr/bin/test", "-e", "/run/nginx"]

[[virtual_router]]
name = "web"
interface = "eth0"
vrid = 51
priority = 150
addresses = ["192.0.2.50/24", "192.0.2.51/24"]
on_transition = ["/etc/vrrpd/notify"]
"#;

/// The changes in short form, one word for each.
fn words(changes: &[Change]) -> String {
    let word = |change: &Change| match &change.difference {
        Difference::Value { from, to } => format!("{}: {from} -> {to}", change.key),
        Difference::List { added, removed } => {
            let added = added.iter().map(|one| format!(" +{one}"));
            let removed = removed.iter().map(|one| format!(" -{one}"));
            format!("{}:{}", change.key, added.chain(removed).collect::<String>())
        }
    };
    changes.iter().map(word).collect::<Vec<_>>().join("; ")
}

/// What happens to everything that changes, one line each.
fn told(plan: &Plan) -> Vec<String> {
    let routers = plan.routers.iter().filter_map(|router| {
        let step = match &router.step {
            RouterStep::Add => format!("added on {} {}", router.interface, router.vrid),
            RouterStep::Remove => format!("removed from {} {}", router.interface, router.vrid),
            RouterStep::Retune(changes) => format!("retuned, {}", words(changes)),
            RouterStep::Rebuild(changes) => format!("rebuilt, {}", words(changes)),
            RouterStep::Unchanged => return None,
        };
        Some(format!("{} {step}", router.name))
    });
    let checks = plan.checks.iter().filter_map(|check| {
        let step = match &check.step {
            CheckStep::Add => "added".to_owned(),
            CheckStep::Remove => "removed".to_owned(),
            CheckStep::Restart(changes) => format!("restarted, {}", words(changes)),
            CheckStep::Unchanged => return None,
        };
        Some(format!("check {} {step}", check.name.0))
    });
    let agent = plan.agent.iter().map(|agent| {
        let when = match agent.effective {
            Effective::Now => "now",
            Effective::Restart => "at a restart",
        };
        format!("agent {when}, {}", words(std::slice::from_ref(&agent.change)))
    });
    routers.chain(checks).chain(agent).collect()
}

fn changed(from: &str, to: &str) -> Config {
    assert!(BEFORE.contains(from), "{from}");
    good(&BEFORE.replace(from, to))
}

#[test]
fn a_plan_names_each_key_that_changes_and_nothing_else() {
    let line = "priority = 150";
    for (from, to, expected) in [
        (line, "priority = 90", "web retuned, priority: 150 -> 90"),
        (line, "priority = \"owner\"", "web retuned, priority: 150 -> owner"),
        (line, "", "web retuned, priority: 150 -> 100"),
        (line, "priority = 150\npreempt = false", "web retuned, preempt: true -> false"),
        (line, "priority = 150\npreempt_delay = \"90s\"", "web retuned, preempt_delay: 0s -> 1m30s"),
        (line, "priority = 150\ndown_adverts = 5", "web retuned, down_adverts: 3 -> 5"),
        (
            line,
            "priority = 150\nadvertise_interval = \"250ms\"",
            "web retuned, advertise_interval: 1s -> 250ms",
        ),
        (line, "priority = 150\nchecksum = \"rfc5798\"", "web retuned, checksum: auto -> rfc5798"),
        (
            line,
            "priority = 150\nsource_address = \"192.0.2.10\"",
            "web retuned, source_address: the first of the interface -> 192.0.2.10",
        ),
        (
            line,
            "priority = 150\nunicast_peers = [\"192.0.2.11\"]\nmin_ttl = 64",
            "web retuned, unicast_peers: +192.0.2.11; min_ttl: 255 -> 64",
        ),
        (line, "priority = 150\naccept_from = [\"192.0.2.11\"]", "web retuned, accept_from: +192.0.2.11"),
        (
            line,
            "priority = 150\nexcluded_addresses = [\"192.0.2.60/24\"]",
            "web retuned, excluded_addresses: +192.0.2.60/24",
        ),
        (
            line,
            "priority = 150\ntrack = [{ check = \"nginx\", weight = -60 }, { interface = \"eth1\" }]",
            "web retuned, track: +check nginx, weight -60 +interface eth1",
        ),
        ("\"192.0.2.51/24\"]", "\"192.0.2.52/24\"]", "web retuned, addresses: +192.0.2.52/24 -192.0.2.51/24"),
        (
            "[\"192.0.2.50/24\", \"192.0.2.51/24\"]",
            "[\"192.0.2.51/24\", \"192.0.2.50/24\"]",
            "web retuned, addresses:",
        ),
        (
            "\"192.0.2.51/24\"]",
            "\"192.0.2.51/24\", \"2001:db8::50/64\"]\nlink_local = \"none\"",
            "web rebuilt, addresses: +2001:db8::50/64; link_local: auto -> none",
        ),
        ("vrid = 51", "vrid = 52", "web rebuilt, vrid: 51 -> 52"),
        ("\"eth0\"", "\"eth1\"", "web rebuilt, interface: eth0 -> eth1"),
        (
            "/etc/vrrpd/notify",
            "/etc/vrrpd/other",
            "web retuned, on_transition: /etc/vrrpd/notify -> /etc/vrrpd/other",
        ),
        (
            "on_transition = [\"/etc/vrrpd/notify\"]",
            "",
            "web retuned, on_transition: /etc/vrrpd/notify -> none",
        ),
        (line, "priority = 150\nhook_user = \"nobody\"", "web retuned, hook_user: the daemon's -> nobody"),
        (line, "priority = 150\nhook_timeout = \"3s\"", "web retuned, hook_timeout: 10s -> 3s"),
        (
            "on_transition",
            "announce = { repeat = 2, refresh = \"0s\" }\non_transition",
            "web retuned, announce.repeat: 5 -> 2; announce.refresh: 1m -> 0s",
        ),
    ] {
        let plan = Plan::new(&good(BEFORE), &changed(from, to));
        assert_eq!(told(&plan), [expected]);
        assert!(!plan.is_empty());
    }
}

#[test]
fn a_plan_names_what_comes_and_goes_and_what_a_reload_cannot_do() {
    let check = "name = \"nginx\"";
    for (from, to, expected) in [
        ("name = \"web\"", "name = \"www\"", &["web removed from eth0 51", "www added on eth0 51"][..]),
        (check, "name = \"haproxy\"", &["check haproxy added", "check nginx removed"]),
        (
            check,
            "name = \"nginx\"\ninterval = \"5s\"\nrise = 1\nfall = 1\nuser = \"nobody\"",
            &["check nginx restarted, interval: 2s -> 5s; timeout: 2s -> 5s; rise: 2 -> 1; fall: 3 -> 1; \
             user: the daemon's -> nobody"],
        ),
        (
            "/run/nginx",
            "/run/other",
            &["check nginx restarted, command: /usr/bin/test -e /run/nginx -> /usr/bin/test -e /run/other"],
        ),
        ("node_name = \"fe0\"", "", &["agent now, node_name: fe0 -> the host name"]),
        (
            "node_name = \"fe0\"",
            "node_name = \"fe0\"\nrealtime = true",
            &["agent at a restart, realtime: false -> true"],
        ),
        (
            "node_name = \"fe0\"",
            "node_name = \"fe0\"\npeer_key_file = \"/etc/vrrpd/peer.key\"\npeer_port = 9700",
            &["agent now, peer_key_file: none -> /etc/vrrpd/peer.key", "agent now, peer_port: 9651 -> 9700"],
        ),
        (
            "node_name = \"fe0\"",
            "node_name = \"fe0\"\nmetrics = \"127.0.0.1:9650\"",
            &["agent now, metrics: off -> 127.0.0.1:9650"],
        ),
    ] {
        assert_eq!(told(&Plan::new(&good(BEFORE), &changed(from, to))), expected);
    }
}

#[test]
fn the_same_configuration_is_an_empty_plan() {
    let shuffled =
        BEFORE.replace("priority = 150\n", "").replace("vrid = 51", "priority = 150 # as ever\nvrid = 51");
    let plan = Plan::new(&good(BEFORE), &good(&shuffled));
    assert!(plan.is_empty() && told(&plan).is_empty());
    assert_eq!((plan.routers.len(), plan.checks.len()), (1, 1), "what stays is there as well");
}

#[test]
fn a_command_with_other_arguments_differs_even_if_it_looks_alike() {
    let plan = Plan::new(&good(BEFORE), &changed("\"-e\", \"/run/nginx\"", "\"-e /run/nginx\""));
    assert_eq!(told(&plan), ["check nginx restarted, "]);
    assert!(!plan.is_empty());
}

/// An Active node with the old configuration is given the new one.
fn reconfigured(old: &Config, new: &Config) -> (Node, usize, MonoTime) {
    let (mut node, mut out, mut now) = (Node::new(), Effects::new(), MonoTime::from_nanos(1));
    for interface in ["eth0", "eth1"] {
        let facts = LinkFacts {
            index: 2,
            mac: None,
            mtu: 1500,
            up: true,
            carrier: true,
            ipv4: vec!["192.0.2.10".parse().unwrap()],
            ipv6_link_local: vec!["fe80::10".parse().unwrap()],
            ..LinkFacts::default()
        };
        node.handle(now, Input::Link(interface.parse().unwrap(), Some(facts)), &mut out);
    }
    node.handle(now, Input::Configure(old.routers.clone()), &mut out);
    while let Some(at) = node.next_deadline().filter(|at| at.since(now) < Duration::from_secs(3600)) {
        now = at;
        node.handle(now, Input::Deadline, &mut out);
        if node.snapshot(now).routers.iter().all(|r| r.instances.iter().all(|m| m.state == StateName::Active))
        {
            break;
        }
    }
    out.clear();
    node.handle(now, Input::Configure(new.routers.clone()), &mut out);
    (node, out.len(), now)
}

#[test]
fn the_core_does_what_the_plan_says() {
    for (from, to) in [
        ("web", "web"),
        ("priority = 150", "priority = 90"),
        ("192.0.2.51/24", "192.0.2.52/24"),
        ("vrid = 51", "vrid = 52"),
        ("\"eth0\"", "\"eth1\""),
        ("\"192.0.2.51/24\"]", "\"192.0.2.51/24\", \"2001:db8::50/64\"]"),
        ("\"192.0.2.50/24\", \"192.0.2.51/24\"]", "\"2001:db8::50/64\"]"),
        ("name = \"web\"", "name = \"www\""),
        ("/etc/vrrpd/notify", "/etc/vrrpd/other"),
    ] {
        let (old, new) = (good(BEFORE), changed(from, to));
        let plan = Plan::new(&old, &new);
        let (node, effects, now) = reconfigured(&old, &new);
        let snapshot = node.snapshot(now);
        let web = snapshot.routers.iter().find(|router| router.spec.name.as_str() == "web").unwrap();
        let step = &plan.routers.iter().find(|router| router.name.as_str() == "web").unwrap().step;
        let keeps = web.instances.iter().all(|m| m.state == StateName::Active) && !web.handing_over;
        match step {
            RouterStep::Unchanged => assert!(keeps && effects == 0, "{from}"),
            RouterStep::Retune(_) => assert!(keeps && web.spec == new.routers[0], "{from}"),
            RouterStep::Rebuild(_) | RouterStep::Remove => assert!(web.handing_over, "{from}"),
            RouterStep::Add => panic!("{from}"),
        }
    }
}
