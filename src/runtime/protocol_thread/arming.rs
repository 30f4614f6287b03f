//! Addresses that wait a moment for the rules by which packets are passed on to the router that is
//! relieved: without them, the first packets of its connections would be answered by this node, with
//! a reset. Pure.

use crate::kernel::keeper::KeeperCommand;
use crate::types::{InstanceKey, MonoTime};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long addresses wait at most. The rules take about a millisecond, unless the thread that writes
/// them is writing a list of another router, or this machine is busy. Meanwhile the router that is
/// relieved serves: it waits for our announcements for 250 ms.
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Armings(BTreeMap<InstanceKey, KeptHold>);

#[derive(Debug)]
struct KeptHold {
    epoch: u64,
    until: MonoTime,
    /// The command that was kept back.
    kept: Option<KeeperCommand>,
}

impl Armings {
    /// The rules for this takeover were asked for.
    pub(super) fn begin(&mut self, now: MonoTime, key: InstanceKey, epoch: u64) {
        self.0.insert(key, KeptHold { epoch, until: now + PATIENCE, kept: None });
    }

    /// Keeps the command back if it has to wait.
    pub(super) fn pass(&mut self, command: KeeperCommand) -> Option<KeeperCommand> {
        let KeeperCommand::Hold { key, epoch } = command else { return Some(command) };
        match self.0.get_mut(&key) {
            Some(arming) if arming.epoch == epoch => {
                arming.kept = Some(command);
                None
            }
            Some(_) | None => Some(command),
        }
    }

    /// The rules are there, or will not come.
    pub(super) fn end(&mut self, key: InstanceKey, epoch: u64) -> Option<KeeperCommand> {
        self.0.get(&key).filter(|arming| arming.epoch == epoch)?;
        self.0.remove(&key)?.kept
    }

    /// The addresses are not wanted any more.
    pub(super) fn cancel(&mut self, key: InstanceKey) {
        self.0.remove(&key);
    }

    /// The commands that have waited for long enough.
    pub(super) fn expire(&mut self, now: MonoTime) -> Vec<KeeperCommand> {
        let due: Vec<InstanceKey> =
            self.0.iter().filter(|(_, arming)| arming.until <= now).map(|(key, _)| *key).collect();
        due.into_iter().filter_map(|key| self.0.remove(&key)?.kept).collect()
    }

    /// When [`Self::expire`] must be called.
    pub(super) fn deadline(&self) -> Option<MonoTime> {
        self.0.values().map(|arming| arming.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Family, Vrid};

    const NOW: MonoTime = MonoTime::from_nanos(1_000_000_000);

    fn key() -> InstanceKey {
        InstanceKey { interface: "eth0".parse().unwrap(), family: Family::Ipv4, vrid: Vrid::new(51).unwrap() }
    }

    fn hold(epoch: u64) -> KeeperCommand {
        KeeperCommand::Hold { key: key(), epoch }
    }

    #[test]
    fn addresses_wait_for_their_rules() {
        let mut armings = Armings::default();
        armings.begin(NOW, key(), 3);
        assert_eq!(armings.pass(hold(3)), None);
        assert_eq!(armings.end(key(), 2), None, "these are the rules of an earlier takeover");
        assert_eq!(armings.end(key(), 3), Some(hold(3)));
        assert_eq!(armings.deadline(), None);
        assert_eq!(armings.pass(hold(4)), Some(hold(4)), "nothing was asked for");
    }

    #[test]
    fn rules_that_come_before_the_command_do_not_keep_it() {
        let mut armings = Armings::default();
        armings.begin(NOW, key(), 3);
        assert_eq!(armings.end(key(), 3), None, "before_active has not ended yet");
        assert_eq!(armings.pass(hold(3)), Some(hold(3)));
    }

    #[test]
    fn nothing_waits_for_ever() {
        let mut armings = Armings::default();
        armings.begin(NOW, key(), 3);
        assert_eq!(armings.pass(hold(3)), None);
        assert!(armings.expire(NOW + PATIENCE - Duration::from_millis(1)).is_empty());
        assert_eq!(armings.expire(NOW + PATIENCE), [hold(3)]);
    }

    #[test]
    fn what_is_not_wanted_any_more_never_comes() {
        let mut armings = Armings::default();
        armings.begin(NOW, key(), 3);
        assert_eq!(armings.pass(hold(3)), None);
        armings.cancel(key());
        assert_eq!(armings.end(key(), 3), None);
        assert!(armings.expire(NOW + Duration::from_secs(1)).is_empty());
    }
}
