//! The LAN of a run: three members that run the real daemon, a client that sends requests to all
//! addresses all the time, and the code that carries out a fault.

use super::cluster::{Check, Cluster, Duty, Process, Rank, priority};
use super::fault::{Kind, Member, Service, Stroke, all_held, all_served};
use super::oracle::Violation;
use super::starvation::Account;
use super::watch::Watch;
use crate::support::lab::Way;
use crate::support::wait::wait_out;
use crate::support::{Config, Daemon, Lab, Node, Prober, Responder, Router};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// Requests in a second to each of the four addresses.
const RATE: u32 = 125;

/// The LAN and all that runs on it. The daemons come first, because they must end before their LAN
/// does.
pub(crate) struct World {
    daemons: BTreeMap<Member, Mutex<Daemon>>,
    clients: BTreeMap<IpAddr, Prober>,
    watch: Watch,
    _services: Vec<Responder>,
    interval: Duration,
    /// The condition that all faults so far have left.
    cluster: Mutex<Cluster>,
    lab: Lab,
}

impl World {
    /// A LAN without daemons.
    pub(crate) fn lan() -> Lab {
        let lab = Lab::new(&["fe0", "fe1", "fe2", "client"]);
        for member in Member::ALL {
            std::fs::write(alive(lab.node(member.name())), "").expect("what the check looks at");
        }
        lab
    }

    /// Starts a daemon on each member, all of which serve.
    pub(crate) fn start(lab: Lab, interval: Duration) -> Self {
        let watch = Watch::start(&lab);
        let nodes = Member::ALL.map(|member| (member, lab.node(member.name())));
        let each = nodes.iter().flat_map(|(_, node)| all_served().map(move |address| (*node, address)));
        let services = each.map(|(node, address)| Responder::start(node, &address.to_string())).collect();
        let daemons = nodes.iter().map(|(member, node)| {
            let daemon = Daemon::start(node, &config(*member, node, Rank::Usual, interval));
            (*member, Mutex::new(daemon))
        });
        let daemons = daemons.collect();
        let client =
            |address: IpAddr| (address, Prober::start(lab.node("client"), &address.to_string(), RATE));
        let clients = all_served().map(client).collect();
        let cluster = Mutex::new(Cluster::new());
        Self { daemons, clients, watch, _services: services, interval, cluster, lab }
    }

    pub(crate) const fn lab(&self) -> &Lab {
        &self.lab
    }

    pub(crate) const fn watch(&self) -> &Watch {
        &self.watch
    }

    pub(crate) const fn clients(&self) -> &BTreeMap<IpAddr, Prober> {
        &self.clients
    }

    pub(crate) fn node(&self, member: Member) -> &Node {
        self.lab.node(member.name())
    }

    pub(crate) fn daemon(&self, member: Member) -> MutexGuard<'_, Daemon> {
        self.daemons[&member].lock().unwrap()
    }

    /// How long the threads of the daemons and the client have waited for a processor so far.
    pub(crate) fn account(&self) -> Account {
        Account::now(self.daemons.values().map(|daemon| daemon.lock().unwrap().pid().as_raw()))
    }

    /// The condition of the members at rest.
    pub(crate) fn cluster(&self) -> Cluster {
        self.cluster.lock().unwrap().clone()
    }

    /// Brings about the condition that earlier faults have left, for a run that begins in the
    /// middle of a schedule.
    pub(crate) fn prepare(&self, target: &Cluster) -> Vec<Violation> {
        let mut wrong = Vec::new();
        for member in Member::ALL {
            let condition = target.of(member);
            let kinds = [
                (condition.rank == Rank::Raised).then_some(Kind::Reload),
                (condition.check == Check::Failing).then_some(Kind::CheckFails),
                (condition.duty == Duty::Demoted).then_some(Kind::Demote),
                (condition.process == Process::Stopped).then_some(Kind::Stop),
            ];
            for kind in kinds.into_iter().flatten() {
                let nothing = Duration::ZERO;
                wrong.extend(self.carry_out(&Stroke {
                    number: 0,
                    kind,
                    member,
                    after: nothing,
                    lasts: nothing,
                    percent: 0,
                }));
            }
        }
        wrong
    }

    /// Carries out a fault, and returns when it is over, with what went wrong in doing so.
    pub(crate) fn carry_out(&self, stroke: &Stroke) -> Option<Violation> {
        wait_out(stroke.after);
        let Stroke { kind, member, lasts, percent, .. } = *stroke;
        let node = self.node(member);
        let outcome = match kind {
            Kind::Kill => self.kill(member, lasts),
            Kind::KillCleanedUp => self.kill_and_clean_up(member, lasts),
            Kind::MachineLost => self.lose_machine(member, lasts),
            Kind::Pause => self.pause(member, lasts),
            Kind::SecondDaemon => {
                let (code, errors) = self.daemon(member).start_beside();
                (code == 1)
                    .then_some(())
                    .ok_or_else(|| format!("a second daemon ended with {code}: {errors}"))
            }
            Kind::Cut => {
                self.lab.cut(node);
                wait_out(lasts);
                self.lab.heal(node);
                Ok(())
            }
            Kind::Deaf => self.lossy(node, &[Way::ToNode], 100, lasts),
            Kind::Mute => self.lossy(node, &[Way::FromNode], 100, lasts),
            Kind::Loss => self.lossy(node, &[Way::ToNode, Way::FromNode], percent, lasts),
            Kind::LinkDown => interrupt(node, "link set eth0 down", lasts, "link set eth0 up"),
            Kind::CarrierLost => {
                self.lab.carrier_down(node);
                wait_out(lasts);
                self.lab.carrier_up(node);
                Ok(())
            }
            Kind::Rename => interrupt(
                node,
                "link set eth0 down\nlink set eth0 name renamed\nlink set renamed up",
                lasts,
                "link set renamed down\nlink set renamed name eth0\nlink set eth0 up",
            ),
            Kind::Recreate => {
                node.ns.ip("link delete eth0");
                wait_out(lasts);
                self.lab.plug(node);
                Ok(())
            }
            Kind::AddressDeleted => {
                self.delete_virtual_addresses(member);
                Ok(())
            }
            Kind::SourceAway => {
                let delete = format!("address delete {}/24 dev eth0", node.v4());
                interrupt(node, &delete, lasts, "")
            }
            // One router may be demoted and the other refused: then the demotion of the first is
            // withdrawn too.
            Kind::Demote => {
                self.command(member, &["demote", "--all", "--reason", "chaos"]).or_else(|refused| {
                    self.command(member, &["promote", "--all"])?;
                    Err(refused)
                })
            }
            Kind::Promote => self.command(member, &["promote", "--all"]),
            Kind::Stop => terminate(&mut self.daemon(member)),
            Kind::Start => {
                self.daemon(member).start_again();
                Ok(())
            }
            Kind::CheckFails => {
                std::fs::remove_file(alive(node)).expect("what the check looks at");
                Ok(())
            }
            Kind::CheckRecovers => {
                std::fs::write(alive(node), "").expect("what the check looks at");
                Ok(())
            }
            Kind::Reload => {
                let rank = match self.cluster().of(member).rank {
                    Rank::Usual => Rank::Raised,
                    Rank::Raised => Rank::Usual,
                };
                let config = config(member, node, rank, self.interval);
                self.daemon(member).write_config(config.text());
                self.command(member, &["reload"])
            }
        };
        match outcome {
            Ok(()) => {
                self.cluster.lock().unwrap().apply(kind, member);
                None
            }
            Err(what) => Some(Violation::Refused { member, what }),
        }
    }

    fn kill(&self, member: Member, lasts: Duration) -> Result<(), String> {
        let mut daemon = self.daemon(member);
        daemon.kill();
        wait_out(lasts);
        daemon.start_again();
        Ok(())
    }

    fn kill_and_clean_up(&self, member: Member, lasts: Duration) -> Result<(), String> {
        let mut daemon = self.daemon(member);
        daemon.kill();
        let (code, _, errors, _) = daemon.clean_up();
        wait_out(lasts);
        daemon.start_again();
        (code == 0).then_some(()).ok_or(format!("vrrpd --clean-up ended with {code}: {errors}"))
    }

    fn lose_machine(&self, member: Member, lasts: Duration) -> Result<(), String> {
        let (mut daemon, node) = (self.daemon(member), self.node(member));
        self.lab.cut(node);
        daemon.kill();
        node.ns.ip("address flush dev eth0");
        wait_out(lasts);
        node.configure("eth0");
        self.lab.heal(node);
        daemon.start_again();
        Ok(())
    }

    fn pause(&self, member: Member, lasts: Duration) -> Result<(), String> {
        let mut daemon = self.daemon(member);
        daemon.process().signal(Signal::SIGSTOP);
        wait_out(lasts);
        daemon.process().signal(Signal::SIGCONT);
        Ok(())
    }

    fn lossy(&self, node: &Node, ways: &[Way], percent: u8, lasts: Duration) -> Result<(), String> {
        for way in ways {
            self.lab.lose(node, *way, percent);
        }
        wait_out(lasts);
        for way in ways {
            self.lab.lose_no_more(node, *way);
        }
        Ok(())
    }

    /// Deletes the virtual addresses that the member has at this moment.
    fn delete_virtual_addresses(&self, member: Member) {
        let node = self.node(member);
        let here = node.addresses();
        for (_, address) in all_held().filter(|(_, address)| here.contains(address)) {
            let length = match address {
                IpAddr::V4(_) if address == Service::Web.addresses()[0] => 24,
                IpAddr::V4(_) => 32,
                IpAddr::V6(_) if address == Service::Mail.addresses()[1] => 128,
                IpAddr::V6(_) => 64,
            };
            let mut command = std::process::Command::new("ip");
            command.args(["address", "delete", &format!("{address}/{length}"), "dev", "eth0"]);
            // The daemon may have removed the address at this moment.
            let _may_be_gone = node.ns.enter(|| command.output().expect("ip address delete"));
        }
    }

    /// Runs `vrrpctl`, which must succeed.
    fn command(&self, member: Member, arguments: &[&str]) -> Result<(), String> {
        let answer = self.daemon(member).ctl(arguments);
        (answer.code == 0).then_some(()).ok_or_else(|| {
            format!("vrrpctl {} ended with {}: {}", arguments.join(" "), answer.code, answer.stderr)
        })
    }

    /// Ends the daemons as a service manager does.
    pub(crate) fn stop(&mut self) -> Vec<Violation> {
        let mut wrong = Vec::new();
        for (member, daemon) in &mut self.daemons {
            let daemon = daemon.get_mut().unwrap();
            if daemon.process().is_running()
                && let Err(what) = terminate(daemon)
            {
                wrong.push(Violation::Refused { member: *member, what });
            }
        }
        wrong
    }
}

/// Sends SIGTERM, and waits for the end.
fn terminate(daemon: &mut Daemon) -> Result<(), String> {
    let status = daemon.terminate();
    status.success().then_some(()).ok_or_else(|| format!("SIGTERM ended it with {status}"))
}

/// Runs `ip` commands, and others after a while; then gives the node its management addresses
/// again.
fn interrupt(node: &Node, begin: &str, lasts: Duration, end: &str) -> Result<(), String> {
    node.ns.ip(begin);
    wait_out(lasts);
    node.ns.ip(end);
    node.configure("eth0");
    Ok(())
}

/// The file that the check of a node looks for.
fn alive(node: &Node) -> PathBuf {
    node.dir().join("alive")
}

fn config(member: Member, node: &Node, rank: Rank, interval: Duration) -> Config {
    let path = alive(node);
    let command = format!("[\"/usr/bin/test\", \"-e\", {path:?}]");
    let mut config = Config::new().check("service", &command, &[("interval", "\"200ms\"")]);
    for service in Service::ALL {
        let router = Router::new(service.name())
            .vrid(service.vrid())
            .priority(priority(service, member, rank))
            .interval(&format!("{}ms", interval.as_millis()))
            .addresses(&service.configured())
            .key("track", "[{ check = \"service\" }]");
        config = config.with(&router);
    }
    config
}
