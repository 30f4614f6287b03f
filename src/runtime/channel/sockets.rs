//! The sockets of the channel: which are open, and what arrives on them.

use super::local::LinkReach;
use super::probes::{ProbeSockets, ProbesWanted};
use crate::channel::ChannelLink;
use crate::kernel::blocking;
use crate::kernel::channel_socket::{ChannelDatagram, ChannelSocket};
use crate::kernel::membership::GroupMembership;
use crate::kernel::neighbour;
use crate::kernel::probe_socket::ProbeSocket;
use crate::kernel::socket_error::SocketError;
use crate::types::{InterfaceName, MacAddr};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Number of datagrams that may wait. Others are dropped, as a network drops them: everything is
/// said again.
pub(super) const DATAGRAMS: usize = 256;

/// How long a node is looked for on the link before a probe frame is sent.
const NEIGHBOUR_LIMIT: Duration = Duration::from_secs(1);

/// What arrived on a link.
#[derive(Debug)]
pub(super) enum ChannelArrival {
    Datagram(ChannelDatagram),
    /// What a probe frame carried.
    Probe(Vec<u8>),
}

/// The sockets that are open.
#[derive(Debug)]
pub(super) struct ChannelSockets {
    port: u16,
    arrived: mpsc::Sender<(ChannelLink, ChannelArrival)>,
    open: BTreeMap<ChannelLink, OpenLink>,
    /// Where the kernel refuses one, nothing is proven, and nothing drains.
    probes: ProbeSockets<OpenProbes>,
    /// Why a socket is not open, or does not send. Each is logged when it begins.
    problems: BTreeMap<ChannelLink, String>,
}

#[derive(Debug)]
struct OpenLink {
    socket: Arc<ChannelSocket>,
    group: GroupMembership,
    reader: JoinHandle<()>,
}

#[derive(Debug)]
struct OpenProbes {
    socket: Arc<ProbeSocket>,
    reader: JoinHandle<()>,
}

impl Drop for OpenLink {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Drop for OpenProbes {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl ChannelSockets {
    pub(super) const fn new(port: u16, arrived: mpsc::Sender<(ChannelLink, ChannelArrival)>) -> Self {
        Self { port, arrived, open: BTreeMap::new(), probes: ProbeSockets::new(), problems: BTreeMap::new() }
    }

    /// Opens what is missing, closes what is not needed, and joins or leaves the group. Interfaces come
    /// and go, so this is called every second.
    pub(super) fn update(&mut self, wanted: &BTreeMap<ChannelLink, LinkReach>, probes: ProbesWanted) {
        self.open.retain(|link, _| wanted.contains_key(link));
        self.problems.retain(|link, _| wanted.contains_key(link));
        let mut present = BTreeMap::new();
        for (link, LinkReach { group, .. }) in wanted {
            let Ok(index) = if_nametoindex(link.interface.as_str()) else {
                // That is a fault of the router, which is told there.
                self.open.remove(link);
                self.problems.remove(link);
                continue;
            };
            present.insert(*link, index);
            let before = self.open.get_mut(link).filter(|open| open.socket.index() == index);
            let changed = match before {
                Some(open) if open.group == *group => continue,
                Some(open) => open.socket.change_membership(*group).map(|()| open.group = *group),
                None => {
                    self.open.remove(link);
                    self.open(*link, index, *group).map(|open| drop(self.open.insert(*link, open)))
                }
            };
            match changed {
                Ok(()) => drop(self.problems.remove(link)),
                Err(error) => self.tell(*link, with_cause(&error)),
            }
        }
        self.update_probes(match probes {
            ProbesWanted::Yes => present,
            ProbesWanted::No => BTreeMap::new(),
        });
    }

    fn update_probes(&mut self, links: BTreeMap<ChannelLink, u32>) {
        let arrived = &self.arrived;
        let news = self.probes.update(&links, |link, index| {
            let opened = ProbeSocket::open(link.interface, index, link.family);
            let socket = opened.map_err(|error| with_cause(&error))?;
            let socket = Arc::new(socket);
            let reader = tokio::spawn(read_probes(link, Arc::clone(&socket), arrived.clone()));
            Ok(OpenProbes { socket, reader })
        });
        for (link, why) in news {
            tracing::warn!("{}", probe_problem(link, &why));
        }
    }

    /// Sends a datagram, or drops it: everything is said again.
    pub(super) fn send(&mut self, link: ChannelLink, source: IpAddr, to: IpAddr, octets: &[u8]) {
        let Some(open) = self.open.get(&link) else { return };
        match open.socket.send(source, to, octets) {
            Ok(()) => {
                self.problems.remove(&link);
            }
            // A firewall of this machine. All other errors come and go with the link.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let port = self.port;
                self.tell(link, format!("a firewall of this machine drops what is sent to UDP port {port}"));
            }
            Err(error) => tracing::debug!(%error, interface = %link.interface, "a report was not sent"),
        }
    }

    /// Sends a probe frame to a node, or drops it: a node that has not seen one is sent another.
    /// Finding the node on the link may take a moment, and is waited for elsewhere.
    pub(super) fn send_probe(&self, link: ChannelLink, to: IpAddr, octets: Vec<u8>) {
        let Some(probes) = self.probes.get(link) else { return };
        let (socket, index) = (Arc::clone(&probes.socket), probes.socket.index());
        tokio::spawn(async move {
            let places = blocking::spawn(move || {
                let here = own_mac(link.interface)?;
                neighbour::resolve(index, to, NEIGHBOUR_LIMIT).ok().map(|there| (here, there))
            });
            let Ok(Some((here, there))) = places.await else { return };
            if let Err(error) = socket.send(here, there, to, &octets) {
                tracing::debug!(%error, interface = %link.interface, "a probe frame was not sent");
            }
        });
    }

    /// What is wrong now, in words.
    pub(super) fn problems(&self) -> Vec<String> {
        let text =
            |(link, why): (&ChannelLink, &String)| format!("{} {}: {why}", link.interface, link.family);
        self.problems.iter().map(text).collect()
    }

    /// Why no probe frames are sent and heard, in words.
    pub(super) fn probe_problems(&self) -> Vec<String> {
        self.probes.problems().map(|(link, why)| probe_problem(link, why)).collect()
    }

    fn tell(&mut self, link: ChannelLink, why: String) {
        if self.problems.get(&link) != Some(&why) {
            let (interface, family) = (link.interface, link.family);
            tracing::warn!(%interface, %family, "the nodes cannot talk to one another here: {why}");
            self.problems.insert(link, why);
        }
    }

    fn open(&self, link: ChannelLink, index: u32, group: GroupMembership) -> Result<OpenLink, SocketError> {
        let socket = ChannelSocket::open(link.interface, index, link.family, self.port, group)?;
        let socket = Arc::new(socket);
        let reader = tokio::spawn(read(link, Arc::clone(&socket), self.arrived.clone()));
        Ok(OpenLink { socket, group, reader })
    }
}

fn with_cause(error: &SocketError) -> String {
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}")
}

fn probe_problem(ChannelLink { interface, family }: ChannelLink, why: &str) -> String {
    format!("open connections cannot be kept on {interface} ({family}) when another node takes over: {why}")
}

/// Passes on what arrives on one socket.
async fn read(
    link: ChannelLink,
    socket: Arc<ChannelSocket>,
    arrived: mpsc::Sender<(ChannelLink, ChannelArrival)>,
) {
    while socket.readable().await.is_ok() {
        // An error is one of the link (it is down), and is taken from the socket by this call.
        for datagram in socket.receive().unwrap_or_default() {
            // A full queue is a flood, or a machine that does not run us.
            let _ = arrived.try_send((link, ChannelArrival::Datagram(datagram)));
        }
        // Others run between two batches of a flood.
        tokio::task::yield_now().await;
    }
}

/// Passes on what probe frames carry.
async fn read_probes(
    link: ChannelLink,
    socket: Arc<ProbeSocket>,
    arrived: mpsc::Sender<(ChannelLink, ChannelArrival)>,
) {
    while socket.readable().await.is_ok() {
        for octets in socket.receive().unwrap_or_default() {
            let _ = arrived.try_send((link, ChannelArrival::Probe(octets)));
        }
        tokio::task::yield_now().await;
    }
}

/// The hardware address of an interface.
fn own_mac(interface: InterfaceName) -> Option<MacAddr> {
    let mut addresses = getifaddrs().ok()?.filter(|one| one.interface_name == interface.as_str());
    addresses.find_map(|one| one.address?.as_link_addr()?.addr()).map(MacAddr)
}
