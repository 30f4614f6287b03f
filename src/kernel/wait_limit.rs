//! A limit for the time that a thread waits for datagrams.
//!
//! The kernel answers a netlink request while `send` runs, or when the answer is read. The limit is
//! for the case that it does not answer at all. It is a timer that poll(2) waits for beside the
//! socket, so that nothing here reads a clock, and interrupted calls do not make it longer.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

/// A limit that has begun.
pub(super) struct WaitLimit {
    timer: TimerFd,
    limit: Duration,
}

impl WaitLimit {
    /// A limit that begins now.
    ///
    /// # Errors
    /// The process cannot have a timer.
    pub(super) fn start(limit: Duration) -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        timer.set(Expiration::OneShot(TimeSpec::from_duration(limit)), TimerSetTimeFlags::empty())?;
        Ok(Self { timer, limit })
    }

    /// Receives one datagram into `buffer`, and returns its length.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when the limit is over, [`io::ErrorKind::InvalidData`] for a
    /// datagram that is longer than the buffer, or an error of the socket.
    pub(super) fn receive(&self, socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.wait_for(socket.as_fd())?;
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
            match recv(socket.as_fd().as_raw_fd(), buffer, flags) {
                Ok(length) if length > buffer.len() => {
                    let what = format!("a datagram of {length} octets");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
                Ok(length) => return Ok(length),
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Waits until there is something to read.
    fn wait_for(&self, readable: BorrowedFd<'_>) -> io::Result<()> {
        let mut ready =
            [PollFd::new(readable, PollFlags::POLLIN), PollFd::new(self.timer.as_fd(), PollFlags::POLLIN)];
        loop {
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let [_, timer] = ready;
        match timer.any() {
            Some(true) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {:?}", self.limit)))
            }
            Some(false) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn what_is_there_is_received_and_what_does_not_come_is_given_up() {
        let (here, there) = UnixDatagram::pair().unwrap();
        let soon = WaitLimit::start(Duration::from_secs(10)).unwrap();
        there.send(b"abc").unwrap();
        there.send(b"abcdef").unwrap();
        let mut buffer = [0; 4];
        assert_eq!(soon.receive(&here, &mut buffer).unwrap(), 3);
        assert_eq!(buffer[..3], *b"abc");
        assert_eq!(soon.receive(&here, &mut buffer).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let at_once = WaitLimit::start(Duration::from_millis(1)).unwrap();
        let given_up = at_once.receive(&here, &mut buffer).unwrap_err();
        assert_eq!(
            (given_up.kind(), given_up.to_string().as_str()),
            (io::ErrorKind::TimedOut, "no answer within 1ms")
        );
    }
}
