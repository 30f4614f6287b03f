//! Counters with the names of RFC 8347, and additional ones that RFC 9568 makes useful.

use crate::types::AdvertPriority;
use crate::wire::RejectReason;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counters of one instance since it was configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Transitions to Active (RFC 8347 master-transitions).
    pub active_transitions: u64,
    /// Advertisements received and given to the state machine.
    pub advertisement_rcvd: u64,
    /// Advertisements sent, whatever their priority.
    pub advertisement_sent: u64,
    /// Advertisements received with priority 0.
    pub priority_zero_pkts_rcvd: u64,
    /// Advertisements sent with priority 0.
    pub priority_zero_pkts_sent: u64,
    /// Advertisements accepted although their interval is not ours.
    pub interval_errors: u64,
    /// Advertisements accepted although their address list is not ours, or rejected for their first
    /// IPv6 address.
    pub address_list_errors: u64,
    /// Advertisements sent at once to answer one of lower priority (RFC 9568 §6.4.3).
    pub immediate_adverts_sent: u64,
    /// Advertisements of lower priority that were not answered at once because of the rate limit.
    pub immediate_adverts_suppressed: u64,
    /// Advertisements accepted with the checksum of RFC 5798.
    pub checksum_legacy_accepted: u64,
    /// Advertisements with the owner's priority 255 that were received while we own the addresses.
    pub owner_conflicts: u64,
    /// Number of times that another Active was heard while we were Active.
    pub dual_active: u64,
    /// Rounds of gratuitous ARP or unsolicited NA that were ordered.
    pub announcements: u64,
    /// Advertisements that the socket refused to send, with unicast counted for each peer.
    pub tx_errors: u64,
    /// Discarded messages by reason, if they named this instance.
    pub rejected: BTreeMap<RejectReason, u64>,
}

impl Counters {
    /// An advertisement is counted when the core orders it. This one was sent to nobody after all.
    pub(super) const fn on_unsent(&mut self, priority: AdvertPriority) {
        self.advertisement_sent = self.advertisement_sent.saturating_sub(1);
        if priority.is_resignation() {
            self.priority_zero_pkts_sent = self.priority_zero_pkts_sent.saturating_sub(1);
        }
    }
}

/// Messages that were discarded on one interface and in one family, and that named no configured
/// instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounters {
    /// Number of messages by reason.
    pub rejected: BTreeMap<RejectReason, u64>,
}
