//! Routers on a LAN of network namespaces: the real daemon on the real kernel, as an operator and a
//! client see it. The tests run as root and as an ordinary user.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod checking;
mod clean_up;
mod demotion;
mod draining;
mod election;
mod failover;
mod families;
mod firewall;
mod forged;
mod harness;
mod health;
mod hostile;
mod interfaces;
mod interruptions;
mod monitoring;
mod nodes;
mod operator;
mod owner;
mod privileges;
mod reload;
mod second;
mod service_manager;
mod stopped;
mod stopping;
mod strangers;
mod turning;
mod unicast;
mod unread;

use support::prober::Responder;
use support::{Config, Daemon, Lab, Prober, Router};

/// The address of the router `web`.
const WEB: &str = "192.0.2.50";

/// The router `web`: VRID 51, 192.0.2.50, 100 ms.
fn web(priority: u8) -> Router {
    Router::new("web").priority(priority).addresses(&["192.0.2.50/24"])
}

/// Two frontends that serve `web`, and a client. `fe0` is preferred, and serves.
struct Pair {
    // The daemons come first, because they must end before their LAN does.
    fe0: Daemon,
    fe1: Daemon,
    _services: [Responder; 2],
    lab: Lab,
}

impl Pair {
    /// A pair with the priorities 200 and 100.
    fn new() -> Self {
        Self::with(&Config::of(&web(200)), &Config::of(&web(100)))
    }

    /// A pair with these configurations of `fe0` and `fe1`.
    fn with(first: &Config, second: &Config) -> Self {
        Self::on(Lab::new(&["fe0", "fe1", "client"]), first, second)
    }

    /// A pair on a LAN that the test has prepared.
    fn on(lab: Lab, first: &Config, second: &Config) -> Self {
        let services = ["fe0", "fe1"].map(|name| Responder::start(lab.node(name), WEB));
        let fe0 = Daemon::start(lab.node("fe0"), first);
        fe0.wait_state("web", "active");
        let fe1 = Daemon::start(lab.node("fe1"), second);
        fe1.wait_state("web", "backup");
        Self { fe0, fe1, _services: services, lab }
    }

    /// A client that sends a thousand requests a second, and that `name` answers already.
    fn client_of(&self, name: &str) -> Prober {
        let prober = Prober::start(self.lab.node("client"), WEB, 1000);
        prober.wait_answer_of(self.lab.node(name));
        prober.wait_some_answers();
        prober
    }
}
