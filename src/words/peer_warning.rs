//! The sentences about faults of other routers, and about a router that no node serves. Each names
//! the sender and says what to do.

use super::{NamedNode, fault_in_full, span};
use crate::agent::NodeNames;
use crate::protocol::{AuthenticationMismatch, NobodyServing, NotServing, PeerWarning};
use crate::types::{AdvertPriority, Version};
use std::net::IpAddr;
use std::time::Duration;

/// The words for a sender whose address is not known.
const UNKNOWN: &str = "an unknown sender";

/// The sentence when a warning about another router begins.
#[must_use]
pub fn sentence(names: &NodeNames, peer: Option<IpAddr>, what: &PeerWarning) -> String {
    let subject = WarningSubject::of(names, peer);
    let peer = subject.in_full();
    match what {
        PeerWarning::Rejected(crate::wire::RejectReason::UnknownSenders) => format!(
            "discarded an advertisement of {peer}, which is in neither `unicast_peers` nor `accept_from` here. If it is a \
             node of this router, add it; if not, let a firewall keep it away (unknown_senders)"
        ),
        PeerWarning::Rejected(crate::wire::RejectReason::BadDestination) => format!(
            "discarded a message of {peer}, which was sent to the multicast group while this node has `unicast_peers`, or to \
             this node while it has none. Give all nodes the same `unicast_peers` (bad_destination)"
        ),
        PeerWarning::Rejected(crate::wire::RejectReason::IpTtlErrors) => format!(
            "discarded a message of {peer}, whose TTL says that it was routed. With `unicast_peers` behind a router, write \
             `min_ttl`; a keepalived sends to IPv6 peers with 64, unless it has unicast_ttl 255 (ip_ttl_errors)"
        ),
        PeerWarning::Rejected(reason) => format!("discarded a message of {peer} ({})", reason.as_str()),
        PeerWarning::OtherVersion { theirs, ours } => {
            let hint = match theirs {
                Version::V2 => "; keepalived speaks 2 in IPv4 unless global_defs has vrrp_version 3",
                Version::V3 => "",
            };
            format!(
                "{peer} speaks {theirs}, and this router speaks {ours}, so that neither hears the other and both may \
                 hold the addresses. Give both the same version{hint} ({what})"
            )
        }
        PeerWarning::AuthenticationDiffers(mismatch) => {
            let how = match mismatch {
                AuthenticationMismatch::OtherPassword => "another password than this router",
                AuthenticationMismatch::OnlyHere => "no password, and this router has one",
                AuthenticationMismatch::OnlyThere => "a password, and this router has none",
                AuthenticationMismatch::IpsecThere => "auth_type AH, which vrrpd does not speak",
            };
            format!(
                "{peer} uses {how}, so that neither hears the other and both may hold the addresses. If it is a node of \
                 this router, give both the same password; if it is not, somebody else shares this VRID: give this \
                 router another vrid ({what})"
            )
        }
        PeerWarning::IntervalRefused { theirs, ours } => format!(
            "{peer} advertises every {theirs}, and this router every {ours}. VRRPv2 discards such messages, so that \
             neither hears the other and both may hold the addresses. Give both the same advertise_interval ({what})"
        ),
        PeerWarning::AddressListRefused { more, less } => format!(
            "{peer} advertises other addresses than this node:{}{}. VRRPv2 discards such messages, so that neither \
             hears the other and both may hold the addresses. Give all routers of this VRID the same list ({what})",
            signed(" +", more),
            signed(" -", less)
        ),
        PeerWarning::AddressListDiffers { more, less } => format!(
            "{peer} advertises other addresses than this node:{}{}. Give all routers of this VRID the same list ({what})",
            signed(" +", more),
            signed(" -", less)
        ),
        PeerWarning::AddressesLost { priority, lists, ours } => format!(
            "{} is Active for this VRID, but advertises {}, not {}: nobody serves these. \
             Give one of the two pairs another vrid ({what})",
            subject.with_priority(*priority),
            list(lists),
            list(ours)
        ),
        PeerWarning::OtherVrid { address, theirs } => format!(
            "{peer} advertises {address}, which is an address of this router, under VRID {theirs}: both nodes may hold \
             it. Give both nodes the same vrid ({what})"
        ),
        PeerWarning::SamePriority(priority) => format!(
            "{peer} has the same priority, {priority}: the greater source address decides who is Active. Give the nodes \
             different priorities ({what})"
        ),
        PeerWarning::StaysActive(priority) => format!(
            "ALSO ACTIVE: {}, which does not hear this node or does not give way. Look for a firewall that drops \
             protocol 112 there, and for the cable ({what})",
            subject.with_priority(*priority)
        ),
        PeerWarning::IntervalDiffers(interval) => format!(
            "{peer} advertises every {interval}, not at the interval of this node. Give both the same \
             advertise_interval ({what})"
        ),
        PeerWarning::IntervalTooLong { said, obeyed } => format!(
            "{peer} says that it advertises every {said}, which is longer than this node accepts: if {} stops, this \
             node waits as if the interval were {obeyed}. Give both the same advertise_interval ({what})",
            subject.in_short()
        ),
        PeerWarning::ChecksumDiffers => format!(
            "{peer} sends another kind of checksum than the routers that this node follows, so it may discard the \
             messages of this node. Give all routers of this VRID the same checksum ({what})"
        ),
        PeerWarning::OwnerConflict => format!(
            "{peer} claims to own the addresses that this node owns: only one node may have priority = \"owner\" ({what})"
        ),
        PeerWarning::AddressConflict { address, mac } => format!(
            "ADDRESS CONFLICT: a machine with the MAC address {mac} announces {address}, which this node serves, so that \
             hosts may send to it. Find it in the MAC address table of the switch, and take {address} away from it. If it is \
             a node of this router: look for a firewall that keeps its advertisements from this node ({what})"
        ),
    }
}

/// The sentence when a warning about another router ends.
#[must_use]
pub fn over(names: &NodeNames, peer: Option<IpAddr>, what: &PeerWarning, after: Duration) -> String {
    let peer = WarningSubject::of(names, peer).in_full();
    let after = span(after);
    if let PeerWarning::StaysActive(_) = what {
        format!("{peer} is not Active beside this node any more; that lasted {after} ({what})")
    } else if let PeerWarning::AddressConflict { address, mac } = what {
        format!(
            "nobody with the MAC address {mac} announces {address} any more; that lasted {after} ({what})"
        )
    } else {
        format!("{peer} shows no sign of {what} any more; that lasted {after}")
    }
}

/// The sentence about a router that no node serves, with the command that helps.
#[must_use]
pub fn nobody_serves(
    names: &NodeNames,
    router: &str,
    addresses: &[IpAddr],
    nobody_serving: &NobodyServing,
    not_serving: &NotServing,
) -> String {
    let silent = span(nobody_serving.silent);
    let since = match nobody_serving.last {
        Some(last) => format!(
            "the last Active, {}, has been silent for {silent}",
            NamedNode::of(names, last.address).with_priority(last.priority)
        ),
        None => format!("no other router has been heard for {silent}"),
    };
    let why = match not_serving {
        NotServing::Demoted => format!("this node is demoted. To serve here: vrrpctl promote {router}"),
        NotServing::Faults(faults) => {
            let faults: Vec<_> = faults.iter().map(fault_in_full).collect();
            format!("this node cannot: {}. Fix that, or look at the other node", faults.join(", "))
        }
        NotServing::Sibling => {
            "this node waits, because an Active is heard in its other family, and both families move \
                          together. Look at that node; to serve the families apart, configure two routers"
                .to_owned()
        }
    };
    format!("NOBODY SERVES {}: {since}, and {why}", list(addresses))
}

/// The sentence about listed nodes of which none was ever heard.
pub(super) fn no_peer_heard(peers: &[IpAddr], after: Duration) -> String {
    format!(
        "this node serves for {}, and no node of `unicast_peers` was ever heard ({}). A Backup is silent, so this may be as \
         it should be; or what the others send is dropped on its way, and both serve. Look there whether they are Active \
         too (vrrpctl status); then at the firewalls of both machines and of the cloud (security group), which must pass \
         protocol 112, and whether this node's address is in their `unicast_peers`",
        span(after),
        list(peers)
    )
}

/// The router that a warning is about, in words.
#[derive(Clone, Copy)]
enum WarningSubject<'a> {
    Known(NamedNode<'a>),
    /// The message did not say from which address it came.
    Unknown,
}

impl<'a> WarningSubject<'a> {
    fn of(names: &'a NodeNames, peer: Option<IpAddr>) -> Self {
        peer.map_or(Self::Unknown, |peer| Self::Known(NamedNode::of(names, peer)))
    }

    fn in_full(self) -> String {
        match self {
            Self::Known(node) => node.to_string(),
            Self::Unknown => UNKNOWN.to_owned(),
        }
    }

    fn in_short(self) -> String {
        match self {
            Self::Known(node) => node.in_short(),
            Self::Unknown => UNKNOWN.to_owned(),
        }
    }

    fn with_priority(self, priority: AdvertPriority) -> String {
        match self {
            Self::Known(node) => node.with_priority(priority),
            Self::Unknown => format!("{UNKNOWN} (priority {priority})"),
        }
    }
}

/// The first few of the addresses.
fn list(addresses: &[IpAddr]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<_> = addresses.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = addresses.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

fn signed(sign: &str, addresses: &[IpAddr]) -> String {
    addresses.iter().map(|address| format!("{sign}{address}")).collect()
}
