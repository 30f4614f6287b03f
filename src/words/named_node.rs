//! What another node is called in a text: by its name and its address, or by its address alone where
//! the name is not known.

use crate::agent::NodeNames;
use std::fmt;
use std::net::IpAddr;

/// Another node, with its name if that is known.
///
/// As text it is `fe1 (192.0.2.11)`, or `192.0.2.11` without a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedNode<'a> {
    /// The name of the node; `None`: it is not known.
    pub name: Option<&'a str>,
    /// The address that the node sends from.
    pub address: IpAddr,
}

impl<'a> NamedNode<'a> {
    /// Looks up the node that sends from this address.
    #[must_use]
    pub fn of(names: &'a NodeNames, address: IpAddr) -> Self {
        Self { name: names.of(address), address }
    }

    /// The node and its priority: `fe1 (192.0.2.11, priority 150)`, or `192.0.2.11 (priority 150)`.
    #[must_use]
    pub fn with_priority(self, priority: impl fmt::Display) -> String {
        let Self { name, address } = self;
        match name {
            Some(name) => format!("{name} ({address}, priority {priority})"),
            None => format!("{address} (priority {priority})"),
        }
    }

    /// The node where there is little room, and where its address was told before: `fe1`, or
    /// `192.0.2.11`.
    #[must_use]
    pub fn in_short(self) -> String {
        self.name.map_or_else(|| self.address.to_string(), str::to_owned)
    }

    /// The node and its priority where there is little room: `fe1 (150)`, or `192.0.2.11 (150)`.
    #[must_use]
    pub fn in_short_with_priority(self, priority: impl fmt::Display) -> String {
        format!("{} ({priority})", self.in_short())
    }
}

impl fmt::Display for NamedNode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, address } = self;
        match name {
            Some(name) => write!(f, "{name} ({address})"),
            None => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_called_by_its_name_where_that_is_known() {
        let address: IpAddr = "192.0.2.11".parse().unwrap();
        let names = NodeNames::from_iter([(address, "fe1")]);
        let (named, nameless) =
            (NamedNode::of(&names, address), NamedNode::of(&names, "192.0.2.12".parse().unwrap()));
        assert_eq!(named.to_string(), "fe1 (192.0.2.11)");
        assert_eq!(nameless.to_string(), "192.0.2.12");
        assert_eq!(named.with_priority(150), "fe1 (192.0.2.11, priority 150)");
        assert_eq!(nameless.with_priority(150), "192.0.2.12 (priority 150)");
        assert_eq!(named.in_short(), "fe1");
        assert_eq!(nameless.in_short(), "192.0.2.12");
        assert_eq!(named.in_short_with_priority(150), "fe1 (150)");
        assert_eq!(nameless.in_short_with_priority(150), "192.0.2.12 (150)");
    }
}
