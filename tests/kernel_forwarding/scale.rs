//! Lists of many connections. The times are printed, and have limits only where a machine that is
//! busy keeps them, too.

use crate::packets::ACK;
use crate::scene::{BOTH, Fate, Scene, settings};
use crate::support::wait::now;
use std::net::SocketAddr;
use std::time::Duration;
use vrrpd::kernel::forwarding::{ForwardingError, MAXIMUM_CONNECTIONS};
use vrrpd::types::Connection;

/// Connections from as many ports of as many clients as it takes.
fn many(scene: &Scene, count: usize) -> Vec<Connection> {
    let from = |n: usize| {
        let mut connection = scene.connection(1, u16::try_from(n % 50_000).unwrap() + 10_000);
        let port = connection.remote.port();
        connection.remote = SocketAddr::new(scene.connection(1, 1).remote.ip(), port);
        connection.local.set_port(u16::try_from(n / 50_000).unwrap() + 80);
        connection
    };
    (0..count).map(from).collect()
}

#[test]
fn ten_thousand_connections_are_listed_in_no_time_and_each_of_them() {
    for family in BOTH {
        let scene = Scene::new(family);
        let mut table = scene.table(settings());
        let (key, leaver) = (scene.key(1), scene.leaver("leaver").address);
        let start = now();
        table.arm(key, &scene.arming(1, Some("third"), &["leaver"])).unwrap();
        println!("{family}: armed in {:?}", start.elapsed());
        let list = many(&scene, 10_000);
        let mut times = Vec::new();
        for _ in 0..5 {
            let start = now();
            assert_eq!(table.replace(key, leaver, &list).unwrap(), list.len());
            times.push(start.elapsed());
        }
        println!("{family}: a list of 10,000 put and replaced four times: {times:?}");
        assert!(*times.iter().min().unwrap() < Duration::from_millis(500), "{times:?}");
        for n in [0, 1, 2_519, 2_520, 4_680, 4_681, 9_999] {
            assert_eq!(scene.fate(list[n], ACK), Fate::Forwarded("leaver"), "{n}");
        }
        assert_eq!(table.counts().unwrap()[0].listed, 10_000);
    }
}

#[test]
fn the_longest_list_and_one_more() {
    let scene = Scene::new(vrrpd::types::Family::Ipv6);
    let mut table = scene.table(settings());
    let (key, leaver) = (scene.key(1), scene.leaver("leaver").address);
    let mut list = many(&scene, MAXIMUM_CONNECTIONS);
    let mut arming = scene.arming(1, Some("third"), &["leaver"]);
    arming.own = list[..20_000].to_vec();
    table.arm(key, &arming).unwrap();
    assert_eq!(scene.fate(list[19_999], ACK), Fate::Reset, "our own");
    assert_eq!(scene.fate(list[20_000], ACK), Fate::Forwarded("third"));

    let start = now();
    table.replace(key, leaver, &list).unwrap();
    println!("a list of {} put in {:?}", list.len(), start.elapsed());
    let start = now();
    table.replace(key, leaver, &list).unwrap();
    println!("and replaced in {:?}", start.elapsed());
    assert_eq!(scene.fate(list[0], ACK), Fate::Reset, "our own, whatever is listed");
    for n in [20_000, 100_000, 200_000, list.len() - 1] {
        assert_eq!(scene.fate(list[n], ACK), Fate::Forwarded("leaver"), "{n}");
    }
    let more = table.add(key, leaver, &list[..1]).unwrap_err();
    assert!(matches!(more, ForwardingError::TooManyConnections { .. }), "{more:?}");
    list.push(scene.connection(1, 1));
    let more = table.replace(key, leaver, &list).unwrap_err();
    assert!(matches!(more, ForwardingError::TooManyConnections { .. }), "{more:?}");
    assert_eq!(scene.fate(list[20_005], ACK), Fate::Forwarded("leaver"), "as before");
}
