//! Captures every frame that enters the switch, with the kernel's timestamps, in memory. A file is
//! written only if a test fails.

use super::frame::{Advert, Announcement, Datagram, Frame};
use super::namespace::Ns;
use super::wait::wait_some;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, IoSliceMut, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// `PACKET_OUTGOING`: the frame is on its way from the switch to a node.
const OUTGOING: u8 = 4;
/// `ETH_P_ALL`, in network byte order.
const ALL: i32 = 0x0003_i32.to_be() >> 16;

/// A running capture of all ports of a switch.
pub(crate) struct Capture {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Interface index of a port, and the node behind it.
    ports: Mutex<BTreeMap<usize, String>>,
    frames: Mutex<Vec<Frame>>,
    /// The frames that left the switch; `node` is the node that they were sent to.
    delivered: Mutex<Vec<Frame>>,
}

impl Capture {
    /// Starts capturing in the namespace of a switch.
    pub(crate) fn start(switch: &Ns) -> Self {
        Self::filtered(switch, &[])
    }

    /// As [`Capture::start`], but keeps frames of this IPv4 source only.
    pub(crate) fn of_source(switch: &Ns, source: Ipv4Addr) -> Self {
        Self::filtered(
            switch,
            &[
                SockFilter::new(0x28, 0, 0, 12), // load the EtherType
                SockFilter::new(0x15, 0, 3, 0x0800),
                SockFilter::new(0x20, 0, 0, 26), // load the source address
                SockFilter::new(0x15, 0, 1, source.into()),
                SockFilter::new(0x06, 0, 0, u32::MAX),
                SockFilter::new(0x06, 0, 0, 0),
            ],
        )
    }

    /// A capture that sees nothing and costs nothing.
    pub(crate) fn off() -> Self {
        Self { shared: Arc::default(), reader: None }
    }

    fn filtered(switch: &Ns, filter: &[SockFilter]) -> Self {
        let socket = switch.enter(|| {
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(ALL)));
            let socket = socket.expect("a packet socket");
            if !filter.is_empty() {
                socket.attach_filter(filter).expect("a filter");
            }
            socket
        });
        // Without privilege the kernel grants less (net.core.rmem_max), which is enough in practice.
        let _best_effort: io::Result<()> = socket.set_recv_buffer_size(16 << 20);
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a receive timeout");
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).expect("kernel timestamps");
        let shared = Arc::new(Shared::default());
        let reader = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                while !shared.stop.load(Ordering::Relaxed) {
                    shared.receive(&socket);
                }
            }
        });
        Self { shared, reader: Some(reader) }
    }

    /// Says which node is behind a port. Frames that arrive on other interfaces (the bridge itself)
    /// are not kept.
    pub(crate) fn name_port(&self, switch: &Ns, port: &str, node: &str) {
        let index = switch.enter(|| nix::net::if_::if_nametoindex(port).expect("the index of a port"));
        self.shared.ports.lock().unwrap().insert(usize::try_from(index).unwrap(), node.to_owned());
    }

    /// The present time, from which on a test looks at frames. Frames that the kernel has stamped
    /// already are earlier.
    pub(crate) fn now(&self) -> Duration {
        let now =
            nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).expect("the clock of the kernel");
        now.into()
    }

    /// Drops the frames before `from`.
    pub(crate) fn forget_before(&self, from: Duration) {
        for list in [&self.shared.frames, &self.shared.delivered] {
            list.lock().unwrap().retain(|frame| frame.at >= from);
        }
    }

    /// Every frame since `from`.
    pub(crate) fn frames(&self, from: Duration) -> Vec<Frame> {
        self.shared.frames.lock().unwrap().iter().filter(|frame| frame.at >= from).cloned().collect()
    }

    /// The number of frames: cheap enough to be asked often.
    pub(crate) fn count(&self) -> usize {
        self.shared.frames.lock().unwrap().len()
    }

    /// Every advertisement since `from`.
    pub(crate) fn adverts(&self, from: Duration) -> Vec<Advert> {
        self.read(from, Frame::advert)
    }

    /// The advertisements of one node since `from`.
    pub(crate) fn adverts_of(&self, node: &str, from: Duration) -> Vec<Advert> {
        self.adverts(from).into_iter().filter(|advert| advert.node == node).collect()
    }

    /// The advertisements that the switch passed on to `node`, which their field `node` names.
    pub(crate) fn delivered_adverts(&self, node: &str) -> Vec<Advert> {
        let frames = self.shared.delivered.lock().unwrap();
        frames.iter().filter(|frame| frame.node == node).filter_map(Frame::advert).collect()
    }

    /// Every gratuitous ARP and unsolicited neighbour advertisement since `from`.
    pub(crate) fn announcements(&self, from: Duration) -> Vec<Announcement> {
        self.read(from, Frame::announcement)
    }

    /// Every UDP datagram since `from`.
    pub(crate) fn datagrams(&self, from: Duration) -> Vec<Datagram> {
        self.read(from, Frame::datagram)
    }

    /// Waits for an advertisement of `node` since `from` that `matches`.
    #[track_caller]
    pub(crate) fn wait_advert(
        &self,
        limit: Duration,
        node: &str,
        from: Duration,
        matches: impl Fn(&Advert) -> bool,
    ) -> Advert {
        wait_some(limit, format!("an advertisement of {node}"), || {
            self.adverts_of(node, from).into_iter().find(|advert| matches(advert))
        })
    }

    /// Waits until `node` announces `address` after `from`.
    #[track_caller]
    pub(crate) fn wait_announcement(
        &self,
        limit: Duration,
        node: &str,
        from: Duration,
        address: IpAddr,
    ) -> Announcement {
        wait_some(limit, format!("{node} announces {address}"), || {
            let all = self.announcements(from);
            all.into_iter().find(|seen| seen.node == node && seen.address == address)
        })
    }

    /// Writes everything as pcap (with nanoseconds), and returns the number of frames.
    pub(crate) fn write_pcap(&self, path: &Path) -> io::Result<usize> {
        let frames = self.frames(Duration::ZERO);
        let mut file = io::BufWriter::new(std::fs::File::create(path)?);
        // Magic of nanosecond pcap, version 2.4, UTC, no claim of accuracy, snap length, Ethernet.
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            file.write_all(&word.to_le_bytes())?;
        }
        for frame in &frames {
            let length = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
            let seconds = u32::try_from(frame.at.as_secs()).unwrap_or(u32::MAX);
            for word in [seconds, frame.at.subsec_nanos(), length, length] {
                file.write_all(&word.to_le_bytes())?;
            }
            file.write_all(&frame.bytes)?;
        }
        file.flush()?;
        Ok(frames.len())
    }

    fn read<T>(&self, from: Duration, decode: impl Fn(&Frame) -> Option<T>) -> Vec<T> {
        let frames = self.shared.frames.lock().unwrap();
        frames.iter().filter(|frame| frame.at >= from).filter_map(decode).collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ended: thread::Result<()> = reader.join();
        }
    }
}

impl Shared {
    /// Receives one frame, or none within the receive timeout.
    fn receive(&self, socket: &Socket) {
        let mut buffer = [0_u8; 65_536];
        let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let flags = MsgFlags::empty();
        let message = match recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags) {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => return,
            Err(error) => panic!("capturing: {error}"),
        };
        let at = message.cmsgs().expect("control messages").find_map(|control| {
            if let ControlMessageOwned::ScmTimestampns(at) = control {
                Some(Duration::from(at))
            } else {
                None
            }
        });
        let (Some(at), Some(from)) = (at, message.address) else { return };
        let length = message.bytes;
        if let Some(node) = self.ports.lock().unwrap().get(&from.ifindex()).cloned() {
            let bytes = buffer[..length].to_vec();
            let list = if from.pkttype() == OUTGOING { &self.delivered } else { &self.frames };
            list.lock().unwrap().push(Frame { at, node, bytes });
        }
    }
}
