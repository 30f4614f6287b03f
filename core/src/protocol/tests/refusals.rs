//! Routers whose messages are discarded because of the configuration: how long that is said of them.

use super::version2::{ALIKE, Heard, TWO_ADDRESSES, authenticated, hear, password, with};
use super::*;
use crate::wire::{Reject, RejectReason};

fn both() -> RouterSpec {
    RouterSpec { instances: vec![instance(Family::Ipv4), instance(Family::Ipv6)], ..spec() }
}

/// The names of the warnings that stand, and of those that ended since the last call.
fn refusals(rig: &mut Rig) -> (Vec<&'static str>, Vec<&'static str>) {
    let ended = rig.events().into_iter().filter_map(|kind| match kind {
        EventKind::PeerWarningCleared { what, .. } => Some(what.as_str()),
        _ => None,
    });
    let ended = ended.collect();
    rig.out.clear();
    let standing = rig.node.snapshot(rig.now).routers.remove(0).peer_warnings;
    (standing.iter().map(|warning| warning.what.as_str()).collect(), ended)
}

const OTHER_PASSWORD: &str = "authentication_differs";

/// Such a message, in a way that is refused by a router with this password.
fn hear_refused(rig: &mut Rig, heard: Heard) {
    hear(rig, Heard { authentication: authenticated("public"), ..heard });
}

/// A keepalived that discards our messages falls silent, and holds the addresses.
#[test]
fn a_refusal_stands_for_an_hour_although_nothing_more_is_heard() {
    let mut rig = Rig::active(with(password("secret")));
    hear_refused(&mut rig, ALIKE);
    rig.out.clear();
    rig.run(Duration::from_secs(3600) - ms(1));
    assert_eq!(refusals(&mut rig), (vec![OTHER_PASSWORD], vec![]));
    rig.run(ms(1001));
    assert_eq!(refusals(&mut rig), (vec![], vec![OTHER_PASSWORD]), "it may have been switched off");
}

#[test]
fn a_refusal_ends_with_the_first_message_of_that_router_that_fits() {
    let mut rig = Rig::active(with(password("secret")));
    let fits = |from| Heard { from, priority: 50, authentication: authenticated("secret"), ..ALIKE };
    hear_refused(&mut rig, ALIKE);
    hear(&mut rig, fits(2));
    assert_eq!(refusals(&mut rig), (vec![OTHER_PASSWORD], vec![]), "another router says nothing of it");
    hear(&mut rig, fits(ALIKE.from));
    assert_eq!(refusals(&mut rig), (vec![], vec![OTHER_PASSWORD]));
}

/// The last message of a router says what is wrong with it now.
#[test]
fn a_refusal_for_another_reason_replaces_the_one_before() {
    let mut rig = Rig::active(with(password("secret")));
    hear_refused(&mut rig, ALIKE);
    hear(&mut rig, Heard { seconds: 3, authentication: authenticated("secret"), ..ALIKE });
    assert_eq!(refusals(&mut rig), (vec!["interval_refused"], vec![OTHER_PASSWORD]));
    hear_refused(&mut rig, Heard { from: 2, ..ALIKE });
    assert_eq!(refusals(&mut rig), (vec!["interval_refused", OTHER_PASSWORD], vec![]));
}

/// A router that was stopped, or restarted to be changed, is silent because it holds nothing.
#[test]
fn a_refused_router_that_resigns_is_forgotten_soon() {
    let mut rig = Rig::active(with(password("secret")));
    let others = || Heard { from: 2, ..ALIKE };
    hear_refused(&mut rig, ALIKE);
    hear_refused(&mut rig, others());
    hear_refused(&mut rig, Heard { priority: 0, ..ALIKE });
    rig.out.clear();
    rig.run(ms(9999));
    assert_eq!(refusals(&mut rig), (vec![OTHER_PASSWORD; 2], vec![]));
    rig.run(ms(1001));
    assert_eq!(refusals(&mut rig), (vec![OTHER_PASSWORD], vec![OTHER_PASSWORD]));
    let interval = AdverInterval::from_seconds(5).unwrap();
    let mut rig = Rig::new(RouterSpec { interval, ..with(password("secret")) });
    hear_refused(&mut rig, Heard { priority: 0, ..ALIKE });
    rig.run(ms(20_999));
    assert_eq!(refusals(&mut rig).0, [OTHER_PASSWORD], "four of our intervals and a second");
    rig.run(ms(1));
    assert_eq!(refusals(&mut rig).0, [""; 0]);
}

#[test]
fn a_refusal_ends_when_this_router_changes_what_does_not_fit() {
    let ours = || with(password("secret"));
    let other_password = || with(password("public"));
    let other_interval = || RouterSpec { interval: AdverInterval::from_seconds(3).unwrap(), ..ours() };
    let with_instance = |change: fn(&mut InstanceSpec)| {
        let mut spec = ours();
        spec.instances.iter_mut().for_each(change);
        spec
    };
    let other_list = || with_instance(|it| it.addresses.push("192.0.2.253/24".parse().unwrap()));
    let other_version =
        || with_instance(|it| (it.version, it.authentication) = (Version::V3, Authentication::None));
    let other_priority = || RouterSpec {
        role: Role::Contender { priority: Priority::MIN, preempt: Preempt::Allow },
        ..ours()
    };
    let others_only = || RouterSpec { accept_from: vec!["192.0.2.2".parse().unwrap()], ..ours() };
    let fits = Heard { authentication: authenticated("secret"), ..ALIKE };
    let refused = [
        (OTHER_PASSWORD, Heard { authentication: authenticated("public"), ..ALIKE }),
        ("interval_refused", Heard { seconds: 3, ..fits }),
        ("address_list_refused", Heard { addresses: TWO_ADDRESSES, ..fits }),
        ("other_version", Heard { version: Version::V3, ..fits }),
    ];
    for (at, (name, heard)) in refused.into_iter().enumerate() {
        let changes = [other_password(), other_interval(), other_list(), other_version(), other_priority()];
        for (change, spec) in changes.into_iter().chain([others_only()]).enumerate() {
            let mut rig = Rig::active(ours());
            hear(&mut rig, heard);
            rig.out.clear();
            rig.feed(Input::Configure(vec![spec]));
            let expected = if change == at || change == 3 || change == 5 {
                (vec![], vec![name])
            } else {
                (vec![name], vec![])
            };
            assert_eq!(refusals(&mut rig), expected, "{name}, change {change}");
        }
    }
}

/// Sixteen names that somebody made up do not keep the seventeenth router from being named for an hour.
#[test]
fn a_refusal_of_which_nothing_is_heard_makes_room_for_another() {
    let mut rig = Rig::active(with(password("secret")));
    let heard = |rig: &mut Rig, n: u8| {
        hear_refused(rig, Heard { from: n, ..ALIKE });
    };
    let named = |rig: &Rig, n: u8| {
        let standing = rig.node.snapshot(rig.now).routers.remove(0).peer_warnings;
        standing.iter().any(|warning| warning.peer == Some(IpAddr::from([192, 0, 2, n])))
    };
    for n in 1..=16 {
        heard(&mut rig, n);
    }
    rig.run(ms(9999));
    heard(&mut rig, 1);
    heard(&mut rig, 17);
    assert!(!named(&rig, 17), "all of them were heard in the last ten seconds");
    rig.run(ms(1));
    heard(&mut rig, 17);
    assert!(named(&rig, 17) && named(&rig, 1) && !named(&rig, 2), "the oldest that is silent makes room");
    heard(&mut rig, 4);
    assert!(named(&rig, 3) && named(&rig, 4), "what is known needs no room");
}

/// Any machine can send messages that are refused. What is known of others does not make room for them.
#[test]
fn a_refusal_does_not_take_the_room_of_another_warning_and_gives_its_own() {
    let mut rig = Rig::active(with(password("secret")));
    let alike = |from| Heard { from, priority: 100, authentication: authenticated("secret"), ..ALIKE };
    let named = |rig: &Rig, n: u8| {
        let standing = rig.node.snapshot(rig.now).routers.remove(0).peer_warnings;
        standing.iter().any(|warning| warning.peer == Some(IpAddr::from([192, 0, 2, n])))
    };
    hear(&mut rig, alike(90));
    for from in 1..=16 {
        hear_refused(&mut rig, Heard { from, ..ALIKE });
    }
    // Of the first router it is noted as well that it is Active beside us.
    assert!(named(&rig, 90) && named(&rig, 1) && named(&rig, 14) && !named(&rig, 15));
    hear(&mut rig, alike(91));
    assert!(named(&rig, 90) && named(&rig, 91) && !named(&rig, 2) && named(&rig, 3));
}

/// Such a message says nothing of the configuration of its sender, and needs no sender.
#[test]
fn a_message_that_cannot_be_read_leaves_a_refusal_as_it_is() {
    let mut rig = Rig::active(both());
    let carrier = to_group(IpAddr::from([192, 0, 2, 1]));
    let mut unreadable = |family, carrier, version| {
        let (reason, vrid) = (RejectReason::ChecksumErrors, Vrid::new(51).ok());
        let reject = Reject { reason, vrid, version };
        rig.feed(Input::Rejected { interface: interface(), family, carrier, reject });
        refusals(&mut rig)
    };
    let of_version_2 = unreadable(Family::Ipv4, Some(carrier), Some(Version::V2));
    assert_eq!(of_version_2, (vec!["other_version"], vec![]));
    let broken = unreadable(Family::Ipv4, Some(carrier), Some(Version::V3));
    assert_eq!(broken, (vec!["other_version", "checksum_errors"], vec![]));
    for (family, standing) in [(Family::Ipv4, 3), (Family::Ipv6, 4)] {
        assert_eq!(unreadable(family, None, Some(Version::V3)).0.len(), standing, "{family}");
    }
}

/// Each family has its own refusals, also of a sender that is not known.
#[test]
fn a_reload_of_one_family_leaves_the_refusals_of_the_other() {
    let mut rig = Rig::active(both());
    for family in [Family::Ipv4, Family::Ipv6] {
        let (reason, vrid) = (RejectReason::ChecksumErrors, Vrid::new(51).ok());
        let reject = Reject { reason, vrid, version: Some(Version::V2) };
        rig.feed(Input::Rejected { interface: interface(), family, carrier: None, reject });
    }
    rig.out.clear();
    rig.feed(Input::Configure(vec![RouterSpec { drain: ms(1), ..both() }]));
    assert_eq!(refusals(&mut rig).0.len(), 2, "something else has changed");
    let mut spec = both();
    spec.instances[0].version = Version::V2;
    rig.feed(Input::Configure(vec![spec]));
    assert_eq!(refusals(&mut rig), (vec!["other_version"], vec!["other_version"]));
    let standing = rig.node.snapshot(rig.now).routers.remove(0).peer_warnings;
    assert_eq!(standing[0].key.family, Family::Ipv6);
}
