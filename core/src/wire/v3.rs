//! VRRPv3 messages (RFC 9568 §5.2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version| Type  | Virtual Rtr ID|   Priority    |IPvX Addr Count|
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Reserve| Max Advertise Interval|          Checksum             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       IPvX Address(es)                        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! The message does not contain its length, which follows from the count and the family of the
//! carrier.

use super::advert::{
    AddressList, Advertisement, Carrier, ChecksumFlavour, Draft, EmitError, HeardAuthentication, RejectReason,
};
use super::checksum::Sum;
use super::codec::{ADVERTISEMENT, push_addresses, put};
use crate::types::{AdverInterval, AdvertPriority, Authentication, Family, Version, Vrid};
use std::net::IpAddr;

/// Octets 4 and 5 without the Reserve field, which is ignored on receipt (RFC 9568 §5.2.6). FRR 8.4
/// reads the Reserve field as part of the interval, and then stays silent for minutes.
const INTERVAL_MASK: u16 = 0x0fff;

/// Makes the checks of RFC 9568 §7.1 from the length on, in the order of the text, then those of
/// its errata. `fixed` is the start of `payload`.
pub(super) fn parse<'a>(
    carrier: &Carrier,
    fixed: &[u8; 8],
    payload: &'a [u8],
) -> Result<Advertisement<'a>, RejectReason> {
    let [_, vrid, priority, count, interval_high, interval_low, _, _] = *fixed;
    let family = Family::of(carrier.destination);
    let octets = payload.get(fixed.len()..).unwrap_or_default();
    // Octets that the count does not explain are an extension or a mistake of the sender: the
    // checksum covers them, so they are not padding of the link.
    // RFC9568-7.1-4, RFC9568-7.1-13
    if octets.len() != usize::from(count) * family.address_len() {
        return Err(RejectReason::PacketLengthErrors);
    }
    // RFC9568-7.1-5
    let checksum = flavour_of(carrier, payload).ok_or(RejectReason::ChecksumErrors)?;
    let vrid = Vrid::new(vrid).map_err(|_| RejectReason::VridErrors)?;
    // RFC9568-5.2.5-2
    // RFC 9568 §5.2.5, errata 8299.
    if count == 0 {
        return Err(RejectReason::AddrCountErrors);
    }
    // RFC9568-5.2.7-2
    // RFC 9568 §5.2.7, errata 8301: an interval of 0, if it were learned, would make every timer
    // fire at once.
    // RFC9568-5.2.6-2
    let interval = u16::from_be_bytes([interval_high, interval_low]) & INTERVAL_MASK;
    let interval = AdverInterval::from_centiseconds(interval).map_err(|_| RejectReason::IntervalZero)?;
    Ok(Advertisement {
        version: Version::V3,
        vrid,
        priority: AdvertPriority::from_wire(priority),
        interval,
        addresses: AddressList::new(family, octets),
        authentication: HeardAuthentication::Readable(Authentication::None),
        checksum,
    })
}

/// Does what [`super::emit`] says, except that `out` may contain part of a message after an error.
pub(super) fn emit(
    draft: &Draft,
    addresses: impl IntoIterator<Item = IpAddr>,
    out: &mut Vec<u8>,
) -> Result<(), EmitError> {
    if draft.interval > AdverInterval::MAX {
        return Err(EmitError::NoSuchInterval { version: Version::V3, interval: draft.interval });
    }
    let [interval_high, interval_low] = draft.interval.centiseconds().to_be_bytes();
    // RFC9568-5.2.1-1, RFC9568-5.2.2-1
    let first = Version::V3.number() << 4 | ADVERTISEMENT;
    out.clear();
    // The count and the checksum are written when they are known; Reserve is 0 (RFC 9568 §5.2.6).
    // RFC9568-5.2.6-1
    out.extend([first, draft.vrid.get(), draft.priority.get(), 0, interval_high, interval_low, 0, 0]);
    push_addresses(draft.source, addresses, out)?;
    let sum = sum(draft.checksum, draft.source, draft.destination, out);
    put(out, 6, &sum.checksum().to_be_bytes());
    Ok(())
}

/// Returns the flavour that the checksum of the message matches. RFC 9568's is tried first.
fn flavour_of(carrier: &Carrier, message: &[u8]) -> Option<ChecksumFlavour> {
    let candidates: &[ChecksumFlavour] = match Family::of(carrier.destination) {
        // RFC9568-5.2.8-4
        Family::Ipv4 => &[ChecksumFlavour::Rfc9568, ChecksumFlavour::Rfc5798],
        Family::Ipv6 => &[ChecksumFlavour::Rfc9568],
    };
    let verifies = |flavour| sum(flavour, carrier.source, carrier.destination, message).verifies();
    candidates.iter().copied().find(|flavour| verifies(*flavour))
}

/// RFC 9568 §5.2.8: IPv6 has a pseudo-header in every flavour, IPv4 only in the flavour of RFC
/// 5798.
fn sum(flavour: ChecksumFlavour, source: IpAddr, destination: IpAddr, message: &[u8]) -> Sum {
    let sum = Sum::new().octets(message);
    match (Family::of(destination), flavour) {
        // RFC9568-5.2.8-1
        (Family::Ipv4, ChecksumFlavour::Rfc9568) => sum,
        // RFC9568-5.2.8-2
        (Family::Ipv4, ChecksumFlavour::Rfc5798)
        | (Family::Ipv6, ChecksumFlavour::Rfc9568 | ChecksumFlavour::Rfc5798) => {
            sum.pseudo_header(source, destination, message.len())
        }
    }
}
