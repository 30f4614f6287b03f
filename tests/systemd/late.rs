//! A boot at which the interface appears late: nothing waits for it, nothing fails, and it is used
//! when it appears.

use crate::machine::{Cable, Machine};
use crate::pair::{configure, install, turn};
use crate::support::Lab;

#[test]
fn an_interface_that_comes_after_the_boot_is_used_when_it_comes() {
    let _turn = turn();
    let lab = Lab::new(&["client"]);
    let mut machine = Machine::new(&lab, "fe1", 31);
    machine.boot(&lab, Cable::Missing);
    install(&machine);
    configure(&machine);
    machine.run("systemctl poweroff");
    machine.wait_off();

    machine.boot(&lab, Cable::Missing);
    assert_eq!(machine.run("systemctl is-active vrrpd").stdout.trim(), "active");
    let status = machine.must("vrrpctl status").stdout;
    assert!(status.contains("eth0 does not exist"), "the fault is named:\n{status}");
    machine.add_interface(&lab);
    machine.wait_state("web-b", "active");
    assert!(machine.holds("192.0.2.51"));
    assert_eq!(machine.property("NRestarts"), "0");
}
