//! The plug-in for Icinga and Nagios, `config/check_vrrpd`. Needs jq.

use super::support::{Config, Daemon, Lab, SOON, wait_for};
use super::web;
use std::process::Command;

/// Output and exit code of the plug-in.
fn ask(daemon: &Daemon) -> (i32, String) {
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/config/check_vrrpd");
    let vrrpctl = format!("{} --socket {}", env!("CARGO_BIN_EXE_vrrpctl"), daemon.socket().display());
    let output = Command::new(plugin).env("VRRPCTL", vrrpctl).output().expect("config/check_vrrpd");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_plug_in_tells_ok_warning_critical_and_unknown() {
    let lab = Lab::new(&["fe0"]);
    let mut fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    assert_eq!(ask(&fe0), (0, "OK - web/ipv4 active\n".to_owned()));

    assert_eq!(fe0.ctl(&["demote", "web", "--last-resort", "--reason", "lunch"]).code, 0);
    let (code, said) = ask(&fe0);
    assert_eq!((code, &said[..19]), (1, "WARNING - web/ipv4:"), "{said}");
    assert_eq!(fe0.ctl(&["promote", "web"]).code, 0);
    assert_eq!(fe0.ctl(&["demote", "web", "--force"]).code, 0);
    wait_for(SOON, "nobody serves", || ask(&fe0).0 == 2);
    assert_eq!(fe0.ctl(&["promote", "web"]).code, 0);
    fe0.wait_state("web", "active");

    lab.node("fe0").ns.ip("link set eth0 down");
    wait_for(SOON, "it is critical", || ask(&fe0).0 == 2);
    let (_, said) = ask(&fe0);
    assert!(said.starts_with("CRITICAL - web/ipv4: ") && said.contains("eth0"), "{said}");

    fe0.terminate();
    assert_eq!(ask(&fe0), (3, "UNKNOWN - vrrpd does not answer (exit code 3)\n".to_owned()));
}
