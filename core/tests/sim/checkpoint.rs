//! A node that is written to text and read again goes on as if nothing had happened.

use std::time::Duration;
use vrrpd_core::protocol::{
    AnnounceSpec, CheckName, CheckResult, Checkpoint, ChecksumPolicy, Effects, Input, InstanceSpec,
    LinkLocalRule, Node, RouterSpec, StateName, Track,
};
use vrrpd_core::sim::lone_node::run_replacing;
use vrrpd_core::types::{
    AdverInterval, Destinations, Family, InterfaceName, LinkFacts, MacAddr, MonoTime, Preempt, Priority,
    Role, Version, Vrid,
};

const SEEDS: u64 = 12;

fn through_text(node: &Node) -> Node {
    let text = ron::to_string(&Checkpoint::of(node)).unwrap();
    ron::from_str::<Checkpoint>(&text).unwrap().restore().unwrap()
}

/// The reference predicts each effect and each deadline of a node that was replaced before every
/// seventh input, in every state that the inputs of [`run_replacing`] cause.
#[test]
fn a_node_that_was_read_again_does_what_the_reference_predicts() {
    let mut replaced = 0;
    for seed in 0..SEEDS {
        let mut inputs = 0_u32;
        let outcome = run_replacing(seed, &mut |node| {
            inputs += 1;
            let now = inputs.is_multiple_of(7);
            replaced += u32::from(now);
            now.then(|| through_text(node))
        });
        if let Err(failure) = outcome {
            panic!("seed {seed}: {:?}\n{}", failure.difference, failure.trace);
        }
    }
    assert!(replaced > 40 * 12, "too few to prove anything: {replaced}");
}

#[test]
fn another_layout_is_refused() {
    let text = ron::to_string(&Checkpoint::of(&Node::new())).unwrap();
    let other = text.replace("layout:1,", "layout:2,");
    assert_ne!(text, other);
    let error = ron::from_str::<Checkpoint>(&other).unwrap().restore().unwrap_err();
    assert_eq!(error.to_string(), "the checkpoint has layout 2, and this program reads layout 1 only");
}

/// A node whose router is Active in both families and has a check that fails.
fn active_node() -> Node {
    let interface: InterfaceName = "eth0".parse().unwrap();
    let check = CheckName("nginx".into());
    let instance = |family, addresses: &[&str]| InstanceSpec {
        family,
        version: Version::V3,
        addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
        excluded: Vec::new(),
    };
    let spec = RouterSpec {
        name: "web".parse().unwrap(),
        interface,
        address_interface: interface,
        vrid: Vrid::new(51).unwrap(),
        role: Role::Contender { priority: Priority::new(100).unwrap(), preempt: Preempt::Allow },
        preempt_delay: Duration::ZERO,
        interval: AdverInterval::default(),
        down_adverts: RouterSpec::DEFAULT_DOWN_ADVERTS,
        checksum: ChecksumPolicy::Auto,
        link_local: LinkLocalRule::Require,
        source_address: None,
        destinations: Destinations::Multicast,
        instances: vec![
            instance(Family::Ipv4, &["192.0.2.254/24"]),
            instance(Family::Ipv6, &["fe80::51/64", "2001:db8:51::fe/64"]),
        ],
        tracks: vec![Track::weighted(check.clone(), -60)],
        announce: AnnounceSpec::default(),
    };
    let link = LinkFacts {
        index: 2,
        mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
        mtu: 1500,
        up: true,
        carrier: true,
        ipv4: vec!["192.0.2.1".parse().unwrap()],
        ipv6_link_local: vec!["fe80::1".parse().unwrap()],
        ..LinkFacts::default()
    };
    let (mut node, mut out) = (Node::new(), Effects::new());
    let start = MonoTime::from_nanos(1_000_000_000);
    node.handle(start, Input::Link(interface, Some(link)), &mut out);
    node.handle(start, Input::CheckResult(check, CheckResult::Failing), &mut out);
    node.handle(start, Input::Configure(vec![spec]), &mut out);
    let takeover = node.next_deadline().unwrap();
    node.handle(takeover, Input::Deadline, &mut out);
    let states = node.snapshot(takeover).routers.remove(0).instances;
    assert!(states.iter().all(|instance| instance.state == StateName::Active));
    node
}

/// A checkpoint may be read by another version of this program. So its form is a file that one
/// compares: if it differs and the difference is meant, [`Checkpoint::LAYOUT`] grows, which begins
/// another file.
#[test]
fn the_layout_has_changed_only_if_its_number_has() {
    let form = ron::ser::to_string_pretty(&Checkpoint::of(&active_node()), ron::ser::PrettyConfig::default());
    insta::assert_snapshot!(format!("layout_{}", Checkpoint::LAYOUT), form.unwrap());
}
