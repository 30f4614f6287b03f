//! What monitoring systems and scripts ask: `vrrpctl health`, `is-active` and `wait`, the plug-in for
//! Icinga and Nagios, `config/check_vrrpd`, and the endpoint for Prometheus.

use super::nodes::{FOUND_OUT, knowing};
use super::support::{Config, Daemon, Lab, SOON, wait_for, wait_some};
use super::{Pair, web};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
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

/// The first line and the body of an answer over HTTP; `None`: nobody listens.
fn fetch(daemon: &Daemon, port: u16, path: &str) -> Option<(String, String)> {
    daemon.node().ns.enter(|| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: fe0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.lines().next()?.to_owned(), body.to_owned()))
    })
}

#[test]
fn an_endpoint_whose_address_is_taken_keeps_no_router_from_serving_and_a_reload_moves_it() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let at = |port| Config::new().agent(&[("metrics", &format!("127.0.0.1:{port}"))]).with(&web(100));
    let _taken = node.ns.enter(|| TcpListener::bind("127.0.0.1:9650").expect("a free port"));
    let fe0 = Daemon::start(node, &at(9650));
    fe0.wait_state("web", "active");
    let warnings = |daemon: &Daemon| daemon.ctl(&["status"]).json["warnings"].clone();
    wait_for(SOON, "the status has a warning", || warnings(&fe0)[0]["kind"] == "metrics");
    let (code, line) = vrrpctl(&fe0, &["health"]);
    assert!(code == 1 && line.contains("metrics are not served: cannot listen on 127.0.0.1:9650"), "{line}");

    fe0.write_config(at(9651).text());
    assert_eq!(fe0.ctl(&["reload"]).code, 0);
    let (status, metrics) = wait_some(SOON, "it is served", || fetch(&fe0, 9651, "/metrics"));
    assert_eq!(status, "HTTP/1.1 200 OK");
    let of_web = "name=\"web\",interface=\"eth0\",family=\"ipv4\",vrid=\"51\"";
    for sample in [
        format!("vrrpd_state{{{of_web},state=\"active\"}} 1"),
        format!("vrrpd_transitions_total{{{of_web},to=\"active\",cause=\"active_down_timer\"}} 1"),
        "vrrpd_log_lines_dropped_total 0".to_owned(),
    ] {
        assert!(metrics.lines().any(|line| line == sample), "no {sample} in\n{metrics}");
    }
    assert_eq!(
        fetch(&fe0, 9651, "/health"),
        Some(("HTTP/1.1 200 OK".to_owned(), "OK: web active\n".to_owned()))
    );
    assert_eq!(warnings(&fe0), serde_json::json!([]));
    assert_eq!(fe0.counter("web", "ipv4", "active_transitions"), 1, "the router did not notice");

    fe0.write_config(Config::of(&web(100)).text());
    assert_eq!(fe0.ctl(&["reload"]).code, 0);
    wait_for(SOON, "it is closed", || fetch(&fe0, 9651, "/metrics").is_none());
}
