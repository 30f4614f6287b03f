//! A node that is written to text and read again goes on as if nothing had happened.

use std::time::Duration;
use vrrpd_core::protocol::{
    AnnounceSpec, CheckName, CheckResult, CheckpointHeader, ChecksumPolicy, Command, CommandId, Demotion,
    Effect, Effects, Force, HoldResult, Input, InstanceSpec, LastResort, LinkLocalRule, Node, RouterSpec,
    StateName, Track,
};
use vrrpd_core::sim::lone_node::run_replacing;
use vrrpd_core::types::{
    AdverInterval, AdvertPriority, Authentication, Destinations, Family, InstanceKey, InterfaceName,
    LinkFacts, MacAddr, MonoTime, Preempt, Priority, Role, Version, Vrid,
};
use vrrpd_core::wire::{
    AddressList, Advertisement, Carrier, ChecksumFlavour, HeardAuthentication, Reject, RejectReason,
};

const SEEDS: u64 = 12;

fn through_text(node: &Node) -> Node {
    ron::from_str(&ron::to_string(node).unwrap()).unwrap()
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

/// Readable, and not a line for each octet.
fn pretty() -> ron::ser::PrettyConfig {
    ron::ser::PrettyConfig::default().depth_limit(5)
}

/// A checkpoint may be read by another version of this program. So its form is a file that one
/// compares: if it differs and the difference is meant, [`CheckpointHeader::LAYOUT`] grows, which
/// begins another file.
#[test]
fn the_layout_has_changed_only_if_its_number_has() {
    let form = |node: &Node| {
        let text = ron::ser::to_string_pretty(node, pretty()).unwrap();
        let again = ron::ser::to_string_pretty(&through_text(node), pretty());
        assert_eq!(again.unwrap(), text);
        text
    };
    let scenes = scenes();
    let text: Vec<String> = scenes.iter().map(|(name, node)| format!("{name}: {}", form(node))).collect();
    let text = text.join("\n");
    // What is nowhere in the file could change unseen.
    let parts = [
        "Initialize",
        "Backup((",
        "Active((",
        "phase: Serving",
        "phase: Leaving((",
        "Candidate(",
        "announcements: Some(",
        "handover: Some(",
        "demoted: Some(",
        "successor_watch: Some(",
        "refusal: Some(",
        "interruption: Some(",
        "holding: Retained",
        "obeyed: Some(",
        "conflict: (",
        "presence: Removed",
        "waiting: {\n",
        "departed: {\n",
        "saved_demotions: {\n",
        "unattributed: {\n",
        "unsent: {\n",
        "socket_errors: {\n",
        "other_names: {\n",
        "DualActive",
        "SamePriority(",
        "Rejected(",
        "ActiveResigned",
        "cause: Fault",
    ];
    let missing: Vec<&str> = parts.into_iter().filter(|part| !text.contains(part)).collect();
    assert_eq!(missing, [""; 0]);
    insta::assert_snapshot!(format!("layout_{}", CheckpointHeader::LAYOUT), text);
}

/// A node, its clock, and what it asked for last.
struct Scene {
    node: Node,
    now: MonoTime,
    out: Effects,
}

fn interface() -> InterfaceName {
    "eth0".parse().unwrap()
}

fn check() -> CheckName {
    CheckName("nginx".into())
}

fn spec() -> RouterSpec {
    let instance = |family, addresses: &[&str]| InstanceSpec {
        family,
        version: Version::V3,
        authentication: Authentication::None,
        addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
        excluded: Vec::new(),
    };
    RouterSpec {
        name: "web".parse().unwrap(),
        interface: interface(),
        address_interface: interface(),
        vrid: Vrid::new(51).unwrap(),
        role: Role::Contender { priority: Priority::new(100).unwrap(), preempt: Preempt::Allow },
        preempt_delay: Duration::ZERO,
        interval: AdverInterval::default(),
        down_adverts: RouterSpec::DEFAULT_DOWN_ADVERTS,
        checksum: ChecksumPolicy::Auto,
        link_local: LinkLocalRule::Require,
        source_address: None,
        destinations: Destinations::Multicast,
        accept_from: Vec::new(),
        instances: vec![
            instance(Family::Ipv4, &["192.0.2.254/24"]),
            instance(Family::Ipv6, &["fe80::51/64", "2001:db8:51::fe/64"]),
        ],
        tracks: vec![Track::weighted(check(), -60), Track::fault(interface())],
        announce: AnnounceSpec::default(),
        drain: Duration::ZERO,
    }
}

fn link() -> LinkFacts {
    LinkFacts {
        index: 2,
        mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
        mtu: 1500,
        up: true,
        carrier: true,
        ipv4: vec!["192.0.2.1".parse().unwrap()],
        ipv6_link_local: vec!["fe80::1".parse().unwrap()],
        ..LinkFacts::default()
    }
}

fn demotion(last_resort: LastResort) -> Demotion {
    let (since, reason, by) = ("2026-11-28T03:12:00Z".into(), "patching".into(), "root".into());
    Demotion { since, until: None, last_resort, reason, by }
}

impl Scene {
    fn new() -> Self {
        let now = MonoTime::from_nanos(1_000_000_000);
        let mut scene = Self { node: Node::new(), now, out: Effects::new() };
        scene.feed(Input::Link(interface(), Some(link())));
        scene.feed(Input::CheckResult(check(), CheckResult::Passing));
        scene.feed(Input::Configure(vec![spec()]));
        scene
    }

    /// A node that has become Active in both families.
    fn active() -> Self {
        let mut scene = Self::new();
        scene.run(Duration::from_secs(10));
        let instances = scene.node.snapshot(scene.now).routers.remove(0).instances;
        assert!(instances.iter().all(|instance| instance.state == StateName::Active));
        scene
    }

    /// The kernel grants what is asked for.
    fn feed(&mut self, input: Input<'_>) {
        self.out.clear();
        self.node.handle(self.now, input, &mut self.out);
        for effect in std::mem::take(&mut self.out) {
            if let Effect::HoldAddresses { key, epoch, .. } = effect {
                self.feed(Input::AddressesHeld(HoldResult { key, epoch, outcome: Ok(()) }));
            }
        }
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.node.next_deadline().filter(|at| *at <= end) {
            self.now = at;
            self.feed(Input::Deadline);
        }
        self.now = end;
    }

    /// Another router advertises our IPv4 address.
    fn hear(&mut self, source: &str, vrid: u8, priority: u8) {
        let source = source.parse().unwrap();
        let carrier = Carrier { source, destination: Family::Ipv4.group(), ttl: 255 };
        let advertisement = Advertisement {
            version: Version::V3,
            vrid: Vrid::new(vrid).unwrap(),
            priority: AdvertPriority::from_wire(priority),
            interval: AdverInterval::default(),
            addresses: AddressList::new(Family::Ipv4, &[192, 0, 2, 254]),
            authentication: HeardAuthentication::Readable(Authentication::None),
            checksum: ChecksumFlavour::Rfc9568,
        };
        self.feed(Input::Received { interface: interface(), carrier, advertisement });
    }

    fn key(family: Family) -> InstanceKey {
        spec().key(family)
    }
}

/// Nodes that have, together, something in every part of their state.
fn scenes() -> Vec<(&'static str, Node)> {
    let ms = Duration::from_millis;
    let mut active = Scene::active();
    active.feed(Input::CheckResult(check(), CheckResult::Failing));
    active.hear("192.0.2.3", 51, 30);
    let address = "192.0.2.254".parse().unwrap();
    let mac = MacAddr([2, 0, 0, 0, 0, 9]);
    active.feed(Input::AnnouncementHeard { interface: interface(), address, mac });

    let mut backup = Scene::new();
    backup.hear("192.0.2.2", 51, 100);
    backup.hear("192.0.2.2", 51, 0);
    backup.hear("192.0.2.2", 9, 100);
    let reject = Reject { reason: RejectReason::ChecksumErrors, vrid: Some(spec().vrid), version: None };
    let (source, family) = ("192.0.2.7".parse().unwrap(), Family::Ipv4);
    let carrier = Some(Carrier { source, destination: family.group(), ttl: 255 });
    backup.feed(Input::Rejected { interface: interface(), family, carrier, reject });
    backup.feed(Input::SavedDemotion("other".parse().unwrap(), demotion(LastResort::Yes)));
    backup.feed(Input::OtherName("eth7".parse().unwrap(), interface()));

    let mut yielded = Scene::active();
    yielded.hear("192.0.2.2", 51, 200);

    let demote = |scene: &mut Scene| {
        let (router, demotion) = (spec().name, demotion(LastResort::No));
        let command = Command::Demote { router, demotion, force: Force::No, drain: None };
        scene.feed(Input::Command(CommandId(7), command));
    };
    let mut leaving = Scene::active();
    demote(&mut leaving);
    leaving.run(ms(10));
    leaving.hear("192.0.2.2", 51, 90);

    let mut demoted = Scene::active();
    let (router, forced) = (spec().name, demotion(LastResort::No));
    let command = Command::Demote { router, demotion: forced, force: Force::Yes, drain: None };
    demoted.feed(Input::Command(CommandId(8), command));
    demoted.run(Duration::from_secs(3));
    demoted.feed(Input::Sockets(interface(), Family::Ipv6, Err("EPERM".into())));

    let mut handed_over = Scene::active();
    let instances = vec![spec().instances.remove(0)];
    handed_over.feed(Input::Configure(vec![RouterSpec { instances, ..spec() }]));
    handed_over.run(Duration::from_secs(20));
    demote(&mut handed_over);
    for _ in 0..3 {
        handed_over.run(ms(20));
        handed_over.hear("192.0.2.2", 51, 90);
    }
    handed_over.run(ms(400));

    let mut refused = Scene::active();
    let key = Scene::key(Family::Ipv6);
    refused.feed(Input::AddressesNotRestored { key, why: "EPERM".into() });

    let mut interrupted = Scene::active();
    for _ in 0..2 {
        let (key, priority) = (Scene::key(Family::Ipv4), AdvertPriority::from_wire(100));
        let destination = Family::Ipv4.group();
        interrupted.feed(Input::AdvertisementUnsent { key, destination, priority, errno: Some(105) });
    }
    interrupted.feed(Input::Link(interface(), Some(LinkFacts { carrier: false, ..link() })));

    let mut replaced = Scene::active();
    replaced.feed(Input::Configure(vec![RouterSpec { vrid: Vrid::new(52).unwrap(), ..spec() }]));

    vec![
        ("active", active.node),
        ("backup", backup.node),
        ("yielded", yielded.node),
        ("leaving", leaving.node),
        ("demoted", demoted.node),
        ("handed over", handed_over.node),
        ("refused", refused.node),
        ("interrupted", interrupted.node),
        ("replaced", replaced.node),
    ]
}
