//! How a message must have been carried: the checks of the IP header, which come before all others
//! (RFC 9568 §5.1, §7.1). What they demand follows from where the router sends: to the group, or to
//! single nodes.

use crate::protocol::spec::RouterSpec;
use crate::types::{Destinations, Family};
use crate::wire::{Carrier, RejectReason};
use std::net::IpAddr;

/// The TTL and Hop Limit with which every router sends: whoever forwards a packet lowers it.
const SENT_TTL: u8 = 255;

/// What is demanded of the IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) struct CarrierRule {
    delivery: Delivery,
    min_ttl: u8,
}

/// To whom a message must have been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    Group,
    ThisNode,
}

impl CarrierRule {
    /// The rule of RFC 9568.
    pub(in crate::protocol) const MULTICAST: Self = Self { delivery: Delivery::Group, min_ttl: SENT_TTL };

    /// The rule of a router that sends to `destinations`.
    pub(in crate::protocol) const fn of(destinations: &Destinations) -> Self {
        match destinations {
            Destinations::Multicast => Self::MULTICAST,
            Destinations::Unicast(peers) => {
                Self { delivery: Delivery::ThisNode, min_ttl: peers.min_ttl.get() }
            }
        }
    }

    /// Checks one header. `is_ours`: whether the interface has an address of its own, from which this
    /// node may speak.
    ///
    /// # Errors
    /// The reason why the message is discarded.
    pub(in crate::protocol) fn examine(
        self,
        carrier: &Carrier,
        is_ours: impl Fn(IpAddr) -> bool,
    ) -> Result<(), RejectReason> {
        let family = Family::of(carrier.destination);
        // RFC9568-7.1-14
        let delivered = match self.delivery {
            Delivery::Group => carrier.destination == family.group(),
            Delivery::ThisNode => is_ours(carrier.destination),
        };
        if !delivered {
            return Err(RejectReason::BadDestination);
        }
        if !self.may_be_router(family, carrier.source) {
            return Err(RejectReason::BadSource);
        }
        // GTSM: every router that forwards a packet lowers this value.
        // RFC9568-7.1-1
        if carrier.ttl < self.min_ttl {
            return Err(RejectReason::IpTtlErrors);
        }
        Ok(())
    }

    /// RFC 9568 §5.1.1.1, §5.1.2.1. Other receivers would accept such a source address, and the
    /// tie-break would compare it. That it is link-local for IPv6 is a rule for the group: nodes that
    /// are listed may have any address.
    fn may_be_router(self, family: Family, source: IpAddr) -> bool {
        match (family, source) {
            (Family::Ipv4, IpAddr::V4(source)) => {
                // RFC 1122 §3.2.1.3, RFC 6890: "this network", loopback, groups and reserved addresses,
                // the limited broadcast address included.
                let [first, ..] = source.octets();
                !matches!(first, 0 | 127 | 224..)
            }
            (Family::Ipv6, IpAddr::V6(source)) => match self.delivery {
                Delivery::Group => source.is_unicast_link_local(),
                Delivery::ThisNode => {
                    !source.is_multicast() && !source.is_loopback() && !source.is_unspecified()
                }
            },
            (Family::Ipv4, IpAddr::V6(_)) | (Family::Ipv6, IpAddr::V4(_)) => false,
        }
    }
}

/// Whether the configuration names the sender of a message, or names nobody.
pub(in crate::protocol) fn accepts(spec: &RouterSpec, sender: IpAddr) -> bool {
    let listed = spec.destinations.unicast().is_none_or(|peers| peers.addresses.contains(&sender));
    listed && (spec.accept_from.is_empty() || spec.accept_from.contains(&sender))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::UnicastPeers;
    use std::num::NonZeroU8;

    const US: [&str; 3] = ["192.0.2.100", "fe80::64", "2001:db8::64"];

    fn carrier(source: &str, destination: &str, ttl: u8) -> Carrier {
        Carrier { source: source.parse().unwrap(), destination: destination.parse().unwrap(), ttl }
    }

    fn unicast(min_ttl: u8) -> CarrierRule {
        let peers = UnicastPeers { addresses: Vec::new(), min_ttl: NonZeroU8::new(min_ttl).unwrap() };
        CarrierRule::of(&Destinations::Unicast(peers))
    }

    fn verdict(rule: CarrierRule, carrier: &Carrier) -> Result<(), RejectReason> {
        rule.examine(carrier, |address| US.iter().any(|ours| ours.parse() == Ok(address)))
    }

    // T51, RFC9568-7.1-14
    #[test]
    fn only_the_group_is_a_destination() {
        for destination in ["192.0.2.100", "224.0.0.1", "224.0.0.19", "255.255.255.255"] {
            let carrier = carrier("192.0.2.1", destination, 255);
            assert_eq!(verdict(CarrierRule::MULTICAST, &carrier), Err(RejectReason::BadDestination));
        }
        for destination in ["ff02::1", "ff05::12", "fe80::64"] {
            let carrier = carrier("fe80::a", destination, 255);
            assert_eq!(verdict(CarrierRule::MULTICAST, &carrier), Err(RejectReason::BadDestination));
        }
        assert_eq!(verdict(CarrierRule::MULTICAST, &carrier("192.0.2.1", "224.0.0.18", 255)), Ok(()));
        assert_eq!(verdict(CarrierRule::MULTICAST, &carrier("fe80::a", "ff02::12", 255)), Ok(()));
    }

    // T51, RFC9568-7.1-14
    #[test]
    fn a_source_that_cannot_be_a_router_is_refused() {
        for source in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "240.0.0.1",
            "255.0.0.1",
            "224.0.0.18",
            "239.1.2.3",
            "255.255.255.255",
            "fe80::a",
        ] {
            for (rule, destination) in [(CarrierRule::MULTICAST, "224.0.0.18"), (unicast(1), US[0])] {
                let refused = verdict(rule, &carrier(source, destination, 255));
                assert_eq!(refused, Err(RejectReason::BadSource), "{source}");
            }
        }
        for source in
            ["::", "::1", "2001:db8::1", "fec0::1", "fe7f::1", "ff02::12", "::ffff:192.0.2.1", "192.0.2.1"]
        {
            let refused = verdict(CarrierRule::MULTICAST, &carrier(source, "ff02::12", 255));
            assert_eq!(refused, Err(RejectReason::BadSource), "{source}");
        }
        for source in ["::", "::1", "ff02::12", "192.0.2.1"] {
            let refused = verdict(unicast(1), &carrier(source, US[2], 255));
            assert_eq!(refused, Err(RejectReason::BadSource), "{source}");
        }
        for source in ["10.0.0.1", "169.254.1.1"] {
            assert_eq!(verdict(CarrierRule::MULTICAST, &carrier(source, "224.0.0.18", 255)), Ok(()));
        }
        for source in ["fe80::1", "febf:ffff::1"] {
            assert_eq!(verdict(CarrierRule::MULTICAST, &carrier(source, "ff02::12", 255)), Ok(()));
        }
    }

    // T39, RFC9568-7.1-1
    #[test]
    fn every_ttl_but_255_is_refused_in_both_families() {
        for ttl in 0..=254 {
            for (source, destination) in [("192.0.2.1", "224.0.0.18"), ("fe80::a", "ff02::12")] {
                let refused = verdict(CarrierRule::MULTICAST, &carrier(source, destination, ttl));
                assert_eq!(refused, Err(RejectReason::IpTtlErrors), "{ttl}");
            }
        }
    }

    #[test]
    fn the_first_check_that_fails_gives_the_reason() {
        let all_wrong = carrier("127.0.0.1", "224.0.0.1", 1);
        assert_eq!(verdict(CarrierRule::MULTICAST, &all_wrong), Err(RejectReason::BadDestination));
        let group = Carrier { destination: Family::Ipv4.group(), ..all_wrong };
        assert_eq!(verdict(CarrierRule::MULTICAST, &group), Err(RejectReason::BadSource));
    }

    #[test]
    fn with_unicast_a_message_must_be_for_this_node_and_as_near_as_configured() {
        for (source, ours, others) in [
            ("192.0.2.1", US[0], ["224.0.0.18", "192.0.2.101", "255.255.255.255"]),
            ("2001:db8::1", US[2], ["ff02::12", "2001:db8::65", "::1"]),
            ("fe80::1", US[1], ["ff02::12", "fe80::65", "ff02::1"]),
        ] {
            for other in others {
                let refused = verdict(unicast(1), &carrier(source, other, 255));
                assert_eq!(refused, Err(RejectReason::BadDestination), "{other}");
            }
            for (min_ttl, ttl, accepted) in
                [(255, 255, true), (255, 254, false), (64, 255, true), (64, 64, true), (64, 63, false)]
            {
                let verdict = verdict(unicast(min_ttl), &carrier(source, ours, ttl));
                assert_eq!(verdict.is_ok(), accepted, "{source} {min_ttl} {ttl}");
                assert!(accepted || verdict == Err(RejectReason::IpTtlErrors));
            }
        }
    }
}
