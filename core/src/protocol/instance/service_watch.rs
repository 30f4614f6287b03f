//! Whether anybody serves the addresses of an instance, in whatever state we are: a router that is
//! not heard is not named Active, and that nobody serves is reported.
//!
//! A Backup has its Active_Down_Timer for this, and takes over. An instance that takes no part
//! (because of a demotion or a fault), or waits for its other family, has no such timer: it listens
//! as long as the last of all Backups would, and then an operator is told.

use super::state::State;
use super::{Instance, Lists, Policy, Received, longest_wait};
use crate::protocol::event::LastHeard;
use crate::protocol::timing::OVERSLEPT;
use crate::types::{AdverInterval, AdvertPriority, MonoTime, Version};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// How long a message may be under way.
const MARGIN: Duration = Duration::from_millis(100);

/// For how long no router has been heard to serve.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct ServiceWatch {
    version: Version,
    since: MonoTime,
    /// The router that was heard last.
    last: Option<(IpAddr, AdvertPriority)>,
    interval: AdverInterval,
    finding: ServiceFinding,
}

/// What is known of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum ServiceFinding {
    /// A router may serve: one was heard a short while ago, or we have only just begun to listen.
    MayBeServed,
    /// No router serves, and that was reported.
    ReportedUnserved,
    /// We cannot receive.
    CannotReceive,
    /// We cannot receive since it was reported that no router serves.
    CannotReceiveSinceReported,
}

/// Whether messages of others reach us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Reception {
    Works,
    Fails,
}

/// What has become of the service since we last looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum ServiceChange {
    /// Nothing.
    None,
    /// No router serves any more.
    Lost(NobodyServing),
    /// No router served, and this node does now, from this source.
    ServedHere(Option<IpAddr>),
}

/// Whether an advertisement ends a silence that was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum ServedAgain {
    Yes,
    No,
}

/// That nobody serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NobodyServing {
    /// The router that was heard last, and when.
    pub last: Option<LastHeard>,
    /// For how long no router has been heard.
    pub silent: Duration,
}

impl ServiceWatch {
    /// The watch of an instance that cannot receive yet.
    pub(super) const fn before_receiving(now: MonoTime, version: Version) -> Self {
        Self {
            version,
            since: now,
            last: None,
            interval: AdverInterval::MAX,
            finding: ServiceFinding::CannotReceive,
        }
    }

    pub(super) const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// A router serves: another, or we did until now.
    fn on_served(
        &mut self,
        now: MonoTime,
        by: Option<(IpAddr, AdvertPriority)>,
        interval: AdverInterval,
    ) -> ServedAgain {
        let reported = matches!(
            self.finding,
            ServiceFinding::ReportedUnserved | ServiceFinding::CannotReceiveSinceReported
        );
        *self = Self {
            version: self.version,
            since: now,
            last: by,
            interval,
            finding: ServiceFinding::MayBeServed,
        };
        if reported { ServedAgain::Yes } else { ServedAgain::No }
    }

    fn ends_at(&self, policy: &Policy) -> MonoTime {
        self.since + longest_wait(self.version, policy.down_adverts, self.interval) + MARGIN
    }

    fn reported(&self, now: MonoTime) -> Option<NobodyServing> {
        let silent = now.since(self.since);
        let last = self.last.map(|(address, priority)| LastHeard { address, priority, ago: silent });
        (self.finding == ServiceFinding::ReportedUnserved).then_some(NobodyServing { last, silent })
    }
}

impl Instance {
    /// Whether it neither serves nor has a timer after which it will.
    fn stands_by(&self) -> bool {
        match &self.state {
            State::Initialize => true,
            State::Backup(backup) => backup.is_ready_to_take_over(),
            State::Active(_) => false,
        }
    }

    /// When it is to be reported that nobody serves.
    pub(in crate::protocol) fn silence_at(&self, policy: &Policy) -> Option<MonoTime> {
        let waits = self.stands_by() && self.service.finding == ServiceFinding::MayBeServed;
        waits.then(|| self.service.ends_at(policy))
    }

    /// An advertisement: its sender serves, unless it resigns or lists other addresses. A router
    /// that leaves says that it advertises often, and does not.
    pub(in crate::protocol) fn note_service(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        received: &Received,
    ) -> ServedAgain {
        if received.priority.is_resignation() || received.lists == Lists::Foreign {
            return ServedAgain::No;
        }
        let interval = received.interval.max(policy.interval);
        self.service.on_served(now, Some((received.source, received.priority)), interval)
    }

    /// That nobody serves, if that was reported and still holds.
    pub(super) fn nobody_serving(&self, now: MonoTime) -> Option<NobodyServing> {
        self.service.reported(now)
    }

    /// What of the service has changed. To be called after each input.
    pub(in crate::protocol) fn watch_service(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        reception: Reception,
    ) -> ServiceChange {
        match (&self.state, self.service.finding, reception) {
            (State::Active(_), _, _) => {
                return match self.service.on_served(now, None, policy.interval) {
                    ServedAgain::Yes => ServiceChange::ServedHere(self.sender.source()),
                    ServedAgain::No => ServiceChange::None,
                };
            }
            (State::Initialize | State::Backup(_), ServiceFinding::MayBeServed, Reception::Fails) => {
                self.active_router = None;
                self.service.finding = ServiceFinding::CannotReceive;
            }
            (State::Initialize | State::Backup(_), ServiceFinding::ReportedUnserved, Reception::Fails) => {
                self.active_router = None;
                self.service.finding = ServiceFinding::CannotReceiveSinceReported;
            }
            (State::Initialize | State::Backup(_), ServiceFinding::CannotReceive, Reception::Works) => {
                let interval = policy.interval;
                let finding = ServiceFinding::MayBeServed;
                let version = self.version;
                self.service = ServiceWatch { version, since: now, last: None, interval, finding };
            }
            // It is not reported again. A router that serves by now is heard soon.
            (
                State::Initialize | State::Backup(_),
                ServiceFinding::CannotReceiveSinceReported,
                Reception::Works,
            ) => {
                self.service.finding = ServiceFinding::ReportedUnserved;
            }
            (
                State::Initialize | State::Backup(_),
                ServiceFinding::CannotReceive | ServiceFinding::CannotReceiveSinceReported,
                Reception::Fails,
            )
            | (
                State::Initialize | State::Backup(_),
                ServiceFinding::MayBeServed | ServiceFinding::ReportedUnserved,
                Reception::Works,
            ) => {}
        }
        let Some(at) = self.silence_at(policy).filter(|at| *at <= now) else { return ServiceChange::None };
        if now.since(at) > self.service.interval.period().max(OVERSLEPT) {
            // We were not run, and so did not listen either: listen once more.
            self.service.since = now;
            return ServiceChange::None;
        }
        self.active_router = None;
        self.service.finding = ServiceFinding::ReportedUnserved;
        self.nobody_serving(now).map_or(ServiceChange::None, ServiceChange::Lost)
    }
}
