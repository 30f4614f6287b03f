//! Health checks decide which router serves.

use super::support::{Config, Daemon, Lab, SOON, ms, wait_for};
use super::{Pair, WEB, web};
use std::path::PathBuf;

/// A pair whose `fe0` checks that a file exists; the check has this weight, or no weight.
fn checked_pair(weight: Option<i16>) -> (Pair, PathBuf) {
    let dir = tempfile::tempdir_in("/run").expect("a directory in /run").keep();
    let alive = dir.join("alive");
    std::fs::write(&alive, "").expect("the service is alive");
    let weight = weight.map_or(String::new(), |weight| format!(", weight = {weight}"));
    let tracked = web(200).key("track", &format!("[{{ check = \"service\"{weight} }}]"));
    let path = alive.to_str().expect("a readable path");
    let config = Config::new().file_check("service", path).with(&tracked);
    (Pair::with(&config, &Config::of(&web(100))), alive)
}

#[test]
fn a_failing_check_is_a_fault_and_its_recovery_ends_it() {
    let (pair, alive) = checked_pair(None);
    std::fs::remove_file(&alive).expect("the service dies");
    pair.fe0.wait_faults("web", "ipv4", &["check service"]);
    pair.fe1.wait_state("web", "active");
    // A little later, because fe0 keeps the address until the hosts have switched to fe1.
    pair.fe0.wait_state("web", "initialize");
    wait_for(SOON, "fe0 lets the address go", || !pair.lab.node("fe0").has(WEB));
    std::fs::write(&alive, "").expect("the service is back");
    pair.fe0.wait_state("web", "active");
    pair.fe0.wait_faults("web", "ipv4", &[]);
    pair.fe1.wait_state("web", "backup");
}

#[test]
fn a_weighted_check_lowers_the_priority_and_the_better_router_takes_over_without_a_lost_request() {
    let (pair, alive) = checked_pair(Some(-150));
    let prober = pair.client_of("fe0");
    std::fs::remove_file(&alive).expect("the service dies");
    pair.fe1.wait_state("web", "active");
    pair.fe0.wait_state("web", "backup");
    let instance = pair.fe0.instance("web", "ipv4");
    assert_eq!(
        (&instance["priority"]["configured"], &instance["priority"]["effective"]),
        (&200.into(), &50.into())
    );
    assert_eq!(instance["faults"], serde_json::json!([]));
    std::fs::write(&alive, "").expect("the service is back");
    pair.fe0.wait_state("web", "active");
    prober.wait_answer_of(pair.fe0.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!(report.sequence, ["fe0", "fe1", "fe0"]);
    assert_eq!(report.lost, 0, "{report:?}");
}

#[test]
fn a_single_failure_is_not_a_result_where_three_are_required() {
    let lab = Lab::new(&["fe0"]);
    // The check fails on every third run only: never three times in a row.
    let script = format!(
        "n=$(cat {0}/n 2>/dev/null || echo 0); n=$((n + 1)); echo $n >{0}/n; test $((n % 3)) -ne 0",
        lab.node("fe0").dir().display()
    );
    let command = format!("[\"/bin/sh\", \"-c\", {script:?}]");
    let config = Config::new()
        .check("service", &command, &[("fall", "3")])
        .with(&web(100).key("track", "[{ check = \"service\" }]"));
    let fe0 = Daemon::start(lab.node("fe0"), &config);
    fe0.wait_state("web", "active");
    let runs =
        || std::fs::read_to_string(lab.node("fe0").dir().join("n")).ok().and_then(|n| n.trim().parse().ok());
    let before: u32 = runs().unwrap_or(0);
    wait_for(SOON, "ten more runs", || runs().is_some_and(|now: u32| now >= before + 10));
    assert!(fe0.is("web", "active"));
    assert_eq!(fe0.instance("web", "ipv4")["counters"]["active_transitions"], 1);
}

#[test]
fn a_check_that_hangs_fails_and_none_of_its_processes_survives() {
    let lab = Lab::new(&["fe0"]);
    // No other test sleeps for this duration, so the process can be found by it.
    let command = "[\"/bin/sh\", \"-c\", \"sleep 86397 & sleep 86397\"]";
    let config = Config::new()
        .check("service", command, &[("timeout", "\"200ms\""), ("interval", "\"60s\"")])
        .with(&web(100).key("track", "[{ check = \"service\" }]"));
    let fe0 = Daemon::start(lab.node("fe0"), &config);
    fe0.wait_faults("web", "ipv4", &["check service"]);
    wait_for(SOON, "no process of the check is left", || running("sleep\u{0}86397").is_empty());
}

#[test]
fn a_check_that_runs_long_does_not_delay_advertisements() {
    let lab = Lab::new(&["fe0"]);
    let config = Config::new()
        .check(
            "service",
            "[\"/bin/sh\", \"-c\", \"for i in 1 2 3; do head -c 3000000 /dev/zero; sleep 0.1; done\"]",
            &[],
        )
        .with(&web(100).key("track", "[{ check = \"service\" }]"));
    let fe0 = Daemon::start(lab.node("fe0"), &config);
    fe0.wait_state("web", "active");
    let from = lab.capture().now();
    wait_for(SOON, "twenty advertisements", || lab.capture().adverts_of("fe0", from).len() >= 20);
    let adverts = lab.capture().adverts_of("fe0", from);
    let gaps: Vec<_> = adverts.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(gaps.iter().all(|gap| *gap < ms(300)), "{gaps:?}");
}

/// Processes whose command line begins with this text.
fn running(command: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let lines = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.starts_with(command)).collect()
}
