//! The core and a reference instance hear the same random advertisements and must be in the same
//! state at every step. The reference instance is written from the text of RFC 9568 §6.4, and of RFC
//! 3768 §6.4 and §7.1 for VRRPv2, and not from our code.
//!
//! Where our core differs on purpose, the test leaves out the inputs that would show it: a
//! resignation never lengthens our timer, and immediate answers are limited in rate; only our core
//! hands over; learned intervals have a bound; a router that was deceived doubts later
//! advertisements.

use std::time::Duration;
use vrrpd_core::protocol::{Effect, Effects, EventKind, HoldResult, Input, StateName};
use vrrpd_core::sim::audience::Audience;
use vrrpd_core::sim::clock::Clock;
use vrrpd_core::sim::node::{Host, NodeSetup, SimNode, interface, virtual_addresses, vrid};
use vrrpd_core::sim::packet::Packet;
use vrrpd_core::sim::peer::{PeerInstance, PeerSetup, PeerState, PeerVariant, audible};
use vrrpd_core::sim::rng::{PerMille, Rng};
use vrrpd_core::sim::speech::Speech;
use vrrpd_core::types::{
    AdverInterval, AdvertPriority, Authentication, Family, MonoTime, Preempt, Priority, Role, Version,
};
use vrrpd_core::wire::{ChecksumFlavour, Draft};

const HOST: Host = Host { v4: 100, v6: 100 };

struct Pair {
    core: vrrpd_core::protocol::Node,
    reference: PeerInstance,
    now: MonoTime,
    effects: Effects,
    /// A router in whose name an advertisement was sent is still there: from now on our core
    /// believes less (docs/adr/0019).
    doubts: bool,
    speech: Speech,
}

impl Pair {
    fn new(priority: u8, preempt: Preempt, interval: AdverInterval, speech: Speech) -> Self {
        let role = Role::Contender { priority: Priority::new(priority).unwrap(), preempt };
        let setup = NodeSetup { interval, speech, clock: Clock::EXACT, ..NodeSetup::new(HOST, role) };
        let node = SimNode::new(setup, &[Family::Ipv4]);
        let reference = PeerInstance::new(PeerSetup {
            source: HOST.address(Family::Ipv4),
            priority: AdvertPriority::from_wire(priority),
            preempt,
            interval,
            variant: match speech.version {
                Version::V2 => PeerVariant::Rfc3768(speech.authentication),
                Version::V3 => PeerVariant::Rfc9568,
            },
            audience: Audience::Group,
            checksum: ChecksumFlavour::Rfc9568,
        });
        let core = vrrpd_core::protocol::Node::new();
        let (now, effects) = (MonoTime::from_nanos(1), Effects::new());
        let mut pair = Self { core, reference, now, effects, doubts: false, speech };
        pair.feed(Input::Configure(vec![node.spec().clone()]));
        pair.feed(Input::Link(interface(), Some(node.link().clone())));
        pair.reference.start(pair.now);
        pair
    }

    /// Gives an input to the core; the kernel answers at once. Returns the priorities that were
    /// sent.
    fn feed(&mut self, input: Input<'_>) -> Vec<u8> {
        self.effects.clear();
        self.core.handle(self.now, input, &mut self.effects);
        let mut said = Vec::new();
        let mut at = 0;
        while let Some(effect) = self.effects.get(at).cloned() {
            at += 1;
            match effect {
                Effect::HoldAddresses { key, epoch, .. } => {
                    let result = HoldResult { key, epoch, outcome: Ok(()) };
                    self.core.handle(self.now, Input::AddressesHeld(result), &mut self.effects);
                }
                Effect::Advertise { priority, .. } => said.push(priority.get()),
                Effect::Report(event) => {
                    self.doubts |= matches!(event.kind, EventKind::TakeoverRefuted { .. });
                }
                Effect::ReleaseAddresses { .. }
                | Effect::DrainAddresses { .. }
                | Effect::ResetConnections(..)
                | Effect::Announce { .. }
                | Effect::WatchAnnouncements { .. }
                | Effect::IgnoreAnnouncements { .. }
                | Effect::Answer { .. }
                | Effect::SaveDemotion { .. }
                | Effect::Stopped => {}
            }
        }
        said
    }

    /// Lets time pass; the core and the reference instance each fire their own timers.
    fn pass(&mut self, duration: Duration) {
        let until = self.now + duration;
        loop {
            let ours = self.core.next_deadline().filter(|at| *at <= until);
            let theirs = self.reference.next_deadline().filter(|at| *at <= until);
            let Some(next) = ours.into_iter().chain(theirs).min() else { break };
            self.now = next;
            if ours == Some(next) {
                self.feed(Input::Deadline);
            }
            if theirs == Some(next) {
                self.reference.on_deadline(next);
            }
        }
        self.now = until;
    }

    fn hear(&mut self, packet: &Packet) {
        let carrier = packet.carrier();
        let advertisement = packet.parse().unwrap();
        if let Some(heard) = audible(&self.reference, packet) {
            self.reference.on_advert(self.now, carrier.source, &heard);
        }
        self.feed(Input::Received { interface: interface(), carrier, advertisement });
    }

    #[track_caller]
    fn agree(&self, seed: u64, step: u32) {
        let snapshot = self.core.snapshot(self.now);
        let ours = &snapshot.routers[0].instances[0];
        let (theirs, timer) = match self.reference.state() {
            PeerState::Initialize => (StateName::Initialize, None),
            PeerState::Backup(at) => (StateName::Backup, Some(at)),
            PeerState::Active(_) => (StateName::Active, None),
        };
        assert_eq!(ours.state, theirs, "seed {seed}, step {step}");
        if timer.is_some() {
            assert_eq!(ours.timers.next, timer, "Active_Down_Timer, seed {seed}, step {step}");
        }
    }
}

fn packet(rng: &mut Rng, own: u8) -> Packet {
    let priority = rng.pick(&[0, 1, own.saturating_sub(1), own, own, own.saturating_add(1), 254, 255], own);
    let interval = AdverInterval::from_centiseconds(rng.pick(&[1, 3, 10, 100, 300], 10)).unwrap();
    let last = rng.pick(&[1, 99, 101, 250], 1);
    let draft = Draft {
        version: Version::V3,
        destination: Family::Ipv4.group(),
        source: Host { v4: last, v6: 1 }.address(Family::Ipv4),
        vrid: vrid(),
        priority: AdvertPriority::from_wire(priority),
        interval,
        authentication: Authentication::None,
        checksum: ChecksumFlavour::Rfc9568,
    };
    Packet::advertise(&draft, virtual_addresses(Family::Ipv4).into_iter().map(|net| net.addr())).unwrap()
}

/// RFC9568-6.4.2 and RFC9568-6.4.3, all of their rows.
#[test]
fn the_core_and_the_text_of_the_rfc_agree_on_every_step() {
    let mut seen = [0_u32; 2];
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let own = rng.pick(&[1, 50, 100, 200, 254], 100);
        let preempt = rng.pick(&[Preempt::Allow, Preempt::Forbid], Preempt::Allow);
        let centiseconds = rng.pick(&[1, 10, 100], 10);
        let interval = AdverInterval::from_centiseconds(centiseconds).unwrap();
        let mut pair = Pair::new(own, preempt, interval, Speech::default());
        for step in 0..60 {
            let longest = if rng.chance(PerMille::new(300)) { 5_000 } else { 200 };
            pair.pass(rng.between(Duration::from_micros(1), Duration::from_millis(longest)));
            pair.agree(seed, step);
            let next = packet(&mut rng, own);
            // Our core never lengthens the timer on purpose, so the input is given only when the
            // text of the RFC would not lengthen it either.
            if next.parse().unwrap().priority.is_resignation() && would_lengthen(&pair) {
                continue;
            }
            pair.hear(&next);
            if pair.doubts {
                break;
            }
            pair.agree(seed, step);
            seen[usize::from(pair.reference.is_active())] += 1;
        }
    }
    assert!(seen.iter().all(|times| *times > 1_000), "both states were visited: {seen:?}");
}

/// A message in VRRPv2. One in four has something that does not match, and is to be discarded.
fn packet_of_version_2(rng: &mut Rng, own: u8, interval: AdverInterval, ours: Speech) -> Packet {
    let priorities = [0, 1, own.saturating_sub(1), own, own, own.saturating_add(1), 254, 255];
    let priority = AdvertPriority::from_wire(rng.pick(&priorities, own));
    let source = Host { v4: rng.pick(&[1, 99, 101, 250], 1), v6: 1 }.address(Family::Ipv4);
    let (destination, checksum) = (Family::Ipv4.group(), ChecksumFlavour::Rfc9568);
    let Speech { version, authentication } = ours;
    let alike =
        Draft { version, destination, source, vrid: vrid(), priority, interval, authentication, checksum };
    let password = Authentication::Password("other".parse().unwrap());
    let draft = match rng.below(16) {
        0 => Draft { version: Version::V3, authentication: Authentication::None, ..alike },
        1 => Draft { authentication: password, ..alike },
        2 => Draft { interval: AdverInterval::from_seconds(3).unwrap(), ..alike },
        _ => alike,
    };
    let mut addresses: Vec<_> = virtual_addresses(Family::Ipv4).into_iter().map(|net| net.addr()).collect();
    if rng.below(16) == 0 {
        addresses.push("192.0.2.253".parse().unwrap());
    }
    Packet::advertise(&draft, addresses.into_iter()).unwrap()
}

/// RFC 3768 §6.4.2, §6.4.3 and §7.1, all of their rows.
#[test]
fn the_core_and_the_text_of_rfc_3768_agree_on_every_step() {
    let mut seen = [0_u32; 2];
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let own = rng.pick(&[1, 50, 100, 200, 254], 100);
        let preempt = rng.pick(&[Preempt::Allow, Preempt::Forbid], Preempt::Allow);
        let password = Authentication::Password("secret".parse().unwrap());
        let authentication = rng.pick(&[Authentication::None, password], Authentication::None);
        let speech = Speech { version: Version::V2, authentication };
        let interval = AdverInterval::from_seconds(rng.pick(&[1, 2, 5], 1)).unwrap();
        let mut pair = Pair::new(own, preempt, interval, speech);
        for step in 0..60 {
            let longest = if rng.chance(PerMille::new(300)) { 20_000 } else { 700 };
            pair.pass(rng.between(Duration::from_micros(1), Duration::from_millis(longest)));
            pair.agree(seed, step);
            let next = packet_of_version_2(&mut rng, own, interval, speech);
            // Another implementation begins its Skew_Time anew with each resignation; ours never
            // waits longer for it.
            if next.parse().unwrap().priority.is_resignation() && would_lengthen(&pair) {
                continue;
            }
            pair.hear(&next);
            if pair.doubts {
                break;
            }
            pair.agree(seed, step);
            seen[usize::from(pair.reference.is_active())] += 1;
        }
    }
    assert!(seen.iter().all(|times| *times > 1_000), "both states were visited: {seen:?}");
}

fn would_lengthen(pair: &Pair) -> bool {
    let mut probe = pair.reference.clone();
    let before = probe.next_deadline();
    let draft = Draft {
        version: pair.speech.version,
        destination: Family::Ipv4.group(),
        source: Host { v4: 1, v6: 1 }.address(Family::Ipv4),
        vrid: vrid(),
        priority: AdvertPriority::RESIGN,
        interval: probe.setup().interval,
        authentication: pair.speech.authentication,
        checksum: ChecksumFlavour::Rfc9568,
    };
    let addresses = virtual_addresses(Family::Ipv4).into_iter().map(|net| net.addr());
    let packet = Packet::advertise(&draft, addresses).unwrap();
    probe.on_advert(pair.now, packet.carrier().source, &packet.parse().unwrap());
    !probe.is_active() && probe.next_deadline() > before
}
