//! The connections of a host on the real kernel: which are listed, and what a reset does.
//!
//! The host `server` has virtual addresses, and the host `client` is on the same cable.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

mod support;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV6, TcpStream};
use std::time::Duration;
use support::namespace::Ns;
use support::wait::now;
use support::{SOON, wait_for};
use vrrpd::kernel::capabilities;
use vrrpd::kernel::connections::{
    self, ConnectionList, ConnectionSocket, ConnectionsError, ListExtent, TcpState,
};
use vrrpd::types::Connection;

const VIRTUAL_IPV4: &str = "192.0.2.254";
const VIRTUAL_IPV6: &str = "2001:db8::254";
const VIRTUAL_LINK_LOCAL: &str = "fe80::254";
/// How many connections wait for a program that accepts none.
const BACKLOG: i32 = 65_535;

/// Two hosts with a cable.
struct Pair {
    server: Ns,
    client: Ns,
}

impl Pair {
    fn new() -> Self {
        let pair = Self { server: Ns::new(), client: Ns::new() };
        pair.server.cable("eth0", &pair.client, "eth0");
        for (host, number) in [(&pair.server, "10"), (&pair.client, "20")] {
            host.sysctl("core/somaxconn", "65535");
            host.ip(&format!(
                "link set eth0 addrgenmode none up\naddress add 192.0.2.{number}/24 dev eth0\n\
                 address add 2001:db8::{number}/64 dev eth0 nodad\naddress add fe80::{number}/64 dev eth0 nodad"
            ));
        }
        for address in [VIRTUAL_IPV4, VIRTUAL_IPV6, VIRTUAL_LINK_LOCAL] {
            let options = if address.contains(':') { "/128 dev eth0 nodad" } else { "/32 dev eth0" };
            pair.server.ip(&format!("address add {address}{options}"));
        }
        // What the server sends from these ports does not arrive.
        pair.client.nft(
            "table inet lab { set deaf { type inet_service; };\n\
             chain input { type filter hook input priority 0; tcp sport @deaf drop; }; }",
        );
        pair
    }

    fn list(&self, addresses: &[&str]) -> ConnectionList {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.server.enter(|| connections::list(&addresses).unwrap())
    }

    fn destroy(&self, sockets: &[ConnectionSocket]) -> usize {
        self.server.enter(|| connections::destroy(sockets).unwrap())
    }

    /// From now on the client receives nothing that is sent from this port.
    fn deafen(&self, port: u16) {
        self.client.nft(&format!("add element inet lab deaf {{ {port} }}"));
    }

    /// A connection of the client to `address`, accepted by `listener`.
    #[track_caller]
    fn connect(&self, listener: &Socket, address: &str) -> Open {
        let to = self.address(listener, address);
        let client = self.client.enter(|| connect(to).unwrap());
        let server: TcpStream = listener.accept().unwrap().0.into();
        for end in [&client, &server] {
            end.set_read_timeout(Some(SOON)).unwrap();
        }
        Open { client, server }
    }

    /// The address of a listener, as the client names it.
    fn address(&self, listener: &Socket, address: &str) -> SocketAddr {
        let port = port(listener);
        match address.parse().unwrap() {
            IpAddr::V6(address) if address.is_unicast_link_local() => {
                SocketAddrV6::new(address, port, 0, index_of(&self.client, "eth0")).into()
            }
            address @ (IpAddr::V4(_) | IpAddr::V6(_)) => SocketAddr::new(address, port),
        }
    }

    fn listen(&self, address: &str) -> Socket {
        self.server.enter(|| listen(address.parse().unwrap()))
    }
}

/// Both ends of a connection.
struct Open {
    client: TcpStream,
    server: TcpStream,
}

impl Open {
    /// The connection as the server's list has it.
    fn connection(&self) -> Connection {
        // The list has no scope: it is meant for another host, whose interfaces have other numbers.
        let end = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Connection {
            local: end(self.server.local_addr().unwrap()),
            remote: end(self.server.peer_addr().unwrap()),
        }
    }

    /// What the two ends are told: the client, and the program on the server.
    fn failures(&mut self) -> [Option<ErrorKind>; 2] {
        [&mut self.client, &mut self.server].map(|end| end.read(&mut [0]).err().map(|error| error.kind()))
    }
}

const RESET: [Option<ErrorKind>; 2] = [Some(ErrorKind::ConnectionReset), Some(ErrorKind::ConnectionAborted)];

fn index_of(host: &Ns, interface: &str) -> u32 {
    host.enter(|| nix::net::if_::if_nametoindex(interface).unwrap())
}

fn port(listener: &Socket) -> u16 {
    listener.local_addr().unwrap().as_socket().unwrap().port()
}

/// A listener of a port of its own; that of `::` is for both families.
fn listen(address: IpAddr) -> Socket {
    let address = SocketAddr::new(address, 0);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).unwrap();
    if address.is_ipv6() {
        socket.set_only_v6(address.ip() != Ipv6Addr::UNSPECIFIED).unwrap();
    }
    socket.bind(&address.into()).unwrap();
    socket.listen(BACKLOG).unwrap();
    socket
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&address, SOON)
}

fn connections_of(list: &ConnectionList) -> BTreeSet<Connection> {
    assert_eq!(list.extent, ListExtent::Whole);
    list.connections().collect()
}

/// The states of the sockets at a port, in order.
fn states_at(list: &ConnectionList, port: u16) -> Vec<TcpState> {
    let at_port = list.sockets.iter().filter(|socket| socket.connection.local.port() == port);
    at_port.map(|socket| socket.state).collect()
}

#[test]
fn connections_are_listed_by_their_local_address() {
    let pair = Pair::new();
    let ipv4 = pair.listen("0.0.0.0");
    let ipv6 = pair.listen("2001:db8::254");
    let both = pair.listen("::");
    let wanted = [
        pair.connect(&ipv4, VIRTUAL_IPV4),
        pair.connect(&ipv4, VIRTUAL_IPV4),
        pair.connect(&both, VIRTUAL_IPV4),
        pair.connect(&ipv6, VIRTUAL_IPV6),
        pair.connect(&both, VIRTUAL_IPV6),
    ];
    // To other addresses of the same listeners.
    let _others = [
        pair.connect(&both, VIRTUAL_LINK_LOCAL),
        pair.connect(&ipv4, "192.0.2.10"),
        pair.connect(&both, "192.0.2.10"),
        pair.connect(&both, "2001:db8::10"),
        pair.connect(&both, "fe80::10"),
    ];
    let wanted: Vec<Connection> = wanted.iter().map(Open::connection).collect();
    let expect = |addresses: &[&str], expected: &[Connection]| {
        let list = pair.list(addresses);
        assert_eq!(connections_of(&list), expected.iter().copied().collect(), "{addresses:?}");
        assert_eq!((list.left(), list.sockets.len()), (expected.len(), expected.len()));
    };
    expect(&[VIRTUAL_IPV4, VIRTUAL_IPV6, VIRTUAL_LINK_LOCAL], &wanted);
    expect(&[VIRTUAL_IPV4], &wanted[..3]);
    expect(&[VIRTUAL_IPV6], &wanted[3..]);
    // A link-local address does not drain.
    expect(&[VIRTUAL_LINK_LOCAL], &[]);
    // The same address twice, and addresses that nobody has.
    expect(&[VIRTUAL_IPV4, VIRTUAL_IPV4, "198.51.100.1", "2001:db8:1::1"], &wanted[..3]);
    expect(&["192.0.2.253", "192.0.2.255", "2001:db8::253"], &[]);
    expect(&[], &[]);
    // As the end of a mapped connection, the successor gets an IPv4 address.
    assert!(wanted[2].local.is_ipv4() && wanted[2].remote.is_ipv4());
}

#[test]
fn every_state_but_that_of_no_connection_is_listed_and_some_keep_the_drain_open() {
    let pair = Pair::new();
    let mut kept = Vec::new();
    let mut expected = Vec::new();
    let mut listeners = Vec::new();
    let mut case = |state: Option<TcpState>, arrange: &dyn Fn(&Socket, &mut Vec<TcpStream>)| {
        let listener = pair.listen("0.0.0.0");
        arrange(&listener, &mut kept);
        expected.push((port(&listener), state));
        listeners.push(listener);
    };
    let open = |listener: &Socket| pair.connect(listener, VIRTUAL_IPV4);
    case(Some(TcpState::Established), &|listener, kept| {
        let open = open(listener);
        kept.extend([open.client, open.server]);
    });
    case(Some(TcpState::CloseWait), &|listener, kept| kept.push(open(listener).server));
    case(Some(TcpState::FinWait2), &|listener, kept| {
        let open = open(listener);
        open.server.shutdown(Shutdown::Write).unwrap();
        kept.extend([open.client, open.server]);
    });
    // No program has the socket any more: of such a one the kernel keeps less.
    case(Some(TcpState::FinWait2), &|listener, kept| kept.push(open(listener).client));
    case(Some(TcpState::FinWait1), &|listener, kept| {
        let open = open(listener);
        pair.deafen(port(listener));
        kept.push(open.client);
    });
    case(Some(TcpState::Closing), &|listener, kept| {
        let open = open(listener);
        pair.deafen(port(listener));
        open.server.shutdown(Shutdown::Write).unwrap();
        open.client.shutdown(Shutdown::Write).unwrap();
        kept.extend([open.client, open.server]);
    });
    case(Some(TcpState::LastAck), &|listener, _| {
        let Open { client, server } = open(listener);
        drop(client);
        wait_for(SOON, "CLOSE_WAIT", || {
            states_at(&pair.list(&[VIRTUAL_IPV4]), port(listener)) == [TcpState::CloseWait]
        });
        pair.deafen(port(listener));
        drop(server);
    });
    case(Some(TcpState::SynReceived), &|listener, kept| {
        pair.deafen(port(listener));
        kept.push(half_open(&pair, listener));
    });
    case(None, &|listener, _| {
        let Open { client, server } = open(listener);
        drop(server);
        wait_for(SOON, "FIN_WAIT2", || {
            states_at(&pair.list(&[VIRTUAL_IPV4]), port(listener)) == [TcpState::FinWait2]
        });
        drop(client);
    });
    // A connection from the virtual address to a client that does not answer.
    let silent = pair.client.enter(|| listen("192.0.2.20".parse().unwrap()));
    pair.client.nft(&format!("add rule inet lab input tcp dport {} drop", port(&silent)));
    let outgoing = pair.server.enter(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(VIRTUAL_IPV4.parse().unwrap(), 0).into()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let to: SocketAddr = SocketAddr::new("192.0.2.20".parse().unwrap(), port(&silent));
        let pending = socket.connect(&to.into()).unwrap_err();
        assert_eq!(pending.raw_os_error(), Some(nix::libc::EINPROGRESS));
        socket
    });
    expected.push((port(&outgoing), Some(TcpState::SynSent)));

    for (port, state) in &expected {
        let expected: Vec<TcpState> = state.iter().copied().collect();
        wait_for(SOON, format!("port {port} in {expected:?}"), || {
            states_at(&pair.list(&[VIRTUAL_IPV4]), *port) == expected
        });
    }
    let shown = pair.server.run("ss", &["-Htan"]);
    assert!(shown.contains("TIME-WAIT") && shown.contains("LISTEN"), "{shown}");
    let list = pair.list(&[VIRTUAL_IPV4]);
    assert_eq!((list.sockets.len(), list.left()), (9, 5), "{list:?}");

    // The others are not forgotten either: after a reset nothing is listed.
    assert_eq!(pair.destroy(&list.sockets), 9);
    assert_eq!(connections_of(&pair.list(&[VIRTUAL_IPV4])), BTreeSet::new());
    assert!(pair.server.run("ss", &["-Htan"]).contains("TIME-WAIT"), "what was not listed is not destroyed");
    for listener in &listeners {
        assert!(is_listening(&pair, listener), "a listener was destroyed");
    }
}

/// A connection whose answer never reaches the client.
fn half_open(pair: &Pair, listener: &Socket) -> TcpStream {
    let to = pair.address(listener, VIRTUAL_IPV4);
    pair.client.enter(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let pending = socket.connect(&to.into()).unwrap_err();
        assert_eq!(pending.raw_os_error(), Some(nix::libc::EINPROGRESS));
        socket.into()
    })
}

fn is_listening(pair: &Pair, listener: &Socket) -> bool {
    let shown = pair.server.run("ss", &["-Htln"]);
    shown.contains(&format!(":{} ", port(listener)))
}

#[test]
fn a_reset_is_told_to_the_client_and_to_the_program() {
    let pair = Pair::new();
    let ipv4 = pair.listen("0.0.0.0");
    let both = pair.listen("::");
    let mut open = [
        pair.connect(&ipv4, VIRTUAL_IPV4),
        pair.connect(&both, VIRTUAL_IPV4),
        pair.connect(&both, VIRTUAL_IPV6),
    ];
    let mut other = pair.connect(&both, "192.0.2.10");
    let list = pair.list(&[VIRTUAL_IPV4, VIRTUAL_IPV6]);
    assert_eq!(list.left(), 3);
    assert_eq!(pair.destroy(&list.sockets), 3);
    for open in &mut open {
        assert_eq!(open.failures(), RESET);
    }
    assert_eq!(pair.list(&[VIRTUAL_IPV4, VIRTUAL_IPV6]).sockets, []);
    other.server.write_all(b"x").unwrap();
    assert_eq!(other.client.read(&mut [0]).unwrap(), 1);
    // They are gone already, and that is no error.
    assert_eq!(pair.destroy(&list.sockets), 0);
}

#[test]
fn a_client_whose_half_of_the_connection_is_open_is_told() {
    let pair = Pair::new();
    let listener = pair.listen("::");
    for address in [VIRTUAL_IPV4, VIRTUAL_IPV6] {
        let mut open = pair.connect(&listener, address);
        open.server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(open.client.read(&mut [0]).unwrap(), 0);
        wait_for(SOON, "FIN_WAIT2", || {
            states_at(&pair.list(&[address]), port(&listener)) == [TcpState::FinWait2]
        });
        let list = pair.list(&[address]);
        assert_eq!((pair.destroy(&list.sockets), list.left()), (1, 0));
        wait_for(SOON, "the client is told", || open.client.write(b"x").is_err());
    }
}

#[test]
fn a_listener_survives_the_reset_of_connections_that_have_gone() {
    let pair = Pair::new();
    for (address, listening) in [(VIRTUAL_IPV4, "0.0.0.0"), (VIRTUAL_IPV4, "::"), (VIRTUAL_IPV6, "::")] {
        let listener = pair.listen(listening);
        let open = pair.connect(&listener, address);
        let list = pair.list(&[address]);
        assert_eq!(list.left(), 1);
        // The client sends RST: nothing is kept of the connection, not even TIME_WAIT.
        socket2::SockRef::from(&open.client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(open);
        wait_for(SOON, "the connection has gone", || pair.list(&[address]).sockets.is_empty());
        assert_eq!(pair.destroy(&list.sockets), 0);
        let mut next = pair.connect(&listener, address);
        next.server.write_all(b"x").unwrap();
        assert_eq!(next.client.read(&mut [0]).unwrap(), 1);
        assert_eq!(pair.destroy(&pair.list(&[address]).sockets), 1);
    }
}

#[test]
fn a_connection_is_listed_and_reset_wherever_its_address_is() {
    let pair = Pair::new();
    let listener = pair.listen("::");
    let addresses = [VIRTUAL_IPV4, VIRTUAL_IPV6];
    let mut open = addresses.map(|address| pair.connect(&listener, address));
    let expected: BTreeSet<Connection> = open.iter().map(Open::connection).collect();
    // As a node that drains does it.
    pair.server.ip("address add 192.0.2.254/32 dev lo scope host noprefixroute\n\
         address add 2001:db8::254/128 dev lo nodad preferred_lft 0");
    let delete = |from: &str| {
        let whole = ["192.0.2.254/32", "2001:db8::254/128"];
        pair.server.ip(&whole.map(|address| format!("address delete {address} dev {from}")).join("\n"));
    };
    delete("eth0");
    assert_eq!(connections_of(&pair.list(&addresses)), expected);
    for open in &mut open {
        open.client.write_all(b"x").unwrap();
        assert_eq!(open.server.read(&mut [0]).unwrap(), 1);
    }
    delete("lo");
    let list = pair.list(&addresses);
    assert_eq!(connections_of(&list), expected);
    assert_eq!(pair.destroy(&list.sockets), 2);
    for open in &mut open {
        assert_eq!(open.server.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionAborted);
    }
    assert_eq!(pair.list(&addresses).sockets, []);
}

/// A program on the host that uses the address itself keeps no drain open.
#[test]
fn clients_on_the_same_host_are_reset_with_the_others_and_do_not_count() {
    let pair = Pair::new();
    let listener = pair.listen("::");
    let far = pair.connect(&listener, VIRTUAL_IPV4);
    let to = SocketAddr::new(VIRTUAL_IPV4.parse().unwrap(), port(&listener));
    let mut near = pair.server.enter(|| connect(to).unwrap());
    let _accepted = listener.accept().unwrap();
    let list = pair.list(&[VIRTUAL_IPV4]);
    assert_eq!(list.connections().collect::<Vec<_>>(), [far.connection()]);
    assert_eq!(list.left(), 1);
    let addresses = BTreeSet::from([VIRTUAL_IPV4.parse().unwrap()]);
    assert_eq!(pair.server.enter(|| connections::own(&addresses).unwrap()), [far.connection()]);
    pair.destroy(&list.sockets);
    near.set_read_timeout(Some(SOON)).unwrap();
    assert!(near.read(&mut [0]).is_err(), "it is reset, and does not hang");
    assert_eq!(pair.list(&[VIRTUAL_IPV4]).sockets, []);
}

#[test]
fn what_is_missing_is_found_out_beforehand() {
    let pair = Pair::new();
    pair.server.enter(|| connections::probe().unwrap());
    // Listing takes no privilege, but a reset does.
    let (listed, left, refused, probed) = pair.server.enter(|| {
        let listener = listen("127.0.0.1".parse().unwrap());
        let _client = connect(listener.local_addr().unwrap().as_socket().unwrap()).unwrap();
        capabilities::give_up_all().unwrap();
        let list = connections::list(&BTreeSet::from([IpAddr::from([127, 0, 0, 1])])).unwrap();
        let refused = connections::destroy(&list.sockets).unwrap_err();
        (list.sockets.len(), list.left(), refused, connections::probe().unwrap_err())
    });
    // Both ends of the connection have this address, and no client is elsewhere.
    assert_eq!((listed, left), (2, 0));
    assert!(matches!(refused, ConnectionsError::NotPermitted), "{refused}");
    assert!(probed.to_string().contains("CAP_NET_ADMIN"), "{probed}");
    pair.server.ip("address delete 127.0.0.1/8 dev lo");
    let unable = pair.server.enter(|| connections::probe().unwrap_err());
    assert!(unable.to_string().contains("127.0.0.1"), "{unable}");
}

/// Prints how long it takes to list and to reset `count` connections to so many addresses, and
/// returns the processor's time for a list. No program accepts the connections, because a test may not
/// have so many files. Clients for which there are not enough files close at once, so that their
/// connections are in CLOSE_WAIT.
fn measure(count: usize, addresses: u8) -> Duration {
    let pair = Pair::new();
    let addresses: BTreeSet<IpAddr> = (1..=addresses).map(|n| IpAddr::from([198, 51, 100, n])).collect();
    let adds: Vec<String> =
        addresses.iter().map(|address| format!("address add {address}/32 dev eth0")).collect();
    pair.server.ip(&adds.join("\n"));
    pair.client.ip("route add 198.51.100.0/24 dev eth0");
    let listener = pair.listen("::");
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let room = usize::try_from(most).unwrap() / 2;
    let mut clients: Vec<TcpStream> = pair.client.enter(|| {
        let to = addresses.iter().cycle().map(|address| SocketAddr::new(*address, port(&listener)));
        let clients = to.take(count).enumerate().map(|(at, to)| (at, connect(to).unwrap()));
        clients.filter_map(|(at, client)| (at < room).then_some(client)).collect()
    });
    let (list, mut times, mut cpu_times) = pair.server.enter(|| {
        let list = || connections::list(&addresses).unwrap();
        wait_for(SOON, "all are there", || list().left() == count);
        let once = |_| {
            let (start, start_of_cpu) = (now(), cpu_time());
            let list = list();
            let took = (start.elapsed(), cpu_time() - start_of_cpu);
            assert_eq!((list.left(), list.extent), (count, ListExtent::Whole));
            took
        };
        let (times, cpu_times): (Vec<Duration>, Vec<Duration>) = (0..9).map(once).unzip();
        (list(), times, cpu_times)
    });
    times.sort();
    cpu_times.sort();
    let start = now();
    assert_eq!(pair.destroy(&list.sockets), count);
    println!(
        "{count} connections to {} addresses: listed in {:?}, of which this thread ran {:?}; reset in {:?}",
        addresses.len(),
        times[4],
        cpu_times[4],
        start.elapsed()
    );
    for client in clients.iter_mut().take(100) {
        client.set_read_timeout(Some(SOON)).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(pair.server.enter(|| connections::list(&addresses).unwrap().sockets), []);
    cpu_times[4]
}

/// For how long this thread has been run, by itself and by the kernel.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

// The times are printed; they are 20 ms in a build with optimisation. What is asserted about a build
// without it is the processor's time, which does not depend on what else the machine does. It is one
// test, because two at a time would need too many files.
#[test]
fn ten_thousand_connections_are_listed_at_once() {
    for addresses in [1, 255] {
        let cpu_time = measure(10_000, addresses);
        assert!(cpu_time < Duration::from_millis(500), "{cpu_time:?} for {addresses} addresses");
    }
}
