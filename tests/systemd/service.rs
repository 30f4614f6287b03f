//! The life of the service on a pair: started, stopped, restarted, demoted, killed, and hanging.

use crate::pair::{ADDRESSES, Pair};
use crate::support::{ms, wait_for};
use std::time::Duration;

#[test]
fn a_pair_lives_under_systemd_and_its_client_does_not_notice() {
    let mut pair = Pair::serving();
    let status = pair.fe0.must("systemctl status --no-pager vrrpd").stdout;
    assert!(status.contains("web-a"), "the status line tells the states:\n{status}");
    println!("from start to ready: {:?}", start_to_ready(&pair));
    assert!(start_to_ready(&pair) < Duration::from_secs(5), "it is 50 ms on an idle machine");

    pair.unnoticed("vrrpctl demote", |pair| {
        let said = pair.fe0.must("vrrpctl demote --all --reason test").stdout;
        assert!(said.contains("now served by"), "{said}");
    });
    pair.unnoticed("vrrpctl promote", |pair| {
        pair.fe0.must("vrrpctl promote --all");
        pair.wait_settled();
    });
    pair.unnoticed("systemctl restart of the Active", |pair| {
        pair.fe0.must("systemctl restart vrrpd");
        pair.wait_settled();
    });
    pair.unnoticed("systemctl stop of the Active", |pair| {
        pair.fe0.must("systemctl stop vrrpd");
        assert!(!pair.fe0.holds(ADDRESSES[0]), "an address is left behind");
        pair.fe1.wait_state("web-a", "active");
    });
    pair.unnoticed("systemctl start", |pair| {
        pair.fe0.must("systemctl start vrrpd");
        pair.wait_settled();
    });

    a_reload(&mut pair);
    a_hook_that_runs_when_the_order_to_stop_comes(&mut pair);
    a_daemon_that_is_killed(&mut pair);
    a_daemon_that_hangs(&mut pair);
    a_service_that_fails_its_check(&mut pair);
}

/// The time from the start of the main process to READY=1, on the service manager's clock.
fn start_to_ready(pair: &Pair) -> Duration {
    let micros = |property| -> u64 { pair.fe0.property(property).parse().expect("microseconds") };
    Duration::from_micros(micros("ActiveEnterTimestampMonotonic") - micros("ExecMainStartTimestampMonotonic"))
}

fn a_reload(pair: &mut Pair) {
    let file = "/etc/vrrpd/vrrpd.toml";
    let daemon = pair.fe0.daemon();
    pair.unnoticed("systemctl reload: an address more", |pair| {
        pair.fe0.must(&format!(
            "cp {file} before.toml && sed -i 's|\"192.0.2.50/24\"|&, \"192.0.2.60/24\"|' {file}"
        ));
        pair.fe0.must("systemctl reload vrrpd");
        wait_for(ms(20_000), "the address is there", || pair.fe0.holds("192.0.2.60"));
    });
    pair.unnoticed("systemctl reload of a wrong file", |pair| {
        pair.fe0.must(&format!("sed -i 's/^vrid = 52/vrid = 520/' {file}"));
        assert_ne!(pair.fe0.run("systemctl reload vrrpd").code, 0);
        assert_eq!(pair.fe0.run("systemctl is-active vrrpd").stdout.trim(), "active");
        let journal = pair.fe0.must("journalctl --sync; journalctl --no-pager -u vrrpd").stdout;
        assert!(journal.contains("`vrid` is a number from 1 to 255"), "{journal}");
        assert!(pair.fe0.holds("192.0.2.60"), "nothing is changed");
    });
    pair.unnoticed("systemctl reload: back", |pair| {
        pair.fe0.must(&format!("cp before.toml {file} && systemctl reload vrrpd"));
        wait_for(ms(20_000), "the address is gone", || !pair.fe0.holds("192.0.2.60"));
        pair.wait_settled();
    });
    assert_eq!(pair.fe0.daemon(), daemon, "a reload starts nothing anew");
}

fn a_hook_that_runs_when_the_order_to_stop_comes(pair: &mut Pair) {
    let file = "/etc/vrrpd/vrrpd.toml";
    let hook = "#!/bin/sh\ntouch /run/vrrpd/began\nsleep 3\necho $VRRPD_STATE >>/run/vrrpd/told\n";
    pair.fe0.write("/etc/vrrpd/slow", hook);
    pair.fe0.must(&format!("chmod 755 /etc/vrrpd/slow && cp {file} before.toml"));
    pair.fe0.must(&format!("sed -i 's|^vrid = 51|&\\non_transition = [\"/etc/vrrpd/slow\"]|' {file}"));
    pair.fe0.must("systemctl reload vrrpd");
    pair.unnoticed("a stop while a hook runs", |pair| {
        pair.fe0.must("vrrpctl demote web-a");
        wait_for(ms(20_000), "the hook runs", || pair.fe0.has_file("/run/vrrpd/began"));
        pair.fe0.must("systemctl stop vrrpd");
        let told = pair.fe0.must("cat /run/vrrpd/told").stdout;
        assert_eq!(told.trim(), "initialize", "it was waited for");
    });
    pair.fe0.must(&format!("cp before.toml {file} && rm /etc/vrrpd/slow && systemctl start vrrpd"));
    pair.fe0.must("vrrpctl promote web-a");
    pair.wait_settled();
}

fn a_daemon_that_is_killed(pair: &mut Pair) {
    let before = pair.fe0.daemon();
    // The kernel keeps the addresses until the clean-up has handed them over.
    pair.unnoticed("SIGKILL of the Active's daemon, and its return", |pair| {
        pair.fe0.must("systemctl kill --kill-whom=main --signal=KILL vrrpd");
        wait_for(ms(20_000), "systemd started it again", || {
            let now = pair.fe0.daemon();
            now != before && now != "0"
        });
        pair.wait_settled();
    });
    let journal = pair.fe0.must("journalctl --sync; journalctl --no-pager -u vrrpd").stdout;
    assert!(journal.contains("web-a: 192.0.2.11 took over after"), "{journal}");
    assert_eq!(pair.fe0.property("NRestarts"), "1");
}

fn a_daemon_that_hangs(pair: &mut Pair) {
    let before = pair.fe0.daemon();
    pair.fe0.must("systemctl kill --kill-whom=main --signal=STOP vrrpd");
    pair.fe1.wait_state("web-a", "active");
    wait_for(ms(60_000), "the watchdog ended it, and it was started again", || {
        let now = pair.fe0.daemon();
        now != before && now != "0"
    });
    let journal = pair.fe0.must("journalctl --sync; journalctl --no-pager -u vrrpd").stdout;
    assert!(journal.to_lowercase().contains("watchdog timeout"), "{journal}");
    pair.wait_settled();
}

fn a_service_that_fails_its_check(pair: &mut Pair) {
    pair.fe0.must("systemctl stop nginx");
    pair.fe1.wait_state("web-a", "active");
    let show = pair.fe0.must("vrrpctl status").stdout;
    assert!(show.contains("check nginx"), "{show}");
    pair.unnoticed("a check recovers", |pair| {
        pair.fe0.must("systemctl start nginx");
        pair.wait_settled();
    });
}
