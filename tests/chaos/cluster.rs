//! The condition that operators and checks have left the members in, and which member must hold
//! each address because of it. Pure.
//!
//! Of all members that may serve, the one of the highest priority must serve: preemption is on, and
//! no two priorities of a service are equal. So there is one right answer at rest, and the daemon
//! is not asked for it.

use super::fault::{Kind, Member, Service, all_held};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The three members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cluster(BTreeMap<Member, Condition>);

/// The condition of one member, apart from faults that end by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) process: Process,
    pub(crate) duty: Duty,
    pub(crate) check: Check,
    pub(crate) rank: Rank,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    Running,
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    Serving,
    Demoted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Passing,
    Failing,
}

/// Which of its two configurations a member has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    Usual,
    Raised,
}

/// The difference between a raised priority and the usual one. A raised priority is above every
/// usual one, and equal to none.
const RAISE: u8 = 25;

impl Cluster {
    /// A cluster in which all members can serve.
    pub(crate) fn new() -> Self {
        let usual = Condition {
            process: Process::Running,
            duty: Duty::Serving,
            check: Check::Passing,
            rank: Rank::Usual,
        };
        Self(Member::ALL.into_iter().map(|member| (member, usual)).collect())
    }

    pub(crate) fn of(&self, member: Member) -> Condition {
        self.0[&member]
    }

    /// The member of the highest priority of those that may serve.
    pub(crate) fn holder(&self, service: Service) -> Option<Member> {
        let able = Member::ALL.into_iter().filter(|member| self.is_able(*member));
        able.max_by_key(|member| priority(service, *member, self.of(*member).rank))
    }

    /// The member that must hold each address.
    pub(crate) fn holders(&self) -> BTreeMap<IpAddr, Option<Member>> {
        all_held().map(|(service, address)| (address, self.holder(service))).collect()
    }

    pub(crate) fn is_able(&self, member: Member) -> bool {
        let Condition { process, duty, check, rank: _ } = self.of(member);
        (process, duty, check) == (Process::Running, Duty::Serving, Check::Passing)
    }

    /// Whether the fault can happen. At least one member must be able to serve, because otherwise
    /// nothing can be judged.
    pub(crate) fn allows(&self, kind: Kind, member: Member) -> bool {
        let condition = self.of(member);
        let running = condition.process == Process::Running;
        let others = || Member::ALL.into_iter().any(|other| other != member && self.is_able(other));
        match kind {
            Kind::Kill
            | Kind::KillCleanedUp
            | Kind::MachineLost
            | Kind::Pause
            | Kind::SecondDaemon
            | Kind::Reload => running,
            Kind::Cut
            | Kind::Deaf
            | Kind::Mute
            | Kind::Loss
            | Kind::LinkDown
            | Kind::CarrierLost
            | Kind::Rename
            | Kind::Recreate
            | Kind::SourceAway => true,
            Kind::AddressDeleted => {
                Service::ALL.into_iter().any(|service| self.holder(service) == Some(member))
            }
            Kind::Demote => running && condition.duty == Duty::Serving && others(),
            Kind::Promote => running && condition.duty == Duty::Demoted,
            Kind::Stop => running && others(),
            Kind::Start => !running,
            Kind::CheckFails => condition.check == Check::Passing && others(),
            Kind::CheckRecovers => condition.check == Check::Failing,
        }
    }

    /// Applies what is left of a fault when it is over.
    pub(crate) fn apply(&mut self, kind: Kind, member: Member) {
        let condition = self.0.get_mut(&member).expect("all members are there");
        match kind {
            Kind::Kill
            | Kind::KillCleanedUp
            | Kind::MachineLost
            | Kind::Pause
            | Kind::SecondDaemon
            | Kind::Cut
            | Kind::Deaf
            | Kind::Mute
            | Kind::Loss
            | Kind::LinkDown
            | Kind::CarrierLost
            | Kind::Rename
            | Kind::Recreate
            | Kind::AddressDeleted
            | Kind::SourceAway => {}
            Kind::Demote => condition.duty = Duty::Demoted,
            Kind::Promote => condition.duty = Duty::Serving,
            Kind::Stop => condition.process = Process::Stopped,
            Kind::Start => condition.process = Process::Running,
            Kind::CheckFails => condition.check = Check::Failing,
            Kind::CheckRecovers => condition.check = Check::Passing,
            Kind::Reload => {
                condition.rank = match condition.rank {
                    Rank::Usual => Rank::Raised,
                    Rank::Raised => Rank::Usual,
                }
            }
        }
    }
}

/// The priority in a member's configuration.
pub(crate) const fn priority(service: Service, member: Member, rank: Rank) -> u8 {
    let usual = match (service, member) {
        (Service::Web, Member::Fe0) | (Service::Mail, Member::Fe1) => 100,
        (Service::Web, Member::Fe1) | (Service::Mail, Member::Fe2) => 90,
        (Service::Web, Member::Fe2) | (Service::Mail, Member::Fe0) => 80,
    };
    match rank {
        Rank::Usual => usual,
        Rank::Raised => usual + RAISE,
    }
}

#[test]
fn the_highest_priority_of_those_that_may_serve_is_the_holder() {
    let mut cluster = Cluster::new();
    let holders = |cluster: &Cluster| Service::ALL.map(|service| cluster.holder(service).map(Member::name));
    assert_eq!(holders(&cluster), [Some("fe0"), Some("fe1")]);
    for (kind, member, expected) in [
        (Kind::Demote, Member::Fe0, [Some("fe1"), Some("fe1")]),
        (Kind::Cut, Member::Fe1, [Some("fe1"), Some("fe1")]),
        (Kind::Reload, Member::Fe2, [Some("fe2"), Some("fe2")]),
        (Kind::CheckFails, Member::Fe2, [Some("fe1"), Some("fe1")]),
        (Kind::Stop, Member::Fe1, [None, None]),
        (Kind::Promote, Member::Fe0, [Some("fe0"), Some("fe0")]),
        (Kind::CheckRecovers, Member::Fe2, [Some("fe2"), Some("fe2")]),
        (Kind::Reload, Member::Fe2, [Some("fe0"), Some("fe2")]),
        (Kind::Start, Member::Fe1, [Some("fe0"), Some("fe1")]),
    ] {
        cluster.apply(kind, member);
        assert_eq!(holders(&cluster), expected, "{kind:?} {member:?}");
    }
    assert_eq!(cluster, Cluster::new());
}

#[test]
fn no_two_priorities_of_a_service_are_equal() {
    for service in Service::ALL {
        let ranks = [Rank::Usual, Rank::Raised];
        let all = ranks.iter().flat_map(|rank| Member::ALL.map(|member| priority(service, member, *rank)));
        let different: std::collections::BTreeSet<u8> = all.collect();
        assert_eq!(different.len(), 6);
    }
}

#[test]
fn the_last_one_that_serves_is_not_taken_out() {
    let mut cluster = Cluster::new();
    cluster.apply(Kind::Demote, Member::Fe0);
    cluster.apply(Kind::CheckFails, Member::Fe1);
    for kind in [Kind::Demote, Kind::Stop, Kind::CheckFails] {
        assert!(!cluster.allows(kind, Member::Fe2), "{kind:?}");
    }
    assert!(cluster.allows(Kind::Kill, Member::Fe2) && cluster.allows(Kind::Stop, Member::Fe0));
}
