//! The books of an endpoint, with scripted sockets.

use super::super::scripted::ScriptedHost;
use super::*;
use crate::types::{AdverInterval, Authentication, Family, Version, Vrid};
use crate::wire::ChecksumFlavour;

const EPERM: i32 = libc::EPERM;

fn key(vrid: u8) -> InstanceKey {
    InstanceKey { interface: "eth0".parse().unwrap(), family: Family::Ipv4, vrid: Vrid::new(vrid).unwrap() }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn endpoint(host: &ScriptedHost) -> Endpoint<super::super::scripted::ScriptedSockets> {
    let mut endpoint = Endpoint::new("eth0".parse().unwrap(), Family::Ipv4);
    endpoint.open(host.sockets(2));
    host.log();
    endpoint
}

fn enqueue<S: EndpointSockets>(endpoint: &mut Endpoint<S>, vrid: u8, priority: u8) {
    let effect = Effect::Advertise {
        key: key(vrid),
        version: Version::V3,
        source: address("192.0.2.1"),
        destination: Family::Ipv4.group(),
        priority: AdvertPriority::from_wire(priority),
        interval: AdverInterval::from_centiseconds(100).unwrap(),
        authentication: Authentication::None,
        checksum: ChecksumFlavour::Rfc9568,
    };
    endpoint.enqueue(&effect, &["192.0.2.50/24".parse().unwrap()]);
}

fn flush<S: EndpointSockets>(endpoint: &mut Endpoint<S>) -> Vec<(u8, SendResult)> {
    let mut results = Vec::new();
    endpoint.flush(&mut |key, _, result| results.push((key.vrid.get(), result)));
    results
}

fn unsent(priority: u8, errno: Option<i32>) -> SendResult {
    SendResult::Unsent(AdvertPriority::from_wire(priority), errno)
}

#[test]
fn messages_are_sent_once_and_in_order() {
    let host = ScriptedHost::default();
    let mut endpoint = endpoint(&host);
    for (vrid, priority) in [(51, 100), (52, 0)] {
        enqueue(&mut endpoint, vrid, priority);
    }
    assert_eq!(host.log(), [""; 0], "nothing is sent before the flush");
    assert_eq!(flush(&mut endpoint), []);
    assert_eq!(host.log(), ["send priority 100 from 192.0.2.1", "send priority 0 from 192.0.2.1"]);
    assert_eq!((flush(&mut endpoint), host.log()), (vec![], vec![]));
}

#[test]
fn a_full_queue_is_tried_again_and_only_a_lasting_refusal_is_reported() {
    let host = ScriptedHost::default();
    let mut endpoint = endpoint(&host);
    // The batch and two more attempts fail; the last of the three is taken.
    host.0.borrow_mut().send_errors = [libc::ENOBUFS, libc::EAGAIN, libc::ENOBUFS].into();
    enqueue(&mut endpoint, 51, 100);
    assert_eq!(flush(&mut endpoint), []);
    assert_eq!(host.log().len(), 1);
    host.0.borrow_mut().send_errors = [libc::ENOBUFS; 1 + RETRIES].into();
    enqueue(&mut endpoint, 51, 100);
    assert_eq!(flush(&mut endpoint), [(51, unsent(100, Some(libc::ENOBUFS)))]);
    assert_eq!(host.log(), [""; 0]);
}

#[test]
fn other_refusals_are_not_tried_again_and_the_first_message_after_them_is_reported() {
    let host = ScriptedHost::default();
    let mut endpoint = endpoint(&host);
    host.0.borrow_mut().send_errors = [EPERM].into();
    for vrid in [51, 52] {
        enqueue(&mut endpoint, vrid, 100);
    }
    assert_eq!(flush(&mut endpoint), [(51, unsent(100, Some(EPERM)))], "the other one is sent");
    assert_eq!(host.log().len(), 1);
    for expected in [vec![(51, SendResult::SentAgain)], vec![]] {
        enqueue(&mut endpoint, 51, 100);
        assert_eq!(flush(&mut endpoint), expected);
    }
}

#[test]
fn without_sockets_nothing_is_sent_and_the_kernel_was_not_asked() {
    let host = ScriptedHost::default();
    let mut endpoint = endpoint(&host);
    endpoint.close();
    enqueue(&mut endpoint, 51, 100);
    assert_eq!(flush(&mut endpoint), [(51, unsent(100, None))]);
    assert!(!endpoint.is_open_for(2, SocketPurpose::Advertisements(Addressee::Group)));
    endpoint.open(host.sockets(3));
    assert!(
        endpoint.is_open_for(3, SocketPurpose::Advertisements(Addressee::Group))
            && !endpoint.is_open_for(2, SocketPurpose::Advertisements(Addressee::Group))
    );
    assert_eq!(flush(&mut endpoint), [], "what was not sent is not kept");
}

#[test]
fn the_filters_follow_what_is_held_at_the_end_of_the_turn() {
    let host = ScriptedHost::default();
    let mut endpoint = endpoint(&host);
    endpoint.set_own_addresses(&["192.0.2.1".parse().unwrap()]);
    endpoint.hold(key(51), [address("192.0.2.50"), address("192.0.2.51")].into_iter());
    assert_eq!(host.log(), [""; 0], "not before the end of the turn");
    endpoint.update_filters();
    endpoint.update_filters();
    assert_eq!(host.log(), ["set filters"], "once");
    let held = [address("192.0.2.50"), address("192.0.2.51")];
    assert_eq!(host.announcement_filter(2), AnnouncementFilter::Addresses(held.into()));
    assert_eq!(host.own_address_filter(2).len(), 3);
    endpoint.release(key(52));
    endpoint.update_filters();
    assert_eq!(host.log(), [""; 0], "who held nothing changes nothing");
    endpoint.release(key(51));
    endpoint.update_filters();
    assert_eq!(host.announcement_filter(2), AnnouncementFilter::Nothing);
}

#[test]
fn who_waits_for_announcements_hears_all_of_them_at_once_and_the_last_one_ends_it() {
    let host = ScriptedHost::default();
    let mut endpoint = endpoint(&host);
    endpoint.watch_announcements(key(51));
    endpoint.watch_announcements(key(52));
    assert_eq!(host.log(), ["set filters"], "at once, and once for all who wait");
    assert_eq!(host.announcement_filter(2), AnnouncementFilter::Everything);
    endpoint.ignore_announcements(key(51));
    endpoint.update_filters();
    assert_eq!(host.announcement_filter(2), AnnouncementFilter::Everything);
    endpoint.ignore_announcements(key(52));
    endpoint.update_filters();
    assert_eq!(host.announcement_filter(2), AnnouncementFilter::Nothing);
}

#[test]
fn sockets_that_are_opened_later_hear_what_the_ones_before_should_have() {
    let host = ScriptedHost::default();
    let mut endpoint = endpoint(&host);
    endpoint.close();
    endpoint.hold(key(51), [address("192.0.2.50")].into_iter());
    endpoint.update_filters();
    assert_eq!(host.announcement_filter(2), AnnouncementFilter::Nothing, "nobody hears");
    endpoint.open(host.sockets(3));
    assert_eq!(host.announcement_filter(3), AnnouncementFilter::Addresses([address("192.0.2.50")].into()));
}
