//! Randomness is an argument: one seed gives one run.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, 2014): its state has 64 bits, every seed is
//! good, and the library needs no dependency for it. It must not be used for secrets.

use std::time::Duration;

/// A seeded generator.
#[derive(Debug, Clone)]
pub struct Rng(u64);

/// A probability in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct PerMille(u16);

impl PerMille {
    /// The event never happens.
    pub const NEVER: Self = Self(0);
    /// The event always happens.
    pub const ALWAYS: Self = Self(1000);

    /// The probability in thousandths; a number above 1000 means always.
    #[must_use]
    pub const fn new(thousandths: u16) -> Self {
        Self(thousandths)
    }
}

impl Rng {
    /// The generator of one seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product is biased by less than bound / 2^64.
        let product = u128::from(self.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// An index into a collection of this length.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// Whether an event of this probability happens now.
    pub fn chance(&mut self, chance: PerMille) -> bool {
        self.below(1000) < u64::from(chance.0)
    }

    /// A duration between two durations, both included.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_nanos()).unwrap_or(u64::MAX - 1);
        least + Duration::from_nanos(self.below(span.saturating_add(1)))
    }

    /// One of several choices, or the fallback if there are none.
    pub fn pick<T: Copy>(&mut self, choices: &[T], fallback: T) -> T {
        choices.get(self.index(choices.len())).copied().unwrap_or(fallback)
    }

    /// Another generator, so that numbers drawn from it do not change the numbers drawn from this
    /// one.
    pub const fn fork(&mut self) -> Self {
        Self(self.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_the_published_generator() {
        // These are the first outputs of the reference implementation for seed 1234567.
        let mut rng = Rng::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423_u64];
        assert_eq!([rng.next_u64(), rng.next_u64(), rng.next_u64()], expected);
    }

    #[test]
    fn durations_reach_both_ends_and_nothing_beyond() {
        let mut rng = Rng::new(1);
        let (least, most) = (Duration::from_nanos(3), Duration::from_nanos(5));
        let drawn: std::collections::BTreeSet<_> = (0..100).map(|_| rng.between(least, most)).collect();
        assert_eq!(drawn.into_iter().map(|d| d.as_nanos()).collect::<Vec<_>>(), [3, 4, 5]);
    }
}
