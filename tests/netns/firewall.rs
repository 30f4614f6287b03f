//! The firewall rules that docs/firewall.md shows to its readers.

use super::nodes::{FOUND_OUT, knowing};
use super::support::prober::Responder;
use super::support::{Config, Daemon, Lab, Prober, SOON, wait_for};
use super::{WEB, web};

const DOCUMENT: &str = include_str!("../../docs/firewall.md");
const WEB6: &str = "2001:db8::50";
/// The service of the lab's frontends; the document has tcp.
const SERVICE: &str = "udp dport 7007 accept\n        tcp dport";

/// The rules for one file, as the document prints them.
fn rules(file: &str) -> &'static str {
    let fence = format!("```nft {file}\n");
    let (_, rest) = DOCUMENT.split_once(&fence).unwrap_or_else(|| panic!("docs/firewall.md has no {file}"));
    rest.split_once("```").expect("the block ends").0
}

#[test]
fn the_rules_to_paste_let_a_pair_elect_and_serve_both_families() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let nodes = ["fe0", "fe1"].map(|name| lab.node(name));
    let pasted = rules("/etc/nftables.conf").replace("tcp dport", SERVICE);
    let without_vrrp: String =
        pasted.split_inclusive('\n').filter(|line| !line.contains("saddr @vrrp")).collect();
    for node in nodes {
        node.ns.nft(&without_vrrp);
    }
    let _services: Vec<_> =
        nodes.iter().flat_map(|node| [WEB, WEB6].map(|address| Responder::start(node, address))).collect();
    let config =
        |node, priority| knowing(&lab, node, &web(priority).addresses(&["192.0.2.50/24", "2001:db8::50/64"]));
    let fe0 = Daemon::start(lab.node("fe0"), &config("fe0", 200));
    let fe1 = Daemon::start(lab.node("fe1"), &config("fe1", 100));
    // With a default of drop and no rule for VRRP, both routers are Active, as the page warns.
    fe0.wait_state("web", "active");
    fe1.wait_state("web", "active");

    for node in nodes {
        node.ns.nft(&pasted);
        node.ns.nft(&pasted);
        let loaded = node.ns.run("nft", &["list", "ruleset"]).matches("saddr @vrrp4").count();
        assert_eq!(loaded, 2, "one rule for VRRP and one for what nodes tell one another, each once");
    }
    fe1.wait_state("web", "backup");
    assert!(fe0.is("web", "active"));
    // Until then fe1 answers who asks where the addresses are.
    wait_for(SOON, "fe1 lets the addresses go", || ![WEB, WEB6].iter().any(|web| lab.node("fe1").has(web)));
    wait_for(FOUND_OUT, "the nodes know each other", || {
        [&fe0, &fe1].iter().all(|daemon| daemon.instance("web", "ipv6")["redundant"] == true)
    });
    let probers = [WEB, WEB6].map(|address| Prober::start(lab.node("client"), address, 200));
    probers.iter().for_each(|prober| prober.wait_answer_of(lab.node("fe0")));
    probers.iter().for_each(Prober::wait_some_answers);
    assert_eq!(fe0.ctl(&["demote", "web"]).code, 0);
    probers.iter().for_each(|prober| prober.wait_answer_of(lab.node("fe1")));
    for prober in probers {
        prober.wait_some_answers();
        let report = prober.finish();
        assert_eq!(report.lost, 0, "{report:?}");
    }
}

#[test]
fn the_rules_for_a_machine_that_accepts_keep_strangers_out() {
    let lab = Lab::new(&["fe0", "fe1", "stranger"]);
    let pasted = rules("/etc/nftables.d/vrrp.conf");
    for name in ["fe0", "fe1"] {
        lab.node(name).ns.nft(pasted);
        lab.node(name).ns.nft(pasted);
    }
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(200)));
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    fe1.wait_state("web", "backup");
    // The stranger has the same VRID, a higher priority and its own address: without the rules it
    // takes over.
    let stranger = Daemon::start(lab.node("stranger"), &Config::of(&web(250).addresses(&["192.0.2.77/24"])));
    stranger.wait_state("web", "active");
    let rules = || lab.node("fe0").ns.run("nft", &["list", "table", "inet", "vrrp"]);
    wait_for(SOON, "its messages are dropped", || {
        let rules = rules();
        let mut of_vrrp = rules.lines().filter(|line| line.contains("!= @vrrp4") && !line.contains("9651"));
        of_vrrp.any(|line| line.contains("counter packets") && !line.contains("counter packets 0 "))
    });
    assert!(fe0.is("web", "active") && fe1.is("web", "backup"));
}

/// A firewall on the Active drops its own advertisements. The peer cannot know that, so only this
/// node can report it.
#[test]
fn advertisements_that_a_firewall_drops_on_their_way_out_are_reported_and_not_counted_as_sent() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let fe0 = Daemon::start(node, &Config::of(&web(200)));
    fe0.wait_state("web", "active");
    node.ns.nft(
        "table inet mute {\nchain out {\ntype filter hook output priority 0\nip protocol 112 drop\n}\n}\n",
    );
    fe0.wait_event("it cannot send", |event| {
        event["kind"] == "concern_raised"
            && event["text"].as_str().is_some_and(|text| text.contains("Operation not permitted"))
    });
    let table = fe0.ctl_text(&["status"]);
    assert!(table.contains("\n! web: advertisements do not leave eth0"), "{table}");
    assert_eq!(fe0.instance("web", "ipv4")["warnings"][0]["kind"], "not_sent");
    let counted = |name| fe0.counter("web", "ipv4", name);
    let (sent, refused) = (counted("advertisement_sent"), counted("tx_errors"));
    wait_for(SOON, "more is refused", || counted("tx_errors") >= refused + 5);
    assert_eq!(counted("advertisement_sent"), sent);
    node.ns.nft("delete table inet mute");
    fe0.wait_event("it can again", |event| event["kind"] == "concern_cleared");
    assert_eq!(fe0.instance("web", "ipv4")["warnings"], serde_json::json!([]));
    assert!(fe0.is("web", "active"));
}
