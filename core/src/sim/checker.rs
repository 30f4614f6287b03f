//! The invariants: what must hold after every input, and after every step of the world.
//!
//! The checker sees inputs, effects and what is really held, but never the inside of the core.
//! Rules that need a healthy LAN apply while the LAN is *calm*. Rules about the service apply when
//! the world has *settled*, and are suspended after an event that no router could have bridged (an
//! allowed gap).

use super::bounds::Bounds;
use super::clock::TrueTime;
use super::input_context::{InputContext, InputKind, before_release, is_conflict, is_decision};
use super::lan::Port;
use super::node::{NodeView, SimNode, key};
use super::packet::Packet;
use super::view::{StationView, in_family};
use super::world::WorldSetup;
use crate::protocol::{Answer, DemoteOutcome, Effect, Effects, StateName};
use crate::types::{AdvertPriority, Family, InstanceKey, Preempt};
use crate::wire::{ChecksumFlavour, Draft};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When the invariant was broken.
    pub at: TrueTime,
    /// The station that broke the invariant, if it was one station.
    pub port: Option<Port>,
    /// The rule that was broken.
    pub rule: &'static str,
    /// What was seen instead.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:?}", self.at)?;
        if let Some(Port(port)) = self.port {
            write!(f, ", station {port}")?;
        }
        write!(f, ": {}: {}", self.rule, self.seen)
    }
}

impl std::error::Error for Violation {}

/// The last request to the kernel for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Desired {
    epoch: u64,
    held: bool,
}

/// What the checker knows of one station.
#[derive(Debug, Clone, Default)]
struct Record {
    desired: BTreeMap<InstanceKey, Desired>,
    born: TrueTime,
    /// How many advertisements this process sent, and how many it was entitled to send.
    sent: u64,
    allowed: u64,
    active_since: Option<TrueTime>,
    /// When the station was last seen to be Active and not leaving.
    last_active: Option<TrueTime>,
    /// When the station was last scheduled again.
    woken: Option<TrueTime>,
    /// Since when the station is Backup.
    listening_since: Option<TrueTime>,
    leaving_since: Option<TrueTime>,
    /// When the priority of the station, or what it advertises, changed last: other stations cannot
    /// know of it at once.
    priority_changed: TrueTime,
}

/// Checks every step of one world.
#[derive(Debug)]
pub struct Checker {
    bounds: Bounds,
    families: Vec<Family>,
    records: Vec<Record>,
    settle: Duration,
    healthy_since: Option<TrueTime>,
    gap_allowed_until: TrueTime,
    dual_since: Option<TrueTime>,
    /// When any station sent priority 0 for the last time.
    last_resignation: Option<TrueTime>,
    checks: u64,
}

impl Checker {
    pub(super) fn new(setup: &WorldSetup) -> Self {
        let bounds = Bounds::new(setup);
        Self {
            bounds,
            families: setup.families.clone(),
            records: vec![Record::default(); setup.stations.len()],
            settle: bounds.settle(),
            healthy_since: None,
            gap_allowed_until: TrueTime::ZERO,
            dual_since: None,
            last_resignation: None,
            checks: 0,
        }
    }

    /// The bounds of this world.
    #[must_use]
    pub const fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The time from the last fault until the rules about the service apply.
    #[must_use]
    pub const fn settle(&self) -> Duration {
        self.settle
    }

    /// How many times the whole world was checked.
    #[must_use]
    pub const fn checks(&self) -> u64 {
        self.checks
    }

    /// The last fault is over.
    pub(super) const fn faults_end(&mut self, now: TrueTime) {
        self.healthy_since = Some(now);
    }

    /// Faults begin.
    pub(super) const fn faults_begin(&mut self) {
        self.healthy_since = None;
        self.dual_since = None;
    }

    /// The kernel refused a request, so everything takes longer.
    pub(super) fn refusals_happen(&mut self) {
        self.settle = self.bounds.settle_after_refusal();
    }

    /// An event happened that no router can bridge without a gap.
    pub(super) fn allow_gap(&mut self, now: TrueTime) {
        self.gap_allowed_until = self.gap_allowed_until.max(now + self.settle);
    }

    /// A process began or ended.
    pub(super) fn process_changed(&mut self, now: TrueTime, port: Port) {
        if let Some(record) = self.records.get_mut(port.0) {
            *record = Record { born: now, priority_changed: now, ..Record::default() };
        }
    }

    /// An operator, a check or a reload changed the priority of a station.
    pub(super) fn priority_changed(&mut self, now: TrueTime, port: Port) {
        if let Some(record) = self.records.get_mut(port.0) {
            record.priority_changed = now;
        }
    }

    /// The interval of a station changed: how much it may send is counted from now on.
    pub(super) fn rate_changed(&mut self, now: TrueTime, port: Port) {
        if let Some(record) = self.records.get_mut(port.0) {
            (record.born, record.sent, record.allowed) = (now, 0, 0);
        }
    }

    /// A process takes the place of one that died, and inherits the addresses of these keys.
    pub(super) fn inherits(&mut self, port: Port, keys: impl Iterator<Item = InstanceKey>) {
        if let Some(record) = self.records.get_mut(port.0) {
            record.desired.extend(keys.map(|key| (key, Desired { epoch: 0, held: true })));
        }
    }

    pub(super) fn note_foreign(&mut self, now: TrueTime, port: Port, priority: AdvertPriority) {
        if priority.is_resignation() {
            self.last_resignation = Some(now);
            self.priority_changed(now, port);
        }
    }

    pub(super) fn violation(
        &self,
        at: TrueTime,
        port: Port,
        rule: &'static str,
        seen: impl Into<String>,
    ) -> Violation {
        Violation { at, port: Some(port), rule, seen: seen.into() }
    }

    /// Checks the rules about one input of one node.
    pub(super) fn judge_input(
        &mut self,
        input_context: &InputContext<'_>,
        node: &SimNode,
        effects: &Effects,
    ) -> Result<(), Violation> {
        let InputContext { now, port, local, kind, before } = *input_context;
        let fail = |rule, seen: String| Err(Violation { at: now, port: Some(port), rule, seen });
        let after = node.view();
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
        if effects.len() > most {
            return fail("effects of one input are bounded", format!("{} > {most}", effects.len()));
        }
        // If a foreign router with our VRID takes over in one family, our other family does not
        // give up its addresses.
        if after.any(StateName::Active) && !after.all(StateName::Active) && !after.other_addresses {
            return fail("families of a router are Active together", format!("{:?}", after.states));
        }
        // A node that slept past a deadline has more to notice than this input.
        let overslept = before.deadline.is_some_and(|at| at <= local);
        // Warnings about a neighbour may expire in the meantime.
        let same = || before.is_but_for_neighbours(after);
        if kind == InputKind::Unchanged && !overslept && !(effects.is_empty() && same()) {
            return fail("an unchanged configuration is not noticed", became());
        }
        let retuned = kind == InputKind::Configure && !before.states.is_empty();
        let moved = before.states != after.states || effects.iter().any(is_decision);
        if retuned && before.eligible && moved {
            return fail("a retune keeps the state", became());
        }
        if self.has_settled(now) && effects.iter().any(is_conflict) {
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

    fn judge_effects(
        &mut self,
        input_context: &InputContext<'_>,
        node: &SimNode,
        effects: &Effects,
    ) -> Result<(), Violation> {
        let InputContext { now, port, before, kind, .. } = *input_context;
        let fail = |rule, seen: String| Err(Violation { at: now, port: Some(port), rule, seen });
        let after = node.view();
        let Some(record) = self.records.get_mut(port.0) else { return Ok(()) };
        for effect in effects {
            match effect {
                Effect::HoldAddresses { key, epoch } | Effect::ReleaseAddresses { key, epoch } => {
                    let held = matches!(effect, Effect::HoldAddresses { .. });
                    let last = record.desired.insert(*key, Desired { epoch: *epoch, held });
                    let last = last.unwrap_or(Desired { epoch: 0, held: false });
                    // An instance that takes over again before it has let go asks for addresses
                    // that it holds.
                    let again = held && before.yielded(*key).is_some();
                    let readdressed = held && kind == InputKind::Replace;
                    if *epoch <= last.epoch || (held == last.held && !again && !readdressed) {
                        return fail(
                            "addresses are held and released in turn, under growing epochs",
                            format!("{effect:?} after {last:?}"),
                        );
                    }
                }
                Effect::Advertise { key, priority, source, .. } => {
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
                }
                Effect::Answer { answer: Answer::Demoted(results), .. } => {
                    for result in results {
                        let serving = after.state(key(result.family)) == StateName::Active;
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
                | Effect::Announce { .. }
                | Effect::WatchAnnouncements { .. }
                | Effect::IgnoreAnnouncements { .. }
                | Effect::Report(_)
                | Effect::SaveDemotion { .. }
                | Effect::Stopped => {}
            }
        }
        for (key, state) in &after.states {
            let held = record.desired.get(key).is_some_and(|desired| desired.held);
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

    /// Advertisements must not become a storm: beside its regular advertisements, a router sends at
    /// most one per immediate gap, one per resignation that it heard, and those of its leaving.
    fn judge_rate(
        &mut self,
        input_context: &InputContext<'_>,
        node: &SimNode,
        effects: &Effects,
    ) -> Result<(), Violation> {
        let InputContext { now, port, kind, before, .. } = *input_context;
        let after = node.view();
        let families = self.families.len() as u64;
        let Some(record) = self.records.get_mut(port.0) else { return Ok(()) };
        record.sent +=
            effects.iter().filter(|effect| matches!(effect, Effect::Advertise { .. })).count() as u64;
        if kind == InputKind::Resignation {
            record.allowed += 1;
        }
        if after.handing_over && (kind == InputKind::Heard || !before.handing_over) {
            // The script, its probes, and the first advertisement after a refusal.
            record.allowed += 12 * families;
        }
        if matches!(kind, InputKind::Configure | InputKind::Replace) || before.states != after.states {
            record.allowed += 2 * families;
        }
        let period = node.spec().interval.period();
        let gap = (period / 4).max(Duration::from_millis(10));
        let lived = now.since(record.born).as_nanos();
        let regular = lived / (period.as_nanos() * 99 / 100) + lived / (gap.as_nanos() * 99 / 100);
        let most = u64::try_from(regular).unwrap_or(u64::MAX).saturating_mul(families) + record.allowed + 8;
        if record.sent > most {
            let seen = format!("{} advertisements, at most {most}", record.sent);
            return Err(Violation { at: now, port: Some(port), rule: "no advertisement storms", seen });
        }
        Ok(())
    }

    fn judge_leaving(&mut self, now: TrueTime, port: Port, after: &NodeView) -> Result<(), Violation> {
        // A hand-over that failed may be followed at once by another one, because a fault
        // happened in the meantime.
        let most = self.bounds.handover() * 2;
        let Some(record) = self.records.get_mut(port.0) else { return Ok(()) };
        record.leaving_since = after.handing_over.then(|| record.leaving_since.unwrap_or(now));
        match (record.leaving_since, self.healthy_since) {
            (Some(since), Some(calm)) if now.since(since.max(calm)) > most => {
                let seen = format!("since {since:?}, more than {most:?}");
                Err(Violation { at: now, port: Some(port), rule: "a hand-over ends", seen })
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// RFC 9568 §8.1.2, §8.2.2: addresses are not announced before the node can answer for them.
    pub(super) fn judge_announcement(
        &self,
        now: TrueTime,
        port: Port,
        key: InstanceKey,
        held: bool,
    ) -> Result<(), Violation> {
        if held {
            return Ok(());
        }
        Err(self.violation(now, port, "only held addresses are announced", key.to_string()))
    }

    /// A message that is parsed gives what was sent.
    pub(super) fn judge_codec(
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
                && (read.vrid, read.priority, read.interval) == (draft.vrid, draft.priority, draft.interval)
                && read.addresses.iter().eq(listed.iter().copied())
        });
        if same {
            return Ok(());
        }
        Err(self.violation(
            now,
            port,
            "parse(emit(x)) == x",
            format!("{draft:?} became {:?}", packet.parse()),
        ))
    }

    /// Checks the rules about the whole world.
    pub(super) fn judge_world(&mut self, now: TrueTime, views: &[StationView]) -> Result<(), Violation> {
        self.checks += 1;
        let displaced_wrongly = self.judge_displacement(now, views);
        // A station that sleeps keeps its state: to wake up as Active is not to become Active.
        for view in views.iter().filter(|view| view.awake) {
            let Some(record) = self.records.get_mut(view.port.0) else { continue };
            record.listening_since = view.is_backup().then(|| record.listening_since.unwrap_or(now));
            record.active_since = view.is_active().then(|| record.active_since.unwrap_or(now));
            if view.is_active() {
                record.last_active = Some(now);
            }
        }
        displaced_wrongly?;
        let Some(calm) = self.healthy_since else { return Ok(()) };
        self.judge_dual_active(now, calm, views)?;
        if self.judges_service(now, views) {
            self.judge_service(now, views)?;
        }
        Ok(())
    }

    /// Whether the rules about the service apply.
    ///
    /// Our routers move their families together, foreign routers do not. Where both serve two
    /// families, a foreign router may outrank ours in only one of them, and ours yield in both
    /// (docs/adr/0003).
    pub(super) fn judges_service(&self, now: TrueTime, views: &[StationView]) -> bool {
        let coupled = self.families.len() == 1 || views.iter().all(|view| view.ours);
        coupled && self.has_settled(now) && now >= self.gap_allowed_until
    }

    /// Whether the LAN has been healthy for long enough that the world has settled.
    fn has_settled(&self, now: TrueTime) -> bool {
        self.healthy_since.is_some_and(|calm| now.since(calm) >= self.settle)
    }

    /// The process of a station is scheduled again.
    pub(super) fn woken(&mut self, now: TrueTime, port: Port) {
        if let Some(record) = self.records.get_mut(port.0) {
            record.woken = Some(now);
        }
    }

    /// When the process of a station was last scheduled again.
    pub(super) fn woken_at(&self, port: Port) -> Option<TrueTime> {
        self.records.get(port.0).and_then(|record| record.woken)
    }

    /// Whether a station has been Active since the last fault, and could advertise it. A station
    /// that overslept and must not preempt steps back without an advertisement: the hosts beside it
    /// learn this only from the next refresh of the winner.
    pub(super) fn was_active_since_faults_ended(&self, port: Port) -> bool {
        let record = self.records.get(port.0).filter(|record| record.woken.is_none());
        let last = record.and_then(|record| record.last_active);
        self.healthy_since.is_some_and(|calm| last.is_some_and(|last| last > calm))
    }

    /// Whether a Backup hears the whole leaving of another router, which may have begun already:
    /// the leaving router advertises the shortest interval only at the beginning.
    pub(super) fn hears_whole_leave(&self, backup: Port, leaver: Port) -> bool {
        let began = self.records.get(leaver.0).and_then(|record| record.leaving_since);
        let listens = self.records.get(backup.0).and_then(|record| record.listening_since);
        began.is_none_or(|began| listens.is_some_and(|since| since < began))
    }

    /// Since when a station is Backup.
    pub(super) fn listening_since(&self, port: Port) -> Option<TrueTime> {
        self.records.get(port.0).and_then(|record| record.listening_since)
    }

    /// When the last fault was over.
    pub(super) const fn healthy_since(&self) -> Option<TrueTime> {
        self.healthy_since
    }

    /// Since when a station is Active.
    pub(super) fn active_since(&self, port: Port) -> Option<TrueTime> {
        self.records.get(port.0).and_then(|record| record.active_since)
    }

    /// No station becomes Active beside a healthy Active that it must not displace: only the owner,
    /// or a higher priority with Preempt_Mode True, displaces an Active (RFC 9568 §6.4.2). A Backup
    /// can only know what has been true for an Active_Down_Interval. A station that has just
    /// started and has a shorter interval than the Active may fire before it hears anything (§6.4.1
    /// lets it begin with its own interval).
    fn judge_displacement(&self, now: TrueTime, views: &[StationView]) -> Result<(), Violation> {
        let one_advertisement = self.bounds.interval() * 2 + self.bounds.reaction();
        let informed =
            |since: Option<TrueTime>| since.is_none_or(|since| now.since(since) > one_advertisement);
        let fresh = |view: &&StationView| {
            let record = self.records.get(view.port.0);
            let became = || record.is_some_and(|r| r.active_since.is_none() && informed(r.listening_since));
            view.ours && view.awake && view.is_active() && became()
        };
        if !views.iter().any(|view| fresh(&view)) {
            return Ok(());
        }
        let long = self.bounds.active_down() + self.bounds.dual_active();
        let lasted = |since: TrueTime| now.since(since) > long;
        if !self.healthy_since.is_some_and(lasted) {
            return Ok(());
        }
        // A Backup cannot know which router resigned: it takes over within its Skew_Time, unless it
        // hears the Active after the resignation. An answer may arrive sooner than the
        // advertisement that it answers.
        let skew = self.bounds.interval() + self.bounds.reaction();
        if self.last_resignation.is_some_and(|said| now.since(said) <= skew) {
            return Ok(());
        }
        for new in views.iter().filter(fresh) {
            let changed = self.records.get(new.port.0).map_or(now, |record| record.priority_changed);
            let displaced = views.iter().find(|other| {
                let steady = self.records.get(other.port.0).is_some_and(|record| {
                    record.active_since.is_some_and(lasted) && lasted(record.priority_changed)
                });
                let outranked = new.preempt == Preempt::Allow && new.priority > other.priority;
                let serves = other.awake && other.is_active() && !other.leaving;
                other.component == new.component && serves && steady && !outranked
            });
            if let Some(displaced) = displaced.filter(|_| lasted(changed)) {
                let seen = format!("priority {} beside {displaced:?}", new.priority);
                return Err(self.violation(now, new.port, "no healthy Active is displaced", seen));
            }
        }
        Ok(())
    }

    fn judge_dual_active(
        &mut self,
        now: TrueTime,
        calm: TrueTime,
        views: &[StationView],
    ) -> Result<(), Violation> {
        let serving =
            |view: &StationView, family| view.awake && in_family(view.active, family) && !view.leaving;
        let dual = self.families.iter().any(|family| {
            views.iter().enumerate().any(|(at, view)| {
                let mut others = views.iter().skip(at + 1).filter(|other| other.component == view.component);
                serving(view, *family) && others.any(|other| serving(other, *family))
            })
        });
        self.dual_since = dual.then(|| self.dual_since.unwrap_or(now));
        let Some(since) = self.dual_since else { return Ok(()) };
        let most = self.bounds.dual_active();
        if now.since(since.max(calm)) <= most {
            return Ok(());
        }
        let seen = format!("since {since:?}, more than {most:?}: {views:?}");
        Err(Violation { at: now, port: None, rule: "two Actives find out soon", seen })
    }

    /// While any station in a component can serve, some station holds the addresses: not even a
    /// short gap is allowed.
    fn judge_service(&self, now: TrueTime, views: &[StationView]) -> Result<(), Violation> {
        for home in views.iter().filter(|view| view.component == view.port.0) {
            let instances = || views.iter().filter(|view| view.component == home.component);
            if !instances().any(|view| view.awake && view.eligible) {
                continue;
            }
            for family in &self.families {
                if !instances().any(|view| in_family(view.holds, *family)) {
                    let seen = format!("{family}: {:?}", instances().collect::<Vec<_>>());
                    return Err(Violation {
                        at: now,
                        port: None,
                        rule: "somebody holds the addresses",
                        seen,
                    });
                }
            }
        }
        Ok(())
    }

    /// At rest there is one Active in each component that has a station that can serve, only the
    /// Active holds the addresses, and no station that may displace it is waiting.
    ///
    /// # Errors
    /// The [`Violation`].
    pub fn judge_quiescence(&self, now: TrueTime, views: &[StationView]) -> Result<(), Violation> {
        let fail = |rule, instances: &[&StationView]| {
            Err(Violation { at: now, port: None, rule, seen: format!("{instances:?}") })
        };
        for home in views.iter().filter(|view| view.component == view.port.0) {
            let instances: Vec<_> = views.iter().filter(|view| view.component == home.component).collect();
            let able = instances.iter().any(|view| view.awake && view.eligible);
            for family in &self.families {
                let actives: Vec<_> =
                    instances.iter().filter(|v| v.awake && in_family(v.active, *family)).collect();
                let holders: Vec<_> =
                    instances.iter().filter(|v| in_family(v.holds, *family)).map(|v| v.port).collect();
                let [active] = actives.as_slice() else {
                    if able || !actives.is_empty() {
                        return fail("at rest one router is Active", &instances);
                    }
                    continue;
                };
                if holders != [active.port] {
                    return fail("at rest the Active alone holds the addresses", &instances);
                }
                // Our routers displace in both families or in none; the foreign Actives may differ
                // by family.
                let highest = instances.iter().filter(|v| v.awake && v.is_active()).map(|v| v.priority).max();
                let better = instances.iter().any(|v| {
                    v.awake && v.eligible && v.preempt == Preempt::Allow && Some(v.priority) > highest
                });
                if better || active.leaving {
                    return fail("at rest nobody who may displace the Active waits", &instances);
                }
            }
        }
        Ok(())
    }

    /// Whether another station in the component of `port` would take over from it.
    #[must_use]
    pub fn has_successor(views: &[StationView], port: Port) -> bool {
        let Some(leaver) = views.iter().find(|view| view.port == port) else { return false };
        views.iter().any(|view| view.port != port && view.component == leaver.component && view.is_willing())
    }
}
