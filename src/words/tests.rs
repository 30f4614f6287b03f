use super::*;
use crate::agent::{EventRecord, NodeNames};
use crate::channel::{ChannelEvent, SettingDifference};
use crate::config::HookKind;
use crate::protocol::{
    AuthenticationMismatch, Cause, CheckName, Demotion, ForeignAddresses, HandoverCause, LastHeard,
    LocalWarning, MissingSource, NobodyServing, NotServing, PeerWarning, StateName, TransitionDetails,
    Unsent,
};
use crate::types::MacAddr;
use crate::types::{AdverInterval, AdvertPriority, InstanceKey, Version, Vrid};
use crate::wire::RejectReason;
use crate::wire::channel::ChannelReject;
use std::net::IpAddr;

const CAUSES: [Cause; 17] = [
    Cause::Startup,
    Cause::OwnerStartup,
    Cause::ActiveDownTimer,
    Cause::PeerResigned,
    Cause::Preempted,
    Cause::HigherPriority,
    Cause::TieBreak,
    Cause::HandedOver,
    Cause::Fault,
    Cause::FaultCleared,
    Cause::Demoted,
    Cause::Promoted,
    Cause::DemotionExpired,
    Cause::Sibling,
    Cause::Stalled,
    Cause::Configuration,
    Cause::Shutdown,
];

fn protocol_kinds() -> Vec<EventKind> {
    let peer: IpAddr = "192.0.2.11".parse().unwrap();
    let eth0 = "eth0".parse().unwrap();
    let priority = AdvertPriority::from_wire;
    let other: IpAddr = "192.0.2.50".parse().unwrap();
    let obeyed = AdverInterval::from_centiseconds(1000).unwrap();
    let too_long = PeerWarning::IntervalTooLong { said: AdverInterval::MAX, obeyed };
    let last = LastHeard { address: peer, priority: priority(100), ago: Duration::from_millis(4096) };
    let silent = NobodyServing { last: Some(last), silent: last.ago };
    vec![
        EventKind::Transition {
            from: StateName::Backup,
            to: StateName::Active,
            cause: Cause::ActiveDownTimer,
            priority: priority(150),
            details: TransitionDetails {
                lasted: Duration::from_millis(3414),
                ..TransitionDetails::default()
            },
        },
        EventKind::Transition {
            from: StateName::Active,
            to: StateName::Backup,
            cause: Cause::HigherPriority,
            priority: priority(100),
            details: TransitionDetails {
                peer: Some(LastHeard { address: peer, priority: priority(200), ago: Duration::ZERO }),
                lasted: Duration::from_secs(86_400),
                ..TransitionDetails::default()
            },
        },
        EventKind::FaultRaised(Fault::NoCarrier(eth0)),
        EventKind::FaultRaised(Fault::InterfaceMissing(eth0)),
        EventKind::FaultRaised(Fault::InterfaceDown(eth0)),
        EventKind::FaultRaised(Fault::NoSourceAddress(eth0, MissingSource::Ipv4)),
        EventKind::FaultRaised(Fault::NoSourceAddress(eth0, MissingSource::LinkLocal)),
        EventKind::FaultRaised(Fault::NoSourceAddress(eth0, MissingSource::Global)),
        EventKind::FaultRaised(Fault::NoSourceAddress(
            eth0,
            MissingSource::Configured("192.0.2.9".parse().unwrap()),
        )),
        EventKind::FaultRaised(Fault::ForeignAddresses(foreign(0))),
        EventKind::FaultRaised(Fault::ForeignAddresses(foreign(2))),
        EventKind::FaultRaised(Fault::Check(check("nginx"))),
        EventKind::FaultRaised(Fault::CheckPending(check("nginx"))),
        EventKind::FaultRaised(Fault::Addresses("permission denied".into())),
        EventKind::FaultCleared(Fault::NoCarrier(eth0)),
        EventKind::FaultRaised(Fault::Port(eth0, "br1".parse().unwrap())),
        EventKind::FaultRaised(Fault::OtherName("enp3s0".parse().unwrap(), eth0)),
        EventKind::MacChanged {
            interface: eth0,
            from: MacAddr([2, 0, 0, 0, 0, 1]),
            to: MacAddr([2, 0, 0, 0, 0, 0x77]),
        },
        EventKind::LocalWarningRaised(mtu()),
        EventKind::LocalWarningCleared(mtu()),
        EventKind::LocalWarningRaised(LocalWarning::Unsent(unsent())),
        EventKind::LocalWarningCleared(LocalWarning::Unsent(unsent())),
        EventKind::LocalWarningRaised(LocalWarning::Chosen(eth0, "192.0.2.50/24".parse().unwrap())),
        EventKind::LocalWarningCleared(LocalWarning::Chosen(eth0, "192.0.2.50/24".parse().unwrap())),
        EventKind::LocalWarningRaised(LocalWarning::ForeignAddresses(foreign(0))),
        EventKind::LocalWarningCleared(LocalWarning::ForeignAddresses(foreign(0))),
        EventKind::PriorityChanged { from: priority(150), to: priority(1), weights: Vec::new() },
        EventKind::PriorityChanged {
            from: priority(150),
            to: priority(95),
            weights: vec![(check("haproxy").into(), -60), (check("nginx").into(), 5)],
        },
        EventKind::HandoverStarted(HandoverCause::Demote),
        EventKind::HandoverStarted(HandoverCause::Shutdown),
        EventKind::HandoverStarted(HandoverCause::Fault),
        EventKind::HandoverStarted(HandoverCause::Configuration),
        EventKind::HandedOver { to: peer, after: Duration::from_micros(18_300) },
        EventKind::NobodyTookOver { after: Duration::from_millis(1609), released: false },
        EventKind::NobodyTookOver { after: Duration::from_millis(1609), released: true },
        EventKind::Demoted { by: "alice".into(), reason: String::new() },
        EventKind::Demoted { by: "alice".into(), reason: "kernel update".into() },
        EventKind::Promoted,
        EventKind::DemotionExpired,
        EventKind::SuccessorSilent,
        EventKind::AddressesRestored { count: 1 },
        EventKind::AddressesRestored { count: 3 },
        EventKind::AddressesRefused { why: "permission denied".into() },
        EventKind::DualActive { peer, priority: priority(100) },
        EventKind::TakeoverRefuted {
            by: peer,
            silent: Duration::from_millis(36),
            message: HastyMessage::Interval(AdverInterval::MIN),
            lasts: Duration::from_secs(10),
        },
        EventKind::TakeoverRefuted {
            by: peer,
            silent: Duration::from_millis(609),
            message: HastyMessage::Resignation,
            lasts: Duration::from_secs(20),
        },
        EventKind::Impersonated { priority: priority(150), interval: AdverInterval::MIN },
        EventKind::PeerWarningRaised {
            peer: None,
            what: PeerWarning::Rejected(RejectReason::ChecksumErrors),
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::AddressListDiffers { more: vec![peer], less: vec![other] },
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::IntervalDiffers(AdverInterval::MIN),
        },
        EventKind::PeerWarningRaised { peer: Some(peer), what: too_long.clone() },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::Rejected(RejectReason::UnknownSenders),
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::Rejected(RejectReason::IpTtlErrors),
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::Rejected(RejectReason::BadDestination),
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::OtherVersion { theirs: Version::V2, ours: Version::V3 },
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::AuthenticationDiffers(AuthenticationMismatch::OtherPassword),
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::AuthenticationDiffers(AuthenticationMismatch::OnlyHere),
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::AuthenticationDiffers(AuthenticationMismatch::OnlyThere),
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::AuthenticationDiffers(AuthenticationMismatch::IpsecThere),
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::IntervalRefused {
                theirs: AdverInterval::from_seconds(3).unwrap(),
                ours: AdverInterval::default(),
            },
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::AddressListRefused { more: vec![peer], less: vec![other] },
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::AddressesLost {
                priority: priority(200),
                lists: vec![peer],
                ours: vec![other],
            },
        },
        EventKind::PeerWarningRaised {
            peer: Some(peer),
            what: PeerWarning::OtherVrid { address: other, theirs: Vrid::new(53).unwrap() },
        },
        EventKind::PeerWarningRaised { peer: Some(peer), what: PeerWarning::SamePriority(priority(150)) },
        EventKind::PeerWarningRaised { peer: Some(peer), what: PeerWarning::StaysActive(priority(100)) },
        EventKind::PeerWarningCleared { peer: Some(peer), what: too_long, after: Duration::from_secs(80) },
        EventKind::PeerWarningCleared {
            peer: Some(peer),
            what: PeerWarning::StaysActive(priority(100)),
            after: Duration::from_millis(2600),
        },
        EventKind::PeerWarningCleared {
            peer: None,
            what: PeerWarning::AddressConflict { address: other, mac: MacAddr([2, 0, 0, 0xaa, 0xbb, 0xcc]) },
            after: Duration::from_secs(300),
        },
        EventKind::NobodyServes {
            nobody_serving: silent,
            not_serving: NotServing::Demoted,
            addresses: vec![other],
        },
        EventKind::NobodyServes {
            nobody_serving: NobodyServing { last: None, ..silent },
            not_serving: NotServing::Faults(vec![
                Fault::NoCarrier(eth0),
                Fault::Addresses("permission denied".into()),
            ]),
            addresses: vec![other; 5],
        },
        EventKind::NobodyServes {
            nobody_serving: silent,
            not_serving: NotServing::Sibling,
            addresses: vec![other],
        },
        EventKind::ServedAgain { by: Some(peer) },
        EventKind::NoPeerHeard { peers: vec![peer, other], after: Duration::from_secs(11) },
        EventKind::PeerHeard { peer },
        EventKind::PeerWarningRaised { peer: Some(peer), what: PeerWarning::ChecksumDiffers },
        EventKind::PeerWarningRaised { peer: Some(peer), what: PeerWarning::OwnerConflict },
        EventKind::PeerWarningRaised {
            peer: None,
            what: PeerWarning::AddressConflict { address: other, mac: MacAddr([2, 0, 0, 0xaa, 0xbb, 0xcc]) },
        },
        EventKind::Stalled { late: Duration::from_secs(4) },
        EventKind::ChecksumFollows(ChecksumFlavour::Rfc5798),
    ]
}

/// Every kind of event. The kinds of checks stand where an event of a check would be reported.
fn kinds() -> Vec<AgentEventKind> {
    let mut before = protocol_kinds();
    let hand_over = before.iter().position(|kind| matches!(kind, EventKind::HandoverStarted(_)));
    let after = before.split_off(hand_over.unwrap());
    let checks = [
        checked(CheckResult::Failing, ResultChange::Changed, 3, Some("exit code 3: backend pool empty")),
        checked(CheckResult::Failing, ResultChange::First, 1, Some("timed out after 1s")),
        checked(CheckResult::Passing, ResultChange::Changed, 2, None),
        checked(CheckResult::Passing, ResultChange::First, 1, None),
    ];
    let others = [
        AgentEventKind::ConfigurationReloaded { by: "alice".into(), changes: 3 },
        hook(HookKind::OnTransition, HookOutcome::Passed),
        hook(HookKind::AfterRelease, HookOutcome::Failed("exit code 1: no such zone".into())),
        hook(HookKind::BeforeActive, HookOutcome::TimedOut("timed out after 500ms".into())),
        hook(HookKind::BeforeActive, HookOutcome::Cancelled),
        hook(HookKind::OnTransition, HookOutcome::Superseded),
    ];
    let (before, after) = (before.into_iter().map(Into::into), after.into_iter().map(Into::into));
    before.chain(checks).chain(after).chain(others).collect()
}

fn unsent() -> Unsent {
    Unsent {
        interface: "eth0".parse().unwrap(),
        family: Family::Ipv4,
        destination: Family::Ipv4.group(),
        errno: libc::EPERM,
    }
}

fn mtu() -> LocalWarning {
    let interface = "eth0".parse().unwrap();
    LocalWarning::MtuTooSmall { interface, family: Family::Ipv6, addresses: 86, needed: 1424, mtu: 1280 }
}

fn foreign(others: usize) -> ForeignAddresses {
    let (interface, first) = ("eth0".parse().unwrap(), "192.0.2.10/24".parse().unwrap());
    ForeignAddresses { interface, first, others }
}

fn check(name: &str) -> CheckName {
    CheckName(name.into())
}

fn checked(
    result: CheckResult,
    change: ResultChange,
    in_a_row: u32,
    failure: Option<&str>,
) -> AgentEventKind {
    let failure = failure.map(str::to_owned);
    AgentEventKind::Check { check: check("haproxy"), result, change, in_a_row, failure }
}

fn hook(hook: HookKind, outcome: HookOutcome) -> AgentEventKind {
    AgentEventKind::Hook { hook, state: StateName::Active, outcome, took: Duration::from_millis(12) }
}

/// What the nodes may find out about one another.
fn about_nodes() -> Vec<AgentEventKind> {
    let (router, node) = ("moodle-a".parse::<crate::types::RouterName>().unwrap(), || "fe1".to_owned());
    let (address, silent) = ("192.0.2.11".parse().unwrap(), Duration::from_millis(4_100));
    let (here, there) = (Duration::from_secs(1), Duration::from_millis(500));
    let interval = SettingDifference::Interval { here, there };
    let software = SettingDifference::Software { here: "0.1.0".to_owned(), there: "0.2.0".to_owned() };
    let why = vec![("fe1".to_owned(), "check nginx fails".to_owned())];
    [
        ChannelEvent::NodeHeard { node: node(), address },
        ChannelEvent::NodeSilent { node: node(), address, silent },
        ChannelEvent::NodeLeft { node: node(), address },
        ChannelEvent::RedundancyLost { router: router.clone(), why },
        ChannelEvent::RedundancyLost { router: router.clone(), why: vec![] },
        ChannelEvent::RedundancyBack { router: router.clone(), node: node() },
        ChannelEvent::Differs { router: Some(router.clone()), node: node(), what: interval.clone() },
        ChannelEvent::DiffersNoMore { router: Some(router), node: node(), what: interval },
        ChannelEvent::Differs { router: None, node: node(), what: software },
        ChannelEvent::NameShared { node: node(), address },
        ChannelEvent::NotUnderstood { address, why: ChannelReject::Key },
        ChannelEvent::NotUnderstood { address, why: ChannelReject::Format(2) },
    ]
    .map(AgentEventKind::Channel)
    .into()
}

/// The router that an event is about. A reload and a check are about none.
fn about(kind: &AgentEventKind) -> Option<crate::types::RouterName> {
    match kind {
        AgentEventKind::ConfigurationReloaded { .. } | AgentEventKind::Check { .. } => None,
        AgentEventKind::Protocol(_) | AgentEventKind::Hook { .. } => Some("moodle-a".parse().unwrap()),
        AgentEventKind::Channel(event) => event.router().cloned(),
    }
}

fn docs(names: &NodeNames) -> Vec<EventDoc> {
    let key = InstanceKey {
        interface: "eth0".parse().unwrap(),
        family: Family::Ipv4,
        vrid: Vrid::new(51).unwrap(),
    };
    let record = |(seq, kind)| EventRecord {
        seq,
        time: jiff::Timestamp::UNIX_EPOCH,
        event: AgentEvent {
            router: about(&kind),
            key: about(&kind).is_some().then_some(key),
            kind,
            names: names.clone(),
        },
    };
    (1..)
        .zip(kinds().into_iter().chain(about_nodes()))
        .map(|numbered| EventDoc::new(&record(numbered)))
        .collect()
}

#[test]
fn every_event_has_a_line() {
    let lines: Vec<_> = docs(&NodeNames::default())
        .into_iter()
        .map(|doc| format!("{:7} {}", doc.severity, doc.text))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

fn fe1() -> NodeNames {
    NodeNames::from_iter([("192.0.2.11".parse().unwrap(), "fe1")])
}

#[test]
fn a_line_has_the_name_of_the_other_node_if_it_is_known() {
    let nameless = docs(&NodeNames::default());
    let named = docs(&fe1());
    let differ = nameless.iter().zip(&named).filter(|(nameless, named)| nameless.text != named.text);
    let lines: Vec<_> = differ.map(|(_, named)| &*named.text).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn an_event_has_the_name_of_its_peer_if_it_is_known() {
    for (nameless, named) in docs(&NodeNames::default()).into_iter().zip(docs(&fe1())) {
        assert_eq!(nameless.details.peer_node, None);
        assert_eq!(named.details.peer_node.as_deref(), named.details.peer.map(|_| "fe1"), "{}", named.kind);
        let details = EventDetails { peer_node: None, ..named.details };
        assert_eq!(
            EventDoc { details, text: nameless.text.clone(), ..named },
            nameless,
            "nothing else differs"
        );
    }
}

#[test]
fn every_event_has_json_that_reads_back() {
    let docs = docs(&NodeNames::default());
    let lines: Vec<_> = docs.iter().map(|doc| serde_json::to_string(doc).unwrap()).collect();
    for (line, doc) in lines.iter().zip(&docs) {
        assert_eq!(&serde_json::from_str::<EventDoc>(line).unwrap(), doc);
    }
    let schema = include_str!("../../docs/json-schema/events.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let general = ["seq", "time", "severity", "kind", "name", "interface", "family", "vrid", "text"];
    for doc in docs.iter().chain(&self::docs(&fe1())) {
        for (name, value) in serde_json::to_value(doc).unwrap().as_object().unwrap() {
            let documented = &schema["$defs"]["event"]["properties"][name];
            assert!(documented.is_object(), "the schema of events lacks {name}");
            let words = documented["enum"].as_array();
            assert!(words.is_none_or(|words| words.contains(value)), "{name} does not have {value}");
            let kinds = documented["description"].as_str().unwrap_or_default();
            let described = general.contains(&name.as_str()) || kinds.contains(&*doc.kind);
            assert!(described, "the schema does not say that {} has {name}: {kinds}", doc.kind);
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn an_event_of_a_newer_daemon_is_readable() {
    let newer = r#"{"seq":1,"time":"2026-11-22T10:00:00.123Z","severity":"dire","kind":"teleported",
        "name":"a","whither":"eth9","text":"a: teleported"}"#;
    let doc: EventDoc = serde_json::from_str(newer).unwrap();
    assert_eq!((&*doc.kind, &*doc.text), ("teleported", "a: teleported"));
}

/// The details that a transition may have: none, all, and those of a peer that was silent before.
fn details() -> [TransitionDetails; 3] {
    let peer = |ago| LastHeard {
        address: "192.0.2.11".parse().unwrap(),
        priority: AdvertPriority::from_wire(100),
        ago: Duration::from_millis(ago),
    };
    let lasted = Duration::from_millis(3614);
    let demotion = Demotion {
        since: String::new(),
        until: None,
        last_resort: crate::protocol::LastResort::No,
        reason: "kernel update".into(),
        by: "alice".into(),
    };
    let eth0 = "eth0".parse().unwrap();
    let faults = vec![Fault::NoCarrier(eth0), Fault::Check(check("nginx"))];
    [
        TransitionDetails { lasted, ..TransitionDetails::default() },
        TransitionDetails { peer: Some(peer(3609)), lasted, faults, demotion: Some(demotion) },
        TransitionDetails { peer: Some(peer(7_200_000)), lasted, ..TransitionDetails::default() },
    ]
}

#[test]
fn every_cause_is_told_in_a_sentence_and_in_a_cell() {
    insta::assert_snapshot!(causes(&NodeNames::default()).join("\n"));
}

#[test]
fn a_cause_names_the_other_node_if_its_name_is_known() {
    let nameless = causes(&NodeNames::default());
    let named = causes(&fe1()).into_iter().filter(|line| !nameless.contains(line));
    insta::assert_snapshot!(named.collect::<Vec<_>>().join("\n"));
}

/// A line for each cause and each of its details: the sentence and the cell.
fn causes(names: &NodeNames) -> Vec<String> {
    let mut lines = Vec::new();
    for cause in CAUSES {
        for details in details() {
            let ours = AdvertPriority::from_wire(150);
            let (family, cause_name) = (Family::Ipv6, cause.as_str());
            let sentence = why_in_full(names, cause, &details, ours, family);
            lines.push(format!(
                "{cause_name:17} {sentence}  |  {}",
                why_in_short(names, cause, &details, family)
            ));
        }
    }
    lines.dedup();
    lines
}

#[test]
fn spans_are_short_and_ages_fit_five_characters() {
    let table = [
        (Duration::from_micros(300), "less than 1 ms"),
        (Duration::from_micros(18_300), "18 ms"),
        (Duration::from_millis(999), "999 ms"),
        (Duration::from_millis(1000), "1 s"),
        (Duration::from_millis(1609), "1.6 s"),
        (Duration::from_secs(61), "61 s"),
    ];
    for (duration, expected) in table {
        assert_eq!(span(duration), expected);
    }
    let table = [
        (0, "0s"),
        (59, "59s"),
        (192, "3m12s"),
        (2_530, "42m"),
        (7_500, "2h05m"),
        (61_300, "17h"),
        (356_400, "4d03h"),
        (8_640_000, "100d"),
    ];
    for (seconds, expected) in table {
        assert_eq!(age(Duration::from_secs(seconds)), expected);
    }
}

#[test]
fn milliseconds_keep_microseconds() {
    assert_eq!(millis(Duration::from_nanos(18_300_499)).to_string(), "18.3");
    assert_eq!(millis(Duration::from_nanos(609_375_000)).to_string(), "609.375");
}
