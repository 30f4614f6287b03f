//! `--check` looks at the machine that it runs on, and warns; with `--strict`, warnings are errors.

use super::support::process::finish;
use super::support::{Config, Daemon, Lab, Router, ms};
use super::web;
use std::process::Command;

/// Exit code and output of both programs, which must agree.
fn check(lab: &Lab, config: &Config, options: &[&str]) -> (i32, String) {
    let node = lab.node("fe0");
    let file = node.dir().join("draft.toml");
    std::fs::write(&file, config.text()).unwrap();
    let mut vrrpd = Command::new(env!("CARGO_BIN_EXE_vrrpd"));
    vrrpd.arg("--check").args(options).arg("--config").arg(&file);
    let (code, _, said) = finish(&node.ns, ms(20_000), &mut vrrpd);
    let mut vrrpctl = Command::new(env!("CARGO_BIN_EXE_vrrpctl"));
    vrrpctl.arg("check").args(options).arg(&file);
    let (same, _, _) = finish(&node.ns, ms(20_000), &mut vrrpctl);
    assert_eq!(code, same, "{said}");
    (code, said)
}

#[test]
fn what_cannot_work_on_this_machine_is_a_warning() {
    let lab = Lab::new(&["fe0"]);
    lab.node("fe0").ns.ip("link property add dev eth0 altname enp0s3");
    let router = |address: &str| Router::new("web").addresses(&[address]);
    for (config, said) in [
        (
            Config::of(&router("192.0.2.50/24").key("interface", "\"ens192\"")),
            "there is no interface \"ens192\"",
        ),
        (Config::of(&router("192.0.2.50/24").key("interface", "\"enp0s3\"")), "another name of eth0"),
        (Config::of(&router("192.0.3.50/24")), "192.0.3.50 is in no network of eth0"),
        (Config::of(&router("192.0.2.10/24")), "192.0.2.10 is on eth0 already"),
        (Config::of(&web(100)).check("c", "[\"/nowhere/check\"]", &[]), "there is no /nowhere/check"),
    ] {
        let (code, text) = check(&lab, &config, &[]);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("on this machine: ") && text.contains(said), "{said}: {text}");
        assert_eq!(check(&lab, &config, &["--strict"]).0, 1);
    }
}

/// The addresses that the daemon holds are its own: a check beside it does not warn about them.
#[test]
fn what_runs_here_gets_no_warning() {
    let lab = Lab::new(&["fe0"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    assert_eq!(check(&lab, &Config::of(&web(100)), &["--strict"]), (0, String::new()));
}
