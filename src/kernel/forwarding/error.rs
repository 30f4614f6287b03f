//! Why packets of connections of leavers cannot be forwarded, in terms that an operator understands.

use super::{MAXIMUM_CONNECTIONS, MAXIMUM_LEAVERS, MAXIMUM_LISTED, TABLE};
use crate::kernel::netlink::NetlinkError;
use crate::kernel::nftables::refusal::RefusedSubject;
use crate::kernel::nftables::{NftablesError, NftablesRefusal};
use crate::types::{InstanceKey, InterfaceName};
use nix::errno::Errno;
use std::net::IpAddr;

/// Why something could not be armed, listed or disarmed.
#[derive(Debug, thiserror::Error)]
pub enum ForwardingError {
    /// The process lacks a capability.
    #[error("nf_tables: not permitted; forwarding for nodes that drain needs CAP_NET_ADMIN")]
    NotPermitted,
    /// The kernel has no packet filter.
    #[error(
        "the kernel has no nf_tables for single interfaces (CONFIG_NF_TABLES and CONFIG_NF_TABLES_NETDEV); \
         load the module nf_tables if it is one"
    )]
    NoNftables,
    /// The table is somebody else's.
    #[error(
        "another process has the nf_tables table \"netdev {TABLE}\"; is a second vrrpd running in this network \
         namespace?"
    )]
    TableTaken,
    /// The kernel cannot hook a chain at an interface.
    #[error("the kernel has no nf_tables chains where interfaces receive (CONFIG_NETFILTER_INGRESS)")]
    NoIngress,
    /// The kernel lacks an expression of a rule.
    #[error("the kernel has no {module} (nf_tables expression \"{expression}\")")]
    NoExpression {
        /// The kernel's name for the expression.
        expression: String,
        /// The module, or the part of the kernel, that has it.
        module: &'static str,
    },
    /// There is no such interface.
    #[error("no interface {interface} has index {index} any more")]
    NoInterface {
        /// The name.
        interface: InterfaceName,
        /// The index that it had.
        index: u32,
    },
    /// The instance is not armed.
    #[error("{0} does not forward")]
    NotArmed(InstanceKey),
    /// The instance does not forward to this node.
    #[error("{key} does not forward to {leaver}")]
    UnknownLeaver {
        /// The instance.
        key: InstanceKey,
        /// The address of the node.
        leaver: IpAddr,
    },
    /// An address is not of the family of the instance.
    #[error("{key} cannot forward {address}, which is of another family")]
    WrongFamily {
        /// The instance.
        key: InstanceKey,
        /// The address.
        address: IpAddr,
    },
    /// The list is too long.
    #[error("{count} connections are more than the {MAXIMUM_CONNECTIONS} that can be listed")]
    TooManyConnections {
        /// How many there are.
        count: usize,
    },
    /// All lists together are too long.
    #[error("{count} connections are more than the {MAXIMUM_LISTED} that all lists together can have")]
    NoRoom {
        /// How many there would be.
        count: usize,
    },
    /// There are too many leavers.
    #[error("{count} nodes drain, and packets can be forwarded to {MAXIMUM_LEAVERS} at a time")]
    TooManyLeavers {
        /// How many there are.
        count: usize,
    },
    /// The interfaces could not be asked for.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The kernel refused something else, or did not answer.
    #[error(transparent)]
    Nftables(NftablesError),
}

impl From<NftablesError> for ForwardingError {
    fn from(error: NftablesError) -> Self {
        let known = match &error {
            NftablesError::Refused(refusal) => explain(refusal),
            NftablesError::Open(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => {
                Some(Self::NoNftables)
            }
            NftablesError::Open(_)
            | NftablesError::Send(_)
            | NftablesError::Receive(_)
            | NftablesError::Decode(_) => None,
        };
        known.unwrap_or(Self::Nftables(error))
    }
}

/// What a refusal means, if it means that something is missing.
fn explain(refusal: &NftablesRefusal) -> Option<ForwardingError> {
    // What is not compiled in is not found, or not supported.
    let missing = matches!(refusal.errno, Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT);
    match (&refusal.subject, refusal.errno) {
        (RefusedSubject::Transaction, Errno::EPERM) => Some(ForwardingError::NotPermitted),
        // A subsystem that is not there is refused with the first message.
        (RefusedSubject::Transaction | RefusedSubject::Table, _) if missing => {
            Some(ForwardingError::NoNftables)
        }
        (RefusedSubject::Transaction, Errno::EINVAL) => Some(ForwardingError::NoNftables),
        (RefusedSubject::Table, Errno::EPERM | Errno::EEXIST) => Some(ForwardingError::TableTaken),
        (RefusedSubject::Chain(name), Errno::EOPNOTSUPP) if name.starts_with("ingress_") => {
            Some(ForwardingError::NoIngress)
        }
        (RefusedSubject::Rule { expression: Some(expression), .. }, _) if missing => {
            let module = match expression.as_str() {
                "fwd" => "nft_fwd_netdev (CONFIG_NFT_FWD_NETDEV)",
                "counter" => "nft_counter (CONFIG_NFT_COUNTER)",
                "dynset" => "sets that rules change (nft_dynset)",
                _ => "nf_tables with this expression",
            };
            Some(ForwardingError::NoExpression { expression: expression.clone(), module })
        }
        (
            RefusedSubject::Transaction
            | RefusedSubject::Table
            | RefusedSubject::Chain(_)
            | RefusedSubject::Rule { .. }
            | RefusedSubject::Set(_)
            | RefusedSubject::Element(_),
            _,
        ) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn words(subject: RefusedSubject, errno: Errno, expected: &str) {
        let refusal = NftablesRefusal { errno, subject, text: None };
        let said = ForwardingError::from(NftablesError::Refused(refusal)).to_string();
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn what_a_kernel_lacks_or_forbids_is_said_in_words() {
        let rule = |name: &str| RefusedSubject::Rule {
            chain: "leaver_3".to_owned(),
            expression: Some(name.to_owned()),
        };
        let chain = || RefusedSubject::Chain("ingress_1".to_owned());
        words(RefusedSubject::Transaction, Errno::EPERM, "CAP_NET_ADMIN");
        words(RefusedSubject::Transaction, Errno::EOPNOTSUPP, "no nf_tables for");
        words(RefusedSubject::Transaction, Errno::EINVAL, "no nf_tables for");
        words(RefusedSubject::Table, Errno::EAFNOSUPPORT, "CONFIG_NF_TABLES_NETDEV");
        words(RefusedSubject::Table, Errno::EPERM, "another process has");
        words(RefusedSubject::Table, Errno::EEXIST, "another process has");
        words(chain(), Errno::EOPNOTSUPP, "CONFIG_NETFILTER_INGRESS");
        words(rule("fwd"), Errno::ENOENT, "no nft_fwd_netdev");
        words(rule("fwd"), Errno::EOPNOTSUPP, "no nft_fwd_netdev");
        words(rule("dynset"), Errno::ENOENT, "nft_dynset");
        words(rule("counter"), Errno::ENOENT, "nft_counter");
        words(rule("xfrm"), Errno::ENOENT, "\"xfrm\"");
    }

    #[test]
    fn what_is_not_missing_is_told_as_the_kernel_has_it() {
        let element = RefusedSubject::Element("own_3".to_owned());
        words(element, Errno::ENFILE, "the kernel refused an element of the set own_3: ENFILE");
        words(RefusedSubject::Transaction, Errno::ENOMEM, "the transaction: ENOMEM");
        words(RefusedSubject::Set("own_3".to_owned()), Errno::EEXIST, "the set own_3: EEXIST");
    }

    #[test]
    fn a_kernel_without_netfilter_netlink_has_no_nf_tables() {
        let error = std::io::Error::from_raw_os_error(libc::EPROTONOSUPPORT);
        assert!(matches!(NftablesError::Open(error).into(), ForwardingError::NoNftables));
        let error = std::io::Error::from_raw_os_error(libc::EMFILE);
        assert!(matches!(NftablesError::Open(error).into(), ForwardingError::Nftables(_)));
    }
}
