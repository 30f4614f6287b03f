//! Connections that outlive planned moves: no move resets one, and what faults cost is bounded.
//!
//! ```text
//! SIM_SEEDS=5000 cargo test -p vrrpd-core --release --test sim of_many_seeds   # over night
//! SIM_FROM=7 SIM_SEEDS=1 cargo test -p vrrpd-core --test sim of_many_seeds     # one seed again
//! ```

use crate::lab::{BOTH, Lab, SLOW_KERNEL, V4, keep, ms, node, secs, watching};
use std::time::Duration;
use vrrpd_core::protocol::{CheckResult, Force, Track};
use vrrpd_core::sim::connections::{ConnectionSetup, ConnectionTotals, Partners, Strictness};
use vrrpd_core::sim::kernel::KernelBehaviour;
use vrrpd_core::sim::lan::{Cable, Conditions, Path};
use vrrpd_core::sim::node::{Host, NodeSetup};
use vrrpd_core::sim::rng::{PerMille, Rng};
use vrrpd_core::sim::script::{Act, CarrierSignal, Leftovers};
use vrrpd_core::sim::trace::Detail;
use vrrpd_core::sim::world::{StationSetup, World, WorldSetup};
use vrrpd_core::sim::{Port, Violation};
use vrrpd_core::types::{AdverInterval, Family, Preempt, Priority, Role};

const V6: &[Family] = &[Family::Ipv6];
const TEN_MINUTES: Duration = Duration::from_secs(600);

const PLANNED: ConnectionSetup = ConnectionSetup {
    partners: Partners::All,
    strictness: Strictness::NothingIsReset,
    least_pause: Duration::from_millis(20),
    most_pause: Duration::from_millis(120),
};

/// Stations of these priorities, which have agreed on an Active, and hosts with connections.
fn settled(families: &[Family], priorities: &[u8], setup: ConnectionSetup) -> Lab {
    let drains = |priority: &u8| NodeSetup {
        drain: TEN_MINUTES,
        ..watching(node(*priority), |check| Track::weighted(check, -60))
    };
    let mut lab = Lab::new(families, priorities.iter().map(drains).collect());
    lab.world.simulate_connections(setup);
    (0..priorities.len()).for_each(|at| lab.act(Act::Start(Port(at))));
    lab.faults_end();
    lab.settle();
    lab.run(secs(2));
    lab
}

/// Nothing was reset, although there was much to reset.
fn nothing_was_reset(lab: &Lab, drains: u64) -> ConnectionTotals {
    let totals = lab.world.connection_totals();
    println!("{totals:?}");
    assert_eq!((totals.reset, totals.reset_by_drain), (0, 0), "{totals:?}");
    assert!(totals.drains >= drains && totals.ended > 50, "{totals:?}");
    assert!(totals.forwarded_by_list > 0 && totals.forwarded_while_switching > 0, "{totals:?}");
    totals
}

#[test]
fn a_demotion_and_the_way_back_reset_nothing() {
    for families in [V4, V6, BOTH] {
        let mut lab = settled(families, &[200, 100], PLANNED);
        for _ in 0..3 {
            lab.demote(0);
            lab.run(secs(4));
            assert_eq!(lab.actives(), [1]);
            lab.act(Act::Promote(Port(0)));
            lab.run(secs(6));
            assert_eq!(lab.actives(), [0]);
        }
        nothing_was_reset(&lab, 6);
        lab.settle();
    }
}

#[test]
fn without_partners_the_same_moves_reset_connections() {
    let setup = ConnectionSetup { partners: Partners::None, strictness: Strictness::NothingHangs, ..PLANNED };
    let mut lab = settled(V4, &[200, 100], setup);
    lab.demote(0);
    lab.run(secs(4));
    lab.act(Act::Promote(Port(0)));
    lab.run(secs(6));
    let totals = lab.world.connection_totals();
    assert!(totals.reset > 20 && totals.drains == 0, "{totals:?}");
}

#[test]
fn three_stations_in_a_ring_reset_nothing() {
    for (families, pause) in [(V4, 900), (V6, 900), (BOTH, 300), (BOTH, 4000)] {
        let mut lab = settled(families, &[200, 150, 100], PLANNED);
        for round in 0..2 {
            // A to B, B to C, and back to A, each before hosts' first packets have settled.
            for (demoted, promoted) in [(0, 2), (1, 0), (2, 1)] {
                if round > 0 {
                    lab.act(Act::Promote(Port(promoted)));
                }
                lab.demote(demoted);
                lab.run(ms(pause));
            }
            lab.act(Act::Promote(Port(0)));
            lab.run(secs(5));
            lab.act(Act::Promote(Port(1)));
            lab.act(Act::Promote(Port(2)));
            lab.run(secs(5));
        }
        nothing_was_reset(&lab, 6);
    }
}

#[test]
fn a_lowered_weight_drains_as_well() {
    let mut lab = settled(BOTH, &[150, 100], PLANNED);
    lab.act(Act::Check(Port(0), CheckResult::Failing));
    lab.run(secs(10));
    assert_eq!(lab.actives(), [1]);
    lab.act(Act::Check(Port(0), CheckResult::Passing));
    lab.run(secs(10));
    assert_eq!(lab.actives(), [0]);
    nothing_was_reset(&lab, 4);
}

#[test]
fn the_drain_is_over_when_the_last_connection_is() {
    let mut lab = settled(V4, &[200, 100], PLANNED);
    lab.demote(0);
    // No connection lives longer than 20 s.
    lab.run(secs(25));
    let totals = nothing_was_reset(&lab, 1);
    assert_eq!(totals.drains_ended, 1);
    assert!(lab.router(0).instances[0].draining.is_none());
}

#[test]
fn what_is_left_at_the_deadline_is_reset_and_nothing_else() {
    let mut lab = settled(V4, &[200, 100], PLANNED);
    lab.act(Act::DemoteDraining(Port(0), secs(2)));
    lab.run(secs(5));
    let totals = lab.world.connection_totals();
    assert!(totals.reset == 0 && totals.reset_by_drain > 3 && totals.drains_ended == 1, "{totals:?}");
}

#[test]
fn slow_kernels_reset_nothing() {
    let slower = KernelBehaviour { least_delay: ms(100), most_delay: ms(150), refusals: 0 };
    for kernel in [SLOW_KERNEL, slower] {
        let mut lab = settled(BOTH, &[200, 100], PLANNED);
        lab.act(Act::Kernel(Port(0), kernel));
        lab.act(Act::Kernel(Port(1), kernel));
        for pause in [50, 5000, 5000, 5000, 5000] {
            lab.demote(0);
            lab.run(secs(2) + ms(pause));
            assert_eq!(lab.actives(), [1]);
            lab.act(Act::Promote(Port(0)));
            lab.run(secs(5) + ms(pause));
            assert_eq!(lab.actives(), [0]);
        }
        nothing_was_reset(&lab, 8);
    }
}

// Random worlds.

/// This number of seeds is quick enough for every day.
const SEEDS: u64 = 5;

/// Two Backups of nearly the same priority take over from a router that resigns at the same time,
/// and a host may open a connection to the one that yields. So far apart, one hears of the other.
const PRIORITIES: [u8; 6] = [8, 56, 104, 152, 200, 248];

/// By then a list that the kernel was asked for when a drain began has arrived.
const FIRST_LISTS: Duration = Duration::from_millis(600);

/// What a seed stands for.
struct Scenario {
    rng: Rng,
    world: World,
    ports: usize,
    /// Those of the stations, and then those that are free.
    priorities: Vec<u8>,
}

impl Scenario {
    fn new(seed: u64, strictness: Strictness, detail: Detail) -> Self {
        let mut rng = Rng::new(seed ^ 0x6472_6169_6e00);
        let families = rng.pick(&[V4, V6, BOTH], V4);
        let ports = 2 + rng.index(3);
        let mut priorities = PRIORITIES.to_vec();
        for at in 0..ports {
            let other = rng.index(priorities.len());
            priorities.swap(at, other);
        }
        let station = |(at, priority): (usize, &u8)| StationSetup::Ours(station(&mut rng, at, *priority));
        let stations = priorities.iter().take(ports).enumerate().map(station).collect();
        let lateness = Duration::from_micros(rng.pick(&[0, 20, 200], 0));
        let setup = WorldSetup { seed, families: families.to_vec(), stations, lateness, detail };
        let mut world = World::new(setup);
        let pause = rng.pick(&[200, 400, 800], 400);
        let (least_pause, most_pause) = (ms(pause / 4), ms(pause * 2));
        world.simulate_connections(ConnectionSetup { strictness, least_pause, most_pause, ..PLANNED });
        Self { rng, world, ports, priorities }
    }

    fn settle(&mut self) -> Result<(), Violation> {
        for at in 0..self.ports {
            self.world.act(Act::Start(Port(at)))?;
        }
        self.world.act(Act::FaultsEnd)?;
        self.world.run_for(self.world.settle())?;
        self.world.judge_quiescence()?;
        self.world.run_for(secs(1))
    }

    /// How long the next move waits. Among three stations it waits until the leaver of the last one
    /// has listed its connections: until then only the station that relieved it knows where they
    /// are, and if that is relieved in turn, and takes over again, it has forgotten.
    fn pause(&mut self) -> Duration {
        let least = if self.ports > 2 { FIRST_LISTS } else { Duration::ZERO };
        least + self.any_pause()
    }

    fn any_pause(&mut self) -> Duration {
        match self.rng.below(4) {
            0 => self.rng.between(Duration::ZERO, ms(60)),
            1 => self.rng.between(Duration::ZERO, ms(1000)),
            2 => self.rng.between(secs(1), secs(7)),
            _ => self.rng.between(secs(3), secs(14)),
        }
    }

    /// An operator moves the addresses.
    fn planned_move(&mut self) -> Act {
        let port = Port(self.rng.index(self.ports));
        match self.rng.below(10) {
            0..=3 => {
                let active = self.world.views().iter().find(|view| view.is_active()).map(|view| view.port);
                Act::Demote(active.unwrap_or(port), Force::No)
            }
            4..=6 => Act::Promote(port),
            _ => {
                let free = self.rng.index(self.priorities.len() - self.ports);
                let free = self.ports + free;
                self.priorities.swap(port.0, free);
                let priority = Priority::new(self.priorities[port.0]).unwrap();
                Act::ChangeRole(port, Role::Contender { priority, preempt: Preempt::Allow })
            }
        }
    }

    /// Something fails, and sometimes ends to fail.
    fn fault(&mut self) -> Result<(), Violation> {
        let port = Port(self.rng.index(self.ports));
        let other = Port(self.rng.index(self.ports));
        let now = self.world.now();
        let until = now + self.rng.between(ms(10), secs(12));
        match self.rng.below(9) {
            0..=2 => {
                let left = self.rng.pick(&[Leftovers::Nothing, Leftovers::Addresses], Leftovers::Nothing);
                self.world.act(Act::Crash(port, left))?;
                self.world.at(until, Act::Start(port));
            }
            3 => {
                self.world.act(Act::Stop(port))?;
                self.world.at(until, Act::Start(port));
            }
            4 => {
                self.world.act(Act::Path(port, other, Path::Blocked))?;
                self.world.at(until, Act::Path(port, other, Path::Open));
            }
            5 => {
                for other in (0..self.ports).map(Port).filter(|other| *other != port) {
                    for (from, to) in [(port, other), (other, port)] {
                        self.world.act(Act::Path(from, to, Path::Blocked))?;
                        self.world.at(until, Act::Path(from, to, Path::Open));
                    }
                }
            }
            6 => {
                let carrier = self.rng.pick(&[CarrierSignal::Lost, CarrierSignal::Kept], CarrierSignal::Lost);
                self.world.act(Act::Cable(port, Cable::Cut, carrier))?;
                self.world.at(until, Act::Cable(port, Cable::Plugged, carrier));
            }
            7 => {
                let loss = PerMille::new(u16::try_from(self.rng.below(80)).unwrap());
                self.world.act(Act::Conditions(Conditions { loss, ..Conditions::HEALTHY }))?;
                self.world.at(until, Act::Conditions(Conditions::HEALTHY));
            }
            _ => self.world.act(Act::RefuseDrains(port, 1))?,
        }
        Ok(())
    }

    /// Planned moves and faults at the same time.
    fn faults(&mut self) -> Result<(), Violation> {
        self.settle()?;
        self.world.act(Act::FaultsBegin)?;
        for _ in 0..4 + self.rng.below(8) {
            if self.rng.below(5) < 2 {
                self.fault()?;
            } else {
                let drain = self.rng.between(ms(100), secs(10));
                let port = Port(self.rng.index(self.ports));
                let act = if self.rng.below(4) == 0 {
                    Act::DemoteDraining(port, drain)
                } else {
                    self.planned_move()
                };
                self.world.act(act)?;
            }
            let pause = self.any_pause();
            self.world.run_for(pause)?;
        }
        self.world.run_for(secs(13))?;
        self.world.act(Act::Repair)?;
        self.world.act(Act::FaultsEnd)?;
        self.world.run_for(secs(25))?;
        self.world.run_for(self.world.settle())?;
        self.world.judge_quiescence()
    }

    /// A router whose hand-over fails, or is called off, takes its addresses back from one that may
    /// have taken over: that is not a planned move.
    fn wait_for_handovers(&mut self) -> Result<(), Violation> {
        for _ in 0..400 {
            if !self.world.views().iter().any(|view| view.leaving) {
                return Ok(());
            }
            self.world.run_for(ms(10))?;
        }
        Ok(())
    }

    /// Planned moves on a calm LAN.
    fn moves(&mut self) -> Result<(), Violation> {
        self.settle()?;
        for _ in 0..4 + self.rng.below(8) {
            self.wait_for_handovers()?;
            let act = self.planned_move();
            self.world.act(act)?;
            let pause = self.pause();
            self.world.run_for(pause)?;
        }
        self.world.run_for(secs(20))?;
        self.world.run_for(self.world.settle())?;
        self.world.judge_quiescence()
    }
}

fn station(rng: &mut Rng, at: usize, priority: u8) -> NodeSetup {
    let place = u8::try_from(at + 1).unwrap();
    let priority = Priority::new(priority).unwrap();
    let preempt = rng.pick(&[Preempt::Allow, Preempt::Allow, Preempt::Forbid], Preempt::Allow);
    let role = Role::Contender { priority, preempt };
    let interval = AdverInterval::from_centiseconds(100).unwrap();
    NodeSetup {
        interval,
        drain: TEN_MINUTES,
        ..NodeSetup::new(Host { v4: place, v6: u16::from(place) }, role)
    }
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let from = number("SIM_FROM").unwrap_or(0);
    from..from.saturating_add(number("SIM_SEEDS").unwrap_or(SEEDS))
}

/// Runs what each seed stands for. A seed that fails is run again with a trace.
fn each_seed(strictness: Strictness, act: fn(&mut Scenario) -> Result<(), Violation>) -> ConnectionTotals {
    let mut sum = ConnectionTotals::default();
    for seed in seeds() {
        let mut scenario = Scenario::new(seed, strictness, Detail::Off);
        if let Err(violation) = act(&mut scenario) {
            let mut again = Scenario::new(seed, strictness, Detail::On);
            let _same = act(&mut again);
            let kept = keep(&format!("draining-{seed}"), again.world.trace());
            panic!("seed {seed}: {violation}\nkept: {kept}\n{}", again.world.trace().text(40));
        }
        let totals = scenario.world.connection_totals();
        sum.opened += totals.opened;
        sum.ended += totals.ended;
        sum.reset += totals.reset;
        sum.reset_by_drain += totals.reset_by_drain;
        sum.forwarded_by_list += totals.forwarded_by_list;
        sum.forwarded_while_switching += totals.forwarded_while_switching;
        sum.swallowed += totals.swallowed;
        sum.drains += totals.drains;
        sum.drains_ended += totals.drains_ended;
        sum.most_visited = sum.most_visited.max(totals.most_visited);
    }
    println!("{sum:?}");
    sum
}

#[test]
fn planned_moves_of_many_seeds_reset_nothing() {
    let totals = each_seed(Strictness::NothingIsReset, Scenario::moves);
    assert!(totals.reset == 0 && totals.reset_by_drain == 0, "{totals:?}");
    assert!(seeds().count() < 5 || totals.drains > 5 && totals.ended > 1000, "{totals:?}");
}

#[test]
fn faults_of_many_seeds_leave_nothing_hanging() {
    let totals = each_seed(Strictness::NothingHangs, Scenario::faults);
    let costly = totals.reset > 20 && totals.reset_by_drain > 0;
    assert!(seeds().count() < 5 || costly && totals.drains > 3, "the faults cost nothing: {totals:?}");
}
