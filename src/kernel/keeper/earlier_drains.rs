//! What an earlier run of this agent left draining: the addresses on `lo` say so.

use crate::kernel::address::{LOOPBACK, ObservedAddress, Origin};
use crate::kernel::netlink::{Netlink, NetlinkError};
use crate::kernel::resources::address::left_of_drain;
use std::net::IpAddr;
use std::time::Duration;

/// An address that drains since an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlierDrain {
    /// The address.
    pub address: IpAddr,
    /// For how long it is still to drain. With this lifetime, a drain goes on without touching the
    /// address.
    pub left: Duration,
}

/// The addresses that an earlier run left draining in the network namespace of the calling thread. To
/// be asked before the address thread is started, which removes those that nobody wants.
///
/// # Errors
/// [`NetlinkError`].
pub fn earlier_drains() -> Result<Vec<EarlierDrain>, NetlinkError> {
    Ok(earlier_drains_among(&Netlink::open()?.addresses()?))
}

/// As [`earlier_drains()`], from addresses that are listed already. An address of ours on `lo` that is
/// not limited does not belong to a drain.
#[must_use]
pub fn earlier_drains_among(addresses: &[ObservedAddress]) -> Vec<EarlierDrain> {
    let ours = addresses.iter().filter(|it| it.index == LOOPBACK && it.origin == Origin::Ours);
    let drain = |it: &ObservedAddress| {
        let left = left_of_drain(it.lifetime).filter(|left| !left.is_zero())?;
        Some(EarlierDrain { address: it.net.addr(), left })
    };
    ours.filter_map(drain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::address::AddressLifetime;

    #[test]
    fn only_limited_addresses_of_ours_on_lo_drain() {
        let seconds = Duration::from_secs;
        let with = |index, net, origin, lifetime| ObservedAddress {
            lifetime,
            ..ObservedAddress::ready(index, net, origin)
        };
        let minute = AddressLifetime::Limited(seconds(60));
        let addresses = [
            with(LOOPBACK, "192.0.2.50/32", Origin::Ours, minute),
            with(LOOPBACK, "192.0.2.51/32", Origin::Foreign, minute),
            with(2, "192.0.2.52/24", Origin::Ours, minute),
            with(LOOPBACK, "192.0.2.53/32", Origin::Ours, AddressLifetime::Unlimited),
            with(LOOPBACK, "2001:db8::50/128", Origin::Ours, AddressLifetime::Limited(seconds(3))),
            // It ends as good as now.
            with(LOOPBACK, "2001:db8::51/128", Origin::Ours, AddressLifetime::Limited(seconds(2))),
        ];
        let found: Vec<_> =
            earlier_drains_among(&addresses).iter().map(|it| (it.address.to_string(), it.left)).collect();
        let expected = [("192.0.2.50".to_owned(), seconds(58)), ("2001:db8::50".to_owned(), seconds(1))];
        assert_eq!(found, expected);
    }
}
