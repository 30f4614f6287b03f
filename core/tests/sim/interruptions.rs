//! Interruptions that no other router notices: the link or the source addresses are away for less
//! time than the others wait.

use crate::lab::{BOTH, Lab, V4, every, ms, node};
use std::time::Duration;
use vrrpd_core::protocol::StateName;
use vrrpd_core::sim::Port;
use vrrpd_core::sim::lan::{Cable, Path};
use vrrpd_core::sim::script::{Act, CarrierSignal, Source};

const LOST: Act = Act::Cable(Port(0), Cable::Cut, CarrierSignal::Lost);
const BACK: Act = Act::Cable(Port(0), Cable::Plugged, CarrierSignal::Lost);
const ABSENT: Act = Act::Source(Port(0), Source::Absent);
const PRESENT: Act = Act::Source(Port(0), Source::Present);

/// How often each node became Active.
fn takeovers(lab: &Lab, nodes: usize) -> Vec<u64> {
    (0..nodes).map(|at| lab.instance(at).counters.active_transitions).collect()
}

/// Station 0 is interrupted for this long.
fn interrupted(lab: &mut Lab, away: &Act, back: &Act, length: Duration) {
    lab.act(away.clone());
    lab.run(length);
    lab.act(back.clone());
}

#[test]
fn a_source_address_that_is_replaced_costs_nothing() {
    for families in [V4, BOTH] {
        for moment in 0..20 {
            let mut lab = Lab::settled(families, vec![every(10, node(200)), every(10, node(100))]);
            let before = takeovers(&lab, 2);
            lab.run(ms(5 * moment));
            // The checker finds a gap of any length.
            interrupted(&mut lab, &ABSENT, &PRESENT, ms(190));
            let said = lab.instance(0).counters.advertisement_sent;
            lab.run(ms(1));
            assert_eq!(lab.state(0), StateName::Active);
            lab.settle();
            assert_eq!((lab.actives(), takeovers(&lab, 2)), (vec![0], before), "moment {moment}");
            assert!(lab.instance(0).counters.advertisement_sent > said);
        }
    }
}

#[test]
fn a_router_whose_source_address_is_back_advertises_at_once() {
    let mut lab = Lab::settled(V4, vec![node(200), node(100)]);
    let said = |lab: &Lab| lab.instance(0).counters.advertisement_sent;
    lab.act(ABSENT);
    lab.run(ms(1500));
    let before = said(&lab);
    lab.act(PRESENT);
    assert_eq!(said(&lab), before + 1);
}

#[test]
fn a_link_that_is_down_for_a_moment_changes_nothing() {
    for families in [V4, BOTH] {
        for moment in 0..20 {
            let mut lab = Lab::settled(families, vec![every(10, node(200)), every(10, node(100))]);
            let before = takeovers(&lab, 2);
            lab.run(ms(5 * moment));
            interrupted(&mut lab, &LOST, &BACK, ms(190));
            lab.run(ms(1));
            assert_eq!((lab.actives(), lab.holders()), (vec![0], vec![0]));
            lab.settle();
            assert_eq!((lab.actives(), takeovers(&lab, 2)), (vec![0], before), "moment {moment}");
            assert_eq!(lab.world.believed(Port(1), families[0]), Some(Port(0)));
        }
    }
}

#[test]
fn a_router_that_is_alone_goes_on_after_an_interruption() {
    for (away, back) in [(LOST, BACK), (ABSENT, PRESENT)] {
        let mut lab = Lab::settled(BOTH, vec![node(100)]);
        interrupted(&mut lab, &away, &back, ms(1900));
        assert_eq!((lab.state(0), lab.holds(0)), (StateName::Active, true));
    }
}

/// The Active lets go before the other router can have taken over, but not earlier than needed.
#[test]
fn an_interruption_that_lasts_is_a_fault_before_anybody_takes_over() {
    for (away, back) in [(LOST, BACK), (ABSENT, PRESENT)] {
        for moment in 0..20 {
            let mut lab = Lab::settled(BOTH, vec![every(10, node(200)), every(10, node(100))]);
            lab.run(ms(5 * moment));
            lab.act(Act::FaultsBegin);
            lab.act(away.clone());
            while lab.state(1) != StateName::Active {
                lab.run(ms(1));
            }
            assert_eq!(lab.state(0), StateName::Initialize, "moment {moment}");
            lab.run(ms(1));
            assert_eq!(lab.holders(), [1], "moment {moment}");
            lab.act(back.clone());
            lab.faults_end();
            lab.settle();
        }
    }
}

#[test]
fn a_backup_that_heard_nothing_for_a_moment_listens_before_it_takes_over() {
    for moment in 0..20 {
        let mut lab = Lab::settled(V4, vec![every(10, node(100)), every(10, node(200))]);
        assert_eq!(lab.actives(), [1]);
        lab.run(ms(5 * moment));
        lab.act(Act::FaultsBegin);
        // The timer of station 0 would fire in the meantime.
        lab.act(Act::Path(Port(1), Port(0), Path::Blocked));
        lab.run(ms(100));
        lab.act(Act::Path(Port(1), Port(0), Path::Open));
        interrupted(&mut lab, &LOST, &BACK, ms(280));
        lab.run(ms(200));
        assert_eq!((lab.actives(), takeovers(&lab, 1)), (vec![1], vec![0]), "moment {moment}");
    }
}
