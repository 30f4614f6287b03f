//! A world for a scripted test: its methods read like the sentences of the test.

use std::io::Write;
use std::time::Duration;
use vrrpd_core::protocol::{
    Answer, CheckName, DemoteOutcome, Force, InstanceSnapshot, RouterSnapshot, StateName, Track,
};
use vrrpd_core::sim::kernel::KernelBehaviour;
use vrrpd_core::sim::lan::Conditions;
use vrrpd_core::sim::node::{Host, NodeSetup, key};
use vrrpd_core::sim::router::RouterNumber;
use vrrpd_core::sim::script::Act;
use vrrpd_core::sim::trace::{Detail, Trace};
use vrrpd_core::sim::world::{StationSetup, World, WorldSetup};
use vrrpd_core::sim::{Port, Violation};
use vrrpd_core::types::{AdverInterval, Family, Preempt, Priority, Role};

pub(crate) const V4: &[Family] = &[Family::Ipv4];
pub(crate) const BOTH: &[Family] = &[Family::Ipv4, Family::Ipv6];

/// How long every packet is on its way in a scripted world.
pub(crate) const DELAY: Duration = Duration::from_micros(100);

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A contender of this priority that preempts; its address grows with its place.
pub(crate) fn node(priority: u8) -> NodeSetup {
    role(Role::Contender { priority: Priority::new(priority).unwrap(), preempt: Preempt::Allow })
}

pub(crate) fn patient(priority: u8) -> NodeSetup {
    role(Role::Contender { priority: Priority::new(priority).unwrap(), preempt: Preempt::Forbid })
}

pub(crate) fn owner() -> NodeSetup {
    role(Role::Owner)
}

fn role(role: Role) -> NodeSetup {
    NodeSetup::new(Host { v4: 0, v6: 0 }, role)
}

pub(crate) fn every(centiseconds: u16, setup: NodeSetup) -> NodeSetup {
    NodeSetup { interval: AdverInterval::from_centiseconds(centiseconds).unwrap(), ..setup }
}

pub(crate) fn watching(setup: NodeSetup, track: fn(CheckName) -> Track) -> NodeSetup {
    NodeSetup { tracks: vec![track(CheckName("nginx".into()))], ..setup }
}

pub(crate) struct Lab {
    pub(crate) world: World,
}

impl Lab {
    /// A world in which no station runs yet. Addresses grow with the place of a station, in both
    /// families.
    pub(crate) fn new(families: &[Family], nodes: Vec<NodeSetup>) -> Self {
        let place = |(at, node): (usize, NodeSetup)| {
            let host = u8::try_from(at + 1).unwrap();
            StationSetup::Ours(NodeSetup { host: Host { v4: host, v6: u16::from(host) }, ..node })
        };
        let stations = nodes.into_iter().enumerate().map(place).collect();
        Self::of(families, stations)
    }

    pub(crate) fn of(families: &[Family], stations: Vec<StationSetup>) -> Self {
        let setup = WorldSetup {
            seed: 1,
            families: families.to_vec(),
            stations,
            lateness: Duration::ZERO,
            detail: Detail::On,
        };
        let mut lab = Self { world: World::new(setup) };
        lab.act(Act::Conditions(Conditions { least_delay: DELAY, most_delay: DELAY, ..Conditions::HEALTHY }));
        lab
    }

    /// A world in which all stations run on a calm LAN and have agreed on an Active.
    pub(crate) fn settled(families: &[Family], nodes: Vec<NodeSetup>) -> Self {
        let count = nodes.len();
        let mut lab = Self::new(families, nodes);
        (0..count).for_each(|at| lab.act(Act::Start(Port(at))));
        lab.faults_end();
        lab.settle();
        lab
    }

    /// From now on the rules of a healthy LAN are enforced at every step.
    pub(crate) fn faults_end(&mut self) {
        self.act(Act::FaultsEnd);
    }

    pub(crate) fn act(&mut self, act: Act) {
        let done = self.world.act(act);
        self.expect(done);
    }

    pub(crate) fn run(&mut self, duration: Duration) {
        let done = self.world.run_for(duration);
        self.expect(done);
    }

    /// Runs until the rules of quiescence must hold, and applies them.
    pub(crate) fn settle(&mut self) {
        self.run(self.world.settle());
        let result = self.world.judge_quiescence();
        self.expect(result);
    }

    fn expect(&self, result: Result<(), Violation>) {
        if let Err(violation) = result {
            panic!("{violation}\n{}", self.world.trace().text(60));
        }
    }

    /// The stations that are Active in every family.
    pub(crate) fn actives(&self) -> Vec<usize> {
        self.actives_of(RouterNumber::First)
    }

    pub(crate) fn actives_of(&self, number: RouterNumber) -> Vec<usize> {
        let views = self.world.views_of(number);
        let mut actives: Vec<usize> = views.iter().filter(|v| v.is_active()).map(|v| v.port.0).collect();
        actives.dedup();
        actives
    }

    /// The stations that really hold the addresses of the first family.
    pub(crate) fn holders(&self) -> Vec<usize> {
        let family = usize::from(self.world.families()[0] == Family::Ipv6);
        self.world.views().iter().filter(|v| v.holds[family]).map(|v| v.port.0).collect()
    }

    /// What a node says of its first router.
    pub(crate) fn router(&self, at: usize) -> RouterSnapshot {
        self.router_of(at, RouterNumber::First)
    }

    pub(crate) fn router_of(&self, at: usize, number: RouterNumber) -> RouterSnapshot {
        let node = self.world.node(Port(at)).unwrap();
        let now = node.clock().read(self.world.now());
        let routers = node.core().snapshot(now).routers;
        routers.into_iter().find(|router| router.spec.vrid == number.vrid()).unwrap()
    }

    pub(crate) fn instance(&self, at: usize) -> InstanceSnapshot {
        self.router(at).instances[0].clone()
    }

    pub(crate) fn state(&self, at: usize) -> StateName {
        self.instance(at).state
    }

    pub(crate) fn demote(&mut self, at: usize) {
        self.act(Act::Demote(Port(at), Force::No));
    }

    /// The outcome of the last demotion, for the first family.
    pub(crate) fn outcome(&self, at: usize) -> Option<DemoteOutcome> {
        let node = self.world.node(Port(at)).unwrap();
        let (_, id, answer) = node.answers().last()?;
        match answer {
            Answer::Demoted(results) if id.0 == node.asked() => results.first().map(|result| result.outcome),
            Answer::Demoted(_) | Answer::Promoted { .. } | Answer::UnknownRouter(_) => None,
        }
    }

    pub(crate) fn holds(&self, at: usize) -> bool {
        self.world.node(Port(at)).unwrap().holds(key(self.world.families()[0]))
    }
}

/// Keeps what is needed to understand a failure. Returns where it is kept.
pub(crate) fn keep(name: &str, trace: &Trace) -> String {
    let dir = std::env::temp_dir();
    let (text, pcap) =
        (dir.join(format!("vrrpd-sim-{name}.txt")), dir.join(format!("vrrpd-sim-{name}.pcap")));
    let write = |path: &std::path::Path, octets: &[u8]| {
        std::fs::File::create(path).and_then(|mut file| file.write_all(octets)).unwrap();
    };
    write(&text, trace.text(usize::MAX).as_bytes());
    write(&pcap, &trace.pcap());
    format!("{} and {}", text.display(), pcap.display())
}

pub(crate) const SLOW_KERNEL: KernelBehaviour = KernelBehaviour {
    least_delay: Duration::from_millis(5),
    most_delay: Duration::from_millis(50),
    refusals: 0,
};
