//! The checkers of a world: one for each virtual router.

use super::bounds::Bounds;
use super::checker::Checker;
use super::clock::TrueTime;
use super::lan::Port;
use super::router::RouterNumber;
use super::view::StationView;
use super::world::WorldSetup;
use std::time::Duration;

/// Every station, as the rules of each virtual router see it.
pub(super) type Views = Vec<(RouterNumber, Vec<StationView>)>;

/// One checker for each virtual router.
#[derive(Debug)]
pub(super) struct Checkers {
    first: Checker,
    second: Option<Checker>,
}

impl Checkers {
    pub(super) fn new(setup: &WorldSetup) -> Self {
        let second = setup.has_second_router().then(|| Checker::new(setup, RouterNumber::Second));
        Self { first: Checker::new(setup, RouterNumber::First), second }
    }

    /// The virtual routers of the world.
    pub(super) fn numbers(&self) -> impl Iterator<Item = RouterNumber> + use<> {
        let second = self.second.is_some().then_some(RouterNumber::Second);
        std::iter::once(RouterNumber::First).chain(second)
    }

    pub(super) fn of(&self, number: RouterNumber) -> &Checker {
        match (number, &self.second) {
            (RouterNumber::Second, Some(second)) => second,
            (RouterNumber::First, _) | (RouterNumber::Second, None) => &self.first,
        }
    }

    pub(super) fn of_mut(&mut self, number: RouterNumber) -> &mut Checker {
        match (number, &mut self.second) {
            (RouterNumber::Second, Some(second)) => second,
            (RouterNumber::First, _) | (RouterNumber::Second, None) => &mut self.first,
        }
    }

    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut Checker> {
        std::iter::once(&mut self.first).chain(self.second.as_mut())
    }

    /// The time from the last fault until the rules about the service apply to all.
    pub(super) fn settle(&self) -> Duration {
        self.numbers().map(|number| self.of(number).settle()).max().unwrap_or_default()
    }

    /// How many times the world was checked, by all checkers together.
    pub(super) fn checks(&self) -> u64 {
        self.numbers().map(|number| self.of(number).checks()).sum()
    }

    /// The bounds of the first virtual router; what depends on the LAN and the kernels alone is the
    /// same for all.
    pub(super) const fn bounds(&self) -> &Bounds {
        self.first.bounds()
    }

    pub(super) fn allow_gap(&mut self, now: TrueTime) {
        self.each().for_each(|checker| checker.allow_gap(now));
    }

    pub(super) fn process_changed(&mut self, now: TrueTime, port: Port) {
        self.each().for_each(|checker| checker.process_changed(now, port));
    }

    pub(super) fn priority_changed(&mut self, now: TrueTime, port: Port) {
        self.each().for_each(|checker| checker.priority_changed(now, port));
    }

    pub(super) fn refusals_happen(&mut self) {
        self.each().for_each(Checker::refusals_happen);
    }
}
