//! Real connections that go on at their leaver while another node has the address.

use crate::scene::{BOTH, Scene, settings};
use crate::support::{SOON, Worker, ms};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use vrrpd::kernel::forwarding::ForwardingSettings;
use vrrpd::types::{Connection, Family};

/// Answers each octet with the name of the node, on an address.
fn serve(scene: &Scene, name: &'static str) -> Worker {
    let address = SocketAddr::new(scene.address(1), 80);
    let listener = scene.lab.node(name).ns.enter(|| TcpListener::bind(address).unwrap());
    listener.set_nonblocking(true).unwrap();
    Worker::start(move |stop| {
        let mut open: Vec<TcpStream> = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            while let Ok((stream, _)) = listener.accept() {
                stream.set_read_timeout(Some(ms(1))).unwrap();
                open.push(stream);
            }
            for stream in &mut open {
                if matches!(stream.read(&mut [0]), Ok(1)) {
                    stream.write_all(&name.as_bytes()[..1]).unwrap();
                }
            }
        }
    })
}

/// A connection of the client.
fn connect(scene: &Scene) -> TcpStream {
    let address = SocketAddr::new(scene.address(1), 80);
    let connect = || TcpStream::connect_timeout(&address, SOON).unwrap();
    let stream = scene.lab.node("client").ns.enter(connect);
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Who answers.
fn ask(stream: &mut TcpStream) -> char {
    let mut answer = [0];
    stream.write_all(b"?").unwrap();
    stream.read_exact(&mut answer).unwrap();
    answer[0].into()
}

fn listed(stream: &TcpStream) -> Connection {
    Connection { local: stream.peer_addr().unwrap(), remote: stream.local_addr().unwrap() }
}

/// The client's neighbour table has this node for the address.
fn turn(scene: &Scene, name: &str) {
    let [a, b, c, d, e, f] = scene.lab.node(name).mac();
    let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
    let address = scene.address(1);
    scene
        .lab
        .node("client")
        .ns
        .ip(&format!("neighbour replace {address} lladdr {mac} dev eth0 nud permanent"));
}

/// The leaver has the address as it has while it drains.
fn keep_on_loopback(scene: &Scene) {
    let arguments = match scene.address(1) {
        IpAddr::V4(address) => format!("{address}/32 dev lo scope host noprefixroute"),
        IpAddr::V6(address) => format!("{address}/128 dev lo nodad preferred_lft 0"),
    };
    scene.lab.node("leaver").ns.ip(&format!("address add {arguments}"));
}

#[test]
fn connections_go_on_where_they_began_and_new_ones_begin_at_the_successor() {
    for family in BOTH {
        let scene = Scene::new(family);
        keep_on_loopback(&scene);
        // No more entries of the test's own: the kernel resolves the leaver when it forwards.
        scene.successor().ns.run("ip", &["neighbour", "flush", "all", "nud", "permanent"]);
        let (_leaver, _successor) = (serve(&scene, "leaver"), serve(&scene, "successor"));
        turn(&scene, "leaver");
        let (mut first, mut second) = (connect(&scene), connect(&scene));
        assert_eq!((ask(&mut first), ask(&mut second)), ('l', 'l'));

        let mut table = scene.table(ForwardingSettings { switching_time: ms(1500), ..settings() });
        let (key, leaver) = (scene.key(1), scene.leaver("leaver").address);
        table.arm(key, &scene.arming(1, Some("leaver"), &[])).unwrap();
        turn(&scene, "successor");
        assert_eq!((ask(&mut first), ask(&mut second)), ('l', 'l'), "not listed yet");
        let mut new = connect(&scene);
        assert_eq!(ask(&mut new), 's');

        // The list is replaced again and again while the connections are in use, long after the
        // address has stopped switching.
        let list = [listed(&first), listed(&second)];
        let since = scene.lab.capture().now();
        let mut replacements = 0;
        while scene.lab.capture().now() - since < ms(3000) {
            table.replace(key, leaver, &list).unwrap();
            assert_eq!((ask(&mut first), ask(&mut second), ask(&mut new)), ('l', 'l', 's'));
            replacements += 1;
        }
        assert!(replacements > 20, "{replacements}");
        let counts = table.counts().unwrap();
        assert!(counts[0].packets >= 2 * replacements, "{counts:?}");

        table.disarm(key).unwrap();
        first.write_all(b"?").unwrap();
        let reset = first.read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(reset, Err(ErrorKind::ConnectionReset), "without rules it is reset");
    }
}

#[test]
fn no_packet_is_lost_while_lists_are_replaced() {
    let scene = Scene::new(Family::Ipv4);
    keep_on_loopback(&scene);
    let _leaver = serve(&scene, "leaver");
    turn(&scene, "leaver");
    let mut stream = connect(&scene);
    assert_eq!(ask(&mut stream), 'l');
    let mut table = scene.table(settings());
    let (key, leaver) = (scene.key(1), scene.leaver("leaver").address);
    table.arm(key, &scene.arming(1, None, &["leaver"])).unwrap();
    let mut list = vec![listed(&stream)];
    // As many others as make a list of several transactions.
    list.extend((0..10_000).map(|port| scene.connection(1, port)).filter(|one| *one != listed(&stream)));
    table.replace(key, leaver, &list).unwrap();
    turn(&scene, "successor");
    // A lost packet would be answered with a reset at once: nothing listens there.
    let _replacing = Worker::start(move |stop| {
        while !stop.load(Ordering::Relaxed) {
            table.replace(key, leaver, &list).unwrap();
        }
    });
    for _ in 0..2000 {
        assert_eq!(ask(&mut stream), 'l');
    }
}
