//! Reboots, as administrators make them.

use crate::machine::Cable;
use crate::pair::{ADDRESSES, Pair};

#[test]
fn a_reboot_is_not_noticed_and_a_demotion_outlasts_it() {
    let mut pair = Pair::serving();
    pair.unnoticed("a reboot of the Active, and its return", |pair| {
        reboot(pair);
        pair.wait_settled();
    });
    pair.unnoticed("a reboot of a demoted node", |pair| {
        pair.fe0.must("vrrpctl demote --all --reason \"kernel update\"");
        reboot(pair);
        pair.fe0.wait_state("web-a", "initialize");
        assert!(!pair.fe0.holds(ADDRESSES[0]), "a demoted node does not touch the addresses");
        let status = pair.fe0.must("vrrpctl status").stdout;
        assert!(status.contains("demoted"), "{status}");
    });
    pair.unnoticed("its promotion", |pair| {
        pair.fe0.must("vrrpctl promote --all");
        pair.wait_settled();
    });
}

fn reboot(pair: &mut Pair) {
    pair.fe0.run("systemctl reboot");
    pair.fe0.wait_off();
    pair.fe0.boot(&pair.lab, Cable::Plugged);
    for address in ADDRESSES {
        pair.fe0.serve(address);
    }
}
