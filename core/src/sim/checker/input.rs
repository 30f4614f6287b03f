//! The rules about one input of one node: what the core may do because of it.

use super::{Checker, Violation};
use crate::protocol::{Answer, DemoteOutcome, Effect, Effects, LastResort, StateName};
use crate::sim::clock::TrueTime;
use crate::sim::documents;
use crate::sim::groups::Strangers;
use crate::sim::input_context::{InputContext, InputKind, before_release, is_conflict, is_copy, is_decision};
use crate::sim::lan::Port;
use crate::sim::node::{NodeView, SimNode};
use crate::sim::packet::Packet;
use crate::sim::router::RouterNumber;
use crate::types::{Destinations, Family, InstanceKey, MonoTime, Version};
use crate::wire::{ChecksumFlavour, Draft, HeardAuthentication};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The last request of a process to its kernel, for each key.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests {
    last: BTreeMap<InstanceKey, HoldRequest>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct HoldRequest {
    epoch: u64,
    held: bool,
    /// Whether the connections that are open are served on.
    drains: bool,
}

impl Requests {
    /// The process finds these addresses held, and did not ask for them.
    pub(super) fn inherit(&mut self, keys: impl Iterator<Item = InstanceKey>) {
        self.last.extend(keys.map(|key| (key, HoldRequest { epoch: 0, held: true, drains: false })));
    }

    /// Notes a request, and returns the one before it.
    fn note(&mut self, key: InstanceKey, request: HoldRequest) -> HoldRequest {
        self.last.insert(key, request).unwrap_or_default()
    }

    /// Whether the process wants the addresses of `key`.
    fn wants(&self, key: InstanceKey) -> bool {
        self.last.get(&key).is_some_and(|request| request.held)
    }
}

/// Whether an advertisement goes to the group or to another node of the list, as one of the
/// configurations of its router has it: a router of an earlier one may still be leaving.
fn goes_where_configured(node: &SimNode, key: InstanceKey, destination: IpAddr) -> bool {
    let Some(router) = node.router(RouterNumber::of(key)) else { return false };
    let own = node.host.address(key.family);
    let specs = router.given.iter().chain([&router.spec, &router.usual_spec]);
    let mut destinations = specs.map(|spec| &spec.destinations).chain(&router.former_destinations);
    destinations.any(|to| match to {
        Destinations::Multicast => destination == documents::group(key.family),
        Destinations::Unicast(peers) => destination != own && peers.addresses.contains(&destination),
    })
}

impl Checker {
    /// Checks the rules about one input of one node.
    pub(in crate::sim) fn judge_input(
        &mut self,
        input_context: &InputContext<'_>,
        node: &SimNode,
        effects: &Effects,
    ) -> Result<(), Violation> {
        let InputContext { now, port, local, kind, before } = *input_context;
        let fail = |rule, seen: String| Err(Violation::by(port, now, rule, seen));
        let after = node.view(self.number);
        if kind == InputKind::Deadline && after.deadline.is_some_and(|at| at <= local) {
            return fail(
                "next_deadline() > now after a deadline",
                format!("{:?} at {local:?}", after.deadline),
            );
        }
        let became = || format!("{before:?} became {after:?} by {effects:?}");
        if kind == InputKind::Rejected && after.deadline != before.deadline {
            return fail("a rejected packet touches no timer", became());
        }
        if kind == InputKind::Rejected && after.states != before.states {
            return fail("a rejected packet changes no state", became());
        }
        // For each family: one decision, two advertisements (an answer and a first advertisement),
        // one announcement and two transitions. For the router: faults, the end of a hand-over, and
        // its answers.
        let most = 8 * self.families.len() + 12;
        let count = effects.iter().filter(|effect| !is_copy(effects, effect)).count();
        if count > most {
            return fail("effects of one input are bounded", format!("{count} > {most}"));
        }
        // If a foreign router with our VRID takes over in one family, our other family does not
        // give up its addresses.
        if after.any(StateName::Active) && !after.all(StateName::Active) && !after.other_addresses {
            return fail("families of a router are Active together", format!("{:?}", after.states));
        }
        // A node that slept past a deadline has more to notice than this input.
        let overslept = before.deadline.is_some_and(|at| at <= local);
        // Warnings about a neighbour may expire in the meantime.
        let same = || {
            let other_changed = node.routers.iter().any(|router| router.kind != InputKind::Unchanged);
            let before = if other_changed { before.with_deadline_of(after) } else { before.clone() };
            before.is_but_for_neighbours(after)
        };
        if kind == InputKind::Unchanged && !overslept && !(effects.is_empty() && same()) {
            return fail("an unchanged configuration is not noticed", became());
        }
        let reconfigured = kind == InputKind::Configure && !before.states.is_empty();
        let moved = before.states != after.states || effects.iter().any(is_decision);
        if reconfigured && before.eligible && moved && self.has_recipients(node) {
            return fail("a reload that keeps the router keeps its state", became());
        }
        let alone = self.strangers == Strangers::Apart;
        if alone && self.has_settled(now) && effects.iter().any(is_conflict) {
            return fail("on a calm LAN nobody announces what another serves", became());
        }
        self.judge_effects(input_context, node, effects)?;
        self.judge_demoted(now, port, after)?;
        self.judge_rate(input_context, node, effects)?;
        if kind == InputKind::Deadline {
            self.judge_retained(now, port, local, after)?;
        }
        self.judge_leaving(now, port, after)
    }

    /// Whether the configuration of a router names anybody but the node itself: it is a fault if not.
    fn has_recipients(&self, node: &SimNode) -> bool {
        let Some(spec) = node.router(self.number).and_then(|router| router.given.as_ref()) else {
            return false;
        };
        spec.instances.iter().all(|instance| {
            let own = node.host.address(instance.family);
            !spec.destinations.addresses(instance.family, |address| address == own).is_empty()
        })
    }

    fn judge_effects(
        &mut self,
        input_context: &InputContext<'_>,
        node: &SimNode,
        effects: &Effects,
    ) -> Result<(), Violation> {
        let InputContext { now, port, before, kind, .. } = *input_context;
        let fail = |rule, seen: String| Err(Violation::by(port, now, rule, seen));
        let after = node.view(self.number);
        let number = self.number;
        let Some(record) = self.records.get_mut(port.0) else { return Ok(()) };
        for effect in effects {
            match effect {
                Effect::HoldAddresses { key, epoch, relieved: _ }
                | Effect::DrainAddresses { key, epoch, until: _ }
                | Effect::ReleaseAddresses { key, epoch } => {
                    let held = matches!(effect, Effect::HoldAddresses { .. });
                    let drains = matches!(effect, Effect::DrainAddresses { .. });
                    let last = record.requests.note(*key, HoldRequest { epoch: *epoch, held, drains });
                    // What drains gets another deadline, and is released in the end. A process may
                    // begin with what drained in an earlier one.
                    let drained = !held && (last.drains || drains && last.epoch == 0);
                    // An instance that takes over again before it has let go asks for addresses
                    // that it holds.
                    let again = held && before.yielded(*key).is_some();
                    let readdressed = held && kind == InputKind::Replace;
                    if *epoch <= last.epoch || (held == last.held && !again && !readdressed && !drained) {
                        return fail(
                            "addresses are held and released in turn, under growing epochs",
                            format!("{effect:?} after {last:?}"),
                        );
                    }
                }
                Effect::Advertise { key, version, priority, source, destination, interval, .. } => {
                    let was = before.state(*key) == StateName::Active;
                    let is = after.state(*key) == StateName::Active;
                    if priority.is_resignation() {
                        self.last_resignation = Some(now);
                        record.priority_changed = now;
                        if !was {
                            return fail("only an Active resigns", format!("{effect:?}, was {before:?}"));
                        }
                    } else if !(is || was && before_release(effects, effect, *key)) {
                        // An instance that yields sends one last advertisement, while it still
                        // holds the addresses.
                        return fail("only an Active advertises", format!("{effect:?}, is {after:?}"));
                    }
                    if *source != node.host.address(key.family) {
                        return fail("advertisements have our source address", format!("{effect:?}"));
                    }
                    // The reference predicts which version is spoken in IPv4, and with which password.
                    let spoken = match key.family {
                        Family::Ipv4 => *version == Version::V3 || interval.whole_seconds().is_some(),
                        Family::Ipv6 => *version == Version::V3,
                    };
                    if !spoken || !goes_where_configured(node, *key, *destination) {
                        let rule = "advertisements go where they are meant to, in a version that has them";
                        return fail(rule, format!("{effect:?}"));
                    }
                }
                Effect::Answer { answer: Answer::Demoted(results), .. } => {
                    for result in results {
                        let serving = after.state(number.key(result.family)) == StateName::Active;
                        let honest = match result.outcome {
                            DemoteOutcome::HandedOver { .. } | DemoteOutcome::Forced { .. } => !serving,
                            DemoteOutcome::Refused { .. } | DemoteOutcome::LastResort { .. } => {
                                serving || !after.eligible
                            }
                            DemoteOutcome::WasBackup | DemoteOutcome::AlreadyDemoted => true,
                        };
                        // A router of another name that took the place of this router is not
                        // demoted.
                        let is_it = node.core().running().any(|spec| spec.name == result.name);
                        if is_it && !honest {
                            return fail(
                                "a demotion is answered with the truth",
                                format!("{result:?}, is {after:?}"),
                            );
                        }
                    }
                }
                Effect::Answer { .. }
                | Effect::ResetConnections(..)
                | Effect::Announce { .. }
                | Effect::WatchAnnouncements { .. }
                | Effect::IgnoreAnnouncements { .. }
                | Effect::Report(_)
                | Effect::SaveDemotion { .. }
                | Effect::Stopped => {}
            }
        }
        for (key, state) in &after.states {
            let held = record.requests.wants(*key);
            let retained = after.yielded(*key).is_some();
            if held != (*state == StateName::Active || retained) {
                return fail(
                    "an Active and a router that has just yielded want the addresses, and no other",
                    format!("{key} {state}, wanted: {held}"),
                );
            }
        }
        Ok(())
    }

    /// A router that is demoted, and not to the last resort, does not take part in anything except
    /// its hand-over.
    fn judge_demoted(&self, now: TrueTime, port: Port, node: &NodeView) -> Result<(), Violation> {
        if node.demoted == Some(LastResort::No) && !node.handing_over && !node.all(StateName::Initialize) {
            return Err(Violation::by(port, now, "a demoted router takes no part", format!("{node:?}")));
        }
        Ok(())
    }

    /// What an Active keeps after it yielded is released soon after the process is scheduled.
    fn judge_retained(
        &self,
        now: TrueTime,
        port: Port,
        local: MonoTime,
        node: &NodeView,
    ) -> Result<(), Violation> {
        let most = self.bounds().retained();
        if self.woken_at(port).is_some_and(|woken| now.since(woken) <= most) {
            return Ok(());
        }
        let late = |(key, _): &&(InstanceKey, StateName)| {
            node.yielded(*key).is_some_and(|since| local.since(since) > most)
        };
        match node.states.iter().find(late) {
            Some((key, _)) => {
                let seen = format!("{key} since {:?}, more than {most:?}", node.yielded(*key));
                Err(Violation::by(port, now, "addresses that are retained are released soon", seen))
            }
            None => Ok(()),
        }
    }

    fn judge_leaving(&mut self, now: TrueTime, port: Port, after: &NodeView) -> Result<(), Violation> {
        // A hand-over that failed may be followed at once by another one, because a fault
        // happened in the meantime. Where one family cannot send that it leaves, its Backups take
        // over when their timers fire, and the router waits for that (docs/adr/0009).
        let most = self.bounds.handover() + self.bounds.handover().max(self.bounds.active_down());
        let Some(record) = self.records.get_mut(port.0) else { return Ok(()) };
        record.leaving_since = after.handing_over.then(|| record.leaving_since.unwrap_or(now));
        match (record.leaving_since, self.healthy_since) {
            (Some(since), Some(calm)) if now.since(since.max(calm)) > most => {
                let seen = format!("since {since:?}, more than {most:?}");
                Err(Violation::by(port, now, "a hand-over ends", seen))
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// RFC 9568 §8.1.2, §8.2.2: addresses are not announced before the node can answer for them.
    pub(in crate::sim) fn judge_announcement(
        &self,
        now: TrueTime,
        port: Port,
        key: InstanceKey,
        held: bool,
    ) -> Result<(), Violation> {
        if held {
            return Ok(());
        }
        Err(Violation::by(port, now, "only held addresses are announced", key.to_string()))
    }

    /// A message that is parsed gives what was sent.
    pub(in crate::sim) fn judge_codec(
        &self,
        now: TrueTime,
        port: Port,
        draft: &Draft,
        listed: &[IpAddr],
        packet: &Packet,
    ) -> Result<(), Violation> {
        let same = packet.parse().is_ok_and(|read| {
            // IPv6 has only one checksum form; an IPv4 message may happen to be valid in both
            // forms.
            let flavour = read.checksum == draft.checksum || read.checksum == ChecksumFlavour::Rfc9568;
            flavour
                && read.version == draft.version
                && read.authentication == HeardAuthentication::Readable(draft.authentication)
                && (read.vrid, read.priority, read.interval) == (draft.vrid, draft.priority, draft.interval)
                && read.addresses.iter().eq(listed.iter().copied())
        });
        if same {
            return Ok(());
        }
        Err(Violation::by(port, now, "parse(emit(x)) == x", format!("{draft:?} became {:?}", packet.parse())))
    }
}
