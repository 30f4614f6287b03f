//! The `unsafe` code of the modules for sockets, scheduling and privileges: system calls that no
//! crate here wraps in a safe function, each in a safe function of a few lines.
//!
//! Owns nothing and decides nothing; its callers do.

#![allow(unsafe_code)]

use super::confinement::Confinement;
use nix::errno::Errno;
use nix::sys::socket::{MultiHeaders, SockaddrLike};
use socket2::{SockAddr, SockAddrStorage};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

/// Sets a socket option whose value is a C `int`.
pub(super) fn set_int_option(
    socket: &impl AsFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    #[allow(clippy::cast_possible_truncation)] // four octets
    const LENGTH: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is borrowed for the call; the kernel reads LENGTH octets of `value`.
    let outcome = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw const value).cast(), LENGTH)
    };
    Errno::result(outcome).map(drop).map_err(io::Error::from)
}

/// The link-layer address that means an interface and protocol 0: a packet socket bound to it sends
/// and never receives (packet(7)).
pub(super) fn transmit_only_address(index: u32) -> io::Result<SockAddr> {
    link_address(index, 0)
}

/// The link-layer address that means all ARP packets of an interface.
pub(super) fn arp_address(index: u32) -> io::Result<SockAddr> {
    link_address(index, libc::ETH_P_ARP)
}

/// The link-layer address that means all IPv4 packets of an interface.
pub(super) fn ipv4_address(index: u32) -> io::Result<SockAddr> {
    link_address(index, libc::ETH_P_IP)
}

/// The link-layer address that means all IPv6 packets of an interface.
pub(super) fn ipv6_address(index: u32) -> io::Result<SockAddr> {
    link_address(index, libc::ETH_P_IPV6)
}

fn link_address(index: u32, protocol: libc::c_int) -> io::Result<SockAddr> {
    #[allow(clippy::cast_possible_truncation)] // twenty octets
    const LENGTH: socket2::socklen_t = size_of::<libc::sockaddr_ll>() as socket2::socklen_t;
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: sockaddr_ll is one of the platform's sockaddr types, and all zeros is valid for it.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::sa_family_t::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
    address.sll_protocol = u16::try_from(protocol).map_err(io::Error::other)?.to_be();
    address.sll_ifindex = libc::c_int::try_from(index).map_err(io::Error::other)?;
    // SAFETY: the storage holds a complete sockaddr_ll of the family that it names, and LENGTH is
    // its size.
    Ok(unsafe { SockAddr::new(storage, LENGTH) })
}

/// Gives free pages of the C library's heap back to the kernel (malloc_trim(3)). Other C libraries
/// do that themselves.
pub(super) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes an integer; the C library locks each of its heaps while it works on it. Whether
    // it found something is not of interest.
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Sets the policy and the real-time priority of the calling thread.
pub(super) fn set_scheduler(policy: libc::c_int, priority: libc::c_int) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: thread 0 is the calling thread; the kernel only reads `parameters`.
    let outcome = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    Errno::result(outcome).map(drop).map_err(io::Error::from)
}

/// Sets the nice value of the calling thread (on Linux each thread has its own).
pub(super) fn set_nice(value: libc::c_int) -> io::Result<()> {
    // SAFETY: takes three integers; id 0 is the calling thread.
    let outcome = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) };
    Errno::result(outcome).map(drop).map_err(io::Error::from)
}

/// Empties the ambient set of the calling thread (capabilities(7)).
pub(super) fn clear_ambient_capabilities() -> io::Result<()> {
    let (clear, unused): (libc::c_ulong, libc::c_ulong) =
        (libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0);
    // SAFETY: takes integers only, and changes nothing but the capabilities of this thread.
    let outcome = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear, unused, unused, unused) };
    Errno::result(outcome).map(drop).map_err(io::Error::from)
}

/// What a child process does before exec. The value is made before the fork, and the child only
/// reads it.
pub(super) struct InChild {
    /// User, group and groups.
    pub(super) identity: Option<(u32, u32, Vec<u32>)>,
    pub(super) confinement: Confinement,
    /// The landlock(7) rules against signals, if they apply.
    pub(super) signals: Option<&'static OwnedFd>,
}

/// Makes a command take these steps between fork and exec.
pub(super) fn before_exec(command: &mut Command, steps: InChild) {
    // SAFETY: the closure makes system calls on values that exist already, allocates nothing, takes
    // no lock and does not panic, as is required in a child of a process with threads.
    unsafe { command.pre_exec(move || steps.take()) };
}

impl InChild {
    fn take(&self) -> io::Result<()> {
        if let Some((uid, gid, groups)) = &self.identity {
            // SAFETY: the kernel reads `groups.len()` ids; the others take integers.
            unsafe {
                Errno::result(libc::setgroups(groups.len() as _, groups.as_ptr()))?;
                Errno::result(libc::setgid(*gid))?;
                Errno::result(libc::setuid(*uid))?;
            }
        }
        if self.confinement == Confinement::AnswerOnly {
            let (on, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
            // SAFETY: takes integers only, and changes nothing but this process.
            let outcome = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, on, unused, unused, unused) };
            Errno::result(outcome)?;
        }
        if let Some(rules) = self.signals {
            // SAFETY: takes a descriptor that stays open for the life of the process, and flags.
            let outcome = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) };
            Errno::result(outcome)?;
        }
        Ok(())
    }
}

/// Rules of landlock(7) under which a process can signal only processes with the same rules. They
/// forbid nothing else.
///
/// # Errors
/// Before Linux 6.12, or where landlock is switched off.
pub(super) fn signal_scope() -> io::Result<OwnedFd> {
    /// `struct landlock_ruleset_attr` of Linux 6.12.
    #[repr(C)]
    struct Attributes {
        handled_access_fs: u64,
        handled_access_net: u64,
        scoped: u64,
    }
    const SCOPE_SIGNAL: u64 = 1 << 1;
    let attributes = Attributes { handled_access_fs: 0, handled_access_net: 0, scoped: SCOPE_SIGNAL };
    // SAFETY: the kernel reads the structure, whose size it is given, and returns a descriptor that
    // nothing else owns.
    unsafe {
        let (rules, size) = (&raw const attributes, size_of::<Attributes>());
        let fd = Errno::result(libc::syscall(libc::SYS_landlock_create_ruleset, rules, size, 0))?;
        Ok(OwnedFd::from_raw_fd(RawFd::try_from(fd).map_err(io::Error::other)?))
    }
}

/// Whether a file or directory has an access list (acl(5)) beside its mode.
pub(super) fn has_access_list(path: &CStr) -> bool {
    // SAFETY: the kernel reads two strings that end with NUL, and writes nothing because the room
    // is zero.
    let octets =
        unsafe { libc::lgetxattr(path.as_ptr(), c"system.posix_acl_access".as_ptr(), ptr::null_mut(), 0) };
    octets > 0
}

/// Gives a file an access list, in the kernel's format.
#[cfg(test)]
pub(super) fn set_access_list(path: &CStr, list: &[u8]) -> io::Result<()> {
    let name = c"system.posix_acl_access".as_ptr();
    // SAFETY: the kernel reads two strings that end with NUL and the octets of the list.
    let outcome = unsafe { libc::lsetxattr(path.as_ptr(), name, list.as_ptr().cast(), list.len(), 0) };
    Errno::result(outcome).map(drop).map_err(io::Error::from)
}

/// Programs that are started do not inherit descriptors from `first` on.
pub(super) fn close_on_exec(first: libc::c_uint) -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: takes integers only, and closes nothing.
    let outcome = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) };
    Errno::result(outcome).map(drop).map_err(io::Error::from)
}

/// Takes a capability out of the bounding set of the calling thread.
pub(super) fn drop_from_bounding_set(capability: u32) -> io::Result<()> {
    let (capability, unused): (libc::c_ulong, libc::c_ulong) = (capability.into(), 0);
    // SAFETY: takes integers only, and changes nothing but the capabilities of this thread.
    let outcome = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, unused, unused, unused) };
    Errno::result(outcome).map(drop).map_err(io::Error::from)
}

/// Sets the effective and permitted capabilities of the calling thread, and no inheritable ones.
pub(super) fn set_capabilities(kept: u64) -> io::Result<()> {
    /// `struct __user_cap_header_struct` and two of `__user_cap_data_struct` (capset(2)).
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    #[allow(clippy::cast_possible_truncation)] // the two halves
    let halves = [kept as u32, (kept >> 32) as u32];
    let data = halves.map(|half| Data { effective: half, permitted: half, inheritable: 0 });
    // SAFETY: process 0 is the calling thread; the kernel reads one header and two structures of
    // data.
    let outcome = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    Errno::result(outcome).map(drop).map_err(io::Error::from)
}

/// The most messages that one [`send_many`] takes.
pub(super) const SEND_MANY: usize = 64;

/// One message, with where it goes (`None`: to the destination that the socket is bound to) and its
/// control messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct AddressedMessage<'a> {
    pub(super) destination: Option<&'a SockAddr>,
    pub(super) control: &'a [u8],
    pub(super) octets: &'a [u8],
}

/// sendmmsg(2), without blocking: sends as many of the first `messages` as the kernel takes, at
/// most [`SEND_MANY`]. Returns how many were sent: at least one, if there was any.
///
/// nix has such a function, which does not allocate either, but its results read addresses that
/// were never set.
///
/// # Errors
/// The error for the first message.
pub(super) fn send_many<'a>(
    socket: &impl AsFd,
    messages: impl Iterator<Item = AddressedMessage<'a>>,
) -> io::Result<usize> {
    let mut slices = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; SEND_MANY];
    // SAFETY: mmsghdr is a plain C structure, and all zeros is valid for it (null pointers with
    // length 0).
    let mut headers: [libc::mmsghdr; SEND_MANY] = unsafe { std::mem::zeroed() };
    let mut count: libc::c_uint = 0;
    for ((message, slice), header) in messages.zip(&mut slices).zip(&mut headers) {
        let AddressedMessage { destination, control, octets } = message;
        *slice = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
        header.msg_hdr.msg_iov = slice;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_control = control.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_controllen = control.len() as _;
        if let Some(address) = destination {
            header.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = address.len();
        }
        count += 1;
    }
    let fd = socket.as_fd().as_raw_fd();
    loop {
        // SAFETY: the first `count` headers point to what `messages` borrow for longer than this
        // call, and to `slices`; the kernel only reads that, whatever the pointers' mutability says,
        // and writes `msg_len`.
        let outcome = unsafe {
            libc::sendmmsg(fd, headers.as_mut_ptr(), count, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
        };
        match Errno::result(outcome) {
            Ok(sent) => return usize::try_from(sent).map_err(io::Error::other),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// nix's preallocated message headers, made movable to the thread that uses them.
#[derive(Debug)]
pub(super) struct Headers<S>(pub(super) MultiHeaders<S>);

// SAFETY: the raw pointers inside refer to boxes that the value itself owns, and to I/O slices that
// every recvmmsg call sets again before the kernel sees them. Nothing is shared, nothing
// is bound to a thread.
unsafe impl<S: Send> Send for Headers<S> {}

impl<S: SockaddrLike + Copy> Headers<S> {
    /// Headers for receiving `count` messages, each with room for as many control octets as
    /// `control` can hold.
    pub(super) fn new(count: usize, control: Option<Vec<u8>>) -> Self {
        Self(MultiHeaders::preallocate(count, control))
    }
}
