//! What a turn of the protocol thread does, without the kernel: it hears sockets and mailbox, feeds
//! the core, and carries out what the core decided, in its order.
//!
//! What it needs of the kernel and of the address thread is [`ThreadIo`]: [`super::kernel_io`], and
//! a scripted one in tests.

use super::arming::Armings;
use super::commands::PendingCommands;
use super::declarations::Declarations;
use super::endpoint::{Endpoint, EndpointSockets, SendResult, SocketKind, SocketPurpose};
use super::endpoints::Endpoints;
use super::mailbox::{Mailbox, Message, ThreadRequest};
use super::node_runner::NodeRunner;
use super::retry_queue::{Offer, RetryQueue};
use super::turn::{self, RoundResult, TurnSteps};
use crate::agent::AgentEvent;
use crate::kernel::keeper::KeeperCommand;
use crate::kernel::vrrp_socket::{ReceiveReport, Remaining};
use crate::protocol::{DrainId, Effect, Input};
use crate::runtime::draining::OrderResult;
use crate::runtime::hooks::HookGate;
use crate::runtime::state::WriterMessage;
use crate::types::{Family, InstanceKey, InterfaceName, MonoTime};
use crate::wire::{self, Announcement, Carrier, Reject, RejectReason};
use ipnet::IpNet;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Calls of 256 packets each for one socket in one round of listening. In the rounds of a turn that
/// is more than the socket's buffer holds: under a flood, too, what waited when the turn began has
/// been heard before anything is judged.
const CALLS: usize = 3;

/// Addresses that drain outlive their drain by this time in the kernel, which removes them if this
/// process does not live to do so. It is longer than the core's patience when connections are reset.
pub(crate) const OUTLIVES: Duration = Duration::from_secs(20);

/// What a full queue had no room for is offered again after this time.
const REOFFER: Duration = Duration::from_millis(5);

/// What the engine needs of the kernel and of the address thread.
pub(super) trait ThreadIo {
    /// The sockets of one interface and family.
    type Sockets: EndpointSockets;
    /// Reads the clock.
    fn now(&self) -> MonoTime;
    /// Replaces `ready` by what can be read now, of this many endpoints. Never waits.
    fn poll(&mut self, endpoints: usize, ready: &mut Vec<Ready>);
    /// Waits until something can be read or the deadline has passed; it may return before.
    fn sleep_until(&mut self, deadline: Option<MonoTime>) -> io::Result<()>;
    /// Opens the sockets of the endpoint at a place, for an interface with this index.
    fn open(
        &mut self,
        place: usize,
        interface: (InterfaceName, u32),
        family: Family,
        purpose: SocketPurpose,
    ) -> Result<Self::Sockets, String>;
    /// Asks for the rules by which connections of a router that is relieved are passed on to it,
    /// without waiting. The answer is [`ThreadRequest::Armed`].
    fn ask_to_forward(&mut self, key: InstanceKey, epoch: u64, relieved: IpAddr) -> OrderResult;
    /// Asks for connections to be reset, without waiting.
    fn reset_connections(&mut self, drain: DrainId);
    /// Hands a command to the address thread, without waiting.
    fn tell_keeper(&mut self, command: KeeperCommand) -> Offer<KeeperCommand>;
}

/// Something that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// The wake-up of the mailbox.
    Mailbox,
    /// A socket of the endpoint at this place.
    Socket(usize, SocketKind),
}

/// The state of the protocol thread.
#[derive(Debug)]
pub(super) struct Engine<I: ThreadIo> {
    io: I,
    runner: NodeRunner,
    mailbox: Mailbox,
    /// Room for what can be read.
    ready: Vec<Ready>,
    endpoints: Endpoints<I::Sockets>,
    declarations: Declarations,
    commands: PendingCommands,
    /// Keeps back addresses whose `before_active` has not ended.
    gate: HookGate,
    /// Keeps back addresses for a moment whose connections may be another router's.
    armings: Armings,
    /// For the address thread: bounded by what the core can decide while a netlink batch runs.
    to_keeper: RetryQueue<KeeperCommand>,
    /// For the writer of demotions: bounded by the commands under way, of which the control server
    /// has a limit.
    to_writer: RetryQueue<WriterMessage>,
    writer: mpsc::Sender<WriterMessage>,
    events: mpsc::Sender<AgentEvent>,
    lost: Arc<AtomicU64>,
    progress: Progress,
}

/// Whether the thread goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Running,
    /// Everything is released.
    Stopped,
}

impl<I: ThreadIo> Engine<I> {
    pub(super) fn new(
        io: I,
        mailbox: Mailbox,
        events: mpsc::Sender<AgentEvent>,
        lost: Arc<AtomicU64>,
        writer: mpsc::Sender<WriterMessage>,
    ) -> Self {
        Self {
            io,
            runner: NodeRunner::default(),
            mailbox,
            ready: Vec::new(),
            endpoints: Endpoints::new(),
            declarations: Declarations::default(),
            commands: PendingCommands::default(),
            gate: HookGate::default(),
            armings: Armings::default(),
            to_keeper: RetryQueue::new(),
            to_writer: RetryQueue::new(),
            writer,
            events,
            lost,
            progress: Progress::Running,
        }
    }

    /// Turns until everything is released. Then the writer of demotions gets what it had no room
    /// for; there is time to wait for it now.
    ///
    /// # Errors
    /// The kernel refused to wait.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let mut heard = RoundResult::Nothing;
        while self.progress == Progress::Running {
            match heard {
                RoundResult::Something => {} // There may be more.
                RoundResult::Nothing => self.io.sleep_until(self.deadline())?,
            }
            heard = turn::turn(self);
        }
        for message in self.to_writer.drain() {
            let _ = self.writer.blocking_send(message);
        }
        Ok(())
    }

    /// When the next turn has something to do, if nothing arrives before.
    fn deadline(&self) -> Option<MonoTime> {
        let waiting = !self.to_keeper.is_empty() || !self.to_writer.is_empty();
        let reoffer = waiting.then(|| self.io.now() + REOFFER);
        let kept = [self.gate.deadline(), self.armings.deadline()].into_iter().flatten().min();
        let next = [self.runner.node().next_deadline(), kept, self.endpoints.deadline(), reoffer];
        next.into_iter().flatten().min()
    }

    /// Reads a socket that can be read.
    fn receive(&mut self, place: usize, kind: SocketKind) {
        let Self { io, runner, endpoints, .. } = self;
        match kind {
            SocketKind::Advertisements => {
                let Some(endpoint) = endpoints.at(place) else { return };
                let (interface, family) = (endpoint.interface(), endpoint.family());
                read_in_full(|| {
                    let received = endpoint.receive(&mut |carrier, payload| {
                        runner.feed(io.now(), parsed(interface, family, carrier, payload));
                    })?;
                    count_unreadable(runner, io.now(), (interface, family), received);
                    Ok(received.remaining)
                });
            }
            SocketKind::OwnAddresses => {
                let Some(endpoint) = endpoints.at(place) else { return };
                let (interface, family) = (endpoint.interface(), endpoint.family());
                read_in_full(|| {
                    endpoint.receive_from_own_addresses(&mut |carrier, payload| {
                        runner.feed(io.now(), parsed(interface, family, carrier, payload));
                    })
                });
            }
            SocketKind::Announcements => {
                read_in_full(|| {
                    endpoints.receive_announcements(place, &mut |interface, Announcement { address, mac }| {
                        runner.feed(io.now(), Input::AnnouncementHeard { interface, address, mac });
                    })
                });
            }
        }
    }

    fn on_message(&mut self, now: MonoTime, message: Message) {
        match message {
            Message::Input(input) => self.on_input(now, input),
            Message::Request(request) => self.on_request(now, request),
        }
    }

    /// An input of another thread. Some of them concern the sockets as well, which then fit before
    /// the core decides.
    fn on_input(&mut self, now: MonoTime, input: Input<'static>) {
        if let Input::Link(name, facts) = &input {
            self.endpoints.on_link(now, *name, facts.as_ref());
        }
        if let Input::Configure(specs) | Input::FinishCrashedRun(specs) = &input {
            self.endpoints.configure(now, specs);
            self.reopen(now);
        }
        let crashed_run = matches!(input, Input::FinishCrashedRun(_));
        self.runner.feed(now, input);
        if crashed_run {
            self.declarations.assume_known(self.runner.node());
        }
    }

    fn on_request(&mut self, now: MonoTime, request: ThreadRequest) {
        match request {
            ThreadRequest::Command(command, reply) => {
                let input = self.commands.begin(command, reply);
                self.runner.feed(now, input);
            }
            ThreadRequest::Snapshot(reply) => {
                // Whoever asked may be gone.
                let _ = reply.send(self.runner.node().snapshot(now));
            }
            ThreadRequest::RouteHooks(routing) => {
                let passed = self.gate.reroute(*routing);
                self.pass_to_keeper(passed);
            }
            ThreadRequest::BeforeActiveEnded(router, run) => {
                let passed = self.gate.prepared(&router, run);
                self.pass_to_keeper(passed);
            }
            ThreadRequest::Armed(key, epoch) => self.to_keeper.extend(self.armings.end(key, epoch)),
        }
    }

    /// Opens and closes sockets so that they fit the interfaces of this moment.
    fn reopen(&mut self, now: MonoTime) {
        let Self { io, runner, endpoints, .. } = self;
        let mut results = Vec::new();
        endpoints.reopen(
            now,
            runner.node(),
            |place, interface, family, purpose| io.open(place, interface, family, purpose),
            |interface, family, outcome| results.push(Input::Sockets(interface, family, outcome)),
        );
        for result in results {
            runner.feed(now, result);
        }
    }

    /// Carries out what the core decided, in its order.
    fn carry_out(&mut self, now: MonoTime) {
        let mut effects = self.runner.take_effects();
        for effect in effects.drain(..) {
            self.carry_out_one(now, effect);
        }
        self.runner.reuse(effects);
        self.declare(now);
        self.flush(now);
        let passed = self.gate.flush();
        self.pass_to_keeper(passed);
    }

    /// The addresses of these commands are prepared: they come, unless they wait for rules.
    fn pass_to_keeper(&mut self, commands: impl IntoIterator<Item = KeeperCommand>) {
        let Self { armings, to_keeper, .. } = self;
        to_keeper.extend(commands.into_iter().filter_map(|command| armings.pass(command)));
    }

    fn carry_out_one(&mut self, now: MonoTime, effect: Effect) {
        match effect {
            Effect::HoldAddresses { key, epoch, relieved } => {
                // A router that this one replaces has sent its last advertisement by then.
                self.declare(now);
                self.hear_owners_of(key);
                self.armings.cancel(key);
                if let Some(relieved) = relieved
                    && self.io.ask_to_forward(key, epoch, relieved) == OrderResult::Yes
                {
                    self.armings.begin(now, key, epoch);
                }
                let passed = self.gate.hold(now, key, epoch);
                self.pass_to_keeper(passed);
            }
            Effect::ReleaseAddresses { key, epoch } => {
                self.let_go(now, key);
                self.to_keeper.push(KeeperCommand::Release { key, epoch });
            }
            Effect::DrainAddresses { key, epoch, until } => {
                self.let_go(now, key);
                let lifetime = until.since(now) + OUTLIVES;
                self.to_keeper.push(KeeperCommand::Drain { key, epoch, lifetime });
            }
            Effect::ResetConnections(drain) => self.io.reset_connections(drain),
            Effect::Advertise { key, .. } => {
                let (advertised, _) = self.runner.node().addresses(key);
                if let Some(endpoint) = self.endpoints.of(key) {
                    endpoint.enqueue(&effect, advertised);
                }
            }
            Effect::Announce { key, rounds } => {
                self.flush(now);
                self.to_keeper.push(KeeperCommand::Announce { key, rounds });
            }
            Effect::WatchAnnouncements { key } => {
                let interface = self.runner.node().address_interface(key);
                if let Some(endpoint) = self.endpoints.at_interface(interface, key.family) {
                    endpoint.watch_announcements(key);
                }
            }
            Effect::IgnoreAnnouncements { key } => {
                self.endpoints.iter_mut().for_each(|endpoint| endpoint.ignore_announcements(key));
            }
            Effect::Report(event) => {
                self.gate.on_event(&event);
                if self.events.try_send(event.into()).is_err() {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
            Effect::Answer { id, answer } => self.to_writer.extend(self.commands.finish(id, answer)),
            Effect::SaveDemotion { router, demotion } => {
                self.to_writer.push(WriterMessage::Save { router, demotion });
            }
            Effect::Stopped => self.progress = Progress::Stopped,
        }
    }

    /// The addresses of an instance go. Our last advertisement leaves before they do.
    fn let_go(&mut self, now: MonoTime, key: InstanceKey) {
        self.flush(now);
        self.endpoints.iter_mut().for_each(|endpoint| endpoint.release(key));
        self.gate.release(key);
        self.armings.cancel(key);
    }

    /// Tells the address thread what runs, if that has changed.
    fn declare(&mut self, now: MonoTime) {
        if let Some(commands) = self.declarations.update(self.runner.node()) {
            self.to_keeper.extend(commands);
            self.endpoints.running_changed(now);
        }
    }

    /// The owner of an address that `key` will hold may advertise from it, which the kernel takes
    /// for our own; and others may announce it where `key` has its addresses.
    fn hear_owners_of(&mut self, key: InstanceKey) {
        let (advertised, excluded) = self.runner.node().addresses(key);
        let interfaces = [key.interface, self.runner.node().address_interface(key)];
        let concerned = |endpoint: &&mut Endpoint<I::Sockets>| {
            endpoint.family() == key.family && interfaces.contains(&endpoint.interface())
        };
        for endpoint in self.endpoints.iter_mut().filter(concerned) {
            endpoint.hold(key, advertised.iter().chain(excluded).map(IpNet::addr));
        }
    }

    /// Sends the advertisements that wait. What follows from one that was not sent is carried out
    /// in the next turn.
    fn flush(&mut self, now: MonoTime) {
        let Self { runner, endpoints, .. } = self;
        endpoints.flush(&mut |key, destination, result| {
            let input = match result {
                SendResult::Unsent(priority, errno) => {
                    Input::AdvertisementUnsent { key, destination, priority, errno }
                }
                SendResult::SentAgain => Input::AdvertisementSentAgain(key, destination),
            };
            runner.feed(now, input);
        });
    }

    /// Hands over what the address thread and the writer of demotions have room for.
    fn offer(&mut self) {
        let Self { io, writer, to_keeper, to_writer, .. } = self;
        to_keeper.offer(|command| io.tell_keeper(command));
        to_writer.offer(|message| match writer.try_send(message) {
            Ok(()) => Offer::Taken,
            Err(TrySendError::Full(message)) => Offer::Full(message),
            Err(TrySendError::Closed(_)) => Offer::Ended,
        });
    }
}

impl<I: ThreadIo> TurnSteps for Engine<I> {
    fn now(&mut self) -> MonoTime {
        self.io.now()
    }

    /// Every socket that has something, and the mailbox.
    fn hear(&mut self) -> RoundResult {
        let mut ready = std::mem::take(&mut self.ready);
        self.io.poll(self.endpoints.len(), &mut ready);
        let mut heard = RoundResult::Nothing;
        for source in &ready {
            match *source {
                Ready::Mailbox => self.mailbox.clear_wakeup(),
                Ready::Socket(place, kind) => {
                    heard = RoundResult::Something;
                    self.receive(place, kind);
                }
            }
        }
        self.ready = ready;
        while let Some(message) = self.mailbox.next() {
            heard = RoundResult::Something;
            self.on_message(self.io.now(), message);
        }
        heard
    }

    fn judge(&mut self, now: MonoTime) {
        self.runner.feed(now, Input::Deadline);
        self.reopen(now);
        let prepared = self.gate.expire(now);
        self.pass_to_keeper(prepared);
        self.to_keeper.extend(self.armings.expire(now));
        self.carry_out(now);
        self.offer();
        self.endpoints.update_filters();
    }
}

/// The input that a message is.
fn parsed(interface: InterfaceName, family: Family, carrier: Carrier, payload: &[u8]) -> Input<'_> {
    match wire::parse(&carrier, payload) {
        Ok(advertisement) => Input::Received { interface, carrier, advertisement },
        Err(reject) => Input::Rejected { interface, family, carrier: Some(carrier), reject },
    }
}

/// Reads what waits in a socket, as much as is read in one round. An error ends it: that the link
/// is down (ENETDOWN) is told by the monitor as well, with more to say.
fn read_in_full(mut receive: impl FnMut() -> io::Result<Remaining>) {
    for _ in 0..CALLS {
        if !matches!(receive(), Ok(Remaining::Possibly)) {
            return;
        }
    }
}

/// Packets that could not be split into header and message are length errors of no particular
/// instance.
fn count_unreadable(
    runner: &mut NodeRunner,
    now: MonoTime,
    (interface, family): (InterfaceName, Family),
    received: ReceiveReport,
) {
    let reject = Reject { reason: RejectReason::PacketLengthErrors, vrid: None, version: None };
    for _ in 0..received.unreadable + received.truncated + received.fragmented {
        runner.feed(now, Input::Rejected { interface, family, carrier: None, reject });
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
