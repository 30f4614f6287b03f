//! What a seed stands for: which stations there are, what fails and when, and what operators do
//! afterwards.
//!
//! Every run has the same acts in the same order: many faults at once; the end of the faults, after
//! which the service must settle within its bound; then a calm LAN on which operators work, where
//! the addresses must never be without a holder; then rest.

use super::audience::Audience;
use super::checker::Violation;
use super::clock::{Clock, Ppm, TrueTime};
use super::kernel::KernelBehaviour;
use super::lan::{Cable, Conditions, Echo, Path, Port};
use super::meshes::MeshDraw;
use super::node::{Host, NodeSetup, Packets, Removal};
use super::peer::{PeerSetup, PeerVariant};
use super::rng::{PerMille, Rng};
use super::router::SecondRouter;
use super::script::{Act, CarrierSignal, Leftovers, Sockets, Source, SpecChange, Transmission};
use super::speech::Speech;
use super::trace::Detail;
use super::world::{StationSetup, World, WorldSetup};
use crate::protocol::{CheckName, CheckResult, ChecksumPolicy, Force, Track};
use crate::types::{
    AdverInterval, AdvertPriority, AuthPassword, Authentication, Family, MonoTime, Preempt, Priority, Role,
    Version,
};
use crate::wire::ChecksumFlavour;
use std::num::NonZeroU8;
use std::time::Duration;

/// How often all nodes of a world have a second router.
const SECOND_ROUTER: PerMille = PerMille::new(250);

/// How often the stations of a world with IPv4 speak VRRPv2 there.
const VERSION_2: PerMille = PerMille::new(180);

/// What was done in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// The number of steps of the world.
    pub steps: u64,
    /// How many times the rules were applied, counted for each virtual router.
    pub checks: u64,
    /// The number of commands that operators gave on the calm LAN.
    pub commands: u64,
    /// Whether the nodes had a second router: 1, or 0.
    pub second_routers: u64,
    /// Whether the stations spoke VRRPv2: 1, or 0.
    pub version_2: u64,
    /// Whether the stations sent to those of a list: 1, or 0.
    pub unicast: u64,
    /// Whether some of those did not hear one another in the calm, and were mended at the end: 1, or 0.
    pub mended: u64,
}

/// A run that broke a rule, with the world at that moment.
#[derive(Debug)]
pub struct Failure {
    /// The rule that was broken.
    pub violation: Violation,
    /// The world, for its trace.
    pub world: Box<World>,
}

/// Runs what `seed` stands for.
///
/// # Errors
/// [`Failure`]: an invariant does not hold.
pub fn run(seed: u64, detail: Detail) -> Result<Totals, Failure> {
    let (result, world) = play(seed, detail);
    match result {
        Ok((commands, mended)) => {
            let (steps, checks) = (world.steps(), world.checks());
            let second_routers = u64::from(world.has_second_router());
            let version_2 = u64::from(world.speaks_version_2());
            let unicast = u64::from(world.lists_stations());
            Ok(Totals { steps, checks, commands, second_routers, version_2, unicast, mended })
        }
        Err(violation) => Err(Failure { violation, world }),
    }
}

/// Runs what `seed` stands for, whatever the result is. Returns the steps, and the world at the
/// end.
#[must_use]
pub fn replay(seed: u64, detail: Detail) -> (u64, Box<World>) {
    let (_, world) = play(seed, detail);
    (world.steps(), world)
}

/// Gives how many commands operators gave, and whether stations had to be mended: 1, or 0.
fn play(seed: u64, detail: Detail) -> (Result<(u64, u64), Violation>, Box<World>) {
    let mut draw = Scenario {
        rng: Rng::new(seed),
        later: Rng::new(!seed),
        last: Rng::new(seed.rotate_left(32) ^ 0x5eed),
        second: Rng::new(seed.rotate_left(16) ^ 0x0073_6563_6f6e_6464),
        versions: Rng::new(seed.rotate_left(48) ^ 0x7665_7273_696f_6e73),
        meshes: MeshDraw::new(seed),
    };
    let setup = draw.world(detail);
    let span = setup.stations.iter().map(interval_of).max().unwrap_or_default();
    let ports = setup.stations.len();
    let mut world = Box::new(World::new(setup));
    let commands = draw.play(&mut world, ports, span);
    (commands.map(|commands| (commands, u64::from(draw.meshes.has_mended()))), world)
}

struct Scenario {
    rng: Rng,
    /// The generator for what was added later, so that the other numbers drawn from a seed stay the
    /// same.
    later: Rng,
    /// The generator for what was added last, for the same reason.
    last: Rng,
    /// The generator for the second routers, for the same reason.
    second: Rng,
    /// The generator for what belongs to VRRPv2, for the same reason.
    versions: Rng,
    /// What belongs to unicast, for the same reason.
    meshes: MeshDraw,
}

impl Scenario {
    fn play(&mut self, world: &mut World, ports: usize, span: Duration) -> Result<u64, Violation> {
        for port in (0..ports).map(Port) {
            let at = TrueTime::ZERO + self.rng.between(Duration::ZERO, span * 2);
            world.at(at, Act::Start(port));
        }
        let storm = self.rng.between(span * 12, span * 50);
        for _ in 0..self.rng.below(10) {
            let at = TrueTime::ZERO + self.rng.between(Duration::ZERO, storm);
            self.trouble(world, ports, span, at, TrueTime::ZERO + storm);
            if self.later.chance(PerMille::new(300)) {
                self.flap(world, ports, span, TrueTime::ZERO + storm);
            }
            if self.last.chance(PerMille::new(300)) {
                self.machine_fault(world, ports, span, TrueTime::ZERO + storm);
            }
            self.meshes.cut(world, span, TrueTime::ZERO + storm);
        }
        world.run_for(storm)?;
        self.end_of_faults(world, ports)?;
        world.run_for(world.settle())?;
        world.judge_quiescence()?;
        world.judge_hosts()?;
        let asked = commands(world, ports);
        let commands = self.operators(world, ports, span)?;
        world.run_for(world.settle() * 2)?;
        world.judge_quiescence()?;
        world.judge_hosts()?;
        judge_answers(world, &asked)?;
        self.meshes.mend(world)?;
        Ok(commands)
    }

    fn world(&mut self, detail: Detail) -> WorldSetup {
        let families = match self.rng.below(3) {
            0 => vec![Family::Ipv4],
            1 => vec![Family::Ipv6],
            _ => vec![Family::Ipv4, Family::Ipv6],
        };
        let count = 2 + self.rng.index(4);
        let foreign = if self.rng.chance(PerMille::new(300)) { 1 + self.rng.index(count - 1) } else { 0 };
        let variant = self.rng.pick(
            &[PeerVariant::Rfc9568, PeerVariant::OwnInterval, PeerVariant::WholeCentiseconds],
            PeerVariant::Rfc9568,
        );
        let base = self.rng.pick(&[1, 1, 2, 5, 10, 20, 100], 100);
        // A router that does not learn the interval needs what RFC 3768 demands: one interval for
        // all routers.
        let mixed =
            self.rng.chance(PerMille::new(300)) && (foreign == 0 || variant != PeerVariant::OwnInterval);
        let priorities = self.priorities(count, foreign > 0);
        let hosts = self.hosts(count);
        let stations = priorities.into_iter().zip(hosts).enumerate().map(|(at, (priority, host))| {
            let factor = if mixed { self.rng.pick(&[1, 2, 3, 5], 1) } else { 1 };
            let interval = AdverInterval::from_centiseconds(base * factor).unwrap_or_default();
            if at < foreign {
                StationSetup::Foreign(host, self.peer(host, priority, interval, variant))
            } else {
                StationSetup::Ours(self.node(host, priority, interval))
            }
        });
        let mut stations: Vec<StationSetup> = stations.collect();
        if families.contains(&Family::Ipv4) && self.versions.chance(VERSION_2) {
            self.speak_version_2(&mut stations);
        }
        if foreign == 0 && self.second.chance(SECOND_ROUTER) {
            self.add_second_routers(&mut stations);
        }
        self.meshes.list_stations(&mut stations);
        let lateness = Duration::from_micros(self.rng.pick(&[0, 20, 200], 0));
        WorldSetup { seed: self.rng.next_u64(), families, stations, lateness, detail }
    }

    /// Makes all stations speak VRRPv2 in IPv4. The interval is one of whole seconds that all share, as
    /// RFC 3768 demands; times that are counted in intervals keep their number.
    fn speak_version_2(&mut self, stations: &mut [StationSetup]) {
        let interval = AdverInterval::from_seconds(self.versions.pick(&[1, 1, 1, 2], 1)).unwrap_or_default();
        let authentication = self.authentication();
        for station in stations {
            match station {
                StationSetup::Ours(node) => {
                    let intervals = node.preempt_delay.as_nanos() / node.interval.period().as_nanos();
                    node.preempt_delay = interval.period() * u32::try_from(intervals).unwrap_or(0);
                    node.interval = interval;
                    node.speech = Speech { version: Version::V2, authentication };
                }
                StationSetup::Foreign(_, peer) => {
                    peer.interval = interval;
                    peer.variant = PeerVariant::Rfc3768(authentication);
                }
            }
        }
    }

    fn authentication(&mut self) -> Authentication {
        let password = |octets: &[u8; 8]| Authentication::Password(AuthPassword::from_octets(*octets));
        let all = [Authentication::None, password(b"secret\0\0"), password(b"eight888")];
        self.versions.pick(&all, Authentication::None)
    }

    /// A reload that changes the version, the password or the interval of a node of VRRPv2: until it is
    /// taken back, the node and the others do not understand one another.
    fn change_speech(&mut self) -> SpecChange {
        match self.versions.below(4) {
            0 | 1 => SpecChange::Speech(Speech::default()),
            2 => SpecChange::Speech(Speech { version: Version::V2, authentication: self.authentication() }),
            _ => SpecChange::Interval(AdverInterval::from_seconds(3).unwrap_or_default()),
        }
    }

    /// Gives each node a second router. Its interval is one that all nodes share and its priorities
    /// are unrelated to those of the first router, so that often one node is Active in one router
    /// and another node in the other.
    fn add_second_routers(&mut self, stations: &mut [StationSetup]) {
        let factor = self.second.pick(&[1, 1, 2, 3], 1);
        let longest = stations.iter().map(|station| match station {
            StationSetup::Ours(node) => node.interval,
            StationSetup::Foreign(_, peer) => peer.interval,
        });
        let longest = longest.max().unwrap_or_default();
        let interval = AdverInterval::from_centiseconds(longest.centiseconds() * factor).unwrap_or(longest);
        let check = || CheckName("nginx".into());
        for station in stations {
            let StationSetup::Ours(node) = station else { continue };
            let priority = Priority::clamped(self.second.pick(&[50, 100, 100, 150, 200], 100));
            let preempt =
                self.second.pick(&[Preempt::Allow, Preempt::Allow, Preempt::Forbid], Preempt::Allow);
            let tracks = match self.second.below(4) {
                0 => vec![Track::fault(check())],
                1 => vec![Track::weighted(check(), -60)],
                _ => vec![],
            };
            node.second =
                Some(SecondRouter { role: Role::Contender { priority, preempt }, interval, tracks });
        }
    }

    /// Draws the priorities; 255 belongs to the owner. Foreign routers treat the families
    /// separately, so a tie between them and our routers may never be resolved for both families:
    /// foreign routers get priorities of their own.
    fn priorities(&mut self, count: usize, foreign: bool) -> Vec<u8> {
        let kind = if foreign { self.rng.below(2) } else { self.rng.below(4) };
        let mut priorities: Vec<u8> = (1_u8..).map(|step| step * 40).take(count).collect();
        for at in 0..count {
            priorities.swap(at, self.rng.index(count));
        }
        match kind {
            0 => priorities,
            1 => {
                if let Some(first) = priorities.iter_mut().max() {
                    *first = 255;
                }
                priorities
            }
            2 => vec![100; count],
            _ => priorities.iter().map(|_| self.rng.pick(&[99, 100, 200], 100)).collect(),
        }
    }

    /// Draws addresses that are distinct in each family; the orders of the two families are
    /// unrelated.
    fn hosts(&mut self, count: usize) -> Vec<Host> {
        let mut v4: Vec<u8> = (1_u8..).map(|step| step * 50).take(count).collect();
        let mut v6: Vec<u16> = (1_u16..).map(|step| step * 13_000).take(count).collect();
        for at in 0..count {
            v4.swap(at, self.rng.index(count));
            v6.swap(at, self.rng.index(count));
        }
        v4.into_iter().zip(v6).map(|(v4, v6)| Host { v4, v6 }).collect()
    }

    fn preempt(&mut self) -> Preempt {
        if self.rng.chance(PerMille::new(250)) { Preempt::Forbid } else { Preempt::Allow }
    }

    fn peer(&mut self, host: Host, priority: u8, interval: AdverInterval, variant: PeerVariant) -> PeerSetup {
        PeerSetup {
            source: host.address(Family::Ipv4),
            priority: AdvertPriority::from_wire(priority),
            preempt: if priority == 255 { Preempt::Allow } else { self.preempt() },
            interval,
            variant,
            audience: Audience::Group,
            checksum: self
                .rng
                .pick(&[ChecksumFlavour::Rfc9568, ChecksumFlavour::Rfc5798], ChecksumFlavour::Rfc9568),
        }
    }

    fn node(&mut self, host: Host, priority: u8, interval: AdverInterval) -> NodeSetup {
        let role = match Priority::new(priority) {
            Ok(priority) => Role::Contender { priority, preempt: self.preempt() },
            Err(_) => Role::Owner,
        };
        let check = || CheckName("nginx".into());
        let tracks = match self.rng.below(4) {
            0 => vec![],
            1 => vec![Track::weighted(check(), -60)],
            _ => vec![Track::fault(check())],
        };
        let offset = MonoTime::from_nanos(self.rng.below(1_000_000_000_000_000));
        let rate = i16::try_from(self.rng.below(2001)).unwrap_or(0) - 1000;
        NodeSetup {
            interval,
            down_adverts: NonZeroU8::MIN.saturating_add(self.rng.pick(&[1, 2, 2, 2, 4], 2)),
            preempt_delay: interval.period() * self.rng.pick(&[0, 0, 0, 2, 10], 0),
            checksum: self.rng.pick(
                &[ChecksumPolicy::Auto, ChecksumPolicy::Rfc9568, ChecksumPolicy::Rfc5798],
                ChecksumPolicy::Auto,
            ),
            tracks,
            clock: Clock::new(offset, Ppm(rate)),
            ..NodeSetup::new(host, role)
        }
    }

    /// One kind of fault that begins at `at`, and sometimes its end.
    fn trouble(&mut self, world: &mut World, ports: usize, span: Duration, at: TrueTime, end: TrueTime) {
        let port = Port(self.rng.index(ports));
        let other = Port(self.rng.index(ports));
        let until = (at + self.rng.between(Duration::ZERO, span * 12)).min(end);
        match self.rng.below(15) {
            0 | 1 => {
                world.at(at, Act::Conditions(self.conditions(span)));
                world.at(until, Act::Conditions(Conditions::HEALTHY));
            }
            2 => {
                world.at(at, Act::Path(port, other, Path::Blocked));
                world.at(until, Act::Path(port, other, Path::Open));
            }
            3 => self.partition(world, ports, at),
            4 => {
                let carrier = self.rng.pick(&[CarrierSignal::Lost, CarrierSignal::Kept], CarrierSignal::Lost);
                world.at(at, Act::Cable(port, Cable::Cut, carrier));
                world.at(until, Act::Cable(port, Cable::Plugged, carrier));
            }
            5 => {
                world.at(at, Act::Echo(port, Echo::Reflects));
                world.at(until, Act::Echo(port, Echo::Silent));
            }
            6 | 7 => {
                let leftovers =
                    self.rng.pick(&[Leftovers::Addresses, Leftovers::Nothing], Leftovers::Nothing);
                world.at(at, Act::Crash(port, leftovers));
                world.at(until, Act::Start(port));
            }
            8 | 9 => {
                let packets = self.rng.pick(&[Packets::Wait, Packets::Vanish], Packets::Wait);
                world.at(at, Act::Stall(port, packets));
                world.at(until, Act::Wake(port));
            }
            10 => world.at(at, Act::Kernel(port, self.behaviour(span))),
            11 => {
                world.at(at, Act::Check(port, CheckResult::Failing));
                world.at(until, Act::Check(port, CheckResult::Passing));
            }
            12 => {
                let force = self.rng.pick(&[Force::No, Force::No, Force::Yes], Force::No);
                world.at(at, self.demotion(port, force));
                world.at(until, Act::Promote(port));
            }
            13 => {
                world.at(at, Act::Stop(port));
                world.at(until, Act::Start(port));
            }
            _ => self.change_role(world, port, at),
        }
    }

    /// The link or the source addresses are away for a moment, or for longer than other routers
    /// wait.
    fn flap(&mut self, world: &mut World, ports: usize, span: Duration, end: TrueTime) {
        let port = Port(self.later.index(ports));
        let at = TrueTime::ZERO + self.later.between(Duration::ZERO, end.since(TrueTime::ZERO));
        let until = (at + self.later.between(Duration::ZERO, span * 5)).min(end);
        let (away, back) = if self.later.chance(PerMille::new(500)) {
            (Act::Source(port, Source::Absent), Act::Source(port, Source::Present))
        } else {
            let cable = |cable| Act::Cable(port, cable, CarrierSignal::Lost);
            (cable(Cable::Cut), cable(Cable::Plugged))
        };
        world.at(at, away);
        world.at(until, back);
    }

    /// A fault of the machine of a node, or a reload by its operator, and its end.
    fn machine_fault(&mut self, world: &mut World, ports: usize, span: Duration, end: TrueTime) {
        let port = Port(self.last.index(ports));
        let at = TrueTime::ZERO + self.last.between(Duration::ZERO, end.since(TrueTime::ZERO));
        let until = (at + self.last.between(Duration::ZERO, span * 8)).min(end);
        let families = world.families().to_vec();
        let family = self.last.pick(&families, Family::Ipv4);
        match self.last.below(12) {
            0 => {
                world.at(at, Act::Sockets(port, family, Sockets::Closed));
                world.at(until, Act::Sockets(port, family, Sockets::Open));
            }
            1 => {
                world.at(at, Act::Transmission(port, family, Transmission::Fails));
                world.at(until, Act::Transmission(port, family, Transmission::Works));
            }
            2 => {
                // A refused request is retried after seconds: with short intervals such a run is
                // mostly waiting.
                let long = span >= Duration::from_millis(100);
                let removal = self.last.pick(&[Removal::PutBack, Removal::Reinstalled], Removal::PutBack);
                let refused = long && self.last.chance(PerMille::new(400));
                let removal = if refused { Removal::Refused } else { removal };
                world.at(at, Act::Removal(port, family, removal));
            }
            3 => {
                world.at(at, Act::CheckRemoved(port));
                world.at(until, Act::Check(port, CheckResult::Passing));
            }
            4 | 5 => {
                world.at(at, Act::Crash(port, Leftovers::Addresses));
                let cleaned_up = (at + self.last.between(Duration::ZERO, span * 4)).min(end);
                world.at(cleaned_up, Act::FinishCrashedRun(port));
                world.at(until.max(at + Duration::from_secs(4)).min(end), Act::Start(port));
            }
            _ => {
                let change = self.change(world, port, &families);
                world.at(at, Act::Reconfigure(port, change));
                let mut until = until;
                if self.last.chance(PerMille::new(400)) {
                    // The reload comes in the middle of a hand-over.
                    let soon = (at + self.last.between(Duration::ZERO, Duration::from_millis(40))).min(end);
                    until = until.max(soon);
                    let change = self.change(world, port, &families);
                    world.at(at, Act::Demote(port, Force::No));
                    world.at(soon, Act::Reconfigure(port, change));
                    world.at(until, Act::Promote(port));
                }
                world.at(until, Act::Reconfigure(port, SpecChange::Back));
            }
        }
    }

    fn change(&mut self, world: &World, port: Port, families: &[Family]) -> SpecChange {
        let check = || CheckName("nginx".into());
        let interval = world.node(port).map(|node| node.spec().interval).unwrap_or_default();
        let speaks_version_2 = world.node(port).is_some_and(|node| node.speaks_version_2());
        if let Some(change) = self.meshes.change(world, port) {
            return change;
        }
        match self.last.below(8) {
            // VRRPv2 has no interval of 10 ms (RFC 3768 §5.3.7).
            0 if speaks_version_2 => self.change_speech(),
            1 if speaks_version_2 && self.versions.chance(PerMille::new(700)) => self.change_speech(),
            0 => SpecChange::Interval(AdverInterval::from_centiseconds(1).unwrap_or(interval)),
            1 => SpecChange::PreemptDelay(interval.period() * self.last.pick(&[0, 1, 5], 1)),
            2 => SpecChange::Preempt(self.last.pick(&[Preempt::Allow, Preempt::Forbid], Preempt::Allow)),
            3 => SpecChange::Tracks(vec![Track::weighted(check(), self.last.pick(&[-90, 60, 254], 60))]),
            4 => SpecChange::Name("other".parse().unwrap_or_else(|_| super::node::name())),
            5 => SpecChange::MoreAddresses,
            6 => SpecChange::Tracks(vec![Track::fault(CheckName("new".into())), Track::fault(check())]),
            _ => {
                let one = self.last.pick(families, Family::Ipv4);
                SpecChange::Families(vec![one])
            }
        }
    }

    fn demotion(&mut self, port: Port, force: Force) -> Act {
        let last_resort = force == Force::No && self.later.chance(PerMille::new(250));
        if last_resort { Act::LastResort(port) } else { Act::Demote(port, force) }
    }

    fn conditions(&mut self, span: Duration) -> Conditions {
        let mut chance = |most: u64| {
            let thousandths = if self.rng.below(2) == 0 { 0 } else { self.rng.below(most) };
            PerMille::new(u16::try_from(thousandths).unwrap_or(0))
        };
        let (loss, duplication, corruption) = (chance(700), chance(300), chance(300));
        // A packet in flight at the end of the faults is not delayed by more than the bound allows
        // for.
        let most_delay = self.rng.between(Duration::from_micros(20), span);
        Conditions { loss, duplication, corruption, least_delay: Duration::from_micros(20), most_delay }
    }

    fn behaviour(&mut self, span: Duration) -> KernelBehaviour {
        // A refused request is retried after seconds: with short intervals such a run is mostly
        // waiting.
        let refusals = if span >= Duration::from_millis(100) { self.rng.pick(&[0, 0, 1, 2], 0) } else { 0 };
        let most_delay = self.rng.between(Duration::from_micros(30), span * 2);
        KernelBehaviour { refusals, most_delay, ..KernelBehaviour::HEALTHY }
    }

    fn partition(&mut self, world: &mut World, ports: usize, at: TrueTime) {
        let side: Vec<u64> = (0..ports).map(|_| self.rng.below(2)).collect();
        for (from, a) in side.iter().enumerate() {
            for (to, b) in side.iter().enumerate() {
                if a != b {
                    world.at(at, Act::Path(Port(from), Port(to), Path::Blocked));
                }
            }
        }
    }

    fn change_role(&mut self, world: &mut World, port: Port, at: TrueTime) {
        let Some(node) = world.node(port) else { return };
        if let Role::Contender { preempt, .. } = node.spec().role {
            let priority = Priority::clamped(i32::try_from(1 + self.rng.below(254)).unwrap_or(100));
            world.at(at, Act::ChangeRole(port, Role::Contender { priority, preempt }));
        }
        // This act changes nothing, whenever it happens. Its times are not drawn from the seed,
        // because the seeds that failed once must still stand for the same runs.
        for after in [0, 7, 130, 1700] {
            world.at(at + Duration::from_millis(after), Act::Reload(port));
        }
    }

    /// Ends the faults. Some of what operators and checks set stays, and sometimes a partition of
    /// the LAN.
    fn end_of_faults(&mut self, world: &mut World, ports: usize) -> Result<(), Violation> {
        world.act(Act::Repair)?;
        for port in (0..ports).map(Port) {
            if self.rng.chance(PerMille::new(800)) {
                world.act(Act::Check(port, CheckResult::Passing))?;
            }
            if self.rng.chance(PerMille::new(800)) {
                world.act(Act::Promote(port))?;
            }
        }
        if self.rng.chance(PerMille::new(120)) {
            let now = world.now();
            self.partition(world, ports, now);
            world.run_until(now)?;
        }
        self.meshes.leave_a_cut(world)?;
        world.act(Act::FaultsEnd)
    }

    /// Planned work of operators on a calm LAN.
    fn operators(&mut self, world: &mut World, ports: usize, span: Duration) -> Result<u64, Violation> {
        let mut commands = 0;
        let mut idle_from = world.now();
        for _ in 0..1 + self.rng.below(4) {
            let port = Port(self.rng.index(ports));
            let now = world.now();
            match self.rng.below(8) {
                0..=2 => world.at(now, self.demotion(port, Force::No)),
                3 => {
                    // Two demotions at the same moment.
                    world.at(now, self.demotion(port, Force::No));
                    let soon = now + self.rng.between(Duration::ZERO, Duration::from_millis(40));
                    let other = Port(self.rng.index(ports));
                    world.at(soon, self.demotion(other, Force::No));
                }
                4 => world.at(now, Act::Promote(port)),
                5 => {
                    world.at(now, Act::Stop(port));
                    let later = now + self.rng.between(span, span * 8) + Duration::from_secs(4);
                    world.at(later, Act::Start(port));
                    idle_from = idle_from.max(later);
                }
                6 => {
                    let result =
                        self.rng.pick(&[CheckResult::Failing, CheckResult::Passing], CheckResult::Passing);
                    world.at(now, Act::Check(port, result));
                }
                _ => self.change_role(world, port, now),
            }
            commands += 1;
            let pause = match self.rng.below(3) {
                0 => self.rng.between(Duration::ZERO, Duration::from_millis(50)),
                1 => self.rng.between(Duration::ZERO, span * 8),
                _ => world.settle(),
            };
            world.run_for(pause)?;
        }
        world.run_until(idle_from.max(world.now()))?;
        Ok(commands)
    }
}

/// For each node: the number of its process, and how many commands it was given so far.
fn commands(world: &World, ports: usize) -> Vec<(u32, u64)> {
    let of = |port| world.node(Port(port)).map_or((0, 0), |node| (node.life(), node.asked()));
    (0..ports).map(of).collect()
}

/// Every command on the calm LAN is answered once, unless its process ended.
fn judge_answers(world: &World, before: &[(u32, u64)]) -> Result<(), Violation> {
    for (at, (life, asked)) in before.iter().enumerate() {
        let Some(node) = world.node(Port(at)).filter(|node| node.life() == *life) else { continue };
        let ids = (asked + 1)..=node.asked();
        for id in ids {
            let answers = node.answers().iter().filter(|(_, of, _)| of.0 == id).count();
            if answers != 1 {
                let seen = format!("command {id}: {answers} answers");
                return Err(Violation::by(Port(at), world.now(), "every command is answered once", seen));
            }
        }
    }
    Ok(())
}

fn interval_of(station: &StationSetup) -> Duration {
    match station {
        StationSetup::Ours(node) => node.interval.period(),
        StationSetup::Foreign(_, peer) => peer.interval.period(),
    }
}
