//! Addresses that drain: how that begins, goes on and ends.

use super::*;

#[test]
fn addresses_drain_and_are_held_again_or_released() {
    for (command, answer, places) in [
        (KeeperCommand::Hold { key: key(51), epoch: 3 }, hold_answer(3, Ok(())), on_eth0()),
        (KeeperCommand::Release { key: key(51), epoch: 3 }, release_answer(3), nowhere()),
    ] {
        let mut bench = Bench::draining();
        assert_eq!(bench.places(), on_lo());
        bench.say(KeeperCommand::Reconcile);
        assert_eq!(bench.pass(), []);
        bench.say(command);
        assert_eq!(bench.pass(), [answer]);
        assert_eq!(bench.places(), places);
        assert_eq!(bench.ledger.found, BTreeMap::new());
        bench.say(KeeperCommand::Reconcile);
        assert_eq!(bench.pass(), [], "nothing was removed by another program");
    }
}

#[test]
fn old_epochs_of_a_drain_change_nothing_and_of_several_the_newest_is_answered() {
    let mut bench = Bench::draining();
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 1 });
    bench.say(KeeperCommand::Release { key: key(51), epoch: 1 });
    assert_eq!(bench.pass(), []);
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 3 });
    bench.drain(51, 4);
    bench.drain(51, 3);
    assert_eq!(bench.pass(), [drain_answer(4, Ok(()))]);
    assert_eq!(bench.places(), on_lo());
}

#[test]
fn addresses_that_were_not_held_can_drain() {
    let mut bench = Bench::new();
    bench.drain(51, 1);
    assert_eq!(bench.pass(), [drain_answer(1, Ok(()))]);
    assert_eq!(bench.places(), on_lo());
}

#[test]
fn what_drains_is_not_announced() {
    let mut bench = Bench::draining();
    bench.say(KeeperCommand::Announce { key: key(51), rounds: 3 });
    assert_eq!(bench.ledger.announcements(), []);
}

/// Another node has them. Both refusals concern the whole instance: if one address cannot drain, none
/// does.
#[test]
fn addresses_that_cannot_drain_go_until_the_next_command() {
    let cannot = |bench: &mut Bench, why: &str| {
        bench.drain(51, 2);
        assert_eq!(bench.pass(), [drain_answer(2, Err(why.to_owned()))]);
        bench.refuse.clear();
        bench.loopback = LoopbackState::Up;
        bench.read_only = None;
        assert!(bench.ledger.wants_pass(bench.now), "at once");
        assert_eq!(bench.pass(), []);
        assert_eq!(bench.places(), nowhere(), "{why}");
        bench.wait(RETRY);
        bench.say(KeeperCommand::Reconcile);
        assert_eq!(bench.pass(), []);
        assert_eq!(bench.places(), nowhere(), "{why}");
        bench.say(KeeperCommand::Release { key: key(51), epoch: 3 });
        assert_eq!(bench.pass(), [release_answer(3)]);
        bench.say(KeeperCommand::Hold { key: key(51), epoch: 4 });
        assert_eq!((bench.pass(), bench.places()), (vec![hold_answer(4, Ok(()))], on_eth0()));
    };
    let mut bench = Bench::holding();
    bench.loopback = LoopbackState::Down;
    cannot(&mut bench, "the interface lo is down");
    let mut bench = Bench::holding();
    bench.read_only = Some("read-only");
    cannot(&mut bench, "read-only");
    let mut bench = Bench::holding();
    bench.refuse.insert("192.0.2.50".parse().unwrap());
    cannot(&mut bench, "cannot add 192.0.2.50 to lo: no");
    let mut bench = Bench::holding();
    bench.drain(51, 2);
    let mut events = Vec::new();
    let _ = bench.ledger.fail(bench.now, "no answer", &mut events);
    assert_eq!(events, [drain_answer(2, Err("no answer".to_owned()))]);
    bench.wait(RETRY);
    assert_eq!(bench.pass(), []);
    assert_eq!(bench.places(), nowhere());
}

/// Another node has the addresses by then.
#[test]
fn addresses_that_drain_do_not_come_back_when_the_drain_is_asked_for_again_and_fails() {
    let mut bench = Bench::draining();
    bench.drain(51, 3);
    let mut events = Vec::new();
    let _ = bench.ledger.fail(bench.now, "no answer", &mut events);
    assert_eq!(events, [drain_answer(3, Err("no answer".to_owned()))]);
    bench.loopback = LoopbackState::Down;
    bench.drain(51, 4);
    let why = "the interface lo is down".to_owned();
    assert_eq!(bench.pass(), [drain_answer(4, Err(why))]);
    bench.loopback = LoopbackState::Up;
    bench.wait(RETRY);
    assert_eq!(bench.pass(), []);
    assert_eq!(bench.places(), on_lo());
}

#[test]
fn a_drain_that_nothing_was_held_before_is_tried_again() {
    let mut bench = Bench::new();
    bench.loopback = LoopbackState::Down;
    bench.drain(51, 1);
    let why = "the interface lo is down".to_owned();
    assert_eq!(bench.pass(), [drain_answer(1, Err(why))]);
    bench.loopback = LoopbackState::Up;
    bench.wait(RETRY);
    assert_eq!(bench.pass(), []);
    assert_eq!(bench.places(), on_lo());
}

#[test]
fn a_way_back_that_the_kernel_refuses_leaves_the_addresses_on_lo_with_the_guard() {
    let mut bench = Bench::draining();
    bench.refuse = ["192.0.2.50", "192.0.2.51"].map(|a| a.parse().unwrap()).into();
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 3 });
    let why = "cannot add 192.0.2.50/24: no (and 1 more)".to_owned();
    assert_eq!(bench.pass(), [hold_answer(3, Err(why))]);
    assert_eq!(bench.places(), on_lo());
    bench.refuse.clear();
    bench.wait(RETRY);
    assert_eq!(bench.pass(), []);
    assert_eq!(bench.places(), on_eth0());
}

#[test]
fn the_guard_stays_until_the_last_drain_of_the_interface_ends_and_what_is_held_there_stays() {
    let mut bench = Bench::draining();
    bench.declare(52, &["192.0.2.60/24"]);
    bench.declare(53, &["192.0.2.70/24"]);
    bench.drain(52, 1);
    bench.say(KeeperCommand::Hold { key: key(53), epoch: 1 });
    bench.pass();
    let places = |list: &[&str], guard| (list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(), guard);
    let all = ["192.0.2.50 lo", "192.0.2.51 lo", "192.0.2.60 lo", "192.0.2.70 eth0"];
    assert_eq!(bench.places(), places(&all, true));
    bench.say(KeeperCommand::Release { key: key(51), epoch: 3 });
    bench.pass();
    assert_eq!(bench.places(), places(&["192.0.2.60 lo", "192.0.2.70 eth0"], true));
    bench.say(KeeperCommand::Forget { key: key(52) });
    bench.pass();
    assert_eq!(bench.places(), places(&["192.0.2.70 eth0"], false));
}

#[test]
fn an_address_that_another_instance_holds_drains_when_that_one_releases_it() {
    let mut bench = Bench::holding();
    bench.declare(52, &["192.0.2.50/24", "192.0.2.51/24"]);
    bench.say(KeeperCommand::Hold { key: key(52), epoch: 1 });
    bench.drain(51, 2);
    assert!(bench.pass().contains(&drain_answer(2, Ok(()))));
    assert_eq!(bench.places(), on_eth0());
    bench.say(KeeperCommand::Release { key: key(52), epoch: 2 });
    bench.pass();
    assert_eq!(bench.places(), on_lo());
}

#[test]
fn what_another_program_removes_from_lo_is_restored_with_its_label_within_the_budget() {
    let mut bench = Bench::draining();
    for _ in 0..10 {
        bench.strike("192.0.2.50");
        assert_eq!(bench.pass(), [restored(1)]);
    }
    assert!(bench.kernel.iter().all(|address| address.note.is_some_and(|note| note.found == NO_GUARD)));
    bench.strike("192.0.2.50");
    assert_eq!(bench.pass(), [KeeperEvent::Contested { key: key(51), count: 1 }]);
    let due = bench.ledger.retry_at().expect("a retry");
    bench.wait(due.since(bench.now));
    assert_eq!(bench.pass(), [restored(1)]);
    assert_eq!(bench.places(), on_lo());
}

#[test]
fn a_guard_that_another_program_lowers_is_set_again_and_the_first_values_come_back() {
    let mut bench = Bench::holding();
    bench.arp.insert(ETH0, ArpValues { ignore: 0, announce: 1 });
    bench.drain(51, 2);
    bench.pass();
    bench.arp.insert(ETH0, NO_GUARD);
    bench.say(KeeperCommand::Reconcile);
    assert_eq!(bench.pass(), []);
    assert_eq!(bench.places(), on_lo());
    bench.say(KeeperCommand::Release { key: key(51), epoch: 3 });
    bench.pass();
    assert_eq!(bench.arp_of(ETH0), ArpValues { ignore: 0, announce: 1 });
}

#[test]
fn a_guard_that_cannot_be_restored_is_tried_again() {
    let mut bench = Bench::draining();
    bench.read_only = Some("no");
    bench.say(KeeperCommand::Release { key: key(51), epoch: 3 });
    let outcome = Err("no".to_owned());
    assert_eq!(bench.pass(), [KeeperEvent::Released { key: key(51), epoch: 3, outcome }]);
    assert_eq!(bench.places(), (vec![], true));
    bench.read_only = None;
    bench.wait(RETRY);
    bench.pass();
    assert_eq!(bench.places(), nowhere());
}

#[test]
fn the_next_run_goes_on_with_a_drain_without_touching_anything() {
    let mut bench = Bench::draining();
    let before = bench.kernel.clone();
    bench.restart(&[KeeperCommand::Drain { key: key(51), epoch: 1, lifetime: LIFETIME }]);
    assert_eq!(bench.kernel, before);
    assert_eq!(bench.pass(), [drain_answer(1, Ok(()))]);
    assert_eq!((bench.kernel.clone(), bench.places()), (before, on_lo()));
    bench.say(KeeperCommand::Release { key: key(51), epoch: 2 });
    assert_eq!(bench.pass(), [release_answer(2)]);
    assert_eq!(bench.places(), nowhere(), "the label says what the interface had");
}

#[test]
fn the_next_run_ends_a_drain_that_it_does_not_know() {
    let mut bench = Bench::draining();
    bench.restart(&[]);
    assert_eq!(bench.places(), nowhere());
    assert_eq!(bench.pass(), []);
}

#[test]
fn the_next_run_takes_draining_addresses_back_without_a_gap() {
    let mut bench = Bench::draining();
    bench.restart(&[KeeperCommand::Hold { key: key(51), epoch: 1 }]);
    assert_eq!(bench.places(), on_lo());
    assert_eq!(bench.pass(), [hold_answer(1, Ok(()))]);
    assert_eq!(bench.places(), on_eth0());
}

#[test]
fn when_the_keeper_stops_a_drain_stays_or_ends_as_it_was_told() {
    for (drains, places) in [(DrainsAtStop::Keep, on_lo()), (DrainsAtStop::End, nowhere())] {
        let mut bench = Bench::draining();
        bench.declare(52, &["192.0.2.60/24"]);
        bench.say(KeeperCommand::Hold { key: key(52), epoch: 1 });
        bench.pass();
        bench.ledger.release_all(drains);
        bench.say(KeeperCommand::Reconcile);
        assert_eq!(bench.pass(), []);
        assert_eq!(bench.places(), places);
        let draining = if drains == DrainsAtStop::Keep { vec![key(51)] } else { vec![] };
        assert_eq!(bench.ledger.draining(), draining.into_iter().collect());
    }
}

#[test]
fn a_drain_that_has_not_succeeded_ends_when_the_keeper_stops() {
    let mut pending = Bench::holding();
    pending.drain(51, 2);
    let mut failed = Bench::new();
    failed.kernel.push(seen(ETH0, "192.0.2.50/24".parse().unwrap(), Origin::Ours));
    failed.read_only = Some("read-only");
    failed.drain(51, 1);
    assert_eq!(failed.pass(), [drain_answer(1, Err("read-only".to_owned()))]);
    for mut bench in [pending, failed] {
        bench.ledger.release_all(DrainsAtStop::Keep);
        bench.say(KeeperCommand::Reconcile);
        assert_eq!(bench.pass(), []);
        assert_eq!(bench.places(), nowhere());
    }
}

#[test]
fn what_drains_stays_on_lo_without_its_interface_and_the_new_one_is_guarded() {
    let mut bench = Bench::draining();
    bench.say(KeeperCommand::Link(eth0(), None));
    bench.arp.clear();
    assert_eq!(bench.pass(), []);
    assert_eq!(bench.places().0, on_lo().0);
    bench.say(KeeperCommand::Link(eth0(), Some(Box::new(facts(7, true)))));
    assert_eq!(bench.pass(), []);
    assert_eq!((bench.places().0, bench.arp_of(7)), (on_lo().0, GUARD));
    bench.strike("192.0.2.50");
    assert_eq!(bench.pass(), [restored(1)]);
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 3 });
    assert_eq!(bench.pass(), [hold_answer(3, Ok(()))]);
    assert!(bench.kernel.iter().all(|address| address.index == 7));
    assert_eq!(bench.arp_of(7), NO_GUARD);
}

#[test]
fn a_drain_begins_without_its_interface_and_a_release_ends_it() {
    let mut bench = Bench::draining();
    bench.say(KeeperCommand::Link(eth0(), None));
    bench.drain(51, 3);
    assert_eq!(bench.pass(), [drain_answer(3, Ok(()))]);
    bench.say(KeeperCommand::Release { key: key(51), epoch: 4 });
    assert_eq!(bench.pass(), [release_answer(4)]);
    assert_eq!(bench.places().0, Vec::<String>::new());
}

#[test]
fn addresses_on_lo_last_as_long_as_their_drain_and_a_pass_does_not_renew_them() {
    let mut bench = Bench::draining();
    assert_eq!(bench.lifetimes(), [601, 601]);
    for _ in 0..3 {
        bench.wait(Duration::from_secs(100));
        bench.say(KeeperCommand::Reconcile);
        assert_eq!(bench.pass(), []);
    }
    assert_eq!(bench.lifetimes(), [301, 301]);
    // What another program removes comes back for what is left.
    bench.strike("192.0.2.50");
    assert_eq!(bench.pass(), [restored(1)]);
    assert_eq!(bench.lifetimes(), [301, 301]);
}

#[test]
fn a_newer_drain_makes_the_lifetime_longer_or_shorter() {
    let mut bench = Bench::draining();
    bench.wait(Duration::from_secs(100));
    for (epoch, lifetime) in [(3, 900), (4, 60), (5, 60)] {
        bench.drain_for(51, epoch, Duration::from_secs(lifetime));
        assert_eq!(bench.pass(), [drain_answer(epoch, Ok(()))]);
        assert_eq!(bench.lifetimes(), [lifetime + 1; 2]);
    }
    bench.drain_for(51, 4, Duration::from_secs(900));
    assert_eq!((bench.pass(), bench.lifetimes()), (vec![], vec![61, 61]), "the epoch is old");
    bench.refuse.insert("192.0.2.50".parse().unwrap());
    bench.drain_for(51, 6, Duration::from_secs(90));
    let refused = "cannot set how long 192.0.2.50 lasts on lo: no".to_owned();
    assert_eq!(bench.pass(), [drain_answer(6, Err(refused))]);
    assert_eq!(bench.places(), on_lo(), "another node has the addresses: they do not come back");
}

#[test]
fn at_the_end_of_its_lifetime_a_drain_ends_with_its_guard_and_nothing_comes_back() {
    for kernel_is_first in [false, true] {
        let mut bench = Bench::draining();
        assert_eq!(bench.ledger.retry_at(), Some(bench.now + LIFETIME), "the keeper wakes up by itself");
        bench.wait(LIFETIME - Duration::from_secs(1));
        assert!(!bench.ledger.wants_pass(bench.now));
        bench.wait(Duration::from_secs(if kernel_is_first { 2 } else { 1 }));
        assert_eq!(bench.kernel.is_empty(), kernel_is_first);
        assert_eq!(bench.pass(), []);
        assert_eq!(bench.places(), nowhere());
        assert_eq!((bench.ledger.retry_at(), bench.ledger.drains()), (None, false));
    }
}

#[test]
fn no_drain_is_so_short_that_it_is_not_answered() {
    let mut bench = Bench::holding();
    bench.drain_for(51, 2, Duration::ZERO);
    assert_eq!(bench.pass(), [drain_answer(2, Ok(()))]);
    assert_eq!(bench.places(), on_lo());
    bench.wait(Duration::from_secs(1));
    assert_eq!((bench.pass(), bench.places()), (vec![], nowhere()));
}

#[test]
fn a_run_that_goes_on_with_what_is_left_does_not_touch_the_addresses() {
    let mut bench = Bench::draining();
    for _ in 0..5 {
        bench.wait(Duration::from_secs(100));
        let before = bench.kernel.clone();
        let left: Vec<_> = earlier_drains_among(&before).iter().map(|drain| drain.left).collect();
        bench.restart(&[KeeperCommand::Drain { key: key(51), epoch: 1, lifetime: left[0] }]);
        assert_eq!(bench.pass(), [drain_answer(1, Ok(()))]);
        assert_eq!((bench.kernel.clone(), bench.places()), (before, on_lo()));
    }
    assert_eq!(bench.lifetimes(), [101, 101]);
}

/// The label of the address says which interface has to be silent about it.
#[test]
fn the_guard_stays_while_the_next_run_does_not_know_the_interface() {
    let mut bench = Bench::draining();
    bench.restart_without_link(&[KeeperCommand::Drain { key: key(51), epoch: 1, lifetime: LIFETIME }]);
    assert_eq!(bench.places(), on_lo());
    assert_eq!(bench.pass(), [drain_answer(1, Ok(()))]);
    assert_eq!(bench.places(), on_lo());
    // Another program lowers it.
    bench.arp.clear();
    bench.say(KeeperCommand::Reconcile);
    assert_eq!((bench.pass(), bench.places()), (vec![], on_lo()));
    // The interface has got another name.
    bench.say(KeeperCommand::Link(eth1(), Some(Box::new(facts(ETH0, true)))));
    assert_eq!((bench.pass(), bench.places()), (vec![], on_lo()));
    bench.say(KeeperCommand::Release { key: key(51), epoch: 2 });
    assert_eq!((bench.pass(), bench.places()), (vec![release_answer(2)], nowhere()));
}

#[test]
fn addresses_that_a_failed_pass_kept_from_draining_go_at_once() {
    let mut bench = Bench::holding();
    bench.drain(51, 2);
    let mut events = Vec::new();
    let _ = bench.ledger.fail(bench.now, "no answer", &mut events);
    assert_eq!(events, [drain_answer(2, Err("no answer".to_owned()))]);
    assert!(bench.ledger.wants_pass(bench.now), "the addresses may have moved in part");
    let _ = bench.ledger.fail(bench.now, "no answer", &mut events);
    assert!(!bench.ledger.wants_pass(bench.now), "only once");
    bench.wait(RETRY);
    assert_eq!((bench.pass(), bench.places()), (vec![], nowhere()));
}

/// The connections that are open belong to the addresses of before.
#[test]
fn other_addresses_that_are_declared_count_when_the_drain_is_over() {
    let declare = |bench: &mut Bench| {
        bench.declare(51, &["192.0.2.60/24"]);
        assert_eq!((bench.pass(), bench.places()), (vec![], on_lo()));
        bench.drain(51, 3);
        assert_eq!((bench.pass(), bench.places()), (vec![drain_answer(3, Ok(()))], on_lo()));
    };
    let mut bench = Bench::draining();
    declare(&mut bench);
    bench.say(KeeperCommand::Release { key: key(51), epoch: 4 });
    assert_eq!((bench.pass(), bench.places()), (vec![release_answer(4)], nowhere()));
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 5 });
    assert_eq!(bench.pass(), [hold_answer(5, Ok(()))]);
    let on_other = bench.places();
    assert!(on_other != nowhere() && on_other != on_eth0(), "{on_other:?}");
    // The node takes over before the drain is over.
    let mut bench = Bench::draining();
    declare(&mut bench);
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 4 });
    assert_eq!((bench.pass(), bench.places()), (vec![hold_answer(4, Ok(()))], on_other.clone()));
    // The time of the drain is over, and nobody has said anything.
    let mut bench = Bench::draining();
    declare(&mut bench);
    bench.wait(Duration::from_secs(100_000));
    bench.pass();
    assert_eq!(bench.places(), nowhere());
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 5 });
    assert_eq!((bench.pass(), bench.places()), (vec![hold_answer(5, Ok(()))], on_other));
}

#[test]
fn an_address_that_another_program_has_on_the_interface_does_not_drain() {
    let mut bench = Bench::new();
    bench.kernel.push(seen(ETH0, "192.0.2.50/24".parse().unwrap(), Origin::Foreign));
    bench.say(KeeperCommand::Hold { key: key(51), epoch: 1 });
    assert_eq!(bench.pass(), [hold_answer(1, Ok(()))]);
    bench.drain(51, 2);
    let why = "another program has the address on the interface, where the host answers for it";
    assert_eq!(bench.pass(), [drain_answer(2, Err(why.to_owned()))]);
    bench.pass();
    assert_eq!(bench.places(), (["192.0.2.50 eth0".to_owned()].into(), false), "ours goes, theirs stays");
}
