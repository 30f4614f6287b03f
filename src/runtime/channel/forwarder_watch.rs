//! What the channel makes of the reports of the forwarder, and of its silence. Pure.

use super::drains;
use super::drains::ForwardingInstances;
use crate::channel::{ChannelLink, DrainAbilities, ForwardedConnections};
use crate::runtime::draining::ForwardingReport;
use crate::types::MonoTime;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What this node passes on, by the place of the router and the address of the leaver.
pub(super) type ForwardedByPlace = BTreeMap<(ChannelLink, u8, IpAddr), ForwardedConnections>;

/// What the other nodes were last told of the forwarder.
#[derive(Debug, Default)]
pub(super) struct ForwarderWatch {
    forwarded: ForwardedByPlace,
    abilities: DrainAbilities,
}

/// What is to be done after a look at the forwarder.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ForwarderNews {
    /// What is passed on now, if the others were told something else.
    pub(super) forwarded: Option<ForwardedByPlace>,
    /// Whether this node can do now what the others were told.
    pub(super) abilities: AbilityNews,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AbilityNews {
    /// It can do the same. That packets are counted changes nothing about a router.
    None,
    /// The routers are to be looked at, and the others to be told.
    Changed,
}

impl ForwarderWatch {
    /// Compares what the forwarder reports with what the others were told. A forwarder that does not
    /// answer says nothing: if packets are not passed on any more, the leaver must not believe that
    /// they are.
    pub(super) fn look(
        &mut self,
        report: &ForwardingReport,
        silent: Option<MonoTime>,
        instances: &ForwardingInstances,
    ) -> ForwarderNews {
        let forwarded = match silent {
            None => drains::forwarded(report),
            Some(_) => ForwardedByPlace::new(),
        };
        let is_news = forwarded != self.forwarded;
        self.forwarded.clone_from(&forwarded);
        let is_same = drains::abilities(report, silent, instances) == self.abilities;
        ForwarderNews {
            forwarded: is_news.then_some(forwarded),
            abilities: if is_same { AbilityNews::None } else { AbilityNews::Changed },
        }
    }

    /// The others are told that this node can do this.
    pub(super) fn told(&mut self, abilities: DrainAbilities) {
        self.abilities = abilities;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Ability;
    use crate::runtime::draining::ForwardingInstance;
    use crate::types::{Family, InstanceKey, Vrid};
    use std::collections::BTreeSet;

    const NOW: MonoTime = MonoTime::from_nanos(1_000_000_000);
    const ABLE: DrainAbilities = DrainAbilities { drains: Ability::Able, forwards: Ability::Able };

    fn key() -> InstanceKey {
        InstanceKey { interface: "eth0".parse().unwrap(), family: Family::Ipv4, vrid: Vrid::new(51).unwrap() }
    }

    /// A router that keeps connections.
    fn instances() -> ForwardingInstances {
        let (addresses, leavers) = (BTreeSet::new(), BTreeSet::new());
        let one = ForwardingInstance { addresses, is_active: true, keeps: true, leavers };
        BTreeMap::from([(key(), one)])
    }

    fn report(packets: u64) -> ForwardingReport {
        let leaver = "192.0.2.11".parse().unwrap();
        let forwarded = ForwardedConnections { listed: 3, packets };
        ForwardingReport {
            forwards: Some(Ok(())),
            drains: Some(Ok(())),
            forwarded: BTreeMap::from([((key(), leaver), forwarded)]),
            problem: None,
        }
    }

    #[test]
    fn counted_packets_are_told_and_are_no_reason_to_look_at_the_routers() {
        let mut watch = ForwarderWatch::default();
        assert_eq!(watch.look(&report(1), None, &instances()).abilities, AbilityNews::Changed);
        watch.told(ABLE);
        let news = watch.look(&report(2), None, &instances());
        assert_eq!(news.forwarded.unwrap().into_values().next().unwrap().packets, 2);
        assert_eq!(news.abilities, AbilityNews::None);
        let nothing = ForwarderNews { forwarded: None, abilities: AbilityNews::None };
        assert_eq!(watch.look(&report(2), None, &instances()), nothing);
        let refused = ForwardingReport { forwards: Some(Err("no module".to_owned())), ..report(2) };
        assert_eq!(watch.look(&refused, None, &instances()).abilities, AbilityNews::Changed);
    }

    #[test]
    fn of_a_forwarder_that_does_not_answer_nothing_is_told_until_it_answers_again() {
        let mut watch = ForwarderWatch::default();
        watch.told(ABLE);
        assert_eq!(watch.look(&report(1), None, &instances()).forwarded.unwrap().len(), 1);
        let news = watch.look(&report(1), Some(NOW), &instances());
        assert_eq!((news.forwarded, news.abilities), (Some(ForwardedByPlace::new()), AbilityNews::Changed));
        watch.told(DrainAbilities { forwards: Ability::Unable, ..ABLE });
        let nothing = ForwarderNews { forwarded: None, abilities: AbilityNews::None };
        assert_eq!(watch.look(&report(1), Some(NOW), &instances()), nothing);
        let news = watch.look(&report(1), None, &instances());
        assert_eq!((news.forwarded.unwrap().len(), news.abilities), (1, AbilityNews::Changed));
    }
}
