//! A transaction: a sequence of messages about one table, between a begin and an end.

use super::attribute::Attributes;
use super::expression::{Expression, Verdict, milliseconds};
use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST};
use std::time::Duration;

/// Length in octets of a netlink header, and of the header of netfilter behind it.
pub(super) const NETLINK_HEADER: usize = 16;
pub(super) const NETFILTER_HEADER: usize = 4;
/// The subsystem is the upper octet of the type of a message.
const SUBSYSTEM: u16 = 10 << 8;
pub(super) const BATCH_BEGIN: u16 = 0x10;
pub(super) const BATCH_END: u16 = 0x11;
/// A list of elements is an attribute, and cannot have more than 65,535 octets: a message has so
/// many octets of elements, and the next element begins another message.
const ELEMENTS_PER_MESSAGE: usize = 60_000;

/// What a message asks for; the value is the kernel's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum NftablesRequest {
    NewTable = 0,
    DeleteTable = 2,
    NewChain = 3,
    DeleteChain = 5,
    NewRule = 6,
    GetRules = 7,
    DeleteRules = 8,
    NewSet = 9,
    DeleteSet = 11,
    NewElements = 12,
    DeleteElements = 14,
}

impl NftablesRequest {
    /// The type of its messages.
    pub(super) const fn message_type(self) -> u16 {
        SUBSYSTEM | self as u16
    }
}

/// The kind of packets that a table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFamily {
    /// ARP packets.
    Arp,
    /// All packets of single interfaces.
    Netdev,
}

/// When a table ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableLifetime {
    /// With the socket that creates it; nobody else can change it (NFT_TABLE_F_OWNER, Linux 5.12).
    OfSocket,
    /// When somebody deletes it.
    UntilDeleted,
}

/// Where a chain gets its packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHook<'n> {
    /// The point on the path of a packet.
    pub point: HookPoint<'n>,
    /// Chains with a lower priority come first.
    pub priority: i32,
}

/// A point on the path of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookPoint<'n> {
    /// Where an interface has received it, in a table of the family `netdev`.
    Ingress {
        /// The name of the interface.
        interface: &'n str,
    },
    /// Where the host sends it, in a table of the family `arp`.
    ArpOutput,
}

/// The types of values in sets. The kernel knows only their lengths; the numbers are those of `nft`,
/// which cannot list the ruleset if they are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// An IPv4 address.
    Ipv4Address,
    /// An IPv6 address.
    Ipv6Address,
    /// Source address, source port, destination address and destination port of TCP over IPv4, each
    /// padded to 32 bits.
    Ipv4Connection,
    /// As [`Self::Ipv4Connection`], with addresses of IPv6.
    Ipv6Connection,
    /// The type of an ICMP message.
    IcmpType,
    /// The type of an ICMPv6 message.
    Icmpv6Type,
}

impl KeyType {
    /// The number of `nft`: 6 bits for each part.
    fn number(self) -> u32 {
        const IPV4_ADDRESS: u32 = 7;
        const IPV6_ADDRESS: u32 = 8;
        const SERVICE: u32 = 13;
        const ICMP_TYPE: u32 = 14;
        const ICMPV6_TYPE: u32 = 29;
        let connection = |address| ((address << 6 | SERVICE) << 6 | address) << 6 | SERVICE;
        match self {
            Self::Ipv4Address => IPV4_ADDRESS,
            Self::Ipv6Address => IPV6_ADDRESS,
            Self::Ipv4Connection => connection(IPV4_ADDRESS),
            Self::Ipv6Connection => connection(IPV6_ADDRESS),
            Self::IcmpType => ICMP_TYPE,
            Self::Icmpv6Type => ICMPV6_TYPE,
        }
    }

    /// Length in octets.
    fn length(self) -> u32 {
        match self {
            Self::Ipv4Address => 4,
            Self::Ipv6Address => 16,
            Self::Ipv4Connection => 16,
            Self::Ipv6Connection => 40,
            Self::IcmpType | Self::Icmpv6Type => 1,
        }
    }
}

/// What a set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetContent {
    /// Values that stay until they are removed.
    Values,
    /// Values that disappear after a time.
    TemporaryValues {
        /// The time, unless an element has its own.
        timeout: Duration,
    },
    /// Values that rules add, and that disappear after a time.
    ValuesOfRules {
        /// The time, unless the rule has its own.
        timeout: Duration,
        /// The most elements that it can hold.
        room: u32,
    },
    /// What happens to packets with a value: a map.
    Verdicts,
}

/// A set to be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSet<'n> {
    /// The name of the set.
    pub name: &'n str,
    /// The type of its values.
    pub key: KeyType,
    /// What it is for.
    pub content: SetContent,
}

/// A transaction on one table.
#[derive(Debug)]
pub struct Transaction<'t> {
    family: TableFamily,
    table: &'t str,
    octets: Vec<u8>,
    /// How many messages there are, the begin among them.
    messages: u32,
}

impl<'t> Transaction<'t> {
    /// An empty transaction on a table.
    pub fn new(family: TableFamily, table: &'t str) -> Self {
        let mut transaction = Self { family, table, octets: Vec::new(), messages: 0 };
        transaction.frame(BATCH_BEGIN, NLM_F_REQUEST, 0, SUBSYSTEM >> 8, |_| {});
        transaction
    }

    /// The octets so far, whose messages are not numbered yet.
    #[cfg(test)]
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Number of octets so far.
    pub fn size(&self) -> usize {
        self.octets.len()
    }

    /// Creates the table, or does nothing if it is there with the same lifetime.
    pub fn create_table(&mut self, lifetime: TableLifetime) {
        const NFTA_TABLE_NAME: u16 = 1;
        const NFTA_TABLE_FLAGS: u16 = 2;
        const NFT_TABLE_F_OWNER: u32 = 2;
        let flags = match lifetime {
            TableLifetime::OfSocket => NFT_TABLE_F_OWNER,
            TableLifetime::UntilDeleted => 0,
        };
        let table = self.table;
        self.push(NftablesRequest::NewTable, NLM_F_CREATE, |message| {
            message.text(NFTA_TABLE_NAME, table);
            message.number(NFTA_TABLE_FLAGS, flags);
        });
    }

    /// Deletes the table with everything in it. The kernel refuses this if there is none.
    pub fn delete_table(&mut self) {
        self.named(NftablesRequest::DeleteTable, None, |_| {});
    }

    /// Creates a chain, or does nothing if it is there at the same hook.
    pub fn create_chain(&mut self, name: &str, hook: Option<ChainHook<'_>>) {
        const NFTA_CHAIN_HOOK: u16 = 4;
        const NFTA_CHAIN_TYPE: u16 = 7;
        const NFTA_HOOK_HOOKNUM: u16 = 1;
        const NFTA_HOOK_PRIORITY: u16 = 2;
        const NFTA_HOOK_DEV: u16 = 3;
        const NF_ARP_OUT: i32 = 1;
        let table = self.table;
        self.push(NftablesRequest::NewChain, NLM_F_CREATE, |message| {
            message.text(1, table);
            message.text(3, name);
            let Some(ChainHook { point, priority }) = hook else { return };
            message.nested(NFTA_CHAIN_HOOK, |attributes| {
                let (number, interface) = match point {
                    HookPoint::Ingress { interface } => (libc::NF_NETDEV_INGRESS, Some(interface)),
                    HookPoint::ArpOutput => (NF_ARP_OUT, None),
                };
                attributes.number(NFTA_HOOK_HOOKNUM, number.cast_unsigned());
                attributes.number(NFTA_HOOK_PRIORITY, priority.cast_unsigned());
                if let Some(interface) = interface {
                    attributes.text(NFTA_HOOK_DEV, interface);
                }
            });
            message.text(NFTA_CHAIN_TYPE, "filter");
        });
    }

    /// Deletes a chain with its rules, which no other rule or map may mention.
    pub fn delete_chain(&mut self, name: &str) {
        let table = self.table;
        self.push(NftablesRequest::DeleteChain, 0, |message| {
            message.text(1, table);
            message.text(3, name);
        });
    }

    /// Appends a rule to a chain. The comment is for readers of `nft list ruleset`; one of more than
    /// 128 octets is left out, because the kernel would refuse it.
    pub fn append_rule(&mut self, chain: &str, expressions: &[Expression<'_>], comment: &str) {
        const NFTA_RULE_EXPRESSIONS: u16 = 4;
        const NFTA_RULE_USERDATA: u16 = 7;
        self.named_with(NftablesRequest::NewRule, NLM_F_CREATE | NLM_F_APPEND, Some(chain), |message| {
            message.nested(NFTA_RULE_EXPRESSIONS, |list| {
                expressions.iter().for_each(|expression| expression.append(list));
            });
            // As nft stores it: type 0, length, text with NUL.
            if let Ok(length @ 2..=129) = u8::try_from(comment.len() + 1) {
                let data = [&[0, length], comment.as_bytes(), &[0]].concat();
                message.octets(NFTA_RULE_USERDATA, &data);
            }
        });
    }

    /// Deletes all rules of a chain.
    pub fn delete_rules(&mut self, chain: &str) {
        self.named(NftablesRequest::DeleteRules, Some(chain), |_| {});
    }

    /// Creates a set or a map, or does nothing if it is there.
    pub fn create_set(&mut self, set: &NewSet<'_>) {
        const NFTA_SET_FLAGS: u16 = 3;
        const NFTA_SET_KEY_TYPE: u16 = 4;
        const NFTA_SET_KEY_LEN: u16 = 5;
        const NFTA_SET_DATA_TYPE: u16 = 6;
        const NFTA_SET_DESC: u16 = 9;
        const NFTA_SET_DESC_SIZE: u16 = 1;
        const NFTA_SET_ID: u16 = 10;
        const NFTA_SET_TIMEOUT: u16 = 11;
        let (flags, timeout, room) = match set.content {
            SetContent::Values => (0, None, None),
            SetContent::TemporaryValues { timeout } => (libc::NFT_SET_TIMEOUT, Some(timeout), None),
            SetContent::ValuesOfRules { timeout, room } => {
                (libc::NFT_SET_TIMEOUT | libc::NFT_SET_EVAL, Some(timeout), Some(room))
            }
            SetContent::Verdicts => (libc::NFT_SET_MAP, None, None),
        };
        // Distinguishes the sets that one transaction creates.
        let id = self.messages;
        self.named_with(NftablesRequest::NewSet, NLM_F_CREATE, Some(set.name), |message| {
            message.number(NFTA_SET_FLAGS, flags.cast_unsigned());
            message.number(NFTA_SET_KEY_TYPE, set.key.number());
            message.number(NFTA_SET_KEY_LEN, set.key.length());
            if set.content == SetContent::Verdicts {
                message.number(NFTA_SET_DATA_TYPE, libc::NFT_DATA_VERDICT);
            }
            if let Some(room) = room {
                message.nested(NFTA_SET_DESC, |description| description.number(NFTA_SET_DESC_SIZE, room));
            }
            message.number(NFTA_SET_ID, id);
            if let Some(timeout) = timeout {
                message.long_number(NFTA_SET_TIMEOUT, milliseconds(timeout));
            }
        });
    }

    /// Deletes a set or a map with its elements, which no rule may mention.
    pub fn delete_set(&mut self, name: &str) {
        self.named(NftablesRequest::DeleteSet, Some(name), |_| {});
    }

    /// Adds elements to a set. An element that is there already stays as it is: its timeout is not
    /// renewed.
    pub fn add_elements(&mut self, set: &str, values: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        self.elements(NftablesRequest::NewElements, NLM_F_CREATE, set, values, None);
    }

    /// Adds an element to a map of verdicts. The kernel refuses this if the value has another
    /// verdict there.
    pub fn add_verdict(&mut self, map: &str, value: impl AsRef<[u8]>, verdict: Verdict<'_>) {
        self.elements(NftablesRequest::NewElements, NLM_F_CREATE, map, [value], Some(verdict));
    }

    /// Removes elements from a set or a map. The kernel refuses this if one is not there.
    pub fn delete_elements(&mut self, set: &str, values: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        self.elements(NftablesRequest::DeleteElements, 0, set, values, None);
    }

    /// Removes all elements of a set or a map.
    pub fn flush_set(&mut self, set: &str) {
        self.named(NftablesRequest::DeleteElements, Some(set), |_| {});
    }

    fn elements(
        &mut self,
        request: NftablesRequest,
        flags: u16,
        set: &str,
        values: impl IntoIterator<Item = impl AsRef<[u8]>>,
        verdict: Option<Verdict<'_>>,
    ) {
        const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
        const NFTA_LIST_ELEM: u16 = 1;
        const NFTA_SET_ELEM_KEY: u16 = 1;
        const NFTA_SET_ELEM_DATA: u16 = 2;
        const NFTA_DATA_VALUE: u16 = 1;
        let mut values = values.into_iter().peekable();
        while values.peek().is_some() {
            self.named_with(request, flags, Some(set), |message| {
                message.nested(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
                    let mut size = 0;
                    while size < ELEMENTS_PER_MESSAGE {
                        let Some(value) = values.next() else { break };
                        // Three headers around the value.
                        size += 12 + value.as_ref().len().next_multiple_of(4);
                        list.nested(NFTA_LIST_ELEM, |element| {
                            element.nested(NFTA_SET_ELEM_KEY, |key| {
                                key.octets(NFTA_DATA_VALUE, value.as_ref());
                            });
                            if let Some(verdict) = verdict {
                                element.nested(NFTA_SET_ELEM_DATA, |data| verdict.append(data));
                            }
                        });
                    }
                });
            });
        }
    }

    /// Appends a message that names the table and something in it.
    fn named(
        &mut self,
        request: NftablesRequest,
        name: Option<&str>,
        fill: impl FnOnce(&mut Attributes<'_>),
    ) {
        self.named_with(request, 0, name, fill);
    }

    fn named_with(
        &mut self,
        request: NftablesRequest,
        flags: u16,
        name: Option<&str>,
        fill: impl FnOnce(&mut Attributes<'_>),
    ) {
        let table = self.table;
        self.push(request, flags, |message| {
            message.text(1, table);
            if let Some(name) = name {
                message.text(2, name);
            }
            fill(message);
        });
    }

    fn push(&mut self, request: NftablesRequest, flags: u16, fill: impl FnOnce(&mut Attributes<'_>)) {
        let family = family_number(self.family);
        self.frame(request.message_type(), NLM_F_REQUEST | flags, family, 0, fill);
    }

    fn frame(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        fill: impl FnOnce(&mut Attributes<'_>),
    ) {
        // The socket numbers the messages when it sends them.
        append_message(&mut self.octets, (kind, flags), (family, resource), fill);
        self.messages += 1;
    }

    /// The octets of the whole transaction, with its messages numbered from `first`, and the number
    /// of the last one, which is acknowledged.
    pub(super) fn finish(mut self, first: u32) -> (Vec<u8>, u32) {
        // The last message before the end asks for an acknowledgement.
        self.frame(BATCH_END, NLM_F_REQUEST, 0, SUBSYSTEM >> 8, |_| {});
        let last = first.wrapping_add(self.messages).wrapping_sub(2);
        let mut number = first;
        let mut rest = self.octets.as_mut_slice();
        while let Some((header, _)) = rest.split_first_chunk_mut::<NETLINK_HEADER>() {
            let [a, b, c, d, _, _, flags_low, flags_high, sequence @ .., _, _, _, _] = header;
            let length = u32::from_ne_bytes([*a, *b, *c, *d]);
            sequence.copy_from_slice(&number.to_ne_bytes());
            if number == last {
                let flags = u16::from_ne_bytes([*flags_low, *flags_high]) | NLM_F_ACK;
                [*flags_low, *flags_high] = flags.to_ne_bytes();
            }
            number = number.wrapping_add(1);
            let length = usize::try_from(length).unwrap_or(usize::MAX).max(NETLINK_HEADER);
            rest = std::mem::take(&mut rest).get_mut(length..).unwrap_or_default();
        }
        (self.octets, last)
    }
}

/// A request for a list: the rules of a table.
pub(super) fn rules_request(family: TableFamily, table: &str, number: u32) -> Vec<u8> {
    const NFTA_RULE_TABLE: u16 = 1;
    let mut octets = Vec::new();
    let kind = (NftablesRequest::GetRules.message_type(), NLM_F_REQUEST | NLM_F_DUMP);
    append_message(&mut octets, kind, (family_number(family), 0), |message| {
        message.text(NFTA_RULE_TABLE, table);
    });
    if let Some(sequence) = octets.get_mut(8..12) {
        sequence.copy_from_slice(&number.to_ne_bytes());
    }
    octets
}

fn append_message(
    octets: &mut Vec<u8>,
    (kind, flags): (u16, u16),
    (family, resource): (u8, u16),
    fill: impl FnOnce(&mut Attributes<'_>),
) {
    const VERSION: u8 = 0;
    let start = octets.len();
    octets.extend_from_slice(&[0; NETLINK_HEADER]);
    octets.extend_from_slice(&[family, VERSION]);
    octets.extend_from_slice(&resource.to_be_bytes());
    fill(&mut Attributes::new(octets));
    let length = u32::try_from(octets.len() - start).unwrap_or(u32::MAX);
    if let Some([a, b, c, d, e, f, g, h]) = octets.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
        [*a, *b, *c, *d] = length.to_ne_bytes();
        [*e, *f] = kind.to_ne_bytes();
        [*g, *h] = flags.to_ne_bytes();
    }
}

fn family_number(family: TableFamily) -> u8 {
    match family {
        TableFamily::Arp => 3,
        TableFamily::Netdev => 5,
    }
}
