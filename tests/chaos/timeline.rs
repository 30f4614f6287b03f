//! Which member held which address when, as the kernels reported it. Pure.

use super::fault::Member;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// The holders of each address at one moment.
pub(crate) type Holders = BTreeMap<IpAddr, BTreeSet<Member>>;

/// A member got an address, or lost it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// Time since 1970.
    pub(crate) at: Duration,
    pub(crate) member: Member,
    pub(crate) address: IpAddr,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Came,
    Went,
}

/// The changes since some moment, and the holders before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline {
    before: Holders,
    changes: Vec<Change>,
    now: Holders,
}

impl Timeline {
    /// Adds a change. Changes must come in the order of their time.
    pub(crate) fn push(&mut self, change: Change) {
        apply(&mut self.now, &change);
        self.changes.push(change);
    }

    pub(crate) const fn now(&self) -> &Holders {
        &self.now
    }

    /// Whether nothing has changed since `at`.
    pub(crate) fn is_quiet_since(&self, at: Duration) -> bool {
        self.changes.last().is_none_or(|change| change.at <= at)
    }

    /// Drops the changes: the present holders become those before the first change.
    pub(crate) fn forget(&mut self) {
        self.before.clone_from(&self.now);
        self.changes.clear();
    }

    /// The longest time until `end` during which no member held an address, or several did, over
    /// all addresses. A time that began before the first change is counted from `start`.
    pub(crate) fn longest(&self, how_many: HowMany, start: Duration, end: Duration) -> Duration {
        let addresses: BTreeSet<IpAddr> =
            self.before.keys().copied().chain(self.changes.iter().map(|change| change.address)).collect();
        let of_one = |address: &IpAddr| {
            let mut holders = self.before.get(address).cloned().unwrap_or_default();
            let mut since = how_many.is(holders.len()).then_some(start);
            let mut longest = Duration::ZERO;
            for change in self.changes.iter().filter(|change| change.address == *address) {
                match change.what {
                    What::Came => holders.insert(change.member),
                    What::Went => holders.remove(&change.member),
                };
                let is = how_many.is(holders.len());
                match since {
                    Some(begun) if !is => {
                        longest = longest.max(change.at.saturating_sub(begun));
                        since = None;
                    }
                    Some(_) => {}
                    None => since = is.then_some(change.at),
                }
            }
            longest.max(since.map_or(Duration::ZERO, |begun| end.saturating_sub(begun)))
        };
        addresses.iter().map(of_one).max().unwrap_or_default()
    }

    /// The changes as text, for a report.
    pub(crate) fn text(&self, since: Duration) -> String {
        let line = |change: &Change| {
            let what = match change.what {
                What::Came => "holds",
                What::Went => "lets go of",
            };
            let at = change.at.saturating_sub(since).as_secs_f64();
            format!("{at:9.3} s  {} {what} {}\n", change.member.name(), change.address)
        };
        self.changes.iter().map(line).collect()
    }
}

/// Which number of holders is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HowMany {
    Nobody,
    Several,
}

impl HowMany {
    const fn is(self, holders: usize) -> bool {
        match self {
            Self::Nobody => holders == 0,
            Self::Several => holders > 1,
        }
    }
}

fn apply(holders: &mut Holders, change: &Change) {
    let of_address = holders.entry(change.address).or_default();
    match change.what {
        What::Came => of_address.insert(change.member),
        What::Went => of_address.remove(&change.member),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::ms;

    /// fe0 holds the address from the start; at 100 it loses it, at 350 fe1 has it, at 400 fe2 too,
    /// at 520 fe1 loses it.
    fn example() -> Timeline {
        let mut timeline = Timeline::default();
        let address = "192.0.2.50".parse().unwrap();
        let mut push = |at, member, what| timeline.push(Change { at: ms(at), member, address, what });
        push(0, Member::Fe0, What::Came);
        push(100, Member::Fe0, What::Went);
        push(350, Member::Fe1, What::Came);
        push(400, Member::Fe2, What::Came);
        push(520, Member::Fe1, What::Went);
        timeline
    }

    #[test]
    fn the_longest_times_without_a_holder_and_with_two_are_seen() {
        let timeline = example();
        assert_eq!(timeline.longest(HowMany::Nobody, ms(0), ms(1000)), ms(250));
        assert_eq!(timeline.longest(HowMany::Several, ms(0), ms(1000)), ms(120));
        assert!(timeline.is_quiet_since(ms(520)) && !timeline.is_quiet_since(ms(519)));
    }

    #[test]
    fn what_has_not_ended_lasts_until_now() {
        let mut timeline = example();
        let (address, member) = ("192.0.2.50".parse().unwrap(), Member::Fe2);
        timeline.push(Change { at: ms(600), member, address, what: What::Went });
        assert_eq!(timeline.longest(HowMany::Nobody, ms(0), ms(1000)), ms(400));
        timeline.forget();
        assert_eq!(timeline.longest(HowMany::Nobody, ms(900), ms(1000)), ms(100));
        assert_eq!(timeline.longest(HowMany::Several, ms(900), ms(1000)), ms(0));
    }

    #[test]
    fn a_repeated_notification_changes_nothing() {
        let mut timeline = example();
        let (address, member) = ("192.0.2.50".parse().unwrap(), Member::Fe2);
        timeline.push(Change { at: ms(600), member, address, what: What::Came });
        assert_eq!(timeline.now()[&address], BTreeSet::from([Member::Fe2]));
    }
}
