//! What deserves a look now, as documents: what is wrong here, what stands against neighbours, and that nobody serves.

use super::AgentSnapshot;
use crate::agent::Severity;
use crate::control::message::WarningDoc;
use crate::protocol::{EventKind, InstanceSnapshot, LocalWarning, RouterSnapshot, StandingPeerWarning};
use crate::types::MonoTime;
use crate::words::{concern, neighbours};

impl AgentSnapshot {
    /// The worst first.
    pub(super) fn warnings(&self, router: &RouterSnapshot, instance: &InstanceSnapshot) -> Vec<WarningDoc> {
        let remarks = router.remarks.iter().filter(|remark| remark.key == instance.key);
        let remarks = remarks.map(|remark| self.remark(remark));
        let concerns = router.concerns.iter().filter(|(concern, _)| concern.family() == instance.key.family);
        let concerns = concerns.map(|(concern, since)| self.concern(concern, *since));
        let unserved = self.unserved(router, instance).into_iter();
        let mut warnings: Vec<_> = unserved.chain(concerns).chain(remarks).collect();
        // An "error" sorts before a "warning".
        warnings.sort_by(|a, b| a.severity.cmp(&b.severity));
        warnings
    }

    fn concern(&self, concern: &LocalWarning, since: MonoTime) -> WarningDoc {
        let kind = EventKind::LocalWarningRaised(concern.clone());
        WarningDoc {
            kind: concern.as_str().into(),
            severity: Severity::of_protocol(&kind).as_str().into(),
            peer: None,
            mac: None,
            since: self.wall_time(since),
            message: concern::begins(concern),
        }
    }

    fn remark(&self, StandingPeerWarning { peer, what, since, .. }: &StandingPeerWarning) -> WarningDoc {
        let kind = EventKind::PeerWarningRaised { peer: *peer, what: what.clone() };
        WarningDoc {
            kind: what.as_str().into(),
            severity: Severity::of_protocol(&kind).as_str().into(),
            peer: *peer,
            mac: what.mac(),
            since: self.wall_time(*since),
            message: neighbours::suspicion(*peer, what),
        }
    }

    fn unserved(&self, router: &RouterSnapshot, instance: &InstanceSnapshot) -> Option<WarningDoc> {
        let unserved = instance.unserved?;
        let specs = router.spec.instances.iter().filter(|spec| spec.family == instance.key.family);
        let addresses: Vec<_> =
            specs.flat_map(|spec| spec.addresses.iter().map(ipnet::IpNet::addr)).collect();
        Some(WarningDoc {
            kind: "nobody_serves".into(),
            severity: Severity::Error.as_str().into(),
            peer: unserved.last.map(|last| last.address),
            mac: None,
            since: self.wall_time(self.snapshot.at - unserved.silent),
            message: neighbours::nobody_serves(
                router.spec.name.as_str(),
                &addresses,
                &unserved,
                &router.idle,
            ),
        })
    }
}
