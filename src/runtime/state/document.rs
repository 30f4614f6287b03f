//! The form of the file: JSON that a person can read and correct. The code is pure.
//!
//! The times in the file are on the wall clock, and those in a [`Demotion`] on the core's clock:
//! the end of a demotion is converted once, when it is read.

use super::LARGEST;
use crate::protocol::{Demotion, LastResort, Until};
use crate::types::{MonoTime, RouterName};
use crate::words::Stamp;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const VERSION: u64 = 1;

/// All demotions of this node.
pub(crate) type Demotions = BTreeMap<RouterName, Demotion>;

/// One instant on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) mono: MonoTime,
    pub(crate) wall: Timestamp,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
    #[error("is too large to be a list of demotions")]
    TooLarge,
    #[error("is damaged: {0}")]
    Form(String),
    #[error("has version {0}, and this vrrpd knows version {VERSION} only")]
    Version(u64),
    #[error("is damaged: no virtual router can be called {0:?}")]
    Name(String),
    #[error("is damaged: {0} is in it twice")]
    Twice(RouterName),
    #[error("is damaged: {text:?} of {name} is not a time")]
    Time { name: RouterName, text: String },
}

/// The message of such an error may quote a part of the file of any length.
impl From<serde_json::Error> for Damage {
    fn from(error: serde_json::Error) -> Self {
        Self::Form(shown(&error.to_string()))
    }
}

/// A demotion as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SavedDemotion {
    since: Timestamp,
    until: Option<Timestamp>,
    line: DemotionEntry,
}

/// The version is read first: the content of another version is not known.
#[derive(Debug, Deserialize)]
struct Versioned {
    version: u64,
}

/// Reading is strict: a misspelt `until` must not become a demotion without an end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u64,
    demotions: Vec<DemotionEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DemotionEntry {
    name: String,
    since: String,
    until: Option<String>,
    last_resort: bool,
    reason: String,
    by: String,
}

/// Returns the text of the file.
pub(super) fn text(demotions: &Demotions) -> String {
    let line = |(name, demotion): (&RouterName, &Demotion)| DemotionEntry {
        name: name.to_string(),
        since: demotion.since.clone(),
        until: demotion.until.as_ref().map(|until| until.text.clone()),
        last_resort: demotion.last_resort == LastResort::Yes,
        reason: demotion.reason.clone(),
        by: demotion.by.clone(),
    };
    let document = Document { version: VERSION, demotions: demotions.iter().map(line).collect() };
    let text = serde_json::to_string_pretty(&document);
    text.unwrap_or_else(|error| unreachable!("it has texts as keys: {error}")) + "\n"
}

/// Reads the content of a file.
pub(super) fn parse(text: &[u8]) -> Result<BTreeMap<RouterName, SavedDemotion>, Damage> {
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(Damage::TooLarge);
    }
    let Versioned { version } = serde_json::from_slice(text)?;
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    let document: Document = serde_json::from_slice(text)?;
    let mut entries = BTreeMap::new();
    for line in document.demotions {
        let Ok(name) = line.name.parse::<RouterName>() else { return Err(Damage::Name(shown(&line.name))) };
        let entry = SavedDemotion {
            since: time(&name, &line.since)?,
            until: line.until.as_deref().map(|until| time(&name, until)).transpose()?,
            line,
        };
        if entries.insert(name.clone(), entry).is_some() {
            return Err(Damage::Twice(name));
        }
    }
    Ok(entries)
}

/// Returns the demotions that hold at `now`, and the names of those whose time is up.
pub(super) fn recall(
    entries: BTreeMap<RouterName, SavedDemotion>,
    now: Moment,
) -> (Demotions, Vec<RouterName>) {
    let (mut demotions, mut expired) = (Demotions::new(), Vec::new());
    for (name, entry) in entries {
        let SavedDemotion { since, until, line } = entry;
        let left = until.map(|until| left(since, until, now.wall));
        if left == Some(None) {
            expired.push(name);
            continue;
        }
        let until = left.flatten().zip(until);
        let until = until.map(|(left, until)| Until { at: now.mono + left, text: Stamp(until).to_string() });
        let last_resort = if line.last_resort { LastResort::Yes } else { LastResort::No };
        let since = Stamp(since).to_string();
        let (reason, by) = (shown(&line.reason), shown(&line.by));
        let demotion = Demotion { since, until, last_resort, reason, by };
        demotions.insert(name, demotion);
    }
    (demotions, expired)
}

/// Returns how long a demotion still holds; `None` if its time is up. The result is never longer
/// than the operator asked for: a machine may boot with a wall clock of years ago, before the
/// network sets it.
fn left(since: Timestamp, until: Timestamp, wall: Timestamp) -> Option<Duration> {
    let left = until.duration_since(wall).min(until.duration_since(since));
    Duration::try_from(left).ok().filter(|left| !left.is_zero())
}

/// Returns the part of a text that is shown. Every user who can write the directory can write any
/// text into the file, and only as much of it as an operator may give must reach logs, tables and
/// terminals.
fn shown(text: &str) -> String {
    let mut characters = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    let mut shown: String = characters.by_ref().take(Demotion::REASON_MAX).collect();
    if characters.next().is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

fn time(name: &RouterName, text: &str) -> Result<Timestamp, Damage> {
    text.parse().map_err(|_| Damage::Time { name: name.clone(), text: shown(text) })
}

#[cfg(test)]
mod tests;
