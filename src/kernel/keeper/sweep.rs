//! Addresses of other programs that the kernel removes together with an address of ours. Pure.
//!
//! Without `promote_secondaries`, Linux deletes with the first IPv4 address of a network all others
//! of that network, and with the last address of an interface all its routes. While our address is
//! removed, each of the others has a stand-in, which is the same address as a /32: packets to it
//! are delivered and routes stay, until the address is back as it was.

use super::ledger::Refusals;
use crate::kernel::address::{AddressRank, ObservedAddress, Origin, Readiness};
use crate::kernel::netlink::{Refusal, Return};
use crate::kernel::resources::Operation;
use crate::kernel::resources::address::{self, AddressOperation};
use ipnet::IpNet;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use nix::errno::Errno;
use std::collections::BTreeSet;

/// What has to be done before and after some removals.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sweep {
    /// Additions of stand-ins, to be made before the removals.
    pub(super) stand_ins: Vec<Operation>,
    /// Addresses to install again after the removals.
    pub(super) swept: Vec<Swept>,
}

/// An address of another program that a removal sweeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Swept {
    /// The request that installs the address as it was.
    pub(super) message: AddressMessage,
    /// The removal of its stand-in, to be made when the address is back.
    relief: Option<Operation>,
    /// Whether the kernel has refused the address, which is reported once.
    refused: bool,
}

/// Addresses of other programs that were swept and are not back yet. They are kept whatever fails
/// in the meantime, and so are their stand-ins.
#[derive(Debug, Default)]
pub(super) struct Debt(Vec<Swept>);

/// The result of installing them again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Payment {
    /// Removals of stand-ins that are not needed any more.
    pub(super) relieved: Vec<Operation>,
    /// What has to be reported: the interface, the address, and why it is not back.
    pub(super) news: Vec<(u32, IpNet, Result<(), String>)>,
}

impl Debt {
    /// Records addresses; to be called before the removals that sweep them.
    pub(super) fn owe(&mut self, swept: Vec<Swept>) {
        self.0.extend(swept);
    }

    pub(super) fn messages(&self) -> Vec<AddressMessage> {
        self.0.iter().map(|swept| swept.message.clone()).collect()
    }

    /// Takes the outcomes of [`Self::messages`], in the same order. An address that the kernel
    /// refuses stays in the list, because its stand-in is all that is left of it.
    pub(super) fn pay(&mut self, outcomes: Vec<Result<Return, Refusal>>) -> Payment {
        let mut payment = Payment::default();
        for (mut swept, outcome) in std::mem::take(&mut self.0).into_iter().zip(outcomes) {
            let Some(address) = ObservedAddress::decode(&swept.message) else { continue };
            let news = match outcome {
                Ok(Return::WasThere) => None,
                Ok(Return::Installed) => Some(Ok(())),
                // The address disappeared with its interface.
                Err(refusal) if refusal.errno == Errno::ENODEV => continue,
                Err(refusal) => {
                    let first = !std::mem::replace(&mut swept.refused, true);
                    payment
                        .news
                        .extend(first.then(|| (address.index, address.net, Err(refusal.to_string()))));
                    self.0.push(swept);
                    continue;
                }
            };
            payment.news.extend(news.map(|outcome| (address.index, address.net, outcome)));
            payment.relieved.extend(swept.relief);
        }
        payment
    }

    /// Drops the operations that would remove a stand-in.
    pub(super) fn spare(&self, operations: &mut Vec<Operation>) {
        let stands_in = |address: &ObservedAddress| {
            let removals = self.0.iter().filter_map(|swept| swept.relief.as_ref());
            let mut removed = removals.filter_map(Operation::address).filter_map(AddressOperation::removed);
            removed.any(|own| (own.index, own.net) == (address.index, address.net))
        };
        let removed =
            |operation: &Operation| operation.address().and_then(AddressOperation::removed).copied();
        operations.retain(|operation| !removed(operation).is_some_and(|address| stands_in(&address)));
    }

    /// The addresses that are not back yet, with an error message.
    pub(super) fn refusals(&self) -> Refusals {
        let addresses = self.0.iter().filter_map(|swept| ObservedAddress::decode(&swept.message));
        let why = |net| format!("cannot put back {net}, which is somebody else's");
        addresses.map(|address| (address::resource(&address), why(address.net))).collect()
    }
}

/// The interfaces on which `operations` remove the first IPv4 address of a network.
pub(super) fn exposed(operations: &[Operation]) -> BTreeSet<u32> {
    primaries(operations).map(|address| address.index).collect()
}

impl Sweep {
    /// The sweep that `operations` would cause among the `listed` addresses, on the interfaces
    /// without `promote_secondaries`.
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
                && address.rank == AddressRank::Secondary
                && unguarded.contains(&address.index)
                && primaries(operations).any(goes_with);
            if !is_swept {
                continue;
            }
            let same = |other: &&ObservedAddress| {
                (other.index, other.net.addr()) == (address.index, address.net.addr())
            };
            // If the same address is there a second time, that one stays, and no stand-in is
            // needed.
            let net = IpNet::from(address.net.addr());
            let alone = observed.iter().filter(same).count() == 1;
            let relief = alone.then(|| AddressOperation::Remove(stand_in(address.index, net)).into());
            let addition = AddressOperation::Add { index: address.index, net };
            sweep.stand_ins.extend(alone.then(|| Operation::from(addition)));
            sweep.swept.push(Swept { message: as_it_was(message), relief, refused: false });
        }
        sweep
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
        assert_eq!(ObservedAddress::decode(&swept.message).unwrap().net.to_string(), "192.0.2.10/24");
        assert_eq!(
            ObservedAddress::decode(&swept.message).unwrap().rank,
            AddressRank::Primary,
            "the kernel says which rank it has"
        );
        let net = "192.0.2.10/32".parse().unwrap();
        assert_eq!(sweep.stand_ins, [AddressOperation::Add { index: ETH0, net }.into()]);
        assert_eq!(
            swept.relief.as_ref().unwrap().resource(),
            Resource::Address { index: ETH0, address: net.addr() }
        );
    }

    /// Two swept addresses that are not back, and the removals of their stand-ins.
    fn debt() -> (Debt, Vec<Operation>) {
        let first = ours("192.0.2.50/24");
        let others = ["192.0.2.10/24", "192.0.2.11/24"].map(|net| listed(net, AddressFlags::Secondary));
        let table = [vec![first.clone()], others.into()].concat();
        let sweep = Sweep::of(&table, &[removal(&first)], &BTreeSet::from([ETH0]));
        let removals = sweep.swept.iter().filter_map(|swept| swept.relief).collect();
        let mut debt = Debt::default();
        debt.owe(sweep.swept);
        (debt, removals)
    }

    fn refusal(errno: Errno) -> Result<Return, Refusal> {
        Err(Refusal { errno, text: None })
    }

    #[test]
    fn stand_ins_of_addresses_that_are_back_go_and_refused_ones_stay_and_are_reported_once() {
        let (mut debt, removals) = debt();
        let payment = debt.pay(vec![Ok(Return::Installed), refusal(Errno::ENOBUFS)]);
        assert_eq!(payment.relieved, removals[..1]);
        let told: Vec<_> =
            payment.news.iter().map(|(_, net, outcome)| (net.to_string(), outcome.is_ok())).collect();
        assert_eq!(told, [("192.0.2.10/24".to_owned(), true), ("192.0.2.11/24".to_owned(), false)]);
        assert_eq!(debt.refusals().len(), 1);
        assert_eq!(debt.pay(vec![refusal(Errno::ENOBUFS)]), Payment::default());
        let payment = debt.pay(vec![Ok(Return::Installed)]);
        assert_eq!((payment.relieved.as_slice(), payment.news.len()), (&removals[1..], 1));
        assert!(debt.messages().is_empty());
    }

    #[test]
    fn an_address_that_stayed_is_not_reported_and_one_of_a_deleted_interface_is_dropped() {
        let (mut debt, removals) = debt();
        let payment = debt.pay(vec![Ok(Return::WasThere), refusal(Errno::ENODEV)]);
        assert_eq!(payment, Payment { relieved: removals[..1].into(), news: vec![] });
        assert!(debt.messages().is_empty());
    }

    #[test]
    fn stand_ins_stay_while_their_address_is_owed() {
        let (mut debt, mut removals) = debt();
        removals.push(removal(&ours("192.0.2.60/24")));
        let mut spared = removals.clone();
        debt.spare(&mut spared);
        assert_eq!(spared, removals[2..]);
        debt.pay(vec![Ok(Return::Installed), Ok(Return::Installed)]);
        let mut all = removals.clone();
        debt.spare(&mut all);
        assert_eq!(all, removals);
    }

    #[test]
    fn nothing_is_swept_where_the_kernel_promotes_nor_by_a_secondary() {
        let first = ours("192.0.2.50/24");
        let table = [first.clone(), listed("192.0.2.10/24", AddressFlags::Secondary)];
        assert_eq!(Sweep::of(&table, &[removal(&first)], &BTreeSet::new()), Sweep::default());
        let address = ObservedAddress::decode(&first).unwrap();
        let secondary =
            AddressOperation::Remove(ObservedAddress { rank: AddressRank::Secondary, ..address }).into();
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
