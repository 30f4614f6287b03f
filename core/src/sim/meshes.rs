//! What a random world draws of unicast: lists of stations, whole ones and ones in which a station is
//! missing; cuts in one direction; and reloads of the lists.

use super::audience::{Audience, StationList};
use super::checker::Violation;
use super::clock::TrueTime;
use super::lan::{Path, Port};
use super::node::Host;
use super::rng::{PerMille, Rng};
use super::script::{Act, SpecChange};
use super::world::{StationSetup, World};
use std::time::Duration;

/// How often the stations of a world send to the stations of a list.
const UNICAST: PerMille = PerMille::new(170);
/// How often a node of a careless operator has a list in which another station is missing: then the two
/// do not hear each other, whatever the list of the other one is.
const MISSING: PerMille = PerMille::new(400);
/// How often the operator of a world with lists is careless.
const CARELESS: PerMille = PerMille::new(250);
/// How often a reload of a node in such a world changes its list.
const ANOTHER_LIST: PerMille = PerMille::new(350);
/// How often a reload of a node in any other world gives it a list.
const FIRST_LIST: PerMille = PerMille::new(30);
/// How often a cut in one direction is added to a fault, and how often one stays when the faults end.
const CUT: PerMille = PerMille::new(400);
const CUT_STAYS: PerMille = PerMille::new(150);

/// Draws what belongs to unicast, from a generator of its own, so that what else is drawn from a seed
/// stays the same.
#[derive(Debug)]
pub(super) struct MeshDraw {
    rng: Rng,
    hosts: Vec<Host>,
    /// Whether the stations of this world send to those of a list.
    unicast: bool,
    /// Whether some did not hear one another in the calm, and were mended at the end.
    mended: bool,
}

impl MeshDraw {
    pub(super) const fn new(seed: u64) -> Self {
        let rng = Rng::new(seed.rotate_left(24) ^ 0x006d_6573_6865_7321);
        Self { rng, hosts: Vec::new(), unicast: false, mended: false }
    }

    /// Whether some stations did not hear one another in the calm, and were mended at the end.
    pub(super) const fn has_mended(&self) -> bool {
        self.mended
    }

    fn whole(&self) -> StationList {
        StationList::new(self.hosts.iter().copied())
    }

    /// Gives the stations of some worlds a list: all of them the same, at times without their own
    /// address. Some of our nodes lack another station.
    pub(super) fn list_stations(&mut self, stations: &mut [StationSetup]) {
        self.hosts = stations.iter().map(StationSetup::host).collect();
        self.unicast = self.rng.chance(UNICAST);
        if !self.unicast {
            return;
        }
        for at in 0..self.hosts.len() {
            for other in 0..self.hosts.len() {
                if self.rng.chance(PerMille::new(200)) {
                    self.hosts.swap(at, other);
                }
            }
        }
        let whole = self.whole();
        let careless = self.rng.chance(CARELESS);
        for station in stations {
            let own = station.host();
            let list = if self.rng.chance(PerMille::new(500)) { whole } else { whole.without(own) };
            match station {
                StationSetup::Ours(node) => {
                    let missing = careless && self.rng.chance(MISSING);
                    let list = if missing { self.without_another(list, own) } else { list };
                    node.audience = Audience::Listed(list);
                }
                StationSetup::Foreign(_, peer) => peer.audience = Audience::Listed(list),
            }
        }
    }

    fn without_another(&mut self, list: StationList, own: Host) -> StationList {
        let others: Vec<Host> = list.hosts().filter(|host| *host != own).collect();
        self.rng.pick(&others.iter().map(|host| list.without(*host)).collect::<Vec<_>>(), list)
    }

    /// A reload that changes to whom a node sends, if one is drawn. Until it is taken back, some do not
    /// hear one another.
    pub(super) fn change(&mut self, world: &World, port: Port) -> Option<SpecChange> {
        let drawn = self.rng.chance(if self.unicast { ANOTHER_LIST } else { FIRST_LIST });
        let own = world.node(port).filter(|_| drawn)?.host();
        let whole = self.whole();
        Some(SpecChange::Audience(match self.rng.below(4) {
            0 if self.unicast => Audience::Group,
            // It is the only one in its list, which is a fault.
            1 => Audience::Listed(StationList::new([own])),
            2 => Audience::Listed(self.without_another(whole, own)),
            _ => Audience::Listed(whole),
        }))
    }

    fn direction(&mut self) -> (Port, Port) {
        let from = self.rng.index(self.hosts.len());
        let to = (from + 1 + self.rng.index(self.hosts.len() - 1)) % self.hosts.len();
        (Port(from), Port(to))
    }

    /// Among the faults of a world with lists: one direction between two stations is cut for a while.
    pub(super) fn cut(&mut self, world: &mut World, span: Duration, end: TrueTime) {
        if !self.unicast || !self.rng.chance(CUT) {
            return;
        }
        let (from, to) = self.direction();
        let at = TrueTime::ZERO + self.rng.between(Duration::ZERO, end.since(TrueTime::ZERO));
        let until = (at + self.rng.between(Duration::ZERO, span * 20)).min(end);
        world.at(at, Act::Path(from, to, Path::Blocked));
        world.at(until, Act::Path(from, to, Path::Open));
    }

    /// When the faults end: at times one direction between two stations stays cut.
    pub(super) fn leave_a_cut(&mut self, world: &mut World) -> Result<(), Violation> {
        if !self.unicast || !self.rng.chance(CUT_STAYS) {
            return Ok(());
        }
        let (from, to) = self.direction();
        world.act(Act::Path(from, to, Path::Blocked))
    }

    /// If some did not hear one another although they should have: the lists are mended by a reload of
    /// each node, and the cuts are over. Then the rules of a whole LAN hold for all stations together.
    pub(super) fn mend(&mut self, world: &mut World) -> Result<(), Violation> {
        if !self.unicast || !world.has_strangers() {
            return Ok(());
        }
        self.mended = true;
        world.act(Act::FaultsBegin)?;
        world.act(Act::Repair)?;
        let whole = Audience::Listed(self.whole());
        for port in (0..self.hosts.len()).map(Port) {
            world.act(Act::Reconfigure(port, SpecChange::Audience(whole)))?;
        }
        world.act(Act::FaultsEnd)?;
        world.run_for(world.settle())?;
        world.judge_quiescence()
    }
}
