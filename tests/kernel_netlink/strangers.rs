//! The keeper when other programs change the addresses.

use crate::host::{Agent, Host, key};
use std::collections::BTreeSet;
use vrrpd::kernel::keeper::{DrainsAtStop, KeeperCommand, KeeperEvent};
use vrrpd::types::Family::{Ipv4, Ipv6};

#[test]
fn an_address_that_another_program_removes_is_put_back_and_reported_once() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let (v4, v6) = (key(Ipv4, 51), key(Ipv6, 51));
    agent.declare(v4, &["192.0.2.50/24", "192.0.2.51/24"]);
    agent.declare(v6, &["2001:db8::50/64"]);
    agent.known(&host);
    agent.hold(v4, 1);
    agent.hold(v6, 1);
    host.ns.ip("address delete 192.0.2.50/24 dev eth0");
    agent.wait_event(&KeeperEvent::Restored { key: v4, count: 1 });
    assert_eq!(host.ours(), ["192.0.2.50/24", "192.0.2.51/24", "2001:db8::50/64"]);
    host.ns.ip("address delete 2001:db8::50/64 dev eth0");
    agent.wait_event(&KeeperEvent::Restored { key: v6, count: 1 });
    assert_eq!(host.ours(), ["192.0.2.50/24", "192.0.2.51/24", "2001:db8::50/64"]);
    assert_eq!(agent.told_so_far(), [], "once each");
}

#[test]
fn our_own_changes_are_not_taken_for_those_of_another_program() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let keys: Vec<_> = (1..=20).map(|vrid| key(Ipv4, vrid)).collect();
    for (n, key) in keys.iter().enumerate() {
        agent.declare(*key, &[&format!("192.0.2.{}/24", 50 + n)]);
    }
    agent.known(&host);
    for epoch in 1..=10 {
        for key in &keys {
            agent.send(match epoch % 2 {
                1 => KeeperCommand::Hold { key: *key, epoch },
                _ => KeeperCommand::Release { key: *key, epoch },
            });
        }
    }
    let told = agent.told_so_far();
    let unasked =
        |event: &&KeeperEvent| !matches!(event, KeeperEvent::Held { .. } | KeeperEvent::Released { .. });
    assert_eq!(told.iter().find(unasked), None);
    assert_eq!(host.ours(), Vec::<String>::new());
    for key in &keys {
        let last = KeeperEvent::Released { key: *key, epoch: 10, outcome: Ok(()) };
        assert_eq!(told.iter().filter(|event| **event == last).count(), 1);
    }
}

#[test]
fn repeated_removals_are_repaired_at_a_limited_rate() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let v4 = key(Ipv4, 51);
    agent.declare(v4, &["192.0.2.50/24"]);
    agent.known(&host);
    agent.hold(v4, 1);
    let mut restored = 0;
    loop {
        host.ns.ip("address delete 192.0.2.50/24 dev eth0");
        let contested = agent.wait("an answer", |event| match event {
            KeeperEvent::Restored { count: 1, .. } => Some(false),
            KeeperEvent::Contested { count: 1, .. } => Some(true),
            _ => panic!("{event:?}"),
        });
        if contested {
            break;
        }
        restored += 1;
    }
    assert!((10..20).contains(&restored), "{restored}: a burst, and then one a second");
    agent.wait_event(&KeeperEvent::Restored { key: v4, count: 1 });
    assert_eq!(host.ours(), ["192.0.2.50/24"]);
}

/// The address gets into the list in every possible way: at the start, by a declaration, and while
/// it is owned.
#[test]
fn what_the_host_has_of_its_own_is_never_taken_away() {
    let host = Host::new();
    host.ns.ip("address add 2001:db8::10/64 dev eth0 nodad\naddress add 192.0.2.11/32 dev eth0");
    let own = ["192.0.2.10/24", "192.0.2.11/32", "2001:db8::10/64"];
    let agent = Agent::start(&host);
    let (v4, v6) = (key(Ipv4, 51), key(Ipv6, 51));
    agent.declare(v4, &["192.0.2.10/24", "192.0.2.11/24"]);
    agent.declare(v6, &["2001:db8::10/128"]);
    agent.known(&host);
    assert_eq!(host.foreign(), own, "while it is not owned");
    for key in [v4, v6] {
        agent.hold(key, 1);
        agent.release(key, 2);
    }
    assert_eq!(
        (host.ours(), host.foreign()),
        (vec![], own.map(str::to_owned).into()),
        "when it was released"
    );
    agent.hold(v4, 3);
    agent.send(KeeperCommand::Forget { key: v4 });
    agent.send(KeeperCommand::Stop(DrainsAtStop::Keep));
    agent.wait_event(&KeeperEvent::Stopped { outcome: Ok(()), draining: BTreeSet::new() });
    assert_eq!(host.foreign(), own, "at the end");
}

#[test]
fn an_address_that_another_program_adds_is_left_to_it() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let v4 = key(Ipv4, 51);
    agent.declare(v4, &["192.0.2.50/24"]);
    agent.known(&host);
    agent.hold(v4, 1);
    // Both addresses are there: ours, and that of the other program.
    host.ns.ip("address add 192.0.2.50/32 dev eth0");
    agent.send(KeeperCommand::Reconcile);
    assert_eq!(agent.told_so_far(), []);
    assert_eq!(host.ours(), ["192.0.2.50/24"]);
    agent.release(v4, 2);
    assert_eq!((host.ours(), host.foreign().len()), (vec![], 2));
    // The other program removes its address again: then ours is installed when it is wanted.
    host.ns.ip("address delete 192.0.2.50/32 dev eth0");
    agent.hold(v4, 3);
    assert_eq!((host.ours(), host.foreign().len()), (vec!["192.0.2.50/24".to_owned()], 1));
    // `replace` removes our mark from the address: now it belongs to the other program.
    host.ns.ip("address replace 192.0.2.50/24 dev eth0");
    assert_eq!(host.ours(), Vec::<String>::new());
    agent.release(v4, 4);
    assert_eq!(host.foreign(), ["192.0.2.10/24", "192.0.2.50/24"]);
}
