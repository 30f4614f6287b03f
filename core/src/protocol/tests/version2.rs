//! VRRPv2: where RFC 3768 differs from RFC 9568.

use super::*;
use crate::types::AuthPassword;
use crate::wire::{Reject, RejectReason};

/// The instance of [`spec`] in VRRPv2.
fn version2() -> RouterSpec {
    with(Authentication::None)
}

pub(super) fn with(authentication: Authentication) -> RouterSpec {
    let instance = InstanceSpec { version: Version::V2, authentication, ..instance(Family::Ipv4) };
    RouterSpec { instances: vec![instance], ..spec() }
}

pub(super) fn password(text: &str) -> Authentication {
    Authentication::Password(text.parse::<AuthPassword>().unwrap())
}

/// What a peer says differently from our settings.
#[derive(Clone, Copy)]
pub(super) struct Heard {
    /// The last octet of its source address.
    pub(super) from: u8,
    pub(super) version: Version,
    pub(super) seconds: u8,
    pub(super) priority: u8,
    pub(super) authentication: HeardAuthentication,
    pub(super) addresses: &'static [u8],
}

const ONE_ADDRESS: &[u8] = &[192, 0, 2, 254];
pub(super) const TWO_ADDRESSES: &[u8] = &[192, 0, 2, 254, 192, 0, 2, 253];

/// As we are configured, with priority 200.
pub(super) const ALIKE: Heard = Heard {
    from: 1,
    version: Version::V2,
    seconds: 1,
    priority: 200,
    authentication: HeardAuthentication::Readable(Authentication::None),
    addresses: ONE_ADDRESS,
};

pub(super) fn hear(rig: &mut Rig, heard: Heard) {
    let source = IpAddr::from([192, 0, 2, heard.from]);
    let carrier = Carrier { source, destination: Family::Ipv4.group(), ttl: 255 };
    let advertisement = Advertisement {
        version: heard.version,
        vrid: Vrid::new(51).unwrap(),
        priority: AdvertPriority::from_wire(heard.priority),
        interval: AdverInterval::from_seconds(heard.seconds).unwrap(),
        addresses: AddressList::new(Family::Ipv4, heard.addresses),
        authentication: heard.authentication,
        checksum: ChecksumFlavour::Rfc9568,
    };
    rig.feed(Input::Received { interface: interface(), carrier, advertisement });
}

pub(super) fn authenticated(text: &str) -> HeardAuthentication {
    HeardAuthentication::Readable(password(text))
}

/// T61.
#[test]
fn rfc3768_6_1_1_a_backup_takes_over_one_skew_time_after_a_resignation_whatever_the_interval_is() {
    for seconds in [1, 5, 200] {
        let mut rig =
            Rig::new(RouterSpec { interval: AdverInterval::from_seconds(seconds).unwrap(), ..version2() });
        hear(&mut rig, Heard { seconds, ..ALIKE });
        rig.run(ms(500));
        hear(&mut rig, Heard { seconds, priority: 0, ..ALIKE });
        assert_eq!(rig.until_state(StateName::Active), us(609_375), "{seconds} s");
    }
}

/// T61.
#[test]
fn rfc3768_6_1_2_a_backup_takes_over_after_three_intervals_and_a_skew_time() {
    for (seconds, down) in [(1, 3_609_375), (5, 15_609_375), (200, 600_609_375)] {
        let mut rig =
            Rig::new(RouterSpec { interval: AdverInterval::from_seconds(seconds).unwrap(), ..version2() });
        hear(&mut rig, Heard { seconds, ..ALIKE });
        rig.run(us(down - 1));
        assert_eq!(rig.state(), StateName::Backup, "{seconds} s");
        rig.run(us(1));
        assert_eq!(rig.state(), StateName::Active, "{seconds} s");
    }
}

/// T62, RFC3768-7.1-5, RFC3768-7.1-1, RFC3768-7.1-3, RFC3768-7.1-2, RFC9568-7.1-12
#[test]
fn what_does_not_match_is_discarded_counted_and_named_once_and_moves_no_timer() {
    let other_list = Heard { addresses: TWO_ADDRESSES, ..ALIKE };
    for (ours, heard, reason, warning) in [
        (
            Authentication::None,
            Heard { version: Version::V3, ..ALIKE },
            RejectReason::VersionErrors,
            "other_version",
        ),
        (
            Authentication::None,
            Heard { authentication: authenticated("secret"), ..ALIKE },
            RejectReason::AuthTypeMismatch,
            "authentication_differs",
        ),
        (
            Authentication::None,
            Heard { authentication: HeardAuthentication::IpsecHeader, ..ALIKE },
            RejectReason::AuthTypeMismatch,
            "authentication_differs",
        ),
        (password("secret"), ALIKE, RejectReason::AuthTypeMismatch, "authentication_differs"),
        (
            password("secret"),
            Heard { authentication: authenticated("secreT"), ..ALIKE },
            RejectReason::AuthFailures,
            "authentication_differs",
        ),
        (
            Authentication::None,
            Heard { seconds: 3, ..ALIKE },
            RejectReason::IntervalErrors,
            "interval_refused",
        ),
        (Authentication::None, other_list, RejectReason::AddressListErrors, "address_list_refused"),
        (
            Authentication::None,
            Heard { priority: 0, ..other_list },
            RejectReason::AddressListErrors,
            "address_list_refused",
        ),
    ] {
        let mut rig = Rig::new(with(ours));
        rig.run(ms(700));
        let before = rig.node.next_deadline();
        for _ in 0..20 {
            hear(&mut rig, heard);
        }
        assert_eq!(rig.node.next_deadline(), before, "{warning}");
        let counters = rig.instance(0).counters;
        assert_eq!(counters.rejected[&reason], 20, "{warning}");
        let by_name = [counters.interval_errors, counters.address_list_errors, counters.advertisement_rcvd];
        let of = |counted: RejectReason| if reason == counted { 20 } else { 0 };
        assert_eq!(by_name, [of(RejectReason::IntervalErrors), of(RejectReason::AddressListErrors), 0]);
        assert_eq!(rig.warned(), [warning], "once, and not for each message");
        assert!(rig.instance(0).peers.is_empty(), "{warning}");
        rig.run(Duration::from_secs(4));
        assert_eq!(rig.state(), StateName::Active, "{warning}");
    }
}

#[test]
fn the_same_password_is_accepted_and_every_advertisement_carries_ours() {
    let mut rig = Rig::new(with(password("secret")));
    hear(&mut rig, Heard { authentication: authenticated("secret"), ..ALIKE });
    assert_eq!(rig.instance(0).counters.advertisement_rcvd, 1);
    let mut rig = Rig::active(with(password("secret")));
    rig.run(Duration::from_secs(2));
    let said = rig.out.iter().filter_map(|effect| match effect {
        Effect::Advertise { version, authentication, .. } => Some((*version, *authentication)),
        _ => None,
    });
    assert_eq!(said.collect::<Vec<_>>(), [(Version::V2, password("secret")); 2]);
}

/// T62: P35.
#[test]
fn rfc3768_7_1_3_the_owner_may_list_other_addresses() {
    let mut rig = Rig::active(version2());
    hear(&mut rig, Heard { priority: 255, addresses: TWO_ADDRESSES, ..ALIKE });
    assert_eq!(rig.state(), StateName::Backup);
    assert_eq!(rig.warned(), ["address_list_differs"]);
}

/// A router of VRRPv3 that hears a VRRPv2 router says so (RFC 9568 §8.4), T63.
#[test]
fn a_router_of_version_3_names_a_peer_that_speaks_version_2() {
    let mut rig = Rig::active(spec());
    hear(&mut rig, ALIKE);
    assert_eq!(rig.state(), StateName::Active);
    assert_eq!(rig.warned(), ["other_version"]);
    // What cannot be read is of the other version in the first place.
    let reject = Reject {
        reason: RejectReason::PacketLengthErrors,
        vrid: Some(Vrid::new(51).unwrap()),
        version: Some(Version::V2),
    };
    let carrier = Some(to_group("192.0.2.1".parse().unwrap()));
    rig.feed(Input::Rejected { interface: interface(), family: Family::Ipv4, carrier, reject });
    let rejected = rig.instance(0).counters.rejected;
    assert_eq!(rejected.get(&RejectReason::VersionErrors), Some(&2));
    assert_eq!(rejected.get(&RejectReason::PacketLengthErrors), None);
}

/// RFC3768-7.1-4
#[test]
fn an_owner_that_serves_ignores_others_and_one_that_leaves_hears_its_successor() {
    let owner = RouterSpec { role: Role::Owner, ..version2() };
    let mut rig = Rig::active(owner);
    for priority in [0, 200, 255] {
        hear(&mut rig, Heard { priority, ..ALIKE });
    }
    assert_eq!(rig.state(), StateName::Active);
    assert_eq!(rig.spoken(), [""; 0], "no answer");
    rig.run(Duration::from_secs(3));
    rig.demote(Force::No);
    rig.run(ms(610));
    hear(&mut rig, Heard { priority: 50, ..ALIKE });
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(20));
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::HandedOver { .. }]), "{:?}", rig.outcomes());
}

#[test]
fn a_demotion_resigns_and_serves_until_the_successor_has_told_the_hosts() {
    let mut rig = Rig::active(version2());
    rig.demote(Force::No);
    assert_eq!(rig.spoken(), ["say 0/100cs"]);
    rig.run(ms(10));
    assert_eq!(rig.spoken(), ["say 0/100cs"]);
    rig.run(ms(990));
    assert_eq!(rig.said(), ["say 0/100cs"], "three in all, and the addresses stay");
    hear(&mut rig, Heard { priority: 50, ..ALIKE });
    assert!(!rig.released());
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(20));
    assert!(rig.released());
    let [DemoteOutcome::HandedOver { after, .. }] = rig.outcomes()[..] else {
        panic!("{:?}", rig.outcomes())
    };
    assert_eq!(after, ms(1000));
}

/// The Skew_Time of the slowest Backup that heard the second round only, which is the same at every
/// interval.
#[test]
fn without_a_successor_a_demotion_is_refused_when_the_slowest_backup_would_have_taken_over() {
    for seconds in [1, 5, 190] {
        let interval = AdverInterval::from_seconds(seconds).unwrap();
        let mut rig = Rig::new(RouterSpec { interval, ..version2() });
        rig.until_state(StateName::Active);
        rig.run(Duration::from_millis(500));
        rig.out.clear();
        rig.demote(Force::No);
        rig.run(ms(2409));
        let resignation = format!("say 0/{}cs", interval.centiseconds());
        assert_eq!(rig.spoken(), vec![resignation; 5]);
        rig.run(ms(1));
        assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }]), "{:?}", rig.outcomes());
        let stays = format!("say 100/{}cs", interval.centiseconds());
        assert_eq!(rig.spoken(), [stays], "Backups hear at once that we stay");
    }
}

/// The IPv6 Backup that has learned nothing waits for a part of the interval.
#[test]
fn a_router_of_both_families_waits_for_the_slower_family_at_a_long_interval() {
    let instances = vec![version2().instances.remove(0), instance(Family::Ipv6)];
    let interval = AdverInterval::from_seconds(20).unwrap();
    let mut rig = Rig::new(RouterSpec { interval, instances, ..spec() });
    rig.until_state(StateName::Active);
    rig.run(ms(500));
    rig.demote(Force::No);
    rig.run(ms(20_355));
    assert_eq!(rig.outcomes(), []);
    rig.run(ms(1));
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }, DemoteOutcome::Refused { .. }]));
}

/// Until the successor is there nobody else serves.
#[test]
fn a_fault_serves_on_until_the_slowest_backup_would_have_taken_over() {
    let check = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..version2() });
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.run(Duration::from_secs(5));
    rig.out.clear();
    rig.feed(Input::CheckResult(check, CheckResult::Failing));
    rig.run(ms(1129));
    assert!(!rig.released());
    rig.run(ms(1));
    assert!(rig.released());
}

/// RFC 3768 §6.4.3: the answer to a resignation. The answer to a lower priority is ours.
#[test]
fn an_active_answers_a_resignation_and_a_lower_priority_at_once() {
    for priority in [0, 50] {
        let mut rig = Rig::active(version2());
        hear(&mut rig, Heard { priority, ..ALIKE });
        assert_eq!(rig.spoken(), ["say 100/100cs"]);
        assert_eq!(rig.state(), StateName::Active);
    }
}

/// docs/adr/0043
#[test]
fn a_reload_that_changes_version_and_password_keeps_the_state() {
    let mut rig = Rig::active(with(password("secret")));
    rig.feed(Input::Configure(vec![spec()]));
    rig.run(Duration::from_secs(1));
    assert_eq!((rig.state(), rig.released()), (StateName::Active, false));
    let said = |effect: &Effect| match effect {
        Effect::Advertise { version, authentication, .. } => Some((*version, *authentication)),
        _ => None,
    };
    assert_eq!(rig.out.iter().find_map(said), Some((Version::V3, Authentication::None)));
    rig.hear(advert("192.0.2.1", 200));
    assert_eq!(rig.state(), StateName::Backup, "it understands version 3");
    assert_eq!(rig.instance(0).version, Version::V3);
    rig.feed(Input::Configure(vec![version2()]));
    assert_eq!(rig.state(), StateName::Backup);
    hear(&mut rig, ALIKE);
    hear(&mut rig, Heard { priority: 0, ..ALIKE });
    assert_eq!(rig.until_state(StateName::Active), us(609_375), "it has the Skew_Time of version 2");
    assert_eq!(rig.instance(0).version, Version::V2);
}

/// The hand-over ends by the rules with which it began.
#[test]
fn a_reload_in_the_middle_of_a_hand_over_does_not_disturb_it() {
    for (before, after) in [(version2(), spec()), (spec(), version2())] {
        let mut rig = Rig::active(before);
        rig.demote(Force::No);
        rig.run(ms(3));
        rig.feed(Input::Configure(vec![after]));
        rig.run(Duration::from_secs(4));
        assert_eq!(rig.state(), StateName::Active);
        assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Refused { .. }]), "{:?}", rig.outcomes());
    }
}

/// A router of both families speaks VRRPv2 in IPv4 and VRRPv3 in IPv6, as keepalived does.
#[test]
fn a_router_of_both_families_waits_for_the_slower_version() {
    let instances = vec![version2().instances.remove(0), instance(Family::Ipv6)];
    let mut rig = Rig::active(RouterSpec { instances, ..spec() });
    rig.demote(Force::No);
    rig.run(ms(30));
    rig.hear(advert("fe80::1", 50));
    rig.hear_announced(Family::Ipv6);
    rig.run(ms(900));
    assert!(!rig.released(), "IPv4 is not taken over yet, and both move together");
    hear(&mut rig, Heard { priority: 50, ..ALIKE });
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(20));
    assert!(matches!(
        rig.outcomes()[..],
        [DemoteOutcome::HandedOver { .. }, DemoteOutcome::HandedOver { .. }]
    ));
}

/// RFC3768-7.1-2, RFC3768-6.1-2: the interval that IPv6 has learned means nothing in VRRPv2, which
/// could not even write it into a message.
#[test]
fn a_family_of_version_2_that_follows_the_other_keeps_its_own_interval() {
    let instances = vec![version2().instances.remove(0), instance(Family::Ipv6)];
    let mut rig = Rig::active(RouterSpec { instances, ..spec() });
    rig.hear(Advert { centiseconds: 1, ..advert("fe80::1", 200) });
    let said = rig.out.iter().filter_map(|effect| match effect {
        Effect::Advertise { key, interval, .. } => Some((key.family, *interval)),
        _ => None,
    });
    let second = AdverInterval::default();
    assert_eq!(said.collect::<Vec<_>>(), [(Family::Ipv6, AdverInterval::MIN), (Family::Ipv4, second)]);
    let timers = rig.instance(0).timers;
    assert_eq!(rig.instance(0).state, StateName::Backup);
    assert_eq!((timers.active_adver_interval, timers.active_down_interval), (second, us(3_609_375)));
}

/// The Active that yields to the owner has told the hosts before that the addresses are there.
#[test]
fn an_owner_that_ignores_others_tells_the_hosts_where_the_addresses_are() {
    let announced = |priority: u8| {
        let mut rig = Rig::active(RouterSpec { role: Role::Owner, ..version2() });
        rig.run(Duration::from_secs(3));
        rig.out.clear();
        hear(&mut rig, Heard { priority, ..ALIKE });
        let rounds = rig.out.iter().filter(|effect| matches!(effect, Effect::Announce { .. })).count();
        (rounds, rig.spoken())
    };
    for priority in [0, 1, 254] {
        assert_eq!(announced(priority).0, 1, "{priority}");
    }
    assert_eq!(announced(255).0, 0, "two owners would turn the hosts back and forth");
    assert!(announced(200).1.iter().all(|line| !line.starts_with("say")), "nothing is advertised");
}

/// The fault for which the router leaves goes, so that it would stay; but an operator forced it to let go
/// meanwhile, and whatever is evaluated then does not change that. In VRRPv3 it is the same, within 36 ms.
#[test]
fn a_forced_demotion_lets_go_although_the_fault_has_gone_for_which_the_router_leaves() {
    let check = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..version2() });
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.run(Duration::from_secs(5));
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Failing));
    rig.run(ms(100));
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.demote(Force::Yes);
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Failing));
    rig.feed(Input::CheckResult(check, CheckResult::Passing));
    rig.run(Duration::from_secs(2));
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::Forced { .. }]), "{:?}", rig.outcomes());
    assert_eq!(rig.state(), StateName::Initialize);
}

/// RFC3768-7.1-1, RFC3768-7.1-2: the checks come in the order of the text.
#[test]
fn a_message_that_differs_in_password_and_interval_counts_as_the_password() {
    let mut rig = Rig::new(with(password("secret")));
    hear(&mut rig, Heard { authentication: authenticated("public"), seconds: 3, ..ALIKE });
    assert_eq!(rig.instance(0).counters.rejected.get(&RejectReason::AuthFailures), Some(&1));
    assert_eq!(rig.instance(0).counters.interval_errors, 0);
}

/// At 2 s the Skew_Times of the versions differ: 1.22 s in version 3, and 0.61 s in version 2.
#[test]
fn a_backup_that_a_reload_moves_to_version_2_has_its_skew_time() {
    let two = AdverInterval::from_seconds(2).unwrap();
    let mut rig = Rig::new(RouterSpec { interval: two, ..spec() });
    rig.feed(Input::Configure(vec![RouterSpec { interval: two, ..version2() }]));
    hear(&mut rig, Heard { seconds: 2, ..ALIKE });
    hear(&mut rig, Heard { seconds: 2, priority: 0, ..ALIKE });
    assert_eq!(rig.until_state(StateName::Active), us(609_375));
}

fn at(interval: AdverInterval, spec: RouterSpec) -> RouterSpec {
    RouterSpec { interval, ..spec }
}

#[test]
fn an_active_that_a_reload_moves_to_version_2_leaves_by_its_script() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Configure(vec![version2()]));
    rig.out.clear();
    rig.demote(Force::No);
    assert_eq!(rig.spoken(), ["say 0/100cs"]);
}

/// At 5 s the slowest Backup of version 3 has a Skew_Time of 4.98 s.
#[test]
fn silence_is_told_after_the_wait_of_the_slowest_backup_of_version_2() {
    let five = AdverInterval::from_seconds(5).unwrap();
    let heard = Heard { seconds: 5, ..ALIKE };
    let lost = |rig: &Rig| rig.events().iter().any(|it| matches!(it, EventKind::NobodyServes { .. }));
    let mut rig = Rig::new(at(five, spec()));
    rig.demote(Force::No);
    rig.feed(Input::Configure(vec![at(five, version2())]));
    hear(&mut rig, heard);
    rig.run(ms(16_096));
    assert!(!lost(&rig));
    rig.run(ms(1));
    assert!(lost(&rig), "three intervals, 255/256 s, and 100 ms");

    let mut rig = Rig::new(at(five, version2()));
    rig.until_state(StateName::Active);
    rig.run(ms(500));
    rig.out.clear();
    rig.demote(Force::No);
    rig.run(ms(610));
    hear(&mut rig, Heard { priority: 50, ..heard });
    rig.hear_announced(Family::Ipv4);
    rig.run(ms(20));
    assert!(matches!(rig.outcomes()[..], [DemoteOutcome::HandedOver { .. }]), "{:?}", rig.outcomes());
    let silent = |rig: &Rig| rig.events().contains(&EventKind::SuccessorSilent);
    rig.run(ms(15_996));
    assert!(!silent(&rig));
    rig.run(ms(1));
    assert!(silent(&rig), "the watch over the successor has the same patience");
}

/// The router that was heard every 3 s in version 3 is overdue 3 s after its last message: in version 2
/// nothing is learned, and ours is 2 s.
#[test]
fn who_serves_is_judged_by_the_version_after_a_reload() {
    let two = AdverInterval::from_seconds(2).unwrap();
    let stranger = Heard { from: 9, seconds: 2, priority: 255, addresses: &[198, 51, 100, 1], ..ALIKE };
    for (after, warning) in [(2999, "address_list_differs"), (3001, "addresses_lost")] {
        let mut rig = Rig::new(at(two, spec()));
        rig.hear(Advert { centiseconds: 300, ..advert("192.0.2.1", 200) });
        rig.feed(Input::Configure(vec![at(two, version2())]));
        rig.out.clear();
        rig.run(ms(after));
        hear(&mut rig, stranger);
        assert_eq!(rig.warned(), [warning], "{after}");
    }
}

#[test]
fn that_no_node_was_ever_heard_is_told_after_three_active_down_intervals_of_version_2() {
    let peers = UnicastPeers { addresses: vec![IpAddr::from([192, 0, 2, 1])], min_ttl: NonZeroU8::MAX };
    let destinations = Destinations::Unicast(peers);
    let five = AdverInterval::from_seconds(5).unwrap();
    let mut rig = Rig::new(RouterSpec { destinations, ..at(five, version2()) });
    rig.until_state(StateName::Active);
    let told = |rig: &Rig| rig.events().iter().any(|it| matches!(it, EventKind::NoPeerHeard { .. }));
    rig.run(us(15_609_375) * 3 - us(1));
    assert!(!told(&rig));
    rig.run(us(1));
    assert!(told(&rig));
}
