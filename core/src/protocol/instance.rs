//! One instance: the state machine of RFC 9568 §6.4 for one VRID, one address family and one
//! interface.
//!
//! An instance knows its timers, its peers, what it sends, and whether the kernel was told to hold
//! its addresses. It does not know the other family, faults, demotions or the node:
//! [`super::router`] decides when it starts, takes over, leaves and stops.
//!
//! Its mechanisms are the modules below, each with private fields. Two dimensions say what it is
//! doing: the state ([`state::State`], with [`backup`] and [`active`]) and its addresses
//! ([`addresses`]).
//!
//! Three kinds of methods act on it:
//!
//! 1. *What the router decides*: `start`, `stop`, `take_over`, `leave`, `cancel_leave`, `release`,
//!    `yield_to`. Each returns the transition that it made, which the router reports.
//! 2. *What is heard*: `on_advert`, `on_announced_by_other`, `on_addresses_held`.
//! 3. *What is due*: [`Instance::due`] says when, [`Instance::on_deadline`] acts.

mod active;
mod address_conflict;
mod addresses;
mod announcing;
mod backup;
mod checksum;
mod draining;
mod election;
mod hasty_takeover;
mod leaving;
mod peers;
mod sender;
mod service_watch;
mod state;
mod transition;
mod unheard_peers;

pub(in crate::protocol) use active::{HostsTold, Impersonation, Outcome};
pub(in crate::protocol) use address_conflict::AddressConflict;
pub(in crate::protocol) use addresses::Addresses;
pub(in crate::protocol) use checksum::ChecksumLesson;
pub(in crate::protocol) use draining::{Drain, DrainAnswer, DrainOrigin};
pub(in crate::protocol) use election::Tie;
pub use hasty_takeover::HastyMessage;
pub(in crate::protocol) use hasty_takeover::HastyTakeover;
pub(in crate::protocol) use leaving::{PROBE_TIMEOUT, Proof, Successor};
pub use service_watch::NobodyServing;
pub(in crate::protocol) use service_watch::{Reception, ServedAgain, ServiceChange};
pub(in crate::protocol) use transition::Moved;
pub(in crate::protocol) use unheard_peers::PeersChange;

use super::counters::Counters;
use super::deadline::{Deadline, Due};
use super::effect::Effects;
use super::event::{Cause, DrainEnd, StateName, TransitionDetails};
use super::input::{Demotion, Fault};
use super::snapshot::{ActiveRouter, InstanceSnapshot, TimerSnapshot};
use super::spec::{AnnounceSpec, ChecksumPolicy, InstanceSpec};
use super::timing::{Taking, better_first};
use super::version_rules::VersionRules;
use crate::types::{
    AdverInterval, AdvertPriority, Authentication, InstanceKey, MacAddr, MonoTime, Preempt, Version,
};
use crate::wire::ChecksumFlavour;
use active::{Active, SenderBefore};
use address_conflict::ConflictWatch;
use addresses::AddressHolding;
use backup::{Backup, Reaction, Trust};
use hasty_takeover::Distrust;
use peers::Peers;
use sender::{AdvertContent, AdvertSender};
use serde::{Deserialize, Serialize};
use service_watch::ServiceWatch;
use state::State;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;
use unheard_peers::PeersFinding;

/// What the operator and tracking want of an instance now.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::protocol) struct Policy {
    /// Priority after tracking; 255 for the owner.
    pub(in crate::protocol) priority: AdvertPriority,
    /// Preempt_Mode.
    pub(in crate::protocol) preempt: Preempt,
    /// Advertisement_Interval.
    pub(in crate::protocol) interval: AdverInterval,
    /// Missed advertisements before Active_Down_Interval ends, RFC 9568's 3 unless configured.
    pub(in crate::protocol) down_adverts: NonZeroU8,
    /// Gratuitous ARP and unsolicited Neighbor Advertisements.
    pub(in crate::protocol) announce: AnnounceSpec,
    /// How checksums are computed.
    pub(in crate::protocol) checksum: ChecksumPolicy,
    /// A live Active of lower priority is obeyed until then.
    pub(in crate::protocol) preempt_after: MonoTime,
    /// How long connections are kept after another router took over. Zero with a fault, and when the
    /// router is not wanted any more.
    pub(in crate::protocol) drain: Duration,
    /// How many other Backups would take over before this one, as far as that is known.
    pub(in crate::protocol) ahead: u8,
}

impl Policy {
    /// Active_Down_Interval of an instance that has learned `learned`.
    pub(in crate::protocol) fn active_down_interval(
        &self,
        version: Version,
        learned: AdverInterval,
    ) -> Duration {
        VersionRules::of(version).active_down_interval(self.down_adverts, self.priority, learned)
            + self.wait_for_better(version, learned)
    }

    /// Skew_Time of an instance that has learned `learned`.
    fn skew_time(&self, version: Version, learned: AdverInterval) -> Duration {
        VersionRules::of(version).skew_time(self.priority, learned) + self.wait_for_better(version, learned)
    }

    /// How much longer a Backup waits during a hand-over, so that those take over that would win the
    /// election. With the interval that a leaving router says, Skew_Times differ by some milliseconds,
    /// which is less than a machine may be late: two routers would be Active, and clients would be sent
    /// to the wrong one (docs/adr/0041).
    fn wait_for_better(&self, version: Version, learned: AdverInterval) -> Duration {
        if self.is_of_leaving(version, learned) { better_first(self.ahead) } else { Duration::ZERO }
    }

    /// Whether an Active whose advertisements have this interval leaves: it is that of a hand-over, and
    /// shorter than ours.
    fn is_of_leaving(&self, version: Version, learned: AdverInterval) -> bool {
        VersionRules::of(version).shortened() == Some(learned) && learned < self.interval
    }
}

/// How long the last of all Backups waits, which has the lowest priority.
pub(in crate::protocol) fn longest_wait(
    version: Version,
    down_adverts: NonZeroU8,
    learned: AdverInterval,
) -> Duration {
    VersionRules::of(version).active_down_interval(down_adverts, AdvertPriority::LOWEST, learned)
}

/// An advertisement that passed all checks, as far as the state machine cares.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Received {
    pub(in crate::protocol) source: IpAddr,
    pub(in crate::protocol) priority: AdvertPriority,
    /// The interval that its sender says it has.
    pub(in crate::protocol) said_interval: AdverInterval,
    /// As much of that interval as is believed ([`VersionRules`]).
    pub(in crate::protocol) interval: AdverInterval,
    pub(in crate::protocol) checksum: ChecksumFlavour,
    pub(in crate::protocol) lists: Lists,
}

/// Which addresses an advertisement lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::protocol) enum Lists {
    /// Ours, or some of them: its sender is a router of our own pair.
    Ours,
    /// None of ours: its sender is a stranger with our VRID.
    Foreign,
}

/// One instance.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::protocol) struct Instance {
    key: InstanceKey,
    version: Version,
    state: State,
    /// Since when it is in this state, why, and what decided that.
    since: MonoTime,
    cause: Cause,
    details: TransitionDetails,
    addresses: AddressHolding,
    sender: AdvertSender,
    /// The router that is Active, as far as known; our own source if we are.
    active_router: Option<IpAddr>,
    /// Whether the Active that it obeys, or has yielded to, lists our addresses.
    active_lists: Lists,
    peers: Peers,
    unheard: PeersFinding,
    counters: Counters,
    /// Whether it last became Active sooner than the Active's own pace would have it.
    hasty: Option<HastyTakeover>,
    distrust: Distrust,
    service: ServiceWatch,
    conflict: ConflictWatch,
}

impl Instance {
    /// An instance in Initialize. `epoch` is the last one of this key: what
    /// an earlier instance asked of the kernel may still be answered.
    pub(in crate::protocol) fn new(key: InstanceKey, now: MonoTime, epoch: u64, spec: &InstanceSpec) -> Self {
        Self {
            key,
            version: spec.version,
            state: State::Initialize,
            since: now,
            cause: Cause::Startup,
            details: TransitionDetails::default(),
            addresses: AddressHolding::new(key, spec.held().count(), epoch),
            sender: AdvertSender::new(key, spec),
            active_router: None,
            active_lists: Lists::Ours,
            peers: Peers::new(spec.version),
            unheard: PeersFinding::default(),
            counters: Counters::default(),
            hasty: None,
            distrust: Distrust::default(),
            service: ServiceWatch::before_receiving(now, spec.version),
            conflict: ConflictWatch::default(),
        }
    }

    pub(in crate::protocol) const fn key(&self) -> InstanceKey {
        self.key
    }

    pub(in crate::protocol) const fn version(&self) -> Version {
        self.version
    }

    /// What its version prescribes.
    pub(in crate::protocol) const fn rules(&self) -> &'static VersionRules {
        VersionRules::of(self.version)
    }

    /// Its advertisements go there from now on.
    pub(in crate::protocol) fn set_destinations(&mut self, destinations: Vec<IpAddr>) {
        self.sender.set_destinations(destinations);
    }

    /// It speaks another version, or with another password, from now on. A hand-over that is under way
    /// ends by the rules with which it began.
    pub(in crate::protocol) const fn set_version(
        &mut self,
        version: Version,
        authentication: Authentication,
    ) {
        self.version = version;
        self.sender.set_version(version, authentication);
        self.peers.set_version(version);
        self.service.set_version(version);
        match &mut self.state {
            State::Initialize => {}
            State::Backup(backup) => backup.set_version(version),
            State::Active(active) => active.set_version(version),
        }
    }

    pub(in crate::protocol) const fn state_name(&self) -> StateName {
        self.state.name()
    }

    pub(in crate::protocol) const fn is_active(&self) -> bool {
        matches!(self.state, State::Active(_))
    }

    /// What the kernel was told to do with the addresses.
    pub(in crate::protocol) const fn addresses(&self) -> Addresses {
        self.addresses.addresses()
    }

    /// The number of the last decision on the addresses.
    pub(in crate::protocol) const fn epoch(&self) -> u64 {
        self.addresses.epoch()
    }

    /// When it came into its state.
    pub(in crate::protocol) const fn since(&self) -> MonoTime {
        self.since
    }

    /// Why it came into its state.
    pub(in crate::protocol) const fn cause(&self) -> Cause {
        self.cause
    }

    pub(in crate::protocol) const fn source(&self) -> Option<IpAddr> {
        self.sender.source()
    }

    /// The socket refused an advertisement to `destination`.
    pub(in crate::protocol) fn on_unsent(&mut self, destination: IpAddr, priority: AdvertPriority) {
        self.sender.on_unsent(destination, priority, &mut self.counters);
    }

    pub(in crate::protocol) const fn counters_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }

    /// Whether it is a Backup whose Active_Down_Timer has fired.
    pub(in crate::protocol) fn is_ready_to_take_over(&self) -> bool {
        matches!(&self.state, State::Backup(backup) if backup.is_ready_to_take_over())
    }

    /// Whether it waits for the kernel before its first advertisement.
    pub(in crate::protocol) const fn is_installing(&self) -> bool {
        matches!(&self.state, State::Active(active) if active.is_installing())
    }

    /// Active_Adver_Interval of a Backup that obeys a router of our own pair, and not a stranger.
    pub(in crate::protocol) fn interval_of_obeyed_peer(&self) -> Option<AdverInterval> {
        match &self.state {
            State::Backup(backup) if self.active_lists == Lists::Ours => Some(backup.learned()),
            State::Initialize | State::Backup(_) | State::Active(_) => None,
        }
    }

    /// Whether `address` was its source until that went away.
    pub(in crate::protocol) fn was_source(&self, address: IpAddr) -> bool {
        self.sender.was_source(address)
    }

    /// Whether it obeys, or would obey, the sender of an advertisement that lists none of our
    /// addresses: then nobody serves them.
    pub(in crate::protocol) fn loses_to(&self, now: MonoTime, policy: &Policy, received: &Received) -> bool {
        match self.state {
            State::Initialize => false,
            State::Backup(_) => {
                let obeyed = received.priority >= policy.priority || policy.preempt == Preempt::Forbid;
                obeyed && !self.peers.others_serve(now, policy.interval, received.source)
            }
            State::Active(_) => received.priority > policy.priority,
        }
    }

    /// When an Active advertised last, if it is on time.
    pub(in crate::protocol) fn advertised_at(&self, policy: &Policy) -> Option<MonoTime> {
        match &self.state {
            State::Active(active) => Some(active.advertised_at(policy)),
            State::Initialize | State::Backup(_) => None,
        }
    }

    /// Our primary address. It may change while we are Active.
    pub(in crate::protocol) fn set_source(&mut self, source: Option<IpAddr>) {
        if self.is_active() && self.active_router == self.sender.source() {
            self.active_router = source;
        }
        self.sender.set_source(source);
    }

    /// What a transition was due to besides, for status and events. Returns the whole.
    pub(in crate::protocol) fn set_details(
        &mut self,
        faults: Vec<Fault>,
        demotion: Option<Demotion>,
    ) -> TransitionDetails {
        (self.details.faults, self.details.demotion) = (faults, demotion);
        self.details.clone()
    }

    /// Startup of a router that does not own the addresses: Initialize to Backup, with our own
    /// interval until we learn another (RFC 9568 §6.4.1).
    pub(in crate::protocol) fn start(&mut self, now: MonoTime, policy: &Policy, cause: Cause) -> Moved {
        // RFC9568-6.4.1-4
        self.active_lists = Lists::Ours;
        self.enter_backup(now, policy, policy.interval, cause)
    }

    /// Shutdown of a Backup: sends nothing (RFC 9568 §6.4.2).
    pub(in crate::protocol) fn stop(&mut self, now: MonoTime, cause: Cause) -> Moved {
        self.enter(now, State::Initialize, cause)
    }

    /// Active_Down_Timer has fired, or an owner starts: becomes Active.
    ///
    /// The kernel is asked for the addresses first. The advertisement that makes another router
    /// drop them follows the kernel's answer, or the end of the grace: make before break
    /// (docs/adr/0004).
    pub(in crate::protocol) fn take_over(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        cause: Cause,
        out: &mut Effects,
    ) -> Moved {
        // A router that keeps no connections passes none on, and does not wait for that.
        let keeps = !policy.drain.is_zero();
        let relieved = self.relieved_by_takeover(now, policy).filter(|_| keeps);
        let (taking, hasty) = match &self.state {
            // An owner that starts has not listened: a router may be serving, as after a
            // resignation.
            State::Initialize => (Taking::FromLeaving, None),
            State::Backup(backup) => {
                (backup.takes_from(now, policy, &self.peers), backup.hasty_takeover(now, policy, &self.peers))
            }
            State::Active(_) => (Taking::FromNobody, None),
        };
        self.hasty = hasty;
        self.conflict.reset();
        self.addresses.hold(relieved, out);
        self.counters.active_transitions += 1;
        self.active_router = self.sender.source();
        self.enter(now, State::Active(Active::new(now, self.version, policy, taking)), cause)
    }

    /// The router that a takeover relieves: it lives, and knows that it does not serve any more.
    fn relieved_by_takeover(&self, now: MonoTime, policy: &Policy) -> Option<IpAddr> {
        match &self.state {
            State::Initialize => self.active_router.filter(|active| {
                let peer = self.peers.get(*active);
                peer.is_some_and(|peer| now.since(peer.heard) <= peer.interval.period() * 2)
            }),
            State::Backup(backup) => match backup.takes_from(now, policy, &self.peers) {
                // It said that it leaves, and its resignation is late, or was lost.
                Taking::FromNobody => backup.leaving(policy),
                Taking::FromLeaving => backup.resigned(),
                Taking::FromLive => self.active_router.or(backup.obeyed()),
            },
            State::Active(_) => None,
        }
    }

    /// Why a Backup whose timer has fired becomes Active.
    pub(in crate::protocol) fn takeover_cause(&self, now: MonoTime, policy: &Policy) -> Option<Cause> {
        match &self.state {
            State::Backup(backup) => Some(backup.takeover_cause(now, policy.priority, &self.peers)),
            State::Initialize | State::Active(_) => None,
        }
    }

    /// Becomes the Active that a crashed run was, leaving. The addresses are in place and hosts
    /// know them: they are not asked for, only released in the end (docs/adr/0014).
    pub(in crate::protocol) fn finish_crashed_run(&mut self, now: MonoTime, out: &mut Effects) -> Moved {
        self.addresses.adopt(out);
        self.enter(now, State::Active(Active::of_crashed_run(now, self.version)), Cause::Startup)
    }

    /// Lets go of the addresses and takes no part any more. Connections that can be left to the
    /// successor are kept for as long as `drain`.
    pub(in crate::protocol) fn release(
        &mut self,
        now: MonoTime,
        cause: Cause,
        drain: Duration,
        out: &mut Effects,
    ) -> Moved {
        self.active_router = self.successor().map(|successor| successor.address);
        match self.active_router {
            Some(successor) => self.addresses.let_go(now, drain, Some(successor), out),
            None => self.addresses.release(out),
        }
        self.enter(now, State::Initialize, cause)
    }

    /// Releases addresses that are retained: no host can be reached any more, and no announcement
    /// can be heard.
    pub(in crate::protocol) fn release_retained(&mut self, out: &mut Effects) {
        if self.addresses() == Addresses::Retained {
            self.addresses.release(out);
        }
    }

    /// Active to Backup. Sends nothing (RFC 9568 §6.4.3). If hosts may send to us, the addresses
    /// are retained until they have switched: the other router may advertise before it holds them.
    pub(in crate::protocol) fn yield_to(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        learned: AdverInterval,
        cause: Cause,
        out: &mut Effects,
    ) -> Moved {
        if matches!(&self.state, State::Active(active) if active.has_announced()) {
            self.addresses.retain(now, out);
        } else {
            self.addresses.release(out);
        }
        // RFC9568-6.4.3-17: and nothing is sent.
        self.enter_backup(now, policy, learned, cause)
    }

    /// Yields because the other family did: to whom, this family has not heard yet.
    pub(in crate::protocol) fn follow_other_family(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        learned: AdverInterval,
        cause: Cause,
        out: &mut Effects,
    ) -> Moved {
        self.active_router = None;
        // A version that learns no interval speaks with its own and waits for its own, whatever the
        // other family has learned (RFC 3768 §7.1, §6.1).
        let learned = self.rules().learned_interval(policy.interval, learned);
        if cause != Cause::Stalled {
            self.last_word(policy, learned, out);
        }
        let moved = self.yield_to(now, policy, learned, Cause::Sibling, out);
        self.active_lists = Lists::Ours;
        moved
    }

    fn enter_backup(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        learned: AdverInterval,
        cause: Cause,
    ) -> Moved {
        let learned = if self.distrust.is_on(now) { learned.max(policy.interval) } else { learned };
        let backup = Backup::new(now, self.version, policy, learned, self.active_router);
        self.enter(now, State::Backup(backup), cause)
    }

    /// An advertisement of another router.
    pub(in crate::protocol) fn on_advert(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        received: &Received,
        tie: Tie,
        out: &mut Effects,
    ) -> Outcome {
        self.counters.advertisement_rcvd += 1;
        if received.priority.is_resignation() {
            self.counters.priority_zero_pkts_rcvd += 1;
        }
        let before = self.sender_before(now, received.source);
        self.peers.note(now, received, self.sender.destinations().len());
        match &mut self.state {
            State::Initialize => {
                // RFC9568-6.4.1-5: it takes no part, and only remembers which router is Active.
                self.active_router = (!received.priority.is_resignation()).then_some(received.source);
                Outcome::Nothing
            }
            State::Backup(backup) => {
                let trust = if self.distrust.is_on(now) { Trust::Distrust } else { Trust::Full };
                match backup.on_advert(now, policy, received, trust) {
                    Reaction::Obeyed => {
                        self.active_lists = received.lists;
                        self.active_router = Some(received.source);
                    }
                    Reaction::Discarded => self.active_router = Some(received.source),
                    Reaction::NotedResignation => {
                        self.active_router = self.active_router.filter(|active| *active != received.source);
                    }
                }
                Outcome::Nothing
            }
            State::Active(active) if active.leaving().is_some() => {
                self.on_advert_in_leaving(now, policy, received, before);
                Outcome::Nothing
            }
            State::Active(_) => self.on_advert_in_active(now, policy, received, tie, out),
        }
    }

    /// Whether the sender of an advertisement that just arrived was Active before.
    fn sender_before(&self, now: MonoTime, source: IpAddr) -> SenderBefore {
        let was_active = self.peers.get(source).is_some_and(|peer| {
            !peer.priority.is_resignation() && now.since(peer.heard) <= peer.interval.period() * 2
        });
        if was_active { SenderBefore::Active } else { SenderBefore::NotActive }
    }

    /// Our priority may be another now.
    pub(in crate::protocol) fn on_priority_evaluated(&mut self, policy: &Policy) {
        if let State::Backup(backup) = &mut self.state {
            let active = self.active_router.and_then(|active| self.peers.get(active));
            backup.on_priority_evaluated(policy, active);
        }
    }

    /// Our interval may be shorter now.
    pub(in crate::protocol) fn on_interval_changed(&mut self, now: MonoTime, policy: &Policy) {
        if let State::Active(active) = &mut self.state {
            active.shorten_timer(now, policy);
        }
    }

    /// The address list changed to one of `count`: what is held must follow, without a transition.
    /// A drain ends, because it is about other addresses.
    pub(in crate::protocol) fn on_addresses_changed(
        &mut self,
        now: MonoTime,
        count: usize,
        out: &mut Effects,
    ) {
        self.addresses.resize(count);
        self.reset_drain(now, DrainEnd::Deadline, out);
        if let State::Active(active) = &self.state {
            let leaves = active.leaving().is_some();
            self.addresses.hold(None, out);
            if leaves {
                self.addresses.watch(out);
            }
        }
    }

    /// Another station announced one of our addresses.
    pub(in crate::protocol) fn on_announced_by_other(
        &mut self,
        now: MonoTime,
        address: IpAddr,
        mac: MacAddr,
    ) {
        self.addresses.on_announced_by_other(now, address);
        if self.addresses.all_announced() == Some(true)
            && let State::Active(active) = &mut self.state
            && let Some(leaving) = active.leaving_mut()
        {
            leaving.on_all_announced();
        }
        self.note_announcement(now, address, mac);
    }

    /// After an interruption in which nothing could be sent, but everything heard.
    pub(in crate::protocol) fn judge_again(&mut self, now: MonoTime) {
        if let State::Backup(backup) = &mut self.state {
            backup.fire_again(now);
        }
    }

    /// After an interruption in which nothing could be heard.
    pub(in crate::protocol) fn listen_again(&mut self, now: MonoTime, policy: &Policy) {
        if let State::Backup(backup) = &mut self.state {
            backup.listen_again(now, policy);
        }
    }

    /// When hosts have switched from us to a successor that serves since `served`.
    pub(in crate::protocol) fn switched_at(&self, served: MonoTime) -> MonoTime {
        self.addresses.switched_at(served)
    }

    /// When one of its own deadlines is due ([`Deadline::OF_INSTANCE`]); `None` for those of a
    /// router.
    pub(in crate::protocol) fn due(&self, deadline: Deadline, policy: &Policy) -> Option<Due> {
        let with_slack = |(at, slack)| Due::with_slack(at, slack);
        match (deadline, &self.state) {
            (Deadline::ReleaseRetained, _) => self.addresses.release_at().map(Due::exactly),
            // Never later: at 10 ms one step of priority is 39 µs of Skew_Time.
            (Deadline::ActiveDown, State::Backup(backup)) => backup.fires_at().map(Due::exactly),
            (Deadline::Advertise, State::Active(active)) => Some(with_slack(active.advertise_at(policy))),
            (Deadline::Announce, State::Active(active)) => active.announce_at(policy).map(with_slack),
            (Deadline::AddressConflict, _) => self.conflict_at(policy).map(Due::exactly),
            (Deadline::ServiceSilence, _) => self.silence_at(policy).map(Due::exactly),
            (Deadline::PeersUnheard, _) => self.unheard_at(policy).map(Due::exactly),
            (Deadline::DrainEnd, _) => self.drain().map(|drain| Due::exactly(drain.due())),
            (Deadline::ActiveDown | Deadline::Advertise | Deadline::Announce, _)
            | (
                Deadline::HandoverEnd
                | Deadline::DemotionEnd
                | Deadline::SuccessorSilent
                | Deadline::InterruptionEnd
                | Deadline::RefusalRetry,
                _,
            ) => None,
        }
    }

    /// Fires what is due. Returns how long we were not run, if that is longer than others wait.
    pub(in crate::protocol) fn on_deadline(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        out: &mut Effects,
    ) -> Option<Duration> {
        let mut stalled = None;
        for deadline in Deadline::OF_INSTANCE {
            if self.due(deadline, policy).is_none_or(|due| due.at > now) {
                continue;
            }
            match (deadline, &mut self.state) {
                (Deadline::ReleaseRetained, _) => {
                    self.addresses.let_go(now, policy.drain, self.active_router, out)
                }
                // RFC9568-6.4.2-15: sends nothing
                (Deadline::ActiveDown, State::Backup(backup)) => stalled = backup.on_timer(now, policy),
                (Deadline::Advertise, _) => stalled = self.on_adver_timer(now, policy, out),
                (Deadline::Announce, _) => self.on_announce_timer(now, policy, out),
                (
                    Deadline::ActiveDown
                    | Deadline::AddressConflict
                    | Deadline::ServiceSilence
                    | Deadline::HandoverEnd
                    | Deadline::DemotionEnd
                    | Deadline::SuccessorSilent
                    | Deadline::InterruptionEnd
                    | Deadline::RefusalRetry
                    | Deadline::PeersUnheard
                    | Deadline::DrainEnd,
                    _,
                ) => {}
            }
        }
        stalled
    }

    /// Sends one advertisement, built from the state of this moment.
    fn advertise(
        &mut self,
        priority: AdvertPriority,
        interval: AdverInterval,
        policy: &Policy,
        out: &mut Effects,
    ) {
        let checksum = self.transmit_flavour(policy.checksum);
        self.sender.send(AdvertContent { priority, interval, checksum }, &mut self.counters, out);
    }

    /// The next timer of its state, for those who look.
    fn next_timer(&self, policy: &Policy) -> Option<MonoTime> {
        let timers = [Deadline::ActiveDown, Deadline::Advertise, Deadline::Announce];
        let due = timers.into_iter().filter_map(|timer| self.due(timer, policy));
        due.min_by_key(|due| due.latest).map(|due| due.at)
    }

    /// Everything that can be seen of it.
    pub(in crate::protocol) fn snapshot(&self, now: MonoTime, policy: &Policy) -> InstanceSnapshot {
        let learned = match &self.state {
            State::Backup(backup) => backup.learned(),
            State::Initialize | State::Active(_) => policy.interval,
        };
        let active = self.active_router.map(|address| ActiveRouter {
            address,
            local: self.is_active() && self.sender.source() == Some(address),
        });
        InstanceSnapshot {
            key: self.key,
            version: self.version,
            authentication: self.sender.authentication(),
            state: self.state.name(),
            since: self.since,
            cause: self.cause,
            details: self.details.clone(),
            active,
            nobody_serving: self.nobody_serving(now),
            source: self.sender.source(),
            destinations: self.sender.destinations().to_vec(),
            timers: TimerSnapshot {
                active_adver_interval: learned,
                skew_time: policy.skew_time(self.version, learned),
                active_down_interval: policy.active_down_interval(self.version, learned),
                next: self.next_timer(policy),
            },
            peers: self.peers.to_vec(),
            counters: self.counters.clone(),
            checksum: self.transmit_flavour(policy.checksum),
            draining: self.drain().map(Drain::snapshot),
        }
    }
}
