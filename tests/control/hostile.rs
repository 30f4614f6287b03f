//! Slow, hostile and broken clients: each is sent away in time, and the others are served meanwhile.

use crate::rig::{Running, took_over};
use crate::wire::{Wire, served};
use serde_json::json;
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::Duration;
use vrrpd::control::Limits;

/// Who runs the tests is no operator.
const SOMEBODY_ELSE: u32 = u32::MAX;

/// Patience of a test: what takes 30 s in life takes 1 s here. Not less: on a busy machine an honest
/// client may be kept from running for a while.
fn impatient() -> Limits {
    let short = Duration::from_secs(1);
    Limits { request: short, write: short, ..Limits::default() }
}

#[test]
fn nonsense_ends_the_connection() {
    let daemon = Running::start();
    for nonsense in [
        &b"\0"[..],
        b"\0\0\0\0",
        b"GET / HTTP/1.1\r\n\r\n\0",
        b"{\0",
        b"[]\0",
        b"null\0",
        b"{\"parameters\":{}}\0",
        b"{\"method\":7}\0",
        b"{\"method\":\"org.vrrpd.Control.Status\",\"parameters\":[]}\0",
        b"{\"method\":\"org.vrrpd.Control.Status\",\"parameters\":{\"name\":\"\xff\"}}\0",
    ] {
        let mut wire = Wire::connect(&daemon.socket);
        wire.raw(nonsense).unwrap();
        wire.assert_closed();
    }
    let mut deep = Wire::connect(&daemon.socket);
    let nested = format!("{{\"method\":\"a.B\",\"parameters\":{{\"x\":{}", "[".repeat(60_000));
    let _closed_early = deep.raw(format!("{nested}\0").as_bytes());
    deep.assert_closed();
    served(&daemon.socket);
}

#[test]
fn random_bytes_do_no_harm() {
    let daemon = Running::start();
    let mut seed = 0x9568_u64;
    for _ in 0..300 {
        let mut wire = Wire::connect(&daemon.socket);
        for _ in 0..(seed % 40) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if wire.raw(&(seed >> 8).to_le_bytes()).is_err() {
                break;
            }
        }
        seed = seed.wrapping_add(1);
    }
    served(&daemon.socket);
}

#[test]
fn a_message_that_never_ends_is_cut_off_at_its_limit() {
    let daemon = Running::start();
    let mut wire = Wire::connect(&daemon.socket);
    let mut sent = 0;
    let piece = [b'x'; 4096];
    while sent < 16 * 1024 * 1024 && wire.raw(&piece).is_ok() {
        sent += piece.len();
    }
    // What the socket's buffers hold comes on top of what the server took.
    assert!(sent < 2 * 1024 * 1024, "{sent} bytes were taken");
    wire.assert_closed();
    served(&daemon.socket);
}

#[test]
fn a_call_as_large_as_the_limit_is_answered_and_one_byte_more_is_not() {
    let limit = Limits::default().message;
    let daemon = Running::start();
    let call = |size: usize| {
        let mut text = json!({ "method": "org.vrrpd.Control.Status" }).to_string();
        text.extend(std::iter::repeat_n(' ', size - text.len()));
        text + "\0"
    };
    let mut wire = Wire::connect(&daemon.socket);
    wire.raw(call(limit).as_bytes()).unwrap();
    assert_eq!(wire.reply().unwrap()["parameters"]["node"], "frontend-0");
    let mut wire = Wire::connect(&daemon.socket);
    let _closed_early = wire.raw(call(limit + 1).as_bytes());
    wire.assert_closed();
}

#[test]
fn a_client_that_does_not_finish_its_call_is_sent_away_however_often_it_writes() {
    let daemon = Running::with(impatient(), 1);
    let mut silent = Wire::connect(&daemon.socket);
    let mut dribbling = Wire::connect(&daemon.socket);
    let writer = std::thread::spawn(move || {
        // One byte now and then would hold a connection for ever if each byte bought time.
        let mut written = 0;
        while dribbling.raw(b" ").is_ok() {
            written += 1;
            assert!(written < 200, "still connected after 10 s");
            let mut byte = [0];
            dribbling.0.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            if std::io::Read::read(&mut dribbling.0, &mut byte).is_ok_and(|read| read == 0) {
                break;
            }
        }
    });
    served(&daemon.socket);
    silent.assert_closed();
    writer.join().unwrap();
}

#[test]
fn a_client_that_does_not_read_is_sent_away_and_holds_up_nobody() {
    let daemon = Running::with(impatient(), 1);
    let mut wire = Wire::connect(&daemon.socket);
    wire.0.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let call = json!({ "method": "org.vrrpd.Control.GetInterfaceDescription" });
    let call = call.to_string().replace("vrrpd.Control.Get", "varlink.service.Get");
    let call = call.replace('}', ",\"parameters\":{\"interface\":\"org.vrrpd.Control\"}}") + "\0";
    // Replies of 6 KiB for calls of 100 bytes: until neither direction takes any more.
    let mut calls = 0;
    while calls < 100_000 && wire.raw(call.as_bytes()).is_ok() {
        calls += 1;
        if calls % 1000 == 0 {
            served(&daemon.socket);
        }
    }
    assert!(calls < 100_000, "the server never stopped reading");
    served(&daemon.socket);
    let mut waited = 0;
    while wire.raw(b"x").is_ok() {
        waited += 1;
        assert!(waited < 1_000_000, "never sent away");
    }
}

#[test]
fn half_open_connections_are_let_go() {
    let daemon = Running::start();
    for _ in 0..50 {
        let mut wire = Wire::connect(&daemon.socket);
        wire.raw(b"{\"method\":").unwrap();
        wire.0.shutdown(Shutdown::Write).unwrap();
        wire.assert_closed();
        let mut wire = Wire::connect(&daemon.socket);
        wire.send(&json!({ "method": "org.vrrpd.Control.Status" }));
        drop(wire);
    }
    let mut wire = Wire::connect(&daemon.socket);
    wire.send(&json!({ "method": "org.vrrpd.Control.Status" }));
    wire.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(wire.reply().unwrap()["parameters"]["node"], "frontend-0", "it still reads");
}

#[test]
fn a_newcomer_takes_the_seat_of_the_oldest_idle_client() {
    let daemon = Running::start();
    let mut idle: Vec<_> = (0..200).map(|_| Wire::connect(&daemon.socket)).collect();
    served(&daemon.socket);
    idle[0].assert_closed();
    let youngest = idle.last_mut().unwrap();
    let reply = youngest.call("org.vrrpd.Control.Status", json!({}));
    assert_eq!(reply["parameters"]["node"], "frontend-0");
}

#[test]
fn those_who_wait_for_a_hand_over_keep_their_seats() {
    let limits = Limits { connections: 2, followers: 1, operator: SOMEBODY_ELSE, ..Limits::default() };
    let daemon = Running::with(limits, 2);
    let mut first = Wire::connect(&daemon.socket);
    first.send(&json!({ "method": "org.vrrpd.Control.Demote", "parameters": { "names": ["moodle-a"] } }));
    let mut follower = Wire::connect(&daemon.socket);
    follower.send(&json!({ "method": "org.vrrpd.Control.Events", "more": true }));
    follower.reply().unwrap();
    // Whether the demotion has begun cannot be seen from here, but each refusal shows it.
    let mut refused = 0;
    while refused < 3 {
        let mut newcomer = Wire::connect(&daemon.socket);
        match newcomer.reply() {
            Some(reply) => assert_eq!(reply["error"], "org.vrrpd.Control.TooManyConnections"),
            None => panic!("a newcomer was let in and then sent away"),
        }
        refused += 1;
    }
    drop(follower);
    let second = json!({ "names": ["moodle-b"] });
    let mut newcomer = loop {
        let mut newcomer = Wire::connect(&daemon.socket);
        if newcomer.raw(b"").is_ok() {
            newcomer.send(&json!({ "method": "org.vrrpd.Control.Demote", "parameters": second.clone() }));
            match newcomer.reply() {
                Some(reply) if reply["error"] == "org.vrrpd.Control.TooManyConnections" => continue,
                Some(reply) => break reply,
                None => continue,
            }
        }
    };
    assert_eq!(newcomer["parameters"]["results"][0]["outcome"].take(), "was_backup");
    assert_eq!(first.reply().unwrap()["parameters"]["results"][0]["outcome"], "handed_over");
}

/// Demotions that are never answered, each on a connection of its own.
fn waiting_for_ever(daemon: &Running, count: usize) -> Vec<Wire> {
    let demote = json!({ "method": "org.vrrpd.Control.Demote", "parameters": { "names": ["moodle-a"] } });
    let mut wires = Vec::new();
    for before in 0..count {
        let mut wire = Wire::connect(&daemon.socket);
        wire.send(&demote);
        while daemon.commands.load(Ordering::Relaxed) <= before {
            std::thread::yield_now();
        }
        wires.push(wire);
    }
    wires
}

#[test]
fn one_user_keeps_so_many_seats_and_no_more_by_what_it_asks_for() {
    let limits = Limits { connections: 4, engaged: 2, operator: SOMEBODY_ELSE, ..Limits::default() };
    let daemon = Running::with(limits, usize::MAX);
    let mut waiting = waiting_for_ever(&daemon, 4);
    served(&daemon.socket);
    let mut last = Wire::connect(&daemon.socket);
    assert_eq!(last.call("org.vrrpd.Control.Status", json!({}))["parameters"]["node"], "frontend-0");
    waiting[2].assert_closed();
    // The two oldest are kept: their calls are still under way.
    for kept in &waiting[..2] {
        kept.0.set_nonblocking(true).unwrap();
        let read = std::io::Read::read(&mut &kept.0, &mut [0]);
        assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[test]
fn the_operator_has_seats_of_his_own() {
    let own = nix::unistd::geteuid().as_raw();
    for (operator, admitted) in [(own, true), (SOMEBODY_ELSE, false)] {
        let limits = Limits { connections: 2, reserved: 1, operator, ..Limits::default() };
        let daemon = Running::with(limits, usize::MAX);
        let _waiting = waiting_for_ever(&daemon, 2);
        let mut newcomer = Wire::connect(&daemon.socket);
        // Who is refused is told before it has asked.
        let call = json!({ "method": "org.vrrpd.Control.Status" });
        let _refused = newcomer.raw(format!("{call}\0").as_bytes());
        let reply = newcomer.reply().unwrap();
        assert_eq!(reply["parameters"]["node"] == "frontend-0", admitted, "{reply}");
        assert_eq!(reply["error"] == "org.vrrpd.Control.TooManyConnections", !admitted, "{reply}");
    }
}

#[test]
fn who_asks_without_a_pause_is_seen_between_two_calls() {
    let limits = Limits { connections: 1, operator: SOMEBODY_ELSE, ..Limits::default() };
    let daemon = Running::with(limits, 1);
    let mut busy = Wire::connect(&daemon.socket);
    let promote = json!({ "method": "org.vrrpd.Control.Promote", "parameters": { "names": ["moodle-a"] } });
    let calls = format!("{promote}\0").repeat(100);
    let endless = std::thread::spawn(move || while busy.raw(calls.as_bytes()).is_ok() {});
    // Between two calls it may be sent away; while one is carried out it may not.
    let admitted = (0..1000).any(|_| {
        let mut newcomer = Wire::connect(&daemon.socket);
        let call = json!({ "method": "org.vrrpd.Control.Status" });
        newcomer.raw(format!("{call}\0").as_bytes()).is_ok()
            && newcomer.reply().is_some_and(|reply| reply["parameters"]["node"] == "frontend-0")
    });
    assert!(admitted, "1,000 newcomers were refused");
    endless.join().unwrap();
}

#[test]
fn followers_are_limited_and_a_follower_that_does_not_read_is_sent_away() {
    let daemon = Running::with(Limits { followers: 1, operator: SOMEBODY_ELSE, ..impatient() }, 1);
    let mut deaf = Wire::connect(&daemon.socket);
    let follow = json!({ "method": "org.vrrpd.Control.Events", "more": true });
    deaf.send(&follow);
    deaf.reply().unwrap();
    let mut second = Wire::connect(&daemon.socket);
    second.send(&follow);
    assert_eq!(second.reply().unwrap()["error"], "org.vrrpd.Control.TooManyFollowers");
    // More than its socket buffer holds; it is told of nothing any more, and its seat is free again.
    let mut events = 0;
    let freed = loop {
        (0..64).for_each(|_| daemon.happens("moodle-a", took_over()));
        events += 64;
        assert!(events < 1_000_000, "never sent away");
        let mut third = Wire::connect(&daemon.socket);
        third.send(&follow);
        let reply = third.reply().unwrap();
        if reply.get("error").is_none() {
            break reply;
        }
    };
    assert_eq!(freed["parameters"]["events"].as_array().unwrap().len(), 20);
}

#[test]
fn the_operator_follows_however_many_others_do() {
    let operator = nix::unistd::geteuid().as_raw();
    // Nobody at all may follow.
    let daemon = Running::with(Limits { followers: 0, operator, ..Limits::default() }, 1);
    let follow = json!({ "method": "org.vrrpd.Control.Events", "more": true });
    let mut wires: Vec<_> = (0..3).map(|_| Wire::connect(&daemon.socket)).collect();
    for wire in &mut wires {
        wire.send(&follow);
        assert_eq!(wire.reply().unwrap()["continues"], true);
    }
    daemon.happens("moodle-a", took_over());
    for wire in &mut wires {
        assert_eq!(wire.reply().unwrap()["parameters"]["events"][0]["kind"], "transition");
    }
}

#[test]
fn a_follower_that_talks_without_end_is_sent_away() {
    let daemon = Running::start();
    let mut wire = Wire::connect(&daemon.socket);
    wire.send(&json!({ "method": "org.vrrpd.Control.Events", "more": true }));
    wire.reply().unwrap();
    while wire.raw(&[b' '; 4096]).is_ok() {}
    wire.assert_closed();
    served(&daemon.socket);
}
