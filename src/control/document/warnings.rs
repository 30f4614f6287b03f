//! The warnings of `status` and `show`: faults of this node, faults of other routers, and a router
//! that no node serves.

use super::AgentSnapshot;
use crate::agent::Severity;
use crate::control::message::WarningDoc;
use crate::protocol::{EventKind, InstanceSnapshot, LocalWarning, RouterSnapshot, StandingPeerWarning};
use crate::types::MonoTime;
use crate::words::{local_warning, peer_warning};

impl AgentSnapshot {
    /// Lists the warnings about one family, the worst first.
    pub(super) fn warnings(&self, router: &RouterSnapshot, instance: &InstanceSnapshot) -> Vec<WarningDoc> {
        let peer_warnings = router.peer_warnings.iter().filter(|warning| warning.key == instance.key);
        let peer_warnings = peer_warnings.map(|warning| self.peer_warning(warning));
        let local_warnings =
            router.local_warnings.iter().filter(|(warning, _)| warning.family() == instance.key.family);
        let local_warnings = local_warnings.map(|(warning, since)| self.local_warning(warning, *since));
        let nobody_serving = self.nobody_serving(router, instance).into_iter();
        let of_nodes = self.warnings_of_nodes(router, instance);
        let mut warnings: Vec<_> =
            nobody_serving.chain(local_warnings).chain(peer_warnings).chain(of_nodes).collect();
        // The names of severities sort as needed: an "error" comes before a "warning".
        warnings.sort_by(|a, b| a.severity.cmp(&b.severity));
        warnings
    }

    fn local_warning(&self, warning: &LocalWarning, since: MonoTime) -> WarningDoc {
        let kind = EventKind::LocalWarningRaised(warning.clone());
        WarningDoc {
            kind: warning.as_str().into(),
            severity: Severity::of_protocol(&kind).as_str().into(),
            peer: None,
            peer_node: None,
            mac: None,
            since: self.wall_time(since),
            message: local_warning::begins(warning),
        }
    }

    fn peer_warning(
        &self,
        StandingPeerWarning { peer, what, since, .. }: &StandingPeerWarning,
    ) -> WarningDoc {
        let kind = EventKind::PeerWarningRaised { peer: *peer, what: what.clone() };
        WarningDoc {
            kind: what.as_str().into(),
            severity: Severity::of_protocol(&kind).as_str().into(),
            peer: *peer,
            peer_node: peer.and_then(|peer| self.name_of(peer)),
            mac: what.mac(),
            since: self.wall_time(*since),
            message: peer_warning::sentence(&self.names, *peer, what),
        }
    }

    fn nobody_serving(&self, router: &RouterSnapshot, instance: &InstanceSnapshot) -> Option<WarningDoc> {
        let nobody_serving = instance.nobody_serving?;
        let specs = router.spec.instances.iter().filter(|spec| spec.family == instance.key.family);
        let addresses: Vec<_> =
            specs.flat_map(|spec| spec.addresses.iter().map(ipnet::IpNet::addr)).collect();
        let last = nobody_serving.last.map(|last| last.address);
        Some(WarningDoc {
            kind: "nobody_serves".into(),
            severity: Severity::Error.as_str().into(),
            peer: last,
            peer_node: last.and_then(|last| self.name_of(last)),
            mac: None,
            since: self.wall_time(self.snapshot.at - nobody_serving.silent),
            message: peer_warning::nobody_serves(
                &self.names,
                router.spec.name.as_str(),
                &addresses,
                &nobody_serving,
                &router.not_serving,
            ),
        })
    }
}
