//! Draws faults and their times from a seed, and from nothing else. Pure.

use super::cluster::Cluster;
use super::fault::{Aspect, Kind, Member, Service, Stroke};
use std::collections::BTreeSet;
use std::time::Duration;
use vrrpd::sim::rng::{PerMille, Rng};

/// How faults follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The service is at rest before the next fault.
    OneByOne,
    /// Two to four faults at once; then the service comes to rest.
    Overlapping,
}

/// Faults that are judged together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) strokes: Vec<Stroke>,
}

/// An endless source of rounds.
pub(crate) struct Schedule {
    rng: Rng,
    mode: Mode,
    interval: Duration,
    cluster: Cluster,
    drawn: usize,
}

impl Schedule {
    /// `interval` is that of the advertisements: a long fault is long compared with it.
    pub(crate) fn new(seed: u64, mode: Mode, interval: Duration) -> Self {
        Self { rng: Rng::new(seed), mode, interval, cluster: Cluster::new(), drawn: 0 }
    }

    /// The condition that the rounds so far have left.
    pub(crate) const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The next round, of at most `most` faults.
    pub(crate) fn next_round(&mut self, most: usize) -> Round {
        let wanted = match self.mode {
            Mode::OneByOne => 1,
            Mode::Overlapping => 2 + self.rng.index(3),
        };
        let mut busy = BTreeSet::new();
        let mut strokes = Vec::new();
        for place in 0..wanted.min(most) {
            // With three members and three aspects of each, another fault is nearly always
            // possible; if not, the round is shorter.
            let Some((kind, member)) = (0..1000).find_map(|_| self.pick(&busy)) else { break };
            busy.extend(kind.aspects().iter().map(|aspect| (member, *aspect)));
            let after = if place == 0 {
                Duration::ZERO
            } else {
                self.rng.between(Duration::ZERO, self.interval * 10)
            };
            let lasts = if kind.lasts() { self.duration() } else { Duration::ZERO };
            let percent = self.rng.pick(&[10, 30, 60], 30);
            self.drawn += 1;
            strokes.push(Stroke { number: self.drawn, kind, member, after, lasts, percent });
            self.cluster.apply(kind, member);
        }
        Round { strokes }
    }

    /// Draws a kind by its weight, and a member to which it can happen; holders are drawn more
    /// often than others.
    fn pick(&mut self, busy: &BTreeSet<(Member, Aspect)>) -> Option<(Kind, Member)> {
        let mut left = self.rng.below(Kind::WEIGHTS.iter().map(|(_, weight)| weight).sum());
        let kind = Kind::WEIGHTS.iter().find_map(|(kind, weight)| {
            let hit = left < *weight;
            left = left.saturating_sub(*weight);
            hit.then_some(*kind)
        })?;
        let mut able = Member::ALL.to_vec();
        able.retain(|member| self.cluster.allows(kind, *member));
        able.retain(|member| kind.aspects().iter().all(|aspect| !busy.contains(&(*member, *aspect))));
        let first = *able.first()?;
        let holds = |member: &Member| {
            Service::ALL.into_iter().any(|service| self.cluster.holder(service) == Some(*member))
        };
        let holding: Vec<Member> = able.iter().copied().filter(holds).collect();
        let among = if !holding.is_empty() && self.rng.chance(PerMille::new(500)) { holding } else { able };
        Some((kind, self.rng.pick(&among, first)))
    }

    /// Draws a short moment, about an Active_Down_Interval, or a long time, because each is a case
    /// of its own.
    fn duration(&mut self) -> Duration {
        let interval = self.interval;
        let (least, most) = self.rng.pick(
            &[(interval / 100, interval / 2), (interval * 2, interval * 5), (interval * 5, interval * 10)],
            (interval, interval),
        );
        self.rng.between(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const INTERVAL: Duration = Duration::from_millis(100);

    fn draw(seed: u64, mode: Mode, faults: usize) -> Vec<Round> {
        let mut schedule = Schedule::new(seed, mode, INTERVAL);
        let mut rounds = Vec::new();
        let mut left = faults;
        while left > 0 {
            let round = schedule.next_round(left);
            left -= round.strokes.len();
            rounds.push(round);
        }
        rounds
    }

    #[test]
    fn the_same_seed_is_the_same_schedule_and_another_is_another() {
        for mode in [Mode::OneByOne, Mode::Overlapping] {
            assert_eq!(draw(7, mode, 300), draw(7, mode, 300));
            assert_ne!(draw(7, mode, 300), draw(8, mode, 300));
        }
    }

    #[test]
    fn a_longer_run_begins_like_a_shorter_one() {
        assert_eq!(draw(7, Mode::OneByOne, 300)[..200], draw(7, Mode::OneByOne, 200));
    }

    #[test]
    fn a_thousand_faults_are_of_every_kind() {
        for mode in [Mode::OneByOne, Mode::Overlapping] {
            let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
            let rounds = draw(1, mode, 1000);
            let strokes: Vec<&Stroke> = rounds.iter().flat_map(|round| &round.strokes).collect();
            for stroke in &strokes {
                *kinds.entry(stroke.kind).or_default() += 1;
            }
            assert_eq!(strokes.len(), 1000);
            assert_eq!(kinds.len(), Kind::WEIGHTS.len());
            assert!(kinds.values().all(|count| *count >= 10), "{kinds:?}");
            let numbers: Vec<usize> = strokes.iter().map(|stroke| stroke.number).collect();
            assert_eq!(numbers, (1..=1000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn overlapping_faults_do_not_contradict_each_other_and_a_member_can_always_serve() {
        let mut schedule = Schedule::new(3, Mode::Overlapping, INTERVAL);
        for _ in 0..500 {
            let round = schedule.next_round(4);
            assert!(round.strokes.len() >= 2, "{round:?}");
            let mut busy = BTreeSet::new();
            for stroke in &round.strokes {
                for aspect in stroke.kind.aspects() {
                    assert!(busy.insert((stroke.member, *aspect)), "{round:?}");
                }
                assert!(stroke.lasts <= INTERVAL * 10 && stroke.after <= INTERVAL * 10);
            }
            assert!(Service::ALL.into_iter().all(|service| schedule.cluster().holder(service).is_some()));
        }
    }
}
