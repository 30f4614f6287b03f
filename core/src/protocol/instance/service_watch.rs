//! Nobody is named Active who is not heard, and that nobody serves is told, in whatever state we are.
//!
//! A Backup has its Active_Down_Timer for this and takes over. Who takes no part (a demotion, a fault), or waits for its
//! other family, has nothing: it listens as long as the last of all Backups would, and tells.

use crate::protocol::effect::Effects;
use crate::protocol::event::{EventKind, LastHeard, NotServing};
use crate::protocol::input::{Fault, LastResort};
use crate::protocol::instance::reception::{Heard, List};
use crate::protocol::instance::{Backup, Down, Instance, Policy, State};
use crate::protocol::router::tracking;
use crate::protocol::router::{Presence, Router, report};
use crate::protocol::timing::{OVERSLEPT, active_down_interval};
use crate::types::{AdverInterval, AdvertPriority, Family, MonoTime};
use std::net::IpAddr;
use std::time::Duration;

/// What it may take to be heard.
const MARGIN: Duration = Duration::from_millis(100);

/// For how long nobody has been heard to serve.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Silence {
    since: MonoTime,
    /// Who was heard last.
    last: Option<(IpAddr, AdvertPriority)>,
    interval: AdverInterval,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Somebody may serve: it was heard a short while ago, or we have only just begun to listen.
    Open,
    /// Nobody does, and it was told.
    Told,
    /// We cannot hear.
    Deaf,
    /// Nor could we hear any more when it had been told.
    DeafSinceTold,
}

/// Whether messages of others reach us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ears {
    Open,
    Deaf,
}

/// What has become of the service since we last looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Same,
    Lost(NobodyServing),
    /// It was lost, and this node serves now.
    Back(Option<IpAddr>),
}

/// That nobody serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NobodyServing {
    /// Who was heard last, and when.
    pub last: Option<LastHeard>,
    /// For how long nobody has been heard.
    pub silent: Duration,
}

impl Silence {
    const fn new(now: MonoTime) -> Self {
        Self { since: now, last: None, interval: AdverInterval::MAX, stage: Stage::Open }
    }

    /// Of one that has no ears yet.
    pub(in crate::protocol) const fn deaf(now: MonoTime) -> Self {
        Self { stage: Stage::Deaf, ..Self::new(now) }
    }

    /// Somebody serves: another, or we did until now. Returns whether that ends a silence that was told.
    fn broken(
        &mut self,
        now: MonoTime,
        by: Option<(IpAddr, AdvertPriority)>,
        interval: AdverInterval,
    ) -> bool {
        let told = matches!(self.stage, Stage::Told | Stage::DeafSinceTold);
        *self = Self { since: now, last: by, interval, stage: Stage::Open };
        told
    }

    fn ends(&self, policy: &Policy) -> MonoTime {
        self.since + active_down_interval(policy.down_adverts, AdvertPriority::LOWEST, self.interval) + MARGIN
    }

    fn told(&self, now: MonoTime) -> Option<NobodyServing> {
        let ago = now.since(self.since);
        let last = self.last.map(|(address, priority)| LastHeard { address, priority, ago });
        (self.stage == Stage::Told).then_some(NobodyServing { last, silent: ago })
    }
}

impl Instance {
    /// Whether it neither serves nor has a timer after which it will.
    const fn stands_by(&self) -> bool {
        match self.state {
            State::Initialize | State::Backup(Backup { down: Down::Expired, .. }) => true,
            State::Backup(Backup { down: Down::At(_), .. }) | State::Active(_) => false,
        }
    }

    /// When it is to be said that nobody serves.
    pub(in crate::protocol) fn silent_at(&self, policy: &Policy) -> Option<MonoTime> {
        (self.stands_by() && self.silence.stage == Stage::Open).then(|| self.silence.ends(policy))
    }

    /// Somebody is heard serving, and not a stranger. One that leaves says that it speaks often, and does not.
    pub(in crate::protocol) fn hear_service(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        heard: &Heard,
    ) -> bool {
        if heard.priority.is_resignation() || heard.list == List::Foreign {
            return false;
        }
        let interval = heard.interval.max(policy.interval);
        self.silence.broken(now, Some((heard.source, heard.priority)), interval)
    }

    pub(in crate::protocol) fn unserved(&self, now: MonoTime) -> Option<NobodyServing> {
        self.silence.told(now)
    }

    /// What of that has changed.
    fn watch_service(&mut self, now: MonoTime, policy: &Policy, ears: Ears) -> Service {
        match (&self.state, self.silence.stage, ears) {
            (State::Active(_), _, _) => {
                let told = self.silence.broken(now, None, policy.interval);
                return if told { Service::Back(self.source) } else { Service::Same };
            }
            (State::Initialize | State::Backup(_), Stage::Open | Stage::Told, Ears::Deaf) => {
                self.active = None;
                let told = self.silence.stage == Stage::Told;
                self.silence.stage = if told { Stage::DeafSinceTold } else { Stage::Deaf };
            }
            (State::Initialize | State::Backup(_), Stage::Deaf, Ears::Open) => {
                self.silence = Silence { interval: policy.interval, ..Silence::new(now) };
            }
            // It is not told again; whoever serves by now is heard soon.
            (State::Initialize | State::Backup(_), Stage::DeafSinceTold, Ears::Open) => {
                self.silence.stage = Stage::Told;
            }
            (State::Initialize | State::Backup(_), Stage::Deaf | Stage::DeafSinceTold, Ears::Deaf)
            | (State::Initialize | State::Backup(_), Stage::Open | Stage::Told, Ears::Open) => {}
        }
        let Some(at) = self.silent_at(policy).filter(|at| *at <= now) else { return Service::Same };
        if now.since(at) > self.silence.interval.period().max(OVERSLEPT) {
            // Not run, so not listening either: it listens once more.
            self.silence.since = now;
            return Service::Same;
        }
        self.active = None;
        self.silence.stage = Stage::Told;
        self.unserved(now).map_or(Service::Same, Service::Lost)
    }
}

impl Router {
    /// After each input: tells when nobody serves, and when somebody does again.
    pub(in crate::protocol) fn watch_service(&mut self, now: MonoTime, out: &mut Effects) {
        let policy = self.policy;
        for at in 0..self.instances.len() {
            let Some(family) = self.instances.get(at).map(|instance| instance.key.family) else { continue };
            let ears = self.ears(family);
            let Some(instance) = self.instances.get_mut(at) else { continue };
            let key = instance.key;
            let kind = match instance.watch_service(now, &policy, ears) {
                Service::Same => continue,
                Service::Back(by) => EventKind::ServedAgain { by },
                Service::Lost(_) if self.presence != Presence::Wanted => continue,
                Service::Lost(unserved) => {
                    EventKind::NobodyServes { unserved, idle: self.idle(), addresses: self.addresses(family) }
                }
            };
            out.push(report(&self.spec, Some(key), kind));
        }
    }

    /// Why this router does not serve though it might.
    pub(in crate::protocol) fn idle(&self) -> NotServing {
        let troubles: Vec<Fault> = self.troubles().cloned().collect();
        if !troubles.is_empty() {
            return NotServing::Faults(troubles);
        }
        match self.demoted.as_ref().map(|demotion| demotion.last_resort) {
            Some(LastResort::No) => NotServing::Demoted,
            Some(LastResort::Yes) | None => NotServing::Sibling,
        }
    }

    /// What it advertises in one family.
    pub(in crate::protocol) fn addresses(&self, family: Family) -> Vec<IpAddr> {
        let instances = self.spec.instances.iter().filter(|instance| instance.family == family);
        instances.flat_map(|instance| instance.addresses.iter().map(ipnet::IpNet::addr)).collect()
    }

    fn ears(&self, family: Family) -> Ears {
        let deaf = self.troubles().any(|fault| tracking::deafens(&self.spec, fault, family));
        if deaf { Ears::Deaf } else { Ears::Open }
    }
}
