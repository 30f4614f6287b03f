//! The rules by which a station passes packets of connections on to a leaver: a model of the
//! successor's table in the kernel (docs/adr/0036).
//!
//! In this order, for a packet to an address of the instance:
//!
//! 1. A packet that begins a connection makes the connection our own.
//! 2. A packet of our own connection is for this station.
//! 3. A packet of a listed connection goes to the leaver that listed it last, unless it comes from
//!    there.
//! 4. While the address is switching, any other packet goes to the station that was Active until
//!    now, unless it comes from there.
//!
//! Everything else is for this station.
//!
//! The first two stand before the third because ports are used again: a host that begins a
//! connection knows best that the one before it is over, and a list is older than that.

use super::clock::TrueTime;
use super::connections::{PacketSender, Tuple};
use super::lan::Port;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an address is switching after the takeover.
pub(super) const SWITCHING: Duration = Duration::from_secs(6);
/// How long a connection is known as our own.
const OWN: Duration = Duration::from_secs(15);
/// A connection that a leaver did not list for this long is forgotten.
pub(super) const LISTED: Duration = Duration::from_secs(12);
/// A leaver lists each second, and a list is up to 300 ms on its way: what was listed in this time
/// may be listed still.
const LISTED_JUST_NOW: Duration = Duration::from_millis(1300);
/// A leaver that was not heard for this long counts as dead.
pub(super) const SILENT: Duration = Duration::from_secs(3);
/// A station that was relieved, and is not heard to drain for this long, keeps no connections: what
/// is passed on to it would be lost, and not reset.
const DRAINS_WITHIN: Duration = Duration::from_millis(1500);
/// How long the previous Active keeps its rules after it gave the addresses away.
const KEPT: Duration = Duration::from_secs(6);

/// What a packet says of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment {
    /// It begins the connection.
    Syn,
    /// It belongs to a connection that exists.
    Data,
    /// It ends the connection.
    Fin,
}

/// Why a packet is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForwardingReason {
    /// The leaver listed the connection.
    Listed,
    /// The address is switching, and the connection is not our own.
    Switching,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The packet is for this station.
    Here,
    /// The packet is passed on to another station.
    PassOn(Port, ForwardingReason),
}

/// The rules of one station for one instance.
#[derive(Debug, Clone, Default)]
pub(super) struct ForwardingRules {
    switching: Option<Switching>,
    /// Our own connections, each with the time until which they are known.
    own: BTreeMap<Tuple, TrueTime>,
    leavers: BTreeMap<Port, SimLeaver>,
    /// When the rules end, because this station gave the addresses away.
    end_at: Option<TrueTime>,
}

#[derive(Debug, Clone, Copy)]
struct Switching {
    from: Port,
    since: TrueTime,
}

#[derive(Debug, Clone, Default)]
struct SimLeaver {
    heard: TrueTime,
    /// When each connection was listed last.
    listed: BTreeMap<Tuple, TrueTime>,
}

impl ForwardingRules {
    /// The station takes the addresses over, and has these connections.
    ///
    /// What was our own the last time, and what was listed then, is forgotten, because hosts may have
    /// used those ports again for connections with the station that is relieved. That station knows
    /// what is listed now, unless it served for a moment only: what was listed just now is kept.
    pub(super) fn arm(&mut self, now: TrueTime, relieved: Option<Port>, own: impl Iterator<Item = Tuple>) {
        self.drop_ended(now);
        if self.end_at.take().is_some() || relieved.is_some() {
            self.own.clear();
            if relieved.is_some() {
                for known in self.leavers.values_mut() {
                    known.listed.retain(|_, at| now.since(*at) < LISTED_JUST_NOW);
                }
            }
        }
        self.switching = relieved.map(|from| Switching { from, since: now });
        self.own.extend(own.map(|tuple| (tuple, now + OWN)));
    }

    /// The station gave the addresses away: its rules stay for those hosts that do not know it.
    pub(super) fn give_away(&mut self, now: TrueTime) {
        self.end_at = Some(self.end_at.unwrap_or(now + KEPT));
    }

    /// A leaver is heard, and lists connections.
    pub(super) fn hear(&mut self, now: TrueTime, leaver: Port, listed: impl Iterator<Item = Tuple>) {
        self.drop_ended(now);
        let known = self.leavers.entry(leaver).or_default();
        known.heard = now;
        known.listed.extend(listed.map(|tuple| (tuple, now)));
        known.listed.retain(|_, at| now.since(*at) < LISTED);
    }

    /// A leaver says that its drain is over.
    pub(super) fn forget(&mut self, leaver: Port) {
        self.leavers.remove(&leaver);
    }

    /// Whether a leaver is heard, so that its connections are passed on.
    pub(super) fn hears(&self, now: TrueTime, leaver: Port) -> bool {
        self.leavers.get(&leaver).is_some_and(|known| now.since(known.heard) <= SILENT)
    }

    /// What becomes of a packet.
    pub(super) fn decide(
        &mut self,
        now: TrueTime,
        tuple: Tuple,
        segment: Segment,
        sender: PacketSender,
    ) -> Decision {
        self.drop_ended(now);
        let switching = self.switching.filter(|switching| {
            let age = now.since(switching.since);
            age < SWITCHING && (age < DRAINS_WITHIN || self.hears(now, switching.from))
        });
        if segment == Segment::Syn && (switching.is_some() || !self.leavers.is_empty()) {
            self.own.insert(tuple, now + OWN);
        }
        if self.own.get(&tuple).is_some_and(|until| now < *until) {
            return Decision::Here;
        }
        // A connection is that of the station that listed it last.
        let listed = |(leaver, known): (&Port, &SimLeaver)| {
            let at = known.listed.get(&tuple).filter(|at| now.since(**at) < LISTED)?;
            (now.since(known.heard) <= SILENT).then_some((*at, *leaver))
        };
        let listed = self.leavers.iter().filter_map(listed).max();
        if let Some((_, leaver)) = listed.filter(|(_, leaver)| sender != PacketSender::Station(*leaver)) {
            return Decision::PassOn(leaver, ForwardingReason::Listed);
        }
        match switching {
            Some(Switching { from, .. }) if sender != PacketSender::Station(from) => {
                Decision::PassOn(from, ForwardingReason::Switching)
            }
            Some(_) | None => Decision::Here,
        }
    }

    fn drop_ended(&mut self, now: TrueTime) {
        if self.end_at.is_some_and(|at| at <= now) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::connections::Tuple;
    use super::super::node::key;
    use super::*;
    use crate::types::Family;

    const LEAVER: Port = Port(0);
    const OTHER: Port = Port(2);

    fn at(millis: u64) -> TrueTime {
        TrueTime::ZERO + Duration::from_millis(millis)
    }

    fn tuple(number: u32) -> Tuple {
        Tuple::new(key(Family::Ipv4), Port(1), number)
    }

    /// The rules of a station that took over from `LEAVER` at the beginning.
    fn armed() -> ForwardingRules {
        let mut rules = ForwardingRules::default();
        rules.arm(at(0), Some(LEAVER), std::iter::empty());
        rules
    }

    fn list(rules: &mut ForwardingRules, millis: u64, leaver: Port, numbers: &[u32]) {
        rules.hear(at(millis), leaver, numbers.iter().map(|number| tuple(*number)));
    }

    fn data(rules: &mut ForwardingRules, millis: u64, number: u32) -> Decision {
        rules.decide(at(millis), tuple(number), Segment::Data, PacketSender::Host)
    }

    fn begin(rules: &mut ForwardingRules, millis: u64, number: u32) {
        let decision = rules.decide(at(millis), tuple(number), Segment::Syn, PacketSender::Host);
        assert_eq!(decision, Decision::Here);
    }

    #[test]
    fn while_the_address_is_switching_what_did_not_begin_here_goes_back_once() {
        let mut rules = armed();
        begin(&mut rules, 1, 7);
        list(&mut rules, 1400, LEAVER, &[]);
        list(&mut rules, 4000, LEAVER, &[]);
        for (millis, here) in [(1, false), (1499, false), (5999, false), (6000, true)] {
            let expected =
                if here { Decision::Here } else { Decision::PassOn(LEAVER, ForwardingReason::Switching) };
            assert_eq!(data(&mut rules, millis, 1), expected, "after {millis} ms");
            assert_eq!(data(&mut rules, millis, 7), Decision::Here, "after {millis} ms");
        }
        let returned = armed().decide(at(1), tuple(1), Segment::Data, PacketSender::Station(LEAVER));
        assert_eq!(returned, Decision::Here);
    }

    #[test]
    fn a_station_that_is_not_heard_to_drain_gets_nothing() {
        let mut rules = armed();
        assert_eq!(data(&mut rules, 1499, 1), Decision::PassOn(LEAVER, ForwardingReason::Switching));
        assert_eq!(data(&mut rules, 1500, 1), Decision::Here, "it released its addresses, or is dead");
    }

    #[test]
    fn a_list_is_believed_while_its_leaver_is_heard() {
        let mut rules = armed();
        list(&mut rules, 7000, LEAVER, &[1]);
        assert_eq!(data(&mut rules, 10_000, 1), Decision::PassOn(LEAVER, ForwardingReason::Listed));
        assert_eq!(data(&mut rules, 10_001, 1), Decision::Here, "silent for 3 s");
        for millis in (10_500..18_900).step_by(1000) {
            list(&mut rules, millis, LEAVER, &[]);
        }
        assert_eq!(data(&mut rules, 18_999, 1), Decision::PassOn(LEAVER, ForwardingReason::Listed));
        assert_eq!(data(&mut rules, 19_000, 1), Decision::Here, "not listed for 12 s");
        list(&mut rules, 19_500, LEAVER, &[2]);
        rules.forget(LEAVER);
        assert_eq!(data(&mut rules, 19_501, 2), Decision::Here);
    }

    #[test]
    fn a_port_that_is_used_again_is_not_that_of_the_leaver() {
        let mut rules = armed();
        list(&mut rules, 7000, LEAVER, &[1]);
        begin(&mut rules, 7001, 1);
        assert_eq!(data(&mut rules, 7002, 1), Decision::Here);
        // A list that was on its way when the port was used again.
        begin(&mut rules, 7003, 2);
        list(&mut rules, 7300, LEAVER, &[2]);
        assert_eq!(data(&mut rules, 7301, 2), Decision::Here);
    }

    #[test]
    fn the_last_list_decides_which_leaver_it_is() {
        let mut rules = armed();
        list(&mut rules, 7000, LEAVER, &[1]);
        list(&mut rules, 7100, OTHER, &[1]);
        assert_eq!(data(&mut rules, 7200, 1), Decision::PassOn(OTHER, ForwardingReason::Listed));
    }

    #[test]
    fn a_station_that_takes_over_again_forgets_what_it_knew_the_last_time() {
        let mut rules = armed();
        begin(&mut rules, 10, 1);
        list(&mut rules, 100, LEAVER, &[2]);
        rules.give_away(at(1000));
        rules.arm(at(2000), Some(OTHER), [tuple(3)].into_iter());
        for number in [1, 2] {
            let expected = Decision::PassOn(OTHER, ForwardingReason::Switching);
            assert_eq!(data(&mut rules, 2001, number), expected, "the port may be in use there");
        }
        assert_eq!(data(&mut rules, 2001, 3), Decision::Here);
    }

    #[test]
    fn a_station_that_gave_the_addresses_away_keeps_its_rules_for_late_hosts() {
        let mut rules = armed();
        list(&mut rules, 100, LEAVER, &[1]);
        rules.give_away(at(200));
        list(&mut rules, 5000, LEAVER, &[1]);
        assert_eq!(data(&mut rules, 6199, 1), Decision::PassOn(LEAVER, ForwardingReason::Listed));
        assert_eq!(data(&mut rules, 6200, 1), Decision::Here);
    }
}
