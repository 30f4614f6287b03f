//! Two frontends with the package, nginx and haproxy, configured as in config/, the application
//! servers behind them, and a client on the same LAN.

use crate::application::{self, Application};
use crate::machine::{Cable, Machine};
use crate::source_tree::root;
use crate::support::{Lab, Prober, ms, wait_for};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The machines, and the last octet of the address that each keeps.
const FRONTENDS: [(&str, u8); 2] = [("fe0", 10), ("fe1", 11)];
/// The address that is normally on fe0, and the one that is normally on fe1.
pub(crate) const ADDRESSES: [&str; 2] = ["192.0.2.50", "192.0.2.51"];
const SETTLED: Duration = Duration::from_secs(60);

/// Only one test has machines at a time, because there are two cores, and the machines have the
/// same names in all tests.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) struct Pair {
    pub(crate) fe0: Machine,
    pub(crate) fe1: Machine,
    _application: Application,
    // The LAN comes last: the machines must be switched off before their network disappears.
    pub(crate) lab: Lab,
    _turn: MutexGuard<'static, ()>,
}

/// Waits until no other test has machines. The guard is held as long as there are machines.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pair {
    /// Two machines as an installer leaves them: up, with nginx and haproxy, without vrrpd.
    pub(crate) fn bare() -> Self {
        let turn = turn();
        let lab = Lab::new(&["client", "applications"]);
        let [mut fe0, mut fe1] = FRONTENDS.map(|(name, number)| Machine::new(&lab, name, number));
        // The frontends have the numbers that the lab gives to its nodes, so the nodes get others.
        let client = lab.node("client");
        client.ns.ip("address flush dev eth0 scope global\naddress add 192.0.2.20/24 dev eth0\n\
             address add 2001:db8::20/64 dev eth0 nodad");
        let applications = lab.node("applications");
        let [one, other] = application::ADDRESSES;
        applications.ns.ip(&format!(
            "address flush dev eth0 scope global\naddress add {one}/24 dev eth0\naddress add {other}/24 dev eth0"
        ));
        let frontends = FRONTENDS.map(|(name, number)| (name, IpAddr::from([192, 0, 2, number])));
        let application = Application::start(applications, &frontends);
        for machine in [&mut fe0, &mut fe1] {
            machine.boot(&lab, Cable::Plugged);
        }
        Self { fe0, fe1, _application: application, lab, _turn: turn }
    }

    /// The pair of config/, with all addresses where they belong.
    pub(crate) fn serving() -> Self {
        let mut pair = Self::bare();
        for machine in [&mut pair.fe0, &mut pair.fe1] {
            install(machine);
            configure(machine);
            for address in ADDRESSES {
                machine.serve(address);
            }
            machine.must("systemctl start vrrpd");
        }
        pair.wait_settled();
        pair
    }

    /// Waits until each address is served on its normal frontend.
    #[track_caller]
    pub(crate) fn wait_settled(&self) {
        for (home, away, router) in [(&self.fe0, &self.fe1, "web-a"), (&self.fe1, &self.fe0, "web-b")] {
            home.wait_state(router, "active");
            away.wait_state(router, "backup");
        }
    }

    /// Does something while a client sends 1,000 requests a second to the address of fe0; no
    /// request may be lost.
    #[track_caller]
    pub(crate) fn unnoticed(&mut self, what: &str, act: impl FnOnce(&mut Self)) {
        let prober = Prober::start(self.lab.node("client"), ADDRESSES[0], 1000);
        wait_for(SETTLED, "the client is answered", || prober.answered() > 50);
        act(self);
        let seen = prober.answered();
        wait_for(SETTLED, "the client goes on", || prober.answered() > seen + 100);
        let report = prober.finish();
        println!("{what}: {} requests, {} lost, answered by {:?}", report.sent, report.lost, report.sequence);
        assert_eq!(report.lost, 0, "{what}: {report:?}");
    }
}

/// Installs the package as a reader would.
#[track_caller]
pub(crate) fn install(machine: &Machine) {
    machine.must("apt-get install -y ./vrrpd_*.deb");
}

/// Copies the files of config/ to a frontend, and restarts its services.
#[track_caller]
pub(crate) fn configure(machine: &Machine) {
    let config = format!("pair-{}.toml", machine.name());
    for (file, path) in [
        (config.as_str(), "/etc/vrrpd/vrrpd.toml"),
        ("nginx-frontend.conf", "/etc/nginx/conf.d/frontend.conf"),
        ("haproxy-frontend.cfg", "/etc/haproxy/haproxy.cfg"),
    ] {
        machine.write(path, &std::fs::read_to_string(root().join("config").join(file)).expect(file));
    }
    machine.must("rm -f /etc/nginx/sites-enabled/default && systemctl restart nginx haproxy");
    wait_for(ms(20_000), "nginx and haproxy answer", || {
        machine.run("curl -fs http://127.0.0.1/ping && curl -fs http://127.0.0.1:8080/ping").code == 0
    });
}
