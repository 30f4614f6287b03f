//! The state of this node at one instant, for those who look: owned data, no references into the core.

use crate::protocol::counters::{Counters, LinkCounters};
use crate::protocol::event::{Cause, NotServing, StateName, TransitionDetails};
use crate::protocol::input::{CheckResult, Demotion, Fault};
use crate::protocol::instance::NobodyServing;
use crate::protocol::local_warning::LocalWarning;
use crate::protocol::router::StandingPeerWarning;
use crate::protocol::spec::{CheckName, RouterSpec};
use crate::types::{AdverInterval, AdvertPriority, Family, InstanceKey, InterfaceName, MonoTime};
use crate::wire::ChecksumFlavour;
use std::net::IpAddr;
use std::time::Duration;

/// This node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was taken.
    pub at: MonoTime,
    /// In the order of their names.
    pub routers: Vec<RouterSnapshot>,
    /// Messages for nobody here, per interface and family.
    pub links: Vec<(InterfaceName, Family, LinkCounters)>,
    /// Verdicts of the health checks; `None`: none yet.
    pub checks: Vec<(CheckName, Option<CheckResult>)>,
}

/// One configured router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterSnapshot {
    /// Its configuration.
    pub spec: RouterSpec,
    /// Priority after tracking: what is advertised.
    pub effective: AdvertPriority,
    /// Named reasons for which it does not take part.
    pub faults: Vec<Fault>,
    /// What is wrong besides, and no reason to let go; since when.
    pub concerns: Vec<(LocalWarning, MonoTime)>,
    /// Its demotion.
    pub demoted: Option<Demotion>,
    /// Whether a hand-over is under way.
    pub handing_over: bool,
    /// One a family.
    pub instances: Vec<InstanceSnapshot>,
    /// What stands against its neighbours.
    pub remarks: Vec<StandingPeerWarning>,
    /// Why it does not serve, where it does not.
    pub idle: NotServing,
}

/// One protocol instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSnapshot {
    /// Which.
    pub key: InstanceKey,
    /// Its state.
    pub state: StateName,
    /// Since when.
    pub since: MonoTime,
    /// Why it came into this state.
    pub cause: Cause,
    /// What decided that.
    pub grounds: TransitionDetails,
    /// Who is Active, as far as known.
    pub active: Option<ActiveRouter>,
    /// That nobody serves, if so.
    pub unserved: Option<NobodyServing>,
    /// Our source address.
    pub source: Option<IpAddr>,
    /// Running timers.
    pub timers: TimerSnapshot,
    /// Other routers heard, the last first.
    pub peers: Vec<PeerSnapshot>,
    /// Counters.
    pub counters: Counters,
    /// What we send.
    pub checksum: ChecksumFlavour,
}

/// The Active router of a virtual router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveRouter {
    /// Its source address.
    pub address: IpAddr,
    /// Whether it is this node.
    pub local: bool,
}

/// The timers and what they are computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerSnapshot {
    /// Active_Adver_Interval: learned from the Active.
    pub active_adver_interval: AdverInterval,
    /// Skew_Time.
    pub skew_time: Duration,
    /// Active_Down_Interval.
    pub active_down_interval: Duration,
    /// The next deadline of this instance.
    pub next: Option<MonoTime>,
}

/// Another router, as last heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerSnapshot {
    /// Its source address.
    pub address: IpAddr,
    /// When it was last heard.
    pub heard: MonoTime,
    /// Its priority then.
    pub priority: AdvertPriority,
    /// Its priority before it resigned; while it does not, the same as `priority`.
    pub standing: AdvertPriority,
    /// Its interval then.
    pub interval: AdverInterval,
    /// Its checksum flavour (IPv4).
    pub checksum: ChecksumFlavour,
}
