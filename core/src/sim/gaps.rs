//! Which acts no router can bridge without a gap in the service, so that the rules about the
//! service are suspended after them.

use super::checker::Checker;
use super::checkers::Views;
use super::lan::Port;
use super::view::StationView;
use super::world::World;
use crate::types::Preempt;

/// Which routers can take over from a leaving router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bridge {
    /// Any router that takes part.
    AnyWilling,
    /// One of our routers that obeys the leaving router.
    Obedient,
}

impl World {
    /// A station that returns where no router serves finds no service: an election is needed first.
    pub(super) fn allow_gap_if_nobody_serves(&mut self, views: &Views) {
        for (number, views) in views {
            let checker = self.checkers.of_mut(*number);
            let served = |home: &StationView| {
                views.iter().any(|view| view.component == home.component && view.is_active())
            };
            // A station with a shorter interval than that of the Active may also fire before it
            // hears anything, and then does not wait for its kernel: RFC 9568 §6.4.1 lets it begin
            // with its own interval.
            if !views.iter().all(served) || !checker.bounds().one_interval_for_all() {
                checker.allow_gap(self.now);
            }
        }
    }

    /// If the priority of a router falls while it compares priorities with another router, it
    /// yields to that router, which may yield in turn, because an earlier advertisement of the
    /// first router is still on its way. No router can know this; the timers of both end it.
    pub(super) fn allow_gap_if_contested(&mut self, views: &Views, port: Port) {
        let serves = |view: &StationView| view.is_active() && !view.leaving;
        for (number, views) in views {
            let contested = views.iter().any(|view| view.port != port && serves(view));
            if contested && views.iter().any(|view| view.port == port && serves(view)) {
                self.checkers.of_mut(*number).allow_gap(self.now);
            }
        }
    }

    /// A leaving router does not cause a gap if another router would take over.
    pub(super) fn allow_gap_unless_bridged(&mut self, views: &Views, port: Port, bridge: Bridge) {
        for (number, views) in views {
            let Some(leaver) = views.iter().find(|view| view.port == port) else { continue };
            let checker = self.checkers.of_mut(*number);
            // A router that does not learn the short interval takes over within its own Skew_Time.
            // A stop waits for that time, computed from our interval; a fault does not. RFC 9568
            // §6.4.2 lets a Backup of higher priority discard what an Active of lower priority
            // advertises.
            // In VRRPv2 nothing is shortened, and everybody takes over within a Skew_Time: so a fault
            // waits for that as well.
            let waits = bridge == Bridge::AnyWilling || checker.bounds().speaks_version_2();
            let patient = waits && checker.bounds().one_interval_for_all();
            let obeys = |v: &StationView| obeys(v, leaver) && checker.hears_whole_leave(v.port, port);
            let successor = |v: &&StationView| v.port == port || patient || obeys(v);
            let successors: Vec<StationView> = views.iter().filter(successor).cloned().collect();
            let bridged = Checker::has_successor(&successors, port);
            // A hand-over that is under way may have stopped waiting for its successors.
            if leaver.is_active() && (!bridged || leaver.leaving) {
                checker.allow_gap(self.now);
            }
        }
        self.allow_gap_if_last_successor(views, port);
    }

    /// Another router is leaving for good, and `port` may be the router that was to take over.
    pub(super) fn allow_gap_if_last_successor(&mut self, views: &Views, port: Port) {
        for (number, views) in views {
            let hopeless = |leaver: &StationView| {
                !views.iter().any(|view| {
                    let hears = view.hears.contains(leaver.port);
                    hears && view.port != port && view.is_willing() && obeys(view, leaver)
                })
            };
            if views.iter().any(|view| view.port != port && view.leaving && hopeless(view)) {
                self.checkers.of_mut(*number).allow_gap(self.now);
            }
        }
    }
}

/// Whether a Backup obeys what a leaving router advertises, whatever its interval.
fn obeys(view: &StationView, leaver: &StationView) -> bool {
    view.ours && (view.preempt == Preempt::Forbid || view.priority <= leaver.priority)
}
