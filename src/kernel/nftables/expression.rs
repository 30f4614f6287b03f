//! The expressions of which rules consist. A rule is a list of them: each loads, compares or looks
//! up something, and the rule ends at the first that does not match.

use super::attribute::Attributes;
use crate::types::Family;
use std::time::Duration;

/// A register holds 32 bits; longer values fill the registers that follow. There are 16, of which
/// [`REGISTER_0`] is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register(u8);

/// The first register (NFT_REG32_00).
pub const REGISTER_0: Register = Register(0);
const NUMBER_OF_REGISTERS: u8 = 16;
/// The kernel's number for the register that holds the fate of a packet.
const VERDICT_REGISTER: u32 = 0;
/// The kernel's numbers of the registers, which can also be named in groups of four.
const FIRST_NUMBER: u32 = 8;
const FIRST_GROUP: u32 = 1;

impl Register {
    /// The register after so many octets, which is the last one if there are no more registers: the
    /// kernel refuses the rule then.
    pub fn after(self, octets: usize) -> Self {
        let steps = u8::try_from(octets.div_ceil(4)).unwrap_or(u8::MAX);
        Self(self.0.saturating_add(steps).min(NUMBER_OF_REGISTERS - 1))
    }

    /// The kernel's number. Where a group begins, it is that of the group, as `nft` has it.
    fn number(self) -> u32 {
        if self.0.is_multiple_of(4) {
            FIRST_GROUP + u32::from(self.0 / 4)
        } else {
            FIRST_NUMBER + u32::from(self.0)
        }
    }
}

/// A fact about a packet that is not in its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaKey {
    /// The Ethernet type, in network byte order.
    Protocol,
    /// The transport protocol, in one octet.
    TransportProtocol,
    /// To whom the frame was sent (PACKET_HOST is 0), in one octet.
    PacketType,
}

/// The header from whose start an offset is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderBase {
    /// The Ethernet header.
    Link,
    /// The header of IPv4, IPv6 or ARP.
    Network,
    /// The header of TCP, UDP or ICMP, behind IPv4 options and IPv6 extension headers. Nothing is
    /// found there in a fragment that is not the first one.
    Transport,
}

/// How a register is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// They are equal.
    Equal,
    /// They differ.
    NotEqual,
}

/// What a lookup in a set must find for the rule to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// The value is in the set.
    In,
    /// The value is not in the set.
    NotIn,
}

/// Fields of an ARP packet of IPv4 over Ethernet, for tables of the family `arp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArpField {
    /// 1 is a request and 2 a reply.
    Operation,
    /// The IPv4 address of the sender.
    SenderAddress,
    /// The IPv4 address that is asked for.
    TargetAddress,
}

impl ArpField {
    /// The offset from the start of the ARP header.
    pub fn offset(self) -> u32 {
        match self {
            Self::Operation => 6,
            Self::SenderAddress => 14,
            Self::TargetAddress => 24,
        }
    }

    /// The length of the field in octets.
    pub fn length(self) -> u32 {
        match self {
            Self::Operation => 2,
            Self::SenderAddress | Self::TargetAddress => 4,
        }
    }
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'r> {
    /// It goes on to the next chain of the hook.
    Accept,
    /// It is dropped.
    Drop,
    /// The rest of this chain does not apply to it.
    Return,
    /// Another chain decides, and this one is not returned to.
    Goto(&'r str),
}

/// One part of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expression<'r> {
    /// Loads a fact about the packet.
    LoadMeta {
        /// Which fact.
        key: MetaKey,
        /// Where to.
        to: Register,
    },
    /// Loads octets of the packet; a packet that is too short does not match.
    LoadPayload {
        /// The header that `offset` counts from.
        base: HeaderBase,
        /// Offset in octets.
        offset: u32,
        /// Number of octets.
        length: u32,
        /// Where to.
        to: Register,
    },
    /// Writes octets of the packet. No checksum is adjusted.
    StorePayload {
        /// The header that `offset` counts from.
        base: HeaderBase,
        /// Offset in octets.
        offset: u32,
        /// Number of octets.
        length: u32,
        /// Where from.
        from: Register,
    },
    /// Loads a constant.
    LoadValue {
        /// The constant.
        value: &'r [u8],
        /// Where to.
        to: Register,
    },
    /// Goes on if the comparison holds.
    Compare {
        /// Which comparison.
        comparison: Comparison,
        /// The register to compare.
        register: Register,
        /// The value to compare with.
        value: &'r [u8],
    },
    /// Clears the bits of a register that are not in the mask.
    Mask {
        /// The register.
        register: Register,
        /// The mask.
        mask: &'r [u8],
    },
    /// Goes on if the value is in a set, or is not in it.
    Lookup {
        /// The name of the set.
        set: &'r str,
        /// The first register of the value.
        register: Register,
        /// What is required.
        membership: Membership,
    },
    /// Does with the packet what a map of verdicts says, if it says something for the value.
    LookupVerdict {
        /// The name of the map.
        map: &'r str,
        /// The first register of the value.
        register: Register,
    },
    /// Adds the value to a set, or renews its timeout there; goes on unless the set is full.
    Update {
        /// The name of the set.
        set: &'r str,
        /// The first register of the value.
        register: Register,
        /// How long the element stays, if not as long as the set says.
        timeout: Option<Duration>,
    },
    /// Counts the packet.
    Count,
    /// Sends the packet on from an interface to a neighbour, whose link-layer address is resolved,
    /// with a TTL that is one less. Nothing else sees the packet.
    Forward {
        /// The register with the index of the interface, in the byte order of the machine.
        device: Register,
        /// The first register of the neighbour's address.
        neighbour: Register,
        /// The family of that address, and of the packets.
        family: Family,
    },
    /// Ends the rule with this fate for the packet.
    Decide(Verdict<'r>),
}

const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;

impl Expression<'_> {
    /// Appends the expression to the list of a rule.
    pub fn append(&self, list: &mut Attributes<'_>) {
        list.nested(NFTA_LIST_ELEM, |element| {
            element.text(NFTA_EXPR_NAME, self.name());
            element.nested(NFTA_EXPR_DATA, |data| self.append_data(data));
        });
    }

    /// The kernel's name for an expression of this kind.
    fn name(&self) -> &'static str {
        match self {
            Self::LoadMeta { .. } => "meta",
            Self::LoadPayload { .. } | Self::StorePayload { .. } => "payload",
            Self::LoadValue { .. } | Self::Decide(_) => "immediate",
            Self::Compare { .. } => "cmp",
            Self::Mask { .. } => "bitwise",
            Self::Lookup { .. } | Self::LookupVerdict { .. } => "lookup",
            Self::Update { .. } => "dynset",
            Self::Count => "counter",
            Self::Forward { .. } => "fwd",
        }
    }

    fn append_data(&self, data: &mut Attributes<'_>) {
        match *self {
            Self::LoadMeta { key, to } => {
                data.number(1, to.number());
                data.number(2, meta_key(key));
            }
            Self::LoadPayload { base, offset, length, to } => {
                data.number(1, to.number());
                payload_range(data, base, offset, length);
            }
            Self::StorePayload { base, offset, length, from } => {
                payload_range(data, base, offset, length);
                data.number(5, from.number());
            }
            Self::LoadValue { value, to } => {
                data.number(1, to.number());
                data.nested(2, |inner| inner.octets(NFTA_DATA_VALUE, value));
            }
            Self::Compare { comparison, register, value } => {
                let operator = match comparison {
                    Comparison::Equal => libc::NFT_CMP_EQ,
                    Comparison::NotEqual => libc::NFT_CMP_NEQ,
                };
                data.number(1, register.number());
                data.number(2, operator.cast_unsigned());
                data.nested(3, |inner| inner.octets(NFTA_DATA_VALUE, value));
            }
            Self::Mask { register, mask } => {
                let zeros = vec![0; mask.len()];
                data.number(1, register.number());
                data.number(2, register.number());
                data.number(3, u32::try_from(mask.len()).unwrap_or(u32::MAX));
                data.nested(4, |inner| inner.octets(NFTA_DATA_VALUE, mask));
                data.nested(5, |inner| inner.octets(NFTA_DATA_VALUE, &zeros));
            }
            Self::Lookup { set, register, membership } => {
                data.text(1, set);
                data.number(2, register.number());
                match membership {
                    Membership::In => {}
                    Membership::NotIn => data.number(5, libc::NFT_LOOKUP_F_INV.cast_unsigned()),
                }
            }
            Self::LookupVerdict { map, register } => {
                data.text(1, map);
                data.number(2, register.number());
                data.number(3, VERDICT_REGISTER);
            }
            Self::Update { set, register, timeout } => {
                data.text(1, set);
                data.number(3, libc::NFT_DYNSET_OP_UPDATE.cast_unsigned());
                data.number(4, register.number());
                if let Some(timeout) = timeout {
                    data.long_number(6, milliseconds(timeout));
                }
            }
            Self::Count => {}
            Self::Forward { device, neighbour, family } => {
                let protocol = match family {
                    Family::Ipv4 => libc::NFPROTO_IPV4,
                    Family::Ipv6 => libc::NFPROTO_IPV6,
                };
                data.number(1, device.number());
                data.number(2, neighbour.number());
                data.number(3, protocol.cast_unsigned());
            }
            Self::Decide(verdict) => {
                data.number(1, VERDICT_REGISTER);
                data.nested(2, |inner| verdict.append(inner));
            }
        }
    }
}

impl Verdict<'_> {
    /// Appends the verdict as the value of an element of a map or of an expression.
    pub(super) fn append(self, value: &mut Attributes<'_>) {
        const NFTA_VERDICT_CODE: u16 = 1;
        const NFTA_VERDICT_CHAIN: u16 = 2;
        let (code, chain) = match self {
            Self::Accept => (libc::NF_ACCEPT, None),
            Self::Drop => (libc::NF_DROP, None),
            Self::Return => (libc::NFT_RETURN, None),
            Self::Goto(chain) => (libc::NFT_GOTO, Some(chain)),
        };
        value.nested(NFTA_DATA_VERDICT, |verdict| {
            verdict.number(NFTA_VERDICT_CODE, code.cast_unsigned());
            if let Some(chain) = chain {
                verdict.text(NFTA_VERDICT_CHAIN, chain);
            }
        });
    }
}

/// Durations are sent in milliseconds.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn payload_range(data: &mut Attributes<'_>, base: HeaderBase, offset: u32, length: u32) {
    let base = match base {
        HeaderBase::Link => libc::NFT_PAYLOAD_LL_HEADER,
        HeaderBase::Network => libc::NFT_PAYLOAD_NETWORK_HEADER,
        HeaderBase::Transport => libc::NFT_PAYLOAD_TRANSPORT_HEADER,
    };
    data.number(2, base.cast_unsigned());
    data.number(3, offset);
    data.number(4, length);
}

fn meta_key(key: MetaKey) -> u32 {
    let key = match key {
        MetaKey::Protocol => libc::NFT_META_PROTOCOL,
        MetaKey::TransportProtocol => libc::NFT_META_L4PROTO,
        MetaKey::PacketType => libc::NFT_META_PKTTYPE,
    };
    key.cast_unsigned()
}
