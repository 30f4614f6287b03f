//! At rest, `vrrpctl status` must say what is true: the daemon is compared with the oracle, and not
//! the other way round.

use super::cluster::Process;
use super::fault::{Member, Service};
use super::oracle::Violation;
use super::world::World;
use crate::support::Node;
use serde_json::Value;

/// What the running members say that is not true.
pub(crate) fn status(world: &World) -> Vec<Violation> {
    let cluster = world.cluster();
    let mut wrong = Vec::new();
    for member in Member::ALL {
        if cluster.of(member).process == Process::Stopped {
            continue;
        }
        let status = world.daemon(member).ctl(&["status"]);
        for service in Service::ALL {
            let Some(holder) = cluster.holder(service) else { continue };
            for family in ["ipv4", "ipv6"] {
                let instance = instance(&status.json, service, family);
                let says = format!("{family} {}, Active {}", instance["state"], instance["active"]);
                if !is_true(instance, member, holder, world.node(holder)) {
                    let truth = format!("{} holds it", holder.name());
                    wrong.push(Violation::Untrue { member, service, says, truth });
                }
            }
        }
    }
    wrong
}

fn instance<'a>(status: &'a Value, service: Service, family: &str) -> &'a Value {
    let wanted = |one: &&Value| one["name"] == service.name() && one["family"] == family;
    status["virtual_routers"].as_array().and_then(|all| all.iter().find(wanted)).unwrap_or(&Value::Null)
}

/// The holder must say that it is Active, no other member may, and a member that names an Active
/// must name the holder.
fn is_true(instance: &Value, member: Member, holder: Member, node: &Node) -> bool {
    let serves = instance["state"] == "active";
    let named = match instance["active"]["address"].as_str() {
        Some(address) => address == node.v4().to_string() || address == node.link_local().to_string(),
        // A member that takes no part in elections need not name the Active.
        None => member != holder && instance["state"] != "backup",
    };
    !instance.is_null() && serves == (member == holder) && named
}
