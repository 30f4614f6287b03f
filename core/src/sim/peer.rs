//! Routers of other implementations: small, by the RFC, and with habits that differ from ours.
//!
//! [`PeerInstance`] implements RFC 9568 §6.4 for one virtual router, or RFC 3768 §6.4 (VRRPv2). It is written from the text of
//! the RFC and not from `protocol`, so it is an independent check as well as a neighbour.

use super::audience::Audience;
use super::packet::Packet;
use super::router::RouterNumber;
use super::speech::Speech;
use crate::types::{AdverInterval, AdvertPriority, Authentication, Family, MonoTime, Preempt, Version};
use crate::wire::{Advertisement, Carrier, ChecksumFlavour, HeardAuthentication};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// What a foreign router does differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerVariant {
    /// The router does exactly what RFC 9568 says; it removes its addresses at once when it is
    /// stopped.
    Rfc9568,
    /// The router computes its timeout from its own interval, whatever interval the Active
    /// advertises.
    OwnInterval,
    /// The router computes Skew_Time in whole centiseconds, and does not answer an advertisement
    /// that loses, as RFC 5798 says.
    WholeCentiseconds,
    /// The router speaks VRRPv2, and does exactly what RFC 3768 says: Skew_Time is a part of one
    /// second and begins anew with each priority 0, nothing is learned, messages with another interval,
    /// password or list are discarded, and so are those that lose, without an answer. Its addresses go
    /// at once. In IPv6 it does what RFC 9568 says.
    Rfc3768(Authentication),
}

/// The configuration of one foreign virtual router.
#[derive(Debug, Clone, Copy)]
pub struct PeerSetup {
    /// The source address of the router.
    pub source: IpAddr,
    /// The priority of the router; 255 means that the router is the owner.
    pub priority: AdvertPriority,
    /// Preempt_Mode.
    pub preempt: Preempt,
    /// Advertisement_Interval.
    pub interval: AdverInterval,
    /// The variant of the router.
    pub variant: PeerVariant,
    /// How the router computes the checksum of IPv4 messages.
    pub checksum: ChecksumFlavour,
    /// To whom the router sends, and whom it believes.
    pub audience: Audience,
}

impl PeerSetup {
    /// The same router in one family, with its source address there.
    #[must_use]
    pub const fn in_family(self, family: Family, source: IpAddr) -> Self {
        let variant = match (self.variant, family) {
            (PeerVariant::Rfc3768(_), Family::Ipv6) => PeerVariant::Rfc9568,
            (variant, Family::Ipv4 | Family::Ipv6) => variant,
        };
        Self { source, variant, ..self }
    }

    /// What the router speaks.
    #[must_use]
    pub fn speech(&self) -> Speech {
        match self.variant {
            PeerVariant::Rfc9568 | PeerVariant::OwnInterval | PeerVariant::WholeCentiseconds => {
                Speech::default()
            }
            PeerVariant::Rfc3768(authentication) => Speech { version: Version::V2, authentication },
        }
    }
}

/// The state of a foreign router, with the timer of that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// The router does not run.
    Initialize,
    /// The router waits until Active_Down_Timer.
    Backup(MonoTime),
    /// The router advertises; the next advertisement is due at Adver_Timer.
    Active(MonoTime),
}

/// What a foreign router sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerMessage {
    /// The router sends nothing.
    Nothing,
    /// One advertisement with the priority of the router.
    Advertisement,
    /// One advertisement with priority 0.
    Resignation,
}

/// One foreign virtual router.
#[derive(Debug, Clone)]
pub struct PeerInstance {
    setup: PeerSetup,
    state: PeerState,
    learned: AdverInterval,
    holding: PeerHolding,
}

/// What a foreign router does about the addresses while it is Active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PeerHolding {
    /// Nothing, because the router is not Active.
    No,
    /// The router has just become Active.
    JustActive,
    /// The router is about to install the addresses.
    Soon,
    Yes,
}

impl PeerInstance {
    /// A router that does not run yet.
    #[must_use]
    pub const fn new(setup: PeerSetup) -> Self {
        Self { setup, state: PeerState::Initialize, learned: setup.interval, holding: PeerHolding::No }
    }

    /// The configuration of the router.
    #[must_use]
    pub const fn setup(&self) -> &PeerSetup {
        &self.setup
    }

    /// The state of the router.
    #[must_use]
    pub const fn state(&self) -> PeerState {
        self.state
    }

    /// Whether the router is Active, so that it holds the addresses or is about to hold them.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.state, PeerState::Active(_))
    }

    /// Whether the router holds the addresses.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.is_active() && self.holding == PeerHolding::Yes
    }

    /// Whether the router has become Active since the last call.
    pub fn take_became_active(&mut self) -> bool {
        let became_active = self.holding == PeerHolding::JustActive;
        if became_active {
            self.holding = PeerHolding::Soon;
        }
        became_active
    }

    /// The router installs the addresses if it still wants them. Returns whether it does.
    pub fn install(&mut self) -> bool {
        let wanted = self.is_active() && self.holding == PeerHolding::Soon;
        if wanted {
            self.holding = PeerHolding::Yes;
        }
        wanted
    }

    /// When the timer of the router fires.
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
        self.holding = PeerHolding::No;
        if was_active { PeerMessage::Resignation } else { PeerMessage::Nothing }
    }

    /// The timer fires if it is due.
    pub fn on_deadline(&mut self, now: MonoTime) -> PeerMessage {
        match self.state {
            PeerState::Backup(at) | PeerState::Active(at) if at <= now => self.promote(now),
            PeerState::Initialize | PeerState::Backup(_) | PeerState::Active(_) => PeerMessage::Nothing,
        }
    }

    /// The router receives an advertisement that passed the receive checks.
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

    /// The packet that carries the message.
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
        if self.ignores_others() {
            return PeerMessage::Nothing;
        }
        if heard.priority.is_resignation() {
            self.state = PeerState::Active(now + self.setup.interval.period());
            return PeerMessage::Advertisement;
        }
        let tie_lost = heard.priority == self.setup.priority && source > self.setup.source;
        if heard.priority > self.setup.priority || tie_lost {
            self.learn(heard.interval);
            self.state = PeerState::Backup(now + self.active_down_interval());
            self.holding = PeerHolding::No;
            return PeerMessage::Nothing;
        }
        match self.setup.variant {
            PeerVariant::Rfc9568 | PeerVariant::OwnInterval => PeerMessage::Advertisement,
            PeerVariant::WholeCentiseconds | PeerVariant::Rfc3768(_) => PeerMessage::Nothing,
        }
    }

    /// An owner of VRRPv2 that serves discards what others advertise (RFC 3768 §7.1).
    fn ignores_others(&self) -> bool {
        match self.setup.variant {
            PeerVariant::Rfc9568 | PeerVariant::OwnInterval | PeerVariant::WholeCentiseconds => false,
            PeerVariant::Rfc3768(_) => self.setup.priority == AdvertPriority::OWNER,
        }
    }

    /// Whether a message passes the receive checks that need the configuration (RFC 9568 §7.1, RFC 3768
    /// §7.1).
    fn accepts(&self, heard: &Advertisement<'_>) -> bool {
        let Speech { version, authentication } = self.setup.speech();
        let authentic = heard.authentication == HeardAuthentication::Readable(authentication);
        let matches = match version {
            Version::V3 => true,
            Version::V2 => {
                let ours = RouterNumber::First.addresses(Family::of(self.setup.source));
                let ours: BTreeSet<IpAddr> = ours.iter().map(IpNet::addr).collect();
                let same_list = heard.addresses.iter().collect::<BTreeSet<_>>() == ours;
                heard.interval == self.setup.interval
                    && (same_list || heard.priority == AdvertPriority::OWNER)
            }
        };
        heard.version == version && authentic && matches
    }

    fn promote(&mut self, now: MonoTime) -> PeerMessage {
        if !self.is_active() {
            self.holding = PeerHolding::JustActive;
        }
        self.state = PeerState::Active(now + self.setup.interval.period());
        PeerMessage::Advertisement
    }

    fn learn(&mut self, interval: AdverInterval) {
        match self.setup.variant {
            PeerVariant::Rfc9568 | PeerVariant::WholeCentiseconds => self.learned = interval,
            PeerVariant::OwnInterval | PeerVariant::Rfc3768(_) => {}
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
            PeerVariant::Rfc3768(_) => Duration::from_secs(1) * below_owner / 256,
        }
    }

    fn active_down_interval(&self) -> Duration {
        self.learned.period() * 3 + self.skew_time()
    }
}

/// What a [`Packet`] means to a foreign router: its own message, reflected to it, means nothing, and
/// neither does one that the router discards.
#[must_use]
pub fn audible<'a>(instance: &PeerInstance, packet: &'a Packet) -> Option<Advertisement<'a>> {
    let Carrier { source, destination, .. } = packet.carrier();
    let PeerSetup { source: own, audience, .. } = instance.setup;
    if source == own || !audience.believes(own, source, destination) {
        return None;
    }
    packet.parse().ok().filter(|heard| instance.accepts(heard))
}
