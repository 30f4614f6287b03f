//! The state of this node at one instant, for readers outside the core: owned data without
//! references into the core.

use crate::protocol::counters::{Counters, LinkCounters};
use crate::protocol::event::{Cause, NotServing, StateName, TransitionDetails};
use crate::protocol::input::{Demotion, Fault};
use crate::protocol::instance::NobodyServing;
use crate::protocol::local_warning::LocalWarning;
use crate::protocol::router::{Health, StandingPeerWarning};
use crate::protocol::spec::{RouterSpec, Watched};
use crate::types::{
    AdverInterval, AdvertPriority, Authentication, Family, InstanceKey, InterfaceName, MonoTime, Version,
};
use crate::wire::ChecksumFlavour;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// All routers of this node at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// When the snapshot was taken.
    pub at: MonoTime,
    /// All routers in the order of their names.
    pub routers: Vec<RouterSnapshot>,
    /// Messages that no router here is meant by, for each interface and family.
    pub links: Vec<(InterfaceName, Family, LinkCounters)>,
    /// Everything that routers track, and how it is.
    pub watched: Vec<(Watched, Health)>,
}

/// One configured router at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterSnapshot {
    /// What the operator configured.
    pub spec: RouterSpec,
    /// Priority after tracking, which is the one that is advertised.
    pub effective: AdvertPriority,
    /// Named reasons for which the router does not take part in elections.
    pub faults: Vec<Fault>,
    /// Local problems that are not a reason to stop serving, each with the time since which it
    /// lasts.
    pub local_warnings: Vec<(LocalWarning, MonoTime)>,
    /// The demotion of the router, if it is demoted.
    pub demoted: Option<Demotion>,
    /// Whether a hand-over is under way.
    pub handing_over: bool,
    /// One instance for each family.
    pub instances: Vec<InstanceSnapshot>,
    /// What is wrong with the peers of this router.
    pub peer_warnings: Vec<StandingPeerWarning>,
    /// Why the router does not serve, if it does not.
    pub not_serving: NotServing,
}

/// One instance at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSnapshot {
    /// Interface, family and VRID.
    pub key: InstanceKey,
    /// The version of VRRP that the instance speaks.
    pub version: Version,
    /// How its messages prove that they belong to it.
    pub authentication: Authentication,
    /// State of RFC 9568's state machine.
    pub state: StateName,
    /// When the instance came into this state.
    pub since: MonoTime,
    /// Why the instance came into this state.
    pub cause: Cause,
    /// What that transition was decided by.
    pub details: TransitionDetails,
    /// Which router is Active, if that is known.
    pub active: Option<ActiveRouter>,
    /// Set when no router serves.
    pub nobody_serving: Option<NobodyServing>,
    /// Our source address, if the interface has one.
    pub source: Option<IpAddr>,
    /// Where our advertisements are sent: the group, or the other nodes.
    pub destinations: Vec<IpAddr>,
    /// The timers that run, and the values that they are computed from.
    pub timers: TimerSnapshot,
    /// Other routers that were heard, the most recently heard first.
    pub peers: Vec<PeerSnapshot>,
    /// What the instance has counted since it was configured.
    pub counters: Counters,
    /// The checksum flavour that we send.
    pub checksum: ChecksumFlavour,
    /// Set while connections are kept although another router has the addresses.
    pub draining: Option<DrainSnapshot>,
}

/// The drain of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainSnapshot {
    /// When it began; after a restart of vrrpd, the time of the restart.
    pub since: MonoTime,
    /// When it ends at the latest.
    pub until: MonoTime,
    /// The address of the router that took over, if it is known.
    pub to: Option<IpAddr>,
    /// Whether the kernel serves the connections already.
    pub is_serving: bool,
}

/// The Active router of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveRouter {
    /// Source address of its advertisements.
    pub address: IpAddr,
    /// Whether the Active router is this node.
    pub local: bool,
}

/// The timers and what they are computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerSnapshot {
    /// Active_Adver_Interval, as learned from the Active.
    pub active_adver_interval: AdverInterval,
    /// Skew_Time.
    pub skew_time: Duration,
    /// Active_Down_Interval.
    pub active_down_interval: Duration,
    /// When the instance acts next, if nothing is received.
    pub next: Option<MonoTime>,
}

/// Another router, as it was last heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSnapshot {
    /// Source address of its advertisements.
    pub address: IpAddr,
    /// When an advertisement of this router was last received.
    pub heard: MonoTime,
    /// The priority in its last advertisement.
    pub priority: AdvertPriority,
    /// The priority that it had before it resigned; without a resignation, the same as `priority`.
    pub standing: AdvertPriority,
    /// The interval in its last advertisement.
    pub interval: AdverInterval,
    /// The checksum flavour of its last advertisement (IPv4).
    pub checksum: ChecksumFlavour,
}
