//! The messages are compared with those of `nft`, and refusals with what they are about.

use super::attribute::all;
use super::refusal::{RefusedSubject, subject};
use super::transaction::{NETLINK_HEADER, NftablesRequest};
use super::*;
use crate::types::Family;
use netlink_packet_core::{NLA_F_NESTED, NLM_F_ACK};
use std::time::Duration;

// What nft 1.0.6 sends, from the header of netfilter on, as strace recorded it.

const TABLE: &str = "0500000006000100740000000800020000000000";
const INGRESS_CHAIN: &str = "05000000060001007400000007000300696e00000b00070066696c74657200001c0004800800010000000000\
         08000200fffffe0c0700030064300000";
const CHAIN: &str = "05000000060001007400000007000300746f0000";
const TEMPORARY_SET: &str = "0500000006000100740000000c0002007475726e696e67000800030000000010080004000000000708000500\
         0000000408000a00000000010c000b0000000000000017700a000d000004020000000000";
const SET_OF_RULES: &str = "050000000600010074000000080002006f776e000800030000000030080004000020d20d0800050000000028\
         08000a00000000020c00098008000100000003e80c000b00000000000000271014000d000004000000000308\
         00040d0000000100";
const MAP: &str = "05000000060001007400000009000200696e7374000000000800030000000008080004000000000708000500\
         0000000408000600ffffff00080007000000000008000a000000000316000d00000402000000010400000000\
         0604000000000000";
const MAP_ELEMENT: &str = "05000000060001007400000009000200696e73740000000008000400000000062c000380280001800c000180\
         080001000a000001180002801400028008000100fffffffc07000200746f0000";
const FORWARD_RULE: &str = "05000000060001007400000007000200746f0000a4000480140001800c000100636f756e7465720004000280\
         2c0001800e000100696d6d6564696174650000001800028008000100000000010c0002800800010003000000\
         380001800e000100696d6d6564696174650000002400028008000100000000021800028014000100fe800000\
         0000000000000000000000012800018008000100667764001c00028008000100000000010800020000000002\
         080003000000000a";
const MAP_RULE: &str = "05000000060001007400000007000200696e0000c000048024000180090001006d6574610000000014000280\
         080002000000000108000100000000012c00018008000100636d700020000280080001000000000108000200\
         000000000c0003800600010008000000340001800c0001007061796c6f616400240002800800010000000001\
         080002000000000108000300000000100800040000000004380001800b0001006c6f6f6b7570000028000280\
         0800020000000001080003000000000009000100696e7374000000000800040000000006";
const PACKET_TYPE_RULE: &str = "05000000060001007400000007000200696e00008400048024000180090001006d6574610000000014000280\
         080002000000001308000100000000012c00018008000100636d700020000280080001000000000108000200\
         000000010c0003800500010000000000300001800e000100696d6d6564696174650000001c00028008000100\
         00000000100002800c0002800800010000000001";
const CONNECTION_RULE: &str = "05000000060001007400000007000200696e0000e001048024000180090001006d6574610000000014000280\
         080002000000000108000100000000012c00018008000100636d700020000280080001000000000108000200\
         000000000c0003800600010086dd0000340001800c0001007061796c6f616400240002800800010000000001\
         0800020000000001080003000000000608000400000000012c00018008000100636d70002000028008000100\
         0000000108000200000000000c0003800500010006000000340001800c0001007061796c6f61640024000280\
         0800010000000001080002000000000108000300000000080800040000000010340001800c0001007061796c\
         6f61640024000280080001000000000208000200000000020800030000000000080004000000000234000180\
         0c0001007061796c6f61640024000280080001000000000d0800020000000001080003000000001808000400\
         00000010340001800c0001007061796c6f616400240002800800010000000011080002000000000208000300\
         0000000208000400000000022c0001800b0001006c6f6f6b757000001c000280080002000000000108000100\
         6f776e000800040000000002300001800e000100696d6d6564696174650000001c0002800800010000000000\
         100002800c00028008000100000000000c000700000668656c6c6f00";
const UPDATE_RULE: &str = "05000000060001007400000007000200696e00006002048024000180090001006d6574610000000014000280\
         080002000000001008000100000000012c00018008000100636d700020000280080001000000000108000200\
         000000000c0003800500010006000000340001800c0001007061796c6f616400240002800800010000000001\
         0800020000000002080003000000000d08000400000000014c0001800c00010062697477697365003c000280\
         08000100000000010800020000000001080006000000000008000300000000010c0004800500010012000000\
         0c00058005000100000000002c00018008000100636d70002000028008000100000000010800020000000000\
         0c000380050001000200000024000180090001006d6574610000000014000280080002000000000108000100\
         000000012c00018008000100636d700020000280080001000000000108000200000000000c00038006000100\
         86dd0000340001800c0001007061796c6f616400240002800800010000000001080002000000000108000300\
         000000080800040000000010340001800c0001007061796c6f61640024000280080001000000000208000200\
         0000000208000300000000000800040000000002340001800c0001007061796c6f6164002400028008000100\
         0000000d080002000000000108000300000000180800040000000010340001800c0001007061796c6f616400\
         240002800800010000000011080002000000000208000300000000020800040000000002400001800b000100\
         64796e736574000030000280080004000000000108000300000000010c000600000000000000271008000100\
         6f776e000800020000000002";
const ARP_CHAIN: &str = "030000000600010074000000080003006f7574000b00070066696c7465720000140004800800010000000001\
         0800020000000000";
const ARP_RULE: &str = "030000000600010074000000080002006f757400c4000480340001800c0001007061796c6f61640024000280\
         08000100000000010800020000000001080003000000000608000400000000022c00018008000100636d7000\
         20000280080001000000000108000200000000000c00038006000100000100002c0001800e000100696d6d65\
         64696174650000001800028008000100000000010c00028008000100c0000202340001800c0001007061796c\
         6f6164002400028008000500000000010800020000000001080003000000000e0800040000000004";
const FLUSH_CHAIN: &str = "030000000600010074000000080002006f757400";
const DELETE_CHAIN: &str = "030000000600010074000000080003006f757400";

const INGRESS: ChainHook<'_> = ChainHook { point: HookPoint::Ingress { interface: "d0" }, priority: -500 };

/// An attribute: its octets, or the attributes in it, in the order of their kinds. The order in which
/// they are sent does not matter to the kernel, except in lists, whose elements have one kind.
#[derive(Debug, PartialEq, Eq)]
enum Tree {
    Octets(u16, Vec<u8>),
    Nested(u16, Vec<Tree>),
}

impl Tree {
    fn kind(&self) -> u16 {
        match self {
            Self::Octets(kind, _) | Self::Nested(kind, _) => *kind,
        }
    }

    fn read(mut octets: &[u8]) -> Vec<Self> {
        let mut list = Vec::new();
        while !octets.is_empty() {
            let length = usize::from(u16::from_ne_bytes([octets[0], octets[1]]));
            let kind = u16::from_ne_bytes([octets[2], octets[3]]);
            let value = &octets[4..length];
            octets = &octets[length.next_multiple_of(4).min(octets.len())..];
            list.push(match kind & NLA_F_NESTED {
                0 => Self::Octets(kind, value.to_vec()),
                _ => Self::Nested(kind & !NLA_F_NESTED, Self::read(value)),
            });
        }
        list.sort_by_key(Self::kind);
        list
    }

    /// A message from the header of netfilter on, without what only nft sends: ids of sets beside
    /// their names, notes for itself, and values that the kernel assumes anyway.
    fn message(octets: &[u8], kind: u16) -> (Vec<u8>, Vec<Self>) {
        let mut list = Self::read(&octets[4..]);
        let left_out: &[u16] = match kind {
            kind if kind == NftablesRequest::NewSet.message_type() => &[7, 10, 13],
            kind if kind == NftablesRequest::NewElements.message_type() => &[4],
            _ => &[],
        };
        list.retain(|tree| !left_out.contains(&tree.kind()));
        list.iter_mut().for_each(Self::simplify);
        (octets[..4].to_vec(), list)
    }

    fn simplify(&mut self) {
        let Self::Nested(_, list) = self else { return };
        list.iter_mut().for_each(Self::simplify);
        if let [Self::Octets(1, name), Self::Nested(2, data)] = list.as_mut_slice() {
            let left_out = match name.as_slice() {
                b"lookup\0" => 4,
                b"dynset\0" => 2,
                b"bitwise\0" => 6,
                _ => return,
            };
            data.retain(|tree| tree.kind() != left_out);
        }
    }
}

fn octets_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The messages of a transaction without begin and end: type, flags, and the octets behind the header.
fn messages(octets: &[u8]) -> Vec<(u16, u16, Vec<u8>)> {
    let mut list = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let length = usize::try_from(u32::from_ne_bytes(rest[..4].try_into().unwrap())).unwrap();
        let half = |at: usize| u16::from_ne_bytes([rest[at], rest[at + 1]]);
        list.push((half(4), half(6), rest[NETLINK_HEADER..length].to_vec()));
        rest = &rest[length..];
    }
    assert_eq!((list[0].0, list.last().unwrap().0), (0x10, 0x11));
    list[1..list.len() - 1].to_vec()
}

#[track_caller]
fn same(family: TableFamily, fill: impl FnOnce(&mut Transaction<'_>), flags: u16, nft: &str) {
    let mut transaction = Transaction::new(family, "t");
    fill(&mut transaction);
    let sent = messages(&transaction.finish(7).0);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1 & !NLM_F_ACK, flags);
    let (kind, _, octets) = &sent[0];
    assert_eq!(Tree::message(octets, *kind), Tree::message(&octets_of(nft), *kind));
}

#[test]
fn tables_chains_and_sets_are_created_as_nft_does_it() {
    use TableFamily::{Arp, Netdev};
    let second = Duration::from_secs;
    same(Netdev, |transaction| transaction.create_table(TableLifetime::UntilDeleted), 0x401, TABLE);
    same(Netdev, |transaction| transaction.create_chain("in", Some(INGRESS)), 0x401, INGRESS_CHAIN);
    same(Netdev, |transaction| transaction.create_chain("to", None), 0x401, CHAIN);
    let content = SetContent::TemporaryValues { timeout: second(6) };
    let set = NewSet { name: "turning", key: KeyType::Ipv4Address, content };
    same(Netdev, |transaction| transaction.create_set(&set), 0x401, TEMPORARY_SET);
    let content = SetContent::ValuesOfRules { timeout: second(10), room: 1000 };
    let set = NewSet { name: "own", key: KeyType::Ipv6Connection, content };
    same(Netdev, |transaction| transaction.create_set(&set), 0x401, SET_OF_RULES);
    let set = NewSet { name: "inst", key: KeyType::Ipv4Address, content: SetContent::Verdicts };
    same(Netdev, |transaction| transaction.create_set(&set), 0x401, MAP);
    let hook = ChainHook { point: HookPoint::ArpOutput, priority: 0 };
    same(Arp, |transaction| transaction.create_chain("out", Some(hook)), 0x401, ARP_CHAIN);
    same(Arp, |transaction| transaction.delete_rules("out"), 0x1, FLUSH_CHAIN);
    same(Arp, |transaction| transaction.delete_chain("out"), 0x1, DELETE_CHAIN);
}

#[test]
fn a_map_sends_packets_to_a_chain_as_nft_does_it() {
    let add = |transaction: &mut Transaction<'_>| {
        transaction.add_verdict("inst", [10, 0, 0, 1], Verdict::Goto("to"))
    };
    same(TableFamily::Netdev, add, 0x401, MAP_ELEMENT);
    let rule = [
        Expression::LoadMeta { key: MetaKey::Protocol, to: REGISTER_0 },
        Expression::Compare { comparison: Comparison::Equal, register: REGISTER_0, value: &[8, 0] },
        payload(HeaderBase::Network, 16, 4, REGISTER_0),
        Expression::LookupVerdict { map: "inst", register: REGISTER_0 },
    ];
    same(TableFamily::Netdev, |transaction| transaction.append_rule("in", &rule, ""), 0xc01, MAP_RULE);
    let rule = [
        Expression::LoadMeta { key: MetaKey::PacketType, to: REGISTER_0 },
        Expression::Compare { comparison: Comparison::NotEqual, register: REGISTER_0, value: &[0] },
        Expression::Decide(Verdict::Accept),
    ];
    same(
        TableFamily::Netdev,
        |transaction| transaction.append_rule("in", &rule, ""),
        0xc01,
        PACKET_TYPE_RULE,
    );
}

fn payload(base: HeaderBase, offset: u32, length: u32, to: Register) -> Expression<'static> {
    Expression::LoadPayload { base, offset, length, to }
}

/// The two ends of an IPv6 packet's connection.
fn load_connection() -> [Expression<'static>; 4] {
    [
        payload(HeaderBase::Network, 8, 16, REGISTER_0),
        payload(HeaderBase::Transport, 0, 2, REGISTER_0.after(16)),
        payload(HeaderBase::Network, 24, 16, REGISTER_0.after(20)),
        payload(HeaderBase::Transport, 2, 2, REGISTER_0.after(36)),
    ]
}

fn equal(value: &[u8]) -> Expression<'_> {
    Expression::Compare { comparison: Comparison::Equal, register: REGISTER_0, value }
}

#[test]
fn rules_are_written_as_nft_does_it() {
    let neighbour = std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).octets();
    let index = 3_u32.to_ne_bytes();
    let second = REGISTER_0.after(16);
    let rule = [
        Expression::Count,
        Expression::LoadValue { value: &index, to: REGISTER_0 },
        Expression::LoadValue { value: &neighbour, to: second },
        Expression::Forward { device: REGISTER_0, neighbour: second, family: Family::Ipv6 },
    ];
    same(TableFamily::Netdev, |transaction| transaction.append_rule("to", &rule, ""), 0xc01, FORWARD_RULE);

    let mut rule = vec![
        Expression::LoadMeta { key: MetaKey::Protocol, to: REGISTER_0 },
        equal(&[0x86, 0xdd]),
        payload(HeaderBase::Network, 6, 1, REGISTER_0),
        equal(&[6]),
    ];
    rule.extend(load_connection());
    rule.push(Expression::Lookup { set: "own", register: REGISTER_0, membership: Membership::In });
    rule.push(Expression::Decide(Verdict::Drop));
    same(
        TableFamily::Netdev,
        |transaction| transaction.append_rule("in", &rule, "hello"),
        0xc01,
        CONNECTION_RULE,
    );

    let mut rule = vec![
        Expression::LoadMeta { key: MetaKey::TransportProtocol, to: REGISTER_0 },
        equal(&[6]),
        payload(HeaderBase::Transport, 13, 1, REGISTER_0),
        Expression::Mask { register: REGISTER_0, mask: &[0x12] },
        equal(&[2]),
        Expression::LoadMeta { key: MetaKey::Protocol, to: REGISTER_0 },
        equal(&[0x86, 0xdd]),
    ];
    rule.extend(load_connection());
    let timeout = Some(Duration::from_secs(10));
    rule.push(Expression::Update { set: "own", register: REGISTER_0, timeout });
    same(TableFamily::Netdev, |transaction| transaction.append_rule("in", &rule, ""), 0xc01, UPDATE_RULE);
}

#[test]
fn an_arp_packet_is_changed_as_nft_does_it() {
    let sender = ArpField::SenderAddress;
    let rule = [
        payload(HeaderBase::Network, ArpField::Operation.offset(), ArpField::Operation.length(), REGISTER_0),
        equal(&[0, 1]),
        Expression::LoadValue { value: &[192, 0, 2, 2], to: REGISTER_0 },
        Expression::StorePayload {
            base: HeaderBase::Network,
            offset: sender.offset(),
            length: sender.length(),
            from: REGISTER_0,
        },
    ];
    same(TableFamily::Arp, |transaction| transaction.append_rule("out", &rule, ""), 0xc01, ARP_RULE);
}

#[test]
fn long_lists_of_elements_are_split_so_that_each_attribute_fits() {
    let mut transaction = Transaction::new(TableFamily::Netdev, "t");
    transaction.add_elements("own", (0_u32..5000).map(|n| [0; 36].map(|_: u8| n.to_be_bytes()[3])));
    let sent = messages(&transaction.finish(1).0);
    assert_eq!(sent.len(), 5000_usize.div_ceil(60_000 / 48));
    let count = |(_, _, octets): &(u16, u16, Vec<u8>)| {
        let (_, list) = all(&octets[4..]).find(|(kind, _)| *kind == 3).unwrap();
        assert!(list.len() < usize::from(u16::MAX) - 4);
        all(list).count()
    };
    assert_eq!(sent.iter().map(count).sum::<usize>(), 5000);

    let mut transaction = Transaction::new(TableFamily::Netdev, "t");
    transaction.add_elements("own", [[0_u8; 16]; 0]);
    assert_eq!(messages(&transaction.finish(1).0), [], "nothing to add is no message: it would be a flush");
}

#[test]
fn messages_are_numbered_and_the_last_one_is_acknowledged() {
    let mut transaction = Transaction::new(TableFamily::Netdev, "t");
    transaction.create_chain("a", None);
    transaction.create_chain("b", None);
    let (octets, last) = transaction.finish(u32::MAX - 1);
    assert_eq!(last, 0, "numbers wrap");
    let sent = messages(&octets);
    assert_eq!([sent[0].1 & NLM_F_ACK, sent[1].1 & NLM_F_ACK], [0, NLM_F_ACK]);
    assert_eq!(subject(&octets, u32::MAX - 1, None), RefusedSubject::Transaction);
    assert_eq!(subject(&octets, u32::MAX, None), RefusedSubject::Chain("a".to_owned()));
    assert_eq!(subject(&octets, 0, None), RefusedSubject::Chain("b".to_owned()));
    assert_eq!(subject(&octets, 5, None), RefusedSubject::Transaction, "not in this transaction");
}

#[test]
fn a_refused_expression_is_named_by_the_offset_that_the_kernel_reports() {
    let mut transaction = Transaction::new(TableFamily::Netdev, "t");
    transaction.append_rule("to", &[Expression::Count, Expression::Decide(Verdict::Drop)], "");
    let (octets, last) = transaction.finish(1);
    let message = &octets[20..];
    let at = message.windows(7).position(|part| part == b"counter").unwrap();
    let rule = |name: Option<&str>| RefusedSubject::Rule {
        chain: "to".to_owned(),
        expression: name.map(str::to_owned),
    };
    assert_eq!(subject(&octets, last, Some(at - 8)), rule(Some("counter")), "its header");
    assert_eq!(subject(&octets, last, Some(at)), rule(Some("counter")), "its name");
    let at = message.windows(9).position(|part| part == b"immediate").unwrap();
    assert_eq!(subject(&octets, last, Some(at)), rule(Some("immediate")));
    assert_eq!(subject(&octets, last, Some(20)), rule(None), "the name of the table");
    assert_eq!(subject(&octets, last, None), rule(None));
}

#[test]
fn a_refusal_says_what_was_refused_and_why() {
    let refusal = NftablesRefusal {
        errno: nix::errno::Errno::ENOENT,
        subject: RefusedSubject::Rule { chain: "to".to_owned(), expression: Some("fwd".to_owned()) },
        text: None,
    };
    assert_eq!(
        NftablesError::Refused(refusal).to_string(),
        "the kernel refused the expression \"fwd\" in a rule of the chain to: ENOENT: No such file or directory"
    );
}
