//! The Active state (RFC 9568 §6.4.3): it advertises, answers other Actives, and announces its
//! addresses.
//!
//! | event | what an Active does |
//! |---|---|
//! | Adver_Timer | advertises, Adver_Timer = Advertisement_Interval |
//! | advertisement of a higher priority, or a lost tie | yields: becomes Backup, retains its addresses until hosts have switched |
//! | advertisement of a lower priority, or a won tie | answers at once, at a limited rate, and announces its addresses again |
//! | advertisement of priority 0 | answers at once |
//!
//! | phase | addresses | it advertises |
//! |---|---|---|
//! | [`Phase::Installing`] | the kernel is installing them | not yet |
//! | [`Phase::Ready`] | installed | not yet: the other family's are not, or hosts are switching to us |
//! | [`Phase::Serving`] | installed | each interval |
//! | [`Phase::Listening`] | installed | not for one interval: we were paused, and another router may rightly be Active |
//! | [`Phase::Leaving`] | installed until hosts have switched | what the hand-over script says |

use super::announcing::AnnouncementSchedule;
use super::election::{PendingTieLoss, Rank, Tie};
use super::hasty_takeover::HastyTakeover;
use super::leaving::{Evidence, Leaving, Proof, Successor};
use super::state::State;
use super::transition::Moved;
use super::{Instance, Lists, Policy, Received};
use crate::protocol::effect::{Effect, Effects};
use crate::protocol::event::Cause;
use crate::protocol::timing::{Taking, claim_grace, coalescing_slack, immediate_gap};
use crate::protocol::version_rules::LeaveLine;
use crate::types::{AdverInterval, AdvertPriority, MonoTime, Preempt, Version};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long an announcement takes until hosts send to us.
const HOSTS_FOLLOW_ANNOUNCEMENT: Duration = Duration::from_millis(3);

/// An instance that leaves before its first advertisement gives the kernel this long to install the
/// addresses. It is less than what the patience for a fault leaves beside the script and the
/// Skew_Time of a successor.
const INSTALL_WAIT_WHEN_LEAVING: Duration = Duration::from_millis(10);

/// The shortest time between two answers to priority 0: shorter than any two of them in a
/// hand-over.
const RESIGNATION_ANSWER_GAP: Duration = Duration::from_millis(10);

/// An instance in the Active state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Active {
    version: Version,
    /// Adver_Timer.
    // RFC9568-6.2-2: exists in Active only
    advertise_at: MonoTime,
    phase: Phase,
    /// From whom it took the addresses.
    taking: Taking,
    /// The rounds of announcements, from the moment at which the kernel holds the addresses.
    announcements: Option<AnnouncementSchedule>,
    /// No advertisement that answers another Active is sent before this.
    answer_after: MonoTime,
    /// No answer to priority 0 is sent before this. What comes sooner is answered then.
    answer_resignation_after: MonoTime,
    pending_tie_loss: Option<PendingTieLoss>,
    /// Until then an advertisement of the router that we preempted is expected, and is not
    /// reported.
    displaced_until: MonoTime,
    /// Another Active was heard, whose next advertisement is not overdue before this: it may not
    /// hear us yet.
    contested_until: MonoTime,
}

/// What an Active is doing.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Phase {
    /// The kernel is installing the addresses, and nothing was advertised yet.
    Installing,
    /// The addresses are installed. Those of the other family are not yet, or hosts are switching
    /// to us. Nothing was advertised yet.
    Ready,
    /// The normal phase: addresses installed, an advertisement each interval.
    Serving,
    /// It was paused for so long that with Preempt_Mode False another router may rightly be Active.
    Listening,
    /// It hands over, and still serves.
    Leaving(Leaving),
}

/// What came of an advertisement that an Active received, for the router to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Outcome {
    /// Nothing to report.
    Nothing,
    /// The instance yielded.
    Moved(Moved),
    /// The instance yielded to the router that it had replaced because of a message that was not
    /// that router's. Such messages are distrusted for this long.
    Refuted(Moved, HastyTakeover, Duration),
    /// Another router is Active too, and we go on.
    DualActive,
}

impl Active {
    /// An Active whose addresses the kernel is installing.
    pub(super) fn new(now: MonoTime, version: Version, policy: &Policy, taking: Taking) -> Self {
        let advertise_at = now + claim_grace(policy.interval, taking);
        Self { advertise_at, ..Self::begin(now, version, Phase::Installing, taking) }
    }

    /// The Active that a crashed run was. It says nothing but that it leaves, and announces
    /// nothing.
    pub(super) fn of_crashed_run(now: MonoTime, version: Version) -> Self {
        let leaving = Phase::Leaving(Leaving::after_crash(now, version));
        Self::begin(now, version, leaving, Taking::FromNobody)
    }

    /// An Active that has neither advertised nor announced nor heard anything yet.
    const fn begin(now: MonoTime, version: Version, phase: Phase, taking: Taking) -> Self {
        Self {
            version,
            advertise_at: now,
            phase,
            taking,
            announcements: None,
            answer_after: now,
            answer_resignation_after: now,
            pending_tie_loss: None,
            displaced_until: now,
            contested_until: now,
        }
    }

    pub(super) const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// When the Adver_Timer fires, and how much later would do.
    pub(super) fn advertise_at(&self, policy: &Policy) -> (MonoTime, Duration) {
        let slack = match self.phase {
            Phase::Serving => coalescing_slack(policy.interval),
            Phase::Installing | Phase::Ready | Phase::Listening | Phase::Leaving(_) => Duration::ZERO,
        };
        (self.advertise_at, slack)
    }

    /// When the next round of announcements is due, and how much later would do.
    pub(super) fn announce_at(&self, policy: &Policy) -> Option<(MonoTime, Duration)> {
        let schedule = self.announcements.as_ref().filter(|_| self.announces())?;
        Some((schedule.next()?, coalescing_slack(policy.interval)))
    }

    /// Whether it tells hosts to send to us: not while another router may rightly be Active.
    pub(super) const fn announces(&self) -> bool {
        self.announcements.is_some() && !matches!(self.phase, Phase::Listening)
    }

    /// Whether hosts may have been told to send to us.
    pub(super) const fn has_announced(&self) -> bool {
        self.announcements.is_some()
    }

    /// Whether it waits for the kernel before its first advertisement.
    pub(super) const fn is_installing(&self) -> bool {
        matches!(self.phase, Phase::Installing)
    }

    /// Whether it serves and neither leaves nor asks first who else is Active.
    pub(super) const fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving)
    }

    /// Whether an advertisement of the router that we preempted is still expected.
    pub(super) fn expects_displaced(&self, now: MonoTime) -> bool {
        now < self.displaced_until
    }

    /// The leave, while it leaves.
    pub(super) const fn leaving(&self) -> Option<&Leaving> {
        match &self.phase {
            Phase::Leaving(leaving) => Some(leaving),
            Phase::Installing | Phase::Ready | Phase::Serving | Phase::Listening => None,
        }
    }

    pub(super) const fn leaving_mut(&mut self) -> Option<&mut Leaving> {
        match &mut self.phase {
            Phase::Leaving(leaving) => Some(leaving),
            Phase::Installing | Phase::Ready | Phase::Serving | Phase::Listening => None,
        }
    }

    /// When it advertised last, if it is on time: one interval before the next time.
    pub(super) fn advertised_at(&self, policy: &Policy) -> MonoTime {
        self.advertise_at - policy.interval.period()
    }

    /// The interval may be shorter now. What an instance says that leaves has times of its own.
    pub(super) fn shorten_timer(&mut self, now: MonoTime, policy: &Policy) {
        match self.phase {
            Phase::Installing | Phase::Ready | Phase::Serving | Phase::Listening => {
                self.advertise_at = self.advertise_at.min(now + policy.interval.period());
            }
            Phase::Leaving(_) => {}
        }
    }

    /// Whether it was paused for so long that others rightly believe that it is gone.
    fn overslept(&self, now: MonoTime, policy: &Policy) -> bool {
        let patience = policy.active_down_interval(self.version, policy.interval);
        now.since(self.advertise_at) > patience
    }

    /// A router that took over while we were paused must not be displaced with Preempt_Mode False,
    /// so we listen first.
    fn listen(&mut self, now: MonoTime, policy: &Policy) {
        self.phase = Phase::Listening;
        self.advertise_at = now + policy.interval.period();
    }

    /// An advertisement is sent now that no timer asked for: the next such one waits.
    fn on_unscheduled_advert(&mut self, now: MonoTime, policy: &Policy) {
        self.answer_after = now + immediate_gap(policy.interval);
    }

    /// Notes a lost tie. Returns whether it counts.
    fn tie_counts(&mut self, now: MonoTime, tie: Tie, theirs: AdverInterval) -> bool {
        match tie {
            Tie::AtOnce => true,
            Tie::After(wait) => PendingTieLoss::note(&mut self.pending_tie_loss, now, wait, theirs),
        }
    }
}

impl Instance {
    const fn active_mut(&mut self) -> Option<&mut Active> {
        match &mut self.state {
            State::Active(active) => Some(active),
            State::Initialize | State::Backup(_) => None,
        }
    }

    /// The kernel holds the addresses. The first advertisement is the router's to release: what one
    /// family says makes another router drop the addresses of both.
    pub(in crate::protocol) fn on_addresses_held(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        out: &mut Effects,
    ) {
        self.addresses.confirm();
        let Some(active) = self.active_mut() else { return };
        match active.phase {
            Phase::Installing => active.phase = Phase::Ready,
            Phase::Ready => {}
            Phase::Serving | Phase::Listening => self.begin_announcing(now, policy, out),
            Phase::Leaving(_) => {}
        }
    }

    /// The addresses of every family are installed: hosts and routers may be told.
    pub(in crate::protocol) fn on_all_installed(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        out: &mut Effects,
    ) {
        let Some(active) = self.active_mut() else { return };
        if !matches!(active.phase, Phase::Ready) || active.announcements.is_some() {
            return;
        }
        if active.taking == Taking::FromLive {
            // There is no hurry. The hosts come first, and when they have switched to us, the
            // advertisement that makes the displaced router drop the addresses.
            active.advertise_at = now + HOSTS_FOLLOW_ANNOUNCEMENT;
            self.begin_announcing(now, policy, out);
            return;
        }
        self.first_advert(now, policy, out);
    }

    fn first_advert(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        let Some(active) = self.active_mut() else { return };
        active.phase = Phase::Serving;
        active.advertise_at = now + policy.interval.period();
        if active.taking == Taking::FromLive {
            active.displaced_until = now + policy.interval.period();
        }
        let announced = active.announcements.is_some();
        // RFC9568-6.4.2-7, RFC9568-7.2-4
        self.advertise(policy.priority, policy.interval, policy, out);
        if !announced {
            self.begin_announcing(now, policy, out);
        }
    }

    /// Adver_Timer (RFC 9568 §6.4.3). Returns how long we were not run, if that is longer than
    /// others wait.
    pub(super) fn on_adver_timer(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        out: &mut Effects,
    ) -> Option<Duration> {
        let active = self.active_mut()?;
        if active.advertise_at > now {
            return None;
        }
        let period = policy.interval.period();
        let late = now.since(active.advertise_at);
        match &mut active.phase {
            Phase::Ready => {
                self.first_advert(now, policy, out);
                None
            }
            Phase::Installing | Phase::Listening => {
                active.phase = Phase::Serving;
                active.advertise_at = now + period;
                self.advertise(policy.priority, policy.interval, policy, out); // RFC9568-6.4.3-9
                None
            }
            Phase::Serving => {
                let overslept = active.overslept(now, policy);
                // RFC9568-6.2-4
                if overslept && policy.preempt == Preempt::Forbid {
                    active.listen(now, policy);
                    return Some(late);
                }
                // From the previous deadline, so that the period does not drift. RFC9568-6.4.3-9
                // RFC9568-6.2-3
                let next = active.advertise_at + period;
                active.advertise_at = if next > now { next } else { now + period };
                let contested = now < active.contested_until;
                self.advertise(policy.priority, policy.interval, policy, out);
                if contested {
                    // The other Active may hear this advertisement as the first one, and not every
                    // router sends a last advertisement, which would make us announce again.
                    self.announce_again(now, out);
                }
                overslept.then_some(late)
            }
            Phase::Leaving(leaving) => {
                let line = leaving.next_line(now);
                let idle = now + period.max(Duration::from_secs(1));
                active.advertise_at = leaving.next_at().unwrap_or(idle);
                match line {
                    Some(LeaveLine::Shorten) => {
                        let interval = self.rules().shortened().unwrap_or(policy.interval);
                        self.advertise(policy.priority, interval, policy, out);
                    }
                    Some(LeaveLine::Resign) => {
                        self.advertise(AdvertPriority::RESIGN, policy.interval, policy, out);
                    }
                    None => {}
                }
                None
            }
        }
    }

    /// An advertisement, while the instance does not leave.
    pub(super) fn on_advert_in_active(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        received: &Received,
        tie: Tie,
        out: &mut Effects,
    ) -> Outcome {
        if self.rules().ignores_others(policy.priority) {
            self.on_ignored(now, received, out); // RFC3768-7.1-4
            return Outcome::Nothing;
        }
        let rank = self.rank(policy, received);
        let Some(active) = self.active_mut() else { return Outcome::Nothing };
        if received.priority.is_resignation() {
            if let Phase::Installing | Phase::Ready = active.phase {
                // The sender serves no more: our first advertisement is urgent now.
                let soon = now + claim_grace(policy.interval, Taking::FromLeaving);
                active.advertise_at = active.advertise_at.min(soon);
                return Outcome::Nothing;
            }
            self.answer_resignation(now, policy, out);
            return Outcome::Nothing;
        }
        if active.is_serving() && policy.preempt == Preempt::Forbid && active.overslept(now, policy) {
            // What waited in the socket is heard before our own timer says that we were paused.
            active.listen(now, policy);
        }
        let tie_counts = rank == Rank::TieLost && active.tie_counts(now, tie, received.interval);
        let cause = match (&active.phase, rank) {
            // RFC9568-6.4.3-11, RFC9568-6.4.3-16: Preempt_Mode plays no part
            (_, Rank::Higher) => Some(Cause::HigherPriority),
            (_, Rank::TieLost) if tie_counts => Some(Cause::TieBreak), // RFC9568-6.4.3-11
            (Phase::Listening, Rank::TieLost | Rank::TieWon | Rank::Lower) => Some(Cause::Stalled),
            (
                Phase::Installing | Phase::Ready | Phase::Serving | Phase::Leaving(_),
                Rank::TieLost | Rank::TieWon | Rank::Lower,
            ) => None,
        };
        if let Some(cause) = cause {
            return self.yield_to_sender(now, policy, received, cause, out);
        }
        match active.phase {
            // Our first advertisement is about to be sent, and the displaced Active still speaks.
            Phase::Installing | Phase::Ready => Outcome::Nothing,
            Phase::Serving | Phase::Listening | Phase::Leaving(_) => {
                let displaced = active.expects_displaced(now);
                if !displaced {
                    active.contested_until = now + received.interval.period() * 3 / 2;
                }
                self.answer_other_active(now, policy, out);
                if displaced {
                    return Outcome::Nothing;
                }
                self.counters.dual_active += 1;
                Outcome::DualActive
            }
        }
    }

    /// A message that an owner discards. Hosts have heard its sender nevertheless, and may believe it, so
    /// they are told again where the addresses are, as in VRRPv3; nothing is advertised. Two owners would
    /// turn the hosts back and forth.
    fn on_ignored(&mut self, now: MonoTime, received: &Received, out: &mut Effects) {
        let Some(active) = self.active_mut() else { return };
        match active.phase {
            Phase::Serving if received.priority != AdvertPriority::OWNER => {
                if !received.priority.is_resignation() && !active.expects_displaced(now) {
                    active.contested_until = now + received.interval.period() * 3 / 2;
                }
                self.announce_again(now, out);
            }
            Phase::Serving | Phase::Installing | Phase::Ready | Phase::Listening | Phase::Leaving(_) => {}
        }
    }

    fn yield_to_sender(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        received: &Received,
        cause: Cause,
        out: &mut Effects,
    ) -> Outcome {
        let refuted = self.hasty_takeover_refuted_by(now, received.source, policy);
        let refuted = refuted.map(|hasty| (hasty, self.distrust.on_refuted(now, policy.interval)));
        self.active_router = Some(received.source);
        self.active_lists = received.lists;
        if cause != Cause::Stalled {
            // An advertisement of a router that must not preempt would preempt.
            self.last_word(policy, received.interval, out);
        }
        let moved = self.yield_to(now, policy, received.interval, cause, out);
        refuted.map_or(Outcome::Moved(moved), |(hasty, lasts)| Outcome::Refuted(moved, hasty, lasts))
    }

    /// The takeover that made this instance Active, if it was a mistake: `source`, which was
    /// replaced and outranks us, goes on as if nothing had happened.
    fn hasty_takeover_refuted_by(
        &self,
        now: MonoTime,
        source: std::net::IpAddr,
        policy: &Policy,
    ) -> Option<HastyTakeover> {
        let within = policy.interval.period() * 5 / 4;
        self.hasty.filter(|hasty| hasty.replaced == source && now.since(self.since) <= within)
    }

    /// Priority 0: its sender serves no more, and Backups are about to take over unless they hear
    /// us (RFC 9568 §6.4.3). What follows sooner than [`RESIGNATION_ANSWER_GAP`] is answered
    /// together, at its end: a flood of forged resignations must not make us flood the LAN as well.
    /// Hosts that believed in the sender are told where the addresses are: a partition may have
    /// kept our announcements from them.
    fn answer_resignation(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        let Some(active) = self.active_mut() else { return };
        active.phase = Phase::Serving;
        if now < active.answer_resignation_after {
            // RFC9568-6.4.3-19
            active.advertise_at = active.advertise_at.min(active.answer_resignation_after);
            self.counters.immediate_adverts_suppressed += 1;
            return;
        }
        active.answer_resignation_after = now + RESIGNATION_ANSWER_GAP;
        // RFC9568-6.4.3-10
        active.advertise_at = now + policy.interval.period();
        self.advertise_and_announce(now, policy, out);
    }

    /// A losing advertisement: answer at once, so that its sender yields (RFC 9568 §6.4.3), and
    /// tell the LAN again where the addresses are. The Adver_Timer is left alone
    /// (RFC9568-6.4.3-15).
    fn answer_other_active(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        let Some(active) = self.active_mut() else { return };
        if now < active.answer_after {
            // RFC9568-6.4.3-14
            self.counters.immediate_adverts_suppressed += 1;
            // It may be the last advertisement of a router that has just heard us: hosts do not
            // wait.
            self.announce_again(now, out);
            return;
        }
        active.on_unscheduled_advert(now, policy);
        self.counters.immediate_adverts_sent += 1;
        self.advertise_and_announce(now, policy, out); // RFC9568-6.4.3-13
    }

    /// Tells routers that we are Active, and hosts again where the addresses are, as often as that
    /// may be.
    fn advertise_and_announce(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        self.advertise(policy.priority, policy.interval, policy, out);
        self.announce_again(now, out);
    }

    /// An advertisement, while the instance leaves. `was_active`: its sender was Active before.
    pub(super) fn on_advert_in_leaving(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        received: &Received,
        was_active: SenderBefore,
    ) {
        if received.lists == Lists::Foreign {
            return; // Whatever its sender serves, it does not serve our addresses.
        }
        let rank = self.rank(policy, received);
        let all_announced = self.addresses.all_announced();
        let shortened = self.rules().shortened();
        let Some(active) = self.active_mut() else { return };
        let Phase::Leaving(leaving) = &mut active.phase else { return };
        if received.priority.is_resignation() {
            leaving.on_resignation(received.source);
            return;
        }
        // The shortest interval may be the sender's own, or one of the first advertisements of
        // another router that leaves.
        let doubtful = was_active == SenderBefore::Active
            || leaving.has_repeated()
            || shortened == Some(received.said_interval);
        let evidence = if doubtful { Evidence::Doubtful } else { Evidence::Fresh };
        match rank {
            Rank::Higher | Rank::TieLost => leaving.on_advert(now, received.source, evidence),
            Rank::TieWon | Rank::Lower if leaving.has_resigned() => {
                leaving.on_advert(now, received.source, evidence);
            }
            Rank::TieWon | Rank::Lower => {} // Its sender cannot know yet that we leave.
        }
        if all_announced == Some(true) {
            leaving.on_all_announced();
        }
        if let Some(at) = leaving.next_at() {
            active.advertise_at = at;
        }
    }

    /// A message came from our own address. What we sent ourselves, a bridge has reflected
    /// (RFC9568-7.1-15). What we did not send, another machine sends in our name, to make a Backup
    /// take over beside us: the Backup hears us at once, which sets its timer again. Returns
    /// whether it was another machine's.
    pub(in crate::protocol) fn on_own_address_heard(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        received: &Received,
        out: &mut Effects,
    ) -> Impersonation {
        let State::Active(active) = &self.state else { return Impersonation::No };
        if self.sender.has_sent(received.priority, received.said_interval) {
            return Impersonation::No;
        }
        match active.phase {
            Phase::Serving => self.answer_resignation(now, policy, out),
            // It has advertised nothing yet, or asks first who else is there, or wants to be
            // replaced.
            Phase::Installing | Phase::Ready | Phase::Listening | Phase::Leaving(_) => {}
        }
        Impersonation::Yes
    }

    /// Begins to leave; the first line is said at once. An instance that has advertised nothing yet
    /// may not hold all addresses yet either: what it says would make another router drop them, so
    /// that it waits for the kernel a little.
    pub(in crate::protocol) fn leave(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        proof: Proof,
        out: &mut Effects,
    ) {
        let Some(active) = self.active_mut() else { return };
        let begins = match active.phase {
            Phase::Installing | Phase::Ready => active.advertise_at.min(now + INSTALL_WAIT_WHEN_LEAVING),
            Phase::Serving | Phase::Listening | Phase::Leaving(_) => now,
        };
        active.phase = Phase::Leaving(Leaving::new(begins, active.version, proof));
        // An announcement of ours after the successor's would turn the hosts back to us.
        active.announcements = None;
        active.advertise_at = begins;
        self.on_adver_timer(now, policy, out);
        self.addresses.watch(out);
    }

    /// What it takes to believe in a successor may change while the instance leaves.
    pub(in crate::protocol) const fn demand(&mut self, proof: Proof) {
        if let State::Active(active) = &mut self.state
            && let Some(leaving) = active.leaving_mut()
        {
            leaving.demand(proof);
        }
    }

    /// The leave came to nothing: tell at once that we are here, with the interval that Backups are
    /// to learn again. An instance that has said nothing yet, and waits for the kernel, goes on
    /// waiting.
    pub(in crate::protocol) fn cancel_leave(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        if !self.is_active() {
            return;
        }
        self.addresses.unwatch(out);
        let held = self.addresses.is_confirmed();
        let Some(active) = self.active_mut() else { return };
        let unspoken = active.leaving().is_some_and(Leaving::is_unspoken);
        if unspoken && !held {
            active.phase = Phase::Installing;
            active.advertise_at = now + claim_grace(policy.interval, active.taking);
            return;
        }
        active.phase = Phase::Serving;
        active.advertise_at = now + policy.interval.period();
        self.advertise(policy.priority, policy.interval, policy, out);
        if held {
            self.begin_announcing(now, policy, out);
        }
    }

    /// One resignation without a hand-over: the addresses are not there to be served.
    pub(in crate::protocol) fn resign(&mut self, policy: &Policy, out: &mut Effects) {
        let State::Active(active) = &self.state else { return };
        match active.phase {
            Phase::Installing | Phase::Ready => {} // No router knows of us.
            Phase::Serving | Phase::Listening | Phase::Leaving(_) => {
                self.advertise(AdvertPriority::RESIGN, policy.interval, policy, out);
            }
        }
    }

    /// The last advertisement of an Active that yields: the winner may not know that there were
    /// two, and only a losing advertisement makes it tell the hosts again where the addresses are.
    ///
    /// It carries the winner's interval: a Backup that obeys it would time out on ours, and the
    /// winner may advertise less often.
    pub(in crate::protocol) fn last_word(
        &mut self,
        policy: &Policy,
        winners: AdverInterval,
        out: &mut Effects,
    ) {
        let State::Active(active) = &self.state else { return };
        // Before our first advertisement hosts may have switched to us already.
        if active.is_serving() || active.has_announced() {
            self.advertise(policy.priority, winners, policy, out);
        }
    }

    /// Nothing could be sent for a moment, and now it can: routers are told that we are here, and
    /// hosts as well, for the switch may have forgotten where they find us.
    pub(in crate::protocol) fn advertise_after_interruption(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        out: &mut Effects,
    ) {
        let Some(active) = self.active_mut() else { return };
        match active.phase {
            Phase::Serving if now >= active.answer_after => {
                active.on_unscheduled_advert(now, policy);
                active.advertise_at = now + policy.interval.period();
                self.advertise_and_announce(now, policy, out);
            }
            // Soon enough: an interface that flaps all the time must not make us flood the LAN.
            Phase::Serving => active.advertise_at = active.advertise_at.min(active.answer_after),
            // The first advertisement, or the next, has a time of its own.
            Phase::Installing | Phase::Ready | Phase::Listening | Phase::Leaving(_) => {}
        }
    }

    /// The router that has taken over, if this instance leaves and one is believed in.
    pub(in crate::protocol) const fn successor(&self) -> Option<Successor> {
        match &self.state {
            State::Active(active) => match active.leaving() {
                Some(leaving) => leaving.successor(),
                None => None,
            },
            State::Initialize | State::Backup(_) => None,
        }
    }

    /// Whether it leaves to a router that has not announced every address since it began to.
    pub(in crate::protocol) fn leaves_hosts_behind(&self) -> bool {
        let State::Active(active) = &self.state else { return false };
        active.leaving().is_some_and(|leaving| !leaving.is_after_crash())
            && self.addresses.all_announced() == Some(false)
    }

    // RFC9568-6.4.1-2, RFC9568-6.4.1-3, RFC9568-8.1.2-3, RFC9568-8.2.2-2
    fn begin_announcing(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        let Some(active) = self.active_mut() else { return };
        let (schedule, rounds) = AnnouncementSchedule::begin(now, policy.announce);
        active.announcements = Some(schedule);
        self.announce(now, rounds, out); // RFC9568-6.4.2-11, RFC9568-6.4.2-12
    }

    /// A round of announcements may be due.
    pub(super) fn on_announce_timer(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        let Some(active) = self.active_mut().filter(|active| active.announces()) else { return };
        let due = active.announcements.as_mut().and_then(|schedule| schedule.due(now, policy.announce));
        if let Some(rounds) = due {
            self.announce(now, rounds, out);
        }
    }

    /// Our hardware address changed, so that hosts send to one that does not exist. Returns whether
    /// hosts are told.
    pub(in crate::protocol) fn on_mac_changed(
        &mut self,
        now: MonoTime,
        policy: &Policy,
        out: &mut Effects,
    ) -> HostsTold {
        match &self.state {
            State::Active(active) if active.announces() => {
                self.begin_announcing(now, policy, out);
                HostsTold::Yes
            }
            State::Active(_) | State::Backup(_) | State::Initialize => HostsTold::No,
        }
    }

    /// Somebody removed addresses and they are back: hosts may have learned something else.
    pub(in crate::protocol) fn on_addresses_restored(&mut self, now: MonoTime, out: &mut Effects) {
        if matches!(&self.state, State::Active(active) if active.announces()) {
            self.announce(now, 1, out);
        }
    }

    /// Hosts may believe another router: tell them again where the addresses are, as often as that
    /// may be.
    pub(in crate::protocol) fn announce_again(&mut self, now: MonoTime, out: &mut Effects) {
        let count = self.addresses.count();
        let Some(active) = self.active_mut().filter(|active| active.announces()) else { return };
        let due = active.announcements.as_mut().and_then(|schedule| schedule.contested(now, count));
        if let Some(rounds) = due {
            self.announce(now, rounds, out);
        }
    }

    fn announce(&mut self, now: MonoTime, rounds: u8, out: &mut Effects) {
        self.addresses.on_announce(now);
        self.counters.announcements += u64::from(rounds);
        out.push(Effect::Announce { key: self.key, rounds });
    }
}

/// Whether the sender of an advertisement was Active before that advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SenderBefore {
    Active,
    NotActive,
}

/// Whether another machine sends from our own address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum Impersonation {
    Yes,
    No,
}

/// Whether hosts were told where the addresses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::protocol) enum HostsTold {
    Yes,
    No,
}
