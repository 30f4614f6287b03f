//! Watches interfaces and their addresses.
//!
//! This module owns a netlink socket that is subscribed to links and addresses, and the table made
//! of its messages. It reports the facts of the watched interfaces whenever they change, and that
//! addresses changed, so that the keeper compares them. It must not know routers.
//!
//! All memory is bounded. What has to be reported is derived from the table, not queued: a slow
//! receiver gets the newest facts, never a backlog, and never delays the reading of netlink. If the
//! kernel had to drop notifications (overrun), the table is read again and [`MonitorEvent::Resync`]
//! is sent. The channel inside netlink-proto has no bound of its own; therefore its connection is
//! polled here, and only after everything that it delivered has been processed.

mod outbox;
mod table;

use self::outbox::{Outbox, QuietTime};
use self::table::{LinkTable, TableChange};
use super::address::{LOOPBACK, Origin};
use super::netlink::grow_receive_buffer;
use crate::types::{InterfaceName, LinkFacts};
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::link::LinkExtentMask;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::AsyncSocket;
use rtnetlink::proto::Connection;
use rtnetlink::{Handle, MulticastGroup};
use std::collections::BTreeSet;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// Size of the receive buffer in octets: about ten thousand notifications. Without CAP_NET_ADMIN
/// over the machine, the kernel limits it to `rmem_max`.
pub const RECEIVE_BUFFER: usize = 8 << 20;
/// Time between two [`MonitorEvent::AddressesChanged`]: the first change is reported at once, and
/// those that follow in a burst together.
const QUIET: Duration = Duration::from_millis(20);
/// Longest duration of a dump, which normally takes milliseconds. The message of
/// [`MonitorError::Timeout`] names it.
const DUMP_LIMIT: Duration = Duration::from_secs(10);
/// Number of dumps in a row that a notification may spoil.
const DUMP_ATTEMPTS: u8 = 20;
/// Number of notifications that are processed before their effect is reported.
const ROUND: usize = 4096;

/// A report of the monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MonitorEvent {
    /// The facts of a watched interface as they are now; `None` if it does not exist. At the start
    /// they are reported for every watched interface. An interface that went away and came back is
    /// reported as `None` first.
    Link(InterfaceName, Option<LinkFacts>),
    /// Addresses of a watched interface changed, or of `lo`, where addresses drain.
    AddressesChanged,
    /// Notifications were lost and the table was read again: anything may have changed.
    Resync,
}

/// Why the monitor ended.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The netlink socket could not be opened.
    #[error("cannot open a netlink socket for notifications")]
    Open(#[source] io::Error),
    /// The kernel refused to list interfaces or addresses.
    #[error("cannot list interfaces and addresses")]
    Dump(#[source] rtnetlink::Error),
    /// A dump did not end within 10 seconds.
    #[error("listing interfaces and addresses timed out (10 s)")]
    Timeout,
    /// The socket failed.
    #[error("the netlink socket for notifications was closed")]
    Closed,
}

type Notification = NetlinkMessage<RouteNetlinkMessage>;

/// The netlink socket with its subscriptions, and the table.
pub struct Monitor {
    connection: Pin<Box<Connection<RouteNetlinkMessage>>>,
    handle: Handle,
    messages: Pin<Box<dyn Stream<Item = Notification> + Send>>,
}

impl Monitor {
    /// Subscribes, in the network namespace of the calling thread and on the current tokio runtime.
    /// `receive_buffer` is [`RECEIVE_BUFFER`], or less in a test that needs an overrun.
    ///
    /// # Errors
    /// [`MonitorError::Open`].
    pub fn open(receive_buffer: usize) -> Result<Self, MonitorError> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (mut connection, handle, messages) =
            rtnetlink::new_multicast_connection(&groups).map_err(MonitorError::Open)?;
        let socket = connection.socket_mut().socket_mut();
        grow_receive_buffer(socket, receive_buffer)
            .and_then(|()| socket.set_netlink_get_strict_chk(true))
            .map_err(MonitorError::Open)?;
        let messages = messages.map(|(message, _)| message);
        Ok(Self { connection: Box::pin(connection), handle, messages: Box::pin(messages) })
    }

    /// Watches until the receiver of events or the sender of the watched names is dropped.
    ///
    /// # Errors
    /// [`MonitorError`], after which a new monitor is needed.
    pub async fn run(
        mut self,
        mut watched: watch::Receiver<BTreeSet<InterfaceName>>,
        out: mpsc::Sender<MonitorEvent>,
    ) -> Result<(), MonitorError> {
        let mut table = self.dump().await?;
        let mut outbox = Outbox::default();
        outbox.refresh(&table, &watched.borrow_and_update());
        let mut quiet = pin!(sleep(Duration::ZERO));
        loop {
            let quiet_time = if quiet.is_elapsed() { QuietTime::Over } else { QuietTime::Lasts };
            tokio::select! {
                message = self.next() => {
                    self.fold(message?, &mut table, &mut outbox, &watched).await?;
                    outbox.refresh(&table, &watched.borrow_and_update());
                }
                room = out.reserve(), if outbox.has_next(quiet_time) => {
                    let Ok(room) = room else { return Ok(()) };
                    if let Some(event) = outbox.next(quiet_time) {
                        if event == MonitorEvent::AddressesChanged {
                            quiet.set(sleep(QUIET));
                        }
                        room.send(event);
                    }
                }
                () = &mut quiet, if !quiet.is_elapsed() => {}
                changed = watched.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    outbox.refresh(&table, &watched.borrow_and_update());
                }
                () = out.closed() => return Ok(()),
            }
        }
    }

    /// Processes `first` and all messages that wait behind it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "not our enum; the rest is no notification")]
    async fn fold(
        &mut self,
        first: Notification,
        table: &mut LinkTable,
        outbox: &mut Outbox,
        watched: &watch::Receiver<BTreeSet<InterfaceName>>,
    ) -> Result<(), MonitorError> {
        let mut overrun = false;
        let mut next = Some(first);
        for _ in 0..ROUND {
            let Some(message) = next else { break };
            match message.payload {
                NetlinkPayload::InnerMessage(message) => match table.fold(&message) {
                    TableChange::Addresses(index, origin) => {
                        let is_watched =
                            || table.name(index).is_some_and(|name| watched.borrow().contains(&name));
                        // On `lo` an address is ours as long as it drains.
                        if (index == LOOPBACK && origin == Origin::Ours) || is_watched() {
                            outbox.addresses_changed();
                        }
                    }
                    TableChange::Gone(name) => outbox.gone(name),
                    TableChange::Link | TableChange::Nothing => {}
                },
                NetlinkPayload::Overrun(_) => overrun = true,
                _ => {}
            }
            next = self.next().now_or_never().transpose()?;
        }
        if overrun {
            *table = self.dump().await?;
            outbox.resync();
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Notification, MonitorError> {
        tokio::select! {
            biased;
            message = self.messages.next() => message.ok_or(MonitorError::Closed),
            () = &mut self.connection => Err(MonitorError::Closed),
        }
    }

    /// Reads the whole table. Notifications that arrive in the meantime are processed afterwards:
    /// each one states what is, so that it does no harm if the dump contained it already.
    ///
    /// A notification carries the sequence number of whoever caused it, a small one more often than
    /// not, and netlink-proto takes it for an answer if a request of ours has the same. The dump is
    /// spoilt then, and the next one has other numbers.
    async fn dump(&mut self) -> Result<LinkTable, MonitorError> {
        for _ in 1..DUMP_ATTEMPTS {
            match self.dump_once().await {
                Err(MonitorError::Dump(rtnetlink::Error::UnexpectedMessage(_))) => {}
                outcome => return outcome,
            }
        }
        self.dump_once().await
    }

    async fn dump_once(&mut self) -> Result<LinkTable, MonitorError> {
        let mut table = LinkTable::default();
        let links = self.handle.link().get();
        let links = links.set_filter_mask(AddressFamily::Unspec, vec![LinkExtentMask::SkipStats]);
        // One dump after the other: a socket can have only one dump at a time.
        self.list(links.execute().map_ok(RouteNetlinkMessage::NewLink), &mut table).await?;
        let addresses = self.handle.address().get();
        self.list(addresses.execute().map_ok(RouteNetlinkMessage::NewAddress), &mut table).await?;
        Ok(table)
    }

    async fn list(
        &mut self,
        listed: impl Stream<Item = Result<RouteNetlinkMessage, rtnetlink::Error>>,
        table: &mut LinkTable,
    ) -> Result<(), MonitorError> {
        let mut listed = pin!(listed);
        let reading = async {
            loop {
                tokio::select! {
                    message = listed.next() => match message {
                        Some(message) => {
                            table.fold(&message.map_err(MonitorError::Dump)?);
                        }
                        None => return Ok(()),
                    },
                    () = &mut self.connection => return Err(MonitorError::Closed),
                }
            }
        };
        timeout(DUMP_LIMIT, reading).await.map_err(|_| MonitorError::Timeout)?
    }
}
