//! The kernel's answers about addresses: it holds them, or it refused them.

use super::{FollowUp, Router};
use crate::protocol::effect::Effects;
use crate::protocol::event::{Cause, EventKind};
use crate::protocol::input::{Fault, HoldResult};
use crate::protocol::instance::Instance;
use crate::types::{InstanceKey, MonoTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long after a refusal the router tries again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The kernel refused the addresses of a router.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Refusal {
    why: String,
    retry_at: MonoTime,
}

impl Refusal {
    pub(super) fn fault(&self) -> Fault {
        Fault::Addresses(self.why.clone())
    }

    pub(super) const fn retry_at(&self) -> MonoTime {
        self.retry_at
    }
}

impl Router {
    /// The kernel's answer to [`crate::protocol::Effect::HoldAddresses`].
    pub(in crate::protocol) fn on_hold_result(
        &mut self,
        now: MonoTime,
        result: HoldResult,
        out: &mut Effects,
    ) -> FollowUp {
        let HoldResult { key, epoch, outcome } = result;
        let policy = self.policy;
        let Some(instance) = self.instance_mut(key).filter(|instance| instance.epoch() == epoch) else {
            return FollowUp::Nothing; // Stale: the decision changed meanwhile.
        };
        if let Err(why) = outcome {
            return self.refuse(now, key, why, out);
        }
        instance.on_addresses_held(now, &policy, out);
        if !self.instances.iter().any(Instance::is_installing) {
            for instance in &mut self.instances {
                instance.on_all_installed(now, &policy, out);
            }
        }
        FollowUp::Nothing
    }

    /// Addresses that we held are gone, and the kernel does not take them back.
    pub(in crate::protocol) fn on_addresses_not_restored(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        why: String,
        out: &mut Effects,
    ) -> FollowUp {
        if self.is_active() { self.refuse(now, key, why, out) } else { FollowUp::Nothing }
    }

    /// Somebody removed this many addresses, and they are back.
    pub(in crate::protocol) fn on_addresses_restored(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        count: usize,
        out: &mut Effects,
    ) {
        if let Some(instance) = self.instance_mut(key) {
            instance.on_addresses_restored(now, out);
            self.report(Some(key), EventKind::AddressesRestored { count }, out);
        }
    }

    /// Addresses that had gone with the interface are back.
    pub(in crate::protocol) fn on_addresses_reinstalled(
        &mut self,
        now: MonoTime,
        key: InstanceKey,
        out: &mut Effects,
    ) {
        if let Some(instance) = self.instance_mut(key) {
            instance.on_addresses_restored(now, out);
        }
    }

    fn refuse(&mut self, now: MonoTime, key: InstanceKey, why: String, out: &mut Effects) -> FollowUp {
        self.report(Some(key), EventKind::AddressesRefused { why: why.clone() }, out);
        self.refusal = Some(Refusal { why, retry_at: now + RETRY_AFTER });
        FollowUp::Evaluate { cause_if_started: Cause::FaultCleared }
    }
}
