//! Forwards packets of connections of leavers: the successor's half of draining.
//!
//! A node that gave its addresses away (the leaver) goes on to serve the connections that it has.
//! Their packets arrive at the node that has the addresses now (the successor), whose kernel sends
//! them on by the rules of this module, in a table of nf_tables. The rules look at TCP packets to the
//! addresses of an armed instance where an interface receives them, before conntrack and before any
//! firewall of the host, in this order:
//!
//! 1. A SYN is noted in `own`, and is for this host: the connection that it begins is ours. If `own` is
//!    full, a SYN to an address that is switching is dropped. It is sent again after a second, and a
//!    connection that nobody knows of would break.
//! 2. A packet of a listed connection goes to that leaver, unless it comes from there. If two leavers
//!    list it, it goes to the one that was Active until now, and otherwise to the one with the lowest
//!    address.
//! 3. A packet to an address that is switching goes to the node that was Active until now, unless it
//!    comes from there.
//! 4. Any other packet is for this host.
//! 5. An ICMP error that quotes a packet of a listed connection goes to the leaver whose list it is.
//!
//! No packet goes elsewhere whose connection is in `own`, or in a set of those that were known to be
//! ours: clients use ports again, and a client that begins a connection knows best that the one before
//! it is over, while a list is older than that. For the same reason nothing counts as our own any more
//! when the addresses come back from another node ([`EarlierOwn`]). The sets of what is ours are asked
//! last, because most packets are in no list: they cost one look for each leaver.
//!
//! An address is *switching* for the first seconds after the takeover, when hosts learn who has it now,
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
//! An answer of the kernel can be lost, and then it is not known what is in the table. It is replaced by an
//! empty one, and [`ForwardingTable::take_lost`] says which instances have to be armed again.
//!
//! This module must not know when to forward, or whom to believe. It does not block, but a list of
//! many connections takes milliseconds: it must not be used on the protocol's thread.

mod element;
mod error;
mod instance;

pub use error::ForwardingError;

use super::netlink::Netlink;
use super::nftables::socket::{BATCH_SIZE, Nftables};
use super::nftables::{
    ChainHook, Expression, HeaderBase, HookPoint, KeyType, MetaKey, NewSet, NftablesError, NftablesSocket,
    REGISTER_0, SetContent, TableFamily, TableLifetime, Transaction, Verdict,
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
/// The most connections that all lists together can have. The kernel needs about 300 octets for each.
pub const MAXIMUM_LISTED: usize = 1_048_576;
/// Room for connections that begin here, of all instances together, and what each has at least. The kernel
/// needs 11 octets for each before there are any.
const TOTAL_ROOM_FOR_OWN: u32 = 1_048_576;
const LEAST_ROOM_FOR_OWN: u32 = 4_096;
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
    /// How long an address is switching after it was armed: past the last announcement to hosts that
    /// may have missed the first ones.
    pub switching_time: Duration,
    /// How long a connection is known as our own after its SYN, or after we were told of it: longer
    /// than an address is switching, and as long as a list is believed that was under way when the
    /// connection began.
    pub own_lifetime: Duration,
    /// How long a list is believed that nobody renews, should this process not be able to end it.
    pub list_lifetime: Duration,
    /// How many connections can begin here while an address is switching. The kernel allocates memory for
    /// that, so that it is less for each instance if very many are armed.
    pub room_for_own: u32,
}

impl Default for ForwardingSettings {
    fn default() -> Self {
        Self {
            switching_time: Duration::from_secs(6),
            own_lifetime: Duration::from_secs(15),
            list_lifetime: Duration::from_secs(15),
            room_for_own: 65_536,
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
    /// Who was Active until now and still lives. The addresses switch from it to us; without it they do
    /// not, and only listed connections are forwarded.
    pub last: Option<Leaver>,
    /// Everybody who drains this instance; the last Active need not be among them.
    pub leavers: Vec<Leaver>,
    /// Our own connections to the addresses, of the last time when we served them, as far as they are
    /// known already. They are never sent to a leaver.
    pub own: Vec<Connection>,
    /// What becomes of the connections that counted as our own when the instance was armed before.
    pub earlier: EarlierOwn,
}

/// What becomes of the connections that counted as our own when the instance was armed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlierOwn {
    /// They are our own: this node has had the addresses all the time.
    Stays,
    /// They are not, but for those that [`Arming::own`] names: another node has had the addresses since,
    /// and clients may have used those ports again for connections with that node.
    Ends,
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
    socket: Box<dyn Nftables>,
    open_socket: SocketOpener,
    links: Netlink,
    settings: ForwardingSettings,
    interfaces: BTreeMap<InterfaceName, HookedInterface>,
    instances: BTreeMap<InstanceKey, ArmedInstance>,
    names: NameNumbers,
    certainty: Certainty,
    /// What was armed in a table that had to be replaced, and has not been reported.
    lost: BTreeSet<InstanceKey>,
}

/// Opens a socket; another one in a test.
type SocketOpener = fn() -> Result<Box<dyn Nftables>, NftablesError>;

/// Numbers for names of chains and sets: none is given twice.
#[derive(Debug, Default)]
struct NameNumbers(u32);

/// An interface whose packets the table sees.
#[derive(Debug, Clone, Copy)]
struct HookedInterface {
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
        Self::open_with(settings, || Ok(Box::new(NftablesSocket::open()?)))
    }

    fn open_with(settings: ForwardingSettings, open_socket: SocketOpener) -> Result<Self, ForwardingError> {
        let mut table = Self {
            socket: open_socket()?,
            open_socket,
            links: Netlink::open()?,
            settings,
            interfaces: BTreeMap::new(),
            instances: BTreeMap::new(),
            names: NameNumbers::default(),
            certainty: Certainty::Known,
            lost: BTreeSet::new(),
        };
        table.create()?;
        table.probe()?;
        Ok(table)
    }

    /// Forwards for an instance from now on. An instance that is armed already is armed again: its
    /// addresses switch from now on, lists of leavers that it still has stay, and those of others end.
    /// Connections that began here, or that it was told are ours, stay ours, unless the addresses were
    /// elsewhere meanwhile ([`Arming::earlier`]).
    ///
    /// A list of our connections takes longer to make than arming may take. So whoever has none yet
    /// arms without it, and says it with [`Self::add_own`] at once, also when an instance is armed
    /// again: what was said at the last time ends [`ForwardingSettings::own_lifetime`] later.
    ///
    /// # Errors
    /// [`ForwardingError`]; what was armed before still is, unless an answer of the kernel was lost
    /// ([`Self::take_lost`]).
    pub fn arm(&mut self, key: InstanceKey, arming: &Arming) -> Result<(), ForwardingError> {
        instance::check(key, arming)?;
        self.check_interface(arming.interface, arming.index)?;
        self.ensure_certainty()?;
        let hooked = self.interfaces.get(&arming.interface).copied();
        let number = hooked.map_or_else(|| self.names.next(), |hooked| hooked.number);
        let hooked = HookedInterface { number };

        let old = self.instances.get(&key).cloned();
        let next = ArmedInstance::new(key, arming, old.as_ref(), || self.names.next());
        let own = next.keys_of(&arming.own);
        let room = self.room_for_own();
        let mut transaction = begin();
        next.create_known(&mut transaction, self.settings);
        let outcome = self.fill(transaction, &next.known_set(), &own).and_then(|mut transaction| {
            hook(&mut transaction, arming.interface, hooked);
            if let Some(old) = &old {
                old.take_from_map(&mut transaction, self.map_of(old));
            }
            next.create(&mut transaction, self.settings, room, old.as_ref());
            next.put_into_map(&mut transaction, &map_name(hooked, key.family));
            if let Some(old) = &old {
                old.delete(&mut transaction, Some(&next));
            }
            self.commit(transaction)
        });
        if let Err(error) = outcome {
            // A long list of own connections may have been sent in several transactions.
            let mut transaction = begin();
            transaction.delete_set(&next.known_set());
            let _refused_if_not_there = self.commit(transaction);
            return Err(error);
        }
        let left = old.map(|old| old.interface).filter(|interface| *interface != arming.interface);
        self.interfaces.insert(arming.interface, hooked);
        self.instances.insert(key, next);
        self.lost.remove(&key);
        // The instance is armed now. What fails here is tried again by the next change.
        let _told_again = self.forward_to(arming.interface, arming.index);
        if let Some(interface) = left {
            let _stays_empty = self.unhook_if_unused(interface);
        }
        Ok(())
    }

    /// The instances that are not armed any more, because an answer of the kernel was lost. Each is
    /// reported once. They have to be armed again, and their lists said again.
    pub fn take_lost(&mut self) -> Vec<InstanceKey> {
        if self.certainty == Certainty::Unknown {
            self.forget_all();
        }
        std::mem::take(&mut self.lost).into_iter().collect()
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
        self.ensure_certainty()?;
        let mut next = self.armed(key)?.clone();
        let keys = next.keys_of(connections);
        let before = next.listed_by(leaver);
        if before == 0 && keys.is_empty() && next.has_leaver(leaver) {
            return Ok(0);
        }
        self.check_total(keys.len(), before)?;
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
        self.ensure_certainty()?;
        let mut next = self.armed(key)?.clone();
        let keys = next.keys_of(connections);
        let (set, listed) = next.extend_list(leaver, keys.len())?;
        if listed > MAXIMUM_CONNECTIONS {
            return Err(ForwardingError::TooManyConnections { count: listed });
        }
        if keys.is_empty() {
            return Ok(());
        }
        self.check_total(keys.len(), 0)?;
        let transaction = self.fill(begin(), &set, &keys)?;
        self.commit(transaction)?;
        self.instances.insert(key, next);
        Ok(())
    }

    /// Adds connections of ours that were not known when the instance was armed, while its addresses
    /// switch.
    ///
    /// # Errors
    /// [`ForwardingError`]; some of the connections may have been added.
    pub fn add_own(&mut self, key: InstanceKey, connections: &[Connection]) -> Result<(), ForwardingError> {
        if connections.len() > MAXIMUM_CONNECTIONS {
            return Err(ForwardingError::TooManyConnections { count: connections.len() });
        }
        self.ensure_certainty()?;
        let instance = self.armed(key)?;
        let (keys, set) = (instance.keys_of(connections), instance.known_set());
        if keys.is_empty() {
            return Ok(());
        }
        let transaction = self.fill(begin(), &set, &keys)?;
        self.commit(transaction)
    }

    /// Empties the list of a leaver, which is no longer heard: its connections are reset by this
    /// host. The leaver stays armed.
    ///
    /// # Errors
    /// [`ForwardingError`]; the list is what it was.
    pub fn flush(&mut self, key: InstanceKey, leaver: IpAddr) -> Result<(), ForwardingError> {
        self.ensure_certainty()?;
        let mut next = self.armed(key)?.clone();
        let mut transaction = begin();
        next.flush(&mut transaction, leaver)?;
        self.commit(transaction)?;
        self.instances.insert(key, next);
        Ok(())
    }

    /// Forwards nothing to this leaver any more. If it was the last Active, addresses do not switch any
    /// more.
    ///
    /// # Errors
    /// [`ForwardingError`]; everything is as it was.
    pub fn remove_leaver(&mut self, key: InstanceKey, leaver: IpAddr) -> Result<(), ForwardingError> {
        self.ensure_certainty()?;
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
        self.ensure_certainty()?;
        self.lost.remove(&key);
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
    /// [`ForwardingError`]; some of the instances may still name the former index. It is safe to call
    /// this again.
    pub fn restore(&mut self, interface: InterfaceName, index: u32) -> Result<(), ForwardingError> {
        self.ensure_certainty()?;
        let Some(hooked) = self.interfaces.get(&interface).copied() else { return Ok(()) };
        self.check_interface(interface, index)?;
        let mut transaction = begin();
        hook(&mut transaction, interface, hooked);
        self.commit(transaction)?;
        self.forward_to(interface, index)
    }

    /// Has the rules of all instances of an interface name this index, in a transaction for each: there
    /// may be a thousand, and one for all would be greater than a socket can send.
    fn forward_to(&mut self, interface: InterfaceName, index: u32) -> Result<(), ForwardingError> {
        let others = self.instances.values().filter(|it| it.interface == interface && it.index != index);
        let others: Vec<InstanceKey> = others.map(|instance| instance.key).collect();
        for key in others {
            let mut transaction = begin();
            let Some(instance) = self.instances.get(&key) else { continue };
            instance.write_forwarding(&mut transaction, index);
            self.commit(transaction)?;
            if let Some(instance) = self.instances.get_mut(&key) {
                instance.index = index;
            }
        }
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
        self.ensure_certainty()?;
        if self.instances.is_empty() {
            return Ok(Vec::new());
        }
        let rules = self.socket.rules(TableFamily::Netdev, TABLE)?;
        let counters: BTreeMap<String, (u64, u64)> =
            rules.iter().filter_map(|rule| instance::read_counter(rule)).collect();
        let mut counts = Vec::new();
        for instance in self.instances.values() {
            for (leaver, chain, listed) in instance.leavers() {
                let (packets, octets) = counters.get(&chain).copied().unwrap_or_default();
                counts.push(ForwardedCount { key: instance.key, leaver, packets, octets, listed });
            }
        }
        Ok(counts)
    }

    /// The room for connections that begin at one more instance.
    fn room_for_own(&self) -> u32 {
        let armed = u32::try_from(self.instances.len()).unwrap_or(u32::MAX).saturating_add(1);
        let share = TOTAL_ROOM_FOR_OWN / armed;
        self.settings.room_for_own.min(share.max(LEAST_ROOM_FOR_OWN))
    }

    /// Refuses to list so many connections in place of so many others.
    fn check_total(&self, added: usize, replaced: usize) -> Result<(), ForwardingError> {
        let listed: usize = self.instances.values().map(ArmedInstance::listed).sum();
        let count = listed.saturating_sub(replaced).saturating_add(added);
        if count > MAXIMUM_LISTED { Err(ForwardingError::NoRoom { count }) } else { Ok(()) }
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
                earlier: EarlierOwn::Stays,
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

    /// Begins with a new, empty table if it is not known what is in the old one. Until that has
    /// succeeded, the old one is not believed.
    fn ensure_certainty(&mut self) -> Result<(), ForwardingError> {
        match self.certainty {
            Certainty::Known => return Ok(()),
            Certainty::Unknown => {}
        }
        self.forget_all();
        // The old table ends with its socket.
        self.socket = (self.open_socket)()?;
        self.create()?;
        self.certainty = Certainty::Known;
        Ok(())
    }

    /// Nothing counts as armed any more.
    fn forget_all(&mut self) {
        self.interfaces.clear();
        self.lost.extend(std::mem::take(&mut self.instances).into_keys());
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

/// Makes the table see the packets of an interface.
fn hook(transaction: &mut Transaction<'_>, interface: InterfaceName, hooked: HookedInterface) {
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
    // Frames of a VLAN arrive here first, and then on the interface of the VLAN. Their tag is where others
    // have the type.
    for tag in [[0x81, 0x00], [0x88, 0xa8]] {
        let tagged = [load((HeaderBase::Link, 12, 2)), equal(&tag), Expression::Decide(Verdict::Accept)];
        transaction.append_rule(&chain, &tagged, "frames of VLANs");
    }
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

#[cfg(test)]
mod tests;
