//! Another station announces our addresses while we serve them.

use super::*;

fn announced(rig: &mut Rig) {
    rig.hear_announced(Family::Ipv4);
}

fn announcements(rig: &mut Rig) -> usize {
    rig.said().iter().filter(|word| *word == "announce 1").count()
}

fn told(rig: &Rig) -> Vec<(IpAddr, MacAddr)> {
    let told = |kind| match kind {
        EventKind::PeerWarningRaised { what: PeerWarning::AddressConflict { address, mac }, peer: None } => {
            Some((address, mac))
        }
        _ => None,
    };
    rig.events().into_iter().filter_map(told).collect()
}

#[test]
fn a_station_that_announces_our_address_without_vrrp_is_reported_and_answered() {
    let mut rig = Rig::active(spec());
    announced(&mut rig);
    rig.run(ms(2999));
    assert_eq!((told(&rig), announcements(&mut rig)), (vec![], 0), "who takes over is heard by then");
    rig.run(ms(1));
    let address = instance(Family::Ipv4).addresses[0].addr();
    assert_eq!(told(&rig), [(address, STRANGER_MAC)]);
    let standing = rig.node.snapshot(rig.now).routers[0].peer_warnings.clone();
    assert_eq!(standing[0].what, PeerWarning::AddressConflict { address, mac: STRANGER_MAC });
    assert_eq!(announcements(&mut rig), 1);
    // A station that announces again whenever it hears us must not make us flood the LAN.
    let mut answers = 0;
    for _ in 0..100 {
        announced(&mut rig);
        rig.run(ms(50));
        answers += announcements(&mut rig);
    }
    assert_eq!(answers, 2, "the repetitions of the first answer");
    rig.run(Duration::from_secs(301));
    assert_eq!(rig.node.snapshot(rig.now).routers[0].peer_warnings, []);
}

#[test]
fn an_announcement_that_is_explained_is_not_a_conflict() {
    // The announcement is explained by an advertisement that we obey, or that we answer.
    for priority in [200, 50] {
        let mut rig = Rig::active(spec());
        announced(&mut rig);
        rig.run(ms(1000));
        rig.hear(advert("192.0.2.1", priority));
        rig.run(Duration::from_secs(5));
        assert_eq!(told(&rig), [], "priority {priority}");
    }
    // The announcement is explained by our own wish to be replaced.
    let mut rig = Rig::active(spec());
    rig.demote(Force::Yes);
    announced(&mut rig);
    rig.run(Duration::from_secs(5));
    assert_eq!(told(&rig), []);
    // The announcement is explained by a router that we have just displaced.
    let mut rig = Rig::new(spec());
    rig.run(ms(3000));
    rig.hear(advert("192.0.2.1", 50));
    assert!(rig.until_state(StateName::Active) < ms(1000));
    rig.run(ms(30));
    announced(&mut rig);
    rig.run(Duration::from_secs(5));
    assert_eq!(told(&rig), []);
}

/// A router that took over from us had the right to announce the addresses in the last seconds
/// before we yielded.
#[test]
fn announcements_before_we_yielded_do_not_count_later() {
    let mut rig = Rig::active(spec());
    announced(&mut rig);
    rig.hear(advert("192.0.2.1", 200));
    assert_eq!(rig.state(), StateName::Backup);
    rig.until_state(StateName::Active);
    rig.run(Duration::from_secs(5));
    assert_eq!(told(&rig), []);
}

#[test]
fn announcements_of_other_addresses_are_ignored() {
    let mut rig = Rig::active(spec());
    let announced = |interface, address: &str| Input::AnnouncementHeard {
        interface,
        address: address.parse().unwrap(),
        mac: STRANGER_MAC,
    };
    rig.feed(announced(interface(), "192.0.2.77"));
    rig.feed(announced("eth9".parse().unwrap(), "192.0.2.254"));
    rig.run(Duration::from_secs(5));
    assert_eq!(told(&rig), []);
}
