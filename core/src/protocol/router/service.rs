//! Whether anybody serves the addresses of a router, as it is reported: when nobody does, and when
//! somebody does again. And whether anybody is heard, where it is known who should be.

use super::tracking::Impact;
use super::{Presence, Router};
use crate::protocol::effect::Effects;
use crate::protocol::event::{EventKind, NotServing};
use crate::protocol::input::{Fault, LastResort};
use crate::protocol::instance::{PeersChange, Reception, ServiceChange};
use crate::types::{Family, MonoTime};

impl Router {
    /// To be called after each input.
    pub(in crate::protocol) fn watch_service(&mut self, now: MonoTime, out: &mut Effects) {
        let policy = self.policy;
        for at in 0..self.instances.len() {
            let Some(key) = self.instances.get(at).map(|instance| instance.key()) else { continue };
            let reception = self.reception(key.family);
            let Some(instance) = self.instances.get_mut(at) else { continue };
            let heard = match instance.watch_peers(now, &policy) {
                PeersChange::None => None,
                PeersChange::NeverHeard(peers, after) => Some(EventKind::NoPeerHeard { peers, after }),
                PeersChange::HeardAtLast(peer) => Some(EventKind::PeerHeard { peer }),
            };
            if let Some(kind) = heard {
                self.report(Some(key), kind, out);
            }
            let Some(instance) = self.instances.get_mut(at) else { continue };
            let kind = match instance.watch_service(now, &policy, reception) {
                ServiceChange::None => continue,
                ServiceChange::ServedHere(by) => EventKind::ServedAgain { by },
                ServiceChange::Lost(_) if self.presence != Presence::Wanted => continue,
                ServiceChange::Lost(nobody_serving) => EventKind::NobodyServes {
                    nobody_serving,
                    not_serving: self.not_serving(),
                    addresses: self.advertised_addresses(key.family),
                },
            };
            self.report(Some(key), kind, out);
        }
    }

    /// Why this router does not serve though it might.
    pub(super) fn not_serving(&self) -> NotServing {
        let faults: Vec<Fault> = self.faults_and_interruptions().cloned().collect();
        if !faults.is_empty() {
            return NotServing::Faults(faults);
        }
        match self.demoted.as_ref().map(|demotion| demotion.last_resort) {
            Some(LastResort::No) => NotServing::Demoted,
            Some(LastResort::Yes) | None => NotServing::Sibling,
        }
    }

    fn reception(&self, family: Family) -> Reception {
        let mut faults = self.faults_and_interruptions();
        let fails = faults.any(|fault| Impact::of(&self.spec, fault).prevents_receiving(family));
        if fails { Reception::Fails } else { Reception::Works }
    }
}
