//! Interruptions that may pass: the link or the source address is away for a moment.
//!
//! An address that is replaced, an interface that is set down and up, a lease that is renewed, a network manager that
//! applies its files: for some milliseconds nothing can be said. Peers do not notice; they wait for three intervals. So
//! a router that runs waits as well, and lets go of nothing: the kernel goes on serving whoever still reaches it, and
//! when the interruption is over the router says at once that it is here, to its peers and to the hosts.
//!
//! The wait ends before any Backup can have taken over: then the fault counts, and what cannot be said is not said. Only
//! a deadline ends it: after a stall, the news that the interruption is over may still wait in the mailbox.

use crate::protocol::effect::Effects;
use crate::protocol::input::Fault;
use crate::protocol::instance::{Backup, Down, Instance, Policy, State, Tenure};
use crate::protocol::router::Router;
use crate::protocol::router::tracking;
use crate::protocol::timing::skew_time;
use crate::types::{InstanceKey, MonoTime};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

/// However long the interval is, a fault that lasts longer than this is told, and counts.
const LONGEST: Duration = Duration::from_secs(3);

/// One that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::protocol) struct Interruption {
    /// What would be faults.
    faults: BTreeSet<Fault>,
    /// When they are.
    until: MonoTime,
    waiting: Waiting,
    hearing: Hearing,
}

/// Whether it is still waited for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    On,
    Over,
}

/// Whether others could be heard all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hearing {
    Continued,
    Interrupted,
}

impl Interruption {
    /// When waiting ends.
    pub(in crate::protocol) const fn until(&self) -> MonoTime {
        self.until
    }

    /// A deadline: everything that had arrived was heard. Returns whether the faults count from now on.
    pub(in crate::protocol) fn lapses(&mut self, now: MonoTime) -> bool {
        if self.until <= now {
            self.waiting = Waiting::Over;
        }
        self.waiting == Waiting::Over
    }
}

impl Router {
    /// Takes out of `faults` what may pass, if there is time to wait for that. Who takes no part waits for nothing. Who is
    /// leaving does: a hand-over has a patience of its own, and its taker may be heard when the interruption is over.
    pub(in crate::protocol) fn wait_out(
        &mut self,
        now: MonoTime,
        faults: &mut BTreeSet<Fault>,
        out: &mut Effects,
    ) {
        let passing: BTreeSet<Fault> =
            faults.iter().filter(|fault| tracking::may_pass(&self.spec, fault)).cloned().collect();
        if self.is_idle() || self.faults.iter().any(|f| passing.contains(f)) {
            self.interruption = None;
            return;
        }
        if passing.is_empty() {
            if let Some(over) = self.interruption.take() {
                self.resume(now, over.hearing, out);
            }
            return;
        }
        let (until, heard) = match &self.interruption {
            Some(before) => (before.until, before.hearing),
            None => (self.waits_until(now), Hearing::Continued),
        };
        if self.interruption.as_ref().is_some_and(|before| before.waiting == Waiting::Over) {
            self.interruption = None; // Too long: now they count.
            return;
        }
        faults.retain(|fault| !passing.contains(fault));
        let waiting = Waiting::On;
        self.interruption = Some(Interruption { faults: passing, until, waiting, hearing: heard });
        if self.is_cut_off() {
            self.interruption.iter_mut().for_each(|interruption| interruption.hearing = Hearing::Interrupted);
            for instance in self.instances.iter_mut().filter(|instance| instance.is_parting()) {
                instance.disown(out); // No host can be reached any more, nor the other be heard.
            }
        }
    }

    /// Whether the interruption has to be looked at again, since what the router does has changed.
    pub(in crate::protocol) fn has_outlived_its_interruption(&self) -> bool {
        let parting = || self.is_cut_off() && self.instances.iter().any(Instance::is_parting);
        self.interruption.is_some() && (self.is_idle() || parting())
    }

    /// Whether a message from `source` is one that `key` sent before that address went away a moment ago.
    pub(in crate::protocol) fn has_spoken_from(&self, key: InstanceKey, source: IpAddr) -> bool {
        let spoke = |m: &Instance| m.key == key && m.former_source == Some(source);
        self.interruption.is_some() && self.instances.iter().any(spoke)
    }

    /// Whether nobody can be heard during this interruption.
    fn is_cut_off(&self) -> bool {
        let faults = self.interruption.iter().flat_map(|interruption| &interruption.faults);
        faults.into_iter().any(|fault| tracking::is_dead_link(&self.spec, fault))
    }

    /// Everything that is wrong now, be it waited out or not.
    pub(in crate::protocol) fn troubles(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().chain(self.interruption.iter().flat_map(|interruption| &interruption.faults))
    }

    /// Backups wait for a number of intervals and their Skew_Time after our last word, those that hear one family only as
    /// well as others.
    fn waits_until(&self, now: MonoTime) -> MonoTime {
        let period = self.policy.interval.period();
        let silence = period * u32::from(self.policy.down_adverts.get());
        let said = self.instances.iter().filter_map(|instance| match &instance.state {
            State::Active(active) => Some(active.advertise_at - period),
            State::Initialize | State::Backup(_) => None,
        });
        (said.min().unwrap_or(now).min(now) + silence).min(now + LONGEST)
    }

    fn resume(&mut self, now: MonoTime, hearing: Hearing, out: &mut Effects) {
        for instance in &mut self.instances {
            match hearing {
                Hearing::Continued => instance.judge_again(now),
                Hearing::Interrupted => instance.listen_again(now, &self.policy),
            }
            instance.speak_again(now, &self.policy, out);
        }
    }
}

impl Instance {
    /// An Active that could not say anything for a moment: it is here. Hosts are told as well, for the switch may have
    /// forgotten where they find us.
    fn speak_again(&mut self, now: MonoTime, policy: &Policy, out: &mut Effects) {
        let State::Active(active) = &mut self.state else { return };
        match active.tenure {
            Tenure::Serving if now >= active.immediate_after => {
                active.said_at_once(now, policy);
                active.advertise_at = now + policy.interval.period();
                self.advertise(policy.priority, policy.interval, policy.checksum, out);
                self.contest(now, out);
            }
            // Soon enough: an interface that flaps all the time must not make us flood the LAN.
            Tenure::Serving => active.advertise_at = active.advertise_at.min(active.immediate_after),
            // The first word, or the next, has a time of its own.
            Tenure::Claiming | Tenure::Ready | Tenure::Listening | Tenure::Leaving(_) => {}
        }
    }

    /// A Backup that could not have said anything, so that nothing came of its timer: it fires anew.
    fn judge_again(&mut self, now: MonoTime) {
        let State::Backup(Backup { down, .. }) = &mut self.state else { return };
        *down = match *down {
            Down::At(at) => Down::At(at),
            Down::Expired => Down::At(now),
        };
    }

    /// A Backup that could not hear for a moment: a living Active is heard within one interval.
    fn listen_again(&mut self, now: MonoTime, policy: &Policy) {
        let State::Backup(Backup { down, learned, .. }) = &mut self.state else { return };
        let soon = now + learned.period() + skew_time(policy.priority, *learned);
        *down = match *down {
            Down::At(at) => Down::At(at.max(soon)),
            Down::Expired => Down::At(soon),
        };
    }
}
