//! The thread of the forwarder. It waits for netlink, and for neighbours, which neither the
//! protocol thread nor the main thread may.

use super::forwarder::{ForwarderKernel, ForwardingWanted, PacketForwarder};
use super::pulse::ForwarderPulse;
use crate::channel::ForwardedConnections;
use crate::kernel::connections;
use crate::kernel::forwarding::{
    Arming, ForwardedCount, ForwardingError, ForwardingSettings, ForwardingTable,
};
use crate::kernel::neighbour;
use crate::runtime::clock;
use crate::runtime::protocol_thread::ARMING_PATIENCE;
use crate::runtime::protocol_thread::mailbox::{Sender, ThreadRequest};
use crate::types::{Connection, InstanceKey, InterfaceName, MacAddr, MonoTime};
use nix::net::if_::if_nametoindex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, UdpSocket};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::watch;

/// The name of the thread.
pub(super) const THREAD: &str = "vrrpd-forward";
/// How many parts of lists may wait: two of the longest lists of IPv4.
const LISTS: usize = 2_800;
const SECOND: Duration = Duration::from_secs(1);

/// What the thread is told.
#[derive(Debug)]
pub(in crate::runtime) enum ForwardOrder {
    /// This node takes over from a router that lives. Answered with
    /// [`ThreadRequest::Armed`]: until then the addresses wait, for a moment.
    TakeOver { key: InstanceKey, epoch: u64, relieved: IpAddr, asked: MonoTime },
    /// What is wanted, as a whole.
    Wanted(Box<ForwardingWanted>),
    /// A part of a list.
    Listed { key: InstanceKey, leaver: IpAddr, connections: Vec<Connection> },
}

/// A takeover whose addresses wait for their rules.
struct WaitingTakeover {
    key: InstanceKey,
    epoch: u64,
    relieved: IpAddr,
    asked: MonoTime,
}

/// What the thread can do, and what it does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::runtime) struct ForwardingReport {
    /// Whether packets can be passed on; `None`: that is not known yet.
    pub(in crate::runtime) forwards: Option<Result<(), String>>,
    /// Whether connections can be listed and reset.
    pub(in crate::runtime) drains: Option<Result<(), String>>,
    /// What is passed on.
    pub(in crate::runtime) forwarded: BTreeMap<(InstanceKey, IpAddr), ForwardedConnections>,
    /// What the kernel refuses now.
    pub(in crate::runtime) problem: Option<String>,
}

/// Runs until every sender of orders is gone.
pub(super) fn run(
    orders: &Receiver<ForwardOrder>,
    mail: &Sender,
    pulse: &ForwarderPulse,
    report: &watch::Sender<ForwardingReport>,
) {
    let drains = connections::probe().map_err(|error| whole(&error));
    let table = ForwardingTable::open(ForwardingSettings::default()).map_err(|error| whole(&error));
    if let Err(why) = &drains {
        tracing::warn!("open connections cannot be kept when another node takes over: {why}");
    }
    if let Err(why) = &table {
        tracing::warn!("packets of other nodes' open connections cannot be passed on: {why}");
    }
    report.send_modify(|report| {
        (report.drains, report.forwards) =
            (Some(drains), Some(table.as_ref().map(|_| ()).map_err(Clone::clone)));
    });
    let mut forwarder = table.ok().map(|table| PacketForwarder::new(clock::now(), KernelRules { table }));
    let mut lists: VecDeque<(InstanceKey, IpAddr, Vec<Connection>)> = VecDeque::new();
    let mut second_at = clock::now() + SECOND;
    loop {
        pulse.beat(clock::now());
        let wait = if lists.is_empty() { second_at.since(clock::now()) } else { Duration::ZERO };
        let mut next = match orders.recv_timeout(wait) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // Addresses wait for their rules; everything else can wait for that.
        let (mut takeovers, mut taken_over) = (Vec::new(), Vec::new());
        let mut is_changed = false;
        while let Some(order) = next {
            match order {
                ForwardOrder::TakeOver { key, epoch, relieved, asked } => {
                    takeovers.push(WaitingTakeover { key, epoch, relieved, asked });
                }
                ForwardOrder::Wanted(wanted) => {
                    // It was said after these.
                    taken_over.extend(take_over(forwarder.as_mut(), takeovers.drain(..), mail, pulse));
                    if let Some(forwarder) = &mut forwarder {
                        forwarder.set_wanted(*wanted);
                        is_changed = true;
                    }
                }
                // What has no room is listed again.
                ForwardOrder::Listed { .. } if lists.len() >= LISTS => {}
                ForwardOrder::Listed { key, leaver, connections } => {
                    lists.push_back((key, leaver, connections));
                }
            }
            next = orders.try_recv().ok();
        }
        taken_over.extend(take_over(forwarder.as_mut(), takeovers.drain(..), mail, pulse));
        let Some(forwarder) = &mut forwarder else {
            lists.clear();
            second_at = clock::now() + SECOND;
            continue;
        };
        if !taken_over.is_empty() {
            forwarder.after_takeovers(clock::now(), &taken_over);
            pulse.beat(clock::now());
        }
        if is_changed {
            forwarder.follow(clock::now());
            pulse.beat(clock::now());
        }
        if let Some((key, leaver, connections)) = lists.pop_front() {
            forwarder.on_listed(clock::now(), key, leaver, &connections);
        }
        if clock::now() >= second_at {
            second_at = clock::now() + SECOND;
            let forwarded = forwarder.on_second(clock::now());
            let problem = forwarder.problem().map(str::to_owned);
            report.send_if_modified(|report| {
                let is_other = report.forwarded != forwarded || report.problem != problem;
                (report.forwarded, report.problem) = (forwarded, problem);
                is_other
            });
        }
    }
}

/// Arms takeovers, and says of each that its addresses need not wait any more. Returns the instances.
fn take_over(
    mut forwarder: Option<&mut PacketForwarder<KernelRules>>,
    takeovers: impl Iterator<Item = WaitingTakeover>,
    mail: &Sender,
    pulse: &ForwarderPulse,
) -> Vec<InstanceKey> {
    let takeovers: Vec<WaitingTakeover> = takeovers.collect();
    if let Some(forwarder) = forwarder.as_deref_mut() {
        let places: Vec<_> = takeovers.iter().map(|takeover| (takeover.key, takeover.relieved)).collect();
        forwarder.prepare(&places);
    }
    for WaitingTakeover { key, epoch, relieved, asked } in &takeovers {
        if let Some(forwarder) = forwarder.as_deref_mut() {
            forwarder.take_over(clock::now(), *key, *relieved);
            pulse.beat(clock::now());
        }
        let _ = mail.send(ThreadRequest::Armed(*key, *epoch));
        let took = clock::now().since(*asked);
        if took > ARMING_PATIENCE {
            tracing::warn!(interface = %key.interface, family = %key.family, vrid = key.vrid.get(), ?took, "the rules for connections of the node that was relieved came late: some may have been reset");
        }
    }
    takeovers.into_iter().map(|takeover| takeover.key).collect()
}

/// An error with its causes.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The rules in the kernel, and what they depend on.
#[derive(Debug)]
struct KernelRules {
    table: ForwardingTable,
}

impl ForwarderKernel for KernelRules {
    fn index(&mut self, interface: InterfaceName) -> Option<u32> {
        if_nametoindex(interface.as_str()).ok()
    }

    fn neighbour(&mut self, index: u32, address: IpAddr, within: Duration) -> Option<MacAddr> {
        neighbour::resolve(index, address, within).ok()
    }

    fn holds(&mut self, addresses: &BTreeSet<IpAddr>) -> bool {
        // A socket can be bound to what is on this node. Where it can be bound to everything
        // (net.ipv4.ip_nonlocal_bind), the list is made and is empty.
        addresses.iter().any(|address| UdpSocket::bind((*address, 0)).is_ok())
    }

    fn own_connections(&mut self, addresses: &BTreeSet<IpAddr>) -> Vec<Connection> {
        connections::own(addresses).unwrap_or_default()
    }

    fn arm(&mut self, key: InstanceKey, arming: &Arming) -> Result<(), ForwardingError> {
        self.table.arm(key, arming)
    }

    fn add_own(&mut self, key: InstanceKey, connections: &[Connection]) -> Result<(), ForwardingError> {
        self.table.add_own(key, connections)
    }

    fn add(
        &mut self,
        key: InstanceKey,
        leaver: IpAddr,
        connections: &[Connection],
    ) -> Result<(), ForwardingError> {
        self.table.add(key, leaver, connections)
    }

    fn replace(
        &mut self,
        key: InstanceKey,
        leaver: IpAddr,
        connections: &[Connection],
    ) -> Result<(), ForwardingError> {
        self.table.replace(key, leaver, connections).map(|_| ())
    }

    fn remove_leaver(&mut self, key: InstanceKey, leaver: IpAddr) -> Result<(), ForwardingError> {
        self.table.remove_leaver(key, leaver)
    }

    fn disarm(&mut self, key: InstanceKey) -> Result<(), ForwardingError> {
        self.table.disarm(key)
    }

    fn restore(&mut self, interface: InterfaceName, index: u32) -> Result<(), ForwardingError> {
        self.table.restore(interface, index)
    }

    fn counts(&mut self) -> Result<Vec<ForwardedCount>, ForwardingError> {
        self.table.counts()
    }

    fn take_lost(&mut self) -> Vec<InstanceKey> {
        self.table.take_lost()
    }
}
