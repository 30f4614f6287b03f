//! What is armed again, and what is refused.

use super::*;
use crate::kernel::nftables::TableFamily;
use crate::types::Vrid;

fn interface(name: &str) -> InterfaceName {
    name.parse().unwrap()
}

fn leaver(host: u8) -> Leaver {
    Leaver { address: [192, 0, 2, host].into(), mac: MacAddr([2, 0, 0, 0, 0, host]) }
}

fn arming(last: Option<u8>, leavers: &[u8]) -> Arming {
    Arming {
        interface: interface("eth0"),
        index: 2,
        addresses: [[192, 0, 2, 100].into()].into(),
        last: last.map(leaver),
        leavers: leavers.iter().copied().map(leaver).collect(),
        own: Vec::new(),
        earlier: EarlierOwn::Stays,
    }
}

fn key() -> InstanceKey {
    InstanceKey { interface: interface("eth0"), family: Family::Ipv4, vrid: Vrid::new(1).unwrap() }
}

/// An instance whose names begin behind `number`.
fn armed(arming: &Arming, before: Option<&ArmedInstance>, mut number: u32) -> ArmedInstance {
    ArmedInstance::new(key(), arming, before, || {
        number += 1;
        number
    })
}

fn sets(instance: &ArmedInstance) -> Vec<String> {
    instance.leavers.values().map(|armed| armed.set(armed.in_force)).collect()
}

/// The octets of a transaction as text: names are readable in it.
fn named(transaction: &Transaction<'_>) -> String {
    String::from_utf8_lossy(transaction.octets()).into_owned()
}

/// The octets of a transaction that this fills.
fn written(fill: impl FnOnce(&mut Transaction<'_>)) -> String {
    let mut transaction = Transaction::new(TableFamily::Netdev, "t");
    fill(&mut transaction);
    format!("{transaction:?}")
}

#[test]
fn a_leaver_keeps_its_list_whatever_mac_or_interface_it_has() {
    let mut first = armed(&arming(Some(11), &[12]), None, 0);
    assert_eq!(sets(&first), ["listed_2a", "listed_1a"], "12 was named first");
    assert_eq!(first.begin_list([192, 0, 2, 11].into(), 1).unwrap(), "listed_2b");

    let again = armed(&arming(None, &[11]), Some(&first), 10);
    assert_eq!(sets(&again), ["listed_2b"]);
    let mut elsewhere = arming(None, &[11]);
    elsewhere.interface = interface("eth1");
    assert_eq!(sets(&armed(&elsewhere, Some(&first), 10)), ["listed_2b"]);
    let mut another = arming(None, &[11]);
    another.leavers[0].mac = MacAddr([2, 0, 0, 0, 0, 99]);
    let another = armed(&another, Some(&first), 10);
    assert_eq!((sets(&another), another.listed()), (vec!["listed_2b".to_owned()], 1));
    let rules = |instance: &ArmedInstance| written(|transaction| instance.write_rules(transaction));
    assert_ne!(rules(&another), rules(&ArmedInstance { number: another.number, ..again }));
}

/// What began after the first arming is ours at the second one, too. What we were told of is in a set
/// for each arming, because adding an element again does not renew it.
#[test]
fn own_connections_stay_when_an_instance_is_armed_again() {
    let all = |instance: &ArmedInstance| {
        [vec![instance.own_set()], instance.known.iter().map(|known| known_set(*known)).collect()].concat()
    };
    let first = armed(&arming(Some(11), &[]), None, 0);
    assert_eq!(all(&first), ["own_2", "known_3"]);
    let second = armed(&arming(Some(12), &[]), Some(&first), 10);
    assert_eq!(all(&second), ["own_2", "known_12", "known_3"]);
    assert_eq!(second.known_set(), "known_12");
    let third = armed(&arming(Some(11), &[]), Some(&second), 20);
    assert_eq!(all(&third), ["own_2", "known_22", "known_12"]);
    // Only the oldest set is deleted, and nothing is created that is there.
    let deleted = |old: &ArmedInstance, next: Option<&ArmedInstance>| {
        let mut transaction = Transaction::new(TableFamily::Netdev, "t");
        old.delete(&mut transaction, next);
        named(&transaction)
    };
    let names = deleted(&second, Some(&third));
    assert!(names.contains("known_3") && !names.contains("known_12") && !names.contains("own_2"), "{names}");
    let names = deleted(&third, None);
    assert!(names.contains("known_22") && names.contains("known_12") && names.contains("own_2"), "{names}");
}

/// Another router has had the addresses: clients may have used the ports again there.
#[test]
fn own_connections_end_when_the_addresses_were_elsewhere() {
    let first = armed(&arming(Some(11), &[]), None, 0);
    let second = armed(&arming(Some(11), &[]), Some(&first), 10);
    let taken_back = Arming { earlier: EarlierOwn::Ends, ..arming(Some(12), &[11]) };
    let third = armed(&taken_back, Some(&second), 20);
    assert_eq!(third.leavers[&IpAddr::from([192, 0, 2, 11])].number, 1, "its list stays");
    assert_eq!((third.own, third.known.as_slice()), (22, [23].as_slice()));
    let mut transaction = Transaction::new(TableFamily::Netdev, "t");
    second.delete(&mut transaction, Some(&third));
    let names = named(&transaction);
    assert!(["own_2", "known_3", "known_11"].iter().all(|set| names.contains(set)), "{names}");
    let mut transaction = Transaction::new(TableFamily::Netdev, "t");
    third.create(&mut transaction, ForwardingSettings::default(), 100, Some(&second));
    assert!(named(&transaction).contains("own_22"), "{}", named(&transaction));
}

/// A connection that two leavers list goes to one of them, always the same.
#[test]
fn the_router_that_was_active_until_now_is_asked_first_and_then_the_lowest_address() {
    let order = |instance: &ArmedInstance| -> Vec<String> {
        instance.leavers_in_order().map(|armed| armed.leaver.address.to_string()).collect()
    };
    let with_last = armed(&arming(Some(12), &[13, 11, 12]), None, 0);
    assert_eq!(order(&with_last), ["192.0.2.12", "192.0.2.11", "192.0.2.13"]);
    let without = armed(&arming(None, &[13, 11, 12]), None, 0);
    assert_eq!(order(&without), ["192.0.2.11", "192.0.2.12", "192.0.2.13"]);
    let mut transaction = Transaction::new(TableFamily::Netdev, "t");
    with_last.write_rules(&mut transaction);
    let rules = named(&transaction);
    let order = [
        "connections that begin are ours",
        "no room for another connection",
        ": connections of 192.0.2.12",
        ": connections of 192.0.2.11",
        "not listed yet",
        ": our own",
        "errors about connections of 192.0.2.12",
        "errors about connections of 192.0.2.11",
    ];
    let places: Vec<_> = order.iter().map(|rule| rules.find(rule)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
}

#[test]
fn lists_alternate_between_two_sets_and_additions_go_to_the_one_in_force() {
    let mut instance = armed(&arming(None, &[11]), None, 0);
    let leaver = [192, 0, 2, 11].into();
    assert_eq!(instance.begin_list(leaver, 5).unwrap(), "listed_1b");
    assert_eq!(instance.extend_list(leaver, 2).unwrap(), ("listed_1b".to_owned(), 7));
    assert_eq!(instance.begin_list(leaver, 3).unwrap(), "listed_1a");
    assert_eq!(instance.extend_list(leaver, 0).unwrap(), ("listed_1a".to_owned(), 3));
    let stranger = [192, 0, 2, 12].into();
    assert!(instance.begin_list(stranger, 1).is_err() && instance.extend_list(stranger, 1).is_err());
}

#[test]
fn rules_are_a_function_of_what_is_armed_and_not_of_its_history() {
    let mut instance = armed(&arming(Some(11), &[12]), None, 0);
    let before = written(|transaction| instance.write_rules(transaction));
    for _ in 0..2 {
        instance.begin_list([192, 0, 2, 11].into(), 1).unwrap();
        instance.begin_list([192, 0, 2, 12].into(), 1).unwrap();
    }
    assert_eq!(written(|transaction| instance.write_rules(transaction)), before);
    written(|transaction| instance.remove_leaver(transaction, [192, 0, 2, 11].into()).unwrap());
    assert_eq!(instance.last, None, "nothing switches from who is not there");
    assert_ne!(written(|transaction| instance.write_rules(transaction)), before);
}

#[test]
fn connections_to_other_addresses_and_of_other_families_are_left_out() {
    let instance = armed(&arming(None, &[11]), None, 0);
    let connection = |local: &str, remote: &str| Connection {
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
    };
    let all = [
        connection("192.0.2.100:80", "198.51.100.1:1000"),
        connection("192.0.2.101:80", "198.51.100.1:1000"),
        connection("192.0.2.100:80", "[2001:db8::1]:1000"),
        connection("[2001:db8::2]:80", "[2001:db8::1]:1000"),
    ];
    assert_eq!(instance.keys_of(&all).len(), 1);
}

#[test]
fn a_rule_without_a_counter_counts_nothing() {
    assert_eq!(read_counter(&[]), None);
    assert_eq!(read_counter(&[4, 0, 4, 0]), None);
}
