//! The protocol thread: owns the core, its sockets and its one timer, and never blocks.
//!
//! The order of a turn is a rule ([`super::turn`]): everything that waits is heard, packets and then letters; then
//! due deadlines; then send; then sleep until the next absolute deadline. *Receive before you judge*: after a stall
//! the queued advertisements of every interface are seen before any timer fires.
//!
//! It must not log, allocate without bound, touch files or wait for another thread.

use super::clock;
use super::endpoint::{Ear, Endpoint, Fate};
use super::hooks::Gate;
use super::mailbox::{Letter, Mailbox};
use super::state::Note;
use super::turn::{self, Heard, Senses};
use crate::agent::{AgentEvent, CommandReply};
use crate::kernel::keeper::{AddressKeeper, Command as KeeperCommand, Refused};
use crate::kernel::vrrp_socket::{Received, Remaining};
use crate::protocol::{Command, CommandId, Effect, Effects, Input, Node, RouterSpec};
use crate::types::{Family, InstanceKey, InterfaceName, LinkFacts, MonoTime, RouterName};
use crate::wire::{self, Announcement, Carrier, Reject, RejectReason};
use ipnet::IpNet;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

const TIMER: u64 = 0;
const MAIL: u64 = 1;

/// Calls of 256 packets each for one socket in one round of listening. In the rounds of a turn that is more than the
/// socket's buffer holds: under a flood, too, what waited when the turn began has been heard before anything is judged.
const DRAINS: usize = 3;

/// Sockets that could not be opened are tried again this often.
const REOPEN: Duration = Duration::from_secs(1);

/// What a full keeper or scribe refused is offered again this soon.
const REOFFER: Duration = Duration::from_millis(5);

/// What the protocol thread tells the others.
#[derive(Debug)]
pub(crate) struct Outlets {
    /// Notable happenings. Full: dropped and counted in `lost`.
    pub(crate) events: mpsc::Sender<AgentEvent>,
    pub(crate) lost: Arc<AtomicU64>,
    /// What must survive a restart, and answers, in this order. Full: kept, and offered again.
    pub(crate) notes: mpsc::Sender<Note>,
    /// Fires when everything is let go after [`Letter::Shutdown`].
    pub(crate) stopped: oneshot::Sender<()>,
}

/// The protocol thread's state.
#[derive(Debug)]
pub(crate) struct Reactor {
    node: Node,
    epoll: Epoll,
    timer: TimerFd,
    armed: Option<MonoTime>,
    mailbox: Mailbox,
    endpoints: Vec<Endpoint>,
    /// What epoll says: with room for everything that it may say at once.
    ready: Vec<EpollEvent>,
    /// Everything is let go.
    over: Over,
    /// Where the configuration wants to be heard.
    configured: BTreeSet<(InterfaceName, Family)>,
    links: BTreeMap<InterfaceName, LinkFacts>,
    /// What the keeper was told of each virtual router, and of which generation of the core that is.
    declared: BTreeMap<InstanceKey, Vec<IpNet>>,
    declared_generation: u64,
    reopen_at: Option<MonoTime>,
    keeper: Arc<AddressKeeper>,
    /// What the keeper had no room for, oldest first: bounded by what the core can decide while a
    /// netlink batch runs.
    backlog: VecDeque<KeeperCommand>,
    /// What must be prepared before its addresses come.
    gate: Gate,
    events: mpsc::Sender<AgentEvent>,
    lost: Arc<AtomicU64>,
    notes: mpsc::Sender<Note>,
    /// What the scribe had no room for, oldest first: bounded by the commands under way, of which the
    /// control server has a limit.
    unsaid: VecDeque<Note>,
    stopped: oneshot::Sender<()>,
    asked: BTreeMap<CommandId, (RouterName, oneshot::Sender<CommandReply>)>,
    last_id: u64,
    effects: Effects,
}

/// Whether the thread ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    NotYet,
    Now,
}

impl Reactor {
    /// Opens what it needs. Sockets follow with [`Letter::Link`] and [`Letter::Configure`].
    pub(crate) fn new(mailbox: Mailbox, keeper: Arc<AddressKeeper>, outlets: Outlets) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer =
            TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        epoll.add(&mailbox, EpollEvent::new(EpollFlags::EPOLLIN, MAIL))?;
        Ok(Self {
            node: Node::new(),
            epoll,
            timer,
            armed: None,
            mailbox,
            endpoints: Vec::new(),
            ready: Vec::new(),
            over: Over::NotYet,
            configured: BTreeSet::new(),
            links: BTreeMap::new(),
            declared: BTreeMap::new(),
            declared_generation: 0,
            reopen_at: None,
            keeper,
            backlog: VecDeque::new(),
            gate: Gate::default(),
            events: outlets.events,
            lost: outlets.lost,
            notes: outlets.notes,
            unsaid: VecDeque::new(),
            stopped: outlets.stopped,
            asked: BTreeMap::new(),
            last_id: 0,
            effects: Effects::new(),
        })
    }

    /// Runs until everything is let go after [`Letter::Shutdown`].
    ///
    /// # Errors
    /// The kernel refused to wait or to set a timer: nothing can be kept on time any more.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut heard = Heard::Nothing;
        while self.over == Over::NotYet {
            self.arm_timer()?;
            match heard {
                Heard::Something => {} // There may be more.
                Heard::Nothing => self.sleep()?,
            }
            heard = turn::turn(&mut self);
        }
        for note in self.unsaid.drain(..) {
            let _ = self.notes.blocking_send(note);
        }
        let _ = self.stopped.send(());
        Ok(())
    }

    /// Waits until something is ready, whatever it is: a turn looks at everything.
    fn sleep(&mut self) -> io::Result<()> {
        match self.epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE) {
            // A signal, or the end of a stop: whatever is ready, the turn finds it.
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What is ready now.
    fn look(&mut self) -> Vec<EpollEvent> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.resize(2 + Ear::COUNT * self.endpoints.len(), EpollEvent::empty());
        let count = loop {
            match self.epoll.wait(&mut ready, EpollTimeout::ZERO) {
                Ok(count) => break count,
                Err(nix::errno::Errno::EINTR) => {}
                // It told of no error when we slept; if this one stays, the next sleep tells it.
                Err(_) => break 0,
            }
        };
        ready.truncate(count);
        ready
    }

    /// Silences it; what is due is found by looking, and it is armed anew.
    fn on_timer(&mut self) {
        self.armed = None;
        // Non-blocking: `EAGAIN` if it was armed anew meanwhile.
        let _ = self.timer.wait();
    }

    fn drain(&mut self, at: usize) {
        let Self { node, endpoints, effects, .. } = self;
        let Some(endpoint) = endpoints.get_mut(at) else { return };
        let (interface, family) = (endpoint.interface, endpoint.family);
        read_in_full(|| {
            let received = endpoint.receive(&mut |carrier, payload| {
                node.handle(clock::now(), heard(interface, family, carrier, payload), effects);
            })?;
            count_unreadable(node, clock::now(), interface, family, received, effects);
            Ok(received.remaining)
        });
    }

    /// What others say from addresses that we have as well.
    fn hear_martians(&mut self, at: usize) {
        let Self { node, endpoints, effects, .. } = self;
        let Some(endpoint) = endpoints.get(at) else { return };
        let (interface, family) = (endpoint.interface, endpoint.family);
        read_in_full(|| {
            endpoint.receive_martians(&mut |carrier, payload| {
                node.handle(clock::now(), heard(interface, family, carrier, payload), effects);
            })
        });
    }

    /// Where others say that addresses are.
    fn sight(&mut self, at: usize) {
        let Self { node, endpoints, effects, links, .. } = self;
        let Some(endpoint) = endpoints.get(at) else { return };
        let interface = endpoint.interface;
        let ours = |mac| links.values().any(|link| link.mac == Some(mac));
        read_in_full(|| {
            endpoint.sight(&mut |Announcement { address, mac }| {
                // A switch may reflect our own, and two interfaces may be on one LAN.
                if !ours(mac) {
                    node.handle(clock::now(), Input::AnnouncementHeard { interface, address, mac }, effects);
                }
            })
        });
    }

    fn on_letter(&mut self, now: MonoTime, letter: Letter) {
        match &letter {
            Letter::Link(name, facts) => self.on_link(now, *name, facts.as_ref()),
            Letter::Configure(specs) => self.prepare(now, specs),
            Letter::Inherit(specs) => self.prepare(now, specs),
            Letter::Owned(_)
            | Letter::Restored { .. }
            | Letter::Reinstalled { .. }
            | Letter::OtherName(..)
            | Letter::Unrestored { .. }
            | Letter::Check(..)
            | Letter::CheckGone(_)
            | Letter::Arrange(_)
            | Letter::Remembered(..)
            | Letter::Command(..)
            | Letter::Snapshot(_)
            | Letter::Prepared(..)
            | Letter::Shutdown => {}
        }
        let inherits = matches!(letter, Letter::Inherit(_));
        match letter.into_input() {
            Ok(input) => self.node.handle(now, input, &mut self.effects),
            Err(request) => self.on_request(now, *request),
        }
        if inherits {
            // The keeper was told what is there, which may be less than what is configured.
            self.declared_generation = self.node.generation();
        }
    }

    fn on_request(&mut self, now: MonoTime, request: Letter) {
        match request {
            Letter::Command(command, reply) => {
                self.last_id += 1;
                let id = CommandId(self.last_id);
                let (Command::Demote { router, .. } | Command::Promote { router }) = &command;
                self.asked.insert(id, (router.clone(), reply));
                self.node.handle(now, Input::Command(id, command), &mut self.effects);
            }
            Letter::Snapshot(reply) => {
                // Whoever asked may be gone.
                let _ = reply.send(self.node.snapshot(now));
            }
            Letter::Arrange(arrangement) => self.backlog.extend(self.gate.rearrange(*arrangement)),
            Letter::Prepared(router, run) => self.backlog.extend(self.gate.prepared(&router, run)),
            Letter::Link(..)
            | Letter::Owned(_)
            | Letter::Restored { .. }
            | Letter::Reinstalled { .. }
            | Letter::OtherName(..)
            | Letter::Unrestored { .. }
            | Letter::Remembered(..)
            | Letter::Check(..)
            | Letter::CheckGone(_)
            | Letter::Configure(_)
            | Letter::Inherit(_)
            | Letter::Shutdown => unreachable!("an input is no request"),
        }
    }

    fn on_link(&mut self, now: MonoTime, name: InterfaceName, facts: Option<&LinkFacts>) {
        match facts {
            Some(facts) => drop(self.links.insert(name, facts.clone())),
            None => {
                self.links.remove(&name);
                // It may be back in the same turn under the same index, and the sockets have lost their group.
                self.endpoints.iter_mut().filter(|e| e.interface == name).for_each(Endpoint::close);
            }
        }
        self.reopen_at = Some(now);
    }

    /// Endpoints are never removed: a slot is its epoll token.
    fn prepare(&mut self, now: MonoTime, specs: &[RouterSpec]) {
        self.configured = specs.iter().flat_map(RouterSpec::keys).map(socket_of).collect();
        for (interface, family) in self.configured.iter().copied() {
            if !self.endpoints.iter().any(|e| e.interface == interface && e.family == family) {
                self.endpoints.push(Endpoint::new(interface, family));
            }
        }
        self.reopen_at = Some(now);
        self.reopen(now);
    }

    /// Opens, reopens and closes sockets so that they fit the interfaces of this moment.
    fn reopen(&mut self, now: MonoTime) {
        if self.reopen_at.is_none_or(|at| at > now) {
            return;
        }
        self.reopen_at = None;
        // A router that left is heard and can speak until it is gone.
        let running = self.node.running().flat_map(RouterSpec::keys).map(socket_of);
        let used: BTreeSet<_> = running.chain(self.configured.iter().copied()).collect();
        for (at, endpoint) in (0..).zip(&mut self.endpoints) {
            let link = self.links.get(&endpoint.interface);
            let link = link.filter(|_| used.contains(&(endpoint.interface, endpoint.family)));
            let Some(facts) = link else {
                endpoint.close();
                continue;
            };
            endpoint.owns(&facts.ipv4);
            let index = facts.index;
            if endpoint.serves(index) {
                continue;
            }
            let outcome = endpoint.open(index, &self.epoll, at).map_err(|error| error.to_string());
            if outcome.is_err() {
                self.reopen_at = Some(now + REOPEN);
            }
            let input = Input::Sockets(endpoint.interface, endpoint.family, outcome);
            self.node.handle(now, input, &mut self.effects);
        }
    }

    /// Carries out what the core decided, in its order.
    fn carry_out(&mut self, now: MonoTime) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::HoldAddresses { key, epoch } => {
                    // After the last word of what it may replace.
                    self.declare(now);
                    self.watch_addresses_of(key);
                    self.backlog.extend(self.gate.own(now, key, epoch));
                }
                Effect::ReleaseAddresses { key, epoch } => {
                    // Our last word leaves before the addresses do.
                    self.flush(now);
                    if let Some(endpoint) = endpoint(&mut self.endpoints, key) {
                        endpoint.holds_not(key);
                    }
                    self.gate.disown(key);
                    self.backlog.push_back(KeeperCommand::Disown { key, epoch });
                }
                Effect::Advertise { key, .. } => self.enqueue(key, &effect),
                Effect::Announce { key, rounds } => {
                    self.flush(now);
                    self.backlog.push_back(KeeperCommand::Announce { key, rounds });
                }
                Effect::WatchAnnouncements { key } => {
                    if let Some(endpoint) = endpoint(&mut self.endpoints, key) {
                        endpoint.listen(key);
                    }
                }
                Effect::IgnoreAnnouncements { key } => {
                    if let Some(endpoint) = endpoint(&mut self.endpoints, key) {
                        endpoint.unlisten(key);
                    }
                }
                Effect::Report(event) => {
                    self.gate.on_event(&event);
                    if self.events.try_send(event.into()).is_err() {
                        self.lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Effect::Answer { id, answer } => {
                    if let Some((router, reply)) = self.asked.remove(&id) {
                        self.unsaid.push_back(Note::Answer { router, answer, reply });
                    }
                }
                Effect::SaveDemotion { router, demotion } => {
                    self.unsaid.push_back(Note::Remember { router, demotion });
                }
                Effect::Stopped => self.over = Over::Now,
            }
        }
        // What could not be sent has had effects meanwhile: they are carried out in the next turn.
        effects.append(&mut self.effects);
        self.effects = effects;
        self.declare(now);
        self.flush(now);
        self.backlog.extend(self.gate.flush());
    }

    /// Tells the keeper what runs, if that changed: not what is configured, for a router that leaves holds
    /// its addresses until it is gone.
    fn declare(&mut self, now: MonoTime) {
        if self.node.generation() == self.declared_generation {
            return;
        }
        self.declared_generation = self.node.generation();
        let running: BTreeMap<InstanceKey, Vec<IpNet>> = self.node.running().flat_map(declared).collect();
        for (key, wanted) in &running {
            let known = self.declared.get(key);
            if known != Some(wanted) {
                let (key, addresses) = (*key, wanted.clone());
                self.backlog.push_back(KeeperCommand::Declare { key, addresses });
            }
        }
        let gone = self.declared.keys().filter(|key| !running.contains_key(key));
        self.backlog.extend(gone.map(|key| KeeperCommand::Forget { key: *key }));
        self.declared = running;
        self.reopen_at = Some(now);
    }

    /// Their owner may speak from them, which the kernel takes for us.
    fn watch_addresses_of(&mut self, key: InstanceKey) {
        let (advertised, excluded) = self.node.addresses(key);
        if let Some(endpoint) = endpoint(&mut self.endpoints, key) {
            endpoint.holds(key, advertised.iter().chain(excluded).map(IpNet::addr));
        }
    }

    fn enqueue(&mut self, key: InstanceKey, effect: &Effect) {
        let (advertised, _) = self.node.addresses(key);
        if let Some(endpoint) = endpoint(&mut self.endpoints, key) {
            endpoint.enqueue(effect, advertised);
        }
    }

    fn flush(&mut self, now: MonoTime) {
        let Self { node, endpoints, effects, .. } = self;
        for endpoint in endpoints {
            endpoint.flush(&mut |key, fate| {
                let input = match fate {
                    Fate::Unsent(priority, errno) => Input::AdvertisementUnsent { key, priority, errno },
                    Fate::SentAgain => Input::AdvertisementSentAgain(key),
                };
                node.handle(now, input, effects);
            });
        }
    }

    /// Hands the keeper what it has room for.
    fn offer_backlog(&mut self) {
        while let Some(command) = self.backlog.pop_front() {
            match self.keeper.send(command) {
                Ok(()) => {}
                Err(Refused::Full(command)) => {
                    self.backlog.push_front(command);
                    return;
                }
                Err(Refused::Ended(_)) => return,
            }
        }
    }

    /// Hands the scribe what it has room for.
    fn offer_notes(&mut self) {
        while let Some(note) = self.unsaid.pop_front() {
            match self.notes.try_send(note) {
                Ok(()) => {}
                Err(TrySendError::Full(note)) => {
                    self.unsaid.push_front(note);
                    return;
                }
                // The agent ends.
                Err(TrySendError::Closed(_)) => return,
            }
        }
    }

    /// Sets the timer to the next deadline, if that changed. A deadline that has passed fires at once.
    fn arm_timer(&mut self) -> io::Result<()> {
        let waiting = !self.backlog.is_empty() || !self.unsaid.is_empty();
        let reoffer = waiting.then(|| clock::now() + REOFFER);
        let next = [self.node.next_deadline(), self.gate.deadline(), self.reopen_at, reoffer];
        let next = next.into_iter().flatten().min();
        if next == self.armed {
            return Ok(());
        }
        self.armed = next;
        match next {
            Some(at) => {
                // Zero would disarm it.
                let at = TimeSpec::from_duration(Duration::from_nanos(at.as_nanos().max(1)));
                self.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
            None => self.timer.unset()?,
        }
        Ok(())
    }
}

impl Senses for Reactor {
    fn now(&mut self) -> MonoTime {
        clock::now()
    }

    /// Every socket that has something, and the mailbox.
    fn hear(&mut self) -> Heard {
        let ready = self.look();
        let mut heard = Heard::Nothing;
        for event in &ready {
            match event.data() {
                TIMER => self.on_timer(),
                MAIL => self.mailbox.answer_bell(),
                token => {
                    heard = Heard::Something;
                    match Ear::of(token) {
                        (at, Ear::Advertisements) => self.drain(at),
                        (at, Ear::Martians) => self.hear_martians(at),
                        (at, Ear::Announcements) => self.sight(at),
                    }
                }
            }
        }
        self.ready = ready;
        while let Some(letter) = self.mailbox.next() {
            heard = Heard::Something;
            self.on_letter(clock::now(), letter);
        }
        heard
    }

    fn judge(&mut self, now: MonoTime) {
        self.node.handle(now, Input::Deadline, &mut self.effects);
        self.reopen(now);
        self.backlog.extend(self.gate.expire(now));
        self.carry_out(now);
        self.offer_backlog();
        self.offer_notes();
        self.endpoints.iter_mut().for_each(Endpoint::tune);
    }
}

/// The sockets of a virtual router.
fn endpoint(endpoints: &mut [Endpoint], key: InstanceKey) -> Option<&mut Endpoint> {
    endpoints.iter_mut().find(|e| (e.interface, e.family) == socket_of(key))
}

/// Where a virtual router is heard.
const fn socket_of(key: InstanceKey) -> (InterfaceName, Family) {
    (key.interface, key.family)
}

/// What the keeper is told of the virtual routers of one router: all their addresses, advertised or not.
fn declared(spec: &RouterSpec) -> impl Iterator<Item = (InstanceKey, Vec<IpNet>)> {
    spec.instances.iter().map(|instance| {
        let addresses = instance.held().copied().collect();
        (spec.key(instance.family), addresses)
    })
}

/// A message, read.
fn heard(interface: InterfaceName, family: Family, carrier: Carrier, payload: &[u8]) -> Input<'_> {
    match wire::parse(&carrier, payload) {
        Ok(advertisement) => Input::Received { interface, carrier, advertisement },
        Err(reject) => Input::Rejected { interface, family, source: Some(carrier.source), reject },
    }
}

/// Reads what waits in a socket, as much as is read in one round. ENETDOWN is told by the monitor as well, with more to
/// say.
fn read_in_full(mut receive: impl FnMut() -> io::Result<Remaining>) {
    for _ in 0..DRAINS {
        if !matches!(receive(), Ok(Remaining::Possibly)) {
            return;
        }
    }
}

/// Packets that could not be split into header and message are length errors of nobody in particular.
fn count_unreadable(
    node: &mut Node,
    now: MonoTime,
    interface: InterfaceName,
    family: Family,
    received: Received,
    effects: &mut Effects,
) {
    let reject = Reject { reason: RejectReason::PacketLengthErrors, vrid: None };
    for _ in 0..received.unreadable + received.truncated + received.fragmented {
        node.handle(now, Input::Rejected { interface, family, source: None, reject }, effects);
    }
}
