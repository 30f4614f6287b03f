//! One of our nodes: the real core, its clock, its kernel, and the state of its process.
//!
//! A node holds state only; the world changes it.

use super::audience::Audience;
use super::clock::{Clock, TrueTime};
use super::kernel::FakeKernel;
use super::packet::Packet;
use super::reference::Reference;
use super::router::{RouterNumber, SecondRouter, SimRouter};
use super::speech::Speech;
use crate::protocol::{
    AnnounceSpec, Answer, CheckName, CheckResult, ChecksumPolicy, Command, CommandId, Demotion, DrainId,
    DrainResult, Effect, Effects, HoldResult, Input, InstanceSnapshot, InstanceSpec, LastResort,
    LinkLocalRule, Node, PeerWarning, RouterSnapshot, RouterSpec, Snapshot, StateName, Track, Watched,
};
use crate::types::{
    AdverInterval, AdvertPriority, Family, InstanceKey, InterfaceName, LinkFacts, MacAddr, MonoTime, Role,
    RouterName, Version, Vrid,
};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU8;
use std::sync::OnceLock;
use std::time::Duration;

/// A stalled process finds at most this many packets in its socket. Later packets are dropped, as
/// the kernel drops them when the receive buffer is full.
const SOCKET_BUFFER: usize = 256;

/// The host part of the addresses of a station: 192.0.2.`v4` and fe80::`v6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host {
    /// The last octet of the IPv4 address.
    pub v4: u8,
    /// The last group of the IPv6 link-local address.
    pub v6: u16,
}

impl Host {
    /// The source address of the station in one family.
    #[must_use]
    pub const fn address(self, family: Family) -> IpAddr {
        match family {
            Family::Ipv4 => IpAddr::V4(self.ipv4()),
            Family::Ipv6 => IpAddr::V6(self.ipv6()),
        }
    }

    /// The source addresses of a link that has the addresses of the station.
    pub(super) fn sources(self) -> (Vec<Ipv4Addr>, Vec<Ipv6Addr>) {
        (vec![self.ipv4()], vec![self.ipv6()])
    }

    const fn ipv4(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, self.v4)
    }

    const fn ipv6(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, self.v6)
    }
}

/// How one of our nodes is configured.
#[derive(Debug, Clone)]
pub struct NodeSetup {
    /// The addresses of the node.
    pub host: Host,
    /// Whether the node is an owner or a contender.
    pub role: Role,
    /// Advertisement_Interval.
    pub interval: AdverInterval,
    /// How many advertisements must be missed before Active_Down.
    pub down_adverts: NonZeroU8,
    /// How long a preemption waits after the node has started.
    pub preempt_delay: Duration,
    /// The policy for the checksum.
    pub checksum: ChecksumPolicy,
    /// The tracked checks that may fault the node or lower its priority.
    pub tracks: Vec<Track>,
    /// The clock of the node.
    pub clock: Clock,
    /// The second router, if the nodes of the world have one.
    pub second: Option<SecondRouter>,
    /// How long connections are kept after another router took over.
    pub drain: Duration,
    /// What the node speaks in IPv4.
    pub speech: Speech,
    /// To whom the node sends, and whom it believes.
    pub audience: Audience,
}

impl NodeSetup {
    /// Advertisement_Interval of one router.
    #[must_use]
    pub fn interval_of(&self, number: RouterNumber) -> AdverInterval {
        match (number, &self.second) {
            (RouterNumber::Second, Some(second)) => second.interval,
            (RouterNumber::First, _) | (RouterNumber::Second, None) => self.interval,
        }
    }

    /// A contender of VRRPv3 with an interval of one second and an exact clock.
    #[must_use]
    pub fn new(host: Host, role: Role) -> Self {
        Self {
            host,
            role,
            interval: AdverInterval::default(),
            down_adverts: NonZeroU8::MIN.saturating_add(2),
            preempt_delay: Duration::ZERO,
            checksum: ChecksumPolicy::Auto,
            tracks: Vec::new(),
            clock: Clock::EXACT,
            second: None,
            drain: Duration::ZERO,
            speech: Speech::default(),
            audience: Audience::Group,
        }
    }
}

/// Whether the process of a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessState {
    /// The process does not run.
    Down,
    /// The process runs.
    Up,
    /// The process exists, but is not scheduled.
    Stalled(Packets),
}

/// What happens to packets for a stalled process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packets {
    /// The packets wait in the socket, because only the process was not scheduled.
    Wait,
    /// The packets are lost, because the whole machine was paused.
    Vanish,
}

/// An input that waits for a stalled process; packets wait separately.
#[derive(Debug, Clone)]
pub(super) enum QueuedInput {
    AddressesHeld(HoldResult),
    Link(LinkFacts),
    Check(CheckName, CheckResult),
    Command(CommandId, Command),
    Configure(Vec<RouterSpec>),
    SavedDemotion(RouterName, Demotion),
    Sockets(Family, Result<(), String>),
    AddressesTouched(InstanceKey, Removal),
    CheckRemoved(CheckName),
    FinishCrashedRun(Vec<RouterSpec>),
    AddressesDraining(DrainResult),
    BetterBackups(BTreeMap<InstanceKey, u8>),
    DrainPartners(BTreeMap<InstanceKey, BTreeSet<IpAddr>>),
    DrainOfEarlierRun(InstanceKey, MonoTime),
    ConnectionsEnded(DrainId, usize),
    ForwardingLost(DrainId),
    Shutdown,
}

/// What happened to addresses that another program removed from the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The addresses were put back.
    PutBack,
    /// The addresses had gone with the interface, and came back with it.
    Reinstalled,
    /// The kernel refuses to take the addresses back.
    Refused,
}

/// What can be seen of one router of a node from outside after each input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// The state of each family.
    pub states: Vec<(InstanceKey, StateName)>,
    /// The priority after tracking.
    pub priority: AdvertPriority,
    /// Whether the node is leaving.
    pub handing_over: bool,
    /// Whether nothing keeps the node from taking part.
    pub eligible: bool,
    /// Whether the node heard addresses other than its own under its VRID: then its two families
    /// are not treated as a pair.
    pub other_addresses: bool,
    /// How the node is demoted, if it is demoted.
    pub demoted: Option<LastResort>,
    /// The next deadline of the node.
    pub deadline: Option<MonoTime>,
    yielded: Vec<(InstanceKey, MonoTime)>,
}

impl NodeView {
    /// The view of a node before its first configuration.
    pub(super) const NOTHING: Self = Self {
        states: Vec::new(),
        priority: AdvertPriority::RESIGN,
        handing_over: false,
        eligible: false,
        other_addresses: false,
        demoted: None,
        deadline: None,
        yielded: Vec::new(),
    };

    fn look(
        &mut self,
        router: &RouterSnapshot,
        listening: &BTreeSet<InstanceKey>,
        deadline: Option<MonoTime>,
    ) {
        self.states.clear();
        self.states.extend(router.instances.iter().map(|instance| (instance.key, instance.state)));
        self.priority = router.effective;
        self.handing_over = router.handing_over;
        self.eligible = router.faults.is_empty() && router.demoted.is_none();
        self.other_addresses = router.peer_warnings.iter().any(|warning| {
            matches!(warning.what, PeerWarning::AddressesLost { .. } | PeerWarning::AddressListDiffers { .. })
        });
        let retained = |m: &&InstanceSnapshot| m.state != StateName::Active && listening.contains(&m.key);
        self.yielded.clear();
        self.yielded.extend(router.instances.iter().filter(retained).map(|m| (m.key, m.since)));
        self.demoted = router.demoted.as_ref().map(|demotion| demotion.last_resort);
        self.deadline = deadline;
    }

    /// Since when, by the clock of the node, one family is not Active any more but still holds its
    /// addresses.
    #[must_use]
    pub fn yielded(&self, key: InstanceKey) -> Option<MonoTime> {
        self.yielded.iter().find(|(of, _)| *of == key).map(|(_, since)| *since)
    }

    /// Whether two views differ at most in what neighbours cause.
    pub(super) fn is_but_for_neighbours(&self, other: &Self) -> bool {
        *self == Self { other_addresses: self.other_addresses, ..other.clone() }
    }

    /// The same with the deadline of another view: the other router of the node may move it.
    pub(super) fn with_deadline_of(&self, other: &Self) -> Self {
        Self { deadline: other.deadline, ..self.clone() }
    }

    /// The state of one family.
    #[must_use]
    pub fn state(&self, key: InstanceKey) -> StateName {
        self.states.iter().find(|(of, _)| *of == key).map_or(StateName::Initialize, |(_, state)| *state)
    }

    /// Whether every family is in this state.
    #[must_use]
    pub fn all(&self, wanted: StateName) -> bool {
        !self.states.is_empty() && self.states.iter().all(|(_, state)| *state == wanted)
    }

    /// Whether any family is in this state.
    #[must_use]
    pub fn any(&self, wanted: StateName) -> bool {
        self.states.iter().any(|(_, state)| *state == wanted)
    }
}

/// One of our nodes.
#[derive(Debug)]
pub struct SimNode {
    pub(super) core: Node,
    /// The reference, which predicts what the core must do.
    pub(super) reference: Reference,
    pub(super) host: Host,
    /// The routers of the node, the first one first.
    pub(super) routers: Vec<SimRouter>,
    /// The families whose sockets could not be opened.
    pub(super) closed_sockets: BTreeSet<Family>,
    /// The families in which nothing can be sent.
    pub(super) unsendable: BTreeSet<Family>,
    /// The instances whose last advertisement was not sent.
    pub(super) unsent: BTreeSet<(InstanceKey, IpAddr)>,
    pub(super) clock: Clock,
    pub(super) kernel: FakeKernel,
    pub(super) link: LinkFacts,
    pub(super) run: ProcessState,
    /// Counts the processes of this node: what belongs to an earlier process is void.
    pub(super) life: u32,
    pub(super) socket: VecDeque<Packet>,
    /// The script bounds this queue: each entry is one act of the script, or the answer to one act
    /// of the core.
    pub(super) queued_inputs: VecDeque<QueuedInput>,
    /// The deadline that the node waits for, and the time at which the node will notice it.
    pub(super) wake: Option<(MonoTime, TrueTime)>,
    pub(super) checks: BTreeMap<CheckName, CheckResult>,
    pub(super) answers: Vec<(TrueTime, CommandId, Answer)>,
    pub(super) asked: u64,
    /// The instances whose announcements the core wants to hear.
    pub(super) listening: BTreeSet<InstanceKey>,
    pub(super) effects: Effects,
}

impl SimNode {
    /// A node whose process does not run yet.
    #[must_use]
    pub fn new(setup: NodeSetup, families: &[Family]) -> Self {
        let host = setup.host;
        let mac = MacAddr([2, 0, 0, 0, 0, host.v4]);
        let clock = setup.clock;
        let second = setup.second.clone();
        let tracks = setup.tracks.iter().chain(second.iter().flat_map(|second| &second.tracks));
        let checks = tracks.filter_map(|track| match &track.watched {
            Watched::Check(name) => Some((name.clone(), CheckResult::Passing)),
            Watched::Interface(_) => None,
        });
        let checks = checks.collect();
        let speech = setup.speech;
        let first = SimRouter::new(RouterNumber::First, spec(setup, families), speech);
        let second = second.map(|SecondRouter { role, interval, tracks }| {
            let number = RouterNumber::Second;
            let instances = instances(number, families, speech);
            let (name, vrid) = (number.name(), number.vrid());
            let spec =
                RouterSpec { name, vrid, role, interval, tracks, instances, ..first.usual_spec.clone() };
            SimRouter::new(number, spec, speech)
        });
        Self {
            core: Node::new(),
            reference: Reference::new(),
            host,
            clock,
            kernel: FakeKernel::default(),
            link: LinkFacts {
                index: 2,
                mac: Some(mac),
                mtu: 1500,
                up: true,
                carrier: true,
                ipv4: vec![host.ipv4()],
                ipv6_link_local: vec![host.ipv6()],
                ..LinkFacts::default()
            },
            run: ProcessState::Down,
            life: 0,
            socket: VecDeque::new(),
            queued_inputs: VecDeque::new(),
            wake: None,
            checks,
            answers: Vec::new(),
            asked: 0,
            listening: BTreeSet::new(),
            effects: Effects::new(),
            routers: std::iter::once(first).chain(second).collect(),
            closed_sockets: BTreeSet::new(),
            unsendable: BTreeSet::new(),
            unsent: BTreeSet::new(),
        }
    }

    /// The addresses of the node.
    #[must_use]
    pub const fn host(&self) -> Host {
        self.host
    }

    /// Whether the node was set up to send to the stations of a list.
    #[must_use]
    pub fn lists_stations(&self) -> bool {
        self.routers.iter().any(|router| router.usual_spec.destinations.unicast().is_some())
    }

    /// Whether the node was set up to speak VRRPv2 in IPv4.
    #[must_use]
    pub fn speaks_version_2(&self) -> bool {
        self.routers.iter().any(|router| router.speech.version == Version::V2)
    }

    /// The configuration of the first router.
    ///
    /// # Panics
    /// Never: every node has a first router.
    #[must_use]
    pub fn spec(&self) -> &RouterSpec {
        match self.routers.first() {
            Some(router) => &router.spec,
            None => unreachable!("every node has a first router"),
        }
    }

    /// The configurations of all routers.
    pub(super) fn specs(&self) -> Vec<RouterSpec> {
        self.routers.iter().map(|router| router.spec.clone()).collect()
    }

    pub(super) fn router(&self, number: RouterNumber) -> Option<&SimRouter> {
        self.routers.iter().find(|router| router.number == number)
    }

    /// What can be seen of one router.
    pub(super) fn view(&self, number: RouterNumber) -> &NodeView {
        static NOTHING: NodeView = NodeView::NOTHING;
        self.router(number).map_or(&NOTHING, |router| &router.view)
    }

    /// When the node wants to be called next.
    pub(super) fn deadline(&self) -> Option<MonoTime> {
        self.view(RouterNumber::First).deadline
    }

    /// The core of the node.
    #[must_use]
    pub const fn core(&self) -> &Node {
        &self.core
    }

    /// The clock of the node.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Whether the process of the node runs.
    #[must_use]
    pub const fn run(&self) -> ProcessState {
        self.run
    }

    /// The answers to the commands of this node, each with its time.
    #[must_use]
    pub fn answers(&self) -> &[(TrueTime, CommandId, Answer)] {
        &self.answers
    }

    /// How many commands the node was given.
    #[must_use]
    pub const fn asked(&self) -> u64 {
        self.asked
    }

    /// The number of the process: each restart adds one.
    #[must_use]
    pub const fn life(&self) -> u32 {
        self.life
    }

    /// Whether the node really holds the addresses of `key`.
    #[must_use]
    pub fn holds(&self, key: InstanceKey) -> bool {
        self.kernel.holds(key)
    }

    /// What the node knows of its link.
    #[must_use]
    pub const fn link(&self) -> &LinkFacts {
        &self.link
    }

    /// Puts a packet into the socket, if there is room.
    pub(super) fn queue_packet(&mut self, packet: Packet) {
        if self.socket.len() < SOCKET_BUFFER {
            self.socket.push_back(packet);
        }
    }

    /// Notes what the core wants to hear announced. The error names what the core asked for twice.
    pub(super) fn listen(&mut self, effects: &Effects) -> Result<(), String> {
        for effect in effects {
            let again = match effect {
                Effect::WatchAnnouncements { key } => !self.listening.insert(*key),
                Effect::IgnoreAnnouncements { key } => !self.listening.remove(key),
                Effect::HoldAddresses { .. }
                | Effect::DrainAddresses { .. }
                | Effect::ResetConnections(..)
                | Effect::ReleaseAddresses { .. }
                | Effect::Advertise { .. }
                | Effect::Announce { .. }
                | Effect::Report(_)
                | Effect::Answer { .. }
                | Effect::SaveDemotion { .. }
                | Effect::Stopped => false,
            };
            if again {
                return Err(format!("{effect:?}"));
            }
        }
        Ok(())
    }

    /// Finds the kind of an input for each router. Notes the configuration.
    pub(super) fn classify(&mut self, input: &Input<'_>) {
        for router in &mut self.routers {
            router.kind = router.kind_of(&self.core, input);
        }
    }

    /// A process begins.
    pub(super) fn begin(&mut self) {
        self.core = Node::new();
        self.reference = Reference::new();
        self.listening.clear();
        self.life += 1;
        self.run = ProcessState::Up;
        self.wake = None;
        self.routers.iter_mut().for_each(SimRouter::begin);
    }

    /// No process runs, so nothing can be seen of its routers.
    pub(super) fn forget_views(&mut self) {
        for router in &mut self.routers {
            router.view = NodeView::NOTHING;
        }
    }

    /// Saves the demotion of a router, or that it is not demoted.
    pub(super) fn save_demotion(&mut self, name: &RouterName, demotion: Option<Demotion>) {
        let number = RouterNumber::named(name);
        if let Some(router) = self.routers.iter_mut().find(|router| router.number == number) {
            router.demotion = demotion;
        }
    }

    /// Looks at every router after an input.
    pub(super) fn look(&mut self, snapshot: &Snapshot) {
        let deadline = self.core.next_deadline();
        for SimRouter { number, view, before, .. } in &mut self.routers {
            std::mem::swap(view, before);
            let seen = snapshot.routers.iter().find(|router| router.spec.vrid == number.vrid());
            match seen {
                Some(router) => view.look(router, &self.listening, deadline),
                None => *view = NodeView { deadline, ..NodeView::NOTHING },
            }
        }
    }
}

/// The interface of every station.
///
/// # Panics
/// Never: the name is legal.
#[must_use]
pub fn interface() -> InterfaceName {
    // The name is parsed once, because it is part of every key.
    static NAME: OnceLock<InterfaceName> = OnceLock::new();
    *NAME.get_or_init(|| match "eth0".parse() {
        Ok(name) => name,
        Err(_) => unreachable!("eth0 is a legal name"),
    })
}

/// The VRID of the first router.
#[must_use]
pub fn vrid() -> Vrid {
    RouterNumber::First.vrid()
}

/// The key of one family of the first router.
#[must_use]
pub fn key(family: Family) -> InstanceKey {
    RouterNumber::First.key(family)
}

/// The virtual addresses of one family of the first router.
#[must_use]
pub fn virtual_addresses(family: Family) -> Vec<IpNet> {
    RouterNumber::First.addresses(family)
}

/// The name of the first router.
#[must_use]
pub fn name() -> RouterName {
    RouterNumber::First.name()
}

fn spec(setup: NodeSetup, families: &[Family]) -> RouterSpec {
    RouterSpec {
        name: name(),
        interface: interface(),
        address_interface: interface(),
        vrid: vrid(),
        role: setup.role,
        interval: setup.interval,
        down_adverts: setup.down_adverts,
        preempt_delay: setup.preempt_delay,
        checksum: setup.checksum,
        link_local: LinkLocalRule::Require,
        source_address: None,
        destinations: setup.audience.destinations(),
        accept_from: Vec::new(),
        instances: instances(RouterNumber::First, families, setup.speech),
        tracks: setup.tracks,
        announce: AnnounceSpec::default(),
        drain: setup.drain,
    }
}

/// The instances of a router with its usual addresses.
pub(super) fn instances(number: RouterNumber, families: &[Family], speech: Speech) -> Vec<InstanceSpec> {
    let instance = |family: &Family| {
        let Speech { version, authentication } = speech.of(*family);
        let addresses = number.addresses(*family);
        InstanceSpec { family: *family, version, authentication, addresses, excluded: Vec::new() }
    };
    families.iter().map(instance).collect()
}
