//! What the kernel's answers mean, without a kernel.

use super::*;
use proptest::prelude::*;

/// A message of netlink: a header and a body.
fn message(message_type: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    let mut octets = length.to_ne_bytes().to_vec();
    octets.extend(message_type.to_ne_bytes());
    octets.extend(flags.to_ne_bytes());
    octets.extend(sequence.to_ne_bytes());
    octets.extend([0; 4]);
    octets.extend(body);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

const SOCKET: u16 = 20;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// What the kernel says about a socket in ESTABLISHED with this local address.
fn listed(local: &str, interface: u32, cookie: u32) -> Vec<u8> {
    let local: IpAddr = local.parse().unwrap();
    let (family, octets) = match local {
        IpAddr::V4(address) => (2, [&address.octets()[..], &[0; 12]].concat()),
        IpAddr::V6(address) => (10, address.octets().to_vec()),
    };
    let mut body = vec![family, 1, 0, 0, 0, 80, 0x9c, 0x40];
    body.extend(octets);
    body.extend([0; 16]);
    body.extend(interface.to_ne_bytes());
    body.extend(cookie.to_ne_bytes());
    body.resize(72, 0);
    message(SOCKET, 2, 1, &body)
}

/// An error of the kernel; 0 is an acknowledgement.
fn answer(sequence: u32, errno: i32) -> Vec<u8> {
    let body = [&(-errno).to_ne_bytes()[..], &[0; 16]].concat();
    message(ERROR, 0, sequence, &body)
}

fn read(dump: &mut SocketDump, datagram: &[u8]) -> ControlFlow<()> {
    dump.read(datagram).unwrap()
}

#[test]
fn a_dump_ends_with_its_last_message() {
    let mut dump = SocketDump::new(10);
    let datagram = [listed("192.0.2.254", 0, 1), listed("2001:db8::254", 0, 2)].concat();
    assert!(read(&mut dump, &datagram).is_continue());
    let end = [listed("192.0.2.254", 0, 3), message(DONE, 2, 1, &[0; 4])].concat();
    assert!(read(&mut dump, &end).is_break());
    assert_eq!((dump.list.sockets.len(), dump.list.extent), (3, ListExtent::Whole));
}

#[test]
fn a_list_that_is_too_long_is_cut_and_says_so() {
    let datagram = [listed("192.0.2.254", 0, 1), listed("192.0.2.254", 0, 2)].concat();
    let mut exact = SocketDump::new(2);
    assert!(read(&mut exact, &datagram).is_continue());
    assert_eq!(exact.list.extent, ListExtent::Whole);
    let mut dump = SocketDump::new(1);
    assert!(read(&mut dump, &datagram).is_break());
    assert_eq!((dump.list.sockets.len(), dump.list.extent), (1, ListExtent::Cut));
}

#[test]
fn an_interrupted_dump_says_so() {
    for flagged in [message(DONE, NLM_F_DUMP_INTR, 1, &[0; 4]), message(99, NLM_F_DUMP_INTR, 1, &[])] {
        let mut dump = SocketDump::new(10);
        let _ = read(&mut dump, &[listed("192.0.2.254", 0, 1), flagged].concat());
        assert_eq!(dump.list.extent, ListExtent::Interrupted);
    }
}

#[test]
fn an_interrupted_list_is_made_again_a_few_times() {
    let attempts = |interrupted: usize| {
        let mut made = 0;
        let list = until_whole(|| {
            made += 1;
            let whole = made > interrupted;
            let extent = if whole { ListExtent::Whole } else { ListExtent::Interrupted };
            Ok(ConnectionList { sockets: Vec::new(), extent })
        });
        (made, list.unwrap().extent)
    };
    assert_eq!(attempts(0), (1, ListExtent::Whole));
    assert_eq!(attempts(2), (3, ListExtent::Whole));
    assert_eq!(attempts(9), (5, ListExtent::Interrupted));
}

/// The list of three connections to 192.0.2.254 and one to 192.0.2.253, all of the same client.
fn four_of(client: &str) -> ConnectionList {
    let mut dump = SocketDump::new(10);
    for (local, cookie) in [("192.0.2.254", 1), ("192.0.2.254", 2), ("192.0.2.254", 3), ("192.0.2.253", 4)] {
        let _ = read(&mut dump, &listed(local, 0, cookie));
    }
    for (socket, port) in dump.list.sockets.iter_mut().zip(1000..) {
        socket.connection.remote = SocketAddr::new(client.parse().unwrap(), port);
    }
    dump.list
}

/// A monitoring agent on this host keeps no drain open, and the successor never sees its packets.
#[test]
fn clients_on_this_host_do_not_count_and_are_not_named_to_the_successor() {
    let ours = BTreeSet::from(["192.0.2.10".parse().unwrap(), "192.0.2.254".parse().unwrap()]);
    for (client, counts) in
        [("192.0.2.20", 4), ("192.0.2.10", 0), ("192.0.2.254", 0), ("127.0.0.5", 0), ("::1", 0)]
    {
        let mut list = four_of(client);
        mark_local_clients(&mut list, &ours);
        assert_eq!((list.left(), list.connections().count()), (counts, counts), "{client}");
        assert_eq!(list.sockets.len(), 4, "they are reset with the others");
    }
}

#[test]
fn a_list_is_divided_among_the_owners_of_its_addresses_and_keeps_its_extent() {
    let list = ConnectionList { extent: ListExtent::Interrupted, ..four_of("192.0.2.20") };
    let of = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
    let owners = BTreeMap::from([
        ("first", of(&["192.0.2.254"])),
        ("second", of(&["192.0.2.253"])),
        ("both", of(&["192.0.2.253", "192.0.2.254", "192.0.2.1"])),
        ("neither", of(&["192.0.2.1"])),
        ("nothing", of(&[])),
    ]);
    let left = |part: &ConnectionList| (part.left(), part.extent);
    let parts: Vec<_> = list.divided(&owners).iter().map(|(owner, part)| (*owner, left(part))).collect();
    let expected = [("both", 4), ("first", 3), ("neither", 0), ("nothing", 0), ("second", 1)];
    assert_eq!(parts, expected.map(|(owner, left)| (owner, (left, ListExtent::Interrupted))));
}

#[test]
fn who_has_sent_syn_is_beginning_and_not_left() {
    let mut list = four_of("192.0.2.20");
    list.sockets[0].state = TcpState::SynReceived;
    list.sockets[1].state = TcpState::FinWait2;
    assert_eq!((list.left(), list.beginning(), list.connections().count()), (2, 1, 4));
}

#[test]
fn a_socket_that_is_listed_twice_is_kept_once() {
    let mut dump = SocketDump::new(10);
    let sockets = [("192.0.2.2", 4), ("192.0.2.1", 9), ("192.0.2.2", 4), ("192.0.2.2", 3)];
    for (address, cookie) in sockets {
        assert!(read(&mut dump, &listed(address, 0, cookie)).is_continue());
    }
    let list = sorted(dump.list);
    assert_eq!(list.sockets.iter().map(|socket| socket.cookie).collect::<Vec<_>>(), [9, 3, 4]);
    assert_eq!((list.connections().count(), list.left()), (2, 3));
}

#[test]
fn why_a_list_is_refused_is_said_in_words() {
    let said = |octets: &[u8]| SocketDump::new(10).read(octets).unwrap_err().to_string();
    assert!(said(&answer(1, libc::ENOENT)).contains("CONFIG_INET_TCP_DIAG"));
    assert_eq!(
        said(&answer(1, libc::EPERM)),
        "the kernel refuses to list connections: EPERM: Operation not permitted"
    );
    let failed = message(DONE, 2, 1, &(-libc::ENOMEM).to_ne_bytes());
    assert!(said(&failed).contains("ENOMEM"), "{}", said(&failed));
}

/// What the answers to requests for sockets in these states mean.
fn ended(states: &[TcpState], errnos: &[i32]) -> Result<(usize, usize), String> {
    let mut dump = SocketDump::new(10);
    let _ = read(&mut dump, &listed("192.0.2.254", 0, 1));
    let batch: Vec<_> =
        states.iter().map(|state| ConnectionSocket { state: *state, ..dump.list.sockets[0] }).collect();
    let mut answers = DestroyAnswers { first: 5, batch: &batch, answered: 0, ended: 0 };
    let datagram: Vec<u8> = (5..).zip(errnos).flat_map(|(at, errno)| answer(at, *errno)).collect();
    answers.read(&datagram).map_err(|error| error.to_string())?;
    Ok((answers.answered, answers.ended))
}

#[test]
fn a_socket_that_has_gone_counts_as_answered_and_not_as_ended() {
    let two = [TcpState::Established, TcpState::SynReceived];
    assert_eq!(ended(&two, &[0, 0]), Ok((2, 2)));
    assert_eq!(ended(&two, &[libc::ENOENT, 0]), Ok((2, 1)));
    assert_eq!(ended(&two, &[0]), Ok((1, 1)));
    // The third answer belongs to no request.
    assert_eq!(ended(&two, &[0, 0, 0]), Ok((2, 2)));
    assert_eq!(ended(&[TcpState::FinWait2], &[libc::EOPNOTSUPP]), Ok((1, 0)));
}

#[test]
fn why_a_reset_is_refused_is_said_in_words() {
    let said = |errno| ended(&[TcpState::Established], &[errno]).unwrap_err();
    assert!(said(libc::EOPNOTSUPP).contains("CONFIG_INET_DIAG_DESTROY"));
    assert!(said(libc::EPERM).contains("CAP_NET_ADMIN"));
    assert_eq!(said(libc::EINVAL), "the kernel refuses to reset connections: EINVAL: Invalid argument");
}

#[test]
fn a_kernel_that_does_not_answer_is_given_up() {
    let limit = WaitLimit::start(Duration::from_millis(10)).unwrap();
    let given_up = DiagChannel::open(&limit).unwrap().receive();
    let Err(ConnectionsError::Receive(error)) = given_up else { panic!("there is no answer") };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_datagram_makes_reading_panic(
        whole in prop::collection::vec(0_usize..5, 0..6),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        kept in any::<prop::sample::Index>(),
    ) {
        let parts = [
            listed("192.0.2.254", 0, 1),
            listed("2001:db8::1", 7, 2),
            answer(5, libc::ENOENT),
            message(DONE, 2, 1, &[0; 4]),
            message(99, NLM_F_DUMP_INTR, 1, &[1, 2, 3]),
        ];
        let mut datagram: Vec<u8> = whole.iter().flat_map(|at| parts[*at].clone()).collect();
        for (at, octet) in noise {
            if !datagram.is_empty() {
                let at = at.index(datagram.len());
                datagram[at] = octet;
            }
        }
        datagram.truncate(kept.index(datagram.len() + 1));
        let mut dump = SocketDump::new(3);
        let _ = dump.read(&datagram);
        let batch = dump.list.sockets;
        let _ = DestroyAnswers { first: 5, batch: &batch, answered: 0, ended: 0 }.read(&datagram);
    }
}
