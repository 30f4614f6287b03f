//! One configured router: both families together (docs/adr/0003), faults, interruptions, demotions.

use super::facts::{self, Facts};
use super::handover::{Handover, Reason, SuccessorWatch};
use super::instance::{BackupBecause, Heard, Instance, Lists, Settings, State};
use super::leave::WithoutSuccessor;
use super::turn::Turn;
use crate::protocol::{CheckName, Demotion, Fault, InstanceSpec, LastResort, RouterSpec};
use crate::sim::documents::{self, INTERRUPTION_ENDS, REFUSED_AGAIN};
use crate::types::{
    AdverInterval, AdvertPriority, Authentication, Family, InstanceKey, MonoTime, Preempt, Role, Version,
};
use crate::wire::{AddressList, Advertisement, HeardAuthentication};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Whether the router is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Yes,
    /// The router left the configuration, or makes room for the router that replaces it.
    No,
    /// The agent ends.
    AgentEnds,
}

/// Why a router starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// RFC 9568 §6.4.1: an owner is Active at once, every other router listens first.
    Ordinary,
    /// The successor fell silent, so the waiting is over already.
    NobodyServes,
}

/// Faults whose end the router waits for.
#[derive(Debug, Clone)]
struct Interruption {
    faults: BTreeSet<Fault>,
    until: MonoTime,
    over: bool,
    could_hear: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Router {
    pub(super) spec: RouterSpec,
    pub(super) settings: Settings,
    pub(super) instances: Vec<Instance>,
    pub(super) faults: BTreeSet<Fault>,
    interruption: Option<Interruption>,
    pub(super) demoted: Option<Demotion>,
    pub(super) handover: Option<Handover>,
    pub(super) successor_watch: Option<SuccessorWatch>,
    /// What the kernel refused, and when the kernel is asked again.
    refused: Option<(String, MonoTime)>,
    pub(super) wanted: Wanted,
    /// Checks that a reload added while the router ran: the router waits for their first result
    /// without a fault.
    awaited_checks: BTreeSet<CheckName>,
}

/// What to do after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Next {
    Nothing,
    Evaluate(Start),
    /// If no hand-over is under way after the evaluation, what one family did the others do.
    EvaluateAndCouple(Start),
}

fn addresses_of(spec: &RouterSpec, family: Family) -> BTreeSet<IpAddr> {
    let of_family = spec.instances.iter().filter(|instance| instance.family == family);
    of_family.flat_map(|instance| instance.held().map(IpNet::addr)).collect()
}

fn settings(spec: &RouterSpec, priority: AdvertPriority, preempt_after: MonoTime, ahead: u8) -> Settings {
    let preempt = match spec.role {
        Role::Owner => Preempt::Allow,
        Role::Contender { preempt, .. } => preempt,
    };
    Settings {
        priority,
        preempt,
        interval: spec.interval,
        down_adverts: u32::from(spec.down_adverts.get()),
        announce: spec.announce,
        preempt_after,
        ahead,
    }
}

impl Router {
    /// The most of its instances counts, because they take over together.
    pub(super) fn set_better_backups(&mut self, ahead: &BTreeMap<InstanceKey, u8>) {
        let keys = self.spec.instances.iter().map(|one| self.spec.key(one.family));
        self.settings.ahead = keys.filter_map(|key| ahead.get(&key).copied()).max().unwrap_or(0);
    }

    pub(super) fn new(now: MonoTime, spec: RouterSpec, demoted: Option<Demotion>) -> Self {
        let instance = |one: &InstanceSpec| {
            let addresses = addresses_of(&spec, one.family);
            Instance::new(spec.key(one.family), now, one.version, one.authentication, addresses)
        };
        Self {
            settings: settings(&spec, AdvertPriority::RESIGN, now, 0),
            instances: spec.instances.iter().map(instance).collect(),
            spec,
            faults: BTreeSet::new(),
            interruption: None,
            demoted,
            handover: None,
            successor_watch: None,
            refused: None,
            wanted: Wanted::Yes,
            awaited_checks: BTreeSet::new(),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.instances.iter().any(Instance::is_active)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.instances.iter().all(Instance::is_idle)
    }

    /// Whether the router does not take part and holds nothing.
    pub(super) fn is_gone(&self) -> bool {
        self.is_idle() && !self.instances.iter().any(Instance::is_watching)
    }

    pub(super) fn instance(&mut self, key: InstanceKey) -> Option<&mut Instance> {
        self.instances.iter_mut().find(|instance| instance.key == key)
    }

    /// Every fault, including those whose end the router waits for.
    fn faults_and_interruptions(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().chain(self.interruption.iter().flat_map(|it| &it.faults))
    }

    fn set_priority(&mut self, priority: AdvertPriority) {
        let before = std::mem::replace(&mut self.settings.priority, priority);
        if priority < before {
            for instance in &mut self.instances {
                instance.on_lowered(&self.settings);
            }
        }
    }

    /// Computes everything that follows from the facts, and starts or stops the router accordingly.
    pub(super) fn evaluate(&mut self, facts: &Facts, start: Start, turn: &mut Turn<'_>) {
        for instance in &mut self.instances {
            let family = instance.key.family;
            instance.set_source(facts.source(&self.spec, family, instance.source));
            instance.recipients = facts.recipients(&self.spec, family);
        }
        self.evaluate_priority(facts);
        if self.is_idle() {
            self.awaited_checks.clear();
        }
        self.awaited_checks.retain(|check| !facts.checks.contains_key(check));
        let mut faults = facts.faults(&self.spec);
        faults.retain(|fault| match fault {
            Fault::CheckPending(check) => !self.awaited_checks.contains(check),
            Fault::InterfaceMissing(_)
            | Fault::InterfaceDown(_)
            | Fault::NoCarrier(_)
            | Fault::OtherName(..)
            | Fault::Port(..)
            | Fault::NoSourceAddress(..)
            | Fault::NoUnicastPeer(..)
            | Fault::ForeignAddresses(_)
            | Fault::Sockets(..)
            | Fault::Check(_)
            | Fault::Addresses(_) => true,
        });
        let cut_off = |faults: &BTreeSet<Fault>| faults.iter().any(|f| facts::cuts_off(&self.spec, f));
        if !self.is_active() && cut_off(&faults) {
            self.refused = None;
        }
        faults.extend(self.refused.as_ref().map(|(why, _)| Fault::Addresses(why.clone())));
        self.wait_out(&mut faults, turn);
        self.faults = faults;
        if self.faults.iter().any(|fault| facts::cuts_off(&self.spec, fault)) {
            self.successor_watch = None;
        }
        let reason = match self.wanted {
            Wanted::AgentEnds => Some(Reason::Shutdown),
            Wanted::No => Some(Reason::Configuration),
            Wanted::Yes if !self.faults.is_empty() => Some(Reason::Fault),
            Wanted::Yes if self.demoted.as_ref().is_some_and(|d| d.last_resort == LastResort::No) => {
                Some(Reason::Demotion)
            }
            Wanted::Yes => None,
        };
        match reason {
            None => {
                self.stay_if_nobody_takes_over();
                self.start(start, turn);
            }
            Some(reason) => self.stop(reason, turn),
        }
        self.evaluate_priority(facts);
        if self.must_evaluate_again() {
            self.evaluate(facts, start, turn);
        }
    }

    /// Computes the priority that is advertised: a router demoted to the last resort advertises the
    /// lowest one.
    fn evaluate_priority(&mut self, facts: &Facts) {
        let last_resort = self.demoted.as_ref().map(|demotion| demotion.last_resort);
        self.set_priority(match last_resort {
            Some(LastResort::Yes) => AdvertPriority::LOWEST,
            Some(LastResort::No) | None => facts.priority(&self.spec),
        });
    }

    fn start(&mut self, start: Start, turn: &mut Turn<'_>) {
        if !self.is_idle() {
            return;
        }
        self.settings.preempt_after = turn.now + self.spec.preempt_delay;
        let owns = self.spec.role == Role::Owner && self.settings.priority == AdvertPriority::OWNER;
        for instance in &mut self.instances {
            if owns || start == Start::NobodyServes {
                instance.take_over(&self.settings, turn);
            } else {
                instance.start(&self.settings, turn);
            }
        }
    }

    fn stop(&mut self, reason: Reason, turn: &mut Turn<'_>) {
        let cut_off = self.faults_and_interruptions().any(|fault| facts::cuts_off(&self.spec, fault));
        let serving: Vec<Family> =
            self.instances.iter().filter(|it| it.is_active()).map(|it| it.key.family).collect();
        let cannot_send = |family: &Family| {
            self.faults_and_interruptions().any(|fault| facts::prevents_sending(&self.spec, fault, *family))
        };
        let unable_to_send = serving.iter().filter(|family| cannot_send(family)).count();
        let cannot_receive = self.faults.iter().any(|fault| matches!(fault, Fault::Port(..)));
        if serving.is_empty() {
            for instance in &mut self.instances {
                instance.stop_backup(turn);
                if cut_off && instance.is_watching() {
                    instance.release(turn);
                }
            }
        } else if unable_to_send == serving.len() {
            self.release(None, turn);
        } else if self.refused.is_some() || cannot_receive {
            for instance in &mut self.instances {
                instance.resign(&self.settings, turn);
            }
            self.release(None, turn);
        } else {
            let begins = self.handover.is_none();
            self.hand_over(reason, turn);
            if begins && unable_to_send > 0 {
                let wait = self.slowest_active_down();
                if let Some(handover) = &mut self.handover {
                    handover.wait_for_families_that_cannot_send(wait, turn.now);
                }
            }
        }
    }

    // Interruptions.

    fn wait_out(&mut self, faults: &mut BTreeSet<Fault>, turn: &mut Turn<'_>) {
        let passing: BTreeSet<Fault> =
            faults.iter().filter(|fault| facts::may_pass(&self.spec, fault)).cloned().collect();
        if self.is_idle() || passing.iter().any(|fault| self.faults.contains(fault)) {
            self.interruption = None;
            return;
        }
        if passing.is_empty() {
            if let Some(over) = self.interruption.take() {
                for instance in &mut self.instances {
                    instance.resume(&self.settings, over.could_hear, turn);
                }
            }
            return;
        }
        if self.interruption.as_ref().is_some_and(|it| it.over) {
            self.interruption = None;
            return;
        }
        let cut_off = passing.iter().any(|fault| facts::cuts_off(&self.spec, fault));
        let (until, could_hear) = match &self.interruption {
            Some(before) => (before.until, before.could_hear),
            None => (self.interruption_ends(turn.now), true),
        };
        faults.retain(|fault| !passing.contains(fault));
        let deaf = |fault: &Fault| {
            let mut families = self.instances.iter().map(|instance| instance.key.family);
            families.any(|family| facts::prevents_receiving(&self.spec, fault, family))
        };
        let could_hear = could_hear && !passing.iter().any(deaf);
        self.interruption = Some(Interruption { faults: passing, until, over: false, could_hear });
        if cut_off {
            for instance in self.instances.iter_mut().filter(|instance| instance.retains()) {
                instance.release(turn);
            }
        }
    }

    /// The interruption ends before any Backup can have taken over: this many intervals after our
    /// last advertisement, and after 3 s at most.
    fn interruption_ends(&self, now: MonoTime) -> MonoTime {
        let period = self.settings.interval.period();
        let mut last_sent = now;
        for instance in &self.instances {
            if let State::Active(active) = &instance.state {
                last_sent = last_sent.min(active.next - period);
            }
        }
        (last_sent + period * self.settings.down_adverts).min(now + INTERRUPTION_ENDS)
    }

    /// Whether the state of the router has changed, so that the same facts have other consequences.
    pub(super) fn must_evaluate_again(&self) -> bool {
        self.is_idle() && !self.awaited_checks.is_empty() || self.has_outlived_its_interruption()
    }

    fn has_outlived_its_interruption(&self) -> bool {
        let Some(interruption) = &self.interruption else { return false };
        let cut_off = interruption.faults.iter().any(|fault| facts::cuts_off(&self.spec, fault));
        self.is_idle() || cut_off && self.instances.iter().any(Instance::retains)
    }

    pub(super) fn has_sent_from(&self, key: InstanceKey, source: IpAddr) -> bool {
        let sent = |it: &Instance| it.key == key && it.former_source == Some(source);
        self.interruption.is_some() && self.instances.iter().any(sent)
    }

    // Inputs.

    pub(super) fn heard(
        &self,
        source: IpAddr,
        priority: AdvertPriority,
        said: AdverInterval,
        listed: &AddressList<'_>,
    ) -> Heard {
        let ours = self.spec.instances.iter().filter(|instance| instance.family == Family::of(source));
        let mut ours = ours.flat_map(|it| it.addresses.iter().map(IpNet::addr));
        let shared = ours.any(|ours| listed.iter().any(|one| one == ours));
        let lists = if shared { Lists::Ours } else { Lists::Others };
        let family = Family::of(source);
        let spoken = self.spec.instances.iter().find(|one| one.family == family).map(|one| one.version);
        let interval = documents::believed(spoken.unwrap_or_default(), said, self.spec.interval);
        Heard { source, priority, said, interval, lists }
    }

    /// Whether the router discards a message because of what is configured here. Every router
    /// discards another version (RFC 9568 §7.1, RFC 3768 §7.1); a router of VRRPv2 discards another
    /// authentication and another interval, and the list of anybody but the owner if it has other
    /// addresses (RFC 3768 §7.1).
    pub(super) fn discards(&self, family: Family, advertisement: &Advertisement<'_>) -> bool {
        let Some(ours) = self.spec.instances.iter().find(|one| one.family == family) else { return true };
        if advertisement.version != ours.version {
            return true;
        }
        match ours.version {
            Version::V3 => false,
            Version::V2 => {
                let authentic = match (&ours.authentication, &advertisement.authentication) {
                    (Authentication::None, HeardAuthentication::Readable(Authentication::None)) => true,
                    (
                        Authentication::Password(ours),
                        HeardAuthentication::Readable(Authentication::Password(theirs)),
                    ) => ours.octets() == theirs.octets(),
                    (Authentication::None | Authentication::Password(_), _) => false,
                };
                let listed: BTreeSet<IpAddr> = advertisement.addresses.iter().collect();
                let same_list = advertisement.addresses.len() == ours.addresses.len()
                    && listed == ours.addresses.iter().map(IpNet::addr).collect();
                let from_owner = advertisement.priority.get() == 255;
                !authentic || advertisement.interval != self.spec.interval || !same_list && !from_owner
            }
        }
    }

    /// The version of each family.
    pub(super) fn versions(&self) -> impl Iterator<Item = Version> {
        self.instances.iter().map(|one| one.version)
    }

    /// Of the versions of its families, the one in which a Backup of the lowest priority waits longest.
    pub(super) fn slowest_backups(&self, interval: AdverInterval) -> Version {
        let waits = |version| documents::skew_time(version, AdvertPriority::LOWEST, interval);
        self.instances.iter().map(|one| one.version).max_by_key(|version| waits(*version)).unwrap_or_default()
    }

    /// Of its families, the longest Active_Down_Interval with its own interval.
    fn slowest_active_down(&self) -> Duration {
        let waits = |one: &Instance| self.settings.active_down_interval(one.version, self.settings.interval);
        self.instances.iter().map(waits).max().unwrap_or_default()
    }

    /// IPv4 decides a tie. In IPv6 a lost tie counts only after it has stood for an
    /// Active_Down_Interval (docs/adr/0003).
    fn tie_waits(&self, key: InstanceKey) -> Option<Duration> {
        let decides = self.instances.first().is_none_or(|first| first.key == key);
        (!decides).then(|| self.slowest_active_down())
    }

    pub(super) fn on_advert(&mut self, key: InstanceKey, heard: &Heard, turn: &mut Turn<'_>) -> Next {
        let (settings, tie_waits) = (self.settings, self.tie_waits(key));
        if let Some(watch) = self.successor_watch.as_mut().filter(|_| heard.lists == Lists::Ours) {
            watch.on_advert(heard, turn.now);
            if watch.is_confirmed() {
                self.successor_watch = None;
            }
        }
        let Some(instance) = self.instance(key) else { return Next::Nothing };
        instance.hear_service(&settings, heard, turn.now);
        instance.on_advert(&settings, heard, tie_waits, turn);
        self.settle(turn)
    }

    pub(super) fn on_held(&mut self, key: InstanceKey, turn: &mut Turn<'_>) {
        let settings = self.settings;
        if let Some(instance) = self.instance(key) {
            instance.on_held(&settings, turn);
        }
        // What one family advertises makes another router drop the addresses of both families.
        if !self.instances.iter().any(Instance::awaits_kernel) {
            for instance in &mut self.instances {
                instance.on_all_held(&settings, turn);
            }
        }
    }

    pub(super) fn refuse(&mut self, why: String, turn: &Turn<'_>) -> Next {
        self.refused = Some((why, turn.now + REFUSED_AGAIN));
        Next::Evaluate(Start::Ordinary)
    }

    pub(super) fn reconfigure(&mut self, spec: RouterSpec, turn: &mut Turn<'_>) {
        self.wanted = Wanted::Yes;
        if spec == self.spec {
            return;
        }
        let before = std::mem::replace(&mut self.spec, spec);
        if !self.is_idle() {
            let checks =
                |spec: &RouterSpec| -> BTreeSet<CheckName> { spec.tracked_checks().cloned().collect() };
            let new: Vec<_> = checks(&self.spec).difference(&checks(&before)).cloned().collect();
            self.awaited_checks.extend(new);
        }
        self.settings =
            settings(&self.spec, self.settings.priority, self.settings.preempt_after, self.settings.ahead);
        let pairs = before.instances.iter().zip(&self.spec.instances);
        for (instance, (old, new)) in self.instances.iter_mut().zip(pairs) {
            // Another version or password changes what is sent and heard, and not what is held.
            (instance.version, instance.authentication) = (new.version, new.authentication);
            if (&old.addresses, &old.excluded) != (&new.addresses, &new.excluded) {
                instance.on_addresses_changed(addresses_of(&self.spec, instance.key.family), turn);
            }
            instance.reconfigure(&self.settings, turn.now);
        }
    }

    pub(super) fn remove(&mut self) {
        self.wanted = Wanted::No;
        self.awaited_checks.extend(self.spec.tracked_checks().cloned());
    }

    pub(super) fn on_deadline(&mut self, turn: &mut Turn<'_>) -> Next {
        let now = turn.now;
        // A hand-over that is over ends without another advertisement.
        if self.handover_ends().is_some_and(|at| at <= now) {
            return self.settle(turn);
        }
        let settings = self.settings;
        for instance in &mut self.instances {
            instance.on_deadline(&settings, turn);
        }
        for instance in &mut self.instances {
            instance.judge_conflict(&settings, turn);
        }
        let settled = self.settle(turn);
        let ends = self.demotion_ends();
        if ends.is_some_and(|at| at <= now) {
            self.end_demotion();
            return Next::Evaluate(Start::Ordinary);
        }
        if self.successor_watch.as_mut().is_some_and(|watch| watch.finds_silence(now)) {
            return self.serve_as_last_resort();
        }
        if let Some(interruption) = self.interruption.as_mut().filter(|it| it.over || it.until <= now) {
            interruption.over = true;
            return Next::Evaluate(Start::Ordinary);
        }
        if self.refused.as_ref().is_some_and(|(_, again)| *again <= now) {
            self.refused = None;
            return Next::Evaluate(Start::Ordinary);
        }
        settled
    }

    fn demotion_ends(&self) -> Option<MonoTime> {
        let until = self.demoted.as_ref()?.until.as_ref()?.at;
        self.handover.is_none().then_some(until)
    }

    /// The latest moment at which the router must have acted.
    pub(super) fn due(&self) -> Option<MonoTime> {
        let instances = self.instances.iter().filter_map(|instance| instance.due(&self.settings));
        instances
            .chain(self.instances.iter().filter_map(|one| one.no_peer_is_told_at(&self.settings)))
            .chain(self.handover_ends())
            .chain(self.demotion_ends())
            .chain(self.successor_watch.as_ref().map(SuccessorWatch::silent_at))
            .chain(self.interruption.as_ref().map(|it| it.until))
            .chain(self.refused.as_ref().map(|(_, again)| *again))
            .min()
    }

    /// After a step: a hand-over ends, one family follows the other, or both families take over
    /// together.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) -> Next {
        if let Some(end) = self.handover_ends() {
            return if end <= turn.now { self.conclude(turn) } else { Next::Nothing };
        }
        self.couple(turn);
        Next::Nothing
    }

    /// The family that yielded to a router of our own pair, which is not overdue: its interval, and
    /// why.
    fn yielded(&self) -> Option<(AdverInterval, BackupBecause)> {
        self.instances.iter().find_map(|instance| match &instance.state {
            State::Backup(backup) if instance.lists == Lists::Ours && !instance.is_ready() => {
                Some((backup.learned, instance.because))
            }
            State::Initialize | State::Backup(_) | State::Active(_) => None,
        })
    }

    /// One family follows the other, or both families take over together (docs/adr/0003).
    pub(super) fn couple(&mut self, turn: &mut Turn<'_>) {
        if self.handover.is_some() {
            return;
        }
        let settings = self.settings;
        if let Some((learned, because)) = self.yielded() {
            for instance in &mut self.instances {
                instance.follow(&settings, learned, because, turn);
            }
        }
        let waits = |instance: &Instance| match &instance.state {
            State::Initialize => true,
            State::Backup(backup) => backup.down.is_some() && instance.lists == Lists::Ours,
            State::Active(_) => false,
        };
        let ready = self.instances.iter().any(Instance::is_ready);
        if ready && !self.instances.iter().any(waits) && self.interruption.is_none() {
            for instance in self.instances.iter_mut().filter(|instance| instance.is_ready()) {
                instance.take_over(&settings, turn);
            }
        }
    }

    /// Called after each input.
    pub(super) fn look_after_each_input(&mut self, turn: &mut Turn<'_>) {
        let settings = self.settings;
        for at in 0..self.instances.len() {
            let Some(family) = self.instances.get(at).map(|instance| instance.key.family) else { continue };
            let cannot_receive = self
                .faults_and_interruptions()
                .any(|fault| facts::prevents_receiving(&self.spec, fault, family));
            if let Some(instance) = self.instances.get_mut(at) {
                instance.tell_of_peers(&settings, turn);
                instance.forget_silent_active(&settings, cannot_receive, turn.now);
            }
        }
    }

    pub(super) fn end_demotion(&mut self) {
        self.successor_watch = None;
        self.demoted = None;
    }

    fn serve_as_last_resort(&mut self) -> Next {
        self.successor_watch = None;
        let Some(demotion) = &mut self.demoted else { return Next::Nothing };
        demotion.last_resort = LastResort::Yes;
        Next::Evaluate(Start::NobodyServes)
    }

    pub(super) fn set_lowest_priority(&mut self) {
        self.set_priority(AdvertPriority::LOWEST);
    }

    pub(super) fn set_without_successor(&mut self, without_successor: WithoutSuccessor) {
        for instance in &mut self.instances {
            instance.set_without_successor(without_successor);
        }
    }
}
