//! Varlink on the wire (<https://varlink.org>): JSON objects, each ended by a NUL.
//!
//! Owns the framing, and the envelopes of calls and replies. Pure; server and client share it. Must
//! not know any interface.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A call of a method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Call {
    /// The full name of the method, `interface.Method`.
    pub method: String,
    /// The arguments by name.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub parameters: Map<String, Value>,
    /// Whether the caller takes several replies.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
    /// Whether the caller wants no reply.
    #[serde(default, skip_serializing_if = "is_false")]
    pub oneway: bool,
}

/// A reply, as the client reads it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Reply {
    /// The results by name.
    #[serde(default)]
    pub parameters: Value,
    /// Whether more replies to the same call follow.
    #[serde(default)]
    pub continues: bool,
    /// The full name of the error, `interface.Error`, if the call failed; `parameters` say how.
    #[serde(default)]
    pub error: Option<String>,
}

/// Whether more replies to the same call follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Continues {
    Yes,
    No,
}

#[derive(Serialize)]
struct ReplyOut<'a, T> {
    parameters: &'a T,
    #[serde(skip_serializing_if = "is_false")]
    continues: bool,
}

#[derive(Serialize)]
struct ErrorOut<'a, T> {
    error: &'a str,
    parameters: &'a T,
}

/// Encodes a call as one frame.
pub(super) fn encode_call(call: &Call) -> Vec<u8> {
    frame(call)
}

/// Encodes a reply as one frame.
pub(super) fn encode_reply<T: Serialize>(parameters: &T, continues: Continues) -> Vec<u8> {
    frame(&ReplyOut { parameters, continues: continues == Continues::Yes })
}

/// Encodes an error as one frame.
pub(super) fn encode_error<T: Serialize>(error: &str, parameters: &T) -> Vec<u8> {
    frame(&ErrorOut { error, parameters })
}

/// Encodes a message and its NUL. JSON text has no NUL of its own, because strings escape it.
fn frame<T: Serialize>(message: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(message)
        .unwrap_or_else(|error| unreachable!("messages are structs and maps with text as keys: {error}"));
    bytes.push(0);
    bytes
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Reads `"parameters": null`, which some clients send, as no parameters.
fn null_is_empty<'de, D>(deserializer: D) -> Result<Map<String, Value>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    Option::<Map<String, Value>>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Cuts a stream of bytes into frames. It holds at most its limit and the piece that came in last.
#[derive(Debug)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    /// How many bytes at the beginning of `bytes` are known to have no NUL, so that no byte is
    /// searched twice.
    scanned: usize,
    limit: usize,
}

/// The peer sends a message that is longer than the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message has more than {limit} bytes")]
pub struct FrameTooLong {
    /// The limit in bytes.
    pub limit: usize,
}

impl FrameBuffer {
    /// Creates an empty buffer for frames of at most `limit` bytes without the NUL.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), scanned: 0, limit }
    }

    /// Appends bytes that were read.
    pub fn extend(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    /// How many bytes the buffer holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the buffer holds no byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes the first complete frame out, without its NUL; `None`: more bytes must be read.
    ///
    /// # Errors
    /// [`FrameTooLong`] as soon as the limit is passed, whether or not a NUL follows.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FrameTooLong> {
        let unseen = self.bytes.iter().skip(self.scanned);
        let end = unseen.take_while(|byte| **byte != 0).count() + self.scanned;
        self.scanned = end;
        if end > self.limit {
            return Err(FrameTooLong { limit: self.limit });
        }
        if end == self.bytes.len() {
            return Ok(None);
        }
        let rest = self.bytes.split_off(end + 1);
        let mut frame = std::mem::replace(&mut self.bytes, rest);
        frame.truncate(end);
        self.scanned = 0;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_over_the_limit_is_refused_with_or_without_its_end() {
        for tail in [&b""[..], b"\0"] {
            let mut buffer = FrameBuffer::new(4);
            buffer.extend(b"1234");
            assert_eq!(buffer.next_frame(), Ok(None));
            buffer.extend(b"5");
            buffer.extend(tail);
            assert_eq!(buffer.next_frame(), Err(FrameTooLong { limit: 4 }));
        }
    }

    #[test]
    fn a_frame_of_exactly_the_limit_is_taken() {
        let mut buffer = FrameBuffer::new(4);
        buffer.extend(b"1234\0");
        assert_eq!(buffer.next_frame(), Ok(Some(b"1234".to_vec())));
        assert!(buffer.is_empty());
    }

    #[test]
    fn parameters_may_be_absent_or_null() {
        for text in [r#"{"method":"a.B"}"#, r#"{"method":"a.B","parameters":null}"#] {
            let call: Call = serde_json::from_str(text).unwrap();
            assert!(call.parameters.is_empty() && !call.more && !call.oneway, "{text}");
        }
    }

    proptest! {
        /// The frames are the same, however the stream is cut.
        #[test]
        fn frames_do_not_depend_on_how_the_stream_is_cut(
            frames in prop::collection::vec(prop::collection::vec(1u8..=255, 0..20), 0..6),
            cut in 1usize..9,
        ) {
            let stream: Vec<u8> = frames.iter().flat_map(|f| f.iter().copied().chain([0])).collect();
            let mut buffer = FrameBuffer::new(20);
            let mut seen = Vec::new();
            for piece in stream.chunks(cut) {
                buffer.extend(piece);
                while let Some(frame) = buffer.next_frame().unwrap() {
                    seen.push(frame);
                }
            }
            prop_assert_eq!(seen, frames);
            prop_assert!(buffer.is_empty());
        }
    }
}
