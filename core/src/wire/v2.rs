//! VRRPv2 messages (RFC 3768 §5.3), over IPv4 only.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version| Type  | Virtual Rtr ID|   Priority    | Count IP Addrs|
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |   Auth Type   |   Adver Int   |          Checksum             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                         IP Address(es)                        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                     Authentication Data (1)                   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                     Authentication Data (2)                   |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! The Authentication Data is always there. Its type and meaning are those of RFC 2338 §5.3.6, which
//! RFC 3768 took away: 0 is none, and 1 a password in clear text. Both are spoken here, because most
//! keepalived in use speak one of them. Type 2 has an IPsec header in front of the message, and is not
//! spoken.

use super::advert::{
    AddressList, Advertisement, ChecksumFlavour, Draft, EmitError, HeardAuthentication, RejectReason,
};
use super::checksum::Sum;
use super::codec::{ADVERTISEMENT, push_addresses, put};
use crate::types::{AdverInterval, AdvertPriority, AuthPassword, Authentication, Family, Version, Vrid};
use std::net::IpAddr;

/// The Auth Type of messages without authentication.
const NO_AUTHENTICATION: u8 = 0;
/// The Auth Type of messages with a password (RFC 2338 §5.3.6).
const SIMPLE_TEXT_PASSWORD: u8 = 1;
/// The Auth Type of messages behind an IPsec Authentication Header (RFC 2338 §5.3.6).
const IP_AUTHENTICATION_HEADER: u8 = 2;

/// Makes the checks of RFC 3768 §7.1 from the length on that need no configuration. `fixed` is the
/// start of `payload`.
pub(super) fn parse<'a>(fixed: &[u8; 8], payload: &'a [u8]) -> Result<Advertisement<'a>, RejectReason> {
    let [_, vrid, priority, count, auth_type, seconds, _, _] = *fixed;
    let behind = payload.get(fixed.len()..).unwrap_or_default();
    let addresses = usize::from(count) * Family::Ipv4.address_len();
    // RFC3768-7.1-6
    let (octets, data) = behind.split_at_checked(addresses).ok_or(RejectReason::PacketLengthErrors)?;
    let data = <[u8; AuthPassword::LEN]>::try_from(data).map_err(|_| RejectReason::PacketLengthErrors)?;
    // RFC3768-5.3.8-1: over the whole message, with its Authentication Data, and without a pseudo-header.
    if !Sum::new().octets(payload).verifies() {
        return Err(RejectReason::ChecksumErrors);
    }
    let vrid = Vrid::new(vrid).map_err(|_| RejectReason::VridErrors)?;
    if count == 0 {
        return Err(RejectReason::AddrCountErrors);
    }
    let interval = AdverInterval::from_seconds(seconds).map_err(|_| RejectReason::IntervalZero)?;
    let authentication = match auth_type {
        // RFC3768-5.3.10-1: ignored on receipt.
        NO_AUTHENTICATION => HeardAuthentication::Readable(Authentication::None),
        SIMPLE_TEXT_PASSWORD => {
            HeardAuthentication::Readable(Authentication::Password(AuthPassword::from_octets(data)))
        }
        IP_AUTHENTICATION_HEADER => HeardAuthentication::IpsecHeader,
        // RFC3768-7.1-1
        _ => return Err(RejectReason::InvalidAuthType),
    };
    Ok(Advertisement {
        version: Version::V2,
        vrid,
        priority: AdvertPriority::from_wire(priority),
        interval,
        addresses: AddressList::new(Family::Ipv4, octets),
        authentication,
        // The one checksum of VRRPv2 covers what that of RFC 9568 does.
        checksum: ChecksumFlavour::Rfc9568,
    })
}

/// Does what [`super::emit`] says, except that `out` may contain part of a message after an error.
pub(super) fn emit(
    draft: &Draft,
    addresses: impl IntoIterator<Item = IpAddr>,
    out: &mut Vec<u8>,
) -> Result<(), EmitError> {
    if !draft.source.is_ipv4() {
        return Err(EmitError::NoSuchFamily { version: Version::V2, source_address: draft.source });
    }
    let seconds = draft
        .interval
        .whole_seconds()
        .ok_or(EmitError::NoSuchInterval { version: Version::V2, interval: draft.interval })?;
    let (auth_type, data) = match draft.authentication {
        // RFC3768-5.3-1, RFC3768-5.3.10-1
        Authentication::None => (NO_AUTHENTICATION, [0; AuthPassword::LEN]),
        Authentication::Password(password) => (SIMPLE_TEXT_PASSWORD, password.octets()),
    };
    // RFC3768-5.3-1
    let first = Version::V2.number() << 4 | ADVERTISEMENT;
    out.clear();
    // The count and the checksum are written when they are known.
    out.extend([first, draft.vrid.get(), draft.priority.get(), 0, auth_type, seconds, 0, 0]);
    push_addresses(draft.source, addresses, out)?;
    out.extend(data);
    // RFC3768-5.3.8-1
    let sum = Sum::new().octets(out);
    put(out, 6, &sum.checksum().to_be_bytes());
    Ok(())
}
