//! Reading and writing ADVERTISEMENTs: the checks that every version shares, and the only switch
//! on the version.
//!
//! This module must not know what is configured. The protocol decides whether the IP header that
//! carries a message is acceptable, whether a VRID is ours, whether a message is our own and whether
//! an IPv6 list starts with a link-local address.
//!
//! A second version is added here and in a file of its own: an arm in [`parse`] and one in
//! [`emit`]. The modules above see only another [`Advertisement`].

use super::advert::{Advertisement, Carrier, Draft, EmitError, Reject, RejectReason};
use super::v3;
use crate::types::{Version, Vrid};
use std::net::IpAddr;

/// Octets before the address list, in every version.
const FIXED_PART: usize = 8;
/// The only type of message that exists (RFC 9568 §5.2.2).
pub(super) const ADVERTISEMENT: u8 = 1;

/// Reads the payload of an IP packet of protocol 112: `payload` has the length that the IP header
/// says, without padding of the link.
///
/// The checks are made in the order of RFC 9568 §7.1, from the version on; the first check that
/// fails gives the reason. Those of the IP header come before them and need the configuration.
///
/// ```
/// use vrrpd_core::wire::{Carrier, RejectReason, parse};
/// let carrier = Carrier {
///     source: "192.0.2.1".parse().unwrap(),
///     destination: "224.0.0.18".parse().unwrap(),
///     ttl: 255,
/// };
/// let message = [0x31, 51, 100, 1, 0, 100, 0xa7, 0x68, 192, 0, 2, 254];
/// let advertisement = parse(&carrier, &message).unwrap();
/// assert_eq!(advertisement.priority.get(), 100);
/// assert_eq!(parse(&carrier, &message[..8]).unwrap_err().reason, RejectReason::PacketLengthErrors);
/// ```
///
/// # Errors
/// [`Reject`]: the caller counts the message, which must not have any other effect.
pub fn parse<'a>(carrier: &Carrier, payload: &'a [u8]) -> Result<Advertisement<'a>, Reject> {
    // RFC9568-7.1-10
    examine(carrier, payload).map_err(|reason| Reject { reason, vrid: claimed_vrid(payload) })
}

/// Writes `draft` with `addresses` in their order into `out`, replacing its content. Writing to the
/// same buffer again does not allocate.
///
/// # Errors
/// [`EmitError`] for addresses that no message can carry; `out` is empty then.
pub fn emit(
    draft: &Draft,
    addresses: impl IntoIterator<Item = IpAddr>,
    out: &mut Vec<u8>,
) -> Result<(), EmitError> {
    let written = match draft.version {
        Version::V3 => v3::emit(draft, addresses, out),
    };
    if written.is_err() {
        out.clear();
    }
    written
}

/// Returns the VRID of a message. The VRID octet has the same place in every version, so even a
/// message that cannot be read further is counted for the router that it names.
fn claimed_vrid(payload: &[u8]) -> Option<Vrid> {
    payload.get(1).and_then(|octet| Vrid::new(*octet).ok())
}

fn examine<'a>(carrier: &Carrier, payload: &'a [u8]) -> Result<Advertisement<'a>, RejectReason> {
    // RFC 9568 §7.1: whether the message is complete can be decided only when it has the whole
    // fixed part.
    let Some((message, _)) = payload.split_first_chunk::<FIXED_PART>() else {
        // RFC9568-7.1-4
        return Err(RejectReason::PacketLengthErrors);
    };
    let [version_and_type, ..] = *message;
    // RFC9568-7.1-2
    match version_and_type >> 4 {
        v3::VERSION => {
            is_advertisement(version_and_type)?;
            v3::parse(carrier, message, payload)
        }
        _ => Err(RejectReason::VersionErrors),
    }
}

/// RFC 9568 §7.1: the Type is checked after the Version.
fn is_advertisement(version_and_type: u8) -> Result<(), RejectReason> {
    // RFC9568-7.1-3
    if version_and_type & 0x0f != ADVERTISEMENT {
        return Err(RejectReason::InvalidTypePktsRcvd);
    }
    Ok(())
}
