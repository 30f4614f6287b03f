//! A second daemon, started by hand or by mistake, would take the addresses of the first one for
//! those of a crashed run.

use super::support::process::finish;
use super::support::{Config, Daemon, Lab, Node, SOON, wait_for};
use super::{WEB, web};
use std::path::Path;
use std::process::Command;

/// Starts a daemon with the configuration of the first one: exit code and output.
fn start_second(on: &Node, first: &Daemon, socket: &Path, state: &Path) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vrrpd"));
    command.arg("--config").arg(first.config());
    command.arg("--socket").arg(socket).arg("--state-dir").arg(state);
    let (code, _, stderr) = finish(&on.ns, SOON, &mut command);
    (code, stderr)
}

#[test]
fn a_second_daemon_ends_at_once_and_touches_nothing() {
    let lab = Lab::new(&["fe0", "fe1"]);
    let first = Daemon::start(lab.node("fe0"), &Config::of(&web(100)));
    wait_for(SOON, "the address", || first.node().has(WEB));
    let (socket, state) = (first.socket().to_owned(), first.socket().with_extension("state"));
    let other = lab.dir().join("other");
    let (other_socket, other_state) = (other.join("control.sock"), other.join("state"));
    let pid = format!("another vrrpd already runs in this network namespace (process {})", first.pid());
    let holds = format!("another process holds the state directory {}", state.display());
    let listens = format!("another vrrpd already listens on {}", socket.display());
    let table = [
        // As in incident F10: a try-out with another socket.
        ("fe0", &other_socket, &state, &pid),
        ("fe0", &other_socket, &other_state, &pid),
        ("fe0", &socket, &state, &pid),
        // In another network namespace, only the files show that a daemon runs.
        ("fe1", &other_socket, &state, &holds),
        ("fe1", &socket, &other_state, &listens),
    ];
    for (node, socket, state, why) in table {
        let (code, said) = start_second(lab.node(node), &first, socket, state);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(why.as_str()), "{said}");
        assert!(first.is("web", "active") && first.node().has(WEB));
    }
    let events = first.ctl(&["events", "-n", "1000"]).stdout;
    assert!(!events.contains("restored"), "the first had to put an address back: {events}");
    assert!(!other_socket.exists(), "the socket of a daemon that does not run");
}
