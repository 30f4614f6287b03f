//! A steady state does not allocate memory: neither in an Active that advertises, nor in a Backup
//! that hears it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use allocation_counter::measure;
use std::time::Duration;
use vrrpd_core::protocol::{
    AnnounceSpec, ChecksumPolicy, Effect, Effects, HoldResult, Input, InstanceSpec, LinkLocalRule, Node,
    RouterSpec, StateName,
};
use vrrpd_core::types::{
    AdverInterval, AdvertPriority, Authentication, Destinations, Family, InterfaceName, LinkFacts, MacAddr,
    MonoTime, Preempt, Priority, Role, Version, Vrid,
};
use vrrpd_core::wire::{self, Carrier, ChecksumFlavour, Draft};

/// How many ticks are measured: more than a quarter of an hour, so that rare work (announcing
/// again, forgetting peers) is included.
const TICKS: u32 = 1_000;

fn interface() -> InterfaceName {
    "eth0".parse().unwrap()
}

fn address(vrid: u8) -> ipnet::IpNet {
    format!("198.51.100.{vrid}/24").parse().unwrap()
}

/// A node with this many routers, all of them on one interface.
fn node(routers: u8) -> (Node, MonoTime, Effects) {
    let (mut node, now, mut out) = (Node::new(), MonoTime::from_nanos(1_000_000_000), Effects::new());
    let link = LinkFacts {
        index: 2,
        mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
        mtu: 1500,
        up: true,
        carrier: true,
        ipv4: vec!["192.0.2.1".parse().unwrap()],
        ..LinkFacts::default()
    };
    let spec = |vrid: u8| RouterSpec {
        name: format!("web-{vrid}").parse().unwrap(),
        interface: interface(),
        address_interface: interface(),
        vrid: Vrid::new(vrid).unwrap(),
        role: Role::Contender { priority: Priority::new(100).unwrap(), preempt: Preempt::Allow },
        preempt_delay: Duration::ZERO,
        interval: AdverInterval::from_centiseconds(100).unwrap(),
        down_adverts: 3.try_into().unwrap(),
        checksum: ChecksumPolicy::Auto,
        link_local: LinkLocalRule::Require,
        source_address: None,
        destinations: Destinations::Multicast,
        accept_from: Vec::new(),
        instances: vec![InstanceSpec {
            family: Family::Ipv4,
            version: Version::V3,
            authentication: Authentication::None,
            addresses: vec![address(vrid)],
            excluded: Vec::new(),
        }],
        tracks: Vec::new(),
        announce: AnnounceSpec::default(),
        drain: Duration::ZERO,
    };
    node.handle(now, Input::Link(interface(), Some(link)), &mut out);
    node.handle(now, Input::Configure((1..=routers).map(spec).collect()), &mut out);
    (node, now, out)
}

/// How many instances are in this state.
fn count(node: &Node, now: MonoTime, state: StateName) -> usize {
    let routers = node.snapshot(now).routers;
    routers.iter().flat_map(|router| &router.instances).filter(|instance| instance.state == state).count()
}

/// Does everything that is due; the kernel grants addresses at once. Returns how many
/// advertisements were sent.
fn tick(node: &mut Node, now: MonoTime, out: &mut Effects) -> usize {
    out.clear();
    node.handle(now, Input::Deadline, out);
    let mut sent = 0;
    for at in 0..out.len() {
        match out[at] {
            Effect::Advertise { .. } => sent += 1,
            Effect::HoldAddresses { key, epoch, .. } => {
                let held = HoldResult { key, epoch, outcome: Ok(()) };
                node.handle(now, Input::AddressesHeld(held), out);
            }
            Effect::ReleaseAddresses { .. }
            | Effect::DrainAddresses { .. }
            | Effect::ResetConnections(..)
            | Effect::Announce { .. }
            | Effect::WatchAnnouncements { .. }
            | Effect::IgnoreAnnouncements { .. }
            | Effect::Report(_)
            | Effect::Answer { .. }
            | Effect::SaveDemotion { .. }
            | Effect::Stopped => {}
        }
    }
    sent
}

#[test]
fn an_active_that_advertises_allocates_nothing() {
    for routers in [1, 40] {
        let (mut node, mut now, mut out) = node(routers);
        let advance = |node: &mut Node, now: &mut MonoTime, out: &mut Effects, ticks: u32| {
            (0..ticks).fold(0, |sent, _| {
                *now = node.next_deadline().unwrap();
                sent + tick(node, *now, out)
            })
        };
        advance(&mut node, &mut now, &mut out, 50 * u32::from(routers));
        assert_eq!(count(&node, now, StateName::Active), routers.into());
        let mut sent = 0;
        let allocations = measure(|| sent = advance(&mut node, &mut now, &mut out, TICKS));
        assert!(sent * 2 > TICKS as usize, "it advertises: {sent}");
        assert_eq!(allocations.count_total, 0, "{routers} routers: {allocations:?}");
    }
}

#[test]
fn a_backup_that_hears_its_active_allocates_nothing() {
    for routers in [1, 40] {
        let (mut node, mut now, mut out) = node(routers);
        let source = "192.0.2.2".parse().unwrap();
        let carrier = Carrier { source, destination: Family::Ipv4.group(), ttl: 255 };
        let message = |vrid: u8| {
            let draft = Draft {
                version: Version::V3,
                source,
                destination: carrier.destination,
                vrid: Vrid::new(vrid).unwrap(),
                priority: AdvertPriority::from_wire(200),
                interval: AdverInterval::from_centiseconds(100).unwrap(),
                authentication: Authentication::None,
                checksum: ChecksumFlavour::Rfc9568,
            };
            let mut octets = Vec::new();
            wire::emit(&draft, [address(vrid).addr()], &mut octets).unwrap();
            octets
        };
        let messages: Vec<Vec<u8>> = (1..=routers).map(message).collect();
        let advance = |node: &mut Node, now: &mut MonoTime, out: &mut Effects, seconds: u32| {
            for _ in 0..seconds {
                *now = *now + Duration::from_secs(1);
                out.clear();
                for octets in &messages {
                    let advertisement = wire::parse(&carrier, octets).unwrap();
                    let input = Input::Received { interface: interface(), carrier, advertisement };
                    node.handle(*now, input, out);
                }
                node.handle(*now, Input::Deadline, out);
            }
        };
        advance(&mut node, &mut now, &mut out, 50);
        let allocations = measure(|| advance(&mut node, &mut now, &mut out, TICKS));
        assert_eq!(count(&node, now, StateName::Backup), routers.into());
        let heard = node.snapshot(now).routers[0].instances[0].counters.advertisement_rcvd;
        assert_eq!(heard, u64::from(TICKS) + 50);
        assert_eq!(allocations.count_total, 0, "{routers} routers: {allocations:?}");
    }
}

/// The counter really counts: otherwise a test that expects zero allocations could not fail.
#[test]
fn an_allocation_is_counted() {
    let allocations = measure(|| drop(std::hint::black_box(vec![1_u8])));
    assert_eq!(allocations.count_total, 1);
}
