//! Other people's routers: small, by the book, and with habits that are not ours.
//!
//! [`PeerInstance`] is RFC 9568 §6.4 for one virtual router, written from the text and not from
//! `protocol`, so that it is a second opinion as well as a neighbour.

use super::packet::Packet;
use crate::types::{AdverInterval, AdvertPriority, MonoTime, Preempt};
use crate::wire::{Advertisement, ChecksumFlavour};
use std::net::IpAddr;
use std::time::Duration;

/// What it does differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerVariant {
    /// RFC 9568 to the queued; its addresses go at once when it is stopped.
    Rfc9568,
    /// Times out on its own interval, whatever the Active message.
    OwnInterval,
    /// Skew_Time in whole centiseconds, and RFC 5798's silence towards a losing advertisement.
    WholeCentiseconds,
}

/// The configuration of one foreign virtual router.
#[derive(Debug, Clone, Copy)]
pub struct PeerSetup {
    /// Its source address.
    pub source: IpAddr,
    /// Its priority; 255 owns.
    pub priority: AdvertPriority,
    /// Preempt_Mode.
    pub preempt: Preempt,
    /// Advertisement_Interval.
    pub interval: AdverInterval,
    /// Its variant.
    pub variant: PeerVariant,
    /// How it sums IPv4 messages.
    pub checksum: ChecksumFlavour,
}

/// Its state, with its timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// Not running.
    Initialize,
    /// Waiting until Active_Down_Timer.
    Backup(MonoTime),
    /// Advertising, next at Adver_Timer.
    Active(MonoTime),
}

/// What it message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerMessage {
    /// Nothing.
    Nothing,
    /// One advertisement of its own priority.
    Advertisement,
    /// One of priority 0.
    Resignation,
}

/// One foreign virtual router.
#[derive(Debug, Clone)]
pub struct PeerInstance {
    setup: PeerSetup,
    state: PeerState,
    learned: AdverInterval,
    holding: Holding,
}

/// What it does about the addresses as Active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holding {
    /// Nothing: it is not Active.
    No,
    /// It has just become Active.
    Rising,
    /// It is about to install them.
    Soon,
    Yes,
}

impl PeerInstance {
    /// Not running yet.
    #[must_use]
    pub const fn new(setup: PeerSetup) -> Self {
        Self { setup, state: PeerState::Initialize, learned: setup.interval, holding: Holding::No }
    }

    /// Its configuration.
    #[must_use]
    pub const fn setup(&self) -> &PeerSetup {
        &self.setup
    }

    /// Its state.
    #[must_use]
    pub const fn state(&self) -> PeerState {
        self.state
    }

    /// Whether it is Active, and so holds the addresses, or is about to.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.state, PeerState::Active(_))
    }

    /// Whether it holds the addresses.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.is_active() && self.holding == Holding::Yes
    }

    /// Whether it has become Active since the last call.
    pub fn take_risen(&mut self) -> bool {
        let risen = self.holding == Holding::Rising;
        if risen {
            self.holding = Holding::Soon;
        }
        risen
    }

    /// It has installed the addresses, if it still wants them.
    pub fn install(&mut self) -> bool {
        let wanted = self.is_active() && self.holding == Holding::Soon;
        if wanted {
            self.holding = Holding::Yes;
        }
        wanted
    }

    /// When its timer fires.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<MonoTime> {
        match self.state {
            PeerState::Initialize => None,
            PeerState::Backup(at) | PeerState::Active(at) => Some(at),
        }
    }

    /// Startup (§6.4.1).
    pub fn start(&mut self, now: MonoTime) -> PeerMessage {
        self.learned = self.setup.interval;
        if self.setup.priority == AdvertPriority::OWNER {
            return self.promote(now);
        }
        self.state = PeerState::Backup(now + self.active_down_interval());
        PeerMessage::Nothing
    }

    /// Shutdown (§6.4.2, §6.4.3).
    pub fn stop(&mut self) -> PeerMessage {
        let was_active = self.is_active();
        self.state = PeerState::Initialize;
        self.holding = Holding::No;
        if was_active { PeerMessage::Resignation } else { PeerMessage::Nothing }
    }

    /// Its timer, if due.
    pub fn on_deadline(&mut self, now: MonoTime) -> PeerMessage {
        match self.state {
            PeerState::Backup(at) | PeerState::Active(at) if at <= now => self.promote(now),
            PeerState::Initialize | PeerState::Backup(_) | PeerState::Active(_) => PeerMessage::Nothing,
        }
    }

    /// An advertisement that passed the receive checks.
    pub fn on_advert(&mut self, now: MonoTime, source: IpAddr, heard: &Advertisement<'_>) -> PeerMessage {
        match self.state {
            PeerState::Initialize => PeerMessage::Nothing,
            PeerState::Backup(_) => {
                self.on_advert_in_backup(now, heard);
                PeerMessage::Nothing
            }
            PeerState::Active(_) => self.on_advert_as_active(now, source, heard),
        }
    }

    /// The packet that message it.
    #[must_use]
    pub fn message(&self, message: PeerMessage) -> Option<(AdvertPriority, AdverInterval)> {
        match message {
            PeerMessage::Nothing => None,
            PeerMessage::Advertisement => Some((self.setup.priority, self.setup.interval)),
            PeerMessage::Resignation => Some((AdvertPriority::RESIGN, self.setup.interval)),
        }
    }

    fn on_advert_in_backup(&mut self, now: MonoTime, heard: &Advertisement<'_>) {
        if heard.priority.is_resignation() {
            self.state = PeerState::Backup(now + self.skew_time());
            return;
        }
        if self.setup.preempt == Preempt::Forbid || heard.priority >= self.setup.priority {
            self.learn(heard.interval);
            self.state = PeerState::Backup(now + self.active_down_interval());
        }
    }

    fn on_advert_as_active(
        &mut self,
        now: MonoTime,
        source: IpAddr,
        heard: &Advertisement<'_>,
    ) -> PeerMessage {
        if heard.priority.is_resignation() {
            self.state = PeerState::Active(now + self.setup.interval.period());
            return PeerMessage::Advertisement;
        }
        let tie_lost = heard.priority == self.setup.priority && source > self.setup.source;
        if heard.priority > self.setup.priority || tie_lost {
            self.learn(heard.interval);
            self.state = PeerState::Backup(now + self.active_down_interval());
            self.holding = Holding::No;
            return PeerMessage::Nothing;
        }
        match self.setup.variant {
            PeerVariant::Rfc9568 | PeerVariant::OwnInterval => PeerMessage::Advertisement,
            PeerVariant::WholeCentiseconds => PeerMessage::Nothing,
        }
    }

    fn promote(&mut self, now: MonoTime) -> PeerMessage {
        if !self.is_active() {
            self.holding = Holding::Rising;
        }
        self.state = PeerState::Active(now + self.setup.interval.period());
        PeerMessage::Advertisement
    }

    fn learn(&mut self, interval: AdverInterval) {
        match self.setup.variant {
            PeerVariant::Rfc9568 | PeerVariant::WholeCentiseconds => self.learned = interval,
            PeerVariant::OwnInterval => {}
        }
    }

    fn skew_time(&self) -> Duration {
        let below_owner = 256 - u32::from(self.setup.priority.get());
        match self.setup.variant {
            PeerVariant::Rfc9568 | PeerVariant::OwnInterval => self.learned.period() * below_owner / 256,
            PeerVariant::WholeCentiseconds => {
                let centiseconds = below_owner * u32::from(self.learned.centiseconds()) / 256;
                Duration::from_millis(10) * centiseconds
            }
        }
    }

    fn active_down_interval(&self) -> Duration {
        self.learned.period() * 3 + self.skew_time()
    }
}

/// What a [`Packet`] means to a foreign router: its own message reflected means nothing.
#[must_use]
pub fn audible<'a>(instance: &PeerInstance, packet: &'a Packet) -> Option<Advertisement<'a>> {
    let source = packet.carrier().source;
    packet.parse().ok().filter(|_| source != instance.setup.source)
}
