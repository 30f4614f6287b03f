//! What the kernel takes away together with an address of ours, and somebody else put there. Pure.
//!
//! Without `promote_secondaries` Linux deletes with the first IPv4 address of a network all others of it, and with
//! the last address of an interface all its routes. While ours goes, each of those others is stood in for by the same
//! address as a /32: packets to it are delivered and routes stay, until it is back as it was.

use crate::kernel::address::{ObservedAddress, Origin, Rank, Readiness};
use crate::kernel::ownership::Operation;
use ipnet::IpNet;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use std::collections::BTreeSet;

/// What is to be done around some removals.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sweep {
    /// Before them.
    pub(super) stand_ins: Vec<Operation>,
    /// After them: what was swept, as it was.
    pub(super) swept: Vec<AddressMessage>,
    /// At last.
    pub(super) relieved: Vec<Operation>,
}

/// The interfaces on which `operations` remove the first IPv4 address of a network.
pub(super) fn exposed(operations: &[Operation]) -> BTreeSet<u32> {
    primaries(operations).map(|address| address.index).collect()
}

impl Sweep {
    /// What `operations` would sweep of what is `listed`, on these interfaces.
    pub(super) fn of(listed: &[AddressMessage], operations: &[Operation], unguarded: &BTreeSet<u32>) -> Self {
        let mut sweep = Self::default();
        let observed: Vec<_> = listed.iter().filter_map(ObservedAddress::decode).collect();
        for message in listed {
            let Some(address) = ObservedAddress::decode(message) else { continue };
            let goes_with = |primary: &ObservedAddress| {
                primary.index == address.index
                    && primary.net.prefix_len() == address.net.prefix_len()
                    && primary.net.trunc() == address.net.trunc()
            };
            let is_swept = address.origin == Origin::Foreign
                && address.rank == Rank::Secondary
                && unguarded.contains(&address.index)
                && primaries(operations).any(goes_with);
            if !is_swept {
                continue;
            }
            sweep.swept.push(as_it_was(message));
            let same = |other: &&ObservedAddress| {
                (other.index, other.net.addr()) == (address.index, address.net.addr())
            };
            // Somebody has it a second time: that one stays, and does for a stand-in.
            if observed.iter().filter(same).count() == 1 {
                let net = IpNet::from(address.net.addr());
                sweep.stand_ins.push(Operation::Add { index: address.index, net });
                sweep.relieved.push(Operation::Remove(stand_in(address.index, net)));
            }
        }
        sweep
    }
}

fn primaries(operations: &[Operation]) -> impl Iterator<Item = &ObservedAddress> {
    operations.iter().filter_map(|operation| match operation {
        Operation::Remove(address) if address.net.addr().is_ipv4() && address.rank == Rank::Primary => {
            Some(address)
        }
        Operation::Remove(_) | Operation::Add { .. } => None,
    })
}

fn stand_in(index: u32, net: IpNet) -> ObservedAddress {
    ObservedAddress {
        index,
        net,
        peer: None,
        origin: Origin::Ours,
        rank: Rank::Primary,
        readiness: Readiness::Ready,
        scope: AddressScope::Universe,
    }
}

/// The request that makes an address again as it was listed: scope, label, broadcast address, metric, mark, flags, and
/// what was left of its lifetimes. What the kernel works out by itself is left to it.
fn as_it_was(listed: &AddressMessage) -> AddressMessage {
    let own = AddressFlags::Secondary | AddressFlags::Permanent | AddressFlags::Deprecated;
    let mut message = listed.clone();
    message.header.flags = AddressHeaderFlags::empty();
    message.attributes.retain(|attribute| !matches!(attribute, AddressAttribute::TargetNetNsId(_)));
    for attribute in &mut message.attributes {
        if let AddressAttribute::Flags(flags) = attribute {
            flags.remove(own);
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::address::installation;
    use netlink_packet_route::address::AddressProtocol;

    const ETH0: u32 = 2;

    fn listed(net: &str, flags: AddressFlags) -> AddressMessage {
        let mut message = installation(ETH0, net.parse().unwrap());
        message.attributes.retain(|attribute| !matches!(attribute, AddressAttribute::Protocol(_)));
        message.attributes.push(AddressAttribute::Flags(flags));
        message
    }

    fn ours(net: &str) -> AddressMessage {
        installation(ETH0, net.parse().unwrap())
    }

    fn removal(message: &AddressMessage) -> Operation {
        Operation::Remove(ObservedAddress::decode(message).unwrap())
    }

    #[test]
    fn others_of_the_same_network_are_swept_and_stood_in_for() {
        let first = ours("192.0.2.50/24");
        let table = [
            first.clone(),
            listed("192.0.2.10/24", AddressFlags::Secondary),
            listed("192.0.2.11/25", AddressFlags::Permanent),
            listed("198.51.100.1/24", AddressFlags::Permanent),
        ];
        let sweep = Sweep::of(&table, &[removal(&first)], &BTreeSet::from([ETH0]));
        let [swept] = &sweep.swept[..] else { panic!("{sweep:?}") };
        assert_eq!(ObservedAddress::decode(swept).unwrap().net.to_string(), "192.0.2.10/24");
        assert_eq!(
            ObservedAddress::decode(swept).unwrap().rank,
            Rank::Primary,
            "the kernel says which rank it has"
        );
        let net = "192.0.2.10/32".parse().unwrap();
        assert_eq!(sweep.stand_ins, [Operation::Add { index: ETH0, net }]);
        assert_eq!(sweep.relieved[0].place(), (ETH0, net.addr()));
    }

    #[test]
    fn nothing_is_swept_where_the_kernel_promotes_nor_by_a_secondary() {
        let first = ours("192.0.2.50/24");
        let table = [first.clone(), listed("192.0.2.10/24", AddressFlags::Secondary)];
        assert_eq!(Sweep::of(&table, &[removal(&first)], &BTreeSet::new()), Sweep::default());
        let Operation::Remove(address) = removal(&first) else { unreachable!("it removes") };
        let secondary = Operation::Remove(ObservedAddress { rank: Rank::Secondary, ..address });
        assert_eq!(Sweep::of(&table, &[secondary], &BTreeSet::from([ETH0])), Sweep::default());
        assert_eq!(
            (exposed(&[secondary]), exposed(&[removal(&first)])),
            (BTreeSet::new(), BTreeSet::from([ETH0]))
        );
    }

    #[test]
    fn what_is_there_a_second_time_needs_no_stand_in() {
        let first = ours("192.0.2.50/24");
        let twice = ["192.0.2.10/24", "192.0.2.10/32"].map(|net| {
            let secondary =
                if net.ends_with("/24") { AddressFlags::Secondary } else { AddressFlags::Permanent };
            listed(net, secondary)
        });
        let table = [vec![first.clone()], twice.into()].concat();
        let sweep = Sweep::of(&table, &[removal(&first)], &BTreeSet::from([ETH0]));
        assert_eq!((sweep.swept.len(), sweep.stand_ins.len()), (1, 0));
    }

    #[test]
    fn it_comes_back_with_everything_that_somebody_set() {
        let mut message = listed("192.0.2.10/24", AddressFlags::Secondary | AddressFlags::Noprefixroute);
        let set = [
            AddressAttribute::Label("eth0:x".to_owned()),
            AddressAttribute::Broadcast([192, 0, 2, 255].into()),
            AddressAttribute::RoutePriority(100),
            AddressAttribute::Protocol(AddressProtocol::Other(18)),
        ];
        message.attributes.extend(set.clone());
        message.attributes.push(AddressAttribute::TargetNetNsId(1));
        message.header.scope = AddressScope::Link;
        let again = as_it_was(&message);
        assert!(set.iter().all(|attribute| again.attributes.contains(attribute)), "{again:?}");
        assert!(again.attributes.contains(&AddressAttribute::Flags(AddressFlags::Noprefixroute)));
        assert!(!again.attributes.contains(&AddressAttribute::TargetNetNsId(1)));
        assert_eq!(again.header.scope, AddressScope::Link);
    }
}
