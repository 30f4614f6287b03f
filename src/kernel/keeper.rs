//! Makes the desired state of the virtual addresses true, and keeps it so.
//!
//! Owns the thread `vrrp-addresses`, its netlink socket and its bounded mailbox. It is told what is
//! configured ([`KeeperCommand::Declare`]), what the elections want ([`KeeperCommand::Own`],
//! [`KeeperCommand::Disown`]) and that something may have changed ([`KeeperCommand::Reconcile`]); it compares
//! all of that with what the kernel has ([`super::ownership`]) and carries out the difference in one
//! batch. Must not know the state machine: it is an executor of desired state. Since it compares
//! states, not notifications, it cannot take its own changes for somebody else's.
//!
//! What it answers to somebody else who removes the addresses: they are put back at once
//! ([`KeeperEvent::Restored`]), within a budget a virtual router of ten in a row and then one a second,
//! so that two managers cannot spin ([`KeeperEvent::Contested`]). What somebody else added it never
//! removes.
//!
//! One agent a network namespace: everything that carries its tag is its own.

mod budget;
mod frames;
mod guards;
mod instance;
mod ledger;
mod message;
mod sweep;

pub use self::frames::frame_announcer;
pub use self::message::{Announcement, Announcer, KeeperCommand, KeeperEvent, Promoter};

use self::guards::Guards;
use self::ledger::{AddressPlan, Ledger, Pace, Refusals};
use self::sweep::{Debt, Sweep};
use super::netlink::{Netlink, NetlinkError};
use super::ownership::Operation;
use super::sysctl::Promotion;
use crate::types::MonoTime;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Commands that may wait: a few for each of a thousand virtual routers. A full mailbox refuses
/// ([`Refused`]); nothing is dropped without its sender knowing.
const MAILBOX: usize = 4096;

/// How long an IPv6 address may take from its addition to its use, and how often we look. The
/// worker needs the lock that every change of the network configuration needs.
const DELIVERY_LIMIT: Duration = Duration::from_millis(200);
const DELIVERY_POLL: Duration = Duration::from_micros(200);

/// How often the last removal is tried again, and after how long.
const LAST_TRIES: u8 = 5;
const LAST_PAUSE: Duration = Duration::from_millis(100);

/// What lies in the mailbox. It is allocated with all its slots: in boxes, they take 64 KiB and not half
/// a mebibyte.
type Parcel = Box<KeeperCommand>;

/// What the keeper needs of its surroundings. All of it runs on the keeper's thread.
pub struct Surroundings {
    /// Reads the clock.
    pub clock: Box<dyn Fn() -> MonoTime + Send>,
    /// Sends gratuitous ARP or unsolicited NA.
    pub announcer: Announcer,
    /// Sets `promote_secondaries`.
    pub promoter: Promoter,
    /// Takes events; must not block.
    pub events: Box<dyn FnMut(KeeperEvent) + Send>,
}

/// Why the keeper cannot start.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// No socket.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// No thread.
    #[error("cannot start the thread of the addresses")]
    Thread(#[source] io::Error),
}

/// A command that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The mailbox is full: try again.
    #[error("the mailbox of the address keeper is full")]
    Full(KeeperCommand),
    /// The thread has ended.
    #[error("the address keeper has ended")]
    Ended(KeeperCommand),
}

/// The keeper's thread. Dropping it, as a panic would, removes every address and waits for that.
#[derive(Debug)]
pub struct AddressKeeper {
    mailbox: Option<SyncSender<Parcel>>,
    thread: Option<JoinHandle<()>>,
}

impl AddressKeeper {
    /// Starts the thread in the network namespace of the calling thread. Before anything else it
    /// removes what a previous run left behind.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub fn spawn(surroundings: Surroundings) -> Result<Self, KeeperError> {
        Self::spawn_knowing(Vec::new(), surroundings)
    }

    /// As [`Self::spawn`], but these commands are known before anything is removed: what they want stays.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub fn spawn_knowing(known: Vec<KeeperCommand>, surroundings: Surroundings) -> Result<Self, KeeperError> {
        let netlink = Netlink::open()?;
        let (mailbox, commands) = sync_channel(MAILBOX);
        let worker = KeeperThread {
            netlink,
            surroundings,
            ledger: Ledger::default(),
            guards: Guards::default(),
            debt: Debt::default(),
        };
        let thread = Builder::new()
            .name("vrrp-addresses".to_owned())
            .spawn(move || worker.run(known, &commands))
            .map_err(KeeperError::Thread)?;
        Ok(Self { mailbox: Some(mailbox), thread: Some(thread) })
    }

    /// Hands over a command without waiting.
    ///
    /// # Errors
    /// [`Refused`], with the command.
    pub fn send(&self, command: KeeperCommand) -> Result<(), Refused> {
        let Some(mailbox) = &self.mailbox else {
            return Err(Refused::Ended(command));
        };
        mailbox.try_send(Box::new(command)).map_err(|refusal| match refusal {
            TrySendError::Full(command) => Refused::Full(*command),
            TrySendError::Disconnected(command) => Refused::Ended(*command),
        })
    }
}

impl Drop for AddressKeeper {
    /// A closed mailbox is a [`KeeperCommand::Stop`].
    fn drop(&mut self) {
        self.mailbox = None;
        if let Some(thread) = self.thread.take() {
            // A panic of that thread was reported there; there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

struct KeeperThread {
    netlink: Netlink,
    surroundings: Surroundings,
    ledger: Ledger,
    guards: Guards,
    /// Addresses of others.
    debt: Debt,
}

/// Whether the thread goes on after a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeeperProgress {
    GoOn,
    Stop,
}

impl KeeperThread {
    fn run(mut self, known: Vec<KeeperCommand>, commands: &Receiver<Parcel>) {
        for command in known {
            self.accept(command);
        }
        self.remove_stale();
        while self.turn(commands) == KeeperProgress::GoOn {}
        self.ledger.release_all();
        let mut outcome = self.pass(Pace::Unlimited);
        // The last chance: what the kernel refused in this moment, it may not in the next.
        for _ in 0..LAST_TRIES {
            if outcome.is_ok() {
                break;
            }
            std::thread::park_timeout(LAST_PAUSE);
            outcome = self.pass(Pace::Unlimited);
        }
        let _ = self.guards.keep(&BTreeMap::new(), &mut self.surroundings.promoter);
        self.tell(KeeperEvent::Stopped { outcome });
    }

    /// Takes every waiting command, or waits for one; then one pass for all of them together, then
    /// their announcements.
    fn turn(&mut self, commands: &Receiver<Parcel>) -> KeeperProgress {
        let mut first = Some(self.wait(commands));
        // As many as can wait, and no more: a busy sender must not keep the others from being served.
        for _ in 0..MAILBOX {
            match first.take().unwrap_or_else(|| waiting(commands)) {
                Ok(KeeperCommand::Stop) | Err(Waiting::Closed) => return KeeperProgress::Stop,
                Err(Waiting::Nothing) => break,
                Ok(command) => self.accept(command),
            }
        }
        let now = (self.surroundings.clock)();
        if self.ledger.wants_pass(now) {
            // What failed is in the events, or is tried again.
            let _ = self.pass(Pace::Limited);
        }
        self.announce();
        KeeperProgress::GoOn
    }

    fn accept(&mut self, command: KeeperCommand) {
        let now = (self.surroundings.clock)();
        if let Some(event) = self.ledger.accept(now, command) {
            self.tell(event);
        }
    }

    fn wait(&self, commands: &Receiver<Parcel>) -> Result<KeeperCommand, Waiting> {
        let Some(retry_at) = self.ledger.retry_at() else {
            return commands.recv().map(|command| *command).map_err(|_| Waiting::Closed);
        };
        let now = (self.surroundings.clock)();
        commands.recv_timeout(retry_at.since(now)).map(|command| *command).map_err(|e| match e {
            RecvTimeoutError::Timeout => Waiting::Nothing,
            RecvTimeoutError::Disconnected => Waiting::Closed,
        })
    }

    /// Compares, changes and reports. `Err`: something is not as desired.
    fn pass(&mut self, pace: Pace) -> Result<(), String> {
        self.guard();
        let now = (self.surroundings.clock)();
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

    fn carry_out(&mut self, now: MonoTime, pace: Pace) -> Result<(AddressPlan, Refusals), NetlinkError> {
        // What an earlier pass could not.
        self.put_back()?;
        let mut observed = self.netlink.addresses()?;
        for index in self.ledger.suspects(&observed) {
            // A link that went takes addresses along, perhaps before the monitor has told us.
            let state = self.netlink.link_state(index)?;
            self.ledger.on_state(index, state);
        }
        let mut plan = self.ledger.plan(now, pace, &observed);
        self.debt.spare(&mut plan.operations);
        let mut refused = self.apply(&plan.operations)?;
        if plan.may_sweep() {
            observed = self.netlink.addresses()?;
            let mut rest = plan.second_look(&observed);
            self.debt.spare(&mut rest);
            refused.extend(self.apply(&rest)?);
        }
        refused.extend(self.debt.refusals());
        self.await_delivery(&plan.operations, &refused)?;
        Ok((plan, refused))
    }

    /// Where there are IPv4 addresses to come, a removal must not take others along.
    fn guard(&mut self) {
        let unguarded = self.guards.keep(&self.ledger.ipv4_links(), &mut self.surroundings.promoter);
        for (interface, why) in unguarded {
            self.tell(KeeperEvent::Unguarded { interface, why });
        }
    }

    /// Waits until the kernel delivers what was added, so that nobody is told too early that the
    /// addresses are here. One worker serves all of them in their order: the last one tells.
    fn await_delivery(&mut self, operations: &[Operation], refused: &Refusals) -> Result<(), NetlinkError> {
        let added = operations.iter().rev().find_map(|operation| match operation {
            Operation::Add { index, net: IpNet::V6(net) } if !refused.contains_key(&operation.place()) => {
                Some((*index, net.addr()))
            }
            Operation::Add { .. } | Operation::Remove(_) => None,
        });
        let Some((index, address)) = added else { return Ok(()) };
        let start = (self.surroundings.clock)();
        while !self.netlink.is_delivered(index, address)? {
            if (self.surroundings.clock)().since(start) >= DELIVERY_LIMIT {
                return Ok(()); // The link is down, or somebody took it away again.
            }
            std::thread::park_timeout(DELIVERY_POLL);
        }
        Ok(())
    }

    fn apply(&mut self, operations: &[Operation]) -> Result<Refusals, NetlinkError> {
        let Sweep { stand_ins, swept } = self.foresee(operations)?;
        // From here on it may have gone, whatever we are told.
        self.debt.owe(swept);
        self.netlink.apply(&stand_ins)?;
        let results = self.netlink.apply(operations)?;
        self.put_back()?;
        let refused = operations.iter().zip(results).filter_map(|(operation, result)| {
            result.err().map(|refusal| (operation.place(), format!("{operation}: {refusal}")))
        });
        Ok(refused.collect())
    }

    /// What these removals would sweep that is not ours.
    fn foresee(&mut self, operations: &[Operation]) -> Result<Sweep, NetlinkError> {
        let mut unguarded = sweep::exposed(operations);
        unguarded.retain(|index| {
            // Where it is not set by now, it cannot be (a container with a read-only /proc/sys).
            let name = interface_name(*index).parse();
            name.map_or(true, |name| (self.surroundings.promoter)(name, Promotion::On).is_err())
        });
        if unguarded.is_empty() {
            return Ok(Sweep::default());
        }
        Ok(Sweep::of(&self.netlink.address_messages()?, operations, &unguarded))
    }

    /// The addresses of others that a removal of ours swept.
    fn put_back(&mut self) -> Result<(), NetlinkError> {
        let outcomes = self.netlink.reinstall(&self.debt.messages())?;
        let payment = self.debt.pay(outcomes);
        for (index, address, outcome) in payment.news {
            self.tell(KeeperEvent::SweptBack { interface: interface_name(index), address, outcome });
        }
        // One that stays is no address that anybody wants, and goes in the next pass.
        self.netlink.apply(&payment.relieved)?;
        Ok(())
    }

    fn remove_stale(&mut self) {
        let Ok(observed) = self.netlink.addresses() else {
            return; // the first pass tries again, and reports
        };
        let operations = self.ledger.stale(&observed);
        let Ok(refused) = self.apply(&operations) else {
            return;
        };
        let mut removed: BTreeMap<u32, Vec<IpNet>> = BTreeMap::new();
        let stale: BTreeSet<_> = operations.iter().map(Operation::place).collect();
        for address in &observed {
            let place = (address.index, address.net.addr());
            if stale.contains(&place) && !refused.contains_key(&place) {
                removed.entry(address.index).or_default().push(address.net);
            }
        }
        for (index, addresses) in removed {
            self.tell(KeeperEvent::StaleRemoved { interface: interface_name(index), addresses });
        }
    }

    /// After the pass, and only what is in place: RFC9568-8.2.2-2.
    fn announce(&mut self) {
        let mut stuck: BTreeMap<u32, String> = BTreeMap::new();
        for announcement in self.ledger.announcements() {
            // A link that takes no frames costs a second once a turn, and not for each of its routers: addresses on
            // other links wait for this thread.
            let outcome = match stuck.get(&announcement.index) {
                Some(why) => Err(why.clone()),
                None => (self.surroundings.announcer)(&announcement).map_err(|error| error.to_string()),
            };
            if let Err(why) = outcome {
                stuck.entry(announcement.index).or_insert_with(|| why.clone());
                self.tell(KeeperEvent::Unannounced { key: announcement.key, why });
            }
        }
    }

    fn tell(&mut self, event: KeeperEvent) {
        (self.surroundings.events)(event);
    }
}

/// Why there is no command.
enum Waiting {
    Nothing,
    Closed,
}

fn waiting(commands: &Receiver<Parcel>) -> Result<KeeperCommand, Waiting> {
    commands.try_recv().map(|command| *command).map_err(|e| match e {
        TryRecvError::Empty => Waiting::Nothing,
        TryRecvError::Disconnected => Waiting::Closed,
    })
}

fn interface_name(index: u32) -> String {
    nix::net::if_::if_indextoname(index)
        .map_or_else(|_| format!("interface {index}"), |name| name.to_string_lossy().into_owned())
}

/// An error and what caused it, in one line.
fn describe(error: &NetlinkError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
