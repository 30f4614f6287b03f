//! The packet socket that sends announcements: whole Ethernet frames, which bypass the local IP
//! stack.
//!
//! This module owns pacing: thousands of frames must all leave, however short the interface's queue
//! is. It must not know why an address is announced. It blocks for a bounded time, so the protocol
//! thread must not call it.

use super::socket_error::{Context, SocketError};
use super::sys::{self, SEND_MANY};
use crate::types::{InterfaceName, MacAddr};
use crate::wire::{Announcement, Frame};
use nix::poll::{PollFd, PollFlags, poll};
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

/// How long one wait for room in a queue lasts at most, in milliseconds.
const WAIT: u8 = 5;

/// Number of waits that one [`FrameSocket::announce`] may spend: one second in all. After that the
/// link is stuck, and it is better to lose its frames than to send them late.
const WAITS: u16 = 200;

/// The result of one [`FrameSocket::announce`].
#[derive(Debug, Default)]
pub struct Announced {
    /// Number of frames given to the interface.
    pub sent: usize,
    /// Number of frames that were not given to the interface.
    pub failed: usize,
    /// The first error.
    pub error: Option<io::Error>,
}

/// Sends frames on one interface. Receives nothing.
#[derive(Debug)]
pub struct FrameSocket {
    socket: Socket,
}

/// Whether a frame that failed with an error should be tried again.
enum SendFailure {
    QueueFull,
    Final,
}

impl FrameSocket {
    /// Opens the socket.
    ///
    /// # Errors
    /// [`SocketError`], with the step that failed.
    pub fn open(interface: InterfaceName, index: u32) -> Result<Self, SocketError> {
        let context = Context { interface, index };
        // With protocol 0 the kernel never gives this socket a packet (packet(7)).
        let opened = Socket::new(Domain::PACKET, Type::RAW, None);
        let socket = context.step("open a packet socket", opened)?;
        let address = context.step("use the interface's index", sys::transmit_only_address(index))?;
        context.step("bind a packet socket to the interface", socket.bind(&address))?;
        context.step("make a packet socket non-blocking", socket.set_nonblocking(true))?;
        Ok(Self { socket })
    }

    /// Announces every address at `mac`, `rounds` times. All addresses are announced once before
    /// any of them is announced again, so that the last address does not wait for the repeats of
    /// the first.
    // RFC9568-8.1.2-4
    pub fn announce(&self, mac: MacAddr, addresses: &[IpAddr], rounds: u8) -> Announced {
        let mut announced = Announced::default();
        let mut waits = 0..WAITS;
        for _ in 0..rounds {
            for chunk in addresses.chunks(SEND_MANY) {
                let mut frames = chunk.iter().map(|address| Announcement { address: *address, mac }.frame());
                let frames: [Option<Frame>; SEND_MANY] = std::array::from_fn(|_| frames.next());
                self.send_frames(&frames, chunk.len(), &mut waits, &mut announced);
            }
        }
        announced
    }

    fn send_frames(
        &self,
        frames: &[Option<Frame>],
        count: usize,
        waits: &mut std::ops::Range<u16>,
        announced: &mut Announced,
    ) {
        let mut next = 0;
        while next < count {
            let rest = frames.iter().skip(next).flatten();
            // The socket is bound to where they go.
            let rest = rest.map(|frame| sys::AddressedMessage {
                destination: None,
                control: &[],
                octets: frame.as_bytes(),
            });
            match sys::send_many(&self.socket, rest) {
                Ok(sent) => {
                    announced.sent += sent;
                    next += sent;
                }
                Err(error) => match failure(&error) {
                    SendFailure::QueueFull if waits.next().is_some() => self.wait(&error),
                    SendFailure::QueueFull | SendFailure::Final => {
                        announced.failed += 1;
                        announced.error.get_or_insert(error);
                        next += 1;
                    }
                },
            }
        }
    }

    /// Waits until the socket has room again. If the interface's queue is full and not the
    /// socket's, the socket always reports that it has room; then the wait is a plain pause.
    fn wait(&self, error: &io::Error) {
        let writable = PollFd::new(self.socket.as_fd(), PollFlags::POLLOUT);
        // A signal ends the wait early; the frame is tried again then.
        let _ = if error.kind() == io::ErrorKind::WouldBlock {
            poll(&mut [writable], WAIT)
        } else {
            poll(&mut [], WAIT)
        };
    }
}

fn failure(error: &io::Error) -> SendFailure {
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS) => SendFailure::QueueFull,
        Some(_) | None => SendFailure::Final,
    }
}
