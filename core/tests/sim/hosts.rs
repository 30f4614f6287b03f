//! Hosts find the router that serves, also when an Active that could not be heard is heard again.

use crate::lab::{BOTH, Lab, V4, every, ms, node, secs};
use std::time::Duration;
use vrrpd_core::protocol::StateName;
use vrrpd_core::sim::Port;
use vrrpd_core::sim::audience::Audience;
use vrrpd_core::sim::lan::Path;
use vrrpd_core::sim::node::{Host, NodeSetup};
use vrrpd_core::sim::peer::{PeerSetup, PeerVariant};
use vrrpd_core::sim::script::Act;
use vrrpd_core::sim::world::StationSetup;
use vrrpd_core::types::{AdverInterval, AdvertPriority, Family, Preempt};
use vrrpd_core::wire::ChecksumFlavour;

/// Hosts have switched back this soon after the other router has yielded.
const BACK: Duration = ms(50);

/// Nothing that station 0 sends reaches station 1 and the hosts beside it for this long; then
/// everything does.
fn one_way_cut(lab: &mut Lab, length: Duration) {
    lab.act(Act::FaultsBegin);
    lab.act(Act::Path(Port(0), Port(1), Path::Blocked));
    lab.run(length);
    assert_eq!(lab.actives(), [0, 1], "the other could not know");
    for family in lab.world.families().to_vec() {
        assert_eq!(lab.world.believed(Port(1), family), Some(Port(1)));
    }
    lab.act(Act::Path(Port(0), Port(1), Path::Open));
    lab.faults_end();
}

#[test]
fn hosts_are_back_within_50_ms_when_an_active_is_heard_again() {
    // At 10 ms, 100 ms and 1 s the LAN is repaired at any moment of an interval and of what is
    // planned for later.
    for (centiseconds, lasts, step) in [(1, ms(500), ms(1)), (10, secs(2), ms(7)), (100, secs(8), ms(70))] {
        for families in [V4, BOTH] {
            for moment in 0..20 {
                let nodes: Vec<NodeSetup> = [200, 100].map(|rank| every(centiseconds, node(rank))).into();
                let mut lab = Lab::settled(families, nodes);
                one_way_cut(&mut lab, lasts + step * moment);
                let interval = ms(u64::from(centiseconds) * 10);
                let healed = lab.world.now();
                while lab.state(1) == StateName::Active {
                    lab.run(ms(1));
                    assert!(
                        lab.world.now().since(healed) <= interval + ms(2),
                        "it hears the next advertisement"
                    );
                }
                lab.run(BACK);
                for family in families {
                    let believed = lab.world.believed(Port(1), *family);
                    assert_eq!(believed, Some(Port(0)), "{centiseconds} cs, {family}, moment {moment}");
                }
            }
        }
    }
}

/// Not every router sends a last advertisement when it yields.
#[test]
fn hosts_are_back_from_a_router_that_yields_without_an_advertisement() {
    for moment in 0..40 {
        let interval = AdverInterval::from_centiseconds(10).unwrap();
        let silent = PeerSetup {
            source: Host { v4: 2, v6: 2 }.address(Family::Ipv4),
            priority: AdvertPriority::from_wire(100),
            preempt: Preempt::Allow,
            interval,
            variant: PeerVariant::Rfc9568,
            audience: Audience::Group,
            checksum: ChecksumFlavour::Rfc9568,
        };
        let ours = NodeSetup { host: Host { v4: 1, v6: 1 }, ..every(10, node(200)) };
        let mut lab =
            Lab::of(V4, vec![StationSetup::Ours(ours), StationSetup::Foreign(Host { v4: 2, v6: 2 }, silent)]);
        lab.act(Act::Start(Port(0)));
        lab.act(Act::Start(Port(1)));
        lab.faults_end();
        lab.settle();
        one_way_cut(&mut lab, secs(2) + ms(7) * moment);
        while lab.actives() == [0, 1] {
            lab.run(ms(1));
        }
        lab.run(BACK);
        assert_eq!(lab.world.believed(Port(1), Family::Ipv4), Some(Port(0)), "moment {moment}");
    }
}
