//! Names: of interfaces (by the kernel's rules) and of routers (by our own).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The kernel's name of a network interface: 1 to 15 octets, no `/`, no white space.
///
/// `Copy`, because it is part of every [`super::InstanceKey`].
///
/// ```
/// use vrrpd_core::types::InterfaceName;
/// assert_eq!("eth0".parse::<InterfaceName>().unwrap().as_str(), "eth0");
/// assert!("a-name-longer-than-the-kernel-takes".parse::<InterfaceName>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName {
    // Padded with zeros, so that the derived order is the order of the names.
    bytes: [u8; 15],
}

/// A text that cannot be the name of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an interface name has 1 to 15 ASCII characters, without \"/\", \":\" or white space")]
pub struct InterfaceNameError;

impl InterfaceName {
    /// The name without its padding.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let len = self.bytes.iter().position(|b| *b == 0).unwrap_or(self.bytes.len());
        self.bytes.get(..len).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default()
    }
}

impl FromStr for InterfaceName {
    type Err = InterfaceNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let legal = |c: char| c.is_ascii_graphic() && c != '/' && c != ':';
        let mut bytes = [0; 15];
        if name.is_empty() || name == "." || name == ".." || !name.chars().all(legal) {
            return Err(InterfaceNameError);
        }
        bytes.get_mut(..name.len()).ok_or(InterfaceNameError)?.copy_from_slice(name.as_bytes());
        Ok(Self { bytes })
    }
}

super::text_form::serialize_as_text!(InterfaceName);

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The operator's name of a router: 1 to 64 of `A-Z a-z 0-9 . _ -`. It must not start with `-`,
/// because it is typed on command lines.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterName(Arc<str>);

/// A text that cannot be the name of a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 64 of the characters A-Z a-z 0-9 . _ - and does not start with \"-\"")]
pub struct RouterNameError;

impl RouterName {
    /// The name as the operator wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RouterName {
    type Err = RouterNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > 64 || name.starts_with('-') || !name.chars().all(legal) {
            return Err(RouterNameError);
        }
        Ok(Self(name.into()))
    }
}

super::text_form::serialize_as_text!(RouterName);

impl fmt::Display for RouterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RouterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
