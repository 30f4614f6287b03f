//! The column WHY: the faults that keep a router out, then what it is doing, then what decided its
//! state.

use super::AgentSnapshot;
use crate::protocol::{
    Demotion, Fault, Health, InstanceSnapshot, LastResort, RouterSnapshot, StateName, Track,
};
use crate::words::{self, fault_in_short};

impl AgentSnapshot {
    pub(super) fn why(&self, router: &RouterSnapshot, instance: &InstanceSnapshot) -> String {
        let state = self.why_in_state(router, instance);
        let draining = self.draining_in_short(instance).into_iter();
        draining.chain([state]).chain(self.forwarding_in_short(instance)).collect::<Vec<_>>().join("; ")
    }

    fn why_in_state(&self, router: &RouterSnapshot, instance: &InstanceSnapshot) -> String {
        if let Some(demotion) = &router.demoted {
            return self.demotion(demotion, instance.state);
        }
        if !router.faults.is_empty() {
            let faults: Vec<_> = router.faults.iter().map(|fault| self.fault(fault)).collect();
            return faults.join("; ");
        }
        if router.handing_over {
            return "handing over".to_owned();
        }
        let mut why =
            words::why_in_short(&self.names, instance.cause, &instance.details, instance.key.family);
        for lost in router.spec.tracks.iter().filter_map(|track| self.lost_weight(track)) {
            why.push_str("; ");
            why.push_str(&lost);
        }
        why
    }

    /// The words for one fault: `check nginx fails: exit code 7: connection refused`.
    fn fault(&self, fault: &Fault) -> String {
        let short = fault_in_short(fault);
        let failure = match fault {
            Fault::Check(name) => self.failure(name),
            Fault::InterfaceMissing(_)
            | Fault::InterfaceDown(_)
            | Fault::NoCarrier(_)
            | Fault::Port(..)
            | Fault::OtherName(..)
            | Fault::NoSourceAddress(..)
            | Fault::NoUnicastPeer(..)
            | Fault::ForeignAddresses(_)
            | Fault::Sockets(..)
            | Fault::CheckPending(_)
            | Fault::Addresses(_) => None,
        };
        failure.map_or(short.clone(), |failure| format!("{short}: {failure}"))
    }

    /// Why the priority is lower than configured: `check haproxy fails (-60)`.
    fn lost_weight(&self, track: &Track) -> Option<String> {
        let weight = track.weight().filter(|weight| *weight < 0)?;
        match self.health(&track.watched)? {
            Health::Failing(_) => Some(format!("{} fails ({weight})", track.watched)),
            Health::Passing | Health::Pending(_) => None,
        }
    }

    /// The words for a demotion: `demoted: kernel update, until 12:34 UTC`.
    fn demotion(&self, demotion: &Demotion, state: StateName) -> String {
        let Demotion { until, last_resort, reason, .. } = demotion;
        let reason = Some(reason.clone()).filter(|reason| !reason.is_empty());
        let until = until.as_ref().map(|until| format!("until {}", words::until(&until.text, self.wall)));
        let last_resort = match (last_resort, state) {
            (LastResort::No, _) => None,
            (LastResort::Yes, StateName::Active) => Some("serving because nobody else does".to_owned()),
            (LastResort::Yes, StateName::Backup | StateName::Initialize) => Some("last resort".to_owned()),
        };
        let more: Vec<String> = [reason, until, last_resort].into_iter().flatten().collect();
        if more.is_empty() { "demoted".to_owned() } else { format!("demoted: {}", more.join(", ")) }
    }
}
