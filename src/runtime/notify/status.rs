//! The states in one line, for `systemctl status`. The code is pure.
//!
//! The line has names while they fit, `active: web-a; backup: web-b; faulty: web-c (check nginx)`;
//! otherwise it has numbers, `40 virtual routers: 21 active, 19 backup`. Each router is counted
//! once.

use crate::protocol::{Fault, LastResort, RouterSnapshot, Snapshot, StateName};
use std::collections::BTreeMap;

/// How many characters fit into a line of `systemctl status`.
const LONGEST: usize = 120;

/// The most important fact about a router, in the order in which the facts are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Active,
    HandingOver,
    Backup,
    Faulty,
    Demoted,
    Starting,
}

impl Class {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::HandingOver => "handing over",
            Self::Backup => "backup",
            Self::Faulty => "faulty",
            Self::Demoted => "demoted",
            Self::Starting => "starting",
        }
    }
}

/// Returns the line.
pub(super) fn line(snapshot: &Snapshot) -> String {
    if snapshot.routers.is_empty() {
        return "no virtual router".to_owned();
    }
    let mut classes: BTreeMap<Class, Vec<String>> = BTreeMap::new();
    for router in &snapshot.routers {
        let class = class(router);
        classes.entry(class).or_default().push(named(router, class));
    }
    let names = classes.iter().map(|(class, names)| format!("{}: {}", class.as_str(), names.join(", ")));
    let names = names.collect::<Vec<_>>().join("; ");
    if names.len() <= LONGEST {
        // A fault may contain text of the kernel, but the result must be one line.
        return names.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    }
    let counts = classes.iter().map(|(class, names)| format!("{} {}", names.len(), class.as_str()));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let plural = if snapshot.routers.len() == 1 { "" } else { "s" };
    format!("{} virtual router{plural}: {counts}", snapshot.routers.len())
}

fn class(router: &RouterSnapshot) -> Class {
    let out_of_service = router.demoted.as_ref().is_some_and(|d| d.last_resort == LastResort::No);
    let any = |state| router.instances.iter().any(|instance| instance.state == state);
    if router.handing_over {
        Class::HandingOver
    } else if any(StateName::Active) {
        Class::Active
    } else if any(StateName::Backup) {
        Class::Backup
    } else if out_of_service {
        Class::Demoted
    } else if router.faults.iter().all(|fault| matches!(fault, Fault::CheckPending(_))) {
        Class::Starting
    } else {
        Class::Faulty
    }
}

fn named(router: &RouterSnapshot, class: Class) -> String {
    let name = &router.spec.name;
    match class {
        Class::Faulty => {
            let faults: Vec<String> = router.faults.iter().map(Fault::to_string).collect();
            format!("{name} ({})", faults.join(", "))
        }
        Class::Active | Class::Backup if router.demoted.is_some() => format!("{name} (last resort)"),
        Class::Active | Class::Backup | Class::HandingOver | Class::Demoted | Class::Starting => {
            name.to_string()
        }
    }
}
