//! No router is shown as Active unless it is heard, and that no router serves is reported.

use super::*;

const PEER: &str = "192.0.2.1";

fn active(rig: &Rig) -> Option<String> {
    rig.instance(0).active.map(|active| active.address.to_string())
}

/// The reports about the service in short form: `lost 192.0.2.1 4095` or `back 192.0.2.1`.
fn told(rig: &Rig) -> Vec<String> {
    let word = |kind| match kind {
        EventKind::NobodyServes { nobody_serving, .. } => {
            let last = nobody_serving.last.map_or_else(|| "-".to_owned(), |last| last.address.to_string());
            Some(format!("lost {last} {}", nobody_serving.silent.as_millis()))
        }
        EventKind::ServedAgain { by } => {
            Some(format!("back {}", by.map_or_else(|| "-".to_owned(), |by| by.to_string())))
        }
        _ => None,
    };
    rig.events().into_iter().filter_map(word).collect()
}

fn not_serving(rig: &Rig) -> NotServing {
    let reason = |kind| match kind {
        EventKind::NobodyServes { not_serving, .. } => Some(not_serving),
        _ => None,
    };
    rig.events().into_iter().find_map(reason).unwrap()
}

#[test]
fn a_demoted_node_tells_when_the_active_falls_silent_and_when_somebody_serves_again() {
    let mut rig = Rig::new(spec());
    rig.hear(advert(PEER, 200));
    rig.demote(Force::No);
    rig.run(ms(500));
    rig.hear(advert(PEER, 200));
    assert_eq!(active(&rig).as_deref(), Some(PEER));
    rig.run(ms(4090));
    assert_eq!((active(&rig).as_deref(), told(&rig)), (Some(PEER), vec![]));
    rig.run(ms(10));
    // The slowest of all Backups would have been heard by now: 3 s and its Skew_Time, and the time
    // until its advertisement arrives.
    assert_eq!((active(&rig), told(&rig)), (None, vec!["lost 192.0.2.1 4096".to_owned()]));
    assert_eq!(not_serving(&rig), NotServing::Demoted);
    rig.run(Duration::from_secs(60));
    assert_eq!(told(&rig).len(), 1, "once");
    assert_eq!(rig.instance(0).nobody_serving.unwrap().silent.as_secs(), 64, "it stands");
    rig.hear(advert("192.0.2.2", 50));
    assert_eq!(told(&rig)[1..], ["back 192.0.2.2"]);
    assert_eq!(rig.instance(0).nobody_serving, None);
}

#[test]
fn addresses_that_were_released_without_a_successor_are_served_by_nobody() {
    let mut rig = Rig::active(spec());
    rig.demote(Force::Yes);
    rig.run(Duration::from_secs(8));
    assert_eq!(told(&rig), ["lost - 4096"]);
    rig.promote();
    rig.until_state(StateName::Active);
    assert_eq!(told(&rig)[1..], [format!("back {US}")]);
}

#[test]
fn a_faulty_node_says_what_is_to_be_mended() {
    let check = CheckName("nginx".into());
    let mut rig = Rig::new(RouterSpec { tracks: vec![Track::fault(check.clone())], ..spec() });
    rig.feed(Input::CheckResult(check.clone(), CheckResult::Failing));
    rig.run(Duration::from_secs(5));
    assert_eq!(
        (told(&rig), not_serving(&rig)),
        (vec!["lost - 4096".to_owned()], NotServing::Faults(vec![Fault::Check(check)]))
    );
}

/// A node that cannot receive knows neither that a router serves nor that none does.
#[test]
fn a_node_that_cannot_hear_names_nobody_and_reports_nothing() {
    let with_link = |facts| Input::Link(interface(), Some(facts));
    let deaf = [
        (with_link(LinkFacts { carrier: false, ..link() }), with_link(link())),
        (with_link(LinkFacts { port_of: "br1".parse().ok(), ..link() }), with_link(link())),
        (
            Input::Sockets(interface(), Family::Ipv4, Err("no room".to_owned())),
            Input::Sockets(interface(), Family::Ipv4, Ok(())),
        ),
    ];
    for (begins, ends) in deaf {
        let mut rig = Rig::new(spec());
        rig.hear(advert(PEER, 200));
        rig.feed(begins);
        assert_eq!(active(&rig), None);
        rig.run(Duration::from_secs(30));
        assert_eq!(told(&rig), [""; 0]);
        rig.feed(ends);
        assert_eq!(told(&rig), [""; 0], "it listens first");
    }
}

#[test]
fn a_family_that_waits_for_its_sibling_names_nobody_who_is_silent() {
    let both = RouterSpec { instances: vec![instance(Family::Ipv4), instance(Family::Ipv6)], ..spec() };
    let mut rig = Rig::new(both);
    rig.hear(advert("fe80::1", 200));
    for _ in 0..6 {
        rig.hear(advert(PEER, 200));
        rig.run(ms(1000));
    }
    assert_eq!(rig.instance(1).state, StateName::Backup);
    assert_eq!(rig.instance(1).active, None);
    assert_eq!((told(&rig), not_serving(&rig)), (vec!["lost fe80::1 4096".to_owned()], NotServing::Sibling));
}

#[test]
fn one_that_was_not_run_listens_before_it_tells() {
    let mut rig = Rig::new(spec());
    rig.hear(advert(PEER, 200));
    rig.demote(Force::No);
    rig.hear(advert(PEER, 200));
    rig.stall(Duration::from_secs(60));
    rig.feed(Input::Deadline);
    assert_eq!(told(&rig), [""; 0]);
    rig.run(Duration::from_secs(5));
    assert_eq!(told(&rig).len(), 1);
}

#[test]
fn a_node_that_ends_tells_nothing() {
    let mut rig = Rig::active(spec());
    rig.feed(Input::Shutdown);
    rig.run(Duration::from_secs(60));
    assert_eq!(told(&rig), [""; 0]);
    // Nothing is due any more, but facts may change.
    let mut rig = Rig::new(spec());
    rig.feed(Input::Shutdown);
    rig.run(ms(4200));
    rig.feed(Input::Link(interface(), Some(LinkFacts { mtu: 1400, ..link() })));
    assert_eq!(told(&rig), [""; 0]);
}

/// The leaving router announces an interval of 10 ms, and then waits for a successor that needs
/// longer to become Active.
#[test]
fn a_planned_move_between_others_is_not_a_silence() {
    let mut rig = Rig::new(spec());
    rig.demote(Force::No);
    rig.hear(advert(PEER, 200));
    for _ in 0..3 {
        rig.hear(Advert { centiseconds: 1, ..advert(PEER, 200) });
        rig.run(ms(2));
    }
    for _ in 0..3 {
        rig.hear(advert(PEER, 0));
        rig.run(ms(100));
    }
    rig.run(ms(1000));
    rig.hear(advert("192.0.2.2", 100));
    assert_eq!(told(&rig), [""; 0]);
}

#[test]
fn a_silence_that_was_reported_has_an_end_though_the_link_was_away_in_between() {
    for ends in [None, Some(PEER)] {
        let mut rig = Rig::new(spec());
        rig.demote(Force::No);
        rig.run(Duration::from_secs(20));
        assert_eq!(told(&rig).len(), 1);
        rig.feed(Input::Link(interface(), Some(LinkFacts { carrier: false, ..link() })));
        rig.run(Duration::from_secs(5));
        rig.feed(Input::Link(interface(), Some(link())));
        rig.run(Duration::from_secs(20));
        assert_eq!(told(&rig).len(), 1, "it is told once");
        match ends {
            Some(peer) => rig.hear(advert(peer, 200)),
            None => {
                rig.promote();
                rig.until_state(StateName::Active);
            }
        }
        assert_eq!(told(&rig)[1..], [format!("back {}", ends.unwrap_or(US))]);
    }
}
