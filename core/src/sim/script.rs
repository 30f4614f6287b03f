//! What can be done to a world from outside: faults, the commands of operators, and repairs.

use super::audience::Audience;
use super::checker::{Checker, Violation};
use super::checkers::Views;
use super::gaps::Bridge;
use super::kernel::KernelBehaviour;
use super::lan::{Cable, Conditions, Echo, Path, Port};
use super::node::{Packets, ProcessState, QueuedInput, Removal, SimNode, instances};
use super::router::{RouterNumber, SimRouter};
use super::speech::Speech;
use super::world::{Station, World};
use crate::protocol::{CheckResult, Command, CommandId, Demotion, Force, LastResort, RouterSpec, Track};
use crate::types::{AdverInterval, Family, InstanceKey, MonoTime, Preempt, Priority, Role, RouterName};
use std::time::Duration;

/// What a dying process leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// The addresses stay, because the process was killed.
    Addresses,
    /// Nothing stays, because the machine lost power.
    Nothing,
}

/// Whether a node is told that a cable was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarrierSignal {
    /// The cable is that of the node itself: the link goes down.
    Lost,
    /// The cable is between switches: the link stays up.
    Kept,
}

/// Whether a station has its source addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The station has them.
    Present,
    /// The addresses are away: replaced, renewed or flushed.
    Absent,
}

/// Whether the kernel sends what it is given to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transmission {
    /// The kernel sends it.
    Works,
    /// The kernel refuses it, because of a filter on the machine.
    Fails,
}

/// Whether the sockets of a station are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sockets {
    /// The sockets are open.
    Open,
    /// The sockets could not be opened.
    Closed,
}

/// What a reload changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecChange {
    /// Advertisement_Interval.
    Interval(AdverInterval),
    /// Preempt_Mode of a contender.
    Preempt(Preempt),
    /// `preempt_delay`.
    PreemptDelay(Duration),
    /// The families, each with its usual addresses.
    Families(Vec<Family>),
    /// One more address in each family.
    MoreAddresses,
    /// What is spoken in IPv4.
    Speech(Speech),
    /// To whom the router sends, and whom it believes.
    Audience(Audience),
    /// The tracked checks.
    Tracks(Vec<Track>),
    /// The name of the router.
    Name(RouterName),
    /// Everything is as it was before.
    Back,
}

/// One act of a script.
#[derive(Debug, Clone)]
pub enum Act {
    /// Starts a station that does not run.
    Start(Port),
    /// Asks a station to end: SIGTERM.
    Stop(Port),
    /// Kills the process of a station without warning.
    Crash(Port, Leftovers),
    /// Stops scheduling the process of a station.
    Stall(Port, Packets),
    /// Schedules the process again.
    Wake(Port),
    /// `vrrpctl demote`.
    Demote(Port, Force),
    /// `vrrpctl demote --drain`: connections are kept for this long.
    DemoteDraining(Port, Duration),
    /// The kernel of a station refuses so many drains.
    RefuseDrains(Port, u8),
    /// An operator demotes the router to the last resort: it serves only when no other router does.
    LastResort(Port),
    /// `vrrpctl promote`.
    Promote(Port),
    /// Every health check of a node has this result.
    Check(Port, CheckResult),
    /// A reload that changes the role.
    ChangeRole(Port, Role),
    /// A reload that changes nothing.
    Reload(Port),
    /// A reload that changes something other than the role.
    Reconfigure(Port, SpecChange),
    /// A check is not run any more, so it does not have a result.
    CheckRemoved(Port),
    /// Opens or closes the sockets of one family.
    Sockets(Port, Family, Sockets),
    /// Another program removes the addresses of one family from the interface.
    Removal(Port, Family, Removal),
    /// Whether advertisements of one family can be sent.
    Transmission(Port, Family, Transmission),
    /// The clean-up after a crash takes the place of the process that died.
    FinishCrashedRun(Port),
    /// Plugs or cuts the cable of a station.
    Cable(Port, Cable, CarrierSignal),
    /// Adds or removes the source addresses of a station.
    Source(Port, Source),
    /// Opens or blocks one direction between two stations.
    Path(Port, Port, Path),
    /// Starts or stops the reflection of the packets of a station.
    Echo(Port, Echo),
    /// Changes the conditions of the LAN.
    Conditions(Conditions),
    /// Changes the behaviour of a kernel.
    Kernel(Port, KernelBehaviour),
    /// Repairs everything except what operators and checks set: the LAN, cables and kernels. Wakes
    /// every stalled station and starts every station that is down.
    Repair,
    /// Declares that the last fault is over: from now on the rules of a healthy LAN apply.
    FaultsEnd,
    /// Declares that faults begin.
    FaultsBegin,
}

impl SpecChange {
    fn apply(&self, router: &mut SimRouter) {
        let SimRouter { number, spec, usual_spec, speech, .. } = router;
        match self {
            Self::Interval(interval) => spec.interval = *interval,
            Self::PreemptDelay(delay) => spec.preempt_delay = *delay,
            Self::Tracks(tracks) => spec.tracks.clone_from(tracks),
            // Names are unique.
            Self::Name(name) => {
                if *number == RouterNumber::First {
                    spec.name = name.clone();
                }
            }
            Self::Preempt(wanted) => {
                if let Role::Contender { preempt, .. } = &mut spec.role {
                    *preempt = *wanted;
                }
            }
            Self::Families(families) => spec.instances = instances(*number, families, *speech),
            Self::Speech(speech) => {
                for instance in &mut spec.instances {
                    let Speech { version, authentication } = speech.of(instance.family);
                    (instance.version, instance.authentication) = (version, authentication);
                }
            }
            Self::Audience(audience) => spec.destinations = audience.destinations(),
            Self::MoreAddresses => {
                for instance in &mut spec.instances {
                    instance.addresses.extend(number.more_addresses(instance.family));
                }
            }
            Self::Back => spec.clone_from(usual_spec),
        }
    }
}

/// The role of the second router: a node that is preferred for one router is not for the other.
fn mirrored(role: Role) -> Role {
    match role {
        Role::Owner => Role::Owner,
        Role::Contender { priority, preempt } => {
            let priority = Priority::clamped(255 - i32::from(priority.get()));
            Role::Contender { priority, preempt }
        }
    }
}

impl World {
    pub(super) fn carry_out_act(&mut self, act: Act) -> Result<(), Violation> {
        self.tell_better_backups()?;
        let views = self.all_views();
        match act {
            Act::Start(port) => {
                self.allow_gap_if_nobody_serves(&views);
                self.start(port)
            }
            Act::Stop(port) => self.stop(&views, port),
            Act::Crash(port, leftovers) => {
                self.checkers.allow_gap(self.now);
                self.crash(port, leftovers);
                Ok(())
            }
            Act::Stall(port, packets) => {
                self.checkers.allow_gap(self.now);
                self.stall(port, packets);
                Ok(())
            }
            Act::Wake(port) => self.wake(port),
            Act::Demote(port, force) => self.demote(&views, port, force, LastResort::No, None),
            Act::DemoteDraining(port, drain) => {
                self.demote(&views, port, Force::No, LastResort::No, Some(drain))
            }
            Act::RefuseDrains(port, count) => {
                if let Some(Station::Ours(node)) = self.stations.get_mut(port.0) {
                    node.kernel.refuse_drains(count);
                }
                Ok(())
            }
            Act::LastResort(port) => self.demote(&views, port, Force::No, LastResort::Yes, None),
            Act::Promote(port) => self.promote(&views, port),
            Act::Check(port, result) => self.check(&views, port, result),
            Act::ChangeRole(port, role) => self.change_role(&views, port, role),
            Act::Reload(port) => self.reload(port),
            Act::Reconfigure(port, change) => self.reconfigure(port, change),
            Act::CheckRemoved(port) => self.remove_checks(port),
            Act::Sockets(port, family, sockets) => self.sockets(port, family, sockets),
            Act::Removal(port, family, removal) => self.remove_addresses(port, family, removal),
            Act::Transmission(port, family, transmission) => {
                if let Some(Station::Ours(node)) = self.stations.get_mut(port.0) {
                    match transmission {
                        Transmission::Works => drop(node.unsendable.remove(&family)),
                        Transmission::Fails => drop(node.unsendable.insert(family)),
                    }
                }
                Ok(())
            }
            Act::FinishCrashedRun(port) => self.finish_crashed_run(port),
            Act::Cable(port, cable, carrier) => self.cable(port, cable, carrier),
            Act::Source(port, source) => self.source(port, source),
            Act::Path(from, to, path) => {
                self.lan.set_path(from, to, path);
                self.find_components();
                Ok(())
            }
            Act::Echo(port, echo) => {
                self.lan.set_echo(port, echo);
                Ok(())
            }
            Act::Conditions(conditions) => {
                self.lan.set_conditions(conditions);
                Ok(())
            }
            Act::Kernel(port, behaviour) => {
                self.set_behaviour(port, behaviour);
                Ok(())
            }
            Act::Repair => self.repair(),
            Act::FaultsEnd => {
                let now = self.now;
                self.checkers.each().for_each(|checker| checker.faults_end(now));
                Ok(())
            }
            Act::FaultsBegin => {
                self.checkers.each().for_each(Checker::faults_begin);
                Ok(())
            }
        }
    }

    /// Does what the daemon does when it starts: it removes leftovers, then gives the core the
    /// configuration, the demotions from the state directory, the links, and the first results of
    /// the checks.
    fn start(&mut self, port: Port) -> Result<(), Violation> {
        let mut queued_inputs = Vec::new();
        queued_inputs.extend(self.drain_partners(port).map(QueuedInput::DrainPartners));
        match self.stations.get_mut(port.0) {
            Some(Station::Ours(node)) if node.run == ProcessState::Down => {
                node.kernel.remove_leftovers();
                node.begin();
                let drains = node.kernel.all_draining();
                queued_inputs.extend(drains.map(|(key, until)| QueuedInput::DrainOfEarlierRun(key, until)));
                for router in &node.routers {
                    let saved = router.demotion.clone();
                    let saved = saved.map(|it| QueuedInput::SavedDemotion(router.spec.name.clone(), it));
                    queued_inputs.extend(saved);
                }
                queued_inputs.push(QueuedInput::Configure(node.specs()));
                queued_inputs.push(QueuedInput::Link(node.link.clone()));
                queued_inputs.extend(
                    node.checks.iter().map(|(name, result)| QueuedInput::Check(name.clone(), *result)),
                );
                self.checkers.process_changed(self.now, port);
                self.connections.iter_mut().for_each(|connections| connections.process_began(port));
            }
            Some(Station::Foreign(instances)) => {
                let now = MonoTime::from_nanos(self.now.as_nanos());
                let messages: Vec<_> = instances
                    .iter_mut()
                    .filter(|m| m.next_deadline().is_none())
                    .map(|m| {
                        let message = m.start(now);
                        m.message(message).map(|said| (*m.setup(), said))
                    })
                    .collect();
                self.checkers.process_changed(self.now, port);
                for message in messages {
                    self.send_foreign(port, message);
                }
            }
            Some(Station::Ours(_)) | None => return Ok(()),
        }
        queued_inputs.into_iter().try_for_each(|queued| self.deliver(port, queued))
    }

    fn stop(&mut self, views: &Views, port: Port) -> Result<(), Violation> {
        self.allow_gap_unless_bridged(views, port, Bridge::AnyWilling);
        match self.stations.get_mut(port.0) {
            Some(Station::Ours(_)) => return self.deliver(port, QueuedInput::Shutdown),
            Some(Station::Foreign(instances)) => {
                // The node drops its addresses before any other router can have them.
                self.checkers.allow_gap(self.now);
                let messages: Vec<_> = instances
                    .iter_mut()
                    .map(|m| {
                        let message = m.stop();
                        m.message(message).map(|said| (*m.setup(), said))
                    })
                    .collect();
                for message in messages {
                    self.send_foreign(port, message);
                }
            }
            None => {}
        }
        Ok(())
    }

    fn crash(&mut self, port: Port, leftovers: Leftovers) {
        match self.stations.get_mut(port.0) {
            Some(Station::Ours(node)) => {
                node.life += 1;
                node.run = ProcessState::Down;
                node.socket.clear();
                node.queued_inputs.clear();
                node.forget_views();
                match leftovers {
                    Leftovers::Addresses => node.kernel.forget_requests(),
                    Leftovers::Nothing => node.kernel.clear(),
                }
                if let Some(connections) = &mut self.connections {
                    connections.process_ended(self.now, port);
                    match leftovers {
                        Leftovers::Addresses => {}
                        Leftovers::Nothing => connections.power_off(port),
                    }
                }
            }
            Some(Station::Foreign(instances)) => {
                for instance in instances {
                    instance.stop();
                }
            }
            None => {}
        }
    }

    fn stall(&mut self, port: Port, packets: Packets) {
        if let Some(Station::Ours(node)) = self.stations.get_mut(port.0)
            && node.run == ProcessState::Up
        {
            node.run = ProcessState::Stalled(packets);
        }
    }

    /// Does what the reactor does: it reads the socket first, then the mailbox, then handles
    /// deadlines.
    fn wake(&mut self, port: Port) -> Result<(), Violation> {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        if !matches!(node.run, ProcessState::Stalled(_)) {
            return Ok(());
        }
        node.run = ProcessState::Up;
        let now = self.now;
        self.checkers.each().for_each(|checker| checker.woken(now, port));
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        let packets = std::mem::take(&mut node.socket);
        let queued_inputs = std::mem::take(&mut node.queued_inputs);
        for packet in packets {
            // What the node hears may end its hand-over, and then the process ends too.
            if self.node(port).is_some_and(|node| node.run == ProcessState::Up) {
                self.feed_packet(port, &packet)?;
            }
        }
        queued_inputs.into_iter().try_for_each(|queued| self.deliver(port, queued))
    }

    fn demote(
        &mut self,
        views: &Views,
        port: Port,
        force: Force,
        last_resort: LastResort,
        drain: Option<Duration>,
    ) -> Result<(), Violation> {
        if force == Force::Yes {
            self.allow_gap_unless_bridged(views, port, Bridge::AnyWilling);
        } else {
            self.allow_gap_if_last_successor(views, port);
        }
        let demotion = Demotion {
            since: String::new(),
            until: None,
            last_resort,
            reason: String::new(),
            by: "operator".to_owned(),
        };
        self.names_of(port).into_iter().try_for_each(|router| {
            let demotion = demotion.clone();
            self.command(port, Command::Demote { router, demotion, force, drain })
        })
    }

    fn promote(&mut self, views: &Views, port: Port) -> Result<(), Violation> {
        self.allow_gap_if_nobody_serves(views);
        self.checkers.priority_changed(self.now, port);
        let mut names = self.names_of(port).into_iter();
        names.try_for_each(|router| self.command(port, Command::Promote { router }))
    }

    /// The names of the routers of a node: what operators do to a node, they do to each of them.
    fn names_of(&self, port: Port) -> Vec<RouterName> {
        let routers = self.node(port).map(|node| node.routers.as_slice()).unwrap_or_default();
        routers.iter().map(|router| router.spec.name.clone()).collect()
    }

    fn command(&mut self, port: Port, command: Command) -> Result<(), Violation> {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        if node.run == ProcessState::Down {
            return Ok(());
        }
        node.asked += 1;
        let id = CommandId(node.asked);
        self.deliver(port, QueuedInput::Command(id, command))
    }

    fn check(&mut self, views: &Views, port: Port, result: CheckResult) -> Result<(), Violation> {
        self.checkers.priority_changed(self.now, port);
        match result {
            CheckResult::Failing => self.allow_gap_unless_bridged(views, port, Bridge::Obedient),
            CheckResult::Passing => self.allow_gap_if_nobody_serves(views),
        }
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        let names: Vec<_> = node.checks.keys().cloned().collect();
        for known in node.checks.values_mut() {
            *known = result;
        }
        names.into_iter().try_for_each(|name| self.deliver(port, QueuedInput::Check(name, result)))
    }

    fn change_role(&mut self, views: &Views, port: Port, role: Role) -> Result<(), Violation> {
        self.checkers.priority_changed(self.now, port);
        self.allow_gap_if_contested(views, port);
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        for router in &mut node.routers {
            let role = match router.number {
                RouterNumber::First => role,
                RouterNumber::Second => mirrored(role),
            };
            router.spec.role = role;
            router.usual_spec.role = role;
        }
        let specs = node.specs();
        self.deliver(port, QueuedInput::Configure(specs))
    }

    fn reconfigure(&mut self, port: Port, change: SpecChange) -> Result<(), Violation> {
        self.checkers.priority_changed(self.now, port);
        self.checkers.allow_gap(self.now);
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        for router in &mut node.routers {
            let interval = router.spec.interval;
            change.apply(router);
            if router.spec.interval != interval {
                self.checkers.of_mut(router.number).rate_changed(self.now, port);
            }
        }
        let specs = node.specs();
        self.find_components();
        self.deliver(port, QueuedInput::Configure(specs))
    }

    fn remove_checks(&mut self, port: Port) -> Result<(), Violation> {
        self.checkers.allow_gap(self.now);
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        let names: Vec<_> = node.checks.keys().cloned().collect();
        names.into_iter().try_for_each(|name| self.deliver(port, QueuedInput::CheckRemoved(name)))
    }

    fn sockets(&mut self, port: Port, family: Family, sockets: Sockets) -> Result<(), Violation> {
        self.checkers.allow_gap(self.now);
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        let (changed, outcome) = match sockets {
            Sockets::Open => (node.closed_sockets.remove(&family), Ok(())),
            Sockets::Closed => (node.closed_sockets.insert(family), Err("no such device".to_owned())),
        };
        if changed { self.deliver(port, QueuedInput::Sockets(family, outcome)) } else { Ok(()) }
    }

    /// The agent notices that addresses were removed from the interface only while it holds them.
    fn remove_addresses(&mut self, port: Port, family: Family, removal: Removal) -> Result<(), Violation> {
        for number in self.checkers.numbers() {
            let key = number.key(family);
            let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
            // A stalled process is not told in time, so its announcements until then are not an
            // error.
            if !node.kernel.holds(key) || node.run != ProcessState::Up {
                continue;
            }
            match removal {
                Removal::PutBack | Removal::Reinstalled => {}
                Removal::Refused => {
                    node.kernel.lose(key);
                    self.checkers.allow_gap(self.now);
                    self.checkers.refusals_happen();
                }
            }
            self.deliver(port, QueuedInput::AddressesTouched(key, removal))?;
        }
        Ok(())
    }

    /// Does what `vrrpd --clean-up` does: the links, then the routers that were Active, then the
    /// end.
    fn finish_crashed_run(&mut self, port: Port) -> Result<(), Violation> {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        let holds = |key: &InstanceKey| node.kernel.holds(*key);
        let was_active = |spec: &RouterSpec| spec.keys().all(|key| holds(&key));
        let (active, other): (Vec<_>, Vec<_>) = node.specs().into_iter().partition(was_active);
        let held_in_part = other.iter().any(|spec| spec.keys().any(|key| holds(&key)));
        if node.run != ProcessState::Down || active.is_empty() || held_in_part {
            return Ok(());
        }
        node.kernel.forget_requests();
        // The crashed run may have left addresses of an earlier configuration.
        node.kernel.keep(&active.iter().flat_map(RouterSpec::keys).collect());
        node.begin();
        self.checkers.process_changed(self.now, port);
        for spec in &active {
            for key in spec.keys() {
                self.checkers.of_mut(RouterNumber::of(key)).inherits(port, std::iter::once(key));
            }
        }
        let without_checks = |spec| RouterSpec { tracks: Vec::new(), ..spec };
        let queued_inputs = [
            QueuedInput::Link(node.link.clone()),
            QueuedInput::FinishCrashedRun(active.into_iter().map(without_checks).collect()),
            QueuedInput::Shutdown,
        ];
        queued_inputs.into_iter().try_for_each(|queued| self.deliver(port, queued))
    }

    fn reload(&mut self, port: Port) -> Result<(), Violation> {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        let specs = node.specs();
        self.deliver(port, QueuedInput::Configure(specs))
    }

    fn cable(&mut self, port: Port, cable: Cable, carrier: CarrierSignal) -> Result<(), Violation> {
        self.checkers.allow_gap(self.now);
        self.lan.set_cable(port, cable);
        self.find_components();
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        let up = cable == Cable::Plugged || carrier == CarrierSignal::Kept;
        if node.link.carrier == up {
            return Ok(());
        }
        node.link.carrier = up;
        let facts = node.link.clone();
        self.deliver(port, QueuedInput::Link(facts))
    }

    fn source(&mut self, port: Port, source: Source) -> Result<(), Violation> {
        let Some(Station::Ours(node)) = self.stations.get_mut(port.0) else { return Ok(()) };
        let (ipv4, ipv6_link_local) = match source {
            Source::Present => node.host.sources(),
            Source::Absent => (Vec::new(), Vec::new()),
        };
        if (&node.link.ipv4, &node.link.ipv6_link_local) == (&ipv4, &ipv6_link_local) {
            return Ok(());
        }
        node.link.ipv4 = ipv4;
        node.link.ipv6_link_local = ipv6_link_local;
        let facts = node.link.clone();
        self.deliver(port, QueuedInput::Link(facts))
    }

    fn set_behaviour(&mut self, port: Port, behaviour: KernelBehaviour) {
        if behaviour.refusals > 0 {
            self.checkers.refusals_happen();
        }
        if let Some(Station::Ours(node)) = self.stations.get_mut(port.0) {
            node.kernel.set_behaviour(behaviour);
        }
    }

    fn repair(&mut self) -> Result<(), Violation> {
        self.lan.repair();
        self.find_components();
        self.lan.set_conditions(Conditions::HEALTHY);
        for port in (0..self.stations.len()).map(Port) {
            self.set_behaviour(port, KernelBehaviour::HEALTHY);
            self.cable(port, Cable::Plugged, CarrierSignal::Kept)?;
            self.source(port, Source::Present)?;
            for family in [Family::Ipv4, Family::Ipv6] {
                self.sockets(port, family, Sockets::Open)?;
            }
            let changed = |node: &SimNode| node.routers.iter().any(|router| router.spec != router.usual_spec);
            if let Some(Station::Ours(node)) = self.stations.get_mut(port.0) {
                node.unsendable.clear();
            }
            if self.node(port).is_some_and(changed) {
                self.reconfigure(port, SpecChange::Back)?;
            }
            self.wake(port)?;
            self.start(port)?;
        }
        Ok(())
    }
}
