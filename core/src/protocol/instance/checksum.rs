//! How we sum IPv4 messages: where the configuration leaves it open, as our peers do (docs/adr/0005, docs/adr/0019).
//!
//! A strict peer drops what it cannot verify and takes us for dead. So the one who teaches us is the first that is
//! heard, and after that only an Active that we obey or yield to: nobody whom we outrank can take our voice away
//! from those who understand it.

use crate::protocol::instance::reception::{Heard, List, Rank};
use crate::protocol::instance::{Instance, Policy, State};
use crate::protocol::spec::ChecksumPolicy;
use crate::types::{Family, MonoTime};
use crate::wire::ChecksumFlavour;

/// What a message did to the flavour in which we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Lesson {
    /// Nothing: it is ours already, or there is no choice.
    Nothing,
    /// From now on we speak as its sender does.
    Followed,
    /// Its sender may not understand us, and we go on as before for the sake of those who do.
    Declined,
}

impl Instance {
    /// To be called before the state machine hears the message: the last word of one who yields is for the winner.
    pub(in crate::protocol) fn learn_checksum(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        heard: &Heard,
    ) -> Lesson {
        if self.key.family == Family::Ipv6 {
            return Lesson::Nothing;
        }
        if heard.checksum == ChecksumFlavour::Rfc5798 {
            self.counters.checksum_legacy_accepted += 1;
        }
        let before = self.transmit_flavour(policy.checksum);
        if self.flavour.is_none() || self.may_teach(now, policy, heard) {
            self.flavour = Some(heard.checksum);
        }
        match (self.transmit_flavour(policy.checksum), &self.state) {
            (after, _) if after != before => Lesson::Followed,
            (after, State::Active(_)) if after != heard.checksum => Lesson::Declined,
            (_, State::Initialize | State::Backup(_) | State::Active(_)) => Lesson::Nothing,
        }
    }

    /// Whether whoever said this may change how we speak, after somebody else showed it.
    fn may_teach(&self, now: MonoTime, policy: &Policy, heard: &Heard) -> bool {
        match &self.state {
            // RFC9568-6.4.3-11, RFC9568-6.4.3-16: we are about to yield.
            State::Active(_) => match self.rank(policy, heard) {
                Rank::Higher | Rank::TieLost => true,
                Rank::TieWon | Rank::Lower => false,
            },
            // We are silent: what counts is who serves when we speak next. One word of the lowest may be anybody's.
            State::Initialize | State::Backup(_) => {
                let serves = !heard.priority.is_resignation() && heard.list == List::Ours;
                let known = self.peers.get(heard.source).is_some_and(|peer| !peer.priority.is_resignation());
                let alone = || !self.peers.others_serve(now, policy.interval, heard.source);
                serves && (heard.priority >= policy.priority || (known && alone()))
            }
        }
    }

    /// The flavour of what we say.
    // RFC9568-5.2.8-4
    pub(in crate::protocol) fn transmit_flavour(&self, policy: ChecksumPolicy) -> ChecksumFlavour {
        match policy {
            ChecksumPolicy::Auto => self.open_flavour(),
            ChecksumPolicy::Rfc9568 => ChecksumFlavour::Rfc9568,
            ChecksumPolicy::Rfc5798 => ChecksumFlavour::Rfc5798,
        }
    }
}
