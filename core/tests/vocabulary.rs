//! The newtypes of floor 0 hold exactly the values that RFC 9568 allows.

use std::collections::BTreeSet;
use std::time::Duration;
use vrrpd_core::types::{
    AdverInterval, AdvertPriority, Family, InstanceKey, InterfaceName, MacAddr, MonoTime, Preempt, Priority,
    Role, RouterName, Vrid,
};

// RFC9568-5.2.3-1
#[test]
fn a_vrid_is_any_octet_but_zero() {
    let legal: Vec<u8> = (0..=u8::MAX).filter(|vrid| Vrid::new(*vrid).is_ok()).collect();
    assert_eq!(legal, (1..=255).collect::<Vec<u8>>());
}

// RFC9568-5.2.3-2
#[test]
fn one_vrid_names_different_virtual_routers_per_interface_and_family() {
    let vrid = Vrid::new(5).unwrap();
    let mut keys = BTreeSet::new();
    for interface in ["eth0", "eth1"] {
        for family in [Family::Ipv4, Family::Ipv6] {
            keys.insert(InstanceKey { interface: interface.parse().unwrap(), family, vrid });
        }
    }
    assert_eq!(keys.len(), 4);
}

#[test]
fn a_mac_address_is_read_as_it_is_written() {
    for (text, octets) in [
        ("02:00:00:aa:bb:cc", Some([2, 0, 0, 0xaa, 0xbb, 0xcc])),
        ("00:00:5E:00:01:33", Some([0, 0, 0x5e, 0, 1, 0x33])),
        ("", None),
        ("02:00:00:aa:bb", None),
        ("02:00:00:aa:bb:cc:dd", None),
        ("2:0:0:aa:bb:cc", None),
        ("02:00:00:aa:bb:+c", None),
        ("02-00-00-aa-bb-cc", None),
        ("0x:00:00:aa:bb:cc", None),
    ] {
        let read = text.parse::<MacAddr>().ok();
        assert_eq!(read, octets.map(MacAddr), "{text:?}");
        assert!(read.is_none_or(|mac| mac.to_string() == text.to_lowercase()), "{text}");
    }
}

// RFC9568-5.2.4-2
#[test]
fn a_contender_has_priority_1_to_254_and_100_by_default() {
    let legal: Vec<u8> = (0..=u8::MAX).filter(|priority| Priority::new(*priority).is_ok()).collect();
    assert_eq!(legal, (1..=254).collect::<Vec<u8>>());
    assert_eq!(Priority::default().get(), 100);
    assert_eq!(Role::default(), Role::Contender { priority: Priority::default(), preempt: Preempt::Allow });
}

#[test]
fn tracking_never_leaves_the_priorities_of_a_contender() {
    for (sum, clamped) in [(i32::MIN, 1), (0, 1), (1, 1), (254, 254), (255, 254), (i32::MAX, 254)] {
        assert_eq!(Priority::clamped(sum).get(), clamped, "{sum}");
    }
}

// RFC9568-5.2.4-3
#[test]
fn only_priority_zero_resigns() {
    let resigning: Vec<u8> =
        (0..=u8::MAX).filter(|octet| AdvertPriority::from_wire(*octet).is_resignation()).collect();
    assert_eq!(resigning, [0]);
    assert_eq!(AdvertPriority::OWNER.get(), 255);
}

// RFC9568-5.2.7-1, RFC9568-6.1-1
#[test]
fn an_interval_is_1_to_4095_centiseconds_and_100_by_default() {
    let legal: Vec<u16> = (0..=u16::MAX).filter(|cs| AdverInterval::from_centiseconds(*cs).is_ok()).collect();
    assert_eq!(legal, (1..=4095).collect::<Vec<u16>>());
    assert_eq!(AdverInterval::default().centiseconds(), 100);
    assert_eq!(AdverInterval::default().period(), Duration::from_secs(1));
}

#[test]
fn an_interval_between_two_centiseconds_is_refused_rather_than_rounded() {
    for (duration, centiseconds) in [
        (Duration::ZERO, None),
        (Duration::from_millis(10), Some(1)),
        (Duration::from_millis(15), None),
        (Duration::from_nanos(10_000_001), None),
        (Duration::from_millis(40_950), Some(4095)),
        (Duration::from_millis(40_960), None),
        (Duration::from_secs(u64::MAX), None),
    ] {
        let interval = AdverInterval::from_duration(duration).ok();
        assert_eq!(interval.map(AdverInterval::centiseconds), centiseconds, "{duration:?}");
    }
}

// RFC9568-7.3-1
#[test]
fn the_virtual_mac_names_family_and_vrid() {
    let mac = |family, vrid| MacAddr::virtual_router(family, Vrid::new(vrid).unwrap()).to_string();
    assert_eq!(mac(Family::Ipv4, 51), "00:00:5e:00:01:33");
    assert_eq!(mac(Family::Ipv6, 255), "00:00:5e:00:02:ff");
}

// RFC9568-5.1.1.2-1, RFC9568-5.1.2.2-1
#[test]
fn advertisements_go_to_the_groups_of_vrrp() {
    assert_eq!(Family::Ipv4.group().to_string(), "224.0.0.18");
    assert_eq!(Family::Ipv6.group().to_string(), "ff02::12");
}

#[test]
fn time_saturates_instead_of_wrapping() {
    let early = MonoTime::from_nanos(5);
    assert_eq!(early - Duration::from_secs(1), MonoTime::ZERO);
    assert_eq!((early + Duration::MAX).as_nanos(), u64::MAX);
    assert_eq!(MonoTime::ZERO.since(early), Duration::ZERO);
    assert_eq!((early + Duration::from_nanos(7)).since(early), Duration::from_nanos(7));
}

#[test]
fn names_that_the_kernel_or_a_command_line_would_mistake_are_refused() {
    for name in ["", ".", "..", "a/b", "a b", "eth0:1", "sixteen-letters!", "ethé"] {
        assert!(name.parse::<InterfaceName>().is_err(), "{name:?}");
    }
    assert_eq!("fifteen-letters".parse::<InterfaceName>().unwrap().as_str(), "fifteen-letters");
    for name in ["", "-n", "--all", "a b", "a/b", &"x".repeat(65)] {
        assert!(name.parse::<RouterName>().is_err(), "{name:?}");
    }
    assert_eq!("moodle-a.v4_1".parse::<RouterName>().unwrap().as_str(), "moodle-a.v4_1");
}

#[test]
fn the_longest_name_of_a_router_has_sixty_four_characters() {
    let longest = "x".repeat(64);
    assert_eq!(longest.parse::<RouterName>().unwrap().as_str(), longest);
}

/// The texts that operators read in log lines and errors, and developers in a failing test.
#[test]
fn each_quantity_is_shown_as_people_write_it() {
    let vrid = Vrid::new(51).unwrap();
    let interface: InterfaceName = "eth0".parse().unwrap();
    let name: RouterName = "web".parse().unwrap();
    let key = InstanceKey { interface, family: Family::Ipv6, vrid };
    assert_eq!(vrid.to_string(), "51");
    assert_eq!(format!("{:>4}", Priority::new(100).unwrap()), " 100");
    assert_eq!(AdverInterval::from_centiseconds(25).unwrap().to_string(), "250ms");
    assert_eq!(key.to_string(), "eth0/51/ipv6");
    assert_eq!(format!("{interface:?} {name:?}"), "\"eth0\" \"web\"");
    assert_eq!(format!("{:?}", MonoTime::from_nanos(1_500_000_000)), "1.5s");
}
