//! The keeper against others who change the addresses.

use crate::host::{Agent, ETH0, Host, key};
use crate::support::{SOON, wait_for};
use vrrpd::kernel::keeper::{Command, KeeperEvent};
use vrrpd::kernel::ownership::Holding::{Contender, Owner};
use vrrpd::types::Family::{Ipv4, Ipv6};

#[test]
fn an_address_that_somebody_removes_is_put_back_and_reported_once() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let (v4, v6) = (key(Ipv4, 51), key(Ipv6, 51));
    agent.declare(v4, Contender, &["192.0.2.50/24", "192.0.2.51/24"]);
    agent.declare(v6, Contender, &["2001:db8::50/64"]);
    agent.known(&host);
    agent.own(v4, 1);
    agent.own(v6, 1);
    host.ns.ip("address delete 192.0.2.50/24 dev eth0");
    agent.wait_event(&KeeperEvent::Restored { key: v4, count: 1 });
    assert_eq!(host.ours(), ["192.0.2.50/24", "192.0.2.51/24", "2001:db8::50/64"]);
    host.ns.ip("address delete 2001:db8::50/64 dev eth0");
    agent.wait_event(&KeeperEvent::Restored { key: v6, count: 1 });
    assert_eq!(host.ours(), ["192.0.2.50/24", "192.0.2.51/24", "2001:db8::50/64"]);
    assert_eq!(agent.told_so_far(), [], "once each");
}

#[test]
fn our_own_changes_are_nobody_elses() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let keys: Vec<_> = (1..=20).map(|vrid| key(Ipv4, vrid)).collect();
    for (n, key) in keys.iter().enumerate() {
        agent.declare(*key, Contender, &[&format!("192.0.2.{}/24", 50 + n)]);
    }
    agent.known(&host);
    for epoch in 1..=10 {
        for key in &keys {
            agent.send(match epoch % 2 {
                1 => Command::Own { key: *key, epoch },
                _ => Command::Disown { key: *key, epoch },
            });
        }
    }
    let told = agent.told_so_far();
    let unasked =
        |event: &&KeeperEvent| !matches!(event, KeeperEvent::Owned { .. } | KeeperEvent::Released { .. });
    assert_eq!(told.iter().find(unasked), None);
    assert_eq!(host.ours(), Vec::<String>::new());
    for key in &keys {
        let last = KeeperEvent::Released { key: *key, epoch: 10, outcome: Ok(()) };
        assert_eq!(told.iter().filter(|event| **event == last).count(), 1);
    }
}

#[test]
fn somebody_who_removes_again_and_again_is_answered_at_a_limited_rate() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let v4 = key(Ipv4, 51);
    agent.declare(v4, Contender, &["192.0.2.50/24"]);
    agent.known(&host);
    agent.own(v4, 1);
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

// RFC9568-6.4.2-1, RFC9568-6.4.2-2, RFC9568-6.4.2-5
#[test]
fn a_configured_address_is_not_tolerated_on_a_backup() {
    let host = Host::new();
    host.ns.ip("address add 192.0.2.50/24 dev eth0");
    let agent = Agent::start(&host);
    let v4 = key(Ipv4, 51);
    agent.declare(v4, Contender, &["192.0.2.50/24"]);
    let removed = KeeperEvent::SquatterRemoved { key: v4, addresses: vec!["192.0.2.50/24".parse().unwrap()] };
    agent.wait_event(&removed);
    assert_eq!(host.foreign(), ["192.0.2.10/24"]);
    host.ns.ip("address add 192.0.2.50/24 dev eth0");
    agent.wait_event(&removed);
    assert_eq!(host.foreign(), ["192.0.2.10/24"]);
}

#[test]
fn an_address_that_is_there_already_is_adopted_and_goes_with_the_others() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let v4 = key(Ipv4, 51);
    agent.declare(v4, Contender, &["192.0.2.51/24"]);
    agent.known(&host);
    agent.own(v4, 1);
    host.ns.ip("address add 192.0.2.50/32 dev eth0");
    agent.declare(v4, Contender, &["192.0.2.50/24", "192.0.2.51/24"]);
    assert_eq!(agent.told_so_far(), []);
    let both = vec!["192.0.2.10/24".to_owned(), "192.0.2.50/32".to_owned()];
    assert_eq!((host.ours(), host.foreign()), (vec!["192.0.2.51/24".to_owned()], both));
    agent.disown(v4, 2);
    assert_eq!((host.ours(), host.foreign()), (vec![], vec!["192.0.2.10/24".to_owned()]));
}

#[test]
fn the_owners_own_addresses_are_never_removed() {
    let host = Host::new();
    let agent = Agent::start(&host);
    let v4 = key(Ipv4, 51);
    agent.declare(v4, Owner, &["192.0.2.10/24", "192.0.2.11/24"]);
    agent.known(&host);
    agent.own(v4, 1);
    assert_eq!(
        (host.ours(), host.foreign()),
        (vec!["192.0.2.11/24".to_owned()], vec!["192.0.2.10/24".to_owned()])
    );
    agent.disown(v4, 2);
    assert_eq!((host.ours(), host.foreign()), (vec![], vec!["192.0.2.10/24".to_owned()]));
    agent.send(Command::Stop);
    agent.wait_event(&KeeperEvent::Stopped { outcome: Ok(()) });
    assert_eq!(host.foreign(), ["192.0.2.10/24"]);
}

#[test]
fn an_address_that_failed_duplicate_detection_is_replaced_by_one_that_works() {
    let host = Host::new();
    host.detect_duplicates();
    host.far.ip("address add 2001:db8::50/64 dev eth0 nodad");
    let agent = Agent::start(&host);
    let v6 = key(Ipv6, 51);
    agent.known(&host);
    host.ns.ip("address add 2001:db8::50/64 dev eth0");
    let shown = || host.ns.run("ip", &["-6", "address", "show", "dev", ETH0]);
    wait_for(SOON, "duplicate detection fails", || shown().contains("dadfailed"));
    agent.declare(v6, Contender, &["2001:db8::50/64"]);
    agent.own(v6, 1);
    assert_eq!(host.ours(), ["2001:db8::50/64"]);
    assert!(!shown().contains("dadfailed"), "{}", shown());
}
