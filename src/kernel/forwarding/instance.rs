//! The chain, the sets and the rules of one armed instance. Pure code.

use super::element::ConnectionKey;
use super::{
    Arming, EarlierOwn, ForwardingError, ForwardingSettings, ICMP_ERRORS, ICMPV6_ERRORS, Leaver,
    MAXIMUM_CONNECTIONS, MAXIMUM_LEAVERS,
};
use crate::kernel::nftables::attribute::{all, find, long_number, text};
use crate::kernel::nftables::{
    Comparison, Expression, HeaderBase, KeyType, Membership, MetaKey, NewSet, REGISTER_0, Register,
    SetContent, Transaction, Verdict,
};
use crate::types::{Connection, Family, InstanceKey, InterfaceName, MacAddr};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// The flags of TCP that tell a SYN that begins a connection from all other packets.
const SYN_AND_ACK: u8 = 0x12;
const SYN: u8 = 0x02;

/// An instance and its chain. Chains and sets are named with numbers that nothing else has.
#[derive(Debug, Clone)]
pub(super) struct ArmedInstance {
    pub(super) key: InstanceKey,
    pub(super) interface: InterfaceName,
    pub(super) index: u32,
    number: u32,
    addresses: BTreeSet<IpAddr>,
    last: Option<IpAddr>,
    leavers: BTreeMap<IpAddr, ArmedLeaver>,
    /// The number of the set in which rules note connections that begin here. It stays when the
    /// instance is armed again without having been away: what began after the first time is ours at the
    /// second one, too.
    own: u32,
    /// The numbers of the sets with connections of ours that we were told of, the newest first. Each
    /// arming has a set of its own, because adding an element does not renew it, and keeps that of the
    /// arming before, because the new one is empty at first. When the addresses come back from another
    /// router, it keeps none.
    known: Vec<u32>,
}

/// How many sets with known connections an instance has at most.
const KNOWN_SETS: usize = 2;

/// A leaver with its chain, which counts and forwards, and its two sets.
#[derive(Debug, Clone)]
struct ArmedLeaver {
    leaver: Leaver,
    number: u32,
    in_force: Half,
    listed: usize,
}

/// One of the two sets of a leaver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    First,
    Second,
}

/// Refuses what cannot be armed.
pub(super) fn check(key: InstanceKey, arming: &Arming) -> Result<(), ForwardingError> {
    let leavers = arming.leavers.iter().chain(&arming.last).map(|leaver| leaver.address);
    let mut all = arming.addresses.iter().copied().chain(leavers.clone());
    if let Some(address) = all.find(|address| family_of(*address) != key.family) {
        return Err(ForwardingError::WrongFamily { key, address });
    }
    let count = leavers.collect::<BTreeSet<_>>().len();
    if count > MAXIMUM_LEAVERS {
        return Err(ForwardingError::TooManyLeavers { count });
    }
    if arming.own.len() > MAXIMUM_CONNECTIONS {
        return Err(ForwardingError::TooManyConnections { count: arming.own.len() });
    }
    Ok(())
}

impl ArmedInstance {
    /// The instance as it is armed now. It takes over its own connections, if they still are its own, and
    /// of the leavers that it still has their lists, whatever MAC or interface they have now.
    pub(super) fn new(
        key: InstanceKey,
        arming: &Arming,
        before: Option<&Self>,
        mut number: impl FnMut() -> u32,
    ) -> Self {
        let mut leavers = BTreeMap::new();
        for leaver in arming.leavers.iter().chain(&arming.last) {
            let known = before.and_then(|before| before.leavers.get(&leaver.address));
            let armed = match known {
                Some(known) => ArmedLeaver { leaver: *leaver, ..known.clone() },
                None => ArmedLeaver { leaver: *leaver, number: number(), in_force: Half::First, listed: 0 },
            };
            leavers.entry(leaver.address).or_insert(armed);
        }
        let with_own = match arming.earlier {
            EarlierOwn::Stays => before,
            EarlierOwn::Ends => None,
        };
        let own = with_own.map_or_else(&mut number, |before| before.own);
        let earlier = with_own.map(|before| before.known.as_slice()).unwrap_or_default();
        let known = [number()].into_iter().chain(earlier.iter().copied()).take(KNOWN_SETS).collect();
        Self {
            key,
            interface: arming.interface,
            index: arming.index,
            number: number(),
            addresses: arming.addresses.clone(),
            last: arming.last.map(|last| last.address),
            leavers,
            own,
            known,
        }
    }

    /// The values for connections to the addresses of the instance.
    pub(super) fn keys_of(&self, connections: &[Connection]) -> Vec<ConnectionKey> {
        let ours = connections.iter().filter(|connection| self.addresses.contains(&connection.local.ip()));
        ours.filter_map(ConnectionKey::new).collect()
    }

    /// Creates the set of own connections that are known.
    pub(super) fn create_known(&self, transaction: &mut Transaction<'_>, settings: ForwardingSettings) {
        let content = SetContent::TemporaryValues { timeout: settings.own_lifetime };
        transaction.create_set(&NewSet { name: &self.known_set(), key: self.connection_type(), content });
    }

    /// Creates everything but the set of known connections and what `before` has already. `room` is
    /// for connections that begin here.
    pub(super) fn create(
        &self,
        transaction: &mut Transaction<'_>,
        settings: ForwardingSettings,
        room: u32,
        before: Option<&Self>,
    ) {
        if before.is_none_or(|before| before.own != self.own) {
            let content = SetContent::ValuesOfRules { timeout: settings.own_lifetime, room };
            transaction.create_set(&NewSet { name: &self.own_set(), key: self.connection_type(), content });
        }
        let switching = self.switching_set();
        let content = SetContent::TemporaryValues { timeout: settings.switching_time };
        let key = address_type(self.key.family);
        transaction.create_set(&NewSet { name: &switching, key, content });
        if self.last.is_some() {
            transaction.add_elements(&switching, self.addresses.iter().map(|address| octets(*address)));
        }
        let is_new = |armed: &&ArmedLeaver| before.is_none_or(|before| !before.has_number(armed.number));
        for armed in self.leavers.values().filter(is_new) {
            for half in [Half::First, Half::Second] {
                let content = SetContent::TemporaryValues { timeout: settings.list_lifetime };
                let name = armed.set(half);
                transaction.create_set(&NewSet { name: &name, key: self.connection_type(), content });
            }
            transaction.create_chain(&armed.chain(), None);
            self.write_forwarding_to(transaction, armed, self.index);
        }
        if before.is_some_and(|before| before.index != self.index) {
            for armed in self.leavers.values().filter(|armed| !is_new(armed)) {
                transaction.delete_rules(&armed.chain());
                self.write_forwarding_to(transaction, armed, self.index);
            }
        }
        transaction.create_chain(&self.chain(), None);
        self.append_rules(transaction);
    }

    /// Makes the chains of all leavers name this index of the interface.
    pub(super) fn write_forwarding(&self, transaction: &mut Transaction<'_>, index: u32) {
        for armed in self.leavers.values() {
            transaction.delete_rules(&armed.chain());
            self.write_forwarding_to(transaction, armed, index);
        }
    }

    /// Writes all rules of the instance again.
    pub(super) fn write_rules(&self, transaction: &mut Transaction<'_>) {
        transaction.delete_rules(&self.chain());
        self.append_rules(transaction);
    }

    /// Sends packets to the addresses to the chain of the instance.
    pub(super) fn put_into_map(&self, transaction: &mut Transaction<'_>, map: &str) {
        let chain = self.chain();
        for address in &self.addresses {
            transaction.add_verdict(map, octets(*address), Verdict::Goto(&chain));
        }
    }

    /// Sends no packets to the chain of the instance any more.
    pub(super) fn take_from_map(&self, transaction: &mut Transaction<'_>, map: Option<String>) {
        if let Some(map) = map {
            transaction.delete_elements(&map, self.addresses.iter().map(|address| octets(*address)));
        }
    }

    /// Deletes everything that the instance has and `next` does not have.
    pub(super) fn delete(&self, transaction: &mut Transaction<'_>, next: Option<&Self>) {
        transaction.delete_chain(&self.chain());
        transaction.delete_set(&self.switching_set());
        if next.is_none_or(|next| next.own != self.own) {
            transaction.delete_set(&self.own_set());
        }
        let ended = self.known.iter().filter(|known| next.is_none_or(|next| !next.known.contains(known)));
        ended.for_each(|known| transaction.delete_set(&known_set(*known)));
        let ends = |armed: &&ArmedLeaver| next.is_none_or(|next| !next.has_number(armed.number));
        self.leavers.values().filter(ends).for_each(|armed| armed.delete(transaction));
    }

    /// The set for the next list of a leaver; the rules ask that one from now on.
    pub(super) fn begin_list(&mut self, leaver: IpAddr, listed: usize) -> Result<String, ForwardingError> {
        let armed = self.leaver(leaver)?;
        armed.in_force = match armed.in_force {
            Half::First => Half::Second,
            Half::Second => Half::First,
        };
        armed.listed = listed;
        Ok(armed.set(armed.in_force))
    }

    /// The set with the list of a leaver, and how many it lists with these.
    pub(super) fn extend_list(
        &mut self,
        leaver: IpAddr,
        added: usize,
    ) -> Result<(String, usize), ForwardingError> {
        let armed = self.leaver(leaver)?;
        armed.listed = armed.listed.saturating_add(added);
        Ok((armed.set(armed.in_force), armed.listed))
    }

    /// How many connections are listed.
    pub(super) fn listed(&self) -> usize {
        self.leavers.values().map(|armed| armed.listed).sum()
    }

    pub(super) fn has_leaver(&self, leaver: IpAddr) -> bool {
        self.leavers.contains_key(&leaver)
    }

    /// How many connections a leaver lists.
    pub(super) fn listed_by(&self, leaver: IpAddr) -> usize {
        self.leavers.get(&leaver).map_or(0, |armed| armed.listed)
    }

    /// Empties the list of a leaver.
    pub(super) fn flush(
        &mut self,
        transaction: &mut Transaction<'_>,
        leaver: IpAddr,
    ) -> Result<(), ForwardingError> {
        let armed = self.leaver(leaver)?;
        armed.listed = 0;
        transaction.flush_set(&armed.set(Half::First));
        transaction.flush_set(&armed.set(Half::Second));
        Ok(())
    }

    /// Removes a leaver and its rules.
    pub(super) fn remove_leaver(
        &mut self,
        transaction: &mut Transaction<'_>,
        leaver: IpAddr,
    ) -> Result<(), ForwardingError> {
        let removed = self.leaver(leaver)?.clone();
        self.leavers.remove(&leaver);
        self.last = self.last.filter(|last| *last != leaver);
        self.write_rules(transaction);
        removed.delete(transaction);
        Ok(())
    }

    /// The address, the chain and the number of listed connections of each leaver.
    pub(super) fn leavers(&self) -> impl Iterator<Item = (IpAddr, String, usize)> {
        self.leavers.iter().map(|(address, armed)| (*address, armed.chain(), armed.listed))
    }

    fn leaver(&mut self, leaver: IpAddr) -> Result<&mut ArmedLeaver, ForwardingError> {
        let key = self.key;
        self.leavers.get_mut(&leaver).ok_or(ForwardingError::UnknownLeaver { key, leaver })
    }

    fn has_number(&self, number: u32) -> bool {
        self.leavers.values().any(|armed| armed.number == number)
    }

    fn connection_type(&self) -> KeyType {
        match self.key.family {
            Family::Ipv4 => KeyType::Ipv4Connection,
            Family::Ipv6 => KeyType::Ipv6Connection,
        }
    }

    fn chain(&self) -> String {
        format!("instance_{}", self.number)
    }

    fn switching_set(&self) -> String {
        format!("switching_{}", self.number)
    }

    fn own_set(&self) -> String {
        format!("own_{}", self.own)
    }

    /// The set for connections of ours that become known now.
    pub(super) fn known_set(&self) -> String {
        known_set(self.known.first().copied().unwrap_or_default())
    }

    fn comment(&self, what: &str) -> String {
        format!("{}: {what}", self.key)
    }

    /// The rule that counts and forwards.
    fn write_forwarding_to(&self, transaction: &mut Transaction<'_>, armed: &ArmedLeaver, index: u32) {
        let (address, index) = (octets(armed.leaver.address), index.to_ne_bytes());
        let neighbour = REGISTER_0.after(index.len());
        let rule = [
            Expression::Count,
            Expression::LoadValue { value: &index, to: REGISTER_0 },
            Expression::LoadValue { value: address.as_ref(), to: neighbour },
            Expression::Forward { device: REGISTER_0, neighbour, family: self.key.family },
        ];
        let comment = self.comment(&format!("to {}", armed.leaver.address));
        transaction.append_rule(&armed.chain(), &rule, &comment);
    }

    /// The leavers in the order in which their lists are asked. A connection that two of them list goes
    /// to the first: to the router that was Active until now, because what it has is the newest, and
    /// otherwise to the one with the lowest address. That is always the same one, so that the packets of
    /// a connection do not go to one and then to the other.
    fn leavers_in_order(&self) -> impl Iterator<Item = &ArmedLeaver> {
        let last = self.last.and_then(|last| self.leavers.get(&last));
        let others = self.leavers.iter().filter(|(address, _)| Some(**address) != self.last);
        last.into_iter().chain(others.map(|(_, armed)| armed))
    }

    /// The rules in their order; see [the module](super) for what they are for.
    ///
    /// Most packets are of this node's own connections, so these are decided soon: in no list, and not
    /// to an address that is switching. Whether a connection is known to be our own is asked last, in
    /// the rule that would pass the packet on.
    fn append_rules(&self, transaction: &mut Transaction<'_>) {
        let (chain, family) = (self.chain(), self.key.family);
        let comment = |what: &str| self.comment(what);
        let own = self.own_set();
        let known = self.known.iter().map(|known| known_set(*known));
        let ours: Vec<String> = [own.clone()].into_iter().chain(known).collect();

        let switching = self.switching_set();
        let to_switching = [load(destination(family)), in_set(&switching)];
        let mut begins = transport(family, &[TCP]).to_vec();
        begins.extend([
            load((HeaderBase::Transport, 13, 1)),
            Expression::Mask { register: REGISTER_0, mask: &[SYN_AND_ACK] },
            equal(&[SYN]),
        ]);
        let mut rule = begins.clone();
        rule.extend(connection(family));
        rule.push(Expression::Update { set: &own, register: REGISTER_0, timeout: None });
        rule.push(Expression::Decide(Verdict::Accept));
        transaction.append_rule(&chain, &rule, &comment("connections that begin are ours"));

        let last = self.last.and_then(|last| self.leavers.get(&last));
        if last.is_some() {
            let mut rule = begins;
            rule.extend(to_switching);
            rule.push(Expression::Decide(Verdict::Drop));
            transaction.append_rule(&chain, &rule, &comment("no room for another connection"));
        }
        for armed in self.leavers_in_order() {
            let (set, target) = (armed.set(armed.in_force), armed.chain());
            let mut rule = transport(family, &[TCP]).to_vec();
            rule.extend(connection(family));
            rule.push(in_set(&set));
            rule.extend(in_none_of(&ours));
            rule.extend(not_from(&armed.leaver.mac));
            rule.push(Expression::Decide(Verdict::Goto(&target)));
            let what = format!("connections of {}", armed.leaver.address);
            transaction.append_rule(&chain, &rule, &comment(&what));
        }
        if let Some(last) = last {
            let target = last.chain();
            let mut rule = transport(family, &[TCP]).to_vec();
            rule.extend(to_switching);
            rule.extend(connection(family));
            rule.extend(in_none_of(&ours));
            rule.extend(not_from(&last.leaver.mac));
            rule.push(Expression::Decide(Verdict::Goto(&target)));
            transaction.append_rule(&chain, &rule, &comment("not listed yet"));
        }
        let mut rule = transport(family, &[TCP]).to_vec();
        rule.push(Expression::Decide(Verdict::Accept));
        transaction.append_rule(&chain, &rule, &comment("our own"));

        for armed in self.leavers_in_order() {
            let (set, target) = (armed.set(armed.in_force), armed.chain());
            let mut rule = icmp_error_about_tcp(family);
            rule.extend(quoted_connection(family));
            rule.push(in_set(&set));
            rule.extend(in_none_of(&ours));
            rule.extend(not_from(&armed.leaver.mac));
            rule.push(Expression::Decide(Verdict::Goto(&target)));
            let what = format!("errors about connections of {}", armed.leaver.address);
            transaction.append_rule(&chain, &rule, &comment(&what));
        }
    }
}

impl ArmedLeaver {
    fn chain(&self) -> String {
        format!("leaver_{}", self.number)
    }

    fn set(&self, half: Half) -> String {
        match half {
            Half::First => format!("listed_{}a", self.number),
            Half::Second => format!("listed_{}b", self.number),
        }
    }

    fn delete(&self, transaction: &mut Transaction<'_>) {
        transaction.delete_chain(&self.chain());
        transaction.delete_set(&self.set(Half::First));
        transaction.delete_set(&self.set(Half::Second));
    }
}

/// The chain of a rule that the kernel listed, and packets and octets of the counter in it.
pub(super) fn read_counter(rule: &[u8]) -> Option<(String, (u64, u64))> {
    const NFTA_RULE_CHAIN: u16 = 2;
    const NFTA_RULE_EXPRESSIONS: u16 = 4;
    const NFTA_EXPR_NAME: u16 = 1;
    const NFTA_EXPR_DATA: u16 = 2;
    const NFTA_COUNTER_BYTES: u16 = 1;
    const NFTA_COUNTER_PACKETS: u16 = 2;
    let mut expressions = all(find(rule, NFTA_RULE_EXPRESSIONS)?).map(|(_, expression)| expression);
    let counter = expressions.find(|expression| find(expression, NFTA_EXPR_NAME) == Some(b"counter\0"))?;
    let data = find(counter, NFTA_EXPR_DATA)?;
    let number = |kind| find(data, kind).and_then(long_number);
    let counted = (number(NFTA_COUNTER_PACKETS)?, number(NFTA_COUNTER_BYTES)?);
    Some((text(find(rule, NFTA_RULE_CHAIN)?), counted))
}

/// The type of addresses in sets.
pub(super) fn address_type(family: Family) -> KeyType {
    match family {
        Family::Ipv4 => KeyType::Ipv4Address,
        Family::Ipv6 => KeyType::Ipv6Address,
    }
}

/// The Ethernet type of the packets of a family.
pub(super) fn ethernet_type(family: Family) -> &'static [u8] {
    match family {
        Family::Ipv4 => &[0x08, 0x00],
        Family::Ipv6 => &[0x86, 0xdd],
    }
}

/// A field of a packet: the header that it is in, its offset there, and its length.
type PacketField = (HeaderBase, u32, u32);

/// The destination address of a packet.
pub(super) fn destination(family: Family) -> PacketField {
    match family {
        Family::Ipv4 => (HeaderBase::Network, 16, 4),
        Family::Ipv6 => (HeaderBase::Network, 24, 16),
    }
}

/// Loads a field into the first registers.
pub(super) fn load(field: PacketField) -> Expression<'static> {
    load_to(field, REGISTER_0)
}

fn load_to((base, offset, length): PacketField, to: Register) -> Expression<'static> {
    Expression::LoadPayload { base, offset, length, to }
}

/// Goes on if the first register has this value.
pub(super) fn equal(value: &[u8]) -> Expression<'_> {
    Expression::Compare { comparison: Comparison::Equal, register: REGISTER_0, value }
}

/// Goes on if the first register has another value.
pub(super) fn differs(value: &[u8]) -> Expression<'_> {
    Expression::Compare { comparison: Comparison::NotEqual, register: REGISTER_0, value }
}

fn known_set(number: u32) -> String {
    format!("known_{number}")
}

fn in_set(set: &str) -> Expression<'_> {
    Expression::Lookup { set, register: REGISTER_0, membership: Membership::In }
}

/// Goes on if the connection that was loaded last is in none of these sets.
fn in_none_of(sets: &[String]) -> impl Iterator<Item = Expression<'_>> {
    let membership = Membership::NotIn;
    sets.iter().map(move |set| Expression::Lookup { set, register: REGISTER_0, membership })
}

/// Goes on if the packet is of this family and transport protocol. The map has asked for the family
/// already; that it is asked again lets `nft` list the rest of the rule with the names of its fields.
fn transport(family: Family, protocol: &[u8; 1]) -> [Expression<'_>; 4] {
    [
        Expression::LoadMeta { key: MetaKey::Protocol, to: REGISTER_0 },
        equal(ethernet_type(family)),
        Expression::LoadMeta { key: MetaKey::TransportProtocol, to: REGISTER_0 },
        equal(protocol),
    ]
}

/// Goes on if the frame was not sent by this MAC: nothing is sent back to where it comes from.
fn not_from(mac: &MacAddr) -> [Expression<'_>; 2] {
    [load((HeaderBase::Link, 6, 6)), differs(&mac.0)]
}

/// Loads the connection of a TCP packet.
fn connection(family: Family) -> [Expression<'static>; 4] {
    let (port, other_port) = ((HeaderBase::Transport, 0, 2), (HeaderBase::Transport, 2, 2));
    match family {
        Family::Ipv4 => load_connection((HeaderBase::Network, 12, 4), port, destination(family), other_port),
        Family::Ipv6 => load_connection((HeaderBase::Network, 8, 16), port, destination(family), other_port),
    }
}

/// Loads the connection of the TCP packet that an ICMP error quotes. We, or a leaver, have sent that
/// packet, so its destination is the client.
fn quoted_connection(family: Family) -> [Expression<'static>; 4] {
    let at = |offset, length| (HeaderBase::Transport, offset, length);
    match family {
        Family::Ipv4 => load_connection(at(24, 4), at(30, 2), at(20, 4), at(28, 2)),
        Family::Ipv6 => load_connection(at(32, 16), at(50, 2), at(16, 16), at(48, 2)),
    }
}

fn load_connection(
    client: PacketField,
    client_port: PacketField,
    address: PacketField,
    port: PacketField,
) -> [Expression<'static>; 4] {
    let length = |(_, _, length): PacketField| usize::try_from(length).unwrap_or(usize::MAX);
    let second = REGISTER_0.after(length(client));
    let third = second.after(length(client_port));
    let fourth = third.after(length(address));
    [load(client), load_to(client_port, second), load_to(address, third), load_to(port, fourth)]
}

/// Goes on if the packet is an ICMP error that quotes a TCP packet which has no options or extension
/// headers before TCP.
fn icmp_error_about_tcp(family: Family) -> Vec<Expression<'static>> {
    let octet = |offset| load((HeaderBase::Transport, offset, 1));
    let mut rule = Vec::new();
    match family {
        Family::Ipv4 => {
            rule.extend(transport(family, &[ICMP]));
            rule.extend([octet(0), in_set(ICMP_ERRORS)]);
            // Version 4, and a header of five words.
            rule.extend([octet(8), equal(&[0x45]), octet(17), equal(&[TCP])]);
        }
        Family::Ipv6 => {
            rule.extend(transport(family, &[ICMPV6]));
            rule.extend([octet(0), in_set(ICMPV6_ERRORS), octet(14), equal(&[TCP])]);
        }
    }
    rule
}

fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::Ipv4,
        IpAddr::V6(_) => Family::Ipv6,
    }
}

/// The octets of an address.
fn octets(address: IpAddr) -> AddressOctets {
    match address {
        IpAddr::V4(address) => AddressOctets::Ipv4(address.octets()),
        IpAddr::V6(address) => AddressOctets::Ipv6(address.octets()),
    }
}

enum AddressOctets {
    Ipv4([u8; 4]),
    Ipv6([u8; 16]),
}

impl AsRef<[u8]> for AddressOctets {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Ipv4(octets) => octets,
            Self::Ipv6(octets) => octets,
        }
    }
}

#[cfg(test)]
mod tests;
