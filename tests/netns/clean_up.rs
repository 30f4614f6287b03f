//! `vrrpd --clean-up` after a SIGKILL, as a unit's ExecStopPost= runs it.

use super::support::frame::{Advert, Checksum};
use super::support::{Config, Daemon, Lab, Prober, Report, ms, wait_for};
use super::support::{Router, SOON};
use super::{Pair, WEB, web};
use nix::fcntl::{Flock, FlockArg};
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;
use vrrpd::daemon::clean_up::{self, DaemonPaths};
use vrrpd::kernel::address::{AddressLifetime, ArpNote};
use vrrpd::kernel::keeper::DrainsAtStop;
use vrrpd::kernel::netlink::Netlink;
use vrrpd::kernel::resources::address::AddressOperation;
use vrrpd::kernel::sysctl::{ArpRequest, ArpValues, arp};

/// The longest duration of a whole run.
const BOUND: Duration = Duration::from_secs(3);

fn slow(priority: u8) -> Config {
    Config::of(&web(priority).interval("1s"))
}

/// Kills an Active when it serves. The state is Active some moments before the kernel has the
/// addresses.
fn kill_serving(daemon: &mut Daemon) {
    daemon.wait_state("web", "active");
    let node = daemon.node().clone();
    wait_for(SOON, format!("{} holds {WEB}", node.name), || node.has(WEB));
    daemon.kill();
}

fn unharmed(prober: Prober, what: &str) -> Report {
    prober.wait_some_answers();
    let report = prober.finish();
    println!(
        "{what}: {} of {} requests lost, longest gap {:?}",
        report.lost, report.sent, report.longest_gap
    );
    assert_eq!(report.lost, 0, "{what}: {report:?}");
    report
}

#[test]
fn after_a_kill_the_peer_takes_over_without_a_lost_request() {
    let mut pair = Pair::with(&slow(200), &slow(100));
    let prober = pair.client_of("fe0");
    kill_serving(&mut pair.fe0);
    let killed = pair.lab.capture().now();
    let (code, out, err, took) = pair.fe0.clean_up();
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("web: 192.0.2.11 took over after "), "{out}");
    assert!(out.ends_with("; removed 192.0.2.50/24\n") && out.lines().count() == 1, "{out}");
    let first = pair.lab.capture().wait_advert(SOON, "fe1", killed, |advert| advert.priority == 100);
    // Without the clean-up the takeover would need the rest of 3.6 s. With it, it needs a process
    // start, the probing advertisement and the short Skew_Time.
    assert!(first.at - killed < Duration::from_secs(1), "{:?}", first.at - killed);
    println!("taken over {:?} after the kill; the clean-up ran for {took:?}", first.at - killed);
    assert!(!pair.lab.node("fe0").has(WEB), "an address is left behind");
    pair.fe1.wait_state("web", "active");
    prober.wait_answer_of(pair.fe1.node());
    assert_eq!(unharmed(prober, "kill and clean-up").sequence, ["fe0", "fe1"]);
}

#[test]
fn killed_cleaned_up_and_started_again_it_takes_its_address_back_without_a_lost_request() {
    let mut pair = Pair::new();
    let prober = pair.client_of("fe0");
    kill_serving(&mut pair.fe0);
    assert_eq!(pair.fe0.clean_up().0, 0);
    prober.wait_answer_of(pair.fe1.node());
    pair.fe0.start_again();
    pair.fe0.wait_state("web", "active");
    assert_eq!(pair.fe0.instance("web", "ipv4")["cause"], "preempted");
    prober.wait_answer_of(pair.fe0.node());
    assert_eq!(unharmed(prober, "kill, clean-up and restart").sequence, ["fe0", "fe1", "fe0"]);
}

#[test]
fn a_router_that_has_taken_over_meanwhile_is_not_disturbed() {
    let mut pair = Pair::new();
    kill_serving(&mut pair.fe0);
    pair.fe1.wait_state("web", "active");
    let before = pair.lab.capture().now();
    let (code, out, _, _) = pair.fe0.clean_up();
    assert!(code == 0 && out.contains("192.0.2.11 took over"), "{out}");
    let said: Vec<Advert> = pair.lab.capture().adverts_of("fe0", before);
    assert!(said.iter().all(|advert| advert.priority == 0) && said.len() == 1, "{said:?}");
    assert!(!pair.lab.node("fe0").has(WEB));
    assert_eq!(pair.fe1.counter("web", "ipv4", "active_transitions"), 1, "it never yielded");
}

#[test]
fn both_families_are_handed_over() {
    let both = |priority| {
        Config::of(&web(priority).interval("1s").addresses(&[
            "192.0.2.50/24",
            "fe80::50/64",
            "2001:db8::50/64",
        ]))
    };
    let mut pair = Pair::with(&both(200), &both(100));
    kill_serving(&mut pair.fe0);
    let (code, out, _, took) = pair.fe0.clean_up();
    assert!(code == 0 && out.contains("took over") && took < BOUND, "{out} {took:?}");
    for address in [WEB, "fe80::50", "2001:db8::50"] {
        assert!(!pair.lab.node("fe0").has(address), "{address} is left behind");
    }
    assert!(pair.fe1.is("web", "active"));
}

#[test]
fn without_a_peer_it_lets_go_in_time() {
    let lab = Lab::new(&["fe0"]);
    // The last interval is 40 s: a service manager does not wait longer for a long interval.
    for (name, interval) in [("second", "1s"), ("slow", "40s")] {
        let owner = web(100).interval(interval).key("priority", "\"owner\"");
        let mut fe0 = Daemon::start_in(lab.node("fe0"), name, &Config::of(&owner));
        kill_serving(&mut fe0);
        let (code, out, err, took) = fe0.clean_up();
        assert_eq!((code, out.as_str()), (0, "web: nobody took over; removed 192.0.2.50/24\n"), "{err}");
        assert!(took < BOUND, "{took:?}");
        assert!(!lab.node("fe0").has(WEB));
    }
}

#[test]
fn a_running_daemon_is_left_alone() {
    let pair = Pair::new();
    let before = pair.lab.capture().now();
    let check = |what: &str| {
        let (code, out, err, _) = pair.fe0.clean_up();
        assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""), "{what}");
        assert!(pair.lab.node("fe0").has(WEB), "{what}");
    };
    check("it holds both locks");
    std::fs::remove_file(format!("{}.lock", pair.fe0.socket().display())).unwrap();
    check("the file of the lock was removed");
    pair.fe0.stays(ms(300), "web", "active");
    assert!(pair.lab.capture().adverts_of("fe0", before).iter().all(|advert| advert.priority == 200));
}

/// Runs `vrrpd --clean-up` with other paths: exit code, standard output and standard error.
fn clean_up_elsewhere(fe0: &Daemon, socket: &Path, state: &Path) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vrrpd"));
    command.arg("--clean-up").arg("--config").arg(fe0.config());
    command.arg("--socket").arg(socket).arg("--state-dir").arg(state);
    let output = fe0.node().ns.enter(|| command.output().unwrap());
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn one_proof_of_life_is_enough() {
    let lab = Lab::new(&["fe0"]);
    let fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    wait_for(SOON, "the address", || fe0.node().has(WEB));
    let (socket, state) = (fe0.socket(), fe0.socket().with_extension("state"));
    let elsewhere = lab.node("fe0").dir().join("elsewhere");
    let (code, out, err) = clean_up_elsewhere(&fe0, socket, &elsewhere);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    // The daemon is found through its network namespace, whichever paths are given.
    for state in [&state, &elsewhere] {
        let (code, out, err) = clean_up_elsewhere(&fe0, &elsewhere, state);
        assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    }
    assert!(lab.node("fe0").has(WEB));
    assert!(!elsewhere.exists(), "nothing is created");
}

#[test]
fn a_lock_that_outlives_the_daemon_is_reported() {
    let lab = Lab::new(&["fe0"]);
    let mut fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    wait_for(SOON, "the address", || fe0.node().has(WEB));
    kill_serving(&mut fe0);
    let lock = format!("{}.lock", fe0.socket().display());
    let state = fe0.socket().with_extension("state");
    for held in [Path::new(&lock), &state] {
        let file = std::fs::File::open(held).unwrap();
        let _held = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        let (code, out, err, _) = fe0.clean_up();
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.contains(&format!("fuser {}", held.display())), "{err}");
        assert!(fe0.node().has(WEB), "nothing was touched");
    }
    assert_eq!(fe0.clean_up().0, 0);
    assert!(!fe0.node().has(WEB));
}

#[test]
fn nothing_is_left_and_nothing_is_done() {
    let mut pair = Pair::new();
    assert!(pair.fe0.terminate().success());
    let (stopped, name) = (pair.lab.capture().now(), pair.fe0.node().name.clone());
    let (code, out, err, took) = pair.fe0.clean_up();
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
    assert!(took < ms(500), "{took:?}");
    println!("with nothing to do: {took:?}");
    std::fs::write(pair.fe0.config(), "not a configuration").unwrap();
    assert_eq!(pair.fe0.clean_up().0, 0, "nor does it read what it does not need");
    assert!(pair.lab.capture().adverts_of(&name, stopped).is_empty());
}

#[test]
fn what_no_router_serves_here_is_just_removed() {
    let mut pair = Pair::new();
    let other = Router::new("other").vrid(52).addresses(&["192.0.2.60/24"]);
    let config = Config::of(&web(200)).with(&other);
    pair.fe0.terminate();
    let mut fe0 = Daemon::start_in(pair.fe0.node(), "two", &config);
    wait_for(SOON, "both", || ["192.0.2.60", WEB].iter().all(|address| fe0.node().has(address)));
    fe0.kill();
    pair.fe1.wait_state("web", "active");
    pair.lab.node("fe0").ns.ip("address add 192.0.2.70/24 dev eth0");
    // The router `other` is not in the configuration any more; `web` is demoted.
    std::fs::write(fe0.config(), Config::of(&web(200)).text()).unwrap();
    let demoted = r#"{"version": 1, "demotions": [{"name": "web", "since": "2026-11-22T10:00:00Z", "until": null,
        "last_resort": false, "reason": "", "by": "root"}]}"#;
    std::fs::write(fe0.config().with_extension("state").join("demotions.json"), demoted).unwrap();
    let before = pair.lab.capture().now();
    let (code, out, err, _) = fe0.clean_up();
    assert_eq!(code, 0, "{err}");
    assert_eq!(out, "eth0: removed 192.0.2.50/24, 192.0.2.60/24, which an earlier run left behind\n");
    assert!(pair.lab.capture().adverts_of("fe0", before).is_empty(), "nobody is told");
    assert!(!pair.lab.node("fe0").has(WEB) && !pair.lab.node("fe0").has("192.0.2.60"));
    assert!(pair.lab.node("fe0").has("192.0.2.70"), "an address that is not ours is not touched");
}

#[test]
fn without_a_configuration_the_addresses_go_and_the_exit_code_tells() {
    let lab = Lab::new(&["fe0"]);
    let mut fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    kill_serving(&mut fe0);
    std::fs::write(fe0.config(), "not a configuration").unwrap();
    let (code, out, err, _) = fe0.clean_up();
    assert_eq!(
        (code, out.as_str()),
        (2, "eth0: removed 192.0.2.50/24, which an earlier run left behind\n"),
        "{err}"
    );
    assert!(!lab.node("fe0").has(WEB));
}

#[test]
fn the_second_round_has_the_other_checksum() {
    let lab = Lab::new(&["fe0"]);
    let mut fe0 = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    kill_serving(&mut fe0);
    let before = lab.capture().now();
    assert_eq!(fe0.clean_up().0, 0);
    let mut said: Vec<_> =
        lab.capture().adverts_of("fe0", before).into_iter().map(|a| (a.priority, a.checksum)).collect();
    // How often the interval is shortened depends on timing: a process that stalls in between goes
    // on with the resignation.
    said.dedup_by(|next, last| next == last && next.0 == 100);
    let (first, second) = (Checksum::Message, Checksum::PseudoHeader);
    let rounds = [(0, first), (100, first), (0, first), (0, first), (100, second)];
    assert_eq!(said, [&rounds[..], &[(0, second); 4]].concat());
}

/// What the address thread of a killed daemon leaves of [`WEB`] while it drains.
fn leave_draining(daemon: &mut Daemon) {
    daemon.kill();
    let node = daemon.node();
    node.ns.sysctl("ipv4/conf/eth0/arp_ignore", "1");
    node.ns.sysctl("ipv4/conf/eth0/arp_announce", "2");
    node.ns.enter(|| {
        let interface = nix::net::if_::if_nametoindex("eth0").unwrap();
        let note = Some(ArpNote { interface, found: ArpValues { ignore: 0, announce: 1 } });
        let copy = AddressOperation::AddToLoopback {
            address: WEB.parse().unwrap(),
            note,
            lifetime: AddressLifetime::Limited(Duration::from_secs(600)),
        };
        assert_eq!(Netlink::open().unwrap().apply(&[copy.into()]).unwrap(), [Ok(())]);
    });
    assert!(node.ns.run("ip", &["address", "show", "dev", "lo"]).contains(WEB));
}

fn guard(daemon: &Daemon) -> (u8, u8) {
    let eth0 = "eth0".parse().unwrap();
    let ArpValues { ignore, announce } = daemon.node().ns.enter(|| arp(eth0, ArpRequest::Read).unwrap()).own;
    (ignore, announce)
}

#[test]
fn a_drain_is_over_after_a_kill_and_its_guard_is_restored() {
    let mut pair = Pair::new();
    leave_draining(&mut pair.fe1);
    assert_eq!(guard(&pair.fe1), (1, 2));
    // A client that has not learnt yet who has the address now.
    let [a, b, c, d, e, f] = pair.fe1.node().mac();
    let (mac, client) = (format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"), pair.lab.node("client"));
    client.ns.ip(&format!("neighbour replace {WEB} lladdr {mac} dev eth0 nud permanent"));
    let listener = pair.fe1.node().ns.enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 7)).unwrap());
    let mut stream = client.ns.enter(|| TcpStream::connect((WEB, 7)).unwrap());
    let _accepted = listener.accept().unwrap();
    let (code, out, err, _) = pair.fe1.clean_up();
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let lines = [
        "lo: reset 1 connection to an address that drained\n",
        "lo: removed 192.0.2.50/32, which an earlier run left behind\n",
    ];
    assert_eq!(out, lines.concat());
    stream.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(!pair.fe1.node().ns.run("ip", &["address"]).contains(WEB));
    assert_eq!(guard(&pair.fe1), (0, 1));
    assert!(pair.fe0.is("web", "active"));
}

#[test]
fn a_drain_goes_on_after_a_clean_up_that_is_told_so() {
    let mut pair = Pair::new();
    leave_draining(&mut pair.fe1);
    let paths =
        DaemonPaths { socket: pair.fe1.socket().to_owned(), state_dir: pair.fe1.state_dir().to_owned() };
    let text = std::fs::read_to_string(pair.fe1.config()).unwrap();
    let clean_up = |drains, config: Option<vrrpd::config::Config>| {
        pair.fe1.node().ns.enter(|| clean_up::run(&paths, drains, || config)).unwrap()
    };
    let config = || Some(vrrpd::config::resolve(&text, "test").unwrap().config);
    // Without the seconds that are left.
    let listed = || {
        let shown = pair.fe1.node().ns.run("ip", &["-o", "address", "show", "dev", "lo"]);
        shown.split_whitespace().filter(|word| !word.ends_with("sec")).collect::<Vec<_>>().join(" ")
    };
    let before = listed();
    // With and without a configuration.
    for config in [config(), None] {
        assert_eq!(clean_up(DrainsAtStop::Keep, config), Vec::<String>::new());
        assert_eq!((listed(), guard(&pair.fe1)), (before.clone(), (1, 2)));
    }
    let lines = ["lo: removed 192.0.2.50/32, which an earlier run left behind"];
    assert_eq!(clean_up(DrainsAtStop::End, config()), lines);
    assert_eq!(guard(&pair.fe1), (0, 1));
}
