//! Messages to nf_tables, the kernel's packet filter, and the socket for them.
//!
//! A [`Transaction`] is a transaction on one table: the kernel carries out all of its messages or none.
//! [`expression`] has the parts that rules consist of, and [`NftablesSocket`] sends batches and
//! explains what the kernel refuses. Everything but the socket is pure code. This module must not
//! know why a table exists.
//!
//! The numbers are those of the kernel's `include/uapi/linux/netfilter/nf_tables.h`. All integers
//! in attributes are in network byte order.

pub mod attribute;
pub mod expression;
pub mod refusal;
pub mod socket;
pub mod transaction;

pub use expression::{
    ArpField, Comparison, Expression, HeaderBase, Membership, MetaKey, REGISTER_0, Register, Verdict,
};
pub use refusal::NftablesRefusal;
pub use socket::{NftablesError, NftablesSocket};
pub use transaction::{
    ChainHook, HookPoint, KeyType, NewSet, SetContent, TableFamily, TableLifetime, Transaction,
};

#[cfg(test)]
mod tests;
