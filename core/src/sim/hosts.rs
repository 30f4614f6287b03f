//! The hosts on the LAN: at which station they believe the addresses to be, and how they learn it.
//!
//! Hosts hear announcements as every station does. Our stations are told of announcements only
//! while their core wants to know. Foreign routers advertise first, and hold and announce the
//! addresses some time later.

use super::checker::{Checker, Violation};
use super::clock::TrueTime;
use super::groups::Strangers;
use super::lan::{Integrity, Lan, Port};
use super::node::{ProcessState, SimNode, interface, key};
use super::rng::Rng;
use super::router::RouterNumber;
use super::view::{StationView, in_family};
use super::world::{EventOrder, Station, World, WorldEvent};
use crate::protocol::{Input, StateName};
use crate::types::{Family, InstanceKey, MacAddr};
use std::collections::BTreeMap;
use std::time::Duration;

/// The delays between the first advertisement of a foreign router and its announcement, in
/// milliseconds.
const SLOWNESS: [u64; 6] = [0, 1, 10, 23, 60, 200];

/// One host beside each station, at the same port: the host hears what the station hears, and the
/// station itself.
#[derive(Debug)]
pub(super) struct Hosts {
    /// For the port of each host: which station the host believes to have the addresses, and when
    /// that station announced them.
    beliefs: BTreeMap<(Port, InstanceKey), (Port, TrueTime)>,
    /// The generator of the hosts alone, so that what a seed stands for elsewhere does not depend
    /// on it.
    rng: Rng,
}

/// An event about addresses that hosts or stations notice.
#[derive(Debug, Clone, Copy)]
pub(super) enum AnnouncementEvent {
    /// A foreign router has installed the addresses, and announces them.
    Installed(InstanceKey),
    /// A station hears an announcement of another station.
    StationHears(InstanceKey, Port),
    /// The host at a port hears the announcement of this station, made at that time.
    HostHears(InstanceKey, Port, TrueTime),
    /// One of our stations yielded at that time to this station: by now hosts have found the new
    /// Active.
    HostsHaveSwitchedBack(InstanceKey, Port, TrueTime),
}

/// How soon hosts have found an Active that could not be heard, and is heard again, after the other
/// Active yielded.
const HOSTS_SWITCH_BACK: Duration = Duration::from_millis(50);

impl Hosts {
    pub(super) fn new(seed: u64) -> Self {
        Self { beliefs: BTreeMap::new(), rng: Rng::new(seed ^ 0x0061_6e6e_6f75_6e63) }
    }

    /// Which hosts have which belief about an instance.
    fn beliefs(&self, key: InstanceKey) -> impl Iterator<Item = (Port, Port, TrueTime)> {
        let of_it = self.beliefs.iter().filter(move |((_, of), _)| *of == key);
        of_it.map(|((host, _), (station, since))| (*host, *station, *since))
    }

    /// Which station a host believes to have the addresses of an instance.
    pub(super) fn belief(&self, host: Port, key: InstanceKey) -> Option<Port> {
        self.beliefs.get(&(host, key)).map(|(station, _)| *station)
    }

    /// A host believes an announcement. One that was sent earlier and arrives later is caused by a
    /// fault, and is ignored.
    pub(super) fn believe(&mut self, said: TrueTime, host: Port, key: InstanceKey, station: Port) {
        let belief = self.beliefs.entry((host, key)).or_insert((station, said));
        if belief.1 <= said {
            *belief = (station, said);
        }
    }
}

impl World {
    /// A station announces the addresses of an instance.
    pub(super) fn announce(&mut self, port: Port, key: InstanceKey) {
        let heard = AnnouncementEvent::HostHears(key, port, self.now);
        let mut arrivals = Vec::new();
        self.lan.carry(port, |_| true, &mut self.hosts.rng, &mut arrivals);
        for arrival in arrivals.into_iter().filter(|arrival| arrival.copy == Integrity::Intact) {
            // A station ignores the reflection of its own announcement.
            if arrival.port != port {
                let at = self.now + arrival.after;
                self.enqueue(
                    at,
                    EventOrder::Arrival,
                    WorldEvent::Announcement(arrival.port, AnnouncementEvent::StationHears(key, port)),
                );
                self.enqueue(at, EventOrder::Arrival, WorldEvent::Announcement(arrival.port, heard));
            }
        }
        if self.lan.plugged(port) {
            let way = Lan::delay(self.lan.conditions(), &mut self.hosts.rng);
            self.enqueue(self.now + way, EventOrder::Arrival, WorldEvent::Announcement(port, heard));
        }
    }

    /// A foreign router that has just become Active installs and announces the addresses sooner or
    /// later. If there are several foreign routers, each does so at once, since it drops its
    /// addresses at once when another router advertises.
    pub(super) fn foreign_becomes_active(&mut self, port: Port, key: InstanceKey) {
        let foreign = |station: &&Station| matches!(station, Station::Foreign(_));
        let several = self.stations.iter().filter(foreign).count() > 1;
        let slowness = self.hosts.rng.pick(&SLOWNESS, 0);
        if several {
            self.install(port, key);
            return;
        }
        let at = self.now + Duration::from_millis(slowness);
        self.enqueue(
            at,
            EventOrder::Kernel,
            WorldEvent::Announcement(port, AnnouncementEvent::Installed(key)),
        );
    }

    pub(super) fn on_announcement_event(
        &mut self,
        port: Port,
        event: AnnouncementEvent,
    ) -> Result<(), Violation> {
        match event {
            AnnouncementEvent::Installed(key) => self.install(port, key),
            AnnouncementEvent::HostHears(key, station, said) => self.hosts.believe(said, port, key, station),
            AnnouncementEvent::HostsHaveSwitchedBack(key, winner, yielded) => {
                return self.judge_switch_back(port, key, winner, yielded);
            }
            AnnouncementEvent::StationHears(key, other) => {
                let cares = |node: &SimNode| node.listening.contains(&key) || node.holds(key);
                let cares = self.node(port).is_some_and(cares);
                let addresses = RouterNumber::of(key).addresses(key.family);
                for address in addresses.into_iter().filter(|_| cares) {
                    let (interface, address, mac) = (interface(), address.addr(), mac_of(other));
                    let announced = Input::AnnouncementHeard { interface, address, mac };
                    self.feed(port, announced)?;
                }
            }
        }
        Ok(())
    }

    /// Which station the host at a port believes to have the addresses of a family of the first
    /// router.
    #[must_use]
    pub fn believed(&self, host: Port, family: Family) -> Option<Port> {
        self.hosts.beliefs.get(&(host, key(family))).map(|(station, _)| *station)
    }

    /// After an input: a station that was Active and is now Backup has yielded. If it is known to
    /// which station, and that station holds the addresses, the hosts are checked a little later.
    pub(super) fn note_yields(&mut self, port: Port) {
        let Some(Station::Ours(node)) = self.stations.get(port.0) else { return };
        let mut yielded = Vec::new();
        // What leaves because of a reload has the list of its own configuration, in which others may be
        // missing: they do not hear that it leaves.
        for router in node.routers.iter().filter(|router| !router.leaves_with_another_list()) {
            let keys = self.families.iter().map(|family| router.number.key(*family));
            let was = |key: &InstanceKey| router.before.state(*key) == StateName::Active;
            let is = |key: &InstanceKey| router.view.state(*key) == StateName::Backup;
            yielded.extend(keys.filter(|key| was(key) && is(key)));
        }
        for key in yielded {
            self.note_yield(port, key);
        }
    }

    fn note_yield(&mut self, port: Port, key: InstanceKey) {
        let number = RouterNumber::of(key);
        if self.checkers.of(number).strangers() == Strangers::Tangled {
            return;
        }
        let views = self.views_of(number);
        let home = component(&views, port);
        let serves = |view: &&StationView| view.component == home && in_family(view.active, key.family);
        let mut actives = views.iter().filter(serves);
        let (Some(winner), None) = (actives.next(), actives.next()) else { return };
        // A station whose kernel still has requests to carry out knows nothing of its
        // addresses, and does not announce any.
        let knows = |winner: &Port| self.node(*winner).is_some_and(|node| node.kernel.is_idle());
        if winner.ours && in_family(winner.holds, key.family) && knows(&winner.port) {
            let at = self.now + HOSTS_SWITCH_BACK + self.checkers.bounds().reaction() * 2;
            let event = AnnouncementEvent::HostsHaveSwitchedBack(key, winner.port, self.now);
            self.enqueue(at, EventOrder::Script, WorldEvent::Announcement(port, event));
        }
    }

    /// On a healthy LAN, a router that hears one of our stations yield announces to the hosts: no
    /// host believes in that station any more.
    fn judge_switch_back(
        &self,
        port: Port,
        key: InstanceKey,
        winner: Port,
        yielded: TrueTime,
    ) -> Result<(), Violation> {
        let family = key.family;
        let checker = self.checkers.of(RouterNumber::of(key));
        let views = self.views_of(RouterNumber::of(key));
        let home = component(&views, port);
        let serves = |view: &StationView| {
            view.component == home && view.awake && in_family(view.active, family) && !view.leaving
        };
        let serves = views.iter().any(|view| view.port == winner && serves(view));
        if !serves || !checker.judges_switch_back(port, winner, yielded) {
            return Ok(());
        }
        let lost = |(host, station, _): &(Port, Port, TrueTime)| {
            *station == port && component(&views, *host) == home
        };
        match self.hosts.beliefs(key).find(lost) {
            Some((host, _, _)) => {
                let seen = format!("{key} at port {}, {} is Active", host.0, winner.0);
                Err(Violation::by(port, self.now, "hosts switch back within 50 ms", seen))
            }
            None => Ok(()),
        }
    }

    fn install(&mut self, port: Port, key: InstanceKey) {
        let family = key.family;
        let Some(Station::Foreign(instances)) = self.stations.get_mut(port.0) else { return };
        let instance = instances.iter_mut().find(|instance| Family::of(instance.setup().source) == family);
        if instance.is_some_and(super::peer::PeerInstance::install) {
            self.trace.note(self.now, || format!("peer {}:     holds and announces {family}", port.0));
            self.announce(port, key);
        }
    }

    /// The kernel of one of our stations has let addresses go.
    pub(super) fn judge_release(&self, port: Port, key: InstanceKey) -> Result<(), Violation> {
        let family = key.family;
        let checker = self.checkers.of(RouterNumber::of(key));
        let views = self.views_of(RouterNumber::of(key));
        if !checker.judges_service(self.now, &views) {
            return Ok(());
        }
        for (host, _, since) in self.hosts.beliefs(key).filter(|(_, station, _)| *station == port) {
            let beside = component(&views, host) == component(&views, port);
            let successor = checker.successor(self.now, &views, port, family, since);
            if let Some(successor) = successor.filter(|_| beside) {
                let seen = format!("{key} of station {}, which serves, at port {}", successor.port.0, host.0);
                return Err(Violation::by(
                    port,
                    self.now,
                    "hosts switch before the addresses are released",
                    seen,
                ));
            }
        }
        Ok(())
    }

    /// At rest, where one of our stations is Active: no host believes in another one of our
    /// stations that has been Active since the last fault, and that so has yielded or handed over
    /// to a router that announces. (If a station died or fell silent before, no router corrects the
    /// hosts before the next refresh.)
    ///
    /// # Errors
    /// The [`Violation`].
    pub fn judge_hosts(&self) -> Result<(), Violation> {
        for (number, views) in self.all_views() {
            let keys = self.families.iter().map(|family| number.key(*family));
            keys.into_iter().try_for_each(|key| self.judge_hosts_of(key, &views))?;
        }
        Ok(())
    }

    fn judge_hosts_of(&self, key: InstanceKey, views: &[StationView]) -> Result<(), Violation> {
        let checker = self.checkers.of(RouterNumber::of(key));
        // Where two serve on one LAN, hosts believe the last of them that they have heard.
        if checker.strangers() != Strangers::Apart {
            return Ok(());
        }
        for (host, station, _) in self.hosts.beliefs(key) {
            let active = views.iter().find(|view| {
                view.ours
                    && view.awake
                    && in_family(view.active, key.family)
                    && view.component == component(views, host)
            });
            let Some(active) = active.filter(|active| active.port != station) else { continue };
            let deposed = self.node(station).is_some_and(|node| node.run == ProcessState::Up)
                && component(views, station) == active.component
                && checker.was_active_since_faults_ended(station, key.family);
            if deposed {
                let seen = format!("{key} at port {}, {} is Active", host.0, active.port.0);
                return Err(Violation::by(station, self.now, "at rest hosts have found the Active", seen));
            }
        }
        Ok(())
    }
}

/// The MAC address with which a station announces the addresses.
fn mac_of(port: Port) -> MacAddr {
    MacAddr([2, 0, 0, 0, 1, u8::try_from(port.0).unwrap_or(u8::MAX)])
}

fn component(views: &[StationView], port: Port) -> usize {
    views.iter().find(|view| view.port == port).map_or(usize::MAX, |view| view.component)
}

impl Checker {
    /// Whether hosts must have switched from a station that yielded to the Active that it heard.
    /// Hosts need not if a station was not scheduled in between, or overslept and stepped back
    /// without an advertisement.
    fn judges_switch_back(&self, yielder: Port, winner: Port, yielded: TrueTime) -> bool {
        let was = self.active_since(winner).is_some_and(|since| since <= yielded);
        let is_backup = self.listening_since(yielder).is_some_and(|since| since <= yielded);
        let slept = |port| self.woken_at(port).is_some();
        self.healthy_since().is_some_and(|calm| calm <= yielded)
            && was
            && is_backup
            && !slept(yielder)
            && !slept(winner)
    }

    /// The router that serves beside `port`, if it has served long enough for `port` to know it,
    /// and has announced the addresses or will. A foreign router that was Active before hosts
    /// switched away from it does not announce again.
    fn successor<'v>(
        &self,
        now: TrueTime,
        views: &'v [StationView],
        port: Port,
        family: Family,
        switched: TrueTime,
    ) -> Option<&'v StationView> {
        let leaver = views.iter().find(|view| view.port == port)?;
        views.iter().find(|view| {
            let serves = view.awake && in_family(view.active, family) && !view.leaving;
            let since = self.active_since(view.port);
            let known = since.is_some_and(|since| {
                now.since(since) > self.bounds().reaction() && (view.ours || since > switched)
            });
            view.port != port && view.component == leaver.component && serves && known
        })
    }
}
