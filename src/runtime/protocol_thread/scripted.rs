//! Sockets, a clock and an address thread for tests, all of which do what a script says, and a log
//! of what was done with them in its order.

use super::endpoint::{Adapted, EndpointSockets, SocketKind, SocketPurpose};
use super::engine::{Ready, ThreadIo};
use super::retry_queue::Offer;
use crate::kernel::announcement_socket::AnnouncementFilter;
use crate::kernel::keeper::KeeperCommand;
use crate::kernel::vrrp_socket::{Addressee, OutgoingMessages, ReceiveReport, Remaining, Route};
use crate::protocol::{DrainId, RouterSpec};
use crate::runtime::draining::OrderResult;
use crate::types::{Family, InstanceKey, InterfaceName, LinkFacts, MacAddr, MonoTime};
use crate::wire::{self, Announcement, Carrier};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

/// What the host does, and what was done with it.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) now: MonoTime,
    /// What waits in the sockets of the first endpoint.
    pub(super) advertisements: VecDeque<(Carrier, Vec<u8>)>,
    /// What waits in the sockets of each interface, by its index.
    pub(super) announcements: BTreeMap<u32, VecDeque<Announcement>>,
    /// The place of the endpoint for which sockets were opened last, by the index of the interface.
    places: BTreeMap<u32, usize>,
    /// Advertisements that are sent from here on fail with these errors; an empty list: they are
    /// sent.
    pub(super) send_errors: VecDeque<i32>,
    /// Sockets cannot be opened for this reason.
    pub(super) open_error: Option<&'static str>,
    /// How many commands the address thread has room for; `None`: any number.
    pub(super) keeper_room: Option<usize>,
    /// Whether there is a thread that writes rules.
    pub(super) forwards: bool,
    /// The mailbox has a message, as far as the wake-up tells.
    pub(super) mail: bool,
    /// What was done, in its order.
    pub(super) log: Vec<String>,
    /// Nothing is logged while the steady state is measured.
    pub(super) quiet: bool,
    /// What the sockets of each interface hear, by its index.
    announcement_filters: BTreeMap<u32, AnnouncementFilter>,
    own_address_filters: BTreeMap<u32, BTreeSet<Ipv4Addr>>,
}

/// A host that is shared by the engine, its sockets and the test.
#[derive(Debug, Clone, Default)]
pub(super) struct ScriptedHost(pub(super) Rc<RefCell<Host>>);

impl ScriptedHost {
    pub(super) fn sockets(&self, index: u32) -> ScriptedSockets {
        ScriptedSockets {
            host: self.clone(),
            index,
            purpose: SocketPurpose::Advertisements(Addressee::Group),
        }
    }

    /// What was done since the last time, in its order.
    pub(super) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut().log)
    }

    pub(super) fn pass(&self, time: Duration) {
        let mut host = self.0.borrow_mut();
        host.now = host.now + time;
    }

    fn write(&self, line: impl FnOnce() -> String) {
        let mut host = self.0.borrow_mut();
        if !host.quiet {
            host.log.push(line());
        }
    }

    /// Which announcements the sockets of the interface with this index hear.
    pub(super) fn announcement_filter(&self, index: u32) -> AnnouncementFilter {
        self.0.borrow().announcement_filters.get(&index).cloned().unwrap_or_default()
    }

    /// From which addresses of this host the sockets of the interface with this index hear
    /// advertisements.
    pub(super) fn own_address_filter(&self, index: u32) -> BTreeSet<Ipv4Addr> {
        self.0.borrow().own_address_filters.get(&index).cloned().unwrap_or_default()
    }

    /// An announcement of 192.0.2.50 arrives at the interface with this index.
    pub(super) fn hear_announcement(&self, index: u32, mac: MacAddr) {
        let address = "192.0.2.50".parse().unwrap();
        self.0.borrow_mut().announcements.entry(index).or_default().push_back(Announcement { address, mac });
    }

    /// An advertisement of another router arrives.
    pub(super) fn hear_advertisement(&self, source: &str, octets: &[u8]) {
        let carrier =
            Carrier { source: source.parse().unwrap(), destination: Family::Ipv4.group(), ttl: 255 };
        self.0.borrow_mut().advertisements.push_back((carrier, octets.to_vec()));
    }
}

/// Sockets of one endpoint.
#[derive(Debug)]
pub(super) struct ScriptedSockets {
    host: ScriptedHost,
    index: u32,
    purpose: SocketPurpose,
}

impl ScriptedSockets {
    fn sent(&self, route: Route, message: &[u8]) -> io::Result<()> {
        let error = self.host.0.borrow_mut().send_errors.pop_front();
        if let Some(error) = error {
            return Err(io::Error::from_raw_os_error(error));
        }
        self.host.write(|| {
            let Route { source, destination } = route;
            let carrier = Carrier { source, destination, ttl: 255 };
            let priority = wire::parse(&carrier, message).unwrap().priority;
            format!("send priority {priority} from {source}")
        });
        Ok(())
    }
}

impl EndpointSockets for ScriptedSockets {
    fn index(&self) -> u32 {
        self.index
    }

    fn purpose(&self) -> SocketPurpose {
        self.purpose
    }

    fn adapt(&mut self, purpose: SocketPurpose) -> Adapted {
        match (self.purpose, purpose) {
            (SocketPurpose::Advertisements(_), SocketPurpose::Advertisements(addressee)) => {
                self.host.write(|| format!("hear {addressee:?}"));
                self.purpose = purpose;
                Adapted::Yes
            }
            (SocketPurpose::Announcements, _) | (_, SocketPurpose::Announcements) => Adapted::No,
        }
    }

    fn receive(&mut self, each: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<ReceiveReport> {
        loop {
            // The host is free while the message is handed on.
            let next = self.host.0.borrow_mut().advertisements.pop_front();
            let Some((carrier, octets)) = next else { return Ok(ReceiveReport::default()) };
            each(carrier, &octets);
        }
    }

    fn receive_from_own_addresses(&mut self, _: &mut dyn FnMut(Carrier, &[u8])) -> io::Result<Remaining> {
        Ok(Remaining::Nothing)
    }

    fn receive_announcements(&mut self, each: &mut dyn FnMut(Announcement)) -> io::Result<Remaining> {
        loop {
            let next =
                self.host.0.borrow_mut().announcements.get_mut(&self.index).and_then(VecDeque::pop_front);
            let Some(announcement) = next else { return Ok(Remaining::Nothing) };
            each(announcement);
        }
    }

    fn filter_announcements(&mut self, watched: AnnouncementFilter) {
        self.host.write(|| "set filters".to_owned());
        self.host.0.borrow_mut().announcement_filters.insert(self.index, watched);
    }

    fn filter_own_addresses(&mut self, sources: BTreeSet<Ipv4Addr>) {
        self.host.0.borrow_mut().own_address_filters.insert(self.index, sources);
    }

    fn send_batch(&mut self, messages: &OutgoingMessages, failed: &mut dyn FnMut(usize, io::Error)) {
        for (at, (route, message)) in messages.from(0).enumerate() {
            if let Err(error) = self.sent(route, message) {
                failed(at, error);
            }
        }
    }

    fn send(&mut self, route: Route, message: &[u8]) -> io::Result<()> {
        self.sent(route, message)
    }
}

impl ThreadIo for ScriptedHost {
    type Sockets = ScriptedSockets;

    fn now(&self) -> MonoTime {
        self.0.borrow().now
    }

    fn poll(&mut self, _endpoints: usize, ready: &mut Vec<Ready>) {
        ready.clear();
        let mut host = self.0.borrow_mut();
        ready.extend(std::mem::take(&mut host.mail).then_some(Ready::Mailbox));
        let waits = !host.advertisements.is_empty();
        ready.extend(waits.then_some(Ready::Socket(0, SocketKind::Advertisements)));
        let waiting = host.announcements.iter().filter(|(_, announcements)| !announcements.is_empty());
        let places = waiting.filter_map(|(index, _)| host.places.get(index));
        ready.extend(places.map(|place| Ready::Socket(*place, SocketKind::Announcements)));
    }

    /// Lets time pass until the deadline; without one, nothing will ever happen again.
    fn sleep_until(&mut self, deadline: Option<MonoTime>) -> io::Result<()> {
        let mut host = self.0.borrow_mut();
        let Some(deadline) = deadline else { return Err(io::Error::other("it sleeps for ever")) };
        host.now = host.now.max(deadline);
        Ok(())
    }

    fn open(
        &mut self,
        place: usize,
        (interface, index): (InterfaceName, u32),
        family: Family,
        purpose: SocketPurpose,
    ) -> Result<ScriptedSockets, String> {
        let only = match purpose {
            SocketPurpose::Advertisements(Addressee::Group) => "",
            SocketPurpose::Advertisements(Addressee::Host) => ", to this host",
            SocketPurpose::Advertisements(Addressee::Both) => ", to the group and to this host",
            SocketPurpose::Announcements => ", announcements only",
        };
        self.write(|| format!("open {place}: {interface} {index} {family}{only}"));
        self.0.borrow_mut().places.insert(index, place);
        let error = self.0.borrow().open_error;
        let sockets = || ScriptedSockets { purpose, ..self.sockets(index) };
        error.map_or_else(|| Ok(sockets()), |error| Err(error.to_owned()))
    }

    fn ask_to_forward(&mut self, _key: InstanceKey, epoch: u64, relieved: IpAddr) -> OrderResult {
        self.write(|| format!("forward to {relieved}, epoch {epoch}"));
        if self.0.borrow().forwards { OrderResult::Yes } else { OrderResult::No }
    }

    fn reset_connections(&mut self, _drain: DrainId) {
        self.write(|| "reset connections".to_owned());
    }

    fn tell_keeper(&mut self, command: KeeperCommand) -> Offer<KeeperCommand> {
        let mut host = self.0.borrow_mut();
        match &mut host.keeper_room {
            Some(0) => return Offer::Full(command),
            Some(room) => *room -= 1,
            None => {}
        }
        drop(host);
        self.write(|| match command {
            KeeperCommand::Declare { .. } => "declare".to_owned(),
            KeeperCommand::Forget { .. } => "forget".to_owned(),
            KeeperCommand::Hold { epoch, .. } => format!("hold addresses, epoch {epoch}"),
            KeeperCommand::Drain { epoch, .. } => format!("drain addresses, epoch {epoch}"),
            KeeperCommand::Release { epoch, .. } => format!("release addresses, epoch {epoch}"),
            KeeperCommand::Announce { .. } => "announce".to_owned(),
            KeeperCommand::Link(..) | KeeperCommand::Reconcile | KeeperCommand::Stop(_) => {
                "unexpected".to_owned()
            }
        });
        Offer::Taken
    }
}

/// The one router of these tests: web on eth0, VRID 51, with 192.0.2.50, of this priority.
pub(super) fn router(priority: u8) -> Vec<RouterSpec> {
    let text = format!(
        "[[virtual_router]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\npriority = {priority}\n\
         addresses = [\"192.0.2.50/24\"]\n"
    );
    crate::config::resolve(&text, "test.toml").unwrap_or_else(|errors| panic!("{errors:?}")).config.routers
}

/// The interface of that router.
pub(super) fn link(index: u32) -> LinkFacts {
    LinkFacts {
        index,
        mac: Some(MacAddr([2, 0, 0, 0, 0, 1])),
        mtu: 1500,
        up: true,
        carrier: true,
        ipv4: vec!["192.0.2.1".parse().unwrap()],
        ..LinkFacts::default()
    }
}
