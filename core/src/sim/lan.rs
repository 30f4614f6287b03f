//! The LAN: which stations hear each other, after what delay, and in what condition packets arrive.
//!
//! The LAN decides what happens to each copy of a packet; the world moves the copy. The LAN knows
//! nothing of VRRP.

use super::rng::{PerMille, Rng};
use std::time::Duration;

/// The port into which a station is plugged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub usize);

/// What happens to packets on the way. Packets are reordered because their delays differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// The probability that a copy is lost.
    pub loss: PerMille,
    /// The probability that a copy arrives twice.
    pub duplication: PerMille,
    /// The probability that a copy arrives damaged.
    pub corruption: PerMille,
    /// The shortest delay.
    pub least_delay: Duration,
    /// The longest delay.
    pub most_delay: Duration,
}

impl Conditions {
    /// The conditions of a healthy switch.
    pub const HEALTHY: Self = Self {
        loss: PerMille::NEVER,
        duplication: PerMille::NEVER,
        corruption: PerMille::NEVER,
        least_delay: Duration::from_micros(20),
        most_delay: Duration::from_micros(200),
    };
}

/// The path from one port to another, in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Packets pass.
    Open,
    /// Nothing passes, and no station is told about it.
    Blocked,
}

/// Whether the cable of a station is plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cable {
    /// The cable is plugged in.
    Plugged,
    /// The cable is out: nothing passes in either direction.
    Cut,
}

/// Whether the bridge sends a station its own packets back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// The bridge does not send them back.
    Silent,
    /// The bridge sends them back.
    Reflects,
}

/// The condition in which a copy arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrity {
    /// The copy arrives as it was sent.
    Intact,
    /// The copy arrives with a few bits flipped, or cut short.
    Damaged,
}

/// One copy that will arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The port at which the copy arrives.
    pub port: Port,
    /// How long the copy is on its way.
    pub after: Duration,
    /// The condition in which the copy arrives.
    pub copy: Integrity,
}

/// A broadcast domain with some ports.
#[derive(Debug, Clone)]
pub struct Lan {
    conditions: Conditions,
    /// The paths; the index of a path is `from * ports + to`.
    paths: Vec<Path>,
    ports: Vec<(Cable, Echo)>,
}

impl Lan {
    /// A healthy LAN.
    #[must_use]
    pub fn new(ports: usize) -> Self {
        Self {
            conditions: Conditions::HEALTHY,
            paths: vec![Path::Open; ports * ports],
            ports: vec![(Cable::Plugged, Echo::Silent); ports],
        }
    }

    /// Changes the conditions on all paths.
    pub const fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    /// The conditions that hold now.
    #[must_use]
    pub const fn conditions(&self) -> Conditions {
        self.conditions
    }

    /// Opens or blocks one direction.
    pub fn set_path(&mut self, from: Port, to: Port, path: Path) {
        let at = from.0 * self.ports.len() + to.0;
        if let Some(slot) = self.paths.get_mut(at) {
            *slot = path;
        }
    }

    /// Cuts or plugs in the cable of a station.
    pub fn set_cable(&mut self, port: Port, cable: Cable) {
        if let Some((slot, _)) = self.ports.get_mut(port.0) {
            *slot = cable;
        }
    }

    /// Starts or stops the reflection of the packets of a station to itself.
    pub fn set_echo(&mut self, port: Port, echo: Echo) {
        if let Some((_, slot)) = self.ports.get_mut(port.0) {
            *slot = echo;
        }
    }

    /// Opens every path, plugs in every cable, and stops all reflections.
    pub fn repair(&mut self) {
        self.paths.fill(Path::Open);
        self.ports.fill((Cable::Plugged, Echo::Silent));
    }

    /// Whether anything that `from` sends can reach `to`.
    #[must_use]
    pub fn reaches(&self, from: Port, to: Port) -> bool {
        let at = from.0 * self.ports.len() + to.0;
        self.paths.get(at) == Some(&Path::Open) && self.plugged(from) && self.plugged(to)
    }

    /// Whether the cable of a station is plugged in.
    #[must_use]
    pub fn plugged(&self, port: Port) -> bool {
        self.ports.get(port.0).is_some_and(|(cable, _)| *cable == Cable::Plugged)
    }

    /// The copies of one packet that will arrive, at the ports for which it is meant.
    pub fn carry(
        &self,
        from: Port,
        is_meant: impl Fn(Port) -> bool,
        rng: &mut Rng,
        arrivals: &mut Vec<Arrival>,
    ) {
        for (to, (_, echo)) in self.ports.iter().enumerate() {
            let to = Port(to);
            let comes_back = to != from || *echo == Echo::Reflects;
            if !comes_back || !is_meant(to) || !self.reaches(from, to) {
                continue;
            }
            let copies = if rng.chance(self.conditions.duplication) { 2 } else { 1 };
            for _ in 0..copies {
                if !rng.chance(self.conditions.loss) {
                    arrivals.push(self.arrival(to, rng));
                }
            }
        }
    }

    /// How long a packet is on its way.
    pub fn delay(conditions: Conditions, rng: &mut Rng) -> Duration {
        rng.between(conditions.least_delay, conditions.most_delay)
    }

    fn arrival(&self, port: Port, rng: &mut Rng) -> Arrival {
        let after = Self::delay(self.conditions, rng);
        let copy =
            if rng.chance(self.conditions.corruption) { Integrity::Damaged } else { Integrity::Intact };
        Arrival { port, after, copy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard_by(lan: &Lan, from: Port) -> Vec<usize> {
        let mut arrivals = Vec::new();
        lan.carry(from, |_| true, &mut Rng::new(1), &mut arrivals);
        arrivals.into_iter().map(|arrival| arrival.port.0).collect()
    }

    #[test]
    fn a_packet_reaches_everybody_but_its_sender() {
        assert_eq!(heard_by(&Lan::new(3), Port(1)), [0, 2]);
    }

    #[test]
    fn a_packet_for_one_station_reaches_that_station_alone() {
        let mut arrivals = Vec::new();
        Lan::new(3).carry(Port(1), |port| port == Port(2), &mut Rng::new(1), &mut arrivals);
        assert_eq!(arrivals.iter().map(|arrival| arrival.port).collect::<Vec<_>>(), [Port(2)]);
    }

    #[test]
    fn a_partition_may_be_one_way() {
        let mut lan = Lan::new(2);
        lan.set_path(Port(0), Port(1), Path::Blocked);
        assert_eq!((heard_by(&lan, Port(0)), heard_by(&lan, Port(1))), (vec![], vec![0]));
    }

    #[test]
    fn a_cut_cable_silences_both_directions() {
        let mut lan = Lan::new(3);
        lan.set_cable(Port(0), Cable::Cut);
        assert_eq!((heard_by(&lan, Port(0)), heard_by(&lan, Port(1))), (vec![], vec![2]));
    }

    #[test]
    fn a_reflecting_bridge_sends_a_packet_back() {
        let mut lan = Lan::new(2);
        lan.set_echo(Port(0), Echo::Reflects);
        assert_eq!(heard_by(&lan, Port(0)), [0, 1]);
    }

    #[test]
    fn loss_and_duplication_follow_their_chances() {
        let mut lan = Lan::new(2);
        let certain = PerMille::ALWAYS;
        lan.set_conditions(Conditions { duplication: certain, ..Conditions::HEALTHY });
        assert_eq!(heard_by(&lan, Port(0)), [1, 1]);
        lan.set_conditions(Conditions { loss: certain, ..Conditions::HEALTHY });
        assert_eq!(heard_by(&lan, Port(0)), Vec::<usize>::new());
    }
}
