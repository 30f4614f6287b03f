//! An event as JSON: `vrrpctl events --json` prints it, and log lines have its fields.
//!
//! Owns the names of kinds and fields, which are part of the JSON contract. Reading is lenient: an
//! older `vrrpctl` accepts the kinds and fields of a newer daemon.

use crate::agent::{AgentEventKind, EventRecord, HookOutcome, Severity, named};
use crate::channel::ChannelEvent;
use crate::protocol::{DrainEnd, EventKind, HastyMessage, Watched};
use crate::types::MacAddr;
use crate::words;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A value of a fixed set. Text for the one who reads, so that a word that a newer daemon knows is
/// no error.
pub type Word = Cow<'static, str>;

/// A wall-clock time: RFC 3339, UTC, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub Timestamp);

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct EventDoc {
    /// The number of the event since the daemon started, without gaps.
    pub seq: u64,
    /// When it happened.
    pub time: Stamp,
    /// How soon a person should act. `error`: look now. `warning`: look during working hours.
    /// `info`: this is expected.
    pub severity: Word,
    /// The kind of the event, as a fixed name. It says which of the other fields are there.
    pub kind: Word,
    /// The router that the event is about; null: it is about the whole node.
    pub name: Option<Word>,
    /// The interface of the router; absent where the event is about all of the router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<Word>,
    /// The address family, `ipv4` or `ipv6`; absent where the event is about all of the router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Word>,
    /// The Virtual Router ID; absent where the event is about all of the router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vrid: Option<u8>,
    /// The values that belong to `kind`.
    #[serde(flatten)]
    pub details: EventDetails,
    /// One line for people. The wording may change.
    pub text: String,
}

/// The values of an event; those that its kind does not have are absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
#[serde(default)]
pub struct EventDetails {
    /// `transition`: the state before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Word>,
    /// `transition`: the state after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Word>,
    /// `transition`: why. `handover_started`: `demote`, `shutdown`, `fault` or `configuration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Word>,
    /// `priority_changed`: the effective priority before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_before: Option<u8>,
    /// `transition`, `priority_changed`: the effective priority of this node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// `transition`, `handed_over`, `dual_active`, `takeover_refuted`, `suspicious`,
    /// `suspicion_over`, `nobody_serves`, `served_again`, `peer_heard`, `drain_begun`: the address of
    /// the other router.
    /// `node_heard`, `node_silent`, `node_left`, `node_name_shared`, `channel_message_refused`: the
    /// address of the other node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// `transition`, `handed_over`, `dual_active`, `takeover_refuted`, `suspicious`,
    /// `suspicion_over`, `nobody_serves`, `served_again`, `peer_heard`, `drain_begun`, `node_heard`,
    /// `node_silent`, `node_left`,
    /// `node_name_shared`, `channel_message_refused`: the name of the node that `peer` is; absent
    /// where it was not known when the event happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_node: Option<String>,
    /// `transition`, `dual_active`, `nobody_serves`: the priority of the other router; of one that
    /// resigned, the priority before. `impersonated`: the priority in the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_priority: Option<u8>,
    /// `transition`: how long ago the other router was last heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_age_ms: Option<f64>,
    /// `transition`: how long the state before lasted. `suspicion_over`: how long the warning
    /// stood. `drained`, `drain_expired`, `drain_lost`, `drain_taken_back`: how long the drain
    /// lasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasted_ms: Option<f64>,
    /// `fault_raised`, `fault_cleared`: the fault, as in `faults` of the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// `concern_raised`, `concern_cleared`: what is wrong with this node, although it keeps
    /// the addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concern: Option<String>,
    /// `mac_changed`: the hardware address before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<String>"))]
    pub mac_before: Option<MacAddr>,
    /// `mac_changed`: the hardware address after. `suspicious`, `suspicion_over`: of an
    /// `address_conflict`, the hardware address that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Option<String>"))]
    pub mac: Option<MacAddr>,
    /// `handed_over`, `nobody_took_over`: the time since the hand-over began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<f64>,
    /// `nobody_took_over`: whether the addresses were released all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<bool>,
    /// `demoted`: the operator. `configuration_reloaded`: the operator, or `SIGHUP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// `demoted`: what the operator gave as the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `check`: the name of the check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// `check`: the new result, `passing` or `failing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Word>,
    /// `priority_changed`: by how much each check changed the priority; absent: a demotion or a
    /// reload changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<BTreeMap<Word, i32>>,
    /// `check`: how many runs in a row led to the result. `addresses_restored`: how many addresses.
    /// `configuration_reloaded`: how many routers, checks and keys of `[agent]` differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// `check`: how it failed. `addresses_refused`, `drain_refused`, `drain_not_renewed`: what the
    /// kernel said. `hook`: what went wrong. `channel_message_refused`: why a message between nodes
    /// was not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `suspicious`, `suspicion_over`: what is wrong with the other router: the reason of a
    /// discarded message, or what does not fit this node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspicion: Option<String>,
    /// `nobody_serves`: the addresses that nobody serves. `no_peer_heard`: the nodes in `unicast_peers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<IpAddr>>,
    /// `takeover_refuted`, `nobody_serves`: how long the Active had been silent. `node_silent`: how
    /// long the node has been silent.
    /// `no_peer_heard`: how long this node has served without hearing any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<f64>,
    /// `takeover_refuted`, `impersonated`: the interval in the message; absent: the message was a
    /// resignation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned_ms: Option<f64>,
    /// `takeover_refuted`: for how long such messages are doubted. `drain_begun`, `drain_resumed`:
    /// how long connections are kept at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasts_ms: Option<f64>,
    /// `drained`, `drain_expired`, `drain_lost`, `drain_taken_back`: how many connections were reset
    /// at the end; absent: the kernel did not answer in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset: Option<u64>,
    /// `stalled`: for how long the daemon was not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_ms: Option<f64>,
    /// `checksum_follows`: the checksum that is sent now, `rfc9568` or `rfc5798`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Word>,
    /// `hook`: which hook ran, `before_active`, `on_transition`, `on_drain` or `after_release`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<Word>,
    /// `hook`: the state that the command was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Word>,
    /// `hook`: how the run ended: `passed`, `failed`, `timed_out`, `cancelled` (killed or not
    /// started) or `superseded` (not started, because the state changed again).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Word>,
    /// `hook`: how long it ran; absent if it never started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<f64>,
    /// `node_heard`, `node_silent`, `node_left`, `redundancy_back`, `setting_differs`,
    /// `setting_agrees`, `node_name_shared`: the name of the other node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// `redundancy_lost`: each other node, and why it would not take over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasons: Option<BTreeMap<String, String>>,
    /// `setting_differs`, `setting_agrees`: the setting: `addresses`, `vrid`, `advertise_interval`,
    /// `version`, `checks` or `software`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<Word>,
}

impl EventDoc {
    /// Builds the document of a record.
    #[must_use]
    pub fn new(record: &EventRecord) -> Self {
        let event = &record.event;
        let details = event_details(&event.kind);
        let peer_node = details.peer.and_then(|peer| event.names.of(peer)).map(str::to_owned);
        Self {
            seq: record.seq,
            time: Stamp(record.time),
            severity: Severity::of(&event.kind).as_str().into(),
            kind: kind_name(&event.kind).into(),
            name: event.router.as_ref().map(|router| router.to_string().into()),
            interface: event.key.map(|key| key.interface.to_string().into()),
            family: event.key.map(|key| key.family.as_str().into()),
            vrid: event.key.map(|key| key.vrid.get()),
            details: EventDetails { peer_node, ..details },
            text: words::event_line(event),
        }
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Timestamp::deserialize(deserializer).map(Self)
    }
}

named! {
    /// The fixed names of all kinds of events.
    pub(crate) const EVENT_KINDS;
    /// The fixed name of a kind.
    fn kind_name(AgentEventKind);
    AgentEventKind::Protocol(EventKind::Transition { .. }) => "transition",
    AgentEventKind::Protocol(EventKind::FaultRaised(_)) => "fault_raised",
    AgentEventKind::Protocol(EventKind::FaultCleared(_)) => "fault_cleared",
    AgentEventKind::Protocol(EventKind::LocalWarningRaised(_)) => "concern_raised",
    AgentEventKind::Protocol(EventKind::LocalWarningCleared(_)) => "concern_cleared",
    AgentEventKind::Protocol(EventKind::MacChanged { .. }) => "mac_changed",
    AgentEventKind::Protocol(EventKind::PriorityChanged { .. }) => "priority_changed",
    AgentEventKind::Check { .. } => "check",
    AgentEventKind::Protocol(EventKind::HandoverStarted(_)) => "handover_started",
    AgentEventKind::Protocol(EventKind::HandedOver { .. }) => "handed_over",
    AgentEventKind::Protocol(EventKind::DrainBegun { .. }) => "drain_begun",
    AgentEventKind::Protocol(EventKind::DrainResumed { .. }) => "drain_resumed",
    AgentEventKind::Protocol(EventKind::DrainNotRenewed { .. }) => "drain_not_renewed",
    AgentEventKind::Protocol(EventKind::DrainEnded { why: DrainEnd::Free, .. }) => "drained",
    AgentEventKind::Protocol(EventKind::DrainEnded { why: DrainEnd::Deadline, .. }) => "drain_expired",
    AgentEventKind::Protocol(EventKind::DrainEnded { why: DrainEnd::ForwardingLost, .. }) => "drain_lost",
    AgentEventKind::Protocol(EventKind::DrainEnded { why: DrainEnd::ActiveAgain, .. }) => "drain_taken_back",
    AgentEventKind::Protocol(EventKind::DrainRefused { .. }) => "drain_refused",
    AgentEventKind::Protocol(EventKind::NobodyTookOver { .. }) => "nobody_took_over",
    AgentEventKind::Protocol(EventKind::Demoted { .. }) => "demoted",
    AgentEventKind::Protocol(EventKind::Promoted) => "promoted",
    AgentEventKind::Protocol(EventKind::DemotionExpired) => "demotion_expired",
    AgentEventKind::Protocol(EventKind::SuccessorSilent) => "taker_silent",
    AgentEventKind::Protocol(EventKind::AddressesRestored { .. }) => "addresses_restored",
    AgentEventKind::Protocol(EventKind::AddressesRefused { .. }) => "addresses_refused",
    AgentEventKind::Protocol(EventKind::DualActive { .. }) => "dual_active",
    AgentEventKind::Protocol(EventKind::TakeoverRefuted { .. }) => "takeover_refuted",
    AgentEventKind::Protocol(EventKind::Impersonated { .. }) => "impersonated",
    AgentEventKind::Protocol(EventKind::PeerWarningRaised { .. }) => "suspicious",
    AgentEventKind::Protocol(EventKind::PeerWarningCleared { .. }) => "suspicion_over",
    AgentEventKind::Protocol(EventKind::NobodyServes { .. }) => "nobody_serves",
    AgentEventKind::Protocol(EventKind::ServedAgain { .. }) => "served_again",
    AgentEventKind::Protocol(EventKind::NoPeerHeard { .. }) => "no_peer_heard",
    AgentEventKind::Protocol(EventKind::PeerHeard { .. }) => "peer_heard",
    AgentEventKind::Protocol(EventKind::Stalled { .. }) => "stalled",
    AgentEventKind::Protocol(EventKind::ChecksumFollows(_)) => "checksum_follows",
    AgentEventKind::Hook { .. } => "hook",
    AgentEventKind::ConfigurationReloaded { .. } => "configuration_reloaded",
    AgentEventKind::Channel(ChannelEvent::NodeHeard { .. }) => "node_heard",
    AgentEventKind::Channel(ChannelEvent::NodeSilent { .. }) => "node_silent",
    AgentEventKind::Channel(ChannelEvent::NodeLeft { .. }) => "node_left",
    AgentEventKind::Channel(ChannelEvent::RedundancyLost { .. }) => "redundancy_lost",
    AgentEventKind::Channel(ChannelEvent::RedundancyBack { .. }) => "redundancy_back",
    AgentEventKind::Channel(ChannelEvent::Differs { .. }) => "setting_differs",
    AgentEventKind::Channel(ChannelEvent::DiffersNoMore { .. }) => "setting_agrees",
    AgentEventKind::Channel(ChannelEvent::NameShared { .. }) => "node_name_shared",
    AgentEventKind::Channel(ChannelEvent::NotUnderstood { .. }) => "channel_message_refused",
}

/// The values of an event, for the fields of log lines and JSON, without the name of the other
/// node.
fn event_details(kind: &AgentEventKind) -> EventDetails {
    let none = EventDetails::default();
    match kind {
        AgentEventKind::Protocol(kind) => protocol_details(kind),
        AgentEventKind::Channel(event) => channel_details(event),
        AgentEventKind::Check { check, result, change: _, in_a_row, failure } => EventDetails {
            check: Some(check.0.to_string()),
            health: Some(words::check_result(*result).into()),
            count: Some(u64::from(*in_a_row)),
            error: failure.clone(),
            ..none
        },
        AgentEventKind::ConfigurationReloaded { by, changes } => EventDetails {
            by: Some(by.clone()),
            count: Some(u64::try_from(*changes).unwrap_or(u64::MAX)),
            ..none
        },
        AgentEventKind::Hook { hook, state, outcome, took } => EventDetails {
            hook: Some(hook.as_str().into()),
            state: Some(state.as_str().into()),
            outcome: Some(outcome.as_str().into()),
            took_ms: (*outcome != HookOutcome::Superseded).then(|| words::millis(*took)),
            error: outcome.why().map(str::to_owned),
            ..none
        },
    }
}

fn channel_details(event: &ChannelEvent) -> EventDetails {
    let none = EventDetails::default();
    match event {
        ChannelEvent::NodeHeard { node, address } | ChannelEvent::NodeLeft { node, address } => {
            EventDetails { node: Some(node.clone()), peer: Some(*address), ..none }
        }
        ChannelEvent::NodeSilent { node, address, silent } => EventDetails {
            node: Some(node.clone()),
            peer: Some(*address),
            silent_ms: Some(words::millis(*silent)),
            ..none
        },
        ChannelEvent::RedundancyLost { router: _, why } => {
            EventDetails { reasons: Some(why.iter().cloned().collect()), ..none }
        }
        ChannelEvent::RedundancyBack { router: _, node } => EventDetails { node: Some(node.clone()), ..none },
        ChannelEvent::Differs { router: _, node, what }
        | ChannelEvent::DiffersNoMore { router: _, node, what } => EventDetails {
            node: Some(node.clone()),
            setting: Some(words::channel::setting_name(what).into()),
            ..none
        },
        ChannelEvent::NameShared { node, address } => {
            EventDetails { node: Some(node.clone()), peer: Some(*address), ..none }
        }
        ChannelEvent::NotUnderstood { address, why } => {
            EventDetails { peer: Some(*address), error: Some(why.to_string()), ..none }
        }
    }
}

fn protocol_details(kind: &EventKind) -> EventDetails {
    // The contract has the bare name of a check, and only checks have weights. Something of another
    // kind may have the same name, so it is to be called by its kind as well (`interface eth1`).
    let name = |watched: &Watched| watched.kind_and_name().1.to_owned().into();
    let none = EventDetails::default();
    match kind {
        EventKind::Transition { from, to, cause, priority, details } => EventDetails {
            from: Some(from.as_str().into()),
            to: Some(to.as_str().into()),
            cause: Some(cause.as_str().into()),
            priority: Some(priority.get()),
            peer: details.peer.map(|peer| peer.address),
            peer_priority: details.peer.map(|peer| peer.priority.get()),
            peer_age_ms: details.peer.map(|peer| words::millis(peer.ago)),
            lasted_ms: Some(words::millis(details.lasted)),
            ..none
        },
        EventKind::MacChanged { interface: _, from, to } => {
            EventDetails { mac_before: Some(*from), mac: Some(*to), ..none }
        }
        EventKind::LocalWarningRaised(concern) | EventKind::LocalWarningCleared(concern) => {
            EventDetails { concern: Some(concern.to_string()), ..none }
        }
        EventKind::FaultRaised(fault) | EventKind::FaultCleared(fault) => {
            EventDetails { fault: Some(fault.to_string()), ..none }
        }
        EventKind::PriorityChanged { from, to, weights } => EventDetails {
            priority_before: Some(from.get()),
            priority: Some(to.get()),
            weights: (!weights.is_empty())
                .then(|| weights.iter().map(|(watched, change)| (name(watched), *change)).collect()),
            ..none
        },
        EventKind::HandoverStarted(cause) => EventDetails { cause: Some(cause.as_str().into()), ..none },
        EventKind::HandedOver { to, after } => {
            EventDetails { peer: Some(*to), after_ms: Some(words::millis(*after)), ..none }
        }
        EventKind::DrainBegun { to, lasts } => {
            EventDetails { peer: *to, lasts_ms: Some(words::millis(*lasts)), ..none }
        }
        EventKind::DrainResumed { lasts } => EventDetails { lasts_ms: Some(words::millis(*lasts)), ..none },
        EventKind::DrainEnded { why: _, after, reset } => EventDetails {
            lasted_ms: Some(words::millis(*after)),
            reset: reset.map(|reset| u64::try_from(reset).unwrap_or(u64::MAX)),
            ..none
        },
        EventKind::DrainRefused { why } | EventKind::DrainNotRenewed { why } => {
            EventDetails { error: Some(why.clone()), ..none }
        }
        EventKind::NobodyTookOver { after, released } => {
            EventDetails { after_ms: Some(words::millis(*after)), released: Some(*released), ..none }
        }
        EventKind::Demoted { by, reason } => {
            EventDetails { by: Some(by.clone()), reason: Some(reason.clone()), ..none }
        }
        EventKind::Promoted | EventKind::DemotionExpired | EventKind::SuccessorSilent => none,
        EventKind::AddressesRestored { count } => {
            EventDetails { count: Some(u64::try_from(*count).unwrap_or(u64::MAX)), ..none }
        }
        EventKind::AddressesRefused { why } => EventDetails { error: Some(why.clone()), ..none },
        EventKind::DualActive { peer, priority } => {
            EventDetails { peer: Some(*peer), peer_priority: Some(priority.get()), ..none }
        }
        EventKind::TakeoverRefuted { by, silent, message, lasts } => EventDetails {
            peer: Some(*by),
            silent_ms: Some(words::millis(*silent)),
            learned_ms: match message {
                HastyMessage::Resignation => None,
                HastyMessage::Interval(interval) => Some(words::millis(interval.period())),
            },
            lasts_ms: Some(words::millis(*lasts)),
            ..none
        },
        EventKind::Impersonated { priority, interval } => EventDetails {
            peer_priority: Some(priority.get()),
            learned_ms: Some(words::millis(interval.period())),
            ..none
        },
        EventKind::PeerWarningRaised { peer, what } => {
            EventDetails { peer: *peer, mac: what.mac(), suspicion: Some(what.to_string()), ..none }
        }
        EventKind::PeerWarningCleared { peer, what, after } => EventDetails {
            peer: *peer,
            mac: what.mac(),
            suspicion: Some(what.to_string()),
            lasted_ms: Some(words::millis(*after)),
            ..none
        },
        EventKind::NobodyServes { nobody_serving, not_serving: _, addresses } => EventDetails {
            peer: nobody_serving.last.map(|last| last.address),
            peer_priority: nobody_serving.last.map(|last| last.priority.get()),
            silent_ms: Some(words::millis(nobody_serving.silent)),
            addresses: Some(addresses.clone()),
            ..none
        },
        EventKind::ServedAgain { by } => EventDetails { peer: *by, ..none },
        EventKind::NoPeerHeard { peers, after } => {
            EventDetails { addresses: Some(peers.clone()), silent_ms: Some(words::millis(*after)), ..none }
        }
        EventKind::PeerHeard { peer } => EventDetails { peer: Some(*peer), ..none },
        EventKind::Stalled { late } => EventDetails { late_ms: Some(words::millis(*late)), ..none },
        EventKind::ChecksumFollows(flavour) => {
            EventDetails { checksum: Some(words::checksum(*flavour).into()), ..none }
        }
    }
}
