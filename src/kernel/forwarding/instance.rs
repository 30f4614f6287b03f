//! The chain, the sets and the rules of one armed instance. Pure code.

use super::element::ConnectionKey;
use super::{
    Arming, ForwardingError, ForwardingSettings, ICMP_ERRORS, ICMPV6_ERRORS, Leaver, MAXIMUM_CONNECTIONS,
    MAXIMUM_LEAVERS,
};
use crate::kernel::nftables::attribute::{all, find, long_number};
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
}

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
    /// The instance as it is armed now. It takes over the leavers of before that it still has.
    pub(super) fn new(
        key: InstanceKey,
        arming: &Arming,
        before: Option<&Self>,
        mut number: impl FnMut() -> u32,
    ) -> Self {
        // The forwarding of a leaver is bound to an interface, and to the leaver's MAC.
        let before = before.filter(|before| before.interface == arming.interface);
        let mut leavers = BTreeMap::new();
        for leaver in arming.leavers.iter().chain(&arming.last) {
            let known = before.and_then(|before| before.leavers.get(&leaver.address));
            let armed = match known.filter(|known| known.leaver == *leaver) {
                Some(known) => known.clone(),
                None => ArmedLeaver { leaver: *leaver, number: number(), in_force: Half::First, listed: 0 },
            };
            leavers.entry(leaver.address).or_insert(armed);
        }
        Self {
            key,
            interface: arming.interface,
            index: arming.index,
            number: number(),
            addresses: arming.addresses.clone(),
            last: arming.last.map(|last| last.address),
            leavers,
        }
    }

    /// The values for connections to the addresses of the instance.
    pub(super) fn keys_of(&self, connections: &[Connection]) -> Vec<ConnectionKey> {
        let ours = connections.iter().filter(|connection| self.addresses.contains(&connection.local.ip()));
        ours.filter_map(ConnectionKey::new).collect()
    }

    /// Creates the set of own connections, with room for so many that are known.
    pub(super) fn create_own(
        &self,
        transaction: &mut Transaction<'_>,
        settings: ForwardingSettings,
        known: usize,
    ) {
        let known = u32::try_from(known).unwrap_or(u32::MAX);
        let room = settings.room_for_own.saturating_add(known);
        let content = SetContent::ValuesOfRules { timeout: settings.own, room };
        transaction.create_set(&NewSet { name: &self.own_set(), key: self.connection_type(), content });
    }

    /// Creates everything but the set of own connections and what `before` has already.
    pub(super) fn create(
        &self,
        transaction: &mut Transaction<'_>,
        settings: ForwardingSettings,
        before: Option<&Self>,
    ) {
        let turning = self.turning_set();
        let content = SetContent::TemporaryValues { timeout: settings.turning };
        let key = address_type(self.key.family);
        transaction.create_set(&NewSet { name: &turning, key, content });
        if self.last.is_some() {
            transaction.add_elements(&turning, self.addresses.iter().map(|address| octets(*address)));
        }
        let is_new = |armed: &&ArmedLeaver| before.is_none_or(|before| !before.has_number(armed.number));
        for armed in self.leavers.values().filter(is_new) {
            for half in [Half::First, Half::Second] {
                let content = SetContent::TemporaryValues { timeout: settings.list };
                let name = armed.set(half);
                transaction.create_set(&NewSet { name: &name, key: self.connection_type(), content });
            }
            transaction.create_chain(&armed.chain(), None);
            self.write_forwarding_to(transaction, armed, self.index);
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
        transaction.delete_set(&self.turning_set());
        transaction.delete_set(&self.own_set());
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

    fn turning_set(&self) -> String {
        format!("turning_{}", self.number)
    }

    pub(super) fn own_set(&self) -> String {
        format!("own_{}", self.number)
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

    /// The rules in their order; see [the module](super) for what they are for.
    fn append_rules(&self, transaction: &mut Transaction<'_>) {
        let (chain, family) = (self.chain(), self.key.family);
        let comment = |what: &str| self.comment(what);

        for armed in self.leavers.values() {
            let (set, target) = (armed.set(armed.in_force), armed.chain());
            let mut rule = icmp_error_about_tcp(family);
            rule.extend(quoted_connection(family));
            rule.extend([in_set(&set)]);
            rule.extend(not_from(&armed.leaver.mac));
            rule.push(Expression::Decide(Verdict::Goto(&target)));
            let what = format!("errors about strays of {}", armed.leaver.address);
            transaction.append_rule(&chain, &rule, &comment(&what));
        }
        for armed in self.leavers.values() {
            let (set, target) = (armed.set(armed.in_force), armed.chain());
            let mut rule = transport(family, &[TCP]).to_vec();
            rule.extend(connection(family));
            rule.push(in_set(&set));
            rule.extend(not_from(&armed.leaver.mac));
            rule.push(Expression::Decide(Verdict::Goto(&target)));
            let what = format!("strays of {}", armed.leaver.address);
            transaction.append_rule(&chain, &rule, &comment(&what));
        }

        let Some(last) = self.last.and_then(|last| self.leavers.get(&last)) else { return };
        let (turning, own, target) = (self.turning_set(), self.own_set(), last.chain());
        let to_turning = [load(destination(family)), in_set(&turning)];
        let not_own = Expression::Lookup { set: &own, register: REGISTER_0, membership: Membership::NotIn };
        let mut begins = transport(family, &[TCP]).to_vec();
        begins.extend([
            load((HeaderBase::Transport, 13, 1)),
            Expression::Mask { register: REGISTER_0, mask: &[SYN_AND_ACK] },
            equal(&[SYN]),
        ]);
        begins.extend(to_turning);
        begins.extend(connection(family));

        let mut rule = begins.clone();
        rule.push(Expression::Update { set: &own, register: REGISTER_0, timeout: None });
        transaction.append_rule(&chain, &rule, &comment("connections that begin are ours"));

        let mut rule = begins;
        rule.extend([not_own, Expression::Decide(Verdict::Drop)]);
        transaction.append_rule(&chain, &rule, &comment("no room for another connection"));

        let mut rule = transport(family, &[TCP]).to_vec();
        rule.extend(to_turning);
        rule.extend(connection(family));
        rule.push(not_own);
        rule.extend(not_from(&last.leaver.mac));
        rule.push(Expression::Decide(Verdict::Goto(&target)));
        transaction.append_rule(&chain, &rule, &comment("not listed yet"));
    }
}

impl ArmedLeaver {
    fn chain(&self) -> String {
        format!("leaver_{}", self.number)
    }

    fn set(&self, half: Half) -> String {
        match half {
            Half::First => format!("strays_{}a", self.number),
            Half::Second => format!("strays_{}b", self.number),
        }
    }

    fn delete(&self, transaction: &mut Transaction<'_>) {
        transaction.delete_chain(&self.chain());
        transaction.delete_set(&self.set(Half::First));
        transaction.delete_set(&self.set(Half::Second));
    }
}

/// Packets and octets of the counter in a rule, which the kernel listed.
pub(super) fn read_counter(rule: &[u8]) -> Option<(u64, u64)> {
    const NFTA_RULE_EXPRESSIONS: u16 = 4;
    const NFTA_EXPR_NAME: u16 = 1;
    const NFTA_EXPR_DATA: u16 = 2;
    const NFTA_COUNTER_BYTES: u16 = 1;
    const NFTA_COUNTER_PACKETS: u16 = 2;
    let mut expressions = all(find(rule, NFTA_RULE_EXPRESSIONS)?).map(|(_, expression)| expression);
    let counter = expressions.find(|expression| find(expression, NFTA_EXPR_NAME) == Some(b"counter\0"))?;
    let data = find(counter, NFTA_EXPR_DATA)?;
    let number = |kind| find(data, kind).and_then(long_number);
    Some((number(NFTA_COUNTER_PACKETS)?, number(NFTA_COUNTER_BYTES)?))
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

fn in_set(set: &str) -> Expression<'_> {
    Expression::Lookup { set, register: REGISTER_0, membership: Membership::In }
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
mod tests {
    use super::*;
    use crate::kernel::nftables::TableFamily;
    use crate::types::Vrid;

    fn interface(name: &str) -> InterfaceName {
        name.parse().unwrap()
    }

    fn leaver(host: u8) -> Leaver {
        Leaver { address: [192, 0, 2, host].into(), mac: MacAddr([2, 0, 0, 0, 0, host]) }
    }

    fn arming(last: Option<u8>, leavers: &[u8]) -> Arming {
        Arming {
            interface: interface("eth0"),
            index: 2,
            addresses: [[192, 0, 2, 100].into()].into(),
            last: last.map(leaver),
            leavers: leavers.iter().copied().map(leaver).collect(),
            own: Vec::new(),
        }
    }

    fn key() -> InstanceKey {
        InstanceKey { interface: interface("eth0"), family: Family::Ipv4, vrid: Vrid::new(1).unwrap() }
    }

    /// An instance whose names begin behind `number`.
    fn armed(arming: &Arming, before: Option<&ArmedInstance>, mut number: u32) -> ArmedInstance {
        ArmedInstance::new(key(), arming, before, || {
            number += 1;
            number
        })
    }

    fn sets(instance: &ArmedInstance) -> Vec<String> {
        instance.leavers.values().map(|armed| armed.set(armed.in_force)).collect()
    }

    /// The octets of a transaction that this fills.
    fn written(fill: impl FnOnce(&mut Transaction<'_>)) -> String {
        let mut transaction = Transaction::new(TableFamily::Netdev, "t");
        fill(&mut transaction);
        format!("{transaction:?}")
    }

    #[test]
    fn a_leaver_keeps_its_sets_while_it_drains_on_one_interface_with_one_mac() {
        let mut first = armed(&arming(Some(11), &[12]), None, 0);
        assert_eq!(sets(&first), ["strays_2a", "strays_1a"], "12 was named first");
        assert_eq!(first.begin_list([192, 0, 2, 11].into(), 1).unwrap(), "strays_2b");

        let again = armed(&arming(None, &[11]), Some(&first), 10);
        assert_eq!(sets(&again), ["strays_2b"]);
        assert_eq!(again.own_set(), "own_11");
        let mut elsewhere = arming(None, &[11]);
        elsewhere.interface = interface("eth1");
        assert_eq!(sets(&armed(&elsewhere, Some(&first), 10)), ["strays_11a"]);
        let mut another = arming(None, &[11]);
        another.leavers[0].mac = MacAddr([2, 0, 0, 0, 0, 99]);
        assert_eq!(sets(&armed(&another, Some(&first), 10)), ["strays_11a"]);
    }

    #[test]
    fn lists_alternate_between_two_sets_and_additions_go_to_the_one_in_force() {
        let mut instance = armed(&arming(None, &[11]), None, 0);
        let leaver = [192, 0, 2, 11].into();
        assert_eq!(instance.begin_list(leaver, 5).unwrap(), "strays_1b");
        assert_eq!(instance.extend_list(leaver, 2).unwrap(), ("strays_1b".to_owned(), 7));
        assert_eq!(instance.begin_list(leaver, 3).unwrap(), "strays_1a");
        assert_eq!(instance.extend_list(leaver, 0).unwrap(), ("strays_1a".to_owned(), 3));
        let stranger = [192, 0, 2, 12].into();
        assert!(instance.begin_list(stranger, 1).is_err() && instance.extend_list(stranger, 1).is_err());
    }

    #[test]
    fn rules_are_a_function_of_what_is_armed_and_not_of_its_history() {
        let mut instance = armed(&arming(Some(11), &[12]), None, 0);
        let before = written(|transaction| instance.write_rules(transaction));
        for _ in 0..2 {
            instance.begin_list([192, 0, 2, 11].into(), 1).unwrap();
            instance.begin_list([192, 0, 2, 12].into(), 1).unwrap();
        }
        assert_eq!(written(|transaction| instance.write_rules(transaction)), before);
        written(|transaction| instance.remove_leaver(transaction, [192, 0, 2, 11].into()).unwrap());
        assert_eq!(instance.last, None, "nothing turns from who is not there");
        assert_ne!(written(|transaction| instance.write_rules(transaction)), before);
    }

    #[test]
    fn connections_to_other_addresses_and_of_other_families_are_left_out() {
        let instance = armed(&arming(None, &[11]), None, 0);
        let connection = |local: &str, remote: &str| Connection {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        };
        let all = [
            connection("192.0.2.100:80", "198.51.100.1:1000"),
            connection("192.0.2.101:80", "198.51.100.1:1000"),
            connection("192.0.2.100:80", "[2001:db8::1]:1000"),
            connection("[2001:db8::2]:80", "[2001:db8::1]:1000"),
        ];
        assert_eq!(instance.keys_of(&all).len(), 1);
    }

    #[test]
    fn a_rule_without_a_counter_counts_nothing() {
        assert_eq!(read_counter(&[]), None);
        assert_eq!(read_counter(&[4, 0, 4, 0]), None);
    }
}
