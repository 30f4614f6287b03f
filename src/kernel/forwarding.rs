//! Forwards packets of strays to their leavers: the successor's half of draining.
//!
//! A node that gave its addresses away (the leaver) goes on to serve the connections that it has.
//! Their packets arrive at the node that has the addresses now (the successor), whose kernel sends
//! them on by the rules of this module, in a table of nf_tables. The rules look at TCP packets to the
//! addresses of an armed instance where an interface receives them, before conntrack and before any
//! firewall of the host, in this order:
//!
//! 1. An ICMP error that quotes a packet of a listed connection goes to the leaver whose list it is.
//! 2. A packet of a listed connection goes to that leaver, unless it comes from there.
//! 3. A SYN to an address that is turning is noted in `own`: the connection that it begins is ours.
//! 4. Such a SYN is dropped if `own` is full. It is sent again after a second, and a connection that
//!    nobody knows of would break.
//! 5. Any other packet to an address that is turning goes to the node that was Active until now,
//!    unless it comes from there or its connection is in `own`.
//!
//! An address is *turning* for the first seconds after the takeover, when hosts learn who has it now,
//! and when connections exist that no list has yet. It ends to be so by a timeout in the kernel, even
//! if this process hangs. A list is believed for some seconds as well. **A packet about which the
//! rules know nothing goes where it would go without them**: to this host, which resets what it does
//! not know.
//!
//! The table belongs to the socket of [`ForwardingTable`]. It ends with it, and `nft flush ruleset`
//! leaves it alone. Instances have a chain each, to which a map on the destination address leads, so
//! a packet is compared with the lists of one instance only, and packets to other addresses cost one
//! lookup. All rules of an instance are written again at each change, and nothing in the kernel
//! grows with the number of moves.
//!
//! This module must not know when to forward, or whom to believe. It does not block, but a list of
//! many connections takes milliseconds: it must not be used on the protocol's thread.

mod element;
mod error;
mod instance;

pub use error::ForwardingError;

use super::netlink::Netlink;
use super::nftables::socket::BATCH_SIZE;
use super::nftables::{
    ChainHook, Expression, HookPoint, KeyType, MetaKey, NewSet, NftablesError, NftablesSocket, REGISTER_0,
    SetContent, TableFamily, TableLifetime, Transaction, Verdict,
};
use crate::types::{Connection, Family, InstanceKey, InterfaceName, MacAddr, Vrid};
use element::ConnectionKey;
use instance::{ArmedInstance, equal, load};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The name of the table, of the family `netdev`.
pub const TABLE: &str = "vrrpd_forwarding";
/// The most connections that a list can have.
pub const MAXIMUM_CONNECTIONS: usize = 262_144;
/// The most leavers that an instance can have at a time.
pub const MAXIMUM_LEAVERS: usize = 8;
/// Before conntrack (-200) and any firewall.
const PRIORITY: i32 = -500;
/// Sets with the types of ICMP and ICMPv6 messages that report an error.
const ICMP_ERRORS: &str = "icmp_errors";
const ICMPV6_ERRORS: &str = "icmpv6_errors";

/// How long things last in the kernel, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardingSettings {
    /// How long an address is turning after it was armed: past the last announcement to hosts that
    /// may have missed the first ones.
    pub turning: Duration,
    /// How long a connection is known as our own after its SYN: longer than an address is turning.
    pub own: Duration,
    /// How long a list is believed that nobody renews, should this process not be able to end it.
    pub list: Duration,
    /// How many connections can begin here while an address is turning.
    pub room_for_own: u32,
}

impl Default for ForwardingSettings {
    fn default() -> Self {
        Self {
            turning: Duration::from_secs(6),
            own: Duration::from_secs(10),
            list: Duration::from_secs(15),
            room_for_own: 262_144,
        }
    }
}

/// A node that drains, as a neighbour on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Leaver {
    /// Its own address on the link, of the family of the instance. In IPv6 it is link-local: a
    /// virtual address would move.
    pub address: IpAddr,
    /// The source of the frames that it sends.
    pub mac: MacAddr,
}

/// What an instance forwards from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arming {
    /// The interface that receives the packets and is linked to the leavers.
    pub interface: InterfaceName,
    /// The index of that interface.
    pub index: u32,
    /// The addresses of the instance.
    pub addresses: BTreeSet<IpAddr>,
    /// Who was Active until now and still lives. The addresses turn from it to us; without it they do
    /// not turn, and only listed connections are forwarded.
    pub last: Option<Leaver>,
    /// Everybody who drains this instance; the last Active need not be among them.
    pub leavers: Vec<Leaver>,
    /// Our own connections to the addresses, of the last time when we served them. They are never
    /// sent to the last Active.
    pub own: Vec<Connection>,
}

/// What was forwarded to a leaver since it was armed, or since its interface came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardedCount {
    /// The instance that forwards.
    pub key: InstanceKey,
    /// The address of the leaver.
    pub leaver: IpAddr,
    /// Number of packets.
    pub packets: u64,
    /// Number of octets in them.
    pub octets: u64,
    /// Number of connections in its last list, and that were added since.
    pub listed: usize,
}

/// The table, and what is armed in it.
#[derive(Debug)]
pub struct ForwardingTable {
    socket: NftablesSocket,
    links: Netlink,
    settings: ForwardingSettings,
    interfaces: BTreeMap<InterfaceName, HookedInterface>,
    instances: BTreeMap<InstanceKey, ArmedInstance>,
    names: NameNumbers,
    certainty: Certainty,
}

/// Numbers for names of chains and sets: none is given twice.
#[derive(Debug, Default)]
struct NameNumbers(u32);

/// An interface whose packets the table sees.
#[derive(Debug, Clone, Copy)]
struct HookedInterface {
    index: u32,
    number: u32,
}

/// Whether we know what is in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certainty {
    Known,
    /// An answer of the kernel was lost.
    Unknown,
}

impl ForwardingTable {
    /// Creates the table in the network namespace of the calling thread, and tries on the loopback
    /// interface whether the kernel has everything that is needed.
    ///
    /// # Errors
    /// [`ForwardingError`], which says what the kernel lacks or forbids.
    pub fn open(settings: ForwardingSettings) -> Result<Self, ForwardingError> {
        let mut table = Self {
            socket: NftablesSocket::open()?,
            links: Netlink::open()?,
            settings,
            interfaces: BTreeMap::new(),
            instances: BTreeMap::new(),
            names: NameNumbers::default(),
            certainty: Certainty::Known,
        };
        table.create()?;
        table.probe()?;
        Ok(table)
    }

    /// Forwards for an instance from now on. An instance that is armed already is armed again: its
    /// addresses turn from now on, lists of leavers that it still has stay, and those of others end.
    ///
    /// # Errors
    /// [`ForwardingError`]; what was armed before still is.
    pub fn arm(&mut self, key: InstanceKey, arming: &Arming) -> Result<(), ForwardingError> {
        instance::check(key, arming)?;
        self.check_interface(arming.interface, arming.index)?;
        if self.certainty == Certainty::Unknown {
            self.begin_again()?;
        }
        let hooked = self.interfaces.get(&arming.interface).copied();
        let number = hooked.map_or_else(|| self.names.next(), |hooked| hooked.number);
        let hooked = HookedInterface { index: arming.index, number };

        let old = self.instances.get(&key).cloned();
        let next = ArmedInstance::new(key, arming, old.as_ref(), || self.names.next());
        let own = next.keys_of(&arming.own);
        let mut transaction = begin();
        next.create_own(&mut transaction, self.settings, own.len());
        let outcome = self.fill(transaction, &next.own_set(), &own).and_then(|mut transaction| {
            self.hook(&mut transaction, arming.interface, hooked);
            if let Some(old) = &old {
                old.take_from_map(&mut transaction, self.map_of(old));
            }
            next.create(&mut transaction, self.settings, old.as_ref());
            next.put_into_map(&mut transaction, &map_name(hooked, key.family));
            if let Some(old) = &old {
                old.delete(&mut transaction, Some(&next));
            }
            self.commit(transaction)
        });
        if let Err(error) = outcome {
            // A long list of own connections may have been sent in several transactions.
            let mut transaction = begin();
            transaction.delete_set(&next.own_set());
            let _refused_if_not_there = self.commit(transaction);
            return Err(error);
        }
        let left = old.map(|old| old.interface).filter(|interface| *interface != arming.interface);
        self.interfaces.insert(arming.interface, hooked);
        self.instances.insert(key, next);
        left.map_or(Ok(()), |interface| self.unhook_if_unused(interface))
    }

    /// Replaces the list of a leaver: packets of these connections go to it. No packet sees a part of
    /// a list, or none. Connections to other addresses than those of the instance are left out.
    /// Returns how many are listed.
    ///
    /// # Errors
    /// [`ForwardingError`]; the list is what it was.
    pub fn replace(
        &mut self,
        key: InstanceKey,
        leaver: IpAddr,
        connections: &[Connection],
    ) -> Result<usize, ForwardingError> {
        if connections.len() > MAXIMUM_CONNECTIONS {
            return Err(ForwardingError::TooManyConnections { count: connections.len() });
        }
        let mut next = self.armed(key)?.clone();
        let keys = next.keys_of(connections);
        // A leaver has two sets. The list is written to the one that no rule asks, in as many
        // transactions as it takes, and then the rules change over. The set that they leave is not
        // emptied before the next list: a packet may be under way that asks it.
        let set = next.begin_list(leaver, keys.len())?;
        let mut transaction = begin();
        transaction.flush_set(&set);
        let mut transaction = self.fill(transaction, &set, &keys)?;
        next.write_rules(&mut transaction);
        self.commit(transaction)?;
        self.instances.insert(key, next);
        Ok(keys.len())
    }

    /// Adds connections to the list of a leaver. One that is listed already is not renewed by this:
    /// it ends with the list that it is from, unless [`Self::replace`] renews that.
    ///
    /// # Errors
    /// [`ForwardingError`]; some of the connections may have been added.
    pub fn add(
        &mut self,
        key: InstanceKey,
        leaver: IpAddr,
        connections: &[Connection],
    ) -> Result<(), ForwardingError> {
        let mut next = self.armed(key)?.clone();
        let keys = next.keys_of(connections);
        let (set, listed) = next.extend_list(leaver, keys.len())?;
        if listed > MAXIMUM_CONNECTIONS {
            return Err(ForwardingError::TooManyConnections { count: listed });
        }
        let transaction = self.fill(begin(), &set, &keys)?;
        self.commit(transaction)?;
        self.instances.insert(key, next);
        Ok(())
    }

    /// Adds connections of ours that were not known when the instance was armed, while its addresses
    /// turn.
    ///
    /// # Errors
    /// [`ForwardingError`]; some of the connections may have been added.
    pub fn add_own(&mut self, key: InstanceKey, connections: &[Connection]) -> Result<(), ForwardingError> {
        let instance = self.armed(key)?;
        let (keys, set) = (instance.keys_of(connections), instance.own_set());
        let transaction = self.fill(begin(), &set, &keys)?;
        self.commit(transaction)
    }

    /// Empties the list of a leaver, which is no longer heard: its connections are reset by this
    /// host. The leaver stays armed.
    ///
    /// # Errors
    /// [`ForwardingError`]; the list is what it was.
    pub fn flush(&mut self, key: InstanceKey, leaver: IpAddr) -> Result<(), ForwardingError> {
        let mut next = self.armed(key)?.clone();
        let mut transaction = begin();
        next.flush(&mut transaction, leaver)?;
        self.commit(transaction)?;
        self.instances.insert(key, next);
        Ok(())
    }

    /// Forwards nothing to this leaver any more. If it was the last Active, addresses do not turn any
    /// more.
    ///
    /// # Errors
    /// [`ForwardingError`]; everything is as it was.
    pub fn remove_leaver(&mut self, key: InstanceKey, leaver: IpAddr) -> Result<(), ForwardingError> {
        let mut next = self.armed(key)?.clone();
        let mut transaction = begin();
        next.remove_leaver(&mut transaction, leaver)?;
        self.commit(transaction)?;
        self.instances.insert(key, next);
        Ok(())
    }

    /// Forwards nothing for this instance any more. No rule of it stays behind.
    ///
    /// # Errors
    /// [`ForwardingError`]; everything is as it was, or the instance is gone and only the empty chain
    /// of its interface is left.
    pub fn disarm(&mut self, key: InstanceKey) -> Result<(), ForwardingError> {
        let Some(old) = self.instances.get(&key) else { return Ok(()) };
        let interface = old.interface;
        let mut transaction = begin();
        old.take_from_map(&mut transaction, self.map_of(old));
        old.delete(&mut transaction, None);
        self.commit(transaction)?;
        self.instances.remove(&key);
        self.unhook_if_unused(interface)
    }

    /// Sets up an interface again that has come back: its chain went with it, and the rules name its
    /// former index. Does nothing if nothing is armed on it.
    ///
    /// # Errors
    /// [`ForwardingError`]; everything is as it was.
    pub fn restore(&mut self, interface: InterfaceName, index: u32) -> Result<(), ForwardingError> {
        let Some(hooked) = self.interfaces.get(&interface).copied() else { return Ok(()) };
        self.check_interface(interface, index)?;
        let hooked = HookedInterface { index, ..hooked };
        let mut transaction = begin();
        self.hook(&mut transaction, interface, hooked);
        self.commit(transaction)?;
        self.interfaces.insert(interface, hooked);
        self.instances.values_mut().filter(|instance| instance.interface == interface).for_each(|instance| {
            instance.index = index;
        });
        Ok(())
    }

    /// Which instances are armed.
    pub fn armed_instances(&self) -> impl Iterator<Item = InstanceKey> {
        self.instances.keys().copied()
    }

    /// What was forwarded, for each instance and leaver.
    ///
    /// # Errors
    /// [`ForwardingError`].
    pub fn counts(&mut self) -> Result<Vec<ForwardedCount>, ForwardingError> {
        let mut counts = Vec::new();
        for instance in self.instances.values() {
            for (leaver, chain, listed) in instance.leavers() {
                let rules = self.socket.rules(TableFamily::Netdev, TABLE, &chain)?;
                let counted = rules.iter().find_map(|rule| instance::read_counter(rule));
                let (packets, octets) = counted.unwrap_or_default();
                counts.push(ForwardedCount { key: instance.key, leaver, packets, octets, listed });
            }
        }
        Ok(counts)
    }

    fn armed(&self, key: InstanceKey) -> Result<&ArmedInstance, ForwardingError> {
        self.instances.get(&key).ok_or(ForwardingError::NotArmed(key))
    }

    fn create(&mut self) -> Result<(), ForwardingError> {
        let mut transaction = begin();
        transaction.create_table(TableLifetime::OfSocket);
        let errors = [
            (ICMP_ERRORS, KeyType::IcmpType, [3, 11, 12].as_slice()),
            (ICMPV6_ERRORS, KeyType::Icmpv6Type, &[1, 2, 3, 4]),
        ];
        for (name, key, types) in errors {
            transaction.create_set(&NewSet { name, key, content: SetContent::Values });
            transaction.add_elements(name, types.chunks(1));
        }
        self.commit(transaction)
    }

    /// Arms and disarms both families on the loopback interface, for addresses of documentation,
    /// which no packet there has.
    fn probe(&mut self) -> Result<(), ForwardingError> {
        const LOOPBACK_INDEX: u32 = 1;
        let Ok(interface) = "lo".parse::<InterfaceName>() else { unreachable!("lo is a name") };
        let Ok(vrid) = Vrid::new(1) else { unreachable!("1 is a VRID") };
        let samples: [(Family, IpAddr, IpAddr); 2] = [
            (Family::Ipv4, Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into()),
            (
                Family::Ipv6,
                Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
                Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2).into(),
            ),
        ];
        for (family, address, leaver) in samples {
            let key = InstanceKey { interface, family, vrid };
            let arming = Arming {
                interface,
                index: LOOPBACK_INDEX,
                addresses: BTreeSet::from([address]),
                last: Some(Leaver { address: leaver, mac: MacAddr([2, 0, 0, 0, 0, 1]) }),
                leavers: Vec::new(),
                own: Vec::new(),
            };
            self.arm(key, &arming)?;
            self.disarm(key)?;
        }
        Ok(())
    }

    /// Newer kernels accept a chain for an interface that does not exist, and wait for it.
    fn check_interface(&mut self, interface: InterfaceName, index: u32) -> Result<(), ForwardingError> {
        match self.links.link_name(index)? {
            Some(name) if name == interface.as_str() => Ok(()),
            Some(_) | None => Err(ForwardingError::NoInterface { interface, index }),
        }
    }

    /// Makes the table see the packets of an interface. If the index is another one than before, all
    /// rules are told.
    fn hook(&self, transaction: &mut Transaction<'_>, interface: InterfaceName, hooked: HookedInterface) {
        let chain = ingress_chain(hooked);
        let point = HookPoint::Ingress { interface: interface.as_str() };
        transaction.create_chain(&chain, Some(ChainHook { point, priority: PRIORITY }));
        transaction.delete_rules(&chain);
        // Frames to others arrive on an interface in promiscuous mode, and are nobody's here.
        let to_others = [
            Expression::LoadMeta { key: MetaKey::PacketType, to: REGISTER_0 },
            instance::differs(&[0]),
            Expression::Decide(Verdict::Accept),
        ];
        transaction.append_rule(&chain, &to_others, "frames to others");
        for family in [Family::Ipv4, Family::Ipv6] {
            let map = map_name(hooked, family);
            let key = instance::address_type(family);
            transaction.create_set(&NewSet { name: &map, key, content: SetContent::Verdicts });
            let dispatch = [
                Expression::LoadMeta { key: MetaKey::Protocol, to: REGISTER_0 },
                equal(instance::ethernet_type(family)),
                load(instance::destination(family)),
                Expression::LookupVerdict { map: &map, register: REGISTER_0 },
            ];
            transaction.append_rule(&chain, &dispatch, "addresses of instances");
        }
        let others = self.instances.values().filter(|instance| instance.interface == interface);
        others.filter(|instance| instance.index != hooked.index).for_each(|instance| {
            instance.write_forwarding(transaction, hooked.index);
        });
    }

    /// Removes the chain and the maps of an interface on which nothing is armed.
    fn unhook_if_unused(&mut self, interface: InterfaceName) -> Result<(), ForwardingError> {
        if self.instances.values().any(|instance| instance.interface == interface) {
            return Ok(());
        }
        let Some(hooked) = self.interfaces.get(&interface).copied() else { return Ok(()) };
        let mut transaction = begin();
        transaction.delete_chain(&ingress_chain(hooked));
        match self.commit(transaction) {
            Ok(()) => {}
            // Older kernels remove the chain with the interface.
            Err(ForwardingError::Nftables(NftablesError::Refused(refusal)))
                if refusal.errno == Errno::ENOENT => {}
            Err(error) => return Err(error),
        }
        let mut transaction = begin();
        transaction.delete_set(&map_name(hooked, Family::Ipv4));
        transaction.delete_set(&map_name(hooked, Family::Ipv6));
        self.commit(transaction)?;
        self.interfaces.remove(&interface);
        Ok(())
    }

    fn map_of(&self, instance: &ArmedInstance) -> Option<String> {
        let hooked = self.interfaces.get(&instance.interface)?;
        Some(map_name(*hooked, instance.key.family))
    }

    /// Adds elements to a set: commits transactions while they are full, and returns the last one.
    fn fill<'t>(
        &mut self,
        mut transaction: Transaction<'t>,
        set: &str,
        keys: &[ConnectionKey],
    ) -> Result<Transaction<'t>, ForwardingError> {
        let size = keys.first().map_or(1, ConnectionKey::size_of_element);
        let mut rest = keys;
        while !rest.is_empty() {
            let room = BATCH_SIZE.saturating_sub(transaction.size()) / size;
            let (fitting, later) = rest.split_at(room.min(rest.len()));
            transaction.add_elements(set, fitting);
            if !later.is_empty() {
                self.commit(std::mem::replace(&mut transaction, begin()))?;
            }
            rest = later;
        }
        Ok(transaction)
    }

    fn commit(&mut self, transaction: Transaction<'_>) -> Result<(), ForwardingError> {
        self.socket.commit(transaction).map_err(|error| {
            match error {
                // Nothing was carried out.
                NftablesError::Refused(_) | NftablesError::Open(_) | NftablesError::Send(_) => {}
                NftablesError::Receive(_) | NftablesError::Decode(_) => self.certainty = Certainty::Unknown,
            }
            error.into()
        })
    }

    /// Begins with a new, empty table, because it is not known what is in the old one.
    fn begin_again(&mut self) -> Result<(), ForwardingError> {
        // The old table ends with its socket.
        self.socket = NftablesSocket::open()?;
        self.interfaces.clear();
        self.instances.clear();
        self.certainty = Certainty::Known;
        self.create()
    }
}

impl NameNumbers {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

fn begin() -> Transaction<'static> {
    Transaction::new(TableFamily::Netdev, TABLE)
}

fn ingress_chain(hooked: HookedInterface) -> String {
    format!("ingress_{}", hooked.number)
}

fn map_name(hooked: HookedInterface, family: Family) -> String {
    match family {
        Family::Ipv4 => format!("ipv4_addresses_{}", hooked.number),
        Family::Ipv6 => format!("ipv6_addresses_{}", hooked.number),
    }
}
