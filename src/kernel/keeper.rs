//! Installs and removes the virtual addresses as desired, and keeps them so.
//!
//! This module owns the thread `vrrp-addresses`, its netlink socket and its bounded queue. The
//! thread is told what is configured ([`KeeperCommand::Declare`]), what the elections want
//! ([`KeeperCommand::Hold`], [`KeeperCommand::Drain`], [`KeeperCommand::Release`]) and that something
//! may have changed ([`KeeperCommand::Reconcile`]). It compares all of that with what the kernel has
//! ([`super::resources`]) and carries out the difference step by step. It must not know the state
//! machine: it carries out a desired state. Because it compares states, not notifications, it
//! cannot mistake its own changes for those of another program.
//!
//! If another program removes addresses, they are installed again at once
//! ([`KeeperEvent::Restored`]). Each instance has a budget of ten such repairs in a row and then
//! one a second, so that two programs cannot undo each other's changes in a busy loop
//! ([`KeeperEvent::Contested`]). Addresses that another program added are never removed.
//!
//! A drain outlives this agent: the addresses stay on `lo`, until the kernel removes them at the end of
//! their lifetime. The next run learns from them what drained ([`earlier_drains()`]).
//!
//! There must be one agent in a network namespace, because the agent takes everything with its tag
//! for its own.

mod arp_table;
mod budget;
mod earlier_drains;
mod frames;
mod instance;
mod ledger;
mod lost_addresses;
mod message;
mod promotions;

pub use self::arp_table::{ARP_TABLE, arp_table_writer};
pub use self::earlier_drains::{EarlierDrain, earlier_drains, earlier_drains_among};
pub use self::frames::frame_announcer;
pub use self::message::{
    AnnouncementRequest, Announcer, ArpControl, ArpTableWriter, DrainsAtStop, KeeperCommand, KeeperEvent,
    Promoter,
};

use self::ledger::{Ledger, Pace, PassPlan};
use self::lost_addresses::{LostAddresses, RemovalLosses};
use self::promotions::Promotions;
use super::address::{LOOPBACK, Origin};
use super::netlink::{AdminState, KernelRefusal, Netlink, NetlinkError};
use super::nftables::NftablesError;
use super::resources::address::{self, AddressOperation};
use super::resources::arp_guard::{ArpRewrites, ArpTable, GuardOperation, is_guarded, rewrites};
use super::resources::{Claims, LoopbackState, Observed, Operation, Refusals, Resource, ResourceDifference};
use super::sysctl::{ArpRequest, ArpState, Promotion};
use crate::types::MonoTime;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Greatest number of commands that wait: a few for each of a thousand routers. A full queue
/// refuses a command ([`CommandRefused`]); nothing is dropped without its sender knowing.
const QUEUE: usize = 4096;

/// How long an IPv6 address may take from its addition to its use, and how often we look. The
/// kernel's worker needs the lock that every change of the network configuration needs.
const DELIVERY_LIMIT: Duration = Duration::from_millis(200);
const DELIVERY_POLL: Duration = Duration::from_micros(200);

/// How often the last removal is tried again, and after how long.
const LAST_TRIES: u8 = 5;
const LAST_PAUSE: Duration = Duration::from_millis(100);

/// How long the table that guards ARP lasts at most without being written again, and how much longer
/// than the drains: an address must not outlive its guard.
const LONGEST_DRAIN: Duration = Duration::from_secs(366 * 24 * 3600);
const AFTER_DRAIN: Duration = Duration::from_secs(5);

/// A command in the queue. It is allocated with all its slots: in boxes, they take 64 KiB and not
/// half a mebibyte.
type BoxedCommand = Box<KeeperCommand>;

/// The functions that the keeper uses. All of them run on the keeper's thread.
pub struct KeeperFunctions {
    /// Returns the current time of the core's clock.
    pub clock: Box<dyn Fn() -> MonoTime + Send>,
    /// Sends gratuitous ARP or unsolicited NA.
    pub announcer: Announcer,
    /// Sets `promote_secondaries` of an interface.
    pub promoter: Promoter,
    /// Reads and sets the ARP parameters of an interface.
    pub arp: ArpControl,
    /// Guards ARP where those cannot be set.
    pub arp_table: ArpTableWriter,
    /// Receives events; must not block.
    pub events: Box<dyn FnMut(KeeperEvent) + Send>,
}

/// Why the keeper cannot start.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The netlink socket could not be opened.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// The thread could not be started.
    #[error("cannot start the address thread")]
    Thread(#[source] io::Error),
}

/// A command that was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandRefused {
    /// The queue is full; the sender may try again.
    #[error("the queue of the address thread is full")]
    Full(KeeperCommand),
    /// The thread has ended.
    #[error("the address thread has ended")]
    Ended(KeeperCommand),
}

/// The thread of the keeper. Dropping this value, also in a panic, removes every address except
/// those that drain, and waits for that.
#[derive(Debug)]
pub struct AddressKeeper {
    queue: Option<SyncSender<BoxedCommand>>,
    thread: Option<JoinHandle<()>>,
}

impl AddressKeeper {
    /// Starts the thread in the network namespace of the calling thread. First of all it removes
    /// what an earlier run left behind.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub fn spawn(functions: KeeperFunctions) -> Result<Self, KeeperError> {
        Self::spawn_knowing(Vec::new(), functions)
    }

    /// As [`Self::spawn`], but these commands are accepted before anything is removed, so that the
    /// addresses that they want stay.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub fn spawn_knowing(known: Vec<KeeperCommand>, functions: KeeperFunctions) -> Result<Self, KeeperError> {
        let netlink = Netlink::open()?;
        let (queue, commands) = sync_channel(QUEUE);
        let worker = KeeperThread {
            netlink,
            functions,
            ledger: Ledger::default(),
            promotions: Promotions::default(),
            arp_table: ArpTable::default(),
            guarded: BTreeSet::new(),
            lost: LostAddresses::default(),
        };
        let thread = Builder::new()
            .name("vrrp-addresses".to_owned())
            .spawn(move || worker.run(known, &commands))
            .map_err(KeeperError::Thread)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Sends a command without waiting.
    ///
    /// # Errors
    /// [`CommandRefused`], with the command.
    pub fn send(&self, command: KeeperCommand) -> Result<(), CommandRefused> {
        let Some(queue) = &self.queue else {
            return Err(CommandRefused::Ended(command));
        };
        queue.try_send(Box::new(command)).map_err(|refusal| match refusal {
            TrySendError::Full(command) => CommandRefused::Full(*command),
            TrySendError::Disconnected(command) => CommandRefused::Ended(*command),
        })
    }
}

impl Drop for AddressKeeper {
    /// Closes the queue, which has the same effect as [`KeeperCommand::Stop`] with
    /// [`DrainsAtStop::Keep`]: whoever starts the agent again can still end what drains.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of that thread was reported there, and there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

struct KeeperThread {
    netlink: Netlink,
    functions: KeeperFunctions,
    ledger: Ledger,
    promotions: Promotions,
    arp_table: ArpTable,
    /// The interfaces whose ARP parameters were those of a guard after the last pass.
    guarded: BTreeSet<u32>,
    /// Addresses of other programs that our removals took away and that are not back yet.
    lost: LostAddresses,
}

/// Whether the thread goes on after a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeeperProgress {
    GoOn,
    Stop(DrainsAtStop),
}

impl KeeperThread {
    fn run(mut self, known: Vec<KeeperCommand>, commands: &Receiver<BoxedCommand>) {
        for command in known {
            self.accept(command);
        }
        self.remove_stale();
        // A run that is stopped at once keeps what drains, too: what it knows has been done by then.
        self.pass_if_wanted();
        let drains = loop {
            match self.turn(commands) {
                KeeperProgress::GoOn => {}
                KeeperProgress::Stop(drains) => break drains,
            }
        };
        self.ledger.release_all(drains);
        let mut outcome = self.pass(Pace::Unlimited);
        // What the kernel refused a moment ago may succeed now. There is no later attempt.
        for _ in 0..LAST_TRIES {
            if outcome.is_ok() {
                break;
            }
            std::thread::park_timeout(LAST_PAUSE);
            outcome = self.pass(Pace::Unlimited);
        }
        let _ = self.promotions.update(&BTreeMap::new(), &mut self.functions.promoter);
        self.tell(KeeperEvent::Stopped { outcome, draining: self.ledger.draining() });
    }

    /// Takes every waiting command, or waits for one; then one pass for all of them together, then
    /// their announcements.
    fn turn(&mut self, commands: &Receiver<BoxedCommand>) -> KeeperProgress {
        let mut first = Some(self.wait(commands));
        // At most as many commands as fit into the queue: a busy sender must not delay the pass
        // for ever.
        for _ in 0..QUEUE {
            match first.take().unwrap_or_else(|| waiting(commands)) {
                Ok(KeeperCommand::Stop(drains)) => return KeeperProgress::Stop(drains),
                Err(Waiting::Closed) => return KeeperProgress::Stop(DrainsAtStop::Keep),
                Err(Waiting::Nothing) => break,
                Ok(command) => self.accept(command),
            }
        }
        self.pass_if_wanted();
        self.announce();
        KeeperProgress::GoOn
    }

    fn pass_if_wanted(&mut self) {
        let now = (self.functions.clock)();
        if self.ledger.wants_pass(now) {
            // Failures are reported in events, or what failed is tried again.
            let _ = self.pass(Pace::Limited);
        }
    }

    fn accept(&mut self, command: KeeperCommand) {
        let now = (self.functions.clock)();
        if let Some(event) = self.ledger.accept(now, command) {
            self.tell(event);
        }
    }

    fn wait(&self, commands: &Receiver<BoxedCommand>) -> Result<KeeperCommand, Waiting> {
        let now = (self.functions.clock)();
        if self.ledger.wants_pass(now) {
            // Addresses that cannot drain go at once.
            return waiting(commands);
        }
        let Some(retry_at) = self.ledger.retry_at() else {
            return commands.recv().map(|command| *command).map_err(|_| Waiting::Closed);
        };
        commands.recv_timeout(retry_at.since(now)).map(|command| *command).map_err(|e| match e {
            RecvTimeoutError::Timeout => Waiting::Nothing,
            RecvTimeoutError::Disconnected => Waiting::Closed,
        })
    }

    /// Compares, changes and reports. Returns `Err` if something is not as desired afterwards.
    fn pass(&mut self, pace: Pace) -> Result<(), String> {
        self.set_promotion();
        let now = (self.functions.clock)();
        let mut events = Vec::new();
        let outcome = match self.carry_out(now, pace) {
            Ok((plan, refused)) => self.ledger.settle(now, &plan, &refused, &mut events),
            Err(error) => self.ledger.fail(now, &describe(&error), &mut events),
        };
        for event in events {
            self.tell(event);
        }
        outcome
    }

    fn carry_out(&mut self, now: MonoTime, pace: Pace) -> Result<(PassPlan, Refusals), NetlinkError> {
        // What an earlier pass could not.
        self.restore_lost()?;
        let mut observed = self.observe()?;
        for index in self.ledger.interfaces_to_check(&observed) {
            // A link that goes down loses addresses, perhaps before the monitor has reported it.
            let state = self.netlink.link_state(index)?;
            self.ledger.on_state(index, state);
        }
        let mut plan = self.ledger.plan(now, pace, &observed);
        let mut refused = self.carry_out_steps(&plan.claims, &observed, &mut plan.difference)?;
        if plan.may_remove_others() {
            observed = self.observe()?;
            let mut rest = plan.second_look(&observed);
            refused.extend(self.carry_out_steps(&plan.claims, &observed, &mut rest)?);
        }
        refused.extend(self.lost.refusals());
        Ok((plan, refused))
    }

    /// Carries out the steps of a difference in their order. Returns what was refused.
    fn carry_out_steps(
        &mut self,
        claims: &Claims,
        observed: &Observed,
        difference: &mut ResourceDifference,
    ) -> Result<Refusals, NetlinkError> {
        self.lost.keep_stand_ins(&mut difference.removals);
        let mut refused = difference.impossible.clone();
        let rewrites = self.set_guards(difference, claims, observed, &mut refused);
        let additions = difference.due_loopback_additions(claims, &mut refused);
        self.apply_on_loopback(&additions, &mut refused)?;
        self.await_delivery(&additions, &refused)?;
        let changes = difference.due_changes_of_interfaces(claims, &mut refused);
        refused.extend(self.apply(&changes)?);
        self.await_delivery(&changes, &refused)?;
        let removals = difference.due_loopback_removals(claims, &mut refused);
        self.apply_on_loopback(&removals, &mut refused)?;
        let guards = difference.due_guard_removals(&mut refused);
        self.restore_guards(&guards, &mut refused);
        if difference.left_on_loopback(&refused).is_none() {
            self.reduce_table(claims, observed, &rewrites, &mut refused);
        }
        Ok(refused)
    }

    /// Lists what is in the kernel, of every kind.
    fn observe(&mut self) -> Result<Observed, NetlinkError> {
        let addresses = self.netlink.addresses()?;
        let loopback = if self.ledger.drains() && self.netlink.link_state(LOOPBACK)? != AdminState::Up {
            LoopbackState::Down
        } else {
            LoopbackState::Up
        };
        let interfaces = self.ledger.arp_interfaces(&addresses).into_iter();
        let there = interfaces.filter(|index| nix::net::if_::if_indextoname(*index).is_ok());
        let arp = there.map(|index| (index, self.arp(index, ArpRequest::Read))).collect();
        Ok(Observed { addresses, loopback, arp })
    }

    /// Reads or sets the ARP parameters of an interface.
    fn arp(&mut self, index: u32, request: ArpRequest) -> Result<ArpState, String> {
        let name = interface_name(index);
        let interface = name.parse().map_err(|_| format!("{name} does not exist"))?;
        (self.functions.arp)(interface, request).map_err(|error| match request {
            ArpRequest::Read => format!("cannot read the ARP parameters of {name}: {error}"),
            ArpRequest::Write(_) => format!("cannot set the ARP parameters of {name}: {error}"),
        })
    }

    /// Sets the guards of interfaces: their parameters, or if those cannot be set, the table. Returns
    /// what the table is needed for.
    fn set_guards(
        &mut self,
        difference: &ResourceDifference,
        claims: &Claims,
        observed: &Observed,
        refused: &mut Refusals,
    ) -> ArpRewrites {
        let mut unset = difference.unreadable.clone();
        for guard in &difference.guards {
            match self.arp(guard.index, ArpRequest::Write(guard.values)) {
                Ok(state) if is_guarded(state) => {
                    if self.guarded.contains(&guard.index) {
                        let interface = interface_name(guard.index);
                        self.tell(KeeperEvent::GuardRestored { interface });
                    }
                }
                Ok(_) => {
                    let name = interface_name(guard.index);
                    let why = format!("another program changes the ARP parameters of {name}");
                    refused.insert(guard.resource(), why);
                }
                Err(why) => drop(unset.insert(guard.index, why)),
            }
        }
        let is_set = |index: &u32| {
            !unset.contains_key(index) && !refused.contains_key(&Resource::ArpGuard { index: *index })
        };
        self.guarded = claims.guarded().into_iter().filter(is_set).collect();
        let (rewrites, impossible) = rewrites(claims, &unset, &observed.addresses);
        refused.extend(impossible);
        if let Some(content) = self.arp_table.before_moves(&rewrites)
            && let Err(error) = self.write_table(claims, content)
        {
            let why = describe(&error);
            let unguarded = unset
                .iter()
                .map(|(index, first)| (Resource::ArpGuard { index: *index }, format!("{first}; and {why}")));
            refused.extend(unguarded);
        }
        rewrites
    }

    /// Leaves in the table what it is needed for. The packet filter is not asked while nothing drains,
    /// because that may load a module of the kernel: what an earlier run left in the table has ended
    /// with its addresses.
    fn reduce_table(
        &mut self,
        claims: &Claims,
        observed: &Observed,
        rewrites: &ArpRewrites,
        refused: &mut Refusals,
    ) {
        let mut interfaces: BTreeSet<u32> = observed.notes().into_keys().collect();
        interfaces.extend(claims.guarded());
        if self.arp_table == ArpTable::Unknown && interfaces.is_empty() {
            return;
        }
        let Some(content) = self.arp_table.after_moves(rewrites) else { return };
        let Err(error) = self.write_table(claims, content) else { return };
        if self.arp_table == ArpTable::Unknown {
            if error.has_no_packet_filter() {
                // Where there is no packet filter there is no table.
                self.arp_table = ArpTable::Absent;
                return;
            }
            self.arp_table = ArpTable::NotDeleted(interfaces);
        }
        let why = describe(&error);
        let guards = self.arp_table.interfaces().into_iter().map(|index| Resource::ArpGuard { index });
        refused.extend(guards.map(|guard| (guard, why.clone())));
    }

    fn write_table(&mut self, claims: &Claims, content: ArpRewrites) -> Result<(), NftablesError> {
        let lasts = claims.longest_drain().unwrap_or(LONGEST_DRAIN).min(LONGEST_DRAIN);
        (self.functions.arp_table)(&content, lasts.saturating_add(AFTER_DRAIN))?;
        self.arp_table.on_written(content);
        Ok(())
    }

    fn restore_guards(&mut self, guards: &[GuardOperation], refused: &mut Refusals) {
        for guard in guards {
            if let Err(why) = self.arp(guard.index, ArpRequest::Write(guard.values)) {
                refused.insert(guard.resource(), why);
            }
        }
    }

    /// Carries out changes on `lo`, where no address depends on another one.
    fn apply_on_loopback(
        &mut self,
        operations: &[Operation],
        refused: &mut Refusals,
    ) -> Result<(), NetlinkError> {
        let results = self.netlink.apply(operations)?;
        refused.extend(refusals(operations, results));
        Ok(())
    }

    /// Sets `promote_secondaries` on the interfaces that will have IPv4 addresses of ours, so that
    /// removing one does not remove others too.
    fn set_promotion(&mut self) {
        let not_promoting = self.promotions.update(&self.ledger.ipv4_links(), &mut self.functions.promoter);
        for (interface, why) in not_promoting {
            self.tell(KeeperEvent::PromotionNotSet { interface, why });
        }
    }

    /// Waits until the kernel delivers packets to the added addresses, so that they are not
    /// reported as held too early. One worker of the kernel handles all of them in order, so the
    /// last one shows that all are ready.
    fn await_delivery(&mut self, operations: &[Operation], refused: &Refusals) -> Result<(), NetlinkError> {
        let done = operations.iter().rev().filter(|operation| !refused.contains_key(&operation.resource()));
        let added = done.filter_map(Operation::address).find_map(|operation| match operation {
            AddressOperation::Add { index, net: IpNet::V6(net) } => Some((*index, net.addr())),
            AddressOperation::AddToLoopback { address: IpAddr::V6(address), .. } => {
                Some((LOOPBACK, *address))
            }
            AddressOperation::Add { .. }
            | AddressOperation::AddToLoopback { .. }
            | AddressOperation::SetLifetime { .. }
            | AddressOperation::Remove(_) => None,
        });
        let Some((index, address)) = added else { return Ok(()) };
        let start = (self.functions.clock)();
        while !self.netlink.is_delivered(index, address)? {
            if (self.functions.clock)().since(start) >= DELIVERY_LIMIT {
                return Ok(()); // The link is down, or another program removed the address again.
            }
            std::thread::park_timeout(DELIVERY_POLL);
        }
        Ok(())
    }

    fn apply(&mut self, operations: &[Operation]) -> Result<Refusals, NetlinkError> {
        let RemovalLosses { stand_ins, lost } = self.predict_losses(operations)?;
        // From here on the addresses may have been removed, whatever the kernel answers.
        self.lost.record(lost);
        self.netlink.apply(&stand_ins)?;
        let results = self.netlink.apply(operations)?;
        self.restore_lost()?;
        Ok(refusals(operations, results))
    }

    /// The addresses of other programs that the kernel would remove together with these.
    fn predict_losses(&mut self, operations: &[Operation]) -> Result<RemovalLosses, NetlinkError> {
        let mut not_promoting = lost_addresses::interfaces_at_risk(operations);
        not_promoting.retain(|index| {
            // If the setting cannot be changed even now, it never can (a container with a read-only
            // /proc/sys).
            let name = interface_name(*index).parse();
            name.map_or(true, |name| (self.functions.promoter)(name, Promotion::On).is_err())
        });
        if not_promoting.is_empty() {
            return Ok(RemovalLosses::default());
        }
        Ok(RemovalLosses::of(&self.netlink.address_messages()?, operations, &not_promoting))
    }

    /// Installs the addresses of other programs that the kernel removed together with ours.
    fn restore_lost(&mut self) -> Result<(), NetlinkError> {
        let outcomes = self.netlink.reinstall(&self.lost.messages())?;
        let report = self.lost.take_results(outcomes);
        for (index, address, outcome) in report.reports {
            self.tell(KeeperEvent::ForeignReinstalled { interface: interface_name(index), address, outcome });
        }
        // If the removal of a stand-in fails, it is an address of ours that nobody wants, and the
        // next pass removes it.
        self.netlink.apply(&report.stand_in_removals)?;
        Ok(())
    }

    fn remove_stale(&mut self) {
        let Ok(observed) = self.observe() else {
            return; // the first pass tries again, and reports
        };
        let now = (self.functions.clock)();
        let stale = self.ledger.stale(now, &observed);
        let Ok(refused) = self.carry_out_removals(&stale, &observed) else {
            return;
        };
        let mut removed: BTreeMap<u32, Vec<IpNet>> = BTreeMap::new();
        let operations = stale.removals.iter().chain(&stale.loopback_removals);
        let gone: BTreeSet<_> =
            operations.map(Operation::resource).filter(|resource| !refused.contains_key(resource)).collect();
        for address in &observed.addresses {
            if address.origin == Origin::Ours && gone.contains(&address::resource(address)) {
                removed.entry(address.index).or_default().push(address.net);
            }
        }
        for (index, addresses) in removed {
            self.tell(KeeperEvent::StaleRemoved { interface: interface_name(index), addresses });
        }
    }

    /// Carries out a difference that consists of removals. If something drains, the first pass sees to
    /// the table.
    fn carry_out_removals(
        &mut self,
        stale: &ResourceDifference,
        observed: &Observed,
    ) -> Result<Refusals, NetlinkError> {
        let mut refused = self.apply(&stale.removals)?;
        self.apply_on_loopback(&stale.loopback_removals, &mut refused)?;
        let guards = stale.due_guard_removals(&mut refused);
        self.restore_guards(&guards, &mut refused);
        if stale.left_on_loopback(&refused).is_none() && !self.ledger.drains() {
            self.reduce_table(&Claims::default(), observed, &ArpRewrites::new(), &mut refused);
        }
        Ok(refused)
    }

    /// Sends announcements after the pass, and only for addresses that are in place:
    /// RFC9568-8.2.2-2.
    fn announce(&mut self) {
        let mut stuck: BTreeMap<u32, String> = BTreeMap::new();
        for announcement in self.ledger.announcements() {
            // Other links wait for this thread. A link that takes no frames delays it by a second
            // once in each turn, and not once for each of its routers.
            let outcome = match stuck.get(&announcement.index) {
                Some(why) => Err(why.clone()),
                None => (self.functions.announcer)(&announcement).map_err(|error| error.to_string()),
            };
            if let Err(why) = outcome {
                stuck.entry(announcement.index).or_insert_with(|| why.clone());
                self.tell(KeeperEvent::NotAnnounced { key: announcement.key, why });
            }
        }
    }

    fn tell(&mut self, event: KeeperEvent) {
        (self.functions.events)(event);
    }
}

/// Why there is no command.
enum Waiting {
    Nothing,
    Closed,
}

fn waiting(commands: &Receiver<BoxedCommand>) -> Result<KeeperCommand, Waiting> {
    commands.try_recv().map(|command| *command).map_err(|e| match e {
        TryRecvError::Empty => Waiting::Nothing,
        TryRecvError::Disconnected => Waiting::Closed,
    })
}

/// What the kernel refused.
fn refusals(operations: &[Operation], results: Vec<Result<(), KernelRefusal>>) -> Refusals {
    let refused = operations.iter().zip(results).filter_map(|(operation, result)| {
        result.err().map(|refusal| (operation.resource(), format!("{operation}: {refusal}")))
    });
    refused.collect()
}

fn interface_name(index: u32) -> String {
    nix::net::if_::if_indextoname(index)
        .map_or_else(|_| format!("interface {index}"), |name| name.to_string_lossy().into_owned())
}

/// An error and its causes in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
