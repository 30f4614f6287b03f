//! Somebody on the link without the key, and datagrams that overtake one another.

use super::lan::{Datagram, Lan, MS, address, key_of, link, web};
use super::pair;
use vrrpd_core::channel::ChannelInput;
use vrrpd_core::types::Family;
use vrrpd_core::wire::channel::{ChannelMessage, Envelope, ReportedState};

fn is_challenge(datagram: &Datagram) -> bool {
    let opened = Envelope::open(&key_of(7), &datagram.octets);
    opened.is_ok_and(|envelope| matches!(envelope.message, ChannelMessage::Challenge { .. }))
}

/// What a node sent since the last call.
fn sent(lan: &mut Lan, node: usize) -> Vec<Datagram> {
    let recorded = std::mem::take(&mut lan.recorded);
    let ours = |sent: &Datagram| lan.local[node].links.values().any(|link| link.source == Some(sent.source));
    recorded.into_iter().filter(ours).collect()
}

#[test]
fn garbage_with_the_address_of_a_node_does_not_fill_the_log() {
    let mut lan = pair();
    let source = address(1, Family::Ipv4);
    for second in 0..100_u8 {
        for octets in
            [&b"garbage"[..], &[b"VRC\x01".as_slice(), &[0; 80]].concat(), &[b'V', b'R', b'C', second]]
        {
            lan.input(0, ChannelInput::Received { link: link(Family::Ipv4), source, octets });
        }
        lan.run(1_000);
    }
    let told = lan.kinds().len();
    assert!(told <= 16, "{told} events");
}

#[test]
fn a_recorded_challenge_is_answered_a_limited_number_of_times() {
    let mut lan = Lan::of(&[Family::Ipv4], 2);
    lan.run(5_000);
    let to = Some(address(0, Family::Ipv4));
    let challenge = lan.recorded.iter().find(|one| is_challenge(one) && one.to == to).cloned().unwrap();
    lan.recorded.clear();
    for _ in 0..10_000 {
        lan.deliver(&challenge);
        lan.now += MS / 20;
    }
    let answers = sent(&mut lan, 0).len();
    assert!(answers <= 100, "{answers} datagrams in half a second");
}

#[test]
fn an_older_report_that_was_overtaken_changes_nothing() {
    let mut lan = Lan::of(&[Family::Ipv4], 2);
    lan.run(5_100);
    lan.recorded.clear();
    lan.loss = 100;
    lan.change(1, |report| report.obstacle = Some("check nginx fails".to_owned()));
    lan.run(100);
    lan.change(1, |report| report.obstacle = None);
    lan.run(100);
    let reports = sent(&mut lan, 1);
    assert!(reports.len() >= 2);
    reports.iter().rev().take(2).for_each(|report| lan.deliver(report));
    assert_eq!(lan.is_redundant(0), Some(true), "{:?}", lan.redundancy(0));
}

#[test]
fn a_report_that_arrives_after_the_farewell_does_not_bring_the_node_back() {
    let mut lan = pair();
    lan.recorded.clear();
    lan.loss = 100;
    lan.change(1, |report| report.priority = 140);
    lan.run(60);
    lan.input(1, ChannelInput::Farewell);
    let datagrams = sent(&mut lan, 1);
    lan.nodes[1] = None;
    lan.events.clear();
    datagrams.iter().rev().for_each(|datagram| lan.deliver(datagram));
    lan.run(1_000);
    assert_eq!(lan.kinds(), [(0, "left")]);
}

#[test]
fn a_second_request_while_the_first_hands_over_is_refused() {
    let mut lan = pair();
    for id in [1, 2] {
        lan.input(1, ChannelInput::Take { id, router: web(), by: "alice".to_owned() });
        lan.run(100);
    }
    assert_eq!(lan.handovers.len(), 1);
    assert!(matches!(&lan.ended[..], [(1, 2, _)]), "{:?}", lan.ended);
    assert_eq!(lan.local[0].links[&link(Family::Ipv4)].routers[0].state, ReportedState::Active);
}
