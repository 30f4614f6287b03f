//! What the address thread has been told about the instances that run.

use crate::kernel::keeper::KeeperCommand;
use crate::protocol::{InstanceSpec, Node, RouterSpec};
use crate::types::{InstanceKey, InterfaceName};
use ipnet::IpNet;
use std::collections::BTreeMap;

/// The addresses of an instance and their interface.
type Declared = (InterfaceName, Vec<IpNet>);

/// The addresses of each instance as the address thread knows them, and the generation of the core
/// at that time.
#[derive(Debug, Default)]
pub(super) struct Declarations {
    declared: BTreeMap<InstanceKey, Declared>,
    generation: u64,
}

impl Declarations {
    /// What the address thread has to be told so that it knows what runs; `None` if what runs has
    /// not changed. What runs differs from what is configured: a router that leaves holds its
    /// addresses until it is gone.
    #[must_use]
    pub(super) fn update(&mut self, node: &Node) -> Option<Vec<KeeperCommand>> {
        if node.generation() == self.generation {
            return None;
        }
        self.generation = node.generation();
        let running: BTreeMap<InstanceKey, Declared> = node.running().flat_map(instances).collect();
        let changed = running.iter().filter(|(key, declared)| self.declared.get(key) != Some(declared));
        let declare = changed.map(|(key, (address_interface, addresses))| KeeperCommand::Declare {
            key: *key,
            address_interface: *address_interface,
            addresses: addresses.clone(),
        });
        let gone = self.declared.keys().filter(|key| !running.contains_key(key));
        let commands = declare.chain(gone.map(|key| KeeperCommand::Forget { key: *key })).collect();
        self.declared = running;
        Some(commands)
    }

    /// The address thread was told what runs in another way: of a run that crashed it knows the
    /// addresses that are there, which may be fewer than those that are configured.
    pub(super) const fn assume_known(&mut self, node: &Node) {
        self.generation = node.generation();
    }
}

/// The instances of a router with all their addresses, advertised or not.
fn instances(spec: &RouterSpec) -> impl Iterator<Item = (InstanceKey, Declared)> {
    let declared = |instance: &InstanceSpec| (spec.address_interface, instance.held().copied().collect());
    spec.instances.iter().map(move |instance| (spec.key(instance.family), declared(instance)))
}
