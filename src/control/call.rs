//! One call as the service sees it: the caller, the arguments, and the errors that the caller can
//! get.

use super::varlink::encode_error;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The process that asks, as the kernel named it (SO_PEERCRED) when the connection was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    pub uid: u32,
    pub pid: Option<i32>,
}

/// Why a call failed, as the caller is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallError {
    InterfaceNotFound(String),
    MethodNotFound(String),
    InvalidParameter(String),
    UnknownRouter { name: String, known: Vec<String> },
    UnreadableConfiguration { file: String, reason: String },
    Stopping,
    TimedOut,
    TooManyConnections,
    TooManyFollowers,
}

impl CallError {
    /// Encodes the error as one frame of a reply.
    pub(super) fn encode(&self) -> Vec<u8> {
        let name = self.name();
        match self {
            Self::InterfaceNotFound(interface) => encode_error(name, &json!({ "interface": interface })),
            Self::MethodNotFound(method) => encode_error(name, &json!({ "method": method })),
            Self::InvalidParameter(parameter) => encode_error(name, &json!({ "parameter": parameter })),
            Self::UnknownRouter { name: router, known } => {
                encode_error(name, &json!({ "name": router, "known": known }))
            }
            Self::UnreadableConfiguration { file, reason } => {
                encode_error(name, &json!({ "file": file, "reason": reason }))
            }
            Self::Stopping | Self::TimedOut | Self::TooManyConnections | Self::TooManyFollowers => {
                encode_error(name, &json!({}))
            }
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::InterfaceNotFound(_) => "org.varlink.service.InterfaceNotFound",
            Self::MethodNotFound(_) => "org.varlink.service.MethodNotFound",
            Self::InvalidParameter(_) => "org.varlink.service.InvalidParameter",
            Self::UnknownRouter { .. } => "org.vrrpd.Control.UnknownRouter",
            Self::UnreadableConfiguration { .. } => "org.vrrpd.Control.UnreadableConfiguration",
            Self::Stopping => "org.vrrpd.Control.Stopping",
            Self::TimedOut => "org.vrrpd.Control.TimedOut",
            Self::TooManyConnections => "org.vrrpd.Control.TooManyConnections",
            Self::TooManyFollowers => "org.vrrpd.Control.TooManyFollowers",
        }
    }
}

/// The arguments of a call. The method takes one after the other; an argument that it did not take
/// is a mistake of the caller.
#[derive(Debug)]
pub(super) struct CallArguments(Map<String, Value>);

impl CallArguments {
    pub(super) const fn new(parameters: Map<String, Value>) -> Self {
        Self(parameters)
    }

    /// Takes the argument of this name. An absent argument and null are the same.
    pub(super) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, CallError> {
        let value = self.0.remove(name).unwrap_or_default();
        serde_json::from_value(value).map_err(|_| CallError::InvalidParameter(name.to_owned()))
    }

    /// Takes the argument of this name, which must be there.
    pub(super) fn require<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, CallError> {
        self.take(name)?.ok_or_else(|| CallError::InvalidParameter(name.to_owned()))
    }

    /// Refuses arguments that the method does not know, because a misspelt `force` must not be
    /// ignored.
    pub(super) fn finish(self) -> Result<(), CallError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(CallError::InvalidParameter(name)),
        }
    }
}
