//! What is measured: the table of all families, and how their samples follow from the state.
//!
//! Pure. The names are part of the contract and are listed in `docs/monitoring.md`, which a test
//! compares. A value that is not known is left out, because a zero would say something else.

use super::event_counts::EventCounts;
use super::exposition::{Labels, MetricType, Samples, append};
use crate::agent::AgentSnapshot;
use crate::protocol::{CheckResult, InstanceSnapshot, RouterSnapshot, StateName};
use crate::types::{Family, InstanceKey, RouterName};
use crate::wire::RejectReason;
use std::collections::BTreeMap;

/// What the samples are made from.
#[derive(Debug)]
pub(super) struct Measured<'a> {
    snapshot: &'a AgentSnapshot,
    counts: &'a EventCounts,
    log_lines_dropped: u64,
    /// All instances with their labels.
    instances: Vec<MeasuredInstance<'a>>,
}

#[derive(Debug)]
struct MeasuredInstance<'a> {
    /// `name`, `interface`, `family`, `vrid`.
    labels: Labels,
    router: &'a RouterSnapshot,
    instance: &'a InstanceSnapshot,
}

/// One family, and how it is filled.
struct MetricFamily {
    name: &'static str,
    kind: MetricType,
    help: &'static str,
    fill: fn(&Measured<'_>, &mut Samples<'_>),
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    fill: fn(&Measured<'_>, &mut Samples<'_>),
) -> MetricFamily {
    MetricFamily { name, kind: MetricType::Gauge, help, fill }
}

const fn counter(
    name: &'static str,
    help: &'static str,
    fill: fn(&Measured<'_>, &mut Samples<'_>),
) -> MetricFamily {
    MetricFamily { name, kind: MetricType::Counter, help, fill }
}

const fn histogram(
    name: &'static str,
    help: &'static str,
    fill: fn(&Measured<'_>, &mut Samples<'_>),
) -> MetricFamily {
    MetricFamily { name, kind: MetricType::Histogram, help, fill }
}

/// All families, in the order in which they are written.
#[rustfmt::skip]
const FAMILIES: &[MetricFamily] = &[
    gauge("vrrpd_build_info", "The version of vrrpd and the name of the node; the value is 1.", build_info),
    gauge("vrrpd_state", "1 for the state that the router is in, and 0 for the other states.", state),
    gauge("vrrpd_priority", "The priority that is advertised, after tracking.", priority),
    gauge("vrrpd_demoted", "Whether an operator has demoted the router.", demoted),
    gauge("vrrpd_redundant", "Whether a node would take over if the Active failed now.", redundant),
    gauge("vrrpd_check_healthy", "Whether the check passes.", check_healthy),
    counter("vrrpd_transitions_total", "Changes of the state, by the new state and its cause.", transitions),
    counter("vrrpd_advertisements_total", "Advertisements sent, and received and accepted.", advertisements),
    counter("vrrpd_packet_errors_total", "Messages that were discarded, by the reason.", packet_errors),
    counter("vrrpd_announcements_total", "Rounds in which hosts were told where the addresses are.", announcements),
    counter("vrrpd_dual_active_total", "How often another Active was heard while this node was Active.", dual_active),
    gauge("vrrpd_drain_connections", "Connections left of a router that drains after a planned move.", drain_connections),
    counter("vrrpd_forwarded_packets_total", "Packets passed on to nodes that drain, since this node took over.", forwarded_packets),
    histogram("vrrpd_handover_seconds", "From the start of a hand-over until another router served.", handover_seconds),
    counter("vrrpd_log_lines_dropped_total", "Log lines that were lost because nobody read them.", log_lines_dropped),
];

/// The names of all families.
#[cfg(test)]
fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.name)
}

/// The text of all families.
pub(super) fn text(snapshot: &AgentSnapshot, counts: &EventCounts, log_lines_dropped: u64) -> String {
    let routers = snapshot.snapshot.routers.iter();
    let instances = routers.flat_map(|router| {
        router.instances.iter().map(move |instance| MeasuredInstance {
            labels: of_instance(&router.spec.name, instance.key),
            router,
            instance,
        })
    });
    let measured = Measured { snapshot, counts, log_lines_dropped, instances: instances.collect() };
    let mut text = String::new();
    for MetricFamily { name, kind, help, fill } in FAMILIES {
        append(&mut text, name, *kind, help, |samples| fill(&measured, samples));
    }
    text
}

fn of_instance(name: &RouterName, InstanceKey { interface, family, vrid }: InstanceKey) -> Labels {
    Labels::new()
        .with("name", name.as_str())
        .with("interface", interface.as_str())
        .with("family", family.as_str())
        .with("vrid", &vrid.get().to_string())
}

fn build_info(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    let version = Labels::new().with("version", env!("CARGO_PKG_VERSION"));
    samples.add(&version.with("node", &measured.snapshot.node), 1);
}

fn state(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for MeasuredInstance { labels, instance, .. } in &measured.instances {
        for state in [StateName::Initialize, StateName::Backup, StateName::Active] {
            samples.add(&labels.with("state", state.as_str()), u8::from(instance.state == state));
        }
    }
}

fn priority(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for MeasuredInstance { labels, router, .. } in &measured.instances {
        samples.add(labels, router.effective.get());
    }
}

fn demoted(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for MeasuredInstance { labels, router, .. } in &measured.instances {
        samples.add(labels, u8::from(router.demoted.is_some()));
    }
}

fn redundant(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for MeasuredInstance { labels, router, .. } in &measured.instances {
        // Without the channel between nodes nobody knows.
        if let Some(redundancy) = measured.snapshot.channel.view.routers.get(&router.spec.name) {
            samples.add(labels, u8::from(redundancy.is_redundant));
        }
    }
}

fn check_healthy(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for (check, status) in &measured.snapshot.checks {
        let healthy = match status.result {
            Some(CheckResult::Passing) => 1,
            Some(CheckResult::Failing) => 0,
            // The check has not decided yet.
            None => continue,
        };
        samples.add(&Labels::new().with("check", &check.0), healthy);
    }
}

fn transitions(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for ((router, key, to, cause), count) in &measured.counts.transitions {
        let labels = of_instance(router, *key).with("to", to.as_str()).with("cause", cause.as_str());
        samples.add(&labels, count);
    }
}

fn advertisements(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for MeasuredInstance { labels, instance, .. } in &measured.instances {
        samples.add(&labels.with("direction", "sent"), instance.counters.advertisement_sent);
        samples.add(&labels.with("direction", "received"), instance.counters.advertisement_rcvd);
    }
}

fn packet_errors(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for MeasuredInstance { labels, instance, .. } in &measured.instances {
        by_reason(labels, &instance.counters.rejected, samples);
    }
    // These named no router of this node, so they have neither its name nor its VRID.
    for (interface, family, counters) in &measured.snapshot.snapshot.links {
        let labels = Labels::new().with("interface", interface.as_str()).with("family", family.as_str());
        by_reason(&labels, &counters.rejected, samples);
    }
}

/// Zeros are written, so that the first error is an increase.
fn by_reason(labels: &Labels, rejected: &BTreeMap<RejectReason, u64>, samples: &mut Samples<'_>) {
    for reason in RejectReason::ALL {
        let count = rejected.get(&reason).copied().unwrap_or_default();
        samples.add(&labels.with("reason", reason.as_str()), count);
    }
}

fn announcements(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for MeasuredInstance { labels, instance, .. } in &measured.instances {
        let kind = match instance.key.family {
            Family::Ipv4 => "gratuitous_arp",
            Family::Ipv6 => "neighbor_advertisement",
        };
        samples.add(&labels.with("kind", kind), instance.counters.announcements);
    }
}

fn dual_active(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for MeasuredInstance { labels, instance, .. } in &measured.instances {
        samples.add(labels, instance.counters.dual_active);
    }
}

/// Absent where nothing drains, and until the connections have been counted.
fn drain_connections(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for MeasuredInstance { labels, instance, .. } in &measured.instances {
        if let Some(left) = measured.snapshot.draining(instance).and_then(|draining| draining.left) {
            samples.add(labels, left);
        }
    }
}

/// Zeros are written, so that the first packet is an increase.
fn forwarded_packets(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for MeasuredInstance { labels, instance, .. } in &measured.instances {
        let forwarding = measured.snapshot.forwarding(instance);
        let packets: u64 = forwarding.iter().map(|forwarding| forwarding.packets).sum();
        samples.add(labels, packets);
    }
}

/// A hand-over moves both families, so it is one hand-over of the router and has no `family`.
fn handover_seconds(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    for router in &measured.snapshot.snapshot.routers {
        let labels = Labels::new()
            .with("name", router.spec.name.as_str())
            .with("interface", router.spec.interface.as_str())
            .with("vrid", &router.spec.vrid.get().to_string());
        let counted = measured.counts.handovers.get(&router.spec.name).cloned();
        samples.add_histogram(&labels, &counted.unwrap_or_default());
    }
}

fn log_lines_dropped(measured: &Measured<'_>, samples: &mut Samples<'_>) {
    samples.add(&Labels::new(), measured.log_lines_dropped);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_page_about_monitoring_lists_every_family_and_no_other() {
        let page = include_str!("../../../docs/monitoring.md");
        let documented: BTreeSet<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `vrrpd_"))
            .filter_map(|rest| rest.split(['`', '{']).next())
            .collect();
        let known: BTreeSet<&str> = names().filter_map(|name| name.strip_prefix("vrrpd_")).collect();
        assert_eq!(documented, known);
        assert_eq!(known.len(), FAMILIES.len(), "a name is there twice");
    }

    #[test]
    fn names_and_descriptions_follow_the_rules_of_prometheus() {
        for MetricFamily { name, kind, help, fill: _ } in FAMILIES {
            assert_eq!(name.ends_with("_total"), *kind == MetricType::Counter, "{name}");
            assert!(help.ends_with('.') && !help.contains(['\n', '\\']), "{help}");
        }
    }
}
