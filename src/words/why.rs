//! The reason for the state of a virtual router, for a sentence and for a table cell.
//!
//! Each sentence names the other router with its name, its address and its priority, because a
//! reader may know nothing else about it; a cell has its name, or else its address.

use super::local_warning::foreign_addresses;
use super::{NamedNode, span};
use crate::agent::NodeNames;
use crate::protocol::{
    Cause, Demotion, Fault, HandoverCause, LastHeard, MissingSource, StateName, TransitionDetails,
};
use crate::types::{AdvertPriority, Family};

/// The names of a transition: `BACKUP → ACTIVE`. Initialize of RFC 9568 is called by what it means
/// here.
pub(super) fn states(from: StateName, to: StateName, cause: Cause) -> String {
    let to = match (to, cause) {
        (StateName::Backup | StateName::Active, _) => upper(to),
        (StateName::Initialize, Cause::Fault) => "FAULT",
        (StateName::Initialize, Cause::Demoted | Cause::HandedOver) => "DEMOTED",
        (StateName::Initialize, Cause::Shutdown) => "STOPPED",
        (
            StateName::Initialize,
            Cause::Startup
            | Cause::OwnerStartup
            | Cause::ActiveDownTimer
            | Cause::PeerResigned
            | Cause::Preempted
            | Cause::HigherPriority
            | Cause::TieBreak
            | Cause::FaultCleared
            | Cause::Promoted
            | Cause::DemotionExpired
            | Cause::Sibling
            | Cause::Stalled
            | Cause::Configuration,
        ) => upper(to),
    };
    format!("{} → {to}", upper(from))
}

const fn upper(state: StateName) -> &'static str {
    match state {
        StateName::Initialize => "INITIALIZE",
        StateName::Backup => "BACKUP",
        StateName::Active => "ACTIVE",
    }
}

/// The reason for a sentence: "BACKUP → ACTIVE: *192.0.2.10 (priority 150) was last heard 3.6 s
/// ago*".
#[must_use]
pub fn why_in_full(
    names: &NodeNames,
    cause: Cause,
    details: &TransitionDetails,
    ours: AdvertPriority,
    family: Family,
) -> String {
    let TransitionDetails { peer, lasted, faults, demotion } = details;
    let node = |peer: &LastHeard| NamedNode::of(names, peer.address);
    let who = |peer: &LastHeard| node(peer).with_priority(peer.priority);
    match (cause, peer) {
        (Cause::Startup, _) => "vrrpd started".to_owned(),
        (Cause::OwnerStartup, _) => "vrrpd started, and this node owns the addresses".to_owned(),
        (Cause::ActiveDownTimer, Some(peer)) if details.was_heard_meanwhile() => {
            format!("{} was last heard {} ago", who(peer), span(peer.ago))
        }
        (Cause::ActiveDownTimer, None) => format!("no other router was heard for {}", span(*lasted)),
        (Cause::ActiveDownTimer, Some(peer)) => {
            format!("no other router was heard for {}; the last was {}", span(*lasted), who(peer))
        }
        (Cause::PeerResigned, Some(peer)) => format!("{} resigned", who(peer)),
        (Cause::PeerResigned, None) => "the Active resigned".to_owned(),
        (Cause::Preempted, Some(peer)) => {
            format!("took over from {}, whose priority is lower ({ours} > {})", node(peer), peer.priority)
        }
        (Cause::Preempted, None) => "the Active had a lower priority".to_owned(),
        (Cause::HigherPriority, Some(peer)) => {
            format!("{} has a higher priority ({} > {ours})", node(peer), peer.priority)
        }
        (Cause::HigherPriority, None) => "another router has a higher priority".to_owned(),
        (Cause::TieBreak, Some(peer)) => {
            format!("{} has the same priority ({}) and the higher address", node(peer), peer.priority)
        }
        (Cause::TieBreak, None) => "another router has the same priority and the higher address".to_owned(),
        (Cause::HandedOver, Some(peer)) => {
            format!("handed over to {}, {}", node(peer), demoted(demotion.as_ref()))
        }
        (Cause::HandedOver, None) => format!("handed over, {}", demoted(demotion.as_ref())),
        (Cause::Fault, _) if faults.is_empty() => "a fault".to_owned(),
        (Cause::Fault, _) => joined(faults, fault_in_short),
        (Cause::FaultCleared, _) if faults.is_empty() => "ready".to_owned(),
        (Cause::FaultCleared, _) => joined(faults, recovered),
        (Cause::Demoted, _) => demoted(demotion.as_ref()),
        (Cause::Promoted, _) => "an operator ended the demotion".to_owned(),
        (Cause::DemotionExpired, _) => "the demotion ended by itself (--for)".to_owned(),
        (Cause::Sibling, _) => format!("moves together with {}", other(family)),
        (Cause::Stalled, Some(peer)) => {
            format!("this node had been paused, and {} took over meanwhile", who(peer))
        }
        (Cause::Stalled, None) => "this node had been paused, and another router took over".to_owned(),
        (Cause::Configuration, _) => "the configuration changed".to_owned(),
        (Cause::Shutdown, _) => "vrrpd is stopping".to_owned(),
    }
}

/// The reason for a table cell.
#[must_use]
pub fn why_in_short(names: &NodeNames, cause: Cause, details: &TransitionDetails, family: Family) -> String {
    let TransitionDetails { peer, faults, .. } = details;
    let node = |peer: &LastHeard| NamedNode::of(names, peer.address);
    let brief = |peer: &LastHeard| node(peer).in_short_with_priority(peer.priority);
    match (cause, peer) {
        (Cause::Startup, _) => "started".to_owned(),
        (Cause::OwnerStartup, _) => "owner of the addresses".to_owned(),
        (Cause::ActiveDownTimer, Some(peer)) if details.was_heard_meanwhile() => {
            format!("{} was not heard for {}", brief(peer), span(peer.ago))
        }
        (Cause::ActiveDownTimer, _) => "no other router was heard".to_owned(),
        (Cause::PeerResigned, Some(peer)) => format!("{} handed over", brief(peer)),
        (Cause::PeerResigned, None) => "the Active handed over".to_owned(),
        (Cause::Preempted, Some(peer)) => format!("took over from {}", brief(peer)),
        (Cause::Preempted, None) => "took over: higher priority".to_owned(),
        (Cause::HigherPriority, Some(peer)) => {
            format!("{} has priority {}", node(peer).in_short(), peer.priority)
        }
        (Cause::HigherPriority, None) => "another router has a higher priority".to_owned(),
        (Cause::TieBreak, Some(peer)) => match node(peer) {
            NamedNode { name: Some(name), .. } => format!("same priority; {name} has the higher address"),
            NamedNode { name: None, address } => format!("same priority; {address} is the higher address"),
        },
        (Cause::TieBreak, None) => "same priority; another router has the higher address".to_owned(),
        (Cause::HandedOver, Some(peer)) => format!("handed over to {}", node(peer).in_short()),
        (Cause::HandedOver, None) => "handed over".to_owned(),
        (Cause::Fault, _) => "fault".to_owned(),
        (Cause::FaultCleared, _) if faults.iter().all(is_pending) => "ready".to_owned(),
        (Cause::FaultCleared, _) => joined(faults, recovered),
        (Cause::Demoted, _) => "demoted".to_owned(),
        (Cause::Promoted, _) => "demotion ended".to_owned(),
        (Cause::DemotionExpired, _) => "demotion ended (--for)".to_owned(),
        (Cause::Sibling, _) => format!("with {}", other(family)),
        (Cause::Stalled, Some(peer)) => format!("was paused; {} took over", brief(peer)),
        (Cause::Stalled, None) => "was paused; another router took over".to_owned(),
        (Cause::Configuration, _) => "configuration changed".to_owned(),
        (Cause::Shutdown, _) => "shutting down".to_owned(),
    }
}

/// A fault for a table cell.
#[must_use]
pub fn fault_in_short(fault: &Fault) -> String {
    match fault {
        Fault::InterfaceMissing(name) => format!("{name} does not exist"),
        Fault::InterfaceDown(name) => format!("{name} is down"),
        Fault::NoCarrier(name) => format!("{name} has no carrier"),
        Fault::Port(name, controller) => format!("{name} is a port of {controller}"),
        Fault::OtherName(name, real) => format!("{name} is another name of {real}"),
        Fault::NoSourceAddress(name, missing) => format!("{name} has {}", missing_source(*missing)),
        Fault::NoUnicastPeer(_, family) => format!("unicast_peers has no other {family} node"),
        Fault::ForeignAddresses(foreign) => format!("{} is not vrrpd's", foreign.first.addr()),
        Fault::Sockets(name, family, _) => format!("{name} has no {family} socket"),
        Fault::Check(name) => format!("check {} fails", name.0),
        Fault::CheckPending(name) => format!("waiting for the first result of check {}", name.0),
        Fault::Addresses(why) => why.clone(),
    }
}

/// What an interface does not have.
fn missing_source(missing: MissingSource) -> String {
    match missing {
        MissingSource::Ipv4 => "no IPv4 address".to_owned(),
        MissingSource::LinkLocal => "no link-local IPv6 address".to_owned(),
        MissingSource::Global => "no global IPv6 address".to_owned(),
        MissingSource::Configured(address) => format!("no address {address}"),
    }
}

/// A fault for a sentence.
pub(super) fn fault_in_full(fault: &Fault) -> String {
    match fault {
        Fault::InterfaceMissing(name) => format!("interface {name} does not exist"),
        Fault::Port(name, controller) => format!(
            "{name} is a port of {controller} and hears nothing itself: write interface = \"{controller}\", and give \
             {controller} the addresses of {name}"
        ),
        Fault::OtherName(name, real) => {
            format!("{name} is another name of {real}: write interface = \"{real}\"")
        }
        Fault::InterfaceDown(name) => format!("interface {name} is down"),
        Fault::NoCarrier(name) => format!("interface {name} has no carrier"),
        Fault::NoSourceAddress(name, missing) => {
            let remedy = match missing {
                MissingSource::Ipv4 => "add one beside the virtual addresses",
                MissingSource::LinkLocal => "switch IPv6 on for it, or add an address in fe80::/10",
                MissingSource::Global => {
                    "the nodes in `unicast_peers` have global addresses, so that this one needs one, too"
                }
                MissingSource::Configured(_) => "add it there, or write another `source_address`",
            };
            format!("interface {name} has {} to send from: {remedy}", missing_source(*missing))
        }
        Fault::NoUnicastPeer(_, family) => format!(
            "every {family} address in `unicast_peers` is this node's own, so that it has nobody to send to: add the \
             addresses of the other nodes"
        ),
        Fault::ForeignAddresses(foreign) => foreign_addresses(foreign),
        Fault::Sockets(name, family, why) => format!("no {family} socket on {name}: {why}"),
        Fault::Check(name) => format!("check {} fails", name.0),
        Fault::CheckPending(name) => format!("waiting for the first result of check {}", name.0),
        Fault::Addresses(why) => format!("the kernel refuses addresses: {why}"),
    }
}

/// The end of a fault.
pub(super) fn recovered(fault: &Fault) -> String {
    match fault {
        Fault::InterfaceMissing(name) => format!("interface {name} exists again"),
        Fault::InterfaceDown(name) => format!("interface {name} is up again"),
        Fault::NoCarrier(name) => format!("interface {name} has carrier again"),
        Fault::Port(name, controller) => format!("{name} is not a port of {controller} any more"),
        Fault::OtherName(name, real) => format!("{name} is not another name of {real} any more"),
        Fault::NoSourceAddress(name, MissingSource::Configured(address)) => {
            format!("interface {name} has {address} again")
        }
        Fault::NoSourceAddress(name, MissingSource::Ipv4) => {
            format!("interface {name} has an IPv4 address again")
        }
        Fault::NoSourceAddress(name, MissingSource::LinkLocal) => {
            format!("interface {name} has a link-local IPv6 address again")
        }
        Fault::NoSourceAddress(name, MissingSource::Global) => {
            format!("interface {name} has a global IPv6 address again")
        }
        Fault::NoUnicastPeer(_, family) => format!("`unicast_peers` has another {family} node again"),
        Fault::ForeignAddresses(foreign) => format!("{} is free for vrrpd again", foreign.first.addr()),
        Fault::Sockets(name, family, _) => format!("the {family} socket on {name} works again"),
        Fault::Check(name) => format!("check {} passes again", name.0),
        Fault::CheckPending(name) => format!("ready, check {} has its first result", name.0),
        Fault::Addresses(_) => "trying again to add the addresses".to_owned(),
    }
}

/// Why a hand-over began.
pub(super) const fn handover_cause(cause: HandoverCause) -> &'static str {
    match cause {
        HandoverCause::Demote => "an operator demotes this node",
        HandoverCause::Shutdown => "vrrpd is stopping",
        HandoverCause::Fault => "a fault",
        HandoverCause::Configuration => "the configuration changed",
    }
}

/// The words for a demotion: `demoted by alice: kernel update`.
fn demoted(demotion: Option<&Demotion>) -> String {
    match demotion {
        None => "demoted".to_owned(),
        Some(Demotion { by, reason, .. }) if reason.is_empty() => format!("demoted by {by}"),
        Some(Demotion { by, reason, .. }) => format!("demoted by {by}: {reason}"),
    }
}

const fn other(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv6",
        Family::Ipv6 => "IPv4",
    }
}

/// Whether a fault is only a result that is awaited, as at a start, when nothing is broken.
fn is_pending(fault: &Fault) -> bool {
    matches!(fault, Fault::CheckPending(_))
}

fn joined(faults: &[Fault], words: impl Fn(&Fault) -> String) -> String {
    faults.iter().map(words).collect::<Vec<_>>().join("; ")
}
