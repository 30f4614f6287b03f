//! Floor 1: bytes to representations and back (RFC 9568 §5).
//!
//! Pure; nothing from the network can make it panic. Rejections are values.

mod advert;
mod checksum;
mod codec;
mod ip;
mod v3;

#[cfg(test)]
mod tests;

pub use advert::{
    AddressList, Advertisement, Carrier, ChecksumFlavour, Draft, EmitError, Reject, RejectReason,
};
pub use codec::{emit, parse};
pub use ip::split_ipv4;

/// The IP protocol number, and Next Header, of VRRP (RFC 9568 §5.1.1.4, §5.1.2.4).
pub const IP_PROTOCOL: u8 = 112;
