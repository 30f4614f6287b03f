//! The state machine as a table: in each situation, for each input and each policy, what the
//! instance becomes, what it does with its addresses, what it sends, and when it acts next.
//!
//! The table is a snapshot in `snapshots/`, to be read beside RFC 9568 §6.4. A change of it is a
//! change of the protocol: `INSTA_UPDATE=always cargo test -p vrrpd-core --lib state_table` writes
//! it, and the difference must be what was meant.

use super::*;
use std::fmt::Write;

/// The other router. Its address is smaller than ours (`US`), so that it loses a tie.
const PEER: &str = "192.0.2.9";
/// Another router, whose address is greater than ours.
const GREATER: &str = "192.0.2.200";

/// A node that a function brings into some situation.
type Situation = (&'static str, fn(Preempt) -> Rig);

/// An input, and the function that feeds it to the node.
type Happening = (&'static str, fn(&mut Rig));

fn node(preempt: Preempt) -> Rig {
    Rig::new(RouterSpec { role: contender(100, preempt), ..spec() })
}

fn backup(preempt: Preempt) -> Rig {
    let mut rig = node(preempt);
    rig.run(ms(500));
    rig.hear(advert(PEER, 200));
    rig.run(ms(400));
    rig
}

fn after(mut rig: Rig, happens: impl FnOnce(&mut Rig)) -> Rig {
    happens(&mut rig);
    rig
}

fn installing(preempt: Preempt) -> Rig {
    after(backup(preempt), |rig| {
        rig.kernel = Kernel::Silent;
        // After a resignation the first advertisement waits for the kernel, 20 ms at most.
        rig.hear(advert(PEER, 0));
        rig.until_state(StateName::Active);
        rig.run(ms(10));
    })
}

fn serving(preempt: Preempt) -> Rig {
    after(node(preempt), |rig| {
        rig.run(Duration::from_secs(20));
        rig.run(ms(400));
    })
}

fn paused(preempt: Preempt) -> Rig {
    after(serving(preempt), |rig| {
        rig.stall(Duration::from_secs(5));
        rig.feed(Input::Deadline);
        rig.run(ms(400));
    })
}

fn shortening(preempt: Preempt) -> Rig {
    after(serving(preempt), |rig| {
        rig.demote(Force::No);
        rig.run(ms(3));
    })
}

fn resigning(preempt: Preempt) -> Rig {
    after(serving(preempt), |rig| {
        rig.demote(Force::No);
        rig.run(ms(10));
    })
}

fn candidate(preempt: Preempt) -> Rig {
    after(resigning(preempt), |rig| rig.hear(advert(PEER, 90)))
}

fn retaining(preempt: Preempt) -> Rig {
    after(serving(preempt), |rig| {
        rig.hear(advert(PEER, 200));
        rig.run(ms(10));
    })
}

fn demoted(preempt: Preempt) -> Rig {
    after(backup(preempt), |rig| {
        rig.demote(Force::No);
        rig.run(ms(400));
    })
}

fn owner(_: Preempt) -> Rig {
    after(Rig::new(RouterSpec { role: Role::Owner, ..spec() }), |rig| rig.run(ms(20_400)))
}

const SITUATIONS: [Situation; 11] = [
    ("Initialize: demoted, hears priority 200", demoted),
    ("Backup: obeys priority 200", backup),
    ("Backup: has just yielded to priority 200", retaining),
    ("Active: the kernel is installing the addresses", installing),
    ("Active: serves", serving),
    ("Active: was paused for 5 s", paused),
    ("Active: leaves, has shortened", shortening),
    ("Active: leaves, has resigned", resigning),
    ("Active: leaves, has heard one advertisement of priority 90", candidate),
    ("Active: owner of the addresses", owner),
    ("Backup: has heard nobody", |preempt| after(node(preempt), |rig| rig.run(ms(400)))),
];

const HAPPENINGS: [Happening; 15] = [
    ("next timer", |rig| {
        rig.now = rig.node.next_deadline().unwrap_or(rig.now);
        rig.feed(Input::Deadline);
    }),
    ("advert, priority 200", |rig| rig.hear(advert(PEER, 200))),
    ("advert, priority 100, greater address", |rig| rig.hear(advert(GREATER, 100))),
    ("advert, priority 100, smaller address", |rig| rig.hear(advert(PEER, 100))),
    ("advert, priority 50", |rig| rig.hear(advert(PEER, 50))),
    ("advert, priority 200, interval 0.1 s", |rig| {
        rig.hear(Advert { from: PEER, priority: 200, centiseconds: 10 });
    }),
    ("advert, priority 0", |rig| rig.hear(advert(PEER, 0))),
    ("advert, priority 200, foreign addresses", |rig| {
        rig.hear_octets(advert(PEER, 200), &[198, 51, 100, 1], ChecksumFlavour::Rfc9568);
    }),
    ("other router announces the addresses", |rig| rig.hear_announced(Family::Ipv4)),
    ("kernel holds the addresses", |rig| {
        let key = spec().key(Family::Ipv4);
        for epoch in 1..=2 {
            rig.feed(Input::AddressesHeld(HoldResult { key, epoch, outcome: Ok(()) }));
        }
    }),
    ("kernel refuses the addresses", |rig| {
        let key = spec().key(Family::Ipv4);
        for epoch in 1..=2 {
            rig.feed(Input::AddressesHeld(HoldResult { key, epoch, outcome: Err("no".into()) }));
        }
    }),
    ("link down", |rig| rig.feed(Input::Link(interface(), Some(LinkFacts { up: false, ..link() })))),
    ("demote", |rig| rig.demote(Force::No)),
    ("promote", |rig| {
        rig.promote();
    }),
    ("vrrpd stops", |rig| rig.feed(Input::Shutdown)),
];

/// What the node has ordered for the addresses, given what was ordered before.
fn addresses(rig: &Rig, before: &'static str) -> &'static str {
    let told = rig.out.iter().rev().find_map(|effect| match effect {
        Effect::HoldAddresses { .. } => Some("held"),
        Effect::ReleaseAddresses { .. } => Some("none"),
        _ => None,
    });
    match (told.unwrap_or(before), rig.state()) {
        ("held", StateName::Initialize | StateName::Backup) => "retained",
        ("retained", StateName::Active) => "held",
        (told, _) => told,
    }
}

/// The result of one input in one situation, as cells of the table.
fn outcome(situation: fn(Preempt) -> Rig, preempt: Preempt, happen: fn(&mut Rig)) -> String {
    let mut rig = situation(preempt);
    let before = addresses(&rig, "none");
    rig.out.clear();
    happen(&mut rig);
    let (state, held) = (rig.state(), addresses(&rig, before));
    let next = rig.node.next_deadline().map_or("–".to_owned(), |at| {
        let micros = at.since(rig.now).as_nanos() / 1000;
        format!("{}.{:03} ms", micros / 1000, micros % 1000)
    });
    let said = rig.said();
    let said = if said.is_empty() { "–".to_owned() } else { said.join(", ") };
    format!("{state} | {held} | {said} | {next}")
}

#[test]
fn state_by_input_by_policy() {
    let mut table = String::new();
    for (name, situation) in SITUATIONS {
        writeln!(table, "\n{name}\n").unwrap();
        writeln!(table, "| input | Preempt_Mode | state | addresses | said | next deadline |").unwrap();
        writeln!(table, "|---|---|---|---|---|---|").unwrap();
        for (input, happen) in HAPPENINGS {
            let [allowed, forbidden] =
                [Preempt::Allow, Preempt::Forbid].map(|preempt| outcome(situation, preempt, happen));
            if allowed == forbidden {
                writeln!(table, "| {input} | any | {allowed} |").unwrap();
            } else {
                writeln!(table, "| {input} | true | {allowed} |").unwrap();
                writeln!(table, "| {input} | false | {forbidden} |").unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// The table must not mislead: each situation is the one that its name says.
#[test]
fn the_situations_are_what_they_are_called() {
    for (name, situation) in SITUATIONS {
        let rig = situation(Preempt::Allow);
        assert!(name.to_lowercase().starts_with(rig.state().as_str()), "{name}: {}", rig.state());
    }
}
