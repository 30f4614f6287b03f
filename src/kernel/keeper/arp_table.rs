//! Writes the table of the packet filter that guards ARP where the parameters of interfaces cannot
//! be set.
//!
//! The table has no owner: as the addresses on `lo`, it outlives a daemon that is killed. What it says
//! about an address ends by a timeout, as the addresses do, so that it cannot silence an address that
//! is held much later. It is replaced as a whole in one transaction.

use super::message::ArpTableWriter;
use crate::kernel::nftables::{
    ArpField, ChainHook, Comparison, Expression, HeaderBase, HookPoint, KeyType, Membership, NewSet,
    NftablesError, NftablesSocket, REGISTER_0, SetContent, TableFamily, TableLifetime, Transaction, Verdict,
};
use crate::kernel::resources::arp_guard::ArpRewrites;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// The name of the table.
pub const ARP_TABLE: &str = "vrrpd-drain";
const CHAIN: &str = "output";
const REQUEST: [u8; 2] = [0, 1];
const REPLY: [u8; 2] = [0, 2];

/// Returns the function that writes the table. The socket is opened when it is needed, on the thread
/// of the keeper.
#[must_use]
pub fn arp_table_writer() -> ArpTableWriter {
    Box::new(|content, lasts| {
        NftablesSocket::open().and_then(|mut socket| write(&mut socket, content, lasts))
    })
}

fn write(socket: &mut NftablesSocket, content: &ArpRewrites, lasts: Duration) -> Result<(), NftablesError> {
    let mut transaction = Transaction::new(TableFamily::Arp, ARP_TABLE);
    if content.is_empty() {
        transaction.delete_table();
        return match socket.commit(transaction) {
            Err(NftablesError::Refused(refusal)) if refusal.errno == Errno::ENOENT => Ok(()),
            outcome => outcome,
        };
    }
    let mut by_sender: BTreeMap<Ipv4Addr, Vec<[u8; 4]>> = BTreeMap::new();
    for rewrite in content {
        by_sender.entry(rewrite.instead).or_default().push(rewrite.address.octets());
    }
    // If it is not there, it is created in order to be deleted.
    transaction.create_table(TableLifetime::UntilDeleted);
    transaction.delete_table();
    transaction.create_table(TableLifetime::UntilDeleted);
    transaction.create_chain(CHAIN, Some(ChainHook { point: HookPoint::ArpOutput, priority: 0 }));
    for (instead, addresses) in by_sender {
        let set = format!("draining-{instead}");
        transaction.create_set(&NewSet {
            name: &set,
            key: KeyType::Ipv4Address,
            content: SetContent::TemporaryValues { timeout: lasts },
        });
        transaction.add_elements(&set, addresses);
        let octets = instead.octets();
        let sender = ArpField::SenderAddress;
        let load = |field: ArpField| Expression::LoadPayload {
            base: HeaderBase::Network,
            offset: field.offset(),
            length: field.length(),
            to: REGISTER_0,
        };
        let is = |value| Expression::Compare { comparison: Comparison::Equal, register: REGISTER_0, value };
        let drains = Expression::Lookup { set: &set, register: REGISTER_0, membership: Membership::In };
        let operation = load(ArpField::Operation);
        let reply = [operation, is(&REPLY), load(sender), drains, Expression::Decide(Verdict::Drop)];
        transaction.append_rule(CHAIN, &reply, "an address that drains is not answered for");
        let named = Expression::LoadValue { value: &octets, to: REGISTER_0 };
        let rename = Expression::StorePayload {
            base: HeaderBase::Network,
            offset: sender.offset(),
            length: sender.length(),
            from: REGISTER_0,
        };
        let request = [operation, is(&REQUEST), load(sender), drains, named, rename];
        transaction.append_rule(CHAIN, &request, "nor is it named in requests");
    }
    socket.commit(transaction)
}
