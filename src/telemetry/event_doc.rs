//! An event as JSON: what `vrrpctl events --json` prints, what logs carry as fields.
//!
//! Owns the names of kinds and fields, which are part of the JSON contract. Reading is lenient:
//! a newer daemon's kinds and fields are no error for an older `vrrpctl`.

use super::events::EventRecord;
use super::severity::Severity;
use super::words;
use crate::protocol::{EventKind, HastyMessage, HookOutcome};
use crate::types::MacAddr;
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
pub struct EventDoc {
    /// Number since the daemon started.
    pub seq: u64,
    /// When.
    pub time: Stamp,
    /// `info`, `warning` or `error`.
    pub severity: Word,
    /// What happened; see [`EventDetails`] for the fields of each.
    pub kind: Word,
    /// The router; null: the whole node.
    pub name: Option<Word>,
    /// Its interface; absent where the event is about all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<Word>,
    /// `ipv4` or `ipv6`; absent likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Word>,
    /// Its VRID; absent likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vrid: Option<u8>,
    /// The values that belong to `kind`.
    #[serde(flatten)]
    pub details: EventDetails,
    /// One line for people; its wording may change.
    pub text: String,
}

/// The values of an event; those that its kind does not have are absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventDetails {
    /// `transition`: the state before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Word>,
    /// `transition`: the state after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Word>,
    /// `transition`: why; `handover_started`: `demote`, `shutdown`, `fault` or `configuration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Word>,
    /// `priority_changed`: the effective priority before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_before: Option<u8>,
    /// `transition`, `priority_changed`: this node's effective priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// `transition`, `handed_over`, `dual_active`, `takeover_refuted`, `suspicious`,
    /// `suspicion_over`, `nobody_serves`, `served_again`: the other router.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// `transition`, `dual_active`, `nobody_serves`: its priority; of one that resigned, that before. `impersonated`: the
    /// priority in the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_priority: Option<u8>,
    /// `transition`: milliseconds since the other router was last heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_age_ms: Option<f64>,
    /// `transition`, `suspicion_over`: milliseconds that the state before, or the suspicion, lasted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasted_ms: Option<f64>,
    /// `fault_raised`, `fault_cleared`: as in `faults` of the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// `concern_raised`, `concern_cleared`: what is wrong and no reason to let go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concern: Option<String>,
    /// `mac_changed`: the hardware address before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_before: Option<MacAddr>,
    /// `mac_changed`, and `suspicious` and `suspicion_over` where it is an `address_conflict`: the hardware address that it
    /// is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// `handed_over`, `nobody_took_over`: milliseconds since the hand-over began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<f64>,
    /// `nobody_took_over`: whether the addresses were let go all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<bool>,
    /// `demoted`: the operator; `configuration_reloaded`: the operator, or `SIGHUP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// `demoted`: the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `check`: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// `check`: `passing` or `failing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Word>,
    /// `priority_changed`: by how much each check changed it; absent: it was a demotion or a reload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<BTreeMap<Word, i32>>,
    /// `check`: how many runs in a row speak for its verdict; `addresses_restored`: how many; `configuration_reloaded`: routers, checks and keys of `[agent]` that
    /// differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// `check`: how it failed; `addresses_refused`: the kernel's words; `hook`: what went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `suspicious`, `suspicion_over`: a reason of a discarded message, or `address_list_differs`, `addresses_lost`,
    /// `other_vrid`, `same_priority`, `also_active`, `interval_differs`, `interval_too_long`, `checksum_differs`,
    /// `owner_conflict`, `address_conflict`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspicion: Option<String>,
    /// `nobody_serves`: the addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<IpAddr>>,
    /// `takeover_refuted`, `nobody_serves`: how long the Active had been silent, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<f64>,
    /// `takeover_refuted`, `impersonated`: the interval in the message, in milliseconds; absent: a resignation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned_ms: Option<f64>,
    /// `takeover_refuted`: for how long such messages are doubted, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lasts_ms: Option<f64>,
    /// `stalled`: milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_ms: Option<f64>,
    /// `checksum_follows`: `rfc9568` or `rfc5798`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Word>,
    /// `hook`: `before_active`, `on_transition` or `after_release`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<Word>,
    /// `hook`: the state that it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Word>,
    /// `hook`: `passed`, `failed`, `timed_out`, `cancelled` or `superseded`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Word>,
    /// `hook`: milliseconds that it ran; absent if it never started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<f64>,
}

impl EventDoc {
    /// The document of a record.
    #[must_use]
    pub fn new(record: &EventRecord) -> Self {
        let event = &record.event;
        Self {
            seq: record.seq,
            time: Stamp(record.time),
            severity: Severity::of(&event.kind).as_str().into(),
            kind: kind_name(&event.kind).into(),
            name: event.router.as_ref().map(|router| router.to_string().into()),
            interface: event.key.map(|key| key.interface.to_string().into()),
            family: event.key.map(|key| key.family.as_str().into()),
            vrid: event.key.map(|key| key.vrid.get()),
            details: event_details(&event.kind),
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

/// The stable name of a kind.
const fn kind_name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Transition { .. } => "transition",
        EventKind::FaultRaised(_) => "fault_raised",
        EventKind::FaultCleared(_) => "fault_cleared",
        EventKind::LocalWarningRaised(_) => "concern_raised",
        EventKind::MacChanged { .. } => "mac_changed",
        EventKind::LocalWarningCleared(_) => "concern_cleared",
        EventKind::PriorityChanged { .. } => "priority_changed",
        EventKind::Check { .. } => "check",
        EventKind::HandoverStarted(_) => "handover_started",
        EventKind::HandedOver { .. } => "handed_over",
        EventKind::NobodyTookOver { .. } => "nobody_took_over",
        EventKind::Demoted { .. } => "demoted",
        EventKind::Promoted => "promoted",
        EventKind::DemotionExpired => "demotion_expired",
        EventKind::TakerSilent => "taker_silent",
        EventKind::AddressesRestored { .. } => "addresses_restored",
        EventKind::AddressesRefused { .. } => "addresses_refused",
        EventKind::DualActive { .. } => "dual_active",
        EventKind::TakeoverRefuted { .. } => "takeover_refuted",
        EventKind::Impersonated { .. } => "impersonated",
        EventKind::PeerWarningRaised { .. } => "suspicious",
        EventKind::PeerWarningCleared { .. } => "suspicion_over",
        EventKind::NobodyServes { .. } => "nobody_serves",
        EventKind::ServedAgain { .. } => "served_again",
        EventKind::Stalled { .. } => "stalled",
        EventKind::ChecksumFollows(_) => "checksum_follows",
        EventKind::Hook { .. } => "hook",
        EventKind::ConfigurationReloaded { .. } => "configuration_reloaded",
    }
}

/// The values of an event, for fields of logs and JSON.
fn event_details(kind: &EventKind) -> EventDetails {
    let none = EventDetails::default();
    match kind {
        EventKind::Transition { from, to, cause, priority, grounds } => EventDetails {
            from: Some(from.as_str().into()),
            to: Some(to.as_str().into()),
            cause: Some(cause.as_str().into()),
            priority: Some(priority.get()),
            peer: grounds.peer.map(|peer| peer.address),
            peer_priority: grounds.peer.map(|peer| peer.priority.get()),
            peer_age_ms: grounds.peer.map(|peer| words::millis(peer.ago)),
            lasted_ms: Some(words::millis(grounds.lasted)),
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
        EventKind::PriorityChanged { from, to, checks } => EventDetails {
            priority_before: Some(from.get()),
            priority: Some(to.get()),
            weights: (!checks.is_empty()).then(|| {
                checks.iter().map(|(check, change)| (check.0.to_string().into(), *change)).collect()
            }),
            ..none
        },
        EventKind::Check { check, health, turn: _, in_a_row, failure } => EventDetails {
            check: Some(check.0.to_string()),
            health: Some(words::health(*health).into()),
            count: Some(u64::from(*in_a_row)),
            error: failure.clone(),
            ..none
        },
        EventKind::HandoverStarted(cause) => EventDetails { cause: Some(cause.as_str().into()), ..none },
        EventKind::HandedOver { to, after } => {
            EventDetails { peer: Some(*to), after_ms: Some(words::millis(*after)), ..none }
        }
        EventKind::NobodyTookOver { after, released } => {
            EventDetails { after_ms: Some(words::millis(*after)), released: Some(*released), ..none }
        }
        EventKind::Demoted { by, reason } => {
            EventDetails { by: Some(by.clone()), reason: Some(reason.clone()), ..none }
        }
        EventKind::Promoted | EventKind::DemotionExpired | EventKind::TakerSilent => none,
        EventKind::AddressesRestored { count } => {
            EventDetails { count: Some(u64::try_from(*count).unwrap_or(u64::MAX)), ..none }
        }
        EventKind::AddressesRefused { why } => EventDetails { error: Some(why.clone()), ..none },
        EventKind::DualActive { peer, priority } => {
            EventDetails { peer: Some(*peer), peer_priority: Some(priority.get()), ..none }
        }
        EventKind::TakeoverRefuted { by, silent, word, lasts } => EventDetails {
            peer: Some(*by),
            silent_ms: Some(words::millis(*silent)),
            learned_ms: match word {
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
        EventKind::NobodyServes { unserved, idle: _, addresses } => EventDetails {
            peer: unserved.last.map(|last| last.address),
            peer_priority: unserved.last.map(|last| last.priority.get()),
            silent_ms: Some(words::millis(unserved.silent)),
            addresses: Some(addresses.clone()),
            ..none
        },
        EventKind::ServedAgain { by } => EventDetails { peer: *by, ..none },
        EventKind::Stalled { late } => EventDetails { late_ms: Some(words::millis(*late)), ..none },
        EventKind::ChecksumFollows(flavour) => {
            EventDetails { checksum: Some(words::checksum(*flavour).into()), ..none }
        }
        EventKind::ConfigurationReloaded { by, changes } => EventDetails {
            by: Some(by.clone()),
            count: Some(u64::try_from(*changes).unwrap_or(u64::MAX)),
            ..none
        },
        EventKind::Hook { hook, state, outcome, took } => EventDetails {
            hook: Some(hook.as_str().into()),
            state: Some(state.as_str().into()),
            outcome: Some(outcome.as_str().into()),
            took_ms: (*outcome != HookOutcome::Superseded).then(|| words::millis(*took)),
            error: outcome.why().map(str::to_owned),
            ..none
        },
    }
}
