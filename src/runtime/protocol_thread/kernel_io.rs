//! The kernel's side of the protocol thread: the clock, epoll, the one timer, sockets, and the way
//! to the address thread.

use super::endpoint::{SocketKind, SocketPurpose};
use super::engine::{Ready, ThreadIo};
use super::mailbox::Mailbox;
use super::retry_queue::Offer;
use super::sockets::KernelSockets;
use crate::kernel::keeper::{AddressKeeper, CommandRefused, KeeperCommand};
use crate::protocol::DrainId;
use crate::runtime::clock;
use crate::runtime::draining::{DrainOutlet, OrderResult};
use crate::types::{Family, InstanceKey, InterfaceName, MonoTime};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// The token of the timer in epoll.
const TIMER: u64 = 0;
/// The token of the mailbox.
const MAILBOX: u64 = 1;
/// The token of the first socket of the first endpoint.
const FIRST_SOCKET: u64 = 2;
/// How many tokens an endpoint has.
const KINDS: u64 = SocketKind::ALL.len() as u64;

/// See the head of the file.
#[derive(Debug)]
pub(super) struct KernelIo {
    epoll: Epoll,
    timer: TimerFd,
    /// What the timer is set to.
    armed: Option<MonoTime>,
    /// Room for everything that epoll may tell at once.
    events: Vec<EpollEvent>,
    keeper: Arc<AddressKeeper>,
    drains: DrainOutlet,
}

impl KernelIo {
    /// Makes the timer, and watches the mailbox.
    pub(super) fn new(
        mailbox: &Mailbox,
        keeper: Arc<AddressKeeper>,
        drains: DrainOutlet,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer =
            TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        epoll.add(mailbox, EpollEvent::new(EpollFlags::EPOLLIN, MAILBOX))?;
        Ok(Self { epoll, timer, armed: None, events: Vec::new(), keeper, drains })
    }

    /// Sets the timer, if that changes it. A deadline that has passed fires at once.
    fn arm(&mut self, deadline: Option<MonoTime>) -> io::Result<()> {
        if deadline == self.armed {
            return Ok(());
        }
        self.armed = deadline;
        match deadline {
            Some(at) => {
                // Zero would disarm it.
                let at = TimeSpec::from_duration(Duration::from_nanos(at.as_nanos().max(1)));
                self.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
            None => self.timer.unset()?,
        }
        Ok(())
    }
}

impl ThreadIo for KernelIo {
    type Sockets = KernelSockets;

    fn now(&self) -> MonoTime {
        clock::now()
    }

    fn poll(&mut self, endpoints: usize, ready: &mut Vec<Ready>) {
        ready.clear();
        self.events.resize(2 + SocketKind::ALL.len() * endpoints, EpollEvent::empty());
        let count = loop {
            match self.epoll.wait(&mut self.events, EpollTimeout::ZERO) {
                Ok(count) => break count,
                Err(Errno::EINTR) => {}
                // Epoll gave no error when the thread slept; if this one stays, the next sleep
                // returns it.
                Err(_) => break 0,
            }
        };
        for event in self.events.iter().take(count) {
            match event.data() {
                TIMER => {
                    self.armed = None;
                    // Reading it makes it unreadable. What is due is found by looking. `EAGAIN` if
                    // it was set again.
                    let _ = self.timer.wait();
                }
                MAILBOX => ready.push(Ready::Mailbox),
                token => ready.extend(socket_of(token)),
            }
        }
    }

    fn sleep_until(&mut self, deadline: Option<MonoTime>) -> io::Result<()> {
        self.arm(deadline)?;
        match self.epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE) {
            // `EINTR`: a signal, or the end of a stop. The turn that follows finds whatever is
            // ready.
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn open(
        &mut self,
        place: usize,
        interface: (InterfaceName, u32),
        family: Family,
        purpose: SocketPurpose,
    ) -> Result<KernelSockets, String> {
        KernelSockets::open(interface, family, purpose, &self.epoll, |kind| token(place, kind))
    }

    fn ask_to_forward(&mut self, key: InstanceKey, epoch: u64, relieved: IpAddr) -> OrderResult {
        self.drains.take_over(key, epoch, relieved)
    }

    fn reset_connections(&mut self, drain: DrainId) {
        self.drains.reset_connections(drain);
    }

    fn tell_keeper(&mut self, command: KeeperCommand) -> Offer<KeeperCommand> {
        match self.keeper.send(command) {
            Ok(()) => Offer::Taken,
            Err(CommandRefused::Full(command)) => Offer::Full(command),
            // The main thread sees the address thread end, and ends the agent.
            Err(CommandRefused::Ended(_)) => Offer::Ended,
        }
    }
}

/// What epoll tells of a socket of the endpoint at a place.
fn token(place: usize, kind: SocketKind) -> u64 {
    let kind = match kind {
        SocketKind::Advertisements => 0,
        SocketKind::OwnAddresses => 1,
        SocketKind::Announcements => 2,
    };
    // A place is the index of a vector: it fits.
    FIRST_SOCKET + KINDS * u64::try_from(place).unwrap_or(u64::MAX / KINDS) + kind
}

/// The socket that a token stands for.
fn socket_of(token: u64) -> Option<Ready> {
    let number = token.checked_sub(FIRST_SOCKET)?;
    let kind = *SocketKind::ALL.get(usize::try_from(number % KINDS).ok()?)?;
    Some(Ready::Socket(usize::try_from(number / KINDS).ok()?, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_has_a_token_of_its_own() {
        let mut tokens = vec![TIMER, MAILBOX];
        for place in 0..40 {
            for kind in SocketKind::ALL {
                assert_eq!(socket_of(token(place, kind)), Some(Ready::Socket(place, kind)));
                tokens.push(token(place, kind));
            }
        }
        let count = tokens.len();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), count);
        assert_eq!((socket_of(TIMER), socket_of(MAILBOX)), (None, None));
    }
}
