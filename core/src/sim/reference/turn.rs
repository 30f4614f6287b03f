//! One input of one node: what the reference expects after it, and what the core did.

use crate::protocol::{Effect, Effects, Event, EventKind, Snapshot};
use crate::types::{AdverInterval, AdvertPriority, Authentication, InstanceKey, MonoTime, Version};
use std::net::IpAddr;

/// What is predicted for one instance. Reports, answers and the checksum are not predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Hold,
    Release,
    Advertise {
        version: Version,
        source: IpAddr,
        destination: IpAddr,
        priority: AdvertPriority,
        interval: AdverInterval,
        authentication: Authentication,
    },
    Announce,
    Watch,
    Ignore,
}

/// What is told of the nodes that are listed: the only events that are predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TellsOfPeers {
    /// None of these was ever heard.
    NobodyHeard(Vec<IpAddr>),
    /// After that was told, this one was heard.
    Heard(IpAddr),
}

/// What an effect tells of the nodes that are listed, if it tells anything of them.
pub(super) fn told_of_peers(effect: &Effect) -> Option<(InstanceKey, TellsOfPeers)> {
    let Effect::Report(Event { key: Some(key), kind, .. }) = effect else { return None };
    if let EventKind::NoPeerHeard { peers, .. } = kind {
        Some((*key, TellsOfPeers::NobodyHeard(peers.clone())))
    } else if let EventKind::PeerHeard { peer } = kind {
        Some((*key, TellsOfPeers::Heard(*peer)))
    } else {
        None
    }
}

/// What the reference expects in place of an effect, if the effect is predicted.
pub(super) fn expected(effect: &Effect) -> Option<(InstanceKey, Expected)> {
    match effect {
        Effect::HoldAddresses { key, .. } => Some((*key, Expected::Hold)),
        // Whether connections are kept makes no difference to the protocol.
        Effect::ReleaseAddresses { key, .. } | Effect::DrainAddresses { key, .. } => {
            Some((*key, Expected::Release))
        }
        Effect::Advertise {
            key,
            version,
            source,
            destination,
            priority,
            interval,
            authentication,
            checksum: _,
        } => {
            let (version, source, destination) = (*version, *source, *destination);
            let (priority, interval, authentication) = (*priority, *interval, *authentication);
            let sent =
                Expected::Advertise { version, source, destination, priority, interval, authentication };
            Some((*key, sent))
        }
        Effect::Announce { key, .. } => Some((*key, Expected::Announce)),
        Effect::WatchAnnouncements { key } => Some((*key, Expected::Watch)),
        Effect::IgnoreAnnouncements { key } => Some((*key, Expected::Ignore)),
        Effect::ResetConnections(..)
        | Effect::Report(_)
        | Effect::Answer { .. }
        | Effect::SaveDemotion { .. }
        | Effect::Stopped => None,
    }
}

/// One turn: the time of one input, what the core did, and what the reference expects so far.
///
/// The reference looks at what the core did for one purpose only: to see which moment the core
/// chose within a window in which several moments are right.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) now: MonoTime,
    observed: &'a Effects,
    after: &'a Snapshot,
    pub(super) expected: Vec<(InstanceKey, Expected)>,
    pub(super) told: Vec<(InstanceKey, TellsOfPeers)>,
    pub(super) stopped: bool,
}

impl<'a> Turn<'a> {
    pub(super) const fn new(now: MonoTime, observed: &'a Effects, after: &'a Snapshot) -> Self {
        Self { now, observed, after, expected: Vec::new(), told: Vec::new(), stopped: false }
    }

    pub(super) fn expect(&mut self, key: InstanceKey, what: Expected) {
        self.expected.push((key, what));
    }

    /// Whether the core told anything of the nodes that are listed.
    pub(super) fn observes_telling(&self, key: InstanceKey) -> bool {
        self.observed.iter().filter_map(told_of_peers).any(|(of, _)| of == key)
    }

    pub(super) fn tell(&mut self, key: InstanceKey, what: TellsOfPeers) {
        self.told.push((key, what));
    }

    fn observes_more(&self, key: InstanceKey, is: impl Fn(&Expected) -> bool) -> bool {
        let wanted = |(of, what): &(InstanceKey, Expected)| *of == key && is(what);
        let observed = self.observed.iter().filter_map(expected).filter(wanted).count();
        observed > self.expected.iter().filter(|one| wanted(one)).count()
    }

    /// Whether the core sent this advertisement, in addition to what is expected so far.
    pub(super) fn observed_advertisement(
        &self,
        key: InstanceKey,
        priority: AdvertPriority,
        interval: AdverInterval,
    ) -> bool {
        self.observes_more(key, |what| match what {
            Expected::Advertise { priority: p, interval: i, .. } => (*p, *i) == (priority, interval),
            Expected::Hold | Expected::Release | Expected::Announce | Expected::Watch | Expected::Ignore => {
                false
            }
        })
    }

    /// The timer of an instance after the input.
    pub(super) fn observed_timer(&self, key: InstanceKey) -> Option<MonoTime> {
        let mut instances = self.after.routers.iter().flat_map(|router| &router.instances);
        instances.find(|instance| instance.key == key)?.timers.next
    }

    /// Whether the core announced more often than is expected so far.
    pub(super) fn observes_more_rounds(&self, key: InstanceKey) -> bool {
        self.observes_more(key, |what| *what == Expected::Announce)
    }
}
