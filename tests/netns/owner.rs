//! The owner of the addresses comes back, and advertises from the very address that the Backup
//! holds in its place. The kernel of that Backup takes these advertisements for martians and drops
//! them.

use super::support::prober::Responder;
use super::support::wait::stays;
use super::support::{Config, Daemon, Lab, Router, SOON, ms, wait_for};

/// fe0's own address.
const OWN: &str = "192.0.2.10";

struct Owned {
    fe0: Daemon,
    fe1: Daemon,
    lab: Lab,
}

impl Owned {
    /// `fe0` owns `addresses`, which it has on its interface, and `fe1` is its Backup.
    fn new(addresses: &[&str]) -> Self {
        let lab = Lab::new(&["fe0", "fe1", "client"]);
        let router = Router::new("web").addresses(addresses);
        let owner = router.clone().key("priority", "\"owner\"");
        let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&owner));
        fe0.wait_state("web", "active");
        let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&router.priority(100)));
        fe1.wait_state("web", "backup");
        Self { fe0, fe1, lab }
    }

    /// Whether only the owner is Active and has the address.
    fn is_settled(&self, address: &str) {
        self.fe0.wait_state("web", "active");
        self.fe1.wait_state("web", "backup");
        wait_for(SOON, "fe1 lets go", || !self.fe1.node().has(address));
        assert!(self.fe0.node().has(address));
        stays(ms(500), "there is one Active", || self.fe1.is("web", "backup"));
    }
}

#[test]
fn an_owner_that_was_cut_off_is_heard_when_it_is_back() {
    let pair = Owned::new(&["192.0.2.10/24"]);
    pair.lab.cut(pair.fe0.node());
    pair.fe1.wait_state("web", "active");
    wait_for(SOON, "fe1 holds the owner's address", || pair.fe1.node().has(OWN));
    pair.lab.heal(pair.fe0.node());
    pair.is_settled(OWN);
    assert_eq!(pair.fe1.instance("web", "ipv4")["cause"], "higher_priority");
}

#[test]
fn an_owner_that_is_started_again_is_heard() {
    let mut pair = Owned::new(&["192.0.2.10/24"]);
    pair.fe0.terminate();
    pair.fe1.wait_state("web", "active");
    pair.fe0.start_again();
    pair.is_settled(OWN);
}

#[test]
fn an_owner_is_demoted_and_promoted() {
    let pair = Owned::new(&["192.0.2.10/24"]);
    assert_eq!(pair.fe0.ctl(&["demote", "web"]).code, 0);
    pair.fe1.wait_state("web", "active");
    assert_eq!(pair.fe0.ctl(&["promote", "web"]).code, 0);
    pair.is_settled(OWN);
}

/// IPv6 has no martians: the Backup receives the advertisements like any others.
#[test]
fn in_ipv6_an_owner_that_is_back_is_heard_too() {
    let pair = Owned::new(&["fe80::a/64", "2001:db8::a/64"]);
    pair.lab.cut(pair.fe0.node());
    pair.fe1.wait_state("web", "active");
    wait_for(SOON, "fe1 holds the owner's address", || pair.fe1.node().has("fe80::a"));
    pair.lab.heal(pair.fe0.node());
    pair.is_settled("fe80::a");
}

/// A host that sends requests reaches the owner again.
#[test]
fn hosts_turn_to_the_owner_that_is_back() {
    let pair = Owned::new(&["192.0.2.10/24"]);
    let _services = ["fe0", "fe1"].map(|name| Responder::start(pair.lab.node(name), OWN));
    pair.lab.cut(pair.fe0.node());
    pair.fe1.wait_state("web", "active");
    let prober = super::Prober::start(pair.lab.node("client"), OWN, 1000);
    prober.wait_answer_of(pair.fe1.node());
    pair.lab.heal(pair.fe0.node());
    prober.wait_answer_of(pair.fe0.node());
    prober.wait_some_answers();
    pair.is_settled(OWN);
}
