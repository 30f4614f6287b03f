//! The messages that nodes exchange beside VRRP: their octets, and their authentication.
//!
//! A message is one UDP datagram ([`CHANNEL_PAYLOAD_MAX`] octets at most, so that no network
//! fragments it):
//!
//! ```text
//! octets  0..4    "VRC", and the version of the format (1)
//!         4..20   session of the sender: random, new at each start
//!        20..36   session of the recipient; zeros: for everybody
//!        36..44   counter of the sender's session, which grows with each message
//!        44..-32  the message in CBOR (RFC 8949), see `ChannelMessage`
//!       -32..     HMAC-SHA-256 (RFC 2104) of all octets before, under the shared key
//! ```
//!
//! The key proves that a node of ours wrote the message. That it was written now, and for this
//! node, is for [`crate::channel`] to judge from the sessions and the counter. The messages are not
//! encrypted: what they say (states, addresses, names) VRRP says in public as well.
//!
//! Messages and their fields have numbers, and those that are not known are skipped. So a later
//! version may add fields and messages; it must not give a number another meaning.

mod chunk;
mod message;

pub use chunk::{ConnectionChunk, connection_chunks};
pub use message::{
    ChannelMessage, ReportPage, ReportedSettings, ReportedState, RouterReport, TakeAnswer, pages,
};

use hmac::{Hmac, KeyInit, Mac};
use minicbor::{CborLen, Decode, Decoder, Encode};
use sha2::Sha256;
use std::fmt;

/// The longest datagram: what the smallest MTU of IPv6 (1,280 octets) carries in one piece.
pub const CHANNEL_PAYLOAD_MAX: usize = 1_232;

const MAGIC: [u8; 3] = *b"VRC";
const FORMAT: u8 = 1;
const HEADER: usize = 44;
const TAG: usize = 32;

/// The longest CBOR that fits.
const BODY_MAX: usize = CHANNEL_PAYLOAD_MAX - HEADER - TAG;

/// The run of a node: random octets that are new at each start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, CborLen)]
#[cbor(transparent)]
pub struct SessionId(
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub [u8; 16],
);

impl SessionId {
    /// The place of the recipient in messages for everybody.
    const EVERYBODY: [u8; 16] = [0; 16];

    /// Whether the octets name one session, and not everybody.
    fn is_one_node(self) -> bool {
        self.0 != Self::EVERYBODY
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// The key that all nodes share.
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelKey(Vec<u8>);

/// A key is too short to be secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key has 32 octets or more, and this one has {0}")]
pub struct ChannelKeyTooShort(pub usize);

impl ChannelKey {
    /// The least number of octets of a key: as many as the digest has, as RFC 2104 §3 advises.
    pub const LEAST: usize = 32;

    /// Takes the octets of a key.
    ///
    /// # Errors
    /// [`ChannelKeyTooShort`].
    pub fn new(octets: &[u8]) -> Result<Self, ChannelKeyTooShort> {
        if octets.len() < Self::LEAST {
            return Err(ChannelKeyTooShort(octets.len()));
        }
        Ok(Self(octets.to_vec()))
    }

    fn mac(&self, octets: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0);
        let mut mac = mac.unwrap_or_else(|error| unreachable!("HMAC takes keys of any length: {error}"));
        mac.update(octets);
        mac
    }
}

/// The octets of a key are shown to nobody.
impl fmt::Debug for ChannelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelKey(…)")
    }
}

/// A message, from whom it is, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The session of the sender.
    pub from: SessionId,
    /// The session of the recipient; `None`: the message is for everybody.
    pub to: Option<SessionId>,
    /// The number of the message in the session of its sender.
    pub counter: u64,
    /// The message itself.
    pub message: ChannelMessage,
}

/// Why a datagram is not a message of one of our nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum ChannelReject {
    /// Something else was sent to our port.
    #[error("it is not a message of vrrpd")]
    NotOurs,
    /// The sender speaks another version of the format.
    #[error("it is of format {0}, and this vrrpd speaks format {FORMAT}")]
    Format(u8),
    /// The sender has another key, or somebody changed the message on its way.
    #[error("it was written with another key")]
    Key,
    /// The sender has the key, but what it wrote cannot be understood: it is of another version.
    #[error("its contents are not understood")]
    Contents,
    /// The sender has the key, and the message is one that a later version has added. It is to be
    /// skipped in silence.
    #[error("it is message {0} of a later version")]
    LaterMessage(u64),
}

/// A message is longer than a datagram may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message is longer than {CHANNEL_PAYLOAD_MAX} octets")]
pub struct EnvelopeTooLong;

impl Envelope {
    /// Writes the octets of the message, with the proof that the writer has the key.
    ///
    /// # Errors
    /// [`EnvelopeTooLong`]; [`pages`] makes reports that fit.
    pub fn seal(&self, key: &ChannelKey) -> Result<Vec<u8>, EnvelopeTooLong> {
        let mut octets = Vec::with_capacity(CHANNEL_PAYLOAD_MAX);
        octets.extend(MAGIC);
        octets.push(FORMAT);
        octets.extend(self.from.0);
        octets.extend(self.to.map_or(SessionId::EVERYBODY, |to| to.0));
        octets.extend(self.counter.to_be_bytes());
        minicbor::encode(&self.message, &mut octets)
            .unwrap_or_else(|error| unreachable!("a vector takes everything: {error}"));
        if octets.len() > CHANNEL_PAYLOAD_MAX - TAG {
            return Err(EnvelopeTooLong);
        }
        Ok(Self::signed(key, &octets))
    }

    /// Appends the proof that the writer has the key to any octets. [`Self::seal`] does that with
    /// its own; tests and fuzzing with others.
    #[must_use]
    pub fn signed(key: &ChannelKey, octets: &[u8]) -> Vec<u8> {
        let tag = key.mac(octets).finalize().into_bytes();
        [octets, tag.as_slice()].concat()
    }

    /// Reads a datagram. Nothing of it is believed before the key has been proven.
    ///
    /// # Errors
    /// [`ChannelReject`].
    pub fn open(key: &ChannelKey, datagram: &[u8]) -> Result<Self, ChannelReject> {
        let (rest, format) = match datagram {
            [a, b, c, format, rest @ ..] if [*a, *b, *c] == MAGIC => (rest, *format),
            _ => return Err(ChannelReject::NotOurs),
        };
        if format != FORMAT {
            return Err(ChannelReject::Format(format));
        }
        if datagram.len() > CHANNEL_PAYLOAD_MAX {
            return Err(ChannelReject::NotOurs);
        }
        let (signed, tag) = datagram
            .len()
            .checked_sub(TAG)
            .and_then(|at| datagram.split_at_checked(at))
            .ok_or(ChannelReject::NotOurs)?;
        // In constant time, so that the time of an answer says nothing about the key.
        key.mac(signed).verify_slice(tag).map_err(|_| ChannelReject::Key)?;
        let body = rest.get(..rest.len() - TAG).ok_or(ChannelReject::Contents)?;
        let (from, body) = body.split_first_chunk::<16>().ok_or(ChannelReject::Contents)?;
        let (to, body) = body.split_first_chunk::<16>().ok_or(ChannelReject::Contents)?;
        let (counter, body) = body.split_first_chunk::<8>().ok_or(ChannelReject::Contents)?;
        let message: ChannelMessage = minicbor::decode(body).map_err(|_| match number(body) {
            Some(number) if number > ChannelMessage::LAST_NUMBER => ChannelReject::LaterMessage(number),
            Some(_) | None => ChannelReject::Contents,
        })?;
        if !message.is_sound() {
            return Err(ChannelReject::Contents);
        }
        Ok(Self {
            from: SessionId(*from),
            to: (*to != SessionId::EVERYBODY).then_some(SessionId(*to)),
            counter: u64::from_be_bytes(*counter),
            message,
        })
    }
}

/// The number of a message, whether it is known or not.
fn number(body: &[u8]) -> Option<u64> {
    let mut decoder = Decoder::new(body);
    decoder.array().ok()?;
    decoder.u64().ok()
}

#[cfg(test)]
mod tests;
