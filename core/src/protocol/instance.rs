//! The state machine of RFC 9568 §6.4 for ONE virtual router: one VRID, one family, one interface.
//!
//! It knows its timers, its peers and what it says. It does not know its sibling of the other
//! family, faults, demotions or the node: `group` decides when it starts, stops and claims. What it
//! does with a received advertisement is in `reception`.

pub(in crate::protocol) mod address_conflict;
pub(in crate::protocol) mod announcing;
pub(in crate::protocol) mod checksum;
pub(in crate::protocol) mod hasty_takeover;
pub(in crate::protocol) mod peers;
pub(in crate::protocol) mod reception;
pub(in crate::protocol) mod retention;
pub(in crate::protocol) mod sent;
pub(in crate::protocol) mod service_watch;
pub(in crate::protocol) mod stalling;
pub(in crate::protocol) mod transition;

pub use hasty_takeover::HastyMessage;
pub use service_watch::NobodyServing;

use crate::protocol::counters::Counters;
use crate::protocol::effect::Effects;
use crate::protocol::event::{Cause, StateName, TransitionDetails};
use crate::protocol::instance::address_conflict::Conflict;
use crate::protocol::instance::announcing::Schedule;
use crate::protocol::instance::hasty_takeover::{Doubt, Haste};
use crate::protocol::instance::peers::Peers;
use crate::protocol::instance::reception::List;
use crate::protocol::instance::retention::Turning;
use crate::protocol::instance::sent::Said;
use crate::protocol::instance::service_watch::Silence;
use crate::protocol::instance::stalling::{on_active_down_timer, overslept};
use crate::protocol::instance::transition::Moved;
use crate::protocol::router::handover::{Leaving, Proof, Say};
use crate::protocol::spec::{AnnounceSpec, ChecksumPolicy};
use crate::protocol::timing::{Taking, active_down_interval, claim_grace, coalescing_slack};
use crate::types::{AdverInterval, AdvertPriority, InstanceKey, MonoTime, Preempt};
use crate::wire::ChecksumFlavour;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

/// What an announcement may take until hosts send to us.
const TURNING: Duration = Duration::from_millis(3);

/// One who leaves before its first word gives the kernel this long: less than a fault's patience
/// leaves beside the script and a taker's Skew_Time.
const UNSPOKEN: Duration = Duration::from_millis(10);

/// The state, with the timers that exist in it (RFC 9568 §6.4):
///
/// ```text
///            startup                Active_Down_Timer
/// Initialize ────────────▶ Backup ────────────────────▶ Active
///     ▲  ▲                  │  ▲                          │ │
///     │  └──── shutdown ────┘  └── higher priority, tie ──┘ │
///     └──────────────── shutdown: priority 0 ───────────────┘
/// ```
///
/// The owner goes from Initialize to Active at once.
#[derive(Debug, Clone)]
pub(in crate::protocol) enum State {
    Initialize,
    Backup(Backup),
    Active(Active),
}

#[derive(Debug, Clone)]
pub(in crate::protocol) struct Backup {
    // RFC9568-6.2-1: exists in Backup only
    pub(in crate::protocol) down: Down,
    /// Active_Adver_Interval.
    pub(in crate::protocol) learned: AdverInterval,
    /// What it will mean when the timer fires.
    pub(in crate::protocol) omen: Omen,
    /// Who armed the timer, and when for the last time.
    pub(in crate::protocol) obeyed: Option<IpAddr>,
    pub(in crate::protocol) regular: MonoTime,
}

/// Active_Down_Timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Down {
    At(MonoTime),
    /// It fired; the sibling's has not yet.
    Expired,
}

/// What a Backup has seen of the Active that it may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Omen {
    Silence,
    Resigned,
    /// A lower priority was heard, last at this time, and is not obeyed.
    Lower(MonoTime, AdverInterval),
}

#[derive(Debug, Clone)]
pub(in crate::protocol) struct Active {
    /// Adver_Timer.
    // RFC9568-6.2-2: exists in Active only
    pub(in crate::protocol) advertise_at: MonoTime,
    pub(in crate::protocol) tenure: Tenure,
    /// From whom it took the addresses.
    pub(in crate::protocol) taking: Taking,
    /// Whether the kernel has said that it holds them.
    pub(in crate::protocol) held: bool,
    /// Present while the kernel is known to hold the addresses.
    pub(in crate::protocol) announce: Option<Schedule>,
    /// No immediate advertisement before this.
    pub(in crate::protocol) immediate_after: MonoTime,
    /// No answer to priority 0 before this; what comes sooner is answered then.
    pub(in crate::protocol) resignation_after: MonoTime,
    /// A tie that was lost and not counted: since when it stands, and when it was last lost.
    pub(in crate::protocol) tie_lost: Option<(MonoTime, MonoTime)>,
    /// It displaced a live Active, whose last words until then are no news.
    pub(in crate::protocol) displaced_until: MonoTime,
    /// A rival was heard whose next word is not overdue before this: it may not hear us yet.
    pub(in crate::protocol) contested_until: MonoTime,
}

/// How an Active holds its addresses.
#[derive(Debug, Clone)]
pub(in crate::protocol) enum Tenure {
    /// The kernel is installing them; nothing was said yet.
    Claiming,
    /// They are installed; those of the sibling are not yet, or hosts are turning to us. Nothing was
    /// said yet.
    Ready,
    /// The rule.
    Serving,
    /// It overslept: with Preempt_Mode False somebody else may rightly be Active now.
    Listening,
    /// It is leaving, and still serves.
    Leaving(Leaving),
}

/// What the operator and tracking want of this virtual router now.
#[derive(Debug, Clone, Copy)]
pub(in crate::protocol) struct Policy {
    /// Priority after tracking; 255 for the owner.
    pub(in crate::protocol) priority: AdvertPriority,
    pub(in crate::protocol) preempt: Preempt,
    pub(in crate::protocol) interval: AdverInterval,
    pub(in crate::protocol) down_adverts: NonZeroU8,
    pub(in crate::protocol) announce: AnnounceSpec,
    pub(in crate::protocol) checksum: ChecksumPolicy,
    /// A live Active of lower priority is obeyed until then.
    pub(in crate::protocol) preempt_after: MonoTime,
}

#[derive(Debug, Clone)]
pub(in crate::protocol) struct Instance {
    pub(in crate::protocol) key: InstanceKey,
    pub(in crate::protocol) state: State,
    pub(in crate::protocol) since: MonoTime,
    pub(in crate::protocol) cause: Cause,
    pub(in crate::protocol) grounds: TransitionDetails,
    /// Of the last `Own` or `Disown`.
    pub(in crate::protocol) epoch: u64,
    /// How many addresses it has.
    pub(in crate::protocol) width: usize,
    /// When it last announced its addresses.
    pub(in crate::protocol) announced: Option<MonoTime>,
    /// While it leaves, and after it yielded while the addresses are still here: how hosts turn to another.
    pub(in crate::protocol) turning: Option<Turning>,
    /// Our primary address: what we put in our advertisements.
    pub(in crate::protocol) source: Option<IpAddr>,
    /// The one before that went away, while there is none: what we said from it may come back, and it still decides ties.
    pub(in crate::protocol) former_source: Option<IpAddr>,
    /// The Active last obeyed.
    pub(in crate::protocol) active: Option<IpAddr>,
    pub(in crate::protocol) peers: Peers,
    pub(in crate::protocol) counters: Counters,
    /// The checksum flavour that peers have shown.
    pub(in crate::protocol) flavour: Option<ChecksumFlavour>,
    /// Whether it last became Active sooner than the Active's own pace would have it.
    pub(in crate::protocol) haste: Option<Haste>,
    pub(in crate::protocol) doubt: Doubt,
    pub(in crate::protocol) said: Said,
    /// The list of whom it obeys.
    pub(in crate::protocol) list: List,
    pub(in crate::protocol) silence: Silence,
    pub(in crate::protocol) conflict: Conflict,
}

impl Instance {
    /// `epoch` is the last one of this key: what an earlier virtual router asked of the kernel may still
    /// be answered, and the kernel's side ignores what is older.
    pub(in crate::protocol) fn new(key: InstanceKey, now: MonoTime, epoch: u64, width: usize) -> Self {
        Self {
            key,
            state: State::Initialize,
            since: now,
            cause: Cause::Startup,
            grounds: TransitionDetails::default(),
            epoch,
            width,
            announced: None,
            turning: None,
            source: None,
            former_source: None,
            active: None,
            peers: Peers::default(),
            counters: Counters::default(),
            flavour: None,
            haste: None,
            doubt: Doubt::default(),
            said: Said::default(),
            list: List::Ours,
            silence: Silence::deaf(now),
            conflict: Conflict::default(),
        }
    }

    pub(in crate::protocol) const fn state_name(&self) -> StateName {
        match self.state {
            State::Initialize => StateName::Initialize,
            State::Backup(_) => StateName::Backup,
            State::Active(_) => StateName::Active,
        }
    }

    /// Our primary address may change while we are Active.
    pub(in crate::protocol) fn set_source(&mut self, source: Option<IpAddr>) {
        if matches!(self.state, State::Active(_)) && self.active == self.source {
            self.active = source;
        }
        self.former_source = match source {
            Some(_) => None,
            None => self.source.or(self.former_source),
        };
        self.source = source;
    }

    /// Whether it waits for the kernel before its first word.
    pub(in crate::protocol) const fn is_claiming(&self) -> bool {
        matches!(self.state, State::Active(Active { tenure: Tenure::Claiming, .. }))
    }

    /// Startup of a contender: Initialize to Backup, with our own interval until we learn another
    /// (RFC 9568 §6.4.1).
    pub(in crate::protocol) fn start(&mut self, now: MonoTime, policy: &Policy, cause: Cause) -> Moved {
        // RFC9568-6.4.1-4
        self.list = List::Ours;
        self.enter_backup(now, policy, policy.interval, cause)
    }

    /// Shutdown of a Backup: says nothing (RFC 9568 §6.4.2).
    pub(in crate::protocol) fn stop(&mut self, now: MonoTime, cause: Cause) -> Moved {
        self.enter(now, State::Initialize, cause)
    }

    /// Active_Down_Timer, preemption, or an owner's startup: take the addresses.
    ///
    /// The kernel is asked first. The advertisement that makes another router drop the addresses
    /// follows its acknowledgement, or the grace's end: make before break (docs/adr/0004).
    pub(in crate::protocol) fn claim(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        cause: Cause,
        out: &mut Effects,
    ) -> Moved {
        let taking = match self.state {
            State::Backup(Backup { omen: Omen::Lower(heard, interval), .. })
                if now.since(heard) <= interval.period() * 3 / 2 =>
            {
                Taking::FromLive
            }
            State::Backup(Backup { omen: Omen::Resigned, .. }) => Taking::FromLeaving,
            // An owner that starts has not listened: somebody may be serving, as after a resignation.
            State::Initialize => Taking::FromLeaving,
            // Heard before it started, with an interval longer than its own.
            State::Backup(_) if self.peers.anybody_serves(now, policy.interval) => Taking::FromLive,
            State::Backup(_) | State::Active(_) => Taking::FromNobody,
        };
        self.haste = match &self.state {
            State::Backup(backup) => backup.haste(now, policy, &self.peers),
            State::Initialize | State::Active(_) => None,
        };
        self.conflict.begin();
        self.own(out);
        self.counters.active_transitions += 1;
        let active = Active {
            advertise_at: now + claim_grace(policy.interval, taking),
            tenure: Tenure::Claiming,
            taking,
            held: false,
            announce: None,
            immediate_after: now,
            resignation_after: now,
            tie_lost: None,
            displaced_until: now,
            contested_until: now,
        };
        self.active = self.source;
        self.enter(now, State::Active(active), cause)
    }

    /// Let the addresses go and take no part any more.
    pub(in crate::protocol) fn let_go(&mut self, now: MonoTime, cause: Cause, out: &mut Effects) -> Moved {
        self.disown(out);
        self.active = match &self.state {
            State::Active(Active { tenure: Tenure::Leaving(leaving), .. }) => {
                leaving.taker().map(|taker| taker.address)
            }
            State::Active(_) | State::Backup(_) | State::Initialize => None,
        };
        self.enter(now, State::Initialize, cause)
    }

    /// Active to Backup. Sends nothing (RFC 9568 §6.4.3). What hosts believe to be here stays until they
    /// have turned to the other: it may have spoken before it holds the addresses itself.
    pub(in crate::protocol) fn yield_to(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        learned: AdverInterval,
        cause: Cause,
        out: &mut Effects,
    ) -> Moved {
        if matches!(&self.state, State::Active(active) if active.announce.is_some()) {
            self.part(now, out);
        } else {
            self.disown(out);
        }
        // RFC9568-6.4.3-17: and nothing is said.
        self.enter_backup(now, policy, learned, cause)
    }

    /// Begins to leave; the first word is said at once. One who has said nothing yet may not hold all
    /// addresses yet either: what it says would make another router drop them, so that it waits for
    /// the kernel a little.
    pub(in crate::protocol) fn leave(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        proof: Proof,
        out: &mut Effects,
    ) {
        if let State::Active(active) = &mut self.state {
            let began = match active.tenure {
                Tenure::Claiming | Tenure::Ready => active.advertise_at.min(now + UNSPOKEN),
                Tenure::Serving | Tenure::Listening | Tenure::Leaving(_) => now,
            };
            active.tenure = Tenure::Leaving(Leaving::new(began, proof));
            // A word of ours after the taker's would turn the hosts back to us.
            active.announce = None;
            active.advertise_at = began;
            if began <= now {
                self.on_adver_timer(now, policy, out);
            }
            self.listen(out);
        }
    }

    pub(in crate::protocol) const fn demand(&mut self, proof: Proof) {
        if let State::Active(Active { tenure: Tenure::Leaving(leaving), .. }) = &mut self.state {
            leaving.demand(proof);
        }
    }

    /// The leave came to nothing: say at once that we are here, with the interval that Backups are
    /// to learn again. One who has said nothing yet and waits for the kernel goes on waiting.
    pub(in crate::protocol) fn reassert(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        self.unlisten(out);
        let State::Active(active) = &mut self.state else { return };
        let unspoken = matches!(&active.tenure, Tenure::Leaving(leaving) if leaving.is_unspoken());
        if unspoken && !active.held {
            active.tenure = Tenure::Claiming;
            active.advertise_at = now + claim_grace(policy.interval, active.taking);
            return;
        }
        let held = active.held;
        active.tenure = Tenure::Serving;
        active.advertise_at = now + policy.interval.period();
        self.advertise(policy.priority, policy.interval, policy.checksum, out);
        if held {
            self.begin_announcing(now, policy, out);
        }
    }

    /// One resignation without a hand-over: the addresses are not there to be served.
    pub(in crate::protocol) fn resign(&mut self, policy: &Policy, out: &mut Effects) {
        match &self.state {
            State::Active(Active { tenure: Tenure::Claiming | Tenure::Ready, .. }) => {} // Nobody knows of us.
            State::Active(_) => {
                self.advertise(AdvertPriority::RESIGN, policy.interval, policy.checksum, out);
            }
            State::Initialize | State::Backup(_) => {}
        }
    }

    /// The interval may be a shorter one now. What a leaving router says has times of its own.
    pub(in crate::protocol) fn shorten(&mut self, now: MonoTime, policy: &Policy) {
        if let State::Active(active) = &mut self.state {
            match active.tenure {
                Tenure::Claiming | Tenure::Ready | Tenure::Serving | Tenure::Listening => {
                    active.advertise_at = active.advertise_at.min(now + policy.interval.period());
                }
                Tenure::Leaving(_) => {}
            }
        }
    }

    /// The kernel holds the addresses of this epoch. The first word is the group's to give: what one
    /// family says makes another router drop the addresses of both.
    pub(in crate::protocol) fn on_owned(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        let State::Active(active) = &mut self.state else { return };
        active.held = true;
        match active.tenure {
            Tenure::Claiming => active.tenure = Tenure::Ready,
            Tenure::Ready => {}
            Tenure::Serving | Tenure::Listening => self.begin_announcing(now, policy, out),
            Tenure::Leaving(_) => {}
        }
    }

    /// The first word of a router whose addresses are installed.
    pub(in crate::protocol) fn speak(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        let State::Active(active) = &mut self.state else { return };
        if !matches!(active.tenure, Tenure::Ready) || active.announce.is_some() {
            return;
        }
        if active.taking == Taking::FromLive {
            // Nobody is in a hurry: the hosts come first, and the word that makes the displaced
            // router drop the addresses when they have turned to us.
            active.advertise_at = now + TURNING;
            self.begin_announcing(now, policy, out);
            return;
        }
        self.first_word(now, policy, out);
    }

    fn first_word(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        let State::Active(active) = &mut self.state else { return };
        active.tenure = Tenure::Serving;
        active.advertise_at = now + policy.interval.period();
        if active.taking == Taking::FromLive {
            active.displaced_until = now + policy.interval.period();
        }
        let announced = active.announce.is_some();
        // RFC9568-6.4.2-7, RFC9568-7.2-4
        self.advertise(policy.priority, policy.interval, policy.checksum, out);
        if !announced {
            self.begin_announcing(now, policy, out);
        }
    }

    /// The last word of an Active that yields: the winner may not know that there were two, and only
    /// a losing advertisement makes it tell the hosts again where the addresses are.
    ///
    /// It carries the winner's interval: a Backup that obeys it would time out on ours, and the
    /// winner may speak less often.
    pub(in crate::protocol) fn last_word(
        &mut self,
        policy: &Policy,
        winners: AdverInterval,
        out: &mut Effects,
    ) {
        let State::Active(active) = &self.state else { return };
        // Before our first word hosts may have turned to us already.
        if matches!(active.tenure, Tenure::Serving) || active.announce.is_some() {
            self.advertise(policy.priority, winners, policy.checksum, out);
        }
    }

    /// Fires what is due. Returns how long we had not been run, if that is longer than others wait.
    pub(in crate::protocol) fn on_deadline(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        out: &mut Effects,
    ) -> Option<Duration> {
        if self.lets_go_at().is_some_and(|at| at <= now) {
            self.disown(out);
        }
        match &mut self.state {
            State::Initialize => None,
            // RFC9568-6.4.2-15: says nothing
            State::Backup(backup) => on_active_down_timer(backup, now, policy),
            State::Active(active) => {
                let due = active.advertise_at <= now;
                let begun = active.announce.is_some();
                let stalled = if due { self.on_adver_timer(now, policy, out) } else { None };
                // A schedule that has just begun has said its first.
                self.announce_if_due(now, policy, begun, out);
                stalled
            }
        }
    }

    /// Adver_Timer (RFC 9568 §6.4.3).
    fn on_adver_timer(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) -> Option<Duration> {
        let State::Active(active) = &mut self.state else { return None };
        let period = policy.interval.period();
        let late = now.since(active.advertise_at);
        match &mut active.tenure {
            Tenure::Ready => {
                self.first_word(now, policy, out);
                return None;
            }
            Tenure::Claiming | Tenure::Listening => {
                active.tenure = Tenure::Serving;
                active.advertise_at = now + period;
            }
            Tenure::Serving => {
                let stalled = overslept(active, now, policy);
                // RFC9568-6.2-4
                if stalled && policy.preempt == Preempt::Forbid {
                    active.listen(now, policy);
                    return Some(late);
                }
                // From the previous deadline, so that the period does not drift. RFC9568-6.4.3-9
                // RFC9568-6.2-3
                let next = active.advertise_at + period;
                active.advertise_at = if next > now { next } else { now + period };
                let contested = now < active.contested_until;
                self.advertise(policy.priority, policy.interval, policy.checksum, out);
                if contested {
                    // This word may be the one that is heard at last, and not every router has a last word itself.
                    self.contest(now, out);
                }
                return stalled.then_some(late);
            }
            Tenure::Leaving(leaving) => {
                let say = leaving.say(now);
                active.advertise_at = leaving.next().unwrap_or(now + period.max(Duration::from_secs(1)));
                match say {
                    Some(Say::Shorten) => {
                        self.advertise(policy.priority, AdverInterval::MIN, policy.checksum, out);
                    }
                    Some(Say::Resign) => {
                        self.advertise(AdvertPriority::RESIGN, policy.interval, policy.checksum, out);
                    }
                    None => {}
                }
                return None;
            }
        }
        self.advertise(policy.priority, policy.interval, policy.checksum, out); // RFC9568-6.4.3-9
        None
    }

    /// The next deadline, and how much later than that would do.
    pub(in crate::protocol) fn deadline(&self, policy: &Policy) -> Option<(MonoTime, Duration)> {
        let letting_go = self.lets_go_at().map(|at| (at, Duration::ZERO));
        self.timer(policy).into_iter().chain(letting_go).min_by_key(|(at, slack)| *at + *slack)
    }

    /// The next timer of its state, likewise.
    pub(in crate::protocol) fn timer(&self, policy: &Policy) -> Option<(MonoTime, Duration)> {
        match &self.state {
            State::Initialize | State::Backup(Backup { down: Down::Expired, .. }) => None,
            // Never coalesced: at 10 ms one priority step is 39 µs of Skew_Time.
            State::Backup(Backup { down: Down::At(at), .. }) => Some((*at, Duration::ZERO)),
            State::Active(active) => {
                let slack = match active.tenure {
                    Tenure::Serving => coalescing_slack(policy.interval),
                    Tenure::Claiming | Tenure::Ready | Tenure::Listening | Tenure::Leaving(_) => {
                        Duration::ZERO
                    }
                };
                let schedule = active.announce.as_ref().filter(|_| active.announces());
                let announce = schedule.and_then(|schedule| schedule.next(policy.announce));
                let announce = announce.map(|at| (at, coalescing_slack(policy.interval)));
                [(active.advertise_at, slack)]
                    .into_iter()
                    .chain(announce)
                    .min_by_key(|(at, slack)| *at + *slack)
            }
        }
    }

    fn enter_backup(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        learned: AdverInterval,
        cause: Cause,
    ) -> Moved {
        let learned = if self.doubt.is_on(now) { learned.max(policy.interval) } else { learned };
        let down = now + active_down_interval(policy.down_adverts, policy.priority, learned);
        let (down, omen) = (Down::At(down), Omen::Silence);
        let backup = Backup { down, learned, omen, obeyed: self.active, regular: now };
        self.enter(now, State::Backup(backup), cause)
    }
}

impl Backup {
    pub(in crate::protocol) fn is_expired(&self) -> bool {
        self.down == Down::Expired
    }
}

impl Instance {
    /// Why this Backup becomes Active when its timer has fired. Somebody of lower priority may speak beside an Active that
    /// was obeyed, and has died.
    pub(in crate::protocol) fn claim_cause(
        &self,
        now: MonoTime,
        backup: &Backup,
        ours: AdvertPriority,
    ) -> Cause {
        let obeyed = backup.obeyed.and_then(|obeyed| self.peers.get(obeyed));
        match backup.omen {
            Omen::Silence => Cause::ActiveDownTimer,
            Omen::Resigned => Cause::PeerResigned,
            Omen::Lower(..) if obeyed.is_some_and(|peer| peer.standing >= ours) => Cause::ActiveDownTimer,
            Omen::Lower(heard, interval) if now.since(heard) <= interval.period() * 3 / 2 => Cause::Preempted,
            Omen::Lower(..) => Cause::ActiveDownTimer,
        }
    }
}
