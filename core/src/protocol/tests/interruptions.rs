//! What may pass in a moment: the link or the source address is away.

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

/// Nobody would serve otherwise: what the timer says comes once.
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

/// After a stall other news may come before the news that the interruption is over.
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
        // As it is if there is no such news.
        rig.feed(Input::Link(interface(), Some(without_carrier())));
        rig.stall(Duration::from_secs(5));
        rig.feed(Input::Deadline);
        assert_eq!((rig.state(), raised(&rig).len()), (StateName::Initialize, 1));
    }
}

/// An Active without its addresses would serve nobody for ever.
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

/// A switch may reflect what was said just before the address went away.
#[test]
fn what_we_said_from_an_address_that_has_gone_is_our_own() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), Some(without_address())));
    rig.hear(advert(US, 100));
    assert_eq!(rig.state(), StateName::Active);
    // The address that is put in advertisements still decides a tie.
    rig.hear(advert("192.0.2.1", 100));
    assert_eq!(rig.state(), StateName::Active);
}

/// Hosts cannot be reached any more, and the one who took over cannot be heard.
#[test]
fn who_yields_while_it_is_cut_off_keeps_nothing() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Link(interface(), Some(without_carrier())));
    rig.said();
    // It was in the socket already.
    rig.hear(advert("192.0.2.1", 200));
    assert_eq!(rig.state(), StateName::Backup);
    assert_eq!(rig.said().last().map(String::as_str), Some("release"));
}

/// What was waited out counts at once when nobody is served any more: the status tells the truth.
#[test]
fn who_stops_for_another_reason_tells_the_interruption_too() {
    let check = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::Check(check.clone())], ..spec() });
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Passing));
    rig.until_state(StateName::Active);
    rig.feed(Input::Link(interface(), Some(without_carrier())));
    rig.out.clear();
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Failing));
    let faults = [Fault::Check(check), Fault::NoCarrier(interface())].map(EventKind::FaultRaised);
    assert_eq!(raised(&rig), faults);
}
