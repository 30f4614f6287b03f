//! All endpoints: which there are, which have to be open, and what is known of their interfaces.

use super::endpoint::{Adapted, Endpoint, EndpointSockets, SendResult, SocketPurpose};
use crate::kernel::vrrp_socket::{Addressee, Remaining};
use crate::protocol::{Node, RouterSpec};
use crate::types::{Destinations, Family, InstanceKey, InterfaceName, LinkFacts, MonoTime};
use crate::wire::Announcement;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// Sockets that could not be opened are tried again after this time.
const REOPEN: Duration = Duration::from_secs(1);

/// The endpoints. One is never removed, so that its place can stand for it in the kernel's queue of
/// ready sockets.
#[derive(Debug)]
pub(super) struct Endpoints<S> {
    endpoints: Vec<Endpoint<S>>,
    /// The interfaces and families that the configuration needs, and what for.
    configured: BTreeMap<(InterfaceName, Family), SocketPurpose>,
    links: BTreeMap<InterfaceName, LinkFacts>,
    /// When the sockets have to be looked at again.
    reopen_at: Option<MonoTime>,
}

impl<S: EndpointSockets> Endpoints<S> {
    pub(super) const fn new() -> Self {
        Self { endpoints: Vec::new(), configured: BTreeMap::new(), links: BTreeMap::new(), reopen_at: None }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// The endpoint at a place.
    pub(super) fn at(&mut self, place: usize) -> Option<&mut Endpoint<S>> {
        self.endpoints.get_mut(place)
    }

    /// The endpoint at which an instance sends and receives advertisements.
    pub(super) fn of(&mut self, key: InstanceKey) -> Option<&mut Endpoint<S>> {
        self.at_interface(key.interface, key.family)
    }

    /// The endpoint of an interface and a family.
    pub(super) fn at_interface(
        &mut self,
        interface: InterfaceName,
        family: Family,
    ) -> Option<&mut Endpoint<S>> {
        self.endpoints
            .iter_mut()
            .find(|endpoint| (endpoint.interface(), endpoint.family()) == (interface, family))
    }

    /// Every endpoint, in the order of their places.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Endpoint<S>> {
        self.endpoints.iter_mut()
    }

    /// Hands on the announcements of others that have arrived at an endpoint, with its interface,
    /// up to the socket's bound. Our own are left out: a switch may reflect them, and two
    /// interfaces may be on one LAN.
    pub(super) fn receive_announcements(
        &mut self,
        place: usize,
        each: &mut dyn FnMut(InterfaceName, Announcement),
    ) -> io::Result<Remaining> {
        let Self { endpoints, links, .. } = self;
        let Some(endpoint) = endpoints.get_mut(place) else { return Ok(Remaining::Nothing) };
        let interface = endpoint.interface();
        endpoint.receive_announcements(&mut |announcement| {
            if links.values().all(|link| link.mac != Some(announcement.mac)) {
                each(interface, announcement);
            }
        })
    }

    /// When [`Self::reopen`] has something to do.
    pub(super) const fn deadline(&self) -> Option<MonoTime> {
        self.reopen_at
    }

    /// The kernel says this about an interface; `None`: it does not exist.
    pub(super) fn on_link(&mut self, now: MonoTime, name: InterfaceName, facts: Option<&LinkFacts>) {
        match facts {
            Some(facts) => drop(self.links.insert(name, facts.clone())),
            None => {
                self.links.remove(&name);
                // The interface may be back in the same turn under the same index, and its sockets
                // have lost their group.
                let gone = self.endpoints.iter_mut().filter(|endpoint| endpoint.interface() == name);
                gone.for_each(Endpoint::close);
            }
        }
        self.reopen_at = Some(now);
    }

    /// These routers are configured: from now on there is an endpoint where each of their instances
    /// runs, and where it has its addresses.
    pub(super) fn configure(&mut self, now: MonoTime, specs: &[RouterSpec]) {
        self.configured = purposes(specs.iter());
        for (interface, family) in self.configured.keys().copied() {
            let known = |e: &Endpoint<S>| (e.interface(), e.family()) == (interface, family);
            if !self.endpoints.iter().any(known) {
                self.endpoints.push(Endpoint::new(interface, family));
            }
        }
        self.reopen_at = Some(now);
    }

    /// What runs has changed: the sockets have to be looked at.
    pub(super) const fn running_changed(&mut self, now: MonoTime) {
        self.reopen_at = Some(now);
    }

    /// Opens, reopens and closes sockets so that they fit the interfaces of this moment. `open`
    /// opens the sockets of an interface with this index for the endpoint at this place; `report`
    /// is told how that came out.
    ///
    /// A router that left the configuration is heard and can speak until it is gone.
    pub(super) fn reopen(
        &mut self,
        now: MonoTime,
        node: &Node,
        mut open: impl FnMut(usize, (InterfaceName, u32), Family, SocketPurpose) -> Result<S, String>,
        mut report: impl FnMut(InterfaceName, Family, Result<(), String>),
    ) {
        if self.reopen_at.is_none_or(|at| at > now) {
            return;
        }
        self.reopen_at = None;
        let mut used = purposes(node.running());
        for (at, purpose) in &self.configured {
            need(&mut used, *at, *purpose);
        }
        for (place, endpoint) in self.endpoints.iter_mut().enumerate() {
            let (interface, family) = (endpoint.interface(), endpoint.family());
            let used = self.links.get(&interface).zip(used.get(&(interface, family)));
            let Some((facts, purpose)) = used else {
                endpoint.close();
                continue;
            };
            endpoint.set_own_addresses(&facts.ipv4);
            // Routers that run here do not notice that another one hears something else.
            if endpoint.is_open_for(facts.index, *purpose)
                || endpoint.adapt(facts.index, *purpose) == Adapted::Yes
            {
                continue;
            }
            // The old sockets go first: the new ones may have their addresses and groups.
            endpoint.close();
            let opened = open(place, (interface, facts.index), family, *purpose);
            let outcome = opened.map(|sockets| endpoint.open(sockets));
            if outcome.is_err() {
                self.reopen_at = Some(now + REOPEN);
            }
            // Only instances that run on the interface have a fault when its sockets cannot be
            // opened. If it only has addresses of others, their announcements are not heard until
            // the sockets are opened: no address conflict is noticed, and a router that yields
            // keeps its addresses as long as for a successor whose announcements cannot be heard.
            report(interface, family, outcome);
        }
    }

    /// Sends what waits at every endpoint.
    pub(super) fn flush(&mut self, report: &mut dyn FnMut(InstanceKey, IpAddr, SendResult)) {
        for endpoint in &mut self.endpoints {
            endpoint.flush(report);
        }
    }

    /// Tells the kernel what the sockets are to hear, where that has changed.
    pub(super) fn update_filters(&mut self) {
        self.endpoints.iter_mut().for_each(Endpoint::update_filters);
    }
}

/// The interfaces and families that these routers need, and what for.
fn purposes<'a>(
    specs: impl Iterator<Item = &'a RouterSpec>,
) -> BTreeMap<(InterfaceName, Family), SocketPurpose> {
    let mut purposes = BTreeMap::new();
    for spec in specs {
        let addressee = match &spec.destinations {
            Destinations::Multicast => Addressee::Group,
            Destinations::Unicast(_) => Addressee::Host,
        };
        for key in spec.keys() {
            need(&mut purposes, (key.interface, key.family), SocketPurpose::Advertisements(addressee));
            need(&mut purposes, (spec.address_interface, key.family), SocketPurpose::Announcements);
        }
    }
    purposes
}

/// Adds a need.
fn need(
    purposes: &mut BTreeMap<(InterfaceName, Family), SocketPurpose>,
    at: (InterfaceName, Family),
    purpose: SocketPurpose,
) {
    let needed = purposes.entry(at).or_insert(purpose);
    *needed = purpose.and(*needed);
}
