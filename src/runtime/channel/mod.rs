//! The task of the channel between nodes: joins the pure [`Channel`] with its sockets, the clock,
//! the file of the key and the protocol thread (docs/adr/0035).
//!
//! It runs on the main thread. Nothing that the protocol must do on time waits for it: if it
//! hangs, elections go on, and the other nodes miss this one's reports. Without a key it does
//! nothing.

mod drains;
mod forwarder_watch;
mod hand_over;
pub(in crate::runtime) mod key;
mod local;
mod probes;
mod sockets;

use self::drains::{ForwardingInstances, LonelyDrains, PartnersByInstance};
use self::forwarder_watch::{AbilityNews, ForwarderWatch};
use self::local::LinkReach;
use self::sockets::{ChannelArrival, ChannelSockets, DATAGRAMS};
use super::clock;
use super::draining::{
    DrainStatuses, ForwardOrder, ForwarderHandle, ForwarderStart, ForwardingReport, ForwardingWanted,
    OrderResult,
};
use super::protocol_thread::mailbox::{Sender, ThreadRequest};
use crate::agent::{AgentEvent, AgentEventKind, ChannelState, ChannelStatus, NodeNames};
use crate::channel::{
    Channel, ChannelEffect, ChannelEvent, ChannelInput, ChannelLink, DrainView, HandoverRequest, LocalLink,
    LocalNode, TakeOutcome,
};
use crate::config::Config;
use crate::kernel::blocking;
use crate::kernel::channel_socket::ChannelDatagram;
use crate::protocol::{DrainId, Input};
use crate::types::{Connection, InstanceKey, MonoTime, RouterName};
use crate::wire::channel::{ChannelKey, SessionId, TakeAnswer};
use crate::words::Stamp;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

/// Number of requests that may wait; senders wait when there is no room.
const REQUESTS: usize = 16;
/// The routers are looked at this long after something happened, so that many events at once cause
/// one look.
const CALM: Duration = Duration::from_millis(20);
/// The sockets are looked at this often.
const LOOK_AT_SOCKETS: Duration = Duration::from_secs(1);
/// The routers are looked at this often even if nothing happened: another source address is no
/// event.
const LOOK_AT_ROUTERS: Duration = Duration::from_secs(10);
/// The limit for an answer about the other nodes. While the disk of the key hangs, the rest of the
/// state is told without it.
const ANSWER: Duration = Duration::from_millis(300);
/// The limit for reading the key; after this time its disk hangs.
const READING: Duration = Duration::from_secs(5);

/// The settings of the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChannelSettings {
    /// The name of this node.
    pub(crate) node: String,
    /// The file of the key; `None`: there is no channel.
    pub(crate) key_file: Option<PathBuf>,
    /// The UDP port.
    pub(crate) port: u16,
}

impl ChannelSettings {
    pub(crate) fn of(config: &Config, node: &str) -> Self {
        let (key_file, port) = (config.agent.peer_key_file.clone(), config.agent.peer_port);
        Self { node: node.to_owned(), key_file, port }
    }
}

/// What is asked of the task.
#[derive(Debug)]
enum ChannelRequest {
    /// An operator wants a router to become Active here.
    Take { router: RouterName, by: String, reply: oneshot::Sender<TakeOutcome> },
    /// This node has handed over to another one, or has not.
    HandedOver(HandoverRequest, TakeAnswer),
    /// Open connections that this node still serves.
    Connections(ChannelLink, u8, Vec<Connection>),
    /// Whether the connections of a router of this node could be left to the node that would take
    /// over now: its name, or why not.
    DrainOutlook(RouterName, oneshot::Sender<Result<String, String>>),
    /// What is known about the other nodes.
    Status(oneshot::Sender<ChannelStatus>),
    /// This node stops; the sender is dropped when the others have been told.
    Farewell(oneshot::Sender<()>),
}

/// The other end of the task.
#[derive(Debug, Clone)]
pub(crate) struct ChannelHandle {
    requests: mpsc::Sender<ChannelRequest>,
    changed: Arc<Notify>,
}

/// What the task needs of the rest of the agent.
#[derive(Debug)]
pub(crate) struct ChannelOutlets {
    /// The settings, marked as changed at each reload.
    pub(crate) settings: watch::Receiver<ChannelSettings>,
    pub(crate) mail: Sender,
    /// If the queue is full, an event is dropped and counted in `lost`.
    pub(crate) events: mpsc::Sender<AgentEvent>,
    pub(crate) lost: Arc<AtomicU64>,
    /// The names of the other nodes.
    pub(crate) names: watch::Sender<NodeNames>,
    /// The thread that passes on packets of other nodes' connections.
    pub(crate) forwarder: ForwarderHandle,
    /// What drains here.
    pub(crate) drains: watch::Receiver<DrainStatuses>,
}

impl ChannelHandle {
    /// Starts the task.
    pub(crate) fn start(outlets: ChannelOutlets) -> Self {
        let (requests_in, requests) = mpsc::channel(REQUESTS);
        let changed = Arc::new(Notify::new());
        let forwarding = outlets.forwarder.report();
        let task = ChannelTask {
            outlets,
            forwarding,
            requests,
            requests_in: requests_in.downgrade(),
            changed: Arc::clone(&changed),
            broken: None,
            lonely: LonelyDrains::default(),
            takes: BTreeMap::new(),
            next_take: 0,
        };
        tokio::spawn(task.run());
        Self { requests: requests_in, changed }
    }

    /// A handle without a task.
    #[cfg(test)]
    pub(in crate::runtime) fn closed() -> Self {
        Self { requests: mpsc::channel(1).0, changed: Arc::default() }
    }

    /// Something about the routers of this node may have changed.
    pub(crate) fn look_again(&self) {
        self.changed.notify_one();
    }

    /// What is known about the other nodes.
    pub(crate) async fn status(&self) -> ChannelStatus {
        let (reply, status) = oneshot::channel();
        let exchange = async {
            self.requests.send(ChannelRequest::Status(reply)).await.ok()?;
            status.await.ok()
        };
        match timeout(ANSWER, exchange).await {
            Ok(status) => status.unwrap_or_default(),
            Err(_) => {
                let state = ChannelState::Broken("the file of the key is still being read".to_owned());
                ChannelStatus { state, ..ChannelStatus::default() }
            }
        }
    }

    /// Asks the Active to hand over to this node.
    pub(crate) async fn take(&self, router: RouterName, by: String) -> TakeOutcome {
        let (reply, outcome) = oneshot::channel();
        let stopping = || TakeOutcome::Refused("vrrpd is stopping here".to_owned());
        match self.requests.send(ChannelRequest::Take { router, by, reply }).await {
            Ok(()) => outcome.await.unwrap_or_else(|_| stopping()),
            Err(_) => stopping(),
        }
    }

    /// Sends open connections of an instance that drains to the node that is Active.
    pub(in crate::runtime) async fn connections(
        &self,
        link: ChannelLink,
        vrid: u8,
        connections: Vec<Connection>,
    ) {
        let _ = self.requests.send(ChannelRequest::Connections(link, vrid, connections)).await;
    }

    /// Whether the connections of a router could be left to the node that would take over now: its
    /// name, or why not.
    pub(crate) async fn drain_outlook(&self, router: RouterName) -> Result<String, String> {
        let (reply, outlook) = oneshot::channel();
        let exchange = async {
            self.requests.send(ChannelRequest::DrainOutlook(router, reply)).await.ok()?;
            outlook.await.ok()
        };
        let unknown = || Err("vrrpd does not know the other nodes at this moment".to_owned());
        timeout(ANSWER, exchange).await.ok().flatten().unwrap_or_else(unknown)
    }

    /// Tells the other nodes that this one stops.
    pub(crate) async fn farewell(&self) {
        let (done_in, done) = oneshot::channel();
        if self.requests.send(ChannelRequest::Farewell(done_in)).await.is_ok() {
            let _ = done.await;
        }
    }
}

/// The task.
#[derive(Debug)]
struct ChannelTask {
    outlets: ChannelOutlets,
    /// What the forwarder can do, and what it does.
    forwarding: watch::Receiver<ForwardingReport>,
    requests: mpsc::Receiver<ChannelRequest>,
    /// For hand-overs that are under way. It is weak, so that the task ends with its handles.
    requests_in: mpsc::WeakSender<ChannelRequest>,
    changed: Arc<Notify>,
    /// Why there is no channel although one is configured.
    broken: Option<String>,
    /// What drains here while there is no channel.
    lonely: LonelyDrains,
    takes: BTreeMap<u64, oneshot::Sender<TakeOutcome>>,
    next_take: u64,
}

/// A channel with a key.
struct OpenChannel {
    settings: ChannelSettings,
    key: ChannelKey,
    channel: Channel,
    sockets: ChannelSockets,
    /// What this node last said of itself.
    local: BTreeMap<ChannelLink, LocalLink>,
    /// How its links are reached.
    reach: BTreeMap<ChannelLink, LinkReach>,
    /// What others were last told about draining.
    instances: ForwardingInstances,
    partners: PartnersByInstance,
    better_backups: BTreeMap<InstanceKey, u8>,
    wanted: ForwardingWanted,
    wanted_is_told: bool,
    drain_view: Arc<DrainView>,
    forwarder: ForwarderWatch,
    /// When the sockets, and the routers, are looked at next.
    sockets_at: MonoTime,
    routers_at: MonoTime,
}

/// What the task does next.
enum NextStep {
    Settings,
    Request(ChannelRequest),
    Arrived(ChannelLink, ChannelArrival),
    /// What drains here, or what is passed on, has changed.
    Drains,
    Forwarding,
    Look,
    Deadline,
    End,
}

impl ChannelTask {
    async fn run(mut self) {
        let (arrived_in, mut arrived) = mpsc::channel(DATAGRAMS);
        let mut open = self.reopen(None, &arrived_in).await;
        loop {
            let wakes_at = open.as_ref().map_or(self.lonely.wakes_at(), |open| Some(open.wakes_at()));
            let wait = wakes_at.map(|at| at.since(clock::now()));
            match self.next_step(&mut arrived, wait).await {
                NextStep::End => return,
                NextStep::Settings => {
                    open = self.reopen(open.take(), &arrived_in).await;
                    // A new channel has heard nothing of it.
                    self.tell_drains(open.as_mut());
                }
                NextStep::Request(request) => self.on_request(open.as_mut(), request),
                NextStep::Arrived(
                    link,
                    ChannelArrival::Datagram(ChannelDatagram { source, ttl, octets }),
                ) => {
                    // Nobody beyond the link can send us anything, unless the configuration says so.
                    let believing = open.as_mut().filter(|open| open.admits(link, source, ttl));
                    self.feed(believing, ChannelInput::Received { link, source, octets: &octets });
                }
                NextStep::Arrived(link, ChannelArrival::Probe(octets)) => {
                    self.feed(open.as_mut(), ChannelInput::ProbeHeard { link, octets: &octets });
                }
                NextStep::Drains => self.tell_drains(open.as_mut()),
                NextStep::Forwarding => {
                    if let Some(open) = open.as_mut() {
                        self.look_at_forwarder(open);
                    }
                }
                NextStep::Look => {
                    if let Some(open) = open.as_mut() {
                        open.routers_at = open.routers_at.min(clock::now() + CALM);
                    }
                }
                NextStep::Deadline => {}
            }
            match open.as_mut() {
                Some(open) => {
                    self.lonely = LonelyDrains::default();
                    self.do_what_is_due(open).await;
                }
                None => self.end_lonely_drains(),
            }
        }
    }

    /// Without a channel nobody can say that it passes on packets, and nobody does.
    fn end_lonely_drains(&mut self) {
        for drain in self.lonely.lost(clock::now(), &self.outlets.drains.borrow()) {
            let DrainId { key, .. } = drain;
            tracing::warn!(interface = %key.interface, family = %key.family, vrid = key.vrid.get(), "no node passes on what belongs to this node, because the nodes do not know one another");
            let _ = self.outlets.mail.send(Input::ForwardingLost(drain));
        }
    }

    /// Waits for the next thing to do.
    async fn next_step(
        &mut self,
        arrived: &mut mpsc::Receiver<(ChannelLink, ChannelArrival)>,
        wait: Option<Duration>,
    ) -> NextStep {
        let deadline = async {
            match wait {
                Some(wait) => sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.outlets.settings.changed() => match changed {
                Ok(()) => NextStep::Settings,
                // The task of the configuration has ended: the agent stops, and says farewell.
                Err(_) => match self.requests.recv().await {
                    Some(request) => NextStep::Request(request),
                    None => NextStep::End,
                },
            },
            request = self.requests.recv() => request.map_or(NextStep::End, NextStep::Request),
            Some((link, arrival)) = arrived.recv() => NextStep::Arrived(link, arrival),
            Ok(()) = self.outlets.drains.changed() => NextStep::Drains,
            Ok(()) = self.forwarding.changed() => NextStep::Forwarding,
            () = self.changed.notified() => NextStep::Look,
            () = deadline => NextStep::Deadline,
        }
    }

    /// Opens the channel as configured. It goes on if nothing has changed that matters; with another
    /// key it begins a new session.
    async fn reopen(
        &mut self,
        mut open: Option<OpenChannel>,
        arrived: &mpsc::Sender<(ChannelLink, ChannelArrival)>,
    ) -> Option<OpenChannel> {
        let settings = self.outlets.settings.borrow_and_update().clone();
        self.broken = None;
        let Some(file) = settings.key_file.clone() else {
            if open.is_some() {
                self.feed(open.as_mut(), ChannelInput::Farewell);
                self.forget_others("the channel between the nodes was switched off (peer_key_file)");
            }
            return None;
        };
        let reading = blocking::spawn({
            let file = file.clone();
            move || key::read(&file)
        });
        let read = match timeout(READING, reading).await {
            Ok(Ok(Ok(key))) => Ok(key),
            Ok(Ok(Err(problem))) => Err(problem.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("its disk does not answer within {READING:?}")),
        };
        let file = file.display();
        let opened = read.and_then(|key| match open.take() {
            Some(open) if open.key == key && open.settings.port == settings.port => {
                Ok(OpenChannel { settings, routers_at: clock::now(), ..open })
            }
            mut before @ (Some(_) | None) => {
                if before.is_some() {
                    self.feed(before.as_mut(), ChannelInput::Farewell);
                    self.forget_others(
                        "the nodes do not know one another yet, because the key or the port has changed",
                    );
                }
                let session = session().map_err(|error| format!("no random numbers: {error}"))?;
                let channel = Channel::new(session, key.clone());
                let sockets = ChannelSockets::new(settings.port, arrived.clone());
                let now = clock::now();
                Ok(OpenChannel {
                    settings,
                    key,
                    channel,
                    sockets,
                    local: BTreeMap::new(),
                    reach: BTreeMap::new(),
                    instances: ForwardingInstances::new(),
                    partners: PartnersByInstance::new(),
                    better_backups: BTreeMap::new(),
                    wanted: ForwardingWanted::default(),
                    wanted_is_told: false,
                    drain_view: Arc::default(),
                    forwarder: ForwarderWatch::default(),
                    sockets_at: now,
                    routers_at: now,
                })
            }
        });
        match opened {
            Ok(opened) => Some(opened),
            Err(why) => {
                tracing::error!("the nodes cannot talk to one another: peer_key_file {file}: {why}");
                let earlier = if open.is_some() { "; the earlier key stays in use" } else { "" };
                self.broken = Some(format!("peer_key_file {file}: {why}{earlier}"));
                open
            }
        }
    }

    /// The channel that the other nodes were known by has ended. Nobody would end the requests of
    /// operators that wait for an answer from there.
    fn forget_others(&mut self, why: &str) {
        self.outlets.names.send_replace(NodeNames::default());
        let _ = self.outlets.mail.send(Input::DrainPartners(PartnersByInstance::new()));
        let _ = self.outlets.mail.send(Input::BetterBackups(BTreeMap::new()));
        self.outlets.forwarder.order(ForwardOrder::Wanted(Box::default()));
        for (_, reply) in std::mem::take(&mut self.takes) {
            let _ = reply.send(TakeOutcome::Refused(why.to_owned()));
        }
    }

    /// Tells the other nodes what drains here.
    fn tell_drains(&mut self, open: Option<&mut OpenChannel>) {
        let local = drains::local_drains(&self.outlets.drains.borrow_and_update());
        self.feed(open, ChannelInput::Draining(local));
    }

    /// Tells the other nodes what is passed on here. What this node can do may be known only now, or
    /// have changed: then the routers are looked at.
    fn look_at_forwarder(&mut self, open: &mut OpenChannel) {
        let now = clock::now();
        let silent = self.outlets.forwarder.silent_since(now);
        let news = open.forwarder.look(&self.forwarding.borrow_and_update(), silent, &open.instances);
        if news.abilities == AbilityNews::Changed {
            open.routers_at = open.routers_at.min(now + CALM);
        }
        if let Some(forwarded) = news.forwarded {
            self.feed(Some(open), ChannelInput::Forwarding(forwarded));
        }
    }

    async fn do_what_is_due(&mut self, open: &mut OpenChannel) {
        let now = clock::now();
        if open.routers_at <= now {
            open.routers_at = now + LOOK_AT_ROUTERS;
            self.look_at_routers(open).await;
        }
        if open.sockets_at <= now {
            open.sockets_at = now + LOOK_AT_SOCKETS;
            // It does not say itself that it is silent.
            self.look_at_forwarder(open);
            open.sockets.update(&open.reach, drains::probes_wanted(&open.instances));
        }
        if open.channel.wakes_at().is_some_and(|at| at <= clock::now()) {
            self.feed(Some(open), ChannelInput::Deadline);
        }
    }

    async fn look_at_routers(&mut self, open: &mut OpenChannel) {
        let (reply, snapshot) = oneshot::channel();
        if self.outlets.mail.send(ThreadRequest::Snapshot(reply)).is_err() {
            return;
        }
        let Ok(snapshot) = snapshot.await else { return };
        let instances = drains::instances(&snapshot);
        // A node that keeps no connections does not try what that needs of the kernel.
        if drains::keeps(&instances) {
            match self.outlets.forwarder.start(&self.outlets.mail) {
                // One that takes the place of another knows nothing.
                Ok(ForwarderStart::Begun) => open.wanted = ForwardingWanted::default(),
                Ok(ForwarderStart::Unchanged) => {}
                Err(error) => {
                    tracing::error!(%error, "packets of other nodes' connections cannot be passed on: no thread");
                }
            }
        }
        let silent = self.outlets.forwarder.silent_since(clock::now());
        let abilities = drains::abilities(&self.forwarding.borrow(), silent, &instances);
        open.forwarder.told(abilities);
        let local = LocalNode { abilities, ..local::local_node(&open.settings.node, &snapshot) };
        open.instances = instances;
        open.wanted_is_told = false;
        open.reach = local::reach(&snapshot);
        open.sockets.update(&open.reach, drains::probes_wanted(&open.instances));
        open.local.clone_from(&local.links);
        self.feed(Some(open), ChannelInput::Local(local));
    }

    fn on_request(&mut self, open: Option<&mut OpenChannel>, request: ChannelRequest) {
        match request {
            ChannelRequest::Status(reply) => {
                let _ = reply.send(self.status(open.as_deref()));
            }
            ChannelRequest::Take { router, by, reply } => {
                if open.is_none() {
                    let why = "the nodes do not know one another: this needs peer_key_file in [agent]";
                    let _ = reply.send(TakeOutcome::Refused(why.to_owned()));
                    return;
                }
                self.next_take += 1;
                let id = self.next_take;
                self.takes.insert(id, reply);
                self.feed(open, ChannelInput::Take { id, router, by });
            }
            ChannelRequest::HandedOver(request, answer) => {
                self.feed(open, ChannelInput::HandedOver(request, answer));
            }
            ChannelRequest::Connections(link, vrid, connections) => {
                self.feed(open, ChannelInput::Connections { link, vrid, connections: &connections });
            }
            ChannelRequest::DrainOutlook(router, reply) => {
                let unknown = "the nodes do not know one another: this needs peer_key_file in [agent]";
                let outlook = open.map(|open| open.channel.drain_outlook(clock::now(), &router));
                let _ = reply.send(outlook.unwrap_or_else(|| Err(unknown.to_owned())));
            }
            ChannelRequest::Farewell(_done) => self.feed(open, ChannelInput::Farewell),
        }
    }

    /// Gives the channel an input and carries out what follows.
    fn feed(&mut self, open: Option<&mut OpenChannel>, input: ChannelInput<'_>) {
        let Some(open) = open else { return };
        let effects = open.channel.handle(clock::now(), input);
        // Before the events, which are told with the names that are known with them.
        self.publish_names(open);
        self.publish_drains(open);
        for effect in effects {
            match effect {
                ChannelEffect::Send { link, to, octets } => {
                    let Some(here) = open.local.get(&link) else { continue };
                    let Some(source) = here.source else { continue };
                    let everybody: Vec<IpAddr> = here.destinations.iter().copied().collect();
                    for to in to.map_or(everybody, |to| vec![to]) {
                        open.sockets.send(link, source, to, &octets);
                    }
                }
                ChannelEffect::Report(event) => self.report(event),
                ChannelEffect::HandOver { request, router, by, afterwards } => {
                    let (mail, requests) = (self.outlets.mail.clone(), self.requests_in.clone());
                    tracing::info!(%router, by, "another node asks to take over");
                    tokio::spawn(async move {
                        let answer = hand_over::hand_over(&mail, router, by, afterwards).await;
                        if let Some(requests) = requests.upgrade() {
                            let _ = requests.send(ChannelRequest::HandedOver(request, answer)).await;
                        }
                    });
                }
                ChannelEffect::SendProbe { link, to, octets } => open.sockets.send_probe(link, to, octets),
                ChannelEffect::Listed { link, vrid, leaver, connections } => {
                    if let Some(key) = drains::key(link, vrid) {
                        // What has no room is listed again.
                        self.outlets.forwarder.order(ForwardOrder::Listed { key, leaver, connections });
                    }
                }
                ChannelEffect::ForwardingLost { link, vrid, since, node } => {
                    if let Some(key) = drains::key(link, vrid) {
                        let words = match node {
                            Some(node) => format!(
                                "{node} serves the addresses, and does not pass on what belongs to this node"
                            ),
                            None => "none of the nodes that are heard serves the addresses".to_owned(),
                        };
                        tracing::warn!(interface = %key.interface, family = %key.family, vrid, "{words}");
                        let _ = self.outlets.mail.send(Input::ForwardingLost(DrainId { key, since }));
                    }
                }
                ChannelEffect::TakeEnded { id, outcome } => {
                    if let Some(reply) = self.takes.remove(&id) {
                        let _ = reply.send(outcome);
                    }
                }
            }
        }
    }

    fn report(&self, event: ChannelEvent) {
        let router = event.router().cloned();
        let kind = AgentEventKind::Channel(event);
        let event = match router {
            Some(router) => AgentEvent::of_router(router, kind),
            None => AgentEvent::of_node(kind),
        };
        if self.outlets.events.try_send(event).is_err() {
            self.outlets.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn publish_names(&self, open: &OpenChannel) {
        let names: NodeNames = open.channel.names().collect();
        self.outlets.names.send_if_modified(|known| {
            let changed = *known != names;
            *known = names;
            changed
        });
    }

    /// Tells the core and the forwarder what they must know, if it has changed.
    fn publish_drains(&self, open: &mut OpenChannel) {
        let view = Arc::clone(open.channel.drains());
        if Arc::ptr_eq(&view, &open.drain_view) && open.wanted_is_told {
            return;
        }
        open.drain_view = Arc::clone(&view);
        let partners = drains::partners(&view);
        if partners != open.partners {
            open.partners.clone_from(&partners);
            let _ = self.outlets.mail.send(Input::DrainPartners(partners));
        }
        let better = drains::better_backups(&view);
        if better != open.better_backups {
            open.better_backups.clone_from(&better);
            let _ = self.outlets.mail.send(Input::BetterBackups(better));
        }
        let wanted = drains::wanted(&open.instances, &view, &open.wanted);
        open.wanted_is_told = wanted == open.wanted || {
            let order = ForwardOrder::Wanted(Box::new(wanted.clone()));
            // Without room, it is told with the next input.
            self.outlets.forwarder.order(order) == OrderResult::Yes
        };
        if open.wanted_is_told {
            open.wanted = wanted;
        }
    }

    fn status(&self, open: Option<&OpenChannel>) -> ChannelStatus {
        let Some(open) = open else {
            let state = self.broken.clone().map_or(ChannelState::Off, ChannelState::Broken);
            return ChannelStatus {
                state,
                drains: self.outlets.drains.borrow().clone(),
                ..ChannelStatus::default()
            };
        };
        let forwarding = self.forwarding.borrow();
        let now = clock::now();
        let silent = self.outlets.forwarder.silent_since(now);
        let silent = silent.map(|since| Stamp(clock::wall() - now.since(since)));
        ChannelStatus {
            state: ChannelState::On,
            view: open.channel.view(clock::now()),
            problems: self.broken.iter().cloned().chain(open.sockets.problems()).collect(),
            drain_view: DrainView::clone(open.channel.drains()),
            drains: self.outlets.drains.borrow().clone(),
            forwarded: forwarding.forwarded.clone(),
            drain_problems: drains::problems(&forwarding, silent, &open.instances)
                .into_iter()
                .chain(open.sockets.probe_problems())
                .collect(),
        }
    }
}

impl OpenChannel {
    /// Whether a datagram may come from there.
    fn admits(&self, link: ChannelLink, source: IpAddr, ttl: u8) -> bool {
        self.reach.get(&link).is_some_and(|reach| reach.admits(source, ttl))
    }

    fn wakes_at(&self) -> MonoTime {
        let own = self.sockets_at.min(self.routers_at);
        self.channel.wakes_at().map_or(own, |at| at.min(own))
    }
}

/// Random octets for the session.
fn session() -> io::Result<SessionId> {
    let mut octets = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut octets)?;
    Ok(SessionId(octets))
}
