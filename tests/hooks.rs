//! Hooks of the real daemon on the real kernel: what they see, what waits for them and what does
//! not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

mod support;

use nix::sys::signal::Signal;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use support::prober::Responder;
use support::wait::{now, stays};
use support::{Config, Daemon, Lab, Node, Prober, Router, SOON, ms, wait_for, wait_some};

const V4: &str = "192.0.2.50";
const V6: &str = "2001:db8::50";

/// A router with an address in each family.
fn both(priority: u8) -> Router {
    Router::new("web").priority(priority).addresses(&["192.0.2.50/24", "2001:db8::50/64"])
}

fn web(priority: u8) -> Router {
    Router::new("web").priority(priority).addresses(&["192.0.2.50/24"])
}

/// A script on a node, as a TOML list. DIR is the node's directory; `log` gets a line for each run:
/// the hook, the states, and how many of the virtual addresses are on the interface.
fn script(node: &Node, name: &str, body: &str) -> String {
    let path = node.dir().join(name);
    let text = format!(
        "#!/bin/sh\nhere=$(ip -o address show dev eth0 | grep -c -e '192.0.2.50/' -e '2001:db8::50/')\n\
         echo \"$VRRPD_HOOK $VRRPD_PREVIOUS_STATE>$VRRPD_STATE $here\" >>DIR/log\n{body}\n"
    );
    std::fs::write(&path, text.replace("DIR", node.dir().to_str().unwrap())).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("[{path:?}]")
}

fn log(node: &Node) -> Vec<String> {
    let text = std::fs::read_to_string(node.dir().join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn wait_log(node: &Node, line: &str) {
    wait_for(SOON, format!("a hook says {line:?}, not only {:?}", log(node)), || {
        log(node).iter().any(|said| said == line)
    });
}

/// A hook as `show --json` shows it.
fn hook(daemon: &Daemon, name: &str) -> Value {
    let show = daemon.ctl(&["show", "web"]).json;
    let hooks = show["hooks"].as_array().cloned().unwrap_or_default();
    hooks.into_iter().find(|hook| hook["hook"] == name).unwrap_or(Value::Null)
}

/// The outcomes of one hook, oldest first.
fn outcomes(daemon: &Daemon, name: &str) -> Vec<Value> {
    let events = daemon.ctl(&["events", "-n", "1000"]).json;
    let all = events["events"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|event| event["kind"] == "hook" && event["hook"] == name).collect()
}

#[track_caller]
fn wait_outcome(daemon: &Daemon, name: &str, outcome: &str) -> Value {
    wait_some(SOON, format!("{name} is {outcome}"), || {
        outcomes(daemon, name).into_iter().find(|event| event["outcome"] == outcome)
    })
}

/// The number of processes with this command line, as the kernel lists them.
fn running(command: &str) -> usize {
    let line = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).ok();
    let wanted = format!("{}\0", command.replace(' ', "\0")).into_bytes();
    std::fs::read_dir("/proc").unwrap().filter_map(|entry| line(entry.ok()?)).filter(|l| *l == wanted).count()
}

/// The longest time between two advertisements.
fn longest_gap(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

#[test]
fn a_tenure_has_its_hooks_in_order_once_for_both_families_and_each_sees_its_addresses() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let command = script(node, "hook", "");
    let router = both(150)
        .key("before_active", &command)
        .key("on_transition", &command)
        .key("after_release", &command);
    let fe0 = Daemon::start(node, &Config::of(&router));
    wait_log(node, "on_transition backup>active 2");
    assert_eq!(fe0.ctl(&["demote", "web", "--force"]).code, 0);
    wait_log(node, "on_transition active>initialize 0");
    let expected = [
        "on_transition initialize>backup 0",
        "before_active backup>active 0",
        "on_transition backup>active 2",
        "after_release active>initialize 0",
        "on_transition active>initialize 0",
    ];
    assert_eq!(log(node), expected);

    wait_for(SOON, "the last run is in show", || hook(&fe0, "on_transition")["runs"] == 3);
    let shown = hook(&fe0, "on_transition");
    assert_eq!(
        (&shown["failures"], &shown["skipped"], &shown["running"]),
        (&0.into(), &0.into(), &false.into())
    );
    assert_eq!(
        (&shown["last"]["outcome"], &shown["last"]["state"]),
        (&"passed".into(), &"initialize".into())
    );
    for (name, count) in [("before_active", 1), ("on_transition", 3), ("after_release", 1)] {
        let all = outcomes(&fe0, name);
        assert_eq!(all.len(), count, "{all:?}");
        assert!(all.iter().all(|event| event["outcome"] == "passed"), "{all:?}");
    }
}

#[test]
fn advertisements_go_on_while_a_slow_hook_runs() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let slow = script(
        node,
        "slow",
        "[ $VRRPD_STATE = active ] || exit 0\nwhile [ ! -e DIR/go ]; do sleep 0.02; done",
    );
    let fe0 = Daemon::start(node, &Config::of(&web(150).key("on_transition", &slow)));
    wait_log(node, "on_transition backup>active 1");
    let from = lab.capture().now();
    wait_for(SOON, "twenty advertisements", || lab.capture().adverts_of("fe0", from).len() > 20);
    assert_eq!(hook(&fe0, "on_transition")["running"], true);
    let times = lab.capture().adverts_of("fe0", from).iter().map(|advert| advert.at).collect();
    let gap = longest_gap(times);
    assert!(gap < ms(300), "{gap:?}: a Backup would have taken over");
    std::fs::write(node.dir().join("go"), "").unwrap();
    wait_for(SOON, "it ends", || hook(&fe0, "on_transition")["last"]["state"] == "active");
}

#[test]
fn the_addresses_wait_for_before_active_but_not_beyond_its_time_and_the_advertisements_not_at_all() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let hangs = script(node, "hangs", "sleep 86391 & sleep 86391");
    let router = both(150).key("before_active", &hangs).key("before_active_timeout", "\"700ms\"");
    let fe0 = Daemon::start(node, &Config::of(&router));
    wait_log(node, "before_active backup>active 0");
    wait_for(SOON, "both addresses", || node.has(V4) && node.has(V6));
    let event = wait_outcome(&fe0, "before_active", "timed_out");
    assert_eq!(event["severity"], "warning");
    wait_for(SOON, "none of its processes is left", || running("sleep 86391") == 0);

    let first = lab.capture().wait_advert(SOON, "fe0", ms(0), |advert| advert.priority == 150);
    let here = lab.capture().wait_announcement(SOON, "fe0", ms(0), V4.parse().unwrap());
    let waited = here.at - first.at;
    assert!((ms(600)..ms(3000)).contains(&waited), "the addresses came {waited:?} after the first word");
    let times =
        lab.capture().adverts_of("fe0", first.at).into_iter().map(|a| a.at).filter(|at| *at <= here.at);
    let times: Vec<_> = times.collect();
    assert!(times.len() >= 5, "{times:?}");
    fe0.stays(ms(300), "web", "active");
    assert_eq!(log(node).len(), 1, "one run for both families");
}

#[test]
fn a_before_active_that_fails_is_reported_and_stops_nothing() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let fails = script(node, "fails", "echo no such zone >&2; exit 1");
    let fe0 = Daemon::start(node, &Config::of(&web(150).key("before_active", &fails)));
    fe0.wait_state("web", "active");
    wait_for(SOON, "the address", || node.has(V4));
    let event = wait_outcome(&fe0, "before_active", "failed");
    assert_eq!(event["error"], "exit code 1: no such zone");
    let shown = hook(&fe0, "before_active");
    assert_eq!((&shown["runs"], &shown["failures"]), (&1.into(), &1.into()));
    assert_eq!(shown["last"]["error"], "exit code 1: no such zone");
    assert_eq!(fe0.instance("web", "ipv4")["faults"], serde_json::json!([]));
}

#[test]
fn a_before_active_is_killed_when_a_better_router_appears_and_the_address_is_never_installed() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let node = lab.node("fe1");
    let hangs = script(node, "hangs", "sleep 86392 & sleep 86392");
    let undoes = script(node, "undoes", "");
    let router = web(100)
        .key("before_active", &hangs)
        .key("before_active_timeout", "\"10s\"")
        .key("after_release", &undoes);
    let fe1 = Daemon::start(node, &Config::of(&router));
    wait_log(node, "before_active backup>active 0");
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(200)));
    fe0.wait_state("web", "active");
    fe1.wait_state("web", "backup");
    wait_outcome(&fe1, "before_active", "cancelled");
    wait_for(SOON, "none of its processes is left", || running("sleep 86392") == 0);
    wait_log(node, "after_release active>backup 0");
    stays(ms(300), "fe1 has no address", || !node.has(V4));
    assert_eq!(log(node).len(), 2);
}

#[test]
fn a_short_before_active_costs_no_request_when_a_live_active_is_displaced() {
    let lab = Lab::new(&["fe0", "fe1", "client"]);
    let _services = ["fe0", "fe1"].map(|name| Responder::start(lab.node(name), V4));
    let fe1 = Daemon::start(lab.node("fe1"), &Config::of(&web(100).interval("1s")));
    fe1.wait_state("web", "active");
    let prober = Prober::start(lab.node("client"), V4, 1000);
    prober.wait_answer_of(lab.node("fe1"));
    prober.wait_some_answers();
    let prepares = script(lab.node("fe0"), "prepares", "sleep 0.1");
    let router = web(200).interval("1s").key("before_active", &prepares);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&router));
    prober.wait_answer_of(fe0.node());
    prober.wait_some_answers();
    let report = prober.finish();
    assert_eq!(
        (report.lost, &report.sequence[..]),
        (0, &["fe1".to_owned(), "fe0".to_owned()][..]),
        "{report:?}"
    );
    wait_outcome(&fe0, "before_active", "passed");
}

#[test]
fn states_that_passed_while_a_hook_ran_are_skipped_and_the_newest_is_reported() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let slow = script(node, "slow", "while [ ! -e DIR/go ]; do sleep 0.02; done");
    let fe0 = Daemon::start(node, &Config::of(&web(150).key("on_transition", &slow)));
    wait_log(node, "on_transition initialize>backup 0");
    for _ in 0..2 {
        wait_for(SOON, "the address", || node.has(V4));
        assert_eq!(fe0.ctl(&["demote", "web", "--force"]).code, 0);
        wait_for(SOON, "no address", || !node.has(V4));
        assert_eq!(fe0.ctl(&["promote", "web"]).code, 0);
    }
    wait_for(SOON, "the address", || node.has(V4));
    assert_eq!(log(node), ["on_transition initialize>backup 0"]);
    wait_outcome(&fe0, "on_transition", "superseded");
    std::fs::write(node.dir().join("go"), "").unwrap();
    wait_log(node, "on_transition backup>active 1");
    assert_eq!(log(node).len(), 2, "{:?}", log(node));
    wait_for(SOON, "both runs are in show", || hook(&fe0, "on_transition")["runs"] == 2);
    let skipped = hook(&fe0, "on_transition")["skipped"].as_u64().unwrap();
    assert!(skipped >= 2, "{skipped}");
}

#[test]
fn a_hook_that_hangs_is_killed_with_its_whole_group() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let hangs = script(node, "hangs", "trap '' TERM; sleep 86393 & sleep 86393");
    let router = web(150).key("on_transition", &hangs).key("hook_timeout", "\"200ms\"");
    let fe0 = Daemon::start(node, &Config::of(&router));
    let event = wait_outcome(&fe0, "on_transition", "timed_out");
    assert_eq!(event["error"], "timed out after 200ms");
    wait_log(node, "on_transition backup>active 1");
    wait_for(SOON, "both runs have ended", || hook(&fe0, "on_transition")["failures"] == 2);
    wait_for(SOON, "none of its processes is left", || running("sleep 86393") == 0);
}

#[test]
fn a_stop_runs_the_last_hooks_when_the_address_is_gone_and_before_the_daemon_ends() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let command = script(node, "hook", "sleep 0.1; echo done >>DIR/done");
    let router = both(150).key("on_transition", &command).key("after_release", &command);
    let mut fe0 = Daemon::start(node, &Config::of(&router));
    wait_log(node, "on_transition backup>active 2");
    assert!(fe0.terminate().success());
    let said = log(node);
    assert_eq!(
        said[said.len() - 2..],
        ["after_release active>initialize 0", "on_transition active>initialize 0"]
    );
    let done = std::fs::read_to_string(node.dir().join("done")).unwrap();
    assert_eq!(done.lines().count(), said.len(), "every hook has ended");
}

#[test]
fn a_hook_that_asks_the_daemon_while_it_stops_is_answered_at_once() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let ask = format!(
        "[ $VRRPD_STATE = active ] || {} --socket DIR/vrrpd.sock status >DIR/said 2>&1; echo $? >DIR/code",
        env!("CARGO_BIN_EXE_vrrpctl")
    );
    let command = script(node, "asks", &ask);
    let mut fe0 = Daemon::start(node, &Config::of(&web(150).key("after_release", &command)));
    wait_for(SOON, "the address", || node.has(V4));
    let stop = now();
    assert!(fe0.terminate().success());
    let took = stop.elapsed();
    assert!(took < ms(2500), "{took:?}: it used to wait 5 s for an answer");
    let said = std::fs::read_to_string(node.dir().join("said")).unwrap();
    let code = std::fs::read_to_string(node.dir().join("code")).unwrap();
    assert_eq!(code, "3\n", "{said}");
    assert!(said.starts_with("vrrpctl: vrrpd is stopping"), "{said}");
    println!("stopped after {took:?}");
}

#[test]
fn a_second_signal_does_not_wait_for_hooks() {
    let lab = Lab::new(&["fe0"]);
    let node = lab.node("fe0");
    let command = script(node, "hangs", "[ $VRRPD_STATE = active ] || sleep 86394");
    let mut fe0 = Daemon::start(node, &Config::of(&web(150).key("after_release", &command)));
    wait_for(SOON, "the address", || node.has(V4));
    fe0.process().signal(Signal::SIGTERM);
    wait_log(node, "after_release active>initialize 0");
    fe0.process().signal(Signal::SIGTERM);
    assert!(fe0.process().wait(ms(5000)).success(), "it would be 10 s with the hook");
    wait_for(SOON, "none of its processes is left", || running("sleep 86394") == 0);
    assert!(!node.has(V4));
}
