//! One station of a world: a node that runs our core, or foreign routers.

use super::clock::TrueTime;
use super::groups::Ports;
use super::lan::Port;
use super::node::{Host, NodeSetup, ProcessState, SimNode};
use super::peer::{PeerInstance, PeerSetup};
use super::router::RouterNumber;
use super::speech::Dialect;
use super::view::{StationView, preempts};
use crate::protocol::StateName;
use crate::types::{AdvertPriority, Destinations, Family, MonoTime, Preempt};
use std::net::IpAddr;

/// One station.
#[derive(Debug)]
pub enum Station {
    /// A station that runs our core.
    Ours(Box<SimNode>),
    /// A station of another implementation: one instance a family; these instances know nothing of
    /// each other.
    Foreign(Vec<PeerInstance>),
}

/// How a station is configured.
#[derive(Debug, Clone)]
pub enum StationSetup {
    /// The setup of one of our nodes.
    Ours(NodeSetup),
    /// The setup of a foreign router; the source address is replaced by the address of each family.
    Foreign(Host, PeerSetup),
}

impl StationSetup {
    /// The addresses of the station.
    pub(super) const fn host(&self) -> Host {
        match self {
            Self::Ours(node) => node.host,
            Self::Foreign(host, _) => *host,
        }
    }
}

impl Station {
    pub(super) fn new(setup: StationSetup, families: &[Family]) -> Self {
        match setup {
            StationSetup::Ours(setup) => Self::Ours(Box::new(SimNode::new(setup, families))),
            StationSetup::Foreign(host, setup) => {
                let instance =
                    |family: &Family| PeerInstance::new(setup.in_family(*family, host.address(*family)));
                Self::Foreign(families.iter().map(instance).collect())
            }
        }
    }

    /// What the station speaks in IPv4, and hears.
    pub(super) fn dialect(&self) -> Option<Dialect> {
        match self {
            Self::Ours(node) => Some(Dialect::of_router(node.spec())),
            Self::Foreign(instances) => {
                let v4 = instances.iter().map(PeerInstance::setup).find(|setup| setup.source.is_ipv4())?;
                let addresses = RouterNumber::First.addresses(Family::Ipv4);
                Some(Dialect::new(v4.speech(), v4.interval, &addresses))
            }
        }
    }

    /// Whether a packet to this address is for the station. Service addresses are not meant: VRRP is
    /// not sent to them.
    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        match self {
            Self::Ours(node) => node.link.has(address),
            Self::Foreign(instances) => instances.iter().any(|one| one.setup().source == address),
        }
    }

    /// The address of the station in one family, with where it sends.
    fn place(&self, family: Family) -> Option<(IpAddr, Destinations)> {
        match self {
            Self::Ours(node) => Some((node.host.address(family), node.spec().destinations.clone())),
            Self::Foreign(instances) => {
                let mut setups = instances.iter().map(PeerInstance::setup);
                let setup = setups.find(|setup| Family::of(setup.source) == family)?;
                Some((setup.source, setup.audience.destinations()))
            }
        }
    }

    /// Whether this station sends to the other one in every family, and is believed by it.
    pub(super) fn is_believed_by(&self, other: &Self, families: &[Family]) -> bool {
        families.iter().all(|family| {
            let (Some((ours, to)), Some((theirs, from))) = (self.place(*family), other.place(*family)) else {
                return false;
            };
            match (&to, &from) {
                (Destinations::Multicast, Destinations::Multicast) => true,
                (Destinations::Unicast(to), Destinations::Unicast(from)) => {
                    to.addresses.contains(&theirs) && from.addresses.contains(&ours)
                }
                (Destinations::Multicast, Destinations::Unicast(_))
                | (Destinations::Unicast(_), Destinations::Multicast) => false,
            }
        })
    }

    pub(super) fn wakes_at(&self) -> Option<TrueTime> {
        match self {
            Self::Ours(node) => match node.run {
                ProcessState::Up => node.wake.map(|(_, at)| at),
                ProcessState::Down | ProcessState::Stalled(_) => None,
            },
            // The clocks of foreign routers are exact.
            Self::Foreign(instances) => instances
                .iter()
                .filter_map(PeerInstance::next_deadline)
                .map(|at| TrueTime::ZERO + at.since(MonoTime::ZERO))
                .min(),
        }
    }

    pub(super) fn view(
        &self,
        number: RouterNumber,
        port: Port,
        (component, hears): (usize, Ports),
        families: &[Family],
    ) -> StationView {
        let per_family = |f: &dyn Fn(Family) -> bool| {
            [Family::Ipv4, Family::Ipv6].map(|family| families.contains(&family) && f(family))
        };
        match self {
            Self::Ours(node) => {
                let up = node.run == ProcessState::Up;
                let seen = node.view(number);
                let state = |family, wanted| seen.state(number.key(family)) == wanted;
                StationView {
                    port,
                    component,
                    hears,
                    ours: true,
                    awake: up,
                    active: per_family(&|family| up && state(family, StateName::Active)),
                    backup: per_family(&|family| up && state(family, StateName::Backup)),
                    holds: per_family(&|family| node.holds(number.key(family))),
                    leaving: seen.handing_over,
                    eligible: up && seen.eligible,
                    priority: seen.priority,
                    preempt: node.router(number).map_or(Preempt::Allow, |router| preempts(&router.spec.role)),
                }
            }
            Self::Foreign(instances) => {
                let instance = |family| instances.iter().find(|m| Family::of(m.setup().source) == family);
                let running = |m: &PeerInstance| m.next_deadline().is_some();
                let active = per_family(&|family| instance(family).is_some_and(PeerInstance::is_active));
                let awake = instances.iter().all(running);
                let first = instances.first().map(PeerInstance::setup);
                StationView {
                    port,
                    component,
                    hears,
                    ours: false,
                    awake,
                    active,
                    backup: per_family(&|family| {
                        instance(family).is_some_and(|m| running(m) && !m.is_active())
                    }),
                    holds: per_family(&|family| instance(family).is_some_and(PeerInstance::holds)),
                    leaving: false,
                    eligible: awake,
                    priority: first.map_or(AdvertPriority::RESIGN, |setup| setup.priority),
                    preempt: first.map_or(Preempt::Allow, |setup| setup.preempt),
                }
            }
        }
    }
}
