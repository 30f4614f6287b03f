//! RFC 9568 §6.4 for one family, with what vrrpd adds to it. The code is flat on purpose: a state,
//! its times, and what is sent.

use super::announcing::Announcing;
use super::leave::{Evidence, Leave, WithoutSuccessor};
use super::turn::{Expected, TellsOfPeers, Turn};
use crate::protocol::{AnnounceSpec, StateName};
use crate::sim::documents::{
    self, BETWEEN_ANSWERS_TO_RESIGNATION, BETWEEN_DEFENCES, CROSSING, EXPLAINS, HOSTS_FOLLOW_ANNOUNCEMENT,
    LEAVES_BEFORE_ADVERTISING, MARGIN, NOT_ANNOUNCED, OVERSLEPT, ScriptLine, TakenFrom, active_down_interval,
    first_advertisement_waits, hosts_have_switched, not_overdue, skew_time,
};
use crate::types::{AdverInterval, AdvertPriority, Authentication, InstanceKey, MonoTime, Preempt, Version};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// The settings that the operator and the checks demand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) priority: AdvertPriority,
    pub(super) preempt: Preempt,
    pub(super) interval: AdverInterval,
    pub(super) down_adverts: u32,
    pub(super) announce: AnnounceSpec,
    /// Until this time a live Active of lower priority is obeyed (`preempt_delay`).
    pub(super) preempt_after: MonoTime,
    /// How many other Backups would win the election.
    pub(super) ahead: u8,
}

impl Settings {
    pub(super) fn active_down_interval(&self, version: Version, learned: AdverInterval) -> Duration {
        active_down_interval(version, self.down_adverts, self.priority, learned)
            + self.order(version, learned)
    }

    fn skew_time(&self, version: Version, learned: AdverInterval) -> Duration {
        skew_time(version, self.priority, learned) + self.order(version, learned)
    }

    /// Those that would win the election are first in a hand-over (docs/failover.md). In VRRPv2 they are
    /// first because of their Skew_Time.
    fn order(&self, version: Version, learned: AdverInterval) -> Duration {
        match version {
            Version::V3 if learned == AdverInterval::MIN && self.interval > learned => {
                documents::order_of_backups(self.ahead)
            }
            Version::V2 | Version::V3 => Duration::ZERO,
        }
    }
}

/// What a Backup has seen of the Active that it may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Silence,
    Resignation,
    /// An Active of lower priority that is not obeyed: when it was heard last, and its interval.
    Lower(MonoTime, AdverInterval),
}

#[derive(Debug, Clone)]
pub(super) struct Backup {
    /// Active_Down_Timer. `None` means that it has fired, and the timer of the other family has not
    /// yet fired.
    pub(super) down: Option<MonoTime>,
    pub(super) learned: AdverInterval,
    pub(super) seen: Seen,
    obeyed: Option<IpAddr>,
    /// When the timer was armed by a regular advertisement.
    regular: MonoTime,
}

#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// The kernel was asked for the addresses, and nothing was sent.
    AwaitsKernel,
    /// The kernel holds the addresses, and nothing was sent.
    Holds,
    Serves,
    /// The Active overslept, and another router may rightly be Active now.
    Listens,
    Leaves(Leave),
}

#[derive(Debug, Clone)]
pub(super) struct Active {
    /// Adver_Timer, or when the next step of a leaving router is due.
    pub(super) next: MonoTime,
    pub(super) phase: Phase,
    pub(super) taken_from: TakenFrom,
    pub(super) held: bool,
    pub(super) announcing: Option<Announcing>,
    no_answer_before: MonoTime,
    no_answer_to_resignation_before: MonoTime,
    /// A lost tie that does not count yet: since when, and when it was lost last.
    tie_lost: Option<(MonoTime, MonoTime)>,
    /// Until this time the router that was displaced is expected to advertise.
    displaced_until: MonoTime,
    /// Another Active was heard whose next advertisement is not overdue before this time.
    contested_until: MonoTime,
}

#[derive(Debug, Clone)]
pub(super) enum State {
    Initialize,
    Backup(Backup),
    Active(Active),
}

/// Why the instance is Backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BackupBecause {
    /// The instance overslept as Active and steps back without an advertisement.
    Overslept,
    Other,
}

/// How hosts switch away from us: which addresses other routers have announced since we listen.
#[derive(Debug, Clone, Default)]
struct HostSwitch {
    announced: BTreeSet<IpAddr>,
    last: Option<MonoTime>,
    /// When the instance yielded. `None` means that the instance is leaving and still serves.
    yielded: Option<MonoTime>,
}

#[derive(Debug, Clone, Copy)]
struct Peer {
    address: IpAddr,
    heard: MonoTime,
    priority: AdvertPriority,
    interval: AdverInterval,
}

/// Whose addresses an advertisement lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    /// At least one of our addresses.
    Ours,
    /// None of our addresses, so the sender is a foreign router.
    Others,
}

/// An advertisement that passed the receive checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    pub(super) source: IpAddr,
    pub(super) priority: AdvertPriority,
    pub(super) said: AdverInterval,
    /// How much of `said` is believed.
    pub(super) interval: AdverInterval,
    pub(super) lists: Lists,
}

/// Whether any node of the list was heard since the router began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PeersHeard {
    Nobody,
    NobodyWasTold,
    Somebody,
}

/// What is known of the service while this family does not take part.
#[derive(Debug, Clone, Copy)]
struct Silence {
    since: MonoTime,
    interval: AdverInterval,
    stage: SilenceStage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SilenceStage {
    Listening,
    Reported,
    CannotReceive,
    CannotReceiveReported,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    Higher,
    TieLost,
    TieWon,
    Lower,
}

#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) key: InstanceKey,
    pub(super) version: Version,
    pub(super) authentication: Authentication,
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) state: State,
    pub(super) since: MonoTime,
    pub(super) because: BackupBecause,
    pub(super) source: Option<IpAddr>,
    /// The source address that the interface lost, while there is no other one.
    pub(super) former_source: Option<IpAddr>,
    /// To whom the instance sends: the group, or the other nodes in the order of the list.
    pub(super) recipients: Vec<IpAddr>,
    findings: PeersHeard,
    pub(super) believed_active: Option<IpAddr>,
    pub(super) lists: Lists,
    switch: Option<HostSwitch>,
    /// When the instance announced last. This is known only from what the core did.
    pub(super) announced: Option<MonoTime>,
    peers: Vec<Peer>,
    /// The last six different advertisements, the newest first.
    said: VecDeque<(AdvertPriority, AdverInterval)>,
    /// The router that the instance replaced because of a hasty advertisement.
    hastily_replaced: Option<IpAddr>,
    doubts_until: Option<MonoTime>,
    doublings: u32,
    silence: Silence,
    conflict: Option<MonoTime>,
    defended: Option<MonoTime>,
}

impl Instance {
    pub(super) fn new(
        key: InstanceKey,
        now: MonoTime,
        version: Version,
        authentication: Authentication,
        addresses: BTreeSet<IpAddr>,
    ) -> Self {
        Self {
            key,
            version,
            authentication,
            addresses,
            state: State::Initialize,
            since: now,
            because: BackupBecause::Other,
            source: None,
            former_source: None,
            recipients: Vec::new(),
            findings: PeersHeard::Nobody,
            believed_active: None,
            lists: Lists::Ours,
            switch: None,
            announced: None,
            peers: Vec::new(),
            said: VecDeque::new(),
            hastily_replaced: None,
            doubts_until: None,
            doublings: 0,
            silence: Silence { since: now, interval: AdverInterval::MAX, stage: SilenceStage::CannotReceive },
            conflict: None,
            defended: None,
        }
    }

    pub(super) const fn state_name(&self) -> StateName {
        match self.state {
            State::Initialize => StateName::Initialize,
            State::Backup(_) => StateName::Backup,
            State::Active(_) => StateName::Active,
        }
    }

    pub(super) const fn is_active(&self) -> bool {
        matches!(self.state, State::Active(_))
    }

    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.state, State::Initialize)
    }

    pub(super) const fn awaits_kernel(&self) -> bool {
        matches!(self.state, State::Active(Active { phase: Phase::AwaitsKernel, .. }))
    }

    /// Whether the timer of this family has fired, so that the other family decides.
    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.state, State::Backup(Backup { down: None, .. }))
    }

    fn doubts(&self, now: MonoTime) -> bool {
        self.doubts_until.is_some_and(|until| now < until)
    }

    fn peer(&self, address: IpAddr) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.address == address)
    }

    fn enter(&mut self, now: MonoTime, state: State) {
        self.state = state;
        self.since = now;
        self.because = BackupBecause::Other;
    }

    pub(super) fn set_source(&mut self, source: Option<IpAddr>) {
        if self.is_active() && self.believed_active == self.source {
            self.believed_active = source;
        }
        if source.is_some() {
            self.former_source = None;
        } else if self.source.is_some() {
            self.former_source = self.source;
        }
        self.source = source;
    }

    // Effects.

    fn advertise(&mut self, priority: AdvertPriority, interval: AdverInterval, turn: &mut Turn<'_>) {
        let Some(source) = self.source.filter(|_| !self.recipients.is_empty()) else { return };
        let sent = (priority, interval);
        self.said.retain(|said| *said != sent);
        self.said.push_front(sent);
        self.said.truncate(6);
        let Self { version, authentication, .. } = *self;
        for destination in self.recipients.iter().copied() {
            let sent =
                Expected::Advertise { version, source, destination, priority, interval, authentication };
            turn.expect(self.key, sent);
        }
    }

    fn watch(&mut self, turn: &mut Turn<'_>) {
        if self.switch.is_none() {
            self.switch = Some(HostSwitch::default());
            turn.expect(self.key, Expected::Watch);
        }
    }

    pub(super) fn ignore(&mut self, turn: &mut Turn<'_>) {
        if self.switch.take().is_some() {
            turn.expect(self.key, Expected::Ignore);
        }
    }

    fn hold(&mut self, turn: &mut Turn<'_>) {
        self.ignore(turn);
        turn.expect(self.key, Expected::Hold);
    }

    pub(super) fn release(&mut self, turn: &mut Turn<'_>) {
        self.ignore(turn);
        turn.expect(self.key, Expected::Release);
    }

    fn announce(&mut self, turn: &mut Turn<'_>) {
        turn.expect(self.key, Expected::Announce);
    }

    pub(super) fn begin_announcing(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        let State::Active(active) = &mut self.state else { return };
        active.announcing = Some(Announcing::begin(turn.now, settings.announce));
        self.announce(turn);
    }

    /// Whether the instance announces the addresses to hosts.
    pub(super) const fn announces(&self) -> bool {
        match &self.state {
            State::Active(Active { phase: Phase::Listens, .. }) => false,
            State::Active(active) => active.announcing.is_some(),
            State::Initialize | State::Backup(_) => false,
        }
    }

    fn contest(&mut self, turn: &mut Turn<'_>) {
        let addresses = self.addresses.len();
        if !self.announces() {
            return;
        }
        let State::Active(Active { announcing: Some(announcing), .. }) = &mut self.state else { return };
        if announcing.contest(turn.now, addresses) {
            self.announce(turn);
        }
    }

    /// Another program removed addresses, and they are installed again.
    pub(super) fn on_restored(&mut self, turn: &mut Turn<'_>) {
        if self.announces() {
            self.announce(turn);
        }
    }

    // Transitions.

    /// Initialize to Backup (RFC 9568 §6.4.1).
    pub(super) fn start(&mut self, settings: &Settings, turn: &Turn<'_>) {
        self.lists = Lists::Ours;
        self.enter_backup(settings, settings.interval, turn);
    }

    fn enter_backup(&mut self, settings: &Settings, learned: AdverInterval, turn: &Turn<'_>) {
        let learned = if self.doubts(turn.now) { learned.max(settings.interval) } else { learned };
        let backup = Backup {
            down: Some(turn.now + settings.active_down_interval(self.version, learned)),
            learned,
            seen: Seen::Silence,
            obeyed: self.believed_active,
            regular: turn.now,
        };
        self.enter(turn.now, State::Backup(backup));
    }

    /// The instance becomes Active: the kernel is asked first (docs/adr/0004).
    pub(super) fn take_over(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        let now = turn.now;
        // After a reload, too: in VRRPv2 others advertise as often as we do (RFC 3768 §7.1), and no interval
        // is believed that is far longer than ours (docs/adr/0019).
        let on_time = |heard, interval| {
            now.since(heard) <= not_overdue(documents::believed(self.version, interval, settings.interval))
        };
        let served = |peer: &Peer| !peer.priority.is_resignation() && on_time(peer.heard, peer.interval);
        let from = match &self.state {
            State::Initialize => TakenFrom::Resigned,
            State::Backup(backup) => match backup.seen {
                Seen::Lower(heard, interval) if on_time(heard, interval) => TakenFrom::Live,
                Seen::Resignation => TakenFrom::Resigned,
                Seen::Lower(..) | Seen::Silence if self.peers.iter().any(served) => TakenFrom::Live,
                Seen::Lower(..) | Seen::Silence => TakenFrom::Nobody,
            },
            State::Active(_) => TakenFrom::Nobody,
        };
        self.hastily_replaced = match &self.state {
            State::Backup(backup) => {
                let hasty = match backup.seen {
                    Seen::Resignation => true,
                    Seen::Silence => backup.learned < settings.interval,
                    Seen::Lower(..) => false,
                };
                backup.obeyed.filter(|obeyed| hasty && self.peer(*obeyed).is_some())
            }
            State::Initialize | State::Active(_) => None,
        };
        self.conflict = None;
        self.hold(turn);
        self.believed_active = self.source;
        let active = Active {
            next: now + first_advertisement_waits(from, settings.interval),
            phase: Phase::AwaitsKernel,
            taken_from: from,
            held: false,
            announcing: None,
            no_answer_before: now,
            no_answer_to_resignation_before: now,
            tie_lost: None,
            displaced_until: now,
            contested_until: now,
        };
        self.enter(now, State::Active(active));
    }

    /// A run crashed as Active: the next run begins as that Active, and leaves (docs/adr/0014).
    pub(super) fn begin_as_crashed_run(&mut self, turn: &mut Turn<'_>) {
        self.watch(turn);
        let now = turn.now;
        let active = Active {
            next: now,
            phase: Phase::Leaves(Leave::of_crashed_run(now, self.version)),
            taken_from: TakenFrom::Nobody,
            held: true,
            announcing: None,
            no_answer_before: now,
            no_answer_to_resignation_before: now,
            tie_lost: None,
            displaced_until: now,
            contested_until: now,
        };
        self.enter(now, State::Active(active));
    }

    pub(super) fn let_go(&mut self, turn: &mut Turn<'_>) {
        self.release(turn);
        self.believed_active = match &self.state {
            State::Active(Active { phase: Phase::Leaves(leave), .. }) => {
                leave.successor().map(|(who, _)| who)
            }
            State::Active(_) | State::Backup(_) | State::Initialize => None,
        };
        self.enter(turn.now, State::Initialize);
    }

    pub(super) fn stop_backup(&mut self, turn: &Turn<'_>) {
        if let State::Backup(_) = self.state {
            self.enter(turn.now, State::Initialize);
        }
    }

    /// From Active to Backup. Announced addresses are kept until hosts have switched
    /// (docs/adr/0016).
    fn yield_to(
        &mut self,
        settings: &Settings,
        learned: AdverInterval,
        because: BackupBecause,
        turn: &mut Turn<'_>,
    ) {
        if matches!(&self.state, State::Active(active) if active.announcing.is_some()) {
            self.watch(turn);
            if let Some(switch) = &mut self.switch {
                switch.yielded = Some(turn.now);
            }
        } else {
            self.release(turn);
        }
        self.enter_backup(settings, learned, turn);
        self.because = because;
    }

    /// This family yields because the other family yielded.
    pub(super) fn follow(
        &mut self,
        settings: &Settings,
        learned: AdverInterval,
        because: BackupBecause,
        turn: &mut Turn<'_>,
    ) {
        if !self.is_active() {
            return;
        }
        self.believed_active = None;
        // Nothing is learned in VRRPv2, and messages with another interval are discarded (RFC 3768
        // §7.1): the interval that the other family has learned means nothing here.
        let learned = match self.version {
            Version::V2 => settings.interval,
            Version::V3 => learned,
        };
        if because == BackupBecause::Other {
            self.send_last_advertisement(settings, learned, turn);
        }
        self.yield_to(settings, learned, BackupBecause::Other, turn);
        self.lists = Lists::Ours;
    }

    /// The last advertisement of an Active that yields, with the interval of the winner
    /// (docs/adr/0004).
    fn send_last_advertisement(&mut self, settings: &Settings, winners: AdverInterval, turn: &mut Turn<'_>) {
        let State::Active(active) = &self.state else { return };
        if matches!(active.phase, Phase::Serves) || active.announcing.is_some() {
            self.advertise(settings.priority, winners, turn);
        }
    }

    // Leaving.

    pub(super) fn leave(
        &mut self,
        settings: &Settings,
        without_successor: WithoutSuccessor,
        turn: &mut Turn<'_>,
    ) {
        let State::Active(active) = &mut self.state else { return };
        let began = match active.phase {
            Phase::AwaitsKernel | Phase::Holds => active.next.min(turn.now + LEAVES_BEFORE_ADVERTISING),
            Phase::Serves | Phase::Listens | Phase::Leaves(_) => turn.now,
        };
        active.phase = Phase::Leaves(Leave::new(began, self.version, without_successor));
        active.announcing = None;
        active.next = began;
        if began <= turn.now {
            self.on_leaving_timer(settings, turn);
        }
        self.watch(turn);
    }

    pub(super) const fn leaving(&self) -> Option<&Leave> {
        match &self.state {
            State::Active(Active { phase: Phase::Leaves(leave), .. }) => Some(leave),
            State::Active(_) | State::Backup(_) | State::Initialize => None,
        }
    }

    pub(super) const fn set_without_successor(&mut self, without_successor: WithoutSuccessor) {
        if let State::Active(Active { phase: Phase::Leaves(leave), .. }) = &mut self.state {
            leave.set_without_successor(without_successor);
        }
    }

    /// No router took over: the instance advertises at once that it is still Active.
    pub(super) fn cancel_leave(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        if !self.is_active() {
            return;
        }
        self.ignore(turn);
        let State::Active(active) = &mut self.state else { return };
        let unsent = matches!(&active.phase, Phase::Leaves(leave) if leave.has_sent_nothing());
        if unsent && !active.held {
            active.phase = Phase::AwaitsKernel;
            active.next = turn.now + first_advertisement_waits(active.taken_from, settings.interval);
            return;
        }
        let held = active.held;
        active.phase = Phase::Serves;
        active.next = turn.now + settings.interval.period();
        self.advertise(settings.priority, settings.interval, turn);
        if held {
            self.begin_announcing(settings, turn);
        }
    }

    /// Sends one resignation; an instance that has not advertised yet does not need one.
    pub(super) fn resign(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        let State::Active(active) = &self.state else { return };
        match active.phase {
            Phase::AwaitsKernel | Phase::Holds => {}
            Phase::Serves | Phase::Listens | Phase::Leaves(_) => {
                self.advertise(AdvertPriority::RESIGN, settings.interval, turn);
            }
        }
    }

    fn on_leaving_timer(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        let State::Active(Active { phase: Phase::Leaves(leave), next, .. }) = &mut self.state else { return };
        let line = leave.next_line(turn.now);
        // When every line of the script was sent, the instance has nothing to do.
        *next = leave.next().unwrap_or(turn.now + settings.interval.period().max(Duration::from_secs(1)));
        match line {
            Some(ScriptLine::Shorten) => {
                // A reload may have changed the version since: VRRPv2 has nothing to shorten.
                let interval = match self.version {
                    Version::V2 => settings.interval,
                    Version::V3 => AdverInterval::MIN,
                };
                self.advertise(settings.priority, interval, turn);
            }
            Some(ScriptLine::Resign) => self.advertise(AdvertPriority::RESIGN, settings.interval, turn),
            None => {}
        }
    }

    // What hosts do about the addresses.

    pub(super) const fn is_watching(&self) -> bool {
        self.switch.is_some()
    }

    /// Whether the instance has yielded and keeps the addresses for a moment.
    pub(super) fn retains(&self) -> bool {
        self.switch.as_ref().is_some_and(|switch| switch.yielded.is_some())
    }

    fn all_announced(&self) -> bool {
        self.switch.as_ref().is_some_and(|switch| switch.announced.len() >= self.addresses.len())
    }

    /// When hosts have switched to a router that serves since `served`.
    pub(super) fn switched_at(&self, served: MonoTime) -> MonoTime {
        let Some(switch) = &self.switch else { return served };
        match switch.last.filter(|_| self.all_announced()) {
            Some(last) => last.max(served) + hosts_have_switched(self.key.family),
            None => served + NOT_ANNOUNCED,
        }
    }

    fn retained_until(&self) -> Option<MonoTime> {
        let yielded = self.switch.as_ref()?.yielded?;
        Some(self.switched_at(yielded))
    }

    /// Whether the instance leaves to a router that has not announced every address.
    pub(super) fn leaves_hosts_behind(&self) -> bool {
        self.leaving().is_some_and(|leave| !leave.is_of_crashed_run())
            && self.is_watching()
            && !self.all_announced()
    }

    /// Another station announced one of our addresses.
    pub(super) fn on_announced(&mut self, address: IpAddr, now: MonoTime) {
        let crossed = self.announced.is_some_and(|ours| now < ours + CROSSING);
        if !crossed {
            if let Some(switch) = &mut self.switch
                && switch.announced.insert(address)
            {
                switch.last = Some(now);
            }
            let complete = self.all_announced();
            if let State::Active(Active { phase: Phase::Leaves(leave), .. }) = &mut self.state
                && complete
            {
                leave.on_all_announced();
            }
        }
        if let State::Active(active) = &self.state
            && matches!(active.phase, Phase::Serves)
            && now >= active.displaced_until
            && self.conflict.is_none()
        {
            self.conflict = Some(now);
        }
    }

    fn conflict_at(&self, settings: &Settings) -> Option<MonoTime> {
        let serves = matches!(self.state, State::Active(Active { phase: Phase::Serves, .. }));
        self.conflict.filter(|_| serves).map(|seen| seen + settings.interval.period() * settings.down_adverts)
    }

    /// Reacts to an announcement that no advertisement explains (docs/adr/0025).
    pub(super) fn judge_conflict(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        if self.conflict_at(settings).is_none_or(|at| at > turn.now) {
            return;
        }
        let Some(seen) = self.conflict.take() else { return };
        let latest = self.peers.first().map(|peer| peer.heard);
        if latest.is_some_and(|heard| heard + EXPLAINS >= seen) {
            return;
        }
        if self.defended.is_none_or(|last| turn.now.since(last) >= BETWEEN_DEFENCES) {
            self.defended = Some(turn.now);
            self.contest(turn);
        }
    }

    // What the kernel answers.

    pub(super) fn on_held(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        let State::Active(active) = &mut self.state else { return };
        active.held = true;
        match active.phase {
            Phase::AwaitsKernel => active.phase = Phase::Holds,
            Phase::Serves | Phase::Listens => self.begin_announcing(settings, turn),
            Phase::Holds | Phase::Leaves(_) => {}
        }
    }

    /// All families hold their addresses: the first advertisement is sent, or the announcement that
    /// comes before it.
    pub(super) fn on_all_held(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        let State::Active(active) = &mut self.state else { return };
        if !matches!(active.phase, Phase::Holds) || active.announcing.is_some() {
            return;
        }
        match active.taken_from {
            TakenFrom::Live => {
                active.next = turn.now + HOSTS_FOLLOW_ANNOUNCEMENT;
                self.begin_announcing(settings, turn);
            }
            TakenFrom::Nobody | TakenFrom::Resigned => self.send_first_advertisement(settings, turn),
        }
    }

    fn send_first_advertisement(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        let State::Active(active) = &mut self.state else { return };
        let next = turn.now + settings.interval.period();
        active.phase = Phase::Serves;
        active.next = next;
        if active.taken_from == TakenFrom::Live {
            active.displaced_until = next;
        }
        let announces = active.announcing.is_some();
        self.advertise(settings.priority, settings.interval, turn);
        if !announces {
            self.begin_announcing(settings, turn);
        }
    }

    // Timers.

    pub(super) fn on_deadline(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        if self.retained_until().is_some_and(|at| at <= turn.now) {
            self.release(turn);
        }
        match &self.state {
            State::Initialize => {}
            State::Backup(_) => self.on_active_down_timer(settings, turn.now),
            State::Active(active) => {
                let began_before = active.announcing.is_some();
                if active.next <= turn.now {
                    self.on_adver_timer(settings, turn);
                }
                if began_before {
                    self.announce_what_is_due(settings, turn);
                }
            }
        }
    }

    fn on_active_down_timer(&mut self, settings: &Settings, now: MonoTime) {
        let State::Backup(backup) = &mut self.state else { return };
        let Some(at) = backup.down.filter(|at| *at <= now) else { return };
        let period = backup.learned.period();
        // A Backup that was not run has not listened: a living Active is heard within one interval.
        backup.down = (now.since(at) > period.max(OVERSLEPT))
            .then(|| now + period + settings.skew_time(self.version, backup.learned));
    }

    fn overslept(version: Version, active: &Active, settings: &Settings, now: MonoTime) -> bool {
        now.since(active.next) > settings.active_down_interval(version, settings.interval)
    }

    /// Adver_Timer (RFC 9568 §6.4.3), or the timer that replaces it before the first advertisement
    /// and while leaving.
    fn on_adver_timer(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        let now = turn.now;
        let State::Active(active) = &mut self.state else { return };
        let period = settings.interval.period();
        match active.phase {
            Phase::Holds => self.send_first_advertisement(settings, turn),
            Phase::AwaitsKernel | Phase::Listens => {
                active.phase = Phase::Serves;
                active.next = now + period;
                self.advertise(settings.priority, settings.interval, turn);
            }
            Phase::Leaves(_) => self.on_leaving_timer(settings, turn),
            Phase::Serves => {
                // Within the window the instance advertises if it wakes for another reason, and at
                // the end of the window in any case.
                let at = active.next;
                let must = at + documents::may_be_late(settings.interval) <= now;
                let woke = match self.source {
                    Some(_) => turn.observed_advertisement(self.key, settings.priority, settings.interval),
                    // Without a source address nothing is sent: the timer of the instance shows
                    // that it woke.
                    None => turn.observed_timer(self.key).is_none_or(|next| next > at),
                };
                if !must && !woke {
                    return;
                }
                if settings.preempt == Preempt::Forbid && Self::overslept(self.version, active, settings, now)
                {
                    active.phase = Phase::Listens;
                    active.next = now + period;
                    return;
                }
                // The next deadline is counted from the last deadline, so that the period does not
                // drift.
                active.next = if at + period > now { at + period } else { now + period };
                let contested = now < active.contested_until;
                self.advertise(settings.priority, settings.interval, turn);
                if contested {
                    self.contest(turn);
                }
            }
        }
    }

    /// Sends one round that is due. A round may be as late as an advertisement.
    fn announce_what_is_due(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        if !self.announces() {
            return;
        }
        let State::Active(Active { announcing: Some(announcing), .. }) = &mut self.state else { return };
        let next = announcing.next();
        let must = next.is_some_and(|at| at + documents::may_be_late(settings.interval) <= turn.now);
        if (must || turn.observes_more_rounds(self.key)) && announcing.take_due(turn.now, settings.announce) {
            self.announce(turn);
        }
    }

    /// The next timer of the state (RFC 9568 §6.2), without the time by which it may be late.
    pub(super) fn next_timer(&self) -> Option<MonoTime> {
        match &self.state {
            State::Initialize => None,
            State::Backup(backup) => backup.down,
            State::Active(active) => {
                let announcing = active.announcing.as_ref().filter(|_| self.announces());
                let round = announcing.and_then(|it| it.next());
                Some(round.map_or(active.next, |round| round.min(active.next)))
            }
        }
    }

    /// Active_Adver_Interval: the interval that a Backup has learned, else our own interval.
    pub(super) fn learned(&self, settings: &Settings) -> AdverInterval {
        match &self.state {
            State::Backup(backup) => backup.learned,
            State::Initialize | State::Active(_) => settings.interval,
        }
    }

    /// The latest moment at which the instance must have acted.
    pub(super) fn due(&self, settings: &Settings) -> Option<MonoTime> {
        let late = documents::may_be_late(settings.interval);
        let timers = match &self.state {
            State::Initialize => [None, None],
            State::Backup(backup) => [backup.down, None],
            State::Active(active) => {
                let slack = if matches!(active.phase, Phase::Serves) { late } else { Duration::ZERO };
                let announcing = active.announcing.as_ref().filter(|_| self.announces());
                let round = announcing.and_then(|it| it.next()).map(|at| at + late);
                [Some(active.next + slack), round]
            }
        };
        let timers = timers.into_iter().flatten();
        timers.chain(self.retained_until()).chain(self.conflict_at(settings)).min()
    }

    // Receiving.

    fn note_peer(&mut self, now: MonoTime, heard: &Heard) {
        self.peers.retain(|peer| peer.address != heard.source);
        let Heard { source: address, priority, said: interval, .. } = *heard;
        self.peers.insert(0, Peer { address, heard: now, priority, interval });
        self.peers.truncate(self.recipients.len().max(8));
    }

    fn rank(&self, settings: &Settings, heard: &Heard) -> Rank {
        if heard.priority > settings.priority {
            Rank::Higher
        } else if heard.priority < settings.priority {
            Rank::Lower
        } else if Some(heard.source) > self.source.or(self.former_source) {
            Rank::TieLost
        } else {
            Rank::TieWon
        }
    }

    /// `tie_waits`: how long a lost tie must stand until it counts (docs/adr/0003).
    pub(super) fn on_advert(
        &mut self,
        settings: &Settings,
        heard: &Heard,
        tie_waits: Option<Duration>,
        turn: &mut Turn<'_>,
    ) {
        let now = turn.now;
        let was_active = self.peer(heard.source).is_some_and(|peer| {
            !peer.priority.is_resignation() && now.since(peer.heard) <= peer.interval.period() * 2
        });
        self.note_peer(now, heard);
        let doubts = self.doubts(now);
        match &mut self.state {
            State::Initialize => {
                self.believed_active = (!heard.priority.is_resignation()).then_some(heard.source);
            }
            State::Backup(backup) => {
                if heard.priority.is_resignation() {
                    backup.on_resignation(self.version, settings, doubts, now);
                    if self.believed_active == Some(heard.source) {
                        self.believed_active = None;
                    }
                    return;
                }
                self.believed_active = Some(heard.source);
                if backup.on_advert(self.version, settings, heard, doubts, now) {
                    self.lists = heard.lists;
                }
            }
            State::Active(Active { phase: Phase::Leaves(_), .. }) => {
                self.on_advert_while_leaving(settings, heard, was_active, now);
            }
            State::Active(_) => self.on_advert_as_active(settings, heard, tie_waits, turn),
        }
    }

    fn on_advert_as_active(
        &mut self,
        settings: &Settings,
        heard: &Heard,
        tie_waits: Option<Duration>,
        turn: &mut Turn<'_>,
    ) {
        let now = turn.now;
        match self.version {
            // An owner that serves discards what others advertise (RFC 3768 §7.1). Hosts are told all the
            // same, because they may believe the other router (docs/adr/0043).
            Version::V2 if settings.priority == AdvertPriority::OWNER => {
                let State::Active(active) = &mut self.state else { return };
                if heard.priority.get() == 255 || !matches!(active.phase, Phase::Serves) {
                    return;
                }
                if !heard.priority.is_resignation() && now >= active.displaced_until {
                    active.contested_until = now + not_overdue(heard.interval);
                }
                return self.contest(turn);
            }
            Version::V2 | Version::V3 => {}
        }
        let rank = self.rank(settings, heard);
        let State::Active(active) = &mut self.state else { return };
        if heard.priority.is_resignation() {
            match active.phase {
                Phase::AwaitsKernel | Phase::Holds => {
                    let soon = now + first_advertisement_waits(TakenFrom::Resigned, settings.interval);
                    active.next = active.next.min(soon);
                }
                Phase::Serves | Phase::Listens | Phase::Leaves(_) => self.answer_resignation(settings, turn),
            }
            return;
        }
        if matches!(active.phase, Phase::Serves)
            && settings.preempt == Preempt::Forbid
            && Self::overslept(self.version, active, settings, now)
        {
            active.phase = Phase::Listens;
            active.next = now + settings.interval.period();
        }
        let listens = matches!(active.phase, Phase::Listens);
        let because = match rank {
            Rank::Higher => Some(BackupBecause::Other),
            Rank::TieLost if active.tie_counts(now, tie_waits, heard.interval) => Some(BackupBecause::Other),
            Rank::TieLost | Rank::TieWon | Rank::Lower => listens.then_some(BackupBecause::Overslept),
        };
        if let Some(because) = because {
            self.refute(settings, heard.source, now);
            self.believed_active = Some(heard.source);
            self.lists = heard.lists;
            if because == BackupBecause::Other {
                self.send_last_advertisement(settings, heard.interval, turn);
            }
            self.yield_to(settings, heard.interval, because, turn);
            return;
        }
        match active.phase {
            Phase::AwaitsKernel | Phase::Holds => {}
            Phase::Serves | Phase::Listens | Phase::Leaves(_) => {
                if now >= active.displaced_until {
                    active.contested_until = now + not_overdue(heard.interval);
                }
                self.answer_other_active(settings, turn);
            }
        }
    }

    /// The Active that was replaced hastily is still there: from now on such advertisements are
    /// doubted (docs/adr/0019).
    fn refute(&mut self, settings: &Settings, source: IpAddr, now: MonoTime) {
        let in_time = now.since(self.since) <= documents::refutes_within(settings.interval);
        if !in_time || self.hastily_replaced != Some(source) {
            return;
        }
        let again = self
            .doubts_until
            .is_some_and(|until| now < until + documents::doubted_for(settings.interval, self.doublings));
        self.doublings = if again { (self.doublings + 1).min(6) } else { 0 };
        self.doubts_until = Some(now + documents::doubted_for(settings.interval, self.doublings));
    }

    fn answer_resignation(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        let State::Active(active) = &mut self.state else { return };
        active.phase = Phase::Serves;
        let allowed = active.no_answer_to_resignation_before;
        if turn.now < allowed {
            active.next = active.next.min(allowed);
            return;
        }
        active.no_answer_to_resignation_before = turn.now + BETWEEN_ANSWERS_TO_RESIGNATION;
        active.next = turn.now + settings.interval.period();
        self.advertise(settings.priority, settings.interval, turn);
        self.contest(turn);
    }

    fn answer_other_active(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        let State::Active(active) = &mut self.state else { return };
        if turn.now >= active.no_answer_before {
            active.no_answer_before = turn.now + documents::between_answers(settings.interval);
            self.advertise(settings.priority, settings.interval, turn);
        }
        self.contest(turn);
    }

    fn on_advert_while_leaving(
        &mut self,
        settings: &Settings,
        heard: &Heard,
        was_active: bool,
        now: MonoTime,
    ) {
        if heard.lists == Lists::Others {
            return;
        }
        let rank = self.rank(settings, heard);
        let complete = self.all_announced();
        let State::Active(Active { phase: Phase::Leaves(leave), next, .. }) = &mut self.state else { return };
        if heard.priority.is_resignation() {
            leave.on_resignation(heard.source);
            return;
        }
        let old = was_active
            || leave.has_shortened_again()
            || self.version == Version::V3 && heard.said == AdverInterval::MIN;
        let evidence = if old { Evidence::MayBeOld } else { Evidence::New };
        let knows_that_we_leave = match rank {
            Rank::Higher | Rank::TieLost => true,
            Rank::TieWon | Rank::Lower => leave.has_resigned(),
        };
        if knows_that_we_leave {
            leave.on_advert(now, heard.source, evidence);
        }
        if complete {
            leave.on_all_announced();
        }
        if let Some(at) = leave.next() {
            *next = at;
        }
    }

    /// A message arrives from our own address. If we did not send it, another station sends in our
    /// name, and a serving Active advertises at once (docs/adr/0019).
    pub(super) fn on_own(&mut self, settings: &Settings, heard: &Heard, turn: &mut Turn<'_>) {
        let serves = matches!(self.state, State::Active(Active { phase: Phase::Serves, .. }));
        if serves && !self.said.contains(&(heard.priority, heard.said)) {
            self.answer_resignation(settings, turn);
        }
    }

    // Changes from outside.

    /// Our priority fell: an advertisement that was discarded may be obeyed after all.
    pub(super) fn on_lowered(&mut self, settings: &Settings) {
        let believed = self.believed_active.and_then(|active| self.peer(active)).map(|peer| peer.priority);
        let State::Backup(backup) = &mut self.state else { return };
        let Seen::Lower(heard, interval) = backup.seen else { return };
        if believed.is_none_or(|priority| priority < settings.priority) {
            return;
        }
        let down = heard + settings.active_down_interval(self.version, interval);
        backup.down = Some(backup.down.map_or(down, |at| at.max(down)));
        backup.learned = interval;
        backup.seen = Seen::Silence;
    }

    /// A reload: a shorter interval takes effect at once.
    pub(super) fn reconfigure(&mut self, settings: &Settings, now: MonoTime) {
        if let State::Active(active) = &mut self.state
            && !matches!(active.phase, Phase::Leaves(_))
        {
            active.next = active.next.min(now + settings.interval.period());
        }
    }

    /// A reload: other addresses are held, without a transition.
    pub(super) fn on_addresses_changed(&mut self, addresses: BTreeSet<IpAddr>, turn: &mut Turn<'_>) {
        self.addresses = addresses;
        if self.is_active() {
            let leaves = self.leaving().is_some();
            self.hold(turn);
            if leaves {
                self.watch(turn);
            }
        }
    }

    /// The interruption is over (docs/failover.md, "The network of the Active is away for a
    /// moment").
    pub(super) fn resume(&mut self, settings: &Settings, could_hear: bool, turn: &mut Turn<'_>) {
        let now = turn.now;
        match &mut self.state {
            State::Initialize => {}
            State::Backup(backup) => {
                let skew = settings.skew_time(self.version, backup.learned);
                let soon = now + backup.learned.period() + skew;
                backup.down = Some(match (backup.down, could_hear) {
                    (Some(at), true) => at,
                    (None, true) => now,
                    (Some(at), false) => at.max(soon),
                    (None, false) => soon,
                });
            }
            State::Active(active) => match active.phase {
                Phase::Serves if now >= active.no_answer_before => {
                    active.no_answer_before = now + documents::between_answers(settings.interval);
                    active.next = now + settings.interval.period();
                    self.advertise(settings.priority, settings.interval, turn);
                    self.contest(turn);
                }
                Phase::Serves => active.next = active.next.min(active.no_answer_before),
                Phase::AwaitsKernel | Phase::Holds | Phase::Listens | Phase::Leaves(_) => {}
            },
        }
    }

    // Which router is reported as the Active (docs/adr/0019).

    /// After each input: an Active that is given a list, and has not heard any node of it since it
    /// began, says so once after three Active_Down_Intervals, and says when that ends
    /// (docs/operations.md, docs/adr/0042).
    pub(super) fn tell_of_peers(&mut self, settings: &Settings, turn: &mut Turn<'_>) {
        if let Some(last) = self.peers.first() {
            let before = std::mem::replace(&mut self.findings, PeersHeard::Somebody);
            if before == PeersHeard::NobodyWasTold {
                turn.tell(self.key, TellsOfPeers::Heard(last.address));
            }
            return;
        }
        // A node that overslept may be given something else first that concerns no router. It is told at
        // the first input that does, at the latest at the deadline that is due already.
        let due = self.no_peer_is_told_at(settings).is_some_and(|at| at <= turn.now);
        if due && turn.observes_telling(self.key) {
            self.findings = PeersHeard::NobodyWasTold;
            turn.tell(self.key, TellsOfPeers::NobodyHeard(self.recipients.clone()));
        }
    }

    /// When an Active that goes on hearing nobody says so.
    pub(super) fn no_peer_is_told_at(&self, settings: &Settings) -> Option<MonoTime> {
        let lists = self.recipients.iter().any(|recipient| !recipient.is_multicast());
        let waits = lists && self.peers.is_empty() && self.findings == PeersHeard::Nobody;
        let down =
            active_down_interval(self.version, settings.down_adverts, settings.priority, settings.interval);
        (waits && self.is_active()).then(|| self.since + down * 3)
    }

    pub(super) fn hear_service(&mut self, settings: &Settings, heard: &Heard, now: MonoTime) {
        if !heard.priority.is_resignation() && heard.lists == Lists::Ours {
            let interval = heard.interval.max(settings.interval);
            self.silence = Silence { since: now, interval, stage: SilenceStage::Listening };
        }
    }

    /// After each input: a router that is not heard is not reported as the Active.
    pub(super) fn forget_silent_active(&mut self, settings: &Settings, cannot_receive: bool, now: MonoTime) {
        if self.is_active() {
            self.silence =
                Silence { since: now, interval: settings.interval, stage: SilenceStage::Listening };
            return;
        }
        let stage = self.silence.stage;
        match (stage, cannot_receive) {
            (SilenceStage::Listening | SilenceStage::Reported, true) => {
                self.believed_active = None;
                let reported = stage == SilenceStage::Reported;
                self.silence.stage =
                    if reported { SilenceStage::CannotReceiveReported } else { SilenceStage::CannotReceive };
            }
            (SilenceStage::CannotReceive, false) => {
                self.silence =
                    Silence { since: now, interval: settings.interval, stage: SilenceStage::Listening };
            }
            (SilenceStage::CannotReceiveReported, false) => self.silence.stage = SilenceStage::Reported,
            (SilenceStage::Listening | SilenceStage::Reported, false)
            | (SilenceStage::CannotReceive | SilenceStage::CannotReceiveReported, true) => {}
        }
        let stands_by = self.is_idle() || self.is_ready();
        let interval = self.silence.interval;
        let ends = self.silence.since
            + active_down_interval(self.version, settings.down_adverts, AdvertPriority::LOWEST, interval)
            + MARGIN;
        if !stands_by || self.silence.stage != SilenceStage::Listening || ends > now {
            return;
        }
        if now.since(ends) > interval.period().max(OVERSLEPT) {
            self.silence.since = now;
            return;
        }
        self.believed_active = None;
        self.silence.stage = SilenceStage::Reported;
    }
}

impl Backup {
    fn on_resignation(&mut self, version: Version, settings: &Settings, doubts: bool, now: MonoTime) {
        if let Some(at) = self.down {
            let skew = now + settings.skew_time(version, self.learned);
            let due = if doubts { skew.max(self.overdue(version, settings)) } else { skew };
            // The timer never gets longer than the time that it has left.
            self.down = Some(at.min(due));
        }
        self.seen = Seen::Resignation;
    }

    /// Returns whether the Backup obeys the advertisement.
    fn on_advert(
        &mut self,
        version: Version,
        settings: &Settings,
        heard: &Heard,
        doubts: bool,
        now: MonoTime,
    ) -> bool {
        let may_preempt = settings.preempt == Preempt::Allow && now >= settings.preempt_after;
        if heard.priority < settings.priority && may_preempt {
            self.seen = Seen::Lower(now, heard.interval);
            return false;
        }
        self.obeyed = Some(heard.source);
        self.regular = now;
        self.seen = Seen::Silence;
        if doubts && heard.interval < settings.interval {
            self.learned = settings.interval;
            self.down = Some(self.overdue(version, settings));
        } else {
            self.learned = heard.interval;
            self.down = Some(now + settings.active_down_interval(version, heard.interval));
        }
        true
    }

    fn overdue(&self, version: Version, settings: &Settings) -> MonoTime {
        self.regular
            + settings.interval.period()
            + documents::overdue_by(settings.interval)
            + settings.skew_time(version, AdverInterval::MIN)
    }
}

impl Active {
    fn tie_counts(&mut self, now: MonoTime, waits: Option<Duration>, theirs: AdverInterval) -> bool {
        let Some(waits) = waits else { return true };
        let lapses = waits.max(theirs.period() * 3);
        let since = match self.tie_lost {
            Some((since, last)) if now.since(last) < lapses => since,
            Some(_) | None => now,
        };
        self.tie_lost = Some((since, now));
        now.since(since) >= waits
    }
}
