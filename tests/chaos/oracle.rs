//! What must be true, judged from outside. Pure: the input is what the kernels, the switch and the
//! client saw.
//!
//! Every rule is a function from observations to violations. The tests below feed violations to
//! each, to show that it finds them.

use super::fault::{Kind, Member, Promise, Service};
use super::timeline::Holders;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Time beyond Active_Down_Interval until the service must be at rest: for starting, checking,
/// handing over, and two busy cores.
pub(crate) const GRACE: Duration = Duration::from_millis(2500);

/// A violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation {
    /// At rest, no member holds the address.
    NobodyHolds(IpAddr),
    /// At rest, several members hold the address.
    SeveralHold(IpAddr, BTreeSet<Member>),
    /// At rest, the member that holds the address is not the best that could.
    Usurped { address: IpAddr, holder: Member, expected: Option<Member> },
    /// At rest, the client is not answered by the holder.
    NotServed { address: IpAddr, by: Option<Member>, expected: Option<Member> },
    /// The kernel lists other addresses than its notifications say.
    NotTold { member: Member, address: IpAddr },
    /// At rest, a member advertises a router that another member must serve.
    Advertises { service: Service, member: Member, expected: Option<Member> },
    /// A planned move cost requests.
    Lost { kind: Kind, address: IpAddr, requests: usize },
    /// `vrrpctl status` says something that is not true.
    Untrue { member: Member, service: Service, says: String, truth: String },
    /// A command or a daemon did not end as it should.
    Refused { member: Member, what: String },
    /// Something of ours is there after the end.
    LeftBehind { member: Member, what: String },
    /// Something that was not ours has disappeared after the end.
    TakenAway { member: Member, what: String },
}

/// Whether all processes got the processor time that they needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    Fair,
    Starved,
}

impl Machine {
    /// Judges by the time for which a thread of a daemon, or of the client, was runnable and had no
    /// processor.
    pub(crate) fn when(waited: Duration, interval: Duration) -> Self {
        if waited > interval { Self::Starved } else { Self::Fair }
    }
}

/// Active_Down_Interval of the lowest priority (RFC 9568 §6.1): three intervals and nearly a
/// fourth, and [`GRACE`].
pub(crate) fn bound(interval: Duration) -> Duration {
    interval * 4 + GRACE
}

/// Each address is held by the member that must hold it, and by no other.
pub(crate) fn holding(expected: &BTreeMap<IpAddr, Option<Member>>, holders: &Holders) -> Vec<Violation> {
    let judge = |(address, expected): (&IpAddr, &Option<Member>)| {
        let holding = holders.get(address).cloned().unwrap_or_default();
        let mut each = holding.iter().copied();
        match (each.next(), each.next()) {
            (None, _) => expected.map(|_| Violation::NobodyHolds(*address)),
            (Some(_), Some(_)) => Some(Violation::SeveralHold(*address, holding)),
            (Some(holder), None) => (Some(holder) != *expected).then_some(Violation::Usurped {
                address: *address,
                holder,
                expected: *expected,
            }),
        }
    };
    expected.iter().filter_map(judge).collect()
}

/// The client is answered by the holder. `answers` has the member that answered it just now, for
/// each address.
pub(crate) fn serving(
    expected: &BTreeMap<IpAddr, Option<Member>>,
    answers: &BTreeMap<IpAddr, Option<Member>>,
) -> Vec<Violation> {
    let judge = |(address, by): (&IpAddr, &Option<Member>)| {
        let expected = expected.get(address).copied().flatten();
        (*by != expected).then_some(Violation::NotServed { address: *address, by: *by, expected })
    };
    answers.iter().filter_map(judge).collect()
}

/// The addresses that the kernels list are those of their notifications.
pub(crate) fn telling(told: &Holders, listed: &Holders) -> Vec<Violation> {
    let flat = |holders: &Holders| -> BTreeSet<(IpAddr, Member)> {
        holders.iter().flat_map(|(address, all)| all.iter().map(|member| (*address, *member))).collect()
    };
    let different =
        |(address, member): &(IpAddr, Member)| Violation::NotTold { member: *member, address: *address };
    flat(told).symmetric_difference(&flat(listed)).map(different).collect()
}

/// Only the holder advertises. `heard` has the members that advertised each router since everything
/// was at rest.
pub(crate) fn advertising(
    expected: &BTreeMap<Service, Option<Member>>,
    heard: &BTreeSet<(Service, Member)>,
) -> Vec<Violation> {
    let judge = |(service, member): &(Service, Member)| {
        let expected = expected.get(service).copied().flatten();
        (Some(*member) != expected).then_some(Violation::Advertises {
            service: *service,
            member: *member,
            expected,
        })
    };
    heard.iter().filter_map(judge).collect()
}

/// A planned move costs no requests; what is lost by a failure is measured elsewhere. Losses do not
/// count either if the kernel let a daemon or the client wait for a processor longer than an
/// interval, because no router can keep a promise then.
pub(crate) fn losing(kind: Kind, lost: &BTreeMap<IpAddr, usize>, machine: Machine) -> Vec<Violation> {
    match (kind.promise(), machine) {
        (Promise::None, _) | (Promise::Planned, Machine::Starved) => Vec::new(),
        (Promise::Planned, Machine::Fair) => {
            let some = lost.iter().filter(|(_, requests)| **requests > 0);
            let lose = |(address, requests): (&IpAddr, &usize)| Violation::Lost {
                kind,
                address: *address,
                requests: *requests,
            };
            some.map(lose).collect()
        }
    }
}

/// While other faults last, a demotion may find no router that could take over, and is refused, as
/// documented. Nothing else may fail.
pub(crate) fn excused(kind: Kind, wrong: &Violation) -> bool {
    const NOBODY_TOOK_OVER: &str = " ended with 4: ";
    kind == Kind::Demote
        && matches!(wrong, Violation::Refused { what, .. } if what.contains(NOBODY_TOOK_OVER))
}

/// Nothing is left behind, and nothing is removed that was not ours.
pub(crate) fn residue(member: Member, before: &BTreeSet<String>, after: &BTreeSet<String>) -> Vec<Violation> {
    let left = after.difference(before).map(|what| Violation::LeftBehind { member, what: what.clone() });
    let taken = before.difference(after).map(|what| Violation::TakenAway { member, what: what.clone() });
    left.chain(taken).collect()
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyHolds(address) => write!(f, "nobody holds {address}"),
            Self::SeveralHold(address, holders) => {
                let names: Vec<&str> = holders.iter().map(|holder| holder.name()).collect();
                write!(f, "{address} is held by {}", names.join(" and "))
            }
            Self::Usurped { address, holder, expected } => {
                write!(f, "{address} is held by {} and not by {}", holder.name(), name(*expected))
            }
            Self::NotServed { address, by, expected } => {
                write!(
                    f,
                    "the client is answered at {address} by {} and not by {}",
                    name(*by),
                    name(*expected)
                )
            }
            Self::NotTold { member, address } => {
                write!(f, "what the kernel of {} told about {address} is not what it lists", member.name())
            }
            Self::Advertises { service, member, expected } => {
                let (service, member) = (service.name(), member.name());
                write!(f, "{member} advertises {service}, which is for {} to serve", name(*expected))
            }
            Self::Lost { kind, address, requests } => {
                write!(f, "{requests} requests to {address} were lost in a planned move ({})", kind.words())
            }
            Self::Untrue { member, service, says, truth } => {
                write!(
                    f,
                    "vrrpctl status on {} says of {}: {says}; but {truth}",
                    member.name(),
                    service.name()
                )
            }
            Self::Refused { member, what } => write!(f, "{}: {what}", member.name()),
            Self::LeftBehind { member, what } => write!(f, "left behind on {}: {what}", member.name()),
            Self::TakenAway { member, what } => write!(f, "gone from {}: {what}", member.name()),
        }
    }
}

fn name(member: Option<Member>) -> &'static str {
    member.map_or("nobody", Member::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "192.0.2.50";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn held_by(members: &[Member]) -> Holders {
        BTreeMap::from([(ip(WEB), members.iter().copied().collect())])
    }

    #[test]
    fn one_holder_is_right_and_two_and_none_and_another_are_not() {
        let expected = BTreeMap::from([(ip(WEB), Some(Member::Fe0))]);
        assert_eq!(holding(&expected, &held_by(&[Member::Fe0])), []);
        assert_eq!(holding(&expected, &held_by(&[])), [Violation::NobodyHolds(ip(WEB))]);
        assert_eq!(holding(&expected, &Holders::new()), [Violation::NobodyHolds(ip(WEB))]);
        let two = [Member::Fe0, Member::Fe2];
        assert_eq!(
            holding(&expected, &held_by(&two)),
            [Violation::SeveralHold(ip(WEB), BTreeSet::from(two))]
        );
        let usurped =
            Violation::Usurped { address: ip(WEB), holder: Member::Fe2, expected: Some(Member::Fe0) };
        assert_eq!(holding(&expected, &held_by(&[Member::Fe2])), [usurped]);
        let nobody = BTreeMap::from([(ip(WEB), None)]);
        assert_eq!(holding(&nobody, &held_by(&[])), []);
        assert_eq!(holding(&nobody, &held_by(&[Member::Fe2])).len(), 1);
    }

    #[test]
    fn a_client_that_is_not_answered_or_by_another_is_not_served() {
        let expected = BTreeMap::from([(ip(WEB), Some(Member::Fe0))]);
        let answered = |by| BTreeMap::from([(ip(WEB), by)]);
        assert_eq!(serving(&expected, &answered(Some(Member::Fe0))), []);
        for by in [None, Some(Member::Fe1)] {
            assert_eq!(serving(&expected, &answered(by)).len(), 1);
        }
    }

    #[test]
    fn an_address_without_notification_is_found_and_a_notification_without_address() {
        let (none, one) = (held_by(&[]), held_by(&[Member::Fe1]));
        let untold = [Violation::NotTold { member: Member::Fe1, address: ip(WEB) }];
        assert_eq!(telling(&one, &one), []);
        assert_eq!(telling(&none, &one), untold);
        assert_eq!(telling(&one, &none), untold);
    }

    #[test]
    fn a_demotion_may_be_refused_and_nothing_else_may_fail() {
        let ended = |what: &str| Violation::Refused { member: Member::Fe0, what: what.to_owned() };
        let refused = ended("vrrpctl demote --all --reason chaos ended with 4: nobody took over");
        assert!(excused(Kind::Demote, &refused));
        assert!(!excused(Kind::Reload, &refused));
        for code in [1, 3, 5] {
            assert!(!excused(Kind::Demote, &ended(&format!("vrrpctl demote ended with {code}: "))), "{code}");
        }
        assert!(!excused(Kind::Demote, &ended("vrrpctl promote --all ended with 3: it is stopping")));
        assert!(!excused(
            Kind::KillCleanedUp,
            &ended("vrrpd --clean-up ended with 1: addresses may be left")
        ));
    }

    #[test]
    fn only_the_holder_may_advertise() {
        let expected =
            BTreeMap::from([(Service::Web, Some(Member::Fe0)), (Service::Mail, Some(Member::Fe1))]);
        let good = BTreeSet::from([(Service::Web, Member::Fe0), (Service::Mail, Member::Fe1)]);
        assert_eq!(advertising(&expected, &good), []);
        let rival = BTreeSet::from([(Service::Web, Member::Fe0), (Service::Web, Member::Fe1)]);
        let (service, member) = (Service::Web, Member::Fe1);
        let expected_one = Some(Member::Fe0);
        assert_eq!(
            advertising(&expected, &rival),
            [Violation::Advertises { service, member, expected: expected_one }]
        );
    }

    #[test]
    fn a_lost_request_is_a_violation_where_the_move_was_planned() {
        let lost = |requests| BTreeMap::from([(ip(WEB), requests)]);
        for (kind, _) in Kind::WEIGHTS {
            assert_eq!(losing(kind, &lost(0), Machine::Fair), []);
            assert_eq!(losing(kind, &lost(1), Machine::Starved), []);
            let expected = match kind.promise() {
                Promise::Planned => vec![Violation::Lost { kind, address: ip(WEB), requests: 1 }],
                Promise::None => Vec::new(),
            };
            assert_eq!(losing(kind, &lost(1), Machine::Fair), expected);
        }
    }

    #[test]
    fn what_is_left_behind_and_what_was_taken_away_is_found() {
        let lines = |all: &[&str]| all.iter().map(|line| (*line).to_owned()).collect::<BTreeSet<String>>();
        let before = lines(&["address 192.0.2.10/24"]);
        assert_eq!(residue(Member::Fe0, &before, &before), []);
        let after = lines(&["address 192.0.2.50/24"]);
        assert_eq!(
            residue(Member::Fe0, &before, &after),
            [
                Violation::LeftBehind { member: Member::Fe0, what: "address 192.0.2.50/24".to_owned() },
                Violation::TakenAway { member: Member::Fe0, what: "address 192.0.2.10/24".to_owned() },
            ]
        );
    }
}
