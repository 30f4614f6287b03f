//! The parts that the fuzz targets share: the properties of messages and of announcements, and a
//! good checksum for a message.

use std::net::IpAddr;
use vrrpd_core::types::{Authentication, Family, Version};
use vrrpd_core::wire::channel::{ChannelKey, Envelope};
use vrrpd_core::wire::{Announcement, Carrier, ChecksumFlavour, Draft, HeardAuthentication, emit, parse};

/// The carrier of a message from the router that the seed corpus comes from.
pub const V4: Carrier = Carrier {
    source: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    destination: Family::Ipv4.group(),
    ttl: 255,
};

/// The carrier of a message from the same router over IPv6.
pub const V6: Carrier = Carrier {
    source: IpAddr::V6(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa)),
    destination: Family::Ipv6.group(),
    ttl: 255,
};

/// Checks that an accepted message is written again as it was, in its version and with its password,
/// and that the written message is read as the same advertisement. What is written differs where a
/// receiver ignores what it says: the Reserve field of VRRPv3 and the Authentication Data of Auth Type
/// 0 (both sent as 0), and the alias 0xFFFF of the checksum 0x0000. A message behind an IPsec header is
/// never written.
pub fn accepted_messages_survive(carrier: &Carrier, payload: &[u8]) {
    let Ok(heard) = parse(carrier, payload) else { return };
    let HeardAuthentication::Readable(authentication) = heard.authentication else { return };
    let draft = Draft {
        version: heard.version,
        source: carrier.source,
        destination: carrier.destination,
        vrid: heard.vrid,
        priority: heard.priority,
        interval: heard.interval,
        authentication,
        checksum: heard.checksum,
    };
    let mut written = Vec::new();
    emit(&draft, heard.addresses.iter(), &mut written).expect("an accepted list can be sent");
    assert_eq!(parse(carrier, &written), Ok(heard));
    let ignored = match (heard.version, authentication) {
        (Version::V3, _) => payload[4] & 0xf0 != 0,
        (Version::V2, Authentication::None) => !payload.ends_with(&[0; 8]),
        (Version::V2, Authentication::Password(_)) => false,
    };
    let alias = payload[6..8] == [0xff, 0xff];
    if !ignored && !alias {
        assert_eq!(written, payload);
    }
}

/// Returns the same message as one of VRRPv2 with a password, which random octets almost never are.
#[must_use]
pub fn with_password(payload: &[u8]) -> Vec<u8> {
    let mut message = payload.to_vec();
    let Some(fixed) = message.get_mut(..5) else { return message };
    (fixed[0], fixed[4]) = (0x21, 1);
    message
}

/// Returns the same message with a good checksum, which random octets almost never have.
#[must_use]
pub fn with_good_checksum(carrier: &Carrier, payload: &[u8], flavour: ChecksumFlavour) -> Vec<u8> {
    let mut message = payload.to_vec();
    let Some(field) = message.get_mut(6..8) else { return message };
    field.fill(0);
    let mut covered = Vec::new();
    match (carrier.source, carrier.destination, flavour) {
        (IpAddr::V6(source), IpAddr::V6(group), _) => {
            covered.extend(source.octets());
            covered.extend(group.octets());
            covered.extend((payload.len() as u32).to_be_bytes());
            covered.extend([0, 0, 0, 112]);
        }
        (IpAddr::V4(source), IpAddr::V4(group), ChecksumFlavour::Rfc5798) => {
            covered.extend(source.octets());
            covered.extend(group.octets());
            covered.extend([0, 112]);
            covered.extend((payload.len() as u16).to_be_bytes());
        }
        (_, _, _) => {}
    }
    covered.extend(&message);
    let word = |octets: &[u8]| u64::from(octets[0]) << 8 | octets.get(1).map_or(0, |low| u64::from(*low));
    let mut sum = covered.chunks(2).map(word).sum::<u64>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[6..8].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    message
}

/// Checks that a packet that announces an address announces the same when it is written again, and
/// that it contains both addresses that were read.
pub fn an_announcement_survives(family: Family, packet: &[u8]) {
    let Some(said) = Announcement::read(family, packet) else { return };
    assert_eq!(Family::of(said.address), family);
    let frame = said.frame();
    let written = match family {
        Family::Ipv4 => frame.payload(),
        Family::Ipv6 => &frame.payload()[40..],
    };
    assert_eq!(Announcement::read(family, written), Some(said));
    let holds = |octets: &[u8]| packet.windows(octets.len()).any(|window| window == octets);
    assert!(holds(&said.mac.0));
    assert!(match said.address {
        IpAddr::V4(address) => holds(&address.octets()),
        IpAddr::V6(address) => holds(&address.octets()),
    });
}

/// Checks that a datagram between nodes that is accepted is read again as the same message, when it
/// is written again. Random octets almost never have a good signature, so they are signed as well.
pub fn a_channel_message_survives(octets: &[u8]) {
    let key = ChannelKey::new(&[7; 32]).expect("32 octets");
    for datagram in [octets.to_vec(), Envelope::signed(&key, octets)] {
        let Ok(envelope) = Envelope::open(&key, &datagram) else { continue };
        let written = envelope.seal(&key).expect("what was read can be written");
        assert_eq!(Envelope::open(&key, &written), Ok(envelope));
    }
}
