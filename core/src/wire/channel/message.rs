//! What nodes tell one another, as CBOR.
//!
//! The numbers are the format: they must never be given another meaning. A reader skips fields and
//! messages that it does not know, and takes the default where a field is missing.

use super::chunk::ConnectionChunk;
use super::{BODY_MAX, SessionId};
use minicbor::{CborLen, Decode, Encode};
use std::net::IpAddr;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub enum ChannelMessage {
    /// "Whoever you are: repeat this number." The recipient must prove that it runs now, because
    /// the message that it sent first could have been recorded earlier.
    #[n(0)]
    Challenge {
        /// A number that the challenger has not used before in its session.
        #[n(0)]
        number: u64,
    },
    /// The answer to a challenge.
    #[n(1)]
    Response {
        /// The number of the challenge.
        #[n(0)]
        number: u64,
    },
    /// What the sender says of itself on the link that the message arrives on. It goes to
    /// everybody, each second and when something changes.
    #[n(2)]
    Report(#[n(0)] ReportPage),
    /// The sender stops.
    #[n(3)]
    Farewell,
    /// The sender wants to become Active: the recipient, which is Active, shall hand over.
    #[n(4)]
    TakeRequest {
        /// The number of the request. The sender repeats the request with the same number until it
        /// is answered.
        #[n(0)]
        number: u64,
        /// The VRID, on the link that the message arrives on.
        #[n(1)]
        vrid: u8,
        /// The operator who asked.
        #[n(2)]
        by: String,
    },
    /// The answer to a request.
    #[n(5)]
    TakeAnswer {
        /// The number of the request.
        #[n(0)]
        number: u64,
        /// The answer.
        #[n(1)]
        answer: TakeAnswer,
    },
    /// What the sender can do for open connections. It goes to everybody beside each report; a
    /// node that can do nothing does not send it.
    #[n(6)]
    Drains {
        /// Whether the sender goes on serving open connections after it has given the addresses
        /// away.
        #[n(0)]
        drains: bool,
        /// Whether the sender passes on packets of such connections after it has taken over.
        #[n(1)]
        forwards: bool,
        /// The sessions whose probe frames have arrived at the sender on this link: their nodes
        /// may pass on packets to the sender. At most [`Self::MOST_PROVEN`].
        #[n(2)]
        proven: Vec<SessionId>,
    },
    /// The octets of a probe frame. The message proves that a frame with a foreign source address
    /// gets from its sender to its recipient; as a datagram it proves nothing.
    #[n(7)]
    Probe {
        /// How many probes the sender has sent before this one.
        #[n(0)]
        number: u64,
    },
    /// The sender has given the addresses of a virtual router away, and still serves open
    /// connections. It goes to everybody, each second and when something changes.
    #[n(8)]
    Draining {
        /// The VRID, on the link that the message arrives on.
        #[n(0)]
        vrid: u8,
        /// How many connections are left.
        #[n(1)]
        left: u32,
        /// For how long the oldest of them has been open, in milliseconds, if that is known.
        #[n(2)]
        oldest_ms: Option<u64>,
        /// For how long the sender has been draining, in milliseconds.
        #[n(3)]
        lasted_ms: u64,
        /// After how long what is left will be reset, in milliseconds.
        #[n(4)]
        remaining_ms: u64,
    },
    /// The sender does not drain a virtual router any more. It goes to everybody, three times.
    #[n(9)]
    DrainEnded {
        /// The VRID, on the link that the message arrives on.
        #[n(0)]
        vrid: u8,
    },
    /// Open connections that the sender still serves. It goes to the node that is Active.
    #[n(10)]
    Connections(#[n(0)] ConnectionChunk),
    /// The sender passes on packets of open connections to the recipient. It goes to the recipient
    /// each second.
    #[n(11)]
    Forwarding {
        /// The VRID, on the link that the message arrives on.
        #[n(0)]
        vrid: u8,
        /// How many connections of the recipient the sender knows.
        #[n(1)]
        listed: u32,
        /// How many packets it has passed on.
        #[n(2)]
        packets: u64,
    },
}

/// What became of a request to hand over.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub enum TakeAnswer {
    /// The Active has handed over.
    #[n(0)]
    HandedOver {
        /// How long that took, in microseconds.
        #[n(0)]
        micros: u64,
        /// Whether the former Active is demoted now, as the last resort: otherwise it would take
        /// over again at once, because it has the higher priority and preempts.
        #[n(1)]
        demoted: bool,
    },
    /// The Active does not hand over.
    #[n(1)]
    Refused {
        /// The reason, for people.
        #[n(0)]
        why: String,
    },
}

/// A part of what a node says of itself on one link. All pages of one generation together say
/// everything.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct ReportPage {
    /// Grows with each report.
    #[n(0)]
    pub generation: u64,
    /// The number of this page, from 0.
    #[n(1)]
    pub page: u16,
    /// How many pages the report has, at least 1.
    #[n(2)]
    pub pages: u16,
    /// The name of the node.
    #[n(3)]
    pub node: String,
    /// The version of vrrpd that the node runs.
    #[n(4)]
    pub software: String,
    /// The virtual routers of the node on this link and in this family.
    #[n(5)]
    pub routers: Vec<RouterReport>,
}

/// The state of one virtual router, as its node reports it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct RouterReport {
    /// The VRID.
    #[n(0)]
    pub vrid: u8,
    /// The name of the router in the configuration of its node.
    #[n(1)]
    pub name: String,
    /// Its state.
    #[n(2)]
    pub state: ReportedState,
    /// The priority after tracking.
    #[n(3)]
    pub priority: u8,
    /// Why it would not take over now, for people; `None`: it would.
    #[n(4)]
    pub obstacle: Option<String>,
    /// Whether it takes over from an Active of lower priority (Preempt_Mode).
    #[n(5)]
    pub preempts: bool,
    /// The settings that should be the same on all nodes.
    #[n(6)]
    pub settings: ReportedSettings,
}

/// The states of RFC 9568, as they are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, CborLen)]
#[cbor(index_only)]
pub enum ReportedState {
    /// Initialize.
    #[n(0)]
    Initialize,
    /// Backup.
    #[n(1)]
    Backup,
    /// Active.
    #[n(2)]
    Active,
}

/// Settings of a virtual router that should be the same on all nodes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, CborLen)]
pub struct ReportedSettings {
    /// The version of VRRP.
    #[n(0)]
    pub version: u8,
    /// The interval between two advertisements, in milliseconds.
    #[n(1)]
    pub interval_ms: u32,
    /// The advertised addresses in order of their values, at most [`Self::MOST`] of them.
    #[n(2)]
    pub addresses: Vec<IpAddr>,
    /// How many advertised addresses there are.
    #[n(3)]
    pub address_count: u16,
    /// A digest of all of them.
    #[n(4)]
    pub address_digest: u64,
    /// The names of the health checks that the router tracks, in order, at most [`Self::MOST`].
    #[n(5)]
    pub checks: Vec<String>,
    /// How many such checks there are.
    #[n(6)]
    pub check_count: u16,
}

impl ReportedSettings {
    /// The most addresses, and the most checks, that are listed by value.
    pub const MOST: usize = 8;
}

/// The longest name, in octets: of a node, a router, a check, an operator or a version.
const NAME_MAX: usize = 64;
/// The longest text for people, in octets.
const TEXT_MAX: usize = 240;

impl ChannelMessage {
    /// The most sessions that [`Self::Drains`] lists.
    pub const MOST_PROVEN: usize = 32;
    /// The greatest number of a message that this version knows. All numbers up to it are taken.
    pub(super) const LAST_NUMBER: u64 = 11;

    /// Whether every value is one that a node of ours may send.
    pub(super) fn is_sound(&self) -> bool {
        match self {
            Self::Challenge { .. } | Self::Response { .. } | Self::Farewell | Self::Probe { .. } => true,
            Self::Report(page) => page.is_sound(),
            Self::TakeRequest { number: _, vrid, by } => *vrid > 0 && is_name(by),
            Self::TakeAnswer { answer: TakeAnswer::Refused { why }, .. } => is_text(why),
            Self::TakeAnswer { answer: TakeAnswer::HandedOver { .. }, .. } => true,
            Self::Drains { drains: _, forwards: _, proven } => {
                proven.len() <= Self::MOST_PROVEN && proven.iter().all(|session| session.is_one_node())
            }
            Self::Draining { vrid, .. } | Self::DrainEnded { vrid } | Self::Forwarding { vrid, .. } => {
                *vrid > 0
            }
            Self::Connections(chunk) => chunk.is_sound(),
        }
    }
}

impl ReportPage {
    fn is_sound(&self) -> bool {
        let routers = self.routers.iter().all(RouterReport::is_sound);
        self.page < self.pages && is_name(&self.node) && is_name(&self.software) && routers
    }
}

impl RouterReport {
    fn is_sound(&self) -> bool {
        let ReportedSettings { addresses, address_count, checks, check_count, .. } = &self.settings;
        self.vrid > 0
            && is_name(&self.name)
            && self.obstacle.as_deref().is_none_or(is_text)
            && addresses.len() <= ReportedSettings::MOST
            && addresses.len() <= usize::from(*address_count)
            && checks.len() <= ReportedSettings::MOST
            && checks.len() <= usize::from(*check_count)
            && checks.iter().all(|check| is_name(check))
    }

    /// A report of which every text fits. The configuration allows no longer names, but the reason
    /// of a fault may be of any length.
    fn fitting(&self) -> Self {
        let mut settings = self.settings.clone();
        settings.addresses.truncate(ReportedSettings::MOST);
        settings.checks.truncate(ReportedSettings::MOST);
        settings.checks.iter_mut().for_each(|check| *check = printable(check, NAME_MAX));
        Self {
            name: printable(&self.name, NAME_MAX),
            obstacle: self.obstacle.as_deref().map(|why| printable(why, TEXT_MAX)),
            settings,
            ..*self
        }
    }
}

impl TakeAnswer {
    /// A refusal whose text fits.
    #[must_use]
    pub fn refusal(why: &str) -> Self {
        Self::Refused { why: printable(why, TEXT_MAX) }
    }
}

/// Splits a report into pages that each fit into a datagram. A report without routers has one page.
#[must_use]
pub fn pages(generation: u64, node: &str, software: &str, routers: &[RouterReport]) -> Vec<ReportPage> {
    let empty = ReportPage {
        generation,
        page: u16::MAX,
        pages: u16::MAX,
        node: printable(node, NAME_MAX),
        software: printable(software, NAME_MAX),
        routers: Vec::new(),
    };
    // The head of a list of any length that fits takes three octets, and that of a short one, which
    // is in `room` already, takes one.
    let room = BODY_MAX.saturating_sub(minicbor::len(ChannelMessage::Report(empty.clone())) + 2);
    let mut pages = vec![empty.clone()];
    let mut used = 0;
    for report in routers.iter().map(RouterReport::fitting) {
        let length = minicbor::len(&report);
        if used + length > room && used > 0 {
            pages.push(empty.clone());
            used = 0;
        }
        used += length;
        pages.last_mut().map(|page| &mut page.routers).into_iter().for_each(|routers| {
            routers.push(report.clone());
        });
    }
    let count = u16::try_from(pages.len()).unwrap_or(u16::MAX);
    for (number, page) in (0..count).zip(&mut pages) {
        (page.page, page.pages) = (number, count);
    }
    pages
}

/// The text without control characters, cut to a length in octets.
pub(super) fn printable(text: &str, most: usize) -> String {
    let mut printable = String::new();
    for character in text.chars().map(|one| if one.is_control() { ' ' } else { one }) {
        if printable.len() + character.len_utf8() > most {
            break;
        }
        printable.push(character);
    }
    if printable.is_empty() { "-".to_owned() } else { printable }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_MAX && !text.chars().any(char::is_control)
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_MAX && !text.chars().any(char::is_control)
}
