//! Interruptions that may last a moment only: the link or the source address is away.

use super::*;

fn without_carrier() -> LinkFacts {
    LinkFacts { carrier: false, ..link() }
}

fn without_address() -> LinkFacts {
    LinkFacts { ipv4: Vec::new(), ..link() }
}

fn raised(rig: &Rig) -> Vec<EventKind> {
    let is_raised = |kind: &EventKind| matches!(kind, EventKind::FaultRaised(_));
    rig.events().into_iter().filter(is_raised).collect()
}

/// Active_Down_Timer fires only once. If that were forgotten during an interruption, no router
/// would serve.
#[test]
fn a_timer_that_fires_during_an_interruption_counts_when_that_is_over() {
    let mut rig = Rig::new(spec());
    rig.run(ms(3500));
    rig.feed(Input::Link(interface(), Some(without_address())));
    rig.run(ms(400));
    assert_eq!(rig.state(), StateName::Backup, "it could not say that it takes over");
    rig.feed(Input::Link(interface(), Some(link())));
    rig.run(ms(1));
    assert_eq!(rig.state(), StateName::Active);
}

/// An Active that lives was not heard while the link was away, and is heard within an interval.
#[test]
fn a_backup_that_heard_nobody_for_a_moment_listens_for_an_interval() {
    // The timer fires after 3.609 s: after the interruption, and in the middle of it.
    for lasts in [50, 400] {
        let mut rig = Rig::new(spec());
        rig.hear(advert("192.0.2.200", 200));
        rig.run(ms(3500));
        rig.feed(Input::Link(interface(), Some(without_carrier())));
        rig.run(ms(lasts));
        rig.feed(Input::Link(interface(), Some(link())));
        assert_eq!(rig.until_state(StateName::Active), us(1_609_375), "after {lasts} ms");
    }
}

/// After a stall, other inputs may be handled before the input that ends the interruption.
#[test]
fn only_a_deadline_ends_the_patience_with_an_interruption() {
    for interrupted in [without_carrier(), without_address()] {
        let mut rig = Rig::active(spec());
        rig.feed(Input::Link(interface(), Some(interrupted)));
        rig.stall(Duration::from_secs(5));
        rig.feed(Input::Configure(vec![spec()]));
        assert_eq!((rig.state(), raised(&rig)), (StateName::Active, vec![]));
        rig.feed(Input::Link(interface(), Some(link())));
        rig.feed(Input::Deadline);
        assert_eq!((rig.state(), raised(&rig)), (StateName::Active, vec![]));
        // The interruption counts if no input ends it before the deadline.
        rig.feed(Input::Link(interface(), Some(without_carrier())));
        rig.stall(Duration::from_secs(5));
        rig.feed(Input::Deadline);
        assert_eq!((rig.state(), raised(&rig).len()), (StateName::Initialize, 1));
    }
}

/// An Active that never installs its addresses would leave the hosts without service.
#[test]
fn what_the_kernel_refuses_during_an_interruption_is_asked_again_after_it() {
    let mut rig = Rig::new(spec());
    rig.kernel = Kernel::Silent;
    rig.until_state(StateName::Active);
    rig.feed(Input::Link(interface(), Some(without_carrier())));
    let key = rig.instance(0).key;
    let outcome = Err("RTNETLINK: busy".to_owned());
    rig.feed(Input::AddressesHeld(HoldResult { key, epoch: 1, outcome }));
    assert_eq!(rig.state(), StateName::Initialize);
    rig.kernel = Kernel::Prompt;
    rig.feed(Input::Link(interface(), Some(link())));
    rig.out.clear();
    rig.until_state(StateName::Active);
    assert_eq!(rig.said().first().map(String::as_str), Some("hold"));
}

/// A switch may reflect an advertisement that we sent just before the address was removed.
#[test]
fn what_we_said_from_an_address_that_has_gone_is_our_own() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), Some(without_address())));
    rig.hear(advert(US, 100));
    assert_eq!((rig.state(), rig.instance(0).peers.len()), (StateName::Active, 0));
    // The address that was last put in our advertisements still decides a tie.
    rig.hear(advert("192.0.2.1", 100));
    assert_eq!(rig.state(), StateName::Active);
}

/// Hosts cannot reach the router any more, and the router cannot hear the one that took over.
#[test]
fn a_router_that_yields_while_it_is_cut_off_keeps_nothing() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), Some(without_carrier())));
    rig.said();
    // The advertisement was in the socket before the link went down.
    rig.hear(advert("192.0.2.1", 200));
    assert_eq!(rig.state(), StateName::Backup);
    assert_eq!(rig.said().last().map(String::as_str), Some("release"));
}

/// Hosts still reach a router that has no address of its own for a moment.
#[test]
fn a_router_that_yields_while_it_cannot_send_keeps_its_addresses_until_hosts_have_switched() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), Some(without_address())));
    rig.said();
    rig.hear(advert("192.0.2.1", 200));
    rig.run(ms(249));
    assert_eq!((rig.state(), rig.said()), (StateName::Backup, vec![]));
    rig.run(ms(1));
    assert_eq!(rig.said(), ["release"]);
}

/// The delay before an interruption counts ends when the router stops serving for another reason:
/// from then on the status shows both.
#[test]
fn a_router_that_stops_for_another_reason_reports_the_interruption_too() {
    let check = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..spec() });
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.until_state(StateName::Active);
    rig.feed(Input::Link(interface(), Some(without_carrier())));
    rig.out.clear();
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Failing));
    let faults = [Fault::Check(check), Fault::NoCarrier(interface())].map(EventKind::FaultRaised);
    assert_eq!(raised(&rig), faults);
}
