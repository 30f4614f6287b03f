//! A million random payloads: the codec and the core together count every one, and change nothing.

use std::collections::BTreeMap;
use std::time::Duration;
use vrrpd::config;
use vrrpd::protocol::{Effects, Input, Node, Snapshot, StateName};
use vrrpd::types::{Family, InterfaceName, LinkFacts, MacAddr, MonoTime};
use vrrpd::wire::{Carrier, parse};

const CONFIGURATION: &str = r#"
    [[virtual_router]]
    name = "web"
    interface = "eth0"
    vrid = 51
    addresses = ["192.0.2.50/24", "2001:db8::50/64"]
"#;
const PAYLOADS: u64 = 1_000_000;

/// Reproducible random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }
}

fn interface() -> InterfaceName {
    "eth0".parse().expect("a name")
}

fn link() -> LinkFacts {
    LinkFacts {
        index: 2,
        mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
        mtu: 1500,
        up: true,
        carrier: true,
        ipv4: vec![[192, 0, 2, 10].into()],
        ipv6_link_local: vec![[0xfe80, 0, 0, 0, 0, 0, 0, 0x10].into()],
        ..LinkFacts::default()
    }
}

/// A router of both families, as Backup.
fn backup(now: MonoTime) -> Node {
    let config = config::resolve(CONFIGURATION, "noise.rs").expect("the configuration is good").config;
    let mut router = Node::new();
    let mut effects = Effects::new();
    router.handle(now, Input::Configure(config.routers), &mut effects);
    router.handle(now, Input::Link(interface(), Some(link())), &mut effects);
    router
}

/// The parts of the state that random payloads must not change.
fn unmoved(snapshot: &Snapshot) -> Vec<String> {
    let members = snapshot.routers.iter().flat_map(|router| &router.instances);
    members
        .map(|m| format!("{:?} {:?} {:?} {:?} {:?}", m.state, m.since, m.timers, m.active, m.peers))
        .collect()
}

/// Everything that was counted as discarded, by reason.
fn discarded(snapshot: &Snapshot) -> BTreeMap<&'static str, u64> {
    let members = snapshot.routers.iter().flat_map(|router| &router.instances).map(|m| &m.counters.rejected);
    let links = snapshot.links.iter().map(|(_, _, counters)| &counters.rejected);
    let mut sums = BTreeMap::new();
    for (reason, count) in members.chain(links).flatten() {
        *sums.entry(reason.as_str()).or_default() += count;
    }
    sums
}

// T70, RFC9568-7.1-12
#[test]
fn a_million_random_payloads_are_counted_and_change_nothing() {
    let start = MonoTime::from_nanos(1_000_000_000);
    let now = start + Duration::from_millis(1);
    let mut router = backup(start);
    let before = router.snapshot(start);
    assert!(before.routers.iter().flat_map(|r| &r.instances).all(|m| m.state == StateName::Backup));
    let (mut effects, mut random) = (Effects::new(), Random(70));
    let noise: Vec<u8> = (0..20_000).flat_map(|_| random.next().to_be_bytes()).collect();
    let carriers = [("192.0.2.66", Family::Ipv4), ("fe80::66", Family::Ipv6)].map(|(source, family)| {
        Carrier { source: source.parse().unwrap(), destination: family.group(), ttl: 255 }
    });

    let mut handed_on = 0;
    for round in 0..PAYLOADS {
        let carrier = carriers[random.below(carriers.len())];
        let length = random.below(1500);
        let at = random.below(noise.len() - length);
        let mut payload = noise[at..at + length].to_vec();
        if round % 2 == 0 && length >= 2 {
            payload[..2].copy_from_slice(&[0x31, 51]); // to reach later checks: version, type, VRID
        }
        let input = match parse(&carrier, &payload) {
            Ok(advertisement) => {
                handed_on += 1;
                Input::Received { interface: interface(), carrier, advertisement }
            }
            Err(reject) => {
                let family = Family::of(carrier.source);
                Input::Rejected { interface: interface(), family, carrier: Some(carrier), reject }
            }
        };
        router.handle(now, input, &mut effects);
        effects.clear();
    }

    let after = router.snapshot(now);
    assert_eq!(unmoved(&after), unmoved(&before));
    let discarded = discarded(&after);
    assert_eq!(discarded.values().sum::<u64>() + handed_on, PAYLOADS, "{discarded:?}");
    for reason in ["packet_length_errors", "version_errors", "invalid_type_pkts_rcvd"] {
        assert!(discarded.get(reason).is_some_and(|count| *count > 1000), "{reason}: {discarded:?}");
    }
}
