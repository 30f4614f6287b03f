//! Connections that outlive a planned move: the node that gave its addresses away serves them on,
//! and the one that took over passes their packets on.

use super::nodes::{knowing, write_key};
use super::support::tcp::{LongConnections, Requests, Service};
use super::support::wait::stays;
use super::support::{Config, Daemon, Lab, Router, SOON, ms, wait_for};
use super::unicast::NODES;
use super::{WEB, web};
use serde_json::Value;
use std::time::Duration;

const WEB6: &str = "2001:db8::50";
/// How long nodes take to prove the paths between them, on a busy machine.
const PROVEN: Duration = Duration::from_secs(30);
/// The time in which the connections of a dead node are reset: 4 s, and a busy machine.
const RESET: Duration = Duration::from_secs(8);

/// Two frontends with TCP services, and a client. `fe0` is preferred, and serves.
struct DrainingPair {
    fe0: Daemon,
    fe1: Daemon,
    _services: [Service; 2],
    lab: Lab,
}

fn router(priority: u8) -> Router {
    web(priority).addresses(&["192.0.2.50/24", "2001:db8::50/64"]).key("drain", "\"60s\"")
}

impl DrainingPair {
    fn of(routers: impl Fn(u8) -> Router) -> Self {
        let lab = Lab::new(&["fe0", "fe1", "client"]);
        let (first, second) = (knowing(&lab, "fe0", &routers(200)), knowing(&lab, "fe1", &routers(100)));
        Self::on(lab, &first, &second)
    }

    fn on(lab: Lab, first: &Config, second: &Config) -> Self {
        let services = [Service::start(lab.node("fe0"), 0), Service::start(lab.node("fe1"), 1)];
        let fe0 = Daemon::start(lab.node("fe0"), first);
        fe0.wait_state("web", "active");
        let fe1 = Daemon::start(lab.node("fe1"), second);
        fe1.wait_state("web", "backup");
        Self { fe0, fe1, _services: services, lab }
    }

    /// A pair of which each could leave its connections to the other.
    fn proven() -> Self {
        Self::proven_of(router)
    }

    fn proven_of(routers: impl Fn(u8) -> Router) -> Self {
        let pair = Self::of(routers);
        for daemon in [&pair.fe0, &pair.fe1] {
            wait_proven(daemon);
        }
        pair
    }

    fn open(&self, address: &str, count: usize) -> LongConnections {
        LongConnections::open(self.lab.node("client"), address, count)
    }

    /// Demotes `fe0`, and waits until `fe1` passes on what belongs to it.
    fn drain(&self) {
        self.drain_for("60s");
        for family in ["ipv4", "ipv6"] {
            wait_for(SOON, "fe1 knows the connections of fe0", || {
                self.fe1.instance("web", family)["forwarding"][0]["listed"].as_u64() > Some(0)
            });
        }
    }

    fn drain_for(&self, time: &str) {
        let answer = self.fe0.ctl(&["demote", "web", "--drain", time, "--no-wait"]);
        assert_eq!(answer.code, 0, "{answer:?}");
        assert!(answer.json["results"][0]["kept_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{answer:?}");
        self.fe1.wait_state("web", "active");
    }

    fn logs(&self) -> String {
        format!("{}\n{}", self.fe0.log(), self.fe1.log())
    }
}

fn wait_proven(daemon: &Daemon) {
    for family in ["ipv4", "ipv6"] {
        wait_for(PROVEN, "the paths between the nodes are proven", || {
            daemon.instance("web", family)["drain_partners"][0].is_string()
        });
    }
}

fn left(daemon: &Daemon, family: &str) -> Option<u64> {
    daemon.instance("web", family)["draining"]["left"].as_u64()
}

fn is_draining(daemon: &Daemon) -> bool {
    ["ipv4", "ipv6"].iter().any(|family| daemon.instance("web", family)["draining"].is_object())
}

fn drain_end(daemon: &Daemon) -> Value {
    let kinds = ["drained", "drain_expired", "drain_lost", "drain_taken_back"];
    daemon.wait_event("the end of the drain", |event| {
        event["family"] == "ipv4" && kinds.iter().any(|kind| event["kind"] == *kind)
    })
}

#[test]
fn connections_outlive_a_demotion_and_the_way_back() {
    assert_nothing_is_cut(&DrainingPair::proven());
}

/// Nodes of VRRPv2 that list one another: what they tell one another about connections goes that way,
/// too.
#[test]
fn connections_outlive_it_in_unicast_and_in_version_2_as_well() {
    let pair = DrainingPair::proven_of(|priority| {
        router(priority).interval("1s").key("version", "2").key("unicast_peers", NODES)
    });
    assert_nothing_is_cut(&pair);
    assert!(pair.lab.capture().adverts(ms(0)).iter().all(|advert| !advert.destination.is_multicast()));
}

/// Demotes `fe0` and takes it back, twice.
fn assert_nothing_is_cut(pair: &DrainingPair) {
    let client = pair.lab.node("client");
    let long = [pair.open(WEB, 6), pair.open(WEB6, 6)];
    let requests = [Requests::start(client, WEB, 100), Requests::start(client, WEB6, 100)];
    for _ in 0..2 {
        requests.iter().for_each(Requests::wait_some_answers);
        pair.drain();
        requests.iter().for_each(Requests::wait_some_answers);
        long.iter().for_each(LongConnections::wait_some_answers);
        assert!(left(&pair.fe0, "ipv4") >= Some(6), "{}", pair.fe0.ctl_text(&["status"]));
        assert_eq!(pair.fe0.ctl(&["promote", "web"]).code, 0);
        pair.fe0.wait_state("web", "active");
        requests.iter().for_each(Requests::wait_some_answers);
        long.iter().for_each(LongConnections::wait_some_answers);
    }
    for one in long {
        let broken = one.close();
        assert_eq!(broken.count(), 0, "{broken:?}\n{}", pair.logs());
    }
    for one in requests {
        let (sent, broken, by) = one.finish();
        assert_eq!(broken.count(), 0, "of {sent}, answered by {by:?}: {broken:?}\n{}", pair.logs());
    }
}

#[test]
fn a_node_is_free_when_its_last_connection_has_ended() {
    let pair = DrainingPair::proven();
    let long = pair.open(WEB, 3);
    pair.drain_for("60s");
    wait_for(SOON, "three connections are left", || left(&pair.fe0, "ipv4") == Some(3));
    let table = pair.fe0.ctl_text(&["status"]);
    assert!(table.contains("draining, 3 left, until "), "{table}");
    wait_for(SOON, "fe1 says that it forwards", || {
        pair.fe1.ctl_text(&["status"]).contains("forwards 3 for fe0")
    });
    stays(ms(2_000), "it drains", || is_draining(&pair.fe0));
    assert_eq!(long.close().count(), 0);
    let event = drain_end(&pair.fe0);
    assert_eq!((&event["kind"], &event["reset"]), (&"drained".into(), &0.into()), "{event}");
    wait_for(SOON, "the addresses are gone", || !is_draining(&pair.fe0) && !pair.lab.node("fe0").has(WEB));
    wait_for(SOON, "fe1 forwards nothing", || {
        pair.fe1.instance("web", "ipv4")["forwarding"].as_array().is_some_and(Vec::is_empty)
    });
}

#[test]
fn the_command_waits_until_the_node_is_free_and_tells_what_was_reset() {
    let pair = DrainingPair::proven();
    let long = pair.open(WEB, 3);
    let answer = pair.fe0.ctl(&["demote", "web", "--drain", "3s"]);
    assert_eq!(answer.code, 5, "connections were reset: {answer:?}");
    let event = drain_end(&pair.fe0);
    assert_eq!((&event["kind"], &event["reset"]), (&"drain_expired".into(), &3.into()), "{event}");
    wait_for(SOON, "the clients know", || long.broken().count() == 3);
    let broken = long.close();
    assert!(broken.why.keys().all(|why| why.contains("reset")), "they were told: {broken:?}");
}

#[test]
fn a_second_demotion_changes_the_deadline_and_zero_ends_it_now() {
    let pair = DrainingPair::proven();
    let long = pair.open(WEB, 2);
    pair.drain_for("60s");
    wait_for(SOON, "two connections are left", || left(&pair.fe0, "ipv4") == Some(2));
    let until = |daemon: &Daemon| daemon.instance("web", "ipv4")["draining"]["until"].clone();
    let before = until(&pair.fe0);
    assert_eq!(pair.fe0.ctl(&["demote", "web", "--drain", "30m", "--no-wait"]).code, 0);
    wait_for(SOON, "another deadline", || until(&pair.fe0) != before && until(&pair.fe0).is_string());
    long.wait_some_answers();
    assert_eq!(long.broken().count(), 0);
    assert_eq!(pair.fe0.ctl(&["demote", "web", "--drain", "0s", "--no-wait"]).code, 0);
    wait_for(SOON, "the clients know", || long.broken().count() == 2);
    assert_eq!(drain_end(&pair.fe0)["kind"], "drain_expired");
}

#[test]
fn a_restart_of_the_leaver_keeps_its_connections() {
    let mut pair = DrainingPair::proven();
    let long = [pair.open(WEB, 4), pair.open(WEB6, 4)];
    pair.drain();
    assert!(pair.fe0.terminate().success());
    pair.fe0.start_again();
    wait_for(SOON, "it drains again", || left(&pair.fe0, "ipv4") == Some(4));
    stays(ms(4_000), "the connections are served", || long.iter().all(|one| one.broken().count() == 0));
    long.iter().for_each(LongConnections::wait_some_answers);
    for one in long {
        let broken = one.close();
        assert_eq!(broken.count(), 0, "{broken:?}\n{}", pair.logs());
    }
    assert_eq!(drain_end(&pair.fe0)["kind"], "drained", "it is counted on");
}

#[test]
fn a_killed_leaver_that_comes_back_keeps_its_connections_too() {
    let mut pair = DrainingPair::proven();
    let long = pair.open(WEB, 4);
    pair.drain_for("60s");
    wait_for(SOON, "fe1 knows them", || {
        pair.fe1.instance("web", "ipv4")["forwarding"][0]["listed"].as_u64() > Some(0)
    });
    pair.fe0.kill();
    pair.fe0.start_again();
    wait_for(SOON, "it drains again", || left(&pair.fe0, "ipv4") == Some(4));
    long.wait_some_answers();
    assert_eq!(long.close().count(), 0, "{}", pair.logs());
}

#[test]
fn the_connections_of_a_dead_leaver_are_reset_and_not_swallowed() {
    let pair = DrainingPair::proven();
    let long = [pair.open(WEB, 4), pair.open(WEB6, 4)];
    pair.drain();
    long.iter().for_each(LongConnections::wait_some_answers);
    pair.lab.cut(pair.lab.node("fe0"));
    wait_for(RESET, "the clients know", || long.iter().all(|one| one.broken().count() == 4));
    for one in long {
        let broken = one.close();
        assert!(broken.why.keys().all(|why| why.contains("reset")), "{broken:?}");
    }
}

/// The clients of connections that cannot be served any more are told, and do not hang.
#[test]
fn connections_are_reset_when_a_reload_takes_away_what_they_need() {
    let without_key = web(200).addresses(&["192.0.2.50/24", "2001:db8::50/64"]);
    let without_key = Config::new().agent(&[("node_name", "fe0")]).with(&without_key);
    let other = web(200).addresses(&["192.0.2.60/24", "2001:db8::60/64"]).key("drain", "\"60s\"");
    for (what, with_other_addresses, end) in
        [("the channel", false, "drain_lost"), ("its addresses", true, "drain_expired")]
    {
        let pair = DrainingPair::proven();
        let long = [pair.open(WEB, 4), pair.open(WEB6, 4)];
        pair.drain();
        long.iter().for_each(LongConnections::wait_some_answers);
        let changed =
            if with_other_addresses { knowing(&pair.lab, "fe0", &other) } else { without_key.clone() };
        pair.fe0.write_config(changed.text());
        assert_eq!(pair.fe0.ctl(&["reload"]).code, 0, "without {what}");
        let event = drain_end(&pair.fe0);
        assert_eq!((&event["kind"], &event["reset"]), (&end.into(), &4.into()), "without {what}: {event}");
        wait_for(RESET, "the clients know", || long.iter().all(|one| one.broken().count() == 4));
        for one in long {
            let broken = one.close();
            assert!(broken.why.keys().all(|why| why.contains("reset")), "without {what}: {broken:?}");
        }
        let places = pair.lab.node("fe0").ns.run("ip", &["address", "show", "dev", "lo"]);
        assert!(!places.contains("192.0.2.50") && !places.contains(WEB6), "{places}");
    }
}

#[test]
fn a_dead_successor_leaves_no_rule_behind() {
    let mut pair = DrainingPair::proven();
    let long = pair.open(WEB, 4);
    pair.drain_for("60s");
    wait_for(SOON, "fe1 knows them", || {
        pair.fe1.instance("web", "ipv4")["forwarding"][0]["listed"].as_u64() > Some(0)
    });
    assert!(pair.lab.node("fe1").ns.run("nft", &["list", "tables"]).contains("vrrpd_forwarding"));
    pair.lab.node("fe1").ns.run("nft", &["flush", "ruleset"]);
    long.wait_some_answers();
    assert_eq!(long.broken().count(), 0, "a firewall's reload takes nothing away");
    pair.fe1.kill();
    let tables = pair.lab.node("fe1").ns.run("nft", &["list", "tables"]);
    assert!(!tables.contains("vrrpd_forwarding"), "{tables}");
}

#[test]
fn nothing_moves_where_the_network_drops_what_would_be_passed_on() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    // Port security at the switch: fe1 may send with its own addresses only.
    lab.switch().nft(
        "table bridge security { chain frames { type filter hook prerouting priority 0;\n\
         ether saddr 02:00:00:00:00:0b ip saddr 203.0.113.0/24 drop\n\
         ether saddr 02:00:00:00:00:0b ip6 saddr 2001:db8:ffff::/48 drop\n}\n}",
    );
    let (first, second) = (knowing(&lab, "fe0", &router(200)), knowing(&lab, "fe1", &router(100)));
    let pair = DrainingPair::on(lab, &first, &second);
    wait_proven(&pair.fe1);
    let long = pair.open(WEB, 2);
    let answer = pair.fe0.ctl(&["demote", "web", "--drain", "60s"]);
    assert_eq!(answer.code, 4, "{answer:?}");
    let why = answer.json["results"][0]["refusal"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("fe1") && why.contains("port security"), "{why}");
    assert!(pair.fe0.is("web", "active"), "nothing has moved");
    assert_eq!(long.close().count(), 0);
}

#[test]
fn nothing_moves_where_the_other_node_does_not_take_part() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let first = knowing(&lab, "fe0", &router(200));
    let second = Config::of(&web(100).addresses(&["192.0.2.50/24", "2001:db8::50/64"]));
    let pair = DrainingPair::on(lab, &first, &second);
    let answer = pair.fe0.ctl(&["demote", "web", "--drain", "60s"]);
    assert_eq!(answer.code, 4, "{answer:?}");
    assert!(pair.fe0.is("web", "active"), "nothing has moved");
    // What is configured is kept where it can be, and is no condition.
    assert_eq!(pair.fe0.ctl(&["demote", "web"]).code, 0);
    pair.fe1.wait_state("web", "active");
    assert!(!is_draining(&pair.fe0));
}

#[test]
fn a_third_node_gets_the_connections_of_several_lives() {
    let lab = Lab::new(&["fe0", "fe1", "fe2", "client"]);
    let names = ["fe0", "fe1", "fe2"];
    let services: Vec<Service> =
        names.iter().zip(0..).map(|(name, number)| Service::start(lab.node(name), number)).collect();
    let priorities = [200, 150, 100];
    let daemons: Vec<Daemon> = names
        .iter()
        .zip(priorities)
        .map(|(name, priority)| {
            let daemon = Daemon::start(lab.node(name), &knowing(&lab, name, &router(priority)));
            daemon.wait_state("web", if priority == 200 { "active" } else { "backup" });
            daemon
        })
        .collect();
    for daemon in &daemons {
        for family in ["ipv4", "ipv6"] {
            wait_for(PROVEN, "the paths between all nodes are proven", || {
                daemon.instance("web", family)["drain_partners"].as_array().is_some_and(|all| all.len() == 2)
            });
        }
    }
    let client = lab.node("client");
    let requests = Requests::start(client, WEB, 50);
    let mut long = vec![LongConnections::open(client, WEB, 3)];
    for moved in [0, 1] {
        assert_eq!(daemons[moved].ctl(&["demote", "web", "--no-wait"]).code, 0);
        daemons[moved + 1].wait_state("web", "active");
        requests.wait_some_answers();
        long.push(LongConnections::open(client, WEB, 3));
        long.iter().for_each(LongConnections::wait_some_answers);
    }
    wait_for(SOON, "fe2 forwards for both", || {
        daemons[2].instance("web", "ipv4")["forwarding"].as_array().is_some_and(|all| all.len() == 2)
    });
    // All at once: the first node takes over from the third.
    assert_eq!(daemons[0].ctl(&["promote", "web"]).code, 0);
    daemons[0].wait_state("web", "active");
    requests.wait_some_answers();
    long.iter().for_each(LongConnections::wait_some_answers);
    let logs = || daemons.iter().map(Daemon::log).collect::<Vec<_>>().join("\n");
    for one in long {
        let broken = one.close();
        assert_eq!(broken.count(), 0, "{broken:?}\n{}", logs());
    }
    let (sent, broken, by) = requests.finish();
    assert_eq!(broken.count(), 0, "of {sent}, answered by {by:?}: {broken:?}\n{}", logs());
    drop(services);
}

#[test]
fn hooks_are_told_that_a_drain_begins_and_that_the_node_is_free() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let told = lab.node("fe0").dir().join("told");
    let hook = |what: &str| format!("[\"/bin/sh\", \"-c\", \"echo {what} >> {}\"]", told.display());
    let first = router(200).key("on_drain", &hook("drains")).key("after_release", &hook("free"));
    let key = write_key(&lab, "fe0", b'k');
    let first = Config::new().agent(&[("node_name", "fe0"), ("peer_key_file", &key)]).with(&first);
    let second = knowing(&lab, "fe1", &router(100));
    let pair = DrainingPair::on(lab, &first, &second);
    wait_proven(&pair.fe0);
    let long = pair.open(WEB, 2);
    pair.drain_for("60s");
    let said = || std::fs::read_to_string(&told).unwrap_or_default();
    wait_for(SOON, "on_drain", || said() == "drains\n");
    stays(ms(1_500), "nothing is free", || said() == "drains\n");
    assert_eq!(long.close().count(), 0);
    wait_for(SOON + SOON, "after_release", || said() == "drains\nfree\n");
}
