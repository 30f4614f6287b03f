//! What monitoring systems and scripts ask: `vrrpctl health`, `is-active` and `wait`, and the plug-in
//! for Icinga and Nagios, `config/check_vrrpd`.

use super::nodes::{FOUND_OUT, knowing};
use super::support::{Config, Daemon, Lab, SOON, wait_for, wait_some};
use super::{Pair, web};
use std::process::{Command, Output};

fn told(output: &Output) -> (i32, String) {
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Output and exit code of the plug-in.
fn ask(daemon: &Daemon) -> (i32, String) {
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/config/check_vrrpd");
    let vrrpctl = format!("{} --socket {}", env!("CARGO_BIN_EXE_vrrpctl"), daemon.socket().display());
    told(&Command::new(plugin).env("VRRPCTL", vrrpctl).output().expect("config/check_vrrpd"))
}

/// Output and exit code of `vrrpctl`, as text.
fn vrrpctl(daemon: &Daemon, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpctl"));
    told(&command.arg("--socket").arg(daemon.socket()).args(arguments).output().expect("vrrpctl"))
}

/// Waits until the health of a node has this exit code and begins in this way.
#[track_caller]
fn wait_health(daemon: &Daemon, code: i32, begins: &str) -> String {
    wait_some(FOUND_OUT, format!("health is {code}: {begins}"), || {
        let (found, line) = vrrpctl(daemon, &["health"]);
        (found == code && line.starts_with(begins)).then_some(line)
    })
}

#[test]
fn the_plug_in_tells_ok_warning_critical_and_unknown() {
    let lab = Lab::new(&["fe0"]);
    let mut fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    fe0.wait_state("web", "active");
    assert_eq!(ask(&fe0), (0, "OK: web active\n".to_owned()));

    assert_eq!(fe0.ctl(&["demote", "web", "--last-resort", "--reason", "lunch"]).code, 0);
    let (code, said) = ask(&fe0);
    assert!(code == 1 && said.starts_with("WARNING: web: demoted: lunch"), "{said}");
    assert_eq!(fe0.ctl(&["promote", "web"]).code, 0);
    assert_eq!(fe0.ctl(&["demote", "web", "--force"]).code, 0);
    wait_for(SOON, "nobody serves", || ask(&fe0).0 == 2);
    assert_eq!(vrrpctl(&fe0, &["wait", "web", "--timeout", "200ms"]).0, 5, "no Active is known");
    assert_eq!(fe0.ctl(&["promote", "web"]).code, 0);
    fe0.wait_state("web", "active");

    lab.node("fe0").ns.ip("link set eth0 down");
    wait_for(SOON, "it is critical", || ask(&fe0).0 == 2);
    let (_, said) = ask(&fe0);
    assert!(said.starts_with("CRITICAL: web: ") && said.contains("eth0"), "{said}");

    fe0.terminate();
    let (code, said) = ask(&fe0);
    assert!(code == 3 && said.starts_with("UNKNOWN: cannot reach vrrpd at "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn the_health_of_a_pair_knows_whether_the_other_node_would_take_over() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let paths = ["fe0", "fe1"].map(|node| lab.node(node).dir().join("nginx").display().to_string());
    let configs = [("fe0", 200), ("fe1", 100)]
        .map(|(node, priority)| knowing(&lab, node, &web(priority).key("track", "[{ check = \"nginx\" }]")));
    let [first, second] = configs;
    let [alive, other_alive] = &paths;
    for path in &paths {
        std::fs::write(path, "").unwrap();
    }
    let (first, second) = (first.file_check("nginx", alive), second.file_check("nginx", other_alive));
    let mut pair = Pair::on(lab, &first, &second);

    let well = "OK: web active, redundant (fe1 would take over)\n";
    assert_eq!(wait_health(&pair.fe0, 0, "OK: web active, redundant"), well);
    assert_eq!(wait_health(&pair.fe1, 0, "OK: web backup, fe0"), "OK: web backup, fe0 is active\n");
    assert_eq!(vrrpctl(&pair.fe0, &["is-active", "web"]), (0, String::new()));
    assert_eq!(vrrpctl(&pair.fe1, &["is-active", "web"]), (1, String::new()));
    let settled = (0, "web: backup, fe0 is active\n".to_owned());
    assert_eq!(vrrpctl(&pair.fe1, &["wait", "web"]), settled);
    assert_eq!(vrrpctl(&pair.fe1, &["wait", "web", "--for", "active", "--timeout", "200ms"]).0, 5);

    // A fault of the Backup.
    std::fs::remove_file(other_alive).unwrap();
    let line = wait_health(&pair.fe0, 1, "WARNING: web: nobody");
    assert_eq!(line, "WARNING: web: nobody would take over (fe1: check nginx fails)\n");
    wait_health(&pair.fe1, 2, "CRITICAL: web: check nginx fails");
    std::fs::write(other_alive, "").unwrap();
    wait_health(&pair.fe0, 0, well);

    // A demotion of the Active.
    assert_eq!(pair.fe0.ctl(&["demote", "web", "--reason", "lunch"]).code, 0);
    assert_eq!(vrrpctl(&pair.fe0, &["health"]), (1, "WARNING: web: demoted: lunch\n".to_owned()));
    assert_eq!(vrrpctl(&pair.fe0, &["is-active", "web"]).0, 1);
    assert_eq!(vrrpctl(&pair.fe1, &["wait", "web", "--for", "active"]), (0, "web: active\n".to_owned()));
    let out = (0, "web: out of service (demoted: lunch), fe1 is active\n".to_owned());
    assert_eq!(vrrpctl(&pair.fe0, &["wait", "web"]), out);
    wait_health(&pair.fe1, 1, "WARNING: web: nobody would take over (fe0: ");
    assert_eq!(pair.fe0.ctl(&["promote", "web"]).code, 0);
    assert_eq!(vrrpctl(&pair.fe0, &["wait", "web", "--for", "active"]), (0, "web: active\n".to_owned()));
    wait_health(&pair.fe0, 0, well);

    // A fault of the Active, and its end.
    std::fs::remove_file(alive).unwrap();
    wait_health(&pair.fe0, 2, "CRITICAL: web: check nginx fails");
    pair.fe0.terminate();
    wait_health(&pair.fe0, 3, "UNKNOWN: cannot reach vrrpd at ");
    assert_eq!(vrrpctl(&pair.fe0, &["is-active", "web"]), (3, String::new()));
}
