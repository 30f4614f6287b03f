//! One node with several routers on two interfaces, given random inputs and compared with its
//! reference.
//!
//! There is no LAN here: what the node hears is drawn at random, and so are the answers of the
//! kernel, links, sockets, checks, commands and configurations. So every input occurs in every
//! state, including those that a world of well-behaved neighbours never causes. The only rule is
//! that the core does what [`Reference`] predicts, for each router and each instance. If one router
//! disturbs another, that is a difference too.

use super::describe;
use super::lone_unicast::{NEIGHBOURS, OURS, UnicastDraw, global};
use super::node::Host;
use super::packet::Packet;
use super::reference::{Mismatch, Reference};
use super::rng::{PerMille, Rng};
use crate::protocol::{
    AnnounceSpec, CheckName, CheckResult, ChecksumPolicy, Command, CommandId, Demotion, Effect, Effects,
    Force, HoldResult, Input, InstanceSpec, LastResort, LinkLocalRule, Node, RouterSpec, Track, Until,
};
use crate::types::{
    AdverInterval, AdvertPriority, Authentication, Family, InstanceKey, InterfaceName, LinkFacts, MacAddr,
    MonoTime, Preempt, Priority, Role, RouterName, Version, Vrid,
};
use crate::wire::{ChecksumFlavour, Draft};
use ipnet::IpNet;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

/// How many inputs are drawn in one run; deadlines and answers of the kernel are added to them.
const INPUTS: usize = 300;
/// How often a router speaks VRRPv2 in IPv4.
const VERSION_2: PerMille = PerMille::new(250);
/// How many lines are kept to explain a failure.
const LINES: usize = 400;

/// What was done in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoneNodeTotals {
    /// The number of inputs that the node was given.
    pub inputs: u64,
    /// The number of advertisements that the node sent; one copy for each destination.
    pub advertisements: u64,
    /// How many of them went to a listed node.
    pub unicast: u64,
}

/// A run in which the core and the reference differ.
#[derive(Debug, Clone)]
pub struct LoneNodeFailure {
    /// The difference between the core and the reference.
    pub difference: Mismatch,
    /// The last inputs and effects, one a line.
    pub trace: String,
}

/// Gives a node the inputs that `seed` stands for.
///
/// # Errors
/// [`LoneNodeFailure`] at the first difference.
pub fn run(seed: u64) -> Result<LoneNodeTotals, Box<LoneNodeFailure>> {
    run_replacing(seed, &mut |_| None)
}

/// As [`run`], with a node that is replaced on its way: before each input, `replace` may give
/// another that is to go on in its place. The reference knows nothing of it.
///
/// # Errors
/// [`LoneNodeFailure`] at the first difference.
pub fn run_replacing(
    seed: u64,
    replace: &mut dyn FnMut(&Node) -> Option<Node>,
) -> Result<LoneNodeTotals, Box<LoneNodeFailure>> {
    let mut run = LoneNodeRun::new(seed, replace);
    match run.play() {
        Ok(()) => Ok(run.done),
        Err(difference) => {
            let trace = run.lines.iter().map(|line| format!("{line}\n")).collect();
            Err(Box::new(LoneNodeFailure { difference, trace }))
        }
    }
}

/// Another router on the LAN that advertises regularly.
#[derive(Debug, Clone)]
struct Neighbour {
    interface: InterfaceName,
    draft: Draft,
    addresses: Vec<IpAddr>,
    next: MonoTime,
    /// How many advertisements the router sends until it stops.
    left: u32,
}

struct LoneNodeRun<'a> {
    rng: Rng,
    unicast: UnicastDraw,
    core: Node,
    replace: &'a mut dyn FnMut(&Node) -> Option<Node>,
    reference: Reference,
    now: MonoTime,
    effects: Effects,
    /// The answers that the kernel still has to give, in their order.
    kernel: VecDeque<(MonoTime, HoldResult)>,
    links: BTreeMap<InterfaceName, LinkFacts>,
    specs: Vec<RouterSpec>,
    neighbours: Vec<Neighbour>,
    commands: u64,
    /// The keys of the instances whose last advertisement could not be sent, and to whom.
    unsent: Vec<(InstanceKey, IpAddr)>,
    lines: VecDeque<String>,
    done: LoneNodeTotals,
}

fn parse<T: std::str::FromStr>(text: &str) -> T {
    match text.parse() {
        Ok(value) => value,
        Err(_) => unreachable!("the literals of this file are legal"),
    }
}

fn interfaces() -> [InterfaceName; 2] {
    [parse("eth0"), parse("eth1")]
}

fn checks() -> [CheckName; 2] {
    [CheckName("nginx".into()), CheckName("database".into())]
}

fn vrid(number: u8) -> Vrid {
    Vrid::new(number).unwrap_or_else(|_| unreachable!("not 0"))
}

fn own(family: Family) -> IpAddr {
    Host { v4: OURS, v6: u16::from(OURS) }.address(family)
}

fn link(index: u32) -> LinkFacts {
    let sources = Host { v4: OURS, v6: u16::from(OURS) }.sources();
    LinkFacts {
        index,
        mac: Some(MacAddr([2, 0, 0, 0, 0, u8::try_from(index).unwrap_or(0)])),
        mtu: 1500,
        up: true,
        carrier: true,
        ipv4: sources.0,
        ipv6_link_local: sources.1,
        ipv6_global: vec![global(OURS)],
        ..LinkFacts::default()
    }
}

impl<'a> LoneNodeRun<'a> {
    fn new(seed: u64, replace: &'a mut dyn FnMut(&Node) -> Option<Node>) -> Self {
        let links = interfaces().into_iter().zip(2..).map(|(name, index)| (name, link(index))).collect();
        Self {
            rng: Rng::new(seed),
            unicast: UnicastDraw::new(seed),
            core: Node::new(),
            replace,
            reference: Reference::new(),
            now: MonoTime::from_nanos(1_000_000_000_000),
            effects: Effects::new(),
            kernel: VecDeque::new(),
            links,
            specs: Vec::new(),
            neighbours: Vec::new(),
            commands: 0,
            unsent: Vec::new(),
            lines: VecDeque::new(),
            done: LoneNodeTotals::default(),
        }
    }

    fn play(&mut self) -> Result<(), Mismatch> {
        let names: [RouterName; 3] = [parse("a"), parse("b"), parse("c")];
        for name in names.iter().take(1 + self.rng.index(3)) {
            let spec = self.spec(name.clone());
            self.specs.push(spec);
        }
        self.part_identities();
        if self.rng.chance(PerMille::new(80)) {
            return self.play_crashed_run();
        }
        if self.rng.chance(PerMille::new(200)) {
            let demotion = self.demotion();
            let name = self.pick_name();
            self.feed(Input::SavedDemotion(name, demotion))?;
        }
        self.feed(Input::Configure(self.specs.clone()))?;
        for (name, facts) in self.links.clone() {
            self.feed(Input::Link(name, Some(facts)))?;
        }
        for check in checks() {
            self.feed(Input::CheckResult(check, CheckResult::Passing))?;
        }
        for _ in 0..INPUTS {
            self.pass_time()?;
            self.one_input()?;
        }
        self.feed(Input::Shutdown)?;
        self.run_until(self.now + Duration::from_secs(10))
    }

    /// Plays the clean-up after a crash: the links, then the routers that were Active, then the
    /// end.
    fn play_crashed_run(&mut self) -> Result<(), Mismatch> {
        for spec in &mut self.specs {
            spec.tracks.clear();
        }
        for (name, facts) in self.links.clone() {
            self.feed(Input::Link(name, Some(facts)))?;
        }
        self.feed(Input::FinishCrashedRun(self.specs.clone()))?;
        self.feed(Input::Shutdown)?;
        for _ in 0..40 {
            let short = self.rng.between(Duration::ZERO, Duration::from_millis(60));
            self.run_until(self.now + short)?;
            match self.rng.below(4) {
                0 => self.announcement_heard()?,
                _ => self.advertisement_heard()?,
            }
        }
        self.run_until(self.now + Duration::from_secs(10))
    }

    // The passing of time.

    fn pass_time(&mut self) -> Result<(), Mismatch> {
        let interval = self.specs.first().map_or(Duration::from_secs(1), |spec| spec.interval.period());
        let step = match self.rng.below(8) {
            0 => Duration::ZERO,
            1 => self.rng.between(Duration::ZERO, Duration::from_millis(2)),
            2 | 3 => self.rng.between(Duration::ZERO, Duration::from_millis(30)),
            4 | 5 => self.rng.between(Duration::ZERO, interval),
            6 => self.rng.between(Duration::ZERO, interval * 4),
            _ => self.rng.between(Duration::ZERO, Duration::from_millis(300)),
        };
        if self.rng.chance(PerMille::new(20)) {
            // The node was not run for a while, so what is due is handled late.
            self.now = self.now + step * 3;
            return self.feed(Input::Deadline);
        }
        self.run_until(self.now + step)
    }

    fn run_until(&mut self, until: MonoTime) -> Result<(), Mismatch> {
        loop {
            let kernel = self.kernel.front().map(|(at, _)| *at);
            let advertisement = self.neighbours.iter().map(|one| one.next).min();
            let deadline = self.core.next_deadline();
            let next = kernel.into_iter().chain(advertisement).chain(deadline).min();
            let Some(next) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(next);
            // What has arrived is received before anything is decided.
            if advertisement == Some(next) {
                self.regular_advertisement()?;
            } else if kernel == Some(next) {
                if let Some((_, result)) = self.kernel.pop_front() {
                    self.feed(Input::AddressesHeld(result))?;
                }
            } else {
                if self.rng.chance(PerMille::new(100)) {
                    self.now = self.now + self.rng.between(Duration::ZERO, Duration::from_micros(300));
                }
                self.feed(Input::Deadline)?;
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }

    fn regular_advertisement(&mut self) -> Result<(), Mismatch> {
        let due = self.neighbours.iter().enumerate().min_by_key(|(_, one)| one.next).map(|(at, _)| at);
        let Some(one) = due.and_then(|at| self.neighbours.get_mut(at)) else { return Ok(()) };
        one.left = one.left.saturating_sub(1);
        one.next = one.next + one.draft.interval.period();
        let one = one.clone();
        self.neighbours.retain(|one| one.left > 0);
        self.hear(one.interface, &one.draft, one.addresses)
    }

    // The random inputs.

    fn one_input(&mut self) -> Result<(), Mismatch> {
        match self.rng.below(34) {
            0..=7 => self.advertisement_heard(),
            8..=10 => self.begin_neighbour(),
            11..=13 => self.announcement_heard(),
            14 | 15 => self.link_changes(),
            16 => self.sockets(),
            17..=19 => self.check(),
            20..=22 => self.reload(),
            23..=25 => self.command(),
            26 => self.addresses_touched(),
            27 => self.unsent(),
            28 => self.feed(Input::Configure(self.specs.clone())),
            _ => Ok(()),
        }
    }

    fn advertisement_heard(&mut self) -> Result<(), Mismatch> {
        let (interface, draft, addresses) = self.draw_advertisement();
        self.hear(interface, &draft, addresses)
    }

    fn begin_neighbour(&mut self) -> Result<(), Mismatch> {
        let (interface, draft, addresses) = self.draw_advertisement();
        if draft.priority.is_resignation() || self.neighbours.len() >= 4 {
            self.neighbours.pop();
            return Ok(());
        }
        let left = 1 + u32::try_from(self.rng.below(12)).unwrap_or(0);
        self.neighbours.push(Neighbour { interface, draft, addresses, next: self.now, left });
        Ok(())
    }

    fn draw_advertisement(&mut self) -> (InterfaceName, Draft, Vec<IpAddr>) {
        let spec = self.pick_spec();
        let family = self.rng.pick(&[Family::Ipv4, Family::Ipv6], Family::Ipv4);
        let [usual, second, third] = NEIGHBOURS;
        let number = self.rng.pick(&[usual, usual, usual, second, third], usual);
        let source = if self.rng.chance(PerMille::new(30)) {
            own(family)
        } else {
            self.unicast.source_of(number, family, &spec)
        };
        let own_priority = match spec.role {
            Role::Owner => 255,
            Role::Contender { priority, .. } => priority.get(),
        };
        let priority = self.rng.pick(&[0, 0, 1, 50, 90, 150, 200, 255, own_priority, own_priority], 100);
        let ours = spec.instances.iter().find(|instance| instance.family == family);
        let (version, authentication) = self.spoken(family, ours);
        let unusual = match version {
            Version::V2 => {
                [1, 200, 2].map(|seconds| AdverInterval::from_seconds(seconds).unwrap_or_default())
            }
            Version::V3 => {
                let longer = AdverInterval::from_centiseconds(30).unwrap_or_default();
                [AdverInterval::MIN, AdverInterval::MAX, longer]
            }
        };
        let regular = self.rng.chance(PerMille::new(625));
        let interval = if regular { spec.interval } else { self.rng.pick(&unusual, spec.interval) };
        let vrid = if self.rng.chance(PerMille::new(40)) { vrid(99) } else { spec.vrid };
        let checksum = ChecksumFlavour::Rfc9568;
        let priority = AdvertPriority::from_wire(priority);
        let destination = self.unicast.arrives_at(family, &spec);
        let draft =
            Draft { version, source, destination, vrid, priority, interval, authentication, checksum };
        let listed = spec.instances.iter().find(|instance| instance.family == family);
        let listed = listed.map_or_else(|| addresses(family, 1, 1), |instance| instance.addresses.clone());
        let strangers = self.rng.chance(PerMille::new(120));
        let listed = if strangers { addresses(family, 9, 2) } else { listed };
        (spec.interface, draft, listed.iter().map(IpNet::addr).collect())
    }

    /// The version and the authentication of a message: mostly those of `ours`, so that it is obeyed.
    fn spoken(&mut self, family: Family, ours: Option<&InstanceSpec>) -> (Version, Authentication) {
        let alike = ours.map(|ours| (ours.version, ours.authentication)).unwrap_or_default();
        match self.rng.below(16) {
            0 => match family {
                Family::Ipv4 => (Version::V2, alike.1),
                Family::Ipv6 => alike,
            },
            1 => (Version::V3, Authentication::None),
            2 => (alike.0, self.authentication(alike.0)),
            _ => alike,
        }
    }

    /// None in VRRPv3, and in VRRPv2 none or one of two passwords.
    fn authentication(&mut self, version: Version) -> Authentication {
        let password = |text: &str| Authentication::Password(parse(text));
        match version {
            Version::V3 => Authentication::None,
            Version::V2 => self
                .rng
                .pick(&[Authentication::None, password("secret"), password("public")], Authentication::None),
        }
    }

    fn hear(
        &mut self,
        interface: InterfaceName,
        draft: &Draft,
        addresses: Vec<IpAddr>,
    ) -> Result<(), Mismatch> {
        let Ok(packet) = Packet::advertise(draft, addresses.into_iter()) else { return Ok(()) };
        let packet = packet.with_ttl(self.unicast.ttl());
        let packet = if self.rng.chance(PerMille::new(20)) { packet.damaged(&mut self.rng) } else { packet };
        let carrier = packet.carrier();
        let input = match packet.parse() {
            Ok(advertisement) => Input::Received { interface, carrier, advertisement },
            Err(reject) => {
                Input::Rejected { interface, family: packet.family(), carrier: Some(carrier), reject }
            }
        };
        self.feed(input)
    }

    /// The node hears an announcement of all addresses of a family, or of one of them.
    fn announcement_heard(&mut self) -> Result<(), Mismatch> {
        let spec = self.pick_spec();
        let at = self.rng.index(spec.instances.len());
        let Some(instance) = spec.instances.get(at) else { return Ok(()) };
        let all = self.rng.chance(PerMille::new(700));
        let mac = MacAddr([2, 0, 0, 0, 1, 50]);
        let held: Vec<IpAddr> = instance.held().map(IpNet::addr).collect();
        for address in held.into_iter().take(if all { usize::MAX } else { 1 }) {
            self.feed(Input::AnnouncementHeard { interface: spec.interface, address, mac })?;
        }
        Ok(())
    }

    fn link_changes(&mut self) -> Result<(), Mismatch> {
        let name = self.pick_interface();
        let [first, _] = interfaces();
        let index = if name == first { 2 } else { 3 };
        let mut facts = link(index);
        match self.rng.below(12) {
            0 => facts.up = false,
            1 => facts.carrier = false,
            2 => facts.ipv4.clear(),
            3 => facts.ipv6_link_local.clear(),
            4 => facts.mac = Some(MacAddr([2, 0, 0, 0, 7, 7])),
            5 => facts.ipv4.insert(0, std::net::Ipv4Addr::new(192, 0, 2, 7)),
            // An address that others may list as that of another node.
            8 => facts.ipv4.extend(Host { v4: NEIGHBOURS[0], v6: 1 }.sources().0),
            9 => facts.ipv6_global.clear(),
            6 => facts.port_of = Some(parse("br0")),
            7 => {
                self.feed(Input::Link(name, None))?;
            }
            _ => {}
        }
        self.links.insert(name, facts.clone());
        self.feed(Input::Link(name, Some(facts)))
    }

    fn sockets(&mut self) -> Result<(), Mismatch> {
        let family = self.rng.pick(&[Family::Ipv4, Family::Ipv6], Family::Ipv4);
        let fails = self.rng.chance(PerMille::new(400));
        let outcome = if fails { Err("permission denied".to_owned()) } else { Ok(()) };
        let name = self.pick_interface();
        self.feed(Input::Sockets(name, family, outcome))
    }

    fn check(&mut self) -> Result<(), Mismatch> {
        let [nginx, database] = checks();
        let check = if self.rng.chance(PerMille::new(500)) { nginx } else { database };
        match self.rng.below(10) {
            0 => self.feed(Input::CheckRemoved(check)),
            1..=3 => self.feed(Input::CheckResult(check, CheckResult::Failing)),
            _ => self.feed(Input::CheckResult(check, CheckResult::Passing)),
        }
    }

    fn command(&mut self) -> Result<(), Mismatch> {
        self.commands += 1;
        let id = CommandId(self.commands);
        let router = self.pick_name();
        let command = match self.rng.below(5) {
            0 | 1 => {
                let demotion = self.demotion();
                let force = self.rng.pick(&[Force::No, Force::No, Force::Yes], Force::No);
                Command::Demote { router, demotion, force, drain: None }
            }
            _ => Command::Promote { router },
        };
        self.feed(Input::Command(id, command))
    }

    fn demotion(&mut self) -> Demotion {
        let ends = self.rng.chance(PerMille::new(250));
        let at = self.now + self.rng.between(Duration::ZERO, Duration::from_secs(5));
        Demotion {
            since: String::new(),
            until: ends.then(|| Until { at, text: String::new() }),
            last_resort: self.rng.pick(&[LastResort::No, LastResort::No, LastResort::Yes], LastResort::No),
            reason: String::new(),
            by: "operator".to_owned(),
        }
    }

    fn addresses_touched(&mut self) -> Result<(), Mismatch> {
        let spec = self.pick_spec();
        let Some(key) = spec.keys().next() else { return Ok(()) };
        let input = match self.rng.below(3) {
            0 => Input::AddressesNotRestored { key, why: "no buffer space".to_owned() },
            1 => Input::AddressesReinstalled { key },
            _ => Input::AddressesRestored { key, count: 1 },
        };
        self.feed(input)
    }

    /// The socket refuses what is sent in one family, or accepts it again.
    fn unsent(&mut self) -> Result<(), Mismatch> {
        if let Some((key, destination)) = self.unsent.pop() {
            return self.feed(Input::AdvertisementSentAgain(key, destination));
        }
        let spec = self.pick_spec();
        let Some(key) = spec.keys().next() else { return Ok(()) };
        let destination = self.unicast.recipient(key.family, &spec);
        self.unsent.push((key, destination));
        for _ in 0..1 + self.rng.below(3) {
            let (priority, errno) = (AdvertPriority::LOWEST, Some(1));
            self.feed(Input::AdvertisementUnsent { key, destination, priority, errno })?;
        }
        Ok(())
    }

    // The random configurations.

    fn reload(&mut self) -> Result<(), Mismatch> {
        let at = self.rng.index(self.specs.len());
        let Some(name) = self.specs.get(at).map(|spec| spec.name.clone()) else { return Ok(()) };
        let fresh = self.spec(name);
        let other: RouterName = parse(self.rng.pick(&["a", "b", "c", "d"], "d"));
        let is_free = self.specs.iter().all(|spec| spec.name != other);
        let kind = self.rng.below(17);
        let several = self.specs.len() > 1;
        let Some(spec) = self.specs.get_mut(at) else { return Ok(()) };
        match kind {
            0 => spec.role = fresh.role,
            1 => spec.interval = fresh.interval,
            2 => spec.down_adverts = fresh.down_adverts,
            3 => spec.preempt_delay = fresh.preempt_delay,
            4 => spec.tracks = fresh.tracks,
            5 => spec.instances = fresh.instances,
            6 => spec.announce = fresh.announce,
            7 => {
                for instance in &mut spec.instances {
                    let count = 1 + instance.addresses.len() % 3;
                    instance.addresses = addresses(instance.family, spec.vrid.get(), count);
                }
            }
            8 => {
                let other = addresses(Family::Ipv4, 30, 1);
                if let Some(instance) = spec.instances.first_mut() {
                    instance.excluded = if instance.excluded.is_empty() { other } else { Vec::new() };
                }
            }
            9 => spec.vrid = fresh.vrid,
            10 => {
                spec.interface = fresh.interface;
                spec.address_interface = fresh.address_interface;
            }
            14 => {
                // A reload that changes the version, the password, or both.
                let fresh = fresh.instances.iter().find(|instance| instance.family == Family::Ipv4);
                let other = fresh.map(|fresh| (fresh.version, fresh.authentication)).unwrap_or_default();
                let v4 = spec.instances.iter_mut().filter(|instance| instance.family == Family::Ipv4);
                v4.for_each(|instance| (instance.version, instance.authentication) = other);
            }
            15 | 16 => self.unicast.change(spec),
            11 if is_free => spec.name = other,
            12 if is_free => self.specs.push(RouterSpec { name: other, ..fresh }),
            13 if several => drop(self.specs.remove(at)),
            _ => *spec = fresh,
        }
        self.part_identities();
        self.keep_whole_seconds();
        self.feed(Input::Configure(self.specs.clone()))
    }

    /// VRRPv2 has whole seconds only (RFC 3768 §5.3.7), which a reload of the configuration checks.
    fn keep_whole_seconds(&mut self) {
        for spec in &mut self.specs {
            let speaks_v2 = spec.instances.iter().any(|instance| instance.version == Version::V2);
            if speaks_v2 && spec.interval.whole_seconds().is_none() {
                spec.interval = AdverInterval::default();
            }
        }
    }

    /// Makes sure that no two routers have the same key; equal VRIDs on two interfaces stay.
    fn part_identities(&mut self) {
        let mut kept: Vec<RouterSpec> = Vec::new();
        for spec in std::mem::take(&mut self.specs) {
            let has_equal_key = |other: &RouterSpec| other.keys().any(|key| spec.keys().any(|k| k == key));
            if !kept.iter().any(has_equal_key) {
                kept.push(spec);
            }
        }
        self.specs = kept;
    }

    fn spec(&mut self, name: RouterName) -> RouterSpec {
        let priority = Priority::clamped(self.rng.pick(&[50, 100, 100, 150, 254], 100));
        let preempt = self.rng.pick(&[Preempt::Allow, Preempt::Allow, Preempt::Forbid], Preempt::Allow);
        let role = match self.rng.below(8) {
            0 => Role::Owner,
            _ => Role::Contender { priority, preempt },
        };
        let vrid = vrid(self.rng.pick(&[51, 51, 52], 51));
        let centiseconds = self.rng.pick(&[1, 5, 10, 20, 100], 10);
        let families = match self.rng.below(3) {
            0 => vec![Family::Ipv4],
            1 => vec![Family::Ipv6],
            _ => vec![Family::Ipv4, Family::Ipv6],
        };
        let version = if self.rng.chance(VERSION_2) { Version::V2 } else { Version::V3 };
        let authentication = self.authentication(version);
        let interval = match version {
            Version::V2 => AdverInterval::from_seconds(self.rng.pick(&[1, 1, 2, 5], 1)).unwrap_or_default(),
            Version::V3 => AdverInterval::from_centiseconds(centiseconds).unwrap_or_default(),
        };
        let instance = |family: Family| {
            // IPv6 has VRRPv3 only.
            let (version, authentication) = match family {
                Family::Ipv4 => (version, authentication),
                Family::Ipv6 => (Version::V3, Authentication::None),
            };
            let addresses = addresses(family, vrid.get(), 1);
            InstanceSpec { family, version, authentication, addresses, excluded: Vec::new() }
        };
        let [nginx, database] = checks();
        let other_interface = self.pick_interface();
        let tracks = match self.rng.below(9) {
            0 => vec![Track::fault(nginx)],
            1 => vec![Track::weighted(nginx, -60)],
            2 => vec![Track::weighted(database, 55)],
            3 => vec![Track::weighted(nginx, -30), Track::weighted(database, 20)],
            4 => vec![Track::fault(other_interface), Track::fault(database)],
            5 => vec![Track::weighted(other_interface, -40)],
            6 => vec![Track::weighted(other_interface, 25), Track::weighted(nginx, -70)],
            _ => Vec::new(),
        };
        let repeat = NonZeroU8::MIN.saturating_add(self.rng.pick(&[0, 4, 7], 4));
        let seconds = |rng: &mut Rng| Duration::from_secs(rng.pick(&[0, 1, 5], 5));
        let announce =
            AnnounceSpec { repeat, delay: seconds(&mut self.rng), refresh: seconds(&mut self.rng) };
        let interface = self.pick_interface();
        RouterSpec {
            name,
            interface,
            address_interface: interface,
            vrid,
            role,
            interval,
            down_adverts: NonZeroU8::MIN.saturating_add(self.rng.pick(&[0, 1, 2, 2, 2], 2)),
            preempt_delay: interval.period() * self.rng.pick(&[0, 0, 3, 10], 0),
            checksum: ChecksumPolicy::Auto,
            link_local: self
                .rng
                .pick(&[LinkLocalRule::Require, LinkLocalRule::Lenient], LinkLocalRule::Require),
            source_address: None,
            destinations: self.unicast.destinations(),
            accept_from: self.unicast.accept_from(),
            instances: families.into_iter().map(instance).collect(),
            tracks,
            announce,
            drain: Duration::ZERO,
        }
    }

    fn pick_interface(&mut self) -> InterfaceName {
        let [first, second] = interfaces();
        if self.rng.chance(PerMille::new(650)) { first } else { second }
    }

    fn pick_spec(&mut self) -> RouterSpec {
        let at = self.rng.index(self.specs.len());
        match self.specs.get(at) {
            Some(spec) => spec.clone(),
            None => self.spec(parse("a")),
        }
    }

    fn pick_name(&mut self) -> RouterName {
        self.pick_spec().name
    }

    // One step of the node.

    fn feed(&mut self, input: Input<'_>) -> Result<(), Mismatch> {
        self.note(|| {
            // The trace of a world prints less of these two inputs, because its nodes have one
            // router each.
            if let Input::Configure(specs) = &input {
                format!("configured: {specs:?}")
            } else if let Input::Link(name, facts) = &input {
                format!("link {name}: {facts:?}")
            } else {
                describe::input(&input)
            }
        });
        self.effects.clear();
        if let Some(successor) = (self.replace)(&self.core) {
            self.core = successor;
        }
        self.core.handle(self.now, input.clone(), &mut self.effects);
        self.follow(&input)
    }

    fn follow(&mut self, input: &Input<'_>) -> Result<(), Mismatch> {
        self.done.inputs += 1;
        let lines: Vec<String> = self.effects.iter().map(describe::effect).collect();
        for line in lines {
            self.note(|| format!("    {line}"));
        }
        let after = self.core.snapshot(self.now);
        let wakes = self.core.next_deadline();
        let followed = self.reference.follow(self.now, input, &self.effects, &after, wakes);
        for effect in &self.effects {
            match effect {
                Effect::HoldAddresses { key, epoch, relieved: _ } => {
                    let refused = self.rng.chance(PerMille::new(40));
                    let outcome = if refused { Err("busy".to_owned()) } else { Ok(()) };
                    let most = self.rng.pick(&[1, 1, 5, 30, 700], 1);
                    let delay = self.rng.between(Duration::from_micros(30), Duration::from_millis(most));
                    let free_at = self.kernel.back().map_or(self.now, |(at, _)| (*at).max(self.now));
                    let result = HoldResult { key: *key, epoch: *epoch, outcome };
                    self.kernel.push_back((free_at + delay, result));
                }
                Effect::Advertise { destination, .. } => {
                    self.done.advertisements += 1;
                    self.done.unicast += u64::from(!destination.is_multicast());
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
        followed
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{:?} {}", self.now, line()));
    }
}

/// The given number of addresses of a router; the IPv6 addresses begin with a link-local one.
fn addresses(family: Family, router: u8, count: usize) -> Vec<IpNet> {
    let one = |number: usize| match family {
        Family::Ipv4 => format!("192.0.{router}.{}/24", 200 + number),
        Family::Ipv6 if number == 0 => format!("fe80::{router}:1/64"),
        Family::Ipv6 => format!("2001:db8:{router}::{number}/64"),
    };
    (0..count).map(|number| parse(&one(number))).collect()
}
