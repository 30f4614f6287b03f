//! The commands to the keeper, and its events.

use crate::kernel::nftables::NftablesError;
use crate::kernel::resources::arp_guard::ArpRewrites;
use crate::kernel::sysctl::{ArpRequest, ArpState, Promotion, Setting};
use crate::types::{InstanceKey, InterfaceName, LinkFacts, MacAddr};
use ipnet::IpNet;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// A command to the keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeeperCommand {
    /// An instance is configured, or its addresses or their interface changed. Until the addresses
    /// are wanted, those that the agent installed are removed.
    Declare {
        /// The instance that is configured.
        key: InstanceKey,
        /// The interface on which the addresses are installed and announced. It need not be the one
        /// in the key.
        address_interface: InterfaceName,
        /// All addresses of the instance, whether advertised or not.
        addresses: Vec<IpNet>,
    },
    /// An instance is not configured any more. The addresses that the agent installed for it are
    /// removed; those that other programs installed are not touched. This command is not answered,
    /// but an answer that an earlier [`KeeperCommand::Release`] waits for is still given.
    Forget {
        /// The instance that is removed.
        key: InstanceKey,
    },
    /// Desired: the addresses of the instance are installed. Answered by [`KeeperEvent::Held`].
    Hold {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// Grows with each `Hold`, `Drain` and `Release` of this instance. The newest one counts,
        /// and only that one is answered.
        epoch: u64,
    },
    /// Desired: the addresses of the instance are on `lo` and not on the interface, and nobody is
    /// told that they are here. Connections that are open live on, as long as somebody still sends
    /// their packets here. Answered by [`KeeperEvent::Draining`]. Link-local addresses do not drain,
    /// but are released. An address that another program has on the interface cannot drain.
    ///
    /// After `lifetime` the addresses are released, also if the agent has ended by then: the kernel
    /// removes them from `lo` by itself, some seconds later. Nothing is reported then. Another
    /// `Drain` with a newer epoch replaces the lifetime.
    Drain {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// As in `Hold`.
        epoch: u64,
        /// How long the addresses drain from now on, a second at least.
        lifetime: Duration,
    },
    /// Desired: the addresses of the instance are not installed. Answered by
    /// [`KeeperEvent::Released`].
    Release {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// As in `Hold`.
        epoch: u64,
    },
    /// Announce the addresses of the instance on the LAN. Ignored if they are not held.
    Announce {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// Number of rounds; each round announces every address once.
        rounds: u8,
    },
    /// What the kernel now reports about an interface; `None` if it does not exist.
    Link(InterfaceName, Option<Box<LinkFacts>>),
    /// Addresses may have changed, so compare them.
    Reconcile,
    /// Remove everything, report it ([`KeeperEvent::Stopped`]), and end.
    Stop(DrainsAtStop),
}

/// What becomes of the addresses that drain when the keeper stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainsAtStop {
    /// They stay on `lo` for what is left of their lifetime, and the interface keeps its guard: the
    /// next run is told to go on. A drain that has not succeeded ends.
    Keep,
    /// They are removed, too.
    End,
}

/// An answer or a report of the keeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeeperEvent {
    /// The answer to [`KeeperCommand::Hold`].
    Held {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// The epoch of the `Hold` that is answered.
        epoch: u64,
        /// `Err`: some addresses could not be installed, and why. They are tried again until
        /// `Release`.
        outcome: Result<(), String>,
    },
    /// The answer to [`KeeperCommand::Drain`].
    Draining {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// The epoch of the `Drain` that is answered.
        epoch: u64,
        /// `Err`: the addresses cannot drain, and why. If they were held before, they are held
        /// again, until the next command. Otherwise (they drained already, or were not there) this
        /// is tried again until `Hold` or `Release`.
        outcome: Result<(), String>,
    },
    /// The answer to [`KeeperCommand::Release`].
    Released {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// The epoch of the `Release` that is answered.
        epoch: u64,
        /// `Err`: some addresses could not be removed, and why. They are tried again.
        outcome: Result<(), String>,
    },
    /// Another program removed addresses that are held or drain; they are installed again.
    Restored {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// Number of addresses.
        count: usize,
    },
    /// Held addresses had disappeared with their interface (down, or removed and created again);
    /// they are installed again.
    Reinstalled {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// Number of addresses.
        count: usize,
    },
    /// Another program keeps changing the addresses, and the next repair has to wait. Sent once for
    /// each wait.
    Contested {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// Number of addresses that are wrong now.
        count: usize,
    },
    /// Addresses that are held or drain are missing, and the kernel refuses to install them, or the
    /// guard of their interface cannot be set. This is tried again every second.
    NotRestored {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// The kernel's error.
        why: String,
    },
    /// Another program lowered the ARP parameters of an interface on which addresses drain, and they
    /// are set again. Until then the host may have answered for these addresses.
    GuardRestored {
        /// Name of the interface.
        interface: String,
    },
    /// At start: addresses that an earlier run left behind were removed.
    StaleRemoved {
        /// Name of the interface that had the addresses.
        interface: String,
        /// The removed addresses.
        addresses: Vec<IpNet>,
    },
    /// `promote_secondaries` cannot be set on an interface: the kernel may remove addresses of
    /// other programs together with ours, which are then installed again. This is sent once, when
    /// the first router with IPv4 addresses is declared on the interface.
    PromotionNotSet {
        /// The interface whose setting cannot be changed.
        interface: InterfaceName,
        /// The kernel's error.
        why: String,
    },
    /// The kernel removed an address of another program together with one of ours.
    ForeignReinstalled {
        /// Name of the interface that had the address.
        interface: String,
        /// The address of the other program.
        address: IpNet,
        /// `Err`: the address could not be installed again, and why.
        outcome: Result<(), String>,
    },
    /// An announcement could not be sent.
    NotAnnounced {
        /// The instance that the addresses belong to.
        key: InstanceKey,
        /// The error of the announcer.
        why: String,
    },
    /// The answer to [`KeeperCommand::Stop`]; the thread ends.
    Stopped {
        /// `Err`: some addresses could not be removed, and why.
        outcome: Result<(), String>,
        /// The instances whose addresses still drain: they are not free yet.
        draining: BTreeSet<InstanceKey>,
    },
}

/// A request to send frames, made of a [`KeeperCommand::Announce`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnouncementRequest {
    /// The instance that the addresses belong to.
    pub key: InstanceKey,
    /// The interface to send on, which is the one that has the addresses.
    pub interface: InterfaceName,
    /// The index of that interface.
    pub index: u32,
    /// The hardware address that the hosts must use.
    pub mac: MacAddr,
    /// The addresses, each of which is announced once in a round.
    pub addresses: Vec<IpAddr>,
    /// Number of rounds.
    pub rounds: u8,
}

/// Sends an [`AnnouncementRequest`].
pub type Announcer = Box<dyn FnMut(&AnnouncementRequest) -> io::Result<()> + Send>;

/// Tells the kernel whether to promote the secondary addresses of an interface.
pub type Promoter = Box<dyn FnMut(InterfaceName, Promotion) -> io::Result<Setting> + Send>;

/// Reads or sets the ARP parameters of an interface.
pub type ArpControl = Box<dyn FnMut(InterfaceName, ArpRequest) -> io::Result<ArpState> + Send>;

/// Replaces the table that guards ARP where the parameters cannot be set; without content it is
/// removed. What it says about addresses ends after the given time, as they do.
pub type ArpTableWriter = Box<dyn FnMut(&ArpRewrites, Duration) -> Result<(), NftablesError> + Send>;
