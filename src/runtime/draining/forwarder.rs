//! The successor's half of draining: for which instances this node passes on packets, and to whom.
//!
//! What is wanted comes as a whole; what the kernel is told follows from the difference. The rules
//! themselves are in [`crate::kernel::forwarding`], and so is what they do.
//!
//! | instance | is armed |
//! |---|---|
//! | takes over from a living router that drains | before its addresses are installed, with the seconds in which hosts switch |
//! | is Active, and another node drains it | for that node, without those seconds |
//! | is not Active any more | for [`KEPT_FOR`], because hosts still send to us |

use super::listed::ListedConnections;
use crate::channel::ForwardedConnections;
use crate::kernel::forwarding::{
    Arming, EarlierOwn, ForwardedCount, ForwardingError, Leaver, MAXIMUM_CONNECTIONS,
};
use crate::types::{Connection, Family, InstanceKey, InterfaceName, MacAddr, MonoTime};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// How long rules stay when the addresses have gone: until hosts have switched.
const KEPT_FOR: Duration = Duration::from_secs(6);
/// How long a router that was relieved has to say that it drains. One that does not drain would let
/// clients hang that this node can tell at once.
const AWAITED_FOR: Duration = Duration::from_secs(2);
/// Of the lists that are known when a router is relieved, what is older than this does not count:
/// clients may have used the ports again since, for connections with the router that is relieved.
const STILL_COUNTS: Duration = Duration::from_millis(1_300);
/// What a router says of an earlier drain may arrive this long after it was relieved again.
const SETTLES_AFTER: Duration = Duration::from_secs(1);
/// How often the whole list is written to the kernel again, which renews it there.
const REWRITE_EVERY: Duration = Duration::from_secs(5);
/// How often the hardware address of a neighbour is asked for again.
const NEIGHBOUR_AGAIN: Duration = Duration::from_secs(60);
/// How long a neighbour is waited for that may be there.
const NEIGHBOUR_LIMIT: Duration = Duration::from_millis(100);
/// How long one is waited for that has not answered a moment ago. The kernel goes on looking for it, and
/// knows at the next attempt whether it has answered.
const MISSING_LIMIT: Duration = Duration::from_millis(2);
/// A takeover does not ask for a neighbour again that has not answered within this time. What is done
/// each second asks for it.
const MISSING_FOR: Duration = Duration::from_secs(3);

/// What the forwarder needs of the kernel.
pub(super) trait ForwarderKernel {
    /// The index of an interface, if there is such an interface.
    fn index(&mut self, interface: InterfaceName) -> Option<u32>;
    /// The hardware address of a neighbour, which is waited for so long.
    fn neighbour(&mut self, index: u32, address: IpAddr, within: Duration) -> Option<MacAddr>;
    /// Whether any of these addresses is on this node, so that it can have connections to them.
    fn holds(&mut self, addresses: &BTreeSet<IpAddr>) -> bool;
    /// The connections of this node to these addresses. With many sockets this takes a while.
    fn own_connections(&mut self, addresses: &BTreeSet<IpAddr>) -> Vec<Connection>;
    fn arm(&mut self, key: InstanceKey, arming: &Arming) -> Result<(), ForwardingError>;
    fn add_own(&mut self, key: InstanceKey, connections: &[Connection]) -> Result<(), ForwardingError>;
    fn add(
        &mut self,
        key: InstanceKey,
        leaver: IpAddr,
        connections: &[Connection],
    ) -> Result<(), ForwardingError>;
    fn replace(
        &mut self,
        key: InstanceKey,
        leaver: IpAddr,
        connections: &[Connection],
    ) -> Result<(), ForwardingError>;
    fn remove_leaver(&mut self, key: InstanceKey, leaver: IpAddr) -> Result<(), ForwardingError>;
    fn disarm(&mut self, key: InstanceKey) -> Result<(), ForwardingError>;
    fn restore(&mut self, interface: InterfaceName, index: u32) -> Result<(), ForwardingError>;
    fn counts(&mut self) -> Result<Vec<ForwardedCount>, ForwardingError>;
    /// The instances whose rules were lost with an answer of the kernel, since this was last asked.
    fn take_lost(&mut self) -> Vec<InstanceKey>;
}

/// What is wanted, as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::runtime) struct ForwardingWanted {
    /// The instances of this node.
    pub(in crate::runtime) instances: BTreeMap<InstanceKey, ForwardingInstance>,
    /// The routers from which this node may take over armed.
    pub(in crate::runtime) relievable: BTreeMap<(InterfaceName, Family), BTreeSet<IpAddr>>,
}

/// One instance of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runtime) struct ForwardingInstance {
    /// All its addresses.
    pub(in crate::runtime) addresses: BTreeSet<IpAddr>,
    /// Whether it is Active here.
    pub(in crate::runtime) is_active: bool,
    /// Whether connections are kept at all, by the configuration of this node. It is the same on all
    /// nodes: a router that keeps nothing must not be sent packets that it would let hang.
    pub(in crate::runtime) keeps: bool,
    /// Who drains it, and gets packets from this node.
    pub(in crate::runtime) leavers: BTreeSet<IpAddr>,
}

/// The forwarder.
#[derive(Debug)]
pub(super) struct PacketForwarder<K> {
    kernel: K,
    wanted: ForwardingWanted,
    neighbours: BTreeMap<(u32, IpAddr), (MacAddr, MonoTime)>,
    /// The neighbours that do not answer, and when they were last asked.
    missing: BTreeMap<(u32, IpAddr), MonoTime>,
    armed: BTreeMap<InstanceKey, InstanceRules>,
    lists: BTreeMap<(InstanceKey, IpAddr), ListedConnections>,
    /// The connections of this node to the addresses of instances that are being taken over.
    own: BTreeMap<InstanceKey, Vec<Connection>>,
    rewritten: MonoTime,
    /// What the kernel refused last, until it does not any more.
    problem: Option<String>,
}

/// What the kernel was told for an instance.
#[derive(Debug)]
struct InstanceRules {
    index: u32,
    /// The router that was relieved.
    relieved: Option<IpAddr>,
    /// Whether that router has said that it drains. When it does not say so any more, it is gone.
    has_drained: bool,
    leavers: BTreeMap<IpAddr, MacAddr>,
    since: MonoTime,
    /// Since when it is not Active here.
    inactive: Option<MonoTime>,
}

impl<K: ForwarderKernel> PacketForwarder<K> {
    pub(super) fn new(now: MonoTime, kernel: K) -> Self {
        Self {
            kernel,
            wanted: ForwardingWanted::default(),
            neighbours: BTreeMap::new(),
            missing: BTreeMap::new(),
            armed: BTreeMap::new(),
            lists: BTreeMap::new(),
            own: BTreeMap::new(),
            rewritten: now,
            problem: None,
        }
    }

    /// What the kernel refuses now.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Several instances are about to be taken over, each from this router. The connections of this
    /// node are listed once for all of them: their addresses wait for it, and the kernel walks through
    /// all sockets for each list. [`Self::take_over`] follows for each.
    pub(super) fn prepare(&mut self, takeovers: &[(InstanceKey, IpAddr)]) {
        let keys: Vec<InstanceKey> = takeovers
            .iter()
            .filter(|(key, from)| self.is_armed_from(*key, *from))
            .map(|(key, _)| *key)
            .collect();
        let mut addresses = self.addresses_of(&keys);
        // What this node does not have is not listed in vain.
        addresses.retain(|_, addresses| self.kernel.holds(addresses));
        self.own = self.list_own(&addresses);
        for key in keys {
            self.own.entry(key).or_default();
        }
    }

    /// This node takes over from a router that lives. If that is one that drains, its connections
    /// are passed on to it when the addresses are installed. [`Self::after_takeovers`] follows, when
    /// the addresses need not wait any more.
    pub(super) fn take_over(&mut self, now: MonoTime, key: InstanceKey, relieved: IpAddr) {
        if !self.is_armed_from(key, relieved) {
            return;
        }
        for (_, list) in self.lists.iter_mut().filter(|((of, _), _)| *of == key) {
            list.forget_older(now, STILL_COUNTS);
        }
        if let Some(instance) = self.wanted.instances.get_mut(&key) {
            instance.is_active = true;
            let leavers = instance.leavers.iter().copied().chain([relieved]).collect();
            self.arm(now, key, Some(relieved), &leavers, EarlierOwn::Ends);
        }
    }

    /// Whether a takeover from this router is armed.
    fn is_armed_from(&self, key: InstanceKey, relieved: IpAddr) -> bool {
        let place = (key.interface, key.family);
        let keeps = self.wanted.instances.get(&key).is_some_and(|instance| instance.keeps);
        keeps && self.wanted.relievable.get(&place).is_some_and(|nodes| nodes.contains(&relieved))
    }

    /// The rest of takeovers: what began while the rules were written, and the lists that are known.
    pub(super) fn after_takeovers(&mut self, now: MonoTime, keys: &[InstanceKey]) {
        self.own.clear();
        let keys: Vec<InstanceKey> =
            keys.iter().filter(|key| self.armed.contains_key(key)).copied().collect();
        let addresses = self.addresses_of(&keys);
        for (key, own) in self.list_own(&addresses) {
            let outcome = self.kernel.add_own(key, &own);
            self.note(outcome);
        }
        for key in keys {
            let leavers = self.armed.get(&key).map(|armed| armed.leavers.keys().copied().collect::<Vec<_>>());
            for leaver in leavers.unwrap_or_default() {
                self.rewrite(now, key, leaver);
            }
        }
    }

    fn addresses_of(&self, keys: &[InstanceKey]) -> BTreeMap<InstanceKey, BTreeSet<IpAddr>> {
        let known = keys.iter().filter_map(|key| self.wanted.instances.get_key_value(key));
        known.map(|(key, instance)| (*key, instance.addresses.clone())).collect()
    }

    /// The connections of this node to these addresses, in one list, by instance.
    fn list_own(
        &mut self,
        addresses: &BTreeMap<InstanceKey, BTreeSet<IpAddr>>,
    ) -> BTreeMap<InstanceKey, Vec<Connection>> {
        let mut own: BTreeMap<InstanceKey, Vec<Connection>> = BTreeMap::new();
        let all: BTreeSet<IpAddr> = addresses.values().flatten().copied().collect();
        if all.is_empty() {
            return own;
        }
        let mut owners: BTreeMap<IpAddr, Vec<InstanceKey>> = BTreeMap::new();
        for (key, addresses) in addresses {
            addresses.iter().for_each(|address| owners.entry(*address).or_default().push(*key));
        }
        for connection in self.kernel.own_connections(&all) {
            for key in owners.get(&connection.local.ip()).into_iter().flatten() {
                own.entry(*key).or_default().push(connection);
            }
        }
        own
    }

    /// Something else is wanted. [`Self::follow`] acts on it.
    pub(super) fn set_wanted(&mut self, wanted: ForwardingWanted) {
        self.wanted = wanted;
    }

    /// A part of the list of a leaver.
    pub(super) fn on_listed(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        leaver: IpAddr,
        connections: &[Connection],
    ) {
        let Some(instance) = self.wanted.instances.get(&key) else { return };
        let connections: Vec<Connection> = connections
            .iter()
            .filter(|connection| instance.addresses.contains(&connection.local.ip()))
            .copied()
            .collect();
        let list = self.lists.entry((key, leaver)).or_default();
        let new = list.note(now, &connections, MAXIMUM_CONNECTIONS);
        if !new.is_empty() && self.is_armed_for(key, leaver) {
            let outcome = self.kernel.add(key, leaver, &new);
            self.note(outcome);
        }
    }

    /// To be called each second. Returns what is passed on.
    pub(super) fn on_second(
        &mut self,
        now: MonoTime,
    ) -> BTreeMap<(InstanceKey, IpAddr), ForwardedConnections> {
        for lost in self.kernel.take_lost() {
            self.armed.remove(&lost);
        }
        self.follow(now);
        if now.since(self.rewritten) >= REWRITE_EVERY {
            self.rewritten = now;
            let armed = self.armed.iter();
            let places = armed.flat_map(|(key, one)| one.leavers.keys().map(move |leaver| (*key, *leaver)));
            for (key, leaver) in places.collect::<Vec<_>>() {
                self.rewrite(now, key, leaver);
            }
        }
        if self.armed.is_empty() {
            self.problem = None;
            return BTreeMap::new();
        }
        match self.kernel.counts() {
            Ok(counts) => counts.into_iter().map(|count| self.forwarded(count)).collect(),
            Err(error) => {
                self.note(Err(error));
                BTreeMap::new()
            }
        }
    }

    fn forwarded(&self, count: ForwardedCount) -> ((InstanceKey, IpAddr), ForwardedConnections) {
        let place = (count.key, count.leaver);
        let listed = self.lists.get(&place).map_or(0, ListedConnections::len);
        let listed = u32::try_from(listed).unwrap_or(u32::MAX);
        (place, ForwardedConnections { listed, packets: count.packets })
    }

    fn is_armed_for(&self, key: InstanceKey, leaver: IpAddr) -> bool {
        self.armed.get(&key).is_some_and(|armed| armed.leavers.contains_key(&leaver))
    }

    /// Makes the rules follow what is wanted.
    pub(super) fn follow(&mut self, now: MonoTime) {
        self.learn_neighbours(now);
        for (key, instance) in self.wanted.instances.clone() {
            self.follow_instance(now, key, &instance);
        }
        let gone: Vec<InstanceKey> =
            self.armed.keys().filter(|key| !self.wanted.instances.contains_key(key)).copied().collect();
        for key in gone {
            self.disarm(key);
        }
        let (armed, wanted) = (&self.armed, &self.wanted);
        // Lists of instances that are about to be armed are kept, too: they may come first.
        self.lists.retain(|(key, leaver), list| {
            let wants = wanted.instances.get(key).is_some_and(|instance| instance.leavers.contains(leaver));
            let has = armed.get(key).is_some_and(|armed| armed.leavers.contains_key(leaver));
            (wants || has) && !list.current(now).is_empty()
        });
    }

    fn follow_instance(&mut self, now: MonoTime, key: InstanceKey, instance: &ForwardingInstance) {
        let Some(armed) = self.armed.get_mut(&key) else {
            if instance.is_active && !instance.leavers.is_empty() {
                self.arm(now, key, None, &instance.leavers, EarlierOwn::Ends);
                self.after_takeovers(now, &[key]);
            }
            return;
        };
        if !instance.is_active {
            let inactive = *armed.inactive.get_or_insert(now);
            if now.since(inactive) >= KEPT_FOR {
                self.disarm(key);
            }
            return;
        }
        // A router that was not Active for less than this had only not been seen to be.
        let was_elsewhere =
            armed.inactive.take().is_some_and(|inactive| now.since(inactive) >= SETTLES_AFTER);
        if was_elsewhere && !instance.leavers.is_empty() {
            self.arm(now, key, None, &instance.leavers, EarlierOwn::Ends);
            self.after_takeovers(now, &[key]);
            return;
        }
        let is_settled = now.since(armed.since) >= SETTLES_AFTER;
        armed.has_drained |=
            is_settled && armed.relieved.is_some_and(|relieved| instance.leavers.contains(&relieved));
        if let Some(index) = self.kernel.index(key.interface)
            && index != armed.index
        {
            armed.index = index;
            let outcome = self.kernel.restore(key.interface, index);
            self.note(outcome);
        }
        let Some(armed) = self.armed.get(&key) else { return };
        let is_awaited = now.since(armed.since) < AWAITED_FOR && !armed.has_drained;
        let awaited = armed.relieved.filter(|_| is_awaited);
        let leavers: BTreeSet<IpAddr> = instance.leavers.iter().copied().chain(awaited).collect();
        let ended: Vec<IpAddr> =
            armed.leavers.keys().filter(|leaver| !leavers.contains(leaver)).copied().collect();
        // Where a leaver is has to be known: nothing can be written for it before.
        let is_new = |leaver: &IpAddr| {
            !armed.leavers.contains_key(leaver) && self.neighbours.contains_key(&(armed.index, *leaver))
        };
        let has_new = leavers.iter().any(is_new) || self.has_moved(armed);
        // While hosts switch, the router that was relieved still is the one that they switch from.
        let relieved = armed.relieved.filter(|_| now.since(armed.since) < KEPT_FOR);
        if has_new {
            self.arm(now, key, relieved, &leavers, EarlierOwn::Stays);
            self.after_takeovers(now, &[key]);
            return;
        }
        for leaver in ended {
            self.remove_leaver(key, leaver);
        }
        if self.armed.get(&key).is_some_and(|armed| armed.leavers.is_empty()) {
            self.disarm(key);
        }
    }

    /// Whether a leaver has another hardware address than the rules say.
    fn has_moved(&self, armed: &InstanceRules) -> bool {
        armed.leavers.iter().any(|(leaver, mac)| {
            self.neighbours.get(&(armed.index, *leaver)).is_some_and(|(now, _)| now != mac)
        })
    }

    fn arm(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        relieved: Option<IpAddr>,
        leavers: &BTreeSet<IpAddr>,
        earlier: EarlierOwn,
    ) {
        let Some(index) = self.kernel.index(key.interface) else { return };
        let Some(addresses) = self.wanted.instances.get(&key).map(|one| one.addresses.clone()) else {
            return;
        };
        let mut known = BTreeMap::new();
        for leaver in leavers {
            let is_missing = |asked: &MonoTime| now.since(*asked) < MISSING_FOR;
            if self.missing.get(&(index, *leaver)).is_some_and(is_missing) {
                continue; // Addresses of a takeover wait for this: for each router, and in vain.
            }
            known.extend(self.neighbour(now, index, *leaver).map(|mac| (*leaver, mac)));
        }
        if known.is_empty() || relieved.is_some_and(|relieved| !known.contains_key(&relieved)) {
            return; // A packet without a way to go would be lost.
        }
        if !self.own.contains_key(&key) {
            self.prepare_one(key, &addresses);
        }
        let own = self.own.remove(&key).unwrap_or_default();
        let as_leaver = |(address, mac): (&IpAddr, &MacAddr)| Leaver { address: *address, mac: *mac };
        let arming = Arming {
            interface: key.interface,
            index,
            own,
            addresses,
            last: relieved.and_then(|relieved| known.get_key_value(&relieved)).map(as_leaver),
            leavers: known.iter().map(as_leaver).collect(),
            earlier,
        };
        if let Err(error) = self.kernel.arm(key, &arming) {
            self.note(Err(error));
            return;
        }
        self.problem = None;
        let before = self.armed.remove(&key);
        let since = before.filter(|_| relieved.is_none()).map_or(now, |before| before.since);
        let armed =
            InstanceRules { index, relieved, has_drained: false, leavers: known, since, inactive: None };
        self.armed.insert(key, armed);
    }

    fn prepare_one(&mut self, key: InstanceKey, addresses: &BTreeSet<IpAddr>) {
        if self.kernel.holds(addresses) {
            let own = self.list_own(&BTreeMap::from([(key, addresses.clone())]));
            self.own.extend(own);
        }
    }

    /// Writes the whole list of a leaver to the kernel.
    fn rewrite(&mut self, now: MonoTime, key: InstanceKey, leaver: IpAddr) {
        if !self.is_armed_for(key, leaver) {
            return;
        }
        // Who lists nothing any more has an empty list, in the kernel, too.
        let list = self.lists.get_mut(&(key, leaver));
        let connections = list.map(|list| list.current(now)).unwrap_or_default();
        let outcome = self.kernel.replace(key, leaver, &connections);
        self.note(outcome);
    }

    fn remove_leaver(&mut self, key: InstanceKey, leaver: IpAddr) {
        let outcome = self.kernel.remove_leaver(key, leaver);
        if outcome.is_ok()
            && let Some(armed) = self.armed.get_mut(&key)
        {
            armed.leavers.remove(&leaver);
            self.lists.remove(&(key, leaver));
        }
        self.note(outcome);
    }

    fn disarm(&mut self, key: InstanceKey) {
        let outcome = self.kernel.disarm(key);
        if outcome.is_ok() {
            self.armed.remove(&key);
        }
        self.note(outcome);
    }

    /// Learns where the nodes are that this one may have to pass packets on to, before it has to.
    fn learn_neighbours(&mut self, now: MonoTime) {
        let relievable = self.wanted.relievable.iter();
        let relievable =
            relievable.flat_map(|((interface, _), nodes)| nodes.iter().map(|node| (*interface, *node)));
        let leavers = self.wanted.instances.iter();
        let leavers =
            leavers.flat_map(|(key, one)| one.leavers.iter().map(|leaver| (key.interface, *leaver)));
        let places: BTreeSet<(InterfaceName, IpAddr)> = relievable.chain(leavers).collect();
        let (mut kept, mut missing) = (BTreeMap::new(), BTreeMap::new());
        for (interface, address) in places {
            let Some(index) = self.kernel.index(interface) else { continue };
            if let Some(mac) = self.neighbour(now, index, address) {
                let at = self.neighbours.get(&(index, address)).map_or(now, |(_, at)| *at);
                kept.insert((index, address), (mac, at));
            } else {
                missing.insert((index, address), now);
            }
        }
        (self.neighbours, self.missing) = (kept, missing);
    }

    fn neighbour(&mut self, now: MonoTime, index: u32, address: IpAddr) -> Option<MacAddr> {
        let known = self.neighbours.get(&(index, address)).copied();
        if let Some((mac, at)) = known
            && now.since(at) < NEIGHBOUR_AGAIN
        {
            return Some(mac);
        }
        let is_missing = self.missing.contains_key(&(index, address));
        let within = if is_missing { MISSING_LIMIT } else { NEIGHBOUR_LIMIT };
        let answered = self.kernel.neighbour(index, address, within);
        let Some(mac) = answered.or(known.map(|(mac, _)| mac)) else {
            self.missing.insert((index, address), now);
            return None;
        };
        self.missing.remove(&(index, address));
        self.neighbours.insert((index, address), (mac, now));
        Some(mac)
    }

    fn note(&mut self, outcome: Result<(), ForwardingError>) {
        if let Err(error) = outcome {
            let text = error.to_string();
            if self.problem.as_ref() != Some(&text) {
                tracing::warn!("packets of another node's connections are not passed on: {text}");
            }
            self.problem = Some(text);
        }
    }
}

#[cfg(test)]
#[path = "forwarder_tests.rs"]
mod tests;
