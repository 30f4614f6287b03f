//! Thousands of addresses. The test prints how long it took, but asserts only that it happened.

use crate::host::{Agent, Host, clock, key};
use vrrpd::types::Family;

fn measure(family: Family, addresses: &[String]) {
    let host = Host::new();
    let agent = Agent::start(&host);
    let key = key(family, 51);
    let list: Vec<&str> = addresses.iter().map(String::as_str).collect();
    agent.declare(key, &list);
    agent.known(&host);
    let start = clock();
    agent.hold(key, 1);
    let installed = clock().since(start);
    assert_eq!(host.ours().len(), addresses.len());
    let start = clock();
    agent.release(key, 2);
    let removed = clock().since(start);
    assert_eq!(host.ours().len(), 0);
    println!("{} {family} addresses: installed in {installed:?}, removed in {removed:?}", addresses.len());
    assert_eq!(agent.told_so_far(), []);
}

#[test]
fn two_thousand_ipv4_addresses_of_one_subnet() {
    let list: Vec<_> = (0..2000).map(|n| format!("10.0.{}.{}/16", n / 250, 1 + n % 250)).collect();
    measure(Family::Ipv4, &list);
}

#[test]
fn two_thousand_ipv4_host_addresses() {
    let list: Vec<_> = (0..2000).map(|n| format!("10.0.{}.{}/32", n / 250, 1 + n % 250)).collect();
    measure(Family::Ipv4, &list);
}

#[test]
fn a_thousand_ipv6_addresses_on_a_link_that_is_up() {
    let list: Vec<_> = (0..1000).map(|n| format!("2001:db8::1:{n:x}/64")).collect();
    measure(Family::Ipv6, &list);
}
