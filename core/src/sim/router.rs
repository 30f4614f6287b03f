//! The routers of our nodes. Each node has the same ones: a first router, and in some worlds a
//! second one on the same interface, with a VRID and addresses of its own.
//!
//! The second router is there so that what happens to a node (a stall, a crash, a reload, its
//! clock, its kernel) meets two routers at once. The rules hold for each of them alone.

use super::input_context::InputKind;
use super::node::{NodeView, interface};
use super::speech::Speech;
use crate::protocol::{Answer, Demotion, DrainId, Effect, Effects, Input, Node, RouterSpec, Track};
use crate::types::{AdverInterval, Destinations, Family, InstanceKey, Role, RouterName, Vrid};
use ipnet::IpNet;
use std::sync::OnceLock;

/// One of the routers of a node. The routers of all nodes with the same number are one virtual
/// router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouterNumber {
    /// The router that every station has.
    First,
    /// The router that our nodes have in addition in some worlds.
    Second,
}

/// How the second router of a node differs from the first.
#[derive(Debug, Clone)]
pub struct SecondRouter {
    /// Whether the node is an owner or a contender.
    pub role: Role,
    /// Advertisement_Interval.
    pub interval: AdverInterval,
    /// The tracked checks; they are the same checks as those of the first router.
    pub tracks: Vec<Track>,
}

impl RouterNumber {
    /// The number of the router to which a key belongs.
    #[must_use]
    pub fn of(key: InstanceKey) -> Self {
        if key.vrid == Self::Second.vrid() { Self::Second } else { Self::First }
    }

    /// The number of the router to which a name belongs. The first router has another name after
    /// some reloads, and the router of its former name may still be leaving.
    pub(super) fn named(name: &RouterName) -> Self {
        if *name == Self::Second.name() { Self::Second } else { Self::First }
    }

    /// The VRID.
    #[must_use]
    pub fn vrid(self) -> Vrid {
        let number = match self {
            Self::First => 51,
            Self::Second => 52,
        };
        match Vrid::new(number) {
            Ok(vrid) => vrid,
            Err(_) => unreachable!("both numbers are legal VRIDs"),
        }
    }

    /// The usual name.
    #[must_use]
    pub fn name(self) -> RouterName {
        let name = match self {
            Self::First => "web",
            Self::Second => "database",
        };
        match name.parse() {
            Ok(name) => name,
            Err(_) => unreachable!("both are legal names"),
        }
    }

    /// The key of one family.
    #[must_use]
    pub fn key(self, family: Family) -> InstanceKey {
        InstanceKey { interface: interface(), family, vrid: self.vrid() }
    }

    /// The virtual addresses of one family.
    #[must_use]
    pub fn addresses(self, family: Family) -> Vec<IpNet> {
        // They are parsed once, because every advertisement of a foreign router needs them.
        static PARSED: OnceLock<[Vec<IpNet>; 4]> = OnceLock::new();
        let [first_v4, first_v6, second_v4, second_v6] = PARSED.get_or_init(|| {
            let parse = |texts: &[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect();
            [
                parse(&["192.0.2.254/24"]),
                parse(&["fe80::51/64", "2001:db8::51/64"]),
                parse(&["192.0.2.244/24"]),
                parse(&["fe80::52/64", "2001:db8::5:52/64"]),
            ]
        });
        let addresses = match (self, family) {
            (Self::First, Family::Ipv4) => first_v4,
            (Self::First, Family::Ipv6) => first_v6,
            (Self::Second, Family::Ipv4) => second_v4,
            (Self::Second, Family::Ipv6) => second_v6,
        };
        addresses.clone()
    }

    /// An address that a reload adds.
    pub(super) fn more_addresses(self, family: Family) -> Option<IpNet> {
        let address = match (self, family) {
            (Self::First, Family::Ipv4) => "192.0.2.253/24",
            (Self::First, Family::Ipv6) => "2001:db8::52/64",
            (Self::Second, Family::Ipv4) => "192.0.2.243/24",
            (Self::Second, Family::Ipv6) => "2001:db8::5:53/64",
        };
        address.parse().ok()
    }
}

/// One router of one of our nodes.
#[derive(Debug)]
pub(super) struct SimRouter {
    pub(super) number: RouterNumber,
    /// The configuration of the router now.
    pub(super) spec: RouterSpec,
    /// The configuration of the router when no reload has changed it.
    pub(super) usual_spec: RouterSpec,
    /// The last configuration that the core was given: a router of an earlier configuration may
    /// still be leaving.
    pub(super) given: Option<RouterSpec>,
    /// To whom the routers sent that ran when it was given: those that the new configuration replaces may
    /// still be leaving.
    pub(super) former_destinations: Vec<Destinations>,
    pub(super) view: NodeView,
    /// The view before the last input.
    pub(super) before: NodeView,
    /// The kind of the last input, as far as it concerns this router.
    pub(super) kind: InputKind,
    /// The demotion that is saved on disk.
    pub(super) demotion: Option<Demotion>,
    /// What the router speaks in IPv4, when it has IPv4.
    pub(super) speech: Speech,
}

impl SimRouter {
    pub(super) fn new(number: RouterNumber, spec: RouterSpec, speech: Speech) -> Self {
        let usual_spec = spec.clone();
        Self {
            number,
            spec,
            usual_spec,
            given: None,
            former_destinations: Vec::new(),
            view: NodeView::NOTHING,
            before: NodeView::NOTHING,
            kind: InputKind::Other,
            demotion: None,
            speech,
        }
    }

    /// A process begins, which was not given a configuration yet.
    pub(super) fn begin(&mut self) {
        self.given = None;
        self.view = NodeView::NOTHING;
    }

    /// The kind of an input, as far as it concerns this router. Notes the configuration.
    pub(super) fn kind_of(&mut self, core: &Node, input: &Input<'_>) -> InputKind {
        let vrid = self.number.vrid();
        let is_other = matches!(input, Input::Received { advertisement, .. } if advertisement.vrid != vrid);
        if is_other {
            return InputKind::Other;
        }
        let Input::Configure(specs) = input else { return InputKind::of(input) };
        let running = || core.running().filter(|spec| spec.vrid == vrid);
        let new = || specs.iter().filter(|spec| spec.vrid == vrid);
        let kind = if !running().chain(&self.given).zip(new().cycle()).all(|(old, new)| keeps_all(old, new)) {
            InputKind::Replace
        } else if running().eq(new()) && self.given.iter().eq(new()) {
            InputKind::Unchanged
        } else {
            InputKind::Configure
        };
        self.former_destinations = running().map(|spec| spec.destinations.clone()).collect();
        self.given = new().next().cloned();
        kind
    }

    /// Whether a hand-over is under way, or ended with the last input, that may be the one of a
    /// configuration in which other nodes were listed.
    pub(super) fn leaves_with_another_list(&self) -> bool {
        let now = self.given.as_ref().map(|spec| &spec.destinations);
        self.before.handing_over && self.former_destinations.iter().any(|former| Some(former) != now)
    }

    /// What the core did for this router alone.
    pub(super) fn own_effects(&self, effects: &Effects) -> Effects {
        let is_own = |key: InstanceKey| RouterNumber::of(key) == self.number;
        let is_named = |name: &RouterName| RouterNumber::named(name) == self.number;
        let concerns = |effect: &&Effect| match effect {
            Effect::HoldAddresses { key, .. }
            | Effect::ReleaseAddresses { key, .. }
            | Effect::DrainAddresses { key, .. }
            | Effect::ResetConnections(DrainId { key, .. })
            | Effect::Advertise { key, .. }
            | Effect::Announce { key, .. }
            | Effect::WatchAnnouncements { key }
            | Effect::IgnoreAnnouncements { key } => is_own(*key),
            Effect::Report(event) => match (event.key, &event.router) {
                (Some(key), _) => is_own(key),
                (None, Some(name)) => is_named(name),
                (None, None) => true,
            },
            Effect::Answer { answer: Answer::Demoted(results), .. } => {
                results.iter().any(|result| is_named(&result.name))
            }
            Effect::SaveDemotion { router, .. } => is_named(router),
            Effect::Answer { answer: Answer::Promoted { .. } | Answer::UnknownRouter(_), .. }
            | Effect::Stopped => true,
        };
        effects.iter().filter(concerns).cloned().collect()
    }
}

/// Whether a router that runs with the configuration `old` continues with `new` and keeps all that
/// it holds, whatever its checks report.
fn keeps_all(old: &RouterSpec, new: &RouterSpec) -> bool {
    (&old.name, &old.instances, &old.tracks) == (&new.name, &new.instances, &new.tracks)
}

#[cfg(test)]
mod tests {
    use super::super::node::{Host, NodeSetup, SimNode};
    use super::*;
    use crate::types::Preempt;

    #[test]
    fn what_concerns_a_router_that_leaves_under_its_former_name_belongs_to_the_first_router() {
        let role =
            || Role::Contender { priority: crate::types::Priority::clamped(100), preempt: Preempt::Allow };
        let second = SecondRouter { role: role(), interval: AdverInterval::default(), tracks: Vec::new() };
        let setup = NodeSetup { second: Some(second), ..NodeSetup::new(Host { v4: 1, v6: 1 }, role()) };
        let node = SimNode::new(setup, &[Family::Ipv4]);
        let saved = |name: &str| Effect::SaveDemotion { router: name.parse().unwrap(), demotion: None };
        let effects: Effects = ["former", "web", "database"].map(saved).into_iter().collect();
        let seen: Vec<Effects> = node.routers.iter().map(|router| router.own_effects(&effects)).collect();
        assert_eq!(seen, [effects[..2].to_vec(), effects[2..].to_vec()]);
    }
}
