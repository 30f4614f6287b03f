//! Reading and writing ADVERTISEMENTs: the checks that every version shares, and the only switch
//! on the version.
//!
//! This module must not know what is configured. The protocol decides whether the IP header that
//! carries a message is acceptable, whether a VRID is ours, whether a message is our own and whether
//! an IPv6 list starts with a link-local address.
//!
//! Each version has an arm in [`parse`] and one in [`emit`], and a file of its own. The modules above
//! see an [`Advertisement`], whatever its version is.

use super::advert::{Advertisement, Carrier, Draft, EmitError, Reject, RejectReason};
use super::{v2, v3};
use crate::types::{Family, Version, Vrid};
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
    let vrid = claimed_vrid(payload);
    let version = payload.first().and_then(|octet| Version::of_number(octet >> 4));
    examine(carrier, payload).map_err(|reason| Reject { reason, vrid, version })
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
        Version::V2 => v2::emit(draft, addresses, out),
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
    match (Version::of_number(version_and_type >> 4), Family::of(carrier.destination)) {
        // RFC 3768 §1: VRRPv2 is for IPv4 only.
        (Some(Version::V2), Family::Ipv4) => {
            is_advertisement(version_and_type)?;
            v2::parse(message, payload)
        }
        (Some(Version::V3), _) => {
            is_advertisement(version_and_type)?;
            v3::parse(carrier, message, payload)
        }
        (Some(Version::V2), Family::Ipv6) | (None, _) => Err(RejectReason::VersionErrors),
    }
}

/// Appends the addresses to a message that has its fixed part already, and writes their count into
/// that. All are of the family of `source`.
pub(super) fn push_addresses(
    source: IpAddr,
    addresses: impl IntoIterator<Item = IpAddr>,
    out: &mut Vec<u8>,
) -> Result<(), EmitError> {
    let mut count = 0_u8;
    for address in addresses {
        // RFC9568-5.2.5-1, RFC9568-5.2.9-4
        count = count.checked_add(1).ok_or(EmitError::TooManyAddresses)?;
        match (Family::of(source), address) {
            (Family::Ipv4, IpAddr::V4(address)) => out.extend(address.octets()),
            (Family::Ipv6, IpAddr::V6(address)) => out.extend(address.octets()),
            (Family::Ipv4, IpAddr::V6(_)) | (Family::Ipv6, IpAddr::V4(_)) => {
                // RFC9568-5.2.9-1
                return Err(EmitError::WrongFamily { address, source_address: source });
            }
        }
    }
    if count == 0 {
        return Err(EmitError::NoAddress);
    }
    put(out, 3, &[count]);
    Ok(())
}

/// Overwrites octets for which room was left before.
pub(super) fn put(out: &mut [u8], at: usize, octets: &[u8]) {
    for (place, octet) in out.iter_mut().skip(at).zip(octets) {
        *place = *octet;
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
