//! The invariants: what must hold after every input, and after every step of the world.
//!
//! The checker sees inputs, effects and what is really held, but never the inside of the core.
//! Rules that need a healthy LAN apply while the LAN is *calm*. Rules about the service apply when
//! the world has *settled*, and are suspended after an event that no router could have bridged (an
//! allowed gap).
//!
//! | module | rules |
//! |---|---|
//! | `input` | what one node may do because of one input |
//! | `rate` | how often it may advertise |
//! | `service` | which stations serve, and which hold the addresses |

mod input;
mod rate;
mod service;

use super::bounds::Bounds;
use super::clock::TrueTime;
use super::groups::Strangers;
use super::lan::Port;
use super::router::RouterNumber;
use super::view::in_family;
use super::world::WorldSetup;
use crate::types::{AdvertPriority, Family, InstanceKey};
use input::Requests;
use rate::Rate;
use std::fmt;
use std::time::Duration;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When the invariant was broken.
    pub at: TrueTime,
    /// The station that broke the invariant, if it was one station.
    pub port: Option<Port>,
    /// The rule that was broken.
    pub rule: &'static str,
    /// What was seen instead.
    pub seen: String,
}

impl Violation {
    /// What one station did wrong.
    pub(super) fn by(port: Port, at: TrueTime, rule: &'static str, seen: impl Into<String>) -> Self {
        Self { at, port: Some(port), rule, seen: seen.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:?}", self.at)?;
        if let Some(Port(port)) = self.port {
            write!(f, ", station {port}")?;
        }
        write!(f, ": {}: {}", self.rule, self.seen)
    }
}

impl std::error::Error for Violation {}

/// What the checker knows of one station.
#[derive(Debug, Clone, Default)]
struct Record {
    requests: Requests,
    rate: Rate,
    active_since: Option<TrueTime>,
    /// When the station was last seen to be Active in IPv4 and in IPv6.
    last_active: [Option<TrueTime>; 2],
    /// When the station was last scheduled again.
    woken: Option<TrueTime>,
    /// Since when the station is Backup.
    listening_since: Option<TrueTime>,
    leaving_since: Option<TrueTime>,
    /// When the priority of the station, or what it advertises, changed last: other stations cannot
    /// know of it at once.
    priority_changed: TrueTime,
}

/// Checks one virtual router at every step of a world.
#[derive(Debug)]
pub struct Checker {
    number: RouterNumber,
    bounds: Bounds,
    families: Vec<Family>,
    records: Vec<Record>,
    settle: Duration,
    healthy_since: Option<TrueTime>,
    gap_allowed_until: TrueTime,
    dual_since: Option<TrueTime>,
    /// When any station sent priority 0 for the last time.
    last_resignation: Option<TrueTime>,
    strangers: Strangers,
    checks: u64,
}

impl Checker {
    pub(super) fn new(setup: &WorldSetup, number: RouterNumber) -> Self {
        let bounds = Bounds::new(setup, number);
        Self {
            number,
            bounds,
            families: setup.families.clone(),
            records: vec![Record::default(); setup.stations.len()],
            settle: bounds.settle(),
            healthy_since: None,
            gap_allowed_until: TrueTime::ZERO,
            dual_since: None,
            last_resignation: None,
            strangers: Strangers::Apart,
            checks: 0,
        }
    }

    /// The bounds of this virtual router.
    #[must_use]
    pub const fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The time from the last fault until the rules about the service apply.
    #[must_use]
    pub fn settle(&self) -> Duration {
        match self.strangers {
            Strangers::Apart | Strangers::OnTheLan => self.settle,
            // A station that yields is missed by another one, and so on: each of them settles after the
            // one before.
            Strangers::Tangled => self.settle * self.stations(),
        }
    }

    /// How many stations the world has.
    fn stations(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap_or(u32::MAX)
    }

    /// How many times the whole world was checked by the rules of this virtual router.
    #[must_use]
    pub const fn checks(&self) -> u64 {
        self.checks
    }

    /// The last fault is over.
    pub(super) const fn faults_end(&mut self, now: TrueTime) {
        self.healthy_since = Some(now);
    }

    /// Faults begin.
    pub(super) const fn faults_begin(&mut self) {
        self.healthy_since = None;
        self.dual_since = None;
    }

    pub(super) const fn set_strangers(&mut self, strangers: Strangers) {
        self.strangers = strangers;
    }

    pub(super) const fn strangers(&self) -> Strangers {
        self.strangers
    }

    /// The kernel refused a request, so everything takes longer.
    pub(super) fn refusals_happen(&mut self) {
        self.settle = self.bounds.settle_after_refusal();
    }

    /// An event happened that no router can bridge without a gap.
    pub(super) fn allow_gap(&mut self, now: TrueTime) {
        self.gap_allowed_until = self.gap_allowed_until.max(now + self.settle());
    }

    /// A process began or ended.
    pub(super) fn process_changed(&mut self, now: TrueTime, port: Port) {
        if let Some(record) = self.records.get_mut(port.0) {
            *record = Record { rate: Rate::new(now), priority_changed: now, ..Record::default() };
        }
    }

    /// An operator, a check or a reload changed the priority of a station.
    pub(super) fn priority_changed(&mut self, now: TrueTime, port: Port) {
        if let Some(record) = self.records.get_mut(port.0) {
            record.priority_changed = now;
        }
    }

    /// The interval of a station changed: how much it may send is counted from now on.
    pub(super) fn rate_changed(&mut self, now: TrueTime, port: Port) {
        if let Some(record) = self.records.get_mut(port.0) {
            record.rate = Rate::new(now);
        }
    }

    /// A process takes the place of one that died, and inherits the addresses of these keys.
    pub(super) fn inherits(&mut self, port: Port, keys: impl Iterator<Item = InstanceKey>) {
        if let Some(record) = self.records.get_mut(port.0) {
            record.requests.inherit(keys);
        }
    }

    pub(super) fn note_foreign(&mut self, now: TrueTime, port: Port, priority: AdvertPriority) {
        if priority.is_resignation() {
            self.last_resignation = Some(now);
            self.priority_changed(now, port);
        }
    }

    /// Whether the LAN has been healthy for long enough that the world has settled.
    fn has_settled(&self, now: TrueTime) -> bool {
        self.healthy_since.is_some_and(|calm| now.since(calm) >= self.settle())
    }

    /// The process of a station is scheduled again.
    pub(super) fn woken(&mut self, now: TrueTime, port: Port) {
        if let Some(record) = self.records.get_mut(port.0) {
            record.woken = Some(now);
        }
    }

    /// When the process of a station was last scheduled again.
    pub(super) fn woken_at(&self, port: Port) -> Option<TrueTime> {
        self.records.get(port.0).and_then(|record| record.woken)
    }

    /// Whether a station has been Active in a family since the last fault, and could advertise it. (In
    /// VRRPv2 a router takes over in IPv6 first, and in IPv4 after its Skew_Time.) A station
    /// that overslept and must not preempt steps back without an advertisement: the hosts beside it
    /// learn this only from the next refresh of the winner.
    pub(super) fn was_active_since_faults_ended(&self, port: Port, family: Family) -> bool {
        let record = self.records.get(port.0).filter(|record| record.woken.is_none());
        let last = record.and_then(|record| in_family(record.last_active, family));
        self.healthy_since.is_some_and(|calm| last.is_some_and(|last| last > calm))
    }

    /// Whether a Backup hears the whole leaving of another router, which may have begun already:
    /// the leaving router advertises the shortest interval only at the beginning.
    pub(super) fn hears_whole_leave(&self, backup: Port, leaver: Port) -> bool {
        let began = self.records.get(leaver.0).and_then(|record| record.leaving_since);
        let listens = self.records.get(backup.0).and_then(|record| record.listening_since);
        began.is_none_or(|began| listens.is_some_and(|since| since < began))
    }

    /// Since when a station is Backup.
    pub(super) fn listening_since(&self, port: Port) -> Option<TrueTime> {
        self.records.get(port.0).and_then(|record| record.listening_since)
    }

    /// When the last fault was over.
    pub(super) const fn healthy_since(&self) -> Option<TrueTime> {
        self.healthy_since
    }

    /// Since when a station is Active.
    pub(super) fn active_since(&self, port: Port) -> Option<TrueTime> {
        self.records.get(port.0).and_then(|record| record.active_since)
    }
}
