//! Whether this node holds the addresses of an instance: the second dimension beside the state of
//! RFC 9568 (docs/adr/0016).
//!
//! | state | none | held | retained | draining |
//! |---|---|---|---|---|
//! | Initialize | at rest | – | after it stopped as a Backup that retained them | after a hand-over that was planned |
//! | Backup | at rest | – | after another router took over, until hosts have switched to it | after they have |
//! | Active | – | always, and while it leaves | – | – |
//!
//! A router that serves now may speak before hosts know of it, and some speak before they hold the
//! addresses at all. An Active that is replaced therefore retains them until it has heard each of
//! them announced by somebody else, and a little longer.
//!
//! Every decision has an epoch. The kernel answers with the epoch of the decision, so that an
//! answer to an older decision is told from one to the newest.

use super::draining::Drain;
use crate::protocol::effect::{Effect, Effects};
use crate::types::{Family, InstanceKey, MonoTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// How long hosts take to obey the last announcement: what a host needs to read it, what is on its
/// way to us by then, and what the new Active may still need until it answers. Linux delivers to a
/// new IPv6 address when a worker has made its route, and keepalived does not wait for that (13 ms
/// measured, 70 ms on a busy machine).
const fn hosts_obey_within(family: Family) -> Duration {
    match family {
        Family::Ipv4 => Duration::from_millis(20),
        Family::Ipv6 => Duration::from_millis(80),
    }
}

/// How long the addresses are retained for a successor whose announcements cannot be heard. Longer
/// than the slowest that was measured: keepalived announces 1 to 10 ms after it spoke, on a busy
/// machine 23 ms, on a starved one more than 50 ms.
const UNHEARD_ANNOUNCEMENTS: Duration = Duration::from_millis(250);

/// Two routers that took over at the same moment announce at the same moment, and which of them was
/// last differs from host to host: what we have decided to announce leaves when the address thread
/// gets to it, 7 ms later on a busy machine. An announcement that is heard so soon after our own
/// does not count. The winner repeats its own 30 ms after the first.
const CROSSING: Duration = Duration::from_millis(20);

/// What the kernel was told to do with the addresses of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::protocol) enum Addresses {
    /// The kernel holds none of them.
    None,
    /// The kernel was told to hold them, because the instance is Active.
    Held,
    /// The kernel still holds them although another router is Active: hosts may not have switched.
    Retained,
    /// The kernel serves the connections that they have, and nobody is told that they are here.
    Draining,
}

/// The addresses of one instance: what the kernel was told, and which of them others have
/// announced.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AddressHolding {
    key: InstanceKey,
    /// How many addresses the instance has.
    count: usize,
    /// The number of the last decision. A successor of this instance continues from it.
    epoch: u64,
    holding: Holding,
    /// When we last announced them.
    announced_at: Option<MonoTime>,
    /// The routers to which connections can be left.
    partners: BTreeSet<IpAddr>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Holding {
    None,
    Held {
        confirmation: Confirmation,
        /// While the instance leaves: the announcements of others.
        switch: Option<HostSwitch>,
    },
    Retained {
        /// When the other router became Active, as far as we know.
        since: MonoTime,
        switch: HostSwitch,
    },
    Draining(Drain),
}

/// Whether the kernel has answered that it holds the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Confirmation {
    Awaited,
    Received,
}

/// Which addresses others have announced since we listen for that.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct HostSwitch {
    announced: BTreeSet<IpAddr>,
    last: Option<MonoTime>,
}

impl HostSwitch {
    fn is_complete(&self, count: usize) -> bool {
        self.announced.len() >= count
    }

    /// When hosts have switched all `count` addresses to a router that serves since `served`.
    fn switched_at(&self, served: MonoTime, family: Family, count: usize) -> MonoTime {
        match self.last {
            Some(last) if self.is_complete(count) => last.max(served) + hosts_obey_within(family),
            Some(_) | None => served + UNHEARD_ANNOUNCEMENTS,
        }
    }
}

impl AddressHolding {
    /// Nothing is held. `epoch` is the last one that an earlier instance of this key used: its
    /// decisions may still be answered.
    pub(super) const fn new(key: InstanceKey, count: usize, epoch: u64) -> Self {
        let partners = BTreeSet::new();
        Self { key, count, epoch, holding: Holding::None, announced_at: None, partners }
    }

    /// The addresses of a crashed run are in place: they are held although nobody asked.
    pub(super) fn adopt(&mut self, out: &mut Effects) {
        self.holding = Holding::Held { confirmation: Confirmation::Received, switch: None };
        self.watch(out);
    }

    pub(super) const fn addresses(&self) -> Addresses {
        match self.holding {
            Holding::None => Addresses::None,
            Holding::Held { .. } => Addresses::Held,
            Holding::Retained { .. } => Addresses::Retained,
            Holding::Draining(_) => Addresses::Draining,
        }
    }

    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The kernel is to hold them. `relieved`: the router that lives, and had them until now.
    pub(super) fn hold(&mut self, relieved: Option<IpAddr>, out: &mut Effects) {
        let confirmation = match self.holding {
            Holding::Held { confirmation, .. } => confirmation,
            Holding::None | Holding::Retained { .. } | Holding::Draining(_) => Confirmation::Awaited,
        };
        self.unwatch(out);
        self.holding = Holding::Held { confirmation, switch: None };
        self.epoch += 1;
        // RFC9568-6.4.3-2, RFC9568-6.4.3-6: the kernel joins, answers and accepts.
        out.push(Effect::HoldAddresses { key: self.key, epoch: self.epoch, relieved });
    }

    /// The kernel answered the newest decision: it holds them.
    pub(super) const fn confirm(&mut self) {
        if let Holding::Held { confirmation, .. } = &mut self.holding {
            *confirmation = Confirmation::Received;
        }
    }

    /// Whether the kernel has ever confirmed since they are held.
    pub(super) const fn is_confirmed(&self) -> bool {
        matches!(self.holding, Holding::Held { confirmation: Confirmation::Received, .. })
    }

    /// Hosts have switched to the router `to`: connections are kept for as long as `lasts` if they
    /// can be left to that router, else the addresses are released.
    pub(super) fn let_go(&mut self, now: MonoTime, lasts: Duration, to: Option<IpAddr>, out: &mut Effects) {
        // Whoever is not known yet is one of the others.
        let is_partner = to.map_or(!self.partners.is_empty(), |to| self.partners.contains(&to));
        if lasts.is_zero() || !is_partner {
            self.release(out);
        } else {
            self.drain_addresses(Drain::begin(now, lasts, to), out);
        }
    }

    /// The kernel is to serve connections on, and to tell nobody of the addresses.
    pub(super) fn drain_addresses(&mut self, drain: Drain, out: &mut Effects) {
        self.unwatch(out);
        self.holding = Holding::Draining(drain);
        self.renew_drain(out);
    }

    /// The drain has another end.
    pub(super) fn renew_drain(&mut self, out: &mut Effects) {
        if let Holding::Draining(drain) = &self.holding {
            self.epoch += 1;
            // RFC9568-6.4.2-1, RFC9568-6.4.2-2: the kernel does not answer for what drains. It does
            // accept what the Active passes on, an exception to RFC9568-6.4.2-5.
            let (key, epoch, until) = (self.key, self.epoch, drain.until());
            out.push(Effect::DrainAddresses { key, epoch, until });
        }
    }

    /// The drain that is under way.
    pub(super) const fn drain(&self) -> Option<&Drain> {
        match &self.holding {
            Holding::Draining(drain) => Some(drain),
            Holding::None | Holding::Held { .. } | Holding::Retained { .. } => None,
        }
    }

    pub(super) const fn drain_mut(&mut self) -> Option<&mut Drain> {
        match &mut self.holding {
            Holding::Draining(drain) => Some(drain),
            Holding::None | Holding::Held { .. } | Holding::Retained { .. } => None,
        }
    }

    /// The routers to which connections can be left.
    pub(super) fn set_partners(&mut self, partners: BTreeSet<IpAddr>) {
        self.partners = partners;
    }

    /// The kernel is not to hold them any more.
    pub(super) fn release(&mut self, out: &mut Effects) {
        self.unwatch(out);
        self.holding = Holding::None;
        self.epoch += 1;
        // RFC9568-6.4.2-1, RFC9568-6.4.2-2, RFC9568-6.4.2-5: the kernel neither answers for nor
        // accepts what it does not hold.
        out.push(Effect::ReleaseAddresses { key: self.key, epoch: self.epoch });
    }

    /// Another router is Active now: the addresses stay until hosts have switched to it.
    pub(super) fn retain(&mut self, now: MonoTime, out: &mut Effects) {
        self.watch(out);
        if let Holding::Held { switch: Some(switch), .. } = &mut self.holding {
            self.holding = Holding::Retained { since: now, switch: std::mem::take(switch) };
        }
    }

    /// When retained addresses are released.
    pub(super) fn release_at(&self) -> Option<MonoTime> {
        match &self.holding {
            Holding::Retained { since, switch } => {
                Some(switch.switched_at(*since, self.key.family, self.count))
            }
            Holding::None | Holding::Held { .. } | Holding::Draining(_) => None,
        }
    }

    /// When hosts have switched from us to a successor that serves since `served`.
    pub(super) fn switched_at(&self, served: MonoTime) -> MonoTime {
        self.switch().map_or(served, |switch| switch.switched_at(served, self.key.family, self.count))
    }

    /// Whether others have announced every address since we began to listen; `None`: we do not
    /// listen.
    pub(super) fn all_announced(&self) -> Option<bool> {
        self.switch().map(|switch| switch.is_complete(self.count))
    }

    /// The number of addresses changed with the configuration.
    pub(super) const fn resize(&mut self, count: usize) {
        self.count = count;
    }

    /// Begins to listen for announcements of others.
    pub(super) fn watch(&mut self, out: &mut Effects) {
        if let Holding::Held { switch: switch @ None, .. } = &mut self.holding {
            *switch = Some(HostSwitch::default());
            out.push(Effect::WatchAnnouncements { key: self.key });
        }
    }

    /// Ends that.
    pub(super) fn unwatch(&mut self, out: &mut Effects) {
        let watched = match &mut self.holding {
            Holding::Held { switch, .. } => switch.take().is_some(),
            Holding::Retained { .. } => {
                self.holding = Holding::None;
                true
            }
            Holding::None | Holding::Draining(_) => false,
        };
        if watched {
            out.push(Effect::IgnoreAnnouncements { key: self.key });
        }
    }

    /// We announce them now.
    pub(super) const fn on_announce(&mut self, now: MonoTime) {
        self.announced_at = Some(now);
    }

    /// Another station announced one of them.
    pub(super) fn on_announced_by_other(&mut self, now: MonoTime, address: IpAddr) {
        if self.announced_at.is_some_and(|ours| now < ours + CROSSING) {
            return;
        }
        let switch = match &mut self.holding {
            Holding::Held { switch, .. } => switch.as_mut(),
            Holding::Retained { switch, .. } => Some(switch),
            Holding::None | Holding::Draining(_) => None,
        };
        if let Some(switch) = switch
            && switch.announced.insert(address)
        {
            switch.last = Some(now);
        }
    }

    const fn switch(&self) -> Option<&HostSwitch> {
        match &self.holding {
            Holding::Held { switch, .. } => switch.as_ref(),
            Holding::Retained { switch, .. } => Some(switch),
            Holding::None | Holding::Draining(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVED: MonoTime = MonoTime::from_nanos(1_000_000_000);

    fn key(family: Family) -> InstanceKey {
        InstanceKey { interface: "eth0".parse().unwrap(), family, vrid: crate::types::Vrid::new(51).unwrap() }
    }

    fn held(family: Family, count: usize) -> AddressHolding {
        let mut holding = AddressHolding::new(key(family), count, 0);
        holding.hold(None, &mut Effects::new());
        holding.watch(&mut Effects::new());
        holding
    }

    fn switched_after(announcements: &[(u64, &str)], count: usize) -> Duration {
        let mut holding = held(Family::Ipv4, count);
        for (millis, address) in announcements {
            let at = SERVED + Duration::from_millis(*millis);
            holding.on_announced_by_other(at, address.parse().unwrap());
        }
        holding.switched_at(SERVED).since(SERVED)
    }

    #[test]
    fn the_last_address_to_be_announced_decides() {
        assert_eq!(switched_after(&[(3, "192.0.2.1"), (9, "192.0.2.2")], 2), Duration::from_millis(29));
        let repeated = switched_after(&[(3, "192.0.2.1"), (9, "192.0.2.1")], 1);
        assert_eq!(repeated, Duration::from_millis(23), "a repetition says nothing new");
    }

    #[test]
    fn until_all_are_announced_the_wait_has_an_end() {
        assert_eq!(switched_after(&[], 1), Duration::from_millis(250));
        assert_eq!(switched_after(&[(3, "192.0.2.1")], 2), Duration::from_millis(250));
    }

    #[test]
    fn what_was_announced_before_the_first_advertisement_counts() {
        for (family, wait) in [(Family::Ipv4, 20), (Family::Ipv6, 80)] {
            let mut holding = held(family, 1);
            holding.on_announced_by_other(MonoTime::from_nanos(999_000_000), "192.0.2.1".parse().unwrap());
            assert_eq!(holding.switched_at(SERVED).since(SERVED), Duration::from_millis(wait));
        }
    }

    #[test]
    fn an_announcement_that_crosses_ours_does_not_count() {
        for (millis, counts) in [(19, false), (20, true)] {
            let mut holding = held(Family::Ipv4, 1);
            holding.on_announce(SERVED);
            let heard = SERVED + Duration::from_millis(millis);
            holding.on_announced_by_other(heard, "192.0.2.1".parse().unwrap());
            assert_eq!(holding.all_announced(), Some(counts), "{millis} ms after ours");
        }
    }

    #[test]
    fn each_decision_has_an_epoch_of_its_own_and_listening_ends_with_it() {
        let mut out = Effects::new();
        let mut holding = AddressHolding::new(key(Family::Ipv4), 1, 7);
        assert_eq!(holding.addresses(), Addresses::None);
        holding.hold(None, &mut out);
        holding.confirm();
        assert!(holding.is_confirmed());
        holding.retain(SERVED, &mut out);
        assert_eq!((holding.addresses(), holding.is_confirmed()), (Addresses::Retained, false));
        holding.release(&mut out);
        let key = key(Family::Ipv4);
        assert_eq!(
            out,
            [
                Effect::HoldAddresses { key, epoch: 8, relieved: None },
                Effect::WatchAnnouncements { key },
                Effect::IgnoreAnnouncements { key },
                Effect::ReleaseAddresses { key, epoch: 9 },
            ]
        );
        assert_eq!(holding.release_at(), None);
    }
}
