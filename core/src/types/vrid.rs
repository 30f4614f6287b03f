//! The Virtual Router Identifier.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU8;

/// VRID, 1..=255, unique per interface and family (RFC 9568 §5.2.3, §6.1).
///
/// ```
/// use vrrpd_core::types::Vrid;
/// assert_eq!(Vrid::new(51).unwrap().get(), 51);
/// assert!(Vrid::new(0).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vrid(NonZeroU8);

/// A number that is not a VRID: outside 1..=255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a VRID is 1 to 255")]
pub struct VridError;

impl Vrid {
    /// The VRID of a number.
    ///
    /// # Errors
    /// [`VridError`] for 0.
    pub const fn new(vrid: u8) -> Result<Self, VridError> {
        // RFC9568-5.2.3-1
        match NonZeroU8::new(vrid) {
            Some(vrid) => Ok(Self(vrid)),
            None => Err(VridError),
        }
    }

    /// The number that the VRID field carries.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
