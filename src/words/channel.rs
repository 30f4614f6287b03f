//! The sentences about other nodes: who is there, who would take over, and what is not configured
//! alike.

use super::span;
use crate::agent::named;
use crate::channel::{ChannelEvent, SettingDifference};
use crate::wire::channel::ChannelReject;

/// The sentence about an event.
#[must_use]
pub fn sentence(event: &ChannelEvent) -> String {
    match event {
        ChannelEvent::NodeHeard { node, address } => format!("node {node} ({address}) is there"),
        ChannelEvent::NodeSilent { node, address, silent } => format!(
            "node {node} ({address}) has not been heard for {}: its vrrpd or its machine has stopped, or the network \
             between the nodes drops what they tell one another",
            span(*silent)
        ),
        ChannelEvent::NodeLeft { node, address } => {
            format!("node {node} ({address}) has left: vrrpd stops there, or has another key now")
        }
        ChannelEvent::RedundancyLost { router: _, why } if why.is_empty() => {
            "NOT REDUNDANT: no other node is heard, so that nobody would take over".to_owned()
        }
        ChannelEvent::RedundancyLost { router: _, why } => {
            let why: Vec<String> = why.iter().map(|(node, why)| format!("{node}: {why}")).collect();
            format!("NOT REDUNDANT: nobody would take over ({})", why.join("; "))
        }
        ChannelEvent::RedundancyBack { router: _, node } => {
            format!("redundant again: {node} would take over")
        }
        ChannelEvent::Differs { router: _, node, what } => differs(node, what),
        ChannelEvent::DiffersNoMore { router: _, node, what } => {
            format!("{} is the same here and on {node} again", setting_in_words(what))
        }
        ChannelEvent::NameShared { node, address } => format!(
            "two nodes are called {node}; the other one is {address}. Give each node a node_name of its own in [agent]"
        ),
        ChannelEvent::NotUnderstood { address, why: ChannelReject::Key } => format!(
            "{address} has another key than this node (peer_key_file), so that the two do not know one another. Copy \
             the file to all nodes, and run vrrpctl reload"
        ),
        ChannelEvent::NotUnderstood { address, why } => {
            format!("a message of {address} between nodes was not understood: {why}")
        }
    }
}

/// What is not the same, and what to do.
fn differs(node: &str, what: &SettingDifference) -> String {
    match what {
        SettingDifference::Addresses { only_here, only_there } => format!(
            "{node} has other addresses{}. Give both nodes the same list",
            lists(node, only_here, only_there)
        ),
        SettingDifference::Checks { only_here, only_there } => format!(
            "{node} tracks other checks{}: one node may serve where the other would not",
            lists(node, only_here, only_there)
        ),
        SettingDifference::Vrid { here, there } => {
            format!(
                "{node} has it under VRID {there}, and this node under {here}: write the same vrid on both"
            )
        }
        SettingDifference::Interval { here, there } => format!(
            "{node} advertises every {there:?}, and this node every {here:?}: write the same advertise_interval on both"
        ),
        SettingDifference::Version { here, there } => {
            format!(
                "{node} speaks version {there} of VRRP, and this node version {here}: neither hears the other"
            )
        }
        SettingDifference::Software { here, there } => {
            format!("{node} runs vrrpd {there}, and this node {here}")
        }
    }
}

fn setting_in_words(what: &SettingDifference) -> String {
    match what {
        SettingDifference::Addresses { .. } => "the list of addresses".to_owned(),
        SettingDifference::Vrid { .. } => "the VRID".to_owned(),
        SettingDifference::Interval { .. } => "the advertise_interval".to_owned(),
        SettingDifference::Version { .. } => "the version of VRRP".to_owned(),
        SettingDifference::Checks { .. } => "the list of checks".to_owned(),
        SettingDifference::Software { .. } => "the version of vrrpd".to_owned(),
    }
}

named! {
    /// The names of all settings that are compared.
    pub(crate) const SETTINGS;
    /// The name of a setting in the JSON contract.
    pub fn setting_name(SettingDifference);
    SettingDifference::Addresses { .. } => "addresses",
    SettingDifference::Vrid { .. } => "vrid",
    SettingDifference::Interval { .. } => "advertise_interval",
    SettingDifference::Version { .. } => "version",
    SettingDifference::Checks { .. } => "checks",
    SettingDifference::Software { .. } => "software",
}

/// What only one of the two nodes has. Of long lists only the beginnings are known, which may be
/// alike.
fn lists<T: ToString>(node: &str, only_here: &[T], only_there: &[T]) -> String {
    let side = |who: &str, list: &[T]| {
        let list: Vec<String> = list.iter().map(ToString::to_string).collect();
        (!list.is_empty()).then(|| format!("only {who}: {}", list.join(", ")))
    };
    let sides: Vec<String> =
        [side("here", only_here), side(&format!("on {node}"), only_there)].into_iter().flatten().collect();
    if sides.is_empty() { String::new() } else { format!(" ({})", sides.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::RouterName;
    use std::time::Duration;

    fn web() -> RouterName {
        "web".parse().unwrap()
    }

    #[test]
    fn lost_redundancy_names_each_node_and_its_reason() {
        let lost = |why| sentence(&ChannelEvent::RedundancyLost { router: web(), why });
        assert_eq!(lost(vec![]), "NOT REDUNDANT: no other node is heard, so that nobody would take over");
        let why = vec![
            ("fe1".to_owned(), "check nginx fails".to_owned()),
            ("fe2".to_owned(), "vrrpd was stopped there".to_owned()),
        ];
        assert_eq!(
            lost(why),
            "NOT REDUNDANT: nobody would take over (fe1: check nginx fails; fe2: vrrpd was stopped there)"
        );
    }

    #[test]
    fn a_difference_says_who_has_what() {
        let (a, b) = ("192.0.2.50".parse().unwrap(), "192.0.2.51".parse().unwrap());
        let both = SettingDifference::Addresses { only_here: vec![a], only_there: vec![b] };
        assert_eq!(
            differs("fe1", &both),
            "fe1 has other addresses (only here: 192.0.2.50; only on fe1: 192.0.2.51). Give both nodes the same list"
        );
        let long = SettingDifference::Addresses { only_here: vec![], only_there: vec![] };
        assert_eq!(differs("fe1", &long), "fe1 has other addresses. Give both nodes the same list");
        let (here, there) = (Duration::from_secs(1), Duration::from_millis(500));
        let interval = differs("fe1", &SettingDifference::Interval { here, there });
        assert!(interval.contains("fe1 advertises every 500ms, and this node every 1s"), "{interval}");
    }

    #[test]
    fn another_key_says_what_to_copy() {
        let address = "192.0.2.11".parse().unwrap();
        let told = sentence(&ChannelEvent::NotUnderstood { address, why: ChannelReject::Key });
        assert!(told.contains("192.0.2.11") && told.contains("peer_key_file"), "{told}");
    }
}
