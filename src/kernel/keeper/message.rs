//! What the keeper is told, and what it says.

use crate::kernel::sysctl::{Promotion, Setting};
use crate::types::{InstanceKey, InterfaceName, LinkFacts, MacAddr};
use ipnet::IpNet;
use std::io;
use std::net::IpAddr;

/// What the keeper is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeeperCommand {
    /// A virtual router is configured, or its addresses changed. Until it is owned, none of ours is
    /// tolerated.
    Declare {
        /// Which.
        key: InstanceKey,
        /// All its addresses, advertised or not.
        addresses: Vec<IpNet>,
    },
    /// A virtual router is configured no more: what the agent installed for it goes, what others
    /// installed is their business from now on. Not answered, but an answer that is owed to
    /// a [`KeeperCommand::Disown`] before it still comes.
    Forget {
        /// Which.
        key: InstanceKey,
    },
    /// Desired: its addresses are here. Answered by [`KeeperEvent::Owned`].
    Own {
        /// Which.
        key: InstanceKey,
        /// Grows with each `Own` and `Disown` of this virtual router; the newest wins, and only
        /// that one is answered.
        epoch: u64,
    },
    /// Desired: its addresses are not here. Answered by [`KeeperEvent::Released`].
    Disown {
        /// Which.
        key: InstanceKey,
        /// As in `Own`.
        epoch: u64,
    },
    /// Tell the LAN where its addresses are. Ignored if they are not held.
    Announce {
        /// Which.
        key: InstanceKey,
        /// How often.
        rounds: u8,
    },
    /// What the kernel now says about an interface; `None`: it does not exist.
    Link(InterfaceName, Option<Box<LinkFacts>>),
    /// Addresses may have changed: look.
    Reconcile,
    /// Remove everything, say so ([`KeeperEvent::Stopped`]), end.
    Stop,
}

/// What the keeper says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeeperEvent {
    /// The answer to [`KeeperCommand::Own`].
    Owned {
        /// Whose addresses.
        key: InstanceKey,
        /// Of the `Own`.
        epoch: u64,
        /// `Err`: not all are there, and why. What is missing is tried again until `Disown`.
        outcome: Result<(), String>,
    },
    /// The answer to [`KeeperCommand::Disown`].
    Released {
        /// Whose addresses.
        key: InstanceKey,
        /// Of the `Disown`.
        epoch: u64,
        /// `Err`: not all are gone, and why. What is left is tried again.
        outcome: Result<(), String>,
    },
    /// Somebody removed addresses that are owned; they are back in place.
    Restored {
        /// Whose.
        key: InstanceKey,
        /// How many.
        count: usize,
    },
    /// Owned addresses had gone with their interface (down, or removed and created again); they are
    /// back in place.
    Reinstalled {
        /// Whose.
        key: InstanceKey,
        /// How many.
        count: usize,
    },
    /// Somebody keeps changing the addresses; the next repair waits. Said once a wait.
    Contested {
        /// Whose.
        key: InstanceKey,
        /// How many addresses are wrong now.
        count: usize,
    },
    /// Owned addresses are missing, and the kernel refuses them. Tried again every second.
    Unrestored {
        /// Whose.
        key: InstanceKey,
        /// Its words.
        why: String,
    },
    /// At start: addresses that a previous run left behind are removed.
    StaleRemoved {
        /// Where.
        interface: String,
        /// Which.
        addresses: Vec<IpNet>,
    },
    /// `promote_secondaries` cannot be set there: a removal of ours may sweep addresses of others, which are then put
    /// back. Said once, when the first IPv4 router is on it.
    Unguarded {
        /// Where.
        interface: InterfaceName,
        /// Why.
        why: String,
    },
    /// The kernel removed an address of somebody else's with one of ours, and it was put back.
    SweptBack {
        /// Where.
        interface: String,
        /// Which.
        address: IpNet,
        /// `Err`: it is gone, and why.
        outcome: Result<(), String>,
    },
    /// An announcement could not be sent.
    Unannounced {
        /// Whose.
        key: InstanceKey,
        /// Why.
        why: String,
    },
    /// The answer to [`KeeperCommand::Stop`]: the thread ends.
    Stopped {
        /// `Err`: something is left behind, and why.
        outcome: Result<(), String>,
    },
}

/// What [`KeeperCommand::Announce`] asks of whoever can send frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// On whose behalf.
    pub key: InstanceKey,
    /// The interface.
    pub index: u32,
    /// Where the addresses are.
    pub mac: MacAddr,
    /// All of them, once a round.
    pub addresses: Vec<IpAddr>,
    /// How often.
    pub rounds: u8,
}

/// Sends an [`Announcement`].
pub type Announcer = Box<dyn FnMut(&Announcement) -> io::Result<()> + Send>;

/// Tells the kernel whether to promote the secondary addresses of an interface.
pub type Promoter = Box<dyn FnMut(InterfaceName, Promotion) -> io::Result<Setting> + Send>;
