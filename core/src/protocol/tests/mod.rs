//! Tests of the core through `Node::handle`, as a peer and an operator see it.

// A test asks for one kind of effect, and a new kind must not break it.
#![allow(clippy::wildcard_enum_match_arm)]

mod both_families;
mod conflicts;
mod crashed_run;
mod demotion;
mod draining;
mod edges;
mod faults;
mod handover;
mod interruptions;
mod mutants;
mod proof;
mod receiving;
mod refusals;
mod reload;
mod retention;
mod service_watch;
mod several_routers;
mod state_table;
mod states;
mod strangers;
mod transition_details;
mod unicast;
mod version2;
mod words;

use super::*;
use crate::types::*;
use crate::wire::{AddressList, Advertisement, Carrier, ChecksumFlavour, HeardAuthentication};
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

const US: &str = "192.0.2.100";
/// The hardware address of another station that announces our addresses.
const STRANGER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);
const US6: &str = "fe80::64";

fn demotion(last_resort: LastResort, until: Option<Until>) -> Demotion {
    Demotion { since: "now".into(), until, last_resort, reason: "kernel update".into(), by: "root".into() }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn interface() -> InterfaceName {
    "eth0".parse().unwrap()
}

fn interval(centiseconds: u16) -> AdverInterval {
    AdverInterval::from_centiseconds(centiseconds).unwrap()
}

fn contender(priority: u8, preempt: Preempt) -> Role {
    Role::Contender { priority: Priority::new(priority).unwrap(), preempt }
}

fn instance(family: Family) -> InstanceSpec {
    let addresses = match family {
        Family::Ipv4 => vec!["192.0.2.254/24".parse().unwrap()],
        Family::Ipv6 => vec!["fe80::51/64".parse().unwrap(), "2001:db8:51::fe/64".parse().unwrap()],
    };
    InstanceSpec {
        family,
        version: Version::V3,
        authentication: Authentication::None,
        addresses,
        excluded: Vec::new(),
    }
}

/// VRID 51, priority 100, 1 s, one IPv4 address; as in the black-box cases.
fn spec() -> RouterSpec {
    RouterSpec {
        name: "web".parse().unwrap(),
        interface: interface(),
        address_interface: interface(),
        vrid: Vrid::new(51).unwrap(),
        role: Role::default(),
        interval: AdverInterval::default(),
        down_adverts: NonZeroU8::new(3).unwrap(),
        preempt_delay: Duration::ZERO,
        checksum: ChecksumPolicy::Auto,
        link_local: LinkLocalRule::Require,
        source_address: None,
        destinations: Destinations::Multicast,
        accept_from: Vec::new(),
        instances: vec![instance(Family::Ipv4)],
        tracks: Vec::new(),
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
        ipv4: vec![US.parse().unwrap()],
        ipv6_link_local: vec![US6.parse().unwrap()],
        ..LinkFacts::default()
    }
}

/// The IP header of a message from `source` to the group.
const fn to_group(source: IpAddr) -> Carrier {
    Carrier { source, destination: Family::of(source).group(), ttl: 255 }
}

/// An advertisement of a peer, reduced to the fields that these tests vary.
#[derive(Clone, Copy)]
struct Advert {
    from: &'static str,
    priority: u8,
    centiseconds: u16,
}

fn advert(from: &'static str, priority: u8) -> Advert {
    Advert { from, priority, centiseconds: 100 }
}

/// One node under test, its clock, and all effects that it has returned.
struct Rig {
    node: Node,
    now: MonoTime,
    out: Effects,
    kernel: Kernel,
}

/// Whether `Effect::HoldAddresses` is acknowledged at once.
#[derive(PartialEq)]
enum Kernel {
    Prompt,
    Silent,
}

impl Rig {
    fn new(spec: RouterSpec) -> Self {
        let start = MonoTime::from_nanos(5_000_000_000);
        let mut rig = Self { node: Node::new(), now: start, out: Effects::new(), kernel: Kernel::Prompt };
        rig.feed(Input::Link(interface(), Some(link())));
        rig.feed(Input::Configure(vec![spec]));
        rig
    }

    /// A node that became Active because it heard no other router. Its effects until then are
    /// dropped.
    fn active(spec: RouterSpec) -> Self {
        let mut rig = Self::new(spec);
        rig.run(Duration::from_secs(20));
        assert_eq!(rig.state(), StateName::Active);
        rig.out.clear();
        rig
    }

    fn feed(&mut self, input: Input<'_>) {
        let from = self.out.len();
        self.node.handle(self.now, input, &mut self.out);
        if self.kernel == Kernel::Silent {
            return;
        }
        let owned: Vec<HoldResult> = self.out[from..]
            .iter()
            .filter_map(|effect| match effect {
                Effect::HoldAddresses { key, epoch, .. } => {
                    Some(HoldResult { key: *key, epoch: *epoch, outcome: Ok(()) })
                }
                _ => None,
            })
            .collect();
        for owned in owned {
            self.node.handle(self.now, Input::AddressesHeld(owned), &mut self.out);
        }
    }

    /// Lets time pass, firing each deadline exactly when it is due.
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.node.next_deadline().filter(|at| *at <= end) {
            assert!(at >= self.now, "time steps back");
            self.now = at;
            self.feed(Input::Deadline);
            assert!(self.node.next_deadline().is_none_or(|next| next > at), "the deadline did not move");
        }
        self.now = end;
    }

    /// Moves the clock although deadlines pass, as when the process is not scheduled.
    fn stall(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    fn hear(&mut self, advert: Advert) {
        let source: IpAddr = advert.from.parse().unwrap();
        let family = Family::of(source);
        let octets: Vec<u8> = instance(family)
            .addresses
            .iter()
            .flat_map(|net| match net.addr() {
                IpAddr::V4(a) => a.octets().to_vec(),
                IpAddr::V6(a) => a.octets().to_vec(),
            })
            .collect();
        self.hear_octets(advert, &octets, ChecksumFlavour::Rfc9568);
    }

    fn hear_octets(&mut self, advert: Advert, octets: &[u8], checksum: ChecksumFlavour) {
        let source: IpAddr = advert.from.parse().unwrap();
        let family = Family::of(source);
        let carrier = to_group(source);
        let advertisement = Advertisement {
            version: Version::V3,
            vrid: Vrid::new(51).unwrap(),
            priority: AdvertPriority::from_wire(advert.priority),
            interval: interval(advert.centiseconds),
            addresses: AddressList::new(family, octets),
            authentication: HeardAuthentication::Readable(Authentication::None),
            checksum,
        };
        self.feed(Input::Received { interface: interface(), carrier, advertisement });
    }

    /// Another station announces every address of a family.
    fn hear_announced(&mut self, family: Family) {
        for address in instance(family).addresses {
            self.feed(Input::AnnouncementHeard {
                interface: interface(),
                address: address.addr(),
                mac: STRANGER_MAC,
            });
        }
    }

    fn demote(&mut self, force: Force) {
        self.demote_as(force, LastResort::No);
    }

    fn demote_as(&mut self, force: Force, last_resort: LastResort) {
        let demotion = demotion(last_resort, None);
        let router = "web".parse().unwrap();
        self.feed(Input::Command(CommandId(7), Command::Demote { router, demotion, force, drain: None }));
    }

    fn promote(&mut self) {
        self.feed(Input::Command(CommandId(8), Command::Promote { router: "web".parse().unwrap() }));
    }

    /// After a demotion: `successor`, of priority 50, takes over, and hosts have switched to it.
    fn hand_over_to(&mut self, successor: &'static str) {
        self.run(ms(12));
        self.hear(advert(successor, 50));
        self.hear_announced(Family::Ipv4);
        self.run(ms(20));
        assert!(matches!(self.outcomes()[..], [DemoteOutcome::HandedOver { .. }]), "{:?}", self.outcomes());
    }

    fn instance(&self, at: usize) -> InstanceSnapshot {
        self.node.snapshot(self.now).routers[0].instances[at].clone()
    }

    fn state(&self) -> StateName {
        self.instance(0).state
    }

    /// Runs until the state changes, and returns how long that took.
    fn until_state(&mut self, state: StateName) -> Duration {
        let start = self.now;
        while self.state() != state {
            let at = self.node.next_deadline().expect("something is due");
            assert!(at.since(start) < Duration::from_secs(600), "it never becomes {state}");
            self.now = at;
            self.feed(Input::Deadline);
        }
        self.now.since(start)
    }

    /// The effects since the last call in short form: `hold`, `release`, `say 100/100cs` (an
    /// advertisement), `announce 1` (gratuitous ARP or neighbour advertisements).
    fn said(&mut self) -> Vec<String> {
        let words = self
            .out
            .iter()
            .filter_map(|effect| match effect {
                Effect::HoldAddresses { .. } => Some("hold".into()),
                Effect::ReleaseAddresses { .. } => Some("release".into()),
                Effect::DrainAddresses { .. } => Some("drain".into()),
                Effect::ResetConnections(..) => Some("reset connections".into()),
                Effect::Advertise { priority, interval, .. } => {
                    Some(format!("say {priority}/{}cs", interval.centiseconds()))
                }
                Effect::Announce { rounds, .. } => Some(format!("announce {rounds}")),
                Effect::Stopped => Some("stopped".into()),
                Effect::WatchAnnouncements { .. }
                | Effect::IgnoreAnnouncements { .. }
                | Effect::Report(_)
                | Effect::Answer { .. }
                | Effect::SaveDemotion { .. } => None,
            })
            .collect();
        self.out.clear();
        words
    }

    /// The advertisements among the effects since the last call, in short form.
    fn spoken(&mut self) -> Vec<String> {
        self.said().into_iter().filter(|word| word.starts_with("say")).collect()
    }

    /// The checksums of the advertisements.
    fn flavours(&self) -> Vec<ChecksumFlavour> {
        let flavour = |effect: &Effect| match effect {
            Effect::Advertise { authentication: Authentication::None, checksum, .. } => Some(*checksum),
            _ => None,
        };
        self.out.iter().filter_map(flavour).collect()
    }

    /// Whether the kernel is told to let the addresses go.
    fn released(&self) -> bool {
        self.out.iter().any(|effect| matches!(effect, Effect::ReleaseAddresses { .. }))
    }

    /// The names of the warnings about peers that begin.
    fn warned(&self) -> Vec<&'static str> {
        let begun = |kind| match kind {
            EventKind::PeerWarningRaised { what, .. } => Some(what.as_str()),
            _ => None,
        };
        self.events().into_iter().filter_map(begun).collect()
    }

    fn events(&self) -> Vec<EventKind> {
        self.out
            .iter()
            .filter_map(|effect| match effect {
                Effect::Report(event) => Some(event.kind.clone()),
                _ => None,
            })
            .collect()
    }

    fn outcomes(&self) -> Vec<DemoteOutcome> {
        self.out
            .iter()
            .filter_map(|effect| match effect {
                Effect::Answer { answer: Answer::Demoted(results), .. } => Some(results.clone()),
                _ => None,
            })
            .flatten()
            .map(|result| result.outcome)
            .collect()
    }
}
