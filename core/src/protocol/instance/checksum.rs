//! From whom an instance learns how to compute checksums (docs/adr/0005, docs/adr/0019). What it
//! does with that is in [`super::sender`].

use super::election::Rank;
use super::sender::AdvertSender;
use super::state::State;
use super::{Instance, Lists, Policy, Received};
use crate::protocol::spec::ChecksumPolicy;
use crate::types::{Family, MonoTime};
use crate::wire::ChecksumFlavour;

/// What a message did to the flavour in which we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum ChecksumLesson {
    /// Nothing: it is ours already, or there is no choice.
    Nothing,
    /// From now on we send as its sender does.
    Followed,
    /// Its sender may not understand us, and we go on as before for the sake of those who do.
    Declined,
}

impl Instance {
    /// To be called before the state machine hears the message: the last advertisement of an Active
    /// that yields is meant for the winner.
    pub(in crate::protocol) fn learn_checksum(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        received: &Received,
    ) -> ChecksumLesson {
        if self.key.family == Family::Ipv6 {
            return ChecksumLesson::Nothing;
        }
        if received.checksum == ChecksumFlavour::Rfc5798 {
            self.counters.checksum_legacy_accepted += 1;
        }
        let before = self.transmit_flavour(policy.checksum);
        if self.sender.learned().is_none() || self.may_teach(now, policy, received) {
            self.sender.learn(received.checksum);
        }
        match (self.transmit_flavour(policy.checksum), &self.state) {
            (after, _) if after != before => ChecksumLesson::Followed,
            (after, State::Active(_)) if after != received.checksum => ChecksumLesson::Declined,
            (_, State::Initialize | State::Backup(_) | State::Active(_)) => ChecksumLesson::Nothing,
        }
    }

    /// Whether the sender may change how we compute checksums after somebody else showed it.
    fn may_teach(&self, now: MonoTime, policy: &Policy, received: &Received) -> bool {
        match &self.state {
            // RFC9568-6.4.3-11, RFC9568-6.4.3-16: we are about to yield.
            State::Active(_) => match self.rank(policy, received) {
                Rank::Higher | Rank::TieLost => true,
                Rank::TieWon | Rank::Lower => false,
            },
            // We send nothing: what counts is which router serves when we send next. One
            // advertisement of the lowest priority may be anybody's.
            State::Initialize | State::Backup(_) => {
                let serves = !received.priority.is_resignation() && received.lists == Lists::Ours;
                let known =
                    self.peers.get(received.source).is_some_and(|peer| !peer.priority.is_resignation());
                let alone = || !self.peers.others_serve(now, policy.interval, received.source);
                serves && (received.priority >= policy.priority || (known && alone()))
            }
        }
    }

    /// The flavour of what we send.
    pub(super) fn transmit_flavour(&self, policy: ChecksumPolicy) -> ChecksumFlavour {
        AdvertSender::flavour(policy, self.open_flavour())
    }

    /// The flavour where the configuration leaves it open: that of the peers, if there are any.
    fn open_flavour(&self) -> ChecksumFlavour {
        let known = self.sender.learned().unwrap_or(ChecksumFlavour::Rfc9568);
        let leaving = match &self.state {
            State::Active(active) if self.peers.is_empty() => active.leaving(),
            State::Initialize | State::Backup(_) | State::Active(_) => None,
        };
        leaving.map_or(known, |leaving| leaving.flavour(known))
    }
}
