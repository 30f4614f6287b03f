//! Interruptions that may pass: the link or the source address is away for a moment.
//!
//! An address that is replaced, an interface that is set down and up, a lease that is renewed, a
//! network manager that applies its files: for some milliseconds nothing can be sent. Peers do not
//! notice, because they wait for three intervals. So a router that runs waits as well, and lets go
//! of nothing: the kernel goes on serving every host that still reaches it. When the interruption
//! is over the router says at once that it is here, to its peers and to the hosts.
//!
//! The wait ends before any Backup can have taken over. From then on the fault counts, and what
//! cannot be sent is not sent. Only a deadline ends the wait: after a pause, the news that the
//! interruption is over may still wait in the mailbox.

use super::Router;
use super::tracking::{self, Impact, Persistence};
use crate::protocol::effect::Effects;
use crate::protocol::input::Fault;
use crate::protocol::instance::{Addresses, Instance};
use crate::types::{InstanceKey, MonoTime};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// However long the interval is, a fault that lasts longer than this is reported, and counts.
const LONGEST: Duration = Duration::from_secs(3);

/// An interruption that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Interruption {
    /// What would be faults.
    faults: BTreeSet<Fault>,
    /// When they are.
    until: MonoTime,
    wait: Wait,
    hearing: Hearing,
}

/// Whether the router still waits for the end of the interruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Wait {
    GoesOn,
    Over,
}

/// Whether other routers could be heard all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Hearing {
    Continued,
    Interrupted,
}

impl Interruption {
    /// When waiting ends.
    pub(super) const fn until(&self) -> MonoTime {
        self.until
    }

    /// A deadline: everything that had arrived was heard. Returns whether the faults count from now
    /// on.
    pub(super) fn ends(&mut self, now: MonoTime) -> bool {
        if self.until <= now {
            self.wait = Wait::Over;
        }
        self.wait == Wait::Over
    }
}

impl Router {
    /// Takes out of `faults` what may pass, if there is time to wait for that. A router that takes
    /// no part waits for nothing. A router that is leaving does wait: a hand-over has a patience of
    /// its own, and its successor may be heard when the interruption is over.
    pub(super) fn wait_out(&mut self, now: MonoTime, faults: &mut BTreeSet<Fault>, out: &mut Effects) {
        let may_pass = |fault: &&Fault| Impact::of(&self.spec, fault).persistence == Persistence::MayPass;
        let passing: BTreeSet<Fault> = faults.iter().filter(may_pass).cloned().collect();
        if self.is_idle() || self.faults.iter().any(|fault| passing.contains(fault)) {
            self.interruption = None;
            return;
        }
        if passing.is_empty() {
            if let Some(over) = self.interruption.take() {
                self.resume(now, over.hearing, out);
            }
            return;
        }
        let (until, hearing) = match &self.interruption {
            Some(Interruption { wait: Wait::Over, .. }) => {
                self.interruption = None; // It lasted too long: now the faults count.
                return;
            }
            Some(before) => (before.until, before.hearing),
            None => (self.waits_until(now), Hearing::Continued),
        };
        faults.retain(|fault| !passing.contains(fault));
        let dead = passing.iter().any(|fault| tracking::is_dead_link(&self.spec, fault));
        let deaf = passing.iter().any(|fault| Impact::of(&self.spec, fault).prevents_hearing());
        let hearing = if deaf { Hearing::Interrupted } else { hearing };
        self.interruption = Some(Interruption { faults: passing, until, wait: Wait::GoesOn, hearing });
        if dead {
            for instance in &mut self.instances {
                instance.release_retained(out);
            }
        }
    }

    /// Whether the interruption must be evaluated again, because the router does something else
    /// now.
    pub(super) fn has_outlived_its_interruption(&self) -> bool {
        let retained = |instance: &Instance| instance.addresses() == Addresses::Retained;
        let retains = || self.is_cut_off() && self.instances.iter().any(retained);
        self.interruption.is_some() && (self.is_idle() || retains())
    }

    /// Whether a message from `source` is one that `key` sent before that address went away a
    /// moment ago.
    pub(in crate::protocol) fn has_sent_from(&self, key: InstanceKey, source: IpAddr) -> bool {
        let sent = |instance: &Instance| instance.key() == key && instance.was_source(source);
        self.interruption.is_some() && self.instances.iter().any(sent)
    }

    /// Whether nobody can be heard during this interruption.
    fn is_cut_off(&self) -> bool {
        let mut faults = self.interruption.iter().flat_map(|interruption| &interruption.faults);
        faults.any(|fault| tracking::is_dead_link(&self.spec, fault))
    }

    /// Everything that is wrong now, whether it is waited out or not.
    pub(super) fn faults_and_interruptions(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().chain(self.interruption.iter().flat_map(|interruption| &interruption.faults))
    }

    /// Backups wait for a number of intervals and their Skew_Time after our last advertisement,
    /// those that hear one family only as well as others.
    fn waits_until(&self, now: MonoTime) -> MonoTime {
        let patience = self.policy.interval.period() * u32::from(self.policy.down_adverts.get());
        let advertised = self.instances.iter().filter_map(|instance| instance.advertised_at(&self.policy));
        (advertised.min().unwrap_or(now).min(now) + patience).min(now + LONGEST)
    }

    fn resume(&mut self, now: MonoTime, hearing: Hearing, out: &mut Effects) {
        for instance in &mut self.instances {
            match hearing {
                Hearing::Continued => instance.judge_again(now),
                Hearing::Interrupted => instance.listen_again(now, &self.policy),
            }
            instance.advertise_after_interruption(now, &self.policy, out);
        }
    }
}
