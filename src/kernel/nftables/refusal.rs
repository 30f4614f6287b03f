//! What the kernel refused of a transaction, in words.

use super::attribute::{all, find, text};
use super::transaction::{BATCH_BEGIN, NETFILTER_HEADER, NETLINK_HEADER, NftablesRequest};
use nix::errno::Errno;
use std::fmt;

/// Why the kernel refused a transaction: the first message that it refused. Nothing of the
/// transaction was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftablesRefusal {
    /// The error number of the kernel.
    pub errno: Errno,
    /// What the refused message is about.
    pub subject: RefusedSubject,
    /// The text of the kernel, if it sent one (extended acknowledgement).
    pub text: Option<String>,
}

/// What a refused message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusedSubject {
    /// The transaction as a whole, or all transactions of this process.
    Transaction,
    /// A table.
    Table,
    /// A chain of this name.
    Chain(String),
    /// A rule of this chain.
    Rule {
        /// The chain.
        chain: String,
        /// The name of the expression that was refused, if the kernel says which.
        expression: Option<String>,
    },
    /// A set or map of this name.
    Set(String),
    /// An element of the set or map of this name.
    Element(String),
}

impl fmt::Display for NftablesRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.subject)?;
        match &self.text {
            Some(text) => write!(f, "{text} ({})", self.errno),
            None => write!(f, "{}", self.errno),
        }
    }
}

impl std::error::Error for NftablesRefusal {}

impl fmt::Display for RefusedSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transaction => f.write_str("the transaction"),
            Self::Table => f.write_str("the table"),
            Self::Chain(name) => write!(f, "the chain {name}"),
            Self::Rule { chain, expression: None } => write!(f, "a rule of the chain {chain}"),
            Self::Rule { chain, expression: Some(name) } => {
                write!(f, "the expression \"{name}\" in a rule of the chain {chain}")
            }
            Self::Set(name) => write!(f, "the set {name}"),
            Self::Element(name) => write!(f, "an element of the set {name}"),
        }
    }
}

/// What the message with this number is about, in the octets of a transaction. `at` is the offset in
/// the message at which the kernel found something wrong, if it says so.
pub(super) fn subject(transaction: &[u8], number: u32, at: Option<usize>) -> RefusedSubject {
    let Some(message) = messages(transaction).find(|message| number_of(message) == Some(number)) else {
        return RefusedSubject::Transaction;
    };
    let kind = field(message, 4).map(u16::from_ne_bytes).unwrap_or(BATCH_BEGIN);
    let attributes = message.get(NETLINK_HEADER + NETFILTER_HEADER..).unwrap_or_default();
    let name = |kind| find(attributes, kind).map(text).unwrap_or_default();
    let is = |requests: &[NftablesRequest]| requests.iter().any(|request| request.message_type() == kind);
    if is(&[NftablesRequest::NewTable, NftablesRequest::DeleteTable]) {
        RefusedSubject::Table
    } else if is(&[NftablesRequest::NewChain, NftablesRequest::DeleteChain]) {
        RefusedSubject::Chain(name(3))
    } else if is(&[NftablesRequest::NewRule, NftablesRequest::DeleteRules, NftablesRequest::GetRules]) {
        RefusedSubject::Rule { chain: name(2), expression: at.and_then(|at| expression_at(message, at)) }
    } else if is(&[NftablesRequest::NewSet, NftablesRequest::DeleteSet]) {
        RefusedSubject::Set(name(2))
    } else if is(&[NftablesRequest::NewElements, NftablesRequest::DeleteElements]) {
        RefusedSubject::Element(name(2))
    } else {
        RefusedSubject::Transaction
    }
}

/// The messages of a transaction.
fn messages(transaction: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = transaction;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(field(rest, 0)?)).ok()?;
        let (message, behind) = rest.split_at_checked(length.max(NETLINK_HEADER))?;
        rest = behind;
        Some(message)
    })
}

fn number_of(message: &[u8]) -> Option<u32> {
    field(message, 8).map(u32::from_ne_bytes)
}

fn field<const N: usize>(message: &[u8], at: usize) -> Option<[u8; N]> {
    message.get(at..)?.first_chunk().copied()
}

/// The name of the expression that contains this offset of the message of a rule.
fn expression_at(message: &[u8], at: usize) -> Option<String> {
    const NFTA_RULE_EXPRESSIONS: u16 = 4;
    const NFTA_EXPR_NAME: u16 = 1;
    let attributes = message.get(NETLINK_HEADER + NETFILTER_HEADER..)?;
    let expressions = find(attributes, NFTA_RULE_EXPRESSIONS)?;
    let offset = |part: &[u8]| (part.as_ptr() as usize).checked_sub(message.as_ptr() as usize);
    let (_, found) = all(expressions).find(|(_, expression)| {
        // The kernel points to the header of the attribute, 4 octets before its value.
        offset(expression).is_some_and(|start| (start - 4..start + expression.len()).contains(&at))
    })?;
    find(found, NFTA_EXPR_NAME).map(text)
}
