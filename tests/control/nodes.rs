//! What the nodes know of one another, as documents and as text.

use crate::rig::schema::assert_conforms;
use crate::rig::{Running, published, seconds};
use serde_json::{Value, json};
use std::time::Duration;
use vrrpd::agent::{AgentSnapshot, ChannelState, ChannelStatus};
use vrrpd::channel::{
    Afterwards, ChannelLink, ChannelView, NodePresence, OtherNode, Redundancy, SettingDifference, Standby,
    StandingDifference, TakeOutcome,
};
use vrrpd::control::client::Client;
use vrrpd::control::message::{ShowDoc, StatusDoc};
use vrrpd::control::render::{self, Width};
use vrrpd::protocol::StateName;
use vrrpd::types::{Family, RouterName, Version};

fn fe1(obstacle: Option<&str>) -> Standby {
    Standby {
        node: "fe1".to_owned(),
        address: "192.0.2.11".parse().unwrap(),
        priority: 100,
        obstacle: obstacle.map(str::to_owned),
        is_active: false,
        heard: seconds(999),
    }
}

fn name(name: &str) -> RouterName {
    name.parse().unwrap()
}

/// A node that serves `moodle-a`, for which `fe1` would take over, unless there is an obstacle.
pub fn knowing(obstacle: Option<&str>) -> AgentSnapshot {
    let why: Vec<_> = obstacle.map(|why| ("fe1".to_owned(), why.to_owned())).into_iter().collect();
    let redundancy = Redundancy {
        is_redundant: obstacle.is_none(),
        missing_since: obstacle.map(|_| seconds(900)),
        why,
        standbys: vec![fe1(obstacle)],
    };
    let link = ChannelLink { interface: "eth0".parse().unwrap(), family: Family::Ipv4 };
    let nodes = vec![OtherNode {
        name: "fe1".to_owned(),
        software: "0.1.0".to_owned(),
        addresses: vec![(link, "192.0.2.11".parse().unwrap())],
        heard: seconds(999),
        presence: NodePresence::Present,
    }];
    let what = SettingDifference::Checks { only_here: vec!["nginx".to_owned()], only_there: vec![] };
    let differs =
        |router, what| StandingDifference { node: "fe1".to_owned(), router, what, since: seconds(990) };
    let software = SettingDifference::Software { here: "0.1.0".to_owned(), there: "0.2.0".to_owned() };
    let view = ChannelView {
        nodes,
        routers: [(name("moodle-a"), redundancy)].into(),
        differences: vec![differs(Some(name("moodle-b")), what), differs(None, software)],
    };
    let problems = vec!["eth1 ipv4: no".to_owned()];
    let mut published = published();
    for router in published.snapshot.routers.iter_mut().filter(|router| router.spec.name == name("moodle-a"))
    {
        router.instances.iter_mut().for_each(|instance| instance.state = StateName::Active);
    }
    AgentSnapshot {
        channel: ChannelStatus { state: ChannelState::On, view, problems, ..ChannelStatus::default() },
        ..published
    }
}

fn status(published: &AgentSnapshot) -> StatusDoc {
    published.status(&published.snapshot.routers)
}

fn show(published: &AgentSnapshot) -> ShowDoc {
    published.show(published.router("moodle-a").unwrap(), vec![])
}

#[test]
fn documents_about_nodes_conform_to_their_schemas() {
    for obstacle in [None, Some("check nginx fails")] {
        let published = knowing(obstacle);
        assert_conforms("status", &serde_json::to_value(status(&published)).unwrap());
        assert_conforms("show", &serde_json::to_value(show(&published)).unwrap());
    }
}

#[test]
fn the_status_says_who_would_take_over_and_what_differs() {
    let document = serde_json::to_value(status(&knowing(None))).unwrap();
    assert_eq!(
        document["nodes"],
        json!([{
            "name": "fe1", "addresses": ["192.0.2.11"], "presence": "present",
            "heard": "2026-11-22T09:59:59.123Z", "software": "0.1.0",
        }])
    );
    let of = |router: &str| -> Value {
        let all = document["virtual_routers"].as_array().unwrap();
        all.iter().find(|one| one["name"] == router).unwrap().clone()
    };
    let moodle_a = of("moodle-a");
    assert_eq!((&moodle_a["redundant"], &moodle_a["standbys"][0]["node"]), (&json!(true), &json!("fe1")));
    assert_eq!(moodle_a["standbys"][0]["age_ms"], json!(1000.0));
    let moodle_b = of("moodle-b");
    assert_eq!(moodle_b["redundant"], Value::Null, "it was not judged");
    let differs = moodle_b["warnings"].as_array().unwrap();
    let differs = differs.iter().find(|warning| warning["kind"] == "setting_differs").unwrap();
    assert_eq!(
        (&differs["severity"], &differs["since"]),
        (&json!("warning"), &json!("2026-11-22T09:59:50.123Z"))
    );
    let messages: Vec<_> =
        document["warnings"].as_array().unwrap().iter().map(|one| one["message"].clone()).collect();
    assert_eq!(
        messages,
        ["the nodes cannot talk to one another: eth1 ipv4: no", "fe1 runs vrrpd 0.2.0, and this node 0.1.0"]
    );
}

#[test]
fn an_active_that_nobody_would_replace_has_a_warning_with_the_reason() {
    let published = knowing(Some("check nginx fails"));
    let document = status(&published);
    let moodle_a = document.virtual_routers.iter().find(|one| one.name == "moodle-a").unwrap();
    assert_eq!(moodle_a.redundant, Some(false));
    let warning = moodle_a.warnings.iter().find(|warning| warning.kind == "not_redundant").unwrap();
    assert_eq!(warning.message, "NOT REDUNDANT: nobody would take over (fe1: check nginx fails)");
    assert_eq!(warning.since.to_string(), "2026-11-22T09:58:20.123Z");
    let table = render::status(&document, Width::Unlimited);
    assert!(
        table.contains("! moodle-a: NOT REDUNDANT: nobody would take over (fe1: check nginx fails)"),
        "{table}"
    );
    assert!(table.contains("! frontend-0: the nodes cannot talk to one another: eth1 ipv4: no"), "{table}");
    let page = render::show(&show(&published));
    let line = "fe1 (192.0.2.11, priority 100) would NOT take over: check nginx fails; heard 1 s ago";
    assert!(page.contains(line) && page.contains("NO: nobody would take over"), "{page}");
}

#[test]
fn a_demotion_is_announced_with_who_will_take_over() {
    let all = |_: &str| true;
    let told = |obstacle| render::successors(&status(&knowing(obstacle)), &all);
    assert_eq!(told(None), "moodle-a: fe1 (192.0.2.11, priority 100) will take over.\n");
    assert_eq!(
        told(Some("check nginx fails")),
        "moodle-a: by what is known now, nobody will take over (fe1: check nginx fails).\n"
    );
    assert_eq!(render::successors(&status(&knowing(None)), &|name| name == "moodle-b"), "");
    assert_eq!(render::successors(&status(&published()), &all), "", "the nodes do not know one another");
}

/// RFC 3768 has nothing that could be shortened.
#[test]
fn a_demotion_in_version_2_is_announced_with_how_long_it_may_take() {
    let told = |mut published: AgentSnapshot| {
        for router in &mut published.snapshot.routers {
            router.instances[0].version = Version::V2;
        }
        let document = status(&published);
        assert_conforms("status", &serde_json::to_value(&document).unwrap());
        render::successors(&document, &|name| name == "moodle-a")
    };
    assert_eq!(
        told(knowing(None)),
        "moodle-a: fe1 (192.0.2.11, priority 100) will take over within 609 ms; this node serves until then.\n"
    );
    assert_eq!(
        told(published()),
        "moodle-a: VRRPv2 lets another router take over after up to 996 ms; this node serves until then.\n",
        "the nodes do not know one another"
    );
}

#[test]
fn a_backup_that_knows_the_active_is_told_to_take() {
    let mut published = knowing(None);
    let mut router = published.router("moodle-b").unwrap().clone();
    let standbys = vec![Standby { is_active: true, ..fe1(None) }];
    let redundancy = Redundancy { is_redundant: true, missing_since: None, why: vec![], standbys };
    published.channel.view.routers.insert(name("moodle-b"), redundancy);
    let heard = published.router("moodle-a").unwrap().instances[0].peers[0];
    router.instances[0].peers = vec![heard];
    let outlook = published.outlook(&router);
    assert!(outlook.ends_with("to move it here: vrrpctl take moodle-b"), "{outlook}");
}

#[test]
fn each_outcome_of_take_has_its_document_and_its_sentence() {
    let daemon = Running::start();
    let taken = |outcome| {
        daemon.takes_to_come.lock().unwrap().push_back(outcome);
        let document = Client::connect(&daemon.socket).unwrap().take("moodle-b").unwrap();
        assert_conforms("take", &serde_json::to_value(&document).unwrap());
        (document.outcome.to_string(), render::take(&document))
    };
    let handed_over = |afterwards| TakeOutcome::HandedOver {
        node: "fe1".to_owned(),
        address: "192.0.2.11".parse().unwrap(),
        after: Duration::from_millis(12),
        afterwards,
    };
    let (outcome, text) = taken(handed_over(Afterwards::Backup));
    assert_eq!(
        (&*outcome, &*text),
        ("handed_over", "moodle-b: now served here; fe1 (192.0.2.11) handed over (12 ms).\n")
    );
    let (_, text) = taken(handed_over(Afterwards::LastResort));
    assert!(
        text.ends_with("it stays Backup at priority 1 until you run there: vrrpctl promote moodle-b\n"),
        "{text}"
    );
    let (outcome, text) = taken(TakeOutcome::Refused("this node serves it already".to_owned()));
    assert_eq!((&*outcome, &*text), ("refused", "moodle-b: NOT taken: this node serves it already.\n"));
    let (outcome, text) =
        taken(TakeOutcome::NoAnswer { node: "fe1".to_owned(), waited: Duration::from_secs(8) });
    assert_eq!(outcome, "no_answer");
    assert!(
        text.contains("fe1 did not answer within 8 s") && text.contains("vrrpctl status moodle-b"),
        "{text}"
    );
}
