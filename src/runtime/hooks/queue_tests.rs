//! Tests of the order of hooks as tables: events are the input; what starts and what is dropped is
//! the output.

use super::*;
use crate::protocol::LastHeard;
use Family::{Ipv4, Ipv6};
use StateName::{Active, Backup, Initialize};

const PATIENCE: Duration = Duration::from_secs(5);
const ALL: [HookKind; 4] =
    [HookKind::BeforeActive, HookKind::OnTransition, HookKind::OnDrain, HookKind::AfterRelease];

/// A queue, and a list of what it did.
struct Script {
    queue: HookQueue,
    now: MonoTime,
    run: u64,
    said: Vec<String>,
}

impl Script {
    fn new(configured: &[HookKind], families: &[Family]) -> Self {
        let queue = HookQueue::new(configured.iter().copied().collect(), PATIENCE, families.iter().copied());
        Self { queue, now: MonoTime::from_nanos(1), run: 0, said: Vec::new() }
    }

    fn tell(&mut self, news: WorkerEvent) -> &mut Self {
        for action in self.queue.accept(self.now, Timestamp::UNIX_EPOCH, news) {
            self.said.push(match action {
                Action::Kill => "kill".to_owned(),
                Action::Drop(job, stale) => format!("drop {} {stale:?}", named(&job)),
            });
        }
        self.start()
    }

    fn start(&mut self) -> &mut Self {
        while let Some(job) = self.queue.next() {
            self.said.push(named(&job));
        }
        self
    }

    /// A transition of these families, as the protocol thread tells it.
    fn moves(&mut self, families: &[Family], from: StateName, to: StateName, cause: Cause) -> &mut Self {
        for family in families {
            let priority = AdvertPriority::from_wire(150);
            self.tell(WorkerEvent::Moved(FamilyTransition {
                family: *family,
                from,
                to,
                cause,
                priority,
                details: Arc::default(),
            }));
        }
        self
    }

    fn claims(&mut self, families: &[Family]) -> &mut Self {
        self.moves(families, Backup, Active, Cause::ActiveDownTimer);
        self.run += 1;
        if self.queue.configured.contains(&HookKind::BeforeActive) {
            self.tell(WorkerEvent::Prepare { run: self.run });
        }
        self
    }

    fn yields(&mut self, families: &[Family]) -> &mut Self {
        self.moves(families, Active, Backup, Cause::HigherPriority)
    }

    fn held(&mut self, families: &[Family]) -> &mut Self {
        for family in families {
            self.tell(WorkerEvent::Held(*family));
        }
        self
    }

    fn released(&mut self, families: &[Family]) -> &mut Self {
        for family in families {
            self.tell(WorkerEvent::Released(*family));
        }
        self
    }

    fn ends(&mut self) -> &mut Self {
        self.queue.ended();
        self.start()
    }

    #[track_caller]
    fn said(&mut self, expected: &[&str]) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.said), expected);
        self
    }
}

fn named(job: &Job) -> String {
    let HookFacts { state, previous, .. } = job.facts;
    format!("{} {previous}>{state}", job.hook)
}

#[test]
fn a_tenure_runs_each_hook_once_in_order_whatever_the_families() {
    for families in [&[Ipv4][..], &[Ipv6], &[Ipv4, Ipv6]] {
        let mut script = Script::new(&ALL, families);
        script.moves(families, Initialize, Backup, Cause::Startup).said(&["on_transition initialize>backup"]);
        script.ends().claims(families).said(&["before_active backup>active"]);
        script.ends().said(&[]);
        script.held(families).said(&["on_transition backup>active"]);
        script.ends().yields(families).said(&[]);
        script.released(families).said(&["after_release active>backup"]);
        script.ends().said(&["on_transition active>backup"]);
        script.ends().said(&[]);
        assert_eq!(script.queue.deadline(), None);
    }
}

#[test]
fn a_router_without_a_hook_goes_on_to_the_next() {
    let mut script = Script::new(&[HookKind::OnTransition], &[Ipv4]);
    script.claims(&[Ipv4]).held(&[Ipv4]).said(&["on_transition initialize>active"]);
    script.ends().yields(&[Ipv4]).released(&[Ipv4]).said(&["on_transition active>backup"]);

    let mut script = Script::new(&[HookKind::AfterRelease], &[Ipv4]);
    script.claims(&[Ipv4]).held(&[Ipv4]).yields(&[Ipv4]).said(&[]);
    script.released(&[Ipv4]).said(&["after_release active>backup"]);
}

#[test]
fn while_a_run_is_under_way_only_the_newest_state_waits() {
    let mut script = Script::new(&[HookKind::OnTransition], &[Ipv4]);
    script.moves(&[Ipv4], Initialize, Backup, Cause::Startup).said(&["on_transition initialize>backup"]);
    script.claims(&[Ipv4]).held(&[Ipv4]).said(&[]);
    script.yields(&[Ipv4]).said(&["drop on_transition backup>active Superseded"]);
    script.released(&[Ipv4]).claims(&[Ipv4]).said(&["drop on_transition active>backup Superseded"]);
    script.held(&[Ipv4]).said(&[]);
    script.ends().said(&["on_transition backup>active"]);
    script.ends().said(&[]);
}

#[test]
fn a_state_that_was_dropped_is_told_when_it_is_there_again() {
    let mut script = Script::new(&[HookKind::OnTransition, HookKind::AfterRelease], &[Ipv4]);
    script.moves(&[Ipv4], Initialize, Backup, Cause::Startup).said(&["on_transition initialize>backup"]);
    script.claims(&[Ipv4]).held(&[Ipv4]);
    // The router released and wanted its addresses again before they were removed: the keeper
    // answers only the newest request.
    script.yields(&[Ipv4]).said(&["drop on_transition backup>active Superseded"]);
    script.claims(&[Ipv4]).held(&[Ipv4]).said(&[]);
    script.ends().said(&["on_transition active>active"]);
}

#[test]
fn away_and_back_before_it_settled_is_nothing_to_tell() {
    let mut script = Script::new(&[HookKind::OnTransition], &[Ipv4]);
    script.moves(&[Ipv4], Initialize, Backup, Cause::Startup).said(&["on_transition initialize>backup"]);
    script.ends().claims(&[Ipv4]).yields(&[Ipv4]).released(&[Ipv4]).said(&[]);
    assert_eq!(script.queue.deadline(), None, "it is settled");
}

#[test]
fn a_claim_that_is_off_ends_its_preparation_and_is_undone() {
    let mut script = Script::new(&ALL, &[Ipv4, Ipv6]);
    script.claims(&[Ipv4, Ipv6]).said(&["before_active initialize>active"]);
    script.yields(&[Ipv4, Ipv6]);
    assert!(script.said.iter().all(|said| said == "kill") && !script.said.is_empty(), "{:?}", script.said);
    script.said.clear();
    script.released(&[Ipv4]).said(&[]);
    script.released(&[Ipv6]).said(&[]);
    script.ends().said(&["after_release active>backup"]);
    script.ends().said(&["on_transition initialize>backup"]);
}

#[test]
fn a_preparation_that_waits_is_dropped_when_it_is_off_and_runs_late_when_it_is_not() {
    let mut script = Script::new(&ALL, &[Ipv4]);
    script.moves(&[Ipv4], Initialize, Backup, Cause::Startup).said(&["on_transition initialize>backup"]);
    script.claims(&[Ipv4]).said(&[]);
    script.yields(&[Ipv4]).said(&["drop before_active backup>active Cancelled"]);
    // The addresses were installed without the hook, because its time was up.
    script.claims(&[Ipv4]).held(&[Ipv4]).said(&[]);
    script.ends().said(&["before_active backup>active"]);
    script.ends().said(&["on_transition backup>active"]);
}

#[test]
fn what_would_release_is_dropped_when_the_addresses_are_wanted_again() {
    let mut script = Script::new(&ALL, &[Ipv4]);
    script.claims(&[Ipv4]).held(&[Ipv4]).said(&["before_active initialize>active"]);
    script.ends().said(&["on_transition initialize>active"]);
    script.yields(&[Ipv4]).released(&[Ipv4]).said(&[]);
    script.claims(&[Ipv4]);
    script.said(&[
        "drop on_transition active>backup Superseded",
        "drop after_release active>backup Superseded",
    ]);
    script.ends().said(&["before_active backup>active"]);
}

#[test]
fn a_release_under_way_is_not_killed_by_a_new_claim() {
    let mut script = Script::new(&ALL, &[Ipv4]);
    script.claims(&[Ipv4]).held(&[Ipv4]).ends().ends();
    script.yields(&[Ipv4]).released(&[Ipv4]).said.clear();
    script.claims(&[Ipv4]).said(&["drop on_transition active>backup Superseded"]);
    script.ends().said(&["before_active backup>active"]);
}

#[test]
fn an_answer_to_an_older_wish_settles_nothing() {
    let mut script = Script::new(&ALL, &[Ipv4]);
    script.claims(&[Ipv4]).ends().held(&[Ipv4]).ends().said.clear();
    script.yields(&[Ipv4]).claims(&[Ipv4]).said(&["before_active active>active"]);
    script.released(&[Ipv4]).ends().said(&[]);
    assert!(script.queue.deadline().is_some(), "it waits for its addresses");
}

#[test]
fn one_family_alone_settles_nothing() {
    let mut script = Script::new(&ALL, &[Ipv4, Ipv6]);
    script.moves(&[Ipv4], Initialize, Backup, Cause::Startup).said(&[]);
    assert_eq!(script.queue.deadline(), None, "no time makes a state of two");
    script.moves(&[Ipv6], Initialize, Backup, Cause::Startup).said(&["on_transition initialize>backup"]);
}

#[test]
fn of_two_families_the_one_with_a_cause_of_its_own_is_told() {
    for (first, second) in [(Cause::Sibling, Cause::TieBreak), (Cause::TieBreak, Cause::Sibling)] {
        let mut script = Script::new(&[HookKind::AfterRelease], &[Ipv4, Ipv6]);
        script.claims(&[Ipv4, Ipv6]).held(&[Ipv4, Ipv6]);
        script.moves(&[Ipv4], Active, Backup, first).moves(&[Ipv6], Active, Backup, second);
        script.queue.accept(script.now, Timestamp::UNIX_EPOCH, WorkerEvent::Released(Ipv4));
        script.queue.accept(script.now, Timestamp::UNIX_EPOCH, WorkerEvent::Released(Ipv6));
        assert_eq!(script.queue.next().unwrap().facts.cause, Cause::TieBreak);
    }
}

#[test]
fn who_took_over_is_told_unless_a_peer_decided_it() {
    let [taker, winner]: [IpAddr; 2] = ["192.0.2.11".parse().unwrap(), "192.0.2.12".parse().unwrap()];
    let heard =
        |address| LastHeard { address, priority: AdvertPriority::from_wire(150), ago: Duration::ZERO };
    for (decided, told) in [(None, taker), (Some(winner), winner)] {
        let mut script = Script::new(&[HookKind::AfterRelease], &[Ipv4]);
        script.claims(&[Ipv4]).held(&[Ipv4]);
        let (cause, priority) = (Cause::HandedOver, AdvertPriority::from_wire(150));
        let moved = FamilyTransition {
            family: Ipv4,
            from: Active,
            to: Initialize,
            cause,
            priority,
            details: TransitionDetails { peer: decided.map(heard), ..TransitionDetails::default() }.into(),
        };
        script.tell(WorkerEvent::Moved(moved)).tell(WorkerEvent::TakenOverBy(taker));
        script.queue.accept(script.now, Timestamp::UNIX_EPOCH, WorkerEvent::Released(Ipv4));
        assert_eq!(script.queue.next().unwrap().facts.peer, Some(told));
    }
}

#[test]
fn a_state_whose_addresses_never_come_or_go_is_settled_after_a_while() {
    let mut script = Script::new(&ALL, &[Ipv4]);
    script.claims(&[Ipv4]).said(&["before_active initialize>active"]);
    script.ends().said(&[]);
    let due = script.now + PATIENCE;
    assert_eq!(script.queue.deadline(), Some(due));
    script.queue.on_deadline(script.now);
    script.start().said(&[]);
    script.queue.on_deadline(due);
    script.start().said(&["on_transition initialize>active"]);
    script.ends().yields(&[Ipv4]).queue.on_deadline(due + PATIENCE);
    script.start().said(&["after_release active>backup"]);
}

#[test]
fn when_the_keeper_ends_the_addresses_are_released_whatever_the_election_wants() {
    let mut script = Script::new(&ALL, &[Ipv4, Ipv6]);
    script.claims(&[Ipv4, Ipv6]).held(&[Ipv4, Ipv6]).ends().ends().said.clear();
    script.released(&[Ipv4, Ipv6]).said(&["after_release active>initialize"]);
}

#[test]
fn a_keeper_that_ends_releases_nothing_of_a_router_that_held_nothing() {
    let mut script = Script::new(&ALL, &[Ipv4]);
    script.moves(&[Ipv4], Initialize, Backup, Cause::Startup).ends().said.clear();
    script.released(&[Ipv4]).said(&[]);
}

#[test]
fn hooks_that_are_configured_later_are_told_where_the_router_stands() {
    let mut script = Script::new(&[], &[Ipv4]);
    script.claims(&[Ipv4]);
    script.tell(WorkerEvent::Held(Ipv4));
    script.queue.reconfigure(ALL.into(), PATIENCE, [Ipv4].into_iter());
    script.start();
    assert!(script.said.is_empty(), "nothing happened: {:?}", script.said);
    script.moves(&[Ipv4], Active, Initialize, Cause::Configuration);
    script.tell(WorkerEvent::Released(Ipv4));
    assert_eq!(script.queue.settled, Initialize);
    assert_eq!(script.said.len(), 1, "{:?}", script.said);
    script.queue.ended();
    script.start();
    assert_eq!(script.said.len(), 2, "after_release, on_transition: {:?}", script.said);
}

#[test]
fn what_waits_for_a_hook_that_is_gone_is_forgotten() {
    let mut script = Script::new(&ALL, &[Ipv4]);
    script.claims(&[Ipv4]); // before_active runs
    script.queue.reconfigure([HookKind::BeforeActive].into(), PATIENCE, [Ipv4].into_iter());
    script.tell(WorkerEvent::Held(Ipv4));
    script.queue.ended();
    let before = script.said.len();
    script.start();
    assert_eq!(script.said.len(), before, "{:?}", script.said);
    // A preparation for a hook that is not configured does not run.
    script.queue.reconfigure([HookKind::OnTransition].into(), PATIENCE, [Ipv4].into_iter());
    script.tell(WorkerEvent::Prepare { run: 9 });
    assert_eq!(script.said.len(), before, "{:?}", script.said);
}

#[test]
fn families_come_and_go() {
    let mut script = Script::new(&ALL, &[Ipv4]);
    assert!(script.queue.is_idle());
    script.claims(&[Ipv4]);
    assert!(!script.queue.is_idle());
    script.queue.reconfigure(ALL.into(), PATIENCE, [Ipv4, Ipv6].into_iter());
    assert!(!script.queue.is_idle(), "what is known of the one stays");
    script.queue.reconfigure(ALL.into(), PATIENCE, [Ipv6].into_iter());
    assert_eq!(script.queue.instances.len(), 1);
}

/// A router that has served, and whose addresses drain.
fn draining(families: &[Family]) -> Script {
    let mut script = Script::new(&ALL, families);
    script.claims(families).held(families).ends().ends().said.clear();
    script.yields(families);
    for family in families {
        script.tell(WorkerEvent::Draining(*family));
    }
    script
}

#[test]
fn a_drain_has_a_hook_of_its_own_and_after_release_comes_when_it_is_over() {
    let mut script = draining(&[Ipv4, Ipv6]);
    script.said(&["on_drain active>backup"]).ends().said(&["on_transition active>backup"]).ends();
    script.now = script.now + PATIENCE * 100;
    script.queue.on_deadline(script.now);
    script.start().said(&[]);
    script.tell(WorkerEvent::Released(Ipv4)).said(&[]);
    script.tell(WorkerEvent::Released(Ipv6)).said(&["after_release active>backup"]);
}

#[test]
fn a_family_that_drains_and_one_that_does_not_have_one_hook() {
    let mut script = Script::new(&ALL, &[Ipv4, Ipv6]);
    script.claims(&[Ipv4, Ipv6]).held(&[Ipv4, Ipv6]).ends().ends().said.clear();
    script.yields(&[Ipv4, Ipv6]).released(&[Ipv6]).said(&[]);
    script.tell(WorkerEvent::Draining(Ipv4)).said(&["on_drain active>backup"]);
    let mut script = Script::new(&ALL, &[Ipv4, Ipv6]);
    script.claims(&[Ipv4, Ipv6]).held(&[Ipv4, Ipv6]).ends().ends().said.clear();
    script.yields(&[Ipv4, Ipv6]).tell(WorkerEvent::Draining(Ipv4)).said(&[]);
    script.released(&[Ipv6]).said(&["on_drain active>backup"]);
}

#[test]
fn what_drains_when_the_agent_stops_is_not_free() {
    let mut script = draining(&[Ipv4]);
    script.ends().ends().said.clear();
    assert!(script.queue.is_released(), "nothing is waited for");
    script.said(&[]);
}

#[test]
fn a_node_that_serves_again_has_not_been_free() {
    let mut script = draining(&[Ipv4]);
    script.ends().ends().said.clear();
    script.claims(&[Ipv4]).said(&["before_active backup>active"]);
}
