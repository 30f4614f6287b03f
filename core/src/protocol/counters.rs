//! Counters with the names of RFC 8347, and the extensions that RFC 9568 makes useful.

use crate::types::AdvertPriority;
use crate::wire::RejectReason;
use std::collections::BTreeMap;

/// Counters of one virtual router, since it was configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transitions to Active (RFC 8347 master-transitions).
    pub active_transitions: u64,
    /// Advertisements handed to the state machine.
    pub advertisement_rcvd: u64,
    /// Advertisements sent, of any priority.
    pub advertisement_sent: u64,
    /// Received with priority 0.
    pub priority_zero_pkts_rcvd: u64,
    /// Sent with priority 0.
    pub priority_zero_pkts_sent: u64,
    /// Accepted, but with another interval than ours.
    pub interval_errors: u64,
    /// Accepted with another address list than ours, or rejected for its first IPv6 address.
    pub address_list_errors: u64,
    /// Sent at once in answer to a losing advertisement (RFC 9568 §6.4.3).
    pub immediate_adverts_sent: u64,
    /// Losing advertisements that the rate limit left unanswered.
    pub immediate_adverts_suppressed: u64,
    /// Accepted with the checksum of RFC 5798.
    pub checksum_legacy_accepted: u64,
    /// Owner's advertisements heard while we own the addresses.
    pub owner_conflicts: u64,
    /// Times another Active was heard while we were Active.
    pub dual_active: u64,
    /// Rounds of gratuitous ARP or unsolicited NA asked for.
    pub announcements: u64,
    /// Advertisements that the socket refused.
    pub tx_errors: u64,
    /// Discarded messages by reason, as far as they named this virtual router.
    pub rejected: BTreeMap<RejectReason, u64>,
}

impl Counters {
    /// An advertisement that was counted when it was decided did not leave.
    pub(super) const fn on_unsent(&mut self, priority: AdvertPriority) {
        self.tx_errors += 1;
        self.advertisement_sent = self.advertisement_sent.saturating_sub(1);
        if priority.is_resignation() {
            self.priority_zero_pkts_sent = self.priority_zero_pkts_sent.saturating_sub(1);
        }
    }
}

/// Discarded messages of one interface and family that named no configured virtual router.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// By reason.
    pub rejected: BTreeMap<RejectReason, u64>,
}
