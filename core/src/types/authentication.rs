//! The authentication of VRRPv2 messages.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How the messages of a virtual router prove that they belong to it.
///
/// RFC 3768 has no authentication any more; the types are those of RFC 2338 §5.3.6. VRRPv3 has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Authentication {
    /// Auth Type 0: no authentication.
    #[default]
    None,
    /// Auth Type 1: a password that everybody on the LAN can read. It keeps apart routers that share
    /// a VRID by mistake, and nobody else.
    Password(AuthPassword),
}

impl Authentication {
    /// The name of the authentication in the JSON contract.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Password(_) => "password",
        }
    }
}

/// The Authentication Data of Auth Type 1: eight octets, of which a shorter password leaves the last
/// ones zero.
///
/// [`fmt::Debug`] does not show it.
///
/// ```
/// use vrrpd_core::types::AuthPassword;
/// let password: AuthPassword = "secret".parse().unwrap();
/// assert_eq!(password.octets(), *b"secret\0\0");
/// assert!("12345678".parse::<AuthPassword>().is_ok());
/// assert!("123456789".parse::<AuthPassword>().is_err(), "keepalived would cut it");
/// assert!("".parse::<AuthPassword>().is_err());
/// assert_eq!(format!("{password:?}"), "AuthPassword(hidden)");
/// ```
#[derive(Clone, Copy, Eq, Serialize, Deserialize)]
pub struct AuthPassword([u8; 8]);

/// Why a text is not a password of VRRPv2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthPasswordError {
    /// The text is empty.
    #[error("a password has at least one character")]
    Empty,
    /// The text does not fit into the field.
    #[error("a password of VRRPv2 has at most 8 octets")]
    TooLong,
    /// The text contains an octet 0, which ends it for every receiver.
    #[error("a password does not contain the character NUL")]
    Nul,
}

impl AuthPassword {
    /// Octets of the field.
    pub const LEN: usize = 8;

    /// The password with these octets in its field.
    #[must_use]
    pub const fn from_octets(octets: [u8; Self::LEN]) -> Self {
        Self(octets)
    }

    /// The octets of the field.
    #[must_use]
    pub const fn octets(self) -> [u8; Self::LEN] {
        self.0
    }

    /// The password as text, without the octets that fill the field up.
    #[must_use]
    pub fn to_text(self) -> String {
        String::from_utf8_lossy(&self.0).trim_end_matches('\0').to_owned()
    }
}

impl std::str::FromStr for AuthPassword {
    type Err = AuthPasswordError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(AuthPasswordError::Empty);
        }
        if text.contains('\0') {
            return Err(AuthPasswordError::Nul);
        }
        let mut octets = [0; Self::LEN];
        let room = octets.get_mut(..text.len()).ok_or(AuthPasswordError::TooLong)?;
        room.copy_from_slice(text.as_bytes());
        Ok(Self(octets))
    }
}

/// Takes the same time whether the first or the last octet differs, so that nobody can guess octet
/// by octet.
impl PartialEq for AuthPassword {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0, |differs, (ours, theirs)| differs | (ours ^ theirs)) == 0
    }
}

impl std::hash::Hash for AuthPassword {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for AuthPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthPassword(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_equal_if_every_octet_is() {
        let password = |text: &str| text.parse::<AuthPassword>().unwrap();
        assert_eq!(password("secret"), password("secret"));
        for other in ["Secret", "secreT", "secret1", "s", "secret\u{1}"] {
            assert_ne!(password("secret"), password(other), "{other:?}");
        }
        assert_eq!("a\0b".parse::<AuthPassword>(), Err(AuthPasswordError::Nul));
        assert_eq!("äöüß".parse::<AuthPassword>().map(AuthPassword::to_text), Ok("äöüß".to_owned()));
        assert_eq!("äöüßx".parse::<AuthPassword>(), Err(AuthPasswordError::TooLong));
    }
}
