//! Floor 5: what the daemon tells people and their tools: the event log, log lines, and the words
//! for both.
//!
//! Nothing here runs on the protocol thread; it hands over [`crate::protocol::Event`]s and goes on.

mod event_doc;
pub mod events;
pub mod log;
pub mod printer;
mod severity;
pub mod words;

pub use event_doc::{EventDetails, EventDoc, Stamp, Word};
pub use events::{EventFilter, EventLog, EventRecord, Follower};
pub use severity::{Severity, SeverityError};
