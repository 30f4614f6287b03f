//! What one virtual router says, and the memory of it: a message from our own address that we did not say is
//! somebody else's.

use crate::protocol::effect::{Effect, Effects};
use crate::protocol::instance::reception::Heard;
use crate::protocol::instance::{Instance, Policy, State, Tenure};
use crate::protocol::spec::ChecksumPolicy;
use crate::types::{AdverInterval, AdvertPriority, MonoTime};

/// The last different words. More than these a router does not have: its own, the shortest interval, its resignation,
/// and one before a reload or a change of priority.
const WORDS: usize = 6;

/// What this virtual router has said of late: each pair of priority and interval once, the last first.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::protocol) struct Said([Option<(AdvertPriority, AdverInterval)>; WORDS]);

impl Said {
    fn note(&mut self, priority: AdvertPriority, interval: AdverInterval) {
        let word = Some((priority, interval));
        let at = self.0.iter().position(|said| *said == word).unwrap_or(WORDS - 1);
        if let Some(newer) = self.0.get_mut(..=at) {
            newer.rotate_right(1);
        }
        if let Some(first) = self.0.first_mut() {
            *first = word;
        }
    }

    fn knows(&self, priority: AdvertPriority, interval: AdverInterval) -> bool {
        self.0.contains(&Some((priority, interval)))
    }
}

impl Instance {
    /// Says one advertisement, built from the state of this moment.
    pub(in crate::protocol) fn advertise(
        &mut self,
        priority: AdvertPriority,
        interval: AdverInterval,
        checksum: ChecksumPolicy,
        out: &mut Effects,
    ) {
        // Without a source address nothing can be said; the group has a fault for it.
        let Some(source) = self.source else { return };
        self.counters.advertisement_sent += 1;
        if priority.is_resignation() {
            self.counters.priority_zero_pkts_sent += 1;
        }
        self.said.note(priority, interval);
        // RFC9568-7.2-1
        let checksum = self.transmit_flavour(checksum);
        out.push(Effect::Advertise { key: self.key, source, priority, interval, checksum });
    }

    /// A message came from our own address. What we said ourselves a bridge has reflected (RFC9568-7.1-15). What we did
    /// not say, somebody says in our name, to make a Backup take over beside us: it hears us at once, which arms its
    /// timer anew. Returns whether it was somebody else's.
    pub(in crate::protocol) fn on_own(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        heard: &Heard,
        out: &mut Effects,
    ) -> bool {
        let State::Active(active) = &self.state else { return false };
        if self.said.knows(heard.priority, heard.said) {
            return false;
        }
        match active.tenure {
            Tenure::Serving => self.answer_resignation(now, policy, out),
            // It has said nothing yet, or asks first who else is there, or wants to be replaced.
            Tenure::Claiming | Tenure::Ready | Tenure::Listening | Tenure::Leaving(_) => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_known_until_six_others_were() {
        let mut said = Said::default();
        let word = |priority| (AdvertPriority::from_wire(priority), AdverInterval::default());
        for priority in [1, 2, 3, 1, 4, 5, 6] {
            said.note(word(priority).0, word(priority).1);
        }
        assert!((1..=6).all(|priority| said.knows(word(priority).0, word(priority).1)));
        said.note(word(7).0, word(7).1);
        assert!(!said.knows(word(2).0, word(2).1), "the one not said for longest makes room");
        assert!(!said.knows(word(1).0, AdverInterval::MIN));
    }
}
