//! Turns a snapshot of the protocol into documents of the JSON contract.
//!
//! Owns the conversion of time (the core's clock to wall clock) and of enums to their fixed names.

mod warnings;

use super::message::{
    ActiveDoc, AnnounceDoc, ConfigurationDoc, CountersDoc, DemoteResultDoc, DemotedDoc, HookDoc, HookRunDoc,
    InstanceDoc, LastHeardDoc, PeerDoc, PriorityDoc, ShowDoc, StandbyDoc, StatusDoc, TakeDoc, TimersDoc,
    UnattributedDoc, VERSION, VirtualRouterDoc,
};
use crate::agent::{AgentSnapshot, HookActivity, HookRun, HookStatus, named};
use crate::channel::{Afterwards, TakeOutcome};
use crate::protocol::{
    ActiveRouter, ChecksumPolicy, Counters, DemoteOutcome, Demotion, InstanceResult, InstanceSnapshot,
    InstanceSpec, LastResort, LinkLocalRule, PeerSnapshot, RouterSnapshot, RouterSpec, VersionRules,
};
use crate::types::{AdvertPriority, Family, InterfaceName, MonoTime, Preempt, Role};
use crate::wire::RejectReason;
use crate::words::{self, EventDoc, Stamp, checksum, millis};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use std::net::IpAddr;
use std::time::Duration;

mod drains;
mod nodes;
mod outlook;
mod tracks;
mod why;

#[cfg(any(test, feature = "schema"))]
pub(super) use drains::WAYS;
#[cfg(any(test, feature = "schema"))]
pub(super) use nodes::PRESENCES;
#[cfg(any(test, feature = "schema"))]
pub(super) use tracks::{HEALTHS, WATCHED_KINDS};

impl AgentSnapshot {
    /// The wall-clock time of an instant of the core's clock. The core's clock decides how far two
    /// instants lie apart, so a step of the wall clock moves all times of a document.
    #[must_use]
    pub fn wall_time(&self, instant: MonoTime) -> Stamp {
        let age = SignedDuration::try_from(self.snapshot.at.since(instant)).unwrap_or_default();
        Stamp(self.wall.checked_sub(age).unwrap_or(Timestamp::MIN))
    }

    /// Finds the router of this name.
    #[must_use]
    pub fn router(&self, name: &str) -> Option<&RouterSnapshot> {
        self.snapshot.routers.iter().find(|router| router.spec.name.as_str() == name)
    }

    /// Builds the document of `status`, of all routers or of one.
    #[must_use]
    pub fn status<'a>(&self, routers: impl IntoIterator<Item = &'a RouterSnapshot>) -> StatusDoc {
        let of =
            |router: &'a RouterSnapshot| router.instances.iter().map(move |m| self.virtual_router(router, m));
        StatusDoc {
            version: VERSION,
            node: self.node.clone(),
            time: Stamp(self.wall),
            virtual_routers: routers.into_iter().flat_map(of).collect(),
            nodes: self.nodes(),
            warnings: self.warnings_of_node().into_iter().chain(self.drain_warnings()).collect(),
        }
    }

    /// Builds the document of `show`.
    #[must_use]
    pub fn show(&self, router: &RouterSnapshot, events: Vec<EventDoc>) -> ShowDoc {
        let spec = &router.spec;
        ShowDoc {
            version: VERSION,
            node: self.node.clone(),
            time: Stamp(self.wall),
            name: spec.name.to_string().into(),
            interface: spec.interface.to_string().into(),
            vrid: spec.vrid.get(),
            priority: priority(router),
            configuration: configuration(spec),
            faults: router.faults.iter().map(ToString::to_string).collect(),
            demoted: router.demoted.as_ref().map(demoted),
            handing_over: router.handing_over,
            redundant: self.redundancy(router).map(|redundancy| redundancy.is_redundant),
            standbys: self.standbys(router),
            tracks: spec.tracks.iter().map(|track| self.track(track)).collect(),
            hooks: self.hooks.get(&spec.name).into_iter().flatten().map(hook).collect(),
            instances: router.instances.iter().map(|instance| self.instance(router, instance)).collect(),
            unattributed: self.unattributed(spec.interface),
            events,
        }
    }

    fn virtual_router(&self, router: &RouterSnapshot, instance: &InstanceSnapshot) -> VirtualRouterDoc {
        let standbys = self.standbys(router);
        VirtualRouterDoc {
            name: router.spec.name.to_string().into(),
            interface: instance.key.interface.to_string().into(),
            family: instance.key.family.as_str().into(),
            vrid: instance.key.vrid.get(),
            vrrp_version: instance.version.number(),
            state: instance.state.as_str().into(),
            priority: priority(router),
            active: instance.active.map(|router| self.active(router)),
            addresses: addresses(&router.spec, instance.key.family).0,
            since: self.wall_time(instance.since),
            cause: instance.cause.as_str().into(),
            why: self.why(router, instance),
            faults: router.faults.iter().map(ToString::to_string).collect(),
            demoted: router.demoted.as_ref().map(demoted),
            handing_over: router.handing_over,
            handover_up_to_ms: handover_up_to(router, instance, &standbys),
            redundant: self.redundancy(router).map(|redundancy| redundancy.is_redundant),
            standbys,
            drain_partners: self.drain_partners(instance),
            draining: self.draining(instance),
            forwarding: self.forwarding(instance),
            warnings: self.warnings(router, instance),
            counters: counters(&instance.counters),
        }
    }

    fn instance(&self, router: &RouterSnapshot, instance: &InstanceSnapshot) -> InstanceDoc {
        let (addresses, excluded_addresses) = addresses(&router.spec, instance.key.family);
        let timers = instance.timers;
        InstanceDoc {
            family: instance.key.family.as_str().into(),
            vrrp_version: instance.version.number(),
            authentication: instance.authentication.as_str().into(),
            state: instance.state.as_str().into(),
            since: self.wall_time(instance.since),
            cause: instance.cause.as_str().into(),
            why: words::why_in_full(
                &self.names,
                instance.cause,
                &instance.details,
                router.effective,
                instance.key.family,
            ),
            active: instance.active.map(|router| self.active(router)),
            source: instance.source,
            addresses,
            excluded_addresses,
            checksum: checksum(instance.checksum).into(),
            timers: TimersDoc {
                active_adver_interval_ms: millis(timers.active_adver_interval.period()),
                skew_time_ms: millis(timers.skew_time),
                active_down_interval_ms: millis(timers.active_down_interval),
                next_in_ms: timers.next.map(|next| millis(next.since(self.snapshot.at))),
            },
            peers: instance.peers.iter().map(|peer| self.peer(peer)).collect(),
            unheard_peers: unheard(instance),
            warnings: self.warnings(router, instance),
            counters: counters(&instance.counters),
        }
    }

    fn active(&self, router: ActiveRouter) -> ActiveDoc {
        let ActiveRouter { address, local } = router;
        let node = if local { Some(self.node.clone()) } else { self.name_of(address) };
        ActiveDoc { address, local, node }
    }

    /// Returns the name of another node, if it is known.
    fn name_of(&self, address: IpAddr) -> Option<String> {
        self.names.of(address).map(str::to_owned)
    }

    fn peer(&self, peer: &PeerSnapshot) -> PeerDoc {
        PeerDoc {
            address: peer.address,
            node: self.name_of(peer.address),
            priority: peer.priority.get(),
            advertise_interval_ms: millis(peer.interval.period()),
            checksum: checksum(peer.checksum).into(),
            heard: self.wall_time(peer.heard),
            age_ms: millis(self.snapshot.at.since(peer.heard)),
        }
    }

    fn unattributed(&self, interface: InterfaceName) -> Vec<UnattributedDoc> {
        let here = self.snapshot.links.iter().filter(|(link, ..)| *link == interface);
        let doc = |(_, family, counters): &(InterfaceName, Family, crate::protocol::LinkCounters)| {
            let rejected = counters.rejected.iter().map(|(reason, count)| (reason.as_str().into(), *count));
            UnattributedDoc { family: family.as_str().into(), rejected: rejected.collect() }
        };
        here.map(doc).collect()
    }
}

/// Builds the result of a demotion for one family. `before` is the router as it was before the
/// demotion, at `published`.
pub(super) fn demote_result(
    published: &AgentSnapshot,
    result: &InstanceResult,
    before: Option<&RouterSnapshot>,
) -> DemoteResultDoc {
    let instance = before.and_then(|router| router.instances.iter().find(|m| m.key.family == result.family));
    let last_heard = instance.and_then(|instance| instance.peers.first());
    let replaced = before.and_then(|router| router.demoted.as_ref());
    let (taken_over_by, handover, waited, kept) = match result.outcome {
        DemoteOutcome::HandedOver { to, after, kept } => (Some(to), Some(after), None, kept),
        DemoteOutcome::WasBackup | DemoteOutcome::AlreadyDemoted => (None, None, None, None),
        DemoteOutcome::Refused { after }
        | DemoteOutcome::LastResort { after }
        | DemoteOutcome::Forced { after } => (None, None, Some(after), None),
    };
    DemoteResultDoc {
        name: result.name.to_string().into(),
        family: result.family.as_str().into(),
        outcome: demote_outcome(&result.outcome).into(),
        refusal: None,
        taken_over_by,
        taken_over_by_node: taken_over_by.and_then(|taker| published.name_of(taker)),
        handover_ms: handover.map(millis),
        waited_ms: waited.map(millis),
        kept_ms: kept.map(millis),
        replaced: replaced.map(demoted),
        last_heard: last_heard.map(|peer| LastHeardDoc {
            address: peer.address,
            node: published.name_of(peer.address),
            priority: peer.standing.get(),
            time: published.wall_time(peer.heard),
        }),
        addresses: before.map(|router| addresses(&router.spec, result.family).0).unwrap_or_default(),
    }
}

/// A demotion that is refused before anything moves.
pub(super) fn refused_demotion(
    published: &AgentSnapshot,
    router: &RouterSnapshot,
    family: Family,
    why: &str,
) -> DemoteResultDoc {
    let (name, outcome) = (router.spec.name.clone(), DemoteOutcome::Refused { after: Duration::ZERO });
    let result = demote_result(published, &InstanceResult { name, family, outcome }, Some(router));
    DemoteResultDoc { refusal: Some(why.to_owned()), waited_ms: None, ..result }
}

/// How long a planned hand-over to the first of the nodes that would take over lasts, in milliseconds.
fn handover_up_to(router: &RouterSnapshot, instance: &InstanceSnapshot, standbys: &[StandbyDoc]) -> f64 {
    let first = standbys.iter().find(|standby| standby.obstacle.is_none() && !standby.active);
    let priority = first.map_or(AdvertPriority::LOWEST, |first| AdvertPriority::from_wire(first.priority));
    let rules = VersionRules::of(instance.version);
    millis(rules.skew_in_handover(priority, router.spec.interval))
}

fn priority(router: &RouterSnapshot) -> PriorityDoc {
    let configured = match router.spec.role {
        Role::Owner => 255,
        Role::Contender { priority, .. } => priority.get(),
    };
    PriorityDoc { configured, effective: router.effective.get() }
}

fn configuration(spec: &RouterSpec) -> ConfigurationDoc {
    let preempt = match spec.role {
        Role::Owner | Role::Contender { preempt: Preempt::Allow, .. } => true,
        Role::Contender { preempt: Preempt::Forbid, .. } => false,
    };
    ConfigurationDoc {
        role: role(&spec.role).into(),
        preempt,
        preempt_delay_ms: millis(spec.preempt_delay),
        advertise_interval_ms: millis(spec.interval.period()),
        down_adverts: spec.down_adverts.get(),
        checksum: checksum_policy(&spec.checksum).into(),
        link_local: link_local(&spec.link_local).into(),
        source_address: spec.source_address,
        announce: AnnounceDoc {
            repeat: spec.announce.repeat.get(),
            delay_ms: millis(spec.announce.delay),
            refresh_ms: millis(spec.announce.refresh),
        },
    }
}

named! {
    /// The names of all outcomes of a demotion.
    pub(super) const DEMOTE_OUTCOMES;
    fn demote_outcome(DemoteOutcome);
    DemoteOutcome::HandedOver { .. } => "handed_over",
    DemoteOutcome::WasBackup => "was_backup",
    DemoteOutcome::AlreadyDemoted => "already_demoted",
    DemoteOutcome::Refused { .. } => "refused",
    DemoteOutcome::LastResort { .. } => "last_resort",
    DemoteOutcome::Forced { .. } => "forced",
}

/// What became of a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PromoteOutcome {
    /// The demotion was ended.
    Promoted,
    /// There was no demotion to end.
    WasNotDemoted,
}

named! {
    /// The names of all outcomes of a promotion.
    pub(super) const PROMOTE_OUTCOMES;
    /// The name of an outcome of a promotion.
    pub(super) fn promote_outcome(PromoteOutcome);
    PromoteOutcome::Promoted => "promoted",
    PromoteOutcome::WasNotDemoted => "was_not_demoted",
}

named! {
    /// The names of all roles.
    pub(super) const ROLES;
    fn role(Role);
    Role::Owner => "owner",
    Role::Contender { .. } => "contender",
}

named! {
    /// The names of all checksum settings.
    pub(super) const CHECKSUM_POLICIES;
    fn checksum_policy(ChecksumPolicy);
    ChecksumPolicy::Auto => "auto",
    ChecksumPolicy::Rfc9568 => "rfc9568",
    ChecksumPolicy::Rfc5798 => "rfc5798",
}

named! {
    /// The names of all settings about the first IPv6 address.
    pub(super) const LINK_LOCAL_RULES;
    fn link_local(LinkLocalRule);
    LinkLocalRule::Require => "require",
    LinkLocalRule::Lenient => "none",
}

/// Builds the document of `take`.
pub(super) fn take_document(node: String, name: String, outcome: TakeOutcome) -> TakeDoc {
    let document = TakeDoc {
        version: VERSION,
        node,
        name: name.into(),
        outcome: take_outcome(&outcome).into(),
        taken_from: None,
        taken_from_node: None,
        handover_ms: None,
        last_resort: None,
        reason: None,
    };
    match outcome {
        TakeOutcome::HandedOver { node, address, after, afterwards } => TakeDoc {
            taken_from: Some(address),
            taken_from_node: Some(node),
            handover_ms: Some(millis(after)),
            last_resort: Some(afterwards == Afterwards::LastResort),
            ..document
        },
        TakeOutcome::Refused(why) => TakeDoc { reason: Some(why), ..document },
        TakeOutcome::NoAnswer { node, waited } => {
            let reason = format!("{node} did not answer within {}", words::span(waited));
            TakeDoc { taken_from_node: Some(node), reason: Some(reason), ..document }
        }
    }
}

named! {
    /// The names of all outcomes of `take`.
    pub(super) const TAKE_OUTCOMES;
    fn take_outcome(TakeOutcome);
    TakeOutcome::HandedOver { .. } => "handed_over",
    TakeOutcome::Refused(_) => "refused",
    TakeOutcome::NoAnswer { .. } => "no_answer",
}

pub(super) fn demoted(demotion: &Demotion) -> DemotedDoc {
    let Demotion { since, until, last_resort, reason, by } = demotion.clone();
    let last_resort = last_resort == LastResort::Yes;
    DemotedDoc { since, until: until.map(|until| until.text), reason, by, last_resort }
}

fn hook(status: &HookStatus) -> HookDoc {
    HookDoc {
        hook: status.hook.as_str().into(),
        command: status.command.clone(),
        timeout_ms: millis(status.timeout),
        running: status.activity == HookActivity::Running,
        runs: status.runs,
        failures: status.failures,
        skipped: status.skipped,
        last: status.last.as_ref().map(|HookRun { ended, state, took, outcome }| HookRunDoc {
            time: Stamp(*ended),
            state: state.as_str().into(),
            outcome: outcome.as_str().into(),
            error: outcome.why().map(str::to_owned),
            took_ms: millis(*took),
        }),
    }
}

fn addresses(spec: &RouterSpec, family: Family) -> (Vec<IpNet>, Vec<IpNet>) {
    let instance = spec.instances.iter().find(|instance| instance.family == family);
    let both =
        |InstanceSpec { addresses, excluded, .. }: &InstanceSpec| (addresses.clone(), excluded.clone());
    instance.map(both).unwrap_or_default()
}

/// Lists every counter by name. Zeros are included, so that a reader sees which counters exist.
fn counters(counters: &Counters) -> CountersDoc {
    let Counters {
        active_transitions,
        advertisement_rcvd,
        advertisement_sent,
        priority_zero_pkts_rcvd,
        priority_zero_pkts_sent,
        interval_errors,
        address_list_errors,
        immediate_adverts_sent,
        immediate_adverts_suppressed,
        checksum_legacy_accepted,
        owner_conflicts,
        dual_active,
        announcements,
        tx_errors,
        rejected,
    } = counters;
    let named = [
        ("active_transitions", active_transitions),
        ("advertisement_rcvd", advertisement_rcvd),
        ("advertisement_sent", advertisement_sent),
        ("priority_zero_pkts_rcvd", priority_zero_pkts_rcvd),
        ("priority_zero_pkts_sent", priority_zero_pkts_sent),
        ("interval_errors", interval_errors),
        // RFC 8347's name counts messages that were accepted and messages that were discarded
        // because of their addresses. This counter has both, so it goes last and replaces the one
        // of the reason.
        ("address_list_errors", address_list_errors),
        ("immediate_adverts_sent", immediate_adverts_sent),
        ("immediate_adverts_suppressed", immediate_adverts_suppressed),
        ("checksum_legacy_accepted", checksum_legacy_accepted),
        ("owner_conflicts", owner_conflicts),
        ("dual_active", dual_active),
        ("announcements", announcements),
        ("tx_errors", tx_errors),
    ];
    let reasons = RejectReason::ALL.map(|reason| (reason.as_str(), rejected.get(&reason).unwrap_or(&0)));
    reasons.into_iter().chain(named).map(|(name, count)| (name.into(), *count)).collect()
}

/// The nodes that are listed, and were never heard.
fn unheard(instance: &InstanceSnapshot) -> Vec<IpAddr> {
    let heard = |address: &IpAddr| instance.peers.iter().any(|peer| peer.address == *address);
    let listed = instance.destinations.iter().filter(|address| !address.is_multicast());
    listed.filter(|address| !heard(address)).copied().collect()
}
