//! Leaving without a gap: shorten, resign, keep serving until somebody else is heard (docs/adr/0009).
//!
//! What one virtual router says while it leaves is a script; when the leave ends is decided by the
//! group, because both families of a router let go together.
//!
//! 1. *Shorten.* Advertisements with our usual priority and the shortest interval: Backups learn
//!    Active_Adver_Interval = 10 ms (RFC 9568 §6.4.2), so that their Skew_Time is under 10 ms.
//! 2. *Resign.* Priority 0: their Active_Down_Timer becomes that Skew_Time. Repeated, in case it was
//!    lost; an Active answers a repetition at once (§6.4.3), which shows a taker whose first
//!    advertisement was lost.
//! 3. *Hold.* The addresses stay until another router advertises, and until hosts have turned to it
//!    ([`crate::protocol::instance::retention`]).

use crate::protocol::event::HandoverCause;
use crate::protocol::input::{CommandId, Demotion, Force};
use crate::protocol::timing::{OVERSLEPT, active_down_interval};
use crate::types::{AdverInterval, AdvertPriority, MonoTime};
use crate::wire::ChecksumFlavour;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

/// One line of the script: what is said, this long after the hand-over began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Say {
    /// Our priority, the shortest interval.
    Shorten,
    /// Priority 0.
    Resign,
}

/// VRRPv3. Three short advertisements survive the loss of two; the second resignation comes when
/// every Backup that heard the first has fired. A Backup that learned nothing (another version, another
/// priority order) takes over within its own Skew_Time after the last resignation.
///
/// The second round is for when all of the first was lost. It makes a taker step back that was not
/// heard yet, so it leaves time to those who are Active long before they speak: FRR waits for its
/// interface to come up, for which the kernel takes up to a second.
const SCRIPT: [(u64, Say); 11] = [
    (0, Say::Shorten),
    (2, Say::Shorten),
    (4, Say::Shorten),
    (6, Say::Resign),
    (36, Say::Resign),
    (96, Say::Resign),
    (256, Say::Resign),
    (1250, Say::Shorten),
    (1252, Say::Shorten),
    (1254, Say::Shorten),
    (1256, Say::Resign),
];

/// For those of whom nothing is known, since whoever knew them died. Of the second round the checksum is the
/// other one ([`Leaving::flavour`]): it is for those who understood nothing of the first, and who
/// understood takes no notice of it or has been heard.
const INHERITED: [(u64, Say); 11] = [
    (0, Say::Shorten),
    (2, Say::Shorten),
    (4, Say::Shorten),
    (6, Say::Resign),
    (36, Say::Resign),
    (66, Say::Shorten),
    (68, Say::Shorten),
    (70, Say::Shorten),
    (72, Say::Resign),
    (102, Say::Resign),
    (256, Say::Resign),
];

/// Backups that heard a shortening take over three of the shortest interval later. Whoever was stalled between two
/// resigns instead: another word of our usual priority would make a taker step back, who may already be there.
const STALLED: Duration = Duration::from_millis(10);

/// When the first resignation is sent.
const FIRST_RESIGNATION: Duration = Duration::from_millis(6);
/// When the first round is over.
const LAST_OF_FIRST_ROUND: Duration = Duration::from_millis(256);
/// When the second round begins, and when it is over.
const SECOND_ROUND: Duration = Duration::from_millis(1250);
const LAST_WORD: Duration = Duration::from_millis(1256);
/// An Active is asked whether it is there, and has this long to answer. Nothing is lost meanwhile: the
/// addresses stay.
pub(in crate::protocol) const ENQUIRY: Duration = Duration::from_millis(30);
/// On top of the longest Skew_Time: scheduling and the way there and back.
const MARGIN: Duration = Duration::from_millis(100);
/// A fault waits for the short Skew_Time (under 10 ms) and the way there and back, not more.
const FAULT_PATIENCE: Duration = Duration::from_millis(30);
/// A stop must end, whatever the interval.
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// A router whose word could be older than our resignation must still be speaking this much later:
/// longer than it takes to shorten and resign.
pub(in crate::protocol) const CONFIRMATION: Duration = Duration::from_millis(12);

/// The leave of one virtual router.
#[derive(Debug, Clone)]
pub(in crate::protocol) struct Leaving {
    began: MonoTime,
    spoken: usize,
    probe_at: Option<MonoTime>,
    resigned: Resigned,
    service: Service,
    proof: Proof,
    heard: Heard,
}

/// Whether priority 0 was said, hence who speaks now may know that we leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resigned {
    No,
    Yes,
}

/// Whose service it is that is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    /// Ours, and we have listened all the time.
    Ours,
    /// That of a run that died: who else is there we do not know.
    Inherited,
}

/// Whether somebody else serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nobody,
    /// It spoke, which may not mean that it serves.
    Candidate {
        address: IpAddr,
        heard: MonoTime,
        doubt: Doubt,
    },
    Taker(Taker),
}

/// Why a word does not show that its sender serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Anybody on the LAN can say one.
    OneWord,
    /// It may be older than our resignation, or said by somebody who leaves as well.
    Stale,
}

/// What it takes to believe that somebody took over (docs/adr/0019).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Proof {
    /// We would stay otherwise: the addresses announced, or another word.
    Demanded,
    /// We let go whatever happens, and one word only says how soon.
    Waived,
}

/// Who serves now, and since when we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) struct Taker {
    pub(in crate::protocol) address: IpAddr,
    pub(in crate::protocol) heard: MonoTime,
}

/// How sure a nonzero advertisement makes us that its sender serves and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Evidence {
    /// It was silent before: it says that it took over because of our resignation.
    Fresh,
    /// It may be leaving itself, or was Active before we resigned: wait for another word.
    Doubtful,
}

impl Leaving {
    pub(in crate::protocol) const fn new(now: MonoTime, proof: Proof) -> Self {
        Self {
            began: now,
            spoken: 0,
            probe_at: None,
            resigned: Resigned::No,
            service: Service::Ours,
            proof,
            heard: Heard::Nobody,
        }
    }

    /// The leave of a run that died. Somebody may be Active already, whom shortening would make yield: a
    /// resignation comes first, which a serving Active answers at once and which harms nobody.
    pub(in crate::protocol) fn inherited(now: MonoTime) -> Self {
        Self { probe_at: Some(now), service: Service::Inherited, ..Self::new(now + ENQUIRY, Proof::Waived) }
    }

    const fn script(&self) -> &'static [(u64, Say)] {
        match self.service {
            Service::Ours => &SCRIPT,
            Service::Inherited => &INHERITED,
        }
    }

    /// What is due at `now`, one line at a time.
    pub(in crate::protocol) fn say(&mut self, now: MonoTime) -> Option<Say> {
        if matches!(self.heard, Heard::Taker(_)) {
            return None;
        }
        if self.probe_at.is_some_and(|at| at <= now) {
            self.probe_at = None;
            self.resigned = Resigned::Yes;
            return Some(Say::Resign);
        }
        let (at, _) = *self.script().get(self.spoken)?;
        if self.began + Duration::from_millis(at) > now {
            return None;
        }
        let behind = now.since(self.began + Duration::from_millis(at));
        if behind >= STALLED && self.has_just_shortened() {
            let unsaid = self.script().get(self.spoken..).unwrap_or_default();
            self.spoken += unsaid.iter().take_while(|(_, say)| *say == Say::Shorten).count();
        }
        let (at, say) = *self.script().get(self.spoken)?;
        self.spoken += 1;
        match say {
            Say::Shorten => {}
            Say::Resign => self.resigned = Resigned::Yes,
        }
        // A stall must not turn the rest of the script into a burst without gaps.
        let behind = now.since(self.began + Duration::from_millis(at));
        self.began = self.began + behind;
        Some(say)
    }

    /// Whether the last word was a shortening.
    fn has_just_shortened(&self) -> bool {
        let said = self.script().get(..self.spoken).unwrap_or_default();
        said.last().is_some_and(|(_, say)| *say == Say::Shorten)
    }

    /// When the next line is due.
    pub(in crate::protocol) fn next(&self) -> Option<MonoTime> {
        if matches!(self.heard, Heard::Taker(_)) {
            return None;
        }
        let line = self.script().get(self.spoken).map(|(at, _)| self.began + Duration::from_millis(*at));
        line.into_iter().chain(self.probe_at).min()
    }

    pub(in crate::protocol) const fn is_unspoken(&self) -> bool {
        self.spoken == 0 && matches!(self.resigned, Resigned::No)
    }

    pub(in crate::protocol) fn has_resigned(&self) -> bool {
        self.resigned == Resigned::Yes
    }

    /// The checksum to speak with, where nobody was heard and the configuration leaves it open. The peers of
    /// a dead run are not known: its second round is for those who understood nothing of the first.
    pub(in crate::protocol) fn flavour(&self, first: ChecksumFlavour) -> ChecksumFlavour {
        match (self.service, first) {
            (Service::Inherited, ChecksumFlavour::Rfc9568) if self.has_repeated() => ChecksumFlavour::Rfc5798,
            (Service::Ours | Service::Inherited, _) => first,
        }
    }

    /// Whether it has shortened again after a resignation: somebody who took over meanwhile, and was
    /// not heard, yields to that.
    pub(in crate::protocol) fn has_repeated(&self) -> bool {
        let said = self.script().get(..self.spoken).unwrap_or_default();
        said.iter().map(|(_, say)| *say).skip_while(|say| *say == Say::Shorten).any(|say| say == Say::Shorten)
    }

    /// Another router advertised with a nonzero priority after we resigned, or outranks us.
    pub(in crate::protocol) fn on_advert(&mut self, now: MonoTime, from: IpAddr, evidence: Evidence) {
        let doubt = match evidence {
            Evidence::Fresh => Doubt::OneWord,
            Evidence::Doubtful => Doubt::Stale,
        };
        self.heard = match self.heard {
            Heard::Taker(taker) => Heard::Taker(taker),
            Heard::Nobody | Heard::Candidate { .. }
                if evidence == Evidence::Fresh && self.proof == Proof::Waived =>
            {
                Heard::Taker(Taker { address: from, heard: now })
            }
            Heard::Candidate { address, heard, doubt: first } if address == from => {
                if now.since(heard) < CONFIRMATION {
                    return;
                }
                match first {
                    Doubt::OneWord => Heard::Taker(Taker { address, heard }),
                    Doubt::Stale => Heard::Taker(Taker { address, heard: now }),
                }
            }
            Heard::Nobody | Heard::Candidate { .. } => {
                // A serving Active answers a resignation at once; one that leaves, or is none, does not.
                self.probe_at = Some(now + CONFIRMATION);
                Heard::Candidate { address: from, heard: now, doubt }
            }
        };
    }

    /// Every one of our addresses was announced by somebody else: whoever said that it took over did.
    pub(in crate::protocol) fn on_all_announced(&mut self) {
        self.heard = match self.heard {
            Heard::Candidate { address, heard, doubt: Doubt::OneWord } => {
                Heard::Taker(Taker { address, heard })
            }
            Heard::Candidate { doubt: Doubt::Stale, .. } | Heard::Taker(_) | Heard::Nobody => return,
        };
        self.probe_at = None;
    }

    /// `from` resigned as well: it serves no more.
    pub(in crate::protocol) fn on_resignation(&mut self, from: IpAddr) {
        match self.heard {
            Heard::Taker(Taker { address, .. }) | Heard::Candidate { address, .. } if address == from => {
                self.heard = Heard::Nobody;
                self.probe_at = None;
            }
            Heard::Taker(_) | Heard::Candidate { .. } | Heard::Nobody => {}
        }
    }

    /// What it takes to believe that somebody took over may change while it leaves.
    pub(in crate::protocol) const fn demand(&mut self, proof: Proof) {
        self.proof = proof;
    }

    /// Whether it is the leave of a run that died, which begins with a resignation that whoever serves has answered.
    pub(in crate::protocol) fn is_inherited(&self) -> bool {
        self.service == Service::Inherited
    }

    /// Who serves now.
    pub(in crate::protocol) const fn taker(&self) -> Option<Taker> {
        match (self.heard, self.proof) {
            (Heard::Taker(taker), _) => Some(taker),
            (Heard::Candidate { address, heard, doubt: Doubt::OneWord }, Proof::Waived) => {
                Some(Taker { address, heard })
            }
            (Heard::Candidate { .. }, Proof::Demanded | Proof::Waived) | (Heard::Nobody, _) => None,
        }
    }
}

/// The hand-over of a whole router.
#[derive(Debug, Clone)]
pub(in crate::protocol) struct Handover {
    pub(in crate::protocol) cause: HandoverCause,
    pub(in crate::protocol) began: MonoTime,
    /// When waiting ends.
    pub(in crate::protocol) until: MonoTime,
    pub(in crate::protocol) then: Then,
    /// The fact to record when it succeeds.
    pub(in crate::protocol) demotion: Option<Demotion>,
    /// Whom to answer.
    pub(in crate::protocol) waiting: Vec<CommandId>,
}

/// What follows when nobody took over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Then {
    /// Stay Active: a demotion never takes the service down.
    Stay,
    /// Let go all the same.
    LetGo,
}

impl Then {
    const fn proof(self) -> Proof {
        match self {
            Self::Stay => Proof::Demanded,
            Self::LetGo => Proof::Waived,
        }
    }
}

impl Handover {
    pub(in crate::protocol) fn new(now: MonoTime, cause: HandoverCause, interval: AdverInterval) -> Self {
        let mut skew = LAST_OF_FIRST_ROUND + interval.period() + MARGIN;
        if skew > SECOND_ROUND {
            // What is begun is brought to an end.
            skew = skew.max(LAST_WORD + MARGIN);
        }
        let (patience, then) = match cause {
            HandoverCause::Demote => (skew, Then::Stay),
            HandoverCause::Shutdown | HandoverCause::Configuration => (skew.min(STOP_PATIENCE), Then::LetGo),
            HandoverCause::Fault => (FIRST_RESIGNATION + FAULT_PATIENCE, Then::LetGo),
        };
        Self { cause, began: now, until: now + patience, then, demotion: None, waiting: Vec::new() }
    }

    /// What its instances demand of whoever says that it took over.
    pub(in crate::protocol) const fn proof(&self) -> Proof {
        self.then.proof()
    }

    /// Of one family nothing can be said any more: its Backups take over when their own timers fire, and others of
    /// our kind in both families only then. A stop must end all the same.
    pub(in crate::protocol) fn wait_for_the_mute(&mut self, now: MonoTime, active_down: Duration) {
        let wait = active_down + MARGIN;
        let wait = match self.cause {
            HandoverCause::Shutdown | HandoverCause::Configuration => wait.min(STOP_PATIENCE),
            HandoverCause::Demote | HandoverCause::Fault => wait,
        };
        self.until = self.until.max(now + wait);
    }

    /// A more pressing reason to leave arrived while leaving.
    pub(in crate::protocol) fn press(
        &mut self,
        now: MonoTime,
        cause: HandoverCause,
        interval: AdverInterval,
    ) {
        let pressing = Self::new(now, cause, interval);
        self.until = self.until.min(pressing.until);
        if pressing.then == Then::LetGo {
            self.then = Then::LetGo;
        }
    }

    /// A command joins a hand-over.
    pub(in crate::protocol) fn join(&mut self, id: CommandId, demotion: Demotion, force: Force) {
        self.waiting.push(id);
        self.demotion = Some(demotion);
        match force {
            Force::Yes => self.then = Then::LetGo,
            Force::No => {}
        }
    }
}

/// A look at the one who took over: a demotion must not end the service because its taker died at
/// once, or never was. Passive: it listens until the taker has been heard a few times, and then forgets it. Its
/// patience is ours: what the taker says of its interval may be as untrue as the rest.
#[derive(Debug, Clone)]
pub(in crate::protocol) struct Watch {
    silent_at: MonoTime,
    interval: AdverInterval,
    down_adverts: NonZeroU8,
    /// Words of the taker still to come.
    expected: u8,
}

/// What a look shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Seen {
    /// Nothing yet.
    Unsettled,
    /// The taker serves and stays.
    Settled,
    Silence,
}

impl Watch {
    pub(in crate::protocol) fn new(now: MonoTime, interval: AdverInterval, down_adverts: NonZeroU8) -> Self {
        let silent_at = now + patience(interval, down_adverts);
        Self { silent_at, interval, down_adverts, expected: down_adverts.get() }
    }

    /// Somebody serves, and says so this often, as far as that is believed: it may speak less often than we did. One who
    /// leaves in turn (shortest interval, priority 0) changes nothing: it goes when somebody takes over, or it falls silent.
    pub(in crate::protocol) fn on_advert(
        &mut self,
        now: MonoTime,
        priority: AdvertPriority,
        interval: AdverInterval,
    ) {
        if priority.is_resignation() {
            return;
        }
        let patience = patience(self.interval.max(interval), self.down_adverts);
        self.silent_at = self.silent_at.max(now + patience);
        self.expected = self.expected.saturating_sub(1);
    }

    /// One that was not run has not listened either, and listens once more.
    pub(in crate::protocol) fn look(&mut self, now: MonoTime) -> Seen {
        if self.expected == 0 {
            Seen::Settled
        } else if now.since(self.silent_at) > self.interval.period().max(OVERSLEPT) {
            self.silent_at = now + patience(self.interval, self.down_adverts);
            Seen::Unsettled
        } else if self.silent_at <= now {
            Seen::Silence
        } else {
            Seen::Unsettled
        }
    }

    pub(in crate::protocol) const fn next(&self) -> MonoTime {
        self.silent_at
    }
}

/// We stand behind every other Backup.
fn patience(interval: AdverInterval, down_adverts: NonZeroU8) -> Duration {
    active_down_interval(down_adverts, AdvertPriority::LOWEST, interval)
}
