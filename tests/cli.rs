//! The real `vrrpctl`: arguments, exit codes, output, and JSON against its schemas.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub, reason = "tests")]

mod rig;

use rig::schema::assert_conforms;
use rig::{BEFORE, Running, reloaded, took_over};
use serde_json::Value;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;
use vrrpd::agent::{ReloadOutcome, ReloadReply};
use vrrpd::control::Limits;

fn vrrpctl(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpctl"));
    command.env_remove("VRRPD_SOCKET").arg("--socket").arg(socket).args(arguments).stdin(Stdio::null());
    command
}

fn run(socket: &Path, arguments: &[&str]) -> Output {
    vrrpctl(socket, arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}"))
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn wrong_usage_is_code_2_and_nothing_is_done() {
    let daemon = Running::start();
    for arguments in [
        &[][..],
        &["explode"],
        &["show"],
        &["status", "a", "b"],
        &["demote"],
        &["promote"],
        &["demote", "moodle-a", "--all"],
        &["demote", "moodle-a", "--for", "soon"],
        &["demote", "moodle-a", "--for", "30"],
        &["demote", "moodle-a", "--for", "999ms"],
        &["demote", "moodle-a", "--for", "367d"],
        &["demote", "moodle-a", "--last-resort", "--force"],
        &["events", "-n", "many"],
        &["reload", "now"],
        &["health", "moodle-a"],
        &["is-active"],
        &["wait"],
        &["wait", "moodle-a", "--for", "initialize"],
        &["wait", "moodle-a", "--timeout", "30"],
    ] {
        let output = run(&daemon.socket, arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(stdout(&output).is_empty() && stderr(&output).contains("--help"), "{output:?}");
    }
    assert!(daemon.demotions.lock().unwrap().is_empty());
}

#[test]
fn the_tip_about_an_option_that_there_is_not_is_right_or_is_not_given() {
    for (arguments, tip) in [
        (&["status", "--watch"][..], None),
        (&["show", "-x"], None),
        (&["demote", "--zzz"], None),
        (&["status", "--jsn"], Some("'--json'")),
        (&["events", "--sinse", "5m"], Some("'--since'")),
        (&["stats"], Some("'status'")),
    ] {
        let output = run(Path::new("/nowhere/control.sock"), arguments);
        let said = stderr(&output);
        assert_eq!(code(&output), 2, "{said}");
        assert!(!said.contains("as a value") && said.contains("Usage: vrrpctl"), "{said}");
        assert_eq!(said.contains("tip:"), tip.is_some(), "{said}");
        assert!(tip.is_none_or(|tip| said.contains(tip)), "{said}");
    }
    let help = run(Path::new("/nowhere/control.sock"), &["--help"]);
    assert_eq!((code(&help), stderr(&help).as_str()), (0, ""));
    assert!(stdout(&help).contains("Usage: vrrpctl"), "{help:?}");
}

/// Output and exit code of `config/check_vrrpd` with this command in the place of `vrrpctl`.
fn plugged_in(vrrpctl: &str) -> (i32, String) {
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/config/check_vrrpd");
    let output = Command::new(plugin).env("VRRPCTL", vrrpctl).output().unwrap();
    (code(&output), stdout(&output))
}

#[test]
fn the_plug_in_passes_the_health_on_and_knows_nothing_where_there_is_none() {
    let daemon = Running::start();
    let health = run(&daemon.socket, &["health"]);
    let vrrpctl = format!("{} --socket {}", env!("CARGO_BIN_EXE_vrrpctl"), daemon.socket.display());
    assert_eq!(plugged_in(&vrrpctl), (2, stdout(&health)));
    // As sudo does without a line for this user; 1 would be a warning.
    let unknown = "UNKNOWN: 'false health' says nothing (exit code 1)\n".to_owned();
    assert_eq!(plugged_in("false"), (3, unknown));
    assert_eq!(plugged_in("/nowhere/vrrpctl").0, 3);
}

#[test]
fn health_is_one_line_with_codes_of_its_own() {
    let daemon = Running::start();
    let output = run(&daemon.socket, &["health"]);
    assert_eq!((code(&output), &*stderr(&output)), (2, ""), "{output:?}");
    let line = stdout(&output);
    assert!(line.starts_with("CRITICAL: ") && line.lines().count() == 1, "{line}");
    assert!(line.contains("broken: "), "{line}");
    let output = run(&daemon.socket, &["health", "--json"]);
    assert_eq!(code(&output), 2);
    assert_conforms("health", &json(&output));
    let document = json(&output);
    assert_eq!((&document["level"], &document["node"]), (&"critical".into(), &"frontend-0".into()));
    let findings = document["findings"].as_array().unwrap();
    assert!(findings.iter().any(|one| one["name"] == "broken" && one["level"] == "critical"), "{findings:?}");
}

#[test]
fn the_health_of_a_node_that_cannot_be_asked_is_unknown() {
    let directory = tempfile::tempdir().unwrap();
    let (missing, hangs) = (directory.path().join("missing.sock"), directory.path().join("hangs.sock"));
    let _never_answers = UnixListener::bind(&hangs).unwrap();
    for (socket, says) in
        [(&missing, "UNKNOWN: cannot reach vrrpd at "), (&hangs, "UNKNOWN: vrrpd (process ")]
    {
        let output = run(socket, &["health"]);
        assert_eq!((code(&output), &*stderr(&output)), (3, ""), "{output:?}");
        let line = stdout(&output);
        assert!(line.starts_with(says) && line.lines().count() == 1, "{line}");
    }
    let output = run(&missing, &["--json", "health"]);
    assert_eq!(code(&output), 3);
    assert_conforms("error", &json(&output));
}

#[test]
fn is_active_is_silent_and_an_exit_code() {
    let daemon = Running::start();
    for (name, expected) in [("moodle-a", 0), ("moodle-b", 1), ("broken", 1)] {
        let output = run(&daemon.socket, &["is-active", name]);
        let said = stdout(&output) + &stderr(&output);
        assert_eq!((code(&output), &*said), (expected, ""), "{name}");
    }
}

#[test]
fn wait_prints_the_state_and_is_code_5_when_the_time_is_over() {
    let daemon = Running::start();
    for (arguments, expected, line, complaint) in [
        (&["wait", "moodle-a"][..], 0, "moodle-a: active\n", ""),
        (&["wait", "moodle-a", "--for", "active"], 0, "moodle-a: active\n", ""),
        (&["wait", "moodle-b", "--for", "backup"], 0, "moodle-b: backup, 192.0.2.11 is active\n", ""),
        (
            &["wait", "moodle-a", "--for", "backup", "--timeout", "250ms"],
            5,
            "moodle-a: active\n",
            "vrrpctl: moodle-a is not backup after 250ms\n",
        ),
    ] {
        let output = run(&daemon.socket, arguments);
        let said = (code(&output), stdout(&output), stderr(&output));
        assert_eq!(said, (expected, line.to_owned(), complaint.to_owned()), "{arguments:?}");
    }
    let output = run(&daemon.socket, &["wait", "moodle-b", "--json"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert_conforms("status", &json(&output));
}

#[test]
fn a_daemon_that_ends_ends_the_wait() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let command = vrrpctl(&socket, &["wait", "web"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let (mut stream, _) = listener.accept().unwrap();
    let mut call = [0; 1024];
    assert!(stream.read(&mut call).unwrap() > 0);
    let status =
        r#"{"parameters":{"version":1,"node":"a","time":"2026-11-22T10:00:00Z","virtual_routers":[]}}"#;
    stream.write_all(status.as_bytes()).unwrap();
    stream.write_all(&[0]).unwrap();
    drop(stream);
    let output = command.unwrap().wait_with_output().unwrap();
    assert_eq!((code(&output), stdout(&output)), (1, String::new()), "{output:?}");
    assert!(
        stderr(&output).contains("closed the connection") || stderr(&output).contains("broke"),
        "{output:?}"
    );
}

#[test]
fn a_reload_tells_the_plan_and_a_wrong_file_is_code_2() {
    let daemon = Running::start();
    let lower = BEFORE.replace("priority = 150", "priority = 90");
    let wrong = BEFORE.replace("vrid = 52", "vrid = 520");
    for (arguments, after, expected, word) in [
        (&["reload", "--dry-run"][..], &lower, 0, "priority: 150 → 90"),
        (&["reload"], &lower, 0, "Reloaded /etc/vrrpd/vrrpd.toml."),
        (&["reload"], &wrong, 2, "/etc/vrrpd/vrrpd.toml: 1 error found; nothing was changed"),
        (&["reload", "--json"], &wrong, 2, "\"valid\": false"),
        (&["--json", "reload", "--dry-run"], &lower, 0, "\"dry_run\": true"),
    ] {
        daemon.reloads_to_come.lock().unwrap().push_back(reloaded(BEFORE, after));
        let output = run(&daemon.socket, arguments);
        assert_eq!(code(&output), expected, "{output:?}");
        assert!(stdout(&output).contains(word), "{output:?}");
        if arguments.contains(&"--json") {
            assert_conforms("reload", &json(&output));
        }
    }
    let nothing = run(&daemon.socket, &["reload"]);
    assert!(stdout(&nothing).contains("No changes"), "{nothing:?}");
}

#[test]
fn a_reload_of_a_file_that_cannot_be_read_is_code_1_with_the_reason() {
    let daemon = Running::start();
    let outcome = ReloadOutcome::Unreadable("Permission denied (os error 13)".into());
    let unreadable = ReloadReply { file: "/etc/vrrpd/vrrpd.toml".into(), outcome };
    daemon.reloads_to_come.lock().unwrap().push_back(unreadable);
    let output = run(&daemon.socket, &["reload", "--json"]);
    assert_eq!(code(&output), 1, "{output:?}");
    assert_conforms("error", &json(&output));
    assert_eq!(json(&output)["error"]["kind"], "unreadable_configuration");
    let expected = "vrrpctl: vrrpd cannot read /etc/vrrpd/vrrpd.toml: Permission denied (os error 13); \
                    nothing was changed\n";
    assert_eq!(stderr(&output), expected);
}

#[test]
fn a_daemon_that_hangs_is_distinguished_from_one_that_does_not_run() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    // The kernel accepts the connection, but nothing ever answers.
    let _hangs = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let output = run(&socket, &["status"]);
    assert_eq!(code(&output), 5, "{output:?}");
    let who = format!("vrrpctl: vrrpd (process {}) is there, at {}", std::process::id(), socket.display());
    assert!(stderr(&output).starts_with(&format!("{who}, and did not answer within 2s: ")), "{output:?}");
}

#[test]
fn help_names_the_commands_and_the_exit_codes() {
    let output = run(Path::new("/nowhere"), &["--help"]);
    assert_eq!(code(&output), 0);
    for word in [
        "status",
        "show",
        "demote",
        "promote",
        "events",
        "health",
        "is-active",
        "wait",
        "reload",
        "check",
        "3 daemon not reachable",
    ] {
        assert!(stdout(&output).contains(word), "{word}");
    }
}

#[test]
fn without_a_daemon_it_is_code_3_with_the_path_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.sock");
    let stale = directory.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    for socket in [missing, stale] {
        for arguments in [
            &["status"][..],
            &["show", "a"],
            &["demote", "--all"],
            &["promote", "a"],
            &["events"],
            &["is-active", "a"],
            &["wait", "a"],
        ] {
            let output = run(&socket, arguments);
            assert_eq!(code(&output), 3, "{arguments:?}");
            assert!(stdout(&output).is_empty());
            assert!(stderr(&output).contains(socket.to_str().unwrap()), "{output:?}");
            assert!(stderr(&output).contains("systemctl status vrrpd"), "{output:?}");
        }
        let output = run(&socket, &["--json", "status"]);
        assert_eq!(code(&output), 3);
        assert_conforms("error", &json(&output));
        assert_eq!(json(&output)["error"]["kind"], "unreachable");
    }
}

#[test]
fn the_socket_can_come_from_the_environment() {
    let daemon = Running::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpctl"));
    let output = command.env("VRRPD_SOCKET", &daemon.socket).arg("status").output().unwrap();
    assert_eq!(code(&output), 0, "{output:?}");
}

#[test]
fn status_is_a_table_of_all_or_of_one() {
    let daemon = Running::start();
    let output = run(&daemon.socket, &["status"]);
    assert_eq!(code(&output), 0);
    let table = stdout(&output);
    let titles: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(titles.join(" "), "NAME INTERFACE VRID FAMILY STATE PRIORITY ACTIVE SINCE WHY");
    assert_eq!(table.lines().count(), 8);
    let one = stdout(&run(&daemon.socket, &["status", "moodle-b"]));
    let cells: Vec<_> = one.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(cells[..8], ["moodle-b", "eth0", "52", "ipv4", "backup", "100", "192.0.2.11", "10m"]);
    assert_eq!(cells[8..].join(" "), "192.0.2.11 has priority 150");
}

#[test]
fn every_json_conforms_to_its_schema() {
    let daemon = Running::start();
    daemon.happens("moodle-a", took_over());
    for (schema, arguments) in [
        ("status", &["status"][..]),
        ("status", &["status", "moodle-a"]),
        ("show", &["show", "moodle-a"]),
        ("show", &["show", "lonely"]),
        ("events", &["events"]),
        ("demote", &["demote", "moodle-a", "moodle-b", "--reason", "kernel update"]),
        ("demote", &["demote", "lonely", "--force"]),
        ("demote", &["demote", "lonely"]),
        ("promote", &["promote", "--all"]),
    ] {
        // The option is understood before and after the command.
        for arguments in [[&["--json"], arguments].concat(), [arguments, &["--json"]].concat()] {
            let output = run(&daemon.socket, &arguments);
            assert_eq!(code(&output), 0, "{arguments:?} {output:?}");
            assert_conforms(schema, &json(&output));
        }
    }
}

#[test]
fn an_unknown_router_is_code_1_and_those_that_exist_are_named() {
    let daemon = Running::start();
    for arguments in [
        ["show", "moodle-z"],
        ["status", "moodle-z"],
        ["demote", "moodle-z"],
        ["is-active", "moodle-z"],
        ["wait", "moodle-z"],
    ] {
        let output = run(&daemon.socket, &arguments);
        assert_eq!(code(&output), 1);
        let expected =
            "no virtual router is called \"moodle-z\"; there are: broken, lonely, moodle-a, moodle-b";
        assert!(stderr(&output).contains(expected), "{output:?}");
    }
    let output = run(&daemon.socket, &["--json", "show", "moodle-z"]);
    assert_conforms("error", &json(&output));
    assert_eq!(json(&output)["error"]["kind"], "unknown_router");
}

#[test]
fn demote_and_promote_speak_in_sentences() {
    let daemon = Running::start();
    let output = run(&daemon.socket, &["demote", "moodle-b", "--reason", "kernel update"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(stdout(&output).starts_with("moodle-b: was not Active here"), "{output:?}");
    assert_eq!(daemon.demotions.lock().unwrap()[0].reason, "kernel update");
    let output = run(&daemon.socket, &["promote", "moodle-b"]);
    assert_eq!(code(&output), 0);
    assert!(stdout(&output).starts_with("moodle-b: demotion ended; it is Backup"), "{output:?}");
}

#[test]
fn a_demotion_without_a_successor_is_code_4_unless_forced() {
    let daemon = Running::start();
    let output = run(&daemon.socket, &["demote", "moodle-a", "lonely"]);
    assert_eq!(code(&output), 4);
    assert_eq!(
        stdout(&output),
        "moodle-a: now served by 192.0.2.11 and fe80::11 (18 ms). This node holds none of its addresses and stays out \
         until promoted.\n\
         lonely: NOT demoted: nobody took over within 1.6 s, and this node goes on serving. No other router was heard \
         since vrrpd started: is it running on the other node, and do the firewalls let protocol 112 pass? (--force \
         would leave 203.0.113.8 without a server.)\n"
    );
    let daemon = Running::start();
    let output = run(&daemon.socket, &["--json", "demote", "lonely"]);
    assert_eq!((code(&output), &json(&output)["results"][0]["outcome"]), (4, &"refused".into()));
    let daemon = Running::start();
    let output = run(&daemon.socket, &["demote", "lonely", "--force"]);
    assert_eq!(code(&output), 0);
    assert!(
        stdout(&output).starts_with("lonely: NOBODY SERVES 203.0.113.8 now: nobody took over within 1.6 s")
    );
}

#[test]
fn what_will_not_survive_a_restart_is_a_warning_and_no_failure() {
    for arguments in
        [&["demote", "moodle-a", "--for", "1d12h", "--last-resort"][..], &["promote", "moodle-a"]]
    {
        let daemon = Running::with_a_full_disk();
        let output = run(&daemon.socket, arguments);
        assert_eq!(code(&output), 0, "{output:?}");
        assert!(stderr(&output).starts_with("vrrpctl: WARNING: this "), "{output:?}");
        assert!(stderr(&output).contains("is not saved") && stderr(&output).contains("the disk is full"));
        let output = vrrpctl(&daemon.socket, arguments).arg("--json").output().unwrap();
        assert_eq!((code(&output), &json(&output)["persisted"]), (0, &false.into()));
        assert_conforms(arguments[0], &json(&output));
        let daemon = Running::start();
        let output = run(&daemon.socket, arguments);
        assert_eq!((code(&output), &*stderr(&output)), (0, ""));
    }
}

#[test]
fn what_the_daemon_does_not_finish_is_code_5() {
    let limits = Limits { command: Duration::from_millis(50), ..Limits::default() };
    let daemon = Running::with(limits, 2);
    let output = run(&daemon.socket, &["--json", "demote", "moodle-a"]);
    assert_eq!((code(&output), &json(&output)["error"]["kind"]), (5, &"timed_out".into()));
}

#[test]
fn events_are_the_last_and_with_follow_those_to_come() {
    let daemon = Running::start();
    daemon.happens("moodle-a", took_over());
    daemon.happens("moodle-b", took_over());
    let output = run(&daemon.socket, &["events", "-n", "1"]);
    assert_eq!(stdout(&output).lines().count(), 1);
    assert!(
        stdout(&output).contains("moodle-b ipv4: BACKUP → ACTIVE: no other router was heard for 3.4 s"),
        "{output:?}"
    );

    let output =
        run(&daemon.socket, &["events", "moodle-a", "--severity", "info", "--since", "2026-11-22T09:00:00Z"]);
    assert_eq!((code(&output), stdout(&output).lines().count()), (0, 1), "{output:?}");
    assert!(stdout(&output).contains("moodle-a ipv4"), "{output:?}");
    for nothing in [&["events", "--severity", "warning"], &["events", "--since", "9999-01-01T00:00:00Z"]] {
        let output = run(&daemon.socket, nothing);
        assert_eq!((code(&output), &*stdout(&output)), (0, ""), "{nothing:?}");
    }
    for wrong in [&["events", "--severity", "dire"], &["events", "--since", "yesterday"]] {
        assert_eq!(code(&run(&daemon.socket, wrong)), 2, "{wrong:?}");
    }
    assert_eq!(code(&run(&daemon.socket, &["events", "moodle-z"])), 1);

    let mut follow = vrrpctl(&daemon.socket, &["--json", "events", "-n", "1", "--follow"]);
    let mut follow = follow.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["events"][0]["seq"], 2);
    daemon.happens("moodle-a", took_over());
    let document = next();
    assert_eq!(document["events"][0]["seq"], 3);
    assert_conforms("events", &document);
    drop(daemon);
    assert_eq!(follow.wait().unwrap().code(), Some(1), "the daemon ended, and that is told");
}

#[test]
fn a_reader_that_went_away_is_not_a_failure() {
    let daemon = Running::start();
    daemon.happens("moodle-a", took_over());
    for arguments in [&["status"][..], &["--json", "show", "moodle-a"], &["events", "--follow"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = vrrpctl(&daemon.socket, arguments).stdout(writer).output().unwrap();
        assert_eq!((code(&output), &*stderr(&output)), (0, ""), "{arguments:?}");
    }
}

#[test]
fn the_exit_code_shows_a_refusal_even_if_nobody_reads() {
    let daemon = Running::start();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = vrrpctl(&daemon.socket, &["demote", "lonely"]).stdout(writer).output().unwrap();
    assert_eq!(code(&output), 4);
}

#[test]
fn check_needs_no_daemon_and_names_every_error() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere.sock");
    let file = directory.path().join("vrrpd.toml");
    let path = file.to_str().unwrap();

    let good = "[[virtual_router]]\nname = \"a\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"192.0.2.50/24\"]\n";
    std::fs::write(&file, good).unwrap();
    let output = run(&nowhere, &["check", path]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(stdout(&output).contains(": valid"), "{output:?}");
    let output = run(&nowhere, &["--json", "check", path]);
    assert_conforms("check", &json(&output));
    assert_eq!(json(&output)["valid"], true);

    std::fs::write(&file, good.replace("51", "0").replace("interface", "interfaec")).unwrap();
    let output = run(&nowhere, &["--json", "check", path]);
    assert_eq!(code(&output), 2);
    assert_conforms("check", &json(&output));
    assert_eq!(json(&output)["valid"], false);
    let lines: Vec<_> =
        json(&output)["errors"].as_array().unwrap().iter().map(|e| e["line"].clone()).collect();
    assert!(lines.contains(&3.into()) && lines.contains(&4.into()), "{output:?}");
    let output = run(&nowhere, &["check", path]);
    assert_eq!(code(&output), 2);
    assert!(stdout(&output).contains(&format!("{path}:3:")), "{output:?}");

    let output = run(&nowhere, &["--json", "check", "/nowhere/vrrpd.toml"]);
    assert_eq!(code(&output), 1);
    assert_conforms("error", &json(&output));
    assert!(stderr(&output).contains("/nowhere/vrrpd.toml"), "{output:?}");
}

#[test]
fn a_check_whose_reader_has_gone_has_its_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("vrrpd.toml");
    let good = "[[virtual_router]]\nname = \"a\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"192.0.2.50/24\"]\n";
    for (text, expected) in [(good.to_owned(), 0), (good.replace("51", "0"), 2)] {
        std::fs::write(&file, text).unwrap();
        let nobody = || {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            writer
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpd"));
        command.arg("--check").arg("--config").arg(&file).stdout(nobody()).stderr(nobody());
        assert_eq!(command.status().unwrap().code(), Some(expected));
    }
}

#[test]
fn a_file_that_is_not_regular_is_refused_and_a_pipe_can_be_checked() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("vrrpd.toml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let vrrpd = |arguments: &[&str], stdin: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpd"));
        command.args(arguments).stdin(stdin).output().unwrap()
    };
    let table = [
        (fifo.to_str().unwrap(), "it is a pipe"),
        ("/dev/zero", "it is a device"),
        ("/", "it is a directory"),
    ];
    for (file, why) in table {
        let output = vrrpd(&["--config", file], Stdio::null());
        assert_eq!(code(&output), 2, "{output:?}");
        assert!(stderr(&output).contains(why), "{output:?}");
    }
    let mut endless = Command::new("/bin/yes").stdout(Stdio::piped()).spawn().unwrap();
    let output = vrrpd(&["--check", "--config", "/dev/stdin"], endless.stdout.take().unwrap().into());
    endless.wait().unwrap();
    assert_eq!(code(&output), 1, "{output:?}");
    assert!(stderr(&output).contains("it is larger than 16 MiB"), "{output:?}");
    let text = "[[virtual_router]]\nname = \"a\"\ninterface = \"eth0\"\nvrid = 51\naddresses = [\"192.0.2.50/24\"]\n";
    let mut checking = vrrpctl(&fifo, &["check", "/dev/stdin"]);
    let mut checking = checking.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    checking.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = checking.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(stdout(&output).contains("/dev/stdin: valid"), "{output:?}");
}

#[test]
fn a_check_distinguishes_a_file_that_cannot_be_read_from_one_with_errors() {
    let directory = tempfile::tempdir().unwrap();
    let (wrong, latin) = (directory.path().join("wrong.toml"), directory.path().join("latin.toml"));
    std::fs::write(&wrong, "nonsense\n").unwrap();
    std::fs::write(&latin, b"# caf\xe9\n").unwrap();
    let missing = directory.path().join("missing.toml");
    for (file, checked) in [(&missing, 1), (&latin, 1), (&wrong, 2)] {
        let vrrpd = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpd"));
            command.args(arguments).arg("--config").arg(file).stdin(Stdio::null()).output().unwrap()
        };
        let output = vrrpd(&["--check"]);
        assert_eq!(code(&output), checked, "{output:?}");
        assert!(stdout(&output).is_empty() && !stderr(&output).is_empty(), "{output:?}");
        let command = run(&missing, &["check", file.to_str().unwrap()]);
        assert_eq!(code(&command), checked, "{command:?}");
        // The service manager does not repeat a start that fails with 2.
        assert_eq!(code(&vrrpd(&[])), 2);
    }
}

#[test]
fn what_others_can_change_is_not_run_by_root() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (program, file) = (path("check"), path("vrrpd.toml"));
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o777)).unwrap();
    let text = format!(
        "[[check]]\nname = \"a\"\nuser = \"root\"\ncommand = [{program:?}]\n\n[[virtual_router]]\nname = \"a\"\ninterface = \"eth0\"\n\
         vrid = 51\naddresses = [\"192.0.2.50/24\"]\ntrack = [{{ check = \"a\" }}]\n"
    );
    std::fs::write(&file, text).unwrap();
    for arguments in [&["--check", "--config", &file][..], &["--config", &file]] {
        let output = Command::new(env!("CARGO_BIN_EXE_vrrpd")).args(arguments).output().unwrap();
        assert_eq!(code(&output), 2, "{output:?}");
        let said = stderr(&output);
        assert!(
            said.contains("root would run") && said.contains(&format!("chown root:root {program}")),
            "{said}"
        );
    }
    let output = run(&directory.path().join("nowhere.sock"), &["--json", "check", &file]);
    assert_eq!((code(&output), &json(&output)["errors"][0]["line"]), (2, &4.into()), "{output:?}");
    assert_conforms("check", &json(&output));
}

/// A server that answers one call with any document.
fn impostor(socket: &Path, answer: Value) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut octet = [1];
        while octet != [0] {
            stream.read_exact(&mut octet).unwrap();
        }
        let mut answer = answer.to_string().into_bytes();
        answer.push(0);
        stream.write_all(&answer).unwrap();
    })
}

#[test]
fn an_answer_from_any_server_puts_no_escapes_on_a_terminal() {
    const ESCAPE: &str = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}";
    let unknown = serde_json::json!({ "error": format!("org.{ESCAPE}"), "parameters": { "a": ESCAPE } });
    let warned = serde_json::json!({ "parameters": {
        "version": 1, "node": ESCAPE, "file": ESCAPE, "dry_run": false, "valid": false, "applied": false, "errors": [],
        "warnings": [], "report": format!("{ESCAPE}\n"), "virtual_routers": [], "checks": [], "agent": [],
    } });
    for answer in [unknown, warned] {
        for arguments in [&["reload"][..], &["--json", "reload"]] {
            let directory = tempfile::tempdir().unwrap();
            let socket = directory.path().join("control.sock");
            let answering = impostor(&socket, answer.clone());
            let output = run(&socket, arguments);
            answering.join().unwrap();
            let printed = stdout(&output) + &stderr(&output);
            assert!(printed.contains("owned"), "it was printed: {output:?}");
            let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!printed.contains(steers), "{printed:?}");
        }
    }
}
