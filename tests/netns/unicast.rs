//! Nodes that are listed instead of a multicast group, and senders that are listed beside it.

use super::nodes::{FOUND_OUT, knowing};
use super::support::capture::Capture;
use super::support::inject::{Forgery, Injector};
use super::support::lab::{Way, ip};
use super::support::wait::stays;
use super::support::{Config, Daemon, Lab, Node, Router, SOON, ms, wait_for};
use super::{Pair, WEB, web};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The addresses of both nodes in both families, as both have them in their file.
pub(super) const NODES: &str = "[\"192.0.2.10\", \"192.0.2.11\", \"2001:db8::a\", \"2001:db8::b\"]";
const NODES4: &str = "[\"192.0.2.10\", \"192.0.2.11\"]";

fn both(priority: u8) -> Router {
    web(priority).addresses(&["192.0.2.50/24", "2001:db8::50/64"]).key("unicast_peers", NODES)
}

fn unicast(priority: u8) -> Router {
    web(priority).key("unicast_peers", NODES4)
}

/// From where to where a node has advertised since then.
fn routes(capture: &Capture, node: &str, since: std::time::Duration) -> Vec<(IpAddr, IpAddr)> {
    let mut routes: Vec<_> =
        capture.adverts_of(node, since).iter().map(|advert| (advert.source, advert.destination)).collect();
    routes.sort_unstable();
    routes.dedup();
    routes
}

fn route(source: &str, destination: &str) -> (IpAddr, IpAddr) {
    (ip(source), ip(destination))
}

/// Sends a frame to the hardware address of a node.
fn send_to(node: &Node, injector: &Injector, forgery: &Forgery) {
    let mut frame = forgery.frame();
    frame[..6].copy_from_slice(&node.mac());
    injector.send(&frame);
}

/// `fe0` is demoted and promoted, and a client notices nothing.
fn goes_and_returns(pair: &Pair) {
    let prober = pair.client_of("fe0");
    let answer = pair.fe0.ctl(&["demote", "web"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.json["results"][0]["taken_over_by"], "192.0.2.11", "{answer:?}");
    prober.wait_answer_of(pair.lab.node("fe1"));
    assert_eq!(pair.fe0.ctl(&["promote", "web"]).code, 0);
    prober.wait_answer_of(pair.lab.node("fe0"));
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!(report.lost, 0, "{report:?}");
}

/// Whether the node is a member of the group of either family.
fn is_member(node: &Node) -> bool {
    let joined = node.ns.run("ip", &["maddress", "show", "dev", "eth0"]);
    joined.contains("224.0.0.18") || joined.contains("ff02::12")
}

/// The same file on both nodes, apart from the priority: each leaves itself out.
#[test]
fn a_pair_without_multicast_elects_hands_over_and_fails_over_in_both_families() {
    let mut pair = Pair::with(&Config::of(&both(200)), &Config::of(&both(100)));
    let capture = pair.lab.capture();
    wait_for(SOON, "fe0 advertises in both families", || {
        routes(capture, "fe0", ms(0))
            == [route("192.0.2.10", "192.0.2.11"), route("2001:db8::a", "2001:db8::b")]
    });
    assert!(capture.adverts(ms(0)).iter().all(|advert| advert.ttl == 255));
    goes_and_returns(&pair);
    pair.fe0.kill();
    pair.fe1.wait_state("web", "active");
    let to_group = |advert: &super::support::frame::Advert| advert.destination.is_multicast();
    assert!(!pair.lab.capture().adverts(ms(0)).iter().any(to_group), "nobody has spoken to the group");
    assert!(!is_member(pair.lab.node("fe1")));
}

/// VRRPv2 with a password to listed nodes in IPv4, and VRRPv3 to those of IPv6.
#[test]
fn a_pair_of_version_2_without_multicast_hands_over_and_returns_without_a_lost_request() {
    let router = |priority| both(priority).interval("1s").key("version", "2").key("password", "\"secret\"");
    let pair = Pair::with(&Config::of(&router(200)), &Config::of(&router(100)));
    let capture = pair.lab.capture();
    goes_and_returns(&pair);
    let adverts = capture.adverts(ms(0));
    let versions: BTreeSet<_> =
        adverts.iter().map(|advert| (advert.source.is_ipv4(), advert.version)).collect();
    assert_eq!(versions.into_iter().collect::<Vec<_>>(), [(false, 3), (true, 2)]);
    assert_eq!(
        routes(capture, "fe1", ms(0)),
        [route("192.0.2.11", "192.0.2.10"), route("2001:db8::b", "2001:db8::a")]
    );
}

#[test]
fn what_strangers_and_the_group_say_is_dropped_and_counted() {
    let pair = Pair::with(&Config::of(&unicast(200)), &Config::of(&unicast(100)));
    let (fe0, client) = (pair.lab.node("fe0"), Injector::new(pair.lab.node("client")));
    let forged = |source: &str| Forgery::new(ip(source), 51, 250, 10).addresses(&[WEB]);
    let to_us = |forgery: Forgery| forgery.with(|it| it.destination = fe0.v4().into());
    // It comes from no node, it was routed, or it was sent to the group, which is not joined here.
    send_to(fe0, &client, &to_us(forged("192.0.2.12")));
    send_to(fe0, &client, &to_us(forged("192.0.2.11")).with(|it| it.ttl = 254));
    client.send(&forged("192.0.2.11").frame());
    for (counter, count) in [("unknown_senders", 1), ("ip_ttl_errors", 1), ("bad_destination", 0)] {
        wait_for(SOON, format!("{counter} is {count}"), || pair.fe0.counter("web", "ipv4", counter) == count);
    }
    pair.fe0.wait_event("a stranger is named", |event| {
        event["text"]
            .as_str()
            .is_some_and(|text| text.contains("192.0.2.12") && text.contains("unicast_peers"))
    });
    assert!(pair.fe0.is("web", "active"));
}

#[test]
fn accept_from_drops_strangers_with_multicast_too() {
    let lab = Lab::new(&["fe0", "stranger"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100).key("accept_from", "[\"192.0.2.99\"]")));
    fe0.wait_state("web", "active");
    let stranger = Injector::new(lab.node("stranger"));
    stranger.send(&Forgery::new(ip("192.0.2.11"), 51, 250, 10).addresses(&[WEB]).frame());
    wait_for(SOON, "it is counted", || fe0.counter("web", "ipv4", "unknown_senders") == 1);
    assert!(fe0.is("web", "active"));
    stranger.send(&Forgery::new(ip("192.0.2.99"), 51, 250, 10).addresses(&[WEB]).frame());
    fe0.wait_state("web", "backup");
}

/// At boot the address may come later than the daemon.
#[test]
fn a_source_address_that_comes_later_ends_its_fault() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let node = lab.node("fe0");
    let fe0 = Daemon::start(node, &Config::of(&unicast(200).key("source_address", "\"192.0.2.77\"")));
    fe0.wait_faults("web", "ipv4", &["interface eth0 no source address 192.0.2.77"]);
    node.ns.ip("address add 192.0.2.77/24 dev eth0");
    fe0.wait_state("web", "active");
    wait_for(SOON, "it speaks from that address", || {
        let routes = routes(lab.capture(), "fe0", ms(0));
        // 192.0.2.10 is its own, too, and left out.
        routes == [route("192.0.2.77", "192.0.2.11")]
    });
}

#[test]
fn a_node_that_is_alone_in_its_list_does_not_speak_to_the_group_instead() {
    let lab = Lab::new(&["fe0"]);
    let alone = web(100).key("unicast_peers", "[\"192.0.2.10\"]");
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&alone));
    fe0.wait_faults("web", "ipv4", &["interface eth0 no other ipv4 node"]);
    fe0.stays(ms(500), "web", "initialize");
    assert!(lab.capture().adverts(ms(0)).is_empty());
}

/// Another router on the same interface goes on with the group, and does not notice.
#[test]
fn a_reload_takes_a_router_from_the_group_to_listed_nodes_and_keeps_its_state() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let other = Router::new("db").vrid(52).addresses(&["192.0.2.60/24"]);
    let config = |router: &Router, priority: u8| Config::of(router).with(&other.clone().priority(priority));
    let fe0 = Daemon::start(lab.node("fe0"), &config(&web(200), 100));
    let fe1 = Daemon::start(lab.node("fe1"), &config(&web(100), 200));
    for (router, active, backup) in [("web", &fe0, &fe1), ("db", &fe1, &fe0)] {
        active.wait_state(router, "active");
        backup.wait_state(router, "backup");
    }
    let since = |daemon: &Daemon, router: &str| daemon.instance(router, "ipv4")["since"].clone();
    let before = [since(&fe0, "web"), since(&fe0, "db"), since(&fe1, "db")];
    // Between the two the Backup does not hear its Active, and may be Active for a moment itself.
    for (daemon, priority, others) in [(&fe1, 100, 200), (&fe0, 200, 100)] {
        daemon.write_config(config(&unicast(priority), others).text());
        assert_eq!(daemon.ctl(&["reload"]).code, 0, "{}", daemon.log());
    }
    wait_for(SOON, "fe0 serves, and fe1 hears it", || fe0.is("web", "active") && fe1.is("web", "backup"));
    let reloaded = lab.capture().now();
    stays(ms(500), "all stay what they are", || {
        fe0.is("web", "active") && fe1.is("web", "backup") && fe0.is("db", "backup") && fe1.is("db", "active")
    });
    assert_eq!([since(&fe0, "web"), since(&fe0, "db"), since(&fe1, "db")], before);
    assert_eq!(routes(lab.capture(), "fe0", reloaded), [route("192.0.2.10", "192.0.2.11")]);
    assert_eq!(routes(lab.capture(), "fe1", reloaded), [route("192.0.2.11", "224.0.0.18")]);
}

/// Packets pass in one direction only: the node that is not heard is Active beside the other, as with
/// multicast, and both have their state back when the way is free.
#[test]
fn reachability_in_one_direction_is_noticed_by_the_node_that_hears_the_other() {
    let pair = Pair::with(&Config::of(&unicast(200)), &Config::of(&unicast(100)));
    let fe1 = pair.lab.node("fe1");
    pair.lab.lose(fe1, Way::ToNode, 100);
    pair.fe1.wait_state("web", "active");
    pair.fe0.wait_event("both are Active", |event| event["kind"] == "dual_active");
    assert!(pair.fe0.is("web", "active"), "it outranks the other");
    pair.lab.lose_no_more(fe1, Way::ToNode);
    pair.fe1.wait_state("web", "backup");
}

/// Protocol 112 is dropped in both directions: both serve, and both say what that looks like.
#[test]
fn that_no_node_was_ever_heard_is_an_event_and_every_node_is_shown() {
    let lab = Lab::new(&["fe0", "fe1"]);
    for node in ["fe0", "fe1"] {
        lab.lose(lab.node(node), Way::FromNode, 100);
    }
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&unicast(200)));
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&unicast(100)));
    for (daemon, other) in [(&fe0, "192.0.2.11"), (&fe1, "192.0.2.10")] {
        let event = daemon.wait_event("nobody was heard", |event| event["kind"] == "no_peer_heard");
        assert_eq!(event["addresses"], serde_json::json!([other]));
        let page = daemon.ctl_text(&["show", "web"]);
        assert!(page.contains("never heard") && page.contains(other), "{page}");
    }
    for node in ["fe0", "fe1"] {
        lab.lose_no_more(lab.node(node), Way::FromNode);
    }
    fe1.wait_event("fe0 is heard", |event| event["kind"] == "peer_heard");
    fe1.wait_state("web", "backup");
    let instance = &fe1.ctl(&["show", "web"]).json["instances"][0];
    assert_eq!(
        (&instance["unheard_peers"], &instance["peers"][0]["address"]),
        (&"[]".parse().unwrap(), &"192.0.2.10".into())
    );
}

/// The reports of the nodes to one another go the same way as advertisements, and `take` works.
#[test]
fn nodes_that_are_listed_know_one_another_without_the_group() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let (first, second) = (knowing(&lab, "fe0", &both(200)), knowing(&lab, "fe1", &both(100)));
    let pair = Pair::on(lab, &first, &second);
    for daemon in [&pair.fe0, &pair.fe1] {
        wait_for(FOUND_OUT, "the nodes know each other", || {
            ["ipv4", "ipv6"].iter().all(|family| daemon.instance("web", family)["redundant"] == true)
        });
    }
    assert!(["fe0", "fe1"].iter().all(|name| !is_member(pair.lab.node(name))), "nobody joins the group");
    let answer = pair.fe1.ctl(&["take", "web"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    pair.fe1.wait_state("web", "active");
    let reports = pair.lab.capture().datagrams(ms(0));
    let ours: Vec<_> = reports.iter().filter(|one| one.destination_port == 9651).collect();
    assert!(!ours.is_empty() && ours.iter().all(|one| !one.destination.is_multicast()), "{ours:?}");
}

/// `fe1` is behind a router: its advertisements and its reports arrive with a TTL of 254, and are
/// believed alike. With the default neither is.
#[test]
fn nodes_behind_a_router_know_one_another_if_they_may_be_there() {
    for (lines, known) in [("254", true), ("255", false)] {
        let lab = Lab::new(&["fe0", "fe1"]);
        // The LAN passes on what it carries as a router does.
        let lowered = "table netdev routed {\nchain frames {\ntype filter hook egress device \"eth0\" priority 0\n\
                       ip daddr 192.0.2.0/24 ip ttl set 254\n}\n}\n";
        for name in ["fe0", "fe1"] {
            lab.node(name).ns.nft(lowered);
        }
        let router = |priority| unicast(priority).key("min_ttl", lines);
        let [first, second] = [("fe0", 200), ("fe1", 100)]
            .map(|(name, priority)| Daemon::start(lab.node(name), &knowing(&lab, name, &router(priority))));
        first.wait_state("web", "active");
        let redundant = |daemon: &Daemon| daemon.instance("web", "ipv4")["redundant"] == true;
        if known {
            wait_for(FOUND_OUT, "the nodes know each other", || redundant(&first) && redundant(&second));
            second.wait_state("web", "backup");
            let answer = second.ctl(&["take", "web"]);
            assert_eq!(answer.code, 0, "{answer:?}");
            second.wait_state("web", "active");
        } else {
            wait_for(SOON, "the advertisements were dropped", || {
                second.counter("web", "ipv4", "ip_ttl_errors") > 0
            });
            stays(ms(2500), "nobody is known", || !redundant(&first) && !redundant(&second));
        }
        let reports = lab.capture().datagrams(ms(0)).into_iter().filter(|one| one.destination_port == 9651);
        assert!(reports.count() > 0, "nodes report");
    }
}
