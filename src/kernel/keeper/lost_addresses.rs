//! Addresses of other programs that the kernel removes together with an address of ours. Pure.
//!
//! Without `promote_secondaries`, Linux deletes with the first IPv4 address of a network all others
//! of that network, and with the last address of an interface all its routes. While our address is
//! removed, each of the others has a stand-in, which is the same address as a /32: packets to it
//! are delivered and routes stay, until the address is back as it was.

use crate::kernel::address::{AddressLifetime, AddressRank, ObservedAddress, Origin, Readiness};
use crate::kernel::netlink::{KernelRefusal, Restoration};
use crate::kernel::resources::address::{self, AddressOperation};
use crate::kernel::resources::{Operation, Refusals};
use ipnet::IpNet;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use nix::errno::Errno;
use std::collections::BTreeSet;

/// The addresses that some removals lose, and what has to be done before and after the removals.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RemovalLosses {
    /// Additions of stand-ins, to be made before the removals.
    pub(super) stand_ins: Vec<Operation>,
    /// Addresses to install again after the removals.
    pub(super) lost: Vec<LostAddress>,
}

/// An address of another program that the kernel removes together with one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LostAddress {
    /// The request that installs the address as it was.
    pub(super) message: AddressMessage,
    /// The removal of its stand-in, to be made when the address is back.
    stand_in_removal: Option<Operation>,
    /// Whether the kernel has refused the address, which is reported once.
    refused: bool,
}

/// Addresses of other programs that the kernel removed and that are not back yet. They are
/// remembered whatever fails in the meantime, and their stand-ins are kept.
#[derive(Debug, Default)]
pub(super) struct LostAddresses(Vec<LostAddress>);

/// The result of installing them again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RestoreReport {
    /// Removals of stand-ins that are not needed any more.
    pub(super) stand_in_removals: Vec<Operation>,
    /// What has to be reported: the interface, the address, and why it is not back.
    pub(super) reports: Vec<(u32, IpNet, Result<(), String>)>,
}

impl LostAddresses {
    /// Records addresses; to be called before the removals by which they are lost.
    pub(super) fn record(&mut self, lost: Vec<LostAddress>) {
        self.0.extend(lost);
    }

    /// The requests that install the addresses again.
    pub(super) fn messages(&self) -> Vec<AddressMessage> {
        self.0.iter().map(|lost| lost.message.clone()).collect()
    }

    /// Takes the outcomes of [`Self::messages`], in the same order. An address that the kernel
    /// refuses stays in the list, because its stand-in is all that is left of it.
    pub(super) fn take_results(
        &mut self,
        outcomes: Vec<Result<Restoration, KernelRefusal>>,
    ) -> RestoreReport {
        let mut report = RestoreReport::default();
        for (mut lost, outcome) in std::mem::take(&mut self.0).into_iter().zip(outcomes) {
            let Some(address) = ObservedAddress::decode(&lost.message) else { continue };
            let restored = match outcome {
                Ok(Restoration::WasThere) => None,
                Ok(Restoration::Installed) => Some(Ok(())),
                // The address disappeared with its interface.
                Err(refusal) if refusal.errno == Errno::ENODEV => continue,
                Err(refusal) => {
                    let first = !std::mem::replace(&mut lost.refused, true);
                    report
                        .reports
                        .extend(first.then(|| (address.index, address.net, Err(refusal.to_string()))));
                    self.0.push(lost);
                    continue;
                }
            };
            report.reports.extend(restored.map(|outcome| (address.index, address.net, outcome)));
            report.stand_in_removals.extend(lost.stand_in_removal);
        }
        report
    }

    /// Drops the operations that would remove a stand-in.
    pub(super) fn keep_stand_ins(&self, operations: &mut Vec<Operation>) {
        let stands_in = |address: &ObservedAddress| {
            let removals = self.0.iter().filter_map(|lost| lost.stand_in_removal.as_ref());
            let mut removed = removals.filter_map(Operation::address).filter_map(AddressOperation::removed);
            removed.any(|own| (own.index, own.net) == (address.index, address.net))
        };
        let removed =
            |operation: &Operation| operation.address().and_then(AddressOperation::removed).copied();
        operations.retain(|operation| !removed(operation).is_some_and(|address| stands_in(&address)));
    }

    /// The addresses that are not back yet, with an error message.
    pub(super) fn refusals(&self) -> Refusals {
        let addresses = self.0.iter().filter_map(|lost| ObservedAddress::decode(&lost.message));
        let why = |net| format!("cannot restore {net}, an address of another program");
        addresses.map(|address| (address::resource(&address), why(address.net))).collect()
    }
}

/// The interfaces on which `operations` remove the first IPv4 address of a network.
pub(super) fn interfaces_at_risk(operations: &[Operation]) -> BTreeSet<u32> {
    primaries(operations).map(|address| address.index).collect()
}

impl RemovalLosses {
    /// The addresses that `operations` would lose among the `listed` addresses, on the interfaces
    /// without `promote_secondaries`.
    pub(super) fn of(
        listed: &[AddressMessage],
        operations: &[Operation],
        not_promoting: &BTreeSet<u32>,
    ) -> Self {
        let mut losses = Self::default();
        let observed: Vec<_> = listed.iter().filter_map(ObservedAddress::decode).collect();
        for message in listed {
            let Some(address) = ObservedAddress::decode(message) else { continue };
            let goes_with = |primary: &ObservedAddress| {
                primary.index == address.index
                    && primary.net.prefix_len() == address.net.prefix_len()
                    && primary.net.trunc() == address.net.trunc()
            };
            let is_lost = address.origin == Origin::Foreign
                && address.rank == AddressRank::Secondary
                && not_promoting.contains(&address.index)
                && primaries(operations).any(goes_with);
            if !is_lost {
                continue;
            }
            let same = |other: &&ObservedAddress| {
                (other.index, other.net.addr()) == (address.index, address.net.addr())
            };
            // If the same address is there a second time, that one stays, and no stand-in is
            // needed.
            let net = IpNet::from(address.net.addr());
            let alone = observed.iter().filter(same).count() == 1;
            let stand_in_removal =
                alone.then(|| AddressOperation::Remove(stand_in(address.index, net)).into());
            let addition = AddressOperation::Add { index: address.index, net };
            losses.stand_ins.extend(alone.then(|| Operation::from(addition)));
            losses.lost.push(LostAddress { message: as_it_was(message), stand_in_removal, refused: false });
        }
        losses
    }
}

fn primaries(operations: &[Operation]) -> impl Iterator<Item = &ObservedAddress> {
    let removed = operations.iter().filter_map(Operation::address).filter_map(AddressOperation::removed);
    removed.filter(|address| address.net.addr().is_ipv4() && address.rank == AddressRank::Primary)
}

fn stand_in(index: u32, net: IpNet) -> ObservedAddress {
    ObservedAddress {
        index,
        net,
        peer: None,
        origin: Origin::Ours,
        rank: AddressRank::Primary,
        readiness: Readiness::Ready,
        note: None,
        lifetime: AddressLifetime::Unlimited,
        scope: AddressScope::Universe,
    }
}

/// The request that installs an address as it was listed: with its scope, label, broadcast address,
/// metric, mark, flags, and the rest of its lifetimes. Attributes that the kernel computes itself
/// are left out.
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
    use crate::kernel::resources::Resource;
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
        AddressOperation::Remove(ObservedAddress::decode(message).unwrap()).into()
    }

    #[test]
    fn others_of_the_same_network_are_lost_and_have_stand_ins() {
        let first = ours("192.0.2.50/24");
        let table = [
            first.clone(),
            listed("192.0.2.10/24", AddressFlags::Secondary),
            listed("192.0.2.11/25", AddressFlags::Permanent),
            listed("198.51.100.1/24", AddressFlags::Permanent),
        ];
        let losses = RemovalLosses::of(&table, &[removal(&first)], &BTreeSet::from([ETH0]));
        let [lost] = &losses.lost[..] else { panic!("{losses:?}") };
        assert_eq!(ObservedAddress::decode(&lost.message).unwrap().net.to_string(), "192.0.2.10/24");
        assert_eq!(
            ObservedAddress::decode(&lost.message).unwrap().rank,
            AddressRank::Primary,
            "the kernel says which rank it has"
        );
        let net = "192.0.2.10/32".parse().unwrap();
        assert_eq!(losses.stand_ins, [AddressOperation::Add { index: ETH0, net }.into()]);
        assert_eq!(
            lost.stand_in_removal.as_ref().unwrap().resource(),
            Resource::Address { index: ETH0, address: net.addr() }
        );
    }

    /// Two lost addresses that are not back, and the removals of their stand-ins.
    fn two_lost_addresses() -> (LostAddresses, Vec<Operation>) {
        let first = ours("192.0.2.50/24");
        let others = ["192.0.2.10/24", "192.0.2.11/24"].map(|net| listed(net, AddressFlags::Secondary));
        let table = [vec![first.clone()], others.into()].concat();
        let losses = RemovalLosses::of(&table, &[removal(&first)], &BTreeSet::from([ETH0]));
        let removals = losses.lost.iter().filter_map(|lost| lost.stand_in_removal).collect();
        let mut lost_addresses = LostAddresses::default();
        lost_addresses.record(losses.lost);
        (lost_addresses, removals)
    }

    fn refusal(errno: Errno) -> Result<Restoration, KernelRefusal> {
        Err(KernelRefusal { errno, text: None })
    }

    #[test]
    fn stand_ins_of_addresses_that_are_back_go_and_refused_ones_stay_and_are_reported_once() {
        let (mut lost_addresses, removals) = two_lost_addresses();
        let report = lost_addresses.take_results(vec![Ok(Restoration::Installed), refusal(Errno::ENOBUFS)]);
        assert_eq!(report.stand_in_removals, removals[..1]);
        let told: Vec<_> =
            report.reports.iter().map(|(_, net, outcome)| (net.to_string(), outcome.is_ok())).collect();
        assert_eq!(told, [("192.0.2.10/24".to_owned(), true), ("192.0.2.11/24".to_owned(), false)]);
        assert_eq!(lost_addresses.refusals().len(), 1);
        assert_eq!(lost_addresses.take_results(vec![refusal(Errno::ENOBUFS)]), RestoreReport::default());
        let report = lost_addresses.take_results(vec![Ok(Restoration::Installed)]);
        assert_eq!((report.stand_in_removals.as_slice(), report.reports.len()), (&removals[1..], 1));
        assert!(lost_addresses.messages().is_empty());
    }

    #[test]
    fn an_address_that_stayed_is_not_reported_and_one_of_a_deleted_interface_is_dropped() {
        let (mut lost_addresses, removals) = two_lost_addresses();
        let report = lost_addresses.take_results(vec![Ok(Restoration::WasThere), refusal(Errno::ENODEV)]);
        assert_eq!(report, RestoreReport { stand_in_removals: removals[..1].into(), reports: vec![] });
        assert!(lost_addresses.messages().is_empty());
    }

    #[test]
    fn stand_ins_stay_until_their_address_is_back() {
        let (mut lost_addresses, mut removals) = two_lost_addresses();
        removals.push(removal(&ours("192.0.2.60/24")));
        let mut spared = removals.clone();
        lost_addresses.keep_stand_ins(&mut spared);
        assert_eq!(spared, removals[2..]);
        lost_addresses.take_results(vec![Ok(Restoration::Installed), Ok(Restoration::Installed)]);
        let mut all = removals.clone();
        lost_addresses.keep_stand_ins(&mut all);
        assert_eq!(all, removals);
    }

    #[test]
    fn nothing_is_lost_where_the_kernel_promotes_nor_by_a_secondary() {
        let first = ours("192.0.2.50/24");
        let table = [first.clone(), listed("192.0.2.10/24", AddressFlags::Secondary)];
        assert_eq!(RemovalLosses::of(&table, &[removal(&first)], &BTreeSet::new()), RemovalLosses::default());
        let address = ObservedAddress::decode(&first).unwrap();
        let secondary =
            AddressOperation::Remove(ObservedAddress { rank: AddressRank::Secondary, ..address }).into();
        assert_eq!(
            RemovalLosses::of(&table, &[secondary], &BTreeSet::from([ETH0])),
            RemovalLosses::default()
        );
        assert_eq!(
            (interfaces_at_risk(&[secondary]), interfaces_at_risk(&[removal(&first)])),
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
        let losses = RemovalLosses::of(&table, &[removal(&first)], &BTreeSet::from([ETH0]));
        assert_eq!((losses.lost.len(), losses.stand_ins.len()), (1, 0));
    }

    #[test]
    fn an_address_comes_back_with_all_its_attributes() {
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
