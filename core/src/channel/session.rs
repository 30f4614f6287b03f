//! Which messages were written now, by a node that runs now, for this node.
//!
//! The key does not prove that: somebody may have recorded a message, and send it again later. So
//! each run of a node is a session with random octets for its name, and the first message of a
//! session that is not known is not believed. It is answered with a challenge, and only who repeats
//! the number of the challenge is there now. From then on each message of the session counts once
//! ([`ReplayWindow`]).

use crate::types::MonoTime;
use crate::wire::channel::SessionId;
use std::collections::BTreeMap;
use std::time::Duration;

/// The most sessions that are known. A cluster has a handful of nodes; each restart of one is a
/// session more until the old one is forgotten.
const MOST: usize = 64;
/// The most sessions that may have an open challenge. Recorded messages of old sessions must not
/// fill our memory; while the places are taken, further sessions wait for their next message.
const MOST_CHALLENGED: usize = 16;
/// After this time without a message, a session is forgotten and has to prove itself again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// The same session is challenged once in this time.
const CHALLENGE_AGAIN: Duration = Duration::from_millis(500);

/// The sessions of all nodes, ours included.
#[derive(Debug)]
pub(super) struct Sessions {
    own: SessionId,
    sent: u64,
    challenges: u64,
    known: BTreeMap<SessionId, KnownSession>,
    challenged: BTreeMap<SessionId, OpenChallenge>,
}

#[derive(Debug)]
struct KnownSession {
    heard: MonoTime,
    window: ReplayWindow,
}

#[derive(Debug, Clone, Copy)]
struct OpenChallenge {
    number: u64,
    at: MonoTime,
}

/// What a message is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// It was written by a node that runs, and has not been seen before.
    Fresh,
    /// It has been seen before, or it is so old that this cannot be known.
    Repeated,
    /// Its session is not known: it shall repeat this number.
    MustProve(u64),
    /// Its session is not known, and was challenged a moment ago.
    Unproven,
}

impl Sessions {
    pub(super) const fn new(own: SessionId) -> Self {
        Self { own, sent: 0, challenges: 0, known: BTreeMap::new(), challenged: BTreeMap::new() }
    }

    pub(super) const fn own(&self) -> SessionId {
        self.own
    }

    /// The number of the next message of ours.
    pub(super) const fn next_counter(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// Judges a message, and remembers that it was seen.
    pub(super) fn judge(&mut self, now: MonoTime, from: SessionId, counter: u64) -> Worth {
        self.judge_known(now, from, counter).unwrap_or_else(|| self.challenge(now, from))
    }

    /// Judges a message that is not answered, whatever it is worth. `None`: its session is not
    /// known.
    pub(super) fn judge_known(&mut self, now: MonoTime, from: SessionId, counter: u64) -> Option<Worth> {
        self.known.retain(|_, session| now.since(session.heard) < FORGOTTEN_AFTER);
        let session = self.known.get_mut(&from)?;
        if !session.window.is_new(counter) {
            return Some(Worth::Repeated);
        }
        session.heard = now;
        Some(Worth::Fresh)
    }

    fn challenge(&mut self, now: MonoTime, from: SessionId) -> Worth {
        self.challenged.retain(|_, challenge| now.since(challenge.at) < CHALLENGE_AGAIN);
        if self.challenged.contains_key(&from) || self.challenged.len() >= MOST_CHALLENGED {
            return Worth::Unproven;
        }
        self.challenges += 1;
        self.challenged.insert(from, OpenChallenge { number: self.challenges, at: now });
        Worth::MustProve(self.challenges)
    }

    /// The answer to a challenge. Returns whether it proves a session that was not known.
    pub(super) fn prove(
        &mut self,
        now: MonoTime,
        from: SessionId,
        number: u64,
        counter: u64,
    ) -> SessionProof {
        let open = self.challenged.get(&from).is_some_and(|challenge| challenge.number == number);
        if !open {
            return SessionProof::Nothing;
        }
        self.challenged.remove(&from);
        if self.known.len() >= MOST {
            let oldest = self.known.iter().min_by_key(|(_, session)| session.heard).map(|(id, _)| *id);
            oldest.map(|oldest| self.known.remove(&oldest));
        }
        self.known.insert(from, KnownSession { heard: now, window: ReplayWindow::from(counter) });
        SessionProof::NewSession
    }
}

/// What the answer to a challenge proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionProof {
    /// The session runs now; it was not known before.
    NewSession,
    /// Nothing: nobody asked, or another number.
    Nothing,
}

/// Which of the last 64 counters of a session were seen (as in RFC 4303 §3.4.3). Messages that
/// overtake one another count; those that are older than the window do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ReplayWindow {
    greatest: u64,
    /// Bit n: the counter `greatest - n` was seen.
    seen: u64,
}

impl ReplayWindow {
    /// Begins with the message of this counter. Earlier messages do not count.
    const fn from(counter: u64) -> Self {
        Self { greatest: counter, seen: u64::MAX }
    }

    /// Whether the counter is new. It is not new a second time.
    fn is_new(&mut self, counter: u64) -> bool {
        if let Some(ahead) = counter.checked_sub(self.greatest).filter(|ahead| *ahead > 0) {
            let shift = u32::try_from(ahead).unwrap_or(u32::MAX);
            self.seen = self.seen.checked_shl(shift).unwrap_or(0) | 1;
            self.greatest = counter;
            return true;
        }
        let behind = u32::try_from(self.greatest - counter).unwrap_or(u32::MAX);
        let Some(bit) = 1_u64.checked_shl(behind) else { return false };
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const FE1: SessionId = SessionId([1; 16]);

    fn at(ms: u64) -> MonoTime {
        MonoTime::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn a_session_is_believed_after_it_has_repeated_our_number() {
        let mut sessions = Sessions::new(SessionId([9; 16]));
        assert_eq!(sessions.judge(at(0), FE1, 5), Worth::MustProve(1));
        assert_eq!(sessions.judge(at(499), FE1, 6), Worth::Unproven, "it was asked a moment ago");
        assert_eq!(sessions.judge(at(500), FE1, 7), Worth::MustProve(2), "the answer may have been lost");
        assert_eq!(
            sessions.prove(at(501), FE1, 1, 8),
            SessionProof::Nothing,
            "an answer to an older question"
        );
        assert_eq!(sessions.prove(at(502), FE1, 2, 9), SessionProof::NewSession);
        assert_eq!(sessions.prove(at(503), FE1, 2, 10), SessionProof::Nothing, "the same answer again");
        assert_eq!(sessions.judge(at(504), FE1, 9), Worth::Repeated, "the answer itself");
        assert_eq!(sessions.judge(at(504), FE1, 8), Worth::Repeated, "from before the proof");
        assert_eq!(sessions.judge(at(505), FE1, 10), Worth::Fresh);
        assert_eq!(sessions.judge(at(506), FE1, 10), Worth::Repeated);
    }

    #[test]
    fn a_session_that_is_silent_for_a_minute_must_prove_itself_again() {
        let mut sessions = Sessions::new(SessionId([9; 16]));
        assert_eq!(sessions.judge(at(0), FE1, 5), Worth::MustProve(1));
        assert_eq!(sessions.prove(at(0), FE1, 1, 6), SessionProof::NewSession);
        assert_eq!(sessions.judge(at(59_999), FE1, 7), Worth::Fresh);
        assert_eq!(sessions.judge(at(119_999), FE1, 8), Worth::MustProve(2));
    }

    #[test]
    fn recorded_messages_of_many_sessions_do_not_fill_the_memory() {
        let mut sessions = Sessions::new(SessionId([9; 16]));
        let judged: Vec<_> = (0..200_u8).map(|n| sessions.judge(at(0), SessionId([n; 16]), 1)).collect();
        let asked = judged.iter().filter(|worth| matches!(worth, Worth::MustProve(_))).count();
        assert_eq!((asked, sessions.challenged.len()), (MOST_CHALLENGED, MOST_CHALLENGED));
        // A node that starts meanwhile gets its place when the others have not answered.
        assert!(matches!(sessions.judge(at(500), FE1, 1), Worth::MustProve(_)));
        // Even if all had the key, those that were heard last stay.
        for n in 0..100_u8 {
            let (now, id) = (at(1_000 + u64::from(n) * 500), SessionId([100 + n; 16]));
            let Worth::MustProve(number) = sessions.judge(now, id, 1) else { panic!("no place for {n}") };
            assert_eq!(sessions.prove(now, id, number, 2), SessionProof::NewSession);
        }
        assert_eq!(sessions.known.len(), MOST);
        assert_eq!(sessions.judge(at(51_000), SessionId([199; 16]), 3), Worth::Fresh);
    }

    #[test]
    fn a_counter_at_the_edge_of_the_window_still_counts() {
        let mut window = ReplayWindow::from(100);
        assert!(window.is_new(163 + 1));
        assert!(window.is_new(101), "63 behind");
        assert!(!window.is_new(101));
        assert!(!window.is_new(100), "64 behind");
        assert!(window.is_new(u64::MAX));
        assert!(!window.is_new(164) && !window.is_new(0));
    }

    proptest! {
        #[test]
        fn no_counter_is_new_twice(counters in proptest::collection::vec(0..200_u64, 0..400)) {
            let mut window = ReplayWindow::from(50);
            let mut seen = BTreeSet::new();
            for counter in counters {
                let new = window.is_new(counter);
                prop_assert!(!new || (counter > 50 && !seen.contains(&counter)));
                let greatest = seen.last().copied().unwrap_or(50).max(counter);
                let fits = counter > 50 && greatest - counter < 64;
                prop_assert_eq!(new, fits && !seen.contains(&counter));
                seen.insert(counter);
            }
        }
    }
}
