//! What a virtual router does with an advertisement that passed the receive checks
//! (RFC 9568 §6.4.2, §6.4.3).

use crate::protocol::effect::Effects;
use crate::protocol::event::Cause;
use crate::protocol::instance::hasty_takeover::Haste;
use crate::protocol::instance::stalling::overslept;
use crate::protocol::instance::transition::Moved;
use crate::protocol::instance::{Active, Backup, Down, Instance, Omen, Policy, State, Tenure};
use crate::protocol::router::handover::Evidence;
use crate::protocol::snapshot::PeerSnapshot;
use crate::protocol::timing::{Taking, active_down_interval, claim_grace, skew_time};
use crate::types::{AdverInterval, AdvertPriority, MonoTime, Preempt};
use crate::wire::ChecksumFlavour;
use std::net::IpAddr;
use std::time::Duration;

/// The shortest time between two answers to priority 0: shorter than any two of them in a hand-over.
const RESIGNATION_GAP: Duration = Duration::from_millis(10);

/// An advertisement, as far as the state machine cares.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Heard {
    pub(in crate::protocol) source: IpAddr,
    pub(in crate::protocol) priority: AdvertPriority,
    /// What it said its interval is.
    pub(in crate::protocol) said: AdverInterval,
    /// What is believed of that ([`crate::protocol::timing::longest_learned`]).
    pub(in crate::protocol) interval: AdverInterval,
    pub(in crate::protocol) checksum: ChecksumFlavour,
    pub(in crate::protocol) list: List,
}

/// Which addresses an advertisement lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum List {
    /// Ours, or some of them: a router of our own pair.
    Ours,
    /// None of ours: a stranger with our VRID.
    Foreign,
}

/// When a lost tie counts. A router of two families yields with both, and addresses order differently
/// in each: were every family's tie to count, equal routers could all yield to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Tie {
    /// At once: this family decides.
    AtOnce,
    /// When it has stood for this long: the sibling had its chance to decide.
    After(Duration),
}

/// How an advertisement compares with what we say ourselves (RFC 9568 §6.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Rank {
    Higher,
    /// Equal priority, greater address.
    TieLost,
    /// Equal priority, address not greater.
    TieWon,
    Lower,
}

/// What came of it, for the group to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Outcome {
    Nothing,
    Moved(Moved),
    /// It yielded to the one whom it had taken for gone, and doubts such words for this long.
    Refuted(Moved, Haste, Duration),
    /// Somebody else is Active too, and we go on.
    Rival,
}

impl Instance {
    /// Feeds one advertisement to the state machine.
    pub(in crate::protocol) fn on_advert(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        heard: &Heard,
        tie: Tie,
        out: &mut Effects,
    ) -> Outcome {
        self.counters.advertisement_rcvd += 1;
        if heard.priority.is_resignation() {
            self.counters.priority_zero_pkts_rcvd += 1;
        }
        // Whether it was Active before this advertisement, for the hand-over.
        let was_active = self.peers.get(heard.source).is_some_and(|peer| {
            !peer.priority.is_resignation() && now.since(peer.heard) <= peer.interval.period() * 2
        });
        self.peers.note(now, heard);
        match &mut self.state {
            State::Initialize => {
                // RFC9568-6.4.1-5: takes no part; it only remembers who is Active.
                self.active = (!heard.priority.is_resignation()).then_some(heard.source);
                Outcome::Nothing
            }
            State::Backup(backup) => {
                let belief = if self.doubt.is_on(now) { Belief::Doubtful } else { Belief::Full };
                let obeyed = on_advert_in_backup(backup, now, policy, heard, belief);
                if obeyed == Obeyed::Active {
                    self.list = heard.list;
                }
                self.active = match obeyed {
                    Obeyed::Active | Obeyed::Discarded => Some(heard.source),
                    Obeyed::Resignation if self.active == Some(heard.source) => None,
                    Obeyed::Resignation => self.active,
                };
                Outcome::Nothing
            }
            State::Active(Active { tenure: Tenure::Leaving(_), .. }) => {
                self.on_advert_leaving(now, policy, heard, was_active);
                Outcome::Nothing
            }
            State::Active(_) => self.on_advert_active(now, policy, heard, tie, out),
        }
    }

    /// Our priority fell. An Active that we were about to preempt may have the higher one now: its last word, which was
    /// discarded, is obeyed after all.
    pub(in crate::protocol) fn on_lowered(&mut self, policy: &Policy) {
        let State::Backup(backup) = &mut self.state else { return };
        let Omen::Lower(heard, interval) = backup.omen else { return };
        let outranks = |peer: &PeerSnapshot| peer.priority >= policy.priority;
        if self.active.and_then(|active| self.peers.get(active)).is_none_or(|peer| !outranks(peer)) {
            return;
        }
        let down = heard + active_down_interval(policy.down_adverts, policy.priority, interval);
        backup.down = match backup.down {
            Down::At(at) => Down::At(at.max(down)),
            Down::Expired => Down::At(down),
        };
        backup.learned = interval;
        backup.omen = Omen::Silence;
    }

    fn on_advert_active(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        heard: &Heard,
        tie: Tie,
        out: &mut Effects,
    ) -> Outcome {
        let rank = self.rank(policy, heard);
        let State::Active(active) = &mut self.state else { return Outcome::Nothing };
        if heard.priority.is_resignation() {
            if let Tenure::Claiming | Tenure::Ready = active.tenure {
                // Whoever it was serves no more: our first word is urgent now.
                let soon = now + claim_grace(policy.interval, Taking::FromLeaving);
                active.advertise_at = active.advertise_at.min(soon);
                return Outcome::Nothing;
            }
            self.answer_resignation(now, policy, out);
            return Outcome::Nothing;
        }
        let serving = matches!(active.tenure, Tenure::Serving);
        if serving && policy.preempt == Preempt::Forbid && overslept(active, now, policy) {
            // What waited in the socket is heard before our own timer says that we slept.
            active.listen(now, policy);
        }
        let tie_counts = rank == Rank::TieLost && active.tie_counts(now, tie, heard.interval);
        let cause = match (&active.tenure, rank) {
            // RFC9568-6.4.3-11, RFC9568-6.4.3-16: Preempt_Mode plays no part
            (_, Rank::Higher) => Some(Cause::HigherPriority),
            (_, Rank::TieLost) if tie_counts => Some(Cause::TieBreak), // RFC9568-6.4.3-11
            (Tenure::Listening, Rank::TieLost | Rank::TieWon | Rank::Lower) => Some(Cause::Stalled),
            (
                Tenure::Claiming | Tenure::Ready | Tenure::Serving | Tenure::Leaving(_),
                Rank::TieLost | Rank::TieWon | Rank::Lower,
            ) => None,
        };
        if let Some(cause) = cause {
            let refuted = self.refuted_by(now, heard.source, policy);
            let doubt = refuted.map(|haste| (haste, self.doubt.justify(now, policy.interval)));
            self.active = Some(heard.source);
            self.list = heard.list;
            if cause != Cause::Stalled {
                // A word of the one who must not preempt would preempt.
                self.last_word(policy, heard.interval, out);
            }
            let moved = self.yield_to(now, policy, heard.interval, cause, out);
            return doubt
                .map_or(Outcome::Moved(moved), |(haste, lasts)| Outcome::Refuted(moved, haste, lasts));
        }
        match active.tenure {
            // Our first word is about to be said; the displaced Active is expected to speak.
            Tenure::Claiming | Tenure::Ready => Outcome::Nothing,
            Tenure::Serving | Tenure::Listening | Tenure::Leaving(_) => {
                let displaced = now < active.displaced_until;
                if !displaced {
                    active.contested_until = now + heard.interval.period() * 3 / 2;
                }
                self.answer_rival(now, policy, out);
                if displaced {
                    return Outcome::Nothing;
                }
                self.counters.dual_active += 1;
                Outcome::Rival
            }
        }
    }

    /// Priority 0: somebody serves no more, and Backups are about to take over unless they hear us
    /// (RFC 9568 §6.4.3). What follows sooner than [`RESIGNATION_GAP`] is answered together, at its end: a
    /// flood of forged resignations must not make us flood the LAN as well. Hosts that believed in whoever it was are told where
    /// the addresses are: a partition may have kept our announcements from them.
    pub(in crate::protocol) fn answer_resignation(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        out: &mut Effects,
    ) {
        let State::Active(active) = &mut self.state else { return };
        active.tenure = Tenure::Serving;
        if now < active.resignation_after {
            // RFC9568-6.4.3-19
            active.advertise_at = active.advertise_at.min(active.resignation_after);
            self.counters.immediate_adverts_suppressed += 1;
            return;
        }
        active.resignation_after = now + RESIGNATION_GAP;
        // RFC9568-6.4.3-10
        active.advertise_at = now + policy.interval.period();
        self.speak_up(now, policy, out);
    }

    /// A losing advertisement: answer at once, so that its sender yields (RFC 9568 §6.4.3), and tell
    /// the LAN again where the addresses are. The Adver_Timer is left alone (RFC9568-6.4.3-15).
    fn answer_rival(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        let State::Active(active) = &mut self.state else { return };
        if now < active.immediate_after {
            // RFC9568-6.4.3-14
            self.counters.immediate_adverts_suppressed += 1;
            // It may be the last word of one that has just heard us: hosts do not wait.
            self.contest(now, out);
            return;
        }
        active.said_at_once(now, policy);
        self.counters.immediate_adverts_sent += 1;
        self.speak_up(now, policy, out); // RFC9568-6.4.3-13
    }

    /// Tells routers that we are Active, and hosts again where the addresses are, as often as that may be.
    fn speak_up(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        self.advertise(policy.priority, policy.interval, policy.checksum, out);
        self.contest(now, out);
    }

    fn on_advert_leaving(&mut self, now: MonoTime, policy: &Policy, heard: &Heard, was_active: bool) {
        if heard.list == List::Foreign {
            return; // Whatever it serves, it is nothing of ours.
        }
        let rank = self.rank(policy, heard);
        let State::Active(active) = &mut self.state else { return };
        let Tenure::Leaving(leaving) = &mut active.tenure else { return };
        if heard.priority.is_resignation() {
            leaving.on_resignation(heard.source);
            return;
        }
        // An interval of 10 ms may be its owner's, or the first words of somebody else who leaves.
        let repeated = leaving.has_repeated();
        let evidence = if was_active || repeated || heard.said == AdverInterval::MIN {
            Evidence::Doubtful
        } else {
            Evidence::Fresh
        };
        match rank {
            Rank::Higher | Rank::TieLost => leaving.on_advert(now, heard.source, evidence),
            Rank::TieWon | Rank::Lower if leaving.has_resigned() => {
                leaving.on_advert(now, heard.source, evidence);
            }
            Rank::TieWon | Rank::Lower => {} // It cannot know yet that we leave.
        }
        if self.turning.as_ref().is_some_and(|turning| turning.is_complete(self.width)) {
            leaving.on_all_announced();
        }
        if let Some(at) = leaving.next() {
            active.advertise_at = at;
        }
    }

    /// RFC 9568 §6.4.3: greater priority wins; on a tie the greater source address, compared as an
    /// unsigned integer in network byte order with the address we put in our own advertisements.
    pub(in crate::protocol) fn rank(&self, policy: &Policy, heard: &Heard) -> Rank {
        match heard.priority.cmp(&policy.priority) {
            std::cmp::Ordering::Greater => Rank::Higher,
            std::cmp::Ordering::Less => Rank::Lower,
            // RFC9568-6.4.3-12: `Ord` of addresses of one family is that of their octets.
            std::cmp::Ordering::Equal if Some(heard.source) > self.source.or(self.former_source) => {
                Rank::TieLost
            }
            std::cmp::Ordering::Equal => Rank::TieWon,
        }
    }
}

impl Active {
    /// Notes a lost tie, and judges it.
    fn tie_counts(&mut self, now: MonoTime, tie: Tie, theirs: AdverInterval) -> bool {
        let Tie::After(wait) = tie else { return true };
        // It may speak less often than we would wait.
        let lapse = wait.max(theirs.period() * 3);
        let standing = self.tie_lost.filter(|(_, last)| now.since(*last) < lapse);
        let since = standing.map_or(now, |(since, _)| since);
        self.tie_lost = Some((since, now));
        now.since(since) >= wait
    }
}

/// What a Backup made of an advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obeyed {
    Active,
    Resignation,
    Discarded,
}

/// Whether what hastens a takeover is believed at once, or only when the Active's next word is overdue
/// ([`crate::protocol::instance::hasty_takeover`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belief {
    Full,
    Doubtful,
}

/// RFC 9568 §6.4.2. The sender's address is not compared here: an equal priority is obeyed.
fn on_advert_in_backup(
    backup: &mut Backup,
    now: MonoTime,
    policy: &Policy,
    heard: &Heard,
    belief: Belief,
) -> Obeyed {
    if heard.priority.is_resignation() {
        // RFC9568-6.4.2-8, RFC9568-6.4.2-14: Skew_Time, and never longer than the timer still runs, so that repeated
        // or forged resignations cannot postpone a takeover.
        if let Down::At(at) = backup.down {
            let soon = now + skew_time(policy.priority, backup.learned);
            let due = match belief {
                Belief::Full => soon,
                Belief::Doubtful => soon.max(backup.overdue(policy)),
            };
            backup.down = Down::At(at.min(due));
        }
        backup.omen = Omen::Resigned;
        return Obeyed::Resignation;
    }
    let lower = heard.priority < policy.priority;
    if lower && policy.preempt == Preempt::Allow && now >= policy.preempt_after {
        // RFC9568-6.4.2-10: discarded. The timer runs on, and its end is the preemption.
        backup.omen = Omen::Lower(now, heard.interval);
        return Obeyed::Discarded;
    }
    // RFC9568-6.4.2-9, RFC9568-6.4.2-13
    // RFC9568-6.1-2
    backup.obeyed = Some(heard.source);
    backup.regular = now;
    backup.omen = Omen::Silence;
    (backup.learned, backup.down) = match belief {
        Belief::Doubtful if heard.interval < policy.interval => {
            (policy.interval, Down::At(backup.overdue(policy)))
        }
        Belief::Full | Belief::Doubtful => {
            let wait = active_down_interval(policy.down_adverts, policy.priority, heard.interval);
            (heard.interval, Down::At(now + wait))
        }
    };
    Obeyed::Active
}
