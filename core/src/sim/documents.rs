//! The numbers that vrrpd promises, each written from the document that promises it, for the
//! reference and the bounds.
//!
//! Nothing here is taken from `protocol`: a constant that is changed only in the core makes the
//! simulation fail, and a developer who changes it on purpose changes the document and this file as
//! well.

use crate::types::{AdverInterval, AdvertPriority, Family, Version};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The multicast group to which advertisements are sent (RFC 9568 §5.1.1.2, §5.1.2.2).
pub(super) const fn group(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12)),
    }
}

/// Skew_Time in nanoseconds: ((256 − Priority) × Active_Adver_Interval) / 256 (RFC 9568 §6.1), and in
/// VRRPv2 ((256 − Priority) / 256) seconds (RFC 3768 §6.1).
pub(super) fn skew_time(version: Version, priority: AdvertPriority, learned: AdverInterval) -> Duration {
    let nanos = match version {
        Version::V2 => 1_000_000_000,
        Version::V3 => u64::from(learned.centiseconds()) * 10_000_000,
    };
    Duration::from_nanos((256 - u64::from(priority.get())) * nanos / 256)
}

/// How much longer a Backup waits in a hand-over for each better one, three of them at most
/// (docs/failover.md, "Formulas").
pub(super) fn order_of_backups(ahead: u8) -> Duration {
    Duration::from_millis(match ahead {
        0 => 0,
        1 => 80,
        2 => 160,
        3.. => 240,
    })
}

/// Active_Down_Interval = 3 × Active_Adver_Interval + Skew_Time (RFC 9568 §6.1); `down_adverts`
/// stands for the 3 (docs/failover.md, "Formulas"). Master_Down_Interval of RFC 3768 §6.1 is the same
/// with the Skew_Time of VRRPv2.
pub(super) fn active_down_interval(
    version: Version,
    down_adverts: u32,
    priority: AdvertPriority,
    learned: AdverInterval,
) -> Duration {
    learned.period() * down_adverts + skew_time(version, priority, learned)
}

/// A learned interval has a bound: ten times our own interval, and 3 s at least (docs/adr/0019). A
/// router of VRRPv2 learns nothing: its Master_Down_Interval is computed from its own interval (RFC
/// 3768 §6.1).
pub(super) fn believed(version: Version, said: AdverInterval, ours: AdverInterval) -> AdverInterval {
    match version {
        Version::V2 => return ours,
        Version::V3 => {}
    }
    let bound = (u32::from(ours.centiseconds()) * 10).max(300);
    if u32::from(said.centiseconds()) <= bound {
        return said;
    }
    u16::try_from(bound)
        .ok()
        .and_then(|bound| AdverInterval::from_centiseconds(bound).ok())
        .unwrap_or(AdverInterval::MAX)
}

/// From which router the addresses are taken (docs/adr/0004).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TakenFrom {
    /// From a router that died, or that never existed.
    Nobody,
    /// From a router that resigned, or that a starting owner has not listened for.
    Resigned,
    /// From an Active of lower priority that is still heard.
    Live,
}

/// How long the first advertisement waits for the kernel (docs/adr/0004): not at all, 20 ms, or one
/// interval and at most 500 ms.
pub(super) fn first_advertisement_waits(from: TakenFrom, interval: AdverInterval) -> Duration {
    match from {
        TakenFrom::Nobody => Duration::ZERO,
        TakenFrom::Resigned => Duration::from_millis(20),
        TakenFrom::Live => interval.period().min(Duration::from_millis(500)),
    }
}

/// The advertisement to a live Active is sent this long after the addresses were announced
/// (docs/adr/0004).
pub(super) const HOSTS_FOLLOW_ANNOUNCEMENT: Duration = Duration::from_millis(3);

/// An Active still serves while its next advertisement is not overdue: one and a half of its
/// intervals.
pub(super) fn not_overdue(interval: AdverInterval) -> Duration {
    interval.period() * 3 / 2
}

/// An advertisement may be sent this much late, so that those of many routers are sent in one
/// system call: one sixty-fourth of the interval, and 1 ms at most. This is a window and not a
/// moment, because the agent may wake for another reason within it.
pub(super) fn may_be_late(interval: AdverInterval) -> Duration {
    (interval.period() / 64).min(Duration::from_millis(1))
}

/// How far answers to losing advertisements are apart: one answer per max(10 ms, interval / 4)
/// (docs/rfc9568.md, RFC9568-6.4.3-14).
pub(super) fn between_answers(interval: AdverInterval) -> Duration {
    (interval.period() / 4).max(Duration::from_millis(10))
}

/// Answers to priority 0 are at least this far apart (docs/rfc9568.md, RFC9568-6.4.3-19).
pub(super) const BETWEEN_ANSWERS_TO_RESIGNATION: Duration = Duration::from_millis(10);

/// A process that is this late, or late by a whole interval if that is longer, has not listened
/// either (docs/rfc9568.md, RFC9568-6.2-4).
pub(super) const OVERSLEPT: Duration = Duration::from_millis(50);

/// The addresses may be released this long after the other router announced the last of them
/// (docs/adr/0016).
pub(super) const fn hosts_have_switched(family: Family) -> Duration {
    match family {
        Family::Ipv4 => Duration::from_millis(20),
        Family::Ipv6 => Duration::from_millis(80),
    }
}

/// If its announcements are not heard, the addresses may be released this long after the other
/// router advertised (docs/adr/0016).
pub(super) const NOT_ANNOUNCED: Duration = Duration::from_millis(250);

/// An announcement that is heard this soon after our own announcement does not count
/// (docs/adr/0024).
pub(super) const CROSSING: Duration = Duration::from_millis(20);

/// One line of the script of a leaving router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScriptLine {
    /// The priority of the router, and the interval of 10 ms.
    Shorten,
    /// Priority 0.
    Resign,
}

/// What a leaving router sends, in milliseconds after it began to leave (docs/adr/0009).
pub(super) const LEAVING: [(u64, ScriptLine); 11] = [
    (0, ScriptLine::Shorten),
    (2, ScriptLine::Shorten),
    (4, ScriptLine::Shorten),
    (6, ScriptLine::Resign),
    (36, ScriptLine::Resign),
    (96, ScriptLine::Resign),
    (256, ScriptLine::Resign),
    (1250, ScriptLine::Shorten),
    (1252, ScriptLine::Shorten),
    (1254, ScriptLine::Shorten),
    (1256, ScriptLine::Resign),
];

/// What a leaving router of VRRPv2 sends (docs/adr/0043): three resignations within 30 ms, and another
/// two after 1.2 s. It is the same for a run that crashed.
pub(super) const LEAVING_IN_VERSION_2: [(u64, ScriptLine); 5] = [
    (0, ScriptLine::Resign),
    (10, ScriptLine::Resign),
    (30, ScriptLine::Resign),
    (1200, ScriptLine::Resign),
    (1210, ScriptLine::Resign),
];

/// What is sent for a run that crashed, 30 ms after a first resignation (docs/adr/0014).
pub(super) const LEAVING_FOR_A_CRASHED_RUN: [(u64, ScriptLine); 11] = [
    (0, ScriptLine::Shorten),
    (2, ScriptLine::Shorten),
    (4, ScriptLine::Shorten),
    (6, ScriptLine::Resign),
    (36, ScriptLine::Resign),
    (66, ScriptLine::Shorten),
    (68, ScriptLine::Shorten),
    (70, ScriptLine::Shorten),
    (72, ScriptLine::Resign),
    (102, ScriptLine::Resign),
    (256, ScriptLine::Resign),
];

/// The first resignation for a run that crashed can be answered for this long (docs/adr/0014).
pub(super) const CRASHED_RUN_ASKS: Duration = Duration::from_millis(30);

/// After a stall of this length between two shortened advertisements, the router resigns at once
/// (docs/adr/0009).
pub(super) const STALLED_WHILE_SHORTENING: Duration = Duration::from_millis(10);

/// An advertisement that may be old is believed when its sender still advertises this much later
/// (docs/adr/0009).
pub(super) const GOES_ON_ADVERTISING: Duration = Duration::from_millis(12);

/// An instance that leaves before its first advertisement waits at most this long for its kernel
/// (docs/adr/0009).
pub(super) const LEAVES_BEFORE_ADVERTISING: Duration = Duration::from_millis(10);

/// The end of the first round, of the pause after it, and of the second round.
const FIRST_ROUND: Duration = Duration::from_millis(256);
const SECOND_ROUND_BEGINS: Duration = Duration::from_millis(1250);
const SECOND_ROUND_ENDS: Duration = Duration::from_millis(1256);
/// The end of the second round in VRRPv2 (docs/adr/0043).
const SECOND_ROUND_OF_VERSION_2_ENDS: Duration = Duration::from_millis(1210);

/// The longest Skew_Time of VRRPv2, whatever the interval is, and a tenth of a second (docs/vrrpv2.md:
/// "up to a second").
const TAKEOVER_IN_VERSION_2: Duration = Duration::from_millis(1100);

/// How long a planned leave waits for a successor: the first round, the longest Skew_Time and a
/// margin of 100 ms. A second round that was begun is finished (docs/adr/0009).
///
/// In VRRPv2 the second round is always begun, and followed by the longest Skew_Time, which does not
/// depend on the interval (docs/vrrpv2.md: 2.4 s).
pub(super) fn waits_for_successor(version: Version, interval: AdverInterval) -> Duration {
    let first_round = FIRST_ROUND + interval.period() + MARGIN;
    match version {
        Version::V3 if first_round <= SECOND_ROUND_BEGINS => first_round,
        Version::V2 | Version::V3 => longest_wait_for_successor(version, interval.period()),
    }
}

/// The same time if the interval is not known: a second round may be under way.
pub(super) fn longest_wait_for_successor(version: Version, interval: Duration) -> Duration {
    match version {
        Version::V2 => SECOND_ROUND_OF_VERSION_2_ENDS + TAKEOVER_IN_VERSION_2 + MARGIN,
        Version::V3 => (FIRST_ROUND + interval + MARGIN).max(SECOND_ROUND_ENDS + MARGIN),
    }
}

/// A router that leaves because of a fault waits this long for a successor: 36 ms (docs/adr/0009). In
/// VRRPv2 it serves on for the Skew_Time of the slowest successor (docs/adr/0043).
pub(super) fn fault_waits(version: Version) -> Duration {
    match version {
        Version::V2 => TAKEOVER_IN_VERSION_2 + Duration::from_millis(30),
        Version::V3 => Duration::from_millis(36),
    }
}

/// A stop must end within this time (docs/adr/0009).
pub(super) const STOP_ENDS: Duration = Duration::from_secs(3);

/// The time for scheduling and for the way there and back. It is added to the longest Skew_Time,
/// and to an Active_Down_Interval where one family cannot send that it leaves (docs/adr/0009).
pub(super) const MARGIN: Duration = Duration::from_millis(100);

/// An interruption that lasts becomes a fault after 3 s at most (docs/failover.md).
pub(super) const INTERRUPTION_ENDS: Duration = Duration::from_secs(3);

/// The kernel is asked again for what it refused (docs/operations.md: ten seconds later).
pub(super) const REFUSED_AGAIN: Duration = Duration::from_secs(10);

/// How long a hasty advertisement is doubted (docs/adr/0019): ten intervals, doubled each time, six
/// times at most.
pub(super) fn doubted_for(interval: AdverInterval, times: u32) -> Duration {
    interval.period() * (10 << times.min(6))
}

/// A doubtful advertisement makes a Backup take over when the next advertisement of the Active is
/// overdue by a quarter of an interval, 30 ms at least and 200 ms at most (docs/adr/0019).
pub(super) fn overdue_by(interval: AdverInterval) -> Duration {
    (interval.period() / 4).clamp(Duration::from_millis(30), Duration::from_millis(200))
}

/// An Active that still advertises within an interval (and a quarter for the way) refutes a
/// takeover (docs/adr/0019).
pub(super) fn refutes_within(interval: AdverInterval) -> Duration {
    interval.period() * 5 / 4
}

/// The rounds of an announcement are spread: 0, 30, 100, 300 ms, 1 s, and then one each second
/// (docs/adr/0004).
pub(super) fn round(number: u32) -> Duration {
    match number {
        0 => Duration::ZERO,
        1 => Duration::from_millis(30),
        2 => Duration::from_millis(100),
        3 => Duration::from_millis(300),
        more => Duration::from_secs(u64::from(more) - 3),
    }
}

/// An Active that hears another Active announces again at most this often: once per 30 ms, or once
/// per 2 ms times the number of addresses where that is longer (docs/adr/0016: "the winner repeats
/// itself after 30 ms").
pub(super) fn between_contested(addresses: usize) -> Duration {
    let frames = Duration::from_millis(2) * u32::try_from(addresses).unwrap_or(u32::MAX);
    frames.max(Duration::from_millis(30))
}

/// The Active announces once more this long after it last heard the other Active.
pub(super) const CONTESTED_ONCE_MORE: Duration = Duration::from_secs(1);

/// Defended addresses are not announced more often than this (docs/adr/0025, RFC 5227 §2.4).
pub(super) const BETWEEN_DEFENCES: Duration = Duration::from_secs(10);

/// A router that was heard this shortly before an announcement explains the announcement
/// (docs/adr/0025).
pub(super) const EXPLAINS: Duration = Duration::from_millis(250);
